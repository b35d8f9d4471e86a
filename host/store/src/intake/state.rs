//! Where the log stands: what is in it, what of it the store is still to get, and what may be removed.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::folder::Leftover;
use super::record::{FIRST, Kind};

/// A place in the log: behind everything that stands before it, in this segment and in those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

impl Place {
    /// Where a segment's first record begins.
    const fn first_of(segment: u64) -> Self {
        Self { segment, offset: FIRST }
    }
}

#[derive(Debug)]
struct Segment {
    number: u64,
    /// Up to where it is written.
    bytes: u64,
    /// Since when nothing more is written to it.
    sealed: Option<Instant>,
}

/// What becomes of an accepted batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Straight to the store.
    Straight,
    /// Behind what waits in the spool.
    Spool,
    /// It is refused: why.
    Closed(&'static str),
}

/// What the store is to get next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) from: Place,
    /// Where the segment ends by now.
    pub(super) to: u64,
    /// Before this, the store gets everything, and not only what was spooled.
    pub(super) again_to: Place,
    /// How far the store was given everything once: what stands before it is not new to it.
    pub(super) reached: Place,
    /// Which pass over the log this belongs to.
    pass: u64,
}

/// Segments that may be removed once the store has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The last of them.
    up_to: u64,
    /// Which pass over the log it was.
    pass: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Oldest first; all but the last one are sealed.
    segments: VecDeque<Segment>,
    /// In all segments.
    pub(super) bytes: u64,
    /// Batches on their way into the spool.
    pub(super) writing: usize,
    /// Batches in the spool that the store is still to get.
    pub(super) waiting: u64,
    /// The store has got everything before it.
    cursor: Place,
    /// Where the last spooled batch ends.
    spooled_to: Place,
    /// Where the last batch ends that the store is to get again.
    again_to: Place,
    /// The furthest that the cursor has been.
    reached: Place,
    /// Which of the store's losses were dealt with.
    losses: u64,
    pass: u64,
    pub(super) stopped: bool,
}

impl State {
    /// The state of a log that was left: the store is to get all of it again.
    pub(super) fn of(leftovers: &[Leftover], losses: u64) -> Self {
        let mut state = Self { losses, ..Self::default() };
        for leftover in leftovers {
            state.segments.push_back(Segment {
                number: leftover.number,
                bytes: leftover.bytes,
                sealed: Some(Instant::now()),
            });
            state.bytes += leftover.bytes;
            if let Some((batches, end)) = leftover.spooled {
                state.waiting += batches;
                state.spooled_to = Place { segment: leftover.number, offset: end };
            }
        }
        state.again_to = state.end();
        state
    }

    /// Where the last record ends.
    fn end(&self) -> Place {
        let last = self.segments.back();
        last.map_or(self.reached, |segment| Place { segment: segment.number, offset: segment.bytes })
    }

    /// The store is still to get something.
    pub(super) fn behind(&self) -> bool {
        self.writing > 0 || self.has_work()
    }

    /// The store is still to get something that is written by now.
    pub(super) fn has_work(&self) -> bool {
        self.cursor < self.spooled_to.max(self.again_to)
    }

    /// Nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Which way a batch goes that is accepted now. One that is to go to the spool is counted as on its way.
    pub(super) fn way(&mut self, losses: u64, spool: bool, max_bytes: u64) -> Way {
        if self.stopped {
            return Way::Closed("the gateway is stopping");
        }
        self.deal_with(losses);
        let spooled = self.writing > 0 || self.cursor < self.spooled_to;
        if spool && (spooled || self.cursor < self.again_to) {
            self.writing += 1;
            Way::Spool
        } else if spooled {
            Way::Closed("what was spooled before `accept` under [spool] was turned off goes first")
        } else if self.bytes >= max_bytes {
            Way::Closed(
                "the store does not settle, and what is kept here until it does has reached `max` under [spool]",
            )
        } else {
            Way::Straight
        }
    }

    /// A record was written at the end of a segment; gives where it begins. The first one of a segment makes it.
    pub(super) fn written(&mut self, kind: Kind, segment: u64, length: u64) -> Place {
        if self.segments.back().is_none_or(|last| last.number != segment) {
            self.seal();
            self.segments.push_back(Segment { number: segment, bytes: FIRST, sealed: None });
            self.bytes += FIRST;
        }
        let nothing_before = !self.has_work();
        let mut start = Place::first_of(segment);
        if let Some(last) = self.segments.back_mut() {
            start.offset = last.bytes;
            last.bytes += length;
        }
        self.bytes += length;
        if kind == Kind::Spooled {
            if nothing_before {
                self.cursor = start;
            }
            self.waiting += 1;
            self.spooled_to = self.end();
        }
        start
    }

    /// Nothing more is written to the segment that was written last.
    pub(super) fn seal(&mut self) {
        if let Some(last) = self.segments.back_mut() {
            last.sealed.get_or_insert_with(Instant::now);
        }
    }

    /// A sealed segment waits to be settled.
    pub(super) fn has_sealed(&self) -> bool {
        self.segments.front().is_some_and(|first| first.sealed.is_some())
    }

    /// What to give the store next; `None`: nothing that is written by now.
    pub(super) fn next(&mut self) -> Option<Work> {
        let goal = self.spooled_to.max(self.again_to);
        let here = self.cursor;
        let ahead = |segment: &&Segment| (Place { segment: segment.number, offset: segment.bytes }) > here;
        let segment = self.segments.iter().find(ahead).filter(|_| here < goal);
        let Some(segment) = segment else {
            self.cursor = here.max(goal);
            self.reached = self.reached.max(self.cursor);
            // What could not be read any more waits no longer.
            self.waiting = 0;
            return None;
        };
        let (from, to) = (here.max(Place::first_of(segment.number)), segment.bytes);
        self.cursor = from;
        let (again_to, reached, pass) = (self.again_to, self.reached, self.pass);
        Some(Work { from, to, again_to, reached, pass })
    }

    /// The store has got what stands between the two places, with so many spooled batches. Nothing happens if it was told
    /// meanwhile to get something again.
    pub(super) fn advance(&mut self, work: &Work, to: u64, spooled: u64) {
        if self.cursor == work.from && self.pass == work.pass {
            self.cursor.offset = to;
            self.reached = self.reached.max(self.cursor);
            self.waiting = self.waiting.saturating_sub(spooled);
        }
    }

    /// The store is to get everything again that begins at `from` or behind it; `None`: everything that there is. `losses`
    /// are dealt with by this.
    pub(super) fn again(&mut self, from: Option<Place>, losses: u64) {
        let first = self.segments.front().map(|segment| Place::first_of(segment.number));
        if let Some(from) = from.or(first) {
            self.cursor = self.cursor.min(from);
            self.again_to = self.end();
        }
        self.losses = losses;
        self.pass += 1;
    }

    /// The store has had so many losses by now: if that is news, it is to get everything again.
    pub(super) fn deal_with(&mut self, losses: u64) {
        if losses != self.losses {
            self.again(None, losses);
        }
    }

    /// What may be removed once the store has settled: segments that were sealed by `sealed`, and that it has got all of.
    /// `losses` are those that the store has had by now.
    pub(super) fn mark(&self, losses: u64, sealed: Instant) -> Option<Mark> {
        if losses != self.losses {
            return None;
        }
        let whole = |segment: &&Segment| {
            segment.sealed.is_some_and(|at| at <= sealed) && (!self.has_work() || segment.number < self.cursor.segment)
        };
        let last = self.segments.iter().take_while(whole).last()?;
        Some(Mark { up_to: last.number, pass: self.pass })
    }

    /// Takes out what was marked, unless the store is to get it again; gives the numbers.
    pub(super) fn take_settled(&mut self, mark: Mark, losses: u64) -> Vec<u64> {
        let mut taken = Vec::new();
        if mark.pass != self.pass || losses != self.losses {
            return taken;
        }
        while let Some(segment) = self.segments.pop_front_if(|segment| segment.number <= mark.up_to) {
            self.bytes = self.bytes.saturating_sub(segment.bytes);
            taken.push(segment.number);
        }
        taken
    }

    /// Gives a segment up that cannot be read.
    pub(super) fn give_up(&mut self, number: u64) {
        for segment in self.segments.iter().filter(|segment| segment.number == number) {
            self.bytes = self.bytes.saturating_sub(segment.bytes);
        }
        self.segments.retain(|segment| segment.number != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMIT: u64 = u64::MAX;

    #[test]
    fn what_is_spooled_is_handed_on_before_anything_goes_straight() {
        let mut state = State::default();
        assert_eq!(state.way(0, true, NO_LIMIT), Way::Straight);
        state.written(Kind::Spooled, 1, 100);
        assert!(matches!(state.way(0, false, NO_LIMIT), Way::Closed(_)));
        assert_eq!(state.way(0, true, NO_LIMIT), Way::Spool);
        let work = state.next().unwrap();
        state.advance(&work, work.to, 1);
        assert_eq!((state.next(), state.waiting), (None, 0));
        // The second one is still on its way.
        assert_eq!(state.way(0, true, NO_LIMIT), Way::Spool);
        state.writing = 0;
        assert_eq!(state.way(0, true, NO_LIMIT), Way::Straight);
    }

    #[test]
    fn what_the_store_is_still_to_get_is_not_removed() {
        let mut state = State::default();
        for segment in 1..=3 {
            state.written(Kind::Spooled, segment, 100);
        }
        let work = state.next().unwrap();
        assert_eq!(state.mark(0, Instant::now()), None);
        state.advance(&work, work.to, 1);
        state.next().unwrap();
        let mark = state.mark(0, Instant::now()).unwrap();
        assert_eq!(state.take_settled(mark, 0), [1]);
        while let Some(work) = state.next() {
            state.advance(&work, work.to, 1);
        }
        let mark = state.mark(0, Instant::now()).unwrap();
        // The last one is still written to.
        assert_eq!(state.take_settled(mark, 0), [2]);
    }

    #[test]
    fn nothing_is_removed_after_a_loss_until_it_was_given_again() {
        let mut state = State::default();
        state.written(Kind::Ledger, 1, 100);
        state.seal();
        assert_eq!(state.mark(1, Instant::now()), None, "a loss that was not dealt with");
        let mark = state.mark(0, Instant::now()).unwrap();
        assert!(state.take_settled(mark, 1).is_empty());
        state.deal_with(1);
        assert!(state.take_settled(mark, 1).is_empty(), "it was settled before the loss");
        assert_eq!(state.mark(1, Instant::now()), None, "it is to be given again");
        let work = state.next().unwrap();
        state.advance(&work, work.to, 0);
        let mark = state.mark(1, Instant::now()).unwrap();
        assert_eq!(state.take_settled(mark, 1), [1]);
        assert_eq!(state.bytes, 0);
    }

    #[test]
    fn a_loss_during_a_pass_makes_another_one() {
        let mut state = State::default();
        let first = state.written(Kind::Ledger, 1, 100);
        state.deal_with(1);
        let work = state.next().unwrap();
        let second = state.written(Kind::Ledger, 1, 100);
        state.again(Some(second), 1);
        state.advance(&work, work.to, 0);
        let work = state.next().unwrap();
        assert!(work.from == first && work.again_to > second, "the second one was not to be given before");
    }
}

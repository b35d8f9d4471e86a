//! Random operations, in numbers.

use std::collections::BTreeMap;

use proptest::prelude::*;

/// Few names, so that operations meet.
pub(crate) const NAMES: u8 = 4;

/// Where an arrival goes.
#[derive(Clone, Debug)]
pub(crate) enum To {
    Conversation(u8),
    /// Bits: which of two phone numbers and two user ids, and whether the user ids come first; and which of them are
    /// former ones, in the same bits.
    Customer(u8, u8),
    Ticket(u8),
}

/// A change to the conversation's link, with tickets in numbers.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Written { id: u8, read: Option<u8> },
    Status,
    Moved(u8),
}

/// A commit in numbers: the run says what each of them means.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) conversation: u8,
    /// Which of the partition's pending events; beyond the last: one that has been handled, or none was ever there.
    pub(crate) handled: Option<u8>,
    /// By how much the expected version is wrong, mostly zero.
    pub(crate) state: Option<u8>,
    pub(crate) put: Vec<u8>,
    pub(crate) finish: Vec<u8>,
    pub(crate) dead: Vec<u8>,
    /// Dead letters that are settled.
    pub(crate) settle: Vec<u8>,
    pub(crate) set: Vec<u8>,
    /// Which, and how: whenever it goes off, if it is set for what it is set for, or for another moment.
    pub(crate) clear: Vec<(u8, u8)>,
    pub(crate) link: Option<Change>,
    pub(crate) append: Vec<(u8, To)>,
    /// The answer is lost, and the commit applied again.
    pub(crate) twice: bool,
}

/// A write to one space.
#[derive(Clone, Debug)]
pub(crate) struct Shelving {
    pub(crate) space: u8,
    /// By key: the length of the body, if it is not to be removed, and by how much the expected revision is wrong, if one
    /// is expected.
    pub(crate) writes: BTreeMap<u8, (Option<u8>, Option<u8>)>,
    pub(crate) quota: Option<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Append(Vec<(u8, To)>),
    Commit(Plan),
    /// So many steps after the beginning is past its time: for events, raw JSON, dead letters.
    ThinOut(u8, u8, u8),
    Shelve(Shelving),
    Reopen,
}

fn to() -> impl Strategy<Value = To> {
    prop_oneof![
        (0..NAMES).prop_map(To::Conversation),
        (0u8..32, prop_oneof![2 => Just(0u8), 1 => 0u8..16]).prop_map(|(now, former)| To::Customer(now, former)),
        (0..NAMES).prop_map(To::Ticket)
    ]
}

fn arrivals(most: usize) -> impl Strategy<Value = Vec<(u8, To)>> {
    prop::collection::vec((0u8..40, to()), 0..=most)
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..NAMES, 0..3)
}

fn plan() -> impl Strategy<Value = Plan> {
    let clear = prop::collection::vec((0..NAMES, 0u8..3), 0..3);
    let lanes = (names(), names(), names(), names(), names(), clear);
    let change = prop_oneof![
        3 => (0..NAMES, prop::option::of(0..NAMES)).prop_map(|(id, read)| Change::Written { id, read }),
        1 => Just(Change::Status),
        1 => (0..NAMES).prop_map(Change::Moved),
    ];
    let state = prop::option::of(prop_oneof![4 => Just(0u8), 1 => 1u8..3]);
    let rest = (prop::option::of(change), arrivals(2), any::<bool>());
    (0..NAMES, prop::option::of(0u8..4), state, lanes, rest).prop_map(
        |(conversation, handled, state, (put, finish, dead, settle, set, clear), (link, append, twice))| Plan {
            conversation,
            handled,
            state,
            put,
            finish,
            dead,
            settle,
            set,
            clear,
            link,
            append,
            twice,
        },
    )
}

fn shelving() -> impl Strategy<Value = Shelving> {
    let write = (prop::option::weighted(0.7, 0u8..30), prop::option::of(prop_oneof![5 => Just(0u8), 1 => 1u8..3]));
    let writes = prop::collection::btree_map(0..NAMES, write, 1..4);
    (0u8..2, writes, prop::option::of(0u8..70)).prop_map(|(space, writes, quota)| Shelving { space, writes, quota })
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => arrivals(4).prop_map(Operation::Append),
        8 => plan().prop_map(Operation::Commit),
        1 => (0u8..30, 0u8..30, 0u8..30).prop_map(|(events, raw, letters)| Operation::ThinOut(events, raw, letters)),
        3 => shelving().prop_map(Operation::Shelve),
        1 => Just(Operation::Reopen),
    ]
}

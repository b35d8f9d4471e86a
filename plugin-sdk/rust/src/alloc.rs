//! The allocator for short-lived sandboxes.
//!
//! A call runs in memory that the host maps afresh, and every page that it touches for the first time costs a fault. So
//! memory is handed out from one end of an arena that is part of the component's own memory, blocks that are given back
//! are used again before new pages are, and only when the arena is full does the memory grow. Nothing is ever merged:
//! the whole of it ends with the call.

#![allow(unsafe_code, reason = "an allocator hands out raw memory; every unsafe block says why it is sound")]

use std::alloc::Layout;
use std::ptr::{self, NonNull};

/// Every block's size is a multiple of this, and every block is aligned to it: enough for two pointers on any target.
const GRAIN: usize = 16;

/// Blocks up to here are kept by their exact size when they are given back, larger ones by the power of two that
/// they were rounded up to.
const SMALL: usize = 1024;

const SMALL_LISTS: usize = SMALL / GRAIN + 1;
const LARGE_LISTS: usize = usize::BITS as usize;

/// A block that was given back. The link to the next one lies in the block itself.
struct Free {
    next: Option<NonNull<Free>>,
}

/// Where more memory comes from.
pub(crate) trait Source {
    /// At least `bytes` more, as start and length, aligned to [`GRAIN`]; or none.
    fn grow(&mut self, bytes: usize) -> Option<(NonNull<u8>, usize)>;
}

/// The allocator. One thread uses it: WebAssembly without threads has no other.
pub(crate) struct Bump<S> {
    /// The first byte that was never handed out, as an address.
    next: Option<NonNull<u8>>,
    /// Bytes left after it.
    left: usize,
    small: [Option<NonNull<Free>>; SMALL_LISTS],
    large: [Option<NonNull<Free>>; LARGE_LISTS],
    source: S,
}

impl<S: Source> Bump<S> {
    pub(crate) const fn new(source: S) -> Self {
        Self { next: None, left: 0, small: [None; SMALL_LISTS], large: [None; LARGE_LISTS], source }
    }

    /// The bytes that a request really takes: fixed by the layout alone, so that giving back finds the same list.
    fn size(layout: Layout) -> Option<usize> {
        // Beyond the grain, alignment is bought with room inside the block.
        let room = if layout.align() > GRAIN { layout.align() } else { 0 };
        let size = layout.size().max(1).checked_add(room)?;
        if size <= SMALL { Some(size.next_multiple_of(GRAIN)) } else { size.checked_next_power_of_two() }
    }

    fn list(&mut self, size: usize) -> Option<&mut Option<NonNull<Free>>> {
        if size <= SMALL {
            self.small.get_mut(size / GRAIN)
        } else {
            self.large.get_mut(size.trailing_zeros() as usize)
        }
    }

    /// A block for this layout.
    pub(crate) fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // Over-aligned blocks are too rare to be kept for another time.
        let over_aligned = layout.align() > GRAIN;
        let size = Self::size(layout)?;
        if !over_aligned
            && let Some(list) = self.list(size)
            && let Some(block) = *list
        {
            // SAFETY: the list holds only blocks that `release` put there: this allocator's own, of at least GRAIN
            // bytes, aligned to GRAIN, given back by their owner, with a `Free` written to their start.
            *list = unsafe { block.as_ref() }.next;
            return Some(block.cast());
        }
        let start = self.bump(size)?;
        if !over_aligned {
            return Some(start);
        }
        let skip = start.align_offset(layout.align());
        // SAFETY: aligning skips less than `align` bytes, and `size` has that much room beyond the layout's size.
        Some(unsafe { start.add(skip) })
    }

    /// Takes `size` bytes, a multiple of GRAIN, that were never handed out.
    fn bump(&mut self, size: usize) -> Option<NonNull<u8>> {
        if self.left < size {
            let (start, length) = self.source.grow(size)?;
            let adjoins = self.next.is_some_and(|next| next.as_ptr().wrapping_add(self.left) == start.as_ptr());
            if adjoins {
                self.left += length;
            } else {
                self.next = Some(start);
                self.left = length;
            }
        }
        let start = self.next?;
        // SAFETY: `left` bytes from `next` are ours, and `left >= size`.
        self.next = Some(unsafe { start.add(size) });
        self.left -= size;
        Some(start)
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` came from this allocator for this layout, and nobody uses it any more.
    pub(crate) unsafe fn release(&mut self, block: NonNull<u8>, layout: Layout) {
        if layout.align() > GRAIN {
            return;
        }
        let Some(size) = Self::size(layout) else { return };
        if self.is_last(block, size) {
            self.next = Some(block);
            self.left += size;
        } else if let Some(list) = self.list(size) {
            let free = block.cast::<Free>();
            // SAFETY: the block is ours again by the caller's word, at least GRAIN bytes long and aligned to GRAIN.
            unsafe { free.write(Free { next: *list }) };
            *list = Some(free);
        }
    }

    /// Makes a block fit another size: where it is, if that costs nothing.
    ///
    /// # Safety
    /// As for [`release`](Self::release); on success the old block is no longer the caller's.
    pub(crate) unsafe fn resize(&mut self, block: NonNull<u8>, layout: Layout, new: Layout) -> Option<NonNull<u8>> {
        let (old_size, new_size) = (Self::size(layout)?, Self::size(new)?);
        if old_size == new_size {
            return Some(block);
        }
        // Text and lists grow at the end of the arena, most of the time: no copy then.
        if layout.align() <= GRAIN && self.is_last(block, old_size) && new_size <= old_size.saturating_add(self.left) {
            // SAFETY: `new_size` bytes from `block` on are the block itself and what was never handed out.
            self.next = Some(unsafe { block.add(new_size) });
            self.left = old_size + self.left - new_size;
            return Some(block);
        }
        let moved = self.allocate(new)?;
        // SAFETY: both blocks are at least as long as the smaller layout, and a new block never overlaps a live one.
        unsafe { ptr::copy_nonoverlapping(block.as_ptr(), moved.as_ptr(), layout.size().min(new.size())) };
        // SAFETY: the caller's word; the content has moved.
        unsafe { self.release(block, layout) };
        Some(moved)
    }

    fn is_last(&self, block: NonNull<u8>, size: usize) -> bool {
        self.next.is_some_and(|next| block.as_ptr().wrapping_add(size) == next.as_ptr())
    }
}

#[cfg(all(target_arch = "wasm32", feature = "fast-allocator"))]
mod global {
    use std::alloc::{GlobalAlloc, Layout};
    use std::cell::UnsafeCell;
    use std::ptr::{self, NonNull};

    use super::{Bump, Source};

    /// Room for an ordinary call, part of the memory that the component starts with. Pages that are not touched cost
    /// nothing.
    const ARENA: usize = 192 * 1024;

    /// The size of a page of WebAssembly memory.
    const PAGE: usize = 64 * 1024;

    /// Pages to grow by at least: growing is a call into the host.
    const GROWTH: usize = 4;

    #[repr(align(16))]
    struct Arena(UnsafeCell<[u8; ARENA]>);
    // SAFETY: WebAssembly without threads has one thread, and the arena is handed out once, below.
    unsafe impl Sync for Arena {}
    static MEMORY: Arena = Arena(UnsafeCell::new([0; ARENA]));

    /// The arena first, then new pages.
    struct Pages {
        arena_used: bool,
    }

    impl Source for Pages {
        fn grow(&mut self, bytes: usize) -> Option<(NonNull<u8>, usize)> {
            if !self.arena_used {
                self.arena_used = true;
                if bytes <= ARENA {
                    return NonNull::new(MEMORY.0.get().cast::<u8>()).map(|start| (start, ARENA));
                }
            }
            let pages = bytes.div_ceil(PAGE).max(GROWTH);
            let before = core::arch::wasm32::memory_grow(0, pages);
            // `usize::MAX` is the host's no.
            let start = if before == usize::MAX { return None } else { before * PAGE };
            NonNull::new(ptr::with_exposed_provenance_mut(start)).map(|start| (start, pages * PAGE))
        }
    }

    struct Global(UnsafeCell<Bump<Pages>>);
    // SAFETY: WebAssembly without threads has one thread.
    unsafe impl Sync for Global {}

    #[global_allocator]
    static GLOBAL: Global = Global(UnsafeCell::new(Bump::new(Pages { arena_used: false })));

    // SAFETY: `Bump` gives out blocks that are as large and as aligned as their layout says, never one twice before it
    // was released; and with one thread and no calls out of `Bump`, the exclusive borrows below do not overlap.
    unsafe impl GlobalAlloc for Global {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as above.
            let bump = unsafe { &mut *self.0.get() };
            bump.allocate(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: as above.
            let bump = unsafe { &mut *self.0.get() };
            if let Some(block) = NonNull::new(block) {
                // SAFETY: the caller's word.
                unsafe { bump.release(block, layout) };
            }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            // SAFETY: as above.
            let bump = unsafe { &mut *self.0.get() };
            let Ok(new) = Layout::from_size_align(new_size, layout.align()) else { return ptr::null_mut() };
            let Some(block) = NonNull::new(block) else { return ptr::null_mut() };
            // SAFETY: the caller's word.
            unsafe { bump.resize(block, layout, new) }.map_or(ptr::null_mut(), NonNull::as_ptr)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives pieces of one large buffer: adjoining ones, like WebAssembly's memory.
    struct Buffer {
        memory: Vec<u128>,
        given: usize,
        grown: usize,
    }

    impl Buffer {
        fn new(bytes: usize) -> Self {
            Self { memory: vec![u128::MAX; bytes / 16], given: 0, grown: 0 }
        }
    }

    impl Source for Buffer {
        fn grow(&mut self, bytes: usize) -> Option<(NonNull<u8>, usize)> {
            let length = bytes.max(4096).next_multiple_of(4096);
            let total = self.memory.len() * 16;
            if self.given + length > total {
                return None;
            }
            let start = self.memory.as_mut_ptr().cast::<u8>().wrapping_add(self.given);
            self.given += length;
            self.grown += 1;
            NonNull::new(start).map(|start| (start, length))
        }
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_never_overlap_and_keep_their_content() {
        let mut bump = Bump::new(Buffer::new(16 << 20));
        let mut live: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
        // A small generator: the same course in every run.
        let mut state = 7_u32;
        let mut random = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for round in 0..4000_usize {
            let mark = (round % 251) as u8;
            match random(3) {
                0 if !live.is_empty() => {
                    let (block, layout, mark) = live.swap_remove(random(live.len()));
                    for at in 0..layout.size() {
                        // SAFETY: the block is live and this long.
                        assert_eq!(unsafe { block.add(at).read() }, mark, "round {round}");
                    }
                    // SAFETY: it came from here with this layout, and is forgotten now.
                    unsafe { bump.release(block, layout) };
                }
                1 if !live.is_empty() => {
                    let chosen = random(live.len());
                    let (block, old, mark) = live[chosen];
                    let new = layout(1 + random(3000), old.align());
                    // SAFETY: it came from here with this layout; only the new block is kept.
                    let moved = unsafe { bump.resize(block, old, new) }.unwrap();
                    for at in 0..old.size().min(new.size()) {
                        // SAFETY: the block is live and this long.
                        assert_eq!(unsafe { moved.add(at).read() }, mark, "round {round}");
                    }
                    // SAFETY: the block is live and this long.
                    unsafe { moved.write_bytes(mark, new.size()) };
                    live[chosen] = (moved, new, mark);
                }
                _ => {
                    let layout = layout(1 + random(if live.len() > 60 { 8 } else { 2500 }), 1 << random(7));
                    let Some(block) = bump.allocate(layout) else { continue };
                    assert_eq!(block.as_ptr() as usize % layout.align(), 0);
                    // SAFETY: the block is live and this long.
                    unsafe { block.write_bytes(mark, layout.size()) };
                    live.push((block, layout, mark));
                }
            }
        }
    }

    #[test]
    fn what_is_given_back_is_used_again() {
        let mut bump = Bump::new(Buffer::new(1 << 20));
        for size in [24, 700, 5000] {
            let layout = layout(size, 8);
            let first = bump.allocate(layout).unwrap();
            let _keeps_the_first_from_being_last = bump.allocate(layout).unwrap();
            // SAFETY: it came from here with this layout.
            unsafe { bump.release(first, layout) };
            assert_eq!(bump.allocate(layout), Some(first), "{size}");
        }
    }

    #[test]
    fn a_growing_list_at_the_end_stays_where_it_is() {
        let mut bump = Bump::new(Buffer::new(1 << 20));
        let first = bump.allocate(layout(16, 8)).unwrap();
        let mut size = 16;
        while size < 2048 {
            // SAFETY: it came from here with this layout.
            let grown = unsafe { bump.resize(first, layout(size, 8), layout(size * 2, 8)) };
            assert_eq!(grown, Some(first));
            size *= 2;
        }
        assert_eq!(bump.source.grown, 1);
    }

    #[test]
    fn memory_that_is_not_there_is_refused() {
        let mut bump = Bump::new(Buffer::new(1 << 16));
        assert_eq!(bump.allocate(layout(1 << 20, 8)), None);
        assert!(bump.allocate(layout(100, 8)).is_some());
    }
}

//! An allocator that looks: no block of memory may go back, or still stand, with a key in it that should be gone.
//!
//! It watches one thread at a time, for as long as a [`Watch`] lives: each block that thread gets is remembered, each it
//! gives back is searched before it goes. Growing a block is getting one and giving one back, so that what a `Vec` leaves
//! behind when it moves is seen, too.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys that appear nowhere by chance. Each half of each is searched for, forwards and backwards: big numbers stand in
/// memory with their last byte first.
pub const CANARY_16: [u8; 16] = *b"\x91canary\xC3\x92CANARY\xC5";
pub const CANARY_32: [u8; 32] = *b"\xA1CaNaRy\xD3\xA2cAnArY\xD5\xA3CAnaRY\xD7\xA4caNARy\xD9";

/// Most blocks a watched thread holds at once.
const BLOCKS_MAX: usize = 16_384;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static FOUND: AtomicUsize = AtomicUsize::new(0);
/// Address and length of each block; address 0 is a free place.
static BLOCKS: [(AtomicUsize, AtomicUsize); BLOCKS_MAX] =
    [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; BLOCKS_MAX];

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

struct Looking;

#[global_allocator]
static LOOKING: Looking = Looking;

#[expect(unsafe_code, reason = "an allocator is unsafe to write: this one hands every call on as it came")]
// SAFETY: memory comes from and goes back to the system's allocator, with the layout it was asked for.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises about `layout` are handed on.
        let block = unsafe { System.alloc_zeroed(layout) };
        if is_watched() && !block.is_null() {
            remember(block.expose_provenance(), layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_watched() {
            // SAFETY: the block is the caller's until it is given back below, and was zeroed when it was got.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            if holds_a_key(bytes) {
                FOUND.fetch_add(1, Ordering::Relaxed);
            }
            forget(block.addr());
        }
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

fn is_watched() -> bool {
    WATCHED.try_with(Cell::get).unwrap_or(false)
}

fn remember(address: usize, len: usize) {
    for (at, kept) in &BLOCKS {
        if at.load(Ordering::Relaxed) == 0 {
            kept.store(len, Ordering::Relaxed);
            at.store(address, Ordering::Relaxed);
            return;
        }
    }
}

fn forget(address: usize) {
    if let Some((at, _)) = BLOCKS.iter().find(|(at, _)| at.load(Ordering::Relaxed) == address) {
        at.store(0, Ordering::Relaxed);
    }
}

/// Whether half a canary stands in these bytes, in either direction.
pub fn holds_a_key(bytes: &[u8]) -> bool {
    let halves = || CANARY_16.as_chunks::<8>().0.iter().chain(CANARY_32.as_chunks::<8>().0);
    bytes.windows(8).any(|window| {
        // The first bytes of all halves, and their last ones, are far from text.
        window[0] >= 0x90 || window[7] >= 0x90
    } && halves().any(|half| window == half || window.iter().eq(half.iter().rev())))
}

/// Watches this thread until it is dropped.
pub struct Watch(
    #[expect(dead_code, reason = "held, so that one test watches at a time")] MutexGuard<'static, ()>,
);

impl Watch {
    pub fn begin() -> Watch {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        BLOCKS.iter().for_each(|(at, _)| at.store(0, Ordering::Relaxed));
        FOUND.store(0, Ordering::Relaxed);
        WATCHED.set(true);
        Watch(turn)
    }

    /// Blocks given back so far with a key in them.
    pub fn given_back(&self) -> usize {
        FOUND.load(Ordering::Relaxed)
    }

    /// Blocks that stand now with a key in them.
    pub fn standing(&self) -> usize {
        let holds = |(at, len): &&(AtomicUsize, AtomicUsize)| {
            let address = at.load(Ordering::Relaxed);
            address != 0 && holds_a_key(bytes_at(address, len.load(Ordering::Relaxed)))
        };
        BLOCKS.iter().filter(holds).count()
    }
}

#[expect(unsafe_code, reason = "reads blocks that this thread holds, to see what is in them")]
fn bytes_at(address: usize, len: usize) -> &'static [u8] {
    // SAFETY: the block was given to this thread, which has not given it back; nobody writes while it looks. The
    // address was exposed when the block was handed out.
    unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(address), len) }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.set(false);
    }
}

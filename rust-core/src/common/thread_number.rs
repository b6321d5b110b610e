//! Threads have numbers, by which what many of them write is spread. Knows nothing else of threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of the thread that asks, from 0, in the order in which threads first asked.
#[inline]
pub fn thread_number() -> usize {
    // Threads are numbered, no more: a model checker need not look on.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let number = NUMBER.get();
    if number != usize::MAX {
        return number;
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    NUMBER.set(number);
    number
}

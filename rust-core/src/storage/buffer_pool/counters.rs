//! What a buffer pool counts.
//! Knows numbers. Knows nothing of pages.

use crate::common::sync::atomic::{AtomicU64, Ordering};
use crossbeam::utils::CachePadded;
use std::cell::Cell;

const HIT_STRIPES: usize = 8;

/// Counters since the pool was made.
#[derive(Debug, Default)]
pub(in crate::storage) struct PoolCounters {
    hits: [CachePadded<AtomicU64>; HIT_STRIPES],
    pub(in crate::storage) misses: AtomicU64,
    pub(in crate::storage) reads: AtomicU64,
    pub(in crate::storage) writes: AtomicU64,
    pub(in crate::storage) evictions: AtomicU64,
    /// Pages of the checkpoint that an eviction wrote for it.
    pub(in crate::storage) old_evictions: AtomicU64,
    /// Pre-images that writers put into the side buffer.
    pub(in crate::storage) images_saved: AtomicU64,
    /// Pages that writers wrote for the checkpoint, because the side buffer was full.
    pub(in crate::storage) images_written: AtomicU64,
    pub(in crate::storage) bytes_read: AtomicU64,
    pub(in crate::storage) bytes_written: AtomicU64,
}

impl PoolCounters {
    /// Adds a hit; two threads of one stripe may lose one, which a statistic survives.
    pub(in crate::storage) fn hit(&self) {
        thread_local! {
            static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
        }
        // Threads are numbered, no more: a model checker need not look on.
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let stripe = STRIPE.with(|stripe| {
            if stripe.get() == usize::MAX {
                stripe.set(NEXT.fetch_add(1, Ordering::Relaxed) % HIT_STRIPES);
            }
            stripe.get()
        });
        let counter = &self.hits[stripe];
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(in crate::storage) fn hits(&self) -> u64 {
        self.hits.iter().map(|stripe| stripe.load(Ordering::Relaxed)).sum()
    }
}

//! What a buffer pool counts.
//! Knows numbers. Knows nothing of pages.

use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::common::thread_number::thread_number;
use crossbeam::utils::CachePadded;

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
        let counter = &self.hits[thread_number() % HIT_STRIPES];
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(in crate::storage) fn hits(&self) -> u64 {
        self.hits.iter().map(|stripe| stripe.load(Ordering::Relaxed)).sum()
    }
}

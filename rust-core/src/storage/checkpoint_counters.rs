//! What checkpoints count.
//! Knows numbers. Knows nothing of steps.

use crate::common::sync::atomic::{AtomicU64, Ordering};

/// Counters since the database was opened.
#[derive(Debug, Default)]
pub(super) struct CheckpointCounters {
    /// Durable checkpoints.
    pub(super) checkpoints: AtomicU64,
    /// Pages that they wrote, pre-images included, map pages not.
    pub(super) pages: AtomicU64,
    /// Bytes of pages and map pages.
    pub(super) bytes: AtomicU64,
}

impl CheckpointCounters {
    pub(super) fn note_pages(&self, pages: u32, bytes: usize) {
        self.pages.fetch_add(u64::from(pages), Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    pub(super) fn note_map_page(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    pub(super) fn note_checkpoint(&self) {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
    }
}

//! Figures about a running database, by name: one table for programs and for the documentation.

use crate::database::instance::Instance;
use crate::session::engine::Engine;

/// A figure.
#[derive(Clone, Copy)]
pub struct Statistic {
    /// Its name.
    pub name: &'static str,
    /// What it counts, with its unit.
    pub help: &'static str,
    pub(super) read: fn(&Engine, &Instance) -> i64,
}

impl std::fmt::Debug for Statistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! statistics {
    ($($name:literal, $help:literal, |$engine:ident, $instance:ident| $read:expr;)*) => {
        /// Every figure, by name.
        pub const STATISTICS: &[Statistic] = &[$(
            Statistic { name: $name, help: $help, read: |$engine, $instance| $read as i64 },
        )*];
    };
}

statistics! {
    "blocks", "Blocks that the file has room for.", |_e, i| i.storage.statistics().blocks;
    "blocks_retained", "Blocks kept only because other processes read older checkpoints.", |_e, i| i.storage.statistics().blocks_retained;
    "blocks_used", "Blocks in use.", |_e, i| i.storage.statistics().blocks_used;
    "checkpoint_bytes", "Bytes that checkpoints wrote, pages and page map.", |_e, i| i.storage.statistics().checkpoint_bytes;
    "checkpoint_evictions", "Pages that evictions wrote for a running checkpoint.", |_e, i| i.storage.statistics().checkpoint_evictions;
    "checkpoint_images_saved", "Pages kept in memory as a running checkpoint needs them, because a commit changed them.", |_e, i| i.storage.statistics().checkpoint_images_saved;
    "checkpoint_images_written", "Pages that commits wrote for a running checkpoint, because there was no memory to keep them.", |_e, i| i.storage.statistics().checkpoint_images_written;
    "checkpoint_micros", "Time that checkpoints took since opening, in microseconds.", |e, _i| e.manager.checkpoint_nanos() / 1000;
    "checkpoint_pages", "Pages written for checkpoints.", |_e, i| i.storage.statistics().checkpoint_pages;
    "checkpoints", "Checkpoints written since opening.", |_e, i| i.storage.statistics().checkpoints;
    "commits", "Transactions that wrote and committed.", |e, _i| e.manager.statistics().commits;
    "deadlocks", "Lock requests refused with 40P01.", |e, _i| e.manager.statistics().locks.deadlocks;
    "evictions", "Pages that made way for others.", |_e, i| i.storage.statistics().evictions;
    "frames", "Pages held in memory.", |_e, i| i.storage.statistics().frames;
    "frames_dirty", "Pages changed since they were written.", |_e, i| i.storage.statistics().frames_dirty;
    "lock_waits", "Lock requests that had to wait.", |e, _i| e.manager.statistics().locks.waits;
    "log_durable", "Log position that is on the disk, in bytes.", |_e, i| i.log.durable().0;
    "log_syncs", "Syncs of the log.", |_e, i| i.log.sync_count();
    "log_tail", "Log position of the next commit, in bytes.", |_e, i| i.log.tail().0;
    "memory_limit", "Memory that may be used, in bytes.", |e, _i| e.memory.limit();
    "memory_used", "Memory in use, in bytes.", |e, _i| e.memory.used();
    "page_hits", "Pages found in memory.", |_e, i| i.storage.statistics().hits;
    "page_misses", "Pages that had to be read.", |_e, i| i.storage.statistics().misses;
    "page_reads", "Reads from the file.", |_e, i| i.storage.statistics().reads;
    "page_size", "Bytes of a page.", |_e, i| i.storage.statistics().page_size;
    "page_writes", "Pages written to the file.", |_e, i| i.storage.statistics().writes;
    "pages", "Pages in use.", |_e, i| i.storage.statistics().pages;
    "rollbacks", "Transactions rolled back.", |e, _i| e.manager.statistics().rollbacks;
    "snapshots", "Snapshots registered now.", |e, _i| e.manager.statistics().snapshots;
    "version_bytes", "Bytes of row versions kept for older snapshots.", |e, _i| e.manager.statistics().version_bytes;
    "versions", "Row versions kept for older snapshots.", |e, _i| e.manager.statistics().versions;
    "visible_lsn", "The newest commit that new snapshots see.", |e, _i| e.manager.visible_lsn().0;
}

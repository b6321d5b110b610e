//! Versions and ghosts that a commit left because an older snapshot was registered; collected by whoever comes
//! by once the horizon has passed the commit.
//! Knows keys and timestamps. Knows nothing of write sets or commit.

use crate::common::ids::{Lsn, TreeId};
use crate::common::sync::Mutex;
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::error::Result;
use crate::storage::Storage;
use crate::transaction::mvcc::VersionStore;
use crate::transaction::tree_commit::SpilledOperations;
use crate::wal::entry::Operation;
use std::collections::VecDeque;

const GHOST: u32 = 1 << 31;
/// Keys purged at a time.
const PURGED_KEYS: usize = 1024;

/// Keys that one commit changed.
#[derive(Debug)]
pub(super) struct Garbage {
    timestamp: Lsn,
    /// For every key: tree u32, length u32 with the ghost's bit, key.
    keys: Vec<u8>,
    /// Trees whose ghosts are those of deletions in temporary files.
    spilled: Vec<SpilledOperations>,
}

impl Garbage {
    pub(super) fn new(timestamp: Lsn) -> Garbage {
        Garbage { timestamp, keys: Vec::new(), spilled: Vec::new() }
    }

    /// Adds the ghosts that the deletions among these left.
    pub(super) fn add_spilled(&mut self, operations: SpilledOperations) {
        self.spilled.push(operations);
    }

    pub(super) fn add(&mut self, tree: TreeId, key: &[u8], ghost: bool) {
        let length = key.len() as u32 | if ghost { GHOST } else { 0 };
        self.keys.extend_from_slice(&tree.0.to_le_bytes());
        self.keys.extend_from_slice(&length.to_le_bytes());
        self.keys.extend_from_slice(key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.spilled.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = (TreeId, &[u8], bool)> {
        let mut rest = self.keys.as_slice();
        std::iter::from_fn(move || {
            let (tree, after) = rest.split_first_chunk::<4>()?;
            let (length, after) = after.split_first_chunk::<4>()?;
            let length = u32::from_le_bytes(*length);
            let (key, after) = after.split_at_checked((length & !GHOST) as usize)?;
            rest = after;
            Some((TreeId(u32::from_le_bytes(*tree)), key, length & GHOST != 0))
        })
    }
}

/// Threads: any.
#[derive(Debug)]
pub(super) struct GarbageQueue {
    queue: Mutex<VecDeque<Garbage>>,
    /// Held by whoever collects.
    collecting: Mutex<()>,
    /// Timestamp of the oldest garbage; `u64::MAX`: none.
    oldest: AtomicU64,
}

impl Default for GarbageQueue {
    fn default() -> GarbageQueue {
        GarbageQueue {
            queue: Mutex::default(),
            collecting: Mutex::default(),
            oldest: AtomicU64::new(u64::MAX),
        }
    }
}

impl GarbageQueue {
    /// Keeps garbage for later; its bytes count as the version store's.
    pub(super) fn push(&self, garbage: Garbage, versions: &VersionStore) {
        versions.add_bytes(garbage.keys.capacity());
        let mut queue = self.queue.lock();
        let at = queue.partition_point(|other| other.timestamp <= garbage.timestamp);
        queue.insert(at, garbage);
        self.note_oldest(&queue);
    }

    /// Whether something may be there to collect at `visible`.
    pub(super) fn is_due(&self, visible: Lsn) -> bool {
        self.oldest.load(Ordering::Relaxed) <= visible.0
    }

    /// Whether something is kept, which after a full collection is so because a snapshot needs it.
    pub(super) fn is_kept(&self) -> bool {
        self.oldest.load(Ordering::Relaxed) != u64::MAX
    }

    /// Collects up to about `bytes` of keys whose commits are at or below `horizon`; `usize::MAX`: all of them, those
    /// too that another thread is collecting, which is waited for. Not under a latch, nor with the apply gate entered.
    pub(super) fn collect(&self, horizon: Lsn, bytes: usize, versions: &VersionStore, storage: &Storage) {
        let collecting =
            if bytes == usize::MAX { Some(self.collecting.lock()) } else { self.collecting.try_lock() };
        if collecting.is_none() {
            return;
        }
        versions.drop_runs(horizon);
        let mut collected = 0;
        while collected < bytes {
            let mut queue = self.queue.lock();
            if queue.front().is_none_or(|garbage| garbage.timestamp > horizon) {
                return;
            }
            let Some(mut garbage) = queue.pop_front() else { return };
            self.note_oldest(&queue);
            drop(queue);
            while let Some(operations) = garbage.spilled.last_mut() {
                match purge_some(storage, operations, horizon) {
                    Ok(Some(purged)) => collected += purged,
                    // An error costs the space of the ghosts alone.
                    Ok(None) | Err(_) => drop(garbage.spilled.pop()),
                }
                if collected >= bytes {
                    return self.put_back(garbage);
                }
            }
            collected += garbage.keys.len().max(1);
            versions.remove_bytes(garbage.keys.capacity());
            let mut late = Garbage::new(garbage.timestamp);
            for (tree, key, ghost) in garbage.iter() {
                versions.drop_key(tree, key, horizon);
                if ghost && !purge(storage, tree, key, horizon) {
                    late.add(tree, key, true);
                }
            }
            if !late.is_empty() {
                // Somebody deleted the key again, later: that commit's horizon is what it waits for.
                return self.push(late, versions);
            }
        }
    }

    /// Keeps garbage that is counted already.
    fn put_back(&self, garbage: Garbage) {
        let mut queue = self.queue.lock();
        let at = queue.partition_point(|other| other.timestamp < garbage.timestamp);
        queue.insert(at, garbage);
        self.note_oldest(&queue);
    }

    fn note_oldest(&self, queue: &VecDeque<Garbage>) {
        let oldest = queue.front().map_or(u64::MAX, |garbage| garbage.timestamp.0);
        self.oldest.store(oldest, Ordering::Relaxed);
    }
}

/// Removes a ghost; false: it is too new. A tree that is gone took its ghosts along, and after an I/O error the
/// ghost stays, which costs space alone.
pub(super) fn purge(storage: &Storage, tree: TreeId, key: &[u8], horizon: Lsn) -> bool {
    storage.tree(tree).and_then(|tree| tree.purge(key, horizon)).unwrap_or(true)
}

/// Removes the ghosts of the next deletions; gives the bytes of their keys. `None`: there are no more.
/// # Errors
/// `XX001`, I/O errors.
pub(super) fn purge_some(
    storage: &Storage,
    operations: &mut SpilledOperations,
    horizon: Lsn,
) -> Result<Option<usize>> {
    if !operations.next_block(PURGED_KEYS)? {
        return Ok(None);
    }
    let Ok(tree) = storage.tree(operations.tree()) else {
        // It is gone, and its ghosts with it.
        return Ok(None);
    };
    let mut bytes = 0;
    let deleted = operations.block().filter_map(|operation| match operation {
        Operation::Delete { key, .. } => {
            bytes += key.len();
            Some(key)
        }
        _ => None,
    });
    // One that was deleted again, later, is left to that commit.
    tree.purge_sorted(deleted, horizon)?;
    Ok(Some(bytes.max(1)))
}

//! Versions and ghosts that a commit left because an older snapshot was registered; collected by whoever comes
//! by once the horizon has passed the commit.
//! Knows keys and timestamps. Knows nothing of write sets or commit.
//!
//! Nothing stays for want of somebody who comes by: a commit notes its garbage, then looks whether the snapshot that was
//! in the way still is; who gives a snapshot back looks for garbage after. One of the two sees the other.

use crate::common::ids::{Lsn, TreeId};
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::common::sync::{Mutex, RwLock};
use crate::error::Result;
use crate::storage::Storage;
use crate::transaction::mvcc::VersionStore;
use crate::transaction::tree_commit::SpilledOperations;
use crate::wal::entry::Operation;
use crossbeam::utils::CachePadded;
use smallvec::SmallVec;
use std::collections::VecDeque;

const GHOST: u32 = 1 << 31;
/// Keys purged at a time.
const PURGED_KEYS: usize = 1024;
/// Queues, so that threads do not meet at one of them.
const QUEUE_COUNT: usize = 16;
/// Bytes of keys that take no memory of their own.
const KEY_BYTES_INLINE: usize = 64;

/// Keys that one commit changed.
#[derive(Debug)]
pub(super) struct Garbage {
    timestamp: Lsn,
    /// For every key: tree u32, length u32 with the ghost's bit, key.
    keys: SmallVec<[u8; KEY_BYTES_INLINE]>,
    /// Trees whose ghosts are those of deletions in temporary files.
    spilled: Vec<SpilledOperations>,
}

impl Garbage {
    pub(super) fn new(timestamp: Lsn) -> Garbage {
        Garbage { timestamp, keys: SmallVec::new(), spilled: Vec::new() }
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

    /// Bytes that count as the version store's.
    fn counted_bytes(&self) -> usize {
        size_of::<Garbage>() + if self.keys.spilled() { self.keys.capacity() } else { 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.spilled.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = (TreeId, &[u8], bool)> {
        let mut rest = &self.keys[..];
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

/// Garbage by timestamp.
#[derive(Debug)]
struct Queue {
    garbage: Mutex<VecDeque<Garbage>>,
    /// Shared by those who collect; alone: all that was taken out is collected.
    collecting: RwLock<()>,
    /// Timestamp of the oldest garbage; `u64::MAX`: none.
    oldest: AtomicU64,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { garbage: Mutex::default(), collecting: RwLock::new(()), oldest: AtomicU64::new(u64::MAX) }
    }
}

impl Queue {
    /// Adds garbage behind that of the same timestamp, or before it.
    fn insert(&self, garbage: Garbage, behind: bool) {
        let mut queue = self.garbage.lock();
        let is_before = |other: &Garbage| {
            other.timestamp < garbage.timestamp || (behind && other.timestamp == garbage.timestamp)
        };
        let at = queue.partition_point(is_before);
        queue.insert(at, garbage);
        self.note_oldest(&queue);
    }

    /// The oldest garbage, if it is at or below `horizon`.
    fn take(&self, horizon: Lsn) -> Option<Garbage> {
        let mut queue = self.garbage.lock();
        if queue.front().is_none_or(|garbage| garbage.timestamp > horizon) {
            return None;
        }
        let garbage = queue.pop_front();
        self.note_oldest(&queue);
        garbage
    }

    fn note_oldest(&self, queue: &VecDeque<Garbage>) {
        let oldest = queue.front().map_or(u64::MAX, |garbage| garbage.timestamp.0);
        self.oldest.store(oldest, Ordering::Release);
    }

    /// As [`GarbageQueue::collect`]; gives the bytes of what it collected.
    fn collect(&self, horizon: Lsn, bytes: usize, versions: &VersionStore, storage: &Storage) -> usize {
        let _collecting = self.collecting.read();
        let mut collected = 0;
        while collected < bytes
            && let Some(mut garbage) = self.take(horizon)
        {
            while let Some(operations) = garbage.spilled.last_mut() {
                match purge_some(storage, operations, horizon) {
                    Ok(Some(purged)) => collected += purged,
                    // An error costs the space of the ghosts alone.
                    Ok(None) | Err(_) => drop(garbage.spilled.pop()),
                }
                if collected >= bytes {
                    self.insert(garbage, false);
                    return collected;
                }
            }
            collected += garbage.keys.len().max(1);
            versions.remove_bytes(garbage.counted_bytes());
            let mut late = Garbage::new(garbage.timestamp);
            for (tree, key, ghost) in garbage.iter() {
                versions.drop_key(tree, key, horizon);
                if ghost && !purge(storage, tree, key, horizon) {
                    late.add(tree, key, true);
                }
            }
            if !late.is_empty() {
                // Somebody deleted the key again, later: that commit's horizon is what it waits for.
                versions.add_bytes(late.counted_bytes());
                self.insert(late, true);
                return collected;
            }
        }
        collected
    }
}

/// Threads: any.
#[derive(Debug, Default)]
pub(super) struct GarbageQueue {
    queues: [CachePadded<Queue>; QUEUE_COUNT],
}

impl GarbageQueue {
    /// Keeps garbage for later; its bytes count as the version store's. `owner`: a number of whoever left it.
    pub(super) fn push(&self, garbage: Garbage, owner: u32, versions: &VersionStore) {
        versions.add_bytes(garbage.counted_bytes());
        self.queues[owner as usize % QUEUE_COUNT].insert(garbage, true);
    }

    fn oldest(&self) -> u64 {
        self.queues.iter().map(|queue| queue.oldest.load(Ordering::Acquire)).min().unwrap_or(u64::MAX)
    }

    /// Whether something may be there to collect at `horizon`.
    pub(super) fn is_due(&self, horizon: Lsn) -> bool {
        self.oldest() <= horizon.0
    }

    /// Whether something is kept, which after a full collection is so because a snapshot needs it.
    pub(super) fn is_kept(&self) -> bool {
        self.oldest() != u64::MAX
    }

    /// Collects about `bytes` of keys of each queue whose commits are at or below `horizon`; `usize::MAX`: all of them,
    /// those too that another thread is collecting, which is waited for. Not under a latch, nor with the apply gate
    /// entered.
    pub(super) fn collect(&self, horizon: Lsn, bytes: usize, versions: &VersionStore, storage: &Storage) {
        versions.drop_runs(horizon);
        for queue in &self.queues {
            if bytes == usize::MAX {
                drop(queue.collecting.write());
            }
            if queue.oldest.load(Ordering::Acquire) <= horizon.0 {
                queue.collect(horizon, bytes, versions, storage);
            }
        }
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

//! The version store: what commits replaced, for as long as an older snapshot may ask.
//! Knows keys, values and timestamps. Knows nothing of pages' layout, locks or write sets.
//!
//! Pages hold the newest committed rows. Apply stores, under the leaf's exclusive latch and before it changes
//! the page, what the change replaces. A reader copies from the page first and comes here after the latch:
//!
//! ```text
//!  commits of a key:      ts 10        ts 20        ts 30
//!  page:                                            value c
//!  store, oldest first:   {10, absent} {20, a}      {30, b}
//!  snapshot 25 asks:      the oldest entry with ts > 25 is {30, b}: the answer is b
//! ```
//!
//! Nothing here survives a crash, and nothing needs to: a crash ends every snapshot.

use crate::common::ids::{COUNTER_TREE, Lsn, TreeId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::{AtomicUsize, Ordering};
use crate::common::sync::{Arc, Mutex, RwLock};
use crate::error::{Error, Result, SqlState};
use crate::storage::sorted_run::{RunEntry, SortedRun, SortedRuns};
use crate::storage::{Before, VersionSink};
use crossbeam::utils::CachePadded;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::cell::Cell;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

const SHARD_COUNT: usize = 64;
/// The account is adjusted in steps of this many bytes.
const CHARGE_STEP_BYTES: usize = 64 << 10;
/// Bytes of an entry besides its key and value: hash table slot, chain, version.
pub(super) const ENTRY_BYTES: usize = 96;
/// A batch with more bytes moves to a temporary file.
pub(super) const BATCH_BYTES_IN_MEMORY: usize = if cfg!(test) { 4 << 10 } else { 2 << 20 };
/// A shard's table above this size is given back when it becomes empty.
const KEPT_BYTES: usize = 64 << 10;

type Key = SmallVec<[u8; 16]>;

#[derive(Debug)]
struct Version {
    timestamp: Lsn,
    /// What the commit replaced; `None`: there was no row.
    before: Option<Box<[u8]>>,
}

#[derive(Debug)]
struct Chain {
    tree: TreeId,
    key: Key,
    /// Ascending by timestamp.
    versions: SmallVec<[Version; 1]>,
}

/// Keys that one commit added to a tree where none of them was: one entry for all of them. It speaks for keys
/// of one length that lie between two others as big-endian numbers, of which there are no others.
#[derive(Debug)]
struct Run {
    tree: TreeId,
    timestamp: Lsn,
    first: Key,
    last: Key,
}

impl Run {
    fn holds(&self, tree: TreeId, key: &[u8]) -> bool {
        self.tree == tree && is_between(&self.first, &self.last, key)
    }
}

/// What one commit replaced in a tree, when it is much: in key order, without a hash table, and in a temporary file
/// where it is more than a little. It fills while the commit applies; a key is here before its page shows it.
#[derive(Debug)]
pub(super) struct Batch {
    tree: TreeId,
    timestamp: Lsn,
    run: SortedRun,
    /// Why there is nothing to read: it could not be written.
    lost: OnceLock<Error>,
    /// Bytes that the store counts.
    counted: AtomicUsize,
}

const ABSENT: u8 = 0;
const REPLACED: u8 = 1;

impl Batch {
    /// Calls `found` with what the commit replaced, if it changed the key; `None`: there was no row.
    fn find(&self, tree: TreeId, key: &[u8], found: impl FnOnce(Option<&[u8]>)) -> Result<()> {
        if self.tree != tree {
            return Ok(());
        }
        let mut found = Some(found);
        self.run.find(key, |entry| {
            if let Some(found) = found.take() {
                found((entry.kind == REPLACED).then_some(entry.value));
            }
            false
        })?;
        // After looking: what was lost meanwhile was not found.
        if found.is_some() { self.check_lost() } else { Ok(()) }
    }

    fn check_lost(&self) -> Result<()> {
        match self.lost.get() {
            None => Ok(()),
            Some(cause) => Err(Error::new(SqlState::SNAPSHOT_TOO_OLD, "snapshot too old")
                .detail(format!("Older versions of rows could not be kept: {cause}"))
                .hint("Make room on the disk, and run the transaction again.")),
        }
    }

    fn holds(&self, tree: TreeId, key: &[u8]) -> Result<bool> {
        let mut holds = false;
        self.find(tree, key, |_| holds = true)?;
        Ok(holds)
    }

    fn push(&self, key: &[u8], before: Option<&[u8]>) {
        if self.lost.get().is_some() {
            return;
        }
        let kind = if before.is_some() { REPLACED } else { ABSENT };
        self.run.push(RunEntry { key, value: before.unwrap_or_default(), kind, stamp: 0, command: 0 });
    }
}

/// What the store says of a key at a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// The row on the page is the snapshot's.
    Current,
    /// The snapshot has no row.
    Absent,
    /// The snapshot's value was appended to the caller's buffer.
    Value,
}

/// What nearly every commit changes, on a cache line of its own.
#[derive(Default)]
struct Totals {
    /// Versions and runs; above zero from before a page shows the first change.
    count: AtomicUsize,
    bytes: AtomicUsize,
}

/// See the module. Threads: any.
pub(super) struct VersionStore {
    hasher: foldhash::fast::RandomState,
    shards: Box<[CachePadded<Mutex<HashTable<Chain>>>]>,
    runs: RwLock<Vec<Run>>,
    batches: RwLock<Vec<Arc<Batch>>>,
    sorted_runs: SortedRuns,
    /// Runs and batches: above zero from before a page shows the first change that one speaks for.
    run_count: AtomicUsize,
    totals: CachePadded<Totals>,
    charged: Mutex<Reservation>,
    /// Bytes of `charged`, for a look without the lock.
    charged_bytes: AtomicUsize,
}

impl std::fmt::Debug for VersionStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VersionStore").field("count", &self.count()).field("bytes", &self.bytes()).finish()
    }
}

impl VersionStore {
    pub(super) fn new(memory: &Arc<MemoryAccount>, sorted_runs: &SortedRuns) -> VersionStore {
        VersionStore {
            hasher: foldhash::fast::RandomState::default(),
            shards: (0..SHARD_COUNT).map(|_| CachePadded::new(Mutex::new(HashTable::new()))).collect(),
            runs: RwLock::new(Vec::new()),
            batches: RwLock::new(Vec::new()),
            sorted_runs: sorted_runs.clone(),
            run_count: AtomicUsize::new(0),
            totals: CachePadded::default(),
            charged_bytes: AtomicUsize::new(0),
            charged: Mutex::new(memory.reservation()),
        }
    }

    /// Versions held now; a run counts once.
    pub(super) fn count(&self) -> usize {
        self.totals.count.load(Ordering::SeqCst)
    }

    /// Bytes of all versions, about.
    pub(super) fn bytes(&self) -> usize {
        self.totals.bytes.load(Ordering::Relaxed)
    }

    /// What `snapshot` sees of a key whose page holds something newer than the snapshot. To be asked **after**
    /// the page was copied, never before, and not under a latch.
    /// # Errors
    /// `72000`, `XX001` and I/O errors where it is in a temporary file.
    pub(super) fn resolve(
        &self,
        tree: TreeId,
        key: &[u8],
        snapshot: Lsn,
        value: &mut Vec<u8>,
    ) -> Result<Resolution> {
        if self.count() == 0 {
            return Ok(Resolution::Current);
        }
        let hash = self.hash(tree, key);
        let start = value.len();
        let mut oldest: Option<(Lsn, Resolution)> = None;
        let has_runs = self.run_count() > 0;
        let runs = has_runs.then(|| self.runs.read());
        let newer = |run: &&Run| run.timestamp > snapshot && run.holds(tree, key);
        for run in runs.iter().flat_map(|runs| runs.iter()).filter(newer) {
            if oldest.is_none_or(|(oldest, _)| run.timestamp < oldest) {
                oldest = Some((run.timestamp, Resolution::Absent));
            }
        }
        drop(runs);
        let batches = has_runs.then(|| self.batches.read());
        for batch in batches.iter().flat_map(|batches| batches.iter()) {
            if batch.timestamp <= snapshot || oldest.is_some_and(|(oldest, _)| batch.timestamp > oldest) {
                continue;
            }
            batch.find(tree, key, |before| {
                value.truncate(start);
                value.extend_from_slice(before.unwrap_or_default());
                let resolution = before.map_or(Resolution::Absent, |_| Resolution::Value);
                oldest = Some((batch.timestamp, resolution));
            })?;
        }
        drop(batches);
        let shard = self.shard(hash).lock();
        let chain = shard.find(hash, |chain| chain.tree == tree && chain.key.as_slice() == key);
        let version = chain.and_then(|chain| {
            let is_newer = |version: &&Version| version.timestamp > snapshot;
            if is_planted(PlantedFault::VersionSkipped) {
                return chain.versions.iter().rfind(is_newer);
            }
            chain.versions.iter().find(is_newer)
        });
        if let Some(version) = version
            && oldest.is_none_or(|(oldest, _)| version.timestamp <= oldest)
        {
            value.truncate(start);
            value.extend_from_slice(version.before.as_deref().unwrap_or_default());
            return Ok(version.before.as_ref().map_or(Resolution::Absent, |_| Resolution::Value));
        }
        Ok(oldest.map_or(Resolution::Current, |(_, resolution)| resolution))
    }

    /// Whether a commit newer than `snapshot` changed the key.
    /// # Errors
    /// As [`VersionStore::resolve`].
    pub(super) fn changed_since(&self, tree: TreeId, key: &[u8], snapshot: Lsn) -> Result<bool> {
        if self.run_count() > 0 {
            if self.runs.read().iter().any(|run| run.timestamp > snapshot && run.holds(tree, key)) {
                return Ok(true);
            }
            for batch in self.batches.read().iter().filter(|batch| batch.timestamp > snapshot) {
                if batch.holds(tree, key)? {
                    return Ok(true);
                }
            }
        }
        let hash = self.hash(tree, key);
        let shard = self.shard(hash).lock();
        let chain = shard.find(hash, |chain| chain.tree == tree && chain.key.as_slice() == key);
        let newest = chain.and_then(|chain| chain.versions.last());
        Ok(newest.is_some_and(|version| version.timestamp > snapshot))
    }

    /// Whether there was no row of the key at some moment after `snapshot`, though the snapshot sees one: it was deleted
    /// and added again.
    /// # Errors
    /// As [`VersionStore::resolve`].
    pub(super) fn was_absent_since(&self, tree: TreeId, key: &[u8], snapshot: Lsn) -> Result<bool> {
        let hash = self.hash(tree, key);
        let (mut first_change, mut last_absent): (Option<Lsn>, Option<Lsn>) = (None, None);
        let mut note = |timestamp: Lsn, replaced: bool| {
            if replaced {
                first_change = Some(first_change.map_or(timestamp, |first| first.min(timestamp)));
            } else {
                last_absent = last_absent.max(Some(timestamp));
            }
        };
        for run in self.runs.read().iter().filter(|run| run.holds(tree, key)) {
            note(run.timestamp, false);
        }
        for batch in self.batches.read().iter().filter(|batch| batch.timestamp > snapshot) {
            batch.find(tree, key, |before| note(batch.timestamp, before.is_some()))?;
        }
        let shard = self.shard(hash).lock();
        let chain = shard.find(hash, |chain| chain.tree == tree && chain.key.as_slice() == key);
        for version in chain.iter().flat_map(|chain| &chain.versions).filter(|one| one.timestamp > snapshot) {
            note(version.timestamp, version.before.is_some());
        }
        Ok(first_change.is_some() && last_absent > first_change)
    }

    /// Whether a commit after `after`, and none after `last`, added the key where it was not.
    /// # Errors
    /// As [`VersionStore::resolve`].
    pub(super) fn appeared_between(&self, tree: TreeId, key: &[u8], after: Lsn, last: Lsn) -> Result<bool> {
        let is_meant = |timestamp: Lsn| after < timestamp && timestamp <= last;
        if self.runs.read().iter().any(|run| is_meant(run.timestamp) && run.holds(tree, key)) {
            return Ok(true);
        }
        let mut appeared = false;
        for batch in self.batches.read().iter().filter(|batch| is_meant(batch.timestamp)) {
            batch.find(tree, key, |before| appeared |= before.is_none())?;
        }
        let hash = self.hash(tree, key);
        let shard = self.shard(hash).lock();
        let chain = shard.find(hash, |chain| chain.tree == tree && chain.key.as_slice() == key);
        let mut versions = chain.iter().flat_map(|chain| &chain.versions);
        Ok(appeared || versions.any(|one| is_meant(one.timestamp) && one.before.is_none()))
    }

    /// Declares that commit `timestamp` is about to add the keys from `first` to `last` and that none of them
    /// is in the tree.
    pub(super) fn add_run(&self, tree: TreeId, timestamp: Lsn, first: &[u8], last: &[u8]) {
        let run = Run { tree, timestamp, first: Key::from_slice(first), last: Key::from_slice(last) };
        self.totals.count.fetch_add(1, Ordering::SeqCst);
        self.run_count.fetch_add(1, Ordering::SeqCst);
        self.runs.write().push(run);
    }

    /// Makes a place for what commit `timestamp` is about to replace in a tree.
    pub(super) fn add_batch(&self, tree: TreeId, timestamp: Lsn) -> Arc<Batch> {
        let run = self.sorted_runs.plain();
        let (lost, counted) = (OnceLock::new(), AtomicUsize::new(0));
        let batch = Arc::new(Batch { tree, timestamp, run, lost, counted });
        self.totals.count.fetch_add(1, Ordering::SeqCst);
        self.run_count.fetch_add(1, Ordering::SeqCst);
        self.batches.write().push(Arc::clone(&batch));
        batch
    }

    /// Moves what a batch has in memory to a temporary file, if it is more than a little. Not under a latch. What cannot
    /// be written is lost: older snapshots that ask for it get 72000, the commit goes on.
    pub(super) fn flush_batch(&self, batch: &Batch) {
        if batch.lost.get().is_some() || batch.run.unwritten_bytes() < BATCH_BYTES_IN_MEMORY {
            return;
        }
        if let Err(error) = batch.run.flush() {
            // Looked at before the entries: whoever finds none sees that they are lost.
            let _first = batch.lost.set(error);
            batch.run.discard();
        }
        self.count_batch(batch);
    }

    /// Counts the bytes of a batch that is complete.
    pub(super) fn seal_batch(&self, batch: &Batch) {
        self.count_batch(batch);
    }

    fn count_batch(&self, batch: &Batch) {
        // What the run has charged itself is not charged again.
        let bytes = batch.run.unwritten_bytes();
        let before = batch.counted.swap(bytes, Ordering::Relaxed);
        self.add_bytes(bytes);
        self.remove_bytes(before);
    }

    /// How many runs and batches there are: more than a few make look-ups slow.
    pub(super) fn run_count(&self) -> usize {
        self.run_count.load(Ordering::SeqCst)
    }

    /// Drops the runs and batches of commits at or below `horizon`; they are published, so their batches are sealed.
    pub(super) fn drop_runs(&self, horizon: Lsn) {
        if self.run_count() == 0 {
            return;
        }
        let mut runs = self.runs.write();
        let before = runs.len();
        runs.retain(|run| run.timestamp > horizon);
        self.totals.count.fetch_sub(before - runs.len(), Ordering::SeqCst);
        self.run_count.fetch_sub(before - runs.len(), Ordering::SeqCst);
        drop(runs);
        let mut old = Vec::new();
        self.batches.write().retain(|batch| {
            if batch.timestamp <= horizon {
                old.push(Arc::clone(batch));
            }
            batch.timestamp > horizon
        });
        for batch in old {
            self.remove_bytes(batch.counted.load(Ordering::Relaxed));
            self.totals.count.fetch_sub(1, Ordering::SeqCst);
            self.run_count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Drops the versions of a key that commits at or below `horizon` made.
    pub(super) fn drop_key(&self, tree: TreeId, key: &[u8], horizon: Lsn) {
        let hash = self.hash(tree, key);
        let mut shard = self.shard(hash).lock();
        let Ok(mut found) = shard.find_entry(hash, |chain| chain.tree == tree && chain.key.as_slice() == key)
        else {
            return;
        };
        let chain = found.get_mut();
        let old = chain.versions.iter().take_while(|version| version.timestamp <= horizon).count();
        let bytes: usize =
            chain.versions.drain(..old).map(|version| version_bytes(chain.key.len(), &version)).sum();
        if chain.versions.is_empty() {
            found.remove();
            if shard.is_empty() && shard.allocation_size() > KEPT_BYTES {
                *shard = HashTable::new();
            }
        }
        drop(shard);
        self.totals.count.fetch_sub(old, Ordering::SeqCst);
        self.totals.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that are kept on behalf of versions.
    pub(super) fn add_bytes(&self, bytes: usize) {
        self.totals.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Undoes [`VersionStore::add_bytes`].
    pub(super) fn remove_bytes(&self, bytes: usize) {
        self.totals.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Brings the memory account in line with the bytes held. Not under a latch: it may reclaim.
    /// What cannot be charged is tried again next time: the versions exist and must stay.
    pub(super) fn settle(&self) {
        let is_settled = |bytes: usize, held: usize| bytes <= held && held <= bytes + 2 * CHARGE_STEP_BYTES;
        if is_settled(self.bytes(), self.charged_bytes.load(Ordering::Relaxed)) {
            return;
        }
        let Some(mut charged) = self.charged.try_lock() else { return };
        let bytes = self.bytes();
        if !is_settled(bytes, charged.bytes()) {
            let wanted = bytes.next_multiple_of(CHARGE_STEP_BYTES);
            // An error leaves the charge as it was; see above.
            let _uncharged = charged.resize(wanted);
            self.charged_bytes.store(charged.bytes(), Ordering::Relaxed);
        }
    }

    fn hash(&self, tree: TreeId, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(tree.0);
        hasher.write(key);
        hasher.finish()
    }

    fn shard(&self, hash: u64) -> &Mutex<HashTable<Chain>> {
        &self.shards[(hash >> 40) as usize % SHARD_COUNT]
    }

    fn add(&self, tree: TreeId, key: &[u8], timestamp: Lsn, before: Option<&[u8]>) {
        let version = Version { timestamp, before: before.map(Box::from) };
        let bytes = version_bytes(key.len(), &version);
        let hash = self.hash(tree, key);
        self.totals.count.fetch_add(1, Ordering::SeqCst);
        self.totals.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut shard = self.shard(hash).lock();
        match shard.find_mut(hash, |chain| chain.tree == tree && chain.key.as_slice() == key) {
            Some(chain) => {
                let newest = chain.versions.last().map_or(Lsn::ZERO, |version| version.timestamp);
                // Counters are raised without a lock, so that commits apply them in any order: what is there says what
                // was before both. They are read as they are, never as of a snapshot.
                assert!(
                    newest <= timestamp || tree == COUNTER_TREE,
                    "versions of a key are added in commit order"
                );
                // A commit changes a key once; were it twice, the first entry holds what was there before it.
                if newest < timestamp {
                    chain.versions.push(version);
                } else {
                    drop(shard);
                    self.totals.count.fetch_sub(1, Ordering::SeqCst);
                    self.totals.bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
            }
            None => {
                let chain =
                    Chain { tree, key: Key::from_slice(key), versions: SmallVec::from_iter([version]) };
                shard.insert_unique(hash, chain, |chain| self.hash(chain.tree, &chain.key));
            }
        }
    }
}

fn version_bytes(key_len: usize, version: &Version) -> usize {
    ENTRY_BYTES + key_len + version.before.as_ref().map_or(0, |before| before.len())
}

/// A run of one commit: tree, first and last key.
pub(super) type DeclaredRun = (TreeId, Key, Key);

/// Whether a run from `first` to `last` speaks for the key. No key is empty: with an empty end it speaks for all of the
/// tree, which was empty.
fn is_between(first: &[u8], last: &[u8], key: &[u8]) -> bool {
    first.is_empty() || (first.len() == key.len() && first <= key && key <= last)
}

/// Whether the commit fills the whole tree, which was empty: whatever else it does there, nobody older sees any of it.
fn is_filled(runs: &[DeclaredRun], tree: TreeId) -> bool {
    runs.iter().any(|(run_tree, first, _)| *run_tree == tree && first.is_empty())
}

/// Whether one of `runs` speaks for the key.
pub(super) fn is_declared(runs: &[DeclaredRun], tree: TreeId, key: &[u8]) -> bool {
    runs.iter().any(|(run_tree, first, last)| *run_tree == tree && is_between(first, last, key))
}

/// The sink of one commit: skips what its runs speak for, and fills its batches.
pub(super) struct CommitSink<'a> {
    store: &'a VersionStore,
    /// Runs declared for this commit: tree, first and last key.
    runs: &'a [DeclaredRun],
    batches: &'a [Arc<Batch>],
    /// Versions that are kept by key.
    kept_by_key: Cell<usize>,
}

impl<'a> CommitSink<'a> {
    /// `runs` were all handed to [`VersionStore::add_run`] with the commit's timestamp, and `batches` came from
    /// [`VersionStore::add_batch`].
    pub(super) fn new(
        store: &'a VersionStore,
        runs: &'a [DeclaredRun],
        batches: &'a [Arc<Batch>],
    ) -> CommitSink<'a> {
        CommitSink { store, runs, batches, kept_by_key: Cell::new(0) }
    }

    /// Whether a declared run speaks for the key, so that adding it needs no version.
    pub(super) fn skips(&self, tree: TreeId, key: &[u8]) -> bool {
        is_declared(self.runs, tree, key)
    }

    /// Whether one declared run speaks for two keys of one length, and so for all of that length between them.
    pub(super) fn skips_all(&self, tree: TreeId, first: &[u8], last: &[u8]) -> bool {
        self.runs.iter().any(|run| {
            let run = std::slice::from_ref(run);
            is_declared(run, tree, first) && is_declared(run, tree, last)
        })
    }

    /// The batch of a tree.
    pub(super) fn batch(&self, tree: TreeId) -> Option<&'a Batch> {
        self.batches.iter().find(|batch| batch.tree == tree).map(|batch| &**batch)
    }

    /// Versions so far that are neither in a run nor in a batch.
    pub(super) fn kept_by_key(&self) -> usize {
        self.kept_by_key.get()
    }
}

impl VersionSink for CommitSink<'_> {
    fn replaced(&self, tree: TreeId, key: &[u8], timestamp: Lsn, before: Before<'_>) {
        let before = match before {
            Before::Value(_) if is_filled(self.runs, tree) => return,
            Before::Value(value) => Some(value),
            Before::Absent if is_declared(self.runs, tree, key) => return,
            Before::Absent => None,
        };
        if let Some(batch) = self.batches.iter().find(|batch| batch.tree == tree) {
            return batch.push(key, before);
        }
        self.kept_by_key.set(self.kept_by_key.get() + 1);
        self.store.add(tree, key, timestamp, before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: TreeId = TreeId(20);

    fn store() -> VersionStore {
        store_of(&MemoryAccount::new(1 << 20))
    }

    fn store_of(memory: &Arc<MemoryAccount>) -> VersionStore {
        VersionStore::new(memory, &SortedRuns::in_memory(memory))
    }

    fn read(store: &VersionStore, key: &[u8], snapshot: u64) -> (Resolution, Vec<u8>) {
        let mut value = Vec::new();
        (store.resolve(TREE, key, Lsn(snapshot), &mut value).unwrap(), value)
    }

    #[test]
    fn a_snapshot_gets_what_the_oldest_newer_commit_replaced() {
        let store = store();
        store.add(TREE, b"k", Lsn(10), None);
        store.add(TREE, b"k", Lsn(20), Some(b"a"));
        store.add(TREE, b"k", Lsn(30), Some(b"b"));
        assert_eq!(read(&store, b"k", 9), (Resolution::Absent, vec![]));
        assert_eq!(read(&store, b"k", 10), (Resolution::Value, b"a".to_vec()));
        assert_eq!(read(&store, b"k", 25), (Resolution::Value, b"b".to_vec()));
        assert_eq!(read(&store, b"k", 30), (Resolution::Current, vec![]));
        assert_eq!(read(&store, b"other", 9), (Resolution::Current, vec![]));
        assert!(store.changed_since(TREE, b"k", Lsn(29)).unwrap());
        assert!(!store.changed_since(TREE, b"k", Lsn(30)).unwrap());
    }

    #[test]
    fn versions_go_at_the_horizon_and_not_before() {
        let store = store();
        store.add(TREE, b"k", Lsn(10), Some(b"a"));
        store.add(TREE, b"k", Lsn(20), Some(b"b"));
        store.drop_key(TREE, b"k", Lsn(9));
        assert_eq!(store.count(), 2);
        store.drop_key(TREE, b"k", Lsn(10));
        assert_eq!(read(&store, b"k", 10), (Resolution::Value, b"b".to_vec()));
        store.drop_key(TREE, b"k", Lsn(20));
        assert_eq!((store.count(), store.bytes()), (0, 0));
    }

    #[test]
    fn a_run_speaks_for_its_keys_until_a_later_commit_and_for_no_others() {
        let store = store();
        let key = |number: u64| number.to_be_bytes();
        store.add_run(TREE, Lsn(10), &key(5), &key(9));
        let runs = [(TREE, Key::from_slice(&key(5)), Key::from_slice(&key(9)))];
        let sink = CommitSink::new(&store, &runs, &[]);
        sink.replaced(TREE, &key(7), Lsn(10), Before::Absent);
        assert_eq!(store.count(), 1);
        sink.replaced(TREE, &key(70), Lsn(10), Before::Absent);
        assert_eq!(store.count(), 2);
        store.add(TREE, &key(7), Lsn(20), Some(b"first"));
        assert_eq!(read(&store, &key(7), 9).0, Resolution::Absent);
        assert_eq!(read(&store, &key(7), 10), (Resolution::Value, b"first".to_vec()));
        assert_eq!(read(&store, &key(10), 9).0, Resolution::Current);
        assert_eq!(read(&store, &key(7)[..7], 9).0, Resolution::Current);
        assert!(store.changed_since(TREE, &key(6), Lsn(9)).unwrap());
        store.drop_runs(Lsn(10));
        assert_eq!(read(&store, &key(6), 9).0, Resolution::Current);
    }

    #[test]
    fn memory_is_charged_when_settled_and_given_back() {
        let account = MemoryAccount::new(1 << 20);
        let store = store_of(&account);
        for key in 0..1000u32 {
            store.add(TREE, &key.to_be_bytes(), Lsn(5), Some(&[0; 100]));
        }
        store.settle();
        assert!(account.used() >= store.bytes() && store.bytes() > 100_000);
        for key in 0..1000u32 {
            store.drop_key(TREE, &key.to_be_bytes(), Lsn(5));
        }
        store.settle();
        assert_eq!(account.used(), 0);
    }
}

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
use crate::common::sync::atomic::{AtomicUsize, Ordering};
use crate::common::sync::{Arc, Mutex, RwLock};
use crate::storage::{Before, VersionSink};
use crossbeam::utils::CachePadded;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::cell::Cell;
use std::hash::{BuildHasher, Hasher};

const SHARD_COUNT: usize = 64;
/// The account is adjusted in steps of this many bytes.
const CHARGE_STEP_BYTES: usize = 64 << 10;
/// Bytes of an entry besides its key and value: hash table slot, chain, version.
pub(super) const ENTRY_BYTES: usize = 96;
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
        self.tree == tree
            && self.first.len() == key.len()
            && self.first.as_slice() <= key
            && key <= self.last.as_slice()
    }
}

/// Keys that one commit added to a tree, when there are many: in key order, one after the other, without a hash table.
/// It fills while the commit applies; a key is here before its page shows it.
#[derive(Debug)]
pub(super) struct Batch {
    tree: TreeId,
    timestamp: Lsn,
    keys: Mutex<BatchKeys>,
}

#[derive(Debug, Default)]
struct BatchKeys {
    bytes: Vec<u8>,
    /// Where each key ends.
    ends: Vec<usize>,
}

impl BatchKeys {
    fn key(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    fn holds(&self, key: &[u8]) -> bool {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low < self.ends.len() && self.key(low) == key
    }
}

impl Batch {
    fn holds(&self, tree: TreeId, key: &[u8]) -> bool {
        self.tree == tree && self.keys.lock().holds(key)
    }

    fn bytes(&self) -> usize {
        let keys = self.keys.lock();
        keys.bytes.capacity() + keys.ends.capacity() * size_of::<usize>()
    }

    fn push(&self, key: &[u8]) {
        let mut keys = self.keys.lock();
        assert!(
            keys.ends.is_empty() || keys.key(keys.ends.len() - 1) < key,
            "a commit changes the keys of a tree in ascending order"
        );
        keys.bytes.extend_from_slice(key);
        let end = keys.bytes.len();
        keys.ends.push(end);
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

/// See the module. Threads: any.
pub(super) struct VersionStore {
    hasher: foldhash::fast::RandomState,
    shards: Box<[CachePadded<Mutex<HashTable<Chain>>>]>,
    runs: RwLock<Vec<Run>>,
    batches: RwLock<Vec<Arc<Batch>>>,
    /// Versions and runs; above zero from before a page shows the first change.
    count: AtomicUsize,
    bytes: AtomicUsize,
    charged: Mutex<Reservation>,
}

impl std::fmt::Debug for VersionStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VersionStore").field("count", &self.count()).field("bytes", &self.bytes()).finish()
    }
}

impl VersionStore {
    pub(super) fn new(memory: &Arc<MemoryAccount>) -> VersionStore {
        VersionStore {
            hasher: foldhash::fast::RandomState::default(),
            shards: (0..SHARD_COUNT).map(|_| CachePadded::new(Mutex::new(HashTable::new()))).collect(),
            runs: RwLock::new(Vec::new()),
            batches: RwLock::new(Vec::new()),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            charged: Mutex::new(memory.reservation()),
        }
    }

    /// Versions held now; a run counts once.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Bytes of all versions, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What `snapshot` sees of a key whose page holds something newer than the snapshot. To be asked **after**
    /// the page was copied, never before.
    pub(super) fn resolve(&self, tree: TreeId, key: &[u8], snapshot: Lsn, value: &mut Vec<u8>) -> Resolution {
        if self.count() == 0 {
            return Resolution::Current;
        }
        let hash = self.hash(tree, key);
        let mut oldest_run: Option<Lsn> = None;
        let runs = self.runs.read();
        for run in runs.iter().filter(|run| run.timestamp > snapshot && run.holds(tree, key)) {
            oldest_run = Some(oldest_run.map_or(run.timestamp, |oldest| oldest.min(run.timestamp)));
        }
        drop(runs);
        for batch in self.batches.read().iter() {
            let is_older = oldest_run.is_none_or(|oldest| batch.timestamp < oldest);
            if batch.timestamp > snapshot && is_older && batch.holds(tree, key) {
                oldest_run = Some(batch.timestamp);
            }
        }
        let shard = self.shard(hash).lock();
        let chain = shard.find(hash, |chain| chain.tree == tree && chain.key.as_slice() == key);
        let version =
            chain.and_then(|chain| chain.versions.iter().find(|version| version.timestamp > snapshot));
        match (version, oldest_run) {
            (None, None) => Resolution::Current,
            (Some(version), run) if run.is_none_or(|run| version.timestamp <= run) => match &version.before {
                Some(before) => {
                    value.extend_from_slice(before);
                    Resolution::Value
                }
                None => Resolution::Absent,
            },
            _ => Resolution::Absent,
        }
    }

    /// Whether a commit newer than `snapshot` changed the key.
    pub(super) fn changed_since(&self, tree: TreeId, key: &[u8], snapshot: Lsn) -> bool {
        let in_run = self.runs.read().iter().any(|run| run.timestamp > snapshot && run.holds(tree, key));
        let is_newer = |batch: &&Arc<Batch>| batch.timestamp > snapshot;
        let in_batch = || self.batches.read().iter().filter(is_newer).any(|batch| batch.holds(tree, key));
        let hash = self.hash(tree, key);
        in_run
            || in_batch()
            || self
                .shard(hash)
                .lock()
                .find(hash, |chain| chain.tree == tree && chain.key.as_slice() == key)
                .is_some_and(|chain| {
                    chain.versions.last().is_some_and(|version| version.timestamp > snapshot)
                })
    }

    /// Whether there was no row of the key at some moment after `snapshot`, though the snapshot sees one: it was deleted
    /// and added again.
    pub(super) fn was_absent_since(&self, tree: TreeId, key: &[u8], snapshot: Lsn) -> bool {
        let hash = self.hash(tree, key);
        let (mut first_change, mut last_absent) = (None, None);
        let in_runs =
            self.runs.read().iter().filter(|run| run.holds(tree, key)).map(|run| run.timestamp).max();
        let batches = self.batches.read();
        let in_batches =
            batches.iter().filter(|batch| batch.holds(tree, key)).map(|batch| batch.timestamp).max();
        drop(batches);
        last_absent = last_absent.max(in_runs).max(in_batches);
        let shard = self.shard(hash).lock();
        let chain = shard.find(hash, |chain| chain.tree == tree && chain.key.as_slice() == key);
        for version in chain.iter().flat_map(|chain| &chain.versions).filter(|one| one.timestamp > snapshot) {
            match version.before {
                Some(_) => first_change = first_change.or(Some(version.timestamp)),
                None => last_absent = last_absent.max(Some(version.timestamp)),
            }
        }
        first_change.is_some() && last_absent > first_change
    }

    /// Declares that commit `timestamp` is about to add the keys from `first` to `last` and that none of them
    /// is in the tree.
    pub(super) fn add_run(&self, tree: TreeId, timestamp: Lsn, first: &[u8], last: &[u8]) {
        let run = Run { tree, timestamp, first: Key::from_slice(first), last: Key::from_slice(last) };
        self.count.fetch_add(1, Ordering::SeqCst);
        self.runs.write().push(run);
    }

    /// Makes room for the keys that commit `timestamp` is about to add to a tree, `keys` of them, about.
    pub(super) fn add_batch(&self, tree: TreeId, timestamp: Lsn, keys: usize) -> Arc<Batch> {
        let places = BatchKeys { bytes: Vec::new(), ends: Vec::with_capacity(keys) };
        let batch = Arc::new(Batch { tree, timestamp, keys: Mutex::new(places) });
        self.count.fetch_add(1, Ordering::SeqCst);
        self.batches.write().push(Arc::clone(&batch));
        batch
    }

    /// Counts the bytes of a batch that is complete.
    pub(super) fn seal_batch(&self, batch: &Batch) {
        self.add_bytes(batch.bytes());
    }

    /// How many runs and batches there are: more than a few make look-ups slow.
    pub(super) fn run_count(&self) -> usize {
        self.runs.read().len() + self.batches.read().len()
    }

    /// Drops the runs and batches of commits at or below `horizon`; they are published, so their batches are sealed.
    pub(super) fn drop_runs(&self, horizon: Lsn) {
        if self.run_count() == 0 {
            return;
        }
        let mut runs = self.runs.write();
        let before = runs.len();
        runs.retain(|run| run.timestamp > horizon);
        self.count.fetch_sub(before - runs.len(), Ordering::SeqCst);
        drop(runs);
        let mut old = Vec::new();
        self.batches.write().retain(|batch| {
            if batch.timestamp <= horizon {
                old.push(Arc::clone(batch));
            }
            batch.timestamp > horizon
        });
        for batch in old {
            self.remove_bytes(batch.bytes());
            self.count.fetch_sub(1, Ordering::SeqCst);
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
        self.count.fetch_sub(old, Ordering::SeqCst);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that are kept on behalf of versions.
    pub(super) fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Undoes [`VersionStore::add_bytes`].
    pub(super) fn remove_bytes(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Brings the memory account in line with the bytes held. Not under a latch: it may reclaim.
    /// What cannot be charged is tried again next time: the versions exist and must stay.
    pub(super) fn settle(&self) {
        let bytes = self.bytes();
        let Some(mut charged) = self.charged.try_lock() else { return };
        let held = charged.bytes();
        if bytes > held || held > bytes + 2 * CHARGE_STEP_BYTES {
            let wanted = bytes.next_multiple_of(CHARGE_STEP_BYTES);
            // An error leaves the charge as it was; see above.
            let _uncharged = charged.resize(wanted);
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
        self.count.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
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
                    self.count.fetch_sub(1, Ordering::SeqCst);
                    self.bytes.fetch_sub(bytes, Ordering::Relaxed);
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

/// Whether one of `runs` speaks for the key.
pub(super) fn is_declared(runs: &[DeclaredRun], tree: TreeId, key: &[u8]) -> bool {
    runs.iter().any(|(run_tree, first, last)| {
        *run_tree == tree && first.len() == key.len() && first.as_slice() <= key && key <= last.as_slice()
    })
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

    /// Versions so far that are neither in a run nor in a batch.
    pub(super) fn kept_by_key(&self) -> usize {
        self.kept_by_key.get()
    }
}

impl VersionSink for CommitSink<'_> {
    fn replaced(&self, tree: TreeId, key: &[u8], timestamp: Lsn, before: Before<'_>) {
        let before = match before {
            Before::Value(value) => Some(value),
            Before::Absent => {
                if is_declared(self.runs, tree, key) {
                    return;
                }
                if let Some(batch) = self.batches.iter().find(|batch| batch.tree == tree) {
                    return batch.push(key);
                }
                None
            }
        };
        self.kept_by_key.set(self.kept_by_key.get() + 1);
        self.store.add(tree, key, timestamp, before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: TreeId = TreeId(20);

    fn store() -> VersionStore {
        VersionStore::new(&MemoryAccount::new(1 << 20))
    }

    fn read(store: &VersionStore, key: &[u8], snapshot: u64) -> (Resolution, Vec<u8>) {
        let mut value = Vec::new();
        (store.resolve(TREE, key, Lsn(snapshot), &mut value), value)
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
        assert!(store.changed_since(TREE, b"k", Lsn(29)));
        assert!(!store.changed_since(TREE, b"k", Lsn(30)));
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
        assert!(store.changed_since(TREE, &key(6), Lsn(9)));
        store.drop_runs(Lsn(10));
        assert_eq!(read(&store, &key(6), 9).0, Resolution::Current);
    }

    #[test]
    fn memory_is_charged_when_settled_and_given_back() {
        let account = MemoryAccount::new(1 << 20);
        let store = VersionStore::new(&account);
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

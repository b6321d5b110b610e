//! What recent commits wrote, for as long as a serializable transaction may have to compare it with what it read.
//! Knows trees, keys and timestamps. Knows nothing of pages, locks or statements.
//!
//! ```text
//!  commits:     … 40   50   60   70 …                      kept: those above the oldest reader's snapshot
//!  reader:           S=45 ───── reads ───── commits at 75  compares its reads with 50, 60 and 70
//! ```
//! While nobody is serializable nothing is kept, and a commit pays for one look at a flag. The flag changes only
//! under the commit mutex. A commit that saw it down may be published after the first reader's snapshot was
//! taken: its timestamp is at most `complete_above`, and a reader waits until everything up to there is published before
//! it takes its snapshot.
//!
//! Waiting order: commit mutex > the state's.

use crate::common::ids::{COUNTER_TREE, Lsn, TreeId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::common::sync::{Arc, Mutex};
use crate::error::{Error, Result, SqlState};
use crate::storage::bulk::BuiltTree;
use crate::transaction::key_ranges::{KeyRange, SortedRanges};
use crate::transaction::links::Links;
use crate::transaction::manager::TransactionManager;
use crate::transaction::read_set::ReadSet;
use crate::transaction::snapshot::SnapshotSlot;
use crate::transaction::tree_commit::TreeCommit;
use crate::transaction::types::Parts;
use crate::transaction::write_set::WriteSet;
use crate::wal::entry::Operation;
use smallvec::SmallVec;
use std::collections::{BTreeMap, VecDeque};

/// Ranges that are kept of one commit and tree.
const RANGES_MAX: usize = 1024;
/// Kinds of changes that are kept apart of one commit and tree; the others count as changes of everything.
const KINDS_MAX: usize = 4;
/// Commits may take this share of the memory limit, and at least so many bytes.
const MEMORY_SHARE: usize = 64;
const BYTES_MIN: usize = 64 << 10;
/// After so many commits that nobody asked for, no more are kept.
const UNASKED_MAX: u32 = 256;
/// Commits that are compared between two looks at the list.
const COMPARED_AT_ONCE: usize = 32;

/// What was written to a tree: the parts of the values that were changed, and where.
type Written = (TreeId, Parts, SortedRanges);

/// What one commit wrote.
#[derive(Debug)]
pub(super) struct Footprint {
    /// A tree comes once for each kind of change.
    written: SmallVec<[Written; 2]>,
    bytes: usize,
    _memory: Reservation,
}

impl Footprint {
    /// What a write set will have written. Without memory it is whole trees.
    pub(super) fn new(writes: &WriteSet, links: &Links, memory: &Arc<MemoryAccount>) -> Arc<Footprint> {
        let mut written: SmallVec<[Written; 2]> = SmallVec::new();
        for tree in writes.trees().filter(|tree| tree.tree() != COUNTER_TREE) {
            if links.find(tree.tree()).is_some() {
                written.push(whole(tree.tree()));
            } else {
                add_written(&mut written, writes, tree);
            }
        }
        for built in links.of_existing_trees(writes) {
            if written.iter().all(|(tree, ..)| *tree != built.id()) {
                written.push(whole(built.id()));
            }
        }
        let mut reservation = memory.reservation();
        let bytes_of = |written: &[Written]| {
            let ranges: usize = written.iter().map(|(.., ranges)| ranges.bytes()).sum();
            size_of::<Footprint>() + size_of_val(written) + ranges
        };
        let mut bytes = bytes_of(&written);
        if reservation.grow(bytes).is_err() {
            written.iter_mut().for_each(|(.., ranges)| *ranges = SortedRanges::whole());
            bytes = bytes_of(&written);
        }
        Arc::new(Footprint { written, bytes, _memory: reservation })
    }

    /// Whole trees, without asking for memory: for where it cannot be waited for.
    pub(super) fn coarse(writes: &WriteSet, links: &Links, memory: &Arc<MemoryAccount>) -> Arc<Footprint> {
        let trees = writes.trees().map(|tree| tree.tree());
        let trees = trees.chain(links.of_existing_trees(writes).map(BuiltTree::id));
        let written: SmallVec<_> = trees.map(whole).collect();
        Arc::new(Footprint { written, bytes: size_of::<Footprint>(), _memory: memory.reservation() })
    }

    /// What a commit that changes parts of one key writes.
    #[cfg(test)]
    pub(super) fn of_key(
        memory: &Arc<MemoryAccount>,
        tree: TreeId,
        key: &[u8],
        parts: Parts,
    ) -> Arc<Footprint> {
        let mut ranges = SortedRanges::default();
        ranges.push(KeyRange::between(key, key), RANGES_MAX);
        let written = SmallVec::from_iter([(tree, parts, ranges)]);
        Arc::new(Footprint { written, bytes: size_of::<Footprint>(), _memory: memory.reservation() })
    }

    /// Trees, changed parts, and the keys that they were changed of.
    pub(super) fn written(&self) -> impl Iterator<Item = (TreeId, Parts, &SortedRanges)> {
        self.written.iter().map(|(tree, parts, ranges)| (*tree, *parts, ranges))
    }
}

fn whole(tree: TreeId) -> Written {
    (tree, Parts::ALL, SortedRanges::whole())
}

/// Adds what is written to a tree.
fn add_written(written: &mut SmallVec<[Written; 2]>, writes: &WriteSet, tree: TreeCommit<'_>) {
    let id = tree.tree();
    if tree.is_dropped() || tree.is_created() {
        written.push(whole(id));
        return;
    }
    let first_kind = written.len();
    // In key order, so those of each kind are too.
    let mut add = |parts: Parts, range: KeyRange| {
        if parts == Parts::NONE {
            return;
        }
        let kinds = &written[first_kind..];
        let known = |parts: Parts| kinds.iter().position(|(_, known, _)| *known == parts);
        let (parts, place) = match known(parts) {
            None if kinds.len() >= KINDS_MAX => (Parts::ALL, known(Parts::ALL)),
            place => (parts, place),
        };
        let place = first_kind + place.unwrap_or(kinds.len());
        if place == written.len() {
            written.push((id, parts, SortedRanges::default()));
        }
        written[place].2.push(range, RANGES_MAX);
    };
    if tree.is_spilled() {
        if let Some((_, first, last)) = writes.spilled_tree(id) {
            add(Parts::ALL, KeyRange::between(&first, &last));
        }
        return;
    }
    for operation in tree.operations() {
        if let Operation::Put { key, .. } | Operation::Delete { key, .. } | Operation::Or { key, .. } =
            operation
        {
            add(tree.changed_parts(key), KeyRange::between(key, key));
        }
    }
    if let Some(rows) = tree.appended() {
        let (first, last) = rows.keys();
        add(Parts::ALL, KeyRange::between(&first, &last));
    }
}

/// A serializable transaction that may write: what it read, and which commits that was compared with.
#[derive(Debug)]
pub(super) struct SerializableReads {
    pub(super) reads: ReadSet,
    /// Its place among the readers, once it has a snapshot.
    place: Option<(Lsn, u64)>,
    /// What it needs is not kept any more.
    is_given_up: Arc<AtomicBool>,
    /// Commits up to here do not concern it.
    compared: Lsn,
}

impl SerializableReads {
    pub(super) fn new(memory: &Arc<MemoryAccount>) -> SerializableReads {
        SerializableReads {
            reads: ReadSet::new(memory),
            place: None,
            is_given_up: Arc::default(),
            compared: Lsn::ZERO,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// By a lower bound of their snapshots.
    readers: BTreeMap<(Lsn, u64), Arc<AtomicBool>>,
    /// By timestamp.
    commits: VecDeque<(Lsn, Arc<Footprint>)>,
    bytes: usize,
    /// Commits since the last reader.
    unasked: u32,
}

/// Footprints that are not needed any more; to be dropped outside of locks.
type Dropped = SmallVec<[Arc<Footprint>; 4]>;

impl State {
    /// Takes out what no reader needs, now or later.
    fn take_old(&mut self, visible: Lsn) -> Dropped {
        let oldest = self.readers.first_key_value().map_or(visible, |((from, _), _)| *from);
        let mut dropped = Dropped::new();
        while self.commits.front().is_some_and(|(timestamp, _)| *timestamp <= oldest) {
            let Some((_, footprint)) = self.commits.pop_front() else { break };
            self.bytes -= footprint.bytes;
            dropped.push(footprint);
        }
        dropped
    }
}

/// See the module. Threads: any.
#[derive(Debug)]
pub(super) struct CommitHistory {
    is_recording: AtomicBool,
    /// While recording: commits above are in the list unless no reader needs them.
    complete_above: AtomicU64,
    state: Mutex<State>,
    next_reader: AtomicU64,
    bytes_max: AtomicUsize,
}

impl CommitHistory {
    pub(super) fn new(memory: &MemoryAccount) -> CommitHistory {
        CommitHistory {
            is_recording: AtomicBool::new(false),
            complete_above: AtomicU64::new(0),
            state: Mutex::default(),
            next_reader: AtomicU64::new(0),
            bytes_max: AtomicUsize::new((memory.limit() / MEMORY_SHARE).max(BYTES_MIN)),
        }
    }

    #[cfg(test)]
    pub(super) fn set_bytes_max(&self, bytes: usize) {
        self.bytes_max.store(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state.lock().commits.len()
    }

    /// Whether commits are to be kept. Final only under the commit mutex.
    #[inline]
    pub(super) fn is_recording(&self) -> bool {
        self.is_recording.load(Ordering::Acquire)
    }

    /// Adds a commit; under the commit mutex, in the order of timestamps. What it gives is to be dropped after it.
    pub(super) fn push(&self, timestamp: Lsn, footprint: Arc<Footprint>, visible: Lsn) -> Dropped {
        let mut state = self.state.lock();
        state.bytes += footprint.bytes;
        state.commits.push_back((timestamp, footprint));
        if state.readers.is_empty() {
            state.unasked += 1;
            if state.unasked > UNASKED_MAX {
                // The next reader begins anew, under the commit mutex.
                self.is_recording.store(false, Ordering::Release);
                state.bytes = 0;
                return state.commits.drain(..).map(|(_, footprint)| footprint).collect();
            }
            return state.take_old(visible);
        }
        let bytes_max = self.bytes_max.load(Ordering::Relaxed);
        let mut dropped = Dropped::new();
        while state.bytes > bytes_max
            && let Some((_, is_given_up)) = state.readers.pop_first()
        {
            is_given_up.store(true, Ordering::Release);
            dropped.extend(state.take_old(visible));
        }
        dropped
    }

    /// Forgets a reader.
    fn leave(&self, place: (Lsn, u64), visible: Lsn) {
        let mut state = self.state.lock();
        let was_oldest = state.readers.first_key_value().is_some_and(|(oldest, _)| *oldest == place);
        state.readers.remove(&place);
        let dropped = if was_oldest { state.take_old(visible) } else { Dropped::new() };
        drop(state);
        drop(dropped);
    }

    /// Compares what was read with the commits that were not compared yet.
    /// # Errors
    /// `40001`: one of them changed something that was read, or what it changed is not known any more.
    pub(super) fn compare(&self, reader: &mut SerializableReads) -> Result<()> {
        loop {
            let mut newer: SmallVec<[(Lsn, Arc<Footprint>); COMPARED_AT_ONCE]> = SmallVec::new();
            {
                let state = self.state.lock();
                if reader.is_given_up.load(Ordering::Acquire) {
                    return Err(given_up());
                }
                let from = state.commits.partition_point(|(timestamp, _)| *timestamp <= reader.compared);
                newer.extend(state.commits.range(from..).take(COMPARED_AT_ONCE).cloned());
            }
            let Some((last, _)) = newer.last() else { return Ok(()) };
            reader.compared = *last;
            if newer.iter().any(|(_, footprint)| reader.reads.meets(footprint)) {
                return Err(read_write_conflict());
            }
        }
    }
}

impl TransactionManager {
    /// Takes the snapshot of a serializable transaction, such that every commit that it does not see will be known when it
    /// commits.
    pub(super) fn take_serializable_snapshot(
        &self,
        slot: &SnapshotSlot,
        reader: &mut SerializableReads,
    ) -> Lsn {
        let history = &self.history;
        let number = history.next_reader.fetch_add(1, Ordering::Relaxed);
        let is_recording = {
            let mut state = history.state.lock();
            let place = (self.snapshots.visible(), number);
            state.readers.insert(place, Arc::clone(&reader.is_given_up));
            state.unasked = 0;
            reader.place = Some(place);
            history.is_recording()
        };
        if !is_recording {
            let _order = self.commit_mutex.lock();
            // Whoever comes second finds it done; with a reader there it stays so.
            if !history.is_recording() {
                let last = self.publish.last_joined(&self.snapshots);
                history.complete_above.store(last.0, Ordering::Release);
                history.is_recording.store(true, Ordering::Release);
            }
        }
        let complete_above = Lsn(history.complete_above.load(Ordering::Acquire));
        let mut snapshot = self.snapshots.take(slot);
        if snapshot < complete_above {
            slot.release();
            // Of a stopped database nothing is committed any more, whatever the snapshot.
            self.publish.wait(complete_above, &self.snapshots, || self.poisoned().is_some());
            snapshot = self.snapshots.take(slot);
        }
        reader.compared = snapshot;
        snapshot
    }

    /// The transaction is over.
    pub(super) fn leave_serializable(&self, reader: &SerializableReads) {
        if let Some(place) = reader.place {
            self.history.leave(place, self.snapshots.visible());
        }
    }
}

/// The error of a transaction whose reads were overwritten.
pub(super) fn read_write_conflict() -> Error {
    Error::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to read/write dependencies among transactions",
    )
    .detail("A transaction that committed after this one's snapshot changed what this one read.")
    .hint("The transaction might succeed if retried.")
}

fn given_up() -> Error {
    Error::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to read/write dependencies among transactions",
    )
    .detail("What was committed since its snapshot is more than there is room for.")
    .hint("The transaction might succeed if retried.")
}

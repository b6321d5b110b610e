//! Commit: from a private write set to a published, durable state.
//! Knows write sets, the log, storage and versions. Knows nothing of isolation levels or statements.
//!
//! ```text
//!  1 look at everything that can be refused: trees, space, memory         an error here: nothing happened
//!    serializable: compare what was read with what was committed since   (the newest only under the mutex of 3)
//!  2 encode; a large set streams its first parts as CHUNK frames          (chunks without COMMIT count nothing)
//!  3 enter the apply gate, then the commit mutex: append, join the publish queue
//!  ───────────────────────── from here on only I/O errors, and nothing is cancelled ─────────────────────────
//!  4 apply to pages; what is replaced goes to the version store            ┐ an error here poisons the
//!  5 wait until durable                                                    │ manager: the frame is in the
//!  6 publish, in LSN order                                                 ┘ log, its outcome unknown: 08007
//!  7 release locks (the caller); then drop own versions and ghosts, or leave them to the garbage queue
//! ```
//!
//! The gate is entered before the mutex: a commit that streams chunks holds its ticket from the first chunk on
//! and needs the mutex later, so nobody may wait for the gate inside the mutex.
//!
//! A small commit that does not wait for the disk keeps the mutex from 3 to 6, if all before it are published by then:
//! it takes less time than putting those to sleep, and waking them, who would wait for its publication otherwise. It
//! enters the gate inside the mutex, where it does not wait for it.

use crate::common::cancel::CancelToken;
use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::memory::Reservation;
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::durability::policy::Durability;
use crate::error::{Error, Result};
use crate::storage::{ApplyReservation, ApplyTicket, Change, Tree};
use crate::transaction::append_run::AppendRun;
use crate::transaction::commit_history::{Footprint, SerializableReads};
use crate::transaction::commit_space::{self, is_past_end};
use crate::transaction::commit_stream::{FrameStream, OPERATIONS_A_BLOCK, Order, Stretches};
use crate::transaction::garbage::{Garbage, purge, purge_some};
use crate::transaction::held_locks::LockMark;
use crate::transaction::manager::TransactionManager;
use crate::transaction::mvcc::{BATCH_BYTES_IN_MEMORY, Batch, CommitSink, ENTRY_BYTES, is_declared};
use crate::transaction::scratch::Scratch;
use crate::transaction::transaction::Transaction;
use crate::transaction::tree_commit::TreeCommit;
use crate::transaction::write_set::decode_number;
use crate::wal::entry::Operation;
use smallvec::SmallVec;

/// Consecutive inserts past a tree's end get one version entry when there are at least this many.
const RUN_LENGTH_MIN: usize = 64;
/// A commit that changes at least so many keys of a tree keeps the versions of new ones in a batch.
const BATCH_LENGTH_MIN: usize = 64;
/// With more runs and batches than this in the version store, look-ups would become slow.
const RUN_COUNT_MAX: usize = 256;
/// A commit that applies more changes than this at a time would keep a checkpoint, and so others, waiting.
const CHANGES_BETWEEN_PAUSES: usize = OPERATIONS_A_BLOCK;
/// A commit of more operations, or of more bytes of log, lets others append while it is applied.
const SMALL_OPERATIONS_MAX: usize = 32;
const SMALL_BYTES_MAX: usize = 16 << 10;
/// Older versions of fewer bytes are charged when they are there, and not before.
const UNCHARGED_BYTES_MAX: usize = 4 << 10;
/// A planted mistake leaves others time to run into it.
const PLANTED_YIELDS: u32 = 64;

/// Poisons the manager unless the commit comes to its end: a panic after the append must not leave others
/// waiting for a publication that never comes.
struct InDoubt<'a> {
    manager: &'a TransactionManager,
    settled: bool,
}

impl Drop for InDoubt<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.manager.poison(Error::internal("a commit was interrupted after it was logged"));
        }
    }
}

/// What was set aside for a commit.
struct Prepared {
    /// The trees written, those created by the transaction excepted.
    trees: SmallVec<[Arc<Tree>; 8]>,
    /// Trees that get a batch of versions.
    batches: SmallVec<[TreeId; 8]>,
    /// Trees, with writes in temporary files, that all of these lie behind the end of.
    past_end: SmallVec<[TreeId; 8]>,
    space: ApplyReservation,
    _memory: Option<Reservation>,
}

impl Prepared {
    /// Whether others may wait until it is applied: a few changes of trees that are there and stay.
    fn is_small(&self, scratch: &Scratch) -> bool {
        let Scratch { writes, links, operations, .. } = scratch;
        writes.len() <= SMALL_OPERATIONS_MAX
            && operations.len_bytes() <= SMALL_BYTES_MAX
            && links.is_empty()
            && self.batches.is_empty()
            && writes.trees().all(|tree| !tree.is_spilled() && !tree.is_created() && !tree.is_dropped())
    }
}

impl Transaction {
    /// How far leaves of some trees are filled from the commit on, in hundredths (10 to 100), where keys come in ascending
    /// order or leaves are merged; `None`: as far as each of these ways likes. It is not logged: whoever opens the database
    /// says it again ([`crate::storage::Storage::set_fill_percent`]).
    pub fn set_fill_percents(&mut self, fills: impl Iterator<Item = (TreeId, Option<u8>)>) {
        if let Some(mut scratch) = self.take_scratch() {
            scratch.fills.extend(fills);
            self.put_scratch(scratch);
        }
    }
}

impl TransactionManager {
    /// Commits the write set of `scratch`; `None`: there was nothing to log. Locks are still held on return. `reader`: what
    /// a serializable transaction has read.
    pub(super) fn commit_writes(
        &self,
        scratch: &mut Scratch,
        id: TransactionId,
        durability: Durability,
        cancel: &CancelToken,
        mut reader: Option<&mut SerializableReads>,
    ) -> Result<Option<Lsn>> {
        self.check_poison()?;
        cancel.check()?;
        if let Some(reader) = reader.as_deref_mut() {
            self.history.compare(reader)?;
        }
        self.announce_log()?;
        let prepared = self.prepare_commit(scratch)?;
        if !scratch.links.is_empty() {
            self.storage.sync_built()?;
        }
        // Before the gate: it asks for memory.
        let is_asked = self.history.is_recording();
        let footprint = is_asked.then(|| Footprint::new(&scratch.writes, &scratch.links, &self.memory));
        let mut stream = FrameStream::new(self, id);
        // Far fewer segments than a log that has yet to grow to its size would begin.
        self.log.expect(scratch.writes.bytes() as u64);
        stream.encode(scratch, cancel)?;
        if scratch.operations.count() == 0 && stream.chunk_count == 0 {
            return Ok(None);
        }
        declare_spilled(scratch, &prepared, &stream.stretches);
        self.log.prepare(scratch.operations.len_bytes())?;
        if let Some(reader) = reader.as_deref_mut() {
            self.history.compare(reader)?;
        }
        cancel.shield();
        if is_planted(PlantedFault::LocksReleasedEarly) {
            self.locks.release_to(&scratch.owner, &mut scratch.locks, LockMark::default());
            (0..PLANTED_YIELDS).for_each(|_| std::thread::yield_now());
        }
        let is_small = durability != Durability::Full
            && stream.chunk_count == 0
            && reader.is_none()
            && footprint.is_none()
            && prepared.is_small(scratch);
        let alone = if is_small { stream.append_alone(scratch)? } else { None };
        let appended = alone.map_or_else(|| stream.append_last(scratch, reader, footprint), Ok);
        let (timestamp, ticket, order) = appended?;
        let mut in_doubt = InDoubt { manager: self, settled: false };
        scratch.links.keep(&scratch.writes);
        self.moves.publish(timestamp, &mut scratch.moves, &self.memory);
        let pausing = matches!(order, Order::Queued(_)).then_some(&ticket);
        let outcome = self.apply_writes(scratch, &prepared, timestamp, pausing);
        let outcome = outcome.map(|by_key| scratch.versions_by_key = by_key);
        if let Err(error) = &outcome {
            // Before the gate is left: no checkpoint may be of what is half applied.
            self.poison(error.clone());
        }
        drop(ticket);
        let queued = match order {
            Order::Alone(guard) => {
                self.end_doubt(outcome, timestamp, durability, &mut in_doubt)?;
                self.publish.publish_alone(timestamp, &self.snapshots);
                drop(guard);
                None
            }
            Order::Queued(publication) => Some((publication, outcome)),
        };
        drop(prepared);
        // Under no mutex: it may ask for memory back.
        self.versions.settle();
        if let Some((publication, outcome)) = queued {
            self.end_doubt(outcome, timestamp, durability, &mut in_doubt)?;
            if !self.publish.finish(publication, &self.snapshots, || self.poisoned().is_some()) {
                let stopped = Error::internal("an earlier commit failed");
                return Err(self.unknown_outcome(self.poisoned().unwrap_or(&stopped)));
            }
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(Some(timestamp))
    }

    /// Waits until an applied commit is as durable as it is to be.
    /// # Errors
    /// `08007`: of applying, or of waiting.
    fn end_doubt(
        &self,
        applied: Result<()>,
        timestamp: Lsn,
        durability: Durability,
        in_doubt: &mut InDoubt<'_>,
    ) -> Result<()> {
        let outcome = applied.and_then(|()| self.durability.wait(timestamp, durability));
        in_doubt.settled = true;
        outcome.map_err(|error| {
            self.poison(error.clone());
            self.unknown_outcome(&error)
        })
    }

    /// Everything that can be refused, before anything is logged.
    fn prepare_commit(&self, scratch: &mut Scratch) -> Result<Prepared> {
        let Scratch { writes, links, runs, fills, .. } = scratch;
        writes.spill_rest()?;
        let mut trees: SmallVec<[Arc<Tree>; 8]> = SmallVec::new();
        for tree in writes.committed_trees() {
            trees.push(self.storage.tree(tree)?);
        }
        let space = commit_space::reserve(&self.storage, writes, links, &trees, fills)?;
        runs.clear();
        let mut in_runs: SmallVec<[(TreeId, usize); 8]> = SmallVec::new();
        let is_crowded = self.versions.run_count() >= RUN_COUNT_MAX;
        let mut last_key = Vec::new();
        if !is_crowded {
            let add = |tree, created, first: &[u8], last: &[u8], count| {
                let is_past_end = created || is_past_end(&trees, tree, first, &mut last_key)?;
                if is_past_end {
                    runs.push((tree, first.into(), last.into()));
                    in_runs.push((tree, count));
                }
                Ok(())
            };
            writes.consecutive_runs(RUN_LENGTH_MIN, add)?;
        }
        let mut past_end = SmallVec::new();
        for commit in writes.trees().filter(|commit| commit.is_spilled() && !commit.is_dropped()) {
            let first = commit.first_key().unwrap_or_default();
            if commit.is_created() || is_past_end(&trees, commit.tree(), &first, &mut last_key)? {
                past_end.push(commit.tree());
            }
        }
        links.declare(runs);
        let value_bytes = writes.bytes() / writes.len().max(1);
        let mut batches = SmallVec::new();
        let mut version_bytes = 0;
        for writes in writes.trees().filter(|writes| !writes.is_dropped()) {
            let tree = writes.tree();
            let declared: usize = in_runs.iter().filter(|(of, _)| *of == tree).map(|(_, count)| count).sum();
            let alone = writes.len() - declared;
            let is_batch = (alone >= BATCH_LENGTH_MIN && !is_crowded) || writes.is_spilled();
            if is_batch {
                batches.push(tree);
                version_bytes += (alone * (value_bytes + size_of::<usize>())).min(BATCH_BYTES_IN_MEMORY);
            } else {
                version_bytes += alone * (value_bytes + ENTRY_BYTES);
            }
        }
        // A few bytes for a moment are not worth it that all threads change one counter for them.
        let memory = match version_bytes {
            0..UNCHARGED_BYTES_MAX => None,
            _ => {
                let mut memory = self.memory.reservation();
                memory.grow(version_bytes)?;
                Some(memory)
            }
        };
        Ok(Prepared { trees, batches, past_end, space, _memory: memory })
    }

    /// Applies every operation to its page, the replaced rows to the version store. `ticket`: the one to pause, of a commit
    /// that may be long. Gives the trees with versions that must be dropped key by key.
    fn apply_writes(
        &self,
        scratch: &Scratch,
        prepared: &Prepared,
        timestamp: Lsn,
        ticket: Option<&ApplyTicket<'_>>,
    ) -> Result<SmallVec<[TreeId; 8]>> {
        let Prepared { trees, batches, space, .. } = prepared;
        for (tree, first, last) in &scratch.runs {
            self.versions.add_run(*tree, timestamp, first, last);
        }
        let batches: SmallVec<[Arc<Batch>; 8]> =
            batches.iter().map(|tree| self.versions.add_batch(*tree, timestamp)).collect();
        let sink = CommitSink::new(&self.versions, &scratch.runs, &batches);
        let mut by_key = SmallVec::new();
        for built in scratch.links.of_existing_trees(&scratch.writes) {
            self.storage.link_tree(built, timestamp)?;
        }
        // Those that this commit makes hear it when they are there.
        for (tree, percent) in &scratch.fills {
            self.storage.set_fill_percent(*tree, *percent)?;
        }
        for writes in scratch.writes.trees() {
            let id = writes.tree();
            if writes.is_dropped() {
                self.storage.drop_tree(id, timestamp)?;
                continue;
            }
            if writes.is_created() {
                self.storage.create_tree(id, timestamp)?;
                if let Some((_, percent)) = scratch.fills.iter().find(|(tree, _)| *tree == id) {
                    self.storage.set_fill_percent(id, *percent)?;
                }
                if let Some(built) = scratch.links.find(id) {
                    self.storage.link_tree(built, timestamp)?;
                }
            }
            let before = sink.kept_by_key();
            let known = trees.iter().find(|tree| tree.id() == id);
            let tree = known.map_or_else(|| self.storage.tree(id), |tree| Ok(Arc::clone(tree)))?;
            let mut deletes = false;
            // A long commit lets checkpoints cut in between; it is applied again from its start after a crash.
            let pause = || {
                if let Some(batch) = sink.batch(id) {
                    self.versions.flush_batch(batch);
                }
                ticket.inspect(|ticket| ticket.pause());
            };
            if writes.is_spilled() {
                let mut operations = writes.spilled_operations()?;
                while operations.next_block(CHANGES_BETWEEN_PAUSES)? {
                    let appended = match operations.are_puts_of_one_length() {
                        Some((first, last)) if sink.skips_all(id, first, last) => {
                            let entry = |index: usize| operations.put(index).unwrap_or_default();
                            append_all(&tree, operations.len(), entry, timestamp, prepared)?
                        }
                        _ => 0,
                    };
                    let rest = operations.block().skip(appended);
                    let changes = rest.filter_map(|operation| change(operation, &mut deletes));
                    space.used(tree.apply_sorted(changes, timestamp, Some(&sink))?);
                    pause();
                }
            } else {
                let changes = writes.operations().filter_map(|operation| change(operation, &mut deletes));
                let mut changes = changes.peekable();
                while changes.peek().is_some() {
                    let some = changes.by_ref().take(CHANGES_BETWEEN_PAUSES);
                    space.used(tree.apply_sorted(some, timestamp, Some(&sink))?);
                    pause();
                }
            }
            self.apply_appended(&tree, writes, timestamp, (&sink, ticket), prepared)?;
            if deletes || sink.kept_by_key() > before {
                by_key.push(id);
            }
        }
        for batch in &batches {
            self.versions.seal_batch(batch);
        }
        Ok(by_key)
    }

    /// Applies the rows of an append run: behind the tree's last key, and one by one where that cannot be.
    fn apply_appended(
        &self,
        tree: &Tree,
        writes: TreeCommit<'_>,
        timestamp: Lsn,
        (sink, ticket): (&CommitSink<'_>, Option<&ApplyTicket<'_>>),
        prepared: &Prepared,
    ) -> Result<()> {
        let Some(rows) = writes.appended() else { return Ok(()) };
        let (first, _) = rows.keys();
        let mut done = 0;
        while done < rows.len() && sink.skips(tree.id(), &first) {
            let (added, pages) =
                tree.append(done..rows.len(), |row| writes.appended_entry(row), timestamp)?;
            prepared.space.used(pages);
            ticket.inspect(|ticket| ticket.pause());
            if added == 0 {
                break;
            }
            done += added;
        }
        let entry = |row| {
            let (key, value) = writes.appended_entry(row);
            (key, Change::Put(value))
        };
        while done < rows.len() {
            let end = (done + CHANGES_BETWEEN_PAUSES).min(rows.len());
            prepared.space.used(tree.apply_sorted((done..end).map(entry), timestamp, Some(sink))?);
            ticket.inspect(|ticket| ticket.pause());
            done = end;
        }
        Ok(())
    }

    /// Drops the versions and ghosts of a published commit, or leaves them to the garbage queue while an older
    /// snapshot is registered. After the locks were released: neither needs them.
    pub(super) fn clean_up_after(&self, scratch: &Scratch, timestamp: Lsn) {
        let (mut horizon, oldest) = self.snapshots.horizon_and_oldest();
        let is_free = horizon >= timestamp;
        let mut garbage = Garbage::new(timestamp);
        if is_free {
            self.versions.drop_runs(horizon);
        }
        self.moves.prune(horizon);
        for writes in scratch.writes.trees().filter(|writes| scratch.versions_by_key.contains(&writes.tree()))
        {
            self.clean_up_tree(scratch, writes, horizon, is_free, &mut garbage);
        }
        if !garbage.is_empty() || (!is_free && self.versions.run_count() > 0) {
            self.garbage.push(garbage, scratch.owner.id(), &self.versions);
            if !is_free && !oldest.is_some_and(|slot| slot.is_older_than(timestamp)) {
                // Its end did not see this garbage.
                horizon = self.snapshots.horizon();
            }
        }
        self.collect_garbage_below(horizon);
        self.limit_versions();
        self.versions.settle();
    }
}

impl TransactionManager {
    fn clean_up_tree(
        &self,
        scratch: &Scratch,
        writes: TreeCommit<'_>,
        horizon: Lsn,
        is_free: bool,
        garbage: &mut Garbage,
    ) {
        if writes.is_spilled() {
            // What it replaced is in batches: only ghosts are left. An error costs their space alone.
            let Ok(mut operations) = writes.spilled_operations() else { return };
            if is_free {
                while let Ok(Some(_)) = purge_some(&self.storage, &mut operations, horizon) {}
            } else {
                garbage.add_spilled(operations);
            }
            return;
        }
        // A run that was declared has no versions of its own.
        let rows =
            writes.appended().filter(|rows| !is_declared(&scratch.runs, writes.tree(), &rows.keys().0));
        let rows = (0..rows.map_or(0, AppendRun::len)).map(|row| {
            let (key, value) = writes.appended_entry(row);
            Operation::Put { tree: writes.tree(), key, value }
        });
        for operation in writes.operations().chain(rows) {
            let (tree, key, ghost) = match operation {
                Operation::Put { tree, key, .. }
                | Operation::Max { tree, key, .. }
                | Operation::Or { tree, key, .. } => (tree, key, false),
                Operation::Delete { tree, key } => (tree, key, true),
                _ => continue,
            };
            if !ghost && is_declared(&scratch.runs, tree, key) {
                continue;
            }
            if !is_free {
                if ghost && is_planted(PlantedFault::GhostPurgedEarly) {
                    purge(&self.storage, tree, key, self.snapshots.visible());
                }
                garbage.add(tree, key, ghost);
                continue;
            }
            self.versions.drop_key(tree, key, horizon);
            if ghost && !purge(&self.storage, tree, key, horizon) {
                garbage.add(tree, key, true);
            }
        }
    }
}

/// The change that an operation on a key is; notes a deletion.
fn change<'o>(operation: Operation<'o>, deletes: &mut bool) -> Option<(&'o [u8], Change<'o>)> {
    match operation {
        Operation::Put { key, value, .. } => Some((key, Change::Put(value))),
        Operation::Delete { key, .. } => {
            *deletes = true;
            Some((key, Change::Delete))
        }
        Operation::Or { key, bits, .. } => Some((key, Change::Or(bits))),
        Operation::Max { key, number, .. } => Some((key, Change::Max(number))),
        Operation::TreeCreate { .. }
        | Operation::TreeDrop { .. }
        | Operation::Message { .. }
        | Operation::PutRun { .. }
        | Operation::LinkPages { .. } => None,
    }
}

/// Adds entries behind a tree's last key; gives how many could be.
fn append_all<'e>(
    tree: &Tree,
    count: usize,
    entry: impl Fn(usize) -> (&'e [u8], &'e [u8]),
    timestamp: Lsn,
    prepared: &Prepared,
) -> Result<usize> {
    let mut done = 0;
    while done < count {
        let (added, pages) = tree.append(done..count, &entry, timestamp)?;
        prepared.space.used(pages);
        if added == 0 {
            break;
        }
        done += added;
    }
    Ok(done)
}

/// Where all keys of a spilled tree lie past the end of the committed one, stretches of them need one version entry. One
/// for all of them may also speak for keys in between if there can be none of others.
fn declare_spilled(scratch: &mut Scratch, prepared: &Prepared, stretches: &[Stretches]) {
    let Scratch { writes, runs, escalation, .. } = scratch;
    for commit in writes.trees().filter(|commit| prepared.past_end.contains(&commit.tree())) {
        let id = commit.tree();
        let Some((_, first, last)) = writes.spilled_tree(id) else { continue };
        if first.len() == last.len() && (commit.is_created() || escalation.covers(id)) {
            runs.push((id, first.as_slice().into(), last.as_slice().into()));
            continue;
        }
        let of_tree = stretches.iter().filter(|stretches| stretches.tree == id);
        runs.extend(of_tree.flat_map(Stretches::keys).map(|(first, last)| (id, first.clone(), last.clone())));
    }
}

/// The larger of a counter's value and `number`, as its bytes.
pub(super) fn raised(value: Option<&[u8]>, number: u64) -> [u8; 8] {
    value.map_or(0, decode_number).max(number).to_be_bytes()
}

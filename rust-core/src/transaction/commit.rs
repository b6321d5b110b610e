//! Commit: from a private write set to a published, durable state.
//! Knows write sets, the log, storage and versions. Knows nothing of isolation levels or statements.
//!
//! ```text
//!  1 look at everything that can be refused: trees, space, memory         an error here: nothing happened
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

use crate::common::cancel::CancelToken;
use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::limits::LOG_FRAME_PAYLOAD_MAX;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::durability::policy::Durability;
use crate::error::{Error, Result};
use crate::storage::{ApplyEstimate, ApplyReservation, ApplyTicket, Change, Tree};
use crate::transaction::append_run::AppendRun;
use crate::transaction::garbage::{Garbage, purge, purge_some};
use crate::transaction::manager::{Scratch, TransactionManager};
use crate::transaction::mvcc::{
    BATCH_BYTES_IN_MEMORY, Batch, CommitSink, DeclaredRun, ENTRY_BYTES, is_declared,
};
use crate::transaction::publish::PublishTicket;
use crate::transaction::tree_commit::TreeCommit;
use crate::transaction::write_set::{WriteSet, decode_number};
use crate::wal::entry::{Operation, OperationBuffer};
use crate::wal::frame::FrameKind;
use smallvec::SmallVec;

/// Consecutive inserts past a tree's end get one version entry when there are at least this many.
const RUN_LENGTH_MIN: usize = 64;
/// A commit that changes at least so many keys of a tree keeps the versions of new ones in a batch.
const BATCH_LENGTH_MIN: usize = 64;
/// With more runs and batches than this in the version store, look-ups would become slow.
const RUN_COUNT_MAX: usize = 256;
/// A commit that applies more changes than this at a time would keep a checkpoint, and so others, waiting.
const CHANGES_BETWEEN_PAUSES: usize = 1024;
/// Upper bound of what an operation's encoding adds to its key and value.
const OPERATION_OVERHEAD_BYTES: usize = 32;

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
    space: ApplyReservation,
    memory: Reservation,
}

impl TransactionManager {
    /// Commits the write set of `scratch`; `None`: there was nothing to log. Locks are still held on return.
    pub(super) fn commit_writes(
        &self,
        scratch: &mut Scratch,
        id: TransactionId,
        durability: Durability,
        cancel: &CancelToken,
    ) -> Result<Option<Lsn>> {
        self.check_poison()?;
        cancel.check()?;
        self.announce_log()?;
        let prepared = self.prepare_commit(scratch)?;
        let mut stream =
            FrameStream { manager: self, id, ticket: None, chunk_count: 0, first_lsn: Lsn::ZERO };
        // Far fewer segments than a log that has yet to grow to its size would begin.
        self.log.expect(scratch.writes.bytes() as u64);
        stream.encode(scratch, cancel)?;
        if scratch.operations.count() == 0 && stream.chunk_count == 0 {
            return Ok(None);
        }
        self.log.prepare(scratch.operations.len_bytes())?;
        cancel.shield();
        let (timestamp, publication, ticket) = stream.append_last(scratch)?;
        let mut in_doubt = InDoubt { manager: self, settled: false };
        let outcome = self.apply_writes(scratch, &prepared, timestamp, &ticket);
        let outcome = outcome.map(|by_key| scratch.versions_by_key = by_key);
        if let Err(error) = &outcome {
            // Before the gate is left: no checkpoint may be of what is half applied.
            self.poison(error.clone());
        }
        drop(ticket);
        drop(prepared);
        self.versions.settle();
        let outcome = outcome.and_then(|()| self.durability.wait(timestamp, durability));
        in_doubt.settled = true;
        if let Err(error) = outcome {
            self.poison(error.clone());
            return Err(self.unknown_outcome(&error));
        }
        if !self.publish.finish(publication, &self.snapshots, || self.poisoned().is_some()) {
            let stopped = Error::internal("an earlier commit failed");
            return Err(self.unknown_outcome(self.poisoned().unwrap_or(&stopped)));
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(Some(timestamp))
    }

    /// Everything that can be refused, before anything is logged.
    fn prepare_commit(&self, scratch: &mut Scratch) -> Result<Prepared> {
        let Scratch { writes, runs, .. } = scratch;
        writes.spill_rest()?;
        let mut trees: SmallVec<[Arc<Tree>; 8]> = SmallVec::new();
        for tree in writes.committed_trees() {
            trees.push(self.storage.tree(tree)?);
        }
        let estimate = ApplyEstimate { operations: writes.len(), bytes: writes.bytes() };
        let space = self.storage.reserve(estimate)?;
        runs.clear();
        let mut in_runs: SmallVec<[(TreeId, usize); 8]> = SmallVec::new();
        let is_crowded = self.versions.run_count() >= RUN_COUNT_MAX;
        if !is_crowded {
            let mut last_key = Vec::new();
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
        if writes.is_spilled() {
            declare_spilled(writes, &trees, runs)?;
        }
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
        let mut memory = self.memory.reservation();
        memory.grow(version_bytes)?;
        Ok(Prepared { trees, batches, space, memory })
    }

    /// Applies every operation to its page, the replaced rows to the version store. Gives the trees with versions that
    /// must be dropped key by key.
    fn apply_writes(
        &self,
        scratch: &Scratch,
        prepared: &Prepared,
        timestamp: Lsn,
        ticket: &ApplyTicket<'_>,
    ) -> Result<SmallVec<[TreeId; 8]>> {
        let Prepared { trees, batches, space: _space, memory: _memory } = prepared;
        for (tree, first, last) in &scratch.runs {
            self.versions.add_run(*tree, timestamp, first, last);
        }
        let batches: SmallVec<[Arc<Batch>; 8]> =
            batches.iter().map(|tree| self.versions.add_batch(*tree, timestamp)).collect();
        let sink = CommitSink::new(&self.versions, &scratch.runs, &batches);
        let mut by_key = SmallVec::new();
        for writes in scratch.writes.trees() {
            let id = writes.tree();
            if writes.is_dropped() {
                self.storage.drop_tree(id, timestamp)?;
                continue;
            }
            if writes.is_created() {
                self.storage.create_tree(id, timestamp)?;
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
                ticket.pause();
            };
            if writes.is_spilled() {
                let mut operations = writes.spilled_operations()?;
                while operations.next_block(CHANGES_BETWEEN_PAUSES)? {
                    let changes = operations.block().filter_map(|operation| change(operation, &mut deletes));
                    tree.apply_sorted(changes, timestamp, Some(&sink))?;
                    pause();
                }
            } else {
                let changes = writes.operations().filter_map(|operation| change(operation, &mut deletes));
                let mut changes = changes.peekable();
                while changes.peek().is_some() {
                    tree.apply_sorted(changes.by_ref().take(CHANGES_BETWEEN_PAUSES), timestamp, Some(&sink))?;
                    pause();
                }
            }
            self.apply_appended(&tree, writes, timestamp, &sink, ticket)?;
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
        sink: &CommitSink<'_>,
        ticket: &ApplyTicket<'_>,
    ) -> Result<()> {
        let Some(rows) = writes.appended() else { return Ok(()) };
        let (first, _) = rows.keys();
        let mut done = 0;
        while done < rows.len() && sink.skips(tree.id(), &first) {
            let added = tree.append(done..rows.len(), |row| writes.appended_entry(row), timestamp)?;
            ticket.pause();
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
            tree.apply_sorted((done..end).map(entry), timestamp, Some(sink))?;
            ticket.pause();
            done = end;
        }
        Ok(())
    }

    /// Drops the versions and ghosts of a published commit, or leaves them to the garbage queue while an older
    /// snapshot is registered. After the locks were released: neither needs them.
    pub(super) fn clean_up_after(&self, scratch: &Scratch, timestamp: Lsn) {
        let horizon = self.snapshots.horizon();
        let is_free = horizon >= timestamp;
        let mut garbage = Garbage::new(timestamp);
        if is_free {
            self.versions.drop_runs(horizon);
        }
        for writes in scratch.writes.trees().filter(|writes| scratch.versions_by_key.contains(&writes.tree()))
        {
            self.clean_up_tree(scratch, writes, horizon, is_free, &mut garbage);
        }
        if !garbage.is_empty() || (!is_free && self.versions.run_count() > 0) {
            self.garbage.push(garbage, &self.versions);
        }
        self.collect_some_garbage();
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
        | Operation::PutRun { .. } => None,
    }
}

/// Whether `first` lies behind all keys of a tree. `last_key` is for its last key.
fn is_past_end(trees: &[Arc<Tree>], tree: TreeId, first: &[u8], last_key: &mut Vec<u8>) -> Result<bool> {
    match trees.iter().find(|other| other.id() == tree) {
        Some(tree) => Ok(!tree.last_key(last_key)? || last_key.as_slice() < first),
        None => Ok(false),
    }
}

/// Where all keys of a spilled tree lie past the end of the committed one, its new keys need one version entry.
fn declare_spilled(writes: &WriteSet, trees: &[Arc<Tree>], runs: &mut Vec<DeclaredRun>) -> Result<()> {
    let mut last_key = Vec::new();
    for writes_of_tree in writes.trees().filter(|writes| !writes.is_dropped()) {
        let id = writes_of_tree.tree();
        let Some((_, first, last)) = writes.spilled_tree(id) else { continue };
        let is_past_end = writes_of_tree.is_created() || is_past_end(trees, id, &first, &mut last_key)?;
        if is_past_end && first.len() == last.len() {
            runs.push((id, first.as_slice().into(), last.as_slice().into()));
        }
    }
    Ok(())
}

/// The frames of one transaction: any number of chunks, then the frame that makes it count.
struct FrameStream<'a> {
    manager: &'a TransactionManager,
    id: TransactionId,
    ticket: Option<ApplyTicket<'a>>,
    chunk_count: u32,
    first_lsn: Lsn,
}

impl<'a> FrameStream<'a> {
    /// Encodes the write set; what does not fit into one frame is logged in chunks, the rest is left in the buffer.
    fn encode(&mut self, scratch: &mut Scratch, cancel: &CancelToken) -> Result<()> {
        let Scratch { writes, operations, .. } = scratch;
        operations.clear();
        for message in writes.messages() {
            self.push(operations, &message, cancel)?;
        }
        for writes in writes.trees() {
            let tree = writes.tree();
            if writes.is_dropped() {
                self.push(operations, &Operation::TreeDrop { tree }, cancel)?;
                continue;
            }
            if writes.is_created() {
                self.push(operations, &Operation::TreeCreate { tree }, cancel)?;
            }
            if writes.is_spilled() {
                let mut spilled = writes.spilled_operations()?;
                while spilled.next_block(CHANGES_BETWEEN_PAUSES)? {
                    for operation in spilled.block() {
                        self.push(operations, &operation, cancel)?;
                    }
                }
                continue;
            }
            for operation in writes.operations() {
                self.push(operations, &operation, cancel)?;
            }
            if let Some(rows) = writes.appended() {
                self.push_rows(operations, writes, rows, cancel)?;
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        operations: &mut OperationBuffer,
        operation: &Operation<'_>,
        cancel: &CancelToken,
    ) -> Result<()> {
        let bytes = match operation {
            Operation::Put { key, value, .. } => key.len() + value.len(),
            Operation::Delete { key, .. } | Operation::Max { key, .. } => key.len(),
            Operation::Or { key, bits, .. } => key.len() + bits.len(),
            Operation::Message { data } => data.len(),
            Operation::TreeCreate { .. } | Operation::TreeDrop { .. } | Operation::PutRun { .. } => 0,
        };
        let is_full = operations.len_bytes() + bytes + OPERATION_OVERHEAD_BYTES > LOG_FRAME_PAYLOAD_MAX;
        if is_full && operations.count() > 0 {
            cancel.check()?;
            self.append_chunk(operations)?;
        }
        operations.push(operation);
        Ok(())
    }

    /// The rows of an append run, in as many operations as it takes.
    fn push_rows(
        &mut self,
        operations: &mut OperationBuffer,
        writes: TreeCommit<'_>,
        rows: &AppendRun,
        cancel: &CancelToken,
    ) -> Result<()> {
        let mut done = 0;
        while done < rows.len() {
            let values = (done..rows.len()).map(|row| writes.appended_entry(row).1);
            let first = rows.first() + done as u64;
            let added = operations.push_run(writes.tree(), first, values, LOG_FRAME_PAYLOAD_MAX);
            done += added as usize;
            if done < rows.len() {
                cancel.check()?;
                self.append_chunk(operations)?;
            }
        }
        Ok(())
    }

    fn append_chunk(&mut self, operations: &mut OperationBuffer) -> Result<()> {
        let manager = self.manager;
        let ticket = self.ticket.get_or_insert_with(|| manager.storage.gate().enter());
        manager.log.prepare(operations.len_bytes())?;
        let kind = FrameKind::Chunk { sequence: self.chunk_count };
        let position = manager.log.append(kind, self.id, operations)?;
        if self.chunk_count == 0 {
            self.first_lsn = position.start;
            ticket.set_start(position.start);
        }
        self.chunk_count += 1;
        operations.clear();
        ticket.pause();
        Ok(())
    }

    /// Appends the frame that decides. An error: nothing counts.
    fn append_last(self, scratch: &Scratch) -> Result<(Lsn, PublishTicket, ApplyTicket<'a>)> {
        let manager = self.manager;
        let ticket = self.ticket.unwrap_or_else(|| manager.storage.gate().enter());
        let kind = match self.chunk_count {
            0 => FrameKind::Transaction,
            chunk_count => FrameKind::Commit { chunk_count, first_lsn: self.first_lsn },
        };
        let guard = manager.commit_mutex.lock();
        let position = manager.log.append(kind, self.id, &scratch.operations)?;
        let publication = manager.publish.join(position.end);
        drop(guard);
        if self.chunk_count == 0 {
            ticket.set_start(position.start);
        }
        Ok((position.end, publication, ticket))
    }
}

/// The larger of a counter's value and `number`, as its bytes.
pub(super) fn raised(value: Option<&[u8]>, number: u64) -> [u8; 8] {
    value.map_or(0, decode_number).max(number).to_be_bytes()
}

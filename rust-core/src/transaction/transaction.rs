//! A transaction: its snapshot, its own writes, its locks, its end.
//! Knows trees and keys. Knows nothing of tables, columns or SQL.
//! Single keys are read in `reads`, ranges in `scan`, locks are taken in `locking`.

use crate::common::cancel::CancelToken;
use crate::common::ids::{CommandNumber, Lsn, ObjectId, TransactionId, TreeId};
use crate::common::limits::LOG_FRAME_PAYLOAD_MAX;
use crate::common::memory::MemoryAccount;
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::storage::Tree;
use crate::storage::bulk::sorter::EntrySorter;
use crate::storage::bulk::{BuiltTree, TreeBuilder};
use crate::transaction::commit_history::{SerializableReads, read_write_conflict};
use crate::transaction::held_locks::{HeldLocks, LockMark};
use crate::transaction::lock_manager::LockOwner;
use crate::transaction::manager::{ManagerReference, TransactionManager};
use crate::transaction::moves::MoveTime;
use crate::transaction::scan::TransactionScan;
use crate::transaction::scratch::Scratch;
use crate::transaction::types::{IsolationLevel, Parts, ReadView, Savemark, Snapshot};
use crate::transaction::write_set::WriteSet;
use std::cell::RefCell;
use std::ops::Bound;

/// A tree as a transaction sees it: one of the database, or one that it created itself and that exists only
/// in its write set until commit. Cheap to clone; valid for the transaction that asked.
#[derive(Clone, Debug)]
pub struct TreeHandle {
    pub(super) id: TreeId,
    pub(super) tree: Option<Arc<Tree>>,
}

impl TreeHandle {
    /// Its id.
    pub fn id(&self) -> TreeId {
        self.id
    }

    /// The committed tree; `None` for one that the transaction created.
    pub fn committed(&self) -> Option<&Arc<Tree>> {
        self.tree.as_ref()
    }
}

impl From<Arc<Tree>> for TreeHandle {
    fn from(tree: Arc<Tree>) -> TreeHandle {
        TreeHandle { id: tree.id(), tree: Some(tree) }
    }
}

/// A running transaction; dropping it rolls it back. One thread at a time.
#[derive(Debug)]
pub struct Transaction {
    pub(super) manager: Arc<ManagerReference>,
    /// Taken only by the end.
    pub(super) scratch: Option<Box<Scratch>>,
    pub(super) isolation: IsolationLevel,
    pub(super) read_only: bool,
    pub(super) cancel: CancelToken,
    pub(super) id: Option<TransactionId>,
    pub(super) command: CommandNumber,
    pub(super) snapshot: Option<Snapshot>,
    /// Statements started and not ended (a portal may stay open while the next one runs).
    pub(super) open_statements: u32,
    /// Of a serializable transaction that may write.
    pub(super) serializable: Option<Box<RefCell<SerializableReads>>>,
}

impl Transaction {
    pub(super) fn new(
        manager: Arc<ManagerReference>,
        scratch: Box<Scratch>,
        isolation: IsolationLevel,
        read_only: bool,
        cancel: CancelToken,
    ) -> Transaction {
        // What is only read is as of the snapshot, which is a state between two commits.
        let is_validated = isolation == IsolationLevel::Serializable && !read_only;
        scratch.slot.set_keeps(isolation.keeps_snapshot());
        let serializable =
            is_validated.then(|| Box::new(RefCell::new(SerializableReads::new(manager.memory()))));
        Transaction {
            serializable,
            manager,
            scratch: Some(scratch),
            isolation,
            read_only,
            cancel,
            id: None,
            command: CommandNumber(0),
            snapshot: None,
            open_statements: 0,
        }
    }

    pub(super) fn scratch(&self) -> &Scratch {
        self.scratch
            .as_ref()
            .expect("only commit and rollback take the scratch, and they take the transaction")
    }

    pub(super) fn scratch_mut(&mut self) -> &mut Scratch {
        self.scratch
            .as_mut()
            .expect("only commit and rollback take the scratch, and they take the transaction")
    }

    /// The account that everything a statement keeps is charged to.
    pub fn memory(&self) -> &Arc<MemoryAccount> {
        self.manager.memory()
    }

    pub(super) fn manager(&self) -> &TransactionManager {
        &self.manager
    }

    pub(super) fn writes(&self) -> &WriteSet {
        &self.scratch().writes
    }

    #[cfg(test)]
    pub(super) fn set_spill_bytes(&mut self, bytes: usize) {
        self.scratch_mut().writes.set_spill_bytes(bytes);
    }

    /// The command number that the next write carries.
    pub(super) fn command(&self) -> CommandNumber {
        self.command
    }

    /// Starts a statement: the next command number, and its snapshot: a new one (read committed) or the
    /// transaction's. The mark undoes what the statement does.
    /// # Errors
    /// None today.
    pub fn start_statement(&mut self) -> Result<Savemark> {
        self.command.0 += 1;
        match (self.isolation, self.snapshot) {
            (level, Some(_)) if level.keeps_snapshot() && !is_planted(PlantedFault::SnapshotTakenLate) => {}
            // An older statement is still open: its snapshot stays registered and covers the newer one.
            (level, Some(_)) if !level.keeps_snapshot() && self.open_statements > 0 => {
                self.snapshot = Some(Snapshot::new(self.manager.snapshots.visible()));
            }
            (_, snapshot) => {
                let slot = &self.scratch().slot;
                let timestamp = match &self.serializable {
                    Some(reader) if snapshot.is_none() => {
                        self.manager.take_serializable_snapshot(slot, &mut reader.borrow_mut())
                    }
                    _ => self.manager.snapshots.take(slot),
                };
                self.snapshot = Some(Snapshot::new(timestamp));
            }
        }
        self.open_statements += 1;
        Ok(self.mark_with(LockOwner::mark))
    }

    /// Ends a statement. Read committed gives the snapshot back when no other statement is open.
    pub fn end_statement(&mut self) {
        self.open_statements = self.open_statements.saturating_sub(1);
        if self.open_statements == 0 && !self.isolation.keeps_snapshot() && self.snapshot.is_some() {
            self.snapshot = None;
            self.scratch().slot.release();
            self.manager.collect_some_garbage();
        }
    }

    /// The present state of writes and locks, to return to (SAVEPOINT).
    pub fn savemark(&self) -> Savemark {
        self.mark_with(LockOwner::mark_to_return)
    }

    fn mark_with(&self, locks: impl FnOnce(&LockOwner, &HeldLocks) -> LockMark) -> Savemark {
        let scratch = self.scratch();
        Savemark {
            writes: scratch.writes.mark(),
            locks: locks(&scratch.owner, &scratch.locks),
            links: scratch.links.len(),
            moves: scratch.moves.len(),
        }
    }

    /// Undoes the writes since `mark` and gives back the locks taken since. No statement may be open any more but those
    /// that are undone: they end.
    pub fn rollback_to(&mut self, mark: Savemark) {
        self.open_statements = self.open_statements.min(1);
        self.end_statement();
        let manager = Arc::clone(&self.manager);
        let scratch = self.scratch_mut();
        scratch.writes.undo_to(mark.writes);
        scratch.links.truncate(mark.links);
        scratch.moves.truncate(mark.moves);
        manager.locks.release_to(&scratch.owner, &mut scratch.locks, mark.locks);
        scratch.escalation.released_to(scratch.locks.len());
    }

    /// Own writes so far become visible to reads and scans that start from here.
    pub fn next_command(&mut self) {
        self.command.0 += 1;
    }

    /// The snapshot of a transaction that keeps it, once it has one.
    #[inline]
    pub fn kept_snapshot(&self) -> Option<Lsn> {
        self.snapshot.filter(|_| self.isolation.keeps_snapshot()).map(Snapshot::timestamp)
    }

    /// The newest commit that the statement sees; outside a statement, the newest there is.
    pub fn snapshot_timestamp(&self) -> Lsn {
        self.snapshot.map_or_else(|| self.manager.visible_lsn(), Snapshot::timestamp)
    }

    /// The statement's snapshot.
    /// # Errors
    /// `XX000` outside a statement: such a read would not be protected from cleaning.
    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        self.snapshot.ok_or_else(|| Error::internal("a read by snapshot outside a statement"))
    }

    /// The isolation level.
    pub fn isolation(&self) -> IsolationLevel {
        self.isolation
    }

    /// Whether writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Says whose transaction it is, for people who look at locks.
    pub fn set_session(&self, session: u64) {
        self.scratch().owner.session.store(session, Ordering::Relaxed);
    }

    /// The token that ends waits.
    pub fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    /// The transaction's id; assigned by its first write.
    pub fn id(&self) -> Option<TransactionId> {
        self.id
    }

    /// Whether there is nothing to commit so far.
    pub fn is_read_only_so_far(&self) -> bool {
        self.scratch().writes.is_empty() && self.scratch().links.is_empty()
    }

    /// What is below the own writes of a tree: its committed state, or what this transaction built instead of it.
    pub(super) fn base<'a>(&'a self, tree: &'a TreeHandle) -> Option<&'a Arc<Tree>> {
        let links = &self.scratch().links;
        if !links.is_empty()
            && let Some(built) = links.find(tree.id)
        {
            return Some(built.tree());
        }
        tree.tree.as_ref()
    }

    /// Whether this transaction may build the tree's content instead of writing it key by key: nobody sees anything in
    /// it, neither now nor later. The caller keeps other writers out.
    /// # Errors
    /// I/O errors and damage.
    pub fn can_build(&self, tree: &TreeHandle) -> Result<bool> {
        let scratch = self.scratch();
        if !self.manager.storage.can_build()
            || scratch.links.find(tree.id).is_some()
            || scratch.writes.has_writes(tree.id)
        {
            return Ok(false);
        }
        match &tree.tree {
            None => Ok(true),
            Some(committed) => {
                self.manager.storage.is_empty_since(committed, self.manager.snapshots.horizon())
            }
        }
    }

    /// Entries from which on a tree is worth building.
    pub fn bulk_rows(&self) -> u64 {
        self.manager.bulk_rows()
    }

    /// Builds the content of a tree for which [`Transaction::can_build`] says yes.
    /// # Errors
    /// As [`Transaction::put`].
    pub fn build(&mut self, tree: TreeId) -> Result<TreeBuilder> {
        self.start_write()?;
        // Nobody else had anything in it: that is known even if what is built is given up.
        self.record_range(tree, Bound::Unbounded, Bound::Unbounded, Parts::ALL);
        self.manager.storage.build_tree(tree)
    }

    /// Makes what was built the tree's content: for this transaction from its next command on, for others when it
    /// commits.
    pub fn link(&mut self, built: BuiltTree) {
        self.scratch_mut().links.push(built);
    }

    /// Where entries to be sorted go when they are many.
    pub fn entry_sorter(&self) -> EntrySorter {
        EntrySorter::new(self.manager.storage.sorted_runs())
    }

    /// Locks a table, whose rows are in `trees`, against all other writers if that needs no waiting: then its rows need
    /// no locks. The caller holds ROW EXCLUSIVE on it.
    /// # Errors
    /// `53200`.
    pub fn try_lock_whole(&mut self, table: ObjectId, trees: impl Iterator<Item = TreeId>) -> Result<bool> {
        let Transaction { manager, scratch: Some(scratch), .. } = self else {
            return Err(Error::internal("a lock after the transaction's end"));
        };
        let Scratch { escalation, owner, locks, .. } = &mut **scratch;
        escalation.ask_now(&manager.locks, owner, locks, table, trees)
    }

    /// A tree of the database, or one that this transaction created.
    /// # Errors
    /// `XX000` when there is no such tree; I/O errors.
    pub fn tree_handle(&self, tree: TreeId) -> Result<TreeHandle> {
        if self.scratch().writes.is_created(tree) {
            return Ok(TreeHandle { id: tree, tree: None });
        }
        Ok(self.manager.storage.tree(tree)?.into())
    }

    /// Notes that a row comes under another key, so that those who wait for it find it there; `None`: another row comes
    /// under its key.
    /// # Errors
    /// `53200`.
    pub fn note_move(&mut self, tree: TreeId, from: [u8; 8], to: Option<[u8; 8]>) -> Result<()> {
        self.scratch_mut().moves.add(tree, from, to)
    }

    /// Where commits since the snapshot, or since `since`, first moved the row that was under a key then. Nowhere: it
    /// went away, and another one is there.
    /// # Errors
    /// `XX000` outside a statement.
    pub fn moved(
        &self,
        tree: &TreeHandle,
        key: [u8; 8],
        since: Option<MoveTime>,
    ) -> Result<Option<(Option<[u8; 8]>, MoveTime)>> {
        let since = match since {
            Some(since) => since,
            None => MoveTime::of_snapshot(self.snapshot()?.timestamp()),
        };
        let Some((to, time)) = self.manager.moves.find(tree.id, key, since) else { return Ok(None) };
        // Another row had come under the key by then.
        let appeared =
            self.manager.versions.appeared_between(tree.id, &key, since.timestamp, time.timestamp)?;
        Ok((!appeared).then_some((to, time)))
    }

    /// Whether the row that commit `since` brought under the key is there, and no other one.
    /// # Errors
    /// I/O errors and damage.
    pub fn stayed_since(&self, tree: &TreeHandle, key: [u8; 8], since: MoveTime) -> Result<bool> {
        let exists = self.get(tree, &key, ReadView::Latest, |value| value.is_some())?;
        Ok(exists && !self.manager.versions.was_absent_since(tree.id, &key, since.timestamp)?)
    }

    /// The error of a repeatable read transaction that would overwrite what it cannot see.
    pub fn serialization_failure(&self) -> Error {
        Error::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access due to concurrent update")
            .hint("Run the transaction again.")
    }

    /// The error of a serializable transaction that read what another one changed.
    pub fn read_write_conflict(&self) -> Error {
        read_write_conflict()
    }

    /// Scans a key range as the statement sees it: own writes of commands before now, none of later ones.
    pub fn scan(
        &self,
        tree: &TreeHandle,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        backward: bool,
    ) -> TransactionScan {
        TransactionScan::new(self, tree, lower, upper, backward)
    }

    /// Scans a key range in its newest committed state: what constraints look at, after locking. Own writes of commands
    /// before now are seen, with `own_now` also those of the running one.
    pub fn scan_latest(
        &self,
        tree: &TreeHandle,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        own_now: bool,
    ) -> TransactionScan {
        let mut scan = TransactionScan::new(self, tree, lower, upper, false);
        // The statement's snapshot is registered and older: versions that the newer one needs are kept.
        let newest = self.snapshot.map(|_| Snapshot::new(self.manager.snapshots.visible()));
        let before = CommandNumber(self.command.0 + u32::from(own_now));
        scan.see(newest, before);
        scan
    }

    /// Writes a key. The caller holds its lock.
    /// # Errors
    /// `25006` in a read-only transaction; `53200`; the poison of a stopped database.
    pub fn put(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<()> {
        let command = self.start_write()?;
        self.scratch_mut().writes.put(tree, key, value, command)
    }

    /// As [`Transaction::put`], in the place of a value of which only `parts` become others: the newest one, own writes
    /// included, under the lock of the key.
    /// # Errors
    /// As [`Transaction::put`].
    pub fn put_parts(&mut self, tree: TreeId, key: &[u8], value: &[u8], parts: Parts) -> Result<()> {
        let command = self.start_write()?;
        self.scratch_mut().writes.put_parts((tree, key), value, parts, command)
    }

    /// As [`Transaction::put`], for keys that come in no order and are hardly read before the commit: they are sorted
    /// once, when somebody looks.
    /// # Errors
    /// As [`Transaction::put`].
    pub fn put_unordered(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<()> {
        let command = self.start_write()?;
        self.scratch_mut().writes.put_unordered(tree, key, value, command)
    }

    /// Deletes a key; one that does not exist stays so. The caller holds its lock.
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete(&mut self, tree: TreeId, key: &[u8]) -> Result<()> {
        let command = self.start_write()?;
        self.scratch_mut().writes.delete(tree, key, command)
    }

    /// Raises a counter (8 bytes, big-endian) to at least `number`. Needs no lock: the greater number stays.
    /// # Errors
    /// As [`Transaction::put`].
    pub fn max(&mut self, tree: TreeId, key: &[u8], number: u64) -> Result<()> {
        let command = self.start_write()?;
        self.scratch_mut().writes.max(tree, key, number, command)
    }

    /// A new tree, which exists for others from the commit on.
    /// # Errors
    /// As [`Transaction::put`].
    pub fn create_tree(&mut self) -> Result<TreeId> {
        let command = self.start_write()?;
        let tree = self.manager.storage.next_tree_id();
        self.scratch_mut().writes.create_tree(tree, command)?;
        Ok(tree)
    }

    /// Drops a tree at commit. The caller holds ACCESS EXCLUSIVE on what it belongs to.
    /// # Errors
    /// As [`Transaction::put`].
    pub fn drop_tree(&mut self, tree: TreeId) -> Result<()> {
        let command = self.start_write()?;
        self.scratch_mut().writes.drop_tree(tree, command)
    }

    /// An application record in the log, part of the transaction; redo passes over it.
    /// # Errors
    /// As [`Transaction::put`]; `54000` when it would not fit into a frame.
    pub fn message(&mut self, data: &[u8]) -> Result<()> {
        let limit = LOG_FRAME_PAYLOAD_MAX / 2;
        if data.len() > limit {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "message too long")
                .detail(format!("It has {} bytes, at most {limit} are possible.", data.len())));
        }
        let command = self.start_write()?;
        self.scratch_mut().writes.message(data, command)
    }

    fn start_write(&mut self) -> Result<CommandNumber> {
        if self.id.is_none() {
            if self.read_only {
                return Err(Error::new(
                    SqlState::READ_ONLY_SQL_TRANSACTION,
                    "cannot write in a read-only transaction",
                ));
            }
            self.manager.check_poison()?;
            self.id = Some(self.manager.next_transaction_id());
        }
        Ok(self.command)
    }

    /// Makes everything visible without waiting until it is durable: it will be before any later commit is.
    /// # Errors
    /// As [`Transaction::commit`].
    pub fn commit_unawaited(self) -> Result<Option<Lsn>> {
        self.commit(Durability::Off)
    }

    /// Makes everything permanent and visible; returns the commit's timestamp, `None` when nothing was written.
    /// # Errors
    /// Before anything is logged: `40001` at serializable, `53100`, `53200`, `57014`, the poison of a stopped database:
    /// the transaction is rolled back. After: `08007`, an I/O error left the outcome unknown.
    pub fn commit(mut self, durability: Durability) -> Result<Option<Lsn>> {
        let Some(mut scratch) = self.scratch.take() else { return Ok(None) };
        let mut reader = self.serializable.take().map(|reader| reader.into_inner());
        if !self.isolation.keeps_snapshot() {
            // What it was read for is done: versions that only it would keep need not be kept.
            scratch.slot.release();
        }
        let result = match self.id {
            Some(id) if !scratch.writes.is_empty() || !scratch.links.is_empty() => {
                self.manager.commit_writes(&mut scratch, id, durability, &self.cancel, reader.as_mut())
            }
            _ => Ok(None),
        };
        if let Some(reader) = reader {
            self.manager.leave_serializable(&reader);
        }
        // Locks outlive publication; the own snapshot would hold up the horizon.
        self.manager.locks.release_to(&scratch.owner, &mut scratch.locks, LockMark::default());
        scratch.slot.release();
        self.manager.locks.transaction_ended(&scratch.owner);
        match &result {
            Ok(Some(timestamp)) => self.manager.clean_up_after(&scratch, *timestamp),
            Ok(None) => self.manager.collect_some_garbage(),
            Err(_) => self.manager.count_rollback(),
        }
        self.manager.give_back(scratch);
        result
    }

    /// Undoes everything.
    pub fn rollback(self) {
        drop(self);
    }

    pub(super) fn take_scratch(&mut self) -> Option<Box<Scratch>> {
        self.scratch.take()
    }

    pub(super) fn put_scratch(&mut self, scratch: Box<Scratch>) {
        self.scratch = Some(scratch);
    }

    /// The number of its owner of locks.
    pub fn lock_owner(&self) -> u32 {
        self.scratch().owner.id()
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(reader) = self.serializable.take() {
            self.manager.leave_serializable(&reader.borrow());
        }
        if let Some(scratch) = self.scratch.take() {
            self.manager.undo(scratch);
        }
    }
}

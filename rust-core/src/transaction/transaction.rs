//! A transaction: its snapshot, its own writes, its locks, its end.
//! Knows trees and keys. Knows nothing of tables, columns or SQL.
//!
//! Reading a key: own write set first; then the page under its latch; and only after the latch, where the page
//! holds something newer than the snapshot, the version store. The order matters: a version is stored before
//! its page changes, so whoever saw the changed page finds the version.

use crate::common::cancel::CancelToken;
use crate::common::ids::{COUNTER_TREE, CommandNumber, Lsn, ObjectId, TransactionId, TreeId};
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
use crate::transaction::append;
use crate::transaction::commit::raised;
use crate::transaction::commit_history::{SerializableReads, read_write_conflict};
use crate::transaction::held_locks::{HeldLocks, LockMark};
use crate::transaction::lock_manager::LockOwner;
use crate::transaction::lockers::Awaited;
use crate::transaction::manager::{ManagerReference, TransactionManager};
use crate::transaction::moves::MoveTime;
use crate::transaction::mvcc::Resolution;
use crate::transaction::scan::TransactionScan;
use crate::transaction::scratch::Scratch;
use crate::transaction::types::{
    IsolationLevel, LockOutcome, Parts, ReadView, RowLockMode, Savemark, Snapshot, TableLockMode,
};
use crate::transaction::write_set::{OwnWrite, WriteSet};
use std::cell::RefCell;
use std::ops::Bound;

/// A copied value's buffer is kept for the next read up to this many bytes.
const BUFFER_BYTES_KEPT: usize = 64 << 10;
/// Locks that are held before consecutive keys are locked as runs.
const LOCKS_BEFORE_RUNS: usize = 64;
/// Locks that are held before those of keys in no order go into sets.
const LOCKS_BEFORE_SETS: usize = if cfg!(test) { 1 << 10 } else { 1 << 14 };

/// A tree as a transaction sees it: one of the database, or one that it created itself and that exists only
/// in its write set until commit. Cheap to clone; valid for the transaction that asked.
#[derive(Clone, Debug)]
pub struct TreeHandle {
    id: TreeId,
    tree: Option<Arc<Tree>>,
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
    manager: Arc<ManagerReference>,
    /// Taken only by the end.
    scratch: Option<Box<Scratch>>,
    isolation: IsolationLevel,
    read_only: bool,
    cancel: CancelToken,
    id: Option<TransactionId>,
    command: CommandNumber,
    snapshot: Option<Snapshot>,
    /// Statements started and not ended (a portal may stay open while the next one runs).
    open_statements: u32,
    /// Of a serializable transaction that may write.
    serializable: Option<Box<RefCell<SerializableReads>>>,
}

/// What the page alone could say of a key.
enum PageAnswer<R> {
    Done {
        result: R,
        present: bool,
    },
    /// Something on the page is newer than the snapshot; the row was copied.
    Newer {
        present: bool,
    },
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

    fn scratch(&self) -> &Scratch {
        self.scratch
            .as_ref()
            .expect("only commit and rollback take the scratch, and they take the transaction")
    }

    fn scratch_mut(&mut self) -> &mut Scratch {
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

    /// Reads a key. `read` gets `None` where there is no row. It may run under a leaf's latch: short work only,
    /// no I/O, no other read inside.
    /// # Errors
    /// I/O errors and damage; `XX000` for a read by snapshot outside a statement.
    pub fn get<R>(
        &self,
        tree: &TreeHandle,
        key: &[u8],
        view: ReadView,
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R> {
        self.get_parts(tree, key, view, || Parts::ALL, read)
    }

    /// As [`Transaction::get`], where `read` looks at no more than `parts` of the value.
    /// # Errors
    /// As there.
    pub fn get_parts<R>(
        &self,
        tree: &TreeHandle,
        key: &[u8],
        view: ReadView,
        parts: impl FnOnce() -> Parts,
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R> {
        if self.serializable.is_some() {
            self.record_key(tree, key, parts());
        }
        let before = (view == ReadView::Snapshot).then_some(self.command);
        let writes = &self.scratch().writes;
        let mut own = writes.get(tree.id, key, before);
        let mut buffer = Vec::new();
        if own.is_none() && writes.is_spilled() {
            own = writes.get_spilled(tree.id, key, before, &mut buffer)?;
        }
        match own {
            None => self.get_committed(tree, key, view, read),
            Some(OwnWrite::Put(value)) => Ok(read(Some(value))),
            Some(OwnWrite::Delete) => Ok(read(None)),
            Some(OwnWrite::Max(number)) => {
                let value = self.get_committed(tree, key, view, |value| raised(value, number))?;
                Ok(read(Some(&value)))
            }
        }
    }

    /// Whether there is a row under a key; what is in it does not matter.
    /// # Errors
    /// As [`Transaction::get`].
    pub fn exists(&self, tree: &TreeHandle, key: &[u8], view: ReadView) -> Result<bool> {
        self.get_parts(tree, key, view, || Parts::EXISTENCE, |value| value.is_some())
    }

    /// Reads keys at the statement's snapshot one after another, neighbours on one leaf together: `read` gets each
    /// key's number and its row, as for [`Transaction::get_parts`], in the order of `keys`. An error of `read` ends it.
    /// # Errors
    /// As for [`Transaction::get`], and those of `read`.
    pub fn get_each<K: AsRef<[u8]>>(
        &self,
        tree: &TreeHandle,
        keys: &[K],
        parts: impl Fn() -> Parts,
        mut read: impl FnMut(usize, Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        if self.serializable.is_some() {
            let parts = parts();
            keys.iter().for_each(|key| self.record_key(tree, key.as_ref(), parts));
        }
        let mut done = 0;
        while done < keys.len() {
            // What others changed since, and what this transaction wrote, is looked up after the latch.
            let mut alone = true;
            if let Some(committed) = self.base(tree)
                && !self.scratch().writes.is_spilled_in(tree.id)
            {
                let snapshot = self.snapshot()?;
                let writes = &self.scratch().writes;
                let mut outcome = Ok(());
                alone = false;
                done += committed.get_run(&keys[done..], |index, entry, max_timestamp| {
                    let index = done + index;
                    let own = || writes.get(tree.id, keys[index].as_ref(), Some(self.command)).is_some();
                    alone = !snapshot.sees(max_timestamp) || entry.is_none() || own();
                    if alone || outcome.is_err() {
                        return false;
                    }
                    outcome = read(index, entry.filter(|entry| !entry.ghost).map(|entry| entry.value));
                    true
                })?;
                outcome?;
            }
            if alone && let Some(key) = keys.get(done) {
                self.get_parts(tree, key.as_ref(), ReadView::Snapshot, &parts, |value| read(done, value))??;
                done += 1;
            }
        }
        Ok(())
    }

    /// Notes that parts of the value under a key were read, whichever view it was read with and whatever was found: what is read of the
    /// latest state under a lock is undone without it by a return to a savepoint, and still known.
    #[cold]
    #[inline(never)]
    fn record_key(&self, tree: &TreeHandle, key: &[u8], parts: Parts) {
        // Numbers are given out once each, to whoever comes; what this transaction created nobody else can write.
        if tree.id != COUNTER_TREE
            && tree.tree.is_some()
            && let Some(reader) = &self.serializable
        {
            reader.borrow_mut().reads.add_key(tree.id, key, parts);
        }
    }

    /// Whether scans are to say how far they came.
    pub(super) fn records_reads(&self) -> bool {
        self.serializable.is_some() && !is_planted(PlantedFault::RangeReadsNotRecorded)
    }

    /// Notes that parts of the values in a range of a tree were read.
    pub(super) fn record_range(&self, tree: TreeId, lower: Bound<&[u8]>, upper: Bound<&[u8]>, parts: Parts) {
        if let Some(reader) = &self.serializable {
            reader.borrow_mut().reads.add_range(tree, (lower, upper), parts);
        }
    }

    /// Whether somebody may ask which parts of values this transaction changes; if not, they need not be found out.
    #[inline]
    pub fn tells_parts(&self) -> bool {
        self.manager.history.is_recording()
    }

    /// Whether this serializable transaction has read the key before; false at other levels.
    pub fn has_read(&self, tree: &TreeHandle, key: &[u8]) -> bool {
        self.serializable.as_ref().is_some_and(|reader| reader.borrow().reads.holds(tree.id, key))
    }

    fn get_committed<R>(
        &self,
        tree: &TreeHandle,
        key: &[u8],
        view: ReadView,
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R> {
        let Some(tree) = self.base(tree) else { return Ok(read(None)) };
        if view == ReadView::Latest {
            return tree
                .get(key, |entry, _| read(entry.filter(|entry| !entry.ghost).map(|entry| entry.value)));
        }
        let snapshot = self.snapshot()?;
        let mut read = Some(read);
        let mut copy: Option<Vec<u8>> = None;
        let answer = tree.get(key, |entry, max_timestamp| {
            let value = entry.filter(|entry| !entry.ghost).map(|entry| entry.value);
            if snapshot.sees(max_timestamp)
                && let Some(read) = read.take()
            {
                // Where there is no row there may have been one, and its page.
                return PageAnswer::Done { result: read(value), present: value.is_some() };
            }
            if let Some(value) = value {
                let mut buffer = self.scratch().buffer.take();
                buffer.clear();
                buffer.extend_from_slice(value);
                copy = Some(buffer);
            }
            PageAnswer::Newer { present: value.is_some() }
        })?;
        let present = match answer {
            PageAnswer::Done { result, present: true } => return Ok(result),
            PageAnswer::Done { result, present: false } => {
                self.manager.check_age(snapshot.timestamp())?;
                return Ok(result);
            }
            PageAnswer::Newer { present } => present,
        };
        // Page first, versions after: see the module.
        let mut buffer = copy.unwrap_or_else(|| self.scratch().buffer.take());
        let copied = if present { buffer.len() } else { 0 };
        buffer.truncate(copied);
        let resolution = self.manager.versions.resolve(tree.id(), key, snapshot.timestamp(), &mut buffer)?;
        self.manager.check_age(snapshot.timestamp())?;
        let value = match resolution {
            Resolution::Current if present => Some(&buffer[..]),
            Resolution::Current | Resolution::Absent => None,
            Resolution::Value => Some(&buffer[copied..]),
        };
        let read = read.take().expect("it runs under the latch or here, and that arm returned");
        let result = read(value);
        if buffer.capacity() <= BUFFER_BYTES_KEPT {
            self.scratch().buffer.set(buffer);
        }
        Ok(result)
    }

    /// Whether a commit newer than the snapshot changed the key. To be asked after locking it: repeatable read
    /// then fails with [`Transaction::serialization_failure`].
    /// # Errors
    /// As [`Transaction::get`].
    pub fn changed_since_snapshot(&self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        let Some(tree) = self.base(tree) else { return Ok(false) };
        let snapshot = self.snapshot()?;
        if tree.get(key, |_, max_timestamp| snapshot.sees(max_timestamp))? {
            return Ok(false);
        }
        let changed = self.manager.versions.changed_since(tree.id(), key, snapshot.timestamp())?;
        self.manager.check_age(snapshot.timestamp())?;
        Ok(changed)
    }

    /// Whether the row that the snapshot sees was deleted, and another one added under the key, by commits since then.
    /// # Errors
    /// `XX000` outside a statement.
    pub fn replaced_since_snapshot(&self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        let Some(tree) = self.base(tree) else { return Ok(false) };
        let snapshot = self.snapshot()?.timestamp();
        let replaced = self.manager.versions.was_absent_since(tree.id(), key, snapshot)?;
        self.manager.check_age(snapshot)?;
        Ok(replaced)
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

    /// Locks a key, waiting as long as it takes. Keys of trees that this transaction created need no lock.
    /// # Errors
    /// `40P01` at once when waiting would close a cycle; `57014` while waiting; `53200`; the poison of a stopped database.
    pub fn lock_row(&mut self, tree: TreeId, key: &[u8], mode: RowLockMode) -> Result<LockOutcome> {
        let outcome = self.take_row_lock(tree, key, mode)?;
        // Whoever could not make a commit durable has given its locks back, and what it changed is nobody's to see.
        self.manager.check_poison()?;
        Ok(outcome)
    }

    fn take_row_lock(&mut self, tree: TreeId, key: &[u8], mode: RowLockMode) -> Result<LockOutcome> {
        let Transaction { manager, scratch: Some(scratch), cancel, .. } = self else {
            return Err(Error::internal("a lock after the transaction's end"));
        };
        if scratch.writes.is_created(tree) || scratch.escalation.covers(tree) {
            return Ok(LockOutcome::Granted);
        }
        if scratch.locks.len() >= LOCKS_BEFORE_RUNS
            && append::lock_next_key(manager, scratch, tree, key, mode)?
        {
            return Ok(LockOutcome::Granted);
        }
        if scratch.locks.count() >= LOCKS_BEFORE_SETS
            && manager.locks.lock_in_set(&scratch.owner, &mut scratch.locks, (tree, key), mode)?
        {
            return Ok(LockOutcome::Granted);
        }
        manager.locks.lock_row(&scratch.owner, &mut scratch.locks, (tree, key), mode, cancel)
    }

    /// Locks a key that is to be added, when it goes on behind the keys that the transaction added to the tree before
    /// and nobody has it, neither in the tree nor locked. False: nothing happened; lock it and look for yourself.
    /// # Errors
    /// `53200`; I/O errors.
    pub fn lock_fresh_key(&mut self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        let Transaction { manager, scratch: Some(scratch), .. } = self else {
            return Err(Error::internal("a lock after the transaction's end"));
        };
        if let Some(built) = scratch.links.find(tree.id) {
            return Ok(key > built.last_key() && scratch.writes.is_above_all(tree.id, key));
        }
        let is_fresh = match &tree.tree {
            None => scratch.writes.is_above_all(tree.id, key),
            Some(committed) => append::lock_fresh_key(manager, scratch, committed, key)?,
        };
        if is_fresh && self.serializable.is_some() {
            self.record_key(tree, key, Parts::EXISTENCE);
        }
        Ok(is_fresh)
    }

    /// Locks a table instead of its rows, which are in `trees`, from here on, if the transaction has very many locks and
    /// nobody else is at work on the table. Never waits. To be called now and then by whoever changes many rows, with
    /// ROW EXCLUSIVE on the table; everybody who locks rows of it holds ROW SHARE at least.
    /// # Errors
    /// `53200`.
    pub fn escalate(&mut self, table: ObjectId, trees: impl Iterator<Item = TreeId>) -> Result<()> {
        let Transaction { manager, scratch: Some(scratch), .. } = self else {
            return Err(Error::internal("a lock after the transaction's end"));
        };
        let Scratch { escalation, owner, locks, .. } = &mut **scratch;
        escalation.ask(&manager.locks, owner, locks, table, trees)
    }

    /// Locks a key if that needs no waiting; false: somebody is in the way (NOWAIT, SKIP LOCKED).
    /// # Errors
    /// `53200`.
    pub fn try_lock_row(&mut self, tree: TreeId, key: &[u8], mode: RowLockMode) -> Result<bool> {
        let Transaction { manager, scratch: Some(scratch), .. } = self else {
            return Err(Error::internal("a lock after the transaction's end"));
        };
        if scratch.writes.is_created(tree) || scratch.escalation.covers(tree) {
            return Ok(true);
        }
        let is_granted = manager.locks.try_lock_row(&scratch.owner, &mut scratch.locks, (tree, key), mode)?;
        manager.check_poison()?;
        Ok(is_granted)
    }

    /// Waits until nobody else has a lock on a key that `mode` would meet. Takes no lock itself.
    /// # Errors
    /// As [`Transaction::lock_row`].
    pub fn wait_for_row(&mut self, tree: TreeId, key: &[u8], mode: RowLockMode) -> Result<LockOutcome> {
        let Transaction { manager, scratch: Some(scratch), cancel, .. } = self else {
            return Err(Error::internal("a lock after the transaction's end"));
        };
        if scratch.writes.is_created(tree) || scratch.escalation.covers(tree) {
            return Ok(LockOutcome::Granted);
        }
        let mark = scratch.locks.mark_of_rows();
        let outcome =
            manager.locks.lock_row(&scratch.owner, &mut scratch.locks, (tree, key), mode, cancel)?;
        manager.locks.release_to(&scratch.owner, &mut scratch.locks, mark);
        manager.check_poison()?;
        Ok(outcome)
    }

    /// The locks taken so far, for [`Transaction::release_locks`].
    pub fn lock_mark(&self) -> LockMark {
        self.scratch().locks.mark_of_rows()
    }

    /// Gives back the locks taken since `mark`. Nothing may have been written under them.
    pub fn release_locks(&mut self, mark: LockMark) {
        let manager = Arc::clone(&self.manager);
        let scratch = self.scratch_mut();
        manager.locks.release_to(&scratch.owner, &mut scratch.locks, mark);
        scratch.escalation.released_to(scratch.locks.len());
    }

    /// Whether this transaction has deleted the key.
    /// # Errors
    /// I/O errors of a write set in temporary files.
    pub fn has_deleted(&self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        let writes = &self.scratch().writes;
        if matches!(writes.get(tree.id, key, None), Some(OwnWrite::Delete)) {
            return Ok(true);
        }
        let mut buffer = Vec::new();
        Ok(writes.is_spilled()
            && matches!(writes.get_spilled(tree.id, key, None, &mut buffer)?, Some(OwnWrite::Delete)))
    }

    /// Whether the command that runs has written the key itself.
    /// # Errors
    /// I/O errors of a write set in temporary files.
    pub fn is_written_by_command(&self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        self.scratch().writes.is_written_since(tree.id, key, self.command)
    }

    /// Locks a table, waiting as long as it takes.
    /// # Errors
    /// As [`Transaction::lock_row`].
    pub fn lock_table(&mut self, table: ObjectId, mode: TableLockMode) -> Result<LockOutcome> {
        let Transaction { manager, scratch: Some(scratch), cancel, .. } = self else {
            return Err(Error::internal("a lock after the transaction's end"));
        };
        manager.locks.lock_table(&scratch.owner, &mut scratch.locks, table, mode, cancel)
    }

    /// Locks a table if that needs no waiting; false: somebody else is in the way.
    /// # Errors
    /// `53200`.
    pub fn try_lock_table(&mut self, table: ObjectId, mode: TableLockMode) -> Result<bool> {
        let Transaction { manager, scratch: Some(scratch), .. } = self else {
            return Err(Error::internal("a lock after the transaction's end"));
        };
        manager.locks.try_lock_table(&scratch.owner, &mut scratch.locks, table, mode)
    }

    /// Waits until every other session's transaction has ended that holds a lock on the table now which `mode` would meet.
    /// Takes no lock, and keeps nobody from taking one meanwhile.
    /// # Errors
    /// As [`Transaction::lock_row`].
    pub fn await_lockers(&mut self, table: ObjectId, mode: TableLockMode) -> Result<()> {
        self.await_transactions(table, Awaited::Table(mode))
    }

    /// Waits until every other session's transaction has ended that keeps a snapshot now which does not see the commit
    /// `timestamp`: others take a new one with their next statement. It is shown as a wait at `table`.
    /// # Errors
    /// As [`Transaction::lock_row`].
    pub fn await_snapshots_below(&mut self, timestamp: Lsn, table: ObjectId) -> Result<()> {
        let manager = Arc::clone(&self.manager);
        self.await_transactions(table, Awaited::Snapshots(&manager.snapshots, timestamp))
    }

    fn await_transactions(&self, table: ObjectId, awaited: Awaited<'_>) -> Result<()> {
        self.manager.locks.await_lockers(&self.scratch().owner, table, awaited, &self.cancel)
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

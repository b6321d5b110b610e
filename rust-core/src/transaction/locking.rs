//! The locks that a transaction takes and gives back, of rows and of tables, and its waits for others' ends.

use crate::common::ids::{Lsn, ObjectId, TreeId};
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::transaction::append;
use crate::transaction::held_locks::LockMark;
use crate::transaction::lockers::Awaited;
use crate::transaction::scratch::Scratch;
use crate::transaction::transaction::{Transaction, TreeHandle};
use crate::transaction::types::{LockOutcome, Parts, RowLockMode, TableLockMode};

/// Locks that are held before consecutive keys are locked as runs.
const LOCKS_BEFORE_RUNS: usize = 64;
/// Locks that are held before those of keys in no order go into sets.
const LOCKS_BEFORE_SETS: usize = if cfg!(test) { 1 << 10 } else { 1 << 14 };

impl Transaction {
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
}

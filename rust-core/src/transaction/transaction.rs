//! A transaction and the manager that begins it (the interface lands before its bodies).
#![allow(unused_variables, dead_code, reason = "the interface lands before its bodies")]
use crate::common::cancel::CancelToken;
use crate::common::ids::{Lsn, ObjectId, TransactionId, TreeId};
use crate::error::{Error, Result};
use crate::storage::{Storage, Tree};
use crate::transaction::lock_manager::LockManager;
use crate::transaction::scan::TransactionScan;
use crate::transaction::types::{
    IsolationLevel, LockOutcome, ReadView, RowLockMode, Savemark, TableLockMode,
};
use std::ops::Bound;
use std::sync::Arc;

/// Begins transactions; owns versions, locks and the order of commits. Threads: any.
#[derive(Debug)]
pub struct TransactionManager;
impl TransactionManager {
    /// Begins a transaction. Does not allocate once warm, takes no snapshot yet.
    pub fn begin(
        self: &Arc<Self>,
        isolation: IsolationLevel,
        read_only: bool,
        cancel: CancelToken,
    ) -> Transaction {
        unimplemented!()
    }
    /// The newest published commit.
    pub fn visible_lsn(&self) -> Lsn {
        unimplemented!()
    }
    /// Writes a checkpoint; `clean`: the log will be removed after it.
    pub fn checkpoint(&self, clean: bool) -> Result<Lsn> {
        unimplemented!()
    }
    /// Refuses every later write with `error`.
    pub fn poison(&self, error: Error) {
        unimplemented!()
    }
    /// The lock table.
    pub fn lock_manager(&self) -> &LockManager {
        unimplemented!()
    }
    /// The pages.
    pub fn storage(&self) -> &Arc<Storage> {
        unimplemented!()
    }
}

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
pub struct Transaction;
impl Transaction {
    /// Starts a statement: the next command number; a new snapshot (read committed), or the transaction's.
    pub fn start_statement(&mut self) -> Result<Savemark> {
        unimplemented!()
    }
    /// Ends a statement: read committed gives its snapshot back.
    pub fn end_statement(&mut self) {
        unimplemented!()
    }
    /// A mark to roll back to (SAVEPOINT).
    pub fn savemark(&self) -> Savemark {
        unimplemented!()
    }
    /// Undoes the writes and gives back the locks since `mark`.
    pub fn rollback_to(&mut self, mark: Savemark) {
        unimplemented!()
    }
    /// Own writes so far become visible to reads that start from here.
    pub fn next_command(&mut self) {
        unimplemented!()
    }
    /// The statement's snapshot.
    pub fn snapshot_timestamp(&self) -> Lsn {
        unimplemented!()
    }
    /// The isolation level.
    pub fn isolation(&self) -> IsolationLevel {
        unimplemented!()
    }
    /// A tree of the database, or one that this transaction created.
    pub fn tree_handle(&self, tree: TreeId) -> Result<TreeHandle> {
        unimplemented!()
    }
    /// Reads a key. `read` may run under a leaf's latch: short work only, no other read inside.
    pub fn get<R>(
        &self,
        tree: &TreeHandle,
        key: &[u8],
        view: ReadView,
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R> {
        unimplemented!()
    }
    /// Whether a commit newer than the snapshot changed the key.
    pub fn changed_since_snapshot(&self, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        unimplemented!()
    }
    /// Scans a key range as the statement sees it.
    pub fn scan(
        &self,
        tree: &TreeHandle,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        backward: bool,
    ) -> TransactionScan {
        unimplemented!()
    }
    /// Writes a key.
    pub fn put(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<()> {
        unimplemented!()
    }
    /// Deletes a key; one that does not exist stays so.
    pub fn delete(&mut self, tree: TreeId, key: &[u8]) -> Result<()> {
        unimplemented!()
    }
    /// Raises a counter (8 bytes, big-endian) to at least `number`.
    pub fn max(&mut self, tree: TreeId, key: &[u8], number: u64) -> Result<()> {
        unimplemented!()
    }
    /// A new tree, which exists for others from the commit on.
    pub fn create_tree(&mut self) -> Result<TreeId> {
        unimplemented!()
    }
    /// Drops a tree at commit. The caller holds ACCESS EXCLUSIVE on what it belongs to.
    pub fn drop_tree(&mut self, tree: TreeId) -> Result<()> {
        unimplemented!()
    }
    /// An application record in the log.
    pub fn message(&mut self, data: &[u8]) -> Result<()> {
        unimplemented!()
    }
    /// Locks a key, waiting as long as it takes.
    pub fn lock_row(&mut self, tree: TreeId, key: &[u8], mode: RowLockMode) -> Result<LockOutcome> {
        unimplemented!()
    }
    /// Locks a key if that needs no waiting; false: somebody is in the way.
    pub fn try_lock_row(&mut self, tree: TreeId, key: &[u8], mode: RowLockMode) -> Result<bool> {
        unimplemented!()
    }
    /// Locks a table, waiting as long as it takes.
    pub fn lock_table(&mut self, table: ObjectId, mode: TableLockMode) -> Result<LockOutcome> {
        unimplemented!()
    }
    /// Whether nothing was written yet.
    pub fn is_read_only_so_far(&self) -> bool {
        unimplemented!()
    }
    /// The transaction's id; assigned by its first write.
    pub fn id(&self) -> Option<TransactionId> {
        unimplemented!()
    }
    /// Undoes everything.
    pub fn rollback(self) {
        unimplemented!()
    }
}

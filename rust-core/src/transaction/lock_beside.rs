//! Table locks that functions take for the transaction that runs them: nextval's on its sequence, once a transaction.
//! Knows owners and tables. Knows nothing of sequences.
//!
//! A function does not hold the transaction, and so cannot reach its list of locks; these are in a list of their own
//! with the owner, which goes when everything that the transaction holds goes. A return to a savepoint leaves them.

use crate::common::cancel::CancelToken;
use crate::common::ids::ObjectId;
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::Result;
use crate::transaction::held_locks::LockMark;
use crate::transaction::lock_manager::{LockManager, LockOwner};
use crate::transaction::types::{LockOutcome, TableLockMode};

impl LockManager {
    /// Locks a table, or what else has such a number, until the owner's transaction ends.
    /// # Errors
    /// As [`LockManager::lock_row`].
    pub fn lock_beside(
        &self,
        owner: &Arc<LockOwner>,
        table: ObjectId,
        mode: TableLockMode,
        cancel: &CancelToken,
    ) -> Result<LockOutcome> {
        // Nobody else takes this mutex while the owner's thread waits.
        let mut held = owner.beside.lock();
        let outcome = self.lock_table(owner, &mut held, table, mode, cancel);
        owner.beside_count.store(held.len() as u32, Ordering::Relaxed);
        outcome
    }

    /// The owner's transaction ends.
    pub(super) fn release_beside(&self, owner: &LockOwner) {
        owner.beside_count.store(0, Ordering::Relaxed);
        let mut held = owner.beside.lock();
        self.release_to(owner, &mut held, LockMark::default());
    }
}

//! Escalation: a transaction with very many row locks locks the table instead, if nobody is in its way.
//! Knows tables and the trees that their rows and entries are in. Knows nothing of rows.
//!
//! Whoever locks rows of a table holds at least ROW SHARE on it. So EXCLUSIVE, which meets that and lets readers be,
//! says that nobody else holds or waits for a row, and keeps it so. It is asked for without waiting: where somebody
//! is at work, row locks go on being taken.

use crate::common::ids::{ObjectId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::transaction::held_locks::HeldLocks;
use crate::transaction::lock_manager::{LockManager, LockOwner};
use crate::transaction::types::TableLockMode;
use smallvec::SmallVec;

/// What a row lock takes, about, in the lock table and in its owner's list.
const LOCK_BYTES: usize = 96;
/// Row locks take this share of the memory limit before their table is locked.
const MEMORY_SHARE: usize = 16;
/// Fewer row locks are always taken.
const LOCKS_MIN: usize = 1024;

/// The tables of a transaction that are locked instead of their rows.
#[derive(Debug)]
pub(super) struct Escalation {
    /// Trees of such tables, with the number of locks before the table's.
    trees: SmallVec<[(TreeId, usize); 4]>,
    /// Beyond so many locks a table is asked for.
    locks_max: usize,
    /// As `locks_max`, but more after each refusal.
    asked_next: usize,
}

impl Escalation {
    pub(super) fn new(memory: &Arc<MemoryAccount>) -> Escalation {
        let locks_max = (memory.limit() / MEMORY_SHARE / LOCK_BYTES).max(LOCKS_MIN);
        Escalation { trees: SmallVec::new(), locks_max, asked_next: locks_max }
    }

    /// Whether keys of the tree need no lock.
    #[inline]
    pub(super) fn covers(&self, tree: TreeId) -> bool {
        !self.trees.is_empty() && self.trees.iter().any(|(covered, _)| *covered == tree)
    }

    /// Asks for the table if the transaction has very many locks. Cheap when it has not.
    /// # Errors
    /// `53200`.
    pub(super) fn ask(
        &mut self,
        locks: &LockManager,
        owner: &LockOwner,
        held: &mut HeldLocks,
        table: ObjectId,
        trees: impl Iterator<Item = TreeId>,
    ) -> Result<()> {
        if held.count() <= self.asked_next {
            return Ok(());
        }
        let mut trees = trees.peekable();
        if trees.peek().is_none_or(|tree| self.covers(*tree)) {
            return Ok(());
        }
        if !self.ask_now(locks, owner, held, table, trees)? {
            self.asked_next = held.count().saturating_mul(2);
        }
        Ok(())
    }

    /// Asks for the table at once; whether it was granted.
    /// # Errors
    /// `53200`.
    pub(super) fn ask_now(
        &mut self,
        locks: &LockManager,
        owner: &LockOwner,
        held: &mut HeldLocks,
        table: ObjectId,
        trees: impl Iterator<Item = TreeId>,
    ) -> Result<bool> {
        let before = held.len();
        let granted = locks.try_lock_table_strongly(owner, held, table, TableLockMode::Exclusive)?;
        // Covered by an older lock: that one goes no sooner than this would.
        if granted {
            self.trees.extend(trees.map(|tree| (tree, before.min(held.len().saturating_sub(1)))));
        }
        Ok(granted)
    }

    /// Locks after the first `held` were given back.
    pub(super) fn released_to(&mut self, held: usize) {
        self.trees.retain(|(_, before)| *before < held);
        self.asked_next = self.locks_max;
    }
}

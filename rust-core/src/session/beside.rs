//! What statements have in common that make or remove indexes beside a table's readers and writers.
//!
//! One lock on the table, SHARE UPDATE EXCLUSIVE, is held from begin to end by a transaction that does nothing else, so that
//! nobody else changes the table's definition; the work is done in transactions of its own. Between steps those are waited
//! for who know the definition of before: all that hold locks on the table then. Nobody waits for the one who waits.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::TableDefinition;
use crate::common::ids::{Lsn, ObjectId, TreeId};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::{Block, WantedModes};
use crate::session::leavings::Leaving;
use crate::session::prepared::Prepared;
use crate::session::session::Session;
use crate::session::transactions::refuse_if_read_only;
use crate::transaction::types::{IsolationLevel, TableLockMode};

/// A table that a statement works on beside others.
pub(super) struct Beside {
    /// Holds the lock.
    guard: Block,
    pub(super) table: ObjectId,
}

/// Finds the table that a statement is about; `None`: there is nothing to do.
pub(super) type FindTable<'a> =
    &'a mut dyn FnMut(&mut Session, &CatalogSnapshot) -> Result<Option<Arc<TableDefinition>>>;

impl Session {
    /// # Errors
    /// `25001` in a transaction block.
    pub(super) fn refuse_in_block(&self, what: &str) -> Result<()> {
        match &self.block {
            None => Ok(()),
            Some(_) => Err(Error::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                format!("{what} cannot run inside a transaction block"),
            )),
        }
    }

    /// A transaction of such a statement.
    pub(super) fn build_block(&self) -> Block {
        self.cancel.unshield();
        self.new_block(WantedModes {
            isolation: Some(IsolationLevel::ReadCommitted),
            ..WantedModes::default()
        })
    }

    /// Locks the table that `find` gives, which is still the one that it gives under the lock.
    pub(super) fn begin_beside(
        &mut self,
        statement: &Prepared,
        what: &str,
        find: FindTable<'_>,
    ) -> Result<Option<Beside>> {
        self.clear_leavings();
        loop {
            let mut guard = self.build_block();
            refuse_if_read_only(&guard, statement.kind())?;
            let (_, catalog) = self.catalog_of(&guard);
            let Some(table) = find(self, &catalog)? else { return Ok(None) };
            self.refuse_if_in_use(&table, what)?;
            guard.transaction.lock_table(table.id, TableLockMode::ShareUpdateExclusive)?;
            let (_, now) = self.catalog_of(&guard);
            let is_same =
                Arc::ptr_eq(&catalog, &now) || find(self, &now)?.is_some_and(|now| now.id == table.id);
            if is_same {
                return Ok(Some(Beside { guard, table: table.id }));
            }
        }
    }

    /// Waits for those to end who hold a lock on the table now that `mode` meets.
    pub(super) fn await_lockers(&self, beside: &mut Beside, mode: TableLockMode) -> Result<()> {
        self.cancel.unshield();
        beside.guard.transaction.await_lockers(beside.table, mode)
    }

    /// Waits for those to end who keep a snapshot now; gives the newest commit that one of them can know.
    pub(super) fn await_snapshots(&self, beside: &mut Beside) -> Result<Lsn> {
        self.cancel.unshield();
        let newest = self.engine.manager.visible_lsn();
        beside.guard.transaction.await_snapshots_below(Lsn(newest.0 + 1), beside.table)?;
        Ok(newest)
    }

    pub(super) fn commit_build(&mut self, block: Block) -> Result<()> {
        if block.commit(&self.engine, &self.environment)?.is_some() {
            self.after_commit();
        }
        Ok(())
    }

    /// The newest definition of the table.
    pub(super) fn newest_definition(&self, table: ObjectId) -> Result<Arc<TableDefinition>> {
        self.engine.definitions.stable_epoch();
        self.engine.catalog.current().table_by_id(table).ok_or_else(gone)
    }

    /// Makes `own`, of which nothing is stored, everybody's. The caller has locked the definitions.
    pub(super) fn publish_unstored(&self, own: &CatalogSnapshot) {
        let newest = self.engine.manager.visible_lsn();
        self.engine.definitions.publish(|| self.engine.catalog.publish(newest, own));
    }

    /// Takes the hidden indexes of these trees out of the newest definition, if they are in it.
    pub(super) fn hide_for_good(&self, base: &CatalogSnapshot, table: ObjectId, trees: &[TreeId]) {
        let Some(mut table) = base.table_by_id(table) else { return };
        let is_meant = |table: &TableDefinition| {
            table
                .layout
                .indexes
                .iter()
                .position(|index| trees.contains(&index.tree) && index.runtime.is_unfinished())
        };
        let mut is_changed = false;
        while let Some(position) = is_meant(&table) {
            table = Arc::new(table.without_index(position));
            is_changed = true;
        }
        if is_changed {
            self.publish_unstored(&base.with_table(table));
        }
    }

    /// Gives up the trees of hidden indexes whose entries nobody begins to read any more: they go when those have ended who
    /// keep them, now if there are none.
    pub(super) fn give_up(&mut self, table: ObjectId, trees: Vec<TreeId>) {
        self.engine.leavings.add(Leaving { table, trees, is_kept: true, awaited: None });
        self.clear_leavings();
    }

    /// As `give_up`, of indexes that some who hold locks on the table may still read.
    pub(super) fn give_up_after_readers(&mut self, table: ObjectId, trees: Vec<TreeId>) {
        let locks = self.engine.manager.lock_manager();
        let awaited = Some(locks.lockers(self.id(), table, TableLockMode::AccessExclusive));
        self.engine.leavings.add(Leaving { table, trees, is_kept: true, awaited });
        self.clear_leavings();
    }

    /// Drops the trees of indexes that the newest definition has no more, when those have ended who may know an older one.
    /// Their going is certain by now: whoever does not want to wait for it leaves it to others.
    pub(super) fn drop_when_unused(&mut self, mut beside: Beside, trees: Vec<TreeId>) -> Result<()> {
        let table = beside.table;
        if self.await_lockers(&mut beside, TableLockMode::AccessExclusive).is_ok() {
            drop(beside);
            return self.engine.catalog.drop_unfinished(&self.engine.manager, &trees);
        }
        let locks = self.engine.manager.lock_manager();
        let awaited = Some(locks.lockers(self.id(), table, TableLockMode::AccessExclusive));
        self.engine.leavings.add(Leaving { table, trees, is_kept: false, awaited });
        Ok(())
    }
}

pub(super) fn gone() -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        "the index or its table was dropped while the index was being built",
    )
}

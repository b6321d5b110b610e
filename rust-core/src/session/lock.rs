//! LOCK TABLE: a transaction's locks, taken before they are needed.

use crate::common::arena::Arena;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::{self, Prepared};
use crate::session::savepoint::needs_block;
use crate::session::session::Session;
use crate::sql::binder::bound::{BoundStatement, LockTables};
use crate::transaction::types::TableLockMode;
use std::collections::VecDeque;

impl Session {
    /// Locks the tables one after the other, as written.
    pub(crate) fn execute_lock(&mut self, statement: &Arc<Prepared>) -> Result<Portal> {
        let Some(mut block) = self.block.take_if(|block| !block.implicit) else {
            return Err(needs_block("LOCK TABLE"));
        };
        let outcome = self.lock_tables(statement, &mut block);
        self.block = Some(block);
        outcome?;
        let state = PortalState::complete(VecDeque::new(), None);
        Ok(Portal::new(Arc::clone(statement.columns()), statement.kind(), state))
    }

    fn lock_tables(&self, statement: &Prepared, block: &mut Block) -> Result<()> {
        loop {
            // A table that was dropped, and made anew, while its lock was waited for is another one.
            let (_, catalog) = self.catalog_of(block);
            let arena = Arena::new();
            let BoundStatement::Lock(LockTables { tables, mode, no_wait }) =
                prepared::bind_again(statement, &catalog, &arena)?
            else {
                return Err(Error::internal("not LOCK TABLE"));
            };
            let mode = TableLockMode::ALL.into_iter().find(|one| one.sql_name() == mode);
            let mode = mode.ok_or_else(|| Error::internal("a lock mode that nobody knows"))?;
            for (table, name) in tables {
                if !no_wait {
                    block.transaction.lock_table(table, mode)?;
                } else if !block.transaction.try_lock_table(table, mode)? {
                    return Err(Error::new(
                        SqlState::LOCK_NOT_AVAILABLE,
                        format!("could not obtain lock on relation \"{name}\""),
                    ));
                }
            }
            if Arc::ptr_eq(&catalog, &self.catalog_of(block).1) {
                return Ok(());
            }
        }
    }
}

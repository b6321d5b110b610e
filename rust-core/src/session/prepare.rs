//! From text to a plan, and a plan made anew when definitions have changed since.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::arena::Arena;
use crate::common::ids::Lsn;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::prepared::{self, Plan, Prepared, Stamp, StatementMemory};
use crate::session::session::Session;
use crate::sql::binder::bound::BoundStatement;
use crate::sql::types::text::check_sql_text;

/// Memory for syntax trees that a session keeps from statement to statement.
const ARENA_BYTES_KEPT: usize = 64 << 10;

impl Session {
    /// Parses, binds and plans the first statement of `sql`. Gives it, or `None` where there is only blank
    /// space or comments, and the bytes it takes, its semicolon included. Equal texts are planned once.
    /// # Errors
    /// What the text deserves, with its position; `54000` beyond `max_statement_size`; `25P02`. Inside a
    /// transaction block an error aborts the block, as PostgreSQL does.
    pub fn prepare(&mut self, sql: &str) -> Result<(Option<Arc<Prepared>>, usize)> {
        let result =
            self.go_on().and_then(|()| self.refuse_if_terminated()).and_then(|()| self.prepare_first(sql));
        if let Err(error) = &result {
            self.fail_block();
            self.leave(Some(error), false);
        }
        result
    }

    pub(crate) fn prepare_first(&mut self, sql: &str) -> Result<(Option<Arc<Prepared>>, usize)> {
        let has_own = self.block.as_ref().is_some_and(|block| block.catalog.is_some());
        if !has_own
            && !self.failed
            && let Some(statement) = self.cache.get(sql)
            && statement.was_planned_at(self.engine.definitions.epoch())
        {
            return Ok((Some(statement), sql.len()));
        }
        let limit = self.environment.settings.effects().statement_bytes_max;
        if sql.len() > limit {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("statement of {} bytes is longer than max_statement_size", sql.len()),
            )
            .hint(format!("max_statement_size is {limit} bytes.")));
        }
        check_sql_text(sql.as_bytes())?;
        let (stamp, catalog) = self.current_catalog();
        let memory = StatementMemory::for_text(sql, &self.engine);
        let bound =
            prepared::bind_first(sql, &catalog, &self.environment.named, (&self.arena, memory.as_ref()));
        self.clear_arena();
        let (bound, taken) = match bound {
            Ok(bound) => bound,
            // In a failed block everything but its end is refused, whatever it means.
            Err(error) if !is_about_names(error.state()) || error.state() == SqlState::SYNTAX_ERROR => {
                return Err(error);
            }
            Err(error) => return Err(self.refuse_if_failed().err().unwrap_or(error)),
        };
        let Some(bound) = bound else { return Ok((None, taken)) };
        if self.failed && !is_end(&bound.statement) {
            self.refuse_if_failed()?;
        }
        let statement =
            Arc::new(Prepared::new((&sql[..taken], memory), bound, stamp, &catalog, &self.engine)?);
        self.note_prepared(&statement);
        if !has_own && taken == sql.len() && statement.executed().is_none() {
            self.cache.insert(sql, &statement);
        }
        Ok((Some(statement), taken))
    }

    /// Forgets the syntax tree; what a long text took is given back.
    pub(crate) fn clear_arena(&mut self) {
        if self.arena.allocated_bytes() > ARENA_BYTES_KEPT {
            self.arena = Arena::new();
        } else {
            self.arena.reset();
        }
    }

    /// The catalog that a statement is bound against: the newest, with own definitions.
    pub(crate) fn current_catalog(&self) -> (Stamp, Arc<CatalogSnapshot>) {
        self.catalog_with(self.block.as_ref().and_then(|block| block.catalog.as_ref()))
    }

    /// The same for a statement that runs in `block`.
    pub(crate) fn catalog_of(&self, block: &Block) -> (Stamp, Arc<CatalogSnapshot>) {
        self.catalog_with(block.catalog.as_ref())
    }

    fn catalog_with(&self, own: Option<&Arc<CatalogSnapshot>>) -> (Stamp, Arc<CatalogSnapshot>) {
        if let Some(own) = own {
            return (Stamp::Own(Arc::clone(own)), Arc::clone(own));
        }
        // The epoch first: a catalog that is newer than its plan's stamp only means planning once more.
        let epoch = self.engine.definitions.stable_epoch();
        (Stamp::Epoch(epoch), self.engine.catalog.current())
    }

    /// Locks the plan's tables and makes sure that the plan fits the catalog that is in force under the locks.
    #[inline]
    pub(crate) fn make_current(
        &self,
        statement: &Prepared,
        plan: &mut Plan,
        block: &mut Block,
    ) -> Result<()> {
        loop {
            let is_current = match (&plan.stamp, &block.catalog) {
                (Stamp::Own(catalog), Some(own)) => Arc::ptr_eq(catalog, own),
                (Stamp::Epoch(epoch), None) => *epoch == self.engine.definitions.epoch(),
                _ => false,
            };
            let fits =
                is_current && (plan.snapshot.is_none() || plan.snapshot == block.transaction.kept_snapshot());
            if !fits {
                self.plan_again(statement, plan, block, None)?;
            }
            if plan.usable_from != Lsn::ZERO
                && let Some(snapshot) = block.transaction.kept_snapshot()
                && snapshot < plan.usable_from
            {
                self.plan_again(statement, plan, block, Some(snapshot))?;
            }
            for (table, mode) in &plan.locks {
                block.transaction.lock_table(*table, *mode)?;
            }
            match plan.stamp {
                Stamp::Epoch(epoch) if epoch != self.engine.definitions.epoch() => continue,
                _ => return Ok(()),
            }
        }
    }

    #[cold]
    pub(crate) fn plan_again(
        &self,
        statement: &Prepared,
        plan: &mut Plan,
        block: &Block,
        snapshot: Option<Lsn>,
    ) -> Result<()> {
        let (stamp, catalog) = self.catalog_of(block);
        let arena = Arena::new();
        let bound = prepared::bind_again_for(statement, &catalog, snapshot, &arena)?;
        let new = prepared::plan(bound, stamp, &catalog, &self.engine)?;
        statement.check_same_result(&new)?;
        *plan = Plan { snapshot, ..new };
        Ok(())
    }
}

/// Whether an error is about what a statement means.
fn is_about_names(state: SqlState) -> bool {
    state.class() == "42" || state == SqlState::INVALID_SQL_STATEMENT_NAME
}

fn is_end(statement: &BoundStatement) -> bool {
    use crate::sql::binder::bound::TransactionStatement;
    matches!(
        statement,
        BoundStatement::Transaction(
            TransactionStatement::Commit { .. }
                | TransactionStatement::Rollback { .. }
                | TransactionStatement::RollbackTo(_)
        )
    )
}

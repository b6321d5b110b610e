//! TRUNCATE: every row of some tables is removed, while nobody else is at them.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::prepared::{self, Stamp};
use crate::session::session::Session;
use crate::sql::binder::bound::{BoundStatement, TruncateTarget};
use crate::sql::executor;
use crate::sql::plan::physical::StatementKind;
use crate::transaction::types::TableLockMode;

impl Session {
    /// The tables are emptied one after the other, all of them locked before.
    pub(crate) fn truncate(
        &mut self,
        mut targets: Vec<TruncateTarget>,
        base: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        // By number, so that two sessions cannot cross.
        targets.sort_unstable_by_key(|target| target.table);
        targets.dedup_by_key(|target| target.table);
        for target in &targets {
            if let Some(name) = &target.cascaded {
                let message = format!("truncate cascades to table \"{name}\"");
                self.notices.notice(Error::new(SqlState::SUCCESSFUL_COMPLETION, message));
            }
            self.refuse_if_pending(target.table, "TRUNCATE", base, block)?;
            block.transaction.lock_table(target.table, TableLockMode::AccessExclusive)?;
        }
        // After the locks, so that the snapshot has every row.
        block.transaction.end_statement();
        block.transaction.start_statement()?;
        for target in targets {
            let statement = BoundStatement::Query {
                plan: target.plan,
                parameters: Vec::new(),
                kind: StatementKind::Delete,
            };
            let plan = prepared::plan(statement, Stamp::Own(Arc::clone(base)), base, &self.engine)?;
            let mut context = self.context(block, &[]);
            let mut execution = executor::start(Arc::clone(&plan.physical), &mut context)?;
            while execution.next(&mut context)?.is_some() {}
            if target.restart_identity {
                self.restart_identities(target.table, base, block)?;
            }
        }
        Ok(())
    }
}

//! A transaction as the session runs it: with its modes and its own definitions.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::ids::Lsn;
use crate::common::sync::Arc;
use crate::durability::policy::Durability;
use crate::error::Result;
use crate::session::engine::Engine;
use crate::session::savepoint::Savepoints;
use crate::sql::executor::PendingChecks;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::IsolationLevel;

/// A running transaction. Dropping it rolls it back.
pub(crate) struct Block {
    pub(crate) transaction: Transaction,
    pub(crate) isolation: IsolationLevel,
    pub(crate) read_only: bool,
    /// The catalog with this transaction's own definitions; `None`: it has made none.
    pub(crate) catalog: Option<Arc<CatalogSnapshot>>,
    /// Made for a script of several statements, not by BEGIN.
    pub(crate) implicit: bool,
    /// Whether a statement has run: its modes are fixed then.
    pub(crate) started: bool,
    /// The newest last.
    pub(crate) savepoints: Savepoints,
    /// What is still to be checked for constraints.
    pub(crate) pending: PendingChecks,
}

impl Block {
    /// Commits; own definitions become everybody's.
    pub(crate) fn commit(self, durability: Durability, engine: &Engine) -> Result<Option<Lsn>> {
        let transaction = self.transaction;
        let Some(own) = self.catalog else { return transaction.commit(durability) };
        engine.definitions.publish(|| {
            let committed = transaction.commit(durability)?;
            if let Some(timestamp) = committed {
                engine.catalog.publish(timestamp, &own);
            }
            Ok(committed)
        })
    }
}

//! A transaction as the session runs it: with its modes and its own definitions.

use crate::catalog::catalog::CatalogChange;
use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::ids::Lsn;
use crate::common::sync::Arc;
use crate::durability::policy::Durability;
use crate::error::Result;
use crate::session::engine::Engine;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::IsolationLevel;

/// A running transaction. Dropping it rolls it back.
pub(crate) struct Block {
    pub(crate) transaction: Transaction,
    pub(crate) isolation: IsolationLevel,
    pub(crate) read_only: bool,
    /// The catalog with this transaction's own definitions; `None`: it has made none.
    pub(crate) catalog: Option<Arc<CatalogSnapshot>>,
    /// The same as changes, to be published.
    pub(crate) changes: Vec<CatalogChange>,
    /// Made for a script of several statements, not by BEGIN.
    pub(crate) implicit: bool,
    /// Whether a statement has run: its modes are fixed then.
    pub(crate) started: bool,
}

impl Block {
    /// Commits; own definitions become everybody's.
    pub(crate) fn commit(self, durability: Durability, engine: &Engine) -> Result<Option<Lsn>> {
        let (transaction, changes) = (self.transaction, self.changes);
        if changes.is_empty() {
            return transaction.commit(durability);
        }
        engine.definitions.publish(|| {
            let committed = transaction.commit(durability)?;
            if let Some(timestamp) = committed {
                engine.catalog.publish(timestamp, &changes);
            }
            Ok(committed)
        })
    }
}

/// Stands in until transactions commit; their own method goes first.
#[allow(dead_code, reason = "removed as soon as transactions commit")]
trait CommitInterface {
    fn commit(self, durability: Durability) -> Result<Option<Lsn>>;
}

impl CommitInterface for Transaction {
    fn commit(self, _durability: Durability) -> Result<Option<Lsn>> {
        Err(crate::error::Error::internal("transactions do not commit yet"))
    }
}

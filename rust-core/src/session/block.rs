//! A transaction as the session runs it: with its modes and its own definitions.

use crate::catalog::sequence_runtime::CommitGuard;
use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::ids::Lsn;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::session::engine::Engine;
use crate::session::environment::SessionEnvironment;
use crate::session::savepoint::Savepoints;
use crate::sql::executor::PendingChecks;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::IsolationLevel;

/// Modes of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Modes {
    pub(crate) isolation: IsolationLevel,
    pub(crate) read_only: bool,
    /// Changes nothing: a serializable transaction that only reads never has to wait for a safe snapshot.
    pub(crate) deferrable: bool,
}

impl Default for Modes {
    fn default() -> Modes {
        Modes { isolation: IsolationLevel::ReadCommitted, read_only: false, deferrable: false }
    }
}

/// Modes that a transaction asks for; those that are `None` are the session's default, or stay as they are.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct WantedModes {
    pub(crate) isolation: Option<IsolationLevel>,
    pub(crate) read_only: Option<bool>,
    pub(crate) deferrable: Option<bool>,
}

impl WantedModes {
    /// Those that were asked for, the rest as in `others`.
    pub(crate) fn or(self, others: Modes) -> Modes {
        Modes {
            isolation: self.isolation.unwrap_or(others.isolation),
            read_only: self.read_only.unwrap_or(others.read_only),
            deferrable: self.deferrable.unwrap_or(others.deferrable),
        }
    }
}

impl From<Modes> for WantedModes {
    fn from(modes: Modes) -> WantedModes {
        WantedModes {
            isolation: Some(modes.isolation),
            read_only: Some(modes.read_only),
            deferrable: Some(modes.deferrable),
        }
    }
}

/// A running transaction. Dropping it rolls it back.
pub(crate) struct Block {
    pub(crate) transaction: Transaction,
    /// Its number among the session's.
    pub(crate) number: u64,
    pub(crate) modes: Modes,
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
    pub(crate) fn commit(self, engine: &Engine, environment: &SessionEnvironment) -> Result<Option<Lsn>> {
        let durability = environment.settings.effects().durability;
        let mut transaction = self.transaction;
        let said = environment.said.take(self.number);
        let in_order = said.as_ref().filter(|said| said.has_messages()).map(|_| engine.notifications.order());
        let committed = match self.catalog {
            None => transaction.commit(durability)?,
            Some(own) => engine.definitions.publish(|| {
                let current = engine.catalog.current();
                let sequences = CommitGuard::take(&own, &current, &engine.manager, &mut transaction)?;
                transaction.set_fill_percents(engine.catalog.changed_fills(&own).into_iter());
                let committed = transaction.commit(durability)?;
                if let Some(timestamp) = committed {
                    sequences.committed(timestamp);
                    engine.catalog.publish(timestamp, &own);
                }
                Ok(committed)
            })?,
        };
        if let Some(said) = said {
            engine.notifications.deliver(environment.session(), said);
        }
        drop(in_order);
        // Who writes nothing still must not see the values it drew given out again.
        if let Some(logged) = environment.sequence_values.take_logged()
            && committed.is_none()
        {
            engine.manager.wait_durable(logged, durability)?;
        }
        Ok(committed)
    }
}

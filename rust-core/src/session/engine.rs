//! What a session needs of the database it belongs to. Plain data, shared by all sessions.
//! Knows no files and no recovery: `database` makes it.

use crate::catalog::catalog::Catalog;
use crate::common::clock::Clock;
use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::durability::policy::Durability;
use crate::error::Result;
use crate::session::definition_gate::DefinitionGate;
use crate::transaction::manager::TransactionManager;

/// Defaults that sessions start with and limits that they keep.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// What a commit waits for unless the session says otherwise.
    pub durability: Durability,
    /// Every transaction is read-only (25006 for writes).
    pub read_only: bool,
    /// Bytes of one SQL text.
    pub max_statement_size: usize,
    /// The name that `current_database()` gives.
    pub name: &'static str,
}

/// Called by a session after each commit that wrote something: starts a checkpoint where one is due.
pub type AfterCommit = Box<dyn Fn() -> Result<()> + Send + Sync>;

/// See the module. Threads: any.
pub struct Engine {
    /// Begins transactions.
    pub manager: Arc<TransactionManager>,
    /// Definitions.
    pub catalog: Arc<Catalog>,
    /// Tells when plans are stale.
    pub definitions: DefinitionGate,
    /// Everything that grows.
    pub memory: Arc<MemoryAccount>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// See there.
    pub options: EngineOptions,
    /// See there.
    pub after_commit: AfterCommit,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
    }
}

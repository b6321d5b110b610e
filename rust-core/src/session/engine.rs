//! What a session needs of the database it belongs to, shared by all its sessions.
//! Knows no files and no recovery: `database` makes it.

use crate::catalog::catalog::Catalog;
use crate::common::clock::Clock;
use crate::common::ids::Lsn;
use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::common::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::durability::policy::Durability;
use crate::error::Result;
use crate::io::vfs::Vfs;
use crate::session::definition_gate::DefinitionGate;
use crate::transaction::manager::TransactionManager;
use std::any::Any;

/// Log bytes after which a commit starts a checkpoint.
const CHECKPOINT_LOG_BYTES: u64 = 256 << 20;
/// Log bytes after which a failed automatic checkpoint is tried again.
const RETRY_LOG_BYTES: u64 = 16 << 20;

/// Defaults that sessions start with and limits that they keep.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// What a commit waits for unless the session says otherwise.
    pub durability: Durability,
    /// Every transaction is read-only (25006 for writes).
    pub read_only: bool,
    /// Bytes of one SQL text.
    pub max_statement_size: usize,
    /// The name that `current_database()` gives.
    pub name: Arc<str>,
}

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
    /// Where COPY finds its files.
    pub files: Arc<dyn Vfs>,
    /// See there.
    pub options: EngineOptions,
    /// A session is checkpointing after its commit; others go on.
    checkpointing: AtomicBool,
    /// The log's length at which the next automatic checkpoint is due.
    checkpoint_at: AtomicU64,
    /// Closes the database when the last session and the last handle are gone. Dropped last.
    _closing: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine; `closing` is dropped with it.
    pub fn new(
        manager: Arc<TransactionManager>,
        catalog: Arc<Catalog>,
        memory: Arc<MemoryAccount>,
        clock: Arc<dyn Clock>,
        files: Arc<dyn Vfs>,
        options: EngineOptions,
        closing: Box<dyn Any + Send + Sync>,
    ) -> Engine {
        let checkpoint_at = AtomicU64::new(manager.log().tail().0 + CHECKPOINT_LOG_BYTES);
        let checkpointing = AtomicBool::new(false);
        Engine {
            manager,
            catalog,
            definitions: DefinitionGate::default(),
            memory,
            clock,
            files,
            options,
            checkpointing,
            checkpoint_at,
            _closing: closing,
        }
    }

    /// Writes a checkpoint now.
    /// # Errors
    /// `53100`, `58030`.
    pub fn checkpoint(&self) -> Result<Lsn> {
        let redo = self.manager.checkpoint(false)?;
        self.checkpoint_at.store(self.manager.log().tail().0 + CHECKPOINT_LOG_BYTES, Ordering::Relaxed);
        Ok(redo)
    }

    /// To be called after a commit that wrote: checkpoints when the log is long or too many pages are dirty.
    /// The commit stands whatever comes of it; a checkpoint that failed is tried again later.
    /// # Errors
    /// As [`Engine::checkpoint`].
    pub fn after_commit(&self) -> Result<()> {
        let due = self.manager.log().tail().0 >= self.checkpoint_at.load(Ordering::Relaxed)
            || self.manager.storage().wants_checkpoint();
        if !due || self.checkpointing.swap(true, Ordering::Acquire) {
            return Ok(());
        }
        let written = self.checkpoint();
        if written.is_err() {
            self.checkpoint_at.store(self.manager.log().tail().0 + RETRY_LOG_BYTES, Ordering::Relaxed);
        }
        self.checkpointing.store(false, Ordering::Release);
        written.map(|_| ())
    }
}

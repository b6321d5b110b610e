//! What a session needs of the database it belongs to, shared by all its sessions.
//! Knows no files and no recovery: `database` makes it.

use crate::catalog::catalog::Catalog;
use crate::common::clock::Clock;
use crate::common::ids::Lsn;
use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::common::timer::{Alarmed, Timer};
use crate::durability::policy::Durability;
use crate::error::Result;
use crate::io::vfs::Vfs;
use crate::session::definition_gate::DefinitionGate;
use crate::session::leavings::Leavings;
use crate::session::locks;
use crate::session::notifications::NotificationHub;
use crate::session::sessions::Sessions;
use crate::transaction::manager::TransactionManager;
use std::any::Any;

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

/// The engines of a file that another process writes, one a checkpoint. Threads: any.
pub trait Generations: Send + Sync + std::fmt::Debug {
    /// The engine of the newest checkpoint. It goes with the last who holds it.
    /// # Errors
    /// What opening the checkpoint met.
    fn newest(&self) -> Result<Arc<Engine>>;
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
    /// What is left of indexes that were given up.
    pub(crate) leavings: Leavings,
    /// Who listens to what.
    pub notifications: NotificationHub,
    /// See there.
    pub options: EngineOptions,
    /// Who is connected.
    pub(crate) sessions: Arc<Sessions>,
    /// Looks for what of theirs is due.
    pub(crate) timer: Timer,
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
        let names = Arc::clone(&catalog);
        manager.lock_manager().set_names(Box::new(move |object| locks::name(object, &names.current())));
        let sessions = Arc::new(Sessions::new(Arc::clone(&manager)));
        let timer = Timer::new(Arc::clone(&clock), Arc::clone(&sessions) as Arc<dyn Alarmed>);
        Engine {
            sessions,
            timer,
            manager,
            catalog,
            definitions: DefinitionGate::default(),
            leavings: Leavings::default(),
            notifications: NotificationHub::new(Arc::clone(&memory)),
            memory,
            clock,
            files,
            options,
            _closing: closing,
        }
    }

    /// Cancels what the session of this number runs (57014); false: there is no such session.
    pub fn cancel(&self, session: u64) -> bool {
        self.sessions.cancel(session)
    }

    /// Ends the session of this number: its transaction is rolled back, and all that it is asked later is 57P01. False: there
    /// is no such session.
    pub fn terminate(&self, session: u64) -> bool {
        self.sessions.terminate(session)
    }

    /// Whether nothing is left of indexes that were given up.
    #[cfg(test)]
    pub(crate) fn leavings_are_none(&self) -> bool {
        self.leavings.are_none()
    }

    /// Does what is due by now: for clocks that do not run by themselves.
    pub fn ring(&self) {
        self.timer.ring();
    }

    /// Writes a checkpoint now; commits go on.
    /// # Errors
    /// `53100`, `58030`.
    pub fn checkpoint(&self) -> Result<Lsn> {
        self.manager.checkpoint(false)
    }

    /// To be called after a commit that wrote: has a checkpoint written in the background when one is due. The commit
    /// stands whatever comes of it.
    /// # Errors
    /// Why the last one in the background failed, told once; it is tried again.
    pub fn after_commit(&self) -> Result<()> {
        self.manager.checkpoint_if_due()
    }
}

//! The session: one client's statements, one after the other, in one transaction or each in its own.
//! What it holds and what can be asked of it; its work is in the modules beside this one.

use crate::common::arena::Arena;
use crate::common::cancel::CancelToken;
use crate::common::ids::Lsn;
use crate::common::memory::MemoryAccount;
use crate::common::sync::{Arc, Mutex, Weak};
use crate::error::{Error, Result, SqlState};
use crate::session::block::{Block, Modes, WantedModes};
use crate::session::calls::Calls;
use crate::session::engine::Engine;
use crate::session::environment::SessionEnvironment;
use crate::session::generation::Following;
use crate::session::notice::{Notice, Notices};
use crate::session::plan_cache::PlanCache;
use crate::session::portal::PortalState;
use crate::session::result::TransactionStatus;
use crate::session::settings::Settings;
use crate::sql::functions::activity::Sessions;
use crate::sql::functions::registry::Environment;
use crate::sql::types::text_style::TextStyle;
use crate::transaction::manager::ManagerReference;

/// One connection. Threads: one at a time.
pub struct Session {
    id: u64,
    /// The engine's, dropped before it.
    pub(crate) manager: Arc<ManagerReference>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) cancel: CancelToken,
    pub(crate) environment: SessionEnvironment,
    /// The transaction block; `None` outside one, and in one that failed without a savepoint.
    pub(crate) block: Option<Block>,
    /// In a block that an error aborted.
    pub(crate) failed: bool,
    /// Modes of the block, or of the last one.
    pub(crate) block_modes: Modes,
    /// Counts blocks: a portal of an earlier one is gone.
    pub(crate) block_number: u64,
    pub(crate) cache: PlanCache,
    pub(crate) arena: Arena,
    pub(crate) portals: Vec<Weak<Mutex<PortalState>>>,
    pub(crate) notices: Notices,
    pub(crate) calls: Calls,
    /// Where another process writes the file.
    pub(crate) following: Option<Following>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("status", &self.transaction_status())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session of `engine` with the number `id`. Databases make them.
    pub fn new(engine: Arc<Engine>, id: u64) -> Session {
        let settings = Settings::new(&engine.options, engine.memory.limit());
        let environment = SessionEnvironment::new(settings, &engine, id);
        engine.sessions.add(&environment.presence);
        let cancel = environment.cancel.clone();
        environment.presence.use_cancel_token(cancel.clone());
        Session {
            id,
            manager: ManagerReference::new(&engine.manager),
            engine,
            cancel,
            environment,
            block: None,
            failed: false,
            block_modes: Modes::default(),
            block_number: 0,
            cache: PlanCache::default(),
            arena: Arena::new(),
            portals: Vec::new(),
            notices: Notices::default(),
            calls: Calls::default(),
            following: None,
        }
    }

    /// The session's number in its database, from 1.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What other threads cancel this session's statements with.
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// Uses a caller's cancel words instead of its own, so that they can outlive the session.
    /// To be called before the first statement.
    pub fn use_cancel_token(&mut self, cancel: CancelToken) {
        self.environment.presence.use_cancel_token(cancel.clone());
        self.environment.cancel = cancel.clone();
        self.cancel = cancel;
    }

    /// What values are shown by: the time zone and the forms of text that the settings ask for.
    pub fn text_forms(&self) -> (jiff::tz::TimeZone, TextStyle) {
        let effects = self.environment.settings.effects();
        (effects.time_zone.clone(), effects.text_style)
    }

    /// What its statements are charged to.
    pub fn memory(&self) -> &Arc<MemoryAccount> {
        &self.engine.memory
    }

    /// The session's time zone, for showing timestamps.
    pub fn time_zone(&self) -> jiff::tz::TimeZone {
        self.environment.settings.effects().time_zone.clone()
    }

    /// The number of the open transaction block in this session; 0: none is open.
    pub fn block_number(&self) -> u64 {
        if self.transaction_status() == TransactionStatus::Idle { 0 } else { self.block_number }
    }

    /// The only value that the last statement drew for a serial or identity column; `None`: none, or several.
    pub fn last_identity(&self) -> Option<i64> {
        self.environment.sequence_values.last_identity()
    }

    /// Whether statements can still succeed: false once an I/O error has closed the database to writes.
    pub fn is_usable(&self) -> bool {
        self.engine.manager.poisoned().is_none()
    }

    /// As good as new, for pools: an open block is rolled back, advisory locks are given back, every setting has its
    /// default again, names of PREPARE are forgotten. Cached plans stay.
    /// # Errors
    /// `57P01` once it was terminated.
    pub fn discard(&mut self) -> Result<()> {
        self.end_block(false);
        self.forget_untold();
        self.environment.unlock_all();
        self.notices.take();
        self.environment.sequence_values.discard();
        self.engine.notifications.leave(self.id);
        self.environment.named.clear();
        self.environment.settings.reset_all(false)?;
        self.leave(None, false);
        self.refuse_if_terminated()
    }

    /// Puts an application's record into the log: in the open block, or as a commit of its own. Gives that
    /// commit's position, or in a block the log's end now, behind which the record will lie.
    /// # Errors
    /// `25P02` in a failed block, `25006` in a read-only one; what the commit raises.
    pub fn log_message(&mut self, record: &[u8]) -> Result<Lsn> {
        let logged = self.enter().and_then(|()| self.log_message_in_call(record));
        self.leave(logged.as_ref().err(), false);
        logged
    }

    fn log_message_in_call(&mut self, record: &[u8]) -> Result<Lsn> {
        self.refuse_if_failed()?;
        self.cancel.start_statement();
        self.start_clocks();
        if let Some(block) = &mut self.block {
            block.transaction.message(record)?;
            // A log that holds nothing yet ends at 0, which callers take for "failed".
            return Ok(self.engine.manager.log().tail().max(Lsn(1)));
        }
        self.begin_block(WantedModes::default(), true);
        if let Some(block) = &mut self.block {
            let logged = block.transaction.message(record);
            if logged.is_err() {
                self.end_block(false);
            }
            logged?;
        }
        Ok(self.commit_block()?.unwrap_or(Lsn::ZERO))
    }

    /// The definitions that the next statement sees, those of the open transaction block included.
    pub fn definitions(&self) -> Arc<crate::catalog::snapshot::CatalogSnapshot> {
        self.current_catalog().1
    }

    /// Whether a transaction block is open, and whether it failed.
    pub fn transaction_status(&self) -> TransactionStatus {
        match (&self.block, self.failed) {
            (_, true) => TransactionStatus::Failed,
            (Some(_), false) => TransactionStatus::Active,
            (None, false) => TransactionStatus::Idle,
        }
    }

    /// The warnings and notices since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Sets a setting, as SET does.
    /// # Errors
    /// `42704`, `22023`, `55P02`, `0A000`; `25P02` in a failed transaction.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.set_in_call(name, Some(value))
    }

    fn set_in_call(&mut self, name: &str, value: Option<&str>) -> Result<()> {
        let set = self
            .enter()
            .and_then(|()| self.refuse_if_failed())
            .and_then(|()| self.set_setting(name, value, false));
        self.leave(set.as_ref().err(), false);
        set
    }

    /// Puts a setting back to its default.
    /// # Errors
    /// As [`Session::set`].
    pub fn reset(&mut self, name: &str) -> Result<()> {
        self.set_in_call(name, None)
    }

    /// A setting as text.
    /// # Errors
    /// `42704`.
    pub fn show(&self, name: &str) -> Result<String> {
        match self.environment.setting(name) {
            Some(text) => Ok(text),
            None => self.environment.settings.show(name).map(Option::unwrap_or_default),
        }
    }

    pub(crate) fn refuse_if_failed(&self) -> Result<()> {
        if self.failed {
            return Err(Error::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end_block(false);
        self.engine.sessions.remove(&self.environment.presence);
        self.engine.notifications.leave(self.id);
    }
}

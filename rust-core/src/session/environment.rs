//! What functions ask the session: time, zone, settings, random numbers. One statement sees one time.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::cancel::CancelToken;
use crate::common::clock::Clock;
use crate::common::memory::MemoryAccount;
use crate::common::random::Random;
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result};
use crate::io::event_count::event_count;
use crate::session::block::Modes;
use crate::session::engine::Engine;
use crate::session::named::NamedStatements;
use crate::session::notice::Notices;
use crate::session::notifications::SaidByBlock;
use crate::session::presence::Presence;
use crate::session::sequence_values::SequenceValuesKept;
use crate::session::setting;
use crate::session::settings::Settings;
use crate::session::{locks, vacuum};
use crate::sql::functions::activity::Sessions;
use crate::sql::functions::locks::LockLine;
use crate::sql::functions::notifications::Notifications;
use crate::sql::functions::prepared::PreparedLine;
use crate::sql::functions::registry::Environment;
use crate::sql::functions::sequences::Sequences;
use crate::sql::functions::space::SpaceLine;
use crate::sql::types::text_style::TextStyle;
use crate::transaction::types::IsolationLevel;
use std::cell::{Cell, RefCell};

/// A session's environment. Times are read when first asked for, so that statements without them pay nothing.
pub(crate) struct SessionEnvironment {
    pub(crate) settings: Settings,
    clock: Arc<dyn Clock>,
    session_id: u64,
    /// Unix microseconds, frozen for the statement.
    statement_time: Cell<Option<i64>>,
    /// Unix microseconds, frozen for the transaction block; outside one the statement's.
    transaction_time: Cell<Option<i64>>,
    random: RefCell<Random>,
    engine: Arc<Engine>,
    /// What others see of the session.
    pub(crate) presence: Arc<Presence>,
    /// What ends a wait for an advisory lock.
    pub(crate) cancel: CancelToken,
    /// Whose the locks of the transaction are that runs.
    pub(crate) transaction_owner: Cell<u32>,
    /// What functions warn of, until the call ends.
    warnings: RefCell<Vec<Error>>,
    /// The definitions of the transaction that runs now, where it has made some.
    pub(crate) own_catalog: RefCell<Option<Arc<CatalogSnapshot>>>,
    pub(crate) sequence_values: SequenceValuesKept,
    pub(crate) said: SaidByBlock,
    /// The number of the block whose statement runs, or ran last.
    pub(crate) running_block: Cell<u64>,
    /// Numbers blocks, those of portals outside a block too.
    blocks: Cell<u64>,
    /// Statements of PREPARE.
    pub(crate) named: NamedStatements,
    /// Modes of the running transaction, as SHOW prints them.
    pub(crate) modes: Modes,
}

impl SessionEnvironment {
    pub(crate) fn new(settings: Settings, engine: &Arc<Engine>, session_id: u64) -> SessionEnvironment {
        let clock = Arc::clone(&engine.clock);
        let cancel = CancelToken::new(event_count());
        let seed = (clock.unix_micros() as u64) ^ session_id.rotate_left(40) ^ clock.monotonic_nanos();
        SessionEnvironment {
            settings,
            clock,
            session_id,
            statement_time: Cell::new(None),
            transaction_time: Cell::new(None),
            random: RefCell::new(Random::new(seed)),
            engine: Arc::clone(engine),
            presence: Arc::new(Presence::new(session_id, cancel.clone())),
            cancel,
            transaction_owner: Cell::new(0),
            warnings: RefCell::default(),
            own_catalog: RefCell::new(None),
            sequence_values: SequenceValuesKept::default(),
            said: SaidByBlock::default(),
            running_block: Cell::new(0),
            blocks: Cell::new(0),
            named: NamedStatements::default(),
            modes: Modes::default(),
        }
    }

    /// From here on the session is one of this engine.
    pub(crate) fn use_engine(&mut self, engine: &Arc<Engine>) {
        self.engine = Arc::clone(engine);
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Notes a warning of the running statement.
    pub(crate) fn warn(&self, warning: Error) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Hands the warnings on.
    #[inline]
    pub(crate) fn pass_warnings(&mut self, notices: &mut Notices) {
        self.warnings.get_mut().drain(..).for_each(|warning| notices.warning(warning));
    }

    pub(crate) fn session(&self) -> u64 {
        self.session_id
    }

    /// A number for a new block.
    pub(crate) fn next_block(&self) -> u64 {
        self.blocks.set(self.blocks.get() + 1);
        self.blocks.get()
    }

    /// What runs next does so in the block of this number, with these definitions of its own.
    #[inline]
    pub(crate) fn run_in(&self, block: u64, own: Option<&Arc<CatalogSnapshot>>) {
        self.running_block.set(block);
        let mut current = self.own_catalog.borrow_mut();
        match (&*current, own) {
            (None, None) => {}
            (Some(current), Some(own)) if Arc::ptr_eq(current, own) => {}
            _ => *current = own.cloned(),
        }
    }

    /// A new statement: its time is taken anew.
    pub(crate) fn start_statement(&self) {
        self.statement_time.set(None);
        self.sequence_values.start_statement();
    }

    /// A transaction block begins now.
    pub(crate) fn start_transaction(&self, isolation: IsolationLevel) {
        self.transaction_time.set(Some(self.statement_time()));
        self.presence.transaction_start.store(self.statement_time(), Ordering::Relaxed);
        self.presence.set_isolation(isolation);
    }

    /// No transaction block any more.
    pub(crate) fn end_transaction(&self) {
        self.transaction_time.set(None);
        self.presence.transaction_start.store(0, Ordering::Relaxed);
    }
}

impl Environment for SessionEnvironment {
    fn memory(&self) -> Option<&Arc<MemoryAccount>> {
        Some(&self.engine.memory)
    }

    fn space(&self) -> Result<Vec<SpaceLine>> {
        vacuum::space(&self.engine)
    }

    fn notifications(&self) -> Option<&dyn Notifications> {
        Some(self)
    }

    fn sequences(&self) -> Option<&dyn Sequences> {
        Some(self)
    }

    fn locks(&self) -> Vec<LockLine> {
        locks::lines(&self.engine)
    }

    fn sessions(&self) -> Option<&dyn Sessions> {
        Some(self)
    }

    fn prepared_statements(&self) -> Vec<PreparedLine> {
        self.named.lines()
    }

    fn statement_time(&self) -> i64 {
        if let Some(time) = self.statement_time.get() {
            return time;
        }
        let time = self.clock.unix_micros();
        self.statement_time.set(Some(time));
        time
    }

    fn transaction_time(&self) -> i64 {
        self.transaction_time.get().unwrap_or_else(|| self.statement_time())
    }

    fn clock_time(&self) -> i64 {
        self.clock.unix_micros()
    }

    fn time_zone(&self) -> &jiff::tz::TimeZone {
        &self.settings.effects().time_zone
    }

    fn random(&self) -> f64 {
        self.random.borrow_mut().unit()
    }

    fn setting(&self, name: &str) -> Option<String> {
        match self.settings.show(name) {
            Ok(Some(text)) => Some(text),
            Ok(None) => Some(match name.to_ascii_lowercase().as_str() {
                "transaction_isolation" => setting::isolation_name(self.modes.isolation).to_owned(),
                "transaction_deferrable" => setting::on_off(self.modes.deferrable),
                _ => setting::on_off(self.modes.read_only),
            }),
            Err(_) => None,
        }
    }

    fn session_id(&self) -> u64 {
        self.session_id
    }

    fn text_style(&self) -> TextStyle {
        self.settings.effects().text_style
    }
}

//! The session: one client's statements, one after the other, in one transaction or each in its own.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::common::arena::Arena;
use crate::common::cancel::CancelToken;
use crate::common::ids::Lsn;
use crate::common::limits::BATCH_ROWS;
use crate::common::memory::Reservation;
use crate::common::sync::{Arc, Mutex, MutexGuard, Weak};
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::engine::Engine;
use crate::session::environment::SessionEnvironment;
use crate::session::notice::{Notice, Notices};
use crate::session::parameters;
use crate::session::plan_cache::PlanCache;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::{self, Body, Plan, Prepared, Stamp};
use crate::session::result::{PreparedKind, TransactionStatus};
use crate::session::settings::{ExecutionPath, Settings};
use crate::sql::binder::bound::BoundStatement;
use crate::sql::evaluate::row::{RowSink, RowSource};
use crate::sql::executor::point::PointResult;
use crate::sql::executor::{self, Execution, ExecutionContext, point};
use crate::sql::functions::registry::Environment;
use crate::sql::types::data_type::SqlType;
use crate::sql::types::datum::Datum;
use crate::transaction::types::IsolationLevel;
use std::collections::VecDeque;

/// One connection. Threads: one at a time.
pub struct Session {
    id: u64,
    pub(crate) engine: Arc<Engine>,
    cancel: CancelToken,
    pub(crate) environment: SessionEnvironment,
    /// The transaction block; `None` outside one, and in one that failed.
    pub(crate) block: Option<Block>,
    /// In a block that an error aborted.
    pub(crate) failed: bool,
    /// Counts blocks: a portal of an earlier one is gone.
    block_number: u64,
    cache: PlanCache,
    arena: Arena,
    portals: Vec<Weak<Mutex<PortalState>>>,
    pub(crate) notices: Notices,
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
        let environment = SessionEnvironment::new(settings, Arc::clone(&engine.clock), id);
        Session {
            id,
            engine,
            cancel: CancelToken::default(),
            environment,
            block: None,
            failed: false,
            block_number: 0,
            cache: PlanCache::default(),
            arena: Arena::new(),
            portals: Vec::new(),
            notices: Notices::default(),
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
        self.cancel = cancel;
    }

    /// The session's time zone, for showing timestamps.
    pub fn time_zone(&self) -> jiff::tz::TimeZone {
        self.environment.settings.effects().time_zone.clone()
    }

    /// The number of the open transaction block in this session; 0: none is open.
    pub fn block_number(&self) -> u64 {
        if self.transaction_status() == TransactionStatus::Idle { 0 } else { self.block_number }
    }

    /// Whether statements can still succeed: false once an I/O error has closed the database to writes.
    pub fn is_usable(&self) -> bool {
        self.engine.manager.poisoned().is_none()
    }

    /// As good as new, for pools: an open block is rolled back, every setting has its default again. Cached
    /// plans stay.
    /// # Errors
    /// None that a default could raise.
    pub fn discard(&mut self) -> Result<()> {
        self.end_block(false);
        self.notices.take();
        self.environment.settings.reset_all(false)
    }

    /// Puts an application's record into the log: in the open block, or as a commit of its own. Gives that
    /// commit's position, or in a block the log's end now, behind which the record will lie.
    /// # Errors
    /// `25P02` in a failed block, `25006` in a read-only one; what the commit raises.
    pub fn log_message(&mut self, record: &[u8]) -> Result<Lsn> {
        self.refuse_if_failed()?;
        self.cancel.start_statement();
        if let Some(block) = &mut self.block {
            block.transaction.message(record)?;
            // A log that holds nothing yet ends at 0, which callers take for "failed".
            return Ok(self.engine.manager.log().tail().max(Lsn(1)));
        }
        self.begin_block(None, None, true);
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
        self.refuse_if_failed()?;
        self.set_setting(name, Some(value), false)
    }

    /// Puts a setting back to its default.
    /// # Errors
    /// As [`Session::set`].
    pub fn reset(&mut self, name: &str) -> Result<()> {
        self.refuse_if_failed()?;
        self.set_setting(name, None, false)
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

    fn refuse_if_failed(&self) -> Result<()> {
        if self.failed {
            return Err(Error::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    // ---- preparing -------------------------------------------------------------------------------------

    /// Parses, binds and plans the first statement of `sql`. Gives it, or `None` where there is only blank
    /// space or comments, and the bytes it takes, its semicolon included. Equal texts are planned once.
    /// # Errors
    /// What the text deserves, with its position; `54000` beyond `max_statement_size`; `25P02`. Inside a
    /// transaction block an error aborts the block, as PostgreSQL does.
    pub fn prepare(&mut self, sql: &str) -> Result<(Option<Arc<Prepared>>, usize)> {
        let result = self.prepare_first(sql);
        if result.is_err() {
            self.fail_block();
        }
        result
    }

    fn prepare_first(&mut self, sql: &str) -> Result<(Option<Arc<Prepared>>, usize)> {
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
        if let Some(position) = memchr::memchr(0, sql.as_bytes()) {
            return Err(Error::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            )
            .at(position));
        }
        let (stamp, catalog) = self.current_catalog();
        let bound = prepared::bind_first(sql, &catalog, &self.arena);
        self.arena.reset();
        let (bound, taken) = match bound {
            Ok(bound) => bound,
            // In a failed block everything but its end is refused, whatever it means.
            Err(error) if error.state().class() != "42" || error.state() == SqlState::SYNTAX_ERROR => {
                return Err(error);
            }
            Err(error) => return Err(self.refuse_if_failed().err().unwrap_or(error)),
        };
        let Some(bound) = bound else { return Ok((None, taken)) };
        if self.failed && !is_end(&bound.statement) {
            self.refuse_if_failed()?;
        }
        let statement = Arc::new(Prepared::new(&sql[..taken], bound, stamp, &self.engine)?);
        if !has_own && taken == sql.len() {
            self.cache.insert(sql, &statement);
        }
        Ok((Some(statement), taken))
    }

    /// The catalog that a statement is bound against: the newest, with own definitions.
    fn current_catalog(&self) -> (Stamp, Arc<crate::catalog::snapshot::CatalogSnapshot>) {
        if let Some(own) = self.block.as_ref().and_then(|block| block.catalog.as_ref()) {
            return (Stamp::Own(Arc::clone(own)), Arc::clone(own));
        }
        // The epoch first: a catalog that is newer than its plan's stamp only means planning once more.
        let epoch = self.engine.definitions.stable_epoch();
        (Stamp::Epoch(epoch), self.engine.catalog.current())
    }

    // ---- transactions ----------------------------------------------------------------------------------

    /// Begins a transaction block; `None` takes the session's default level.
    /// # Errors
    /// `25001` inside a block.
    pub fn begin(&mut self, isolation: Option<IsolationLevel>, read_only: bool) -> Result<()> {
        if self.transaction_status() != TransactionStatus::Idle {
            return Err(Error::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            ));
        }
        self.environment.start_statement();
        self.begin_block(isolation, Some(read_only || self.read_only_default()), false);
        Ok(())
    }

    fn read_only_default(&self) -> bool {
        self.environment.settings.effects().read_only_default
    }

    /// Begins a block.
    pub(crate) fn begin_block(
        &mut self,
        isolation: Option<IsolationLevel>,
        read_only: Option<bool>,
        implicit: bool,
    ) {
        let mut block = self.new_block(isolation, read_only);
        block.implicit = implicit;
        self.environment.start_transaction();
        self.environment.transaction_isolation = super::settings::isolation_name(block.isolation);
        self.environment.transaction_read_only = block.read_only;
        self.block_number += 1;
        self.block = Some(block);
    }

    fn new_block(&self, isolation: Option<IsolationLevel>, read_only: Option<bool>) -> Block {
        let effects = self.environment.settings.effects();
        let isolation = isolation.unwrap_or(effects.isolation_default);
        let read_only = read_only.unwrap_or(effects.read_only_default) || self.engine.options.read_only;
        Block {
            transaction: self.engine.manager.begin(isolation, read_only, self.cancel.clone()),
            isolation,
            read_only,
            catalog: None,
            implicit: false,
            started: false,
        }
    }

    /// Changes the modes of a block in which nothing has run yet.
    pub(crate) fn set_block_modes(
        &mut self,
        isolation: Option<IsolationLevel>,
        read_only: Option<bool>,
    ) -> Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        if block.started {
            if isolation.is_some_and(|level| level != block.isolation) {
                return Err(Error::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                ));
            }
            if read_only == Some(false) && block.read_only {
                return Err(Error::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "transaction read-write mode must be set before any query",
                ));
            }
            if read_only != Some(true) {
                return Ok(());
            }
            if let Some(block) = &mut self.block {
                block.read_only = true;
            }
            self.environment.transaction_read_only = true;
            return Ok(());
        }
        let (isolation, read_only) =
            (isolation.unwrap_or(block.isolation), read_only.unwrap_or(block.read_only));
        let implicit = block.implicit;
        self.begin_block(Some(isolation), Some(read_only), implicit);
        Ok(())
    }

    /// Commits the block; gives the commit's LSN, or `None` when nothing was written.
    /// # Errors
    /// `25P01` outside a block; `40000` when an error had aborted it: it is then rolled back; what the commit
    /// raises: the transaction is then rolled back as well, except with `08007`.
    pub fn commit(&mut self) -> Result<Option<Lsn>> {
        match self.transaction_status() {
            TransactionStatus::Idle => {
                Err(Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress"))
            }
            TransactionStatus::Failed => {
                self.end_block(false);
                Err(Error::new(
                    SqlState::TRANSACTION_ROLLBACK,
                    "the transaction was aborted by an error and has been rolled back",
                ))
            }
            TransactionStatus::Active => {
                self.cancel.start_statement();
                self.commit_block()
            }
        }
    }

    /// Rolls the block back.
    /// # Errors
    /// `25P01` outside a block.
    pub fn rollback(&mut self) -> Result<()> {
        if self.transaction_status() == TransactionStatus::Idle {
            return Err(Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "there is no transaction in progress",
            ));
        }
        self.end_block(false);
        Ok(())
    }

    /// Commits the open block.
    pub(crate) fn commit_block(&mut self) -> Result<Option<Lsn>> {
        let Some(block) = self.block.take() else { return Ok(None) };
        let result = block.commit(self.environment.settings.effects().durability, &self.engine);
        self.end_block(result.is_ok());
        let committed = result?;
        if committed.is_some() {
            self.after_commit();
        }
        Ok(committed)
    }

    /// What the database does after each commit. It is no part of the statement: its failure is only told.
    fn after_commit(&mut self) {
        if let Err(error) = self.engine.after_commit() {
            self.notices.warning(error);
        }
    }

    /// Forgets the block: what is left of it is rolled back, settings revert as they should.
    pub(crate) fn end_block(&mut self, committed: bool) {
        if let Some(block) = self.block.take() {
            block.transaction.rollback();
        }
        self.failed = false;
        self.block_number += 1;
        self.environment.settings.end_transaction(committed);
        self.environment.end_transaction();
        self.environment.transaction_isolation =
            super::settings::isolation_name(self.environment.settings.effects().isolation_default);
        self.environment.transaction_read_only = self.read_only_default();
    }

    /// An error inside a block: its effects are undone at once, its end is awaited.
    pub(crate) fn fail_block(&mut self) {
        if let Some(block) = self.block.take() {
            let implicit = block.implicit;
            block.transaction.rollback();
            if implicit {
                self.end_block(false);
            } else {
                self.failed = true;
                self.block_number += 1;
            }
        }
    }

    /// To be called when a call into the session panicked: its transaction is rolled back.
    pub fn after_panic(&mut self) {
        for portal in self.portals.drain(..).filter_map(|portal| portal.upgrade()) {
            let mut state = portal.lock();
            state.execution = None;
            state.own = None;
            state.ready.clear();
        }
        self.cache.clear();
        self.arena.reset();
        self.fail_block();
    }

    // ---- executing -------------------------------------------------------------------------------------

    /// Starts a statement. A query's rows stream from the portal; a data change is complete when this returns.
    /// # Errors
    /// Whatever the statement raises. Outside a block its effects are undone; inside one the block is aborted.
    pub fn execute(&mut self, statement: &Arc<Prepared>, parameters: &[Datum]) -> Result<Portal> {
        self.cancel.start_statement();
        self.environment.start_statement();
        if self.failed && !statement.kind().ends_transaction() {
            self.refuse_if_failed()?;
        }
        self.settle_portals()?;
        let result = match &statement.body {
            Body::Query(plan) => self.execute_query(statement, plan, parameters),
            Body::Definition => self.execute_definition(statement),
            Body::Control(bound) => self.execute_control(statement, bound),
        };
        if result.is_err() {
            self.fail_block();
        }
        result
    }

    /// Before another statement of the same block: what its open portals still have to say is fetched now,
    /// because the next statement has another snapshot.
    fn settle_portals(&mut self) -> Result<()> {
        if self.portals.is_empty() {
            return Ok(());
        }
        self.portals.retain(|portal| portal.strong_count() > 0);
        for portal in self.portals.clone().iter().filter_map(Weak::upgrade) {
            let mut state = portal.lock();
            if state.own.is_some() || state.block_number != self.block_number {
                continue;
            }
            let Some(mut execution) = state.execution.take() else { continue };
            let Some(block) = &mut self.block else { continue };
            let mut memory = self.engine.memory.reservation();
            let parameters = std::mem::take(&mut state.parameters);
            let mut context = ExecutionContext {
                manager: &self.engine.manager,
                transaction: &mut block.transaction,
                parameters: &parameters,
                environment: &self.environment,
                memory: &self.engine.memory,
                cancel: &self.cancel,
                supply: None,
            };
            while let Some(batch) = execution.next(&mut context)? {
                memory.grow(batch.memory_bytes())?;
                state.ready.push_back(batch);
            }
            state.ready_memory = Some(memory);
            block.transaction.end_statement();
        }
        // Those outside a block have their own transaction and go on.
        self.portals
            .retain(|portal| portal.upgrade().is_some_and(|portal| portal.lock().execution.is_some()));
        Ok(())
    }

    /// Whether a query of this session still reads tables.
    pub(crate) fn has_open_queries(&self) -> bool {
        self.portals.iter().filter_map(Weak::upgrade).any(|portal| portal.lock().execution.is_some())
    }

    fn execute_query(
        &mut self,
        statement: &Arc<Prepared>,
        plan: &Mutex<Plan>,
        parameters: &[Datum],
    ) -> Result<Portal> {
        let parameters = if parameters::fit(parameters, statement.parameters()) {
            parameters.to_vec()
        } else {
            parameters::convert(parameters, statement.parameters(), &self.environment)?
        };
        let autocommit = self.block.is_none();
        let mut block = match self.block.take() {
            Some(block) => block,
            None => self.new_block(None, None),
        };
        let result = self.start_query(statement, plan, &parameters, &mut block);
        match result {
            Ok(Started::Complete(ready, affected, memory)) => {
                if autocommit {
                    let durability = self.environment.settings.effects().durability;
                    if block.commit(durability, &self.engine)?.is_some() {
                        self.after_commit();
                    }
                } else {
                    block.transaction.end_statement();
                    self.block = Some(block);
                }
                let mut state = PortalState::complete(ready, affected);
                state.ready_memory = Some(memory);
                Ok(Portal::new(Arc::clone(statement.columns()), statement.kind(), state))
            }
            Ok(Started::Streaming(execution)) => {
                let mut state = PortalState::complete(VecDeque::new(), None);
                state.execution = Some(execution);
                state.parameters = parameters;
                state.block_number = self.block_number;
                if autocommit {
                    state.own = Some(block);
                } else {
                    self.block = Some(block);
                }
                let portal = Portal::new(Arc::clone(statement.columns()), statement.kind(), state);
                self.portals.push(Arc::downgrade(&portal.state));
                Ok(portal)
            }
            Err(error) => {
                if !autocommit {
                    self.block = Some(block);
                }
                Err(error)
            }
        }
    }

    fn start_query(
        &mut self,
        statement: &Arc<Prepared>,
        plan: &Mutex<Plan>,
        parameters: &[Datum],
        block: &mut Block,
    ) -> Result<Started> {
        refuse_if_read_only(block, statement.kind())?;
        let mut plan = plan.lock();
        self.make_current(statement, &mut plan, block)?;
        block.transaction.start_statement()?;
        block.started = true;
        let mut context = ExecutionContext {
            manager: &self.engine.manager,
            transaction: &mut block.transaction,
            parameters,
            environment: &self.environment,
            memory: &self.engine.memory,
            cancel: &self.cancel,
            supply: None,
        };
        let path = self.environment.settings.effects().path;
        let plan = &mut *plan;
        if takes_short_path(plan, path) {
            let mut rows = BatchSink::new(plan);
            let result = point::run(&plan.physical, &mut plan.scratch, &mut context, &mut rows)?;
            return self.complete(rows.finish(), result.affected);
        }
        let mut execution = executor::start(Arc::clone(&plan.physical), &mut context)?;
        if !statement.kind().changes_rows() {
            return Ok(Started::Streaming(execution));
        }
        let mut ready = VecDeque::new();
        while let Some(batch) = execution.next(&mut context)? {
            ready.push_back(batch);
        }
        self.complete(ready, execution.affected())
    }

    /// A result that waits to be fetched is charged until it is.
    fn complete(&self, ready: VecDeque<Batch>, affected: Option<u64>) -> Result<Started> {
        let mut memory = self.engine.memory.reservation();
        if !ready.is_empty() {
            memory.grow(ready.iter().map(Batch::memory_bytes).sum())?;
        }
        Ok(Started::Complete(ready, affected, memory))
    }

    /// Locks the plan's tables and makes sure that the plan fits the catalog that is in force under the locks.
    #[inline]
    fn make_current(&self, statement: &Prepared, plan: &mut Plan, block: &mut Block) -> Result<()> {
        loop {
            let fits = match (&plan.stamp, &block.catalog) {
                (Stamp::Own(catalog), Some(own)) => Arc::ptr_eq(catalog, own),
                (Stamp::Epoch(epoch), None) => *epoch == self.engine.definitions.epoch(),
                _ => false,
            };
            if !fits {
                self.plan_again(statement, plan, block)?;
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
    fn plan_again(&self, statement: &Prepared, plan: &mut Plan, block: &Block) -> Result<()> {
        let (stamp, catalog) = match &block.catalog {
            Some(own) => (Stamp::Own(Arc::clone(own)), Arc::clone(own)),
            None => {
                let epoch = self.engine.definitions.stable_epoch();
                (Stamp::Epoch(epoch), self.engine.catalog.current())
            }
        };
        let arena = Arena::new();
        let (Some(bound), _) = prepared::bind_first(statement.text(), &catalog, &arena)? else {
            return Err(Error::internal("a prepared statement lost its text"));
        };
        let new = prepared::plan(bound.statement, stamp, &self.engine)?;
        statement.check_same_result(&new)?;
        *plan = new;
        Ok(())
    }

    /// The next rows of a portal; `None` at its end.
    /// # Errors
    /// Whatever the statement raises; `34000` when the portal's transaction has ended.
    pub fn fetch(&mut self, portal: &mut Portal) -> Result<Option<Batch>> {
        let mut state = portal.state.lock();
        let state = &mut *state;
        if let Some(batch) = state.ready.pop_front() {
            state.rows += batch.selected_rows() as u64;
            return Ok(Some(batch));
        }
        state.ready_memory = None;
        let Some(execution) = &mut state.execution else { return Ok(None) };
        let result = match &mut state.own {
            Some(block) => self.next_batch(execution, &state.parameters, block),
            None if state.block_number != self.block_number => {
                state.execution = None;
                return Err(Error::new(
                    SqlState::INVALID_CURSOR_NAME,
                    "the portal does not exist any more: its transaction has ended",
                ));
            }
            None => match self.block.take() {
                Some(mut block) => {
                    let result = self.next_batch(execution, &state.parameters, &mut block);
                    self.block = Some(block);
                    result
                }
                None => Err(Error::internal("a portal outlived its transaction")),
            },
        };
        match result {
            Ok(Some(batch)) => {
                state.rows += batch.selected_rows() as u64;
                Ok(Some(batch))
            }
            Ok(None) => {
                state.execution = None;
                match state.own.take() {
                    Some(block) => {
                        block.commit(self.environment.settings.effects().durability, &self.engine)?;
                    }
                    None => {
                        if let Some(block) = &mut self.block {
                            block.transaction.end_statement();
                        }
                    }
                }
                Ok(None)
            }
            Err(error) => {
                state.execution = None;
                if state.own.take().is_none() {
                    self.fail_block();
                }
                Err(error)
            }
        }
    }

    fn next_batch(
        &self,
        execution: &mut Execution,
        parameters: &[Datum],
        block: &mut Block,
    ) -> Result<Option<Batch>> {
        execution.next(&mut ExecutionContext {
            manager: &self.engine.manager,
            transaction: &mut block.transaction,
            parameters,
            environment: &self.environment,
            memory: &self.engine.memory,
            cancel: &self.cancel,
            supply: None,
        })
    }

    /// Ends a statement whose remaining rows are not wanted.
    pub fn close(&mut self, portal: Portal) {
        {
            let mut state = portal.state.lock();
            let running = state.execution.take().is_some();
            if state.own.take().is_none()
                && running
                && state.block_number == self.block_number
                && let Some(block) = &mut self.block
            {
                block.transaction.end_statement();
            }
        }
        drop(portal);
        self.portals.retain(|portal| portal.strong_count() > 0);
    }

    /// Runs a statement on the short path; its rows go to `out`. `None`: the statement's plan is not for the
    /// short path, nothing was done. Outside a block the commit comes after the rows: if it fails, they are void.
    /// # Errors
    /// As [`Session::execute`].
    pub fn run_point(
        &mut self,
        statement: &Arc<Prepared>,
        parameters: &[Datum],
        out: &mut dyn RowSink,
    ) -> Result<Option<PointResult>> {
        let Body::Query(plan) = &statement.body else { return Ok(None) };
        self.cancel.start_statement();
        self.environment.start_statement();
        self.refuse_if_failed()?;
        if !self.portals.is_empty() {
            self.settle_portals().inspect_err(|_| self.fail_block())?;
        }
        let converted;
        let parameters = if parameters::fit(parameters, statement.parameters()) {
            parameters
        } else {
            let result = parameters::convert(parameters, statement.parameters(), &self.environment);
            converted = result.inspect_err(|_| self.fail_block())?;
            &converted
        };
        let mut plan = plan.lock();
        match self.block.take() {
            Some(mut block) => {
                let result = self.run_point_in(statement, &mut plan, parameters, &mut block, out);
                block.transaction.end_statement();
                self.block = Some(block);
                if result.is_err() {
                    self.fail_block();
                }
                result
            }
            None => {
                let mut block = self.new_block(None, None);
                let result = self.run_point_in(statement, &mut plan, parameters, &mut block, out)?;
                if result.is_some() {
                    let durability = self.environment.settings.effects().durability;
                    if block.commit(durability, &self.engine)?.is_some() {
                        self.after_commit();
                    }
                }
                Ok(result)
            }
        }
    }

    fn run_point_in(
        &self,
        statement: &Prepared,
        plan: &mut MutexGuard<'_, Plan>,
        parameters: &[Datum],
        block: &mut Block,
        out: &mut dyn RowSink,
    ) -> Result<Option<PointResult>> {
        refuse_if_read_only(block, statement.kind())?;
        self.make_current(statement, plan, block)?;
        if !takes_short_path(plan, self.environment.settings.effects().path) {
            return Ok(None);
        }
        block.transaction.start_statement()?;
        block.started = true;
        let mut context = ExecutionContext {
            manager: &self.engine.manager,
            transaction: &mut block.transaction,
            parameters,
            environment: &self.environment,
            memory: &self.engine.memory,
            cancel: &self.cancel,
            supply: None,
        };
        let plan = &mut **plan;
        point::run(&plan.physical, &mut plan.scratch, &mut context, out).map(Some)
    }

    /// Runs every statement of `sql`, as PostgreSQL's simple query protocol does: several statements are one
    /// transaction unless they say otherwise. Gives the rows that the last data change changed; rows of
    /// queries are computed and dropped.
    /// # Errors
    /// The first statement's that fails, with its position in `sql`; a syntax error anywhere fails before
    /// anything runs.
    pub fn execute_script(&mut self, sql: &str) -> Result<u64> {
        let mut affected = 0;
        let mut position = 0;
        let mut is_script = false;
        while position < sql.len() {
            let shift = |error: Error| match error.position() {
                Some(at) => error.at(at + position),
                None => error,
            };
            let rest = &sql[position..];
            if position == 0 && !is_script {
                is_script = self.is_script(sql)?;
            }
            if is_script && self.transaction_status() == TransactionStatus::Idle {
                self.environment.start_statement();
                self.begin_block(None, None, true);
            }
            let (statement, taken) = self.prepare(rest).map_err(shift)?;
            let Some(statement) = statement else { break };
            affected = self.run_to_end(&statement).map_err(shift)?.unwrap_or(affected);
            position += taken;
        }
        if self.block.as_ref().is_some_and(|block| block.implicit) {
            self.commit_block()?;
        }
        Ok(affected)
    }

    /// Whether a text has more than one statement; a syntax error in any of them is raised.
    fn is_script(&mut self, sql: &str) -> Result<bool> {
        if sql.trim_end().trim_end_matches(';').find(';').is_none() {
            return Ok(false);
        }
        let limit = self.environment.settings.effects().statement_bytes_max;
        if sql.len() > limit {
            // The size is refused where the text is prepared.
            return Ok(false);
        }
        let result = crate::sql::parser::parse(sql, &self.arena).map(|statements| statements.len() > 1);
        self.arena.reset();
        result.inspect_err(|_| self.fail_block())
    }

    fn run_to_end(&mut self, statement: &Arc<Prepared>) -> Result<Option<u64>> {
        let mut portal = self.execute(statement, &[])?;
        while self.fetch(&mut portal)?.is_some() {}
        let affected = portal.affected();
        self.close(portal);
        Ok(affected)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end_block(false);
    }
}

/// How a query started.
enum Started {
    /// All of its result is there.
    Complete(VecDeque<Batch>, Option<u64>, Reservation),
    /// The result is still to be computed.
    Streaming(Execution),
}

fn is_end(statement: &BoundStatement) -> bool {
    use crate::sql::binder::bound::TransactionStatement;
    matches!(
        statement,
        BoundStatement::Transaction(TransactionStatement::Commit | TransactionStatement::Rollback)
    )
}

fn takes_short_path(plan: &Plan, path: ExecutionPath) -> bool {
    match path {
        ExecutionPath::Auto => plan.physical.short_path && plan.can_point,
        ExecutionPath::Point => plan.can_point,
        ExecutionPath::Vectorised => false,
    }
}

/// Refuses writing statements in a read-only transaction.
pub(crate) fn refuse_if_read_only(block: &Block, kind: PreparedKind) -> Result<()> {
    if block.read_only && kind.writes() {
        return Err(Error::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!("cannot execute {} in a read-only transaction", kind.name()),
        ));
    }
    Ok(())
}

/// Collects the rows of the short path into batches.
struct BatchSink {
    types: Vec<SqlType>,
    builders: Vec<ColumnBuilder>,
    rows: usize,
    ready: VecDeque<Batch>,
}

impl BatchSink {
    fn new(plan: &Plan) -> BatchSink {
        let types: Vec<SqlType> = plan.physical.columns.iter().map(|column| column.sql_type).collect();
        BatchSink { builders: Self::builders(&types), types, rows: 0, ready: VecDeque::new() }
    }

    fn builders(types: &[SqlType]) -> Vec<ColumnBuilder> {
        types.iter().map(|sql_type| ColumnBuilder::new(*sql_type, 1)).collect()
    }

    fn seal(&mut self) {
        let builders = std::mem::replace(&mut self.builders, Self::builders(&self.types));
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        self.ready.push_back(Batch { columns, rows: std::mem::take(&mut self.rows), selection: None });
    }

    fn finish(mut self) -> VecDeque<Batch> {
        if self.rows > 0 {
            self.seal();
        }
        self.ready
    }
}

impl RowSink for BatchSink {
    fn row(&mut self, values: &dyn RowSource, count: usize) -> Result<()> {
        for (index, builder) in self.builders.iter_mut().enumerate().take(count) {
            builder.push_datum(values.datum(index));
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS {
            self.seal();
        }
        Ok(())
    }
}

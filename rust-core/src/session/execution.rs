//! Portals: a statement is started, its rows are fetched, it is closed.

use crate::batch::batch::Batch;
use crate::common::memory::Reservation;
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::{Arc, Mutex, Weak};
use crate::error::{Error, Result, SqlState};
use crate::session::block::{Block, WantedModes};
use crate::session::parameters;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::{Body, Plan, Prepared};
use crate::session::session::Session;
use crate::session::short_path::{BatchSink, takes_short_path};
use crate::session::transactions::{refuse_if_read_only, refuse_locks_if_read_only, refuse_read_only};
use crate::sql::binder::bound::BoundStatement;
use crate::sql::executor::{self, Execution, ExecutionContext, point};
use crate::sql::functions::registry::Environment;
use crate::sql::types::datum::Datum;
use std::collections::VecDeque;

/// How often a statement that is its own transaction is run again when its snapshot became too old before it gave out
/// anything: a short one is never refused because its thread had to wait.
pub(crate) const RERUNS_MAX: u32 = 8;

/// Whether the statement's snapshot was refused.
pub(crate) fn is_too_old<R>(result: &Result<R>) -> bool {
    result.as_ref().is_err_and(|error| error.state() == SqlState::SNAPSHOT_TOO_OLD)
}

impl Session {
    /// Starts a statement. A query's rows stream from the portal; a data change is complete when this returns.
    /// # Errors
    /// Whatever the statement raises. Outside a block its effects are undone; inside one the block is aborted.
    pub fn execute(&mut self, statement: &Arc<Prepared>, parameters: &[Datum]) -> Result<Portal> {
        let result = self.execute_in_call(statement, parameters);
        let goes_on = result.as_ref().is_ok_and(|portal| portal.state.lock().execution.is_some());
        self.leave(result.as_ref().err(), goes_on);
        result
    }

    fn execute_in_call(&mut self, statement: &Arc<Prepared>, parameters: &[Datum]) -> Result<Portal> {
        self.go_on()?;
        self.start_statement(statement)?;
        let mark = self.statement_mark(statement.kind());
        let result = match statement.executed() {
            None => self.execute_body(statement, parameters),
            Some(_) => {
                self.renewed(statement).and_then(|statement| self.execute_body(&statement, parameters))
            }
        };
        if result.is_err() {
            self.fail_statement(mark);
        }
        result.map_err(|error| self.with_object(error))
    }

    fn execute_body(&mut self, statement: &Arc<Prepared>, parameters: &[Datum]) -> Result<Portal> {
        match &statement.body {
            Body::Query(plan) => self.execute_query(statement, plan, parameters),
            Body::Definition => self.execute_definition(statement, parameters),
            Body::Analyze => self.execute_analyze(statement),
            Body::Vacuum => self.execute_vacuum(statement),
            Body::Lock => self.execute_lock(statement),
            Body::Explain => self.execute_explain(statement, parameters),
            Body::Copy(_) => self.execute_copy(statement),
            Body::Control(bound) if let BoundStatement::Notification(what) = &**bound => {
                self.execute_notification(statement, what)
            }
            Body::Execute(arguments) => self.execute_named(statement, arguments),
            Body::Control(bound) => self.execute_control(statement, bound),
        }
    }

    /// What comes before every statement.
    pub(crate) fn start_statement(&mut self, statement: &Prepared) -> Result<()> {
        let kind = statement.kind();
        if let Err(ended) = self.enter() {
            if kind.ends_block() {
                self.end_block(false);
            }
            return Err(ended);
        }
        self.cancel.start_statement();
        self.environment.start_statement();
        self.show_statement(statement.shared_text(), self.environment.statement_time());
        self.start_clocks();
        if self.failed && !kind.ends_failure() {
            self.refuse_if_failed()?;
        }
        self.settle_portals()
    }

    /// Before another statement of the same block: what its open portals still have to say is fetched now,
    /// because the next statement has another snapshot.
    pub(crate) fn settle_portals(&mut self) -> Result<()> {
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
            self.environment.transaction_owner.set(block.transaction.lock_owner());
            self.environment.run_in(block.number, block.catalog.as_ref());
            let mut context = ExecutionContext {
                manager: &self.engine.manager,
                transaction: &mut block.transaction,
                parameters: &parameters,
                environment: &self.environment,
                memory: &self.engine.memory,
                cancel: &self.cancel,
                pending: &mut block.pending,
                supply: None,
                late: None,
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

    pub(crate) fn execute_query(
        &mut self,
        statement: &Arc<Prepared>,
        plan: &Mutex<Plan>,
        parameters: &[Datum],
    ) -> Result<Portal> {
        let given = parameters;
        let parameters = parameters::converted(given, statement.parameters(), &self.environment)?;
        let _converted = parameters::memory_for(&parameters, given, &self.engine.memory)?;
        let autocommit = self.block.is_none();
        let mut block = match self.block.take() {
            Some(block) => block,
            None => self.new_block(WantedModes::default()),
        };
        let mut result = self.start_query(statement, plan, &parameters, &mut block);
        for _ in 0..RERUNS_MAX {
            if !autocommit || !is_too_old(&result) {
                break;
            }
            // Nobody has seen anything of it: a new snapshot does as well.
            block = self.new_block(WantedModes::default());
            result = self.start_query(statement, plan, &parameters, &mut block);
        }
        match result {
            Ok(Started::Complete(ready, affected, memory)) => {
                if autocommit {
                    self.check_deferred(&mut block)?;
                    if block.commit(&self.engine, &self.environment)?.is_some() {
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
                // Whoever gave them may give others while rows are still to come.
                let memory = parameters::memory_for(&parameters, &[], &self.engine.memory);
                let memory = match memory {
                    Ok(memory) => memory,
                    Err(error) => {
                        if !autocommit {
                            self.block = Some(block);
                        }
                        return Err(error);
                    }
                };
                let mut state = PortalState::complete(VecDeque::new(), None);
                state.execution = Some(execution);
                state.parameters = parameters;
                state._parameter_memory = memory;
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
                } else if is_planted(PlantedFault::FailureCommitted) {
                    block.commit(&self.engine, &self.environment)?;
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
        if plan.physical.changes_in_with {
            refuse_read_only(block, statement.kind().name())?;
        }
        refuse_locks_if_read_only(block, plan.locks_rows)?;
        block.transaction.start_statement()?;
        block.started = true;
        let mut context = self.context(block, parameters);
        let path = self.environment.settings.effects().path;
        let plan = &mut *plan;
        if takes_short_path(plan, path) {
            let mut rows = BatchSink::new(plan);
            let result = point::run(&plan.physical, &mut plan.scratch, &mut context, &mut rows)?;
            return self.complete(rows.finish(), result.affected);
        }
        let mut execution = executor::start(Arc::clone(&plan.physical), &mut context)?;
        // Rows are changed and locked when the statement has run, not when somebody fetches them.
        if !statement.kind().changes_rows() && plan.locks_rows.is_none() && !plan.physical.changes_in_with {
            return Ok(Started::Streaming(execution));
        }
        let mut ready = VecDeque::new();
        let mut memory = self.engine.memory.reservation();
        while let Some(batch) = execution.next(&mut context)? {
            memory.grow(batch.memory_bytes())?;
            ready.push_back(batch);
        }
        Ok(Started::Complete(ready, execution.affected(), memory))
    }

    /// A result that waits to be fetched is charged until it is.
    fn complete(&self, ready: VecDeque<Batch>, affected: Option<u64>) -> Result<Started> {
        let mut memory = self.engine.memory.reservation();
        if !ready.is_empty() {
            memory.grow(ready.iter().map(Batch::memory_bytes).sum())?;
        }
        Ok(Started::Complete(ready, affected, memory))
    }

    /// The next rows of a portal; `None` at its end.
    /// # Errors
    /// Whatever the statement raises; `34000` when the portal's transaction has ended.
    pub fn fetch(&mut self, portal: &mut Portal) -> Result<Option<Batch>> {
        if let Some(batch) = portal.next_complete() {
            return Ok(batch);
        }
        let result = self.enter().map_err(Error::started).and_then(|()| self.fetch_in_call(portal));
        self.leave(result.as_ref().err(), matches!(result, Ok(Some(_))));
        result
    }

    fn fetch_in_call(&mut self, portal: &mut Portal) -> Result<Option<Batch>> {
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
                        block.commit(&self.engine, &self.environment)?;
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
                    if let Some(block) = &mut self.block {
                        block.transaction.end_statement();
                    }
                    self.fail_block();
                }
                Err(self.with_object(error))
            }
        }
    }

    fn next_batch(
        &self,
        execution: &mut Execution,
        parameters: &[Datum],
        block: &mut Block,
    ) -> Result<Option<Batch>> {
        execution.next(&mut self.context(block, parameters))
    }

    /// What an execution needs of this session.
    pub(crate) fn context<'a>(
        &'a self,
        block: &'a mut Block,
        parameters: &'a [Datum],
    ) -> ExecutionContext<'a> {
        self.environment.transaction_owner.set(block.transaction.lock_owner());
        self.environment.run_in(block.number, block.catalog.as_ref());
        ExecutionContext {
            manager: &self.engine.manager,
            transaction: &mut block.transaction,
            parameters,
            environment: &self.environment,
            memory: &self.engine.memory,
            cancel: &self.cancel,
            pending: &mut block.pending,
            supply: None,
            late: None,
        }
    }

    /// Ends a statement whose remaining rows are not wanted.
    pub fn close(&mut self, portal: Portal) {
        self.resume_quietly();
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
        self.leave(None, false);
    }
}

/// How a query started.
enum Started {
    /// All of its result is there.
    Complete(VecDeque<Batch>, Option<u64>, Reservation),
    /// The result is still to be computed.
    Streaming(Execution),
}

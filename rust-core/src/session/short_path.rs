//! The short path: key look-ups and changes by key, row at a time, straight into the caller's sink; and the begin and
//! the end of the block around them.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::common::limits::BATCH_ROWS;
use crate::common::sync::{Arc, MutexGuard};
use crate::error::Result;
use crate::session::block::{Block, WantedModes};
use crate::session::execution::{RERUNS_MAX, is_too_old};
use crate::session::parameters;
use crate::session::prepared::{Body, Plan, Prepared};
use crate::session::result::TransactionStatus;
use crate::session::session::Session;
use crate::session::setting::ExecutionPath;
use crate::session::transactions::{refuse_if_read_only, refuse_locks_if_read_only};
use crate::sql::binder::bound::{BoundStatement, TransactionStatement};
use crate::sql::evaluate::row::{RowSink, RowSource};
use crate::sql::executor::point::{self, PointResult};
use crate::sql::executor::short_range::ShortRange;
use crate::sql::types::data_type::SqlType;
use crate::sql::types::datum::Datum;
use std::collections::VecDeque;

impl Session {
    /// Runs a statement on the short path; its rows go to `out`. `None`: the statement's plan is not for the
    /// short path, or its rows find no room; nothing was done, `out` is empty. Outside a block the commit comes after the
    /// rows: if it fails, they are void.
    /// # Errors
    /// As [`Session::execute`].
    pub fn run_point(
        &mut self,
        statement: &Arc<Prepared>,
        parameters: &[Datum],
        out: &mut dyn RowSink,
    ) -> Result<Option<PointResult>> {
        let result = self.run_point_in_call(statement, parameters, out);
        self.leave(result.as_ref().err(), false);
        result
    }

    fn run_point_in_call(
        &mut self,
        statement: &Arc<Prepared>,
        parameters: &[Datum],
        out: &mut dyn RowSink,
    ) -> Result<Option<PointResult>> {
        let plan = match &statement.body {
            Body::Query(plan) => plan,
            Body::Control(bound) => return self.run_control(statement, bound),
            _ => return Ok(None),
        };
        self.go_on()?;
        self.enter()?;
        self.cancel.start_statement();
        self.environment.start_statement();
        // It is over before anybody looks; where it waits, the time of that is known.
        self.show_statement(statement.shared_text(), 0);
        self.start_clocks();
        self.refuse_if_failed()?;
        if !self.portals.is_empty() {
            self.settle_portals().inspect_err(|_| self.fail_block())?;
        }
        let (converted, _memory);
        let parameters = if parameters::fit(parameters, statement.parameters()) {
            parameters
        } else {
            let result = parameters::convert(parameters, statement.parameters(), &self.environment);
            converted = result.inspect_err(|_| self.fail_block())?;
            let memory = parameters::memory_for(&converted, parameters, &self.engine.memory);
            _memory = memory.inspect_err(|_| self.fail_block())?;
            &converted
        };
        let mut plan = plan.lock();
        let mark = self.statement_mark(statement.kind());
        match self.block.take() {
            Some(mut block) => {
                let result = self.run_point_in(statement, &mut plan, parameters, &mut block, out);
                block.transaction.end_statement();
                self.block = Some(block);
                if result.is_err() {
                    self.fail_statement(mark);
                }
                result.map_err(|error| self.with_object(error))
            }
            None => {
                let mut block = self.new_block(WantedModes::default());
                let mut result = self.run_point_in(statement, &mut plan, parameters, &mut block, out);
                for _ in 0..RERUNS_MAX {
                    if !is_too_old(&result) {
                        break;
                    }
                    // Nobody sees rows before the statement has ended.
                    out.clear();
                    block = self.new_block(WantedModes::default());
                    result = self.run_point_in(statement, &mut plan, parameters, &mut block, out);
                }
                let result = result.map_err(|error| self.with_object(error))?;
                if result.is_some() {
                    self.check_deferred(&mut block).map_err(|error| self.with_object(error))?;
                    if block.commit(&self.engine, &self.environment)?.is_some() {
                        self.after_commit();
                    }
                }
                Ok(result)
            }
        }
    }

    /// BEGIN outside a block, COMMIT and ROLLBACK of one that stands: they have no rows, and their names are their tags.
    fn run_control(&mut self, statement: &Prepared, bound: &BoundStatement) -> Result<Option<PointResult>> {
        let BoundStatement::Transaction(control) = bound else { return Ok(None) };
        let is_plain = match control {
            TransactionStatement::Begin(_) => self.transaction_status() == TransactionStatus::Idle,
            TransactionStatement::Commit { chain: false }
            | TransactionStatement::Rollback { chain: false } => {
                self.transaction_status() == TransactionStatus::Active
                    && self.block.as_ref().is_some_and(|block| !block.implicit)
            }
            _ => false,
        };
        if !is_plain {
            return Ok(None);
        }
        self.go_on()?;
        self.start_statement(statement)?;
        let result = self.control_transaction(control, statement.kind());
        if result.is_err() {
            self.fail_statement(None);
        }
        result.map_err(|error| self.with_object(error))?;
        Ok(Some(PointResult { rows: 0, affected: None }))
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
        refuse_locks_if_read_only(block, plan.locks_rows)?;
        let path = self.environment.settings.effects().path;
        let is_point = takes_short_path(plan, path);
        let range = plan.short_range.as_mut().filter(|_| !is_point && path != ExecutionPath::Vectorised);
        if !is_point && !range.is_some_and(ShortRange::is_worth_a_try) {
            return Ok(None);
        }
        block.transaction.start_statement()?;
        block.started = true;
        let mut context = self.context(block, parameters);
        let plan = &mut **plan;
        match &mut plan.short_range {
            Some(range) if !is_point => {
                let rows = range.run(&plan.physical, &mut context, out)?;
                Ok(rows.map(|rows| PointResult { rows, affected: None }))
            }
            _ => point::run(&plan.physical, &mut plan.scratch, &mut context, out).map(Some),
        }
    }
}

pub(crate) fn takes_short_path(plan: &Plan, path: ExecutionPath) -> bool {
    match path {
        ExecutionPath::Auto => plan.physical.short_path && plan.can_point,
        ExecutionPath::Point => plan.can_point,
        ExecutionPath::Vectorised => false,
    }
}

/// Collects the rows of the short path into batches.
pub(crate) struct BatchSink {
    types: Vec<SqlType>,
    builders: Vec<ColumnBuilder>,
    rows: usize,
    ready: VecDeque<Batch>,
}

impl BatchSink {
    pub(crate) fn new(plan: &Plan) -> BatchSink {
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

    pub(crate) fn finish(mut self) -> VecDeque<Batch> {
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

    fn clear(&mut self) {
        self.ready.clear();
        self.builders = Self::builders(&self.types);
        self.rows = 0;
    }
}

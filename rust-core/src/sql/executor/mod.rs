//! Runs physical plans: push-based pipelines over batches, and the short path for key look-ups.
//!
//! A plan is cut into pipelines at its breakers (aggregation, sorting, data change, the side of a join that is kept in
//! memory). A source gives batches, operators pass them on, a sink takes them; a breaker is the source of the next
//! pipeline and runs the one before it when its first batch is asked for. Operators are resumable, so one loop drives a
//! pipeline and stops as soon as the result has a batch for the reader; nothing is borrowed between calls. Everything
//! can start again with other parameters, which is how a right input is run for each row of the left one.
//! Knows plans, tables and transactions. Knows no text, no names' resolution and no session.

pub mod computed;
pub mod point;
pub mod short_range;

mod aggregate;
mod assemble;
mod common_table;
mod conflict;
mod constraint;
mod execution;
mod initial;
mod instrument;
mod join;
mod limit;
mod lock_rows;
mod modify;
mod node;
mod pipeline;
mod project;
mod recheck;
mod scan;
mod set_operation;
mod sort;
mod sort_key;
mod stage;
mod store;
mod top_n;

#[cfg(test)]
mod tests;

pub use constraint::{PendingChecks, PendingMark, check_deferred};
pub use execution::{Execution, start, start_instrumented};
pub use initial::LatePlans;
pub use instrument::NodeStatistics;

use crate::batch::batch::Batch;
use crate::common::cancel::CancelToken;
use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::evaluate::context::{EvaluationContext, LateValues};
use crate::sql::functions::registry::Environment;
use crate::sql::types::datum::Datum;
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::Transaction;

/// What an execution needs from outside for the length of one call.
pub struct ExecutionContext<'a> {
    /// The database's transactions and trees.
    pub manager: &'a Arc<TransactionManager>,
    /// The transaction that the statement runs in; its statement has been started.
    pub transaction: &'a mut Transaction,
    /// Values of `$1` …, of the plan's parameter types. The same at every call.
    pub parameters: &'a [Datum],
    /// Clock, zone, settings.
    pub environment: &'a dyn Environment,
    /// What grows is charged here.
    pub memory: &'a Arc<MemoryAccount>,
    /// Checked once a batch.
    pub cancel: &'a CancelToken,
    /// What the transaction has still to check for its constraints.
    pub pending: &'a mut PendingChecks,
    /// Rows for the plan's `Supplied` leaf, where it has one.
    pub supply: Option<&'a mut dyn Supply>,
    /// Parameters that are computed when they are first used; the running plan's own affair: `None` from outside.
    pub late: Option<&'a mut LatePlans>,
}

/// Gives a plan the rows that come from outside.
pub trait Supply {
    /// The next rows, with the columns of the plan's `Supplied` leaf; `None` at the end.
    /// # Errors
    /// What reading them raises.
    fn next(&mut self) -> Result<Option<Batch>>;
}

impl std::fmt::Debug for ExecutionContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecutionContext").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl ExecutionContext<'_> {
    /// The same context with other parameters.
    fn with_parameters<'s>(&'s mut self, parameters: &'s [Datum]) -> ExecutionContext<'s> {
        ExecutionContext {
            manager: self.manager,
            transaction: self.transaction,
            parameters,
            environment: self.environment,
            memory: self.memory,
            cancel: self.cancel,
            pending: self.pending,
            supply: match &mut self.supply {
                Some(supply) => Some(&mut **supply),
                None => None,
            },
            late: self.late.as_deref_mut(),
        }
    }

    fn evaluation(&self) -> EvaluationContext<'_> {
        let late = self.late.as_deref().map(|late| late as &dyn LateValues);
        EvaluationContext { late, ..EvaluationContext::new(self.parameters, self.environment) }
    }

    /// Evaluates, as often as it takes until every parameter that turns out to be needed is there.
    fn evaluate<R>(&mut self, mut body: impl FnMut(&EvaluationContext<'_>) -> Result<R>) -> Result<R> {
        loop {
            let result = body(&self.evaluation());
            let Some(wanted) = self.late.as_deref().and_then(LatePlans::take_wanted) else { return result };
            if result.is_ok() {
                return result;
            }
            let Some(late) = self.late.take() else { return result };
            let outcome = late.compute(wanted, self);
            self.late = Some(late);
            outcome?;
        }
    }
}

//! A running plan.

use crate::batch::batch::Batch;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::assemble::Assembler;
use crate::sql::executor::constraint;
use crate::sql::executor::instrument::{NodeStatistics, Observer};
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::Pipeline;
use crate::sql::plan::physical::{PhysicalPlan, StatementKind};
use crate::sql::types::datum::Datum;
use std::sync::atomic::{AtomicU64, Ordering};

/// A running plan. Holds no borrow: between calls the transaction may be used for other things, as long as
/// its snapshot stays registered.
pub struct Execution {
    pipeline: Pipeline,
    /// The user's parameters, then those that the plan itself sets; empty where it sets none.
    parameters: Vec<Datum>,
    run_time_parameters: usize,
    /// How many there are in all.
    parameter_count: usize,
    /// Rows changed, for a data change.
    affected: Option<Arc<AtomicU64>>,
    /// Common tables change rows too: what waits for the statement's end is done when all of them are complete.
    ends_statement: bool,
    observer: Option<Arc<Observer>>,
    statistics: Vec<NodeStatistics>,
    finished: bool,
}

impl std::fmt::Debug for Execution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Execution").field("finished", &self.finished).finish_non_exhaustive()
    }
}

/// Prepares a plan to run: nothing is read, changed or evaluated yet.
/// # Errors
/// `54001`.
pub fn start(plan: Arc<PhysicalPlan>, context: &mut ExecutionContext<'_>) -> Result<Execution> {
    assemble(plan, None, context)
}

/// As [`start`], for EXPLAIN ANALYZE: each node's rows, time and memory are taken.
/// # Errors
/// As there.
pub fn start_instrumented(plan: Arc<PhysicalPlan>, context: &mut ExecutionContext<'_>) -> Result<Execution> {
    let observer = Observer::new(&plan.root, Arc::clone(context.manager.clock()));
    assemble(plan, Some(observer), context)
}

fn assemble(
    plan: Arc<PhysicalPlan>,
    observer: Option<Arc<Observer>>,
    context: &mut ExecutionContext<'_>,
) -> Result<Execution> {
    let affected = Arc::new(AtomicU64::new(0));
    let mut assembler = Assembler::new(Arc::clone(&affected), observer.clone(), &plan);
    let pipeline = assembler.pipeline(NodeRef::root(Arc::clone(&plan)), None, context)?;
    Ok(Execution {
        pipeline,
        parameters: Vec::new(),
        run_time_parameters: plan.run_time_parameters.len(),
        parameter_count: plan.parameters.len() + plan.run_time_parameters.len(),
        affected: (plan.kind != StatementKind::Select).then_some(affected),
        ends_statement: plan.changes_in_with,
        observer,
        statistics: Vec::new(),
        finished: false,
    })
}

impl Execution {
    /// The next batch of the result, never an empty one; `None` at the end. A data change is complete when the
    /// first call returns; with others in WITH, at the end.
    /// # Errors
    /// Whatever the statement raises; the execution is then over and its effects are the caller's to undo.
    pub fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        if self.finished {
            return Ok(None);
        }
        let mut result = if self.run_time_parameters == 0 {
            self.pipeline.next(context)
        } else {
            if self.parameters.is_empty() {
                self.parameters.extend_from_slice(context.parameters);
                self.parameters.resize(self.parameter_count, Datum::Null);
            }
            self.pipeline.next(&mut context.with_parameters(&self.parameters))
        };
        self.finished = !matches!(result, Ok(Some(_)));
        if self.ends_statement && matches!(result, Ok(None)) {
            result = constraint::end_statement(None, context).map(|()| None);
        }
        if let Some(observer) = &self.observer {
            observer.statistics(&mut self.statistics);
        }
        result
    }

    /// Rows changed so far, for INSERT, UPDATE and DELETE.
    pub fn affected(&self) -> Option<u64> {
        self.affected.as_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// What each node of the plan did so far, in the order of a walk that visits a node before its inputs
    /// ([`crate::sql::plan::physical::PhysicalNode::inputs`]). Empty unless the plan was started instrumented.
    pub fn statistics(&self) -> &[NodeStatistics] {
        &self.statistics
    }
}

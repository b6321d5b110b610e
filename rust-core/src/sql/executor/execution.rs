//! Cuts a plan into pipelines and runs them one after the other.

use crate::batch::batch::Batch;
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::aggregate::HashAggregate;
use crate::sql::executor::limit::Limit;
use crate::sql::executor::modify::Modify;
use crate::sql::executor::pipeline::{Pipeline, Sink};
use crate::sql::executor::project::{Filter, Project};
use crate::sql::executor::scan;
use crate::sql::executor::sort::Sort;
use crate::sql::executor::top_n::TopN;
use crate::sql::plan::physical::{Operator, PhysicalNode, PhysicalPlan, StatementKind};
use std::sync::atomic::{AtomicU64, Ordering};

/// A running plan. Holds no borrow: between calls the transaction may be used for other things, as long as
/// its snapshot stays registered.
pub struct Execution {
    /// The pipeline that runs; its output goes into the first of `sinks`, or to the reader if there is none.
    pipeline: Pipeline,
    /// The breakers that are still to come, innermost first, each with the operators behind it.
    stages: std::vec::IntoIter<Stage>,
    /// Rows changed, for a data change.
    affected: Option<Arc<AtomicU64>>,
    finished: bool,
}

impl std::fmt::Debug for Execution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Execution").field("finished", &self.finished).finish_non_exhaustive()
    }
}

/// A breaker and the operators of the pipeline that reads it.
struct Stage {
    sink: Box<dyn Sink>,
    transforms: Vec<Box<dyn super::pipeline::Transform>>,
}

/// A node of a plan that is kept alive by the reference: operators outlive the call that makes them.
#[derive(Clone)]
pub(super) struct NodeRef {
    plan: Arc<PhysicalPlan>,
    /// How many inputs lie between the root and the node; no operator has two inputs yet.
    depth: usize,
}

impl NodeRef {
    /// The operator.
    pub(super) fn operator(&self) -> &Operator {
        let mut node = &self.plan.root;
        for _ in 0..self.depth {
            node = input(node).expect("the depth was counted along these inputs");
        }
        &node.operator
    }
}

/// The input of a node; leaves have none.
pub(super) fn input(node: &PhysicalNode) -> Option<&PhysicalNode> {
    match &node.operator {
        Operator::Filter { input, .. }
        | Operator::Project { input, .. }
        | Operator::HashAggregate { input, .. }
        | Operator::Sort { input, .. }
        | Operator::TopN { input, .. }
        | Operator::Limit { input, .. }
        | Operator::Insert { input, .. }
        | Operator::Update { input, .. }
        | Operator::Delete { input, .. } => Some(input),
        Operator::TableScan { .. }
        | Operator::IndexScan { .. }
        | Operator::RowIdLookup { .. }
        | Operator::UniqueLookup { .. }
        | Operator::Values { .. } => None,
        _ => None,
    }
}

/// Prepares a plan to run: nothing is read or changed yet, but constant arguments are evaluated.
/// # Errors
/// What evaluating LIMIT and key bounds raises.
pub fn start(plan: Arc<PhysicalPlan>, context: &mut ExecutionContext<'_>) -> Result<Execution> {
    let mut depth = 0;
    let mut node = &plan.root;
    while let Some(next) = input(node) {
        node = next;
        depth += 1;
    }
    let affected = (plan.kind != StatementKind::Select).then(|| Arc::new(AtomicU64::new(0)));
    let reference = |depth| NodeRef { plan: Arc::clone(&plan), depth };
    let mut pipeline = Pipeline::new(scan::source(reference(depth), context)?);
    let mut stages: Vec<Stage> = Vec::new();
    let mut limit_is_placed = false;
    for depth in (0..depth).rev() {
        let node = reference(depth);
        if std::mem::take(&mut limit_is_placed) {
            continue;
        }
        let sink: Box<dyn Sink> = match node.operator() {
            Operator::Filter { .. } => {
                add(&mut pipeline, &mut stages, Box::new(Filter::new(node)));
                continue;
            }
            Operator::Project { .. } => {
                // What LIMIT cuts off is not computed.
                if depth > 0
                    && let Operator::Limit { limit, offset, .. } = reference(depth - 1).operator()
                {
                    let operator = Limit::new(limit.as_ref(), offset.as_ref(), context)?;
                    add(&mut pipeline, &mut stages, Box::new(operator));
                    limit_is_placed = true;
                }
                add(&mut pipeline, &mut stages, Box::new(Project::new(node)));
                continue;
            }
            Operator::Limit { limit, offset, .. } => {
                let operator = Limit::new(limit.as_ref(), offset.as_ref(), context)?;
                add(&mut pipeline, &mut stages, Box::new(operator));
                continue;
            }
            Operator::HashAggregate { .. } => Box::new(HashAggregate::new(node, context)),
            Operator::Sort { .. } => Box::new(Sort::new(node, context)),
            Operator::TopN { .. } => Box::new(TopN::new(node, context)?),
            Operator::Insert { .. } | Operator::Update { .. } | Operator::Delete { .. } => {
                let counter = affected.clone().unwrap_or_default();
                Box::new(Modify::new(node, counter, context)?)
            }
            Operator::TableScan { .. }
            | Operator::IndexScan { .. }
            | Operator::RowIdLookup { .. }
            | Operator::UniqueLookup { .. }
            | Operator::Values { .. } => unreachable!("only the last node has no input"),
            _ => return Err(Error::not_supported("a query of several tables")),
        };
        stages.push(Stage { sink, transforms: Vec::new() });
    }
    Ok(Execution { pipeline, stages: stages.into_iter(), affected, finished: false })
}

/// Puts an operator behind the last breaker so far.
fn add(pipeline: &mut Pipeline, stages: &mut [Stage], transform: Box<dyn super::pipeline::Transform>) {
    match stages.last_mut() {
        Some(stage) => stage.transforms.push(transform),
        None => pipeline.add(transform),
    }
}

impl Execution {
    /// The next batch of the result, never an empty one; `None` at the end. A data change is complete when the
    /// first call returns.
    /// # Errors
    /// Whatever the statement raises; the execution is then over and its effects are the caller's to undo.
    pub fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        if self.finished {
            return Ok(None);
        }
        let result = self.run(context);
        self.finished = !matches!(result, Ok(Some(_)));
        result
    }

    fn run(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        for mut stage in self.stages.by_ref() {
            self.pipeline.drain_into(stage.sink.as_mut(), context)?;
            self.pipeline = Pipeline::new(stage.sink.finish(context)?);
            for transform in stage.transforms {
                self.pipeline.add(transform);
            }
        }
        self.pipeline.next(context)
    }

    /// Rows changed so far, for INSERT, UPDATE and DELETE.
    pub fn affected(&self) -> Option<u64> {
        self.affected.as_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

//! From a plan to pipelines: each operator becomes a source, a step of a pipeline, or a breaker between two.
//!
//! The way along left and only inputs is a loop, so that the stack grows with bushy plans alone.

use crate::common::ids::ObjectId;
use crate::common::sync::{Arc, Mutex};
use crate::error::{Error, Result, SqlState};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::common_table::{CommonScan, DefinitionUse, RecursiveUnion, SharedRows, With};
use crate::sql::executor::constraint::ChangedTables;
use crate::sql::executor::initial::InitialPlans;
use crate::sql::executor::instrument::{self, Observer};
use crate::sql::executor::join::apply::Apply;
use crate::sql::executor::join::hash::HashJoin;
use crate::sql::executor::join::merge::MergeJoin;
use crate::sql::executor::limit::Limit;
use crate::sql::executor::lock_rows::LockRows;
use crate::sql::executor::node::{NodeRef, dependence, mark_inputs, output_types};
use crate::sql::executor::pipeline::{Pipeline, Source, Transform};
use crate::sql::executor::project::{Filter, Project};
use crate::sql::executor::recheck::Rechecker;
use crate::sql::executor::scan::Leaf;
use crate::sql::executor::set_operation::{Append, DistinctOn, SetOperation};
use crate::sql::executor::stage::Stage;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::logical::CommonTableId;
use crate::sql::plan::physical::{Operator, PhysicalAggregate, PhysicalJoinKind, PhysicalNode, PhysicalPlan};
use hashbrown::HashMap;
use std::sync::atomic::AtomicU64;

/// Inputs inside inputs that are not the left or only one. The binder bounds what a query can ask for; what the
/// optimizer makes of it stays well below this.
const DEPTH_MAX: usize = 1000;

/// Which output columns of a node are used; `None`: all.
type Wanted = Option<Vec<bool>>;

/// Makes the pipelines of one plan.
pub(super) struct Assembler {
    affected: Arc<AtomicU64>,
    observer: Option<Arc<Observer>>,
    /// The first parameter that is not the user's.
    first_run_time: usize,
    common: HashMap<CommonTableId, Arc<Mutex<SharedRows>>>,
    /// Where common tables change rows too: all that the statement changes.
    changed: Option<Arc<ChangedTables>>,
    depth: usize,
}

/// What `node` needs of the columns of its left or only input, when `wanted` of its own are used.
fn wanted_of_left(node: &PhysicalNode, wanted: &Wanted) -> Wanted {
    fn with<'e>(mut wanted: Vec<bool>, expressions: impl IntoIterator<Item = &'e Expression>) -> Wanted {
        expressions.into_iter().for_each(|expression| mark_inputs(expression, &mut wanted));
        Some(wanted)
    }
    let none = |input: &PhysicalNode| vec![false; output_types(input).len()];
    match &node.operator {
        Operator::Filter { predicate, .. } => with(wanted.clone()?, [predicate]),
        Operator::Sort { keys, .. } | Operator::TopN { keys, .. } => {
            with(wanted.clone()?, keys.iter().map(|key| &key.expression))
        }
        Operator::DistinctOn { keys, .. } => with(wanted.clone()?, keys),
        Operator::Limit { ties, .. } => with(wanted.clone()?, ties),
        Operator::Project { input, expressions } => with(none(input), expressions),
        Operator::HashAggregate { input, groups, aggregates } => {
            let arguments = aggregates.iter().flat_map(PhysicalAggregate::operands);
            with(none(input), groups.iter().chain(arguments))
        }
        Operator::HashJoin { left, keys, residual, .. }
        | Operator::MergeJoin { left, keys, residual, .. } => {
            let mut columns = wanted.clone()?;
            columns.resize(output_types(left).len(), false);
            with(columns, keys.iter().map(|key| &key.left).chain(residual))
        }
        Operator::NestedLoopJoin { left, condition, .. } => {
            let mut columns = wanted.clone()?;
            columns.resize(output_types(left).len(), false);
            with(columns, condition)
        }
        Operator::Apply { left, condition, arguments, .. } => {
            let mut columns = wanted.clone()?;
            columns.resize(output_types(left).len(), false);
            with(columns, arguments.iter().map(|(_, value)| value).chain(condition))
        }
        _ => None,
    }
}

/// What a join needs of the columns of its right input.
fn wanted_of_right(node: &PhysicalNode, wanted: &Wanted) -> Wanted {
    let (left, right, keys, condition): (_, _, &[_], _) = match &node.operator {
        Operator::HashJoin { left, right, keys, residual, .. }
        | Operator::MergeJoin { left, right, keys, residual, .. } => (left, right, keys, residual),
        Operator::NestedLoopJoin { left, right, condition, .. }
        | Operator::Apply { left, right, condition, .. } => (left, right, &[], condition),
        _ => return None,
    };
    let width = output_types(left).len();
    let mut columns = wanted.clone()?;
    columns.resize(width + output_types(right).len(), false);
    condition.iter().for_each(|condition| mark_inputs(condition, &mut columns));
    let mut columns = columns.split_off(width);
    keys.iter().for_each(|key| mark_inputs(&key.right, &mut columns));
    Some(columns)
}

impl Assembler {
    pub(super) fn new(
        affected: Arc<AtomicU64>,
        observer: Option<Arc<Observer>>,
        plan: &PhysicalPlan,
    ) -> Assembler {
        let changed = plan.changes_in_with.then(|| {
            let mut changed = ChangedTables::default();
            note_changed(&plan.root, &mut changed);
            Arc::new(changed)
        });
        Assembler {
            affected,
            observer,
            first_run_time: plan.parameters.len(),
            common: HashMap::new(),
            changed,
            depth: 0,
        }
    }

    fn source(&self, node: &NodeRef, source: Box<dyn Source>) -> Pipeline {
        Pipeline::new(match &self.observer {
            Some(observer) => instrument::source(source, node.node(), observer),
            None => source,
        })
    }

    fn add(&self, pipeline: &mut Pipeline, node: &NodeRef, transform: Box<dyn Transform>) {
        pipeline.add(match &self.observer {
            Some(observer) => instrument::transform(transform, node.node(), observer),
            None => transform,
        });
    }

    /// The pipeline that puts out what the node does.
    /// # Errors
    /// `54001`.
    pub(super) fn pipeline(
        &mut self,
        root: NodeRef,
        wanted: Wanted,
        context: &ExecutionContext<'_>,
    ) -> Result<Pipeline> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::new(SqlState::STATEMENT_TOO_COMPLEX, "plan nested too deeply"));
        }
        // Down along the left inputs, then up again.
        let mut way: Vec<(NodeRef, Wanted)> = Vec::new();
        let mut node = root;
        let mut wanted = wanted;
        while has_left_input(node.operator()) {
            let below = wanted_of_left(node.node(), &wanted);
            let next = node.child(0);
            way.push((node, std::mem::replace(&mut wanted, below)));
            node = next;
        }
        let mut pipeline = self.leaf(&node, wanted, context)?;
        let mut limit_is_placed = false;
        while let Some((node, wanted)) = way.pop() {
            if std::mem::take(&mut limit_is_placed) {
                continue;
            }
            // What LIMIT cuts off is not computed.
            if let Operator::Project { .. } = node.operator()
                && let Some((limit, _)) = way.last()
                && let Operator::Limit { ties, .. } = limit.operator()
                && ties.is_empty()
            {
                self.add(&mut pipeline, limit, Box::new(Limit::new(limit.clone())));
                limit_is_placed = true;
            }
            pipeline = self.step(pipeline, node, &wanted, context)?;
        }
        self.depth -= 1;
        Ok(pipeline)
    }

    /// Adds an operator to the pipeline of its left or only input.
    #[inline(never)]
    fn step(
        &mut self,
        mut pipeline: Pipeline,
        node: NodeRef,
        wanted: &Wanted,
        context: &ExecutionContext<'_>,
    ) -> Result<Pipeline> {
        let transform: Box<dyn Transform> = match node.operator() {
            Operator::Filter { .. } => Box::new(Filter::new(node.clone())),
            Operator::Project { .. } => Box::new(Project::new(node.clone())),
            Operator::Limit { .. } => Box::new(Limit::new(node.clone())),
            Operator::DistinctOn { .. } => Box::new(DistinctOn::new(node.clone(), context)),
            Operator::LockRows { .. } => {
                let rechecker = self.rechecker(&node, context)?;
                Box::new(LockRows::new(node.clone(), rechecker, self.changed.is_some()))
            }
            Operator::HashJoin { .. } | Operator::NestedLoopJoin { .. } => {
                let right = self.right(&node, wanted, context)?;
                let stable = self.is_stable(node.child(1).node());
                Box::new(HashJoin::new(node.clone(), right, stable, wanted.as_deref(), context))
            }
            Operator::MergeJoin { .. } => {
                let right = self.right(&node, wanted, context)?;
                Box::new(MergeJoin::new(node.clone(), right, wanted.as_deref(), context))
            }
            Operator::Apply { .. } => {
                let right = self.right(&node, wanted, context)?;
                let may_share = !dependence(node.child(1).node(), self.first_run_time).volatile;
                Box::new(Apply::new(node.clone(), right, may_share, wanted.as_deref(), context))
            }
            Operator::SetOperation { .. } => {
                let right = self.right(&node, &None, context)?;
                Box::new(SetOperation::new(&node, right, context))
            }
            operator => {
                let affected = Arc::clone(&self.affected);
                let mut stage = Stage::new(node.clone(), pipeline, affected, self.changed.clone());
                if matches!(operator, Operator::Insert { conflict: Some(conflict), .. } if conflict.plan().is_some())
                {
                    stage.set_conflict_values(self.pipeline(node.child(1), None, context)?);
                }
                if let Operator::Update { .. } | Operator::Delete { .. } = operator {
                    stage.set_rechecker(self.rechecker(&node, context)?);
                }
                return Ok(self.source(&node, Box::new(stage)));
            }
        };
        self.add(&mut pipeline, &node, transform);
        Ok(pipeline)
    }

    /// What checks rows again that changed before the node locked them. It is no part of what EXPLAIN shows.
    fn rechecker(&mut self, node: &NodeRef, context: &ExecutionContext<'_>) -> Result<Rechecker> {
        if node.node().recheck_plan().is_none() {
            return Ok(Rechecker::new(node.clone(), None));
        }
        let observer = self.observer.take();
        let plan = self.pipeline(node.child(1), None, context);
        self.observer = observer;
        Ok(Rechecker::new(node.clone(), Some(plan?)))
    }

    fn right(&mut self, node: &NodeRef, wanted: &Wanted, context: &ExecutionContext<'_>) -> Result<Pipeline> {
        self.pipeline(node.child(1), wanted_of_right(node.node(), wanted), context)
    }

    /// Whether the node gives the same rows in each run.
    fn is_stable(&self, node: &PhysicalNode) -> bool {
        let dependence = dependence(node, self.first_run_time);
        !dependence.volatile && !dependence.run_time
    }

    /// A node that starts a pipeline.
    #[inline(never)]
    fn leaf(&mut self, node: &NodeRef, wanted: Wanted, context: &ExecutionContext<'_>) -> Result<Pipeline> {
        let source: Box<dyn Source> = match node.operator() {
            Operator::Append { inputs } => {
                let inputs = (0..inputs.len())
                    .map(|number| self.pipeline(node.child(number), wanted.clone(), context))
                    .collect::<Result<Vec<_>>>()?;
                Box::new(Append::new(inputs))
            }
            Operator::InitialPlans { plans, .. } => {
                let count = plans.len();
                let plans = (0..count)
                    .map(|number| self.pipeline(node.child(number), None, context))
                    .collect::<Result<Vec<_>>>()?;
                let input = self.pipeline(node.child(count), wanted, context)?;
                Box::new(InitialPlans::new(node.clone(), plans, input))
            }
            Operator::With { id, definition, .. } => {
                let use_of_definition = if self.changed.is_some() && changes_rows(definition) {
                    DefinitionUse::ToItsEnd
                } else if self.is_stable(definition) {
                    DefinitionUse::Once
                } else {
                    DefinitionUse::EachTime
                };
                let table = SharedRows::new(context);
                // Rows that it changes are not those that the statement counts.
                let affected = std::mem::take(&mut self.affected);
                let definition = self.pipeline(node.child(0), None, context);
                self.affected = affected;
                table.lock().set_definition(definition?);
                self.common.insert(*id, Arc::clone(&table));
                let input = self.pipeline(node.child(1), wanted, context)?;
                Box::new(With::new(table, input, use_of_definition))
            }
            Operator::RecursiveUnion { id, all, .. } => {
                let working = SharedRows::new(context);
                let initial = self.pipeline(node.child(0), None, context)?;
                self.common.insert(*id, Arc::clone(&working));
                let recursive = self.pipeline(node.child(1), None, context)?;
                Box::new(RecursiveUnion::new((initial, recursive), working, *all, context))
            }
            Operator::CommonScan { id, name, .. } => match self.common.get(id) {
                Some(table) => Box::new(CommonScan::new(node.clone(), Arc::clone(table))),
                None => return Err(Error::internal(format!("common table \"{name}\" has no definition"))),
            },
            _ => Box::new(Leaf::new(node.clone())),
        };
        Ok(self.source(node, source))
    }
}

/// Whether the operator goes on with the batches of its left or only input.
fn has_left_input(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Filter { .. }
            | Operator::Project { .. }
            | Operator::HashAggregate { .. }
            | Operator::DistinctOn { .. }
            | Operator::HashJoin { .. }
            | Operator::MergeJoin { .. }
            | Operator::NestedLoopJoin { .. }
            | Operator::Apply { .. }
            | Operator::SetOperation { .. }
            | Operator::Sort { .. }
            | Operator::TopN { .. }
            | Operator::Limit { .. }
            | Operator::LockRows { .. }
            | Operator::Insert { .. }
            | Operator::Update { .. }
            | Operator::Delete { .. }
    )
}

/// Notes which tables the plan under `node` changes, and how.
fn note_changed(node: &PhysicalNode, changed: &mut ChangedTables) {
    if let Operator::Insert { table, references, .. }
    | Operator::Update { table, references, .. }
    | Operator::Delete { table, references, .. } = &node.operator
    {
        let reached = references.iter().flat_map(|references| &references.tables);
        let others = reached.filter(|reached| reached.is_changed).map(|reached| reached.table.id);
        let others: Vec<ObjectId> = others.collect();
        if !matches!(node.operator, Operator::Delete { .. }) {
            changed.gaining.push(table.id);
        }
        if !matches!(node.operator, Operator::Insert { conflict: None, .. }) {
            changed.losing.push(table.id);
        }
        changed.gaining.extend(&others);
        changed.losing.extend(&others);
    }
    node.inputs().into_iter().for_each(|input| note_changed(input, changed));
}

/// Whether something in the plan under `node` changes rows of tables.
fn changes_rows(node: &PhysicalNode) -> bool {
    matches!(node.operator, Operator::Insert { .. } | Operator::Update { .. } | Operator::Delete { .. })
        || node.inputs().into_iter().any(changes_rows)
}

/// Whether rows of a table may come out of the node more than once each.
pub(super) fn may_repeat_rows(node: &PhysicalNode) -> bool {
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        match &node.operator {
            Operator::HashJoin { left, kind, .. }
            | Operator::MergeJoin { left, kind, .. }
            | Operator::NestedLoopJoin { left, kind, .. }
            | Operator::Apply { left, kind, .. } => match kind {
                PhysicalJoinKind::Semi
                | PhysicalJoinKind::Anti
                | PhysicalJoinKind::Mark
                | PhysicalJoinKind::Single => waiting.push(left),
                _ => return true,
            },
            Operator::Append { .. } | Operator::CommonScan { .. } | Operator::RecursiveUnion { .. } => {
                return true;
            }
            Operator::InitialPlans { input, .. } => waiting.push(input),
            Operator::With { input, .. } => waiting.push(input),
            _ => waiting.extend(node.inputs()),
        }
    }
    false
}

//! Nodes of a running plan: kept alive by the plan's reference count, found by their path from the root; and what
//! nodes put out and use.

use crate::common::sync::Arc;
use crate::sql::evaluate::row::result_type;
use crate::sql::functions::registry::Volatility;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::{
    LockDemand, Operator, PhysicalJoinKind, PhysicalNode, PhysicalPlan, ScanOutput,
};
use crate::sql::types::data_type::DataType;
use smallvec::SmallVec;

/// A node of a plan: operators outlive the call that makes them.
#[derive(Clone)]
pub(super) struct NodeRef {
    plan: Arc<PhysicalPlan>,
    /// The number of the input taken at each step from the root.
    path: SmallVec<[u16; 16]>,
}

impl NodeRef {
    /// The root.
    pub(super) fn root(plan: Arc<PhysicalPlan>) -> NodeRef {
        NodeRef { plan, path: SmallVec::new() }
    }

    /// The input `number` of the node.
    pub(super) fn child(&self, number: usize) -> NodeRef {
        let mut path = self.path.clone();
        path.push(number as u16);
        NodeRef { plan: Arc::clone(&self.plan), path }
    }

    /// The node.
    pub(super) fn node(&self) -> &PhysicalNode {
        let mut node = &self.plan.root;
        for number in &self.path {
            node = child(node, usize::from(*number)).expect("the path was made along these inputs");
        }
        node
    }

    /// The operator.
    #[inline]
    pub(super) fn operator(&self) -> &Operator {
        &self.node().operator
    }
}

/// The only input of a node; leaves and nodes with several have none.
pub(super) fn input(node: &PhysicalNode) -> Option<&PhysicalNode> {
    match &node.operator {
        Operator::Filter { input, .. }
        | Operator::Project { input, .. }
        | Operator::HashAggregate { input, .. }
        | Operator::DistinctOn { input, .. }
        | Operator::Sort { input, .. }
        | Operator::TopN { input, .. }
        | Operator::Limit { input, .. }
        | Operator::LockRows { input, .. }
        | Operator::Insert { input, .. }
        | Operator::Update { input, .. }
        | Operator::Delete { input, .. } => Some(input),
        _ => None,
    }
}

/// The input `number` in the order of [`PhysicalNode::inputs`], without a list of them.
fn child(node: &PhysicalNode, number: usize) -> Option<&PhysicalNode> {
    match (&node.operator, number) {
        (
            Operator::HashJoin { left, .. }
            | Operator::MergeJoin { left, .. }
            | Operator::NestedLoopJoin { left, .. }
            | Operator::Apply { left, .. }
            | Operator::SetOperation { left, .. },
            0,
        ) => Some(left),
        (
            Operator::HashJoin { right, .. }
            | Operator::MergeJoin { right, .. }
            | Operator::NestedLoopJoin { right, .. }
            | Operator::Apply { right, .. }
            | Operator::SetOperation { right, .. },
            1,
        ) => Some(right),
        (Operator::Insert { conflict: Some(conflict), .. }, 1) => conflict.plan(),
        (Operator::Append { inputs }, _) => inputs.get(number),
        (Operator::InitialPlans { plans, input }, _) => match plans.get(number) {
            Some(plan) => Some(&plan.plan),
            None => (number == plans.len()).then_some(&**input),
        },
        (Operator::With { definition, .. }, 0) => Some(definition),
        (Operator::With { input, .. }, 1) => Some(input),
        (Operator::RecursiveUnion { initial, .. }, 0) => Some(initial),
        (Operator::RecursiveUnion { recursive, .. }, 1) => Some(recursive),
        // What checks a row again comes after the input.
        (Operator::LockRows { .. } | Operator::Update { .. } | Operator::Delete { .. }, 1) => {
            node.recheck_plan()
        }
        (_, 0) => input(node),
        _ => None,
    }
}

fn scan_types(output: &ScanOutput, types: impl Fn(usize) -> DataType) -> Vec<DataType> {
    let columns = output.columns.iter().enumerate();
    let columns = columns.map(|(position, column)| output.data_type(position, types(*column)));
    columns.chain(output.row_id.then_some(DataType::BigInt)).collect()
}

/// Types of the columns that a node puts out.
pub(super) fn output_types(node: &PhysicalNode) -> Vec<DataType> {
    let mut node = node;
    loop {
        node = match &node.operator {
            Operator::TableScan { table, output, .. }
            | Operator::IndexScan { table, output, .. }
            | Operator::RowIdLookup { table, output, .. }
            | Operator::UniqueLookup { table, output, .. } => {
                return scan_types(output, |column| table.columns[column].sql_type.data_type);
            }
            Operator::Values { types, .. }
            | Operator::Supplied { types }
            | Operator::CommonScan { types, .. } => return types.clone(),
            Operator::TableFunction { function, ordinality, .. } => {
                let columns = function.columns.iter().map(|(_, data_type)| *data_type);
                return columns.chain(ordinality.then_some(DataType::BigInt)).collect();
            }
            Operator::Project { expressions, .. } => return expressions.iter().map(result_type).collect(),
            Operator::HashAggregate { groups, aggregates, .. } => {
                let results = aggregates.iter().map(|aggregate| aggregate.function.returns);
                return groups.iter().map(result_type).chain(results).collect();
            }
            Operator::Insert { returning, .. }
            | Operator::Update { returning, .. }
            | Operator::Delete { returning, .. } => {
                return returning.iter().flatten().map(result_type).collect();
            }
            Operator::HashJoin { kind, left, right, .. }
            | Operator::MergeJoin { kind, left, right, .. }
            | Operator::NestedLoopJoin { kind, left, right, .. }
            | Operator::Apply { kind, left, right, .. } => match kind {
                PhysicalJoinKind::Semi | PhysicalJoinKind::Anti => left,
                PhysicalJoinKind::Mark => {
                    let mut types = output_types(left);
                    types.push(DataType::Boolean);
                    return types;
                }
                _ => {
                    let mut types = output_types(left);
                    types.extend(output_types(right));
                    return types;
                }
            },
            Operator::Filter { input, .. }
            | Operator::DistinctOn { input, .. }
            | Operator::Sort { input, .. }
            | Operator::TopN { input, .. }
            | Operator::Limit { input, .. }
            | Operator::LockRows { input, .. }
            | Operator::InitialPlans { input, .. }
            | Operator::With { input, .. } => input,
            Operator::SetOperation { left, .. } => left,
            Operator::RecursiveUnion { initial, .. } => initial,
            Operator::Append { inputs } => match inputs.first() {
                Some(first) => first,
                None => return Vec::new(),
            },
        };
    }
}

/// Calls `visit` with each expression of the node alone.
pub(super) fn each_own_expression<'p>(node: &'p PhysicalNode, visit: &mut dyn FnMut(&'p Expression)) {
    fn output<'p>(output: &'p ScanOutput, visit: &mut dyn FnMut(&'p Expression)) {
        output.parts.iter().flat_map(|part| &part.arguments).for_each(&mut *visit);
        output.predicate.iter().for_each(visit);
    }
    match &node.operator {
        Operator::TableScan { lower, upper, output: columns, .. } => {
            lower.iter().chain(upper).flat_map(|bound| &bound.values).for_each(&mut *visit);
            output(columns, visit);
        }
        Operator::IndexScan { equal, lower, upper, output: columns, .. } => {
            equal.iter().for_each(&mut *visit);
            lower.iter().chain(upper).flat_map(|bound| &bound.values).for_each(&mut *visit);
            output(columns, visit);
        }
        Operator::RowIdLookup { row_id, output: columns, .. } => {
            visit(row_id);
            output(columns, visit);
        }
        Operator::UniqueLookup { key, output: columns, .. } => {
            key.iter().for_each(&mut *visit);
            output(columns, visit);
        }
        Operator::Values { rows, .. } => rows.iter().flatten().for_each(visit),
        Operator::Filter { predicate, .. } => visit(predicate),
        Operator::Project { expressions, .. } => expressions.iter().for_each(visit),
        Operator::HashAggregate { groups, aggregates, .. } => {
            groups.iter().for_each(&mut *visit);
            for aggregate in aggregates {
                aggregate.operands().for_each(&mut *visit);
            }
        }
        Operator::DistinctOn { keys, .. } => keys.iter().for_each(visit),
        Operator::HashJoin { keys, residual, .. } | Operator::MergeJoin { keys, residual, .. } => {
            keys.iter().flat_map(|key| [&key.left, &key.right]).chain(residual).for_each(visit);
        }
        Operator::NestedLoopJoin { condition, .. } => condition.iter().for_each(visit),
        Operator::Apply { arguments, condition, .. } => {
            arguments.iter().map(|(_, value)| value).chain(condition).for_each(visit);
        }
        Operator::TableFunction { arguments, .. } => arguments.iter().for_each(visit),
        Operator::Sort { keys, .. } => keys.iter().map(|key| &key.expression).for_each(visit),
        Operator::TopN { keys, limit, offset, .. } => {
            keys.iter().map(|key| &key.expression).chain([limit]).chain(offset).for_each(visit);
        }
        Operator::Limit { limit, offset, ties, .. } => limit.iter().chain(offset).chain(ties).for_each(visit),
        Operator::Insert { checks, returning, conflict, .. } => {
            let conflict = conflict.iter().flat_map(|conflict| conflict.expressions());
            let checks = checks.iter().map(|check| &check.condition);
            checks.chain(returning.iter().flatten()).chain(conflict).for_each(visit);
        }
        Operator::Update { assignments, recheck, checks, returning, .. } => {
            let values = assignments.iter().map(|(_, value)| value);
            values.chain(recheck.expressions()).for_each(&mut *visit);
            checks.iter().map(|check| &check.condition).chain(returning.iter().flatten()).for_each(visit);
        }
        Operator::Delete { recheck, returning, .. } => {
            recheck.expressions().chain(returning.iter().flatten()).for_each(visit);
        }
        Operator::LockRows { recheck, demand, .. } => {
            recheck.expressions().for_each(&mut *visit);
            if let LockDemand::Limited { limit, offset } = demand {
                limit.iter().chain(offset).for_each(visit);
            }
        }
        Operator::Supplied { .. }
        | Operator::Append { .. }
        | Operator::SetOperation { .. }
        | Operator::InitialPlans { .. }
        | Operator::With { .. }
        | Operator::CommonScan { .. }
        | Operator::RecursiveUnion { .. } => {}
    }
}

/// Calls `visit` with the expression and everything inside it.
pub(super) fn each_part<'p>(expression: &'p Expression, visit: &mut dyn FnMut(&'p Expression)) {
    let mut waiting = vec![expression];
    while let Some(part) = waiting.pop() {
        visit(part);
        part.each_operand(&mut |operand| waiting.push(operand));
    }
}

/// What the results of a plan depend on besides the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Dependence {
    /// Something may differ from run to run, or something is changed.
    pub(super) volatile: bool,
    /// It uses a parameter that the running plan sets, or a working table.
    pub(super) run_time: bool,
}

/// What the results of the plan under `node` depend on; `first_run_time` is the first parameter that is not the user's.
pub(super) fn dependence(node: &PhysicalNode, first_run_time: usize) -> Dependence {
    let mut found = Dependence::default();
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        match &node.operator {
            Operator::Insert { .. }
            | Operator::Update { .. }
            | Operator::Delete { .. }
            | Operator::LockRows { .. }
            | Operator::Supplied { .. } => found.volatile = true,
            Operator::CommonScan { .. } => found.run_time = true,
            _ => {}
        }
        each_own_expression(node, &mut |expression| {
            each_part(expression, &mut |part| match part {
                Expression::Call { function, .. } => {
                    found.volatile |= function.volatility == Volatility::Volatile;
                }
                Expression::Parameter { index, .. } => found.run_time |= *index >= first_run_time,
                _ => {}
            });
        });
        waiting.extend(node.inputs());
        waiting.extend(node.recheck_plan());
    }
    found
}

/// Sets `used[i]` for every input column `i` that the expression uses; columns behind the end are left out.
pub(super) fn mark_inputs(expression: &Expression, used: &mut [bool]) {
    each_part(expression, &mut |part| {
        if let Expression::Input { index, .. } = part
            && let Some(used) = used.get_mut(*index)
        {
            *used = true;
        }
    });
}

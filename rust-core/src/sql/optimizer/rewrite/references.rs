//! Which columns a plan uses, makes and leaves to others, and replacing columns throughout a plan. Columns are
//! numbered once a statement, so a column that a plan uses and no node of it makes comes from outside.

use crate::error::Result;
use crate::sql::functions::registry::Volatility;
use crate::sql::optimizer::columns::substitute;
use crate::sql::optimizer::rewrite::numbering::Numbering;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{CommonTableId, JoinKind, LogicalPlan};
use crate::sql::types::data_type::DataType;
use hashbrown::{HashMap, HashSet};

/// A set of columns. Nothing that comes out may depend on its order.
pub(in crate::sql::optimizer) type ColumnSet = HashSet<ColumnId>;

/// What stands for each column.
pub(super) type Replacements = HashMap<ColumnId, Expression>;

/// Calls `visit` with each node of `plan`, also in subqueries inside expressions, parents first. Not recursive.
pub(super) fn each_node<'p>(plan: &'p LogicalPlan, visit: &mut dyn FnMut(&'p LogicalPlan)) {
    let mut waiting = vec![plan];
    while let Some(node) = waiting.pop() {
        visit(node);
        node.each_own_expression(&mut |expression| add_subqueries(expression, &mut waiting));
        waiting.extend(node.inputs());
    }
}

fn add_subqueries<'p>(expression: &'p Expression, out: &mut Vec<&'p LogicalPlan>) {
    if let Expression::Subquery(subquery) = expression {
        out.push(&subquery.plan);
    }
    expression.each_operand(&mut |operand| add_subqueries(operand, out));
}

/// Whether a query stands somewhere inside `expression`.
pub(super) fn has_subquery(expression: &Expression) -> bool {
    let mut found = matches!(expression, Expression::Subquery(_));
    expression.each_operand(&mut |operand| found = found || has_subquery(operand));
    found
}

/// Adds the columns that `expression` uses itself, without those of subqueries' plans.
fn add_direct(expression: &Expression, out: &mut ColumnSet) {
    if let Expression::Column { id, .. } = expression {
        out.insert(*id);
    }
    expression.each_operand(&mut |operand| add_direct(operand, out));
}

/// The columns that `expression` needs from outside; for a subquery, those that its plan lacks.
pub(in crate::sql::optimizer) fn expression_columns(expression: &Expression) -> ColumnSet {
    let mut used = ColumnSet::new();
    let mut made = ColumnSet::new();
    add_direct(expression, &mut used);
    let mut plans = Vec::new();
    add_subqueries(expression, &mut plans);
    for plan in plans {
        add_columns_of(plan, &mut used, &mut made);
    }
    used.retain(|id| !made.contains(id));
    used
}

/// Whether `expression` uses one of `columns`.
pub(super) fn uses_any(expression: &Expression, columns: &ColumnSet) -> bool {
    expression_columns(expression).iter().any(|id| columns.contains(id))
}

fn add_columns_of(plan: &LogicalPlan, used: &mut ColumnSet, made: &mut ColumnSet) {
    each_node(plan, &mut |node| {
        node.each_own_expression(&mut |expression| add_direct(expression, used));
        node.each_made(&mut |column| {
            made.insert(column.id);
        });
        if let LogicalPlan::Update { row_id, .. } | LogicalPlan::Delete { row_id, .. } = node {
            used.insert(*row_id);
        }
    });
}

/// The columns that `plan` uses and does not make: it depends on whoever makes them.
pub(super) fn free_columns(plan: &LogicalPlan) -> ColumnSet {
    let mut used = ColumnSet::new();
    let mut made = ColumnSet::new();
    add_columns_of(plan, &mut used, &mut made);
    used.retain(|id| !made.contains(id));
    used
}

/// Whether `plan` uses one of `columns`, which it does not make.
pub(super) fn plan_uses_any(plan: &LogicalPlan, columns: &ColumnSet) -> bool {
    !columns.is_empty() && free_columns(plan).iter().any(|id| columns.contains(id))
}

/// The columns that `plan` puts out.
pub(super) fn output_set(plan: &LogicalPlan) -> ColumnSet {
    let mut out = ColumnSet::new();
    let mut waiting = vec![plan];
    while let Some(node) = waiting.pop() {
        match node {
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Distinct { input }
            | LogicalPlan::DistinctOn { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::LockRows { input, .. }
            | LogicalPlan::With { input, .. }
            | LogicalPlan::Initial { input, .. } => waiting.push(input),
            LogicalPlan::Join { kind, left, right, .. } => {
                waiting.push(left);
                match kind {
                    JoinKind::Semi | JoinKind::Anti => {}
                    JoinKind::Mark(mark) => {
                        out.insert(mark.id);
                    }
                    _ => waiting.push(right),
                }
            }
            LogicalPlan::Insert { returning, .. }
            | LogicalPlan::Update { returning, .. }
            | LogicalPlan::Delete { returning, .. } => {
                out.extend(returning.iter().flat_map(|returning| &returning.columns).map(|column| column.id));
            }
            other => other.each_made(&mut |column| {
                out.insert(column.id);
            }),
        }
    }
    out
}

/// Puts expressions in the place of columns throughout `plan`. Subqueries are no longer in its expressions.
pub(super) fn substitute_in_plan(plan: &mut LogicalPlan, replacements: &Replacements) -> Result<()> {
    if replacements.is_empty() {
        return Ok(());
    }
    let mut waiting = vec![plan];
    while let Some(node) = waiting.pop() {
        node.each_own_expression_mut(&mut |expression| replace_columns(expression, replacements))?;
        waiting.extend(node.inputs_mut());
    }
    Ok(())
}

/// Puts expressions in the place of columns of `expression`.
pub(super) fn replace_columns(expression: &mut Expression, replacements: &Replacements) -> Result<()> {
    substitute(expression, &|id| replacements.get(&id).cloned())
}

/// `column` as an expression.
pub(super) fn column(column: &OutputColumn) -> Expression {
    Expression::Column { id: column.id, data_type: column.sql_type.data_type }
}

/// Whether evaluating `expression` twice may give two values.
pub(super) fn is_volatile(expression: &Expression) -> bool {
    let mut volatile = matches!(
        expression,
        Expression::Call { function, .. } if function.volatility == Volatility::Volatile
    );
    if let Expression::Subquery(subquery) = expression {
        volatile = plan_is_volatile(&subquery.plan);
    }
    expression.each_operand(&mut |operand| volatile = volatile || is_volatile(operand));
    volatile
}

/// Whether running `plan` twice may give two results.
pub(super) fn plan_is_volatile(plan: &LogicalPlan) -> bool {
    let mut volatile = false;
    each_node(plan, &mut |node| {
        // What is locked twice may have changed between.
        volatile |= matches!(
            node,
            LogicalPlan::LockRows { .. }
                | LogicalPlan::Insert { .. }
                | LogicalPlan::Update { .. }
                | LogicalPlan::Delete { .. }
        );
        node.each_own_expression(&mut |expression| volatile = volatile || is_volatile_alone(expression));
    });
    volatile
}

/// As [`is_volatile`], without the plans of subqueries.
fn is_volatile_alone(expression: &Expression) -> bool {
    let mut volatile = matches!(
        expression,
        Expression::Call { function, .. } if function.volatility == Volatility::Volatile
    );
    expression.each_operand(&mut |operand| volatile = volatile || is_volatile_alone(operand));
    volatile
}

/// Whether `plan` reads the common table `id`.
pub(super) fn reads_common_table(plan: &LogicalPlan, id: CommonTableId) -> bool {
    let mut found = false;
    each_node(plan, &mut |node| {
        found = found || matches!(node, LogicalPlan::CommonScan { id: scanned, .. } if *scanned == id);
    });
    found
}

/// How many nodes `plan` has.
pub(super) fn node_count(plan: &LogicalPlan) -> usize {
    let mut count = 0;
    each_node(plan, &mut |_| count += 1);
    count
}

/// A boolean constant.
pub(super) fn boolean(value: bool) -> Expression {
    Expression::Constant {
        value: crate::sql::types::datum::Datum::Boolean(value),
        data_type: DataType::Boolean,
    }
}

/// A plan that stands where another was taken away for a moment.
pub(super) fn nothing() -> LogicalPlan {
    LogicalPlan::Values { rows: Vec::new(), columns: Vec::new() }
}

/// Takes a plan out of its place.
pub(super) fn take(plan: &mut LogicalPlan) -> LogicalPlan {
    std::mem::replace(plan, nothing())
}

/// Takes an expression out of its place.
pub(super) fn take_expression(expression: &mut Expression) -> Expression {
    std::mem::replace(expression, boolean(false))
}

/// `plan` with exactly `columns`, in their order and under their numbers.
pub(super) fn narrowed(plan: LogicalPlan, columns: Vec<OutputColumn>) -> LogicalPlan {
    let now = plan.output_columns();
    if now.len() == columns.len() && now.iter().zip(&columns).all(|(now, wanted)| now.id == wanted.id) {
        return plan;
    }
    let expressions = columns.iter().map(column).collect();
    LogicalPlan::Project { input: Box::new(plan), expressions, columns }
}

/// `plan` with exactly `columns` in their order, under new numbers: for what reads it by position. The order in which
/// joins put out their columns may still change.
pub(super) fn by_position(
    plan: LogicalPlan,
    columns: &[OutputColumn],
    numbering: &mut Numbering,
) -> LogicalPlan {
    let expressions = columns.iter().map(column).collect();
    let columns = columns.iter().map(|column| numbering.column_like(column)).collect();
    LogicalPlan::Project { input: Box::new(plan), expressions, columns }
}

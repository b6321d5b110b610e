//! Walking expressions: which columns they use, whether they are constant during a statement, and putting input
//! positions or other expressions in the place of columns.

use crate::error::{Error, Result};
use crate::sql::functions::registry::Volatility;
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::types::datum::Datum;

/// Adds the columns that `expression` uses to `out`, each once.
pub(super) fn add_columns(expression: &Expression, out: &mut Vec<ColumnId>) {
    if let Expression::Column { id, .. } = expression
        && !out.contains(id)
    {
        out.push(*id);
    }
    expression.each_operand(&mut |operand| add_columns(operand, out));
}

/// Whether `expression` may give another value each time it is evaluated.
pub(super) fn is_volatile(expression: &Expression) -> bool {
    let mut volatile = matches!(
        expression,
        Expression::Call { function, .. } if function.volatility == Volatility::Volatile
    );
    expression.each_operand(&mut |operand| volatile = volatile || is_volatile(operand));
    volatile
}

/// Whether `expression` has one value during a statement: it uses no column and nothing volatile.
pub(super) fn is_statement_constant(expression: &Expression) -> bool {
    let mut constant = match expression {
        Expression::Column { .. } | Expression::Input { .. } => false,
        Expression::Call { function, .. } => function.volatility != Volatility::Volatile,
        _ => true,
    };
    expression.each_operand(&mut |operand| constant = constant && is_statement_constant(operand));
    constant
}

/// How many functions, comparisons and the like `expression` has.
pub(super) fn operator_count(expression: &Expression) -> f64 {
    let mut count = match expression {
        Expression::Constant { .. }
        | Expression::Column { .. }
        | Expression::Input { .. }
        | Expression::Parameter { .. }
        | Expression::And(_)
        | Expression::Or(_) => 0.0,
        _ => 1.0,
    };
    expression.each_operand(&mut |operand| count += operator_count(operand));
    count
}

/// Puts expressions in the place of columns: `replace` gives the expression for a column, or `None` to keep it.
pub(super) fn substitute(
    expression: &mut Expression,
    replace: &dyn Fn(ColumnId) -> Option<Expression>,
) -> Result<()> {
    if let Expression::Column { id, .. } = expression {
        if let Some(replacement) = replace(*id) {
            *expression = replacement;
        }
        return Ok(());
    }
    expression.each_operand_mut(&mut |operand| substitute(operand, replace))
}

/// Puts input positions in the place of columns: column `layout[i]` is input `i`.
/// # Errors
/// `XX000` for a column that is not there.
pub(super) fn to_inputs(expression: &mut Expression, layout: &[ColumnId]) -> Result<()> {
    if let Expression::Column { id, data_type } = expression {
        let index = layout.iter().position(|known| known == id);
        let Some(index) = index else {
            return Err(Error::internal(format!("the plan has no column {} here", id.0)));
        };
        *expression = Expression::Input { index, data_type: *data_type };
        return Ok(());
    }
    expression.each_operand_mut(&mut |operand| to_inputs(operand, layout))
}

/// Adds the terms of `predicate` to `out`: those of an AND one by one.
pub(super) fn split_conjunction(predicate: Expression, out: &mut Vec<Expression>) {
    match predicate {
        Expression::And(terms) => terms.into_iter().for_each(|term| split_conjunction(term, out)),
        other => out.push(other),
    }
}

/// The AND of `terms`; `None` without any.
pub(super) fn conjunction(mut terms: Vec<Expression>) -> Option<Expression> {
    if terms.len() > 1 { Some(Expression::And(terms)) } else { terms.pop() }
}

/// Adds the columns that `plan` puts out to `out`, also those that a scan can compute.
pub(super) fn output_ids(plan: &LogicalPlan, out: &mut Vec<ColumnId>) {
    match plan {
        LogicalPlan::Scan { columns, row_id, .. } => {
            out.extend(columns.iter().chain(row_id).map(|column| column.id));
        }
        LogicalPlan::Values { columns, .. }
        | LogicalPlan::Supplied { columns }
        | LogicalPlan::Project { columns, .. }
        | LogicalPlan::Append { columns, .. }
        | LogicalPlan::SetOperation { columns, .. }
        | LogicalPlan::CommonScan { columns, .. }
        | LogicalPlan::RecursiveUnion { columns, .. }
        | LogicalPlan::TableFunction { columns, .. } => out.extend(columns.iter().map(|column| column.id)),
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Distinct { input }
        | LogicalPlan::DistinctOn { input, .. }
        | LogicalPlan::Sort { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::LockRows { input, .. }
        | LogicalPlan::With { input, .. }
        | LogicalPlan::Initial { input, .. } => output_ids(input, out),
        LogicalPlan::Join { kind, left, right, .. } => {
            output_ids(left, out);
            match kind {
                JoinKind::Semi | JoinKind::Anti => {}
                JoinKind::Mark(column) => out.push(column.id),
                JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Single => {
                    output_ids(right, out);
                }
            }
        }
        LogicalPlan::Aggregate { group_columns, aggregates, .. } => {
            out.extend(group_columns.iter().map(|column| column.id));
            out.extend(aggregates.iter().map(|aggregate| aggregate.output.id));
        }
        LogicalPlan::Insert { returning, .. }
        | LogicalPlan::Update { returning, .. }
        | LogicalPlan::Delete { returning, .. } => {
            out.extend(returning.iter().flat_map(|returning| &returning.columns).map(|column| column.id));
        }
    }
}

/// A plan of nothing, to stand in the place of one that was taken out.
pub(super) fn without() -> LogicalPlan {
    LogicalPlan::Values { rows: Vec::new(), columns: Vec::new() }
}

/// Whether `plan` uses any of these columns.
pub(super) fn uses_any(plan: &LogicalPlan, ids: &[ColumnId]) -> bool {
    let mut uses = false;
    plan.each_own_expression(&mut |expression| uses = uses || expression_uses_any(expression, ids));
    uses || plan.inputs().into_iter().any(|input| uses_any(input, ids))
}

fn expression_uses_any(expression: &Expression, ids: &[ColumnId]) -> bool {
    let mut uses = matches!(expression, Expression::Column { id, .. } if ids.contains(id));
    expression.each_operand(&mut |operand| uses = uses || expression_uses_any(operand, ids));
    uses
}

/// Whether a condition is never true.
pub(super) fn is_never(predicate: &Expression) -> bool {
    matches!(predicate, Expression::Constant { value: Datum::Boolean(false) | Datum::Null, .. })
}

/// Whether a condition is true for every row.
pub(super) fn is_always(predicate: &Expression) -> bool {
    matches!(predicate, Expression::Constant { value: Datum::Boolean(true), .. })
}

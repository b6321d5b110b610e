//! Inputs without rows: a condition that is never true or LIMIT 0 makes one, and what is above it may be one too.

use crate::error::Result;
use crate::sql::optimizer::columns::split_conjunction;
use crate::sql::optimizer::rewrite::references::{boolean, column, output_set, take};
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan, SetOperationKind};
use crate::sql::types::datum::Datum;

/// Removes what has no rows from `plan`, inputs first.
/// # Errors
/// None of its own.
pub(super) fn remove(plan: &mut LogicalPlan) -> Result<()> {
    plan.inputs_mut().into_iter().try_for_each(remove)?;
    of_node(plan);
    Ok(())
}

fn is_empty(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Values { rows, .. } if rows.is_empty())
}

fn is_never(condition: &Expression) -> bool {
    let mut terms = Vec::new();
    split_conjunction(condition.clone(), &mut terms);
    terms
        .iter()
        .any(|term| matches!(term, Expression::Constant { value: Datum::Boolean(false) | Datum::Null, .. }))
}

fn is_zero(limit: Option<&Expression>) -> bool {
    matches!(limit, Some(Expression::Constant { value: Datum::BigInt(count), .. }) if *count == 0)
}

fn renamed(input: LogicalPlan, columns: Vec<OutputColumn>) -> LogicalPlan {
    let expressions = input.output_columns().iter().map(column).collect();
    LogicalPlan::Project { input: Box::new(input), expressions, columns }
}

#[inline(never)]
fn of_node(plan: &mut LogicalPlan) {
    match plan {
        LogicalPlan::Filter { input, predicate } if is_empty(input) || is_never(predicate) => clear(plan),
        LogicalPlan::Limit { input, limit, .. } if is_empty(input) || is_zero(limit.as_ref()) => clear(plan),
        LogicalPlan::Project { input, .. }
        | LogicalPlan::Sort { input, .. }
        | LogicalPlan::Distinct { input }
        | LogicalPlan::DistinctOn { input, .. }
        | LogicalPlan::LockRows { input, .. }
        | LogicalPlan::Initial { input, .. }
            if is_empty(input) =>
        {
            clear(plan);
        }
        LogicalPlan::With { definition, input, .. } if is_empty(input) && !definition.changes_rows() => {
            clear(plan);
        }
        LogicalPlan::Aggregate { input, groups, .. } if !groups.is_empty() && is_empty(input) => clear(plan),
        LogicalPlan::Join { .. } => of_join(plan),
        LogicalPlan::Append { inputs, columns } => {
            if !inputs.iter().any(is_empty) {
                return;
            }
            inputs.retain(|input| !is_empty(input));
            match inputs.len() {
                0 => clear(plan),
                1 => {
                    let columns = std::mem::take(columns);
                    if let Some(only) = inputs.pop() {
                        *plan = renamed(only, columns);
                    }
                }
                _ => {}
            }
        }
        LogicalPlan::SetOperation { kind, all, left, right, columns } => {
            if is_empty(left) || (is_empty(right) && *kind == SetOperationKind::Intersect) {
                return clear(plan);
            }
            if is_empty(right) {
                let (all, columns) = (*all, std::mem::take(columns));
                let input = renamed(take(left), columns);
                *plan = if all { input } else { LogicalPlan::Distinct { input: Box::new(input) } };
            }
        }
        _ => {}
    }
}

fn clear(plan: &mut LogicalPlan) {
    *plan = LogicalPlan::Values { rows: Vec::new(), columns: plan.output_columns() };
}

/// The left (or right) rows alone, with NULL for the columns of the other side.
fn without_partner(plan: &mut LogicalPlan, keep_left: bool) {
    let columns = plan.output_columns();
    let LogicalPlan::Join { left, right, .. } = plan else { return };
    let kept = take(if keep_left { left } else { right });
    let made = output_set(&kept);
    let expressions = columns
        .iter()
        .map(|output| {
            if made.contains(&output.id) {
                column(output)
            } else {
                Expression::Constant { value: Datum::Null, data_type: output.sql_type.data_type }
            }
        })
        .collect();
    *plan = LogicalPlan::Project { input: Box::new(kept), expressions, columns };
}

#[inline(never)]
fn of_join(plan: &mut LogicalPlan) {
    let LogicalPlan::Join { kind, left, right, condition } = plan else { return };
    let (no_left, mut no_right) = (is_empty(left), is_empty(right));
    let never = condition.as_ref().is_some_and(is_never);
    if never && !matches!(kind, JoinKind::Right | JoinKind::Full | JoinKind::Mark(_)) {
        no_right = true;
    }
    match kind {
        JoinKind::Inner | JoinKind::Semi if no_left || no_right => clear(plan),
        JoinKind::Left | JoinKind::Single | JoinKind::Anti | JoinKind::Mark(_) if no_left => clear(plan),
        JoinKind::Left | JoinKind::Single if no_right => without_partner(plan, true),
        JoinKind::Anti if no_right => *plan = take(left),
        JoinKind::Mark(mark) if no_right => {
            let mut columns = left.output_columns();
            let mut expressions: Vec<Expression> = columns.iter().map(column).collect();
            columns.push(mark.clone());
            expressions.push(boolean(false));
            *plan = LogicalPlan::Project { input: Box::new(take(left)), expressions, columns };
        }
        JoinKind::Right if no_right => clear(plan),
        JoinKind::Right if no_left => without_partner(plan, false),
        JoinKind::Full if no_left && no_right => clear(plan),
        JoinKind::Full if no_left => without_partner(plan, false),
        JoinKind::Full if no_right => without_partner(plan, true),
        _ => {}
    }
}

//! Projections of plain columns move up through joins, so that the joins below and above meet and can be put in any
//! order: what a derived table or a view is called does not decide how it is joined.

use crate::error::Result;
use crate::sql::optimizer::rewrite::references::{
    Replacements, column, output_set, plan_uses_any, replace_columns, take,
};
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::LogicalPlan;

/// Moves projections of plain columns above joins throughout `plan`.
/// # Errors
/// `XX000` for a plan that contradicts itself.
pub(super) fn lift(plan: &mut LogicalPlan) -> Result<()> {
    plan.inputs_mut().into_iter().try_for_each(lift)?;
    match plan {
        LogicalPlan::Join { .. } => over_join(plan),
        LogicalPlan::Filter { .. } => over_filter(plan),
        LogicalPlan::Project { .. } => merged(plan),
        _ => Ok(()),
    }
}

fn is_plain(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Project { expressions, .. } => {
            expressions.iter().all(|expression| matches!(expression, Expression::Column { .. }))
        }
        _ => false,
    }
}

/// Takes a plain projection off `plan`: what its columns are.
fn taken_off(plan: &mut LogicalPlan, replacements: &mut Replacements) {
    if !is_plain(plan) {
        return;
    }
    if let LogicalPlan::Project { input, expressions, columns } = take(plan) {
        replacements.extend(columns.iter().map(|column| column.id).zip(expressions));
        *plan = *input;
    }
}

fn put_on(plan: &mut LogicalPlan, columns: Vec<OutputColumn>, replacements: &Replacements) {
    let expression =
        |output: &OutputColumn| replacements.get(&output.id).cloned().unwrap_or_else(|| column(output));
    let expressions = columns.iter().map(expression).collect();
    *plan = LogicalPlan::Project { input: Box::new(take(plan)), expressions, columns };
}

#[inline(never)]
fn over_join(plan: &mut LogicalPlan) -> Result<()> {
    let columns = plan.output_columns();
    let LogicalPlan::Join { left, right, condition, .. } = plan else { return Ok(()) };
    if !is_plain(left) && !is_plain(right) {
        return Ok(());
    }
    let mut replacements = Replacements::new();
    // Columns of the left side may be used throughout a dependent right one.
    if plan_uses_any(right, &output_set(left)) {
        return Ok(());
    }
    taken_off(left, &mut replacements);
    taken_off(right, &mut replacements);
    condition.iter_mut().try_for_each(|condition| replace_columns(condition, &replacements))?;
    put_on(plan, columns, &replacements);
    Ok(())
}

#[inline(never)]
fn over_filter(plan: &mut LogicalPlan) -> Result<()> {
    let columns = plan.output_columns();
    let LogicalPlan::Filter { input, predicate } = plan else { return Ok(()) };
    if !is_plain(input) {
        return Ok(());
    }
    let mut replacements = Replacements::new();
    taken_off(input, &mut replacements);
    replace_columns(predicate, &replacements)?;
    put_on(plan, columns, &replacements);
    Ok(())
}

/// A projection over a plain one is over its input.
#[inline(never)]
fn merged(plan: &mut LogicalPlan) -> Result<()> {
    let LogicalPlan::Project { input, expressions, .. } = plan else { return Ok(()) };
    let mut replacements = Replacements::new();
    taken_off(input, &mut replacements);
    expressions.iter_mut().try_for_each(|expression| replace_columns(expression, &replacements))
}

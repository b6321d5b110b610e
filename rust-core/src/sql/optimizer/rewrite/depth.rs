//! How deep a plan is. Everything after the binder walks plans recursively, so a plan that is too deep is refused.

use crate::common::limits::PLAN_DEPTH_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::plan::expression::Expression;
use crate::sql::plan::logical::LogicalPlan;

/// Refuses a plan of more than [`PLAN_DEPTH_MAX`] levels; those of subqueries in expressions count where they stand.
/// # Errors
/// `54001`.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    let mut waiting = vec![(plan, 1)];
    while let Some((node, depth)) = waiting.pop() {
        if depth > PLAN_DEPTH_MAX {
            return Err(Error::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                format!("the query's plan is more than {PLAN_DEPTH_MAX} levels deep"),
            ));
        }
        node.each_own_expression(&mut |expression| add_subqueries(expression, depth + 1, &mut waiting));
        waiting.extend(node.inputs().into_iter().map(|input| (input, depth + 1)));
    }
    Ok(())
}

fn add_subqueries<'p>(expression: &'p Expression, depth: usize, out: &mut Vec<(&'p LogicalPlan, usize)>) {
    if let Expression::Subquery(subquery) = expression {
        out.push((&subquery.plan, depth));
    }
    expression.each_operand(&mut |operand| add_subqueries(operand, depth, out));
}

//! Walking expressions: which columns they use, whether they are constant during a statement, and putting input
//! positions or other expressions in the place of columns.

use crate::error::{Error, Result};
use crate::sql::functions::registry::Volatility;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::LogicalPlan;

/// Calls `visit` with each direct operand.
pub(super) fn each_operand<'e>(expression: &'e Expression, visit: &mut dyn FnMut(&'e Expression)) {
    match expression {
        Expression::Constant { .. }
        | Expression::Column { .. }
        | Expression::Input { .. }
        | Expression::Parameter { .. } => {}
        Expression::Call { arguments, .. } | Expression::Coalesce { arguments, .. } => {
            arguments.iter().for_each(visit);
        }
        Expression::And(operands) | Expression::Or(operands) => operands.iter().for_each(visit),
        Expression::Cast { input, .. }
        | Expression::Not(input)
        | Expression::IsNull { input, .. }
        | Expression::IsTruth { input, .. }
        | Expression::InSet { input, .. } => visit(input),
        Expression::IsDistinct { left, right, .. } => {
            visit(left);
            visit(right);
        }
        Expression::NullIf { left, right, equal } => {
            visit(left);
            visit(right);
            visit(equal);
        }
        Expression::Case { branches, otherwise, .. } => {
            for (condition, result) in branches {
                visit(condition);
                visit(result);
            }
            if let Some(otherwise) = otherwise {
                visit(otherwise);
            }
        }
    }
}

/// [`each_operand`] for changing them; stops at the first error.
fn each_operand_mut(
    expression: &mut Expression,
    visit: &mut dyn FnMut(&mut Expression) -> Result<()>,
) -> Result<()> {
    match expression {
        Expression::Constant { .. }
        | Expression::Column { .. }
        | Expression::Input { .. }
        | Expression::Parameter { .. } => Ok(()),
        Expression::Call { arguments, .. } | Expression::Coalesce { arguments, .. } => {
            arguments.iter_mut().try_for_each(visit)
        }
        Expression::And(operands) | Expression::Or(operands) => operands.iter_mut().try_for_each(visit),
        Expression::Cast { input, .. }
        | Expression::Not(input)
        | Expression::IsNull { input, .. }
        | Expression::IsTruth { input, .. }
        | Expression::InSet { input, .. } => visit(input),
        Expression::IsDistinct { left, right, .. } => {
            visit(left)?;
            visit(right)
        }
        Expression::NullIf { left, right, equal } => {
            visit(left)?;
            visit(right)?;
            visit(equal)
        }
        Expression::Case { branches, otherwise, .. } => {
            for (condition, result) in branches {
                visit(condition)?;
                visit(result)?;
            }
            otherwise.as_deref_mut().map_or(Ok(()), visit)
        }
    }
}

/// Adds the columns that `expression` uses to `out`, each once.
pub(super) fn add_columns(expression: &Expression, out: &mut Vec<ColumnId>) {
    if let Expression::Column { id, .. } = expression
        && !out.contains(id)
    {
        out.push(*id);
    }
    each_operand(expression, &mut |operand| add_columns(operand, out));
}

/// Whether `expression` may give another value each time it is evaluated.
pub(super) fn is_volatile(expression: &Expression) -> bool {
    let mut volatile = matches!(
        expression,
        Expression::Call { function, .. } if function.volatility == Volatility::Volatile
    );
    each_operand(expression, &mut |operand| volatile = volatile || is_volatile(operand));
    volatile
}

/// Whether `expression` has one value during a statement: it uses no column and nothing volatile.
pub(super) fn is_statement_constant(expression: &Expression) -> bool {
    let mut constant = match expression {
        Expression::Column { .. } | Expression::Input { .. } => false,
        Expression::Call { function, .. } => function.volatility != Volatility::Volatile,
        _ => true,
    };
    each_operand(expression, &mut |operand| constant = constant && is_statement_constant(operand));
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
    each_operand(expression, &mut |operand| count += operator_count(operand));
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
    each_operand_mut(expression, &mut |operand| substitute(operand, replace))
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
    each_operand_mut(expression, &mut |operand| to_inputs(operand, layout))
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

/// What a plan puts out, in order.
pub(super) fn output_columns(plan: &LogicalPlan) -> Vec<OutputColumn> {
    match plan {
        LogicalPlan::Scan { columns, .. }
        | LogicalPlan::Values { columns, .. }
        | LogicalPlan::Project { columns, .. } => columns.clone(),
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Distinct { input }
        | LogicalPlan::Sort { input, .. }
        | LogicalPlan::Limit { input, .. } => output_columns(input),
        LogicalPlan::Aggregate { group_columns, aggregates, .. } => {
            let results = aggregates.iter().map(|aggregate| aggregate.output.clone());
            group_columns.iter().cloned().chain(results).collect()
        }
        LogicalPlan::Insert { returning, .. }
        | LogicalPlan::Update { returning, .. }
        | LogicalPlan::Delete { returning, .. } => {
            returning.as_ref().map_or_else(Vec::new, |returning| returning.columns.clone())
        }
    }
}

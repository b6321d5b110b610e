//! Constant folding over a whole plan.

use crate::error::Result;
use crate::sql::evaluate::fold::fold;
use crate::sql::optimizer::rewrite::simplify::simplify;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;

/// Folds every expression of the plan; sort keys that are constant go.
/// # Errors
/// None of its own.
pub(super) fn fold_plan(plan: &mut LogicalPlan) -> Result<()> {
    plan.each_own_expression_mut(&mut |expression| {
        let nothing = Expression::Constant { value: Datum::Null, data_type: DataType::Unknown };
        *expression = fold(std::mem::replace(expression, nothing));
        simplify(expression)?;
        fold_subqueries(expression)
    })?;
    // A condition that is NULL passes no row, whatever its other terms come to (or fail with).
    if let LogicalPlan::Filter { predicate, .. } = plan
        && let Expression::And(terms) = &*predicate
        && terms.iter().any(|term| matches!(term, Expression::Constant { value: Datum::Null, .. }))
    {
        *predicate = Expression::Constant { value: Datum::Boolean(false), data_type: DataType::Boolean };
    }
    if let LogicalPlan::Sort { keys, .. } = plan {
        keys.retain(|key| !matches!(key.expression, Expression::Constant { .. }));
    }
    plan.inputs_mut().into_iter().try_for_each(fold_plan)
}

/// Folds the plans of subqueries inside `expression`.
fn fold_subqueries(expression: &mut Expression) -> Result<()> {
    if let Expression::Subquery(subquery) = expression {
        fold_plan(&mut subquery.plan)?;
    }
    expression.each_operand_mut(&mut fold_subqueries)
}

//! Filters move below projections and sorts, towards their scan; limits move below projections; a projection of
//! plain columns merges with the one below it. Nothing moves past a LIMIT, DISTINCT or aggregation, and nothing
//! volatile moves at all.

use crate::sql::optimizer::columns::{conjunction, is_volatile, split_conjunction, substitute};
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::LogicalPlan;

/// The plan with its filters and limits as low as they can be.
pub(super) fn push_down(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Filter { input, predicate } => {
            let mut terms = Vec::new();
            split_conjunction(predicate, &mut terms);
            filtered(push_down(*input), terms)
        }
        LogicalPlan::Limit { input, limit, offset } => limited(push_down(*input), limit, offset),
        LogicalPlan::Project { input, expressions, columns } => {
            projected(push_down(*input), expressions, columns)
        }
        LogicalPlan::Sort { input, keys } if keys.is_empty() => push_down(*input),
        mut other => {
            for input in other.inputs_mut() {
                let nothing = LogicalPlan::Values { rows: Vec::new(), columns: Vec::new() };
                *input = push_down(std::mem::replace(input, nothing));
            }
            other
        }
    }
}

/// `input` with only the rows for which all `terms` are true.
fn filtered(input: LogicalPlan, terms: Vec<Expression>) -> LogicalPlan {
    match input {
        LogicalPlan::Filter { input, predicate } => {
            let mut all = Vec::new();
            split_conjunction(predicate, &mut all);
            all.extend(terms);
            filtered(*input, all)
        }
        LogicalPlan::Sort { input, keys } => {
            LogicalPlan::Sort { input: Box::new(filtered(*input, terms)), keys }
        }
        LogicalPlan::Project { input, expressions, columns }
            if !expressions.iter().chain(&terms).any(is_volatile) =>
        {
            let terms = terms.into_iter().map(|term| over_inputs(term, &expressions, &columns)).collect();
            LogicalPlan::Project { input: Box::new(filtered(*input, terms)), expressions, columns }
        }
        input => match conjunction(terms) {
            Some(predicate) => LogicalPlan::Filter { input: Box::new(input), predicate },
            None => input,
        },
    }
}

/// `expression` with what `columns` stand for in their place.
fn over_inputs(
    mut expression: Expression,
    expressions: &[Expression],
    columns: &[OutputColumn],
) -> Expression {
    let replace = |id| {
        columns.iter().position(|column| column.id == id).and_then(|index| expressions.get(index).cloned())
    };
    // Replacing cannot fail: it refuses nothing.
    let _ = substitute(&mut expression, &replace);
    expression
}

/// The first rows of `input`; a projection above them is computed only for those.
fn limited(input: LogicalPlan, limit: Option<Expression>, offset: Option<Expression>) -> LogicalPlan {
    match input {
        LogicalPlan::Project { input, expressions, columns } => {
            LogicalPlan::Project { input: Box::new(limited(*input, limit, offset)), expressions, columns }
        }
        input => LogicalPlan::Limit { input: Box::new(input), limit, offset },
    }
}

/// A projection; two become one where the lower one only renames columns, or the upper one does and each lower
/// expression is used at most once.
fn projected(input: LogicalPlan, expressions: Vec<Expression>, columns: Vec<OutputColumn>) -> LogicalPlan {
    match input {
        LogicalPlan::Project { input, expressions: lower, columns: lower_columns }
            if may_merge(&expressions, &lower, &lower_columns) =>
        {
            let expressions = expressions
                .into_iter()
                .map(|expression| over_inputs(expression, &lower, &lower_columns))
                .collect();
            projected(*input, expressions, columns)
        }
        input => LogicalPlan::Project { input: Box::new(input), expressions, columns },
    }
}

fn may_merge(upper: &[Expression], lower: &[Expression], lower_columns: &[OutputColumn]) -> bool {
    let plain = |expression: &Expression| {
        matches!(
            expression,
            Expression::Column { .. } | Expression::Constant { .. } | Expression::Parameter { .. }
        )
    };
    if lower.iter().all(plain) {
        return true;
    }
    if !upper.iter().all(|expression| matches!(expression, Expression::Column { .. })) {
        return false;
    }
    lower_columns.iter().all(|column| {
        let uses = upper
            .iter()
            .filter(|expression| matches!(expression, Expression::Column { id, .. } if *id == column.id))
            .count();
        uses <= 1
    })
}

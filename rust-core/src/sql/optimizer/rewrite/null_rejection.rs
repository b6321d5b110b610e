//! Conditions that NULL cannot satisfy. A row that an outer join filled with NULLs fails them, so that the join need
//! not make it.

use crate::sql::optimizer::rewrite::references::{ColumnSet, expression_columns};
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::types::datum::Datum;

/// Whether `expression` is NULL where all `columns` are.
pub(super) fn is_null_on(expression: &Expression, columns: &dyn Fn(ColumnId) -> bool) -> bool {
    match expression {
        Expression::Column { id, .. } => columns(*id),
        Expression::Constant { value, .. } => value.is_null(),
        Expression::Call { function, arguments, .. } => {
            function.strict && arguments.iter().any(|argument| is_null_on(argument, columns))
        }
        Expression::Cast { input, .. } | Expression::Not(input) | Expression::InSet { input, .. } => {
            is_null_on(input, columns)
        }
        Expression::And(operands) | Expression::Or(operands) => {
            operands.iter().all(|operand| is_null_on(operand, columns))
        }
        Expression::Coalesce { arguments, .. } => {
            arguments.iter().all(|argument| is_null_on(argument, columns))
        }
        Expression::NullIf { left, .. } => is_null_on(left, columns),
        Expression::Case { branches, otherwise, .. } => {
            branches.iter().all(|(_, result)| is_null_on(result, columns))
                && otherwise.as_ref().is_none_or(|result| is_null_on(result, columns))
        }
        _ => false,
    }
}

/// Whether `term` is not true where all `columns` are NULL.
pub(super) fn rejects_null(term: &Expression, columns: &dyn Fn(ColumnId) -> bool) -> bool {
    match term {
        Expression::Constant { value, .. } => !matches!(value, Datum::Boolean(true)),
        Expression::And(operands) => operands.iter().any(|operand| rejects_null(operand, columns)),
        Expression::Or(operands) => operands.iter().all(|operand| rejects_null(operand, columns)),
        Expression::IsNull { input, negated: true } => is_null_on(input, columns),
        Expression::IsTruth { input, truth: true, negated: false } => rejects_null(input, columns),
        Expression::IsTruth { input, truth: false, negated: false } => is_null_on(input, columns),
        term => is_null_on(term, columns),
    }
}

/// Adds the columns each of which alone makes `term` not true when it is NULL.
pub(super) fn add_rejected(term: &Expression, out: &mut ColumnSet) {
    for id in expression_columns(term) {
        if !out.contains(&id) && rejects_null(term, &|column| column == id) {
            out.insert(id);
        }
    }
}

/// Adds the columns each of which alone makes `expression` NULL when it is NULL.
pub(super) fn add_strict(expression: &Expression, out: &mut ColumnSet) {
    for id in expression_columns(expression) {
        if is_null_on(expression, &|column| column == id) {
            out.insert(id);
        }
    }
}

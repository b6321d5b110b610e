//! Whether two expressions are written alike: then they have one value, if they are not volatile.

use crate::sql::plan::expression::Expression;
use crate::sql::types::datum::Datum;

/// Lists longer than this keep their duplicates: finding them takes time that grows with the square.
const TERMS_MAX: usize = 128;

/// Whether `left` and `right` are the same but for positions in the text.
pub(in crate::sql::optimizer) fn same(left: &Expression, right: &Expression) -> bool {
    match (left, right) {
        (Expression::Constant { value, data_type }, Expression::Constant { value: other, data_type: of }) => {
            data_type == of && same_value(value, other)
        }
        (Expression::Column { id, .. }, Expression::Column { id: other, .. }) => id == other,
        (Expression::Input { index, .. }, Expression::Input { index: other, .. })
        | (Expression::Parameter { index, .. }, Expression::Parameter { index: other, .. }) => index == other,
        (
            Expression::Call { function, arguments, .. },
            Expression::Call { function: other, arguments: others, .. },
        ) => std::ptr::eq(*function, *other) && same_list(arguments, others),
        (
            Expression::Cast { input, target, explicit, .. },
            Expression::Cast { input: other, target: to, explicit: also, .. },
        ) => target == to && explicit == also && same(input, other),
        (Expression::And(operands), Expression::And(others))
        | (Expression::Or(operands), Expression::Or(others)) => same_list(operands, others),
        (Expression::Not(input), Expression::Not(other)) => same(input, other),
        (Expression::IsNull { input, negated }, Expression::IsNull { input: other, negated: also }) => {
            negated == also && same(input, other)
        }
        (
            Expression::IsTruth { input, truth, negated },
            Expression::IsTruth { input: other, truth: of, negated: also },
        ) => truth == of && negated == also && same(input, other),
        (
            Expression::IsDistinct { left, right, negated },
            Expression::IsDistinct { left: other_left, right: other_right, negated: also },
        ) => negated == also && same(left, other_left) && same(right, other_right),
        (
            Expression::Case { branches, otherwise, data_type },
            Expression::Case { branches: others, otherwise: other, data_type: of },
        ) => {
            data_type == of
                && branches.len() == others.len()
                && branches.iter().zip(others).all(|(one, two)| same(&one.0, &two.0) && same(&one.1, &two.1))
                && match (otherwise, other) {
                    (None, None) => true,
                    (Some(one), Some(two)) => same(one, two),
                    _ => false,
                }
        }
        (
            Expression::Coalesce { arguments, data_type },
            Expression::Coalesce { arguments: others, data_type: of },
        ) => data_type == of && same_list(arguments, others),
        (
            Expression::NullIf { left, right, equal },
            Expression::NullIf { left: other_left, right: other_right, equal: other },
        ) => same(left, other_left) && same(right, other_right) && same(equal, other),
        (
            Expression::InSet { input, values, has_null, negated },
            Expression::InSet { input: other, values: others, has_null: of, negated: also },
        ) => {
            has_null == of
                && negated == also
                && values.len() == others.len()
                && values.iter().zip(others.iter()).all(|(one, two)| same_value(one, two))
                && same(input, other)
        }
        _ => false,
    }
}

fn same_list(left: &[Expression], right: &[Expression]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
}

fn same_value(left: &Datum, right: &Datum) -> bool {
    match (left, right) {
        (Datum::Null, Datum::Null) => true,
        (Datum::Boolean(left), Datum::Boolean(right)) => left == right,
        (Datum::SmallInt(left), Datum::SmallInt(right)) => left == right,
        (Datum::Integer(left), Datum::Integer(right)) => left == right,
        (Datum::BigInt(left), Datum::BigInt(right)) => left == right,
        (Datum::Text(left), Datum::Text(right)) => left == right,
        // Equal values may be written differently (1.0 and 1.00): those are not the same.
        _ => {
            std::mem::discriminant(left) == std::mem::discriminant(right)
                && format!("{left:?}") == format!("{right:?}")
        }
    }
}

/// Adds `term` to `terms` unless it is there.
pub(super) fn add_term(terms: &mut Vec<Expression>, term: Expression) {
    if terms.len() > TERMS_MAX || !terms.iter().any(|known| same(known, &term)) {
        terms.push(term);
    }
}

//! Whether conditions that hold on a row imply another one: a partial index may be read only where the query's conditions
//! imply its predicate.
//!
//! What is asked is whether the other condition is *true* wherever all the given ones are true. Only what is certain for
//! every row and every parameter counts; where nothing is found the answer is no.

use crate::sql::optimizer::rewrite::same;
use crate::sql::optimizer::sargable::{is_integer, widened};
use crate::sql::plan::expression::Expression;
use crate::sql::types::compare::compare;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;
use std::cmp::Ordering;

/// Comparisons of two conditions that are looked at in all; what lies behind is taken as not implied.
const STEPS_MAX: usize = 10_000;

/// Whether `predicate` is true for each row for which all of `conditions` are true.
pub(super) fn implies(conditions: &[Expression], predicate: &Expression) -> bool {
    Implication { steps: 0 }.by_all(conditions, predicate)
}

struct Implication {
    steps: usize,
}

impl Implication {
    fn by_all(&mut self, conditions: &[Expression], predicate: &Expression) -> bool {
        match predicate {
            Expression::And(terms) => terms.iter().all(|term| self.by_all(conditions, term)),
            Expression::Or(arms) if arms.iter().any(|arm| self.by_all(conditions, arm)) => true,
            _ => conditions.iter().any(|condition| self.by_one(condition, predicate)),
        }
    }

    fn by_one(&mut self, condition: &Expression, predicate: &Expression) -> bool {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return false;
        }
        if same(condition, predicate) {
            return true;
        }
        match (condition, predicate) {
            (Expression::And(terms), _) => self.by_all(terms, predicate),
            (Expression::Or(arms), _) => arms.iter().all(|arm| self.by_one(arm, predicate)),
            (_, Expression::And(terms)) => terms.iter().all(|term| self.by_one(condition, term)),
            (_, Expression::Or(arms)) => arms.iter().any(|arm| self.by_one(condition, arm)),
            _ => by_atom(condition, predicate),
        }
    }
}

/// The same for conditions that are neither AND nor OR.
fn by_atom(condition: &Expression, predicate: &Expression) -> bool {
    match predicate {
        Expression::IsNull { input, negated: true } => needs_value(condition, input),
        // What is true is not false, and not unknown.
        Expression::IsTruth { input, truth: true, negated: false }
        | Expression::IsTruth { input, truth: false, negated: true } => same(condition, input),
        Expression::IsTruth { input, truth: false, negated: false }
        | Expression::IsTruth { input, truth: true, negated: true } => {
            matches!(condition, Expression::Not(inner) if same(inner, input))
        }
        _ => match condition {
            Expression::IsTruth { input, truth: true, negated: false } => same(input, predicate),
            Expression::IsTruth { input, truth: false, negated: false } => {
                matches!(predicate, Expression::Not(inner) if same(inner, input))
            }
            _ => by_comparison(condition, predicate),
        },
    }
}

/// Whether `of` has a value wherever `condition` is true.
fn needs_value(condition: &Expression, of: &Expression) -> bool {
    is_strict_in(condition, of)
        || match condition {
            Expression::IsNull { input, negated: true }
            | Expression::IsTruth { input, negated: false, .. } => is_strict_in(input, of),
            _ => false,
        }
}

/// Whether `expression` is NULL where `of` is.
fn is_strict_in(expression: &Expression, of: &Expression) -> bool {
    if same(expression, of) {
        return true;
    }
    match expression {
        Expression::Call { function, arguments, .. } => {
            function.strict && arguments.iter().any(|argument| is_strict_in(argument, of))
        }
        Expression::Cast { input, .. } | Expression::Not(input) | Expression::InSet { input, .. } => {
            is_strict_in(input, of)
        }
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Different,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// `of comparison value`, the value constant and not NULL.
struct Bound<'e> {
    of: &'e Expression,
    comparison: Comparison,
    value: &'e Datum,
    /// What both are compared as.
    data_type: DataType,
}

fn bound(expression: &Expression) -> Option<Bound<'_>> {
    let Expression::Call { function, arguments, .. } = expression else { return None };
    let [left, right] = arguments.as_slice() else { return None };
    if !function.strict {
        return None;
    }
    let comparison = match function.name {
        "=" => Comparison::Equal,
        "<>" => Comparison::Different,
        "<" => Comparison::Less,
        "<=" => Comparison::LessEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterEqual,
        _ => return None,
    };
    let (of, value, comparison) = match (left, right) {
        (of, Expression::Constant { value, .. }) => (of, value, comparison),
        (Expression::Constant { value, .. }, of) => (of, value, flipped(comparison)),
        _ => return None,
    };
    let of = widened(of);
    let [data_type, other] = *function.arguments else { return None };
    // Dates beside moments and the like are compared as something else than what they are.
    (!value.is_null() && is_one_order(data_type, other)).then_some(Bound { of, comparison, value, data_type })
}

fn flipped(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
        other => other,
    }
}

/// `left` compared with `right`, where both are integers or of one type.
fn ordering(left: &Datum, right: &Datum, of: DataType) -> Option<Ordering> {
    let whole = |value: &Datum| match value {
        Datum::SmallInt(value) => Some(i64::from(*value)),
        Datum::Integer(value) => Some(i64::from(*value)),
        Datum::BigInt(value) => Some(*value),
        _ => None,
    };
    if let (Some(left), Some(right)) = (whole(left), whole(right)) {
        return Some(left.cmp(&right));
    }
    (std::mem::discriminant(left) == std::mem::discriminant(right) && !left.is_null())
        .then(|| compare(left.as_ref(), right.as_ref(), of))
}

fn holds(comparison: Comparison, ordering: Ordering) -> bool {
    match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::Different => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterEqual => ordering.is_ge(),
    }
}

fn by_comparison(condition: &Expression, predicate: &Expression) -> bool {
    // A list is the values that it holds.
    if let Expression::InSet { input, values, negated: false, .. } = condition {
        let (of, data_type) = (widened(input), input.data_type());
        let one = |value| Bound { of, comparison: Comparison::Equal, value, data_type };
        return values.iter().all(|value| by_bound(&one(value), predicate));
    }
    bound(condition).is_some_and(|known| by_bound(&known, predicate))
}

fn by_bound(known: &Bound<'_>, predicate: &Expression) -> bool {
    if let Expression::InSet { input, values, negated: false, .. } = predicate {
        return known.comparison == Comparison::Equal
            && same(known.of, widened(input))
            && is_one_order(known.data_type, input.data_type())
            && values
                .iter()
                .any(|value| ordering(known.value, value, known.data_type).is_some_and(Ordering::is_eq));
    }
    let Some(wanted) = bound(predicate) else { return false };
    if !same(known.of, wanted.of) || !is_one_order(known.data_type, wanted.data_type) {
        return false;
    }
    let Some(ordering) = ordering(known.value, wanted.value, known.data_type) else { return false };
    use Comparison::{Different, Equal, Greater, GreaterEqual, Less, LessEqual};
    match (known.comparison, wanted.comparison) {
        (Equal, wanted) => holds(wanted, ordering),
        (Different, Different) => ordering.is_eq(),
        (Less, Less | LessEqual | Different) | (LessEqual, LessEqual) => ordering.is_le(),
        (LessEqual, Less | Different) => ordering.is_lt(),
        (Greater, Greater | GreaterEqual | Different) | (GreaterEqual, GreaterEqual) => ordering.is_ge(),
        (GreaterEqual, Greater | Different) => ordering.is_gt(),
        _ => false,
    }
}

/// Whether values of both types are compared alike.
fn is_one_order(one: DataType, other: DataType) -> bool {
    let is_text = |data_type| matches!(data_type, DataType::Text | DataType::Varchar);
    one == other || (is_integer(one) && is_integer(other)) || (is_text(one) && is_text(other))
}

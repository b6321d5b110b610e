//! How many rows come out: PostgreSQL's default selectivities where nothing is known of the values.

use crate::sql::plan::expression::Expression;
use crate::sql::types::datum::Datum;

/// Share of rows that equal a value.
pub(super) const EQUAL: f64 = 0.005;
/// Share of rows below or above a value.
pub(super) const INEQUALITY: f64 = 1.0 / 3.0;
/// Share of rows between two values.
pub(super) const RANGE: f64 = 0.005;
/// Share of rows that match a pattern.
pub(super) const PATTERN: f64 = 0.01;
/// Share of NULLs.
pub(super) const NULL: f64 = 0.005;
/// Share of rows for which an unknown condition is true.
pub(super) const UNKNOWN: f64 = 0.5;
/// Share of rows that stay different after grouping.
pub(super) const DISTINCT: f64 = 0.1;
/// A table is taken to have at least this many rows: a plan outlives an empty table.
pub(super) const TABLE_ROWS_MIN: f64 = 1000.0;
/// Share of rows that a LIMIT of unknown size lets through.
pub(super) const LIMIT_SHARE: f64 = 0.1;

/// Share of rows for which `predicate` is true.
pub(super) fn selectivity(predicate: &Expression) -> f64 {
    match predicate {
        Expression::And(terms) => terms.iter().map(selectivity).product(),
        Expression::Or(terms) => 1.0 - terms.iter().map(|term| 1.0 - selectivity(term)).product::<f64>(),
        Expression::Not(input) => 1.0 - selectivity(input),
        Expression::IsNull { negated, .. } => negate(NULL, *negated),
        Expression::IsDistinct { negated, .. } => negate(1.0 - EQUAL, *negated),
        Expression::InSet { values, negated, .. } => {
            negate((values.len() as f64 * EQUAL).min(UNKNOWN), *negated)
        }
        Expression::Call { function, arguments, .. } if arguments.len() == 2 => match function.name {
            "=" => EQUAL,
            "<>" => 1.0 - EQUAL,
            "<" | "<=" | ">" | ">=" => INEQUALITY,
            "~~" | "~~*" | "~" | "~*" => PATTERN,
            "!~~" | "!~~*" | "!~" | "!~*" => 1.0 - PATTERN,
            _ => UNKNOWN,
        },
        Expression::Constant { value: Datum::Boolean(true), .. } => 1.0,
        Expression::Constant { .. } => 0.0,
        _ => UNKNOWN,
    }
}

fn negate(share: f64, negated: bool) -> f64 {
    if negated { 1.0 - share } else { share }
}

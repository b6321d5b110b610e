//! AND and OR with terms that repeat: duplicates go, and what every alternative of an OR demands is demanded once
//! (`(a AND b) OR (a AND c)` is `a AND (b OR c)`), where joins and indexes can use it. All of it holds in
//! three-valued logic.

use crate::error::Result;
use crate::sql::functions::registry::Registry;
use crate::sql::optimizer::columns::split_conjunction;
use crate::sql::optimizer::rewrite::references::{has_subquery, is_volatile, take_expression};
use crate::sql::optimizer::rewrite::same::{add_term, same};
use crate::sql::plan::expression::Expression;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;

/// How many terms of an OR's first alternative are looked for in the others; what lies behind them stays inside.
const FACTORS_MAX: usize = 32;

/// Simplifies `expression` and its operands.
/// # Errors
/// None of its own.
pub(super) fn simplify(expression: &mut Expression) -> Result<()> {
    expression.each_operand_mut(&mut simplify)?;
    match expression {
        Expression::And(_) | Expression::Or(_) => simplify_node(expression),
        Expression::Call { .. } => simplify_comparison(expression),
        _ => {}
    }
    Ok(())
}

/// A date compared with a moment that is a midnight is compared with that day: statistics and indexes know dates.
#[inline(never)]
fn simplify_comparison(expression: &mut Expression) {
    let Expression::Call { function, arguments, .. } = expression else { return };
    let [left, right] = arguments.as_mut_slice() else { return };
    let comparison = matches!(function.name, "=" | "<>" | "<" | "<=" | ">" | ">=");
    if !comparison || !function.strict {
        return;
    }
    let dates = [DataType::Date, DataType::Date];
    let day = match function.arguments {
        [DataType::Date, DataType::Timestamp] => midnight(right).map(|day| (day, right)),
        [DataType::Timestamp, DataType::Date] => midnight(left).map(|day| (day, left)),
        _ => None,
    };
    if let Some((day, side)) = day
        && let Some(of_dates) = Registry::get().scalar_exact(function.name, &dates)
    {
        *side = Expression::Constant { value: Datum::Date(day), data_type: DataType::Date };
        *function = of_dates;
    }
}

/// The day that a constant moment is the start of.
fn midnight(moment: &Expression) -> Option<i32> {
    const DAY_MICROSECONDS: i64 = 86_400_000_000;
    match moment {
        Expression::Constant { value: Datum::Timestamp(moment), .. } if moment % DAY_MICROSECONDS == 0 => {
            i32::try_from(moment / DAY_MICROSECONDS).ok()
        }
        _ => None,
    }
}

#[inline(never)]
fn simplify_node(expression: &mut Expression) {
    *expression = match take_expression(expression) {
        Expression::And(terms) => {
            let mut flat = Vec::with_capacity(terms.len());
            split_conjunction(Expression::And(terms), &mut flat);
            one_of(distinct(flat), Expression::And)
        }
        Expression::Or(alternatives) => factored(distinct(alternatives)),
        other => other,
    };
}

fn distinct(terms: Vec<Expression>) -> Vec<Expression> {
    let mut kept = Vec::with_capacity(terms.len());
    for term in terms {
        if is_volatile(&term) || has_subquery(&term) {
            kept.push(term);
        } else {
            add_term(&mut kept, term);
        }
    }
    kept
}

fn one_of(mut terms: Vec<Expression>, whole: fn(Vec<Expression>) -> Expression) -> Expression {
    match terms.pop() {
        Some(only) if terms.is_empty() => only,
        Some(last) => {
            terms.push(last);
            whole(terms)
        }
        None => whole(terms),
    }
}

fn demands(alternative: &Expression, term: &Expression) -> bool {
    match alternative {
        Expression::And(terms) => terms.iter().any(|own| same(own, term)),
        own => same(own, term),
    }
}

/// The OR with what all its alternatives demand outside.
fn factored(mut alternatives: Vec<Expression>) -> Expression {
    let mut candidates = match alternatives.first() {
        Some(Expression::And(terms)) => terms.clone(),
        Some(other) if alternatives.len() > 1 => vec![other.clone()],
        _ => Vec::new(),
    };
    // Each is looked for in every alternative.
    candidates.truncate(FACTORS_MAX);
    let mut common: Vec<Expression> = Vec::new();
    for term in candidates {
        let everywhere = alternatives.iter().all(|alternative| demands(alternative, &term));
        if everywhere && !is_volatile(&term) && !has_subquery(&term) {
            common.push(term);
        }
    }
    if common.is_empty() || alternatives.len() < 2 {
        return one_of(alternatives, Expression::Or);
    }
    let mut free = false;
    for alternative in &mut alternatives {
        let mut rest = Vec::new();
        split_conjunction(take_expression(alternative), &mut rest);
        rest.retain(|term| !common.iter().any(|known| same(known, term)));
        // An alternative that demands nothing else makes the others needless.
        free |= rest.is_empty();
        *alternative = one_of(rest, Expression::And);
    }
    if !free {
        common.push(one_of(alternatives, Expression::Or));
    }
    one_of(common, Expression::And)
}

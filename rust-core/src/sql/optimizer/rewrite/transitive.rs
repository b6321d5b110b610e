//! What follows from the conditions of inner joins: a column that equals one with a known value has that value, and
//! an OR whose every alternative says something about one side says that of it.

use crate::sql::optimizer::columns::{conjunction, is_statement_constant, split_conjunction};
use crate::sql::optimizer::rewrite::cardinality_bounds::equality;
use crate::sql::optimizer::rewrite::references::{
    ColumnSet, expression_columns, is_volatile, take, take_expression,
};
use crate::sql::optimizer::rewrite::same::{add_term, same};
use crate::sql::plan::expression::{ColumnId, Expression};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::types::data_type::DataType;

/// Alternatives of an OR that are looked through.
const ALTERNATIVES_MAX: usize = 64;
/// Terms that are compared with each other.
const TERMS_MAX: usize = 512;

/// Takes the conditions of `plan` and of the inner joins and filters directly below it.
pub(super) fn gather(plan: &mut LogicalPlan, out: &mut Vec<Expression>) {
    let mut waiting = vec![plan];
    while let Some(node) = waiting.pop() {
        while let LogicalPlan::Filter { input, predicate } = node {
            if is_volatile(predicate) {
                break;
            }
            split_conjunction(take_expression(predicate), out);
            *node = take(input);
        }
        if let LogicalPlan::Join { kind: JoinKind::Inner, left, right, condition } = node {
            let mut terms = Vec::new();
            condition.take().into_iter().for_each(|whole| split_conjunction(whole, &mut terms));
            let (fixed, moving) = terms.into_iter().partition(is_volatile);
            out.extend::<Vec<Expression>>(moving);
            *condition = conjunction(fixed);
            waiting.push(right);
            waiting.push(left);
        }
    }
}

/// Adds `column = value` for columns that equal another with that value.
pub(super) fn add_implied(terms: &mut Vec<Expression>) {
    if terms.len() > TERMS_MAX {
        return;
    }
    let mut classes: Vec<Vec<(ColumnId, DataType)>> = Vec::new();
    let mut known = Vec::new();
    for term in terms.iter() {
        match equality(term) {
            Some((Expression::Column { id, data_type }, Expression::Column { id: other, data_type: of }))
                if data_type == of =>
            {
                join_classes(&mut classes, (*id, *data_type), (*other, *of));
            }
            Some((Expression::Column { id, .. }, value)) if is_statement_constant(value) => {
                known.push((*id, term.clone(), 0));
            }
            Some((value, Expression::Column { id, .. })) if is_statement_constant(value) => {
                known.push((*id, term.clone(), 1));
            }
            _ => {}
        }
    }
    if classes.is_empty() {
        return;
    }
    for (id, term, side) in known {
        let class = classes.iter().find(|class| class.iter().any(|(member, _)| *member == id));
        for (member, data_type) in class.into_iter().flatten().filter(|(member, _)| *member != id) {
            let mut implied = term.clone();
            if let Expression::Call { arguments, .. } = &mut implied {
                arguments[side] = Expression::Column { id: *member, data_type: *data_type };
            }
            add_term(terms, implied);
        }
    }
}

type Member = (ColumnId, DataType);

fn join_classes(classes: &mut Vec<Vec<Member>>, one: Member, other: Member) {
    let find =
        |classes: &[Vec<Member>], member: Member| classes.iter().position(|class| class.contains(&member));
    match (find(classes, one), find(classes, other)) {
        (None, None) => classes.push(vec![one, other]),
        (Some(class), None) => classes[class].push(other),
        (None, Some(class)) => classes[class].push(one),
        (Some(first), Some(second)) if first != second => {
            let moved = classes.swap_remove(first.max(second));
            classes[first.min(second)].extend(moved);
        }
        _ => {}
    }
}

/// What an OR over several sides says about the side with `columns` alone.
pub(in crate::sql::optimizer) fn implied_by_or(term: &Expression, columns: &ColumnSet) -> Option<Expression> {
    let Expression::Or(alternatives) = term else { return None };
    if alternatives.len() > ALTERNATIVES_MAX {
        return None;
    }
    let mut implied: Vec<Expression> = Vec::with_capacity(alternatives.len());
    for alternative in alternatives {
        let mut terms = Vec::new();
        split_conjunction(alternative.clone(), &mut terms);
        terms.retain(|term| {
            let used = expression_columns(term);
            !used.is_empty() && used.iter().all(|id| columns.contains(id))
        });
        let about = conjunction(terms)?;
        if !implied.iter().any(|known| same(known, &about)) {
            implied.push(about);
        }
    }
    if implied.len() > 1 { Some(Expression::Or(implied)) } else { implied.pop() }
}

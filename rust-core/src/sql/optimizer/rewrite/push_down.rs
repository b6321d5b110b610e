//! Conditions move towards the tables: through projections, sorts, joins of every kind as far as its rules let them,
//! grouping columns, set operations. On the way outer joins whose added rows a condition above refuses become simpler
//! ones. Nothing moves past a LIMIT, into a shared common table or a recursion, and nothing volatile moves at all.

use crate::error::Result;
use crate::sql::evaluate::fold::fold;
use crate::sql::optimizer::columns::{conjunction, operator_count, split_conjunction};
use crate::sql::optimizer::rewrite::cardinality_bounds::{never_null, not_null_columns};
use crate::sql::optimizer::rewrite::null_rejection::{add_rejected, add_strict, rejects_null};
use crate::sql::optimizer::rewrite::references::{
    ColumnSet, Replacements, boolean, column, expression_columns, is_volatile, output_set, replace_columns,
    take, take_expression,
};
use crate::sql::optimizer::rewrite::same::{add_term, same};
use crate::sql::optimizer::rewrite::transitive;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::types::datum::Datum;

/// A condition does not grow beyond this when the expressions that it is about are put in.
const OPERATORS_MAX: f64 = 1000.0;

/// What is asked of a plan's rows from above.
#[derive(Default)]
struct Asked {
    /// Only rows for which these are true are wanted.
    terms: Vec<Expression>,
    /// Rows in which one of these is NULL are not wanted.
    not_null: ColumnSet,
}

/// Moves the conditions of `plan` down.
/// # Errors
/// `XX000` for a plan that contradicts itself.
pub(super) fn push_down(plan: &mut LogicalPlan) -> Result<()> {
    push(plan, Asked::default())
}

fn push(plan: &mut LogicalPlan, asked: Asked) -> Result<()> {
    let (staying, routed) = route(plan, asked)?;
    for (input, asked) in plan.inputs_mut().into_iter().zip(routed) {
        push(input, asked)?;
    }
    filter(plan, staying);
    Ok(())
}

/// Puts a filter on `plan`.
#[inline(never)]
fn filter(plan: &mut LogicalPlan, terms: Vec<Expression>) {
    let mut kept = Vec::with_capacity(terms.len());
    let mut never_null = None;
    for term in terms {
        let term = without_self_comparison(term);
        let term = match known_null_test(&term) {
            Some((id, wanted)) => {
                let never = never_null.get_or_insert_with(|| not_null_columns(plan)).contains(&id);
                if never { boolean(wanted) } else { term }
            }
            None => term,
        };
        let term = match term {
            // A filter takes unknown for false anyway.
            Expression::IsTruth { input, truth: true, negated: false } => *input,
            term => term,
        };
        if !is_always(&term) {
            add_term(&mut kept, term);
        }
    }
    if let Some(predicate) = conjunction(kept) {
        *plan = LogicalPlan::Filter { input: Box::new(take(plan)), predicate };
    }
}

/// A column that is compared with itself is equal where it is not NULL, which is all that a filter asks.
fn without_self_comparison(mut term: Expression) -> Expression {
    if let Expression::Call { function, arguments, .. } = &mut term
        && function.strict
        && function.name == "="
        && let [left @ Expression::Column { .. }, right] = arguments.as_mut_slice()
        && same(left, right)
    {
        return Expression::IsNull { input: Box::new(take_expression(left)), negated: true };
    }
    term
}

/// A test of one column for NULL, and what it comes to where the column never is.
fn known_null_test(term: &Expression) -> Option<(ColumnId, bool)> {
    let Expression::IsNull { input, negated } = term else { return None };
    let Expression::Column { id, .. } = **input else { return None };
    Some((id, *negated))
}

fn is_always(term: &Expression) -> bool {
    matches!(term, Expression::Constant { value: Datum::Boolean(true), .. })
}

/// What stays above `plan`, and what is asked of each of its inputs.
type Routed = (Vec<Expression>, Vec<Asked>);

/// Decides what becomes of what is asked of `plan`; filters on top of it are taken off and asked with it.
#[inline(never)]
fn route(plan: &mut LogicalPlan, mut asked: Asked) -> Result<Routed> {
    let mut staying = Vec::new();
    while let LogicalPlan::Filter { .. } = plan {
        let LogicalPlan::Filter { input, predicate } = take(plan) else { break };
        let mut terms = Vec::new();
        split_conjunction(predicate, &mut terms);
        // Lower conditions first, as they were.
        let above = std::mem::take(&mut asked.terms);
        asked.terms = terms;
        asked.terms.extend(above);
        *plan = *input;
    }
    let mut index = 0;
    while index < asked.terms.len() {
        if is_volatile(&asked.terms[index]) {
            staying.push(asked.terms.remove(index));
        } else {
            index += 1;
        }
    }
    asked.terms.iter().for_each(|term| add_rejected(term, &mut asked.not_null));
    let (more, routed) = match plan {
        LogicalPlan::Join { .. } => through_join(plan, asked)?,
        LogicalPlan::Project { expressions, columns, .. } => through_project(expressions, columns, asked)?,
        LogicalPlan::Aggregate { groups, group_columns, .. } => {
            through_aggregate(groups, group_columns, asked)?
        }
        LogicalPlan::DistinctOn { keys, .. } => through_distinct_on(keys, asked),
        LogicalPlan::Append { inputs, columns } => (
            Vec::new(),
            inputs.iter().map(|input| by_position(&asked, columns, input)).collect::<Result<_>>()?,
        ),
        LogicalPlan::SetOperation { left, right, columns, .. } => {
            let sides = [&**left, &**right];
            (
                Vec::new(),
                sides.into_iter().map(|side| by_position(&asked, columns, side)).collect::<Result<_>>()?,
            )
        }
        LogicalPlan::Sort { .. } | LogicalPlan::Distinct { .. } => (Vec::new(), vec![asked]),
        LogicalPlan::With { .. } => (Vec::new(), vec![Asked::default(), asked]),
        LogicalPlan::Initial { queries, .. } => {
            let mut routed: Vec<Asked> = queries.iter().map(|_| Asked::default()).collect();
            routed.push(asked);
            (Vec::new(), routed)
        }
        other => {
            let inputs = other.inputs().len();
            (asked.terms, (0..inputs).map(|_| Asked::default()).collect())
        }
    };
    staying.extend(more);
    Ok((staying, routed))
}

fn uses_only(term: &Expression, columns: &ColumnSet) -> bool {
    expression_columns(term).iter().all(|id| columns.contains(id))
}

/// Whether `term` stays of a bearable size when the expressions are put in.
fn may_replace(term: &Expression, replacements: &Replacements) -> bool {
    fn count(term: &Expression, replacements: &Replacements) -> f64 {
        let mut total = match term {
            Expression::Column { id, .. } => replacements.get(id).map_or(0.0, operator_count),
            _ => 0.0,
        };
        term.each_operand(&mut |operand| total += count(operand, replacements));
        total
    }
    count(term, replacements) + operator_count(term) <= OPERATORS_MAX
}

#[inline(never)]
fn through_project(expressions: &[Expression], columns: &[OutputColumn], asked: Asked) -> Result<Routed> {
    let volatile: ColumnSet = columns
        .iter()
        .zip(expressions)
        .filter(|(_, expression)| is_volatile(expression))
        .map(|(column, _)| column.id)
        .collect();
    let replacements: Replacements =
        columns.iter().map(|column| column.id).zip(expressions.iter().cloned()).collect();
    let mut below = Asked::default();
    let mut staying = Vec::new();
    for mut term in asked.terms {
        let fixed = !volatile.is_empty() && expression_columns(&term).iter().any(|id| volatile.contains(id));
        if fixed || !may_replace(&term, &replacements) {
            staying.push(term);
        } else {
            replace_columns(&mut term, &replacements)?;
            split_conjunction(fold(term), &mut below.terms);
        }
    }
    for (column, expression) in columns.iter().zip(expressions) {
        if asked.not_null.contains(&column.id) {
            add_strict(expression, &mut below.not_null);
        }
    }
    Ok((staying, vec![below]))
}

#[inline(never)]
fn through_aggregate(groups: &[Expression], group_columns: &[OutputColumn], asked: Asked) -> Result<Routed> {
    // Without groups there is one row whatever is below.
    if groups.is_empty() {
        return Ok((asked.terms, vec![Asked::default()]));
    }
    let own: ColumnSet = group_columns.iter().map(|column| column.id).collect();
    let (passing, staying): (Vec<Expression>, Vec<Expression>) =
        asked.terms.into_iter().partition(|term| uses_only(term, &own));
    let not_null = asked.not_null.into_iter().filter(|id| own.contains(id)).collect();
    let (mut above, routed) = through_project(groups, group_columns, Asked { terms: passing, not_null })?;
    above.extend(staying);
    Ok((above, routed))
}

fn through_distinct_on(keys: &[Expression], asked: Asked) -> Routed {
    let mut own = ColumnSet::new();
    for key in keys {
        if let Expression::Column { id, .. } = key {
            own.insert(*id);
        }
    }
    let (terms, staying) = asked.terms.into_iter().partition(|term| uses_only(term, &own));
    let not_null = asked.not_null.into_iter().filter(|id| own.contains(id)).collect();
    (staying, vec![Asked { terms, not_null }])
}

/// What is asked of an input whose columns match by position.
fn by_position(asked: &Asked, columns: &[OutputColumn], input: &LogicalPlan) -> Result<Asked> {
    let made = input.output_columns();
    let replacements: Replacements =
        columns.iter().map(|column| column.id).zip(made.iter().map(column)).collect();
    let mut terms = asked.terms.clone();
    terms.iter_mut().try_for_each(|term| replace_columns(term, &replacements))?;
    let pairs = columns.iter().zip(&made);
    let not_null =
        pairs.filter(|(name, _)| asked.not_null.contains(&name.id)).map(|(_, made)| made.id).collect();
    Ok(Asked { terms, not_null })
}

/// Terms by the side of a join that they are about.
#[derive(Default)]
struct Sides {
    left: Vec<Expression>,
    right: Vec<Expression>,
    both: Vec<Expression>,
}

impl Sides {
    /// Terms about neither side count as the left one's.
    fn of(terms: Vec<Expression>, right: &ColumnSet, left: &ColumnSet) -> Sides {
        let mut sides = Sides::default();
        for term in terms {
            let used = expression_columns(&term);
            let uses_right = used.iter().any(|id| right.contains(id));
            let uses_left = used.iter().any(|id| left.contains(id));
            match (uses_left, uses_right) {
                (_, false) => sides.left.push(term),
                (false, true) => sides.right.push(term),
                (true, true) => sides.both.push(term),
            }
        }
        sides
    }
}

#[inline(never)]
fn through_join(plan: &mut LogicalPlan, asked: Asked) -> Result<Routed> {
    simplify_outer_join(plan, &asked);
    if let Some(routed) = as_anti_join(plan, &asked) {
        return Ok((asked.terms, vec![routed]));
    }
    let LogicalPlan::Join { kind, left, right, condition } = plan else {
        return Ok((asked.terms, Vec::new()));
    };
    let mut terms = Vec::new();
    condition.take().into_iter().for_each(|condition| split_conjunction(condition, &mut terms));
    let (fixed, terms): (Vec<Expression>, Vec<Expression>) = terms.into_iter().partition(is_volatile);
    let (of_left, of_right) = (output_set(left), output_set(right));
    let mut staying = Vec::new();
    let mut kept = fixed;
    let (mut to_left, mut to_right) = (Asked::default(), Asked::default());
    let add_all =
        |terms: &[Expression], out: &mut ColumnSet| terms.iter().for_each(|term| add_rejected(term, out));
    match kind {
        JoinKind::Inner => {
            let mut all = asked.terms;
            all.extend(terms);
            transitive::gather(left, &mut all);
            transitive::gather(right, &mut all);
            transitive::add_implied(&mut all);
            let mut not_null = asked.not_null;
            add_all(&all, &mut not_null);
            let sides = Sides::of(all, &of_right, &of_left);
            (to_left.terms, to_right.terms) = (sides.left, sides.right);
            for term in sides.both {
                to_left.terms.extend(transitive::implied_by_or(&term, &of_left));
                to_right.terms.extend(transitive::implied_by_or(&term, &of_right));
                add_term(&mut kept, term);
            }
            to_left.not_null.clone_from(&not_null);
            to_right.not_null = not_null;
        }
        JoinKind::Left | JoinKind::Single => {
            let above = Sides::of(asked.terms, &of_right, &of_left);
            staying.extend(above.right.into_iter().chain(above.both));
            to_left.terms = above.left;
            add_all(&terms, &mut to_right.not_null);
            let own = Sides::of(terms, &of_right, &of_left);
            to_right.terms = own.right;
            for term in &own.both {
                to_right.terms.extend(transitive::implied_by_or(term, &of_right));
            }
            kept.extend(own.left.into_iter().chain(own.both));
            to_left.not_null = asked.not_null;
        }
        JoinKind::Right => {
            let above = Sides::of(asked.terms, &of_left, &of_right);
            staying.extend(above.right.into_iter().chain(above.both));
            to_right.terms = above.left;
            add_all(&terms, &mut to_left.not_null);
            let own = Sides::of(terms, &of_left, &of_right);
            to_left.terms = own.right;
            kept.extend(own.left.into_iter().chain(own.both));
            to_right.not_null = asked.not_null;
        }
        JoinKind::Full => {
            staying.extend(asked.terms);
            kept.extend(terms);
        }
        JoinKind::Semi => {
            to_left.terms = asked.terms;
            add_all(&terms, &mut to_left.not_null);
            to_right.not_null.clone_from(&to_left.not_null);
            to_left.not_null.extend(asked.not_null);
            let own = Sides::of(terms, &of_right, &of_left);
            to_left.terms.extend(own.left);
            to_right.terms = own.right;
            for term in &own.both {
                to_right.terms.extend(transitive::implied_by_or(term, &of_right));
            }
            kept.extend(own.both);
        }
        JoinKind::Anti => {
            to_left = asked;
            add_all(&terms, &mut to_right.not_null);
            let own = Sides::of(terms, &of_right, &of_left);
            to_right.terms = own.right;
            kept.extend(own.left.into_iter().chain(own.both));
        }
        JoinKind::Mark(mark) => {
            let (above, passing): (Vec<Expression>, Vec<Expression>) =
                asked.terms.into_iter().partition(|term| expression_columns(term).contains(&mark.id));
            staying.extend(above);
            to_left = Asked { terms: passing, not_null: asked.not_null };
            // A term that is never unknown only says which right rows count.
            let own = Sides::of(terms, &of_right, &of_left);
            let not_null = not_null_columns(right);
            let (passing, unknown): (Vec<Expression>, Vec<Expression>) =
                own.right.into_iter().partition(|term| never_null(term, &not_null));
            to_right.terms = passing;
            kept.extend(own.left.into_iter().chain(own.both).chain(unknown));
        }
    }
    *condition = conjunction(kept);
    Ok((staying, vec![to_left, to_right]))
}

/// An outer join whose added rows are refused above does not make them.
fn simplify_outer_join(plan: &mut LogicalPlan, asked: &Asked) {
    let LogicalPlan::Join { kind, left, right, .. } = plan else { return };
    if !matches!(kind, JoinKind::Left | JoinKind::Right | JoinKind::Full) {
        return;
    }
    let refused = |side: &LogicalPlan| {
        let columns = output_set(side);
        asked.not_null.iter().any(|id| columns.contains(id))
            || asked.terms.iter().any(|term| {
                expression_columns(term).iter().any(|id| columns.contains(id))
                    && rejects_null(term, &|id| columns.contains(&id))
            })
    };
    // Rows in which the left side is NULL, and those in which the right side is.
    let without_left = matches!(kind, JoinKind::Right | JoinKind::Full) && !refused(left);
    let without_right = matches!(kind, JoinKind::Left | JoinKind::Full) && !refused(right);
    *kind = match (without_left, without_right) {
        (false, false) => JoinKind::Inner,
        (false, true) => JoinKind::Left,
        (true, false) => JoinKind::Right,
        (true, true) => JoinKind::Full,
    };
}

/// A left join of which only the rows without a partner are wanted is an anti join; the right columns are NULL. Gives
/// what is asked of the projection's input.
fn as_anti_join(plan: &mut LogicalPlan, asked: &Asked) -> Option<Asked> {
    let LogicalPlan::Join { kind: JoinKind::Left, left, right, condition } = plan else { return None };
    let tested: Vec<_> = asked
        .terms
        .iter()
        .filter_map(|term| match term {
            Expression::IsNull { input, negated: false } => match **input {
                Expression::Column { id, .. } => Some(id),
                _ => None,
            },
            _ => None,
        })
        .collect();
    if tested.is_empty() {
        return None;
    }
    let made = output_set(right);
    let mut partners = not_null_columns(right);
    condition.iter().for_each(|condition| add_rejected(condition, &mut partners));
    if !tested.iter().any(|id| made.contains(id) && partners.contains(id)) {
        return None;
    }
    let columns = plan_columns(left, right);
    let expressions = columns
        .iter()
        .map(|output| {
            if made.contains(&output.id) {
                Expression::Constant { value: Datum::Null, data_type: output.sql_type.data_type }
            } else {
                column(output)
            }
        })
        .collect();
    let (left, right) = (Box::new(take(left)), Box::new(take(right)));
    let input = LogicalPlan::Join { kind: JoinKind::Anti, left, right, condition: condition.take() };
    *plan = LogicalPlan::Project { input: Box::new(input), expressions, columns };
    Some(Asked::default())
}

fn plan_columns(left: &LogicalPlan, right: &LogicalPlan) -> Vec<OutputColumn> {
    let nullable = right.output_columns().into_iter().map(|column| OutputColumn { nullable: true, ..column });
    left.output_columns().into_iter().chain(nullable).collect()
}

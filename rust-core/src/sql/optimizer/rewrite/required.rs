//! From the root down: which columns are needed, and what goes because none of its columns are: expressions,
//! aggregates, left joins with at most one partner for each row, marks. Also what only narrows a row where nobody
//! counts its columns, and orders that nobody sees.

use crate::error::Result;
use crate::sql::functions::registry::AggregateFunction;
use crate::sql::optimizer::columns::split_conjunction;
use crate::sql::optimizer::rewrite::cardinality_bounds::{at_most_one_row, equality, unique_keys};
use crate::sql::optimizer::rewrite::references::{
    ColumnSet, expression_columns, free_columns, is_volatile, output_set, plan_is_volatile, take,
};
use crate::sql::optimizer::rewrite::subquery::one_row;
use crate::sql::plan::expression::{AggregateCall, ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan, Recheck};

/// What a node is asked for.
#[derive(Clone)]
struct Need {
    /// Columns that are used above.
    columns: ColumnSet,
    /// Whether columns count by position or all of them matter (a set operation, the result).
    exact: bool,
    /// Whether the order of rows can be seen.
    ordered: bool,
    /// Whether only distinct rows matter: duplicates are dropped above.
    duplicates: bool,
}

/// Drops what nobody needs.
/// # Errors
/// `XX000` for a plan that contradicts itself.
pub(super) fn prune(plan: &mut LogicalPlan) -> Result<()> {
    walk(plan, all_of(plan, true))
}

fn all_of(plan: &LogicalPlan, ordered: bool) -> Need {
    Need { columns: output_set(plan), exact: true, ordered, duplicates: true }
}

fn walk(plan: &mut LogicalPlan, need: Need) -> Result<()> {
    let needs = of_inputs(plan, need);
    plan.inputs_mut().into_iter().zip(needs).try_for_each(|(input, need)| walk(input, need))
}

fn add(expression: &Expression, out: &mut ColumnSet) {
    out.extend(expression_columns(expression));
}

/// Simplifies the node until it stays as it is, and says what it needs of its inputs.
#[inline(never)]
fn of_inputs(plan: &mut LogicalPlan, need: Need) -> Vec<Need> {
    while simplified(plan, &need) {}
    let Need { mut columns, exact, ordered, duplicates } = need;
    match plan {
        LogicalPlan::Filter { predicate, .. } => {
            add(predicate, &mut columns);
            vec![Need { columns, exact, ordered, duplicates }]
        }
        LogicalPlan::Project { expressions, .. } => {
            let mut used = ColumnSet::new();
            expressions.iter().for_each(|expression| add(expression, &mut used));
            let duplicates = duplicates || expressions.iter().any(is_volatile);
            vec![Need { columns: used, exact: false, ordered, duplicates }]
        }
        LogicalPlan::Aggregate { groups, aggregates, .. } => {
            if !exact {
                aggregates.retain(|call| columns.contains(&call.output.id));
            }
            let mut used = ColumnSet::new();
            groups.iter().for_each(|group| add(group, &mut used));
            let operands = aggregates.iter().flat_map(AggregateCall::operands);
            operands.for_each(|operand| add(operand, &mut used));
            let seen = aggregates.iter().any(|call| sees_order(call.function));
            let duplicates = aggregates.iter().any(|call| !ignores_duplicates(call));
            vec![Need { columns: used, exact: false, ordered: seen, duplicates }]
        }
        LogicalPlan::Sort { keys, .. } => {
            keys.iter().for_each(|key| add(&key.expression, &mut columns));
            // Rows that the keys leave equal may come in any order.
            vec![Need { columns, exact, ordered: false, duplicates }]
        }
        LogicalPlan::Limit { ties, .. } => {
            ties.iter().for_each(|tie| add(tie, &mut columns));
            vec![Need { columns, exact, ordered: true, duplicates: true }]
        }
        LogicalPlan::DistinctOn { keys, .. } => {
            keys.iter().for_each(|key| add(key, &mut columns));
            vec![Need { columns, exact, ordered: true, duplicates: true }]
        }
        LogicalPlan::Distinct { input } => {
            vec![Need { duplicates: false, ..all_of(input, false) }]
        }
        LogicalPlan::Join { kind, condition, right, .. } => {
            condition.iter().for_each(|condition| add(condition, &mut columns));
            let tests_only = matches!(kind, JoinKind::Semi | JoinKind::Anti | JoinKind::Mark(_));
            // A dependent right side uses columns of the left one.
            columns.extend(free_columns(right));
            // Fewer rows to join are worth dropping duplicates below a join, even where that changes nothing.
            let left = Need { columns, exact, ordered, duplicates: true };
            let mut right = Need { ordered: false, ..left.clone() };
            if tests_only {
                right.exact = false;
                right.duplicates = false;
            }
            vec![left, right]
        }
        LogicalPlan::SetOperation { all, left, right, .. } => {
            let of = |side: &LogicalPlan| Need { duplicates: *all, ..all_of(side, false) };
            vec![of(left), of(right)]
        }
        LogicalPlan::Append { inputs, .. } => {
            inputs.iter().map(|input| Need { duplicates, ..all_of(input, ordered) }).collect()
        }
        LogicalPlan::With { definition, .. } => {
            vec![all_of(definition, true), Need { columns, exact, ordered, duplicates }]
        }
        LogicalPlan::Initial { queries, .. } => {
            let mut needs: Vec<Need> = queries.iter().map(|query| all_of(&query.plan, true)).collect();
            needs.push(Need { columns, exact, ordered, duplicates });
            needs
        }
        LogicalPlan::LockRows { targets, recheck, .. } => {
            for target in targets.iter() {
                add(&target.row_id, &mut columns);
                target.columns.iter().for_each(|(_, column)| add(column, &mut columns));
            }
            recheck.expressions().for_each(|expression| add(expression, &mut columns));
            let checked = of_recheck(recheck, &columns);
            let of_input = Need { columns, exact, ordered, duplicates: true };
            [of_input].into_iter().chain(checked).collect()
        }
        LogicalPlan::Update { input, recheck, .. } | LogicalPlan::Delete { input, recheck, .. } => {
            let of_input = all_of(input, true);
            let checked = of_recheck(recheck, &of_input.columns);
            [of_input].into_iter().chain(checked).collect()
        }
        other => other.inputs().into_iter().map(|input| all_of(input, true)).collect(),
    }
}

/// What is needed of a plan that checks a row again, where `columns` are those of the input that are.
fn of_recheck(recheck: &Recheck, columns: &ColumnSet) -> Option<Need> {
    let Recheck::Plan(recheck) = recheck else { return None };
    let outputs = recheck.outputs.iter().filter(|(original, _)| columns.contains(original));
    let columns = outputs.map(|(_, copy)| copy.id).collect();
    Some(Need { columns, exact: false, ordered: false, duplicates: false })
}

/// Keeps the projected columns that are used, and volatile ones.
fn keep_used(expressions: &mut Vec<Expression>, names: &mut Vec<OutputColumn>, used: &ColumnSet) {
    let keep: Vec<bool> = expressions
        .iter()
        .zip(names.iter())
        .map(|(expression, name)| used.contains(&name.id) || is_volatile(expression))
        .collect();
    let mut flags = keep.iter();
    expressions.retain(|_| flags.next().copied().unwrap_or(true));
    let mut flags = keep.iter();
    names.retain(|_| flags.next().copied().unwrap_or(true));
}

/// Aggregates whose result depends on the order of rows.
fn sees_order(function: &AggregateFunction) -> bool {
    !matches!(function.name, "count" | "sum" | "avg" | "min" | "max" | "bool_and" | "bool_or" | "every")
}

fn ignores_duplicates(call: &AggregateCall) -> bool {
    call.distinct || matches!(call.function.name, "min" | "max" | "bool_and" | "bool_or" | "every")
}

/// One step; whether something changed.
fn simplified(plan: &mut LogicalPlan, need: &Need) -> bool {
    match plan {
        LogicalPlan::Sort { input, keys } if !need.ordered || keys.is_empty() => *plan = take(input),
        LogicalPlan::Distinct { input } if !need.duplicates || !unique_keys(input).is_empty() => {
            *plan = take(input);
        }
        LogicalPlan::Project { input, expressions, columns } if !need.exact => {
            keep_used(expressions, columns, &need.columns);
            if !narrows(expressions, columns) {
                return false;
            }
            *plan = take(input);
        }
        LogicalPlan::Aggregate { input, groups, group_columns, aggregates } => {
            if groups.is_empty()
                && !need.exact
                && aggregates.iter().all(|call| !need.columns.contains(&call.output.id))
            {
                *plan = one_row();
                return true;
            }
            let unused = !need.exact && aggregates.iter().all(|call| !need.columns.contains(&call.output.id));
            let only_groups = aggregates.is_empty() || unused;
            if groups.is_empty() || !only_groups || (need.duplicates && !has_key(input, groups)) {
                return false;
            }
            let (expressions, columns) = (std::mem::take(groups), std::mem::take(group_columns));
            *plan = LogicalPlan::Project { input: Box::new(take(input)), expressions, columns };
        }
        LogicalPlan::Join { kind, left, right, condition } => {
            if !is_useless(kind, left, right, condition.as_ref(), need) {
                return false;
            }
            *plan = take(left);
        }
        _ => return false,
    }
    true
}

/// Whether a projection only leaves columns out.
fn narrows(expressions: &[Expression], columns: &[OutputColumn]) -> bool {
    columns
        .iter()
        .zip(expressions)
        .all(|(column, expression)| matches!(expression, Expression::Column { id, .. } if *id == column.id))
}

/// Whether no two rows of `input` have the same values of `groups`.
fn has_key(input: &LogicalPlan, groups: &[Expression]) -> bool {
    let grouped: ColumnSet = groups
        .iter()
        .filter_map(|group| match group {
            Expression::Column { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    unique_keys(input).iter().any(|key| key.iter().all(|id| grouped.contains(id)))
}

/// Whether a join puts out each left row once and nothing that is needed beside it.
fn is_useless(
    kind: &JoinKind,
    left: &LogicalPlan,
    right: &LogicalPlan,
    condition: Option<&Expression>,
    need: &Need,
) -> bool {
    match kind {
        JoinKind::Mark(mark) => !need.exact && !need.columns.contains(&mark.id),
        JoinKind::Left | JoinKind::Single => {
            let made = output_set(right);
            let unused = !need.exact && !made.iter().any(|id| need.columns.contains(id));
            let may_repeat = matches!(kind, JoinKind::Left) && !need.duplicates;
            // That a value nobody wants would come more than once is no error.
            let never_asked = matches!(kind, JoinKind::Single) && !plan_is_volatile(right);
            unused
                && (never_asked || may_repeat || at_most_one_row(right) || is_unique(left, right, condition))
        }
        _ => false,
    }
}

/// Whether the condition makes all columns of a key of `right` equal to left values.
fn is_unique(left: &LogicalPlan, right: &LogicalPlan, condition: Option<&Expression>) -> bool {
    let keys = unique_keys(right);
    let Some(condition) = condition else { return keys.iter().any(Vec::is_empty) };
    if keys.is_empty() {
        return false;
    }
    let mut terms = Vec::new();
    split_conjunction(condition.clone(), &mut terms);
    let of_left = output_set(left);
    let mut bound: Vec<ColumnId> = Vec::new();
    for term in &terms {
        let sides = match term {
            Expression::IsDistinct { left, right, negated: true } => Some((&**left, &**right)),
            term => equality(term),
        };
        let Some((one, other)) = sides else { continue };
        for (key, value) in [(one, other), (other, one)] {
            if let Expression::Column { id, .. } = key
                && expression_columns(value).iter().all(|id| of_left.contains(id))
            {
                bound.push(*id);
            }
        }
    }
    keys.iter().any(|key| key.iter().all(|id| bound.contains(id)))
}

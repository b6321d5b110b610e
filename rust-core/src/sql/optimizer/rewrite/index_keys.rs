//! Expressions that an index of a scanned table holds become columns of the scan, so that estimates, access paths, joins
//! and orders treat them as they treat columns. The scan's lowering puts the expression back wherever the index does
//! not answer for it.
//!
//! A column stands for its expression only where both have one value: not above what puts NULLs in the place of the
//! table's rows. And only where computing it for all rows of the scan cannot fail: the key of a partial index was
//! computed for the rows of the index alone, so the scan's conditions must imply the predicate.

use crate::error::Result;
use crate::sql::evaluate::fold::fold;
use crate::sql::optimizer::columns::substitute;
use crate::sql::optimizer::implication::implies;
use crate::sql::optimizer::rewrite::references::each_node;
use crate::sql::optimizer::rewrite::same::same;
use crate::sql::optimizer::rewrite::simplify::simplify;
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::table::layout::IndexKey;

/// An expression that an index holds.
#[derive(Clone)]
struct Key {
    /// The column that stands for it.
    column: Expression,
    /// Over the scan's columns.
    expression: Expression,
    /// The predicate of its partial index, where rows that it leaves out may come.
    predicate: Option<Expression>,
}

/// A computed value of a scan over the columns of that scan.
/// # Errors
/// None of its own.
pub(in crate::sql::optimizer) fn computed_over(
    computed: &Expression,
    columns: &[OutputColumn],
) -> Result<Expression> {
    let mut expression = computed.clone();
    to_columns(&mut expression, columns)?;
    Ok(expression)
}

fn to_columns(expression: &mut Expression, columns: &[OutputColumn]) -> Result<()> {
    if let Expression::Input { index, data_type } = expression {
        *expression = Expression::Column { id: columns[*index].id, data_type: *data_type };
        return Ok(());
    }
    expression.each_operand_mut(&mut |operand| to_columns(operand, columns))
}

/// Puts columns in the place of expressions that indexes hold.
/// # Errors
/// None of its own.
pub(super) fn use_keys(plan: &mut LogicalPlan) -> Result<()> {
    let mut any = false;
    each_node(plan, &mut |node| {
        any |= matches!(node, LogicalPlan::Scan { computed, .. } if !computed.is_empty());
    });
    if any { visit(plan).map(drop) } else { Ok(()) }
}

/// The keys whose columns what is above `plan` may use.
fn visit(plan: &mut LogicalPlan) -> Result<Vec<Key>> {
    let over_scan = plan.inputs().first().is_some_and(|input| is_over_scan(input));
    match plan {
        LogicalPlan::Scan { .. } => keys_of_scan(plan),
        LogicalPlan::Filter { input, predicate } => {
            let mut keys = visit(input)?;
            if is_filtered_scan(input) {
                // What is left of the filter is checked as it was written.
                let written = [predicate.clone()];
                for key in &mut keys {
                    key.predicate = key.predicate.take().filter(|predicate| !implies(&written, predicate));
                }
                replace(predicate, &keys)?;
            } else {
                replace_sides(predicate, &keys)?;
            }
            Ok(keys)
        }
        LogicalPlan::Join { .. } => join(plan),
        LogicalPlan::Sort { input, keys: order } => {
            let keys = visit(input)?;
            if over_scan {
                order.iter_mut().for_each(|key| replace_whole(&mut key.expression, &keys));
            }
            Ok(keys)
        }
        LogicalPlan::Limit { input, .. }
        | LogicalPlan::With { input, .. }
        | LogicalPlan::Initial { input, .. }
            if over_scan =>
        {
            visit(input)
        }
        LogicalPlan::Project { input, expressions, .. } => {
            let keys = visit(input)?;
            if over_scan {
                expressions.iter_mut().for_each(|expression| replace_whole(expression, &keys));
            }
            Ok(Vec::new())
        }
        LogicalPlan::Aggregate { input, groups, aggregates, .. } => {
            let keys = visit(input)?;
            if over_scan && groups.is_empty() && aggregates.len() == 1 {
                for call in aggregates.iter_mut().filter(|call| matches!(call.function.name, "min" | "max")) {
                    call.arguments.iter_mut().for_each(|argument| replace_whole(argument, &keys));
                }
            }
            Ok(Vec::new())
        }
        other => {
            for input in other.inputs_mut() {
                visit(input)?;
            }
            Ok(Vec::new())
        }
    }
}

#[inline(never)]
fn join(plan: &mut LogicalPlan) -> Result<Vec<Key>> {
    let LogicalPlan::Join { kind, left, right, condition } = plan else { return Ok(Vec::new()) };
    let left = visit(left)?;
    let right = visit(right)?;
    let both: Vec<Key> = left.iter().chain(&right).cloned().collect();
    if let Some(condition) = condition {
        replace_sides(condition, &both)?;
    }
    Ok(match kind {
        JoinKind::Inner => both,
        JoinKind::Left | JoinKind::Semi | JoinKind::Anti | JoinKind::Mark(_) | JoinKind::Single => left,
        JoinKind::Right => right,
        JoinKind::Full => Vec::new(),
    })
}

/// Folds what the scan's indexes compute as the statement's own expressions are folded. Equal keys get one column.
#[inline(never)]
fn keys_of_scan(plan: &mut LogicalPlan) -> Result<Vec<Key>> {
    let LogicalPlan::Scan { table, columns, computed, .. } = plan else { return Ok(Vec::new()) };
    if computed.is_empty() {
        return Ok(Vec::new());
    }
    let mut folded: Vec<Expression> = computed.iter().cloned().map(fold).collect();
    folded.iter_mut().try_for_each(simplify)?;
    let width = table.columns.len();
    for later in 1..folded.len() {
        if let Some(first) = (0..later).find(|first| same(&folded[*first], &folded[later])) {
            columns[width + later].id = columns[width + first].id;
        }
    }
    *computed = folded.into();
    let mut keys = Vec::new();
    for index in &table.layout.indexes {
        for part in &index.columns {
            let IndexKey::Computed(value) = part.key else { continue };
            let expression = computed_over(&computed[value], columns)?;
            if matches!(expression, Expression::Column { .. } | Expression::Constant { .. }) {
                continue;
            }
            let predicate = index.predicate.map(|value| computed_over(&computed[value], columns));
            let output = &columns[width + value];
            let column = Expression::Column { id: output.id, data_type: expression.data_type() };
            keys.push(Key { column, expression, predicate: predicate.transpose()? });
        }
    }
    Ok(keys)
}

/// Whether `plan` is a scan under filters, which check what the scan's index does not answer.
fn is_filtered_scan(mut plan: &LogicalPlan) -> bool {
    loop {
        match plan {
            LogicalPlan::Scan { .. } => return true,
            LogicalPlan::Filter { input, .. } => plan = input,
            _ => return false,
        }
    }
}

/// Whether the rows of `plan` are those of one scan: a key costs the same wherever it is computed.
fn is_over_scan(mut plan: &LogicalPlan) -> bool {
    loop {
        match plan {
            LogicalPlan::Scan { .. } => return true,
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. } => plan = input,
            _ => return false,
        }
    }
}

/// Replaces `expression` where it is computed for every row of the scan anyway.
fn replace_whole(expression: &mut Expression, keys: &[Key]) {
    let is_it = |key: &&Key| key.predicate.is_none() && same(&key.expression, expression);
    if let Some(key) = keys.iter().find(is_it) {
        *expression = key.column.clone();
    }
}

/// Replaces keys wherever they are in `expression`, the condition of a scan.
fn replace(expression: &mut Expression, keys: &[Key]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let before = matches!(expression, Expression::Column { .. } | Expression::Constant { .. });
    if before {
        return Ok(());
    }
    if let Some(key) = keys.iter().find(|key| same(&key.expression, expression)) {
        *expression = key.column.clone();
        return Ok(());
    }
    expression.each_operand_mut(&mut |operand| replace(operand, keys))
}

/// Replaces keys that are a whole side of a comparison.
fn replace_sides(predicate: &mut Expression, keys: &[Key]) -> Result<()> {
    match predicate {
        Expression::And(terms) => terms.iter_mut().try_for_each(|term| replace_sides(term, keys)),
        Expression::Call { function, arguments, .. }
            if matches!(function.name, "=" | "<" | "<=" | ">" | ">=") =>
        {
            arguments.iter_mut().for_each(|argument| replace_whole(argument, keys));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Puts the expressions back in the place of a scan's keys.
/// # Errors
/// None of its own.
pub(in crate::sql::optimizer) fn expanded(
    mut expression: Expression,
    table_columns: usize,
    columns: &[OutputColumn],
    computed: &[Expression],
) -> Result<Expression> {
    substitute(&mut expression, &|id| {
        let value = columns.iter().skip(table_columns).position(|column| column.id == id)?;
        computed_over(computed.get(value)?, columns).ok()
    })?;
    Ok(expression)
}

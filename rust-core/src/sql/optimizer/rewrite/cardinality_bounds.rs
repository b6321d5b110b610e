//! What is certain about a plan's rows whatever the data: at most one, exactly one, never NULL.

use crate::sql::functions::registry::AggregateFunction;
use crate::sql::optimizer::columns::{is_statement_constant, split_conjunction};
use crate::sql::optimizer::rewrite::references::{ColumnSet, expression_columns, output_set};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::types::datum::Datum;
use crate::table::layout::{IndexColumn, IndexKey};

/// Whether `plan` gives at most one row, for each row that its outside columns come from.
pub(super) fn at_most_one_row(plan: &LogicalPlan) -> bool {
    let mut bound = ColumnSet::new();
    let mut node = plan;
    loop {
        match node {
            LogicalPlan::Values { rows, .. } => return rows.len() <= 1,
            LogicalPlan::Aggregate { groups, group_columns, .. } => {
                return groups.is_empty() || group_columns.iter().all(|column| bound.contains(&column.id));
            }
            LogicalPlan::Limit { input, limit, ties, .. } => {
                if ties.is_empty()
                    && matches!(
                        limit,
                        Some(Expression::Constant { value: Datum::BigInt(count), .. }) if *count <= 1
                    )
                {
                    return true;
                }
                node = input;
            }
            LogicalPlan::Filter { input, predicate } => {
                add_bound_columns(predicate, &output_set(input), &mut bound);
                node = input;
            }
            LogicalPlan::Project { input, expressions, columns } => {
                for (column, expression) in columns.iter().zip(expressions) {
                    if let Expression::Column { id, .. } = expression
                        && bound.contains(&column.id)
                    {
                        bound.insert(*id);
                    }
                }
                node = input;
            }
            LogicalPlan::Sort { input, .. }
            | LogicalPlan::LockRows { input, .. }
            | LogicalPlan::With { input, .. }
            | LogicalPlan::Initial { input, .. } => node = input,
            LogicalPlan::Distinct { input } | LogicalPlan::DistinctOn { input, .. } => node = input,
            LogicalPlan::Join { kind: JoinKind::Semi | JoinKind::Anti | JoinKind::Mark(_), left, .. } => {
                node = left;
            }
            LogicalPlan::Scan { .. } => return unique_keys(node).iter().any(|key| is_subset(key, &bound)),
            _ => return false,
        }
    }
}

fn is_subset(key: &[ColumnId], of: &ColumnSet) -> bool {
    key.iter().all(|id| of.contains(id))
}

/// Adds the columns of `own` that `predicate` makes equal to one value that does not depend on `own`.
fn add_bound_columns(predicate: &Expression, own: &ColumnSet, bound: &mut ColumnSet) {
    let mut terms = Vec::new();
    split_conjunction(predicate.clone(), &mut terms);
    for term in &terms {
        let Some((left, right)) = equality(term) else { continue };
        for (one, other) in [(left, right), (right, left)] {
            if let Expression::Column { id, .. } = one
                && own.contains(id)
                && (is_statement_constant(other)
                    || expression_columns(other).iter().all(|id| !own.contains(id)))
            {
                bound.insert(*id);
            }
        }
    }
}

/// The sides of `left = right`.
pub(super) fn equality(term: &Expression) -> Option<(&Expression, &Expression)> {
    match term {
        Expression::Call { function, arguments, .. } if function.name == "=" => match arguments.as_slice() {
            [left, right] => Some((left, right)),
            _ => None,
        },
        _ => None,
    }
}

/// Sets of columns of which no two rows of `plan` have the same values, where NULL is a value like others.
pub(super) fn unique_keys(plan: &LogicalPlan) -> Vec<Vec<ColumnId>> {
    match plan {
        LogicalPlan::Scan { table, columns, row_id, .. } => {
            let mut keys: Vec<Vec<ColumnId>> = Vec::new();
            keys.extend(table.row_id_column().map(|column| vec![columns[column].id]));
            keys.extend(row_id.iter().map(|column| vec![column.id]));
            // Two rows outside of a partial index may be equal.
            for index in table.layout.indexes.iter().filter(|index| index.unique && index.predicate.is_none())
            {
                let not_null = |part: &IndexColumn| match part.key {
                    IndexKey::Column(column) if table.columns[column].not_null => Some(columns[column].id),
                    _ => None,
                };
                keys.extend(index.columns.iter().map(not_null).collect::<Option<Vec<_>>>());
            }
            keys
        }
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Sort { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::With { input, .. }
        | LogicalPlan::Initial { input, .. } => unique_keys(input),
        LogicalPlan::Join { kind: JoinKind::Semi | JoinKind::Anti | JoinKind::Mark(_), left, .. } => {
            unique_keys(left)
        }
        LogicalPlan::Project { input, expressions, columns } => {
            let name = |id: &ColumnId| {
                let is_it = |expression: &Expression| matches!(expression, Expression::Column { id: used, .. } if used == id);
                expressions
                    .iter()
                    .position(is_it)
                    .and_then(|index| columns.get(index))
                    .map(|column| column.id)
            };
            unique_keys(input).iter().filter_map(|key| key.iter().map(name).collect()).collect()
        }
        LogicalPlan::Aggregate { group_columns, .. } => {
            vec![group_columns.iter().map(|column| column.id).collect()]
        }
        LogicalPlan::Distinct { input } => {
            let mut keys = unique_keys(input);
            keys.push(input.output_columns().iter().map(|column| column.id).collect());
            keys
        }
        _ => Vec::new(),
    }
}

/// Whether `expression` is never NULL, where `not_null` are the columns that never are.
pub(super) fn never_null(expression: &Expression, not_null: &ColumnSet) -> bool {
    match expression {
        Expression::Constant { value, .. } => !value.is_null(),
        Expression::Column { id, .. } => not_null.contains(id),
        Expression::IsNull { .. } | Expression::IsTruth { .. } | Expression::IsDistinct { .. } => true,
        Expression::Cast { input, .. } | Expression::Not(input) => never_null(input, not_null),
        Expression::And(terms) | Expression::Or(terms) => terms.iter().all(|term| never_null(term, not_null)),
        Expression::Coalesce { arguments, .. } => {
            arguments.iter().any(|argument| never_null(argument, not_null))
        }
        Expression::InSet { input, has_null, .. } => !has_null && never_null(input, not_null),
        // A strict comparison gives a value for values.
        Expression::Call { function, arguments, .. } => {
            is_comparison(function.name)
                && function.strict
                && arguments.iter().all(|argument| never_null(argument, not_null))
        }
        _ => false,
    }
}

fn is_comparison(name: &str) -> bool {
    matches!(name, "=" | "<>" | "<" | "<=" | ">" | ">=")
}

/// Whether the aggregate gives a value for no rows: a count.
pub(super) fn counts(function: &AggregateFunction) -> bool {
    function.name == "count" || function.name == "regr_count"
}

/// The output columns of `plan` that are NULL in no row. Columns of outside are not among them.
pub(super) fn not_null_columns(plan: &LogicalPlan) -> ColumnSet {
    let mut columns = match plan {
        LogicalPlan::Scan { table, columns, row_id, .. } => {
            let declared = columns.iter().zip(&table.columns);
            declared
                .filter(|(_, definition)| definition.not_null)
                .map(|(column, _)| column.id)
                .chain(row_id.iter().map(|column| column.id))
                .collect()
        }
        LogicalPlan::Values { rows, columns } => {
            let nothing = ColumnSet::new();
            let never = |index: usize| {
                rows.iter().all(|row| row.get(index).is_some_and(|cell| never_null(cell, &nothing)))
            };
            (0..columns.len()).filter(|index| never(*index)).map(|index| columns[index].id).collect()
        }
        LogicalPlan::Project { input, expressions, columns } => {
            let below = not_null_columns(input);
            let pairs = columns.iter().zip(expressions);
            pairs.filter(|(_, value)| never_null(value, &below)).map(|(column, _)| column.id).collect()
        }
        LogicalPlan::Filter { input, predicate } => {
            let mut columns = not_null_columns(input);
            let mut terms = Vec::new();
            split_conjunction(predicate.clone(), &mut terms);
            terms.iter().for_each(|term| add_rejecting_null(term, &mut columns));
            columns
        }
        LogicalPlan::Aggregate { input, groups, group_columns, aggregates } => {
            let below = not_null_columns(input);
            let pairs = group_columns.iter().zip(groups);
            let keys = pairs.filter(|(_, group)| never_null(group, &below)).map(|(column, _)| column.id);
            let results = aggregates.iter().filter(|call| counts(call.function)).map(|call| call.output.id);
            keys.chain(results).collect()
        }
        LogicalPlan::Join { kind, left, right, condition } => {
            let mut columns = ColumnSet::new();
            if !matches!(kind, JoinKind::Right | JoinKind::Full) {
                columns.extend(not_null_columns(left));
            }
            if matches!(kind, JoinKind::Inner | JoinKind::Right) {
                columns.extend(not_null_columns(right));
            }
            if matches!(kind, JoinKind::Inner) {
                let mut terms = Vec::new();
                condition.iter().for_each(|condition| split_conjunction(condition.clone(), &mut terms));
                terms.iter().for_each(|term| add_rejecting_null(term, &mut columns));
            }
            columns
        }
        LogicalPlan::Distinct { input }
        | LogicalPlan::DistinctOn { input, .. }
        | LogicalPlan::Sort { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::LockRows { input, .. }
        | LogicalPlan::With { input, .. }
        | LogicalPlan::Initial { input, .. } => not_null_columns(input),
        LogicalPlan::Append { inputs, columns } => {
            let inputs: Vec<(Vec<OutputColumn>, ColumnSet)> =
                inputs.iter().map(|input| (input.output_columns(), not_null_columns(input))).collect();
            let never =
                |index: usize| inputs.iter().all(|(made, not_null)| not_null.contains(&made[index].id));
            (0..columns.len()).filter(|index| never(*index)).map(|index| columns[index].id).collect()
        }
        LogicalPlan::SetOperation { left, columns, .. } => {
            let (made, not_null) = (left.output_columns(), not_null_columns(left));
            let pairs = columns.iter().zip(&made);
            pairs.filter(|(_, made)| not_null.contains(&made.id)).map(|(column, _)| column.id).collect()
        }
        _ => ColumnSet::new(),
    };
    if let LogicalPlan::Join { kind: JoinKind::Inner, .. } | LogicalPlan::Filter { .. } = plan {
        let own = output_set(plan);
        columns.retain(|id| own.contains(id));
    }
    columns
}

/// Adds columns that are not NULL where `term` is true: plain operands of strict comparisons, and what IS NOT NULL tests.
fn add_rejecting_null(term: &Expression, out: &mut ColumnSet) {
    match term {
        Expression::Call { function, arguments, .. } if function.strict => {
            for argument in arguments {
                if let Expression::Column { id, .. } = argument {
                    out.insert(*id);
                }
            }
        }
        Expression::IsNull { input, negated: true } | Expression::InSet { input, .. } => {
            if let Expression::Column { id, .. } = &**input {
                out.insert(*id);
            }
        }
        _ => {}
    }
}

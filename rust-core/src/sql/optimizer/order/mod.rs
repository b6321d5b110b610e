//! Join order: every group of joins that can change places is taken apart into a graph, ordered by what its parts are
//! estimated to give and cost, and put together again. On the way what is known of every column is noted.

mod dphyp;
mod emit;
mod graph;
mod greedy;
mod region;
mod signature;

use crate::error::Result;
use crate::sql::optimizer::cardinality;
use crate::sql::optimizer::columns::without;
use crate::sql::optimizer::knowledge::Knowledge;
use crate::sql::optimizer::lowering::{is_equality, join_kind};
use crate::sql::plan::expression::{AggregateCall, ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{LogicalPlan, Recheck};
use crate::sql::types::datum::Datum;

/// Whether ordering has nothing to do in `plan`, nor to learn for the nodes above a scan.
pub(super) fn is_simple(mut plan: &LogicalPlan) -> bool {
    loop {
        match plan {
            LogicalPlan::Scan { .. } | LogicalPlan::Values { .. } | LogicalPlan::Supplied { .. } => {
                return true;
            }
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. } => plan = input,
            LogicalPlan::LockRows { recheck: Recheck::Plan(_), .. }
            | LogicalPlan::Update { recheck: Recheck::Plan(_), .. }
            | LogicalPlan::Delete { recheck: Recheck::Plan(_), .. } => return false,
            LogicalPlan::LockRows { input, .. }
            | LogicalPlan::Update { input, .. }
            | LogicalPlan::Delete { input, .. } => plan = input,
            LogicalPlan::Insert { input, conflict, .. } => {
                let update = conflict.as_ref().and_then(|conflict| conflict.update.as_ref());
                if update.is_some_and(|update| !is_simple(&update.values)) {
                    return false;
                }
                plan = input;
            }
            _ => return false,
        }
    }
}

/// Orders the joins in `plan`. Gives the rows that it puts out, about.
/// # Errors
/// `XX000` for a plan that contradicts itself.
pub(super) fn arrange(plan: &mut LogicalPlan, knowledge: &mut Knowledge<'_>) -> Result<f64> {
    match plan {
        LogicalPlan::Join { .. } | LogicalPlan::Filter { .. } if region::is_part(plan) => {
            region::arrange(plan, knowledge)
        }
        LogicalPlan::Join { .. } => fixed_join(plan, knowledge),
        LogicalPlan::Filter { input, predicate } => filter(input, predicate, knowledge),
        LogicalPlan::Scan { table, columns, row_id, .. } => {
            knowledge.learn_table(table, columns);
            let rows = columns
                .first()
                .and_then(|column| knowledge.column(column.id))
                .map_or_else(|| knowledge.table_rows(table), |facts| knowledge.relation(facts.relation).rows);
            if let Some(row_id) = row_id {
                knowledge.learn_made(rows, [(row_id.id, rows)], Vec::new());
            }
            Ok(rows)
        }
        LogicalPlan::Project { input, expressions, columns } => {
            let rows = arrange(input, knowledge)?;
            for (column, expression) in columns.iter().zip(expressions) {
                knowledge.learn_value(column.id, expression, rows);
            }
            Ok(rows)
        }
        LogicalPlan::Aggregate { input, groups, group_columns, aggregates } => {
            let rows = arrange(input, knowledge)?;
            Ok(learn_groups(groups, group_columns, aggregates, rows, knowledge))
        }
        LogicalPlan::Distinct { input } => {
            let rows = arrange(input, knowledge)?;
            Ok(distinct_rows(input, rows, knowledge))
        }
        LogicalPlan::DistinctOn { input, keys } => {
            let rows = arrange(input, knowledge)?;
            Ok(knowledge.group_count(&keys.iter().collect::<Vec<_>>(), rows))
        }
        LogicalPlan::Sort { input, .. } => arrange(input, knowledge),
        LogicalPlan::Limit { input, limit, .. } => {
            let rows = arrange(input, knowledge)?;
            Ok(match limit {
                Some(Expression::Constant { value: Datum::BigInt(count), .. }) => rows.min(*count as f64),
                Some(Expression::Constant { .. }) | None => rows,
                Some(_) => rows * cardinality::LIMIT_SHARE,
            })
        }
        LogicalPlan::Insert { input, conflict, .. } => {
            let rows = arrange(input, knowledge)?;
            if let Some(update) = conflict.as_mut().and_then(|conflict| conflict.update.as_mut()) {
                arrange(&mut update.values, knowledge)?;
            }
            Ok(rows)
        }
        LogicalPlan::LockRows { input, recheck, .. }
        | LogicalPlan::Update { input, recheck, .. }
        | LogicalPlan::Delete { input, recheck, .. } => {
            let rows = arrange(input, knowledge)?;
            if let Recheck::Plan(recheck) = recheck {
                arrange(&mut recheck.plan, knowledge)?;
            }
            Ok(rows)
        }
        several => several_inputs(several, knowledge),
    }
}

#[inline(never)]
fn several_inputs(plan: &mut LogicalPlan, knowledge: &mut Knowledge<'_>) -> Result<f64> {
    match plan {
        LogicalPlan::Append { inputs, columns } => {
            let mut rows = 0.0;
            for input in inputs {
                rows += arrange(input, knowledge)?;
            }
            made(rows, columns, knowledge);
            Ok(rows)
        }
        LogicalPlan::SetOperation { left, right, columns, .. } => {
            let rows = arrange(left, knowledge)?;
            let rows = (rows.min(arrange(right, knowledge)?) / 2.0).max(1.0);
            made(rows, columns, knowledge);
            Ok(rows)
        }
        LogicalPlan::With { id, definition, input, .. } => {
            let rows = arrange(definition, knowledge)?;
            let columns: Vec<ColumnId> = definition.output_columns().iter().map(|column| column.id).collect();
            knowledge.learn_common(*id, rows, &columns);
            arrange(input, knowledge)
        }
        LogicalPlan::CommonScan { id, columns, .. } => {
            Ok(knowledge.learn_common_scan(*id, columns).unwrap_or(cardinality::TABLE_ROWS_MIN))
        }
        LogicalPlan::RecursiveUnion { id, initial, recursive, columns, .. } => {
            let rows = arrange(initial, knowledge)?;
            let ids: Vec<ColumnId> = initial.output_columns().iter().map(|column| column.id).collect();
            knowledge.learn_common(*id, rows, &ids);
            arrange(recursive, knowledge)?;
            made(rows * cardinality::RECURSION_FACTOR, columns, knowledge);
            Ok(rows * cardinality::RECURSION_FACTOR)
        }
        LogicalPlan::Initial { queries, input } => {
            for query in queries {
                arrange(&mut query.plan, knowledge)?;
            }
            arrange(input, knowledge)
        }
        LogicalPlan::Values { rows, columns } => {
            made(rows.len() as f64, columns, knowledge);
            Ok(rows.len() as f64)
        }
        LogicalPlan::TableFunction { columns, .. } => {
            made(cardinality::TABLE_FUNCTION_ROWS, columns, knowledge);
            Ok(cardinality::TABLE_FUNCTION_ROWS)
        }
        LogicalPlan::Supplied { columns } => {
            made(cardinality::SUPPLIED_ROWS, columns, knowledge);
            Ok(cardinality::SUPPLIED_ROWS)
        }
        other => unreachable!("{other:?} has one input"),
    }
}

/// Notes columns that are all different in `rows` rows.
fn made(rows: f64, columns: &[OutputColumn], knowledge: &mut Knowledge<'_>) {
    knowledge.learn_made(rows, columns.iter().map(|column| (column.id, rows)), Vec::new());
}

/// Rows of an aggregation over `rows` rows, whose columns are noted.
pub(super) fn learn_groups(
    groups: &[Expression],
    group_columns: &[OutputColumn],
    aggregates: &[AggregateCall],
    rows: f64,
    knowledge: &mut Knowledge<'_>,
) -> f64 {
    let count = knowledge.group_count(&groups.iter().collect::<Vec<_>>(), rows);
    let mut columns: Vec<(ColumnId, f64)> = group_columns
        .iter()
        .zip(groups)
        .map(|(column, expression)| (column.id, knowledge.distinct(expression, rows).min(count)))
        .collect();
    let key: Vec<ColumnId> = columns.iter().map(|(id, _)| *id).collect();
    columns.extend(aggregates.iter().map(|aggregate| (aggregate.output.id, count)));
    knowledge.learn_made(count, columns, vec![key]);
    count
}

fn distinct_rows(input: &LogicalPlan, rows: f64, knowledge: &Knowledge<'_>) -> f64 {
    let columns = input.output_columns();
    let keys: Vec<Expression> = columns
        .iter()
        .map(|column| Expression::Column { id: column.id, data_type: column.sql_type.data_type })
        .collect();
    knowledge.group_count(&keys.iter().collect::<Vec<_>>(), rows)
}

#[inline(never)]
fn filter(input: &mut LogicalPlan, predicate: &Expression, knowledge: &mut Knowledge<'_>) -> Result<f64> {
    let rows = arrange(input, knowledge)?;
    let terms: Vec<&Expression> = match predicate {
        Expression::And(terms) => terms.iter().collect(),
        one => vec![one],
    };
    Ok(match input {
        LogicalPlan::Scan { columns, .. } => rows * knowledge.table_share(columns, &terms),
        _ => rows * knowledge.share_of_all(&terms),
    })
}

/// A full join, or one with a volatile condition, stays where it is: its inputs are ordered each by itself.
#[inline(never)]
fn fixed_join(plan: &mut LogicalPlan, knowledge: &mut Knowledge<'_>) -> Result<f64> {
    let LogicalPlan::Join { kind, left, right, condition } = plan else { return Ok(0.0) };
    let left_rows = arrange(left, knowledge)?;
    let right_rows = arrange(right, knowledge)?;
    let terms: Vec<&Expression> = match condition {
        Some(Expression::And(terms)) => terms.iter().collect(),
        other => other.iter().collect(),
    };
    // Which side of an equality is which makes no difference to what is estimated of it.
    let equalities: Vec<_> = terms.iter().filter_map(|term| is_equality(term)).collect();
    let rest: Vec<&Expression> = terms.iter().copied().filter(|term| is_equality(term).is_none()).collect();
    Ok(knowledge.join_rows(join_kind(kind), left_rows, right_rows, &equalities, &rest).output)
}

/// Takes a plan out of its place.
fn take(plan: &mut LogicalPlan) -> LogicalPlan {
    std::mem::replace(plan, without())
}

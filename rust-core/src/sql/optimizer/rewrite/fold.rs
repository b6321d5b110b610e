//! Constant folding over a whole plan.

use crate::sql::evaluate::fold::fold;
use crate::sql::plan::expression::{AggregateCall, Expression, SortKey};
use crate::sql::plan::logical::{BoundCheck, LogicalPlan, Returning};

fn fold_all(expressions: Vec<Expression>) -> Vec<Expression> {
    expressions.into_iter().map(fold).collect()
}

fn fold_checks(checks: Vec<BoundCheck>) -> Vec<BoundCheck> {
    checks.into_iter().map(|check| BoundCheck { condition: fold(check.condition), ..check }).collect()
}

fn fold_returning(returning: Option<Returning>) -> Option<Returning> {
    returning.map(|returning| Returning { expressions: fold_all(returning.expressions), ..returning })
}

fn fold_box(plan: LogicalPlan) -> Box<LogicalPlan> {
    Box::new(fold_plan(plan))
}

/// The plan with all its expressions folded.
pub(super) fn fold_plan(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Scan { .. } => plan,
        LogicalPlan::Values { rows, columns } => {
            LogicalPlan::Values { rows: rows.into_iter().map(fold_all).collect(), columns }
        }
        LogicalPlan::Filter { input, predicate } => {
            LogicalPlan::Filter { input: fold_box(*input), predicate: fold(predicate) }
        }
        LogicalPlan::Project { input, expressions, columns } => {
            LogicalPlan::Project { input: fold_box(*input), expressions: fold_all(expressions), columns }
        }
        LogicalPlan::Aggregate { input, groups, group_columns, aggregates } => LogicalPlan::Aggregate {
            input: fold_box(*input),
            groups: fold_all(groups),
            group_columns,
            aggregates: aggregates
                .into_iter()
                .map(|call| AggregateCall {
                    arguments: fold_all(call.arguments),
                    filter: call.filter.map(fold),
                    ..call
                })
                .collect(),
        },
        LogicalPlan::Distinct { input } => LogicalPlan::Distinct { input: fold_box(*input) },
        LogicalPlan::Sort { input, keys } => LogicalPlan::Sort {
            input: fold_box(*input),
            keys: keys
                .into_iter()
                .map(|key| SortKey { expression: fold(key.expression), ..key })
                .filter(|key| !matches!(key.expression, Expression::Constant { .. }))
                .collect(),
        },
        LogicalPlan::Limit { input, limit, offset } => {
            LogicalPlan::Limit { input: fold_box(*input), limit: limit.map(fold), offset: offset.map(fold) }
        }
        LogicalPlan::Insert { table, input, checks, new_columns, returning } => LogicalPlan::Insert {
            table,
            input: fold_box(*input),
            checks: fold_checks(checks),
            new_columns,
            returning: fold_returning(returning),
        },
        LogicalPlan::Update { table, input, old_columns, assignments, checks, new_columns, returning } => {
            LogicalPlan::Update {
                table,
                input: fold_box(*input),
                old_columns,
                assignments: assignments.into_iter().map(|(column, value)| (column, fold(value))).collect(),
                checks: fold_checks(checks),
                new_columns,
                returning: fold_returning(returning),
            }
        }
        LogicalPlan::Delete { table, input, old_columns, returning } => LogicalPlan::Delete {
            table,
            input: fold_box(*input),
            old_columns,
            returning: fold_returning(returning),
        },
    }
}

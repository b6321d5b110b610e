//! Right sides that have exactly one row for each left row, before their filters: an aggregate without groups, or no
//! FROM. They need no partner, so what is above the one row is computed above the join: that of an empty group as
//! well, and only where the expression that the subquery stands in asks for it.

use crate::error::Result;
use crate::sql::optimizer::rewrite::cardinality_bounds::counts;
use crate::sql::optimizer::rewrite::numbering::Numbering;
use crate::sql::optimizer::rewrite::references::{
    Replacements, boolean, column, narrowed, plan_uses_any, replace_columns, take, uses_any,
};
use crate::sql::optimizer::rewrite::unnest::domain::{self, Domain};
use crate::sql::optimizer::rewrite::unnest::pull_up::{self, Correlation, key_column};
use crate::sql::optimizer::rewrite::unnest::{Dependent, Peeled, all, join, known};
use crate::sql::plan::expression::{AggregateCall, Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;

/// Whether `base` has exactly one row, whatever the data.
pub(super) fn is_single_row(base: &LogicalPlan) -> bool {
    match base {
        LogicalPlan::Values { rows, .. } => rows.len() == 1,
        LogicalPlan::Aggregate { groups, .. } => groups.is_empty(),
        _ => false,
    }
}

/// The join over such a right side; `None`, with nothing changed, where it cannot be unnested.
pub(super) fn joined(
    dependent: &mut Dependent,
    mut top: Peeled,
    numbering: &mut Numbering,
) -> Result<Option<LogicalPlan>> {
    match take(&mut top.base) {
        LogicalPlan::Values { mut rows, columns } => {
            let Some(row) = rows.pop() else { return Ok(None) };
            let replacements = columns.iter().map(|column| column.id).zip(row).collect();
            top.replace(&replacements)?;
            let left = take(&mut dependent.left);
            let before = left.output_columns();
            above(dependent, left, before, top).map(Some)
        }
        LogicalPlan::Aggregate { input, aggregates, .. } => {
            let before = dependent.left.output_columns();
            top.replace(&of_empty_groups(&aggregates))?;
            if let Some(rows) = by_keys(dependent, &input, &aggregates, numbering)? {
                return above(dependent, rows, before, top).map(Some);
            }
            let Some(mut domain) = Domain::new(&dependent.left, &dependent.outer, numbering)? else {
                return Ok(None);
            };
            let Some((aggregate, keys)) = domain.aggregate(*input, aggregates, numbering)? else {
                return Ok(None);
            };
            let same = domain::same_values(&dependent.outer, &keys);
            let left = domain.left(take(&mut dependent.left), numbering);
            let rows = join(JoinKind::Left, left, aggregate, all(None, same));
            above(dependent, rows, before, top).map(|plan| Some(domain.around(plan)))
        }
        _ => Ok(None),
    }
}

/// What stands for the results of aggregates above an outer join: a count of nothing is 0.
pub(super) fn of_empty_groups(aggregates: &[AggregateCall]) -> Replacements {
    let count = aggregates.iter().filter(|call| counts(call.function));
    count.map(|call| (call.output.id, or_zero(&call.output))).collect()
}

fn or_zero(output: &OutputColumn) -> Expression {
    let zero = Expression::Constant { value: Datum::BigInt(0), data_type: DataType::BigInt };
    Expression::Coalesce { arguments: vec![column(output), zero], data_type: DataType::BigInt }
}

/// Left rows with their group, where equalities on top of the aggregate's input are all that correlates it.
fn by_keys(
    dependent: &mut Dependent,
    input: &LogicalPlan,
    aggregates: &[AggregateCall],
    numbering: &mut Numbering,
) -> Result<Option<LogicalPlan>> {
    let outer = &dependent.outer_set;
    let mut operands = aggregates.iter().flat_map(AggregateCall::operands);
    if operands.any(|operand| uses_any(operand, outer)) {
        return Ok(None);
    }
    let mut input = input.clone();
    let pulled = pull_up::pull(&mut input, outer, numbering)?;
    if plan_uses_any(&input, outer) {
        return Ok(None);
    }
    let Ok(correlations) = pulled
        .into_iter()
        .map(|term| Correlation::of(term, outer))
        .collect::<std::result::Result<Vec<_>, _>>()
    else {
        return Ok(None);
    };
    let (mut groups, mut group_columns, mut terms) = (Vec::new(), Vec::new(), Vec::new());
    for correlation in correlations {
        let key = key_column(&correlation, numbering);
        groups.push(correlation.inner().clone());
        group_columns.push(key.clone());
        terms.push(correlation.over(&key));
    }
    let kind = if groups.is_empty() { JoinKind::Inner } else { JoinKind::Left };
    let aggregates = aggregates.to_vec();
    let right = LogicalPlan::Aggregate { input: Box::new(input), groups, group_columns, aggregates };
    Ok(Some(join(kind, take(&mut dependent.left), right, all(None, terms))))
}

/// What the join's kind makes of `rows`: left rows with what the right side's one row is computed from.
fn above(
    dependent: &mut Dependent,
    rows: LogicalPlan,
    left_columns: Vec<OutputColumn>,
    top: Peeled,
) -> Result<LogicalPlan> {
    let mut condition = dependent.condition.take();
    let replacements = top.replacements();
    condition.iter_mut().try_for_each(|condition| replace_columns(condition, &replacements))?;
    let mut columns = left_columns;
    let mut expressions: Vec<Expression> = columns.iter().map(column).collect();
    match &dependent.kind {
        JoinKind::Inner => {
            let rows = filtered(rows, all(condition, top.tests));
            columns.extend(top.columns);
            expressions.extend(top.values);
            Ok(LogicalPlan::Project { input: Box::new(rows), expressions, columns })
        }
        JoinKind::Left | JoinKind::Single => {
            let matched = all(condition, top.tests);
            for (output, value) in top.columns.into_iter().zip(top.values) {
                let value = match &matched {
                    Some(matched) => Expression::Case {
                        branches: vec![(matched.clone(), value)],
                        otherwise: None,
                        data_type: output.sql_type.data_type,
                    },
                    None => value,
                };
                expressions.push(value);
                columns.push(OutputColumn { nullable: true, ..output });
            }
            Ok(LogicalPlan::Project { input: Box::new(rows), expressions, columns })
        }
        JoinKind::Semi => Ok(narrowed(filtered(rows, all(condition, top.tests)), columns)),
        JoinKind::Anti => {
            let unmatched = match all(condition, top.tests) {
                Some(matched) => Expression::IsTruth { input: Box::new(matched), truth: true, negated: true },
                None => boolean(false),
            };
            Ok(narrowed(filtered(rows, Some(unmatched)), columns))
        }
        JoinKind::Mark(mark) => {
            let tests = top.tests.into_iter().map(known).collect();
            columns.push(mark.clone());
            expressions.push(all(condition, tests).unwrap_or_else(|| boolean(true)));
            Ok(LogicalPlan::Project { input: Box::new(rows), expressions, columns })
        }
        JoinKind::Right | JoinKind::Full => {
            Err(crate::error::Error::internal("a dependent right or full join"))
        }
    }
}

fn filtered(input: LogicalPlan, predicate: Option<Expression>) -> LogicalPlan {
    match predicate {
        Some(predicate) => LogicalPlan::Filter { input: Box::new(input), predicate },
        None => input,
    }
}

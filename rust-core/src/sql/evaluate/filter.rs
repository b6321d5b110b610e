//! Filters: from a boolean expression to row numbers, without a boolean column where that is possible.
//! Knows selections. Operands of AND narrow the selection one after the other; OR looks only at rows not yet taken.

use crate::batch::column::{Column, ColumnData};
use crate::error::Result;
use crate::sql::evaluate::columns::{each_row, evaluate_rows, numbers, row_count, truth};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::functions::comparison::{self, Comparison};
use crate::sql::functions::registry::RowSet;
use crate::sql::plan::expression::Expression;
use crate::sql::types::data_type::DataType;
use std::sync::Arc;

/// The rows among `rows` for which `expression` is true.
pub(super) fn select(
    expression: &Expression,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Vec<u16>> {
    match expression {
        Expression::And(operands) => select_all(operands, columns, rows, context),
        Expression::Or(operands) => select_any(operands, columns, rows, context),
        Expression::Call { function, arguments, position } => {
            if let ([left, right], Some(comparison)) =
                (arguments.as_slice(), Comparison::from_symbol(function.name))
                && is_plain(function.arguments[0], function.arguments[1])
            {
                let left = evaluate_rows(left, columns, rows, context)?;
                let right = evaluate_rows(right, columns, rows, context)?;
                return comparison::select(comparison, &left, &right, rows)
                    .map_err(|error| error.at_if_unset(*position));
            }
            if let ([left, right], Some(comparison)) =
                (arguments.as_slice(), Comparison::from_symbol(function.name))
                && let [DataType::Date, DataType::Timestamp] | [DataType::Timestamp, DataType::Date] =
                    function.arguments
            {
                let left = evaluate_rows(left, columns, rows, context)?;
                let right = evaluate_rows(right, columns, rows, context)?;
                if let (Some(left), Some(right)) = (at_midnight(&left), at_midnight(&right)) {
                    return comparison::select(comparison, &left, &right, rows)
                        .map_err(|error| error.at_if_unset(*position));
                }
            }
            select_generic(expression, columns, rows, context)
        }
        Expression::IsNull { input, negated } => {
            let column = evaluate_rows(input, columns, rows, context)?;
            let mut selected = numbers(rows);
            selected.retain(|row| column.is_null(usize::from(*row)) != *negated);
            Ok(selected)
        }
        _ => select_generic(expression, columns, rows, context),
    }
}

/// Dates as their midnights, timestamps as they are; `None`: some date lies beyond the timestamps.
fn at_midnight(column: &Arc<Column>) -> Option<Arc<Column>> {
    const DAY_MICROS: i64 = 86_400_000_000;
    const DAYS_MAX: i32 = (i64::MAX / DAY_MICROS) as i32;
    let ColumnData::Int32(days) = &column.data else { return Some(Arc::clone(column)) };
    if days.iter().any(|days| !(-DAYS_MAX..=DAYS_MAX).contains(days)) {
        return None;
    }
    let micros = days.iter().map(|days| i64::from(*days) * DAY_MICROS).collect();
    Some(Arc::new(Column {
        data_type: DataType::Timestamp,
        form: column.form,
        rows: column.rows,
        data: ColumnData::Int64(micros),
        validity: column.validity.clone(),
    }))
}

/// Whether a comparison of these types needs nothing but the values (dates against timestamps need the zone).
fn is_plain(left: DataType, right: DataType) -> bool {
    left == right || (left.is_number() && right.is_number())
}

#[inline(never)]
fn select_all(
    operands: &[Expression],
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Vec<u16>> {
    // A NULL operand makes the conjunction not true, but PostgreSQL still runs the later operands there: they are
    // not run here, because a row that cannot pass need not be looked at.
    let count = row_count(rows);
    let mut selected: Option<Vec<u16>> = None;
    for operand in operands {
        let current = match &selected {
            Some(selected) if selected.is_empty() => break,
            Some(selected) => RowSet::Some(selected, count),
            None => rows,
        };
        selected = Some(select(operand, columns, current, context)?);
    }
    Ok(selected.unwrap_or_else(|| numbers(rows)))
}

#[inline(never)]
fn select_any(
    operands: &[Expression],
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Vec<u16>> {
    let count = row_count(rows);
    let mut remaining = numbers(rows);
    let mut selected: Vec<u16> = Vec::new();
    for operand in operands {
        if remaining.is_empty() {
            break;
        }
        let hits = select(operand, columns, RowSet::Some(&remaining, count), context)?;
        if hits.is_empty() {
            continue;
        }
        let mut next = hits.iter().peekable();
        remaining.retain(|row| next.next_if(|hit| *hit == row).is_none());
        selected.extend(hits);
    }
    selected.sort_unstable();
    Ok(selected)
}

#[inline(never)]
fn select_generic(
    expression: &Expression,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Vec<u16>> {
    let column = evaluate_rows(expression, columns, rows, context)?;
    if let (ColumnData::Boolean(bits), RowSet::All(_), false, None) =
        (&column.data, rows, column.is_constant(), &column.validity)
    {
        return Ok(bits.ones().map(|row| row as u16).collect());
    }
    let mut selected = Vec::with_capacity(row_count(rows));
    each_row(rows, |row| {
        if truth(&column, row) == Some(true) {
            selected.push(row as u16);
        }
    });
    Ok(selected)
}

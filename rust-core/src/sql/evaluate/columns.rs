//! Expressions over batches, a column at a time; only selected rows are computed.
//!
//! AND, OR, CASE and COALESCE narrow the rows from operand to operand, so a later operand is computed only where
//! an earlier one has not decided. Filters write row numbers directly where they can ([`crate::sql::evaluate::filter`]).

use crate::batch::batch::{Batch, Selection};
use crate::batch::builder::ColumnBuilder;
use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::validity::Bitmap;
use crate::error::{Error, Result};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::filter::select;
use crate::sql::evaluate::row::{in_set, is_relabel, result_type, unplanned_column, unplanned_subquery};
use crate::sql::functions::long_values::LongValues;
use crate::sql::functions::registry::{RowSet, ScalarFunction};
use crate::sql::plan::expression::Expression;
use crate::sql::types::cast;
use crate::sql::types::compare::equal;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::sql::types::text::trim_blank_bytes;
use smallvec::SmallVec;
use std::sync::Arc;

/// A set of so many values is gone through one by one.
const SET_LOOP_MAX: usize = 8;

/// The expression's values for the selected rows of `batch`; other slots hold anything valid.
/// # Errors
/// Whatever the functions raise, with the operator's position.
pub fn evaluate(
    expression: &Expression,
    batch: &Batch,
    context: &EvaluationContext<'_>,
) -> Result<Arc<Column>> {
    evaluate_rows(expression, &batch.columns, row_set(batch), context)
}

/// Narrows the selection of `batch` to the rows for which the boolean `expression` is true.
/// # Errors
/// Whatever the functions raise, with the operator's position; the selection is then unchanged.
pub fn filter(expression: &Expression, batch: &mut Batch, context: &EvaluationContext<'_>) -> Result<()> {
    let selected = select(expression, &batch.columns, row_set(batch), context)?;
    if selected.len() < batch.rows {
        batch.selection = Some(Selection(selected));
    }
    Ok(())
}

/// The selected rows of a batch.
pub fn row_set(batch: &Batch) -> RowSet<'_> {
    match &batch.selection {
        Some(selection) => RowSet::Some(&selection.0, batch.rows),
        None => RowSet::All(batch.rows),
    }
}

pub(super) fn row_count(rows: RowSet<'_>) -> usize {
    match rows {
        RowSet::All(count) | RowSet::Some(_, count) => count,
    }
}

/// The numbers of the rows.
pub(super) fn numbers(rows: RowSet<'_>) -> Vec<u16> {
    match rows {
        RowSet::All(count) => (0..count).map(|row| row as u16).collect(),
        RowSet::Some(chosen, _) => chosen.to_vec(),
    }
}

#[inline]
pub(super) fn each_row(rows: RowSet<'_>, mut body: impl FnMut(usize)) {
    match rows {
        RowSet::All(count) => (0..count).for_each(body),
        RowSet::Some(chosen, _) => chosen.iter().for_each(|row| body(usize::from(*row))),
    }
}

/// The expression's values for `rows` of `columns`.
/// # Errors
/// Whatever the functions raise, with the operator's position.
pub fn evaluate_rows(
    expression: &Expression,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Arc<Column>> {
    // One small frame a level of nesting: every arm is a function of its own.
    match expression {
        Expression::Input { index, .. } => match columns.get(*index) {
            Some(column) => Ok(Arc::clone(column)),
            None => Err(Error::internal(format!("input {index} of an expression is not in the batch"))),
        },
        Expression::Constant { value, data_type } => constant(value, *data_type, rows),
        Expression::Parameter { index, data_type } => {
            constant(context.parameter_value(*index)?, *data_type, rows)
        }
        Expression::Call { function, arguments, position } => {
            call(function, arguments, *position, columns, rows, context)
        }
        Expression::And(operands) => logical(operands, false, columns, rows, context),
        Expression::Or(operands) => logical(operands, true, columns, rows, context),
        Expression::Cast { input, target, explicit, position } => {
            let source = evaluate_rows(input, columns, rows, context)?;
            cast_column(&source, result_type(input), *target, *explicit, rows, context)
                .map_err(|error| error.at_if_unset(*position))
        }
        Expression::Not(input) => negate(&evaluate_rows(input, columns, rows, context)?),
        Expression::IsNull { input, negated } => {
            is_null(&evaluate_rows(input, columns, rows, context)?, *negated, rows)
        }
        Expression::IsTruth { input, truth, negated } => {
            is_truth(&evaluate_rows(input, columns, rows, context)?, *truth, *negated, rows)
        }
        Expression::IsDistinct { left, right, negated } => {
            let data_type = result_type(left);
            let left = evaluate_rows(left, columns, rows, context)?;
            is_distinct(&left, &evaluate_rows(right, columns, rows, context)?, data_type, *negated, rows)
        }
        Expression::Case { branches, otherwise, data_type } => {
            case(branches, otherwise.as_deref(), *data_type, columns, rows, context)
        }
        Expression::Coalesce { arguments, data_type } => {
            coalesce(arguments, *data_type, columns, rows, context)
        }
        Expression::NullIf { left, equal, .. } => {
            let equal = evaluate_rows(equal, columns, rows, context)?;
            null_where(&evaluate_rows(left, columns, rows, context)?, &equal, rows)
        }
        Expression::InSet { input, values, has_null, negated } => {
            let column = evaluate_rows(input, columns, rows, context)?;
            in_set_column(&column, values, *has_null, *negated, result_type(input), rows)
        }
        Expression::Column { id, .. } => Err(unplanned_column(id.0)),
        Expression::Subquery(_) => Err(unplanned_subquery()),
    }
}

#[inline(never)]
fn constant(value: &Datum, data_type: DataType, rows: RowSet<'_>) -> Result<Arc<Column>> {
    Ok(Arc::new(Column::constant_of(data_type, value, row_count(rows))))
}

#[inline(never)]
fn call(
    function: &'static ScalarFunction,
    arguments: &[Expression],
    position: usize,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Arc<Column>> {
    let mut values: SmallVec<[Arc<Column>; 4]> = SmallVec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(evaluate_rows(argument, columns, rows, context)?);
    }
    match (function.vector)(&values, rows, context.environment) {
        Ok(column) => Ok(Arc::new(column)),
        Err(error) => Err(error.at_if_unset(position)),
    }
}

/// The value of a boolean column at a row; `None`: NULL.
#[inline]
pub(super) fn truth(column: &Column, row: usize) -> Option<bool> {
    match &column.data {
        ColumnData::Boolean(bits) => {
            let slot = column.slot(row);
            match &column.validity {
                Some(validity) if !validity.get(slot) => None,
                _ => Some(bits.get(slot)),
            }
        }
        _ => None,
    }
}

fn boolean_column(bits: Bitmap, validity: Option<Bitmap>) -> Arc<Column> {
    Arc::new(Column::flat(DataType::Boolean, ColumnData::Boolean(bits), validity))
}

/// AND (decided by false) or OR (decided by true), operand by operand over the rows that are still undecided.
#[inline(never)]
fn logical(
    operands: &[Expression],
    decisive: bool,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Arc<Column>> {
    let count = row_count(rows);
    let mut bits = Bitmap::filled(count, !decisive);
    let mut known: Option<Bitmap> = None;
    let mut remaining = numbers(rows);
    for operand in operands {
        if remaining.is_empty() {
            break;
        }
        let column = evaluate_rows(operand, columns, RowSet::Some(&remaining, count), context)?;
        remaining.retain(|row| {
            let row = usize::from(*row);
            match truth(&column, row) {
                Some(value) if value == decisive => {
                    bits.set(row, decisive);
                    if let Some(known) = &mut known {
                        known.set(row, true);
                    }
                    return false;
                }
                Some(_) => {}
                None => known.get_or_insert_with(|| Bitmap::filled(count, true)).set(row, false),
            }
            true
        });
    }
    Ok(boolean_column(bits, known))
}

fn negate(column: &Arc<Column>) -> Result<Arc<Column>> {
    let data = match &column.data {
        ColumnData::Boolean(bits) => ColumnData::Boolean(bits.not()),
        other => other.clone(),
    };
    Ok(Arc::new(Column {
        data_type: DataType::Boolean,
        form: column.form,
        rows: column.rows,
        data,
        validity: column.validity.clone(),
    }))
}

fn is_null(column: &Arc<Column>, negated: bool, rows: RowSet<'_>) -> Result<Arc<Column>> {
    let count = row_count(rows);
    let bits = match (&column.validity, column.form) {
        (Some(valid), ColumnForm::Flat) if !matches!(column.data, ColumnData::Null) => {
            if negated {
                valid.clone()
            } else {
                valid.not()
            }
        }
        _ => Bitmap::filled(count, (count > 0 && column.is_null(0)) != negated),
    };
    Ok(boolean_column(bits, None))
}

fn is_truth(column: &Arc<Column>, wanted: bool, negated: bool, rows: RowSet<'_>) -> Result<Arc<Column>> {
    let mut bits = Bitmap::filled(row_count(rows), false);
    each_row(rows, |row| bits.set(row, (truth(column, row) == Some(wanted)) != negated));
    Ok(boolean_column(bits, None))
}

fn is_distinct(
    left: &Arc<Column>,
    right: &Arc<Column>,
    data_type: DataType,
    negated: bool,
    rows: RowSet<'_>,
) -> Result<Arc<Column>> {
    let mut bits = Bitmap::filled(row_count(rows), false);
    each_row(rows, |row| bits.set(row, equal(left.datum(row), right.datum(row), data_type) == negated));
    Ok(boolean_column(bits, None))
}

/// Parts of a result: which rows come from which column.
#[derive(Default)]
struct Pieces(Vec<(Vec<u16>, Arc<Column>)>);

impl Pieces {
    fn push(&mut self, rows: Vec<u16>, column: Arc<Column>) {
        if !rows.is_empty() {
            self.0.push((rows, column));
        }
    }

    /// One column; rows of no piece are NULL.
    fn join(mut self, data_type: DataType, rows: RowSet<'_>) -> Arc<Column> {
        let wanted = match rows {
            RowSet::All(count) => count,
            RowSet::Some(chosen, _) => chosen.len(),
        };
        if self.0.len() == 1 && self.0[0].0.len() == wanted {
            return self.0.remove(0).1;
        }
        let count = row_count(rows);
        const NONE: u16 = u16::MAX;
        let mut source = vec![NONE; count];
        for (piece, (rows, _)) in self.0.iter().enumerate() {
            for row in rows {
                source[usize::from(*row)] = piece as u16;
            }
        }
        let mut builder = ColumnBuilder::new(SqlType::plain(data_type), count);
        for (row, piece) in source.iter().enumerate() {
            match self.0.get(usize::from(*piece)) {
                Some((_, column)) => builder.append(column, row),
                None => builder.push_null(),
            }
        }
        Arc::new(builder.finish())
    }
}

#[inline(never)]
fn case(
    branches: &[(Expression, Expression)],
    otherwise: Option<&Expression>,
    data_type: DataType,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Arc<Column>> {
    let count = row_count(rows);
    let mut pieces = Pieces::default();
    let mut remaining = numbers(rows);
    for (condition, result) in branches {
        if remaining.is_empty() {
            break;
        }
        let decision = evaluate_rows(condition, columns, RowSet::Some(&remaining, count), context)?;
        let (chosen, rest): (Vec<u16>, Vec<u16>) =
            remaining.iter().partition(|row| truth(&decision, usize::from(**row)) == Some(true));
        remaining = rest;
        if !chosen.is_empty() {
            let column = evaluate_rows(result, columns, RowSet::Some(&chosen, count), context)?;
            pieces.push(chosen, column);
        }
    }
    if let (Some(otherwise), false) = (otherwise, remaining.is_empty()) {
        let column = evaluate_rows(otherwise, columns, RowSet::Some(&remaining, count), context)?;
        pieces.push(remaining, column);
    }
    Ok(pieces.join(data_type, rows))
}

#[inline(never)]
fn coalesce(
    arguments: &[Expression],
    data_type: DataType,
    columns: &[Arc<Column>],
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Arc<Column>> {
    let count = row_count(rows);
    let mut pieces = Pieces::default();
    let mut remaining = numbers(rows);
    for argument in arguments {
        if remaining.is_empty() {
            break;
        }
        let column = evaluate_rows(argument, columns, RowSet::Some(&remaining, count), context)?;
        let (rest, chosen): (Vec<u16>, Vec<u16>) =
            remaining.iter().partition(|row| column.is_null(usize::from(**row)));
        remaining = rest;
        pieces.push(chosen, column);
    }
    Ok(pieces.join(data_type, rows))
}

#[inline(never)]
fn null_where(column: &Arc<Column>, condition: &Column, rows: RowSet<'_>) -> Result<Arc<Column>> {
    let mut hits = Vec::new();
    each_row(rows, |row| {
        if truth(condition, row) == Some(true) {
            hits.push(row);
        }
    });
    if hits.is_empty() {
        return Ok(Arc::clone(column));
    }
    let mut result = column.flatten();
    let validity = result.validity.get_or_insert_with(|| Bitmap::filled(result.rows, true));
    hits.iter().for_each(|row| validity.set(*row, false));
    Ok(Arc::new(result))
}

#[inline(never)]
fn in_set_column(
    column: &Column,
    values: &[Datum],
    has_null: bool,
    negated: bool,
    data_type: DataType,
    rows: RowSet<'_>,
) -> Result<Arc<Column>> {
    let count = row_count(rows);
    let mut bits = Bitmap::filled(count, false);
    let mut known: Option<Bitmap> = None;
    let mut decide = |row: usize, found: Option<bool>| match found {
        Some(found) => bits.set(row, found != negated),
        None => known.get_or_insert_with(|| Bitmap::filled(count, true)).set(row, false),
    };
    let outcome = |found: bool| if !found && has_null { None } else { Some(found) };
    match &column.data {
        ColumnData::Strings(strings) => {
            let trimmed = |bytes| if data_type == DataType::Char { trim_blank_bytes(bytes) } else { bytes };
            let set: Vec<&[u8]> = values
                .iter()
                .filter_map(|value| match value {
                    Datum::Text(text) => Some(trimmed(text.as_bytes())),
                    Datum::Bytes(bytes) => Some(&**bytes),
                    _ => None,
                })
                .collect();
            each_row(rows, |row| {
                let found = (!column.is_null(row)).then(|| {
                    let bytes = trimmed(strings.get(column.slot(row)));
                    match set.len() {
                        0..=SET_LOOP_MAX => set.contains(&bytes),
                        _ => set.binary_search(&bytes).is_ok(),
                    }
                });
                decide(row, found.and_then(outcome));
            });
        }
        ColumnData::Int32(numbers) => {
            let set: Vec<i32> = values
                .iter()
                .filter_map(|value| match value {
                    Datum::Integer(number) | Datum::Date(number) => Some(*number),
                    _ => None,
                })
                .collect();
            each_row(rows, |row| {
                let found = (!column.is_null(row)).then(|| {
                    let number = numbers[column.slot(row)];
                    match set.len() {
                        0..=SET_LOOP_MAX => set.contains(&number),
                        _ => set.binary_search(&number).is_ok(),
                    }
                });
                decide(row, found.and_then(outcome));
            });
        }
        _ => each_row(rows, |row| decide(row, in_set(column.datum(row), values, has_null, data_type))),
    }
    Ok(boolean_column(bits, known))
}

/// Converts a column; widening numbers and changing a string's type name are loops without a call a row.
#[inline(never)]
pub(super) fn cast_column(
    column: &Arc<Column>,
    source: DataType,
    target: SqlType,
    explicit: bool,
    rows: RowSet<'_>,
    context: &EvaluationContext<'_>,
) -> Result<Arc<Column>> {
    if is_relabel(source, target) {
        if column.data_type == target.data_type {
            return Ok(Arc::clone(column));
        }
        return Ok(Arc::new(Column { data_type: target.data_type, ..Column::clone(column) }));
    }
    let count = row_count(rows);
    if matches!(column.data, ColumnData::Null) {
        return Ok(Arc::new(Column::null(target.data_type, count)));
    }
    if let Some(data) = widened(&column.data, source, target) {
        let (form, validity) = (column.form, column.validity.clone());
        return Ok(Arc::new(Column { data_type: target.data_type, form, rows: column.rows, data, validity }));
    }
    let environment = context.cast_environment();
    if column.is_constant() {
        let empty = matches!(rows, RowSet::Some([], _) | RowSet::All(0));
        let value = if empty {
            Datum::Null
        } else {
            match column.datum(0) {
                DatumRef::Null => Datum::Null,
                value => cast::cast(value, source, target, explicit, &environment)?,
            }
        };
        let mut column = Column::constant_of(target.data_type, &value, count);
        let mut long = LongValues::new(context.environment);
        long.add(value.as_ref().long_bytes())?;
        column.data = long.held_by(column.data)?;
        return Ok(Arc::new(column));
    }
    let mut long = LongValues::new(context.environment);
    let mut builder = ColumnBuilder::new(SqlType::plain(target.data_type), count);
    let mut step = |row: usize, wanted: bool| -> Result<()> {
        match column.datum(row) {
            DatumRef::Null => builder.push_null(),
            _ if !wanted => builder.push_null(),
            value => {
                let value = cast::cast(value, source, target, explicit, &environment)?;
                long.add(value.as_ref().long_bytes())?;
                builder.push_datum(value.as_ref());
            }
        }
        Ok(())
    };
    match rows {
        RowSet::All(count) => (0..count).try_for_each(|row| step(row, true))?,
        RowSet::Some(chosen, count) => {
            let mut next = chosen.iter().peekable();
            for row in 0..count {
                let wanted = next.next_if(|chosen| usize::from(**chosen) == row).is_some();
                step(row, wanted)?;
            }
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// Conversions that cannot fail and need no look at single values.
fn widened(data: &ColumnData, source: DataType, target: SqlType) -> Option<ColumnData> {
    use DataType as T;
    if target.modifier >= 0 {
        return None;
    }
    Some(match (data, source, target.data_type) {
        (ColumnData::Int16(v), T::SmallInt, T::Integer) => {
            ColumnData::Int32(v.iter().map(|x| i32::from(*x)).collect())
        }
        (ColumnData::Int16(v), T::SmallInt, T::BigInt) => {
            ColumnData::Int64(v.iter().map(|x| i64::from(*x)).collect())
        }
        (ColumnData::Int32(v), T::Integer, T::BigInt) => {
            ColumnData::Int64(v.iter().map(|x| i64::from(*x)).collect())
        }
        (ColumnData::Int16(v), T::SmallInt, T::Double) => {
            ColumnData::Float64(v.iter().map(|x| f64::from(*x)).collect())
        }
        (ColumnData::Int32(v), T::Integer, T::Double) => {
            ColumnData::Float64(v.iter().map(|x| f64::from(*x)).collect())
        }
        (ColumnData::Int64(v), T::BigInt, T::Double) => {
            ColumnData::Float64(v.iter().map(|x| *x as f64).collect())
        }
        (ColumnData::Float32(v), T::Real, T::Double) => {
            ColumnData::Float64(v.iter().map(|x| f64::from(*x)).collect())
        }
        (ColumnData::Int16(v), T::SmallInt, T::Numeric) => {
            ColumnData::Decimal64 { values: v.iter().map(|x| i64::from(*x)).collect(), scale: 0 }
        }
        (ColumnData::Int32(v), T::Integer, T::Numeric) => {
            ColumnData::Decimal64 { values: v.iter().map(|x| i64::from(*x)).collect(), scale: 0 }
        }
        (ColumnData::Int64(v), T::BigInt, T::Numeric) => {
            ColumnData::Decimal64 { values: v.clone(), scale: 0 }
        }
        _ => return None,
    })
}

//! Casts of whole columns: the same results as [`crate::sql::types::cast::cast`], faster where types allow.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::validity::Bitmap;
use crate::error::Result;
use crate::sql::types::cast::{CastEnvironment, cast};
use crate::sql::types::data_type::{DataType, SqlType};

/// Converts the rows `rows` (all when `None`) of `column` to `target`; the other rows of the result are NULL or
/// anything valid, and never raise an error.
/// # Errors
/// As [`cast`]; the first row in order that fails decides.
pub fn cast_column(
    column: &Column,
    target: SqlType,
    explicit: bool,
    rows: Option<&[u16]>,
    environment: &CastEnvironment<'_>,
) -> Result<Column> {
    if matches!(column.data, ColumnData::Null) {
        return Ok(Column::null(target.data_type, column.rows));
    }
    if column.form == ColumnForm::Constant {
        let value = cast(column.datum(0), column.data_type, target, explicit, environment)?;
        return Ok(Column::constant(target.data_type, value.as_ref(), column.rows));
    }
    if let Some(data) = widened(&column.data, column.data_type, target) {
        return Ok(Column { data_type: target.data_type, data, ..shell(column) });
    }
    let mut builder = ColumnBuilder::new(target, column.rows);
    let convert = |builder: &mut ColumnBuilder, row: usize| -> Result<()> {
        if column.is_null(row) {
            builder.push_null();
        } else {
            let value = cast(column.datum(row), column.data_type, target, explicit, environment)?;
            builder.push_datum(value.as_ref());
        }
        Ok(())
    };
    match rows {
        None => (0..column.rows).try_for_each(|row| convert(&mut builder, row))?,
        Some(rows) => {
            for row in rows {
                let row = usize::from(*row);
                if builder.len() < row {
                    builder.push_nulls(row - builder.len());
                }
                convert(&mut builder, row)?;
            }
            builder.push_nulls_to(column.rows);
        }
    }
    Ok(builder.finish())
}

/// The column without its values.
fn shell(column: &Column) -> Column {
    Column {
        data_type: column.data_type,
        form: column.form,
        rows: column.rows,
        data: ColumnData::Null,
        validity: column.validity.clone(),
    }
}

/// Conversions that cannot fail and need no value by value decision.
fn widened(data: &ColumnData, from: DataType, target: SqlType) -> Option<ColumnData> {
    let to = target.data_type;
    if from == to && target.modifier < 0 {
        return Some(data.clone());
    }
    if from.is_string() && matches!(to, DataType::Text) && from != DataType::Char
        || from.is_string() && to == DataType::Varchar && target.modifier < 0 && from != DataType::Char
    {
        return Some(data.clone());
    }
    Some(match (data, to) {
        (ColumnData::Int16(v), DataType::Integer) => {
            ColumnData::Int32(v.iter().map(|v| i32::from(*v)).collect())
        }
        (ColumnData::Int16(v), DataType::BigInt) => {
            ColumnData::Int64(v.iter().map(|v| i64::from(*v)).collect())
        }
        (ColumnData::Int16(v), DataType::Real) => {
            ColumnData::Float32(v.iter().map(|v| f32::from(*v)).collect())
        }
        (ColumnData::Int16(v), DataType::Double) => {
            ColumnData::Float64(v.iter().map(|v| f64::from(*v)).collect())
        }
        (ColumnData::Int32(v), DataType::BigInt) if from == DataType::Integer => {
            ColumnData::Int64(v.iter().map(|v| i64::from(*v)).collect())
        }
        (ColumnData::Int32(v), DataType::Real) => ColumnData::Float32(v.iter().map(|v| *v as f32).collect()),
        (ColumnData::Int32(v), DataType::Double) => {
            ColumnData::Float64(v.iter().map(|v| f64::from(*v)).collect())
        }
        (ColumnData::Int64(v), DataType::Real) if from == DataType::BigInt => {
            ColumnData::Float32(v.iter().map(|v| *v as f32).collect())
        }
        (ColumnData::Int64(v), DataType::Double) if from == DataType::BigInt => {
            ColumnData::Float64(v.iter().map(|v| *v as f64).collect())
        }
        (ColumnData::Float32(v), DataType::Double) => {
            ColumnData::Float64(v.iter().map(|v| f64::from(*v)).collect())
        }
        (ColumnData::Int16(v), DataType::Numeric) if target.modifier < 0 => {
            ColumnData::Decimal64 { values: v.iter().map(|v| i64::from(*v)).collect(), scale: 0 }
        }
        (ColumnData::Int32(v), DataType::Numeric) if target.modifier < 0 => {
            ColumnData::Decimal64 { values: v.iter().map(|v| i64::from(*v)).collect(), scale: 0 }
        }
        (ColumnData::Int64(v), DataType::Numeric) if target.modifier < 0 => {
            ColumnData::Decimal64 { values: v.clone(), scale: 0 }
        }
        (ColumnData::Int32(v), DataType::Boolean) if from == DataType::Integer => {
            ColumnData::Boolean(Bitmap::from_fn(v.len(), |row| v[row] != 0))
        }
        _ => return None,
    })
}

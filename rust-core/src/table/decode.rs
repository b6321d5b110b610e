//! Rows of a leaf into the columns of a batch: one pass a column, specialised by type outside the loop.
//! Knows rows and column builders. Knows nothing of trees or transactions.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::error::{Error, Result};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::table::part::{ColumnPart, PartValue, Wanted};
use crate::table::row::{
    LargePointer, Physical, RowFormat, RowView, damaged_row, decimal64_value, fixed, is_special_decimal,
    read_interval, read_numeric,
};

/// A fetched value of so many bytes is not copied into the others'.
const OWN_BUFFER_BYTES: usize = 64 << 10;

/// A value that must be fetched before the batch is whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingValue {
    /// Position among the wanted columns.
    pub(super) output: usize,
    /// Row of the batch.
    pub(super) row: usize,
    /// Where it is.
    pub(super) pointer: LargePointer,
    /// What of it is wanted; `None`: all.
    pub(super) part: Option<ColumnPart>,
}

/// The wanted columns of rows, being collected.
#[derive(Debug)]
pub(super) struct RowCollector {
    pub(super) builders: Vec<ColumnBuilder>,
    /// Row ids, where they are wanted.
    pub(super) row_ids: Option<ColumnBuilder>,
    pub(super) pending: Vec<PendingValue>,
    pub(super) rows: usize,
}

impl RowCollector {
    pub(super) fn new(types: &[SqlType], wanted: &Wanted, capacity: usize) -> RowCollector {
        RowCollector::reusing(types, wanted, capacity, std::iter::empty())
    }

    /// As [`RowCollector::new`], in the memory of columns that nobody reads any more.
    pub(super) fn reusing(
        types: &[SqlType],
        wanted: &Wanted,
        capacity: usize,
        mut used: impl Iterator<Item = Option<Column>>,
    ) -> RowCollector {
        let mut builder = |sql_type| match used.next().flatten() {
            Some(column) => ColumnBuilder::reusing(sql_type, capacity, column),
            None => ColumnBuilder::new(sql_type, capacity),
        };
        RowCollector {
            builders: wanted.types(types).map(&mut builder).collect(),
            row_ids: wanted.row_id.then(|| builder(SqlType::plain(DataType::BigInt))),
            pending: Vec::new(),
            rows: 0,
        }
    }

    /// Bytes of long texts so far.
    pub(super) fn text_bytes(&self) -> usize {
        self.builders.iter().map(ColumnBuilder::text_bytes).sum()
    }

    /// Adds the wanted columns of `rows`, which [`RowFormat::glance`] has passed; `has_null`: in some of them something
    /// is NULL.
    pub(super) fn push_checked_rows(
        &mut self,
        format: &RowFormat,
        wanted: &Wanted,
        rows: &[&[u8]],
        has_null: bool,
    ) -> Result<()> {
        for (output, column) in wanted.columns.iter().enumerate() {
            let builder = &mut self.builders[output];
            let first = builder.len();
            match wanted.part(output) {
                None => push_column(builder, &mut self.pending, format, (output, *column), rows)?,
                Some(part) => {
                    push_parts(builder, &mut self.pending, format, (output, *column), part, rows)?;
                    continue;
                }
            }
            if has_null {
                mark_nulls(builder, format, *column, first, rows);
            }
        }
        self.rows += rows.len();
        Ok(())
    }

    /// Adds the wanted columns of one row.
    pub(super) fn push_row(&mut self, format: &RowFormat, wanted: &Wanted, row: &[u8]) -> Result<()> {
        let view = RowView::new(format, row, &[])?;
        for (output, column) in wanted.columns.iter().enumerate() {
            if let Some(part) = wanted.part(output) {
                let builder = &mut self.builders[output];
                push_parts(builder, &mut self.pending, format, (output, *column), part, &[row])?;
                continue;
            }
            let place = format.columns()[*column];
            if RowFormat::has_large(row)
                && place.physical.width().is_none()
                && !RowFormat::is_null(row, *column)
                && let (bytes, true) = format.variable(row, place.place)
            {
                let pointer = LargePointer::read(bytes).ok_or_else(damaged_row)?;
                self.pending.push(PendingValue { output, row: self.rows, pointer, part: None });
                push_placeholder(&mut self.builders[output], place.physical);
                continue;
            }
            self.builders[output].push_datum(view.datum(*column));
        }
        self.rows += 1;
        Ok(())
    }

    /// Puts a fetched value, or part of one, into its place.
    pub(super) fn fill(&mut self, value: PendingValue, fetched: PartValue<'_>) -> Result<()> {
        let builder = &mut self.builders[value.output];
        let is_text = builder.data_type() != DataType::Bytea;
        match fetched {
            PartValue::Integer(number) => {
                builder.replace_i32(value.row, number);
                return Ok(());
            }
            PartValue::Owned(bytes) if bytes.len() >= OWN_BUFFER_BYTES => {
                if is_text && std::str::from_utf8(&bytes).is_err() {
                    return Err(damaged_row());
                }
                builder.replace_owned(value.row, bytes, is_text);
                return Ok(());
            }
            _ => {}
        }
        let bytes = fetched.bytes();
        if !is_text {
            builder.replace_bytes(value.row, bytes);
        } else {
            builder.replace_str(value.row, std::str::from_utf8(bytes).map_err(|_| damaged_row())?);
        }
        Ok(())
    }
}

/// Bytes that have to be fetched for a checked row.
pub(super) fn large_bytes(format: &RowFormat, wanted: &Wanted, row: &[u8]) -> usize {
    let mut bytes = 0;
    for (column, pointer) in format.large_pointers(row) {
        for (output, _) in wanted.columns.iter().enumerate().filter(|(_, wanted)| **wanted == column) {
            bytes += match wanted.part(output) {
                None => pointer.length as usize,
                Some(part) => part.bytes_of(pointer),
            };
        }
    }
    bytes
}

fn push_placeholder(builder: &mut ColumnBuilder, physical: Physical) {
    match physical {
        Physical::Bytes => builder.push_bytes(&[]),
        _ => builder.push_str(""),
    }
}

fn push_column(
    builder: &mut ColumnBuilder,
    pending: &mut Vec<PendingValue>,
    format: &RowFormat,
    (output, column): (usize, usize),
    rows: &[&[u8]],
) -> Result<()> {
    let place = format.columns()[column];
    let at = place.place;
    match place.physical {
        Physical::Boolean => rows.iter().for_each(|row| builder.push_bool(row[at] != 0)),
        Physical::Int16 => builder.extend_i16(rows.iter().map(|row| i16::from_le_bytes(fixed(row, at)))),
        Physical::Int32 => builder.extend_i32(rows.iter().map(|row| i32::from_le_bytes(fixed(row, at)))),
        Physical::Int64 => builder.extend_i64(rows.iter().map(|row| i64::from_le_bytes(fixed(row, at)))),
        Physical::Float32 => builder.extend_f32(rows.iter().map(|row| f32::from_le_bytes(fixed(row, at)))),
        Physical::Float64 => builder.extend_f64(rows.iter().map(|row| f64::from_le_bytes(fixed(row, at)))),
        Physical::Interval => builder.extend_interval(rows.iter().map(|row| read_interval(row, at))),
        Physical::Decimal64 { scale } => {
            let stored = |row: &&[u8]| i64::from_le_bytes(fixed(row, at));
            let special = rows.iter().map(stored).any(is_special_decimal);
            if special || !builder.try_extend_decimal64(rows.iter().map(stored), scale) {
                rows.iter().for_each(|row| builder.push_numeric(decimal64_value(stored(row), scale)));
            }
        }
        Physical::Numeric => {
            for row in rows {
                if RowFormat::is_null(row, column) {
                    builder.push_null();
                    continue;
                }
                let (bytes, _) = format.variable(row, at);
                builder.push_numeric(read_numeric(bytes).ok_or_else(damaged_row)?);
            }
            return Ok(());
        }
        Physical::Text | Physical::Bytes => {
            for row in rows {
                let (bytes, large) = format.variable(row, at);
                if large && !RowFormat::is_null(row, column) {
                    let pointer = LargePointer::read(bytes).ok_or_else(damaged_row)?;
                    pending.push(PendingValue { output, row: builder.len(), pointer, part: None });
                    push_placeholder(builder, place.physical);
                } else if place.physical == Physical::Bytes {
                    builder.push_bytes(bytes);
                } else if !builder.push_utf8(bytes) {
                    return Err(damaged_row());
                }
            }
        }
    }
    Ok(())
}

/// Adds parts of a text or bytea column, and its NULLs.
fn push_parts(
    builder: &mut ColumnBuilder,
    pending: &mut Vec<PendingValue>,
    format: &RowFormat,
    (output, column): (usize, usize),
    part: ColumnPart,
    rows: &[&[u8]],
) -> Result<()> {
    let place = format.columns()[column];
    if place.physical.width().is_some() {
        return Err(Error::internal("a part of a column that has none"));
    }
    for row in rows {
        if RowFormat::is_null(row, column) {
            builder.push_null();
            continue;
        }
        let (bytes, large) = format.variable(row, place.place);
        let value = if large {
            let pointer = LargePointer::read(bytes).ok_or_else(damaged_row)?;
            match part.of_pointer(pointer) {
                Some(value) => value,
                None => {
                    pending.push(PendingValue { output, row: builder.len(), pointer, part: Some(part) });
                    part.placeholder()
                }
            }
        } else {
            part.of_row(bytes)
        };
        match value {
            PartValue::Integer(number) => builder.push_i32(number),
            value if place.physical == Physical::Bytes => builder.push_bytes(value.bytes()),
            value if builder.push_utf8(value.bytes()) => {}
            _ => return Err(damaged_row()),
        }
    }
    Ok(())
}

/// NULLs of fixed width were added as arbitrary values; most columns of most leaves have none.
fn mark_nulls(builder: &mut ColumnBuilder, format: &RowFormat, column: usize, first: usize, rows: &[&[u8]]) {
    // These are NULL already.
    if format.columns()[column].physical == Physical::Numeric {
        return;
    }
    if !rows.iter().any(|row| RowFormat::is_null(row, column)) {
        return;
    }
    for (index, row) in rows.iter().enumerate() {
        if RowFormat::is_null(row, column) {
            builder.set_null(first + index);
        }
    }
}

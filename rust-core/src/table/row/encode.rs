//! Values into the bytes of a row; the largest go elsewhere when the row is too long.
//! Knows values and bytes. Knows nothing of trees or transactions.

use super::decimal::{decimal64_of, numeric_bytes, write_numeric};
use super::{
    ColumnFormat, FLAG_LARGE, HEADER_BYTES, LARGE_BIT, LARGE_POINTER_BYTES, LargePointer, Physical,
    RowFormat, VERSION,
};
use crate::common::limits::VALUE_BYTES_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::types::datum::DatumRef;

fn wrong_type(column: usize) -> Error {
    Error::internal(format!("column {column} of a row has a value of another type than its table"))
}

/// Puts rows into bytes, with a buffer that is used again.
#[derive(Debug, Default)]
pub struct RowEncoder {
    bytes: Vec<u8>,
    moved: Vec<usize>,
}

impl RowEncoder {
    /// An encoder with an empty buffer.
    pub fn new() -> RowEncoder {
        RowEncoder::default()
    }

    /// Bytes of the row with every value in it.
    /// # Errors
    /// `54000` when a value is longer than a value may be; `XX000` when it has the wrong type.
    pub fn full_bytes(format: &RowFormat, row: &[DatumRef<'_>]) -> Result<usize> {
        let mut total = format.fixed_bytes();
        for (column, (column_format, value)) in format.columns.iter().zip(row).enumerate() {
            if column_format.physical.width().is_none() {
                total += variable_length(column, value)?;
            }
        }
        Ok(total)
    }

    /// Encodes `row`, with pointers in the place of the values of `kept`. While it is longer than `bytes_max`, the longest text or bytea goes to `move_out`
    /// (column, bytes), whose pointer is kept instead.
    /// # Errors
    /// `54000` when the row is too long all the same; what `move_out` fails with.
    pub fn encode(
        &mut self,
        format: &RowFormat,
        row: &[DatumRef<'_>],
        kept: &[(usize, LargePointer)],
        bytes_max: usize,
        mut move_out: impl FnMut(usize, &[u8]) -> Result<LargePointer>,
    ) -> Result<&[u8]> {
        assert_eq!(row.len(), format.columns.len(), "a row has a value a column");
        self.choose_moved(format, row, kept, bytes_max)?;
        let out = &mut self.bytes;
        out.clear();
        out.resize(format.fixed_bytes(), 0);
        out[0] = VERSION;
        out[1] = if self.moved.is_empty() { 0 } else { FLAG_LARGE };
        out[2..4].copy_from_slice(&(format.columns.len() as u16).to_le_bytes());
        for (index, (column, value)) in format.columns.iter().zip(row).enumerate() {
            if value.is_null() {
                out[HEADER_BYTES + index / 8] |= 1 << (index % 8);
            }
            if column.physical.width().is_some() {
                write_fixed(out, index, column, value)?;
                continue;
            }
            let large = self.moved.contains(&index);
            let pointer = kept.iter().find(|(column, _)| *column == index).map(|(_, pointer)| pointer);
            match (column.physical, value) {
                (_, DatumRef::Null) => {}
                (Physical::Text | Physical::Bytes, _) if pointer.is_some() => {
                    pointer.into_iter().for_each(|pointer| pointer.write(out));
                }
                (Physical::Text, DatumRef::Text(text)) if large => {
                    move_out(index, text.as_bytes())?.write(out);
                }
                (Physical::Bytes, DatumRef::Bytes(bytes)) if large => move_out(index, bytes)?.write(out),
                (Physical::Text, DatumRef::Text(text)) => out.extend_from_slice(text.as_bytes()),
                (Physical::Bytes, DatumRef::Bytes(bytes)) => out.extend_from_slice(bytes),
                (Physical::Numeric, DatumRef::Numeric(number)) => write_numeric(number, out),
                _ => return Err(wrong_type(index)),
            }
            let end = out.len() as u16 | if large { LARGE_BIT } else { 0 };
            let at = format.ends + 2 * column.place;
            out[at..at + 2].copy_from_slice(&end.to_le_bytes());
        }
        Ok(out)
    }

    fn choose_moved(
        &mut self,
        format: &RowFormat,
        row: &[DatumRef<'_>],
        kept: &[(usize, LargePointer)],
        bytes_max: usize,
    ) -> Result<()> {
        // An end offset has 15 bits.
        let bytes_max = bytes_max.min(usize::from(LARGE_BIT - 1));
        self.moved.clear();
        let mut total = RowEncoder::full_bytes(format, row)?;
        for (column, _) in kept {
            // An empty value stands for it.
            total += LARGE_POINTER_BYTES;
            self.moved.push(*column);
        }
        while total > bytes_max {
            let mut longest = None;
            for (column, value) in row.iter().enumerate() {
                let length = match value {
                    DatumRef::Text(text) => text.len(),
                    DatumRef::Bytes(bytes) => bytes.len(),
                    _ => continue,
                };
                if length > LARGE_POINTER_BYTES
                    && longest.is_none_or(|(most, _)| length > most)
                    && !self.moved.contains(&column)
                {
                    longest = Some((length, column));
                }
            }
            let Some((length, column)) = longest else {
                return Err(Error::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    format!("row is too big: size {total}, maximum size {bytes_max}"),
                )
                .hint("Use fewer columns, or a database with larger pages."));
            };
            total = total - length + LARGE_POINTER_BYTES;
            self.moved.push(column);
        }
        Ok(())
    }
}

fn variable_length(column: usize, value: &DatumRef<'_>) -> Result<usize> {
    let length = match value {
        DatumRef::Null => 0,
        DatumRef::Text(text) => text.len(),
        DatumRef::Bytes(bytes) => bytes.len(),
        DatumRef::Numeric(number) => numeric_bytes(number),
        _ => return Err(wrong_type(column)),
    };
    if length > VALUE_BYTES_MAX {
        return Err(Error::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("a value of {length} bytes is longer than the maximum of {VALUE_BYTES_MAX} bytes"),
        ));
    }
    Ok(length)
}

fn write_fixed(row: &mut [u8], index: usize, column: &ColumnFormat, value: &DatumRef<'_>) -> Result<()> {
    let at = column.place;
    match (column.physical, value) {
        (_, DatumRef::Null) => {}
        (Physical::Boolean, DatumRef::Boolean(v)) => row[at] = u8::from(*v),
        (Physical::Int16, DatumRef::SmallInt(v)) => row[at..at + 2].copy_from_slice(&v.to_le_bytes()),
        (Physical::Int32, DatumRef::Integer(v) | DatumRef::Date(v)) => {
            row[at..at + 4].copy_from_slice(&v.to_le_bytes());
        }
        (Physical::Int64, DatumRef::BigInt(v) | DatumRef::Timestamp(v) | DatumRef::TimestampTz(v)) => {
            row[at..at + 8].copy_from_slice(&v.to_le_bytes());
        }
        (Physical::Float32, DatumRef::Real(v)) => row[at..at + 4].copy_from_slice(&v.to_le_bytes()),
        (Physical::Float64, DatumRef::Double(v)) => row[at..at + 8].copy_from_slice(&v.to_le_bytes()),
        (Physical::Decimal64 { scale }, DatumRef::Numeric(v)) => {
            let stored = decimal64_of(*v, scale).ok_or_else(|| {
                Error::internal(format!("column {index} of a row has a numeric beyond its precision"))
            })?;
            row[at..at + 8].copy_from_slice(&stored.to_le_bytes());
        }
        (Physical::Interval, DatumRef::Interval(v)) => {
            row[at..at + 4].copy_from_slice(&v.months.to_le_bytes());
            row[at + 4..at + 8].copy_from_slice(&v.days.to_le_bytes());
            row[at + 8..at + 16].copy_from_slice(&v.micros.to_le_bytes());
        }
        _ => return Err(wrong_type(index)),
    }
    Ok(())
}

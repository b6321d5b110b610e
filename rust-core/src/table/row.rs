//! The row as bytes: a layout in which every column is found in O(1), never parsed cell by cell.
//!
//! ```text
//! 0      version (1)            u8
//! 1      flags                  u8      bit 0: some column is a pointer to a large value
//! 2      columns                u16     all integers little-endian
//! 4      NULL bits              one a column, 1 = NULL
//!        fixed-width columns    each at an offset that depends on the table alone; zero where NULL
//!        end offsets            u16 a variable-width column, from the start of the row;
//!                               bit 15: the bytes are a pointer to a large value
//!        bytes                  of the variable-width columns, in order
//! ```
//! `numeric(p ≤ 18, s)` is a 64-bit mantissa with the column's scale; other numerics are {kind and scale,
//! mantissa in as few bytes as it needs}. Knows values and bytes. Knows nothing of trees or transactions.

mod decimal;
mod encode;

pub(super) use decimal::{decimal64_value, is_special_decimal, read_numeric};
pub use encode::RowEncoder;

use crate::common::checksum::crc32c;
use crate::error::{Error, Result, SqlState};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef, Interval};

const VERSION: u8 = 1;
const FLAG_LARGE: u8 = 1;
const HEADER_BYTES: usize = 4;
const LARGE_BIT: u16 = 1 << 15;
/// Bytes of a pointer to a large value.
pub const LARGE_POINTER_BYTES: usize = 16;

/// How the values of a column are kept in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Physical {
    /// One byte, 0 or 1.
    Boolean,
    /// Two bytes.
    Int16,
    /// Four bytes: integer, date.
    Int32,
    /// Eight bytes: bigint, timestamps.
    Int64,
    /// Four bytes.
    Float32,
    /// Eight bytes.
    Float64,
    /// Eight bytes: a mantissa with the column's scale.
    Decimal64 {
        /// Digits after the point.
        scale: u16,
    },
    /// Sixteen bytes: months, days, microseconds.
    Interval,
    /// Variable: kind and scale, mantissa.
    Numeric,
    /// Variable: UTF-8.
    Text,
    /// Variable.
    Bytes,
}

impl Physical {
    /// How values of `sql_type` are kept.
    pub fn of(sql_type: SqlType) -> Physical {
        match sql_type.data_type {
            DataType::Boolean => Physical::Boolean,
            DataType::SmallInt => Physical::Int16,
            DataType::Integer | DataType::Date => Physical::Int32,
            DataType::BigInt | DataType::Timestamp | DataType::TimestampTz => Physical::Int64,
            DataType::Real => Physical::Float32,
            DataType::Double => Physical::Float64,
            DataType::Numeric => match sql_type.numeric_precision_scale() {
                Some((precision, scale)) if precision <= 18 && (0..=38).contains(&scale) => {
                    Physical::Decimal64 { scale: scale as u16 }
                }
                _ => Physical::Numeric,
            },
            DataType::Interval => Physical::Interval,
            DataType::Bytea => Physical::Bytes,
            DataType::Text | DataType::Varchar | DataType::Char | DataType::Unknown => Physical::Text,
        }
    }

    /// Bytes of a value; `None` where they vary.
    pub fn width(self) -> Option<usize> {
        match self {
            Physical::Boolean => Some(1),
            Physical::Int16 => Some(2),
            Physical::Int32 | Physical::Float32 => Some(4),
            Physical::Int64 | Physical::Float64 | Physical::Decimal64 { .. } => Some(8),
            Physical::Interval => Some(16),
            Physical::Numeric | Physical::Text | Physical::Bytes => None,
        }
    }
}

/// A column of a [`RowFormat`].
#[derive(Clone, Copy, Debug)]
pub struct ColumnFormat {
    /// Its SQL type.
    pub sql_type: SqlType,
    /// How its values are kept.
    pub physical: Physical,
    /// Fixed width: byte offset in the row. Variable width: number among the variable columns.
    pub place: usize,
}

/// Where the columns of a table's rows are. Made once per table.
#[derive(Clone, Debug)]
pub struct RowFormat {
    columns: Vec<ColumnFormat>,
    /// Where the end offsets start.
    ends: usize,
    variable_count: usize,
    null_bytes: usize,
}

/// See [`RowFormat::glance`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Glance {
    /// Some column is NULL.
    pub has_null: bool,
    /// Some column is a pointer to a large value.
    pub has_large: bool,
}

impl RowFormat {
    /// The format of rows with these columns.
    pub fn new(types: &[SqlType]) -> RowFormat {
        let null_bytes = types.len().div_ceil(8);
        let mut offset = HEADER_BYTES + null_bytes;
        let mut variable_count = 0;
        let columns = types
            .iter()
            .map(|sql_type| {
                let physical = Physical::of(*sql_type);
                let place = match physical.width() {
                    Some(width) => {
                        offset += width;
                        offset - width
                    }
                    None => {
                        variable_count += 1;
                        variable_count - 1
                    }
                };
                ColumnFormat { sql_type: *sql_type, physical, place }
            })
            .collect();
        RowFormat { columns, ends: offset, variable_count, null_bytes }
    }

    /// The columns, in table order.
    pub fn columns(&self) -> &[ColumnFormat] {
        &self.columns
    }

    /// Bytes before those of the variable columns: what every row has.
    pub fn fixed_bytes(&self) -> usize {
        self.ends + 2 * self.variable_count
    }

    /// Whether column `index` is NULL in a row that passed [`RowFormat::check`].
    #[inline]
    pub fn is_null(row: &[u8], index: usize) -> bool {
        row[HEADER_BYTES + index / 8] >> (index % 8) & 1 == 1
    }

    /// Whether some column of a checked row is kept outside.
    #[inline]
    pub fn has_large(row: &[u8]) -> bool {
        row[1] & FLAG_LARGE != 0
    }

    /// The bytes of variable column number `place` of a checked row, and whether they are a pointer.
    #[inline]
    pub fn variable<'a>(&self, row: &'a [u8], place: usize) -> (&'a [u8], bool) {
        let raw = self.end(row, place);
        let start =
            if place == 0 { self.fixed_bytes() } else { usize::from(self.end(row, place - 1) & !LARGE_BIT) };
        // A damaged row gives an empty value here, never a panic; `check_ends` tells about it.
        (row.get(start..usize::from(raw & !LARGE_BIT)).unwrap_or(&[]), raw & LARGE_BIT != 0)
    }

    #[inline]
    fn end(&self, row: &[u8], place: usize) -> u16 {
        let at = self.ends + 2 * place;
        u16::from_le_bytes([row[at], row[at + 1]])
    }

    /// That `row` is a row of this table as far as O(1) tells: afterwards no access goes out of bounds.
    /// # Errors
    /// `XX001`; `0A000` for a row that a newer version wrote.
    #[inline]
    pub fn check(&self, row: &[u8]) -> Result<()> {
        let fits = row.len() >= self.fixed_bytes()
            && row[0] == VERSION
            && row[1] & !FLAG_LARGE == 0
            && usize::from(u16::from_le_bytes([row[2], row[3]])) == self.columns.len();
        if fits { Ok(()) } else { Err(refused_row(row)) }
    }

    /// As [`RowFormat::check`], with what the row's beginning tells: whether some column is NULL, and whether some column
    /// is kept outside. `None`: it is no row of this table.
    #[inline]
    pub fn glance(&self, row: &[u8]) -> Option<Glance> {
        let head = u32::from_le_bytes(*row.first_chunk::<HEADER_BYTES>()?);
        let sound = (head & !(u32::from(FLAG_LARGE) << 8))
            == (u32::from(VERSION) | (self.columns.len() as u32) << 16);
        if !sound || row.len() < self.fixed_bytes() {
            return None;
        }
        let has_null = match row.get(HEADER_BYTES..HEADER_BYTES + self.null_bytes) {
            Some([bits]) => *bits != 0,
            bits => bits.is_some_and(|bits| bits.iter().any(|bits| *bits != 0)),
        };
        Some(Glance { has_null, has_large: head >> 8 & u32::from(FLAG_LARGE) != 0 })
    }

    /// That every byte of `row` has its place and every text is UTF-8: O(row), for verification.
    /// # Errors
    /// `XX001`.
    pub fn check_deeply(&self, row: &[u8]) -> Result<()> {
        self.check(row)?;
        let mut start = self.fixed_bytes();
        for place in 0..self.variable_count {
            let end = usize::from(self.end(row, place) & !LARGE_BIT);
            if end < start || end > row.len() {
                return Err(damaged_row());
            }
            start = end;
        }
        if start != row.len() {
            return Err(damaged_row());
        }
        for (index, column) in self.columns.iter().enumerate() {
            if column.physical.width().is_some() || RowFormat::is_null(row, index) {
                continue;
            }
            let (bytes, large) = self.variable(row, column.place);
            let sound = match column.physical {
                _ if large => bytes.len() == LARGE_POINTER_BYTES && RowFormat::has_large(row),
                Physical::Numeric => read_numeric(bytes).is_some(),
                Physical::Text => std::str::from_utf8(bytes).is_ok(),
                _ => true,
            };
            if !sound {
                return Err(damaged_row());
            }
        }
        Ok(())
    }

    /// The pointers of a checked row, with their columns.
    pub fn large_pointers<'a>(&'a self, row: &'a [u8]) -> impl Iterator<Item = (usize, LargePointer)> + 'a {
        let columns = if RowFormat::has_large(row) { &self.columns[..] } else { &[] };
        columns.iter().enumerate().filter_map(move |(index, column)| {
            if column.physical.width().is_some() || RowFormat::is_null(row, index) {
                return None;
            }
            match self.variable(row, column.place) {
                (bytes, true) => LargePointer::read(bytes).map(|pointer| (index, pointer)),
                _ => None,
            }
        })
    }
}

/// Why a row is none of its table: a newer version wrote it, or it is damaged.
#[cold]
pub(super) fn refused_row(row: &[u8]) -> Error {
    let unknown = match row {
        [version, ..] if *version > VERSION => format!("row version {version}"),
        [VERSION, flags, ..] if flags & !FLAG_LARGE != 0 => format!("row flag {:#x}", flags & !FLAG_LARGE),
        _ => return damaged_row(),
    };
    Error::not_supported(unknown).hint("Open the database with a newer version of Lumos.")
}

/// `XX001` for a row that does not have the form it must have.
pub(super) fn damaged_row() -> Error {
    Error::new(SqlState::DATA_CORRUPTED, "a row does not have the form of its table")
}

/// Where a value is that does not fit its row, and what it must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LargePointer {
    /// Key of its pieces in the value tree; never reused.
    pub value_id: u64,
    /// Bytes of the value.
    pub length: u32,
    /// CRC-32C of the value.
    pub crc: u32,
}

impl LargePointer {
    /// A pointer to `bytes` kept under `value_id`.
    pub fn new(value_id: u64, bytes: &[u8]) -> LargePointer {
        LargePointer { value_id, length: bytes.len() as u32, crc: crc32c(bytes) }
    }

    /// Whether it points to exactly these bytes, as far as length and checksum tell.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.length as usize == bytes.len() && self.crc == crc32c(bytes)
    }

    /// From the bytes in the row.
    pub fn read(bytes: &[u8]) -> Option<LargePointer> {
        let bytes: &[u8; LARGE_POINTER_BYTES] = bytes.try_into().ok()?;
        let (id, rest) = bytes.split_first_chunk::<8>()?;
        let (length, crc) = rest.split_first_chunk::<4>()?;
        Some(LargePointer {
            value_id: u64::from_le_bytes(*id),
            length: u32::from_le_bytes(*length),
            crc: u32::from_le_bytes(crc.try_into().ok()?),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.value_id.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
    }
}

/// Large values of one row that were fetched: (column, bytes).
pub type LargeValues = Vec<(usize, Vec<u8>)>;

/// A row in place: columns are read straight from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    format: &'a RowFormat,
    bytes: &'a [u8],
    large: &'a [(usize, Vec<u8>)],
}

impl<'a> RowView<'a> {
    /// A view of `bytes`; `large` has the values that the row only points to.
    /// # Errors
    /// `XX001` when this is not a row of the table.
    pub fn new(format: &'a RowFormat, bytes: &'a [u8], large: &'a [(usize, Vec<u8>)]) -> Result<RowView<'a>> {
        format.check(bytes)?;
        Ok(RowView { format, bytes, large })
    }

    /// A view of `bytes`, which [`RowFormat::glance`] has passed: what they only point to reads as NULL.
    #[inline]
    pub(super) fn of_checked(format: &'a RowFormat, bytes: &'a [u8]) -> RowView<'a> {
        RowView { format, bytes, large: &[] }
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.format.columns.len()
    }

    /// Whether the table has no columns.
    pub fn is_empty(&self) -> bool {
        self.format.columns.is_empty()
    }

    /// The value of a column, O(1). Text that is not UTF-8, which only a forged file can hold, is cut
    /// before the first bad byte; a large value that was not fetched reads as NULL.
    // Whoever encodes the value next to the call then branches on the type once.
    #[inline(always)]
    pub fn datum(&self, column: usize) -> DatumRef<'a> {
        if RowFormat::is_null(self.bytes, column) {
            return DatumRef::Null;
        }
        let format = &self.format.columns[column];
        let row = self.bytes;
        match format.physical {
            Physical::Boolean => DatumRef::Boolean(row[format.place] != 0),
            Physical::Int16 => DatumRef::SmallInt(i16::from_le_bytes(fixed(row, format.place))),
            Physical::Int32 => {
                let value = i32::from_le_bytes(fixed(row, format.place));
                if format.sql_type.data_type == DataType::Date {
                    DatumRef::Date(value)
                } else {
                    DatumRef::Integer(value)
                }
            }
            Physical::Int64 => {
                let value = i64::from_le_bytes(fixed(row, format.place));
                match format.sql_type.data_type {
                    DataType::Timestamp => DatumRef::Timestamp(value),
                    DataType::TimestampTz => DatumRef::TimestampTz(value),
                    _ => DatumRef::BigInt(value),
                }
            }
            Physical::Float32 => DatumRef::Real(f32::from_le_bytes(fixed(row, format.place))),
            Physical::Float64 => DatumRef::Double(f64::from_le_bytes(fixed(row, format.place))),
            Physical::Decimal64 { scale } => {
                DatumRef::Numeric(decimal64_value(i64::from_le_bytes(fixed(row, format.place)), scale))
            }
            Physical::Interval => DatumRef::Interval(read_interval(row, format.place)),
            Physical::Numeric => {
                let (bytes, _) = self.format.variable(row, format.place);
                read_numeric(bytes).map_or(DatumRef::Null, DatumRef::Numeric)
            }
            Physical::Text => match self.variable_bytes(column, format) {
                Some(bytes) => DatumRef::Text(text_of(bytes)),
                None => DatumRef::Null,
            },
            Physical::Bytes => match self.variable_bytes(column, format) {
                Some(bytes) => DatumRef::Bytes(bytes),
                None => DatumRef::Null,
            },
        }
    }

    fn variable_bytes(&self, column: usize, format: &ColumnFormat) -> Option<&'a [u8]> {
        let (bytes, large) = self.format.variable(self.bytes, format.place);
        if !large {
            return Some(bytes);
        }
        self.large.iter().find(|(index, _)| *index == column).map(|(_, bytes)| &bytes[..])
    }

    /// All values, owned.
    pub fn to_datums(&self) -> Vec<Datum> {
        (0..self.len()).map(|column| self.datum(column).to_owned()).collect()
    }
}

fn text_of(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
    }
}

#[inline]
pub(super) fn fixed<const N: usize>(row: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&row[at..at + N]);
    bytes
}

pub(super) fn read_interval(row: &[u8], at: usize) -> Interval {
    Interval {
        months: i32::from_le_bytes(fixed(row, at)),
        days: i32::from_le_bytes(fixed(row, at + 4)),
        micros: i64::from_le_bytes(fixed(row, at + 8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use crate::sql::types::datum::{Numeric, NumericKind};

    pub(crate) fn random_type(random: &mut Random) -> SqlType {
        let data_type = DataType::ALL[1 + random.below(15) as usize];
        let modifier = match data_type {
            DataType::Numeric => match random.below(3) {
                0 => (18 << 16 | 4) + 4,
                1 => (30 << 16 | 10) + 4,
                _ => -1,
            },
            _ => -1,
        };
        SqlType { data_type, modifier }
    }

    fn random_datum(random: &mut Random, sql_type: SqlType) -> Datum {
        if random.below(5) == 0 {
            return Datum::Null;
        }
        let bits = random.next_u64();
        match sql_type.data_type {
            DataType::Boolean => Datum::Boolean(bits & 1 == 1),
            DataType::SmallInt => Datum::SmallInt(bits as i16),
            DataType::Integer => Datum::Integer(bits as i32),
            DataType::BigInt => Datum::BigInt(bits as i64),
            DataType::Real => Datum::Real(bits as i32 as f32),
            DataType::Double => Datum::Double(bits as i64 as f64),
            DataType::Numeric => {
                let kind = match random.below(8) {
                    0 => NumericKind::NotANumber,
                    1 => NumericKind::PositiveInfinity,
                    2 => NumericKind::NegativeInfinity,
                    _ => NumericKind::Finite,
                };
                let finite = kind == NumericKind::Finite;
                let mantissa = match sql_type.modifier {
                    -1 => (i128::from(bits as i64) << random.below(60)) >> random.below(90),
                    _ => i128::from(bits as i64 % 1_000_000_000_000),
                };
                let scale = match sql_type.numeric_precision_scale() {
                    Some((_, scale)) => scale as u16,
                    None => random.below(30) as u16,
                };
                Datum::Numeric(Numeric {
                    mantissa: if finite { mantissa } else { 0 },
                    scale: if finite { scale } else { 0 },
                    kind,
                })
            }
            DataType::Bytea => {
                let bytes: Vec<u8> = (0..random.below(40)).map(|_| random.next_u64() as u8).collect();
                Datum::Bytes(bytes.into())
            }
            DataType::Date => Datum::Date(bits as i32),
            DataType::Timestamp => Datum::Timestamp(bits as i64),
            DataType::TimestampTz => Datum::TimestampTz(bits as i64),
            DataType::Interval => Datum::Interval(Interval {
                months: bits as i32,
                days: (bits >> 32) as i32,
                micros: -(bits as i64 >> 3),
            }),
            _ => Datum::text(&"žluťoučký kůň".chars().take(random.below(14) as usize).collect::<String>()),
        }
    }

    #[test]
    fn every_row_reads_back_as_it_was_written() {
        for seed in 1..400 {
            let mut random = Random::new(seed);
            let types: Vec<SqlType> = (0..1 + random.below(20)).map(|_| random_type(&mut random)).collect();
            let format = RowFormat::new(&types);
            let row: Vec<Datum> = types.iter().map(|t| random_datum(&mut random, *t)).collect();
            let refs: Vec<DatumRef<'_>> = row.iter().map(Datum::as_ref).collect();
            let mut encoder = RowEncoder::new();
            let bytes = encoder
                .encode(&format, &refs, &[], 4000, |_, _| Err(Error::internal("nothing is large")))
                .unwrap();
            assert_eq!(bytes.len(), RowEncoder::full_bytes(&format, &refs).unwrap(), "seed {seed}");
            format.check_deeply(bytes).unwrap();
            let view = RowView::new(&format, bytes, &[]).unwrap();
            assert_eq!(format!("{:?}", view.to_datums()), format!("{row:?}"), "seed {seed}");
        }
    }

    #[test]
    fn the_longest_values_move_out_of_a_long_row() {
        let types = [DataType::Text, DataType::Bytea, DataType::Integer].map(SqlType::plain);
        let format = RowFormat::new(&types);
        let (short, long) = ("s".repeat(900), vec![7u8; 5000]);
        let row = [DatumRef::Text(&short), DatumRef::Bytes(&long), DatumRef::Integer(5)];
        let mut encoder = RowEncoder::new();
        let mut moved = Vec::new();
        let bytes = encoder
            .encode(&format, &row, &[], 1000, |column, bytes| {
                moved.push(column);
                Ok(LargePointer::new(42, bytes))
            })
            .unwrap()
            .to_vec();
        assert_eq!(moved, [1]);
        format.check_deeply(&bytes).unwrap();
        let pointers: Vec<_> = format.large_pointers(&bytes).collect();
        assert_eq!(pointers.len(), 1);
        assert_eq!(pointers[0].0, 1);
        assert!(pointers[0].1.matches(&long) && pointers[0].1.value_id == 42);
        let fetched = vec![(1, long.clone())];
        let view = RowView::new(&format, &bytes, &fetched).unwrap();
        assert!(matches!(view.datum(1), DatumRef::Bytes(b) if b == long));
        assert!(matches!(view.datum(0), DatumRef::Text(t) if t == short));
        assert!(matches!(view.datum(2), DatumRef::Integer(5)));
    }

    #[test]
    fn a_row_that_cannot_shrink_is_refused() {
        let types = vec![SqlType::plain(DataType::BigInt); 300];
        let format = RowFormat::new(&types);
        let row = vec![DatumRef::BigInt(1); 300];
        let error = RowEncoder::new()
            .encode(&format, &row, &[], 2000, |_, bytes| Ok(LargePointer::new(1, bytes)))
            .unwrap_err();
        assert_eq!(error.state(), SqlState::PROGRAM_LIMIT_EXCEEDED);
    }

    #[test]
    fn arbitrary_bytes_give_errors_and_no_panic() {
        let mut random = Random::new(11);
        for _ in 0..2000 {
            let types: Vec<SqlType> = (0..1 + random.below(8)).map(|_| random_type(&mut random)).collect();
            let format = RowFormat::new(&types);
            let mut bytes: Vec<u8> = (0..random.below(120)).map(|_| random.next_u64() as u8).collect();
            if bytes.len() > 4 {
                bytes[0] = VERSION;
                bytes[2..4].copy_from_slice(&(types.len() as u16).to_le_bytes());
            }
            let _ = format.check_deeply(&bytes);
            if let Ok(view) = RowView::new(&format, &bytes, &[]) {
                assert_eq!(view.to_datums().len(), types.len());
            }
        }
    }

    #[test]
    fn a_row_of_a_newer_version_is_refused_by_name_and_not_called_damaged() {
        let types = vec![SqlType::plain(DataType::BigInt)];
        let format = RowFormat::new(&types);
        let mut encoder = RowEncoder::new();
        let row = encoder
            .encode(&format, &[DatumRef::BigInt(1)], &[], 2000, |_, bytes| Ok(LargePointer::new(1, bytes)))
            .unwrap()
            .to_vec();
        for (at, byte, state, message) in [
            (0, VERSION, None, ""),
            (0, 2, Some("0A000"), "row version 2 is not supported"),
            (1, 0x82, Some("0A000"), "row flag 0x82 is not supported"),
            (0, 0, Some("XX001"), "a row does not have the form of its table"),
        ] {
            let mut changed = row.clone();
            changed[at] = byte;
            let found = format.check(&changed).err();
            assert_eq!(found.as_ref().map(|error| error.state().to_string()).as_deref(), state);
            assert_eq!(format.glance(&changed).is_none(), state.is_some());
            assert_eq!(found.as_ref().map_or("", |error| error.message()), message);
        }
    }
}

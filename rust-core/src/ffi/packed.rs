//! Packed rows and packed parameters: many values in one crossing.
//!
//! A row is the body of a PostgreSQL DataRow in binary: column count (i16), then for each column its length
//! (i32, −1 for NULL) and PostgreSQL's binary form of the value. Parameters: count (i16), then for each
//! PostgreSQL's type OID (u32), length (i32, −1 for NULL) and binary form; OID 0 is an untyped literal, as
//! text. All numbers big-endian. (`docs/adr/` says why this is not PostgreSQL's Bind message.)

use crate::common::limits::PARAMETERS_MAX;
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::result::ResultColumn;
use crate::sql::evaluate::row::RowSource;
use crate::sql::executor::sink::{Picked, RowSink};
use crate::sql::types::binary;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::row::RowView;

/// What has so few bytes is not charged.
const SHORT_BYTES: usize = 64 << 10;

/// Writes a row to the beginning of `room` and gives its bytes; `None`: there is not room enough, what `room` has is void.
/// `scratch` is for values of rarer types.
pub(crate) fn write_row(
    values: &(impl RowSource + ?Sized),
    columns: &[ResultColumn],
    room: &mut [u8],
    scratch: &mut Vec<u8>,
) -> Option<usize> {
    let mut room = Room { bytes: room, used: 0 };
    room.put((columns.len() as i16).to_be_bytes())?;
    for (index, column) in columns.iter().enumerate() {
        room.put_value(values.datum(index), column.sql_type.data_type, scratch)?;
    }
    Some(room.used)
}

/// The bytes that [`write_row`] needs.
pub(crate) fn row_bytes(
    values: &(impl RowSource + ?Sized),
    columns: &[ResultColumn],
    scratch: &mut Vec<u8>,
) -> usize {
    let value_bytes = |(index, column): (usize, &ResultColumn)| match values.datum(index) {
        DatumRef::Null => 0,
        DatumRef::Text(text) => text.len(),
        DatumRef::Bytes(bytes) => bytes.len(),
        other => {
            scratch.clear();
            binary::encode(other, column.sql_type.data_type, scratch);
            scratch.len()
        }
    };
    2 + 4 * columns.len() + columns.iter().enumerate().map(value_bytes).sum::<usize>()
}

/// A buffer that is being filled.
struct Room<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl Room<'_> {
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        *self.bytes.get_mut(self.used..)?.first_chunk_mut::<N>()? = bytes;
        self.used += N;
        Some(())
    }

    /// A length and so many bytes.
    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let (length, rest) = self.bytes.get_mut(self.used..)?.split_first_chunk_mut::<4>()?;
        rest.get_mut(..bytes.len())?.copy_from_slice(bytes);
        *length = (bytes.len() as i32).to_be_bytes();
        self.used += 4 + bytes.len();
        Some(())
    }

    /// The commonest types are written here, without the general encoder's detours.
    #[inline(always)]
    fn put_value(&mut self, value: DatumRef<'_>, data_type: DataType, scratch: &mut Vec<u8>) -> Option<()> {
        match value {
            DatumRef::Null => self.put((-1i32).to_be_bytes()),
            DatumRef::BigInt(number) => self.put_fixed(number.to_be_bytes()),
            DatumRef::Integer(number) => self.put_fixed(number.to_be_bytes()),
            DatumRef::Double(number) => self.put_fixed(number.to_bits().to_be_bytes()),
            DatumRef::Text(text) => self.put_bytes(text.as_bytes()),
            DatumRef::Bytes(bytes) => self.put_bytes(bytes),
            other => {
                scratch.clear();
                binary::encode(other, data_type, scratch);
                self.put_bytes(scratch)
            }
        }
    }

    #[inline]
    fn put_fixed<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        self.put((N as i32).to_be_bytes())?;
        self.put(bytes)
    }
}

/// Takes the short path's rows: whole rows into the caller's buffer, the rest aside.
#[derive(Debug)]
pub(crate) struct PackedSink<'a> {
    columns: &'a [ResultColumn],
    buffer: &'a mut [u8],
    /// A value's bytes, kept between calls.
    scratch: &'a mut Vec<u8>,
    /// Bytes and rows in the buffer.
    pub(crate) used: usize,
    pub(crate) rows: u32,
    /// Rows that did not fit, each with its end.
    pub(crate) rest: PackedRest,
    memory: &'a Arc<MemoryAccount>,
}

/// Encoded rows that wait for a buffer.
#[derive(Debug, Default)]
pub(crate) struct PackedRest {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    next: usize,
    /// For long rows.
    memory: Option<Reservation>,
}

impl PackedRest {
    /// The next row.
    pub(crate) fn peek(&self) -> Option<&[u8]> {
        let end = *self.ends.get(self.next)?;
        let start = if self.next == 0 { 0 } else { self.ends[self.next - 1] };
        Some(&self.bytes[start..end])
    }

    /// Passes over the next row.
    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    fn push(
        &mut self,
        values: &dyn RowSource,
        columns: &[ResultColumn],
        scratch: &mut Vec<u8>,
        memory: &Arc<MemoryAccount>,
    ) -> Result<()> {
        let start = self.bytes.len();
        let end = start + row_bytes(values, columns, scratch);
        if end > SHORT_BYTES {
            self.memory.get_or_insert_with(|| memory.reservation()).resize(end)?;
        }
        self.bytes.resize(end, 0);
        if write_row(values, columns, &mut self.bytes[start..], scratch).is_none() {
            return Err(Error::internal("a row has more bytes than were counted"));
        }
        self.ends.push(end);
        Ok(())
    }
}

impl<'a> PackedSink<'a> {
    pub(crate) fn new(
        columns: &'a [ResultColumn],
        buffer: &'a mut [u8],
        scratch: &'a mut Vec<u8>,
        memory: &'a Arc<MemoryAccount>,
    ) -> PackedSink<'a> {
        PackedSink { columns, buffer, scratch, used: 0, rows: 0, rest: PackedRest::default(), memory }
    }
}

impl PackedSink<'_> {
    /// Whether the row went into the buffer.
    #[inline]
    fn write(&mut self, values: &(impl RowSource + ?Sized)) -> bool {
        let room = if self.rest.ends.is_empty() { &mut self.buffer[self.used..] } else { &mut [] };
        let Some(bytes) = write_row(values, self.columns, room, self.scratch) else { return false };
        self.used += bytes;
        self.rows += 1;
        true
    }
}

impl RowSink for PackedSink<'_> {
    fn row(&mut self, values: &dyn RowSource, _count: usize) -> Result<()> {
        if self.write(values) {
            return Ok(());
        }
        self.rest.push(values, self.columns, self.scratch, self.memory)
    }

    fn stored_row(&mut self, row: &RowView<'_>, columns: &[usize]) -> Result<bool> {
        Ok(self.write(&Picked { row, columns }))
    }

    fn clear(&mut self) {
        (self.used, self.rows, self.rest) = (0, 0, PackedRest::default());
    }
}

/// Reads packed parameters into `out`, whose memory is reused.
/// # Errors
/// `08P01` when the bytes are no parameters, `0A000` for a type that is not there, what decoding raises.
pub(crate) fn decode_parameters(bytes: &[u8], out: &mut Vec<Datum>) -> Result<()> {
    out.clear();
    let mut reader = Reader { rest: bytes };
    let count = usize::from(u16::from_be_bytes(reader.array()?));
    debug_assert!(count <= PARAMETERS_MAX);
    for position in 1..=count {
        let oid = u32::from_be_bytes(reader.array()?);
        let length = i32::from_be_bytes(reader.array()?);
        if length < -1 {
            return Err(malformed());
        }
        if length == -1 {
            out.push(Datum::Null);
            continue;
        }
        let value = reader.take(length as usize)?;
        if oid == BIGINT_OID
            && let Some(number) = value.first_chunk::<8>().filter(|_| value.len() == 8)
        {
            out.push(Datum::BigInt(i64::from_be_bytes(*number)));
            continue;
        }
        let data_type = type_of_oid(oid).ok_or_else(|| {
            Error::not_supported(format!("parameter type with OID {oid}"))
                .detail(format!("Parameter ${position}."))
        })?;
        out.push(binary::decode(value, data_type)?);
    }
    if !reader.rest.is_empty() {
        return Err(malformed());
    }
    Ok(())
}

/// PostgreSQL's OID of `bigint`, the type of most keys.
const BIGINT_OID: u32 = 20;

fn type_of_oid(oid: u32) -> Option<DataType> {
    if oid == 0 {
        return Some(DataType::Unknown);
    }
    DataType::ALL.into_iter().find(|data_type| data_type.oid() == oid)
}

fn malformed() -> Error {
    Error::new(SqlState::PROTOCOL_VIOLATION, "the packed parameters are malformed")
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let taken = self.rest.get(..count).ok_or_else(malformed)?;
        self.rest = &self.rest[count..];
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use crate::sql::types::data_type::SqlType;
    use crate::sql::types::datum::Numeric;

    fn column(data_type: DataType) -> ResultColumn {
        ResultColumn {
            name: String::new(),
            sql_type: SqlType::plain(data_type),
            nullable: true,
            origin: None,
        }
    }

    #[test]
    fn a_row_fits_into_the_bytes_that_it_counts_and_into_no_fewer() {
        let (types, values): (Vec<DataType>, Vec<Datum>) = [
            (DataType::BigInt, Datum::BigInt(-7)),
            (DataType::Integer, Datum::Integer(1 << 20)),
            (DataType::SmallInt, Datum::SmallInt(3)),
            (DataType::Boolean, Datum::Boolean(true)),
            (DataType::Double, Datum::Double(0.5)),
            (DataType::Text, Datum::Text("text \u{e9}".into())),
            (DataType::Bytea, Datum::Bytes(vec![0, 255, 7].into())),
            (DataType::Numeric, Datum::Numeric(Numeric::new(-123_456_789, 4))),
            (DataType::Timestamp, Datum::Timestamp(1_000_000)),
            (DataType::Date, Datum::Date(-1)),
            (DataType::Text, Datum::Null),
        ]
        .into_iter()
        .unzip();
        let columns: Vec<ResultColumn> = types.into_iter().map(column).collect();
        let mut scratch = vec![1, 2, 3];
        let needed = row_bytes(&values, &columns, &mut scratch);
        let mut room = vec![0; needed + 9];
        assert_eq!(write_row(&values, &columns, &mut room, &mut scratch), Some(needed));
        for short in 0..needed {
            assert_eq!(write_row(&values, &columns, &mut room[..short], &mut scratch), None, "{short}");
        }
        assert_eq!(write_row(&values, &columns, &mut room[..needed], &mut scratch), Some(needed));
        let mut expected = (columns.len() as i16).to_be_bytes().to_vec();
        for (value, column) in values.iter().zip(&columns) {
            let mut bytes = Vec::new();
            binary::encode(value.as_ref(), column.sql_type.data_type, &mut bytes);
            let length = if value.is_null() { -1 } else { bytes.len() as i32 };
            expected.extend_from_slice(&length.to_be_bytes());
            expected.extend_from_slice(&bytes);
        }
        assert_eq!(room[..needed], expected);
    }

    #[test]
    fn malformed_parameters_are_an_error_and_never_a_panic() {
        let mut out = Vec::new();
        for seed in 1..5000 {
            let mut random = Random::new(seed);
            let bytes: Vec<u8> = (0..random.below(40)).map(|_| random.below(30) as u8).collect();
            let _ = decode_parameters(&bytes, &mut out);
        }
        assert!(decode_parameters(&[0, 1], &mut out).is_err());
        assert!(decode_parameters(&[0, 0, 9], &mut out).is_err());
        assert!(decode_parameters(&[0, 0], &mut out).is_ok());
    }

    #[test]
    fn typed_untyped_and_null_parameters_are_read() {
        let mut bytes = vec![0, 3];
        bytes.extend_from_slice(&20u32.to_be_bytes());
        bytes.extend_from_slice(&8i32.to_be_bytes());
        bytes.extend_from_slice(&7i64.to_be_bytes());
        bytes.extend_from_slice(&0u32.to_be_bytes());
        bytes.extend_from_slice(&2i32.to_be_bytes());
        bytes.extend_from_slice(b"42");
        bytes.extend_from_slice(&25u32.to_be_bytes());
        bytes.extend_from_slice(&(-1i32).to_be_bytes());
        let mut out = Vec::new();
        decode_parameters(&bytes, &mut out).unwrap();
        assert!(matches!(out[0], Datum::BigInt(7)));
        assert!(matches!(&out[1], Datum::Text(text) if &**text == "42"));
        assert!(out[2].is_null());
    }
}

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
use crate::sql::evaluate::row::{RowSink, RowSource};
use crate::sql::types::binary;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;
use crate::sql::types::packed;

/// What has so few bytes is not charged.
const SHORT_BYTES: usize = 64 << 10;

/// Takes the short path's rows: whole rows into the caller's buffer, the rest aside.
#[derive(Debug)]
pub(crate) struct PackedSink<'a> {
    /// Values of a row; what gives rows may have more.
    count: usize,
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
        (values, count): (&dyn RowSource, usize),
        scratch: &mut Vec<u8>,
        memory: &Arc<MemoryAccount>,
    ) -> Result<()> {
        let start = self.bytes.len();
        let end = start + packed::row_bytes(count, |index| values.datum(index), scratch);
        if end > SHORT_BYTES {
            self.memory.get_or_insert_with(|| memory.reservation()).resize(end)?;
        }
        self.bytes.resize(end, 0);
        if values.write_packed(count, &mut self.bytes[start..], scratch).is_none() {
            return Err(Error::internal("a row has more bytes than were counted"));
        }
        self.ends.push(end);
        Ok(())
    }
}

impl<'a> PackedSink<'a> {
    pub(crate) fn new(
        count: usize,
        buffer: &'a mut [u8],
        scratch: &'a mut Vec<u8>,
        memory: &'a Arc<MemoryAccount>,
    ) -> PackedSink<'a> {
        PackedSink { count, buffer, scratch, used: 0, rows: 0, rest: PackedRest::default(), memory }
    }
}

impl RowSink for PackedSink<'_> {
    fn row(&mut self, values: &dyn RowSource, count: usize) -> Result<()> {
        if self.offer(values, count)? {
            return Ok(());
        }
        self.rest.push((values, self.count), self.scratch, self.memory)
    }

    fn offer(&mut self, values: &dyn RowSource, _count: usize) -> Result<bool> {
        let room = if self.rest.ends.is_empty() { &mut self.buffer[self.used..] } else { &mut [] };
        let Some(bytes) = values.write_packed(self.count, room, self.scratch) else { return Ok(false) };
        self.used += bytes;
        self.rows += 1;
        Ok(true)
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

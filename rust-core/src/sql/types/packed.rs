//! Rows as the body of a PostgreSQL DataRow in binary: column count (i16), then for each column its length (i32, −1 for
//! NULL) and PostgreSQL's binary form of the value; all numbers big-endian.

use crate::sql::types::binary;
use crate::sql::types::datum::DatumRef;

/// Writes a row of `count` values to the beginning of `room` and gives its bytes; `None`: there is not room enough, what
/// `room` has is void. `scratch` is for values of rarer types.
#[inline]
pub fn write_row<'v>(
    count: usize,
    value: impl Fn(usize) -> DatumRef<'v>,
    room: &mut [u8],
    scratch: &mut Vec<u8>,
) -> Option<usize> {
    let mut room = Room { bytes: room, used: 0 };
    room.put((count as i16).to_be_bytes())?;
    for index in 0..count {
        room.put_value(value(index), scratch)?;
    }
    Some(room.used)
}

/// The bytes that [`write_row`] needs.
pub fn row_bytes<'v>(count: usize, value: impl Fn(usize) -> DatumRef<'v>, scratch: &mut Vec<u8>) -> usize {
    let value_bytes = |index: usize| match value(index) {
        DatumRef::Null => 0,
        DatumRef::Text(text) => text.len(),
        DatumRef::Bytes(bytes) => bytes.len(),
        other => {
            scratch.clear();
            binary::encode(other, other.natural_type(), scratch);
            scratch.len()
        }
    };
    2 + 4 * count + (0..count).map(value_bytes).sum::<usize>()
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
    fn put_value(&mut self, value: DatumRef<'_>, scratch: &mut Vec<u8>) -> Option<()> {
        match value {
            DatumRef::Null => self.put((-1i32).to_be_bytes()),
            DatumRef::BigInt(number) => self.put_fixed(number.to_be_bytes()),
            DatumRef::Integer(number) => self.put_fixed(number.to_be_bytes()),
            DatumRef::Double(number) => self.put_fixed(number.to_bits().to_be_bytes()),
            DatumRef::Text(text) => self.put_bytes(text.as_bytes()),
            DatumRef::Bytes(bytes) => self.put_bytes(bytes),
            other => {
                scratch.clear();
                binary::encode(other, other.natural_type(), scratch);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::datum::{Datum, Numeric};

    #[test]
    fn a_row_fits_into_the_bytes_that_it_counts_and_into_no_fewer() {
        let values = [
            Datum::BigInt(-7),
            Datum::Integer(1 << 20),
            Datum::SmallInt(3),
            Datum::Boolean(true),
            Datum::Double(0.5),
            Datum::Text("text \u{e9}".into()),
            Datum::Bytes(vec![0, 255, 7].into()),
            Datum::Numeric(Numeric::new(-123_456_789, 4)),
            Datum::Timestamp(1_000_000),
            Datum::Date(-1),
            Datum::Null,
        ];
        let value = |index: usize| values[index].as_ref();
        let (count, mut scratch) = (values.len(), vec![1, 2, 3]);
        let needed = row_bytes(count, value, &mut scratch);
        let mut room = vec![0; needed + 9];
        assert_eq!(write_row(count, value, &mut room, &mut scratch), Some(needed));
        for short in 0..needed {
            assert_eq!(write_row(count, value, &mut room[..short], &mut scratch), None, "{short}");
        }
        assert_eq!(write_row(count, value, &mut room[..needed], &mut scratch), Some(needed));
        let mut expected = (count as i16).to_be_bytes().to_vec();
        for value in &values {
            let mut bytes = Vec::new();
            binary::encode(value.as_ref(), value.as_ref().natural_type(), &mut bytes);
            let length = if value.is_null() { -1 } else { bytes.len() as i32 };
            expected.extend_from_slice(&length.to_be_bytes());
            expected.extend_from_slice(&bytes);
        }
        assert_eq!(room[..needed], expected);
    }
}

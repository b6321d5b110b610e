//! Values as PostgreSQL's binary format has them, which Lumos speaks too. Knows no engine.

use crate::side::Field;

/// Object identifiers of types.
pub mod oid {
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const FLOAT8: u32 = 701;
    pub const NUMERIC: u32 = 1700;
}

/// A value of a type. Numerics are taken for whole numbers, which all of ours are.
pub fn field(type_oid: u32, bytes: Option<&[u8]>) -> Field<'_> {
    match (type_oid, bytes) {
        (_, None) => Field::Null,
        (oid::INT8, Some(bytes)) => Field::Integer(i64::from_be_bytes(exactly(bytes))),
        (oid::INT4, Some(bytes)) => Field::Integer(i32::from_be_bytes(exactly(bytes)).into()),
        (oid::INT2, Some(bytes)) => Field::Integer(i16::from_be_bytes(exactly(bytes)).into()),
        (oid::FLOAT8, Some(bytes)) => Field::Double(f64::from_be_bytes(exactly(bytes))),
        (oid::NUMERIC, Some(bytes)) => Field::Integer(numeric(bytes)),
        (_, Some(bytes)) => Field::Bytes(bytes),
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("a number of its type's width")
}

/// A whole number in the binary form of numeric.
fn numeric(bytes: &[u8]) -> i64 {
    let word = |at: usize| i64::from(i16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let (digits, weight, sign) = (word(0), word(2), word(4));
    let mut value = 0;
    for index in 0..=weight {
        value = value * 10_000 + if index < digits { word(8 + 2 * index as usize) } else { 0 };
    }
    if sign == 0 { value } else { -value }
}

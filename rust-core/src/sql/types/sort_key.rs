//! Memcomparable keys: bytes whose order is the order of values. Index keys and sort keys are made of them.
//!
//! A value is a marker byte (NULL or not, by the wanted place of NULLs) and a self-delimiting body, inverted for
//! descending order; so the keys of several columns can simply follow each other.

use crate::sql::types::compare::interval_key;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{DatumRef, Numeric, NumericKind};
use crate::sql::types::text::trim_blanks;

const NULL_FIRST: u8 = 0;
const VALUE: u8 = 1;
const NULL_LAST: u8 = 2;

/// Appends the key of `value`, of type `data_type`, to `out`.
/// Byte order of the results is the order of [`crate::sql::types::compare::compare`], reversed when
/// `descending`; NULLs come first or last as told, whatever the direction. Equal values have equal keys.
#[inline]
pub fn encode(
    value: DatumRef<'_>,
    data_type: DataType,
    descending: bool,
    nulls_first: bool,
    out: &mut Vec<u8>,
) {
    if value.is_null() {
        out.push(if nulls_first { NULL_FIRST } else { NULL_LAST });
        return;
    }
    out.push(VALUE);
    let start = out.len();
    encode_value(value, data_type, out);
    if descending {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

fn encode_value(value: DatumRef<'_>, data_type: DataType, out: &mut Vec<u8>) {
    match value {
        DatumRef::Null => {}
        DatumRef::Boolean(v) => out.push(u8::from(v)),
        DatumRef::SmallInt(v) => out.extend_from_slice(&(v as u16 ^ 1 << 15).to_be_bytes()),
        DatumRef::Integer(v) | DatumRef::Date(v) => {
            out.extend_from_slice(&(v as u32 ^ 1 << 31).to_be_bytes())
        }
        DatumRef::BigInt(v) | DatumRef::Timestamp(v) | DatumRef::TimestampTz(v) => {
            out.extend_from_slice(&(v as u64 ^ 1 << 63).to_be_bytes());
        }
        DatumRef::Real(v) => {
            let bits = if v.is_nan() { f32::NAN.to_bits() } else { (v + 0.0).to_bits() };
            let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        DatumRef::Double(v) => {
            let bits = if v.is_nan() { f64::NAN.to_bits() } else { (v + 0.0).to_bits() };
            let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        DatumRef::Numeric(v) => encode_numeric(v, out),
        DatumRef::Text(v) if data_type == DataType::Char => encode_bytes(trim_blanks(v).as_bytes(), out),
        DatumRef::Text(v) => encode_bytes(v.as_bytes(), out),
        DatumRef::Bytes(v) => encode_bytes(v, out),
        DatumRef::Interval(v) => {
            out.extend_from_slice(&(interval_key(v) as u128 ^ 1 << 127).to_be_bytes());
        }
    }
}

/// The bytes with 0 as 0 FF, ended by 0 0: shorter strings sort before their extensions.
fn encode_bytes(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let Some(zero) = memchr::memchr(0, bytes) {
        out.extend_from_slice(&bytes[..=zero]);
        out.push(0xFF);
        bytes = &bytes[zero + 1..];
    }
    out.extend_from_slice(bytes);
    out.extend_from_slice(&[0, 0]);
}

/// Class, decimal exponent, then pairs of digits: `2 × pair + 1`, the last one `2 × pair`. Negative numbers have
/// exponent and digits inverted. Scale does not show.
fn encode_numeric(value: Numeric, out: &mut Vec<u8>) {
    let class = match value.kind {
        NumericKind::NegativeInfinity => 0,
        NumericKind::Finite => (2 + value.mantissa.signum()) as u8,
        NumericKind::PositiveInfinity => 4,
        NumericKind::NotANumber => 5,
    };
    out.push(class);
    if !value.is_finite() || value.mantissa == 0 {
        return;
    }
    let start = out.len();
    let (mantissa, scale) = value.normalized();
    let magnitude = mantissa.unsigned_abs();
    let mut digits = magnitude.ilog10() + 1;
    // The value is 0.d1d2d3… × 10^exponent; −37 ≤ exponent ≤ 76.
    let exponent = digits as i32 - scale;
    out.push((exponent + 128) as u8);
    let mut rest = magnitude;
    if digits % 2 == 1 {
        // 39 digits fit into 128 bits as long as the first is small: the mantissa has at most 38.
        rest *= 10;
        digits += 1;
    }
    let mut divisor = 10u128.pow(digits - 2);
    loop {
        let pair = (rest / divisor) as u8;
        rest %= divisor;
        if rest == 0 {
            out.push(2 * pair);
            break;
        }
        out.push(2 * pair + 1);
        divisor /= 100;
    }
    if value.mantissa < 0 {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

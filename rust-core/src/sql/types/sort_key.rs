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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use crate::sql::types::compare::{compare, hash};
    use crate::sql::types::datum::{Datum, Interval};
    use std::cmp::Ordering;

    /// A value of `data_type`, often one that is special or near another.
    fn random_value(random: &mut Random, data_type: DataType) -> Datum {
        let small = random.below(7) as i64 - 3;
        let whole = match random.below(4) {
            0 => random.next_u64() as i64,
            1 => i64::MIN + random.below(2) as i64,
            _ => small,
        };
        let double = *[
            0.0,
            -0.0,
            f64::NAN,
            -f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            small as f64 / 2.0,
            whole as f64,
        ]
        .get(random.below(8) as usize)
        .unwrap();
        let text: String =
            (0..random.below(5)).map(|_| ['a', 'b', ' ', '\0', 'é'][random.below(5) as usize]).collect();
        match data_type {
            DataType::Boolean => Datum::Boolean(small > 0),
            DataType::SmallInt => Datum::SmallInt(whole as i16),
            DataType::Integer => Datum::Integer(whole as i32),
            DataType::BigInt => Datum::BigInt(whole),
            DataType::Real => Datum::Real(double as f32),
            DataType::Double => Datum::Double(double),
            DataType::Numeric => Datum::Numeric(match random.below(12) {
                0 => Numeric::NAN,
                1 => Numeric::INFINITY,
                2 => Numeric::NEGATIVE_INFINITY,
                3 => Numeric::new(
                    i128::from(whole) * i128::from(random.next_u64() >> 4),
                    random.below(39) as u16,
                ),
                4 => Numeric::new((10i128.pow(38) - 1) * small.signum() as i128, random.below(39) as u16),
                _ => Numeric::new(
                    i128::from(small) * 10i128.pow(random.below(6) as u32),
                    random.below(6) as u16,
                ),
            }),
            DataType::Bytea => Datum::Bytes(text.as_bytes().into()),
            DataType::Date => Datum::Date(whole as i32),
            DataType::Timestamp => Datum::Timestamp(whole),
            DataType::TimestampTz => Datum::TimestampTz(whole),
            DataType::Interval => Datum::Interval(Interval {
                months: small as i32,
                days: (small * 30) as i32 - random.below(60) as i32,
                micros: random.below(3) as i64 * 86_400_000_000 * 15
                    + if random.below(9) == 0 { whole } else { 0 },
            }),
            _ => Datum::text(&text),
        }
    }

    #[test]
    fn order_hash_and_keys_agree_for_every_type() {
        let mut random = Random::new(42);
        for data_type in DataType::ALL {
            for round in 0..4000 {
                let [a, b, c] = [0; 3].map(|_| random_value(&mut random, data_type));
                let (a, b, c) = (a.as_ref(), b.as_ref(), c.as_ref());
                let order = |x, y| compare(x, y, data_type);
                let context = format!("seed 42 {data_type:?} round {round}: {a:?} {b:?} {c:?}");
                assert_eq!(order(a, b), order(b, a).reverse(), "{context}");
                assert_eq!(order(a, a), Ordering::Equal, "{context}");
                if order(a, b).is_le() && order(b, c).is_le() {
                    assert!(order(a, c).is_le(), "{context}");
                }
                if order(a, b).is_eq() {
                    assert_eq!(hash(a, data_type), hash(b, data_type), "{context}");
                }
                for descending in [false, true] {
                    // A second column behind shows whether the first one delimits itself.
                    let key = |x, y| {
                        let mut key = Vec::new();
                        encode(x, data_type, descending, false, &mut key);
                        encode(y, data_type, false, false, &mut key);
                        key
                    };
                    let first = if descending { order(a, b).reverse() } else { order(a, b) };
                    assert_eq!(key(a, c).cmp(&key(b, a)), first.then(order(c, a)), "{context}");
                }
            }
        }
    }

    #[test]
    fn nulls_come_where_they_are_told() {
        let key = |value: DatumRef<'_>, descending, nulls_first| {
            let mut key = Vec::new();
            encode(value, DataType::Integer, descending, nulls_first, &mut key);
            key
        };
        for descending in [false, true] {
            for value in [i32::MIN, 0, i32::MAX] {
                let value = DatumRef::Integer(value);
                assert!(key(DatumRef::Null, descending, true) < key(value, descending, true));
                assert!(key(DatumRef::Null, descending, false) > key(value, descending, false));
            }
        }
    }
}

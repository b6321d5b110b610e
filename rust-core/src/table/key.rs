//! Keys whose bytes sort as their values do, so that a tree needs no comparison function.
//!
//! A column of an index key is a marker (NULL first, value, NULL last) and, unless it is NULL, the value;
//! the bytes of a value in descending order are inverted. Every value delimits itself, so composite keys
//! sort column by column and no key's values are a prefix of another's.
//! Knows values and bytes. Knows no trees.

use crate::common::ids::RowId;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{DatumRef, Interval, Numeric, NumericKind};

/// Marker of a NULL that sorts before values.
pub const MARKER_NULL_FIRST: u8 = 0;
/// Marker of a value.
pub const MARKER_VALUE: u8 = 1;
/// Marker of a NULL that sorts after values.
pub const MARKER_NULL_LAST: u8 = 2;

/// Bytes of a row id as a key.
pub const ROW_ID_BYTES: usize = 8;

/// A row id as a key: big-endian with the sign flipped.
#[inline]
pub fn row_id_key(row: RowId) -> [u8; ROW_ID_BYTES] {
    ((row.0 as u64) ^ (1 << 63)).to_be_bytes()
}

/// The row id of a key; `None` when it is not one.
#[inline]
pub fn row_id_of_key(key: &[u8]) -> Option<RowId> {
    let bytes: [u8; ROW_ID_BYTES] = key.try_into().ok()?;
    Some(RowId((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64))
}

/// Order of a key column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyOrder {
    /// Descending values.
    pub descending: bool,
    /// NULLs before values.
    pub nulls_first: bool,
}

/// Appends a value (of a column of type `data_type`) to a key.
pub fn append_value(key: &mut Vec<u8>, value: DatumRef<'_>, data_type: DataType, order: KeyOrder) {
    if value.is_null() {
        key.push(if order.nulls_first { MARKER_NULL_FIRST } else { MARKER_NULL_LAST });
        return;
    }
    key.push(MARKER_VALUE);
    let start = key.len();
    append_ascending(key, value, data_type);
    if order.descending {
        key[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

fn append_ascending(key: &mut Vec<u8>, value: DatumRef<'_>, data_type: DataType) {
    match value {
        DatumRef::Null => {}
        DatumRef::Boolean(v) => key.push(u8::from(v)),
        DatumRef::SmallInt(v) => key.extend_from_slice(&((v as u16) ^ (1 << 15)).to_be_bytes()),
        DatumRef::Integer(v) | DatumRef::Date(v) => {
            key.extend_from_slice(&((v as u32) ^ (1 << 31)).to_be_bytes());
        }
        DatumRef::BigInt(v) | DatumRef::Timestamp(v) | DatumRef::TimestampTz(v) => {
            key.extend_from_slice(&((v as u64) ^ (1 << 63)).to_be_bytes());
        }
        DatumRef::Real(v) => {
            let bits = if v.is_nan() { u32::MAX >> 1 } else { (v + 0.0).to_bits() };
            let flip = if bits >> 31 == 1 { u32::MAX } else { 1 << 31 };
            key.extend_from_slice(&(bits ^ flip).to_be_bytes());
        }
        DatumRef::Double(v) => {
            // Adding zero turns −0 into 0; one NaN, above all numbers, stands for all of them.
            let bits = if v.is_nan() { u64::MAX >> 1 } else { (v + 0.0).to_bits() };
            let flip = if bits >> 63 == 1 { u64::MAX } else { 1 << 63 };
            key.extend_from_slice(&(bits ^ flip).to_be_bytes());
        }
        DatumRef::Numeric(v) => append_numeric(key, &v),
        DatumRef::Text(text) => {
            // Text has no NUL, so one ends it. Trailing blanks of `character` do not count.
            let text = if data_type == DataType::Char { text.trim_end_matches(' ') } else { text };
            key.extend_from_slice(text.as_bytes());
            key.push(0);
        }
        DatumRef::Bytes(bytes) => append_escaped(key, bytes),
        DatumRef::Interval(v) => {
            key.extend_from_slice(&((interval_micros(v) as u128) ^ (1 << 127)).to_be_bytes());
        }
    }
}

/// A zero becomes 00 FF and the end is 00 00, so that a prefix sorts before what it begins.
fn append_escaped(key: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.split_inclusive(|byte| *byte == 0) {
        key.extend_from_slice(part);
        if part.last() == Some(&0) {
            key.push(0xFF);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

/// What PostgreSQL compares intervals by: a month is 30 days, a day is 24 hours.
fn interval_micros(value: Interval) -> i128 {
    (i128::from(value.months) * 30 + i128::from(value.days)) * 86_400_000_000 + i128::from(value.micros)
}

const NUMERIC_NEGATIVE_INFINITY: u8 = 1;
const NUMERIC_NEGATIVE: u8 = 2;
const NUMERIC_ZERO: u8 = 3;
const NUMERIC_POSITIVE: u8 = 4;
const NUMERIC_POSITIVE_INFINITY: u8 = 5;
const NUMERIC_NAN: u8 = 6;

/// Class; then, for other numbers than zero, the decimal exponent of the first digit and the digits two a byte
/// (1 to 100, 0 ends them) without trailing zeros, inverted for negative numbers. Scale does not matter.
fn append_numeric(key: &mut Vec<u8>, value: &Numeric) {
    let class = match value.kind {
        NumericKind::NegativeInfinity => NUMERIC_NEGATIVE_INFINITY,
        NumericKind::PositiveInfinity => NUMERIC_POSITIVE_INFINITY,
        NumericKind::NotANumber => NUMERIC_NAN,
        NumericKind::Finite => match value.mantissa.signum() {
            -1 => NUMERIC_NEGATIVE,
            0 => NUMERIC_ZERO,
            _ => NUMERIC_POSITIVE,
        },
    };
    key.push(class);
    if !matches!(class, NUMERIC_NEGATIVE | NUMERIC_POSITIVE) {
        return;
    }
    let start = key.len();
    // At most 39 digits, least significant first, then turned round.
    let mut digits = [0u8; 40];
    let mut count = 0;
    let mut rest = value.mantissa.unsigned_abs();
    while rest != 0 {
        digits[count] = (rest % 10) as u8;
        rest /= 10;
        count += 1;
    }
    digits[..count].reverse();
    let exponent = count as i32 - i32::from(value.scale);
    key.extend_from_slice(&((exponent + (1 << 15)) as u16).to_be_bytes());
    let significant = digits[..count].iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    for pair in digits[..significant].chunks(2) {
        key.push(pair[0] * 10 + pair.get(1).copied().unwrap_or(0) + 1);
    }
    key.push(0);
    if class == NUMERIC_NEGATIVE {
        key[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The least key above every key that begins with `prefix`; `None` when there is none (all bytes 255).
pub fn prefix_successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut successor = prefix[..=last].to_vec();
    successor[last] += 1;
    Some(successor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use crate::sql::types::datum::Datum;
    use std::cmp::Ordering;

    const ASCENDING: KeyOrder = KeyOrder { descending: false, nulls_first: false };

    fn key(value: DatumRef<'_>, order: KeyOrder) -> Vec<u8> {
        let mut key = Vec::new();
        append_value(&mut key, value, value.natural_type(), order);
        key
    }

    /// Values in strictly ascending order must give keys in strictly ascending order.
    fn check_ascending(values: &[DatumRef<'_>]) {
        for pair in values.windows(2) {
            assert!(key(pair[0], ASCENDING) < key(pair[1], ASCENDING), "{pair:?}");
            let descending = KeyOrder { descending: true, nulls_first: true };
            assert!(key(pair[0], descending) > key(pair[1], descending), "{pair:?} descending");
        }
    }

    fn number(mantissa: i128, scale: u16) -> Numeric {
        Numeric { mantissa, scale, kind: NumericKind::Finite }
    }

    fn special(kind: NumericKind) -> Numeric {
        Numeric { mantissa: 0, scale: 0, kind }
    }

    #[test]
    fn floats_sort_with_nan_above_all_and_zeros_equal() {
        check_ascending(&[
            DatumRef::Double(f64::NEG_INFINITY),
            DatumRef::Double(-1.5),
            DatumRef::Double(-1e-300),
            DatumRef::Double(0.0),
            DatumRef::Double(5e-324),
            DatumRef::Double(2.0),
            DatumRef::Double(f64::INFINITY),
            DatumRef::Double(f64::NAN),
        ]);
        assert_eq!(key(DatumRef::Double(-0.0), ASCENDING), key(DatumRef::Double(0.0), ASCENDING));
        assert_eq!(key(DatumRef::Real(-0.0), ASCENDING), key(DatumRef::Real(0.0), ASCENDING));
        assert_eq!(key(DatumRef::Double(-f64::NAN), ASCENDING), key(DatumRef::Double(f64::NAN), ASCENDING));
    }

    #[test]
    fn numerics_sort_by_value_whatever_their_scale() {
        let values = [
            special(NumericKind::NegativeInfinity),
            number(-(10i128.pow(38) - 1), 0),
            number(-1001, 1),
            number(-1000, 1),
            number(-999, 1),
            number(-1, 20),
            number(0, 5),
            number(1, 20),
            number(1, 0),
            number(11, 1),
            number(111, 2),
            number(12, 1),
            number(99, 0),
            number(100, 0),
            number(10i128.pow(38) - 1, 0),
            special(NumericKind::PositiveInfinity),
            special(NumericKind::NotANumber),
        ];
        check_ascending(&values.map(DatumRef::Numeric));
        let one = key(DatumRef::Numeric(number(1, 0)), ASCENDING);
        assert_eq!(one, key(DatumRef::Numeric(number(1000, 3)), ASCENDING));
        assert!(key(DatumRef::Numeric(number(i128::MIN, 0)), ASCENDING) < one);
    }

    #[test]
    fn random_numerics_compare_as_their_keys() {
        let mut random = Random::new(5);
        let mut draw = || {
            let mantissa = i128::from(random.next_u64() as i64 % 10i64.pow(1 + random.below(17) as u32));
            number(mantissa, random.below(12) as u16)
        };
        for _ in 0..3000 {
            let (a, b) = (draw(), draw());
            let scaled = |n: &Numeric| n.mantissa * 10i128.pow(u32::from(12 - n.scale));
            let keys = key(DatumRef::Numeric(a), ASCENDING).cmp(&key(DatumRef::Numeric(b), ASCENDING));
            assert_eq!(scaled(&a).cmp(&scaled(&b)), keys, "{a:?} {b:?}");
        }
    }

    #[test]
    fn integers_dates_intervals_and_booleans_sort_by_value() {
        check_ascending(&[i16::MIN, -1, 0, 1, i16::MAX].map(DatumRef::SmallInt));
        check_ascending(&[i32::MIN, -1, 0, 1, i32::MAX].map(DatumRef::Integer));
        check_ascending(&[i64::MIN, -1, 0, 1, i64::MAX].map(DatumRef::BigInt));
        check_ascending(&[i32::MIN, -1, 0, 1, i32::MAX].map(DatumRef::Date));
        check_ascending(&[false, true].map(DatumRef::Boolean));
        let span = |months, days, micros| DatumRef::Interval(Interval { months, days, micros });
        check_ascending(&[
            span(-1, 0, 0),
            span(0, -29, 0),
            span(0, 0, -1),
            span(0, 0, 0),
            span(0, 29, 1),
            span(1, 0, 0),
        ]);
        assert_eq!(key(span(1, 0, 0), ASCENDING), key(span(0, 30, 0), ASCENDING));
    }

    /// A composite of random text and bytea sorts as the tuple, in every direction and with NULLs.
    #[test]
    fn composite_keys_sort_as_their_tuples() {
        let mut random = Random::new(9);
        let piece = |random: &mut Random| -> Option<Vec<u8>> {
            (random.below(6) != 0).then(|| (0..random.below(4)).map(|_| random.below(3) as u8).collect())
        };
        for round in 0..4000 {
            let order = [
                KeyOrder { descending: round & 1 != 0, nulls_first: round & 2 != 0 },
                KeyOrder { descending: round & 4 != 0, nulls_first: round & 8 != 0 },
            ];
            let tuples = [[piece(&mut random), piece(&mut random)], [piece(&mut random), piece(&mut random)]];
            let keys = tuples.each_ref().map(|tuple| {
                let mut key = Vec::new();
                for (value, order) in tuple.iter().zip(order) {
                    match value {
                        None => append_value(&mut key, DatumRef::Null, DataType::Bytea, order),
                        Some(bytes) => append_value(&mut key, DatumRef::Bytes(bytes), DataType::Bytea, order),
                    }
                }
                key
            });
            let mut expected = Ordering::Equal;
            for column in 0..2 {
                let (a, b) = (&tuples[0][column], &tuples[1][column]);
                let nulls = if order[column].nulls_first { Ordering::Less } else { Ordering::Greater };
                let one = match (a, b) {
                    (None, None) => Ordering::Equal,
                    (None, _) => nulls,
                    (_, None) => nulls.reverse(),
                    (Some(a), Some(b)) if order[column].descending => b.cmp(a),
                    (Some(a), Some(b)) => a.cmp(b),
                };
                expected = expected.then(one);
            }
            assert_eq!(keys[0].cmp(&keys[1]), expected, "{tuples:?} {order:?}");
        }
    }

    #[test]
    fn text_sorts_by_its_bytes_and_characters_without_their_padding() {
        check_ascending(&["", "a", "a\u{1}", "a b", "ab", "b", "ä"].map(DatumRef::Text));
        let (mut padded, mut plain) = (Vec::new(), Vec::new());
        append_value(&mut padded, DatumRef::Text("ab   "), DataType::Char, ASCENDING);
        append_value(&mut plain, DatumRef::Text("ab"), DataType::Char, ASCENDING);
        assert_eq!(padded, plain);
        assert_eq!(Datum::text("x").as_ref().natural_type(), DataType::Text);
    }

    #[test]
    fn row_ids_sort_as_keys_and_read_back() {
        let ids = [i64::MIN, -5, 0, 7, i64::MAX].map(RowId);
        assert!(ids.windows(2).all(|pair| row_id_key(pair[0]) < row_id_key(pair[1])));
        assert!(ids.iter().all(|id| row_id_of_key(&row_id_key(*id)) == Some(*id)));
        assert_eq!(row_id_of_key(b"short"), None);
    }

    #[test]
    fn the_successor_of_a_prefix_is_above_all_it_begins() {
        assert_eq!(prefix_successor(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(prefix_successor(&[255]), None);
    }
}

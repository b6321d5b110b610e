//! The order of values, as PostgreSQL's btree operator classes have it (text by bytes: collation C), and hashes
//! that agree with it.

use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{DatumRef, Interval, Numeric, NumericKind};
use crate::sql::types::text::trim_blanks;
use std::cmp::Ordering;

/// Orders two values of type `data_type`; NULL equals NULL and comes after everything.
/// # Panics
/// When the values are of different types: the binder's casts make them equal.
#[inline]
pub fn compare(left: DatumRef<'_>, right: DatumRef<'_>, data_type: DataType) -> Ordering {
    use DatumRef as D;
    match (left, right) {
        (D::Null, D::Null) => Ordering::Equal,
        (D::Null, _) => Ordering::Greater,
        (_, D::Null) => Ordering::Less,
        (D::Boolean(l), D::Boolean(r)) => l.cmp(&r),
        (D::SmallInt(l), D::SmallInt(r)) => l.cmp(&r),
        (D::Integer(l), D::Integer(r)) | (D::Date(l), D::Date(r)) => l.cmp(&r),
        (D::BigInt(l), D::BigInt(r))
        | (D::Timestamp(l), D::Timestamp(r))
        | (D::TimestampTz(l), D::TimestampTz(r)) => l.cmp(&r),
        (D::Real(l), D::Real(r)) => compare_f64(f64::from(l), f64::from(r)),
        (D::Double(l), D::Double(r)) => compare_f64(l, r),
        (D::Numeric(l), D::Numeric(r)) => l.compare(r),
        (D::Text(l), D::Text(r)) if data_type == DataType::Char => {
            trim_blanks(l).as_bytes().cmp(trim_blanks(r).as_bytes())
        }
        (D::Text(l), D::Text(r)) => l.as_bytes().cmp(r.as_bytes()),
        (D::Bytes(l), D::Bytes(r)) => l.cmp(r),
        (D::Interval(l), D::Interval(r)) => interval_key(l).cmp(&interval_key(r)),
        (left, right) => panic!("{left:?} compared with {right:?}"),
    }
}

/// Whether two values of type `data_type` are the same; NULL is the same as NULL.
#[inline]
pub fn equal(left: DatumRef<'_>, right: DatumRef<'_>, data_type: DataType) -> bool {
    compare(left, right, data_type) == Ordering::Equal
}

/// Order of doubles: −0 equals 0, NaN equals NaN and is above infinity.
#[inline]
pub fn compare_f64(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

/// What intervals are ordered by: microseconds with months of 30 days and days of 24 hours.
#[inline]
pub fn interval_key(value: Interval) -> i128 {
    (i128::from(value.months) * 30 + i128::from(value.days)) * 86_400_000_000 + i128::from(value.micros)
}

/// The hash of NULL.
pub const NULL_HASH: u64 = 0x5EED_0000_0000_0001;

/// Mixes 64 bits: both halves of a product with an odd constant.
#[inline]
pub const fn mix(value: u64) -> u64 {
    let product = (value ^ 0x9E37_79B9_7F4A_7C15) as u128 * 0xA076_1D64_78BD_642F;
    (product as u64) ^ ((product >> 64) as u64)
}

/// Joins the hash of one more column to that of the columns before it.
#[inline]
pub const fn combine(hash: u64, next: u64) -> u64 {
    mix(hash.rotate_left(23) ^ next)
}

/// Hash of an integer of any width; dates and timestamps too.
#[inline]
pub const fn hash_i64(value: i64) -> u64 {
    mix(value as u64)
}

/// Hash of a double: −0 as 0, every NaN alike.
#[inline]
pub fn hash_f64(value: f64) -> u64 {
    let canonical = if value.is_nan() { f64::NAN } else { value + 0.0 };
    mix(if canonical == 0.0 { 0 } else { canonical.to_bits() })
}

/// Hash of a numeric; scale does not count.
#[inline]
pub fn hash_numeric(value: Numeric) -> u64 {
    if value.kind != NumericKind::Finite {
        return mix(0xF00D + value.kind as u64);
    }
    let (mantissa, scale) = value.normalized();
    combine(mix(mantissa as u64 ^ mix((mantissa >> 64) as u64)), scale as u64)
}

/// Hash of at most twelve bytes, as two words: their number and the first four, then the other eight.
#[inline]
pub const fn hash_words(first: u64, second: u64) -> u64 {
    mix(first ^ mix(second))
}

/// Hash of bytes.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    if bytes.len() <= 12 {
        let mut words = [0u8; 16];
        words[0] = bytes.len() as u8;
        words[4..4 + bytes.len()].copy_from_slice(bytes);
        let word = |at: usize| u64::from_le_bytes(words[at..at + 8].try_into().unwrap_or_default());
        return hash_words(word(0), word(8));
    }
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::fast::FixedState::with_seed(0x004C_756D_6F73).build_hasher();
    hasher.write(bytes);
    mix(hasher.finish() ^ bytes.len() as u64)
}

/// Hash of a value of type `data_type`: equal values (by [`equal`]) have equal hashes.
#[inline]
pub fn hash(value: DatumRef<'_>, data_type: DataType) -> u64 {
    match value {
        DatumRef::Null => NULL_HASH,
        DatumRef::Boolean(v) => hash_i64(i64::from(v)),
        DatumRef::SmallInt(v) => hash_i64(i64::from(v)),
        DatumRef::Integer(v) | DatumRef::Date(v) => hash_i64(i64::from(v)),
        DatumRef::BigInt(v) | DatumRef::Timestamp(v) | DatumRef::TimestampTz(v) => hash_i64(v),
        DatumRef::Real(v) => hash_f64(f64::from(v)),
        DatumRef::Double(v) => hash_f64(v),
        DatumRef::Numeric(v) => hash_numeric(v),
        DatumRef::Text(v) if data_type == DataType::Char => hash_bytes(trim_blanks(v).as_bytes()),
        DatumRef::Text(v) => hash_bytes(v.as_bytes()),
        DatumRef::Bytes(v) => hash_bytes(v),
        DatumRef::Interval(v) => {
            let key = interval_key(v);
            combine(mix(key as u64), (key >> 64) as u64)
        }
    }
}

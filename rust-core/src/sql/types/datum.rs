//! One value: owned ([`Datum`]) or borrowed ([`DatumRef`]). Knows no column layout.

use crate::sql::types::data_type::DataType;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A decimal number: `mantissa × 10^-scale`, at most 38 significant digits, or NaN or ±infinity.
/// Display scale is part of the value (`1.50` is not `1.5`); comparison ignores it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Numeric {
    /// Digits with sign. For the special values: 0.
    pub mantissa: i128,
    /// Digits after the point, 0 to 16,383 in principle, at most 38 here.
    pub scale: u16,
    /// Whether this is a number.
    pub kind: NumericKind,
}

/// Whether a [`Numeric`] is a finite number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NumericKind {
    /// A finite number.
    Finite,
    /// `NaN`: equal to itself, above every number, as in PostgreSQL.
    NotANumber,
    /// `Infinity`.
    PositiveInfinity,
    /// `-Infinity`.
    NegativeInfinity,
}

/// A span of time: the three parts are kept apart, as in PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// An owned value. Cloning is cheap: long values are shared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Datum {
    /// NULL of any type.
    Null,
    /// `boolean`.
    Boolean(bool),
    /// `smallint`.
    SmallInt(i16),
    /// `integer`.
    Integer(i32),
    /// `bigint`.
    BigInt(i64),
    /// `real`.
    Real(f32),
    /// `double precision`.
    Double(f64),
    /// `numeric`.
    Numeric(Numeric),
    /// Text, varchar, char (padded), unknown.
    Text(Arc<str>),
    /// `bytea`.
    Bytes(Arc<[u8]>),
    /// Days since 1970-01-01; `i32::MIN` and `i32::MAX` are −infinity and infinity.
    Date(i32),
    /// Microseconds since 1970-01-01 00:00:00 without a zone; `i64::MIN`, `i64::MAX` are the infinities.
    Timestamp(i64),
    /// Microseconds since 1970-01-01 00:00:00 UTC; infinities as above.
    TimestampTz(i64),
    /// `interval`.
    Interval(Interval),
}

/// A borrowed value: long values point into a page, a batch or a parameter buffer.
#[derive(Clone, Copy, Debug)]
pub enum DatumRef<'a> {
    /// NULL of any type.
    Null,
    /// `boolean`.
    Boolean(bool),
    /// `smallint`.
    SmallInt(i16),
    /// `integer`.
    Integer(i32),
    /// `bigint`.
    BigInt(i64),
    /// `real`.
    Real(f32),
    /// `double precision`.
    Double(f64),
    /// `numeric`.
    Numeric(Numeric),
    /// Text, varchar, char (padded), unknown.
    Text(&'a str),
    /// `bytea`.
    Bytes(&'a [u8]),
    /// As [`Datum::Date`].
    Date(i32),
    /// As [`Datum::Timestamp`].
    Timestamp(i64),
    /// As [`Datum::TimestampTz`].
    TimestampTz(i64),
    /// `interval`.
    Interval(Interval),
}

impl Datum {
    /// Borrows the value.
    pub fn as_ref(&self) -> DatumRef<'_> {
        match self {
            Datum::Null => DatumRef::Null,
            Datum::Boolean(v) => DatumRef::Boolean(*v),
            Datum::SmallInt(v) => DatumRef::SmallInt(*v),
            Datum::Integer(v) => DatumRef::Integer(*v),
            Datum::BigInt(v) => DatumRef::BigInt(*v),
            Datum::Real(v) => DatumRef::Real(*v),
            Datum::Double(v) => DatumRef::Double(*v),
            Datum::Numeric(v) => DatumRef::Numeric(*v),
            Datum::Text(v) => DatumRef::Text(v),
            Datum::Bytes(v) => DatumRef::Bytes(v),
            Datum::Date(v) => DatumRef::Date(*v),
            Datum::Timestamp(v) => DatumRef::Timestamp(*v),
            Datum::TimestampTz(v) => DatumRef::TimestampTz(*v),
            Datum::Interval(v) => DatumRef::Interval(*v),
        }
    }

    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// A text value.
    pub fn text(value: &str) -> Datum {
        Datum::Text(Arc::from(value))
    }
}

impl DatumRef<'_> {
    /// Bytes of a text or bytea; 0 for every other value.
    #[inline]
    pub fn long_bytes(&self) -> usize {
        match self {
            DatumRef::Text(text) => text.len(),
            DatumRef::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// Whether the values cannot be told apart by any expression, which equal ones may be: `1.0` and `1.00`.
    pub fn is_same(&self, other: &DatumRef<'_>) -> bool {
        match (self, other) {
            (DatumRef::Null, DatumRef::Null) => true,
            (DatumRef::Boolean(one), DatumRef::Boolean(other)) => one == other,
            (DatumRef::SmallInt(one), DatumRef::SmallInt(other)) => one == other,
            (DatumRef::Integer(one), DatumRef::Integer(other))
            | (DatumRef::Date(one), DatumRef::Date(other)) => one == other,
            (DatumRef::BigInt(one), DatumRef::BigInt(other))
            | (DatumRef::Timestamp(one), DatumRef::Timestamp(other))
            | (DatumRef::TimestampTz(one), DatumRef::TimestampTz(other)) => one == other,
            (DatumRef::Real(one), DatumRef::Real(other)) => one.to_bits() == other.to_bits(),
            (DatumRef::Double(one), DatumRef::Double(other)) => one.to_bits() == other.to_bits(),
            (DatumRef::Numeric(one), DatumRef::Numeric(other)) => {
                (one.mantissa, one.scale, one.kind) == (other.mantissa, other.scale, other.kind)
            }
            (DatumRef::Text(one), DatumRef::Text(other)) => one == other,
            (DatumRef::Bytes(one), DatumRef::Bytes(other)) => one == other,
            (DatumRef::Interval(one), DatumRef::Interval(other)) => one == other,
            _ => false,
        }
    }

    /// Copies the value.
    pub fn to_owned(self) -> Datum {
        match self {
            DatumRef::Null => Datum::Null,
            DatumRef::Boolean(v) => Datum::Boolean(v),
            DatumRef::SmallInt(v) => Datum::SmallInt(v),
            DatumRef::Integer(v) => Datum::Integer(v),
            DatumRef::BigInt(v) => Datum::BigInt(v),
            DatumRef::Real(v) => Datum::Real(v),
            DatumRef::Double(v) => Datum::Double(v),
            DatumRef::Numeric(v) => Datum::Numeric(v),
            DatumRef::Text(v) => Datum::Text(Arc::from(v)),
            DatumRef::Bytes(v) => Datum::Bytes(Arc::from(v)),
            DatumRef::Date(v) => Datum::Date(v),
            DatumRef::Timestamp(v) => Datum::Timestamp(v),
            DatumRef::TimestampTz(v) => Datum::TimestampTz(v),
            DatumRef::Interval(v) => Datum::Interval(v),
        }
    }

    /// Whether this is NULL.
    pub fn is_null(self) -> bool {
        matches!(self, DatumRef::Null)
    }

    /// The type that values of this variant have when nothing else is known (NULL and text: unknown/text).
    pub fn natural_type(self) -> DataType {
        match self {
            DatumRef::Null => DataType::Unknown,
            DatumRef::Boolean(_) => DataType::Boolean,
            DatumRef::SmallInt(_) => DataType::SmallInt,
            DatumRef::Integer(_) => DataType::Integer,
            DatumRef::BigInt(_) => DataType::BigInt,
            DatumRef::Real(_) => DataType::Real,
            DatumRef::Double(_) => DataType::Double,
            DatumRef::Numeric(_) => DataType::Numeric,
            DatumRef::Text(_) => DataType::Text,
            DatumRef::Bytes(_) => DataType::Bytea,
            DatumRef::Date(_) => DataType::Date,
            DatumRef::Timestamp(_) => DataType::Timestamp,
            DatumRef::TimestampTz(_) => DataType::TimestampTz,
            DatumRef::Interval(_) => DataType::Interval,
        }
    }
}

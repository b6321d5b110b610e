//! Which types there are, with PostgreSQL's names, OIDs and modifiers.

use crate::sql::types::interval_range::{IntervalRange, precision_of};
use serde::{Deserialize, Serialize};

/// A type without its modifier. The discriminants are stored in catalogs and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum DataType {
    /// An untyped literal or NULL; becomes text where nothing else decides.
    Unknown = 0,
    /// `boolean`.
    Boolean = 1,
    /// `smallint`.
    SmallInt = 2,
    /// `integer`.
    Integer = 3,
    /// `bigint`.
    BigInt = 4,
    /// `real`.
    Real = 5,
    /// `double precision`.
    Double = 6,
    /// `numeric`.
    Numeric = 7,
    /// `text`.
    Text = 8,
    /// `character varying`.
    Varchar = 9,
    /// `character`, blank-padded.
    Char = 10,
    /// `bytea`.
    Bytea = 11,
    /// `date`.
    Date = 12,
    /// `timestamp without time zone`.
    Timestamp = 13,
    /// `timestamp with time zone`.
    TimestampTz = 14,
    /// `interval`.
    Interval = 15,
}

impl DataType {
    /// Every type, for tables and tests.
    pub const ALL: [DataType; 16] = [
        DataType::Unknown,
        DataType::Boolean,
        DataType::SmallInt,
        DataType::Integer,
        DataType::BigInt,
        DataType::Real,
        DataType::Double,
        DataType::Numeric,
        DataType::Text,
        DataType::Varchar,
        DataType::Char,
        DataType::Bytea,
        DataType::Date,
        DataType::Timestamp,
        DataType::TimestampTz,
        DataType::Interval,
    ];

    /// PostgreSQL's type OID.
    pub const fn oid(self) -> u32 {
        match self {
            DataType::Unknown => 705,
            DataType::Boolean => 16,
            DataType::SmallInt => 21,
            DataType::Integer => 23,
            DataType::BigInt => 20,
            DataType::Real => 700,
            DataType::Double => 701,
            DataType::Numeric => 1700,
            DataType::Text => 25,
            DataType::Varchar => 1043,
            DataType::Char => 1042,
            DataType::Bytea => 17,
            DataType::Date => 1082,
            DataType::Timestamp => 1114,
            DataType::TimestampTz => 1184,
            DataType::Interval => 1186,
        }
    }

    /// The name PostgreSQL prints, without a modifier.
    pub const fn name(self) -> &'static str {
        match self {
            DataType::Unknown => "unknown",
            DataType::Boolean => "boolean",
            DataType::SmallInt => "smallint",
            DataType::Integer => "integer",
            DataType::BigInt => "bigint",
            DataType::Real => "real",
            DataType::Double => "double precision",
            DataType::Numeric => "numeric",
            DataType::Text => "text",
            DataType::Varchar => "character varying",
            DataType::Char => "character",
            DataType::Bytea => "bytea",
            DataType::Date => "date",
            DataType::Timestamp => "timestamp without time zone",
            DataType::TimestampTz => "timestamp with time zone",
            DataType::Interval => "interval",
        }
    }

    /// What its values are, in a line for the documentation.
    pub const fn documentation(self) -> &'static str {
        match self {
            DataType::Unknown => "a literal whose type its surroundings decide",
            DataType::Boolean => "true, false",
            DataType::SmallInt => "whole numbers of 16 bits",
            DataType::Integer => "whole numbers of 32 bits (also int, int4)",
            DataType::BigInt => "whole numbers of 64 bits (also int8)",
            DataType::Real => "binary floating point, about 6 digits (also float4)",
            DataType::Double => "binary floating point, about 15 digits (also float8, float)",
            DataType::Numeric => {
                "exact decimals of up to 38 digits, numeric(precision, scale); NaN and infinities (also decimal)"
            }
            DataType::Text => "text in UTF-8, up to 1 GiB; compared by bytes",
            DataType::Varchar => "text of at most n characters, varchar(n)",
            DataType::Char => "text of exactly n characters, char(n); blanks at the end do not count",
            DataType::Bytea => "bytes, up to 1 GiB",
            DataType::Date => "days from 4713 BC to 5874897 AD, and the infinities",
            DataType::Timestamp => "date and time in microseconds, without a zone (also timestamp)",
            DataType::TimestampTz => {
                "a moment in microseconds, shown in the session's zone (also timestamptz)"
            }
            DataType::Interval => "months, days and microseconds, kept apart",
        }
    }

    /// Text, varchar, char and unknown: values held as UTF-8.
    pub const fn is_string(self) -> bool {
        matches!(self, DataType::Text | DataType::Varchar | DataType::Char | DataType::Unknown)
    }

    /// Integers, floats and numeric.
    pub const fn is_number(self) -> bool {
        matches!(
            self,
            DataType::SmallInt
                | DataType::Integer
                | DataType::BigInt
                | DataType::Real
                | DataType::Double
                | DataType::Numeric
        )
    }
}

/// A type with its modifier, as a column or cast has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SqlType {
    /// Which type.
    pub data_type: DataType,
    /// PostgreSQL's `atttypmod`: −1 for none; `numeric(p,s)`: (p << 16 | s in 11 bits, two's complement) + 4; `varchar(n)`, `char(n)`: n + 4;
    /// timestamps: digits of the fraction; intervals: see `interval_range`.
    pub modifier: i32,
}

impl SqlType {
    /// The type without a modifier.
    pub const fn plain(data_type: DataType) -> SqlType {
        SqlType { data_type, modifier: -1 }
    }

    /// `numeric(precision, scale)`; scale −1000 to 1000.
    pub const fn numeric(precision: u32, scale: i32) -> SqlType {
        SqlType { data_type: DataType::Numeric, modifier: ((precision << 16) as i32 | (scale & 0x7FF)) + 4 }
    }

    /// Precision and scale of `numeric(p,s)`.
    pub const fn numeric_precision_scale(self) -> Option<(u32, i32)> {
        if self.modifier < 4 {
            return None;
        }
        let packed = self.modifier - 4;
        Some(((packed >> 16) as u32 & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024))
    }

    /// Characters of `varchar(n)` and `char(n)`.
    pub const fn character_count(self) -> Option<u32> {
        if self.modifier < 4 { None } else { Some(self.modifier as u32 - 4) }
    }
}

impl From<DataType> for SqlType {
    fn from(data_type: DataType) -> SqlType {
        SqlType::plain(data_type)
    }
}

impl std::fmt::Display for SqlType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.data_type {
            DataType::Numeric => match self.numeric_precision_scale() {
                Some((precision, scale)) => write!(f, "numeric({precision},{scale})"),
                None => f.write_str("numeric"),
            },
            DataType::Varchar | DataType::Char => match self.character_count() {
                Some(count) => write!(f, "{}({count})", self.data_type.name()),
                None => f.write_str(self.data_type.name()),
            },
            DataType::Timestamp if self.modifier >= 0 => {
                write!(f, "timestamp({}) without time zone", self.modifier)
            }
            DataType::TimestampTz if self.modifier >= 0 => {
                write!(f, "timestamp({}) with time zone", self.modifier)
            }
            DataType::Interval if self.modifier >= 0 => {
                let (range, precision) =
                    (IntervalRange::of_modifier(self.modifier), precision_of(self.modifier));
                f.write_str("interval")?;
                if range != IntervalRange::FULL {
                    write!(f, " {range}")?;
                }
                if precision >= 0 { write!(f, "({precision})") } else { Ok(()) }
            }
            other => f.write_str(other.name()),
        }
    }
}

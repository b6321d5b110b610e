//! Conversions between types, exactly those of PostgreSQL's pg_cast and its text input and output.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::calendar::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, DAY_MICROS, TIMESTAMP_INFINITY, TIMESTAMP_NEGATIVE_INFINITY,
    check_timestamp, is_infinite_timestamp,
};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef, Interval, Numeric};
use crate::sql::types::interval_range::{IntervalRange, precision_of};
use crate::sql::types::text::{to_char, to_varchar, trim_blanks};
use crate::sql::types::text_form::{datum_to_text, text_to_datum};
use crate::sql::types::text_style::TextStyle;
use crate::sql::types::zone;
use std::sync::Arc;

/// What conversions need to know of the session.
#[derive(Clone, Copy, Debug)]
pub struct CastEnvironment<'a> {
    /// The session's time zone.
    pub zone: &'a jiff::tz::TimeZone,
    /// What 'now' and 'today' mean: unix microseconds at the transaction's start.
    pub now: i64,
    /// Forms of dates, intervals and floating-point numbers.
    pub style: TextStyle,
}

/// Where a cast is allowed without being written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CastContext {
    /// Only as `CAST` or `::`.
    Explicit,
    /// Also when a value is stored into a column.
    Assignment,
    /// Everywhere.
    Implicit,
}

/// Where values of `from` may be cast to `to`; `None`: there is no such cast.
pub fn cast_context(from: DataType, to: DataType) -> Option<CastContext> {
    use CastContext::{Assignment, Explicit, Implicit};
    use DataType as T;
    if from == to || from == T::Unknown {
        return Some(Implicit);
    }
    Some(match (from, to) {
        (_, T::Unknown) => return None,
        (T::SmallInt, T::Integer | T::BigInt | T::Real | T::Double | T::Numeric)
        | (T::Integer, T::BigInt | T::Real | T::Double | T::Numeric)
        | (T::BigInt, T::Real | T::Double | T::Numeric)
        | (T::Numeric, T::Real | T::Double)
        | (T::Real, T::Double)
        | (T::Date, T::Timestamp | T::TimestampTz)
        | (T::Timestamp, T::TimestampTz)
        | (T::Text | T::Varchar | T::Char, T::Text | T::Varchar | T::Char) => Implicit,
        (from, to) if from.is_number() && to.is_number() => Assignment,
        (T::TimestampTz, T::Timestamp | T::Date) | (T::Timestamp, T::Date) => Assignment,
        (T::Boolean, T::Integer) | (T::Integer, T::Boolean) => Explicit,
        // Text input and output.
        (_, T::Text | T::Varchar | T::Char) => Assignment,
        (T::Text | T::Varchar | T::Char, _) => Explicit,
        _ => return None,
    })
}

/// Whether a cast depends on nothing but the value: text forms of moments and zones belong to the session.
pub fn is_immutable_cast(source: DataType, target: DataType) -> bool {
    let moment =
        |data_type| matches!(data_type, DataType::Date | DataType::Timestamp | DataType::TimestampTz);
    let zoned = |data_type| data_type == DataType::TimestampTz;
    if source == target {
        return true;
    }
    if zoned(source) || zoned(target) {
        return false;
    }
    if moment(source) || moment(target) {
        return moment(source) && moment(target);
    }
    // The text of these depends on settings.
    target != DataType::Interval
        && (target.is_number() || !matches!(source, DataType::Interval | DataType::Real | DataType::Double))
}

/// Converts `value` of type `from` to `target`.
/// # Errors
/// What PostgreSQL reports: `22P02`, `22003`, `22001`, `22007`, `22008`; `42846` when there is no such cast.
pub fn cast(
    value: DatumRef<'_>,
    from: DataType,
    target: SqlType,
    explicit: bool,
    environment: &CastEnvironment<'_>,
) -> Result<Datum> {
    use DatumRef as D;
    let to = target.data_type;
    Ok(match (value, to) {
        (D::Null, _) => Datum::Null,
        (D::Text(text), DataType::Text | DataType::Varchar | DataType::Char | DataType::Unknown) => {
            // char(n) loses its padding on the way to other text types.
            let text = if from == DataType::Char && to != DataType::Char { trim_blanks(text) } else { text };
            string(text, target, explicit)?
        }
        (D::Text(text), _) => {
            let text = if from == DataType::Char { trim_blanks(text) } else { text };
            text_to_datum(text, target, environment)?
        }
        (D::Boolean(v), DataType::Text | DataType::Varchar | DataType::Char) => {
            string(if v { "true" } else { "false" }, target, explicit)?
        }
        (value, DataType::Text | DataType::Varchar | DataType::Char) => {
            let mut text = String::new();
            datum_to_text(value, from, environment, &mut text);
            string(&text, target, explicit)?
        }
        (D::Boolean(v), DataType::Boolean) => Datum::Boolean(v),
        (D::Boolean(v), DataType::Integer) => Datum::Integer(i32::from(v)),
        (D::Integer(v), DataType::Boolean) => Datum::Boolean(v != 0),
        (D::SmallInt(v), _) => from_integer(i64::from(v), from, target)?,
        (D::Integer(v), _) => from_integer(i64::from(v), from, target)?,
        (D::BigInt(v), _) => from_integer(v, from, target)?,
        (D::Real(v), DataType::Real) => Datum::Real(v),
        (D::Real(v), DataType::Numeric) => numeric(Numeric::from_f32(v)?, target)?,
        (D::Real(v), _) => from_double(f64::from(v), from, target)?,
        (D::Double(v), _) => from_double(v, from, target)?,
        (D::Numeric(v), _) => from_numeric(v, from, target)?,
        (D::Bytes(v), DataType::Bytea) => Datum::Bytes(Arc::from(v)),
        (D::Date(v), DataType::Date) => Datum::Date(v),
        (D::Date(v), DataType::Timestamp) => Datum::Timestamp(date_to_timestamp(v)?),
        (D::Date(v), DataType::TimestampTz) => {
            Datum::TimestampTz(zone::to_instant(environment.zone, date_to_timestamp(v)?)?)
        }
        (D::Timestamp(v), DataType::Timestamp) => Datum::Timestamp(round_micros(v, target.modifier)?),
        (D::Timestamp(v), DataType::TimestampTz) => {
            Datum::TimestampTz(round_micros(zone::to_instant(environment.zone, v)?, target.modifier)?)
        }
        (D::Timestamp(v), DataType::Date) => Datum::Date(timestamp_to_date(v)),
        (D::TimestampTz(v), DataType::TimestampTz) => Datum::TimestampTz(round_micros(v, target.modifier)?),
        (D::TimestampTz(v), DataType::Timestamp) => {
            Datum::Timestamp(round_micros(zone::to_local(environment.zone, v)?, target.modifier)?)
        }
        (D::TimestampTz(v), DataType::Date) => {
            Datum::Date(timestamp_to_date(zone::to_local(environment.zone, v)?))
        }
        (D::Interval(v), DataType::Interval) => Datum::Interval(round_interval(v, target.modifier)?),
        _ => return Err(no_cast(from, to)),
    })
}

/// `42846`.
pub fn no_cast(from: DataType, to: DataType) -> Error {
    Error::new(SqlState::CANNOT_COERCE, format!("cannot cast type {} to {}", from.name(), to.name()))
}

fn string(text: &str, target: SqlType, explicit: bool) -> Result<Datum> {
    Ok(match target.data_type {
        DataType::Varchar => Datum::text(to_varchar(text, target.character_count(), explicit)?),
        DataType::Char => Datum::text(&to_char(text, target.character_count(), explicit)?),
        _ => Datum::text(text),
    })
}

fn out_of_range(data_type: DataType) -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{} out of range", data_type.name()))
}

/// The value with the target's precision and scale.
pub(crate) fn numeric(value: Numeric, target: SqlType) -> Result<Datum> {
    Ok(Datum::Numeric(match target.numeric_precision_scale() {
        Some((precision, scale)) => value.with_modifier(precision, scale)?,
        None => value,
    }))
}

fn from_integer(value: i64, from: DataType, target: SqlType) -> Result<Datum> {
    let to = target.data_type;
    Ok(match to {
        DataType::SmallInt => Datum::SmallInt(i16::try_from(value).map_err(|_| out_of_range(to))?),
        DataType::Integer => Datum::Integer(i32::try_from(value).map_err(|_| out_of_range(to))?),
        DataType::BigInt => Datum::BigInt(value),
        DataType::Real => Datum::Real(value as f32),
        DataType::Double => Datum::Double(value as f64),
        DataType::Numeric => numeric(Numeric::from(value), target)?,
        _ => return Err(no_cast(from, to)),
    })
}

fn from_double(value: f64, from: DataType, target: SqlType) -> Result<Datum> {
    let to = target.data_type;
    let whole = |limit: f64| {
        let rounded = value.round_ties_even();
        // The upper limit is a power of two, hence exact and itself out of range; NaN fails both.
        if rounded >= -limit && rounded < limit { Ok(rounded as i64) } else { Err(out_of_range(to)) }
    };
    Ok(match to {
        DataType::SmallInt => Datum::SmallInt(whole(32_768.0)? as i16),
        DataType::Integer => Datum::Integer(whole(2_147_483_648.0)? as i32),
        DataType::BigInt => Datum::BigInt(whole(9_223_372_036_854_775_808.0)?),
        DataType::Real => {
            let narrow = value as f32;
            if narrow.is_infinite() && value.is_finite() {
                return Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
            }
            if narrow == 0.0 && value != 0.0 {
                return Err(Error::new(
                    SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                    "value out of range: underflow",
                ));
            }
            Datum::Real(narrow)
        }
        DataType::Double => Datum::Double(value),
        DataType::Numeric => numeric(Numeric::from_f64(value)?, target)?,
        _ => return Err(no_cast(from, to)),
    })
}

fn from_numeric(value: Numeric, from: DataType, target: SqlType) -> Result<Datum> {
    let to = target.data_type;
    Ok(match to {
        DataType::SmallInt => {
            Datum::SmallInt(value.to_integer(i64::from(i16::MIN), i64::from(i16::MAX), to.name())? as i16)
        }
        DataType::Integer => {
            Datum::Integer(value.to_integer(i64::from(i32::MIN), i64::from(i32::MAX), to.name())? as i32)
        }
        DataType::BigInt => Datum::BigInt(value.to_integer(i64::MIN, i64::MAX, to.name())?),
        DataType::Real => Datum::Real(value.to_f32()),
        DataType::Double => Datum::Double(value.to_f64()),
        DataType::Numeric => numeric(value, target)?,
        _ => return Err(no_cast(from, to)),
    })
}

/// Midnight of a date.
/// # Errors
/// `22008` for dates beyond the range of timestamps.
pub fn date_to_timestamp(days: i32) -> Result<i64> {
    match days {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_NEGATIVE_INFINITY => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        _ => check_timestamp(i128::from(days) * i128::from(DAY_MICROS))
            .map_err(|_| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")),
    }
}

/// The day of a local timestamp.
pub fn timestamp_to_date(micros: i64) -> i32 {
    match micros {
        TIMESTAMP_INFINITY => DATE_INFINITY,
        TIMESTAMP_NEGATIVE_INFINITY => DATE_NEGATIVE_INFINITY,
        _ => micros.div_euclid(DAY_MICROS) as i32,
    }
}

/// Rounds microseconds to `precision` digits of a second, half away from zero; −1 leaves them as they are.
/// # Errors
/// `22008` when the result leaves the range.
pub fn round_micros(micros: i64, precision: i32) -> Result<i64> {
    if !(0..6).contains(&precision) || is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let unit = 10i128.pow(6 - precision as u32);
    let value = i128::from(micros);
    let rounded = (value.abs() + unit / 2) / unit * unit * value.signum();
    check_timestamp(rounded)
}

/// The value with the fields and the precision of an interval type.
pub(crate) fn round_interval(value: Interval, modifier: i32) -> Result<Interval> {
    let value = IntervalRange::of_modifier(modifier).cut(value);
    Ok(Interval { micros: round_micros(value.micros, precision_of(modifier))?, ..value })
}

//! Dates, timestamps and intervals: operators, clocks and constructors over the arithmetic of `sql::types`.
//! Knows the session's zone and times through the environment.

use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{
    Bool, Date, Float8, Int4, Interval, Text, Timestamp, TimestampTz, function,
};
use crate::sql::functions::registry::{Environment, ScalarFunction};
use crate::sql::types::calendar::{
    self, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, TIMESTAMP_INFINITY,
    TIMESTAMP_NEGATIVE_INFINITY, check_timestamp, is_infinite_date, is_infinite_timestamp,
};
use crate::sql::types::datetime_fields::{
    add_days, add_interval, add_interval_zoned, age, make_timestamp, subtract_dates, subtract_timestamps,
};
use crate::sql::types::datum::{DatumRef, Interval as Span};
use crate::sql::types::{interval, zone};
use std::cmp::Ordering;

fn interval_out_of_range() -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

fn date_out_of_range() -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}

/// Midnight of a date, which may be infinite.
pub(super) fn midnight(days: i32) -> Result<i64> {
    match days {
        calendar::DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        calendar::DATE_NEGATIVE_INFINITY => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        days => check_timestamp(i128::from(days) * i128::from(DAY_MICROS))
            .map_err(|_| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")),
    }
}

/// Midnight in UTC for comparisons: dates beyond the timestamps are still ordered.
fn wide(datum: DatumRef<'_>) -> Option<i128> {
    match datum {
        DatumRef::Date(calendar::DATE_INFINITY) => Some(i128::from(i64::MAX)),
        DatumRef::Date(calendar::DATE_NEGATIVE_INFINITY) => Some(i128::from(i64::MIN)),
        DatumRef::Date(days) => Some(i128::from(days) * i128::from(DAY_MICROS)),
        DatumRef::Timestamp(micros) | DatumRef::TimestampTz(micros) => Some(i128::from(micros)),
        _ => None,
    }
}

/// Orders two moments of different types: a date is its midnight, a time without zone is read in the session's.
pub(super) fn compare_moments(
    left: DatumRef<'_>,
    right: DatumRef<'_>,
    environment: &dyn Environment,
) -> Result<Ordering> {
    let zoned = |datum: DatumRef<'_>| matches!(datum, DatumRef::TimestampTz(_));
    let moment = |datum: DatumRef<'_>| -> Result<i128> {
        let micros = wide(datum).ok_or_else(|| Error::internal("a moment is compared with another type"))?;
        match i64::try_from(micros) {
            Ok(local) if !zoned(datum) && (zoned(left) || zoned(right)) => {
                zone::to_instant(environment.time_zone(), local).map(i128::from)
            }
            _ => Ok(micros),
        }
    };
    Ok(moment(left)?.cmp(&moment(right)?))
}

/// Local midnight of the transaction's day.
pub(super) fn today(environment: &dyn Environment) -> Result<i32> {
    let local = zone::to_local(environment.time_zone(), environment.transaction_time())?;
    Ok(local.div_euclid(DAY_MICROS) as i32)
}

fn make_interval(fields: [i32; 6], seconds: f64) -> Result<Span> {
    let [years, months, weeks, days, hours, minutes] = fields.map(i64::from);
    if !seconds.is_finite() || seconds.abs() > 9e12 {
        return Err(interval_out_of_range());
    }
    let micros = hours * HOUR_MICROS + minutes * MINUTE_MICROS;
    Ok(Span {
        months: i32::try_from(years * 12 + months).map_err(|_| interval_out_of_range())?,
        days: i32::try_from(weeks * 7 + days).map_err(|_| interval_out_of_range())?,
        micros: micros
            .checked_add((seconds * 1e6).round_ties_even() as i64)
            .ok_or_else(interval_out_of_range)?,
    })
}

/// `to_timestamp(seconds since 1970)`.
fn from_epoch(seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { TIMESTAMP_INFINITY } else { TIMESTAMP_NEGATIVE_INFINITY });
    }
    let micros = (seconds * 1e6).round_ties_even();
    let out =
        || Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{seconds}\""));
    if micros.abs() >= 9.223_372_036_854_775e18 {
        return Err(out());
    }
    check_timestamp(micros as i128).map_err(|_| out())
}

/// Rounds to so many digits of a second.
fn to_precision(micros: i64, digits: i32) -> i64 {
    if is_infinite_timestamp(micros) || !(0..6).contains(&digits) {
        return micros;
    }
    let unit = 10i64.pow(6 - digits as u32);
    (micros.saturating_add(unit / 2)).div_euclid(unit) * unit
}

/// A zone given as a fixed offset.
fn offset_seconds(span: Span) -> Result<i64> {
    if span.months != 0 || span.days != 0 {
        let message = "interval time zone must not include months or days";
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(span.micros / SECOND_MICROS)
}

fn shift(micros: i64, seconds: i64) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    check_timestamp(i128::from(micros) + i128::from(seconds) * i128::from(SECOND_MICROS))
}

static SUMS: &[ScalarFunction] = &[
    function!("+", (Date, Int4) -> Date, Immutable, "so many days later", |(date, days), _| add_days(date, days)),
    function!("+", (Int4, Date) -> Date, Immutable, "so many days later", |(days, date), _| add_days(date, days)),
    function!("-", (Date, Int4) -> Date, Immutable, "so many days earlier", |(date, days), _| add_days(date, days.checked_neg().ok_or_else(date_out_of_range)?)),
    function!("-", (Date, Date) -> Int4, Immutable, "days between", |(a, b), _| subtract_dates(a, b)),
    function!("+", (Date, Interval) -> Timestamp, Immutable, "later by a span", |(date, span), _| add_interval(midnight(date)?, span)),
    function!("+", (Interval, Date) -> Timestamp, Immutable, "later by a span", |(span, date), _| add_interval(midnight(date)?, span)),
    function!("-", (Date, Interval) -> Timestamp, Immutable, "earlier by a span", |(date, span), _| add_interval(midnight(date)?, interval::negate(span)?)),
    function!("+", (Timestamp, Interval) -> Timestamp, Immutable, "later by a span", |(micros, span), _| add_interval(micros, span)),
    function!("+", (Interval, Timestamp) -> Timestamp, Immutable, "later by a span", |(span, micros), _| add_interval(micros, span)),
    function!("-", (Timestamp, Interval) -> Timestamp, Immutable, "earlier by a span", |(micros, span), _| add_interval(micros, interval::negate(span)?)),
    function!("+", (TimestampTz, Interval) -> TimestampTz, Stable, "later by a span", |(micros, span), environment| add_interval_zoned(micros, span, environment.time_zone())),
    function!("+", (Interval, TimestampTz) -> TimestampTz, Stable, "later by a span", |(span, micros), environment| add_interval_zoned(micros, span, environment.time_zone())),
    function!("-", (TimestampTz, Interval) -> TimestampTz, Stable, "earlier by a span", |(micros, span), environment| add_interval_zoned(micros, interval::negate(span)?, environment.time_zone())),
    function!("-", (Timestamp, Timestamp) -> Interval, Immutable, "time between", |(a, b), _| subtract_timestamps(a, b)),
    function!("-", (TimestampTz, TimestampTz) -> Interval, Immutable, "time between", |(a, b), _| subtract_timestamps(a, b)),
    function!("+", (Interval, Interval) -> Interval, Immutable, "sum of spans", |(a, b), _| interval::add(a, b)),
    function!("-", (Interval, Interval) -> Interval, Immutable, "difference of spans", |(a, b), _| interval::subtract(a, b)),
    function!("-", (Interval) -> Interval, Immutable, "negation", |(a,), _| interval::negate(a)),
    function!("*", (Interval, Float8) -> Interval, Immutable, "span times a number", |(a, factor), _| interval::multiply(a, factor)),
    function!("*", (Float8, Interval) -> Interval, Immutable, "span times a number", |(factor, a), _| interval::multiply(a, factor)),
    function!("/", (Interval, Float8) -> Interval, Immutable, "span divided by a number", |(a, divisor), _| interval::divide(a, divisor)),
];

static CLOCK: &[ScalarFunction] = &[
    function!("now", () -> TimestampTz, Stable, "start of the transaction", |(), environment| Ok(environment.transaction_time())),
    function!("current_timestamp", () -> TimestampTz, Stable, "start of the transaction", |(), environment| Ok(environment.transaction_time())),
    function!("current_timestamp", (Int4) -> TimestampTz, Stable, "start of the transaction, rounded", |(digits,), environment| Ok(to_precision(environment.transaction_time(), digits))),
    function!("transaction_timestamp", () -> TimestampTz, Stable, "start of the transaction", |(), environment| Ok(environment.transaction_time())),
    function!("statement_timestamp", () -> TimestampTz, Stable, "start of the statement", |(), environment| Ok(environment.statement_time())),
    function!("clock_timestamp", () -> TimestampTz, Volatile, "the clock", |(), environment| Ok(environment.clock_time())),
    function!("localtimestamp", () -> Timestamp, Stable, "start of the transaction in the session's zone", |(), environment| zone::to_local(environment.time_zone(), environment.transaction_time())),
    function!("localtimestamp", (Int4) -> Timestamp, Stable, "start of the transaction in the session's zone, rounded", |(digits,), environment| Ok(to_precision(zone::to_local(environment.time_zone(), environment.transaction_time())?, digits))),
    function!("current_date", () -> Date, Stable, "today in the session's zone", |(), environment| today(environment)),
];

static MAKE: &[ScalarFunction] = &[
    function!("make_date", (Int4, Int4, Int4) -> Date, Immutable, "from year, month, day", |(year, month, day), _| calendar::make_date(year, month, day)),
    function!("make_timestamp", (Int4, Int4, Int4, Int4, Int4, Float8) -> Timestamp, Immutable, "from year, month, day, hour, minute, second", |(y, mo, d, h, mi, s), _| make_timestamp(y, mo, d, h, mi, s)),
    function!("make_timestamptz", (Int4, Int4, Int4, Int4, Int4, Float8) -> TimestampTz, Stable, "from fields in the session's zone", |(y, mo, d, h, mi, s), environment| zone::to_instant(environment.time_zone(), make_timestamp(y, mo, d, h, mi, s)?)),
    function!("make_timestamptz", (Int4, Int4, Int4, Int4, Int4, Float8, Text) -> TimestampTz, Immutable, "from fields in a zone", |(y, mo, d, h, mi, s, name), _| zone::to_instant(&zone::by_name(name)?, make_timestamp(y, mo, d, h, mi, s)?)),
    function!("make_interval", () -> Interval, Immutable, "an empty span", |(), _| make_interval([0; 6], 0.0)),
    function!("make_interval", (Int4) -> Interval, Immutable, "from years", |(y,), _| make_interval([y, 0, 0, 0, 0, 0], 0.0)),
    function!("make_interval", (Int4, Int4) -> Interval, Immutable, "from years, months", |(y, mo), _| make_interval([y, mo, 0, 0, 0, 0], 0.0)),
    function!("make_interval", (Int4, Int4, Int4) -> Interval, Immutable, "from years, months, weeks", |(y, mo, w), _| make_interval([y, mo, w, 0, 0, 0], 0.0)),
    function!("make_interval", (Int4, Int4, Int4, Int4) -> Interval, Immutable, "from years, months, weeks, days", |(y, mo, w, d), _| make_interval([y, mo, w, d, 0, 0], 0.0)),
    function!("make_interval", (Int4, Int4, Int4, Int4, Int4) -> Interval, Immutable, "from years, months, weeks, days, hours", |(y, mo, w, d, h), _| make_interval([y, mo, w, d, h, 0], 0.0)),
    function!("make_interval", (Int4, Int4, Int4, Int4, Int4, Int4) -> Interval, Immutable, "from years, months, weeks, days, hours, minutes", |(y, mo, w, d, h, mi), _| make_interval([y, mo, w, d, h, mi], 0.0)),
    function!("make_interval", (Int4, Int4, Int4, Int4, Int4, Int4, Float8) -> Interval, Immutable, "from years, months, weeks, days, hours, minutes, seconds", |(y, mo, w, d, h, mi, s), _| make_interval([y, mo, w, d, h, mi], s)),
    function!("to_timestamp", (Float8) -> TimestampTz, Immutable, "from seconds since 1970", |(seconds,), _| from_epoch(seconds)),
    function!("justify_hours", (Interval) -> Interval, Immutable, "24 hours as a day", |(a,), _| interval::justify_hours(a)),
    function!("justify_days", (Interval) -> Interval, Immutable, "30 days as a month", |(a,), _| interval::justify_days(a)),
    function!("justify_interval", (Interval) -> Interval, Immutable, "24 hours as a day and 30 days as a month", |(a,), _| interval::justify_interval(a)),
    function!("isfinite", (Date) -> Bool, Immutable, "whether it is not infinite", |(a,), _| Ok(!is_infinite_date(a))),
    function!("isfinite", (Timestamp) -> Bool, Immutable, "whether it is not infinite", |(a,), _| Ok(!is_infinite_timestamp(a))),
    function!("isfinite", (TimestampTz) -> Bool, Immutable, "whether it is not infinite", |(a,), _| Ok(!is_infinite_timestamp(a))),
    function!("isfinite", (Interval) -> Bool, Immutable, "always true", |(_span,), _| Ok(true)),
    function!("age", (Timestamp, Timestamp) -> Interval, Immutable, "years, months, days between", |(a, b), _| age(a, b)),
    function!("age", (TimestampTz, TimestampTz) -> Interval, Stable, "years, months, days between", |(a, b), environment| {
        let zone = environment.time_zone();
        age(zone::to_local(zone, a)?, zone::to_local(zone, b)?)
    }),
    function!("age", (Timestamp) -> Interval, Stable, "years, months, days until today", |(b,), environment| age(midnight(today(environment)?)?, b)),
    function!("age", (TimestampTz) -> Interval, Stable, "years, months, days until today", |(b,), environment| age(midnight(today(environment)?)?, zone::to_local(environment.time_zone(), b)?)),
    function!("timezone", (Text, Timestamp) -> TimestampTz, Immutable, "a local time read in a zone", |(name, local), _| zone::to_instant(&zone::by_name(name)?, local)),
    function!("timezone", (Text, TimestampTz) -> Timestamp, Immutable, "the local time in a zone", |(name, instant), _| zone::to_local(&zone::by_name(name)?, instant)),
    function!("timezone", (Interval, Timestamp) -> TimestampTz, Immutable, "a local time read at an offset", |(offset, local), _| shift(local, -offset_seconds(offset)?)),
    function!("timezone", (Interval, TimestampTz) -> Timestamp, Immutable, "the local time at an offset", |(offset, instant), _| shift(instant, offset_seconds(offset)?)),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[SUMS, CLOCK, MAKE];

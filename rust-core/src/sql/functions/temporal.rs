//! Arithmetic of dates, timestamps and intervals. Months and days are counted on the calendar (of the session's zone
//! for timestamptz), microseconds on the time line.

use crate::error::{Error, Result, SqlState};
use crate::sql::functions::arithmetic::division_by_zero;
use crate::sql::functions::kernel::{
    Bool, Date, Float8, Int4, Interval, Text, Timestamp, TimestampTz, function,
};
use crate::sql::functions::registry::{Environment, ScalarFunction};
use crate::sql::types::calendar::{
    self, CivilDate, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, TIMESTAMP_INFINITY,
    TIMESTAMP_NEGATIVE_INFINITY, check_date, check_timestamp, civil_from_days, days_from_civil,
    days_in_month, is_infinite_date, is_infinite_timestamp,
};
use crate::sql::types::datum::{DatumRef, Interval as Span};
use crate::sql::types::zone;
use std::cmp::Ordering;

pub(super) fn interval_out_of_range() -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
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

/// The sum, part by part.
pub(super) fn add_intervals(a: Span, b: Span) -> Result<Span> {
    let sum = || {
        Some(Span {
            months: a.months.checked_add(b.months)?,
            days: a.days.checked_add(b.days)?,
            micros: a.micros.checked_add(b.micros)?,
        })
    };
    sum().ok_or_else(interval_out_of_range)
}

fn negate(a: Span) -> Result<Span> {
    let negated = || {
        Some(Span {
            months: a.months.checked_neg()?,
            days: a.days.checked_neg()?,
            micros: a.micros.checked_neg()?,
        })
    };
    negated().ok_or_else(interval_out_of_range)
}

fn to_i32(value: f64) -> Result<i32> {
    if value.is_nan() || !(-2_147_483_648.0..2_147_483_648.0).contains(&value) {
        return Err(interval_out_of_range());
    }
    Ok(value as i32)
}

/// Rounds seconds to microseconds.
fn round_micros(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

/// Parts scaled; fractions of a month become days of a month of 30, fractions of a day become time.
fn scale_interval(a: Span, scale: impl Fn(f64) -> f64) -> Result<Span> {
    let (scaled_months, scaled_days) = (scale(f64::from(a.months)), scale(f64::from(a.days)));
    let months = to_i32(scaled_months)?;
    let mut days = to_i32(scaled_days)?;
    let month_days = round_micros((scaled_months - f64::from(months)) * 30.0);
    let mut seconds =
        round_micros((scaled_days - f64::from(days) + month_days - month_days.trunc()) * 86_400.0);
    if seconds.abs() >= 86_400.0 {
        let whole = to_i32((seconds / 86_400.0).trunc())?;
        days = days.checked_add(whole).ok_or_else(interval_out_of_range)?;
        seconds -= f64::from(whole) * 86_400.0;
    }
    days = days.checked_add(to_i32(month_days)?).ok_or_else(interval_out_of_range)?;
    let micros = (scale(a.micros as f64) + seconds * 1e6).round_ties_even();
    if micros.is_nan() || !(-9.223_372_036_854_775e18..9.223_372_036_854_775e18).contains(&micros) {
        return Err(interval_out_of_range());
    }
    Ok(Span { months, days, micros: micros as i64 })
}

pub(super) fn divide_interval(a: Span, divisor: f64) -> Result<Span> {
    if divisor == 0.0 {
        return Err(division_by_zero());
    }
    scale_interval(a, |value| value / divisor)
}

/// Months and days added on the calendar; a day beyond the month's end becomes its last.
pub(super) fn add_calendar(micros: i64, months: i32, days: i32) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let (mut day, time) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    if months != 0 {
        let CivilDate { year, month, day: day_of_month } = civil_from_days(day);
        let total = year * 12 + i64::from(month) - 1 + i64::from(months);
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u32 + 1);
        day = days_from_civil(year, month, day_of_month.min(days_in_month(year, month)));
    }
    check_timestamp(i128::from(day + i64::from(days)) * i128::from(DAY_MICROS) + i128::from(time))
}

pub(super) fn add_to_timestamp(micros: i64, span: Span) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let moved = add_calendar(micros, span.months, span.days)?;
    check_timestamp(i128::from(moved) + i128::from(span.micros))
}

pub(super) fn add_to_instant(micros: i64, span: Span, environment: &dyn Environment) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let mut moved = micros;
    if span.months != 0 || span.days != 0 {
        let zone = environment.time_zone();
        moved = zone::to_instant(zone, add_calendar(zone::to_local(zone, micros)?, span.months, span.days)?)?;
    }
    check_timestamp(i128::from(moved) + i128::from(span.micros))
}

fn add_days(date: i32, days: i64) -> Result<i32> {
    if is_infinite_date(date) { Ok(date) } else { check_date(i64::from(date) + days) }
}

fn subtract_dates(a: i32, b: i32) -> Result<i32> {
    if is_infinite_date(a) || is_infinite_date(b) {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates"));
    }
    Ok((i64::from(a) - i64::from(b)) as i32)
}

/// Days and time between two timestamps.
fn subtract_timestamps(a: i64, b: i64) -> Result<Span> {
    if is_infinite_timestamp(a) || is_infinite_timestamp(b) {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(interval_out_of_range)?;
    justify_hours(Span { months: 0, days: 0, micros })
}

/// Moves whole days from the smaller to the larger part, then makes both of one sign.
fn justify_hours(a: Span) -> Result<Span> {
    let days = i64::from(a.days) + a.micros / DAY_MICROS;
    let mut result = Span {
        days: i32::try_from(days).map_err(|_| interval_out_of_range())?,
        micros: a.micros % DAY_MICROS,
        ..a
    };
    if result.days > 0 && result.micros < 0 {
        result.micros += DAY_MICROS;
        result.days -= 1;
    } else if result.days < 0 && result.micros > 0 {
        result.micros -= DAY_MICROS;
        result.days += 1;
    }
    Ok(result)
}

fn justify_days(a: Span) -> Result<Span> {
    let months = i64::from(a.months) + i64::from(a.days / 30);
    let mut result =
        Span { months: i32::try_from(months).map_err(|_| interval_out_of_range())?, days: a.days % 30, ..a };
    if result.months > 0 && result.days < 0 {
        result.days += 30;
        result.months -= 1;
    } else if result.months < 0 && result.days > 0 {
        result.days -= 30;
        result.months += 1;
    }
    Ok(result)
}

fn justify_interval(a: Span) -> Result<Span> {
    let days = i64::from(a.days) + a.micros / DAY_MICROS;
    let mut micros = a.micros % DAY_MICROS;
    let mut months = i64::from(a.months) + days / 30;
    let mut days = days % 30;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        days -= 30;
        months += 1;
    }
    if days > 0 && micros < 0 {
        micros += DAY_MICROS;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= DAY_MICROS;
        days += 1;
    }
    let months = i32::try_from(months).map_err(|_| interval_out_of_range())?;
    Ok(Span { months, days: days as i32, micros })
}

/// Years, months, days and time between two local timestamps, as people count them.
fn age(a: i64, b: i64) -> Result<Span> {
    if is_infinite_timestamp(a) || is_infinite_timestamp(b) {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps"));
    }
    let (first, second) =
        (civil_from_days(a.div_euclid(DAY_MICROS)), civil_from_days(b.div_euclid(DAY_MICROS)));
    let sign = if a < b { -1 } else { 1 };
    let mut micros = sign * (a.rem_euclid(DAY_MICROS) - b.rem_euclid(DAY_MICROS));
    let mut days = sign * (i64::from(first.day) - i64::from(second.day));
    let mut months =
        sign * ((first.year - second.year) * 12 + i64::from(first.month) - i64::from(second.month));
    if micros < 0 {
        micros += DAY_MICROS;
        days -= 1;
    }
    let borrowed = if a < b { first } else { second };
    while days < 0 {
        days += i64::from(days_in_month(borrowed.year, borrowed.month));
        months -= 1;
    }
    Ok(Span { months: (sign * months) as i32, days: (sign * days) as i32, micros: sign * micros })
}

/// Local midnight of the transaction's day.
pub(super) fn today(environment: &dyn Environment) -> Result<i32> {
    let local = zone::to_local(environment.time_zone(), environment.transaction_time())?;
    Ok(local.div_euclid(DAY_MICROS) as i32)
}

fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> Result<i64> {
    let date = calendar::make_date(year, month, day)?;
    let in_range = (0..=24).contains(&hour)
        && (0..=59).contains(&minute)
        && (0.0..=60.0).contains(&second)
        && (hour < 24 || (minute == 0 && second == 0.0));
    if !in_range {
        let message = format!("time field value out of range: {hour}:{minute:02}:{second:02}");
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, message));
    }
    let time = i64::from(hour) * HOUR_MICROS
        + i64::from(minute) * MINUTE_MICROS
        + (second * SECOND_MICROS as f64).round_ties_even() as i64;
    check_timestamp(i128::from(date) * i128::from(DAY_MICROS) + i128::from(time))
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
    function!("+", (Date, Int4) -> Date, Immutable, "so many days later", |(date, days), _| add_days(date, i64::from(days))),
    function!("+", (Int4, Date) -> Date, Immutable, "so many days later", |(days, date), _| add_days(date, i64::from(days))),
    function!("-", (Date, Int4) -> Date, Immutable, "so many days earlier", |(date, days), _| add_days(date, -i64::from(days))),
    function!("-", (Date, Date) -> Int4, Immutable, "days between", |(a, b), _| subtract_dates(a, b)),
    function!("+", (Date, Interval) -> Timestamp, Immutable, "later by a span", |(date, span), _| add_to_timestamp(midnight(date)?, span)),
    function!("+", (Interval, Date) -> Timestamp, Immutable, "later by a span", |(span, date), _| add_to_timestamp(midnight(date)?, span)),
    function!("-", (Date, Interval) -> Timestamp, Immutable, "earlier by a span", |(date, span), _| add_to_timestamp(midnight(date)?, negate(span)?)),
    function!("+", (Timestamp, Interval) -> Timestamp, Immutable, "later by a span", |(micros, span), _| add_to_timestamp(micros, span)),
    function!("+", (Interval, Timestamp) -> Timestamp, Immutable, "later by a span", |(span, micros), _| add_to_timestamp(micros, span)),
    function!("-", (Timestamp, Interval) -> Timestamp, Immutable, "earlier by a span", |(micros, span), _| add_to_timestamp(micros, negate(span)?)),
    function!("+", (TimestampTz, Interval) -> TimestampTz, Stable, "later by a span", |(micros, span), environment| add_to_instant(micros, span, environment)),
    function!("+", (Interval, TimestampTz) -> TimestampTz, Stable, "later by a span", |(span, micros), environment| add_to_instant(micros, span, environment)),
    function!("-", (TimestampTz, Interval) -> TimestampTz, Stable, "earlier by a span", |(micros, span), environment| add_to_instant(micros, negate(span)?, environment)),
    function!("-", (Timestamp, Timestamp) -> Interval, Immutable, "time between", |(a, b), _| subtract_timestamps(a, b)),
    function!("-", (TimestampTz, TimestampTz) -> Interval, Immutable, "time between", |(a, b), _| subtract_timestamps(a, b)),
    function!("+", (Interval, Interval) -> Interval, Immutable, "sum of spans", |(a, b), _| add_intervals(a, b)),
    function!("-", (Interval, Interval) -> Interval, Immutable, "difference of spans", |(a, b), _| add_intervals(a, negate(b)?)),
    function!("-", (Interval) -> Interval, Immutable, "negation", |(a,), _| negate(a)),
    function!("*", (Interval, Float8) -> Interval, Immutable, "span times a number", |(a, factor), _| scale_interval(a, |value| value * factor)),
    function!("*", (Float8, Interval) -> Interval, Immutable, "span times a number", |(factor, a), _| scale_interval(a, |value| value * factor)),
    function!("/", (Interval, Float8) -> Interval, Immutable, "span divided by a number", |(a, divisor), _| divide_interval(a, divisor)),
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
    function!("justify_hours", (Interval) -> Interval, Immutable, "24 hours as a day", |(a,), _| justify_hours(a)),
    function!("justify_days", (Interval) -> Interval, Immutable, "30 days as a month", |(a,), _| justify_days(a)),
    function!("justify_interval", (Interval) -> Interval, Immutable, "24 hours as a day and 30 days as a month", |(a,), _| justify_interval(a)),
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

//! extract, date_part and date_trunc: fields of dates, timestamps and intervals.

use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{
    Date, Float8, Interval, Nullable, Num, Text, Timestamp, TimestampTz, function,
};
use crate::sql::functions::registry::{Environment, ScalarFunction};
use crate::sql::functions::temporal::{interval_out_of_range, midnight};
use crate::sql::types::calendar::{
    CivilDate, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, UNIX_JULIAN_DAY, check_timestamp,
    civil_from_days, days_from_civil, is_infinite_date, is_infinite_timestamp, iso_week, weekday,
};
use crate::sql::types::datum::{Interval as Span, Numeric};
use crate::sql::types::zone;

/// A field, by PostgreSQL's names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Epoch,
    Julian,
    Zone,
    ZoneHour,
    ZoneMinute,
}

fn field(name: &str) -> Option<Field> {
    let lower = name.to_ascii_lowercase();
    Some(match lower.as_str() {
        "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "usecond" | "useconds" => {
            Field::Microseconds
        }
        "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" => {
            Field::Milliseconds
        }
        "second" | "seconds" | "s" | "sec" | "secs" => Field::Second,
        "minute" | "minutes" | "m" | "min" | "mins" => Field::Minute,
        "hour" | "hours" | "h" | "hr" | "hrs" => Field::Hour,
        "day" | "days" | "d" => Field::Day,
        "week" | "weeks" | "w" => Field::Week,
        "month" | "months" | "mon" | "mons" => Field::Month,
        "quarter" | "qtr" => Field::Quarter,
        "year" | "years" | "y" | "yr" | "yrs" => Field::Year,
        "decade" | "decades" | "dec" | "decs" => Field::Decade,
        "century" | "centuries" | "c" | "cent" => Field::Century,
        "millennium" | "millennia" | "mil" | "mils" => Field::Millennium,
        "dow" => Field::DayOfWeek,
        "isodow" => Field::IsoDayOfWeek,
        "doy" => Field::DayOfYear,
        "isoyear" => Field::IsoYear,
        "epoch" => Field::Epoch,
        "julian" | "j" | "jd" => Field::Julian,
        "timezone" => Field::Zone,
        "timezone_hour" | "timezone_h" => Field::ZoneHour,
        "timezone_minute" | "timezone_m" => Field::ZoneMinute,
        _ => return None,
    })
}

fn not_recognized(name: &str, type_name: &str) -> Error {
    let message = format!("unit \"{}\" not recognized for type {type_name}", name.to_ascii_lowercase());
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn not_supported(name: &str, type_name: &str) -> Error {
    let message = format!("unit \"{}\" not supported for type {type_name}", name.to_ascii_lowercase());
    Error::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// The year as people write it: there is no year 0.
fn written_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

fn century(year: i64) -> i64 {
    if year > 0 { (year + 99) / 100 } else { -((99 - (year - 1)) / 100) }
}

fn millennium(year: i64) -> i64 {
    if year > 0 { (year + 999) / 1000 } else { -((999 - (year - 1)) / 1000) }
}

fn decade(year: i64) -> i64 {
    if year >= 0 { year / 10 } else { -((8 - (year - 1)) / 10) }
}

fn whole(value: i64) -> Numeric {
    Numeric::new(i128::from(value), 0)
}

/// Fields of the time of day.
fn time_field(field: Field, micros: i64) -> Option<Numeric> {
    let seconds_micros = micros % MINUTE_MICROS;
    Some(match field {
        Field::Microseconds => whole(seconds_micros),
        Field::Milliseconds => Numeric::new(i128::from(seconds_micros), 3),
        Field::Second => Numeric::new(i128::from(seconds_micros), 6),
        Field::Minute => whole(micros / MINUTE_MICROS % 60),
        Field::Hour => whole(micros / HOUR_MICROS),
        _ => return None,
    })
}

/// Fields of the day.
fn day_field(field: Field, days: i64) -> Option<i64> {
    let CivilDate { year, month, day } = civil_from_days(days);
    Some(match field {
        Field::Day => i64::from(day),
        Field::Week => iso_week(days).1,
        Field::Month => i64::from(month),
        Field::Quarter => i64::from((month - 1) / 3 + 1),
        Field::Year => written_year(year),
        Field::Decade => decade(year),
        Field::Century => century(year),
        Field::Millennium => millennium(year),
        Field::DayOfWeek => weekday(days),
        Field::IsoDayOfWeek => (weekday(days) + 6) % 7 + 1,
        Field::DayOfYear => days - days_from_civil(year, 1, 1) + 1,
        Field::IsoYear => written_year(iso_week(days).0),
        _ => return None,
    })
}

/// What a field of an infinite moment is: infinite where the field grows without end, else NULL.
fn infinite(field: Field, positive: bool) -> Option<Numeric> {
    let endless = matches!(
        field,
        Field::Year
            | Field::Decade
            | Field::Century
            | Field::Millennium
            | Field::IsoYear
            | Field::Epoch
            | Field::Julian
    );
    endless.then_some(if positive { Numeric::INFINITY } else { Numeric::NEGATIVE_INFINITY })
}

fn julian(micros: i64) -> Result<Numeric> {
    let (days, time) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    whole(days + UNIX_JULIAN_DAY).add(Numeric::new(i128::from(time), 6).divide(whole(86_400))?)
}

fn extract_timestamp(name: &str, micros: i64, type_name: &str) -> Result<Option<Numeric>> {
    let field = field(name).ok_or_else(|| not_recognized(name, type_name))?;
    if is_infinite_timestamp(micros) {
        return Ok(infinite(field, micros > 0));
    }
    if matches!(field, Field::Zone | Field::ZoneHour | Field::ZoneMinute) {
        return Err(not_supported(name, type_name));
    }
    let (days, time) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    match field {
        Field::Epoch => Ok(Some(Numeric::new(i128::from(micros), 6))),
        Field::Julian => julian(micros).map(Some),
        _ => Ok(time_field(field, time).or_else(|| day_field(field, days).map(whole))),
    }
}

fn extract_instant(name: &str, micros: i64, environment: &dyn Environment) -> Result<Option<Numeric>> {
    let type_name = "timestamp with time zone";
    let field = field(name).ok_or_else(|| not_recognized(name, type_name))?;
    if is_infinite_timestamp(micros) {
        return Ok(infinite(field, micros > 0));
    }
    let zone = environment.time_zone();
    let offset = i64::from(zone::offset_at(zone, micros));
    match field {
        Field::Zone => Ok(Some(whole(offset))),
        Field::ZoneHour => Ok(Some(whole(offset / 3600))),
        Field::ZoneMinute => Ok(Some(whole(offset / 60 % 60))),
        Field::Epoch => Ok(Some(Numeric::new(i128::from(micros), 6))),
        _ => extract_timestamp(name, zone::to_local(zone, micros)?, type_name),
    }
}

fn extract_date(name: &str, date: i32) -> Result<Option<Numeric>> {
    let field = field(name).ok_or_else(|| not_recognized(name, "date"))?;
    let of_day = !matches!(
        field,
        Field::Microseconds
            | Field::Milliseconds
            | Field::Second
            | Field::Minute
            | Field::Hour
            | Field::Zone
            | Field::ZoneHour
            | Field::ZoneMinute
    );
    if !of_day {
        return Err(not_supported(name, "date"));
    }
    if is_infinite_date(date) {
        return Ok(infinite(field, date > 0));
    }
    Ok(match field {
        Field::Epoch => Some(whole(i64::from(date) * 86_400)),
        Field::Julian => Some(whole(i64::from(date) + UNIX_JULIAN_DAY)),
        _ => day_field(field, i64::from(date)).map(whole),
    })
}

fn extract_interval(name: &str, span: Span) -> Result<Option<Numeric>> {
    let field = field(name).ok_or_else(|| not_recognized(name, "interval"))?;
    if let Some(value) = time_field(field, span.micros) {
        return Ok(Some(value));
    }
    let (years, months) = (i64::from(span.months / 12), i64::from(span.months % 12));
    Ok(Some(match field {
        Field::Day => whole(i64::from(span.days)),
        Field::Month => whole(months),
        Field::Quarter => whole(months / 3 + 1),
        Field::Year => whole(years),
        Field::Decade => whole(years / 10),
        Field::Century => whole(years / 100),
        Field::Millennium => whole(years / 1000),
        Field::Epoch => {
            // A year counts 365.25 days, a month 30.
            let quarter_days = years * 1461 + months * 120 + i64::from(span.days) * 4;
            let micros = i128::from(quarter_days) * i128::from(DAY_MICROS / 4) + i128::from(span.micros);
            Numeric::new(micros, 6)
        }
        _ => return Err(not_supported(name, "interval")),
    }))
}

fn part(value: Result<Option<Numeric>>) -> Result<Option<f64>> {
    Ok(value?.map(Numeric::to_f64))
}

/// Cuts a local timestamp down to the start of a unit.
fn truncate(name: &str, micros: i64, type_name: &str) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let field = field(name).ok_or_else(|| not_recognized(name, type_name))?;
    let unit = match field {
        Field::Microseconds => 1,
        Field::Milliseconds => 1000,
        Field::Second => SECOND_MICROS,
        Field::Minute => MINUTE_MICROS,
        Field::Hour => HOUR_MICROS,
        Field::Day => DAY_MICROS,
        _ => 0,
    };
    match field {
        Field::Zone | Field::ZoneHour | Field::ZoneMinute => return Err(not_supported(name, type_name)),
        field if field > Field::Millennium => return Err(not_recognized(name, type_name)),
        _ => {}
    }
    if unit > 0 {
        return Ok(micros.div_euclid(unit) * unit);
    }
    let days = micros.div_euclid(DAY_MICROS);
    let CivilDate { year, month, .. } = civil_from_days(days);
    let start = match field {
        Field::Week => days - (weekday(days) + 6) % 7,
        Field::Month => days_from_civil(year, month, 1),
        Field::Quarter => days_from_civil(year, (month - 1) / 3 * 3 + 1, 1),
        Field::Year => days_from_civil(year, 1, 1),
        Field::Decade => {
            days_from_civil(if year > 0 { year / 10 * 10 } else { -((8 - (year - 1)) / 10) * 10 }, 1, 1)
        }
        Field::Century => days_from_civil(first_year(year, 100), 1, 1),
        _ => days_from_civil(first_year(year, 1000), 1, 1),
    };
    check_timestamp(i128::from(start) * i128::from(DAY_MICROS))
}

/// The first year of a century or millennium, which begins with a year that ends in 1.
fn first_year(year: i64, length: i64) -> i64 {
    (year - 1).div_euclid(length) * length + 1
}

fn truncate_instant(name: &str, micros: i64, zone: &jiff::tz::TimeZone) -> Result<i64> {
    let type_name = "timestamp with time zone";
    if is_infinite_timestamp(micros) {
        return truncate(name, micros, type_name);
    }
    let local = zone::to_local(zone, micros)?;
    let start = truncate(name, local, type_name)?;
    match field(name) {
        // Within a day the offset stays, so that an hour that is repeated is not changed for the other one.
        Some(unit) if unit <= Field::Hour => check_timestamp(i128::from(micros) - i128::from(local - start)),
        _ => zone::to_instant(zone, start),
    }
}

fn truncate_interval(name: &str, span: Span) -> Result<Span> {
    let field = field(name).ok_or_else(|| not_recognized(name, "interval"))?;
    let months = |unit: i32| Span { months: span.months / unit * unit, days: 0, micros: 0 };
    let time = |unit: i64| Span { micros: span.micros / unit * unit, ..span };
    Ok(match field {
        Field::Microseconds => span,
        Field::Milliseconds => time(1000),
        Field::Second => time(SECOND_MICROS),
        Field::Minute => time(MINUTE_MICROS),
        Field::Hour => time(HOUR_MICROS),
        Field::Day => Span { micros: 0, ..span },
        Field::Month => months(1),
        Field::Quarter => months(3),
        Field::Year => months(12),
        Field::Decade => months(120),
        Field::Century => months(1200),
        Field::Millennium => months(12_000),
        Field::Week => return Err(not_supported(name, "interval")),
        _ => return Err(not_recognized(name, "interval")),
    })
}

/// The start of the bin of equal length that a timestamp lies in, counted from an origin.
fn bin(stride: Span, micros: i64, origin: i64) -> Result<i64> {
    if stride.months != 0 {
        return Err(Error::not_supported("a stride with months or years in date_bin"));
    }
    let length = i64::from(stride.days)
        .checked_mul(DAY_MICROS)
        .and_then(|days| days.checked_add(stride.micros))
        .ok_or_else(interval_out_of_range)?;
    if length <= 0 {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "stride must be greater than zero"));
    }
    if is_infinite_timestamp(micros) || is_infinite_timestamp(origin) {
        return Ok(micros);
    }
    let (distance, length) = (i128::from(micros) - i128::from(origin), i128::from(length));
    check_timestamp(i128::from(origin) + distance.div_euclid(length) * length)
}

static FIELDS: &[ScalarFunction] = &[
    function!("extract", (Text, Timestamp) -> Nullable<Num>, Immutable, "a field", |(name, micros), _| extract_timestamp(name, micros, "timestamp without time zone")),
    function!("extract", (Text, TimestampTz) -> Nullable<Num>, Stable, "a field, in the session's zone", |(name, micros), environment| extract_instant(name, micros, environment)),
    function!("extract", (Text, Date) -> Nullable<Num>, Immutable, "a field", |(name, date), _| extract_date(name, date)),
    function!("extract", (Text, Interval) -> Nullable<Num>, Immutable, "a field", |(name, span), _| extract_interval(name, span)),
    function!("date_part", (Text, Timestamp) -> Nullable<Float8>, Immutable, "a field", |(name, micros), _| part(extract_timestamp(name, micros, "timestamp without time zone"))),
    function!("date_part", (Text, TimestampTz) -> Nullable<Float8>, Stable, "a field, in the session's zone", |(name, micros), environment| part(extract_instant(name, micros, environment))),
    function!("date_part", (Text, Date) -> Nullable<Float8>, Immutable, "a field", |(name, date), _| part(extract_timestamp(name, midnight(date)?, "timestamp without time zone"))),
    function!("date_part", (Text, Interval) -> Nullable<Float8>, Immutable, "a field", |(name, span), _| part(extract_interval(name, span))),
];

static TRUNCATIONS: &[ScalarFunction] = &[
    function!("date_trunc", (Text, Timestamp) -> Timestamp, Immutable, "start of the unit", |(name, micros), _| truncate(name, micros, "timestamp without time zone")),
    function!("date_trunc", (Text, TimestampTz) -> TimestampTz, Stable, "start of the unit in the session's zone", |(name, micros), environment| truncate_instant(name, micros, environment.time_zone())),
    function!("date_trunc", (Text, TimestampTz, Text) -> TimestampTz, Stable, "start of the unit in a zone", |(name, micros, zone_name), _| truncate_instant(name, micros, &zone::by_name(zone_name)?)),
    function!("date_trunc", (Text, Interval) -> Interval, Immutable, "without smaller parts", |(name, span), _| truncate_interval(name, span)),
    function!("date_bin", (Interval, Timestamp, Timestamp) -> Timestamp, Immutable, "start of the bin of a length, counted from an origin", |(stride, micros, origin), _| bin(stride, micros, origin)),
    function!("date_bin", (Interval, TimestampTz, TimestampTz) -> TimestampTz, Immutable, "start of the bin of a length, counted from an origin", |(stride, micros, origin), _| bin(stride, micros, origin)),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FIELDS, TRUNCATIONS];

//! Arithmetic on dates and timestamps: sums with intervals, age, extract, date_trunc, make_….

use crate::error::{Error, Result, SqlState};
use crate::sql::types::calendar::{
    CivilDate, DATE_INFINITY, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, TIMESTAMP_INFINITY,
    UNIX_JULIAN_DAY, check_date, check_timestamp, civil_from_days, days_from_civil, days_in_month,
    is_infinite_date, is_infinite_timestamp, is_leap, iso_week, make_date, timestamp_out_of_range, weekday,
};
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{DatumRef, Interval, Numeric};
use crate::sql::types::zone;
use jiff::tz::TimeZone;

/// A part of a date, time or interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Microsecond,
    Millisecond,
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

fn field_by_name(name: &str, data_type: DataType) -> Result<Field> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "usecond" | "useconds" => {
            Field::Microsecond
        }
        "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" => {
            Field::Millisecond
        }
        "second" | "seconds" | "sec" | "secs" | "s" => Field::Second,
        "minute" | "minutes" | "min" | "mins" | "m" => Field::Minute,
        "hour" | "hours" | "hr" | "hrs" | "h" => Field::Hour,
        "day" | "days" | "d" => Field::Day,
        "week" | "weeks" | "w" => Field::Week,
        "month" | "months" | "mon" | "mons" => Field::Month,
        "quarter" | "qtr" => Field::Quarter,
        "year" | "years" | "yr" | "yrs" | "y" => Field::Year,
        "decade" | "decades" | "dec" | "decs" => Field::Decade,
        "century" | "centuries" | "cent" | "c" => Field::Century,
        "millennium" | "millennia" | "mil" | "mils" => Field::Millennium,
        "dow" => Field::DayOfWeek,
        "isodow" => Field::IsoDayOfWeek,
        "doy" => Field::DayOfYear,
        "isoyear" => Field::IsoYear,
        "epoch" => Field::Epoch,
        "julian" | "jd" | "j" => Field::Julian,
        "timezone" => Field::Zone,
        "timezone_hour" | "timezone_h" => Field::ZoneHour,
        "timezone_minute" | "timezone_m" => Field::ZoneMinute,
        _ => {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!(
                    "unit \"{}\" not recognized for type {}",
                    name.to_ascii_lowercase(),
                    data_type.name()
                ),
            ));
        }
    })
}

fn not_supported(name: &str, data_type: DataType) -> Error {
    Error::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{}\" not supported for type {}", name.to_ascii_lowercase(), data_type.name()),
    )
}

/// `extract(name from value)`: `None` where PostgreSQL gives NULL (a part that infinity does not have).
/// # Errors
/// `22023` for an unknown part, `0A000` for one that the type does not have.
pub fn extract(
    name: &str,
    value: DatumRef<'_>,
    environment: &CastEnvironment<'_>,
) -> Result<Option<Numeric>> {
    let data_type = value.natural_type();
    let field = field_by_name(name, data_type)?;
    match value {
        DatumRef::Date(days) => {
            let has_time = matches!(
                field,
                Field::Microsecond | Field::Millisecond | Field::Second | Field::Minute | Field::Hour
            );
            if has_time || matches!(field, Field::Zone | Field::ZoneHour | Field::ZoneMinute) {
                return Err(not_supported(name, data_type));
            }
            if is_infinite_date(days) {
                return Ok(infinite(field, days == DATE_INFINITY));
            }
            let days = i64::from(days);
            Ok(Some(match field {
                Field::Epoch => Numeric::from(days * 86_400),
                Field::Julian => Numeric::from(days + UNIX_JULIAN_DAY),
                _ => Numeric::from(day_field(field, days)),
            }))
        }
        DatumRef::Timestamp(micros) => {
            if matches!(field, Field::Zone | Field::ZoneHour | Field::ZoneMinute) {
                return Err(not_supported(name, data_type));
            }
            if is_infinite_timestamp(micros) {
                return Ok(infinite(field, micros == TIMESTAMP_INFINITY));
            }
            timestamp_field(field, micros, micros).map(Some)
        }
        DatumRef::TimestampTz(micros) => {
            if is_infinite_timestamp(micros) {
                return Ok(infinite(field, micros == TIMESTAMP_INFINITY));
            }
            let offset = i64::from(zone::offset_at(environment.zone, micros));
            match field {
                Field::Zone => Ok(Some(Numeric::from(offset))),
                Field::ZoneHour => Ok(Some(Numeric::from(offset / 3600))),
                Field::ZoneMinute => Ok(Some(Numeric::from(offset / 60 % 60))),
                _ => timestamp_field(field, zone::to_local(environment.zone, micros)?, micros).map(Some),
            }
        }
        DatumRef::Interval(interval) => {
            interval_field(field, interval)?.map(Some).ok_or_else(|| not_supported(name, data_type))
        }
        _ => Err(Error::internal(format!("extract from {}", data_type.name()))),
    }
}

/// What infinity has of a field: itself where the field grows without bound, else nothing.
fn infinite(field: Field, positive: bool) -> Option<Numeric> {
    let grows = matches!(
        field,
        Field::Year
            | Field::Decade
            | Field::Century
            | Field::Millennium
            | Field::Julian
            | Field::IsoYear
            | Field::Epoch
    );
    grows.then_some(if positive { Numeric::INFINITY } else { Numeric::NEGATIVE_INFINITY })
}

/// Fields that a day decides.
fn day_field(field: Field, days: i64) -> i64 {
    let CivilDate { year, month, day } = civil_from_days(days);
    // There is no year 0: before 1 come 1 BC, −1.
    let shown = |year: i64| if year > 0 { year } else { year - 1 };
    match field {
        Field::Day => i64::from(day),
        Field::Week => iso_week(days).1,
        Field::Month => i64::from(month),
        Field::Quarter => i64::from(month - 1) / 3 + 1,
        Field::Year => shown(year),
        Field::Decade => year.div_euclid(10),
        Field::Century => century(year, 100),
        Field::Millennium => century(year, 1000),
        Field::DayOfWeek => weekday(days),
        Field::IsoDayOfWeek => (weekday(days) + 6) % 7 + 1,
        Field::DayOfYear => days - days_from_civil(year, 1, 1) + 1,
        Field::IsoYear => shown(iso_week(days).0),
        _ => 0,
    }
}

/// Number of the span of `length` years; spans start with the year 1 and, backward, with 1 BC.
fn century(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length } else { -((length - 1 - (year - 1)) / length) }
}

fn timestamp_field(field: Field, local: i64, instant: i64) -> Result<Numeric> {
    let (days, time) = (local.div_euclid(DAY_MICROS), local.rem_euclid(DAY_MICROS));
    Ok(match field {
        Field::Microsecond => Numeric::from(time % MINUTE_MICROS),
        Field::Millisecond => Numeric::new(i128::from(time % MINUTE_MICROS), 3),
        Field::Second => Numeric::new(i128::from(time % MINUTE_MICROS), 6),
        Field::Minute => Numeric::from(time / MINUTE_MICROS % 60),
        Field::Hour => Numeric::from(time / HOUR_MICROS),
        Field::Epoch => Numeric::new(i128::from(instant), 6),
        Field::Julian => {
            let part = Numeric::from(time).divide(Numeric::from(DAY_MICROS))?;
            Numeric::from(days + UNIX_JULIAN_DAY).add(part)?
        }
        _ => Numeric::from(day_field(field, days)),
    })
}

fn interval_field(field: Field, value: Interval) -> Result<Option<Numeric>> {
    let (years, months) = (value.months / 12, value.months % 12);
    let seconds = i128::from(value.micros % MINUTE_MICROS);
    Ok(Some(match field {
        Field::Microsecond => Numeric::new(seconds, 0),
        Field::Millisecond => Numeric::new(seconds, 3),
        Field::Second => Numeric::new(seconds, 6),
        Field::Minute => Numeric::from(value.micros / MINUTE_MICROS % 60),
        Field::Hour => Numeric::from(value.micros / HOUR_MICROS),
        Field::Day => Numeric::from(value.days),
        Field::Month => Numeric::from(months),
        Field::Quarter => Numeric::from(months / 3 + 1),
        Field::Year => Numeric::from(years),
        Field::Decade => Numeric::from(years / 10),
        Field::Century => Numeric::from(years / 100),
        Field::Millennium => Numeric::from(years / 1000),
        Field::Epoch => {
            // A year is 365.25 days, a month 30.
            let quarter_days =
                i128::from(years) * 1461 + (i128::from(months) * 30 + i128::from(value.days)) * 4;
            Numeric::new(quarter_days * i128::from(DAY_MICROS / 4) + i128::from(value.micros), 6)
        }
        _ => return Ok(None),
    }))
}

fn truncation_field(name: &str, data_type: DataType) -> Result<Field> {
    let field = field_by_name(name, data_type)?;
    match field {
        Field::DayOfWeek | Field::IsoDayOfWeek | Field::DayOfYear | Field::IsoYear | Field::Epoch => {
            Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!(
                    "unit \"{}\" not recognized for type {}",
                    name.to_ascii_lowercase(),
                    data_type.name()
                ),
            ))
        }
        Field::Julian | Field::Zone | Field::ZoneHour | Field::ZoneMinute => {
            Err(not_supported(name, data_type))
        }
        _ => Ok(field),
    }
}

/// `date_trunc` of a timestamp without zone.
/// # Errors
/// `22023`, `0A000` as [`extract`]; `22008` out of range.
pub fn truncate_timestamp(name: &str, micros: i64) -> Result<i64> {
    let field = truncation_field(name, DataType::Timestamp)?;
    truncate_local(field, micros)
}

/// `date_trunc` of a timestamp with zone: truncated in local time of `zone`.
/// # Errors
/// As [`truncate_timestamp`].
pub fn truncate_timestamptz(name: &str, micros: i64, zone: &TimeZone) -> Result<i64> {
    let field = truncation_field(name, DataType::TimestampTz)?;
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let local = zone::to_local(zone, micros)?;
    let truncated = truncate_local(field, local)?;
    match field {
        // Within a day the offset stays; so the two hours of a fold remain two.
        Field::Microsecond | Field::Millisecond | Field::Second | Field::Minute | Field::Hour => {
            Ok(micros - (local - truncated))
        }
        _ => zone::to_instant(zone, truncated),
    }
}

fn truncate_local(field: Field, micros: i64) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let days = micros.div_euclid(DAY_MICROS);
    let CivilDate { year, month, .. } = civil_from_days(days);
    let day = |days: i64| check_timestamp(i128::from(days) * i128::from(DAY_MICROS));
    let start = |year: i64| day(days_from_civil(year, 1, 1));
    let down = |unit: i64| Ok(micros - micros.rem_euclid(unit));
    let span = |length: i64| {
        let number = century(year, length);
        start(if year > 0 { number * length - (length - 1) } else { number * length + 1 })
    };
    match field {
        Field::Millisecond => down(1000),
        Field::Second => down(SECOND_MICROS),
        Field::Minute => down(MINUTE_MICROS),
        Field::Hour => down(HOUR_MICROS),
        Field::Day => day(days),
        Field::Week => day(days - (weekday(days) + 6) % 7),
        Field::Month => day(days_from_civil(year, month, 1)),
        Field::Quarter => day(days_from_civil(year, (month - 1) / 3 * 3 + 1, 1)),
        Field::Year => start(year),
        Field::Decade => start(year.div_euclid(10) * 10),
        Field::Century => span(100),
        Field::Millennium => span(1000),
        _ => Ok(micros),
    }
}

/// `date_trunc` of an interval.
/// # Errors
/// `22023`, `0A000` as [`extract`].
pub fn truncate_interval(name: &str, value: Interval) -> Result<Interval> {
    let field = truncation_field(name, DataType::Interval)?;
    let months = |unit: i32| Ok(Interval { months: value.months / unit * unit, days: 0, micros: 0 });
    let micros = |unit: i64| Ok(Interval { micros: value.micros / unit * unit, ..value });
    match field {
        Field::Week => {
            Err(not_supported(name, DataType::Interval).detail("Months usually have fractional weeks."))
        }
        Field::Millennium => months(12_000),
        Field::Century => months(1200),
        Field::Decade => months(120),
        Field::Year => months(12),
        Field::Quarter => months(3),
        Field::Month => months(1),
        Field::Day => Ok(Interval { micros: 0, ..value }),
        Field::Hour => micros(HOUR_MICROS),
        Field::Minute => micros(MINUTE_MICROS),
        Field::Second => micros(SECOND_MICROS),
        Field::Millisecond => micros(1000),
        _ => Ok(value),
    }
}

/// timestamp + interval: months first (the day is cut to the month's last), then days, then time.
/// # Errors
/// `22008`.
pub fn add_interval(micros: i64, interval: Interval) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let local = add_months_and_days(micros, interval)?;
    check_timestamp(i128::from(local) + i128::from(interval.micros))
}

/// timestamptz + interval: months and days count in local time of `zone`, hours in real time.
/// # Errors
/// `22008`.
pub fn add_interval_zoned(micros: i64, interval: Interval, zone: &TimeZone) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let moved = if interval.months != 0 || interval.days != 0 {
        zone::to_instant(zone, add_months_and_days(zone::to_local(zone, micros)?, interval)?)?
    } else {
        micros
    };
    check_timestamp(i128::from(moved) + i128::from(interval.micros))
}

fn add_months_and_days(micros: i64, interval: Interval) -> Result<i64> {
    let (mut days, time) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    if interval.months != 0 {
        let date = civil_from_days(days);
        let months = date.year * 12 + i64::from(date.month) - 1 + i64::from(interval.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
        days = days_from_civil(year, month, date.day.min(days_in_month(year, month)));
    }
    days += i64::from(interval.days);
    check_timestamp(i128::from(days) * i128::from(DAY_MICROS) + i128::from(time))
}

/// timestamp − timestamp: whole days and time.
/// # Errors
/// `22008` for infinities, as PostgreSQL 15, and beyond the range of intervals.
pub fn subtract_timestamps(left: i64, right: i64) -> Result<Interval> {
    if is_infinite_timestamp(left) || is_infinite_timestamp(right) {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps"));
    }
    let micros = left
        .checked_sub(right)
        .ok_or_else(|| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))?;
    Ok(Interval { months: 0, days: (micros / DAY_MICROS) as i32, micros: micros % DAY_MICROS })
}

/// date + days.
/// # Errors
/// `22008`.
pub fn add_days(date: i32, days: i32) -> Result<i32> {
    if is_infinite_date(date) {
        return Ok(date);
    }
    check_date(i64::from(date) + i64::from(days))
}

/// date − date: days.
/// # Errors
/// `22008` for infinities.
pub fn subtract_dates(left: i32, right: i32) -> Result<i32> {
    if is_infinite_date(left) || is_infinite_date(right) {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates"));
    }
    // Both lie within the range of dates, whose width fits 32 bits.
    Ok((i64::from(left) - i64::from(right)) as i32)
}

/// `age(later, earlier)` of local timestamps: years, months, days and time between them.
/// # Errors
/// `22008` for infinities.
pub fn age(left: i64, right: i64) -> Result<Interval> {
    if is_infinite_timestamp(left) || is_infinite_timestamp(right) {
        return Err(timestamp_out_of_range());
    }
    let (later, earlier, sign) = if left < right { (right, left, -1) } else { (left, right, 1) };
    let (to, from) =
        (civil_from_days(later.div_euclid(DAY_MICROS)), civil_from_days(earlier.div_euclid(DAY_MICROS)));
    let mut time = later.rem_euclid(DAY_MICROS) - earlier.rem_euclid(DAY_MICROS);
    let mut days = i64::from(to.day) - i64::from(from.day);
    let mut months = (to.year - from.year) * 12 + i64::from(to.month) - i64::from(from.month);
    if time < 0 {
        (time, days) = (time + DAY_MICROS, days - 1);
    }
    if days < 0 {
        // The month that is not full is as long as the earlier date's.
        days += i64::from(days_in_month(from.year, from.month));
        months -= 1;
    }
    let months = i32::try_from(months * sign)
        .map_err(|_| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))?;
    Ok(Interval { months, days: (days * sign) as i32, micros: time * sign })
}

/// `make_timestamp`: a negative year is BC; 60 seconds are the next minute.
/// # Errors
/// `22008` for a day or time that does not exist.
pub fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> Result<i64> {
    let days = make_date(year, month, day)?;
    let fits = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    let time = i64::from(hour) * HOUR_MICROS
        + i64::from(minute) * MINUTE_MICROS
        + (second * SECOND_MICROS as f64).round_ties_even() as i64;
    if !fits || time > DAY_MICROS {
        let padded = if second < 10.0 { "0" } else { "" };
        return Err(Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("time field value out of range: {hour}:{minute:02}:{padded}{second}"),
        ));
    }
    check_timestamp(i128::from(days) * i128::from(DAY_MICROS) + i128::from(time))
}

/// Whether a date's year has 366 days.
pub fn is_leap_year(days: i32) -> bool {
    is_leap(civil_from_days(i64::from(days)).year)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::datetime_input::parse_timestamp;
    use crate::sql::types::datetime_output::write_timestamp;
    use crate::sql::types::interval;

    const ENVIRONMENT: CastEnvironment<'static> =
        CastEnvironment { zone: &TimeZone::UTC, now: 0, style: crate::sql::types::text_style::DEFAULT };

    fn timestamp(text: &str) -> i64 {
        parse_timestamp(text, &ENVIRONMENT).unwrap()
    }

    fn shown(micros: i64) -> String {
        let mut text = String::new();
        write_timestamp(micros, &mut text);
        text
    }

    fn interval_shown(value: Interval) -> String {
        let mut text = String::new();
        crate::sql::types::interval_output::write(value, Default::default(), &mut text);
        text
    }

    #[test]
    fn fields_have_the_values_and_scales_of_postgresql() {
        let part = |name: &str, text: &str| {
            extract(name, DatumRef::Timestamp(timestamp(text)), &ENVIRONMENT)
                .unwrap()
                .map_or("null".to_string(), |n| n.to_string())
        };
        for (name, text, value) in [
            ("epoch", "2020-01-02 03:04:05.678901", "1577934245.678901"),
            ("second", "2020-01-02 03:04:05.6", "5.600000"),
            ("milliseconds", "2020-01-02 03:04:05.6", "5600.000"),
            ("julian", "2020-01-02 12:00", "2458851.50000000000000000000"),
            ("dow", "2020-01-05", "0"),
            ("isodow", "2020-01-05", "7"),
            ("century", "2000-01-05", "20"),
            ("decade", "0005-01-05 BC", "-1"),
            ("millennium", "2001-01-05", "3"),
            ("year", "0001-01-05 BC", "-1"),
            ("week", "2021-01-01", "53"),
            ("isoyear", "2021-01-01", "2020"),
            ("year", "infinity", "Infinity"),
            ("month", "infinity", "null"),
        ] {
            assert_eq!(part(name, text), value, "{name} of {text}");
        }
        let of_interval = |name: &str, text: &str| {
            let value = DatumRef::Interval(interval::parse(text).unwrap());
            extract(name, value, &ENVIRONMENT).unwrap().unwrap().to_string()
        };
        assert_eq!(of_interval("epoch", "1 year 1 mon 1 day 00:00:01.5"), "34236001.500000");
        assert_eq!(of_interval("second", "-1.5 sec"), "-1.500000");
        let error = extract("foo", DatumRef::Date(0), &ENVIRONMENT).unwrap_err();
        assert_eq!(error.message(), "unit \"foo\" not recognized for type date");
        let error = extract("hour", DatumRef::Date(0), &ENVIRONMENT).unwrap_err();
        assert_eq!(error.message(), "unit \"hour\" not supported for type date");
    }

    #[test]
    fn truncation_and_age_agree_with_postgresql() {
        for (name, text, value) in [
            ("week", "2020-01-05 12:34", "2019-12-30 00:00:00"),
            ("century", "2000-05-05", "1901-01-01 00:00:00"),
            ("decade", "0005-05-05 BC", "0011-01-01 00:00:00 BC"),
            ("millennium", "2000-05-05", "1001-01-01 00:00:00"),
            ("hour", "1969-12-31 23:59", "1969-12-31 23:00:00"),
        ] {
            assert_eq!(shown(truncate_timestamp(name, timestamp(text)).unwrap()), value, "{name} of {text}");
        }
        for (left, right, value) in [
            ("2020-03-01", "2019-12-31 12:00", "2 mons 12:00:00"),
            ("2019-12-31", "2020-03-01", "-2 mons -1 days"),
            ("2020-01-31", "2020-02-29", "-29 days"),
        ] {
            assert_eq!(
                interval_shown(age(timestamp(left), timestamp(right)).unwrap()),
                value,
                "{left} {right}"
            );
        }
        let month = interval::parse("1 mon").unwrap();
        assert_eq!(shown(add_interval(timestamp("2020-01-31"), month).unwrap()), "2020-02-29 00:00:00");
        let difference = subtract_timestamps(timestamp("2020-03-03 10:00"), timestamp("2020-01-01 12:00"));
        assert_eq!(interval_shown(difference.unwrap()), "61 days 22:00:00");
        assert_eq!(
            make_timestamp(2020, 1, 1, 25, 0, 0.0).unwrap_err().message(),
            "time field value out of range: 25:00:00"
        );
    }

    #[test]
    fn a_day_across_a_clock_change_is_not_24_hours() {
        let berlin = zone::by_name("Europe/Berlin").unwrap();
        let noon = zone::to_instant(&berlin, timestamp("2020-03-28 12:00")).unwrap();
        let day = Interval { days: 1, ..Interval::default() };
        assert_eq!(add_interval_zoned(noon, day, &berlin).unwrap() - noon, 23 * HOUR_MICROS);
        let hours = Interval { micros: DAY_MICROS, ..Interval::default() };
        assert_eq!(add_interval_zoned(noon, hours, &berlin).unwrap() - noon, 24 * HOUR_MICROS);
    }
}

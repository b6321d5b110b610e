//! Intervals: reading and arithmetic.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::calendar::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS};
use crate::sql::types::datum::Interval;
use crate::sql::types::interval_range::IntervalRange;
use crate::sql::types::text::is_space;

const DAYS_PER_MONTH: i64 = 30;

/// `22008`.
fn out_of_range() -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

/// A unit with what one of it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Months(i64),
    Days(i64),
    Micros(i64),
}

fn unit_by_name(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" | "microsecon" => {
            Unit::Micros(1)
        }
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" | "millisecon" => {
            Unit::Micros(1000)
        }
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micros(SECOND_MICROS),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Micros(MINUTE_MICROS),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Micros(HOUR_MICROS),
        "d" | "day" | "days" => Unit::Days(1),
        "w" | "week" | "weeks" => Unit::Days(7),
        "mon" | "mons" | "month" | "months" => Unit::Months(1),
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Months(12),
        "dec" | "decs" | "decade" | "decades" => Unit::Months(120),
        "c" | "cent" | "century" | "centuries" => Unit::Months(1200),
        "mil" | "mils" | "millennium" | "millenniums" | "millennia" => Unit::Months(12_000),
        _ => return None,
    })
}

#[derive(Default)]
struct Sum {
    /// Units that came: each at most once.
    seen: Vec<(u8, i64)>,
    /// Whole ones; fractions are months.
    years: i128,
    months: i128,
    days: i128,
    micros: i128,
}

/// A decimal count: whole part and fraction of the same sign.
#[derive(Clone, Copy)]
struct Count {
    whole: i128,
    fraction: f64,
}

impl Sum {
    /// Notes a unit.
    fn mark(&mut self, unit: Unit) -> std::result::Result<(), Failure> {
        let key = match unit {
            Unit::Months(each) => (0, each),
            Unit::Days(each) => (1, each),
            Unit::Micros(each) => (2, each),
        };
        if self.seen.contains(&key) {
            return Err(Failure::Syntax);
        }
        self.seen.push(key);
        Ok(())
    }

    fn add(&mut self, count: Count, unit: Unit) {
        let whole = count.whole;
        match unit {
            Unit::Months(each) => {
                if each % 12 == 0 {
                    self.years += whole * i128::from(each / 12);
                } else {
                    self.months += whole * i128::from(each);
                }
                let months = count.fraction * each as f64;
                if each > 1 {
                    // Fractions of years and longer units count in whole months.
                    self.months += months.round_ties_even() as i128;
                } else {
                    self.add_days(months * DAYS_PER_MONTH as f64);
                }
            }
            Unit::Days(each) => {
                self.days += whole * i128::from(each);
                self.add_days(count.fraction * each as f64);
            }
            Unit::Micros(each) => {
                self.micros +=
                    whole * i128::from(each) + (count.fraction * each as f64).round_ties_even() as i128;
            }
        }
    }

    fn add_days(&mut self, days: f64) {
        let whole = days.trunc();
        self.days += whole as i128;
        self.micros += ((days - whole) * DAY_MICROS as f64).round_ties_even() as i128;
    }

    fn finish(self, negate: bool) -> Option<Interval> {
        let sign = if negate { -1 } else { 1 };
        Some(Interval {
            months: i32::try_from((self.years * 12 + self.months) * sign).ok()?,
            days: i32::try_from(self.days * sign).ok()?,
            micros: i64::try_from(self.micros * sign).ok()?,
        })
    }
}

/// Reads an interval: PostgreSQL's verbose and short forms, `y-m d h:m:s`, and ISO 8601.
/// # Errors
/// `22007` for what is no interval, `22015` for one out of range.
pub fn parse(text: &str) -> Result<Interval> {
    parse_within(text, IntervalRange::FULL)
}

/// Reads an interval of a type that is limited to fields: they tell what a number without a unit is. Cutting off
/// the other fields is the caller's.
/// # Errors
/// As [`parse`].
pub fn parse_within(text: &str, range: IntervalRange) -> Result<Interval> {
    let syntax = || {
        Error::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("invalid input syntax for type interval: \"{text}\""),
        )
    };
    let too_large = || {
        Error::new(
            SqlState::INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        )
    };
    let lower = text.trim_matches(is_space).to_ascii_lowercase();
    if lower.is_empty() || lower.len() > 1024 {
        return Err(syntax());
    }
    let body = match lower.strip_prefix('p') {
        Some(rest) => parse_iso(rest),
        None => parse_verbose(&lower, range),
    };
    let (sum, ago) = body.map_err(|failure| match failure {
        Failure::Syntax => syntax(),
        Failure::Range => too_large(),
    })?;
    // PostgreSQL reads years and months with 32 bits each; only their sum is checked later.
    if i32::try_from(sum.years).is_err() || i32::try_from(sum.months).is_err() {
        return Err(too_large());
    }
    if i32::try_from(sum.years * 12 + sum.months).is_err() {
        return Err(out_of_range());
    }
    sum.finish(ago).ok_or_else(too_large)
}

enum Failure {
    Syntax,
    Range,
}

/// Reads `[±]digits[.digits]`; returns the count, whether it was signed minus, and the rest.
fn take_count(text: &str) -> std::result::Result<(Count, bool, &str), Failure> {
    let negative = text.starts_with('-');
    let body = text.strip_prefix(['+', '-']).unwrap_or(text).trim_start_matches(is_space);
    let end = body.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(body.len());
    let (whole, mut rest) = body.split_at(end);
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        let end = after.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(after.len());
        (fraction, rest) = after.split_at(end);
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(Failure::Syntax);
    }
    let magnitude: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Failure::Range)? };
    let least = if negative { -i128::from(i64::MIN) } else { i128::from(i64::MAX) };
    if magnitude > least {
        return Err(Failure::Range);
    }
    let part: f64 = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().unwrap_or(0.0) };
    let sign = if negative { -1 } else { 1 };
    Ok((Count { whole: sign * magnitude, fraction: sign as f64 * part }, negative, rest))
}

fn parse_iso(text: &str) -> std::result::Result<(Sum, bool), Failure> {
    let (mut sum, mut rest, mut in_time, mut any) = (Sum::default(), text, false, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('t') {
            if in_time {
                return Err(Failure::Syntax);
            }
            (in_time, rest) = (true, after);
            continue;
        }
        let (count, _, after) = take_count(rest)?;
        let unit = match (after.bytes().next().ok_or(Failure::Syntax)?, in_time) {
            (b'y', false) => Unit::Months(12),
            (b'm', false) => Unit::Months(1),
            (b'w', false) => Unit::Days(7),
            (b'd', false) => Unit::Days(1),
            (b'h', true) => Unit::Micros(HOUR_MICROS),
            (b'm', true) => Unit::Micros(MINUTE_MICROS),
            (b's', true) => Unit::Micros(SECOND_MICROS),
            _ => return Err(Failure::Syntax),
        };
        sum.add(count, unit);
        (rest, any) = (&after[1..], true);
    }
    if any { Ok((sum, false)) } else { Err(Failure::Syntax) }
}

fn parse_verbose(text: &str, range: IntervalRange) -> std::result::Result<(Sum, bool), Failure> {
    let (mut sum, mut ago, mut any) = (Sum::default(), false, false);
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| is_space(c) || c == '@' || c == ',');
        let Some(first) = rest.bytes().next() else { break };
        if ago {
            return Err(Failure::Syntax);
        }
        if first.is_ascii_lowercase() {
            let end = rest.bytes().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(rest.len());
            ago = &rest[..end] == "ago";
            if !ago || !any {
                return Err(Failure::Syntax);
            }
            rest = &rest[end..];
            continue;
        }
        let (count, negative, after) = take_count(rest)?;
        any = true;
        if after.starts_with(':') {
            rest = take_clock(&mut sum, count, negative, after, range)?;
            continue;
        }
        if let Some(months) = after.strip_prefix('-')
            && months.starts_with(|c: char| c.is_ascii_digit())
        {
            // SQL's year-month form; the sign of the year counts for both.
            let (months, _, after) = take_count(months)?;
            if months.whole > 11 || months.fraction != 0.0 {
                return Err(Failure::Range);
            }
            sum.mark(Unit::Months(12))?;
            sum.mark(Unit::Months(1))?;
            sum.add(count, Unit::Months(12));
            let signed = if negative { -months.whole } else { months.whole };
            sum.add(Count { whole: signed, fraction: 0.0 }, Unit::Months(1));
            rest = after;
            continue;
        }
        let trimmed = after.trim_start_matches(is_space);
        let end = trimmed.bytes().position(|byte| !byte.is_ascii_lowercase()).unwrap_or(trimmed.len());
        let word = &trimmed[..end];
        if word.is_empty() || word == "ago" {
            // A bare number before a time is days, before a bare number of hours too; else the type's last field.
            let last = range.unit_of_number();
            let before_hours = !word.is_empty() || trimmed.is_empty() || last != Unit::Micros(HOUR_MICROS);
            let unit = if trimmed.contains(':') || !before_hours { Unit::Days(1) } else { last };
            sum.mark(unit)?;
            sum.add(count, unit);
            rest = trimmed;
        } else {
            let unit = unit_by_name(word).ok_or(Failure::Syntax)?;
            sum.mark(unit)?;
            if matches!(unit, Unit::Micros(SECOND_MICROS)) && count.fraction != 0.0 {
                // The fraction is milliseconds and microseconds.
                sum.mark(Unit::Micros(1000))?;
                sum.mark(Unit::Micros(1))?;
            }
            sum.add(count, unit);
            rest = &trimmed[end..];
        }
    }
    if any { Ok((sum, ago)) } else { Err(Failure::Syntax) }
}

/// `h:m[:s]` after the hours were read. As in PostgreSQL `m:s.f` when there is a fraction.
fn take_clock<'a>(
    sum: &mut Sum,
    hours: Count,
    negative: bool,
    text: &'a str,
    range: IntervalRange,
) -> std::result::Result<&'a str, Failure> {
    if hours.fraction != 0.0 {
        return Err(Failure::Syntax);
    }
    for unit in [HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, 1000, 1] {
        sum.mark(Unit::Micros(unit))?;
    }
    let (second, _, mut rest) = take_count(&text[1..])?;
    let mut parts = [hours.whole.abs(), second.whole, 0];
    let mut fraction = second.fraction;
    if rest.starts_with(':') {
        if fraction != 0.0 {
            return Err(Failure::Syntax);
        }
        let (third, _, after) = take_count(&rest[1..])?;
        (parts[2], fraction, rest) = (third.whole, third.fraction, after);
    } else if fraction != 0.0 || range.is_minute_to_second() {
        parts = [0, parts[0], parts[1]];
    }
    if !(0..60).contains(&parts[1]) || !(0..=60).contains(&parts[2]) {
        return Err(Failure::Range);
    }
    let micros = parts[0] * i128::from(HOUR_MICROS)
        + parts[1] * i128::from(MINUTE_MICROS)
        + parts[2] * i128::from(SECOND_MICROS)
        + (fraction * SECOND_MICROS as f64).round_ties_even() as i128;
    sum.micros += if negative { -micros } else { micros };
    Ok(rest)
}

/// Sum of two intervals, part by part.
/// # Errors
/// `22008`.
pub fn add(left: Interval, right: Interval) -> Result<Interval> {
    let sum = || {
        Some(Interval {
            months: left.months.checked_add(right.months)?,
            days: left.days.checked_add(right.days)?,
            micros: left.micros.checked_add(right.micros)?,
        })
    };
    sum().ok_or_else(out_of_range)
}

/// The interval with every part's sign changed.
/// # Errors
/// `22008`.
pub fn negate(value: Interval) -> Result<Interval> {
    let negated = || {
        Some(Interval {
            months: value.months.checked_neg()?,
            days: value.days.checked_neg()?,
            micros: value.micros.checked_neg()?,
        })
    };
    negated().ok_or_else(out_of_range)
}

/// Difference of two intervals.
/// # Errors
/// `22008`.
pub fn subtract(left: Interval, right: Interval) -> Result<Interval> {
    let difference = || {
        Some(Interval {
            months: left.months.checked_sub(right.months)?,
            days: left.days.checked_sub(right.days)?,
            micros: left.micros.checked_sub(right.micros)?,
        })
    };
    difference().ok_or_else(out_of_range)
}

fn integer(value: f64) -> Result<i32> {
    if value.is_nan() || value < f64::from(i32::MIN) || value > f64::from(i32::MAX) {
        return Err(out_of_range());
    }
    Ok(value as i32)
}

/// Rounds away the noise of binary fractions: to whole microseconds of a day's or second's fraction.
fn micro_precision(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

/// Interval times a number; fractions of months become days, fractions of days become time.
/// # Errors
/// `22008`.
pub fn multiply(value: Interval, factor: f64) -> Result<Interval> {
    scale(value, |part| part * factor)
}

/// Interval divided by a number.
/// # Errors
/// `22012` for 0, `22008`.
pub fn divide(value: Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(crate::sql::types::numeric_arithmetic::division_by_zero());
    }
    scale(value, |part| part / divisor)
}

fn scale(value: Interval, by: impl Fn(f64) -> f64) -> Result<Interval> {
    let (months, days) = (by(f64::from(value.months)), by(f64::from(value.days)));
    let (whole_months, mut whole_days) = (integer(months)?, integer(days)?);
    let month_remainder_days = micro_precision((months - f64::from(whole_months)) * DAYS_PER_MONTH as f64);
    let mut seconds = micro_precision(
        (days - f64::from(whole_days) + month_remainder_days - month_remainder_days.trunc()) * 86_400.0,
    );
    // What the fractions together make of a whole day goes to the days.
    if seconds.abs() >= 86_400.0 {
        let carried = (seconds / 86_400.0) as i32;
        whole_days = whole_days.checked_add(carried).ok_or_else(out_of_range)?;
        seconds -= f64::from(carried) * 86_400.0;
    }
    whole_days = whole_days.checked_add(month_remainder_days as i32).ok_or_else(out_of_range)?;
    let micros = (by(value.micros as f64) + seconds * SECOND_MICROS as f64).round_ties_even();
    if micros.is_nan() || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros) {
        return Err(out_of_range());
    }
    Ok(Interval { months: whole_months, days: whole_days, micros: micros as i64 })
}

/// `justify_hours`: 24 hours as a day.
/// # Errors
/// `22008`.
pub fn justify_hours(value: Interval) -> Result<Interval> {
    let whole = value.micros / DAY_MICROS;
    let mut days = i64::from(value.days) + whole;
    let mut micros = value.micros - whole * DAY_MICROS;
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + DAY_MICROS);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - DAY_MICROS);
    }
    Ok(Interval { days: i32::try_from(days).map_err(|_| out_of_range())?, micros, ..value })
}

/// `justify_days`: 30 days as a month.
/// # Errors
/// `22008`.
pub fn justify_days(value: Interval) -> Result<Interval> {
    let whole = i64::from(value.days) / DAYS_PER_MONTH;
    let mut months = i64::from(value.months) + whole;
    let mut days = i64::from(value.days) - whole * DAYS_PER_MONTH;
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + DAYS_PER_MONTH);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - DAYS_PER_MONTH);
    }
    Ok(Interval { months: i32::try_from(months).map_err(|_| out_of_range())?, days: days as i32, ..value })
}

/// `justify_interval`: both, with one sign for all parts.
/// # Errors
/// `22008`.
pub fn justify_interval(value: Interval) -> Result<Interval> {
    let mut days = i64::from(value.days) + value.micros / DAY_MICROS;
    let mut micros = value.micros % DAY_MICROS;
    let mut months = i64::from(value.months) + days / DAYS_PER_MONTH;
    days %= DAYS_PER_MONTH;
    if months > 0 && (days < 0 || days == 0 && micros < 0) {
        (months, days) = (months - 1, days + DAYS_PER_MONTH);
    } else if months < 0 && (days > 0 || days == 0 && micros > 0) {
        (months, days) = (months + 1, days - DAYS_PER_MONTH);
    }
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + DAY_MICROS);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - DAY_MICROS);
    }
    Ok(Interval { months: i32::try_from(months).map_err(|_| out_of_range())?, days: days as i32, micros })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::interval_output::write;
    use crate::sql::types::text_style::IntervalStyle;

    fn printed(text: &str) -> String {
        match parse(text) {
            Ok(value) => {
                let mut out = String::new();
                write(value, IntervalStyle::Postgres, &mut out);
                out
            }
            Err(error) => error.state().to_string(),
        }
    }

    #[test]
    fn intervals_read_and_print_as_in_postgresql() {
        for (input, output) in [
            ("1 year 2 months 3 days 4 hours 5 minutes 6.789 seconds", "1 year 2 mons 3 days 04:05:06.789"),
            ("1-2", "1 year 2 mons"),
            ("-1-2 +3 -4:05:06", "-1 years -2 mons +3 days -04:05:06"),
            ("P1Y2M3DT4H5M6S", "1 year 2 mons 3 days 04:05:06"),
            ("3 4:05:06", "3 days 04:05:06"),
            ("1 day ago", "-1 days"),
            ("@ 1 week", "7 days"),
            ("1.5 months", "1 mon 15 days"),
            ("1.5 years", "1 year 6 mons"),
            ("2.5 days", "2 days 12:00:00"),
            ("90 minutes", "01:30:00"),
            ("5", "00:00:05"),
            ("100:00", "100:00:00"),
            ("0", "00:00:00"),
            ("-1 day +02:03", "-1 days +02:03:00"),
            ("500 ms", "00:00:00.5"),
            ("-9223372036854775808 microseconds", "-2562047788:00:54.775808"),
            ("2.5 seconds 7 milliseconds", "22007"),
            ("1:02:03 4 microseconds", "22007"),
            ("x", "22007"),
            ("", "22007"),
            ("1 foo", "22007"),
            ("99999999999 years", "22015"),
        ] {
            assert_eq!(printed(input), output, "{input}");
        }
    }

    #[test]
    fn fractions_cascade_and_parts_are_justified() {
        let scaled = |text: &str, factor: f64| {
            let mut out = String::new();
            write(multiply(parse(text).unwrap(), factor).unwrap(), IntervalStyle::Postgres, &mut out);
            out
        };
        assert_eq!(scaled("1 month", 0.5), "15 days");
        assert_eq!(scaled("1 day", 0.25), "06:00:00");
        assert_eq!(scaled("1 year 1 day", 1.5), "1 year 6 mons 1 day 12:00:00");
        assert!(multiply(parse("1 month").unwrap(), 1e20).is_err());
        let mut out = String::new();
        write(justify_interval(parse("1 mon -1 hour").unwrap()).unwrap(), IntervalStyle::Postgres, &mut out);
        assert_eq!(out, "29 days 23:00:00");
    }
}

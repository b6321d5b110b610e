//! Text of intervals in every IntervalStyle. Knows values; which style holds is the session's affair.

use crate::sql::types::calendar::{HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS};
use crate::sql::types::datetime_output::write_time;
use crate::sql::types::datum::Interval;
use crate::sql::types::text_style::IntervalStyle;
use std::fmt::Write;

const FITS: &str = "strings take everything";

/// Appends an interval.
pub fn write(value: Interval, style: IntervalStyle, out: &mut String) {
    match style {
        IntervalStyle::Postgres => write_postgres(value, out),
        IntervalStyle::PostgresVerbose => write_verbose(Parts::of(value), out),
        IntervalStyle::SqlStandard => write_standard(Parts::of(value), out),
        IntervalStyle::Iso8601 => write_iso(Parts::of(value), out),
    }
}

/// An interval by the fields that styles print; each keeps its sign.
#[derive(Clone, Copy)]
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    /// Microseconds of the last minute.
    micros: i64,
}

impl Parts {
    fn of(value: Interval) -> Parts {
        Parts {
            years: i64::from(value.months / 12),
            months: i64::from(value.months % 12),
            days: i64::from(value.days),
            hours: value.micros / HOUR_MICROS,
            minutes: value.micros / MINUTE_MICROS % 60,
            micros: value.micros % MINUTE_MICROS,
        }
    }

    fn each(self) -> [i64; 6] {
        [self.years, self.months, self.days, self.hours, self.minutes, self.micros]
    }
}

/// Seconds without sign and without zeros at the end of their fraction; `padded`: two digits before the point.
fn write_seconds(micros: i64, padded: bool, out: &mut String) {
    let (seconds, fraction) = (micros.abs() / SECOND_MICROS, micros.abs() % SECOND_MICROS);
    write!(out, "{seconds:0width$}", width = if padded { 2 } else { 1 }).expect(FITS);
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        write!(out, ".{}", digits.trim_end_matches('0')).expect(FITS);
    }
}

fn write_postgres(value: Interval, out: &mut String) {
    let (years, months) = (value.months / 12, value.months % 12);
    let (mut empty, mut negative_before) = (true, false);
    for (count, unit) in [(years, "year"), (months, "mon"), (value.days, "day")] {
        if count == 0 {
            continue;
        }
        let space = if empty { "" } else { " " };
        let plus = if negative_before && count > 0 { "+" } else { "" };
        let plural = if count == 1 { "" } else { "s" };
        write!(out, "{space}{plus}{count} {unit}{plural}").expect(FITS);
        (empty, negative_before) = (false, count < 0);
    }
    if empty || value.micros != 0 {
        if !empty {
            out.push(' ');
        }
        if value.micros < 0 {
            out.push('-');
        } else if negative_before {
            out.push('+');
        }
        if value.micros == i64::MIN {
            // Its absolute value has no place in 64 bits.
            out.push_str("2562047788:00:54.775808");
        } else {
            write_time(value.micros.abs(), out);
        }
    }
}

fn write_verbose(parts: Parts, out: &mut String) {
    let [years, months, days, hours, minutes, micros] = parts.each();
    out.push('@');
    // The first part that is not zero decides whether the whole is "ago".
    let mut ago = None;
    for (count, unit) in [(years, "year"), (months, "mon"), (days, "day"), (hours, "hour"), (minutes, "min")]
    {
        if count == 0 {
            continue;
        }
        let shown = if *ago.get_or_insert(count < 0) { -count } else { count };
        let plural = if shown == 1 { "" } else { "s" };
        write!(out, " {shown} {unit}{plural}").expect(FITS);
    }
    if micros != 0 {
        out.push(' ');
        if *ago.get_or_insert(micros < 0) != (micros < 0) {
            out.push('-');
        }
        write_seconds(micros, false, out);
        out.push_str(if micros.abs() == SECOND_MICROS { " sec" } else { " secs" });
    }
    match ago {
        None => out.push_str(" 0"),
        Some(true) => out.push_str(" ago"),
        Some(false) => {}
    }
}

fn write_iso(parts: Parts, out: &mut String) {
    let [years, months, days, hours, minutes, micros] = parts.each();
    if parts.each() == [0; 6] {
        out.push_str("PT0S");
        return;
    }
    let part = |count: i64, letter: char, out: &mut String| {
        if count != 0 {
            write!(out, "{count}{letter}").expect(FITS);
        }
    };
    out.push('P');
    part(years, 'Y', out);
    part(months, 'M', out);
    part(days, 'D', out);
    if [hours, minutes, micros] != [0; 3] {
        out.push('T');
    }
    part(hours, 'H', out);
    part(minutes, 'M', out);
    if micros != 0 {
        if micros < 0 {
            out.push('-');
        }
        write_seconds(micros, false, out);
        out.push('S');
    }
}

fn write_standard(parts: Parts, out: &mut String) {
    let each = parts.each();
    let negative = each.iter().any(|part| *part < 0);
    let positive = each.iter().any(|part| *part > 0);
    let [years, months, days, hours, minutes, micros] = each;
    let has_months = years != 0 || months != 0;
    let has_time = [days, hours, minutes, micros] != [0; 4];
    if !negative && !positive {
        out.push('0');
    } else if (negative && positive) || (has_months && has_time) {
        // The standard has no such value: every group says its sign.
        let sign = |minus: bool| if minus { '-' } else { '+' };
        write!(
            out,
            "{}{}-{} {}{} {}{}:{:02}:",
            sign(years < 0 || months < 0),
            years.abs(),
            months.abs(),
            sign(days < 0),
            days.abs(),
            sign(hours < 0 || minutes < 0 || micros < 0),
            hours.abs(),
            minutes.abs()
        )
        .expect(FITS);
        write_seconds(micros, true, out);
    } else {
        if negative {
            out.push('-');
        }
        if has_months {
            write!(out, "{}-{}", years.abs(), months.abs()).expect(FITS);
            return;
        }
        if days != 0 {
            write!(out, "{} ", days.abs()).expect(FITS);
        }
        write!(out, "{}:{:02}:", hours.abs(), minutes.abs()).expect(FITS);
        write_seconds(micros, true, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_prints_as_in_postgresql() {
        let plain = Interval { months: 14, days: 3, micros: 14_706_700_000 };
        let mixed = Interval { months: 14, days: -3, micros: -14_706_700_000 };
        let zero = Interval { months: 0, days: 0, micros: 0 };
        let day_time = Interval { months: 0, days: -1, micros: -7_384_000_000 };
        for (value, style, text) in [
            (plain, IntervalStyle::Postgres, "1 year 2 mons 3 days 04:05:06.7"),
            (plain, IntervalStyle::PostgresVerbose, "@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs"),
            (plain, IntervalStyle::SqlStandard, "+1-2 +3 +4:05:06.7"),
            (plain, IntervalStyle::Iso8601, "P1Y2M3DT4H5M6.7S"),
            (mixed, IntervalStyle::PostgresVerbose, "@ 1 year 2 mons -3 days -4 hours -5 mins -6.7 secs"),
            (mixed, IntervalStyle::SqlStandard, "+1-2 -3 -4:05:06.7"),
            (mixed, IntervalStyle::Iso8601, "P1Y2M-3DT-4H-5M-6.7S"),
            (day_time, IntervalStyle::PostgresVerbose, "@ 1 day 2 hours 3 mins 4 secs ago"),
            (day_time, IntervalStyle::SqlStandard, "-1 2:03:04"),
            (zero, IntervalStyle::PostgresVerbose, "@ 0"),
            (zero, IntervalStyle::SqlStandard, "0"),
            (zero, IntervalStyle::Iso8601, "PT0S"),
        ] {
            let mut out = String::new();
            write(value, style, &mut out);
            assert_eq!(out, text);
        }
    }
}

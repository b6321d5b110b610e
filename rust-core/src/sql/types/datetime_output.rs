//! Text of dates and timestamps: DateStyle ISO.

use crate::sql::types::calendar::{
    CivilDate, DATE_INFINITY, DATE_NEGATIVE_INFINITY, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS,
    TIMESTAMP_INFINITY, TIMESTAMP_NEGATIVE_INFINITY, civil_from_days,
};
use crate::sql::types::zone::offset_at;
use jiff::tz::TimeZone;
use std::fmt::Write;

const FITS: &str = "strings take everything";

/// Appends a date.
pub fn write_date(days: i32, out: &mut String) {
    match days {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_NEGATIVE_INFINITY => out.push_str("-infinity"),
        _ => {
            let date = civil_from_days(i64::from(days));
            write_civil(date, out);
            write_era(date, out);
        }
    }
}

/// Appends a timestamp without zone.
pub fn write_timestamp(micros: i64, out: &mut String) {
    if write_infinite(micros, out) {
        return;
    }
    let date = civil_from_days(micros.div_euclid(DAY_MICROS));
    write_civil(date, out);
    out.push(' ');
    write_time(micros.rem_euclid(DAY_MICROS), out);
    write_era(date, out);
}

/// Appends a timestamp with zone: local time in `zone` and its offset.
pub fn write_timestamptz(micros: i64, zone: &TimeZone, out: &mut String) {
    if write_infinite(micros, out) {
        return;
    }
    let offset = offset_at(zone, micros);
    let local = i128::from(micros) + i128::from(offset) * i128::from(SECOND_MICROS);
    let date = civil_from_days(local.div_euclid(i128::from(DAY_MICROS)) as i64);
    write_civil(date, out);
    out.push(' ');
    write_time(local.rem_euclid(i128::from(DAY_MICROS)) as i64, out);
    write_offset(offset, out);
    write_era(date, out);
}

fn write_infinite(micros: i64, out: &mut String) -> bool {
    match micros {
        TIMESTAMP_INFINITY => out.push_str("infinity"),
        TIMESTAMP_NEGATIVE_INFINITY => out.push_str("-infinity"),
        _ => return false,
    }
    true
}

fn write_civil(date: CivilDate, out: &mut String) {
    let year = if date.year > 0 { date.year } else { 1 - date.year };
    write!(out, "{year:04}-{:02}-{:02}", date.month, date.day).expect(FITS);
}

fn write_era(date: CivilDate, out: &mut String) {
    if date.year <= 0 {
        out.push_str(" BC");
    }
}

/// Appends `hh:mm:ss[.ffffff]`; `micros` is not negative, hours may be any number.
pub fn write_time(micros: i64, out: &mut String) {
    let (hours, minutes) = (micros / HOUR_MICROS, micros / MINUTE_MICROS % 60);
    write!(out, "{hours:02}:{minutes:02}:{:02}", micros / SECOND_MICROS % 60).expect(FITS);
    write_fraction(micros % SECOND_MICROS, out);
}

/// Appends a fraction of a second without zeros at its end.
fn write_fraction(micros: i64, out: &mut String) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        write!(out, ".{}", digits.trim_end_matches('0')).expect(FITS);
    }
}

/// Appends `±hh[:mm[:ss]]`.
pub fn write_offset(seconds: i32, out: &mut String) {
    let magnitude = seconds.unsigned_abs();
    let (hours, minutes, rest) = (magnitude / 3600, magnitude / 60 % 60, magnitude % 60);
    write!(out, "{}{hours:02}", if seconds < 0 { '-' } else { '+' }).expect(FITS);
    if minutes != 0 || rest != 0 {
        write!(out, ":{minutes:02}").expect(FITS);
    }
    if rest != 0 {
        write!(out, ":{rest:02}").expect(FITS);
    }
}

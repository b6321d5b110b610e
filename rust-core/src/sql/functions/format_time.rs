//! `to_char` of dates, timestamps and intervals, and `to_date` and `to_timestamp` of text.
//! Templates as in PostgreSQL (HH24, MI, SS, YYYY, Mon, TZH …) with FM, TH and text in quotes; names are English.

use crate::error::{Error, Result, SqlState};
use crate::sql::functions::format_number::ordinal;
use crate::sql::functions::kernel::{Date, Interval, Text, Timestamp, TimestampTz, function, text_function};
use crate::sql::functions::registry::{Environment, ScalarFunction};
use crate::sql::functions::temporal::midnight;
use crate::sql::types::calendar::{
    self, CivilDate, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, UNIX_JULIAN_DAY, check_date,
    check_timestamp, civil_from_days, days_from_civil, days_in_month, is_infinite_timestamp, iso_week,
    weekday,
};
use crate::sql::types::datum::Interval as Span;
use crate::sql::types::zone;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN_MONTHS: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Template patterns in upper case; where one begins another, the longer stands first.
const PATTERNS: [&str; 52] = [
    "SSSSS", "SSSS", "SS", "HH24", "HH12", "HH", "MONTH", "MON", "MM", "MI", "MS", "US", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "A.M.", "P.M.", "AM", "PM", "B.C.", "A.D.", "BC", "AD", "Y,YYY", "YYYY", "YYY",
    "YY", "IYYY", "IYY", "IY", "IDDD", "IW", "ID", "DAY", "DY", "DDD", "DD", "D", "WW", "W", "CC", "RM",
    "TZH", "TZM", "TZ", "OF", "Q", "J", "Y",
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Case {
    Upper,
    Lower,
    Title,
}

#[derive(Clone, Debug)]
enum Piece {
    Field { pattern: &'static str, case: Case, fill_mode: bool, ordinal: Option<bool> },
    Literal(char),
}

fn parse_template(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut fill_mode = false;
    while let Some(first) = rest.chars().next() {
        let starts = |pattern: &str| {
            rest.len() >= pattern.len()
                && rest.is_char_boundary(pattern.len())
                && rest[..pattern.len()].eq_ignore_ascii_case(pattern)
        };
        if first == '"' {
            let inner: String = rest[1..].chars().take_while(|character| *character != '"').collect();
            rest = &rest[(inner.len() + 2).min(rest.len())..];
            pieces.extend(inner.chars().map(Piece::Literal));
            continue;
        }
        if starts("FM") {
            fill_mode = true;
            rest = &rest[2..];
            continue;
        }
        if starts("FX") || starts("TM") {
            rest = &rest[2..];
            continue;
        }
        let found = PATTERNS.iter().find(|pattern| starts(pattern)).copied();
        // "I" alone is the last digit of the ISO year.
        let found = found.or_else(|| starts("I").then_some("I"));
        let Some(pattern) = found else {
            pieces.push(Piece::Literal(first));
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let written = &rest[..pattern.len()];
        let case = match written.as_bytes() {
            [first, ..] if first.is_ascii_lowercase() => Case::Lower,
            [_, second, ..] if second.is_ascii_lowercase() => Case::Title,
            _ => Case::Upper,
        };
        rest = &rest[pattern.len()..];
        let mut suffix = None;
        if rest.len() >= 2 && rest.is_char_boundary(2) && rest[..2].eq_ignore_ascii_case("TH") {
            suffix = Some(rest.starts_with('T'));
            rest = &rest[2..];
        }
        pieces.push(Piece::Field { pattern, case, fill_mode, ordinal: suffix });
        fill_mode = false;
    }
    pieces
}

/// The parts of a moment or an interval that templates show.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    /// Days since 1970, for weeks and weekdays; `None` for an interval.
    days: Option<i64>,
    hours: i64,
    time: i64,
    offset_seconds: Option<i64>,
    zone_name: String,
}

fn cased(name: &str, case: Case) -> String {
    match case {
        Case::Upper => name.to_uppercase(),
        Case::Lower => name.to_lowercase(),
        Case::Title => name.to_owned(),
    }
}

fn number(value: i64, width: usize, fill_mode: bool) -> String {
    if fill_mode {
        return value.to_string();
    }
    let digits = format!("{:0width$}", value.unsigned_abs());
    if value < 0 { format!("-{digits}") } else { digits }
}

fn offset(seconds: i64) -> (char, i64, i64) {
    let sign = if seconds < 0 { '-' } else { '+' };
    (sign, seconds.abs() / 3600, seconds.abs() / 60 % 60)
}

fn no_interval() -> Error {
    Error::new(SqlState::INVALID_DATETIME_FORMAT, "invalid format specification for an interval value")
        .hint("Intervals are not tied to specific calendar dates.")
}

/// The ISO year as it is written: year 0 is 1 BC.
fn iso_year(days: i64) -> i64 {
    let year = iso_week(days).0;
    if year > 0 { year } else { 1 - year }
}

fn year_digits(year: i64, digits: u32) -> i64 {
    year.abs() % 10i64.pow(digits)
}

/// Fields that are not numbers.
fn name_field(pattern: &str, case: Case, fill_mode: bool, parts: &Parts) -> Result<Option<String>> {
    let days = || parts.days.ok_or_else(no_interval);
    let padded = |name: String| if fill_mode { name } else { format!("{name:<9}") };
    let month = MONTHS[(parts.month.max(1) as usize - 1).min(11)];
    Ok(Some(match pattern {
        "AM" | "PM" => cased(if parts.hours % 24 >= 12 { "PM" } else { "AM" }, case),
        "A.M." | "P.M." => cased(if parts.hours % 24 >= 12 { "P.M." } else { "A.M." }, case),
        "BC" | "AD" => cased(if parts.year <= 0 { "BC" } else { "AD" }, case),
        "B.C." | "A.D." => cased(if parts.year <= 0 { "B.C." } else { "A.D." }, case),
        "MONTH" => days().map(|_| padded(cased(month, case)))?,
        "MON" => days().map(|_| cased(&month[..3], case))?,
        "DAY" => padded(cased(DAYS[weekday(days()?) as usize], case)),
        "DY" => cased(&DAYS[weekday(days()?) as usize][..3], case),
        "RM" => {
            let name = cased(ROMAN_MONTHS[(parts.month.max(1) as usize - 1).min(11)], case);
            if fill_mode { name } else { format!("{name:<4}") }
        }
        "TZ" => cased(&parts.zone_name, if case == Case::Lower { Case::Lower } else { Case::Upper }),
        "OF" => {
            let (sign, hours, minutes) = offset(parts.offset_seconds.unwrap_or(0));
            if minutes == 0 { format!("{sign}{hours:02}") } else { format!("{sign}{hours:02}:{minutes:02}") }
        }
        "TZH" => {
            let (sign, hours, _) = offset(parts.offset_seconds.unwrap_or(0));
            format!("{sign}{hours:02}")
        }
        "TZM" => format!("{:02}", offset(parts.offset_seconds.unwrap_or(0)).2),
        _ => return Ok(None),
    }))
}

/// Years before Christ count from 1 backwards; BC says so.
fn written_year(parts: &Parts) -> i64 {
    if parts.days.is_none() || parts.year > 0 { parts.year } else { 1 - parts.year }
}

/// Fields that are numbers: the number and its width.
fn number_field(pattern: &str, parts: &Parts) -> Result<(i64, usize)> {
    let days = || parts.days.ok_or_else(no_interval);
    let written_year = written_year(parts);
    let fraction = parts.time % SECOND_MICROS;
    Ok(match pattern {
        "HH24" => (parts.hours, 2),
        "HH12" | "HH" => (if parts.hours % 12 == 0 { 12 } else { parts.hours % 12 }, 2),
        "MI" => (parts.time / MINUTE_MICROS % 60, 2),
        "SS" => (parts.time / SECOND_MICROS % 60, 2),
        "SSSS" | "SSSSS" => (parts.hours * 3600 + parts.time % HOUR_MICROS / SECOND_MICROS, 0),
        "MS" | "FF3" => (fraction / 1000, 3),
        "US" | "FF6" => (fraction, 6),
        "FF1" => (fraction / 100_000, 1),
        "FF2" => (fraction / 10_000, 2),
        "FF4" => (fraction / 100, 4),
        "FF5" => (fraction / 10, 5),
        "YYYY" => (written_year, 4),
        "YYY" => (year_digits(written_year, 3), 3),
        "YY" => (year_digits(written_year, 2), 2),
        "Y" => (year_digits(written_year, 1), 1),
        "IYYY" => (iso_year(days()?), 4),
        "IYY" => (year_digits(iso_year(days()?), 3), 3),
        "IY" => (year_digits(iso_year(days()?), 2), 2),
        "I" => (year_digits(iso_year(days()?), 1), 1),
        "MM" => (parts.month, 2),
        "DD" => (parts.day, if parts.day < 0 { 1 } else { 2 }),
        "DDD" => (days()? - days_from_civil(parts.year, 1, 1) + 1, 3),
        "IDDD" => {
            let (_, week) = iso_week(days()?);
            ((week - 1) * 7 + (weekday(days()?) + 6) % 7 + 1, 3)
        }
        "D" => (weekday(days()?) + 1, 1),
        "ID" => ((weekday(days()?) + 6) % 7 + 1, 1),
        "W" => ((parts.day - 1) / 7 + 1, 1),
        "WW" => ((days()? - days_from_civil(parts.year, 1, 1)) / 7 + 1, 2),
        "IW" => (iso_week(days()?).1, 2),
        "CC" => (if parts.year > 0 { (parts.year + 99) / 100 } else { parts.year / 100 - 1 }, 2),
        "Q" => ((parts.month.max(1) - 1) / 3 + 1, 1),
        "J" => (days()? + UNIX_JULIAN_DAY, 0),
        _ => (0, 0),
    })
}

fn write(parts: &Parts, template: &str, out: &mut String) -> Result<()> {
    for piece in parse_template(template) {
        let (pattern, case, fill_mode, suffix) = match piece {
            Piece::Literal(character) => {
                out.push(character);
                continue;
            }
            Piece::Field { pattern, case, fill_mode, ordinal } => (pattern, case, fill_mode, ordinal),
        };
        if let Some(name) = name_field(pattern, case, fill_mode, parts)? {
            out.push_str(&name);
            continue;
        }
        if pattern == "Y,YYY" {
            out.push_str(&format!("{},{:03}", written_year(parts) / 1000, written_year(parts) % 1000));
            continue;
        }
        let (value, width) = number_field(pattern, parts)?;
        // Fractions of a second keep their zeros even with FM.
        let fraction = matches!(pattern, "MS" | "US") || pattern.starts_with("FF");
        out.push_str(&number(value, width, fill_mode && !fraction));
        if let Some(upper) = suffix {
            let suffix = ordinal(value.unsigned_abs());
            out.push_str(&if upper { suffix.to_ascii_uppercase() } else { suffix.to_owned() });
        }
    }
    Ok(())
}

fn parts_of(local: i64, offset_seconds: Option<i64>, zone_name: String) -> Parts {
    let (days, time) = (local.div_euclid(DAY_MICROS), local.rem_euclid(DAY_MICROS));
    let CivilDate { year, month, day } = civil_from_days(days);
    Parts {
        year,
        month: i64::from(month),
        day: i64::from(day),
        days: Some(days),
        hours: time / HOUR_MICROS,
        time,
        offset_seconds,
        zone_name,
    }
}

fn timestamp_to_char(local: i64, template: &str, out: &mut String) -> Result<bool> {
    if template.is_empty() || is_infinite_timestamp(local) {
        return Ok(false);
    }
    write(&parts_of(local, None, String::new()), template, out)?;
    Ok(true)
}

fn instant_to_char(
    micros: i64,
    template: &str,
    environment: &dyn Environment,
    out: &mut String,
) -> Result<bool> {
    if template.is_empty() || is_infinite_timestamp(micros) {
        return Ok(false);
    }
    let time_zone = environment.time_zone();
    let seconds = i64::from(zone::offset_at(time_zone, micros));
    let name = jiff::Timestamp::from_microsecond(micros)
        .map(|instant| time_zone.to_offset_info(instant).abbreviation().to_owned())
        .unwrap_or_default();
    let local = zone::to_local(time_zone, micros)?;
    write(&parts_of(local, Some(seconds), name), template, out)?;
    Ok(true)
}

fn interval_to_char(span: Span, template: &str, out: &mut String) -> Result<bool> {
    if template.is_empty() {
        return Ok(false);
    }
    let parts = Parts {
        year: i64::from(span.months / 12),
        month: i64::from(span.months % 12),
        day: i64::from(span.days),
        days: None,
        hours: span.micros / HOUR_MICROS,
        time: span.micros % HOUR_MICROS,
        offset_seconds: None,
        zone_name: String::new(),
    };
    write(&parts, template, out)?;
    Ok(true)
}

/// What a text said.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    before_christ: bool,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    offset_hours: Option<i64>,
    offset_minutes: i64,
}

fn invalid(value: &str, pattern: &str) -> Error {
    Error::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid value \"{value}\" for \"{pattern}\""))
        .detail("Value must be an integer.")
}

/// Up to `width` digits with a sign.
fn take_number(rest: &mut &str, width: usize, pattern: &str) -> Result<i64> {
    let text = rest.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].bytes().take(width).take_while(u8::is_ascii_digit).count();
    let (number, after) = text.split_at(sign + digits);
    let value = number.parse().map_err(|_| {
        let shown: String = text.chars().take(width).collect();
        invalid(&shown, pattern)
    })?;
    *rest = after;
    Ok(value)
}

/// The position of the name that `rest` begins with.
fn take_name(rest: &mut &str, names: &[&str], length: Option<usize>, pattern: &str) -> Result<usize> {
    let text = rest.trim_start();
    for (index, name) in names.iter().enumerate() {
        let name = &name[..length.unwrap_or(name.len()).min(name.len())];
        if text.len() >= name.len()
            && text.is_char_boundary(name.len())
            && text[..name.len()].eq_ignore_ascii_case(name)
        {
            *rest = &text[name.len()..];
            return Ok(index);
        }
    }
    let shown: String = text.chars().take_while(|character| character.is_alphabetic()).collect();
    Err(Error::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid value \"{shown}\" for \"{pattern}\""))
        .detail("The given value did not match any of the allowed values for this field."))
}

fn read(text: &str, template: &str) -> Result<Fields> {
    let mut fields = Fields::default();
    let mut rest = text.trim_start();
    let pieces = parse_template(template);
    for (index, piece) in pieces.iter().enumerate() {
        let pattern = match piece {
            Piece::Literal(character) if character.is_alphanumeric() => {
                let mut characters = rest.chars();
                if characters.next().is_some() {
                    rest = characters.as_str();
                }
                continue;
            }
            // Any separator in the template stands for any run of separators in the text, or none.
            Piece::Literal(_) => {
                let next_signed = matches!(pieces.get(index + 1), Some(Piece::Field { pattern: "TZH", .. }));
                rest = rest.trim_start_matches(|character: char| {
                    let sign = next_signed && matches!(character, '+' | '-');
                    !character.is_alphanumeric() && !sign
                });
                continue;
            }
            Piece::Field { pattern, .. } => *pattern,
        };
        // A field followed by a separator takes all digits it finds.
        let open = !matches!(pieces.get(index + 1), Some(Piece::Field { .. }));
        if rest.trim_start().is_empty() {
            break;
        }
        read_field(&mut fields, &mut rest, pattern, open)?;
    }
    Ok(fields)
}

fn read_field(fields: &mut Fields, rest: &mut &str, pattern: &'static str, open: bool) -> Result<()> {
    let mut take = |width: usize| take_number(rest, width, pattern);
    match pattern {
        "YYYY" | "IYYY" => fields.year = Some(take(if open { 9 } else { 4 })?),
        "YYY" | "YY" | "Y" => {
            let year = take(pattern.len())?;
            // The year nearest to 2020.
            fields.year = Some(match year {
                0..70 => year + 2000,
                70..100 => year + 1900,
                100..520 => year + 2000,
                520..1000 => year + 1000,
                year => year,
            });
        }
        "MM" => fields.month = Some(take(2)? as u32),
        "DD" => fields.day = Some(take(2)? as u32),
        "DDD" => fields.day_of_year = Some(take(3)?),
        "J" => fields.julian = Some(take(9)?),
        "HH24" | "HH12" | "HH" => {
            fields.hour = take(2)?;
            if pattern != "HH24" {
                if !(1..=12).contains(&fields.hour) {
                    let message = format!("hour \"{}\" is invalid for the 12-hour clock", fields.hour);
                    return Err(Error::new(SqlState::INVALID_DATETIME_FORMAT, message)
                        .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
                }
                fields.afternoon.get_or_insert(false);
            }
        }
        "MI" => fields.minute = take(2)?,
        "SS" => fields.second = take(2)?,
        "SSSS" | "SSSSS" => {
            let seconds = take(5)?;
            (fields.hour, fields.minute, fields.second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        }
        "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
            let width = match pattern {
                "MS" => 3,
                "US" => 6,
                other => usize::from(other.as_bytes()[2] - b'0'),
            };
            let before = rest.trim_start().len();
            let value = take_number(rest, width, pattern)?;
            let digits = (before - rest.len()) as u32;
            fields.micros = value * 10i64.pow(6u32.saturating_sub(digits));
        }
        "MONTH" => fields.month = Some(take_name(rest, &MONTHS, None, pattern)? as u32 + 1),
        "MON" => fields.month = Some(take_name(rest, &MONTHS, Some(3), pattern)? as u32 + 1),
        "RM" => {
            // Longer names first: VIII begins with V.
            let order = ["XII", "XI", "IX", "X", "VIII", "VII", "VI", "IV", "V", "III", "II", "I"];
            let index = take_name(rest, &order, None, pattern)?;
            fields.month =
                ROMAN_MONTHS.iter().position(|name| *name == order[index]).map(|month| month as u32 + 1);
        }
        "DAY" => {
            take_name(rest, &DAYS, None, pattern)?;
        }
        "DY" => {
            take_name(rest, &DAYS, Some(3), pattern)?;
        }
        "AM" | "PM" => fields.afternoon = Some(take_name(rest, &["AM", "PM"], None, pattern)? == 1),
        "A.M." | "P.M." => fields.afternoon = Some(take_name(rest, &["A.M.", "P.M."], None, pattern)? == 1),
        "BC" | "AD" => fields.before_christ = take_name(rest, &["AD", "BC"], None, pattern)? == 1,
        "B.C." | "A.D." => fields.before_christ = take_name(rest, &["A.D.", "B.C."], None, pattern)? == 1,
        "TZH" => fields.offset_hours = Some(take(2)?),
        "TZM" => fields.offset_minutes = take(2)?,
        "D" | "ID" | "Q" | "W" => {
            take(1)?;
        }
        other => {
            return Err(Error::not_supported(format!(
                "formatting field \"{other}\" in to_date and to_timestamp"
            )));
        }
    }
    Ok(())
}

fn field_out_of_range(text: &str) -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date/time field value out of range: \"{text}\""))
}

fn date_of(fields: &Fields, text: &str) -> Result<i64> {
    if let Some(julian) = fields.julian {
        return Ok(julian - UNIX_JULIAN_DAY);
    }
    // Nothing said about the year means year 1 BC, as in PostgreSQL.
    let year = fields.year.unwrap_or(0);
    let year = if fields.before_christ { 1 - year } else { year };
    if let Some(day) = fields.day_of_year {
        let length = if calendar::is_leap(year) { 366 } else { 365 };
        if !(1..=length).contains(&day) {
            return Err(field_out_of_range(text));
        }
        return Ok(days_from_civil(year, 1, 1) + day - 1);
    }
    let (month, day) = (fields.month.unwrap_or(1), fields.day.unwrap_or(1));
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return Err(field_out_of_range(text));
    }
    Ok(days_from_civil(year, month, day))
}

fn to_date(text: &str, template: &str) -> Result<i32> {
    check_date(date_of(&read(text, template)?, text)?)
}

fn to_timestamp(text: &str, template: &str, environment: &dyn Environment) -> Result<i64> {
    let fields = read(text, template)?;
    let hour = match fields.afternoon {
        Some(afternoon) => fields.hour % 12 + if afternoon { 12 } else { 0 },
        None => fields.hour,
    };
    if !(0..24).contains(&hour) || !(0..60).contains(&fields.minute) || !(0..60).contains(&fields.second) {
        return Err(field_out_of_range(text));
    }
    let time =
        hour * HOUR_MICROS + fields.minute * MINUTE_MICROS + fields.second * SECOND_MICROS + fields.micros;
    let local =
        check_timestamp(i128::from(date_of(&fields, text)?) * i128::from(DAY_MICROS) + i128::from(time))?;
    match fields.offset_hours {
        Some(hours) => {
            let minutes = if hours < 0 { -fields.offset_minutes } else { fields.offset_minutes };
            check_timestamp(i128::from(local) - i128::from(hours * HOUR_MICROS + minutes * MINUTE_MICROS))
        }
        None => zone::to_instant(environment.time_zone(), local),
    }
}

static FUNCTIONS: &[ScalarFunction] = &[
    text_function!(
        "to_char",
        (Timestamp, Text),
        Immutable,
        "a timestamp by a template",
        |(micros, template), _, out| timestamp_to_char(micros, template, out)
    ),
    text_function!(
        "to_char",
        (TimestampTz, Text),
        Stable,
        "a timestamp by a template, in the session's zone",
        |(micros, template), environment, out| instant_to_char(micros, template, environment, out)
    ),
    text_function!("to_char", (Date, Text), Immutable, "a date by a template", |(date, template), _, out| {
        timestamp_to_char(midnight(date)?, template, out)
    }),
    text_function!(
        "to_char",
        (Interval, Text),
        Immutable,
        "an interval by a template",
        |(span, template), _, out| interval_to_char(span, template, out)
    ),
    function!("to_date", (Text, Text) -> Date, Immutable, "a date read by a template", |(text, template), _| to_date(text, template)),
    function!("to_timestamp", (Text, Text) -> TimestampTz, Stable, "a timestamp read by a template", |(text, template), environment| to_timestamp(text, template, environment)),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];

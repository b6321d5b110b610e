//! Reads dates and timestamps in the forms PostgreSQL takes; the session's order decides on ambiguous numbers.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::calendar::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS,
    TIMESTAMP_INFINITY, TIMESTAMP_NEGATIVE_INFINITY, UNIX_JULIAN_DAY, check_date, check_timestamp,
    days_from_civil, days_in_month,
};
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::text::is_space;
use crate::sql::types::text_style::DateOrder;
use crate::sql::types::zone;
use jiff::tz::TimeZone;

/// Bytes of an input; longer ones are no date (PostgreSQL: MAXDATELEN is 128).
const INPUT_BYTES_MAX: usize = 128;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// Why a text is no date.
enum Failure {
    /// Not the form of a date.
    Syntax,
    /// A field that does not exist; `hint`: month and day may be swapped.
    Field { hint: bool },
    /// A zone displacement of 16 hours or more.
    Displacement,
    /// An unknown zone.
    Zone(String),
}

type Parsed<T> = std::result::Result<T, Failure>;

impl Failure {
    fn report(self, text: &str, type_name: &str) -> Error {
        match self {
            Failure::Syntax => Error::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type {type_name}: \"{text}\""),
            ),
            Failure::Field { hint } => {
                let error = Error::new(
                    SqlState::DATETIME_FIELD_OVERFLOW,
                    format!("date/time field value out of range: \"{text}\""),
                );
                if hint { error.hint("Perhaps you need a different \"datestyle\" setting.") } else { error }
            }
            Failure::Displacement => Error::new(
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT,
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Failure::Zone(name) => {
                Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized"))
            }
        }
    }
}

/// What a text says, before the target type decides.
enum Reading {
    Infinity,
    NegativeInfinity,
    /// An instant: 'now', 'epoch'.
    Instant(i64),
    Local {
        days: i64,
        time: i64,
        zone: Option<TimeZone>,
    },
}

/// Reads a date.
/// # Errors
/// `22007`, `22008`, `22009`, `22023` as PostgreSQL.
pub fn parse_date(text: &str, environment: &CastEnvironment<'_>) -> Result<i32> {
    let out_of_range =
        || Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("date out of range: \"{text}\""));
    match read(text, environment).map_err(|failure| failure.report(text, "date"))? {
        Reading::Infinity => Ok(DATE_INFINITY),
        Reading::NegativeInfinity => Ok(DATE_NEGATIVE_INFINITY),
        Reading::Instant(0) => Ok(0),
        Reading::Instant(micros) => {
            check_date(zone::to_local(environment.zone, micros)?.div_euclid(DAY_MICROS))
                .map_err(|_| out_of_range())
        }
        Reading::Local { days, .. } => check_date(days).map_err(|_| out_of_range()),
    }
}

fn timestamp_out_of_range(text: &str) -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{text}\""))
}

/// Reads a timestamp without zone; a zone in the text is ignored, as in PostgreSQL.
/// # Errors
/// As [`parse_date`].
pub fn parse_timestamp(text: &str, environment: &CastEnvironment<'_>) -> Result<i64> {
    match read(text, environment).map_err(|failure| failure.report(text, "timestamp"))? {
        Reading::Infinity => Ok(TIMESTAMP_INFINITY),
        Reading::NegativeInfinity => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        Reading::Instant(0) => Ok(0),
        Reading::Instant(micros) => zone::to_local(environment.zone, micros),
        Reading::Local { days, time, .. } => {
            check_timestamp(i128::from(days) * i128::from(DAY_MICROS) + i128::from(time))
                .map_err(|_| timestamp_out_of_range(text))
        }
    }
}

/// Reads a timestamp with zone; without one in the text the session's zone holds.
/// # Errors
/// As [`parse_date`].
pub fn parse_timestamptz(text: &str, environment: &CastEnvironment<'_>) -> Result<i64> {
    match read(text, environment).map_err(|failure| failure.report(text, "timestamp with time zone"))? {
        Reading::Infinity => Ok(TIMESTAMP_INFINITY),
        Reading::NegativeInfinity => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        Reading::Instant(micros) => Ok(micros),
        Reading::Local { days, time, zone } => {
            let local = check_timestamp(i128::from(days) * i128::from(DAY_MICROS) + i128::from(time))
                .map_err(|_| timestamp_out_of_range(text))?;
            zone::to_instant(zone.as_ref().unwrap_or(environment.zone), local)
                .map_err(|_| timestamp_out_of_range(text))
        }
    }
}

/// The fields collected so far.
#[derive(Default)]
struct Fields {
    order: DateOrder,
    /// The month came as a name.
    named_month: bool,
    year: Option<i64>,
    /// Digits of the year as written: two of them mean a year around 2000.
    year_digits: usize,
    month: Option<u32>,
    day: Option<u32>,
    julian: Option<i64>,
    day_of_year: Option<u32>,
    time: Option<i64>,
    zone: Option<TimeZone>,
    before_christ: bool,
    /// AM is false, PM true.
    afternoon: Option<bool>,
    /// 'today' and its like: days from today.
    relative_day: Option<i64>,
    special: Option<&'static str>,
    /// A `T` came: digits are a time.
    expect_time: bool,
}

fn read(text: &str, environment: &CastEnvironment<'_>) -> Parsed<Reading> {
    let trimmed = text.trim_matches(is_space);
    if trimmed.is_empty() || trimmed.len() > INPUT_BYTES_MAX || !trimmed.is_ascii() {
        return Err(Failure::Syntax);
    }
    let lower = trimmed.to_ascii_lowercase();
    let mut fields = Fields { order: environment.style.date_order, ..Fields::default() };
    let mut rest = lower.as_str();
    loop {
        rest = rest.trim_start_matches(|c: char| is_space(c) || c == ',');
        let Some(first) = rest.bytes().next() else { break };
        rest = match first {
            b'0'..=b'9' => fields.take_digits(rest)?,
            b'a'..=b'z' => fields.take_word(rest)?,
            b'+' | b'-' => fields.take_signed(rest)?,
            // Other punctuation separates, as in PostgreSQL: "99-01-08 (BC)".
            other if other.is_ascii_punctuation() => &rest[1..],
            _ => return Err(Failure::Syntax),
        };
    }
    fields.finish(environment)
}

fn split_while(text: &str, keep: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !keep(byte)).unwrap_or(text.len());
    text.split_at(end)
}

fn number(text: &str) -> Parsed<i64> {
    text.parse().map_err(|_| Failure::Field { hint: false })
}

impl Fields {
    fn has_date(&self) -> bool {
        self.julian.is_some()
            || self.relative_day.is_some()
            || self.day_of_year.is_some()
            || (self.year.is_some() && self.month.is_some() && self.day.is_some())
    }

    fn take_digits<'a>(&mut self, text: &'a str) -> Parsed<&'a str> {
        let (digits, rest) = split_while(text, |byte| byte.is_ascii_digit());
        match rest.bytes().next() {
            Some(b':') => {
                let (time, rest) =
                    split_while(text, |byte| byte.is_ascii_digit() || byte == b':' || byte == b'.');
                self.set_time(parse_clock(time)?)?;
                Ok(rest)
            }
            Some(delimiter @ (b'-' | b'/' | b'.')) if !self.has_date() && !self.expect_time => {
                self.take_date(text, digits, delimiter)
            }
            Some(b'.') => {
                let (fraction, rest) = split_while(&rest[1..], |byte| byte.is_ascii_digit());
                let time = parse_packed_time(digits)? + fraction_micros(fraction);
                self.set_time(time)?;
                Ok(rest)
            }
            _ => {
                self.take_number(digits)?;
                Ok(rest)
            }
        }
    }

    /// `a-b-c` in digits or with a month name, or `yyyy.ddd`. A second part in digits means that all parts are.
    fn take_date<'a>(&mut self, text: &'a str, first: &'a str, delimiter: u8) -> Parsed<&'a str> {
        let mut parts = vec![first];
        let mut rest = &text[first.len()..];
        while parts.len() < 3 && rest.as_bytes().first() == Some(&delimiter) {
            let all_digits = parts.len() == 2 && parts[1].as_bytes()[0].is_ascii_digit();
            let (digits, after) = split_while(&rest[1..], |byte| byte.is_ascii_digit());
            let (part, after) = if digits.is_empty() && !all_digits {
                split_while(&rest[1..], |byte| byte.is_ascii_lowercase())
            } else {
                (digits, after)
            };
            if part.is_empty() {
                return Err(Failure::Syntax);
            }
            parts.push(part);
            rest = after;
        }
        if let [year, day] = parts[..]
            && delimiter == b'.'
            && year.len() >= 4
            && day.len() == 3
        {
            (self.year, self.year_digits) = (Some(number(year)?), year.len());
            self.day_of_year = Some(number(day)? as u32);
            return Ok(rest);
        }
        if let Some(named) = parts.iter().position(|part| part.as_bytes()[0].is_ascii_lowercase()) {
            let month = month_by_name(parts.remove(named)).ok_or(Failure::Syntax)?;
            if self.month.replace(month).is_some() {
                return Err(Failure::Syntax);
            }
            self.named_month = true;
        }
        for part in parts {
            self.take_date_number(part)?;
        }
        if self.has_date() { Ok(rest) } else { Err(Failure::Syntax) }
    }

    fn set_date(&mut self, year: &str, month: &str, day: &str) -> Parsed<()> {
        if self.year.is_some() || self.month.is_some() || self.day.is_some() {
            return Err(Failure::Syntax);
        }
        (self.year, self.year_digits) = (Some(number(year)?), year.len());
        (self.month, self.day) = (Some(small(month)?), Some(small(day)?));
        Ok(())
    }

    /// A run of digits that stands alone.
    fn take_number(&mut self, digits: &str) -> Parsed<()> {
        if self.expect_time || (self.has_date() && self.time.is_none() && digits.len() != 2) {
            return self.set_time(parse_packed_time(digits)?);
        }
        let nothing = self.year.is_none() && self.month.is_none() && self.day.is_none();
        if nothing && digits.len() >= 6 {
            let (year, rest) = digits.split_at(digits.len() - 4);
            return self.set_date(year, &rest[..2], &rest[2..]);
        }
        self.take_date_number(digits)
    }

    /// A number of a date: which one, follows from what is there already, its length and the session's order.
    fn take_date_number(&mut self, digits: &str) -> Parsed<()> {
        let long = digits.len() >= 3;
        let year_first = long || self.order == DateOrder::YearMonthDay;
        match (self.year.is_some(), self.month.is_some(), self.day.is_some()) {
            (true, true, true) => return Err(Failure::Syntax),
            (false, false, false) if !year_first => {
                let first = Some(small(digits)?);
                match self.order {
                    DateOrder::DayMonthYear => self.day = first,
                    _ => self.month = first,
                }
            }
            (false, true, false) if !(self.named_month && year_first) => self.day = Some(small(digits)?),
            (true, false, false) if digits.len() == 3 && (1..=366).contains(&number(digits)?) => {
                self.day_of_year = Some(small(digits)?);
            }
            (true, false, _) | (false, false, true) => self.month = Some(small(digits)?),
            (true, true, false) if self.named_month && long && self.year_digits <= 2 => {
                // What was taken for the year was the day: "08-Jan-1999" where years come first.
                self.day = self.year.take().and_then(|day| u32::try_from(day).ok());
                (self.year, self.year_digits) = (Some(number(digits)?), digits.len());
            }
            (true, true, false) => self.day = Some(small(digits)?),
            (false, _, _) => (self.year, self.year_digits) = (Some(number(digits)?), digits.len()),
        }
        Ok(())
    }

    fn take_word<'a>(&mut self, text: &'a str) -> Parsed<&'a str> {
        let (word, rest) = split_while(text, |byte| byte.is_ascii_lowercase());
        let is_month = month_by_name(word).is_some();
        if !is_month && matches!(rest.bytes().next(), Some(b'/' | b'_')) {
            let (name, rest) =
                split_while(text, |byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
            return self.set_zone_name(name).map(|()| rest);
        }
        match word {
            "t" => self.expect_time = true,
            "j" | "jd" => {
                let (digits, rest) = split_while(rest, |byte| byte.is_ascii_digit());
                self.julian = Some(number(digits).map_err(|_| Failure::Syntax)?);
                return Ok(rest);
            }
            "am" | "pm" => self.afternoon = Some(word == "pm"),
            "bc" => self.before_christ = true,
            "ad" | "at" | "on" | "dst" => {}
            "now" => self.special = Some("now"),
            "epoch" => self.special = Some("epoch"),
            "infinity" => self.special = Some("infinity"),
            "today" => self.relative_day = Some(0),
            "tomorrow" => self.relative_day = Some(1),
            "yesterday" => self.relative_day = Some(-1),
            "allballs" => {
                self.set_time(0)?;
                self.set_zone_name("utc")?;
            }
            _ => {
                let is_weekday = word.len() >= 3 && WEEKDAYS.iter().any(|day| day.starts_with(word));
                if let Some(month) = month_by_name(word) {
                    // A number before the name was the day: "8 January 1999".
                    if !self.named_month && self.day.is_none() {
                        self.day = self.month.take_if(|day| (1..=31).contains(day));
                    }
                    if self.month.replace(month).is_some() {
                        return Err(Failure::Syntax);
                    }
                    self.named_month = true;
                    return self.take_after_month(rest);
                } else if !is_weekday {
                    // EST5EDT, UTC+3
                    let (name, rest) =
                        split_while(text, |byte| byte.is_ascii_alphanumeric() || b"+-:".contains(&byte));
                    if name.len() > word.len() && zone::by_name(name).is_ok() {
                        return self.set_zone_name(name).map(|()| rest);
                    }
                    self.set_zone_name(word)?;
                }
            }
        }
        Ok(rest)
    }

    /// The day and year of `Jan-08-1999`.
    fn take_after_month<'a>(&mut self, mut rest: &'a str) -> Parsed<&'a str> {
        while let Some(after) = rest.strip_prefix(['-', '/', '.'])
            && after.starts_with(|c: char| c.is_ascii_digit())
        {
            let (digits, after) = split_while(after, |byte| byte.is_ascii_digit());
            self.take_number(digits)?;
            rest = after;
        }
        Ok(rest)
    }

    fn set_zone_name(&mut self, name: &str) -> Parsed<()> {
        if self.zone.is_some() {
            return Err(Failure::Syntax);
        }
        self.zone = Some(zone::by_name(name).map_err(|_| {
            // A bare unknown word is a syntax error; only what looks like a zone is reported as one.
            if name.contains('/') { Failure::Zone(name.to_string()) } else { Failure::Syntax }
        })?);
        Ok(())
    }

    /// A sign starts a zone displacement, or `-infinity`.
    fn take_signed<'a>(&mut self, text: &'a str) -> Parsed<&'a str> {
        let after = text[1..].trim_start_matches(is_space);
        if let Some(rest) = after.strip_prefix("infinity")
            && text.starts_with('-')
        {
            self.special = Some("-infinity");
            return Ok(rest);
        }
        let (digits, rest) = split_while(after, |byte| byte.is_ascii_digit() || byte == b':');
        // After a zone such as UTC an offset would be a second zone; before any time it is none.
        if digits.is_empty() || self.time.is_none() && !self.has_date() {
            return Err(Failure::Syntax);
        }
        let seconds = zone::parse_offset(digits).ok_or(Failure::Displacement)?;
        if self.zone.is_some() {
            return Err(Failure::Syntax);
        }
        self.zone = Some(zone::fixed(if text.starts_with('-') { -seconds } else { seconds }));
        Ok(rest)
    }

    fn set_time(&mut self, time: i64) -> Parsed<()> {
        if self.time.is_some() {
            return Err(Failure::Syntax);
        }
        (self.time, self.expect_time) = (Some(time), false);
        Ok(())
    }

    fn finish(self, environment: &CastEnvironment<'_>) -> Parsed<Reading> {
        let has_parts = self.year.is_some() || self.month.is_some() || self.day.is_some();
        if let Some(special) = self.special {
            if has_parts || self.time.is_some() || self.relative_day.is_some() {
                return Err(Failure::Syntax);
            }
            return Ok(match special {
                "now" => Reading::Instant(environment.now),
                "epoch" => Reading::Instant(0),
                "infinity" => Reading::Infinity,
                _ => Reading::NegativeInfinity,
            });
        }
        if self.expect_time {
            return Err(Failure::Syntax);
        }
        let time = self.time_of_day()?;
        let days = if let Some(relative) = self.relative_day {
            let today = zone::to_local(environment.zone, environment.now).map_err(|_| Failure::Syntax)?;
            today.div_euclid(DAY_MICROS) + relative
        } else if let Some(julian) = self.julian {
            julian - UNIX_JULIAN_DAY
        } else {
            self.civil_days()?
        };
        Ok(Reading::Local { days, time, zone: self.zone })
    }

    fn time_of_day(&self) -> Parsed<i64> {
        let time = self.time.unwrap_or(0);
        match self.afternoon {
            None => Ok(time),
            Some(_) if self.time.is_none() || time / HOUR_MICROS > 12 => Err(Failure::Field { hint: false }),
            Some(afternoon) => {
                let hours_12 = time / HOUR_MICROS == 12;
                Ok(time
                    + match (afternoon, hours_12) {
                        (true, false) => 12 * HOUR_MICROS,
                        (false, true) => -12 * HOUR_MICROS,
                        _ => 0,
                    })
            }
        }
    }

    fn civil_days(&self) -> Parsed<i64> {
        let mut year = self.year.ok_or(Failure::Syntax)?;
        if self.before_christ {
            if year <= 0 {
                return Err(Failure::Field { hint: false });
            }
            year = 1 - year;
        } else if self.year_digits <= 2 {
            year += if year < 70 { 2000 } else { 1900 };
        } else if year <= 0 {
            return Err(Failure::Field { hint: false });
        }
        if year > 10_000_000 {
            // Far beyond the last date; the caller reports the range.
            return Ok(i64::from(i32::MAX));
        }
        if let Some(day) = self.day_of_year {
            let last = if crate::sql::types::calendar::is_leap(year) { 366 } else { 365 };
            if day == 0 || day > last {
                return Err(Failure::Field { hint: true });
            }
            return Ok(days_from_civil(year, 1, 1) + i64::from(day) - 1);
        }
        let month = self.month.ok_or(Failure::Syntax)?;
        let day = self.day.ok_or(Failure::Syntax)?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Failure::Field { hint: true });
        }
        if day > days_in_month(year, month) {
            return Err(Failure::Field { hint: false });
        }
        Ok(days_from_civil(year, month, day))
    }
}

fn small(digits: &str) -> Parsed<u32> {
    digits.parse().map_err(|_| Failure::Field { hint: true })
}

fn month_by_name(word: &str) -> Option<u32> {
    let known = |month: &&str| {
        word == *month
            || word.len() == 3 && month.starts_with(word)
            || word == "sept" && *month == "september"
    };
    MONTHS.iter().position(known).map(|month| month as u32 + 1)
}

/// Digits after the point of a second as microseconds, rounded.
pub(crate) fn fraction_micros(digits: &str) -> i64 {
    let mut micros = 0;
    for at in 0..6 {
        micros = micros * 10 + digits.as_bytes().get(at).map_or(0, |byte| i64::from(byte - b'0'));
    }
    micros + i64::from(digits.as_bytes().get(6).is_some_and(|byte| *byte >= b'5'))
}

/// `h:mm[:ss[.f]]`.
fn parse_clock(text: &str) -> Parsed<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.contains(['.', ':']) {
        return Err(Failure::Syntax);
    }
    let parts: Vec<&str> = whole.split(':').collect();
    if parts.len() > 3 || parts.iter().any(|part| part.is_empty()) || parts.len() == 2 && !fraction.is_empty()
    {
        return Err(Failure::Syntax);
    }
    let hours = number(parts[0])?;
    let minutes = number(parts[1])?;
    let seconds = parts.get(2).map_or(Ok(0), |part| number(part))?;
    clock(hours, minutes, seconds, fraction_micros(fraction))
}

/// `hhmmss` or `hhmm`.
fn parse_packed_time(digits: &str) -> Parsed<i64> {
    match digits.len() {
        6 => clock(number(&digits[..2])?, number(&digits[2..4])?, number(&digits[4..])?, 0),
        4 => clock(number(&digits[..2])?, number(&digits[2..])?, 0, 0),
        2 => clock(number(digits)?, 0, 0, 0),
        _ => Err(Failure::Syntax),
    }
}

fn clock(hours: i64, minutes: i64, seconds: i64, fraction: i64) -> Parsed<i64> {
    if hours > 24 || minutes > 59 || seconds > 60 {
        return Err(Failure::Field { hint: false });
    }
    let time = hours * HOUR_MICROS + minutes * MINUTE_MICROS + seconds * SECOND_MICROS + fraction;
    if time > DAY_MICROS {
        return Err(Failure::Field { hint: false });
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::datetime_output::{write_date, write_timestamp, write_timestamptz};

    fn with_environment<R>(body: impl FnOnce(&CastEnvironment<'_>) -> R) -> R {
        let zone = zone::by_name("America/New_York").unwrap();
        body(&CastEnvironment { zone: &zone, now: 1_577_836_800_000_000, style: Default::default() })
    }

    #[test]
    fn dates_read_as_in_postgresql() {
        with_environment(|environment| {
            for (input, output) in [
                ("1999-01-08", "1999-01-08"),
                ("January 8, 1999", "1999-01-08"),
                ("1/8/1999", "1999-01-08"),
                ("1/18/1999", "1999-01-18"),
                ("01/02/03", "2003-01-02"),
                ("1999-Jan-08", "1999-01-08"),
                ("Jan-08-1999", "1999-01-08"),
                ("08-Jan-1999", "1999-01-08"),
                ("8 Jan 1999", "1999-01-08"),
                ("08-Jan-99", "1999-01-08"),
                ("19990108", "1999-01-08"),
                ("990108", "1999-01-08"),
                ("1999.008", "1999-01-08"),
                ("J2451187", "1999-01-08"),
                ("January 8, 99 BC", "0099-01-08 BC"),
                ("5874897-12-31", "5874897-12-31"),
                ("4714-11-24 BC", "4714-11-24 BC"),
                ("infinity", "infinity"),
                ("-infinity", "-infinity"),
                ("epoch", "1970-01-01"),
                ("today", "2019-12-31"),
                ("tomorrow", "2020-01-01"),
                ("Fri Jan 08 1999", "1999-01-08"),
            ] {
                let mut text = String::new();
                match parse_date(input, environment) {
                    Ok(days) => write_date(days, &mut text),
                    Err(error) => text = error.to_string(),
                }
                assert_eq!(text, output, "{input}");
            }
            for (input, state) in [
                ("x", "22007"),
                ("", "22007"),
                ("2020-13-01", "22008"),
                ("2020-02-30", "22008"),
                ("5874898-01-01", "22008"),
                ("0000-01-01", "22008"),
                ("2020-01", "22007"),
                ("99-08-jan", "22007"),
                ("99 Jan 08", "22007"),
                ("18/1/1999", "22008"),
                ("5999999-06-24 (BC)", "22008"),
            ] {
                assert_eq!(parse_date(input, environment).unwrap_err().state().as_str(), state, "{input}");
            }
        });
    }

    #[test]
    fn the_order_of_the_session_decides_on_ambiguous_numbers() {
        for (order, input, output) in [
            (DateOrder::YearMonthDay, "99-01-08", "1999-01-08"),
            (DateOrder::YearMonthDay, "99 Jan 08", "1999-01-08"),
            (DateOrder::YearMonthDay, "99 08 Jan", "1999-01-08"),
            (DateOrder::YearMonthDay, "08-Jan-1999", "1999-01-08"),
            (DateOrder::YearMonthDay, "1/8/1999", "22008"),
            (DateOrder::YearMonthDay, "01/02/03", "2001-02-03"),
            (DateOrder::DayMonthYear, "18/1/1999", "1999-01-18"),
            (DateOrder::DayMonthYear, "01/02/03", "2003-02-01"),
            (DateOrder::DayMonthYear, "1/18/1999", "22008"),
            (DateOrder::DayMonthYear, "08 Jan 99", "1999-01-08"),
            (DateOrder::DayMonthYear, "1999-01-08", "1999-01-08"),
            (DateOrder::DayMonthYear, "08-01-99", "1999-01-08"),
        ] {
            let style = crate::sql::types::text_style::TextStyle { date_order: order, ..Default::default() };
            let environment = CastEnvironment { zone: &TimeZone::UTC, now: 0, style };
            let mut text = String::new();
            match parse_date(input, &environment) {
                Ok(days) => write_date(days, &mut text),
                Err(error) => text = error.state().to_string(),
            }
            assert_eq!(text, output, "{input} as {order:?}");
        }
    }

    #[test]
    fn timestamps_read_as_in_postgresql() {
        with_environment(|environment| {
            for (input, output) in [
                ("2020-01-02 03:04:05.678901", "2020-01-02 03:04:05.678901-05"),
                ("2020-01-02T03:04:05Z", "2020-01-01 22:04:05-05"),
                ("2020-07-02 03:04+05:30", "2020-07-01 17:34:00-04"),
                ("20200102T030405", "2020-01-02 03:04:05-05"),
                ("2020-01-02 3:04 PM", "2020-01-02 15:04:00-05"),
                ("2020-01-02 12:04 AM", "2020-01-02 00:04:00-05"),
                ("2020-01-02 24:00:00", "2020-01-03 00:00:00-05"),
                ("2020-01-02 03:04:05 Europe/Berlin", "2020-01-01 21:04:05-05"),
                ("2020-01-02 03:04:05 PST", "2020-01-02 06:04:05-05"),
                ("Jan 2 03:04:05 2020 UTC", "2020-01-01 22:04:05-05"),
                ("now", "2019-12-31 19:00:00-05"),
                ("epoch", "1969-12-31 19:00:00-05"),
                ("0044-03-15 12:00 BC", "0044-03-15 12:00:00-04:56:02 BC"),
            ] {
                let mut text = String::new();
                match parse_timestamptz(input, environment) {
                    Ok(micros) => write_timestamptz(micros, environment.zone, &mut text),
                    Err(error) => text = error.to_string(),
                }
                assert_eq!(text, output, "{input}");
            }
            let mut text = String::new();
            write_timestamp(parse_timestamp("2020-01-02 03:04:05.5+07", environment).unwrap(), &mut text);
            assert_eq!(text, "2020-01-02 03:04:05.5");
            let error = parse_timestamp("2020-01-01 25:00", environment).unwrap_err();
            assert_eq!(error.message(), "date/time field value out of range: \"2020-01-01 25:00\"");
            let error = parse_timestamptz("2020-01-01 00:00 Foo/Bar", environment).unwrap_err();
            assert_eq!(error.message(), "time zone \"foo/bar\" not recognized");
        });
    }
}

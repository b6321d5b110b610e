//! Time zones: names, offsets, conversion between local and universal time.
//! Zone rules come from jiff's bundled database.

use crate::error::{Error, Result, SqlState};
use crate::sql::types::calendar::{
    DAY_MICROS, SECOND_MICROS, check_timestamp, civil_from_days, is_infinite_timestamp,
};
use jiff::civil;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// Days of 400 years, after which the calendar and the rules of every zone repeat.
const CYCLE_DAYS: i64 = 146_097;

/// Abbreviations with their offsets in minutes east: the common ones of PostgreSQL's default set.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("z", 0),
    ("utc", 0),
    ("ut", 0),
    ("gmt", 0),
    ("zulu", 0),
    ("wet", 0),
    ("west", 60),
    ("bst", 60),
    ("cet", 60),
    ("cest", 120),
    ("met", 60),
    ("mest", 120),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("msd", 240),
    ("ist", 120),
    ("idt", 180),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("akst", -540),
    ("akdt", -480),
    ("hst", -600),
    ("ast", -240),
    ("adt", -180),
    ("nst", -210),
    ("ndt", -150),
    ("jst", 540),
    ("kst", 540),
    ("hkt", 480),
    ("sgt", 480),
    ("pkt", 300),
    ("aest", 600),
    ("aedt", 660),
    ("acst", 570),
    ("acdt", 630),
    ("awst", 480),
    ("nzst", 720),
    ("nzdt", 780),
];

/// Seconds east that an abbreviation stands for.
pub fn abbreviation_offset(word: &str) -> Option<i32> {
    let lower = word.to_ascii_lowercase();
    ABBREVIATIONS.iter().find(|(name, _)| *name == lower).map(|(_, minutes)| minutes * 60)
}

/// A zone with a fixed offset in seconds east.
pub fn fixed(seconds: i32) -> TimeZone {
    Offset::from_seconds(seconds).map_or(TimeZone::UTC, TimeZone::fixed)
}

/// The zone that `SET TIME ZONE` and `AT TIME ZONE` mean: a name of the database, an abbreviation, or a POSIX
/// offset such as `UTC-3`, whose sign counts west.
/// # Errors
/// `22023`.
pub fn by_name(name: &str) -> Result<TimeZone> {
    let trimmed = name.trim();
    if let Some(seconds) = abbreviation_offset(trimmed) {
        return Ok(if seconds == 0 { TimeZone::UTC } else { fixed(seconds) });
    }
    if !trimmed.is_empty()
        && let Ok(zone) = TimeZone::get(trimmed)
    {
        return Ok(zone);
    }
    let digits = trimmed.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    if (trimmed.len() == digits.len() || trimmed.len() - digits.len() >= 3)
        && let Some(seconds) = parse_offset(digits)
    {
        return Ok(fixed(-seconds));
    }
    Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized")))
}

/// Reads `±h[h][:mm[:ss]]` or `±hhmm[ss]` as seconds; the sign may be left out. Below 16 hours.
pub fn parse_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let mut parts: Vec<&str> = digits.split(':').collect();
    if parts.len() == 1 && digits.len() > 2 {
        if !digits.is_ascii() || digits.len() > 6 {
            return None;
        }
        // hhmm, hmm, hhmmss
        let hours = if digits.len() == 3 { 1 } else { 2 };
        parts = vec![&digits[..hours], &digits[hours..hours + 2], digits.get(hours + 2..).unwrap_or("")];
        parts.retain(|part| !part.is_empty());
    }
    if parts.len() > 3 {
        return None;
    }
    let mut seconds = 0;
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        if part.is_empty() || part.len() > 2 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let value: i32 = part.parse().ok()?;
        if unit < 3600 && value > 59 || value > 15 && unit == 3600 {
            return None;
        }
        seconds += value * unit;
    }
    Some(sign * seconds)
}

/// Days to move a day by, so that jiff's years (up to 9999) hold it.
fn cycle_shift(days: i64) -> i64 {
    if days <= 2_900_000 { 0 } else { (days - 2_900_000).div_euclid(CYCLE_DAYS) * CYCLE_DAYS + CYCLE_DAYS }
}

/// Seconds east of UTC in `zone` at an instant (unix microseconds).
pub fn offset_at(zone: &TimeZone, micros: i64) -> i32 {
    let shift = cycle_shift(micros.div_euclid(DAY_MICROS));
    match jiff::Timestamp::from_microsecond(micros - shift * DAY_MICROS) {
        Ok(instant) => zone.to_offset(instant).seconds(),
        Err(_) => 0,
    }
}

/// Seconds east of UTC at a local time. In a gap the offset before it holds, in a fold the one after.
pub fn offset_at_local(zone: &TimeZone, local_micros: i64) -> i32 {
    let days = local_micros.div_euclid(DAY_MICROS);
    let date = civil_from_days(days - cycle_shift(days));
    let seconds = local_micros.rem_euclid(DAY_MICROS) / SECOND_MICROS;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let local = civil::DateTime::new(
        date.year as i16,
        date.month as i8,
        date.day as i8,
        hour as i8,
        minute as i8,
        second as i8,
        0,
    );
    match local.map(|local| zone.to_ambiguous_timestamp(local).offset()) {
        Ok(AmbiguousOffset::Unambiguous { offset }) => offset.seconds(),
        Ok(AmbiguousOffset::Gap { before, .. }) => before.seconds(),
        Ok(AmbiguousOffset::Fold { after, .. }) => after.seconds(),
        Err(_) => 0,
    }
}

/// timestamptz → timestamp: the local time in `zone`.
/// # Errors
/// `22008` outside the range.
pub fn to_local(zone: &TimeZone, micros: i64) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    check_timestamp(i128::from(micros) + i128::from(offset_at(zone, micros)) * i128::from(SECOND_MICROS))
}

/// timestamp → timestamptz: the instant of a local time in `zone`.
/// # Errors
/// `22008` outside the range.
pub fn to_instant(zone: &TimeZone, local_micros: i64) -> Result<i64> {
    if is_infinite_timestamp(local_micros) {
        return Ok(local_micros);
    }
    let offset = i128::from(offset_at_local(zone, local_micros)) * i128::from(SECOND_MICROS);
    check_timestamp(i128::from(local_micros) - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_names_abbreviations_and_posix_offsets() {
        let january = 1_577_836_800_000_000;
        for (name, hours) in [
            ("Europe/Berlin", 1),
            ("america/new_york", -5),
            ("utc", 0),
            ("PST", -8),
            ("UTC-3", 3),
            ("+03", -3),
        ] {
            assert_eq!(offset_at(&by_name(name).unwrap(), january), hours * 3600, "{name}");
        }
        assert_eq!(by_name("Foo/Bar").unwrap_err().message(), "time zone \"Foo/Bar\" not recognized");
    }

    #[test]
    fn gaps_take_the_offset_before_and_folds_the_one_after() {
        let berlin = by_name("Europe/Berlin").unwrap();
        let hour = 3_600 * SECOND_MICROS;
        // 2020-03-29 02:30 does not exist; 2020-10-25 02:30 exists twice.
        let gap = 1_585_447_200_000_000 + hour / 2;
        assert_eq!(offset_at_local(&berlin, gap), 3600);
        let fold = 1_603_591_200_000_000 + hour / 2;
        assert_eq!(offset_at_local(&berlin, fold), 3600);
        // Far beyond jiff's years the rules still apply.
        let far = gap + 50 * 146_097 * DAY_MICROS + 90 * DAY_MICROS;
        assert_eq!(offset_at(&berlin, far), 7200);
    }
}

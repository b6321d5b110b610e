//! The proleptic Gregorian calendar over PostgreSQL's whole range, and the limits of dates and timestamps.
//! Years are astronomical: 0 is 1 BC.

use crate::error::{Error, Result, SqlState};

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Microseconds of an hour.
pub const HOUR_MICROS: i64 = 3_600_000_000;
/// Microseconds of a minute.
pub const MINUTE_MICROS: i64 = 60_000_000;
/// Microseconds of a second.
pub const SECOND_MICROS: i64 = 1_000_000;
/// 1970-01-01 as a Julian day.
pub const UNIX_JULIAN_DAY: i64 = 2_440_588;
/// The first date: 4714-11-24 BC, Julian day 0.
pub const DATE_MIN: i64 = -UNIX_JULIAN_DAY;
/// The last date: 5874897-12-31.
pub const DATE_MAX: i64 = 2_147_483_493 - UNIX_JULIAN_DAY;
/// The first timestamp: 4714-11-24 00:00:00 BC.
pub const TIMESTAMP_MIN: i64 = DATE_MIN * DAY_MICROS;
/// The last timestamp: what 64 bits hold, short of infinity; 294247-01-10 (PostgreSQL: 294276-12-31).
pub const TIMESTAMP_MAX: i64 = i64::MAX - 1;
/// `-infinity` as a date.
pub const DATE_NEGATIVE_INFINITY: i32 = i32::MIN;
/// `infinity` as a date.
pub const DATE_INFINITY: i32 = i32::MAX;
/// `-infinity` as a timestamp.
pub const TIMESTAMP_NEGATIVE_INFINITY: i64 = i64::MIN;
/// `infinity` as a timestamp.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;

/// A day of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CivilDate {
    /// Astronomical year.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

/// Days since 1970-01-01. (Hinnant, "chrono-compatible low-level date algorithms".)
pub const fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let month_from_march = (month as i64 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The day that is `days` after 1970-01-01.
pub const fn civil_from_days(days: i64) -> CivilDate {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    CivilDate { year, month, day }
}

/// Whether the astronomical year has 366 days.
pub const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month.
pub const fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Day of the week of a day number: 0 is Sunday.
pub const fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// ISO 8601 week and the year it belongs to.
pub const fn iso_week(days: i64) -> (i64, i64) {
    // The week belongs to the year of its Thursday.
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let year = civil_from_days(thursday).year;
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// A day number as a date.
/// # Errors
/// `22008` outside PostgreSQL's range.
pub fn check_date(days: i64) -> Result<i32> {
    if !(DATE_MIN..=DATE_MAX).contains(&days) {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range"));
    }
    Ok(days as i32)
}

/// Microseconds as a timestamp.
/// # Errors
/// `22008` outside the range.
pub fn check_timestamp(micros: i128) -> Result<i64> {
    if !(i128::from(TIMESTAMP_MIN)..=i128::from(TIMESTAMP_MAX)).contains(&micros) {
        return Err(timestamp_out_of_range());
    }
    Ok(micros as i64)
}

/// `22008`.
pub fn timestamp_out_of_range() -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

/// Whether a timestamp is one of the infinities.
pub const fn is_infinite_timestamp(micros: i64) -> bool {
    micros == TIMESTAMP_INFINITY || micros == TIMESTAMP_NEGATIVE_INFINITY
}

/// Whether a date is one of the infinities.
pub const fn is_infinite_date(days: i32) -> bool {
    days == DATE_INFINITY || days == DATE_NEGATIVE_INFINITY
}

/// `make_date`: a negative year is BC.
/// # Errors
/// `22008` for a day that does not exist.
pub fn make_date(year: i32, month: i32, day: i32) -> Result<i32> {
    let wrong = || {
        Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        )
    };
    let astronomical = if year < 0 { i64::from(year) + 1 } else { i64::from(year) };
    let fits = year != 0
        && (1..=12).contains(&month)
        && day >= 1
        && day as u32 <= days_in_month(astronomical, month as u32);
    if !fits {
        return Err(wrong());
    }
    check_date(days_from_civil(astronomical, month as u32, day as u32)).map_err(|_| {
        Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: {year}-{month:02}-{day:02}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse_over_the_whole_range_and_agree_with_jiff() {
        let mut days = DATE_MIN;
        while days <= DATE_MAX {
            let date = civil_from_days(days);
            assert_eq!(days_from_civil(date.year, date.month, date.day), days);
            if (-9999..=9999).contains(&date.year) {
                let other = jiff::civil::date(date.year as i16, date.month as i8, date.day as i8);
                let since = jiff::civil::date(1970, 1, 1).until(other).unwrap().get_days();
                assert_eq!(i64::from(since), days);
                assert_eq!(weekday(days), i64::from(other.weekday().to_sunday_zero_offset()));
                let week = other.iso_week_date();
                assert_eq!(iso_week(days), (i64::from(week.year()), i64::from(week.week())));
            }
            days += if (-5_000_000..3_000_000).contains(&days) { 97 } else { 1_000_003 };
        }
        assert_eq!(civil_from_days(DATE_MAX), CivilDate { year: 5_874_897, month: 12, day: 31 });
        assert_eq!(civil_from_days(DATE_MIN), CivilDate { year: -4713, month: 11, day: 24 });
    }
}

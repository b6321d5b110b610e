//! The fields that an interval type is limited to, inside its modifier.
//! Knows PostgreSQL's packing: a bit for each field above the digits of the seconds' fraction.

use crate::sql::types::calendar::{HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS};
use crate::sql::types::datum::Interval;
use crate::sql::types::interval::Unit;
use std::fmt;

/// Digits of a modifier without a precision.
const PRECISION_ANY: i32 = 0xFFFF;

/// A field of an interval type, from coarsest to finest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RangeField {
    /// YEAR.
    Year,
    /// MONTH.
    Month,
    /// DAY.
    Day,
    /// HOUR.
    Hour,
    /// MINUTE.
    Minute,
    /// SECOND.
    Second,
}

const FIELDS: [(RangeField, i32, &str); 6] = [
    (RangeField::Year, 1 << 2, "year"),
    (RangeField::Month, 1 << 1, "month"),
    (RangeField::Day, 1 << 3, "day"),
    (RangeField::Hour, 1 << 10, "hour"),
    (RangeField::Minute, 1 << 11, "minute"),
    (RangeField::Second, 1 << 12, "second"),
];

/// The first and last field of an interval type; `None`: all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntervalRange(Option<(RangeField, RangeField)>);

impl IntervalRange {
    /// No limit.
    pub const FULL: IntervalRange = IntervalRange(None);

    /// The fields of a type's modifier.
    pub fn of_modifier(modifier: i32) -> IntervalRange {
        let bits = if modifier < 0 { 0 } else { modifier >> 16 };
        let held = |(field, bit, _): &(RangeField, i32, &str)| (bits & bit != 0).then_some(*field);
        let first = FIELDS.iter().find_map(held);
        let last = FIELDS.iter().rev().find_map(held);
        IntervalRange(first.zip(last))
    }

    /// The modifier of a type limited to the fields from `first` to `last`, with so many digits of the second.
    pub fn modifier(first: RangeField, last: RangeField, precision: Option<i32>) -> i32 {
        let within = |field: &RangeField| first <= *field && *field <= last;
        let bits: i32 = FIELDS.iter().filter(|(field, _, _)| within(field)).map(|(_, bit, _)| bit).sum();
        bits << 16 | precision.unwrap_or(PRECISION_ANY)
    }

    /// What a number without a unit counts.
    pub(super) fn unit_of_number(self) -> Unit {
        match self.0.map_or(RangeField::Second, |(_, last)| last) {
            RangeField::Year => Unit::Months(12),
            RangeField::Month => Unit::Months(1),
            RangeField::Day => Unit::Days(1),
            RangeField::Hour => Unit::Micros(HOUR_MICROS),
            RangeField::Minute => Unit::Micros(MINUTE_MICROS),
            RangeField::Second => Unit::Micros(SECOND_MICROS),
        }
    }

    /// Whether `a:b` is minutes and seconds.
    pub(super) fn is_minute_to_second(self) -> bool {
        self.0 == Some((RangeField::Minute, RangeField::Second))
    }

    /// The value without what is finer than the last field. Coarser fields than the first stay, as in PostgreSQL.
    pub fn cut(self, value: Interval) -> Interval {
        let to = |unit: i64| value.micros / unit * unit;
        match self.0.map(|(_, last)| last) {
            None | Some(RangeField::Second) => value,
            Some(RangeField::Year) => Interval { months: value.months / 12 * 12, days: 0, micros: 0 },
            Some(RangeField::Month) => Interval { days: 0, micros: 0, ..value },
            Some(RangeField::Day) => Interval { micros: 0, ..value },
            Some(RangeField::Hour) => Interval { micros: to(HOUR_MICROS), ..value },
            Some(RangeField::Minute) => Interval { micros: to(MINUTE_MICROS), ..value },
        }
    }
}

impl fmt::Display for IntervalRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, last)) = self.0 else { return Ok(()) };
        let name = |wanted: RangeField| {
            FIELDS.iter().find(|(field, _, _)| *field == wanted).map_or("", |(_, _, name)| name)
        };
        f.write_str(name(first))?;
        if first != last {
            write!(f, " to {}", name(last))?;
        }
        Ok(())
    }
}

/// Digits of the second's fraction in a modifier; −1: all.
pub fn precision_of(modifier: i32) -> i32 {
    match modifier & PRECISION_ANY {
        _ if modifier < 0 => -1,
        PRECISION_ANY => -1,
        digits => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::interval::parse_within;
    use crate::sql::types::interval_output::write;
    use crate::sql::types::text_style::IntervalStyle;

    #[test]
    fn fields_tell_what_numbers_are_and_cut_the_rest() {
        use RangeField::{Day, Hour, Minute, Month, Second, Year};
        for (text, first, last, expected) in [
            ("1", Year, Month, "1 mon"),
            ("1-2", Year, Month, "1 year 2 mons"),
            ("1 2", Day, Hour, "1 day 02:00:00"),
            ("1 2:03", Day, Hour, "1 day 02:00:00"),
            ("1 2:03:04", Day, Minute, "1 day 02:03:00"),
            ("1 2:03", Minute, Second, "1 day 00:02:03"),
            ("1 -2:03", Minute, Second, "1 day -00:02:03"),
            ("123 11", Day, Hour, "123 days 11:00:00"),
            ("3", Hour, Hour, "03:00:00"),
            ("14 months", Year, Year, "1 year"),
        ] {
            let range = IntervalRange::of_modifier(IntervalRange::modifier(first, last, None));
            assert_eq!(range, IntervalRange(Some((first, last))));
            let value = range.cut(parse_within(text, range).unwrap());
            let mut out = String::new();
            write(value, IntervalStyle::Postgres, &mut out);
            assert_eq!(out, expected, "{text}");
        }
        assert_eq!(precision_of(IntervalRange::modifier(Day, Second, Some(2))), 2);
        assert_eq!(precision_of(IntervalRange::modifier(Day, Second, None)), -1);
        assert_eq!(precision_of(3), 3);
    }
}

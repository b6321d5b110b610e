//! Forms of text input and output that a session chooses. Knows no settings by name.

/// How a date of three ambiguous numbers is read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    MonthDayYear,
    /// Day, month, year.
    DayMonthYear,
    /// Year, month, day.
    YearMonthDay,
}

/// How intervals are written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum IntervalStyle {
    /// `1 year 2 mons -3 days 04:05:06`.
    #[default]
    Postgres,
    /// `@ 1 year 2 mons -3 days 4 hours 5 mins 6 secs`.
    PostgresVerbose,
    /// `+1-2 -3 +4:05:06`.
    SqlStandard,
    /// `P1Y2M-3DT4H5M6S`.
    Iso8601,
}

/// What a session's settings say of text forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TextStyle {
    /// Order of the numbers of a date.
    pub date_order: DateOrder,
    /// Form of intervals.
    pub interval: IntervalStyle,
    /// Above 0: floating-point numbers have the shortest exact digits; else so many digits more than the 15
    /// (6 of real) that always survive.
    pub float_digits: i8,
}

/// The forms before any SET.
pub const DEFAULT: TextStyle =
    TextStyle { date_order: DateOrder::MonthDayYear, interval: IntervalStyle::Postgres, float_digits: 1 };

impl Default for TextStyle {
    fn default() -> TextStyle {
        DEFAULT
    }
}

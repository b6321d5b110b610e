//! min and max in the types' orders.

use crate::error::Result;
use crate::sql::functions::aggregate::{State, aggregate};
use crate::sql::functions::kernel::{
    Argument, Char, Date, Float4, Float8, Int2, Int4, Int8, Interval, Num, Output, Text, Timestamp,
    TimestampTz,
};
use crate::sql::functions::registry::AggregateFunction;
use crate::sql::types::compare::{compare_f64, interval_key};
use crate::sql::types::text::trim_blanks;

macro_rules! extreme {
    ($($minimum:ident, $maximum:ident, $type:ident, |$a:ident, $b:ident| $less:expr;)*) => {$(
        extreme!(one $minimum, $type, |$a, $b| $less);
        extreme!(one $maximum, $type, |$b, $a| $less);
    )*};
    (one $name:ident, $type:ident, |$a:ident, $b:ident| $less:expr) => {
        #[derive(Clone, Default)]
        struct $name(Option<<$type as Output>::Value>);

        impl State for $name {
            type Input = $type;
            type Output = $type;
            #[inline]
            fn add(&mut self, $a: <$type as Argument>::Value<'_>) -> Result<()> {
                match self.0 {
                    Some($b) if !$less => {}
                    _ => self.0 = Some($a),
                }
                Ok(())
            }
            fn finish(&self) -> Result<Option<<$type as Output>::Value>> {
                Ok(self.0)
            }
        }
    };
}

extreme! {
    MinInt2, MaxInt2, Int2, |a, b| a < b;
    MinInt4, MaxInt4, Int4, |a, b| a < b;
    MinInt8, MaxInt8, Int8, |a, b| a < b;
    MinDate, MaxDate, Date, |a, b| a < b;
    MinTimestamp, MaxTimestamp, Timestamp, |a, b| a < b;
    MinTimestampTz, MaxTimestampTz, TimestampTz, |a, b| a < b;
    MinFloat4, MaxFloat4, Float4, |a, b| compare_f64(f64::from(a), f64::from(b)).is_lt();
    MinFloat8, MaxFloat8, Float8, |a, b| compare_f64(a, b).is_lt();
    MinNumeric, MaxNumeric, Num, |a, b| a < b;
    MinInterval, MaxInterval, Interval, |a, b| interval_key(a) < interval_key(b);
}

macro_rules! string_extreme {
    ($($name:ident, $type:ident, |$new:ident, $old:ident| $better:expr;)*) => {$(
        #[derive(Clone, Default)]
        struct $name(Option<String>);

        impl State for $name {
            type Input = $type;
            type Output = $type;
            fn add(&mut self, $new: &str) -> Result<()> {
                match &mut self.0 {
                    Some(current) => {
                        let $old = current.as_str();
                        if $better {
                            current.clear();
                            current.push_str($new);
                        }
                    }
                    None => self.0 = Some($new.to_owned()),
                }
                Ok(())
            }
            fn finish(&self) -> Result<Option<String>> {
                Ok(self.0.clone())
            }
            fn heap_bytes(&self) -> usize {
                self.0.as_ref().map_or(0, String::capacity)
            }
        }
    )*};
}

string_extreme! {
    MinText, Text, |new, old| new.as_bytes() < old.as_bytes();
    MaxText, Text, |new, old| new.as_bytes() > old.as_bytes();
    MinChar, Char, |new, old| trim_blanks(new).as_bytes() < trim_blanks(old).as_bytes();
    MaxChar, Char, |new, old| trim_blanks(new).as_bytes() > trim_blanks(old).as_bytes();
}

macro_rules! table {
    ($($minimum:ident $maximum:ident)*) => {
        &[
            $(aggregate!("min", $minimum, "smallest value"),)*
            $(aggregate!("max", $maximum, "largest value"),)*
        ]
    };
}

pub(super) static TABLE: &[AggregateFunction] = table! {
    MinInt4 MaxInt4
    MinInt8 MaxInt8
    MinInt2 MaxInt2
    MinNumeric MaxNumeric
    MinFloat8 MaxFloat8
    MinFloat4 MaxFloat4
    MinText MaxText
    MinChar MaxChar
    MinDate MaxDate
    MinTimestamp MaxTimestamp
    MinTimestampTz MaxTimestampTz
    MinInterval MaxInterval
};

//! extract, date_part, date_trunc and date_bin over the fields of `sql::types`.

use crate::error::{Error, Result, SqlState};
use crate::sql::functions::kernel::{
    Date, Float8, Interval, Nullable, Num, Text, Timestamp, TimestampTz, function,
};
use crate::sql::functions::registry::{Environment, ScalarFunction};
use crate::sql::functions::temporal::midnight;
use crate::sql::types::calendar::{DAY_MICROS, check_timestamp, is_infinite_timestamp};
use crate::sql::types::datetime_fields::{self, truncate_interval, truncate_timestamp, truncate_timestamptz};
use crate::sql::types::datum::{DatumRef, Interval as Span, Numeric};
use crate::sql::types::zone;

fn extract(name: &str, value: DatumRef<'_>, environment: &dyn Environment) -> Result<Option<Numeric>> {
    datetime_fields::extract(name, value, &environment.casts())
}

fn part(name: &str, value: DatumRef<'_>, environment: &dyn Environment) -> Result<Option<f64>> {
    Ok(extract(name, value, environment)?.map(Numeric::to_f64))
}

/// The start of the bin of equal length that a timestamp lies in, counted from an origin.
fn bin(stride: Span, micros: i64, origin: i64) -> Result<i64> {
    if stride.months != 0 {
        return Err(Error::not_supported("a stride with months or years in date_bin"));
    }
    let length = i64::from(stride.days)
        .checked_mul(DAY_MICROS)
        .and_then(|days| days.checked_add(stride.micros))
        .ok_or_else(|| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))?;
    if length <= 0 {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "stride must be greater than zero"));
    }
    if is_infinite_timestamp(micros) || is_infinite_timestamp(origin) {
        return Ok(micros);
    }
    let (distance, length) = (i128::from(micros) - i128::from(origin), i128::from(length));
    check_timestamp(i128::from(origin) + distance.div_euclid(length) * length)
}

static FIELDS: &[ScalarFunction] = &[
    function!("extract", (Text, Timestamp) -> Nullable<Num>, Immutable, "a field", |(name, micros), environment| extract(name, DatumRef::Timestamp(micros), environment)),
    function!("extract", (Text, TimestampTz) -> Nullable<Num>, Stable, "a field, in the session's zone", |(name, micros), environment| extract(name, DatumRef::TimestampTz(micros), environment)),
    function!("extract", (Text, Date) -> Nullable<Num>, Immutable, "a field", |(name, date), environment| extract(name, DatumRef::Date(date), environment)),
    function!("extract", (Text, Interval) -> Nullable<Num>, Immutable, "a field", |(name, span), environment| extract(name, DatumRef::Interval(span), environment)),
    function!("date_part", (Text, Timestamp) -> Nullable<Float8>, Immutable, "a field", |(name, micros), environment| part(name, DatumRef::Timestamp(micros), environment)),
    function!("date_part", (Text, TimestampTz) -> Nullable<Float8>, Stable, "a field, in the session's zone", |(name, micros), environment| part(name, DatumRef::TimestampTz(micros), environment)),
    function!("date_part", (Text, Date) -> Nullable<Float8>, Immutable, "a field", |(name, date), environment| part(name, DatumRef::Timestamp(midnight(date)?), environment)),
    function!("date_part", (Text, Interval) -> Nullable<Float8>, Immutable, "a field", |(name, span), environment| part(name, DatumRef::Interval(span), environment)),
];

static TRUNCATIONS: &[ScalarFunction] = &[
    function!("date_trunc", (Text, Timestamp) -> Timestamp, Immutable, "start of the unit", |(name, micros), _| {
        if is_infinite_timestamp(micros) { Ok(micros) } else { truncate_timestamp(name, micros) }
    }),
    function!("date_trunc", (Text, TimestampTz) -> TimestampTz, Stable, "start of the unit in the session's zone", |(name, micros), environment| {
        if is_infinite_timestamp(micros) { Ok(micros) } else { truncate_timestamptz(name, micros, environment.time_zone()) }
    }),
    function!("date_trunc", (Text, TimestampTz, Text) -> TimestampTz, Stable, "start of the unit in a zone", |(name, micros, zone_name), _| truncate_timestamptz(name, micros, &zone::by_name(zone_name)?)),
    function!("date_trunc", (Text, Interval) -> Interval, Immutable, "without smaller parts", |(name, span), _| truncate_interval(name, span)),
    function!("date_bin", (Interval, Timestamp, Timestamp) -> Timestamp, Immutable, "start of the bin of a length, counted from an origin", |(stride, micros, origin), _| bin(stride, micros, origin)),
    function!("date_bin", (Interval, TimestampTz, TimestampTz) -> TimestampTz, Immutable, "start of the bin of a length, counted from an origin", |(stride, micros, origin), _| bin(stride, micros, origin)),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FIELDS, TRUNCATIONS];

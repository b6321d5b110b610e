//! The text form of every type: PostgreSQL's input and output functions.

use crate::error::Result;
use crate::sql::types::cast::{CastEnvironment, numeric, round_interval, round_micros};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef, Numeric};
use crate::sql::types::interval_range::IntervalRange;
use crate::sql::types::text::{to_char, to_varchar};
use crate::sql::types::{
    boolean, bytea, datetime_input, datetime_output, float, integer, interval, interval_output,
};
use std::fmt::Write;
use std::sync::Arc;

/// Appends the text of `value`, as PostgreSQL prints it, to `out`; NULL appends nothing.
pub fn datum_to_text(
    value: DatumRef<'_>,
    data_type: DataType,
    environment: &CastEnvironment<'_>,
    out: &mut String,
) {
    let _ = data_type;
    const FITS: &str = "strings take everything";
    match value {
        DatumRef::Null => {}
        DatumRef::Boolean(v) => out.push(if v { 't' } else { 'f' }),
        DatumRef::SmallInt(v) => write!(out, "{v}").expect(FITS),
        DatumRef::Integer(v) => write!(out, "{v}").expect(FITS),
        DatumRef::BigInt(v) => write!(out, "{v}").expect(FITS),
        DatumRef::Real(v) => float::write_real(v, environment.style.float_digits, out),
        DatumRef::Double(v) => float::write_double(v, environment.style.float_digits, out),
        DatumRef::Numeric(v) => write!(out, "{v}").expect(FITS),
        DatumRef::Text(v) => out.push_str(v),
        DatumRef::Bytes(v) => {
            out.push_str("\\x");
            bytea::write_hex(v, out);
        }
        DatumRef::Date(v) => datetime_output::write_date(v, out),
        DatumRef::Timestamp(v) => datetime_output::write_timestamp(v, out),
        DatumRef::TimestampTz(v) => datetime_output::write_timestamptz(v, environment.zone, out),
        DatumRef::Interval(v) => interval_output::write(v, environment.style.interval, out),
    }
}

/// Reads a value of type `target` from text.
/// # Errors
/// As PostgreSQL's input functions: mostly `22P02`, `22003`, `22007`, `22008`; `22001` for text that is too long.
pub fn text_to_datum(text: &str, target: SqlType, environment: &CastEnvironment<'_>) -> Result<Datum> {
    let whole = |minimum: i64, maximum: i64| integer::parse(text, minimum, maximum, target.data_type.name());
    Ok(match target.data_type {
        DataType::Unknown | DataType::Text => Datum::text(text),
        DataType::Varchar => Datum::text(to_varchar(text, target.character_count(), false)?),
        DataType::Char => Datum::text(&to_char(text, target.character_count(), false)?),
        DataType::Boolean => Datum::Boolean(boolean::parse(text)?),
        DataType::SmallInt => Datum::SmallInt(whole(i64::from(i16::MIN), i64::from(i16::MAX))? as i16),
        DataType::Integer => Datum::Integer(whole(i64::from(i32::MIN), i64::from(i32::MAX))? as i32),
        DataType::BigInt => Datum::BigInt(whole(i64::MIN, i64::MAX)?),
        DataType::Real => Datum::Real(float::parse_real(text)?),
        DataType::Double => Datum::Double(float::parse_double(text)?),
        DataType::Numeric => numeric(Numeric::parse(text)?, target)?,
        DataType::Bytea => Datum::Bytes(Arc::from(bytea::parse(text)?)),
        DataType::Date => Datum::Date(datetime_input::parse_date(text, environment)?),
        DataType::Timestamp => Datum::Timestamp(round_micros(
            datetime_input::parse_timestamp(text, environment)?,
            target.modifier,
        )?),
        DataType::TimestampTz => Datum::TimestampTz(round_micros(
            datetime_input::parse_timestamptz(text, environment)?,
            target.modifier,
        )?),
        DataType::Interval => {
            let value = interval::parse_within(text, IntervalRange::of_modifier(target.modifier))?;
            Datum::Interval(round_interval(value, target.modifier)?)
        }
    })
}

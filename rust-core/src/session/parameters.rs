//! Parameter values as a plan wants them: of the inferred types.

use crate::common::limits::VALUE_BYTES_MAX;
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::functions::registry::Environment;
use crate::sql::types::cast::cast;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;
use crate::sql::types::text::check_utf8;
use crate::sql::types::text_form::text_to_datum;

/// Values of so many bytes together are not charged.
pub(crate) const SHORT_BYTES: usize = 4 << 10;

/// Whether every value has its parameter's type already (NULL has every type).
pub(crate) fn fit(values: &[Datum], types: &[DataType]) -> bool {
    values.len() == types.len() && values.iter().zip(types).all(|(value, wanted)| fits(value, *wanted))
}

fn fits(value: &Datum, wanted: DataType) -> bool {
    match value {
        Datum::Null => true,
        Datum::Text(text) => wanted.is_string() && is_storable(text),
        other => other.as_ref().natural_type() == wanted,
    }
}

fn is_storable(text: &str) -> bool {
    text.len() <= VALUE_BYTES_MAX && memchr::memchr(0, text.as_bytes()).is_none()
}

/// The values as a statement takes them.
/// # Errors
/// As [`convert`].
pub(crate) fn converted(
    values: &[Datum],
    types: &[DataType],
    environment: &dyn Environment,
) -> Result<Vec<Datum>> {
    if fit(values, types) { Ok(values.to_vec()) } else { convert(values, types, environment) }
}

/// Charges for the long values among `values` that are not those of `given`, which somebody else has charged.
/// # Errors
/// `53200`.
pub(crate) fn memory_for(
    values: &[Datum],
    given: &[Datum],
    memory: &Arc<MemoryAccount>,
) -> Result<Option<Reservation>> {
    let is_given = |index: usize, value: &Datum| match (value, given.get(index)) {
        (Datum::Text(text), Some(Datum::Text(given))) => Arc::ptr_eq(text, given),
        (Datum::Bytes(bytes), Some(Datum::Bytes(given))) => Arc::ptr_eq(bytes, given),
        _ => false,
    };
    let own = values.iter().enumerate().filter(|(index, value)| !is_given(*index, value));
    let bytes = own.map(|(_, value)| value.as_ref().long_bytes()).sum::<usize>();
    if bytes <= SHORT_BYTES {
        return Ok(None);
    }
    let mut charged = memory.reservation();
    charged.grow(bytes)?;
    Ok(Some(charged))
}

/// Converts values that do not fit.
/// # Errors
/// `08P01` for a wrong number of values; `22021` for a NUL byte; what the conversion raises.
pub(crate) fn convert(
    values: &[Datum],
    types: &[DataType],
    environment: &dyn Environment,
) -> Result<Vec<Datum>> {
    if values.len() != types.len() {
        return Err(Error::new(
            SqlState::PROTOCOL_VIOLATION,
            format!("the statement has {} parameters, {} values were given", types.len(), values.len()),
        ));
    }
    let casts = environment.casts();
    let mut converted = Vec::with_capacity(values.len());
    for (position, (value, wanted)) in values.iter().zip(types).enumerate() {
        if fits(value, *wanted) {
            converted.push(value.clone());
            continue;
        }
        let target = SqlType::plain(*wanted);
        let result = match value {
            Datum::Text(text) if text.len() > VALUE_BYTES_MAX => {
                Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "value too long"))
            }
            Datum::Text(text) => {
                environment.room_for(text.len())?;
                check_utf8(text.as_bytes()).and_then(|text| text_to_datum(text, target, &casts))
            }
            other => cast(other.as_ref(), other.as_ref().natural_type(), target, false, &casts),
        };
        converted.push(result.map_err(|error| {
            let place = format!("This is the value of parameter ${}.", position + 1);
            if error.detail_text().is_some() { error } else { error.detail(place) }
        })?);
    }
    Ok(converted)
}

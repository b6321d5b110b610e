//! The text form of every type: PostgreSQL's input and output functions.

use crate::error::Result;
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};

/// Appends the text of `value` (not NULL), as PostgreSQL prints it, to `out`.
pub fn datum_to_text(
    value: DatumRef<'_>,
    data_type: DataType,
    environment: &CastEnvironment<'_>,
    out: &mut String,
) {
    let _ = (value, data_type, environment, out);
    unimplemented!()
}

/// Reads a value of type `target` from text.
/// # Errors
/// As PostgreSQL's input functions: mostly `22P02`, `22003`, `22007`, `22008`.
pub fn text_to_datum(text: &str, target: SqlType, environment: &CastEnvironment<'_>) -> Result<Datum> {
    let _ = (text, target, environment);
    unimplemented!()
}

//! PostgreSQL's binary send and receive format of every type.

use crate::error::Result;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef};

/// Appends the binary form of `value` (not NULL) to `out`, without a length.
pub fn encode(value: DatumRef<'_>, data_type: DataType, out: &mut Vec<u8>) {
    let _ = (value, data_type, out);
    unimplemented!()
}

/// Reads a value of type `data_type` from its binary form.
/// # Errors
/// `22P03` when the bytes are none, `22021` for text that is not UTF-8, `22003` for a numeric beyond 38 digits.
pub fn decode(bytes: &[u8], data_type: DataType) -> Result<Datum> {
    let _ = (bytes, data_type);
    unimplemented!()
}

//! `lumos_error`: made by a failing call, immutable, freed by the host.

use crate::error::Error;
use crate::ffi::abi::*;
use crate::ffi::guard::guard_value;
use crate::ffi::handle;
use crate::ffi::text::c_string;
use std::ffi::{CString, c_char};

/// An error with its texts in C's form.
#[derive(Debug)]
pub struct ErrorObject {
    status: lumos_status,
    position: i64,
    retryable: bool,
    unstarted: bool,
    state: CString,
    /// By PostgreSQL's field letters.
    fields: Vec<(u8, CString)>,
}

impl ErrorObject {
    /// The error with the status its call returned.
    pub fn new(error: Error, status: lumos_status) -> ErrorObject {
        let mut fields: Vec<(u8, CString)> = vec![
            (b'S', c"ERROR".to_owned()),
            (b'V', c"ERROR".to_owned()),
            (b'C', c_string(error.state().as_str())),
            (b'M', c_string(error.message())),
        ];
        let position = error.position().map(|at| (at + 1).to_string());
        let optional = [
            (b'D', error.detail_text()),
            (b'H', error.hint_text()),
            (b'P', position.as_deref()),
            (b's', error.schema_name()),
            (b't', error.table_name()),
            (b'c', error.column_name()),
            (b'd', error.data_type_name()),
            (b'n', error.constraint_name()),
            (b'W', error.context_text()),
        ];
        fields.extend(optional.iter().filter_map(|(code, text)| text.map(|text| (*code, c_string(text)))));
        ErrorObject {
            status,
            position: error.position().map_or(-1, |at| at as i64),
            unstarted: error.is_unstarted(),
            retryable: matches!(error.state().as_str(), "40001" | "40P01" | "55P03"),
            state: c_string(error.state().as_str()),
            fields,
        }
    }

    /// The text of a field.
    pub fn field(&self, code: i32) -> *const c_char {
        self.fields
            .iter()
            .find(|(known, _)| i32::from(*known) == code)
            .map_or(std::ptr::null(), |(_, text)| text.as_ptr())
    }
}

fn look<T>(error: *const lumos_error, otherwise: T, read: impl FnOnce(&ErrorObject) -> T) -> T {
    guard_value(otherwise, || Ok(read(&*handle::lease_shared::<ErrorObject, _>(error)?)))
}

/// Five characters and NUL; borrowed until the error is freed. `""` for a handle that is no error. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_error_sqlstate(error: *const lumos_error) -> *const c_char {
    look(error, c"".as_ptr(), |error| error.state.as_ptr())
}

/// The primary message, UTF-8 and NUL; borrowed until the error is freed. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_error_message(error: *const lumos_error) -> *const c_char {
    look(error, c"".as_ptr(), |error| error.field(i32::from(b'M')))
}

/// A field by PostgreSQL's letter: 'S' severity, 'C' SQLSTATE, 'M' message, 'D' detail, 'H' hint,
/// 'P' position (from 1), 's' schema, 't' table, 'c' column, 'd' data type, 'n' constraint, 'W' the place in the
/// data of COPY; null if absent;
/// borrowed until the error is freed. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_error_field(error: *const lumos_error, field: i32) -> *const c_char {
    look(error, std::ptr::null(), |error| error.field(field))
}

/// Byte offset in the SQL text, from 0; −1: none. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_error_position(error: *const lumos_error) -> i64 {
    look(error, -1, |error| error.position)
}

/// The status that the failing call returned. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_error_status(error: *const lumos_error) -> lumos_status {
    look(error, LUMOS_MISUSE, |error| error.status)
}

/// Whether running the transaction again may succeed: 40001, 40P01, 55P03. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_error_is_retryable(error: *const lumos_error) -> bool {
    look(error, false, |error| error.retryable)
}

/// Whether the call did nothing at all, because its connection (57P01) or its transaction (25P03, 25P04) had been ended before
/// it began: a pool drops the connection and asks another one the same; in a transaction all of it. Since 1.2.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_error_is_unstarted(error: *const lumos_error) -> bool {
    look(error, false, |error| error.unstarted)
}

/// Frees an error; null is fine. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_error_free(error: *mut lumos_error) {
    guard_value((), || {
        handle::close::<ErrorObject, _>(error);
        Ok(())
    });
}

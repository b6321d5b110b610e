//! Binding parameters one by one. Positions count from 1; texts and bytes are copied before the call returns;
//! values stay bound until changed or cleared.

use crate::error::{Error, SqlState};
use crate::ffi::abi::*;
use crate::ffi::guard::Failure;
use crate::ffi::packed::decode_parameters;
use crate::ffi::statement::with_statement;
use crate::ffi::text;
use crate::sql::types::datum::{DatumRef, Interval, Numeric, NumericKind};
use std::ffi::{c_char, c_void};

fn bind<'a>(
    stmt: *mut lumos_stmt,
    index: u32,
    value: impl FnOnce() -> Result<DatumRef<'a>, Failure>,
) -> lumos_status {
    with_statement(stmt, std::ptr::null_mut(), |statement| {
        let index = (index as usize).checked_sub(1).filter(|index| *index < statement.bound.len());
        let index = index.ok_or(Failure::Misuse("misuse: there is no such parameter"))?;
        statement.bound.set(index, value()?)?;
        Ok(LUMOS_OK)
    })
}

/// Binds NULL. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_bind_null(stmt: *mut lumos_stmt, index: u32) -> lumos_status {
    bind(stmt, index, || Ok(DatumRef::Null))
}

/// Binds a boolean. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_bind_bool(stmt: *mut lumos_stmt, index: u32, value: bool) -> lumos_status {
    bind(stmt, index, || Ok(DatumRef::Boolean(value)))
}

/// Binds an integer; it is converted to the parameter's type when the statement runs. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_bind_int64(stmt: *mut lumos_stmt, index: u32, value: i64) -> lumos_status {
    bind(stmt, index, || Ok(DatumRef::BigInt(value)))
}

/// Binds a double. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_bind_double(stmt: *mut lumos_stmt, index: u32, value: f64) -> lumos_status {
    bind(stmt, index, || Ok(DatumRef::Double(value)))
}

/// Binds a text: an untyped literal that takes the parameter's type, as in PostgreSQL. Not UTF-8, or a NUL
/// inside: `LUMOS_ERROR` (22021). Since 1.0.
///
/// # Safety
/// `value` has `length` readable bytes (or ends with NUL and `length` is `LUMOS_NTS`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_bind_text(
    stmt: *mut lumos_stmt,
    index: u32,
    value: *const c_char,
    length: usize,
) -> lumos_status {
    bind(stmt, index, || {
        // SAFETY: by this function's contract.
        Ok(DatumRef::Text(unsafe { text::utf8(value, length)? }))
    })
}

/// Binds bytes. Since 1.0.
///
/// # Safety
/// `value` has `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_bind_bytes(
    stmt: *mut lumos_stmt,
    index: u32,
    value: *const c_void,
    length: usize,
) -> lumos_status {
    bind(stmt, index, || {
        if length == LUMOS_NTS {
            return Err(Failure::Misuse("misuse: bytes need a length"));
        }
        // SAFETY: by this function's contract.
        Ok(DatumRef::Bytes(unsafe { text::bytes(value.cast(), length)? }))
    })
}

/// Binds `(high << 64 | low) × 10^-scale`, two's complement over 128 bits; at most 38 digits. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_bind_numeric(
    stmt: *mut lumos_stmt,
    index: u32,
    high: i64,
    low: u64,
    scale: i32,
) -> lumos_status {
    bind(stmt, index, || {
        let mantissa = i128::from(high) << 64 | i128::from(low);
        let scale = u16::try_from(scale).ok().filter(|scale| *scale <= 38);
        match scale {
            Some(scale) if mantissa.unsigned_abs() < 10u128.pow(38) => {
                Ok(DatumRef::Numeric(Numeric { mantissa, scale, kind: NumericKind::Finite }))
            }
            _ => {
                Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric value has more than 38 digits")
                    .into())
            }
        }
    })
}

/// Binds a date: days since 1970-01-01. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_bind_date(stmt: *mut lumos_stmt, index: u32, unix_days: i32) -> lumos_status {
    bind(stmt, index, || Ok(DatumRef::Date(unix_days)))
}

/// Binds a timestamp: microseconds since 1970-01-01 00:00:00, in UTC with `with_zone`, else without a zone.
/// Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_bind_timestamp(
    stmt: *mut lumos_stmt,
    index: u32,
    unix_micros: i64,
    with_zone: bool,
) -> lumos_status {
    bind(stmt, index, || {
        Ok(if with_zone { DatumRef::TimestampTz(unix_micros) } else { DatumRef::Timestamp(unix_micros) })
    })
}

/// Binds an interval. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_bind_interval(
    stmt: *mut lumos_stmt,
    index: u32,
    months: i32,
    days: i32,
    micros: i64,
) -> lumos_status {
    bind(stmt, index, || Ok(DatumRef::Interval(Interval { months, days, micros })))
}

/// Binds all parameters at once from the packed form that `lumos_run` takes. Since 1.0.
///
/// # Safety
/// `params` has `length` readable bytes; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_bind_packed(
    stmt: *mut lumos_stmt,
    params: *const u8,
    length: usize,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_statement(stmt, err, |statement| {
        if length == LUMOS_NTS {
            return Err(Failure::Misuse("misuse: packed parameters need a length"));
        }
        // SAFETY: by this function's contract.
        let bytes = unsafe { text::bytes(params.cast(), length)? };
        let mut values = Vec::new();
        let memory = statement.bound.memory_for(bytes.len())?;
        decode_parameters(bytes, &mut values)?;
        if values.len() != statement.bound.len() {
            let message = format!(
                "the statement has {} parameters, {} values were given",
                statement.bound.len(),
                values.len()
            );
            return Err(Error::new(SqlState::PROTOCOL_VIOLATION, message).into());
        }
        statement.bound.set_all(values, memory)?;
        Ok(LUMOS_OK)
    })
}

/// Forgets all bound values. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_clear_bindings(stmt: *mut lumos_stmt) -> lumos_status {
    with_statement(stmt, std::ptr::null_mut(), |statement| {
        statement.bound.clear();
        Ok(LUMOS_OK)
    })
}

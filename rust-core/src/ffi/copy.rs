//! COPY with the host's own reader or writer.

use crate::error::{Error, SqlState};
use crate::ffi::abi::*;
use crate::ffi::connection::with_session;
use crate::ffi::guard::{Failure, store};
use crate::ffi::text;
use std::ffi::{c_char, c_void};

fn given_up(what: &str) -> Error {
    Error::new(SqlState::QUERY_CANCELED, format!("{what} failed: the caller's function gave up"))
}

/// COPY … FROM STDIN: the data come from `read`, which puts up to `capacity` bytes into `buffer` and returns how
/// many, 0 at the end; a negative number ends the statement with 57014, and nothing is put in. It is called on this
/// thread, must not unwind, and must not use the connection. `rows`: null, or how many rows were put in. Since 1.1.
///
/// # Safety
/// `sql` as for `lumos_exec`; `read` is callable with `user`; `rows` is null or writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_copy_in(
    conn: *mut lumos_conn,
    sql: *const c_char,
    length: usize,
    read: Option<unsafe extern "C" fn(user: *mut c_void, buffer: *mut c_void, capacity: usize) -> i64>,
    user: *mut c_void,
    rows: *mut u64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        let Some(read) = read else { return Err(Failure::Misuse("misuse: a function is null")) };
        // SAFETY: by this function's contract.
        let sql = unsafe { text::utf8(sql, length)? };
        let count = session.copy_in(sql, &mut |buffer| {
            // SAFETY: by this function's contract callable with `user`; the buffer is writable for its length.
            let count = unsafe { read(user, buffer.as_mut_ptr().cast(), buffer.len()) };
            match usize::try_from(count) {
                Ok(count) if count <= buffer.len() => Ok(count),
                Ok(_) => Err(Error::new(
                    SqlState::PROTOCOL_VIOLATION,
                    "the caller's function returned more bytes than the buffer holds",
                )),
                Err(_) => Err(given_up("COPY from stdin")),
            }
        })?;
        if !rows.is_null() {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { store(rows, count)? };
        }
        Ok(LUMOS_OK)
    })
}

/// COPY … TO STDOUT: the data go to `write`, piece by piece; a number other than 0 ends the statement with 57014.
/// It is called on this thread, must not unwind, and must not use the connection. `rows`: null, or how many rows
/// were written. Since 1.1.
///
/// # Safety
/// `sql` as for `lumos_exec`; `write` is callable with `user`; `rows` is null or writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_copy_out(
    conn: *mut lumos_conn,
    sql: *const c_char,
    length: usize,
    write: Option<unsafe extern "C" fn(user: *mut c_void, data: *const c_void, length: usize) -> i32>,
    user: *mut c_void,
    rows: *mut u64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        let Some(write) = write else { return Err(Failure::Misuse("misuse: a function is null")) };
        // SAFETY: by this function's contract.
        let sql = unsafe { text::utf8(sql, length)? };
        let count = session.copy_out(sql, &mut |bytes| {
            // SAFETY: by this function's contract callable with `user`; the bytes live during the call.
            match unsafe { write(user, bytes.as_ptr().cast(), bytes.len()) } {
                0 => Ok(()),
                _ => Err(given_up("COPY to stdout")),
            }
        })?;
        if !rows.is_null() {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { store(rows, count)? };
        }
        Ok(LUMOS_OK)
    })
}

//! What other sessions tell a connection (LISTEN, NOTIFY), and the value that an INSERT drew.

use crate::ffi::abi::*;
use crate::ffi::connection::with_session;
use crate::ffi::guard::{Failure, store};
use crate::ffi::text;
use std::ffi::c_char;
use std::time::Duration;

/// The next notification of a channel that the connection listens to: `LUMOS_ROW`, or `LUMOS_DONE` when `timeout_ms`
/// milliseconds passed without one (0: does not wait; negative: waits until `lumos_interrupt`). `channel` and `payload`
/// are freed with `lumos_free`; `sender` is the number of the connection that sent it. In a transaction nothing arrives:
/// `LUMOS_DONE` without waiting, 25001 with. 54000, once, when notifications were lost because nobody asked for them.
/// Since 1.1.
///
/// # Safety
/// `channel` and `payload` are writable; `sender` is null or writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_notification_wait(
    conn: *mut lumos_conn,
    timeout_ms: i64,
    channel: *mut *mut c_char,
    payload: *mut *mut c_char,
    sender: *mut u64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        if channel.is_null() || payload.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        let found = match u64::try_from(timeout_ms) {
            Ok(0) => session.take_notification()?,
            Ok(timeout) => session.wait_for_notification(Some(Duration::from_millis(timeout)))?,
            Err(_) => session.wait_for_notification(None)?,
        };
        let Some(found) = found else { return Ok(LUMOS_DONE) };
        let (channel_copy, payload_copy) =
            (text::malloc_text(&found.channel), text::malloc_text(&found.payload));
        // SAFETY: not null, and by this function's contract writable.
        unsafe { store(channel, channel_copy)? };
        // SAFETY: as above.
        unsafe { store(payload, payload_copy)? };
        if !sender.is_null() {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { store(sender, found.session)? };
        }
        Ok(LUMOS_ROW)
    })
}

/// The value that the connection's last statement drew for a serial or identity column: `LUMOS_ROW`; `LUMOS_DONE` when it
/// drew none, or more than one. Since 1.1.
///
/// # Safety
/// `value` is writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_last_identity(
    conn: *mut lumos_conn,
    value: *mut i64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        if value.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        let Some(drawn) = session.last_identity() else { return Ok(LUMOS_DONE) };
        // SAFETY: not null, and by this function's contract writable.
        unsafe { store(value, drawn)? };
        Ok(LUMOS_ROW)
    })
}

//! Transactions without SQL text.

use crate::common::ids::Lsn;
use crate::ffi::abi::*;
use crate::ffi::connection::with_session;
use crate::ffi::guard::{Failure, store};
use crate::transaction::types::IsolationLevel;

/// The level of a `LUMOS_ISO_*` number; `None`: the connection's default.
pub(crate) fn isolation_level(isolation: i32) -> std::result::Result<Option<IsolationLevel>, Failure> {
    match isolation {
        LUMOS_ISO_DEFAULT => Ok(None),
        LUMOS_ISO_READ_UNCOMMITTED => Ok(Some(IsolationLevel::ReadUncommitted)),
        LUMOS_ISO_READ_COMMITTED => Ok(Some(IsolationLevel::ReadCommitted)),
        LUMOS_ISO_REPEATABLE_READ => Ok(Some(IsolationLevel::RepeatableRead)),
        LUMOS_ISO_SERIALIZABLE => Ok(Some(IsolationLevel::Serializable)),
        _ => Err(Failure::Misuse("misuse: not a LUMOS_ISO_* value")),
    }
}

/// Begins a transaction: `isolation` is a `LUMOS_ISO_*`, `flags` 0 or `LUMOS_TXN_READ_ONLY`.
/// In a transaction: 25001. Since 1.0.
///
/// # Safety
/// `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_begin(
    conn: *mut lumos_conn,
    isolation: i32,
    flags: u32,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        if flags & !LUMOS_TXN_READ_ONLY != 0 {
            return Err(Failure::Misuse("misuse: unknown transaction flags"));
        }
        session.begin(isolation_level(isolation)?, flags & LUMOS_TXN_READ_ONLY != 0)?;
        Ok(LUMOS_OK)
    })
}

/// Commits; returns when as durable as the `durability` setting says. A failed transaction is rolled back and
/// 40000 returned. `lsn`: null, or the commit's position in the log, 0 when nothing was written. Since 1.0.
///
/// # Safety
/// `lsn` is null or writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_commit(
    conn: *mut lumos_conn,
    lsn: *mut u64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        let position = session.commit()?.unwrap_or(Lsn::ZERO);
        if !lsn.is_null() {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { store(lsn, position.0)? };
        }
        Ok(LUMOS_OK)
    })
}

/// Rolls back. Outside a transaction: 25P01. Since 1.0.
///
/// # Safety
/// `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_rollback(conn: *mut lumos_conn, err: *mut *mut lumos_error) -> lumos_status {
    with_session(conn, err, |session| {
        session.rollback()?;
        Ok(LUMOS_OK)
    })
}

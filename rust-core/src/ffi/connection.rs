//! `lumos_conn`: one line of transactions.

use crate::common::cancel::CancelToken;
use crate::common::sync::{Arc, Mutex, MutexGuard};
use crate::database::Database;
use crate::ffi::abi::*;
use crate::ffi::database::{engine, remember};
use crate::ffi::guard::{Failure, guard, guard_value, guard_with, made, store};
use crate::ffi::handle;
use crate::ffi::text;
use crate::session::Session;
use crate::session::result::TransactionStatus;
use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};

/// What connection, statement and result handles share. It lives until the last of them is closed.
#[derive(Debug)]
pub struct Shared {
    /// The session's number.
    id: u64,
    session: Mutex<Session>,
    /// Stops what runs when the connection or the database is closed meanwhile.
    cancel: CancelToken,
    /// The connection's own handle was closed: statements and results of it can only be closed.
    closed: AtomicBool,
    /// A panic passed through: the transaction is gone, and pools should drop the connection.
    broken: AtomicBool,
    /// The engine outlives the database handle by it.
    database: Arc<Database>,
}

impl Shared {
    /// The session, for one thread at a time.
    /// # Errors
    /// Misuse when another thread is inside, or when the connection was closed.
    pub(crate) fn session(&self) -> std::result::Result<MutexGuard<'_, Session>, Failure> {
        let session = self
            .session
            .try_lock()
            .ok_or(Failure::Misuse("misuse: the connection is in use by another thread"))?;
        if self.closed.load(Ordering::Relaxed) {
            return Err(Failure::Misuse("misuse: the connection was closed"));
        }
        Ok(session)
    }

    /// Ends the statement that another thread runs, if there is one, with 57P01; the connection is of no use then.
    pub(crate) fn end_running(&self) {
        if self.session.try_lock().is_none() {
            self.cancel.close();
        }
    }

    /// After a caught panic: the transaction is rolled back.
    pub(crate) fn after_panic(&self) {
        self.broken.store(true, Ordering::Relaxed);
        if let Some(mut session) = self.session.try_lock() {
            session.after_panic();
        }
    }
}

/// A connection's handle.
#[derive(Debug)]
pub struct Connection {
    /// Shared with its statements and results.
    pub shared: Arc<Shared>,
}

/// `'I'`, `'T'` or `'E'`, as PostgreSQL's ReadyForQuery.
pub(crate) fn status_letter(session: &Session) -> u32 {
    let letter = match session.transaction_status() {
        TransactionStatus::Idle => b'I',
        TransactionStatus::Active => b'T',
        TransactionStatus::Failed => b'E',
    };
    u32::from(letter)
}

/// What a handle's connection shares with its children.
pub(crate) fn shared(conn: *const lumos_conn) -> std::result::Result<Arc<Shared>, Failure> {
    Ok(Arc::clone(&handle::lease::<Connection, _>(conn)?.shared))
}

/// Runs `body` with the connection's session; a panic aborts its transaction.
pub(crate) fn with_session(
    conn: *const lumos_conn,
    err: *mut *mut lumos_error,
    body: impl FnOnce(&mut Session) -> std::result::Result<lumos_status, Failure>,
) -> lumos_status {
    let mut connection = None;
    let target = std::ptr::from_mut(&mut connection);
    guard_with(
        err,
        || {
            let found = shared(conn)?;
            connection = Some(Arc::clone(&found));
            body(&mut *found.session()?)
        },
        || {
            // SAFETY: `connection` outlives the guard; the body that wrote it has ended by its panic.
            if let Some(found) = unsafe { (*target).take() } {
                found.after_panic();
            }
        },
    )
}

/// Opens a connection. Since 1.0.
///
/// # Safety
/// `out` is writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_connect(
    db: *mut lumos_db,
    out: *mut *mut lumos_conn,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        if out.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        let database = engine(db)?;
        let mut session = database.connect()?;
        let handle = made(handle::insert_with(|cancel: &CancelToken| {
            let cancel = cancel.for_connection();
            session.use_cancel_token(cancel.clone());
            Connection {
                shared: Arc::new(Shared {
                    id: session.id(),
                    session: Mutex::new(session),
                    cancel,
                    closed: AtomicBool::new(false),
                    broken: AtomicBool::new(false),
                    database,
                }),
            }
        }))?;
        remember(db, handle)?;
        // SAFETY: not null, and by this function's contract writable.
        unsafe { store(out, handle)? };
        Ok(LUMOS_OK)
    })
}

/// Closes a connection: an open transaction is rolled back; its statements and results can only be closed
/// from then on. A statement that another thread runs on it ends with 57P01. Null is fine. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_conn_close(conn: *mut lumos_conn) {
    guard_value((), || {
        let found = shared(conn);
        handle::close::<Connection, _>(conn);
        if let Ok(found) = found {
            found.closed.store(true, Ordering::Relaxed);
            match found.session.try_lock() {
                Some(mut session) => {
                    let _ = session.discard();
                }
                None => found.cancel.close(),
            }
        }
        Ok(())
    });
}

/// Makes a connection as good as new for a pool: rolls back, resets settings, keeps cached plans. Since 1.0.
///
/// # Safety
/// `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_conn_reset(conn: *mut lumos_conn, err: *mut *mut lumos_error) -> lumos_status {
    with_session(conn, err, |session| {
        session.discard()?;
        Ok(LUMOS_OK)
    })
}

/// The connection's number, as `pg_backend_pid()` gives it, for `lumos_cancel` and `lumos_terminate`; 0 for a handle that is
/// none. Any thread, also while the connection is in use. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_conn_id(conn: *const lumos_conn) -> u64 {
    guard_value(0, || Ok(handle::lease_shared::<Connection, _>(conn)?.shared.id))
}

/// `'I'` idle, `'T'` in a transaction, `'E'` in a failed one, as PostgreSQL's ReadyForQuery; 0 for a handle
/// that is none. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_conn_txn_status(conn: *const lumos_conn) -> i32 {
    guard_value(0, || Ok(status_letter(&*shared(conn)?.session()?) as i32))
}

/// False after a panic, after the connection's termination, or when the database was closed by an I/O error: drop the
/// connection. Any thread. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_conn_is_usable(conn: *const lumos_conn) -> bool {
    // Pools ask before each use: no more than looks.
    guard_value(false, || {
        let connection = handle::lease_shared::<Connection, _>(conn)?;
        let found = &connection.shared;
        let is_whole = !found.broken.load(Ordering::Relaxed) && !found.cancel.is_closing();
        Ok(is_whole && found.database.is_usable())
    })
}

/// `SET name = value`. Since 1.0.
///
/// # Safety
/// `name` and `value` are NUL-terminated; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_conn_set(
    conn: *mut lumos_conn,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        // SAFETY: by this function's contract.
        let (name, value) = unsafe { (text::utf8(name, LUMOS_NTS)?, text::utf8(value, LUMOS_NTS)?) };
        session.set(name, value)?;
        Ok(LUMOS_OK)
    })
}

/// `SHOW name`; the text is freed with `lumos_free`. Since 1.0.
///
/// # Safety
/// `name` is NUL-terminated; `value` is writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_conn_get(
    conn: *mut lumos_conn,
    name: *const c_char,
    value: *mut *mut c_char,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        if value.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        // SAFETY: by this function's contract.
        let name = unsafe { text::utf8(name, LUMOS_NTS)? };
        let copy = text::malloc_text(&session.show(name)?);
        // SAFETY: not null, and by this function's contract writable.
        unsafe { store(value, copy)? };
        Ok(LUMOS_OK)
    })
}

/// The number of the running or last statement; 0 before the first. Any thread. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_conn_sequence(conn: *const lumos_conn) -> u64 {
    guard_value(0, || Ok(handle::cancel_token::<Connection, _>(conn)?.sequence()))
}

/// Asks statement `sequence` of the connection to stop (57014); 0: whatever runs. A late call never hits the
/// next statement. A wait for a lock or a notification is woken at once. Takes no lock: any thread, also from a signal handler
/// (on Linux). Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_interrupt(conn: *const lumos_conn, sequence: u64) -> lumos_status {
    // No guard: nothing here can panic, and installing the panic hook is not for signal handlers.
    match handle::cancel_token::<Connection, _>(conn) {
        Ok(token) => {
            token.cancel(sequence);
            LUMOS_OK
        }
        Err(_) => LUMOS_MISUSE,
    }
}

//! `lumos_db`: opening, checkpoints, figures, verification.

use crate::common::sync::{Arc, Mutex};
use crate::database::Database;
use crate::database::options::DatabaseOptions;
use crate::ffi::abi::*;
use crate::ffi::config::Config;
use crate::ffi::connection::{Connection, shared};
use crate::ffi::guard::{Failure, guard, guard_value, made, panics_caught, store};
use crate::ffi::handle;
use crate::ffi::seed::OwnConnection;
use crate::ffi::text;
use std::ffi::{c_char, c_void};
use std::path::Path;

/// An open database. Connections keep the engine alive after the handle is closed.
#[derive(Debug)]
pub struct DatabaseHandle {
    /// The engine.
    pub database: Arc<Database>,
    /// Handles of the connections made through this one, as numbers; closed ones go when the next is made.
    pub connections: Arc<Mutex<Vec<usize>>>,
    /// The connection of `lumos_db_query`, made when first asked for.
    pub own: Arc<Mutex<Option<OwnConnection>>>,
}

/// The engine behind a handle.
pub(crate) fn engine(db: *const lumos_db) -> std::result::Result<Arc<Database>, Failure> {
    Ok(Arc::clone(&handle::lease_shared::<DatabaseHandle, _>(db)?.database))
}

/// Opens `path` with `options`; null, "" and ":memory:" mean a database in memory.
///
/// # Safety
/// `path` is null or NUL-terminated.
pub(crate) unsafe fn open_path(
    path: *const c_char,
    options: DatabaseOptions,
) -> std::result::Result<*mut lumos_db, Failure> {
    let path = if path.is_null() {
        ""
    } else {
        // SAFETY: by this function's contract.
        unsafe { text::utf8(path, LUMOS_NTS)? }
    };
    let path = (!path.is_empty() && path != ":memory:").then(|| Path::new(path));
    handle_of(Database::open(path, options)?)
}

/// A new handle of an engine.
pub(crate) fn handle_of(database: Arc<Database>) -> std::result::Result<*mut lumos_db, Failure> {
    let handle = DatabaseHandle { database, connections: Arc::default(), own: Arc::default() };
    Ok(made(handle::insert(handle))?)
}

/// Opens or creates a database with default options. Null, `""` and `":memory:"`: in memory.
/// A file that a process did not close is recovered from its log. The same file opened twice in a process is
/// one engine; another process gets 55006 with the holder's process id, unless it opens it read-only: then it reads
/// the last checkpoint. Since 1.0.
///
/// # Safety
/// `path` is null or NUL-terminated; `out` is writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_open(
    path: *const c_char,
    out: *mut *mut lumos_db,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        if out.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        // SAFETY: by this function's contract.
        unsafe { store(out, open_path(path, DatabaseOptions::default())?)? };
        Ok(LUMOS_OK)
    })
}

/// As `lumos_open`, with options. Since 1.0.
///
/// # Safety
/// As `lumos_open`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_open_config(
    path: *const c_char,
    config: *const lumos_config,
    out: *mut *mut lumos_db,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        if out.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        let options = handle::lease::<Config, _>(config)?.options.clone();
        // SAFETY: by this function's contract.
        unsafe { store(out, open_path(path, options)?)? };
        Ok(LUMOS_OK)
    })
}

/// Writes all committed data into the database file and recycles the log. `lsn`: null, or where redo would
/// start now. Since 1.0.
///
/// # Safety
/// `lsn` is null or writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_db_checkpoint(
    db: *mut lumos_db,
    lsn: *mut u64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        let redo = engine(db)?.checkpoint()?;
        if !lsn.is_null() {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { store(lsn, redo.0)? };
        }
        Ok(LUMOS_OK)
    })
}

/// A counter by name (`"log_syncs"`, `"pages_read"`, …; `docs/c-abi.md` lists them); MISUSE when unknown. Since 1.0.
///
/// # Safety
/// `name` is NUL-terminated; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_db_stat(
    db: *mut lumos_db,
    name: *const c_char,
    out: *mut i64,
) -> lumos_status {
    guard(std::ptr::null_mut(), || {
        // SAFETY: by this function's contract.
        let name = unsafe { text::utf8(name, LUMOS_NTS)? };
        let value = match name {
            "panics_caught" => panics_caught() as i64,
            "handles_open" => handle::open_count() as i64,
            other => {
                engine(db)?.statistic(other).ok_or(Failure::Misuse("misuse: no counter has this name"))?
            }
        };
        // SAFETY: by this function's contract.
        unsafe { store(out, value)? };
        Ok(LUMOS_OK)
    })
}

/// Asks the running statements of all connections made through this handle to stop (57014). Any thread. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_db_interrupt_all(db: *mut lumos_db) {
    guard_value((), || {
        let connections = Arc::clone(&handle::lease_shared::<DatabaseHandle, _>(db)?.connections);
        for connection in connections.lock().iter() {
            if let Ok(token) = handle::cancel_token::<Connection, _>(*connection as *const lumos_conn) {
                token.cancel(0);
            }
        }
        Ok(())
    });
}

/// Asks what the connection with the number `id` runs to stop (57014), as `pg_cancel_backend` does: `LUMOS_DONE` when the
/// database has no connection of this number (any more). Connections are those of the whole database, whichever handle made
/// them; `lumos_conn_id` gives a connection's number. What runs when the call comes is meant, be it another statement than a
/// moment before: `lumos_interrupt` can name one. Any thread. Since 1.2.
///
/// # Safety
/// `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_cancel(
    db: *mut lumos_db,
    id: u64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || Ok(if engine(db)?.cancel(id) { LUMOS_OK } else { LUMOS_DONE }))
}

/// Ends the connection with the number `id`, as `pg_terminate_backend` does: what it runs stops, its transaction is rolled
/// back, its locks are given back, and every later call on it is 57P01; its handles are still to be closed. When this returns,
/// a transaction that was idle is gone; one that runs a statement goes as soon as that stops. `LUMOS_DONE` when the database
/// has no connection of this number (any more). Any thread. Since 1.2.
///
/// # Safety
/// `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_terminate(
    db: *mut lumos_db,
    id: u64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || Ok(if engine(db)?.terminate(id) { LUMOS_OK } else { LUMOS_DONE }))
}

/// Remembers a connection for `lumos_db_interrupt_all`.
pub(crate) fn remember(
    db: *const lumos_db,
    connection: *const lumos_conn,
) -> std::result::Result<(), Failure> {
    let connections = Arc::clone(&handle::lease_shared::<DatabaseHandle, _>(db)?.connections);
    let mut connections = connections.lock();
    connections.retain(|known| handle::cancel_token::<Connection, _>(*known as *const lumos_conn).is_ok());
    connections.push(connection as usize);
    Ok(())
}

/// Checks the whole file: map, pages, trees, rows against index entries, large values. `report`: null, or
/// called with each finding and with a line that says what was looked at (return non-zero to stop being
/// called). `found`: how many findings. Since 1.0.
///
/// # Safety
/// `report` is null or callable with `user`; `found` is writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_verify(
    db: *mut lumos_db,
    report: Option<unsafe extern "C" fn(user: *mut c_void, finding: *const c_char) -> i32>,
    user: *mut c_void,
    found: *mut u64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    guard(err, || {
        if found.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        let mut wanted = report;
        let count = engine(db)?.verify(&mut |finding| {
            if let Some(call) = wanted {
                let finding = text::c_string(finding);
                // SAFETY: by this function's contract callable with `user`; the text lives during the call.
                if unsafe { call(user, finding.as_ptr()) } != 0 {
                    wanted = None;
                }
            }
        })?;
        // SAFETY: not null, and by this function's contract writable.
        unsafe { store(found, count)? };
        Ok(LUMOS_OK)
    })
}

/// Releases the handle. Statements that other threads run at that moment, on connections made through it, end with
/// 57P01; idle connections stay of use. The engine stops, with a checkpoint, when its last connection, statement and
/// result are closed too. Null is fine. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_db_close(db: *mut lumos_db) {
    guard_value((), || {
        if let Ok(found) = handle::lease_shared::<DatabaseHandle, _>(db) {
            let connections = Arc::clone(&found.connections);
            drop(found);
            for connection in connections.lock().iter() {
                if let Ok(found) = shared(*connection as *const lumos_conn) {
                    found.end_running();
                }
            }
        }
        handle::close::<DatabaseHandle, _>(db);
        Ok(())
    });
}

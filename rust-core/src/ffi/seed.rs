//! The names of earlier designs, as thin entries to the same engine.

use crate::common::arena::Arena;
use crate::common::sync::{Arc, Mutex};
use crate::error::{Error, SqlState};
use crate::ffi::abi::*;
use crate::ffi::connection::{Connection, Shared, with_session};
use crate::ffi::database::{DatabaseHandle, lumos_open};
use crate::ffi::error::lumos_error_free;
use crate::ffi::guard::{Failure, guard, guard_value, made, store};
use crate::ffi::handle;
use crate::ffi::result::{ResultObject, keep_all};
use crate::ffi::text;
use crate::ffi::transaction::isolation_level;
use crate::sql::parser;
use std::cell::Cell;
use std::ffi::{c_char, c_void};

/// `lumos_db_query` keeps at most this many batches of 2,048 rows.
const KEPT_BATCHES_MAX: usize = 32_768;

/// The connection of `lumos_db_query`.
#[derive(Debug)]
pub struct OwnConnection {
    handle: *mut lumos_conn,
    shared: Arc<Shared>,
}

// SAFETY: `handle` is a number that is never followed.
unsafe impl Send for OwnConnection {}

impl Drop for OwnConnection {
    fn drop(&mut self) {
        handle::close::<Connection, _>(self.handle);
    }
}

/// Statements that parsed.
#[derive(Debug)]
pub struct ParsedStatements {
    count: u32,
}

thread_local! {
    static LAST_ERROR: Cell<*mut lumos_error> = const { Cell::new(std::ptr::null_mut()) };
}

/// Runs `call` with a place for its error, which becomes this thread's last error.
fn keeping_error<T>(call: impl FnOnce(*mut *mut lumos_error) -> T) -> T {
    let mut error = std::ptr::null_mut();
    let value = call(&mut error);
    lumos_error_free(LAST_ERROR.with(|last| last.replace(error)));
    value
}

/// `lumos_open`; null on failure, see `lumos_last_error`. Since 1.0.
///
/// # Safety
/// `path` is null or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_db_init(path: *const c_char) -> *mut lumos_db {
    keeping_error(|err| {
        let mut db = std::ptr::null_mut();
        // SAFETY: by this function's contract; the other pointers are local.
        unsafe { lumos_open(path, &mut db, err) };
        db
    })
}

/// Runs one statement on the database's own connection (with a lock around it) and keeps all its rows, to be
/// read by `lumos_result_next`; null on failure, see `lumos_last_error`. Since 1.0.
///
/// # Safety
/// `query` is NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_db_query(db: *mut lumos_db, query: *const c_char) -> *mut lumos_result {
    let mut result = std::ptr::null_mut();
    keeping_error(|err| {
        guard(err, || {
            // SAFETY: by this function's contract.
            let sql = unsafe { text::utf8(query, LUMOS_NTS)? };
            let own: Arc<Mutex<Option<OwnConnection>>> =
                Arc::clone(&handle::lease_shared::<DatabaseHandle, _>(db)?.own);
            let mut own = own.lock();
            if own.is_none() {
                *own = Some(own_connection(db, err)?);
            }
            let Some(connection) = own.as_ref() else { return Ok(LUMOS_ERROR) };
            let shared = Arc::clone(&connection.shared);
            let mut session = shared.session()?;
            let (prepared, _) = session.prepare(sql)?;
            let prepared =
                prepared.ok_or_else(|| Error::new(SqlState::SYNTAX_ERROR, "the text holds no statement"))?;
            let portal = session.execute(&prepared, &[])?;
            let rows = keep_all(&mut session, portal, KEPT_BATCHES_MAX)?;
            let forms = session.text_forms();
            drop(session);
            result = made(handle::insert(ResultObject::new(shared, rows, forms)))?;
            Ok(LUMOS_OK)
        })
    });
    result
}

fn own_connection(db: *mut lumos_db, err: *mut *mut lumos_error) -> Result<OwnConnection, Failure> {
    let mut conn = std::ptr::null_mut();
    // SAFETY: both out-parameters are writable.
    let status = unsafe { crate::ffi::connection::lumos_connect(db, &mut conn, err) };
    if status != LUMOS_OK {
        return Err(Failure::Misuse("misuse: the database is closed"));
    }
    let shared = Arc::clone(&handle::lease::<Connection, _>(conn)?.shared);
    Ok(OwnConnection { handle: conn, shared })
}

/// The last failure of this group of functions on this thread; borrowed until the thread's next call of the
/// group; null: the last call succeeded. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_last_error() -> *const lumos_error {
    LAST_ERROR.with(Cell::get)
}

/// Parses all statements of a text; `*result` is a `lumos_ast`, freed by `lumos_ast_free`. Since 1.0.
///
/// # Safety
/// `sql` is NUL-terminated; `result` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_sql_parse(sql: *const c_char, result: *mut *mut c_void) -> i32 {
    keeping_error(|err| {
        guard(err, || {
            if result.is_null() {
                return Err(Failure::Misuse("misuse: an out-parameter is null"));
            }
            // SAFETY: by this function's contract.
            let sql = unsafe { text::utf8(sql, LUMOS_NTS)? };
            let arena = Arena::new();
            let count = parser::parse(sql, &arena)?.len() as u32;
            let ast: *mut lumos_ast = made(handle::insert(ParsedStatements { count }))?;
            // SAFETY: not null, and by this function's contract writable.
            unsafe { store(result, ast.cast())? };
            Ok(LUMOS_OK)
        })
    })
}

/// How many statements were parsed. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_ast_count(ast: *const lumos_ast) -> u32 {
    guard_value(0, || Ok(handle::lease_shared::<ParsedStatements, _>(ast)?.count))
}

/// Frees what `lumos_sql_parse` gave; null is fine. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_ast_free(ast: *mut lumos_ast) {
    guard_value((), || {
        handle::close::<ParsedStatements, _>(ast);
        Ok(())
    });
}

/// `lumos_begin`; the transaction's number on this connection, 0 on failure. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_txn_begin(conn: *mut lumos_conn, isolation_level_number: u8) -> u64 {
    let mut number = 0;
    keeping_error(|err| {
        with_session(conn, err, |session| {
            session.begin(isolation_level(i32::from(isolation_level_number))?, false)?;
            number = session.block_number();
            Ok(LUMOS_OK)
        })
    });
    number
}

/// `lumos_commit` of the transaction that `lumos_txn_begin` numbered; another one: `LUMOS_MISUSE`. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_txn_commit(conn: *mut lumos_conn, txn_id: u64) -> i32 {
    keeping_error(|err| {
        with_session(conn, err, |session| {
            check_number(session.block_number(), txn_id)?;
            session.commit()?;
            Ok(LUMOS_OK)
        })
    })
}

/// `lumos_rollback` of the transaction that `lumos_txn_begin` numbered; another one: `LUMOS_MISUSE`. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_txn_rollback(conn: *mut lumos_conn, txn_id: u64) -> i32 {
    keeping_error(|err| {
        with_session(conn, err, |session| {
            check_number(session.block_number(), txn_id)?;
            session.rollback()?;
            Ok(LUMOS_OK)
        })
    })
}

fn check_number(open: u64, asked: u64) -> Result<(), Failure> {
    if open == 0 || open != asked {
        return Err(Failure::Misuse("misuse: this is not the connection's open transaction"));
    }
    Ok(())
}

/// Puts an application's record into the log, as a part of the transaction that `lumos_txn_begin` numbered
/// (0: of its own). Returns a log position: of the record's commit for 0, else the log's end now, behind
/// which the record will lie once the transaction commits. 0: failed. Since 1.0.
///
/// # Safety
/// `data` has `length` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_wal_append(
    conn: *mut lumos_conn,
    txn_id: u64,
    data: *const u8,
    length: usize,
) -> u64 {
    let mut position = 0;
    keeping_error(|err| {
        with_session(conn, err, |session| {
            if length == LUMOS_NTS {
                return Err(Failure::Misuse("misuse: a record needs a length"));
            }
            if txn_id != 0 {
                check_number(session.block_number(), txn_id)?;
            } else if session.block_number() != 0 {
                return Err(Failure::Misuse("misuse: a transaction is open: name its number"));
            }
            // SAFETY: by this function's contract.
            let record = unsafe { text::bytes(data.cast(), length)? };
            position = session.log_message(record)?.0;
            Ok(LUMOS_OK)
        })
    });
    position
}

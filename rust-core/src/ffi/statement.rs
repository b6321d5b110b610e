//! `lumos_stmt`: prepared statements, and statements run from text.

use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::error::{Error, SqlState};
use crate::ffi::abi::*;
use crate::ffi::bound::BoundValues;
use crate::ffi::connection::{Connection, Shared, shared, status_letter, with_session};
use crate::ffi::guard::{Failure, guard_value, guard_with, made, store};
use crate::ffi::handle::{self, Lease};
use crate::ffi::packed::{PackedSink, decode_parameters};
use crate::ffi::result::{ColumnTexts, ResultObject, Rows, write_info};
use crate::ffi::text;
use crate::session::Prepared;
use crate::session::result::PreparedKind;
use crate::sql::types::datum::Datum;
use std::ffi::{CString, c_char};

/// A prepared statement with its bindings.
#[derive(Debug)]
pub struct Statement {
    pub(crate) shared: Arc<Shared>,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) bound: BoundValues,
    /// What an execution is given; its memory is kept.
    values: Vec<Datum>,
    texts: ColumnTexts,
    parameter_names: Vec<Option<CString>>,
    /// The open result of `lumos_run`.
    result: *mut lumos_result,
    scratch: Vec<u8>,
}

// SAFETY: `result` is a handle, a number that is never followed.
unsafe impl Send for Statement {}

impl Statement {
    fn new(shared: Arc<Shared>, prepared: Arc<Prepared>, memory: &Arc<MemoryAccount>) -> Statement {
        let names = prepared.parameter_names();
        let count = prepared.parameters().len();
        let name =
            |index: usize| names.get(index).filter(|name| !name.is_empty()).map(|name| text::c_string(name));
        Statement {
            shared,
            bound: BoundValues::new(count, memory),
            values: Vec::with_capacity(count),
            texts: ColumnTexts::new(prepared.columns()),
            parameter_names: (0..count).map(name).collect(),
            result: std::ptr::null_mut(),
            scratch: Vec::new(),
            prepared,
        }
    }

    fn close_result(&mut self) {
        let open = std::mem::replace(&mut self.result, std::ptr::null_mut());
        handle::close::<ResultObject, _>(open);
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        self.close_result();
    }
}

/// Leases the statement and runs `body`; a panic aborts the connection's transaction.
pub(crate) fn with_statement(
    stmt: *const lumos_stmt,
    err: *mut *mut lumos_error,
    body: impl FnOnce(&mut Statement) -> std::result::Result<lumos_status, Failure>,
) -> lumos_status {
    let mut lease: Option<Lease<Statement>> = None;
    let target = std::ptr::from_mut(&mut lease);
    guard_with(
        err,
        || {
            let statement = lease.insert(handle::lease(stmt)?);
            body(statement)
        },
        || {
            // SAFETY: `lease` outlives the guard; the body that wrote it has ended by its panic.
            if let Some(statement) = unsafe { (*target).as_ref() } {
                statement.shared.after_panic();
            }
        },
    )
}

fn look<T>(stmt: *const lumos_stmt, otherwise: T, read: impl FnOnce(&Statement) -> T) -> T {
    guard_value(otherwise, || Ok(read(&*handle::lease::<Statement, _>(stmt)?)))
}

/// Runs one or more statements and throws rows away; several are one implicit transaction.
/// `affected`: null, or the rows that the last data change changed. Since 1.0.
///
/// # Safety
/// `sql` has `length` readable bytes (or ends with NUL and `length` is `LUMOS_NTS`); `affected` is null or
/// writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_exec(
    conn: *mut lumos_conn,
    sql: *const c_char,
    length: usize,
    affected: *mut i64,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        // SAFETY: by this function's contract.
        let sql = unsafe { text::utf8(sql, length)? };
        let count = session.execute_script(sql)?;
        if !affected.is_null() {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { store(affected, count as i64)? };
        }
        Ok(LUMOS_OK)
    })
}

/// Runs one statement; its rows stream from `*out`. Since 1.0.
///
/// # Safety
/// As `lumos_exec`; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_query(
    conn: *mut lumos_conn,
    sql: *const c_char,
    length: usize,
    out: *mut *mut lumos_result,
    err: *mut *mut lumos_error,
) -> lumos_status {
    let mut connection = None;
    let status = with_session(conn, err, |session| {
        if out.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        // SAFETY: by this function's contract.
        let sql = unsafe { text::utf8(sql, length)? };
        let (prepared, taken) = session.prepare(sql)?;
        let Some(prepared) = prepared else {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "the text holds no statement").into());
        };
        if session.prepare(&sql[taken..])?.0.is_some() {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            )
            .at(taken)
            .hint("lumos_exec runs several statements.")
            .into());
        }
        let portal = session.execute(&prepared, &[])?;
        let object = ResultObject::new(shared_again(conn)?, Rows::Streaming(portal), session.text_forms());
        connection = Some(made(handle::insert(object))?);
        Ok(LUMOS_OK)
    });
    if let Some(handle) = connection {
        // SAFETY: checked not to be null above, and by this function's contract writable.
        unsafe { out.write(handle) };
    }
    status
}

fn shared_again(conn: *const lumos_conn) -> std::result::Result<Arc<Shared>, Failure> {
    Ok(Arc::clone(&handle::lease::<Connection, _>(conn)?.shared))
}

/// Prepares the first statement of a text. `tail`: null, or the bytes taken, so that the rest can be prepared
/// next. `*out` is null for blanks and comments. `flags`: 0 or `LUMOS_PREPARE_PERSISTENT`. Since 1.0.
///
/// # Safety
/// As `lumos_exec`; `out` is writable; `tail` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_prepare(
    conn: *mut lumos_conn,
    sql: *const c_char,
    length: usize,
    flags: u32,
    out: *mut *mut lumos_stmt,
    tail: *mut usize,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_session(conn, err, |session| {
        if out.is_null() || flags & !LUMOS_PREPARE_PERSISTENT != 0 {
            return Err(Failure::Misuse("misuse: an out-parameter is null, or a flag is unknown"));
        }
        // SAFETY: by this function's contract.
        let sql = unsafe { text::utf8(sql, length)? };
        let (prepared, taken) = session.prepare(sql)?;
        let statement = match prepared {
            None => std::ptr::null_mut(),
            Some(prepared) => {
                made(handle::insert(Statement::new(shared(conn)?, prepared, session.memory())))?
            }
        };
        // SAFETY: not null, and by this function's contract writable.
        unsafe { store(out, statement)? };
        if !tail.is_null() {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { store(tail, taken)? };
        }
        Ok(LUMOS_OK)
    })
}

/// Closes a statement and the open result of `lumos_run`; null is fine. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_stmt_close(stmt: *mut lumos_stmt) {
    guard_value((), || {
        handle::close::<Statement, _>(stmt);
        Ok(())
    });
}

/// A `LUMOS_STMT_*`; −1 for a handle that is none. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_stmt_kind(stmt: *const lumos_stmt) -> i32 {
    look(stmt, -1, |statement| match statement.prepared.kind() {
        PreparedKind::Select => LUMOS_STMT_SELECT,
        PreparedKind::Insert => LUMOS_STMT_INSERT,
        PreparedKind::Update => LUMOS_STMT_UPDATE,
        PreparedKind::Delete => LUMOS_STMT_DELETE,
        PreparedKind::CreateTable
        | PreparedKind::DropTable
        | PreparedKind::CreateIndex
        | PreparedKind::DropIndex
        | PreparedKind::Reindex
        | PreparedKind::CreateView
        | PreparedKind::Truncate
        | PreparedKind::DropView
        | PreparedKind::AlterTable
        | PreparedKind::AlterIndex
        | PreparedKind::CreateSequence
        | PreparedKind::AlterSequence
        | PreparedKind::DropSequence
        | PreparedKind::CreateTableAs => LUMOS_STMT_DDL,
        PreparedKind::Begin
        | PreparedKind::Commit
        | PreparedKind::Rollback
        | PreparedKind::Savepoint
        | PreparedKind::Release
        | PreparedKind::RollbackTo
        | PreparedKind::SetConstraints
        | PreparedKind::Lock => LUMOS_STMT_TRANSACTION,
        PreparedKind::Set
        | PreparedKind::Reset
        | PreparedKind::Show
        | PreparedKind::Listen
        | PreparedKind::Unlisten
        | PreparedKind::DiscardAll
        | PreparedKind::DiscardPlans
        | PreparedKind::DiscardSequences
        | PreparedKind::DiscardTemporary
        | PreparedKind::Prepare
        | PreparedKind::Deallocate
        | PreparedKind::DeallocateAll => LUMOS_STMT_SETTING,
        PreparedKind::Notify
        | PreparedKind::Checkpoint
        | PreparedKind::Explain
        | PreparedKind::Copy
        | PreparedKind::Analyze
        | PreparedKind::Vacuum => LUMOS_STMT_OTHER,
    })
}

/// Whether running the statement changes no table and no definition. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_stmt_is_readonly(stmt: *const lumos_stmt) -> bool {
    look(stmt, false, |statement| statement.prepared.is_read_only())
}

/// How many parameters the statement has. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_stmt_param_count(stmt: *const lumos_stmt) -> u32 {
    look(stmt, 0, |statement| statement.bound.len() as u32)
}

/// The name of parameter `index` (from 1); null for `$1` and `?`; borrowed. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_stmt_param_name(stmt: *const lumos_stmt, index: u32) -> *const c_char {
    look(stmt, std::ptr::null(), |statement| {
        let name = (index as usize).checked_sub(1).and_then(|index| statement.parameter_names.get(index));
        name.and_then(Option::as_ref).map_or(std::ptr::null(), |name| name.as_ptr())
    })
}

/// The number of the parameter `name` (without `:` or `@`); 0: none. Since 1.0.
///
/// # Safety
/// `name` is NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_stmt_param_index(stmt: *const lumos_stmt, name: *const c_char) -> u32 {
    guard_value(0, || {
        // SAFETY: by this function's contract.
        let name = unsafe { text::bytes(name, LUMOS_NTS)? };
        let statement = handle::lease::<Statement, _>(stmt)?;
        let known =
            |candidate: &Option<CString>| candidate.as_ref().is_some_and(|known| known.as_bytes() == name);
        Ok(statement.parameter_names.iter().position(known).map_or(0, |index| index as u32 + 1))
    })
}

/// PostgreSQL's type OID of parameter `index` (from 1); 0: there is none. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_stmt_param_type(stmt: *const lumos_stmt, index: u32) -> u32 {
    look(stmt, 0, |statement| {
        let index = (index as usize).checked_sub(1);
        index
            .and_then(|index| statement.prepared.parameters().get(index))
            .map_or(0, |data_type| data_type.oid())
    })
}

/// Columns of the result; 0: no rows come. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_stmt_column_count(stmt: *const lumos_stmt) -> u32 {
    look(stmt, 0, |statement| statement.prepared.columns().len() as u32)
}

/// Describes column `index` (from 0). Since 1.0.
///
/// # Safety
/// `out` points to a `lumos_column_info` whose `struct_size` is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_stmt_column(
    stmt: *const lumos_stmt,
    index: u32,
    out: *mut lumos_column_info,
) -> lumos_status {
    with_statement(stmt, std::ptr::null_mut(), |statement| {
        // SAFETY: by this function's contract.
        unsafe { statement.texts.describe(statement.prepared.columns(), index, out)? };
        Ok(LUMOS_OK)
    })
}

/// Runs the statement with its bound values; its rows stream from `*out`, which the host closes. A result of
/// an earlier run that still streams is kept apart: it is read to its end first. Since 1.0.
///
/// # Safety
/// `out` is writable; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_execute(
    stmt: *mut lumos_stmt,
    out: *mut *mut lumos_result,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_statement(stmt, err, |statement| {
        if out.is_null() {
            return Err(Failure::Misuse("misuse: an out-parameter is null"));
        }
        statement.bound.copy_into(&mut statement.values)?;
        let object = {
            let mut session = statement.shared.session()?;
            let portal = session.execute(&statement.prepared, &statement.values);
            statement.values.clear();
            let portal = portal?;
            ResultObject::new(Arc::clone(&statement.shared), Rows::Streaming(portal), session.text_forms())
        };
        // SAFETY: not null, and by this function's contract writable.
        unsafe { store(out, made(handle::insert(object))?)? };
        Ok(LUMOS_OK)
    })
}

/// Bind, execute and first rows in one call: the hot path of bindings.
///
/// `params`: null to use the bound values, else packed parameters (count i16, then OID u32, length i32 and
/// binary value each, big-endian; OID 0: text of an untyped literal). Rows go into `buffer` packed as by
/// `lumos_fetch_packed`, with the same returns: `LUMOS_ROW`, more may follow; `LUMOS_DONE`, these are all;
/// `LUMOS_MORE`, the next row needs `needed` bytes. The rest is read from `lumos_stmt_result`. Since 1.0.
///
/// # Safety
/// `params` has `params_length` readable bytes; `buffer` has `capacity` writable ones; `info` points to a
/// `lumos_run_info` whose `struct_size` is set, or is null; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_run(
    stmt: *mut lumos_stmt,
    params: *const u8,
    params_length: usize,
    buffer: *mut u8,
    capacity: usize,
    info: *mut lumos_run_info,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_statement(stmt, err, |statement| {
        if !statement.result.is_null() {
            statement.close_result();
        }
        let mut _memory = None;
        if params.is_null() {
            statement.bound.copy_into(&mut statement.values)?;
        } else {
            // SAFETY: by this function's contract.
            let bytes = unsafe { text::bytes(params.cast(), params_length)? };
            _memory = statement.bound.memory_for(bytes.len())?;
            decode_parameters(bytes, &mut statement.values)?;
        }
        let buffer: &mut [u8] = if buffer.is_null() || capacity == 0 {
            &mut []
        } else {
            // SAFETY: not null, and by this function's contract writable for `capacity` bytes.
            unsafe { std::slice::from_raw_parts_mut(buffer, capacity) }
        };
        // SAFETY: by this function's contract for `info`.
        let status = unsafe { run(statement, buffer, info) };
        statement.values.clear();
        status
    })
}

/// # Safety
/// `info` is null or points to a `lumos_run_info` whose `struct_size` is set.
unsafe fn run(
    statement: &mut Statement,
    buffer: &mut [u8],
    info: *mut lumos_run_info,
) -> std::result::Result<lumos_status, Failure> {
    let shared = Arc::clone(&statement.shared);
    let mut session = shared.session()?;
    let count = statement.prepared.columns().len();
    let mut sink = PackedSink::new(count, buffer, &mut statement.scratch, statement.bound.account());
    let Some(outcome) = session.run_point(&statement.prepared, &statement.values, &mut sink)? else {
        let portal = session.execute(&statement.prepared, &statement.values)?;
        let forms = session.text_forms();
        drop(session);
        let mut object = ResultObject::new(Arc::clone(&shared), Rows::Streaming(portal), forms);
        // SAFETY: passed on from the caller.
        let status = unsafe { object.fetch_packed(buffer, u32::MAX, info)? };
        if status != LUMOS_DONE {
            statement.result = made(handle::insert(object))?;
        }
        return Ok(status);
    };
    let (used, rows, rest) = (sink.used, sink.rows, sink.rest);
    let filled = lumos_run_info {
        struct_size: 0,
        rows,
        used: used as u64,
        affected: outcome.affected.map_or(-1, |count| count as i64),
        sequence: session.cancel_token().sequence(),
        needed: rest.peek().map_or(0, |row| row.len() as u64),
        txn_status: status_letter(&session),
        reserved: 0,
    };
    // SAFETY: passed on from the caller.
    unsafe { write_info(info, filled) };
    if rest.peek().is_none() {
        return Ok(LUMOS_DONE);
    }
    let forms = session.text_forms();
    drop(session);
    let columns = Arc::clone(statement.prepared.columns());
    let rows_left =
        Rows::Packed { rest, columns, kind: statement.prepared.kind(), affected: outcome.affected };
    statement.result = made(handle::insert(ResultObject::new(shared, rows_left, forms)))?;
    Ok(if rows == 0 { LUMOS_MORE } else { LUMOS_ROW })
}

/// The open rest of `lumos_run`, owned by the statement: read it with `lumos_fetch_packed`. Null: nothing is
/// left. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_stmt_result(stmt: *mut lumos_stmt) -> *mut lumos_result {
    look(stmt, std::ptr::null_mut(), |statement| statement.result)
}

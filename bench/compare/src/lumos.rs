//! Lumos through its C interface: the exported functions of `lib/liblumos_core.so`, packed parameters and rows.

use crate::side::{Class, Connection, Database, Failure, Field, Handle, Isolation, Rows, Statement, Value};
use crate::wire::{field, oid};
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::null_mut;

#[repr(C)]
#[derive(Default)]
struct RunInfo {
    struct_size: u32,
    rows: u32,
    used: u64,
    affected: i64,
    sequence: u64,
    needed: u64,
    txn_status: u32,
    reserved: u32,
}

#[repr(C)]
struct ColumnInfo {
    struct_size: u32,
    type_oid: u32,
    type_mod: i32,
    table_oid: u32,
    table_column: i32,
    nullable: i32,
    name: *const c_char,
    type_name: *const c_char,
}

type Pointer = *mut c_void;

unsafe extern "C" {
    fn lumos_version() -> *const c_char;
    fn lumos_config_new() -> Pointer;
    fn lumos_config_set(config: Pointer, name: *const c_char, value: *const c_char, err: *mut Pointer)
    -> i32;
    fn lumos_config_free(config: Pointer);
    fn lumos_open_config(path: *const c_char, config: Pointer, out: *mut Pointer, err: *mut Pointer) -> i32;
    fn lumos_db_stat(db: Pointer, name: *const c_char, out: *mut i64) -> i32;
    fn lumos_db_close(db: Pointer);
    fn lumos_connect(db: Pointer, out: *mut Pointer, err: *mut Pointer) -> i32;
    fn lumos_conn_close(conn: Pointer);
    fn lumos_conn_set(conn: Pointer, name: *const c_char, value: *const c_char, err: *mut Pointer) -> i32;
    fn lumos_conn_get(conn: Pointer, name: *const c_char, out: *mut *mut c_char, err: *mut Pointer) -> i32;
    fn lumos_free(memory: *mut c_void);
    fn lumos_exec(
        conn: Pointer,
        sql: *const c_char,
        length: usize,
        affected: *mut i64,
        err: *mut Pointer,
    ) -> i32;
    fn lumos_prepare(
        conn: Pointer,
        sql: *const c_char,
        length: usize,
        flags: u32,
        out: *mut Pointer,
        tail: *mut usize,
        err: *mut Pointer,
    ) -> i32;
    fn lumos_copy_in(
        conn: Pointer,
        sql: *const c_char,
        length: usize,
        read: extern "C" fn(*mut c_void, *mut u8, usize) -> i64,
        user: *mut c_void,
        rows: *mut u64,
        err: *mut Pointer,
    ) -> i32;
    fn lumos_stmt_close(stmt: Pointer);
    fn lumos_stmt_column_count(stmt: Pointer) -> u32;
    fn lumos_stmt_column(stmt: Pointer, index: u32, out: *mut ColumnInfo) -> i32;
    fn lumos_stmt_result(stmt: Pointer) -> Pointer;
    fn lumos_run(
        stmt: Pointer,
        params: *const u8,
        params_length: usize,
        buffer: *mut u8,
        capacity: usize,
        info: *mut RunInfo,
        err: *mut Pointer,
    ) -> i32;
    fn lumos_fetch_packed(
        result: Pointer,
        buffer: *mut u8,
        capacity: usize,
        max_rows: u32,
        info: *mut RunInfo,
        err: *mut Pointer,
    ) -> i32;
    fn lumos_error_message(err: Pointer) -> *const c_char;
    fn lumos_error_sqlstate(err: Pointer) -> *const c_char;
    fn lumos_error_is_retryable(err: Pointer) -> bool;
    fn lumos_error_free(err: Pointer);
}

const ROW: i32 = 1;
const DONE: i32 = 2;

pub fn version() -> String {
    // SAFETY: a static text that ends with NUL.
    unsafe { CStr::from_ptr(lumos_version()).to_string_lossy().into_owned() }
}

fn failure(status: i32, err: Pointer, what: &str) -> Failure {
    // SAFETY: texts of a live error object end with NUL; for no error they are empty. It is freed once.
    unsafe {
        let (state, message) =
            (CStr::from_ptr(lumos_error_sqlstate(err)), CStr::from_ptr(lumos_error_message(err)));
        let (state, message) = (state.to_string_lossy(), message.to_string_lossy());
        let message = format!("lumos: {what}: status {status}: {state} {message}");
        let is_retryable = lumos_error_is_retryable(err);
        lumos_error_free(err);
        Failure { is_retryable, message }
    }
}

fn checked(status: i32, err: Pointer, what: &str) -> Result<i32, Failure> {
    if status < 0 { Err(failure(status, err, what)) } else { Ok(status) }
}

fn check(status: i32, err: Pointer, what: &str) {
    if let Err(failure) = checked(status, err, what) {
        panic!("{}", failure.message);
    }
}

fn c_text(text: &str) -> CString {
    CString::new(text).expect("no NUL in our texts")
}

pub struct LumosDatabase(Pointer);

// SAFETY: the header allows a database in any thread.
unsafe impl Sync for LumosDatabase {}

impl LumosDatabase {
    pub fn open(path: &Path, memory: &str) -> LumosDatabase {
        LumosDatabase::open_with(path, &[("memory_limit", memory)])
    }

    pub fn open_with(path: &Path, settings: &[(&str, &str)]) -> LumosDatabase {
        let (mut db, mut err) = (null_mut(), null_mut());
        // SAFETY: the contracts of the header: NUL-terminated texts, writable out-parameters.
        unsafe {
            let config = lumos_config_new();
            for (setting, value) in settings {
                let (name, value) = (c_text(setting), c_text(value));
                check(lumos_config_set(config, name.as_ptr(), value.as_ptr(), &mut err), err, setting);
            }
            let path = c_text(path.to_str().expect("a path of ours"));
            check(lumos_open_config(path.as_ptr(), config, &mut db, &mut err), err, "open");
            lumos_config_free(config);
        }
        LumosDatabase(db)
    }

    pub fn statistic(&self, name: &str) -> i64 {
        let (name, mut value) = (c_text(name), 0);
        // SAFETY: as above.
        let status = unsafe { lumos_db_stat(self.0, name.as_ptr(), &mut value) };
        check(status, null_mut(), "lumos_db_stat");
        value
    }
}

impl Drop for LumosDatabase {
    fn drop(&mut self) {
        // SAFETY: our handle.
        unsafe { lumos_db_close(self.0) };
    }
}

impl Database for LumosDatabase {
    type Connection = LumosConnection;

    fn name(&self) -> &'static str {
        "lumos"
    }

    fn connect(&self, class: Class) -> LumosConnection {
        let (mut conn, mut err) = (null_mut(), null_mut());
        // SAFETY: as above.
        check(unsafe { lumos_connect(self.0, &mut conn, &mut err) }, err, "connect");
        let value = match class {
            Class::Full => "full",
            Class::Normal => "normal",
            Class::Off => "off",
        };
        let (name, value) = (c_text("durability"), c_text(value));
        // SAFETY: as above.
        let status = unsafe { lumos_conn_set(conn, name.as_ptr(), value.as_ptr(), &mut err) };
        check(status, err, "durability");
        LumosConnection {
            conn,
            statements: Statement::texts().map(Prepared::later).collect(),
            params: Vec::with_capacity(1024),
            buffer: vec![0; 64 << 10],
        }
    }

    fn syncs_and_commits(&self) -> Option<(i64, i64)> {
        Some((self.statistic("log_syncs"), self.statistic("commits")))
    }

    fn log_bytes(&self) -> u64 {
        self.statistic("log_tail") as u64
    }
}

struct Prepared {
    sql: &'static str,
    /// Null until it first runs.
    stmt: Pointer,
    types: Vec<u32>,
}

impl Prepared {
    fn later(sql: &'static str) -> Prepared {
        Prepared { sql, stmt: null_mut(), types: Vec::new() }
    }
}

pub struct LumosConnection {
    conn: Pointer,
    statements: Vec<Prepared>,
    params: Vec<u8>,
    buffer: Vec<u8>,
}

// SAFETY: the header: one thread at a time, not tied to a thread.
unsafe impl Send for LumosConnection {}

impl Drop for LumosConnection {
    fn drop(&mut self) {
        for prepared in &self.statements {
            // SAFETY: our handle; null is fine.
            unsafe { lumos_stmt_close(prepared.stmt) };
        }
        // SAFETY: our handle.
        unsafe { lumos_conn_close(self.conn) };
    }
}

/// Hands COPY what is left of a text.
extern "C" fn read_text(rest: *mut c_void, buffer: *mut u8, capacity: usize) -> i64 {
    // SAFETY: `copy_in` passes its own slice, and the buffer has room for as much as it says.
    let (rest, buffer) =
        unsafe { (&mut *rest.cast::<&[u8]>(), std::slice::from_raw_parts_mut(buffer, capacity)) };
    let (now, later) = rest.split_at(rest.len().min(capacity));
    buffer[..now.len()].copy_from_slice(now);
    *rest = later;
    now.len() as i64
}

/// Rows on their way into COPY.
struct Source<'a> {
    rows: Rows<'a>,
    text: Vec<u8>,
    taken: usize,
}

/// Hands COPY the next rows.
extern "C" fn read_rows(source: *mut c_void, buffer: *mut u8, capacity: usize) -> i64 {
    // SAFETY: `load` passes its own source, and the buffer has room for as much as it says.
    let (source, buffer) =
        unsafe { (&mut *source.cast::<Source<'_>>(), std::slice::from_raw_parts_mut(buffer, capacity)) };
    if source.taken == source.text.len() {
        source.text.clear();
        source.taken = 0;
        while source.text.len() < capacity && (source.rows)(&mut source.text) {}
    }
    let rest = &source.text[source.taken..];
    let now = rest.len().min(capacity);
    buffer[..now].copy_from_slice(&rest[..now]);
    source.taken += now;
    now as i64
}

impl LumosConnection {
    /// COPY … FROM STDIN of a text in memory.
    pub fn copy_in(&mut self, sql: &str, text: &[u8]) {
        let mut rest = text;
        self.copy(sql, read_text, (&raw mut rest).cast());
    }

    /// `user` points to what `read` takes.
    fn copy(
        &mut self,
        sql: &str,
        read: extern "C" fn(*mut c_void, *mut u8, usize) -> i64,
        user: *mut c_void,
    ) {
        let mut err = null_mut();
        // SAFETY: `sql` has as many bytes as said; `read` gets what its caller made for it and keeps alive.
        let status = unsafe {
            lumos_copy_in(self.conn, sql.as_ptr().cast(), sql.len(), read, user, null_mut(), &mut err)
        };
        check(status, err, sql);
    }

    fn prepare(&mut self, handle: Handle) -> Result<(), Failure> {
        let prepared = &mut self.statements[handle.0];
        let (sql, mut err) = (prepared.sql, null_mut());
        // SAFETY: `sql` has as many bytes as said; out-parameters are writable.
        unsafe {
            let (text, stmt) = (sql.as_ptr().cast(), &mut prepared.stmt);
            let status = lumos_prepare(self.conn, text, sql.len(), 1, stmt, null_mut(), &mut err);
            checked(status, err, sql)?;
            for index in 0..lumos_stmt_column_count(prepared.stmt) {
                let mut info: ColumnInfo = std::mem::zeroed();
                info.struct_size = size_of::<ColumnInfo>() as u32;
                checked(lumos_stmt_column(prepared.stmt, index, &mut info), null_mut(), sql)?;
                prepared.types.push(info.type_oid);
            }
        }
        Ok(())
    }
}

impl Connection for LumosConnection {
    fn begin(isolation: Isolation) -> &'static str {
        isolation.begin()
    }

    fn statement(&mut self, sql: &'static str) -> Handle {
        self.statements.push(Prepared::later(sql));
        Handle(self.statements.len() - 1)
    }

    fn attempt(&mut self, sql: &str) -> Result<(), Failure> {
        let mut err = null_mut();
        // SAFETY: `sql` has as many bytes as said.
        let status = unsafe { lumos_exec(self.conn, sql.as_ptr().cast(), sql.len(), null_mut(), &mut err) };
        checked(status, err, sql).map(drop)
    }

    fn query(
        &mut self,
        handle: Handle,
        values: &[Value<'_>],
        each: &mut impl FnMut(Field<'_>),
    ) -> Result<u64, Failure> {
        if self.statements[handle.0].stmt.is_null() {
            self.prepare(handle)?;
        }
        let prepared = &self.statements[handle.0];
        let params = &mut self.params;
        params.clear();
        params.extend_from_slice(&(values.len() as i16).to_be_bytes());
        for value in values {
            let (oid, bytes) = match value {
                Value::Integer(number) => (oid::INT8, number.to_be_bytes()),
                Value::Double(number) => (oid::FLOAT8, number.to_bits().to_be_bytes()),
                Value::Text(text) => {
                    params.extend_from_slice(&oid::TEXT.to_be_bytes());
                    params.extend_from_slice(&(text.len() as i32).to_be_bytes());
                    params.extend_from_slice(text.as_bytes());
                    continue;
                }
            };
            params.extend_from_slice(&oid.to_be_bytes());
            params.extend_from_slice(&8i32.to_be_bytes());
            params.extend_from_slice(&bytes);
        }
        let mut info = RunInfo { struct_size: size_of::<RunInfo>() as u32, ..RunInfo::default() };
        let mut err = null_mut();
        // SAFETY: lengths are those of the vectors; `info` has its size.
        let mut status = unsafe {
            lumos_run(
                prepared.stmt,
                params.as_ptr(),
                params.len(),
                self.buffer.as_mut_ptr(),
                self.buffer.len(),
                &mut info,
                &mut err,
            )
        };
        let mut rows = 0;
        loop {
            checked(status, err, prepared.sql)?;
            let mut rest = &self.buffer[..info.used as usize];
            for _ in 0..info.rows {
                rest = &rest[2..];
                for oid in &prepared.types {
                    let length = i32::from_be_bytes(rest[..4].try_into().expect("four bytes"));
                    rest = &rest[4..];
                    if length < 0 {
                        each(Field::Null);
                    } else {
                        each(field(*oid, Some(&rest[..length as usize])));
                        rest = &rest[length as usize..];
                    }
                }
            }
            rows += u64::from(info.rows);
            if status == DONE {
                return Ok(rows);
            }
            assert_eq!(status, ROW, "rows fit into the buffer");
            // SAFETY: as above.
            status = unsafe {
                let result = lumos_stmt_result(prepared.stmt);
                lumos_fetch_packed(
                    result,
                    self.buffer.as_mut_ptr(),
                    self.buffer.len(),
                    u32::MAX,
                    &mut info,
                    &mut err,
                )
            };
        }
    }

    fn setting(&mut self, name: &str) -> String {
        let (name, mut value, mut err) = (c_text(name), null_mut(), null_mut());
        // SAFETY: as above; the text is freed once.
        unsafe {
            check(lumos_conn_get(self.conn, name.as_ptr(), &mut value, &mut err), err, "lumos_conn_get");
            let text = CStr::from_ptr(value).to_string_lossy().into_owned();
            lumos_free(value.cast());
            text
        }
    }

    fn load(&mut self, table: &str, _columns: usize, rows: Rows<'_>) {
        let mut source = Source { rows, text: Vec::new(), taken: 0 };
        self.copy(&format!("COPY {table} FROM STDIN"), read_rows, (&raw mut source).cast());
    }

    fn settle(&mut self) {
        self.execute("ANALYZE");
        self.execute("CHECKPOINT");
    }
}

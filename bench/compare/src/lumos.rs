//! Lumos through its C interface: the exported functions of `lib/liblumos_core.so`, packed parameters and rows.

use crate::random::Checksum;
use crate::side::{Class, Connection, Database, Statement, Value};
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

type Handle = *mut c_void;

unsafe extern "C" {
    fn lumos_version() -> *const c_char;
    fn lumos_config_new() -> Handle;
    fn lumos_config_set(config: Handle, name: *const c_char, value: *const c_char, err: *mut Handle) -> i32;
    fn lumos_config_free(config: Handle);
    fn lumos_open_config(path: *const c_char, config: Handle, out: *mut Handle, err: *mut Handle) -> i32;
    fn lumos_db_stat(db: Handle, name: *const c_char, out: *mut i64) -> i32;
    fn lumos_db_close(db: Handle);
    fn lumos_connect(db: Handle, out: *mut Handle, err: *mut Handle) -> i32;
    fn lumos_conn_close(conn: Handle);
    fn lumos_conn_set(conn: Handle, name: *const c_char, value: *const c_char, err: *mut Handle) -> i32;
    fn lumos_conn_get(conn: Handle, name: *const c_char, out: *mut *mut c_char, err: *mut Handle) -> i32;
    fn lumos_free(memory: *mut c_void);
    fn lumos_exec(
        conn: Handle,
        sql: *const c_char,
        length: usize,
        affected: *mut i64,
        err: *mut Handle,
    ) -> i32;
    fn lumos_prepare(
        conn: Handle,
        sql: *const c_char,
        length: usize,
        flags: u32,
        out: *mut Handle,
        tail: *mut usize,
        err: *mut Handle,
    ) -> i32;
    fn lumos_copy_in(
        conn: Handle,
        sql: *const c_char,
        length: usize,
        read: extern "C" fn(*mut c_void, *mut u8, usize) -> i64,
        user: *mut c_void,
        rows: *mut u64,
        err: *mut Handle,
    ) -> i32;
    fn lumos_stmt_close(stmt: Handle);
    fn lumos_stmt_column_count(stmt: Handle) -> u32;
    fn lumos_stmt_column(stmt: Handle, index: u32, out: *mut ColumnInfo) -> i32;
    fn lumos_stmt_result(stmt: Handle) -> Handle;
    fn lumos_run(
        stmt: Handle,
        params: *const u8,
        params_length: usize,
        buffer: *mut u8,
        capacity: usize,
        info: *mut RunInfo,
        err: *mut Handle,
    ) -> i32;
    fn lumos_fetch_packed(
        result: Handle,
        buffer: *mut u8,
        capacity: usize,
        max_rows: u32,
        info: *mut RunInfo,
        err: *mut Handle,
    ) -> i32;
    fn lumos_error_message(err: Handle) -> *const c_char;
    fn lumos_error_sqlstate(err: Handle) -> *const c_char;
}

const ROW: i32 = 1;
const DONE: i32 = 2;

pub fn version() -> String {
    // SAFETY: a static text that ends with NUL.
    unsafe { CStr::from_ptr(lumos_version()).to_string_lossy().into_owned() }
}

fn check(status: i32, err: Handle, what: &str) {
    if status < 0 {
        // SAFETY: texts of a live error object end with NUL; for no error they are empty.
        let (state, message) =
            unsafe { (CStr::from_ptr(lumos_error_sqlstate(err)), CStr::from_ptr(lumos_error_message(err))) };
        panic!("lumos: {what}: status {status}: {} {}", state.to_string_lossy(), message.to_string_lossy());
    }
}

fn c_text(text: &str) -> CString {
    CString::new(text).expect("no NUL in our texts")
}

pub struct LumosDatabase(Handle);

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

    fn connect(&self, class: Class) -> LumosConnection {
        let (mut conn, mut err) = (null_mut(), null_mut());
        // SAFETY: as above.
        check(unsafe { lumos_connect(self.0, &mut conn, &mut err) }, err, "connect");
        let (name, value) =
            (c_text("durability"), c_text(if class == Class::Full { "full" } else { "normal" }));
        // SAFETY: as above.
        let status = unsafe { lumos_conn_set(conn, name.as_ptr(), value.as_ptr(), &mut err) };
        check(status, err, "durability");
        LumosConnection {
            conn,
            statements: [const { None }; Statement::COUNT],
            params: Vec::with_capacity(1024),
            buffer: vec![0; 64 << 10],
        }
    }

    fn syncs_and_commits(&self) -> Option<(i64, i64)> {
        Some((self.statistic("log_syncs"), self.statistic("commits")))
    }
}

struct Prepared {
    stmt: Handle,
    types: Vec<u32>,
}

pub struct LumosConnection {
    conn: Handle,
    statements: [Option<Prepared>; Statement::COUNT],
    params: Vec<u8>,
    buffer: Vec<u8>,
}

// SAFETY: the header: one thread at a time, not tied to a thread.
unsafe impl Send for LumosConnection {}

impl Drop for LumosConnection {
    fn drop(&mut self) {
        for prepared in self.statements.iter().flatten() {
            // SAFETY: our handle.
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

impl LumosConnection {
    /// COPY … FROM STDIN of a text in memory.
    pub fn copy_in(&mut self, sql: &str, text: &[u8]) {
        let (mut rest, mut err) = (text, null_mut());
        let user = (&raw mut rest).cast();
        // SAFETY: `sql` has as many bytes as said; `read_text` gets the slice that lives as long as the call.
        let status = unsafe {
            lumos_copy_in(self.conn, sql.as_ptr().cast(), sql.len(), read_text, user, null_mut(), &mut err)
        };
        check(status, err, sql);
    }

    fn prepare(&mut self, statement: Statement) {
        let sql = statement.sql();
        let (mut stmt, mut err) = (null_mut(), null_mut());
        // SAFETY: `sql` has as many bytes as said; out-parameters are writable.
        unsafe {
            let status =
                lumos_prepare(self.conn, sql.as_ptr().cast(), sql.len(), 1, &mut stmt, null_mut(), &mut err);
            check(status, err, sql);
            let types = (0..lumos_stmt_column_count(stmt)).map(|index| {
                let mut info: ColumnInfo = std::mem::zeroed();
                info.struct_size = size_of::<ColumnInfo>() as u32;
                check(lumos_stmt_column(stmt, index, &mut info), null_mut(), "lumos_stmt_column");
                info.type_oid
            });
            self.statements[statement as usize] = Some(Prepared { stmt, types: types.collect() });
        }
    }

    fn start(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
        each: &mut impl FnMut(u32, Option<&[u8]>),
    ) -> u64 {
        if self.statements[statement as usize].is_none() {
            self.prepare(statement);
        }
        let prepared = self.statements[statement as usize].as_ref().expect("prepared above");
        let params = &mut self.params;
        params.clear();
        params.extend_from_slice(&(values.len() as i16).to_be_bytes());
        for value in values {
            let (oid, bytes) = match value {
                Value::Integer(number) => (20u32, number.to_be_bytes()),
                Value::Double(number) => (701, number.to_bits().to_be_bytes()),
                Value::Text(text) => {
                    params.extend_from_slice(&25u32.to_be_bytes());
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
            check(status, err, statement.sql());
            let mut rest = &self.buffer[..info.used as usize];
            for _ in 0..info.rows {
                rest = &rest[2..];
                for oid in &prepared.types {
                    let length = i32::from_be_bytes(rest[..4].try_into().expect("four bytes"));
                    rest = &rest[4..];
                    if length < 0 {
                        each(*oid, None);
                    } else {
                        each(*oid, Some(&rest[..length as usize]));
                        rest = &rest[length as usize..];
                    }
                }
            }
            rows += u64::from(info.rows);
            if status == DONE {
                return rows;
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
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().expect("eight bytes")
}

/// A whole number in PostgreSQL's binary form of numeric.
fn numeric(bytes: &[u8]) -> i64 {
    let word = |at: usize| i64::from(i16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let (digits, weight, sign) = (word(0), word(2), word(4));
    let mut value = 0;
    for index in 0..=weight {
        value = value * 10_000 + if index < digits { word(8 + 2 * index as usize) } else { 0 };
    }
    if sign == 0 { value } else { -value }
}

impl Connection for LumosConnection {
    fn execute(&mut self, sql: &str) {
        let mut err = null_mut();
        // SAFETY: `sql` has as many bytes as said.
        let status = unsafe { lumos_exec(self.conn, sql.as_ptr().cast(), sql.len(), null_mut(), &mut err) };
        check(status, err, sql);
    }

    fn run(&mut self, statement: Statement, values: &[Value<'_>], checksum: &mut Checksum) {
        let rows = self.start(statement, values, &mut |oid, bytes| match (oid, bytes) {
            (_, None) => checksum.null(),
            (20, Some(bytes)) => checksum.integer(i64::from_be_bytes(eight(bytes))),
            (701, Some(bytes)) => checksum.double(f64::from_bits(u64::from_be_bytes(eight(bytes)))),
            (1700, Some(bytes)) => checksum.integer(numeric(bytes)),
            (_, Some(bytes)) => checksum.bytes(bytes),
        });
        checksum.rows += rows;
    }

    fn integers(&mut self, statement: Statement) -> Vec<i64> {
        let mut out = Vec::new();
        self.start(statement, &[], &mut |oid, bytes| {
            out.push(match (oid, bytes) {
                (20, Some(bytes)) => i64::from_be_bytes(eight(bytes)),
                (1700, Some(bytes)) => numeric(bytes),
                _ => 0,
            });
        });
        out
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
}

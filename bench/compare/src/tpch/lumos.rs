//! Lumos through its C interface, value by value.

use super::{INDEXES, Side, Sum, TABLES};
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::null_mut;

type Handle = *mut c_void;

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

unsafe extern "C" {
    fn lumos_version() -> *const c_char;
    fn lumos_open(path: *const c_char, out: *mut Handle, err: *mut Handle) -> i32;
    fn lumos_db_close(db: Handle);
    fn lumos_connect(db: Handle, out: *mut Handle, err: *mut Handle) -> i32;
    fn lumos_conn_close(conn: Handle);
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
    fn lumos_stmt_close(stmt: Handle);
    fn lumos_query(
        conn: Handle,
        sql: *const c_char,
        length: usize,
        out: *mut Handle,
        err: *mut Handle,
    ) -> i32;
    fn lumos_result_column_count(result: Handle) -> u32;
    fn lumos_result_column(result: Handle, index: u32, out: *mut ColumnInfo) -> i32;
    fn lumos_result_next(result: Handle, err: *mut Handle) -> i32;
    fn lumos_result_close(result: Handle);
    fn lumos_get_is_null(result: Handle, index: u32) -> bool;
    fn lumos_get_int64(result: Handle, index: u32) -> i64;
    fn lumos_get_double(result: Handle, index: u32) -> f64;
    fn lumos_get_text(result: Handle, index: u32, length: *mut usize) -> *const c_char;
    fn lumos_error_message(err: Handle) -> *const c_char;
    fn lumos_error_sqlstate(err: Handle) -> *const c_char;
    fn lumos_error_free(err: Handle);
}

const ROW: i32 = 1;

pub struct Lumos {
    db: Handle,
    conn: Handle,
    indexed: bool,
}

fn checked(status: i32, err: Handle) -> Result<(), String> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: texts of a live error object end with NUL; for no error they are empty; it is freed once.
    unsafe {
        let (state, message) =
            (CStr::from_ptr(lumos_error_sqlstate(err)), CStr::from_ptr(lumos_error_message(err)));
        let text = format!("{} {}", state.to_string_lossy(), message.to_string_lossy());
        lumos_error_free(err);
        Err(text)
    }
}

impl Lumos {
    /// With `indexed`, the tables get the indexes that SQLite's have.
    pub fn open(path: &Path, indexed: bool) -> Lumos {
        let path = CString::new(path.to_str().expect("a path of ours")).expect("no NUL");
        let (mut db, mut conn, mut err) = (null_mut(), null_mut(), null_mut());
        // SAFETY: the contracts of the header: NUL-terminated texts, writable out-parameters.
        unsafe {
            let status = lumos_open(path.as_ptr(), &mut db, &mut err);
            checked(status, err).expect("lumos opens");
            let status = lumos_connect(db, &mut conn, &mut err);
            checked(status, err).expect("lumos connects");
        }
        Lumos { db, conn, indexed }
    }

    fn execute(&mut self, sql: &str) -> Result<(), String> {
        let mut err = null_mut();
        // SAFETY: `sql` has as many bytes as said.
        let status = unsafe { lumos_exec(self.conn, sql.as_ptr().cast(), sql.len(), null_mut(), &mut err) };
        checked(status, err)
    }

    /// The length of the first statement of a text, by preparing it.
    fn first(&mut self, sql: &str) -> Result<usize, String> {
        let (mut stmt, mut tail, mut err) = (null_mut(), 0, null_mut());
        // SAFETY: as above; the statement is closed once.
        unsafe {
            let status =
                lumos_prepare(self.conn, sql.as_ptr().cast(), sql.len(), 0, &mut stmt, &mut tail, &mut err);
            checked(status, err)?;
            lumos_stmt_close(stmt);
        }
        Ok(if stmt.is_null() { 0 } else { tail })
    }

    fn query(&mut self, sql: &str) -> Result<Option<Sum>, String> {
        let (mut result, mut err) = (null_mut(), null_mut());
        // SAFETY: as above; the result is closed once, values are read before the next row.
        unsafe {
            checked(lumos_query(self.conn, sql.as_ptr().cast(), sql.len(), &mut result, &mut err), err)?;
            let types: Vec<u32> = (0..lumos_result_column_count(result))
                .map(|index| {
                    let mut info: ColumnInfo = std::mem::zeroed();
                    info.struct_size = size_of::<ColumnInfo>() as u32;
                    lumos_result_column(result, index, &mut info);
                    info.type_oid
                })
                .collect();
            let mut sum = Sum::default();
            let done = loop {
                let status = lumos_result_next(result, &mut err);
                if status != ROW {
                    break checked(status, err);
                }
                sum.rows += 1;
                for (index, oid) in (0u32..).zip(&types) {
                    if lumos_get_is_null(result, index) {
                        sum.null();
                        continue;
                    }
                    match oid {
                        20 | 21 | 23 => sum.number(lumos_get_int64(result, index) as f64),
                        700 | 701 | 1700 => sum.number(lumos_get_double(result, index)),
                        _ => {
                            let mut length = 0;
                            let text = lumos_get_text(result, index, &mut length);
                            sum.text(std::slice::from_raw_parts(text.cast(), length));
                        }
                    }
                }
            };
            lumos_result_close(result);
            done.map(|()| (!types.is_empty()).then_some(sum))
        }
    }
}

impl Drop for Lumos {
    fn drop(&mut self) {
        // SAFETY: our handles.
        unsafe {
            lumos_conn_close(self.conn);
            lumos_db_close(self.db);
        }
    }
}

impl Side for Lumos {
    fn name(&self) -> String {
        // SAFETY: a static text that ends with NUL.
        let version = unsafe { CStr::from_ptr(lumos_version()).to_string_lossy() };
        if self.indexed { format!("lumos+i {version}") } else { format!("lumos {version}") }
    }

    fn load(&mut self, folder: &Path, schema: &str) -> Result<(), String> {
        self.execute(schema)?;
        for table in TABLES {
            let file = folder.join(format!("{table}.tbl"));
            self.execute(&format!("COPY {table} FROM '{}' (FORMAT csv, DELIMITER '|')", file.display()))?;
        }
        if self.indexed {
            self.execute(INDEXES)?;
        }
        self.execute("ANALYZE")
    }

    fn run(&mut self, sql: &str) -> Result<Sum, String> {
        // Only query 15 is more than one statement: a view before it, its removal after it.
        if !sql.trim_start().starts_with("create") {
            return self.query(sql).map(Option::unwrap_or_default);
        }
        let (mut rest, mut sum) = (sql, Sum::default());
        loop {
            let taken = self.first(rest)?;
            if taken == 0 {
                return Ok(sum);
            }
            if let Some(found) = self.query(&rest[..taken])? {
                sum = found;
            }
            rest = &rest[taken..];
        }
    }
}

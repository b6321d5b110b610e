//! SQLite through its C interface, prepared statements.

use crate::random::Checksum;
use crate::side::{Class, Connection, Database, Statement, Value};
use libsqlite3_sys as ffi;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

pub fn version() -> String {
    // SAFETY: a static text that ends with NUL.
    unsafe { CStr::from_ptr(ffi::sqlite3_libversion()).to_string_lossy().into_owned() }
}

pub struct SqliteDatabase {
    path: PathBuf,
    memory_kib: u64,
}

impl SqliteDatabase {
    pub fn open(path: &Path, memory_kib: u64) -> SqliteDatabase {
        SqliteDatabase { path: path.to_owned(), memory_kib }
    }
}

impl Database for SqliteDatabase {
    type Connection = SqliteConnection;

    fn connect(&self, class: Class) -> SqliteConnection {
        let path = CString::new(self.path.to_str().expect("a path of ours")).expect("no NUL");
        let mut db = null_mut();
        let flags = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE | ffi::SQLITE_OPEN_NOMUTEX;
        // SAFETY: a NUL-terminated path and a writable out-parameter.
        let status = unsafe { ffi::sqlite3_open_v2(path.as_ptr(), &mut db, flags, std::ptr::null()) };
        assert_eq!(status, ffi::SQLITE_OK, "sqlite3_open_v2");
        let mut connection = SqliteConnection { db, statements: [null_mut(); Statement::COUNT] };
        // SAFETY: an open connection.
        unsafe { ffi::sqlite3_busy_timeout(db, 60_000) };
        connection.execute("PRAGMA journal_mode = WAL");
        let synchronous = if class == Class::Full { "FULL" } else { "NORMAL" };
        connection.execute(&format!("PRAGMA synchronous = {synchronous}"));
        connection.execute(&format!("PRAGMA cache_size = -{}", self.memory_kib));
        connection
    }

    fn syncs_and_commits(&self) -> Option<(i64, i64)> {
        None
    }
}

pub struct SqliteConnection {
    db: *mut ffi::sqlite3,
    statements: [*mut ffi::sqlite3_stmt; Statement::COUNT],
}

// SAFETY: opened without a mutex: one thread at a time, not tied to a thread.
unsafe impl Send for SqliteConnection {}

impl Drop for SqliteConnection {
    fn drop(&mut self) {
        // SAFETY: our statements and our connection; null statements are fine.
        unsafe {
            for stmt in self.statements {
                ffi::sqlite3_finalize(stmt);
            }
            ffi::sqlite3_close(self.db);
        }
    }
}

impl SqliteConnection {
    fn fail(&self, what: &str, status: i32) -> ! {
        // SAFETY: an open connection.
        let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.db)) };
        panic!("sqlite: {what}: status {status}: {}", message.to_string_lossy());
    }

    fn prepare(&mut self, sql: &str) -> *mut ffi::sqlite3_stmt {
        let mut stmt = null_mut();
        // SAFETY: `sql` has as many bytes as said.
        let status = unsafe {
            ffi::sqlite3_prepare_v3(
                self.db,
                sql.as_ptr().cast(),
                sql.len() as i32,
                ffi::SQLITE_PREPARE_PERSISTENT,
                &mut stmt,
                null_mut(),
            )
        };
        if status != ffi::SQLITE_OK {
            self.fail(sql, status);
        }
        stmt
    }

    fn prepared(&mut self, statement: Statement) -> *mut ffi::sqlite3_stmt {
        if self.statements[statement as usize].is_null() {
            // SQLite takes `$1` for a name, numbered by appearance; `?1` is the number.
            self.statements[statement as usize] = self.prepare(&statement.sql().replace('$', "?"));
        }
        self.statements[statement as usize]
    }
}

impl Connection for SqliteConnection {
    fn execute(&mut self, sql: &str) {
        let text = CString::new(sql).expect("no NUL");
        // SAFETY: an open connection and a NUL-terminated text.
        let status = unsafe { ffi::sqlite3_exec(self.db, text.as_ptr(), None, null_mut(), null_mut()) };
        if status != ffi::SQLITE_OK {
            self.fail(sql, status);
        }
    }

    fn run(&mut self, statement: Statement, values: &[Value<'_>], checksum: &mut Checksum) {
        let stmt = self.prepared(statement);
        // SAFETY: a statement of ours; texts live until the statement is reset below.
        unsafe {
            for (index, value) in values.iter().enumerate() {
                let index = index as i32 + 1;
                match value {
                    Value::Integer(number) => ffi::sqlite3_bind_int64(stmt, index, *number),
                    Value::Double(number) => ffi::sqlite3_bind_double(stmt, index, *number),
                    Value::Text(text) => ffi::sqlite3_bind_text(
                        stmt,
                        index,
                        text.as_ptr().cast(),
                        text.len() as i32,
                        ffi::SQLITE_STATIC(),
                    ),
                };
            }
            loop {
                match ffi::sqlite3_step(stmt) {
                    ffi::SQLITE_ROW => {}
                    ffi::SQLITE_DONE => break,
                    other => self.fail(statement.sql(), other),
                }
                checksum.rows += 1;
                for index in 0..ffi::sqlite3_column_count(stmt) {
                    match ffi::sqlite3_column_type(stmt, index) {
                        ffi::SQLITE_INTEGER => checksum.integer(ffi::sqlite3_column_int64(stmt, index)),
                        ffi::SQLITE_FLOAT => checksum.double(ffi::sqlite3_column_double(stmt, index)),
                        ffi::SQLITE_NULL => checksum.null(),
                        _ => {
                            let text = ffi::sqlite3_column_text(stmt, index);
                            let length = ffi::sqlite3_column_bytes(stmt, index) as usize;
                            checksum.bytes(std::slice::from_raw_parts(text, length));
                        }
                    }
                }
            }
            ffi::sqlite3_reset(stmt);
        }
    }

    fn integers(&mut self, statement: Statement) -> Vec<i64> {
        let stmt = self.prepared(statement);
        // SAFETY: a statement of ours.
        unsafe {
            let status = ffi::sqlite3_step(stmt);
            if status != ffi::SQLITE_ROW {
                self.fail(statement.sql(), status);
            }
            let count = ffi::sqlite3_column_count(stmt);
            let out = (0..count).map(|index| ffi::sqlite3_column_int64(stmt, index)).collect();
            ffi::sqlite3_reset(stmt);
            out
        }
    }

    fn setting(&mut self, name: &str) -> String {
        let stmt = self.prepare(&format!("PRAGMA {name}"));
        // SAFETY: a statement of ours; the text is copied before it goes.
        unsafe {
            let mut text = String::new();
            if ffi::sqlite3_step(stmt) == ffi::SQLITE_ROW {
                let value = ffi::sqlite3_column_text(stmt, 0);
                text = CStr::from_ptr(value.cast()).to_string_lossy().into_owned();
            }
            ffi::sqlite3_finalize(stmt);
            text
        }
    }
}

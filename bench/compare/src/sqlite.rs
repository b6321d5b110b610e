//! SQLite through its C interface, prepared statements.

use crate::side::{Class, Connection, Database, Failure, Field, Handle, Isolation, Rows, Statement, Value};
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

    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn connect(&self, class: Class) -> SqliteConnection {
        let path = CString::new(self.path.to_str().expect("a path of ours")).expect("no NUL");
        let mut db = null_mut();
        let flags = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE | ffi::SQLITE_OPEN_NOMUTEX;
        // SAFETY: a NUL-terminated path and a writable out-parameter.
        let status = unsafe { ffi::sqlite3_open_v2(path.as_ptr(), &mut db, flags, std::ptr::null()) };
        assert_eq!(status, ffi::SQLITE_OK, "sqlite3_open_v2");
        let mut connection =
            SqliteConnection { db, statements: Statement::texts().map(|sql| (sql, null_mut())).collect() };
        // SAFETY: an open connection.
        unsafe { ffi::sqlite3_busy_timeout(db, 60_000) };
        connection.execute("PRAGMA journal_mode = WAL");
        let synchronous = match class {
            Class::Full => "FULL",
            Class::Normal => "NORMAL",
            Class::Off => "OFF",
        };
        connection.execute(&format!("PRAGMA synchronous = {synchronous}"));
        connection.execute(&format!("PRAGMA cache_size = -{}", self.memory_kib));
        connection
    }

    fn log_bytes(&self) -> u64 {
        crate::storage::written_bytes()
    }
}

pub struct SqliteConnection {
    db: *mut ffi::sqlite3,
    /// Null until it first runs.
    statements: Vec<(&'static str, *mut ffi::sqlite3_stmt)>,
}

// SAFETY: opened without a mutex: one thread at a time, not tied to a thread.
unsafe impl Send for SqliteConnection {}

impl Drop for SqliteConnection {
    fn drop(&mut self) {
        // SAFETY: our statements and our connection; null statements are fine.
        unsafe {
            for (_, stmt) in &self.statements {
                ffi::sqlite3_finalize(*stmt);
            }
            ffi::sqlite3_close(self.db);
        }
    }
}

impl SqliteConnection {
    fn failure(&self, what: &str, status: i32) -> Failure {
        // SAFETY: an open connection.
        let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.db)) };
        let is_retryable = [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED].contains(&(status & 0xff));
        let message = format!("sqlite: {what}: status {status}: {}", message.to_string_lossy());
        Failure { is_retryable, message }
    }

    fn prepare(&self, sql: &str) -> Result<*mut ffi::sqlite3_stmt, Failure> {
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
        if status == ffi::SQLITE_OK { Ok(stmt) } else { Err(self.failure(sql, status)) }
    }

    fn prepared(&mut self, handle: Handle) -> Result<*mut ffi::sqlite3_stmt, Failure> {
        let (sql, stmt) = self.statements[handle.0];
        if !stmt.is_null() {
            return Ok(stmt);
        }
        // SQLite takes `$1` for a name, numbered by appearance; `?1` is the number.
        let stmt = self.prepare(&sql.replace('$', "?"))?;
        self.statements[handle.0].1 = stmt;
        Ok(stmt)
    }
}

impl Connection for SqliteConnection {
    /// It has one level, the strictest; a transaction that writes says so, or two of them would deadlock.
    fn begin(_isolation: Isolation) -> &'static str {
        "BEGIN IMMEDIATE"
    }

    fn statement(&mut self, sql: &'static str) -> Handle {
        self.statements.push((sql, null_mut()));
        Handle(self.statements.len() - 1)
    }

    fn attempt(&mut self, sql: &str) -> Result<(), Failure> {
        let text = CString::new(sql).expect("no NUL");
        // SAFETY: an open connection and a NUL-terminated text.
        let status = unsafe { ffi::sqlite3_exec(self.db, text.as_ptr(), None, null_mut(), null_mut()) };
        if status == ffi::SQLITE_OK { Ok(()) } else { Err(self.failure(sql, status)) }
    }

    fn query(
        &mut self,
        handle: Handle,
        values: &[Value<'_>],
        each: &mut impl FnMut(Field<'_>),
    ) -> Result<u64, Failure> {
        let stmt = self.prepared(handle)?;
        let mut rows = 0;
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
                    other => {
                        let failure = self.failure(self.statements[handle.0].0, other);
                        ffi::sqlite3_reset(stmt);
                        return Err(failure);
                    }
                }
                rows += 1;
                for index in 0..ffi::sqlite3_column_count(stmt) {
                    each(match ffi::sqlite3_column_type(stmt, index) {
                        ffi::SQLITE_INTEGER => Field::Integer(ffi::sqlite3_column_int64(stmt, index)),
                        ffi::SQLITE_FLOAT => Field::Double(ffi::sqlite3_column_double(stmt, index)),
                        ffi::SQLITE_NULL => Field::Null,
                        _ => {
                            let text = ffi::sqlite3_column_text(stmt, index);
                            let length = ffi::sqlite3_column_bytes(stmt, index) as usize;
                            Field::Bytes(std::slice::from_raw_parts(text, length))
                        }
                    });
                }
            }
            ffi::sqlite3_reset(stmt);
        }
        Ok(rows)
    }

    fn setting(&mut self, name: &str) -> String {
        let stmt = self.prepare(&format!("PRAGMA {name}")).expect("a setting of SQLite");
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

    /// A whole key is its rowid; a key of several columns clusters the table where that is worth it, as its manual
    /// advises.
    fn create_table(&mut self, name: &str, columns: &str, is_narrow: bool) {
        let columns = crate::workload::for_sqlite(columns);
        let is_clustered = is_narrow && columns.contains("PRIMARY KEY (");
        let end = if is_clustered { " WITHOUT ROWID" } else { "" };
        self.execute(&format!("CREATE TABLE {name} ({columns}){end}"));
    }

    /// Prepared inserts of texts, which the columns' affinity makes numbers of.
    fn load(&mut self, table: &str, columns: usize, rows: Rows<'_>) {
        let places: Vec<String> = (1..=columns).map(|column| format!("?{column}")).collect();
        let insert = format!("INSERT INTO {table} VALUES ({})", places.join(", "));
        self.execute("BEGIN IMMEDIATE");
        let stmt = self.prepare(&insert).expect("a table of ours");
        let mut text = Vec::new();
        while rows(&mut text) {
            for row in text.trim_ascii_end().split(|byte| *byte == b'\n') {
                for (index, value) in row.split(|byte| *byte == b'\t').enumerate() {
                    let (index, length) = (index as i32 + 1, value.len() as i32);
                    // SAFETY: the row lives until the statement is reset below.
                    unsafe {
                        if value == b"\\N" {
                            ffi::sqlite3_bind_null(stmt, index);
                        } else {
                            let value = value.as_ptr().cast();
                            ffi::sqlite3_bind_text(stmt, index, value, length, ffi::SQLITE_STATIC());
                        }
                    }
                }
                // SAFETY: a statement of ours.
                let status = unsafe { ffi::sqlite3_step(stmt) };
                assert_eq!(status, ffi::SQLITE_DONE, "{}", self.failure(&insert, status).message);
                // SAFETY: as above.
                unsafe { ffi::sqlite3_reset(stmt) };
            }
            text.clear();
        }
        // SAFETY: it is used no more.
        unsafe { ffi::sqlite3_finalize(stmt) };
        self.execute("COMMIT");
    }

    fn settle(&mut self) {
        self.execute("ANALYZE");
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    }
}

//! SQLite through its C interface, with indexes on what the queries join by, and ANALYZE.

use super::{INDEXES, Side, Sum, TABLES};
use libsqlite3_sys as ffi;
use std::ffi::{CStr, CString};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::ptr::null_mut;

pub struct Sqlite(*mut ffi::sqlite3);

impl Sqlite {
    pub fn open(path: &Path) -> Sqlite {
        let path = CString::new(path.to_str().expect("a path of ours")).expect("no NUL");
        let mut db = null_mut();
        // SAFETY: a NUL-terminated path and a writable out-parameter.
        let status = unsafe { ffi::sqlite3_open(path.as_ptr(), &mut db) };
        assert_eq!(status, ffi::SQLITE_OK, "sqlite3_open");
        let mut side = Sqlite(db);
        for pragma in ["journal_mode = WAL", "synchronous = NORMAL", "cache_size = -1048576", "threads = 0"] {
            side.run(&format!("PRAGMA {pragma}")).expect("a pragma");
        }
        side
    }

    fn told(&self) -> String {
        // SAFETY: an open connection.
        unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.0)).to_string_lossy().into_owned() }
    }

    fn insert(&mut self, table: &str, file: &Path) -> Result<(), String> {
        let lines = BufReader::new(std::fs::File::open(file).map_err(|error| error.to_string())?).lines();
        let mut stmt: *mut ffi::sqlite3_stmt = null_mut();
        for line in lines {
            let line = line.map_err(|error| error.to_string())?;
            let fields: Vec<&str> = line.split('|').collect();
            // SAFETY: the statement is ours; each text lives until the step that copies it into the table.
            unsafe {
                if stmt.is_null() {
                    let marks = vec!["?"; fields.len()].join(", ");
                    let sql = format!("INSERT INTO {table} VALUES ({marks})");
                    let length = sql.len() as i32;
                    if ffi::sqlite3_prepare_v2(self.0, sql.as_ptr().cast(), length, &mut stmt, null_mut())
                        != ffi::SQLITE_OK
                    {
                        return Err(self.told());
                    }
                }
                for (index, field) in (1..).zip(&fields) {
                    ffi::sqlite3_bind_text(
                        stmt,
                        index,
                        field.as_ptr().cast(),
                        field.len() as i32,
                        ffi::SQLITE_STATIC(),
                    );
                }
                if ffi::sqlite3_step(stmt) != ffi::SQLITE_DONE {
                    return Err(self.told());
                }
                ffi::sqlite3_reset(stmt);
            }
        }
        // SAFETY: ours, or null.
        unsafe { ffi::sqlite3_finalize(stmt) };
        Ok(())
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // SAFETY: our connection; its statements are finalized.
        unsafe { ffi::sqlite3_close(self.0) };
    }
}

impl Side for Sqlite {
    fn name(&self) -> String {
        // SAFETY: a static text that ends with NUL.
        format!("sqlite {}", unsafe { CStr::from_ptr(ffi::sqlite3_libversion()).to_string_lossy() })
    }

    fn load(&mut self, folder: &Path, schema: &str) -> Result<(), String> {
        // Its decimals are doubles; an integer key is the row's own.
        let schema = schema
            .replace("integer NOT NULL PRIMARY KEY", "INTEGER PRIMARY KEY")
            .replace("bigint NOT NULL PRIMARY KEY", "INTEGER PRIMARY KEY")
            .replace("decimal(15,2)", "REAL");
        self.run(&schema)?;
        self.run("BEGIN")?;
        for table in TABLES {
            self.insert(table, &folder.join(format!("{table}.tbl")))?;
        }
        self.run("COMMIT")?;
        self.run(INDEXES)?;
        self.run("ANALYZE").map(|_| ())
    }

    fn run(&mut self, sql: &str) -> Result<Sum, String> {
        let text = CString::new(sql).map_err(|error| error.to_string())?;
        let mut rest = text.as_ptr();
        let mut sum = Sum::default();
        // SAFETY: `rest` stays inside the NUL-terminated text; values are read before the next step.
        unsafe {
            while *rest != 0 {
                let mut stmt = null_mut();
                if ffi::sqlite3_prepare_v2(self.0, rest, -1, &mut stmt, &mut rest) != ffi::SQLITE_OK {
                    return Err(self.told());
                }
                if stmt.is_null() {
                    continue;
                }
                let columns = ffi::sqlite3_column_count(stmt);
                if columns > 0 {
                    sum = Sum::default();
                }
                let mut status = ffi::sqlite3_step(stmt);
                while status == ffi::SQLITE_ROW {
                    sum.rows += 1;
                    for index in 0..columns {
                        match ffi::sqlite3_column_type(stmt, index) {
                            ffi::SQLITE_NULL => sum.null(),
                            ffi::SQLITE_INTEGER | ffi::SQLITE_FLOAT => {
                                sum.number(ffi::sqlite3_column_double(stmt, index))
                            }
                            _ => {
                                let bytes = ffi::sqlite3_column_text(stmt, index);
                                let length = ffi::sqlite3_column_bytes(stmt, index) as usize;
                                sum.text(std::slice::from_raw_parts(bytes, length));
                            }
                        }
                    }
                    status = ffi::sqlite3_step(stmt);
                }
                ffi::sqlite3_finalize(stmt);
                if status != ffi::SQLITE_DONE {
                    return Err(self.told());
                }
            }
        }
        Ok(sum)
    }
}

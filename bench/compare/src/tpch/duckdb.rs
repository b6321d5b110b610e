//! DuckDB through its C interface, from the shared object of its Python wheel: `LUMOS_DUCKDB` names it, and
//! `LUMOS_LIBPYTHON` the library whose symbols it wants to see first (none of them is called).

use super::{Side, Sum, TABLES};
use crate::storage::bulk::Event;
use crate::workload::CREATE_EVENTS;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::null_mut;
use std::time::Instant;

type Pointer = *mut c_void;

/// `duckdb_result`: handed over by value, and only looked at by the library.
#[repr(C)]
#[derive(Clone, Copy)]
struct QueryResult {
    counts: [u64; 3],
    columns: Pointer,
    message: Pointer,
    data: Pointer,
}

crate::dynamic::functions! {
    duckdb_library_version: fn() -> *const c_char;
    duckdb_open: fn(*const c_char, *mut Pointer) -> u32;
    duckdb_close: fn(*mut Pointer);
    duckdb_connect: fn(Pointer, *mut Pointer) -> u32;
    duckdb_disconnect: fn(*mut Pointer);
    duckdb_query: fn(Pointer, *const c_char, *mut QueryResult) -> u32;
    duckdb_result_error: fn(*mut QueryResult) -> *const c_char;
    duckdb_destroy_result: fn(*mut QueryResult);
    duckdb_fetch_chunk: fn(QueryResult) -> Pointer;
    duckdb_destroy_data_chunk: fn(*mut Pointer);
    duckdb_data_chunk_get_size: fn(Pointer) -> u64;
    duckdb_data_chunk_get_column_count: fn(Pointer) -> u64;
    duckdb_data_chunk_get_vector: fn(Pointer, u64) -> Pointer;
    duckdb_vector_get_column_type: fn(Pointer) -> Pointer;
    duckdb_vector_get_data: fn(Pointer) -> Pointer;
    duckdb_vector_get_validity: fn(Pointer) -> *mut u64;
    duckdb_get_type_id: fn(Pointer) -> u32;
    duckdb_decimal_scale: fn(Pointer) -> u8;
    duckdb_decimal_internal_type: fn(Pointer) -> u32;
    duckdb_destroy_logical_type: fn(*mut Pointer);
    duckdb_appender_create: fn(Pointer, *const c_char, *const c_char, *mut Pointer) -> u32;
    duckdb_append_int64: fn(Pointer, i64) -> u32;
    duckdb_append_varchar_length: fn(Pointer, *const c_char, u64) -> u32;
    duckdb_appender_end_row: fn(Pointer) -> u32;
    duckdb_appender_destroy: fn(*mut Pointer) -> u32;
}

/// Numbers of `duckdb_type`.
mod kind {
    pub const SMALLINT: u32 = 3;
    pub const INTEGER: u32 = 4;
    pub const BIGINT: u32 = 5;
    pub const DOUBLE: u32 = 11;
    pub const DATE: u32 = 13;
    pub const HUGEINT: u32 = 16;
    pub const VARCHAR: u32 = 17;
    pub const DECIMAL: u32 = 19;
}

pub struct DuckDb {
    functions: Functions,
    db: Pointer,
    conn: Pointer,
}

fn wanted(name: &str) -> Result<String, String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .ok_or_else(|| format!("{name} is not set: run `make bench`"))
}

impl DuckDb {
    pub fn open(path: &Path) -> Result<DuckDb, String> {
        let told = |error: libloading::Error| error.to_string();
        let object = wanted("LUMOS_DUCKDB")?;
        // SAFETY: their initialisers are those that Python runs too.
        let library = unsafe {
            let python =
                Library::open(Some(wanted("LUMOS_LIBPYTHON")?), RTLD_NOW | RTLD_GLOBAL).map_err(told)?;
            std::mem::forget(python);
            Library::open(Some(object), RTLD_LAZY | RTLD_LOCAL).map_err(told)?
        };
        let functions = Functions::load(library)?;
        let path = CString::new(path.to_str().unwrap_or_default()).map_err(|error| error.to_string())?;
        let (mut db, mut conn) = (null_mut(), null_mut());
        // SAFETY: a NUL-terminated path and writable out-parameters.
        unsafe {
            if (functions.duckdb_open)(path.as_ptr(), &mut db) != 0
                || (functions.duckdb_connect)(db, &mut conn) != 0
            {
                return Err("it does not open".to_owned());
            }
        }
        let mut side = DuckDb { functions, db, conn };
        side.run("SET threads = 1")?;
        Ok(side)
    }
}

impl DuckDb {
    /// Seconds until the events are in a table of their own, durably: through the appender in one transaction, or
    /// with the statement `copy`.
    pub fn load_events(
        &mut self,
        events: Option<&[Event<'_>]>,
        copy: &str,
        expected: &[i64],
    ) -> Result<f64, String> {
        self.run(CREATE_EVENTS)?;
        let started = Instant::now();
        match events {
            Some(events) => {
                self.run("BEGIN")?;
                self.append(events)?;
                self.run("COMMIT")?;
            }
            None => drop(self.run(copy)?),
        }
        let seconds = started.elapsed().as_secs_f64();
        let mut sum = Sum { rows: 1, ..Sum::default() };
        expected.iter().for_each(|number| sum.number(*number as f64));
        let found = self.run("select count(*), sum(amount), sum(account_id) from events")?;
        if found.is_same(&sum) {
            Ok(seconds)
        } else {
            Err("it holds other rows than were appended".to_owned())
        }
    }

    fn append(&self, events: &[Event<'_>]) -> Result<(), String> {
        let f = &self.functions;
        let mut appender = null_mut();
        let mut failed = 0;
        // SAFETY: an open connection, texts with their lengths, and an appender that is destroyed once.
        unsafe {
            let created =
                (f.duckdb_appender_create)(self.conn, null_mut(), c"events".as_ptr(), &mut appender);
            if created != 0 {
                return Err("no appender".to_owned());
            }
            for (id, account, amount, note) in events {
                failed |= (f.duckdb_append_int64)(appender, *id);
                failed |= (f.duckdb_append_int64)(appender, *account);
                failed |= (f.duckdb_append_int64)(appender, *amount);
                let note_bytes = note.as_ptr().cast();
                failed |= (f.duckdb_append_varchar_length)(appender, note_bytes, note.len() as u64);
                failed |= (f.duckdb_appender_end_row)(appender);
            }
            failed |= (f.duckdb_appender_destroy)(&mut appender);
        }
        if failed == 0 { Ok(()) } else { Err("its appender failed".to_owned()) }
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // SAFETY: our handles, closed once.
        unsafe {
            (self.functions.duckdb_disconnect)(&mut self.conn);
            (self.functions.duckdb_close)(&mut self.db);
        }
    }
}

/// The text of a date, as the other engines print it (days since 1970, the civil calendar).
fn date(days: i32, sum: &mut Sum) {
    let days = i64::from(days) + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    sum.text(format!("{year:04}-{month:02}-{of_month:02}").as_bytes());
}

/// A `duckdb_string_t`: short ones lie inside it.
///
/// # Safety
/// `at` points to one of a live chunk.
unsafe fn string<'a>(at: *const u8) -> &'a [u8] {
    // SAFETY: the layout of duckdb.h: a length, then twelve bytes or a prefix and a pointer.
    unsafe {
        let length = at.cast::<u32>().read_unaligned() as usize;
        let bytes = if length <= 12 { at.add(4) } else { at.add(8).cast::<*const u8>().read_unaligned() };
        std::slice::from_raw_parts(bytes, length)
    }
}

impl DuckDb {
    /// # Safety
    /// `chunk` is alive.
    unsafe fn read(&self, chunk: Pointer, sum: &mut Sum) -> Result<(), String> {
        let f = &self.functions;
        // SAFETY: vectors live as long as their chunk; rows are below its size; types are asked before reading.
        unsafe {
            let rows = (f.duckdb_data_chunk_get_size)(chunk) as usize;
            let columns = (f.duckdb_data_chunk_get_column_count)(chunk);
            let mut described = Vec::new();
            for column in 0..columns {
                let vector = (f.duckdb_data_chunk_get_vector)(chunk, column);
                let mut logical = (f.duckdb_vector_get_column_type)(vector);
                let mut of = (f.duckdb_get_type_id)(logical);
                let mut divisor = 1.0;
                if of == kind::DECIMAL {
                    divisor = 10f64.powi(i32::from((f.duckdb_decimal_scale)(logical)));
                    of = (f.duckdb_decimal_internal_type)(logical);
                }
                (f.duckdb_destroy_logical_type)(&mut logical);
                let data = (f.duckdb_vector_get_data)(vector).cast::<u8>().cast_const();
                described.push((of, divisor, data, (f.duckdb_vector_get_validity)(vector)));
            }
            // Row by row, so that texts come in the order in which the others give them.
            for row in 0..rows {
                sum.rows += 1;
                for (of, divisor, data, validity) in &described {
                    if !validity.is_null() && *validity.add(row / 64) >> (row % 64) & 1 == 0 {
                        sum.null();
                        continue;
                    }
                    match *of {
                        kind::SMALLINT => sum.number(f64::from(*data.cast::<i16>().add(row)) / divisor),
                        kind::INTEGER => sum.number(f64::from(*data.cast::<i32>().add(row)) / divisor),
                        kind::BIGINT => sum.number(*data.cast::<i64>().add(row) as f64 / divisor),
                        kind::HUGEINT => {
                            let value = data.add(16 * row).cast::<i128>().read_unaligned();
                            sum.number(value as f64 / divisor);
                        }
                        kind::DOUBLE => sum.number(*data.cast::<f64>().add(row)),
                        kind::DATE => date(*data.cast::<i32>().add(row), sum),
                        kind::VARCHAR => sum.text(string(data.add(16 * row))),
                        other => return Err(format!("a column has type {other}")),
                    }
                }
            }
        }
        Ok(())
    }
}

impl Side for DuckDb {
    fn name(&self) -> String {
        // SAFETY: a static text that ends with NUL.
        format!("duckdb {}", unsafe {
            CStr::from_ptr((self.functions.duckdb_library_version)()).to_string_lossy()
        })
    }

    fn load(&mut self, folder: &Path, schema: &str) -> Result<(), String> {
        self.run(schema)?;
        for table in TABLES {
            let file = folder.join(format!("{table}.tbl"));
            self.run(&format!(
                "COPY {table} FROM '{}' (FORMAT csv, DELIMITER '|', HEADER false)",
                file.display()
            ))?;
        }
        self.run("ANALYZE").map(|_| ())
    }

    /// Several statements are run in order; only the last one's rows would be given, so they go one by one.
    fn run(&mut self, sql: &str) -> Result<Sum, String> {
        let mut sum = Sum::default();
        // No text of ours has a semicolon inside a constant.
        for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            let text = CString::new(statement).map_err(|error| error.to_string())?;
            let f = &self.functions;
            // SAFETY: results and chunks are destroyed once, after what was read from them.
            unsafe {
                let mut result: QueryResult = std::mem::zeroed();
                if (f.duckdb_query)(self.conn, text.as_ptr(), &mut result) != 0 {
                    let why =
                        CStr::from_ptr((f.duckdb_result_error)(&mut result)).to_string_lossy().into_owned();
                    (f.duckdb_destroy_result)(&mut result);
                    return Err(why);
                }
                if statement.starts_with("select") {
                    sum = Sum::default();
                    loop {
                        let mut chunk = (f.duckdb_fetch_chunk)(result);
                        if chunk.is_null() {
                            break;
                        }
                        let read = self.read(chunk, &mut sum);
                        (f.duckdb_destroy_data_chunk)(&mut chunk);
                        read?;
                    }
                }
                (f.duckdb_destroy_result)(&mut result);
            }
        }
        Ok(sum)
    }
}

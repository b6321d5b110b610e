//! `lumos_result`: rows by cell for plain C, and packed for bindings.

use crate::batch::batch::Batch;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::ffi::abi::*;
use crate::ffi::connection::{Shared, status_letter};
use crate::ffi::error::ErrorObject;
use crate::ffi::guard::{Failure, guard_value, guard_with, status_of};
use crate::ffi::handle::{self, Lease};
use crate::ffi::packed::PackedRest;
use crate::ffi::text;
use crate::session::Portal;
use crate::session::result::{PreparedKind, ResultColumn};
use crate::sql::evaluate::row::RowSource;
use crate::sql::types::cast::{CastEnvironment, cast};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef, NumericKind};
use crate::sql::types::packed;
use crate::sql::types::text_form::datum_to_text;
use crate::sql::types::text_style::TextStyle;
use jiff::tz::TimeZone;
use std::ffi::{CString, c_char, c_void};

/// Names of columns in C's form.
#[derive(Debug)]
pub(crate) struct ColumnTexts {
    names: Vec<(CString, CString)>,
}

impl ColumnTexts {
    pub(crate) fn new(columns: &[ResultColumn]) -> ColumnTexts {
        let texts = |column: &ResultColumn| {
            (text::c_string(&column.name), text::c_string(&column.sql_type.to_string()))
        };
        ColumnTexts { names: columns.iter().map(texts).collect() }
    }

    /// Fills `out` as far as its `struct_size` goes.
    ///
    /// # Safety
    /// `out` is null or points to a `lumos_column_info` whose `struct_size` is set.
    pub(crate) unsafe fn describe(
        &self,
        columns: &[ResultColumn],
        index: u32,
        out: *mut lumos_column_info,
    ) -> std::result::Result<(), Failure> {
        let (Some(column), Some((name, type_name))) =
            (columns.get(index as usize), self.names.get(index as usize))
        else {
            return Err(Failure::Misuse("misuse: there is no such column"));
        };
        let (table_oid, table_column) = column.origin.unwrap_or((0, 0));
        let filled = lumos_column_info {
            struct_size: 0,
            type_oid: match column.sql_type.data_type {
                // A literal that nothing gave a type goes out as text.
                DataType::Unknown => DataType::Text.oid(),
                other => other.oid(),
            },
            type_mod: column.sql_type.modifier,
            table_oid,
            table_column: table_column as i32,
            nullable: i32::from(column.nullable),
            name: name.as_ptr(),
            type_name: type_name.as_ptr(),
        };
        // SAFETY: passed on from the caller.
        if !unsafe { write_sized(out, filled) } {
            return Err(Failure::Misuse("misuse: the lumos_column_info is null or has no struct_size"));
        }
        Ok(())
    }
}

/// Copies `filled` but its first field into `*out`, at most as many bytes as `*out` says it has.
///
/// # Safety
/// `out` is null or points to a struct of `T`'s layout that begins with its own size as `u32` and has at
/// least that many writable bytes.
unsafe fn write_sized<T>(out: *mut T, filled: T) -> bool {
    if out.is_null() {
        return false;
    }
    // SAFETY: not null; the struct begins with a `u32` by this function's contract.
    let size = unsafe { out.cast::<u32>().read() } as usize;
    let size = size.min(size_of::<T>());
    if size <= size_of::<u32>() {
        return false;
    }
    let from = std::ptr::from_ref(&filled).cast::<u8>();
    // SAFETY: both sides have `size` bytes: `out` says so, `filled` is a whole `T`.
    unsafe {
        std::ptr::copy_nonoverlapping(
            from.add(size_of::<u32>()),
            out.cast::<u8>().add(size_of::<u32>()),
            size - size_of::<u32>(),
        );
    }
    true
}

/// Fills `*info` where it is not null.
///
/// # Safety
/// `info` is null or points to a `lumos_run_info` whose `struct_size` is set.
pub(crate) unsafe fn write_info(info: *mut lumos_run_info, filled: lumos_run_info) {
    // SAFETY: passed on from the caller.
    unsafe { write_sized(info, filled) };
}

/// Where a result's rows come from.
#[derive(Debug)]
pub(crate) enum Rows {
    /// A running statement.
    Streaming(Portal),
    /// Rows of the short path that did not fit into the caller's buffer: only packed.
    Packed {
        /// The rows.
        rest: PackedRest,
        /// Their columns.
        columns: Arc<[ResultColumn]>,
        /// What the statement did.
        kind: PreparedKind,
        /// Rows changed.
        affected: Option<u64>,
    },
    /// All rows, kept: `lumos_db_query`.
    Kept {
        /// The batches, in reverse.
        batches: Vec<Batch>,
        /// Their columns.
        columns: Arc<[ResultColumn]>,
        /// The command tag.
        tag: String,
        /// Rows changed.
        affected: Option<u64>,
    },
}

/// A result with the batch and row it stands at.
#[derive(Debug)]
pub struct ResultObject {
    shared: Arc<Shared>,
    rows: Rows,
    zone: TimeZone,
    style: TextStyle,
    columns: Arc<[ResultColumn]>,
    texts: ColumnTexts,
    tag: CString,
    batch: Batch,
    /// Position in the (compacted) batch of the next row; the current row is the one before it.
    next_row: usize,
    on_row: bool,
    finished: bool,
    /// Text forms of the current row's cells, made when asked for.
    cells: Vec<Option<CString>>,
    last_error: *mut lumos_error,
    scratch: Vec<u8>,
}

// SAFETY: `last_error` is a handle, a number that is never followed.
unsafe impl Send for ResultObject {}

struct BatchRow<'a> {
    batch: &'a Batch,
    row: usize,
}

impl RowSource for BatchRow<'_> {
    fn datum(&self, index: usize) -> DatumRef<'_> {
        self.batch.columns[index].datum(self.row)
    }
}

impl ResultObject {
    pub(crate) fn new(shared: Arc<Shared>, rows: Rows, (zone, style): (TimeZone, TextStyle)) -> ResultObject {
        let columns = match &rows {
            Rows::Streaming(portal) => Arc::clone(portal.columns()),
            Rows::Packed { columns, .. } | Rows::Kept { columns, .. } => Arc::clone(columns),
        };
        ResultObject {
            shared,
            zone,
            style,
            texts: ColumnTexts::new(&columns),
            cells: vec![None; columns.len()],
            columns,
            rows,
            tag: CString::default(),
            batch: Batch::default(),
            next_row: 0,
            on_row: false,
            finished: false,
            last_error: std::ptr::null_mut(),
            scratch: Vec::new(),
        }
    }

    fn affected(&self) -> i64 {
        let affected = match &self.rows {
            Rows::Streaming(portal) => portal.affected(),
            Rows::Packed { affected, .. } | Rows::Kept { affected, .. } => *affected,
        };
        affected.map_or(-1, |count| count as i64)
    }

    fn tag_text(&self) -> String {
        match &self.rows {
            Rows::Streaming(portal) => portal.tag(),
            Rows::Packed { kind, affected, .. } => kind.tag(affected.unwrap_or(0)),
            Rows::Kept { tag, .. } => tag.clone(),
        }
    }

    /// Makes `self.batch` hold at least one row that was not given out; false at the end.
    fn fill(&mut self) -> std::result::Result<bool, Failure> {
        loop {
            if self.next_row < self.batch.rows {
                return Ok(true);
            }
            if self.finished {
                return Ok(false);
            }
            let batch = match &mut self.rows {
                Rows::Streaming(portal) => self.shared.session()?.fetch(portal)?,
                Rows::Kept { batches, .. } => batches.pop(),
                Rows::Packed { .. } => {
                    return Err(Failure::Misuse(
                        "misuse: the rest of lumos_run is read with lumos_fetch_packed",
                    ));
                }
            };
            self.next_row = 0;
            match batch {
                Some(batch) => self.batch = batch.compact(),
                None => {
                    self.batch = Batch::default();
                    self.finished = true;
                }
            }
        }
    }

    fn next(&mut self) -> std::result::Result<lumos_status, Failure> {
        self.cells.fill(None);
        self.on_row = false;
        if !self.fill()? {
            return Ok(LUMOS_DONE);
        }
        self.next_row += 1;
        self.on_row = true;
        Ok(LUMOS_ROW)
    }

    /// Whole rows into `buffer`.
    ///
    /// # Safety
    /// `info` is null or points to a `lumos_run_info` whose `struct_size` is set.
    pub(crate) unsafe fn fetch_packed(
        &mut self,
        buffer: &mut [u8],
        rows_max: u32,
        info: *mut lumos_run_info,
    ) -> std::result::Result<lumos_status, Failure> {
        self.on_row = false;
        let (mut used, mut rows, mut needed) = (0, 0u32, 0);
        let mut more = true;
        while rows < rows_max {
            let room = buffer.len() - used;
            if let Rows::Packed { rest, .. } = &mut self.rows {
                let Some(row) = rest.peek() else {
                    more = false;
                    break;
                };
                if row.len() > room {
                    needed = row.len();
                    break;
                }
                buffer[used..used + row.len()].copy_from_slice(row);
                used += row.len();
                rest.advance();
            } else {
                if !self.fill()? {
                    more = false;
                    break;
                }
                let row = BatchRow { batch: &self.batch, row: self.next_row };
                let count = self.columns.len();
                let Some(bytes) = row.write_packed(count, &mut buffer[used..], &mut self.scratch) else {
                    needed = packed::row_bytes(count, |index| row.datum(index), &mut self.scratch);
                    break;
                };
                used += bytes;
                self.next_row += 1;
            }
            rows += 1;
        }
        let (sequence, txn_status) = match self.shared.session() {
            Ok(session) => (session.cancel_token().sequence(), status_letter(&session)),
            Err(_) => (0, 0),
        };
        let filled = lumos_run_info {
            struct_size: 0,
            rows,
            used: used as u64,
            affected: self.affected(),
            sequence,
            needed: needed as u64,
            txn_status,
            reserved: 0,
        };
        // SAFETY: passed on from the caller.
        unsafe { write_info(info, filled) };
        Ok(match (more, rows) {
            (false, _) => LUMOS_DONE,
            (true, 0) if needed > 0 => LUMOS_MORE,
            (true, _) => LUMOS_ROW,
        })
    }

    /// The current row's value.
    fn cell(&self, index: u32) -> std::result::Result<DatumRef<'_>, Failure> {
        if !self.on_row {
            return Err(Failure::Misuse("misuse: the result stands on no row"));
        }
        let column = self
            .batch
            .columns
            .get(index as usize)
            .ok_or(Failure::Misuse("misuse: there is no such column"))?;
        Ok(column.datum(self.next_row - 1))
    }

    /// The current row's value as another type, by SQL's casts; a failure is kept for `lumos_result_last_error`.
    fn converted(&mut self, index: u32, target: DataType) -> std::result::Result<Datum, Failure> {
        let from =
            self.columns.get(index as usize).map_or(DataType::Unknown, |column| column.sql_type.data_type);
        let environment = CastEnvironment { zone: &self.zone, now: 0, style: self.style };
        let value = self.cell(index)?;
        if value.is_null() {
            return Ok(Datum::Null);
        }
        if from == target {
            return Ok(value.to_owned());
        }
        let result = cast(value, from, SqlType::plain(target), true, &environment);
        result.map_err(|error| self.keep_error(error))
    }

    fn keep_error(&mut self, error: Error) -> Failure {
        let status = status_of(&error);
        let object = handle::insert(ErrorObject::new(error.clone(), status)).unwrap_or(std::ptr::null_mut());
        let before = std::mem::replace(&mut self.last_error, object);
        handle::close::<ErrorObject, _>(before);
        Failure::Error(error)
    }

    fn text_of(&mut self, index: u32) -> std::result::Result<Option<&CString>, Failure> {
        let value = self.cell(index)?;
        if value.is_null() {
            return Ok(None);
        }
        if self.cells[index as usize].is_none() {
            let mut out = String::new();
            let environment = CastEnvironment { zone: &self.zone, now: 0, style: self.style };
            datum_to_text(value, self.columns[index as usize].sql_type.data_type, &environment, &mut out);
            let cell =
                CString::new(out).map_err(|_| Failure::Error(Error::internal("a text with a NUL byte")))?;
            self.cells[index as usize] = Some(cell);
        }
        Ok(self.cells[index as usize].as_ref())
    }
}

impl Drop for ResultObject {
    fn drop(&mut self) {
        handle::close::<ErrorObject, _>(self.last_error);
    }
}

/// Leases the result and runs `body`; a panic aborts the connection's transaction.
fn with_result(
    result: *const lumos_result,
    err: *mut *mut lumos_error,
    body: impl FnOnce(&mut ResultObject) -> std::result::Result<lumos_status, Failure>,
) -> lumos_status {
    let mut lease: Option<Lease<ResultObject>> = None;
    let target = std::ptr::from_mut(&mut lease);
    guard_with(
        err,
        || body(lease.insert(handle::lease(result)?)),
        || {
            // SAFETY: `lease` outlives the guard; the body that wrote it has ended by its panic.
            if let Some(object) = unsafe { (*target).as_ref() } {
                object.shared.after_panic();
            }
        },
    )
}

fn look<T>(
    result: *const lumos_result,
    otherwise: T,
    read: impl FnOnce(&mut ResultObject) -> std::result::Result<T, Failure>,
) -> T {
    guard_value(otherwise, || read(&mut *handle::lease::<ResultObject, _>(result)?))
}

/// Columns; 0: no rows come. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_result_column_count(result: *const lumos_result) -> u32 {
    look(result, 0, |object| Ok(object.columns.len() as u32))
}

/// Describes column `index` (from 0). Since 1.0.
///
/// # Safety
/// `out` points to a `lumos_column_info` whose `struct_size` is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_result_column(
    result: *const lumos_result,
    index: u32,
    out: *mut lumos_column_info,
) -> lumos_status {
    with_result(result, std::ptr::null_mut(), |object| {
        // SAFETY: by this function's contract.
        unsafe { object.texts.describe(&object.columns, index, out)? };
        Ok(LUMOS_OK)
    })
}

/// The command tag, e.g. `"INSERT 0 3"`, with the rows so far; borrowed until the next call. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_result_tag(result: *const lumos_result) -> *const c_char {
    look(result, c"".as_ptr(), |object| {
        object.tag = text::c_string(&object.tag_text());
        Ok(object.tag.as_ptr())
    })
}

/// Rows changed; −1: not a data-changing statement. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_result_affected(result: *const lumos_result) -> i64 {
    look(result, -1, |object| Ok(object.affected()))
}

/// Goes to the next row: `LUMOS_ROW` or `LUMOS_DONE`. Since 1.0.
///
/// # Safety
/// `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_result_next(
    result: *mut lumos_result,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_result(result, err, ResultObject::next)
}

/// Closes a result and stops the rest of its statement; null is fine. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_result_close(result: *mut lumos_result) {
    guard_value((), || {
        handle::close::<ResultObject, _>(result);
        Ok(())
    });
}

/// Whether the current row's value is NULL (true also where there is no row or column). Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_get_is_null(result: *const lumos_result, index: u32) -> bool {
    look(result, true, |object| Ok(object.cell(index)?.is_null()))
}

/// The value as a boolean, cast as SQL would; false for NULL and on failure (`lumos_result_last_error`). Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_get_bool(result: *const lumos_result, index: u32) -> bool {
    look(result, false, |object| {
        Ok(matches!(object.converted(index, DataType::Boolean)?, Datum::Boolean(true)))
    })
}

/// The value as an integer, cast as SQL would; 0 for NULL and on failure (`lumos_result_last_error`). Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_get_int64(result: *const lumos_result, index: u32) -> i64 {
    look(result, 0, |object| {
        if let DatumRef::BigInt(value) = object.cell(index)? {
            return Ok(value);
        }
        Ok(if let Datum::BigInt(value) = object.converted(index, DataType::BigInt)? { value } else { 0 })
    })
}

/// The value as a double, cast as SQL would; 0 for NULL and on failure (`lumos_result_last_error`). Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_get_double(result: *const lumos_result, index: u32) -> f64 {
    look(result, 0.0, |object| {
        if let DatumRef::Double(value) = object.cell(index)? {
            return Ok(value);
        }
        Ok(if let Datum::Double(value) = object.converted(index, DataType::Double)? { value } else { 0.0 })
    })
}

/// The value of any type in PostgreSQL's output format, ending with NUL; null for NULL. `length`: null, or
/// the bytes before the NUL. Good until the next call of `lumos_result_next` or `lumos_result_close`. Since 1.0.
///
/// # Safety
/// `length` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_get_text(
    result: *const lumos_result,
    index: u32,
    length: *mut usize,
) -> *const c_char {
    look(result, std::ptr::null(), |object| {
        let Some(cell) = object.text_of(index)? else { return Ok(std::ptr::null()) };
        if !length.is_null() {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { length.write(cell.as_bytes().len()) };
        }
        Ok(cell.as_ptr())
    })
}

/// The bytes of a bytea or text value, without a copy; null for NULL and other types. Good until the next
/// call of `lumos_result_next` or `lumos_result_close`. Since 1.0.
///
/// # Safety
/// `length` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_get_bytes(
    result: *const lumos_result,
    index: u32,
    length: *mut usize,
) -> *const c_void {
    look(result, std::ptr::null(), |object| {
        let bytes = match object.cell(index)? {
            DatumRef::Bytes(bytes) => bytes,
            DatumRef::Text(text) => text.as_bytes(),
            _ => return Ok(std::ptr::null()),
        };
        if !length.is_null() {
            // SAFETY: not null, and by this function's contract writable.
            unsafe { length.write(bytes.len()) };
        }
        // An empty slice may lie anywhere: give C something it may compare with null.
        Ok(if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr().cast() })
    })
}

/// The value as `(high << 64 | low) × 10^-scale`; false for NULL, NaN, infinities and on failure. Since 1.0.
///
/// # Safety
/// The three out-parameters are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_get_numeric(
    result: *const lumos_result,
    index: u32,
    high: *mut i64,
    low: *mut u64,
    scale: *mut i32,
) -> bool {
    look(result, false, |object| {
        let Datum::Numeric(value) = object.converted(index, DataType::Numeric)? else { return Ok(false) };
        if value.kind != NumericKind::Finite || high.is_null() || low.is_null() || scale.is_null() {
            return Ok(false);
        }
        // SAFETY: not null, and by this function's contract writable.
        unsafe { high.write((value.mantissa >> 64) as i64) };
        // SAFETY: as above.
        unsafe { low.write(value.mantissa as u64) };
        // SAFETY: as above.
        unsafe { scale.write(i32::from(value.scale)) };
        Ok(true)
    })
}

/// A date, timestamp or timestamptz as microseconds since 1970-01-01 00:00:00 (UTC for timestamptz);
/// `INT64_MIN` and `INT64_MAX` are the infinities; 0 for NULL and on failure. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_get_timestamp(result: *const lumos_result, index: u32) -> i64 {
    look(result, 0, |object| {
        if let DatumRef::TimestampTz(micros) = object.cell(index)? {
            return Ok(micros);
        }
        Ok(if let Datum::Timestamp(micros) = object.converted(index, DataType::Timestamp)? {
            micros
        } else {
            0
        })
    })
}

/// Why the last conversion of this result failed; borrowed until the next one; null: none did. Since 1.0.
#[unsafe(no_mangle)]
pub extern "C" fn lumos_result_last_error(result: *const lumos_result) -> *const lumos_error {
    look(result, std::ptr::null(), |object| Ok(object.last_error.cast_const()))
}

/// Whole rows into a buffer, at most `max_rows`, each the body of a PostgreSQL DataRow in binary: column
/// count i16, then for each column its length i32 (−1: NULL) and PostgreSQL's binary form, big-endian.
/// `LUMOS_ROW`: rows are there and more may follow. `LUMOS_DONE`: these are the last. `LUMOS_MORE`: the next
/// row needs `info->needed` bytes. Since 1.0.
///
/// # Safety
/// `buffer` has `capacity` writable bytes; `info` is null or points to a `lumos_run_info` whose
/// `struct_size` is set; `err` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lumos_fetch_packed(
    result: *mut lumos_result,
    buffer: *mut u8,
    capacity: usize,
    max_rows: u32,
    info: *mut lumos_run_info,
    err: *mut *mut lumos_error,
) -> lumos_status {
    with_result(result, err, |object| {
        let buffer: &mut [u8] = if buffer.is_null() || capacity == 0 {
            &mut []
        } else {
            // SAFETY: not null, and by this function's contract writable for `capacity` bytes.
            unsafe { std::slice::from_raw_parts_mut(buffer, capacity) }
        };
        // SAFETY: by this function's contract.
        unsafe { object.fetch_packed(buffer, max_rows, info) }
    })
}

/// All rows of a portal, for `lumos_db_query`.
pub(crate) fn keep_all(
    session: &mut crate::session::Session,
    mut portal: Portal,
    batches_max: usize,
) -> Result<Rows> {
    let columns = Arc::clone(portal.columns());
    let mut batches = Vec::new();
    while let Some(batch) = session.fetch(&mut portal)? {
        if batches.len() >= batches_max {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many rows to keep them all")
                .hint("lumos_query streams its rows."));
        }
        batches.push(batch.compact());
    }
    batches.reverse();
    let rows = Rows::Kept { batches, columns, tag: portal.tag(), affected: portal.affected() };
    session.close(portal);
    Ok(rows)
}

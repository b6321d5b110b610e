//! The types and constants of the header. Values are never reused.
#![allow(non_camel_case_types, reason = "these are the names of the C header")]

/// Major number of the interface: a host refuses another one.
pub const LUMOS_ABI_MAJOR: u32 = 1;
/// Minor number: grows when functions or constants are added.
pub const LUMOS_ABI_MINOR: u32 = 2;
/// A length: "the text ends with NUL".
pub const LUMOS_NTS: usize = usize::MAX;

/// What a call returns: `>= 0` success, `< 0` failure.
pub type lumos_status = i32;

/// Success.
pub const LUMOS_OK: lumos_status = 0;
/// Rows are ready.
pub const LUMOS_ROW: lumos_status = 1;
/// No more rows, or nothing left to do.
pub const LUMOS_DONE: lumos_status = 2;
/// The caller's buffer was too small for the next row: see `needed`, call again.
pub const LUMOS_MORE: lumos_status = 3;
/// Failure: the `lumos_error` says which by SQLSTATE.
pub const LUMOS_ERROR: lumos_status = -1;
/// A contract of this header was broken: null, closed or foreign handle, a second thread, a bad index.
pub const LUMOS_MISUSE: lumos_status = -2;
/// 55P03, or another process holds the file (55006).
pub const LUMOS_BUSY: lumos_status = -3;
/// 57014.
pub const LUMOS_INTERRUPTED: lumos_status = -4;
/// 40001 or 40P01: retry the transaction.
pub const LUMOS_CONFLICT: lumos_status = -5;
/// Class 23.
pub const LUMOS_CONSTRAINT: lumos_status = -6;
/// 25006.
pub const LUMOS_READONLY: lumos_status = -7;
/// 53200.
pub const LUMOS_NOMEM: lumos_status = -8;
/// Class 58, and 53100.
pub const LUMOS_IOERR: lumos_status = -9;
/// XX001, XX002.
pub const LUMOS_CORRUPT: lumos_status = -10;
/// XX000: a bug in Lumos; the connection's transaction is aborted.
pub const LUMOS_PANIC: lumos_status = -11;

/// Options for opening a database. One thread at a time.
#[derive(Debug)]
pub struct lumos_config {
    _private: [u8; 0],
}

/// An open database. Any thread.
#[derive(Debug)]
pub struct lumos_db {
    _private: [u8; 0],
}

/// A connection. One thread at a time, not tied to a thread.
#[derive(Debug)]
pub struct lumos_conn {
    _private: [u8; 0],
}

/// A prepared statement. As its connection.
#[derive(Debug)]
pub struct lumos_stmt {
    _private: [u8; 0],
}

/// Rows. As its connection while they stream.
#[derive(Debug)]
pub struct lumos_result {
    _private: [u8; 0],
}

/// What went wrong. Immutable; any thread.
#[derive(Debug)]
pub struct lumos_error {
    _private: [u8; 0],
}

/// Parsed statements. Immutable; any thread.
#[derive(Debug)]
pub struct lumos_ast {
    _private: [u8; 0],
}

/// A backup under way. One thread at a time.
#[derive(Debug)]
pub struct lumos_backup {
    _private: [u8; 0],
}

/// Isolation: the `default_transaction_isolation` setting decides.
pub const LUMOS_ISO_DEFAULT: i32 = 0;
/// The same as read committed, as in PostgreSQL.
pub const LUMOS_ISO_READ_UNCOMMITTED: i32 = 1;
/// Each statement sees what was committed when it began.
pub const LUMOS_ISO_READ_COMMITTED: i32 = 2;
/// The transaction sees what was committed when its first statement began.
pub const LUMOS_ISO_REPEATABLE_READ: i32 = 3;
/// As if transactions ran one after the other: a statement or the commit may be refused with 40001, to be run again.
pub const LUMOS_ISO_SERIALIZABLE: i32 = 4;
/// `lumos_begin`: the transaction may not write.
pub const LUMOS_TXN_READ_ONLY: u32 = 1;

/// `lumos_prepare`: the statement will be run many times. (A hint; every statement's plan is cached today.)
pub const LUMOS_PREPARE_PERSISTENT: u32 = 1;

/// `lumos_stmt_kind`: a utility statement without a number of its own (EXPLAIN, COPY, ANALYZE, CHECKPOINT).
pub const LUMOS_STMT_OTHER: i32 = 0;
/// SELECT, VALUES, TABLE.
pub const LUMOS_STMT_SELECT: i32 = 1;
/// INSERT.
pub const LUMOS_STMT_INSERT: i32 = 2;
/// UPDATE.
pub const LUMOS_STMT_UPDATE: i32 = 3;
/// DELETE.
pub const LUMOS_STMT_DELETE: i32 = 4;
/// CREATE and DROP of tables, indexes and views; CREATE TABLE AS.
pub const LUMOS_STMT_DDL: i32 = 5;
/// BEGIN, COMMIT, ROLLBACK.
pub const LUMOS_STMT_TRANSACTION: i32 = 6;
/// SET, RESET, SHOW.
pub const LUMOS_STMT_SETTING: i32 = 7;

/// What `lumos_run` and `lumos_fetch_packed` tell beside the rows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lumos_run_info {
    /// In: `sizeof(lumos_run_info)`; fields past it are left alone.
    pub struct_size: u32,
    /// Rows in the buffer.
    pub rows: u32,
    /// Bytes in the buffer.
    pub used: u64,
    /// Rows changed; −1: not a data-changing statement.
    pub affected: i64,
    /// Of this statement, for `lumos_interrupt`.
    pub sequence: u64,
    /// With `LUMOS_MORE` and no rows: bytes that the next row needs.
    pub needed: u64,
    /// `'I'` idle, `'T'` in a transaction, `'E'` in a failed one.
    pub txn_status: u32,
    /// Zero.
    pub reserved: u32,
}

/// A column of a statement or result.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lumos_column_info {
    /// In: `sizeof(lumos_column_info)`; fields past it are left alone.
    pub struct_size: u32,
    /// PostgreSQL's type OID.
    pub type_oid: u32,
    /// As PostgreSQL's `atttypmod`; −1: none.
    pub type_mod: i32,
    /// The table it is a plain column of; 0: none.
    pub table_oid: u32,
    /// Position in that table, from 1; 0: none.
    pub table_column: i32,
    /// 1 yes, 0 no, −1 unknown.
    pub nullable: i32,
    /// Borrowed from the statement or result.
    pub name: *const std::ffi::c_char,
    /// `numeric(10,2)`; borrowed likewise.
    pub type_name: *const std::ffi::c_char,
}

// tests/c_abi/layout.c has the same numbers from the header.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<lumos_run_info>() == 48 && size_of::<lumos_column_info>() == 40);

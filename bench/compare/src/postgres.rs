//! PostgreSQL through libpq, over a local socket: `LUMOS_LIBPQ` names the library, `LUMOS_POSTGRES` says where the server
//! listens (`bench/run.sh` starts one of its own). Prepared statements, values and answers in binary.

use crate::side::{Class, Connection, Database, Failure, Field, Handle, Isolation, Rows, Statement, Value};
use crate::wire::{field, oid};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::null;
use std::sync::Arc;
use std::time::Duration;

type Pointer = *mut c_void;

crate::dynamic::functions! {
    PQlibVersion: fn() -> c_int;
    PQconnectdb: fn(*const c_char) -> Pointer;
    PQstatus: fn(Pointer) -> c_int;
    PQtransactionStatus: fn(Pointer) -> c_int;
    PQserverVersion: fn(Pointer) -> c_int;
    PQerrorMessage: fn(Pointer) -> *const c_char;
    PQexec: fn(Pointer, *const c_char) -> Pointer;
    PQprepare: fn(Pointer, *const c_char, *const c_char, c_int, *const u32) -> Pointer;
    PQexecPrepared: fn(Pointer, *const c_char, c_int, *const *const c_char, *const c_int, *const c_int, c_int) -> Pointer;
    PQresultStatus: fn(Pointer) -> c_int;
    PQresultErrorField: fn(Pointer, c_int) -> *const c_char;
    PQputCopyData: fn(Pointer, *const c_char, c_int) -> c_int;
    PQputCopyEnd: fn(Pointer, *const c_char) -> c_int;
    PQgetResult: fn(Pointer) -> Pointer;
    PQntuples: fn(Pointer) -> c_int;
    PQnfields: fn(Pointer) -> c_int;
    PQftype: fn(Pointer, c_int) -> u32;
    PQgetvalue: fn(Pointer, c_int, c_int) -> *const c_char;
    PQgetlength: fn(Pointer, c_int, c_int) -> c_int;
    PQgetisnull: fn(Pointer, c_int, c_int) -> c_int;
    PQclear: fn(Pointer);
    PQfinish: fn(Pointer);
}

const CONNECTION_OK: c_int = 0;
/// Of a transaction: there is none.
const TRANSACTION_IDLE: c_int = 0;
const EMPTY_QUERY: c_int = 0;
const COMMAND_OK: c_int = 1;
const TUPLES_OK: c_int = 2;
const COPY_IN: c_int = 4;
/// The field of an error that has its SQLSTATE.
const SQLSTATE: c_int = b'C' as c_int;
/// Parameters of a statement, at most.
const PARAMETERS: usize = 16;
/// Bytes of rows handed over at once.
const COPIED_AT_ONCE: usize = 1 << 20;

/// A server to connect to.
pub struct PostgresDatabase {
    functions: Arc<Functions>,
    conninfo: CString,
}

// SAFETY: functions of a library that stays loaded, and text.
unsafe impl Sync for PostgresDatabase {}

impl PostgresDatabase {
    /// The server that the environment names.
    ///
    /// # Errors
    /// What is missing.
    pub fn from_environment() -> Result<PostgresDatabase, String> {
        let wanted = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("{name} is not set: run `make bench` where PostgreSQL is installed"))
        };
        let conninfo = CString::new(wanted("LUMOS_POSTGRES")?).map_err(|error| error.to_string())?;
        // SAFETY: its initialisers are those that every client of it runs.
        let library = unsafe { Library::open(Some(wanted("LUMOS_LIBPQ")?), RTLD_NOW | RTLD_LOCAL) };
        let functions = Functions::load(library.map_err(|error| error.to_string())?)?;
        Ok(PostgresDatabase { functions: Arc::new(functions), conninfo })
    }

    /// The server's version, as it says it.
    pub fn version(&self) -> String {
        let connection = self.connect(Class::Full);
        // SAFETY: an open connection.
        let (server, library) =
            unsafe { ((self.functions.PQserverVersion)(connection.conn), (self.functions.PQlibVersion)()) };
        let text = |number: c_int| format!("{}.{}", number / 10_000, number % 10_000);
        format!("{}, libpq {}", text(server), text(library))
    }
}

impl Database for PostgresDatabase {
    type Connection = PostgresConnection;

    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn connect(&self, class: Class) -> PostgresConnection {
        // SAFETY: a NUL-terminated text.
        let conn = unsafe { (self.functions.PQconnectdb)(self.conninfo.as_ptr()) };
        let mut connection = PostgresConnection {
            functions: Arc::clone(&self.functions),
            conn,
            statements: Statement::texts().map(|sql| (sql, false)).collect(),
        };
        // SAFETY: a connection, be it a broken one.
        if unsafe { (self.functions.PQstatus)(conn) } != CONNECTION_OK {
            connection.fail("connect");
        }
        connection.execute("SET client_min_messages = warning");
        connection.execute(match class {
            Class::Full => "SET synchronous_commit = on",
            Class::Normal | Class::Off => "SET synchronous_commit = off",
        });
        connection
    }

    /// Whether anything is synced at all is a setting of the server.
    fn enter(&self, class: Class) {
        let wanted = if class == Class::Off { "off" } else { "on" };
        let mut connection = self.connect(Class::Normal);
        if connection.setting("fsync") == wanted {
            return;
        }
        connection.execute(&format!("ALTER SYSTEM SET fsync = {wanted}"));
        connection.execute("SELECT pg_reload_conf()");
        while self.connect(Class::Normal).setting("fsync") != wanted {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log_bytes(&self) -> u64 {
        let ask = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint";
        self.connect(Class::Normal).ask(ask)[0] as u64
    }
}

pub struct PostgresConnection {
    functions: Arc<Functions>,
    conn: Pointer,
    /// The text, and whether the server has it.
    statements: Vec<(&'static str, bool)>,
}

// SAFETY: a libpq connection may be used by any thread, one at a time.
unsafe impl Send for PostgresConnection {}

impl Drop for PostgresConnection {
    fn drop(&mut self) {
        // SAFETY: our connection, used no more.
        unsafe { (self.functions.PQfinish)(self.conn) }
    }
}

impl PostgresConnection {
    fn fail(&self, what: &str) -> ! {
        // SAFETY: a connection of ours; the text is copied at once.
        let message = unsafe { CStr::from_ptr((self.functions.PQerrorMessage)(self.conn)) };
        panic!("postgresql: {what}: {}", message.to_string_lossy());
    }

    /// The result, when it is no error; an error is cleared.
    fn checked(&self, result: Pointer, what: &str) -> Result<Pointer, Failure> {
        // SAFETY: a result, or null, which has a status too.
        let status = unsafe { (self.functions.PQresultStatus)(result) };
        if [EMPTY_QUERY, COMMAND_OK, TUPLES_OK, COPY_IN].contains(&status) && !result.is_null() {
            return Ok(result);
        }
        // SAFETY: a result or null, and a connection; the texts are copied before they go.
        unsafe {
            let state = (self.functions.PQresultErrorField)(result, SQLSTATE);
            let state = if state.is_null() { "".into() } else { CStr::from_ptr(state).to_string_lossy() };
            let words = CStr::from_ptr((self.functions.PQerrorMessage)(self.conn)).to_string_lossy();
            let message = format!("postgresql: {what}: {state} {words}");
            let is_retryable = ["40001", "40P01", "55P03"].contains(&&*state);
            (self.functions.PQclear)(result);
            Err(Failure { is_retryable, message })
        }
    }

    fn clear(&self, result: Pointer) {
        // SAFETY: a result of ours, used no more; null is fine.
        unsafe { (self.functions.PQclear)(result) }
    }

    /// The answer to a prepared statement; to be cleared.
    fn answer(&mut self, handle: Handle, values: &[Value<'_>]) -> Result<Pointer, Failure> {
        let name = statement_name(handle);
        let (sql, is_prepared) = self.statements[handle.0];
        if !is_prepared {
            let text = CString::new(sql).expect("no NUL");
            let types: Vec<u32> = values
                .iter()
                .map(|value| match value {
                    Value::Integer(_) => oid::INT8,
                    Value::Double(_) => oid::FLOAT8,
                    Value::Text(_) => oid::TEXT,
                })
                .collect();
            // SAFETY: NUL-terminated texts and as many types as said.
            let result = unsafe {
                let (name, text) = (name.as_ptr().cast(), text.as_ptr());
                (self.functions.PQprepare)(self.conn, name, text, types.len() as c_int, types.as_ptr())
            };
            self.clear(self.checked(result, sql)?);
            self.statements[handle.0].1 = true;
        }
        let numbers: [[u8; 8]; PARAMETERS] = std::array::from_fn(|index| match values.get(index) {
            Some(Value::Integer(number)) => number.to_be_bytes(),
            Some(Value::Double(number)) => number.to_be_bytes(),
            _ => [0; 8],
        });
        let mut pointers = [null(); PARAMETERS];
        let (mut lengths, formats) = ([8; PARAMETERS], [1; PARAMETERS]);
        for (index, value) in values.iter().enumerate() {
            pointers[index] = match value {
                Value::Text(text) => {
                    lengths[index] = text.len() as c_int;
                    text.as_ptr().cast()
                }
                _ => numbers[index].as_ptr().cast(),
            };
        }
        // SAFETY: as many values as said, each with its length; they live until the call returns.
        let result = unsafe {
            (self.functions.PQexecPrepared)(
                self.conn,
                name.as_ptr().cast(),
                values.len() as c_int,
                pointers.as_ptr(),
                lengths.as_ptr(),
                formats.as_ptr(),
                1,
            )
        };
        self.checked(result, sql)
    }
}

/// `s`, the number in hexadecimal digits, NUL.
fn statement_name(handle: Handle) -> [u8; 6] {
    let digit = |shift: usize| b"0123456789abcdef"[handle.0 >> shift & 15];
    [b's', digit(12), digit(8), digit(4), digit(0), 0]
}

impl Connection for PostgresConnection {
    fn begin(isolation: Isolation) -> &'static str {
        isolation.begin()
    }

    fn statement(&mut self, sql: &'static str) -> Handle {
        self.statements.push((sql, false));
        Handle(self.statements.len() - 1)
    }

    fn attempt(&mut self, sql: &str) -> Result<(), Failure> {
        let text = CString::new(sql).expect("no NUL");
        // SAFETY: an open connection and a NUL-terminated text.
        let result = unsafe { (self.functions.PQexec)(self.conn, text.as_ptr()) };
        self.clear(self.checked(result, sql)?);
        Ok(())
    }

    /// A COMMIT that fails ends its transaction; to end it once more would be a warning.
    fn roll_back(&mut self) {
        // SAFETY: a connection of ours.
        if unsafe { (self.functions.PQtransactionStatus)(self.conn) } != TRANSACTION_IDLE {
            self.execute("ROLLBACK");
        }
    }

    fn query(
        &mut self,
        handle: Handle,
        values: &[Value<'_>],
        each: &mut impl FnMut(Field<'_>),
    ) -> Result<u64, Failure> {
        let result = self.answer(handle, values)?;
        let functions = &self.functions;
        // SAFETY: a result of ours; its values have the lengths that it says, and are read before it is cleared.
        unsafe {
            let (rows, columns) = ((functions.PQntuples)(result), (functions.PQnfields)(result));
            for row in 0..rows {
                for column in 0..columns {
                    if (functions.PQgetisnull)(result, row, column) != 0 {
                        each(Field::Null);
                        continue;
                    }
                    let length = (functions.PQgetlength)(result, row, column) as usize;
                    let value = (functions.PQgetvalue)(result, row, column).cast();
                    let bytes = std::slice::from_raw_parts(value, length);
                    each(field((functions.PQftype)(result, column), Some(bytes)));
                }
            }
            (functions.PQclear)(result);
            Ok(rows as u64)
        }
    }

    fn setting(&mut self, name: &str) -> String {
        let text = CString::new(format!("SHOW {name}")).expect("no NUL");
        // SAFETY: as in `attempt`; the text is copied before the result is cleared.
        unsafe {
            let result = (self.functions.PQexec)(self.conn, text.as_ptr());
            let result = self.checked(result, name).expect("a setting of PostgreSQL");
            let value = CStr::from_ptr((self.functions.PQgetvalue)(result, 0, 0));
            let value = value.to_string_lossy().into_owned();
            (self.functions.PQclear)(result);
            value
        }
    }

    fn load(&mut self, table: &str, _columns: usize, rows: Rows<'_>) {
        self.execute(&format!("COPY {table} FROM STDIN"));
        let mut text = Vec::new();
        loop {
            let is_more = rows(&mut text);
            if text.len() >= COPIED_AT_ONCE || !is_more {
                let (data, length) = (text.as_ptr().cast(), text.len() as c_int);
                // SAFETY: a connection in COPY, and as many bytes as said.
                let taken = unsafe { (self.functions.PQputCopyData)(self.conn, data, length) };
                assert_eq!(taken, 1, "PostgreSQL takes rows of COPY");
                text.clear();
            }
            if !is_more {
                break;
            }
        }
        // SAFETY: a connection in COPY; its results are read until there are no more.
        unsafe {
            (self.functions.PQputCopyEnd)(self.conn, null());
            loop {
                let result = (self.functions.PQgetResult)(self.conn);
                if result.is_null() {
                    return;
                }
                self.clear(self.checked(result, table).expect("rows that PostgreSQL takes"));
            }
        }
    }

    fn settle(&mut self) {
        self.execute("VACUUM ANALYZE");
        self.execute("CHECKPOINT");
    }
}

//! PostgreSQL through libpq, over a local socket: `LUMOS_LIBPQ` names the library, `LUMOS_POSTGRES` says where the server
//! listens (`bench/run.sh` starts one of its own). Prepared statements, values and answers in binary.

use crate::random::Checksum;
use crate::side::{Class, Connection, Database, Statement, Value};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::null;
use std::sync::Arc;

type Pointer = *mut c_void;

crate::dynamic::functions! {
    PQlibVersion: fn() -> c_int;
    PQconnectdb: fn(*const c_char) -> Pointer;
    PQstatus: fn(Pointer) -> c_int;
    PQserverVersion: fn(Pointer) -> c_int;
    PQerrorMessage: fn(Pointer) -> *const c_char;
    PQexec: fn(Pointer, *const c_char) -> Pointer;
    PQprepare: fn(Pointer, *const c_char, *const c_char, c_int, *const u32) -> Pointer;
    PQexecPrepared: fn(Pointer, *const c_char, c_int, *const *const c_char, *const c_int, *const c_int, c_int) -> Pointer;
    PQresultStatus: fn(Pointer) -> c_int;
    PQntuples: fn(Pointer) -> c_int;
    PQnfields: fn(Pointer) -> c_int;
    PQftype: fn(Pointer, c_int) -> u32;
    PQgetvalue: fn(Pointer, c_int, c_int) -> *const c_char;
    PQgetlength: fn(Pointer, c_int, c_int) -> c_int;
    PQgetisnull: fn(Pointer, c_int, c_int) -> c_int;
    PQclear: fn(Pointer);
    PQfinish: fn(Pointer);
}

/// Object identifiers of types.
mod oid {
    pub const INT8: u32 = 20;
    pub const TEXT: u32 = 25;
    pub const FLOAT8: u32 = 701;
}

const CONNECTION_OK: c_int = 0;
const EMPTY_QUERY: c_int = 0;
const COMMAND_OK: c_int = 1;
const TUPLES_OK: c_int = 2;

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

    fn connect(&self, class: Class) -> PostgresConnection {
        // SAFETY: a NUL-terminated text.
        let conn = unsafe { (self.functions.PQconnectdb)(self.conninfo.as_ptr()) };
        let mut connection = PostgresConnection {
            functions: Arc::clone(&self.functions),
            conn,
            prepared: [false; Statement::COUNT],
        };
        // SAFETY: a connection, be it a broken one.
        if unsafe { (self.functions.PQstatus)(conn) } != CONNECTION_OK {
            connection.fail("connect");
        }
        connection.execute(match class {
            Class::Full => "SET synchronous_commit = on",
            Class::Normal => "SET synchronous_commit = off",
        });
        connection
    }

    fn syncs_and_commits(&self) -> Option<(i64, i64)> {
        None
    }
}

pub struct PostgresConnection {
    functions: Arc<Functions>,
    conn: Pointer,
    prepared: [bool; Statement::COUNT],
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

    /// The result, when it is no error.
    fn checked(&self, result: Pointer, what: &str) -> Pointer {
        // SAFETY: a result, or null, which has a status too.
        let status = unsafe { (self.functions.PQresultStatus)(result) };
        if ![EMPTY_QUERY, COMMAND_OK, TUPLES_OK].contains(&status) || result.is_null() {
            self.fail(what);
        }
        result
    }

    /// The answer to a prepared statement; to be cleared.
    fn answer(&mut self, statement: Statement, values: &[Value<'_>], binary: bool) -> Pointer {
        let name = CString::new(format!("s{}", statement as usize)).expect("no NUL");
        if !self.prepared[statement as usize] {
            let sql = CString::new(statement.sql()).expect("no NUL");
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
                let (name, sql) = (name.as_ptr(), sql.as_ptr());
                (self.functions.PQprepare)(self.conn, name, sql, types.len() as c_int, types.as_ptr())
            };
            let result = self.checked(result, statement.sql());
            // SAFETY: a result of ours.
            unsafe { (self.functions.PQclear)(result) };
            self.prepared[statement as usize] = true;
        }
        let numbers: [[u8; 8]; 8] = std::array::from_fn(|index| match values.get(index) {
            Some(Value::Integer(number)) => number.to_be_bytes(),
            Some(Value::Double(number)) => number.to_be_bytes(),
            _ => [0; 8],
        });
        let mut pointers = [null(); 8];
        let (mut lengths, formats) = ([8; 8], [1; 8]);
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
                name.as_ptr(),
                values.len() as c_int,
                pointers.as_ptr(),
                lengths.as_ptr(),
                formats.as_ptr(),
                c_int::from(binary),
            )
        };
        self.checked(result, statement.sql())
    }
}

impl Connection for PostgresConnection {
    fn execute(&mut self, sql: &str) {
        let text = CString::new(sql).expect("no NUL");
        // SAFETY: an open connection and a NUL-terminated text.
        let result = unsafe { (self.functions.PQexec)(self.conn, text.as_ptr()) };
        let result = self.checked(result, sql);
        // SAFETY: a result of ours.
        unsafe { (self.functions.PQclear)(result) };
    }

    fn run(&mut self, statement: Statement, values: &[Value<'_>], checksum: &mut Checksum) {
        let result = self.answer(statement, values, true);
        let functions = &self.functions;
        // SAFETY: a result of ours; its values have the lengths that it says, and are read before it is cleared.
        unsafe {
            let columns = (functions.PQnfields)(result);
            for row in 0..(functions.PQntuples)(result) {
                checksum.rows += 1;
                for column in 0..columns {
                    if (functions.PQgetisnull)(result, row, column) != 0 {
                        checksum.null();
                        continue;
                    }
                    let length = (functions.PQgetlength)(result, row, column) as usize;
                    let value = (functions.PQgetvalue)(result, row, column).cast();
                    let bytes = std::slice::from_raw_parts(value, length);
                    let number = || bytes.try_into().expect("a number of eight bytes");
                    match (functions.PQftype)(result, column) {
                        oid::INT8 => checksum.integer(i64::from_be_bytes(number())),
                        oid::FLOAT8 => checksum.double(f64::from_be_bytes(number())),
                        _ => checksum.bytes(bytes),
                    }
                }
            }
            (functions.PQclear)(result);
        }
    }

    fn integers(&mut self, statement: Statement) -> Vec<i64> {
        let result = self.answer(statement, &[], false);
        // SAFETY: a result of ours with texts that end with NUL; they are read before it is cleared.
        unsafe {
            let columns = (self.functions.PQnfields)(result);
            let text =
                |column| CStr::from_ptr((self.functions.PQgetvalue)(result, 0, column)).to_string_lossy();
            let numbers = (0..columns).map(|column| text(column).parse().expect("an integer")).collect();
            (self.functions.PQclear)(result);
            numbers
        }
    }

    fn setting(&mut self, name: &str) -> String {
        let text = CString::new(format!("SHOW {name}")).expect("no NUL");
        // SAFETY: as in `execute`; the text is copied before the result is cleared.
        unsafe {
            let result = self.checked((self.functions.PQexec)(self.conn, text.as_ptr()), name);
            let value = CStr::from_ptr((self.functions.PQgetvalue)(result, 0, 0));
            let value = value.to_string_lossy().into_owned();
            (self.functions.PQclear)(result);
            value
        }
    }
}

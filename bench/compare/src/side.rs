//! What a workload asks of an engine. Knows no engine.

use crate::random::Checksum;

/// A value sent with a statement.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Integer(i64),
    Double(f64),
    Text(&'a str),
}

/// A value of an answer.
#[derive(Clone, Copy)]
pub enum Field<'a> {
    Null,
    Integer(i64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// The prepared statements of the workloads on accounts and events; every connection knows them from the start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    Point,
    Range,
    Scan,
    Update,
    InsertAccount,
    InsertEvent,
    Begin,
    Commit,
    SumAccounts,
    SumEvents,
}

impl Statement {
    const ALL: [Statement; 10] = [
        Statement::Point,
        Statement::Range,
        Statement::Scan,
        Statement::Update,
        Statement::InsertAccount,
        Statement::InsertEvent,
        Statement::Begin,
        Statement::Commit,
        Statement::SumAccounts,
        Statement::SumEvents,
    ];

    /// The texts of all, each where its handle points.
    pub fn texts() -> impl Iterator<Item = &'static str> {
        Statement::ALL.into_iter().map(Statement::sql)
    }

    pub fn handle(self) -> Handle {
        Handle(self as usize)
    }

    pub fn sql(self) -> &'static str {
        match self {
            Statement::Point => "SELECT balance, score, name FROM accounts WHERE id = $1",
            Statement::Range => {
                "SELECT id, balance, score, name FROM accounts WHERE id >= $1 AND id < $2 ORDER BY id"
            }
            Statement::Scan => "SELECT count(*), sum(balance), avg(score) FROM accounts WHERE balance < $1",
            Statement::Update => "UPDATE accounts SET balance = balance + $2 WHERE id = $1",
            Statement::InsertAccount => {
                "INSERT INTO accounts (id, balance, score, name, filler) VALUES ($1, $2, $3, $4, $5)"
            }
            Statement::InsertEvent => {
                "INSERT INTO events (id, account_id, amount, note) VALUES ($1, $2, $3, $4)"
            }
            Statement::Begin => "BEGIN",
            Statement::Commit => "COMMIT",
            Statement::SumAccounts => "SELECT count(*), sum(balance) FROM accounts",
            Statement::SumEvents => "SELECT count(*), sum(amount), sum(account_id) FROM events",
        }
    }
}

/// A statement of one connection; it is prepared when it first runs.
#[derive(Clone, Copy)]
pub struct Handle(pub usize);

/// What a commit waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// For the disk.
    Full,
    /// For nothing that power loss could take a whole file for; the last transactions may go.
    Normal,
    /// For nothing.
    Off,
}

/// How far transactions see of each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    /// How PostgreSQL and Lumos begin it.
    pub fn begin(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "BEGIN",
            Isolation::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }
}

/// A statement that was refused.
#[derive(Debug)]
pub struct Failure {
    /// Whether the same transaction may succeed when it is run again.
    pub is_retryable: bool,
    /// The engine, its code and its words.
    pub message: String,
}

/// Appends rows to a buffer as the text format of COPY has them (values between tabs, a line each, `\N` for NULL; ours
/// never need another escape), one or several; false: there are no more.
pub type Rows<'a> = &'a mut dyn FnMut(&mut Vec<u8>) -> bool;

/// One open database.
pub trait Database: Sync {
    type Connection: Connection;

    fn name(&self) -> &'static str;

    fn connect(&self, class: Class) -> Self::Connection;

    /// Settings of the whole database that commits of a class need.
    fn enter(&self, _class: Class) {}

    /// Syncs of the log and commits so far, where the engine tells.
    fn syncs_and_commits(&self) -> Option<(i64, i64)> {
        None
    }

    /// Bytes logged so far; for an engine that does not tell, bytes that this process wrote.
    fn log_bytes(&self) -> u64;
}

/// One connection with its prepared statements.
pub trait Connection: Send {
    /// How a transaction that is going to write begins.
    fn begin(isolation: Isolation) -> &'static str;

    /// Names a statement; the same text gives a new handle each time.
    fn statement(&mut self, sql: &'static str) -> Handle;

    /// Runs a text.
    fn attempt(&mut self, sql: &str) -> Result<(), Failure>;

    /// Ends the transaction that a failure left open, if it left one.
    fn roll_back(&mut self) {
        // Where there is none, that is all that this says.
        let _ = self.attempt("ROLLBACK");
    }

    /// Runs a statement and hands out every value of every row; gives the number of rows.
    fn query(
        &mut self,
        handle: Handle,
        values: &[Value<'_>],
        each: &mut impl FnMut(Field<'_>),
    ) -> Result<u64, Failure>;

    /// A setting as the engine reads it back.
    fn setting(&mut self, name: &str) -> String;

    /// Makes a table from what stands between its parentheses; narrow: rows of a few dozen bytes.
    fn create_table(&mut self, name: &str, columns: &str, _is_narrow: bool) {
        self.execute(&format!("CREATE TABLE {name} ({columns})"));
    }

    /// Puts rows into a table in one transaction.
    fn load(&mut self, table: &str, columns: usize, rows: Rows<'_>);

    /// After a load: statistics for the planner, everything in its final place on the disk.
    fn settle(&mut self);

    /// Runs a text that cannot fail.
    fn execute(&mut self, sql: &str) {
        if let Err(failure) = self.attempt(sql) {
            panic!("{sql}: {}", failure.message);
        }
    }

    /// Runs a statement that cannot fail and reads every value of every row.
    fn run(&mut self, statement: Statement, values: &[Value<'_>], checksum: &mut Checksum) {
        if let Err(failure) = self.add(statement.handle(), values, checksum) {
            panic!("{}: {}", statement.sql(), failure.message);
        }
    }

    /// Runs a statement and adds up every value of every row.
    fn add(&mut self, handle: Handle, values: &[Value<'_>], checksum: &mut Checksum) -> Result<(), Failure> {
        let rows = self.query(handle, values, &mut |field| match field {
            Field::Null => checksum.null(),
            Field::Integer(value) => checksum.integer(value),
            Field::Double(value) => checksum.double(value),
            Field::Bytes(value) => checksum.bytes(value),
        })?;
        checksum.rows += rows;
        Ok(())
    }

    /// All values of a statement that cannot fail and gives integers, row by row; NULL is 0.
    fn numbers(&mut self, handle: Handle) -> Vec<i64> {
        let mut out = Vec::new();
        let result = self.query(handle, &[], &mut |field| {
            out.push(if let Field::Integer(value) = field { value } else { 0 });
        });
        if let Err(failure) = result {
            panic!("a check: {}", failure.message);
        }
        out
    }

    fn integers(&mut self, statement: Statement) -> Vec<i64> {
        self.numbers(statement.handle())
    }

    /// As [`Connection::numbers`], of a text that is run once.
    fn ask(&mut self, sql: &'static str) -> Vec<i64> {
        let handle = self.statement(sql);
        self.numbers(handle)
    }
}

//! What a workload asks of an engine. Knows neither engine.

use crate::random::Checksum;

/// A value sent with a statement.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Integer(i64),
    Double(f64),
    Text(&'a str),
}

/// The prepared statements of all workloads.
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
    pub const COUNT: usize = Statement::SumEvents as usize + 1;

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

/// What a commit waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Full,
    Normal,
}

/// One open database.
pub trait Database: Sync {
    type Connection: Connection;
    fn connect(&self, class: Class) -> Self::Connection;
    /// Syncs of the log and commits so far, where the engine tells.
    fn syncs_and_commits(&self) -> Option<(i64, i64)>;
}

/// One connection with its prepared statements.
pub trait Connection: Send {
    fn execute(&mut self, sql: &str);
    /// Runs a statement and reads every value of every row.
    fn run(&mut self, statement: Statement, values: &[Value<'_>], checksum: &mut Checksum);
    /// The numbers of a statement that gives one row of integers.
    fn integers(&mut self, statement: Statement) -> Vec<i64>;
    /// A setting as the engine reads it back.
    fn setting(&mut self, name: &str) -> String;
}

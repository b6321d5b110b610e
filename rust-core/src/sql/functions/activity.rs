//! What operators ask of sessions: who is there, what it does, whom it waits for; and how one is cancelled or ended.
//! Knows what the session tells. Knows nothing of threads, transactions or locks.

use crate::batch::column::Column;
use crate::common::ids::AdvisoryKey;
use crate::error::{Error, Result};
use crate::sql::functions::kernel::{Bool, Float8, Int4, Interval, TimestampTz, function, text_function};
use crate::sql::functions::lines::{Lines, column, numbers, texts};
use crate::sql::functions::registry::{Environment, ScalarFunction, TableFunction};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::DatumRef;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// A line of `lumos_stat_activity`. Times are unix microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityLine {
    /// The session's number.
    pub session: i64,
    /// What its program calls itself.
    pub application_name: Arc<str>,
    /// PostgreSQL's word.
    pub state: &'static str,
    /// The running or last statement, as far as it is shown.
    pub query: Option<Arc<str>>,
    /// When its transaction began; none runs without one.
    pub transaction_start: Option<i64>,
    /// When its running or last statement began; unknown of short ones that did not wait.
    pub statement_start: Option<i64>,
    /// The level of its transaction.
    pub isolation: Option<&'static str>,
    /// On what it waits for a lock: `relation`, `row` or `advisory`.
    pub wait_event: Option<&'static str>,
    /// Since when.
    pub wait_start: Option<i64>,
    /// The sessions that it waits for, separated by commas; empty where it does not wait.
    pub blocked_by: String,
}

/// The line of `lumos_stat_transactions`. Counted since the database was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionsLine {
    /// Transactions that wrote and committed.
    pub commits: i64,
    /// Transactions rolled back.
    pub rollbacks: i64,
    /// Statements and commits refused with 40001.
    pub serialization_failures: i64,
    /// Requests for locks refused with 40P01.
    pub deadlocks: i64,
    /// Waiters that were let past another, which undid a deadlock.
    pub lock_reorders: i64,
    /// Requests for locks that had to wait.
    pub lock_waits: i64,
    /// Those that `lock_timeout` ended.
    pub lock_timeouts: i64,
    /// Sessions that wait for a lock now.
    pub waiting: i64,
    /// Sessions in a transaction block now.
    pub open_transactions: i64,
    /// When the oldest of those transactions began: unix microseconds.
    pub oldest_transaction_start: Option<i64>,
    /// Snapshots in use now.
    pub snapshots: i64,
    /// Bytes of log that the oldest of them does not see.
    pub oldest_snapshot_bytes: i64,
    /// Row versions kept for them.
    pub versions: i64,
    /// Bytes of those.
    pub version_bytes: i64,
}

/// An advisory lock that a function asks for.
#[derive(Clone, Copy, Debug)]
pub struct AdvisoryLock {
    /// On what.
    pub key: AdvisoryKey,
    /// Whether others may share it.
    pub is_shared: bool,
    /// Whether it goes with the transaction; else it is the session's.
    pub is_of_transaction: bool,
    /// Whether to wait for it.
    pub waits: bool,
}

/// The sessions of a database: what functions may ask of them, their own session's advisory locks among it.
pub trait Sessions {
    /// Every session, by number.
    fn activity(&self) -> Vec<ActivityLine>;
    /// Counters and sizes.
    fn transactions(&self) -> TransactionsLine;
    /// The sessions that a session waits for, by number.
    fn blocking(&self, session: i64) -> Vec<i64>;
    /// Cancels what a session runs; false: there is no such session.
    fn cancel(&self, session: i64) -> bool;
    /// Ends a session; false: there is no such session.
    fn terminate(&self, session: i64) -> bool;
    /// Takes an advisory lock; false: it does not wait, and somebody else is in the way.
    /// # Errors
    /// `40P01`, `53200`, `55P03`, `57014`.
    fn lock(&self, wanted: AdvisoryLock) -> Result<bool>;
    /// Gives back an advisory lock of the session; false, and a warning: it has none.
    fn unlock(&self, key: AdvisoryKey, is_shared: bool) -> bool;
    /// Gives back all of them.
    fn unlock_all(&self);
    /// Does nothing for so long.
    /// # Errors
    /// `57014`, `57P01`.
    fn sleep(&self, time: Duration) -> Result<()>;
}

pub(super) fn sessions(environment: &dyn Environment) -> Result<&dyn Sessions> {
    environment.sessions().ok_or_else(|| Error::internal("sessions are asked for without one"))
}

/// The relations.
pub(super) static TABLE: &[TableFunction] = &[
    TableFunction {
        name: "lumos_stat_activity",
        arguments: &[],
        columns: &[
            ("session_id", DataType::BigInt),
            ("application_name", DataType::Text),
            ("state", DataType::Text),
            ("query", DataType::Text),
            ("xact_start", DataType::TimestampTz),
            ("query_start", DataType::TimestampTz),
            ("isolation", DataType::Text),
            ("wait_event_type", DataType::Text),
            ("wait_event", DataType::Text),
            ("wait_start", DataType::TimestampTz),
            ("blocked_by", DataType::Text),
        ],
        strict: false,
        documentation: "Sessions, what they run or ran last, and whom they wait for; a relation: SELECT … FROM \
                        lumos_stat_activity. state is active, idle, idle in transaction or idle in transaction \
                        (aborted). query_start is not known of a statement that was too short to be seen.",
        start: |_, environment| Ok(Box::new(Lines::new(sessions(environment)?.activity(), activity_columns))),
    },
    TableFunction {
        name: "lumos_stat_transactions",
        arguments: &[],
        columns: &[
            ("commits", DataType::BigInt),
            ("rollbacks", DataType::BigInt),
            ("serialization_failures", DataType::BigInt),
            ("deadlocks", DataType::BigInt),
            ("lock_reorders", DataType::BigInt),
            ("lock_waits", DataType::BigInt),
            ("lock_timeouts", DataType::BigInt),
            ("waiting", DataType::BigInt),
            ("open_transactions", DataType::BigInt),
            ("oldest_transaction_start", DataType::TimestampTz),
            ("snapshots", DataType::BigInt),
            ("oldest_snapshot_bytes", DataType::BigInt),
            ("versions", DataType::BigInt),
            ("version_bytes", DataType::BigInt),
        ],
        strict: false,
        documentation: "How transactions fare, in one row; a relation: SELECT … FROM lumos_stat_transactions. Counted \
                        since the database was opened; commits are of transactions that wrote. oldest_snapshot_bytes: \
                        bytes of log that the oldest snapshot does not see, whose older versions are kept.",
        start: |_, environment| {
            let line = sessions(environment)?.transactions();
            Ok(Box::new(Lines::new(vec![line], transactions_columns)))
        },
    },
];

/// Not a number of seconds is no time at all.
fn sleep(environment: &dyn Environment, seconds: f64) -> Result<bool> {
    if seconds > 0.0 {
        sessions(environment)?.sleep(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))?;
    }
    Ok(true)
}

fn times<T>(lines: &[T], value: impl Fn(&T) -> Option<i64>) -> Arc<Column> {
    column(lines, DataType::TimestampTz, |line| {
        value(line).map_or(DatumRef::Null, DatumRef::TimestampTz) //
    })
}

fn activity_columns(lines: &[ActivityLine]) -> Vec<Arc<Column>> {
    vec![
        numbers(lines, |line| Some(line.session)),
        texts(lines, |line| Some(&line.application_name)),
        texts(lines, |line| Some(line.state)),
        texts(lines, |line| line.query.as_deref()),
        times(lines, |line| line.transaction_start),
        times(lines, |line| line.statement_start),
        texts(lines, |line| line.isolation),
        texts(lines, |line| line.wait_event.map(|_| "Lock")),
        texts(lines, |line| line.wait_event),
        times(lines, |line| line.wait_start),
        texts(lines, |line| Some(&line.blocked_by)),
    ]
}

fn transactions_columns(lines: &[TransactionsLine]) -> Vec<Arc<Column>> {
    let number = |value: fn(&TransactionsLine) -> i64| numbers(lines, |line| Some(value(line)));
    vec![
        number(|line| line.commits),
        number(|line| line.rollbacks),
        number(|line| line.serialization_failures),
        number(|line| line.deadlocks),
        number(|line| line.lock_reorders),
        number(|line| line.lock_waits),
        number(|line| line.lock_timeouts),
        number(|line| line.waiting),
        number(|line| line.open_transactions),
        times(lines, |line| line.oldest_transaction_start),
        number(|line| line.snapshots),
        number(|line| line.oldest_snapshot_bytes),
        number(|line| line.versions),
        number(|line| line.version_bytes),
    ]
}

#[rustfmt::skip]
static FUNCTIONS: &[ScalarFunction] = &[
    function!("pg_cancel_backend", (Int4) -> Bool, Volatile, "cancels what the connection of this number runs (57014); false: there is none", |(id,), environment| Ok(sessions(environment)?.cancel(i64::from(id)))),
    function!("pg_terminate_backend", (Int4) -> Bool, Volatile, "ends the connection of this number: its transaction is rolled back, and every later call on it is 57P01; false: there is none", |(id,), environment| Ok(sessions(environment)?.terminate(i64::from(id)))),
    text_function!("pg_sleep", (Float8), Volatile, "does nothing for so many seconds, until somebody cancels it; gives an empty text", |(seconds,), environment, _| sleep(environment, seconds)),
    text_function!("pg_sleep_for", (Interval), Volatile, "pg_sleep for an interval", |(interval,), environment, _| {
        let days = i64::from(interval.months) * 30 + i64::from(interval.days);
        sleep(environment, days as f64 * 86_400.0 + interval.micros as f64 / 1e6)
    }),
    text_function!("pg_sleep_until", (TimestampTz), Volatile, "pg_sleep until a time", |(time,), environment, _| {
        sleep(environment, time.saturating_sub(environment.clock_time()) as f64 / 1e6)
    }),
    text_function!("pg_blocking_pids", (Int4), Volatile, "the connections that this one waits for, as {1,2}", |(id,), environment, out| {
        out.push('{');
        for (place, session) in sessions(environment)?.blocking(i64::from(id)).into_iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(out, "{comma}{session}").map_err(|_| Error::internal("a text that takes no number"))?;
        }
        out.push('}');
        Ok(true)
    }),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];

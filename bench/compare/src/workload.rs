//! The workloads, word for word. Knows sides only by what they share.

use crate::random::{Checksum, Random, text};
use crate::side::{Class, Connection, Database, Statement, Value};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

pub const ACCOUNTS: i64 = 1_000_000;
pub const EVENTS: i64 = 1_000_000;

pub const CREATE_ACCOUNTS: &str = "CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL, \
     score DOUBLE PRECISION NOT NULL, name TEXT NOT NULL, filler TEXT NOT NULL)";
pub const CREATE_EVENTS: &str = "CREATE TABLE events (id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, \
     amount BIGINT NOT NULL, note TEXT NOT NULL)";
pub const CREATE_INDEX: &str = "CREATE INDEX events_account_id ON events (account_id)";

/// SQLite's rowid needs the word INTEGER.
pub fn for_sqlite(create: &str) -> String {
    create.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
}

/// Loads them in one transaction; gives the seconds.
pub fn load_accounts(connection: &mut impl Connection, create: &str, rows: i64) -> f64 {
    load_accounts_in(connection, create, rows, i64::MAX)
}

/// As [`load_accounts`], in transactions of `at_once` rows.
pub fn load_accounts_in(connection: &mut impl Connection, create: &str, rows: i64, at_once: i64) -> f64 {
    let started = Instant::now();
    let mut checksum = Checksum::default();
    connection.execute(create);
    connection.run(Statement::Begin, &[], &mut checksum);
    for id in 1..=rows {
        if id % at_once == 0 {
            connection.run(Statement::Commit, &[], &mut checksum);
            connection.run(Statement::Begin, &[], &mut checksum);
        }
        let (name, filler) = (format!("user-{id:012}"), text(id as u64, 80));
        let values = [
            Value::Integer(id),
            Value::Integer(id * 7 % 100_000),
            Value::Double(id as f64 * 0.25),
            Value::Text(&name),
            Value::Text(&filler),
        ];
        connection.run(Statement::InsertAccount, &values, &mut checksum);
    }
    connection.run(Statement::Commit, &[], &mut checksum);
    started.elapsed().as_secs_f64()
}

/// Reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Read {
    Point,
    PointTransaction,
    Range,
    Scan,
}

impl Read {
    pub fn weight(self) -> u64 {
        if self == Read::PointTransaction { 1000 } else { 1 }
    }

    pub fn operation<C: Connection>(self, rows: i64) -> impl Fn(&mut C, &mut Random, &mut Checksum) + Sync {
        move |connection, random, checksum| {
            let mut id = || 1 + random.below(rows as u64) as i64;
            match self {
                Read::Point => connection.run(Statement::Point, &[Value::Integer(id())], checksum),
                Read::PointTransaction => {
                    connection.run(Statement::Begin, &[], checksum);
                    for _ in 0..1000 {
                        connection.run(Statement::Point, &[Value::Integer(id())], checksum);
                    }
                    connection.run(Statement::Commit, &[], checksum);
                }
                Read::Range => {
                    let low = id();
                    let values = [Value::Integer(low), Value::Integer(low + 100)];
                    connection.run(Statement::Range, &values, checksum);
                }
                Read::Scan => {
                    let bound = 50_000 + random.below(10) as i64;
                    connection.run(Statement::Scan, &[Value::Integer(bound)], checksum);
                }
            }
        }
    }
}

/// O4. `changed` sums what was added, so that the table can be checked afterwards.
pub fn update<C: Connection>(
    rows: i64,
    changed: &AtomicI64,
) -> impl Fn(&mut C, &mut Random, &mut Checksum) + Sync {
    move |connection, random, checksum| {
        let id = 1 + random.below(rows as u64) as i64;
        let delta = 1 + random.below(100) as i64;
        connection.run(Statement::Update, &[Value::Integer(id), Value::Integer(delta)], checksum);
        changed.fetch_add(delta, Ordering::Relaxed);
    }
}

/// Notes of 40 letters; made before, so that making them is in no figure.
pub struct Notes(Vec<String>);

impl Notes {
    pub fn new() -> Notes {
        Notes((1..=4096).map(|seed| text(seed, 40)).collect())
    }

    pub fn of(&self, id: i64) -> &str {
        &self.0[id as usize & 4095]
    }
}

fn insert_event(
    connection: &mut impl Connection,
    id: i64,
    account: i64,
    notes: &Notes,
    checksum: &mut Checksum,
) {
    let values =
        [Value::Integer(id), Value::Integer(account), Value::Integer(id & 1023), Value::Text(notes.of(id))];
    connection.run(Statement::InsertEvent, &values, checksum);
}

/// What the events table must hold.
#[derive(Default)]
pub struct EventSums {
    pub next: AtomicI64,
    pub accounts: AtomicI64,
    pub amounts: AtomicI64,
}

impl EventSums {
    pub fn expected(&self) -> Vec<i64> {
        [&self.next, &self.amounts, &self.accounts].map(|sum| sum.load(Ordering::Relaxed)).to_vec()
    }
}

/// O5.
pub fn insert<C: Connection>(
    notes: &Notes,
    sums: &EventSums,
) -> impl Fn(&mut C, &mut Random, &mut Checksum) + Sync {
    move |connection, random, checksum| {
        let id = sums.next.fetch_add(1, Ordering::Relaxed) + 1;
        let account = 1 + random.below(1_000_000) as i64;
        insert_event(connection, id, account, notes, checksum);
        sums.accounts.fetch_add(account, Ordering::Relaxed);
        sums.amounts.fetch_add(id & 1023, Ordering::Relaxed);
    }
}

/// O6: seconds of one transaction, and what the table then sums to.
pub fn batch<D: Database>(
    database: &D,
    create: &str,
    index: bool,
    notes: &Notes,
    rows: i64,
) -> (f64, Vec<i64>) {
    let mut connection = database.connect(Class::Full);
    connection.execute(create);
    if index {
        connection.execute(CREATE_INDEX);
    }
    let mut random = Random::new(88_172_645_463_325_252);
    let mut checksum = Checksum::default();
    let started = Instant::now();
    connection.run(Statement::Begin, &[], &mut checksum);
    for id in 1..=rows {
        insert_event(&mut connection, id, 1 + random.below(1_000_000) as i64, notes, &mut checksum);
    }
    connection.run(Statement::Commit, &[], &mut checksum);
    let seconds = started.elapsed().as_secs_f64();
    (seconds, connection.integers(Statement::SumEvents))
}

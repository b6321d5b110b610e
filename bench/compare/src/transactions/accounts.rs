//! Single statements on accounts and events: a row by its key, a hundred in order, an update, an insert.

use super::clients::Workload;
use super::row::{Floor, Row, compare};
use super::sides::{OfEach, Sides, Table};
use super::{Bench, CLASSES};
use crate::random::{Checksum, Random, text};
use crate::side::{Class, Connection, Failure, Statement, Value};
use crate::workload::{CREATE_ACCOUNTS, CREATE_EVENTS, EventSums, Notes};
use std::io::Write;
use std::sync::atomic::{AtomicI64, Ordering};

/// Transactions whose answers are compared before anything is timed.
const COMPARED: usize = 2000;
/// What two clients must reach of what one does.
const SCALING: f64 = 1.7;

/// What stands between the parentheses of CREATE TABLE.
fn columns(create: &'static str) -> &'static str {
    let (_, columns) = create.split_once('(').expect("a table has columns");
    columns.strip_suffix(')').expect("which a parenthesis ends")
}

fn accounts(rows: i64) -> Table<'static> {
    Table {
        name: "accounts",
        width: 5,
        columns: columns(CREATE_ACCOUNTS),
        is_narrow: false,
        rows: Box::new(move || {
            let mut ids = 1..=rows;
            Box::new(move |out| {
                let Some(id) = ids.next() else { return false };
                let (balance, score, filler) = (id * 7 % 100_000, id as f64 * 0.25, text(id as u64, 80));
                writeln!(out, "{id}\t{balance}\t{score}\tuser-{id:012}\t{filler}").expect("memory");
                true
            })
        }),
        after: &[],
    }
}

fn loaded<'a>(bench: &'a Bench<'_>, what: &str) -> Sides<'a> {
    let sides = Sides::new(bench.options, "transactions-accounts", bench.postgres.as_ref());
    sides.load(what, &[accounts(bench.options.rows)]);
    sides
}

#[derive(Clone, Copy)]
struct Read {
    rows: i64,
    /// How many rows in order; 1: the row with a key.
    count: i64,
}

impl Workload for Read {
    type State = ();

    fn client<C: Connection>(&self, _: &mut C, _: usize) {}

    fn transaction<C: Connection>(
        &self,
        connection: &mut C,
        (): &mut (),
        random: &mut Random,
        checksum: &mut Checksum,
    ) -> Result<(), Failure> {
        let id = 1 + random.below(self.rows as u64) as i64;
        if self.count == 1 {
            connection.add(Statement::Point.handle(), &[Value::Integer(id)], checksum)
        } else {
            let values = [Value::Integer(id), Value::Integer(id + self.count)];
            connection.add(Statement::Range.handle(), &values, checksum)
        }
    }
}

pub fn point(bench: &Bench<'_>) {
    read(bench, "point", 1, 1.5);
}

pub fn range(bench: &Bench<'_>) {
    read(bench, "range100", 100, 1.2);
}

fn read(bench: &Bench<'_>, name: &str, count: i64, floor: f64) {
    let sides = loaded(bench, name);
    let workload = Read { rows: bench.options.rows, count };
    let check = compare(&sides, &workload, COMPARED);
    let mut alone = 0.0;
    for &clients in &bench.options.clients {
        let floor = match clients {
            1 => Floor::Sqlite(floor),
            2 if count == 1 && alone > 0.0 => Floor::Rate(SCALING * alone),
            _ => Floor::None,
        };
        let row = Row { name, class: Class::Full, clients, floor };
        let workloads = OfEach { lumos: workload, sqlite: workload, postgres: Some(workload) };
        let tallies = row.measure(bench, &sides, &workloads, &|| check.clone());
        if clients == 1 {
            alone = tallies.lumos.median();
        }
    }
}

/// O4; `added` is what the balances must have grown by.
struct Update {
    rows: i64,
    added: AtomicI64,
}

impl Workload for Update {
    type State = ();

    fn client<C: Connection>(&self, _: &mut C, _: usize) {}

    fn transaction<C: Connection>(
        &self,
        connection: &mut C,
        (): &mut (),
        random: &mut Random,
        checksum: &mut Checksum,
    ) -> Result<(), Failure> {
        let id = 1 + random.below(self.rows as u64) as i64;
        let delta = 1 + random.below(100) as i64;
        let values = [Value::Integer(id), Value::Integer(delta)];
        connection.add(Statement::Update.handle(), &values, checksum)?;
        self.added.fetch_add(delta, Ordering::Relaxed);
        Ok(())
    }
}

pub fn update(bench: &Bench<'_>) {
    let sides = loaded(bench, "update");
    let rows = bench.options.rows;
    let before: i64 = (1..=rows).map(|id| id * 7 % 100_000).sum();
    let work = || Update { rows, added: AtomicI64::new(before) };
    let workloads = OfEach { lumos: work(), sqlite: work(), postgres: Some(work()) };
    let check = || {
        let found = sides.ask(&[Statement::SumAccounts.sql()]);
        let expected = |work: &Update| vec![rows, work.added.load(Ordering::Relaxed)];
        verdict("balances as expected", &found, &workloads, expected)
    };
    for class in CLASSES {
        for &clients in &bench.options.clients {
            let row = Row { name: "update", class, clients, floor: Floor::None };
            row.measure(bench, &sides, &workloads, &check);
        }
    }
}

/// O5.
struct Insert<'a> {
    notes: &'a Notes,
    sums: EventSums,
    accounts: u64,
}

impl Workload for Insert<'_> {
    type State = ();

    fn client<C: Connection>(&self, _: &mut C, _: usize) {}

    fn transaction<C: Connection>(
        &self,
        connection: &mut C,
        (): &mut (),
        random: &mut Random,
        checksum: &mut Checksum,
    ) -> Result<(), Failure> {
        let id = self.sums.next.fetch_add(1, Ordering::Relaxed) + 1;
        let account = 1 + random.below(self.accounts) as i64;
        let note = Value::Text(self.notes.of(id));
        let values = [Value::Integer(id), Value::Integer(account), Value::Integer(id & 1023), note];
        connection.add(Statement::InsertEvent.handle(), &values, checksum)?;
        self.sums.accounts.fetch_add(account, Ordering::Relaxed);
        self.sums.amounts.fetch_add(id & 1023, Ordering::Relaxed);
        Ok(())
    }
}

pub fn insert(bench: &Bench<'_>) {
    let sides = Sides::new(bench.options, "transactions-events", bench.postgres.as_ref());
    let events = Table {
        name: "events",
        width: 4,
        columns: columns(CREATE_EVENTS),
        is_narrow: false,
        rows: Box::new(|| Box::new(|_| false)),
        after: &[],
    };
    sides.load("insert", &[events]);
    let notes = Notes::new();
    let work = || Insert { notes: &notes, sums: EventSums::default(), accounts: bench.options.rows as u64 };
    let workloads = OfEach { lumos: work(), sqlite: work(), postgres: Some(work()) };
    let check = || {
        let found = sides.ask(&[Statement::SumEvents.sql()]);
        verdict("rows and sums as expected", &found, &workloads, |work| work.sums.expected())
    };
    for class in CLASSES {
        for &clients in &bench.options.clients {
            let row = Row { name: "insert", class, clients, floor: Floor::None };
            row.measure(bench, &sides, &workloads, &check);
        }
    }
}

/// Whether the answer to the first question is what each side's own workload expects.
pub fn verdict<W>(
    well: &str,
    found: &OfEach<Vec<Vec<i64>>>,
    workloads: &OfEach<W>,
    expected: impl Fn(&W) -> Vec<i64>,
) -> String {
    for ((side, found), (_, work)) in found.list().into_iter().zip(workloads.list()) {
        let expected = expected(work);
        if found[0] != expected {
            return format!("ERROR: {side} has {:?}, expected {expected:?}", found[0]);
        }
    }
    well.to_owned()
}

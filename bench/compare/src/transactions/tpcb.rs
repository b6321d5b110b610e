//! O8: pgbench's transaction after TPC-B: three balances grow by a delta that a fourth table writes down. All four
//! must add up to the same.

use super::clients::Workload;
use super::row::{Floor, Row};
use super::sides::{OfEach, Sides, Table};
use super::{Bench, CLASSES};
use crate::random::{Checksum, Random, text};
use crate::side::{Class, Connection, Failure, Field, Handle, Isolation, Value};
use std::io::Write;
use std::sync::atomic::{AtomicI64, Ordering};

const TELLERS: i64 = 10;
const ACCOUNTS: i64 = 100_000;

const ACCOUNT: &str = "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2";
const BALANCE: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";
const TELLER: &str = "UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2";
const BRANCH: &str = "UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2";
const HISTORY: &str = "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) \
     VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)";

const SUMS: [&str; 4] = [
    "SELECT count(*), sum(abalance) FROM pgbench_accounts",
    "SELECT count(*), sum(tbalance) FROM pgbench_tellers",
    "SELECT count(*), sum(bbalance) FROM pgbench_branches",
    "SELECT count(*), sum(delta) FROM pgbench_history",
];

/// Branches and accounts.
#[derive(Clone, Copy)]
struct Scale {
    branches: i64,
    accounts: i64,
}

fn numbered(
    name: &'static str,
    columns: &'static str,
    count: i64,
    parent: i64,
    filler: usize,
) -> Table<'static> {
    Table {
        name,
        width: if parent == 0 { 3 } else { 4 },
        columns,
        is_narrow: false,
        rows: Box::new(move || {
            let mut ids = 1..=count;
            Box::new(move |out| {
                let Some(id) = ids.next() else { return false };
                let filler = text(id as u64, filler);
                match parent {
                    0 => writeln!(out, "{id}\t0\t{filler}"),
                    each => writeln!(out, "{id}\t{}\t0\t{filler}", (id - 1) / each + 1),
                }
                .expect("memory");
                true
            })
        }),
        after: &[],
    }
}

fn tables(scale: Scale) -> [Table<'static>; 4] {
    let branches = "bid BIGINT PRIMARY KEY, bbalance BIGINT NOT NULL, filler TEXT";
    let tellers = "tid BIGINT PRIMARY KEY, bid BIGINT NOT NULL, tbalance BIGINT NOT NULL, filler TEXT";
    let accounts = "aid BIGINT PRIMARY KEY, bid BIGINT NOT NULL, abalance BIGINT NOT NULL, filler TEXT";
    let history = "tid BIGINT, bid BIGINT, aid BIGINT, delta BIGINT, mtime TIMESTAMP, filler TEXT";
    let each = scale.accounts.div_euclid(scale.branches);
    [
        numbered("pgbench_branches", branches, scale.branches, 0, 88),
        numbered("pgbench_tellers", tellers, scale.branches * TELLERS, TELLERS, 84),
        numbered("pgbench_accounts", accounts, scale.accounts, each, 84),
        Table {
            name: "pgbench_history",
            width: 6,
            columns: history,
            is_narrow: false,
            rows: Box::new(|| Box::new(|_| false)),
            after: &[],
        },
    ]
}

/// `sum` and `count` are what was acknowledged.
struct Tpcb {
    scale: Scale,
    sum: AtomicI64,
    count: AtomicI64,
}

struct Statements {
    begin: Handle,
    account: Handle,
    balance: Handle,
    teller: Handle,
    branch: Handle,
    history: Handle,
    commit: Handle,
}

impl Workload for Tpcb {
    type State = Statements;

    fn client<C: Connection>(&self, connection: &mut C, _: usize) -> Statements {
        Statements {
            begin: connection.statement(C::begin(Isolation::ReadCommitted)),
            account: connection.statement(ACCOUNT),
            balance: connection.statement(BALANCE),
            teller: connection.statement(TELLER),
            branch: connection.statement(BRANCH),
            history: connection.statement(HISTORY),
            commit: connection.statement("COMMIT"),
        }
    }

    fn transaction<C: Connection>(
        &self,
        connection: &mut C,
        with: &mut Statements,
        random: &mut Random,
        checksum: &mut Checksum,
    ) -> Result<(), Failure> {
        let mut one_of = |count: i64| 1 + random.below(count as u64) as i64;
        let (aid, bid) = (one_of(self.scale.accounts), one_of(self.scale.branches));
        let tid = one_of(self.scale.branches * TELLERS);
        let delta = one_of(10_001) - 5001;
        let [aid, bid, tid, by] = [aid, bid, tid, delta].map(Value::Integer);
        let mut ignore = |_: Field<'_>| {};
        connection.query(with.begin, &[], &mut ignore)?;
        connection.query(with.account, &[by, aid], &mut ignore)?;
        connection.add(with.balance, &[aid], checksum)?;
        connection.query(with.teller, &[by, tid], &mut ignore)?;
        connection.query(with.branch, &[by, bid], &mut ignore)?;
        connection.query(with.history, &[tid, bid, aid, by], &mut ignore)?;
        connection.query(with.commit, &[], &mut ignore)?;
        self.sum.fetch_add(delta, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Tpcb {
    /// What each of the four sums is wrong in; empty: nothing.
    fn findings(&self, found: &[Vec<i64>]) -> Vec<String> {
        let (sum, count) = (self.sum.load(Ordering::Relaxed), self.count.load(Ordering::Relaxed));
        let rows = [self.scale.accounts, self.scale.branches * TELLERS, self.scale.branches, count];
        let tables = ["accounts", "tellers", "branches", "history"];
        tables
            .into_iter()
            .zip(found)
            .zip(rows)
            .filter(|((_, found), rows)| **found != [*rows, sum])
            .map(|((table, found), rows)| format!("{table} {found:?}, expected [{rows}, {sum}]"))
            .collect()
    }
}

pub fn run(bench: &Bench<'_>) {
    let accounts = bench.options.rows;
    let scale = Scale { branches: (accounts / ACCOUNTS).max(1), accounts };
    let sides = Sides::new(bench.options, "transactions-tpcb", bench.postgres.as_ref());
    sides.load("O8", &tables(scale));
    let work = || Tpcb { scale, sum: AtomicI64::new(0), count: AtomicI64::new(0) };
    let workloads = OfEach { lumos: work(), sqlite: work(), postgres: Some(work()) };
    let check = || {
        let found = sides.ask(&SUMS);
        for ((side, found), (_, work)) in found.list().into_iter().zip(workloads.list()) {
            let findings = work.findings(found);
            if !findings.is_empty() {
                return format!("ERROR: {side}: {}", findings.join("; "));
            }
        }
        "accounts, tellers, branches and history add up".to_owned()
    };
    for class in CLASSES {
        for &clients in &bench.options.clients {
            let floor = match (class, clients) {
                (Class::Full, 1) => Floor::Sqlite(1.1),
                (Class::Full, 8) => Floor::Sqlite(2.0),
                (Class::Off, 2 | 8) => Floor::Rate(40_000.0),
                _ => Floor::None,
            };
            let row = Row { name: "O8 TPC-B", class, clients, floor };
            row.measure(bench, &sides, &workloads, &check);
        }
    }
}

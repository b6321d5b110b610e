//! S8: durable updates by one and by eight clients, beside SQLite's better figure and PostgreSQL over a local socket.

use crate::measure::{self, Outcome};
use crate::postgres::PostgresDatabase;
use crate::side::{Class, Connection, Database, Statement};
use crate::transactions::empty_statement;
use crate::{Options, Sides, open, rate, workload};
use std::sync::atomic::{AtomicI64, Ordering};

pub fn run(options: &Options) {
    let sides = open(&options.directory, "clients");
    let create = workload::CREATE_ACCOUNTS;
    workload::load_accounts(&mut sides.lumos.connect(Class::Normal), create, options.rows);
    workload::load_accounts(
        &mut sides.sqlite.connect(Class::Normal),
        &workload::for_sqlite(create),
        options.rows,
    );
    let postgres = match PostgresDatabase::from_environment() {
        Ok(postgres) => {
            let mut connection = postgres.connect(Class::Normal);
            workload::load_accounts(&mut connection, create, options.rows);
            connection.execute("VACUUM ANALYZE accounts");
            connection.execute("CHECKPOINT");
            println!("S8: PostgreSQL {}, {}", postgres.version(), connection.setting("shared_buffers"));
            println!("S8: an empty statement takes it {:.1} us", empty_statement(options, &postgres));
            Some(postgres)
        }
        Err(why) => {
            println!("S8: without PostgreSQL: {why}");
            None
        }
    };
    println!(
        "{:<22} {:>2} {:>10} {:>10} {:>10} {:>10} {:>10}  sums",
        "row", "th", "lumos/s", "sqlite/s", "postgres/s", "to sqlite", "to postgres"
    );
    for class in [Class::Full, Class::Normal] {
        for threads in [1, 8] {
            row(options, &sides, postgres.as_ref(), class, threads);
        }
    }
    drop(sides);
    let _ = std::fs::remove_dir_all(options.directory.join("clients"));
}

fn row(options: &Options, sides: &Sides, postgres: Option<&PostgresDatabase>, class: Class, threads: usize) {
    let (plan, rows) = (options.plan, options.rows);
    let added = [(); 3].map(|()| AtomicI64::new(0));
    let before = sums(sides, postgres);
    let mut outcomes = [(); 3].map(|()| Outcome::new());
    let (ours, theirs) = (workload::update(rows, &added[0]), workload::update(rows, &added[1]));
    let third = workload::update(rows, &added[2]);
    for run in 0..=plan.runs as u64 {
        let length = if run == 0 { plan.warm_up } else { plan.length };
        let [lumos, sqlite, other] = &mut outcomes;
        let timed = |outcome| (run > 0).then_some(outcome);
        measure::run(&sides.lumos, class, threads, 10 + run, 1, length, &ours, timed(lumos));
        measure::run(&sides.sqlite, class, threads, 10 + run, 1, length, &theirs, timed(sqlite));
        if let Some(postgres) = postgres {
            measure::run(postgres, class, threads, 10 + run, 1, length, &third, timed(other));
        }
    }
    let after = sums(sides, postgres);
    let is_right = (0..3).all(|side| after[side] - before[side] == added[side].load(Ordering::Relaxed));
    let [lumos, sqlite, other] = outcomes.map(|outcome| outcome.median());
    let name = if class == Class::Full { "S8 update full" } else { "S8 update normal" };
    let beside = |rate: f64| if rate > 0.0 { format!("{:.2}", lumos / rate) } else { "-".to_owned() };
    println!(
        "{name:<22} {threads:>2} {:>10} {:>10} {:>10} {:>10} {:>10}  {}",
        rate(lumos),
        rate(sqlite),
        if postgres.is_some() { rate(other) } else { "-".to_owned() },
        beside(sqlite),
        beside(other),
        if is_right { "as expected" } else { "ERROR: the sums are wrong" },
    );
}

fn sums(sides: &Sides, postgres: Option<&PostgresDatabase>) -> [i64; 3] {
    let statement = Statement::SumAccounts;
    [
        sides.lumos.connect(Class::Full).integers(statement)[1],
        sides.sqlite.connect(Class::Full).integers(statement)[1],
        postgres.map_or(0, |postgres| postgres.connect(Class::Full).integers(statement)[1]),
    ]
}

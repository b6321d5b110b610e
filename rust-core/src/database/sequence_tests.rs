//! Sequences across threads, restarts and power losses: no value that anybody was told of comes twice.

use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::options::DatabaseOptions;
use crate::io::fault::{FaultVfs, Survival};
use crate::session::Session;
use crate::sql::types::datum::{Datum, DatumRef};
use std::collections::HashSet;
use std::path::Path;

fn open(vfs: &FaultVfs) -> Arc<Database> {
    let options = DatabaseOptions {
        memory_limit: Some(32 << 20),
        vfs: Some(Arc::new(vfs.clone())),
        background_checkpoints: false,
        ..DatabaseOptions::default()
    };
    Database::open(Some(Path::new("/app.lumos")), options).unwrap()
}

/// The numbers in the first column of a query's rows.
fn numbers(session: &mut Session, sql: &str) -> Vec<i64> {
    let (statement, _) = session.prepare(sql).unwrap();
    let mut portal = session.execute(&statement.expect("a statement"), &[] as &[Datum]).unwrap();
    let mut numbers = Vec::new();
    while let Some(batch) = session.fetch(&mut portal).unwrap() {
        numbers.extend(batch.row_numbers().map(|row| match batch.columns[0].datum(row) {
            DatumRef::BigInt(number) => number,
            DatumRef::Integer(number) => i64::from(number),
            other => panic!("{other:?}"),
        }));
    }
    numbers
}

#[test]
fn threads_never_draw_one_value_twice() {
    let (threads, draws) = (8, 5_000);
    let database = Database::open(None, DatabaseOptions::default()).unwrap();
    database
        .connect()
        .unwrap()
        .execute_script("CREATE SEQUENCE s; CREATE TABLE t (id bigserial, n int)")
        .unwrap();
    let mut all: Vec<i64> = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let mut session = database.connect().unwrap();
                scope.spawn(move || {
                    let mut drawn = Vec::new();
                    while drawn.len() < draws {
                        // One at a time, and many at a time.
                        if thread % 2 == 0 {
                            drawn.extend(numbers(&mut session, "SELECT nextval('s')"));
                        } else {
                            let many = "SELECT nextval('s') FROM generate_series(1, 100)";
                            drawn.extend(numbers(&mut session, many));
                        }
                    }
                    session.execute_script("INSERT INTO t (n) SELECT 1 FROM generate_series(1, 50)").unwrap();
                    drawn
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| all.extend(worker.join().unwrap()));
    });
    let drawn = all.len();
    assert!(drawn >= threads * draws);
    assert_eq!(all.iter().copied().collect::<HashSet<_>>().len(), drawn, "no value twice");
    assert_eq!(all.iter().max(), Some(&(drawn as i64)), "and none left out");
    let ids = numbers(&mut database.connect().unwrap(), "SELECT id FROM t ORDER BY id");
    assert_eq!(ids, (1..=threads as i64 * 50).collect::<Vec<_>>());
}

#[test]
fn a_database_that_was_closed_goes_on_where_it_was() {
    let vfs = FaultVfs::new();
    for round in 0..3 {
        let database = open(&vfs);
        let mut session = database.connect().unwrap();
        if round == 0 {
            session.execute_script("CREATE SEQUENCE s; CREATE SEQUENCE d INCREMENT -2").unwrap();
        }
        assert_eq!(numbers(&mut session, "SELECT nextval('s')"), [round + 1]);
        assert_eq!(numbers(&mut session, "SELECT nextval('d')"), [-1 - 2 * round]);
    }
}

#[test]
fn no_value_that_was_told_comes_again_after_a_power_loss() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    session
        .execute_script("CREATE TABLE t (id serial PRIMARY KEY, n int); CREATE SEQUENCE s MAXVALUE 1000")
        .unwrap();
    let mut told = Vec::new();
    for step in 0..90 {
        // Of the first nothing is written but the sequence's own record.
        let script = match step % 6 {
            0 => {
                told.extend(numbers(&mut session, "SELECT nextval('s')"));
                ""
            }
            1 => "BEGIN; SELECT nextval('s'); ROLLBACK",
            2 => {
                told.extend(numbers(&mut session, "SELECT nextval('s') FROM generate_series(1, 7)"));
                ""
            }
            3 => "INSERT INTO t (n) VALUES (1)",
            4 => "INSERT INTO t (n) SELECT 2 FROM generate_series(1, 40)",
            _ => "BEGIN; INSERT INTO t (n) VALUES (3); ROLLBACK",
        };
        session.execute_script(script).unwrap();
        let ids = numbers(&mut session, "SELECT id FROM t");
        for survival in [Survival::Nothing, Survival::Everything] {
            let disk = vfs.image_after_power_loss(survival, step);
            let recovered = open(&disk);
            let mut after = recovered.connect().unwrap();
            let context = format!("step {step}, {survival:?}");
            let next = numbers(&mut after, "SELECT nextval('s')");
            assert!(!told.contains(&next[0]), "{context}: {next:?} was told");
            assert_eq!(numbers(&mut after, "SELECT id FROM t"), ids, "{context}");
            let id = numbers(&mut after, "INSERT INTO t (n) VALUES (9) RETURNING id");
            assert!(!ids.contains(&id[0]), "{context}: {id:?} is there");
        }
    }
}

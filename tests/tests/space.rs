//! Rows come and go, the file stays small: rounds of inserting and deleting; then VACUUM. The figures are printed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::session::Session;
use lumos_core::sql::types::datum::DatumRef;
use lumos_tests::process::say;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("lumos-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

fn number(session: &mut Session, sql: &str) -> i64 {
    let statement = session.prepare(sql).unwrap().0.unwrap();
    let mut portal = session.execute(&statement, &[]).unwrap();
    let batch = session.fetch(&mut portal).unwrap().unwrap();
    let DatumRef::BigInt(number) = batch.columns[0].datum(0) else { panic!("{sql}: no bigint") };
    session.close(portal);
    number
}

/// Bytes of the pages that hold something.
fn live_bytes(session: &mut Session) -> i64 {
    number(session, "SELECT CAST(sum(bytes) AS bigint) FROM lumos_stat_space WHERE object_type <> 'file'")
}

fn verify(database: &Database) {
    let mut lines = Vec::new();
    assert_eq!(database.verify(&mut |line| lines.push(line.to_owned())).unwrap(), 0, "{lines:?}");
}

/// Rounds of inserting `rows` rows in `parts` transactions, and deleting them in as many; then half of them again and
/// VACUUM.
fn rounds_of_inserting_and_deleting(rounds: i64, rows: i64, parts: i64) {
    let folder = Folder::new(&format!("rounds-{parts}"));
    let path = folder.0.join("data.lumos");
    let options = DatabaseOptions { memory_limit: Some(256 << 20), ..DatabaseOptions::default() };
    let database = Database::open(Some(&path), options).unwrap();
    let mut session = database.connect().unwrap();
    session
        .execute_script(
            "SET durability = 'normal';
             CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL, s text NOT NULL);
             CREATE INDEX t_n ON t (n)",
        )
        .unwrap();
    let (mut largest_live, mut largest_file) = (0, 0);
    let step = rows / parts;
    for round in 0..rounds {
        // Ids go on, or come again, in turns.
        let base = if round % 2 == 0 { round * rows } else { 0 };
        for part in 0..parts {
            let from = base + part * step;
            session
                .execute_script(&format!(
                    "INSERT INTO t SELECT i, CAST(i AS bigint) * 7919 % 1000003, repeat('x', 100)
                     FROM generate_series({from}, {}) AS g (i)",
                    from + step - 1
                ))
                .unwrap();
            largest_file = largest_file.max(bytes(&path));
        }
        largest_live = largest_live.max(live_bytes(&mut session));
        for part in 0..parts {
            let from = base + part * step;
            session
                .execute_script(&format!("DELETE FROM t WHERE id >= {from} AND id < {}", from + step))
                .unwrap();
            largest_file = largest_file.max(bytes(&path));
        }
        assert_eq!(number(&mut session, "SELECT count(*) FROM t"), 0);
        session.execute_script("CHECKPOINT").unwrap();
        largest_file = largest_file.max(bytes(&path));
    }
    let share = largest_file as f64 / largest_live as f64;
    say(&format!(
        "{rounds} rounds of {rows} rows in {parts} transactions: largest live size {largest_live}, file {share:.2} x"
    ));
    assert!(largest_file as f64 <= 2.5 * largest_live as f64, "{largest_file} of {largest_live}");
    // Half of the rows again, every second one.
    for part in 0..parts {
        session
            .execute_script(&format!(
                "INSERT INTO t SELECT i, CAST(i AS bigint) * 7919 % 1000003, repeat('x', 100)
                 FROM generate_series({}, {}, 2) AS g (i)",
                part * step,
                part * step + step - 1
            ))
            .unwrap();
    }
    session.execute_script("VACUUM").unwrap();
    let (live, file) = (live_bytes(&mut session), bytes(&path));
    say(&format!("after VACUUM: live size {live}, file {file}"));
    // The headers take 128 KiB.
    assert!(file as f64 <= 1.1 * live as f64 + 131_072.0, "{file} of {live}");
    assert_eq!(number(&mut session, "SELECT count(*) FROM t"), rows / 2);
    verify(&database);
}

#[test]
fn rounds_of_inserting_and_deleting_leave_a_small_file() {
    rounds_of_inserting_and_deleting(20, 20_000, 100);
}

#[test]
fn so_do_rounds_of_two_transactions_that_insert_and_two_that_delete() {
    rounds_of_inserting_and_deleting(10, 40_000, 2);
}

#[test]
fn so_do_rounds_of_one_transaction_that_inserts_everything_and_one_that_deletes_it() {
    let (rounds, rows) =
        if std::env::var_os("LUMOS_LONG").is_some() { (100, 1_000_000) } else { (10, 40_000) };
    rounds_of_inserting_and_deleting(rounds, rows, 1);
}

#[test]
fn vacuum_runs_beside_writers_and_readers() {
    let folder = Folder::new("vacuum");
    let path = folder.0.join("data.lumos");
    let options = DatabaseOptions { memory_limit: Some(16 << 20), ..DatabaseOptions::default() };
    let database = Database::open(Some(&path), options).unwrap();
    let mut session = database.connect().unwrap();
    session
        .execute_script(
            "SET durability = 'off';
             CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL, s text NOT NULL);
             CREATE INDEX t_n ON t (n);
             INSERT INTO t SELECT i, 0, repeat('y', 300) FROM generate_series(1, 20000) AS g (i);
             DELETE FROM t WHERE id % 4 <> 0",
        )
        .unwrap();
    let done = AtomicBool::new(false);
    let changed = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (database, done) = (Arc::clone(&database), &done);
                scope.spawn(move || {
                    let mut session = database.connect().unwrap();
                    session.execute_script("SET durability = 'off'").unwrap();
                    let mut changed = 0;
                    while !done.load(Ordering::Relaxed) {
                        let id = 4 * (1 + (changed * 37 + writer) % 5000);
                        changed += 1;
                        session
                            .execute_script(&format!(
                                "UPDATE t SET n = n + 1 WHERE id = {id};
                                 INSERT INTO t VALUES ({0}, 0, repeat('z', 300)); DELETE FROM t WHERE id = {0}",
                                id * 10 + 1 + writer
                            ))
                            .unwrap();
                        assert_eq!(number(&mut session, "SELECT count(*) FROM t WHERE id % 4 = 0"), 5000);
                    }
                    changed
                })
            })
            .collect();
        for _ in 0..3 {
            session.execute_script("VACUUM").unwrap();
        }
        done.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum::<i64>()
    });
    assert_eq!(number(&mut session, "SELECT CAST(sum(n) AS bigint) FROM t"), changed);
    session.execute_script("VACUUM").unwrap();
    verify(&database);
    assert_eq!(number(&mut session, "SELECT count(*) FROM t"), 5000);
}

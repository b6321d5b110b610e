//! Indexes that are made while others write, definitions that change while others run prepared statements, and rows that
//! two sessions insert or change by ON CONFLICT.

use crate::common::random::Random;
use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::options::DatabaseOptions;
use crate::error::{Error, Result};
use crate::io::fault::{FaultVfs, Survival};
use crate::session::Session;
use crate::sql::types::datum::Datum;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const PATH: &str = "/app.lumos";

pub(super) fn open(vfs: &FaultVfs) -> Arc<Database> {
    let options = DatabaseOptions {
        memory_limit: Some(32 << 20),
        vfs: Some(Arc::new(vfs.clone())),
        background_checkpoints: false,
        ..DatabaseOptions::default()
    };
    Database::open(Some(Path::new(PATH)), options).unwrap()
}

pub(super) fn run(session: &mut Session, sql: &str) -> Result<u64> {
    session.execute_script(sql)
}

/// Rows as text, in the order they come.
pub(super) fn rows(session: &mut Session, sql: &str) -> Vec<String> {
    let (statement, _) = session.prepare(sql).unwrap();
    let mut portal = session.execute(&statement.expect("a statement"), &[]).unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = session.fetch(&mut portal).unwrap() {
        for row in batch.row_numbers() {
            rows.push(batch.columns.iter().map(|column| format!("{:?}|", column.datum(row))).collect());
        }
    }
    rows
}

pub(super) fn code(error: &Error) -> String {
    error.state().to_string()
}

pub(super) fn assert_sound(database: &Database) {
    let mut lines = Vec::new();
    let count = database.verify(&mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(count, 0, "{lines:?}");
}

pub(super) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

/// Requests that wait for a lock.
pub(super) fn waiting(database: &Database) -> usize {
    database.engine().manager.lock_manager().waiting_count()
}

/// Whether a session may run into it and go on.
pub(super) fn is_retried(error: &Error) -> bool {
    matches!(code(error).as_str(), "40P01" | "40001" | "23505")
}

/// Changes until `stop`, of keys below 3000 that belong to this writer (`key % 2 = number`); how many.
pub(super) fn write(database: &Arc<Database>, number: u64, seed: u64, stop: &AtomicBool, least: u64) -> u64 {
    let mut session = database.connect().unwrap();
    let mut random = Random::new(seed);
    let mut changes = 0;
    while !stop.load(Ordering::Acquire) || changes < least {
        let key = random.below(1500) * 2 + number;
        let other = random.below(1500) * 2 + number;
        let result = match random.below(6) {
            0 => run(&mut session, &format!("DELETE FROM t WHERE id = {key}")),
            1 => run(&mut session, &format!("UPDATE t SET n = n + 10000 WHERE id = {key}")),
            2 => run(&mut session, &format!("UPDATE t SET id = {other} WHERE id = {key}")),
            3 => run(
                &mut session,
                &format!(
                    "BEGIN; UPDATE t SET n = -n WHERE id = {key}; INSERT INTO t VALUES ({other}, {other}, 'two') \
                     ON CONFLICT DO NOTHING; COMMIT"
                ),
            ),
            4 => run(&mut session, &format!("BEGIN; UPDATE t SET n = 5 - n WHERE id = {key}; ROLLBACK")),
            _ => run(
                &mut session,
                &format!(
                    "INSERT INTO t VALUES ({key}, {key}, 'new') ON CONFLICT (id) DO UPDATE SET s = t.s || '+', n = t.n"
                ),
            ),
        };
        match result {
            Ok(_) => changes += 1,
            Err(error) if is_retried(&error) => {
                let _ = session.rollback();
            }
            Err(error) => panic!("seed {seed}: {error:?}"),
        }
    }
    changes
}

#[test]
fn an_index_made_beside_writers_is_the_index_that_a_quiet_build_makes() {
    let seed = 20_261_122;
    let least: u64 = 2_500;
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(
        &mut session,
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text);
         INSERT INTO t SELECT g, g, 'text ' || g FROM generate_series(0, 2999) AS r(g) WHERE g % 3 <> 0",
    )
    .unwrap();
    let stop = AtomicBool::new(false);
    let changes = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for number in 0..2 {
            let (database, stop, changes) = (&database, &stop, &changes);
            scope.spawn(move || {
                changes.fetch_add(write(database, number, seed + number, stop, least), Ordering::AcqRel);
            });
        }
        run(&mut session, "CREATE INDEX CONCURRENTLY t_n ON t (n)").unwrap();
        run(&mut session, "CREATE UNIQUE INDEX CONCURRENTLY t_u ON t (id, s)").unwrap();
        run(&mut session, "CREATE INDEX CONCURRENTLY t_part ON t ((n % 7), upper(s)) WHERE n > 100").unwrap();
        stop.store(true, Ordering::Release);
    });
    assert!(changes.load(Ordering::Acquire) >= 2 * least);
    assert_sound(&database);
    let by_rows = rows(&mut session, "SELECT n, id FROM t ORDER BY n + 0, id");
    assert_eq!(rows(&mut session, "SELECT n, id FROM t ORDER BY n, id"), by_rows, "seed {seed}");
    run(&mut session, "DROP INDEX t_n; CREATE INDEX t_n ON t (n)").unwrap();
    assert_eq!(rows(&mut session, "SELECT n, id FROM t ORDER BY n, id"), by_rows, "seed {seed}");
    drop(session);
    drop(database);
    let database = open(&vfs);
    assert_sound(&database);
    let mut session = database.connect().unwrap();
    assert_eq!(rows(&mut session, "SELECT n, id FROM t ORDER BY n, id"), by_rows, "seed {seed}");
}

#[test]
fn a_build_beside_writers_that_fails_leaves_nothing() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(
        &mut session,
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint); INSERT INTO t VALUES (1, 7), (2, 8), (3, 7)",
    )
    .unwrap();
    let error = run(&mut session, "CREATE UNIQUE INDEX CONCURRENTLY t_n ON t (n)").unwrap_err();
    assert_eq!(code(&error), "23505");
    assert_eq!(error.message(), "could not create unique index \"t_n\"");
    assert_eq!(error.detail_text(), Some("Key (n)=(7) is duplicated."));
    let error = run(&mut session, "CREATE INDEX CONCURRENTLY t_n ON t ((10 / (n - 8)))").unwrap_err();
    assert_eq!(code(&error), "22012");
    let error = run(&mut session, "DROP INDEX t_n").unwrap_err();
    assert_eq!(code(&error), "42704");
    let error = run(&mut session, "BEGIN; CREATE INDEX CONCURRENTLY t_n ON t (n)").unwrap_err();
    assert_eq!(code(&error), "25001");
    assert_eq!(error.message(), "CREATE INDEX CONCURRENTLY cannot run inside a transaction block");
    session.rollback().unwrap();
    run(&mut session, "INSERT INTO t VALUES (4, 7); DELETE FROM t WHERE id IN (1, 3)").unwrap();
    run(&mut session, "CREATE UNIQUE INDEX CONCURRENTLY t_n ON t (n)").unwrap();
    assert_eq!(code(&run(&mut session, "INSERT INTO t VALUES (5, 7)").unwrap_err()), "23505");
    run(&mut session, "INSERT INTO t VALUES (6, 7) ON CONFLICT (n) DO UPDATE SET n = 70").unwrap();
    assert_sound(&database);
}

#[test]
fn a_crash_in_a_build_beside_writers_leaves_no_index() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(
        &mut session,
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint); INSERT INTO t VALUES (1, 7), (2, 8)",
    )
    .unwrap();
    // Somebody who wrote before holds the build up after it has announced the index.
    let mut writer = database.connect().unwrap();
    run(&mut writer, "BEGIN; UPDATE t SET n = 9 WHERE id = 1").unwrap();
    let image = std::thread::scope(|scope| {
        let cancel = session.cancel_token();
        let build = scope.spawn(|| run(&mut session, "CREATE INDEX CONCURRENTLY t_n ON t (n)"));
        let observer = database.connect().unwrap();
        until(|| observer.definitions().index_names().any(|name| name == "t_n"));
        until(|| waiting(&database) > 0);
        let image = vfs.image_after_power_loss(Survival::Everything, 1);
        cancel.cancel(0);
        assert_eq!(code(&build.join().unwrap().unwrap_err()), "57014");
        run(&mut writer, "COMMIT").unwrap();
        image
    });
    let mut session = database.connect().unwrap();
    assert_eq!(code(&run(&mut session, "DROP INDEX t_n").unwrap_err()), "42704");
    assert_sound(&database);
    let again = open(&image);
    let mut session = again.connect().unwrap();
    assert_eq!(code(&run(&mut session, "DROP INDEX t_n").unwrap_err()), "42704");
    assert_sound(&again);
    run(&mut session, "CREATE INDEX CONCURRENTLY t_n ON t (n)").unwrap();
    assert_sound(&again);
}

#[test]
fn a_prepared_statement_is_never_run_with_a_plan_of_older_definitions() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(&mut session, "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text)").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..2_i64 {
            let (database, stop) = (&database, &stop);
            scope.spawn(move || {
                let mut session = database.connect().unwrap();
                let upsert =
                    "INSERT INTO t VALUES ($1, $2, 'a') ON CONFLICT (id) DO UPDATE SET n = excluded.n";
                let texts = [
                    upsert,
                    "UPDATE t SET s = s || 'b' WHERE n = $1 AND id > $2",
                    "DELETE FROM t WHERE id = $1 AND n > $2",
                ];
                let mut statements = Vec::new();
                for text in texts {
                    statements.push(session.prepare(text).unwrap().0.unwrap());
                }
                let mut round = 0;
                while !stop.load(Ordering::Acquire) {
                    round += 1;
                    let key = Datum::BigInt(round % 50 * 2 + number);
                    for statement in &statements {
                        let parameters = [key.clone(), Datum::BigInt(round % 7)];
                        match session.execute(statement, &parameters) {
                            Ok(portal) => session.close(portal),
                            Err(error) if is_retried(&error) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }
            });
        }
        for round in 0..12 {
            run(&mut session, "CREATE INDEX t_n ON t (n)").unwrap();
            run(
                &mut session,
                "BEGIN; CREATE INDEX t_s ON t (s); SAVEPOINT a; DROP INDEX t_n; ROLLBACK TO a; COMMIT",
            )
            .unwrap();
            run(&mut session, "BEGIN; DROP INDEX t_s; INSERT INTO t VALUES (-1, 1, 'own'); ROLLBACK")
                .unwrap();
            let how = if round % 2 == 0 { "CONCURRENTLY" } else { "" };
            run(&mut session, &format!("CREATE INDEX {how} t_both ON t (s, n)")).unwrap();
            run(&mut session, "DROP INDEX t_n, t_both; DROP INDEX t_s").unwrap();
        }
        run(&mut session, "CREATE INDEX t_n ON t (n)").unwrap();
        run(&mut session, "CREATE INDEX CONCURRENTLY t_s ON t (s, n)").unwrap();
        stop.store(true, Ordering::Release);
    });
    assert_sound(&database);
    let by_rows = rows(&mut session, "SELECT n, id FROM t ORDER BY n + 0, id");
    assert_eq!(rows(&mut session, "SELECT n, id FROM t ORDER BY n, id"), by_rows);
}

#[test]
fn two_sessions_that_count_by_on_conflict_lose_nothing() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(
        &mut session,
        "CREATE TABLE t (k text PRIMARY KEY, n bigint); CREATE TABLE i (k integer PRIMARY KEY, n bigint)",
    )
    .unwrap();
    const ROUNDS: i64 = 400;
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let database = &database;
            scope.spawn(move || {
                let mut session = database.connect().unwrap();
                let mut random = Random::new(seed);
                for _ in 0..ROUNDS {
                    let key = random.below(8);
                    run(
                        &mut session,
                        &format!(
                            "INSERT INTO t VALUES ('k{key}', 1) ON CONFLICT (k) DO UPDATE SET n = t.n + excluded.n;
                             INSERT INTO i VALUES ({key}, 1) ON CONFLICT (k) DO UPDATE SET n = i.n + excluded.n"
                        ),
                    )
                    .unwrap();
                    if random.below(10) == 0 {
                        // Goes and comes: whoever waits for it starts again.
                        run(&mut session, &format!(
                            "BEGIN; DELETE FROM i WHERE k = {key} AND n = 0; INSERT INTO i VALUES ({key}, 0) \
                             ON CONFLICT DO NOTHING; COMMIT"
                        )).unwrap();
                    }
                }
            });
        }
    });
    for table in ["t", "i"] {
        let sum = rows(&mut session, &format!("SELECT sum(n)::bigint FROM {table}"));
        assert_eq!(sum, [format!("BigInt({})|", 2 * ROUNDS)]);
    }
    assert_sound(&database);
}

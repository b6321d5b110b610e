//! A queue of jobs in a table: workers take them with SKIP LOCKED, each job is done once, also where a worker gives up.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Result, SqlState};
use lumos_core::session::{Prepared, Session};
use lumos_core::sql::types::datum::Datum;
use std::sync::Arc;

const WORKERS: usize = 8;

/// `LUMOS_LONG=1`, as `make test-long` has it: many.
fn jobs() -> i64 {
    if std::env::var_os("LUMOS_LONG").is_some() { 100_000 } else { 2_000 }
}

fn prepared(session: &mut Session, sql: &str) -> Result<Arc<Prepared>> {
    Ok(session.prepare(sql)?.0.unwrap())
}

/// The rows of a statement.
fn rows(session: &mut Session, sql: &str, parameters: &[Datum]) -> Result<Vec<Vec<Datum>>> {
    let statement = prepared(session, sql)?;
    rows_of(session, &statement, parameters)
}

fn rows_of(
    session: &mut Session,
    statement: &Arc<Prepared>,
    parameters: &[Datum],
) -> Result<Vec<Vec<Datum>>> {
    let mut portal = session.execute(statement, parameters)?;
    let mut rows = Vec::new();
    while let Some(batch) = session.fetch(&mut portal)? {
        for row in batch.row_numbers() {
            rows.push(batch.columns.iter().map(|column| column.datum(row).to_owned()).collect());
        }
    }
    session.close(portal);
    Ok(rows)
}

fn integer(value: &Datum) -> i64 {
    match value {
        Datum::Integer(value) => i64::from(*value),
        Datum::BigInt(value) => *value,
        other => panic!("{other:?} is no number"),
    }
}

/// Takes jobs until there are none. Every tenth one is given up once and comes back.
fn work(database: &Arc<Database>, worker: usize) -> Result<Vec<i64>> {
    let mut session = database.connect()?;
    let mut done = Vec::new();
    let mut given_up = 0;
    let take = prepared(
        &mut session,
        "SELECT id FROM jobs WHERE worker IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
    )?;
    let mark = prepared(
        &mut session,
        "UPDATE jobs SET worker = $1, runs = runs + 1 WHERE id = $2 AND worker IS NULL RETURNING id",
    )?;
    loop {
        session.begin(None, false)?;
        let taken = rows_of(&mut session, &take, &[])?;
        let Some(job) = taken.first() else {
            session.commit()?;
            // What others hold may come back.
            let left = rows(&mut session, "SELECT count(*) FROM jobs WHERE worker IS NULL", &[])?;
            if integer(&left[0][0]) == 0 {
                return Ok(done);
            }
            std::thread::yield_now();
            continue;
        };
        let id = integer(&job[0]);
        let parameters = [Datum::Integer(worker as i32), Datum::Integer(id as i32)];
        let marked = rows_of(&mut session, &mark, &parameters)?;
        assert_eq!(marked.len(), 1, "job {id} was taken by somebody else as well");
        if id % 10 == 0 && given_up < id {
            given_up = id;
            session.rollback()?;
            continue;
        }
        session.commit()?;
        done.push(id);
    }
}

#[test]
fn each_job_of_a_queue_is_done_once_by_eight_workers() {
    let jobs = jobs();
    let database = Database::open(None, DatabaseOptions::default()).unwrap();
    let mut session = database.connect().unwrap();
    session
        .execute_script(&format!(
            "CREATE TABLE jobs (id int PRIMARY KEY, worker int, runs int NOT NULL DEFAULT 0);
             INSERT INTO jobs (id) SELECT g FROM generate_series(1, {jobs}) g;
             CREATE INDEX waiting ON jobs (id) WHERE worker IS NULL"
        ))
        .unwrap();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let database = Arc::clone(&database);
            std::thread::spawn(move || work(&database, worker))
        })
        .collect();
    let mut done: Vec<i64> = workers.into_iter().flat_map(|worker| worker.join().unwrap().unwrap()).collect();
    done.sort_unstable();
    assert!(done.iter().copied().eq(1..=jobs), "{} jobs were done, {jobs} asked for", done.len());
    let wrong =
        rows(&mut session, "SELECT count(*) FROM jobs WHERE runs <> 1 OR worker IS NULL", &[]).unwrap();
    assert_eq!(integer(&wrong[0][0]), 0);
}

#[test]
fn a_job_that_somebody_works_on_is_not_obtained_at_once() {
    let database = Database::open(None, DatabaseOptions::default()).unwrap();
    let (mut one, mut other) = (database.connect().unwrap(), database.connect().unwrap());
    one.execute_script("CREATE TABLE jobs (id int PRIMARY KEY); INSERT INTO jobs VALUES (1), (2)").unwrap();
    one.begin(None, false).unwrap();
    rows(&mut one, "SELECT id FROM jobs WHERE id = $1 FOR UPDATE", &[Datum::Integer(1)]).unwrap();
    let error = rows(&mut other, "SELECT id FROM jobs WHERE id = 1 FOR SHARE NOWAIT", &[]).unwrap_err();
    assert_eq!(error.state(), SqlState::LOCK_NOT_AVAILABLE);
    assert_eq!(error.message(), "could not obtain lock on row in relation \"jobs\"");
    let free = rows(&mut other, "SELECT id FROM jobs FOR UPDATE SKIP LOCKED", &[]).unwrap();
    assert_eq!(free.len(), 1);
    one.rollback().unwrap();
    let free = rows(&mut other, "SELECT id FROM jobs FOR UPDATE SKIP LOCKED", &[]).unwrap();
    assert_eq!(free.len(), 2);
}

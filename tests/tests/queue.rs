//! A queue of jobs in a table: workers take them with SKIP LOCKED in the ways that are usual, each job is done once, also
//! where a worker gives up, and the last jobs cost what the first ones did.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_core::common::clock::{Clock, SystemClock};
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Result, SqlState};
use lumos_core::session::{Prepared, Session};
use lumos_core::sql::types::datum::Datum;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

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

/// A way to keep a queue.
struct Queue {
    name: &'static str,
    /// Makes the table `jobs` for so many jobs.
    create: fn(i64) -> String,
    /// Takes a job: its rows begin with the job's number. `$1`: the worker.
    take: &'static str,
    /// What is done with a job that was taken; `$1`: the worker, `$2`: the job.
    finish: Option<&'static str>,
    /// How many are left, and how many went wrong at the end.
    left: &'static str,
    wrong: &'static str,
}

const MARKED: Queue = Queue {
    name: "SELECT … FOR UPDATE SKIP LOCKED, then UPDATE",
    create: |jobs| {
        format!(
            "CREATE TABLE jobs (id int PRIMARY KEY, worker int, runs int NOT NULL DEFAULT 0);
             INSERT INTO jobs (id) SELECT g FROM generate_series(1, {jobs}) g;
             CREATE INDEX waiting ON jobs (id) WHERE worker IS NULL"
        )
    },
    take: "SELECT id FROM jobs WHERE worker IS NULL AND $1 >= 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
    finish: Some(
        "UPDATE jobs SET worker = $1, runs = runs + 1 WHERE id = $2 AND worker IS NULL RETURNING id",
    ),
    left: "SELECT count(*) FROM jobs WHERE worker IS NULL",
    wrong: "SELECT count(*) FROM jobs WHERE runs <> 1 OR worker IS NULL",
};

const DELETED: Queue = Queue {
    name: "DELETE … RETURNING",
    create: |jobs| {
        format!(
            "CREATE TABLE jobs (id int PRIMARY KEY, payload text);
             INSERT INTO jobs SELECT g, 'do ' || g FROM generate_series(1, {jobs}) g"
        )
    },
    take: "DELETE FROM jobs WHERE id = (SELECT id FROM jobs WHERE $1 >= 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING id, payload",
    finish: None,
    left: "SELECT count(*) FROM jobs",
    wrong: "SELECT count(*) FROM jobs",
};

const STATES: Queue = Queue {
    name: "UPDATE … SET state = 'done'",
    create: |jobs| {
        format!(
            "CREATE TABLE jobs (id int PRIMARY KEY, state text NOT NULL, worker int, runs int NOT NULL DEFAULT 0);
             INSERT INTO jobs SELECT g, 'ready', NULL, 0 FROM generate_series(1, {jobs}) g;
             CREATE INDEX jobs_state ON jobs (state)"
        )
    },
    take:
        "UPDATE jobs SET state = 'done', worker = $1, runs = runs + 1
           WHERE id = (SELECT id FROM jobs WHERE state = 'ready' LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id",
    finish: None,
    left: "SELECT count(*) FROM jobs WHERE state = 'ready'",
    wrong: "SELECT count(*) FROM jobs WHERE runs <> 1 OR state <> 'done'",
};

/// When each tenth of the jobs was done.
struct Progress {
    clock: SystemClock,
    jobs: i64,
    done: AtomicI64,
    tenths: [AtomicU64; 10],
}

impl Progress {
    fn note(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done % (self.jobs / 10) == 0
            && let Some(tenth) = self.tenths.get((done / (self.jobs / 10) - 1) as usize)
        {
            tenth.store(self.clock.monotonic_nanos(), Ordering::Relaxed);
        }
    }

    /// Seconds from tenth to tenth.
    fn seconds(&self, start: u64) -> Vec<f64> {
        let mut before = start;
        let mut seconds = Vec::new();
        for tenth in &self.tenths {
            let now = tenth.load(Ordering::Relaxed);
            seconds.push(now.saturating_sub(before) as f64 / 1e9);
            before = now;
        }
        seconds
    }
}

/// Takes jobs until there are none. Every tenth one is given up once and comes back.
fn work(database: &Arc<Database>, queue: &Queue, worker: usize, progress: &Progress) -> Result<Vec<i64>> {
    let mut session = database.connect()?;
    let mut done = Vec::new();
    let mut given_up = 0;
    let own = Datum::Integer(worker as i32);
    let take = prepared(&mut session, queue.take)?;
    let finish = queue.finish.map(|finish| prepared(&mut session, finish)).transpose()?;
    loop {
        session.begin(None, false)?;
        let taken = rows_of(&mut session, &take, std::slice::from_ref(&own))?;
        let Some(job) = taken.first() else {
            session.commit()?;
            // What others hold may come back.
            if integer(&rows(&mut session, queue.left, &[])?[0][0]) == 0 {
                return Ok(done);
            }
            std::thread::yield_now();
            continue;
        };
        let id = integer(&job[0]);
        if let Some(finish) = &finish {
            let finished = rows_of(&mut session, finish, &[own.clone(), Datum::Integer(id as i32)])?;
            assert_eq!(finished.len(), 1, "job {id} was taken by somebody else as well");
        }
        if id % 10 == 0 && given_up < id {
            given_up = id;
            session.rollback()?;
            continue;
        }
        session.commit()?;
        done.push(id);
        progress.note();
    }
}

fn each_is_done_once(queue: &Queue) {
    let jobs = jobs();
    let database = Database::open(None, DatabaseOptions::default()).unwrap();
    let mut session = database.connect().unwrap();
    session.execute_script(&(queue.create)(jobs)).unwrap();
    let progress = Progress {
        clock: SystemClock::new(),
        jobs,
        done: AtomicI64::new(0),
        tenths: std::array::from_fn(|_| AtomicU64::new(0)),
    };
    let start = progress.clock.monotonic_nanos();
    let mut done: Vec<i64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (database, progress) = (&database, &progress);
                scope.spawn(move || work(database, queue, worker, progress))
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap().unwrap()).collect()
    });
    let tenths = progress.seconds(start);
    let texts: Vec<String> = tenths.iter().map(|seconds| format!("{seconds:.2}")).collect();
    println!(
        "queue, {}: {jobs} jobs, {WORKERS} workers, {:.1} s, by tenths {}",
        queue.name,
        tenths.iter().sum::<f64>(),
        texts.join(" ")
    );
    done.sort_unstable();
    assert!(done.iter().copied().eq(1..=jobs), "{} jobs were done, {jobs} asked for", done.len());
    let wrong = rows(&mut session, queue.wrong, &[]).unwrap();
    assert_eq!(integer(&wrong[0][0]), 0);
}

#[test]
fn each_job_of_a_queue_is_done_once_by_eight_workers() {
    each_is_done_once(&MARKED);
}

#[test]
fn each_job_that_is_deleted_as_it_is_taken_is_done_once() {
    each_is_done_once(&DELETED);
}

#[test]
fn each_job_whose_state_changes_is_done_once() {
    each_is_done_once(&STATES);
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

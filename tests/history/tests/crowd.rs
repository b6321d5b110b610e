//! Many at once, at the sizes that are promised: serializable writers that share no row, a sequence that all draw from,
//! an index that is made beside writers.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_core::common::clock::{Clock, SystemClock};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result, SqlState};
use lumos_history::client::{Client, number};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const THREADS: u64 = 8;

/// One of two sizes: of every change, and with `LUMOS_LONG=1`, as `make test-long` has it.
fn sized(change: u64, long: u64) -> u64 {
    if std::env::var_os("LUMOS_LONG").is_some() { long } else { change }
}

/// `LUMOS_SEED` makes another run.
fn seed() -> u64 {
    std::env::var("LUMOS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn stream(thread: u64) -> Random {
    Random::new(seed().wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(thread + 1))
}

fn database() -> Arc<Database> {
    let options = DatabaseOptions { memory_limit: Some(256 << 20), ..DatabaseOptions::default() };
    Database::open(None, options).unwrap()
}

fn seconds_since(clock: &SystemClock, start: u64) -> f64 {
    (clock.monotonic_nanos() - start) as f64 / 1e9
}

fn assert_sound(database: &Database) {
    let mut lines = Vec::new();
    let count = database.verify(&mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(count, 0, "{lines:?}");
}

fn one_number(client: &mut Client, sql: &str) -> i64 {
    client.run(sql, &[]).unwrap().number()
}

/// Rows of one writer; they lie between those of the others, so pages and leaves of indexes are shared.
const ROWS_OF_ONE: u64 = 500;

const KINDS: u64 = 100;

/// Ranges of indexes, in which others have no row.
const BY_KIND: &str = "SELECT count(*), sum(n) FROM plots WHERE owner = $1 AND kind >= $2 AND kind < $3";
const BY_PLOT: &str = "SELECT count(*) FROM visits WHERE plot = $1";

/// One serializable transaction on rows of `writer` alone; how much it added to their numbers.
fn change_own(client: &mut Client, random: &mut Random, writer: u64) -> Result<i64> {
    let key = |random: &mut Random| number(random.below(ROWS_OF_ONE) * THREADS + writer);
    client.run("BEGIN ISOLATION LEVEL SERIALIZABLE", &[])?;
    let mut added = 0;
    for _ in 0..1 + random.below(3) {
        let id = key(random);
        match random.below(5) {
            0 => {
                let read = client.run("SELECT n FROM plots WHERE id = $1", std::slice::from_ref(&id))?;
                let next = number(read.number() as u64 + 1);
                client.run("UPDATE plots SET n = $2 WHERE id = $1", &[id, next])?;
                added += 1;
            }
            1 => {
                let low = random.below(KINDS - 5);
                client.run(BY_KIND, &[number(writer), number(low), number(low + 5)])?;
                let sql = "UPDATE plots SET kind = $2, n = n + 1 WHERE id = $1";
                client.run(sql, &[id, number(random.below(KINDS))])?;
                added += 1;
            }
            2 => {
                let sql = "DELETE FROM visits WHERE plot = $1 RETURNING id";
                client.run(sql, std::slice::from_ref(&id))?;
                client.run("INSERT INTO visits (plot) VALUES ($1)", &[id])?;
            }
            3 => {
                if client.run(BY_PLOT, std::slice::from_ref(&id))?.number() < 3 {
                    client.run("INSERT INTO visits (plot) VALUES ($1)", &[id])?;
                }
            }
            _ => {
                let sql =
                    "INSERT INTO plots VALUES ($1, $2, 0, 1) ON CONFLICT (id) DO UPDATE SET n = plots.n + 1";
                client.run(sql, &[id, number(writer)])?;
                added += 1;
            }
        }
    }
    client.run("COMMIT", &[])?;
    Ok(added)
}

#[test]
fn serializable_writers_that_share_no_row_are_never_refused() {
    let each = sized(2_000, 100_000) / THREADS;
    let database = database();
    let mut client = Client::new(&database).unwrap();
    client
        .session
        .execute_script(&format!(
            "CREATE TABLE plots (id bigint PRIMARY KEY, owner bigint NOT NULL, kind bigint NOT NULL, n bigint NOT NULL);
             CREATE INDEX plots_owner ON plots (owner, kind);
             CREATE TABLE visits (id bigserial PRIMARY KEY, plot bigint NOT NULL REFERENCES plots);
             CREATE INDEX visits_plot ON visits (plot);
             INSERT INTO plots SELECT g, g % {THREADS}, g / {THREADS} % {KINDS}, 0
               FROM generate_series(0, {}) AS r (g);
             INSERT INTO visits (plot) SELECT id FROM plots;
             ANALYZE",
            ROWS_OF_ONE * THREADS - 1
        ))
        .unwrap();
    for (query, index) in [(BY_KIND, "plots_owner"), (BY_PLOT, "visits_plot")] {
        let query = query.replace("$1", "1").replace("$2", "2").replace("$3", "7");
        let plan = format!("{:?}", client.run(&format!("EXPLAIN {query}"), &[]).unwrap().rows);
        assert!(plan.contains(index), "who reads a whole table depends on all who write to it: {plan}");
    }
    let clock = SystemClock::new();
    let start = clock.monotonic_nanos();
    let added: i64 = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|writer| {
                let database = &database;
                scope.spawn(move || {
                    let mut client = Client::new(database).unwrap();
                    let mut random = stream(writer);
                    let mut added = 0;
                    for count in 0..each {
                        match change_own(&mut client, &mut random, writer) {
                            Ok(more) => added += more,
                            Err(error) => {
                                panic!("seed {}, writer {writer}, transaction {count}: {error:?}", seed())
                            }
                        }
                    }
                    added
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    println!(
        "disjoint writers, seed {}: {} serializable transactions of {THREADS} threads, 0 refused, {:.1} s",
        seed(),
        each * THREADS,
        seconds_since(&clock, start)
    );
    assert_eq!(one_number(&mut client, "SELECT sum(n) FROM plots"), added, "seed {}", seed());
    let orphans =
        "SELECT count(*) FROM visits WHERE NOT EXISTS (SELECT 1 FROM plots WHERE plots.id = visits.plot)";
    assert_eq!(one_number(&mut client, orphans), 0);
    assert_sound(&database);
}

#[test]
fn threads_that_draw_from_one_sequence_draw_no_value_twice() {
    let each = sized(16_000, 1_000_000) / THREADS;
    let database = database();
    let mut client = Client::new(&database).unwrap();
    client.session.execute_script("CREATE SEQUENCE s; CREATE TABLE t (id bigint PRIMARY KEY)").unwrap();
    let clock = SystemClock::new();
    let start = clock.monotonic_nanos();
    let (drawn, statements, undone) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let database = &database;
                scope.spawn(move || {
                    let mut client = Client::new(database).unwrap();
                    let mut random = stream(thread);
                    let (mut drawn, mut statements, mut undone) = (Vec::new(), 0_u64, 0_u64);
                    while (drawn.len() as u64) < each {
                        let left = each - drawn.len() as u64;
                        statements += 1;
                        let answer = match random.below(8) {
                            0 => {
                                let count = number(left.min(1 + random.below(200)));
                                let sql = "SELECT nextval('s') FROM generate_series(1, $1::bigint)";
                                client.run(sql, &[count]).unwrap()
                            }
                            // A rollback gives no value back.
                            1 => {
                                client.run("BEGIN", &[]).unwrap();
                                let answer = client.run("SELECT nextval('s')", &[]).unwrap();
                                client.run("ROLLBACK", &[]).unwrap();
                                undone += 1;
                                answer
                            }
                            2 => {
                                let sql = "INSERT INTO t SELECT nextval('s') RETURNING id";
                                client.run(sql, &[]).unwrap()
                            }
                            _ => client.run("SELECT nextval('s')", &[]).unwrap(),
                        };
                        drawn.extend(answer.rows.iter().map(|row| row[0].number()));
                    }
                    (drawn, statements, undone)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(
            (Vec::new(), 0, 0),
            |(mut all, statements, undone), (drawn, more, again)| {
                assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]), "each thread's values grow");
                all.extend(drawn);
                (all, statements + more, undone + again)
            },
        )
    });
    println!(
        "sequence, seed {}: {} values drawn by {THREADS} threads in {statements} statements, {undone} rolled back, {:.1} s",
        seed(),
        drawn.len(),
        seconds_since(&clock, start)
    );
    let mut all = drawn;
    all.sort_unstable();
    let is_each_once = all.iter().copied().eq(1..=(each * THREADS) as i64);
    assert!(is_each_once, "seed {}: a value came twice or never", seed());
    let kept = one_number(&mut client, "SELECT count(DISTINCT id) FROM t");
    assert_eq!(kept, one_number(&mut client, "SELECT count(*) FROM t"));
}

/// Rows of the table that an index is made of.
fn table_rows() -> u64 {
    sized(4_000, 100_000)
}

/// One change of a key of this writer's.
fn change_any(client: &mut Client, random: &mut Random, writer: u64, writers: u64) -> Result<()> {
    let most = table_rows() / writers;
    let key = number(random.below(most) * writers + writer);
    let other = number(random.below(most) * writers + writer);
    match random.below(7) {
        0 => client.run("DELETE FROM t WHERE id = $1", &[key]),
        1 => client.run("UPDATE t SET n = n + 10000 WHERE id = $1", &[key]),
        2 => client.run("UPDATE t SET id = $2 WHERE id = $1", &[key, other]),
        3 => {
            client.run("BEGIN", &[])?;
            client.run("UPDATE t SET n = -n WHERE id = $1", &[key])?;
            client.run("INSERT INTO t VALUES ($1, $1, 'two') ON CONFLICT DO NOTHING", &[other])?;
            client.run("COMMIT", &[])
        }
        4 => {
            client.run("BEGIN", &[])?;
            client.run("UPDATE t SET n = 5 - n WHERE id = $1", &[key])?;
            client.run("ROLLBACK", &[])
        }
        5 => client.run("UPDATE t SET s = s || '!' WHERE id = $1 AND length(s) < 60", &[key]),
        _ => {
            let sql = "INSERT INTO t VALUES ($1, $1, 'new') ON CONFLICT (id) DO UPDATE SET n = t.n + 1, s = 'again'";
            client.run(sql, &[key])
        }
    }
    .map(drop)
}

fn is_retried(error: &Error) -> bool {
    let expected = [SqlState::DEADLOCK_DETECTED, SqlState::SERIALIZATION_FAILURE, SqlState::UNIQUE_VIOLATION];
    expected.contains(&error.state())
}

/// Ends the writers, also where the test fails: they are waited for.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn an_index_made_beside_concurrent_changes_is_the_index_that_is_made_anew() {
    const WRITERS: u64 = 4;
    let wanted = sized(6_000, 1_000_000);
    let database = database();
    let mut client = Client::new(&database).unwrap();
    client
        .session
        .execute_script(&format!(
            "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text);
             INSERT INTO t SELECT g, g * 31 % 5000, 'text ' || g FROM generate_series(0, {}) AS r (g) WHERE g % 3 <> 0",
            table_rows() - 1
        ))
        .unwrap();
    let definitions = [
        ("t_n", "INDEX CONCURRENTLY t_n ON t (n)"),
        ("t_u", "UNIQUE INDEX CONCURRENTLY t_u ON t (id, s)"),
        ("t_part", "INDEX CONCURRENTLY t_part ON t ((n % 7), upper(s)) WHERE n > 100"),
    ];
    // Changes that were made while a build ran, from its beginning to its end.
    let (beside, all, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let is_building = AtomicBool::new(false);
    let mut builds = 0;
    let clock = SystemClock::new();
    let start = clock.monotonic_nanos();
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for writer in 0..WRITERS {
            let (database, beside, all, stop, is_building) = (&database, &beside, &all, &stop, &is_building);
            scope.spawn(move || {
                let mut client = Client::new(database).unwrap();
                let mut random = stream(writer);
                while !stop.load(Ordering::Acquire) {
                    match change_any(&mut client, &mut random, writer, WRITERS) {
                        Ok(()) => {
                            all.fetch_add(1, Ordering::Relaxed);
                            beside
                                .fetch_add(u64::from(is_building.load(Ordering::Acquire)), Ordering::Relaxed);
                        }
                        Err(error) if is_retried(&error) => client.roll_back(),
                        Err(error) => {
                            stop.store(true, Ordering::Release);
                            panic!("seed {}: {error:?}", seed())
                        }
                    }
                }
            });
        }
        while beside.load(Ordering::Acquire) < wanted && !stop.load(Ordering::Acquire) {
            for (name, definition) in definitions {
                if builds >= definitions.len() {
                    client.session.execute_script(&format!("DROP INDEX {name}")).unwrap();
                }
                is_building.store(true, Ordering::Release);
                client.session.execute_script(&format!("CREATE {definition}")).unwrap();
                is_building.store(false, Ordering::Release);
                builds += 1;
            }
            // In one snapshot, beside the writers: the index and the rows tell the same.
            client.run("BEGIN ISOLATION LEVEL REPEATABLE READ", &[]).unwrap();
            let by_rows = client.run("SELECT n, id FROM t ORDER BY n + 0, id", &[]).unwrap().rows;
            let by_index = client.run("SELECT n, id FROM t ORDER BY n, id", &[]).unwrap().rows;
            client.run("COMMIT", &[]).unwrap();
            assert!(by_index == by_rows, "seed {}, build {builds}", seed());
        }
    });
    println!(
        "index beside writers, seed {}: {builds} builds of {} keys, {} changes beside them ({} in all), {:.1} s",
        seed(),
        table_rows(),
        beside.load(Ordering::Acquire),
        all.load(Ordering::Acquire),
        seconds_since(&clock, start)
    );
    assert_sound(&database);
    let queries = [
        "SELECT n, id FROM t ORDER BY n, id",
        "SELECT id, s FROM t ORDER BY id, s",
        "SELECT n % 7, upper(s), id FROM t WHERE n > 100 ORDER BY n % 7, upper(s), id",
    ];
    let beside: Vec<_> = queries.iter().map(|query| client.run(query, &[]).unwrap().rows).collect();
    for (name, definition) in definitions {
        client.session.execute_script(&format!("DROP INDEX {name}")).unwrap();
        let quiet = definition.replace("CONCURRENTLY ", "");
        client.session.execute_script(&format!("CREATE {quiet}")).unwrap();
    }
    for (query, rows) in queries.iter().zip(&beside) {
        assert!(client.run(query, &[]).unwrap().rows == *rows, "seed {}: {query}", seed());
    }
}

//! Indexes that are made anew, or go, beside readers and writers; indexes that were wrong; crashes and cancels on the way.

use crate::common::random::Random;
use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::concurrent_index_tests::{
    assert_sound, code, is_retried, open, rows, run, until, waiting, write,
};
use crate::database::damage_tests::{
    PAGE, PATH, check, made, open as open_made, run as run_made, used_blocks, verify, with_entries,
};
use crate::io::fault::{FaultVfs, Survival};
use crate::session::Session;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn index_names(session: &Session) -> Vec<String> {
    session.definitions().index_names().map(str::to_owned).collect()
}

#[test]
fn reindex_mends_every_index_whose_entries_are_wrong() {
    let vfs = made();
    let database = open_made(&vfs);
    let mut mended = 0;
    for turn in 0..8 {
        let definitions = database.engine().catalog.current();
        for table in definitions.tables().filter(|table| !table.indexes.is_empty()) {
            let mut random = Random::new(turn);
            for layout in &table.layout.indexes {
                with_entries(&database, layout.tree, |entries| {
                    let (key, value) = entries[random.below(entries.len() as u64) as usize].clone();
                    let mut beside = key.clone();
                    beside.push(0);
                    match turn % 4 {
                        0 => vec![(key, None)],
                        1 => vec![(beside, Some(value))],
                        2 => vec![(key, None), (beside, Some(value))],
                        _ => entries.iter().map(|(key, _)| (key.clone(), None)).collect(),
                    }
                });
                mended += 1;
            }
            assert_ne!(verify(&database), Vec::<String>::new(), "{} in turn {turn}", table.name);
            let how = if turn < 4 { "" } else { "CONCURRENTLY" };
            if turn % 2 == 0 {
                run_made(&database, &format!("REINDEX TABLE {how} {}", table.name));
            } else {
                for index in &table.indexes {
                    run_made(&database, &format!("REINDEX INDEX {how} {}", index.name));
                }
            }
            assert_eq!(verify(&database), Vec::<String>::new(), "{} in turn {turn}", table.name);
        }
    }
    assert!(mended >= 40);
    drop(database);
    assert_eq!(verify(&open_made(&vfs)), Vec::<String>::new());
}

#[test]
fn a_duplicate_that_a_wrong_index_let_in_is_told_and_the_index_stays() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(&mut session, "CREATE TABLE t (id bigint PRIMARY KEY, n bigint UNIQUE); INSERT INTO t VALUES (1, 7)")
        .unwrap();
    let table = session.definitions().table(None, "t").unwrap();
    with_entries(&database, table.layout.indexes[0].tree, |entries| vec![(entries[0].0.clone(), None)]);
    run(&mut session, "INSERT INTO t VALUES (2, 7)").unwrap();
    let error = run(&mut session, "REINDEX TABLE t").unwrap_err();
    assert_eq!(code(&error), "23505");
    assert_eq!(error.message(), "could not create unique index \"t_n_key\"");
    assert_eq!(error.detail_text(), Some("Key (n)=(7) is duplicated."));
    let error = run(&mut session, "REINDEX TABLE CONCURRENTLY t").unwrap_err();
    assert_eq!(code(&error), "23505");
    assert_eq!(error.message(), "could not create unique index \"t_n_key_ccnew\"");
    assert_eq!(index_names(&session), ["t_n_key"]);
    run(&mut session, "DELETE FROM t WHERE id = 1; REINDEX TABLE t").unwrap();
    assert_sound(&database);
}

#[test]
fn indexes_made_anew_and_dropped_beside_writers_are_what_a_quiet_build_makes() {
    let seed = 20_261_123;
    let least: u64 = if std::env::var_os("LUMOS_LONG").is_some() { 200_000 } else { 1_500 };
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(
        &mut session,
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, s text);
         CREATE INDEX t_n ON t (n); CREATE UNIQUE INDEX t_u ON t (id, s);
         CREATE INDEX t_part ON t ((n % 7), upper(s)) WHERE n > 100; CREATE INDEX t_s ON t (s);
         INSERT INTO t SELECT g, g, 'text ' || g FROM generate_series(0, 2999) AS r(g) WHERE g % 3 <> 0",
    )
    .unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..2 {
            let (database, stop) = (&database, &stop);
            scope.spawn(move || write(database, number, seed + number, stop, least));
        }
        let (database, stop) = (&database, &stop);
        // Whoever reads by an index finds the row that its own transaction put there.
        scope.spawn(move || {
            let mut session = database.connect().unwrap();
            let mut number = 1_000_000;
            while !stop.load(Ordering::Acquire) {
                number += 1;
                run(&mut session, &format!("INSERT INTO t VALUES ({number}, {number}, 'own')")).unwrap();
                let found = rows(&mut session, &format!("SELECT id FROM t WHERE n = {number}"));
                assert_eq!(found, [format!("BigInt({number})|")]);
                let retry = |error: &crate::error::Error| assert!(is_retried(error), "{error:?}");
                let gone = run(&mut session, &format!("DELETE FROM t WHERE n = {number}"));
                gone.as_ref().err().map(retry).unwrap_or_default();
            }
        });
        for _ in 0..3 {
            run(&mut session, "REINDEX TABLE CONCURRENTLY t").unwrap();
            run(&mut session, "DROP INDEX CONCURRENTLY t_s").unwrap();
            run(&mut session, "REINDEX INDEX CONCURRENTLY t_part").unwrap();
            run(&mut session, "CREATE INDEX CONCURRENTLY t_s ON t (s, n)").unwrap();
            run(&mut session, "REINDEX TABLE t").unwrap();
        }
        stop.store(true, Ordering::Release);
    });
    assert_sound(&database);
    assert_eq!(index_names(&session), ["t_n", "t_part", "t_s", "t_u"]);
    let by_rows = rows(&mut session, "SELECT n, id FROM t ORDER BY n + 0, id");
    assert_eq!(rows(&mut session, "SELECT n, id FROM t ORDER BY n, id"), by_rows, "seed {seed}");
    drop(session);
    drop(database);
    let database = open(&vfs);
    assert_sound(&database);
    let mut session = database.connect().unwrap();
    assert_eq!(rows(&mut session, "SELECT n, id FROM t ORDER BY n, id"), by_rows, "seed {seed}");
}

/// Runs `sql` beside a transaction that has run `before`, up to where it waits; gives what `then` gives, which is also handed
/// the other session; what the statement comes to at last is checked.
fn beside<R>(
    database: &Arc<Database>,
    before: &str,
    sql: &str,
    expected: Result<(), &str>,
    then: impl FnOnce(&mut Session, &crate::common::cancel::CancelToken) -> R,
) -> R {
    let mut other = database.connect().unwrap();
    run(&mut other, before).unwrap();
    let mut session = database.connect().unwrap();
    std::thread::scope(|scope| {
        let cancel = session.cancel_token();
        let statement = scope.spawn(move || run(&mut session, sql).map(drop).map_err(|error| code(&error)));
        until(|| waiting(database) > 0);
        let result = then(&mut other, &cancel);
        let outcome = statement.join().unwrap();
        assert_eq!(outcome.as_ref().copied().map_err(String::as_str), expected, "{sql}");
        result
    })
}

const SETUP: &str = "CREATE TABLE t (id bigint PRIMARY KEY, n bigint); CREATE INDEX t_n ON t (n);
     INSERT INTO t SELECT g, g % 10 FROM generate_series(1, 100) AS r(g)";

#[test]
fn a_cancelled_build_returns_at_once_and_its_tree_goes_when_the_last_writer_has_ended() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(&mut session, SETUP).unwrap();
    for sql in ["CREATE INDEX CONCURRENTLY t_m ON t (n, id)", "REINDEX TABLE CONCURRENTLY t"] {
        let before = "BEGIN; UPDATE t SET n = 77 WHERE id = 1";
        let mut other = beside(&database, before, sql, Err("57014"), |other, cancel| {
            // This one keeps the new index as well.
            let mut other_too = database.connect().unwrap();
            run(&mut other_too, "BEGIN; UPDATE t SET n = 78 WHERE id = 2").unwrap();
            cancel.cancel(0);
            until(|| waiting(&database) == 0);
            run(other, "UPDATE t SET n = 79 WHERE id = 3").unwrap();
            run(other, "COMMIT").unwrap();
            other_too
        });
        assert_eq!(index_names(&session), ["t_n"]);
        assert_sound(&database);
        run(&mut other, "UPDATE t SET n = 80 WHERE id = 4; COMMIT").unwrap();
        run(&mut other, "INSERT INTO t VALUES (1000, 1) ON CONFLICT DO NOTHING").unwrap();
        assert_sound(&database);
        assert!(database.engine().leavings_are_none());
    }
}

#[test]
fn a_cancelled_drop_leaves_the_index_as_it_was() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(&mut session, SETUP).unwrap();
    let before = "BEGIN; SELECT id FROM t WHERE n = 3";
    beside(&database, before, "DROP INDEX CONCURRENTLY t_n", Err("57014"), |other, cancel| {
        let mut writer = database.connect().unwrap();
        run(&mut writer, "INSERT INTO t VALUES (500, 500)").unwrap();
        cancel.cancel(0);
        until(|| waiting(&database) == 0);
        run(other, "COMMIT").unwrap();
    });
    run(&mut session, "INSERT INTO t VALUES (501, 500)").unwrap();
    let plan = rows(&mut session, "EXPLAIN SELECT id FROM t WHERE n = 500").join(" ");
    assert!(plan.contains("t_n"), "{plan}");
    assert_eq!(rows(&mut session, "SELECT id FROM t WHERE n = 500 ORDER BY id").len(), 2);
    assert_sound(&database);
    run(&mut session, "DROP INDEX CONCURRENTLY t_n").unwrap();
    assert_eq!(index_names(&session), [""; 0]);
    assert_sound(&database);
}

#[test]
fn a_crash_at_any_wait_leaves_an_index_that_is_whole_or_none() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(&mut session, SETUP).unwrap();
    let writes = "BEGIN; UPDATE t SET n = n + 1 WHERE id = 1";
    let reads = "BEGIN; SELECT id FROM t WHERE n = 3";
    let cases = [
        (writes, "REINDEX TABLE CONCURRENTLY t"),
        (reads, "REINDEX INDEX CONCURRENTLY t_n"),
        (writes, "REINDEX INDEX t_n"),
        (reads, "DROP INDEX CONCURRENTLY t_n"),
    ];
    for (number, (before, sql)) in cases.into_iter().enumerate() {
        let image = beside(&database, before, sql, Ok(()), |other, _| {
            let image = vfs.image_after_power_loss(Survival::Everything, number as u64);
            run(other, "COMMIT").unwrap();
            image
        });
        assert_sound(&database);
        let again = open(&image);
        assert_sound(&again);
        let mut session = again.connect().unwrap();
        assert_eq!(index_names(&session), ["t_n"], "{sql}");
        let by_rows = rows(&mut session, "SELECT n, id FROM t ORDER BY n + 0, id");
        assert_eq!(rows(&mut session, "SELECT n, id FROM t ORDER BY n, id"), by_rows, "{sql}");
        run(&mut session, "INSERT INTO t VALUES (700, 700)").unwrap();
        run(&mut session, "REINDEX SCHEMA CONCURRENTLY public").unwrap();
        assert_sound(&again);
    }
    assert_eq!(index_names(&session), [""; 0]);
}

#[test]
fn a_snapshot_from_before_reads_on_while_and_after_an_index_is_made_anew_beside_it() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(&mut session, SETUP).unwrap();
    let before = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT id FROM t WHERE n = 3";
    beside(&database, before, "REINDEX INDEX CONCURRENTLY t_n", Ok(()), |other, _| {
        let mut writer = database.connect().unwrap();
        run(&mut writer, "UPDATE t SET n = n + 1; DELETE FROM t WHERE id > 50").unwrap();
        assert_eq!(rows(other, "SELECT id FROM t WHERE n = 3").len(), 10);
        run(other, "COMMIT; BEGIN; SELECT id FROM t WHERE n = 4").unwrap();
        assert_eq!(rows(other, "SELECT id FROM t WHERE n = 4").len(), 5);
        run(other, "COMMIT").unwrap();
    });
    assert_eq!(rows(&mut session, "SELECT id FROM t WHERE n = 4").len(), 5);
    assert_sound(&database);
}

#[test]
fn reindex_mends_an_index_whose_pages_cannot_be_read() {
    let blocks = {
        let vfs = made();
        let good = vfs.bytes_of(Path::new(PATH)).unwrap();
        let of_index = |block: &crate::common::ids::BlockId| {
            let at = block.0 as usize * PAGE + 100;
            vfs.damage(Path::new(PATH), at, &[good[at] ^ 1]);
            let found = check(&vfs);
            vfs.damage(Path::new(PATH), at, &[good[at]]);
            found.iter().any(|line| line.contains("index \"by_number_name\""))
        };
        used_blocks(&vfs).into_iter().filter(of_index).collect::<Vec<_>>()
    };
    assert!(blocks.len() > 2, "the index has inner pages and leaves");
    for block in blocks.into_iter().step_by(3) {
        let vfs = made();
        let at = block.0 as usize * PAGE + 100;
        let good = vfs.bytes_of(Path::new(PATH)).unwrap();
        vfs.damage(Path::new(PATH), at, &[good[at] ^ 1]);
        let database = open_made(&vfs);
        run_made(&database, "REINDEX TABLE by_number");
        // What an inner page named that cannot be read stays taken.
        let is_wrong = |line: &String| !line.contains("no tree reaches it");
        let found: Vec<_> = verify(&database).into_iter().filter(is_wrong).collect();
        assert_eq!(found, Vec::<String>::new(), "block {block}");
        let mut session = database.connect().unwrap();
        assert_eq!(rows(&mut session, "SELECT id FROM by_number WHERE name = 'name 7'").len(), 2);
    }
}

#[test]
fn a_kept_snapshot_reads_on_without_indexes_that_were_made_since() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    let mut session = database.connect().unwrap();
    run(&mut session, SETUP).unwrap();
    run(&mut session, "CREATE TABLE u (a bigint)").unwrap();
    let mut older = database.connect().unwrap();
    run(&mut older, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM u").unwrap();
    run(&mut session, "REINDEX INDEX t_n; CREATE UNIQUE INDEX t_u ON t (id, n)").unwrap();
    run(&mut session, "UPDATE t SET n = n + 1 WHERE id > 50").unwrap();
    assert_eq!(rows(&mut older, "SELECT id FROM t WHERE n = 3").len(), 10);
    assert_eq!(rows(&mut session, "SELECT id FROM t WHERE n = 3").len(), 10);
    run(&mut older, "UPDATE t SET n = 500 WHERE n = 3 AND id < 50").unwrap();
    assert_eq!(rows(&mut older, "SELECT id FROM t WHERE n = 500").len(), 5);
    run(&mut older, "COMMIT").unwrap();
    assert_eq!(rows(&mut session, "SELECT id FROM t WHERE n = 500").len(), 5);
    let plan = rows(&mut older, "EXPLAIN SELECT id FROM t WHERE n = 500").join(" ");
    assert!(plan.contains("t_n"), "{plan}");
    assert_sound(&database);
}

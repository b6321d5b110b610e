//! Salvage of files damaged in every way, backups while others write, reading without writing, statements that meet
//! damage.

use crate::common::clock::Clock;
use crate::common::sync::Arc;
use crate::common::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use crate::database::Database;
use crate::database::damage_tests::{PAGE, PATH, check, fill, made, open, options, run, used_blocks};
use crate::database::options::DatabaseOptions;
use crate::error::SqlState;
use crate::io::fault::{Fault, FaultPlan, FaultVfs, Survival};
use crate::io::vfs::{OpenMode, Vfs};
use std::collections::BTreeSet;
use std::path::Path;

const COPY: &str = "/copy.lumos";
const TABLES: [&str; 4] = ["by_number", "by_text", "by_both", "without_key"];

fn options_at(vfs: &FaultVfs, read_only: bool) -> DatabaseOptions {
    DatabaseOptions { read_only, create: false, ..options(vfs) }
}

/// All rows of a table as text, sorted.
fn rows_at(database: &Arc<Database>, table: &str) -> Vec<String> {
    let mut session = database.connect().unwrap();
    let mut rows = Vec::new();
    let (statement, _) = session.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let mut portal = session.execute(&statement.unwrap(), &[]).unwrap();
    while let Some(batch) = session.fetch(&mut portal).unwrap() {
        for row in 0..batch.rows {
            rows.push(batch.columns.iter().map(|column| format!("{:?}|", column.datum(row))).collect());
        }
    }
    rows.sort_unstable();
    rows
}

fn everything(vfs: &FaultVfs, path: &str) -> Vec<Vec<String>> {
    let database = Database::open(Some(Path::new(path)), options_at(vfs, true)).unwrap();
    TABLES.iter().map(|table| rows_at(&database, table)).collect()
}

fn salvage(vfs: &FaultVfs) -> (crate::database::salvage::Salvaged, Vec<String>) {
    let mut lines = Vec::new();
    if vfs.exists(Path::new(COPY)).unwrap() {
        vfs.remove(Path::new(COPY)).unwrap();
    }
    let mut report = |line: &str| lines.push(line.to_owned());
    let done = Database::salvage(Path::new(PATH), Path::new(COPY), options(vfs), &mut report).unwrap();
    (done, lines)
}

fn check_copy(vfs: &FaultVfs) {
    let mut lines = Vec::new();
    let mut report = |line: &str| lines.push(line.to_owned());
    assert_eq!(Database::check(Path::new(COPY), options(vfs), &mut report).unwrap(), 0, "{lines:?}");
}

#[test]
fn a_sound_file_is_salvaged_whole() {
    let vfs = made();
    let (done, lines) = salvage(&vfs);
    assert_eq!((done.tables, done.rows, done.rows_lost, done.findings), (4, 380, 0, 0), "{lines:?}");
    check_copy(&vfs);
    assert_eq!(everything(&vfs, COPY), everything(&vfs, PATH));
    let database = Database::open(Some(Path::new(COPY)), options(&vfs)).unwrap();
    run(
        &database,
        "SELECT * FROM names; INSERT INTO by_number VALUES (9999, 'new', 1); CREATE TABLE more (a int)",
    );
    let twice = database.connect().unwrap().execute_script("INSERT INTO by_number VALUES (9999, 'new', 1)");
    assert_eq!(twice.unwrap_err().state(), SqlState::UNIQUE_VIOLATION);
}

/// One damaged block at a time: what comes out is right, and what is missing was told.
#[test]
fn any_one_damaged_block_costs_only_its_own_rows_and_the_loss_is_told() {
    let vfs = made();
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    let before: Vec<BTreeSet<String>> =
        everything(&vfs, PATH).into_iter().map(|rows| rows.into_iter().collect()).collect();
    let (mut whole, mut partial, mut refused) = (0, 0, 0);
    for block in used_blocks(&vfs) {
        let at = block.0 as usize * PAGE;
        vfs.damage(Path::new(PATH), at, &[0xA5; PAGE]);
        let mut lines = Vec::new();
        let _ = vfs.remove(Path::new(COPY));
        let mut report = |line: &str| lines.push(line.to_owned());
        match Database::salvage(Path::new(PATH), Path::new(COPY), options(&vfs), &mut report) {
            Ok(done) => {
                assert!(done.findings > 0, "block {block}: {lines:?}");
                check_copy(&vfs);
                let database = Database::open(Some(Path::new(COPY)), options_at(&vfs, true)).unwrap();
                let mut lost = 0;
                for (table, before) in TABLES.iter().zip(&before) {
                    if database.engine().catalog.current().table(None, table).is_none() {
                        lost += 1;
                        continue;
                    }
                    let after = rows_at(&database, table);
                    let older = lines.iter().any(|line| line.contains("replaced by older"));
                    assert!(older || after.iter().all(|row| before.contains(row)), "block {block} {table}");
                    lost += before.len().saturating_sub(after.len());
                }
                assert!(
                    lost == 0 || done.rows_lost > 0 || lines.iter().any(|line| line.contains("catalog")),
                    "block {block}: {lost} {lines:?}"
                );
                if lost == 0 { whole += 1 } else { partial += 1 }
            }
            Err(error) => {
                assert_eq!(error.state(), SqlState::DATA_CORRUPTED, "block {block}");
                assert!(!vfs.exists(Path::new(COPY)).unwrap());
                refused += 1;
            }
        }
        vfs.damage(Path::new(PATH), at, &good[at..at + PAGE]);
    }
    assert!(whole > 20 && partial > 20 && refused <= 2, "{whole} {partial} {refused}");
    println!("salvaged with one block damaged: {whole} whole, {partial} with losses told, {refused} refused");
}

#[test]
fn a_file_without_header_slots_or_map_is_salvaged_from_its_leaves() {
    let vfs = made();
    let before = everything(&vfs, PATH);
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    let map: Vec<usize> = (128..good.len() / PAGE)
        .filter(|block| &good[block * PAGE + 4..block * PAGE + 8] == b"LMAP")
        .collect();
    let slots: Vec<usize> = [16, 32, 48, 64].iter().map(|k| k << 10).collect();
    let maps: Vec<usize> = map.iter().map(|block| block * PAGE).collect();
    for (what, places) in [("header", vec![0]), ("slots", slots), ("map", maps)] {
        for at in &places {
            vfs.damage(Path::new(PATH), *at, &[0x5A; 512]);
        }
        let (done, lines) = salvage(&vfs);
        assert!(done.findings > 0 && done.tables == 4, "{what}: {lines:?}");
        check_copy(&vfs);
        assert_eq!(everything(&vfs, COPY), before, "{what}");
        for at in &places {
            vfs.damage(Path::new(PATH), *at, &good[*at..at + 512]);
        }
    }
}

#[test]
fn a_salvage_adds_what_a_whole_log_holds_and_leaves_out_a_damaged_one() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    fill(&database);
    let crashed = vfs.image_after_power_loss(Survival::Everything, 1);
    let before = TABLES.map(|table| rows_at(&database, table)).to_vec();
    drop(database);
    let (done, lines) = salvage(&crashed);
    assert_eq!(done.rows, 380, "{lines:?}");
    check_copy(&crashed);
    assert_eq!(everything(&crashed, COPY), before);
    let folder = Path::new("/all.lumos-wal");
    let first = folder.join(&crashed.list_folder(folder).unwrap()[0]);
    let bytes = crashed.bytes_of(&first).unwrap();
    crashed.damage(&first, 5000, &[bytes[5000] ^ 0xFF]);
    let mut lines = Vec::new();
    crashed.remove(Path::new(COPY)).unwrap();
    let mut report = |line: &str| lines.push(line.to_owned());
    let done = Database::salvage(Path::new(PATH), Path::new(COPY), options(&crashed), &mut report);
    assert!(done.is_err() || lines.iter().any(|line| line.contains("log")), "{lines:?}");
}

#[test]
fn a_statement_that_meets_damage_says_where_and_the_rest_stays_readable() {
    let vfs = made();
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    let (mut met, mut objects) = (0, BTreeSet::new());
    for block in used_blocks(&vfs) {
        let at = block.0 as usize * PAGE;
        vfs.damage(Path::new(PATH), at, &[good[at] ^ 1]);
        let Ok(database) = Database::open(Some(Path::new(PATH)), options_at(&vfs, true)) else {
            vfs.damage(Path::new(PATH), at, &[good[at]]);
            continue;
        };
        let mut session = database.connect().unwrap();
        let queries = TABLES.map(|table| format!("SELECT count(*) FROM {table}"));
        let more = [
            "SELECT sum(length(body)), sum(length(raw)) FROM by_text",
            "SELECT name FROM by_number ORDER BY id",
        ];
        let mut failed = 0;
        for query in queries.iter().map(String::as_str).chain(more) {
            if let Err(error) = session.execute_script(query) {
                assert_eq!(error.state(), SqlState::DATA_CORRUPTED, "{query}: {error}");
                assert!(error.message().contains(PATH), "{error}");
                let detail = error.detail_text().unwrap().to_owned();
                assert!(detail.contains(&format!("block {block}")), "{detail}");
                let object = detail.split("It belongs to ").nth(1).unwrap_or_else(|| panic!("{detail}"));
                objects.insert(object.to_owned());
                failed += 1;
            }
        }
        assert!(failed <= 3, "block {block}: the rest stays readable");
        met += failed;
        drop((session, database));
        vfs.damage(Path::new(PATH), at, &[good[at]]);
    }
    assert!(met > 40 && objects.len() >= 5, "{met} {objects:?}");
    println!("statements that met damage: {met}, in {objects:?}");
}

#[test]
fn a_backup_is_one_snapshot_while_writers_go_on() {
    let vfs = made();
    let database = open(&vfs);
    let before = TABLES.map(|table| rows_at(&database, table)).to_vec();
    let mut backup = database.backup_start(Path::new(COPY)).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            let mut session = database.connect().unwrap();
            let mut rounds = 0;
            while !stop.load(Ordering::Relaxed) || rounds < 20 {
                let sql = format!(
                    "UPDATE by_number SET amount = amount + 1; DELETE FROM by_both WHERE a = {}; INSERT INTO without_key VALUES (NULL, true); \
                     CREATE TABLE extra_{rounds} (a int PRIMARY KEY); DROP TABLE extra_{rounds}; CHECKPOINT",
                    rounds % 60
                );
                for statement in sql.split(';') {
                    session.execute_script(statement).unwrap();
                }
                rounds += 1;
            }
            rounds
        });
        while !backup.step(2).unwrap() {
            let (remaining, total) = backup.progress();
            assert!(remaining <= total);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(writer.join().unwrap() >= 20);
    });
    assert_eq!(backup.progress().0, 0);
    drop(backup);
    assert!(TABLES.map(|table| rows_at(&database, table)).to_vec() != before);
    check_copy(&vfs);
    assert_eq!(everything(&vfs, COPY), before);
    assert_eq!(database.backup(Path::new(COPY)).unwrap_err().state(), SqlState::DUPLICATE_OBJECT);
    // It is a database of its own.
    let restored = Database::open(Some(Path::new(COPY)), options(&vfs)).unwrap();
    run(&restored, "INSERT INTO by_both VALUES (1000, 'restored', -1); SELECT * FROM names");
}

/// Pages of a table's rows and of its index, and bytes that its leaves leave free from now on.
fn fill_of(database: &Arc<Database>, table: &str) -> Vec<(u64, usize)> {
    let engine = database.engine();
    let storage = engine.manager.storage();
    let layout = Arc::clone(&engine.catalog.current().table(None, table).unwrap().layout);
    let told = |(id, _)| {
        let pages = storage.tree_space(id).unwrap().unwrap().pages;
        (pages, storage.tree(id).unwrap().spare_bytes())
    };
    layout.fill_percents().map(told).collect()
}

#[test]
fn pages_stay_as_empty_as_they_should_in_a_backup_and_after_reopening_or_a_crash() {
    let vfs = made();
    let database = open(&vfs);
    run(&database, "CREATE TABLE airy (id int PRIMARY KEY, t text) WITH (fillfactor = 20)");
    run(&database, "CREATE INDEX airy_t ON airy (t) WITH (fillfactor = 40)");
    run(&database, "INSERT INTO airy SELECT i, 10000 + i FROM generate_series(1, 2000) AS g (i)");
    let before = fill_of(&database, "airy");
    database.backup(Path::new(COPY)).unwrap();
    let restored = Database::open(Some(Path::new(COPY)), options(&vfs)).unwrap();
    for ((pages, spare), (found, told)) in before.iter().zip(fill_of(&restored, "airy")) {
        assert!(*spare > PAGE / 2 && told == *spare, "{told}");
        // A page holds two or three rows, as they come one by one or together.
        assert!(found * 10 > pages * 9 && found < pages * 2, "{found} pages, {pages} before");
    }
    drop(restored);
    let crashed = vfs.image_after_power_loss(Survival::Everything, 7);
    drop(database);
    for disk in [vfs, crashed] {
        let told: Vec<usize> = fill_of(&open(&disk), "airy").into_iter().map(|(_, spare)| spare).collect();
        assert!(before.iter().map(|(_, spare)| *spare).eq(told.iter().copied()), "{told:?}");
    }
}

#[test]
fn a_table_of_a_backup_is_not_dropped_under_it_and_one_given_up_leaves_nothing() {
    let vfs = made();
    let database = open(&vfs);
    let mut backup = database.backup_start(Path::new(COPY)).unwrap();
    assert!(!backup.step(3).unwrap());
    assert!(vfs.exists(Path::new("/copy.lumos-incomplete")).unwrap());
    let waits = database.statistic("lock_waits");
    std::thread::scope(|threads| {
        let dropper = threads.spawn(|| run(&database, "DROP VIEW names; DROP TABLE by_number"));
        while database.statistic("lock_waits") == waits {
            std::thread::yield_now();
        }
        assert!(!backup.step(3).unwrap() && !dropper.is_finished());
        drop(backup);
        dropper.join().unwrap();
    });
    assert!(
        !vfs.exists(Path::new("/copy.lumos-incomplete")).unwrap() && !vfs.exists(Path::new(COPY)).unwrap()
    );
    assert!(database.engine().catalog.current().table(None, "by_number").is_none());
}

#[test]
fn a_restored_file_beside_a_stale_log_folder_is_refused() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    fill(&database);
    database.backup(Path::new(COPY)).unwrap();
    run(&database, "DELETE FROM by_number");
    let crashed = vfs.image_after_power_loss(Survival::Everything, 1);
    drop(database);
    // Somebody puts the copy into the place of the file and forgets its log.
    crashed.rename(Path::new(COPY), Path::new(PATH)).unwrap();
    for read_only in [true, false] {
        let error = Database::open(Some(Path::new(PATH)), options_at(&crashed, read_only)).unwrap_err();
        assert_eq!(error.state(), SqlState::DATA_CORRUPTED);
        assert!(error.message().contains("belongs to another database"), "{error}");
    }
    let beside =
        Database::open(None, DatabaseOptions { vfs: Some(Arc::new(crashed.clone())), ..options(&crashed) });
    crashed.remove(Path::new(PATH)).unwrap();
    let error = beside.unwrap().backup(Path::new(PATH)).unwrap_err();
    assert_eq!(error.state(), SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    let folder = Path::new("/all.lumos-wal");
    for name in crashed.list_folder(folder).unwrap() {
        crashed.remove(&folder.join(name)).unwrap();
    }
}

#[test]
fn a_full_disk_or_a_failed_write_in_a_backup_leaves_nothing_and_the_database_goes_on() {
    let vfs = made();
    let mut failures = 0;
    for fault in [Fault::DiskFull, Fault::IoError] {
        let database = open(&vfs);
        for call in (1..400).step_by(3) {
            vfs.set_plan(Some(FaultPlan { at: call, fault, forever: true }));
            let done = database.backup(Path::new(COPY));
            vfs.set_plan(None);
            match done {
                Ok(()) => {
                    check_copy(&vfs);
                    vfs.remove(Path::new(COPY)).unwrap();
                    break;
                }
                Err(error) => {
                    assert!([SqlState::DISK_FULL, SqlState::IO_ERROR].contains(&error.state()), "{error}");
                    failures += 1;
                }
            }
            assert!(!vfs.exists(Path::new(COPY)).unwrap(), "call {call}");
            // What could not be removed while the disk failed goes with the next attempt.
        }
        database.backup(Path::new(COPY)).unwrap();
        vfs.remove(Path::new(COPY)).unwrap();
        assert!(!vfs.exists(Path::new("/copy.lumos-incomplete")).unwrap());
        run(&database, "UPDATE by_number SET amount = 3");
    }
    assert!(failures > 10, "{failures}");
    println!("backups that failed at some call and left nothing: {failures}");
}

#[test]
fn reading_a_file_that_needs_recovery_changes_no_byte_even_with_little_memory() {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    fill(&database);
    for round in 0..6 {
        run(
            &database,
            &format!(
                "UPDATE by_text SET body = body || '{round}'; UPDATE by_number SET name = name || '{round}'"
            ),
        );
    }
    let crashed = vfs.image_after_power_loss(Survival::Everything, 1);
    let before = TABLES.map(|table| rows_at(&database, table)).to_vec();
    drop(database);
    let image = |vfs: &FaultVfs| {
        let folder = Path::new("/all.lumos-wal");
        let mut all = vec![vfs.bytes_of(Path::new(PATH)).unwrap()];
        all.extend(
            vfs.list_folder(folder).unwrap().iter().map(|name| vfs.bytes_of(&folder.join(name)).unwrap()),
        );
        all
    };
    let bytes = image(&crashed);
    assert!(bytes.len() > 1);
    let little = DatabaseOptions { memory_limit: Some(4 << 20), ..options_at(&crashed, true) };
    let reader = Database::open(Some(Path::new(PATH)), little).unwrap();
    assert_eq!(TABLES.map(|table| rows_at(&reader, table)).to_vec(), before);
    let refused = reader.connect().unwrap().execute_script("DELETE FROM by_number");
    assert_eq!(refused.unwrap_err().state(), SqlState::READ_ONLY_SQL_TRANSACTION);
    drop(reader);
    assert_eq!(check(&crashed), Vec::<String>::new());
    assert!(image(&crashed) == bytes, "reading wrote");
    let writer = open(&crashed);
    let locked = crashed.open(Path::new(PATH), OpenMode::ReadOnly).unwrap().try_lock_shared().unwrap();
    assert!(matches!(locked, crate::io::vfs::LockOutcome::HeldBy(_)));
    drop(writer);
}

/// A wall clock that goes back an hour at every look.
struct BackwardClock(AtomicI64, crate::common::clock::SystemClock);

impl Clock for BackwardClock {
    fn unix_micros(&self) -> i64 {
        self.0.fetch_sub(3_600_000_000, Ordering::Relaxed)
    }
    fn monotonic_nanos(&self) -> u64 {
        self.1.monotonic_nanos()
    }
}

#[test]
fn a_clock_that_jumps_back_does_no_harm() {
    let vfs = FaultVfs::new();
    let clock =
        BackwardClock(AtomicI64::new(1_700_000_000_000_000), crate::common::clock::SystemClock::new());
    let choices = DatabaseOptions { clock: Some(Arc::new(clock)), ..options(&vfs) };
    let database = Database::open(Some(Path::new(PATH)), choices).unwrap();
    run(&database, "CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz DEFAULT now())");
    std::thread::scope(|threads| {
        for thread in 0..3 {
            let database = &database;
            threads.spawn(move || {
                let mut session = database.connect().unwrap();
                for id in 0..40 {
                    session
                        .execute_script(&format!("INSERT INTO t (id) VALUES ({})", thread * 40 + id))
                        .unwrap();
                }
            });
        }
    });
    database.checkpoint().unwrap();
    assert_eq!(rows_at(&database, "t").len(), 120);
    drop(database);
    assert_eq!(rows_at(&open(&vfs), "t").len(), 120);
    assert_eq!(check(&vfs), Vec::<String>::new());
}

#[test]
fn what_a_killed_process_left_beside_the_file_is_removed() {
    let vfs = made();
    for name in ["/all.lumos-new", "/all.lumos-incomplete"] {
        vfs.open(Path::new(name), OpenMode::CreateNew).unwrap().write_at(b"half", 0).unwrap();
    }
    let held = vfs.open(Path::new("/all.lumos-incomplete-new"), OpenMode::CreateNew).unwrap();
    held.try_lock().unwrap();
    drop(open(&vfs));
    let is_there = |name: &str| vfs.exists(Path::new(name)).unwrap();
    assert!(!is_there("/all.lumos-new") && !is_there("/all.lumos-incomplete"));
    assert!(is_there("/all.lumos-incomplete-new"), "somebody is still writing it");
}

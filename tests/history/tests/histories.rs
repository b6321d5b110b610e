//! Histories of the engine: none has an anomaly that its level forbids.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::durability::policy::Durability;
use lumos_core::io::fault::FaultVfs;
use lumos_history::bank;
use lumos_history::history::Level;
use lumos_history::list_append::judge;
use lumos_history::predicate::{self, Turns, take_turns};
use lumos_history::references;
use lumos_history::tally::Tally;
use lumos_history::workload::{Lists, WorkloadOptions, create, read_all, run};
use std::path::Path;
use std::sync::Arc;

/// `LUMOS_LONG=1`, as `make test-long` has it: ten times as many.
fn scaled(transactions: usize) -> usize {
    if std::env::var_os("LUMOS_LONG").is_some() { 10 * transactions } else { transactions }
}

/// `LUMOS_SEED` makes another run.
fn seed() -> u64 {
    std::env::var("LUMOS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn in_memory() -> Arc<Database> {
    let options = DatabaseOptions { memory_limit: Some(64 << 20), ..DatabaseOptions::default() };
    Database::open(None, options).unwrap()
}

/// On a simulated disk, with as little memory as a database may have.
fn on_small_disk(disk: &FaultVfs) -> Arc<Database> {
    let options = DatabaseOptions {
        memory_limit: Some(4 << 20),
        page_size: 1024,
        vfs: Some(Arc::new(disk.clone())),
        log_segment_first_bytes: 64 << 10,
        log_segment_max_bytes: 1 << 20,
        durability: Durability::Normal,
        ..DatabaseOptions::default()
    };
    Database::open(Some(Path::new("/d/app.lumos")), options).unwrap()
}

fn check(name: &str, database: &Arc<Database>, options: &WorkloadOptions) {
    let lists = Lists::new(options.lists);
    create(database).unwrap();
    let mut record = run(database, &lists, options);
    let level = *options.levels.iter().min().unwrap();
    let last = read_all(database, &lists, level).unwrap();
    record.transactions.extend(last.transactions);
    record.findings.extend(last.findings);
    let mut judgement = judge(&record.transactions, level);
    println!("{name}, seed {}: {}", options.seed, judgement.figures);
    println!("  errors {:?}", record.errors);
    let mut allowed: Vec<&str> = judgement.allowed.iter().map(|finding| finding.anomaly.name()).collect();
    allowed.sort_unstable();
    allowed.dedup();
    println!("  allowed and seen {allowed:?}");
    judgement.findings.extend(references::judge(&record.drawn));
    judgement.findings.extend(record.findings);
    let texts: Vec<String> = judgement.findings.iter().take(8).map(ToString::to_string).collect();
    assert!(texts.is_empty(), "{name}, seed {}:\n{}", options.seed, texts.join("\n"));
    assert!(judgement.figures.transactions > options.transactions / 2, "{name}: too few");
    assert!(judgement.figures.aborted * 2 < judgement.figures.transactions, "{name}: too many aborts");
}

#[test]
fn lists_at_read_committed() {
    let options = WorkloadOptions {
        transactions: scaled(10_000),
        levels: vec![Level::ReadCommitted],
        seed: seed(),
        ..WorkloadOptions::default()
    };
    check("read committed", &in_memory(), &options);
}

#[test]
fn lists_at_repeatable_read() {
    let options =
        WorkloadOptions { transactions: scaled(20_000), seed: seed(), ..WorkloadOptions::default() };
    check("repeatable read", &in_memory(), &options);
}

#[test]
fn lists_at_read_committed_and_repeatable_read_together() {
    let options = WorkloadOptions {
        transactions: scaled(10_000),
        levels: vec![Level::ReadCommitted, Level::RepeatableRead],
        seed: seed(),
        ..WorkloadOptions::default()
    };
    check("both", &in_memory(), &options);
}

#[test]
fn lists_at_serializable() {
    let options = WorkloadOptions {
        transactions: scaled(20_000),
        lists: 16,
        levels: vec![Level::Serializable],
        seed: seed(),
        ..WorkloadOptions::default()
    };
    check("serializable", &in_memory(), &options);
    let options =
        WorkloadOptions { transactions: scaled(5_000), checkpoint_every: 200, spill_every: 50, ..options };
    check("serializable in little memory", &on_small_disk(&FaultVfs::new()), &options);
}

#[test]
fn lists_in_little_memory_beside_checkpoints() {
    let options = WorkloadOptions {
        transactions: scaled(10_000),
        checkpoint_every: 200,
        spill_every: 50,
        seed: seed(),
        ..WorkloadOptions::default()
    };
    check("little memory", &on_small_disk(&FaultVfs::new()), &options);
}

#[test]
fn lists_beside_rows_that_refer_to_others() {
    for level in [Level::ReadCommitted, Level::RepeatableRead, Level::Serializable] {
        let options = WorkloadOptions {
            transactions: scaled(2_000),
            levels: vec![level],
            references: true,
            seed: seed(),
            ..WorkloadOptions::default()
        };
        check(&format!("references, {level:?}"), &in_memory(), &options);
    }
}

fn check_tally(name: &str, tally: &Tally) {
    println!("{name}, seed {}: {tally}", seed());
    let texts: Vec<String> = tally.findings.iter().take(8).map(ToString::to_string).collect();
    assert!(texts.is_empty(), "{name}, seed {}:\n{}", seed(), texts.join("\n"));
    assert!(tally.reads > tally.transactions / 5, "{name}: too few reads");
    let failed: u64 = tally.errors.values().sum();
    assert!(failed * 2 < tally.transactions as u64, "{name}: too many aborts");
}

#[test]
fn the_bank_keeps_its_money() {
    for level in [Level::ReadCommitted, Level::RepeatableRead, Level::Serializable] {
        let database = in_memory();
        bank::create(&database).unwrap();
        check_tally(&format!("bank, {level:?}"), &bank::run(&database, level, scaled(10_000), 4, seed()));
        let database = on_small_disk(&FaultVfs::new());
        bank::create(&database).unwrap();
        let tally = bank::run(&database, level, scaled(5_000), 4, seed());
        check_tally(&format!("bank in little memory, {level:?}"), &tally);
    }
}

#[test]
fn rows_that_move_are_found_once() {
    for level in [Level::ReadCommitted, Level::RepeatableRead, Level::Serializable] {
        let database = in_memory();
        predicate::create(&database).unwrap();
        let tally = predicate::run(&database, level, scaled(10_000), 4, seed());
        check_tally(&format!("ranges, {level:?}"), &tally);
    }
}

fn with_rows() -> Arc<Database> {
    let database = in_memory();
    let sql = "CREATE TABLE t (id bigint PRIMARY KEY, n bigint); INSERT INTO t VALUES (1, 10), (2, 10)";
    database.connect().unwrap().execute_script(sql).unwrap();
    database
}

/// Prevention by accident would hide that a level is missing.
#[test]
fn what_a_level_allows_does_happen_and_what_it_forbids_does_not() {
    // Lost update: both read 10 and write what they make of it.
    let lost = [
        (0, "BEGIN"),
        (1, "BEGIN"),
        (0, "SELECT n FROM t WHERE id = 1"),
        (1, "SELECT n FROM t WHERE id = 1"),
        (0, "UPDATE t SET n = 11 WHERE id = 1"),
        (0, "COMMIT"),
        (1, "UPDATE t SET n = 12 WHERE id = 1"),
        (1, "COMMIT"),
    ];
    // Write skew: each looks at both rows and changes one.
    let skew = [
        (0, "BEGIN"),
        (1, "BEGIN"),
        (0, "SELECT sum(n) FROM t"),
        (1, "SELECT sum(n) FROM t"),
        (0, "UPDATE t SET n = 0 WHERE id = 1"),
        (1, "UPDATE t SET n = 0 WHERE id = 2"),
        (0, "COMMIT"),
        (1, "COMMIT"),
    ];
    // The same by ranges: each counts, and adds a row that the other did not count.
    let phantoms = [
        (0, "BEGIN"),
        (1, "BEGIN"),
        (0, "SELECT count(*) FROM t WHERE n >= 10"),
        (1, "SELECT count(*) FROM t WHERE n >= 10"),
        (0, "INSERT INTO t VALUES (3, 20)"),
        (1, "INSERT INTO t VALUES (4, 20)"),
        (0, "COMMIT"),
        (1, "COMMIT"),
    ];
    let rc = Level::ReadCommitted;
    let rr = Level::RepeatableRead;
    let ser = Level::Serializable;
    let expected = [
        (rc, &lost, Turns::Both),
        (rr, &lost, Turns::Refused),
        (rc, &skew, Turns::Both),
        (rr, &skew, Turns::Both),
        (rc, &phantoms, Turns::Both),
        (rr, &phantoms, Turns::Both),
        (ser, &lost, Turns::Refused),
        (ser, &skew, Turns::Refused),
        (ser, &phantoms, Turns::Refused),
    ];
    for (level, steps, expected) in expected {
        let turns = take_turns(&with_rows(), level, steps).unwrap();
        assert_eq!(turns, expected, "{level:?}: {steps:?}");
    }
}

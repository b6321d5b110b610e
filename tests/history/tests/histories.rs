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
use lumos_history::history::Level;
use lumos_history::list_append::judge;
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

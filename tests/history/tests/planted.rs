//! The checker is shown to find mistakes of the engine itself: each is planted, and must be reported under a name that
//! tells what it does.
//! `cargo test -p lumos-history --features planted --test planted`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_core::common::planted::{PlantedFault, plant};
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_history::anomaly::Finding;
use lumos_history::history::Level;
use lumos_history::list_append::judge;
use lumos_history::workload::{Lists, WorkloadOptions, create, read_all, run};
use std::collections::BTreeMap;

fn lists(level: Level, seed: u64) -> Vec<Finding> {
    let options = WorkloadOptions {
        transactions: 3_000,
        lists: 6,
        levels: vec![level],
        seed,
        ..WorkloadOptions::default()
    };
    let memory = DatabaseOptions { memory_limit: Some(64 << 20), ..DatabaseOptions::default() };
    let database = Database::open(None, memory).unwrap();
    let lists = Lists::new(options.lists);
    create(&database).unwrap();
    let mut record = run(&database, &lists, &options);
    if let Ok(last) = read_all(&database, &lists, level) {
        record.transactions.extend(last.transactions);
        record.findings.extend(last.findings);
    }
    let mut findings = judge(&record.transactions, level).findings;
    findings.extend(record.findings);
    findings
}

/// How often which anomaly was found.
fn names(findings: &[Finding]) -> BTreeMap<&'static str, usize> {
    let mut names = BTreeMap::new();
    findings.iter().for_each(|finding| *names.entry(finding.anomaly.name()).or_default() += 1);
    names
}

/// One test, because the planted fault is the process's.
#[test]
fn every_planted_fault_is_reported_by_its_name() {
    std::panic::set_hook(Box::new(|_| {}));
    let planted: [(PlantedFault, Level, &[&str]); 6] = [
        (PlantedFault::RangeReadsNotRecorded, Level::Serializable, &["G2-item"]),
        (PlantedFault::ChangedColumnsForgotten, Level::Serializable, &["G2-item"]),
        (
            PlantedFault::SnapshotTakenLate,
            Level::RepeatableRead,
            &["non-repeatable read", "phantom", "G-single"],
        ),
        (
            PlantedFault::LocksReleasedEarly,
            Level::RepeatableRead,
            &["lost update", "G-single", "G0", "incompatible order"],
        ),
        (PlantedFault::VersionSkipped, Level::RepeatableRead, &["non-repeatable read", "G-single"]),
        (
            PlantedFault::GhostPurgedEarly,
            Level::RepeatableRead,
            &["non-repeatable read", "G-single", "phantom"],
        ),
    ];
    for (fault, level, expected) in planted {
        plant(None);
        assert_eq!(lists(level, 1), Vec::new());
        let mut found = BTreeMap::new();
        for seed in 1..6 {
            plant(Some(fault));
            let findings = lists(level, seed);
            plant(None);
            found = names(&findings);
            println!("{fault:?} at {level:?}, seed {seed}: {found:?}");
            if expected.iter().any(|name| found.contains_key(name)) {
                if let Some(first) = findings.iter().find(|one| expected.contains(&one.anomaly.name())) {
                    println!("  {first}");
                }
                break;
            }
        }
        assert!(expected.iter().any(|name| found.contains_key(name)), "{fault:?} was reported as {found:?}");
    }
}

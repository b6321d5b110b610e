//! Power losses at every changing call of every workload; each named crash point must be hit.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_crash::points::CRASH_POINTS;
use lumos_crash::power::{self, PowerOptions};
use lumos_crash::scenario::Report;
use lumos_crash::workloads::workloads;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tries all workloads, on a few threads.
fn run_all(options: PowerOptions) -> Report {
    let workloads = workloads();
    let next = AtomicUsize::new(0);
    let mut total = Report::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Report::default();
                    while let Some(scenario) = workloads.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let report = power::run(scenario, options).unwrap_or_else(|error| {
                            let failures = vec![format!("{} does not run: {error:?}", scenario.name)];
                            Report { failures, ..Report::default() }
                        });
                        println!(
                            "{}: {} runs, {} images, {} failures",
                            scenario.name,
                            report.runs,
                            report.images,
                            report.failures.len()
                        );
                        mine.add(report);
                    }
                    mine
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| total.add(thread.join().unwrap()));
    });
    total
}

#[test]
fn no_power_loss_loses_an_acknowledged_commit() {
    let report = run_all(PowerOptions::default());
    println!("{} runs, {} images", report.runs, report.images);
    for point in CRASH_POINTS {
        println!("{point:?}: {}", report.hits.get(&point).copied().unwrap_or(0));
    }
    assert!(
        report.failures.is_empty(),
        "{} failures:\n{}",
        report.failures.len(),
        report.failures.join("\n")
    );
    for point in CRASH_POINTS {
        assert!(report.hits.contains_key(&point), "{point:?} was never hit");
    }
}

#[test]
fn a_disk_that_ignores_syncs_is_reported() {
    let scenario = &workloads()[1];
    let options = PowerOptions { ignore_syncs: true, ..PowerOptions::default() };
    let report = power::run(scenario, options).unwrap();
    assert!(!report.failures.is_empty());
}

#[test]
fn commits_acknowledged_before_the_sync_are_reported() {
    let mut scenario = workloads()[1].clone();
    // The harness is not told: only steps that name the setting change what it expects.
    scenario.acknowledges_early = true;
    let report = power::run(&scenario, PowerOptions::default()).unwrap();
    assert!(!report.failures.is_empty());
}

//! Power losses at every changing call of every workload; each named crash point must be hit.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_crash::figures::{is_long, say, say_hits, sized};
use lumos_crash::points::POWER_POINTS;
use lumos_crash::power::{self, PowerOptions};
use lumos_crash::scenario::Report;
use lumos_crash::tasks;
use lumos_crash::workloads::workloads;

/// Tries all workloads, on a few threads.
fn run_all(options: PowerOptions) -> Report {
    tasks::run_all(&workloads(), |scenario| {
        let report = power::run(scenario, options).unwrap_or_else(|error| {
            let failures = vec![format!("{} does not run: {error:?}", scenario.name)];
            Report { failures, ..Report::default() }
        });
        say(&format!(
            "  {}, seed {}: {} runs, {} images, {} failures",
            scenario.name,
            options.seed,
            report.runs,
            report.images,
            report.failures.len()
        ));
        report
    })
}

#[test]
fn no_power_loss_loses_an_acknowledged_commit() {
    let wanted = sized(5_000, 50_000);
    let mut report = Report::default();
    let mut seed = 1;
    while report.images < wanted && report.failures.is_empty() {
        report.add(run_all(PowerOptions {
            seed,
            choices: if is_long() { 3 } else { 2 },
            ..PowerOptions::default()
        }));
        seed += 1;
    }
    say(&format!("power losses: {} runs, {} images of {wanted}", report.runs, report.images));
    let never_hit = say_hits(&report, &POWER_POINTS);
    assert!(
        report.failures.is_empty(),
        "{} failures:\n{}",
        report.failures.len(),
        report.failures.join("\n")
    );
    assert_eq!(never_hit, []);
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

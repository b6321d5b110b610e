//! The harness is shown to find mistakes of the engine itself: each is planted, and must be reported.
//! `cargo test -p lumos-crash --features planted --test planted`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_core::common::planted::{PlantedFault, plant};
use lumos_core::error::Result;
use lumos_crash::damage::{flipped_bits, lost_writes};
use lumos_crash::kinds::kinds;
use lumos_crash::power::{self, PowerOptions};
use lumos_crash::scenario::{Report, Scenario};
use lumos_crash::shortage::{self, Shortage};
use lumos_crash::workloads::workloads;

fn named(workloads: Vec<Scenario>, name: &str) -> Scenario {
    workloads.into_iter().find(|scenario| scenario.name == name).unwrap()
}

fn damaged() -> Result<Report> {
    // It ends with a checkpoint: nothing is written again from the log.
    let scenario = named(workloads(), "growth over segments");
    let mut report = lost_writes(&scenario)?;
    report.add(flipped_bits(&scenario, 1, 150)?);
    Ok(report)
}

/// A commit that evicts pages while it applies: then blocks that were not set aside are missed.
fn full() -> Result<Report> {
    let mut scenario = named(workloads(), "evictions");
    scenario.steps.truncate(1);
    shortage::run(&scenario, Shortage::Disk)
}

fn out_of_memory() -> Result<Report> {
    shortage::run(&named(kinds(), "insert many"), Shortage::Memory)
}

/// One test, because the planted fault is the process's.
#[test]
fn every_planted_fault_is_reported() {
    let planted = [
        (PlantedFault::SlotBeforeData, "checkpoints"),
        (PlantedFault::FrameChecksumIgnored, "transactions"),
        (PlantedFault::BlocksFreedEarly, "checkpoints"),
        (PlantedFault::PreImageNotSaved, "a checkpoint among commits"),
    ];
    for (fault, name) in planted {
        let scenario = named(workloads(), name);
        plant(None);
        let sound = power::run(&scenario, PowerOptions::default()).unwrap();
        assert_eq!(sound.failures, Vec::<String>::new());
        plant(Some(fault));
        let mut found = 0;
        for seed in 1..4 {
            let options = PowerOptions { seed, ..PowerOptions::default() };
            found += power::run(&scenario, options).map_or(1, |report| report.failures.len());
        }
        plant(None);
        println!("{fault:?}: {found} failures reported");
        assert!(found > 0, "{fault:?} was not reported");
    }
    let others: [(PlantedFault, fn() -> Result<Report>); 3] = [
        (PlantedFault::PageChecksumIgnored, damaged),
        (PlantedFault::SpaceNotReserved, full),
        (PlantedFault::FailureCommitted, out_of_memory),
    ];
    for (fault, harness) in others {
        assert_eq!(harness().unwrap().failures, Vec::<String>::new());
        plant(Some(fault));
        let found = harness().map_or(1, |report| report.failures.len());
        plant(None);
        println!("{fault:?}: {found} failures reported");
        assert!(found > 0, "{fault:?} was not reported");
    }
}

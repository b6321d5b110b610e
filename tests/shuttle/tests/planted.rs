//! The models are shown to find mistakes: each is planted in the engine's sources, and must be found.
#![allow(clippy::print_stdout, reason = "tests print their figures")]

use lumos_shuttle::common::planted::{PlantedFault, plant};
use lumos_shuttle::models::{self, explore};
use std::panic::catch_unwind;

/// One test, because the planted fault is the process's.
#[test]
fn every_planted_fault_is_found() {
    let planted: [(PlantedFault, fn()); 7] = [
        (PlantedFault::WaiterForgotten, models::shared_locks_are_granted_to_all),
        (PlantedFault::InterruptUnheard, models::interrupts_reach_those_who_wait),
        (PlantedFault::HorizonIgnoresMarks, models::no_snapshot_below_a_horizon),
        (PlantedFault::SyncNotAwaited, models::group_commit),
        (PlantedFault::PublishedOutOfOrder, models::snapshots_see_whole_states),
        (PlantedFault::RangeReadsNotRecorded, models::serializable_numbers_are_drawn_once),
        (PlantedFault::VersionSkipped, models::snapshots_see_whole_states),
    ];
    std::panic::set_hook(Box::new(|_| {}));
    for (fault, model) in planted {
        plant(Some(fault));
        let found = catch_unwind(|| explore(2_000, 1, false, model));
        plant(None);
        println!("{fault:?}: {}", if found.is_err() { "found" } else { "NOT FOUND" });
        assert!(found.is_err(), "{fault:?} was not found");
    }
}

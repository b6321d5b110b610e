//! The models are shown to find mistakes: each is planted in the engine's sources, and must be found.
#![allow(clippy::print_stdout, reason = "tests print their figures")]

use lumos_loom::common::planted::{PlantedFault, plant};
use lumos_loom::models::{self, explore};
use lumos_loom::{storage, transaction};
use std::panic::catch_unwind;

/// One test, because the planted fault is the process's.
#[test]
fn every_planted_fault_is_found() {
    let planted: [(PlantedFault, fn()); 5] = [
        (PlantedFault::HorizonIgnoresMarks, transaction::models::no_snapshot_below_a_horizon),
        (PlantedFault::PublishedOutOfOrder, transaction::models::commits_are_published_in_order),
        (PlantedFault::GateOverrun, storage::models::a_cut_and_a_commit_keep_apart),
        (PlantedFault::SyncNotAwaited, models::a_group_commit_covers_who_waits),
        (PlantedFault::LatchCountedLate, models::a_copied_root_leads_to_the_key),
    ];
    std::panic::set_hook(Box::new(|_| {}));
    for (fault, model) in planted {
        plant(Some(fault));
        let found = catch_unwind(|| explore(Some(3), model));
        plant(None);
        println!("{fault:?}: {}", if found.is_err() { "found" } else { "NOT FOUND" });
        assert!(found.is_err(), "{fault:?} was not found");
    }
}

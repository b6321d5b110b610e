//! Every kind of failing call, at every changing call of every workload, once and for ever.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_crash::faults::{FAULTS, run};
use lumos_crash::figures::{is_long, say, say_hits, sized};
use lumos_crash::points::FAULT_POINTS;
use lumos_crash::tasks;
use lumos_crash::workloads::workloads;

/// In `make test` only one in so many of a workload's calls is tried.
const STRIDE: u64 = 3;

#[test]
fn no_failing_call_loses_an_acknowledged_commit() {
    let mut tasks = Vec::new();
    let page_sizes: &[Option<usize>] = if is_long() { &[None, Some(2048), Some(4096)] } else { &[None] };
    for (page_size, mut scenario) in
        page_sizes.iter().flat_map(|size| workloads().into_iter().map(|one| (*size, one)))
    {
        scenario.page_size = page_size.map_or(scenario.page_size, |size| scenario.page_size.max(size));
        scenario.stride *= if is_long() { 1 } else { STRIDE };
        tasks.extend(
            FAULTS
                .into_iter()
                .flat_map(|fault| [false, true].map(|forever| (scenario.clone(), fault, forever))),
        );
    }
    let total = tasks::run_all(&tasks, |(scenario, fault, forever)| run(scenario, *fault, *forever).unwrap());
    let wanted = sized(2_000, 20_000);
    say(&format!("failing calls: {} runs of {wanted}, {} images", total.runs, total.images));
    let never_hit = say_hits(&total, &FAULT_POINTS);
    assert!(total.failures.is_empty(), "{} failures:\n{}", total.failures.len(), total.failures.join("\n"));
    assert_eq!(never_hit, []);
    assert!(total.runs >= wanted);
}

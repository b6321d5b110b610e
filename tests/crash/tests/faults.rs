//! Every kind of failing call, at every changing call of every workload, once and for ever.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_crash::faults::{FAULTS, run};
use lumos_crash::scenario::Report;
use lumos_crash::workloads::workloads;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn no_failing_call_loses_an_acknowledged_commit() {
    let mut tasks = Vec::new();
    for scenario in workloads() {
        tasks.extend(
            FAULTS
                .into_iter()
                .flat_map(|fault| [false, true].map(|forever| (scenario.clone(), fault, forever))),
        );
    }
    let next = AtomicUsize::new(0);
    let mut total = Report::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Report::default();
                    while let Some((scenario, fault, forever)) =
                        tasks.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        mine.add(run(scenario, *fault, *forever).unwrap());
                    }
                    mine
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| total.add(thread.join().unwrap()));
    });
    println!("{} runs, {} images", total.runs, total.images);
    assert!(total.failures.is_empty(), "{} failures:\n{}", total.failures.len(), total.failures.join("\n"));
    assert!(total.runs > 1000);
}

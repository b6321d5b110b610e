//! Hostile bytes in files as an ordinary test: 200,000 generated inputs each through the page decoder, the replay of a
//! log, and the opening and use of a database file. First of all: that a planted fault is found.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_fuzzing::campaign::{self, Plan};
use lumos_fuzzing::damage;
use lumos_fuzzing::storage::{Bench, Target};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Databases are opened and used on threads of the usual size.
const STACK_BYTES: usize = 2 << 20;
const INPUTS: u64 = 200_000;

/// Another seed can be tried with `LUMOS_SEED`.
fn plan(generated: u64) -> Plan {
    let seed = std::env::var("LUMOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
    Plan { seed, generated, patience: Duration::from_secs(30) }
}

/// Runs all inputs, half of them on a thread of its own; gives how many came through the checks.
fn run(target: Target, inputs: u64) -> u64 {
    let plan = plan(inputs);
    let reached = Arc::new(AtomicU64::new(0));
    let half = |numbers: std::ops::Range<u64>| {
        let reached = Arc::clone(&reached);
        let make = move || {
            let mut bench = Bench::new().map_err(|error| error.to_string())?;
            Ok(move |input: &[u8]| {
                let before = bench.reached;
                let result = bench.run(target, input);
                reached.fetch_add(bench.reached - before, Ordering::Relaxed);
                result
            })
        };
        let input = move |number| damage::generated(plan.seed, number);
        let count = numbers.end - numbers.start;
        match campaign::run_inputs(plan, numbers, STACK_BYTES, input, make) {
            Ok(ran) => assert_eq!(ran, count),
            Err(finding) => {
                panic!("{target:?}, seed {}, input {}: {}", plan.seed, finding.number, finding.what)
            }
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(inputs / 2..inputs));
        half(0..inputs / 2);
        other.join().unwrap();
    });
    reached.load(Ordering::Relaxed)
}

#[test]
fn no_bytes_break_the_page_decoder() {
    let reached = run(Target::Page, INPUTS);
    assert!(reached > INPUTS / 10, "{reached} of {INPUTS} pass for a page");
}

#[test]
fn no_bytes_break_the_replay_of_a_log() {
    let reached = run(Target::Log, INPUTS);
    assert!(reached > INPUTS / 10, "{reached} of {INPUTS} are replayed");
}

#[test]
fn no_bytes_break_a_database_file() {
    let reached = run(Target::File, INPUTS);
    assert!(reached > INPUTS / 10, "{reached} of {INPUTS} are opened");
}

#[test]
fn an_untouched_image_opens_and_a_planted_fault_behind_the_checksums_is_found() {
    let mut bench = Bench::new().unwrap();
    for target in [Target::Page, Target::Log, Target::File, Target::File] {
        let before = bench.reached;
        bench.run(target, &[]).unwrap();
        assert_eq!(bench.reached, before + 1, "{target:?}");
    }
    // A reader that trusts a length behind a checksum that it has checked.
    let input = move |number| damage::generated(5, number);
    let make = || {
        let page = Bench::new().map_err(|error| error.to_string())?.sample_page();
        Ok(move |input: &[u8]| {
            let spoilt = damage::spoil_page(&page, input);
            let count = usize::from(u16::from_le_bytes([spoilt[32], spoilt[33]]));
            assert!(count * 6 + 96 <= spoilt.len(), "a planted fault");
            Ok(())
        })
    };
    let finding = campaign::run_inputs(plan(0), 0..20_000, STACK_BYTES, input, make).unwrap_err();
    assert_eq!(finding.what, "panic: a planted fault");
}

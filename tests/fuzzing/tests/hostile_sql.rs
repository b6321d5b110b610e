//! Hostile SQL as an ordinary test: the kept corpus and 200,000 generated inputs through lexer, parser and binder.
//! First of all: that planted faults are found.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_fuzzing::body::Target;
use lumos_fuzzing::campaign::{self, Plan};
use lumos_fuzzing::{body, corpus};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Another seed can be tried with `LUMOS_SEED`.
fn plan(generated: u64) -> Plan {
    let seed = std::env::var("LUMOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_240_229);
    Plan { seed, generated, patience: Duration::from_secs(20) }
}

#[test]
fn no_input_breaks_lexer_parser_or_binder() {
    let plan = plan(200_000);
    let kept = corpus::inputs().unwrap();
    let total = kept.len() as u64 + plan.generated;
    match campaign::run(plan, kept) {
        Ok(ran) => assert_eq!(ran, total),
        Err(finding) => panic!("seed {}, {finding}", plan.seed),
    }
}

#[test]
fn a_planted_panic_is_found() {
    // A mistake in a corner: CASE inside the bounds of a NOT BETWEEN.
    let planted = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let inside = text.split("NOT BETWEEN").nth(1).is_some_and(|rest| rest.contains("CASE"));
        assert!(!inside, "a planted fault");
        Ok(())
    };
    let finding = campaign::run_with(plan(20_000), Vec::new(), move || Ok(planted)).unwrap_err();
    assert_eq!(finding.what, "panic: a planted fault");
    assert!(String::from_utf8_lossy(&finding.input).contains("NOT BETWEEN"), "{finding}");
}

#[test]
fn a_planted_wrong_place_is_found() {
    // An error that counts characters where it should count bytes.
    let planted = |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
        let place = text.chars().position(|letter| letter == '?').unwrap_or(0);
        if text.get(place..).is_none_or(|rest| place > 0 && !rest.starts_with('?')) {
            return Err(format!("place {place} is not where it should be"));
        }
        Ok(())
    };
    let finding = campaign::run_with(plan(20_000), Vec::new(), move || Ok(planted)).unwrap_err();
    assert!(finding.what.starts_with("place"), "{finding}");
}

#[test]
fn a_planted_hang_is_found() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let held = Arc::clone(&gate);
    let planted = move |input: &[u8]| {
        if String::from_utf8_lossy(input).contains("LATERAL") {
            let mut open = held.0.lock().unwrap();
            while !*open {
                open = held.1.wait(open).unwrap();
            }
        }
        Ok(())
    };
    let plan = Plan { patience: Duration::from_secs(1), ..plan(20_000) };
    let finding = campaign::run_with(plan, Vec::new(), move || Ok(planted)).unwrap_err();
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert!(finding.what.starts_with("no end after"), "{finding}");
    let input = campaign::generated(&plan, &[], finding.number);
    assert!(String::from_utf8_lossy(&input).contains("LATERAL"), "its number finds it");
}

#[test]
fn the_generator_writes_what_parses_and_what_binds() {
    let plan = plan(2000);
    let mut bench = body::Bench::new().unwrap();
    let arena = lumos_core::common::arena::Arena::new();
    let parses = (0..plan.generated)
        .map(|number| campaign::generated(&plan, &[], number))
        .filter(|input| {
            bench.run(Target::Binder, input).unwrap();
            std::str::from_utf8(input).is_ok_and(|text| lumos_core::sql::parser::parse(text, &arena).is_ok())
        })
        .count();
    assert!(parses > 300, "{parses} of {} inputs parse (seed {})", plan.generated, plan.seed);
}

//! Histories on a disk that fails and is recovered: nothing acknowledged is lost, nothing refused is seen.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_history::faults::run_rounds;
use lumos_history::history::{Level, Outcome};
use lumos_history::list_append::judge;

#[test]
fn histories_go_on_over_crashes() {
    let rounds = if std::env::var_os("LUMOS_LONG").is_some() { 300 } else { 30 };
    let seed = std::env::var("LUMOS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (record, met) = run_rounds(rounds, 400, seed).unwrap();
    let judgement = judge(&record.transactions, Level::RepeatableRead);
    println!("{rounds} rounds, {met} met their fault, seed {seed}: {}", judgement.figures);
    println!("  errors {:?}", record.errors);
    let findings: Vec<String> =
        judgement.findings.iter().chain(&record.findings).take(8).map(ToString::to_string).collect();
    assert!(findings.is_empty(), "seed {seed}:\n{}", findings.join("\n"));
    assert!(met * 2 > rounds, "too few faults");
    let committed = record.transactions.iter().filter(|one| one.outcome == Outcome::Committed).count();
    assert!(committed > 10 * rounds as usize, "too few commits");
    assert!(judgement.figures.unknown > 0, "no outcome was unknown");
}

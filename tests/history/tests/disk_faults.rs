//! Histories on a disk that fails and is recovered: nothing acknowledged is lost, nothing refused is seen, nothing drawn
//! from a sequence comes again, nothing refers to what is not there.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_history::faults::run_rounds;
use lumos_history::history::{Level, Outcome};
use lumos_history::list_append::judge;

fn check(level: Level) {
    let rounds = if std::env::var_os("LUMOS_LONG").is_some() { 200 } else { 12 };
    let seed = std::env::var("LUMOS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (record, met) = run_rounds(level, rounds, 400, seed).unwrap();
    let judgement = judge(&record.transactions, level);
    let told = record.drawn.iter().filter(|one| one.is_acknowledged).count();
    println!(
        "{level:?}: {rounds} rounds, {met} met their fault, seed {seed}: {}, {told} numbers drawn",
        judgement.figures
    );
    println!("  errors {:?}", record.errors);
    let findings: Vec<String> =
        judgement.findings.iter().chain(&record.findings).take(8).map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{level:?}, seed {seed}:\n{}", findings.join("\n"));
    assert!(met * 2 > rounds, "too few faults");
    let committed = record.transactions.iter().filter(|one| one.outcome == Outcome::Committed).count();
    assert!(committed > 10 * rounds as usize, "too few commits");
    assert!(told > 2 * rounds as usize, "too few numbers");
    assert!(judgement.figures.unknown > 0, "no outcome was unknown");
}

#[test]
fn histories_at_read_committed_go_on_over_crashes() {
    check(Level::ReadCommitted);
}

#[test]
fn histories_at_repeatable_read_go_on_over_crashes() {
    check(Level::RepeatableRead);
}

#[test]
fn histories_at_serializable_go_on_over_crashes() {
    check(Level::Serializable);
}

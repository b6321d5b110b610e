//! Thousands of schedules of each critical path, by seed (`LUMOS_SEED`); a failure prints the schedule that shows it.
#![allow(clippy::print_stdout, reason = "tests print their figures")]

use lumos_shuttle::models::{self, explore};

/// `LUMOS_LONG=1`, as `make test-long` has it: all of them.
fn check(name: &str, schedules: usize, model: fn()) {
    let is_long = std::env::var_os("LUMOS_LONG").is_some();
    let schedules = if is_long { 10_000 } else { schedules };
    let seed = std::env::var("LUMOS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    explore(schedules, seed, true, model);
    println!("{name}: {schedules} schedules, seed {seed}");
}

#[test]
fn locks() {
    check("locks and deadlocks", 10_000, models::locks_exclude_and_deadlocks_end);
    check("shared locks", 10_000, models::shared_locks_are_granted_to_all);
}

#[test]
fn interrupts() {
    check("interrupts of waits", 10_000, models::interrupts_reach_those_who_wait);
}

#[test]
fn snapshots() {
    check("snapshots and the horizon", 10_000, models::no_snapshot_below_a_horizon);
}

#[test]
fn group_commit() {
    check("group commit", 10_000, models::group_commit);
}

#[test]
fn transactions() {
    check("transactions beside readers", 1_000, models::snapshots_see_whole_states);
}

#[test]
fn checkpoints() {
    check("checkpoints beside commits", 1_000, models::checkpoints_beside_commits);
}

#[test]
fn pages() {
    check("pages that come and go", 300, models::pages_come_and_go);
}

#[test]
fn serializable() {
    check("serializable beside others", 3_000, models::serializable_numbers_are_drawn_once);
}

//! Every order of steps of small models; the figures are the orders that were tried.
#![allow(clippy::print_stdout, reason = "tests print their figures")]

use lumos_loom::models::{self, explore};
use lumos_loom::{storage, transaction};

fn check(name: &str, preemptions_max: Option<usize>, model: fn()) {
    let orders = explore(preemptions_max, model);
    println!("{name}: {orders} orders of steps");
    assert!(orders > 1, "{name}: nothing was interleaved");
}

#[test]
fn snapshots() {
    check("snapshots and the horizon", Some(3), transaction::models::no_snapshot_below_a_horizon);
    check("a held snapshot", None, transaction::models::a_held_snapshot_is_the_horizon);
}

#[test]
fn publication() {
    check("the publish queue", Some(3), transaction::models::commits_are_published_in_order);
    check("a commit alone", Some(3), transaction::models::a_commit_alone_meets_one_in_the_queue);
}

#[test]
fn the_gate() {
    check("a cut beside a commit", None, storage::models::a_cut_and_a_commit_keep_apart);
    check("a cut in a pause", Some(3), storage::models::a_cut_in_a_pause_knows_the_commit);
    check("two cuts", None, storage::models::cuts_follow_each_other);
}

#[test]
fn the_latch() {
    check("the latch", Some(3), models::a_latch_keeps_readers_and_writers_apart);
    check("a copied root", Some(3), models::a_copied_root_leads_to_the_key);
}

#[test]
fn the_log() {
    check("the log's buffer", Some(2), models::frames_lie_side_by_side);
}

#[test]
fn group_commit() {
    check("group commit", Some(2), models::a_group_commit_covers_who_waits);
}

//! Histories written by hand: each anomaly is found and called by its name, and sound ones pass.

use lumos_history::history::{Level, Operation, Outcome, Transaction};
use lumos_history::list_append::judge;

/// One transaction: `C r:x=1,2 a:x=3 s a:y=4 u` is a committed one that read 1 and 2 in list x, appended 3, set a
/// savepoint, appended 4 to y and returned to the savepoint. `A` aborted, `U` unknown; `o:x=1..5` did not find x among
/// those of 1 to 4 values. With `@` they follow each other in real time: `@10-20`.
fn transaction(number: usize, text: &str) -> Transaction {
    let mut words = text.split_whitespace();
    let outcome = match words.next() {
        Some("C") => Outcome::Committed,
        Some("A") => Outcome::Aborted,
        _ => Outcome::Unknown,
    };
    // All at the same time, unless something else is said.
    let mut one = Transaction {
        process: number,
        level: Level::RepeatableRead,
        began: number as u64,
        ended: 1_000_000 + number as u64,
        outcome,
        operations: Vec::new(),
    };
    let key = |name: &str| u64::from(name.as_bytes()[0]);
    for word in words {
        if let Some(times) = word.strip_prefix('@') {
            let (began, ended) = times.split_once('-').expect("from-to");
            one.began = began.parse().expect("a number");
            one.ended = ended.parse().expect("a number");
            continue;
        }
        one.operations.push(match (word.split_once(':'), word) {
            (_, "s") => Operation::Savepoint,
            (_, "u") => Operation::RollBackToSavepoint,
            (_, "f") => Operation::ReleaseSavepoint,
            (Some(("o", rest)), _) => {
                let (name, range) = rest.split_once('=').expect("key=range");
                let (low, high) = range.split_once("..").expect("low..high");
                let bound = |text: &str| text.parse().expect("a number");
                Operation::Outside { key: key(name), low: bound(low), high: bound(high) }
            }
            (Some((kind, rest)), _) => {
                let (name, values) = rest.split_once('=').expect("key=values");
                let values = values.split(',').filter(|value| !value.is_empty());
                let list: Vec<u64> = values.map(|value| value.parse().expect("a number")).collect();
                match kind {
                    "a" => Operation::Append { key: key(name), value: list[0] },
                    _ => Operation::Read { key: key(name), list },
                }
            }
            _ => panic!("{word}"),
        });
    }
    one
}

/// What is wrong at a level.
fn found_at(level: Level, texts: &[&str]) -> Vec<String> {
    let history: Vec<Transaction> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| Transaction { level, ..transaction(number, text) })
        .collect();
    let judgement = judge(&history, level);
    let name = |finding: &lumos_history::anomaly::Finding| {
        finding.to_string().split(':').next().unwrap_or_default().to_owned()
    };
    let mut names: Vec<String> = judgement.findings.iter().map(name).collect();
    names.sort();
    names.dedup();
    names
}

fn found(texts: &[&str]) -> Vec<String> {
    found_at(Level::RepeatableRead, texts)
}

const NONE: [&str; 0] = [];

#[test]
fn sound_histories_pass_at_every_level() {
    let histories: &[&[&str]] = &[
        &["C a:x=1", "C r:x=1 a:x=2", "C r:x=1,2", "C r:x=1"],
        // Read own writes, undone ones before the return only.
        &["C a:x=1 r:x=1 s a:x=2 r:x=1,2 u r:x=1 a:x=3 r:x=1,3", "C r:x=1,3"],
        &["C s a:x=1 s a:x=2 u f a:x=3", "C r:x=1,3"],
        // An aborted reader may be behind, and its own values are nobody's.
        &["A a:x=1 r:x=1", "C a:x=2", "C r:x=2"],
        // An unknown one that happened, and one that did not.
        &["U a:x=1 a:y=2", "C r:x=1 r:y=2"],
        &["U a:x=1 a:y=2", "C r:x= r:y="],
        &["C @1-2 a:x=1", "C @3-4 r:x=1 a:x=2", "C @5-6 r:x=1,2"],
        &["C a:x=1", "C o:x=1..9 r:x="],
        &["C a:x=1", "C r:x=1 o:x=2..9", "C r:x=1 a:x=2", "C r:x=1,2"],
    ];
    for history in histories {
        for level in [Level::ReadCommitted, Level::RepeatableRead, Level::Serializable] {
            assert_eq!(found_at(level, history), NONE, "{history:?} at {level:?}");
        }
    }
}

#[test]
fn a_cycle_of_writes_is_g0() {
    let history = ["C a:x=1 a:y=2", "C a:x=3 a:y=4", "C r:x=1,3 r:y=4,2"];
    for level in [Level::ReadCommitted, Level::RepeatableRead, Level::Serializable] {
        assert_eq!(found_at(level, &history)[0], "G0");
    }
}

#[test]
fn what_was_rolled_back_and_seen_is_g1a() {
    assert_eq!(found(&["A a:x=1", "C r:x=1"]), ["G1a"]);
    assert_eq!(found(&["C s a:x=1 u", "C r:x=1"]), ["G1a"]);
    assert_eq!(found(&["A a:x=1", "C a:x=2", "C r:x=1,2"]), ["G1a", "dirty update"]);
}

#[test]
fn what_was_seen_before_its_writer_was_done_is_g1b() {
    assert_eq!(found(&["C a:x=1 a:x=2", "C r:x=1", "C r:x=1,2"])[0], "G-single");
    assert!(found(&["C a:x=1 a:x=2", "C r:x=1", "C r:x=1,2"]).contains(&"G1b".to_owned()));
    assert_eq!(found_at(Level::ReadCommitted, &["C a:x=1 a:x=2", "C r:x=1", "C r:x=1,2"]), ["G1b"]);
}

#[test]
fn information_in_a_circle_is_g1c() {
    let history = ["C a:x=1 r:y=2", "C a:y=2 r:x=1"];
    assert_eq!(found(&history), ["G1c"]);
    assert_eq!(found_at(Level::ReadCommitted, &history), ["G1c"]);
}

#[test]
fn read_skew_is_g_single_and_allowed_at_read_committed() {
    let history = ["C a:x=1 a:y=2", "C r:x= r:y=2", "C r:x=1"];
    assert_eq!(found(&history), ["G-single"]);
    assert_eq!(found_at(Level::ReadCommitted, &history), NONE);
}

#[test]
fn a_circle_with_two_skews_apart_is_g_nonadjacent() {
    // 0 overlooked 1, which 2 saw; 2 overlooked 3, which 0 saw.
    let history = ["C r:x= r:y=2", "C a:x=1", "C r:x=1 r:y=", "C a:y=2"];
    assert_eq!(found(&history), ["G-nonadjacent"]);
}

#[test]
fn write_skew_is_g2_and_forbidden_at_serializable_alone() {
    let history = ["C r:x= a:y=1", "C r:y= a:x=2", "C r:x=2 r:y=1"];
    assert_eq!(found(&history), NONE);
    assert_eq!(found_at(Level::Serializable, &history), ["G2-item"]);
    // By ranges: each looks for lists of the other, and finds none.
    let history = ["C o:x=1..9 a:y=1", "C o:y=1..9 a:x=2", "C r:x=2 r:y=1"];
    assert_eq!(found(&history), NONE);
    assert_eq!(found_at(Level::Serializable, &history), ["G2-item"]);
}

#[test]
fn lost_updates_are_called_so() {
    // Both appended to the empty list; the second one's text replaced the first one's.
    assert_eq!(
        found(&["C @1-10 r:x= a:x=1", "C @2-9 r:x= a:x=2", "C @20-21 r:x=2"]),
        ["G-single", "G-single-realtime", "lost update"]
    );
    assert_eq!(found(&["C r:x= a:x=1", "C r:x= a:x=2", "C r:x=1,2"]), ["G-single"]);
    assert_eq!(
        found_at(Level::ReadCommitted, &["C @1-10 a:x=1", "C @2-9 a:x=2", "C @20-21 r:x=2"]),
        ["lost update"]
    );
}

#[test]
fn lists_that_cannot_be_are_named() {
    assert_eq!(found(&["C a:x=1", "C r:x=1,1"])[0], "duplicate element");
    assert_eq!(found(&["C a:x=1", "C r:x=1,7"])[0], "unknown element");
    assert!(
        found(&["C a:x=1", "C a:x=2", "C r:x=1,2", "C r:x=2"]).contains(&"incompatible order".to_owned())
    );
}

#[test]
fn a_transaction_that_disagrees_with_itself_is_named() {
    assert!(found(&["C a:x=1 r:x="]).contains(&"internal".to_owned()));
    assert!(found(&["C a:x=1", "C r:x= r:x=1"]).contains(&"non-repeatable read".to_owned()));
    assert_eq!(found_at(Level::ReadCommitted, &["C a:x=1", "C r:x= r:x=1"]), NONE);
    assert!(found(&["C a:x=1", "C o:x=1..9 r:x=1"]).contains(&"phantom".to_owned()));
    assert!(found(&["C a:x=1", "C r:x=1 o:x=1..9"]).contains(&"phantom".to_owned()));
    // An aborted one, too.
    assert!(found(&["C a:x=1", "A r:x= r:x=1"]).contains(&"non-repeatable read".to_owned()));
}

#[test]
fn whoever_began_later_sees_what_was_acknowledged() {
    assert_eq!(found(&["C @1-2 a:x=1", "C @3-4 r:x=", "C @5-6 r:x=1"]), ["G-single-realtime"]);
    assert_eq!(found(&["C @1-2 a:x=1", "C @1-4 r:x=", "C @5-6 r:x=1"]), NONE);
    assert_eq!(found(&["C @1-2 a:x=1", "C @3-4 o:x=1..9", "C @5-6 r:x=1"]), ["G-single-realtime"]);
    assert_eq!(found(&["C @1-2 a:x=1", "C @3-4 a:x=2", "C @5-6 r:x=2,1"]), ["G0-realtime"]);
    // Serializable without being in the order of time: both wrote, the later one lies before.
    assert_eq!(
        found_at(
            Level::Serializable,
            &["C @1-2 r:y= a:x=1", "C @3-9 r:x=1 a:z=3", "C @4-5 a:y=2", "C @10-11 r:x=1 r:y=2 r:z="]
        ),
        ["G-single-realtime", "lost update"]
    );
}

#[test]
fn what_is_outcome_unknown_is_all_or_nothing() {
    assert_eq!(found(&["U a:x=1 a:y=2", "C r:x=1 r:y="]), ["G-single"]);
}

#[test]
fn reads_of_a_range_that_was_too_full_prove_nothing() {
    // It may have had 1 or 3 values; only the clock knows.
    let history = ["C a:x=1", "C r:x=1 a:x=2", "C r:x=1,2 a:x=3", "C o:x=2..3", "C r:x=1,2,3"];
    assert_eq!(found(&history), NONE);
}

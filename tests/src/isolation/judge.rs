//! Whether a run did what its scenario says. Messages are for information; all else counts.
//!
//! At serializable PostgreSQL's choice of whom to refuse, and when, is one of several right ones: where its run has a
//! 40001, one must come somewhere; where it has none, one may come, and is counted.

use crate::isolation::scenario::{Outcome, Run, Step};

/// SQLSTATE of a serialization failure.
const SERIALIZATION_FAILURE: &str = "40001";

/// What is said of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// As recorded, or as right.
    Passed,
    /// Right, but somebody was refused where PostgreSQL refused nobody.
    Stricter,
    /// Why not.
    Failed(String),
}

/// Compares what was recorded with what was found.
pub fn judge(run: &Run, found: &[Step]) -> Verdict {
    let difference = difference(&run.steps, found);
    let Some(difference) = difference else { return Verdict::Passed };
    if run.serializable && found.iter().any(fails) {
        return if expects_refusal(run) { Verdict::Passed } else { Verdict::Stricter };
    }
    Verdict::Failed(difference)
}

/// Whether somebody must be refused, at whatever statement.
pub fn expects_refusal(run: &Run) -> bool {
    run.serializable && run.steps.iter().any(fails)
}

fn fails(step: &Step) -> bool {
    let (Step::Send { outcome, .. } | Step::Late { outcome, .. }) = step;
    fails_with_it(outcome)
}

fn fails_with_it(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Error { state, .. } => state == SERIALIZATION_FAILURE,
        Outcome::Several(outcomes) => outcomes.iter().any(fails_with_it),
        _ => false,
    }
}

/// The first group of steps, a statement with what it released, that differs.
fn difference(expected: &[Step], found: &[Step]) -> Option<String> {
    let (expected, found) = (groups(expected), groups(found));
    for index in 0..expected.len().max(found.len()) {
        let (wanted, got) = (expected.get(index), found.get(index));
        let same = match (wanted, got) {
            (Some(wanted), Some(got)) => is_same_group(wanted, got),
            _ => false,
        };
        if !same {
            let text = |group: Option<&Vec<&Step>>| {
                group.map_or("nothing".to_owned(), |group| {
                    group.iter().map(|step| format!("{step:?}")).collect::<Vec<_>>().join("\n           ")
                })
            };
            return Some(format!("expected {}\n    found {}", text(wanted), text(got)));
        }
    }
    None
}

/// Each statement with the late outcomes after it, by session.
fn groups(steps: &[Step]) -> Vec<Vec<&Step>> {
    let mut groups: Vec<Vec<&Step>> = Vec::new();
    for step in steps {
        match (step, groups.last_mut()) {
            (Step::Late { .. }, Some(group)) => group.push(step),
            _ => groups.push(vec![step]),
        }
    }
    for group in &mut groups {
        group[1..].sort_by_key(|step| match step {
            Step::Send { session, .. } | Step::Late { session, .. } => session,
        });
    }
    groups
}

fn is_same_group(expected: &[&Step], found: &[&Step]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(expected, found)| is_same(expected, found))
}

fn is_same(expected: &Step, found: &Step) -> bool {
    match (expected, found) {
        (Step::Send { session, sql, outcome }, Step::Send { session: sender, sql: text, outcome: got }) => {
            session == sender && sql == text && is_same_outcome(outcome, got)
        }
        (Step::Late { session, outcome }, Step::Late { session: other, outcome: got }) => {
            session == other && is_same_outcome(outcome, got)
        }
        _ => false,
    }
}

fn is_same_outcome(expected: &Outcome, found: &Outcome) -> bool {
    match (expected, found) {
        (Outcome::Error { state, .. }, Outcome::Error { state: got, .. }) => state == got,
        (Outcome::Several(expected), Outcome::Several(found)) => {
            expected.len() == found.len()
                && expected.iter().zip(found).all(|(expected, found)| is_same_outcome(expected, found))
        }
        _ => expected == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(sql: &str, outcome: Outcome) -> Step {
        Step::Send { session: "T1".to_owned(), sql: sql.to_owned(), outcome }
    }

    fn error(state: &str) -> Outcome {
        Outcome::Error { state: state.to_owned(), message: "whatever".to_owned() }
    }

    fn a_run(steps: Vec<Step>, serializable: bool) -> Run {
        let (name, setup) = ("x".to_owned(), String::new());
        Run { name, setup, session_setup: Vec::new(), steps, serializable }
    }

    #[test]
    fn every_part_but_the_message_counts() {
        let run =
            a_run(vec![send("a", Outcome::Ok("UPDATE 1".to_owned())), send("b", error("23505"))], false);
        let with = |first: Outcome, second: Outcome| judge(&run, &[send("a", first), send("b", second)]);
        let right = Outcome::Ok("UPDATE 1".to_owned());
        assert_eq!(with(right.clone(), error("23505")), Verdict::Passed);
        for (first, second) in [
            (Outcome::Ok("UPDATE 0".to_owned()), error("23505")),
            (Outcome::Blocks, error("23505")),
            (Outcome::Rows("(1)".to_owned()), error("23505")),
            (right.clone(), error("40001")),
            (right.clone(), right.clone()),
        ] {
            assert!(matches!(with(first.clone(), second), Verdict::Failed(_)), "{first:?}");
        }
        assert!(matches!(judge(&run, &[send("a", right)]), Verdict::Failed(_)), "a step is missing");
    }

    #[test]
    fn at_serializable_who_fails_is_free_but_somebody_must() {
        let ok = || Outcome::Ok("COMMIT".to_owned());
        let refused = a_run(vec![send("a", ok()), send("b", error("40001"))], true);
        assert_eq!(judge(&refused, &[send("a", error("40001")), send("b", ok())]), Verdict::Passed);
        assert!(matches!(judge(&refused, &[send("a", ok()), send("b", ok())]), Verdict::Failed(_)));
        let fine = a_run(vec![send("a", ok()), send("b", ok())], true);
        assert_eq!(judge(&fine, &[send("a", ok()), send("b", error("40001"))]), Verdict::Stricter);
        let read_committed = a_run(vec![send("a", ok()), send("b", ok())], false);
        let found = [send("a", ok()), send("b", error("40001"))];
        assert!(matches!(judge(&read_committed, &found), Verdict::Failed(_)));
    }
}

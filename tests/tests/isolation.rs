//! Isolation scenarios of several sessions, and first of all: that the runner notices what is wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_tests::corpora;
use lumos_tests::isolation::judge::{Verdict, judge};
use lumos_tests::isolation::run::run;
use lumos_tests::isolation::scenario::{self, Outcome, Run, Step};

fn own_runs() -> Vec<Run> {
    let files = corpora::files(&corpora::repository().join("tests/isolation/*.md").to_string_lossy());
    assert!(!files.is_empty(), "the files are not there");
    files.iter().flat_map(|file| scenario::runs(&std::fs::read_to_string(file).unwrap()).unwrap()).collect()
}

#[test]
fn our_scenarios_go_as_recorded() {
    let runs = own_runs();
    assert!(runs.len() >= 70, "{} runs", runs.len());
    for scenario in runs {
        let found = run(&scenario).unwrap();
        assert_eq!(judge(&scenario, &found), Verdict::Passed, "{}", scenario.name);
    }
}

/// A scenario in which one outcome is another one than what the engine does.
#[test]
fn a_wrong_record_is_noticed_at_every_step() {
    let scenario = own_runs().into_iter().find(|run| run.name == "dirty-write: read committed").unwrap();
    let found = run(&scenario).unwrap();
    for index in 0..scenario.steps.len() {
        let mut wrong = scenario.clone();
        let (Step::Send { outcome, .. } | Step::Late { outcome, .. }) = &mut wrong.steps[index];
        *outcome = Outcome::Ok("UPDATE 7".to_owned());
        assert!(matches!(judge(&wrong, &found), Verdict::Failed(_)), "step {index}");
    }
}

//! Processes that read beside one that writes: a few rounds at every change, more with `LUMOS_ROUNDS`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_crash::readers::{self, ReaderFigures, ReaderOptions};

fn run(seed: u64, rounds: u64, is_planted: bool) -> ReaderFigures {
    let folder = std::env::temp_dir().join(format!("lumos-readers-{seed}-{}", std::process::id()));
    let options = ReaderOptions {
        program: env!("CARGO_BIN_EXE_crash").into(),
        folder: folder.clone(),
        rounds,
        seed,
        is_planted,
    };
    let figures = readers::run(&options).unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    println!(
        "crash point 27: {} looks beside {} checkpoints; killed {} writers and {} readers, stopped {}; {} failures",
        figures.looks,
        figures.checkpoints,
        figures.killed[0],
        figures.killed[1],
        figures.killed[2],
        figures.failures.len()
    );
    figures
}

#[test]
fn readers_beside_a_writer_see_whole_states_whoever_is_killed() {
    let rounds = std::env::var("LUMOS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(14);
    let figures = run(21, rounds, false);
    assert_eq!(figures.failures, Vec::<String>::new());
    assert!(figures.looks > rounds && figures.checkpoints > rounds);
}

#[cfg(feature = "planted")]
#[test]
fn a_writer_that_ignores_its_readers_is_reported() {
    let figures = run(22, 8, true);
    assert!(!figures.failures.is_empty());
}

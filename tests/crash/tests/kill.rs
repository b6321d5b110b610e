//! Kills of a real process, and system calls of it that fail; `make crash KILLS=…` makes many.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use lumos_crash::figures::{say, sized};
use std::path::Path;
use std::process::Command;

fn crash(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_crash")).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn killed_processes_lose_no_acknowledged_commit() {
    let kills = sized(50, 1000);
    let (is_sound, text) = crash(&["--kills", &kills.to_string(), "--seed", "11"]);
    assert!(is_sound, "{text}");
    let mut last = text.lines().rev();
    let (figures, opens) = (last.next().unwrap(), last.next().unwrap());
    say(&format!("  point 26: {figures}"));
    let numbers = last.next().unwrap();
    say(&format!("  point 27: {opens}"));
    say(&format!("  sequences over kills: {numbers}"));
    assert!(numbers.ends_with(", 0 told twice"), "{text}");
    let told: u64 = numbers.split(' ').next().unwrap().parse().unwrap();
    assert!(told > kills, "{text}");
    assert!(figures.starts_with(&format!("{kills} kills: ")), "{text}");
    assert!(figures.ends_with("0 lost, 0 resurrected, 0 findings"), "{text}");
    let opens: u64 = opens.split(' ').next().unwrap().parse().unwrap();
    assert!(opens > kills / 2, "{text}");
}

/// Failing calls on real files, as a cross-check of what the simulated disk says.
#[test]
fn a_failing_system_call_loses_no_acknowledged_commit() {
    let folder = std::env::temp_dir().join(format!("lumos-calls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let library = folder.join("failing_calls.so").to_string_lossy().into_owned();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("failing_calls.c");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o", &library]).arg(source).arg("-ldl").status();
    if !cfg!(target_os = "linux") || !built.is_ok_and(|status| status.success()) {
        say(
            "  failing system calls: NOT RUN, there is no C compiler for failing_calls.c or the system is not Linux",
        );
        return;
    }
    let rounds = sized(40, 400);
    let data = folder.join("data").to_string_lossy().into_owned();
    let words =
        ["--kills", &rounds.to_string(), "--seed", "14", "--failing-calls", &library, "--folder", &data];
    let (is_sound, text) = crash(&words);
    // As a planted fault: acknowledged before it is written.
    let planted = folder.join("planted").to_string_lossy().into_owned();
    let words = ["--kills", "12", "--seed", "15", "--failing-calls", &library, "--folder", &planted];
    let (is_planted_sound, planted_text) = crash(&[&words[..], &["--durability", "off"]].concat());
    let _ = std::fs::remove_dir_all(&folder);
    assert!(is_sound, "{text}");
    let mut last = text.lines().rev();
    let (figures, faults) = (last.next().unwrap(), last.next().unwrap());
    say(&format!("  failing system calls: {faults}; {figures}"));
    let faults: u64 = faults.split(' ').nth(4).unwrap().parse().unwrap();
    assert!(faults > rounds / 3, "{text}");
    assert!(!is_planted_sound && !planted_text.lines().last().unwrap().contains(" 0 lost"), "{planted_text}");
}

#[test]
fn commits_acknowledged_before_they_are_written_are_reported_as_lost() {
    let folder = std::env::temp_dir().join(format!("lumos-crash-off-{}", std::process::id()));
    let folder_name = folder.to_string_lossy().into_owned();
    let (is_sound, text) =
        crash(&["--kills", "8", "--seed", "12", "--durability", "off", "--folder", &folder_name]);
    let _ = std::fs::remove_dir_all(&folder);
    assert!(!is_sound, "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("8 kills: ") && !last.contains(" 0 lost"), "{text}");
}

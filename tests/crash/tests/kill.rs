//! A few kills of a real process at every change; `make crash KILLS=…` makes many.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests print their figures and panic when they fail"
)]

use std::process::Command;

fn crash(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_crash")).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn killed_processes_lose_no_acknowledged_commit() {
    let (is_sound, text) = crash(&["--kills", "5", "--seed", "11"]);
    assert!(is_sound, "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("5 kills: ") && last.ends_with("0 lost, 0 resurrected, 0 findings"), "{text}");
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

//! Every kind of statement with too little memory, at each of its reservations, and on a full disk, of every size.
#![allow(clippy::unwrap_used, reason = "tests panic when they fail")]

use lumos_crash::figures::say;
use lumos_crash::kinds::kinds;
use lumos_crash::scenario::Report;
use lumos_crash::shortage::{Shortage, run};
use lumos_crash::tasks;
use std::process::Command;

fn run_all(shortage: Shortage) -> Report {
    let kinds = kinds();
    let total = tasks::run_all(&kinds, |scenario| {
        let report = run(scenario, shortage).unwrap_or_else(|error| Report {
            failures: vec![format!("{} does not run: {error:?}", scenario.name)],
            ..Report::default()
        });
        say(&format!(
            "  {shortage:?}, {}: {} shortages, {} refused",
            scenario.name, report.runs, report.images
        ));
        report
    });
    let count = kinds.len();
    say(&format!(
        "{shortage:?}: {count} kinds of statement, {} shortages, {} refused",
        total.runs, total.images
    ));
    assert!(total.failures.is_empty(), "{} failures:\n{}", total.failures.len(), total.failures.join("\n"));
    total
}

#[test]
fn whichever_reservation_of_memory_is_refused_the_statement_fails_alone_and_works_afterwards() {
    let total = run_all(Shortage::Memory);
    assert!(total.images > 500, "{} refused", total.images);
}

#[test]
fn whatever_room_a_full_disk_has_the_statement_fails_alone_and_works_afterwards() {
    let total = run_all(Shortage::Disk);
    assert!(total.images > 200, "{} refused", total.images);
}

/// A file system of its own in the program's namespace, of a size that all statements fit into.
const MOUNT: &str = "mount -t tmpfs -o size=24m lumos \"$1\" && exec \"$2\" full \"$1\"";

#[test]
fn on_a_small_file_system_a_statement_that_finds_no_room_fails_alone_and_works_afterwards() {
    let folder = std::env::temp_dir().join(format!("lumos-full-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(&folder).arg(env!("CARGO_BIN_EXE_crash"));
        command.output()
    };
    let may_mount =
        unshare("mount -t tmpfs -o size=1m lumos \"$1\"").is_ok_and(|output| output.status.success());
    let output = may_mount.then(|| unshare(MOUNT).unwrap());
    let _ = std::fs::remove_dir_all(&folder);
    match output {
        None => say(
            "  full disk, real file system: NOT RUN, mounting is not permitted; the simulated disk's capacity alone",
        ),
        Some(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
            say(&format!("  full disk, tmpfs of 24 MiB: {}", text.lines().last().unwrap()));
        }
    }
}

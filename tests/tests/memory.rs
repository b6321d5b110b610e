//! Databases ten times larger than their memory limit: reads, changes, scans, sorts and checkpoints from several threads
//! at once; no statement fails, every answer is right, and the process's peak stays within the limit and 16 MiB. Each
//! limit has a process of its own (`lumos-memory`), which prints the peak as the system counts it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use std::process::Command;

/// Runs the program; its lines are this test's.
fn run(limit: usize, page_size: usize, rounds: usize) {
    let words = [
        ("--limit", limit),
        ("--page-size", page_size),
        ("--rounds", rounds),
        ("--times", 10),
        ("--seed", 1),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_lumos-memory"));
    for (word, value) in words {
        command.args([word, &value.to_string()]);
    }
    let output = command.output().unwrap();
    let lines = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "limit {limit}, page size {page_size}:\n{lines}");
    assert!(lines.contains("0 findings"), "{lines}");
}

/// Runs the program for large values; gives its lines. One value comes in by `way`.
fn run_values(limit: usize, bytes: usize, way: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lumos-values"));
    for (word, value) in [("--limit", limit), ("--bytes", bytes)] {
        command.args([word, &value.to_string()]);
    }
    let output = command.args(["--way", way]).output().unwrap();
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{bytes} of {limit} bytes by {way}:\n{lines}");
    assert!(lines.contains("0 findings"), "{lines}");
    lines
}

#[test]
fn a_value_of_a_third_of_the_limit_goes_in_and_out_within_it() {
    for limit in [16 << 20, 48 << 20] {
        for way in ["text-literal", "text-parameter", "bytes-parameter", "repeat", "select"] {
            let lines = run_values(limit, limit / 10 * 3, way);
            for step in ["insert", "select", "update", "delete"] {
                assert!(lines.contains(&format!("{step}: done")), "{way}: no {step} in\n{lines}");
            }
        }
        // The digits of a literal are twice as long as its value.
        let lines = run_values(limit, limit / 6, "bytea-literal");
        assert!(lines.contains("insert: done") && lines.contains("select: done"), "{lines}");
        for way in ["text-literal", "repeat", "select"] {
            let lines = run_values(limit, limit, way);
            assert!(lines.contains("insert: 53200"), "{way}:\n{lines}");
        }
    }
}

#[test]
fn keys_that_wait_for_others_may_be_more_than_memory_has_room_for() {
    let folder = std::env::temp_dir().join(format!("lumos-waiting-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let options = DatabaseOptions { memory_limit: Some(9 << 20), ..DatabaseOptions::default() };
    let database = Database::open(Some(&folder.join("data.lumos")), options).unwrap();
    let mut session = database.connect().unwrap();
    session.execute_script("CREATE TABLE t (id bigint PRIMARY KEY, k int UNIQUE, s text)").unwrap();
    let rows = 30_000;
    let fill =
        format!("INSERT INTO t SELECT g, g, 'some text of row ' || g FROM generate_series(1, {rows}) r (g)");
    assert_eq!(session.execute_script(&fill).unwrap(), rows);
    // Every row's new key is that of the next one, which has it still.
    assert_eq!(session.execute_script("UPDATE t SET id = id + 1, k = k + 1").unwrap(), rows);
    let error = session.execute_script("UPDATE t SET id = id + 1, k = CASE id WHEN 5 THEN 9 ELSE k + 1 END");
    assert_eq!(error.unwrap_err().state().as_str(), "23505");
    let kept = "DELETE FROM t WHERE id = k AND s = 'some text of row ' || id - 1";
    assert_eq!(session.execute_script(kept).unwrap(), rows);
    drop(session);
    assert_eq!(database.verify(&mut |_| ()).unwrap(), 0);
    drop(database);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// `LUMOS_LONG=1` (as `make test-long` has it): larger limits, every page size, more rounds.
fn is_long() -> bool {
    std::env::var_os("LUMOS_LONG").is_some()
}

#[test]
fn a_database_ten_times_its_limit_stays_within_it() {
    run(4 << 20, 8192, 30);
    run(16 << 20, 8192, 30);
    if is_long() {
        for limit in [16, 32, 64, 256] {
            run(limit << 20, 8192, 500);
        }
        for page_size in [4096, 16_384, 32_768] {
            run(8 << 20, page_size, 200);
        }
    }
}

//! Our own SQL files on every path, in memory and on disk, and first of all: that the harness notices what is
//! wrong. The files' results come from PostgreSQL 15.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_tests::connection::Path as ExecutionPath;
use lumos_tests::corpora;
use lumos_tests::report::Report;
use lumos_tests::run::{RunOptions, run_file};
use std::path::PathBuf;

/// Runs files and tells every failure.
fn run_all(files: &[PathBuf], options: &RunOptions) -> Report {
    let mut total = Report::default();
    let mut failures = Vec::new();
    for file in files {
        let report = run_file(file, options);
        assert!(report.passed + report.failed > 0, "{} has no record", file.display());
        failures.extend(report.failures.iter().cloned());
        total.add(&report);
    }
    assert!(total.is_success(), "{options:?}: {} failed:\n{}", total.failed, failures.join("\n\n"));
    total
}

fn own_files() -> Vec<PathBuf> {
    let files = corpora::files(&corpora::repository().join("tests/sql/*.slt").to_string_lossy());
    assert!(files.len() >= 20, "the files are not there: {files:?}");
    files
}

fn own_files_pass(path: ExecutionPath, on_disk: bool) -> Report {
    run_all(&own_files(), &RunOptions { on_disk, path, ..RunOptions::default() })
}

#[test]
fn our_files_pass_on_pipelines_in_memory() {
    let report = own_files_pass(ExecutionPath::Vectorised, false);
    assert_eq!(report.on_point, 0, "the short path was to be off");
    assert!(report.passed > 1000, "{}", report.passed);
}

#[test]
fn our_files_pass_on_the_short_path_in_memory() {
    let report = own_files_pass(ExecutionPath::Point, false);
    assert!(report.on_point > 250, "only {} statements took the short path", report.on_point);
}

#[test]
fn our_files_pass_on_pipelines_on_disk() {
    own_files_pass(ExecutionPath::Vectorised, true);
}

#[test]
fn our_files_pass_on_the_short_path_on_disk() {
    own_files_pass(ExecutionPath::Point, true);
}

#[test]
fn our_files_pass_as_the_optimizer_decides_with_small_and_large_pages() {
    for page_size in ["4kB", "32kB"] {
        let options = RunOptions { page_size: Some(page_size.to_owned()), ..RunOptions::default() };
        run_all(&own_files(), &options);
    }
}

#[test]
fn sqlite_files_on_tables_and_indexes_pass() {
    let names = ["slt_lang_dropindex", "slt_lang_droptable", "slt_lang_reindex", "slt_lang_update"];
    let files: Vec<PathBuf> = names
        .iter()
        .map(|name| corpora::folder().join(format!("sqllogictest/evidence/{name}.slt")))
        .collect();
    if !files.iter().all(|file| file.is_file()) {
        assert!(!corpora::must_be_complete(), "{} has no corpora", corpora::folder().display());
        eprintln!("not run: {} has no corpora; set LUMOS_CORPORA", corpora::folder().display());
        return;
    }
    for path in [ExecutionPath::Vectorised, ExecutionPath::Point] {
        run_all(&files, &RunOptions { path, ..RunOptions::default() });
    }
}

/// Runs a text as a file.
fn run_text(name: &str, text: &str) -> Report {
    let folder = std::env::temp_dir().join(format!("lumos-harness-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("planted.slt");
    #[allow(clippy::disallowed_methods, reason = "a file for the harness, not of the engine")]
    std::fs::write(&file, text).unwrap();
    let report = run_file(&file, &RunOptions::default());
    std::fs::remove_dir_all(&folder).unwrap();
    report
}

#[test]
fn the_harness_passes_what_is_right() {
    let text = "statement ok\nCREATE TABLE t (a int)\n\n\
                statement count 2\nINSERT INTO t VALUES (1), (2)\n\n\
                query I rowsort\nSELECT a FROM t\n----\n1\n2\n\n\
                statement error (42703)\nSELECT b FROM t\n";
    let report = run_text("right", text);
    assert_eq!((report.passed, report.failed), (4, 0), "{:?}", report.failures);
}

#[test]
fn the_harness_finds_planted_faults() {
    let faults = [
        ("value", "query I\nSELECT 1\n----\n2\n"),
        ("row_too_many", "query I\nSELECT 1\n----\n1\n1\n"),
        ("row_missing", "query I\nSELECT 1\n----\n"),
        ("blank", "query T\nSELECT 'a  b'\n----\na b\n"),
        ("null", "query T\nSELECT 'NULL '\n----\n(empty)\n"),
        ("type", "query T\nSELECT 1\n----\n1\n"),
        ("columns", "query I\nSELECT 1, 2\n----\n1\t2\n"),
        ("count", "statement ok\nCREATE TABLE t (a int)\n\nstatement count 2\nINSERT INTO t VALUES (1)\n"),
        ("state", "statement error (42P01)\nSELECT 1 / 0\n"),
        ("no_error", "statement error\nSELECT 1\n"),
        ("error", "statement ok\nSELECT nosuch\n"),
        ("unsupported", "statement error\nSELECT row_number() OVER ()\n"),
        ("hash", "hash-threshold 1\n\nquery II\nSELECT 1, 2\n----\n2 values hashing to 0\n"),
    ];
    for (name, text) in faults {
        let report = run_text(name, text);
        assert_eq!(report.failed, 1, "{name}: {report:?}");
    }
}

#[test]
fn the_harness_counts_records_that_were_not_run() {
    let skipped = run_text("skipped", "skipif postgresql\nstatement ok\nSELECT 1\n");
    assert_eq!((skipped.passed, skipped.failed), (0, 1), "{skipped:?}");
    let other = run_text("other", "onlyif sqlite\nquery I\nSELECT 1\n----\n1\n");
    assert_eq!((other.passed, other.failed), (0, 1), "{other:?}");
    let system = run_text("system", "system ok\ntrue\n");
    assert_eq!((system.passed, system.failed), (0, 1), "{system:?}");
    let broken =
        run_text("broken", "statement ok\nSELECT 1\n\nquery\nSELECT 1\n\nstatement maybe\nSELECT 1\n");
    assert!(broken.passed == 0 && broken.failed >= 2, "{broken:?}");
    let missing = run_file("no/such/file.slt".as_ref(), &RunOptions::default());
    assert_eq!((missing.passed, missing.failed), (0, 1));
    let halted = run_text("halt", "statement ok\nSELECT 1\n\nhalt\n\nstatement ok\nSELECT 1\n");
    assert!(halted.passed == 1 && halted.failed >= 1, "{halted:?}");
}

#[test]
fn an_unsupported_statement_passes_only_where_it_is_asked_for() {
    let report = run_text("asked", "statement error (0A000)\nSELECT row_number() OVER ()\n");
    assert_eq!((report.passed, report.failed), (1, 0), "{report:?}");
}

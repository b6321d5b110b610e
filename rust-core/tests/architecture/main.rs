//! The architecture, kept by reading the sources: imports go downwards, `unsafe` stays where it is allowed,
//! every file says what it is, no profile aborts on panic, every SQLSTATE is documented. For each rule a
//! violation is planted and seen found.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its sources has failed")]

mod layers;

use layers::{Table, check_text, check_tree, table_errors};
use std::fs;
use std::path::{Path, PathBuf};

const E: &str = "error";
const C: &str = "common";
const T: &str = "sql::types";
const B: &str = "batch";

/// Rows lowest first; a row may import what it lists, and lists only rows before it.
const LAYERS: Table<'static> = &[
    ("error", &[]),
    ("common", &[E]),
    ("io", &[E, C]),
    ("sql::types", &[E, C]),
    ("batch", &[E, C, T]),
    ("wal", &[E, C, "io"]),
    ("durability", &[E, C, "io", "wal"]),
    ("storage", &[E, C, "io", B, T, "durability", "wal"]),
    ("transaction", &[E, C, "durability", "wal", "storage"]),
    ("statistics", &[E, C, T, B]),
    ("table", &[E, C, T, B, "storage", "transaction", "statistics"]),
    ("catalog", &[E, C, T, "transaction", "statistics", "table"]),
    ("file", &[E, C, "io", T, B]),
    ("sql", &[]),
    ("sql::lexer", &[E, C, T]),
    ("sql::ast", &[E, C, T]),
    ("sql::parser", &[E, C, T, "sql::lexer", "sql::ast"]),
    ("sql::functions", &[E, C, T, B]),
    ("sql::plan", &[E, C, T, "catalog", "sql::functions"]),
    ("sql::evaluate", &[E, C, T, B, "sql::functions", "sql::plan"]),
    ("sql::binder", &[E, C, T, "catalog", "table", "sql::ast", "sql::parser", "sql::functions", "sql::plan"]),
    (
        "sql::optimizer",
        &[E, C, T, B, "statistics", "catalog", "table", "sql::functions", "sql::plan", "sql::evaluate"],
    ),
    (
        "sql::executor",
        &[
            E,
            C,
            "io",
            T,
            B,
            "transaction",
            "table",
            "catalog",
            "file",
            "sql::functions",
            "sql::plan",
            "sql::evaluate",
        ],
    ),
    ("sql::explain", &[E, C, T, "table", "catalog", "sql::plan", "sql::executor"]),
    (
        "session",
        &[
            E,
            C,
            "io",
            T,
            B,
            "durability",
            "wal",
            "storage",
            "transaction",
            "statistics",
            "table",
            "catalog",
            "file",
            "sql::lexer",
            "sql::ast",
            "sql::parser",
            "sql::functions",
            "sql::binder",
            "sql::plan",
            "sql::evaluate",
            "sql::optimizer",
            "sql::executor",
            "sql::explain",
        ],
    ),
    (
        "database",
        &[
            E,
            C,
            "io",
            T,
            B,
            "durability",
            "wal",
            "storage",
            "transaction",
            "statistics",
            "table",
            "catalog",
            "file",
            "session",
        ],
    ),
    (
        "ffi",
        &[
            E,
            C,
            "io",
            T,
            B,
            "transaction",
            "sql::ast",
            "sql::parser",
            "sql::functions",
            "sql::evaluate",
            "session",
            "database",
        ],
    ),
];

/// Where `unsafe` may stand.
const UNSAFE_ALLOWED: &[&str] = &[
    "io/",
    "batch/",
    "storage/page",
    "storage/buffer_pool",
    "common/latch",
    "common/arena",
    "common/simd",
    "wal/ring",
    "ffi/",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(root: &Path) -> Vec<(String, String)> {
    let (mut found, mut stack) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = stack.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Modules that may name only the data-only file of another one.
const ONLY_DATA: &[(&str, &str, &str)] = &[
    ("sql/binder/", "crate::table::", "layout"),
    ("sql/optimizer/", "crate::table::", "layout"),
    ("ffi/", "crate::transaction::", "types"),
];

/// Lines that name more of a module than its data.
fn more_than_data(file: &str, text: &str) -> Vec<usize> {
    let rules = ONLY_DATA.iter().filter(|(folder, _, _)| file.starts_with(folder));
    let mut lines = Vec::new();
    for (_, module, data) in rules {
        let breaks = |line: &&str| {
            line.match_indices(module).any(|(at, _)| !line[at + module.len()..].starts_with(data))
        };
        lines.extend(text.lines().enumerate().filter(|(_, line)| breaks(line)).map(|(at, _)| at + 1));
    }
    lines
}

#[test]
fn plans_and_hosts_see_only_the_data_of_tables_and_transactions() {
    let found: Vec<String> = files(&source())
        .iter()
        .filter(|(file, _)| !is_test_file(file))
        .flat_map(|(file, text)| {
            more_than_data(file, text).into_iter().map(move |line| format!("{file}:{line}"))
        })
        .collect();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(
        more_than_data("ffi/x.rs", "use crate::transaction::types::A;\nuse crate::transaction::manager::M;"),
        [2]
    );
}

/// Files that are compiled for tests only.
fn is_test_file(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

#[test]
fn imports_go_downwards_only() {
    assert_eq!(table_errors(LAYERS), Vec::<String>::new());
    let (count, violations) = check_tree(LAYERS, &source());
    assert!(count > 50, "only {count} files were read");
    let lines: Vec<String> = violations
        .iter()
        .filter(|v| !is_test_file(&v.file))
        .map(|v| format!("{}:{}: {} may not import {}", v.file, v.line, v.from, v.to))
        .collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn a_planted_upward_import_is_found() {
    let planted = "//! x\nuse crate::session::Session;\n";
    let found = check_text(LAYERS, "storage/page.rs", "storage::page", planted);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].line, found[0].to.as_str()), (2, "session"));
}

/// Lines with `unsafe` outside comments in files that may not have it.
fn stray_unsafe(file: &str, text: &str) -> Vec<usize> {
    if UNSAFE_ALLOWED.iter().any(|allowed| file.starts_with(allowed)) {
        return Vec::new();
    }
    let code = |line: &str| line.split("//").next().unwrap_or("").to_string();
    let is_word = |line: &str| {
        code(line).split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
    };
    text.lines().enumerate().filter(|(_, line)| is_word(line)).map(|(at, _)| at + 1).collect()
}

#[test]
fn unsafe_stays_where_it_is_allowed() {
    let stray: Vec<String> = files(&source())
        .iter()
        .flat_map(|(file, text)| {
            stray_unsafe(file, text).into_iter().map(move |line| format!("{file}:{line}"))
        })
        .collect();
    assert!(stray.is_empty(), "unsafe outside its places: {stray:?}");
    assert_eq!(
        stray_unsafe("table/row.rs", "fn f() {\n    unsafe { g() }\n}\n"),
        [2],
        "the planted one is found"
    );
    assert_eq!(stray_unsafe("table/row.rs", "// unsafe\n"), Vec::<usize>::new());
}

#[test]
fn every_file_says_what_it_is() {
    let lacks_head = |text: &str| !text.starts_with("//!");
    let silent: Vec<String> =
        files(&source()).into_iter().filter(|(_, text)| lacks_head(text)).map(|(file, _)| file).collect();
    assert!(silent.is_empty(), "files without a leading //!: {silent:?}");
    assert!(lacks_head("use std::fs;\n"), "the planted one is found");
}

fn aborts_on_panic(manifest: &str) -> bool {
    manifest.lines().any(|line| {
        let line: String =
            line.split('#').next().unwrap_or("").chars().filter(|c| !c.is_whitespace()).collect();
        line == "panic=\"abort\""
    })
}

#[test]
fn no_profile_aborts_on_panic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for manifest in ["Cargo.toml", "rust-core/Cargo.toml"] {
        assert!(!aborts_on_panic(&fs::read_to_string(root.join(manifest)).unwrap()), "{manifest}");
    }
    assert!(aborts_on_panic("[profile.release]\npanic = \"abort\"\n"), "the planted one is found");
}

#[test]
fn no_module_hides_its_layer_behind_a_reexport() {
    let reexports = |file: &str, text: &str| -> bool {
        file != "lib.rs" && text.lines().any(|line| line.trim_start().starts_with("pub use crate::"))
    };
    let hiding: Vec<String> = files(&source())
        .into_iter()
        .filter(|(file, text)| reexports(file, text))
        .map(|(file, _)| file)
        .collect();
    assert!(hiding.is_empty(), "pub use crate::… in {hiding:?}");
    assert!(reexports("table/mod.rs", "pub use crate::storage::Storage;\n"), "the planted one is found");
}

#[test]
fn every_sqlstate_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let documented = fs::read_to_string(root.join("docs/errors.md")).unwrap();
    let missing = |text: &str| -> Vec<String> {
        lumos_core::error::SqlState::ALL
            .iter()
            .filter(|(state, meaning)| !text.contains(&format!("| {} | {meaning} |", state.as_str())))
            .map(|(state, _)| state.to_string())
            .collect()
    };
    assert_eq!(missing(&documented), Vec::<String>::new(), "run `make docs`");
    assert!(!missing("| 42601 | syntax error |").is_empty(), "the planted one is found");
}

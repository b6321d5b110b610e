//! Nothing in the engine knows a corpus: no distinctive name or constant of one occurs in its sources, so that none
//! is passed by being recognised.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test reads sources")]

use lumos_tests::corpora;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Names and constants that only a corpus has; more are read from the corpora where they are.
const DISTINCTIVE: [&str; 28] = [
    "lineitem",
    "partsupp",
    "l_shipdate",
    "l_extendedprice",
    "o_orderkey",
    "ps_supplycost",
    "c_mktsegment",
    "n_nationkey",
    "ANODIZED",
    "MIDDLE EAST",
    "forest%",
    "Brand#",
    "tenk1",
    "onek2",
    "int4_tbl",
    "int8_tbl",
    "float8_tbl",
    "varchar_tbl",
    "aggtest",
    "hobbies_r",
    "bprime",
    "slt_good",
    "tab0",
    "col0",
    "pgbench_accounts",
    "abalance",
    "hermitage",
    "t1_mid",
];

/// Bytes of a corpus file that are looked at.
const BYTES_READ_MAX: usize = 200_000;

fn files(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, extensions, found);
        } else if path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted)) {
            found.push(path);
        }
    }
}

/// The engine's sources, tests included, in lower case.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&corpora::repository().join("rust-core"), &["rs"], &mut found);
    found.retain(|path| !path.components().any(|part| part.as_os_str() == "target"));
    assert!(found.len() > 100, "the sources are not there");
    found
        .into_iter()
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap().to_lowercase()))
        .collect()
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Names that CREATE statements give and that nobody would choose by chance: five letters or more, with a digit or
/// an underscore.
fn created(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut words = text.split(|letter: char| !is_word(letter)).filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        if !word.eq_ignore_ascii_case("create") {
            continue;
        }
        // CREATE [one or two words] TABLE|VIEW|INDEX|FUNCTION|TYPE name
        for _ in 0..3 {
            let Some(kind) = words.peek().map(|word| word.to_ascii_lowercase()) else { break };
            words.next();
            if matches!(&*kind, "table" | "view" | "index" | "function" | "type" | "domain" | "sequence") {
                let name = words.peek().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
                let is_odd = name.contains(|letter: char| letter.is_ascii_digit() || letter == '_');
                if name.len() >= 5 && is_odd {
                    names.insert(name);
                }
                break;
            }
        }
    }
    names
}

#[test]
fn no_name_of_a_corpus_occurs_in_the_engine() {
    let sources = sources();
    for (path, text) in &sources {
        for name in DISTINCTIVE {
            assert!(!text.contains(&name.to_lowercase()), "{} knows {name}", path.display());
        }
    }
    if !corpora::folder().is_dir() {
        assert!(!corpora::must_be_complete(), "{} has no corpora", corpora::folder().display());
        return;
    }
    let mut corpus = Vec::new();
    files(&corpora::folder(), &["slt", "sql"], &mut corpus);
    let mut names = BTreeSet::new();
    for path in corpus {
        let bytes = std::fs::read(path).unwrap();
        names.extend(created(&String::from_utf8_lossy(&bytes[..bytes.len().min(BYTES_READ_MAX)])));
    }
    assert!(names.len() > 1000, "only {} names were found in the corpora", names.len());
    for (path, text) in &sources {
        for word in text.split(|letter: char| !is_word(letter)) {
            assert!(!names.contains(word), "{} knows {word}", path.display());
        }
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let names = created(
        "CREATE TABLE abc_1 (a int); create or replace VIEW v12; CREATE UNIQUE INDEX idx_x ON t; CREATE TABLE t",
    );
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["abc_1", "idx_x"]);
}

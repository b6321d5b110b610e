//! The table of crash and fault points in docs/testing.md: every point has a test that is there, and every point that
//! this crate's harnesses hit stands in it.
#![allow(clippy::unwrap_used, reason = "tests panic when they fail")]

use lumos_crash::points::CRASH_POINTS;
use std::collections::BTreeMap;
use std::path::Path;

/// Points of the design.
const POINTS: std::ops::RangeInclusive<u8> = 1..=27;

/// Whether there is nothing yet that the point could be tested on: hybrid tables; the log's LINK of finished pages.
fn waits(point: u8, root: &Path) -> bool {
    let operations = std::fs::read_to_string(root.join("rust-core/src/wal/entry.rs")).unwrap();
    point == 19 || (point == 17 && !operations.contains("LinkPages"))
}

/// What stands between pairs of backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_crash_and_fault_point_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("docs/testing.md")).unwrap();
    let section = text.split("## Crash and fault points").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut owners: BTreeMap<u8, usize> = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let Ok(point) = cells[1].parse::<u8>() else { continue };
        let hits = cells[4];
        assert!(hits.starts_with(|first: char| first.is_ascii_digit() && first != '0'), "no hits: {row}");
        let mut file = None;
        for word in quoted(cells[3]) {
            if word.contains('/') {
                let path = root.join(word);
                file = Some(
                    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{word}: {error}: {row}")),
                );
                continue;
            }
            let content = file.as_ref().unwrap_or_else(|| panic!("a test without a file: {row}"));
            let is_there =
                content.contains(&format!("fn {word}(")) || content.contains(&format!("void {word}("));
            assert!(is_there, "there is no test {word}: {row}");
            *owners.entry(point).or_default() += 1;
        }
    }
    for point in POINTS.filter(|point| !waits(*point, &root)) {
        assert!(owners.contains_key(&point), "point {point} has no test");
    }
    for (point, number, what) in CRASH_POINTS {
        assert!(owners.contains_key(number), "{point:?} ({what}) does not stand in the table");
    }
}

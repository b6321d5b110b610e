//! Lost writes and flipped bits: reported or without effect, never wrong rows.
#![allow(clippy::unwrap_used, reason = "tests panic when they fail")]

use lumos_crash::damage::{DAMAGE_POINTS, flipped_bits, lost_writes};
use lumos_crash::figures::{say, say_hits, sized};
use lumos_crash::scenario::Report;
use lumos_crash::workloads::workloads;

const WORKLOADS: [&str; 4] =
    ["transactions", "checkpoints", "growth over segments", "a checkpoint among commits"];

#[test]
fn a_lost_write_or_a_flipped_bit_is_reported_or_changes_nothing_and_no_row_is_wrong() {
    let (mut total, mut lost) = (Report::default(), (0, 0));
    for scenario in workloads().into_iter().filter(|scenario| WORKLOADS.contains(&scenario.name)) {
        let report = lost_writes(&scenario).unwrap();
        lost = (lost.0 + report.runs, lost.1 + report.images);
        total.add(report);
        total.add(flipped_bits(&scenario, 31, sized(40, 1_000)).unwrap());
    }
    say(&format!("damage: {} lost writes, {} of them reported, the others without effect", lost.0, lost.1));
    say(&format!("damage: {} flipped bits, {} of them reported", total.runs - lost.0, total.images - lost.1));
    let never_hit = say_hits(&total, &DAMAGE_POINTS);
    assert!(total.failures.is_empty(), "{} failures:\n{}", total.failures.len(), total.failures.join("\n"));
    assert_eq!(never_hit, []);
    assert!(lost.1 > 20 && total.images - lost.1 > 100);
}

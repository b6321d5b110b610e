//! Random statements and crashes against an ordered map, in every page size, by seed.
#![allow(clippy::unwrap_used, reason = "tests panic when they fail")]

use lumos_crash::figures::{say, sized};
use lumos_crash::model::{ModelFigures, run};

const STEPS: u64 = 120;

#[test]
fn random_statements_and_crashes_leave_what_an_ordered_map_holds_in_every_page_size() {
    let seeds = sized(3, 60);
    for page_size in [1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10] {
        let mut total = ModelFigures::default();
        for seed in 1..=seeds {
            match run(seed, page_size, STEPS, false) {
                Ok(figures) => {
                    total.statements += figures.statements;
                    total.crashes += figures.crashes;
                    total.comparisons += figures.comparisons;
                }
                Err(error) => panic!("page size {page_size}, seed {seed}: {error:?}"),
            }
        }
        say(&format!(
            "  model, pages of {page_size} bytes, seeds 1 to {seeds}: {} statements, {} crashes, {} comparisons",
            total.statements, total.crashes, total.comparisons
        ));
        assert!(total.crashes > 10 * seeds);
    }
}

#[test]
fn a_disk_that_forgets_is_reported_by_the_model() {
    let reported = (1..=3).filter(|seed| run(*seed, 4096, STEPS, true).is_err()).count();
    assert!(reported > 0);
}

//! What the targets share: one bench a process.

use lumos_fuzzing::body::{Bench, Target};
use std::cell::RefCell;

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new().expect("the schema is made"));
}

/// Runs an input; a broken promise is a crash that the fuzzer reports.
pub fn run(target: Target, input: &[u8]) {
    BENCH.with(|bench| {
        if let Err(what) = bench.borrow_mut().run(target, input) {
            panic!("{what}");
        }
    });
}

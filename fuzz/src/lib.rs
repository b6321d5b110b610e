//! What the targets share: one bench a process, of SQL or of files.

use lumos_fuzzing::body::{Bench, Target};
use lumos_fuzzing::storage;
use std::cell::RefCell;

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new().expect("the schema is made"));
    static FILES: RefCell<storage::Bench> = RefCell::new(storage::Bench::new().expect("the images are made"));
}

/// Runs an input; a broken promise is a crash that the fuzzer reports.
pub fn run(target: Target, input: &[u8]) {
    BENCH.with(|bench| {
        if let Err(what) = bench.borrow_mut().run(target, input) {
            panic!("{what}");
        }
    });
}

/// Runs an input through a target of files: a page, a log, a database file. The input is a list of edits of an image that
/// is whole (see `lumos_fuzzing::damage`); a broken promise is a crash.
pub fn run_file(target: storage::Target, input: &[u8]) {
    FILES.with(|bench| {
        if let Err(what) = bench.borrow_mut().run(target, input) {
            panic!("{what}");
        }
    });
}

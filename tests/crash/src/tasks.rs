//! Tasks that a few threads share, and their reports as one.

use crate::scenario::Report;
use std::sync::atomic::{AtomicUsize, Ordering};

const THREADS: usize = 2;

/// Runs every task, each once, on a few threads.
/// # Panics
/// Where a task does.
pub fn run_all<T: Sync>(tasks: &[T], run: impl Fn(&T) -> Report + Sync) -> Report {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut mine = Report::default();
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            mine.add(run(task));
        }
        mine
    };
    let mut total = Report::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            total.add(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    total
}

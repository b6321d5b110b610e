//! The figures of a run, printed whether the test passes or not, and how large a run is to be.
//! Knows names and numbers. Knows nothing of how they came about.

use crate::points::{CRASH_POINTS, CrashPoint};
use crate::scenario::Report;
use std::io::Write;

/// `LUMOS_LONG=1` (as `make test-long` has it): the figures of a night, not those of every change.
pub fn is_long() -> bool {
    std::env::var_os("LUMOS_LONG").is_some()
}

/// One of two sizes: of every change, of a night.
pub fn sized(change: u64, night: u64) -> u64 {
    if is_long() { night } else { change }
}

/// A line on the standard output, which the test harness does not hold back.
pub fn say(text: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints how often each of `points` was hit; gives those that never were.
pub fn say_hits(report: &Report, points: &[CrashPoint]) -> Vec<CrashPoint> {
    for (point, number, what) in CRASH_POINTS.iter().filter(|(point, ..)| points.contains(point)) {
        let hits = report.hits.get(point).copied().unwrap_or(0);
        say(&format!("  point {number}, {what}: {hits} hits"));
    }
    points.iter().filter(|point| !report.hits.contains_key(point)).copied().collect()
}

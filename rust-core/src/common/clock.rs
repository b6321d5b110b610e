//! The only place that reads a clock.
#![allow(clippy::disallowed_methods, reason = "this module is the seam that others are sent to")]

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Time as the engine sees it; tests pass their own.
pub trait Clock: Send + Sync {
    /// Wall clock: microseconds since 1970-01-01 00:00:00 UTC. May jump.
    fn unix_micros(&self) -> i64;
    /// Nanoseconds since an arbitrary start. Never goes back.
    fn monotonic_nanos(&self) -> u64;
    /// Whether it moves by itself. Timers of one that does not ring when they are asked to, and have no thread.
    fn runs(&self) -> bool {
        true
    }
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn unix_micros(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_micros() as i64,
            Err(before) => -(before.duration().as_micros() as i64),
        }
    }

    fn monotonic_nanos(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    unix_micros: AtomicI64,
    monotonic_nanos: AtomicU64,
}

impl ManualClock {
    /// Sets the wall clock.
    pub fn set_unix_micros(&self, micros: i64) {
        self.unix_micros.store(micros, Ordering::Relaxed);
    }

    /// Moves both clocks forward.
    pub fn advance_micros(&self, micros: u64) {
        self.unix_micros.fetch_add(micros as i64, Ordering::Relaxed);
        self.monotonic_nanos.fetch_add(micros * 1000, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn unix_micros(&self) -> i64 {
        self.unix_micros.load(Ordering::Relaxed)
    }

    fn monotonic_nanos(&self) -> u64 {
        self.monotonic_nanos.load(Ordering::Relaxed)
    }

    fn runs(&self) -> bool {
        false
    }
}

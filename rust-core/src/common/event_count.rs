//! A count of events that a thread sleeps on until it moves, as Reed and Kanodia describe it. Whoever reads it, then looks at
//! what it waits for, and then awaits a change of what it read, misses nothing that happens in between: no mutex is shared
//! with those who bring the events about.
//! Knows no layer.

use crate::common::sync::{Condvar, Mutex};
use std::fmt::Debug;
use std::time::Duration;

/// See the module. Threads: any may advance it, one or more sleep.
///
/// What is stored before [`EventCount::advance`] is seen by whoever reads the count after it.
pub trait EventCount: Debug + Send + Sync {
    /// The number of events so far; wraps.
    fn read(&self) -> u32;

    /// Another event: wakes all that sleep.
    fn advance(&self);

    /// Sleeps while the count is `seen`, and no longer than `limit`. May return early: look, and come again.
    fn await_change(&self, seen: u32, limit: Option<Duration>);
}

/// One made of a lock and a condition variable: of use everywhere but in signal handlers.
#[derive(Debug, Default)]
pub struct LockedEventCount {
    count: Mutex<u32>,
    moved: Condvar,
}

impl EventCount for LockedEventCount {
    fn read(&self) -> u32 {
        *self.count.lock()
    }

    fn advance(&self) {
        let mut count = self.count.lock();
        *count = count.wrapping_add(1);
        self.moved.notify_all();
    }

    fn await_change(&self, seen: u32, limit: Option<Duration>) {
        let mut count = self.count.lock();
        if *count != seen {
            return;
        }
        match limit {
            None => self.moved.wait(&mut count),
            Some(limit) => {
                self.moved.wait_for(&mut count, limit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_since_the_reading_ends_the_sleep_at_once() {
        let events = LockedEventCount::default();
        let seen = events.read();
        events.advance();
        events.await_change(seen, None);
        assert_eq!(events.read(), seen + 1);
        // Nothing happens: the limit ends it.
        events.await_change(seen + 1, Some(Duration::from_micros(1)));
    }
}

//! Event counts that the operating system wakes: advancing one takes no lock and allocates nothing, so that a signal handler
//! may do it. Knows no layer.

use crate::common::event_count::EventCount;
use std::sync::Arc;

/// An event count that may be advanced from a signal handler (on Linux; elsewhere from any thread, outside handlers).
pub fn event_count() -> Arc<dyn EventCount> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let made = futex::FutexEventCount::default();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let made = crate::common::event_count::LockedEventCount::default();
    Arc::new(made)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod futex {
    use crate::common::event_count::EventCount;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    #[derive(Debug, Default)]
    pub(super) struct FutexEventCount {
        count: AtomicU32,
        /// Where nobody sleeps, an event needs no system call.
        sleepers: AtomicU32,
    }

    impl FutexEventCount {
        fn futex(&self, operation: i32, value: u32, limit: Option<&libc::timespec>) {
            let limit = limit.map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: the word is an aligned, live `AtomicU32` of this object, which the borrow of `self` keeps; `limit`
            // is null or points to a timespec that its caller keeps during the call.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.count.as_ptr(),
                    operation | libc::FUTEX_PRIVATE_FLAG,
                    value,
                    limit,
                );
            }
        }
    }

    impl EventCount for FutexEventCount {
        fn read(&self) -> u32 {
            self.count.load(Ordering::Acquire)
        }

        fn advance(&self) {
            // The count moves before the look for sleepers, and a sleeper says that it is there before the system
            // compares the count: one of the two sees the other.
            self.count.fetch_add(1, Ordering::SeqCst);
            if self.sleepers.load(Ordering::SeqCst) != 0 {
                self.futex(libc::FUTEX_WAKE, i32::MAX as u32, None);
            }
        }

        fn await_change(&self, seen: u32, limit: Option<Duration>) {
            let limit = limit.map(|limit| libc::timespec {
                tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: limit.subsec_nanos() as _,
            });
            self.sleepers.fetch_add(1, Ordering::SeqCst);
            // Whatever ends it (an event, the time, a signal): the caller looks again.
            self.futex(libc::FUTEX_WAIT, seen, limit.as_ref());
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    #[test]
    fn two_threads_that_take_turns_never_sleep_through_an_event() {
        const ROUNDS: u32 = 5_000;
        let (events, turn) = ([event_count(), event_count()], AtomicU32::new(0));
        let play = |me: usize| {
            for round in 0..ROUNDS {
                let mine = 2 * round + me as u32;
                loop {
                    let seen = events[me].read();
                    if turn.load(Ordering::Relaxed) == mine {
                        break;
                    }
                    events[me].await_change(seen, None);
                }
                turn.store(mine + 1, Ordering::Relaxed);
                events[1 - me].advance();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| play(0));
            play(1);
        });
        assert_eq!(turn.load(Ordering::Relaxed), 2 * ROUNDS);
    }

    #[test]
    fn a_limit_ends_the_sleep_and_an_event_before_it_does_too() {
        let events = event_count();
        let seen = events.read();
        events.await_change(seen, Some(Duration::from_micros(1)));
        events.advance();
        events.await_change(seen, None);
        assert_eq!(events.read(), seen.wrapping_add(1));
    }
}

//! Deadlines: one thread that sleeps until the next of them, for those who cannot look at a clock themselves.
//! Knows times. Knows nothing of what is due.
//!
//! Whoever has a deadline keeps it where [`Alarmed::ring`] finds it, and then arms the timer. A deadline that is taken
//! back needs no call: the thread finds nothing due, and sleeps until the next one. The thread starts with the first
//! deadline and ends with the timer. A clock that does not run (a test's) has no thread: [`Timer::ring`] is called.

use crate::common::clock::Clock;
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::common::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// No deadline.
pub const NEVER: u64 = u64::MAX;

/// Those who have deadlines, in nanoseconds of [`Clock::monotonic_nanos`].
pub trait Alarmed: Send + Sync {
    /// Does what is due at `now`; gives the next deadline, [`NEVER`] where there is none. Short, and without I/O.
    fn ring(&self, now: u64) -> u64;
}

struct Shared {
    clock: Arc<dyn Clock>,
    alarmed: Arc<dyn Alarmed>,
    /// No deadline before this one has been armed that the thread does not know.
    next: AtomicU64,
    /// Whether the thread is to end.
    stopping: Mutex<bool>,
    wake: Condvar,
}

/// See the module. Threads: any.
pub struct Timer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timer")
            .field("next", &self.shared.next.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Timer {
    /// A timer without a thread so far.
    pub fn new(clock: Arc<dyn Clock>, alarmed: Arc<dyn Alarmed>) -> Timer {
        let shared = Shared {
            clock,
            alarmed,
            next: AtomicU64::new(NEVER),
            stopping: Mutex::new(false),
            wake: Condvar::new(),
        };
        Timer { shared: Arc::new(shared), thread: Mutex::new(None) }
    }

    /// Has the thread look at `deadline`, which is where [`Alarmed::ring`] finds it. Cheap where an earlier one is armed.
    pub fn arm(&self, deadline: u64) {
        // The deadline was stored before this load, and the thread moves `next` before it looks for deadlines: either
        // the thread sees the deadline, or this sees that the thread has to be told.
        if deadline < self.shared.next.load(Ordering::SeqCst) {
            self.tell(deadline);
        }
    }

    #[cold]
    fn tell(&self, deadline: u64) {
        let stopping = self.shared.stopping.lock();
        self.shared.next.fetch_min(deadline, Ordering::SeqCst);
        if *stopping || !self.shared.clock.runs() {
            return;
        }
        self.shared.wake.notify_one();
        drop(stopping);
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            // Without a thread deadlines pass unnoticed until the next one is armed: nothing else depends on it.
            *thread =
                std::thread::Builder::new().name("lumos-timer".to_owned()).spawn(move || run(&shared)).ok();
        }
    }

    /// Does what is due by now, in this thread.
    pub fn ring(&self) {
        self.shared.alarmed.ring(self.shared.clock.monotonic_nanos());
    }

    /// Whether the thread was started.
    pub fn has_thread(&self) -> bool {
        self.thread.lock().is_some()
    }
}

fn run(shared: &Shared) {
    loop {
        shared.next.store(NEVER, Ordering::SeqCst);
        let due = shared.alarmed.ring(shared.clock.monotonic_nanos());
        let mut stopping = shared.stopping.lock();
        if *stopping {
            return;
        }
        let next = due.min(shared.next.load(Ordering::SeqCst));
        shared.next.store(next, Ordering::SeqCst);
        if next == NEVER {
            shared.wake.wait(&mut stopping);
        } else {
            let left = next.saturating_sub(shared.clock.monotonic_nanos());
            shared.wake.wait_for(&mut stopping, Duration::from_nanos(left));
        }
        if *stopping {
            return;
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        *self.shared.stopping.lock() = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in it was its own; there is nobody left to tell.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::clock::{ManualClock, SystemClock};

    /// A single deadline, and how often it was due.
    #[derive(Default)]
    struct Once {
        deadline: AtomicU64,
        rung: AtomicU64,
    }

    impl Alarmed for Once {
        fn ring(&self, now: u64) -> u64 {
            let deadline = self.deadline.load(Ordering::SeqCst);
            if deadline > now {
                return deadline;
            }
            self.deadline.store(NEVER, Ordering::SeqCst);
            self.rung.fetch_add(1, Ordering::SeqCst);
            NEVER
        }
    }

    #[test]
    fn a_clock_that_does_not_run_has_no_thread_and_rings_when_asked() {
        let clock = Arc::new(ManualClock::default());
        let once = Arc::new(Once::default());
        let timer = Timer::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&once) as Arc<dyn Alarmed>);
        once.deadline.store(5_000, Ordering::SeqCst);
        timer.arm(5_000);
        timer.ring();
        assert_eq!((once.rung.load(Ordering::SeqCst), timer.has_thread()), (0, false));
        clock.advance_micros(5);
        timer.ring();
        assert_eq!(once.rung.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_thread_starts_with_the_first_deadline_and_ends_with_the_timer() {
        let once = Arc::new(Once::default());
        once.deadline.store(NEVER, Ordering::SeqCst);
        let timer = Timer::new(Arc::new(SystemClock::new()), Arc::clone(&once) as Arc<dyn Alarmed>);
        assert!(!timer.has_thread());
        for round in 1..=3 {
            once.deadline.store(1, Ordering::SeqCst);
            timer.arm(1);
            while once.rung.load(Ordering::SeqCst) < round {
                std::thread::yield_now();
            }
        }
        assert!(timer.has_thread());
        drop(timer);
        assert_eq!(Arc::strong_count(&once), 1, "the thread is still there");
    }
}

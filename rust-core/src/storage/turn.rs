//! Whose turn it is: one at a time writes a checkpoint or verifies the file.
//! Knows who waits. Knows nothing of what is done with a turn.

use crate::common::sync::atomic::{AtomicUsize, Ordering};
use crate::common::sync::{Arc, Condvar, Mutex};

#[derive(Debug, Default)]
struct State {
    taken: Mutex<bool>,
    given_back: Condvar,
    waiting: AtomicUsize,
}

/// Gives turns. Threads: any. Waited for with row locks held at most: before the gate and every latch.
#[derive(Debug, Default)]
pub(super) struct Turns(Arc<State>);

impl Turns {
    /// Waits for a turn.
    pub(super) fn take(&self) -> Turn {
        let state = &self.0;
        state.waiting.fetch_add(1, Ordering::Relaxed);
        let mut taken = state.taken.lock();
        while *taken {
            state.given_back.wait(&mut taken);
        }
        *taken = true;
        state.waiting.fetch_sub(1, Ordering::Relaxed);
        Turn(Arc::clone(state))
    }

    /// Somebody waits: whoever has the turn should not take its time.
    pub(super) fn is_waited_for(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) > 0
    }
}

/// A turn; the next one's when dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<State>);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.taken.lock() = false;
        self.0.given_back.notify_one();
    }
}

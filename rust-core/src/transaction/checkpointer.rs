//! The thread that writes checkpoints while sessions commit: when the log has grown, when time has passed, when many
//! pages are changed. Started when it is first of use, joined when the database is closed.
//! Where the data is larger than memory it also writes changed pages before their frames are needed (flush-ahead), so
//! that commits do not wait for that.
//! Knows when and how fast. Knows nothing of what a checkpoint is made of.
//!
//! It takes its time, so that its writes do not stand in the way of the log's syncs: it spreads them over half of
//! the time since the checkpoint before, but hurries when somebody waits for it or too many pages are changed.

use crate::common::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::common::sync::{Arc, Condvar, Mutex, Weak};
use crate::error::{Error, Result};
use crate::storage::{Checkpoint, CheckpointStep};
use crate::transaction::manager::TransactionManager;
use std::thread::JoinHandle;
use std::time::Duration;

/// Log bytes after which a checkpoint is due: so many times the memory limit, within these bounds.
const LOG_MEMORY_TIMES_DUE: u64 = 4;
const LOG_BYTES_DUE_MIN: u64 = 32 << 20;
const LOG_BYTES_DUE_MAX: u64 = 256 << 20;
/// Log bytes below which a database gets no thread.
const LOG_BYTES_STARTED: u64 = 1 << 20;
/// Nanoseconds after which a checkpoint is due, if anything was logged.
const INTERVAL_NANOS: u64 = 60_000_000_000;
/// After a failure the next attempt comes so much later.
const RETRY_NANOS: u64 = 5_000_000_000;
/// The longest pause after a write: 50 MB/s at least.
const PAUSE_NANOS_MAX: u64 = 20_000_000;
/// The thread looks at the clock at least so often while it waits.
const LOOK_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    /// For a checkpoint.
    asked: bool,
    /// For clean frames.
    pressed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// As `State::asked`, for a look without the lock.
    asked: AtomicBool,
}

impl Shared {
    /// Waits until there is something to do, or some time; gives what.
    fn wait(&self, time: Duration) -> State {
        let mut state = self.state.lock();
        if !state.stopped && !state.asked && !state.pressed {
            self.changed.wait_for(&mut state, time);
        }
        State {
            stopped: state.stopped,
            asked: std::mem::take(&mut state.asked),
            pressed: std::mem::take(&mut state.pressed),
        }
    }
}

/// See the module. Threads: any.
#[derive(Debug)]
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    started: AtomicBool,
    /// Nobody but CHECKPOINT and closing writes checkpoints.
    off: AtomicBool,
    /// Log position and time of the last cut.
    cut_lsn: AtomicU64,
    cut_nanos: AtomicU64,
    /// No attempt before this time.
    retry_nanos: AtomicU64,
    /// What the last one that failed met, until somebody is told.
    failure: Mutex<Option<Error>>,
    failed: AtomicBool,
    /// Time that durable checkpoints took.
    pub(super) total_nanos: AtomicU64,
}

impl Checkpointer {
    /// `cut_lsn` is the durable checkpoint's: where the log ends behind it, recovery brought back what is due.
    pub(super) fn new(cut_lsn: u64, log_tail: u64, now_nanos: u64) -> Checkpointer {
        let since = if cut_lsn < log_tail { INTERVAL_NANOS } else { 0 };
        Checkpointer {
            shared: Arc::default(),
            thread: Mutex::new(None),
            started: AtomicBool::new(false),
            off: AtomicBool::new(false),
            cut_lsn: AtomicU64::new(cut_lsn),
            cut_nanos: AtomicU64::new(now_nanos.saturating_sub(since)),
            retry_nanos: AtomicU64::new(0),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
            total_nanos: AtomicU64::new(0),
        }
    }

    /// Ends the thread; a checkpoint that it is writing is given up, or finished where it cannot be.
    pub(super) fn stop(&self) {
        self.off.store(true, Ordering::Relaxed);
        self.shared.state.lock().stopped = true;
        self.shared.changed.notify_all();
        let thread = self.thread.lock().take();
        // The manager may be dropped by the thread itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic there was noted where it happened.
            let _ = thread.join();
        }
    }

    fn note_cut(&self, log_tail: u64, now_nanos: u64) -> u64 {
        self.cut_lsn.store(log_tail, Ordering::Relaxed);
        now_nanos.saturating_sub(self.cut_nanos.swap(now_nanos, Ordering::Relaxed))
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl TransactionManager {
    /// Leaves checkpoints to CHECKPOINT and to closing, for tests that must not depend on when threads run.
    pub fn set_background_checkpoints(&self, on: bool) {
        self.checkpointer.off.store(!on, Ordering::Relaxed);
    }

    /// Whether there is a thread that writes checkpoints.
    pub fn has_checkpointer(&self) -> bool {
        self.checkpointer.started.load(Ordering::Relaxed)
    }

    /// To be called after a commit: asks for a checkpoint when one is due, and does not wait for it.
    /// # Errors
    /// Why the last one failed, told once.
    pub fn checkpoint_if_due(self: &Arc<Self>) -> Result<()> {
        let checkpointer = &self.checkpointer;
        if checkpointer.off.load(Ordering::Relaxed) {
            return Ok(());
        }
        let grown = self.log.tail().0.saturating_sub(checkpointer.cut_lsn.load(Ordering::Relaxed));
        let due = self.memory.limit() as u64 * LOG_MEMORY_TIMES_DUE;
        if grown >= due.clamp(LOG_BYTES_DUE_MIN, LOG_BYTES_DUE_MAX) || self.storage.wants_checkpoint() {
            self.ask_for_checkpoint();
        } else if !checkpointer.started.load(Ordering::Relaxed)
            && !self.log.is_volatile()
            && (grown >= LOG_BYTES_STARTED || self.is_interval_over())
        {
            self.start_checkpointer();
        }
        if self.storage.take_pressed() && !self.log.is_volatile() {
            self.start_checkpointer();
            checkpointer.shared.state.lock().pressed = true;
            checkpointer.shared.changed.notify_all();
        }
        if checkpointer.failed.load(Ordering::Relaxed) {
            checkpointer.failed.store(false, Ordering::Relaxed);
            return checkpointer.failure.lock().take().map_or(Ok(()), Err);
        }
        Ok(())
    }

    /// To be called when the database was opened: what recovery brought back from the log is written by and by, while
    /// others work already. Nothing is wrong should that never come about: the next recovery does the same.
    pub fn checkpoint_recovered(self: &Arc<Self>) {
        let cut_lsn = self.checkpointer.cut_lsn.load(Ordering::Relaxed);
        let is_off = self.checkpointer.off.load(Ordering::Relaxed) || self.log.is_volatile();
        if !is_off && self.log.tail().0 > cut_lsn {
            self.ask_for_checkpoint();
        }
    }

    fn ask_for_checkpoint(self: &Arc<Self>) {
        let shared = &self.checkpointer.shared;
        if !shared.asked.swap(true, Ordering::Relaxed) {
            self.start_checkpointer();
            shared.state.lock().asked = true;
            shared.changed.notify_all();
        }
    }

    fn is_interval_over(&self) -> bool {
        let cut_nanos = self.checkpointer.cut_nanos.load(Ordering::Relaxed);
        // A database in memory is never recovered: no time is too long for its log.
        !self.log.is_volatile() && self.clock.monotonic_nanos().saturating_sub(cut_nanos) >= INTERVAL_NANOS
    }

    fn start_checkpointer(self: &Arc<Self>) {
        let checkpointer = &self.checkpointer;
        let mut thread = checkpointer.thread.lock();
        if thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        let (manager, shared) = (Arc::downgrade(self), Arc::clone(&checkpointer.shared));
        let name = "lumos-checkpoint".to_owned();
        // Without a thread the next commit that asks tries again.
        *thread = std::thread::Builder::new().name(name).spawn(move || serve(&manager, &shared)).ok();
        checkpointer.started.store(thread.is_some(), Ordering::Relaxed);
        if thread.is_none() {
            checkpointer.shared.asked.store(false, Ordering::Relaxed);
        }
    }

    /// A checkpoint at the pace of the thread.
    fn checkpoint_slowly(&self, shared: &Shared) -> Result<()> {
        let checkpointer = &self.checkpointer;
        let begun = self.clock.monotonic_nanos();
        let since = begun.saturating_sub(checkpointer.cut_nanos.load(Ordering::Relaxed)).min(INTERVAL_NANOS);
        let Some(mut checkpoint) = self.begin_checkpoint(false)? else { return Ok(()) };
        let pause = (since / 2 / (checkpoint.runs_left() as u64 + 1)).min(PAUSE_NANOS_MAX);
        loop {
            let step = checkpoint.next();
            if checkpoint.step()? == CheckpointStep::Done {
                break;
            }
            let in_a_hurry = self.storage.is_checkpoint_awaited() || self.storage.wants_checkpoint();
            let pause = if in_a_hurry || step != CheckpointStep::Settle { 0 } else { pause };
            if self.pause(shared, pause) && can_be_given_up(&checkpoint) {
                return Ok(());
            }
        }
        self.note_checkpoint_time(begun);
        Ok(())
    }

    /// Lets some time pass between two steps of a checkpoint, in which pages are cleaned where that is asked for; true:
    /// the thread is to end.
    fn pause(&self, shared: &Shared, nanos: u64) -> bool {
        let until = self.clock.monotonic_nanos().saturating_add(nanos);
        loop {
            {
                let mut state = shared.state.lock();
                if state.stopped {
                    return true;
                }
                let left = until.saturating_sub(self.clock.monotonic_nanos());
                if !std::mem::take(&mut state.pressed) {
                    if left == 0 {
                        return false;
                    }
                    shared.changed.wait_for(&mut state, Duration::from_nanos(left));
                    continue;
                }
            }
            self.clean_ahead_once();
        }
    }

    /// Whoever needs a frame that could not be cleaned is told why.
    fn clean_ahead_once(&self) -> bool {
        self.storage.clean_ahead().is_ok_and(|cleaned| cleaned > 0)
    }

    pub(super) fn note_checkpoint_time(&self, begun_nanos: u64) {
        let took = self.clock.monotonic_nanos().saturating_sub(begun_nanos);
        self.checkpointer.total_nanos.fetch_add(took, Ordering::Relaxed);
    }

    /// Cuts: nothing that is logged before counts for the next one.
    pub(super) fn note_cut(&self) {
        self.checkpointer.note_cut(self.log.tail().0, self.clock.monotonic_nanos());
    }
}

impl Shared {
    /// Something came up that does not wait.
    fn has_more_to_do(&self) -> bool {
        let state = self.state.lock();
        state.stopped || state.asked
    }
}

/// Nothing of the slot is written yet.
fn can_be_given_up(checkpoint: &Checkpoint) -> bool {
    !matches!(checkpoint.next(), CheckpointStep::SyncSlot | CheckpointStep::Publish | CheckpointStep::Done)
}

/// However the thread ends, the next commit that asks starts another.
struct Served<'a>(&'a Shared);

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.asked.store(false, Ordering::Relaxed);
    }
}

fn serve(manager: &Weak<TransactionManager>, shared: &Shared) {
    let _served = Served(shared);
    loop {
        let state = shared.wait(LOOK_EVERY);
        if state.stopped {
            return;
        }
        let Some(manager) = manager.upgrade() else { return };
        let checkpointer = &manager.checkpointer;
        let has_grown = manager.log.tail().0 > checkpointer.cut_lsn.load(Ordering::Relaxed);
        let now = manager.clock.monotonic_nanos();
        let may_try = now >= checkpointer.retry_nanos.load(Ordering::Relaxed);
        let is_due = state.asked || (has_grown && manager.is_interval_over());
        if is_due
            && may_try
            && let Err(error) = manager.checkpoint_slowly(shared)
        {
            // The commits stand, the old checkpoint too; where not, everybody is told by the poison.
            checkpointer.retry_nanos.store(now + RETRY_NANOS, Ordering::Relaxed);
            *checkpointer.failure.lock() = Some(error);
            checkpointer.failed.store(true, Ordering::Relaxed);
        }
        if state.pressed {
            while manager.clean_ahead_once() && !shared.has_more_to_do() {}
        }
        // From here on a commit may ask again; what it asked for meanwhile was about the same pages.
        shared.asked.store(false, Ordering::Relaxed);
        // Failing to tidy is no failure: the next checkpoint tries again.
        if is_due && may_try && manager.poisoned().is_none() && manager.storage.tidy().unwrap_or(false) {
            shared.state.lock().asked = true;
        }
    }
}

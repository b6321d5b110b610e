//! A session as others see it: what it does, and how they end what it does.
//! Knows times and words. Knows nothing of statements' plans or of what a transaction holds.

use crate::common::cancel::{CancelToken, Timeout, terminated, transaction_timed_out};
use crate::common::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use crate::common::sync::{Arc, Mutex};
use crate::common::timer::NEVER;
use crate::error::{Error, SqlState};
use crate::transaction::lock_manager::{LockManager, LockOwner};
use crate::transaction::manager::TransactionManager;
use crate::transaction::rest::RestingPlace;
use crate::transaction::types::IsolationLevel;

/// What a session does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Activity {
    Idle = 0,
    Active = 1,
    IdleInTransaction = 2,
    Aborted = 3,
}

/// Why others ended a session's transaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Ended {
    /// It was idle for too long.
    Idle = 1,
    /// It took too long.
    Transaction = 2,
    /// The session is over.
    Terminated = 3,
}

impl Ended {
    /// What the next call is told, which then does nothing else.
    pub(crate) fn error(self) -> Error {
        let error = match self {
            Ended::Idle => Error::new(
                SqlState::IDLE_IN_TRANSACTION_TIMEOUT,
                "terminating transaction due to idle-in-transaction timeout",
            ),
            Ended::Transaction => transaction_timed_out(),
            Ended::Terminated => terminated(),
        };
        error.unstarted()
    }
}

/// See the module. Threads: any; its own writes it all the time, and shares no cache line with others.
#[repr(align(128))]
pub(crate) struct Presence {
    pub(crate) id: u64,
    cancel: Mutex<CancelToken>,
    /// Where its transaction rests between calls.
    pub(crate) resting: RestingPlace,
    /// An [`Ended`]; 0: none.
    ended: AtomicU8,
    /// Deadlines in nanoseconds of the engine's clock.
    pub(crate) statement_deadline: AtomicU64,
    pub(crate) transaction_deadline: AtomicU64,
    pub(crate) idle_deadline: AtomicU64,
    activity: AtomicU8,
    isolation: AtomicU8,
    /// Unix microseconds; 0: not known, or none.
    pub(crate) statement_start: AtomicI64,
    pub(crate) transaction_start: AtomicI64,
    /// The text of the running or last statement.
    statement: Mutex<Option<Arc<str>>>,
    application_name: Mutex<Arc<str>>,
    /// Whose the advisory locks are.
    owner: Mutex<Option<Arc<LockOwner>>>,
}

impl std::fmt::Debug for Presence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presence").field("id", &self.id).finish_non_exhaustive()
    }
}

/// In a transaction's deadline: its running statement has been told.
const TOLD: u64 = 1;

impl Presence {
    pub(crate) fn new(id: u64, cancel: CancelToken) -> Presence {
        Presence {
            id,
            cancel: Mutex::new(cancel),
            resting: RestingPlace::default(),
            ended: AtomicU8::new(0),
            statement_deadline: AtomicU64::new(NEVER),
            transaction_deadline: AtomicU64::new(NEVER),
            idle_deadline: AtomicU64::new(NEVER),
            activity: AtomicU8::new(Activity::Idle as u8),
            isolation: AtomicU8::new(IsolationLevel::ReadCommitted as u8),
            statement_start: AtomicI64::new(0),
            transaction_start: AtomicI64::new(0),
            statement: Mutex::new(None),
            application_name: Mutex::new(Arc::from("")),
            owner: Mutex::new(None),
        }
    }

    pub(crate) fn use_cancel_token(&self, cancel: CancelToken) {
        *self.cancel.lock() = cancel;
    }

    #[inline]
    pub(crate) fn set_activity(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Relaxed);
    }

    pub(crate) fn activity(&self) -> Activity {
        match self.activity.load(Ordering::Relaxed) {
            0 => Activity::Idle,
            1 => Activity::Active,
            2 => Activity::IdleInTransaction,
            _ => Activity::Aborted,
        }
    }

    pub(crate) fn set_isolation(&self, level: IsolationLevel) {
        self.isolation.store(level as u8, Ordering::Relaxed);
    }

    pub(crate) fn isolation(&self) -> IsolationLevel {
        match self.isolation.load(Ordering::Relaxed) {
            level if level == IsolationLevel::ReadUncommitted as u8 => IsolationLevel::ReadUncommitted,
            level if level == IsolationLevel::ReadCommitted as u8 => IsolationLevel::ReadCommitted,
            level if level == IsolationLevel::RepeatableRead as u8 => IsolationLevel::RepeatableRead,
            _ => IsolationLevel::Serializable,
        }
    }

    pub(crate) fn set_statement(&self, text: &Arc<str>) {
        *self.statement.lock() = Some(Arc::clone(text));
    }

    pub(crate) fn statement(&self) -> Option<Arc<str>> {
        self.statement.lock().clone()
    }

    pub(crate) fn set_application_name(&self, name: &Arc<str>) {
        *self.application_name.lock() = Arc::clone(name);
    }

    pub(crate) fn application_name(&self) -> Arc<str> {
        Arc::clone(&self.application_name.lock())
    }

    /// The owner of the session's advisory locks.
    pub(crate) fn lock_owner(&self, locks: &LockManager) -> Arc<LockOwner> {
        Arc::clone(self.owner.lock().get_or_insert_with(|| locks.session_owner(self.id)))
    }

    /// The same, where there is one.
    pub(crate) fn known_lock_owner(&self) -> Option<Arc<LockOwner>> {
        self.owner.lock().clone()
    }

    /// The session's advisory locks go, and their owner.
    pub(crate) fn drop_lock_owner(&self, locks: &LockManager) {
        if let Some(owner) = self.owner.lock().take() {
            locks.leave_session(owner);
        }
    }

    /// Why others ended the transaction, if they did.
    #[inline]
    pub(crate) fn ended(&self) -> Option<Ended> {
        match self.ended.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Ended::Idle),
            2 => Some(Ended::Transaction),
            _ => Some(Ended::Terminated),
        }
    }

    #[inline]
    pub(crate) fn is_terminated(&self) -> bool {
        self.ended.load(Ordering::Relaxed) == Ended::Terminated as u8
    }

    /// Why others ended the transaction, told once: but a session that is over stays so.
    pub(crate) fn take_ended(&self) -> Option<Ended> {
        let ended = self.ended()?;
        if ended != Ended::Terminated {
            let _now_terminated =
                self.ended.compare_exchange(ended as u8, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        Some(ended)
    }

    /// Cancels what runs.
    pub(crate) fn cancel(&self) {
        self.cancel.lock().cancel(0);
    }

    /// Ends the session: its transaction is rolled back, now where it rests, else by its own thread.
    pub(crate) fn terminate(&self, manager: &TransactionManager) {
        self.ended.store(Ended::Terminated as u8, Ordering::SeqCst);
        self.cancel.lock().terminate();
        self.resting.end_if(manager, || true);
        if let Some(owner) = self.known_lock_owner() {
            manager.lock_manager().unlock_all_advisory(&owner);
        }
    }

    /// Does what is due at `now`; gives the next deadline.
    pub(crate) fn ring(&self, now: u64, manager: &TransactionManager) -> u64 {
        let mut next = NEVER;
        let deadline = self.statement_deadline.load(Ordering::SeqCst);
        if deadline > now {
            next = deadline;
        } else {
            let token = self.cancel.lock().clone();
            // Read before the deadline is taken: as long as that stands, this is its statement.
            let sequence = token.sequence();
            let taken =
                self.statement_deadline.compare_exchange(deadline, NEVER, Ordering::SeqCst, Ordering::SeqCst);
            if taken.is_ok() {
                token.time_out(sequence, Timeout::Statement);
            }
        }
        let deadline = self.transaction_deadline.load(Ordering::SeqCst);
        if deadline > now {
            next = next.min(deadline);
        } else if deadline & TOLD == 0 {
            let token = self.cancel.lock().clone();
            let sequence = token.sequence();
            let ended = self.resting.end_if(manager, || {
                let is_due = self.transaction_deadline.load(Ordering::SeqCst) == deadline;
                is_due && self.note_ended(Ended::Transaction)
            });
            let told = self.transaction_deadline.compare_exchange(
                deadline,
                if ended { NEVER } else { deadline | TOLD },
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            if !ended && told.is_ok() {
                token.time_out(sequence, Timeout::Transaction);
            }
        }
        let deadline = self.idle_deadline.load(Ordering::SeqCst);
        if deadline > now {
            return next.min(deadline);
        }
        self.resting.end_if(manager, || {
            // Who goes on takes the deadline back only after it has got the transaction.
            self.idle_deadline.load(Ordering::SeqCst) == deadline && self.note_ended(Ended::Idle)
        });
        let _taken_back =
            self.idle_deadline.compare_exchange(deadline, NEVER, Ordering::SeqCst, Ordering::SeqCst);
        next
    }

    /// To be called for a transaction that cannot be resumed meanwhile.
    fn note_ended(&self, why: Ended) -> bool {
        self.ended.fetch_max(why as u8, Ordering::SeqCst);
        true
    }

    /// Whether the transaction's time is up.
    pub(crate) fn is_transaction_due(&self, now: u64) -> bool {
        let deadline = self.transaction_deadline.load(Ordering::Relaxed);
        deadline != NEVER && deadline & !TOLD <= now
    }
}

/// A deadline that is `milliseconds` from `now`.
pub(crate) fn deadline_after(now: u64, milliseconds: u32) -> u64 {
    // The lowest bit is for `TOLD`.
    now.saturating_add(u64::from(milliseconds) * 1_000_000).min(NEVER - 2) & !TOLD
}

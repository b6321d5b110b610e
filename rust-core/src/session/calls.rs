//! What comes before and after every call into a session: others see what it does, its clocks are set, and between two
//! calls its transaction rests where others can end it.
//! Knows deadlines. What is due, and what happens then, the presence knows.

use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::common::timer::NEVER;
use crate::error::{Error, Result, SqlState};
use crate::session::presence::{Activity, Ended, deadline_after};
use crate::session::result::TransactionStatus;
use crate::session::session::Session;
use crate::session::setting::Timeouts;

/// Longer texts are kept by their beginning alone.
const STATEMENT_BYTES_KEPT: usize = 16 << 10;
/// So much of them is shown.
pub(crate) const STATEMENT_BYTES_SHOWN: usize = 1024;

/// Where a call stands in its session, for the next one.
#[derive(Default)]
pub(crate) struct Calls {
    /// The transaction rests.
    is_resting: bool,
    /// Deadlines are set that the end of the call may have to take back.
    has_deadlines: bool,
    /// The transaction was found ended by a call that could not say so.
    untold: Option<Error>,
    /// The text that the presence has.
    statement: Option<Arc<str>>,
    /// The name that the presence has.
    application_name: Option<Arc<str>>,
}

/// The beginning of a text, at most `bytes` long.
pub(crate) fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

impl Session {
    /// To be called before anything else by what works on the session's transaction.
    /// # Errors
    /// `25P03`, `25P04`, once: the transaction was rolled back meanwhile. `57P01` from the session's termination on.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<()> {
        self.environment.presence.set_activity(Activity::Active);
        if self.calls.is_resting || self.calls.untold.is_some() || self.environment.presence.is_terminated() {
            return self.go_on_with_transaction();
        }
        Ok(())
    }

    fn go_on_with_transaction(&mut self) -> Result<()> {
        self.resume()?;
        self.calls.untold.take().map_or(Ok(()), Err)
    }

    /// Takes the transaction back from where it rests.
    fn resume(&mut self) -> Result<()> {
        if self.calls.is_resting {
            self.calls.is_resting = false;
            let presence = &self.environment.presence;
            if let Some(block) = &mut self.block {
                while !block.transaction.resume(&presence.resting) {
                    if let Some(ended) = presence.take_ended() {
                        self.lose_block();
                        return Err(ended.error());
                    }
                    // Somebody looks whether its time is up.
                    crate::common::sync::yield_now();
                }
            }
            if self.calls.has_deadlines {
                presence.idle_deadline.store(NEVER, Ordering::SeqCst);
            }
        }
        if self.environment.presence.is_terminated() {
            self.end_terminated();
            return Err(Ended::Terminated.error());
        }
        Ok(())
    }

    /// As `resume`, for what has no way to fail: the next call tells.
    #[inline]
    pub(crate) fn resume_quietly(&mut self) {
        if self.calls.is_resting
            && let Err(error) = self.resume()
        {
            self.calls.untold = Some(error);
        }
    }

    /// What a call before this could not say is of no interest any more.
    pub(crate) fn forget_untold(&mut self) {
        self.calls.untold = None;
    }

    /// The transaction is gone: what is left of its block awaits its end.
    fn lose_block(&mut self) {
        let Some(block) = self.block.take() else { return };
        let implicit = block.implicit;
        block.transaction.rollback();
        if implicit {
            self.end_block(false);
            return;
        }
        self.failed = true;
        self.block_number += 1;
    }

    /// # Errors
    /// `57P01`.
    #[inline]
    pub(crate) fn refuse_if_terminated(&self) -> Result<()> {
        match self.environment.presence.is_terminated() {
            true => Err(Ended::Terminated.error()),
            false => Ok(()),
        }
    }

    /// The session is over: nothing of it is left but its handle.
    fn end_terminated(&mut self) {
        for portal in self.portals.drain(..).filter_map(|portal| portal.upgrade()) {
            let mut state = portal.lock();
            state.cut_off |= state.execution.take().is_some();
            state.own = None;
            state.ready.clear();
        }
        self.end_block(false);
        let locks = self.engine.manager.lock_manager();
        if let Some(owner) = self.environment.presence.known_lock_owner() {
            locks.unlock_all_advisory(&owner);
        }
    }

    /// A statement begins: sets its clocks. To be called after its number is known.
    #[inline]
    pub(crate) fn start_clocks(&mut self) {
        let timeouts = self.environment.settings.effects().timeouts;
        if timeouts != Timeouts::default() || self.calls.has_deadlines {
            self.set_clocks(timeouts);
        }
    }

    #[cold]
    fn set_clocks(&mut self, timeouts: Timeouts) {
        self.cancel.set_lock_timeout(std::time::Duration::from_millis(u64::from(timeouts.lock_ms)));
        // Also where none is set now: the words keep what was set last.
        self.calls.has_deadlines = true;
        let now = self.engine.clock.monotonic_nanos();
        let presence = &self.environment.presence;
        if timeouts.statement_ms > 0 {
            let deadline = deadline_after(now, timeouts.statement_ms);
            presence.statement_deadline.store(deadline, Ordering::SeqCst);
            self.engine.timer.arm(deadline);
        }
        if timeouts.transaction_ms == 0 {
            presence.transaction_deadline.store(NEVER, Ordering::SeqCst);
        } else if presence.transaction_deadline.load(Ordering::Relaxed) == NEVER {
            let deadline = deadline_after(now, timeouts.transaction_ms);
            presence.transaction_deadline.store(deadline, Ordering::SeqCst);
            self.engine.timer.arm(deadline);
        }
    }

    /// Shows a statement to others. Its text is shared, not copied, but where it is very long.
    #[inline]
    pub(crate) fn show_statement(&mut self, text: &Arc<str>, start: i64) {
        self.environment.presence.statement_start.store(start, Ordering::Relaxed);
        if self.calls.statement.as_ref().is_none_or(|shown| !Arc::ptr_eq(shown, text)) {
            let kept = match text.len() {
                0..STATEMENT_BYTES_KEPT => Arc::clone(text),
                _ => Arc::from(beginning(text, STATEMENT_BYTES_SHOWN)),
            };
            self.environment.presence.set_statement(&kept);
            self.calls.statement = Some(Arc::clone(text));
        }
    }

    /// A call ends with this error, if with any. `goes_on`: its statement has rows to be fetched.
    #[inline]
    pub(crate) fn leave(&mut self, error: Option<&Error>, goes_on: bool) {
        if let Some(error) = error {
            self.note_error(error);
        }
        let status = self.transaction_status();
        let activity = match status {
            TransactionStatus::Idle => Activity::Idle,
            TransactionStatus::Active => Activity::IdleInTransaction,
            TransactionStatus::Failed => Activity::Aborted,
        };
        if status != TransactionStatus::Idle || self.calls.has_deadlines {
            self.come_to_rest(goes_on);
        }
        let name = &self.environment.settings.effects().application_name;
        if self.calls.application_name.as_ref().is_none_or(|shown| !Arc::ptr_eq(shown, name)) {
            self.environment.presence.set_application_name(name);
            self.calls.application_name = Some(Arc::clone(name));
        }
        let presence = &self.environment.presence;
        presence.set_activity(activity);
        if presence.is_terminated() {
            self.end_terminated();
        }
        self.environment.pass_warnings(&mut self.notices);
    }

    #[cold]
    fn note_error(&mut self, error: &Error) {
        match error.state() {
            SqlState::SERIALIZATION_FAILURE => self.engine.sessions.count_serialization_failure(),
            // The whole transaction, whatever savepoints it has.
            SqlState::TRANSACTION_TIMEOUT => {
                self.resume_quietly();
                self.lose_block();
            }
            _ => {}
        }
    }

    fn come_to_rest(&mut self, goes_on: bool) {
        // Also where this call has set it.
        self.calls.has_deadlines |= self.environment.settings.effects().timeouts.idle_ms > 0;
        if self.calls.has_deadlines {
            self.take_back_deadlines(goes_on);
        }
        if let Some(block) = &mut self.block
            && !block.implicit
            && !self.calls.is_resting
        {
            block.transaction.rest(&self.environment.presence.resting);
            self.calls.is_resting = true;
            // Who terminates notes that first and looks for a resting transaction after.
            if self.environment.presence.is_terminated() {
                self.resume_quietly();
            }
        }
    }

    fn take_back_deadlines(&mut self, goes_on: bool) {
        let presence = &self.environment.presence;
        if !goes_on {
            presence.statement_deadline.store(NEVER, Ordering::SeqCst);
        }
        if self.transaction_status() == TransactionStatus::Idle && !goes_on {
            presence.transaction_deadline.store(NEVER, Ordering::SeqCst);
        }
        let timeouts = self.environment.settings.effects().timeouts;
        if timeouts == Timeouts::default() && self.block.is_none() && !goes_on {
            self.cancel.set_lock_timeout(std::time::Duration::ZERO);
            self.calls.has_deadlines = false;
        }
        let Some(block) = &self.block else { return };
        let now = self.engine.clock.monotonic_nanos();
        if presence.is_transaction_due(now) {
            presence.transaction_deadline.store(NEVER, Ordering::SeqCst);
            self.calls.untold = Some(Ended::Transaction.error());
            self.resume_quietly();
            self.lose_block();
        } else if timeouts.idle_ms > 0 && !block.implicit {
            let deadline = deadline_after(now, timeouts.idle_ms);
            presence.idle_deadline.store(deadline, Ordering::SeqCst);
            self.engine.timer.arm(deadline);
        }
    }
}

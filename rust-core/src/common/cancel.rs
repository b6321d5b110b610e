//! Cancelling a running statement from another thread, without locks; and where its thread sleeps meanwhile.

use crate::common::event_count::{EventCount, LockedEventCount};
use crate::common::planted::{PlantedFault, is_planted};
use crate::error::{Error, Result, SqlState};
use crossbeam::utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// The cancel words of one connection. Cloning shares them.
///
/// A statement has a sequence number; a cancel names the one it means, so a late cancel never hits the next.
/// A thread that waits for something on behalf of the connection sleeps on the words' event count, which moves with each
/// cancel: none is slept through. All methods are lock-free; where the event count can be advanced from a signal handler,
/// [`CancelToken::cancel`] may be called from one.
#[derive(Clone, Debug)]
pub struct CancelToken {
    words: Arc<CachePadded<Words>>,
    /// Of one user of the words: they may serve the next one while the last one still runs.
    connection: Arc<Connection>,
}

#[derive(Debug)]
struct Words {
    running: AtomicU64,
    cancelled: AtomicU64,
    /// No statement may be cancelled between its commit frame's append and its return.
    shielded: AtomicBool,
    /// Moves with each cancel, and with whatever else the connection's thread waits for.
    events: Arc<dyn EventCount>,
}

#[derive(Debug, Default)]
struct Connection {
    /// An [`Ending`], 0 for none.
    ending: AtomicU8,
    /// The statement whose time was up, times two, plus one where it was its transaction's.
    timed_out: AtomicU64,
    /// How long a lock is waited for, in milliseconds; 0: as long as it takes.
    lock_timeout_ms: AtomicU64,
}

/// Why every statement of a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Closing = 1,
    Terminated = 2,
}

/// Whose time was up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// The statement's.
    Statement,
    /// The transaction's in which it runs.
    Transaction,
}

impl Default for CancelToken {
    fn default() -> CancelToken {
        CancelToken::new(Arc::new(LockedEventCount::default()))
    }
}

impl CancelToken {
    /// New words, whose connection's thread sleeps on `events`.
    pub fn new(events: Arc<dyn EventCount>) -> CancelToken {
        let words = Words {
            running: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            shielded: AtomicBool::new(false),
            events,
        };
        CancelToken { words: Arc::new(CachePadded::new(words)), connection: Arc::default() }
    }

    /// What a thread of the connection sleeps on. To be read before [`CancelToken::check`] and awaited after it.
    pub fn events(&self) -> &Arc<dyn EventCount> {
        &self.words.events
    }

    /// Starts the next statement; returns its sequence number (from 1).
    pub fn start_statement(&self) -> u64 {
        self.words.shielded.store(false, Ordering::Relaxed);
        self.words.running.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The number of the running or last statement.
    pub fn sequence(&self) -> u64 {
        self.words.running.load(Ordering::Acquire)
    }

    /// Asks the statement `sequence` to stop; 0 means whatever runs now.
    pub fn cancel(&self, sequence: u64) {
        let target = if sequence == 0 { self.sequence() } else { sequence };
        self.words.cancelled.fetch_max(target, Ordering::AcqRel);
        if !is_planted(PlantedFault::InterruptUnheard) {
            self.words.events.advance();
        }
    }

    /// Asks the statement `sequence` to stop because its time is up.
    pub fn time_out(&self, sequence: u64, timeout: Timeout) {
        let word = sequence << 1 | u64::from(timeout == Timeout::Transaction);
        self.connection.timed_out.store(word, Ordering::Release);
        self.cancel(sequence);
    }

    /// The same words for a new connection, which no earlier [`CancelToken::close`] has closed.
    #[must_use]
    pub fn for_connection(&self) -> CancelToken {
        CancelToken { words: Arc::clone(&self.words), connection: Arc::default() }
    }

    /// Whether [`CancelToken::close`] or [`CancelToken::terminate`] was called.
    pub fn is_closing(&self) -> bool {
        self.connection.ending.load(Ordering::Relaxed) != 0
    }

    /// Ends every statement of this connection with 57P01: the database is closing.
    pub fn close(&self) {
        self.connection.ending.store(Ending::Closing as u8, Ordering::Release);
        self.words.events.advance();
    }

    /// Ends every statement of this connection with 57P01: somebody asked for it.
    pub fn terminate(&self) {
        self.connection.ending.fetch_max(Ending::Terminated as u8, Ordering::AcqRel);
        self.words.events.advance();
    }

    /// Says how long locks are waited for from now on; zero: as long as it takes.
    pub fn set_lock_timeout(&self, timeout: Duration) {
        self.connection.lock_timeout_ms.store(timeout.as_millis() as u64, Ordering::Relaxed);
    }

    /// How long a lock is waited for; `None`: as long as it takes.
    pub fn lock_timeout(&self) -> Option<Duration> {
        match self.connection.lock_timeout_ms.load(Ordering::Relaxed) {
            0 => None,
            milliseconds => Some(Duration::from_millis(milliseconds)),
        }
    }

    /// From here to the next statement nothing is cancelled (the commit frame is in the log).
    pub fn shield(&self) {
        self.words.shielded.store(true, Ordering::Release);
    }

    /// The statement goes on after its commit, in another transaction: it can be stopped again, also by who asked for it
    /// during the commit.
    pub fn unshield(&self) {
        self.words.shielded.store(false, Ordering::Release);
    }

    /// Whether the running statement was asked to stop. One or two relaxed loads.
    pub fn is_cancelled(&self) -> bool {
        (self.words.cancelled.load(Ordering::Relaxed) >= self.words.running.load(Ordering::Relaxed)
            && self.words.running.load(Ordering::Relaxed) != 0
            || self.is_closing())
            && !self.words.shielded.load(Ordering::Relaxed)
    }

    /// Fails when the statement was asked to stop. To be called once a batch and while waiting.
    /// # Errors
    /// `57014`; `25P04` when the transaction's time is up; `57P01` when the database is closing or the connection was
    /// terminated.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(self.reason()) } else { Ok(()) }
    }

    #[cold]
    fn reason(&self) -> Error {
        let ending = self.connection.ending.load(Ordering::Relaxed);
        if ending == Ending::Closing as u8 {
            return Error::new(SqlState::ADMIN_SHUTDOWN, "the database is being closed");
        }
        if ending == Ending::Terminated as u8 {
            return terminated();
        }
        let timed_out = self.connection.timed_out.load(Ordering::Acquire);
        if timed_out >> 1 != self.sequence() {
            return Error::new(SqlState::QUERY_CANCELED, "canceling statement due to user request");
        }
        if timed_out & 1 == 1 {
            return transaction_timed_out();
        }
        Error::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
    }
}

/// What a terminated session's statements end with.
pub fn terminated() -> Error {
    Error::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

/// What a transaction that took too long ends with.
pub fn transaction_timed_out() -> Error {
    Error::new(SqlState::TRANSACTION_TIMEOUT, "terminating transaction due to transaction timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_cancel_does_not_hit_the_next_statement() {
        let token = CancelToken::default();
        let first = token.start_statement();
        token.start_statement();
        token.cancel(first);
        assert!(token.check().is_ok());
        token.cancel(0);
        assert_eq!(token.check().unwrap_err().state(), SqlState::QUERY_CANCELED);
        token.start_statement();
        assert!(token.check().is_ok());
    }

    #[test]
    fn closing_ends_the_statements_of_one_connection_alone() {
        let token = CancelToken::default();
        let (first, second) = (token.for_connection(), token.for_connection());
        first.start_statement();
        first.close();
        assert_eq!(first.check().unwrap_err().state(), SqlState::ADMIN_SHUTDOWN);
        assert!(second.check().is_ok() && token.check().is_ok());
    }

    #[test]
    fn whatever_ends_a_statement_moves_the_count_that_its_thread_sleeps_on() {
        let token = CancelToken::default();
        let sequence = token.start_statement();
        let ends: [&dyn Fn(); 4] = [
            &|| token.cancel(sequence),
            &|| token.time_out(sequence, Timeout::Statement),
            &|| token.terminate(),
            &|| token.close(),
        ];
        for end in ends {
            let seen = token.events().read();
            end();
            assert_ne!(token.events().read(), seen);
        }
    }

    #[test]
    fn a_shielded_statement_is_not_cancelled() {
        let token = CancelToken::default();
        token.start_statement();
        token.shield();
        token.cancel(0);
        assert!(token.check().is_ok());
    }

    #[test]
    fn a_statement_says_whose_time_was_up_and_the_next_one_goes_on() {
        let token = CancelToken::default();
        let first = token.start_statement();
        token.time_out(first, Timeout::Statement);
        let error = token.check().unwrap_err();
        assert_eq!(error.message(), "canceling statement due to statement timeout");
        let second = token.start_statement();
        token.check().unwrap();
        token.time_out(first, Timeout::Statement);
        token.check().unwrap();
        token.time_out(second, Timeout::Transaction);
        assert_eq!(token.check().unwrap_err().state(), SqlState::TRANSACTION_TIMEOUT);
        token.start_statement();
        token.cancel(0);
        assert_eq!(token.check().unwrap_err().message(), "canceling statement due to user request");
        token.terminate();
        assert_eq!(token.check().unwrap_err().state(), SqlState::ADMIN_SHUTDOWN);
    }
}

//! Cancelling a running statement from another thread, without locks.

use crate::error::{Error, Result, SqlState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The cancel words of one connection. Cloning shares them.
///
/// A statement has a sequence number; a cancel names the one it means, so a late cancel never hits the next.
/// All methods are lock-free; [`CancelToken::cancel`] may be called from a signal handler.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    words: Arc<Words>,
    /// Of one user of the words: they may serve the next one while the last one still runs.
    closing: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Words {
    running: AtomicU64,
    cancelled: AtomicU64,
    /// No statement may be cancelled between its commit frame's append and its return.
    shielded: AtomicBool,
}

impl CancelToken {
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
    }

    /// The same words for a new connection, which no earlier [`CancelToken::close`] has closed.
    #[must_use]
    pub fn for_connection(&self) -> CancelToken {
        CancelToken { words: Arc::clone(&self.words), closing: Arc::default() }
    }

    /// Whether [`CancelToken::close`] was called.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Ends every statement of this connection with 57P01: the database is closing.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// From here to the next statement nothing is cancelled (the commit frame is in the log).
    pub fn shield(&self) {
        self.words.shielded.store(true, Ordering::Release);
    }

    /// Whether the running statement was asked to stop. One or two relaxed loads.
    pub fn is_cancelled(&self) -> bool {
        (self.words.cancelled.load(Ordering::Relaxed) >= self.words.running.load(Ordering::Relaxed)
            && self.words.running.load(Ordering::Relaxed) != 0
            || self.closing.load(Ordering::Relaxed))
            && !self.words.shielded.load(Ordering::Relaxed)
    }

    /// Fails when the statement was asked to stop. To be called once a batch and while waiting.
    /// # Errors
    /// `57014`, or `57P01` when the database is closing.
    pub fn check(&self) -> Result<()> {
        if !self.is_cancelled() {
            return Ok(());
        }
        if self.closing.load(Ordering::Relaxed) {
            return Err(Error::new(SqlState::ADMIN_SHUTDOWN, "the database is being closed"));
        }
        Err(Error::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"))
    }
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
    fn a_shielded_statement_is_not_cancelled() {
        let token = CancelToken::default();
        token.start_statement();
        token.shield();
        token.cancel(0);
        assert!(token.check().is_ok());
    }
}

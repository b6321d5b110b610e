//! LISTEN, UNLISTEN and NOTIFY as statements, and asking for what has arrived.

use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::environment::SessionEnvironment;
use crate::session::notifications::Notification;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::Prepared;
use crate::session::session::Session;
use crate::sql::binder::bound::NotificationStatement;
use crate::sql::functions::notifications::Notifications;
use std::collections::VecDeque;
use std::time::Duration;

/// One who waits for some time looks this often at a clock that does not run by itself (a test's).
const STILL_CLOCK_POLL: Duration = Duration::from_millis(5);

impl Session {
    /// Runs LISTEN, UNLISTEN or NOTIFY: it takes effect when the transaction commits.
    pub(crate) fn execute_notification(
        &mut self,
        statement: &Arc<Prepared>,
        notification: &NotificationStatement,
    ) -> Result<Portal> {
        self.in_block(|session, block| {
            let environment = &session.environment;
            if session.following.is_some() {
                let message = format!("cannot execute {} beside another process", statement.kind().name());
                return Err(Error::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
            }
            let (said, memory) = (&environment.said, &session.engine.memory);
            match notification {
                NotificationStatement::Listen(channel) => said.listen(block.number, channel, memory),
                NotificationStatement::Unlisten(channel) => {
                    said.unlisten(block.number, channel.as_deref(), memory)
                }
                NotificationStatement::Notify { channel, payload } => {
                    said.notify(block.number, channel, payload, memory)
                }
            }
        })?;
        let state = PortalState::complete(VecDeque::new(), None);
        Ok(Portal::new(Arc::clone(statement.columns()), statement.kind(), state))
    }

    /// The next notification that has arrived; `None`: none has, or a transaction block is open.
    /// # Errors
    /// `54000`, once, when notifications were lost because the session did not ask for so long.
    pub fn take_notification(&mut self) -> Result<Option<Notification>> {
        if self.block.is_some() || self.failed {
            return Ok(None);
        }
        self.engine.notifications.next(self.id())
    }

    /// Waits for the next notification: `None` when `timeout` is over first; no timeout waits for ever.
    /// # Errors
    /// `25001` in a transaction block, which nothing arrives in; `57014`; as [`Session::take_notification`].
    pub fn wait_for_notification(&mut self, timeout: Option<Duration>) -> Result<Option<Notification>> {
        let found = self.enter().and_then(|()| self.wait_in_call(timeout));
        self.leave(found.as_ref().err(), false);
        found
    }

    fn wait_in_call(&mut self, timeout: Option<Duration>) -> Result<Option<Notification>> {
        if self.block.is_some() || self.failed {
            return Err(Error::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "notifications do not arrive inside a transaction block",
            ));
        }
        self.cancel.start_statement();
        let clock = Arc::clone(&self.engine.clock);
        let start = clock.monotonic_nanos();
        let events = Arc::clone(self.cancel.events());
        loop {
            // Read before anything is looked at: what comes after that ends the sleep at once.
            let seen = events.read();
            self.cancel.check()?;
            let waited = Duration::from_nanos(clock.monotonic_nanos().saturating_sub(start));
            let left = timeout.map(|timeout| timeout.saturating_sub(waited));
            if left.is_some_and(|left| left.is_zero()) {
                return self.take_notification();
            }
            let found = self.engine.notifications.next_or_tell(self.id(), &events)?;
            if found.is_some() {
                return Ok(found);
            }
            let still = (!clock.runs()).then_some(STILL_CLOCK_POLL);
            events.await_change(seen, left.map(|left| still.map_or(left, |still| left.min(still))));
        }
    }
}

impl Notifications for SessionEnvironment {
    fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        self.said.notify(self.running_block.get(), channel, payload, &self.engine().memory)
    }

    fn channels(&self) -> Vec<Arc<str>> {
        self.engine().notifications.channels(self.session())
    }

    fn usage(&self) -> f64 {
        self.engine().notifications.usage()
    }
}

//! What functions may ask of the sessions of a database, and of this one's advisory locks.

use crate::common::ids::AdvisoryKey;
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result, SqlState};
use crate::session::calls::{STATEMENT_BYTES_SHOWN, beginning};
use crate::session::environment::SessionEnvironment;
use crate::session::presence::{Activity, Presence};
use crate::session::setting::isolation_name;
use crate::sql::functions::activity::{ActivityLine, AdvisoryLock, Sessions, TransactionsLine};
use crate::transaction::lock_advisory::AdvisoryRequest;
use crate::transaction::lock_view::{LockState, LockedObject};
use std::time::Duration;

fn state_name(activity: Activity) -> &'static str {
    match activity {
        Activity::Idle => "idle",
        Activity::Active => "active",
        Activity::IdleInTransaction => "idle in transaction",
        Activity::Aborted => "idle in transaction (aborted)",
    }
}

fn known(time: i64) -> Option<i64> {
    (time != 0).then_some(time)
}

fn line(presence: &Presence, waits: &[LockState]) -> ActivityLine {
    let activity = presence.activity();
    let wait = waits.iter().find(|wait| wait.session == presence.id);
    let since = wait.and_then(|wait| wait.since);
    let statement_start = known(presence.statement_start.load(Ordering::Relaxed)).or(since);
    let mut transaction_start = known(presence.transaction_start.load(Ordering::Relaxed));
    if activity == Activity::Active {
        // Outside a block the statement is the transaction.
        transaction_start = transaction_start.or(statement_start);
    }
    ActivityLine {
        session: presence.id as i64,
        application_name: presence.application_name(),
        state: state_name(activity),
        query: presence.statement().map(|text| match text.len() {
            0..=STATEMENT_BYTES_SHOWN => text,
            _ => Arc::from(beginning(&text, STATEMENT_BYTES_SHOWN)),
        }),
        transaction_start,
        statement_start,
        isolation: (activity != Activity::Idle).then(|| isolation_name(presence.isolation())),
        wait_event: wait.map(|wait| match wait.object {
            LockedObject::Table(_) => "relation",
            LockedObject::Row { .. } | LockedObject::Rows { .. } => "row",
            LockedObject::Advisory(_) => "advisory",
        }),
        wait_start: since,
        blocked_by: wait.map(blockers).unwrap_or_default(),
    }
}

/// The sessions that one waits for, separated by commas.
pub(crate) fn blockers(wait: &LockState) -> String {
    wait.blocked_by.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

impl SessionEnvironment {
    /// Asks something of a session by its number; false, and a warning: there is none.
    fn ask(&self, session: i64, ask: impl FnOnce(u64) -> bool) -> bool {
        let is_there = u64::try_from(session).is_ok_and(ask);
        if !is_there {
            let message = format!("PID {session} is not a PostgreSQL backend process");
            self.warn(Error::new(SqlState::WARNING, message));
        }
        is_there
    }
}

impl Sessions for SessionEnvironment {
    fn activity(&self) -> Vec<ActivityLine> {
        let waits = self.engine().manager.lock_manager().waits();
        self.engine().sessions.all().iter().map(|presence| line(presence, &waits)).collect()
    }

    fn transactions(&self) -> TransactionsLine {
        let engine = self.engine();
        let statistics = engine.manager.statistics();
        let starts: Vec<i64> = engine
            .sessions
            .all()
            .iter()
            .filter(|presence| presence.activity() != Activity::Idle)
            .filter_map(|presence| known(presence.transaction_start.load(Ordering::Relaxed)))
            .collect();
        TransactionsLine {
            commits: statistics.commits as i64,
            rollbacks: statistics.rollbacks as i64,
            serialization_failures: engine.sessions.serialization_failures() as i64,
            deadlocks: statistics.locks.deadlocks as i64,
            lock_reorders: statistics.locks.reorders as i64,
            lock_waits: statistics.locks.waits as i64,
            lock_timeouts: statistics.locks.timeouts as i64,
            waiting: engine.manager.lock_manager().waiting_count() as i64,
            open_transactions: starts.len() as i64,
            oldest_transaction_start: starts.into_iter().min(),
            snapshots: statistics.snapshots as i64,
            oldest_snapshot_bytes: statistics.oldest_snapshot_bytes as i64,
            versions: statistics.versions as i64,
            version_bytes: statistics.version_bytes as i64,
        }
    }

    fn blocking(&self, session: i64) -> Vec<i64> {
        let waits = self.engine().manager.lock_manager().waits();
        let wait = waits.into_iter().find(|wait| wait.session as i64 == session);
        wait.map_or(Vec::new(), |wait| wait.blocked_by.iter().map(|blocker| *blocker as i64).collect())
    }

    fn cancel(&self, session: i64) -> bool {
        self.ask(session, |session| self.engine().sessions.cancel(session))
    }

    fn terminate(&self, session: i64) -> bool {
        self.ask(session, |session| self.engine().sessions.terminate(session))
    }

    fn lock(&self, wanted: AdvisoryLock) -> Result<bool> {
        let locks = self.engine().manager.lock_manager();
        let session = self.presence.lock_owner(locks);
        let transaction = match wanted.is_of_transaction {
            false => None,
            true => {
                let owner = locks.transaction_owner(self.transaction_owner.get());
                Some(owner.ok_or_else(|| Error::internal("a transaction's lock outside a transaction"))?)
            }
        };
        let request = AdvisoryRequest {
            session: &session,
            transaction: transaction.as_ref(),
            key: wanted.key,
            is_shared: wanted.is_shared,
        };
        if wanted.waits {
            locks.lock_advisory(request, &self.cancel).map(|()| true)
        } else {
            locks.try_lock_advisory(request)
        }
    }

    fn unlock(&self, key: AdvisoryKey, is_shared: bool) -> bool {
        let locks = self.engine().manager.lock_manager();
        let owner = self.presence.known_lock_owner();
        let is_held = owner.is_some_and(|owner| locks.unlock_advisory(&owner, key, is_shared));
        if !is_held {
            let mode = if is_shared { "ShareLock" } else { "ExclusiveLock" };
            self.warn(Error::new(SqlState::WARNING, format!("you don't own a lock of type {mode}")));
        }
        is_held
    }

    fn unlock_all(&self) {
        if let Some(owner) = self.presence.known_lock_owner() {
            self.engine().manager.lock_manager().unlock_all_advisory(&owner);
        }
    }

    fn sleep(&self, time: Duration) -> Result<()> {
        let clock = &self.engine().clock;
        let started = clock.monotonic_nanos();
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let events = self.cancel.events();
        loop {
            let seen = events.read();
            self.cancel.check()?;
            let left = nanoseconds.saturating_sub(clock.monotonic_nanos() - started);
            if left == 0 {
                return Ok(());
            }
            events.await_change(seen, Some(Duration::from_nanos(left)));
        }
    }
}

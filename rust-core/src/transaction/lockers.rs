//! Waiting for transactions instead of locks: for those that hold locks on a table, or old snapshots, at one moment. Whoever
//! comes later is not waited for, and waits for nobody: no place in the table's queue is taken.
//! Knows owners. Knows nothing of why somebody waits.
//!
//! Who has ended is told under the graph's mutex, where there is anybody to tell. Somebody whose lock was seen gives it back
//! under a mutex that the looker held after it had begun to listen, so it knows of the listener when it ends. A snapshot is
//! given back without one: those who wait for snapshots also look by themselves now and then.

use crate::common::cancel::CancelToken;
use crate::common::event_count::EventCount;
use crate::common::ids::{Lsn, ObjectId};
use crate::common::sync::atomic::Ordering;
use crate::common::sync::{Arc, Mutex, Weak};
use crate::error::{Error, Result, SqlState};
use crate::transaction::lock_manager::{LockManager, LockOwner, LockTarget};
use crate::transaction::lock_modes::{Mode, ModeSet};
use crate::transaction::lock_table::Entry;
use crate::transaction::lock_view::LockedObject;
use crate::transaction::lock_wait::{WaitGraph, WaitRecord};
use crate::transaction::snapshot::SnapshotRegistry;
use crate::transaction::types::TableLockMode;
use smallvec::SmallVec;
use std::time::Duration;

/// So often a waiter looks at what nobody tells it: snapshots, and a clock that does not run by itself (a test's).
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Transactions that held something at one moment; each goes from the list when it has ended. Threads: any.
#[derive(Debug, Default)]
pub struct Lockers(Mutex<SmallVec<[u32; 8]>>);

impl Lockers {
    /// Whether all have ended.
    pub fn are_gone(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Those that have not.
    pub(super) fn left(&self) -> SmallVec<[u32; 8]> {
        self.0.lock().clone()
    }
}

/// Somebody who wants to know when transactions have ended.
#[derive(Debug)]
pub(super) struct Listener {
    lockers: Weak<Lockers>,
    /// What it sleeps on, if it does.
    events: Option<Arc<dyn EventCount>>,
}

/// What is waited for.
#[derive(Clone, Copy)]
pub(super) enum Awaited<'a> {
    /// Those that hold a lock on the table that the mode meets.
    Table(TableLockMode),
    /// Those that keep a snapshot, from statement to statement, which does not see this commit.
    Snapshots(&'a SnapshotRegistry, Lsn),
}

impl LockManager {
    /// The transactions, but those of `session`, that hold a lock on `table` that `mode` would meet.
    pub fn lockers(&self, session: u64, table: ObjectId, mode: TableLockMode) -> Arc<Lockers> {
        let graph = &mut self.graph.lock();
        self.listen(graph, (session, table), Awaited::Table(mode), |_| false, None)
    }

    /// Waits until all such transactions have ended; those of the owner's session do not count. A return to a savepoint that
    /// gives the lock back is not waited for, but the transaction's end.
    /// # Errors
    /// `40P01` at once when waiting would close a cycle; `57014` and `55P03` while waiting.
    pub(super) fn await_lockers(
        &self,
        owner: &Arc<LockOwner>,
        table: ObjectId,
        awaited: Awaited<'_>,
        cancel: &CancelToken,
    ) -> Result<()> {
        let mut graph = self.graph.lock();
        let session = owner.session.load(Ordering::Relaxed);
        let (is_own, events) = (|other: u32| other == owner.id, Some(cancel.events()));
        let lockers = self.listen(&mut graph, (session, table), awaited, is_own, events);
        if lockers.are_gone() {
            return Ok(());
        }
        self.counters.waits.fetch_add(1, Ordering::Relaxed);
        let mode = match awaited {
            Awaited::Table(mode) => mode.into(),
            // As PostgreSQL: who waits for a transaction asks to share what that one holds of itself.
            Awaited::Snapshots(..) => Mode::from(TableLockMode::Share),
        };
        let record = WaitRecord {
            hash: self.hash(LockTarget::Table(table)),
            session,
            mode,
            target: LockedObject::Table(table),
            since: self.clock.unix_micros(),
            lockers: Some(Arc::clone(&lockers)),
        };
        graph.insert(owner.id, record);
        if let Err(cycle) = self.resolve_cycles(&graph, owner.id) {
            let standoffs = self.standoffs(&graph, &cycle);
            graph.remove(owner.id);
            drop(graph);
            self.counters.deadlocks.fetch_add(1, Ordering::Relaxed);
            return Err(self.deadlock_error(&standoffs));
        }
        drop(graph);
        let result = self.sleep_until_gone(&lockers, awaited, cancel);
        self.graph.lock().remove(owner.id);
        result
    }

    fn sleep_until_gone(&self, lockers: &Lockers, awaited: Awaited<'_>, cancel: &CancelToken) -> Result<()> {
        let end = cancel.lock_timeout().map(|timeout| {
            self.clock.monotonic_nanos().saturating_add(timeout.as_nanos() as u64) //
        });
        loop {
            // Read before anything is looked at: what changes after that ends the sleep at once.
            let seen = cancel.events().read();
            let mut limit = None;
            if let Awaited::Snapshots(registry, timestamp) = awaited {
                let held = registry.keepers_below(timestamp);
                lockers.0.lock().retain(|owner| held.contains(owner));
                limit = Some(LOOK_EVERY);
            }
            if lockers.are_gone() {
                return Ok(());
            }
            cancel.check()?;
            if let Some(end) = end {
                let left = Duration::from_nanos(end.saturating_sub(self.clock.monotonic_nanos()));
                if left.is_zero() {
                    self.counters.timeouts.fetch_add(1, Ordering::Relaxed);
                    let message = "canceling statement due to lock timeout";
                    return Err(Error::new(SqlState::LOCK_NOT_AVAILABLE, message));
                }
                let left = if self.clock.runs() { left } else { left.min(LOOK_EVERY) };
                limit = Some(limit.map_or(left, |limit| limit.min(left)));
            }
            cancel.events().await_change(seen, limit);
        }
    }

    /// Begins to listen, then looks who is there.
    fn listen(
        &self,
        graph: &mut WaitGraph,
        (session, table): (u64, ObjectId),
        awaited: Awaited<'_>,
        is_own: impl Fn(u32) -> bool,
        events: Option<&Arc<dyn EventCount>>,
    ) -> Arc<Lockers> {
        let lockers = Arc::new(Lockers::default());
        let events = events.map(Arc::clone);
        graph.listeners.push(Listener { lockers: Arc::downgrade(&lockers), events });
        self.listeners.store(graph.listeners.len() as u32, Ordering::Relaxed);
        let mut found = match awaited {
            Awaited::Table(mode) => self.holders(table, Mode::from(mode)),
            Awaited::Snapshots(registry, limit) => registry.keepers_below(limit),
        };
        found.retain(|owner| !is_own(*owner) && (session == 0 || self.session_of(*owner) != session));
        *lockers.0.lock() = found;
        lockers
    }

    /// Who holds a lock on the table that `mode` meets.
    fn holders(&self, table: ObjectId, mode: Mode) -> SmallVec<[u32; 8]> {
        let mut found = SmallVec::new();
        let mut add = |owner: u32, modes: ModeSet| {
            if mode.conflicts_with(modes) && !found.contains(&owner) {
                found.push(owner);
            }
        };
        // Locks move from their owners to the lock table, never back.
        for owner in self.owners() {
            let fast = owner.fast_locks();
            fast.iter().filter(|(held, _)| *held == table).for_each(|(_, modes)| add(owner.id, *modes));
        }
        let hash = self.hash(LockTarget::Table(table));
        match self.shard(hash).lock().entries.get(&hash) {
            None => {}
            Some(Entry::One { owner, modes, .. }) => add(*owner, *modes),
            Some(Entry::Many(queue)) => queue.holders.iter().for_each(|(owner, modes)| add(*owner, *modes)),
        }
        found
    }

    /// To be called when a transaction has given back its locks and its snapshot for good.
    #[inline]
    pub(super) fn transaction_ended(&self, owner: &LockOwner) {
        if self.listeners.load(Ordering::Relaxed) > 0 {
            self.tell_listeners(owner.id);
        }
    }

    #[cold]
    fn tell_listeners(&self, ended: u32) {
        let mut graph = self.graph.lock();
        graph.listeners.retain(|listener| {
            let Some(lockers) = listener.lockers.upgrade() else { return false };
            let mut left = lockers.0.lock();
            left.retain(|owner| *owner != ended);
            if !left.is_empty() {
                return true;
            }
            if let Some(events) = &listener.events {
                events.advance();
            }
            false
        });
        self.listeners.store(graph.listeners.len() as u32, Ordering::Relaxed);
    }
}

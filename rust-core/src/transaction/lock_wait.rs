//! Waiting for a lock: the queue, the sleep, and the waits-for graph that finds deadlocks at once.
//! Knows queues and owners. Knows nothing of trees, versions or write sets.

use crate::common::cancel::CancelToken;
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result, SqlState};
use crate::transaction::deadlock::{Blocker, Wait, find_cycle};
use crate::transaction::held_locks::HeldLocks;
use crate::transaction::lock_manager::{LockManager, LockOwner, LockTarget, Request};
use crate::transaction::lock_modes::Mode;
use crate::transaction::lock_table::{Answer, Entry, Waiter};
use crate::transaction::lock_view::LockedObject;
use crate::transaction::lockers::{Listener, Lockers};
use crate::transaction::types::LockOutcome;
use hashbrown::HashMap;
use std::time::Duration;

/// A waiter with a time limit looks this often at a clock that does not run by itself (a test's).
const STILL_CLOCK_POLL: Duration = Duration::from_millis(3);

/// Who waits for which lock. Entries outlive the wait by a moment: the queue itself decides.
#[derive(Default)]
pub(super) struct WaitGraph {
    pub(super) waiting: HashMap<u32, WaitRecord>,
    /// Which owner of a session waits. A session has several (its transactions, its advisory locks) and one thread:
    /// what waits for any of them waits for the one that waits.
    by_session: HashMap<u64, u32>,
    /// Who wants to know when transactions have ended.
    pub(super) listeners: Vec<Listener>,
}

pub(super) struct WaitRecord {
    pub(super) hash: u64,
    pub(super) session: u64,
    pub(super) mode: Mode,
    pub(super) target: LockedObject,
    /// Unix microseconds.
    pub(super) since: i64,
    /// Transactions that are waited for instead of the lock.
    pub(super) lockers: Option<Arc<Lockers>>,
}

impl WaitGraph {
    pub(super) fn insert(&mut self, owner: u32, record: WaitRecord) {
        if record.session != 0 {
            self.by_session.insert(record.session, owner);
        }
        self.waiting.insert(owner, record);
    }

    pub(super) fn remove(&mut self, owner: u32) {
        if let Some(record) = self.waiting.remove(&owner)
            && self.by_session.get(&record.session) == Some(&owner)
        {
            self.by_session.remove(&record.session);
        }
    }
}

impl LockManager {
    pub(super) fn wait(
        &self,
        owner: &Arc<LockOwner>,
        held: &mut HeldLocks,
        request: Request,
        target: LockTarget<'_>,
        cancel: &CancelToken,
    ) -> Result<LockOutcome> {
        let mut graph = self.graph.lock();
        owner.granted.store(false, Ordering::Relaxed);
        {
            let mut shard = self.shard(request.hash).lock();
            let Some(entry) = shard.entries.get_mut(&request.hash) else {
                drop(shard);
                drop(graph);
                return self.lock(owner, held, request, target, cancel);
            };
            if entry.request(owner.id, request.mode) == Answer::Granted {
                held.push(request.held());
                return Ok(LockOutcome::GrantedAfterWait);
            }
            let queue = entry.queue();
            let events = Arc::clone(cancel.events());
            let waiter = Waiter { owner: Arc::clone(owner), mode: request.mode, events };
            if queue.held_by(owner.id).is_empty() {
                queue.waiters.push_back(waiter);
            } else {
                // Whoever holds the lock already goes first: those behind wait for it anyway.
                queue.waiters.push_front(waiter);
            }
        }
        self.counters.waits.fetch_add(1, Ordering::Relaxed);
        let record = WaitRecord {
            hash: request.hash,
            session: owner.session.load(Ordering::Relaxed),
            mode: request.mode,
            target: target.into(),
            since: self.clock.unix_micros(),
            lockers: None,
        };
        graph.insert(owner.id, record);
        if let Err(cycle) = self.resolve_cycles(&graph, owner.id) {
            let granted = !self.leave_queue(owner.id, request.hash);
            let standoffs = if granted { Vec::new() } else { self.standoffs(&graph, &cycle) };
            graph.remove(owner.id);
            drop(graph);
            if !granted {
                self.counters.deadlocks.fetch_add(1, Ordering::Relaxed);
                return Err(self.deadlock_error(&standoffs));
            }
        } else {
            drop(graph);
            let cancelled = self.sleep(owner, request.hash, cancel);
            self.graph.lock().remove(owner.id);
            cancelled?;
        }
        held.push(request.held());
        Ok(LockOutcome::GrantedAfterWait)
    }

    /// Sleeps until granted; an error when cancelled or out of time first, and then nothing waits any more.
    fn sleep(&self, owner: &LockOwner, hash: u64, cancel: &CancelToken) -> Result<()> {
        let end = cancel.lock_timeout().map(|timeout| {
            self.clock.monotonic_nanos().saturating_add(timeout.as_nanos() as u64) //
        });
        loop {
            // Read before anything is looked at: what changes after that ends the sleep at once.
            let seen = cancel.events().read();
            if owner.granted.load(Ordering::Acquire) {
                return Ok(());
            }
            let (mut ended, mut limit) = (cancel.check(), None);
            if let Some(end) = end
                && ended.is_ok()
            {
                let left = Duration::from_nanos(end.saturating_sub(self.clock.monotonic_nanos()));
                limit = Some(if self.clock.runs() { left } else { left.min(STILL_CLOCK_POLL) });
                if left.is_zero() {
                    ended = Err(Error::new(
                        SqlState::LOCK_NOT_AVAILABLE,
                        "canceling statement due to lock timeout",
                    ));
                }
            }
            if let Err(error) = ended {
                if !self.leave_queue(owner.id, hash) {
                    return Ok(());
                }
                if error.state() == SqlState::LOCK_NOT_AVAILABLE {
                    self.counters.timeouts.fetch_add(1, Ordering::Relaxed);
                }
                return Err(error);
            }
            cancel.events().await_change(seen, limit);
        }
    }

    /// Takes a waiter out of the queue and grants those who waited for it; false: it was granted meanwhile.
    fn leave_queue(&self, owner: u32, hash: u64) -> bool {
        let mut shard = self.shard(hash).lock();
        let Some(Entry::Many(queue)) = shard.entries.get_mut(&hash) else { return false };
        let Some(index) = queue.waiters.iter().position(|waiter| waiter.owner.id == owner) else {
            return false;
        };
        queue.waiters.remove(index);
        queue.grant_waiters();
        true
    }

    /// Undoes soft cycles through `start`; else gives a cycle that cannot be undone.
    pub(super) fn resolve_cycles(&self, graph: &WaitGraph, start: u32) -> std::result::Result<(), Vec<Wait>> {
        // Most who begin to wait are waited for by nobody: then they close no cycle.
        if !self.is_waited_for(graph, start) {
            return Ok(());
        }
        // Every round lets one waiter past, so there are at most as many rounds as waiters.
        for _ in 0..=graph.waiting.len() {
            let Some(cycle) = find_cycle(start, |owner, out| self.blockers(graph, owner, out)) else {
                return Ok(());
            };
            let past = cycle
                .iter()
                .rev()
                .filter(|wait| wait.blocker.soft)
                .any(|wait| self.let_past(graph, wait.waiter));
            if !past {
                return Err(cycle);
            }
            self.counters.reorders.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether anybody may wait for `start`, which waits itself, or for what else its session holds.
    fn is_waited_for(&self, graph: &WaitGraph, start: u32) -> bool {
        let Some(own) = graph.waiting.get(&start) else { return false };
        let owners = self.owners.read();
        let is_own = |owner: u32| {
            owner == start
                || own.session != 0
                    && owners
                        .get(owner as usize - 1)
                        .is_some_and(|owner| owner.session.load(Ordering::Relaxed) == own.session)
        };
        graph.waiting.iter().any(|(_, record)| {
            if let Some(lockers) = &record.lockers {
                return lockers.left().into_iter().any(is_own);
            }
            let shard = self.shard(record.hash).lock();
            let Some(Entry::Many(queue)) = shard.entries.get(&record.hash) else { return false };
            let holds = queue
                .holders
                .iter()
                .any(|(holder, modes)| is_own(*holder) && record.mode.conflicts_with(*modes));
            // In its own queue it stands at the end, but where it holds the lock already.
            holds
                || record.hash == own.hash && queue.waiters.back().is_some_and(|last| last.owner.id != start)
        })
    }

    /// Whom `owner` waits for.
    pub(super) fn blockers(&self, graph: &WaitGraph, owner: u32, out: &mut Vec<Blocker>) {
        let Some(record) = graph.waiting.get(&owner) else { return };
        let standing_for = |holder: u32| {
            let waits = graph.by_session.get(&self.session_of(holder));
            Blocker { owner: *waits.unwrap_or(&holder), soft: false }
        };
        if let Some(lockers) = &record.lockers {
            out.extend(lockers.left().into_iter().map(standing_for));
            return;
        }
        let shard = self.shard(record.hash).lock();
        let Some(Entry::Many(queue)) = shard.entries.get(&record.hash) else { return };
        let Some(position) = queue.waiters.iter().position(|waiter| waiter.owner.id == owner) else { return };
        for (holder, modes) in &queue.holders {
            if *holder != owner && record.mode.conflicts_with(*modes) {
                out.push(standing_for(*holder));
            }
        }
        for earlier in queue.waiters.iter().take(position) {
            if record.mode.conflicts_with(earlier.mode.set()) {
                out.push(Blocker { owner: earlier.owner.id, soft: true });
            }
        }
    }

    /// A cycle in words that outlive the graph.
    pub(super) fn standoffs(&self, graph: &WaitGraph, cycle: &[Wait]) -> Vec<Standoff> {
        let who = |owner: u32| match self.session_of(owner) {
            0 => u64::from(owner),
            session => session,
        };
        cycle
            .iter()
            .filter_map(|wait| {
                let record = graph.waiting.get(&wait.waiter)?;
                Some(Standoff {
                    waiter: who(wait.waiter),
                    mode: record.mode,
                    object: record.target.clone(),
                    blocker: who(wait.blocker.owner),
                })
            })
            .collect()
    }

    pub(super) fn deadlock_error(&self, standoffs: &[Standoff]) -> Error {
        let lines: Vec<String> = standoffs
            .iter()
            .map(|standoff| {
                let Standoff { waiter, mode, object, blocker } = standoff;
                let name = self.names.get().and_then(|names| names(object));
                let name = name.unwrap_or_else(|| object.to_string());
                format!("Process {waiter} waits for {} on {name}; blocked by process {blocker}.", mode.name())
            })
            .collect();
        Error::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
            .detail(lines.join("\n"))
            .hint("Run the transaction again; take locks in the same order everywhere.")
    }

    /// Grants a waiter that only the order of the queue keeps waiting.
    fn let_past(&self, graph: &WaitGraph, waiter: u32) -> bool {
        let Some(record) = graph.waiting.get(&waiter).filter(|record| record.lockers.is_none()) else {
            return false;
        };
        let mut shard = self.shard(record.hash).lock();
        let Some(Entry::Many(queue)) = shard.entries.get_mut(&record.hash) else { return false };
        let Some(index) = queue.waiters.iter().position(|other| other.owner.id == waiter) else {
            return false;
        };
        if queue.meets_holder(waiter, record.mode) {
            return false;
        }
        queue.grant(index);
        true
    }
}

/// An edge of a cycle, with sessions for owners.
pub(super) struct Standoff {
    waiter: u64,
    mode: Mode,
    object: LockedObject,
    blocker: u64,
}

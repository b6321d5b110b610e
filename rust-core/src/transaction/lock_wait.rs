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
use crate::transaction::types::LockOutcome;
use hashbrown::HashMap;
use std::time::Duration;

/// A waiter looks at its cancel token this often.
const CANCEL_POLL: Duration = Duration::from_millis(3);

/// Who waits for which lock. Entries outlive the wait by a moment: the queue itself decides.
#[derive(Default)]
pub(super) struct WaitGraph {
    pub(super) waiting: HashMap<u32, WaitRecord>,
}

pub(super) struct WaitRecord {
    hash: u64,
    pub(super) mode: Mode,
    pub(super) target: LockedObject,
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
        *owner.granted.lock() = false;
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
            let waiter = Waiter { owner: Arc::clone(owner), mode: request.mode };
            if queue.held_by(owner.id).is_empty() {
                queue.waiters.push_back(waiter);
            } else {
                // Whoever holds the lock already goes first: those behind wait for it anyway.
                queue.waiters.push_front(waiter);
            }
        }
        self.counters.waits.fetch_add(1, Ordering::Relaxed);
        let record = WaitRecord { hash: request.hash, mode: request.mode, target: target.into() };
        graph.waiting.insert(owner.id, record);
        if let Err(deadlock) = self.resolve_cycles(&graph, owner.id) {
            let granted = !self.leave_queue(owner.id, request.hash);
            graph.waiting.remove(&owner.id);
            if !granted {
                self.counters.deadlocks.fetch_add(1, Ordering::Relaxed);
                return Err(deadlock);
            }
        } else {
            drop(graph);
            let cancelled = self.sleep(owner, request.hash, cancel);
            self.graph.lock().waiting.remove(&owner.id);
            cancelled?;
        }
        held.push(request.held());
        Ok(LockOutcome::GrantedAfterWait)
    }

    /// Sleeps until granted; an error when cancelled first, and then nothing waits any more.
    fn sleep(&self, owner: &LockOwner, hash: u64, cancel: &CancelToken) -> Result<()> {
        loop {
            {
                let mut granted = owner.granted.lock();
                if !*granted {
                    owner.wake.wait_for(&mut granted, CANCEL_POLL);
                }
                if *granted {
                    return Ok(());
                }
            }
            if let Err(cancelled) = cancel.check() {
                return if self.leave_queue(owner.id, hash) { Err(cancelled) } else { Ok(()) };
            }
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

    /// Undoes soft cycles through `start`; an error describes a cycle that cannot be undone.
    fn resolve_cycles(&self, graph: &WaitGraph, start: u32) -> Result<()> {
        // Every round lets one waiter past, so there are at most as many rounds as waiters.
        for _ in 0..=graph.waiting.len() {
            let Some(cycle) = find_cycle(start, |owner, out| self.blockers(graph, owner, out)) else {
                return Ok(());
            };
            let past =
                cycle.iter().filter(|wait| wait.blocker.soft).any(|wait| self.let_past(graph, wait.waiter));
            if !past {
                return Err(deadlock_error(graph, &cycle));
            }
            self.counters.reorders.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whom `owner` waits for.
    pub(super) fn blockers(&self, graph: &WaitGraph, owner: u32, out: &mut Vec<Blocker>) {
        let Some(record) = graph.waiting.get(&owner) else { return };
        let shard = self.shard(record.hash).lock();
        let Some(Entry::Many(queue)) = shard.entries.get(&record.hash) else { return };
        let Some(position) = queue.waiters.iter().position(|waiter| waiter.owner.id == owner) else { return };
        for (holder, modes) in &queue.holders {
            if *holder != owner && record.mode.conflicts_with(*modes) {
                out.push(Blocker { owner: *holder, soft: false });
            }
        }
        for earlier in queue.waiters.iter().take(position) {
            if record.mode.conflicts_with(earlier.mode.set()) {
                out.push(Blocker { owner: earlier.owner.id, soft: true });
            }
        }
    }

    /// Grants a waiter that only the order of the queue keeps waiting.
    fn let_past(&self, graph: &WaitGraph, waiter: u32) -> bool {
        let Some(record) = graph.waiting.get(&waiter) else { return false };
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

fn deadlock_error(graph: &WaitGraph, cycle: &[Wait]) -> Error {
    let lines: Vec<String> = cycle
        .iter()
        .filter_map(|wait| {
            let record = graph.waiting.get(&wait.waiter)?;
            Some(format!(
                "Transaction {} waits for {} on {}; blocked by transaction {}.",
                wait.waiter,
                record.mode.name(),
                record.target,
                wait.blocker.owner
            ))
        })
        .collect();
    Error::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
        .detail(lines.join("\n"))
        .hint("Run the transaction again; take locks in the same order everywhere.")
}

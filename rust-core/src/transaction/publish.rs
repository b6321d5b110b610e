//! Publication: commits become visible in LSN order, each only when it and all before it are finished.
//! Knows timestamps. Knows nothing of pages or of what "finished" took.
//!
//! A small commit that finds all before it published, and finishes while it keeps everybody else from joining, needs
//! no place in the queue: nobody ever waits for it here.

use crate::common::ids::Lsn;
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::{AtomicUsize, Ordering};
use crate::common::sync::{Condvar, Mutex};
use crate::transaction::snapshot::SnapshotRegistry;
use crossbeam::utils::CachePadded;
use std::collections::VecDeque;
use std::time::Duration;

/// Looks at `visible` this often before sleeping: predecessors usually finish within microseconds.
const SPINS: u32 = 200;
/// A sleeper looks for a poisoned manager this often.
const POLL: Duration = Duration::from_millis(20);

/// A commit's place in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublishTicket {
    number: u64,
    timestamp: Lsn,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the frame at the front.
    first: u64,
    /// Timestamp, and whether it is applied and as durable as it asked.
    frames: VecDeque<(Lsn, bool)>,
    sleepers: usize,
}

/// Appended commits that are not published yet, in LSN order. Threads: any.
#[derive(Debug, Default)]
pub(super) struct PublishQueue {
    state: Mutex<State>,
    advanced: Condvar,
    /// Commits in the queue; stored under the state's mutex, after what left it was published.
    length: CachePadded<AtomicUsize>,
}

impl PublishQueue {
    /// Adds a commit; called in LSN order, that is under the commit mutex.
    pub(super) fn join(&self, timestamp: Lsn) -> PublishTicket {
        let mut state = self.state.lock();
        assert!(state.frames.back().is_none_or(|(last, _)| *last < timestamp), "commits join in LSN order");
        state.frames.push_back((timestamp, false));
        self.length.store(state.frames.len(), Ordering::Release);
        PublishTicket { number: state.first + state.frames.len() as u64 - 1, timestamp }
    }

    /// Whether every commit that joined is published; to be asked under the commit mutex, where nobody joins.
    pub(super) fn is_empty(&self) -> bool {
        self.length.load(Ordering::Acquire) == 0
    }

    /// Publishes a commit that is finished and did not join. The caller holds the commit mutex since before the commit
    /// was appended, and found the queue empty then.
    pub(super) fn publish_alone(&self, timestamp: Lsn, snapshots: &SnapshotRegistry) {
        assert!(self.is_empty(), "a commit is published alone only where none is before it");
        snapshots.publish(timestamp);
    }

    /// Says that a commit is applied and durable, publishes what can be, and waits until this commit is.
    /// False when `is_poisoned` turned true first.
    pub(super) fn finish(
        &self,
        ticket: PublishTicket,
        snapshots: &SnapshotRegistry,
        is_poisoned: impl Fn() -> bool,
    ) -> bool {
        self.advance(ticket, snapshots);
        self.wait(ticket.timestamp, snapshots, is_poisoned)
    }

    /// The newest commit that joined, published or not; to be asked under the commit mutex.
    pub(super) fn last_joined(&self, snapshots: &SnapshotRegistry) -> Lsn {
        let state = self.state.lock();
        state.frames.back().map_or_else(|| snapshots.visible(), |(timestamp, _)| *timestamp)
    }

    /// Waits until everything up to `timestamp` is published. False when `is_poisoned` turned true first.
    pub(super) fn wait(
        &self,
        timestamp: Lsn,
        snapshots: &SnapshotRegistry,
        is_poisoned: impl Fn() -> bool,
    ) -> bool {
        for _ in 0..SPINS {
            if snapshots.visible() >= timestamp {
                return true;
            }
            std::hint::spin_loop();
        }
        let mut state = self.state.lock();
        state.sleepers += 1;
        while snapshots.visible() < timestamp && !is_poisoned() {
            self.advanced.wait_for(&mut state, POLL);
        }
        state.sleepers -= 1;
        snapshots.visible() >= timestamp
    }

    fn advance(&self, ticket: PublishTicket, snapshots: &SnapshotRegistry) {
        let mut state = self.state.lock();
        let index = (ticket.number - state.first) as usize;
        state.frames[index].1 = true;
        if is_planted(PlantedFault::PublishedOutOfOrder) {
            snapshots.publish(ticket.timestamp);
        }
        let mut newest = None;
        while let Some((timestamp, true)) = state.frames.front().copied() {
            newest = Some(timestamp);
            state.frames.pop_front();
            state.first += 1;
        }
        if let Some(newest) = newest {
            snapshots.publish(newest);
            self.length.store(state.frames.len(), Ordering::Release);
            if state.sleepers > 0 {
                self.advanced.notify_all();
            }
        }
    }

    /// Wakes everybody: the manager was poisoned.
    pub(super) fn wake_all(&self) {
        let _state = self.state.lock();
        self.advanced.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_visible_only_after_all_before_it() {
        let (queue, snapshots) = (PublishQueue::default(), SnapshotRegistry::new(Lsn(1)));
        let tickets: Vec<_> = [10, 20, 30].map(|timestamp| queue.join(Lsn(timestamp))).into();
        assert!(!queue.finish(tickets[1], &snapshots, || true));
        assert_eq!(snapshots.visible(), Lsn(1));
        assert!(queue.finish(tickets[0], &snapshots, || true));
        assert_eq!(snapshots.visible(), Lsn(20));
        assert!(queue.finish(tickets[2], &snapshots, || false));
        assert_eq!(snapshots.visible(), Lsn(30));
    }

    #[test]
    fn a_commit_goes_alone_only_when_all_before_it_are_published() {
        let (queue, snapshots) = (PublishQueue::default(), SnapshotRegistry::new(Lsn(1)));
        assert!(queue.is_empty());
        let (first, second) = (queue.join(Lsn(10)), queue.join(Lsn(20)));
        assert!(!queue.finish(second, &snapshots, || true) && !queue.is_empty());
        assert!(queue.finish(first, &snapshots, || false) && queue.is_empty());
        queue.publish_alone(Lsn(30), &snapshots);
        assert_eq!((snapshots.visible(), queue.last_joined(&snapshots)), (Lsn(30), Lsn(30)));
    }

    #[test]
    fn a_finished_commit_waits_for_its_predecessor() {
        let (queue, snapshots) = (PublishQueue::default(), SnapshotRegistry::new(Lsn(1)));
        let (first, second) = (queue.join(Lsn(10)), queue.join(Lsn(20)));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| queue.finish(second, &snapshots, || false));
            assert!(queue.finish(first, &snapshots, || false));
            assert!(waiter.join().unwrap());
        });
        assert_eq!(snapshots.visible(), Lsn(20));
    }
}

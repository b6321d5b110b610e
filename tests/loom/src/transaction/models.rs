//! Snapshots against the horizon, and publication in order.

use super::publish::PublishQueue;
use super::snapshot::SnapshotRegistry;
use crate::common::ids::Lsn;
use crate::common::sync::Mutex;
use crate::models::spawn;
use loom::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// A reader takes a snapshot while a commit is published and somebody asks for the horizon: the reader never comes to
/// hold a snapshot below a horizon that was given out before.
pub fn no_snapshot_below_a_horizon() {
    let registry = Arc::new(SnapshotRegistry::new(Lsn(1)));
    let slot = registry.add_slot();
    // The highest horizon that was given out; versions below it are gone.
    let purged = Arc::new(AtomicU64::new(0));
    let reader = {
        let (registry, purged) = (Arc::clone(&registry), Arc::clone(&purged));
        spawn(move || {
            let taken = registry.take(&slot);
            assert!(purged.load(Ordering::SeqCst) <= taken.0, "a version that the snapshot needs is gone");
            slot.release();
        })
    };
    let writer = {
        let registry = Arc::clone(&registry);
        spawn(move || registry.publish(Lsn(2)))
    };
    let horizon = registry.horizon();
    purged.store(horizon.0, Ordering::SeqCst);
    reader.join().expect("the reader's check");
    writer.join().expect("a writer does not fail");
    assert_eq!(registry.horizon(), Lsn(2));
}

/// A snapshot that is held: whoever asks for the horizon while it is given back gets it, or the newest commit.
pub fn a_held_snapshot_is_the_horizon() {
    let registry = Arc::new(SnapshotRegistry::new(Lsn(1)));
    let slot = registry.add_slot();
    assert_eq!(registry.take(&slot), Lsn(1));
    registry.publish(Lsn(2));
    let other = {
        let registry = Arc::clone(&registry);
        spawn(move || registry.horizon())
    };
    slot.release();
    let seen = other.join().expect("the horizon is no error");
    assert!(seen == Lsn(1) || seen == Lsn(2));
    assert_eq!(registry.horizon(), Lsn(2));
}

/// Two commits finish in any order: each is published when its wait ends, and never the later one alone.
pub fn commits_are_published_in_order() {
    let registry = Arc::new(SnapshotRegistry::new(Lsn(1)));
    let queue = Arc::new(PublishQueue::default());
    // What the first commit writes last.
    let applied = Arc::new(AtomicU64::new(0));
    let (first, second) = (queue.join(Lsn(2)), queue.join(Lsn(3)));
    let other = {
        let (queue, registry, applied) = (Arc::clone(&queue), Arc::clone(&registry), Arc::clone(&applied));
        spawn(move || {
            assert!(queue.finish(second, &registry, || false));
            assert_eq!(registry.visible(), Lsn(3));
            assert_eq!(
                applied.load(Ordering::Relaxed),
                1,
                "the later commit was seen before the earlier one"
            );
        })
    };
    applied.store(1, Ordering::Relaxed);
    assert!(queue.finish(first, &registry, || false));
    assert!(registry.visible() >= Lsn(2));
    other.join().expect("the second commit's checks");
    assert_eq!(registry.visible(), Lsn(3));
}

/// A small commit keeps the commit mutex until it is published, if nobody is in the queue, while another one joins the
/// queue and finishes later: whoever comes first, each sees all before it when it is published.
pub fn a_commit_alone_meets_one_in_the_queue() {
    let registry = Arc::new(SnapshotRegistry::new(Lsn(1)));
    let queue = Arc::new(PublishQueue::default());
    // The commit mutex, with the end of the log; and the commits that are applied.
    let order = Arc::new(Mutex::new(1));
    let applied = Arc::new(AtomicU64::new(0));
    let other = {
        let (queue, registry, applied) = (Arc::clone(&queue), Arc::clone(&registry), Arc::clone(&applied));
        let order = Arc::clone(&order);
        spawn(move || {
            let mut tail = order.lock();
            *tail += 1;
            let timestamp = Lsn(*tail);
            let ticket = queue.join(timestamp);
            drop(tail);
            applied.fetch_add(1, Ordering::Relaxed);
            assert!(queue.finish(ticket, &registry, || false));
            let seen = registry.visible();
            assert!(seen >= timestamp && applied.load(Ordering::Relaxed) >= seen.0 - 1);
        })
    };
    let mut tail = order.lock();
    *tail += 1;
    let timestamp = Lsn(*tail);
    if queue.is_empty() {
        assert_eq!(registry.visible().0, timestamp.0 - 1, "a commit was passed over");
        applied.fetch_add(1, Ordering::Relaxed);
        queue.publish_alone(timestamp, &registry);
        drop(tail);
    } else {
        let ticket = queue.join(timestamp);
        drop(tail);
        applied.fetch_add(1, Ordering::Relaxed);
        assert!(queue.finish(ticket, &registry, || false));
    }
    let seen = registry.visible();
    assert!(seen >= timestamp && applied.load(Ordering::Relaxed) >= seen.0 - 1);
    other.join().expect("the other commit's checks");
    assert_eq!((registry.visible(), queue.is_empty()), (Lsn(3), true));
}

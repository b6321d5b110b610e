//! Who reads at which timestamp: the registry of snapshots and the horizon below which nobody reads.
//! Knows timestamps. Knows nothing of versions, pages or transactions.
//!
//! Taking a snapshot is three steps: mark the slot "starting", load `visible`, store the value. The horizon is
//! min(`visible`, every slot), with `visible` loaded **first** and marks waited for. A reader whose mark the
//! horizon did not see stored it after the horizon looked at the slot, so it loads a `visible` that is at
//! least the horizon's: no reader can come to hold a snapshot below a horizon that was ever returned. Both have a
//! fence in the middle, because a store and the load of another word after it stay in order by nothing less.
//!
//! A snapshot that holds up too many versions is refused: first its readers are told (72000), then the horizon passes
//! over it. A reader looks after it has read, so what it was given was still there.

use crate::common::ids::Lsn;
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::common::sync::{Arc, Mutex, yield_now};
use crossbeam::utils::CachePadded;
use smallvec::SmallVec;
use std::sync::OnceLock;

/// Slot value: nobody reads through this slot.
const FREE: u64 = u64::MAX;
/// Slot value: a reader is about to store its timestamp.
const STARTING: u64 = u64::MAX - 1;

/// Slots of the first chunk; each next one has twice as many.
const FIRST_CHUNK_SLOTS: usize = 64;
const CHUNKS: usize = 26;

/// One reader's place in the registry; reused from transaction to transaction.
#[derive(Debug)]
pub struct SnapshotSlot(CachePadded<AtomicU64>, SlotUse);

/// Whose slot it is.
#[derive(Debug)]
struct SlotUse {
    owner: u32,
    /// The transaction keeps its snapshot from statement to statement.
    keeps: AtomicBool,
}

impl SnapshotSlot {
    /// Gives the snapshot back: versions that only it needed may go.
    pub fn release(&self) {
        self.0.store(FREE, Ordering::Release);
    }

    /// The value, once it is not about to be stored.
    fn settled(&self) -> u64 {
        loop {
            match self.0.load(Ordering::Acquire) {
                STARTING if !is_planted(PlantedFault::HorizonIgnoresMarks) => yield_now(),
                value => return value,
            }
        }
    }

    /// Says whether the next transaction keeps its snapshot from statement to statement.
    pub(super) fn set_keeps(&self, keeps: bool) {
        self.1.keeps.store(keeps, Ordering::Relaxed);
    }

    /// Whether a snapshot older than `timestamp` is registered here. Who noted down before what waits for that one to end
    /// is told yes, or the note is seen by whoever ends it and looks for notes.
    pub(super) fn is_older_than(&self, timestamp: Lsn) -> bool {
        fence(Ordering::SeqCst);
        self.settled() < timestamp.0
    }

    /// Whether a snapshot is registered here.
    pub fn is_held(&self) -> bool {
        self.0.load(Ordering::Relaxed) != FREE
    }
}

/// Places for slots, filled from the first on.
type Chunk = Box<[OnceLock<Arc<SnapshotSlot>>]>;

/// Slots that are added and never taken away, so that many look at them while nobody locks anything.
#[derive(Debug)]
struct Slots {
    chunks: [OnceLock<Chunk>; CHUNKS],
    /// Slots below this are there.
    count: AtomicUsize,
    adding: Mutex<()>,
}

impl Slots {
    fn place(index: usize) -> (usize, usize) {
        let shifted = index + FIRST_CHUNK_SLOTS;
        let chunk = shifted.ilog2() - FIRST_CHUNK_SLOTS.ilog2();
        (chunk as usize, shifted - (FIRST_CHUNK_SLOTS << chunk))
    }

    fn add(&self, slot: Arc<SnapshotSlot>) {
        let _alone = self.adding.lock();
        let count = self.count.load(Ordering::Relaxed);
        let (chunk, index) = Slots::place(count);
        let empty = || (0..FIRST_CHUNK_SLOTS << chunk).map(|_| OnceLock::new()).collect();
        let first = self.chunks[chunk].get_or_init(empty)[index].set(slot);
        assert!(first.is_ok(), "slots are added one behind the other");
        self.count.store(count + 1, Ordering::Release);
    }

    fn iter(&self) -> impl Iterator<Item = &SnapshotSlot> {
        (0..self.count.load(Ordering::Acquire)).filter_map(|index| {
            let (chunk, index) = Slots::place(index);
            self.chunks[chunk].get()?[index].get().map(|slot| &**slot)
        })
    }
}

/// The newest published commit, and every snapshot in use. Threads: any.
#[derive(Debug)]
pub struct SnapshotRegistry {
    visible: CachePadded<AtomicU64>,
    /// Snapshots below this are too old.
    refused_below: CachePadded<AtomicU64>,
    slots: Slots,
}

impl SnapshotRegistry {
    /// A registry where commits up to `visible` are published.
    pub fn new(visible: Lsn) -> SnapshotRegistry {
        assert!(visible.0 < STARTING, "timestamps stay below the slot marks");
        SnapshotRegistry {
            visible: CachePadded::new(AtomicU64::new(visible.0)),
            refused_below: CachePadded::new(AtomicU64::new(0)),
            slots: Slots {
                chunks: [const { OnceLock::new() }; CHUNKS],
                count: AtomicUsize::new(0),
                adding: Mutex::new(()),
            },
        }
    }

    /// A new slot; it lives as long as the registry, so callers keep and reuse it.
    pub fn add_slot(&self) -> Arc<SnapshotSlot> {
        self.add_slot_of(0)
    }

    /// The same, for an owner of locks.
    pub(super) fn add_slot_of(&self, owner: u32) -> Arc<SnapshotSlot> {
        let keeps = AtomicBool::new(false);
        let slot = Arc::new(SnapshotSlot(CachePadded::new(AtomicU64::new(FREE)), SlotUse { owner, keeps }));
        self.slots.add(Arc::clone(&slot));
        slot
    }

    /// Registers the newest published state in `slot` and returns its timestamp.
    pub fn take(&self, slot: &SnapshotSlot) -> Lsn {
        slot.0.store(STARTING, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let visible = self.visible.load(Ordering::Acquire);
        slot.0.store(visible, Ordering::Release);
        Lsn(visible)
    }

    /// The newest published commit.
    pub fn visible(&self) -> Lsn {
        Lsn(self.visible.load(Ordering::Acquire))
    }

    /// Publishes every commit up to `timestamp`.
    pub fn publish(&self, timestamp: Lsn) {
        let before = self.visible.swap(timestamp.0, Ordering::SeqCst);
        assert!(before <= timestamp.0, "the visible timestamp went back from {before} to {timestamp}");
    }

    /// No snapshot below this timestamp exists or can come to exist. Waits for snapshots being taken.
    pub fn horizon(&self) -> Lsn {
        self.horizon_and_oldest().0
    }

    /// As [`SnapshotRegistry::horizon`], with the slot of the oldest snapshot, if that is below the newest commit.
    pub(super) fn horizon_and_oldest(&self) -> (Lsn, Option<&SnapshotSlot>) {
        let mut horizon = self.visible.load(Ordering::Acquire);
        let mut oldest = None;
        fence(Ordering::SeqCst);
        let refused_below = self.refused_below.load(Ordering::SeqCst);
        for slot in self.slots.iter() {
            let value = slot.settled();
            if value >= refused_below && value < horizon {
                horizon = value;
                oldest = Some(slot);
            }
        }
        (Lsn(horizon), oldest)
    }

    /// Whether the versions that a snapshot needs may be gone. To be asked after reading.
    #[inline]
    pub(super) fn is_refused(&self, snapshot: Lsn) -> bool {
        snapshot.0 < self.refused_below.load(Ordering::Acquire)
    }

    /// Refuses the oldest snapshot; false: all that there are see the newest commit.
    pub(super) fn refuse_oldest(&self) -> bool {
        let oldest = self.horizon();
        // One that is being taken now is not older than the newest commit was before.
        let is_old = oldest < self.visible();
        if is_old {
            self.refused_below.fetch_max(oldest.0 + 1, Ordering::SeqCst);
        }
        is_old
    }

    /// The owners of snapshots that do not see the commit `timestamp` and are kept from statement to statement.
    pub(super) fn keepers_below(&self, timestamp: Lsn) -> SmallVec<[u32; 8]> {
        let is_meant =
            |slot: &&SnapshotSlot| slot.1.keeps.load(Ordering::Relaxed) && slot.settled() < timestamp.0;
        self.slots.iter().filter(is_meant).map(|slot| slot.1.owner).collect()
    }

    /// Snapshots registered now.
    pub fn active_count(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_held()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_horizon_is_the_oldest_snapshot_and_else_the_newest_commit() {
        let registry = SnapshotRegistry::new(Lsn(5));
        let (first, second) = (registry.add_slot(), registry.add_slot());
        assert_eq!(registry.horizon(), Lsn(5));
        assert_eq!(registry.take(&first), Lsn(5));
        registry.publish(Lsn(9));
        assert_eq!(registry.take(&second), Lsn(9));
        assert_eq!(registry.horizon(), Lsn(5));
        first.release();
        assert_eq!(registry.horizon(), Lsn(9));
        registry.publish(Lsn(12));
        assert_eq!(registry.horizon(), Lsn(9));
        second.release();
        assert_eq!(registry.horizon(), Lsn(12));
    }

    #[test]
    fn a_refused_snapshot_holds_nothing_up_and_the_others_go_on() {
        let registry = SnapshotRegistry::new(Lsn(5));
        let (first, second) = (registry.add_slot(), registry.add_slot());
        registry.take(&first);
        registry.publish(Lsn(9));
        registry.take(&second);
        assert!(!registry.is_refused(Lsn(5)));
        assert!(registry.refuse_oldest());
        assert!(registry.is_refused(Lsn(5)) && !registry.is_refused(Lsn(9)));
        assert_eq!(registry.horizon(), Lsn(9));
        assert!(!registry.refuse_oldest(), "the newest commit is never refused");
        registry.publish(Lsn(12));
        assert!(registry.refuse_oldest() && registry.is_refused(Lsn(9)));
        assert_eq!(registry.horizon(), Lsn(12));
    }

    #[test]
    fn the_horizon_waits_for_a_snapshot_that_is_being_taken() {
        let registry = SnapshotRegistry::new(Lsn(5));
        let slot = registry.add_slot();
        slot.0.store(STARTING, Ordering::SeqCst);
        std::thread::scope(|scope| {
            let horizon = scope.spawn(|| registry.horizon());
            slot.0.store(3, Ordering::SeqCst);
            assert_eq!(horizon.join().unwrap(), Lsn(3));
        });
    }

    #[test]
    fn no_thread_ever_holds_a_snapshot_below_a_horizon_that_was_returned() {
        let registry = SnapshotRegistry::new(Lsn(1));
        let oldest_allowed = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let slot = registry.add_slot();
                    for _ in 0..5_000 {
                        let taken = registry.take(&slot);
                        let allowed = oldest_allowed.load(Ordering::SeqCst);
                        assert!(taken.0 >= allowed, "snapshot {taken} below horizon {allowed}");
                        slot.release();
                    }
                });
            }
            scope.spawn(|| {
                for timestamp in 2..5_000 {
                    registry.publish(Lsn(timestamp));
                    oldest_allowed.fetch_max(registry.horizon().0, Ordering::SeqCst);
                }
            });
        });
    }
}

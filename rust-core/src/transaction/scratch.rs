//! What a transaction needs and the next one uses again: buffers, a snapshot slot, a lock owner.
//! Knows how they are made and kept. Knows nothing of what a transaction does with them.

use crate::common::ids::TreeId;
use crate::common::sync::{Arc, Mutex};
use crate::common::thread_number::thread_number;
use crate::transaction::append::AppendStreaks;
use crate::transaction::escalation::Escalation;
use crate::transaction::held_locks::HeldLocks;
use crate::transaction::links::Links;
use crate::transaction::lock_manager::LockOwner;
use crate::transaction::manager::TransactionManager;
use crate::transaction::moves::OwnMoves;
use crate::transaction::mvcc::DeclaredRun;
use crate::transaction::snapshot::SnapshotSlot;
use crate::transaction::write_set::WriteSet;
use crate::wal::entry::OperationBuffer;
use crossbeam::queue::ArrayQueue;
use smallvec::SmallVec;
use std::cell::Cell;

/// Shelves of the pool; threads share one by their number.
const SHELF_COUNT: usize = 64;
/// Scratches on a shelf, taken and put back without a mutex. A thread mostly finds the one that it used last, whose
/// lines are in its processor's cache and in no other.
const SHELF_SIZE: usize = 4;

/// Trees and how far their leaves are filled, in hundredths; `None`: as it is convenient.
pub(super) type Fills = SmallVec<[(TreeId, Option<u8>); 4]>;

/// See the module.
pub(super) struct Scratch {
    pub(super) slot: Arc<SnapshotSlot>,
    pub(super) owner: Arc<LockOwner>,
    pub(super) locks: HeldLocks,
    pub(super) streaks: AppendStreaks,
    pub(super) escalation: Escalation,
    pub(super) writes: WriteSet,
    /// Trees that were built, to be linked by the commit.
    pub(super) links: Links,
    /// How far trees are to be filled from this commit on.
    pub(super) fills: Fills,
    /// Rows that got another key.
    pub(super) moves: OwnMoves,
    pub(super) operations: OperationBuffer,
    pub(super) runs: Vec<DeclaredRun>,
    /// Trees in which the last commit left versions or ghosts to be dropped key by key.
    pub(super) versions_by_key: SmallVec<[TreeId; 8]>,
    /// For a value copied out of a page.
    pub(super) buffer: Cell<Vec<u8>>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("owner", &self.owner.id()).field("locks", &self.locks.len()).finish()
    }
}

impl Scratch {
    /// A new one, with a slot and an owner that live as long as the manager.
    pub(super) fn new(manager: &TransactionManager) -> Scratch {
        let owner = manager.locks.add_owner();
        Scratch {
            slot: manager.snapshots.add_slot_of(owner.id()),
            owner,
            locks: HeldLocks::new(&manager.memory),
            streaks: AppendStreaks::default(),
            escalation: Escalation::new(&manager.memory),
            writes: WriteSet::new(&manager.memory, manager.storage.sorted_runs()),
            links: Links::default(),
            fills: Fills::default(),
            moves: OwnMoves::new(&manager.memory),
            operations: OperationBuffer::new(),
            runs: Vec::new(),
            versions_by_key: SmallVec::new(),
            buffer: Cell::default(),
        }
    }

    fn clear(&mut self) {
        self.writes.clear();
        self.links.truncate(0);
        self.fills.clear();
        self.moves.truncate(0);
        self.operations.clear();
        self.operations.shrink();
        self.runs.clear();
        self.streaks.clear();
        self.escalation.released_to(0);
        self.owner.set_session(0);
    }
}

/// Scratches that nobody uses. Threads: any.
pub(super) struct ScratchPool {
    shelves: Box<[ArrayQueue<Box<Scratch>>]>,
    /// Those beyond the shelves; their slots and owners are never given up.
    #[allow(clippy::vec_box, reason = "the boxes move between here, the shelves and transactions")]
    overflow: Mutex<Vec<Box<Scratch>>>,
}

impl Default for ScratchPool {
    fn default() -> ScratchPool {
        ScratchPool {
            shelves: (0..SHELF_COUNT).map(|_| ArrayQueue::new(SHELF_SIZE)).collect(),
            overflow: Mutex::default(),
        }
    }
}

impl ScratchPool {
    pub(super) fn pop(&self) -> Option<Box<Scratch>> {
        self.shelf().pop().or_else(|| self.overflow.lock().pop())
    }

    pub(super) fn push(&self, mut scratch: Box<Scratch>) {
        scratch.clear();
        if let Err(scratch) = self.shelf().push(scratch) {
            self.overflow.lock().push(scratch);
        }
    }

    fn shelf(&self) -> &ArrayQueue<Box<Scratch>> {
        &self.shelves[thread_number() % SHELF_COUNT]
    }
}

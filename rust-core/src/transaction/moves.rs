//! Rows that came under another key, or made room for another row: what became of a row that somebody waited for.
//!
//! A commit tells its moves before its locks go, and they are kept as long as a snapshot shows a row under its old key.
//! What is told is a help and no more: of very many moves in one transaction the later ones are not kept, and their rows
//! count as gone.
//! Knows keys of eight bytes. Knows nothing of rows.

use crate::common::ids::{Lsn, TreeId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::atomic::{AtomicUsize, Ordering};
use crate::common::sync::{Arc, RwLock};
use crate::error::Result;

/// Moves of one transaction that are kept.
const MOVES_MAX: usize = 1 << 16;

/// A key that moves.
pub(super) type MovedKey = [u8; 8];

/// When something moved: by which commit, and as which of its moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MoveTime {
    /// The commit.
    pub(super) timestamp: Lsn,
    index: u32,
}

impl MoveTime {
    /// After every move that a snapshot sees.
    pub(super) fn of_snapshot(timestamp: Lsn) -> MoveTime {
        MoveTime { timestamp, index: u32::MAX }
    }
}

#[derive(Clone, Copy, Debug)]
struct Move {
    tree: TreeId,
    from: MovedKey,
    index: u32,
    /// `None`: nowhere, and another row is under the key.
    to: Option<MovedKey>,
}

/// What one transaction has moved so far.
#[derive(Debug)]
pub(super) struct OwnMoves {
    moves: Vec<Move>,
    memory: Reservation,
}

impl OwnMoves {
    pub(super) fn new(memory: &Arc<MemoryAccount>) -> OwnMoves {
        OwnMoves { moves: Vec::new(), memory: memory.reservation() }
    }

    pub(super) fn len(&self) -> usize {
        self.moves.len()
    }

    pub(super) fn add(&mut self, tree: TreeId, from: MovedKey, to: Option<MovedKey>) -> Result<()> {
        if self.moves.len() >= MOVES_MAX {
            return Ok(());
        }
        if self.moves.len() == self.moves.capacity() {
            let more = self.moves.len().max(4);
            self.memory.grow(more * size_of::<Move>())?;
            self.moves.reserve_exact(more);
        }
        self.moves.push(Move { tree, from, index: self.moves.len() as u32, to });
        Ok(())
    }

    /// Takes back all but the first `count`.
    pub(super) fn truncate(&mut self, count: usize) {
        self.moves.truncate(count);
    }
}

#[derive(Debug)]
struct Batch {
    timestamp: Lsn,
    /// By tree, key and order.
    moves: Vec<Move>,
    _memory: Reservation,
}

/// The moves of commits that not every snapshot sees.
#[derive(Debug, Default)]
pub(super) struct Moves {
    count: AtomicUsize,
    batches: RwLock<Vec<Batch>>,
}

impl Moves {
    /// Tells what commit `timestamp` moved; to be called before its locks go.
    pub(super) fn publish(&self, timestamp: Lsn, own: &mut OwnMoves, memory: &Arc<MemoryAccount>) {
        if own.moves.is_empty() {
            return;
        }
        let OwnMoves { mut moves, memory } = std::mem::replace(own, OwnMoves::new(memory));
        moves.sort_unstable_by_key(|one| (one.tree, one.from, one.index));
        self.batches.write().push(Batch { timestamp, moves, _memory: memory });
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Forgets what every snapshot sees.
    pub(super) fn prune(&self, horizon: Lsn) {
        if self.count.load(Ordering::Acquire) > 0 {
            let mut batches = self.batches.write();
            batches.retain(|batch| batch.timestamp > horizon);
            self.count.store(batches.len(), Ordering::Release);
        }
    }

    /// Where the first move of a key after `since` took it, and when.
    pub(super) fn find(
        &self,
        tree: TreeId,
        from: MovedKey,
        since: MoveTime,
    ) -> Option<(Option<MovedKey>, MoveTime)> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let batches = self.batches.read();
        let found = batches.iter().filter(|batch| batch.timestamp >= since.timestamp).filter_map(|batch| {
            let time = |one: &Move| MoveTime { timestamp: batch.timestamp, index: one.index };
            let is_before = |one: &Move| {
                (one.tree, one.from) < (tree, from)
                    || (one.tree, one.from) == (tree, from) && time(one) <= since
            };
            let one = batch.moves.get(batch.moves.partition_point(is_before))?;
            ((one.tree, one.from) == (tree, from)).then(|| (one.to, time(one)))
        });
        found.min_by_key(|(_, time)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> MovedKey {
        number.to_be_bytes()
    }

    #[test]
    fn a_row_is_followed_from_commit_to_commit_and_within_one() {
        let memory = MemoryAccount::new(1 << 20);
        let (moves, tree) = (Moves::default(), TreeId(7));
        let mut own = OwnMoves::new(&memory);
        own.add(tree, key(1), Some(key(2))).unwrap();
        own.add(tree, key(2), Some(key(3))).unwrap();
        own.add(tree, key(9), None).unwrap();
        own.truncate(2);
        moves.publish(Lsn(10), &mut own, &memory);
        own.add(tree, key(3), Some(key(1))).unwrap();
        moves.publish(Lsn(20), &mut own, &memory);
        let mut at = (key(1), MoveTime::of_snapshot(Lsn(5)));
        let mut places = Vec::new();
        while let Some((Some(next), time)) = moves.find(tree, at.0, at.1) {
            places.push((u64::from_be_bytes(next), time.timestamp.0));
            at = (next, time);
        }
        assert_eq!(places, [(2, 10), (3, 10), (1, 20)]);
        assert_eq!(moves.find(tree, key(9), MoveTime::of_snapshot(Lsn(5))), None, "it was taken back");
        assert_eq!(moves.find(TreeId(8), key(1), MoveTime::of_snapshot(Lsn(5))), None);
        assert_eq!(moves.find(tree, key(1), MoveTime::of_snapshot(Lsn(10))), None, "the snapshot sees it");
        moves.prune(Lsn(10));
        assert_eq!(moves.find(tree, key(1), MoveTime::of_snapshot(Lsn(5))), None);
        moves.prune(Lsn(20));
        assert_eq!(moves.count.load(Ordering::Relaxed), 0);
    }
}

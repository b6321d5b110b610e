//! Keys that a transaction adds in ascending order, one after the other: it notices them, and reserves the keys that
//! come next, so that each of them needs neither a look into the lock table nor one into the tree. Those that it
//! changes in that order need no entry in the lock table either.
//! Knows keys as numbers. Knows nothing of rows.
//!
//! The order matters: a stretch is reserved first, and only then the tree is looked at. Whoever committed a key of
//! the stretch had locked it before, so either that lock was seen or the key is.

use crate::common::ids::TreeId;
use crate::error::Result;
use crate::storage::{Tree, TreeCursor};
use crate::transaction::lock_run::run_number;
use crate::transaction::manager::TransactionManager;
use crate::transaction::scratch::Scratch;
use crate::transaction::types::RowLockMode;
use smallvec::SmallVec;
use std::ops::Bound;

/// Keys in a row before any are reserved.
const STREAK_LENGTH_MIN: u32 = 16;
/// Trees that are watched at once.
const STREAK_COUNT: usize = 8;
/// Stretches end at a multiple of this many keys.
const STRETCH_KEYS: u64 = 256;

/// How long keys have been following each other in one tree.
#[derive(Clone, Copy, Debug)]
struct Streak {
    tree: TreeId,
    next: u64,
    length: u32,
}

/// The trees that the transaction has added keys to lately.
#[derive(Debug, Default)]
pub(super) struct AppendStreaks {
    streaks: SmallVec<[Streak; STREAK_COUNT]>,
    oldest: usize,
    /// Of keys that are changed.
    changed: Option<Streak>,
}

impl AppendStreaks {
    pub(super) fn clear(&mut self) {
        self.streaks.clear();
        self.changed = None;
    }

    /// Notes a key; how many came in a row before it.
    fn note(&mut self, tree: TreeId, number: u64) -> u32 {
        let next = number.wrapping_add(1);
        if let Some(streak) = self.streaks.iter_mut().find(|streak| streak.tree == tree) {
            let length = if streak.next == number { streak.length } else { 0 };
            *streak = Streak { tree, next, length: length.saturating_add(1) };
            return length;
        }
        let streak = Streak { tree, next, length: 1 };
        if self.streaks.len() < STREAK_COUNT {
            self.streaks.push(streak);
        } else {
            self.oldest = (self.oldest + 1) % STREAK_COUNT;
            self.streaks[self.oldest] = streak;
        }
        0
    }

    /// Notes a key that is changed; how many came in a row before it.
    fn note_changed(&mut self, tree: TreeId, number: u64) -> u32 {
        let goes_on = self.changed.filter(|streak| streak.tree == tree && streak.next == number);
        let length = goes_on.map_or(0, |streak| streak.length);
        let next = number.wrapping_add(1);
        self.changed = Some(Streak { tree, next, length: length.saturating_add(1) });
        length
    }

    /// Ends the streak of a tree: it would be of no use to try again at once.
    fn forget(&mut self, tree: TreeId) {
        self.streaks.retain(|streak| streak.tree != tree);
    }
}

/// See [`super::transaction::Transaction::lock_fresh_key`].
pub(super) fn lock_fresh_key(
    manager: &TransactionManager,
    scratch: &mut Scratch,
    tree: &Tree,
    key: &[u8],
) -> Result<bool> {
    let Some(number) = run_number(key) else { return Ok(false) };
    if scratch.streaks.note(tree.id(), number) < STREAK_LENGTH_MIN {
        return Ok(false);
    }
    let at = (tree.id(), number);
    // Reserved first, looked at after: see the module.
    let is_locked = go_on(manager, scratch, at, RowLockMode::Update, |end| first_key(tree, number, end))?;
    if !is_locked {
        scratch.streaks.forget(tree.id());
    }
    Ok(is_locked)
}

/// Locks a key as the next one of a run of keys that the transaction changes one after the other; false: it is none, or
/// somebody has locked it.
pub(super) fn lock_next_key(
    manager: &TransactionManager,
    scratch: &mut Scratch,
    tree: TreeId,
    key: &[u8],
    mode: RowLockMode,
) -> Result<bool> {
    let Some(number) = run_number(key) else { return Ok(false) };
    if scratch.streaks.note_changed(tree, number) < STREAK_LENGTH_MIN {
        return Ok(false);
    }
    let is_locked = go_on(manager, scratch, (tree, number), mode, Ok)?;
    if !is_locked {
        scratch.streaks.changed = None;
    }
    Ok(is_locked)
}

/// Locks a key as the next one of the run that ends before it. A stretch is reserved where the run has none left;
/// `cut` says where a reserved stretch that ends at a number has to end.
fn go_on(
    manager: &TransactionManager,
    scratch: &mut Scratch,
    (tree, number): (TreeId, u64),
    mode: RowLockMode,
    cut: impl FnOnce(u64) -> Result<u64>,
) -> Result<bool> {
    let Scratch { owner, locks, .. } = scratch;
    if manager.locks.extend_run(owner, locks, (tree, number), mode)? {
        return Ok(true);
    }
    let wanted = number..(number | (STRETCH_KEYS - 1)).saturating_add(1);
    let reserved = manager.locks.reserve_run(owner, tree, wanted, mode);
    if reserved <= number {
        return Ok(false);
    }
    // What was not looked at is not to be gone on into.
    let end = cut(reserved).inspect_err(|_| manager.locks.cut_reserve(owner, tree, number, number))?;
    if end < reserved {
        manager.locks.cut_reserve(owner, tree, number, end);
    }
    Ok(end > number && manager.locks.extend_run(owner, locks, (tree, number), mode)?)
}

/// The first key of the tree from `from` on and below `end`, ghosts included; `end`: there is none.
fn first_key(tree: &Tree, from: u64, end: u64) -> Result<u64> {
    let (lower, upper) = (from.to_be_bytes(), end.to_be_bytes());
    let mut cursor = TreeCursor::new(Bound::Included(&lower), Bound::Excluded(&upper), false);
    let mut key = Vec::new();
    let found = tree.visit(&mut cursor, |leaf, range| leaf.key_into(range.start, &mut key))?;
    Ok(found.and_then(|()| run_number(&key)).unwrap_or(end))
}

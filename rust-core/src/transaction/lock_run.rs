//! Runs of locks: consecutive keys of a tree that a transaction adds or changes, as one entry.
//! Knows keys as numbers. Knows nothing of what is in a tree.
//!
//! ```text
//!            first            next              reserved
//!  ────────────┼────────────────┼──────────────────┼────────────▶ key numbers
//!              │ locked         │ nobody's: the    │
//!              │ by the owner   │ owner may go on  │
//! ```
//! The owner takes the next key by moving `next`, under the stripe's mutex and nothing else. Before it reserves a
//! stretch it sees that no key of it is in the lock table; whoever asks for such a key later cuts the stretch
//! short. Whoever asks for a locked key puts the owner's lock on it into the lock table and waits there, so
//! that queues and the search for deadlocks know nothing of runs.

use crate::common::ids::TreeId;
use crate::common::sync::Mutex;
use crate::common::sync::atomic::{AtomicU32, Ordering};
use crate::error::Result;
use crate::transaction::held_locks::HeldLocks;
use crate::transaction::lock_manager::{LockManager, LockOwner, LockTarget};
use crate::transaction::lock_modes::Mode;
use crate::transaction::lock_set::LockSet;
use crate::transaction::types::RowLockMode;
use crossbeam::utils::CachePadded;
use std::ops::Range;

const STRIPE_COUNT: usize = 16;
/// Runs of one stripe at a time: more would make looking through them slow.
const RUNS_MAX: usize = 64;

/// The number of a key that runs can hold.
pub(super) fn run_number(key: &[u8]) -> Option<u64> {
    key.try_into().map(u64::from_be_bytes).ok()
}

/// See the module.
#[derive(Debug)]
pub(super) struct LockRun {
    pub(super) owner: u32,
    tree: TreeId,
    /// How the keys are locked.
    pub(super) mode: Mode,
    first: u64,
    next: u64,
    reserved: u64,
    /// Keys that are in the lock table as well, for those who wait for them.
    listed: Vec<u64>,
}

impl LockRun {
    /// Notes that a key of the run is in the lock table; false: it is there already.
    pub(super) fn list(&mut self, number: u64) -> bool {
        let is_new = !self.listed.contains(&number);
        if is_new {
            self.listed.push(number);
        }
        is_new
    }
}

/// The runs and sets of some trees.
#[derive(Debug, Default)]
pub(super) struct RunStripe {
    runs: Vec<LockRun>,
    pub(super) sets: Vec<LockSet>,
}

impl RunStripe {
    /// The run that has locked a key. A stretch that holds the key only in reserve ends before it from now on.
    pub(super) fn holding(&mut self, tree: TreeId, number: u64) -> Option<&mut LockRun> {
        let of_tree = |run: &LockRun| run.tree == tree && run.first <= number && number < run.reserved;
        let run = self.runs.iter_mut().find(|run| of_tree(run))?;
        if number < run.next {
            return Some(run);
        }
        run.reserved = number;
        None
    }

    /// The set that has locked a key.
    pub(super) fn set_holding(
        &mut self,
        tree: TreeId,
        number: Option<u64>,
        hash: u64,
    ) -> Option<&mut LockSet> {
        self.sets.iter_mut().find(|set| set.tree == tree && set.holds(number, hash))
    }

    fn of_owner(&mut self, owner: u32, tree: TreeId, next: u64) -> Option<&mut LockRun> {
        self.runs.iter_mut().find(|run| run.owner == owner && run.tree == tree && run.next == next)
    }
}

/// All runs. The counter of a stripe is above zero before any of its runs reserves a key.
#[derive(Debug, Default)]
pub(super) struct LockRuns {
    stripes: [CachePadded<(AtomicU32, Mutex<RunStripe>)>; STRIPE_COUNT],
}

impl LockRuns {
    fn entry(&self, tree: TreeId) -> &(AtomicU32, Mutex<RunStripe>) {
        &self.stripes[tree.0 as usize % STRIPE_COUNT]
    }

    /// How many runs and sets there are in the stripe of a tree.
    pub(super) fn counter(&self, tree: TreeId) -> &AtomicU32 {
        &self.entry(tree).0
    }

    /// Whether runs or sets may hold keys of a tree. To be asked under the mutex of the key's shard: whoever reserves counts
    /// first and takes that mutex after.
    pub(super) fn may_hold(&self, tree: TreeId) -> bool {
        self.entry(tree).0.load(Ordering::SeqCst) != 0
    }

    pub(super) fn stripe(&self, tree: TreeId) -> &Mutex<RunStripe> {
        &self.entry(tree).1
    }

    /// Owner, tree, mode and number of keys of every run and set, for people who look.
    pub(super) fn states(&self) -> Vec<(u32, TreeId, Mode, u64)> {
        let mut states = Vec::new();
        for stripe in &self.stripes {
            let stripe = stripe.1.lock();
            states
                .extend(stripe.runs.iter().map(|run| (run.owner, run.tree, run.mode, run.next - run.first)));
            states.extend(stripe.sets.iter().map(|set| (set.owner, set.tree, set.mode, set.len())));
        }
        states
    }
}

impl LockManager {
    /// Locks key `number` as the next one of the owner's run; false: the run has not reserved it.
    pub(super) fn extend_run(
        &self,
        owner: &LockOwner,
        held: &mut HeldLocks,
        (tree, number): (TreeId, u64),
        mode: RowLockMode,
    ) -> Result<bool> {
        held.reserve_one()?;
        let mut runs = self.runs.stripe(tree).lock();
        let run = runs.of_owner(owner.id, tree, number);
        let Some(run) = run.filter(|run| number < run.reserved && run.mode == Mode::from(mode)) else {
            return Ok(false);
        };
        run.next += 1;
        drop(runs);
        held.push_run_key(tree, number);
        Ok(true)
    }

    /// Reserves keys from `numbers.start` on for a run that goes on or begins there, up to the first that anybody has
    /// locked, at most to `numbers.end`. Gives where the reserved stretch ends; its start: nothing is reserved.
    pub(super) fn reserve_run(
        &self,
        owner: &LockOwner,
        tree: TreeId,
        numbers: Range<u64>,
        mode: RowLockMode,
    ) -> u64 {
        let mode = Mode::from(mode);
        let (counter, stripe) = self.runs.entry(tree);
        let mut runs = stripe.lock();
        let start = numbers.start;
        let mut end = numbers.end;
        let goes_on = |run: &LockRun| run.owner == owner.id && run.next == start;
        for run in runs.runs.iter().filter(|run| run.tree == tree && !goes_on(run)) {
            if run.first <= start && start < run.reserved {
                return start;
            }
            if run.first > start {
                end = end.min(run.first);
            }
        }
        if runs.of_owner(owner.id, tree, start).is_some_and(|run| run.mode != mode) {
            return start;
        }
        if runs.of_owner(owner.id, tree, start).is_none() {
            if runs.runs.len() >= RUNS_MAX {
                return start;
            }
            counter.fetch_add(1, Ordering::SeqCst);
            let listed = Vec::new();
            runs.runs.push(LockRun {
                owner: owner.id,
                tree,
                mode,
                first: start,
                next: start,
                reserved: start,
                listed,
            });
        }
        // Counted before looking: from now on whoever locks a key of this tree comes here first.
        let free = (start..end).take_while(|number| {
            let hash = self.hash(LockTarget::Row { tree, key: &number.to_be_bytes() });
            let in_set = |set: &LockSet| set.tree == tree && set.holds(Some(*number), hash);
            !runs.sets.iter().any(in_set) && !self.shard(hash).lock().entries.contains_key(&hash)
        });
        let end = start + free.count() as u64;
        if let Some(run) = runs.of_owner(owner.id, tree, start) {
            run.reserved = end;
        }
        self.remove_if_empty(&mut runs, owner, tree);
        end
    }

    /// Ends the reserved stretch of the owner's run that goes on at `next` before `end`.
    pub(super) fn cut_reserve(&self, owner: &LockOwner, tree: TreeId, next: u64, end: u64) {
        let mut runs = self.runs.stripe(tree).lock();
        if let Some(run) = runs.of_owner(owner.id, tree, next) {
            run.reserved = run.reserved.min(end).max(next);
        }
        self.remove_if_empty(&mut runs, owner, tree);
    }

    /// Gives back the keys of the owner's run from `end` on, and what it has in reserve.
    pub(super) fn cut_run(&self, owner: &LockOwner, tree: TreeId, end: u64) {
        let mut runs = self.runs.stripe(tree).lock();
        let is_meant = |run: &&mut LockRun| {
            run.owner == owner.id && run.tree == tree && run.first <= end && end < run.next
        };
        let Some(run) = runs.runs.iter_mut().find(is_meant) else { return };
        run.reserved = end;
        run.next = end;
        let modes = run.mode.set();
        run.listed.retain(|number| {
            if *number < end {
                return true;
            }
            let hash = self.hash(LockTarget::Row { tree, key: &number.to_be_bytes() });
            self.release_listed(owner.id, hash, modes);
            false
        });
        self.remove_if_empty(&mut runs, owner, tree);
    }

    fn remove_if_empty(&self, runs: &mut RunStripe, owner: &LockOwner, tree: TreeId) {
        let before = runs.runs.len();
        let is_empty = |run: &LockRun| run.owner == owner.id && run.tree == tree && run.first == run.reserved;
        runs.runs.retain(|run| !is_empty(run));
        self.runs.entry(tree).0.fetch_sub((before - runs.runs.len()) as u32, Ordering::SeqCst);
    }
}

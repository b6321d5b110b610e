//! What a transaction wrote: private until its commit, in key order, undone to any mark.
//! Knows trees and keys. Knows nothing of pages, versions of others or locks.
//!
//! Every write appends a *version* to one vector, which is also the journal: undoing to a mark pops from its
//! end. The entry of a key points at its newest version, each version at the one before it; a reader with
//! command number c follows to the newest version written by a command before c (Halloween protection).
//!
//! ```text
//!  tree ─┬─ run: versions in ascending key order (bulk inserts: one u32 a key)      versions (journal)
//!        │   [k1, k2, k5, k9] ──────────────────────────────────────────────▶ 0 1 2 3 …
//!        ├─ overlay: ordered map for the keys that came out of order ──────────▶ … 4 ─previous─▶ 1
//!        ├─ unordered: puts that nobody has looked at yet, instead of the other two ──▶ …
//!        └─ appended: rows under consecutive keys behind all others (see `append_run`); no journal, no versions
//! ```
//! What passes a bound in memory moves to temporary files as a whole (`spilled_writes`); the journal goes on in memory
//! behind it. Reads look in memory first.

use crate::common::ids::{CommandNumber, TreeId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::error::{Error, Result, SqlState};
use crate::storage::sorted_run::SortedRuns;
use crate::transaction::append_run::{AppendRun, RUN_ROW_BYTES};
use crate::transaction::byte_arena::{ArenaMark, ByteArena, Slice};
use crate::transaction::own_range::OwnRange;
use crate::transaction::spilled_writes::{
    APPENDED, Note, Spill, SpilledCursor, SpilledSize, SpilledVersion, SpilledWrites,
};
use crate::transaction::tree_commit::TreeCommit;
use crate::transaction::unordered::{Sorted, UNORDERED_BYTES, Unordered};
use crate::wal::entry::Operation;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

const NONE: u32 = u32::MAX;
/// Location of a version whose entry is in the overlay.
const OVERLAY: u32 = u32::MAX;
/// Location of a version that is among the unordered ones.
const UNORDERED: u32 = u32::MAX - 1;
/// The account is charged in steps of this many bytes; the first step stays charged between transactions.
const CHARGE_STEP_BYTES: usize = 16 << 10;
/// Vectors above this many elements are given back after the transaction.
const KEPT_ELEMENTS: usize = 1024;
/// Charged for an overlay entry above its version: the map's node and the inline key.
const OVERLAY_BYTES: usize = 64;
/// A write set moves to temporary files beyond this share of the memory limit …
const SPILL_SHARE: usize = 32;
/// … or beyond what a larger share has above so many bytes: what stays in memory commits several times as fast, and
/// where the limit is generous there is room for it.
const SPILL_GENEROUS_SHARE: usize = 2;
const SPILL_GENEROUS_BYTES: usize = 256 << 20;
/// Where memory is short, what has so many bytes moves to temporary files.
const SPILL_BYTES_MIN: usize = 256 << 10;
/// Above so many versions their vector grows by what is charged instead of doubling.
const DOUBLED_VERSIONS_MAX: usize = 1 << 14;

pub(super) type OverlayKey = SmallVec<[u8; 24]>;

/// A place in the journal of a write set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transaction) struct WriteMark {
    /// Number in the journal of the next version.
    versions: u64,
    /// Rows of all append runs.
    appended: u64,
    arena: ArenaMark,
}

/// An own write of a key, as a read sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnWrite<'a> {
    /// The key holds this value.
    Put(&'a [u8]),
    /// The key is gone.
    Delete,
    /// The key holds at least this number (8 bytes, big-endian); the committed value may be greater.
    Max(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    Delete,
    Max,
    CreateTree,
    DropTree,
    Message,
}

#[derive(Clone, Copy, Debug)]
struct Version {
    key: Slice,
    value: Slice,
    /// Index among the write set's trees.
    tree: u32,
    /// Index in the run, or `OVERLAY`.
    location: u32,
    previous: u32,
    command: CommandNumber,
    kind: Kind,
}

#[derive(Debug, Default)]
pub(super) struct TreeWrites {
    pub(super) id: TreeId,
    pub(super) created: bool,
    pub(super) dropped: bool,
    pub(super) run: Vec<u32>,
    pub(super) overlay: BTreeMap<OverlayKey, u32>,
    /// While there are any, `run` and `overlay` are empty.
    pub(super) unordered: Unordered,
    /// What stands in `run` and `overlay` under the same key is newer.
    pub(super) appended: AppendRun,
}

impl TreeWrites {
    fn is_empty(&self) -> bool {
        self.run.is_empty()
            && self.overlay.is_empty()
            && self.unordered.is_empty()
            && self.appended.is_empty()
    }
}

/// See the module. Reused from transaction to transaction.
#[derive(Debug)]
pub(super) struct WriteSet {
    versions: Vec<Version>,
    pub(super) arena: ByteArena,
    /// Whose append run grew by how many rows, in this order.
    append_order: Vec<(u32, u32)>,
    appended: usize,
    trees: Vec<TreeWrites>,
    /// Emptied ones, for the next transaction.
    spare: Vec<TreeWrites>,
    /// Index of the tree written last.
    last_tree: usize,
    /// Bytes used of what is charged.
    used: usize,
    /// Up to so many bytes nothing is to be charged or moved.
    used_max: usize,
    memory: Reservation,
    /// Journal number of the first version in memory.
    first_version: u64,
    /// Number of the first row of append runs in memory.
    first_appended: u64,
    spilled: Option<Box<SpilledWrites>>,
    /// Beyond so many bytes the set moves to temporary files.
    spill_bytes: usize,
    runs: SortedRuns,
}

impl WriteSet {
    pub(super) fn new(memory: &Arc<MemoryAccount>, runs: &SortedRuns) -> WriteSet {
        WriteSet {
            first_version: 0,
            first_appended: 0,
            spilled: None,
            spill_bytes: spill_bytes_for(memory.limit()),
            runs: runs.clone(),
            used_max: 0,
            versions: Vec::new(),
            arena: ByteArena::default(),
            append_order: Vec::new(),
            appended: 0,
            trees: Vec::new(),
            spare: Vec::new(),
            last_tree: 0,
            used: 0,
            memory: memory.reservation(),
        }
    }

    /// A set whose temporary files are in memory.
    #[cfg(test)]
    pub(super) fn new_in_memory(memory: &Arc<MemoryAccount>) -> WriteSet {
        WriteSet::new(memory, &SortedRuns::in_memory(memory))
    }

    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        let in_memory = self.versions.len() + self.appended;
        in_memory == 0 && self.spilled.as_ref().is_none_or(|spilled| spilled.is_empty())
    }

    /// Writes so far, an upper bound of the operations that a commit has.
    pub(super) fn len(&self) -> usize {
        self.versions.len() + self.appended + self.spilled_size().entries
    }

    /// Bytes of keys and values, and of the bookkeeping in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.used + self.spilled_size().bytes
    }

    /// Whether a part of the set is in temporary files.
    pub(super) fn is_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    fn spilled_size(&self) -> SpilledSize {
        self.spilled.as_ref().map_or_else(SpilledSize::default, |spilled| spilled.size())
    }

    /// For tests: moves to temporary files beyond so many bytes.
    #[cfg(test)]
    pub(super) fn set_spill_bytes(&mut self, bytes: usize) {
        self.spill_bytes = bytes;
        self.used_max = self.used_max.min(bytes);
    }

    pub(super) fn put(
        &mut self,
        tree: TreeId,
        key: &[u8],
        value: &[u8],
        command: CommandNumber,
    ) -> Result<()> {
        match self.tree_index(tree) {
            Some(index) if self.trees[index].appended.takes(key) => {
                // The vector of rows doubles.
                self.make_room(key.len() + value.len() + 2 * RUN_ROW_BYTES)?;
                // Making room may have ended the run.
                if self.trees[index].appended.takes(key) {
                    return self.append(index, key, value, command);
                }
                self.write(tree, key, Kind::Put, value, command)
            }
            _ => self.write(tree, key, Kind::Put, value, command),
        }
    }

    /// As [`WriteSet::put`], for keys that come in no order and are hardly read before the commit.
    pub(super) fn put_unordered(
        &mut self,
        tree: TreeId,
        key: &[u8],
        value: &[u8],
        command: CommandNumber,
    ) -> Result<()> {
        let index = self.tree_index_or_new(tree);
        let writes = &self.trees[index];
        let is_ordered = !writes.run.is_empty() || !writes.overlay.is_empty() || !writes.appended.is_empty();
        if is_ordered || writes.unordered.is_sorted() {
            return self.write(tree, key, Kind::Put, value, command);
        }
        self.make_room(2 * (key.len() + value.len()) + size_of::<Version>() + UNORDERED_BYTES)?;
        let next = self.versions.len() as u32;
        let (key, value) = (self.arena.push(key), self.arena.push(value));
        let (location, previous) = (UNORDERED, NONE);
        self.trees[index].unordered.push(next);
        let (tree, kind) = (index as u32, Kind::Put);
        self.versions.push(Version { key, value, tree, location, previous, command, kind });
        Ok(())
    }

    pub(super) fn delete(&mut self, tree: TreeId, key: &[u8], command: CommandNumber) -> Result<()> {
        self.write(tree, key, Kind::Delete, &[], command)
    }

    /// Raises a number; folded into what was written before, so that only a first write depends on the page.
    pub(super) fn max(
        &mut self,
        tree: TreeId,
        key: &[u8],
        number: u64,
        command: CommandNumber,
    ) -> Result<()> {
        let mut buffer = Vec::new();
        let before = match self.get(tree, key, None) {
            None => self.get_spilled(tree, key, None, &mut buffer)?,
            found => found,
        };
        let (kind, number) = match before {
            None => (Kind::Max, number),
            Some(OwnWrite::Delete) => (Kind::Put, number),
            Some(OwnWrite::Max(before)) => (Kind::Max, number.max(before)),
            Some(OwnWrite::Put(value)) => (Kind::Put, number.max(decode_number(value))),
        };
        self.write(tree, key, kind, &number.to_be_bytes(), command)
    }

    pub(super) fn create_tree(&mut self, tree: TreeId, command: CommandNumber) -> Result<()> {
        let index = self.tree_index_or_new(tree);
        self.note(index, Kind::CreateTree, &[], command)?;
        self.trees[index].created = true;
        Ok(())
    }

    pub(super) fn drop_tree(&mut self, tree: TreeId, command: CommandNumber) -> Result<()> {
        let index = self.tree_index_or_new(tree);
        if !self.trees[index].dropped {
            self.note(index, Kind::DropTree, &[], command)?;
            self.trees[index].dropped = true;
        }
        Ok(())
    }

    pub(super) fn message(&mut self, data: &[u8], command: CommandNumber) -> Result<()> {
        self.note(0, Kind::Message, data, command)
    }

    /// Whether the transaction made this tree.
    pub(super) fn is_created(&self, tree: TreeId) -> bool {
        self.tree_index(tree).is_some_and(|index| self.trees[index].created)
    }

    /// Trees written to that exist already.
    pub(super) fn committed_trees(&self) -> impl Iterator<Item = TreeId> + '_ {
        self.trees
            .iter()
            .enumerate()
            .filter(|(index, writes)| {
                !writes.created && (writes.dropped || !writes.is_empty() || self.has_spilled(*index))
            })
            .map(|(_, writes)| writes.id)
    }

    /// Whether any key of the tree was written.
    pub(super) fn has_writes(&self, tree: TreeId) -> bool {
        self.tree_index(tree).is_some_and(|index| !self.trees[index].is_empty() || self.has_spilled(index))
    }

    fn has_spilled(&self, index: usize) -> bool {
        self.spilled.as_ref().is_some_and(|spilled| spilled.has_tree(index))
    }

    /// Whether writes of the tree are in temporary files.
    pub(super) fn is_spilled_in(&self, tree: TreeId) -> bool {
        self.is_spilled() && self.tree_index(tree).is_some_and(|index| self.has_spilled(index))
    }

    /// Whether every key written to the tree is below `key`.
    pub(super) fn is_above_all(&self, tree: TreeId, key: &[u8]) -> bool {
        let Some(index) = self.tree_index(tree) else { return true };
        let writes = &self.trees[index];
        let bounds = self.spilled.as_ref().and_then(|spilled| spilled.bounds(index));
        writes.unordered.is_empty()
            && bounds.is_none_or(|(_, last)| last.as_slice() < key)
            && self.find_in_run(writes, key) == Err(writes.run.len())
            && writes.overlay.last_key_value().is_none_or(|(last, _)| last.as_slice() < key)
            && (writes.appended.is_empty() || writes.appended.keys().1.as_slice() < key)
    }

    /// What the temporary files say of a key that [`WriteSet::get`] finds nothing of; a value is put into `buffer`.
    /// # Errors
    /// `XX001`, I/O errors.
    pub(super) fn get_spilled<'b>(
        &self,
        tree: TreeId,
        key: &[u8],
        before: Option<CommandNumber>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<OwnWrite<'b>>> {
        match (&self.spilled, self.tree_index(tree)) {
            (Some(spilled), Some(index)) => spilled.get(index, key, before, buffer),
            _ => Ok(None),
        }
    }

    /// The writes of a tree that are in temporary files, from `from` on, of the commands before `before`. `None`: there
    /// are none; what `cursor` is is given back where it still reads all there is, past what it has read.
    /// # Errors
    /// `XX001`, I/O errors.
    pub(super) fn spilled_cursor(
        &self,
        tree: TreeId,
        from: Bound<&[u8]>,
        backward: bool,
        before: Option<CommandNumber>,
        cursor: Option<Box<SpilledCursor>>,
    ) -> Result<Option<Box<SpilledCursor>>> {
        let (Some(spilled), Some(index)) = (&self.spilled, self.tree_index(tree)) else { return Ok(None) };
        if let Some(cursor) = cursor.filter(|cursor| spilled.is_current(cursor)) {
            return Ok(Some(cursor));
        }
        if !spilled.has_tree(index) {
            return Ok(None);
        }
        spilled.cursor(index, from, backward, before).map(|cursor| Some(Box::new(cursor)))
    }

    /// How much of a tree is in temporary files, and its smallest and greatest key there.
    pub(super) fn spilled_tree(&self, tree: TreeId) -> Option<(SpilledSize, Vec<u8>, Vec<u8>)> {
        let (Some(spilled), Some(index)) = (&self.spilled, self.tree_index(tree)) else { return None };
        let (first, last) = spilled.bounds(index)?;
        Some((spilled.size_of(index), first, last))
    }

    /// The own write of a key: the newest, or the newest of the commands before `before`. Of what is in memory: see
    /// [`WriteSet::get_spilled`].
    pub(super) fn get(
        &self,
        tree: TreeId,
        key: &[u8],
        before: Option<CommandNumber>,
    ) -> Option<OwnWrite<'_>> {
        if self.trees.is_empty() {
            return None;
        }
        let writes = &self.trees[self.tree_index(tree)?];
        if !writes.unordered.is_empty() {
            let sorted = self.sorted(writes);
            let mut puts = sorted.range(Bound::Included(key), Bound::Included(key)).rev();
            let put = puts.find(|put| self.is_before(sorted.version(*put), before))?;
            return Some(OwnWrite::Put(sorted.value(put)));
        }
        let head = match self.find_in_run(writes, key) {
            Ok(index) => Some(writes.run[index]),
            Err(_) => writes.overlay.get(key).copied(),
        };
        head.and_then(|head| self.visible(head, before)).or_else(|| {
            let row = writes.appended.find(key)?;
            (row < writes.appended.rows_before(before))
                .then(|| OwnWrite::Put(writes.appended.entry(row, &self.arena).1))
        })
    }

    /// Own writes of a range in ascending (or descending) key order, of the commands before `before`.
    pub(super) fn range<'a>(
        &'a self,
        tree: TreeId,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        descending: bool,
        before: CommandNumber,
    ) -> OwnRange<'a> {
        let empty = OwnRange {
            set: self,
            run: &[],
            overlay: None,
            overlay_next: None,
            sorted: None,
            appended: None,
            descending,
            before,
        };
        let Some(index) = self.tree_index(tree) else { return empty };
        let writes = &self.trees[index];
        if is_empty_range(lower, upper) {
            return empty;
        }
        if !writes.unordered.is_empty() {
            let sorted = self.sorted(writes);
            return OwnRange { sorted: Some((sorted, sorted.range(lower, upper))), ..empty };
        }
        let place = |bound: Bound<&[u8]>, past_equal: bool| match bound {
            Bound::Unbounded => None,
            Bound::Included(key) | Bound::Excluded(key) => Some(match self.find_in_run(writes, key) {
                Ok(index) => index + usize::from(past_equal),
                Err(index) => index,
            }),
        };
        let from = place(lower, matches!(lower, Bound::Excluded(_))).unwrap_or(0);
        let to = place(upper, matches!(upper, Bound::Included(_))).unwrap_or(writes.run.len());
        let overlay = (!writes.overlay.is_empty()).then(|| writes.overlay.range::<[u8], _>((lower, upper)));
        let appended = (!writes.appended.is_empty()).then(|| {
            let rows = writes.appended.range(lower, upper);
            let end = rows.end.min(writes.appended.rows_before(Some(before)));
            (&writes.appended, rows.start..end.max(rows.start))
        });
        let mut range = OwnRange { run: &writes.run[from..to.max(from)], overlay, appended, ..empty };
        range.advance_overlay();
        range
    }

    /// The present end of the journal.
    pub(super) fn mark(&self) -> WriteMark {
        WriteMark {
            versions: self.first_version + self.versions.len() as u64,
            appended: self.first_appended + self.appended as u64,
            arena: self.arena.mark(),
        }
    }

    /// Undoes every write after `mark`, newest first.
    pub(super) fn undo_to(&mut self, mark: WriteMark) {
        if mark.versions < self.first_version || mark.appended < self.first_appended {
            return self.undo_spilled(mark);
        }
        let kept = (mark.versions - self.first_version) as usize;
        let kept_appended = (mark.appended - self.first_appended) as usize;
        self.undo_in_memory(kept, kept_appended);
        if kept + kept_appended > 0 {
            self.arena.truncate(mark.arena);
        } else {
            // The mark may be from before everything moved to temporary files.
            self.arena.clear();
            self.used = 0;
        }
    }

    /// As [`WriteSet::undo_to`], where the mark lies before what is in memory.
    fn undo_spilled(&mut self, mark: WriteMark) {
        let end = self.mark();
        self.undo_in_memory(0, 0);
        self.arena.clear();
        self.used = 0;
        (self.first_version, self.first_appended) = (end.versions, end.appended);
        let Some(spilled) = &mut self.spilled else { return };
        let trees = &mut self.trees;
        spilled.undo(mark.versions..end.versions, mark.appended..end.appended, |note| {
            match (note.kind, trees.get_mut(note.tree as usize)) {
                (Kind::CreateTree, Some(writes)) => writes.created = false,
                (Kind::DropTree, Some(writes)) => writes.dropped = false,
                _ => {}
            }
        });
    }

    /// Undoes all versions in memory but the first `kept`, and all rows of append runs but the first `kept_appended`.
    fn undo_in_memory(&mut self, kept: usize, kept_appended: usize) {
        while self.versions.len() > kept {
            let Some(version) = self.versions.pop() else { break };
            let Some(writes) = self.trees.get_mut(version.tree as usize) else { continue };
            match version.kind {
                Kind::CreateTree => writes.created = false,
                Kind::DropTree => writes.dropped = false,
                Kind::Message => {}
                Kind::Put | Kind::Delete | Kind::Max => match (version.location, version.previous) {
                    (UNORDERED, _) => {
                        let newest = writes.unordered.pop();
                        assert_eq!(newest, Some(self.versions.len() as u32), "the newest put goes first");
                    }
                    (OVERLAY, NONE) => {
                        writes.overlay.remove(self.arena.get(version.key));
                    }
                    (OVERLAY, previous) => {
                        if let Some(head) = writes.overlay.get_mut(self.arena.get(version.key)) {
                            *head = previous;
                        }
                    }
                    (index, NONE) => {
                        assert_eq!(index as usize + 1, writes.run.len(), "a run is undone from its end");
                        writes.run.pop();
                    }
                    (index, previous) => writes.run[index as usize] = previous,
                },
            }
        }
        while let Some((tree, rows)) = self.append_order.last_mut().filter(|_| self.appended > kept_appended)
        {
            let undone = (*rows as usize).min(self.appended - kept_appended);
            self.trees[*tree as usize].appended.pop(undone);
            self.appended -= undone;
            *rows -= undone as u32;
            if *rows == 0 {
                self.append_order.pop();
            }
        }
    }

    /// Application records, in the order they were written.
    pub(super) fn messages(&self) -> impl Iterator<Item = Operation<'_>> {
        let notes = self.spilled.iter().flat_map(|spilled| &spilled.notes);
        let spilled = notes.filter(|note| note.kind == Kind::Message).map(|note| &*note.data);
        let messages = self.versions.iter().filter(|version| version.kind == Kind::Message);
        let messages = messages.map(|version| self.arena.get(version.value));
        spilled.chain(messages).map(|data| Operation::Message { data })
    }

    /// The trees that a commit has something to do with, in the order they were first written.
    pub(super) fn trees(&self) -> impl Iterator<Item = TreeCommit<'_>> {
        let is_meant = |(index, writes): &(usize, &TreeWrites)| match (writes.created, writes.dropped) {
            (true, true) => false,
            // What was undone leaves a tree with nothing.
            (false, false) => !writes.is_empty() || self.has_spilled(*index),
            _ => true,
        };
        self.trees.iter().enumerate().filter(is_meant).map(|(_, writes)| TreeCommit { set: self, writes })
    }

    /// Runs of keys that count up by one (see [`is_successor`]), at least `length_min` long, all of them puts:
    /// (tree, created here, first key, last key, count).
    pub(super) fn consecutive_runs(
        &self,
        length_min: usize,
        mut each: impl FnMut(TreeId, bool, &[u8], &[u8], usize) -> Result<()>,
    ) -> Result<()> {
        for commit in self.trees().filter(|commit| !commit.is_dropped()) {
            let writes = commit.writes;
            let appended = commit.appended();
            if appended.is_none() && writes.run.len() < length_min {
                continue;
            }
            let key = |index: usize| self.entry(writes.run[index]).0;
            let is_put = |index: usize| self.kind(writes.run[index]) == Kind::Put;
            let mut first = 0;
            for index in 1..writes.run.len() {
                if !(is_put(index) && is_put(index - 1) && is_successor(key(index - 1), key(index))) {
                    if index - first >= length_min {
                        each(writes.id, writes.created, key(first), key(index - 1), index - first)?;
                    }
                    first = index;
                }
            }
            let count = writes.run.len() - first;
            let Some(rows) = appended else {
                if count >= length_min {
                    each(writes.id, writes.created, key(first), key(first + count - 1), count)?;
                }
                continue;
            };
            let (from, to) = rows.keys();
            match count.checked_sub(1).map(|last| first + last) {
                Some(last) if is_put(last) && is_successor(key(last), &from) => {
                    each(writes.id, writes.created, key(first), &to, count + rows.len())?;
                }
                last => {
                    if let Some(last) = last.filter(|_| count >= length_min) {
                        each(writes.id, writes.created, key(first), key(last), count)?;
                    }
                    each(writes.id, writes.created, &from, &to, rows.len())?;
                }
            }
        }
        Ok(())
    }

    /// Forgets everything; keeps a little memory for the next transaction.
    pub(super) fn clear(&mut self) {
        self.spilled = None;
        (self.first_version, self.first_appended) = (0, 0);
        self.versions.clear();
        if self.versions.capacity() > KEPT_ELEMENTS {
            self.versions = Vec::new();
        }
        self.arena.clear();
        self.append_order = Vec::new();
        self.appended = 0;
        for mut writes in self.trees.drain(..) {
            if writes.run.capacity() <= KEPT_ELEMENTS && self.spare.len() < 8 {
                writes.run.clear();
                writes.overlay.clear();
                writes.unordered.clear(KEPT_ELEMENTS);
                writes.appended.clear();
                self.spare.push(writes);
            }
        }
        self.used = 0;
        self.last_tree = 0;
        if self.memory.bytes() > CHARGE_STEP_BYTES {
            self.memory.resize(CHARGE_STEP_BYTES).expect("shrinking a reservation never fails");
        }
        self.used_max = self.memory.bytes().min(self.spill_bytes);
    }

    /// Adds a row to the append run of a tree, which takes it.
    fn append(&mut self, index: usize, key: &[u8], value: &[u8], command: CommandNumber) -> Result<()> {
        match self.append_order.last_mut() {
            Some((tree, rows)) if *tree as usize == index && *rows < u32::MAX => *rows += 1,
            _ => {
                self.charge(size_of::<(u32, u32)>())?;
                self.append_order.push((index as u32, 1));
            }
        }
        let row = self.arena.push_parts(key, value);
        self.trees[index].appended.push(row, command);
        self.appended += 1;
        self.last_tree = index;
        Ok(())
    }

    fn write(
        &mut self,
        tree: TreeId,
        key: &[u8],
        kind: Kind,
        value: &[u8],
        command: CommandNumber,
    ) -> Result<()> {
        self.make_room(key.len() + value.len() + size_of::<Version>() + size_of::<u32>())?;
        let index = self.tree_index_or_new(tree);
        if !self.trees[index].unordered.is_empty() {
            self.order(index)?;
        }
        let next = self.versions.len() as u32;
        let place = self.place(index, key);
        if matches!((&place, kind), (Place::AppendRun, Kind::Put))
            && self.trees[index].appended.begins_with(key)
        {
            return self.append(index, key, value, command);
        }
        self.trees[index].appended.note_write(key);
        let (key_slice, location, previous) = match place {
            Place::AppendRun => {
                let run = &mut self.trees[index].run;
                run.push(next);
                (None, run.len() as u32 - 1, NONE)
            }
            Place::Run(at) => {
                let previous = std::mem::replace(&mut self.trees[index].run[at], next);
                (Some(self.versions[previous as usize].key), at as u32, previous)
            }
            Place::Overlay(previous) => {
                if let Some(head) = self.trees[index].overlay.get_mut(key) {
                    *head = next;
                }
                (Some(self.versions[previous as usize].key), OVERLAY, previous)
            }
            Place::NewOverlay => {
                self.charge(OVERLAY_BYTES + key.len())?;
                self.trees[index].overlay.insert(OverlayKey::from_slice(key), next);
                (None, OVERLAY, NONE)
            }
        };
        let key = key_slice.unwrap_or_else(|| self.arena.push(key));
        let value = self.arena.push(value);
        self.versions.push(Version { key, value, tree: index as u32, location, previous, command, kind });
        Ok(())
    }

    /// Moves the unordered puts of a tree into its overlay.
    fn order(&mut self, index: usize) -> Result<()> {
        let mut unordered = std::mem::take(&mut self.trees[index].unordered);
        let sorted = unordered.sorted(|version| self.entry(version));
        let bytes: usize = (0..sorted.len()).map(|put| OVERLAY_BYTES + sorted.key(put).len()).sum();
        if let Err(error) = self.charge(bytes) {
            self.trees[index].unordered = unordered;
            return Err(error);
        }
        let mut heads: Vec<(OverlayKey, u32)> = Vec::with_capacity(sorted.len());
        for put in 0..sorted.len() {
            let version = sorted.version(put);
            self.versions[version as usize].location = OVERLAY;
            match heads.last_mut() {
                Some((key, head)) if key.as_slice() == sorted.key(put) => {
                    self.versions[version as usize].previous = *head;
                    *head = version;
                }
                _ => heads.push((OverlayKey::from_slice(sorted.key(put)), version)),
            }
        }
        unordered.clear(KEPT_ELEMENTS);
        let writes = &mut self.trees[index];
        writes.overlay = heads.into_iter().collect();
        writes.unordered = unordered;
        Ok(())
    }

    /// Key and value of a version.
    pub(super) fn entry(&self, version: u32) -> (&[u8], &[u8]) {
        let version = &self.versions[version as usize];
        (self.arena.get(version.key), self.arena.get(version.value))
    }

    /// What a version does to its key.
    pub(super) fn kind(&self, version: u32) -> Kind {
        self.versions[version as usize].kind
    }

    pub(super) fn sorted<'a>(&'a self, writes: &'a TreeWrites) -> &'a Sorted {
        writes.unordered.sorted(|version| self.entry(version))
    }

    pub(super) fn is_before(&self, version: u32, before: Option<CommandNumber>) -> bool {
        before.is_none_or(|before| self.versions[version as usize].command < before)
    }

    fn note(&mut self, tree: usize, kind: Kind, data: &[u8], command: CommandNumber) -> Result<()> {
        self.make_room(data.len() + size_of::<Version>())?;
        let value = self.arena.push(data);
        let key = Slice::default();
        self.versions.push(Version {
            key,
            value,
            tree: tree as u32,
            location: 0,
            previous: NONE,
            command,
            kind,
        });
        Ok(())
    }

    /// Makes room for a write that has not begun: what is in memory may move to temporary files.
    fn make_room(&mut self, bytes: usize) -> Result<()> {
        if self.used + bytes > self.used_max {
            self.make_more_room(bytes)?;
        }
        self.used += bytes;
        Ok(())
    }

    #[cold]
    fn make_more_room(&mut self, bytes: usize) -> Result<()> {
        if self.used + bytes > self.spill_bytes && self.versions.len() + self.appended > 0 {
            self.spill()?;
        }
        if self.used + bytes > self.memory.bytes()
            && let Err(error) = self.grow(bytes)
        {
            if self.used < SPILL_BYTES_MIN {
                return Err(error);
            }
            self.spill()?;
            self.give_memory_back();
            self.grow(bytes)?;
        }
        // A write that is larger than the bound alone does not move the bound.
        self.used_max = self.memory.bytes().min(self.spill_bytes);
        Ok(())
    }

    /// Charges for a part of a write that has begun.
    fn charge(&mut self, bytes: usize) -> Result<()> {
        if self.used + bytes > self.memory.bytes() {
            self.grow(bytes)?;
        }
        self.used += bytes;
        Ok(())
    }

    #[cold]
    fn grow(&mut self, bytes: usize) -> Result<()> {
        if self.versions.len() >= NONE as usize / 2 {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many writes in one transaction"));
        }
        // Larger sets charge in larger steps.
        let step = CHARGE_STEP_BYTES.max(self.used / 8).max(bytes);
        self.memory.grow(step)?;
        if self.versions.len() > DOUBLED_VERSIONS_MAX {
            self.versions.reserve_exact(step / size_of::<Version>() + 1);
        }
        Ok(())
    }

    fn give_memory_back(&mut self) {
        self.versions = Vec::new();
        self.memory.resize(0).expect("shrinking a reservation never fails");
    }

    /// Moves what is in memory to the temporary files, where a part of the set is there already: a commit reads it in
    /// one piece.
    /// # Errors
    /// `53100`, `53200`, I/O errors: nothing is lost.
    pub(super) fn spill_rest(&mut self) -> Result<()> {
        if self.is_spilled() {
            self.spill()?;
            self.give_memory_back();
            self.used_max = 0;
        }
        Ok(())
    }

    /// Moves what is in memory to temporary files.
    fn spill(&mut self) -> Result<()> {
        let mut spilled = self.spilled.take().unwrap_or_default();
        let mut spill = Spill::new();
        let written = (0..self.trees.len()).try_for_each(|tree| self.spill_tree(tree, &spilled, &mut spill));
        if let Err(error) = written {
            spill.undo();
            let was_spilled = self.first_version + self.first_appended > 0;
            self.spilled = Some(spilled).filter(|spilled| !spilled.is_empty() || was_spilled);
            return Err(error);
        }
        let end = self.mark();
        spilled.accept(spill, &self.runs);
        for (index, version) in self.versions.iter().enumerate() {
            if matches!(version.kind, Kind::CreateTree | Kind::DropTree | Kind::Message) {
                let sequence = self.first_version + index as u64;
                let data = self.arena.get(version.value).into();
                spilled.notes.push(Note { sequence, kind: version.kind, tree: version.tree, data });
            }
        }
        self.spilled = Some(spilled);
        (self.first_version, self.first_appended) = (end.versions, end.appended);
        self.versions.clear();
        self.arena.clear();
        for writes in &mut self.trees {
            writes.run.clear();
            writes.overlay.clear();
            writes.unordered.clear(KEPT_ELEMENTS);
            writes.appended.clear();
        }
        self.append_order = Vec::new();
        self.appended = 0;
        self.used = 0;
        Ok(())
    }

    fn spill_tree(&self, tree: usize, spilled: &SpilledWrites, spill: &mut Spill) -> Result<()> {
        let writes = &self.trees[tree];
        if writes.is_empty() {
            return Ok(());
        }
        let push = |spill: &mut Spill, version: u32| {
            let at = &self.versions[version as usize];
            let (key, value) = (self.arena.get(at.key), self.arena.get(at.value));
            let sequence = self.first_version + u64::from(version);
            spill.push(&SpilledVersion { key, value, kind: at.kind, sequence, command: at.command })
        };
        let keys = writes.run.len() + writes.overlay.len() + writes.unordered.len() + writes.appended.len();
        if !writes.unordered.is_empty() {
            let sorted = self.sorted(writes);
            spill.begin_tree(spilled, &self.runs, tree, sorted.key(0), keys);
            let mut from = 0;
            while from < sorted.len() {
                let same = (from..sorted.len()).take_while(|put| sorted.key(*put) == sorted.key(from));
                let to = from + same.count();
                (from..to).rev().try_for_each(|put| push(spill, sorted.version(put)))?;
                from = to;
            }
            return spill.end_tree();
        }
        let mut run = writes.run.iter().copied().peekable();
        let mut overlay = writes.overlay.iter().peekable();
        let mut rows = (0..writes.appended.len()).peekable();
        let mut row_numbers = self.row_numbers(tree);
        let mut begun = false;
        loop {
            let from_run = run.peek().map(|head| self.entry(*head).0);
            let from_overlay = overlay.peek().map(|(key, _)| key.as_slice());
            let from_rows = rows.peek().map(|row| writes.appended.entry(*row, &self.arena).0);
            let versions = match (from_run, from_overlay) {
                (Some(run), Some(overlay)) => Some(run.min(overlay)),
                (run, overlay) => run.or(overlay),
            };
            let key = match (versions, from_rows) {
                (Some(versions), Some(row)) => versions.min(row),
                (None, None) => return spill.end_tree(),
                (versions, row) => versions.or(row).unwrap_or_default(),
            };
            if !begun {
                begun = true;
                spill.begin_tree(spilled, &self.runs, tree, key, keys);
            }
            if versions == Some(key) {
                let is_run = from_run == Some(key);
                let head = if is_run { run.next() } else { overlay.next().map(|(_, head)| *head) };
                let mut version = head.unwrap_or(NONE);
                while version != NONE {
                    push(spill, version)?;
                    version = self.versions[version as usize].previous;
                }
            }
            // What stands among the versions is newer.
            if from_rows == Some(key)
                && let Some(row) = rows.next()
            {
                let (key, value) = writes.appended.entry(row, &self.arena);
                let sequence = row_numbers.next().unwrap_or_default() | APPENDED;
                let command = writes.appended.command(row);
                spill.push(&SpilledVersion { key, value, kind: Kind::Put, sequence, command })?;
            }
        }
    }

    /// The numbers of the rows in the append run of a tree, among those of all trees.
    fn row_numbers(&self, tree: usize) -> impl Iterator<Item = u64> + '_ {
        let mut next = self.first_appended;
        let stretches = self.append_order.iter().map(move |(of, rows)| {
            let start = next;
            next += u64::from(*rows);
            (*of as usize, start..next)
        });
        stretches.filter(move |(of, _)| *of == tree).flat_map(|(_, numbers)| numbers)
    }

    fn tree_index(&self, tree: TreeId) -> Option<usize> {
        match self.trees.get(self.last_tree) {
            Some(writes) if writes.id == tree => Some(self.last_tree),
            _ => self.trees.iter().position(|writes| writes.id == tree),
        }
    }

    fn tree_index_or_new(&mut self, tree: TreeId) -> usize {
        let index = self.tree_index(tree).unwrap_or_else(|| {
            let mut writes = self.spare.pop().unwrap_or_default();
            (writes.id, writes.created, writes.dropped) = (tree, false, false);
            self.trees.push(writes);
            self.trees.len() - 1
        });
        self.last_tree = index;
        index
    }

    fn run_key(&self, writes: &TreeWrites, index: usize) -> &[u8] {
        self.arena.get(self.versions[writes.run[index] as usize].key)
    }

    fn find_in_run(&self, writes: &TreeWrites, key: &[u8]) -> std::result::Result<usize, usize> {
        match writes.run.len() {
            0 => Err(0),
            count if self.run_key(writes, count - 1) < key => Err(count),
            _ => {
                writes.run.binary_search_by(|head| self.arena.get(self.versions[*head as usize].key).cmp(key))
            }
        }
    }

    /// Where a write of `key` goes.
    fn place(&self, tree: usize, key: &[u8]) -> Place {
        let writes = &self.trees[tree];
        let at = self.find_in_run(writes, key);
        if let Ok(index) = at {
            return Place::Run(index);
        }
        let is_past_run = at == Err(writes.run.len());
        let is_past_overlay = writes.overlay.last_key_value().is_none_or(|(last, _)| last.as_slice() < key);
        if is_past_run && is_past_overlay {
            return Place::AppendRun;
        }
        writes.overlay.get(key).map_or(Place::NewOverlay, |previous| Place::Overlay(*previous))
    }

    pub(super) fn visible(&self, head: u32, before: Option<CommandNumber>) -> Option<OwnWrite<'_>> {
        let mut version = &self.versions[head as usize];
        if let Some(before) = before {
            while version.command >= before {
                version = self.versions.get(version.previous as usize)?;
            }
        }
        let value = self.arena.get(version.value);
        Some(match version.kind {
            Kind::Put => OwnWrite::Put(value),
            Kind::Max => OwnWrite::Max(decode_number(value)),
            _ => OwnWrite::Delete,
        })
    }
}

/// Bytes that a write set may have in memory.
fn spill_bytes_for(memory_limit: usize) -> usize {
    let generous = (memory_limit / SPILL_GENEROUS_SHARE).saturating_sub(SPILL_GENEROUS_BYTES);
    generous.max(memory_limit / SPILL_SHARE)
}

enum Place {
    AppendRun,
    Run(usize),
    Overlay(u32),
    NewOverlay,
}

/// Whether no key of the same length lies between `key` and `next`: read as big-endian numbers, `next` is one
/// more. Keys shorter than a row id never are.
pub(super) fn is_successor(key: &[u8], next: &[u8]) -> bool {
    let Some((head, tail)) = key.split_last_chunk::<8>() else { return false };
    let Some((next_head, next_tail)) = next.split_last_chunk::<8>() else { return false };
    u64::from_be_bytes(*tail).checked_add(1) == Some(u64::from_be_bytes(*next_tail)) && head == next_head
}

/// The number in a counter's value; shorter values count as 0.
pub(super) fn decode_number(value: &[u8]) -> u64 {
    value.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Whether no key can lie between the bounds (`BTreeMap::range` panics on such).
pub(super) fn is_empty_range(lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> bool {
    match (lower, upper) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => {
            low >= high
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;

    const TREE: TreeId = TreeId(20);

    fn set() -> WriteSet {
        WriteSet::new_in_memory(&MemoryAccount::new(64 << 20))
    }

    fn at(command: u32) -> CommandNumber {
        CommandNumber(command)
    }

    #[test]
    fn a_read_sees_writes_of_earlier_commands_only() {
        let mut set = set();
        set.put(TREE, b"k", b"one", at(1)).unwrap();
        set.put(TREE, b"k", b"two", at(2)).unwrap();
        set.delete(TREE, b"k", at(3)).unwrap();
        assert_eq!(set.get(TREE, b"k", Some(at(1))), None);
        assert_eq!(set.get(TREE, b"k", Some(at(2))), Some(OwnWrite::Put(b"one")));
        assert_eq!(set.get(TREE, b"k", Some(at(3))), Some(OwnWrite::Put(b"two")));
        assert_eq!(set.get(TREE, b"k", Some(at(4))), Some(OwnWrite::Delete));
        assert_eq!(set.get(TREE, b"k", None), Some(OwnWrite::Delete));
    }

    #[test]
    fn max_folds_into_what_was_written_before() {
        let mut set = set();
        set.max(TREE, b"a", 5, at(1)).unwrap();
        set.max(TREE, b"a", 3, at(1)).unwrap();
        assert_eq!(set.get(TREE, b"a", None), Some(OwnWrite::Max(5)));
        set.delete(TREE, b"a", at(1)).unwrap();
        set.max(TREE, b"a", 2, at(1)).unwrap();
        assert_eq!(set.get(TREE, b"a", None), Some(OwnWrite::Put(&2u64.to_be_bytes())));
        set.max(TREE, b"a", 9, at(1)).unwrap();
        assert_eq!(set.get(TREE, b"a", None), Some(OwnWrite::Put(&9u64.to_be_bytes())));
    }

    #[test]
    fn a_tree_created_and_dropped_leaves_nothing_to_commit_and_a_dropped_one_only_its_drop() {
        let mut set = set();
        set.create_tree(TREE, at(1)).unwrap();
        set.put(TREE, b"k", b"v", at(1)).unwrap();
        set.drop_tree(TREE, at(2)).unwrap();
        set.put(TreeId(30), b"k", b"v", at(2)).unwrap();
        set.drop_tree(TreeId(30), at(3)).unwrap();
        let left: Vec<_> = set.trees().map(|writes| (writes.tree(), writes.is_dropped())).collect();
        assert_eq!(left, [(TreeId(30), true)]);
    }

    #[test]
    fn runs_of_consecutive_keys_are_found_and_end_where_a_key_is_missing_or_deleted() {
        let mut set = set();
        for key in (10u64..40).chain(50..60).chain(70..100) {
            set.put(TREE, &key.to_be_bytes(), b"v", at(1)).unwrap();
        }
        set.delete(TREE, &80u64.to_be_bytes(), at(1)).unwrap();
        let mut runs = Vec::new();
        set.consecutive_runs(16, |_, _, first, last, _| {
            runs.push((decode_number(first), decode_number(last)));
            Ok(())
        })
        .unwrap();
        assert_eq!(runs, [(10, 39), (81, 99)]);
    }

    #[test]
    fn beyond_the_memory_limit_a_write_is_refused_and_nothing_is_lost() {
        let account = MemoryAccount::new(100_000);
        let mut set = WriteSet::new_in_memory(&account);
        let mut written = 0u64;
        let error = loop {
            match set.put(TREE, &written.to_be_bytes(), &[7; 100], at(1)) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.state(), SqlState::OUT_OF_MEMORY);
        assert_eq!(newest(&set).len() as u64, written);
        set.clear();
        assert!(account.used() <= CHARGE_STEP_BYTES);
        drop(set);
        assert_eq!(account.used(), 0);
    }

    /// The newest state of all keys, wherever they are.
    fn newest(set: &WriteSet) -> Model {
        let plain = |write: OwnWrite<'_>| match write {
            OwnWrite::Put(value) => Some(value.to_vec()),
            _ => None,
        };
        let mut model = Model::new();
        let mut cursor = set.spilled_cursor(TREE, Bound::Unbounded, false, None, None).unwrap();
        while let Some(cursor) = &mut cursor
            && let Some((key, write)) = cursor.peek()
        {
            model.insert(key.to_vec(), plain(write));
            cursor.advance().unwrap();
        }
        for (key, write) in set.range(TREE, Bound::Unbounded, Bound::Unbounded, false, at(u32::MAX)) {
            model.insert(key.to_vec(), plain(write));
        }
        model
    }

    /// As the model below, in temporary files: several trees, some runs merged, some undone wholly and some in part.
    #[test]
    fn a_spilled_write_set_behaves_as_a_map_that_can_be_undone_to_any_mark() {
        let mut runs_met = false;
        for seed in 1..30 {
            let mut random = Random::new(seed);
            let (mut set, mut model) = (set(), Model::new());
            set.set_spill_bytes(100 << random.below(if seed % 3 == 0 { 10 } else { 6 }));
            let mut marks: Vec<(WriteMark, Model)> = Vec::new();
            let mut next_key = 500_000u64;
            for command in 1..150u32 {
                marks.push((set.mark(), model.clone()));
                // Every third seed is a tree that gets rows under keys that follow each other.
                for _ in 0..if seed % 3 == 0 { random.below(60) } else { 0 } {
                    let key = next_key.to_be_bytes().to_vec();
                    next_key += u64::from(random.below(400) > 0);
                    let value = random.next_u64().to_le_bytes().to_vec();
                    set.put(TREE, &key, &value, at(command)).unwrap();
                    runs_met |= set.trees.iter().any(|writes| writes.appended.len() > 20);
                    model.insert(key, Some(value));
                }
                for _ in 0..random.below(8) {
                    let key = if random.below(3) == 0 {
                        (1000 + u64::from(command) * 8 + random.below(8)).to_be_bytes().to_vec()
                    } else {
                        vec![random.below(40) as u8; 1 + random.below(3) as usize]
                    };
                    let value = vec![command as u8; random.below(30) as usize];
                    match random.below(6) {
                        0 => {
                            set.delete(TREE, &key, at(command)).unwrap();
                            model.insert(key, None);
                        }
                        1 => set.put(TreeId(21), &key, &value, at(command)).unwrap(),
                        2 => {
                            set.put_unordered(TREE, &key, &value, at(command)).unwrap();
                            model.insert(key, Some(value));
                        }
                        _ => {
                            set.put(TREE, &key, &value, at(command)).unwrap();
                            model.insert(key, Some(value));
                        }
                    }
                }
                if random.below(8) == 0 {
                    let index = marks.len() - 1 - random.below(marks.len().min(12) as u64) as usize;
                    let (mark, state) = marks[index].clone();
                    set.undo_to(mark);
                    model = state;
                    marks.truncate(index);
                }
                if command % 10 == 0 {
                    assert_eq!(newest(&set), model, "seed {seed}");
                    let mut buffer = Vec::new();
                    for (key, value) in &model {
                        let own = match set.get(TREE, key, None) {
                            None => set.get_spilled(TREE, key, None, &mut buffer).unwrap(),
                            found => found,
                        };
                        assert_eq!(
                            own,
                            Some(value.as_deref().map_or(OwnWrite::Delete, OwnWrite::Put)),
                            "seed {seed}"
                        );
                    }
                }
            }
            set.spill_rest().unwrap();
            let mut logged = Model::new();
            for writes in set.trees().filter(|writes| writes.tree() == TREE && writes.is_spilled()) {
                let mut operations = writes.spilled_operations().unwrap();
                while operations.next_block(7).unwrap() {
                    for operation in operations.block() {
                        let (key, value) = match operation {
                            Operation::Put { key, value, .. } => (key, Some(value.to_vec())),
                            Operation::Delete { key, .. } => (key, None),
                            other => panic!("{other:?}"),
                        };
                        assert!(logged.last_key_value().is_none_or(|(last, _)| last.as_slice() < key));
                        logged.insert(key.to_vec(), value);
                    }
                }
            }
            assert!(!set.is_spilled() || logged == model, "seed {seed}");
            set.undo_to(WriteMark { versions: 0, appended: 0, arena: ByteArena::default().mark() });
            assert!(set.is_empty() && newest(&set).is_empty(), "seed {seed}");
        }
        assert!(runs_met, "no seed came to an append run");
    }

    type Model = std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>>;

    fn content(
        set: &WriteSet,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        down: bool,
        before: u32,
    ) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        set.range(TREE, lower, upper, down, at(before))
            .map(|(key, write)| match write {
                OwnWrite::Put(value) => (key.to_vec(), Some(value.to_vec())),
                _ => (key.to_vec(), None),
            })
            .collect()
    }

    /// Writes, marks and undoes at random; every state is compared with a map of the same history.
    #[test]
    fn a_write_set_behaves_as_a_map_that_can_be_undone_to_any_mark() {
        let mut runs_met = false;
        for seed in 1..60 {
            let mut random = Random::new(seed);
            let (mut set, mut model) = (set(), Model::new());
            let mut marks: Vec<(WriteMark, Model, usize)> = Vec::new();
            let mut states: Vec<Model> = vec![Model::new()];
            let mut next_key = 500_000u64;
            for command in 1..40u32 {
                marks.push((set.mark(), model.clone(), command as usize));
                // Every third seed is a tree that gets rows under keys that follow each other.
                for _ in 0..if seed % 3 == 0 { random.below(60) } else { 0 } {
                    let key = next_key.to_be_bytes().to_vec();
                    next_key += u64::from(random.below(400) > 0);
                    let value = random.next_u64().to_le_bytes().to_vec();
                    set.put(TREE, &key, &value, at(command)).unwrap();
                    model.insert(key, Some(value));
                }
                runs_met |= set.trees.first().is_some_and(|writes| writes.appended.len() > 20);
                for _ in 0..random.below(8) {
                    let key = if seed % 3 == 0 && random.below(2) == 0 {
                        (500_000 + random.below(next_key - 499_999)).to_be_bytes().to_vec()
                    } else if seed % 3 == 0 || random.below(3) == 0 {
                        (1000 + u64::from(command) * 8 + random.below(8)).to_be_bytes().to_vec()
                    } else {
                        vec![random.below(40) as u8; 1 + random.below(3) as usize]
                    };
                    // Every second seed is a tree that mostly gets unordered puts and is looked at now and then.
                    if random.below(if seed % 2 == 0 { 60 } else { 4 }) == 0 {
                        set.delete(TREE, &key, at(command)).unwrap();
                        model.insert(key, None);
                    } else {
                        let value = random.next_u64().to_le_bytes().to_vec();
                        if seed % 2 == 0 {
                            set.put_unordered(TREE, &key, &value, at(command)).unwrap();
                        } else {
                            set.put(TREE, &key, &value, at(command)).unwrap();
                        }
                        model.insert(key, Some(value));
                    }
                }
                if random.below(5) == 0 {
                    let index = random.below(marks.len() as u64) as usize;
                    let (mark, state, first_undone) = marks[index].clone();
                    set.undo_to(mark);
                    model = state;
                    marks.truncate(index);
                    // States of commands that were undone are those at the mark.
                    for old in states.iter_mut().skip(first_undone) {
                        old.clone_from(&model);
                    }
                }
                states.push(model.clone());
                if seed % 4 == 0 && command % 13 != 0 {
                    continue;
                }
                let (low, high) = (vec![random.below(40) as u8], vec![random.below(40) as u8, 1]);
                let (lower, upper) = (Bound::Excluded(&low[..]), Bound::Included(&high[..]));
                let newest: Vec<_> = model.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
                assert_eq!(
                    content(&set, Bound::Unbounded, Bound::Unbounded, false, command + 1),
                    newest,
                    "seed {seed}"
                );
                let earlier = random.below(u64::from(command)) as usize;
                let mut expected: Vec<_> = states[earlier]
                    .iter()
                    .filter(|(key, _)| key[..] > low[..] && key[..] <= high[..])
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                assert_eq!(content(&set, lower, upper, false, earlier as u32 + 1), expected, "seed {seed}");
                expected.reverse();
                assert_eq!(content(&set, lower, upper, true, earlier as u32 + 1), expected, "seed {seed}");
                for (key, value) in &states[earlier] {
                    let own = match set.get(TREE, key, Some(at(earlier as u32 + 1))) {
                        Some(OwnWrite::Put(value)) => Some(value.to_vec()),
                        _ => None,
                    };
                    assert_eq!(own, *value, "seed {seed}");
                }
            }
            let logged: Vec<_> = set
                .trees()
                .flat_map(|writes| {
                    let rows = (0..writes.appended().map_or(0, AppendRun::len)).map(move |row| {
                        let (key, value) = writes.appended_entry(row);
                        Operation::Put { tree: TREE, key, value }
                    });
                    writes.operations().chain(rows)
                })
                .map(|operation| match operation {
                    Operation::Put { key, value, .. } => (key.to_vec(), Some(value.to_vec())),
                    Operation::Delete { key, .. } => (key.to_vec(), None),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(logged, model.into_iter().collect::<Vec<_>>(), "seed {seed}");
        }
        assert!(runs_met, "no seed came to an append run");
    }
}

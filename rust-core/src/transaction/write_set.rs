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

use crate::common::ids::{CommandNumber, TreeId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::error::{Error, Result, SqlState};
use crate::transaction::append_run::{AppendRun, RUN_ROW_BYTES};
use crate::transaction::byte_arena::{ArenaMark, ByteArena, Slice};
use crate::transaction::own_range::OwnRange;
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

pub(super) type OverlayKey = SmallVec<[u8; 24]>;

/// A place in the journal of a write set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transaction) struct WriteMark {
    versions: usize,
    /// Rows of all append runs.
    appended: usize,
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
    memory: Reservation,
}

impl WriteSet {
    pub(super) fn new(memory: &Arc<MemoryAccount>) -> WriteSet {
        WriteSet {
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

    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.appended == 0
    }

    /// Writes so far, an upper bound of the operations that a commit has.
    pub(super) fn len(&self) -> usize {
        self.versions.len() + self.appended
    }

    /// Bytes of keys, values and bookkeeping, about.
    pub(super) fn bytes(&self) -> usize {
        self.used
    }

    pub(super) fn put(
        &mut self,
        tree: TreeId,
        key: &[u8],
        value: &[u8],
        command: CommandNumber,
    ) -> Result<()> {
        match self.tree_index(tree) {
            Some(index) if self.trees[index].appended.takes(key) => self.append(index, key, value, command),
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
        self.charge(2 * (key.len() + value.len()) + size_of::<Version>() + UNORDERED_BYTES)?;
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
        let (kind, number) = match self.get(tree, key, None) {
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
            .filter(|writes| !writes.created && (writes.dropped || !writes.is_empty()))
            .map(|writes| writes.id)
    }

    /// Whether any key of the tree was written.
    pub(super) fn has_writes(&self, tree: TreeId) -> bool {
        self.tree_index(tree).is_some_and(|index| !self.trees[index].is_empty())
    }

    /// Whether every key written to the tree is below `key`.
    pub(super) fn is_above_all(&self, tree: TreeId, key: &[u8]) -> bool {
        let Some(writes) = self.tree_index(tree).map(|index| &self.trees[index]) else { return true };
        writes.unordered.is_empty()
            && self.find_in_run(writes, key) == Err(writes.run.len())
            && writes.overlay.last_key_value().is_none_or(|(last, _)| last.as_slice() < key)
            && (writes.appended.is_empty() || writes.appended.keys().1.as_slice() < key)
    }

    /// The own write of a key: the newest, or the newest of the commands before `before`.
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
        WriteMark { versions: self.versions.len(), appended: self.appended, arena: self.arena.mark() }
    }

    /// Undoes every write after `mark`, newest first.
    pub(super) fn undo_to(&mut self, mark: WriteMark) {
        while self.versions.len() > mark.versions {
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
        while let Some((tree, rows)) = self.append_order.last_mut().filter(|_| self.appended > mark.appended)
        {
            let undone = (*rows as usize).min(self.appended - mark.appended);
            self.trees[*tree as usize].appended.pop(undone);
            self.appended -= undone;
            *rows -= undone as u32;
            if *rows == 0 {
                self.append_order.pop();
            }
        }
        self.arena.truncate(mark.arena);
    }

    /// Application records, in the order they were written.
    pub(super) fn messages(&self) -> impl Iterator<Item = Operation<'_>> {
        let messages = self.versions.iter().filter(|version| version.kind == Kind::Message);
        messages.map(|version| Operation::Message { data: self.arena.get(version.value) })
    }

    /// The trees that a commit has something to do with, in the order they were first written.
    pub(super) fn trees(&self) -> impl Iterator<Item = TreeCommit<'_>> {
        self.trees
            .iter()
            .filter(|writes| !(writes.created && writes.dropped))
            .map(|writes| TreeCommit { set: self, writes })
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
    }

    /// Adds a row to the append run of a tree, which takes it.
    fn append(&mut self, index: usize, key: &[u8], value: &[u8], command: CommandNumber) -> Result<()> {
        self.charge(key.len() + value.len() + RUN_ROW_BYTES)?;
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
        self.charge(key.len() + value.len() + size_of::<Version>() + size_of::<u32>())?;
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
        self.charge(data.len() + size_of::<Version>())?;
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

    fn charge(&mut self, bytes: usize) -> Result<()> {
        if self.versions.len() >= NONE as usize {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many writes in one transaction"));
        }
        if self.used + bytes > self.memory.bytes() {
            // Larger sets charge in larger steps: vectors double, too.
            let step = CHARGE_STEP_BYTES.max(self.used / 8).max(bytes);
            self.memory.grow(step)?;
        }
        self.used += bytes;
        Ok(())
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
        WriteSet::new(&MemoryAccount::new(64 << 20))
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
        let mut set = WriteSet::new(&account);
        let mut written = 0u64;
        let error = loop {
            match set.put(TREE, &written.to_be_bytes(), &[7; 100], at(1)) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.state(), SqlState::OUT_OF_MEMORY);
        assert_eq!(set.range(TREE, Bound::Unbounded, Bound::Unbounded, false, at(2)).count() as u64, written);
        set.clear();
        assert!(account.used() <= CHARGE_STEP_BYTES);
        drop(set);
        assert_eq!(account.used(), 0);
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

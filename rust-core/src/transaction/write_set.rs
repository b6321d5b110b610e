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
//! What passes a bound in memory moves to temporary files as a whole (`spilling`, `spilled_writes`); the journal goes on in memory
//! behind it. Reads look in memory first.

mod changed;
mod journal;
mod memory;
mod reading;
mod spilling;

#[cfg(test)]
mod tests;

pub(in crate::transaction) use journal::WriteMark;
pub(in crate::transaction) use reading::is_successor;

use crate::common::ids::{CommandNumber, TreeId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::error::Result;
use crate::storage::sorted_run::SortedRuns;
use crate::transaction::append_run::{AppendRun, RUN_ROW_BYTES};
use crate::transaction::byte_arena::{ByteArena, Slice};
use crate::transaction::spilled_writes::SpilledWrites;
use crate::transaction::types::Parts;
use crate::transaction::unordered::{UNORDERED_BYTES, Unordered};
use changed::ChangedParts;
use memory::CHARGE_STEP_BYTES;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

const NONE: u32 = u32::MAX;
/// Location of a version whose entry is in the overlay.
const OVERLAY: u32 = u32::MAX;
/// Location of a version that is among the unordered ones.
const UNORDERED: u32 = u32::MAX - 1;
/// Vectors above this many elements are given back after the transaction.
const KEPT_ELEMENTS: usize = 1024;
/// Charged for an overlay entry above its version: the map's node and the inline key.
const OVERLAY_BYTES: usize = 64;

pub(super) type OverlayKey = SmallVec<[u8; 24]>;

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
    /// Of versions that change parts of a value, while somebody asks.
    changed: ChangedParts,
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
            spill_bytes: memory::spill_bytes_for(memory.limit()),
            runs: runs.clone(),
            used_max: 0,
            versions: Vec::new(),
            arena: ByteArena::default(),
            append_order: Vec::new(),
            appended: 0,
            changed: ChangedParts::default(),
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
        self.versions.len() + self.appended + self.spilled_size().keys()
    }

    /// Bytes of keys and values, and of the bookkeeping in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.used + self.spilled_size().bytes
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

    /// As [`WriteSet::put`], under a key that has a value already: only `parts` of it become others.
    pub(super) fn put_parts(
        &mut self,
        (tree, key): (TreeId, &[u8]),
        value: &[u8],
        parts: Parts,
        command: CommandNumber,
    ) -> Result<()> {
        self.make_room(ChangedParts::BYTES_EACH)?;
        let before = self.mark().versions;
        self.put(tree, key, value, command)?;
        // It may have become a row of an append run instead.
        if self.mark().versions > before {
            self.changed.push(self.versions.len() as u32 - 1, parts);
        }
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
        self.changed.clear();
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

    /// Bytes of the key and the value of a version.
    pub(super) fn entry_len(&self, version: u32) -> (usize, usize) {
        let version = &self.versions[version as usize];
        (version.key.len(), version.value.len())
    }

    /// What a version does to its key.
    pub(super) fn kind(&self, version: u32) -> Kind {
        self.versions[version as usize].kind
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
}

enum Place {
    AppendRun,
    Run(usize),
    Overlay(u32),
    NewOverlay,
}

/// The number in a counter's value; shorter values count as 0.
pub(super) fn decode_number(value: &[u8]) -> u64 {
    value.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

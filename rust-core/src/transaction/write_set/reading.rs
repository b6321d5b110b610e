//! What a write set says of a key, of a range, and of all trees to a commit.
//! Knows what is in memory; where a part is in temporary files, see `spilling`. Knows nothing of pages.

use super::{Kind, OwnWrite, TreeWrites, WriteSet, decode_number};
use crate::common::ids::{CommandNumber, TreeId};
use crate::error::Result;
use crate::transaction::own_range::OwnRange;
use crate::transaction::tree_commit::TreeCommit;
use crate::transaction::unordered::Sorted;
use crate::wal::entry::Operation;
use std::ops::Bound;

impl WriteSet {
    /// The own write of a key: the newest, or the newest of the commands before `before`. Of what is in memory: see
    /// [`WriteSet::get_spilled`].
    pub(in crate::transaction) fn get(
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

    /// Whether the newest own write of a key is of the command `first` or a later one.
    /// # Errors
    /// `XX001`, I/O errors.
    pub(in crate::transaction) fn is_written_since(
        &self,
        tree: TreeId,
        key: &[u8],
        first: CommandNumber,
    ) -> Result<bool> {
        if self.trees.is_empty() {
            return Ok(false);
        }
        let Some(index) = self.tree_index(tree) else { return Ok(false) };
        let writes = &self.trees[index];
        if !writes.unordered.is_empty() {
            let sorted = self.sorted(writes);
            let newest = sorted.range(Bound::Included(key), Bound::Included(key)).next_back();
            return Ok(newest.is_some_and(|put| !self.is_before(sorted.version(put), Some(first))));
        }
        let head = match self.find_in_run(writes, key) {
            Ok(index) => Some(writes.run[index]),
            Err(_) => writes.overlay.get(key).copied(),
        };
        if let Some(head) = head {
            return Ok(!self.is_before(head, Some(first)));
        }
        if let Some(row) = writes.appended.find(key) {
            return Ok(writes.appended.command(row) >= first);
        }
        match &self.spilled {
            Some(spilled) => spilled.is_written_since(index, key, first),
            None => Ok(false),
        }
    }

    /// Own writes of a range in ascending (or descending) key order, of the commands before `before`.
    pub(in crate::transaction) fn range<'a>(
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

    /// Whether every key written to the tree is below `key`.
    pub(in crate::transaction) fn is_above_all(&self, tree: TreeId, key: &[u8]) -> bool {
        let Some(index) = self.tree_index(tree) else { return true };
        let writes = &self.trees[index];
        let bounds = self.spilled.as_ref().and_then(|spilled| spilled.bounds(index));
        writes.unordered.is_empty()
            && bounds.is_none_or(|(_, last)| last.as_slice() < key)
            && self.find_in_run(writes, key) == Err(writes.run.len())
            && writes.overlay.last_key_value().is_none_or(|(last, _)| last.as_slice() < key)
            && (writes.appended.is_empty() || writes.appended.keys().1.as_slice() < key)
    }

    /// Application records, in the order they were written.
    pub(in crate::transaction) fn messages(&self) -> impl Iterator<Item = Operation<'_>> {
        let notes = self.spilled.iter().flat_map(|spilled| &spilled.notes);
        let spilled = notes.filter(|note| note.kind == Kind::Message).map(|note| &*note.data);
        let messages = self.versions.iter().filter(|version| version.kind == Kind::Message);
        let messages = messages.map(|version| self.arena.get(version.value));
        spilled.chain(messages).map(|data| Operation::Message { data })
    }

    /// The trees that a commit has something to do with, in the order they were first written.
    pub(in crate::transaction) fn trees(&self) -> impl Iterator<Item = TreeCommit<'_>> {
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
    pub(in crate::transaction) fn consecutive_runs(
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

    pub(in crate::transaction) fn sorted<'a>(&'a self, writes: &'a TreeWrites) -> &'a Sorted {
        writes.unordered.sorted(|version| self.entry(version))
    }

    pub(in crate::transaction) fn is_before(&self, version: u32, before: Option<CommandNumber>) -> bool {
        before.is_none_or(|before| self.versions[version as usize].command < before)
    }

    pub(in crate::transaction) fn visible(
        &self,
        head: u32,
        before: Option<CommandNumber>,
    ) -> Option<OwnWrite<'_>> {
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

    pub(super) fn run_key(&self, writes: &TreeWrites, index: usize) -> &[u8] {
        self.arena.get(self.versions[writes.run[index] as usize].key)
    }

    pub(super) fn find_in_run(&self, writes: &TreeWrites, key: &[u8]) -> std::result::Result<usize, usize> {
        match writes.run.len() {
            0 => Err(0),
            count if self.run_key(writes, count - 1) < key => Err(count),
            _ => {
                writes.run.binary_search_by(|head| self.arena.get(self.versions[*head as usize].key).cmp(key))
            }
        }
    }
}

/// Whether no key of the same length lies between `key` and `next`: read as big-endian numbers, `next` is one
/// more. Keys shorter than a row id never are.
pub(in crate::transaction) fn is_successor(key: &[u8], next: &[u8]) -> bool {
    let Some((head, tail)) = key.split_last_chunk::<8>() else { return false };
    let Some((next_head, next_tail)) = next.split_last_chunk::<8>() else { return false };
    u64::from_be_bytes(*tail).checked_add(1) == Some(u64::from_be_bytes(*next_tail)) && head == next_head
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

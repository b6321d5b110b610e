//! A write set's way to temporary files, and reading what is there.
//! Knows what is in memory and hands it over in key order. Knows nothing of runs, which `spilled_writes` keeps.

use super::{KEPT_ELEMENTS, Kind, NONE, OwnWrite, WriteSet};
use crate::common::ids::{CommandNumber, TreeId};
use crate::error::Result;
use crate::storage::ChangeSize;
use crate::transaction::spilled_writes::{
    APPENDED, Note, Spill, SpilledCursor, SpilledVersion, SpilledWrites,
};
use std::ops::Bound;

impl WriteSet {
    /// What the temporary files say of a key that [`WriteSet::get`] finds nothing of; a value is put into `buffer`.
    /// # Errors
    /// `XX001`, I/O errors.
    pub(in crate::transaction) fn get_spilled<'b>(
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
    pub(in crate::transaction) fn spilled_cursor(
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
    pub(in crate::transaction) fn spilled_tree(
        &self,
        tree: TreeId,
    ) -> Option<(ChangeSize, Vec<u8>, Vec<u8>)> {
        let (Some(spilled), Some(index)) = (&self.spilled, self.tree_index(tree)) else { return None };
        let (first, last) = spilled.bounds(index)?;
        Some((spilled.size_of(index), first, last))
    }

    /// Whether a part of the set is in temporary files.
    pub(in crate::transaction) fn is_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    pub(super) fn spilled_size(&self) -> ChangeSize {
        self.spilled.as_ref().map_or_else(ChangeSize::default, |spilled| spilled.size())
    }

    pub(super) fn has_spilled(&self, index: usize) -> bool {
        self.spilled.as_ref().is_some_and(|spilled| spilled.has_tree(index))
    }

    /// Whether writes of the tree are in temporary files.
    pub(in crate::transaction) fn is_spilled_in(&self, tree: TreeId) -> bool {
        self.is_spilled() && self.tree_index(tree).is_some_and(|index| self.has_spilled(index))
    }

    /// Moves what is in memory to the temporary files, where a part of the set is there already: a commit reads it in
    /// one piece.
    /// # Errors
    /// `53100`, `53200`, I/O errors: nothing is lost.
    pub(in crate::transaction) fn spill_rest(&mut self) -> Result<()> {
        if self.is_spilled() {
            self.spill()?;
            self.give_memory_back();
            self.used_max = 0;
        }
        Ok(())
    }

    /// Moves what is in memory to temporary files.
    pub(super) fn spill(&mut self) -> Result<()> {
        let mut spilled = self.spilled.take().unwrap_or_default();
        let mut spill = Spill::new(&mut spilled);
        let written = (0..self.trees.len()).try_for_each(|tree| self.spill_tree(tree, &spilled, &mut spill));
        if let Err(error) = written {
            spill.undo(&mut spilled);
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
        self.changed.clear();
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
}

//! What a commit does with each tree: the final state of every key written, in key order.
//! Knows the sources of one tree. Knows nothing of the log or of pages.

use crate::common::ids::TreeId;
use crate::error::Result;
use crate::storage::ChangeSize;
use crate::transaction::append_run::{AppendRun, RUN_KEY_BYTES};
use crate::transaction::spilled_writes::SpilledCursor;
use crate::transaction::types::Parts;
use crate::transaction::unordered::Sorted;
use crate::transaction::write_set::{Kind, OverlayKey, OwnWrite, TreeWrites, WriteSet, decode_number};
use crate::wal::entry::Operation;
use std::collections::btree_map;
use std::ops::{Bound, Range};

/// What a commit does with one tree.
#[derive(Clone, Copy)]
pub(super) struct TreeCommit<'a> {
    pub(super) set: &'a WriteSet,
    pub(super) writes: &'a TreeWrites,
}

impl<'a> TreeCommit<'a> {
    pub(super) fn tree(&self) -> TreeId {
        self.writes.id
    }

    /// Whether the commit makes the tree.
    pub(super) fn is_created(&self) -> bool {
        self.writes.created
    }

    /// Whether the commit drops the tree: then nothing else happens to it.
    pub(super) fn is_dropped(&self) -> bool {
        self.writes.dropped
    }

    /// Keys that change, about: a key counts as often as it was put while nobody looked, or moved to a temporary file.
    pub(super) fn len(&self) -> usize {
        let writes = self.writes;
        let spilled = self.set.spilled_tree(self.writes.id).map_or(0, |(size, ..)| size.keys());
        writes.run.len() + writes.overlay.len() + writes.unordered.len() + writes.appended.len() + spilled
    }

    /// How much it is; keys count as often as for [`TreeCommit::len`].
    pub(super) fn size(&self) -> ChangeSize {
        let (set, writes) = (self.set, self.writes);
        let mut size = set.spilled_tree(writes.id).map_or_else(ChangeSize::default, |(size, ..)| size);
        let heads = writes.run.iter().chain(writes.overlay.values()).chain(writes.unordered.versions());
        for head in heads {
            let (key_len, value_len) = set.entry_len(*head);
            match set.kind(*head) {
                Kind::Delete => size.add_delete(key_len),
                _ => size.add_put(key_len, value_len),
            }
        }
        writes.appended.value_lens().for_each(|value_len| size.add_put(RUN_KEY_BYTES, value_len));
        size
    }

    /// The smallest key, about: none is smaller.
    pub(super) fn first_key(&self) -> Option<Vec<u8>> {
        let (set, writes) = (self.set, self.writes);
        let sorted = (!writes.unordered.is_empty()).then(|| set.sorted(writes).key(0).to_vec());
        let run = writes.run.first().map(|head| set.entry(*head).0.to_vec());
        let overlay = writes.overlay.first_key_value().map(|(key, _)| key.to_vec());
        let appended = (!writes.appended.is_empty()).then(|| writes.appended.keys().0.to_vec());
        let spilled = set.spilled_tree(writes.id).map(|(_, first, _)| first);
        [sorted, run, overlay, appended, spilled].into_iter().flatten().min()
    }

    /// The rows under consecutive keys behind all other keys that the transaction wrote to the tree, if they are: the
    /// commit takes them as they are, and [`TreeCommit::operations`] leaves them out.
    pub(super) fn appended(&self) -> Option<&'a AppendRun> {
        let writes = self.writes;
        let (first, _) = writes.appended.keys();
        let is_before = |key: &[u8]| key < first.as_slice();
        let is_alone = writes.run.last().is_none_or(|head| is_before(self.set.entry(*head).0))
            && writes.overlay.last_key_value().is_none_or(|(key, _)| is_before(key));
        (is_alone && !writes.appended.is_empty()).then_some(&writes.appended)
    }

    /// Key and value of a row of [`TreeCommit::appended`].
    #[inline]
    pub(super) fn appended_entry(&self, row: usize) -> (&'a [u8], &'a [u8]) {
        self.writes.appended.entry(row, &self.set.arena)
    }

    /// Whether the writes are in temporary files: all of them, see [`WriteSet::spill_rest`]. Then
    /// [`TreeCommit::spilled_operations`] gives them, else [`TreeCommit::operations`].
    pub(super) fn is_spilled(&self) -> bool {
        self.set.is_spilled()
    }

    /// As [`TreeCommit::operations`], read from temporary files, some at a time.
    /// # Errors
    /// `XX001`, I/O errors.
    pub(super) fn spilled_operations(&self) -> Result<SpilledOperations> {
        let tree = self.writes.id;
        let cursor = self.set.spilled_cursor(tree, Bound::Unbounded, false, None, None)?;
        Ok(SpilledOperations { tree, cursor, bytes: Vec::new(), block: Vec::new() })
    }

    /// Which parts of the committed value under a key the commit changes.
    pub(super) fn changed_parts(&self, key: &[u8]) -> Parts {
        self.set.changed_parts(self.writes, key)
    }

    /// The final state of every key, in key order.
    pub(super) fn operations(&self) -> Operations<'a> {
        let (set, writes) = (self.set, self.writes);
        let alone = writes.unordered.alone();
        let sorted = (alone.is_none() && !writes.unordered.is_empty()).then(|| set.sorted(writes));
        let run = alone.unwrap_or(&writes.run);
        let mut overlay = writes.overlay.iter();
        let overlay_next = overlay.next();
        let appended = self.appended().map_or(0, AppendRun::len);
        Operations { set, writes, run, overlay, overlay_next, sorted, put: 0, appended }
    }
}

/// See [`TreeCommit::operations`].
pub(super) struct Operations<'a> {
    set: &'a WriteSet,
    writes: &'a TreeWrites,
    run: &'a [u32],
    overlay: btree_map::Iter<'a, OverlayKey, u32>,
    overlay_next: Option<(&'a OverlayKey, &'a u32)>,
    sorted: Option<&'a Sorted>,
    /// The next of `sorted`.
    put: usize,
    /// The next row of the append run.
    appended: usize,
}

impl<'a> Iterator for Operations<'a> {
    type Item = Operation<'a>;

    fn next(&mut self) -> Option<Operation<'a>> {
        let tree = self.writes.id;
        if let Some(sorted) = self.sorted {
            let mut put = self.put;
            if put >= sorted.len() {
                return None;
            }
            // The newest of a key's puts is the last one.
            while put + 1 < sorted.len() && sorted.key(put + 1) == sorted.key(put) {
                put += 1;
            }
            self.put = put + 1;
            return Some(Operation::Put { tree, key: sorted.key(put), value: sorted.value(put) });
        }
        let from_run = self.run.first().map(|head| (self.set.entry(*head).0, *head));
        let from_overlay = self.overlay_next.map(|(key, head)| (key.as_slice(), *head));
        let (is_overlay, next) = match (from_run, from_overlay) {
            (Some(run), Some(overlay)) if run.0 > overlay.0 => (true, Some(overlay)),
            (None, Some(overlay)) => (true, Some(overlay)),
            (run, _) => (false, run),
        };
        let row = (self.appended < self.writes.appended.len())
            .then(|| self.writes.appended.entry(self.appended, &self.set.arena));
        if let Some((key, value)) = row
            && next.is_none_or(|(other, _)| key <= other)
        {
            self.appended += 1;
            if next.is_none_or(|(other, _)| key < other) {
                return Some(Operation::Put { tree, key, value });
            }
            // What stands above it in run or overlay is newer.
        }
        let (key, head) = next?;
        if is_overlay {
            self.overlay_next = self.overlay.next();
        } else {
            self.run = &self.run[1..];
        }
        let value = self.set.entry(head).1;
        Some(match self.set.kind(head) {
            Kind::Put => Operation::Put { tree, key, value },
            Kind::Max => Operation::Max { tree, key, number: decode_number(value) },
            _ => Operation::Delete { tree, key },
        })
    }
}

/// See [`TreeCommit::spilled_operations`]. Holds on to the files.
#[derive(Debug)]
pub(super) struct SpilledOperations {
    tree: TreeId,
    cursor: Option<Box<SpilledCursor>>,
    bytes: Vec<u8>,
    block: Vec<SpilledOperation>,
}

#[derive(Debug)]
struct SpilledOperation {
    kind: Kind,
    key: Range<usize>,
    value: Range<usize>,
}

impl SpilledOperations {
    pub(super) fn tree(&self) -> TreeId {
        self.tree
    }

    /// Reads the next operations, at most `count`, and at least one; false: there are no more.
    /// # Errors
    /// `XX001`, I/O errors.
    pub(super) fn next_block(&mut self, count: usize) -> Result<bool> {
        self.bytes.clear();
        self.block.clear();
        let Some(cursor) = &mut self.cursor else { return Ok(false) };
        while self.block.len() < count
            && let Some((key, write)) = cursor.peek()
        {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(key);
            let middle = self.bytes.len();
            let kind = match write {
                OwnWrite::Put(value) => {
                    self.bytes.extend_from_slice(value);
                    Kind::Put
                }
                OwnWrite::Max(number) => {
                    self.bytes.extend_from_slice(&number.to_be_bytes());
                    Kind::Max
                }
                OwnWrite::Delete => Kind::Delete,
            };
            self.block.push(SpilledOperation { kind, key: start..middle, value: middle..self.bytes.len() });
            cursor.advance()?;
        }
        Ok(!self.block.is_empty())
    }

    /// How many operations were read last.
    pub(super) fn len(&self) -> usize {
        self.block.len()
    }

    /// One of those that were read last; `None`: there are not so many.
    pub(super) fn operation(&self, index: usize) -> Option<Operation<'_>> {
        let tree = self.tree;
        let SpilledOperation { kind, key, value } = self.block.get(index)?;
        let (key, value) = (&self.bytes[key.clone()], &self.bytes[value.clone()]);
        Some(match kind {
            Kind::Put => Operation::Put { tree, key, value },
            Kind::Max => Operation::Max { tree, key, number: decode_number(value) },
            _ => Operation::Delete { tree, key },
        })
    }

    /// Key and value of one of them, if it is a put.
    pub(super) fn put(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let operation = self.block.get(index).filter(|operation| operation.kind == Kind::Put)?;
        Some((&self.bytes[operation.key.clone()], &self.bytes[operation.value.clone()]))
    }

    /// The first and the last key, where all of them are puts and all keys are as long.
    pub(super) fn are_puts_of_one_length(&self) -> Option<(&[u8], &[u8])> {
        let (first, last) = (self.put(0)?.0, self.put(self.len() - 1)?.0);
        let is_meant =
            |operation: &SpilledOperation| operation.kind == Kind::Put && operation.key.len() == first.len();
        self.block.iter().all(is_meant).then_some((first, last))
    }

    /// What was read last, in key order.
    pub(super) fn block(&self) -> impl Iterator<Item = Operation<'_>> {
        (0..self.len()).filter_map(|index| self.operation(index))
    }
}

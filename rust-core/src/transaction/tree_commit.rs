//! What a commit does with each tree: the final state of every key written, in key order.
//! Knows the sources of one tree. Knows nothing of the log or of pages.

use crate::common::ids::TreeId;
use crate::transaction::unordered::Sorted;
use crate::transaction::write_set::{Kind, OverlayKey, TreeWrites, WriteSet, decode_number};
use crate::wal::entry::Operation;
use std::collections::btree_map;

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

    /// Keys that change, about: a key counts as often as it was put while nobody looked.
    pub(super) fn len(&self) -> usize {
        self.writes.run.len() + self.writes.overlay.len() + self.writes.unordered.len()
    }

    /// The final state of every key, in key order.
    pub(super) fn operations(&self) -> Operations<'a> {
        let (set, writes) = (self.set, self.writes);
        let alone = writes.unordered.alone();
        let sorted = (alone.is_none() && !writes.unordered.is_empty()).then(|| set.sorted(writes));
        let run = alone.unwrap_or(&writes.run);
        let mut overlay = writes.overlay.iter();
        let overlay_next = overlay.next();
        Operations { set, tree: writes.id, run, overlay, overlay_next, sorted, put: 0 }
    }
}

/// See [`TreeCommit::operations`].
pub(super) struct Operations<'a> {
    set: &'a WriteSet,
    tree: TreeId,
    run: &'a [u32],
    overlay: btree_map::Iter<'a, OverlayKey, u32>,
    overlay_next: Option<(&'a OverlayKey, &'a u32)>,
    sorted: Option<&'a Sorted>,
    /// The next of `sorted`.
    put: usize,
}

impl<'a> Iterator for Operations<'a> {
    type Item = Operation<'a>;

    fn next(&mut self) -> Option<Operation<'a>> {
        let tree = self.tree;
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
        let head = match (self.run.split_first(), self.overlay_next) {
            (Some((head, _)), Some((key, overlay_head))) if self.set.entry(*head).0 > key.as_slice() => {
                self.overlay_next = self.overlay.next();
                *overlay_head
            }
            (Some((head, rest)), _) => {
                self.run = rest;
                *head
            }
            (None, Some((_, overlay_head))) => {
                self.overlay_next = self.overlay.next();
                *overlay_head
            }
            (None, None) => return None,
        };
        let (key, value) = self.set.entry(head);
        Some(match self.set.kind(head) {
            Kind::Put => Operation::Put { tree, key, value },
            Kind::Max => Operation::Max { tree, key, number: decode_number(value) },
            _ => Operation::Delete { tree, key },
        })
    }
}

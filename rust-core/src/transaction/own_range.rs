//! Reading a range of a write set: its sources merged in key order, writes of earlier commands only.
//! Knows the sources of one tree. Knows nothing of pages or of commits.

use crate::common::ids::CommandNumber;
use crate::transaction::unordered::Sorted;
use crate::transaction::write_set::{OverlayKey, OwnWrite, WriteSet};
use std::collections::btree_map;
use std::ops::{Bound, Range};

/// Own writes of a range; see [`WriteSet::range`].
pub(super) struct OwnRange<'a> {
    pub(super) set: &'a WriteSet,
    pub(super) run: &'a [u32],
    pub(super) overlay: Option<btree_map::Range<'a, OverlayKey, u32>>,
    pub(super) overlay_next: Option<(&'a [u8], u32)>,
    /// Instead of run and overlay: unordered puts, and which of them are still to come.
    pub(super) sorted: Option<(&'a Sorted, Range<usize>)>,
    pub(super) descending: bool,
    pub(super) before: CommandNumber,
}

impl<'a> OwnRange<'a> {
    pub(super) fn advance_overlay(&mut self) {
        let next = match (&mut self.overlay, self.descending) {
            (None, _) => None,
            (Some(range), false) => range.next(),
            (Some(range), true) => range.next_back(),
        };
        self.overlay_next = next.map(|(key, head)| (key.as_slice(), *head));
    }

    fn next_head(&mut self) -> Option<(&'a [u8], u32)> {
        let head = if self.descending { self.run.last() } else { self.run.first() };
        let from_run = head.map(|head| (self.set.entry(*head).0, *head));
        let take_run = match (from_run, self.overlay_next) {
            (Some((run, _)), Some((overlay, _))) => (run < overlay) != self.descending,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if take_run {
            self.run = if self.descending { &self.run[..self.run.len() - 1] } else { &self.run[1..] };
            return from_run;
        }
        let found = self.overlay_next;
        self.advance_overlay();
        found
    }
}

impl<'a> Iterator for OwnRange<'a> {
    type Item = (&'a [u8], OwnWrite<'a>);
    fn next(&mut self) -> Option<Self::Item> {
        if let Some((sorted, rest)) = &mut self.sorted {
            return next_put(self.set, sorted, rest, self.descending, self.before);
        }
        loop {
            let (key, head) = self.next_head()?;
            if let Some(write) = self.set.visible(head, Some(self.before)) {
                return Some((key, write));
            }
        }
    }
}

/// The next key of `rest` that a command before `before` put, with its newest such value.
fn next_put<'a>(
    set: &WriteSet,
    sorted: &'a Sorted,
    rest: &mut Range<usize>,
    descending: bool,
    before: CommandNumber,
) -> Option<(&'a [u8], OwnWrite<'a>)> {
    while rest.start < rest.end {
        let key = sorted.key(if descending { rest.end - 1 } else { rest.start });
        let same = sorted.range(Bound::Included(key), Bound::Included(key));
        *rest = if descending { rest.start..same.start } else { same.end..rest.end };
        if let Some(put) = same.rev().find(|put| set.is_before(sorted.version(*put), Some(before))) {
            return Some((key, OwnWrite::Put(sorted.value(put))));
        }
    }
    None
}

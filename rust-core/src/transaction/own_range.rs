//! Reading a range of a write set: its sources merged in key order, writes of earlier commands only.
//! Knows the sources of one tree. Knows nothing of pages or of commits.

use crate::common::ids::CommandNumber;
use crate::transaction::append_run::AppendRun;
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
    /// Rows of the append run, all of commands before.
    pub(super) appended: Option<(&'a AppendRun, Range<usize>)>,
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

    /// The next of run and overlay, and whether it is the run's.
    fn peek_head(&self) -> Option<(&'a [u8], u32, bool)> {
        let head = if self.descending { self.run.last() } else { self.run.first() };
        let from_run = head.map(|head| (self.set.entry(*head).0, *head));
        match (from_run, self.overlay_next) {
            (Some((run, head)), Some((overlay, _))) if (run < overlay) != self.descending => {
                Some((run, head, true))
            }
            (Some((run, head)), None) => Some((run, head, true)),
            (_, Some((overlay, head))) => Some((overlay, head, false)),
            (None, None) => None,
        }
    }

    fn pass_head(&mut self, of_run: bool) {
        match (of_run, self.descending) {
            (true, true) => self.run = &self.run[..self.run.len() - 1],
            (true, false) => self.run = &self.run[1..],
            (false, _) => self.advance_overlay(),
        }
    }

    fn peek_appended(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (run, rows) = self.appended.as_ref()?;
        let row = if self.descending { rows.end.checked_sub(1)? } else { rows.start };
        rows.contains(&row).then(|| run.entry(row, &self.set.arena))
    }

    fn pass_appended(&mut self) {
        if let Some((_, rows)) = &mut self.appended {
            *rows = if self.descending { rows.start..rows.end - 1 } else { rows.start + 1..rows.end };
        }
    }
}

impl<'a> Iterator for OwnRange<'a> {
    type Item = (&'a [u8], OwnWrite<'a>);
    fn next(&mut self) -> Option<Self::Item> {
        if let Some((sorted, rest)) = &mut self.sorted {
            return next_put(self.set, sorted, rest, self.descending, self.before);
        }
        loop {
            let appended = self.peek_appended();
            let Some((key, head, of_run)) = self.peek_head().filter(|(key, ..)| {
                appended.is_none_or(|(row, _)| row == *key || (*key < row) != self.descending)
            }) else {
                let (key, value) = appended?;
                self.pass_appended();
                return Some((key, OwnWrite::Put(value)));
            };
            self.pass_head(of_run);
            if let Some(write) = self.set.visible(head, Some(self.before)) {
                // It stands above the run's row of the same key.
                if appended.is_some_and(|(row, _)| row == key) {
                    self.pass_appended();
                }
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

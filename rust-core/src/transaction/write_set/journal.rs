//! The journal of a write set: a mark is a place in it, and undoing goes back from its end to a mark.
//! Knows versions by number, in memory or in temporary files. Knows nothing of savepoints or statements.

use super::{Kind, NONE, OVERLAY, UNORDERED, WriteSet};
use crate::transaction::byte_arena::ArenaMark;

/// A place in the journal of a write set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transaction) struct WriteMark {
    /// Number in the journal of the next version.
    pub(super) versions: u64,
    /// Rows of all append runs.
    pub(super) appended: u64,
    pub(super) arena: ArenaMark,
}

impl WriteSet {
    /// The present end of the journal.
    pub(in crate::transaction) fn mark(&self) -> WriteMark {
        WriteMark {
            versions: self.first_version + self.versions.len() as u64,
            appended: self.first_appended + self.appended as u64,
            arena: self.arena.mark(),
        }
    }

    /// Undoes every write after `mark`, newest first.
    pub(in crate::transaction) fn undo_to(&mut self, mark: WriteMark) {
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
        self.changed.truncate(self.versions.len() as u32);
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
}

//! Trees that a transaction built and that its commit will link.
//! Knows trees. Knows nothing of pages or of what is in them.

use crate::common::ids::TreeId;
use crate::storage::bulk::BuiltTree;
use crate::transaction::mvcc::DeclaredRun;
use crate::transaction::write_set::WriteSet;

/// Changes of pages that linking a tree takes: its root, its entry in the directory.
const CHANGES_A_LINK: usize = 4;

/// See the module. Each tree at most once: what is written after it was built is in the write set.
#[derive(Debug, Default)]
pub(super) struct Links {
    built: Vec<BuiltTree>,
}

impl Links {
    pub(super) fn is_empty(&self) -> bool {
        self.built.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.built.len()
    }

    pub(super) fn push(&mut self, built: BuiltTree) {
        debug_assert!(self.find(built.id()).is_none(), "a tree is built once");
        self.built.push(built);
    }

    /// Gives up all but the first `count`.
    pub(super) fn truncate(&mut self, count: usize) {
        self.built.truncate(count);
    }

    pub(super) fn find(&self, tree: TreeId) -> Option<&BuiltTree> {
        self.built.iter().find(|built| built.id() == tree)
    }

    /// The frame that links them is in the log.
    pub(super) fn keep(&self, writes: &WriteSet) {
        let dropped = |built: &&BuiltTree| {
            writes.trees().any(|writes| writes.tree() == built.id() && writes.is_dropped())
        };
        self.built.iter().filter(|built| !dropped(built)).for_each(BuiltTree::keep);
    }

    /// Those whose trees the transaction did not make, nor drops.
    pub(super) fn of_existing_trees<'a>(
        &'a self,
        writes: &'a WriteSet,
    ) -> impl Iterator<Item = &'a BuiltTree> {
        let stays = |built: &&BuiltTree| {
            let of_tree = writes.trees().find(|writes| writes.tree() == built.id());
            of_tree.is_none_or(|writes| !writes.is_created() && !writes.is_dropped())
        };
        self.built.iter().filter(stays)
    }

    /// Upper bound of the changes of pages.
    pub(super) fn change_count(&self) -> usize {
        self.built.len() * CHANGES_A_LINK
    }

    /// Declares that there was nothing in these trees before.
    pub(super) fn declare(&self, runs: &mut Vec<DeclaredRun>) {
        runs.extend(self.built.iter().map(|built| (built.id(), [].as_slice().into(), [].as_slice().into())));
    }
}

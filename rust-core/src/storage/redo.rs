//! Replaying the log into trees. Knows operations. Knows nothing of frames or segments.
//!
//! Operations arrive in log order from the checkpoint's `redo_lsn` on and are absolute or monotone, so replaying
//! one that a page holds already changes nothing. An operation on a tree that does not exist belongs to a tree
//! that was dropped later in the log, and is skipped.

use super::tree::Change;
use super::{DIRECTORY_TREE, FIRST_USER_TREE, Storage};
use crate::common::ids::{Lsn, TreeId};
use crate::error::{Error, Result, SqlState};
use crate::wal::recovery::Redo;

pub(super) struct StorageRedo<'a>(pub(super) &'a Storage);

impl StorageRedo<'_> {
    fn change(&self, lsn: Lsn, tree: TreeId, key: &[u8], change: Change<'_>) -> Result<()> {
        check_tree(lsn, tree)?;
        let Some(tree) = self.0.find_tree(tree)? else { return Ok(()) };
        if tree.check_entry(key, change).is_err() {
            return Err(damaged(lsn, &format!("holds an entry that is too large for tree {}", tree.id())));
        }
        tree.apply(key, change, lsn, None)
    }
}

fn check_tree(lsn: Lsn, tree: TreeId) -> Result<()> {
    if tree > DIRECTORY_TREE {
        return Ok(());
    }
    Err(damaged(lsn, &format!("changes tree {tree}, which no transaction may change")))
}

fn check_user_tree(lsn: Lsn, tree: TreeId) -> Result<()> {
    if tree >= FIRST_USER_TREE {
        return Ok(());
    }
    Err(damaged(lsn, &format!("makes or drops tree {tree}, which always exists")))
}

fn damaged(lsn: Lsn, what: &str) -> Error {
    Error::new(SqlState::DATA_CORRUPTED, "the log is damaged")
        .detail(format!("The transaction that ends at {lsn} {what}."))
}

impl Redo for StorageRedo<'_> {
    fn put(&mut self, lsn: Lsn, tree: TreeId, key: &[u8], value: &[u8]) -> Result<()> {
        self.change(lsn, tree, key, Change::Put(value))
    }
    fn delete(&mut self, lsn: Lsn, tree: TreeId, key: &[u8]) -> Result<()> {
        self.change(lsn, tree, key, Change::Delete)
    }
    fn or(&mut self, lsn: Lsn, tree: TreeId, key: &[u8], bits: &[u8]) -> Result<()> {
        self.change(lsn, tree, key, Change::Or(bits))
    }
    fn max(&mut self, lsn: Lsn, tree: TreeId, key: &[u8], number: u64) -> Result<()> {
        self.change(lsn, tree, key, Change::Max(number))
    }
    fn tree_create(&mut self, lsn: Lsn, tree: TreeId) -> Result<()> {
        check_user_tree(lsn, tree)?;
        self.0.drop_tree(tree, lsn)?;
        self.0.create_tree(tree, lsn)
    }
    fn tree_drop(&mut self, lsn: Lsn, tree: TreeId) -> Result<()> {
        check_user_tree(lsn, tree)?;
        self.0.drop_tree(tree, lsn)
    }
}

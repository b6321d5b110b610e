//! Replaying the log into trees. Knows operations. Knows nothing of frames or segments.
//!
//! Operations arrive in log order from the checkpoint's `redo_lsn` on and are absolute or monotone, so replaying
//! one that a page holds already changes nothing. An operation on a tree that does not exist belongs to a tree
//! that was dropped later in the log, and is skipped.
//!
//! Linked pages are not read: the map names them again where the log says they are. What the log links is known before
//! anything is redone, so that nothing else takes these pages and blocks. Two kinds of links are passed over: of a tree
//! that the log drops, and those that the checkpoint has already (a commit that was being applied at its cut is redone
//! from its start): then neither TREE_CREATE nor LINK_PAGES of that commit may touch the tree, whose pages may have
//! become others since.

use super::page_map::BlockRef;
use super::tree::Change;
use super::{DIRECTORY_TREE, FIRST_USER_TREE, Storage};
use crate::common::ids::{BlockId, Lsn, PageId, TreeId};
use crate::error::{Error, Result, SqlState};
use crate::wal::entry::{LinkPages, LinkRun};
use crate::wal::recovery::Redo;
use hashbrown::{HashMap, HashSet};

/// What is to be done with what the log links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Its pages and blocks are kept for it.
    Awaited,
    /// The checkpoint has it.
    Known,
    /// The root was filled.
    Done,
}

pub(super) struct StorageRedo<'a> {
    storage: &'a Storage,
    dropped: HashSet<TreeId>,
    /// By the end of the commit.
    links: HashMap<(TreeId, Lsn), Link>,
    /// Pages of a link whose last operation is still to come.
    open: Vec<(TreeId, PageId, BlockId, u32)>,
}

impl<'a> StorageRedo<'a> {
    pub(super) fn new(storage: &'a Storage) -> StorageRedo<'a> {
        StorageRedo { storage, dropped: HashSet::new(), links: HashMap::new(), open: Vec::new() }
    }

    fn change(&self, lsn: Lsn, tree: TreeId, key: &[u8], change: Change<'_>) -> Result<()> {
        check_tree(lsn, tree)?;
        let Some(tree) = self.storage.find_tree(tree)? else { return Ok(()) };
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
        if self.links.get(&(tree, lsn)) == Some(&Link::Known) {
            return Ok(());
        }
        self.storage.drop_tree(tree, lsn)?;
        self.storage.create_tree(tree, lsn)
    }
    fn tree_drop(&mut self, lsn: Lsn, tree: TreeId) -> Result<()> {
        check_user_tree(lsn, tree)?;
        self.storage.drop_tree(tree, lsn)
    }
    fn link_pages(&mut self, lsn: Lsn, tree: TreeId, pages: LinkPages<'_>) -> Result<()> {
        if self.dropped.contains(&tree) {
            return Ok(());
        }
        let links = || format!("links pages to tree {tree}");
        match self.links.get(&(tree, lsn)) {
            Some(Link::Known) => return Ok(()),
            Some(Link::Awaited) => {}
            _ => return Err(damaged(lsn, &format!("{} once more, or without saying so", links()))),
        }
        let named = pages.runs().flat_map(LinkRun::pages);
        self.open.extend(named.map(|(page, block, crc)| (tree, page, block, crc)));
        let Some(root) = pages.root else { return Ok(()) };
        self.links.insert((tree, lsn), Link::Done);
        let open = std::mem::take(&mut self.open);
        if open.iter().any(|(of, ..)| *of != tree) || !self.storage.can_be_root(tree, root.image) {
            return Err(damaged(lsn, &format!("{}, which are not a tree's", links())));
        }
        let Some(linked) = self.storage.find_tree(tree)? else {
            return Err(damaged(lsn, &format!("{}, which does not exist", links())));
        };
        if !self.storage.is_empty_since(&linked, Lsn(u64::MAX))? {
            return Err(damaged(lsn, &format!("{}, which is not empty", links())));
        }
        self.storage.fill_root(tree, root.image, root.entries, lsn, || {
            for (_, page, block, crc) in open {
                if !self.storage.name_linked_page(page, BlockRef { block, crc }) {
                    return Err(damaged(lsn, &format!("links page {page}, which has another use")));
                }
            }
            Ok(())
        })
    }

    fn announce_drop(&mut self, tree: TreeId) {
        self.dropped.insert(tree);
    }

    fn announce_link(&mut self, lsn: Lsn, tree: TreeId, pages: LinkPages<'_>) -> Result<()> {
        check_user_tree(lsn, tree)?;
        if self.dropped.contains(&tree) {
            return Ok(());
        }
        let storage = self.storage;
        let mut space = storage.pool.space.lock();
        for run in pages.runs() {
            let count = run.pages().count() as u32;
            if !space.may_be_logged(run.block, count) {
                return Err(damaged(lsn, &format!("links block {} twice, or beyond the file", run.block)));
            }
            space.note_logged(lsn, run.block, count);
        }
        drop(space);
        let link = match self.links.get(&(tree, lsn)) {
            Some(link) => *link,
            None => {
                let entry = storage.directory_entry(tree)?;
                if entry.is_some_and(|entry| entry.linked == lsn) { Link::Known } else { Link::Awaited }
            }
        };
        self.links.insert((tree, lsn), link);
        if link == Link::Known {
            return Ok(());
        }
        let ids: Vec<u32> = pages.runs().flat_map(LinkRun::pages).map(|(page, ..)| page.0).collect();
        if storage.pool.map.take_named(ids)? {
            return Ok(());
        }
        Err(damaged(lsn, "links a page twice, or one that has another use"))
    }
}

//! The bulk path: a tree's pages are written to the file once, full, and a commit links them.
//! Knows pages, blocks and trees. Knows nothing of rows, locks or who may build.
//!
//! ```text
//!  TreeBuilder: push in key order ─▶ full pages ─▶ fresh blocks      nothing names them: no map, no log, no checkpoint
//!       │ finish
//!  BuiltTree: can be read by whoever has it; dropped, it never was
//!       │ Storage::sync_built, then the commit's frame with LINK_PAGES (pages, blocks, checksums, the root's image)
//!  Storage::link_tree: the page map names the pages, the tree's own root gets the image
//! ```
//! The root of a tree never moves, so the built root is copied into it: everybody's handles stay right.
//!
//! **After a crash** the log names blocks, and those hold what they held at the commit: until a checkpoint covers the
//! commit, [`super::free_space`] lets nobody write them, whatever becomes of the pages. It names pages too, and nothing
//! else may be stored under these ids when it is replayed: a builder takes only ids that were free at the durable
//! checkpoint and ever since ([`super::page_map`]).

mod builder;
pub(super) mod pages;
pub mod sorter;

pub use builder::TreeBuilder;

use super::page::{LEVEL_MAX, Node};
use super::page_map::BlockRef;
use super::tree::{Change, Tree};
use super::{DirectoryEntry, Storage, encode_root};
use crate::common::ids::{Lsn, PageId, TreeId};
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result};
use crate::wal::entry::{LinkPages, LinkedRoot};
use pages::BuiltPages;
use std::ops::Bound;

/// Pages that one log operation names at most.
const PAGES_AN_OPERATION: usize = 8192;

/// A tree whose pages are in the file and which nothing names yet. Cheap to clone; what the last clone, and the last
/// handle to its tree, leaves behind is given back unless it was linked.
#[derive(Clone, Debug)]
pub struct BuiltTree {
    pages: Arc<BuiltPages>,
    tree: Arc<Tree>,
    root: Arc<[u8]>,
    last_key: Arc<[u8]>,
}

impl BuiltTree {
    /// The tree that it is to become.
    pub fn id(&self) -> TreeId {
        self.tree.id()
    }

    /// The tree, for whoever built it.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// The greatest key.
    pub fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// The frame that links it is in the log: its pages are not given back any more, not even if applying it fails.
    pub fn keep(&self) {
        self.pages.keep();
    }

    /// Hands the log operations that link it to `each`: parts of one list, to be logged in this order.
    /// # Errors
    /// What `each` returns.
    pub fn link_operations(&self, mut each: impl FnMut(LinkPages<'_>) -> Result<()>) -> Result<()> {
        self.pages.encode(PAGES_AN_OPERATION, |runs| each(LinkPages { runs, root: None }))?;
        let root = LinkedRoot { entries: self.tree.entry_estimate(), image: &self.root };
        each(LinkPages { runs: &[], root: Some(root) })
    }
}

impl Storage {
    /// Whether pages can be built beside the others: not where there is no file to speak of, or none to be written.
    pub fn can_build(&self) -> bool {
        !self.read_only && !self.sorted_runs.files().are_in_memory()
    }

    /// Builds the content of tree `id`, which need not exist yet.
    /// # Errors
    /// `53200`.
    pub fn build_tree(&self, id: TreeId) -> Result<TreeBuilder> {
        self.check_writable()?;
        TreeBuilder::new(self, id)
    }

    /// Whether a tree has no entry, ghosts included, nor a page that changed after `horizon`: no snapshot from there on
    /// sees anything in it.
    /// # Errors
    /// `58030`, `XX001`.
    pub fn is_empty_since(&self, tree: &Tree, horizon: Lsn) -> Result<bool> {
        let mut cursor = super::TreeCursor::new(Bound::Unbounded, Bound::Unbounded, false);
        if tree.visit(&mut cursor, |_, _| ())?.is_some() {
            return Ok(false);
        }
        let leaf = tree.leaf_shared(&[])?;
        Ok(tree.newest(leaf.node()) <= horizon)
    }

    /// Makes everything durable that was built so far. To be called before a frame that links it is appended: the frame
    /// must not outlive the pages.
    /// # Errors
    /// `58030`; this storage refuses everything then: nobody knows what else was lost.
    pub fn sync_built(&self) -> Result<()> {
        self.check_writable()?;
        self.pool.file().sync().map_err(|error| self.poison_with(error))
    }

    /// Applies LINK_PAGES. The tree exists and is empty; no other change of it is under way.
    /// # Errors
    /// `58030`, `XX001`; after a reservation nothing else.
    pub fn link_tree(&self, built: &BuiltTree, lsn: Lsn) -> Result<()> {
        let pool = &*self.pool;
        self.fill_root(built.id(), &built.root, built.tree.entry_estimate(), lsn, || {
            built.pages.for_each(|page, at| {
                if let Some(entry) = pool.map.entry(page) {
                    pool.moved_since_cut(page, entry, at);
                }
            });
            Ok(())
        })?;
        built.pages.note_linked(lsn);
        Ok(())
    }

    /// Replaces what an empty tree's root holds by `image`; `name_pages` has the map name what the image leads to.
    pub(super) fn fill_root(
        &self,
        id: TreeId,
        image: &[u8],
        entries: u64,
        lsn: Lsn,
        name_pages: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let tree = self.tree(id)?;
        let mut root = self.pool.fetch_exclusive(tree.root)?;
        tree.check_root(root.node())?;
        let below = self.pages_below(&tree, root.node())?;
        name_pages()?;
        // Whoever meets the new content sees this.
        tree.born.store(lsn.0, Ordering::Relaxed);
        root.copy_from_slice(image);
        let mut node = root.node_mut();
        node.rename(tree.root);
        node.raise_timestamp(lsn);
        tree.height.store(node.read().level(), Ordering::Relaxed);
        tree.append.store(0, Ordering::Relaxed);
        drop(root);
        below.into_iter().for_each(|page| self.pool.free_unread(page));
        // Whoever notes entry counts meanwhile would note that nothing is linked.
        let _alone = self.dropping.lock();
        tree.linked_at.store(lsn.0, Ordering::Relaxed);
        tree.entries.store(entries, Ordering::Relaxed);
        tree.count_saved(entries);
        let value = encode_root(tree.root, entries, lsn);
        self.directory.apply(&id.0.to_be_bytes(), Change::Put(&value), lsn, None)
    }

    /// The pages below a root that has no entry any more: deletions may have left some.
    fn pages_below(&self, tree: &Tree, root: Node<'_>) -> Result<Vec<PageId>> {
        let mut below = Vec::new();
        if root.is_leaf() {
            return Ok(below);
        }
        let mut inner: Vec<PageId> = (0..root.count()).map(|index| root.child(index)).collect();
        while let Some(page) = inner.pop() {
            let child = self.pool.fetch_shared(page)?;
            let node = child.node();
            if node.tree() != tree.id() {
                return Err(tree.damaged(page, "an empty tree names a page of another tree"));
            }
            if !node.is_leaf() {
                inner.extend((0..node.count()).map(|index| node.child(index)));
            }
            below.push(page);
        }
        Ok(below)
    }

    /// What the directory says of a tree.
    pub(super) fn directory_entry(&self, id: TreeId) -> Result<Option<DirectoryEntry>> {
        let found = self.directory.get(&id.0.to_be_bytes(), |entry, _| {
            entry.filter(|entry| !entry.ghost).and_then(|entry| super::decode_root(entry.value))
        })?;
        Ok(found)
    }

    /// For recovery: whether bytes of the log can be the root of tree `id`, and lead to other pages.
    pub(super) fn can_be_root(&self, id: TreeId, image: &[u8]) -> bool {
        if image.len() != self.page_size() {
            return false;
        }
        let node = Node::new(image);
        node.check().is_ok()
            && node.check_order().is_ok()
            && node.tree() == id
            && node.level() < LEVEL_MAX
            && node.lower_fence().is_empty()
            && !node.has_upper_fence()
            && node.right() == PageId(0)
            && (node.is_leaf() || node.count() > 0)
    }

    /// For recovery: has the map name a page that the log links. False: its block or its id has another use.
    pub(super) fn name_linked_page(&self, page: PageId, at: BlockRef) -> bool {
        let pool = &*self.pool;
        let Some(entry) = pool.map.entry(page).filter(|entry| entry.at() == BlockRef::default()) else {
            return false;
        };
        let is_free = pool.space.lock().use_logged(at.block);
        if is_free {
            pool.moved_since_cut(page, entry, at);
        }
        is_free
    }
}

/// An entry that does not fit on a page.
fn too_large(id: TreeId) -> Error {
    Error::internal(format!("an entry does not fit on a page of tree {id}"))
}

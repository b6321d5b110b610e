//! Building a tree from its entries in key order: every page is filled, laid out once and written.
//! Knows nodes, fences and separators. Knows nothing of who builds, or when the pages count.
//!
//! ```text
//!  level 2            ( … )                  open nodes, one a level: what they hold so far is in memory
//!  level 1      ▓▓▓  ▓▓▓  ( … )
//!  leaves   ▓▓ ▓▓ ▓▓ ▓▓ ▓▓ ▓▓ ( … )          ▓: laid out, on the way to the file in large writes
//! ```
//! A node is closed when the next entry is known not to fit: its upper fence is made of its last key and the next one,
//! so the last entry waits for the one behind it. The node at a level's end has no upper fence, and so no prefix either:
//! where what waits does not fit that way, its last entry gets a node of its own.

use super::pages::BuiltPages;
use super::{BuiltTree, Storage, too_large};
use crate::common::ids::{Lsn, PageId, TreeId};
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result};
use crate::storage::btree::split::separator;
use crate::storage::page::{
    HEADER_BYTES, LEVEL_MAX, NodeMut, NodeShape, RECORD_HEADER_BYTES, SLOT_BYTES, common_prefix,
};
use crate::storage::tree::{Tree, spare_bytes};

/// Bytes written at a time, at most.
const WRITE_BYTES_MAX: usize = 1 << 20;
/// And this share of the memory limit.
const WRITE_MEMORY_SHARE: usize = 64;
const WRITE_PAGES_MIN: usize = 4;
/// Bytes of a child in an inner node.
const CHILD_BYTES: usize = 4;

/// Key and value of an entry of an open leaf: ends of both, from the start of the entry.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    key_end: usize,
    end: usize,
}

/// The leaf that is being filled.
#[derive(Debug, Default)]
struct OpenLeaf {
    page: PageId,
    lower: Vec<u8>,
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl OpenLeaf {
    fn key(&self, index: usize) -> &[u8] {
        let place = self.places[index];
        &self.bytes[place.start..place.key_end]
    }

    fn entry(&self, index: usize) -> (&[u8], &[u8]) {
        let place = self.places[index];
        (&self.bytes[place.start..place.key_end], &self.bytes[place.key_end..place.end])
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.places.push(Place { start, key_end: start + key.len(), end: self.bytes.len() });
    }

    /// Bytes of a leaf with all entries that ends at a fence of this many bytes, of which the first `prefix` are those
    /// of its beginning.
    fn node_bytes(&self, upper: usize, prefix: usize) -> usize {
        let count = self.places.len();
        let entries = self.bytes.len() + count * (SLOT_BYTES + RECORD_HEADER_BYTES) - count * prefix;
        HEADER_BYTES + self.lower.len() + upper - prefix + entries
    }
}

/// An inner node that is being filled.
#[derive(Debug, Default)]
struct OpenInner {
    /// Where each child's place begins, and its page. The first one's is the node's own lower fence.
    children: Vec<(Vec<u8>, PageId)>,
    /// Bytes of the keys but the first.
    key_bytes: usize,
    /// A node of this level was closed before.
    has_left: bool,
}

impl OpenInner {
    fn node_bytes(&self, upper: usize, prefix: usize) -> usize {
        let count = self.children.len();
        let records = count * (SLOT_BYTES + RECORD_HEADER_BYTES + CHILD_BYTES);
        let keys = self.key_bytes - count.saturating_sub(1) * prefix;
        let lower = self.children.first().map_or(0, |(key, _)| key.len());
        HEADER_BYTES + lower + upper - prefix + records + keys
    }
}

/// Takes entries in key order. Dropped before the end, it never was.
pub struct TreeBuilder {
    tree: Tree,
    page_size: usize,
    /// A leaf of more than one entry takes no more.
    leaf_bytes_max: usize,
    pages: BuiltPages,
    leaf: OpenLeaf,
    inner: Vec<OpenInner>,
    entries: u64,
    last_key: Vec<u8>,
    /// Pages on their way to the file, and which they are.
    buffer: Vec<u8>,
    buffered: Vec<(PageId, u32)>,
    buffer_pages: usize,
    _memory: Reservation,
}

impl std::fmt::Debug for TreeBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TreeBuilder").field("tree", &self.tree.id()).field("entries", &self.entries).finish()
    }
}

impl TreeBuilder {
    pub(super) fn new(storage: &Storage, id: TreeId) -> Result<TreeBuilder> {
        let pool = &storage.pool;
        let page_size = pool.page_size();
        let mut memory = pool.memory().reservation();
        let bytes = WRITE_BYTES_MAX.min(pool.memory().limit() / WRITE_MEMORY_SHARE);
        let mut buffer_pages = (bytes / page_size).max(WRITE_PAGES_MIN);
        while memory.grow(buffer_pages * page_size).is_err() {
            if buffer_pages == WRITE_PAGES_MIN {
                memory.grow(buffer_pages * page_size)?;
            }
            buffer_pages = (buffer_pages / 2).max(WRITE_PAGES_MIN);
        }
        let pages = BuiltPages::new(pool);
        let page = pages.take_id(1)?;
        Ok(TreeBuilder {
            // The root is known at the end.
            tree: storage.new_tree(id, PageId(0), 0),
            page_size,
            leaf_bytes_max: page_size,
            pages,
            leaf: OpenLeaf { page, ..OpenLeaf::default() },
            inner: Vec::new(),
            entries: 0,
            last_key: Vec::new(),
            buffer: Vec::with_capacity(buffer_pages * page_size),
            buffered: Vec::with_capacity(buffer_pages),
            buffer_pages,
            _memory: memory,
        })
    }

    /// Leaves are filled no further than to so many hundredths (10 to 100); `None`: they become full.
    #[must_use]
    pub fn filled_to(mut self, percent: Option<u8>) -> TreeBuilder {
        let spare = percent.map_or(0, |percent| spare_bytes(self.page_size, percent));
        self.leaf_bytes_max = self.page_size - spare;
        self
    }

    /// Entries so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The key that came last.
    pub fn last_key(&self) -> Option<&[u8]> {
        (self.entries > 0).then_some(self.last_key.as_slice())
    }

    /// Adds an entry behind all others.
    /// # Errors
    /// `53100`, `53200`, `58030`; `XX000` for one that is too large, or not behind the others.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if key.len() > self.tree.key_bytes_max() || value.len() > self.tree.value_bytes_max() {
            return Err(too_large(self.tree.id()));
        }
        if self.entries > 0 {
            if key <= self.last_key.as_slice() {
                return Err(Error::internal(format!(
                    "keys of tree {} do not come in ascending order",
                    self.tree.id()
                )));
            }
            let shared = common_prefix(&self.last_key, key);
            let upper = &key[..(shared + 1).min(key.len())];
            let prefix = common_prefix(&self.leaf.lower, upper);
            if self.leaf.places.len() > 1 && self.leaf.node_bytes(upper.len(), prefix) > self.leaf_bytes_max {
                self.close_leaf()?;
            }
        }
        self.leaf.push(key, value);
        self.entries += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    /// Closes the leaf before its last entry, which begins the next one. They were seen to fit when that came.
    fn close_leaf(&mut self) -> Result<()> {
        let next = self.pages.take_id(self.buffer_pages)?;
        let count = self.leaf.places.len() - 1;
        let upper = separator(self.leaf.key(count - 1), self.leaf.key(count));
        let mut leaf = std::mem::take(&mut self.leaf);
        self.layout(leaf.page, 0, &leaf.lower, Some(&upper), next, |node| {
            node.fill(count, (0..count).map(|index| leaf.entry(index)));
        })?;
        self.add_child(0, std::mem::replace(&mut leaf.lower, upper), leaf.page)?;
        let last = leaf.places[count];
        leaf.bytes.copy_within(last.start..last.end, 0);
        leaf.bytes.truncate(last.end - last.start);
        leaf.places.clear();
        leaf.places.push(Place { start: 0, key_end: last.key_end - last.start, end: last.end - last.start });
        leaf.page = next;
        self.leaf = leaf;
        Ok(())
    }

    /// Adds a node of level `below` to the open node above; `lower` is where its place begins.
    fn add_child(&mut self, below: usize, lower: Vec<u8>, page: PageId) -> Result<()> {
        if below == usize::from(LEVEL_MAX) {
            return Err(Error::internal(format!("tree {} is too high", self.tree.id())));
        }
        if self.inner.len() == below {
            self.inner.push(OpenInner::default());
        }
        let node = &self.inner[below];
        if let Some((first, _)) = node.children.first() {
            let prefix = common_prefix(first, &lower);
            if node.children.len() > 1 && node.node_bytes(lower.len(), prefix) > self.page_size {
                self.close_inner(below)?;
            }
        }
        let node = &mut self.inner[below];
        if !node.children.is_empty() {
            node.key_bytes += lower.len();
        }
        node.children.push((lower, page));
        Ok(())
    }

    /// Closes the open node above level `below` before its last child, which begins the next one.
    fn close_inner(&mut self, below: usize) -> Result<()> {
        let mut node = std::mem::take(&mut self.inner[below]);
        let Some(last) = node.children.pop() else { return Ok(()) };
        self.inner[below] = OpenInner { children: vec![last], key_bytes: 0, has_left: true };
        let upper = self.inner[below].children[0].0.clone();
        self.write_inner(below, node, Some(&upper))
    }

    fn write_inner(&mut self, below: usize, node: OpenInner, upper: Option<&[u8]>) -> Result<()> {
        let page = self.pages.take_id(self.buffer_pages)?;
        let OpenInner { mut children, .. } = node;
        let level = below as u8 + 1;
        let count = children.len();
        self.layout(page, level, &children[0].0, upper, PageId(0), |node| {
            node.fill_children(count, children.iter().map(|(key, child)| (key.as_slice(), *child)));
        })?;
        self.add_child(below + 1, std::mem::take(&mut children[0].0), page)
    }

    /// Lays a page out behind those that wait to be written.
    fn layout(
        &mut self,
        page: PageId,
        level: u8,
        lower: &[u8],
        upper: Option<&[u8]>,
        right: PageId,
        fill: impl FnOnce(&mut NodeMut<'_>),
    ) -> Result<()> {
        if self.buffered.len() == self.buffer_pages {
            self.write_out()?;
        }
        let start = self.buffer.len();
        self.buffer.resize(start + self.page_size, 0);
        let mut node = NodeMut::new(&mut self.buffer[start..]);
        let tree = self.tree.id();
        node.format(&NodeShape { page, tree, level, lower, upper, right, max_timestamp: Lsn::ZERO });
        fill(&mut node);
        let crc = node.stamp(self.tree.pool.generation());
        self.buffered.push((page, crc));
        Ok(())
    }

    fn write_out(&mut self) -> Result<()> {
        self.pages.write(&self.buffer, &self.buffered)?;
        self.buffer.clear();
        self.buffered.clear();
        Ok(())
    }

    /// Closes all that is open. `None`: there was no entry.
    /// # Errors
    /// As [`TreeBuilder::push`].
    pub fn finish(mut self) -> Result<Option<BuiltTree>> {
        if self.entries == 0 {
            return Ok(None);
        }
        if self.leaf.places.len() > 1 && self.leaf.node_bytes(0, 0) > self.leaf_bytes_max {
            self.close_leaf()?;
        }
        let leaf = std::mem::take(&mut self.leaf);
        let count = leaf.places.len();
        self.layout(leaf.page, 0, &leaf.lower, None, PageId(0), |node| {
            node.fill(count, (0..count).map(|index| leaf.entry(index)));
        })?;
        let mut root = leaf.page;
        if !self.inner.is_empty() {
            self.add_child(0, leaf.lower, leaf.page)?;
            let mut below = 0;
            loop {
                if self.inner[below].node_bytes(0, 0) > self.page_size && self.inner[below].children.len() > 1
                {
                    self.close_inner(below)?;
                }
                let node = std::mem::take(&mut self.inner[below]);
                let is_top = !node.has_left;
                if !is_top {
                    self.write_inner(below, node, None)?;
                    below += 1;
                    continue;
                }
                root = self.pages.take_id(1)?;
                let level = below as u8 + 1;
                let (children, count) = (&node.children, node.children.len());
                self.layout(root, level, &[], None, PageId(0), |node| {
                    node.fill_children(count, children.iter().map(|(key, child)| (key.as_slice(), *child)));
                })?;
                break;
            }
        }
        // The page that was laid out last is the root.
        let (_, crc) = self.buffered.pop().ok_or_else(|| Error::internal("a built tree has no root"))?;
        let image: Arc<[u8]> = self.buffer[self.buffer.len() - self.page_size..].into();
        self.buffer.truncate(self.buffer.len() - self.page_size);
        self.write_out()?;
        self.pages.write_root(&image, root, crc)?;
        let TreeBuilder { mut tree, pages, entries, last_key, .. } = self;
        let pages = Arc::new(pages);
        tree.root = root;
        tree.built = Some(Arc::clone(&pages));
        tree.entries.store(entries, Ordering::Relaxed);
        tree.count_saved(entries);
        Ok(Some(BuiltTree { pages, tree: Arc::new(tree), root: image, last_key: last_key.into() }))
    }
}

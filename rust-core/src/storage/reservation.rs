//! Setting aside what a commit will need of the file, before anything of it is logged: afterwards only I/O can fail.
//! Knows pages and blocks. Knows nothing of transactions.
//!
//! A page that changes needs a block when it is written, however often it changes before; a page that is made needs an
//! id as well. So a commit needs a block for every leaf that it changes and for every page that it makes, and what it
//! has applied is with the changed pages, which are promised a block each, and no longer with its reservation.

use super::buffer_pool::{BufferPool, SharedPage};
use super::page::{HEADER_BYTES, Node, RECORD_HEADER_BYTES, SLOT_BYTES};
use super::{Storage, Tree};
use crate::common::ids::PageId;
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::Result;
use std::cell::Cell;
use std::ops::AddAssign;

/// Pages set aside for each reservation besides: those on the way to the first leaf, and what a few splits make.
const PAGES_SPARE: u64 = 8;
/// Children of a node above leaves that are counted on, where keys are not long.
const CHILDREN_MAX: usize = 64;

/// What is put into a tree, or taken out, all in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeSize {
    /// Keys that get a value.
    pub puts: usize,
    /// Keys that go.
    pub deletes: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
    /// The longest key and its value, in bytes.
    pub longest: usize,
    /// The longest key, in bytes.
    pub longest_key: usize,
}

impl ChangeSize {
    /// How many keys.
    pub fn keys(&self) -> usize {
        self.puts + self.deletes
    }

    /// Counts a key that gets a value.
    #[inline]
    pub fn add_put(&mut self, key_len: usize, value_len: usize) {
        self.puts += 1;
        self.bytes += key_len + value_len;
        self.longest = self.longest.max(key_len + value_len);
        self.longest_key = self.longest_key.max(key_len);
    }

    /// Counts a key that goes.
    #[inline]
    pub fn add_delete(&mut self, key_len: usize) {
        self.deletes += 1;
        self.bytes += key_len;
    }
}

impl AddAssign for ChangeSize {
    fn add_assign(&mut self, other: ChangeSize) {
        self.puts += other.puts;
        self.deletes += other.deletes;
        self.bytes += other.bytes;
        self.longest = self.longest.max(other.longest);
        self.longest_key = self.longest_key.max(other.longest_key);
    }
}

/// What a commit is about to apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyEstimate {
    /// Operations on trees of which nothing else is known.
    pub operations: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
    /// Pages that change where they are, at most, besides.
    pub changed: u64,
    /// Pages that are made, at most, besides.
    pub made: u64,
}

impl AddAssign for ApplyEstimate {
    fn add_assign(&mut self, other: ApplyEstimate) {
        self.operations += other.operations;
        self.bytes += other.bytes;
        self.changed += other.changed;
        self.made += other.made;
    }
}

/// Bytes of a leaf that entries and their slots may take, whatever its fences are.
fn room(page_size: usize, longest_key: usize) -> usize {
    page_size - HEADER_BYTES - 2 * longest_key
}

/// Leaves that hold so much when none but the last has room for another entry. With every `waste` bytes that stay free.
fn leaves_for(page_size: usize, size: ChangeSize, waste: usize) -> u64 {
    let entry = SLOT_BYTES + RECORD_HEADER_BYTES;
    let room = room(page_size, size.longest_key).saturating_sub(waste + size.longest + entry).max(1);
    let bytes = size.bytes + size.puts * entry;
    (bytes.div_ceil(room)).min(size.puts) as u64
}

/// Nodes above so many leaves, on all levels.
fn parents_of(page_size: usize, leaves: u64, longest_key: usize) -> u64 {
    // A parent is half full at least.
    let children = page_size / 2 / (SLOT_BYTES + RECORD_HEADER_BYTES + size_of::<u32>() + longest_key);
    leaves.div_ceil(children.clamp(3, CHILDREN_MAX) as u64 - 1)
}

/// What changes of so many leaves come to, of which some are made.
fn pages_of(page_size: usize, changed: u64, made: u64, longest_key: usize) -> ApplyEstimate {
    ApplyEstimate {
        // A parent changes when it gets a child.
        changed: changed + parents_of(page_size, changed, longest_key).min(made),
        made: made + parents_of(page_size, made, longest_key),
        ..ApplyEstimate::default()
    }
}

impl ApplyEstimate {
    /// The smaller of each figure: both hold.
    pub fn min(self, other: ApplyEstimate) -> ApplyEstimate {
        ApplyEstimate {
            operations: self.operations.min(other.operations),
            bytes: self.bytes.min(other.bytes),
            changed: self.changed.min(other.changed),
            made: self.made.min(other.made),
        }
    }

    /// Of entries that are added behind all others of a tree, in key order: leaves become full, but for `spare` bytes.
    pub fn of_appending(page_size: usize, size: ChangeSize, spare: usize) -> ApplyEstimate {
        // The entry that comes next did not fit, nor would the fence.
        let leaves = leaves_for(page_size, size, size.longest_key + spare);
        pages_of(page_size, 1, leaves + 2, size.longest_key)
    }

    /// Of changes anywhere in a tree of which no more is known than that the file has so many pages.
    fn of_changes(page_size: usize, pages: u64, size: ChangeSize, spare: usize) -> ApplyEstimate {
        let changed = (size.puts as u64 + size.deletes as u64).min(pages);
        // A leaf that splits leaves both halves half full, but for an entry, and one that is filled no further than its
        // tree wants has half of that at least; one that was full may split for little.
        let splits = leaves_for(page_size, size, (page_size + spare) / 2) + changed;
        pages_of(page_size, changed, splits.min(2 * size.puts as u64), size.longest_key)
    }
}

/// Blocks set aside for what a commit will change; given back as they are used, the rest on drop, after apply.
#[derive(Debug)]
pub struct ApplyReservation {
    pool: Arc<BufferPool>,
    blocks: Cell<u64>,
}

impl ApplyReservation {
    /// Blocks that are still set aside.
    #[cfg(test)]
    pub(super) fn left(&self) -> u64 {
        self.blocks.get()
    }

    /// So many pages that were reserved for have changed, or will not: those that have are promised blocks now.
    pub fn used(&self, pages: u64) {
        let pages = pages.min(self.blocks.get());
        if pages > 0 {
            self.blocks.set(self.blocks.get() - pages);
            self.pool.space.lock().unreserve(pages);
        }
    }
}

impl Drop for ApplyReservation {
    fn drop(&mut self) {
        self.used(u64::MAX);
    }
}

impl Storage {
    /// What changes anywhere in a tree need at most, without a look at the tree.
    pub fn change_estimate(&self, size: ChangeSize) -> ApplyEstimate {
        let spare = self.spare_bytes_max.load(Ordering::Relaxed);
        ApplyEstimate::of_changes(self.page_size(), self.pool.map.pages_in_use(), size, spare)
    }

    /// Blocks and page ids that an estimate comes to.
    fn needed(&self, writes: ApplyEstimate) -> (u64, u64) {
        let size = ChangeSize { puts: writes.operations, bytes: writes.bytes, ..ChangeSize::default() };
        let mut all = self.change_estimate(size);
        all += writes;
        (all.changed + all.made + PAGES_SPARE, all.made + PAGES_SPARE)
    }

    /// Sets space and memory aside for a commit, so that its apply can fail only by I/O. To be called before
    /// anything is logged and before latches or the gate; held until apply is done.
    /// # Errors
    /// `53100`, `53200`; `25006` when read-only; what a failed checkpoint left.
    pub fn reserve(&self, writes: ApplyEstimate) -> Result<ApplyReservation> {
        self.check_writable()?;
        let (blocks, pages) = self.needed(writes);
        self.pool.map.ensure(u64::from(self.pool.map.page_count()) + pages)?;
        self.pool.space.lock().reserve(blocks, self.pool.blocks_promised())?;
        Ok(ApplyReservation { pool: Arc::clone(&self.pool), blocks: Cell::new(blocks) })
    }

    /// As [`Storage::reserve`], where the file has so many blocks to spare; `None`: it would have to grow.
    /// # Errors
    /// As [`Storage::reserve`], but not `53100`.
    pub fn reserve_spare(&self, writes: ApplyEstimate) -> Result<Option<ApplyReservation>> {
        self.check_writable()?;
        let (blocks, pages) = self.needed(writes);
        if !self.pool.space.lock().reserve_free(blocks, self.pool.blocks_promised()) {
            return Ok(None);
        }
        let space = ApplyReservation { pool: Arc::clone(&self.pool), blocks: Cell::new(blocks) };
        self.pool.map.ensure(u64::from(self.pool.map.page_count()) + pages)?;
        Ok(Some(space))
    }
}

/// Goes over the leaves that changes belong to, in key order, and finds what they need. Others may change the tree
/// meanwhile: their reservations are their own.
pub struct ChangeSurvey<'t> {
    tree: &'t Tree,
    spare: usize,
    leaf: Option<Surveyed>,
    leaves: u64,
    made: u64,
    longest_key: usize,
}

impl std::fmt::Debug for ChangeSurvey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeSurvey").field("leaves", &self.leaves).field("made", &self.made).finish()
    }
}

/// A leaf and what becomes of it.
struct Surveyed {
    page: PageId,
    /// Bytes of the entries that it has, with their slots, and of those that come.
    bytes: usize,
    /// Bytes that it has for them.
    room: usize,
    grows: bool,
    puts: u64,
    longest: usize,
}

impl<'t> ChangeSurvey<'t> {
    /// Of no changes yet. `spare`: bytes that the tree's leaves leave free.
    pub fn new(tree: &'t Tree, spare: usize) -> ChangeSurvey<'t> {
        ChangeSurvey { tree, spare, leaf: None, leaves: 0, made: 0, longest_key: 0 }
    }

    /// Adds changes in ascending key order, behind those of earlier calls: the key, and the value's bytes if it gets one.
    /// # Errors
    /// `58030`, `XX001`, `53200`.
    pub fn add<'c>(&mut self, changes: impl Iterator<Item = (&'c [u8], Option<usize>)>) -> Result<()> {
        let tree = self.tree;
        let mut held: Option<SharedPage<'_>> = None;
        for (key, value) in changes {
            let leaf = match held.take() {
                Some(leaf) if leaf.node().is_below_upper_fence(key) => leaf,
                other => {
                    // One latch at a time.
                    drop(other);
                    let leaf = tree.leaf_shared(key).map_err(|error| tree.named(error))?;
                    self.enter(leaf.node());
                    leaf
                }
            };
            self.longest_key = self.longest_key.max(key.len());
            if let (Some(value), Some(surveyed)) = (value, &mut self.leaf) {
                let node = leaf.node();
                let entry =
                    SLOT_BYTES + RECORD_HEADER_BYTES + key.len().saturating_sub(node.prefix_len()) + value;
                let growth = match node.search(key) {
                    Ok(index) => entry.saturating_sub(node.entry_bytes(index)),
                    Err(_) => entry,
                };
                surveyed.bytes += growth;
                surveyed.grows |= growth > 0;
                surveyed.puts += 1;
                surveyed.longest = surveyed.longest.max(entry);
            }
            held = Some(leaf);
        }
        Ok(())
    }

    fn enter(&mut self, node: Node<'_>) {
        if self.leaf.as_ref().is_some_and(|leaf| leaf.page == node.page_id()) {
            return;
        }
        self.leave();
        self.leaves += 1;
        let fences = node.lower_fence().len() + node.upper_suffix().len();
        let room = node.page_bytes() - HEADER_BYTES - fences;
        let bytes = room.saturating_sub(node.free_bytes());
        let longest = (0..node.count()).map(|index| node.entry_bytes(index)).max().unwrap_or(0);
        self.leaf = Some(Surveyed { page: node.page_id(), bytes, room, grows: false, puts: 0, longest });
    }

    /// What becomes of the leaf is known.
    fn leave(&mut self) {
        let Some(leaf) = self.leaf.take() else { return };
        if leaf.grows && leaf.bytes + self.spare > leaf.room {
            // Each part is half full but for an entry, or as full as it should be, and the last one may hold little.
            let part = (leaf.room / 2).min(leaf.room.saturating_sub(self.spare));
            let part = part.saturating_sub(leaf.longest).max(1);
            self.made += (leaf.bytes.div_ceil(part) as u64 + 1).min(2 * leaf.puts);
        }
    }

    /// What the changes need.
    pub fn estimate(mut self) -> ApplyEstimate {
        self.leave();
        pages_of(self.tree.pool.page_size(), self.leaves, self.made, self.longest_key)
    }
}

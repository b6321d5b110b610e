//! Adding many entries behind a tree's last key: leaves are filled one after the other beside the tree and hung onto
//! it together, so that an entry costs neither a search nor its share of a split.
//! Knows nodes and separators. Knows nothing of who adds, or why the keys come in order.
//!
//! ```text
//!   before         parent: … L                  L: the last leaf, no upper fence
//!   built beside            R1 ─▶ R2 ─▶ R3      each with both fences, R3 without an upper one
//!   hung on        parent: … L R1 R2 R3         L gets its upper fence and its right link
//! ```
//! The leaves become reachable in one step, under the exclusive latches of L and its parent: nobody who comes from
//! above can meet one without the entries of the others.

use super::split::separator;
use crate::common::ids::{Lsn, PageId};
use crate::error::Result;
use crate::storage::buffer_pool::ExclusivePage;
use crate::storage::page::{HEADER_BYTES, Node, NodeShape, RECORD_HEADER_BYTES, SLOT_BYTES, common_prefix};
use crate::storage::tree::{Change, Tree};
use std::ops::Range;
use std::sync::atomic::Ordering;

/// Leaves that are hung onto a tree at once, at most: latches are held as long as their entries in the parent take.
const LEAVES_MAX: usize = 32;
/// And no more than what takes this share of the parent, which may be divided to have that room.
const PARENT_SHARE: usize = 4;

/// Leaves that are not part of the tree yet.
#[derive(Default)]
struct Built {
    /// The lower fence of each, and its page.
    leaves: Vec<(Vec<u8>, PageId)>,
    entries: usize,
}

impl Tree {
    /// Adds entries `range` of `entry`, which come in key order, behind everything that the tree holds: as many as it
    /// finds convenient, at least one. Gives how many; 0: they do not belong behind the tree's last key, ghosts
    /// included, or its end is busy. And it gives how many pages that were reserved for it it has used up. Nothing was
    /// replaced, so no sink is asked. To be called under an [`crate::storage::ApplyTicket`], with a reservation.
    /// # Errors
    /// As [`Tree::apply`].
    pub fn append<'e>(
        &self,
        range: Range<usize>,
        entry: impl Fn(usize) -> (&'e [u8], &'e [u8]),
        timestamp: Lsn,
    ) -> Result<(usize, u64)> {
        if range.is_empty() {
            return Ok((0, 0));
        }
        let Some((filled, last_key)) = self.fill_last_leaf(range.clone(), &entry, timestamp)? else {
            return Ok((0, 0));
        };
        let rest = range.start + filled..range.end;
        if rest.is_empty() {
            return Ok((filled, 0));
        }
        let built = self.build_leaves(&last_key, rest, &entry, timestamp)?;
        if self.hang_on(&built.leaves)? {
            self.entries.fetch_add(built.entries as u64, Ordering::Relaxed);
            return Ok((filled + built.entries, built.leaves.len() as u64));
        }
        built.leaves.iter().for_each(|(_, page)| self.pool.free_unread(*page));
        Ok((filled, 0))
    }

    /// Adds to the last leaf what it has room for. Gives how many entries, and the leaf's last key then; none: the
    /// entries do not belong there.
    fn fill_last_leaf<'e>(
        &self,
        range: Range<usize>,
        entry: &impl Fn(usize) -> (&'e [u8], &'e [u8]),
        timestamp: Lsn,
    ) -> Result<Option<(usize, Vec<u8>)>> {
        let (first, value) = entry(range.start);
        self.check_entry(first, Change::Put(value))?;
        let mut leaf = match self.append_leaf(first)? {
            Some(leaf) => leaf,
            None => self.leaf_exclusive(first).map_err(|error| self.named(error))?,
        };
        let node = leaf.node();
        let is_last = !node.has_upper_fence();
        let count = node.count();
        if !is_last || (count > 0 && node.search_to_append(first) != Err(count)) {
            return Ok(None);
        }
        let mut filled = 0;
        let spare = self.spare_bytes();
        for index in range {
            let (key, value) = entry(index);
            self.check_entry(key, Change::Put(value))?;
            let node = leaf.node();
            // The leaf must have room for its upper fence when it is no longer the last one.
            let spare = if node.count() == 0 { 0 } else { spare };
            if !node.has_room(RECORD_HEADER_BYTES + key.len() + value.len() + key.len() + spare) {
                break;
            }
            let at = node.count();
            leaf.node_mut().insert(at, key, value);
            filled += 1;
        }
        if filled > 0 {
            leaf.node_mut().raise_timestamp(timestamp);
            self.entries.fetch_add(filled as u64, Ordering::Relaxed);
            self.append.store(leaf.page().0, Ordering::Relaxed);
        }
        let node = leaf.node();
        match node.count() {
            // Not even one entry fits on an empty leaf beside its fence: the ordinary way knows what to do.
            0 => Ok(None),
            count => Ok(Some((filled, node.key(count - 1)))),
        }
    }

    /// Fills leaves with the entries that follow `last_key`.
    fn build_leaves<'e>(
        &self,
        last_key: &[u8],
        range: Range<usize>,
        entry: &impl Fn(usize) -> (&'e [u8], &'e [u8]),
        timestamp: Lsn,
    ) -> Result<Built> {
        let mut built = Built::default();
        let parent_bytes_max = self.pool.page_size() / PARENT_SHARE;
        let mut parent_bytes = 0;
        let mut start = range.start;
        let mut lower = separator(last_key, entry(start).0);
        let mut page = self.pool.allocate()?;
        loop {
            let fit = self.entries_that_fit(&lower, start..range.end, entry)?;
            let end = start + fit;
            // The next one's, of which only the greatest length is known.
            parent_bytes += SLOT_BYTES + RECORD_HEADER_BYTES + lower.len() + size_of::<u32>();
            let next = if end < range.end { entry(end).0.len() } else { 0 };
            let goes_on = end < range.end
                && built.leaves.len() + 1 < LEAVES_MAX
                && parent_bytes + next < parent_bytes_max;
            let mut shape = NodeShape {
                page: page.page(),
                tree: self.id,
                level: 0,
                lower: &lower,
                upper: None,
                right: PageId(0),
                max_timestamp: timestamp,
            };
            if !goes_on {
                let added = self.fill_open_leaf(&mut page, &shape, start..end, entry);
                built.entries += added;
                built.leaves.push((lower, page.page()));
                self.append.store(page.page().0, Ordering::Relaxed);
                return Ok(built);
            }
            let upper = separator(entry(end - 1).0, entry(end).0);
            let next = self.pool.allocate()?;
            (shape.upper, shape.right) = (Some(upper.as_slice()), next.page());
            let mut node = page.node_mut();
            node.format(&shape);
            node.fill(fit, (start..end).map(entry));
            built.entries += fit;
            built.leaves.push((lower, page.page()));
            (start, lower, page) = (end, upper, next);
        }
    }

    /// How many entries fit between `lower` and the separator behind the last of them; at least one.
    fn entries_that_fit<'e>(
        &self,
        lower: &[u8],
        range: Range<usize>,
        entry: &impl Fn(usize) -> (&'e [u8], &'e [u8]),
    ) -> Result<usize> {
        let room = (self.pool.page_size() - HEADER_BYTES - lower.len()).saturating_sub(self.spare_bytes());
        let (mut bytes, mut count) = (0, 0);
        for index in range.clone() {
            let (key, value) = entry(index);
            self.check_entry(key, Change::Put(value))?;
            bytes += SLOT_BYTES + RECORD_HEADER_BYTES + key.len() + value.len();
            let next = if index + 1 < range.end { entry(index + 1).0 } else { key };
            let upper = &next[..(common_prefix(key, next) + 1).min(next.len())];
            let prefix = common_prefix(lower, upper);
            if bytes + upper.len() - prefix > room + (count + 1) * prefix {
                break;
            }
            count += 1;
        }
        Ok(count.max(1))
    }

    /// Lays out the last leaf of a tree with as many of the entries as leave room for a fence.
    fn fill_open_leaf<'e>(
        &self,
        page: &mut ExclusivePage<'_>,
        shape: &NodeShape<'_>,
        range: Range<usize>,
        entry: &impl Fn(usize) -> (&'e [u8], &'e [u8]),
    ) -> usize {
        page.node_mut().format(shape);
        let mut added = 0;
        for index in range {
            let (key, value) = entry(index);
            let spare = if added == 0 { 0 } else { key.len() + self.spare_bytes() };
            if !page.node().has_room(RECORD_HEADER_BYTES + key.len() + value.len() + spare) {
                break;
            }
            page.node_mut().insert(added, key, value);
            added += 1;
        }
        added
    }

    /// Makes built leaves the tree's last ones. False: the tree has got another end meanwhile, or its last leaf has no
    /// room for an upper fence.
    fn hang_on(&self, leaves: &[(Vec<u8>, PageId)]) -> Result<bool> {
        let Some((first_fence, first_page)) = leaves.first() else { return Ok(true) };
        let entry_bytes: usize = leaves.iter().map(|(fence, _)| RECORD_HEADER_BYTES + fence.len() + 4).sum();
        let has_room = |node: Node<'_>| match node.level() {
            1 => node.has_room_for(leaves.len(), entry_bytes),
            _ => node.has_room(RECORD_HEADER_BYTES + self.key_bytes_max() + 4),
        };
        loop {
            let root = self.pool.fetch_exclusive(self.root)?;
            self.check_root(root.node())?;
            let mut path = vec![root];
            while !path[path.len() - 1].node().is_leaf() {
                let node = path[path.len() - 1].node();
                let child = self.pool.fetch_exclusive(node.child(node.count() - 1))?;
                self.check_child(child.node(), node.level())?;
                if !child.node().is_leaf() && has_room(child.node()) {
                    path.clear();
                }
                path.push(child);
            }
            let [above @ .., leaf] = &mut path[..] else { return Ok(false) };
            let last = leaf.node();
            let fits = {
                let shape = self.closed_shape(last, first_fence, *first_page);
                shape.bytes_for(last, 0..last.count()) <= last.page_bytes()
            };
            let goes_on = !last.has_upper_fence()
                && last.count() > 0
                && last.key(last.count() - 1) < *first_fence
                && fits;
            if !goes_on {
                return Ok(false);
            }
            let [.., parent] = above else {
                self.push_root_down(leaf)?;
                continue;
            };
            if !has_room(parent.node()) {
                self.divide_lowest(above, first_fence, false)?;
                continue;
            }
            let old = leaf.to_vec();
            let from = Node::new(&old);
            let lower = from.lower_fence();
            let mut shape = self.closed_shape(from, first_fence, *first_page);
            (shape.page, shape.lower) = (leaf.page(), lower);
            let mut node = leaf.node_mut();
            node.format(&shape);
            node.append_from(from, 0..from.count());
            for (fence, page) in leaves {
                let at = parent.node().count();
                parent.node_mut().insert_child(at, fence, *page);
            }
            return Ok(true);
        }
    }

    /// What the last leaf becomes when another follows.
    fn closed_shape<'s>(&self, last: Node<'s>, fence: &'s [u8], right: PageId) -> NodeShape<'s> {
        NodeShape {
            page: last.page_id(),
            tree: self.id,
            level: 0,
            lower: last.lower_fence(),
            upper: Some(fence),
            right,
            max_timestamp: last.max_timestamp(),
        }
    }
}

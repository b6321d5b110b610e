//! Making room: one node splits at a time, the highest that must; then the caller descends again.
//! Knows nodes and separators. Knows nothing of what is being inserted.
//!
//! That one key (a quarter of a page) and one value (a third) always find room follows from the choice of
//! separators: the shortest that divides. A node whose own fences leave too little room is divided beside the
//! key, so that its fences become the shortest ones around it.

use crate::common::ids::PageId;
use crate::error::{Error, Result};
use crate::storage::buffer_pool::ExclusivePage;
use crate::storage::page::{HEADER_BYTES, LEVEL_MAX, Node, NodeShape, RECORD_HEADER_BYTES, common_prefix};
use crate::storage::tree::Tree;
use std::sync::atomic::Ordering;

/// Where a node is divided: entries from `position` on go to the right, whose lower fence is `separator`.
struct Division {
    separator: Vec<u8>,
    position: usize,
}

/// The shortest key that is above `left` and not above `right`, given `left < right`. On a damaged page, whose keys
/// are in no order, any key: nothing gets worse.
pub(in crate::storage) fn separator(left: &[u8], right: &[u8]) -> Vec<u8> {
    right[..(common_prefix(left, right) + 1).min(right.len())].to_vec()
}

impl Tree {
    /// Divides one node on the way to `key`, unless its leaf has room for the entry by now. `ascending`: keys just above
    /// `key` follow, so what lies below it is left as full as it is.
    pub(in crate::storage) fn split_for(&self, key: &[u8], value_len: usize, ascending: bool) -> Result<()> {
        let separator_bytes_max = RECORD_HEADER_BYTES + self.key_bytes_max() + 4;
        let root = self.pool.fetch_exclusive(self.root)?;
        self.check_root(root.node())?;
        let mut path = vec![root];
        loop {
            let node = path[path.len() - 1].node();
            if node.is_leaf() {
                break;
            }
            let child = self.pool.fetch_exclusive(node.child(node.child_index(key)))?;
            self.check_child(child.node(), node.level())?;
            if !child.node().is_leaf() && child.node().has_room(separator_bytes_max) {
                path.clear();
            }
            path.push(child);
        }
        let leaf = path[path.len() - 1].node();
        if key < leaf.lower_fence() || !leaf.is_below_upper_fence(key) {
            // However often it is divided, no part of it is the place for the key.
            return Err(self.damaged(leaf.page_id(), "its keys are not those that its place is for"));
        }
        let has_room = match leaf.search_to_append(key) {
            Ok(index) => leaf.can_replace(index, value_len),
            Err(index) => {
                let record_bytes = RECORD_HEADER_BYTES + key.len() - leaf.prefix_len() + value_len;
                let is_last = index == leaf.count() && !leaf.has_upper_fence();
                leaf.has_room(record_bytes) && !(is_last && self.is_filled(leaf, key, record_bytes))
            }
        };
        if has_room {
            return Ok(());
        }
        self.divide_lowest(&mut path, key, ascending)
    }

    /// Divides the lowest node of a path whose parent has room for another child. The path ends with the node that
    /// must be divided; it begins with the root, or with a node that has room. A leaf is divided for `key`.
    pub(super) fn divide_lowest(
        &self,
        path: &mut [ExclusivePage<'_>],
        key: &[u8],
        ascending: bool,
    ) -> Result<()> {
        for depth in (0..path.len()).rev() {
            if depth == 0 {
                assert!(path[0].page() == self.root, "only a node with room for a separator heads a path");
                return self.push_root_down(&mut path[0]);
            }
            let (above, below) = path.split_at_mut(depth);
            let (parent, node) = (&mut above[depth - 1], &mut below[0]);
            let division = match node.node().is_leaf() {
                true => divide_leaf(node.node(), key, ascending, self.spare_bytes()),
                false => divide_inner(node.node()),
            };
            let Some(division) = division else {
                return Err(Error::internal(format!("a node of tree {} cannot be divided", self.id)));
            };
            let separator_len = division.separator.len() - parent.node().prefix_len();
            if parent.node().has_room(RECORD_HEADER_BYTES + separator_len + 4) {
                return self.divide(parent, node, &division);
            }
        }
        Ok(())
    }

    /// The root's content goes to a new page, its only child.
    pub(super) fn push_root_down(&self, root: &mut ExclusivePage<'_>) -> Result<()> {
        if root.node().level() >= LEVEL_MAX {
            return Err(Error::internal(format!("tree {} is too high", self.id)));
        }
        let mut child = self.pool.allocate()?;
        let child_page = child.page();
        let old = root.to_vec();
        let node = Node::new(&old);
        let mut shape = NodeShape::only(child_page, node);
        let mut new = child.node_mut();
        new.format(&shape);
        new.append_from(node, 0..node.count());
        shape.page = self.root;
        shape.level += 1;
        let mut new = root.node_mut();
        new.format(&shape);
        new.push_first_child(child_page);
        self.height.store(shape.level, Ordering::Relaxed);
        Ok(())
    }

    fn divide(
        &self,
        parent: &mut ExclusivePage<'_>,
        node: &mut ExclusivePage<'_>,
        division: &Division,
    ) -> Result<()> {
        let mut right = self.pool.allocate()?;
        let right_page = right.page();
        let old = node.to_vec();
        let from = Node::new(&old);
        let upper = from.upper_fence();
        let (left_shape, right_shape) = NodeShape::neighbours(
            (node.page(), right_page),
            (from, from),
            upper.as_deref(),
            &division.separator,
        );
        let mut new = right.node_mut();
        new.format(&right_shape);
        new.append_from(from, division.position..from.count());
        let mut new = node.node_mut();
        new.format(&left_shape);
        new.append_from(from, 0..division.position);
        let index = parent.node().search(&division.separator).unwrap_or_else(|index| index);
        parent.node_mut().insert_child(index, &division.separator, right_page);
        Ok(())
    }
}

/// Whether both halves have their place.
fn fits(node: Node<'_>, division: &Division) -> bool {
    let upper = node.upper_fence();
    let separator = &division.separator[..];
    if separator <= node.lower_fence() || upper.as_deref().is_some_and(|upper| separator >= upper) {
        return false;
    }
    let size = node.page_bytes();
    let nowhere = (PageId(0), PageId(0));
    let (left, right) = NodeShape::neighbours(nowhere, (node, node), upper.as_deref(), separator);
    left.bytes_for(node, 0..division.position) <= size
        && right.bytes_for(node, division.position..node.count()) <= size
}

/// The position that halves the bytes, at least 1 and below `count`.
fn middle(node: Node<'_>) -> usize {
    let count = node.count();
    let total: usize = (0..count).map(|index| node.entry_bytes(index)).sum();
    let mut bytes = 0;
    for index in 0..count {
        bytes += node.entry_bytes(index);
        if bytes * 2 >= total {
            return (index + 1).clamp(1, count - 1);
        }
    }
    count - 1
}

/// A leaf that ends before `key`, which is behind all its entries.
fn end_before(node: Node<'_>, key: &[u8]) -> Option<Division> {
    let last = node.count().checked_sub(1)?;
    let division = Division { separator: separator(&node.key(last), key), position: node.count() };
    fits(node, &division).then_some(division)
}

/// Whether a leaf can stay as it is and end before `key`, which is behind all its entries.
pub(in crate::storage) fn can_end_before(node: Node<'_>, key: &[u8]) -> bool {
    end_before(node, key).is_some()
}

/// How many of the first entries of a leaf leave so many bytes of its page free, at least one.
fn entries_beside(node: Node<'_>, spare: usize) -> usize {
    let mut room = (node.page_bytes() - HEADER_BYTES).saturating_sub(node.lower_fence().len() + spare);
    let fits = |index: &usize| match room.checked_sub(node.entry_bytes(*index)) {
        Some(rest) => {
            room = rest;
            true
        }
        None => false,
    };
    (0..node.count()).take_while(fits).count().max(1)
}

/// Where a leaf is divided to make room for `key`. `spare`: bytes that ascending keys leave free on what they have filled.
fn divide_leaf(node: Node<'_>, key: &[u8], ascending: bool, spare: usize) -> Option<Division> {
    let count = node.count();
    let at = node.search(key);
    // In the middle of a tree keys were added while there was room: what is too much goes on with those that come.
    let full = if ascending && spare > 0 && count > 1 { entries_beside(node, spare) } else { count };
    let is_last = !node.has_upper_fence();
    // Keys in ascending order: leave the full leaf full.
    if at == Err(count)
        && (is_last || (ascending && full == count))
        && let Some(division) = end_before(node, key)
    {
        return Some(division);
    }
    if count >= 2 {
        let middle = middle(node);
        let by_distance = (0..count).flat_map(|distance| [middle + distance, middle.wrapping_sub(distance)]);
        // More than half of it lies below the keys that come: they get the rest for themselves.
        let behind = at.err().filter(|at| ascending && *at > middle).map(|at| at.min(full));
        return behind
            .into_iter()
            .chain(by_distance)
            .filter(|position| (1..count).contains(position))
            .map(|position| Division {
                separator: separator(&node.key(position - 1), &node.key(position)),
                position,
            })
            .find(|division| fits(node, division));
    }
    let only = (count == 1).then(|| node.key(0));
    let mut candidates = Vec::new();
    if let (Some(only), Err(position)) = (&only, at) {
        let (low, high) = if position == 0 { (key, &only[..]) } else { (&only[..], key) };
        candidates.push(Division { separator: separator(low, high), position });
    }
    let least = only.as_deref().map_or(key, |only| only.min(key));
    let most = only.as_deref().map_or(key, |only| only.max(key));
    if least > node.lower_fence() {
        let separator = separator(node.lower_fence(), least);
        if separator.len() < node.lower_fence().len() {
            candidates.push(Division { separator, position: 0 });
        }
    }
    if let Some(upper) = node.upper_fence() {
        let separator = separator(most, &upper);
        if separator.len() < upper.len() {
            candidates.push(Division { separator, position: count });
        }
    }
    candidates.into_iter().find(|division| fits(node, division))
}

fn divide_inner(node: Node<'_>) -> Option<Division> {
    let count = node.count();
    if count < 2 {
        return None;
    }
    let at_end = if node.has_upper_fence() { None } else { Some(count - 1) };
    let middle = middle(node);
    let by_distance = (0..count).flat_map(|distance| [middle + distance, middle.wrapping_sub(distance)]);
    at_end
        .into_iter()
        .chain(by_distance)
        .filter(|position| (1..count).contains(position))
        .map(|position| Division { separator: node.key(position), position })
        .find(|division| fits(node, division))
}

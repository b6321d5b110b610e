//! Fewer and fuller nodes: neighbours under one parent are merged, entries move to the left, a root with one child takes
//! its place. Done in steps of a few nodes, each an action of its own, so that others go on in between.
//! Knows nodes. Knows nothing of why nodes are not full.

use super::split::separator;
use crate::error::Result;
use crate::storage::buffer_pool::ExclusivePage;
use crate::storage::page::{Node, NodeShape, RECORD_HEADER_BYTES};
use crate::storage::tree::Tree;
use std::sync::atomic::Ordering;

/// Pairs of neighbours that one step looks at, while their parent is latched.
pub(in crate::storage) const PAIRS_A_STEP: usize = 16;
/// Nodes are filled up to so many hundredths, so that the next entry does not split them again, unless their tree was told
/// how far leaves are filled.
const FILL_PERCENT: usize = 92;
/// A node that is filled to so many hundredths of that takes no entries from its neighbour.
const FULL_ENOUGH_PERCENT: usize = 87;

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::storage) enum MergeStep {
    /// The level goes on here.
    More(Vec<u8>),
    /// The level's last pair was looked at.
    LevelEnd,
    /// The tree is not as high, or gone.
    TreeEnd,
}

/// Bytes that a node takes up.
fn filled(node: Node<'_>) -> usize {
    node.page_bytes() - node.free_bytes()
}

impl Tree {
    /// Merges some nodes of `level`, from the one where `key` belongs on. Enters the gate itself.
    /// # Errors
    /// `58030`, `XX001`, `53200`.
    pub(in crate::storage) fn merge_some(&self, level: u8, key: &[u8]) -> Result<MergeStep> {
        let _ticket = self.gate.enter();
        if self.dropped.load(Ordering::Relaxed) {
            return Ok(MergeStep::TreeEnd);
        }
        let mut parent = self.pool.fetch_exclusive(self.root)?;
        self.check_root(parent.node())?;
        if parent.node().level() <= level {
            return Ok(MergeStep::TreeEnd);
        }
        while parent.node().level() > level + 1 {
            let node = parent.node();
            let next = self.pool.fetch_exclusive(node.child(node.child_index(key)))?;
            self.check_child(next.node(), node.level())?;
            parent = next;
        }
        let percent = match self.fill_percent.load(Ordering::Relaxed) {
            told @ 1.. if level == 0 => usize::from(told),
            _ => FILL_PERCENT,
        };
        let mut index = parent.node().child_index(key);
        let mut left = self.child_without_ghosts(&parent, index)?;
        for _ in 0..PAIRS_A_STEP {
            if index + 1 >= parent.node().count() {
                return Ok(parent.node().upper_fence().map_or(MergeStep::LevelEnd, MergeStep::More));
            }
            let mut right = self.child_without_ghosts(&parent, index + 1)?;
            if merge(&mut left, right.node(), percent) {
                parent.node_mut().remove(index + 1);
                self.pool.free(right);
            } else {
                if level == 0 {
                    shift_left(&mut parent, (index, percent), &mut left, &mut right);
                }
                index += 1;
                left = right;
            }
        }
        Ok(MergeStep::More(left.node().lower_fence().to_vec()))
    }

    fn child_without_ghosts(&self, parent: &ExclusivePage<'_>, index: usize) -> Result<ExclusivePage<'_>> {
        let mut child = self.pool.fetch_exclusive(parent.node().child(index))?;
        self.check_child(child.node(), parent.node().level())?;
        if child.node().is_leaf() {
            self.remove_dead_ghosts(&mut child);
        }
        Ok(child)
    }

    /// A root with one child becomes what the child is; false: it has more, or is a leaf. Enters the gate itself.
    /// # Errors
    /// As [`Tree::merge_some`].
    pub(in crate::storage) fn lower_root(&self) -> Result<bool> {
        let _ticket = self.gate.enter();
        if self.dropped.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let mut root = self.pool.fetch_exclusive(self.root)?;
        self.check_root(root.node())?;
        if root.node().is_leaf() || root.node().count() != 1 {
            return Ok(false);
        }
        let child = self.pool.fetch_exclusive(root.node().child(0))?;
        self.check_child(child.node(), root.node().level())?;
        let node = child.node();
        if node.has_upper_fence() || !node.lower_fence().is_empty() {
            return Ok(false);
        }
        let shape = NodeShape::only(self.root, node);
        let mut new = root.node_mut();
        new.format(&shape);
        new.append_from(node, 0..node.count());
        self.height.store(shape.level, Ordering::Relaxed);
        self.pool.free(child);
        Ok(true)
    }
}

/// Lays `left` out again with what both hold. False: that is more than `percent` of a page.
fn merge(left: &mut ExclusivePage<'_>, right: Node<'_>, percent: usize) -> bool {
    let old = left.to_vec();
    let node = Node::new(&old);
    let upper = right.upper_fence();
    let shape = NodeShape {
        page: left.page(),
        tree: node.tree(),
        level: node.level(),
        lower: node.lower_fence(),
        upper: upper.as_deref(),
        right: right.right(),
        max_timestamp: node.max_timestamp().max(right.max_timestamp()),
    };
    let (from_left, from_right) = (0..node.count(), 0..right.count());
    let bytes = shape.bytes_for_both((node, from_left.clone()), (right, from_right.clone()));
    let has_empty = node.count() == 0 || right.count() == 0;
    let percent = if has_empty { 100 } else { percent };
    if bytes > node.page_bytes() * percent / 100 {
        return false;
    }
    let mut new = left.node_mut();
    new.format(&shape);
    new.append_both((node, from_left), (right, from_right));
    true
}

/// Moves entries of a leaf to the one before it, child `index`, which is to be filled to `percent`, if that is worth it.
fn shift_left(
    parent: &mut ExclusivePage<'_>,
    (index, percent): (usize, usize),
    left: &mut ExclusivePage<'_>,
    right: &mut ExclusivePage<'_>,
) {
    let size = left.node().page_bytes();
    if filled(left.node()) * 100 * 100 >= size * percent * FULL_ENOUGH_PERCENT {
        return;
    }
    let (old_left, old_right) = (left.to_vec(), right.to_vec());
    let (from_left, from_right) = (Node::new(&old_left), Node::new(&old_right));
    let mut room = (size * percent / 100).saturating_sub(filled(from_left));
    let mut count = 0;
    while count + 1 < from_right.count() && from_right.entry_bytes(count) <= room {
        room -= from_right.entry_bytes(count);
        count += 1;
    }
    if count == 0 {
        return;
    }
    let divider = separator(&from_right.key(count - 1), &from_right.key(count));
    let upper = from_right.upper_fence();
    let (left_shape, right_shape) = NodeShape::neighbours(
        (left.page(), right.page()),
        (from_left, from_right),
        upper.as_deref(),
        &divider,
    );
    let all = 0..from_left.count();
    let rest = count..from_right.count();
    let fits = left_shape.bytes_for_both((from_left, all.clone()), (from_right, 0..count)) <= size
        && right_shape.bytes_for(from_right, rest.clone()) <= size;
    let key_bytes = divider.len() - parent.node().prefix_len();
    if !fits || !parent.node().has_room(RECORD_HEADER_BYTES + key_bytes + size_of::<u32>()) {
        return;
    }
    let mut new = left.node_mut();
    new.format(&left_shape);
    new.append_both((from_left, all), (from_right, 0..count));
    let mut new = right.node_mut();
    new.format(&right_shape);
    new.append_from(from_right, rest);
    let mut parent = parent.node_mut();
    parent.remove(index + 1);
    parent.insert_child(index + 1, &divider, right_shape.page);
}

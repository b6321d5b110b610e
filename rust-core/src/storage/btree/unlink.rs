//! Taking an empty leaf out of its tree: a neighbour under the same parent covers its range from then on.
//! Knows nodes. Knows nothing of why the leaf is empty.

use crate::common::ids::PageId;
use crate::error::Result;
use crate::storage::buffer_pool::ExclusivePage;
use crate::storage::page::{Node, NodeShape};
use crate::storage::tree::Tree;

impl Tree {
    /// Unlinks and frees the leaf where `key` belongs, if it is empty and has a neighbour with room for both
    /// fences. An only child stays.
    pub(in crate::storage) fn unlink_empty_leaf(&self, key: &[u8]) -> Result<()> {
        let mut parent = self.pool.fetch_exclusive(self.root)?;
        self.check_root(parent.node())?;
        while parent.node().level() > 1 {
            let node = parent.node();
            let next = self.pool.fetch_exclusive(node.child(node.child_index(key)))?;
            self.check_child(next.node(), node.level())?;
            parent = next;
        }
        let node = parent.node();
        if node.is_leaf() || node.count() < 2 {
            return Ok(());
        }
        let index = node.child_index(key);
        // The page that stays is the left one of two, because the leaf before it links to it.
        let stays = index.saturating_sub(1);
        let mut left = self.pool.fetch_exclusive(node.child(stays))?;
        self.check_child(left.node(), 1)?;
        let right = self.pool.fetch_exclusive(node.child(stays + 1))?;
        self.check_child(right.node(), 1)?;
        let empty = if stays == index { left.node() } else { right.node() };
        if empty.count() == 0 && merge(&mut left, right.node()) {
            parent.node_mut().remove(stays + 1);
            self.pool.free(right);
        }
        Ok(())
    }
}

/// Lays `left` out again over both ranges; one of the two is empty. False: the fences take too much room.
fn merge(left: &mut ExclusivePage<'_>, right: Node<'_>) -> bool {
    let old = left.to_vec();
    let node = Node::new(&old);
    let full = if node.count() == 0 { right } else { node };
    let upper = right.upper_fence();
    let shape = NodeShape {
        page: left.page(),
        tree: node.tree(),
        level: 0,
        lower: node.lower_fence(),
        upper: upper.as_deref(),
        right: right.right(),
        max_timestamp: node.max_timestamp().max(right.max_timestamp()),
    };
    if shape.bytes_for(full, 0..full.count()) > node.page_bytes() {
        return false;
    }
    let mut new = left.node_mut();
    new.format(&shape);
    new.append_from(full, 0..full.count());
    debug_assert!(shape.page != PageId(0));
    true
}

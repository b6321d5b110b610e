//! Each thread's own copies of root pages: a descent that begins at one writes nothing that other threads read.
//! Knows roots and their children. Knows nothing of what lies below, or of keys.
//!
//! Every descent passes the root, and latching it, if only to read, moves its cache line from processor to processor. The
//! root changes seldom: when a child of it is split, merged or unlinked. So a descent looks for its child in the thread's
//! copy, latches the child, and only then asks whether the copy is still current. Whoever changes what a child is
//! responsible for holds the root exclusively meanwhile, and is counted by its latch before it touches the child; who has
//! latched the child after that has been told of the count, and begins again with the latch of the root. Who was before it
//! keeps the child as it is until it goes on.

use crate::common::ids::PageId;
use crate::storage::buffer_pool::{PageCopy, SharedPage};
use crate::storage::page::Node;
use crate::storage::tree::Tree;
use std::cell::RefCell;

/// Copies a thread keeps; trees share a place by their number. Together at most 256 KiB a thread.
const PLACE_COUNT: usize = 8;
/// A copy that is of another tree, or old, is replaced when it was passed by so often in a row: copying costs as much as
/// some ten descents save.
const PASSED_BY_MAX: u32 = 16;

#[derive(Debug, Default)]
struct Place {
    /// Number of the tree.
    tree: u64,
    copy: Option<PageCopy>,
    /// Descents since the copy was of use last.
    passed_by: u32,
}

thread_local! {
    static PLACES: RefCell<[Place; PLACE_COUNT]> = RefCell::default();
}

fn with_place<R>(tree: u64, run: impl FnOnce(&mut Place) -> R) -> Option<R> {
    // None: the thread ends, or a page that is fetched has others be written by way of another tree.
    let result = PLACES.try_with(|places| {
        let mut places = places.try_borrow_mut().ok()?;
        Some(run(&mut places[place_of(tree)]))
    });
    result.ok()?
}

/// Trees that are used together were often numbered in steps: their numbers are mixed (Knuth, 6.4).
fn place_of(tree: u64) -> usize {
    (tree.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - PLACE_COUNT.trailing_zeros())) as usize
}

impl Tree {
    /// The child that `choose` leads to, latched by `fetch`, which is told its page and its level. `None`: to be looked for
    /// from the root on.
    #[inline]
    pub(in crate::storage) fn below_copied_root<G>(
        &self,
        choose: impl Fn(Node<'_>) -> usize,
        fetch: impl FnOnce(PageId, u8) -> Option<G>,
    ) -> Option<G> {
        with_place(self.number, |place| {
            let copy =
                place.copy.as_ref().filter(|copy| place.tree == self.number && self.pool.is_current(copy))?;
            let node = copy.node();
            let child = fetch(node.child(choose(node)), node.level() - 1)?;
            if !self.pool.is_current(copy) {
                return None;
            }
            place.passed_by = 0;
            Some(child)
        })?
    }

    /// Copies the root, if it is an inner page, for the descents to come: once many in a row had to latch it.
    #[inline]
    pub(in crate::storage) fn note_latched_root(&self, root: &SharedPage<'_>) {
        if root.node().is_leaf() || self.built.is_some() {
            return;
        }
        with_place(self.number, |place| {
            place.passed_by += 1;
            if place.passed_by >= PASSED_BY_MAX {
                *place = Place { tree: self.number, copy: Some(self.pool.copy(root)), passed_by: 0 };
            }
        });
    }
}

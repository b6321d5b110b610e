//! Visiting a range leaf by leaf, forwards or backwards, without a latch between two visits.
//! Knows fences. Knows nothing of what the visitor does with a leaf.
//!
//! Between two visits the cursor remembers the fence where it stopped. Going forwards it tries the right link
//! first: that page is the next leaf exactly if it is a leaf of this tree that starts at the fence. Otherwise,
//! and going backwards, it descends by the fence.

use crate::common::ids::{Lsn, PageId};
use crate::error::Result;
use crate::storage::buffer_pool::{PageAhead, SharedPage};
use crate::storage::page::Node;
use crate::storage::tree::Tree;
use std::ops::{Bound, Range};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Start,
    /// All before (backwards: from) the fence was visited.
    Fence,
    End,
}

/// A place in a range of a tree. Belongs to one thread at a time and to one tree.
#[derive(Clone, Debug)]
pub struct TreeCursor {
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    backward: bool,
    state: State,
    fence: Vec<u8>,
    /// The leaf to the right; 0: a descent finds where it goes on.
    next: PageId,
    /// Entries of a visit at most.
    most: usize,
}

impl TreeCursor {
    /// A cursor at the start of the range (at its end when `backward`).
    pub fn new(lower: Bound<&[u8]>, upper: Bound<&[u8]>, backward: bool) -> TreeCursor {
        TreeCursor {
            lower: lower.map(<[u8]>::to_vec),
            upper: upper.map(<[u8]>::to_vec),
            backward,
            state: State::Start,
            fence: Vec::new(),
            next: PageId(0),
            most: usize::MAX,
        }
    }

    /// From now on a visit hands out at most `most` entries (at least 1) of a leaf, and the next goes on inside it.
    pub fn set_entries_max(&mut self, most: usize) {
        self.most = most.max(1);
    }

    /// Whether the range is used up: `visit` will find nothing more.
    pub fn is_at_end(&self) -> bool {
        self.state == State::End
    }

    fn range_in(&self, node: Node<'_>) -> Range<usize> {
        let stopped = (self.state == State::Fence).then(|| lower_bound(node, &self.fence));
        let start = match (&self.lower, stopped) {
            (_, Some(stopped)) if !self.backward => stopped,
            (Bound::Unbounded, _) => 0,
            (Bound::Included(key), _) => lower_bound(node, key),
            (Bound::Excluded(key), _) => upper_bound(node, key),
        };
        let end = match (&self.upper, stopped) {
            (_, Some(stopped)) if self.backward => stopped,
            (Bound::Unbounded, _) => node.count(),
            (Bound::Included(key), _) => upper_bound(node, key),
            (Bound::Excluded(key), _) => lower_bound(node, key),
        };
        start..end.max(start)
    }

    /// Whether the leaf that the next visit reads is known.
    fn has_next(&self) -> bool {
        self.state == State::Fence && !self.backward && self.next != PageId(0)
    }

    /// Notes where the next visit goes on.
    fn advance(&mut self, node: Node<'_>) {
        self.state = State::Fence;
        let more = if self.backward {
            self.fence.clear();
            self.fence.extend_from_slice(node.lower_fence());
            let below = match &self.lower {
                Bound::Included(key) | Bound::Excluded(key) => *key < self.fence,
                Bound::Unbounded => true,
            };
            below && !self.fence.is_empty()
        } else {
            self.next = node.right();
            self.fence.clear();
            self.fence.extend_from_slice(node.prefix());
            self.fence.extend_from_slice(node.upper_suffix());
            let above = match &self.upper {
                Bound::Included(key) => *key >= self.fence,
                Bound::Excluded(key) => *key > self.fence,
                Bound::Unbounded => true,
            };
            above && node.has_upper_fence()
        };
        if !more {
            self.state = State::End;
        }
    }

    /// The first entries of `range` in the cursor's direction, no more than a visit hands out; notes that the next one
    /// goes on behind them.
    #[cold]
    fn stop_inside(&mut self, node: Node<'_>, range: Range<usize>) -> Range<usize> {
        let (now, edge) = if self.backward {
            (range.end - self.most..range.end, range.end - self.most)
        } else {
            (range.start..range.start + self.most, range.start + self.most)
        };
        self.state = State::Fence;
        self.next = PageId(0);
        self.fence.clear();
        self.fence.extend_from_slice(node.prefix());
        self.fence.extend_from_slice(node.suffix(edge));
        now
    }
}

fn lower_bound(node: Node<'_>, key: &[u8]) -> usize {
    node.search(key).unwrap_or_else(|index| index)
}

fn upper_bound(node: Node<'_>, key: &[u8]) -> usize {
    node.search(key).map_or_else(|index| index, |index| index + 1)
}

impl Tree {
    /// Reads the next leaf that has entries in the cursor's range, ghosts included. `read` gets the leaf and
    /// the range of its entries (to be taken in reverse when the cursor goes backwards), under the leaf's
    /// shared latch: short, no I/O, no other tree. None: at the end.
    /// # Errors
    /// `58030`, `XX001`, `53200`; the cursor can go on from where it was.
    pub fn visit<R>(
        &self,
        cursor: &mut TreeCursor,
        read: impl FnOnce(&LeafView<'_>, Range<usize>) -> R,
    ) -> Result<Option<R>> {
        while cursor.state != State::End {
            let leaf = self.next_leaf(cursor).map_err(|error| self.named(error))?;
            let node = leaf.node();
            let goes_on = match (cursor.state, cursor.backward) {
                (State::Fence, true) => node.lower_fence() < &cursor.fence[..],
                (State::Fence, false) => node.is_below_upper_fence(&cursor.fence),
                _ => true,
            };
            if !goes_on {
                return Err(self.damaged(node.page_id(), "its keys are not those that its place is for"));
            }
            let mut range = cursor.range_in(node);
            let fetched = cursor.has_next();
            cursor.advance(node);
            if range.len() > cursor.most {
                range = cursor.stop_inside(node, range);
            }
            if !range.is_empty() {
                let has_next = cursor.has_next();
                let ahead = if has_next { self.pool.ahead(cursor.next) } else { PageAhead::default() };
                let newest = self.newest(node);
                return Ok(Some(read(&LeafView { node, newest, ahead, fetched }, range)));
            }
        }
        Ok(None)
    }

    fn next_leaf(&self, cursor: &TreeCursor) -> Result<SharedPage<'_>> {
        let fence = &cursor.fence[..];
        match (cursor.state, cursor.backward) {
            (State::Start, false) => match &cursor.lower {
                Bound::Included(key) | Bound::Excluded(key) => self.leaf_shared(key),
                Bound::Unbounded => self.leaf_shared(&[]),
            },
            (State::Start, true) => match &cursor.upper {
                Bound::Included(key) => self.leaf_shared(key),
                Bound::Excluded(key) if key.is_empty() => self.leaf_shared(key),
                Bound::Excluded(key) => self.leaf_below(key),
                Bound::Unbounded => self.leaf_last(),
            },
            (_, true) => self.leaf_below(fence),
            (_, false) => {
                if cursor.next != PageId(0)
                    && let Some(leaf) = self.pool.try_fetch_shared(cursor.next)?
                {
                    let node = leaf.node();
                    if node.is_leaf() && node.tree() == self.id && node.lower_fence() == fence {
                        return Ok(leaf);
                    }
                }
                self.leaf_shared(fence)
            }
        }
    }
}

/// A leaf under its shared latch. Every access is O(1) but `lower_bound`, which is O(log entries).
#[derive(Clone, Copy, Debug)]
pub struct LeafView<'a> {
    node: Node<'a>,
    newest: Lsn,
    /// The leaf that a forward scan reads next.
    ahead: PageAhead,
    /// A forward scan had this leaf fetched while it read the one before.
    fetched: bool,
}

impl<'a> LeafView<'a> {
    /// Entries, ghosts included.
    pub fn len(&self) -> usize {
        self.node.count()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest timestamp of a change on this page.
    pub fn max_timestamp(&self) -> Lsn {
        self.newest
    }

    /// What all keys of the page start with.
    pub fn prefix(&self) -> &'a [u8] {
        self.node.prefix()
    }

    /// Key `index` without the prefix.
    pub fn suffix(&self, index: usize) -> &'a [u8] {
        self.node.suffix(index)
    }

    /// The value of entry `index`; empty for a ghost.
    pub fn value(&self, index: usize) -> &'a [u8] {
        if self.node.is_ghost(index) { &[] } else { self.node.raw_value(index) }
    }

    /// Has the processor fetch the beginnings of entries that will be read soon: records lie all over the page, and
    /// one miss at a time would cost more than the reading. Nothing to do where [`LeafView::prefetch_next`] did it.
    pub fn prefetch(&self, entries: Range<usize>) {
        if !self.fetched {
            for index in entries {
                self.node.prefetch(index);
            }
        }
    }

    /// Cache lines to fetch with each of `entries` entries, so that the next leaf is there after them.
    pub fn lines_ahead(&self, entries: usize) -> usize {
        self.ahead.lines_a_step(entries)
    }

    /// Has the processor fetch `count` cache lines, from line `from` on, of the leaf that the scan reads next. To be
    /// called between the entries of this one, so that memory and processor work at once.
    #[inline]
    pub fn prefetch_next(&self, from: usize, count: usize) {
        self.ahead.fetch(from, count);
    }

    /// Hands every value of `entries` that is not deleted, with its entry, to `each`, in key order.
    #[inline]
    pub fn for_each_live(&self, entries: Range<usize>, each: impl FnMut(usize, &'a [u8])) {
        self.node.for_each_live(entries, each);
    }

    /// The value of entry `index`; `None` where it is deleted.
    pub fn live_value(&self, index: usize) -> Option<&'a [u8]> {
        self.node.live_value(index)
    }

    /// Whether entry `index` is deleted.
    pub fn is_ghost(&self, index: usize) -> bool {
        self.node.is_ghost(index)
    }

    /// Writes key `index` into `key` (cleared first).
    pub fn key_into(&self, index: usize, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(self.node.prefix());
        key.extend_from_slice(self.node.suffix(index));
    }

    /// The first entry whose key is at least `key`; `len()` when there is none.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        lower_bound(self.node, key)
    }
}

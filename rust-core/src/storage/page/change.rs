//! Changing a page: laying it out, adding, replacing and removing records, compaction.
//! Knows the layout of bytes. Knows nothing of frames, files or other pages.

use super::{
    FLAG_NO_UPPER_FENCE, GHOST_BIT, HEADER_BYTES, Node, RECORD_HEADER_BYTES, SLOT_BYTES, TYPE_INNER,
    TYPE_LEAF, common_prefix, key_head,
};
use crate::common::ids::{Lsn, PageId, TreeId};
use std::ops::Range;

const SLOT_CAPACITY_STEP: usize = 16;

/// The fences and links of a node that is about to be laid out.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct NodeShape<'a> {
    pub(in crate::storage) page: PageId,
    pub(in crate::storage) tree: TreeId,
    pub(in crate::storage) level: u8,
    pub(in crate::storage) lower: &'a [u8],
    pub(in crate::storage) upper: Option<&'a [u8]>,
    pub(in crate::storage) right: PageId,
    pub(in crate::storage) max_timestamp: Lsn,
}

impl<'a> NodeShape<'a> {
    /// Two neighbours that share what lies from `first`'s lower fence to `last`'s upper one, which is `upper`: below
    /// `divider` in page `left`, from it on in page `right`. A node that is divided is the first and the last.
    pub(in crate::storage) fn neighbours(
        (left, right): (PageId, PageId),
        (first, last): (Node<'a>, Node<'a>),
        upper: Option<&'a [u8]>,
        divider: &'a [u8],
    ) -> (NodeShape<'a>, NodeShape<'a>) {
        let left = NodeShape {
            page: left,
            tree: first.tree(),
            level: first.level(),
            lower: first.lower_fence(),
            upper: Some(divider),
            right: if first.is_leaf() { right } else { PageId(0) },
            max_timestamp: first.max_timestamp().max(last.max_timestamp()),
        };
        (left, NodeShape { page: right, lower: divider, upper, right: last.right(), ..left })
    }

    /// A node alone on its level, for what `from` holds.
    pub(in crate::storage) fn only(page: PageId, from: Node<'_>) -> NodeShape<'static> {
        NodeShape {
            page,
            tree: from.tree(),
            level: from.level(),
            lower: &[],
            upper: None,
            right: PageId(0),
            max_timestamp: from.max_timestamp(),
        }
    }
}

impl NodeShape<'_> {
    pub(in crate::storage) fn prefix_len(&self) -> usize {
        self.upper.map_or(0, |upper| common_prefix(self.lower, upper))
    }

    /// Bytes that a node of this shape needs for entries `range` of `from`.
    pub(in crate::storage) fn bytes_for(&self, from: Node<'_>, range: Range<usize>) -> usize {
        let prefix = self.prefix_len();
        let fences = self.lower.len() + self.upper.map_or(0, |upper| upper.len() - prefix);
        let grown = from.prefix_len() as isize - prefix as isize;
        let entries: isize = range.map(|index| from.entry_bytes(index) as isize + grown).sum();
        HEADER_BYTES + fences + entries.max(0) as usize
    }

    /// As [`NodeShape::bytes_for`], for entries of two neighbours.
    pub(in crate::storage) fn bytes_for_both(
        &self,
        (left, left_range): (Node<'_>, Range<usize>),
        (right, right_range): (Node<'_>, Range<usize>),
    ) -> usize {
        // The first key of an inner node stands in its lower fence alone.
        let first_key = if right.is_leaf() { 0 } else { right.lower_fence().len() };
        let empty = self.bytes_for(left, 0..0);
        self.bytes_for(left, left_range) + self.bytes_for(right, right_range) - empty + first_key
    }
}

/// Changes a page. All methods keep it acceptable to [`Node::check`].
#[derive(Debug)]
pub(in crate::storage) struct NodeMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> NodeMut<'a> {
    pub(in crate::storage) fn new(bytes: &'a mut [u8]) -> NodeMut<'a> {
        NodeMut { bytes }
    }

    pub(in crate::storage) fn read(&self) -> Node<'_> {
        Node { bytes: self.bytes }
    }

    fn set_u16(&mut self, offset: usize, number: usize) {
        debug_assert!(number <= usize::from(u16::MAX));
        self.bytes[offset..offset + 2].copy_from_slice(&(number as u16).to_le_bytes());
    }
    fn set_u32(&mut self, offset: usize, number: u32) {
        self.bytes[offset..offset + 4].copy_from_slice(&number.to_le_bytes());
    }
    fn set_u64(&mut self, offset: usize, number: u64) {
        self.bytes[offset..offset + 8].copy_from_slice(&number.to_le_bytes());
    }

    /// Lays out an empty node. Its old content is gone.
    pub(in crate::storage) fn format(&mut self, shape: &NodeShape<'_>) {
        let size = self.bytes.len();
        let prefix = shape.prefix_len();
        let upper_suffix = shape.upper.map_or(&[][..], |upper| &upper[prefix..]);
        self.bytes.fill(0);
        self.set_u32(4, shape.page.0);
        self.set_u32(8, shape.tree.0);
        self.bytes[12] = if shape.level == 0 { TYPE_LEAF } else { TYPE_INNER };
        self.bytes[13] = shape.level;
        self.bytes[14] = if shape.upper.is_none() { FLAG_NO_UPPER_FENCE } else { 0 };
        self.set_u64(24, shape.max_timestamp.0);
        self.set_u16(36, prefix);
        self.set_u16(38, shape.lower.len());
        self.set_u16(40, upper_suffix.len());
        self.set_u32(44, shape.right.0);
        let lower_start = size - shape.lower.len();
        let heap = lower_start - upper_suffix.len();
        self.bytes[lower_start..].copy_from_slice(shape.lower);
        self.bytes[heap..lower_start].copy_from_slice(upper_suffix);
        self.set_u16(34, heap);
    }

    /// Makes the page another one with the same content.
    pub(in crate::storage) fn rename(&mut self, page: PageId) {
        self.set_u32(4, page.0);
    }

    /// Fills a new inner node with children, each with the key that its place begins at, the first one's apart; their
    /// bytes were counted and fit.
    pub(in crate::storage) fn fill_children<'e>(
        &mut self,
        count: usize,
        children: impl Iterator<Item = (&'e [u8], PageId)>,
    ) {
        assert!(self.read().count() == 0, "only a new node is filled");
        self.set_u16(48, count);
        let prefix = self.read().prefix_len();
        for (index, (key, child)) in children.take(count).enumerate() {
            let suffix = if index == 0 { &[] } else { &key[prefix..] };
            let fits = self.insert_parts(index, suffix, &[], &child.0.to_le_bytes(), false);
            assert!(fits, "the caller computed that the children fit on the page");
        }
    }

    pub(in crate::storage) fn raise_timestamp(&mut self, timestamp: Lsn) {
        if timestamp > self.read().max_timestamp() {
            self.set_u64(24, timestamp.0);
        }
    }

    /// Makes place for one more slot, if there is room for it and for `record_bytes`.
    fn grow_capacity(&mut self, record_bytes: usize) -> bool {
        let node = self.read();
        let (capacity, count) = (node.capacity(), node.count());
        let room = node.heap() - HEADER_BYTES - SLOT_BYTES * capacity;
        let Some(spare) = room.checked_sub(record_bytes) else { return false };
        if count < capacity {
            return true;
        }
        let step = (spare / SLOT_BYTES).min(SLOT_CAPACITY_STEP);
        if step == 0 {
            return false;
        }
        let from = HEADER_BYTES + 4 * capacity;
        self.bytes.copy_within(from..from + 2 * count, HEADER_BYTES + 4 * (capacity + step));
        self.set_u16(48, capacity + step);
        true
    }

    /// Puts a record at `index`; the key's suffix is `first` followed by `rest`. There must be room
    /// without compaction: `false` (and nothing changed that matters) when there is not.
    fn insert_parts(&mut self, index: usize, first: &[u8], rest: &[u8], value: &[u8], ghost: bool) -> bool {
        let suffix_len = first.len() + rest.len();
        let record_bytes = RECORD_HEADER_BYTES + suffix_len + value.len();
        if !self.grow_capacity(record_bytes) {
            return false;
        }
        let (count, capacity, heap) = (self.read().count(), self.read().capacity(), self.read().heap());
        let start = heap - record_bytes;
        self.set_u16(start, suffix_len | if ghost { usize::from(GHOST_BIT) } else { 0 });
        self.set_u16(start + 2, value.len());
        let key_start = start + RECORD_HEADER_BYTES;
        self.bytes[key_start..key_start + first.len()].copy_from_slice(first);
        self.bytes[key_start + first.len()..key_start + suffix_len].copy_from_slice(rest);
        self.bytes[key_start + suffix_len..heap].copy_from_slice(value);
        let head = key_head(&self.bytes[key_start..key_start + suffix_len]);
        let offsets = HEADER_BYTES + 4 * capacity;
        if index < count {
            let heads = HEADER_BYTES + 4 * index;
            self.bytes.copy_within(heads..HEADER_BYTES + 4 * count, heads + 4);
            self.bytes.copy_within(offsets + 2 * index..offsets + 2 * count, offsets + 2 * index + 2);
        }
        self.set_u32(HEADER_BYTES + 4 * index, head);
        self.set_u16(offsets + 2 * index, start);
        self.set_u16(32, count + 1);
        self.set_u16(34, start);
        true
    }

    /// Inserts a key (with its prefix) at `index`, compacting when needed. The caller saw that it has room.
    pub(in crate::storage) fn insert(&mut self, index: usize, key: &[u8], value: &[u8]) {
        let prefix = self.read().prefix_len();
        if !self.insert_parts(index, &key[prefix..], &[], value, false) {
            self.compact();
            let fits = self.insert_parts(index, &key[prefix..], &[], value, false);
            assert!(fits, "the caller checked that the entry fits on the page");
        }
    }

    /// Inserts a child under a separator, compacting when needed. The caller saw that it has room.
    pub(in crate::storage) fn insert_child(&mut self, index: usize, separator: &[u8], child: PageId) {
        self.insert(index, separator, &child.0.to_le_bytes());
    }

    /// The only child of a new inner node.
    pub(in crate::storage) fn push_first_child(&mut self, child: PageId) {
        let fits = self.insert_parts(0, &[], &[], &child.0.to_le_bytes(), false);
        assert!(fits, "a new inner node has room for its first child");
    }

    /// Fills a new node with entries `range` of `from`, keys unchanged. The caller computed that they fit. The
    /// entry that becomes the first of an inner node loses its key.
    pub(in crate::storage) fn append_from(&mut self, from: Node<'_>, range: Range<usize>) {
        assert!(self.read().count() == 0, "only a new node is filled");
        // Exactly as many slots as entries: the page may be full to the last byte.
        self.set_u16(48, range.len());
        self.push_entries(from, range);
    }

    /// As [`NodeMut::append_from`], with entries of two neighbours.
    pub(in crate::storage) fn append_both(
        &mut self,
        (left, left_range): (Node<'_>, Range<usize>),
        (right, right_range): (Node<'_>, Range<usize>),
    ) {
        assert!(self.read().count() == 0, "only a new node is filled");
        self.set_u16(48, left_range.len() + right_range.len());
        self.push_entries(left, left_range);
        self.push_entries(right, right_range);
    }

    fn push_entries(&mut self, from: Node<'_>, range: Range<usize>) {
        let (old, new) = (from.prefix_len(), self.read().prefix_len());
        for index in range {
            let suffix = from.suffix(index);
            let at = self.read().count();
            let (first, rest) = if !from.is_leaf() && at == 0 {
                (&[][..], &[][..])
            } else if !from.is_leaf() && index == 0 {
                // The key that separates it from its left neighbour.
                (&from.lower_fence()[new..], &[][..])
            } else if new >= old {
                (&suffix[new - old..], &[][..])
            } else {
                (&from.prefix()[new..], suffix)
            };
            let (value, ghost) = (from.raw_value(index), from.is_ghost(index));
            let fits = self.insert_parts(at, first, rest, value, ghost);
            assert!(fits, "the caller computed that the entries fit on the page");
        }
    }

    /// Fills a new leaf with `count` entries in key order, each key with its prefix; their bytes were counted and fit.
    pub(in crate::storage) fn fill<'e>(
        &mut self,
        count: usize,
        entries: impl Iterator<Item = (&'e [u8], &'e [u8])>,
    ) {
        assert!(self.read().count() == 0, "only a new node is filled");
        self.set_u16(48, count);
        let prefix = self.read().prefix_len();
        for (index, (key, value)) in entries.take(count).enumerate() {
            let fits = self.insert_parts(index, &key[prefix..], &[], value, false);
            assert!(fits, "the caller computed that the entries fit on the page");
        }
    }

    /// Removes a record.
    pub(in crate::storage) fn remove(&mut self, index: usize) {
        let node = self.read();
        let (count, capacity) = (node.count(), node.capacity());
        let garbage = node.garbage() + node.entry_bytes(index) - SLOT_BYTES;
        let heads = HEADER_BYTES + 4 * index;
        self.bytes.copy_within(heads + 4..HEADER_BYTES + 4 * count, heads);
        let offsets = HEADER_BYTES + 4 * capacity;
        self.bytes.copy_within(offsets + 2 * index + 2..offsets + 2 * count, offsets + 2 * index);
        self.set_u16(32, count - 1);
        self.set_u16(42, garbage);
    }

    /// Gives entry `index` a value and makes it live. The caller saw that it can.
    pub(in crate::storage) fn replace(&mut self, index: usize, value: &[u8]) {
        let (suffix_len, _, old, start) = self.read().record(index);
        if value.len() <= old {
            self.set_u16(start - RECORD_HEADER_BYTES, suffix_len);
            self.set_u16(start - 2, value.len());
            self.bytes[start + suffix_len..start + suffix_len + value.len()].copy_from_slice(value);
            let garbage = self.read().garbage() + old - value.len();
            self.set_u16(42, garbage);
            return;
        }
        let suffix = self.read().suffix(index).to_vec();
        self.remove(index);
        if !self.insert_parts(index, &suffix, &[], value, false) {
            self.compact();
            let fits = self.insert_parts(index, &suffix, &[], value, false);
            assert!(fits, "the caller checked that the value fits on the page");
        }
    }

    /// Turns entry `index` into a ghost deleted at `timestamp`.
    pub(in crate::storage) fn make_ghost(&mut self, index: usize, timestamp: Lsn) {
        let (suffix_len, _, value, start) = self.read().record(index);
        self.set_u16(start - RECORD_HEADER_BYTES, suffix_len | usize::from(GHOST_BIT));
        if value >= 8 {
            self.set_u16(start - 2, 8);
            self.set_u64(start + suffix_len, timestamp.0);
            let garbage = self.read().garbage() + value - 8;
            self.set_u16(42, garbage);
        }
    }

    /// Removes the garbage between records.
    pub(in crate::storage) fn compact(&mut self) {
        let copy = self.bytes.to_vec();
        let old = Node::new(&copy);
        let heap = self.bytes.len() - old.lower_len() - old.upper_suffix_len();
        self.set_u16(32, 0);
        self.set_u16(34, heap);
        self.set_u16(42, 0);
        self.set_u16(48, old.count());
        for index in 0..old.count() {
            let fits =
                self.insert_parts(index, old.suffix(index), &[], old.raw_value(index), old.is_ghost(index));
            assert!(fits, "records that fitted before compaction fit after it");
        }
    }

    /// Sets the fields that only a stored page has.
    pub(in crate::storage) fn stamp(&mut self, generation: u64) -> u32 {
        self.set_u64(16, generation);
        let crc = self.read().computed_crc();
        self.set_u32(0, crc);
        crc
    }
}

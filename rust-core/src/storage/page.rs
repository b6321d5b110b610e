//! A page of a tree: slotted node with dense key heads, fences and a common prefix; reading it. `change` changes it.
//! Knows the layout of bytes. Knows nothing of frames, files or other pages.
//!
//! ```text
//! 0  crc32c of all that follows        40 bytes of the upper fence after the prefix
//! 4  page id                           42 garbage bytes in the heap
//! 8  tree id                           44 right link (leaves; 0: none)
//! 12 type (1 leaf, 2 inner)            48 slot capacity
//! 13 level (leaves are 0)              50 reserved
//! 14 flags (1: no upper fence)         64 32 bytes for an authentication tag and a nonce
//! 15 version of this layout, 0
//! 16 generation that wrote it          96 key heads: u32 each, big-endian value of the suffix's first 4 bytes
//! 24 newest timestamp of a change      .. slot offsets: u16 each
//! 32 slot count                        .. free
//! 34 heap offset                       .. heap: records {u16 suffix length, 2^15 ghost; u16 value length; suffix; value}
//! 36 prefix length                     .. upper fence after the prefix
//! 38 lower fence length                .. lower fence, ends with the page
//! ```
//! Numbers are little-endian. Both fences start with the prefix, so every key of the page does; it is stored
//! once, in the lower fence. An inner node's first key is empty: below every other. The upper fence is stored
//! without the prefix so that two long fences and one largest entry always fit on a page (see `split`).

mod change;

pub(super) use change::{NodeMut, NodeShape};

use crate::common::checksum::crc32c;
use crate::common::ids::{Lsn, PageId, TreeId};

/// Bytes before the key heads.
pub(super) const HEADER_BYTES: usize = 96;
/// Bytes of a slot: key head and offset.
pub(super) const SLOT_BYTES: usize = 6;
/// Bytes of a record before its suffix.
pub(super) const RECORD_HEADER_BYTES: usize = 4;
/// Bytes of the largest page.
const PAGE_BYTES_MAX: usize = 32 << 10;
const TYPE_LEAF: u8 = 1;
const TYPE_INNER: u8 = 2;
const FLAG_NO_UPPER_FENCE: u8 = 1;
/// Flags that this version knows.
const FLAGS_KNOWN: u8 = FLAG_NO_UPPER_FENCE;
/// The layout that this version writes.
const VERSION: u8 = 0;
const GHOST_BIT: u16 = 1 << 15;
const LENGTH_MASK: u16 = (1 << 14) - 1;
/// A node deeper than this is damage: even one-child nodes cannot stack up so far.
pub(super) const LEVEL_MAX: u8 = 64;

/// Reads a page that [`Node::check`] accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    bytes: &'a [u8],
}

/// First four bytes of a suffix as a number that sorts like it (shorter ones padded with zeros).
fn key_head(suffix: &[u8]) -> u32 {
    match suffix.first_chunk::<4>() {
        Some(head) => u32::from_be_bytes(*head),
        None => {
            let mut head = [0; 4];
            head[..suffix.len()].copy_from_slice(suffix);
            u32::from_be_bytes(head)
        }
    }
}

/// Bytes that `left` and `right` share at their start.
pub(super) fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(l, r)| l == r).count()
}

impl<'a> Node<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Node<'a> {
        Node { bytes }
    }

    fn u16_at(self, offset: usize) -> usize {
        usize::from(u16::from_le_bytes([self.bytes[offset], self.bytes[offset + 1]]))
    }

    fn u32_at(self, offset: usize) -> u32 {
        let mut number = [0; 4];
        number.copy_from_slice(&self.bytes[offset..offset + 4]);
        u32::from_le_bytes(number)
    }

    fn u64_at(self, offset: usize) -> u64 {
        let mut number = [0; 8];
        number.copy_from_slice(&self.bytes[offset..offset + 8]);
        u64::from_le_bytes(number)
    }

    pub(super) fn stored_crc(self) -> u32 {
        self.u32_at(0)
    }
    pub(super) fn computed_crc(self) -> u32 {
        crc32c(&self.bytes[4..])
    }
    pub(super) fn page_id(self) -> PageId {
        PageId(self.u32_at(4))
    }
    pub(super) fn tree(self) -> TreeId {
        TreeId(self.u32_at(8))
    }
    pub(super) fn is_leaf(self) -> bool {
        self.bytes[12] == TYPE_LEAF
    }
    pub(super) fn level(self) -> u8 {
        self.bytes[13]
    }
    pub(super) fn has_upper_fence(self) -> bool {
        self.bytes[14] & FLAG_NO_UPPER_FENCE == 0
    }
    pub(super) fn max_timestamp(self) -> Lsn {
        Lsn(self.u64_at(24))
    }
    pub(super) fn count(self) -> usize {
        self.u16_at(32)
    }
    fn heap(self) -> usize {
        self.u16_at(34)
    }
    pub(super) fn prefix_len(self) -> usize {
        self.u16_at(36)
    }
    fn lower_len(self) -> usize {
        self.u16_at(38)
    }
    fn upper_suffix_len(self) -> usize {
        self.u16_at(40)
    }
    pub(super) fn garbage(self) -> usize {
        self.u16_at(42)
    }
    pub(super) fn right(self) -> PageId {
        PageId(self.u32_at(44))
    }
    fn capacity(self) -> usize {
        self.u16_at(48)
    }

    /// Every key is at least this; empty: no bound.
    pub(super) fn lower_fence(self) -> &'a [u8] {
        &self.bytes[self.bytes.len() - self.lower_len()..]
    }
    pub(super) fn prefix(self) -> &'a [u8] {
        &self.lower_fence()[..self.prefix_len()]
    }
    /// The upper fence without the prefix; meaningless without an upper fence.
    pub(super) fn upper_suffix(self) -> &'a [u8] {
        let end = self.bytes.len() - self.lower_len();
        &self.bytes[end - self.upper_suffix_len()..end]
    }
    /// Every key is below this; none: no bound.
    pub(super) fn upper_fence(self) -> Option<Vec<u8>> {
        self.has_upper_fence().then(|| [self.prefix(), self.upper_suffix()].concat())
    }
    fn heads(self) -> &'a [[u8; 4]] {
        self.bytes[HEADER_BYTES..HEADER_BYTES + 4 * self.count()].as_chunks::<4>().0
    }
    fn offset(self, index: usize) -> usize {
        self.u16_at(HEADER_BYTES + 4 * self.capacity() + 2 * index)
    }
    /// Suffix length, ghost bit, value length, offset of the suffix.
    fn record(self, index: usize) -> (usize, bool, usize, usize) {
        let offset = self.offset(index);
        let key = self.u16_at(offset) as u16;
        (
            usize::from(key & LENGTH_MASK),
            key & GHOST_BIT != 0,
            self.u16_at(offset + 2),
            offset + RECORD_HEADER_BYTES,
        )
    }
    pub(super) fn suffix(self, index: usize) -> &'a [u8] {
        let (key, _, _, offset) = self.record(index);
        &self.bytes[offset..offset + key]
    }
    /// The stored bytes, also of a ghost.
    pub(super) fn raw_value(self, index: usize) -> &'a [u8] {
        let (key, _, value, offset) = self.record(index);
        &self.bytes[offset + key..offset + key + value]
    }
    /// Has the processor fetch the beginning of a record, which will be read soon.
    #[inline]
    pub(super) fn prefetch(self, index: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some(record) = self.bytes.get(self.offset(index)..) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let start = record.as_ptr().cast::<i8>();
            // SAFETY: a prefetch reads nothing and cannot fault, whatever the address.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(start);
                _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(64));
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = index;
    }
    /// Hands every live value of `entries` with its entry to `each`. One pass over slots and record heads.
    #[inline]
    pub(super) fn for_each_live(
        self,
        entries: std::ops::Range<usize>,
        mut each: impl FnMut(usize, &'a [u8]),
    ) {
        let slots = HEADER_BYTES + 4 * self.capacity();
        let (slots, _) = self.bytes[slots + 2 * entries.start..slots + 2 * entries.end].as_chunks::<2>();
        for (index, slot) in entries.zip(slots) {
            let record = &self.bytes[usize::from(u16::from_le_bytes(*slot))..];
            let key = u16::from_le_bytes([record[0], record[1]]);
            if key & GHOST_BIT == 0 {
                let start = RECORD_HEADER_BYTES + usize::from(key & LENGTH_MASK);
                let value = usize::from(u16::from_le_bytes([record[2], record[3]]));
                each(index, &record[start..start + value]);
            }
        }
    }
    /// The value; `None` for a ghost.
    pub(super) fn live_value(self, index: usize) -> Option<&'a [u8]> {
        let (key, ghost, value, offset) = self.record(index);
        (!ghost).then(|| &self.bytes[offset + key..offset + key + value])
    }
    pub(super) fn is_ghost(self, index: usize) -> bool {
        self.u16_at(self.offset(index)) as u16 & GHOST_BIT != 0
    }
    /// When a ghost was deleted: noted in its old value's place where that is long enough, else not later
    /// than the page's newest change.
    pub(super) fn ghost_timestamp(self, index: usize) -> Lsn {
        match self.raw_value(index).first_chunk::<8>() {
            Some(bytes) => Lsn(u64::from_le_bytes(*bytes)),
            None => self.max_timestamp(),
        }
    }
    pub(super) fn key(self, index: usize) -> Vec<u8> {
        [self.prefix(), self.suffix(index)].concat()
    }
    pub(super) fn child(self, index: usize) -> PageId {
        let mut number = [0; 4];
        number.copy_from_slice(&self.raw_value(index)[..4]);
        PageId(u32::from_le_bytes(number))
    }

    /// Where `suffix` (a key without the prefix) is, or where it would stand.
    fn search_suffix(self, suffix: &[u8]) -> Result<usize, usize> {
        let head = key_head(suffix);
        let heads = self.heads();
        let mut low = 0;
        let mut length = heads.len();
        while length > 0 {
            let half = length / 2;
            let middle = low + half;
            let order =
                u32::from_le_bytes(heads[middle]).cmp(&head).then_with(|| self.suffix(middle).cmp(suffix));
            if order.is_lt() {
                low = middle + 1;
                length -= half + 1;
            } else {
                length = half;
            }
        }
        if low < heads.len() && u32::from_le_bytes(heads[low]) == head && self.suffix(low) == suffix {
            Ok(low)
        } else {
            Err(low)
        }
    }

    /// Where any key is, or where it would stand.
    pub(super) fn search(self, key: &[u8]) -> Result<usize, usize> {
        match key.strip_prefix(self.prefix()) {
            Some(suffix) => self.search_suffix(suffix),
            None if key < self.prefix() => Err(0),
            None => Err(self.count()),
        }
    }

    /// Whether a key that is not below the lower fence belongs here.
    pub(super) fn is_below_upper_fence(self, key: &[u8]) -> bool {
        if !self.has_upper_fence() {
            return true;
        }
        match key.strip_prefix(self.prefix()) {
            Some(suffix) => suffix < self.upper_suffix(),
            None => key < self.prefix(),
        }
    }

    /// As [`Node::search`]; one comparison for a key behind all others on the tree's last leaf.
    pub(super) fn search_to_append(self, key: &[u8]) -> Result<usize, usize> {
        let count = self.count();
        if count > 0
            && !self.has_upper_fence()
            && key.strip_prefix(self.prefix()).is_some_and(|suffix| self.suffix(count - 1) < suffix)
        {
            return Err(count);
        }
        self.search(key)
    }

    /// The child of an inner node under which `key` belongs.
    pub(super) fn child_index(self, key: &[u8]) -> usize {
        match self.search(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    pub(super) fn page_bytes(self) -> usize {
        self.bytes.len()
    }

    /// Whether a record of so many bytes fits, with or without compaction.
    pub(super) fn has_room(self, record_bytes: usize) -> bool {
        self.has_room_for(1, record_bytes)
    }

    /// Whether `count` records of so many bytes in all fit, with or without compaction.
    pub(super) fn has_room_for(self, count: usize, record_bytes: usize) -> bool {
        self.heap() + self.garbage() >= HEADER_BYTES + SLOT_BYTES * (self.count() + count) + record_bytes
    }

    /// Whether entry `index` can take a value of so many bytes, with or without compaction.
    pub(super) fn can_replace(self, index: usize, value_len: usize) -> bool {
        let (_, _, old, _) = self.record(index);
        value_len <= old
            || self.heap() + self.garbage() + self.entry_bytes(index)
                >= HEADER_BYTES
                    + SLOT_BYTES * (self.count() + 1)
                    + (self.entry_bytes(index) - old + value_len)
    }

    /// Bytes that new records and their slots could take.
    pub(super) fn free_bytes(self) -> usize {
        (self.heap() + self.garbage()).saturating_sub(HEADER_BYTES + SLOT_BYTES * self.count())
    }

    /// Bytes of record `index`, with its slot.
    pub(super) fn entry_bytes(self, index: usize) -> usize {
        let (key, _, value, _) = self.record(index);
        SLOT_BYTES + RECORD_HEADER_BYTES + key + value
    }

    /// What a newer version put on the page that this one does not know. To be asked where the checksum is right: it is
    /// no damage then.
    pub(super) fn unknown(self) -> Option<String> {
        let unknown_flags = self.bytes[14] & !FLAGS_KNOWN;
        if self.bytes[15] != VERSION {
            Some(format!("page version {}", self.bytes[15]))
        } else if !matches!(self.bytes[12], TYPE_LEAF | TYPE_INNER) {
            Some(format!("page type {}", self.bytes[12]))
        } else if unknown_flags != 0 {
            Some(format!("page flag {unknown_flags:#x}"))
        } else {
            None
        }
    }

    /// Whether all offsets and lengths stay inside the page, so that no reader can panic or loop.
    /// Order of keys is `verify`'s business. Returns what is wrong.
    pub(super) fn check(self) -> Result<(), &'static str> {
        let size = self.bytes.len();
        if self.unknown().is_some() {
            return Err("page of a newer version");
        }
        let is_leaf = self.is_leaf();
        if is_leaf != (self.level() == 0) || self.level() > LEVEL_MAX {
            return Err("level does not fit the type");
        }
        let fences = self.lower_len() + self.upper_suffix_len();
        if fences > size - HEADER_BYTES {
            return Err("fences are too long");
        }
        let heap_end = size - fences;
        let count = self.count();
        if count > self.capacity()
            || HEADER_BYTES + SLOT_BYTES * self.capacity() > self.heap()
            || self.heap() > heap_end
            || self.garbage() > heap_end - self.heap()
        {
            return Err("slots and heap overlap");
        }
        if self.prefix_len() > self.lower_len() || (!self.has_upper_fence() && self.prefix_len() != 0) {
            return Err("prefix is longer than the fences");
        }
        if self.has_upper_fence() && self.lower_fence()[self.prefix_len()..] >= *self.upper_suffix() {
            return Err("fences are out of order");
        }
        if !is_leaf && count == 0 {
            return Err("inner node without a child");
        }
        let mut records = Coverage::new(size);
        let mut record_bytes = 0;
        for index in 0..count {
            let offset = self.offset(index);
            if offset < self.heap() || offset + RECORD_HEADER_BYTES > heap_end {
                return Err("record outside the heap");
            }
            let (key, _, value, start) = self.record(index);
            let end = start + key + value;
            if end > heap_end {
                return Err("record is longer than the heap");
            }
            // What has two owners would change for both, and what is counted twice would be given out twice.
            if !records.add(offset, end) {
                return Err("records overlap");
            }
            record_bytes += end - offset;
            if u32::from_le_bytes(self.heads()[index]) != key_head(self.suffix(index)) {
                return Err("key head does not match its key");
            }
            if !is_leaf && (value != 4 || self.child(index) == PageId(0)) {
                return Err("inner node without a child page");
            }
        }
        if record_bytes + self.garbage() != heap_end - self.heap() {
            return Err("records and garbage are not all of the heap");
        }
        if !is_leaf && !self.suffix(0).is_empty() {
            return Err("first separator is not empty");
        }
        Ok(())
    }

    /// The first entry out of order or outside the fences.
    pub(super) fn check_order(self) -> Result<(), usize> {
        let lower = &self.lower_fence()[self.prefix_len()..];
        for index in 0..self.count() {
            let suffix = self.suffix(index);
            let above = if index == 0 {
                !self.is_leaf() || suffix >= lower
            } else {
                self.suffix(index - 1) < suffix && (self.is_leaf() || suffix > lower)
            };
            if !above || (self.has_upper_fence() && suffix >= self.upper_suffix()) {
                return Err(index);
            }
        }
        Ok(())
    }
}

/// Bytes of a page that have an owner, a bit each.
struct Coverage {
    words: [u64; PAGE_BYTES_MAX / 64],
}

impl Coverage {
    fn new(page_bytes: usize) -> Coverage {
        assert!(page_bytes <= PAGE_BYTES_MAX, "no page is larger");
        Coverage { words: [0; PAGE_BYTES_MAX / 64] }
    }

    /// Takes the bytes from `start` to `end`; false: some are taken.
    fn add(&mut self, start: usize, end: usize) -> bool {
        let (first, last) = (start / 64, (end - 1) / 64);
        let mut is_free = true;
        for word in first..=last {
            let from = if word == first { u64::MAX << (start % 64) } else { u64::MAX };
            let to = if word == last { u64::MAX >> (63 - (end - 1) % 64) } else { u64::MAX };
            is_free &= self.words[word] & from & to == 0;
            self.words[word] |= from & to;
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use std::collections::BTreeMap;

    fn leaf(bytes: &mut [u8], lower: &[u8], upper: Option<&[u8]>) {
        NodeMut::new(bytes).format(&NodeShape {
            page: PageId(7),
            tree: TreeId(16),
            level: 0,
            lower,
            upper,
            right: PageId(0),
            max_timestamp: Lsn(1),
        });
    }

    #[test]
    fn a_node_behaves_as_a_sorted_map_until_it_is_full() {
        for seed in 1..40 {
            let mut random = Random::new(seed);
            let mut bytes = vec![0; 1024];
            leaf(&mut bytes, b"key-a", Some(b"key-q"));
            let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            for _ in 0..400 {
                let mut key = b"key-".to_vec();
                key.push(b'a' + random.below(16) as u8);
                key.extend((0..random.below(3)).map(|_| random.below(3) as u8));
                let value: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8).collect();
                let mut node = NodeMut::new(&mut bytes);
                match node.read().search(&key) {
                    Ok(index) if random.below(3) == 0 => {
                        node.remove(index);
                        model.remove(&key);
                    }
                    Ok(index) => {
                        if node.read().can_replace(index, value.len()) {
                            node.replace(index, &value);
                            model.insert(key, value);
                        }
                    }
                    Err(index) => {
                        let suffix = key.len() - node.read().prefix_len();
                        if node.read().has_room(RECORD_HEADER_BYTES + suffix + value.len()) {
                            node.insert(index, &key, &value);
                            model.insert(key, value);
                        }
                    }
                }
                let node = Node::new(&bytes);
                assert_eq!(node.check(), Ok(()), "seed {seed}");
                assert_eq!(node.check_order(), Ok(()), "seed {seed}");
                let stored: Vec<_> =
                    (0..node.count()).map(|i| (node.key(i), node.raw_value(i).to_vec())).collect();
                assert_eq!(stored, model.clone().into_iter().collect::<Vec<_>>(), "seed {seed}");
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_safe_to_read() {
        for seed in 1..3000 {
            let mut random = Random::new(seed);
            let mut bytes = vec![0; 1024];
            leaf(&mut bytes, b"a", Some(b"b"));
            NodeMut::new(&mut bytes).insert(0, b"a1", b"one");
            for _ in 0..1 + random.below(6) {
                let end = if random.below(2) == 0 { 64 } else { 1024 };
                let at = random.below(end) as usize;
                bytes[at] = random.below(256) as u8;
            }
            let node = Node::new(&bytes);
            if node.check().is_err() {
                continue;
            }
            let _ = node.check_order();
            let _ = (node.search(b"a1"), node.upper_fence(), node.has_room(3));
            for index in 0..node.count() {
                let _ = (node.key(index), node.raw_value(index), node.ghost_timestamp(index));
            }
        }
    }
}

//! String columns: 16-byte views into shared buffers, as Arrow's view types.
//! Knows bytes, and what of them is charged to a memory account. Knows nothing of SQL types.

use crate::common::memory::Reservation;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes that fit into a view itself.
pub const INLINE_BYTES_MAX: usize = 12;
/// Bytes of one buffer; offsets in views have 32 bits.
const BUFFER_BYTES_MAX: usize = 1 << 31;

/// Room that is made for long strings at once, at most.
const EXPECTED_BYTES_MAX: usize = 32 << 10;
/// A buffer may stay larger than twice its bytes by this.
const SPARE_BYTES: usize = 4 << 10;
/// A string of so many bytes is worth a buffer of its own, where that saves a copy.
pub const OWN_BUFFER_BYTES: usize = 4 << 10;

/// Bytes that long views point into.
#[derive(Clone, Debug)]
pub enum Buffer {
    /// Collected by a column.
    Collected(Arc<Vec<u8>>),
    /// Those of a value that somebody else has too.
    Shared(Arc<[u8]>),
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Buffer::Collected(bytes) => bytes,
            Buffer::Shared(bytes) => bytes,
        }
    }
}

/// 16 bytes for a string: up to 12 bytes inline, else length, 4-byte prefix, buffer number and offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct StringView(pub [u8; 16]);

impl StringView {
    /// A view that holds `bytes` itself; at most [`INLINE_BYTES_MAX`] of them.
    #[inline]
    pub fn inline(bytes: &[u8]) -> StringView {
        debug_assert!(bytes.len() <= INLINE_BYTES_MAX);
        let len = bytes.len();
        // Two loads that may overlap instead of a copy of unknown length.
        let (low, high) = if len >= 8 {
            let tail = eight(bytes, len - 8);
            (eight(bytes, 0), if len == 8 { 0 } else { tail >> (8 * (16 - len)) })
        } else if len >= 4 {
            let tail = four(bytes, len - 4) >> (8 * (8 - len));
            (four(bytes, 0) | tail << 32, 0)
        } else {
            (bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0)
        };
        let first = len as u64 | low << 32;
        let second = low >> 32 | high << 32;
        let mut view = [0; 16];
        view[..8].copy_from_slice(&first.to_le_bytes());
        view[8..].copy_from_slice(&second.to_le_bytes());
        StringView(view)
    }

    /// A view of the `bytes` that lie in buffer `buffer` from `offset`.
    #[inline]
    pub fn long(bytes: &[u8], buffer: u32, offset: u32) -> StringView {
        debug_assert!(bytes.len() > INLINE_BYTES_MAX);
        let mut view = [0u8; 16];
        view[0..4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        view[4..8].copy_from_slice(&bytes[..4]);
        view[8..12].copy_from_slice(&buffer.to_le_bytes());
        view[12..16].copy_from_slice(&offset.to_le_bytes());
        StringView(view)
    }

    /// Bytes of the string.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "a view is no container")]
    pub fn len(&self) -> usize {
        self.word(0) as usize
    }

    /// Whether the string lies in the view itself.
    #[inline]
    pub fn is_inline(&self) -> bool {
        self.len() <= INLINE_BYTES_MAX
    }

    /// The view as two words: length and first four bytes, then the rest. Equal words are equal inline strings.
    #[inline]
    pub fn words(&self) -> (u64, u64) {
        let word = |at: usize| u64::from(self.word(at)) | u64::from(self.word(at + 4)) << 32;
        (word(0), word(8))
    }

    #[inline]
    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }
}

/// The eight bytes from `at` on.
#[inline]
fn eight(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// The four bytes from `at` on.
#[inline]
fn four(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u64::from(u32::from_le_bytes(word))
}

/// Strings as views into shared buffers.
#[derive(Clone, Debug)]
pub struct StringColumn {
    views: Vec<StringView>,
    buffers: Vec<Buffer>,
    /// Bytes of long strings still being collected: the buffer after the last of `buffers`.
    tail: Vec<u8>,
    /// Every string came in as `str`: what lets `get_str` skip the check.
    utf8: bool,
    /// What of the buffers is charged, for as long as a column has them.
    charged: Vec<Arc<Reservation>>,
}

impl Default for StringColumn {
    fn default() -> StringColumn {
        StringColumn::new()
    }
}

impl StringColumn {
    /// A column without rows.
    pub fn new() -> StringColumn {
        StringColumn {
            views: Vec::new(),
            buffers: Vec::new(),
            tail: Vec::new(),
            utf8: true,
            charged: Vec::new(),
        }
    }

    /// A column without rows, with room for `rows` views.
    pub fn with_capacity(rows: usize) -> StringColumn {
        StringColumn { views: Vec::with_capacity(rows), ..StringColumn::new() }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// The views, one a row.
    pub fn views(&self) -> &[StringView] {
        &self.views
    }

    /// The buffers long views point into; the buffer after the last is [`StringColumn::tail`].
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// The last buffer, while it is still being filled.
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Whether all strings are known to be UTF-8.
    pub fn is_utf8(&self) -> bool {
        self.utf8
    }

    /// The bytes of row `row`.
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        let view = &self.views[row];
        let len = view.len();
        if len <= INLINE_BYTES_MAX {
            return &view.0[4..4 + len];
        }
        let (buffer, offset) = (view.word(8) as usize, view.word(12) as usize);
        let bytes = self.buffers.get(buffer).map_or(self.tail.as_slice(), |buffer| buffer);
        &bytes[offset..offset + len]
    }

    /// Whether row `row` has the bytes of row `other_row` of `other`.
    #[inline]
    pub fn is_equal(&self, row: usize, other: &StringColumn, other_row: usize) -> bool {
        let ((start, rest), (other_start, other_rest)) =
            (self.views[row].words(), other.views[other_row].words());
        // Length and first bytes decide most.
        start == other_start
            && (if self.views[row].is_inline() {
                rest == other_rest
            } else {
                self.get(row) == other.get(other_row)
            })
    }

    /// The text of row `row`.
    /// # Panics
    /// When the bytes are no UTF-8: text columns are filled with `str` only.
    #[inline]
    pub fn get_str(&self, row: usize) -> &str {
        let bytes = self.get(row);
        if self.utf8 {
            // SAFETY: `utf8` holds only while every row was pushed as `str`, was checked, or was copied from a column for which it
            // holds; the fields are private, and this file never changes bytes that a view points to.
            unsafe { std::str::from_utf8_unchecked(bytes) }
        } else {
            std::str::from_utf8(bytes).expect("text columns hold UTF-8")
        }
    }

    /// Adds a text.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.push_raw(text.as_bytes());
    }

    /// Adds the bytes of a text; `false`: they are no UTF-8, and nothing was added.
    #[inline]
    pub fn push_utf8(&mut self, bytes: &[u8]) -> bool {
        const NOT_ASCII: u64 = 0x8080_8080_8080_8080;
        if bytes.len() <= INLINE_BYTES_MAX {
            let view = StringView::inline(bytes);
            let (first, second) = view.words();
            if (first | second) & NOT_ASCII != 0 && std::str::from_utf8(bytes).is_err() {
                return false;
            }
            self.views.push(view);
            return true;
        }
        if !bytes.is_ascii() && std::str::from_utf8(bytes).is_err() {
            return false;
        }
        self.push_raw(bytes);
        true
    }

    /// Adds bytes that need not be UTF-8.
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.utf8 = false;
        self.push_raw(bytes);
    }

    /// Puts a text in the place of row `row`; the bytes of the former one stay in their buffer.
    pub fn replace_str(&mut self, row: usize, text: &str) {
        self.views[row] = self.store(text.as_bytes());
    }

    /// As [`StringColumn::replace_str`], with bytes that need not be UTF-8.
    pub fn replace_bytes(&mut self, row: usize, bytes: &[u8]) {
        self.utf8 = false;
        self.views[row] = self.store(bytes);
    }

    /// As [`StringColumn::replace_bytes`], with bytes that become a buffer of their own. `utf8`: they are UTF-8.
    pub fn replace_owned(&mut self, row: usize, bytes: Vec<u8>, utf8: bool) {
        self.utf8 &= utf8;
        if bytes.len() <= INLINE_BYTES_MAX {
            self.views[row] = StringView::inline(&bytes);
            return;
        }
        self.seal();
        self.views[row] = StringView::long(&bytes, self.buffers.len() as u32, 0);
        self.buffers.push(Buffer::Collected(Arc::new(bytes)));
    }

    /// Adds a text whose bytes become a buffer of their own.
    pub fn push_owned_str(&mut self, text: String) {
        self.push_owned(text.into_bytes());
    }

    /// As [`StringColumn::push_owned_str`], with bytes that need not be UTF-8.
    pub fn push_owned_bytes(&mut self, bytes: Vec<u8>) {
        self.utf8 = false;
        self.push_owned(bytes);
    }

    fn push_owned(&mut self, bytes: Vec<u8>) {
        if bytes.len() < OWN_BUFFER_BYTES {
            return self.push_raw(&bytes);
        }
        self.seal();
        self.views.push(StringView::long(&bytes, self.buffers.len() as u32, 0));
        self.buffers.push(Buffer::Collected(Arc::new(bytes)));
    }

    /// Adds a text whose bytes stay where they are.
    pub fn push_shared_str(&mut self, text: &Arc<str>) {
        self.push_shared(Arc::from(Arc::clone(text)));
    }

    /// As [`StringColumn::push_shared_str`], with bytes that need not be UTF-8.
    pub fn push_shared_bytes(&mut self, bytes: &Arc<[u8]>) {
        self.utf8 = false;
        self.push_shared(Arc::clone(bytes));
    }

    fn push_shared(&mut self, bytes: Arc<[u8]>) {
        if bytes.len() < OWN_BUFFER_BYTES {
            return self.push_raw(&bytes);
        }
        self.seal();
        self.views.push(StringView::long(&bytes, self.buffers.len() as u32, 0));
        self.buffers.push(Buffer::Shared(bytes));
    }

    /// Keeps what is charged for strings of the column for as long as anybody has it, or a column made of it.
    pub fn hold(&mut self, charged: Reservation) {
        self.seal();
        self.charged.push(Arc::new(charged));
    }

    /// Bytes that are charged to an account for the column's strings.
    pub fn charged_bytes(&self) -> usize {
        self.charged.iter().map(|charged| charged.bytes()).sum()
    }

    #[inline]
    fn push_raw(&mut self, bytes: &[u8]) {
        let view = self.store(bytes);
        self.views.push(view);
    }

    fn store(&mut self, bytes: &[u8]) -> StringView {
        if bytes.len() <= INLINE_BYTES_MAX {
            return StringView::inline(bytes);
        }
        if self.tail.len() + bytes.len() > BUFFER_BYTES_MAX {
            self.seal();
        }
        if self.tail.capacity() == 0 {
            // As if all were as long as the first one.
            let expected = bytes.len().saturating_mul(self.views.capacity()).min(EXPECTED_BYTES_MAX);
            self.tail.reserve(expected.max(bytes.len()));
        }
        let offset = self.tail.len() as u32;
        self.tail.extend_from_slice(bytes);
        StringView::long(bytes, self.buffers.len() as u32, offset)
    }

    /// Makes the tail a shared buffer, so that columns made from this one share it.
    pub fn seal(&mut self) {
        if !self.tail.is_empty() {
            let mut buffer = std::mem::take(&mut self.tail);
            if buffer.capacity() > 2 * buffer.len() + SPARE_BYTES {
                buffer.shrink_to_fit();
            }
            self.buffers.push(Buffer::Collected(Arc::new(buffer)));
        }
    }

    /// Adds row `row` of `other`.
    pub fn push_from(&mut self, other: &StringColumn, row: usize) {
        self.utf8 &= other.utf8;
        let view = other.views[row];
        if view.is_inline() {
            self.views.push(view);
        } else {
            self.push_raw(other.get(row));
        }
    }

    /// Adds `count` times row `row` of `other`; its bytes are stored once.
    pub fn push_repeated(&mut self, other: &StringColumn, row: usize, count: usize) {
        if count > 0 {
            self.push_from(other, row);
            let view = self.views[self.views.len() - 1];
            self.views.resize(self.views.len() + count - 1, view);
        }
    }

    /// Adds all rows of `other`; sealed buffers are shared, not copied.
    pub fn extend_from(&mut self, other: &StringColumn) {
        if !other.tail.is_empty() || other.views.iter().all(StringView::is_inline) {
            self.views.reserve(other.len());
            for row in 0..other.len() {
                self.push_from(other, row);
            }
            return;
        }
        self.utf8 &= other.utf8;
        self.seal();
        let base = self.buffers.len() as u32;
        self.buffers.extend(other.buffers.iter().cloned());
        self.charged.extend(other.charged.iter().cloned());
        self.views.extend(other.views.iter().map(|view| {
            let mut view = *view;
            if !view.is_inline() {
                let buffer = base + view.word(8);
                view.0[8..12].copy_from_slice(&buffer.to_le_bytes());
            }
            view
        }));
    }

    /// The rows at `rows`, in that order.
    #[must_use]
    pub fn gather(&self, rows: &[u16]) -> StringColumn {
        self.pick(rows.iter().map(|row| usize::from(*row)))
    }

    /// The rows `start..start + len`.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> StringColumn {
        self.pick(start..start + len)
    }

    pub(super) fn pick(&self, rows: impl ExactSizeIterator<Item = usize>) -> StringColumn {
        let mut column = StringColumn::with_capacity(rows.len());
        column.utf8 = self.utf8;
        if self.tail.is_empty() {
            column.buffers.clone_from(&self.buffers);
            column.charged.clone_from(&self.charged);
            column.views.extend(rows.map(|row| self.views[row]));
        } else {
            for row in rows {
                column.push_from(self, row);
            }
        }
        column
    }

    /// Removes all rows; keeps the memory of views and tail.
    pub fn clear(&mut self) {
        self.views.clear();
        self.buffers.clear();
        self.tail.clear();
        self.charged.clear();
        self.utf8 = true;
    }

    /// Bytes of memory held that the column has not charged itself; shared buffers count fully.
    pub fn memory_bytes(&self) -> usize {
        let buffers = self.buffers.iter().map(|buffer| buffer.len()).sum::<usize>();
        self.views.capacity() * size_of::<StringView>()
            + (self.tail.capacity() + buffers).saturating_sub(self.charged_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::memory::MemoryAccount;

    #[test]
    fn every_length_reads_back_and_only_utf8_is_text() {
        let letters = b"abcdefghijklmnopq";
        for len in 0..=letters.len() {
            let mut column = StringColumn::new();
            assert!(column.push_utf8(&letters[..len]));
            column.push_str("x");
            assert_eq!(column.get(0), &letters[..len]);
            assert_eq!(column.get_str(1), "x");
            for at in 0..len {
                let mut broken = letters[..len].to_vec();
                broken[at] = 0xFF;
                assert!(!column.push_utf8(&broken), "byte {at} of {len}");
            }
            assert_eq!(column.len(), 2);
            assert!(column.is_equal(0, &column.gather(&[1, 0]), 1));
        }
        let mut column = StringColumn::new();
        assert!(column.push_utf8("é".as_bytes()) && column.push_utf8("ein längeres Wort".as_bytes()));
        assert_eq!((column.get_str(0), column.get_str(1)), ("é", "ein längeres Wort"));
    }

    #[test]
    fn owned_and_shared_strings_are_not_copied_and_stay_charged_while_a_column_has_them() {
        let account = MemoryAccount::new(1 << 20);
        let shared: Arc<str> = Arc::from("s".repeat(OWN_BUFFER_BYTES));
        let owned = "o".repeat(2 * OWN_BUFFER_BYTES);
        let (at, length) = (owned.as_ptr(), shared.len() + owned.len());
        let mut column = StringColumn::new();
        column.push_str("a string of the tail");
        column.push_shared_str(&shared);
        column.push_owned_str(owned);
        column.push_shared_str(&Arc::from("short"));
        column.push_owned_bytes(b"bytes".to_vec());
        column.push_shared_bytes(&Arc::from([7; OWN_BUFFER_BYTES]));
        assert_eq!((column.get(1).as_ptr(), column.get(2).as_ptr()), (shared.as_ptr(), at));
        assert_eq!((column.get(0), column.get_str(3)), (b"a string of the tail".as_slice(), "short"));
        assert_eq!((column.get(4), column.get(5)), (b"bytes".as_slice(), [7; OWN_BUFFER_BYTES].as_slice()));
        let before = column.memory_bytes();
        let mut charged = account.reservation();
        charged.grow(length).unwrap();
        column.hold(charged);
        assert_eq!((column.charged_bytes(), column.memory_bytes()), (length, before - length));
        let (picked, mut joined) = (column.slice(1, 2), StringColumn::new());
        joined.extend_from(&column);
        column.clear();
        assert_eq!((column.charged_bytes(), account.used()), (0, length));
        drop(joined);
        assert_eq!((picked.get(0).as_ptr(), account.used()), (shared.as_ptr(), length));
        drop(picked);
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn short_and_long_strings_read_back_after_every_operation() {
        let texts: Vec<String> = (0..40).map(|i| "é".repeat(i)).collect();
        let mut column = StringColumn::new();
        texts.iter().for_each(|text| column.push_str(text));
        let check = |column: &StringColumn, from: usize| {
            (0..column.len()).for_each(|row| assert_eq!(column.get_str(row), texts[from + row]));
        };
        check(&column, 0);
        check(&column.slice(5, 20), 5);
        column.seal();
        check(&column, 0);
        let mut joined = column.slice(0, 17);
        joined.extend_from(&column.slice(17, 23));
        check(&joined, 0);
        assert_eq!(joined.gather(&[39, 0]).get_str(0), texts[39]);
    }
}

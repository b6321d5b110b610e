//! Puts of one tree in whatever order they came: nothing is looked up when one is added; they are sorted when
//! somebody looks, and that is mostly the commit.
//! Knows keys and values as bytes. Knows nothing of commands or of other trees.

use crate::common::bounds::index_range;
use std::cell::OnceCell;
use std::ops::{Bound, Range};

/// Charged for a put besides its version: its number, and a place in the sorted copy.
pub(super) const UNORDERED_BYTES: usize = size_of::<u32>() + size_of::<Place>() + size_of::<Sortable>();

/// The versions of puts, oldest first, and their sorted copy once it was asked for.
#[derive(Debug, Default)]
pub(super) struct Unordered {
    versions: Vec<u32>,
    sorted: OnceCell<Sorted>,
}

/// Puts by key; those of one key by age.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Keys and values, one after the other: reading them in order is reading memory in order.
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: usize,
    key_len: u32,
    value_len: u32,
    version: u32,
}

impl Unordered {
    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Oldest first.
    pub(super) fn versions(&self) -> &[u32] {
        &self.versions
    }

    /// The only put, when there is one: it needs no order.
    pub(super) fn alone(&self) -> Option<&[u32]> {
        (self.versions.len() == 1).then_some(&self.versions)
    }

    /// Whether somebody looked since the last put.
    pub(super) fn is_sorted(&self) -> bool {
        self.sorted.get().is_some()
    }

    pub(super) fn push(&mut self, version: u32) {
        self.versions.push(version);
        self.sorted.take();
    }

    /// Undoes the newest put.
    pub(super) fn pop(&mut self) -> Option<u32> {
        self.sorted.take();
        self.versions.pop()
    }

    /// Forgets everything; keeps room for `kept` puts at most.
    pub(super) fn clear(&mut self, kept: usize) {
        self.sorted.take();
        self.versions.clear();
        if self.versions.capacity() > kept {
            self.versions = Vec::new();
        }
    }

    /// The puts by key. `entry` gives the key and the value of a version.
    pub(super) fn sorted<'a>(&self, entry: impl Fn(u32) -> (&'a [u8], &'a [u8])) -> &Sorted {
        self.sorted.get_or_init(|| Sorted::new(&self.versions, entry))
    }
}

/// Sixteen bytes of a key, as numbers that sort like them, and its version. Most comparisons end there.
type Sortable = ([u64; 2], u32);

/// The bytes of a key after `skip`, padded with zeros.
fn head_of(key: &[u8], skip: usize) -> [u64; 2] {
    let mut head = [0; 16];
    let length = (key.len() - skip).min(head.len());
    head[..length].copy_from_slice(&key[skip..skip + length]);
    let (words, _) = head.as_chunks::<8>();
    [u64::from_be_bytes(words[0]), u64::from_be_bytes(words[1])]
}

impl Sorted {
    fn new<'a>(versions: &[u32], entry: impl Fn(u32) -> (&'a [u8], &'a [u8])) -> Sorted {
        let Some(first) = versions.first() else { return Sorted::default() };
        // What all keys begin with tells nothing; the next sixteen bytes tell most.
        let first = entry(*first).0;
        let mut shared = first.len();
        let mut bytes = 0;
        for version in versions {
            let (key, value) = entry(*version);
            if key.get(..shared) != Some(&first[..shared]) {
                shared = first.iter().zip(key).take_while(|(one, other)| one == other).count();
            }
            bytes += key.len() + value.len();
        }
        let mut order: Vec<Sortable> =
            versions.iter().map(|version| (head_of(entry(*version).0, shared), *version)).collect();
        order.sort_unstable_by(|left, right| {
            let by_key = left.0.cmp(&right.0).then_with(|| entry(left.1).0.cmp(entry(right.1).0));
            by_key.then(left.1.cmp(&right.1))
        });
        let mut sorted = Sorted { bytes: Vec::with_capacity(bytes), places: Vec::with_capacity(order.len()) };
        for (_, version) in order {
            let (key, value) = entry(version);
            sorted.places.push(Place {
                offset: sorted.bytes.len(),
                key_len: key.len() as u32,
                value_len: value.len() as u32,
                version,
            });
            sorted.bytes.extend_from_slice(key);
            sorted.bytes.extend_from_slice(value);
        }
        sorted
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn key(&self, index: usize) -> &[u8] {
        let place = &self.places[index];
        &self.bytes[place.offset..place.offset + place.key_len as usize]
    }

    pub(super) fn value(&self, index: usize) -> &[u8] {
        let place = &self.places[index];
        let start = place.offset + place.key_len as usize;
        &self.bytes[start..start + place.value_len as usize]
    }

    pub(super) fn version(&self, index: usize) -> u32 {
        self.places[index].version
    }

    /// The puts of keys in a range.
    pub(super) fn range(&self, lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> Range<usize> {
        index_range(self.len(), lower, upper, |index, key| self.key(index).cmp(key))
    }
}

//! Filters over the keys of a sorted run: most look-ups of keys that are not there read nothing.
//! Knows hashes of keys. Knows nothing of blocks.

use crate::common::memory::Reservation;
use crate::error::Result;
use std::hash::{BuildHasher, Hasher};

/// Bits of the filter for each key: about one look-up in 200 of keys that are not there finds a block to read.
const FILTER_BITS_A_KEY: usize = 12;

/// A Bloom filter over the keys from `first_key` on, in blocks of 256 bits.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) first_key: Vec<u8>,
    words: Vec<[u32; 8]>,
}

/// The hash by which filters know a key.
pub fn hash(key: &[u8]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(key);
    hasher.finish()
}

impl Filter {
    /// Bytes of a filter for so many keys, about.
    pub(super) fn bytes_for(keys: usize) -> usize {
        Filter::words_for(keys) * size_of::<[u32; 8]>()
    }

    fn words_for(keys: usize) -> usize {
        (keys * FILTER_BITS_A_KEY).div_ceil(256).max(1)
    }

    pub(super) fn new(first_key: &[u8], keys: usize) -> Filter {
        Filter { first_key: first_key.to_vec(), words: vec![[0; 8]; Filter::words_for(keys)] }
    }

    /// Source: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007.
    fn word(&self, hash: u64) -> usize {
        (((hash >> 32) * self.words.len() as u64) >> 32) as usize
    }

    fn bits(hash: u64) -> [u32; 8] {
        const SALTS: [u32; 8] = [
            0x9e37_79b1,
            0x85eb_ca77,
            0xc2b2_ae3d,
            0x27d4_eb2f,
            0x1656_67b1,
            0xd3a2_646d,
            0xfd70_46c5,
            0xb55a_4f09,
        ];
        SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
    }

    pub(super) fn add(&mut self, hash: u64) {
        let word = self.word(hash);
        for (word, bit) in self.words[word].iter_mut().zip(Filter::bits(hash)) {
            *word |= bit;
        }
    }

    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let word = &self.words[self.word(hash)];
        word.iter().zip(Filter::bits(hash)).all(|(word, bit)| word & bit != 0)
    }
}

/// A filter over keys of many runs, which grows with them: one look at it instead of one at each run.
#[derive(Debug)]
pub struct KeyFilter {
    filters: Vec<Filter>,
    /// Keys that the last filter was made for.
    keys: usize,
    /// So many of them are still to come.
    left: usize,
    memory: Reservation,
}

/// The first filter is made for so many times the keys that come first; each that follows for twice as many.
const FIRST_KEYS_TIMES: usize = 4;

impl KeyFilter {
    pub(super) fn new(memory: Reservation) -> KeyFilter {
        KeyFilter { filters: Vec::new(), keys: 0, left: 0, memory }
    }

    /// Makes room for `keys` more keys, about.
    /// # Errors
    /// `53200`; there is no room then.
    pub fn expect_keys(&mut self, keys: usize) -> Result<()> {
        if self.left >= keys {
            return Ok(());
        }
        let next = if self.filters.is_empty() { FIRST_KEYS_TIMES * keys } else { (2 * self.keys).max(keys) };
        self.memory.grow(Filter::bytes_for(next))?;
        self.filters.push(Filter::new(&[], next));
        (self.keys, self.left) = (next, next);
        Ok(())
    }

    /// Adds a key by its [`hash`].
    pub fn add(&mut self, hash: u64) {
        self.left = self.left.saturating_sub(1);
        if let Some(filter) = self.filters.last_mut() {
            filter.add(hash);
        }
    }

    /// False: no such key was added.
    pub fn may_hold(&self, hash: u64) -> bool {
        self.filters.iter().any(|filter| filter.may_hold(hash))
    }
}

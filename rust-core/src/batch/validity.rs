//! Bitmaps, least significant bit first, as Arrow has them: validity (1 = not NULL) and boolean columns.

/// A growable bitmap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    len: usize,
}

impl Bitmap {
    /// An empty bitmap.
    pub fn new() -> Bitmap {
        Bitmap::default()
    }

    /// `len` bits, all `value`.
    pub fn filled(len: usize, value: bool) -> Bitmap {
        let mut bitmap = Bitmap { words: vec![if value { u64::MAX } else { 0 }; len.div_ceil(64)], len };
        bitmap.clear_tail();
        bitmap
    }

    /// Bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bit `index`.
    #[inline]
    pub fn get(&self, index: usize) -> bool {
        debug_assert!(index < self.len);
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Sets bit `index`.
    #[inline]
    pub fn set(&mut self, index: usize, value: bool) {
        debug_assert!(index < self.len);
        let mask = 1u64 << (index % 64);
        let word = &mut self.words[index / 64];
        *word = if value { *word | mask } else { *word & !mask };
    }

    /// Adds a bit.
    #[inline]
    pub fn push(&mut self, value: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        self.len += 1;
        if value {
            self.set(self.len - 1, true);
        }
    }

    /// Adds `count` equal bits, a word at a time.
    pub fn extend(&mut self, count: usize, value: bool) {
        let old = self.len;
        self.len += count;
        self.words.resize(self.len.div_ceil(64), if value { u64::MAX } else { 0 });
        if value {
            if !old.is_multiple_of(64) {
                self.words[old / 64] |= u64::MAX << (old % 64);
            }
            self.clear_tail();
        }
    }

    /// Adds the bits of `other`.
    pub fn extend_from(&mut self, other: &Bitmap) {
        let shift = self.len % 64;
        if shift == 0 {
            self.words.extend_from_slice(&other.words);
        } else {
            for word in &other.words {
                if let Some(last) = self.words.last_mut() {
                    *last |= word << shift;
                }
                self.words.push(word >> (64 - shift));
            }
        }
        self.len += other.len;
        self.words.truncate(self.len.div_ceil(64));
    }

    /// The bits `start..start + len` as a bitmap of their own.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Bitmap {
        assert!(start + len <= self.len, "a slice lies within the bitmap");
        let (first, shift) = (start / 64, start % 64);
        let words = (0..len.div_ceil(64))
            .map(|i| {
                let low = self.words[first + i] >> shift;
                match self.words.get(first + i + 1) {
                    Some(high) if shift > 0 => low | high << (64 - shift),
                    _ => low,
                }
            })
            .collect();
        let mut bitmap = Bitmap { words, len };
        bitmap.clear_tail();
        bitmap
    }

    /// The bits at `rows`, in that order.
    #[must_use]
    pub fn gather(&self, rows: &[u16]) -> Bitmap {
        let mut bitmap = Bitmap { words: vec![0; rows.len().div_ceil(64)], len: rows.len() };
        for (i, row) in rows.iter().enumerate() {
            bitmap.words[i / 64] |= u64::from(self.get(usize::from(*row))) << (i % 64);
        }
        bitmap
    }

    /// Whether every bit is 1.
    pub fn is_all_ones(&self) -> bool {
        self.count_ones() == self.len
    }

    /// The positions of the bits that are 1, ascending.
    pub fn ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(i * 64 + bit)
            })
        })
    }

    /// Makes a bitmap of `len` bits from `bit(0..len)`.
    pub fn from_fn(len: usize, mut bit: impl FnMut(usize) -> bool) -> Bitmap {
        let mut bitmap = Bitmap { words: vec![0; len.div_ceil(64)], len };
        for i in 0..len {
            bitmap.words[i / 64] |= u64::from(bit(i)) << (i % 64);
        }
        bitmap
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        self.words.capacity() * 8
    }

    /// Bitwise or of two bitmaps of one length.
    #[must_use]
    pub fn or(&self, other: &Bitmap) -> Bitmap {
        assert_eq!(self.len, other.len, "bitmaps of one length");
        Bitmap { words: self.words.iter().zip(&other.words).map(|(a, b)| a | b).collect(), len: self.len }
    }

    /// Bitwise not.
    #[must_use]
    pub fn not(&self) -> Bitmap {
        let mut bitmap = Bitmap { words: self.words.iter().map(|word| !word).collect(), len: self.len };
        bitmap.clear_tail();
        bitmap
    }

    /// How many bits are 1.
    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The words; bits beyond `len` are 0.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Bitwise and of two bitmaps of one length.
    #[must_use]
    pub fn and(&self, other: &Bitmap) -> Bitmap {
        assert_eq!(self.len, other.len, "bitmaps of one length");
        Bitmap { words: self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect(), len: self.len }
    }

    /// Removes all bits, keeping the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.len = 0;
    }

    fn clear_tail(&mut self) {
        if !self.len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1u64 << (self.len % 64)) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_beyond_the_length_are_zero() {
        let bitmap = Bitmap::filled(70, true);
        assert_eq!(bitmap.count_ones(), 70);
        assert_eq!(bitmap.words()[1], (1 << 6) - 1);
    }

    #[test]
    fn pushed_and_set_bits_read_back() {
        let mut bitmap = Bitmap::new();
        for i in 0..200 {
            bitmap.push(i % 3 == 0);
        }
        bitmap.set(1, true);
        assert!((0..200).all(|i| bitmap.get(i) == (i % 3 == 0 || i == 1)));
    }

    #[test]
    fn slices_joined_again_are_the_whole_at_every_cut() {
        let whole = Bitmap::from_fn(200, |i| i % 7 < 3);
        for cut in 0..=200 {
            let mut joined = whole.slice(0, cut);
            joined.extend_from(&whole.slice(cut, 200 - cut));
            assert_eq!(joined, whole, "cut at {cut}");
        }
        assert_eq!(whole.ones().count(), whole.count_ones());
        assert!(whole.ones().all(|i| whole.get(i)));
        assert_eq!(whole.not().not(), whole);
        assert!(whole.or(&whole.not()).is_all_ones());
    }

    #[test]
    fn extending_by_equal_bits_sets_exactly_those() {
        for start in [0, 1, 63, 64, 65] {
            let mut bitmap = Bitmap::filled(start, false);
            bitmap.extend(70, true);
            bitmap.extend(3, false);
            assert_eq!(bitmap.count_ones(), 70);
            assert!((0..start + 73).all(|i| bitmap.get(i) == (i >= start && i < start + 70)));
        }
    }
}

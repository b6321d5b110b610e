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

    /// Adds `count` equal bits.
    pub fn extend(&mut self, count: usize, value: bool) {
        for _ in 0..count {
            self.push(value);
        }
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
}

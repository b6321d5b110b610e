//! The random stream, the texts and the checksum: the same on both sides. Knows no engine.

/// xorshift64*.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Uniform in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next() >> 11) * u128::from(bound)) >> 53) as u64
    }
}

/// Lower-case letters from the stream of `seed`.
pub fn text(seed: u64, length: usize) -> String {
    let mut random = Random::new(seed);
    (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}

/// Order-dependent sum of every value read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    pub sum: u64,
    pub rows: u64,
}

impl Checksum {
    fn mix(&mut self, value: u64) {
        self.sum = (self.sum.rotate_left(23) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    pub fn integer(&mut self, value: i64) {
        self.mix(value as u64);
    }

    pub fn double(&mut self, value: f64) {
        self.mix(value.to_bits());
    }

    pub fn null(&mut self) {
        self.mix(0x6e75_6c6c);
    }

    pub fn bytes(&mut self, value: &[u8]) {
        let (words, tail) = value.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        self.mix(u64::from_le_bytes(last) ^ value.len() as u64);
    }
}

//! Pseudo-random numbers from a seed, so that every run can be repeated. Not for secrets.

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A stream for `seed`; 0 is replaced, because the generator would stay at 0.
    pub fn new(seed: u64) -> Random {
        Random(if seed == 0 { 0x9E37_79B9_7F4A_7C15 } else { seed })
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Uniform in `0..bound`; `bound` is at least 1 and at most 2^53.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64() >> 11) * u128::from(bound)) >> 53) as u64
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

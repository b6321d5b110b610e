//! CRC-32C with the processor's widest registers, where it has them: several times as fast as its checksum instruction,
//! because a page that is read again is checked again.
//! Knows bytes. Knows nothing of what they are.
//!
//! Sixteen bytes times a power of x are folded onto those that lie further on, so that the checksum of what is left is
//! the same; two carry-less multiplications do that for each of the four parts of a register.
//! Source: Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Intel, 2009.

/// Fewer bytes are quicker with the checksum instruction.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const BYTES_MIN: usize = 1024;

/// Continues the checksum of what came before over `bytes`; none where this way is not open, or not worth it.
#[inline]
pub(super) fn crc32c_wide(crc: u32, bytes: &[u8]) -> Option<u32> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if bytes.len() >= BYTES_MIN
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("sse4.2")
    {
        // SAFETY: the processor has what the function is compiled for.
        return Some(unsafe { folding::crc32c(crc, bytes) });
    }
    let _ = (crc, bytes);
    None
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod folding {
    use std::arch::x86_64::{
        __m512i, _mm_crc32_u8, _mm_crc32_u64, _mm_cvtsi32_si128, _mm512_clmulepi64_epi128,
        _mm512_loadu_si512, _mm512_set_epi64, _mm512_storeu_si512, _mm512_ternarylogic_epi64,
        _mm512_xor_si512, _mm512_zextsi128_si512,
    };

    /// The polynomial without its highest power, lowest bit first.
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    /// Bytes of a register.
    const REGISTER_BYTES: usize = 64;
    /// Registers that are folded side by side, so that no multiplication waits for another.
    const REGISTERS: usize = 4;
    /// "The exclusive or of all three", as a truth table.
    const XOR_OF_THREE: i32 = 0x96;

    /// x to the `power` modulo the polynomial, highest power in the lowest bit.
    const fn power_of_x(power: usize) -> i64 {
        let mut remainder = 1 << 31;
        let mut at = 0;
        while at < power {
            remainder = (remainder >> 1) ^ (if remainder & 1 == 1 { POLYNOMIAL } else { 0 });
            at += 1;
        }
        remainder as i64
    }

    /// The two factors that carry sixteen bytes over `bytes` bytes: of the eight that come first, and of the others. A
    /// product of numbers with their highest power in the lowest bit is one bit short, and these have 32 bits of 64.
    const fn factors(bytes: usize) -> (i64, i64) {
        (power_of_x(8 * bytes + 64 - 33), power_of_x(8 * bytes - 33))
    }

    const OVER_ALL: (i64, i64) = factors(REGISTERS * REGISTER_BYTES);
    const OVER_ONE: (i64, i64) = factors(REGISTER_BYTES);

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(bytes: &[u8; REGISTER_BYTES]) -> __m512i {
        // SAFETY: the reference is to as many bytes as a register has; the load asks for no alignment.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn in_all_parts((first, second): (i64, i64)) -> __m512i {
        _mm512_set_epi64(second, first, second, first, second, first, second, first)
    }

    /// `sum` carried over as many bytes as the factors are for, onto `next`.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    fn fold(sum: __m512i, factors: __m512i, next: __m512i) -> __m512i {
        let first = _mm512_clmulepi64_epi128::<0x00>(sum, factors);
        let second = _mm512_clmulepi64_epi128::<0x11>(sum, factors);
        _mm512_ternarylogic_epi64::<XOR_OF_THREE>(first, second, next)
    }

    /// `bytes` has at least a group of registers.
    #[target_feature(enable = "avx512f,vpclmulqdq,sse4.2")]
    pub(super) fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
        let (registers, rest) = bytes.as_chunks::<REGISTER_BYTES>();
        let (groups, singles) = registers.as_chunks::<REGISTERS>();
        let [[a, b, c, d], groups @ ..] = groups else { return crc32c::crc32c_append(crc, bytes) };
        let before = _mm512_zextsi128_si512(_mm_cvtsi32_si128(!crc as i32));
        let (mut a, mut b, mut c, mut d) = (_mm512_xor_si512(load(a), before), load(b), load(c), load(d));
        let over_all = in_all_parts(OVER_ALL);
        for group in groups {
            a = fold(a, over_all, load(&group[0]));
            b = fold(b, over_all, load(&group[1]));
            c = fold(c, over_all, load(&group[2]));
            d = fold(d, over_all, load(&group[3]));
        }
        let over_one = in_all_parts(OVER_ONE);
        let mut sum = fold(fold(fold(a, over_one, b), over_one, c), over_one, d);
        for single in singles {
            sum = fold(sum, over_one, load(single));
        }
        let mut words = [0u64; 8];
        // SAFETY: the array is as large as a register; the store asks for no alignment.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), sum) };
        let mut remainder = words.iter().fold(0, |remainder, word| _mm_crc32_u64(remainder, *word));
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            remainder = _mm_crc32_u64(remainder, u64::from_le_bytes(*word));
        }
        !rest.iter().fold(remainder as u32, |remainder, byte| _mm_crc32_u8(remainder, *byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;

    #[test]
    fn the_wide_way_gives_the_checksum_of_the_narrow_one() {
        let mut random = Random::new(7);
        let bytes: Vec<u8> = (0..70_000).map(|_| random.below(256) as u8).collect();
        let lengths = (1000..1700).chain([4092, 4096, 8188, 8192, 16_380, 32_764, 65_536, 69_990]);
        for length in lengths {
            let start = random.below(8) as usize;
            let crc = random.below(1 << 32) as u32;
            let part = &bytes[start..start + length];
            if let Some(wide) = crc32c_wide(crc, part) {
                assert_eq!(wide, crc32c::crc32c_append(crc, part), "{length} bytes from {start}");
            }
        }
    }
}

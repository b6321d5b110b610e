//! SHA-2 fingerprints (FIPS 180-4) of bytea. Knows bytes.

use crate::sql::functions::kernel::{Bytea, function};
use crate::sql::functions::registry::ScalarFunction;
use std::sync::LazyLock;

/// The first 64 bits of the fractions of the cube roots of the first 80 primes; SHA-224 and SHA-256 use the first
/// 64, their upper halves.
static ROUNDS: LazyLock<[u64; 80]> = LazyLock::new(|| primes().map(|prime| root_fraction(prime, 3)));

fn primes() -> [u64; 80] {
    let mut found = [0; 80];
    let mut count = 0;
    let mut candidate = 2;
    while count < found.len() {
        if found[..count].iter().all(|prime| candidate % prime != 0) {
            found[count] = candidate;
            count += 1;
        }
        candidate += 1;
    }
    found
}

/// The first 64 bits after the point of a root of degree 2 or 3, by bisection over exact integers.
fn root_fraction(number: u64, degree: u32) -> u64 {
    use num_bigint::BigUint;
    let shifted = BigUint::from(number) << (64 * degree);
    let (mut low, mut high) = (0u128, 1u128 << 70);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if BigUint::from(middle).pow(degree) <= shifted {
            low = middle;
        } else {
            high = middle;
        }
    }
    low as u64
}

/// The message with the bit 1, zeros and its length in bits, in blocks of `block` bytes.
fn padded(message: &[u8], block: usize) -> Vec<u8> {
    let length_bytes = block / 8;
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    while bytes.len() % block != block - length_bytes {
        bytes.push(0);
    }
    bytes.resize(bytes.len() + length_bytes - 8, 0);
    bytes.extend_from_slice(&(message.len() as u64).wrapping_mul(8).to_be_bytes());
    bytes
}

macro_rules! sha2 {
    ($name:ident, $word:ty, $rounds:literal, $block:literal, $shift:literal, $big:expr, $small:expr) => {
        /// `size` bytes of the fingerprint from the initial values.
        fn $name(message: &[u8], mut state: [$word; 8], size: usize) -> Vec<u8> {
            const BYTES: usize = std::mem::size_of::<$word>();
            let [big_a, big_e]: [[u32; 3]; 2] = $big;
            let [small_0, small_1]: [[u32; 3]; 2] = $small;
            let rotated = |value: $word, by: [u32; 3]| {
                value.rotate_right(by[0]) ^ value.rotate_right(by[1]) ^ value.rotate_right(by[2])
            };
            let mixed = |value: $word, by: [u32; 3]| {
                value.rotate_right(by[0]) ^ value.rotate_right(by[1]) ^ (value >> by[2])
            };
            for block in padded(message, $block).chunks_exact($block) {
                let mut words = [0 as $word; $rounds];
                for (word, bytes) in words.iter_mut().zip(block.chunks_exact(BYTES)) {
                    *word = bytes.iter().fold(0, |word, byte| word << 8 | <$word>::from(*byte));
                }
                for at in 16..$rounds {
                    words[at] = words[at - 16]
                        .wrapping_add(mixed(words[at - 15], small_0))
                        .wrapping_add(words[at - 7])
                        .wrapping_add(mixed(words[at - 2], small_1));
                }
                let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
                for at in 0..$rounds {
                    let first = h
                        .wrapping_add(rotated(e, big_e))
                        .wrapping_add((e & f) ^ (!e & g))
                        .wrapping_add((ROUNDS[at] >> $shift) as $word)
                        .wrapping_add(words[at]);
                    let second = rotated(a, big_a).wrapping_add((a & b) ^ (a & c) ^ (b & c));
                    (h, g, f, e) = (g, f, e, d.wrapping_add(first));
                    (d, c, b, a) = (c, b, a, first.wrapping_add(second));
                }
                for (sum, part) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                    *sum = sum.wrapping_add(part);
                }
            }
            let mut bytes: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
            bytes.truncate(size);
            bytes
        }
    };
}

sha2!(narrow, u32, 64, 64, 32, [[2, 13, 22], [6, 11, 25]], [[7, 18, 3], [17, 19, 10]]);
sha2!(wide, u64, 80, 128, 0, [[28, 34, 39], [14, 18, 41]], [[1, 8, 7], [19, 61, 6]]);

/// The initial values: fractions of the square roots of eight primes from the `from`-th on.
fn initial(from: usize) -> [u64; 8] {
    let primes = primes();
    std::array::from_fn(|at| root_fraction(primes[from + at], 2))
}

fn sha224(message: &[u8]) -> Vec<u8> {
    // The second half of the first 64 bits of the roots of the ninth to sixteenth prime.
    narrow(message, initial(8).map(|value| value as u32), 28)
}

fn sha256(message: &[u8]) -> Vec<u8> {
    narrow(message, initial(0).map(|value| (value >> 32) as u32), 32)
}

fn sha384(message: &[u8]) -> Vec<u8> {
    wide(message, initial(8), 48)
}

fn sha512(message: &[u8]) -> Vec<u8> {
    wide(message, initial(0), 64)
}

static FUNCTIONS: &[ScalarFunction] = &[
    function!("sha224", (Bytea) -> Bytea, Immutable, "SHA-224 fingerprint", |(bytes,), _| Ok(sha224(bytes))),
    function!("sha256", (Bytea) -> Bytea, Immutable, "SHA-256 fingerprint", |(bytes,), _| Ok(sha256(bytes))),
    function!("sha384", (Bytea) -> Bytea, Immutable, "SHA-384 fingerprint", |(bytes,), _| Ok(sha384(bytes))),
    function!("sha512", (Bytea) -> Bytea, Immutable, "SHA-512 fingerprint", |(bytes,), _| Ok(sha512(bytes))),
];

pub(super) static TABLES: &[&[ScalarFunction]] = &[FUNCTIONS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_the_standard() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(sha224(b"abc")), "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7");
        assert_eq!(hex(sha256(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(hex(sha384(b"abc")).starts_with("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"));
        assert!(hex(sha512(b"abc")).starts_with("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea2"));
        assert_eq!(hex(sha256(&[b'a'; 119])).len(), 64);
    }
}

//! CRC-32C (Castagnoli), as on every page, frame and slot.

use super::simd::crc32c_wide;

/// CRC-32C of `bytes`, using the processor's instructions where there are some.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_append(0, bytes)
}

/// Continues a CRC-32C over more bytes.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    crc32c_wide(crc, bytes).unwrap_or_else(|| crc32c::crc32c_append(crc, bytes))
}

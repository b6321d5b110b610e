//! CRC-32C (Castagnoli), as on every page, frame and slot.

/// CRC-32C of `bytes`, using the processor's instruction where there is one.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Continues a CRC-32C over more bytes.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

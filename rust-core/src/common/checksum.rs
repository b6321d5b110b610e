//! CRC-32C (Castagnoli), as on every page, frame and slot.

use crc_fast::{CrcAlgorithm, Digest, checksum};

/// Its name in the catalogue of checksums.
const CRC_32C: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

/// CRC-32C of `bytes`, using the processor's instructions where there are some.
pub fn crc32c(bytes: &[u8]) -> u32 {
    checksum(CRC_32C, bytes) as u32
}

/// Continues a CRC-32C over more bytes.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    // The state is the complement of the sum that it stands for.
    let mut digest = Digest::new_with_init_state(CRC_32C, u64::from(!crc));
    digest.update(bytes);
    digest.finalize() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standard_and_go_on_where_they_stopped() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        let bytes: Vec<u8> = (0..20_000_u32).map(|number| ((number * 7919) >> 3) as u8).collect();
        for length in [0, 1, 15, 100, 255, 256, 1023, 1024, 4092, 8188, 20_000] {
            let part = &bytes[..length];
            for cut in [0, 1, length / 3, length] {
                let (head, tail) = part.split_at(cut.min(length));
                assert_eq!(crc32c_append(crc32c(head), tail), crc32c(part), "{length} bytes cut at {cut}");
            }
        }
    }
}

//! Frames: the log's unit of atomicity. Header, then payload, padded to 8 bytes.
//!
//! ```text
//!  0 u32 payload bytes   4 u32 header crc over (salt, payload bytes, bytes 8..56)
//!  8 u64 lsn (start)    16 u64 durable lsn when written   24 u64 transaction
//! 32 u8 kind, u8 version, u16 flags (1: it links pages)   36 u32 operations
//! 40 u32 payload crc    44 u32 kind's first number (chunk sequence or chunk count)
//! 48 u64 kind's second number (first lsn of the chunks)
//! 56 payload …
//! ```
//! The salt is the segment's, so that frames of a recycled file's earlier life are never taken for new ones.

use crate::common::checksum::{crc32c, crc32c_append};
use crate::common::ids::{Lsn, TransactionId};
use crate::error::{Error, Result, SqlState};

/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 56;
/// Version of the frame layout.
pub const FRAME_VERSION: u8 = 1;
const FLAG_LINKS: u8 = 1;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// A whole transaction.
    Transaction,
    /// A part of a transaction; counts only with its `Commit`.
    Chunk {
        /// Position among the transaction's chunks, from 0.
        sequence: u32,
    },
    /// Ends a transaction that was written in chunks; may carry the last operations itself.
    Commit {
        /// How many chunks came before.
        chunk_count: u32,
        /// Where the first of them starts.
        first_lsn: Lsn,
    },
    /// Fills the end of a segment.
    Pad,
}

impl FrameKind {
    fn encode(self) -> (u8, u32, u64) {
        match self {
            FrameKind::Transaction => (1, 0, 0),
            FrameKind::Chunk { sequence } => (2, sequence, 0),
            FrameKind::Commit { chunk_count, first_lsn } => (3, chunk_count, first_lsn.0),
            FrameKind::Pad => (4, 0, 0),
        }
    }

    fn decode(code: u8, first: u32, second: u64) -> Option<FrameKind> {
        Some(match code {
            1 => FrameKind::Transaction,
            2 => FrameKind::Chunk { sequence: first },
            3 => FrameKind::Commit { chunk_count: first, first_lsn: Lsn(second) },
            4 => FrameKind::Pad,
            _ => return None,
        })
    }
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// What it is.
    pub kind: FrameKind,
    /// Its transaction.
    pub transaction: TransactionId,
    /// Where it starts.
    pub lsn: Lsn,
    /// What the writer knew to be durable when it wrote the frame.
    pub durable: Lsn,
    /// The payload names pages that are in the database file already: recovery looks at it before it redoes anything.
    pub links: bool,
    /// Operations in the payload.
    pub operation_count: u32,
    /// Bytes of the payload.
    pub payload_bytes: u32,
    /// CRC-32C of the payload.
    pub payload_crc: u32,
}

/// Bytes a frame with this payload takes in the log.
pub fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + payload_bytes).next_multiple_of(8)
}

impl FrameHeader {
    /// Writes the frame at the end of `out`.
    pub fn encode(&self, salt: u64, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let (code, first, second) = self.kind.encode();
        let mut header = [0u8; FRAME_HEADER_BYTES];
        header[0..4].copy_from_slice(&self.payload_bytes.to_le_bytes());
        header[8..16].copy_from_slice(&self.lsn.0.to_le_bytes());
        header[16..24].copy_from_slice(&self.durable.0.to_le_bytes());
        header[24..32].copy_from_slice(&self.transaction.0.to_le_bytes());
        header[32..34].copy_from_slice(&[code, FRAME_VERSION]);
        header[34] = if self.links { FLAG_LINKS } else { 0 };
        header[36..40].copy_from_slice(&self.operation_count.to_le_bytes());
        header[40..44].copy_from_slice(&self.payload_crc.to_le_bytes());
        header[44..48].copy_from_slice(&first.to_le_bytes());
        header[48..56].copy_from_slice(&second.to_le_bytes());
        let crc = header_crc(salt, &header);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(payload);
        out.resize(start + frame_bytes(payload.len()), 0);
    }

    /// Reads a header; `None` when these bytes are not a frame of this segment that starts at `lsn`.
    /// # Errors
    /// `0A000` for a frame of a newer layout: its checksum is right, so it is no damage.
    pub fn decode(salt: u64, lsn: Lsn, bytes: &[u8]) -> Result<Option<FrameHeader>> {
        let Some(bytes) = bytes.get(..FRAME_HEADER_BYTES) else { return Ok(None) };
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if u32_at(4) != header_crc(salt, bytes) || u64_at(8) != lsn.0 {
            return Ok(None);
        }
        if bytes[33] != FRAME_VERSION || bytes[34] & !FLAG_LINKS != 0 || bytes[35] != 0 {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "log frame version {} with flags {:#x} is not supported",
                    bytes[33],
                    u32_at(32) >> 16
                ),
            )
            .hint("The database was written by a newer release."));
        }
        let Some(kind) = FrameKind::decode(bytes[32], u32_at(44), u64_at(48)) else {
            return Err(Error::not_supported(format!("log frame kind {}", bytes[32]))
                .hint("The database was written by a newer release."));
        };
        Ok(Some(FrameHeader {
            kind,
            transaction: TransactionId(u64_at(24)),
            lsn,
            durable: Lsn(u64_at(16)),
            links: bytes[34] & FLAG_LINKS != 0,
            operation_count: u32_at(36),
            payload_bytes: u32_at(0),
            payload_crc: u32_at(40),
        }))
    }
}

fn header_crc(salt: u64, header: &[u8]) -> u32 {
    let crc = crc32c(&salt.to_le_bytes());
    let crc = crc32c_append(crc, &header[0..4]);
    crc32c_append(crc, &header[8..FRAME_HEADER_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(payload: &[u8]) -> FrameHeader {
        FrameHeader {
            kind: FrameKind::Commit { chunk_count: 3, first_lsn: Lsn(800) },
            transaction: TransactionId(9),
            lsn: Lsn(1024),
            durable: Lsn(1000),
            links: true,
            operation_count: 2,
            payload_bytes: payload.len() as u32,
            payload_crc: crc32c(payload),
        }
    }

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_is_noticed() {
        let mut bytes = Vec::new();
        sample(b"abc").encode(77, b"abc", &mut bytes);
        assert_eq!(bytes.len(), 64);
        assert_eq!(FrameHeader::decode(77, Lsn(1024), &bytes).unwrap(), Some(sample(b"abc")));
        for bit in 0..FRAME_HEADER_BYTES * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(77, Lsn(1024), &damaged).unwrap(), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_salt_or_place_is_none() {
        let mut bytes = Vec::new();
        sample(b"").encode(77, b"", &mut bytes);
        assert_eq!(FrameHeader::decode(78, Lsn(1024), &bytes).unwrap(), None);
        assert_eq!(FrameHeader::decode(77, Lsn(1032), &bytes).unwrap(), None);
    }

    #[test]
    fn what_a_newer_release_would_write_is_refused_by_name() {
        for (at, byte, name) in [
            (32, 5, "log frame kind 5 is not supported"),
            (32, 0, "log frame kind 0 is not supported"),
            (33, 2, "log frame version 2 with flags 0x1 is not supported"),
            (34, 4, "log frame version 1 with flags 0x4 is not supported"),
            (35, 1, "log frame version 1 with flags 0x101 is not supported"),
        ] {
            let mut bytes = Vec::new();
            sample(b"abc").encode(77, b"abc", &mut bytes);
            bytes[at] = byte;
            let crc = header_crc(77, &bytes);
            bytes[4..8].copy_from_slice(&crc.to_le_bytes());
            let error = FrameHeader::decode(77, Lsn(1024), &bytes).unwrap_err();
            assert_eq!((error.state(), error.message()), (SqlState::FEATURE_NOT_SUPPORTED, name));
        }
    }
}

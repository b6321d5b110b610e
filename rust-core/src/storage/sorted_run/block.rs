//! A block of a sorted run: its bytes, and finding an entry in them.
//! Knows bytes. Knows nothing of where a block lies.
//!
//! ```text
//!  entry*                     kind and key length u16, value length u16, key, value, [stamp u64, command u32]
//!  offset u16 of each entry   entry count u16
//! ```

use super::{KEY_BYTES_MAX, KIND_SHIFT, RunEntry};
use crate::common::bounds::partition_point;
use crate::error::{Error, Result};

const STAMP_BYTES: usize = 12;
const HEAD_BYTES: usize = 4;

/// The block that grows.
#[derive(Debug, Default)]
pub(super) struct OpenBlock {
    pub(super) bytes: Vec<u8>,
    pub(super) offsets: Vec<u16>,
}

impl OpenBlock {
    pub(super) fn push(&mut self, entry: RunEntry<'_>, stamped: bool) {
        self.offsets.push(self.bytes.len() as u16);
        let head = entry.key.len() as u16 | u16::from(entry.kind) << KIND_SHIFT;
        // The stamps stand behind key and value, so that a key is found without knowing of them.
        self.bytes.extend_from_slice(&head.to_le_bytes());
        self.bytes.extend_from_slice(&(entry.value.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(entry.key);
        self.bytes.extend_from_slice(entry.value);
        if stamped {
            self.bytes.extend_from_slice(&entry.stamp.to_le_bytes());
            self.bytes.extend_from_slice(&entry.command.to_le_bytes());
        }
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// The key of the entry at the start of `bytes`.
pub(super) fn key_at(bytes: &[u8]) -> &[u8] {
    let length = u16_at(bytes, 0) & KEY_BYTES_MAX;
    &bytes[HEAD_BYTES..HEAD_BYTES + length]
}

pub(super) fn entry_at(bytes: &[u8], offset: usize, stamped: bool) -> RunEntry<'_> {
    let bytes = &bytes[offset..];
    let head = u16_at(bytes, 0);
    let key = key_at(bytes);
    let value_start = HEAD_BYTES + key.len();
    let value_end = value_start + u16_at(bytes, 2);
    let (mut stamp, mut command) = (0, 0);
    if stamped {
        let stamps = &bytes[value_end..value_end + STAMP_BYTES];
        let (first, second) = stamps.split_at(8);
        stamp = u64::from_le_bytes(first.try_into().expect("eight bytes"));
        command = u32::from_le_bytes(second.try_into().expect("four bytes"));
    }
    let kind = (head >> KIND_SHIFT) as u8;
    RunEntry { key, value: &bytes[value_start..value_end], kind, stamp, command }
}

/// Gives the entries of a key in an open block to `each`.
pub(super) fn each_of(
    bytes: &[u8],
    offsets: &[u16],
    key: &[u8],
    stamped: bool,
    each: &mut impl FnMut(RunEntry<'_>) -> bool,
) {
    let first = offsets.partition_point(|offset| key_at(&bytes[usize::from(*offset)..]) < key);
    for offset in &offsets[first..] {
        let entry = entry_at(bytes, usize::from(*offset), stamped);
        if entry.key != key || !each(entry) {
            return;
        }
    }
}

/// A closed block.
pub(super) struct BlockView<'a> {
    bytes: &'a [u8],
    pub(super) count: usize,
    offsets: usize,
}

impl<'a> BlockView<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<BlockView<'a>> {
        let count = match bytes.len() {
            0 | 1 => return Err(Error::internal("a block of a run is empty")),
            length => u16_at(bytes, length - 2),
        };
        let offsets = bytes.len() - (count + 1) * size_of::<u16>();
        Ok(BlockView { bytes, count, offsets })
    }

    fn offset(&self, index: usize) -> usize {
        u16_at(self.bytes, self.offsets + index * size_of::<u16>())
    }

    pub(super) fn entry(&self, index: usize, stamped: bool) -> RunEntry<'a> {
        entry_at(self.bytes, self.offset(index), stamped)
    }

    fn key(&self, index: usize) -> &'a [u8] {
        key_at(&self.bytes[self.offset(index)..])
    }

    /// The first entry whose key is not below `key`.
    pub(super) fn lower_bound(&self, key: &[u8]) -> usize {
        self.bound(|other| other < key)
    }

    pub(super) fn bound(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        partition_point(self.count, |index| is_before(self.key(index)))
    }
}

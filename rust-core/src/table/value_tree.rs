//! Values too long for their row, as numbered pieces in an ordinary tree.
//!
//! Key: value id, piece number (big-endian); value: the piece. Ids are never used twice and pieces never
//! change, so log, versions, space and verification are those of every tree.
//! Knows bytes and transactions. Knows no columns.

use crate::common::ids::TreeId;
use crate::error::{Error, Result, SqlState};
use crate::table::row::LargePointer;
use crate::transaction::transaction::{Transaction, TreeHandle};
use crate::transaction::types::ReadView;

/// Memory that is taken on trust in a pointer's length; more only as pieces arrive.
const TRUSTED_BYTES: usize = 1 << 20;

/// The key of piece `piece` of value `value_id`.
pub fn piece_key(value_id: u64, piece: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&value_id.to_be_bytes());
    key[8..].copy_from_slice(&piece.to_be_bytes());
    key
}

/// The value id of a piece's key.
pub fn value_id_of_key(key: &[u8]) -> Option<u64> {
    (key.len() == 12).then(|| key.first_chunk::<8>().map(|id| u64::from_be_bytes(*id)))?
}

/// Pieces of a value of `length` bytes.
pub fn piece_count(length: usize, piece_bytes: usize) -> u32 {
    length.div_ceil(piece_bytes) as u32
}

/// Writes a value under a new id.
/// # Errors
/// `53200` when the write set cannot grow.
pub fn write(
    transaction: &mut Transaction,
    tree: TreeId,
    value_id: u64,
    bytes: &[u8],
    piece_bytes: usize,
) -> Result<LargePointer> {
    for (piece, content) in bytes.chunks(piece_bytes).enumerate() {
        transaction.put(tree, &piece_key(value_id, piece as u32), content)?;
    }
    Ok(LargePointer::new(value_id, bytes))
}

/// Removes a value.
/// # Errors
/// As [`write`].
pub fn remove(
    transaction: &mut Transaction,
    tree: TreeId,
    pointer: LargePointer,
    piece_bytes: usize,
) -> Result<()> {
    for piece in 0..piece_count(pointer.length as usize, piece_bytes) {
        transaction.delete(tree, &piece_key(pointer.value_id, piece))?;
    }
    Ok(())
}

/// Reads a value. Never called under a latch.
/// # Errors
/// `XX001` when pieces are missing or the checksum does not fit.
pub fn read(
    transaction: &Transaction,
    tree: &TreeHandle,
    pointer: LargePointer,
    view: ReadView,
) -> Result<Vec<u8>> {
    let length = pointer.length as usize;
    let mut bytes = Vec::with_capacity(length.min(TRUSTED_BYTES));
    let mut piece = 0;
    while bytes.len() < length {
        let before = bytes.len();
        transaction.get(tree, &piece_key(pointer.value_id, piece), view, |content| {
            bytes.extend_from_slice(content.unwrap_or(&[]));
        })?;
        if bytes.len() == before || bytes.len() > length {
            return Err(damaged_value());
        }
        piece += 1;
    }
    if pointer.matches(&bytes) { Ok(bytes) } else { Err(damaged_value()) }
}

fn damaged_value() -> Error {
    Error::new(SqlState::DATA_CORRUPTED, "a large value is not what its row says")
}

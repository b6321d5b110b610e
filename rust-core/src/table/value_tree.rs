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
use std::ops::Range;

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
    let mut bytes: Vec<u8> = Vec::with_capacity(length.min(TRUSTED_BYTES));
    each_piece(transaction, tree, pointer, view, |piece| {
        if bytes.capacity() - bytes.len() < piece.len() {
            // Twice as much, and no more than there is.
            bytes.reserve_exact(bytes.len().max(piece.len()).min(length - bytes.len()));
        }
        bytes.extend_from_slice(piece);
        true
    })?;
    if pointer.matches(&bytes) { Ok(bytes) } else { Err(damaged_value()) }
}

/// Hands the pieces of a value to `take`, from the first on, as long as it wants more. Never called under a latch.
/// The checksum of the whole value is the caller's to compare; pages have their own.
/// # Errors
/// `XX001` when pieces are missing.
pub fn each_piece(
    transaction: &Transaction,
    tree: &TreeHandle,
    pointer: LargePointer,
    view: ReadView,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<()> {
    let length = pointer.length as usize;
    let (mut read, mut piece) = (0, 0);
    while read < length {
        let (bytes, more) = transaction.get(tree, &piece_key(pointer.value_id, piece), view, |content| {
            let content = content.unwrap_or(&[]);
            let fits = !content.is_empty() && read + content.len() <= length;
            (content.len(), fits.then(|| take(content)))
        })?;
        match more {
            None => return Err(damaged_value()),
            Some(false) => return Ok(()),
            Some(true) => {}
        }
        read += bytes;
        piece += 1;
    }
    Ok(())
}

/// Reads the bytes `range` of a value, as far as it has them: only the pieces in which they lie. Of the whole value the
/// checksum is compared, of parts there is none but that of their pages. Never called under a latch.
/// # Errors
/// As [`read`].
pub fn read_range(
    transaction: &Transaction,
    tree: &TreeHandle,
    pointer: LargePointer,
    view: ReadView,
    range: Range<u64>,
    piece_bytes: usize,
) -> Result<Vec<u8>> {
    let length = pointer.length as usize;
    let end = range.end.min(length as u64) as usize;
    let start = range.start.min(end as u64) as usize;
    if start == 0 && end == length {
        return read(transaction, tree, pointer, view);
    }
    let mut bytes = Vec::with_capacity((end - start).min(TRUSTED_BYTES));
    let mut at = start;
    while at < end {
        let piece = at / piece_bytes;
        let first = piece * piece_bytes;
        let found = transaction.get(tree, &piece_key(pointer.value_id, piece as u32), view, |content| {
            // All pieces but the last are full.
            let content = content.filter(|content| content.len() == piece_bytes.min(length - first));
            content
                .map(|content| bytes.extend_from_slice(&content[at - first..content.len().min(end - first)]))
        })?;
        if found.is_none() {
            return Err(damaged_value());
        }
        at = first + piece_bytes;
    }
    Ok(bytes)
}

fn damaged_value() -> Error {
    Error::new(SqlState::DATA_CORRUPTED, "a large value is not what its row says")
}

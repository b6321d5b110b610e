//! Entries of the catalog tree of one kind: each object's bytes under its number, in parts that fit any page size.
//! Knows keys and bytes. Knows nothing of names, and not what the objects mean.

use crate::catalog::codec::{self, Stored};
use crate::common::ids::{CATALOG_TREE, ObjectId};
use crate::error::{Error, Result, SqlState};
use crate::transaction::transaction::Transaction;
use crate::transaction::types::ReadView;
use std::marker::PhantomData;
use std::ops::Bound;

use crate::catalog::sequence_definition::SequenceDefinition;
use crate::catalog::table_definition::TableDefinition;
use crate::catalog::view_definition::ViewDefinition;
use crate::statistics::table_statistics::TableStatistics;

/// Bytes that one entry of the tree holds; the rest goes on under the next part number.
const PART_BYTES: usize = 256;

/// A key space of the catalog tree: its first key byte, then the object id and the part number, both big-endian.
pub(super) struct Family<S> {
    pub(super) first_byte: u8,
    stored: PhantomData<fn() -> S>,
}

impl Family<TableDefinition> {
    /// Definitions of tables.
    pub(super) const TABLE: Self = Family { first_byte: b'd', stored: PhantomData };
}

impl Family<ViewDefinition> {
    /// Definitions of views.
    pub(super) const VIEW: Self = Family { first_byte: b'v', stored: PhantomData };
}

impl Family<SequenceDefinition> {
    /// Definitions of sequences.
    pub(super) const SEQUENCE: Self = Family { first_byte: b'q', stored: PhantomData };
}

impl Family<TableStatistics> {
    /// Statistics, under the table's number.
    pub(super) const STATISTICS: Self = Family { first_byte: b's', stored: PhantomData };
}

impl<S: Stored> Family<S> {
    fn key(&self, id: ObjectId, part: u32) -> [u8; 9] {
        let mut key = [self.first_byte; 9];
        key[1..5].copy_from_slice(&id.0.to_be_bytes());
        key[5..].copy_from_slice(&part.to_be_bytes());
        key
    }

    /// The newest form of an object, the transaction's own included.
    pub(super) fn read(&self, transaction: &Transaction, id: ObjectId) -> Result<Option<S>> {
        let tree = transaction.tree_handle(CATALOG_TREE)?;
        let mut bytes = Vec::new();
        for part in 0.. {
            let more = transaction.get(&tree, &self.key(id, part), ReadView::Latest, |value| {
                value.is_some_and(|value| {
                    bytes.extend_from_slice(value);
                    true
                })
            })?;
            if !more {
                break;
            }
        }
        if bytes.is_empty() { Ok(None) } else { codec::decode(&bytes).map(Some) }
    }

    /// Puts an object in the place of what its number held.
    pub(super) fn write(&self, transaction: &mut Transaction, id: ObjectId, object: &S) -> Result<()> {
        let bytes = codec::encode(object)?;
        let mut parts = 0;
        for part in bytes.chunks(PART_BYTES) {
            transaction.put(CATALOG_TREE, &self.key(id, parts), part)?;
            parts += 1;
        }
        self.remove_from(transaction, id, parts)
    }

    /// Removes an object, if it is there.
    pub(super) fn remove(&self, transaction: &mut Transaction, id: ObjectId) -> Result<()> {
        self.remove_from(transaction, id, 0)
    }

    fn remove_from(&self, transaction: &mut Transaction, id: ObjectId, first_part: u32) -> Result<()> {
        let tree = transaction.tree_handle(CATALOG_TREE)?;
        for part in first_part.. {
            let key = self.key(id, part);
            if !transaction.get(&tree, &key, ReadView::Latest, |value| value.is_some())? {
                break;
            }
            transaction.delete(CATALOG_TREE, &key)?;
        }
        Ok(())
    }

    /// Gives every object, by number.
    pub(super) fn read_all(
        &self,
        transaction: &Transaction,
        mut take: impl FnMut(ObjectId, S),
    ) -> Result<()> {
        let mut first_error = None;
        self.read_each(transaction, |id, object| match object {
            Ok(object) => take(id, object),
            Err(error) => first_error = first_error.take().or(Some(error)),
        })?;
        first_error.map_or(Ok(()), Err)
    }

    /// Gives every object, by number, or what is wrong with its bytes.
    pub(super) fn read_each(
        &self,
        transaction: &Transaction,
        mut take: impl FnMut(ObjectId, Result<S>),
    ) -> Result<()> {
        let tree = transaction.tree_handle(CATALOG_TREE)?;
        let (lower, upper) = ([self.first_byte], [self.first_byte + 1]);
        let mut scan =
            transaction.scan(&tree, Bound::Included(&lower[..]), Bound::Excluded(&upper[..]), false);
        let mut objects: Vec<(ObjectId, u32, Vec<u8>)> = Vec::new();
        let mut key = Vec::new();
        let mut sound = true;
        while scan
            .next(transaction, |rows| {
                for index in (0..rows.len()).filter(|index| rows.is_live(*index)) {
                    rows.key_into(index, &mut key);
                    let Some((id, part)) = id_and_part(&key) else {
                        sound = false;
                        continue;
                    };
                    match objects.last_mut() {
                        Some((last, parts, bytes)) if *last == id => {
                            // A part that is missing in the middle makes the rest meaningless.
                            if part == *parts {
                                bytes.extend_from_slice(rows.value(index));
                            } else {
                                bytes.clear();
                            }
                            *parts = parts.saturating_add(1);
                        }
                        _ if part == 0 => objects.push((id, 1, rows.value(index).to_vec())),
                        _ => objects.push((id, u32::MAX, Vec::new())),
                    }
                }
            })?
            .is_some()
        {}
        if !sound {
            return Err(Error::new(SqlState::DATA_CORRUPTED, "a key of the catalog is damaged"));
        }
        for (id, _, bytes) in objects {
            take(id, codec::decode(&bytes));
        }
        Ok(())
    }
}

fn id_and_part(key: &[u8]) -> Option<(ObjectId, u32)> {
    let (id, part) = (key.get(1..5)?.first_chunk::<4>()?, key.get(5..)?.first_chunk::<4>()?);
    Some((ObjectId(u32::from_be_bytes(*id)), u32::from_be_bytes(*part)))
}

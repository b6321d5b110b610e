//! Keys that an UPDATE gives to rows while other rows still have them: `SET k = k + 1` in any order of rows.
//!
//! Where a new unique key is taken, its entry is not written but kept here; where the row's own id is taken, the row is
//! removed from where it was and kept here whole. At the end of the statement every other row has moved: what is kept is
//! written then, or is a duplicate. Old keys are always given up at once, so that the order of rows does not matter.
//! Knows rows and keys. Knows no names and no SQL.

use crate::common::ids::RowId;
use crate::error::{Error, Result};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::key::row_id_key;
use crate::table::table::{InsertOutcome, Table};
use crate::transaction::transaction::Transaction;
use crate::transaction::types::ReadView;

/// What a statement could not write yet. Belongs to one table at a time.
#[derive(Debug, Default)]
pub struct PendingKeys {
    rows: Vec<PendingRow>,
    entries: Vec<PendingEntry>,
    bytes: usize,
}

/// A row whose id is taken, with its computed values behind the columns.
#[derive(Debug)]
struct PendingRow {
    row: RowId,
    values: Vec<Datum>,
}

/// An index entry whose key is taken.
#[derive(Debug)]
struct PendingEntry {
    index: usize,
    key: Vec<u8>,
    row: RowId,
}

/// What became of the keys that waited.
#[derive(Debug)]
pub enum Settled {
    /// Everything is written.
    Written,
    /// A row cannot have its key: its values (with computed ones where it was never written, else without).
    Duplicate {
        /// As in [`InsertOutcome::Duplicate`].
        index: Option<usize>,
        /// The row's values.
        values: Vec<Datum>,
    },
}

impl PendingKeys {
    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.entries.is_empty()
    }

    /// Bytes that are kept, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = PendingKeys::default();
    }

    pub(super) fn keep_row(&mut self, row: RowId, values: &[DatumRef<'_>]) {
        let values: Vec<Datum> = values.iter().map(|value| DatumRef::to_owned(*value)).collect();
        let long: usize = values
            .iter()
            .map(|value| match value {
                Datum::Text(text) => text.len(),
                Datum::Bytes(bytes) => bytes.len(),
                _ => 0,
            })
            .sum();
        self.bytes += size_of::<PendingRow>() + values.len() * size_of::<Datum>() + long;
        self.rows.push(PendingRow { row, values });
    }

    pub(super) fn keep_entry(&mut self, index: usize, key: &[u8], row: RowId) {
        self.bytes += size_of::<PendingEntry>() + key.len();
        self.entries.push(PendingEntry { index, key: key.to_vec(), row });
    }
}

impl Table {
    /// Writes what waited: to be called when every row of the statement has moved.
    /// # Errors
    /// As [`Table::insert`].
    pub fn settle(&self, transaction: &mut Transaction, pending: &mut PendingKeys) -> Result<Settled> {
        let PendingKeys { rows, entries, .. } = std::mem::take(pending);
        for PendingRow { row, values } in rows {
            let borrowed: Vec<DatumRef<'_>> = values.iter().map(Datum::as_ref).collect();
            match self.insert(transaction, &borrowed)? {
                InsertOutcome::Inserted(id) if id == row => {}
                InsertOutcome::Inserted(_) => {
                    return Err(Error::internal("a row that waited for its key got another one"));
                }
                InsertOutcome::Duplicate { index } => return Ok(Settled::Duplicate { index, values }),
            }
        }
        for PendingEntry { index, key, row } in entries {
            let tree = self.index_tree(transaction, index)?.clone();
            if transaction.get(&tree, &key, ReadView::Latest, |value| value.is_some())? {
                let values = self.get_datums(transaction, row, ReadView::Latest)?.unwrap_or_default();
                return Ok(Settled::Duplicate { index: Some(index), values });
            }
            transaction.put(tree.id(), &key, &row_id_key(row))?;
        }
        Ok(Settled::Written)
    }
}

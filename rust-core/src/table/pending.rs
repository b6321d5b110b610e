//! Keys that an UPDATE gives to rows while other rows still have them: `SET k = k + 1` in any order of rows.
//!
//! Where a new unique key is taken, its entry is not written but kept here; where the row's own id is taken, the row is
//! removed from where it was and kept here whole. At the end of the statement every other row has moved: what is kept is
//! written then, or is a duplicate. Old keys are always given up at once, so that the order of rows does not matter. What
//! is much moves to temporary files, in the order of keys. Knows rows and keys. Knows no names and no SQL.

use crate::common::ids::RowId;
use crate::error::{Error, Result};
use crate::sql::types::binary;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::storage::bulk::sorter::EntrySorter;
use crate::storage::sorted_run::VALUE_BYTES_MAX;
use crate::table::key::{row_id_key, row_id_of_key};
use crate::table::layout::TableLayout;
use crate::table::table::{InsertOutcome, Table};
use crate::transaction::transaction::Transaction;
use crate::transaction::types::ReadView;

/// More than this share of the memory limit moves to temporary files, but not less than so many bytes.
const SPILL_SHARE: usize = 32;
const SPILL_BYTES_MIN: usize = 64 << 10;
/// A longer row stays in memory: an entry of a temporary file has no room for it.
const ROW_BYTES_MAX: usize = VALUE_BYTES_MAX;
/// The length of a value that is NULL.
const NULL_LENGTH: u32 = u32::MAX;

/// What a statement could not write yet. Belongs to one table at a time.
#[derive(Debug, Default)]
pub struct PendingKeys {
    rows: Vec<PendingRow>,
    entries: Vec<PendingEntry>,
    bytes: usize,
    spilled: Option<Box<Spilled>>,
}

/// What is in temporary files, or on its way there.
#[derive(Debug)]
struct Spilled {
    /// By row id: the values.
    rows: EntrySorter,
    /// By number of the index and key: the row id.
    entries: EntrySorter,
    scratch: Vec<u8>,
}

impl Spilled {
    fn new(transaction: &Transaction) -> Spilled {
        let sorter = || transaction.entry_sorter();
        Spilled { rows: sorter(), entries: sorter(), scratch: Vec::new() }
    }

    /// False: the row is too long.
    fn take_row(&mut self, layout: &TableLayout, PendingRow { row, values }: &PendingRow) -> Result<bool> {
        self.scratch.clear();
        for (value, data_type) in values.iter().zip(types(layout)) {
            let at = self.scratch.len();
            self.scratch.extend_from_slice(&NULL_LENGTH.to_be_bytes());
            if value.is_null() {
                continue;
            }
            if value.as_ref().long_bytes() > ROW_BYTES_MAX {
                return Ok(false);
            }
            binary::encode(value.as_ref(), data_type, &mut self.scratch);
            let length = (self.scratch.len() - at - NULL_LENGTH.to_be_bytes().len()) as u32;
            self.scratch[at..at + length.to_be_bytes().len()].copy_from_slice(&length.to_be_bytes());
        }
        if self.scratch.len() > ROW_BYTES_MAX {
            return Ok(false);
        }
        self.rows.push(&row_id_key(*row), &self.scratch).map(|()| true)
    }

    fn take_entry(&mut self, PendingEntry { index, key, row }: &PendingEntry) -> Result<()> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&(*index as u32).to_be_bytes());
        self.scratch.extend_from_slice(key);
        self.entries.push(&self.scratch, &row_id_key(*row))
    }
}

/// The types of a row's values, the computed ones behind the columns.
fn types(layout: &TableLayout) -> impl Iterator<Item = DataType> + '_ {
    layout.columns.iter().chain(&layout.computed).map(|sql_type| sql_type.data_type)
}

fn decode_row(layout: &TableLayout, mut bytes: &[u8]) -> Result<Vec<Datum>> {
    let mut values = Vec::new();
    for data_type in types(layout) {
        let (length, rest) = bytes.split_first_chunk().ok_or_else(broken)?;
        bytes = rest;
        values.push(match u32::from_be_bytes(*length) {
            NULL_LENGTH => Datum::Null,
            length => {
                let (value, rest) = bytes.split_at_checked(length as usize).ok_or_else(broken)?;
                bytes = rest;
                binary::decode(value, data_type)?
            }
        });
    }
    Ok(values)
}

fn broken() -> Error {
    Error::internal("a row that waits for its key is not what it was")
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

impl PendingRow {
    fn bytes(&self) -> usize {
        let long = self.values.iter().map(|value| value.as_ref().long_bytes()).sum::<usize>();
        size_of::<PendingRow>() + self.values.len() * size_of::<Datum>() + long
    }
}

impl PendingKeys {
    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.entries.is_empty() && self.spilled.is_none()
    }

    /// Bytes that are kept in memory and not charged, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = PendingKeys::default();
    }

    /// # Errors
    /// `53100`, `53200`, I/O errors of temporary files.
    pub(super) fn keep_row(
        &mut self,
        (transaction, layout): (&Transaction, &TableLayout),
        row: RowId,
        values: &[DatumRef<'_>],
    ) -> Result<()> {
        let values: Vec<Datum> = values.iter().map(|value| DatumRef::to_owned(*value)).collect();
        let row = PendingRow { row, values };
        if let Some(spilled) = &mut self.spilled
            && spilled.take_row(layout, &row)?
        {
            return Ok(());
        }
        self.bytes += row.bytes();
        self.rows.push(row);
        self.spill_if_much(transaction, layout)
    }

    /// # Errors
    /// As [`PendingKeys::keep_row`].
    pub(super) fn keep_entry(
        &mut self,
        (transaction, layout): (&Transaction, &TableLayout),
        (index, key): (usize, &[u8]),
        row: RowId,
    ) -> Result<()> {
        let entry = PendingEntry { index, key: key.to_vec(), row };
        if let Some(spilled) = &mut self.spilled {
            return spilled.take_entry(&entry);
        }
        self.bytes += size_of::<PendingEntry>() + key.len();
        self.entries.push(entry);
        self.spill_if_much(transaction, layout)
    }

    fn spill_if_much(&mut self, transaction: &Transaction, layout: &TableLayout) -> Result<()> {
        let much = (transaction.memory().limit() / SPILL_SHARE).max(SPILL_BYTES_MIN);
        // Those that have no place there are no reason to look at them again and again.
        if self.bytes <= much || self.spilled.is_some() {
            return Ok(());
        }
        let spilled = self.spilled.insert(Box::new(Spilled::new(transaction)));
        for entry in std::mem::take(&mut self.entries) {
            spilled.take_entry(&entry)?;
        }
        self.bytes = 0;
        for row in std::mem::take(&mut self.rows) {
            if !spilled.take_row(layout, &row)? {
                self.bytes += row.bytes();
                self.rows.push(row);
            }
        }
        Ok(())
    }
}

impl Table {
    /// Writes what waited: to be called when every row of the statement has moved.
    /// # Errors
    /// As [`Table::insert`].
    pub fn settle(&self, transaction: &mut Transaction, pending: &mut PendingKeys) -> Result<Settled> {
        let PendingKeys { rows, entries, spilled, .. } = std::mem::take(pending);
        let (mut spilled_rows, mut spilled_entries) = (None, None);
        if let Some(spilled) = spilled {
            let Spilled { rows, entries, .. } = *spilled;
            (spilled_rows, spilled_entries) = (Some(rows.finish()?), Some(entries.finish()?));
        }
        for PendingRow { row, values } in rows {
            if let Some(duplicate) = self.settle_row(transaction, row, values)? {
                return Ok(duplicate);
            }
        }
        while let Some(sorted) = &mut spilled_rows
            && let Some((key, value)) = sorted.peek()
        {
            let row = row_id_of_key(key).ok_or_else(broken)?;
            let values = decode_row(self.layout(), value)?;
            if let Some(duplicate) = self.settle_row(transaction, row, values)? {
                return Ok(duplicate);
            }
            sorted.advance()?;
        }
        for PendingEntry { index, key, row } in entries {
            if let Some(duplicate) = self.settle_entry(transaction, (index, &key), row)? {
                return Ok(duplicate);
            }
        }
        while let Some(sorted) = &mut spilled_entries
            && let Some((key, value)) = sorted.peek()
        {
            let (index, key) = key.split_first_chunk().ok_or_else(broken)?;
            let index = u32::from_be_bytes(*index) as usize;
            let row = row_id_of_key(value).ok_or_else(broken)?;
            if let Some(duplicate) = self.settle_entry(transaction, (index, key), row)? {
                return Ok(duplicate);
            }
            sorted.advance()?;
        }
        Ok(Settled::Written)
    }

    fn settle_row(
        &self,
        transaction: &mut Transaction,
        row: RowId,
        values: Vec<Datum>,
    ) -> Result<Option<Settled>> {
        let borrowed: Vec<DatumRef<'_>> = values.iter().map(Datum::as_ref).collect();
        match self.insert(transaction, &borrowed)? {
            InsertOutcome::Inserted(id) if id == row => Ok(None),
            InsertOutcome::Inserted(_) => {
                Err(Error::internal("a row that waited for its key got another one"))
            }
            InsertOutcome::Duplicate { index } => Ok(Some(Settled::Duplicate { index, values })),
        }
    }

    fn settle_entry(
        &self,
        transaction: &mut Transaction,
        (index, key): (usize, &[u8]),
        row: RowId,
    ) -> Result<Option<Settled>> {
        let tree = self.index_tree(transaction, index)?.clone();
        if transaction.get(&tree, key, ReadView::Latest, |value| value.is_some())? {
            let values = self.get_datums(transaction, row, ReadView::Latest)?.unwrap_or_default();
            return Ok(Some(Settled::Duplicate { index: Some(index), values }));
        }
        transaction.put(tree.id(), key, &row_id_key(row))?;
        Ok(None)
    }
}

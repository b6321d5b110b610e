//! Insert or find: a row goes in unless another one has one of certain keys, which is then what is to be looked at.
//!
//! No lock on a key is held while a row is waited for: whoever changes or removes a row locks the row first and its
//! keys after.
//! Knows rows and keys. Knows nothing of what is done at a conflict.

use crate::common::ids::RowId;
use crate::error::Result;
use crate::sql::types::datum::DatumRef;
use crate::table::index::{Uniqueness, append_entry_key};
use crate::table::key::{row_id_key, row_id_of_key};
use crate::table::layout::RowIdSource;
use crate::table::scan::damaged_entry;
use crate::table::table::{InsertOutcome, Table, concurrent_update, row_id_of_value};
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{LockOutcome, ReadView, RowLockMode};

/// What an insert that stops at certain keys did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InsertOrFind {
    /// The row is in the table.
    Inserted(RowId),
    /// Nothing was written: another row has one of the keys that were asked for. It is not locked.
    Found(FoundRow),
    /// Nothing was written: another row has another key.
    Duplicate {
        /// As in [`InsertOutcome::Duplicate`].
        index: Option<usize>,
    },
}

/// A row that has a key of one that was to be inserted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundRow {
    /// The row.
    pub row: RowId,
    /// The key: position of the index; `None`: the row id.
    pub index: Option<usize>,
}

impl Table {
    /// Adds a row as [`Table::insert`] does, unless another one has a key of `arbiters` (positions of unique indexes;
    /// `None`: the row id). Waits for whoever is about to add such a row.
    /// # Errors
    /// As [`Table::insert`].
    pub fn insert_or_find(
        &self,
        transaction: &mut Transaction,
        row: &[DatumRef<'_>],
        arbiters: &[Option<usize>],
    ) -> Result<InsertOrFind> {
        loop {
            if let Some(found) = self.find_conflict(transaction, row, arbiters)? {
                return Ok(InsertOrFind::Found(found));
            }
            let mark = transaction.lock_mark();
            match self.insert(transaction, row)? {
                InsertOutcome::Inserted(row) => return Ok(InsertOrFind::Inserted(row)),
                // Somebody added it while its key was waited for.
                InsertOutcome::Duplicate { index } if arbiters.contains(&index) => {
                    transaction.release_locks(mark);
                    transaction.cancel_token().check()?;
                }
                InsertOutcome::Duplicate { index } => return Ok(InsertOrFind::Duplicate { index }),
            }
        }
    }

    /// The first key of `arbiters` that another row has, by the latest committed state and the own writes.
    fn find_conflict(
        &self,
        transaction: &Transaction,
        row: &[DatumRef<'_>],
        arbiters: &[Option<usize>],
    ) -> Result<Option<FoundRow>> {
        for index in arbiters {
            if let Some(row) = self.find_by_key(transaction, row, *index)? {
                return Ok(Some(FoundRow { row, index: *index }));
            }
        }
        Ok(None)
    }

    /// The row that has the key of `row` in a unique index, or its row id.
    fn find_by_key(
        &self,
        transaction: &Transaction,
        row: &[DatumRef<'_>],
        index: Option<usize>,
    ) -> Result<Option<RowId>> {
        let layout = self.layout();
        let Some(index) = index else {
            let RowIdSource::Column(column) = layout.row_id else { return Ok(None) };
            let id = row_id_of_value(row[column])?;
            let key = row_id_key(id);
            let exists = transaction.exists(&self.rows, &key, ReadView::Latest)?;
            return Ok(exists.then_some(id));
        };
        let mut key = Vec::with_capacity(32);
        let value = |column: usize| row[column];
        let limit = self.limits().key_bytes;
        let uniqueness = append_entry_key(&mut key, layout, &layout.indexes[index], value, RowId(0), limit)?;
        if uniqueness != Uniqueness::Unique {
            return Ok(None);
        }
        transaction.get(
            self.index_tree(transaction, index)?,
            &key,
            ReadView::Latest,
            |value| match value {
                Some(value) => row_id_of_key(value).map(Some).ok_or_else(damaged_entry),
                None => Ok(None),
            },
        )?
    }

    /// Locks a row that was found. `false`: it is gone, or no longer has the key of `row`; insert again.
    /// # Errors
    /// `40001` at repeatable read when the row changed since the snapshot; `40P01`; `57014`; `53200`.
    pub fn lock_found(
        &self,
        transaction: &mut Transaction,
        found: FoundRow,
        row: &[DatumRef<'_>],
        mode: RowLockMode,
    ) -> Result<bool> {
        transaction.lock_row(self.layout().tree, &row_id_key(found.row), mode)?;
        // Whoever changed its key had locked the row before: what is there now stays.
        if self.find_by_key(transaction, row, found.index)? != Some(found.row) {
            return Ok(false);
        }
        self.check_seen(transaction, found)?;
        Ok(true)
    }

    /// Waits for whoever is changing a row that was found; it is not locked. `false`: somebody did; insert again.
    /// # Errors
    /// As [`Table::lock_found`].
    pub fn wait_for_found(&self, transaction: &mut Transaction, found: FoundRow) -> Result<bool> {
        let key = row_id_key(found.row);
        if transaction.wait_for_row(self.layout().tree, &key, RowLockMode::Share)? != LockOutcome::Granted {
            return Ok(false);
        }
        self.check_seen(transaction, found)?;
        Ok(true)
    }

    /// Whether the command that runs has written a row itself.
    /// # Errors
    /// I/O errors.
    pub fn is_written_by_command(&self, transaction: &Transaction, row: RowId) -> Result<bool> {
        transaction.is_written_by_command(&self.rows, &row_id_key(row))
    }

    /// At repeatable read and above the snapshot must show the row as it is.
    fn check_seen(&self, transaction: &Transaction, found: FoundRow) -> Result<()> {
        if transaction.isolation().keeps_snapshot()
            && transaction.changed_since_snapshot(&self.rows, &row_id_key(found.row))?
        {
            return Err(concurrent_update());
        }
        Ok(())
    }
}

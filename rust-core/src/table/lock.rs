//! Locking rows, and what became of a row between the statement's snapshot and its lock.
//! Knows trees and lock modes. Knows no conditions.

use crate::common::ids::RowId;
use crate::error::{Error, Result, SqlState};
use crate::sql::types::compare::equal;
use crate::table::key::row_id_key;
use crate::table::layout::{IndexKey, RowIdSource, TableLayout};
use crate::table::table::{LockedRow, Table, concurrent_update};
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{ReadView, RowLockMode};

/// What locks a row: the error for a row that is gone names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockPurpose {
    /// The row is to be changed or removed.
    Change,
    /// A query wants to hold it.
    Query,
}

impl LockPurpose {
    fn gone(self) -> Error {
        match self {
            LockPurpose::Query => concurrent_update(),
            LockPurpose::Change => Error::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not serialize access due to concurrent delete",
            )
            .hint("Retry the transaction."),
        }
    }
}

/// Whether two rows of a table can only be told apart by this column, alone or with others: what a reference from
/// another table may be to.
fn is_key_column(layout: &TableLayout, column: usize) -> bool {
    let is_key = |index: &&crate::table::layout::IndexLayout| {
        index.unique
            && index.predicate.is_none()
            && index.columns.iter().all(|part| matches!(part.key, IndexKey::Column(_)))
    };
    layout.row_id == RowIdSource::Column(column)
        || layout
            .indexes
            .iter()
            .filter(is_key)
            .any(|index| index.columns.iter().any(|part| part.key == IndexKey::Column(column)))
}

impl Table {
    /// Locks a row if nobody is in the way, and tells what became of it since the statement's snapshot; `None`:
    /// somebody is.
    /// # Errors
    /// `40001` at repeatable read when the row changed; `53200`.
    pub fn try_lock(
        &self,
        transaction: &mut Transaction,
        row: RowId,
        mode: RowLockMode,
        purpose: LockPurpose,
    ) -> Result<Option<LockedRow>> {
        if !transaction.try_lock_row(self.layout().tree, &row_id_key(row), mode)? {
            return Ok(None);
        }
        self.locked(transaction, row, mode, purpose).map(Some)
    }

    /// As [`Table::lock`], for a query that wants to hold the row.
    /// # Errors
    /// As there.
    pub fn lock_for_query(
        &self,
        transaction: &mut Transaction,
        row: RowId,
        mode: RowLockMode,
    ) -> Result<LockedRow> {
        transaction.lock_row(self.layout().tree, &row_id_key(row), mode)?;
        self.locked(transaction, row, mode, LockPurpose::Query)
    }

    /// What became of a row that is locked now.
    pub(super) fn locked(
        &self,
        transaction: &Transaction,
        row: RowId,
        mode: RowLockMode,
        purpose: LockPurpose,
    ) -> Result<LockedRow> {
        let key = row_id_key(row);
        if !transaction.changed_since_snapshot(self.rows(), &key)? {
            return Ok(LockedRow::Unchanged);
        }
        let exists = transaction.exists(self.rows(), &key, ReadView::Latest)?;
        // Another row under the same key is not the row that the statement saw.
        let is_gone = !exists || transaction.replaced_since_snapshot(self.rows(), &key)?;
        // A key that stays is all that KEY SHARE is about, as in PostgreSQL.
        if !is_gone && mode == RowLockMode::KeyShare && self.keeps_keys(transaction, row)? {
            return Ok(LockedRow::Unchanged);
        }
        if transaction.isolation().keeps_snapshot() {
            return Err(if is_gone { purpose.gone() } else { concurrent_update() });
        }
        Ok(if is_gone { LockedRow::Gone } else { LockedRow::Changed })
    }

    /// Whether the newest version of a row has the keys that the snapshot shows.
    fn keeps_keys(&self, transaction: &Transaction, row: RowId) -> Result<bool> {
        let (Some(seen), Some(newest)) = (
            self.get_datums(transaction, row, ReadView::Snapshot)?,
            self.get_datums(transaction, row, ReadView::Latest)?,
        ) else {
            return Ok(false);
        };
        Ok(seen
            .iter()
            .zip(&newest)
            .enumerate()
            .filter(|(column, _)| is_key_column(self.layout(), *column))
            .all(|(column, (seen, newest))| {
                equal(seen.as_ref(), newest.as_ref(), self.layout().columns[column].data_type)
            }))
    }
}

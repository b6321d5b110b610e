//! Locking rows, and what became of a row between the statement's snapshot and its lock.
//! Knows trees and lock modes. Knows no conditions.

use crate::common::ids::RowId;
use crate::error::{Error, Result, SqlState};
use crate::sql::types::compare::equal;
use crate::table::key::{row_id_key, row_id_of_key};
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
        self.lock_followed(transaction, row, mode, (purpose, false))
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
        let locked = self.lock_followed(transaction, row, mode, (LockPurpose::Query, true))?;
        locked.ok_or_else(|| Error::internal("a wait for a row ended without its lock"))
    }

    /// Locks a row whose newest version is meant, whatever the statement's snapshot shows under its id.
    /// # Errors
    /// `40P01`; `57014`; `53200`.
    pub fn lock_newest(&self, transaction: &mut Transaction, row: RowId, mode: RowLockMode) -> Result<()> {
        transaction.lock_row(self.layout().tree, &row_id_key(row), mode).map(drop)
    }

    /// Locks a row, under its new id where that changed; `None`: somebody is in the way, and it is not waited for.
    pub(super) fn lock_followed(
        &self,
        transaction: &mut Transaction,
        row: RowId,
        mode: RowLockMode,
        (purpose, waits): (LockPurpose, bool),
    ) -> Result<Option<LockedRow>> {
        let (mut key, mut since) = (row_id_key(row), None);
        loop {
            let mark = transaction.lock_mark();
            if waits {
                transaction.lock_row(self.layout().tree, &key, mode)?;
            } else if !transaction.try_lock_row(self.layout().tree, &key, mode)? {
                return Ok(None);
            }
            if since.is_none() && !transaction.changed_since_snapshot(self.rows(), &key)? {
                return Ok(Some(LockedRow::Unchanged));
            }
            let Some((to, time)) = transaction.moved(self.rows(), key, since)? else { break };
            if transaction.isolation().keeps_snapshot() {
                return Err(if to.is_none() { purpose.gone() } else { concurrent_update() });
            }
            // Nothing is here any more that this was about.
            transaction.release_locks(mark);
            let Some(to) = to else { return Ok(Some(LockedRow::Gone)) };
            (key, since) = (to, Some(time));
        }
        let Some(since) = since else { return self.locked(transaction, row, mode, purpose).map(Some) };
        let stayed = transaction.stayed_since(self.rows(), key, since)?;
        let now = row_id_of_key(&key).filter(|_| stayed);
        Ok(Some(now.map_or(LockedRow::Gone, LockedRow::Changed)))
    }

    /// What became of a row that is locked now, was changed since the snapshot and got no other id.
    fn locked(
        &self,
        transaction: &Transaction,
        row: RowId,
        mode: RowLockMode,
        purpose: LockPurpose,
    ) -> Result<LockedRow> {
        let key = row_id_key(row);
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
        Ok(if is_gone { LockedRow::Gone } else { LockedRow::Changed(row) })
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

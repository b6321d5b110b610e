//! Filling an index while others write the table, a stretch of rows at a time.
//!
//! Whoever changes a row keeps the index already, so an entry is only to be added for what a row is now. Under the row's
//! lock nobody changes it until the stretch is committed. Nothing is waited for while a row is locked, so that no
//! writer is in a deadlock with the build.
//! Knows rows, keys and transactions. Knows no names and no SQL.

use crate::batch::batch::Batch;
use crate::common::ids::RowId;
use crate::error::Result;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::computed::ComputeValues;
use crate::table::index::{Uniqueness, append_entry_key};
use crate::table::key::{row_id_key, row_id_of_key};
use crate::table::layout::TableLayout;
use crate::table::limits::SizeLimits;
use crate::table::scan::damaged_entry;
use crate::table::table::Table;
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{ReadView, RowLockMode};
use std::ops::Bound;
use std::sync::Arc;

/// Rows of a stretch.
const STRETCH_ROWS: usize = 1024;

/// How far a stretch came.
#[derive(Clone, Debug)]
pub enum Stretch {
    /// The rows up to this one have their entries; more may follow.
    UpTo(RowId),
    /// All rows have.
    Finished,
    /// Somebody has a lock on this key of the index, which the next row needs: to be waited for by a transaction that
    /// has no lock on a row.
    KeyIsLocked(Vec<u8>),
    /// Two rows have these values in a unique index, one a key column.
    Duplicate(Vec<Datum>),
}

/// Adds the entries of the rows behind `after` to the index `index`, as many as one transaction should. The statement's
/// snapshot must have every row that was written by somebody who did not keep the index.
/// # Errors
/// `40P01`, `57014`, `53200`, `54000`, I/O errors; what `compute` gives.
pub fn index_stretch(
    manager: &TransactionManager,
    transaction: &mut Transaction,
    layout: &Arc<TableLayout>,
    index: usize,
    after: Option<RowId>,
    compute: &dyn ComputeValues,
) -> Result<Stretch> {
    let table = Table::open(manager, transaction, layout)?;
    let limits = SizeLimits::for_page_size(manager.storage().page_size());
    let index_layout = &layout.indexes[index];
    let entries = transaction.tree_handle(index_layout.tree)?;
    let rows = rows_behind(&table, transaction, after)?;
    let mut done = after;
    let mut key = Vec::new();
    let mut computed = Vec::new();
    for (number, row) in rows.iter().copied().enumerate() {
        let row_key = row_id_key(row);
        if number == 0 {
            transaction.lock_row(layout.tree, &row_key, RowLockMode::Share)?;
        } else if !transaction.try_lock_row(layout.tree, &row_key, RowLockMode::Share)? {
            break;
        }
        let Some(values) = table.get_datums(transaction, row, ReadView::Latest)? else {
            done = Some(row);
            continue;
        };
        let stored = |column: usize| values[column].as_ref();
        computed.clear();
        computed.resize(layout.computed.len(), Datum::Null);
        if index_layout.computed().next().is_some() {
            compute.compute(index, &stored, &mut computed)?;
        }
        let value = |position: usize| -> DatumRef<'_> {
            match position.checked_sub(layout.columns.len()) {
                Some(value) => computed[value].as_ref(),
                None => stored(position),
            }
        };
        key.clear();
        let uniqueness = append_entry_key(&mut key, layout, index_layout, value, row, limits.key_bytes)?;
        if uniqueness == Uniqueness::Unique
            && !transaction.try_lock_row(index_layout.tree, &key, RowLockMode::Update)?
        {
            match done {
                done if done == after => return Ok(Stretch::KeyIsLocked(key)),
                _ => break,
            }
        }
        if uniqueness != Uniqueness::NoEntry {
            let holder = transaction.get(&entries, &key, ReadView::Latest, |value| {
                value.map(|value| row_id_of_key(value).ok_or_else(damaged_entry)).transpose()
            })??;
            match holder {
                None => transaction.put(index_layout.tree, &key, &row_key)?,
                Some(holder) if holder == row => {}
                Some(_) => {
                    let keys = index_layout.columns.iter().map(|column| layout.position(column.key));
                    let values = keys.map(|position| value(position).to_owned());
                    return Ok(Stretch::Duplicate(values.collect()));
                }
            }
        }
        done = Some(row);
    }
    match done {
        Some(row) if rows.len() == STRETCH_ROWS || rows.last() != Some(&row) => match rows.is_empty() {
            true => Ok(Stretch::Finished),
            false => Ok(Stretch::UpTo(row)),
        },
        _ => Ok(Stretch::Finished),
    }
}

/// The next rows of the table.
fn rows_behind(table: &Table, transaction: &Transaction, after: Option<RowId>) -> Result<Vec<RowId>> {
    let lower = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut scan = table.scan(transaction, (lower, Bound::Unbounded), false, &[], true)?;
    let mut rows = Vec::with_capacity(STRETCH_ROWS);
    let mut batch = Batch::default();
    while rows.len() < STRETCH_ROWS && scan.next_batch(transaction, &mut batch)? {
        for row in batch.row_numbers() {
            if let DatumRef::BigInt(id) = batch.columns[0].datum(row)
                && rows.len() < STRETCH_ROWS
            {
                rows.push(RowId(id));
            }
        }
    }
    Ok(rows)
}

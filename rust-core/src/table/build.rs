//! Making and dropping a table's trees, and filling a new index from the rows.
//! Knows layouts and transactions. Knows no names.

use crate::batch::batch::Batch;
use crate::common::ids::RowId;
use crate::error::Result;
use crate::sql::types::data_type::SqlType;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::storage::TreeCursor;
use crate::storage::bulk::sorter::EntrySorter;
use crate::table::computed::ComputeValues;
use crate::table::index::{Uniqueness, append_entry_key};
use crate::table::key::{row_id_key, row_id_of_key};
use crate::table::layout::{IndexColumn, IndexKey, IndexLayout, RowIdSource, TableLayout};
use crate::table::limits::SizeLimits;
use crate::table::scan::damaged_entry;
use crate::table::table::{Table, concurrent_update};
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::ReadView;
use std::ops::Bound;
use std::sync::Arc;

const ENTRIES_BETWEEN_CHECKS: u64 = 4096;

/// The layout of a new table, with its trees made in `transaction`. `indexes`: columns, whether unique.
/// # Errors
/// `53200`.
pub fn create_trees(
    transaction: &mut Transaction,
    row_id: RowIdSource,
    columns: Vec<SqlType>,
    indexes: Vec<(Vec<IndexColumn>, bool)>,
) -> Result<TableLayout> {
    let tree = transaction.create_tree()?;
    let value_tree = transaction.create_tree()?;
    let mut layouts = Vec::with_capacity(indexes.len());
    for (index_columns, unique) in indexes {
        layouts.push(create_index_tree(transaction, index_columns, unique, None)?);
    }
    let (computed, runtime) = (Vec::new(), Arc::default());
    let (indexes, fill_percent) = (layouts, None);
    Ok(TableLayout { tree, value_tree, row_id, columns, computed, indexes, fill_percent, runtime })
}

/// The layout of a new index, with its tree made in `transaction`.
/// # Errors
/// `53200`.
pub fn create_index_tree(
    transaction: &mut Transaction,
    columns: Vec<IndexColumn>,
    unique: bool,
    predicate: Option<usize>,
) -> Result<IndexLayout> {
    let tree = transaction.create_tree()?;
    Ok(IndexLayout { tree, columns, unique, predicate, fill_percent: None, runtime: Arc::default() })
}

/// Drops every tree of a table at commit. The caller holds ACCESS EXCLUSIVE.
/// # Errors
/// `53200`.
pub fn drop_trees(transaction: &mut Transaction, layout: &TableLayout) -> Result<()> {
    transaction.drop_tree(layout.tree)?;
    transaction.drop_tree(layout.value_tree)?;
    layout.indexes.iter().try_for_each(|index| transaction.drop_tree(index.tree))
}

/// What filling an index came to.
#[derive(Clone, Debug)]
pub enum BuildOutcome {
    /// Every row has its entry.
    Built,
    /// Two rows have these values in a unique index (one a key column); entries are half written.
    Duplicate(Vec<Datum>),
}

/// Fills index `index` of `layout` from the rows; `compute` gives what the rows do not store. The caller holds SHARE on the table, and the statement's
/// snapshot was taken after that lock.
/// # Errors
/// `40001` when rows were changed after the snapshot; `54000` for a key that is too long; `53200`; `57014`; what
/// `compute` gives.
pub fn build_index(
    manager: &TransactionManager,
    transaction: &mut Transaction,
    layout: &Arc<TableLayout>,
    index: usize,
    compute: &dyn ComputeValues,
) -> Result<BuildOutcome> {
    check_snapshot_is_newest(transaction, layout)?;
    let limits = SizeLimits::for_page_size(manager.storage().page_size());
    let table = Table::open(manager, transaction, layout)?;
    let index_layout = &layout.indexes[index];
    let mut columns: Vec<usize> = Vec::new();
    for key in &index_layout.columns {
        match key.key {
            IndexKey::Column(column) => columns.push(column),
            IndexKey::Computed(_) => {}
        }
    }
    let computes = index_layout.computed().next().is_some();
    if computes {
        columns = (0..layout.columns.len()).collect();
    }
    let mut computed = Vec::new();
    let everything = (Bound::Unbounded, Bound::Unbounded);
    let mut scan = table.scan(transaction, everything, false, &columns, true)?;
    let mut sorter = transaction.entry_sorter();
    let mut entries = 0;
    let mut batch = Batch::default();
    let mut key = Vec::new();
    while scan.next_batch(transaction, &mut batch)? {
        for row in 0..batch.rows {
            let row_id = match batch.columns[columns.len()].datum(row) {
                DatumRef::BigInt(id) => RowId(id),
                _ => continue,
            };
            let stored = |column: usize| {
                let position = columns.iter().position(|of| *of == column).unwrap_or_default();
                batch.columns[position].datum(row)
            };
            if computes {
                computed.clear();
                computed.resize(layout.computed.len(), Datum::Null);
                compute.compute(index, &stored, &mut computed)?;
            }
            let value = |position: usize| match position.checked_sub(layout.columns.len()) {
                Some(value) => computed[value].as_ref(),
                None => stored(position),
            };
            key.clear();
            let uniqueness =
                append_entry_key(&mut key, layout, index_layout, value, row_id, limits.key_bytes)?;
            if uniqueness == Uniqueness::NoEntry {
                continue;
            }
            sorter.push(&key, &row_id_key(row_id))?;
            entries += 1;
        }
    }
    drop(scan);
    match fill_index(transaction, index_layout, sorter, entries)? {
        None => Ok(BuildOutcome::Built),
        Some(row) => {
            let stored = table.get_datums(transaction, row, ReadView::Snapshot)?.ok_or_else(damaged_entry)?;
            let stored = |column: usize| stored[column].as_ref();
            let mut computed = vec![Datum::Null; layout.computed.len()];
            if computes {
                compute.compute(index, &stored, &mut computed)?;
            }
            let value = |position: usize| match position.checked_sub(layout.columns.len()) {
                Some(value) => computed[value].clone(),
                None => stored(position).to_owned(),
            };
            let keys = index_layout.columns.iter().map(|column| layout.position(column.key));
            Ok(BuildOutcome::Duplicate(keys.map(value).collect()))
        }
    }
}

/// Puts `count` entries into an index that has none: built beside the log where they are many. Gives a row whose entry
/// has the key of another one; then not all of them are there.
/// # Errors
/// `53100`, `53200`, `57014`, I/O errors.
pub(super) fn fill_index(
    transaction: &mut Transaction,
    index: &IndexLayout,
    sorter: EntrySorter,
    count: u64,
) -> Result<Option<RowId>> {
    let mut entries = sorter.finish()?;
    let tree = index.tree;
    let handle = transaction.tree_handle(tree)?;
    let mut builder = match count >= transaction.bulk_rows() && transaction.can_build(&handle)? {
        true => Some(transaction.build(tree)?.filled_to(index.fill_percent)),
        false => None,
    };
    let mut last = Vec::new();
    let mut done = 0;
    while let Some((key, value)) = entries.peek() {
        if done > 0 && last == key {
            return row_id_of_key(value).map(Some).ok_or_else(damaged_entry);
        }
        match &mut builder {
            Some(builder) => builder.push(key, value)?,
            None => transaction.put(tree, key, value)?,
        }
        last.clear();
        last.extend_from_slice(key);
        entries.advance()?;
        done += 1;
        if done % ENTRIES_BETWEEN_CHECKS == 0 {
            transaction.cancel_token().check()?;
        }
    }
    if let Some(builder) = builder
        && let Some(built) = builder.finish()?
    {
        transaction.link(built);
    }
    Ok(None)
}

/// An index must have an entry for every committed row, so the snapshot must see all of them.
fn check_snapshot_is_newest(transaction: &Transaction, layout: &TableLayout) -> Result<()> {
    let handle = transaction.tree_handle(layout.tree)?;
    let Some(tree) = handle.committed() else { return Ok(()) };
    let snapshot = transaction.snapshot_timestamp();
    let mut cursor = TreeCursor::new(Bound::Unbounded, Bound::Unbounded, false);
    while let Some(newest) = tree.visit(&mut cursor, |leaf, _| leaf.max_timestamp())? {
        if newest > snapshot {
            return Err(concurrent_update());
        }
    }
    Ok(())
}

//! Whether rows, index entries and large values agree one to one.
//! Knows layouts and transactions. Reports, repairs nothing.

use crate::common::ids::RowId;
use crate::error::Result;
use crate::sql::types::datum::DatumRef;
use crate::table::index::append_entry_key;
use crate::table::key::row_id_of_key;
use crate::table::layout::TableLayout;
use crate::table::limits::SizeLimits;
use crate::table::row::{LargePointer, RowView};
use crate::table::value_tree;
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::{Transaction, TreeHandle};
use crate::transaction::types::ReadView;
use std::ops::Bound;

/// A row copied from its leaf: other trees are read without a latch.
type CopiedRow = (RowId, Vec<u8>);

/// Checks one table as the statement's snapshot has it; calls `report` with each finding, returns how many.
/// # Errors
/// `58030`, `57014`; damage is reported, not returned, where reading can go on.
pub fn verify(
    manager: &TransactionManager,
    transaction: &Transaction,
    layout: &TableLayout,
    report: &mut dyn FnMut(&str),
) -> Result<u64> {
    let mut findings = 0;
    let mut finding = |text: String| {
        findings += 1;
        report(&text);
    };
    let limits = SizeLimits::for_page_size(manager.storage().page_size());
    let trees = Trees::open(transaction, layout)?;
    let mut row_count = 0u64;
    let mut piece_count = 0u64;
    let mut scan = transaction.scan(&trees.rows, Bound::Unbounded, Bound::Unbounded, false);
    let mut rows: Vec<CopiedRow> = Vec::new();
    loop {
        rows.clear();
        let more = scan.next(transaction, |found| {
            let mut key = Vec::new();
            for index in (0..found.len()).filter(|index| found.is_live(*index)) {
                found.key_into(index, &mut key);
                rows.push((row_id_of_key(&key).unwrap_or_default(), found.value(index).to_vec()));
            }
        })?;
        if more.is_none() {
            break;
        }
        for (row_id, bytes) in &rows {
            row_count += 1;
            if layout.format().check_deeply(bytes).is_err() {
                finding(format!("row {row_id} of tree {}: not a row of its table", layout.tree));
                continue;
            }
            piece_count += verify_row(transaction, layout, &trees, &limits, (*row_id, bytes), &mut finding)?;
        }
    }
    for (index, tree) in layout.indexes.iter().zip(&trees.indexes) {
        let entries = count_entries(transaction, tree)?;
        if entries != row_count {
            finding(format!("index tree {}: {entries} entries for {row_count} rows", index.tree));
        }
    }
    let pieces = count_entries(transaction, &trees.values)?;
    if pieces != piece_count {
        let tree = layout.value_tree;
        finding(format!("value tree {tree}: {pieces} pieces where rows point to {piece_count}"));
    }
    Ok(findings)
}

struct Trees {
    rows: TreeHandle,
    values: TreeHandle,
    indexes: Vec<TreeHandle>,
}

impl Trees {
    fn open(transaction: &Transaction, layout: &TableLayout) -> Result<Trees> {
        let indexes = layout.indexes.iter().map(|index| transaction.tree_handle(index.tree));
        Ok(Trees {
            rows: transaction.tree_handle(layout.tree)?,
            values: transaction.tree_handle(layout.value_tree)?,
            indexes: indexes.collect::<Result<_>>()?,
        })
    }
}

/// Returns the pieces that the row points to.
fn verify_row(
    transaction: &Transaction,
    layout: &TableLayout,
    trees: &Trees,
    limits: &SizeLimits,
    (row_id, bytes): (RowId, &[u8]),
    finding: &mut dyn FnMut(String),
) -> Result<u64> {
    let format = layout.format();
    let pointers: Vec<(usize, LargePointer)> = format.large_pointers(bytes).collect();
    let mut large = Vec::new();
    let mut pieces = 0;
    for (column, pointer) in pointers {
        match value_tree::read(transaction, &trees.values, pointer, ReadView::Snapshot) {
            Ok(value) => large.push((column, value)),
            Err(error) => finding(format!("row {row_id} of tree {}: {error}", layout.tree)),
        }
        pieces += u64::from(value_tree::piece_count(pointer.length as usize, limits.piece_bytes));
    }
    let view = RowView::new(format, bytes, &large)?;
    let mut key = Vec::new();
    for (index, tree) in layout.indexes.iter().zip(&trees.indexes) {
        key.clear();
        let value = |column: usize| -> DatumRef<'_> { view.datum(column) };
        if append_entry_key(&mut key, layout, index, value, row_id, usize::MAX).is_err() {
            continue;
        }
        let entry = transaction.get(tree, &key, ReadView::Snapshot, |value| value.and_then(row_id_of_key))?;
        if entry != Some(row_id) {
            finding(match entry {
                None => format!("index tree {}: no entry for row {row_id}", index.tree),
                Some(other) => {
                    format!("index tree {}: the entry of row {row_id} names row {other}", index.tree)
                }
            });
        }
    }
    Ok(pieces)
}

fn count_entries(transaction: &Transaction, tree: &TreeHandle) -> Result<u64> {
    let mut scan = transaction.scan(tree, Bound::Unbounded, Bound::Unbounded, false);
    let mut count = 0;
    while let Some(live) =
        scan.next(transaction, |rows| (0..rows.len()).filter(|index| rows.is_live(*index)).count() as u64)?
    {
        count += live;
    }
    Ok(count)
}

//! Whether rows, index entries and large values agree one to one.
//! Knows layouts and transactions. Reports, repairs nothing.

use crate::common::ids::{RowId, TreeId};
use crate::error::{Error, Result, SqlState};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::storage::Finding;
use crate::table::computed::ComputeValues;
use crate::table::index::{Uniqueness, append_entry_key};
use crate::table::key::{row_id_key, row_id_of_key};
use crate::table::layout::{IndexColumn, IndexKey, IndexLayout, TableLayout};
use crate::table::limits::SizeLimits;
use crate::table::row::{LargePointer, RowView};
use crate::table::value_tree::{self, piece_key, value_id_of_key};
use crate::transaction::manager::TransactionManager;
use crate::transaction::scan::TransactionScan;
use crate::transaction::transaction::{Transaction, TreeHandle};
use crate::transaction::types::ReadView;
use hashbrown::HashSet;
use std::ops::Bound;

/// A row copied from its leaf: other trees are read without a latch.
type CopiedRow = (RowId, Vec<u8>);

/// What a check of a table looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Findings reported.
    pub findings: u64,
    /// Rows.
    pub rows: u64,
    /// Entries of all indexes.
    pub index_entries: u64,
    /// Values kept outside their rows.
    pub large_values: u64,
    /// Pieces of them.
    pub pieces: u64,
}

/// Checks one table as the statement's snapshot has it; calls `report` with each finding. What would have to be read
/// from a tree that `is_broken` names, because storage found damage in it, is passed over; so is an index that holds
/// computed values where nobody can `compute` them.
/// # Errors
/// `58030`, `57014`; damage is reported, not returned.
pub fn verify(
    manager: &TransactionManager,
    transaction: &Transaction,
    layout: &TableLayout,
    compute: Option<&dyn ComputeValues>,
    is_broken: &dyn Fn(TreeId) -> bool,
    report: &mut dyn FnMut(Finding),
) -> Result<Verified> {
    let mut seen = Verified::default();
    if is_broken(layout.tree) {
        return Ok(seen);
    }
    let mut check = Check {
        manager,
        transaction,
        layout,
        compute,
        limits: SizeLimits::for_page_size(manager.storage().page_size()),
        report,
        seen: &mut seen,
        missing: vec![0; layout.indexes.len()],
        left_out: vec![0; layout.indexes.len()],
    };
    match check.run(is_broken) {
        Ok(()) => {}
        Err(error) if error.state() == SqlState::DATA_CORRUPTED => {
            let tree = error.tree().map_or(layout.tree, TreeId);
            check.damage(tree, &error);
        }
        Err(error) => return Err(error),
    }
    Ok(seen)
}

struct Check<'a> {
    manager: &'a TransactionManager,
    transaction: &'a Transaction,
    layout: &'a TableLayout,
    compute: Option<&'a dyn ComputeValues>,
    limits: SizeLimits,
    report: &'a mut dyn FnMut(Finding),
    seen: &'a mut Verified,
    /// Rows without their entry, an index.
    missing: Vec<u64>,
    /// Rows that a partial index leaves out, an index.
    left_out: Vec<u64>,
}

struct Trees {
    rows: TreeHandle,
    /// None where it is broken.
    values: Option<TreeHandle>,
    indexes: Vec<Option<TreeHandle>>,
}

impl Check<'_> {
    fn run(&mut self, is_broken: &dyn Fn(TreeId) -> bool) -> Result<()> {
        let (transaction, layout) = (self.transaction, self.layout);
        let open = |tree: TreeId| {
            let sound = !is_broken(tree);
            sound.then(|| transaction.tree_handle(tree)).transpose()
        };
        let can_compute = self.compute.is_some();
        let usable = |index: &IndexLayout| {
            transaction.snapshot_timestamp() >= index.runtime.usable_from()
                && !index.runtime.is_unfinished()
                && (can_compute || index.computed().next().is_none())
        };
        let indexes = layout.indexes.iter();
        let trees = Trees {
            rows: transaction.tree_handle(layout.tree)?,
            values: open(layout.value_tree)?,
            indexes: indexes
                .map(|index| if usable(index) { open(index.tree) } else { Ok(None) })
                .collect::<Result<_>>()?,
        };
        let mut scan = transaction.scan(&trees.rows, Bound::Unbounded, Bound::Unbounded, false);
        let mut rows: Vec<CopiedRow> = Vec::new();
        let mut whole = true;
        while next_rows(transaction, &mut scan, &mut rows)? {
            for (row_id, bytes) in &rows {
                self.seen.rows += 1;
                if layout.format().check_deeply(bytes).is_err() {
                    whole = false;
                    self.finding(
                        layout.tree,
                        &row_id_key(*row_id),
                        format!("row {row_id} is not a row of its table"),
                    );
                    continue;
                }
                self.row(&trees, *row_id, bytes)?;
            }
        }
        for (position, tree) in trees.indexes.iter().enumerate() {
            if let Some(tree) = tree {
                self.index(position, tree, &trees, whole)?;
            }
        }
        if let Some(values) = &trees.values {
            self.values(values, &trees, whole)?;
        }
        Ok(())
    }

    fn finding(&mut self, tree: TreeId, key: &[u8], what: String) {
        self.seen.findings += 1;
        let place = self.manager.storage().place(tree, key);
        let (page, block) = place.map_or((None, None), |(page, block)| (Some(page), block));
        (self.report)(Finding { block, page, tree: Some(tree), what });
    }

    fn damage(&mut self, tree: TreeId, error: &Error) {
        self.seen.findings += 1;
        let what = error.detail_text().unwrap_or(error.message()).to_owned();
        (self.report)(Finding { tree: Some(tree), ..Finding::new(what) });
    }

    /// A row's large values and index entries.
    fn row(&mut self, trees: &Trees, row_id: RowId, bytes: &[u8]) -> Result<()> {
        let (transaction, layout) = (self.transaction, self.layout);
        let format = layout.format();
        let pointers: Vec<(usize, LargePointer)> = format.large_pointers(bytes).collect();
        let mut large = Vec::new();
        let mut lost = Vec::new();
        for (column, pointer) in pointers {
            self.seen.large_values += 1;
            self.seen.pieces +=
                u64::from(value_tree::piece_count(pointer.length as usize, self.limits.piece_bytes));
            let Some(values) = &trees.values else {
                lost.push(column);
                continue;
            };
            match value_tree::read(transaction, values, pointer, ReadView::Snapshot) {
                Ok(value) => large.push((column, value)),
                Err(error) if error.state() == SqlState::DATA_CORRUPTED => {
                    lost.push(column);
                    let key = piece_key(pointer.value_id, 0);
                    let what = format!("column {} of row {row_id}: {}", column + 1, error.message());
                    self.finding(layout.value_tree, &key, what);
                }
                Err(error) => return Err(error),
            }
        }
        let view = RowView::new(format, bytes, &large)?;
        let mut key = Vec::new();
        for (position, (index, tree)) in layout.indexes.iter().zip(&trees.indexes).enumerate() {
            let Some(tree) = tree else { continue };
            let is_lost = |column: &IndexColumn| match column.key {
                IndexKey::Column(column) => lost.contains(&column),
                IndexKey::Computed(_) => !lost.is_empty(),
            };
            let computes = index.computed().next().is_some();
            if index.columns.iter().any(is_lost) || (computes && !lost.is_empty()) {
                continue;
            }
            key.clear();
            let computed = match computed_values(layout, self.compute, position, &view) {
                Ok(computed) => computed,
                Err(error) => {
                    self.missing[position] += 1;
                    let what = format!("the key of row {row_id} cannot be computed: {}", error.message());
                    self.finding(index.tree, &[], what);
                    continue;
                }
            };
            let value = |position: usize| datum_at(layout, &view, &computed, position);
            match append_entry_key(&mut key, layout, index, value, row_id, usize::MAX) {
                Ok(Uniqueness::NoEntry) => {
                    self.left_out[position] += 1;
                    continue;
                }
                Ok(_) => {}
                Err(_) => continue,
            }
            let entry = transaction.get(tree, &key, ReadView::Snapshot, |value| value.map(row_id_of_key))?;
            match entry {
                Some(Some(named)) if named == row_id => {}
                Some(Some(named)) => {
                    self.finding(index.tree, &key, format!("the entry of row {row_id} names row {named}"));
                }
                Some(None) => {
                    self.finding(index.tree, &key, format!("the entry of row {row_id} names no row"));
                }
                None => {
                    self.missing[position] += 1;
                    self.finding(index.tree, &key, format!("row {row_id} has no entry"));
                }
            }
        }
        Ok(())
    }

    /// Entries that no row has: there are some when the numbers differ.
    fn index(&mut self, position: usize, tree: &TreeHandle, trees: &Trees, whole: bool) -> Result<()> {
        let (transaction, layout) = (self.transaction, self.layout);
        let index = &layout.indexes[position];
        let entries = count_entries(transaction, tree)?;
        self.seen.index_entries += entries;
        if !whole || entries + self.missing[position] + self.left_out[position] == self.seen.rows {
            return Ok(());
        }
        let before = self.seen.findings;
        let mut scan = transaction.scan(tree, Bound::Unbounded, Bound::Unbounded, false);
        let mut found: Vec<(Vec<u8>, Option<RowId>)> = Vec::new();
        loop {
            found.clear();
            let more = scan.next(transaction, |rows| {
                for entry in (0..rows.len()).filter(|entry| rows.is_live(*entry)) {
                    let mut key = Vec::new();
                    rows.key_into(entry, &mut key);
                    found.push((key, row_id_of_key(rows.value(entry))));
                }
            })?;
            if more.is_none() {
                break;
            }
            for (key, row) in &found {
                let what = match row {
                    None => "an entry names no row".to_owned(),
                    Some(row) => match self.entry_key(position, trees, *row)? {
                        Some(expected) if expected == *key => continue,
                        Some(_) => format!("an entry names row {row}, which has other values"),
                        None => format!("an entry names row {row}, which does not exist"),
                    },
                };
                self.finding(index.tree, key, what);
            }
        }
        if self.seen.findings == before {
            let rows = self.seen.rows - self.left_out[position];
            let what = format!("it holds {entries} entries for {rows} rows");
            self.finding(index.tree, &[], what);
        }
        Ok(())
    }

    /// The key of a row's entry, empty where it has none; none where there is no such row.
    fn entry_key(&self, position: usize, trees: &Trees, row: RowId) -> Result<Option<Vec<u8>>> {
        let (transaction, format) = (self.transaction, self.layout.format());
        let bytes = transaction
            .get(&trees.rows, &row_id_key(row), ReadView::Snapshot, |value| value.map(<[u8]>::to_vec))?;
        let Some(bytes) = bytes.filter(|bytes| format.check_deeply(bytes).is_ok()) else { return Ok(None) };
        let mut large = Vec::new();
        for (column, pointer) in format.large_pointers(&bytes) {
            if let Some(values) = &trees.values {
                large.push((column, value_tree::read(transaction, values, pointer, ReadView::Snapshot)?));
            }
        }
        let view = RowView::new(format, &bytes, &large)?;
        let mut key = Vec::new();
        let layout = self.layout;
        let Ok(computed) = computed_values(layout, self.compute, position, &view) else {
            return Ok(Some(key));
        };
        let value = |position: usize| datum_at(layout, &view, &computed, position);
        append_entry_key(&mut key, layout, &layout.indexes[position], value, row, usize::MAX)?;
        Ok(Some(key))
    }

    /// Pieces that no row points to: there are some when the numbers differ.
    fn values(&mut self, values: &TreeHandle, trees: &Trees, whole: bool) -> Result<()> {
        let (transaction, layout) = (self.transaction, self.layout);
        let pieces = count_entries(transaction, values)?;
        if !whole || pieces == self.seen.pieces {
            return Ok(());
        }
        let mut pointed = HashSet::new();
        let mut scan = transaction.scan(&trees.rows, Bound::Unbounded, Bound::Unbounded, false);
        let mut rows = Vec::new();
        while next_rows(transaction, &mut scan, &mut rows)? {
            for (_, bytes) in &rows {
                pointed.extend(layout.format().large_pointers(bytes).map(|(_, pointer)| pointer.value_id));
            }
        }
        let mut unpointed: Vec<u64> = Vec::new();
        let mut scan = transaction.scan(values, Bound::Unbounded, Bound::Unbounded, false);
        let mut key = Vec::new();
        while scan
            .next(transaction, |rows| {
                for piece in (0..rows.len()).filter(|piece| rows.is_live(*piece)) {
                    rows.key_into(piece, &mut key);
                    let id = value_id_of_key(&key).unwrap_or(0);
                    if !pointed.contains(&id) && unpointed.last() != Some(&id) {
                        unpointed.push(id);
                    }
                }
            })?
            .is_some()
        {}
        for id in &unpointed {
            self.finding(layout.value_tree, &piece_key(*id, 0), format!("no row points to value {id}"));
        }
        if unpointed.is_empty() {
            let what = format!("it holds {pieces} pieces where rows point to {}", self.seen.pieces);
            self.finding(layout.value_tree, &[], what);
        }
        Ok(())
    }
}

/// What index `index` holds of a row that the row does not store; nothing where it holds columns alone.
/// # Errors
/// What an expression raises.
pub fn computed_values(
    layout: &TableLayout,
    compute: Option<&dyn ComputeValues>,
    index: usize,
    row: &RowView<'_>,
) -> Result<Vec<Datum>> {
    let mut computed = Vec::new();
    if layout.indexes[index].computed().next().is_some()
        && let Some(compute) = compute
    {
        computed.resize(layout.computed.len(), Datum::Null);
        compute.compute(index, &|column| row.datum(column), &mut computed)?;
    }
    Ok(computed)
}

/// A value of a row whose computed values follow its columns.
pub fn datum_at<'r>(
    layout: &TableLayout,
    row: &'r RowView<'_>,
    computed: &'r [Datum],
    position: usize,
) -> DatumRef<'r> {
    match position.checked_sub(layout.columns.len()) {
        None => row.datum(position),
        Some(value) => computed.get(value).map_or(DatumRef::Null, Datum::as_ref),
    }
}

/// The rows of the next leaf; false: there is none.
fn next_rows(
    transaction: &Transaction,
    scan: &mut TransactionScan,
    rows: &mut Vec<CopiedRow>,
) -> Result<bool> {
    rows.clear();
    let more = scan.next(transaction, |found| {
        let mut key = Vec::new();
        for index in (0..found.len()).filter(|index| found.is_live(*index)) {
            found.key_into(index, &mut key);
            rows.push((row_id_of_key(&key).unwrap_or_default(), found.value(index).to_vec()));
        }
    })?;
    Ok(more.is_some())
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

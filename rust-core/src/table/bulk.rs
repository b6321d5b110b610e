//! Loading many rows into an empty table: rows go onto finished pages beside the log, index entries are sorted first.
//!
//! The caller holds a lock that keeps other writers out. Nothing is looked up per row: keys of rows must ascend, and of
//! two entries that are the same the sort shows the second.
//! Knows rows, keys and transactions. Knows no names and no SQL.

use crate::common::ids::{RowId, TreeId};
use crate::error::Result;
use crate::sql::types::datum::DatumRef;
use crate::storage::bulk::TreeBuilder;
use crate::storage::bulk::sorter::EntrySorter;
use crate::table::build::fill_index;
use crate::table::key::row_id_key;
use crate::table::layout::RowIdSource;
use crate::table::row::{LargePointer, RowEncoder};
use crate::table::table::{EntryKeys, Table, row_id_of_value};
use crate::table::value_tree::piece_key;
use crate::transaction::transaction::Transaction;

/// A load that is under way. Dropped, it never was.
#[derive(Debug)]
pub struct TableLoad {
    rows: TreeBuilder,
    /// From the first large value on.
    values: Option<TreeBuilder>,
    /// Entries so far, and how many.
    indexes: Vec<(EntrySorter, u64)>,
    encoder: RowEncoder,
    keys: EntryKeys,
}

/// What became of a row of a load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadOutcome {
    /// It is part of the load.
    Loaded,
    /// Nothing happened: its key is not behind the last one's. The load has to end before it.
    OutOfOrder,
    /// Nothing happened: the row before it has the same row id, which is the primary key.
    Duplicate,
}

impl Table {
    /// The trees of the table.
    pub fn trees(&self) -> impl Iterator<Item = TreeId> + '_ {
        let layout = self.layout();
        [layout.tree, layout.value_tree].into_iter().chain(layout.indexes.iter().map(|index| index.tree))
    }

    /// Whether nobody else can see the table before the transaction commits.
    pub fn is_new(&self, transaction: &Transaction) -> Result<bool> {
        Ok(transaction.tree_handle(self.layout().tree)?.committed().is_none())
    }

    /// Whether there is nothing in the table, for any snapshot.
    /// # Errors
    /// `58030`, `XX001`.
    pub fn can_load(&self, transaction: &Transaction) -> Result<bool> {
        for tree in self.trees() {
            if !transaction.can_build(&transaction.tree_handle(tree)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Begins to load a table for which [`Table::can_load`] says yes.
    /// # Errors
    /// `25006`, `53200`.
    pub fn begin_load(&self, transaction: &mut Transaction) -> Result<TableLoad> {
        let rows = transaction.build(self.layout().tree)?.filled_to(self.layout().fill_percent);
        let indexes = self.layout().indexes.iter().map(|_| (transaction.entry_sorter(), 0)).collect();
        let (encoder, keys) = (RowEncoder::default(), EntryKeys::default());
        Ok(TableLoad { rows, values: None, indexes, encoder, keys })
    }

    /// Adds a row: a value a column, in table order, then the computed values.
    /// # Errors
    /// `53100`, `53200`, `54000`, `58030`.
    pub fn load_row(
        &self,
        transaction: &mut Transaction,
        load: &mut TableLoad,
        row: &[DatumRef<'_>],
    ) -> Result<LoadOutcome> {
        let layout = self.layout();
        let TableLoad { rows, values, indexes, encoder, keys } = load;
        let row_id = match layout.row_id {
            RowIdSource::Counter => self.next_row_id(transaction)?,
            RowIdSource::Column(column) => row_id_of_value(row[column])?,
        };
        let key = row_id_key(row_id);
        match rows.last_key().map(|last| last.cmp(key.as_slice())) {
            None | Some(std::cmp::Ordering::Less) => {}
            Some(std::cmp::Ordering::Equal) => return Ok(LoadOutcome::Duplicate),
            Some(std::cmp::Ordering::Greater) => return Ok(LoadOutcome::OutOfOrder),
        }
        let limits = self.limits();
        keys.fill(layout, limits, row_id, |column| row[column])?;
        let stored = &row[..layout.columns.len()];
        let bytes = encoder.encode(layout.format(), stored, &[], limits.row_bytes, |_, bytes| {
            let value_id = self.next_value_id(transaction)?;
            if values.is_none() {
                *values = Some(transaction.build(layout.value_tree)?);
            }
            if let Some(values) = values {
                for (piece, content) in bytes.chunks(limits.piece_bytes).enumerate() {
                    values.push(&piece_key(value_id, piece as u32), content)?;
                }
            }
            Ok(LargePointer::new(value_id, bytes))
        })?;
        rows.push(&key, bytes)?;
        for (index, (sorter, count)) in indexes.iter_mut().enumerate() {
            if keys.has_entry(index) {
                sorter.push(keys.key(index), &key)?;
                *count += 1;
            }
        }
        Ok(LoadOutcome::Loaded)
    }

    /// Ends the load: its rows and entries are the transaction's, as if it had written them one by one. Gives an index and
    /// a row whose entry there has the key of another one; the statement must fail then.
    /// # Errors
    /// `53100`, `53200`, `57014`, `58030`.
    pub fn finish_load(
        &self,
        transaction: &mut Transaction,
        load: TableLoad,
    ) -> Result<Option<(usize, RowId)>> {
        let TableLoad { rows, values, indexes, .. } = load;
        for builder in [Some(rows), values].into_iter().flatten() {
            if let Some(built) = builder.finish()? {
                transaction.link(built);
            }
        }
        for (index, (sorter, count)) in indexes.into_iter().enumerate() {
            if let Some(row) = fill_index(transaction, &self.layout().indexes[index], sorter, count)? {
                return Ok(Some((index, row)));
            }
        }
        Ok(None)
    }
}

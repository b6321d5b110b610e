//! Rows kept in memory, column by column: the build side of a join, the rows of a subquery.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::batch::pick::NO_ROW;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::types::data_type::{DataType, SqlType};

/// Rows, numbered from 0. Columns that nobody wants are not kept.
pub(super) struct RowStore {
    types: Vec<DataType>,
    builders: Vec<Option<ColumnBuilder>>,
    rows: usize,
}

impl RowStore {
    /// An empty store; `wanted[i]`: whether column `i` is kept.
    pub(super) fn new(types: Vec<DataType>, wanted: &[bool]) -> RowStore {
        let mut store = RowStore { types, builders: Vec::new(), rows: 0 };
        store.builders = store
            .types
            .iter()
            .zip(wanted)
            .map(|(data_type, wanted)| wanted.then(|| ColumnBuilder::new(SqlType::plain(*data_type), 0)))
            .collect();
        store
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Removes all rows.
    pub(super) fn clear(&mut self) {
        for (builder, data_type) in self.builders.iter_mut().zip(&self.types) {
            if builder.is_some() {
                *builder = Some(ColumnBuilder::new(SqlType::plain(*data_type), 0));
            }
        }
        self.rows = 0;
    }

    /// Removes the first `count` rows; the others are numbered anew.
    pub(super) fn remove_first(&mut self, count: usize) {
        for builder in self.builders.iter_mut().flatten() {
            let rest = builder.as_column().slice(count, self.rows - count);
            *builder = ColumnBuilder::new(SqlType::plain(rest.data_type), rest.rows);
            builder.append_rows(&rest, None);
        }
        self.rows -= count;
    }

    /// Adds the selected rows of a batch.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<()> {
        let rows = batch.selection.as_ref().map(|selection| selection.0.as_slice());
        for (builder, column) in self.builders.iter_mut().zip(&batch.columns) {
            if let Some(builder) = builder {
                builder.append_rows(column, rows);
            }
        }
        self.rows += batch.selected_rows();
        if self.rows >= NO_ROW as usize {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many rows on one side of a join"));
        }
        Ok(())
    }

    /// All rows are there: picking strings copies no bytes from now on.
    pub(super) fn complete(&mut self) {
        self.builders.iter_mut().flatten().for_each(ColumnBuilder::share_strings);
    }

    /// No longer keeps column `index`.
    pub(super) fn forget(&mut self, index: usize) {
        self.builders[index] = None;
    }

    /// Column `index`, which is kept.
    pub(super) fn column(&self, index: usize) -> &Column {
        self.builders[index].as_ref().expect("only columns that are kept are asked for").as_column()
    }

    /// The rows at `rows`, NULLs for [`NO_ROW`]; columns that are not `wanted` hold nothing but NULL.
    pub(super) fn pick(&self, rows: &[u32], wanted: &[bool], out: &mut Vec<Arc<Column>>) {
        let may_lack = rows.contains(&NO_ROW);
        for ((builder, data_type), wanted) in self.builders.iter().zip(&self.types).zip(wanted) {
            out.push(Arc::new(match builder {
                Some(builder) if *wanted && may_lack => builder.as_column().pick_or_null(rows),
                Some(builder) if *wanted => builder.as_column().pick(rows),
                _ => Column::null(*data_type, rows.len()),
            }));
        }
    }

    /// The rows `start..end`; columns that are not `wanted` hold nothing but NULL.
    pub(super) fn slice(&self, start: usize, end: usize, wanted: &[bool], out: &mut Vec<Arc<Column>>) {
        for ((builder, data_type), wanted) in self.builders.iter().zip(&self.types).zip(wanted) {
            out.push(Arc::new(match builder {
                Some(builder) if *wanted => builder.as_column().slice(start, end - start),
                _ => Column::null(*data_type, end - start),
            }));
        }
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.builders.iter().flatten().map(ColumnBuilder::memory_bytes).sum()
    }
}

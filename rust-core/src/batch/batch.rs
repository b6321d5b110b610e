//! Columns of one length with a selection of rows.

use crate::batch::column::Column;
use std::sync::Arc;

/// Which rows of a batch count, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(pub Vec<u16>);

/// Up to 2,048 rows.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The columns, each standing for `rows` rows.
    pub columns: Vec<Arc<Column>>,
    /// Rows before selection.
    pub rows: usize,
    /// The rows that count; `None`: all of them.
    pub selection: Option<Selection>,
}

impl Batch {
    /// Rows that count.
    pub fn selected_rows(&self) -> usize {
        self.selection.as_ref().map_or(self.rows, |selection| selection.0.len())
    }

    /// The numbers of the rows that count, ascending.
    pub fn row_numbers(&self) -> impl Iterator<Item = usize> + '_ {
        let all = if self.selection.is_none() { 0..self.rows } else { 0..0 };
        let some = self.selection.as_ref().map(|selection| selection.0.iter().map(|row| usize::from(*row)));
        all.chain(some.into_iter().flatten())
    }
}

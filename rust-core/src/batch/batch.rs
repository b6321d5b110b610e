//! Columns of one length with a selection of rows.

use crate::batch::column::Column;
use crate::batch::validity::Bitmap;
use std::sync::Arc;

/// Which rows of a batch count, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(pub Vec<u16>);

impl Selection {
    /// The rows whose bit is 1.
    pub fn from_bitmap(bitmap: &Bitmap) -> Selection {
        Selection(bitmap.ones().map(|row| row as u16).collect())
    }

    /// The rows `0..rows`.
    pub fn all(rows: usize) -> Selection {
        Selection((0..rows).map(|row| row as u16).collect())
    }

    /// How many rows are selected.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no row is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the rows for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        self.0.retain(|row| keep(usize::from(*row)));
    }
}

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
    /// A batch of `columns`, all rows selected.
    pub fn new(columns: Vec<Arc<Column>>, rows: usize) -> Batch {
        debug_assert!(columns.iter().all(|column| column.rows == rows));
        Batch { columns, rows, selection: None }
    }

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

    /// The batch with only its selected rows: unselected ones are gone, nothing is copied where all count.
    #[must_use]
    pub fn compact(self) -> Batch {
        match self.selection {
            None => self,
            Some(selection) => {
                let columns =
                    self.columns.iter().map(|column| Arc::new(column.gather(&selection.0))).collect();
                Batch { columns, rows: selection.0.len(), selection: None }
            }
        }
    }

    /// The batch with its selected rows only and every column flat: what leaves through Arrow.
    #[must_use]
    pub fn flatten(self) -> Batch {
        let mut batch = self.compact();
        for column in &mut batch.columns {
            Column::flatten_shared(column);
        }
        batch
    }

    /// The selected rows `start..start + len` (counted among the selected ones).
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Batch {
        if start == 0 && len >= self.selected_rows() {
            return self.clone();
        }
        let selection = match &self.selection {
            Some(selection) => selection.0[start..start + len].to_vec(),
            None => (start..start + len).map(|row| row as u16).collect(),
        };
        Batch { columns: self.columns.clone(), rows: self.rows, selection: Some(Selection(selection)) }
    }

    /// Bytes of memory the columns and the selection hold.
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().map(|column| column.memory_bytes()).sum::<usize>()
            + self.selection.as_ref().map_or(0, |selection| selection.0.capacity() * 2)
    }
}

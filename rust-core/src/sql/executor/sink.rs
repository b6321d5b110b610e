//! Who takes result rows one by one: of the short path and of short ranges.

use crate::error::Result;
use crate::sql::evaluate::row::RowSource;
use crate::sql::types::datum::DatumRef;
use crate::table::row::RowView;

/// Who takes result rows of the short path.
pub trait RowSink {
    /// Takes one row of `count` values.
    /// # Errors
    /// The receiver's own.
    fn row(&mut self, values: &dyn RowSource, count: usize) -> Result<()>;

    /// Takes columns of a stored row, where there is room for them already; `false`: there is none, and nothing was taken.
    /// Called under a page's latch: short work only.
    /// # Errors
    /// The receiver's own.
    fn stored_row(&mut self, row: &RowView<'_>, columns: &[usize]) -> Result<bool> {
        self.row(&Picked { row, columns }, columns.len()).map(|()| true)
    }

    /// Forgets all rows: they will come again.
    fn clear(&mut self);
}

/// Columns of a stored row, as the output has them.
#[derive(Clone, Copy, Debug)]
pub struct Picked<'a> {
    /// The row.
    pub row: &'a RowView<'a>,
    /// Table columns by output position.
    pub columns: &'a [usize],
}

impl RowSource for Picked<'_> {
    #[inline(always)]
    fn datum(&self, index: usize) -> DatumRef<'_> {
        self.row.datum(self.columns[index])
    }
}

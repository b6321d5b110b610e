//! Rows of a range one by one, straight from their pages: for ranges that are mostly short.
//! Knows rows, keys and transactions. Knows no predicates and no batches.

use crate::common::ids::RowId;
use crate::error::Result;
use crate::table::row::{RowFormat, RowView, refused_row};
use crate::table::table::Table;
use crate::transaction::scan::ScanRows;
use crate::transaction::transaction::Transaction;
use std::ops::Bound;

/// Which rows are handed out, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct RowRange {
    /// Where it begins.
    pub lower: Bound<RowId>,
    /// Where it ends.
    pub upper: Bound<RowId>,
    /// From its end on.
    pub backward: bool,
    /// About how many rows are wanted.
    pub most: u64,
}

/// Why no more rows were handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// There are no more.
    AtEnd,
    /// The receiver wanted no more.
    ByReceiver,
    /// The next row only points to the value of a wanted column.
    AtLargeValue,
}

impl Table {
    /// Hands the rows of a range to `each`, straight from their pages (under a leaf's latch: short work only), until it
    /// gives `false`. Of other columns than `columns`, what a row only points to reads as NULL.
    /// # Errors
    /// Those of `each`; `57014`; `58030`; `XX001` for a damaged row.
    pub fn each_row(
        &self,
        transaction: &Transaction,
        range: RowRange,
        columns: &[usize],
        each: impl FnMut(&RowView<'_>) -> Result<bool>,
    ) -> Result<Stopped> {
        let RowRange { lower, upper, backward, most } = range;
        let Some(mut scan) = self.row_scan(transaction, (lower, upper), backward, columns) else {
            return Ok(Stopped::AtEnd);
        };
        scan.set_entries_max(usize::try_from(most).unwrap_or(usize::MAX));
        let mut reader = Reader { format: self.layout().format(), columns, each, stopped: None };
        loop {
            transaction.cancel_token().check()?;
            match scan.next(transaction, |rows| reader.take(&rows, backward))? {
                Some(taken) => taken?,
                None => return Ok(Stopped::AtEnd),
            }
            if let Some(stopped) = reader.stopped {
                return Ok(stopped);
            }
        }
    }
}

struct Reader<'a, F> {
    format: &'a RowFormat,
    columns: &'a [usize],
    each: F,
    stopped: Option<Stopped>,
}

impl<F: FnMut(&RowView<'_>) -> Result<bool>> Reader<'_, F> {
    /// Rows of a leaf, in the scan's direction.
    fn take(&mut self, rows: &ScanRows<'_>, backward: bool) -> Result<()> {
        rows.prefetch();
        let lines_ahead = rows.lines_ahead();
        let mut outcome = Ok(());
        let mut read = |index: usize, row: &[u8]| {
            rows.prefetch_next(index * lines_ahead, lines_ahead);
            if self.stopped.is_none() && outcome.is_ok() {
                outcome = self.read(row);
            }
        };
        if backward {
            let live = (0..rows.len()).rev().filter(|index| rows.is_live(*index));
            live.for_each(|index| read(index, rows.value(index)));
        } else {
            rows.for_each_live(read);
        }
        outcome
    }

    #[inline]
    fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(glance) = self.format.glance(bytes) else { return Err(refused_row(bytes)) };
        if glance.has_large
            && self.format.large_pointers(bytes).any(|(column, _)| self.columns.contains(&column))
        {
            self.stopped = Some(Stopped::AtLargeValue);
        } else if !(self.each)(&RowView::of_checked(self.format, bytes))? {
            self.stopped = Some(Stopped::ByReceiver);
        }
        Ok(())
    }
}

//! Rows of a range one by one, straight from their pages: for ranges that are mostly short.
//! Knows rows, keys and transactions. Knows no predicates and no batches.

use crate::common::ids::RowId;
use crate::error::{Error, Result, SqlState};
use crate::table::index::IndexRange;
use crate::table::key::ROW_ID_BYTES;
use crate::table::row::{RowFormat, RowView, refused_row};
use crate::table::scan::{IndexOrder, Reading, row_keys};
use crate::table::table::Table;
use crate::transaction::scan::ScanRows;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::Parts;
use smallvec::SmallVec;
use std::ops::Bound;

/// Entries of an index whose rows are looked up together, at first.
const ENTRIES_AT_FIRST: u64 = 256;
const ENTRIES_ON_THE_STACK: usize = 32;

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
        let mut reading = Reading::begin_with(usize::try_from(most).unwrap_or(usize::MAX));
        let mut reader = Reader { format: self.layout().format(), columns, each, stopped: None };
        while reader.stopped.is_none() {
            transaction.cancel_token().check()?;
            reading.apply(&mut scan);
            match scan.next(transaction, |rows| reader.take(&rows, backward))? {
                Some(taken) => taken?,
                None => reader.stopped = Some(Stopped::AtEnd),
            }
        }
        Ok(reader.stopped.unwrap_or(Stopped::AtEnd))
    }

    /// As [`Table::each_row`], the rows of a range of an index; `most`: about how many are wanted.
    /// # Errors
    /// As there; `40001` when the index is newer than the snapshot; `XX002` for an entry without a row.
    pub fn each_row_by_index(
        &self,
        transaction: &Transaction,
        (index, range): (usize, IndexRange<'_>),
        (order, most): (IndexOrder, u64),
        columns: &[usize],
        each: impl FnMut(&RowView<'_>) -> Result<bool>,
    ) -> Result<Stopped> {
        let backward = order == IndexOrder::Backward;
        let Some(mut scan) = self.entry_scan(transaction, index, range, backward)? else {
            return Ok(Stopped::AtEnd);
        };
        let mut reading = Reading::begin_with(most.min(ENTRIES_AT_FIRST) as usize);
        let mut reader = Reader { format: self.layout().format(), columns, each, stopped: None };
        let mut keys = SmallVec::<[[u8; ROW_ID_BYTES]; ENTRIES_ON_THE_STACK]>::new();
        while reader.stopped.is_none() {
            transaction.cancel_token().check()?;
            reading.apply(&mut scan);
            keys.clear();
            let gathered = scan.next(transaction, |rows| -> Result<()> {
                for key in row_keys(&rows) {
                    keys.push(key?);
                }
                Ok(())
            })?;
            match gathered {
                Some(gathered) => gathered?,
                None => reader.stopped = Some(Stopped::AtEnd),
            }
            match order {
                IndexOrder::Forward => {}
                IndexOrder::Backward => keys.reverse(),
                IndexOrder::Any => keys.sort_unstable(),
            }
            transaction.get_each(
                self.rows(),
                &keys,
                || Parts::read(columns),
                |_, bytes| match bytes {
                    _ if reader.stopped.is_some() => Ok(()),
                    Some(bytes) => reader.read(bytes),
                    None => Err(Error::new(SqlState::INDEX_CORRUPTED, "an index entry has no row")),
                },
            )?;
        }
        Ok(reader.stopped.unwrap_or(Stopped::AtEnd))
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

//! Scans as batches: rows in row-id order, and rows in index order.
//!
//! A leaf's rows are decoded under its latch; large values, which lie in another tree, are fetched after it.
//! Knows rows, keys and transactions. Knows no predicates.

use crate::batch::batch::Batch;
use crate::batch::column::{Column, ColumnData};
use crate::common::ids::RowId;
use crate::common::limits::BATCH_ROWS;
use crate::common::memory::Reservation;
use crate::error::{Error, Result, SqlState};
use crate::table::decode::{PendingValue, RowCollector, large_bytes};
use crate::table::key::{ROW_ID_BYTES, row_id_of_key};
use crate::table::layout::TableLayout;
use crate::table::part::{ColumnPart, PartValue, Pieces, Wanted};
use crate::table::row::{Glance, RowFormat, damaged_row};
use crate::table::value_tree;
use crate::transaction::scan::{ScanRows, TransactionScan};
use crate::transaction::transaction::{Transaction, TreeHandle};
use crate::transaction::types::{Parts, ReadView};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// A batch ends early when its large values or its other texts reach this many bytes, or this share of the memory limit:
/// a batch and what is made of it are not charged.
const LARGE_BYTES_A_BATCH: usize = 8 << 20;
const LARGE_MEMORY_SHARE: usize = 32;
const TEXT_BYTES_A_BATCH: usize = 4 << 20;
const TEXT_BYTES_A_BATCH_MIN: usize = 32 << 10;
const TEXT_MEMORY_SHARE: usize = 512;
/// Texts are added up once in so many rows that are read one by one.
const ROWS_BETWEEN_LOOKS: usize = 32;
/// By how much a batch may be larger than the one before it, where the first ones are small.
const BATCH_GROWTH: usize = 4;
/// Room made for rows before the first batch tells how many come.
const FIRST_CAPACITY: usize = 128;

/// What a scan collects from rows.
#[derive(Debug)]
struct Collection {
    layout: Arc<TableLayout>,
    wanted: Wanted,
    current: RowCollector,
    /// Rows of a batch.
    batch_rows: usize,
    large_bytes: usize,
    large_bytes_max: usize,
    text_bytes_max: usize,
    full: VecDeque<RowCollector>,
    /// The columns of the batch before: whoever took it is mostly done with it when the next one is made.
    handed_out: Vec<Arc<Column>>,
}

impl Collection {
    fn new(layout: &Arc<TableLayout>, wanted: Wanted, memory_limit: usize) -> Collection {
        Collection {
            current: RowCollector::new(&layout.columns, &wanted, FIRST_CAPACITY),
            layout: Arc::clone(layout),
            wanted,
            batch_rows: BATCH_ROWS,
            large_bytes: 0,
            large_bytes_max: LARGE_BYTES_A_BATCH.min(memory_limit / LARGE_MEMORY_SHARE),
            text_bytes_max: (memory_limit / TEXT_MEMORY_SHARE)
                .clamp(TEXT_BYTES_A_BATCH_MIN, TEXT_BYTES_A_BATCH),
            full: VecDeque::new(),
            handed_out: Vec::new(),
        }
    }

    /// Before the first row.
    fn set_parts(&mut self, parts: &[(usize, ColumnPart)]) {
        self.wanted.set_parts(parts);
        self.current = RowCollector::new(&self.layout.columns, &self.wanted, FIRST_CAPACITY);
    }

    fn flush(&mut self) {
        if self.current.rows > 0 {
            let was_full = self.current.rows >= self.batch_rows;
            self.batch_rows = (self.batch_rows * BATCH_GROWTH).min(BATCH_ROWS);
            let capacity = if was_full { self.batch_rows } else { FIRST_CAPACITY };
            let next = if self.handed_out.is_empty() {
                RowCollector::new(&self.layout.columns, &self.wanted, capacity)
            } else {
                let used = self.handed_out.drain(..).map(Arc::into_inner);
                RowCollector::reusing(&self.layout.columns, &self.wanted, capacity, used)
            };
            self.full.push_back(std::mem::replace(&mut self.current, next));
            self.large_bytes = 0;
        }
    }

    fn is_full(&self) -> bool {
        self.current.rows >= self.batch_rows
            || self.large_bytes >= self.large_bytes_max
            || self.current.text_bytes() >= self.text_bytes_max
    }

    /// Takes the rows of a leaf, in the scan's direction.
    fn take(&mut self, rows: &ScanRows<'_>, backward: bool) -> Result<()> {
        let format = self.layout.format();
        rows.prefetch();
        let lines_ahead = rows.lines_ahead();
        let mut live = SmallVec::<[u32; 256]>::new();
        let mut bytes = SmallVec::<[&[u8]; 256]>::new();
        let (mut seen, mut sound) = (Glance::default(), true);
        rows.for_each_live(|index, row| {
            rows.prefetch_next(index * lines_ahead, lines_ahead);
            match format.glance(row) {
                Some(Glance { has_null, has_large }) => {
                    seen.has_null |= has_null;
                    seen.has_large |= has_large;
                }
                None => sound = false,
            }
            live.push(index as u32);
            bytes.push(row);
        });
        if !sound {
            bytes.iter().try_for_each(|row| format.check(row))?;
            return Err(damaged_row());
        }
        if backward {
            live.reverse();
            bytes.reverse();
        }
        let mut key = Vec::new();
        let mut done = 0;
        while done < live.len() {
            let mut count = (self.batch_rows - self.current.rows).min(live.len() - done);
            if seen.has_large {
                let rows = &bytes[done..done + count];
                let bytes = (&mut self.large_bytes, self.large_bytes_max);
                count = until_large_enough(format, &self.wanted, rows, bytes);
            }
            let chunk = done..done + count;
            self.current.push_checked_rows(format, &self.wanted, &bytes[chunk.clone()], seen.has_null)?;
            if let Some(ids) = &mut self.current.row_ids {
                for index in &live[chunk] {
                    rows.key_into(*index as usize, &mut key);
                    ids.push_i64(row_id_of_key(&key).ok_or_else(damaged_row)?.0);
                }
            }
            done += count;
            if self.is_full() {
                return self.take_rest(rows, &live[done..]);
            }
        }
        Ok(())
    }

    /// The rows of a leaf that no longer fit the current batch.
    fn take_rest(&mut self, rows: &ScanRows<'_>, live: &[u32]) -> Result<()> {
        let layout = Arc::clone(&self.layout);
        let format = layout.format();
        let mut key = Vec::new();
        self.flush();
        for index in live {
            let index = *index as usize;
            self.push_row(format, rows.value(index), || {
                rows.key_into(index, &mut key);
                row_id_of_key(&key)
            })?;
        }
        Ok(())
    }

    fn push_row(
        &mut self,
        format: &RowFormat,
        row: &[u8],
        row_id: impl FnOnce() -> Option<RowId>,
    ) -> Result<()> {
        self.current.push_row(format, &self.wanted, row)?;
        if let Some(ids) = &mut self.current.row_ids {
            ids.push_i64(row_id().ok_or_else(damaged_row)?.0);
        }
        if RowFormat::has_large(row) {
            self.large_bytes += large_bytes(format, &self.wanted, row);
        }
        let looks = self.current.rows.is_multiple_of(ROWS_BETWEEN_LOOKS);
        if self.current.rows >= self.batch_rows
            || self.large_bytes >= self.large_bytes_max
            || (looks && self.current.text_bytes() >= self.text_bytes_max)
        {
            self.flush();
        }
        Ok(())
    }
}

/// How many of `rows` go into a batch that has `large` bytes of large values, before these become too many.
fn until_large_enough(
    format: &RowFormat,
    wanted: &Wanted,
    rows: &[&[u8]],
    (large, most): (&mut usize, usize),
) -> usize {
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| RowFormat::has_large(row)) {
        *large += large_bytes(format, wanted, row);
        if *large >= most {
            return index + 1;
        }
    }
    rows.len()
}

/// Fetches what is missing and makes the batch; large values beyond what a batch may have uncharged are charged for as
/// long as anybody has their column. No latch is held here.
fn finish(
    mut collected: RowCollector,
    handed_out: &mut Vec<Arc<Column>>,
    transaction: &Transaction,
    values: &Values,
    batch: &mut Batch,
) -> Result<()> {
    let bytes_of = |value: &PendingValue| match value.part {
        None => value.pointer.length as usize,
        Some(part) => part.bytes_of(value.pointer),
    };
    let bytes = collected.pending.iter().map(bytes_of).sum::<usize>();
    let mut charged = None;
    if bytes > LARGE_BYTES_A_BATCH.min(transaction.memory().limit() / LARGE_MEMORY_SHARE) {
        // Whoever took the batch before has had its values.
        batch.columns.clear();
        handed_out.clear();
        let mut memory = transaction.memory().reservation();
        memory.grow(bytes)?;
        charged =
            collected.pending.iter().find(|value| bytes_of(value) > 0).map(|first| (first.output, memory));
    }
    let Values { tree, piece_bytes } = values;
    for value in std::mem::take(&mut collected.pending) {
        let view = ReadView::Snapshot;
        let fetched = match value.part {
            None => PartValue::Owned(value_tree::read(transaction, tree, value.pointer, view)?),
            Some(part) => {
                let pieces = Pieces { piece_bytes: *piece_bytes, view };
                part.read(transaction, tree, value.pointer, pieces)?
            }
        };
        collected.fill(value, fetched)?;
    }
    batch.rows = collected.rows;
    batch.selection = None;
    batch.columns.clear();
    let builders = collected.builders.into_iter().chain(collected.row_ids);
    batch.columns.extend(builders.enumerate().map(|(output, builder)| {
        let mut column = builder.finish();
        if let ColumnData::Strings(strings) = &mut column.data
            && let Some((_, memory)) = charged.take_if(|(first, _)| *first == output)
        {
            strings.hold(memory);
        }
        Arc::new(column)
    }));
    handed_out.clone_from(&batch.columns);
    Ok(())
}

/// The large values of a table.
#[derive(Debug)]
pub(super) struct Values {
    tree: TreeHandle,
    piece_bytes: usize,
}

impl Values {
    pub(super) fn new(tree: TreeHandle, piece_bytes: usize) -> Values {
        Values { tree, piece_bytes }
    }
}

/// Rows of a range of row ids.
#[derive(Debug)]
pub struct TableScan {
    /// `None`: the range is known to be empty.
    scan: Option<TransactionScan>,
    collection: Collection,
    values: Values,
    backward: bool,
    reading: Reading,
}

/// How many entries are read at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading(usize);

impl Reading {
    /// As many as there are in a leaf.
    const LEAVES: Reading = Reading(usize::MAX);

    /// So many at first.
    pub(super) fn begin_with(entries: usize) -> Reading {
        Reading(entries.max(1))
    }

    /// Has the scan read so many, and more the next time: there may be ghosts among them, or rows that nobody wants.
    pub(super) fn apply(&mut self, scan: &mut TransactionScan) {
        if self.0 < usize::MAX {
            scan.set_entries_max(self.0);
            self.0 = if self.0 < BATCH_ROWS { self.0 * BATCH_GROWTH } else { usize::MAX };
        }
    }
}

impl TableScan {
    pub(super) fn new(
        scan: Option<TransactionScan>,
        layout: &Arc<TableLayout>,
        values: Values,
        backward: bool,
        wanted: Wanted,
        memory_limit: usize,
    ) -> TableScan {
        let collection = Collection::new(layout, wanted, memory_limit);
        TableScan { scan, collection, values, backward, reading: Reading::LEAVES }
    }

    /// About `rows` rows are wanted: the first batch has no more, and each further one a few times as many.
    pub fn begin_with(&mut self, rows: usize) {
        self.collection.batch_rows = rows.clamp(1, BATCH_ROWS);
        self.reading = Reading::begin_with(rows);
    }

    /// Gives parts of columns in the place of these outputs, by position. Before the first batch.
    pub fn with_parts(mut self, parts: &[(usize, ColumnPart)]) -> TableScan {
        self.collection.set_parts(parts);
        self
    }

    /// The next rows: the wanted columns in their order, then the row id where it is wanted. `false`: no more.
    /// # Errors
    /// `57014`; `58030`; `XX001` for a damaged row.
    pub fn next_batch(&mut self, transaction: &Transaction, batch: &mut Batch) -> Result<bool> {
        while self.collection.full.is_empty() {
            let Some(scan) = &mut self.scan else { break };
            let (collection, backward) = (&mut self.collection, self.backward);
            self.reading.apply(scan);
            match scan.next(transaction, |rows| collection.take(&rows, backward))? {
                Some(taken) => taken?,
                None => {
                    self.scan = None;
                    self.collection.flush();
                }
            }
        }
        match self.collection.full.pop_front() {
            Some(collected) => {
                finish(collected, &mut self.collection.handed_out, transaction, &self.values, batch)
                    .map(|()| true)
            }
            None => Ok(false),
        }
    }
}

/// In which order an index scan gives rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IndexOrder {
    /// The index's.
    Forward,
    /// The other way round.
    Backward,
    /// Any: entries are gathered and their rows read in the order in which they lie, leaf by leaf.
    Any,
}

/// Entries that are gathered at once where the order is free: at first, so that whoever stops early has not read much,
/// and at most.
const GATHERED_FIRST: usize = 256;
const GATHERED_MAX: usize = 64 << 10;

/// Rows of a range of an index.
#[derive(Debug)]
pub struct IndexScan {
    scan: Option<TransactionScan>,
    /// Keys of rows that entries name and that were not read yet, from `read` on.
    waiting: Vec<[u8; ROW_ID_BYTES]>,
    read: usize,
    /// How many entries are gathered before their rows are read; 0: the index's order is kept.
    gathered: usize,
    memory: Reservation,
    rows: TreeHandle,
    collection: Collection,
    values: Values,
    backward: bool,
    reading: Reading,
}

impl IndexScan {
    pub(super) fn new(
        scan: Option<TransactionScan>,
        layout: &Arc<TableLayout>,
        (rows, values): (TreeHandle, Values),
        order: IndexOrder,
        (memory, memory_limit): (Reservation, usize),
        wanted: Wanted,
    ) -> IndexScan {
        IndexScan {
            scan,
            waiting: Vec::new(),
            read: 0,
            gathered: if order == IndexOrder::Any { GATHERED_FIRST } else { 0 },
            memory,
            rows,
            collection: Collection::new(layout, wanted, memory_limit),
            values,
            backward: order == IndexOrder::Backward,
            reading: Reading::LEAVES,
        }
    }

    /// As [`TableScan::begin_with`].
    pub fn begin_with(&mut self, rows: usize) {
        self.collection.batch_rows = rows.clamp(1, BATCH_ROWS);
        self.reading = Reading::begin_with(rows);
        self.gathered = self.gathered.min(rows.max(1));
    }

    /// As [`TableScan::with_parts`].
    pub fn with_parts(mut self, parts: &[(usize, ColumnPart)]) -> IndexScan {
        self.collection.set_parts(parts);
        self
    }

    /// As [`TableScan::next_batch`].
    /// # Errors
    /// As there; `53200`; `XX002` for an entry without a row.
    pub fn next_batch(&mut self, transaction: &Transaction, batch: &mut Batch) -> Result<bool> {
        while self.collection.full.is_empty() && self.gather(transaction)? {
            self.read_rows(transaction)?;
        }
        match self.collection.full.pop_front() {
            Some(collected) => {
                finish(collected, &mut self.collection.handed_out, transaction, &self.values, batch)
                    .map(|()| true)
            }
            None => Ok(false),
        }
    }

    /// Makes sure that rows wait to be read; `false`: there are no more.
    fn gather(&mut self, transaction: &Transaction) -> Result<bool> {
        if self.read < self.waiting.len() {
            return Ok(true);
        }
        self.waiting.clear();
        self.read = 0;
        while self.waiting.is_empty() || self.waiting.len() < self.gathered {
            let Some(scan) = &mut self.scan else { break };
            let (waiting, backward) = (&mut self.waiting, self.backward);
            self.reading.apply(scan);
            let more = scan.next(transaction, |rows| -> Result<()> {
                let first = waiting.len();
                for key in row_keys(&rows) {
                    waiting.push(key?);
                }
                if backward {
                    waiting[first..].reverse();
                }
                Ok(())
            })?;
            match more {
                Some(read) => read?,
                None => self.scan = None,
            }
        }
        if self.gathered > 0 {
            self.memory.resize(self.waiting.capacity() * ROW_ID_BYTES)?;
            self.waiting.sort_unstable();
            self.gathered = (self.gathered * 4).min(GATHERED_MAX);
        }
        if self.waiting.is_empty() {
            self.collection.flush();
        }
        Ok(!self.waiting.is_empty())
    }

    /// Reads rows that wait, as many as a batch takes.
    fn read_rows(&mut self, transaction: &Transaction) -> Result<()> {
        let room = self.collection.batch_rows - self.collection.current.rows;
        let count = room.min(self.waiting.len() - self.read);
        let keys = &self.waiting[self.read..self.read + count];
        let layout = Arc::clone(&self.collection.layout);
        let collection = &mut self.collection;
        let columns: SmallVec<[usize; 16]> = collection.wanted.columns.as_slice().into();
        let parts = || Parts::read(&columns);
        transaction.get_each(&self.rows, keys, parts, |index, bytes| match bytes {
            Some(bytes) => collection.push_row(layout.format(), bytes, || row_id_of_key(&keys[index])),
            None => Err(Error::new(SqlState::INDEX_CORRUPTED, "an index entry has no row")),
        })?;
        self.read += count;
        Ok(())
    }
}

/// The keys of the rows that entries of an index name, in key order.
pub(super) fn row_keys<'r>(rows: &'r ScanRows<'_>) -> impl Iterator<Item = Result<[u8; ROW_ID_BYTES]>> + 'r {
    let live = (0..rows.len()).filter(|index| rows.is_live(*index));
    live.map(|index| rows.value(index).try_into().map_err(|_| damaged_entry()))
}

pub(super) fn damaged_entry() -> Error {
    Error::new(SqlState::INDEX_CORRUPTED, "an index entry does not hold a row id")
}

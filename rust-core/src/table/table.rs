//! A table for one statement: reads by row id and by unique key, writes with their index entries.
//!
//! Order of a write: lock the row id and every unique key that it adds or removes, then check the latest
//! committed state, then write. Nothing is written before all checks have passed, so a duplicate leaves no
//! trace. Not-null and check constraints are the caller's.
//! Knows rows, keys and transactions. Knows no names and no SQL.

use crate::common::ids::COUNTER_TREE;
use crate::common::ids::{RowId, TreeId};
use crate::common::memory::Reservation;
use crate::common::planted::{PlantedFault, is_planted};
use crate::error::{Error, Result, SqlState};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::decode::large_bytes;
use crate::table::index::{IndexRange, Uniqueness, append_entry_key, append_unique_key};
use crate::table::key::{ROW_ID_BYTES, row_id_key, row_id_of_key};
use crate::table::layout::{RowIdSource, TableLayout};
use crate::table::limits::SizeLimits;
use crate::table::lock::LockPurpose;
use crate::table::part::{ColumnPart, PartValue, Pieces, Wanted};
use crate::table::pending::PendingKeys;
use crate::table::row::{LargePointer, LargeValues, Physical, RowEncoder, RowFormat, RowView, damaged_row};
use crate::table::scan::{IndexOrder, IndexScan, TableScan, Values, damaged_entry};
use crate::table::value_tree;
use crate::transaction::manager::TransactionManager;
use crate::transaction::scan::TransactionScan;
use crate::transaction::transaction::{Transaction, TreeHandle};
use crate::transaction::types::{Parts, ReadView, RowLockMode};
use smallvec::SmallVec;
use std::cell::{OnceCell, RefCell};
use std::ops::Bound;
use std::sync::Arc;

/// A table as transactions see it. Cheap to open; for one thread at a time. It may be kept for later transactions
/// under the same definition, unless the transaction that opened it had made one of its trees.
#[derive(Debug)]
pub struct Table {
    layout: Arc<TableLayout>,
    limits: SizeLimits,
    pub(super) rows: TreeHandle,
    values: OnceCell<TreeHandle>,
    indexes: SmallVec<[OnceCell<TreeHandle>; 4]>,
    scratch: RefCell<Scratch>,
}

#[derive(Debug, Default)]
struct Scratch {
    encoder: RowEncoder,
    new_keys: EntryKeys,
    old_keys: EntryKeys,
}

/// The keys of a row's index entries, one an index.
#[derive(Debug, Default)]
pub(super) struct EntryKeys {
    bytes: Vec<u8>,
    ends: SmallVec<[(usize, Uniqueness); 8]>,
}

impl EntryKeys {
    pub(super) fn fill<'a>(
        &mut self,
        layout: &TableLayout,
        limits: &SizeLimits,
        row_id: RowId,
        value: impl Fn(usize) -> DatumRef<'a>,
    ) -> Result<()> {
        self.bytes.clear();
        self.ends.clear();
        for index in &layout.indexes {
            let uniqueness =
                append_entry_key(&mut self.bytes, layout, index, &value, row_id, limits.key_bytes)?;
            self.ends.push((self.bytes.len(), uniqueness));
        }
        Ok(())
    }

    pub(super) fn key(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1].0 };
        &self.bytes[start..self.ends[index].0]
    }

    fn is_unique(&self, index: usize) -> bool {
        self.ends[index].1 == Uniqueness::Unique
    }

    /// Whether the row has an entry there: not in a partial index that leaves it out.
    pub(super) fn has_entry(&self, index: usize) -> bool {
        self.ends[index].1 != Uniqueness::NoEntry
    }
}

/// What an insert did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InsertOutcome {
    /// The row is in the table.
    Inserted(RowId),
    /// Nothing was written: another row has the key.
    Duplicate {
        /// Position of the index; `None`: the row id, which is the primary key.
        index: Option<usize>,
    },
}

/// What an update did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdateOutcome {
    /// The row is changed; its id is another one where the primary key is the row id and changed.
    Updated(RowId),
    /// Nothing was written: another row has the key.
    Duplicate {
        /// As in [`InsertOutcome::Duplicate`].
        index: Option<usize>,
    },
}

/// A row after its lock was granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockedRow {
    /// As the statement's snapshot has it.
    Unchanged,
    /// Others changed it since (read committed only): `get_datums` with the latest view has the new values, under this
    /// id: another one where the primary key is the row id and changed. That one is locked then.
    Changed(RowId),
    /// Others deleted it since (read committed only), and perhaps added another one under its id.
    Gone,
}

/// A row that was read, with its bytes kept for the next one.
#[derive(Debug, Default)]
pub struct RowBuffer {
    bytes: Vec<u8>,
    large: LargeValues,
    columns: Vec<usize>,
    /// Parts of columns, by position among those that were asked for.
    parts: Vec<(usize, Datum)>,
    /// For large values that are more than may be uncharged.
    memory: Option<Reservation>,
    layout: Option<Arc<TableLayout>>,
}

impl RowBuffer {
    /// An empty buffer.
    pub fn new() -> RowBuffer {
        RowBuffer::default()
    }

    /// Columns that were asked for.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether none were asked for.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The value of the `index`th column that was asked for.
    pub fn datum(&self, index: usize) -> DatumRef<'_> {
        if !self.parts.is_empty()
            && let Some((_, part)) = self.parts.iter().find(|(output, _)| *output == index)
        {
            return part.as_ref();
        }
        let view = self.layout.as_ref().and_then(|layout| {
            // Checked when it was read; a buffer that nothing was read into holds NULLs.
            RowView::new(layout.format(), &self.bytes, &self.large).ok()
        });
        view.map_or(DatumRef::Null, |view| view.datum(self.columns[index]))
    }
}

impl RowBuffer {
    /// Gives back what the large values of a row took that nobody looks at any more, where that was charged.
    pub fn give_back(&mut self) {
        if self.memory.take().is_some() {
            (self.large, self.parts) = Default::default();
            self.layout = None;
        }
    }
}

/// A single row may have so many bytes of large values, or this share of the memory limit, without a charge.
const LARGE_BYTES_FREE: usize = 1 << 20;
const LARGE_FREE_SHARE: usize = 64;

/// Whether a checked row only points to the value of a column.
fn is_large(format: &RowFormat, row: &[u8], column: usize) -> bool {
    RowFormat::has_large(row) && format.large_pointers(row).any(|(large, _)| large == column)
}

fn is_empty(value: DatumRef<'_>) -> bool {
    matches!(value, DatumRef::Text("") | DatumRef::Bytes([]))
}

/// A key of the counter tree: what counts, and for which tree.
fn counter_key(what: u8, tree: TreeId) -> [u8; 5] {
    let mut key = [what; 5];
    key[1..].copy_from_slice(&tree.0.to_be_bytes());
    key
}

const ROW_ID_COUNTER: u8 = 1;
const VALUE_ID_COUNTER: u8 = 2;

/// `40001`, as PostgreSQL words it.
pub fn concurrent_update() -> Error {
    Error::new(SqlState::SERIALIZATION_FAILURE, "could not serialize access due to concurrent update")
        .hint("Retry the transaction.")
}

impl Table {
    /// The table as `transaction` sees it.
    /// # Errors
    /// `XX000` when its trees do not exist; `40001` when its rows were written anew after the snapshot.
    pub fn open(
        manager: &TransactionManager,
        transaction: &Transaction,
        layout: &Arc<TableLayout>,
    ) -> Result<Table> {
        if transaction.snapshot_timestamp() < layout.runtime.readable_from() {
            return Err(concurrent_update());
        }
        Ok(Table {
            limits: SizeLimits::for_page_size(manager.storage().page_size()),
            rows: transaction.tree_handle(layout.tree)?,
            values: OnceCell::new(),
            indexes: layout.indexes.iter().map(|_| OnceCell::new()).collect(),
            scratch: RefCell::default(),
            layout: Arc::clone(layout),
        })
    }

    /// What the table looks like.
    pub fn layout(&self) -> &Arc<TableLayout> {
        &self.layout
    }

    pub(super) fn limits(&self) -> &SizeLimits {
        &self.limits
    }

    /// Rows, about.
    pub fn row_estimate(&self) -> u64 {
        self.rows.committed().map_or(0, |tree| tree.entry_estimate())
    }

    fn values(&self, transaction: &Transaction) -> Result<&TreeHandle> {
        if let Some(handle) = self.values.get() {
            return Ok(handle);
        }
        let handle = transaction.tree_handle(self.layout.value_tree)?;
        Ok(self.values.get_or_init(|| handle))
    }

    pub(super) fn index_tree(&self, transaction: &Transaction, index: usize) -> Result<&TreeHandle> {
        let cell = &self.indexes[index];
        if let Some(handle) = cell.get() {
            return Ok(handle);
        }
        let handle = transaction.tree_handle(self.layout.indexes[index].tree)?;
        Ok(cell.get_or_init(|| handle))
    }

    /// A snapshot from before the index was made sees rows whose entries it does not see.
    fn check_usable(&self, transaction: &Transaction, index: usize) -> Result<()> {
        if transaction.snapshot_timestamp() < self.layout.indexes[index].runtime.usable_from() {
            return Err(Error::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not serialize access due to an index made since the transaction's snapshot",
            )
            .hint("Retry the transaction."));
        }
        Ok(())
    }

    /// Reads columns of a row into `out`. `false`: there is no such row.
    /// # Errors
    /// `58030`; `XX001` for a damaged row.
    pub fn get(
        &self,
        transaction: &Transaction,
        row: RowId,
        view: ReadView,
        columns: &[usize],
        out: &mut RowBuffer,
    ) -> Result<bool> {
        self.get_parts(transaction, row, view, (columns, &[]), out)
    }

    /// As [`Table::get`], with parts in the place of some of the columns, by position among those.
    /// # Errors
    /// As there.
    pub fn get_parts(
        &self,
        transaction: &Transaction,
        row: RowId,
        view: ReadView,
        (columns, parts): (&[usize], &[(usize, ColumnPart)]),
        out: &mut RowBuffer,
    ) -> Result<bool> {
        out.parts.clear();
        out.columns.clear();
        out.columns.extend_from_slice(columns);
        if !out.layout.as_ref().is_some_and(|layout| Arc::ptr_eq(layout, &self.layout)) {
            out.layout = Some(Arc::clone(&self.layout));
        }
        let (bytes, large) = (&mut out.bytes, &mut out.large);
        large.clear();
        out.memory = None;
        if !self.read_row(transaction, row, view, || Parts::read(columns), bytes)? {
            return Ok(false);
        }
        if RowFormat::has_large(bytes) {
            out.memory = self.charge_large(transaction, bytes, (columns, parts))?;
        }
        if parts.is_empty() {
            self.fetch_large(transaction, bytes, view, |column| columns.contains(&column), large)?;
            return Ok(true);
        }
        let is_part = |output: usize| parts.iter().any(|(part, _)| *part == output);
        let is_whole = |column: usize| {
            columns.iter().enumerate().any(|(output, wanted)| *wanted == column && !is_part(output))
        };
        self.fetch_large(transaction, bytes, view, is_whole, large)?;
        for (output, part) in parts {
            if *part == ColumnPart::InRow && !is_large(self.layout.format(), bytes, columns[*output]) {
                continue;
            }
            out.parts.push((*output, self.part(transaction, bytes, view, columns[*output], *part)?));
        }
        Ok(true)
    }

    /// Makes sure that there is memory for the large values of a checked row.
    fn charge_large(
        &self,
        transaction: &Transaction,
        row: &[u8],
        (columns, parts): (&[usize], &[(usize, ColumnPart)]),
    ) -> Result<Option<Reservation>> {
        let mut wanted = Wanted::new(columns, false);
        wanted.set_parts(parts);
        let bytes = large_bytes(self.layout.format(), &wanted, row);
        if bytes <= LARGE_BYTES_FREE.min(transaction.memory().limit() / LARGE_FREE_SHARE) {
            return Ok(None);
        }
        let mut memory = transaction.memory().reservation();
        memory.grow(bytes)?;
        Ok(Some(memory))
    }

    /// A part of a column of a checked row.
    fn part(
        &self,
        transaction: &Transaction,
        row: &[u8],
        view: ReadView,
        column: usize,
        part: ColumnPart,
    ) -> Result<Datum> {
        let format = self.layout.format();
        let place = format.columns()[column];
        if place.physical.width().is_some() {
            return Err(Error::internal("a part of a column that has none"));
        }
        if RowFormat::is_null(row, column) {
            return Ok(Datum::Null);
        }
        let (bytes, large) = format.variable(row, place.place);
        let value = if large {
            let pointer = LargePointer::read(bytes).ok_or_else(damaged_row)?;
            let pieces = Pieces { piece_bytes: self.limits.piece_bytes, view };
            part.read(transaction, self.values(transaction)?, pointer, pieces)?
        } else {
            part.of_row(bytes)
        };
        match value {
            PartValue::Integer(number) => Ok(Datum::Integer(number)),
            value if place.physical == Physical::Bytes => Ok(Datum::Bytes(value.bytes().into())),
            value => {
                let text = std::str::from_utf8(value.bytes()).map_err(|_| damaged_row())?;
                Ok(Datum::Text(text.into()))
            }
        }
    }

    /// Copies a row's bytes, of which no more than `parts` are looked at, and checks them.
    fn read_row(
        &self,
        transaction: &Transaction,
        row: RowId,
        view: ReadView,
        parts: impl FnOnce() -> Parts,
        bytes: &mut Vec<u8>,
    ) -> Result<bool> {
        bytes.clear();
        let found =
            transaction.get_parts(&self.rows, &row_id_key(row), view, parts, |value| match value {
                Some(value) => {
                    bytes.extend_from_slice(value);
                    true
                }
                None => false,
            })?;
        if found {
            self.layout.format().check(bytes)?;
        }
        Ok(found)
    }

    fn fetch_large(
        &self,
        transaction: &Transaction,
        row: &[u8],
        view: ReadView,
        wanted: impl Fn(usize) -> bool,
        large: &mut LargeValues,
    ) -> Result<()> {
        large.clear();
        if !RowFormat::has_large(row) {
            return Ok(());
        }
        for (column, pointer) in self.layout.format().large_pointers(row) {
            if wanted(column) {
                let bytes = value_tree::read(transaction, self.values(transaction)?, pointer, view)?;
                large.push((column, bytes));
            }
        }
        Ok(())
    }

    /// Hands a row to `read`, straight from its page (under the leaf's latch: short work only), or `None`. Of other
    /// columns than `columns`, what the row only points to reads as NULL.
    /// # Errors
    /// As [`Table::get`].
    pub fn get_with<R>(
        &self,
        transaction: &Transaction,
        row: RowId,
        columns: &[usize],
        read: impl FnOnce(Option<RowView<'_>>) -> R,
    ) -> Result<R> {
        enum Seen<R, F> {
            Read(R),
            HasLarge(Vec<u8>, F),
        }
        let format = self.layout.format();
        let (view, parts) = (ReadView::Snapshot, || Parts::read(columns));
        let seen = transaction.get_parts(&self.rows, &row_id_key(row), view, parts, |value| {
            let Some(bytes) = value else { return Ok(Seen::Read(read(None))) };
            let view = RowView::new(format, bytes, &[])?;
            if RowFormat::has_large(bytes) {
                return Ok(Seen::HasLarge(bytes.to_vec(), read));
            }
            Ok(Seen::Read(read(Some(view))))
        })?;
        match seen? {
            Seen::Read(result) => Ok(result),
            Seen::HasLarge(bytes, read) => {
                let mut large = Vec::new();
                let wanted = |column: usize| columns.contains(&column);
                let _memory = self.charge_large(transaction, &bytes, (columns, &[]))?;
                self.fetch_large(transaction, &bytes, ReadView::Snapshot, wanted, &mut large)?;
                Ok(read(Some(RowView::new(format, &bytes, &large)?)))
            }
        }
    }

    /// All columns of a row; `None`: there is no such row.
    /// # Errors
    /// As [`Table::get`].
    pub fn get_datums(
        &self,
        transaction: &Transaction,
        row: RowId,
        view: ReadView,
    ) -> Result<Option<Vec<Datum>>> {
        let mut bytes = Vec::new();
        if !self.read_row(transaction, row, view, || Parts::ALL, &mut bytes)? {
            return Ok(None);
        }
        let mut large = Vec::new();
        self.fetch_large(transaction, &bytes, view, |_| true, &mut large)?;
        Ok(Some(RowView::new(self.layout.format(), &bytes, &large)?.to_datums()))
    }

    /// The row with these values in a unique index, one a key column. With a NULL among them: none.
    /// # Errors
    /// `58030`; `40001` when the index is newer than the snapshot; `XX002`.
    pub fn find_unique(
        &self,
        transaction: &Transaction,
        index: usize,
        key: &[DatumRef<'_>],
        view: ReadView,
    ) -> Result<Option<RowId>> {
        if view == ReadView::Snapshot {
            self.check_usable(transaction, index)?;
        }
        let mut scratch = self.scratch.borrow_mut();
        let bytes = &mut scratch.new_keys.bytes;
        bytes.clear();
        if !append_unique_key(bytes, &self.layout, &self.layout.indexes[index], key) {
            return Ok(None);
        }
        transaction.get(self.index_tree(transaction, index)?, bytes, view, |value| match value {
            Some(value) => row_id_of_key(value).map(Some).ok_or_else(damaged_entry),
            None => Ok(None),
        })?
    }

    /// Scans rows in row-id order.
    /// # Errors
    /// `XX000` when the table's trees do not exist.
    pub fn scan(
        &self,
        transaction: &Transaction,
        rows: (Bound<RowId>, Bound<RowId>),
        backward: bool,
        columns: &[usize],
        with_row_id: bool,
    ) -> Result<TableScan> {
        let scan = self.row_scan(transaction, rows, backward, columns);
        let limit = transaction.memory().limit();
        let wanted = Wanted::new(columns, with_row_id);
        Ok(TableScan::new(scan, &self.layout, self.large_values(transaction)?, backward, wanted, limit))
    }

    /// A scan of rows of which `columns` are looked at; `None`: the range is empty.
    pub(super) fn row_scan(
        &self,
        transaction: &Transaction,
        rows: (Bound<RowId>, Bound<RowId>),
        backward: bool,
        columns: &[usize],
    ) -> Option<TransactionScan> {
        let (lower, upper) = (rows.0.map(row_id_key), rows.1.map(row_id_key));
        (!is_empty_range(rows)).then(|| {
            let scan = transaction.scan(&self.rows, bound_slice(&lower), bound_slice(&upper), backward);
            scan.of_parts(|| Parts::read(columns))
        })
    }

    /// A scan of the entries of a range of an index; `None`: it is empty.
    /// # Errors
    /// `40001` when the index is newer than the snapshot.
    pub(super) fn entry_scan(
        &self,
        transaction: &Transaction,
        index: usize,
        range: IndexRange<'_>,
        backward: bool,
    ) -> Result<Option<TransactionScan>> {
        self.check_usable(transaction, index)?;
        let tree = self.index_tree(transaction, index)?;
        Ok(range.keys(&self.layout, &self.layout.indexes[index]).map(|keys| {
            let upper = keys.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            transaction.scan(tree, Bound::Included(&keys.start), upper, backward)
        }))
    }

    /// Scans the rows of a range of an index.
    /// # Errors
    /// `40001` when the index is newer than the snapshot.
    pub fn index_scan(
        &self,
        transaction: &Transaction,
        index: usize,
        range: IndexRange<'_>,
        order: IndexOrder,
        columns: &[usize],
        with_row_id: bool,
    ) -> Result<IndexScan> {
        let scan = self.entry_scan(transaction, index, range, order == IndexOrder::Backward)?;
        let trees = (self.rows.clone(), self.large_values(transaction)?);
        let memory = (transaction.memory().reservation(), transaction.memory().limit());
        let wanted = Wanted::new(columns, with_row_id);
        Ok(IndexScan::new(scan, &self.layout, trees, order, memory, wanted))
    }

    fn large_values(&self, transaction: &Transaction) -> Result<Values> {
        let tree = self.values(transaction)?.clone();
        Ok(Values::new(tree, self.limits.piece_bytes))
    }

    pub(super) fn rows(&self) -> &TreeHandle {
        &self.rows
    }

    /// Locks a row and tells what became of it since the statement's snapshot.
    /// # Errors
    /// `40001` at repeatable read when the row changed; `40P01`; `57014`.
    pub fn lock(&self, transaction: &mut Transaction, row: RowId, mode: RowLockMode) -> Result<LockedRow> {
        let locked = self.lock_followed(transaction, row, mode, (LockPurpose::Change, true))?;
        locked.ok_or_else(|| Error::internal("a wait for a row ended without its lock"))
    }

    /// Locks a key that a write adds and tells whether another row has it.
    fn lock_new_key(&self, transaction: &mut Transaction, tree: &TreeHandle, key: &[u8]) -> Result<bool> {
        if transaction.lock_fresh_key(tree, key)? {
            return Ok(false);
        }
        transaction.lock_row(tree.id(), key, RowLockMode::Update)?;
        let was_read = transaction.has_read(tree, key);
        let exists = transaction.exists(tree, key, ReadView::Latest)?;
        // A key that is there is a duplicate, be its row visible or not, as in PostgreSQL. One that went away since the
        // snapshot would come back under a row that the snapshot still sees.
        if !exists
            && transaction.isolation().keeps_snapshot()
            && transaction.changed_since_snapshot(tree, key)?
        {
            return Err(concurrent_update());
        }
        // Who looked before, and saw no such key, meets another transaction and not a duplicate.
        if exists && was_read && transaction.changed_since_snapshot(tree, key)? {
            return Err(transaction.read_write_conflict());
        }
        Ok(exists)
    }

    /// The same for the id of a row.
    fn lock_new_row_id(&self, transaction: &mut Transaction, row: RowId) -> Result<bool> {
        let key = row_id_key(row);
        let is_taken = self.lock_new_key(transaction, &self.rows, &key)?;
        if !is_taken && transaction.has_deleted(&self.rows, &key)? {
            // Who waits for the row that was there must not take this one for it.
            transaction.note_move(self.layout.tree, key, None)?;
        }
        Ok(is_taken)
    }

    /// Adds a row (a value a column, in table order, then the computed values) with its index entries.
    /// # Errors
    /// `40001`, `40P01`, `57014` while locking; `54000` for a row or key that is too long; `53200`.
    pub fn insert(&self, transaction: &mut Transaction, row: &[DatumRef<'_>]) -> Result<InsertOutcome> {
        let row_id = match self.layout.row_id {
            RowIdSource::Counter => self.next_row_id(transaction)?,
            RowIdSource::Column(column) => {
                let row_id = row_id_of_value(row[column])?;
                if self.lock_new_row_id(transaction, row_id)? {
                    return Ok(InsertOutcome::Duplicate { index: None });
                }
                row_id
            }
        };
        let mut scratch = self.scratch.borrow_mut();
        let Scratch { encoder, new_keys, .. } = &mut *scratch;
        new_keys.fill(&self.layout, &self.limits, row_id, |column| row[column])?;
        for index in 0..self.layout.indexes.len() {
            if new_keys.is_unique(index) {
                let tree = self.index_tree(transaction, index)?;
                if self.lock_new_key(transaction, tree, new_keys.key(index))? {
                    return Ok(InsertOutcome::Duplicate { index: Some(index) });
                }
            }
        }
        self.write_row(transaction, encoder, (row_id, row), &mut OldLargeValues::default(), None)?;
        for (index, layout) in self.layout.indexes.iter().enumerate() {
            // A unique key was looked up just now; others nobody reads soon.
            if new_keys.is_unique(index) {
                transaction.put(layout.tree, new_keys.key(index), &row_id_key(row_id))?;
            } else if new_keys.has_entry(index) {
                transaction.put_unordered(layout.tree, new_keys.key(index), &row_id_key(row_id))?;
            }
        }
        Ok(InsertOutcome::Inserted(row_id))
    }

    /// Changes a row that the caller has locked: `old` are its values now, `new` those it shall have, both with the
    /// computed values behind the columns.
    /// # Errors
    /// As [`Table::insert`].
    pub fn update(
        &self,
        transaction: &mut Transaction,
        row: RowId,
        old: &[DatumRef<'_>],
        new: &[DatumRef<'_>],
    ) -> Result<UpdateOutcome> {
        self.change(transaction, row, old, new, Unread::default(), None)
    }

    /// As [`Table::update`], but columns may not have been read, and a key that is taken waits in `pending` for the end of the statement, where
    /// [`Table::settle`] is called. Gives the row's id from then on.
    /// # Errors
    /// As [`Table::insert`].
    pub fn update_or_wait(
        &self,
        transaction: &mut Transaction,
        row: RowId,
        old: &[DatumRef<'_>],
        new: &[DatumRef<'_>],
        unread: Unread<'_>,
        pending: &mut PendingKeys,
    ) -> Result<RowId> {
        match self.change(transaction, row, old, new, unread, Some(pending))? {
            UpdateOutcome::Updated(id) => Ok(id),
            UpdateOutcome::Duplicate { .. } => Err(Error::internal("a taken key did not wait")),
        }
    }

    fn change(
        &self,
        transaction: &mut Transaction,
        row: RowId,
        old: &[DatumRef<'_>],
        new: &[DatumRef<'_>],
        unread: Unread<'_>,
        mut pending: Option<&mut PendingKeys>,
    ) -> Result<UpdateOutcome> {
        let new_row = match self.layout.row_id {
            RowIdSource::Counter => row,
            RowIdSource::Column(column) => row_id_of_value(new[column])?,
        };
        if new_row != row && self.lock_new_row_id(transaction, new_row)? {
            let Some(pending) = pending else { return Ok(UpdateOutcome::Duplicate { index: None }) };
            if !unread.columns.is_empty() {
                return Err(Error::internal("a row that waits was not read"));
            }
            self.delete(transaction, row, old)?;
            transaction.note_move(self.layout.tree, row_id_key(row), Some(row_id_key(new_row)))?;
            pending.keep_row((transaction, &self.layout), new_row, new)?;
            return Ok(UpdateOutcome::Updated(new_row));
        }
        let mut waiting: SmallVec<[usize; 4]> = SmallVec::new();
        let mut scratch = self.scratch.borrow_mut();
        let Scratch { encoder, new_keys, old_keys } = &mut *scratch;
        new_keys.fill(&self.layout, &self.limits, new_row, |column| new[column])?;
        old_keys.fill(&self.layout, &self.limits, row, |column| old[column])?;
        for (index, layout) in self.layout.indexes.iter().enumerate() {
            if new_keys.key(index) == old_keys.key(index) {
                continue;
            }
            if old_keys.is_unique(index) {
                transaction.lock_row(layout.tree, old_keys.key(index), RowLockMode::Update)?;
            }
            if new_keys.is_unique(index) {
                let tree = self.index_tree(transaction, index)?;
                if self.lock_new_key(transaction, tree, new_keys.key(index))? {
                    if pending.is_none() {
                        return Ok(UpdateOutcome::Duplicate { index: Some(index) });
                    }
                    waiting.push(index);
                }
            }
        }
        let mut old_large = self.old_large_values(transaction, row, old, unread.columns)?;
        old_large.keep(unread.kept);
        let changed =
            (new_row == row && transaction.tells_parts()).then(|| self.changed_parts(old, new, unread));
        if self.fits_with_kept(new, &old_large)? {
            // Whether a row has large values must follow from its values.
            let fetched = old_large.give_up_kept(|pointer| {
                value_tree::read(transaction, self.values(transaction)?, pointer, ReadView::Latest) //
            })?;
            let mut whole: SmallVec<[DatumRef<'_>; 16]> = SmallVec::from_slice(new);
            for (column, bytes) in &fetched {
                whole[*column] = match new[*column] {
                    DatumRef::Bytes(_) => DatumRef::Bytes(bytes),
                    _ => DatumRef::Text(std::str::from_utf8(bytes).map_err(|_| damaged_row())?),
                };
            }
            self.write_row(transaction, encoder, (new_row, &whole), &mut old_large, changed)?;
        } else {
            self.write_row(transaction, encoder, (new_row, new), &mut old_large, changed)?;
        }
        if new_row != row {
            transaction.delete(self.layout.tree, &row_id_key(row))?;
            transaction.note_move(self.layout.tree, row_id_key(row), Some(row_id_key(new_row)))?;
        }
        for pointer in old_large.unused() {
            self.remove_value(transaction, pointer)?;
        }
        for (index, layout) in self.layout.indexes.iter().enumerate() {
            let changed = new_keys.key(index) != old_keys.key(index);
            if changed && old_keys.has_entry(index) {
                transaction.delete(layout.tree, old_keys.key(index))?;
            }
            if waiting.contains(&index) {
                if let Some(pending) = &mut pending {
                    let key = (index, new_keys.key(index));
                    pending.keep_entry((transaction, &self.layout), key, new_row)?;
                }
            } else if (changed || new_row != row) && new_keys.has_entry(index) {
                transaction.put(layout.tree, new_keys.key(index), &row_id_key(new_row))?;
            }
        }
        Ok(UpdateOutcome::Updated(new_row))
    }

    /// Removes a row that the caller has locked: `old` are its values now, the computed ones behind the columns.
    /// # Errors
    /// As [`Table::insert`].
    pub fn delete(&self, transaction: &mut Transaction, row: RowId, old: &[DatumRef<'_>]) -> Result<()> {
        self.delete_unread(transaction, row, old, &[])
    }

    /// As [`Table::delete`], but these columns may not have been read: see [`Unread::columns`].
    /// # Errors
    /// As there.
    pub fn delete_unread(
        &self,
        transaction: &mut Transaction,
        row: RowId,
        old: &[DatumRef<'_>],
        unread: &[usize],
    ) -> Result<()> {
        let mut scratch = self.scratch.borrow_mut();
        let old_keys = &mut scratch.old_keys;
        old_keys.fill(&self.layout, &self.limits, row, |column| old[column])?;
        for (index, layout) in self.layout.indexes.iter().enumerate() {
            if old_keys.is_unique(index) {
                transaction.lock_row(layout.tree, old_keys.key(index), RowLockMode::Update)?;
            }
        }
        for pointer in self.old_large_values(transaction, row, old, unread)?.unused() {
            self.remove_value(transaction, pointer)?;
        }
        if self.layout.row_id == RowIdSource::Counter {
            // The id must not come again when this was the highest one.
            let key = counter_key(ROW_ID_COUNTER, self.layout.tree);
            transaction.max(COUNTER_TREE, &key, row.0.max(0) as u64)?;
        }
        transaction.delete(self.layout.tree, &row_id_key(row))?;
        for (index, layout) in self.layout.indexes.iter().enumerate() {
            if old_keys.has_entry(index) {
                transaction.delete(layout.tree, old_keys.key(index))?;
            }
        }
        Ok(())
    }

    /// The columns that have another value in `new` than in `old`.
    fn changed_parts(&self, old: &[DatumRef<'_>], new: &[DatumRef<'_>], unread: Unread<'_>) -> Parts {
        let columns = old.iter().zip(new).take(self.layout.columns.len()).enumerate();
        // What an empty value stands for is not known.
        let is_unknown = |column: &usize| {
            is_empty(old[*column]) && unread.columns.contains(column) && !unread.kept.contains(column)
        };
        let is_forgotten = is_planted(PlantedFault::ChangedColumnsForgotten);
        let changed =
            columns.filter(|(column, (old, new))| (!old.is_same(new) || is_unknown(column)) && !is_forgotten);
        changed.fold(Parts::NONE, |parts, (column, _)| parts.with(column))
    }

    /// Encodes and puts a row; large values go to the value tree unless the old row has them already. `changed`: the parts
    /// that become others, where the row is there already and that is known.
    fn write_row(
        &self,
        transaction: &mut Transaction,
        encoder: &mut RowEncoder,
        (row_id, row): (RowId, &[DatumRef<'_>]),
        old: &mut OldLargeValues<'_>,
        changed: Option<Parts>,
    ) -> Result<()> {
        let stored = &row[..self.layout.columns.len()];
        let kept: SmallVec<[(usize, LargePointer); 2]> = old.kept().collect();
        let (format, row_bytes) = (self.layout.format(), self.limits.row_bytes);
        let bytes = encoder.encode(format, stored, &kept, row_bytes, |column, bytes| {
            let read = |pointer| {
                value_tree::read(transaction, self.values(transaction)?, pointer, ReadView::Latest) //
            };
            if let Some(pointer) = old.reuse(column, bytes, read)? {
                return Ok(pointer);
            }
            let value_id = self.next_value_id(transaction)?;
            let tree = self.layout.value_tree;
            value_tree::write(transaction, tree, value_id, bytes, self.limits.piece_bytes)
        })?;
        match changed {
            None => transaction.put(self.layout.tree, &row_id_key(row_id), bytes),
            Some(parts) => transaction.put_parts(self.layout.tree, &row_id_key(row_id), bytes, parts),
        }
    }

    /// Whether a new row has room for the values that it was to keep where they are.
    fn fits_with_kept(&self, new: &[DatumRef<'_>], old: &OldLargeValues<'_>) -> Result<bool> {
        let mut kept = old.kept().map(|(_, pointer)| pointer.length as usize).peekable();
        if kept.peek().is_none() {
            return Ok(false);
        }
        let others = RowEncoder::full_bytes(self.layout.format(), &new[..self.layout.columns.len()])?;
        Ok(others + kept.sum::<usize>() <= self.limits.row_bytes)
    }

    /// The large values of a row as it is now. Whether it has any follows from its values alone, unless some were not
    /// read.
    fn old_large_values<'a>(
        &self,
        transaction: &Transaction,
        row: RowId,
        old: &'a [DatumRef<'a>],
        unread: &[usize],
    ) -> Result<OldLargeValues<'a>> {
        let format = self.layout.format();
        let old = &old[..self.layout.columns.len()];
        let may_be_missing = |column: &usize| is_empty(old[*column]);
        if RowEncoder::full_bytes(format, old)? <= self.limits.row_bytes && !unread.iter().any(may_be_missing)
        {
            return Ok(OldLargeValues::default());
        }
        let mut bytes = Vec::new();
        self.read_row(transaction, row, ReadView::Latest, || Parts::ALL, &mut bytes)?;
        let pointers = if bytes.is_empty() {
            Vec::new()
        } else {
            let of_row = format.large_pointers(&bytes);
            of_row
                .map(|(column, pointer)| OldLargeValue {
                    column,
                    pointer,
                    is_missing: unread.contains(&column) && may_be_missing(&column),
                    used: Use::No,
                })
                .collect()
        };
        Ok(OldLargeValues { pointers, values: old })
    }

    pub(super) fn next_row_id(&self, transaction: &Transaction) -> Result<RowId> {
        let key = counter_key(ROW_ID_COUNTER, self.layout.tree);
        // What is stored covers deleted rows; the last row's id is above it, or was once.
        let id = self.layout.runtime.row_ids.next(|| {
            let counted = read_counter(transaction, &key)?;
            let mut last = Vec::new();
            let newest = match self.rows.committed() {
                Some(tree) if tree.last_key(&mut last)? => {
                    row_id_of_key(&last).map_or(0, |row| row.0.max(0) as u64)
                }
                _ => 0,
            };
            Ok(counted.max(newest))
        })?;
        Ok(RowId(id as i64))
    }

    pub(super) fn next_value_id(&self, transaction: &Transaction) -> Result<u64> {
        let key = counter_key(VALUE_ID_COUNTER, self.layout.tree);
        let id = self.layout.runtime.value_ids.next(|| {
            let mut last = Vec::new();
            let newest = match self.values(transaction)?.committed() {
                Some(tree) if tree.last_key(&mut last)? => value_tree::value_id_of_key(&last).unwrap_or(0),
                _ => 0,
            };
            Ok(newest.max(read_counter(transaction, &key)?))
        })?;
        Ok(id)
    }

    /// Removes a large value and remembers that its id was used.
    fn remove_value(&self, transaction: &mut Transaction, pointer: LargePointer) -> Result<()> {
        let key = counter_key(VALUE_ID_COUNTER, self.layout.tree);
        transaction.max(COUNTER_TREE, &key, pointer.value_id)?;
        value_tree::remove(transaction, self.layout.value_tree, pointer, self.limits.piece_bytes)
    }
}

/// Columns that a change did not read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unread<'a> {
    /// The old row has an empty value in these where the stored row only points to one. No column of an index is
    /// among them.
    pub columns: &'a [usize],
    /// Of these, the columns that the new row has as they are stored.
    pub kept: &'a [usize],
}

/// The large values of the row that a write replaces.
#[derive(Debug, Default)]
struct OldLargeValues<'a> {
    pointers: Vec<OldLargeValue>,
    values: &'a [DatumRef<'a>],
}

#[derive(Debug)]
struct OldLargeValue {
    column: usize,
    pointer: LargePointer,
    /// It was not read.
    is_missing: bool,
    used: Use,
}

/// What the new row has of a large value of the old one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    No,
    /// It has an equal value.
    Equal,
    /// It is to have it without anybody having read it.
    Kept,
}

impl OldLargeValues<'_> {
    /// Notes which columns the new row has as they are stored.
    fn keep(&mut self, columns: &[usize]) {
        for value in &mut self.pointers {
            if value.is_missing && columns.contains(&value.column) {
                value.used = Use::Kept;
            }
        }
    }

    fn kept(&self) -> impl Iterator<Item = (usize, LargePointer)> {
        let kept = self.pointers.iter().filter(|value| value.used == Use::Kept);
        kept.map(|value| (value.column, value.pointer))
    }

    /// Reads what was to be kept, for a row that will have it itself.
    fn give_up_kept(&mut self, mut read: impl FnMut(LargePointer) -> Result<Vec<u8>>) -> Result<LargeValues> {
        let kept = self.pointers.iter_mut().filter(|value| value.used == Use::Kept);
        kept.map(|value| {
            value.used = Use::No;
            Ok((value.column, read(value.pointer)?))
        })
        .collect()
    }

    /// The pointer to the value that the old row has in a column, if it is this one.
    fn reuse(
        &mut self,
        column: usize,
        bytes: &[u8],
        read: impl FnOnce(LargePointer) -> Result<Vec<u8>>,
    ) -> Result<Option<LargePointer>> {
        let Some(value) = self.pointers.iter_mut().find(|value| value.column == column) else {
            return Ok(None);
        };
        let same = match &self.values[column] {
            _ if value.is_missing => value.pointer.matches(bytes) && read(value.pointer)? == bytes,
            DatumRef::Text(text) => text.as_bytes() == bytes,
            DatumRef::Bytes(old) => *old == bytes,
            _ => false,
        };
        if !same {
            return Ok(None);
        }
        value.used = Use::Equal;
        Ok(Some(value.pointer))
    }

    fn unused(self) -> impl Iterator<Item = LargePointer> {
        self.pointers.into_iter().filter(|value| value.used == Use::No).map(|value| value.pointer)
    }
}

/// The number a counter has reached; 0 where nothing was counted.
pub(crate) fn read_counter(transaction: &Transaction, key: &[u8]) -> Result<u64> {
    let tree = transaction.tree_handle(COUNTER_TREE)?;
    transaction.get(&tree, key, ReadView::Latest, |value| match value {
        None => Ok(0),
        Some(value) => value.try_into().map(u64::from_be_bytes).map_err(|_| {
            Error::new(SqlState::DATA_CORRUPTED, "a counter does not hold a number") //
        }),
    })?
}

pub(super) fn row_id_of_value(value: DatumRef<'_>) -> Result<RowId> {
    match value {
        DatumRef::SmallInt(v) => Ok(RowId(i64::from(v))),
        DatumRef::Integer(v) => Ok(RowId(i64::from(v))),
        DatumRef::BigInt(v) => Ok(RowId(v)),
        _ => Err(Error::internal("the primary key of a row is not an integer")),
    }
}

fn bound_slice(bound: &Bound<[u8; ROW_ID_BYTES]>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

fn is_empty_range(rows: (Bound<RowId>, Bound<RowId>)) -> bool {
    match rows {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Included(high) | Bound::Excluded(high), //
        ) => low >= high,
        _ => false,
    }
}

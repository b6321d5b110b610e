//! What constraints ask of a table after they have locked: which rows have these values now, whether anybody else has
//! this key. "Now" is the newest committed state with the transaction's own writes, whatever its snapshot sees.
//! Knows rows and keys. Knows no foreign keys.

use crate::common::ids::RowId;
use crate::error::Result;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::index::IndexRange;
use crate::table::key::{KeyOrder, append_value, prefix_successor, row_id_key, row_id_of_key};
use crate::table::layout::{IndexKey, RowIdSource};
use crate::table::row::{RowFormat, RowView};
use crate::table::scan::damaged_entry;
use crate::table::table::{Table, concurrent_update, row_id_of_value};
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{Parts, ReadView, RowLockMode};
use std::ops::Bound;

/// Which own writes count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnWrites {
    /// All of them.
    All,
    /// Those of commands before the running one.
    OfEarlierCommands,
}

/// Columns with the values that rows are looked for by: none NULL, of the columns' own types.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The columns, by position.
    pub columns: &'a [usize],
    /// A value each.
    pub values: &'a [DatumRef<'a>],
}

/// How rows with some values are found.
enum Access {
    RowId(RowId),
    /// The index, and the wanted values of its leading columns by position.
    Index(usize, Vec<usize>),
    Scan,
}

const ASCENDING: KeyOrder = KeyOrder { descending: false, nulls_first: false };

impl Table {
    /// The row that has this key in a unique index (values in the order of its columns), or as its id (`None`).
    /// # Errors
    /// `58030`; `40001` when the index is newer than the snapshot that is asked for; `XX002`.
    pub fn find_key(
        &self,
        transaction: &Transaction,
        index: Option<usize>,
        key: &[DatumRef<'_>],
        view: ReadView,
    ) -> Result<Option<RowId>> {
        if let Some(index) = index {
            return self.find_unique(transaction, index, key, view);
        }
        let row = row_id_of_value(key[0])?;
        let exists = transaction.exists(&self.rows, &row_id_key(row), view)?;
        Ok(exists.then_some(row))
    }

    /// Locks a row, and gives its values as they are then; `None`: it is gone.
    /// # Errors
    /// `40001` where the transaction keeps one snapshot and somebody changed the row since; `40P01`; `57014`.
    pub fn lock_now(
        &self,
        transaction: &mut Transaction,
        row: RowId,
        mode: RowLockMode,
    ) -> Result<Option<Vec<Datum>>> {
        let key = row_id_key(row);
        transaction.lock_row(self.layout().tree, &key, mode)?;
        if mode >= RowLockMode::NoKeyUpdate
            && transaction.isolation().keeps_snapshot()
            && transaction.changed_since_snapshot(&self.rows, &key)?
        {
            return Err(concurrent_update());
        }
        self.get_datums(transaction, row, ReadView::Latest)
    }

    /// Locks a row against going away and against another key.
    /// # Errors
    /// `40P01`, `57014`, `53200`.
    pub fn lock_key_share(&self, transaction: &mut Transaction, row: RowId) -> Result<()> {
        transaction.lock_row(self.layout().tree, &row_id_key(row), RowLockMode::KeyShare).map(drop)
    }

    /// Whether a row has these values.
    pub fn has_values(&self, row: &[Datum], wanted: Wanted<'_>) -> bool {
        self.matches(|column| row[column].as_ref(), wanted)
    }

    fn matches<'r>(&self, value: impl Fn(usize) -> DatumRef<'r>, wanted: Wanted<'_>) -> bool {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        wanted.columns.iter().zip(wanted.values).all(|(column, wanted)| {
            let data_type = self.layout().columns[*column].data_type;
            left.clear();
            right.clear();
            append_value(&mut left, value(*column), data_type, ASCENDING);
            append_value(&mut right, *wanted, data_type, ASCENDING);
            left == right
        })
    }

    /// At most `count_max` rows that have these values now, into `found`.
    /// # Errors
    /// `58030`, `XX001`, `57014`.
    pub fn find_now(
        &self,
        transaction: &Transaction,
        wanted: Wanted<'_>,
        own: OwnWrites,
        count_max: usize,
        found: &mut Vec<RowId>,
    ) -> Result<()> {
        match self.access(wanted)? {
            Access::RowId(row) => {
                let key = row_id_key(row);
                let (lower, upper) = (Bound::Included(&key[..]), Bound::Included(&key[..]));
                let mut scan = transaction
                    .scan_latest(&self.rows, lower, upper, own == OwnWrites::All)
                    .of_parts(|| Parts::EXISTENCE);
                let mut exists = false;
                while let Some(some) =
                    scan.next(transaction, |rows| (0..rows.len()).any(|row| rows.is_live(row)))?
                {
                    exists |= some;
                }
                if exists && (wanted.columns.len() == 1 || self.row_matches(transaction, row, wanted)?) {
                    found.push(row);
                }
                Ok(())
            }
            Access::Index(index, order) => {
                let layout = &self.layout().indexes[index];
                let equal: Vec<DatumRef<'_>> = order.iter().map(|place| wanted.values[*place]).collect();
                let range = IndexRange { equal: &equal, lower: None, upper: None };
                let Some(keys) = range.keys(self.layout(), layout) else { return Ok(()) };
                let is_exact = order.len() == wanted.columns.len();
                let mut candidates = Vec::new();
                let tree = self.index_tree(transaction, index)?;
                let upper = keys.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                let lower = Bound::Included(keys.start.as_slice());
                let mut scan = transaction.scan_latest(tree, lower, upper, own == OwnWrites::All);
                while found.len() < count_max {
                    candidates.clear();
                    let room = count_max - found.len();
                    let Some(read) = scan.next(transaction, |rows| {
                        for row in (0..rows.len()).filter(|row| rows.is_live(*row)) {
                            if is_exact && candidates.len() == room {
                                break;
                            }
                            candidates.push(row_id_of_key(rows.value(row)).ok_or_else(damaged_entry)?);
                        }
                        Ok(())
                    })?
                    else {
                        return Ok(());
                    };
                    read?;
                    for row in &candidates {
                        if found.len() < count_max
                            && (is_exact || self.row_matches(transaction, *row, wanted)?)
                        {
                            found.push(*row);
                        }
                    }
                }
                Ok(())
            }
            Access::Scan => self.find_by_scan(transaction, wanted, own, count_max, found),
        }
    }

    fn row_matches(&self, transaction: &Transaction, row: RowId, wanted: Wanted<'_>) -> Result<bool> {
        let values = self.get_datums(transaction, row, ReadView::Latest)?;
        Ok(values.is_some_and(|values| self.has_values(&values, wanted)))
    }

    fn find_by_scan(
        &self,
        transaction: &Transaction,
        wanted: Wanted<'_>,
        own: OwnWrites,
        count_max: usize,
        found: &mut Vec<RowId>,
    ) -> Result<()> {
        let mut scan =
            transaction.scan_latest(&self.rows, Bound::Unbounded, Bound::Unbounded, own == OwnWrites::All);
        let mut key = Vec::new();
        // Rows with values that lie elsewhere are looked at after the latch.
        let mut candidates: Vec<(RowId, bool)> = Vec::new();
        let format = self.layout().format();
        while found.len() < count_max {
            transaction.cancel_token().check()?;
            candidates.clear();
            let Some(read) = scan.next(transaction, |rows| {
                for row in (0..rows.len()).filter(|row| rows.is_live(*row)) {
                    let bytes = rows.value(row);
                    let has_large = RowFormat::has_large(bytes);
                    if !has_large {
                        let view = RowView::new(format, bytes, &[])?;
                        if !self.matches(|column| view.datum(column), wanted) {
                            continue;
                        }
                    }
                    rows.key_into(row, &mut key);
                    candidates.push((row_id_of_key(&key).ok_or_else(damaged_entry)?, has_large));
                }
                Ok(())
            })?
            else {
                return Ok(());
            };
            read?;
            for (row, has_large) in &candidates {
                if found.len() < count_max && (!has_large || self.row_matches(transaction, *row, wanted)?) {
                    found.push(*row);
                }
            }
        }
        Ok(())
    }

    /// The row id, or the index whose leading columns cover most of what is wanted.
    fn access(&self, wanted: Wanted<'_>) -> Result<Access> {
        if let RowIdSource::Column(column) = self.layout().row_id
            && let Some(place) = wanted.columns.iter().position(|known| *known == column)
        {
            return Ok(Access::RowId(row_id_of_value(wanted.values[place])?));
        }
        let mut best = Access::Scan;
        let mut most = 0;
        for (position, index) in self.layout().indexes.iter().enumerate() {
            if index.predicate.is_some() {
                continue;
            }
            let order: Vec<usize> = index
                .columns
                .iter()
                .map_while(|part| match part.key {
                    IndexKey::Column(column) => wanted.columns.iter().position(|known| *known == column),
                    IndexKey::Computed(_) => None,
                })
                .collect();
            if order.len() > most {
                most = order.len();
                best = Access::Index(position, order);
            }
        }
        Ok(best)
    }

    /// Locks the key that a row has in an index whose keys are unique only in the end, as its writer and its remover do;
    /// `false`: it has none there that anybody could have too.
    /// # Errors
    /// `40P01`, `57014`, `53200`.
    pub fn lock_shared_key(
        &self,
        transaction: &mut Transaction,
        index: usize,
        row: &[DatumRef<'_>],
    ) -> Result<Option<Vec<u8>>> {
        let Some(prefix) = self.shared_key(index, row) else { return Ok(None) };
        let tree = self.layout().indexes[index].tree;
        transaction.lock_row(tree, &prefix, RowLockMode::Update)?;
        Ok(Some(prefix))
    }

    /// The part of an entry's key that other rows may have; `None` where a NULL is in it.
    pub fn shared_key(&self, index: usize, row: &[DatumRef<'_>]) -> Option<Vec<u8>> {
        let mut prefix = Vec::new();
        for part in &self.layout().indexes[index].columns {
            let value = row[self.layout().position(part.key)];
            if value.is_null() {
                return None;
            }
            append_value(&mut prefix, value, self.layout().key_type(part.key).data_type, part.order());
        }
        Some(prefix)
    }

    /// Whether another row than `row` has this key of such an index now.
    /// # Errors
    /// `58030`, `XX002`.
    pub fn is_key_shared(
        &self,
        transaction: &Transaction,
        index: usize,
        prefix: &[u8],
        row: RowId,
    ) -> Result<bool> {
        let tree = self.index_tree(transaction, index)?;
        let end = prefix_successor(prefix);
        let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut scan = transaction.scan_latest(tree, Bound::Included(prefix), upper, true);
        let own = row_id_key(row);
        while let Some(shared) = scan.next(transaction, |rows| {
            (0..rows.len()).any(|entry| rows.is_live(entry) && rows.value(entry) != own.as_slice())
        })? {
            if shared {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

//! Keys of index entries, and ranges of them.
//!
//! An entry's key is the values of columns, or values computed of the row; where it need not be unique (non-unique index, or a NULL among the
//! values) the row id follows. Its value is the row id.
//! Knows values and keys. Knows no trees.

use crate::common::ids::RowId;
use crate::error::{Error, Result, SqlState};
use crate::sql::types::datum::DatumRef;
use crate::table::key::{
    KeyOrder, MARKER_NULL_LAST, MARKER_VALUE, append_value, prefix_successor, row_id_key,
};
use crate::table::layout::{IndexColumn, IndexKey, IndexLayout, TableLayout};

impl IndexColumn {
    /// Its order.
    pub fn order(&self) -> KeyOrder {
        KeyOrder { descending: self.descending, nulls_first: self.nulls_first }
    }
}

/// What an entry's key must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uniqueness {
    /// No other row may have it.
    Unique,
    /// It ends with the row id.
    WithRowId,
    /// There is none: the row is not in the partial index.
    NoEntry,
}

/// Appends to `key` the key of the entry for a row: `value` gives its columns and, behind them, its computed values.
/// # Errors
/// `54000` when it is longer than `bytes_max`.
pub fn append_entry_key<'a>(
    key: &mut Vec<u8>,
    layout: &TableLayout,
    index: &IndexLayout,
    value: impl Fn(usize) -> DatumRef<'a>,
    row_id: RowId,
    bytes_max: usize,
) -> Result<Uniqueness> {
    if let Some(predicate) = index.predicate
        && !matches!(value(layout.position(IndexKey::Computed(predicate))), DatumRef::Boolean(true))
    {
        return Ok(Uniqueness::NoEntry);
    }
    let start = key.len();
    let mut has_null = false;
    for column in &index.columns {
        let value = value(layout.position(column.key));
        has_null |= value.is_null();
        append_value(key, value, layout.key_type(column.key).data_type, column.order());
    }
    let unique = index.unique && !has_null;
    if !unique {
        key.extend_from_slice(&row_id_key(row_id));
    }
    let length = key.len() - start;
    if length > bytes_max {
        return Err(Error::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("index row size {length} exceeds maximum {bytes_max}"),
        )
        .hint("Values larger than a quarter of a page cannot be indexed. Index a shorter column, or a hash of the value."));
    }
    Ok(if unique { Uniqueness::Unique } else { Uniqueness::WithRowId })
}

/// Appends the key of a unique entry with these values (one a column of the index). `false`: there is a NULL
/// among them, and so no such entry.
pub fn append_unique_key(
    key: &mut Vec<u8>,
    layout: &TableLayout,
    index: &IndexLayout,
    values: &[DatumRef<'_>],
) -> bool {
    assert_eq!(values.len(), index.columns.len(), "a unique look-up has a value a key column");
    for (column, value) in index.columns.iter().zip(values) {
        if value.is_null() {
            return false;
        }
        append_value(key, *value, layout.key_type(column.key).data_type, column.order());
    }
    true
}

/// One end of an [`IndexRange`]: the value, and whether it belongs to the range.
pub type IndexBound<'a> = (DatumRef<'a>, bool);

/// Entries by values. A NULL anywhere makes the range empty, as comparisons with NULL are never true.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexRange<'a> {
    /// Equal values of the leading columns.
    pub equal: &'a [DatumRef<'a>],
    /// Lower end of the column after them.
    pub lower: Option<IndexBound<'a>>,
    /// Upper end.
    pub upper: Option<IndexBound<'a>>,
}

/// A range as keys: from the first, included, to the second, excluded (`None`: to the end).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRange {
    /// Included.
    pub start: Vec<u8>,
    /// Excluded.
    pub end: Option<Vec<u8>>,
}

impl IndexRange<'_> {
    /// The keys of the range; `None` when it is empty.
    pub fn keys(&self, layout: &TableLayout, index: &IndexLayout) -> Option<KeyRange> {
        let mut prefix = Vec::new();
        for (column, value) in index.columns.iter().zip(self.equal) {
            if value.is_null() {
                return None;
            }
            append_value(&mut prefix, *value, layout.key_type(column.key).data_type, column.order());
        }
        let Some(next) = index.columns.get(self.equal.len()) else {
            return Some(KeyRange { end: prefix_successor(&prefix), start: prefix });
        };
        if self.lower.is_none() && self.upper.is_none() {
            return Some(KeyRange { end: prefix_successor(&prefix), start: prefix });
        }
        // In a descending column the greatest value has the least key.
        let (first, last) = if next.descending { (self.upper, self.lower) } else { (self.lower, self.upper) };
        let data_type = layout.key_type(next.key).data_type;
        let with = |value: DatumRef<'_>| {
            let mut key = prefix.clone();
            append_value(&mut key, value, data_type, next.order());
            key
        };
        let with_marker = |marker: u8| {
            let mut key = prefix.clone();
            key.push(marker);
            key
        };
        let start = match first {
            Some((value, _)) if value.is_null() => return None,
            Some((value, true)) => with(value),
            Some((value, false)) => prefix_successor(&with(value))?,
            None => with_marker(MARKER_VALUE),
        };
        let end = match last {
            Some((value, _)) if value.is_null() => return None,
            Some((value, true)) => prefix_successor(&with(value)),
            Some((value, false)) => Some(with(value)),
            None => Some(with_marker(MARKER_NULL_LAST)),
        };
        if end.as_ref().is_some_and(|end| *end <= start) {
            return None;
        }
        Some(KeyRange { start, end })
    }
}

//! What the table layer must know of a table: trees, column types, where the row id comes from.
//! Plain data, built by the catalog from its definitions, with what the running process keeps beside it.

use crate::common::ids::TreeId;
use crate::sql::types::data_type::SqlType;
use crate::table::row::RowFormat;
use crate::table::runtime::{IndexRuntime, TableRuntime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a row's id comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RowIdSource {
    /// A counter of the table.
    Counter,
    /// The single-column integer primary key, by column position: changing it is delete + insert.
    Column(usize),
}

/// A table as rows in trees.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableLayout {
    /// Rows: key = row id (8 bytes, big-endian, sign flipped), value = encoded row.
    pub tree: TreeId,
    /// Large values: key = (value id, piece).
    pub value_tree: TreeId,
    /// Where row ids come from.
    pub row_id: RowIdSource,
    /// Types of the columns, in order.
    pub columns: Vec<SqlType>,
    /// Types of what indexes hold that is not stored but computed of a row: expressions, and booleans that say
    /// whether the row is in a partial index. Each belongs to one index.
    pub computed: Vec<SqlType>,
    /// The indexes, also those that are still being built.
    pub indexes: Vec<IndexLayout>,
    /// How far pages of rows are filled that come in ascending order, or are merged, in hundredths (10 to 100); `None`: as
    /// it is convenient.
    pub fill_percent: Option<u8>,
    /// Counters and derived forms of the running process; `Default` for a new table. Every later layout of the
    /// same table shares it, so a clone keeps it. Not stored.
    #[serde(skip)]
    pub runtime: Arc<TableRuntime>,
}

impl TableLayout {
    /// Where the columns are in the table's rows; made at the first call.
    pub fn format(&self) -> &RowFormat {
        self.runtime.format(&self.columns)
    }

    /// The trees of rows and of indexes, and how far their pages are filled.
    pub fn fill_percents(&self) -> impl Iterator<Item = (TreeId, Option<u8>)> + '_ {
        let indexes = self.indexes.iter().map(|index| (index.tree, index.fill_percent));
        std::iter::once((self.tree, self.fill_percent)).chain(indexes)
    }

    /// The position of the index whose entries are in `tree`.
    pub fn index_of_tree(&self, tree: TreeId) -> Option<usize> {
        self.indexes.iter().position(|index| index.tree == tree)
    }

    /// Where the value of a key part stands in a row whose computed values follow its columns.
    pub fn position(&self, key: IndexKey) -> usize {
        match key {
            IndexKey::Column(column) => column,
            IndexKey::Computed(value) => self.columns.len() + value,
        }
    }

    /// The type of a key part.
    pub fn key_type(&self, key: IndexKey) -> SqlType {
        match key {
            IndexKey::Column(column) => self.columns[column],
            IndexKey::Computed(value) => self.computed[value],
        }
    }

    /// The layout without the index `position`, and without what was computed for it alone.
    pub fn without_index(&self, position: usize) -> TableLayout {
        let mut layout = self.clone();
        let removed = layout.indexes.remove(position);
        let mut gone: Vec<usize> = removed.computed().collect();
        gone.sort_unstable();
        for value in gone.into_iter().rev() {
            layout.computed.remove(value);
            let lowered = |known: &mut usize| *known -= usize::from(*known > value);
            for index in &mut layout.indexes {
                index.predicate.iter_mut().for_each(lowered);
                for column in &mut index.columns {
                    if let IndexKey::Computed(known) = &mut column.key {
                        lowered(known);
                    }
                }
            }
        }
        layout
    }
}

/// An index as entries in a tree.
///
/// Key: memcomparable column values; where the entry must not be unique (non-unique index, or a NULL among
/// the values) the row id follows. Value: the row id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IndexLayout {
    /// Entries.
    pub tree: TreeId,
    /// The parts of the key.
    pub columns: Vec<IndexColumn>,
    /// No two rows in the index may have equal, non-NULL values.
    pub unique: bool,
    /// Of a partial index: the computed value (by position among those) that is true for the rows that have an
    /// entry. `None`: every row has one.
    pub predicate: Option<usize>,
    /// The same of its entries.
    pub fill_percent: Option<u8>,
    /// What the running process knows of it; `Default` for a new index. Not stored.
    #[serde(skip)]
    pub runtime: Arc<IndexRuntime>,
}

impl IndexLayout {
    /// The computed values that belong to the index, by position among all of the table.
    pub fn computed(&self) -> impl Iterator<Item = usize> {
        let keys = self.columns.iter().filter_map(|column| match column.key {
            IndexKey::Column(_) => None,
            IndexKey::Computed(value) => Some(value),
        });
        self.predicate.into_iter().chain(keys)
    }
}

/// What a part of an index's key is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum IndexKey {
    /// A column, by position in the table.
    Column(usize),
    /// A computed value, by position among those of the table.
    Computed(usize),
}

/// A part of an index's key with its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IndexColumn {
    /// What it is.
    pub key: IndexKey,
    /// Descending order.
    pub descending: bool,
    /// NULLs before other values.
    pub nulls_first: bool,
}

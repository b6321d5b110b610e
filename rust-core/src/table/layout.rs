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
    /// The indexes, also those that are still being built.
    pub indexes: Vec<IndexLayout>,
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
}

/// An index as entries in a tree.
///
/// Key: memcomparable column values; where the entry must not be unique (non-unique index, or a NULL among
/// the values) the row id follows. Value: the row id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IndexLayout {
    /// Entries.
    pub tree: TreeId,
    /// The indexed columns, by position in the table.
    pub columns: Vec<IndexColumn>,
    /// No two rows may have equal, non-NULL values.
    pub unique: bool,
    /// What the running process knows of it; `Default` for a new index. Not stored.
    #[serde(skip)]
    pub runtime: Arc<IndexRuntime>,
}

/// A column of an index with its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IndexColumn {
    /// Position in the table.
    pub column: usize,
    /// Descending order.
    pub descending: bool,
    /// NULLs before other values.
    pub nulls_first: bool,
}

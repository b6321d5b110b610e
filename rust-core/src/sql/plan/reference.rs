//! What a data change means for foreign keys: the tables that it reaches, as data.
//!
//! The first table is the one that the statement changes. Others are read (parents of its rows, children that must not
//! be there) or changed in their turn (CASCADE, SET NULL, SET DEFAULT), to any depth: tables point to each other by
//! number, so that keys may go in circles. Who has no foreign keys and is referred to by none has no such plan.

use crate::catalog::table_definition::{ForeignKeyDefinition, TableDefinition};
use crate::sql::plan::expression::Expression;
use crate::sql::plan::logical::BoundCheck;
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// The tables; the first is the one that the statement changes.
    pub tables: Vec<ReferenceTable>,
}

/// A table that a data change reaches.
#[derive(Clone, Debug)]
pub struct ReferenceTable {
    /// The table.
    pub table: Arc<TableDefinition>,
    /// Whether foreign keys change rows of it; else they only read it.
    pub is_changed: bool,
    /// Its check constraints where it is changed: `Input { index }` is a column of the new row.
    pub checks: Vec<BoundCheck>,
    /// What its indexes compute where it is changed.
    pub computed: Arc<[Expression]>,
    /// Its foreign keys that the change may break.
    pub refers: Vec<RefersTo>,
    /// The foreign keys that refer to it and that the change may concern, the oldest first.
    pub referred: Vec<ReferredBy>,
}

/// A foreign key of a table, seen from its rows.
#[derive(Clone, Debug)]
pub struct RefersTo {
    /// Its position in the table's `foreign_keys`.
    pub key: usize,
    /// The table that is referred to, by number.
    pub parent: usize,
    /// The parent's unique index; `None`: the key is its row id.
    pub index: Option<usize>,
    /// For each column of that index, its position among the columns of the foreign key.
    pub order: Vec<usize>,
}

/// A foreign key of another table (or of the same), seen from the rows that are referred to.
#[derive(Clone, Debug)]
pub struct ReferredBy {
    /// The table that refers, by number.
    pub child: usize,
    /// The key's position in its `foreign_keys`.
    pub key: usize,
    /// As in [`RefersTo`].
    pub index: Option<usize>,
    /// As in [`RefersTo`].
    pub order: Vec<usize>,
    /// For SET DEFAULT: the defaults of the foreign key's columns by position in the child.
    pub defaults: Vec<(usize, Expression)>,
}

impl References {
    /// The foreign key that a table refers by.
    pub fn key_of(&self, table: usize, refers: &RefersTo) -> &ForeignKeyDefinition {
        &self.tables[table].table.foreign_keys[refers.key]
    }

    /// The foreign key that refers to a table.
    pub fn key_to(&self, referred: &ReferredBy) -> &ForeignKeyDefinition {
        &self.tables[referred.child].table.foreign_keys[referred.key]
    }
}

//! What a table is.

use crate::common::ids::{Lsn, ObjectId};
use crate::sql::types::data_type::SqlType;
use crate::table::layout::{IndexKey, RowIdSource, TableLayout};
use crate::table::runtime::IndexRuntime;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A table with its columns, constraints and indexes. Immutable; a change makes a new one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableDefinition {
    /// Its number, never reused.
    pub id: ObjectId,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnDefinition>,
    /// Check constraints.
    pub checks: Vec<CheckDefinition>,
    /// Indexes, in the order of `layout.indexes`: `indexes[i]` names `layout.indexes[i]`.
    pub indexes: Vec<IndexDefinition>,
    /// Foreign keys: what its rows refer to.
    pub foreign_keys: Vec<ForeignKeyDefinition>,
    /// What indexes compute, in the order of `layout.computed`.
    pub computed: Vec<ComputedDefinition>,
    /// The name of the primary key's constraint where the key is the row id and so has no index.
    pub row_id_constraint: Option<String>,
    /// The names of foreign keys and checks that were added NOT VALID: rows from before may break them.
    pub not_valid: Vec<String>,
    /// Trees and physical types.
    pub layout: Arc<TableLayout>,
}

/// A column.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// NULL is refused (also by a primary key).
    pub not_null: bool,
    /// The default as SQL text; `None`: NULL.
    pub default: Option<String>,
    /// GENERATED … AS IDENTITY.
    pub identity: Option<IdentityDefinition>,
}

/// What makes a column an identity column.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IdentityDefinition {
    /// GENERATED ALWAYS: an INSERT must say OVERRIDING SYSTEM VALUE to give a value of its own.
    pub always: bool,
    /// The sequence that its values come from.
    pub sequence: ObjectId,
}

/// When a constraint is checked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub enum Deferral {
    /// Always at the end of the statement.
    #[default]
    NotDeferrable,
    /// At the end of the statement unless SET CONSTRAINTS puts it off to the end of the transaction.
    InitiallyImmediate,
    /// At the end of the transaction unless SET CONSTRAINTS calls for it earlier.
    InitiallyDeferred,
}

/// A foreign key of the table that refers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForeignKeyDefinition {
    /// Its number, never reused.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// The columns that refer, by position.
    pub columns: Vec<usize>,
    /// The table that is referred to.
    pub parent: ObjectId,
    /// Its columns, one for each of `columns`: those of a primary key or a unique constraint.
    pub parent_columns: Vec<usize>,
    /// What NULLs among the columns do.
    pub matching: ForeignKeyMatching,
    /// What becomes of a row whose parent goes.
    pub on_delete: ReferentialAction,
    /// What becomes of a row whose parent's key changes.
    pub on_update: ReferentialAction,
    /// When it is checked.
    pub deferral: Deferral,
}

/// What NULLs among the columns of a foreign key do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ForeignKeyMatching {
    /// A NULL anywhere: nothing is referred to.
    Simple,
    /// All are NULL or none is.
    Full,
}

/// What becomes of rows that refer to one that goes or gets another key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ReferentialAction {
    /// Refused where rows still refer to it when the constraint is checked.
    NoAction,
    /// Refused at once.
    Restrict,
    /// They go too, or get the new key.
    Cascade,
    /// These columns of theirs become NULL; none named: all of the foreign key.
    SetNull(Vec<usize>),
    /// These columns of theirs get their defaults; none named: all of the foreign key.
    SetDefault(Vec<usize>),
}

/// A check constraint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckDefinition {
    /// Its name.
    pub name: String,
    /// The condition as SQL text.
    pub condition: String,
}

/// An expression of an index, or the predicate of a partial one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ComputedDefinition {
    /// The expression as SQL text, as it was written.
    pub text: String,
    /// The expression as messages and lists show it, in parentheses unless it is a function call.
    pub shown: String,
}

/// The names around an index; its columns and order are in the layout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IndexDefinition {
    /// Its number, never reused.
    pub id: ObjectId,
    /// Its name (also the constraint's, where there is one).
    pub name: String,
    /// Whether it belongs to a constraint, and then cannot be dropped alone.
    pub constraint: Option<ConstraintKind>,
    /// When its constraint is checked. One that can be put off has an index that is not unique by itself: its keys are
    /// looked for when it is checked.
    pub deferral: Deferral,
}

impl IndexDefinition {
    /// An index whose keys, where they must be unique, are checked with every statement.
    pub fn new(id: ObjectId, name: String, constraint: Option<ConstraintKind>) -> IndexDefinition {
        IndexDefinition { id, name, constraint, deferral: Deferral::NotDeferrable }
    }
}

/// Which constraint an index serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ConstraintKind {
    /// PRIMARY KEY.
    PrimaryKey,
    /// UNIQUE.
    Unique,
}

impl ColumnDefinition {
    /// A column without constraints and default.
    pub fn new(name: String, sql_type: SqlType) -> ColumnDefinition {
        ColumnDefinition { name, sql_type, not_null: false, default: None, identity: None }
    }
}

impl TableDefinition {
    /// The position of the column `name`.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// A part of an index's key as messages show it: a column's name, or the expression.
    pub fn key_text(&self, key: IndexKey) -> &str {
        match key {
            IndexKey::Column(column) => &self.columns[column].name,
            IndexKey::Computed(value) => &self.computed[value].shown,
        }
    }

    /// The unique index behind the columns of a key, and for each of its columns the position in `columns`; `None` as the
    /// index: the row id.
    pub fn unique_key(&self, columns: &[usize]) -> Option<(Option<usize>, Vec<usize>)> {
        if let ([column], RowIdSource::Column(row_id)) = (columns, self.layout.row_id)
            && *column == row_id
        {
            return Some((None, vec![0]));
        }
        self.layout.indexes.iter().enumerate().find_map(|(position, index)| {
            let is_finished = !index.runtime.is_unfinished();
            if !index.unique
                || !is_finished
                || index.predicate.is_some()
                || index.columns.len() != columns.len()
            {
                return None;
            }
            let place = |key: IndexKey| match key {
                IndexKey::Column(column) => columns.iter().position(|known| *known == column),
                IndexKey::Computed(_) => None,
            };
            let order: Option<Vec<usize>> = index.columns.iter().map(|part| place(part.key)).collect();
            order.map(|order| (Some(position), order))
        })
    }

    /// Whether a constraint of the table has this name.
    pub fn has_constraint(&self, name: &str) -> bool {
        self.row_id_constraint.as_deref() == Some(name)
            || self.checks.iter().any(|check| check.name == name)
            || self.foreign_keys.iter().any(|key| key.name == name)
            || self.indexes.iter().any(|index| index.constraint.is_some() && index.name == name)
    }

    /// The definition without the foreign key of this number.
    pub fn without_foreign_key(&self, id: ObjectId) -> TableDefinition {
        let mut table = self.clone();
        if let Some(position) = table.foreign_keys.iter().position(|key| key.id == id) {
            let gone = table.foreign_keys.remove(position);
            table.not_valid.retain(|name| *name != gone.name);
        }
        table
    }

    /// Whether all rows keep to a constraint: it was not added NOT VALID, or validated since.
    pub fn is_valid(&self, constraint: &str) -> bool {
        !self.not_valid.iter().any(|name| name == constraint)
    }

    /// The definition without the index `position`.
    pub fn without_index(&self, position: usize) -> TableDefinition {
        let mut table = self.clone();
        let gone: Vec<usize> = self.layout.indexes[position].computed().collect();
        let mut value = 0;
        table.computed.retain(|_| {
            value += 1;
            !gone.contains(&(value - 1))
        });
        table.indexes.remove(position);
        table.layout = Arc::new(self.layout.without_index(position));
        table
    }

    /// The definition without the indexes that are still being filled beside writers; `None`: there are none.
    pub fn without_unfinished(&self) -> Option<TableDefinition> {
        self.without_indexes(|index| index.is_unfinished())
    }

    fn without_indexes(&self, is_meant: impl Fn(&IndexRuntime) -> bool) -> Option<TableDefinition> {
        let is_meant = |position: &usize| is_meant(&self.layout.indexes[*position].runtime);
        let mut found = (0..self.layout.indexes.len()).rev().filter(is_meant);
        let last = found.next()?;
        Some(found.fold(self.without_index(last), |table, position| table.without_index(position)))
    }

    /// What queries may read: the definition without unfinished indexes, and without those that lack what a snapshot sees
    /// that is kept.
    pub fn readable(self: Arc<Self>, snapshot: Option<Lsn>) -> Arc<TableDefinition> {
        let is_hidden = |index: &IndexRuntime| {
            index.is_unfinished() || snapshot.is_some_and(|snapshot| snapshot < index.usable_from())
        };
        self.without_indexes(is_hidden).map_or(self, Arc::new)
    }

    /// The column that is the row id, by position: the table's integer primary key of one column.
    pub fn row_id_column(&self) -> Option<usize> {
        match self.layout.row_id {
            RowIdSource::Counter => None,
            RowIdSource::Column(column) => Some(column),
        }
    }
}

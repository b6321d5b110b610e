//! Definitions of tables as older versions stored them. In version 1 indexes held columns alone, and every row; in
//! version 2 there were no foreign keys, no identity columns and no deferrable keys; in version 3 every constraint was valid.
//! Knows how to make definitions of now of them. Nothing is written in these forms.

use crate::catalog::table_definition as now;
use crate::common::ids::{ObjectId, TreeId};
use crate::sql::types::data_type::SqlType;
use crate::table::layout::{self, IndexKey, RowIdSource};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct ThirdTableDefinition {
    id: ObjectId,
    schema: String,
    name: String,
    columns: Vec<now::ColumnDefinition>,
    checks: Vec<now::CheckDefinition>,
    indexes: Vec<now::IndexDefinition>,
    foreign_keys: Vec<now::ForeignKeyDefinition>,
    computed: Vec<now::ComputedDefinition>,
    row_id_constraint: Option<String>,
    layout: Arc<layout::TableLayout>,
}

#[derive(Deserialize)]
pub(super) struct SecondTableDefinition {
    id: ObjectId,
    schema: String,
    name: String,
    columns: Vec<ColumnDefinition>,
    checks: Vec<now::CheckDefinition>,
    indexes: Vec<IndexDefinition>,
    computed: Vec<now::ComputedDefinition>,
    row_id_constraint: Option<String>,
    layout: layout::TableLayout,
}

#[derive(Deserialize)]
pub(super) struct FirstTableDefinition {
    id: ObjectId,
    schema: String,
    name: String,
    columns: Vec<ColumnDefinition>,
    checks: Vec<now::CheckDefinition>,
    indexes: Vec<IndexDefinition>,
    row_id_constraint: Option<String>,
    layout: TableLayout,
}

#[derive(Deserialize)]
struct ColumnDefinition {
    name: String,
    sql_type: SqlType,
    not_null: bool,
    default: Option<String>,
}

#[derive(Deserialize)]
struct IndexDefinition {
    id: ObjectId,
    name: String,
    constraint: Option<now::ConstraintKind>,
}

#[derive(Deserialize)]
struct TableLayout {
    tree: TreeId,
    value_tree: TreeId,
    row_id: RowIdSource,
    columns: Vec<SqlType>,
    indexes: Vec<IndexLayout>,
}

#[derive(Deserialize)]
struct IndexLayout {
    tree: TreeId,
    columns: Vec<IndexColumn>,
    unique: bool,
}

#[derive(Deserialize)]
struct IndexColumn {
    column: usize,
    descending: bool,
    nulls_first: bool,
}

impl From<FirstTableDefinition> for SecondTableDefinition {
    fn from(old: FirstTableDefinition) -> SecondTableDefinition {
        let TableLayout { tree, value_tree, row_id, columns, indexes } = old.layout;
        let indexes = indexes.into_iter().map(|index| layout::IndexLayout {
            tree: index.tree,
            columns: index.columns.into_iter().map(Into::into).collect(),
            unique: index.unique,
            predicate: None,
            runtime: Arc::default(),
        });
        let layout = layout::TableLayout {
            tree,
            value_tree,
            row_id,
            columns,
            computed: Vec::new(),
            indexes: indexes.collect(),
            runtime: Arc::default(),
        };
        SecondTableDefinition {
            id: old.id,
            schema: old.schema,
            name: old.name,
            columns: old.columns,
            checks: old.checks,
            indexes: old.indexes,
            computed: Vec::new(),
            row_id_constraint: old.row_id_constraint,
            layout,
        }
    }
}

impl From<ThirdTableDefinition> for now::TableDefinition {
    fn from(old: ThirdTableDefinition) -> now::TableDefinition {
        now::TableDefinition {
            id: old.id,
            schema: old.schema,
            name: old.name,
            columns: old.columns,
            checks: old.checks,
            indexes: old.indexes,
            foreign_keys: old.foreign_keys,
            computed: old.computed,
            row_id_constraint: old.row_id_constraint,
            not_valid: Vec::new(),
            layout: old.layout,
        }
    }
}

impl From<SecondTableDefinition> for ThirdTableDefinition {
    fn from(old: SecondTableDefinition) -> ThirdTableDefinition {
        ThirdTableDefinition {
            id: old.id,
            schema: old.schema,
            name: old.name,
            columns: old.columns.into_iter().map(Into::into).collect(),
            checks: old.checks,
            indexes: old.indexes.into_iter().map(Into::into).collect(),
            foreign_keys: Vec::new(),
            computed: old.computed,
            row_id_constraint: old.row_id_constraint,
            layout: Arc::new(old.layout),
        }
    }
}

impl From<ColumnDefinition> for now::ColumnDefinition {
    fn from(old: ColumnDefinition) -> now::ColumnDefinition {
        let ColumnDefinition { name, sql_type, not_null, default } = old;
        now::ColumnDefinition { name, sql_type, not_null, default, identity: None }
    }
}

impl From<IndexDefinition> for now::IndexDefinition {
    fn from(old: IndexDefinition) -> now::IndexDefinition {
        now::IndexDefinition::new(old.id, old.name, old.constraint)
    }
}

impl From<IndexColumn> for layout::IndexColumn {
    fn from(old: IndexColumn) -> layout::IndexColumn {
        layout::IndexColumn {
            key: IndexKey::Column(old.column),
            descending: old.descending,
            nulls_first: old.nulls_first,
        }
    }
}

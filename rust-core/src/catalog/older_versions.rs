//! Definitions of tables as older versions stored them. In version 1 indexes held columns alone, and every row; in
//! version 2 there were no foreign keys, no identity columns and no deferrable keys; in version 3 every constraint was valid;
//! in version 4 nothing was said of how far pages are filled.
//! Knows how to make definitions of now of them. Nothing is written in these forms.

use crate::catalog::table_definition as now;
use crate::common::ids::{ObjectId, TreeId};
use crate::sql::types::data_type::SqlType;
use crate::table::layout::{self, IndexKey, RowIdSource};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct FourthTableDefinition {
    id: ObjectId,
    schema: String,
    name: String,
    columns: Vec<now::ColumnDefinition>,
    checks: Vec<now::CheckDefinition>,
    indexes: Vec<now::IndexDefinition>,
    foreign_keys: Vec<now::ForeignKeyDefinition>,
    computed: Vec<now::ComputedDefinition>,
    row_id_constraint: Option<String>,
    not_valid: Vec<String>,
    layout: FourthTableLayout,
}

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
    layout: FourthTableLayout,
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
    layout: FourthTableLayout,
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

/// That of versions 2 to 4.
#[derive(Deserialize)]
struct FourthTableLayout {
    tree: TreeId,
    value_tree: TreeId,
    row_id: RowIdSource,
    columns: Vec<SqlType>,
    computed: Vec<SqlType>,
    indexes: Vec<FourthIndexLayout>,
}

#[derive(Deserialize)]
struct FourthIndexLayout {
    tree: TreeId,
    columns: Vec<layout::IndexColumn>,
    unique: bool,
    predicate: Option<usize>,
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
        let indexes = indexes.into_iter().map(|index| FourthIndexLayout {
            tree: index.tree,
            columns: index.columns.into_iter().map(Into::into).collect(),
            unique: index.unique,
            predicate: None,
        });
        let (computed, indexes) = (Vec::new(), indexes.collect());
        let layout = FourthTableLayout { tree, value_tree, row_id, columns, computed, indexes };
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

impl From<FourthTableDefinition> for now::TableDefinition {
    fn from(old: FourthTableDefinition) -> now::TableDefinition {
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
            not_valid: old.not_valid,
            layout: Arc::new(old.layout.into()),
        }
    }
}

impl From<FourthTableLayout> for layout::TableLayout {
    fn from(old: FourthTableLayout) -> layout::TableLayout {
        layout::TableLayout {
            tree: old.tree,
            value_tree: old.value_tree,
            row_id: old.row_id,
            columns: old.columns,
            computed: old.computed,
            indexes: old.indexes.into_iter().map(Into::into).collect(),
            fill_percent: None,
            runtime: Arc::default(),
        }
    }
}

impl From<FourthIndexLayout> for layout::IndexLayout {
    fn from(old: FourthIndexLayout) -> layout::IndexLayout {
        layout::IndexLayout {
            tree: old.tree,
            columns: old.columns,
            unique: old.unique,
            predicate: old.predicate,
            fill_percent: None,
            runtime: Arc::default(),
        }
    }
}

impl From<ThirdTableDefinition> for FourthTableDefinition {
    fn from(old: ThirdTableDefinition) -> FourthTableDefinition {
        FourthTableDefinition {
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
            layout: old.layout,
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

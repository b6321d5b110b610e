//! Definitions of tables as version 1 stored them: indexes held columns alone, and every row.
//! Knows how to make definitions of now of them. Nothing is written in this form.

use crate::catalog::table_definition as now;
use crate::common::ids::{ObjectId, TreeId};
use crate::sql::types::data_type::SqlType;
use crate::table::layout::{self, IndexKey, RowIdSource};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
pub(super) struct TableDefinition {
    id: ObjectId,
    schema: String,
    name: String,
    columns: Vec<now::ColumnDefinition>,
    checks: Vec<now::CheckDefinition>,
    indexes: Vec<now::IndexDefinition>,
    row_id_constraint: Option<String>,
    layout: TableLayout,
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

impl From<TableDefinition> for now::TableDefinition {
    fn from(old: TableDefinition) -> now::TableDefinition {
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
        now::TableDefinition {
            id: old.id,
            schema: old.schema,
            name: old.name,
            columns: old.columns,
            checks: old.checks,
            indexes: old.indexes,
            computed: Vec::new(),
            row_id_constraint: old.row_id_constraint,
            layout: Arc::new(layout),
        }
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

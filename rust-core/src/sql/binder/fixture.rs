//! A catalog made from CREATE TABLE, CREATE INDEX and CREATE VIEW, as the session makes it, but without trees: for tests.

use super::bound::{BindOptions, BoundStatement, NewComputed, NewIndex, NewIndexKey};
use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::{ComputedDefinition, IndexDefinition, TableDefinition};
use crate::catalog::view_definition::ViewDefinition;
use crate::common::arena::Arena;
use crate::common::ids::{ObjectId, TreeId};
use crate::table::layout::{IndexColumn, IndexKey, IndexLayout, RowIdSource, TableLayout};
use std::sync::Arc;

fn add_index(table: &mut TableDefinition, index: NewIndex) {
    let mut layout = (*table.layout).clone();
    let mut add = |computed: &NewComputed| {
        let (text, shown) = (computed.text.clone(), computed.text.clone());
        table.computed.push(ComputedDefinition { text, shown });
        layout.computed.push(computed.sql_type);
        layout.computed.len() - 1
    };
    let predicate = index.predicate.as_ref().map(&mut add);
    let column = |column: &super::bound::NewIndexColumn| IndexColumn {
        key: match &column.key {
            NewIndexKey::Column(column) => IndexKey::Column(*column),
            NewIndexKey::Expression(computed) => IndexKey::Computed(add(computed)),
        },
        descending: column.descending,
        nulls_first: column.nulls_first,
    };
    let columns = index.columns.iter().map(column).collect();
    layout.indexes.push(IndexLayout {
        tree: TreeId(0),
        columns,
        unique: index.unique,
        predicate,
        fill_percent: index.storage.fill_percent,
        runtime: Default::default(),
    });
    table.layout = Arc::new(layout);
    let id = ObjectId(table.id.0 * 100 + table.indexes.len() as u32 + 1);
    table.indexes.push(IndexDefinition::new(id, index.name, index.constraint));
}

pub(in crate::sql) fn catalog(definitions: &[&str]) -> CatalogSnapshot {
    let mut catalog = CatalogSnapshot::empty();
    for (number, text) in definitions.iter().enumerate() {
        let arena = Arena::new();
        let statement = crate::sql::parser::parse(text, &arena).unwrap()[0].statement;
        match super::bind(&statement, &catalog, &BindOptions::new(text)).unwrap() {
            BoundStatement::CreateTable(create) => {
                let mut table = TableDefinition {
                    id: ObjectId(number as u32 + 1),
                    schema: create.schema,
                    name: create.name,
                    checks: create.checks,
                    indexes: Vec::new(),
                    foreign_keys: Vec::new(),
                    computed: Vec::new(),
                    row_id_constraint: create.row_id_constraint,
                    not_valid: Vec::new(),
                    layout: Arc::new(TableLayout {
                        tree: TreeId(0),
                        value_tree: TreeId(0),
                        row_id: create.row_id_column.map_or(RowIdSource::Counter, RowIdSource::Column),
                        columns: create.columns.iter().map(|column| column.sql_type).collect(),
                        computed: Vec::new(),
                        indexes: Vec::new(),
                        fill_percent: create.storage.fill_percent,
                        runtime: Default::default(),
                    }),
                    columns: create.columns,
                };
                for index in create.indexes {
                    add_index(&mut table, index);
                }
                catalog = catalog.with_table(Arc::new(table));
            }
            BoundStatement::CreateIndex(create) => {
                let mut table = (*catalog.table(None, &create.table).unwrap()).clone();
                add_index(&mut table, create.index);
                catalog = catalog.with_table(Arc::new(table));
            }
            BoundStatement::CreateView(create) => {
                let (columns, types) = create.columns.into_iter().unzip();
                catalog = catalog.with_view(Arc::new(ViewDefinition {
                    id: ObjectId(number as u32 + 1),
                    schema: create.schema,
                    name: create.name,
                    columns,
                    types,
                    query: create.query,
                    dependencies: create.dependencies,
                }));
            }
            other => panic!("not a definition: {other:?}"),
        }
    }
    catalog
}

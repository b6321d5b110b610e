//! All definitions at one moment: immutable and shared.
//!
//! Tables and indexes share one name space a schema, as in PostgreSQL. There is one schema, `public`.
//! A transaction that changes definitions makes its own snapshots; each remembers what it changed.

use crate::catalog::table_definition::TableDefinition;
use crate::catalog::view_definition::ViewDefinition;
use crate::common::ids::ObjectId;
use crate::common::sync::Arc;
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::error::{Error, Result, SqlState};
use std::collections::BTreeMap;

/// The schema that exists and that names without a schema are looked up in.
pub const PUBLIC_SCHEMA: &str = "public";

/// Versions are never used twice in a process, not even for a transaction's own snapshots: a plan made under one
/// of them can never be taken for a plan made under another.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

/// A change of one definition that a transaction made.
#[derive(Clone, Debug)]
pub enum CatalogChange {
    /// A table was made or changed.
    Put(Arc<TableDefinition>),
    /// A table was dropped.
    Remove(ObjectId),
}

/// See the module. A change makes another snapshot with a higher version.
#[derive(Clone, Debug, Default)]
pub struct CatalogSnapshot {
    version: u64,
    tables: BTreeMap<String, Arc<TableDefinition>>,
    names_by_id: BTreeMap<ObjectId, String>,
    /// Index name to its table's name and its position there.
    indexes: BTreeMap<String, (String, usize)>,
    views: BTreeMap<String, Arc<ViewDefinition>>,
    /// What differs from the committed snapshot that this one was made from, in order.
    changes: Vec<CatalogChange>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A table.
    Table(Arc<TableDefinition>),
    /// An index: its table and its position there.
    Index(Arc<TableDefinition>, usize),
}

impl CatalogSnapshot {
    /// The catalog of a new database.
    pub fn empty() -> CatalogSnapshot {
        CatalogSnapshot::default()
    }

    /// Rises with every change; a plan made under one version is bound again under another.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a schema of this name exists.
    pub fn has_schema(&self, schema: &str) -> bool {
        schema == PUBLIC_SCHEMA
    }

    /// That names can be made in `schema`.
    /// # Errors
    /// `3F000`.
    pub fn check_schema(&self, schema: Option<&str>) -> Result<()> {
        match schema {
            Some(name) if !self.has_schema(name) => {
                Err(Error::new(SqlState::UNDEFINED_SCHEMA, format!("schema \"{name}\" does not exist"))
                    .hint_near_miss(name, [PUBLIC_SCHEMA]))
            }
            _ => Ok(()),
        }
    }

    /// The table of this name; no schema means `public`.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<Arc<TableDefinition>> {
        if schema.is_some_and(|schema| !self.has_schema(schema)) {
            return None;
        }
        self.tables.get(name).cloned()
    }

    /// The table of this name.
    /// # Errors
    /// `42P01`, with a similar name as the hint; `42809` when the name is an index.
    pub fn require_table(&self, schema: Option<&str>, name: &str) -> Result<Arc<TableDefinition>> {
        if let Some(table) = self.table(schema, name) {
            return Ok(table);
        }
        if self.index(schema, name).is_some() {
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a table")));
        }
        let shown = match schema {
            Some(schema) => format!("{schema}.{name}"),
            None => name.to_owned(),
        };
        let error = Error::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"));
        match schema {
            Some(schema) if !self.has_schema(schema) => {
                Err(error.detail(format!("There is no schema \"{schema}\".")))
            }
            _ => Err(error.hint_near_miss(name, self.table_names())),
        }
    }

    /// The view of this name; no schema means `public`.
    pub fn view(&self, schema: Option<&str>, name: &str) -> Option<Arc<ViewDefinition>> {
        if schema.is_some_and(|schema| !self.has_schema(schema)) {
            return None;
        }
        self.views.get(name).cloned()
    }

    /// The table with this number.
    pub fn table_by_id(&self, id: ObjectId) -> Option<Arc<TableDefinition>> {
        self.tables.get(self.names_by_id.get(&id)?).cloned()
    }

    /// All tables, by name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableDefinition>> {
        self.tables.values()
    }

    /// Names of all tables, sorted: candidates for near misses.
    pub fn table_names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Names of all indexes, sorted.
    pub fn index_names(&self) -> impl Iterator<Item = &str> {
        self.indexes.keys().map(String::as_str)
    }

    /// The index of this name: its table and its position in `TableDefinition::indexes`.
    pub fn index(&self, schema: Option<&str>, name: &str) -> Option<(Arc<TableDefinition>, usize)> {
        if schema.is_some_and(|schema| !self.has_schema(schema)) {
            return None;
        }
        let (table, position) = self.indexes.get(name)?;
        Some((Arc::clone(self.tables.get(table)?), *position))
    }

    /// What the name stands for, table or index.
    pub fn relation(&self, schema: Option<&str>, name: &str) -> Option<Relation> {
        match self.table(schema, name) {
            Some(table) => Some(Relation::Table(table)),
            None => self.index(schema, name).map(|(table, position)| Relation::Index(table, position)),
        }
    }

    /// Whether a table, an index or the constraint of a row id has this name.
    pub fn is_name_taken(&self, schema: Option<&str>, name: &str) -> bool {
        self.relation(schema, name).is_some()
            || self.tables.values().any(|table| table.row_id_constraint.as_deref() == Some(name))
    }

    /// A name for an object that has none of its own: `base`, or `base` with the first number that is free,
    /// as PostgreSQL chooses them (`t_pkey`, `t_a_key`, `t_a_idx1`).
    pub fn free_name(&self, base: &str, taken: &[&str]) -> String {
        let free = |name: &str| !self.is_name_taken(None, name) && !taken.contains(&name);
        if free(base) {
            return base.to_owned();
        }
        let mut number = 1u32;
        loop {
            let name = format!("{base}{number}");
            if free(&name) {
                return name;
            }
            number += 1;
        }
    }

    /// The snapshot with `table` added, or put in the place of the one with its number.
    #[must_use]
    pub fn with_table(&self, table: Arc<TableDefinition>) -> CatalogSnapshot {
        let mut next = self.clone();
        next.remove(table.id);
        next.changes.push(CatalogChange::Put(Arc::clone(&table)));
        for (position, index) in table.indexes.iter().enumerate() {
            next.indexes.insert(index.name.clone(), (table.name.clone(), position));
        }
        next.names_by_id.insert(table.id, table.name.clone());
        next.tables.insert(table.name.clone(), table);
        next
    }

    /// The snapshot without the table of this number.
    #[must_use]
    pub fn without_table(&self, id: ObjectId) -> CatalogSnapshot {
        let mut next = self.clone();
        next.remove(id);
        next.changes.push(CatalogChange::Remove(id));
        next
    }

    fn remove(&mut self, id: ObjectId) {
        self.version = NEXT_VERSION.fetch_add(1, Ordering::Relaxed);
        if let Some(name) = self.names_by_id.remove(&id)
            && let Some(table) = self.tables.remove(&name)
        {
            for index in &table.indexes {
                self.indexes.remove(&index.name);
            }
        }
    }

    /// What was changed since the committed snapshot that this one was made from.
    pub fn changes(&self) -> &[CatalogChange] {
        &self.changes
    }

    /// The snapshot as the committed one that others start from.
    pub(super) fn committed(mut self) -> CatalogSnapshot {
        self.changes.clear();
        self
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::catalog::codec;
    use crate::catalog::table_definition::{ColumnDefinition, IndexDefinition};
    use crate::common::ids::TreeId;
    use crate::sql::types::data_type::{DataType, SqlType};
    use crate::table::layout::{IndexColumn, IndexLayout, RowIdSource, TableLayout};

    pub(crate) fn definition(id: u32, name: &str) -> TableDefinition {
        let sql_type = SqlType::plain(DataType::Integer);
        TableDefinition {
            id: ObjectId(id),
            schema: PUBLIC_SCHEMA.to_owned(),
            name: name.to_owned(),
            columns: vec![ColumnDefinition {
                name: "a".to_owned(),
                sql_type,
                not_null: true,
                default: Some("1 + 1".to_owned()),
            }],
            checks: Vec::new(),
            indexes: vec![IndexDefinition {
                id: ObjectId(id + 1),
                name: format!("{name}_a_idx"),
                constraint: None,
            }],
            row_id_constraint: None,
            layout: Arc::new(TableLayout {
                tree: TreeId(id * 10),
                value_tree: TreeId(id * 10 + 1),
                row_id: RowIdSource::Counter,
                columns: vec![sql_type],
                indexes: vec![IndexLayout {
                    tree: TreeId(id * 10 + 2),
                    columns: vec![IndexColumn { column: 0, descending: false, nulls_first: false }],
                    unique: false,
                    runtime: Arc::default(),
                }],
                runtime: Arc::default(),
            }),
        }
    }

    #[test]
    fn a_changed_table_takes_its_old_indexes_with_it() {
        let first = CatalogSnapshot::empty().with_table(Arc::new(definition(1, "t")));
        let mut changed = definition(1, "t");
        changed.indexes[0].name = "other".to_owned();
        let second = first.with_table(Arc::new(changed));
        assert!(second.version() > first.version());
        assert!(second.index(None, "t_a_idx").is_none());
        assert_eq!(second.index(Some("public"), "other").unwrap().1, 0);
        assert!(first.index(None, "t_a_idx").is_some(), "a snapshot does not change");
        let third = second.without_table(ObjectId(1));
        assert!(third.table(None, "t").is_none() && third.relation(None, "other").is_none());
    }

    #[test]
    fn a_missing_table_is_reported_with_a_similar_name() {
        let catalog = CatalogSnapshot::empty().with_table(Arc::new(definition(1, "users")));
        let error = catalog.require_table(None, "user").unwrap_err();
        assert_eq!(error.state(), SqlState::UNDEFINED_TABLE);
        assert_eq!(error.hint_text(), Some("Perhaps you meant \"users\"."));
        assert_eq!(
            catalog.require_table(None, "users_a_idx").unwrap_err().state(),
            SqlState::WRONG_OBJECT_TYPE
        );
        assert_eq!(catalog.check_schema(Some("pubic")).unwrap_err().state(), SqlState::UNDEFINED_SCHEMA);
        assert_eq!(catalog.free_name("users_a_idx", &["users_a_idx1"]), "users_a_idx2");
    }

    #[test]
    fn definitions_survive_their_encoding_and_damage_is_found() {
        let table = definition(7, "t");
        let bytes = codec::encode(&table).unwrap();
        assert_eq!(format!("{:?}", codec::decode(&bytes).unwrap()), format!("{table:?}"));
        for cut in 0..bytes.len() {
            assert_eq!(codec::decode(&bytes[..cut]).unwrap_err().state(), SqlState::DATA_CORRUPTED);
        }
        let mut other = bytes.clone();
        other[0] = 9;
        assert_eq!(codec::decode(&other).unwrap_err().state(), SqlState::DATA_CORRUPTED);
    }
}

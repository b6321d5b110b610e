//! All definitions at one moment: immutable and shared.
//!
//! Tables, indexes, views and sequences share one name space a schema, as in PostgreSQL. There is one schema, `public`.
//! A transaction that changes definitions makes its own snapshots; each remembers what it changed.

use crate::catalog::sequence_definition::SequenceDefinition;
use crate::catalog::table_definition::TableDefinition;
use crate::catalog::view_definition::ViewDefinition;
use crate::common::ids::ObjectId;
use crate::common::sync::Arc;
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::error::{Error, Result, SqlState};
use crate::statistics::table_statistics::TableStatistics;
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
    PutTable(Arc<TableDefinition>),
    /// A table was dropped.
    RemoveTable(ObjectId),
    /// A view was made or changed.
    PutView(Arc<ViewDefinition>),
    /// A view was dropped.
    RemoveView(ObjectId),
    /// A sequence was made or changed.
    PutSequence(Arc<SequenceDefinition>),
    /// A sequence was dropped.
    RemoveSequence(ObjectId),
    /// A table was analyzed.
    PutStatistics(ObjectId, Arc<TableStatistics>),
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
    /// The tables that refer to a table by foreign keys.
    referring: BTreeMap<ObjectId, Vec<ObjectId>>,
    sequences: BTreeMap<String, Arc<SequenceDefinition>>,
    sequence_names: BTreeMap<ObjectId, String>,
    statistics: BTreeMap<ObjectId, Arc<TableStatistics>>,
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
    /// A view.
    View(Arc<ViewDefinition>),
    /// A sequence.
    Sequence(Arc<SequenceDefinition>),
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
    /// `42P01`, with a similar name as the hint; `42809` when the name is an index or a view.
    pub fn require_table(&self, schema: Option<&str>, name: &str) -> Result<Arc<TableDefinition>> {
        if let Some(table) = self.table(schema, name) {
            return Ok(table);
        }
        if self.relation(schema, name).is_some() {
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
            _ => Err(error.hint_near_miss(name, self.table_names().chain(self.view_names()))),
        }
    }

    /// The view of this name; no schema means `public`.
    pub fn view(&self, schema: Option<&str>, name: &str) -> Option<Arc<ViewDefinition>> {
        if schema.is_some_and(|schema| !self.has_schema(schema)) {
            return None;
        }
        self.views.get(name).cloned()
    }

    /// All views, by name.
    pub fn views(&self) -> impl Iterator<Item = &Arc<ViewDefinition>> {
        self.views.values()
    }

    /// Names of all views, sorted: candidates for near misses.
    pub fn view_names(&self) -> impl Iterator<Item = &str> {
        self.views.keys().map(String::as_str)
    }

    /// The views whose queries read the table or view `id`, by name.
    pub fn views_over(&self, id: ObjectId) -> impl Iterator<Item = &Arc<ViewDefinition>> {
        self.views.values().filter(move |view| view.dependencies.contains(&id))
    }

    /// The foreign keys that refer to the table `id`, the oldest first: the table of each and its position there.
    pub fn referring(&self, id: ObjectId) -> Vec<(Arc<TableDefinition>, usize)> {
        let mut found = Vec::new();
        for table in self.referring.get(&id).into_iter().flatten() {
            let Some(table) = self.table_by_id(*table) else { continue };
            for (position, key) in table.foreign_keys.iter().enumerate() {
                if key.parent == id {
                    found.push((Arc::clone(&table), position));
                }
            }
        }
        found.sort_by_key(|(table, position)| table.foreign_keys[*position].id);
        found
    }

    /// The sequence of this name; no schema means `public`.
    pub fn sequence(&self, schema: Option<&str>, name: &str) -> Option<Arc<SequenceDefinition>> {
        if schema.is_some_and(|schema| !self.has_schema(schema)) {
            return None;
        }
        self.sequences.get(name).cloned()
    }

    /// The sequence with this number.
    pub fn sequence_by_id(&self, id: ObjectId) -> Option<&Arc<SequenceDefinition>> {
        self.sequences.get(self.sequence_names.get(&id)?)
    }

    /// All sequences, by name.
    pub fn sequences(&self) -> impl Iterator<Item = &Arc<SequenceDefinition>> {
        self.sequences.values()
    }

    /// The sequences that go with a table's columns, by name.
    pub fn sequences_owned_by(&self, table: ObjectId) -> impl Iterator<Item = &Arc<SequenceDefinition>> {
        self.sequences
            .values()
            .filter(move |sequence| sequence.owner.is_some_and(|owner| owner.table == table))
    }

    /// What ANALYZE found of a table; `None`: it was never analyzed.
    pub fn statistics(&self, table: ObjectId) -> Option<&Arc<TableStatistics>> {
        self.statistics.get(&table)
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

    /// What the name stands for: table, index, view or sequence.
    pub fn relation(&self, schema: Option<&str>, name: &str) -> Option<Relation> {
        let table = || self.table(schema, name).map(Relation::Table);
        let index = || self.index(schema, name).map(|(table, position)| Relation::Index(table, position));
        let view = || self.view(schema, name).map(Relation::View);
        let sequence = || self.sequence(schema, name).map(Relation::Sequence);
        table().or_else(index).or_else(view).or_else(sequence)
    }

    /// Whether a table, an index, a view, a sequence or the constraint of a row id has this name.
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
        self.with_change(CatalogChange::PutTable(table))
    }

    /// The snapshot without the table of this number, its indexes and its statistics.
    #[must_use]
    pub fn without_table(&self, id: ObjectId) -> CatalogSnapshot {
        self.with_change(CatalogChange::RemoveTable(id))
    }

    /// The snapshot with `view` added, or put in the place of the one with its number.
    #[must_use]
    pub fn with_view(&self, view: Arc<ViewDefinition>) -> CatalogSnapshot {
        self.with_change(CatalogChange::PutView(view))
    }

    /// The snapshot without the view of this number.
    #[must_use]
    pub fn without_view(&self, id: ObjectId) -> CatalogSnapshot {
        self.with_change(CatalogChange::RemoveView(id))
    }

    /// The snapshot with `sequence` added, or put in the place of the one with its number.
    #[must_use]
    pub fn with_sequence(&self, sequence: Arc<SequenceDefinition>) -> CatalogSnapshot {
        self.with_change(CatalogChange::PutSequence(sequence))
    }

    /// The snapshot without the sequence of this number.
    #[must_use]
    pub fn without_sequence(&self, id: ObjectId) -> CatalogSnapshot {
        self.with_change(CatalogChange::RemoveSequence(id))
    }

    /// The snapshot with what ANALYZE found of a table.
    #[must_use]
    pub fn with_statistics(&self, table: ObjectId, statistics: Arc<TableStatistics>) -> CatalogSnapshot {
        self.with_change(CatalogChange::PutStatistics(table, statistics))
    }

    /// The snapshot after a change, which it remembers.
    pub(super) fn with_change(&self, change: CatalogChange) -> CatalogSnapshot {
        let mut next = self.clone();
        next.version = NEXT_VERSION.fetch_add(1, Ordering::Relaxed);
        match &change {
            CatalogChange::PutTable(table) => {
                next.remove_table(table.id);
                for (position, index) in table.indexes.iter().enumerate() {
                    next.indexes.insert(index.name.clone(), (table.name.clone(), position));
                }
                for key in &table.foreign_keys {
                    let referring = next.referring.entry(key.parent).or_default();
                    if !referring.contains(&table.id) {
                        referring.push(table.id);
                    }
                }
                next.names_by_id.insert(table.id, table.name.clone());
                next.tables.insert(table.name.clone(), Arc::clone(table));
            }
            CatalogChange::RemoveTable(id) => {
                next.remove_table(*id);
                next.statistics.remove(id);
            }
            CatalogChange::PutView(view) => {
                next.views.retain(|_, old| old.id != view.id);
                next.views.insert(view.name.clone(), Arc::clone(view));
            }
            CatalogChange::RemoveView(id) => next.views.retain(|_, old| old.id != *id),
            CatalogChange::PutSequence(sequence) => {
                next.remove_sequence(sequence.id);
                next.sequence_names.insert(sequence.id, sequence.name.clone());
                next.sequences.insert(sequence.name.clone(), Arc::clone(sequence));
            }
            CatalogChange::RemoveSequence(id) => next.remove_sequence(*id),
            // Somebody else may have dropped the table.
            CatalogChange::PutStatistics(table, statistics) if next.names_by_id.contains_key(table) => {
                next.statistics.insert(*table, Arc::clone(statistics));
            }
            CatalogChange::PutStatistics(..) => {}
        }
        next.changes.push(change);
        next
    }

    fn remove_table(&mut self, id: ObjectId) {
        if let Some(name) = self.names_by_id.remove(&id)
            && let Some(table) = self.tables.remove(&name)
        {
            for index in &table.indexes {
                self.indexes.remove(&index.name);
            }
            for key in &table.foreign_keys {
                if let Some(referring) = self.referring.get_mut(&key.parent) {
                    referring.retain(|referring| *referring != id);
                    if referring.is_empty() {
                        self.referring.remove(&key.parent);
                    }
                }
            }
        }
    }

    fn remove_sequence(&mut self, id: ObjectId) {
        if let Some(name) = self.sequence_names.remove(&id) {
            self.sequences.remove(&name);
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
    use crate::table::layout::{IndexColumn, IndexKey, IndexLayout, RowIdSource, TableLayout};

    pub(crate) fn definition(id: u32, name: &str) -> TableDefinition {
        let sql_type = SqlType::plain(DataType::Integer);
        TableDefinition {
            id: ObjectId(id),
            schema: PUBLIC_SCHEMA.to_owned(),
            name: name.to_owned(),
            columns: vec![ColumnDefinition {
                not_null: true,
                default: Some("1 + 1".to_owned()),
                ..ColumnDefinition::new("a".to_owned(), sql_type)
            }],
            checks: Vec::new(),
            indexes: vec![IndexDefinition::new(ObjectId(id + 1), format!("{name}_a_idx"), None)],
            foreign_keys: Vec::new(),
            computed: Vec::new(),
            row_id_constraint: None,
            not_valid: Vec::new(),
            layout: Arc::new(TableLayout {
                tree: TreeId(id * 10),
                value_tree: TreeId(id * 10 + 1),
                row_id: RowIdSource::Counter,
                columns: vec![sql_type],
                computed: Vec::new(),
                indexes: vec![IndexLayout {
                    tree: TreeId(id * 10 + 2),
                    columns: vec![IndexColumn {
                        key: IndexKey::Column(0),
                        descending: false,
                        nulls_first: false,
                    }],
                    unique: false,
                    predicate: None,
                    fill_percent: None,
                    runtime: Arc::default(),
                }],
                fill_percent: None,
                runtime: Arc::default(),
            }),
        }
    }

    fn view(id: u32, name: &str, over: &[u32]) -> ViewDefinition {
        ViewDefinition {
            id: ObjectId(id),
            schema: PUBLIC_SCHEMA.to_owned(),
            name: name.to_owned(),
            columns: vec!["a".to_owned()],
            types: vec![SqlType::plain(DataType::Integer)],
            query: "SELECT a FROM t".to_owned(),
            dependencies: over.iter().map(|id| ObjectId(*id)).collect(),
        }
    }

    #[test]
    fn a_view_shares_the_names_of_tables_and_knows_what_it_reads() {
        let catalog = CatalogSnapshot::empty()
            .with_table(Arc::new(definition(1, "t")))
            .with_view(Arc::new(view(8, "v", &[1])));
        assert!(
            catalog.is_name_taken(None, "v")
                && matches!(catalog.relation(None, "v"), Some(Relation::View(_)))
        );
        assert_eq!(catalog.require_table(None, "v").unwrap_err().state(), SqlState::WRONG_OBJECT_TYPE);
        assert_eq!(catalog.views_over(ObjectId(1)).count(), 1);
        let renamed = catalog.with_view(Arc::new(view(8, "w", &[])));
        assert!(renamed.view(None, "v").is_none() && renamed.view(None, "w").is_some());
        assert!(renamed.without_view(ObjectId(8)).views().next().is_none());
    }

    #[test]
    fn statistics_go_with_their_table() {
        let catalog = CatalogSnapshot::empty().with_table(Arc::new(definition(1, "t")));
        let analyzed = catalog.with_statistics(ObjectId(1), Arc::default());
        assert!(analyzed.version() > catalog.version());
        let changed = analyzed.with_table(Arc::new(definition(1, "t")));
        assert!(changed.statistics(ObjectId(1)).is_some());
        let dropped = changed.without_table(ObjectId(1));
        assert!(dropped.statistics(ObjectId(1)).is_none());
        assert!(dropped.with_statistics(ObjectId(1), Arc::default()).statistics(ObjectId(1)).is_none());
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
        let decode = |bytes: &[u8]| codec::decode::<TableDefinition>(bytes);
        assert_eq!(format!("{:?}", decode(&bytes).unwrap()), format!("{table:?}"));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]).unwrap_err().state(), SqlState::DATA_CORRUPTED);
        }
        let mut other = bytes.clone();
        other[0] = 9;
        assert_eq!(decode(&other).unwrap_err().state(), SqlState::FEATURE_NOT_SUPPORTED);
        other[0] = 0;
        assert_eq!(decode(&other).unwrap_err().state(), SqlState::DATA_CORRUPTED);
        let mut view = view(8, "v", &[7]);
        assert_eq!(codec::decode::<ViewDefinition>(&codec::encode(&view).unwrap()).unwrap(), view);
        view.types.clear();
        let bytes = codec::encode(&view).unwrap();
        assert_eq!(codec::decode::<ViewDefinition>(&bytes).unwrap_err().state(), SqlState::DATA_CORRUPTED);
    }
}

//! DROP: what is removed, what would be left hanging, and what goes with it.

use crate::catalog::sequence_definition::SequenceDefinition;
use crate::catalog::snapshot::{CatalogSnapshot, Relation};
use crate::catalog::table_definition::TableDefinition;
use crate::catalog::view_definition::ViewDefinition;
use crate::common::ids::ObjectId;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::sequence::{defaults_over, drop_hint, needed_by_identity};
use crate::session::session::Session;
use crate::sql::binder::bound::{DropObjects, ObjectName};
use crate::table::build;
use crate::transaction::types::TableLockMode;

/// Which kind of relation a DROP names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropKind {
    Table,
    View,
    Sequence,
}

/// What is about to go.
struct Doomed {
    tables: Vec<Arc<TableDefinition>>,
    views: Vec<Arc<ViewDefinition>>,
    /// Foreign keys of tables that stay: the table and the number of each.
    foreign_keys: Vec<(ObjectId, ObjectId)>,
    sequences: Vec<Arc<SequenceDefinition>>,
    /// Defaults of tables that stay: table and column.
    defaults: Vec<(ObjectId, usize)>,
    /// Number and description of each, in the order in which they were found.
    found: Vec<(ObjectId, String)>,
}

impl Doomed {
    fn contains(&self, id: ObjectId) -> bool {
        self.found.iter().any(|(known, _)| *known == id)
    }

    fn add_table(&mut self, table: Arc<TableDefinition>) {
        if !self.contains(table.id) {
            self.found.push((table.id, format!("table {}", table.name)));
            self.tables.push(table);
        }
    }

    fn add_sequence(&mut self, sequence: Arc<SequenceDefinition>) {
        if !self.contains(sequence.id) {
            self.found.push((sequence.id, format!("sequence {}", sequence.name)));
            self.sequences.push(sequence);
        }
    }

    fn add_view(&mut self, view: Arc<ViewDefinition>) {
        if !self.contains(view.id) {
            self.found.push((view.id, format!("view {}", view.name)));
            self.views.push(view);
        }
    }
}

impl Session {
    /// DROP TABLE, DROP VIEW.
    pub(crate) fn drop_relations(
        &mut self,
        kind: DropKind,
        drop: &DropObjects,
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<()> {
        let mut doomed = Doomed {
            tables: Vec::new(),
            views: Vec::new(),
            foreign_keys: Vec::new(),
            sequences: Vec::new(),
            defaults: Vec::new(),
            found: Vec::new(),
        };
        for name in &drop.names {
            let schema = name.schema.as_deref();
            match (base.relation(schema, &name.name), kind) {
                (Some(Relation::Table(table)), DropKind::Table) => doomed.add_table(table),
                (Some(Relation::View(view)), DropKind::View) => doomed.add_view(view),
                (Some(Relation::Sequence(sequence)), DropKind::Sequence) => {
                    if let Some(refused) = needed_by_identity(&sequence, base) {
                        return Err(refused.at(name.position));
                    }
                    doomed.add_sequence(sequence);
                }
                (Some(other), DropKind::Sequence) => return Err(wrong_kind(name, "a sequence", &other)),
                (Some(other), DropKind::Table) => return Err(wrong_kind(name, "a table", &other)),
                (Some(other), DropKind::View) => return Err(wrong_kind(name, "a view", &other)),
                (None, _) => {
                    self.missing_schema(schema, name, drop.if_exists, base)?;
                    let (what, candidates): (_, Vec<&str>) = match kind {
                        DropKind::Table => ("table", base.table_names().collect()),
                        DropKind::View => ("view", base.view_names().collect()),
                        DropKind::Sequence => {
                            let names = base.sequences().map(|sequence| sequence.name.as_str());
                            ("sequence", names.collect())
                        }
                    };
                    let state = SqlState::UNDEFINED_TABLE;
                    self.missing(name, what, state, drop.if_exists, candidates.into_iter())?;
                }
            }
        }
        self.doom_dependents(drop, base, &mut doomed)?;
        self.remove(doomed, base, block)
    }

    /// Adds the views that read what goes, and those that read them; refused without CASCADE.
    fn doom_dependents(
        &mut self,
        drop: &DropObjects,
        base: &CatalogSnapshot,
        doomed: &mut Doomed,
    ) -> Result<()> {
        let named = doomed.found.len();
        let mut reasons = Vec::new();
        self.doom_sequences(base, doomed, &mut reasons);
        let mut next = 0;
        while let Some((id, description)) = doomed.found.get(next).cloned() {
            for view in
                base.views_over(id).filter(|view| !doomed.contains(view.id)).cloned().collect::<Vec<_>>()
            {
                reasons.push(format!("view {} depends on {description}", view.name));
                doomed.add_view(view);
            }
            for (table, key) in base.referring(id) {
                let key = &table.foreign_keys[key];
                if doomed.contains(table.id) || doomed.contains(key.id) {
                    continue;
                }
                let what = format!("constraint {} on table {}", key.name, table.name);
                reasons.push(format!("{what} depends on {description}"));
                doomed.found.push((key.id, what));
                doomed.foreign_keys.push((table.id, key.id));
            }
            next += 1;
        }
        if reasons.is_empty() {
            return Ok(());
        }
        if !drop.cascade {
            let message = match &doomed.found[..named] {
                [(_, only)] => format!("cannot drop {only} because other objects depend on it"),
                _ => String::from("cannot drop desired object(s) because other objects depend on them"),
            };
            return Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(reasons.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let lines: Vec<String> =
            doomed.found[named..].iter().map(|(_, what)| format!("drop cascades to {what}")).collect();
        self.notices.notice(match &lines[..] {
            [only] => Error::new(SqlState::SUCCESSFUL_COMPLETION, only.as_str()),
            _ => {
                let message = format!("drop cascades to {} other objects", lines.len());
                Error::new(SqlState::SUCCESSFUL_COMPLETION, message).detail(lines.join("\n"))
            }
        });
        Ok(())
    }

    /// Adds the sequences that go with what goes, and the defaults that draw from those that go.
    fn doom_sequences(&self, base: &CatalogSnapshot, doomed: &mut Doomed, reasons: &mut Vec<String>) {
        for table in &doomed.tables {
            for sequence in base.sequences_owned_by(table.id) {
                if !doomed.found.iter().any(|(known, _)| *known == sequence.id) {
                    doomed.sequences.push(Arc::clone(sequence));
                }
            }
        }
        let mut next = 0;
        while let Some(sequence) = doomed.sequences.get(next).cloned() {
            next += 1;
            let description = format!("sequence {}", sequence.name);
            for view in base.views_over(sequence.id).cloned().collect::<Vec<_>>() {
                if !doomed.contains(view.id) {
                    reasons.push(format!("view {} depends on {description}", view.name));
                    doomed.add_view(view);
                }
            }
            for (table, column) in defaults_over(sequence.id, base) {
                if doomed.tables.iter().any(|gone| gone.id == table.id) {
                    continue;
                }
                let what = format!(
                    "default value for column {} of table {}",
                    table.columns[column].name, table.name
                );
                reasons.push(format!("{what} depends on {description}"));
                // No object has the number: it is only listed.
                doomed.found.push((ObjectId(0), what));
                doomed.defaults.push((table.id, column));
            }
        }
    }

    fn remove(&self, doomed: Doomed, base: &CatalogSnapshot, block: &mut Block) -> Result<()> {
        if doomed.found.is_empty() {
            return Ok(());
        }
        for table in &doomed.tables {
            self.refuse_if_in_use(table, "DROP TABLE")?;
            self.refuse_if_pending(table.id, "DROP TABLE", base, block)?;
            block.transaction.lock_table(table.id, TableLockMode::AccessExclusive)?;
        }
        for (table, _) in &doomed.foreign_keys {
            self.refuse_if_pending(*table, "ALTER TABLE", base, block)?;
            block.transaction.lock_table(*table, TableLockMode::AccessExclusive)?;
        }
        for (table, _) in &doomed.defaults {
            block.transaction.lock_table(*table, TableLockMode::AccessExclusive)?;
        }
        for sequence in &doomed.sequences {
            block.transaction.lock_table(sequence.id, TableLockMode::AccessExclusive)?;
        }
        block.transaction.start_statement()?;
        let mut next = base.clone();
        for (table, key) in &doomed.foreign_keys {
            let Some(table) = next.table_by_id(*table) else { continue };
            let table = Arc::new(table.without_foreign_key(*key));
            self.engine.catalog.write_table(&mut block.transaction, &table)?;
            next = next.with_table(table);
        }
        for (table, column) in &doomed.defaults {
            let Some(table) = next.table_by_id(*table) else { continue };
            let mut table = (*table).clone();
            table.columns[*column].default = None;
            self.engine.catalog.write_table(&mut block.transaction, &table)?;
            next = next.with_table(Arc::new(table));
        }
        for sequence in &doomed.sequences {
            self.engine.catalog.remove_sequence(&mut block.transaction, sequence)?;
            next = next.without_sequence(sequence.id);
        }
        for view in &doomed.views {
            self.engine.catalog.remove_view(&mut block.transaction, view)?;
            next = next.without_view(view.id);
        }
        for table in &doomed.tables {
            build::drop_trees(&mut block.transaction, &table.layout)?;
            self.engine.catalog.remove_table(&mut block.transaction, table)?;
            next = next.without_table(table.id);
        }
        block.catalog = Some(Arc::new(next));
        block.transaction.next_command();
        Ok(())
    }

    /// DROP INDEX.
    pub(crate) fn drop_indexes(
        &mut self,
        drop: &DropObjects,
        base: Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        let mut current = base;
        for name in &drop.names {
            let Some((old, position)) = self.index_to_drop(name, drop.if_exists, &current)? else { continue };
            self.refuse_if_in_use(&old, "DROP INDEX")?;
            self.refuse_if_pending(old.id, "DROP INDEX", &current, block)?;
            for (child, key) in self.constraints_that_need(drop, name, &old, position, &current)? {
                let (key, child_name) = (&child.foreign_keys[key], &child.name);
                self.notices.notice(Error::new(
                    SqlState::SUCCESSFUL_COMPLETION,
                    format!("drop cascades to constraint {} on table {child_name}", key.name),
                ));
                self.refuse_if_pending(child.id, "ALTER TABLE", &current, block)?;
                block.transaction.lock_table(child.id, TableLockMode::AccessExclusive)?;
                let Some(now) = current.table_by_id(child.id) else { continue };
                self.put(Arc::new(now.without_foreign_key(key.id)), &current, block)?;
                if let Some(own) = &block.catalog {
                    current = Arc::clone(own);
                }
            }
            let Some(old) = current.table_by_id(old.id) else { continue };
            block.transaction.lock_table(old.id, TableLockMode::AccessExclusive)?;
            block.transaction.start_statement()?;
            block.transaction.drop_tree(old.layout.indexes[position].tree)?;
            self.put_without_index(&old, position, &current, block)?;
            if let Some(own) = &block.catalog {
                current = Arc::clone(own);
            }
        }
        Ok(())
    }

    /// The index that a DROP INDEX names; `None`: there is none, and that is fine.
    pub(super) fn index_to_drop(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        catalog: &CatalogSnapshot,
    ) -> Result<Option<(Arc<TableDefinition>, usize)>> {
        let schema = name.schema.as_deref();
        let (table, position) = match catalog.relation(schema, &name.name) {
            Some(Relation::Index(table, position)) => (table, position),
            Some(other) => return Err(wrong_kind(name, "an index", &other)),
            None => {
                let owner = catalog
                    .tables()
                    .find(|table| table.row_id_constraint.as_deref() == Some(name.name.as_str()));
                if let Some(table) = owner {
                    return Err(needed_by_constraint(name, table));
                }
                self.missing_schema(schema, name, if_exists, catalog)?;
                let state = SqlState::UNDEFINED_OBJECT;
                self.missing(name, "index", state, if_exists, catalog.index_names())?;
                return Ok(None);
            }
        };
        if table.indexes[position].constraint.is_some() {
            return Err(needed_by_constraint(name, &table));
        }
        Ok(Some((table, position)))
    }

    /// The foreign keys that refer to the index's columns and to no other index; refused without CASCADE.
    pub(super) fn constraints_that_need(
        &self,
        drop: &DropObjects,
        name: &ObjectName,
        old: &TableDefinition,
        position: usize,
        catalog: &CatalogSnapshot,
    ) -> Result<Vec<(Arc<TableDefinition>, usize)>> {
        let table = old.without_index(position);
        let needing: Vec<_> = catalog
            .referring(old.id)
            .into_iter()
            .filter(|(child, key)| table.unique_key(&child.foreign_keys[*key].parent_columns).is_none())
            .collect();
        if !needing.is_empty() && !drop.cascade {
            let line = |(child, key): &(Arc<TableDefinition>, usize)| {
                let key = &child.foreign_keys[*key].name;
                format!("constraint {key} on table {} depends on index {}", child.name, name.name)
            };
            let message = format!("cannot drop index {} because other objects depend on it", name.name);
            return Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(needing.iter().map(line).collect::<Vec<_>>().join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        Ok(needing)
    }

    /// Writes the definition without an index.
    pub(super) fn put_without_index(
        &self,
        old: &TableDefinition,
        position: usize,
        current: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<()> {
        let table = old.without_index(position);
        let computed_left = old.computed.len() == table.computed.len();
        self.put(Arc::new(table), current, block)?;
        if !computed_left
            && let Some(own) = block.catalog.clone()
            && let Some(statistics) = own.statistics(old.id)
        {
            // What is known of computed values goes by their positions, which are others now.
            let statistics = statistics.of_columns(old.columns.len());
            let transaction = &mut block.transaction;
            self.engine.catalog.write_statistics(transaction, old.id, &statistics)?;
            block.catalog = Some(Arc::new(own.with_statistics(old.id, Arc::new(statistics))));
            block.transaction.next_command();
        }
        Ok(())
    }

    /// `3F000` where what is to be dropped is named with a schema that does not exist.
    fn missing_schema(
        &self,
        schema: Option<&str>,
        name: &ObjectName,
        if_exists: bool,
        catalog: &CatalogSnapshot,
    ) -> Result<()> {
        if if_exists {
            return Ok(());
        }
        catalog.check_schema(schema).map_err(|error| error.at(name.position))
    }

    /// What is to be dropped is not there.
    fn missing<'c>(
        &mut self,
        name: &ObjectName,
        what: &str,
        state: SqlState,
        if_exists: bool,
        candidates: impl Iterator<Item = &'c str>,
    ) -> Result<()> {
        if if_exists {
            self.notices
                .notice(Error::new(state, format!("{what} \"{}\" does not exist, skipping", name.name)));
            return Ok(());
        }
        Err(Error::new(state, format!("{what} \"{}\" does not exist", name.name))
            .at(name.position)
            .hint_near_miss(&name.name, candidates))
    }
}

fn wrong_kind(name: &ObjectName, wanted: &str, found: &Relation) -> Error {
    let hint = drop_hint(found);
    Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not {wanted}", name.name))
        .at(name.position)
        .hint(hint)
}

fn needed_by_constraint(name: &ObjectName, table: &TableDefinition) -> Error {
    let index = &name.name;
    Error::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop index {index} because constraint {index} on table {} requires it", table.name),
    )
    .hint(format!("You can drop constraint {index} on table {} instead.", table.name))
    .at(name.position)
}

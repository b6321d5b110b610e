//! CREATE and DROP: definitions change inside a transaction and become everybody's when it commits.
//!
//! Transactions that change definitions run one after the other (a lock on no table in particular), so each of
//! them starts from the newest catalog. Others go on reading and writing until a table's own lock stops them.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::{ForeignKeyDefinition, IndexDefinition, TableDefinition};
use crate::common::arena::Arena;
use crate::common::ids::ObjectId;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::computed::{add_computed, computed_values, plain_key};
use crate::session::drop::DropKind;
use crate::session::parameters;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::{self, Prepared};
use crate::session::reindex::reindex_target;
use crate::session::result::PreparedKind;
use crate::session::sequence::alter_mode;
use crate::session::session::Session;
use crate::session::transactions::refuse_if_read_only;
use crate::sql::binder;
use crate::sql::binder::bound::{
    BoundStatement, ConstraintChange, CreateIndex, CreateTable, NewForeignKey, ObjectName,
};
use crate::sql::functions::registry::Environment;
use crate::sql::types::datum::Datum;
use crate::sql::types::text_form::datum_to_text;
use crate::table::build::{self, BuildOutcome};
use crate::table::layout::{IndexLayout, RowIdSource};
use crate::transaction::types::{LockOutcome, TableLockMode};
use std::collections::VecDeque;

/// Whoever changes definitions holds this lock to the end of the transaction. No object has the number.
const DEFINITIONS: ObjectId = ObjectId(0);

pub(crate) fn duplicate_relation(name: &str) -> Error {
    Error::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"))
}

/// A foreign key of the table `table`.
pub(crate) fn foreign_key(id: ObjectId, key: &NewForeignKey, table: ObjectId) -> ForeignKeyDefinition {
    ForeignKeyDefinition {
        id,
        name: key.name.clone(),
        columns: key.columns.clone(),
        parent: key.parent.unwrap_or(table),
        parent_columns: key.parent_columns.clone(),
        matching: key.matching,
        on_delete: key.on_delete.clone(),
        on_update: key.on_update.clone(),
        deferral: key.deferral,
    }
}

pub(crate) fn skipping(name: &str) -> Error {
    Error::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists, skipping"))
}

/// The tables that a statement locks because it changes what they are, or refers to them, in its order.
fn tables_of(bound: &BoundStatement, catalog: &CatalogSnapshot) -> Vec<(ObjectId, TableLockMode)> {
    let table = |name: &ObjectName| catalog.table(name.schema.as_deref(), &name.name);
    let exclusive = |id: ObjectId| (id, TableLockMode::AccessExclusive);
    let sequence =
        |name: &ObjectName| binder::find_sequence(catalog, name.schema.as_deref(), &name.name).ok();
    match bound {
        BoundStatement::CreateTable(create) => {
            let parents = create.foreign_keys.iter().filter_map(|key| key.parent);
            let parents = parents.map(|parent| (parent, TableLockMode::ShareRowExclusive));
            let copied = create.copied_tables.iter().map(|table| (*table, TableLockMode::AccessShare));
            parents.chain(copied).collect()
        }
        BoundStatement::CreateIndex(create) => catalog
            .table(Some(&create.schema), &create.table)
            .map(|table| (table.id, TableLockMode::Share))
            .into_iter()
            .collect(),
        BoundStatement::DropTable(drop) => {
            drop.names.iter().filter_map(table).map(|table| exclusive(table.id)).collect()
        }
        BoundStatement::DropIndex(drop) => {
            let found =
                drop.names.iter().filter_map(|name| catalog.index(name.schema.as_deref(), &name.name));
            found.map(|(table, _)| exclusive(table.id)).collect()
        }
        BoundStatement::AlterTable(alter) => {
            let Some(id) = alter.table else { return Vec::new() };
            let mut tables = Vec::new();
            for change in &alter.changes {
                match change {
                    ConstraintChange::AddForeignKey { key, .. } => {
                        let both = [id, key.parent.unwrap_or(id)];
                        tables.extend(both.map(|table| (table, TableLockMode::ShareRowExclusive)));
                    }
                    ConstraintChange::Validate { .. }
                    | ConstraintChange::SetStorage(..)
                    | ConstraintChange::ResetFillFactor(_) => {
                        tables.push((id, TableLockMode::ShareUpdateExclusive));
                    }
                    _ => tables.push(exclusive(id)),
                }
            }
            tables
        }
        BoundStatement::AlterSequence(alter) => {
            sequence(&alter.name).map(|id| (id, alter_mode(alter))).into_iter().collect()
        }
        BoundStatement::DropSequence(drop) => drop.names.iter().filter_map(sequence).map(exclusive).collect(),
        BoundStatement::Truncate(targets) => {
            let mut tables: Vec<_> = targets.iter().map(|target| exclusive(target.table)).collect();
            tables.sort_unstable();
            tables
        }
        BoundStatement::Reindex(reindex) => {
            reindex_target(reindex, catalog).ok().into_iter().map(|target| target.lock()).collect()
        }
        _ => Vec::new(),
    }
}

impl Session {
    /// Runs a CREATE or DROP.
    pub(crate) fn execute_definition(
        &mut self,
        statement: &Arc<Prepared>,
        parameters: &[Datum],
    ) -> Result<Portal> {
        if self.run_alone(statement)? {
            let state = PortalState::complete(VecDeque::new(), None);
            return Ok(Portal::new(Arc::clone(statement.columns()), statement.kind(), state));
        }
        let parameters = parameters::converted(parameters, statement.parameters(), &self.environment)?;
        let rows =
            self.in_block(|session, block| session.change_definitions(statement, &parameters, block))?;
        let state = PortalState::complete(VecDeque::new(), rows);
        Ok(Portal::new(Arc::clone(statement.columns()), statement.kind(), state))
    }

    /// Runs a statement that is no part of a transaction; false: this is none.
    fn run_alone(&mut self, statement: &Prepared) -> Result<bool> {
        let kind = statement.kind();
        if !matches!(kind, PreparedKind::CreateIndex | PreparedKind::DropIndex | PreparedKind::Reindex) {
            return Ok(false);
        }
        let (_, catalog) = self.current_catalog();
        let arena = Arena::new();
        match prepared::bind_again(statement, &catalog, &arena)? {
            BoundStatement::CreateIndex(create) if create.concurrently => {
                self.create_index_concurrently(statement)?;
            }
            BoundStatement::DropIndex(drop) if drop.concurrently => {
                self.drop_index_concurrently(statement)?
            }
            BoundStatement::Reindex(reindex) if reindex.concurrently || reindex.is_of_many() => {
                self.reindex_alone(statement, &reindex)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Gives the rows that CREATE TABLE AS put into its table.
    fn change_definitions(
        &mut self,
        statement: &Prepared,
        parameters: &[Datum],
        block: &mut Block,
    ) -> Result<Option<u64>> {
        refuse_if_read_only(block, statement.kind())?;
        self.lock_tables_before(statement, block)?;
        let base = self.lock_definitions(block)?;
        let arena = Arena::new();
        match prepared::bind_again(statement, &base, &arena)? {
            BoundStatement::CreateTable(create) => {
                self.create_table(&create, &base, block)?;
            }
            BoundStatement::CreateTableAs(create) => {
                return self.create_table_as(*create, parameters, &base, block);
            }
            BoundStatement::CreateIndex(create) => self.create_index(create, &base, block)?,
            BoundStatement::CreateView(create) => self.create_view(create, &base, block)?,
            BoundStatement::DropTable(drop) => {
                self.drop_relations(DropKind::Table, &drop, &base, block)?;
            }
            BoundStatement::DropView(drop) => self.drop_relations(DropKind::View, &drop, &base, block)?,
            BoundStatement::CreateSequence(create) => self.create_sequence(create, &base, block)?,
            BoundStatement::AlterSequence(alter) => self.alter_sequence(&alter, &base, block)?,
            BoundStatement::DropSequence(drop) => {
                self.drop_relations(DropKind::Sequence, &drop, &base, block)?;
            }
            BoundStatement::DropIndex(drop) => self.drop_indexes(&drop, base, block)?,
            BoundStatement::AlterTable(alter) => self.alter_table(alter, &base, block)?,
            BoundStatement::Reindex(reindex) => self.reindex(&reindex, &base, block)?,
            BoundStatement::Truncate(targets) => self.truncate(targets, &base, block)?,
            _ => return Err(Error::internal("not a definition")),
        }
        Ok(None)
    }

    /// Locks the tables whose definitions the statement is about, before it keeps others from changing definitions: who
    /// waits for a table holds up nobody at another one. What is not foreseen here is locked later.
    fn lock_tables_before(&self, statement: &Prepared, block: &mut Block) -> Result<()> {
        // Otherwise it would wait for queries of its own; that is refused later.
        while !self.has_open_queries() {
            let (_, catalog) = self.catalog_of(block);
            let arena = Arena::new();
            let Ok(bound) = prepared::bind_again(statement, &catalog, &arena) else { break };
            let mut has_waited = false;
            for (table, mode) in tables_of(&bound, &catalog) {
                has_waited |= block.transaction.lock_table(table, mode)? == LockOutcome::GrantedAfterWait;
            }
            // Who was waited for may have changed what the names stand for.
            if !has_waited {
                break;
            }
        }
        Ok(())
    }

    /// As `lock_definitions`, if that needs no waiting.
    pub(crate) fn try_lock_definitions(&self, block: &mut Block) -> Result<Option<Arc<CatalogSnapshot>>> {
        match block.transaction.try_lock_table(DEFINITIONS, TableLockMode::Exclusive)? {
            true => self.lock_definitions(block).map(Some),
            false => Ok(None),
        }
    }

    /// Keeps others from changing definitions until the transaction ends; gives those that are in force.
    pub(crate) fn lock_definitions(&self, block: &mut Block) -> Result<Arc<CatalogSnapshot>> {
        block.transaction.lock_table(DEFINITIONS, TableLockMode::Exclusive)?;
        if let Some(own) = &block.catalog {
            return Ok(Arc::clone(own));
        }
        // The last holder of the lock may still be publishing.
        self.engine.definitions.stable_epoch();
        Ok(self.engine.catalog.current())
    }

    /// Makes a table; `None`: there is one already, and that is fine.
    pub(crate) fn create_table(
        &mut self,
        create: &CreateTable,
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<Option<Arc<TableDefinition>>> {
        base.check_schema(Some(&create.schema)).map_err(|error| error.at(create.position))?;
        if base.is_name_taken(Some(&create.schema), &create.name) {
            if create.if_not_exists {
                self.notices.notice(skipping(&create.name));
                return Ok(None);
            }
            return Err(duplicate_relation(&create.name).at(create.position));
        }
        for index in &create.indexes {
            if base.is_name_taken(Some(&create.schema), &index.name) || index.name == create.name {
                return Err(duplicate_relation(&index.name).at(create.position));
            }
        }
        if let Some(name) = &create.row_id_constraint
            && (base.is_name_taken(Some(&create.schema), name) || *name == create.name)
        {
            return Err(duplicate_relation(name).at(create.position));
        }
        Session::check_sequence_names(create, base)?;
        let transaction = &mut block.transaction;
        transaction.start_statement()?;
        let mut layout = build::create_trees(
            transaction,
            create.row_id_column.map_or(RowIdSource::Counter, RowIdSource::Column),
            create.columns.iter().map(|column| column.sql_type).collect(),
            create.indexes.iter().map(|index| (plain_key(index), index.unique)).collect(),
        )?;
        layout.fill_percent = create.storage.fill_percent;
        self.notices.warn_without_effect(&create.storage);
        if let Some(name) = &create.row_id_constraint {
            self.notices.warn_of_row_id(name, &create.row_id_storage);
        }
        let id = self.engine.catalog.next_object_id(transaction)?;
        let mut indexes = Vec::with_capacity(create.indexes.len());
        for (index, layout) in create.indexes.iter().zip(&mut layout.indexes) {
            layout.fill_percent = index.storage.fill_percent;
            self.notices.warn_without_effect(&index.storage);
            let id = self.engine.catalog.next_object_id(transaction)?;
            let deferral = index.deferral;
            let index = IndexDefinition::new(id, index.name.clone(), index.constraint);
            indexes.push(IndexDefinition { deferral, ..index });
        }
        let mut foreign_keys = Vec::with_capacity(create.foreign_keys.len());
        for key in &create.foreign_keys {
            if let Some(parent) = key.parent {
                transaction.lock_table(parent, TableLockMode::ShareRowExclusive)?;
            }
            let key_id = self.engine.catalog.next_object_id(transaction)?;
            foreign_keys.push(foreign_key(key_id, key, id));
        }
        let mut columns = create.columns.clone();
        let sequences = self.column_sequences(create, id, &mut columns, block)?;
        let table = Arc::new(TableDefinition {
            id,
            schema: create.schema.clone(),
            name: create.name.clone(),
            columns,
            checks: create.checks.clone(),
            indexes,
            foreign_keys,
            computed: Vec::new(),
            row_id_constraint: create.row_id_constraint.clone(),
            not_valid: Vec::new(),
            layout: Arc::new(layout),
        });
        let base = sequences.into_iter().fold(base.clone(), |base, sequence| base.with_sequence(sequence));
        self.put(Arc::clone(&table), &base, block)?;
        for index in &create.other_indexes {
            let index = CreateIndex {
                schema: create.schema.clone(),
                table: create.name.clone(),
                index: index.clone(),
                position: create.position,
                if_not_exists: false,
                concurrently: false,
            };
            let own = self.catalog_of(block).1;
            self.create_index(index, &own, block)?;
        }
        Ok(Some(table))
    }

    /// Writes a definition and makes it the transaction's.
    pub(crate) fn put(
        &self,
        table: Arc<TableDefinition>,
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<()> {
        self.engine.catalog.write_table(&mut block.transaction, &table)?;
        block.catalog = Some(Arc::new(base.with_table(table)));
        block.transaction.next_command();
        Ok(())
    }

    fn create_index(&mut self, create: CreateIndex, base: &CatalogSnapshot, block: &mut Block) -> Result<()> {
        if base.is_name_taken(Some(&create.schema), &create.index.name) {
            if create.if_not_exists {
                self.notices.notice(skipping(&create.index.name));
                return Ok(());
            }
            return Err(duplicate_relation(&create.index.name).at(create.position));
        }
        let old = base.require_table(Some(&create.schema), &create.table)?;
        self.refuse_if_in_use(&old, "CREATE INDEX")?;
        block.transaction.lock_table(old.id, TableLockMode::Share)?;
        // After the lock, so that the snapshot has every row.
        block.transaction.start_statement()?;
        let mut table = (*old).clone();
        let mut layout = (*old.layout).clone();
        let (parts, predicate) = add_computed(&mut table, &mut layout, &create.index);
        self.notices.warn_without_effect(&create.index.storage);
        let tree = build::create_index_tree(&mut block.transaction, parts, create.index.unique, predicate)?;
        layout.indexes.push(IndexLayout { fill_percent: create.index.storage.fill_percent, ..tree });
        table.layout = Arc::new(layout);
        let id = self.engine.catalog.next_object_id(&mut block.transaction)?;
        table.indexes.push(IndexDefinition::new(id, create.index.name.clone(), create.index.constraint));
        let position = table.layout.indexes.len() - 1;
        let computed = computed_values(&table)?;
        let manager = &self.engine.manager;
        let outcome =
            build::build_index(manager, &mut block.transaction, &table.layout, position, &computed)?;
        if let BuildOutcome::Duplicate(values) = outcome {
            return Err(self.not_unique(&table, position, &values));
        }
        self.put(Arc::new(table), base, block)
    }

    /// Rows already have one key twice.
    pub(crate) fn not_unique(&self, table: &TableDefinition, position: usize, values: &[Datum]) -> Error {
        let name = table.indexes[position].name.as_str();
        let environment = self.environment.casts();
        let mut names = Vec::new();
        let mut texts = Vec::new();
        for (part, value) in table.layout.indexes[position].columns.iter().zip(values) {
            names.push(table.key_text(part.key));
            let mut text = String::new();
            let data_type = table.layout.key_type(part.key).data_type;
            datum_to_text(value.as_ref(), data_type, &environment, &mut text);
            texts.push(text);
        }
        Error::new(SqlState::UNIQUE_VIOLATION, format!("could not create unique index \"{name}\""))
            .detail(format!("Key ({})=({}) is duplicated.", names.join(", "), texts.join(", ")))
            .schema(table.schema.as_str())
            .table(table.name.as_str())
            .constraint(name)
    }

    /// A table cannot change under a query of this very session that still reads it.
    pub(crate) fn refuse_if_in_use(&self, table: &TableDefinition, what: &str) -> Result<()> {
        if self.has_open_queries() {
            return Err(Error::new(
                SqlState::OBJECT_IN_USE,
                format!(
                    "cannot {what} \"{}\" because it is being used by active queries in this session",
                    table.name
                ),
            ));
        }
        Ok(())
    }
}

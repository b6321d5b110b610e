//! ALTER TABLE: columns are added; storage parameters change; constraints are added, when every row has been looked at, or NOT VALID and validated
//! later, and dropped.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::{
    CheckDefinition, ConstraintKind, ForeignKeyMatching, IndexDefinition, TableDefinition,
};
use crate::common::arena::Arena;
use crate::common::ids::ObjectId;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::computed::{computed_values, plain_key};
use crate::session::definition::foreign_key;
use crate::session::prepared::{self, Stamp};
use crate::session::session::Session;
use crate::sql::binder::bound::{
    AlterTable, ConstraintChange, NewForeignKey, NewIndex, NewIndexKey, StorageOwner,
};
use crate::sql::executor;
use crate::sql::functions::quote_identifier;
use crate::sql::functions::registry::Environment;
use crate::sql::types::datum::Datum;
use crate::sql::types::text_form::datum_to_text;
use crate::table::build::{self, BuildOutcome};
use crate::table::layout::IndexLayout;
use crate::transaction::types::TableLockMode;

pub(super) fn quoted(name: &str) -> String {
    let mut text = String::new();
    quote_identifier(name, &mut text);
    text
}

/// The columns' names, each behind `before`.
pub(super) fn listed(table: &TableDefinition, columns: &[usize], before: &str) -> Vec<String> {
    columns.iter().map(|column| format!("{before}{}", quoted(&table.columns[*column].name))).collect()
}

/// A new statement begins, with a snapshot of its own where the level gives it one.
fn start_anew(block: &mut Block) -> Result<()> {
    block.transaction.end_statement();
    block.transaction.start_statement()?;
    Ok(())
}

impl Session {
    /// ALTER TABLE.
    pub(crate) fn alter_table(
        &mut self,
        alter: AlterTable,
        base: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        let Some(id) = alter.table else {
            let message = format!("relation \"{}\" does not exist, skipping", alter.name.name);
            self.notices.notice(Error::new(SqlState::UNDEFINED_TABLE, message));
            return Ok(());
        };
        self.refuse_if_pending(id, "ALTER TABLE", base, block)?;
        let mut current = Arc::clone(base);
        for change in alter.changes {
            let missing = || Error::internal("a table went away while it was changed");
            let table = current.table_by_id(id).ok_or_else(missing)?;
            self.refuse_if_in_use(&table, "ALTER TABLE")?;
            match change {
                ConstraintChange::AddColumn { column, if_not_exists, position } => {
                    if table.column_index(&column.name).is_none() {
                        self.add_column(&table, (&column, position), &current, block)?;
                    } else {
                        let known = format!(
                            "column \"{}\" of relation \"{}\" already exists",
                            column.name, table.name
                        );
                        if !if_not_exists {
                            return Err(Error::new(SqlState::DUPLICATE_COLUMN, known));
                        }
                        let notice = Error::new(SqlState::DUPLICATE_COLUMN, format!("{known}, skipping"));
                        self.notices.notice(notice);
                    }
                }
                ConstraintChange::AddForeignKey { key, is_valid } => {
                    self.add_foreign_key(&table, &key, is_valid, &current, block)?
                }
                ConstraintChange::AddCheck { check, is_valid } => {
                    block.transaction.lock_table(id, TableLockMode::AccessExclusive)?;
                    let mut changed = (*table).clone();
                    if is_valid {
                        self.look_for_broken_check(&table, &check, &current, block)?;
                    } else {
                        start_anew(block)?;
                        changed.not_valid.push(check.name.clone());
                    }
                    changed.checks.push(check);
                    self.put(Arc::new(changed), &current, block)?;
                }
                ConstraintChange::Validate { name, position } => {
                    let validated = self.validate_constraint(&table, &name, &current, block);
                    validated.map_err(|error| match error.position() {
                        None if error.state() == SqlState::UNDEFINED_OBJECT => error.at(position),
                        _ => error,
                    })?;
                }
                ConstraintChange::AddKey(index) => self.add_key(&table, &index, &current, block)?,
                ConstraintChange::SetStorage(owner, parameters) => {
                    if owner == StorageOwner::RowId {
                        let name = table.row_id_constraint.as_deref().unwrap_or_default();
                        self.notices.warn_of_row_id(name, &parameters);
                    } else {
                        self.notices.warn_without_effect(&parameters);
                    }
                    if parameters.fill_percent.is_some() {
                        self.set_fill_percent(&table, owner, parameters.fill_percent, &current, block)?;
                    }
                }
                ConstraintChange::ResetFillFactor(owner) => {
                    self.set_fill_percent(&table, owner, None, &current, block)?;
                }
                ConstraintChange::Drop { name, position, if_exists, cascade } => {
                    self.drop_constraint(&table, &name, (if_exists, cascade), &current, block)
                        .map_err(|error| error.at(position))?;
                }
            }
            if let Some(own) = &block.catalog {
                current = Arc::clone(own);
            }
        }
        Ok(())
    }

    /// Another fillfactor of a table or an index: of what is written from the commit on. Others go on meanwhile.
    fn set_fill_percent(
        &mut self,
        table: &Arc<TableDefinition>,
        owner: StorageOwner,
        percent: Option<u8>,
        current: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        block.transaction.lock_table(table.id, TableLockMode::ShareUpdateExclusive)?;
        let mut layout = (*table.layout).clone();
        match owner {
            StorageOwner::Table => layout.fill_percent = percent,
            StorageOwner::Index(id) => {
                let position = table.indexes.iter().position(|index| index.id == id);
                let position = position.ok_or_else(|| Error::internal("an index went away"))?;
                layout.indexes[position].fill_percent = percent;
            }
            StorageOwner::RowId => return Ok(()),
        }
        start_anew(block)?;
        let mut changed = (**table).clone();
        changed.layout = Arc::new(layout);
        self.put(Arc::new(changed), current, block)
    }

    /// The first row of a query about what is there, after the locks were taken.
    pub(super) fn first_row(
        &self,
        sql: &str,
        catalog: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<Option<Vec<Datum>>> {
        let arena = Arena::new();
        let (Some(bound), _) = prepared::bind_own(sql, catalog, &arena)? else { return Ok(None) };
        let stamp = Stamp::Own(Arc::clone(catalog));
        let plan = prepared::plan(bound.statement, stamp, catalog, &self.engine)?;
        // After the locks, so that the snapshot has every row.
        block.transaction.end_statement();
        block.transaction.start_statement()?;
        let mut context = self.context(block, &[]);
        let mut execution = executor::start(Arc::clone(&plan.physical), &mut context)?;
        let Some(batch) = execution.next(&mut context)? else { return Ok(None) };
        let row = batch.row_numbers().next();
        Ok(row.map(|row| batch.columns.iter().map(|column| column.datum(row).to_owned()).collect()))
    }

    fn texts(&self, table: &TableDefinition, columns: &[usize], values: &[Datum]) -> String {
        let casts = self.environment.casts();
        let text = |(column, value): (&usize, &Datum)| {
            let mut text = String::new();
            datum_to_text(value.as_ref(), table.columns[*column].sql_type.data_type, &casts, &mut text);
            text
        };
        columns.iter().zip(values).map(text).collect::<Vec<_>>().join(", ")
    }

    /// Refuses a check that a row breaks.
    fn look_for_broken_check(
        &self,
        table: &TableDefinition,
        check: &CheckDefinition,
        current: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        let name = quoted(&table.name);
        let broken = format!("SELECT 1 FROM {name} WHERE NOT ({}) LIMIT 1", check.condition);
        if self.first_row(&broken, current, block)?.is_none() {
            return Ok(());
        }
        let message = format!(
            "check constraint \"{}\" of relation \"{}\" is violated by some row",
            check.name, table.name
        );
        Err(Error::new(SqlState::CHECK_VIOLATION, message)
            .schema(table.schema.as_str())
            .table(table.name.as_str())
            .constraint(check.name.as_str()))
    }

    fn add_foreign_key(
        &mut self,
        table: &Arc<TableDefinition>,
        key: &NewForeignKey,
        is_valid: bool,
        current: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        let parent = key.parent.unwrap_or(table.id);
        for id in [table.id, parent] {
            block.transaction.lock_table(id, TableLockMode::ShareRowExclusive)?;
        }
        let mut changed = (**table).clone();
        if is_valid {
            self.look_for_broken_reference(table, key, current, block)?;
        } else {
            start_anew(block)?;
            changed.not_valid.push(key.name.clone());
        }
        let id = self.engine.catalog.next_object_id(&mut block.transaction)?;
        changed.foreign_keys.push(foreign_key(id, key, table.id));
        self.put(Arc::new(changed), current, block)
    }

    /// VALIDATE CONSTRAINT: others go on reading and writing meanwhile, for what they write is checked already.
    fn validate_constraint(
        &mut self,
        table: &Arc<TableDefinition>,
        name: &str,
        current: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        block.transaction.lock_table(table.id, TableLockMode::ShareUpdateExclusive)?;
        if !table.has_constraint(name) {
            let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
            return Err(Error::new(SqlState::UNDEFINED_OBJECT, message));
        }
        let key = table.foreign_keys.iter().find(|key| key.name == name);
        let check = table.checks.iter().find(|check| check.name == name);
        if key.is_none() && check.is_none() {
            let message = format!(
                "constraint \"{name}\" of relation \"{}\" is not a foreign key or check constraint",
                table.name
            );
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        if table.is_valid(name) {
            return Ok(());
        }
        if let Some(key) = key {
            block.transaction.lock_table(key.parent, TableLockMode::RowShare)?;
            let key = NewForeignKey {
                name: key.name.clone(),
                columns: key.columns.clone(),
                parent: Some(key.parent),
                parent_columns: key.parent_columns.clone(),
                matching: key.matching,
                on_delete: key.on_delete.clone(),
                on_update: key.on_update.clone(),
                deferral: key.deferral,
            };
            self.look_for_broken_reference(table, &key, current, block)?;
        }
        if let Some(check) = check {
            self.look_for_broken_check(table, check, current, block)?;
        }
        let mut changed = (**table).clone();
        changed.not_valid.retain(|known| known != name);
        self.put(Arc::new(changed), current, block)
    }

    /// Refuses a foreign key that a row breaks.
    fn look_for_broken_reference(
        &self,
        table: &TableDefinition,
        key: &NewForeignKey,
        current: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        let parent_id = key.parent.unwrap_or(table.id);
        let missing = || Error::internal("a table that is referred to went away");
        let parent = current.table_by_id(parent_id).ok_or_else(missing)?;
        let own = listed(table, &key.columns, "fk.");
        let others = listed(&parent, &key.parent_columns, "pk.");
        let error = || {
            let message = format!(
                "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
                table.name, key.name
            );
            Error::new(SqlState::FOREIGN_KEY_VIOLATION, message)
                .schema(table.schema.as_str())
                .table(table.name.as_str())
                .constraint(key.name.as_str())
        };
        let join = |pairs: Vec<String>, with: &str| pairs.join(with);
        if key.matching == ForeignKeyMatching::Full && key.columns.len() > 1 {
            let is_null = |name: &String| format!("{name} IS NULL");
            let is_there = |name: &String| format!("{name} IS NOT NULL");
            let mixed = format!(
                "SELECT 1 FROM {} fk WHERE ({}) AND ({}) LIMIT 1",
                quoted(&table.name),
                join(own.iter().map(is_null).collect(), " OR "),
                join(own.iter().map(is_there).collect(), " OR "),
            );
            if self.first_row(&mixed, current, block)?.is_some() {
                return Err(
                    error().detail("MATCH FULL does not allow mixing of null and nonnull key values.")
                );
            }
        }
        let equal = |(own, other): (&String, &String)| format!("{own} = {other}");
        let there = |name: &String| format!("{name} IS NOT NULL");
        let broken = format!(
            "SELECT {} FROM {} fk WHERE {} AND NOT EXISTS (SELECT 1 FROM {} pk WHERE {}) LIMIT 1",
            own.join(", "),
            quoted(&table.name),
            join(own.iter().map(there).collect(), " AND "),
            quoted(&parent.name),
            join(own.iter().zip(&others).map(equal).collect(), " AND "),
        );
        if let Some(values) = self.first_row(&broken, current, block)? {
            return Err(error().detail(format!(
                "Key ({})=({}) is not present in table \"{}\".",
                listed_plain(table, &key.columns),
                self.texts(table, &key.columns, &values),
                parent.name
            )));
        }
        Ok(())
    }

    fn add_key(
        &mut self,
        old: &Arc<TableDefinition>,
        index: &NewIndex,
        current: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        block.transaction.lock_table(old.id, TableLockMode::AccessExclusive)?;
        let columns: Vec<usize> = index
            .columns
            .iter()
            .filter_map(|part| match part.key {
                NewIndexKey::Column(column) => Some(column),
                NewIndexKey::Expression(_) => None,
            })
            .collect();
        let name = quoted(&old.name);
        let mut table = (**old).clone();
        if index.constraint == Some(ConstraintKind::PrimaryKey) {
            columns.iter().for_each(|column| table.columns[*column].not_null = true);
        }
        if !index.unique {
            let list = listed(old, &columns, "").join(", ");
            let there = listed(old, &columns, "").join(" IS NOT NULL AND ");
            let twice = format!(
                "SELECT {list} FROM {name} WHERE {there} IS NOT NULL GROUP BY {list} HAVING count(*) > 1 LIMIT 1"
            );
            if let Some(values) = self.first_row(&twice, current, block)? {
                let message = format!("could not create unique index \"{}\"", index.name);
                return Err(Error::new(SqlState::UNIQUE_VIOLATION, message)
                    .detail(format!(
                        "Key ({})=({}) is duplicated.",
                        listed_plain(old, &columns),
                        self.texts(old, &columns, &values)
                    ))
                    .schema(old.schema.as_str())
                    .table(old.name.as_str())
                    .constraint(index.name.as_str()));
            }
        }
        block.transaction.end_statement();
        block.transaction.start_statement()?;
        let mut layout = (*old.layout).clone();
        let tree = build::create_index_tree(&mut block.transaction, plain_key(index), index.unique, None)?;
        layout.indexes.push(IndexLayout { fill_percent: index.storage.fill_percent, ..tree });
        self.notices.warn_without_effect(&index.storage);
        table.layout = Arc::new(layout);
        let id = self.engine.catalog.next_object_id(&mut block.transaction)?;
        let definition = IndexDefinition::new(id, index.name.clone(), index.constraint);
        table.indexes.push(IndexDefinition { deferral: index.deferral, ..definition });
        let position = table.layout.indexes.len() - 1;
        let computed = computed_values(&table)?;
        let manager = &self.engine.manager;
        let outcome =
            build::build_index(manager, &mut block.transaction, &table.layout, position, &computed)?;
        if let BuildOutcome::Duplicate(values) = outcome {
            return Err(self.not_unique(&table, position, &values));
        }
        if index.constraint == Some(ConstraintKind::PrimaryKey) {
            for column in columns.iter().copied() {
                let shown = quoted(&old.columns[column].name);
                let nulls = format!("SELECT 1 FROM {name} WHERE {shown} IS NULL LIMIT 1");
                if !old.columns[column].not_null && self.first_row(&nulls, current, block)?.is_some() {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" contains null values",
                        old.columns[column].name, old.name
                    );
                    return Err(Error::new(SqlState::NOT_NULL_VIOLATION, message)
                        .schema(old.schema.as_str())
                        .table(old.name.as_str())
                        .column(old.columns[column].name.as_str()));
                }
            }
        }
        self.put(Arc::new(table), current, block)
    }

    fn drop_constraint(
        &mut self,
        table: &Arc<TableDefinition>,
        name: &str,
        (if_exists, cascade): (bool, bool),
        current: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        if !table.has_constraint(name) {
            let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
            if if_exists {
                let message = format!("{message}, skipping");
                self.notices.notice(Error::new(SqlState::UNDEFINED_OBJECT, message));
                return Ok(());
            }
            return Err(Error::new(SqlState::UNDEFINED_OBJECT, message));
        }
        if table.row_id_constraint.as_deref() == Some(name) {
            return Err(Error::not_supported("dropping an integer primary key"));
        }
        block.transaction.lock_table(table.id, TableLockMode::AccessExclusive)?;
        block.transaction.end_statement();
        block.transaction.start_statement()?;
        let constraint = |index: &IndexDefinition| index.constraint.is_some() && index.name == name;
        let Some(position) = table.indexes.iter().position(constraint) else {
            let mut changed = (**table).clone();
            changed.checks.retain(|check| check.name != name);
            changed.foreign_keys.retain(|key| key.name != name);
            changed.not_valid.retain(|known| known != name);
            return self.put(Arc::new(changed), current, block);
        };
        let changed = table.without_index(position);
        let mut next = Arc::clone(current);
        let mut lines = Vec::new();
        let mut needing: Vec<(ObjectId, ObjectId)> = Vec::new();
        for (child, key) in current.referring(table.id) {
            let key = &child.foreign_keys[key];
            if changed.unique_key(&key.parent_columns).is_none() {
                lines.push((key.name.clone(), child.name.clone()));
                needing.push((child.id, key.id));
            }
        }
        if !lines.is_empty() && !cascade {
            let message = format!(
                "cannot drop constraint {name} on table {} because other objects depend on it",
                table.name
            );
            let line = |(key, child): &(String, String)| {
                format!("constraint {key} on table {child} depends on index {name}")
            };
            return Err(Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(lines.iter().map(line).collect::<Vec<_>>().join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for ((key, child), (child_id, key_id)) in lines.iter().zip(needing) {
            let message = format!("drop cascades to constraint {key} on table {child}");
            self.notices.notice(Error::new(SqlState::SUCCESSFUL_COMPLETION, message));
            self.refuse_if_pending(child_id, "ALTER TABLE", current, block)?;
            block.transaction.lock_table(child_id, TableLockMode::AccessExclusive)?;
            let Some(child) = next.table_by_id(child_id) else { continue };
            self.put(Arc::new(child.without_foreign_key(key_id)), &next, block)?;
            if let Some(own) = &block.catalog {
                next = Arc::clone(own);
            }
        }
        let Some(table) = next.table_by_id(table.id) else { return Ok(()) };
        block.transaction.drop_tree(table.layout.indexes[position].tree)?;
        self.put(Arc::new(table.without_index(position)), &next, block)
    }
}

/// The columns' names as messages show them.
fn listed_plain(table: &TableDefinition, columns: &[usize]) -> String {
    columns.iter().map(|column| table.columns[*column].name.as_str()).collect::<Vec<_>>().join(", ")
}

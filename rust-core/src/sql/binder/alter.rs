//! ALTER TABLE: columns added, constraints added and dropped, storage parameters of tables and indexes, as plain data.
//! Other changes are not there yet.

use crate::catalog::snapshot::Relation;
use crate::catalog::table_definition::{CheckDefinition, ConstraintKind, Deferral, TableDefinition};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::define::{self as ast, AlterActionKind, ObjectKind, TableConstraintKind};
use crate::sql::ast::{Name, Span};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{
    AlterTable, BoundStatement, ConstraintChange, NewIndex, NewIndexColumn, NewIndexKey, ObjectName,
    StorageOwner, StorageParameters,
};
use crate::sql::binder::define::{
    bind_index_options, check_index_columns, check_nulls_distinct, included_columns, no_key_column,
};
use crate::sql::binder::foreign_key::{
    ForeignKeyDraft, Parent, bind_foreign_key, deferral_of, is_constraint_name_free, key_columns,
    refuse_not_valid,
};
use crate::sql::binder::from::table_relation;
use crate::sql::binder::key_names::{first_free, index_name, joined_columns};
use crate::sql::binder::scope::{Context, Place, Scope};
use crate::sql::binder::storage_parameter::{StorageOf, bind_storage_parameters, resets_fill_factor};
use crate::sql::binder::walk;
use std::sync::Arc;

impl Binder<'_> {
    pub(super) fn bind_alter_table(&mut self, alter: &ast::AlterTable<'_>) -> Result<BoundStatement> {
        let refuse = |span: Span| Err(Error::not_supported("ALTER").at(span.position()));
        let is_storage = |action: &ast::AlterAction<'_>| {
            matches!(action.kind, AlterActionKind::SetStorage(_) | AlterActionKind::ResetStorage(_))
        };
        let is_all_storage = alter.actions.iter().all(is_storage);
        if alter.kind != ObjectKind::Table && !(alter.kind == ObjectKind::Index && is_all_storage) {
            return refuse(alter.span);
        }
        let is_known = |kind: &AlterActionKind<'_>| {
            matches!(
                kind,
                AlterActionKind::AddColumn { .. }
                    | AlterActionKind::AddConstraint(_)
                    | AlterActionKind::DropConstraint { .. }
                    | AlterActionKind::ValidateConstraint(_)
                    | AlterActionKind::SetStorage(_)
                    | AlterActionKind::ResetStorage(_)
            )
        };
        if let Some(other) = alter.actions.iter().find(|action| !is_known(&action.kind)) {
            return Err(Error::not_supported("this form of ALTER TABLE").at(other.span.position()));
        }
        // A constraint may name a column that comes in the same statement; it would have to be bound after that.
        let is_column =
            |action: &&ast::AlterAction<'_>| matches!(action.kind, AlterActionKind::AddColumn { .. });
        let is_constraint = |action: &&ast::AlterAction<'_>| !is_column(action) && !is_storage(action);
        if let (Some(column), Some(_)) =
            (alter.actions.iter().find(is_column), alter.actions.iter().find(is_constraint))
        {
            let what = "ADD COLUMN and changes of constraints in one ALTER TABLE";
            return Err(Error::not_supported(what).at(column.span.position()));
        }
        let name = ObjectName {
            schema: alter.name.schema().map(|schema| schema.text.to_owned()),
            name: alter.name.object().text.to_owned(),
            position: alter.name.position(),
        };
        if alter.if_exists
            && alter.name.parts.len() <= 2
            && self.catalog.relation(name.schema.as_deref(), &name.name).is_none()
        {
            let (table, of_index, changes) = (None, alter.kind == ObjectKind::Index, Vec::new());
            return Ok(BoundStatement::AlterTable(AlterTable { name, table, of_index, changes }));
        }
        if is_all_storage && let Some(altered) = self.bind_alter_index(alter, &name)? {
            return Ok(altered);
        }
        let table = self.find_target(&alter.name, "alter")?;
        let mut changes = Vec::with_capacity(alter.actions.len());
        for action in alter.actions {
            changes.push(match &action.kind {
                AlterActionKind::AddColumn { if_not_exists, column } => ConstraintChange::AddColumn {
                    position: column.name.position(),
                    if_not_exists: *if_not_exists,
                    column: self.bind_added_column(&table, column)?,
                },
                AlterActionKind::AddConstraint(constraint) => self.bind_new_constraint(&table, constraint)?,
                AlterActionKind::DropConstraint { if_exists, name, cascade } => ConstraintChange::Drop {
                    name: name.text.to_owned(),
                    position: name.position(),
                    if_exists: *if_exists,
                    cascade: *cascade,
                },
                AlterActionKind::ValidateConstraint(name) => {
                    ConstraintChange::Validate { name: name.text.to_owned(), position: name.position() }
                }
                AlterActionKind::SetStorage(_) | AlterActionKind::ResetStorage(_) => {
                    changes.extend(storage_change(action, StorageOwner::Table)?);
                    continue;
                }
                _ => return refuse(action.span),
            });
        }
        let (table, of_index) = (Some(table.id), false);
        Ok(BoundStatement::AlterTable(AlterTable { name, table, of_index, changes }))
    }

    /// SET (…) and RESET (…) of an index, which ALTER TABLE may name too. `None`: the statement is about a table.
    fn bind_alter_index(
        &self,
        alter: &ast::AlterTable<'_>,
        name: &ObjectName,
    ) -> Result<Option<BoundStatement>> {
        let of_index = alter.kind == ObjectKind::Index;
        let schema = name.schema.as_deref();
        let is_here = alter.name.parts.len() <= 2 && self.catalog.check_schema(schema).is_ok();
        let found = if is_here { self.catalog.relation(schema, &name.name) } else { None };
        let is_key = |table: &&Arc<TableDefinition>| table.row_id_constraint.as_ref() == Some(&name.name);
        let (table, owner) = match found {
            Some(Relation::Index(table, position)) => {
                let owner = StorageOwner::Index(table.indexes[position].id);
                (table, owner)
            }
            None if is_here && let Some(table) = self.catalog.tables().find(is_key) => {
                (Arc::clone(table), StorageOwner::RowId)
            }
            Some(_) if of_index => {
                let message = format!("\"{}\" is not an index", name.name);
                return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position));
            }
            None if of_index && is_here => {
                let message = format!("relation \"{}\" does not exist", name.name);
                return Err(Error::new(SqlState::UNDEFINED_TABLE, message)
                    .hint_near_miss(&name.name, self.catalog.index_names())
                    .at(name.position));
            }
            _ => return Ok(None),
        };
        let mut changes = Vec::with_capacity(alter.actions.len());
        for action in alter.actions {
            changes.extend(storage_change(action, owner)?);
        }
        let (name, table) = (name.clone(), Some(table.id));
        Ok(Some(BoundStatement::AlterTable(AlterTable { name, table, of_index, changes })))
    }

    fn bind_new_constraint(
        &mut self,
        table: &TableDefinition,
        constraint: &ast::TableConstraint<'_>,
    ) -> Result<ConstraintChange> {
        let deferral = deferral_of(&constraint.deferral)?;
        let is_valid = !constraint.deferral.not_valid;
        let position = constraint.span.position();
        if let Some(name) = constraint.name
            && table.has_constraint(name.text)
        {
            let message =
                format!("constraint \"{}\" for relation \"{}\" already exists", name.text, table.name);
            return Err(Error::new(SqlState::DUPLICATE_OBJECT, message).at(name.position()));
        }
        match &constraint.kind {
            TableConstraintKind::Check { condition, .. } => {
                if deferral != Deferral::NotDeferrable {
                    let message = "CHECK constraints cannot be marked DEFERRABLE";
                    return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
                }
                let columns = self.table_columns(table);
                let scope = Scope::of(table_relation(table, columns.clone()));
                let mut context = Context::new(&scope, Place::Check);
                let bound = self.bind_condition(condition, "CHECK", &mut context)?;
                let name = match constraint.name {
                    Some(name) => name.text.to_owned(),
                    None => {
                        let mut used = Vec::new();
                        walk::columns_of(&bound.expression, &mut used);
                        used.dedup();
                        let column = match used.as_slice() {
                            [only] => columns.iter().find(|column| column.id == *only),
                            _ => None,
                        };
                        first_free(&table.name, column.map(|column| &*column.name), "check", |name| {
                            is_constraint_name_free(self.catalog, name)
                        })
                    }
                };
                let condition = condition.span.text(self.options.text).to_owned();
                Ok(ConstraintChange::AddCheck { check: CheckDefinition { name, condition }, is_valid })
            }
            TableConstraintKind::PrimaryKey { columns, options } => {
                refuse_not_valid(&constraint.deferral, "PRIMARY KEY")?;
                let storage = bind_index_options(options, StorageOf::Index)?;
                self.bind_new_key(table, constraint, (columns, options, storage), true, deferral)
            }
            TableConstraintKind::Unique { columns, nulls_not_distinct, options } => {
                refuse_not_valid(&constraint.deferral, "UNIQUE")?;
                check_nulls_distinct(*nulls_not_distinct, position)?;
                let storage = bind_index_options(options, StorageOf::Index)?;
                self.bind_new_key(table, constraint, (columns, options, storage), false, deferral)
            }
            TableConstraintKind::ForeignKey { columns, references } => {
                let draft = ForeignKeyDraft {
                    name: constraint.name,
                    columns: key_columns(&table.columns, columns)?,
                    references: *references,
                    deferral,
                    position,
                };
                let parent = self.find_parent(&references.table)?;
                let is_free = |name: &str| is_constraint_name_free(self.catalog, name);
                let key =
                    bind_foreign_key(&table.name, &table.columns, &draft, &Parent::of(&parent), &is_free)?;
                Ok(ConstraintChange::AddForeignKey { key, is_valid })
            }
            TableConstraintKind::UsingIndex { .. } => {
                Err(Error::not_supported("a constraint USING INDEX").at(position))
            }
            TableConstraintKind::Exclude { .. } => Err(Error::not_supported("EXCLUDE").at(position)),
        }
    }

    fn bind_new_key(
        &mut self,
        table: &TableDefinition,
        constraint: &ast::TableConstraint<'_>,
        (names, options, storage): (&[Name<'_>], &ast::IndexOptions<'_>, StorageParameters),
        primary: bool,
        deferral: Deferral,
    ) -> Result<ConstraintChange> {
        let position = constraint.span.position();
        let has_primary = table.row_id_constraint.is_some()
            || table.indexes.iter().any(|index| index.constraint == Some(ConstraintKind::PrimaryKey));
        if primary && has_primary {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", table.name);
            return Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, message).at(position));
        }
        let mut columns: Vec<usize> = Vec::with_capacity(names.len());
        for name in names {
            let column = table.column_index(name.text).ok_or_else(|| {
                let message = format!("column \"{}\" named in key does not exist", name.text);
                Error::new(SqlState::UNDEFINED_COLUMN, message)
                    .hint_near_miss(name.text, table.columns.iter().map(|known| &*known.name))
                    .at(name.position())
            })?;
            if columns.contains(&column) {
                let what = if primary { "primary key" } else { "unique" };
                let message = format!("column \"{}\" appears twice in {what} constraint", name.text);
                return Err(Error::new(SqlState::DUPLICATE_COLUMN, message).at(name.position()));
            }
            columns.push(column);
        }
        let include = included_columns(options, &table.columns, no_key_column)?;
        check_index_columns(columns.len() + include.len(), position)?;
        let name = match constraint.name {
            Some(name) => {
                if self.catalog.is_name_taken(None, name.text) {
                    let message = format!("relation \"{}\" already exists", name.text);
                    return Err(Error::new(SqlState::DUPLICATE_TABLE, message).at(name.position()));
                }
                name.text.to_owned()
            }
            None if primary => index_name(self.catalog, &table.name, None, "pkey", &[]),
            None => {
                let named = columns.iter().chain(&include);
                let joined = joined_columns(named.map(|column| &*table.columns[*column].name));
                index_name(self.catalog, &table.name, Some(&joined), "key", &[])
            }
        };
        let part = |column: &usize| NewIndexColumn {
            key: NewIndexKey::Column(*column),
            descending: false,
            nulls_first: false,
        };
        let kind = if primary { ConstraintKind::PrimaryKey } else { ConstraintKind::Unique };
        Ok(ConstraintChange::AddKey(NewIndex {
            name,
            constraint: Some(kind),
            columns: columns.iter().map(part).collect(),
            unique: deferral == Deferral::NotDeferrable,
            predicate: None,
            deferral,
            storage,
        }))
    }
}

/// What SET (…) or RESET (…) changes; nothing: RESET of what has no effect.
fn storage_change(action: &ast::AlterAction<'_>, owner: StorageOwner) -> Result<Option<ConstraintChange>> {
    let of = if owner == StorageOwner::Table { StorageOf::Table } else { StorageOf::Index };
    match action.kind {
        AlterActionKind::SetStorage(options) => {
            let parameters = bind_storage_parameters(options, of)?;
            Ok(Some(ConstraintChange::SetStorage(owner, parameters)))
        }
        AlterActionKind::ResetStorage(options) => {
            Ok(resets_fill_factor(options)?.then_some(ConstraintChange::ResetFillFactor(owner)))
        }
        _ => Err(Error::internal("no storage parameters")),
    }
}

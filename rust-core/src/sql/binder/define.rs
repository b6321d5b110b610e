//! CREATE TABLE, DROP: definitions checked and named, as plain data.

use crate::catalog::table_definition::{
    CheckDefinition, ColumnDefinition, ConstraintKind, Deferral, IdentityDefinition, TableDefinition,
};
use crate::common::ids::ObjectId;
use crate::common::limits::{INDEX_COLUMNS_MAX, TABLE_COLUMNS_MAX};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::define::{
    self as ast, ColumnConstraintKind, IndexOptions, ObjectKind, Persistence, TableConstraintKind,
    TableElement,
};
use crate::sql::ast::expression::Expr;
use crate::sql::ast::{Name, ObjectName as AstName, Span, Statement};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{
    BoundStatement, ColumnSequence, CreateTable, DropObjects, NewForeignKey, NewIndex, NewIndexColumn,
    NewIndexKey, ObjectName, StorageParameters,
};
use crate::sql::binder::control::unsupported_statement;
use crate::sql::binder::expression::check_collation;
use crate::sql::binder::foreign_key::{
    ForeignKeyDraft, Parent, ParentKey, bind_foreign_key, deferral_of, is_constraint_name_free, key_columns,
    refuse_not_valid,
};
use crate::sql::binder::key_names::{first_free, index_name, joined_columns};
use crate::sql::binder::like::Copied;
use crate::sql::binder::scope::{Context, Place, Scope, ScopeRelation};
use crate::sql::binder::sequence::serial_default;
use crate::sql::binder::storage_parameter::{StorageOf, bind_storage_parameters};
use crate::sql::binder::{type_name, walk};
use crate::sql::types::cast::CastContext;
use crate::sql::types::data_type::DataType;
use std::sync::Arc;

/// A PRIMARY KEY or UNIQUE as written.
pub(super) struct Key<'a> {
    pub(super) name: Option<Name<'a>>,
    pub(super) primary: bool,
    pub(super) columns: Vec<usize>,
    pub(super) include: Vec<usize>,
    pub(super) deferral: Deferral,
    pub(super) storage: StorageParameters,
    pub(super) position: usize,
}

/// A CHECK as written.
struct Check<'a> {
    name: Option<Name<'a>>,
    condition: Expr<'a>,
}

/// A table on its way.
pub(super) struct TableDraft<'a> {
    pub(super) name: &'a str,
    pub(super) columns: Vec<ColumnDefinition>,
    pub(super) keys: Vec<Key<'a>>,
    checks: Vec<Check<'a>>,
    foreign_keys: Vec<ForeignKeyDraft<'a>>,
    pub(super) sequences: Vec<ColumnSequence>,
    pub(super) copied: Copied,
}

impl Binder<'_> {
    pub(super) fn bind_create_table(&mut self, create: &ast::CreateTable<'_>) -> Result<BoundStatement> {
        check_table_form(create)?;
        let schema = self.creation_schema(&create.name)?;
        // Said before anything about the columns, as in PostgreSQL. (The session looks again when it runs.)
        let name = create.name.object();
        let is_taken = self.catalog.relation(Some(&schema), name.text).is_some();
        // Nothing is said of parameters of a table that is not made.
        let storage = if is_taken && create.if_not_exists { &[] } else { create.options.storage };
        let storage = bind_storage_parameters(storage, StorageOf::NewTable)?;
        if !create.if_not_exists && is_taken {
            let message = format!("relation \"{}\" already exists", name.text);
            return Err(Error::new(SqlState::DUPLICATE_TABLE, message).at(create.name.position()));
        }
        let mut draft = TableDraft {
            name: create.name.object().text,
            columns: Vec::new(),
            keys: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            sequences: Vec::new(),
            copied: Copied::default(),
        };
        // Columns first: a constraint may name one that stands behind it.
        for element in create.elements {
            match element {
                TableElement::Column(column) => self.add_column(&mut draft, column)?,
                TableElement::Like { table, options, .. } => self.copy_like(&mut draft, table, *options)?,
                TableElement::Constraint(_) => {}
            }
        }
        for element in create.elements {
            if let TableElement::Constraint(constraint) = element {
                add_constraint(&mut draft, constraint)?;
            }
        }
        self.finish_table(create, schema, draft, storage)
    }

    /// The schema that a new object goes into.
    pub(super) fn creation_schema(&self, name: &AstName<'_>) -> Result<String> {
        if name.parts.len() > 2 {
            return Err(Error::not_supported("a reference to another database").at(name.position()));
        }
        match name.schema() {
            None => Ok(self.options.schema.to_owned()),
            Some(schema) => {
                self.catalog.check_schema(Some(schema.text)).map_err(|error| error.at(schema.position()))?;
                Ok(schema.text.to_owned())
            }
        }
    }

    fn add_column<'a>(
        &mut self,
        draft: &mut TableDraft<'a>,
        column: &ast::ColumnDefinition<'a>,
    ) -> Result<()> {
        let (name, position) = (column.name.text, column.name.position());
        if draft.columns.iter().any(|known| known.name == name) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, message).at(position));
        }
        if draft.columns.len() == TABLE_COLUMNS_MAX {
            let message = format!("tables can have at most {TABLE_COLUMNS_MAX} columns");
            return Err(Error::new(SqlState::TOO_MANY_COLUMNS, message).at(position));
        }
        let serial = type_name::serial(&column.type_name)?;
        let sql_type = match serial {
            Some(data_type) => data_type.into(),
            None => type_name::resolve(&column.type_name)?,
        };
        if let Some(collation) = &column.collation {
            check_collation(collation)?;
            if !sql_type.data_type.is_string() {
                let message = format!("collations are not supported by type {}", sql_type.data_type.name());
                return Err(Error::new(SqlState::DATATYPE_MISMATCH, message).at(collation.position()));
            }
        }
        let index = draft.columns.len();
        draft.columns.push(ColumnDefinition::new(name.to_owned(), sql_type));
        let mut null_said: Option<bool> = None;
        if let Some(data_type) = serial {
            let sequence =
                self.column_sequence(draft.name, (index, name), data_type, None, &draft.sequences)?;
            draft.columns[index].default = Some(serial_default(&sequence.name));
            draft.columns[index].not_null = true;
            draft.sequences.push(sequence);
            null_said = Some(true);
        }
        for constraint in column.constraints {
            let deferral = deferral_of(&constraint.deferral)?;
            let at = constraint.span.position();
            let can_wait = matches!(
                constraint.kind,
                ColumnConstraintKind::PrimaryKey(_)
                    | ColumnConstraintKind::Unique { .. }
                    | ColumnConstraintKind::References(_)
            );
            if !can_wait && deferral != Deferral::NotDeferrable {
                let position = constraint.deferral.span.map_or(at, Span::position);
                return Err(Error::new(SqlState::SYNTAX_ERROR, "misplaced DEFERRABLE clause").at(position));
            }
            match &constraint.kind {
                ColumnConstraintKind::Null | ColumnConstraintKind::NotNull => {
                    let not_null = matches!(constraint.kind, ColumnConstraintKind::NotNull);
                    if *null_said.get_or_insert(not_null) != not_null {
                        let message = format!(
                            "conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{}\"",
                            draft.name
                        );
                        return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(at));
                    }
                    draft.columns[index].not_null = not_null;
                }
                ColumnConstraintKind::Default(value) => {
                    if draft.columns[index].identity.is_some() {
                        return Err(default_and_identity(name, draft.name).at(at));
                    }
                    if draft.columns[index].default.is_some() {
                        let message = format!(
                            "multiple default values specified for column \"{name}\" of table \"{}\"",
                            draft.name
                        );
                        return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(at));
                    }
                    let text = self.check_default(&draft.columns[index], value)?;
                    draft.columns[index].default = Some(text);
                }
                ColumnConstraintKind::Check { condition, .. } => {
                    draft.checks.push(Check { name: constraint.name, condition: *condition });
                }
                ColumnConstraintKind::PrimaryKey(options) => {
                    refuse_include(options)?;
                    let storage = bind_index_options(options, StorageOf::Index)?;
                    let (name, columns) = (constraint.name, vec![index]);
                    let (include, position) = (Vec::new(), at);
                    draft.keys.push(Key {
                        name,
                        primary: true,
                        columns,
                        include,
                        deferral,
                        storage,
                        position,
                    });
                }
                ColumnConstraintKind::Unique { nulls_not_distinct, options } => {
                    check_nulls_distinct(*nulls_not_distinct, at)?;
                    refuse_include(options)?;
                    let storage = bind_index_options(options, StorageOf::Index)?;
                    let (name, columns) = (constraint.name, vec![index]);
                    let (include, position) = (Vec::new(), at);
                    draft.keys.push(Key {
                        name,
                        primary: false,
                        columns,
                        include,
                        deferral,
                        storage,
                        position,
                    });
                }
                ColumnConstraintKind::References(references) => {
                    draft.foreign_keys.push(ForeignKeyDraft {
                        name: constraint.name,
                        columns: vec![index],
                        references: *references,
                        deferral,
                        position: at,
                    });
                }
                ColumnConstraintKind::Generated(_) => {
                    return Err(Error::not_supported("a generated column").at(at));
                }
                ColumnConstraintKind::Identity { always, options } => {
                    let data_type = sql_type.data_type;
                    if !matches!(data_type, DataType::SmallInt | DataType::Integer | DataType::BigInt) {
                        let message = "identity column type must be smallint, integer, or bigint";
                        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message).at(at));
                    }
                    if draft.columns[index].identity.is_some() {
                        let message = format!(
                            "multiple identity specifications for column \"{name}\" of table \"{}\"",
                            draft.name
                        );
                        return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(at));
                    }
                    if draft.columns[index].default.is_some() {
                        return Err(default_and_identity(name, draft.name).at(at));
                    }
                    if null_said == Some(false) {
                        let message = format!(
                            "conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{}\"",
                            draft.name
                        );
                        return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(at));
                    }
                    null_said = Some(true);
                    let identity = Some((*always, *options));
                    let sequence = self.column_sequence(
                        draft.name,
                        (index, name),
                        data_type,
                        identity,
                        &draft.sequences,
                    )?;
                    draft.sequences.push(sequence);
                    // The session gives the sequence its number.
                    let identity = IdentityDefinition { always: *always, sequence: ObjectId(0) };
                    draft.columns[index].identity = Some(identity);
                    draft.columns[index].not_null = true;
                }
            }
        }
        Ok(())
    }

    /// A column that a table gets later: with NOT NULL and a default; other constraints follow by ADD CONSTRAINT.
    pub(super) fn bind_added_column(
        &mut self,
        table: &TableDefinition,
        column: &ast::ColumnDefinition<'_>,
    ) -> Result<ColumnDefinition> {
        let position = column.name.position();
        if table.columns.len() >= TABLE_COLUMNS_MAX {
            let message = format!("tables can have at most {TABLE_COLUMNS_MAX} columns");
            return Err(Error::new(SqlState::TOO_MANY_COLUMNS, message).at(position));
        }
        let is_simple = |kind: &ColumnConstraintKind<'_>| {
            use ColumnConstraintKind::{Default, NotNull, Null};
            matches!(kind, Default(_) | NotNull | Null)
        };
        if let Some(other) = column.constraints.iter().find(|constraint| !is_simple(&constraint.kind)) {
            let what = "ADD COLUMN with this constraint (ADD CONSTRAINT may follow)";
            return Err(Error::not_supported(what).at(other.span.position()));
        }
        let mut draft = TableDraft {
            name: &table.name,
            columns: Vec::new(),
            keys: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            sequences: Vec::new(),
            copied: Copied::default(),
        };
        self.add_column(&mut draft, column)?;
        match draft.columns.pop() {
            Some(added) if draft.sequences.is_empty() => Ok(added),
            _ => Err(Error::not_supported("ADD COLUMN with values of a sequence").at(position)),
        }
    }

    /// Binds a default, and gives the text to store.
    fn check_default(&mut self, column: &ColumnDefinition, value: &Expr<'_>) -> Result<String> {
        let bound = self.bind(value, &mut Context::empty(Place::Default))?;
        let (from, position) = (bound.data_type(), bound.position);
        let assigned = self.coerce(bound, column.sql_type, CastContext::Assignment)?;
        if assigned.is_none() {
            let message = format!(
                "column \"{}\" is of type {} but default expression is of type {}",
                column.name,
                column.sql_type.data_type.name(),
                from.name()
            );
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(position));
        }
        Ok(value.span.text(self.options.text).to_owned())
    }

    fn finish_table(
        &mut self,
        create: &ast::CreateTable<'_>,
        schema: String,
        mut draft: TableDraft<'_>,
        storage: StorageParameters,
    ) -> Result<BoundStatement> {
        let keys = std::mem::take(&mut draft.keys);
        for key in keys.iter().filter(|key| key.primary) {
            for &column in &key.columns {
                draft.columns[column].not_null = true;
            }
        }
        let checks = self.name_checks(&draft)?;
        let own_keys: Vec<ParentKey> = keys
            .iter()
            .map(|key| ParentKey {
                columns: key.columns.clone(),
                primary: key.primary,
                deferrable: key.deferral != Deferral::NotDeferrable,
            })
            .collect();
        let (row_id, indexes) = self.name_keys(&draft, keys)?;
        let taken = indexes.iter().map(|index: &NewIndex| index.name.clone());
        let taken = taken.chain(row_id.iter().map(|(_, name, _)| name.clone())).collect();
        let other_indexes = self.copied_indexes(&draft, taken)?;
        let foreign_keys = self.name_foreign_keys(&draft, &schema, own_keys, &checks)?;
        let (row_id_column, row_id_constraint, row_id_storage) = match row_id {
            Some((column, name, storage)) => (Some(column), Some(name), storage),
            None => (None, None, StorageParameters::default()),
        };
        Ok(BoundStatement::CreateTable(Box::new(CreateTable {
            schema,
            name: draft.name.to_owned(),
            position: create.name.position(),
            if_not_exists: create.if_not_exists,
            columns: draft.columns,
            checks,
            row_id_column,
            row_id_constraint,
            indexes,
            other_indexes,
            foreign_keys,
            sequences: draft.sequences,
            copied_tables: draft.copied.tables,
            storage,
            row_id_storage,
        })))
    }

    /// Finds what foreign keys refer to, and names those that have no name.
    fn name_foreign_keys(
        &mut self,
        draft: &TableDraft<'_>,
        schema: &str,
        own_keys: Vec<ParentKey>,
        checks: &[CheckDefinition],
    ) -> Result<Vec<NewForeignKey>> {
        let mut keys: Vec<NewForeignKey> = Vec::with_capacity(draft.foreign_keys.len());
        for written in &draft.foreign_keys {
            if let Some(name) = written.name
                && (checks.iter().any(|check| check.name == name.text)
                    || keys.iter().any(|known| known.name == name.text))
            {
                let message =
                    format!("constraint \"{}\" for relation \"{}\" already exists", name.text, draft.name);
                return Err(Error::new(SqlState::DUPLICATE_OBJECT, message).at(name.position()));
            }
            let is_free = |name: &str| {
                is_constraint_name_free(self.catalog, name)
                    && keys.iter().all(|known| known.name != name)
                    && draft.foreign_keys.iter().all(|key| key.name.is_none_or(|known| known.text != name))
                    && checks.iter().all(|check| check.name != name)
            };
            let target = &written.references.table;
            let is_own = target.parts.len() <= 2
                && target.object().text == draft.name
                && target.schema().is_none_or(|named| named.text == schema);
            let key = if is_own {
                let (id, keys) = (None, own_keys.clone());
                let parent = Parent { id, name: draft.name, columns: &draft.columns, keys };
                bind_foreign_key(draft.name, &draft.columns, written, &parent, &is_free)?
            } else {
                let parent = self.find_parent(target)?;
                bind_foreign_key(draft.name, &draft.columns, written, &Parent::of(&parent), &is_free)?
            };
            keys.push(key);
        }
        Ok(keys)
    }

    /// The table that a foreign key refers to.
    pub(super) fn find_parent(&self, name: &AstName<'_>) -> Result<Arc<TableDefinition>> {
        let schema = name.schema().map(|schema| schema.text);
        if name.parts.len() <= 2 && self.catalog.view(schema, name.object().text).is_some() {
            let message = format!("referenced relation \"{}\" is not a table", name.object().text);
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        self.find_table(name)
    }

    /// Binds the checks over the new table's columns and names those that have no name.
    fn name_checks(&mut self, draft: &TableDraft<'_>) -> Result<Vec<CheckDefinition>> {
        let mut columns = Vec::with_capacity(draft.columns.len());
        for column in &draft.columns {
            columns.push(self.new_column(&*column.name, column.sql_type, !column.not_null));
        }
        let relation = ScopeRelation::new(draft.name, columns);
        let scope = Scope::of(relation);
        let explicit: Vec<&str> =
            draft.checks.iter().filter_map(|check| check.name).map(|name| name.text).collect();
        let mut checks = self.copied_checks(draft, &scope)?;
        for check in &draft.checks {
            let mut context = Context::new(&scope, Place::Check);
            let bound = self.bind_condition(&check.condition, "CHECK", &mut context)?;
            let condition = check.condition.span.text(self.options.text).to_owned();
            let name = match check.name {
                Some(name) => {
                    if checks.iter().any(|known| known.name == name.text) {
                        let message = format!(
                            "constraint \"{}\" for relation \"{}\" already exists",
                            name.text, draft.name
                        );
                        return Err(Error::new(SqlState::DUPLICATE_OBJECT, message).at(name.position()));
                    }
                    name.text.to_owned()
                }
                None => {
                    let mut used = Vec::new();
                    walk::columns_of(&bound.expression, &mut used);
                    used.dedup();
                    let column = match used.as_slice() {
                        [only] => scope.items[0].relation.columns.iter().find(|column| column.id == *only),
                        _ => None,
                    };
                    first_free(draft.name, column.map(|column| &*column.name), "check", |name| {
                        !explicit.contains(&name) && checks.iter().all(|known| known.name != name)
                    })
                }
            };
            checks.push(CheckDefinition { name, condition });
        }
        Ok(checks)
    }

    /// Turns keys into the row id or unique indexes. The primary key is named first, as in PostgreSQL.
    #[expect(clippy::type_complexity, reason = "the row id, then the rest")]
    fn name_keys(
        &mut self,
        draft: &TableDraft<'_>,
        keys: Vec<Key<'_>>,
    ) -> Result<(Option<(usize, String, StorageParameters)>, Vec<NewIndex>)> {
        if let Some(second) = keys.iter().filter(|key| key.primary).nth(1) {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", draft.name);
            return Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, message).at(second.position));
        }
        let (primary, rest): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.primary);
        let mut kept: Vec<Key<'_>> = Vec::new();
        for key in primary.into_iter().chain(rest) {
            // A second key over the same columns says nothing new.
            match kept.iter_mut().find(|known| {
                (&known.columns, &known.include, known.deferral) == (&key.columns, &key.include, key.deferral)
            }) {
                Some(known) if known.name.is_none() || key.name.is_none() => {
                    known.name = known.name.or(key.name);
                }
                _ => kept.push(key),
            }
        }
        let mut taken: Vec<String> = vec![draft.name.to_owned()];
        for name in kept.iter().filter_map(|key| key.name) {
            if taken.iter().any(|known| known == name.text)
                || self.catalog.relation(None, name.text).is_some()
            {
                let message = format!("relation \"{}\" already exists", name.text);
                return Err(Error::new(SqlState::DUPLICATE_TABLE, message).at(name.position()));
            }
            taken.push(name.text.to_owned());
        }
        let mut row_id = None;
        let mut indexes = Vec::new();
        for key in kept {
            let name = match key.name {
                Some(name) => name.text.to_owned(),
                None if key.primary => index_name(self.catalog, draft.name, None, "pkey", &taken),
                None => {
                    let columns = key.columns.iter().chain(&key.include);
                    let columns = joined_columns(columns.map(|&column| &*draft.columns[column].name));
                    index_name(self.catalog, draft.name, Some(&columns), "key", &taken)
                }
            };
            taken.push(name.clone());
            let column_type = draft.columns[key.columns[0]].sql_type.data_type;
            let is_row_id = key.primary
                && key.deferral == Deferral::NotDeferrable
                && key.columns.len() == 1
                && matches!(column_type, DataType::SmallInt | DataType::Integer | DataType::BigInt);
            if is_row_id {
                row_id = Some((key.columns[0], name, key.storage));
                continue;
            }
            let kind = if key.primary { ConstraintKind::PrimaryKey } else { ConstraintKind::Unique };
            let ascending = |column: &usize| NewIndexColumn {
                key: NewIndexKey::Column(*column),
                descending: false,
                nulls_first: false,
            };
            let columns = key.columns.iter().map(ascending).collect();
            let constraint = Some(kind);
            let deferral = key.deferral;
            let unique = deferral == Deferral::NotDeferrable;
            let (predicate, storage) = (None, key.storage);
            indexes.push(NewIndex { name, constraint, columns, unique, predicate, deferral, storage });
        }
        Ok((row_id, indexes))
    }
}

fn default_and_identity(column: &str, table: &str) -> Error {
    let message = format!("both default and identity specified for column \"{column}\" of table \"{table}\"");
    Error::new(SqlState::SYNTAX_ERROR, message)
}

/// DROP TABLE and DROP INDEX.
pub(super) fn bind_drop(drop: &ast::Drop<'_>, statement: &Statement<'_>) -> Result<BoundStatement> {
    let mut names = Vec::with_capacity(drop.names.len());
    for name in drop.names {
        if name.parts.len() > 2 {
            return Err(Error::not_supported("a reference to another database").at(name.position()));
        }
        names.push(ObjectName {
            schema: name.schema().map(|schema| schema.text.to_owned()),
            name: name.object().text.to_owned(),
            position: name.position(),
        });
    }
    let concurrently = drop.concurrently.is_some();
    let objects = DropObjects { names, if_exists: drop.if_exists, cascade: drop.cascade, concurrently };
    match drop.kind {
        ObjectKind::Table => Ok(BoundStatement::DropTable(objects)),
        ObjectKind::Index => Ok(BoundStatement::DropIndex(objects)),
        ObjectKind::View => Ok(BoundStatement::DropView(objects)),
        ObjectKind::Sequence => Ok(BoundStatement::DropSequence(objects)),
        _ => Err(unsupported_statement(statement)),
    }
}

/// A constraint of a table to be made. NOT VALID says nothing there: no row can break it.
fn add_constraint<'a>(draft: &mut TableDraft<'a>, constraint: &ast::TableConstraint<'a>) -> Result<()> {
    let deferral = deferral_of(&constraint.deferral)?;
    let (name, position) = (constraint.name, constraint.span.position());
    let (columns, options, primary) = match &constraint.kind {
        TableConstraintKind::Check { condition, .. } => {
            if deferral != Deferral::NotDeferrable {
                let message = "CHECK constraints cannot be marked DEFERRABLE";
                let position = constraint.deferral.span.map_or(position, Span::position);
                return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
            }
            draft.checks.push(Check { name, condition: *condition });
            return Ok(());
        }
        TableConstraintKind::PrimaryKey { columns, options } => {
            refuse_not_valid(&constraint.deferral, "PRIMARY KEY")?;
            (*columns, options, true)
        }
        TableConstraintKind::Unique { columns, nulls_not_distinct, options } => {
            refuse_not_valid(&constraint.deferral, "UNIQUE")?;
            check_nulls_distinct(*nulls_not_distinct, position)?;
            (*columns, options, false)
        }
        TableConstraintKind::UsingIndex { .. } => {
            return Err(Error::not_supported("a constraint USING INDEX").at(position));
        }
        TableConstraintKind::ForeignKey { columns, references } => {
            let columns = key_columns(&draft.columns, columns)?;
            let references = *references;
            draft.foreign_keys.push(ForeignKeyDraft { name, columns, references, deferral, position });
            return Ok(());
        }
        TableConstraintKind::Exclude { .. } => return Err(Error::not_supported("EXCLUDE").at(position)),
    };
    let mut key = Vec::with_capacity(columns.len());
    for column in columns {
        let index = draft.columns.iter().position(|known| known.name == column.text).ok_or_else(|| {
            let message = format!("column \"{}\" named in key does not exist", column.text);
            Error::new(SqlState::UNDEFINED_COLUMN, message)
                .hint_near_miss(column.text, draft.columns.iter().map(|known| &*known.name))
                .at(column.position())
        })?;
        if key.contains(&index) {
            let what = if primary { "primary key" } else { "unique" };
            let message = format!("column \"{}\" appears twice in {what} constraint", column.text);
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, message).at(column.position()));
        }
        key.push(index);
    }
    let include = included_columns(options, &draft.columns, no_key_column)?;
    check_index_columns(key.len() + include.len(), position)?;
    let (columns, storage) = (key, bind_index_options(options, StorageOf::Index)?);
    draft.keys.push(Key { name, primary, columns, include, deferral, storage, position });
    Ok(())
}

pub(super) fn check_index_columns(count: usize, position: usize) -> Result<()> {
    if count <= INDEX_COLUMNS_MAX {
        return Ok(());
    }
    let message = format!("cannot use more than {INDEX_COLUMNS_MAX} columns in an index");
    Err(Error::new(SqlState::TOO_MANY_COLUMNS, message).at(position))
}

fn check_table_form(create: &ast::CreateTable<'_>) -> Result<()> {
    let refuse = |what: &str, span: Span| Err(Error::not_supported(what).at(span.position()));
    match create.persistence {
        Persistence::Permanent => {}
        Persistence::Temporary => return refuse("a temporary table", create.span),
        Persistence::Unlogged => return refuse("an unlogged table", create.span),
    }
    check_table_options(&create.options)
}

/// Refuses what may follow the columns of a table, but for storage parameters.
pub(super) fn check_table_options(options: &ast::TableOptions<'_>) -> Result<()> {
    let refuse = |what: &str, span: Span| Err(Error::not_supported(what).at(span.position()));
    if let Some(span) = options.inherits {
        return refuse("INHERITS", span);
    }
    if let Some(span) = options.partition {
        return refuse("a partitioned table", span);
    }
    if let Some(method) = options.method
        && method.text != "heap"
    {
        return refuse("a table access method", method.span);
    }
    if let Some((_, span)) = options.on_commit {
        return refuse("ON COMMIT", span);
    }
    if let Some(tablespace) = options.tablespace {
        return refuse("TABLESPACE", tablespace.span);
    }
    Ok(())
}

/// What may follow the columns of an index.
pub(super) fn bind_index_options(options: &IndexOptions<'_>, of: StorageOf) -> Result<StorageParameters> {
    if let Some(tablespace) = options.tablespace {
        return Err(Error::not_supported("TABLESPACE").at(tablespace.position()));
    }
    bind_storage_parameters(options.storage, of)
}

/// The columns of INCLUDE. An index leads to the row, where they are, and keeps no copy of them; they count in its name.
pub(super) fn included_columns(
    options: &IndexOptions<'_>,
    columns: &[ColumnDefinition],
    told: impl Fn(&str) -> String,
) -> Result<Vec<usize>> {
    let find = |column: &Name<'_>| {
        columns.iter().position(|known| known.name == column.text).ok_or_else(|| {
            Error::new(SqlState::UNDEFINED_COLUMN, told(column.text))
                .hint_near_miss(column.text, columns.iter().map(|known| &*known.name))
                .at(column.position())
        })
    };
    options.include.iter().map(find).collect()
}

/// A column's own constraint has no INCLUDE.
fn refuse_include(options: &IndexOptions<'_>) -> Result<()> {
    match options.include.first() {
        Some(column) => {
            let error = Error::new(SqlState::SYNTAX_ERROR, "INCLUDE stands in a table's constraints alone");
            Err(error.at(column.position()))
        }
        None => Ok(()),
    }
}

/// How a key's constraint says that there is no such column.
pub(super) fn no_key_column(name: &str) -> String {
    format!("column \"{name}\" named in key does not exist")
}

pub(super) fn check_nulls_distinct(nulls_not_distinct: bool, position: usize) -> Result<()> {
    if nulls_not_distinct { Err(Error::not_supported("NULLS NOT DISTINCT").at(position)) } else { Ok(()) }
}

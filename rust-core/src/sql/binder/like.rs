//! LIKE in CREATE TABLE: what of another table, or view, a new table gets. A copy is a text bound anew over the new columns, so
//! that nothing of it depends on the table that it came from.

use crate::catalog::table_definition::{
    CheckDefinition, ColumnDefinition, ConstraintKind, Deferral, IdentityDefinition, TableDefinition,
};
use crate::common::arena::Arena;
use crate::common::ids::ObjectId;
use crate::common::limits::TABLE_COLUMNS_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::ObjectName;
use crate::sql::ast::define::LikeOptions;
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{NewComputed, NewIndex, NewIndexColumn, NewIndexKey, StorageParameters};
use crate::sql::binder::call::column_name;
use crate::sql::binder::define::{Key, TableDraft};
use crate::sql::binder::index::{free_part_name, to_table_columns};
use crate::sql::binder::key_names::{index_name, joined_columns};
use crate::sql::binder::scope::{Context, Place, Scope, ScopeRelation};
use crate::sql::parser::parse_expression;
use crate::sql::plan::expression::OutputColumn;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::table::layout::{IndexKey, IndexLayout, RowIdSource};
use std::rc::Rc;
use std::sync::Arc;

/// What LIKE copied besides columns and keys.
#[derive(Default)]
pub(super) struct Copied {
    /// The tables it copied of.
    pub(super) tables: Vec<ObjectId>,
    /// Checks, with the place of the LIKE.
    checks: Vec<(CheckDefinition, usize)>,
    indexes: Vec<CopiedIndex>,
}

/// An index of another table.
struct CopiedIndex {
    table: Arc<TableDefinition>,
    index: usize,
    /// The new table's columns by the other's.
    columns: Vec<usize>,
    position: usize,
}

impl Binder<'_> {
    pub(super) fn copy_like(
        &mut self,
        draft: &mut TableDraft<'_>,
        name: &ObjectName<'_>,
        options: LikeOptions,
    ) -> Result<()> {
        let position = name.position();
        let schema = name.schema().map(|schema| schema.text);
        if name.parts.len() <= 2
            && let Some(view) = self.catalog.view(schema, name.object().text)
        {
            for (column, sql_type) in view.columns.iter().zip(&view.types) {
                add_copied(draft, ColumnDefinition::new(column.clone(), *sql_type), position)?;
            }
            return Ok(());
        }
        let table = self.find_table(name)?;
        draft.copied.tables.push(table.id);
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let mut copy = ColumnDefinition { default: None, identity: None, ..column.clone() };
            if options.defaults {
                copy.default.clone_from(&column.default);
            }
            let index = add_copied(draft, copy, position)?;
            if let Some(identity) = column.identity.filter(|_| options.identity) {
                self.copy_identity(draft, index, identity)?;
            }
            columns.push(index);
        }
        if options.constraints {
            draft.copied.checks.extend(table.checks.iter().map(|check| (check.clone(), position)));
        }
        if options.indexes {
            copy_keys(draft, &table, &columns, position);
        }
        Ok(())
    }

    /// An identity column has a sequence of its own, with the same options.
    fn copy_identity(
        &mut self,
        draft: &mut TableDraft<'_>,
        index: usize,
        identity: IdentityDefinition,
    ) -> Result<()> {
        let Some(source) = self.catalog.sequence_by_id(identity.sequence).map(Arc::clone) else {
            return Err(Error::internal("an identity column without its sequence"));
        };
        let name = draft.columns[index].name.clone();
        let (data_type, same) = (source.options.data_type, Some((identity.always, &[][..])));
        let mut sequence =
            self.column_sequence(draft.name, (index, &name), data_type, same, &draft.sequences)?;
        sequence.options = source.options;
        sequence.first = source.options.start;
        draft.sequences.push(sequence);
        // The session gives the sequence its number.
        draft.columns[index].identity = Some(IdentityDefinition { sequence: ObjectId(0), ..identity });
        Ok(())
    }

    /// The checks that were copied, each bound over the new columns to see that it holds there as well.
    pub(super) fn copied_checks(
        &mut self,
        draft: &TableDraft<'_>,
        scope: &Rc<Scope>,
    ) -> Result<Vec<CheckDefinition>> {
        let mut checks: Vec<CheckDefinition> = Vec::with_capacity(draft.copied.checks.len());
        for (check, position) in &draft.copied.checks {
            if checks.iter().any(|known| known.name == check.name) {
                let message = format!("check constraint \"{}\" already exists", check.name);
                return Err(Error::new(SqlState::DUPLICATE_OBJECT, message).at(*position));
            }
            let arena = Arena::new();
            let mut context = Context::new(scope, Place::Check);
            let mut bind = || {
                let condition = parse_expression(&check.condition, &arena)?;
                self.bind_condition(condition, "CHECK", &mut context)
            };
            bind().map_err(|_| bound_to_its_table("check constraint", *position))?;
            checks.push(check.clone());
        }
        Ok(checks)
    }

    /// The indexes that were copied, named as those of CREATE INDEX without a name.
    pub(super) fn copied_indexes(
        &mut self,
        draft: &TableDraft<'_>,
        mut taken: Vec<String>,
    ) -> Result<Vec<NewIndex>> {
        if draft.copied.indexes.is_empty() {
            return Ok(Vec::new());
        }
        let mut columns = Vec::with_capacity(draft.columns.len());
        for column in &draft.columns {
            columns.push(self.new_column(&*column.name, column.sql_type, !column.not_null));
        }
        let scope = Scope::of(ScopeRelation::new(draft.name, columns.clone()));
        let mut indexes = Vec::with_capacity(draft.copied.indexes.len());
        for copied in &draft.copied.indexes {
            let layout = &copied.table.layout.indexes[copied.index];
            let mut names: Vec<String> = Vec::with_capacity(layout.columns.len());
            let mut parts = Vec::with_capacity(layout.columns.len());
            for part in &layout.columns {
                let (key, name) = match part.key {
                    IndexKey::Column(column) => {
                        let column = copied.columns[column];
                        (NewIndexKey::Column(column), draft.columns[column].name.clone())
                    }
                    IndexKey::Computed(value) => {
                        let (computed, name) = self.copied_value(copied, value, false, &columns, &scope)?;
                        (NewIndexKey::Expression(computed), name)
                    }
                };
                names.push(free_part_name(name, &names));
                let (descending, nulls_first) = (part.descending, part.nulls_first);
                parts.push(NewIndexColumn { key, descending, nulls_first });
            }
            let predicate = match layout.predicate {
                Some(value) => Some(self.copied_value(copied, value, true, &columns, &scope)?.0),
                None => None,
            };
            let joined = joined_columns(names.iter().map(String::as_str));
            let name = index_name(self.catalog, draft.name, Some(&joined), "idx", &taken);
            taken.push(name.clone());
            indexes.push(NewIndex {
                name,
                constraint: None,
                columns: parts,
                unique: layout.unique,
                predicate,
                deferral: Deferral::NotDeferrable,
                storage: filled_as(layout),
            });
        }
        Ok(indexes)
    }

    /// An expression or predicate of a copied index, and what it is called in the index's name.
    fn copied_value(
        &mut self,
        copied: &CopiedIndex,
        value: usize,
        is_predicate: bool,
        columns: &[OutputColumn],
        scope: &Rc<Scope>,
    ) -> Result<(NewComputed, String)> {
        let text = &copied.table.computed[value].text;
        let place = if is_predicate { Place::IndexPredicate } else { Place::IndexExpression };
        let arena = Arena::new();
        let mut context = Context::new(scope, place);
        let mut bind = || {
            let written = parse_expression(text, &arena)?;
            let name = match column_name(written) {
                name if name == "?column?" => String::from("expr"),
                name => name.into_owned(),
            };
            let bound = self.bind(written, &mut context)?;
            let bound = match is_predicate {
                true => self.coerce_to_boolean(bound, "WHERE")?,
                false => self.default_to_text(bound)?,
            };
            Ok((bound, name))
        };
        let (bound, name) =
            bind().map_err(|_: Error| bound_to_its_table("index expression", copied.position))?;
        let mut expression = bound.expression;
        to_table_columns(&mut expression, columns)?;
        let sql_type = if is_predicate { SqlType::plain(DataType::Boolean) } else { bound.sql_type };
        Ok((NewComputed { expression, sql_type, text: text.clone() }, name))
    }
}

/// Stored text names columns alone, as a rule; where it names its table as well, it means nothing in another one.
fn bound_to_its_table(what: &str, position: usize) -> Error {
    Error::not_supported(format!("LIKE of a {what} that names its table")).at(position)
}

fn add_copied(draft: &mut TableDraft<'_>, column: ColumnDefinition, position: usize) -> Result<usize> {
    if draft.columns.iter().any(|known| known.name == column.name) {
        let message = format!("column \"{}\" specified more than once", column.name);
        return Err(Error::new(SqlState::DUPLICATE_COLUMN, message).at(position));
    }
    if draft.columns.len() == TABLE_COLUMNS_MAX {
        let message = format!("tables can have at most {TABLE_COLUMNS_MAX} columns");
        return Err(Error::new(SqlState::TOO_MANY_COLUMNS, message).at(position));
    }
    draft.columns.push(column);
    Ok(draft.columns.len() - 1)
}

fn copy_keys(draft: &mut TableDraft<'_>, table: &Arc<TableDefinition>, columns: &[usize], position: usize) {
    let mut key = |primary: bool, columns: Vec<usize>, deferral: Deferral| {
        let (include, storage) = (Vec::new(), StorageParameters::default());
        draft.keys.push(Key { name: None, primary, columns, include, deferral, storage, position });
    };
    if let (RowIdSource::Column(column), Some(_)) = (table.layout.row_id, &table.row_id_constraint) {
        key(true, vec![columns[column]], Deferral::NotDeferrable);
    }
    for (index, definition) in table.indexes.iter().enumerate() {
        let layout = &table.layout.indexes[index];
        if layout.runtime.is_unfinished() {
            continue;
        }
        let Some(kind) = definition.constraint else {
            let (table, columns) = (Arc::clone(table), columns.to_vec());
            draft.copied.indexes.push(CopiedIndex { table, index, columns, position });
            continue;
        };
        let part = |part: &crate::table::layout::IndexColumn| match part.key {
            IndexKey::Column(column) => Some(columns[column]),
            IndexKey::Computed(_) => None,
        };
        let parts: Vec<usize> = layout.columns.iter().filter_map(part).collect();
        draft.keys.push(Key {
            name: None,
            primary: kind == ConstraintKind::PrimaryKey,
            columns: parts,
            include: Vec::new(),
            deferral: definition.deferral,
            storage: filled_as(layout),
            position,
        });
    }
}

/// A copied index is filled as far as the other one.
fn filled_as(index: &IndexLayout) -> StorageParameters {
    StorageParameters { fill_percent: index.fill_percent, ..StorageParameters::default() }
}

//! REFERENCES and FOREIGN KEY: columns, the key that is referred to, actions; checked and named, as plain data.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::{
    ColumnDefinition, ConstraintKind, Deferral, ForeignKeyMatching, ReferentialAction, TableDefinition,
};
use crate::common::ids::ObjectId;
use crate::common::limits::INDEX_COLUMNS_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::define::{self as ast, Matching, References};
use crate::sql::ast::{Name, Span};
use crate::sql::binder::bound::NewForeignKey;
use crate::sql::binder::key_names::{first_free, joined_columns};
use crate::sql::types::data_type::DataType;
use crate::table::layout::{IndexKey, RowIdSource};

/// A foreign key as written, with its own columns found.
#[derive(Clone)]
pub(super) struct ForeignKeyDraft<'a> {
    pub(super) name: Option<Name<'a>>,
    pub(super) columns: Vec<usize>,
    pub(super) references: References<'a>,
    pub(super) deferral: Deferral,
    pub(super) position: usize,
}

/// A key that can be referred to.
#[derive(Clone)]
pub(super) struct ParentKey {
    pub(super) columns: Vec<usize>,
    pub(super) primary: bool,
    pub(super) deferrable: bool,
}

/// The table that is referred to; it may be the one that is being made.
pub(super) struct Parent<'a> {
    /// `None`: the table itself.
    pub(super) id: Option<ObjectId>,
    pub(super) name: &'a str,
    pub(super) columns: &'a [ColumnDefinition],
    pub(super) keys: Vec<ParentKey>,
}

impl<'a> Parent<'a> {
    /// An existing table.
    pub(super) fn of(table: &'a TableDefinition) -> Parent<'a> {
        let mut keys = Vec::new();
        if let RowIdSource::Column(column) = table.layout.row_id {
            keys.push(ParentKey { columns: vec![column], primary: true, deferrable: false });
        }
        for (index, layout) in table.indexes.iter().zip(&table.layout.indexes) {
            let deferrable = index.deferral != Deferral::NotDeferrable;
            if (!layout.unique && !deferrable) || layout.runtime.is_unfinished() || layout.predicate.is_some()
            {
                continue;
            }
            let column = |key: IndexKey| match key {
                IndexKey::Column(column) => Some(column),
                IndexKey::Computed(_) => None,
            };
            let columns: Option<Vec<usize>> = layout.columns.iter().map(|part| column(part.key)).collect();
            if let Some(columns) = columns {
                let primary = index.constraint == Some(ConstraintKind::PrimaryKey);
                keys.push(ParentKey { columns, primary, deferrable });
            }
        }
        Parent { id: Some(table.id), name: &table.name, columns: &table.columns, keys }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_FOREIGN_KEY, message.into())
}

/// The columns of a list in a foreign key.
pub(super) fn key_columns(columns: &[ColumnDefinition], names: &[Name<'_>]) -> Result<Vec<usize>> {
    if names.len() > INDEX_COLUMNS_MAX {
        let message = format!("cannot have more than {INDEX_COLUMNS_MAX} keys in a foreign key");
        return Err(Error::new(SqlState::TOO_MANY_COLUMNS, message));
    }
    let find = |name: &Name<'_>| {
        columns.iter().position(|column| column.name == name.text).ok_or_else(|| {
            let message =
                format!("column \"{}\" referenced in foreign key constraint does not exist", name.text);
            Error::new(SqlState::UNDEFINED_COLUMN, message)
                .hint_near_miss(name.text, columns.iter().map(|column| &*column.name))
                .at(name.position())
        })
    };
    names.iter().map(find).collect()
}

/// Refuses NOT VALID for a constraint that an index keeps.
pub(super) fn refuse_not_valid(written: &ast::Deferral, constraint: &str) -> Result<()> {
    if written.not_valid {
        let message = format!("{constraint} constraints cannot be marked NOT VALID");
        let position = written.span.map_or(0, Span::position);
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
    }
    Ok(())
}

/// When a constraint is checked. Whether it is said to be valid is for the caller.
pub(super) fn deferral_of(written: &ast::Deferral) -> Result<Deferral> {
    let position = written.span.map_or(0, Span::position);
    match (written.deferrable, written.initially_deferred) {
        (Some(false), Some(true)) => Err(Error::new(
            SqlState::SYNTAX_ERROR,
            "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
        )
        .at(position)),
        (_, Some(true)) => Ok(Deferral::InitiallyDeferred),
        (Some(true), _) => Ok(Deferral::InitiallyImmediate),
        _ => Ok(Deferral::NotDeferrable),
    }
}

/// The key that is referred to.
fn parent_key(parent: &Parent<'_>, references: &References<'_>) -> Result<Vec<usize>> {
    if references.columns.is_empty() {
        let key = parent.keys.iter().find(|key| key.primary).ok_or_else(|| {
            let message = format!("there is no primary key for referenced table \"{}\"", parent.name);
            Error::new(SqlState::UNDEFINED_OBJECT, message).at(references.table.position())
        })?;
        if key.deferrable {
            let message =
                format!("cannot use a deferrable primary key for referenced table \"{}\"", parent.name);
            return Err(Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        return Ok(key.columns.clone());
    }
    let columns = key_columns(parent.columns, references.columns)?;
    let mut sorted = columns.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid("foreign key referenced-columns list must not contain duplicates"));
    }
    let is_key = |key: &&ParentKey| {
        let mut key = key.columns.clone();
        key.sort_unstable();
        key == sorted
    };
    if parent.keys.iter().filter(|key| !key.deferrable).any(|key| is_key(&key)) {
        return Ok(columns);
    }
    if parent.keys.iter().any(|key| is_key(&key)) {
        let message =
            format!("cannot use a deferrable unique constraint for referenced table \"{}\"", parent.name);
        return Err(Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
    }
    Err(invalid(format!(
        "there is no unique constraint matching given keys for referenced table \"{}\"",
        parent.name
    )))
}

/// Whether values of a column can refer to values of another.
fn can_refer(child: DataType, parent: DataType) -> bool {
    use DataType::{BigInt, Char, Date, Double, Integer, Numeric, Real, SmallInt, Text, Timestamp, Varchar};
    child == parent
        || matches!(
            (child, parent),
            (SmallInt | Integer | BigInt, SmallInt | Integer | BigInt | Numeric | Real | Double)
                | (Numeric, Real | Double)
                | (Real, Double)
                | (Double, Real)
                | (Text | Varchar | Char, Text | Varchar | Char)
                | (Date, Timestamp)
                | (Timestamp, Date)
        )
}

/// Checks a foreign key, and names it if it has no name. `taken`: whether a constraint has a name already.
pub(super) fn bind_foreign_key(
    table: &str,
    columns: &[ColumnDefinition],
    draft: &ForeignKeyDraft<'_>,
    parent: &Parent<'_>,
    is_free: &dyn Fn(&str) -> bool,
) -> Result<NewForeignKey> {
    let references = &draft.references;
    let matching = match references.matching {
        Matching::Simple => ForeignKeyMatching::Simple,
        Matching::Full => ForeignKeyMatching::Full,
        Matching::Partial => {
            let message = "MATCH PARTIAL not yet implemented";
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(draft.position));
        }
    };
    let parent_columns = parent_key(parent, references)?;
    if parent_columns.len() != draft.columns.len() {
        return Err(invalid("number of referencing and referenced columns for foreign key disagree"));
    }
    let name = match draft.name {
        Some(name) => name.text.to_owned(),
        None => {
            let joined = joined_columns(draft.columns.iter().map(|column| &*columns[*column].name));
            first_free(table, Some(&joined), "fkey", is_free)
        }
    };
    for (child, parent_column) in draft.columns.iter().zip(&parent_columns) {
        let (child, parent_column) = (&columns[*child], &parent.columns[*parent_column]);
        let types = (child.sql_type.data_type, parent_column.sql_type.data_type);
        if !can_refer(types.0, types.1) {
            let message = format!("foreign key constraint \"{name}\" cannot be implemented");
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, message).detail(format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                child.name,
                parent_column.name,
                types.0.name(),
                types.1.name()
            )));
        }
    }
    let on_delete = action_of(references.on_delete, columns, &draft.columns)?;
    let on_update = match references.on_update {
        ast::ReferentialAction::SetNull(named) | ast::ReferentialAction::SetDefault(named)
            if !named.is_empty() =>
        {
            let message =
                "a column list with SET NULL or SET DEFAULT is only supported for ON DELETE actions";
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(named[0].position()));
        }
        action => action_of(action, columns, &draft.columns)?,
    };
    Ok(NewForeignKey {
        name,
        columns: draft.columns.clone(),
        parent: parent.id,
        parent_columns,
        matching,
        on_delete,
        on_update,
        deferral: draft.deferral,
    })
}

fn action_of(
    action: ast::ReferentialAction<'_>,
    columns: &[ColumnDefinition],
    key: &[usize],
) -> Result<ReferentialAction> {
    let find = |names: &[Name<'_>]| -> Result<Vec<usize>> {
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let column = columns.iter().position(|column| column.name == name.text).ok_or_else(|| {
                let message =
                    format!("column \"{}\" referenced in foreign key constraint does not exist", name.text);
                Error::new(SqlState::UNDEFINED_COLUMN, message).at(name.position())
            })?;
            if !key.contains(&column) {
                let message = format!(
                    "column \"{}\" referenced in ON DELETE SET action must be part of foreign key",
                    name.text
                );
                return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(name.position()));
            }
            if !found.contains(&column) {
                found.push(column);
            }
        }
        Ok(found)
    };
    Ok(match action {
        ast::ReferentialAction::NoAction => ReferentialAction::NoAction,
        ast::ReferentialAction::Restrict => ReferentialAction::Restrict,
        ast::ReferentialAction::Cascade => ReferentialAction::Cascade,
        ast::ReferentialAction::SetNull(names) => ReferentialAction::SetNull(find(names)?),
        ast::ReferentialAction::SetDefault(names) => ReferentialAction::SetDefault(find(names)?),
    })
}

/// Whether no constraint of the catalog has this name: names that PostgreSQL makes are free in the whole schema.
pub(super) fn is_constraint_name_free(catalog: &CatalogSnapshot, name: &str) -> bool {
    catalog.tables().all(|table| {
        table.foreign_keys.iter().all(|key| key.name != name)
            && table.checks.iter().all(|check| check.name != name)
            && table.indexes.iter().all(|index| index.constraint.is_none() || index.name != name)
            && table.row_id_constraint.as_deref() != Some(name)
    })
}

//! The names that expressions may use at one place of a statement, and what binding them found out.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::ObjectName;
use crate::sql::plan::expression::{AggregateCall, ColumnId, OutputColumn};

/// Where an expression stands: decides what it may contain, and names itself in messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    SelectList,
    Where,
    GroupBy,
    Having,
    OrderBy,
    Limit,
    Offset,
    Values,
    Returning,
    UpdateSource,
    Filter,
    AggregateArgument,
    Default,
    Check,
}

impl Place {
    /// The place as messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Place::SelectList => "SELECT",
            Place::Where => "WHERE",
            Place::GroupBy => "GROUP BY",
            Place::Having => "HAVING",
            Place::OrderBy => "ORDER BY",
            Place::Limit => "LIMIT",
            Place::Offset => "OFFSET",
            Place::Values => "VALUES",
            Place::Returning => "RETURNING",
            Place::UpdateSource => "UPDATE",
            Place::Filter => "FILTER",
            Place::AggregateArgument => "aggregate arguments",
            Place::Default => "DEFAULT expressions",
            Place::Check => "check constraints",
        }
    }

    /// Whether aggregates may stand here.
    pub(super) fn allows_aggregates(self) -> bool {
        matches!(self, Place::SelectList | Place::Having | Place::OrderBy)
    }
}

/// Something in FROM, or the target of a data change.
#[derive(Clone, Debug)]
pub(super) struct ScopeRelation {
    /// The name it goes by: its alias, else its own.
    pub(super) name: String,
    /// The schema, where it goes by its own name.
    pub(super) schema: Option<String>,
    /// The name that an alias hides.
    pub(super) hidden_name: Option<String>,
    /// Its columns, named as they can be used.
    pub(super) columns: Vec<OutputColumn>,
    /// Columns of its primary key, by position, when it is a table that has one: the others depend on them.
    pub(super) key: Option<Vec<usize>>,
}

/// The names in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// What is in FROM, in order.
    pub(super) relations: Vec<ScopeRelation>,
}

impl Scope {
    /// A scope of one relation.
    pub(super) fn of(relation: ScopeRelation) -> Scope {
        Scope { relations: vec![relation] }
    }

    /// The column that `name` means.
    /// # Errors
    /// `42703`, `42702`, `42P01`, each at the name; `0A000` for a whole row.
    pub(super) fn column(&self, name: &ObjectName<'_>) -> Result<(&ScopeRelation, &OutputColumn)> {
        if name.parts.len() > 1 {
            return self.qualified_column(name);
        }
        let wanted = name.object();
        let mut found = None;
        for relation in &self.relations {
            for column in relation.columns.iter().filter(|column| column.name == wanted.text) {
                if found.is_some() {
                    let message = format!("column reference \"{}\" is ambiguous", wanted.text);
                    return Err(Error::new(SqlState::AMBIGUOUS_COLUMN, message)
                        .hint("Qualify it with the name of its table.")
                        .at(wanted.position()));
                }
                found = Some((relation, column));
            }
        }
        if let Some(found) = found {
            return Ok(found);
        }
        if self.relations.iter().any(|relation| relation.name == wanted.text) {
            return Err(Error::not_supported("a whole row as a value").at(wanted.position()));
        }
        let message = format!("column \"{}\" does not exist", wanted.text);
        let names = self.relations.iter().flat_map(|relation| &relation.columns).map(|column| &*column.name);
        Err(Error::new(SqlState::UNDEFINED_COLUMN, message)
            .hint_near_miss(wanted.text, names)
            .at(wanted.position()))
    }

    fn qualified_column(&self, name: &ObjectName<'_>) -> Result<(&ScopeRelation, &OutputColumn)> {
        let wanted = name.object();
        let relation = self.relation(name, name.parts.len() - 1)?;
        let mut matching = relation.columns.iter().filter(|column| column.name == wanted.text);
        match (matching.next(), matching.next()) {
            (Some(column), None) => Ok((relation, column)),
            (Some(_), Some(_)) => {
                let message = format!("column reference \"{}\" is ambiguous", wanted.text);
                Err(Error::new(SqlState::AMBIGUOUS_COLUMN, message).at(name.position()))
            }
            (None, _) => {
                let message = format!("column {}.{} does not exist", relation.name, wanted.text);
                let names = relation.columns.iter().map(|column| &*column.name);
                Err(Error::new(SqlState::UNDEFINED_COLUMN, message)
                    .hint_near_miss(wanted.text, names)
                    .at(name.position()))
            }
        }
    }

    /// The relation that the first `count` parts of `name` mean.
    pub(super) fn relation(&self, name: &ObjectName<'_>, count: usize) -> Result<&ScopeRelation> {
        let position = name.position();
        let (schema, table) = match &name.parts[..count] {
            [table] => (None, table.text),
            [schema, table] => (Some(schema.text), table.text),
            [_, _, _] => return Err(Error::not_supported("a reference to another database").at(position)),
            _ => {
                let message = format!("improper qualified name (too many dotted names): {name}");
                return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
        };
        let found = self.relations.iter().find(|relation| {
            relation.name == table && schema.is_none_or(|schema| relation.schema.as_deref() == Some(schema))
        });
        if let Some(relation) = found {
            return Ok(relation);
        }
        let hidden = self.relations.iter().find(|relation| relation.hidden_name.as_deref() == Some(table));
        if let Some(relation) = hidden {
            let message = format!("invalid reference to FROM-clause entry for table \"{table}\"");
            let hint = format!("Perhaps you meant to reference the table alias \"{}\".", relation.name);
            return Err(Error::new(SqlState::UNDEFINED_TABLE, message).hint(hint).at(position));
        }
        let message = format!("missing FROM-clause entry for table \"{table}\"");
        let names = self.relations.iter().map(|relation| &*relation.name);
        Err(Error::new(SqlState::UNDEFINED_TABLE, message).hint_near_miss(table, names).at(position))
    }
}

/// What expressions of one place are bound against, and what they turned out to use.
pub(super) struct Context<'s> {
    /// The names.
    pub(super) scope: &'s Scope,
    /// Where the expression stands now.
    pub(super) place: Place,
    /// The aggregates met so far; equal ones once.
    pub(super) aggregates: Vec<AggregateCall>,
    /// Columns used outside aggregates, with their places and the names messages give them.
    pub(super) references: Vec<(ColumnId, usize)>,
}

impl<'s> Context<'s> {
    pub(super) fn new(scope: &'s Scope, place: Place) -> Context<'s> {
        Context { scope, place, aggregates: Vec::new(), references: Vec::new() }
    }
}

/// The primary key of a table as column positions.
pub(super) fn primary_key(table: &TableDefinition) -> Option<Vec<usize>> {
    use crate::catalog::table_definition::ConstraintKind;
    if let Some(column) = table.row_id_column() {
        return Some(vec![column]);
    }
    let index =
        table.indexes.iter().position(|index| index.constraint == Some(ConstraintKind::PrimaryKey))?;
    let layout = table.layout.indexes.get(index)?;
    Some(layout.columns.iter().map(|column| column.column).collect())
}

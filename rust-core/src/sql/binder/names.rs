//! Column and table names over all levels of a query: from the innermost scope outwards, as PostgreSQL looks them up.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{Name, ObjectName};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::scope::{Context, Place, ScopeColumn, ScopeItem};
use crate::sql::binder::walk;
use crate::sql::plan::expression::{ColumnId, Expression};
use smallvec::SmallVec;

/// What a column's name turned out to mean.
struct Found {
    value: Box<Bound>,
    /// How many levels further out it stands.
    levels_up: usize,
}

impl Binder<'_> {
    /// Binds a column reference.
    #[inline(never)]
    pub(super) fn bind_column(&mut self, name: &ObjectName<'_>, context: &mut Context) -> Result<Box<Bound>> {
        let position = name.position();
        if context.place == Place::Default {
            return Err(Error::new(
                crate::error::SqlState::FEATURE_NOT_SUPPORTED,
                "cannot use column reference in DEFAULT expression",
            )
            .at(position));
        }
        let Found { value, levels_up } = self.find_column(name, context)?;
        if levels_up == 0 && matches!(context.place, Place::Limit | Place::Offset) {
            let message = format!("argument of {} must not contain variables", context.place.name());
            return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position));
        }
        self.note_reference(&value.expression, levels_up, position, context);
        Ok(value)
    }

    /// Remembers that a column is used, for its level's grouping and for the aggregates around it.
    pub(super) fn note_reference(
        &mut self,
        value: &Expression,
        levels_up: usize,
        position: usize,
        context: &mut Context,
    ) {
        let level = self.outer.len() - levels_up;
        for aggregate in &mut self.open_aggregates {
            if level <= aggregate.own_level {
                aggregate.innermost_column = aggregate.innermost_column.max(Some(level));
            }
        }
        let owner = if levels_up == 0 { context } else { &mut self.outer[level] };
        if owner.place.allows_aggregates() {
            let mut used: Vec<ColumnId> = Vec::new();
            walk::columns_of(value, &mut used);
            owner.references.extend(used.into_iter().map(|id| (id, position)));
        }
    }

    fn find_column(&self, name: &ObjectName<'_>, context: &Context) -> Result<Found> {
        if name.parts.len() > 1 {
            return self.find_qualified_column(name, context);
        }
        let wanted = name.object();
        for (levels_up, level) in self.levels(context).enumerate() {
            if let Some(column) = level.scope.column(wanted, level.lateral)? {
                return Ok(found(column, levels_up, name.position()));
            }
        }
        for level in self.levels(context) {
            if level.scope.relation(None, wanted.text, level.lateral, wanted.position())?.is_some() {
                return Err(Error::not_supported("a whole row as a value").at(wanted.position()));
            }
        }
        Err(self.no_column(wanted, context))
    }

    fn find_qualified_column(&self, name: &ObjectName<'_>, context: &Context) -> Result<Found> {
        let wanted = name.object();
        let (item, levels_up) = self.find_relation(name, name.parts.len() - 1, context)?;
        let relation = &item.relation;
        let mut matching =
            relation.columns.iter().enumerate().filter(|(_, column)| column.name == wanted.text);
        match (matching.next(), matching.next()) {
            (Some((column, _)), None) => Ok(found(ScopeColumn { item, column }, levels_up, name.position())),
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

    /// The relation that the first `count` parts of `name` mean, and how many levels further out it is.
    pub(super) fn find_relation<'s>(
        &'s self,
        name: &ObjectName<'_>,
        count: usize,
        context: &'s Context,
    ) -> Result<(&'s ScopeItem, usize)> {
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
        for (levels_up, level) in self.levels(context).enumerate() {
            if let Some(item) = level.scope.relation(schema, table, level.lateral, position)? {
                return Ok((item, levels_up));
            }
        }
        Err(self.no_relation(table, position, context))
    }

    /// The contexts from the innermost outwards.
    fn levels<'s>(&'s self, context: &'s Context) -> impl Iterator<Item = &'s Context> {
        std::iter::once(context).chain(self.outer.iter().rev())
    }

    #[inline(never)]
    fn no_column(&self, wanted: Name<'_>, context: &Context) -> Error {
        let message = format!("column \"{}\" does not exist", wanted.text);
        let error = Error::new(SqlState::UNDEFINED_COLUMN, message).at(wanted.position());
        let relations = || self.levels(context).flat_map(|level| level.scope.relations());
        let hidden =
            relations().find(|relation| relation.columns.iter().any(|column| column.name == wanted.text));
        if let Some(relation) = hidden {
            return error.hint(format!(
                "There is a column named \"{}\" in table \"{}\", but it cannot be referenced from this part of the query.",
                wanted.text, relation.name
            ));
        }
        let names = relations().flat_map(|relation| &relation.columns).map(|column| &*column.name);
        error.hint_near_miss(wanted.text, names)
    }

    #[inline(never)]
    fn no_relation(&self, table: &str, position: usize, context: &Context) -> Error {
        let items = || self.levels(context).flat_map(|level| &level.scope.items);
        let hidden =
            items().find(|item| item.is_named && item.relation.hidden_name.as_deref() == Some(table));
        let invalid = || {
            let message = format!("invalid reference to FROM-clause entry for table \"{table}\"");
            Error::new(SqlState::UNDEFINED_TABLE, message).at(position)
        };
        if let Some(item) = hidden {
            return invalid()
                .hint(format!("Perhaps you meant to reference the table alias \"{}\".", item.relation.name));
        }
        if self.range_names.iter().flatten().any(|name| name == table) {
            return invalid().hint(format!(
                "There is an entry for table \"{table}\", but it cannot be referenced from this part of the query."
            ));
        }
        let message = format!("missing FROM-clause entry for table \"{table}\"");
        let names: SmallVec<[&str; 8]> =
            items().filter(|item| item.is_named).map(|item| &*item.relation.name).collect();
        Error::new(SqlState::UNDEFINED_TABLE, message).hint_near_miss(table, names).at(position)
    }
}

fn found(column: ScopeColumn<'_>, levels_up: usize, position: usize) -> Found {
    let expression = column.item.relation.value(column.column);
    let value = Bound::new(expression, column.output().sql_type, column.nullable(), position);
    Found { value, levels_up }
}

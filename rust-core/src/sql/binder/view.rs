//! Views: bound where they are used, from their text.

use crate::common::arena::Arena;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{ObjectName, Statement};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::common_table::RecursionPlace;
use crate::sql::binder::query::{BoundQuery, Untyped};
use crate::sql::binder::scope::ScopeRelation;
use crate::sql::binder::walk;
use crate::sql::parser::parse_first_within;
use crate::sql::plan::logical::LogicalPlan;

/// What a view counts towards the nesting of a statement.
const VIEW_DEPTH: usize = 8;

impl Binder<'_> {
    /// The view that `name` means, as a relation; `None` where it is no view.
    #[inline(never)]
    pub(super) fn bind_view(
        &mut self,
        name: &ObjectName<'_>,
    ) -> Result<Option<(Box<LogicalPlan>, ScopeRelation)>> {
        if name.parts.len() > 2 {
            return Ok(None);
        }
        let schema = name.schema().map(|schema| schema.text);
        let Some(view) = self.catalog.view(schema, name.object().text) else { return Ok(None) };
        let position = name.position();
        self.enter(VIEW_DEPTH, position)?;
        if !self.dependencies.contains(&view.id) {
            self.dependencies.push(view.id);
        }
        let bound = self.bind_view_text(&view.query).map_err(|error| error.at(position))?;
        self.leave(VIEW_DEPTH);
        let BoundQuery { mut plan, mut columns, .. } = bound;
        columns.truncate(view.columns.len());
        // Places in the view's text mean nothing in the statement.
        walk::move_plan_to(&mut plan, position)?;
        for (column, name) in columns.iter_mut().zip(&view.columns) {
            column.name.clone_from(name);
            column.origin = None;
        }
        let mut relation = ScopeRelation::new(&*view.name, columns);
        relation.schema = Some(view.schema.clone());
        Ok(Some((plan, relation)))
    }

    /// Binds a stored query: nothing around the place where the view stands is known to it.
    fn bind_view_text(&mut self, text: &str) -> Result<BoundQuery> {
        let arena = Arena::new();
        let parsed = parse_first_within(text, &arena, self.depth())?;
        let Some(Statement::Query(query)) = parsed.map(|parsed| parsed.statement) else {
            return Err(Error::new(SqlState::DATA_CORRUPTED, "the stored text of a view is no query"));
        };
        let outer = std::mem::take(&mut self.outer);
        let range_names = std::mem::take(&mut self.range_names);
        let open_aggregates = std::mem::take(&mut self.open_aggregates);
        let common_tables = std::mem::take(&mut self.common_tables);
        let dependencies = std::mem::take(&mut self.dependencies);
        let recursion = std::mem::replace(&mut self.recursion, RecursionPlace::Allowed);
        let bound = self.bind_query(query, Untyped::BecomesText);
        self.outer = outer;
        self.range_names = range_names;
        self.open_aggregates = open_aggregates;
        self.common_tables = common_tables;
        self.dependencies = dependencies;
        self.recursion = recursion;
        bound
    }
}

//! ON CONFLICT: the keys that are meant, and DO UPDATE over the row that is there and the one that was to be inserted.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Name;
use crate::sql::ast::expression::Expr;
use crate::sql::ast::modify as ast;
use crate::sql::binder::binder::Binder;
use crate::sql::binder::expression::check_collation;
use crate::sql::binder::from::table_relation;
use crate::sql::binder::modify::target_relation;
use crate::sql::binder::scope::{Context, Place, Scope, ScopeItem};
use crate::sql::plan::expression::Expression;
use crate::sql::plan::logical::{ConflictTarget, ConflictUpdate, LogicalPlan, OnConflict};
use crate::sql::types::data_type::DataType;

/// The name of the row that was to be inserted.
const EXCLUDED: &str = "excluded";

impl Binder<'_> {
    /// ON CONFLICT of an INSERT into `table`, which goes by `alias` where it has one.
    pub(super) fn bind_on_conflict(
        &mut self,
        table: &TableDefinition,
        alias: Option<Name<'_>>,
        clause: &ast::OnConflict<'_>,
    ) -> Result<OnConflict> {
        let updates = matches!(clause.action, ast::ConflictAction::Update { .. });
        let target = match &clause.target {
            ast::ConflictTarget::Any if updates => {
                let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
                return Err(Error::new(SqlState::SYNTAX_ERROR, message)
                    .hint("For example, ON CONFLICT (column_name).")
                    .at(clause.span.position()));
            }
            ast::ConflictTarget::Any => ConflictTarget::Any,
            ast::ConflictTarget::Constraint(name) => constraint(table, *name)?,
            ast::ConflictTarget::Columns { elements, filter } => {
                self.bind_conflict_keys(table, alias, elements, *filter)?
            }
        };
        let update = match &clause.action {
            ast::ConflictAction::Nothing => None,
            ast::ConflictAction::Update { assignments, filter } => {
                Some(self.bind_conflict_update(table, alias, assignments, *filter)?)
            }
        };
        Ok(OnConflict { target, update })
    }

    fn bind_conflict_keys(
        &mut self,
        table: &TableDefinition,
        alias: Option<Name<'_>>,
        elements: &[ast::ConflictElement<'_>],
        filter: Option<&Expr<'_>>,
    ) -> Result<ConflictTarget> {
        let columns = self.table_columns(table);
        let scope = Scope::of(target_relation(table, columns.clone(), alias));
        let mut keys: Vec<Expression> = Vec::with_capacity(elements.len());
        for element in elements {
            if let Some(collation) = &element.collation {
                check_collation(collation)?;
            }
            if let Some(class) = element.operator_class {
                return Err(Error::not_supported("an operator class").at(class.position()));
            }
            let bound = self.bind(&element.value, &mut Context::new(&scope, Place::IndexExpression))?;
            keys.push(self.default_to_text(bound)?.expression);
        }
        let predicate = match filter {
            None => None,
            Some(filter) => {
                let mut context = Context::new(&scope, Place::IndexPredicate);
                Some(self.bind_condition(filter, "WHERE", &mut context)?.expression)
            }
        };
        Ok(ConflictTarget::Keys { columns, keys, predicate })
    }

    fn bind_conflict_update(
        &mut self,
        table: &TableDefinition,
        alias: Option<Name<'_>>,
        assignments: &[ast::Assignment<'_>],
        filter: Option<&Expr<'_>>,
    ) -> Result<ConflictUpdate> {
        let existing_columns = self.table_columns(table);
        let excluded_columns = self.table_columns(table);
        let existing = target_relation(table, existing_columns.clone(), alias);
        let mut excluded = table_relation(table, excluded_columns.clone());
        excluded.name = String::from(EXCLUDED);
        (excluded.schema, excluded.key) = (None, None);
        let scope = Scope::of_items(vec![ScopeItem::new(existing), ScopeItem::new(excluded)]);
        let one_row = LogicalPlan::Values { rows: vec![Vec::new()], columns: Vec::new() };
        let (input, assigned) = self.bind_assignments(table, assignments, Box::new(one_row), &scope)?;
        let (mut expressions, mut columns, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for (column, value) in assigned {
            let definition = &table.columns[column];
            columns.push(self.new_column(&*definition.name, definition.sql_type, true));
            expressions.push(value);
            changed.push(column);
        }
        if let Some(filter) = filter {
            let mut context = Context::new(&scope, Place::Where);
            expressions.push(self.bind_condition(filter, "WHERE", &mut context)?.expression);
            columns.push(self.new_column("where", DataType::Boolean, true));
        }
        Ok(ConflictUpdate {
            existing_columns,
            excluded_columns,
            columns: changed,
            values: Box::new(LogicalPlan::Project { input, expressions, columns }),
            has_filter: filter.is_some(),
        })
    }
}

/// ON CONSTRAINT.
fn constraint(table: &TableDefinition, name: Name<'_>) -> Result<ConflictTarget> {
    if table.row_id_constraint.as_deref() == Some(name.text) {
        return Ok(ConflictTarget::Constraint { index: None });
    }
    let is_meant = |index: &crate::catalog::table_definition::IndexDefinition| {
        index.constraint.is_some() && index.name == name.text
    };
    if let Some(index) = table.indexes.iter().position(is_meant) {
        return Ok(ConflictTarget::Constraint { index: Some(index) });
    }
    let has_no_index = table.checks.iter().any(|check| check.name == name.text)
        || table.foreign_keys.iter().any(|key| key.name == name.text);
    if has_no_index {
        let message = "constraint in ON CONFLICT clause has no associated index";
        return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message));
    }
    let message = format!("constraint \"{}\" for table \"{}\" does not exist", name.text, table.name);
    let constraints = table.indexes.iter().filter(|index| index.constraint.is_some());
    let names = constraints.map(|index| &*index.name).chain(table.row_id_constraint.as_deref());
    Err(Error::new(SqlState::UNDEFINED_OBJECT, message).hint_near_miss(name.text, names))
}

//! INSERT, UPDATE, DELETE with defaults, check constraints and RETURNING.

use crate::catalog::table_definition::TableDefinition;
use crate::common::arena::Arena;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::define::Truncate;
use crate::sql::ast::expression::{Expr, ExprKind};
use crate::sql::ast::modify::{
    Assignment, Condition, Delete, Insert, InsertSource, Overriding, TargetColumn, Update,
};
use crate::sql::ast::query::{FromItem, Query, QueryBody, SelectItem, TableReference};
use crate::sql::ast::{Name, ObjectName};
use crate::sql::binder::binder::{Binder, null_constant};
use crate::sql::binder::bound::{BoundStatement, TruncateTarget};
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::from::{alias_relation, table_relation};
use crate::sql::binder::query::Untyped;
use crate::sql::binder::reference::RowChange;
use crate::sql::binder::scope::{Context, Place, Scope, ScopeItem, ScopeRelation, column_expression};
use crate::sql::binder::set_operation::projection;
use crate::sql::binder::walk;
use crate::sql::parser::parse_expression;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn, Subquery, SubqueryForm};
use crate::sql::plan::logical::{BoundCheck, JoinKind, LogicalPlan, Recheck, Returning};
use crate::sql::types::cast::CastContext;
use crate::sql::types::data_type::DataType;
use std::rc::Rc;
use std::sync::Arc;

/// Changed columns by position, with their new values.
pub(super) type Assignments = Vec<(usize, Expression)>;

impl Binder<'_> {
    pub(super) fn bind_insert(&mut self, insert: &Insert<'_>) -> Result<LogicalPlan> {
        let start = insert.span.position();
        let definitions = self.bind_with(insert.with)?;
        self.check_view_row(insert)?;
        let table = self.find_target(&insert.table, "insert into")?;
        let targets = insert_targets(&table, insert.columns)?;
        let defaults = self.bind_defaults(&table, start)?;
        let input = match &insert.source {
            InsertSource::DefaultValues => {
                let columns = self.table_columns(&table);
                Box::new(LogicalPlan::Values { rows: vec![defaults], columns })
            }
            InsertSource::Query(query) => match plain_values(query) {
                Some(rows) => self.insert_rows(&table, insert, &targets, &defaults, rows)?,
                None => self.insert_query(&table, insert, &targets, defaults, query)?,
            },
        };
        let conflict = match insert.on_conflict {
            Some(clause) => Some(Box::new(self.bind_on_conflict(&table, insert.alias, clause)?)),
            None => None,
        };
        // DO UPDATE and RETURNING may read what WITH defines, and what changes rows stands around everything.
        let updates = conflict.as_ref().is_some_and(|conflict| conflict.update.is_some());
        let is_around = updates || !insert.returning.is_empty() || definitions.change_rows();
        let (definitions, input) = match is_around {
            true => (Some(definitions), input),
            false => (None, self.finish_with(definitions, input)),
        };
        let new_columns = self.table_columns(&table);
        let checks = self.bind_checks(&table, &new_columns, start)?;
        let relation = target_relation(&table, new_columns.clone(), insert.alias);
        let returning = self.bind_returning(insert.returning, vec![ScopeItem::new(relation)])?;
        let computed = self.bind_computed(&table, start)?;
        let mut changes = vec![RowChange::Added];
        if let Some(update) = conflict.as_ref().and_then(|conflict| conflict.update.as_ref()) {
            changes.push(RowChange::Changed(update.columns.clone()));
        }
        let references = self.bind_references(&table, &changes, start)?;
        let plan = LogicalPlan::Insert {
            table,
            input,
            checks,
            new_columns,
            returning,
            computed,
            references,
            conflict,
        };
        Ok(match definitions {
            Some(definitions) => *self.finish_with(definitions, Box::new(plan)),
            None => plan,
        })
    }

    /// What is wrong with an INSERT whatever its view allows is said first.
    fn check_view_row(&self, insert: &Insert<'_>) -> Result<()> {
        let schema = insert.table.schema().map(|schema| schema.text);
        let view = match insert.table.parts.len() {
            1 | 2 => self.catalog.view(schema, insert.table.object().text),
            _ => None,
        };
        let Some(view) = view else { return Ok(()) };
        for target in insert.columns {
            if !view.columns.iter().any(|column| column == target.name.text) {
                let message =
                    format!("column \"{}\" of relation \"{}\" does not exist", target.name.text, view.name);
                return Err(Error::new(SqlState::UNDEFINED_COLUMN, message)
                    .hint_near_miss(target.name.text, view.columns.iter().map(String::as_str))
                    .at(target.name.position()));
            }
        }
        let InsertSource::Query(query) = &insert.source else { return Ok(()) };
        let Some(&row) = plain_values(query).and_then(<[_]>::first) else { return Ok(()) };
        let wanted = if insert.columns.is_empty() { view.columns.len() } else { insert.columns.len() };
        let targets: Vec<usize> = (0..wanted).collect();
        let position_of = |index: usize| row.get(index).map(|value| value.span.position());
        check_target_count(insert, &targets, row.len(), position_of)
    }

    /// The table that a data change is about.
    pub(super) fn find_target(&self, name: &ObjectName<'_>, what: &str) -> Result<Arc<TableDefinition>> {
        let schema = name.schema().map(|schema| schema.text);
        if name.parts.len() <= 2 && self.catalog.view(schema, name.object().text).is_some() {
            let message = format!("cannot {what} view \"{}\"", name.object().text);
            // COPY never reaches a table through a view; INSERT, UPDATE and DELETE could.
            let state = match what {
                "copy to" => SqlState::WRONG_OBJECT_TYPE,
                _ => SqlState::FEATURE_NOT_SUPPORTED,
            };
            return Err(Error::new(state, message)
                .detail("Views cannot be changed through.")
                .at(name.position()));
        }
        self.find_table(name)
    }

    fn insert_rows(
        &mut self,
        table: &TableDefinition,
        insert: &Insert<'_>,
        targets: &[usize],
        defaults: &[Expression],
        rows: &[&[Expr<'_>]],
    ) -> Result<Box<LogicalPlan>> {
        let mut context = Context::empty(Place::Values);
        let width = rows.first().map_or(0, |row| row.len());
        let mut bound_rows = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                let position = row.first().map_or(0, |value| value.span.position());
                let message = "VALUES lists must all be the same length";
                return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
            let position_of = |index: usize| row.get(index).map(|value| value.span.position());
            check_target_count(insert, targets, width, position_of)?;
            let mut new_row = defaults.to_vec();
            for (value, &target) in row.iter().zip(targets) {
                if !matches!(value.kind, ExprKind::Default) {
                    let value = self.bind(value, &mut context)?;
                    let value = self.assign(table, target, value)?;
                    if takes_given_value(table, target, insert.overriding)? {
                        new_row[target] = value;
                    }
                }
            }
            bound_rows.push(new_row);
        }
        let columns = self.table_columns(table);
        Ok(self.rows_of(bound_rows, &columns))
    }

    fn insert_query(
        &mut self,
        table: &TableDefinition,
        insert: &Insert<'_>,
        targets: &[usize],
        defaults: Vec<Expression>,
        query: &Query<'_>,
    ) -> Result<Box<LogicalPlan>> {
        let bound = self.bind_query(query, Untyped::Stays)?;
        let count = bound.columns.len();
        check_target_count(insert, targets, count, |index| bound.positions.get(index).copied())?;
        let mut plan = bound.plan;
        let untyped = bound.columns.iter().map(untyped_of).collect::<Vec<_>>();
        let literals = take_untyped(&mut plan, &untyped);
        let mut expressions = defaults;
        for (index, (column, &target)) in bound.columns.iter().zip(targets).enumerate() {
            let position = bound.positions[index];
            let expression = match literals.get(index).cloned().flatten() {
                Some(literal) => literal,
                None => column_expression(column),
            };
            let value = Bound::new(expression, column.sql_type, column.nullable, position);
            let value = self.assign(table, target, value)?;
            if takes_given_value(table, target, insert.overriding)? {
                expressions[target] = value;
            }
        }
        self.drop_untyped(&mut plan)?;
        let columns = self.table_columns(table);
        Ok(Box::new(LogicalPlan::Project { input: plan, expressions, columns }))
    }

    /// Untyped items that the INSERT has taken over stay in the query as text: nobody reads them.
    fn drop_untyped(&mut self, plan: &mut LogicalPlan) -> Result<()> {
        if let Some((expressions, columns)) = projection(plan) {
            for (expression, column) in expressions.iter_mut().zip(columns) {
                if untyped_of(column) {
                    let taken = std::mem::replace(expression, null_constant(column.sql_type.data_type));
                    let is_parameter = matches!(taken, Expression::Parameter { .. });
                    column.sql_type = crate::sql::types::data_type::DataType::Text.into();
                    *expression = null_constant(column.sql_type.data_type);
                    if !is_parameter {
                        let bound = Bound::new(taken, untyped_type(), column.nullable, 0);
                        *expression = self.default_to_text(bound)?.expression;
                    }
                }
            }
        }
        Ok(())
    }

    /// `value` as the column `target` takes it.
    pub(super) fn assign(
        &mut self,
        table: &TableDefinition,
        target: usize,
        value: Box<Bound>,
    ) -> Result<Expression> {
        let column = &table.columns[target];
        let (from, position) = (value.data_type(), value.position);
        let assigned = self.coerce(value, column.sql_type, CastContext::Assignment)?;
        assigned.map(|value| value.expression).ok_or_else(|| {
            let message = format!(
                "column \"{}\" is of type {} but expression is of type {}",
                column.name,
                column.sql_type.data_type.name(),
                from.name()
            );
            Error::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(position)
        })
    }

    /// The default of every column.
    pub(super) fn bind_defaults(
        &mut self,
        table: &TableDefinition,
        position: usize,
    ) -> Result<Vec<Expression>> {
        (0..table.columns.len()).map(|column| self.bind_default(table, column, position)).collect()
    }

    /// The default of a column from its stored text; `position` stands in for the places in that text.
    pub(super) fn bind_default(
        &mut self,
        table: &TableDefinition,
        column: usize,
        position: usize,
    ) -> Result<Expression> {
        if let Some(identity) = &table.columns[column].identity {
            return self.bind_identity(table, column, identity, position);
        }
        let Some(text) = &table.columns[column].default else {
            return Ok(null_constant(table.columns[column].sql_type.data_type));
        };
        let stored = |error: Error| stored_error(error, position);
        let arena = Arena::new();
        let expr = parse_expression(text, &arena).map_err(stored)?;
        let bound = self.bind(expr, &mut Context::empty(Place::Default)).map_err(stored)?;
        let mut expression = self.assign(table, column, bound).map_err(stored)?;
        walk::move_to(&mut expression, position)?;
        Ok(expression)
    }

    /// The check constraints of a table over the columns of a new row.
    pub(super) fn bind_checks(
        &mut self,
        table: &TableDefinition,
        new_columns: &[OutputColumn],
        position: usize,
    ) -> Result<Vec<BoundCheck>> {
        let scope = Scope::of(table_relation(table, new_columns.to_vec()));
        let mut checks = Vec::with_capacity(table.checks.len());
        for check in &table.checks {
            let stored = |error: Error| stored_error(error, position);
            let arena = Arena::new();
            let expr = parse_expression(&check.condition, &arena).map_err(stored)?;
            let mut context = Context::new(&scope, Place::Check);
            let mut condition = self.bind_condition(expr, "CHECK", &mut context).map_err(stored)?.expression;
            walk::move_to(&mut condition, position)?;
            checks.push(BoundCheck { name: check.name.clone(), condition });
        }
        Ok(checks)
    }

    fn bind_returning(
        &mut self,
        items: &[SelectItem<'_>],
        relations: Vec<ScopeItem>,
    ) -> Result<Option<Returning>> {
        if items.is_empty() {
            return Ok(None);
        }
        let scope = Scope::of_items(relations);
        let mut context = Context::new(&scope, Place::Returning);
        let items = self.bind_items(items, &mut context, Untyped::BecomesText)?;
        let (mut expressions, mut columns) = (Vec::new(), Vec::new());
        for item in items {
            let mut column = self.new_column(item.name, item.value.sql_type, item.value.nullable);
            column.origin = item.origin;
            columns.push(column);
            expressions.push(item.value.expression);
        }
        Ok(Some(Returning { expressions, columns }))
    }

    pub(super) fn bind_update(&mut self, update: &Update<'_>) -> Result<LogicalPlan> {
        let definitions = self.bind_with(update.with)?;
        let change = self.bind_changed_rows(&update.table, "update", update.from, update.filter.as_ref())?;
        let ChangedRows { table, old_columns, row_id, input, items } = change;
        let scope = Scope::of_items(items.clone());
        let (mut input, mut assignments) =
            self.bind_assignments(&table, update.assignments, input, &scope)?;
        for (_, value) in &mut assignments {
            input = self.join_subqueries(input, value)?;
        }
        let start = update.span.position();
        let new_columns = self.table_columns(&table);
        let checks = self.bind_checks(&table, &new_columns, start)?;
        let relation = table_relation(&table, new_columns.clone());
        let relation = alias_relation(relation, update.table.alias.as_ref())?;
        let mut relations = items;
        relations[0] = ScopeItem::new(relation);
        let returning = self.bind_returning(update.returning, relations)?;
        let computed = self.bind_computed(&table, start)?;
        let changed = RowChange::Changed(assignments.iter().map(|(column, _)| *column).collect());
        let references = self.bind_references(&table, &[changed], start)?;
        let plan = LogicalPlan::Update {
            table,
            input,
            old_columns,
            row_id,
            assignments,
            recheck: Recheck::default(),
            checks,
            new_columns,
            returning,
            computed,
            references,
        };
        Ok(*self.finish_with(definitions, Box::new(plan)))
    }

    pub(super) fn bind_delete(&mut self, delete: &Delete<'_>) -> Result<LogicalPlan> {
        let definitions = self.bind_with(delete.with)?;
        let change =
            self.bind_changed_rows(&delete.table, "delete from", delete.using, delete.filter.as_ref())?;
        let ChangedRows { table, old_columns, row_id, input, items } = change;
        let returning = self.bind_returning(delete.returning, items)?;
        let position = delete.span.position();
        let computed = self.bind_computed(&table, position)?;
        let references = self.bind_references(&table, &[RowChange::Removed], position)?;
        let recheck = Recheck::default();
        let plan = LogicalPlan::Delete {
            table,
            input,
            old_columns,
            row_id,
            recheck,
            returning,
            computed,
            references,
        };
        Ok(*self.finish_with(definitions, Box::new(plan)))
    }

    /// A table that others refer to is emptied with them: they are listed too, or CASCADE adds them.
    pub(super) fn bind_truncate(&mut self, truncate: &Truncate<'_>) -> Result<BoundStatement> {
        let mut targets = Vec::with_capacity(truncate.tables.len());
        let mut emptied: Vec<(Arc<TableDefinition>, bool)> = Vec::new();
        for name in truncate.tables {
            emptied.push((self.find_table(name)?, false));
        }
        let mut next = 0;
        while let Some((table, _)) = emptied.get(next).cloned() {
            next += 1;
            for (child, _) in self.catalog.referring(table.id) {
                if emptied.iter().any(|(known, _)| known.id == child.id) {
                    continue;
                }
                if !truncate.cascade {
                    let message = "cannot truncate a table referenced in a foreign key constraint";
                    return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                        .detail(format!("Table \"{}\" references \"{}\".", child.name, table.name))
                        .hint(format!(
                            "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                            child.name
                        )));
                }
                emptied.push((child, true));
            }
        }
        for (table, by_cascade) in emptied {
            let span = truncate.span;
            let parts = [Name { text: &table.name, span }];
            let name = &ObjectName { parts: &parts };
            let span = name.span();
            let target = TableReference { name: *name, only: truncate.only, alias: None, sample: None, span };
            let (span, nothing) = (truncate.span, None);
            let delete =
                Delete { with: None, table: target, using: &[], filter: nothing, returning: &[], span };
            let mut plan = self.bind_delete(&delete)?;
            if let LogicalPlan::Delete { references, .. } = &mut plan {
                *references = None;
            }
            let cascaded = by_cascade.then(|| table.name.clone());
            targets.push(TruncateTarget {
                cascaded,
                table: table.id,
                plan,
                restart_identity: truncate.restart_identity,
            });
        }
        Ok(BoundStatement::Truncate(targets))
    }

    /// The rows that UPDATE and DELETE change: the target joined with other tables, and WHERE.
    fn bind_changed_rows(
        &mut self,
        reference: &TableReference<'_>,
        what: &str,
        others: &[FromItem<'_>],
        filter: Option<&Condition<'_>>,
    ) -> Result<ChangedRows> {
        let table = self.find_target(&reference.name, what)?;
        let old_columns = self.table_columns(&table);
        let relation = table_relation(&table, old_columns.clone());
        let relation = alias_relation(relation, reference.alias.as_ref())?;
        self.range_names.push(vec![relation.name.clone()]);
        let row_id = self.new_column("row id", DataType::BigInt, false);
        let mut columns = old_columns.clone();
        let readable = Arc::clone(&table).readable(self.options.snapshot);
        self.add_computed_columns(&readable, &mut columns);
        let scan = LogicalPlan::Scan {
            computed: self.bind_computed(&readable, reference.span.position())?,
            table: readable,
            columns,
            row_id: Some(row_id.clone()),
        };
        let mut input = Box::new(scan);
        // What stands in FROM may not use the target.
        let target = ScopeItem { is_lateral: true, lateral_allowed: false, ..ScopeItem::new(relation) };
        let (joined, mut items) = self.bind_from(others, vec![target])?;
        items[0].is_lateral = false;
        if let Some(right) = joined {
            let kind = JoinKind::Inner;
            input = Box::new(LogicalPlan::Join { kind, left: input, right, condition: None });
        }
        match filter {
            None => {}
            Some(Condition::CurrentOf(name)) => {
                return Err(Error::not_supported("WHERE CURRENT OF").at(name.position()));
            }
            Some(Condition::Expression(expr)) => {
                let mut context = Context::new(&Scope::of_items(items.clone()), Place::Where);
                let predicate = self.bind_condition(expr, "WHERE", &mut context)?.expression;
                input = Box::new(LogicalPlan::Filter { input, predicate });
            }
        }
        Ok(ChangedRows { table, old_columns, row_id: row_id.id, input, items })
    }

    /// SET. A query that gives several columns their values is joined to the rows.
    pub(super) fn bind_assignments(
        &mut self,
        table: &TableDefinition,
        assignments: &[Assignment<'_>],
        mut input: Box<LogicalPlan>,
        scope: &Rc<Scope>,
    ) -> Result<(Box<LogicalPlan>, Assignments)> {
        let mut context = Context::new(scope, Place::UpdateSource);
        let mut assigned: Vec<(usize, Expression)> = Vec::new();
        for assignment in assignments {
            let (targets, value, span) = match assignment {
                Assignment::Column { target, value } => {
                    self.bind_assignment(table, target, value, &mut context, &mut assigned)?;
                    continue;
                }
                Assignment::Columns { targets, value, span } => (targets, value, span),
            };
            if let ExprKind::ScalarQuery(query) = &value.kind {
                input = self.assign_query(table, targets, query, input, &mut context, &mut assigned)?;
                continue;
            }
            let values = match (&value.kind, targets.len()) {
                (ExprKind::Row(values), _) => *values,
                (_, 1) => std::slice::from_ref(value),
                _ => {
                    let message =
                        "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                    return Err(
                        Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(value.span.position())
                    );
                }
            };
            if values.len() != targets.len() {
                let message = "number of columns does not match number of values";
                return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(span.position()));
            }
            for (target, value) in targets.iter().zip(values) {
                self.bind_assignment(table, target, value, &mut context, &mut assigned)?;
            }
        }
        Ok((input, assigned))
    }

    /// `(a, b) = (SELECT …)`: the query is joined to the rows.
    fn assign_query(
        &mut self,
        table: &TableDefinition,
        targets: &[TargetColumn<'_>],
        query: &Query<'_>,
        input: Box<LogicalPlan>,
        context: &mut Context,
        assigned: &mut Vec<(usize, Expression)>,
    ) -> Result<Box<LogicalPlan>> {
        let bound = self.bind_inner_query(query, context)?;
        if bound.columns.len() != targets.len() {
            let message = "number of columns does not match number of values";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(query.span.position()));
        }
        for ((target, column), position) in targets.iter().zip(&bound.columns).zip(&bound.positions) {
            let value = Bound::new(column_expression(column), column.sql_type, true, *position);
            let column = assigned_column(table, target, assigned)?;
            check_updatable(table, column)?;
            let value = self.assign(table, column, value)?;
            assigned.push((column, value));
        }
        let (left, right) = (input, bound.plan);
        Ok(Box::new(LogicalPlan::Join { kind: JoinKind::Single, left, right, condition: None }))
    }

    /// Joins the queries in `expression` to `input`; what stood for them becomes a column.
    fn join_subqueries(
        &mut self,
        mut input: Box<LogicalPlan>,
        expression: &mut Expression,
    ) -> Result<Box<LogicalPlan>> {
        if !walk::has_subquery(expression) {
            return Ok(input);
        }
        let mut holder = Some(input);
        // The test of an ANY may hold queries itself: those first.
        expression.each_operand_mut(&mut |operand| {
            let input = holder.take().ok_or_else(|| Error::internal("the input is put back"))?;
            holder = Some(self.join_subqueries(input, operand)?);
            Ok(())
        })?;
        input = holder.ok_or_else(|| Error::internal("the input is put back"))?;
        if !matches!(expression, Expression::Subquery(_)) {
            return Ok(input);
        }
        let taken = std::mem::replace(expression, null_constant(DataType::Boolean));
        let Expression::Subquery(subquery) = taken else { return Ok(input) };
        let Subquery { form, plan, .. } = *subquery;
        let (kind, condition) = match form {
            SubqueryForm::Scalar { data_type } => {
                let column = plan.output_columns().swap_remove(0);
                *expression = Expression::Column { id: column.id, data_type };
                (JoinKind::Single, None)
            }
            SubqueryForm::Exists | SubqueryForm::Any { .. } => {
                let mark = self.new_column("mark", DataType::Boolean, true);
                *expression = column_expression(&mark);
                let condition = match form {
                    SubqueryForm::Any { test } => Some(test),
                    _ => None,
                };
                (JoinKind::Mark(mark), condition)
            }
        };
        Ok(Box::new(LogicalPlan::Join { kind, left: input, right: Box::new(plan), condition }))
    }

    fn bind_assignment(
        &mut self,
        table: &TableDefinition,
        target: &TargetColumn<'_>,
        value: &Expr<'_>,
        context: &mut Context,
        assigned: &mut Vec<(usize, Expression)>,
    ) -> Result<()> {
        let column = assigned_column(table, target, assigned)?;
        let value = if matches!(value.kind, ExprKind::Default) {
            self.bind_default(table, column, value.span.position())?
        } else {
            check_updatable(table, column)?;
            let value = self.bind(value, context)?;
            self.assign(table, column, value)?
        };
        assigned.push((column, value));
        Ok(())
    }
}

/// What UPDATE and DELETE have in common.
struct ChangedRows {
    table: Arc<TableDefinition>,
    old_columns: Vec<OutputColumn>,
    row_id: ColumnId,
    input: Box<LogicalPlan>,
    /// The names in force; the target is the first.
    items: Vec<ScopeItem>,
}

/// The table of an INSERT under the name that it goes by.
pub(super) fn target_relation(
    table: &TableDefinition,
    columns: Vec<OutputColumn>,
    alias: Option<Name<'_>>,
) -> ScopeRelation {
    let mut relation = table_relation(table, columns);
    if let Some(alias) = alias {
        relation.hidden_name = Some(std::mem::replace(&mut relation.name, alias.text.to_owned()));
        relation.schema = None;
    }
    relation
}

/// The column that an element of SET changes.
fn assigned_column(
    table: &TableDefinition,
    target: &TargetColumn<'_>,
    assigned: &[(usize, Expression)],
) -> Result<usize> {
    let column = target_column(table, target)?;
    if assigned.iter().any(|(known, _)| *known == column) {
        let message = format!("multiple assignments to same column \"{}\"", target.name.text);
        return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(target.name.position()));
    }
    Ok(column)
}

/// Whether a column takes the value that an INSERT gives, else it makes its own.
fn takes_given_value(table: &TableDefinition, column: usize, overriding: Option<Overriding>) -> Result<bool> {
    let column = &table.columns[column];
    match (column.identity, overriding) {
        (None, _) | (Some(_), Some(Overriding::System)) => Ok(true),
        (Some(_), Some(Overriding::User)) => Ok(false),
        (Some(identity), None) if identity.always => {
            let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
            Err(generated_always(message, &column.name).hint("Use OVERRIDING SYSTEM VALUE to override."))
        }
        (Some(_), None) => Ok(true),
    }
}

fn generated_always(message: String, column: &str) -> Error {
    Error::new(SqlState::GENERATED_ALWAYS, message)
        .detail(format!("Column \"{column}\" is an identity column defined as GENERATED ALWAYS."))
}

/// That an UPDATE may give a column a value of its own.
fn check_updatable(table: &TableDefinition, column: usize) -> Result<()> {
    let column = &table.columns[column];
    if column.identity.is_some_and(|identity| identity.always) {
        let message = format!("column \"{}\" can only be updated to DEFAULT", column.name);
        return Err(generated_always(message, &column.name));
    }
    Ok(())
}

/// An error in stored text: its place there means nothing to the user.
fn stored_error(error: Error, position: usize) -> Error {
    error.at(position)
}

fn untyped_type() -> crate::sql::types::data_type::DataType {
    crate::sql::types::data_type::DataType::Unknown
}

fn untyped_of(column: &OutputColumn) -> bool {
    column.sql_type.data_type == untyped_type()
}

/// The untyped literals of a query's select list, by column: the INSERT converts them itself.
fn take_untyped(plan: &mut LogicalPlan, untyped: &[bool]) -> Vec<Option<Expression>> {
    let Some((expressions, _)) = projection(plan) else { return Vec::new() };
    let pairs = expressions.iter().zip(untyped);
    pairs.map(|(expression, untyped)| untyped.then(|| expression.clone())).collect()
}

/// The rows of a plain VALUES, which may hold DEFAULT.
fn plain_values<'a>(query: &Query<'a>) -> Option<&'a [&'a [Expr<'a>]]> {
    let plain = query.with.is_none()
        && query.order_by.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
        && query.locking.is_empty();
    match &query.body {
        QueryBody::Values(values) if plain => Some(values.rows),
        _ => None,
    }
}

fn insert_targets(table: &TableDefinition, columns: &[TargetColumn<'_>]) -> Result<Vec<usize>> {
    if columns.is_empty() {
        return Ok((0..table.columns.len()).collect());
    }
    let mut targets = Vec::with_capacity(columns.len());
    let mut seen = vec![false; table.columns.len()];
    for target in columns {
        let column = target_column(table, target)?;
        if std::mem::replace(&mut seen[column], true) {
            let message = format!("column \"{}\" specified more than once", target.name.text);
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, message).at(target.name.position()));
        }
        targets.push(column);
    }
    Ok(targets)
}

fn target_column(table: &TableDefinition, target: &TargetColumn<'_>) -> Result<usize> {
    if let Some(span) = target.indirection {
        find_column(table, target.name)?;
        return Err(Error::not_supported("assignment to a part of a column").at(span.position()));
    }
    find_column(table, target.name)
}

fn find_column(table: &TableDefinition, name: Name<'_>) -> Result<usize> {
    table.column_index(name.text).ok_or_else(|| {
        let message = format!("column \"{}\" of relation \"{}\" does not exist", name.text, table.name);
        Error::new(SqlState::UNDEFINED_COLUMN, message)
            .hint_near_miss(name.text, table.columns.iter().map(|column| &*column.name))
            .at(name.position())
    })
}

fn check_target_count(
    insert: &Insert<'_>,
    targets: &[usize],
    count: usize,
    position_of: impl Fn(usize) -> Option<usize>,
) -> Result<()> {
    if count > targets.len() {
        let message = "INSERT has more expressions than target columns";
        let position = position_of(targets.len()).unwrap_or(insert.span.position());
        return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
    }
    if count < insert.columns.len() {
        let message = "INSERT has more target columns than expressions";
        let position = insert.columns[count].name.position();
        return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
    }
    Ok(())
}

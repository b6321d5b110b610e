//! INSERT, UPDATE, DELETE with defaults, check constraints and RETURNING.

use crate::catalog::table_definition::TableDefinition;
use crate::common::arena::Arena;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Name;
use crate::sql::ast::expression::{Expr, ExprKind};
use crate::sql::ast::modify::{Assignment, Condition, Delete, Insert, InsertSource, TargetColumn, Update};
use crate::sql::ast::query::{FromItem, Query, QueryBody, SelectItem, TableReference, With};
use crate::sql::binder::binder::{Binder, null_constant};
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::scope::{Context, Place, Scope, ScopeRelation};
use crate::sql::binder::select::{Untyped, column_expression, named_relation};
use crate::sql::binder::walk;
use crate::sql::parser::parse_expression;
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::{BoundCheck, LogicalPlan, Returning};
use crate::sql::types::cast::CastContext;
use crate::sql::types::data_type::DataType;
use std::sync::Arc;

impl Binder<'_> {
    pub(super) fn bind_insert(&mut self, insert: &Insert<'_>) -> Result<LogicalPlan> {
        check_with(insert.with)?;
        if let Some(conflict) = insert.on_conflict {
            return Err(Error::not_supported("ON CONFLICT").at(conflict.span.position()));
        }
        let start = insert.span.position();
        if insert.overriding.is_some() {
            return Err(Error::not_supported("OVERRIDING").at(start));
        }
        let table = self.find_table(&insert.table)?;
        let targets = insert_targets(&table, insert.columns)?;
        let defaults = self.bind_defaults(&table, start)?;
        let input = match &insert.source {
            InsertSource::DefaultValues => {
                LogicalPlan::Values { rows: vec![defaults], columns: self.table_columns(&table) }
            }
            InsertSource::Query(query) => match plain_values(query) {
                Some(rows) => self.insert_rows(&table, insert, &targets, &defaults, rows)?,
                None => self.insert_query(&table, insert, &targets, defaults, query)?,
            },
        };
        let new_columns = self.table_columns(&table);
        let checks = self.bind_checks(&table, &new_columns, start)?;
        let mut relation = named_relation(&table, new_columns.clone(), None)?;
        if let Some(alias) = insert.alias {
            relation.hidden_name = Some(std::mem::replace(&mut relation.name, alias.text.to_owned()));
            relation.schema = None;
        }
        let returning = self.bind_returning(insert.returning, relation)?;
        Ok(LogicalPlan::Insert { table, input: Box::new(input), checks, new_columns, returning })
    }

    fn insert_rows(
        &mut self,
        table: &TableDefinition,
        insert: &Insert<'_>,
        targets: &[usize],
        defaults: &[Expression],
        rows: &[&[Expr<'_>]],
    ) -> Result<LogicalPlan> {
        let scope = Scope::default();
        let mut context = Context::new(&scope, Place::Values);
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
                    new_row[target] = self.assign(table, target, value)?;
                }
            }
            bound_rows.push(new_row);
        }
        Ok(LogicalPlan::Values { rows: bound_rows, columns: self.table_columns(table) })
    }

    fn insert_query(
        &mut self,
        table: &TableDefinition,
        insert: &Insert<'_>,
        targets: &[usize],
        defaults: Vec<Expression>,
        query: &Query<'_>,
    ) -> Result<LogicalPlan> {
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
            expressions[target] = self.assign(table, target, value)?;
        }
        self.drop_untyped(&mut plan)?;
        let columns = self.table_columns(table);
        Ok(LogicalPlan::Project { input: Box::new(plan), expressions, columns })
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
    fn assign(&mut self, table: &TableDefinition, target: usize, value: Box<Bound>) -> Result<Expression> {
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
    fn bind_defaults(&mut self, table: &TableDefinition, position: usize) -> Result<Vec<Expression>> {
        (0..table.columns.len()).map(|column| self.bind_default(table, column, position)).collect()
    }

    /// The default of a column from its stored text; `position` stands in for the places in that text.
    fn bind_default(
        &mut self,
        table: &TableDefinition,
        column: usize,
        position: usize,
    ) -> Result<Expression> {
        let Some(text) = &table.columns[column].default else {
            return Ok(null_constant(table.columns[column].sql_type.data_type));
        };
        let stored = |error: Error| stored_error(error, position);
        let arena = Arena::new();
        let expr = parse_expression(text, &arena).map_err(stored)?;
        let scope = Scope::default();
        let bound = self.bind(expr, &mut Context::new(&scope, Place::Default)).map_err(stored)?;
        let mut expression = self.assign(table, column, bound).map_err(stored)?;
        walk::move_to(&mut expression, position)?;
        Ok(expression)
    }

    /// The check constraints of a table over the columns of a new row.
    fn bind_checks(
        &mut self,
        table: &TableDefinition,
        new_columns: &[OutputColumn],
        position: usize,
    ) -> Result<Vec<BoundCheck>> {
        let scope = Scope::of(named_relation(table, new_columns.to_vec(), None)?);
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
        relation: ScopeRelation,
    ) -> Result<Option<Returning>> {
        if items.is_empty() {
            return Ok(None);
        }
        let scope = Scope::of(relation);
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
        check_with(update.with)?;
        check_one_table(update.from, "UPDATE … FROM")?;
        let (table, old_columns, relation) = self.bind_target(&update.table)?;
        let scope = Scope::of(relation);
        let assignments = self.bind_assignments(&table, update, &scope)?;
        let row_id = self.new_column("row id", DataType::BigInt, false);
        let (input, recheck) =
            self.filtered_scan(&table, &old_columns, &row_id, update.filter.as_ref(), &scope)?;
        let start = update.span.position();
        let new_columns = self.table_columns(&table);
        let checks = self.bind_checks(&table, &new_columns, start)?;
        let relation = named_relation(&table, new_columns.clone(), update.table.alias.as_ref())?;
        let returning = self.bind_returning(update.returning, relation)?;
        let input = Box::new(input);
        Ok(LogicalPlan::Update {
            table,
            input,
            old_columns,
            row_id: row_id.id,
            assignments,
            recheck,
            checks,
            new_columns,
            returning,
        })
    }

    pub(super) fn bind_delete(&mut self, delete: &Delete<'_>) -> Result<LogicalPlan> {
        check_with(delete.with)?;
        check_one_table(delete.using, "DELETE … USING")?;
        let (table, old_columns, relation) = self.bind_target(&delete.table)?;
        let scope = Scope::of(relation.clone());
        let row_id = self.new_column("row id", DataType::BigInt, false);
        let (input, recheck) =
            self.filtered_scan(&table, &old_columns, &row_id, delete.filter.as_ref(), &scope)?;
        let input = Box::new(input);
        let returning = self.bind_returning(delete.returning, relation)?;
        Ok(LogicalPlan::Delete { table, input, old_columns, row_id: row_id.id, recheck, returning })
    }

    fn bind_target(
        &mut self,
        reference: &TableReference<'_>,
    ) -> Result<(Arc<TableDefinition>, Vec<OutputColumn>, ScopeRelation)> {
        let (plan, relation) = self.bind_table(reference)?;
        match plan {
            LogicalPlan::Scan { table, columns, .. } => Ok((table, columns, relation)),
            _ => Err(Error::internal("a table is bound as a scan")),
        }
    }

    fn filtered_scan(
        &mut self,
        table: &Arc<TableDefinition>,
        columns: &[OutputColumn],
        row_id: &OutputColumn,
        filter: Option<&Condition<'_>>,
        scope: &Scope,
    ) -> Result<(LogicalPlan, Option<Expression>)> {
        let scan = LogicalPlan::Scan {
            table: Arc::clone(table),
            columns: columns.to_vec(),
            row_id: Some(row_id.clone()),
        };
        match filter {
            None => Ok((scan, None)),
            Some(Condition::CurrentOf(name)) => {
                Err(Error::not_supported("WHERE CURRENT OF").at(name.position()))
            }
            Some(Condition::Expression(expr)) => {
                let mut context = Context::new(scope, Place::Where);
                let predicate = self.bind_condition(expr, "WHERE", &mut context)?.expression;
                let recheck = Some(predicate.clone());
                Ok((LogicalPlan::Filter { input: Box::new(scan), predicate }, recheck))
            }
        }
    }

    fn bind_assignments(
        &mut self,
        table: &TableDefinition,
        update: &Update<'_>,
        scope: &Scope,
    ) -> Result<Vec<(usize, Expression)>> {
        let mut context = Context::new(scope, Place::UpdateSource);
        let mut assigned: Vec<(usize, Expression)> = Vec::new();
        for assignment in update.assignments {
            match assignment {
                Assignment::Column { target, value } => {
                    self.bind_assignment(table, target, value, &mut context, &mut assigned)?;
                }
                Assignment::Columns { targets, value, span } => {
                    let values = match (&value.kind, targets.len()) {
                        (ExprKind::Row(values), _) => *values,
                        (ExprKind::ScalarQuery(_), _) => {
                            return Err(
                                Error::not_supported("SET (…) = (SELECT …)").at(value.span.position())
                            );
                        }
                        (_, 1) => std::slice::from_ref(value),
                        _ => {
                            let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                                .at(value.span.position()));
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
            }
        }
        Ok(assigned)
    }

    fn bind_assignment(
        &mut self,
        table: &TableDefinition,
        target: &TargetColumn<'_>,
        value: &Expr<'_>,
        context: &mut Context<'_>,
        assigned: &mut Vec<(usize, Expression)>,
    ) -> Result<()> {
        let column = target_column(table, target)?;
        if assigned.iter().any(|(known, _)| *known == column) {
            let message = format!("multiple assignments to same column \"{}\"", target.name.text);
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(target.name.position()));
        }
        let value = if matches!(value.kind, ExprKind::Default) {
            self.bind_default(table, column, value.span.position())?
        } else {
            let value = self.bind(value, context)?;
            self.assign(table, column, value)?
        };
        assigned.push((column, value));
        Ok(())
    }
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

/// The projection on top of a query that may hold untyped literals.
fn projection(plan: &mut LogicalPlan) -> Option<(&mut Vec<Expression>, &mut Vec<OutputColumn>)> {
    match plan {
        LogicalPlan::Project { expressions, columns, .. } => Some((expressions, columns)),
        LogicalPlan::Sort { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::Distinct { input } => projection(input),
        _ => None,
    }
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

fn check_with(with: Option<&With<'_>>) -> Result<()> {
    match with {
        Some(with) => Err(Error::not_supported("WITH").at(with.span.position())),
        None => Ok(()),
    }
}

fn check_one_table(others: &[FromItem<'_>], what: &str) -> Result<()> {
    let position = match others.first() {
        None => return Ok(()),
        Some(FromItem::Table(table)) => table.span.position(),
        Some(FromItem::Query(query)) => query.span.position(),
        Some(FromItem::Function(function)) => function.span.position(),
        Some(FromItem::Join(join)) => join.span.position(),
    };
    Err(Error::not_supported(what).at(position))
}

//! Queries: FROM, WHERE, the select list, DISTINCT, ORDER BY, LIMIT; VALUES; a query in FROM.

use crate::catalog::table_definition::TableDefinition;
use crate::common::limits::TARGET_LIST_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::ObjectName;
use crate::sql::ast::expression::{Expr, ExprKind, Literal};
use crate::sql::ast::query::{
    Alias, DerivedTable, Distinct, FromItem, OrderItem, Query, QueryBody, Select, SelectItem, TableReference,
    Values,
};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::call::column_name;
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::grouping::Grouping;
use crate::sql::binder::scope::{Context, Place, Scope, ScopeRelation, primary_key};
use crate::sql::binder::walk;
use crate::sql::plan::expression::{Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::cast::CastContext;
use crate::sql::types::data_type::{DataType, SqlType};
use std::sync::Arc;

/// What becomes of untyped literals in a select list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Untyped {
    /// They are text.
    BecomesText,
    /// They stay untyped, for an INSERT to convert.
    Stays,
}

/// A bound query.
pub(super) struct BoundQuery {
    pub(super) plan: LogicalPlan,
    pub(super) columns: Vec<OutputColumn>,
    /// Where each column's expression stands.
    pub(super) positions: Vec<usize>,
}

/// An expression of a select list.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) value: Box<Bound>,
    /// The table column it is, unchanged.
    pub(super) origin: Option<(u32, u32)>,
}

/// A sort key before it is known where its value comes from.
struct OrderKey {
    /// Position among the items (visible ones, then hidden ones).
    item: usize,
    descending: bool,
    nulls_first: bool,
}

impl Binder<'_> {
    /// Binds a query.
    pub(super) fn bind_query(&mut self, query: &Query<'_>, untyped: Untyped) -> Result<BoundQuery> {
        self.enter(1, query.span.position())?;
        check_query_form(query)?;
        let bound = match &query.body {
            QueryBody::Select(select) => self.bind_select(select, query, untyped),
            QueryBody::Values(values) => {
                let values = self.bind_values(values)?;
                self.order_outputs(values, "*VALUES*", query)
            }
            QueryBody::Table(table) => {
                let (plan, relation) = self.bind_table(table)?;
                let columns = relation.columns;
                let positions = vec![table.span.position(); columns.len()];
                let name = table.name.object().text;
                self.order_outputs(BoundQuery { plan, columns, positions }, name, query)
            }
            QueryBody::Query(inner) => {
                let inner = self.bind_query(inner, untyped)?;
                self.order_outputs(inner, "", query)
            }
            QueryBody::SetOperations(operations) => {
                Err(Error::not_supported("a set operation (UNION, INTERSECT, EXCEPT)")
                    .at(operations.rest[0].span.position()))
            }
        };
        self.leave(1);
        bound
    }

    /// ORDER BY and LIMIT over the columns of something already bound.
    fn order_outputs(&mut self, bound: BoundQuery, name: &str, query: &Query<'_>) -> Result<BoundQuery> {
        if query.order_by.is_empty() && query.limit.is_none() && query.offset.is_none() {
            return Ok(bound);
        }
        let BoundQuery { plan, columns, positions } = bound;
        let scope = Scope::of(ScopeRelation {
            name: name.to_owned(),
            schema: None,
            hidden_name: None,
            columns: columns.clone(),
            key: None,
        });
        let mut context = Context::new(&scope, Place::OrderBy);
        let mut keys = Vec::new();
        for order in query.order_by {
            let column = match position_or_name(&order.value, "ORDER BY", columns.len())? {
                Named::Position(index) => Some(&columns[index]),
                Named::Name(name) => columns.iter().find(|column| column.name == name),
                Named::Neither => None,
            };
            let expression = match column {
                Some(column) => Expression::Column { id: column.id, data_type: column.sql_type.data_type },
                None => {
                    let bound = self.bind(&order.value, &mut context)?;
                    self.default_to_text(bound)?.expression
                }
            };
            let (descending, nulls_first) = direction(order)?;
            keys.push(SortKey { expression, descending, nulls_first });
        }
        if let Some(aggregate) = context.aggregates.first() {
            let what = format!("the aggregate {} in ORDER BY of this query", aggregate.function.name);
            return Err(Error::not_supported(what).at(query.order_by[0].value.span.position()));
        }
        let mut plan = plan;
        if !keys.is_empty() {
            plan = LogicalPlan::Sort { input: Box::new(plan), keys };
        }
        let plan = self.bind_limit(plan, query, &scope)?;
        Ok(BoundQuery { plan, columns, positions })
    }

    fn bind_limit(&mut self, plan: LogicalPlan, query: &Query<'_>, scope: &Scope) -> Result<LogicalPlan> {
        let limit = self.bind_row_count(query.limit, Place::Limit, scope)?;
        let offset = self.bind_row_count(query.offset, Place::Offset, scope)?;
        if limit.is_none() && offset.is_none() {
            return Ok(plan);
        }
        Ok(LogicalPlan::Limit { input: Box::new(plan), limit, offset })
    }

    fn bind_row_count(
        &mut self,
        expr: Option<&Expr<'_>>,
        place: Place,
        scope: &Scope,
    ) -> Result<Option<Expression>> {
        let Some(expr) = expr else { return Ok(None) };
        let mut context = Context::new(scope, place);
        let bound = self.bind(expr, &mut context)?;
        let (from, position) = (bound.data_type(), bound.position);
        let count = self.coerce(bound, SqlType::plain(DataType::BigInt), CastContext::Assignment)?;
        let count = count.ok_or_else(|| {
            let message =
                format!("argument of {} must be type bigint, not type {}", place.name(), from.name());
            Error::new(SqlState::DATATYPE_MISMATCH, message).at(position)
        })?;
        Ok(Some(count.expression))
    }

    fn bind_values(&mut self, values: &Values<'_>) -> Result<BoundQuery> {
        let scope = Scope::default();
        let mut context = Context::new(&scope, Place::Values);
        let width = values.rows.first().map_or(0, |row| row.len());
        let mut columns: Vec<Vec<Box<Bound>>> = (0..width).map(|_| Vec::new()).collect();
        for row in values.rows {
            check_row_width(row, width)?;
            for (column, value) in columns.iter_mut().zip(*row) {
                column.push(self.bind(value, &mut context)?);
            }
        }
        let mut outputs = Vec::with_capacity(width);
        let mut positions = Vec::with_capacity(width);
        let mut rows: Vec<Vec<Expression>> = values.rows.iter().map(|_| Vec::with_capacity(width)).collect();
        for (index, column) in columns.into_iter().enumerate() {
            let (column, sql_type) = self.coerce_to_common_type(column, "VALUES")?;
            let nullable = column.iter().any(|value| value.nullable);
            positions.push(column.first().map_or(0, |value| value.position));
            outputs.push(self.new_column(format!("column{}", index + 1), sql_type, nullable));
            for (row, value) in rows.iter_mut().zip(column) {
                row.push(value.expression);
            }
        }
        let plan = LogicalPlan::Values { rows, columns: outputs.clone() };
        Ok(BoundQuery { plan, columns: outputs, positions })
    }

    /// The columns of a table, numbered for this use of it.
    pub(super) fn table_columns(&mut self, table: &TableDefinition) -> Vec<OutputColumn> {
        let mut columns = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            columns.push(OutputColumn {
                id: self.new_column_id(),
                name: column.name.clone(),
                sql_type: column.sql_type,
                nullable: !column.not_null,
                origin: Some((table.id.0, index as u32 + 1)),
            });
        }
        columns
    }

    /// The table that `name` means.
    pub(super) fn find_table(&self, name: &ObjectName<'_>) -> Result<Arc<TableDefinition>> {
        let position = name.position();
        if name.parts.len() > 2 {
            return Err(Error::not_supported("a reference to another database").at(position));
        }
        let schema = name.schema().map(|schema| schema.text);
        self.catalog.require_table(schema, name.object().text).map_err(|error| error.at(position))
    }

    /// A table in FROM, or as the target of a data change.
    pub(super) fn bind_table(
        &mut self,
        reference: &TableReference<'_>,
    ) -> Result<(LogicalPlan, ScopeRelation)> {
        if let Some(sample) = reference.sample {
            return Err(Error::not_supported("TABLESAMPLE").at(sample.span.position()));
        }
        let table = self.find_table(&reference.name)?;
        let columns = self.table_columns(&table);
        let relation = named_relation(&table, columns.clone(), reference.alias.as_ref())?;
        Ok((LogicalPlan::Scan { table, columns, row_id: None }, relation))
    }

    fn bind_derived(&mut self, derived: &DerivedTable<'_>) -> Result<(LogicalPlan, ScopeRelation)> {
        let query = self.bind_query(derived.query, Untyped::BecomesText)?;
        let Some(alias) = &derived.alias else {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "subquery in FROM must have an alias")
                .hint("For example, FROM (SELECT ...) [AS] foo.")
                .at(derived.span.position()));
        };
        let mut columns = query.columns;
        rename_columns(&mut columns, alias)?;
        let relation = ScopeRelation {
            name: alias.name.text.to_owned(),
            schema: None,
            hidden_name: None,
            columns,
            key: None,
        };
        Ok((query.plan, relation))
    }

    fn bind_from(&mut self, from: &[FromItem<'_>]) -> Result<(LogicalPlan, Scope)> {
        let item = match from {
            [] => {
                let plan = LogicalPlan::Values { rows: vec![Vec::new()], columns: Vec::new() };
                return Ok((plan, Scope::default()));
            }
            [item] => item,
            [_, second, ..] => {
                return Err(Error::not_supported("a query of several tables").at(from_position(second)));
            }
        };
        let (plan, relation) = match item {
            FromItem::Table(reference) => self.bind_table(reference)?,
            FromItem::Query(derived) => self.bind_derived(derived)?,
            FromItem::Function(function) => {
                return Err(Error::not_supported("a function in FROM").at(function.span.position()));
            }
            FromItem::Join(join) => {
                return Err(Error::not_supported("JOIN").at(join.rest[0].span.position()));
            }
        };
        Ok((plan, Scope::of(relation)))
    }

    /// The expressions of a select list or RETURNING, with `*` spread.
    pub(super) fn bind_items(
        &mut self,
        items: &[SelectItem<'_>],
        context: &mut Context<'_>,
        untyped: Untyped,
    ) -> Result<Vec<Item>> {
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::Star { span } => {
                    if context.scope.relations.is_empty() {
                        let message = "SELECT * with no tables specified is not valid";
                        return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(span.position()));
                    }
                    for relation in &context.scope.relations {
                        spread(relation, span.position(), &mut bound, &mut context.references);
                    }
                }
                SelectItem::QualifiedStar(name) => {
                    let relation = context.scope.relation(name, name.parts.len())?;
                    spread(relation, name.position(), &mut bound, &mut context.references);
                }
                SelectItem::Expression { value, alias } => {
                    let mut expression = self.bind(value, context)?;
                    if untyped == Untyped::BecomesText {
                        expression = self.default_to_text(expression)?;
                    }
                    let name = match alias {
                        Some(alias) => alias.text.to_owned(),
                        None => column_name(value).into_owned(),
                    };
                    let origin = match &value.kind {
                        ExprKind::Column(column) => context.scope.column(column)?.1.origin,
                        _ => None,
                    };
                    bound.push(Item { name, value: expression, origin });
                }
            }
            if bound.len() > TARGET_LIST_MAX {
                let message = format!("target lists can have at most {TARGET_LIST_MAX} entries");
                return Err(Error::new(SqlState::TOO_MANY_COLUMNS, message));
            }
        }
        Ok(bound)
    }

    fn bind_select(
        &mut self,
        select: &Select<'_>,
        query: &Query<'_>,
        untyped: Untyped,
    ) -> Result<BoundQuery> {
        check_select_form(select)?;
        let (mut plan, scope) = self.bind_from(select.from)?;
        let mut context = Context::new(&scope, Place::SelectList);
        let mut items = self.bind_items(select.items, &mut context, untyped)?;
        let visible = items.len();
        context.place = Place::Where;
        if let Some(filter) = select.filter {
            let predicate = self.bind_condition(filter, "WHERE", &mut context)?.expression;
            plan = LogicalPlan::Filter { input: Box::new(plan), predicate };
        }
        context.place = Place::Having;
        let having = match select.having {
            Some(having) => Some(self.bind_condition(having, "HAVING", &mut context)?),
            None => None,
        };
        context.place = Place::OrderBy;
        let keys = self.bind_order(query.order_by, &mut items, visible, &mut context)?;
        let groups = self.bind_groups(select.group_by.as_ref(), &items[..visible], &mut context)?;
        if let (Some(distinct), Some(key)) = (&select.distinct, keys.iter().find(|key| key.item >= visible)) {
            return Err(distinct_order_error(distinct, items[key.item].value.position));
        }
        if groups.is_some() || having.is_some() || !context.aggregates.is_empty() {
            let Context { aggregates, references, .. } = context;
            let grouping = Grouping::new(self, &scope, groups.unwrap_or_default(), references);
            plan = grouping.finish(plan, aggregates, having, &mut items)?;
        }
        self.finish_select(plan, select, query, items, visible, keys, &scope)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one SELECT, used once")]
    fn finish_select(
        &mut self,
        plan: LogicalPlan,
        select: &Select<'_>,
        query: &Query<'_>,
        items: Vec<Item>,
        visible: usize,
        keys: Vec<OrderKey>,
        scope: &Scope,
    ) -> Result<BoundQuery> {
        let mut expressions = Vec::with_capacity(items.len());
        let mut columns = Vec::with_capacity(items.len());
        let mut positions = Vec::with_capacity(visible);
        for item in items {
            let mut column = self.new_column(item.name, item.value.sql_type, item.value.nullable);
            column.origin = item.origin;
            positions.push(item.value.position);
            columns.push(column);
            expressions.push(item.value.expression);
        }
        positions.truncate(visible);
        let mut plan = LogicalPlan::Project { input: Box::new(plan), expressions, columns: columns.clone() };
        if select.distinct.is_some() {
            plan = LogicalPlan::Distinct { input: Box::new(plan) };
        }
        if !keys.is_empty() {
            let key = |key: OrderKey| SortKey {
                expression: column_expression(&columns[key.item]),
                descending: key.descending,
                nulls_first: key.nulls_first,
            };
            plan = LogicalPlan::Sort { input: Box::new(plan), keys: keys.into_iter().map(key).collect() };
        }
        plan = self.bind_limit(plan, query, scope)?;
        if columns.len() > visible {
            columns.truncate(visible);
            let expressions = columns.iter().map(column_expression).collect();
            for column in &mut columns {
                column.id = self.new_column_id();
            }
            plan = LogicalPlan::Project { input: Box::new(plan), expressions, columns: columns.clone() };
        }
        Ok(BoundQuery { plan, columns, positions })
    }

    /// ORDER BY: output names first, then positions, then expressions, which become hidden items where the select
    /// list lacks them.
    fn bind_order(
        &mut self,
        order_by: &[OrderItem<'_>],
        items: &mut Vec<Item>,
        visible: usize,
        context: &mut Context<'_>,
    ) -> Result<Vec<OrderKey>> {
        let mut keys: Vec<OrderKey> = Vec::with_capacity(order_by.len());
        for order in order_by {
            let (descending, nulls_first) = direction(order)?;
            let named = match position_or_name(&order.value, "ORDER BY", visible)? {
                Named::Position(index) => Some(index),
                Named::Name(name) => {
                    let position = order.value.span.position();
                    item_named(name, &items[..visible], "ORDER BY", position)?
                }
                Named::Neither => None,
            };
            let item = match named {
                Some(item) => item,
                None => {
                    let value = self.bind(&order.value, context)?;
                    let value = self.default_to_text(value)?;
                    let known =
                        items.iter().position(|item| walk::same(&item.value.expression, &value.expression));
                    known.unwrap_or_else(|| {
                        items.push(Item { name: "?order?".to_owned(), value, origin: None });
                        items.len() - 1
                    })
                }
            };
            // A key that stands before decides already.
            if keys.iter().all(|key| key.item != item) {
                keys.push(OrderKey { item, descending, nulls_first });
            }
        }
        Ok(keys)
    }
}

/// What a bare number or name in ORDER BY or GROUP BY stands for.
pub(super) enum Named<'a> {
    Position(usize),
    Name(&'a str),
    Neither,
}

/// Looks at an element of ORDER BY or GROUP BY.
/// # Errors
/// `42P10` for a position outside the select list, `42601` for another constant.
pub(super) fn position_or_name<'a>(expr: &Expr<'a>, clause: &str, count: usize) -> Result<Named<'a>> {
    let position = expr.span.position();
    match &expr.kind {
        ExprKind::Literal(Literal::Integer(number)) => {
            match usize::try_from(*number).ok().filter(|number| (1..=count).contains(number)) {
                Some(number) => Ok(Named::Position(number - 1)),
                None => {
                    let message = format!("{clause} position {number} is not in select list");
                    Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position))
                }
            }
        }
        ExprKind::Literal(_) => {
            let message = format!("non-integer constant in {clause}");
            Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position))
        }
        ExprKind::Column(name) if name.parts.len() == 1 => Ok(Named::Name(name.object().text)),
        _ => Ok(Named::Neither),
    }
}

/// The item of this name, if there is one.
/// # Errors
/// `42702` where two items of that name differ.
pub(super) fn item_named(name: &str, items: &[Item], clause: &str, position: usize) -> Result<Option<usize>> {
    let mut found: Option<usize> = None;
    for (index, item) in items.iter().enumerate().filter(|(_, item)| item.name == name) {
        match found {
            Some(first) if !walk::same(&items[first].value.expression, &item.value.expression) => {
                let message = format!("{clause} \"{name}\" is ambiguous");
                return Err(Error::new(SqlState::AMBIGUOUS_COLUMN, message).at(position));
            }
            Some(_) => {}
            None => found = Some(index),
        }
    }
    Ok(found)
}

/// A column as an expression.
pub(super) fn column_expression(column: &OutputColumn) -> Expression {
    Expression::Column { id: column.id, data_type: column.sql_type.data_type }
}

/// Names a table's columns for a scope.
pub(super) fn named_relation(
    table: &TableDefinition,
    mut columns: Vec<OutputColumn>,
    alias: Option<&Alias<'_>>,
) -> Result<ScopeRelation> {
    let key = primary_key(table);
    let Some(alias) = alias else {
        return Ok(ScopeRelation {
            name: table.name.clone(),
            schema: Some(table.schema.clone()),
            hidden_name: None,
            columns,
            key,
        });
    };
    rename_columns(&mut columns, alias)?;
    let hidden_name = Some(table.name.clone()).filter(|name| name != alias.name.text);
    Ok(ScopeRelation { name: alias.name.text.to_owned(), schema: None, hidden_name, columns, key })
}

fn rename_columns(columns: &mut [OutputColumn], alias: &Alias<'_>) -> Result<()> {
    if alias.columns.len() > columns.len() {
        let message = format!(
            "table \"{}\" has {} columns available but {} columns specified",
            alias.name.text,
            columns.len(),
            alias.columns.len()
        );
        return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(alias.name.position()));
    }
    for (column, name) in columns.iter_mut().zip(alias.columns) {
        column.name = name.text.to_owned();
    }
    Ok(())
}

fn spread(
    relation: &ScopeRelation,
    position: usize,
    items: &mut Vec<Item>,
    references: &mut Vec<(crate::sql::plan::expression::ColumnId, usize)>,
) {
    for column in &relation.columns {
        references.push((column.id, position));
        let expression = column_expression(column);
        let value = Bound::new(expression, column.sql_type, column.nullable, position);
        items.push(Item { name: column.name.clone(), value, origin: column.origin });
    }
}

fn check_row_width(row: &[Expr<'_>], width: usize) -> Result<()> {
    if row.len() == width {
        return Ok(());
    }
    let position = row.first().map_or(0, |value| value.span.position());
    Err(Error::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length").at(position))
}

/// Whether a key is descending, and whether NULLs come first. `USING <` is ASC, `USING >` is DESC.
fn direction(order: &OrderItem<'_>) -> Result<(bool, bool)> {
    let descending = match order.using {
        None => order.descending,
        Some(operator) if operator.text == "<" => false,
        Some(operator) if operator.text == ">" => true,
        Some(operator) => {
            let message = format!("operator {} is not a valid ordering operator", operator.text);
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message)
                .hint("Ordering operators must be \"<\" or \">\" members of btree operator families.")
                .at(operator.position()));
        }
    };
    Ok((descending, order.nulls_first.unwrap_or(descending)))
}

fn distinct_order_error(distinct: &Distinct<'_>, position: usize) -> Error {
    match distinct {
        Distinct::All { .. } | Distinct::On { .. } => Error::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
        )
        .at(position),
    }
}

fn check_query_form(query: &Query<'_>) -> Result<()> {
    if let Some(with) = query.with {
        return Err(Error::not_supported("WITH").at(with.span.position()));
    }
    if let Some(span) = query.with_ties {
        return Err(Error::not_supported("FETCH FIRST … WITH TIES").at(span.position()));
    }
    if let Some(locking) = query.locking.first() {
        return Err(Error::not_supported("SELECT … FOR UPDATE or FOR SHARE").at(locking.span.position()));
    }
    Ok(())
}

fn check_select_form(select: &Select<'_>) -> Result<()> {
    if let Some(Distinct::On { span, .. }) = select.distinct {
        return Err(Error::not_supported("DISTINCT ON").at(span.position()));
    }
    if let Some(span) = select.into {
        return Err(Error::not_supported("SELECT INTO").at(span.position()));
    }
    if let Some(window) = select.windows.first() {
        return Err(Error::not_supported("WINDOW").at(window.name.position()));
    }
    Ok(())
}

fn from_position(item: &FromItem<'_>) -> usize {
    match item {
        FromItem::Table(table) => table.span.position(),
        FromItem::Query(query) => query.span.position(),
        FromItem::Function(function) => function.span.position(),
        FromItem::Join(join) => join.span.position(),
    }
}

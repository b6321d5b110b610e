//! SELECT: the select list, WHERE, DISTINCT, ORDER BY, and how they meet grouping.

use crate::common::limits::TARGET_LIST_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::expression::{Expr, ExprKind, Literal};
use crate::sql::ast::query::{Distinct, OrderItem, Query, Select, SelectItem};
use crate::sql::ast::{ObjectName, Span};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::call::column_name;
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::grouping::Grouping;
use crate::sql::binder::query::{BoundQuery, Untyped};
use crate::sql::binder::scope::{Context, Place, Scope, ScopeColumn, column_expression, columns_of};
use crate::sql::binder::walk;
use crate::sql::plan::expression::{ColumnId, Expression, SortKey};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use std::rc::Rc;

/// An expression of a select list.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) value: Box<Bound>,
    /// The table column it is, unchanged.
    pub(super) origin: Option<(u32, u32)>,
}

/// A sort key before it is known where its value comes from.
pub(super) struct OrderKey {
    /// Position among the items (visible ones, then hidden ones).
    pub(super) item: usize,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

impl Binder<'_> {
    /// The expressions of a select list or RETURNING, with `*` spread.
    pub(super) fn bind_items(
        &mut self,
        items: &[SelectItem<'_>],
        context: &mut Context,
        untyped: Untyped,
    ) -> Result<Vec<Item>> {
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::Star { span } => self.spread_all(span.position(), &mut bound, context)?,
                SelectItem::QualifiedStar(name) => self.spread_relation(name, &mut bound, context)?,
                SelectItem::Expression { value, alias } => {
                    let mut expression = self.bind(value, context)?;
                    if untyped == Untyped::BecomesText {
                        expression = self.default_to_text(expression)?;
                    }
                    let name = match alias {
                        Some(alias) => alias.text.to_owned(),
                        None => column_name(value).into_owned(),
                    };
                    let origin = match &expression.expression {
                        Expression::Column { id, .. } => origin_of(*id, context),
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

    /// `*`.
    #[inline(never)]
    fn spread_all(&mut self, position: usize, items: &mut Vec<Item>, context: &mut Context) -> Result<()> {
        if context.scope.items.is_empty() {
            let message = "SELECT * with no tables specified is not valid";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let scope = Rc::clone(&context.scope);
        for column in scope.visible_columns() {
            items.push(self.spread(column, 0, position, context));
        }
        Ok(())
    }

    /// `name.*`.
    #[inline(never)]
    fn spread_relation(
        &mut self,
        name: &ObjectName<'_>,
        items: &mut Vec<Item>,
        context: &mut Context,
    ) -> Result<()> {
        let (item, levels_up) = self.find_relation(name, name.parts.len(), context)?;
        let item = item.clone();
        for column in columns_of(&item) {
            items.push(self.spread(column, levels_up, name.position(), context));
        }
        Ok(())
    }

    fn spread(
        &mut self,
        column: ScopeColumn<'_>,
        levels_up: usize,
        position: usize,
        context: &mut Context,
    ) -> Item {
        let output = column.output();
        let expression = column.item.relation.value(column.column);
        self.note_reference(&expression, levels_up, position, context);
        let value = Bound::new(expression, output.sql_type, column.nullable(), position);
        Item { name: output.name.clone(), value, origin: output.origin }
    }

    pub(super) fn bind_select(
        &mut self,
        select: &Select<'_>,
        query: &Query<'_>,
        untyped: Untyped,
    ) -> Result<BoundQuery> {
        check_select_form(select, self.into_allowed)?;
        self.range_names.push(Vec::new());
        let recursive_scans = self.working_scans;
        let (from, from_items) = self.bind_from(select.from, Vec::new())?;
        let is_recursive = self.working_scans > recursive_scans;
        let scope = Scope::of_items(from_items);
        let mut context = Context::new(&scope, Place::SelectList);
        let plan = from.unwrap_or_else(one_row);
        let bound = self.bind_clauses(plan, select, query, untyped, &mut context)?;
        if let (true, Some(position)) = (is_recursive, context.aggregate_position) {
            let message = "aggregate functions are not allowed in a recursive query's recursive term";
            return Err(Error::new(SqlState::INVALID_RECURSION, message).at(position));
        }
        self.range_names.pop();
        Ok(bound)
    }

    /// What stands around FROM.
    fn bind_clauses(
        &mut self,
        mut plan: Box<LogicalPlan>,
        select: &Select<'_>,
        query: &Query<'_>,
        untyped: Untyped,
        context: &mut Context,
    ) -> Result<BoundQuery> {
        let mut items = self.bind_items(select.items, context, untyped)?;
        let visible = items.len();
        context.place = Place::Where;
        if let Some(filter) = select.filter {
            let predicate = self.bind_condition(filter, "WHERE", context)?.expression;
            plan = Box::new(LogicalPlan::Filter { input: plan, predicate });
        }
        context.place = Place::Having;
        let having = match select.having {
            Some(having) => Some(self.bind_condition(having, "HAVING", context)?),
            None => None,
        };
        context.place = Place::OrderBy;
        let keys = self.bind_order(query.order_by, &mut items, visible, context)?;
        let distinct_on = match &select.distinct {
            Some(Distinct::On { expressions, .. }) => {
                self.bind_distinct_on(expressions, &keys, &mut items, visible, context)?
            }
            _ => Vec::new(),
        };
        let groups = self.bind_groups(select.group_by.as_ref(), &items[..visible], context)?;
        if let (Some(Distinct::All { .. }), Some(key)) =
            (&select.distinct, keys.iter().find(|key| key.item >= visible))
        {
            return Err(distinct_order_error(items[key.item].value.position));
        }
        if self.locks.is_some() {
            self.check_locking(select, !context.aggregates.is_empty(), context.set_function.is_some())?;
        }
        let aggregates = std::mem::take(&mut context.aggregates);
        let set_function = context.set_function.take();
        if let Some(LogicalPlan::TableFunction { arguments, position, .. }) = set_function.as_deref()
            && arguments.iter().any(walk::has_columns)
            && (groups.is_some() || having.is_some() || !aggregates.is_empty())
        {
            let what = "a set-returning function over columns beside aggregates";
            return Err(Error::not_supported(what).at(*position));
        }
        if groups.is_some() || having.is_some() || !aggregates.is_empty() {
            let order = std::mem::take(&mut context.aggregate_order);
            if !order.is_empty() {
                // Groups take their rows in the order of the input.
                plan = Box::new(LogicalPlan::Sort { input: plan, keys: order });
            }
            let references = std::mem::take(&mut context.references);
            let grouping = Grouping::new(self, &context.scope, groups.unwrap_or_default(), references);
            plan = grouping.finish(plan, aggregates, having, &mut items)?;
        }
        let ordering = Ordering { keys, distinct_on, visible };
        if let Some(function) = set_function {
            let (kind, left, right) = (JoinKind::Inner, plan, function);
            plan = Box::new(LogicalPlan::Join { kind, left, right, condition: None });
        }
        self.finish_select(plan, select, query, items, ordering, &context.scope)
    }

    fn finish_select(
        &mut self,
        mut plan: Box<LogicalPlan>,
        select: &Select<'_>,
        query: &Query<'_>,
        mut items: Vec<Item>,
        ordering: Ordering,
        scope: &Rc<Scope>,
    ) -> Result<BoundQuery> {
        let Ordering { mut keys, distinct_on, visible } = ordering;
        let locked = self.take_lock_targets();
        let is_locking = !locked.is_empty();
        if is_locking {
            let (locking, ties) = self.finish_locking(plan, locked, &mut items, &keys);
            plan = self.bind_limit(locking, query, ties, scope)?;
            items.truncate(visible);
            keys.clear();
        }
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
        let mut plan = Box::new(LogicalPlan::Project { input: plan, expressions, columns: columns.clone() });
        if matches!(select.distinct, Some(Distinct::All { .. })) {
            plan = Box::new(LogicalPlan::Distinct { input: plan });
        }
        let mut order = Vec::new();
        if !keys.is_empty() {
            let key = |key: OrderKey| SortKey {
                expression: column_expression(&columns[key.item]),
                descending: key.descending,
                nulls_first: key.nulls_first,
            };
            let keys: Vec<SortKey> = keys.into_iter().map(key).collect();
            order.extend(keys.iter().map(|key| key.expression.clone()));
            plan = Box::new(LogicalPlan::Sort { input: plan, keys });
        }
        if !distinct_on.is_empty() {
            let keys = distinct_on.iter().map(|&item| column_expression(&columns[item])).collect();
            plan = Box::new(LogicalPlan::DistinctOn { input: plan, keys });
        }
        if !is_locking {
            plan = self.bind_limit(plan, query, order, scope)?;
        }
        if columns.len() > visible {
            columns.truncate(visible);
            let expressions = columns.iter().map(column_expression).collect();
            for column in &mut columns {
                column.id = self.new_column_id();
            }
            plan = Box::new(LogicalPlan::Project { input: plan, expressions, columns: columns.clone() });
        }
        Ok(BoundQuery { plan, columns, positions })
    }

    /// DISTINCT ON: items by position, hidden ones where the select list lacks them.
    #[inline(never)]
    fn bind_distinct_on(
        &mut self,
        expressions: &[Expr<'_>],
        order: &[OrderKey],
        items: &mut Vec<Item>,
        visible: usize,
        context: &mut Context,
    ) -> Result<Vec<usize>> {
        let mut distinct: Vec<usize> = Vec::with_capacity(expressions.len());
        for expression in expressions {
            let item = self.bind_order_item(expression, "DISTINCT ON", items, visible, context)?;
            if !distinct.contains(&item) {
                distinct.push(item);
            }
        }
        let leading = order.iter().take_while(|key| distinct.contains(&key.item)).count();
        if leading < order.len() && leading < distinct.len() {
            let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
            let stray =
                distinct.iter().position(|item| !order[..leading].iter().any(|key| key.item == *item));
            let position = expressions.get(stray.unwrap_or(0)).map_or(0, |one| one.span.position());
            return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position));
        }
        Ok(distinct)
    }

    /// ORDER BY: output names first, then positions, then expressions, which become hidden items where the select
    /// list lacks them.
    fn bind_order(
        &mut self,
        order_by: &[OrderItem<'_>],
        items: &mut Vec<Item>,
        visible: usize,
        context: &mut Context,
    ) -> Result<Vec<OrderKey>> {
        let mut keys: Vec<OrderKey> = Vec::with_capacity(order_by.len());
        for order in order_by {
            let (descending, nulls_first) = direction(order)?;
            let item = self.bind_order_item(&order.value, "ORDER BY", items, visible, context)?;
            // A key that stands before decides already.
            if keys.iter().all(|key| key.item != item) {
                keys.push(OrderKey { item, descending, nulls_first });
            }
        }
        Ok(keys)
    }

    /// The item that an element of ORDER BY or DISTINCT ON means.
    fn bind_order_item(
        &mut self,
        value: &Expr<'_>,
        clause: &str,
        items: &mut Vec<Item>,
        visible: usize,
        context: &mut Context,
    ) -> Result<usize> {
        let named = match position_or_name(value, clause, visible)? {
            Named::Position(index) => Some(index),
            Named::Name(name) => item_named(name, &items[..visible], clause, value.span.position())?,
            Named::Neither => None,
        };
        if let Some(item) = named {
            return Ok(item);
        }
        let value = self.bind(value, context)?;
        let value = self.default_to_text(value)?;
        let known = items.iter().position(|item| walk::same(&item.value.expression, &value.expression));
        Ok(known.unwrap_or_else(|| {
            items.push(Item { name: "?order?".to_owned(), value, origin: None });
            items.len() - 1
        }))
    }
}

/// How the rows of a SELECT are ordered.
struct Ordering {
    keys: Vec<OrderKey>,
    /// DISTINCT ON.
    distinct_on: Vec<usize>,
    /// How many items are not hidden.
    visible: usize,
}

/// "No FROM": one row without columns.
pub(super) fn one_row() -> Box<LogicalPlan> {
    Box::new(LogicalPlan::Values { rows: vec![Vec::new()], columns: Vec::new() })
}

fn origin_of(id: ColumnId, context: &Context) -> Option<(u32, u32)> {
    let mut columns = context.scope.relations().flat_map(|relation| &relation.columns);
    columns.find(|column| column.id == id)?.origin
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

/// Whether a key is descending, and whether NULLs come first. `USING <` is ASC, `USING >` is DESC.
pub(super) fn direction(order: &OrderItem<'_>) -> Result<(bool, bool)> {
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

fn distinct_order_error(position: usize) -> Error {
    Error::new(
        SqlState::INVALID_COLUMN_REFERENCE,
        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
    )
    .at(position)
}

fn check_select_form(select: &Select<'_>, into_allowed: Option<Span>) -> Result<()> {
    if let Some(into) = select.into
        && into_allowed != Some(into.span)
    {
        let message = "SELECT ... INTO is not allowed here";
        return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(into.span.position()));
    }
    if let Some(window) = select.windows.first() {
        return Err(Error::not_supported("WINDOW").at(window.name.position()));
    }
    Ok(())
}

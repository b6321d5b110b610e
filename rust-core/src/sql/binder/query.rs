//! Queries around their body: WITH, ORDER BY over outputs, LIMIT; VALUES and TABLE.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::expression::Expr;
use crate::sql::ast::query::{OrderItem, Query, QueryBody, Select, Values};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::scope::{Context, Place, Scope, ScopeRelation, column_expression};
use crate::sql::binder::select::{Named, direction, position_or_name};
use crate::sql::binder::walk;
use crate::sql::plan::expression::{Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::{LogicalPlan, Recheck};
use crate::sql::types::cast::CastContext;
use crate::sql::types::data_type::{DataType, SqlType};
use std::rc::Rc;

/// What a query counts towards the nesting of a statement: its rules are about this many expressions deep.
const QUERY_DEPTH: usize = 6;

/// What becomes of untyped literals in a select list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Untyped {
    /// They are text.
    BecomesText,
    /// They stay untyped, for an INSERT or a set operation to convert.
    Stays,
}

/// A bound query.
pub(super) struct BoundQuery {
    pub(super) plan: Box<LogicalPlan>,
    pub(super) columns: Vec<OutputColumn>,
    /// Where each column's expression stands.
    pub(super) positions: Vec<usize>,
}

impl Binder<'_> {
    /// Binds a query.
    pub(super) fn bind_query(&mut self, query: &Query<'_>, untyped: Untyped) -> Result<BoundQuery> {
        self.enter(QUERY_DEPTH, query.span.position())?;
        let inherited = self.inherited_lock.take();
        // The WITH of a statement in parentheses is the statement's own.
        let is_only_around = query.with.is_none() && matches!(query.body, QueryBody::Query(_));
        let is_inside = self.is_inside;
        let definitions = self.bind_with(query.with)?;
        if is_only_around {
            self.is_inside = is_inside;
        }
        self.inherited_lock = inherited;
        let bound = self.with_locks_of(query, |binder| match &query.body {
            QueryBody::Select(select) => binder.bind_select(select, query, untyped),
            body => binder.bind_around(body, query, untyped),
        })?;
        self.leave(QUERY_DEPTH);
        let mut plan = self.finish_with(definitions, bound.plan);
        if is_only_around && !is_inside {
            lift_changes(&mut plan);
        }
        Ok(BoundQuery { plan, ..bound })
    }

    /// A body that is no SELECT, with ORDER BY and LIMIT.
    #[inline(never)]
    fn bind_around(
        &mut self,
        body: &QueryBody<'_>,
        query: &Query<'_>,
        untyped: Untyped,
    ) -> Result<BoundQuery> {
        let name = match body {
            QueryBody::Values(_) => "*VALUES*",
            QueryBody::Table(table) => table.name.object().text,
            _ => "",
        };
        let untyped = if query.order_by.is_empty() { untyped } else { Untyped::BecomesText };
        let bound = self.bind_body(body, untyped)?;
        self.order_outputs(bound, name, query, matches!(body, QueryBody::SetOperations(_)))
    }

    /// What yields the rows of a query.
    pub(super) fn bind_body(&mut self, body: &QueryBody<'_>, untyped: Untyped) -> Result<BoundQuery> {
        match body {
            QueryBody::Select(select) => self.bind_plain_select(select, untyped),
            QueryBody::Values(values) => self.bind_values(values),
            QueryBody::Table(table) => {
                let lock = self.lock_for(table.name.object().text);
                let (plan, relation) = self.bind_named_relation(&table.name, lock)?;
                let positions = vec![table.span.position(); relation.columns.len()];
                Ok(BoundQuery { plan, columns: relation.columns, positions })
            }
            QueryBody::Query(inner) => {
                self.inherited_lock = self.lock_for("");
                let untyped = if inner.order_by.is_empty() { untyped } else { Untyped::BecomesText };
                self.bind_query(inner, untyped)
            }
            QueryBody::SetOperations(operations) => self.bind_set_operations(operations),
        }
    }

    /// A SELECT with nothing around it.
    #[inline(never)]
    fn bind_plain_select(&mut self, select: &Select<'_>, untyped: Untyped) -> Result<BoundQuery> {
        let query = Query {
            with: None,
            body: QueryBody::Select(select),
            order_by: &[],
            limit: None,
            with_ties: None,
            offset: None,
            locking: &[],
            span: select.span,
        };
        let untyped = if select.distinct.is_some() { Untyped::BecomesText } else { untyped };
        self.enter(QUERY_DEPTH, select.span.position())?;
        let bound = self.bind_select(select, &query, untyped);
        self.leave(QUERY_DEPTH);
        bound
    }

    /// ORDER BY and LIMIT over the columns of something already bound.
    pub(super) fn order_outputs(
        &mut self,
        bound: BoundQuery,
        name: &str,
        query: &Query<'_>,
        is_set_operation: bool,
    ) -> Result<BoundQuery> {
        if query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset.is_none()
            && self.locks.is_none()
        {
            return Ok(bound);
        }
        let BoundQuery { mut plan, columns, positions } = bound;
        let scope = Scope::of(ScopeRelation::new(name, columns.clone()));
        let mut context = Context::new(&scope, Place::OrderBy);
        let mut keys = Vec::new();
        for order in query.order_by {
            keys.push(self.bind_output_key(order, &columns, is_set_operation, &mut context)?);
        }
        if let Some(aggregate) = context.aggregates.first() {
            let what = format!("the aggregate {} in ORDER BY of this query", aggregate.function.name);
            return Err(Error::not_supported(what).at(query.order_by[0].value.span.position()));
        }
        let order = keys.iter().map(|key| key.expression.clone()).collect();
        if !keys.is_empty() {
            plan = Box::new(LogicalPlan::Sort { input: plan, keys });
        }
        let targets = self.take_lock_targets();
        if targets.is_empty() {
            let plan = self.bind_limit(plan, query, order, &scope)?;
            return Ok(BoundQuery { plan, columns, positions });
        }
        let plan = Box::new(LogicalPlan::LockRows { input: plan, targets, recheck: Recheck::default() });
        let input = self.bind_limit(plan, query, order, &scope)?;
        // The row id stays inside.
        let expressions = columns.iter().map(column_expression).collect();
        let plan = Box::new(LogicalPlan::Project { input, expressions, columns: columns.clone() });
        Ok(BoundQuery { plan, columns, positions })
    }

    fn bind_output_key(
        &mut self,
        order: &OrderItem<'_>,
        columns: &[OutputColumn],
        is_set_operation: bool,
        context: &mut Context,
    ) -> Result<SortKey> {
        let column = match position_or_name(&order.value, "ORDER BY", columns.len())? {
            Named::Position(index) => Some(&columns[index]),
            Named::Name(name) => {
                let mut named = columns.iter().filter(|column| column.name == name);
                let first = named.next();
                if named.next().is_some() {
                    let message = format!("ORDER BY \"{name}\" is ambiguous");
                    return Err(
                        Error::new(SqlState::AMBIGUOUS_COLUMN, message).at(order.value.span.position())
                    );
                }
                first
            }
            Named::Neither => None,
        };
        let expression = match column {
            Some(column) => column_expression(column),
            None => {
                let bound = self.bind(&order.value, context)?;
                let bound = self.default_to_text(bound)?;
                if is_set_operation {
                    let message = "invalid UNION/INTERSECT/EXCEPT ORDER BY clause";
                    return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                        .detail("Only result column names can be used, not expressions or functions.")
                        .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                        .at(order.value.span.position()));
                }
                bound.expression
            }
        };
        let (descending, nulls_first) = direction(order)?;
        Ok(SortKey { expression, descending, nulls_first })
    }

    pub(super) fn bind_limit(
        &mut self,
        plan: Box<LogicalPlan>,
        query: &Query<'_>,
        order: Vec<Expression>,
        scope: &Rc<Scope>,
    ) -> Result<Box<LogicalPlan>> {
        if query.limit.is_none() && query.offset.is_none() {
            return Ok(plan);
        }
        let mut ties = Vec::new();
        if let Some(span) = query.with_ties {
            if order.is_empty() {
                let message = "WITH TIES cannot be specified without ORDER BY clause";
                return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(span.position()));
            }
            ties = order;
        }
        let limit = self.bind_row_count(query.limit, Place::Limit, scope)?;
        let offset = self.bind_row_count(query.offset, Place::Offset, scope)?;
        Ok(Box::new(LogicalPlan::Limit { input: plan, limit, offset, ties }))
    }

    fn bind_row_count(
        &mut self,
        expr: Option<&Expr<'_>>,
        place: Place,
        scope: &Rc<Scope>,
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

    #[inline(never)]
    fn bind_values(&mut self, values: &Values<'_>) -> Result<BoundQuery> {
        let mut context = Context::empty(Place::Values);
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
        let plan = self.rows_of(rows, &outputs);
        Ok(BoundQuery { plan, columns: outputs, positions })
    }

    /// Rows of expressions. Those that use columns from outside or hold queries are rows of projections, so that
    /// such expressions stand over an input.
    pub(super) fn rows_of(
        &mut self,
        rows: Vec<Vec<Expression>>,
        columns: &[OutputColumn],
    ) -> Box<LogicalPlan> {
        if !rows.iter().flatten().any(walk::has_columns) {
            return Box::new(LogicalPlan::Values { rows, columns: columns.to_vec() });
        }
        let is_one = rows.len() == 1;
        let mut plans = Vec::with_capacity(rows.len());
        for expressions in rows {
            let mut columns = columns.to_vec();
            if !is_one {
                for column in &mut columns {
                    column.id = self.new_column_id();
                }
            }
            let input = Box::new(LogicalPlan::Values { rows: vec![Vec::new()], columns: Vec::new() });
            plans.push(LogicalPlan::Project { input, expressions, columns });
        }
        match plans.pop() {
            Some(only) if is_one => Box::new(only),
            last => {
                plans.extend(last);
                Box::new(LogicalPlan::Append { inputs: plans, columns: columns.to_vec() })
            }
        }
    }
}

/// Puts common tables that change rows, and those around them, above ORDER BY and LIMIT: they run to their end whatever
/// those let through.
#[inline(never)]
fn lift_changes(plan: &mut Box<LogicalPlan>) {
    if !plan.changes_rows() {
        return;
    }
    let mut lifted = Vec::new();
    let mut node = &mut **plan;
    loop {
        node = match node {
            LogicalPlan::With { input, .. } => {
                let nothing = LogicalPlan::Values { rows: Vec::new(), columns: Vec::new() };
                let below = std::mem::replace(&mut **input, nothing);
                lifted.push(std::mem::replace(node, below));
                node
            }
            LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::LockRows { input, .. } => input,
            _ => break,
        };
    }
    for mut with in lifted.into_iter().rev() {
        if let LogicalPlan::With { input, .. } = &mut with {
            std::mem::swap(input, plan);
        }
        **plan = with;
    }
}

fn check_row_width(row: &[Expr<'_>], width: usize) -> Result<()> {
    if row.len() == width {
        return Ok(());
    }
    let position = row.first().map_or(0, |value| value.span.position());
    Err(Error::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length").at(position))
}

//! GROUP BY, HAVING and aggregates: what is grouped by, and that nothing else is used outside aggregates.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::expression::Expr;
use crate::sql::ast::query::{GroupBy, GroupingElement};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::scope::{Context, Place, Scope, column_expression};
use crate::sql::binder::select::{Item, Named, item_named, position_or_name};
use crate::sql::binder::walk;
use crate::sql::plan::expression::{AggregateCall, ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::LogicalPlan;
use std::rc::Rc;

impl Binder<'_> {
    /// The expressions of GROUP BY; `None` without the clause.
    pub(super) fn bind_groups(
        &mut self,
        group_by: Option<&GroupBy<'_>>,
        items: &[Item],
        context: &mut Context,
    ) -> Result<Option<Vec<Box<Bound>>>> {
        let Some(group_by) = group_by else { return Ok(None) };
        context.place = Place::GroupBy;
        let mut groups: Vec<Box<Bound>> = Vec::new();
        for element in group_by.elements {
            let expr = match element {
                GroupingElement::Expression(expr) => expr,
                GroupingElement::Empty { .. } => continue,
                GroupingElement::Rollup { span, .. } => {
                    return Err(Error::not_supported("ROLLUP").at(span.position()));
                }
                GroupingElement::Cube { span, .. } => {
                    return Err(Error::not_supported("CUBE").at(span.position()));
                }
                GroupingElement::Sets { span, .. } => {
                    return Err(Error::not_supported("GROUPING SETS").at(span.position()));
                }
            };
            let group = self.bind_group(expr, items, context)?;
            if groups.iter().all(|known| !walk::same(&known.expression, &group.expression)) {
                groups.push(group);
            }
        }
        Ok(Some(groups))
    }

    /// An element of GROUP BY: an input column's name first, then an output name, a position, an expression.
    fn bind_group(&mut self, expr: &Expr<'_>, items: &[Item], context: &mut Context) -> Result<Box<Bound>> {
        let position = expr.span.position();
        let item = match position_or_name(expr, "GROUP BY", items.len())? {
            Named::Position(index) => Some(index),
            Named::Name(name) => {
                let is_input = context.scope.visible_columns().any(|column| column.output().name == name);
                if is_input { None } else { item_named(name, items, "GROUP BY", position)? }
            }
            Named::Neither => None,
        };
        let Some(item) = item else {
            let group = self.bind(expr, context)?;
            return self.default_to_text(group);
        };
        let value = &items[item].value;
        let mut columns = Vec::new();
        walk::columns_of(&value.expression, &mut columns);
        if columns.iter().any(|id| context.aggregates.iter().any(|aggregate| aggregate.output.id == *id)) {
            let message = "aggregate functions are not allowed in GROUP BY";
            return Err(Error::new(SqlState::GROUPING_ERROR, message).at(value.position));
        }
        // A copy as it is: the item itself becomes a reference to the group.
        let expression = value.expression.clone();
        Ok(Bound::new(expression, value.sql_type, value.nullable, position))
    }
}

/// Turns expressions over a query's input into expressions over its groups.
pub(super) struct Grouping {
    scope: Rc<Scope>,
    groups: Vec<Expression>,
    group_columns: Vec<OutputColumn>,
    /// Every use of a column outside aggregates.
    references: Vec<(ColumnId, usize)>,
}

impl Grouping {
    /// Groups by `groups`. Where the primary key of a table is among them, its other columns are determined, and
    /// so are groups as well.
    pub(super) fn new(
        binder: &mut Binder<'_>,
        scope: &Rc<Scope>,
        groups: Vec<Box<Bound>>,
        references: Vec<(ColumnId, usize)>,
    ) -> Grouping {
        let scope = Rc::clone(scope);
        let mut grouping = Grouping { scope, groups: Vec::new(), group_columns: Vec::new(), references };
        for group in groups {
            let name = grouping
                .scope
                .relations()
                .flat_map(|relation| &relation.columns)
                .find(|column| matches!(&group.expression, Expression::Column { id, .. } if *id == column.id))
                .map_or("group", |column| &column.name);
            let column = binder.new_column(name, group.sql_type, group.nullable);
            grouping.groups.push(group.expression);
            grouping.group_columns.push(column);
        }
        grouping.add_determined_columns(binder);
        grouping
    }

    fn add_determined_columns(&mut self, binder: &mut Binder<'_>) {
        for item in &self.scope.items {
            let relation = &item.relation;
            let Some(key) = &relation.key else { continue };
            let is_group = |groups: &[Expression], wanted: &OutputColumn| {
                groups.iter().any(|group| matches!(group, Expression::Column { id, .. } if *id == wanted.id))
            };
            if !key.iter().all(|&column| is_group(&self.groups, &relation.columns[column])) {
                continue;
            }
            for column in &relation.columns {
                let used = self.references.iter().any(|(id, _)| *id == column.id);
                if used && !is_group(&self.groups, column) {
                    self.groups.push(column_expression(column));
                    let nullable = column.nullable || item.nullable;
                    let output = binder.new_column(&*column.name, column.sql_type, nullable);
                    self.group_columns.push(output);
                }
            }
        }
    }

    /// Builds the aggregation with HAVING over `plan` and rewrites `items` over it.
    pub(super) fn finish(
        self,
        plan: Box<LogicalPlan>,
        aggregates: Vec<AggregateCall>,
        having: Option<Box<Bound>>,
        items: &mut [Item],
    ) -> Result<Box<LogicalPlan>> {
        for item in items.iter_mut() {
            self.rewrite(&mut item.value.expression, &aggregates, false)?;
        }
        let having = match having {
            Some(mut having) => {
                self.rewrite(&mut having.expression, &aggregates, false)?;
                Some(having.expression)
            }
            None => None,
        };
        let plan = Box::new(LogicalPlan::Aggregate {
            input: plan,
            groups: self.groups,
            group_columns: self.group_columns,
            aggregates,
        });
        Ok(match having {
            Some(predicate) => Box::new(LogicalPlan::Filter { input: plan, predicate }),
            None => plan,
        })
    }

    /// `inside`: in a query of the expression, where constant groups are not looked for.
    fn rewrite(&self, expression: &mut Expression, aggregates: &[AggregateCall], inside: bool) -> Result<()> {
        let is_group =
            |group: &Expression| walk::same(group, expression) && (!inside || walk::has_columns(group));
        if let Some(group) = self.groups.iter().position(is_group) {
            *expression = column_expression(&self.group_columns[group]);
            return Ok(());
        }
        match expression {
            Expression::Column { id, .. } => {
                let is_aggregate = aggregates.iter().any(|aggregate| aggregate.output.id == *id);
                if is_aggregate || !self.scope.has_column_id(*id) {
                    return Ok(());
                }
                return Err(self.ungrouped(*id, inside));
            }
            Expression::Subquery(subquery) => self.rewrite_plan(&mut subquery.plan, aggregates)?,
            _ => {}
        }
        expression.each_operand_mut(&mut |operand| self.rewrite(operand, aggregates, inside))
    }

    fn rewrite_plan(&self, plan: &mut LogicalPlan, aggregates: &[AggregateCall]) -> Result<()> {
        plan.each_own_expression_mut(&mut |expression| self.rewrite(expression, aggregates, true))?;
        plan.inputs_mut().into_iter().try_for_each(|input| self.rewrite_plan(input, aggregates))
    }

    #[inline(never)]
    fn ungrouped(&self, id: ColumnId, inside: bool) -> Error {
        let relations = || self.scope.relations().filter(|relation| !relation.name.is_empty());
        let name = relations()
            .find_map(|relation| {
                let column = relation.columns.iter().find(|column| column.id == id)?;
                Some(format!("{}.{}", relation.name, column.name))
            })
            .unwrap_or_default();
        let position = self.references.iter().find(|(column, _)| *column == id);
        if inside {
            let message = format!("subquery uses ungrouped column \"{name}\" from outer query");
            let error = Error::new(SqlState::GROUPING_ERROR, message);
            return match position {
                Some((_, position)) => error.at(*position),
                None => error,
            };
        }
        let message = format!(
            "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
        );
        let error = Error::new(SqlState::GROUPING_ERROR, message);
        match position {
            Some((_, position)) => error.at(*position),
            None => error,
        }
    }
}

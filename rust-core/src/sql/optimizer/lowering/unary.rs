//! Operators over one input: filters, projections, groups, order, limits.

use crate::error::Result;
use crate::sql::optimizer::columns::{
    conjunction, is_always, is_never, operator_count, split_conjunction, to_inputs,
};
use crate::sql::optimizer::lowering::lock_rows::Locking;
use crate::sql::optimizer::lowering::scan::Scanned;
use crate::sql::optimizer::lowering::{
    Lowered, Lowering, Wanted, WantedKey, column, ids, known_count, mapped, node, operators, with_columns,
};
use crate::sql::optimizer::{cardinality, cost};
use crate::sql::plan::expression::{AggregateCall, ColumnId, Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::{LockDemand, Operator, PhysicalAggregate, PhysicalNode};

/// The one group of a minimum or maximum over the only row that can have it.
fn least_of(input: PhysicalNode, argument: Expression, aggregates: Vec<AggregateCall>) -> Lowered {
    let layout = aggregates.iter().map(|aggregate| aggregate.output.id).collect();
    let cost = input.estimated_cost + cost::OPERATOR;
    let aggregates = aggregates
        .into_iter()
        .map(|call| PhysicalAggregate {
            function: call.function,
            arguments: vec![argument.clone()],
            distinct: false,
            filter: None,
            order: Vec::new(),
        })
        .collect();
    let operator = Operator::HashAggregate { input: Box::new(input), groups: Vec::new(), aggregates };
    Lowered { node: node(operator, 1.0, cost), layout, ordered: false, sorted_by: None }
}

impl Lowering<'_> {
    pub(super) fn filter(
        &mut self,
        input: LogicalPlan,
        predicate: Expression,
        required: &[ColumnId],
        wanted: Option<&Wanted>,
    ) -> Result<Lowered> {
        let mut terms = Vec::new();
        split_conjunction(predicate, &mut terms);
        if terms.iter().any(is_never) {
            // Also what a scan can compute.
            let mut columns = Vec::new();
            add_made(&input, required, &mut columns);
            return Ok(nothing(&columns));
        }
        terms.retain(|term| !is_always(term));
        if let LogicalPlan::Scan { table, columns, computed, row_id } = input {
            let scanned = Scanned { table, columns, computed, row_id };
            return self.scan(scanned, terms, required, wanted);
        }
        let lowered = self.lower(input, &with_columns(required, &terms), wanted)?;
        let share = self.knowledge.share_of_all(&terms.iter().collect::<Vec<_>>());
        let Some(mut predicate) = conjunction(terms) else { return Ok(lowered) };
        to_inputs(&mut predicate, &lowered.layout)?;
        let rows = lowered.node.estimated_rows;
        let cost = lowered.node.estimated_cost + rows * cost::OPERATOR * operator_count(&predicate);
        let operator = Operator::Filter { input: Box::new(lowered.node), predicate };
        Ok(Lowered { node: node(operator, rows * share, cost), ..lowered })
    }

    pub(super) fn project(
        &mut self,
        input: LogicalPlan,
        expressions: Vec<Expression>,
        columns: &[OutputColumn],
        required: &[ColumnId],
        wanted: Option<&Wanted>,
    ) -> Result<Lowered> {
        let wanted = wanted.and_then(|wanted| {
            let keys = wanted.keys.iter().map(|key| {
                let index = columns.iter().position(|column| column.id == key.column)?;
                match expressions.get(index) {
                    Some(Expression::Column { id, .. }) => Some(WantedKey { column: *id, ..*key }),
                    _ => None,
                }
            });
            Some(Wanted { keys: keys.collect::<Option<Vec<_>>>()?, limit: wanted.limit })
        });
        let kept: Vec<(ColumnId, Expression)> = columns
            .iter()
            .map(|column| column.id)
            .zip(expressions)
            .filter(|(id, _)| required.contains(id))
            .collect();
        let needed = with_columns(&[], kept.iter().map(|(_, expression)| expression));
        let lowered = self.lower(input, &needed, wanted.as_ref())?;
        if let Some(layout) = renamed(&lowered.layout, &kept) {
            let sorted_by = renamed_column(lowered.sorted_by, &kept);
            return Ok(Lowered { layout, sorted_by, ..lowered });
        }
        let sorted_by = renamed_column(lowered.sorted_by, &kept);
        let (layout, expressions): (Vec<ColumnId>, Vec<Expression>) = kept.into_iter().unzip();
        let expressions = mapped(expressions, &lowered.layout)?;
        let node = projection(lowered.node, expressions);
        Ok(Lowered { node, layout, ordered: lowered.ordered, sorted_by })
    }

    pub(super) fn aggregate(
        &mut self,
        input: LogicalPlan,
        groups: Vec<Expression>,
        group_columns: &[OutputColumn],
        mut aggregates: Vec<AggregateCall>,
        required: &[ColumnId],
    ) -> Result<Lowered> {
        aggregates.retain(|aggregate| required.contains(&aggregate.output.id));
        let input = match self.least_by_index(input, &groups, &aggregates)? {
            Ok((node, argument)) => return Ok(least_of(node, argument, aggregates)),
            Err(input) => input,
        };
        let mut needed = with_columns(&[], &groups);
        for aggregate in &aggregates {
            needed = with_columns(&needed, aggregate.operands());
        }
        let lowered = self.lower(input, &needed, None)?;
        let rows_in = lowered.node.estimated_rows;
        let layout: Vec<ColumnId> = group_columns
            .iter()
            .map(|column| column.id)
            .chain(aggregates.iter().map(|aggregate| aggregate.output.id))
            .collect();
        let rows = self.knowledge.group_count(&groups.iter().collect::<Vec<_>>(), rows_in);
        let groups = mapped(groups, &lowered.layout)?;
        let work = operators(&groups) + aggregates.len() as f64;
        let aggregates = aggregates
            .into_iter()
            .map(|call| {
                let arguments = mapped(call.arguments, &lowered.layout)?;
                let mut filter = call.filter;
                if let Some(filter) = &mut filter {
                    to_inputs(filter, &lowered.layout)?;
                }
                let mut order = call.order;
                order.iter_mut().try_for_each(|key| to_inputs(&mut key.expression, &lowered.layout))?;
                let (function, distinct) = (call.function, call.distinct);
                Ok(PhysicalAggregate { function, arguments, distinct, filter, order })
            })
            .collect::<Result<Vec<_>>>()?;
        let hashed = if groups.is_empty() { 0.0 } else { cost::ROW_GROUPED };
        let cost = lowered.node.estimated_cost + rows_in * (hashed + work * cost::OPERATOR);
        let operator = Operator::HashAggregate { input: Box::new(lowered.node), groups, aggregates };
        Ok(Lowered { node: node(operator, rows, cost), layout, ordered: false, sorted_by: None })
    }

    pub(super) fn distinct(&mut self, input: LogicalPlan) -> Result<Lowered> {
        let columns = input.output_columns();
        let layout = ids(&columns);
        let lowered = self.lower(input, &layout, None)?;
        let groups: Vec<Expression> = columns.iter().map(column).collect();
        let rows_in = lowered.node.estimated_rows;
        let rows = self.knowledge.group_count(&groups.iter().collect::<Vec<_>>(), rows_in);
        let groups = mapped(groups, &lowered.layout)?;
        let cost = lowered.node.estimated_cost + rows_in * cost::ROW_GROUPED;
        let input = Box::new(lowered.node);
        let operator = Operator::HashAggregate { input, groups, aggregates: Vec::new() };
        Ok(Lowered { node: node(operator, rows, cost), layout, ordered: false, sorted_by: None })
    }

    pub(super) fn distinct_on(
        &mut self,
        input: LogicalPlan,
        keys: Vec<Expression>,
        required: &[ColumnId],
    ) -> Result<Lowered> {
        let lowered = self.lower(input, &with_columns(required, &keys), None)?;
        let rows_in = lowered.node.estimated_rows;
        let rows = self.knowledge.group_count(&keys.iter().collect::<Vec<_>>(), rows_in).min(rows_in);
        let keys = mapped(keys, &lowered.layout)?;
        let cost =
            lowered.node.estimated_cost + rows_in * (cost::ROW_GROUPED + cost::OPERATOR * operators(&keys));
        let operator = Operator::DistinctOn { input: Box::new(lowered.node), keys };
        Ok(Lowered {
            node: node(operator, rows, cost),
            layout: lowered.layout,
            ordered: false,
            sorted_by: None,
        })
    }

    /// Lowers what is sorted, and maps the keys to its output. It may come sorted already.
    pub(super) fn sort_input(
        &mut self,
        input: LogicalPlan,
        mut keys: Vec<SortKey>,
        required: &[ColumnId],
        limit: Option<f64>,
    ) -> Result<(Lowered, Vec<SortKey>)> {
        let columns: Option<Vec<WantedKey>> = keys
            .iter()
            .map(|key| match key.expression {
                Expression::Column { id, .. } => {
                    Some(WantedKey { column: id, descending: key.descending, nulls_first: key.nulls_first })
                }
                _ => None,
            })
            .collect();
        let wanted = columns.map(|keys| Wanted { keys, limit });
        let needed = with_columns(required, keys.iter().map(|key| &key.expression));
        let lowered = self.lower(input, &needed, wanted.as_ref())?;
        for key in &mut keys {
            to_inputs(&mut key.expression, &lowered.layout)?;
        }
        Ok((lowered, keys))
    }

    pub(super) fn limit(
        &mut self,
        input: LogicalPlan,
        limit: Option<Expression>,
        offset: Option<Expression>,
        required: &[ColumnId],
    ) -> Result<Lowered> {
        let skipped = offset.as_ref().map_or(Some(0.0), known_count);
        let known = limit.as_ref().and_then(known_count).zip(skipped).map(|(limit, offset)| limit + offset);
        let LogicalPlan::Sort { input, keys } = input else {
            let lowered = match input {
                LogicalPlan::LockRows { input, targets, recheck } => {
                    let demand = LockDemand::Limited { limit: limit.clone(), offset: offset.clone() };
                    let guess = cardinality::TABLE_ROWS_MIN * cardinality::LIMIT_SHARE;
                    let wanted = limit.is_some().then_some(known.unwrap_or(guess));
                    self.lock_rows(*input, Locking { targets, recheck, demand }, required, wanted)?
                }
                input => self.lower(input, required, None)?,
            };
            return Ok(if limit.is_none() && offset.is_none() {
                lowered
            } else {
                limited(lowered, limit, offset, known)
            });
        };
        // Where the number is a parameter, a tenth of a small table is as good a guess as any.
        let guess = cardinality::TABLE_ROWS_MIN * cardinality::LIMIT_SHARE;
        let wanted = limit.is_some().then_some(known.unwrap_or(guess));
        let (lowered, keys) = self.sort_input(*input, keys, required, wanted)?;
        if lowered.ordered {
            return Ok(limited(lowered, limit, offset, known));
        }
        let Some(limit) = limit else { return Ok(limited(sorted(lowered, keys), None, offset, None)) };
        let rows_in = lowered.node.estimated_rows;
        let kept = wanted.unwrap_or(rows_in);
        let cost = lowered.node.estimated_cost + cost::sort(rows_in, kept);
        let operator = Operator::TopN { input: Box::new(lowered.node), keys, limit, offset };
        let node = node(operator, kept.min(rows_in), cost);
        Ok(Lowered { node, layout: lowered.layout, ordered: false, sorted_by: None })
    }
}

/// Adds those of `required` that are made somewhere in `plan`.
fn add_made(plan: &LogicalPlan, required: &[ColumnId], out: &mut Vec<OutputColumn>) {
    plan.each_made(&mut |column| {
        if required.contains(&column.id) && !out.iter().any(|known| known.id == column.id) {
            out.push(column.clone());
        }
    });
    plan.inputs().into_iter().for_each(|input| add_made(input, required, out));
}

/// No rows, with these columns.
pub(super) fn nothing(columns: &[OutputColumn]) -> Lowered {
    let types = columns.iter().map(|column| column.sql_type.data_type).collect();
    let operator = Operator::Values { rows: Vec::new(), types };
    Lowered { node: node(operator, 0.0, 0.0), layout: ids(columns), ordered: true, sorted_by: None }
}

pub(super) fn projection(input: PhysicalNode, expressions: Vec<Expression>) -> PhysicalNode {
    let rows = input.estimated_rows;
    let cost = input.estimated_cost + rows * (cost::ROW_MADE + cost::OPERATOR * operators(&expressions));
    node(Operator::Project { input: Box::new(input), expressions }, rows, cost)
}

/// The column under its projected name.
fn renamed_column(id: Option<ColumnId>, kept: &[(ColumnId, Expression)]) -> Option<ColumnId> {
    let id = id?;
    let is_it =
        |expression: &Expression| matches!(expression, Expression::Column { id: known, .. } if *known == id);
    kept.iter().find(|(_, expression)| is_it(expression)).map(|(name, _)| *name)
}

/// The layout under the projected names, where the projection only renames: no node is needed then.
pub(super) fn renamed(layout: &[ColumnId], kept: &[(ColumnId, Expression)]) -> Option<Vec<ColumnId>> {
    let mut names = layout.to_vec();
    let mut taken = vec![false; layout.len()];
    for (name, expression) in kept {
        let Expression::Column { id, .. } = expression else { return None };
        let index = layout.iter().position(|known| known == id)?;
        if std::mem::replace(&mut taken[index], true) {
            return None;
        }
        names[index] = *name;
    }
    Some(names)
}

pub(super) fn sorted(lowered: Lowered, keys: Vec<SortKey>) -> Lowered {
    let rows = lowered.node.estimated_rows;
    let cost = lowered.node.estimated_cost + cost::sort(rows, rows);
    let operator = Operator::Sort { input: Box::new(lowered.node), keys };
    Lowered { node: node(operator, rows, cost), layout: lowered.layout, ordered: true, sorted_by: None }
}

pub(super) fn limited(
    lowered: Lowered,
    limit: Option<Expression>,
    offset: Option<Expression>,
    known: Option<f64>,
) -> Lowered {
    let rows_in = lowered.node.estimated_rows;
    let rows = match (&limit, known) {
        (Some(_), Some(known)) => known.min(rows_in),
        (Some(_), None) => rows_in * cardinality::LIMIT_SHARE,
        (None, _) => rows_in,
    };
    let cost = lowered.node.estimated_cost;
    let operator = Operator::Limit { input: Box::new(lowered.node), limit, offset, ties: Vec::new() };
    Lowered { node: node(operator, rows, cost), ..lowered }
}

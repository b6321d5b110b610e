//! Logical nodes to physical ones, top down: each node is told which columns are needed above it and which order
//! is wanted, and says which columns it puts out and whether it has that order.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result};
use crate::sql::optimizer::access::{self, OrderColumn, Path, WantedOrder};
use crate::sql::optimizer::columns::{
    add_columns, conjunction, operator_count, split_conjunction, to_inputs,
};
use crate::sql::optimizer::{StatisticsSource, cardinality, cost};
use crate::sql::plan::expression::{AggregateCall, ColumnId, Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::{BoundCheck, LogicalPlan, Returning};
use crate::sql::plan::physical::{
    Operator, PhysicalAggregate, PhysicalNode, PhysicalPlan, ScanOutput, StatementKind,
};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;
use std::sync::Arc;

/// VALUES of at most this many rows run on the short path.
const SHORT_PATH_ROWS_MAX: usize = 16;

/// A node with what it puts out.
struct Lowered {
    node: PhysicalNode,
    /// The column at each output position.
    layout: Vec<ColumnId>,
    /// Whether the wanted order is there.
    ordered: bool,
}

/// An order, over columns of the plan at hand.
#[derive(Clone)]
struct Wanted {
    keys: Vec<WantedKey>,
    limit: Option<f64>,
}

#[derive(Clone, Copy)]
struct WantedKey {
    column: ColumnId,
    descending: bool,
    nulls_first: bool,
}

struct Lowering<'s> {
    statistics: &'s dyn StatisticsSource,
}

/// The physical plan of a rewritten logical one, which has `run_time_parameters` numbered after the user's.
pub(super) fn lower_root(
    plan: LogicalPlan,
    parameters: &[DataType],
    run_time_parameters: Vec<DataType>,
    statistics: &dyn StatisticsSource,
) -> Result<PhysicalPlan> {
    let kind = match plan {
        LogicalPlan::Insert { .. } => StatementKind::Insert,
        LogicalPlan::Update { .. } => StatementKind::Update,
        LogicalPlan::Delete { .. } => StatementKind::Delete,
        _ => StatementKind::Select,
    };
    let columns = plan.output_columns();
    let root = Lowering { statistics }.statement(plan)?;
    let short_path = is_short(&root);
    Ok(PhysicalPlan { root, columns, parameters: parameters.to_vec(), run_time_parameters, short_path, kind })
}

/// Whether the row-at-a-time interpreter can run the plan: one chain over a look-up or few rows of VALUES.
fn is_short(node: &PhysicalNode) -> bool {
    match &node.operator {
        Operator::RowIdLookup { .. } | Operator::UniqueLookup { .. } => true,
        Operator::Values { rows, .. } => rows.len() <= SHORT_PATH_ROWS_MAX,
        Operator::Filter { input, .. }
        | Operator::Project { input, .. }
        | Operator::Limit { input, .. }
        | Operator::Insert { input, .. }
        | Operator::Update { input, .. }
        | Operator::Delete { input, .. } => is_short(input),
        _ => false,
    }
}

fn node(operator: Operator, rows: f64, cost: f64) -> PhysicalNode {
    PhysicalNode { operator, estimated_rows: rows, estimated_cost: cost }
}

/// Whether a condition is never true.
fn is_never(predicate: &Expression) -> bool {
    matches!(predicate, Expression::Constant { value: Datum::Boolean(false) | Datum::Null, .. })
}

fn is_always(predicate: &Expression) -> bool {
    matches!(predicate, Expression::Constant { value: Datum::Boolean(true), .. })
}

fn ids(columns: &[OutputColumn]) -> Vec<ColumnId> {
    columns.iter().map(|column| column.id).collect()
}

/// `required` with the columns that `expressions` use.
fn with_columns<'e>(
    required: &[ColumnId],
    expressions: impl IntoIterator<Item = &'e Expression>,
) -> Vec<ColumnId> {
    let mut all = required.to_vec();
    expressions.into_iter().for_each(|expression| add_columns(expression, &mut all));
    all
}

fn mapped(mut expressions: Vec<Expression>, layout: &[ColumnId]) -> Result<Vec<Expression>> {
    expressions.iter_mut().try_for_each(|expression| to_inputs(expression, layout))?;
    Ok(expressions)
}

fn operators(expressions: &[Expression]) -> f64 {
    expressions.iter().map(operator_count).sum()
}

/// A row count that is known while planning.
fn known_count(expression: &Expression) -> Option<f64> {
    match expression {
        Expression::Constant { value: Datum::BigInt(count), .. } => Some((*count).max(0) as f64),
        _ => None,
    }
}

/// LIMIT NULL is no LIMIT.
fn without_null(expression: Option<Expression>) -> Option<Expression> {
    expression.filter(|expression| !matches!(expression, Expression::Constant { value: Datum::Null, .. }))
}

impl Lowering<'_> {
    fn statement(&self, plan: LogicalPlan) -> Result<PhysicalNode> {
        match plan {
            LogicalPlan::Insert { table, input, checks, new_columns, returning } => {
                let input = self.exactly(*input)?;
                let layout = ids(&new_columns);
                let checks = map_checks(checks, &layout)?;
                let returning = map_returning(returning, &layout)?;
                Ok(modification(input, |input| Operator::Insert {
                    table,
                    input: Box::new(input),
                    checks,
                    returning,
                }))
            }
            LogicalPlan::Update {
                table,
                input,
                old_columns,
                row_id: _,
                assignments,
                recheck,
                checks,
                new_columns,
                returning,
            } => {
                let input = self.rows_to_change(*input, &table)?;
                let recheck = map_recheck(recheck, &old_columns)?;
                let (old, new) = (ids(&old_columns), ids(&new_columns));
                let (positions, values): (Vec<usize>, Vec<Expression>) = assignments.into_iter().unzip();
                let assignments = positions.into_iter().zip(mapped(values, &old)?).collect();
                let checks = map_checks(checks, &new)?;
                let returning = map_returning(returning, &new)?;
                Ok(modification(input, |input| Operator::Update {
                    table,
                    input: Box::new(input),
                    assignments,
                    recheck,
                    checks,
                    returning,
                }))
            }
            LogicalPlan::Delete { table, input, old_columns, row_id: _, recheck, returning } => {
                let input = self.rows_to_change(*input, &table)?;
                let recheck = map_recheck(recheck, &old_columns)?;
                let returning = map_returning(returning, &ids(&old_columns))?;
                Ok(modification(input, |input| Operator::Delete {
                    table,
                    input: Box::new(input),
                    recheck,
                    returning,
                }))
            }
            query => self.exactly(query),
        }
    }

    /// A query that puts out its columns and nothing else, in order.
    fn exactly(&self, plan: LogicalPlan) -> Result<PhysicalNode> {
        let columns = plan.output_columns();
        let wanted = ids(&columns);
        let lowered = self.lower(plan, &wanted, None)?;
        if lowered.layout == wanted {
            return Ok(lowered.node);
        }
        let expressions = columns
            .iter()
            .map(|column| Expression::Column { id: column.id, data_type: column.sql_type.data_type })
            .collect();
        let expressions = mapped(expressions, &lowered.layout)?;
        Ok(projection(lowered.node, expressions))
    }

    /// The rows of UPDATE and DELETE: all columns in table order, then the row id.
    fn rows_to_change(&self, input: LogicalPlan, table: &TableDefinition) -> Result<PhysicalNode> {
        let mut terms = Vec::new();
        let mut plan = input;
        loop {
            match plan {
                LogicalPlan::Filter { input, predicate } => {
                    split_conjunction(predicate, &mut terms);
                    plan = *input;
                }
                LogicalPlan::Scan { table: scanned, columns, .. } if scanned.id == table.id => {
                    terms.retain(|term| !is_always(term));
                    let layout = ids(&columns);
                    return Ok(self.scan(scanned, &columns, terms, &layout, None, true)?.node);
                }
                _ => return Err(Error::not_supported("a data change over several tables")),
            }
        }
    }

    /// Lowers a query. What it puts out has every column of `required`, perhaps others.
    fn lower(&self, plan: LogicalPlan, required: &[ColumnId], wanted: Option<&Wanted>) -> Result<Lowered> {
        match plan {
            LogicalPlan::Scan { table, columns, .. } => {
                self.scan(table, &columns, Vec::new(), required, wanted, false)
            }
            LogicalPlan::Filter { input, predicate } => self.filter(*input, predicate, required, wanted),
            LogicalPlan::Values { rows, columns } => {
                let count = rows.len() as f64;
                let cells: f64 = rows.iter().map(|row| operators(row)).sum();
                let types = columns.iter().map(|column| column.sql_type.data_type).collect();
                let cost = count * cost::ROW_MADE + cells * cost::OPERATOR;
                let ordered = rows.len() <= 1;
                let layout = ids(&columns);
                Ok(Lowered { node: node(Operator::Values { rows, types }, count, cost), layout, ordered })
            }
            LogicalPlan::Project { input, expressions, columns } => {
                self.project(*input, expressions, &columns, required, wanted)
            }
            LogicalPlan::Aggregate { input, groups, group_columns, aggregates } => {
                self.aggregate(*input, groups, &group_columns, aggregates, required)
            }
            LogicalPlan::Distinct { input } => self.distinct(*input),
            LogicalPlan::Sort { input, keys } => {
                let (lowered, keys) = self.sort_input(*input, keys, required, None)?;
                Ok(if lowered.ordered { lowered } else { sorted(lowered, keys) })
            }
            LogicalPlan::Limit { input, limit, offset } => {
                self.limit(*input, without_null(limit), without_null(offset), required)
            }
            LogicalPlan::Insert { .. } | LogicalPlan::Update { .. } | LogicalPlan::Delete { .. } => {
                Err(Error::internal("a data change below a query"))
            }
            LogicalPlan::Join { .. }
            | LogicalPlan::Supplied { .. }
            | LogicalPlan::Append { .. }
            | LogicalPlan::SetOperation { .. }
            | LogicalPlan::With { .. }
            | LogicalPlan::Initial { .. }
            | LogicalPlan::CommonScan { .. }
            | LogicalPlan::RecursiveUnion { .. }
            | LogicalPlan::TableFunction { .. }
            | LogicalPlan::DistinctOn { .. } => Err(Error::not_supported("a query of several tables")),
        }
    }

    /// Reads a table; with `row_id`, all of `required` in order and then the row id.
    fn scan(
        &self,
        table: Arc<TableDefinition>,
        columns: &[OutputColumn],
        mut predicates: Vec<Expression>,
        required: &[ColumnId],
        wanted: Option<&Wanted>,
        row_id: bool,
    ) -> Result<Lowered> {
        let position = |id: ColumnId| columns.iter().position(|column| column.id == id);
        let order = wanted.and_then(|wanted| {
            let keys = wanted.keys.iter().map(|key| {
                let column = position(key.column)?;
                Some(OrderColumn { column, descending: key.descending, nulls_first: key.nulls_first })
            });
            Some(WantedOrder { keys: keys.collect::<Option<Vec<_>>>()?, limit: wanted.limit })
        });
        let row_count = self.statistics.row_count(&table);
        let access = access::choose(&table, columns, &predicates, order.as_ref(), row_count);
        let mut index = 0;
        predicates.retain(|_| {
            index += 1;
            !access.used.contains(&(index - 1))
        });
        let layout: Vec<ColumnId> = with_columns(required, &predicates);
        let positions: Option<Vec<usize>> = layout.iter().map(|id| position(*id)).collect();
        let Some(positions) = positions else {
            return Err(Error::internal("the plan asks a scan for a column of something else"));
        };
        let mut predicate = conjunction(predicates);
        if let Some(predicate) = &mut predicate {
            to_inputs(predicate, &layout)?;
        }
        let output = ScanOutput { columns: positions, row_id, predicate };
        let operator = match access.path {
            Path::Table { lower, upper, backward } => {
                Operator::TableScan { table, lower, upper, backward, output }
            }
            Path::Index { index, equal, lower, upper, backward } => {
                Operator::IndexScan { table, index, equal, lower, upper, backward, output }
            }
            Path::RowId(row_id) => Operator::RowIdLookup { table, row_id, output },
            Path::Unique { index, key } => Operator::UniqueLookup { table, index, key, output },
        };
        let ordered = access.ordered && order.is_some();
        Ok(Lowered { node: node(operator, access.rows, access.cost), layout, ordered })
    }

    fn filter(
        &self,
        input: LogicalPlan,
        predicate: Expression,
        required: &[ColumnId],
        wanted: Option<&Wanted>,
    ) -> Result<Lowered> {
        let mut terms = Vec::new();
        split_conjunction(predicate, &mut terms);
        if terms.iter().any(is_never) {
            let mut columns = input.output_columns();
            columns.retain(|column| required.contains(&column.id));
            return Ok(nothing(&columns));
        }
        terms.retain(|term| !is_always(term));
        if let LogicalPlan::Scan { table, columns, .. } = input {
            return self.scan(table, &columns, terms, required, wanted, false);
        }
        let lowered = self.lower(input, &with_columns(required, &terms), wanted)?;
        let Some(mut predicate) = conjunction(terms) else { return Ok(lowered) };
        to_inputs(&mut predicate, &lowered.layout)?;
        let rows = lowered.node.estimated_rows;
        let cost = lowered.node.estimated_cost + rows * cost::OPERATOR * operator_count(&predicate);
        let share = cardinality::selectivity(&predicate);
        let operator = Operator::Filter { input: Box::new(lowered.node), predicate };
        Ok(Lowered { node: node(operator, rows * share, cost), ..lowered })
    }

    fn project(
        &self,
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
            return Ok(Lowered { layout, ..lowered });
        }
        let (layout, expressions): (Vec<ColumnId>, Vec<Expression>) = kept.into_iter().unzip();
        let expressions = mapped(expressions, &lowered.layout)?;
        Ok(Lowered { node: projection(lowered.node, expressions), layout, ordered: lowered.ordered })
    }

    fn aggregate(
        &self,
        input: LogicalPlan,
        groups: Vec<Expression>,
        group_columns: &[OutputColumn],
        mut aggregates: Vec<AggregateCall>,
        required: &[ColumnId],
    ) -> Result<Lowered> {
        aggregates.retain(|aggregate| required.contains(&aggregate.output.id));
        let mut needed = with_columns(&[], &groups);
        for aggregate in &aggregates {
            needed = with_columns(&needed, aggregate.arguments.iter().chain(&aggregate.filter));
        }
        let lowered = self.lower(input, &needed, None)?;
        let rows_in = lowered.node.estimated_rows;
        let layout: Vec<ColumnId> = group_columns
            .iter()
            .map(|column| column.id)
            .chain(aggregates.iter().map(|aggregate| aggregate.output.id))
            .collect();
        let rows = if groups.is_empty() { 1.0 } else { (rows_in * cardinality::DISTINCT).max(1.0) };
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
                Ok(PhysicalAggregate { function: call.function, arguments, distinct: call.distinct, filter })
            })
            .collect::<Result<Vec<_>>>()?;
        let hashed = if groups.is_empty() { 0.0 } else { cost::ROW_HASHED };
        let cost = lowered.node.estimated_cost + rows_in * (hashed + work * cost::OPERATOR);
        let operator = Operator::HashAggregate { input: Box::new(lowered.node), groups, aggregates };
        Ok(Lowered { node: node(operator, rows, cost), layout, ordered: false })
    }

    fn distinct(&self, input: LogicalPlan) -> Result<Lowered> {
        let columns = input.output_columns();
        let layout = ids(&columns);
        let lowered = self.lower(input, &layout, None)?;
        let groups = columns
            .iter()
            .map(|column| Expression::Column { id: column.id, data_type: column.sql_type.data_type })
            .collect();
        let groups = mapped(groups, &lowered.layout)?;
        let rows = lowered.node.estimated_rows;
        let cost = lowered.node.estimated_cost + rows * cost::ROW_HASHED;
        let input = Box::new(lowered.node);
        let operator = Operator::HashAggregate { input, groups, aggregates: Vec::new() };
        let rows = (rows * cardinality::DISTINCT).max(1.0);
        Ok(Lowered { node: node(operator, rows, cost), layout, ordered: false })
    }

    /// Lowers what is sorted, and maps the keys to its output. It may come sorted already.
    fn sort_input(
        &self,
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

    fn limit(
        &self,
        input: LogicalPlan,
        limit: Option<Expression>,
        offset: Option<Expression>,
        required: &[ColumnId],
    ) -> Result<Lowered> {
        let skipped = offset.as_ref().map_or(Some(0.0), known_count);
        let known = limit.as_ref().and_then(known_count).zip(skipped).map(|(limit, offset)| limit + offset);
        let LogicalPlan::Sort { input, keys } = input else {
            let lowered = self.lower(input, required, None)?;
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
        Ok(Lowered { node, layout: lowered.layout, ordered: false })
    }
}

/// No rows, with these columns.
fn nothing(columns: &[OutputColumn]) -> Lowered {
    let types = columns.iter().map(|column| column.sql_type.data_type).collect();
    let operator = Operator::Values { rows: Vec::new(), types };
    Lowered { node: node(operator, 0.0, 0.0), layout: ids(columns), ordered: true }
}

fn projection(input: PhysicalNode, expressions: Vec<Expression>) -> PhysicalNode {
    let rows = input.estimated_rows;
    let cost = input.estimated_cost + rows * (cost::ROW_MADE + cost::OPERATOR * operators(&expressions));
    node(Operator::Project { input: Box::new(input), expressions }, rows, cost)
}

/// The layout under the projected names, where the projection only renames: no node is needed then.
fn renamed(layout: &[ColumnId], kept: &[(ColumnId, Expression)]) -> Option<Vec<ColumnId>> {
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

fn sorted(lowered: Lowered, keys: Vec<SortKey>) -> Lowered {
    let rows = lowered.node.estimated_rows;
    let cost = lowered.node.estimated_cost + cost::sort(rows, rows);
    let operator = Operator::Sort { input: Box::new(lowered.node), keys };
    Lowered { node: node(operator, rows, cost), layout: lowered.layout, ordered: true }
}

fn limited(
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
    let operator = Operator::Limit { input: Box::new(lowered.node), limit, offset };
    Lowered { node: node(operator, rows, cost), ..lowered }
}

fn modification(input: PhysicalNode, operator: impl FnOnce(PhysicalNode) -> Operator) -> PhysicalNode {
    let rows = input.estimated_rows;
    let cost = input.estimated_cost + rows * cost::ROW_MODIFIED;
    node(operator(input), rows, cost)
}

fn map_checks(mut checks: Vec<BoundCheck>, layout: &[ColumnId]) -> Result<Vec<BoundCheck>> {
    checks.iter_mut().try_for_each(|check| to_inputs(&mut check.condition, layout))?;
    Ok(checks)
}

fn map_recheck(recheck: Option<Expression>, columns: &[OutputColumn]) -> Result<Option<Expression>> {
    let layout = ids(columns);
    let mut recheck = recheck.filter(|condition| !is_always(condition));
    recheck.iter_mut().try_for_each(|condition| to_inputs(condition, &layout))?;
    Ok(recheck)
}

fn map_returning(returning: Option<Returning>, layout: &[ColumnId]) -> Result<Option<Vec<Expression>>> {
    returning.map(|returning| mapped(returning.expressions, layout)).transpose()
}

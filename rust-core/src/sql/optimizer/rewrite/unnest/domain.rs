//! The general way out of correlation: the distinct values of the outer columns (the domain) are joined into the
//! plan below everything that uses them, and the plan gives its rows for all of those values at once, with the values
//! beside each row.

use crate::error::Result;
use crate::sql::optimizer::rewrite::common_table::{may_copy, replace_scans, scans_of};
use crate::sql::optimizer::rewrite::numbering::Numbering;
use crate::sql::optimizer::rewrite::references::{
    ColumnSet, Replacements, by_position, column, free_columns, node_count, nothing, plan_is_volatile,
    plan_uses_any, replace_columns, substitute_in_plan, take,
};
use crate::sql::optimizer::rewrite::unnest::single_row::of_empty_groups;
use crate::sql::optimizer::rewrite::unnest::{all, join};
use crate::sql::plan::expression::{AggregateCall, ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{CommonTableId, JoinKind, LogicalPlan};
use crate::sql::types::datum::Datum;
use hashbrown::HashMap;

/// A left side of more nodes is not computed a second time for its domain.
const COPIED_NODES_MAX: usize = 4;
/// Rows of a VALUES list that may use outer columns.
const VALUES_ROWS_MAX: usize = 64;
/// A plan with more nodes stays dependent.
const NODES_MAX: usize = 2000;

/// The distinct values of outer columns.
pub(super) struct Domain {
    /// Gives the values.
    source: LogicalPlan,
    /// The columns of `source`, one an outer column.
    columns: Vec<OutputColumn>,
    outer: Vec<ColumnId>,
    outer_set: ColumnSet,
    /// Where the left side is computed once for both uses: its common table.
    shared: Option<(CommonTableId, LogicalPlan)>,
}

/// A plan with the outer values that each of its rows belongs to.
pub(super) type Pushed = Option<(LogicalPlan, Vec<OutputColumn>)>;

/// `outer` and `values` agree, NULL with NULL.
pub(super) fn same_values(outer: &[OutputColumn], values: &[OutputColumn]) -> Vec<Expression> {
    let pairs = outer.iter().zip(values);
    pairs
        .map(|(outer, value)| Expression::IsDistinct {
            left: Box::new(column(outer)),
            right: Box::new(column(value)),
            negated: true,
        })
        .collect()
}

/// Whether computing `plan` twice is cheaper than keeping its rows.
fn is_cheap(plan: &LogicalPlan) -> bool {
    let mut node = plan;
    for _ in 0..COPIED_NODES_MAX {
        match node {
            LogicalPlan::Scan { .. } | LogicalPlan::CommonScan { .. } => return true,
            LogicalPlan::Values { rows, .. } => return rows.len() <= VALUES_ROWS_MAX,
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Distinct { input } => node = input,
            _ => return false,
        }
    }
    false
}

impl Domain {
    /// The domain of `outer`, columns of `left`; `None` where there is no way to it.
    pub(super) fn new(
        left: &LogicalPlan,
        outer: &[OutputColumn],
        numbering: &mut Numbering,
    ) -> Result<Option<Domain>> {
        if node_count(left) > NODES_MAX {
            return Ok(None);
        }
        let volatile = plan_is_volatile(left);
        let (copy, columns, shared) = if !volatile && (is_cheap(left) || !free_columns(left).is_empty()) {
            let (copy, columns) = numbering.copied(left)?;
            (copy, columns, None)
        } else if volatile && !free_columns(left).is_empty() {
            return Ok(None);
        } else {
            let id = numbering.common_table();
            let made = left.output_columns();
            let names: Vec<OutputColumn> = made.iter().map(|column| numbering.column_like(column)).collect();
            let columns: HashMap<ColumnId, OutputColumn> =
                made.iter().map(|column| column.id).zip(names.iter().cloned()).collect();
            let scan = LogicalPlan::CommonScan { id, name: "outer rows".into(), columns: names };
            (scan, columns, Some((id, nothing())))
        };
        let mut expressions = Vec::with_capacity(outer.len());
        let mut names = Vec::with_capacity(outer.len());
        for wanted in outer {
            // A column that the left side only passes on keeps its number in the copy.
            let source = columns.get(&wanted.id).unwrap_or(wanted);
            expressions.push(column(source));
            names.push(numbering.column_like(wanted));
        }
        let values = LogicalPlan::Project { input: Box::new(copy), expressions, columns: names.clone() };
        Ok(Some(Domain {
            source: LogicalPlan::Distinct { input: Box::new(values) },
            columns: names,
            outer: outer.iter().map(|column| column.id).collect(),
            outer_set: outer.iter().map(|column| column.id).collect(),
            shared,
        }))
    }

    /// The left side as the join has it.
    pub(super) fn left(&mut self, left: LogicalPlan, numbering: &mut Numbering) -> LogicalPlan {
        match &mut self.shared {
            None => left,
            Some((id, definition)) => {
                let columns = left.output_columns();
                *definition = by_position(left, &columns, numbering);
                LogicalPlan::CommonScan { id: *id, name: "outer rows".into(), columns }
            }
        }
    }

    /// What is around the join: the common table of the left side, if it has one.
    pub(super) fn around(self, plan: LogicalPlan) -> LogicalPlan {
        match self.shared {
            None => plan,
            Some((id, definition)) => LogicalPlan::With {
                id,
                name: "outer rows".into(),
                materialized: Some(true),
                definition: Box::new(definition),
                input: Box::new(plan),
            },
        }
    }

    /// The domain once more, under new numbers.
    fn instance(&self, numbering: &mut Numbering) -> Result<(LogicalPlan, Vec<OutputColumn>)> {
        let (plan, names) = numbering.copied(&self.source)?;
        let columns = self.columns.iter().map(|column| names.get(&column.id).unwrap_or(column).clone());
        Ok((plan, columns.collect()))
    }

    fn replacements(&self, values: &[OutputColumn]) -> Replacements {
        self.outer.iter().copied().zip(values.iter().map(column)).collect()
    }

    /// `plan` for all values of the domain.
    pub(super) fn push(&mut self, plan: LogicalPlan, numbering: &mut Numbering) -> Result<Pushed> {
        if !plan_uses_any(&plan, &self.outer_set) {
            let (domain, values) = self.instance(numbering)?;
            return Ok(Some((join(JoinKind::Inner, domain, plan, None), values)));
        }
        match plan {
            LogicalPlan::Aggregate { input, groups, group_columns, aggregates } => {
                if groups.is_empty() {
                    return self.aggregate_of_all(*input, aggregates, numbering);
                }
                self.grouped(*input, groups, group_columns, aggregates, numbering)
            }
            LogicalPlan::Join { kind, left, right, condition } => {
                self.push_join(kind, *left, *right, condition, numbering)
            }
            LogicalPlan::Append { inputs, columns } => {
                let Some((inputs, columns, values)) = self.side_by_side(inputs, columns, numbering)? else {
                    return Ok(None);
                };
                Ok(Some((LogicalPlan::Append { inputs, columns }, values)))
            }
            LogicalPlan::SetOperation { kind, all, left, right, columns } => {
                let sides = self.side_by_side(vec![*left, *right], columns, numbering)?;
                let Some((mut sides, columns, values)) = sides else { return Ok(None) };
                let (Some(right), Some(left)) = (sides.pop(), sides.pop()) else { return Ok(None) };
                let (left, right) = (Box::new(left), Box::new(right));
                Ok(Some((LogicalPlan::SetOperation { kind, all, left, right, columns }, values)))
            }
            LogicalPlan::Values { rows, columns } => self.values(rows, columns, numbering),
            mut function @ LogicalPlan::TableFunction { .. } => {
                let (domain, values) = self.instance(numbering)?;
                substitute_in_plan(&mut function, &self.replacements(&values))?;
                Ok(Some((join(JoinKind::Inner, domain, function, None), values)))
            }
            LogicalPlan::With { id, ref definition, ref input, .. }
                if plan_uses_any(definition, &self.outer_set) =>
            {
                if !may_copy(definition, scans_of(input, id).count) {
                    return Ok(None);
                }
                let mut plan = plan;
                replace_scans(&mut plan, numbering)?;
                self.push(plan, numbering)
            }
            LogicalPlan::Filter { .. }
            | LogicalPlan::Project { .. }
            | LogicalPlan::Sort { .. }
            | LogicalPlan::Distinct { .. }
            | LogicalPlan::DistinctOn { .. }
            | LogicalPlan::With { .. }
            | LogicalPlan::Limit { .. } => self.push_single(plan, numbering),
            _ => Ok(None),
        }
    }

    /// Nodes with one input (the last, of With) that handle each row, or all with equal values, alike.
    fn push_single(&mut self, mut plan: LogicalPlan, numbering: &mut Numbering) -> Result<Pushed> {
        let Some(input) = plan.inputs_mut().pop().map(take) else { return Ok(None) };
        let Some((pushed, values)) = self.push(input, numbering)? else { return Ok(None) };
        if let Some(input) = plan.inputs_mut().pop() {
            *input = pushed;
        }
        let replacements = self.replacements(&values);
        plan.each_own_expression_mut(&mut |expression| replace_columns(expression, &replacements))?;
        match &mut plan {
            LogicalPlan::Project { expressions, columns, .. } => {
                for value in &values {
                    if !columns.iter().any(|column| column.id == value.id) {
                        expressions.push(column(value));
                        columns.push(value.clone());
                    }
                }
            }
            LogicalPlan::DistinctOn { keys, .. } => keys.extend(values.iter().map(column)),
            LogicalPlan::Limit { ties, .. } if !ties.is_empty() => return Ok(None),
            LogicalPlan::Limit { input, limit, offset, .. } => match (limit, offset) {
                (None, None) => {}
                (Some(Expression::Constant { value: Datum::BigInt(1), .. }), None) => {
                    let keys = values.iter().map(column).collect();
                    plan = LogicalPlan::DistinctOn { input: Box::new(take(input)), keys };
                }
                _ => return Ok(None),
            },
            _ => {}
        }
        Ok(Some((plan, values)))
    }

    fn grouped(
        &mut self,
        input: LogicalPlan,
        mut groups: Vec<Expression>,
        mut group_columns: Vec<OutputColumn>,
        mut aggregates: Vec<AggregateCall>,
        numbering: &mut Numbering,
    ) -> Result<Pushed> {
        let Some((input, values)) = self.push(input, numbering)? else { return Ok(None) };
        let replacements = self.replacements(&values);
        let operands = aggregates.iter_mut().flat_map(AggregateCall::operands_mut);
        groups
            .iter_mut()
            .chain(operands)
            .try_for_each(|expression| replace_columns(expression, &replacements))?;
        let keys: Vec<OutputColumn> = values.iter().map(|value| numbering.column_like(value)).collect();
        groups.extend(values.iter().map(column));
        group_columns.extend(keys.iter().cloned());
        let input = Box::new(input);
        Ok(Some((LogicalPlan::Aggregate { input, groups, group_columns, aggregates }, keys)))
    }

    /// Groups by the outer values: those without rows have no group.
    pub(super) fn aggregate(
        &mut self,
        input: LogicalPlan,
        aggregates: Vec<AggregateCall>,
        numbering: &mut Numbering,
    ) -> Result<Pushed> {
        self.grouped(input, Vec::new(), Vec::new(), aggregates, numbering)
    }

    /// A group for each of the values, also for those without rows.
    fn aggregate_of_all(
        &mut self,
        input: LogicalPlan,
        mut aggregates: Vec<AggregateCall>,
        numbering: &mut Numbering,
    ) -> Result<Pushed> {
        let columns: Vec<OutputColumn> = aggregates.iter().map(|call| call.output.clone()).collect();
        for call in &mut aggregates {
            call.output = numbering.column_like(&call.output);
        }
        let of_empty = of_empty_groups(&aggregates);
        let results: Vec<OutputColumn> = aggregates.iter().map(|call| call.output.clone()).collect();
        let Some((groups, keys)) = self.aggregate(input, aggregates, numbering)? else { return Ok(None) };
        let (domain, values) = self.instance(numbering)?;
        let joined = join(JoinKind::Left, domain, groups, all(None, same_values(&values, &keys)));
        let mut expressions: Vec<Expression> = results
            .iter()
            .map(|result| of_empty.get(&result.id).cloned().unwrap_or_else(|| column(result)))
            .collect();
        expressions.extend(values.iter().map(column));
        let columns = columns.into_iter().chain(values.iter().cloned()).collect();
        Ok(Some((LogicalPlan::Project { input: Box::new(joined), expressions, columns }, values)))
    }

    fn push_join(
        &mut self,
        kind: JoinKind,
        mut left: LogicalPlan,
        mut right: LogicalPlan,
        mut condition: Option<Expression>,
        numbering: &mut Numbering,
    ) -> Result<Pushed> {
        if let JoinKind::Full = kind {
            return self.push_full_join(left, right, condition, numbering);
        }
        let kind = match kind {
            JoinKind::Right => {
                std::mem::swap(&mut left, &mut right);
                JoinKind::Left
            }
            kind => kind,
        };
        let only_right = matches!(kind, JoinKind::Inner)
            && !plan_uses_any(&left, &self.outer_set)
            && plan_uses_any(&right, &self.outer_set)
            && !plan_uses_any(&right, &left.output_columns().iter().map(|column| column.id).collect());
        let values = if only_right {
            let Some((pushed, values)) = self.push(right, numbering)? else { return Ok(None) };
            right = pushed;
            values
        } else {
            // The right side is then for each row of the new left side: a dependent join with fewer outer levels.
            let Some((pushed, values)) = self.push(left, numbering)? else { return Ok(None) };
            left = pushed;
            substitute_in_plan(&mut right, &self.replacements(&values))?;
            values
        };
        let replacements = self.replacements(&values);
        condition.iter_mut().try_for_each(|condition| replace_columns(condition, &replacements))?;
        Ok(Some((join(kind, left, right, condition), values)))
    }

    fn push_full_join(
        &mut self,
        left: LogicalPlan,
        right: LogicalPlan,
        mut condition: Option<Expression>,
        numbering: &mut Numbering,
    ) -> Result<Pushed> {
        let columns: Vec<OutputColumn> =
            left.output_columns().into_iter().chain(right.output_columns()).collect();
        let Some((left, of_left)) = self.push(left, numbering)? else { return Ok(None) };
        let Some((right, of_right)) = self.push(right, numbering)? else { return Ok(None) };
        let replacements = self.replacements(&of_left);
        condition.iter_mut().try_for_each(|condition| replace_columns(condition, &replacements))?;
        let condition = all(condition, same_values(&of_left, &of_right));
        let joined = join(JoinKind::Full, left, right, condition);
        let mut expressions: Vec<Expression> = columns.iter().map(column).collect();
        let values: Vec<OutputColumn> = of_left.iter().map(|value| numbering.column_like(value)).collect();
        for (left, right) in of_left.iter().zip(&of_right) {
            expressions.push(Expression::Coalesce {
                arguments: vec![column(left), column(right)],
                data_type: left.sql_type.data_type,
            });
        }
        let columns = columns.into_iter().chain(values.iter().cloned()).collect();
        Ok(Some((LogicalPlan::Project { input: Box::new(joined), expressions, columns }, values)))
    }

    /// Inputs whose columns match by position: the values come behind the others.
    #[expect(clippy::type_complexity, reason = "inputs, columns and values belong together only here")]
    fn side_by_side(
        &mut self,
        inputs: Vec<LogicalPlan>,
        mut columns: Vec<OutputColumn>,
        numbering: &mut Numbering,
    ) -> Result<Option<(Vec<LogicalPlan>, Vec<OutputColumn>, Vec<OutputColumn>)>> {
        let mut pushed_inputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut wanted = input.output_columns();
            let Some((pushed, values)) = self.push(input, numbering)? else { return Ok(None) };
            wanted.extend(values);
            pushed_inputs.push(by_position(pushed, &wanted, numbering));
        }
        let values: Vec<OutputColumn> =
            self.columns.iter().map(|column| numbering.column_like(column)).collect();
        columns.extend(values.iter().cloned());
        Ok(Some((pushed_inputs, columns, values)))
    }

    fn values(
        &mut self,
        mut rows: Vec<Vec<Expression>>,
        columns: Vec<OutputColumn>,
        numbering: &mut Numbering,
    ) -> Result<Pushed> {
        if rows.len() > VALUES_ROWS_MAX {
            return Ok(None);
        }
        if rows.len() == 1
            && let Some(mut row) = rows.pop()
        {
            let (domain, values) = self.instance(numbering)?;
            let replacements = self.replacements(&values);
            row.iter_mut().try_for_each(|cell| replace_columns(cell, &replacements))?;
            row.extend(values.iter().map(column));
            let columns = columns.into_iter().chain(values.iter().cloned()).collect();
            let plan = LogicalPlan::Project { input: Box::new(domain), expressions: row, columns };
            return Ok(Some((plan, values)));
        }
        let mut inputs = Vec::with_capacity(rows.len());
        for row in rows {
            let names = columns.iter().map(|column| numbering.column_like(column)).collect();
            inputs.push(LogicalPlan::Values { rows: vec![row], columns: names });
        }
        self.push(LogicalPlan::Append { inputs, columns }, numbering)
    }
}

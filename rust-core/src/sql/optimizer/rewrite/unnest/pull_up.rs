//! Conditions that use columns from outside move up, out of the plan: through filters, projections, joins, and,
//! where they are equalities, through what groups rows, which then groups by their inner side too.

use crate::error::Result;
use crate::sql::evaluate::row::result_type;
use crate::sql::optimizer::columns::{conjunction, split_conjunction};
use crate::sql::optimizer::rewrite::cardinality_bounds::equality;
use crate::sql::optimizer::rewrite::numbering::Numbering;
use crate::sql::optimizer::rewrite::references::{
    ColumnSet, Replacements, column, expression_columns, is_volatile, output_set, plan_uses_any,
    replace_columns, take, uses_any,
};
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::types::data_type::SqlType;
use crate::sql::types::datum::Datum;

/// Moves conditions over `outer` out of `plan` as far as they go. `plan` then gives more rows, and perhaps more
/// columns; the rows for which all the conditions are true are those that it gave.
pub(super) fn pull(
    plan: &mut LogicalPlan,
    outer: &ColumnSet,
    numbering: &mut Numbering,
) -> Result<Vec<Expression>> {
    match plan {
        LogicalPlan::Filter { input, .. } => {
            let pulled = pull(input, outer, numbering)?;
            Ok(of_filter(plan, pulled, outer))
        }
        LogicalPlan::Project { input, .. } => {
            let pulled = pull(input, outer, numbering)?;
            through_projection(plan, pulled, numbering)
        }
        LogicalPlan::Sort { input, .. } | LogicalPlan::With { input, .. } => pull(input, outer, numbering),
        LogicalPlan::Aggregate { input, groups, .. } if !groups.is_empty() => {
            let pulled = pull(input, outer, numbering)?;
            through_groups(plan, pulled, outer, numbering)
        }
        LogicalPlan::Distinct { input } => {
            let before = input.output_columns();
            let pulled = pull(input, outer, numbering)?;
            through_distinct(input, before, pulled, outer, numbering)
        }
        LogicalPlan::DistinctOn { input, .. } => {
            let pulled = pull(input, outer, numbering)?;
            Ok(through_distinct_on(plan, pulled, outer))
        }
        LogicalPlan::Limit {
            input,
            limit: Some(Expression::Constant { value: Datum::BigInt(1), .. }),
            offset: None,
            ties,
        } if ties.is_empty() => {
            let pulled = pull(input, outer, numbering)?;
            Ok(through_first_row(plan, pulled, outer))
        }
        LogicalPlan::Join { kind, left, right, condition } => match kind {
            JoinKind::Inner => {
                let mut pulled = pull(left, outer, numbering)?;
                pulled.extend(pull(right, outer, numbering)?);
                take_correlated(condition, outer, &mut pulled);
                Ok(pulled)
            }
            JoinKind::Left | JoinKind::Single | JoinKind::Semi | JoinKind::Anti | JoinKind::Mark(_) => {
                pull(left, outer, numbering)
            }
            JoinKind::Right => pull(right, outer, numbering),
            JoinKind::Full => Ok(Vec::new()),
        },
        _ => Ok(Vec::new()),
    }
}

/// Where only the existence of a row counts, a semi join that uses outer columns is as good as an inner join, which
/// their conditions can leave.
pub(super) fn join_for_existence(plan: &mut LogicalPlan, outer: &ColumnSet) {
    let mut waiting = vec![plan];
    while let Some(node) = waiting.pop() {
        match node {
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Distinct { input } => waiting.push(input),
            LogicalPlan::Join { kind: kind @ (JoinKind::Inner | JoinKind::Semi), left, right, condition } => {
                if let JoinKind::Semi = kind
                    && (plan_uses_any(right, outer)
                        || condition.as_ref().is_some_and(|condition| uses_any(condition, outer)))
                {
                    *kind = JoinKind::Inner;
                }
                waiting.push(left);
                if let JoinKind::Inner = kind {
                    waiting.push(right);
                }
            }
            _ => {}
        }
    }
}

/// Moves the terms of `condition` that use outer columns to `out`.
fn take_correlated(condition: &mut Option<Expression>, outer: &ColumnSet, out: &mut Vec<Expression>) {
    let Some(whole) = condition.take() else { return };
    let mut terms = Vec::new();
    split_conjunction(whole, &mut terms);
    let (moved, kept): (Vec<Expression>, Vec<Expression>) =
        terms.into_iter().partition(|term| uses_any(term, outer) && !is_volatile(term));
    out.extend(moved);
    *condition = conjunction(kept);
}

#[inline(never)]
fn of_filter(plan: &mut LogicalPlan, mut pulled: Vec<Expression>, outer: &ColumnSet) -> Vec<Expression> {
    if let LogicalPlan::Filter { input, predicate } = take(plan) {
        let mut condition = Some(predicate);
        take_correlated(&mut condition, outer, &mut pulled);
        *plan = filtered(*input, condition.into_iter().collect());
    }
    pulled
}

fn filtered(input: LogicalPlan, terms: Vec<Expression>) -> LogicalPlan {
    match conjunction(terms) {
        Some(predicate) => LogicalPlan::Filter { input: Box::new(input), predicate },
        None => input,
    }
}

/// The projection also puts out what the conditions are about.
#[inline(never)]
fn through_projection(
    plan: &mut LogicalPlan,
    mut pulled: Vec<Expression>,
    numbering: &mut Numbering,
) -> Result<Vec<Expression>> {
    let LogicalPlan::Project { input, expressions, columns } = plan else { return Ok(pulled) };
    let mut needed = ColumnSet::new();
    pulled.iter().for_each(|term| needed.extend(expression_columns(term)));
    let mut replacements = Replacements::new();
    for made in input.output_columns().iter().filter(|made| needed.contains(&made.id)) {
        let is_it =
            |expression: &Expression| matches!(expression, Expression::Column { id, .. } if *id == made.id);
        let name = match expressions.iter().position(is_it) {
            Some(index) => columns[index].clone(),
            None => {
                let name = numbering.column_like(made);
                expressions.push(column(made));
                columns.push(name.clone());
                name
            }
        };
        replacements.insert(made.id, column(&name));
    }
    pulled.iter_mut().try_for_each(|term| replace_columns(term, &replacements))?;
    Ok(pulled)
}

/// A condition of the form `outer expression = inner expression`.
pub(super) struct Correlation {
    /// The condition.
    term: Expression,
    /// Which argument is the inner side.
    inner: usize,
}

impl Correlation {
    /// The condition as a correlation, or as it was.
    pub(super) fn of(term: Expression, outer: &ColumnSet) -> std::result::Result<Correlation, Expression> {
        let Some((left, right)) = equality(&term) else { return Err(term) };
        let (left, right) = (expression_columns(left), expression_columns(right));
        let is_outer = |columns: &ColumnSet| columns.iter().all(|id| outer.contains(id));
        let is_inner = |columns: &ColumnSet| columns.iter().all(|id| !outer.contains(id));
        let inner = match () {
            () if is_outer(&left) && is_inner(&right) => 1,
            () if is_outer(&right) && is_inner(&left) => 0,
            () => return Err(term),
        };
        Ok(Correlation { term, inner })
    }

    /// The inner side.
    pub(super) fn inner(&self) -> &Expression {
        match &self.term {
            Expression::Call { arguments, .. } => &arguments[self.inner],
            term => term,
        }
    }

    /// The condition over a column that has the inner side's values.
    pub(super) fn over(mut self, inner: &OutputColumn) -> Expression {
        if let Expression::Call { arguments, .. } = &mut self.term {
            arguments[self.inner] = column(inner);
        }
        self.term
    }
}

/// A new column for the inner side of a correlation.
pub(super) fn key_column(correlation: &Correlation, numbering: &mut Numbering) -> OutputColumn {
    numbering.column("key", SqlType::plain(result_type(correlation.inner())), true)
}

fn split(pulled: Vec<Expression>, outer: &ColumnSet) -> (Vec<Correlation>, Vec<Expression>) {
    let (mut equal, mut others) = (Vec::new(), Vec::new());
    for term in pulled {
        match Correlation::of(term, outer) {
            Ok(correlation) => equal.push(correlation),
            Err(term) => others.push(term),
        }
    }
    (equal, others)
}

/// Conditions over grouping columns pass; equalities make their inner side a grouping column; others stay below.
#[inline(never)]
fn through_groups(
    plan: &mut LogicalPlan,
    pulled: Vec<Expression>,
    outer: &ColumnSet,
    numbering: &mut Numbering,
) -> Result<Vec<Expression>> {
    let LogicalPlan::Aggregate { input, groups, group_columns, .. } = plan else { return Ok(pulled) };
    let made = output_set(input);
    let mut names = Replacements::new();
    for (group, name) in groups.iter().zip(group_columns.iter()) {
        if let Expression::Column { id, .. } = group {
            names.insert(*id, column(name));
        }
    }
    let grouped = |term: &Expression| {
        expression_columns(term).iter().all(|id| !made.contains(id) || names.contains_key(id))
    };
    let (mut passing, others): (Vec<Expression>, Vec<Expression>) = pulled.into_iter().partition(grouped);
    passing.iter_mut().try_for_each(|term| replace_columns(term, &names))?;
    let (equal, staying) = split(others, outer);
    for correlation in equal {
        let name = key_column(&correlation, numbering);
        groups.push(correlation.inner().clone());
        group_columns.push(name.clone());
        passing.push(correlation.over(&name));
    }
    **input = filtered(take(input), staying);
    Ok(passing)
}

/// As for groups; all columns of the input count, and no others may be added to it.
#[inline(never)]
fn through_distinct(
    input: &mut LogicalPlan,
    before: Vec<OutputColumn>,
    pulled: Vec<Expression>,
    outer: &ColumnSet,
    numbering: &mut Numbering,
) -> Result<Vec<Expression>> {
    if pulled.is_empty() {
        return Ok(pulled);
    }
    let known: ColumnSet = before.iter().map(|column| column.id).collect();
    let visible = |term: &Expression| {
        expression_columns(term).iter().all(|id| outer.contains(id) || known.contains(id))
    };
    let (mut passing, others): (Vec<Expression>, Vec<Expression>) = pulled.into_iter().partition(visible);
    let (equal, staying) = split(others, outer);
    let mut expressions: Vec<Expression> = before.iter().map(column).collect();
    let mut columns = before;
    for correlation in equal {
        let name = key_column(&correlation, numbering);
        expressions.push(correlation.inner().clone());
        columns.push(name.clone());
        passing.push(correlation.over(&name));
    }
    let below = filtered(take(input), staying);
    *input = LogicalPlan::Project { input: Box::new(below), expressions, columns };
    Ok(passing)
}

#[inline(never)]
fn through_distinct_on(
    plan: &mut LogicalPlan,
    pulled: Vec<Expression>,
    outer: &ColumnSet,
) -> Vec<Expression> {
    let LogicalPlan::DistinctOn { input, keys } = plan else { return pulled };
    let (equal, staying) = split(pulled, outer);
    keys.extend(equal.iter().map(|correlation| correlation.inner().clone()));
    put_back(input, staying);
    equal.into_iter().map(|correlation| correlation.term).collect()
}

/// Conditions that could not pass hold right above `input`; rows keep their order.
fn put_back(input: &mut LogicalPlan, staying: Vec<Expression>) {
    *input = filtered(take(input), staying);
}

/// The first row for equal outer values is the first row of each group of inner ones.
#[inline(never)]
fn through_first_row(plan: &mut LogicalPlan, pulled: Vec<Expression>, outer: &ColumnSet) -> Vec<Expression> {
    let LogicalPlan::Limit { input, .. } = plan else { return pulled };
    let (equal, staying) = split(pulled, outer);
    put_back(input, staying);
    if equal.is_empty() {
        return Vec::new();
    }
    let keys = equal.iter().map(|correlation| correlation.inner().clone()).collect();
    *plan = LogicalPlan::DistinctOn { input: Box::new(take(input)), keys };
    equal.into_iter().map(|correlation| correlation.term).collect()
}

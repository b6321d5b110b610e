//! Joins whose right side uses columns of the left one (subqueries, LATERAL) become joins that do not: unnesting
//! after Neumann & Kemper, "Unnesting Arbitrary Queries" (BTW 2015), and Neumann, "Improving Unnesting of Complex
//! Queries" (BTW 2025), from the outermost join inwards.
//!
//! In this order, for a right side
//! * that has exactly one row whatever the data (an aggregate without groups, no FROM): `single_row`;
//! * whose correlation is in conditions that can be moved up into the join's condition: `pull_up`;
//! * of any other kind: joined with the distinct values of the left columns that it uses (`domain`).
//!
//! What stays dependent: volatile functions, LIMIT of more rows than one, recursion and table functions with
//! arguments from outside.

mod domain;
mod pull_up;
mod single_row;

use crate::error::Result;
use crate::sql::optimizer::columns::{conjunction, operator_count, split_conjunction};
use crate::sql::optimizer::rewrite::numbering::Numbering;
use crate::sql::optimizer::rewrite::references::{
    ColumnSet, Replacements, boolean, column, expression_columns, free_columns, is_volatile, narrowed,
    plan_is_volatile, plan_uses_any, replace_columns, take, uses_any,
};
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::{JoinKind, LogicalPlan};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;
use domain::Domain;

/// Beyond this size expressions are not put in the place of columns that are used more than once.
const OPERATORS_MAX: f64 = 100.0;

/// Removes the dependence of right sides on left ones throughout `plan`.
/// # Errors
/// `XX000` for a plan that contradicts itself.
pub(super) fn unnest(plan: &mut LogicalPlan, numbering: &mut Numbering) -> Result<()> {
    step(plan, numbering)?;
    plan.inputs_mut().into_iter().try_for_each(|input| unnest(input, numbering))
}

/// A join whose right side uses columns of the left one.
struct Dependent {
    kind: JoinKind,
    left: LogicalPlan,
    right: LogicalPlan,
    condition: Option<Expression>,
    /// The left columns that the right side uses.
    outer: Vec<OutputColumn>,
    outer_set: ColumnSet,
}

#[inline(never)]
fn step(plan: &mut LogicalPlan, numbering: &mut Numbering) -> Result<()> {
    let LogicalPlan::Join { left, right, .. } = plan else { return Ok(()) };
    let free = free_columns(right);
    if free.is_empty() {
        return Ok(());
    }
    let mut outer = left.output_columns();
    outer.retain(|column| free.contains(&column.id));
    if outer.is_empty() || plan_is_volatile(right) || is_function(right) {
        return Ok(());
    }
    let LogicalPlan::Join { kind, left, right, condition } = take(plan) else { return Ok(()) };
    let outer_set = outer.iter().map(|column| column.id).collect();
    let dependent = Dependent { kind, left: *left, right: *right, condition, outer, outer_set };
    *plan = dependent.unnested(numbering)?;
    Ok(())
}

/// Whether a right side is rows of a function: it depends on the row it is called for.
fn is_function(right: &LogicalPlan) -> bool {
    let mut node = right;
    while let LogicalPlan::Filter { input, .. } | LogicalPlan::Project { input, .. } = node {
        node = input;
    }
    matches!(node, LogicalPlan::TableFunction { .. })
}

/// The upper layers of a right side, as expressions over the rest of it.
struct Peeled {
    base: LogicalPlan,
    /// The columns of the right side.
    columns: Vec<OutputColumn>,
    /// What each of them is.
    values: Vec<Expression>,
    /// What is true of each row.
    tests: Vec<Expression>,
}

impl Peeled {
    fn replace(&mut self, replacements: &Replacements) -> Result<()> {
        self.values
            .iter_mut()
            .chain(&mut self.tests)
            .try_for_each(|value| replace_columns(value, replacements))
    }

    /// What the right side's columns are, to be put in their place.
    fn replacements(&self) -> Replacements {
        self.columns.iter().map(|column| column.id).zip(self.values.iter().cloned()).collect()
    }
}

fn is_existence(kind: &JoinKind) -> bool {
    matches!(kind, JoinKind::Semi | JoinKind::Anti | JoinKind::Mark(_))
}

/// LIMIT of at least one row, known while planning, without OFFSET.
fn keeps_a_row(limit: Option<&Expression>, offset: Option<&Expression>) -> bool {
    offset.is_none()
        && match limit {
            None | Some(Expression::Constant { value: Datum::Null, .. }) => true,
            Some(Expression::Constant { value: Datum::BigInt(count), .. }) => *count >= 1,
            Some(_) => false,
        }
}

fn exists_alone(kind: &JoinKind, condition: Option<&Expression>) -> bool {
    is_existence(kind) && condition.is_none()
}

/// Takes projections and filters off the top of a right side, and what cannot matter there.
fn peeled(kind: &JoinKind, condition: Option<&Expression>, right: LogicalPlan) -> Result<Peeled> {
    let columns = right.output_columns();
    let values = columns.iter().map(column).collect();
    let mut peeled = Peeled { base: right, columns, values, tests: Vec::new() };
    loop {
        let any_row = exists_alone(kind, condition) && peeled.tests.is_empty();
        peeled.base = match take(&mut peeled.base) {
            LogicalPlan::Sort { input, .. } => *input,
            LogicalPlan::Distinct { input } if is_existence(kind) => *input,
            LogicalPlan::Limit { input, limit, offset, .. }
                if any_row && keeps_a_row(limit.as_ref(), offset.as_ref()) =>
            {
                *input
            }
            LogicalPlan::Aggregate { input, groups, .. } if any_row && !groups.is_empty() => {
                peeled.columns.clear();
                peeled.values.clear();
                *input
            }
            LogicalPlan::Project { input, expressions, columns }
                if !expressions.iter().any(is_volatile) && is_small(&peeled, &expressions) =>
            {
                let replacements = columns.iter().map(|column| column.id).zip(expressions).collect();
                peeled.replace(&replacements)?;
                *input
            }
            LogicalPlan::Filter { input, predicate } if !is_volatile(&predicate) => {
                split_conjunction(predicate, &mut peeled.tests);
                *input
            }
            base => {
                peeled.base = base;
                return Ok(peeled);
            }
        };
    }
}

/// Whether the expressions stay small when the lower ones are put in.
fn is_small(peeled: &Peeled, lower: &[Expression]) -> bool {
    let uses: f64 = peeled.values.iter().chain(&peeled.tests).map(|value| 1.0 + operator_count(value)).sum();
    let largest = lower.iter().map(operator_count).fold(0.0, f64::max);
    largest <= 1.0 || uses * largest <= OPERATORS_MAX
}

impl Dependent {
    fn unnested(mut self, numbering: &mut Numbering) -> Result<LogicalPlan> {
        while let LogicalPlan::Sort { input, .. } = self.right {
            self.right = *input;
        }
        let top = peeled(&self.kind, self.condition.as_ref(), self.right.clone())?;
        if single_row::is_single_row(&top.base) {
            return match single_row::joined(&mut self, top, numbering)? {
                Some(plan) => Ok(plan),
                None => Ok(self.unchanged()),
            };
        }
        match self.pulled_up(top, numbering)? {
            Some(plan) => Ok(plan),
            None => self.over_domain(numbering),
        }
    }

    fn unchanged(self) -> LogicalPlan {
        let Dependent { kind, left, right, condition, .. } = self;
        LogicalPlan::Join { kind, left: Box::new(left), right: Box::new(right), condition }
    }

    /// The join with what correlated it in its condition, where that is all.
    fn pulled_up(&mut self, mut top: Peeled, numbering: &mut Numbering) -> Result<Option<LogicalPlan>> {
        if is_existence(&self.kind) {
            pull_up::join_for_existence(&mut top.base, &self.outer_set);
        }
        let pulled = pull_up::pull(&mut top.base, &self.outer_set, numbering)?;
        if plan_uses_any(&top.base, &self.outer_set) {
            return Ok(None);
        }
        top.tests.extend(pulled);
        let replacements = top.replacements();
        let mut condition = self.condition.take();
        condition.iter_mut().try_for_each(|condition| replace_columns(condition, &replacements))?;
        let left = take(&mut self.left);
        let kind = self.kind.clone();
        Ok(Some(match kind {
            JoinKind::Semi | JoinKind::Anti => join(kind, left, top.base, all(condition, top.tests)),
            JoinKind::Mark(_) => {
                let tests = top.tests.into_iter().map(known).collect();
                join(kind, left, top.base, all(condition, tests))
            }
            JoinKind::Inner => {
                let mut columns = left.output_columns();
                let mut expressions: Vec<Expression> = columns.iter().map(column).collect();
                columns.extend(top.columns);
                expressions.extend(top.values);
                let input = Box::new(join(kind, left, top.base, all(condition, top.tests)));
                LogicalPlan::Project { input, expressions, columns }
            }
            JoinKind::Left | JoinKind::Single => self.outer_joined(kind, left, top, condition, numbering)?,
            JoinKind::Right | JoinKind::Full => {
                return Err(crate::error::Error::internal("a dependent right or full join"));
            }
        }))
    }

    /// Left rows without a partner have NULLs: values over the right side alone are computed below the join, others
    /// above it where there is a partner.
    fn outer_joined(
        &self,
        kind: JoinKind,
        left: LogicalPlan,
        top: Peeled,
        condition: Option<Expression>,
        numbering: &mut Numbering,
    ) -> Result<LogicalPlan> {
        let condition = all(condition, top.tests);
        let mut columns = left.output_columns();
        let mut expressions: Vec<Expression> = columns.iter().map(column).collect();
        let marker = numbering.column("matched", SqlType::plain(DataType::Boolean), false);
        let (mut below, mut below_columns) = (Vec::new(), Vec::new());
        let mut used = ColumnSet::new();
        condition.iter().for_each(|condition| used.extend(expression_columns(condition)));
        let mut marked = false;
        for (output, value) in top.columns.into_iter().zip(top.values) {
            let output = OutputColumn { nullable: true, ..output };
            if uses_any(&value, &self.outer_set) {
                used.extend(expression_columns(&value));
                marked = true;
                expressions.push(Expression::Case {
                    data_type: output.sql_type.data_type,
                    branches: vec![(column(&marker), value)],
                    otherwise: None,
                });
            } else {
                expressions.push(column(&output));
                below.push(value);
                below_columns.push(output.clone());
            }
            columns.push(output);
        }
        for made in top.base.output_columns() {
            if used.contains(&made.id) && below_columns.iter().all(|column| column.id != made.id) {
                below.push(column(&made));
                below_columns.push(made);
            }
        }
        if marked {
            below.push(boolean(true));
            below_columns.push(marker);
        }
        let right =
            LogicalPlan::Project { input: Box::new(top.base), expressions: below, columns: below_columns };
        let joined = join(kind, left, right, condition);
        if !marked {
            return Ok(narrowed(joined, columns));
        }
        Ok(LogicalPlan::Project { input: Box::new(joined), expressions, columns })
    }

    /// The join with a right side that is computed for all values of the left columns it uses.
    fn over_domain(mut self, numbering: &mut Numbering) -> Result<LogicalPlan> {
        let columns = LogicalPlan::output_columns;
        let before = match &self.kind {
            JoinKind::Inner | JoinKind::Left | JoinKind::Single => {
                let mut all = columns(&self.left);
                all.extend(columns(&self.right));
                all
            }
            JoinKind::Mark(mark) => columns(&self.left).into_iter().chain([mark.clone()]).collect(),
            _ => columns(&self.left),
        };
        let Some(mut domain) = Domain::new(&self.left, &self.outer, numbering)? else {
            return Ok(self.unchanged());
        };
        let Some((right, values)) = domain.push(self.right.clone(), numbering)? else {
            return Ok(self.unchanged());
        };
        let same = domain::same_values(&self.outer, &values);
        let left = domain.left(take(&mut self.left), numbering);
        let joined = join(self.kind, left, right, all(self.condition, same));
        Ok(domain.around(narrowed(joined, before)))
    }
}

fn join(kind: JoinKind, left: LogicalPlan, right: LogicalPlan, condition: Option<Expression>) -> LogicalPlan {
    LogicalPlan::Join { kind, left: Box::new(left), right: Box::new(right), condition }
}

/// The AND of a condition and more terms.
fn all(condition: Option<Expression>, more: Vec<Expression>) -> Option<Expression> {
    let mut terms = Vec::new();
    condition.into_iter().chain(more).for_each(|condition| split_conjunction(condition, &mut terms));
    terms.retain(|term| !matches!(term, Expression::Constant { value: Datum::Boolean(true), .. }));
    conjunction(terms)
}

/// `test IS TRUE`: in a mark's condition, a row for which a test is unknown is no row.
fn known(test: Expression) -> Expression {
    match test {
        Expression::IsNull { .. } | Expression::IsTruth { .. } | Expression::IsDistinct { .. } => test,
        test => Expression::IsTruth { input: Box::new(test), truth: true, negated: false },
    }
}

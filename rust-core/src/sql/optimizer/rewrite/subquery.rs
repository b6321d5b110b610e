//! Subqueries leave expressions: what uses nothing from outside and comes to one value is run once (`Initial`); the
//! others become joins whose right side may use columns of the left one. Those are for `unnest`.
//!
//! A subquery stands for a value in its expression (a column of a Single, Left or Mark join), except where it is a
//! term of a condition: EXISTS and IN are then semi joins, NOT EXISTS an anti join. NOT IN is an anti join only where
//! its comparison cannot be unknown.

use crate::common::limits::NESTING_DEPTH_MAX;
use crate::error::{Error, Result, SqlState};
use crate::sql::evaluate::row::result_type;
use crate::sql::optimizer::columns::{conjunction, split_conjunction};
use crate::sql::optimizer::rewrite::cardinality_bounds::{at_most_one_row, never_null, not_null_columns};
use crate::sql::optimizer::rewrite::numbering::Numbering;
use crate::sql::optimizer::rewrite::references::{
    ColumnSet, Replacements, by_position, column, each_node, expression_columns, free_columns, has_subquery,
    narrowed, nothing, output_set, plan_is_volatile, reads_common_table, replace_columns, take,
    take_expression, uses_any,
};
use crate::sql::plan::expression::{Expression, OutputColumn, Subquery, SubqueryForm};
use crate::sql::plan::logical::{CommonTableId, InitialForm, InitialQuery, JoinKind, LogicalPlan, Returning};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;

/// How many joins the subqueries of one node may become: the plan is so much deeper.
const JOINS_A_NODE_MAX: usize = NESTING_DEPTH_MAX;

/// `plan` without subqueries in its expressions.
/// # Errors
/// `0A000` where a place cannot have this subquery, `54001` for too many in one place.
pub(super) fn extract(plan: &mut LogicalPlan, numbering: &mut Numbering) -> Result<()> {
    let mut extraction = Extraction { numbering, pending: Vec::new(), joins: 0 };
    extraction.plan(plan)?;
    let queries = std::mem::take(&mut extraction.pending);
    with_initial(plan, queries);
    Ok(())
}

fn with_initial(plan: &mut LogicalPlan, queries: Vec<InitialQuery>) {
    if !queries.is_empty() {
        *plan = LogicalPlan::Initial { queries, input: Box::new(take(plan)) };
    }
}

struct Extraction<'n> {
    numbering: &'n mut Numbering,
    /// Queries that are run once, to be placed as high as their common tables let them be.
    pending: Vec<InitialQuery>,
    /// Joins made for the node at hand.
    joins: usize,
}

impl Extraction<'_> {
    fn plan(&mut self, plan: &mut LogicalPlan) -> Result<()> {
        let before = self.pending.len();
        for input in plan.inputs_mut() {
            self.plan(input)?;
        }
        self.place(plan, before);
        let mut found = false;
        plan.each_own_expression(&mut |expression| found = found || has_subquery(expression));
        if found {
            self.joins = 0;
            self.node(plan)?;
        }
        Ok(())
    }

    /// Queries that read a common table stay below what defines it.
    fn place(&mut self, plan: &mut LogicalPlan, before: usize) {
        let (id, reader) = match plan {
            LogicalPlan::With { id, input, .. } => (*id, input),
            LogicalPlan::RecursiveUnion { id, recursive, .. } => (*id, recursive),
            _ => return,
        };
        let queries = self.pending_on(id, before);
        with_initial(reader, queries);
    }

    /// Takes the queries that read the common table, or the result of one that does.
    fn pending_on(&mut self, id: CommonTableId, before: usize) -> Vec<InitialQuery> {
        let mut taken: Vec<InitialQuery> = Vec::new();
        for query in self.pending.split_off(before) {
            let depends = reads_common_table(&query.plan, id)
                || taken.iter().any(|earlier| uses_parameter(&query.plan, earlier.parameter));
            if depends {
                taken.push(query);
            } else {
                self.pending.push(query);
            }
        }
        taken
    }

    /// A node whose inputs have no subqueries, but whose own expressions do.
    #[inline(never)]
    fn node(&mut self, plan: &mut LogicalPlan) -> Result<()> {
        match plan {
            LogicalPlan::Filter { .. } => self.filter(plan),
            LogicalPlan::Join { .. } => self.join(plan),
            LogicalPlan::Values { .. } => self.values(plan),
            LogicalPlan::Limit { .. } => {
                plan.each_own_expression_mut(&mut |expression| self.alone(expression))
            }
            LogicalPlan::TableFunction { .. } => self.table_function(plan),
            LogicalPlan::Insert { new_columns, returning, .. }
            | LogicalPlan::Update { new_columns, returning, .. } => {
                let new: ColumnSet = new_columns.iter().map(|column| column.id).collect();
                let mut returned = returning.iter().flat_map(|returning| &returning.expressions);
                if returned.any(|expression| has_subquery_over(expression, &new)) {
                    return self.returning_above(plan);
                }
                match plan {
                    LogicalPlan::Insert { returning: Some(returning), .. } => {
                        returning.expressions.iter_mut().try_for_each(|expression| self.alone(expression))
                    }
                    LogicalPlan::Insert { .. } => Ok(()),
                    _ => self.over_input(plan),
                }
            }
            _ => self.over_input(plan),
        }
    }

    /// RETURNING with a subquery over the new row: the change returns the columns that are used, and the rest is
    /// computed over what it returns.
    fn returning_above(&mut self, plan: &mut LogicalPlan) -> Result<()> {
        let (available, returning) = match plan {
            LogicalPlan::Insert { new_columns, returning, .. } => (new_columns.clone(), returning),
            LogicalPlan::Update { input, new_columns, returning, .. } => {
                ([new_columns.clone(), input.output_columns()].concat(), returning)
            }
            _ => return Err(Error::internal("RETURNING of something that returns nothing")),
        };
        let Some(Returning { mut expressions, columns }) = returning.take() else { return Ok(()) };
        let mut used = ColumnSet::new();
        expressions.iter().for_each(|expression| used.extend(expression_columns(expression)));
        let used: Vec<&OutputColumn> = available.iter().filter(|column| used.contains(&column.id)).collect();
        let fresh: Vec<OutputColumn> = used.iter().map(|column| self.numbering.column_like(column)).collect();
        let replacements: Replacements =
            used.iter().map(|column| column.id).zip(fresh.iter().map(column)).collect();
        *returning = Some(Returning { expressions: used.into_iter().map(column).collect(), columns: fresh });
        if matches!(plan, LogicalPlan::Update { .. }) {
            self.over_input(plan)?;
        }
        expressions.iter_mut().try_for_each(|expression| replace_everywhere(expression, &replacements))?;
        *plan = LogicalPlan::Project { input: Box::new(take(plan)), expressions, columns };
        self.over_input(plan)
    }

    /// A node with one input whose expressions are over that input.
    fn over_input(&mut self, plan: &mut LogicalPlan) -> Result<()> {
        let passes_on = matches!(plan, LogicalPlan::Sort { .. } | LogicalPlan::DistinctOn { .. });
        let before = if passes_on { plan.output_columns() } else { Vec::new() };
        let mut inputs = plan.inputs_mut();
        let Some(mut base) = inputs.pop().map(take) else {
            return Err(Error::internal("a subquery where no row is"));
        };
        plan.each_own_expression_mut(&mut |expression| self.replace(expression, &mut base, &[]))?;
        if let Some(input) = plan.inputs_mut().pop() {
            *input = base;
        }
        if passes_on {
            *plan = narrowed(take(plan), before);
        }
        Ok(())
    }

    fn filter(&mut self, plan: &mut LogicalPlan) -> Result<()> {
        let LogicalPlan::Filter { input, predicate } = take(plan) else { return Ok(()) };
        let before = input.output_columns();
        let mut base = *input;
        let mut terms = Vec::new();
        split_conjunction(predicate, &mut terms);
        let (mut nested, plain): (Vec<Expression>, Vec<Expression>) =
            terms.into_iter().partition(has_subquery);
        // What runs once is decided before rows are joined with anything.
        for term in &mut nested {
            self.run_once(term)?;
        }
        let (nested, once): (Vec<Expression>, Vec<Expression>) = nested.into_iter().partition(has_subquery);
        let cheap = plain.into_iter().chain(once).collect();
        if let Some(predicate) = conjunction(cheap) {
            base = LogicalPlan::Filter { input: Box::new(base), predicate };
        }
        let mut left_over = Vec::new();
        for term in nested {
            if let Some(term) = self.term(term, &mut base)? {
                left_over.push(term);
            }
        }
        if let Some(predicate) = conjunction(left_over) {
            base = LogicalPlan::Filter { input: Box::new(base), predicate };
        }
        *plan = narrowed(base, before);
        Ok(())
    }

    /// A term of a condition; what comes back is still to be tested.
    fn term(&mut self, mut term: Expression, base: &mut LogicalPlan) -> Result<Option<Expression>> {
        match term {
            Expression::Subquery(subquery) => self.test(*subquery, false, base),
            Expression::Not(input) if matches!(*input, Expression::Subquery(_)) => match *input {
                Expression::Subquery(subquery) => self.test(*subquery, true, base),
                input => Ok(Some(Expression::Not(Box::new(input)))),
            },
            _ => {
                self.replace(&mut term, base, &[])?;
                Ok(Some(term))
            }
        }
    }

    fn test(
        &mut self,
        mut subquery: Subquery,
        negated: bool,
        base: &mut LogicalPlan,
    ) -> Result<Option<Expression>> {
        self.subquery(&mut subquery, base)?;
        let condition = match &mut subquery.form {
            SubqueryForm::Exists => {
                lock_first_row(&mut subquery.plan);
                None
            }
            SubqueryForm::Any { test } => {
                let mut not_null = not_null_columns(base);
                not_null.extend(not_null_columns(&subquery.plan));
                if negated && !never_null(test, &not_null) {
                    let value = self.attached(subquery, base, &[])?;
                    return Ok(Some(Expression::Not(Box::new(value))));
                }
                Some(take_expression(test))
            }
            SubqueryForm::Scalar { .. } => return self.attached(subquery, base, &[]).map(Some),
        };
        let kind = if negated { JoinKind::Anti } else { JoinKind::Semi };
        self.joined(kind, base, subquery.plan, condition)?;
        Ok(None)
    }

    /// The subqueries inside a subquery: those of its plan, and those of its test, which are over `base`.
    fn subquery(&mut self, subquery: &mut Subquery, base: &mut LogicalPlan) -> Result<()> {
        self.inside(subquery)?;
        match &mut subquery.form {
            SubqueryForm::Any { test } if has_subquery(test) => self.replace(test, base, &[]),
            _ => Ok(()),
        }
    }

    /// The subqueries of a subquery's plan.
    fn inside(&mut self, subquery: &mut Subquery) -> Result<()> {
        let joins = self.joins;
        self.plan(&mut subquery.plan)?;
        self.joins = joins;
        Ok(())
    }

    /// Joins `base` with `right`.
    fn joined(
        &mut self,
        kind: JoinKind,
        base: &mut LogicalPlan,
        right: LogicalPlan,
        condition: Option<Expression>,
    ) -> Result<()> {
        self.joins += 1;
        if self.joins > JOINS_A_NODE_MAX {
            return Err(Error::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                format!("more than {JOINS_A_NODE_MAX} subqueries in one place"),
            ));
        }
        let left = Box::new(take(base));
        *base = LogicalPlan::Join { kind, left, right: Box::new(right), condition };
        Ok(())
    }

    /// Puts columns in the place of the subqueries of `expression`, joined to `base`. `guards` are what has to be true
    /// where `expression` is evaluated at all.
    fn replace(
        &mut self,
        expression: &mut Expression,
        base: &mut LogicalPlan,
        guards: &[Expression],
    ) -> Result<()> {
        if !has_subquery(expression) {
            return Ok(());
        }
        match expression {
            Expression::Subquery(_) => {
                let Expression::Subquery(subquery) = take_expression(expression) else { return Ok(()) };
                let mut subquery = *subquery;
                self.subquery(&mut subquery, base)?;
                *expression = match self.once(subquery) {
                    Ok(parameter) => parameter,
                    Err(subquery) => self.attached(*subquery, base, guards)?,
                };
                Ok(())
            }
            Expression::Case { branches, otherwise, .. } => {
                let mut guards = guards.to_vec();
                for (condition, result) in branches {
                    self.replace(condition, base, &guards)?;
                    guards.push(is_true(condition, false));
                    self.replace(result, base, &guards)?;
                    guards.pop();
                    guards.push(is_true(condition, true));
                }
                otherwise.iter_mut().try_for_each(|result| self.replace(result, base, &guards))
            }
            Expression::Coalesce { arguments, .. } => {
                let mut guards = guards.to_vec();
                for argument in arguments {
                    self.replace(argument, base, &guards)?;
                    guards.push(Expression::IsNull { input: Box::new(argument.clone()), negated: false });
                }
                Ok(())
            }
            _ => expression.each_operand_mut(&mut |operand| self.replace(operand, base, guards)),
        }
    }

    /// A subquery that is run once as a parameter; or the subquery, where it needs something from outside.
    fn once(&mut self, subquery: Subquery) -> std::result::Result<Expression, Box<Subquery>> {
        let (form, data_type) = match &subquery.form {
            SubqueryForm::Scalar { data_type } => (InitialForm::Scalar, *data_type),
            SubqueryForm::Exists => (InitialForm::Exists, DataType::Boolean),
            SubqueryForm::Any { .. } => return Err(Box::new(subquery)),
        };
        if !free_columns(&subquery.plan).is_empty() {
            return Err(Box::new(subquery));
        }
        let parameter = self.numbering.parameter(data_type);
        let mut plan = subquery.plan;
        if form == InitialForm::Exists {
            lock_first_row(&mut plan);
        }
        self.pending.push(InitialQuery { parameter, form, plan, position: subquery.position });
        Ok(Expression::Parameter { index: parameter, data_type })
    }

    /// Replaces the subqueries of `expression` that are run once.
    fn run_once(&mut self, expression: &mut Expression) -> Result<()> {
        if !has_subquery(expression) {
            return Ok(());
        }
        if let Expression::Subquery(_) = expression {
            let Expression::Subquery(subquery) = take_expression(expression) else { return Ok(()) };
            let mut subquery = *subquery;
            if let SubqueryForm::Any { test } = &mut subquery.form {
                self.run_once(test)?;
            } else if free_columns(&subquery.plan).is_empty() {
                self.inside(&mut subquery)?;
            }
            *expression = match self.once(subquery) {
                Ok(parameter) => parameter,
                Err(subquery) => Expression::Subquery(subquery),
            };
            return Ok(());
        }
        expression.each_operand_mut(&mut |operand| self.run_once(operand))
    }

    /// Joins a subquery to `base`; the column that is its value.
    fn attached(
        &mut self,
        subquery: Subquery,
        base: &mut LogicalPlan,
        guards: &[Expression],
    ) -> Result<Expression> {
        match subquery.form {
            SubqueryForm::Scalar { .. } => {
                let Some(value) = subquery.plan.output_columns().into_iter().next() else {
                    return Err(Error::internal("a subquery without a column"));
                };
                let (kind, condition) = if at_most_one_row(&subquery.plan) {
                    (JoinKind::Left, None)
                } else {
                    // More rows than one are an error only where the value is wanted.
                    (JoinKind::Single, conjunction(guards.to_vec()))
                };
                self.joined(kind, base, subquery.plan, condition)?;
                Ok(column(&value))
            }
            SubqueryForm::Exists => {
                let mut plan = subquery.plan;
                lock_first_row(&mut plan);
                self.marked(base, plan, None)
            }
            SubqueryForm::Any { test } => self.marked(base, subquery.plan, Some(test)),
        }
    }

    fn marked(
        &mut self,
        base: &mut LogicalPlan,
        plan: LogicalPlan,
        condition: Option<Expression>,
    ) -> Result<Expression> {
        let mark = self.numbering.column("mark", SqlType::plain(DataType::Boolean), condition.is_some());
        let value = column(&mark);
        self.joined(JoinKind::Mark(mark), base, plan, condition)?;
        Ok(value)
    }

    /// An expression that is over no row at all.
    fn alone(&mut self, expression: &mut Expression) -> Result<()> {
        if !has_subquery(expression) {
            return Ok(());
        }
        if !expression_columns(expression).is_empty() {
            return Err(not_here(expression));
        }
        // Its value is that of a query without FROM.
        let data_type = result_type(expression);
        let value = self.numbering.column("value", SqlType::plain(data_type), true);
        let mut plan = LogicalPlan::Project {
            input: Box::new(one_row()),
            expressions: vec![take_expression(expression)],
            columns: vec![value],
        };
        self.node(&mut plan)?;
        if let LogicalPlan::Project { input, expressions, .. } = &mut plan
            && matches!(**input, LogicalPlan::Values { .. })
            && let [only] = expressions.as_mut_slice()
        {
            *expression = take_expression(only);
            return Ok(());
        }
        let parameter = self.numbering.parameter(data_type);
        self.pending.push(InitialQuery { parameter, form: InitialForm::Scalar, plan, position: 0 });
        *expression = Expression::Parameter { index: parameter, data_type };
        Ok(())
    }

    fn values(&mut self, plan: &mut LogicalPlan) -> Result<()> {
        plan.each_own_expression_mut(&mut |expression| self.run_once(expression))?;
        let LogicalPlan::Values { rows, columns } = plan else { return Ok(()) };
        if !rows.iter().flatten().any(has_subquery) {
            return Ok(());
        }
        let count = rows.len();
        let mut inputs = Vec::with_capacity(count);
        for row in std::mem::take(rows) {
            let row_columns = if count == 1 {
                columns.clone()
            } else {
                columns.iter().map(|column| self.numbering.column_like(column)).collect()
            };
            let mut input =
                LogicalPlan::Project { input: Box::new(one_row()), expressions: row, columns: row_columns };
            self.joins = 0;
            self.over_input(&mut input)?;
            inputs.push(input);
        }
        let columns = std::mem::take(columns);
        *plan = match inputs.pop() {
            Some(only) if count == 1 => only,
            Some(last) => {
                inputs.push(last);
                LogicalPlan::Append { inputs, columns }
            }
            None => nothing(),
        };
        Ok(())
    }

    /// The arguments are columns of one row that the function is joined to.
    fn table_function(&mut self, plan: &mut LogicalPlan) -> Result<()> {
        let columns = plan.output_columns();
        let mut base = one_row();
        plan.each_own_expression_mut(&mut |expression| self.replace(expression, &mut base, &[]))?;
        if !matches!(base, LogicalPlan::Values { .. }) {
            let right = take(plan);
            self.joined(JoinKind::Inner, &mut base, right, None)?;
            *plan = narrowed(base, columns);
        }
        Ok(())
    }

    fn join(&mut self, plan: &mut LogicalPlan) -> Result<()> {
        let before = plan.output_columns();
        let LogicalPlan::Join { kind, left, right, condition: Some(condition) } = take(plan) else {
            return Err(Error::internal("a subquery in a join without a condition"));
        };
        let (mut left, mut right) = (*left, *right);
        let mut terms = Vec::new();
        split_conjunction(condition, &mut terms);
        for term in &mut terms {
            self.run_once(term)?;
        }
        let (nested, mut plain): (Vec<Expression>, Vec<Expression>) =
            terms.into_iter().partition(has_subquery);
        let kind = match kind {
            JoinKind::Inner => {
                let joined = LogicalPlan::Join {
                    kind: JoinKind::Inner,
                    left: Box::new(left),
                    right: Box::new(right),
                    condition: conjunction(plain),
                };
                let Some(predicate) = conjunction(nested) else {
                    *plan = joined;
                    return Ok(());
                };
                *plan = LogicalPlan::Filter { input: Box::new(joined), predicate };
                return self.filter(plan);
            }
            JoinKind::Right => {
                std::mem::swap(&mut left, &mut right);
                JoinKind::Left
            }
            kind => kind,
        };
        let (of_left, of_right) = (output_set(&left), output_set(&right));
        let over_both = |term: &Expression| uses_any(term, &of_left) && uses_any(term, &of_right);
        if matches!(kind, JoinKind::Full) && nested.iter().any(over_both) {
            plain.extend(nested);
            *plan = self.full_in_two(left, right, plain, before)?;
            return Ok(());
        }
        for mut term in nested {
            let used = expression_columns(&term);
            let uses_left = used.iter().any(|id| of_left.contains(id));
            let uses_right = used.iter().any(|id| of_right.contains(id));
            if uses_left && !uses_right {
                self.replace(&mut term, &mut left, &[])?;
            } else if matches!(kind, JoinKind::Left) && !uses_left {
                right = LogicalPlan::Filter { input: Box::new(right), predicate: term };
                self.filter(&mut right)?;
                continue;
            } else {
                self.replace(&mut term, &mut right, &[])?;
            }
            plain.push(term);
        }
        let joined = LogicalPlan::Join {
            kind,
            left: Box::new(left),
            right: Box::new(right),
            condition: conjunction(plain),
        };
        *plan = narrowed(joined, before);
        Ok(())
    }

    fn inside_each(&mut self, expression: &mut Expression) -> Result<()> {
        if let Expression::Subquery(subquery) = expression {
            self.inside(subquery)?;
        }
        expression.each_operand_mut(&mut |operand| self.inside_each(operand))
    }

    /// FULL JOIN with subqueries over both sides: the left join, and the right rows without a partner. Each side is
    /// computed twice.
    fn full_in_two(
        &mut self,
        left: LogicalPlan,
        right: LogicalPlan,
        terms: Vec<Expression>,
        before: Vec<OutputColumn>,
    ) -> Result<LogicalPlan> {
        if plan_is_volatile(&left) || plan_is_volatile(&right) {
            return Err(terms
                .iter()
                .find(|term| has_subquery(term))
                .map_or_else(|| Error::internal("a full join without a subquery"), not_here));
        }
        let (left_again, left_names) = self.numbering.copied(&left)?;
        let (right_again, right_names) = self.numbering.copied(&right)?;
        let replacements: Replacements =
            left_names.iter().chain(&right_names).map(|(id, to)| (*id, column(to))).collect();
        let mut terms = terms;
        // Subqueries inside subqueries first: what is copied has none.
        terms.iter_mut().try_for_each(|term| self.inside_each(term))?;
        let mut terms_again = terms.clone();
        for term in &mut terms_again {
            self.numbering.copy_subqueries(term)?;
            replace_everywhere(term, &replacements)?;
        }
        let mut with_left = LogicalPlan::Join {
            kind: JoinKind::Left,
            left: Box::new(left),
            right: Box::new(right),
            condition: conjunction(terms),
        };
        self.join(&mut with_left)?;
        let mut without_left = LogicalPlan::Join {
            kind: JoinKind::Anti,
            left: Box::new(right_again),
            right: Box::new(left_again),
            condition: conjunction(terms_again),
        };
        self.join(&mut without_left)?;
        let of_right = |wanted: &OutputColumn| match right_names.get(&wanted.id) {
            Some(renamed) => column(renamed),
            None => absent(wanted),
        };
        let alone = LogicalPlan::Project {
            input: Box::new(without_left),
            expressions: before.iter().map(of_right).collect(),
            columns: before.iter().map(|column| self.numbering.column_like(column)).collect(),
        };
        let inputs = vec![by_position(with_left, &before, self.numbering), alone];
        Ok(LogicalPlan::Append { inputs, columns: before })
    }
}

/// A column of a side that has no row.
fn absent(column: &OutputColumn) -> Expression {
    Expression::Constant { value: Datum::Null, data_type: column.sql_type.data_type }
}

fn is_true(condition: &Expression, negated: bool) -> Expression {
    Expression::IsTruth { input: Box::new(condition.clone()), truth: true, negated }
}

/// EXISTS over rows that are locked: it asks for one row, and locks no others.
fn lock_first_row(plan: &mut LogicalPlan) {
    match plan {
        LogicalPlan::Project { input, .. } => lock_first_row(input),
        LogicalPlan::LockRows { .. } => {
            let limit = Some(Expression::Constant { value: Datum::BigInt(1), data_type: DataType::BigInt });
            let input = Box::new(take(plan));
            *plan = LogicalPlan::Limit { input, limit, offset: None, ties: Vec::new() };
        }
        _ => {}
    }
}

/// One row without columns.
pub(super) fn one_row() -> LogicalPlan {
    LogicalPlan::Values { rows: vec![Vec::new()], columns: Vec::new() }
}

fn uses_parameter(plan: &LogicalPlan, parameter: usize) -> bool {
    fn used(expression: &Expression, parameter: usize) -> bool {
        let mut found = matches!(expression, Expression::Parameter { index, .. } if *index == parameter);
        expression.each_operand(&mut |operand| found = found || used(operand, parameter));
        found
    }
    let mut found = false;
    each_node(plan, &mut |node| {
        node.each_own_expression(&mut |expression| found = found || used(expression, parameter));
    });
    found
}

/// Whether a subquery, or its test, uses one of the columns.
fn has_subquery_over(expression: &Expression, columns: &ColumnSet) -> bool {
    if matches!(expression, Expression::Subquery(_)) {
        return uses_any(expression, columns);
    }
    let mut found = false;
    expression.each_operand(&mut |operand| found = found || has_subquery_over(operand, columns));
    found
}

/// As [`replace_columns`], also in the plans of subqueries.
fn replace_everywhere(expression: &mut Expression, replacements: &Replacements) -> Result<()> {
    replace_columns(expression, replacements)?;
    in_subqueries(expression, replacements)
}

fn in_subqueries(expression: &mut Expression, replacements: &Replacements) -> Result<()> {
    if let Expression::Subquery(subquery) = expression {
        in_plan(&mut subquery.plan, replacements)?;
    }
    expression.each_operand_mut(&mut |operand| in_subqueries(operand, replacements))
}

fn in_plan(plan: &mut LogicalPlan, replacements: &Replacements) -> Result<()> {
    plan.each_own_expression_mut(&mut |expression| replace_everywhere(expression, replacements))?;
    plan.inputs_mut().into_iter().try_for_each(|input| in_plan(input, replacements))
}

fn not_here(expression: &Expression) -> Error {
    fn position(expression: &Expression) -> Option<usize> {
        if let Expression::Subquery(subquery) = expression {
            return Some(subquery.position);
        }
        let mut found = None;
        expression.each_operand(&mut |operand| found = found.or_else(|| position(operand)));
        found
    }
    let error = Error::not_supported("a subquery that uses outer columns here");
    match position(expression) {
        Some(position) => error.at(position),
        None => error,
    }
}

//! Expressions that choose: CASE, COALESCE, NULLIF, GREATEST, LEAST, BETWEEN, IN, LIKE.

use crate::error::{Error, Result};
use crate::sql::ast::expression::{Between, Case, Expr, Like, LikeKind};
use crate::sql::binder::binder::{Binder, null_constant};
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::overload::common_type;
use crate::sql::binder::scope::{Context, column_expression};
use crate::sql::binder::select::one_row;
use crate::sql::binder::subquery::row_fields;
use crate::sql::binder::walk;
use crate::sql::functions::registry::Registry;
use crate::sql::plan::expression::{Expression, OutputColumn, Subquery, SubqueryForm};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::compare::compare;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;
use std::cmp::Ordering;
use std::sync::Arc;

/// An operand that is computed once for several uses.
struct Held {
    expression: Expression,
    column: OutputColumn,
}

impl Binder<'_> {
    /// A copy of a bound operand.
    pub(super) fn duplicate_bound(&mut self, bound: &Bound) -> Result<Box<Bound>> {
        let expression = self.duplicate(&bound.expression, bound.position)?;
        Ok(Bound::new(expression, bound.sql_type, bound.nullable, bound.position))
    }

    /// Makes an operand that a construct uses several times, and that differs each time, a column that holds one
    /// value of it: [`Binder::release`] puts what computes it around the construct.
    #[inline(never)]
    fn hold(&mut self, operand: Box<Bound>, context: &Context) -> (Box<Bound>, Option<Box<Held>>) {
        // Stored expressions are evaluated without a plan.
        if context.place.is_stored() || !walk::is_volatile(&operand.expression) {
            return (operand, None);
        }
        let column = self.new_column("operand", operand.sql_type, operand.nullable);
        let value = column_expression(&column);
        let bound = Bound::new(value, operand.sql_type, operand.nullable, operand.position);
        (bound, Some(Box::new(Held { expression: operand.expression, column })))
    }

    /// Undoes [`Binder::hold`] around a construct.
    #[inline(never)]
    fn release(&mut self, held: Option<Box<Held>>, mut result: Box<Bound>) -> Box<Bound> {
        let Some(held) = held else { return result };
        let Held { expression, column } = *held;
        let output = self.new_column("?column?", result.sql_type, result.nullable);
        let input = Box::new(LogicalPlan::Project {
            input: one_row(),
            expressions: vec![expression],
            columns: vec![column],
        });
        let value = std::mem::replace(&mut result.expression, null_constant(DataType::Unknown));
        let plan = LogicalPlan::Project { input, expressions: vec![value], columns: vec![output] };
        let form = SubqueryForm::Scalar { data_type: result.data_type() };
        let position = result.position;
        result.expression = Expression::Subquery(Box::new(Subquery { form, plan, position }));
        result
    }

    pub(super) fn bind_case(
        &mut self,
        case: &Case<'_>,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let (operand, held) = match &case.operand {
            Some(operand) => {
                let operand = self.bind(operand, context)?;
                let operand = self.default_to_text(operand)?;
                let (operand, held) = self.hold(operand, context);
                (Some(operand), held)
            }
            None => (None, None),
        };
        let mut conditions = Vec::with_capacity(case.branches.len());
        // ELSE is first, because PostgreSQL looks for the common type in this order.
        let mut results = Vec::with_capacity(case.branches.len() + 1);
        results.push(match &case.otherwise {
            Some(otherwise) => self.bind(otherwise, context)?,
            None => Bound::constant(Datum::Null, DataType::Unknown, position),
        });
        for (condition, result) in case.branches {
            conditions.push(match &operand {
                None => self.bind_condition(condition, "CASE/WHEN", context)?,
                Some(operand) => {
                    let value = self.bind(condition, context)?;
                    let operand = self.duplicate_bound(operand)?;
                    let place = value.position;
                    self.binary_operator("=", operand, value, place)?
                }
            });
            results.push(self.bind(result, context)?);
        }
        let bound = self.finish_case(conditions, results, position)?;
        Ok(self.release(held, bound))
    }

    #[inline(never)]
    fn finish_case(
        &mut self,
        conditions: Vec<Box<Bound>>,
        results: Vec<Box<Bound>>,
        position: usize,
    ) -> Result<Box<Bound>> {
        let (results, sql_type) = self.coerce_to_common_type(results, "CASE")?;
        let nullable = results.iter().any(|result| result.nullable);
        let mut results = results.into_iter();
        let otherwise = results.next().map(|otherwise| otherwise.expression);
        let branches = conditions
            .into_iter()
            .zip(results)
            .map(|(condition, result)| (condition.expression, result.expression))
            .collect();
        let otherwise =
            otherwise.filter(|one| !matches!(one, Expression::Constant { value, .. } if value.is_null()));
        let data_type = sql_type.data_type;
        let expression = Expression::Case { branches, otherwise: otherwise.map(Box::new), data_type };
        Ok(Bound::new(expression, sql_type, nullable, position))
    }

    pub(super) fn bind_coalesce(
        &mut self,
        arguments: &[Expr<'_>],
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let arguments = self.bind_all(arguments, context)?;
        let (arguments, sql_type) = self.coerce_to_common_type(arguments, "COALESCE")?;
        let nullable = arguments.iter().all(|argument| argument.nullable);
        let arguments = arguments.into_iter().map(|argument| argument.expression).collect();
        let expression = Expression::Coalesce { arguments, data_type: sql_type.data_type };
        Ok(Bound::new(expression, sql_type, nullable, position))
    }

    pub(super) fn bind_null_if(
        &mut self,
        arguments: &[Expr<'_>; 2],
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let left = self.bind(&arguments[0], context)?;
        let right = self.bind(&arguments[1], context)?;
        let (left, held) = self.hold(left, context);
        let bound = self.finish_null_if(left, right, position)?;
        Ok(self.release(held, bound))
    }

    #[inline(never)]
    fn finish_null_if(&mut self, left: Box<Bound>, right: Box<Bound>, position: usize) -> Result<Box<Bound>> {
        let equal = self.find_operator("=", &[left.data_type(), right.data_type()], position)?;
        // The result is the first argument as it is compared. PostgreSQL compares numbers of different sizes as
        // they are, where this registry widens them first: that must not show in the result's type.
        let compared_as = equal.arguments[0];
        let is_whole = |data_type: DataType| {
            matches!(data_type, DataType::SmallInt | DataType::Integer | DataType::BigInt)
        };
        let left = match left.data_type() {
            DataType::Unknown | DataType::Numeric => self.coerce_implicitly(left, compared_as)?,
            whole if is_whole(whole) && !is_whole(compared_as) => {
                self.coerce_implicitly(left, compared_as)?
            }
            _ => left,
        };
        let right = self.coerce_implicitly(right, equal.arguments[1])?;
        let compared = [self.duplicate_bound(&left)?, self.duplicate_bound(&right)?];
        let equal = self.apply(equal, compared.into(), position, position)?;
        let sql_type = left.sql_type;
        let expression = Expression::NullIf {
            left: Box::new(left.expression),
            right: Box::new(right.expression),
            equal: Box::new(equal.expression),
        };
        Ok(Bound::new(expression, sql_type, true, position))
    }

    pub(super) fn bind_extreme(
        &mut self,
        name: &'static str,
        arguments: &[Expr<'_>],
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let arguments = self.bind_all(arguments, context)?;
        self.finish_extreme(name, arguments, position)
    }

    #[inline(never)]
    pub(super) fn finish_extreme(
        &mut self,
        name: &'static str,
        arguments: Vec<Box<Bound>>,
        position: usize,
    ) -> Result<Box<Bound>> {
        let (arguments, sql_type) = self.coerce_to_common_type(arguments, &name.to_ascii_uppercase())?;
        let wanted = sql_type.data_type;
        let overloads = Registry::get().scalar(name).iter().copied();
        let takes =
            |one: DataType| overloads.clone().find(|function| function.arguments.first() == Some(&one));
        let Some(function) = takes(wanted).or_else(|| takes(DataType::Text).filter(|_| wanted.is_string()))
        else {
            return self.extreme_as_case(name, arguments, sql_type, position);
        };
        let nullable = arguments.iter().all(|argument| argument.nullable);
        let mut call = self.apply(function, arguments, position, position)?;
        call.nullable = nullable;
        if call.data_type() != wanted {
            call = self.coerce_explicitly(call, wanted.into(), position)?;
        }
        call.sql_type = sql_type;
        Ok(call)
    }

    /// The first argument that is not NULL and that no later one beats.
    fn extreme_as_case(
        &mut self,
        name: &str,
        arguments: Vec<Box<Bound>>,
        sql_type: SqlType,
        position: usize,
    ) -> Result<Box<Bound>> {
        let symbol = if name == "greatest" { ">=" } else { "<=" };
        let mut branches = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate().take(arguments.len() - 1) {
            let input = Box::new(self.duplicate(&argument.expression, position)?);
            let mut terms = vec![Expression::IsNull { input, negated: true }];
            for other in &arguments[index + 1..] {
                let input = Box::new(self.duplicate(&other.expression, position)?);
                let (left, right) = (self.duplicate_bound(argument)?, self.duplicate_bound(other)?);
                let beats = self.binary_operator(symbol, left, right, position)?;
                terms.push(Expression::Or(vec![
                    Expression::IsNull { input, negated: false },
                    beats.expression,
                ]));
            }
            branches.push((Expression::And(terms), self.duplicate(&argument.expression, position)?));
        }
        let nullable = arguments.iter().all(|argument| argument.nullable);
        let mut arguments = arguments;
        let Some(last) = arguments.pop() else {
            return Err(Error::internal("GREATEST and LEAST have an argument"));
        };
        if branches.is_empty() {
            return Ok(last);
        }
        let otherwise = Some(Box::new(last.expression));
        let expression = Expression::Case { branches, otherwise, data_type: sql_type.data_type };
        Ok(Bound::new(expression, sql_type, nullable, position))
    }

    pub(super) fn bind_between(
        &mut self,
        between: &Between<'_>,
        start: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        if row_fields(&between.input).is_some() {
            return self.bind_row_between(between, start, context);
        }
        let input = self.bind(&between.input, context)?;
        let lower = self.bind(&between.lower, context)?;
        let upper = self.bind(&between.upper, context)?;
        let (input, held) = self.hold(input, context);
        let bound = self.finish_between(between, [input, lower, upper], start)?;
        Ok(self.release(held, bound))
    }

    #[inline(never)]
    fn finish_between(
        &mut self,
        between: &Between<'_>,
        [input, lower, upper]: [Box<Bound>; 3],
        start: usize,
    ) -> Result<Box<Bound>> {
        let place = between.span.position();
        if between.symmetric {
            let copies =
                [self.duplicate_bound(&input)?, self.duplicate_bound(&lower)?, self.duplicate_bound(&upper)?];
            let forward = self.range(between.negated, [input, lower, upper], place, start)?;
            let [input, lower, upper] = copies;
            let backward = self.range(between.negated, [input, upper, lower], place, start)?;
            let nullable = forward.nullable || backward.nullable;
            let both = vec![forward.expression, backward.expression];
            let expression = if between.negated { Expression::And(both) } else { Expression::Or(both) };
            return Ok(Bound::new(expression, DataType::Boolean, nullable, start));
        }
        self.range(between.negated, [input, lower, upper], place, start)
    }

    fn range(
        &mut self,
        negated: bool,
        [input, lower, upper]: [Box<Bound>; 3],
        place: usize,
        start: usize,
    ) -> Result<Box<Bound>> {
        let copy = self.duplicate_bound(&input)?;
        let (above, below) = if negated { ("<", ">") } else { (">=", "<=") };
        let above = self.binary_operator(above, input, lower, place)?;
        let below = self.binary_operator(below, copy, upper, place)?;
        let nullable = above.nullable || below.nullable;
        let both = vec![above.expression, below.expression];
        let expression = if negated { Expression::Or(both) } else { Expression::And(both) };
        Ok(Bound::new(expression, DataType::Boolean, nullable, start))
    }

    pub(super) fn bind_like(
        &mut self,
        like: &Like<'_>,
        start: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let position = like.span.position();
        let symbol = match (like.kind, like.negated) {
            (LikeKind::Like, false) => "~~",
            (LikeKind::Like, true) => "!~~",
            (LikeKind::CaseInsensitive, false) => "~~*",
            (LikeKind::CaseInsensitive, true) => "!~~*",
            (LikeKind::SimilarTo, false) => "~",
            (LikeKind::SimilarTo, true) => "!~",
        };
        let input = self.bind(&like.input, context)?;
        let pattern = self.bind(&like.pattern, context)?;
        let mut arguments = vec![pattern];
        if let Some(escape) = &like.escape {
            arguments.push(self.bind(escape, context)?);
        }
        let pattern = if like.kind == LikeKind::SimilarTo {
            self.call_named("similar_to_escape", arguments, position)?
        } else if arguments.len() > 1 {
            self.call_named("like_escape", arguments, position)?
        } else {
            arguments.remove(0)
        };
        let mut bound = self.binary_operator(symbol, input, pattern, position)?;
        bound.position = start;
        Ok(bound)
    }

    pub(super) fn bind_in_list(
        &mut self,
        input: &Expr<'_>,
        list: &[Expr<'_>],
        negated: bool,
        start: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        if let Some(fields) = row_fields(input) {
            return self.bind_row_in_list(fields, list, negated, start, context);
        }
        let input = self.bind(input, context)?;
        let list = self.bind_all(list, context)?;
        let (input, held) = self.hold(input, context);
        let bound = self.finish_in_list(input, list, negated, start)?;
        Ok(self.release(held, bound))
    }

    /// Values without columns are compared as one type; what is constant goes into one set, the rest is compared
    /// one by one.
    #[inline(never)]
    fn finish_in_list(
        &mut self,
        mut input: Box<Bound>,
        list: Vec<Box<Bound>>,
        negated: bool,
        start: usize,
    ) -> Result<Box<Bound>> {
        let (mut fixed, mut varying) = (Vec::new(), Vec::new());
        for value in list {
            let is_varying = walk::has_columns(&value.expression);
            if is_varying { &mut varying } else { &mut fixed }.push(value);
        }
        let common = common_type(
            std::iter::once(input.data_type()).chain(fixed.iter().map(|value| value.data_type())),
        );
        let mut terms = Vec::new();
        let mut nullable = true;
        match common {
            Ok(common) if fixed.len() > 1 => {
                let all_unknown = input.data_type() == DataType::Unknown
                    && fixed.iter().all(|value| value.data_type() == DataType::Unknown);
                let other = if all_unknown { DataType::Unknown } else { common };
                let equal = self.find_operator("=", &[input.data_type(), other], start)?;
                let (mut input_type, mut value_type) = (equal.arguments[0], equal.arguments[1]);
                if input_type != value_type {
                    // A set holds one type: the common one, which both sides convert to without loss.
                    let equal = self.find_operator("=", &[common, common], start)?;
                    (input_type, value_type) = (equal.arguments[0], equal.arguments[1]);
                }
                let (set, rest) = self.split_constants(fixed, common, value_type)?;
                input = self.coerce_implicitly(input, input_type)?;
                nullable = input.nullable || set.iter().chain(&rest).any(|value| value.nullable);
                varying.splice(0..0, rest);
                if !set.is_empty() {
                    terms.push(self.in_set(&input, set, value_type, negated)?);
                }
            }
            _ => {
                fixed.append(&mut varying);
                varying = fixed;
            }
        }
        for value in varying {
            let operand = self.duplicate_bound(&input)?;
            let place = value.position;
            let symbol = if negated { "<>" } else { "=" };
            terms.push(self.binary_operator(symbol, operand, value, place)?.expression);
        }
        let expression = match (terms.len(), negated) {
            (1, _) => terms.remove(0),
            (_, false) => Expression::Or(terms),
            (_, true) => Expression::And(terms),
        };
        Ok(Bound::new(expression, DataType::Boolean, nullable, start))
    }

    /// Converts the values of an IN list and parts constants from what is only known at run time.
    #[expect(clippy::type_complexity, reason = "two lists of the same")]
    fn split_constants(
        &mut self,
        values: Vec<Box<Bound>>,
        common: DataType,
        value_type: DataType,
    ) -> Result<(Vec<Box<Bound>>, Vec<Box<Bound>>)> {
        let (mut set, mut rest) = (Vec::with_capacity(values.len()), Vec::new());
        for value in values {
            let value = self.coerce_implicitly(value, common)?;
            let value = self.coerce_implicitly(value, value_type)?;
            let is_constant = matches!(value.expression, Expression::Constant { .. });
            if is_constant { &mut set } else { &mut rest }.push(value);
        }
        Ok((set, rest))
    }

    fn in_set(
        &mut self,
        input: &Bound,
        set: Vec<Box<Bound>>,
        value_type: DataType,
        negated: bool,
    ) -> Result<Expression> {
        let mut values = Vec::with_capacity(set.len());
        let mut has_null = false;
        for value in set {
            match value.expression {
                Expression::Constant { value, .. } if value.is_null() => has_null = true,
                Expression::Constant { value, .. } => values.push(value),
                _ => return Err(Error::internal("only constants go into a set")),
            }
        }
        values.sort_by(|a, b| compare(a.as_ref(), b.as_ref(), value_type));
        values.dedup_by(|a, b| compare(a.as_ref(), b.as_ref(), value_type) == Ordering::Equal);
        let input = Box::new(self.duplicate(&input.expression, input.position)?);
        Ok(Expression::InSet { input, values: Arc::new(values), has_null, negated })
    }
}

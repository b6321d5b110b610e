//! Queries inside expressions, and rows of values, which mostly stand beside them.
//!
//! A row value is never a value of its own here: where rows are compared or tested, their fields are.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::expression::{Between, Expr, ExprKind, Quantified, QuantifiedRight};
use crate::sql::ast::query::Query;
use crate::sql::binder::binder::Binder;
use crate::sql::binder::coercion::Bound;
use crate::sql::binder::expression::wrap;
use crate::sql::binder::query::BoundQuery;
use crate::sql::binder::scope::{Context, Place, column_expression};
use crate::sql::plan::expression::{Expression, Subquery, SubqueryForm};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::data_type::DataType;

/// Whether `symbol` compares, and so may stand between rows.
pub(super) fn is_comparison(symbol: &str) -> bool {
    matches!(symbol, "=" | "<>" | "<" | "<=" | ">" | ">=")
}

/// The fields of a row value.
pub(super) fn row_fields<'e, 'a>(expr: &'e Expr<'a>) -> Option<&'e [Expr<'a>]> {
    match &expr.kind {
        ExprKind::Row(fields) => Some(fields),
        _ => None,
    }
}

impl Binder<'_> {
    /// A query whose value is that of its only column in its only row.
    #[inline(never)]
    pub(super) fn bind_scalar_query(
        &mut self,
        query: &Query<'_>,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        check_place(context.place, position)?;
        let BoundQuery { plan, columns, .. } = self.bind_inner_query(query, context)?;
        let [column] = columns.as_slice() else {
            return Err(
                Error::new(SqlState::SYNTAX_ERROR, "subquery must return only one column").at(position)
            );
        };
        let form = SubqueryForm::Scalar { data_type: column.sql_type.data_type };
        let subquery = Expression::Subquery(Box::new(Subquery { form, plan: *plan, position }));
        Ok(Bound::new(subquery, column.sql_type, true, position))
    }

    #[inline(never)]
    pub(super) fn bind_exists(
        &mut self,
        query: &Query<'_>,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        check_place(context.place, position)?;
        let bound = self.bind_inner_query(query, context)?;
        let subquery = Subquery { form: SubqueryForm::Exists, plan: *bound.plan, position };
        let subquery = Expression::Subquery(Box::new(subquery));
        Ok(Bound::new(subquery, DataType::Boolean, false, position))
    }

    /// `input [NOT] IN (query)`.
    pub(super) fn bind_in_query(
        &mut self,
        input: &Expr<'_>,
        query: &Query<'_>,
        negated: bool,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let left = self.bind_row(input, context)?;
        self.bind_any(left, "=", query, position, context, Negation { test: false, result: negated })
    }

    /// `left operator ANY | ALL (query)`.
    pub(super) fn bind_quantified(
        &mut self,
        quantified: &Quantified<'_>,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let operator = &quantified.operator;
        match &quantified.right {
            QuantifiedRight::Query(query) => {
                let left = self.bind_row(&quantified.left, context)?;
                // True for all rows is: false for none.
                let negation = Negation { test: quantified.all, result: quantified.all };
                self.bind_any(left, operator.symbol, query, operator.span.position(), context, negation)
            }
            QuantifiedRight::Array(array) => match &array.kind {
                // An array that is written out needs no array.
                ExprKind::Array(elements) if !elements.is_empty() => {
                    let left = self.bind(&quantified.left, context)?;
                    let elements = self.bind_all(elements, context)?;
                    let (elements, _) = self.coerce_to_common_type(elements, "ARRAY")?;
                    let mut terms = Vec::with_capacity(elements.len());
                    for element in elements {
                        let left = self.duplicate_bound(&left)?;
                        let place = operator.span.position();
                        let term = self.binary_operator(operator.symbol, left, element, place)?;
                        terms.push(self.coerce_to_boolean(term, "ANY")?.expression);
                    }
                    let expression = match (terms.len(), quantified.all) {
                        (1, _) => terms.remove(0),
                        (_, true) => Expression::And(terms),
                        (_, false) => Expression::Or(terms),
                    };
                    Ok(Bound::new(expression, DataType::Boolean, true, position))
                }
                _ => Err(Error::not_supported("a comparison with ANY or ALL of an array").at(position)),
            },
        }
    }

    /// A row's fields, or the one value of anything else.
    fn bind_row(&mut self, expr: &Expr<'_>, context: &mut Context) -> Result<Vec<Box<Bound>>> {
        match row_fields(expr) {
            Some(fields) => self.bind_all(fields, context),
            None => Ok(vec![self.bind(expr, context)?]),
        }
    }

    /// Whether `left symbol row` is true for some row of the query.
    #[inline(never)]
    fn bind_any(
        &mut self,
        left: Vec<Box<Bound>>,
        symbol: &str,
        query: &Query<'_>,
        position: usize,
        context: &mut Context,
        negation: Negation,
    ) -> Result<Box<Bound>> {
        check_place(context.place, position)?;
        let BoundQuery { plan, columns, .. } = self.bind_inner_query(query, context)?;
        check_column_count(columns.len(), left.len(), position)?;
        let column = |column| {
            let column: &crate::sql::plan::expression::OutputColumn = column;
            Bound::new(column_expression(column), column.sql_type, column.nullable, position)
        };
        let right = columns.iter().map(column).collect();
        let mut test = self.compare_rows(symbol, left, right, position)?;
        if test.data_type() != DataType::Boolean {
            let message = format!(
                "row comparison operator must yield type boolean, not type {}",
                test.data_type().name()
            );
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, message).at(position));
        }
        if negation.test {
            wrap(&mut test, Expression::Not);
        }
        let nullable = test.nullable;
        let form = SubqueryForm::Any { test: test.expression };
        let mut result = Expression::Subquery(Box::new(Subquery { form, plan: *plan, position }));
        if negation.result {
            result = Expression::Not(Box::new(result));
        }
        Ok(Bound::new(result, DataType::Boolean, nullable, position))
    }

    /// `row symbol (query)`: NULL without a row, an error with more rows than one.
    #[inline(never)]
    pub(super) fn bind_row_query(
        &mut self,
        symbol: &str,
        left: &[Expr<'_>],
        query: &Query<'_>,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        check_place(context.place, position)?;
        let left = self.bind_all(left, context)?;
        let BoundQuery { plan, columns, .. } = self.bind_inner_query(query, context)?;
        check_column_count(columns.len(), left.len(), position)?;
        let right = columns
            .iter()
            .map(|column| Bound::new(column_expression(column), column.sql_type, column.nullable, position))
            .collect();
        let test = self.compare_rows(symbol, left, right, position)?;
        let output = self.new_column("?column?", DataType::Boolean, true);
        let plan =
            LogicalPlan::Project { input: plan, expressions: vec![test.expression], columns: vec![output] };
        let form = SubqueryForm::Scalar { data_type: DataType::Boolean };
        let subquery = Expression::Subquery(Box::new(Subquery { form, plan, position }));
        Ok(Bound::new(subquery, DataType::Boolean, true, position))
    }

    /// Compares rows field by field: `=` all are equal, `<>` some differ, else the first that differ decide.
    pub(super) fn compare_rows(
        &mut self,
        symbol: &str,
        left: Vec<Box<Bound>>,
        right: Vec<Box<Bound>>,
        position: usize,
    ) -> Result<Box<Bound>> {
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let start = match left.first() {
            Some(first) => first.position,
            None => return Err(Error::not_supported("a comparison of rows without fields").at(position)),
        };
        if left.len() == 1 {
            let mut pair = left.into_iter().zip(right);
            let (left, right) = pair.next().expect("there is one pair");
            return self.binary_operator(symbol, left, right, position);
        }
        if matches!(symbol, "=" | "<>") {
            let mut terms = Vec::with_capacity(left.len());
            let mut nullable = false;
            for (left, right) in left.into_iter().zip(right) {
                let term = self.binary_operator(symbol, left, right, position)?;
                nullable = nullable || term.nullable;
                terms.push(term.expression);
            }
            let expression = if symbol == "=" { Expression::And(terms) } else { Expression::Or(terms) };
            return Ok(Bound::new(expression, DataType::Boolean, nullable, start));
        }
        if !is_comparison(symbol) {
            let message = format!("could not determine interpretation of row comparison operator {symbol}");
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                .hint("Row comparison operators must be associated with btree operator families.")
                .at(position));
        }
        let strict = &symbol[..1];
        let mut decided: Option<Expression> = None;
        for (left, right) in left.into_iter().zip(right).rev() {
            decided = Some(match decided {
                None => self.binary_operator(symbol, left, right, position)?.expression,
                Some(rest) => {
                    let copies = (self.duplicate_bound(&left)?, self.duplicate_bound(&right)?);
                    let differs = self.binary_operator(strict, left, right, position)?.expression;
                    let equals = self.binary_operator("=", copies.0, copies.1, position)?.expression;
                    Expression::Or(vec![differs, Expression::And(vec![equals, rest])])
                }
            });
        }
        let expression = decided.expect("there are fields");
        Ok(Bound::new(expression, DataType::Boolean, true, start))
    }

    /// `row IS [NOT] NULL`: whether all fields are, or none is.
    pub(super) fn bind_row_is_null(
        &mut self,
        fields: &[Expr<'_>],
        negated: bool,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let mut terms = Vec::with_capacity(fields.len());
        for field in fields {
            let field = self.bind(field, context)?;
            let field = self.default_to_text(field)?;
            terms.push(Expression::IsNull { input: Box::new(field.expression), negated });
        }
        let expression = match terms.len() {
            0 | 1 => match terms.pop() {
                Some(only) => only,
                None => return Err(Error::not_supported("a row without fields").at(position)),
            },
            _ => Expression::And(terms),
        };
        Ok(Bound::new(expression, DataType::Boolean, false, position))
    }

    /// `row IS [NOT] DISTINCT FROM row`.
    pub(super) fn bind_row_is_distinct(
        &mut self,
        left: &[Expr<'_>],
        right: &[Expr<'_>],
        negated: bool,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        if left.len() != right.len() || left.is_empty() {
            let message = "unequal number of entries in row expressions";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let left = self.bind_all(left, context)?;
        let right = self.bind_all(right, context)?;
        let mut terms = Vec::with_capacity(left.len());
        for (left, right) in left.into_iter().zip(right) {
            let (left, right) = self.make_equal_types(left, right, position)?;
            let (left, right) = (Box::new(left.expression), Box::new(right.expression));
            terms.push(Expression::IsDistinct { left, right, negated });
        }
        let expression = match (terms.len(), negated) {
            (1, _) => terms.remove(0),
            (_, true) => Expression::And(terms),
            (_, false) => Expression::Or(terms),
        };
        Ok(Bound::new(expression, DataType::Boolean, false, position))
    }

    /// `row [NOT] BETWEEN row AND row`.
    pub(super) fn bind_row_between(
        &mut self,
        between: &Between<'_>,
        start: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let position = between.span.position();
        let row = |expr| row_fields(expr).ok_or_else(|| Error::not_supported("a row value").at(position));
        let input = self.bind_all(row(&between.input)?, context)?;
        let lower = self.bind_all(row(&between.lower)?, context)?;
        let upper = self.bind_all(row(&between.upper)?, context)?;
        if !between.symmetric {
            let expression = self.row_range(between.negated, [input, lower, upper], position)?;
            return Ok(Bound::new(expression, DataType::Boolean, true, start));
        }
        let copies = [self.duplicate_row(&input)?, self.duplicate_row(&upper)?, self.duplicate_row(&lower)?];
        let forward = self.row_range(between.negated, [input, lower, upper], position)?;
        let backward = self.row_range(between.negated, copies, position)?;
        let both = vec![forward, backward];
        let expression = if between.negated { Expression::And(both) } else { Expression::Or(both) };
        Ok(Bound::new(expression, DataType::Boolean, true, start))
    }

    fn duplicate_row(&mut self, row: &[Box<Bound>]) -> Result<Vec<Box<Bound>>> {
        row.iter().map(|field| self.duplicate_bound(field)).collect()
    }

    /// Whether a row is between two others, or is not.
    fn row_range(
        &mut self,
        negated: bool,
        [input, lower, upper]: [Vec<Box<Bound>>; 3],
        position: usize,
    ) -> Result<Expression> {
        let copy = self.duplicate_row(&input)?;
        let (above, below) = if negated { ("<", ">") } else { (">=", "<=") };
        let above = self.compare_rows(above, input, lower, position)?;
        let below = self.compare_rows(below, copy, upper, position)?;
        let both = vec![above.expression, below.expression];
        Ok(if negated { Expression::Or(both) } else { Expression::And(both) })
    }

    /// `row [NOT] IN (row, …)`.
    pub(super) fn bind_row_in_list(
        &mut self,
        fields: &[Expr<'_>],
        list: &[Expr<'_>],
        negated: bool,
        position: usize,
        context: &mut Context,
    ) -> Result<Box<Bound>> {
        let left = self.bind_all(fields, context)?;
        let mut terms = Vec::with_capacity(list.len());
        for element in list {
            let place = element.span.position();
            let right = match &element.kind {
                ExprKind::Row(fields) => self.bind_all(fields, context)?,
                _ => {
                    let message = "unequal number of entries in row expressions";
                    return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(place));
                }
            };
            let mut copies = Vec::with_capacity(left.len());
            for field in &left {
                copies.push(self.duplicate_bound(field)?);
            }
            terms.push(self.compare_rows("=", copies, right, place)?.expression);
        }
        let mut expression = if terms.len() == 1 { terms.remove(0) } else { Expression::Or(terms) };
        if negated {
            expression = Expression::Not(Box::new(expression));
        }
        Ok(Bound::new(expression, DataType::Boolean, true, position))
    }
}

/// What of an ANY is negated.
#[derive(Clone, Copy)]
struct Negation {
    test: bool,
    result: bool,
}

fn check_column_count(columns: usize, wanted: usize, position: usize) -> Result<()> {
    let message = match columns.cmp(&wanted) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Greater => "subquery has too many columns",
        std::cmp::Ordering::Less => "subquery has too few columns",
    };
    Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position))
}

fn check_place(place: Place, position: usize) -> Result<()> {
    let message = match place {
        Place::Default => "cannot use subquery in DEFAULT expression",
        Place::Check => "cannot use subquery in check constraint",
        Place::IndexExpression => "cannot use subquery in index expression",
        Place::IndexPredicate => "cannot use subquery in index predicate",
        Place::ExecuteArgument => "cannot use subquery in EXECUTE parameter",
        Place::CopyFilter => "cannot use subquery in COPY FROM WHERE condition",
        _ => return Ok(()),
    };
    Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position))
}

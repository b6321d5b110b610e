//! Typed expressions, as the binder makes them and the evaluator runs them.

use crate::error::Result;
use crate::sql::functions::registry::{AggregateFunction, ScalarFunction};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::Datum;
use std::sync::Arc;

/// A column of a logical plan, numbered once per statement by the binder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ColumnId(pub u32);

/// A column that a plan node puts out.
#[derive(Clone, Debug)]
pub struct OutputColumn {
    /// Its number.
    pub id: ColumnId,
    /// Its name, as the user sees it.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// The table column it is, unchanged: (table object id, position from 1); for clients' metadata.
    pub origin: Option<(u32, u32)>,
}

/// A typed expression. `position` fields are byte offsets in the SQL text, for errors at run time.
#[derive(Clone, Debug)]
pub enum Expression {
    /// A value.
    Constant {
        /// The value; NULL keeps its type beside it.
        value: Datum,
        /// Its type.
        data_type: DataType,
    },
    /// A column by number: only in logical plans.
    Column {
        /// Which.
        id: ColumnId,
        /// Its type.
        data_type: DataType,
    },
    /// A column of the input batch or row, by position: only in physical plans.
    Input {
        /// Position in the input.
        index: usize,
        /// Its type.
        data_type: DataType,
    },
    /// `$n`, from 0.
    Parameter {
        /// Position, from 0.
        index: usize,
        /// The type the binder inferred; values are converted to it before the plan runs.
        data_type: DataType,
    },
    /// A function or operator. Arguments have exactly the function's types.
    Call {
        /// From the registry.
        function: &'static ScalarFunction,
        /// Arguments.
        arguments: Vec<Expression>,
        /// Where the operator or the function's name stands.
        position: usize,
    },
    /// A conversion to a type with modifier, by `sql::types::cast`.
    Cast {
        /// What is converted.
        input: Box<Expression>,
        /// To what.
        target: SqlType,
        /// An explicit cast truncates varchar and char, an assignment refuses with 22001.
        explicit: bool,
        /// Where it stands.
        position: usize,
    },
    /// AND over two or more operands, three-valued; flat, so 10,000 terms are no recursion.
    And(Vec<Expression>),
    /// OR over two or more operands.
    Or(Vec<Expression>),
    /// NOT.
    Not(Box<Expression>),
    /// `IS NULL`; with `negated`, `IS NOT NULL`.
    IsNull {
        /// What is tested.
        input: Box<Expression>,
        /// NOT.
        negated: bool,
    },
    /// `IS [NOT] TRUE | FALSE`: never NULL. (`IS UNKNOWN` is `IsNull`.)
    IsTruth {
        /// A boolean.
        input: Box<Expression>,
        /// What it is compared with.
        truth: bool,
        /// NOT.
        negated: bool,
    },
    /// `IS [NOT] DISTINCT FROM`: equality that treats NULL as a value. Both sides have one type.
    IsDistinct {
        /// Left side.
        left: Box<Expression>,
        /// Right side.
        right: Box<Expression>,
        /// NOT.
        negated: bool,
    },
    /// Searched CASE; the simple form is bound into it. Branches are evaluated only where they are chosen.
    Case {
        /// Conditions with results, in order.
        branches: Vec<(Expression, Expression)>,
        /// ELSE; NULL when absent.
        otherwise: Option<Box<Expression>>,
        /// Type of the result.
        data_type: DataType,
    },
    /// First argument that is not NULL; later ones are evaluated only where needed.
    Coalesce {
        /// Arguments of one type.
        arguments: Vec<Expression>,
        /// Type of the result.
        data_type: DataType,
    },
    /// `NULLIF(left, right)`: NULL where `equal(left, right)`.
    NullIf {
        /// Result when not equal.
        left: Box<Expression>,
        /// Compared with.
        right: Box<Expression>,
        /// Equality of the two types; its arguments are `left` and `right` after implicit casts.
        equal: Box<Expression>,
    },
    /// `input IN (constants)`, all of one type without NULLs: looked up in a set made once.
    InSet {
        /// What is looked for.
        input: Box<Expression>,
        /// The values, sorted by the type's order, without duplicates.
        values: Arc<Vec<Datum>>,
        /// Whether a NULL stood in the list: then "not found" is NULL.
        has_null: bool,
        /// NOT IN.
        negated: bool,
    },
    /// A query inside an expression: only in logical plans, and only until the optimizer has turned it into a join
    /// or a value that is computed once.
    Subquery(Box<Subquery>),
}

/// A query inside an expression. Its plan may use columns that its own inputs do not put out: those of the rows
/// that the expression is evaluated for, or of queries further out (it is then correlated).
#[derive(Clone, Debug)]
pub struct Subquery {
    /// What its rows become.
    pub form: SubqueryForm,
    /// The query.
    pub plan: LogicalPlan,
    /// Where it stands.
    pub position: usize,
}

/// What becomes of the rows of a query inside an expression.
#[derive(Clone, Debug)]
pub enum SubqueryForm {
    /// The value of the only column of the only row; NULL without a row; `21000` with more rows than one.
    Scalar {
        /// Its type.
        data_type: DataType,
    },
    /// Whether there is a row: never NULL.
    Exists,
    /// Whether `test` is true for some row: three-valued, as OR over all rows (false without rows). `IN` is the test
    /// `outer = column`; `NOT IN` is NOT over it; `operator ALL` is NOT over ANY of the negated test.
    Any {
        /// A boolean over columns of the subquery and of outside.
        test: Expression,
    },
}

impl Expression {
    /// The type of its values.
    pub fn data_type(&self) -> DataType {
        match self {
            Expression::Constant { data_type, .. }
            | Expression::Column { data_type, .. }
            | Expression::Input { data_type, .. }
            | Expression::Parameter { data_type, .. }
            | Expression::Case { data_type, .. }
            | Expression::Coalesce { data_type, .. } => *data_type,
            Expression::Call { function, .. } => function.returns,
            Expression::Cast { target, .. } => target.data_type,
            Expression::NullIf { left, .. } => left.data_type(),
            Expression::Subquery(subquery) => match &subquery.form {
                SubqueryForm::Scalar { data_type } => *data_type,
                SubqueryForm::Exists | SubqueryForm::Any { .. } => DataType::Boolean,
            },
            Expression::And(_)
            | Expression::Or(_)
            | Expression::Not(_)
            | Expression::IsNull { .. }
            | Expression::IsTruth { .. }
            | Expression::IsDistinct { .. }
            | Expression::InSet { .. } => DataType::Boolean,
        }
    }

    /// Calls `visit` with each direct operand, in the order they are written. Expressions inside the plan of a
    /// subquery are not operands; the test of an ANY is.
    pub fn each_operand<'e>(&'e self, visit: &mut dyn FnMut(&'e Expression)) {
        match self {
            Expression::Constant { .. }
            | Expression::Column { .. }
            | Expression::Input { .. }
            | Expression::Parameter { .. } => {}
            Expression::Call { arguments, .. } | Expression::Coalesce { arguments, .. } => {
                arguments.iter().for_each(visit);
            }
            Expression::And(operands) | Expression::Or(operands) => operands.iter().for_each(visit),
            Expression::Cast { input, .. }
            | Expression::Not(input)
            | Expression::IsNull { input, .. }
            | Expression::IsTruth { input, .. }
            | Expression::InSet { input, .. } => visit(input),
            Expression::IsDistinct { left, right, .. } => {
                visit(left);
                visit(right);
            }
            Expression::NullIf { left, right, equal } => {
                visit(left);
                visit(right);
                visit(equal);
            }
            Expression::Case { branches, otherwise, .. } => {
                for (condition, result) in branches {
                    visit(condition);
                    visit(result);
                }
                if let Some(otherwise) = otherwise {
                    visit(otherwise);
                }
            }
            Expression::Subquery(subquery) => {
                if let SubqueryForm::Any { test } = &subquery.form {
                    visit(test);
                }
            }
        }
    }

    /// [`Expression::each_operand`] for changing them; stops at the first error.
    /// # Errors
    /// What `visit` gives.
    pub fn each_operand_mut(&mut self, visit: &mut dyn FnMut(&mut Expression) -> Result<()>) -> Result<()> {
        match self {
            Expression::Constant { .. }
            | Expression::Column { .. }
            | Expression::Input { .. }
            | Expression::Parameter { .. } => Ok(()),
            Expression::Call { arguments, .. } | Expression::Coalesce { arguments, .. } => {
                arguments.iter_mut().try_for_each(visit)
            }
            Expression::And(operands) | Expression::Or(operands) => operands.iter_mut().try_for_each(visit),
            Expression::Cast { input, .. }
            | Expression::Not(input)
            | Expression::IsNull { input, .. }
            | Expression::IsTruth { input, .. }
            | Expression::InSet { input, .. } => visit(input),
            Expression::IsDistinct { left, right, .. } => {
                visit(left)?;
                visit(right)
            }
            Expression::NullIf { left, right, equal } => {
                visit(left)?;
                visit(right)?;
                visit(equal)
            }
            Expression::Case { branches, otherwise, .. } => {
                for (condition, result) in branches {
                    visit(condition)?;
                    visit(result)?;
                }
                otherwise.as_deref_mut().map_or(Ok(()), visit)
            }
            Expression::Subquery(subquery) => match &mut subquery.form {
                SubqueryForm::Any { test } => visit(test),
                SubqueryForm::Scalar { .. } | SubqueryForm::Exists => Ok(()),
            },
        }
    }
}

/// An aggregate over a group.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// From the registry.
    pub function: &'static AggregateFunction,
    /// Arguments, with exactly the function's types; empty for `count(*)`.
    pub arguments: Vec<Expression>,
    /// DISTINCT.
    pub distinct: bool,
    /// FILTER (WHERE …).
    pub filter: Option<Expression>,
    /// The order in which it takes its rows; empty: that of the input.
    pub order: Vec<SortKey>,
    /// The column that holds the result.
    pub output: OutputColumn,
}

impl AggregateCall {
    /// Everything that it evaluates over its input.
    pub fn operands(&self) -> impl Iterator<Item = &Expression> {
        let order = self.order.iter().map(|key| &key.expression);
        self.arguments.iter().chain(&self.filter).chain(order)
    }

    /// [`AggregateCall::operands`] for changing them.
    pub fn operands_mut(&mut self) -> impl Iterator<Item = &mut Expression> {
        let order = self.order.iter_mut().map(|key| &mut key.expression);
        self.arguments.iter_mut().chain(&mut self.filter).chain(order)
    }
}

/// A sort key.
#[derive(Clone, Debug)]
pub struct SortKey {
    /// What is sorted by.
    pub expression: Expression,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

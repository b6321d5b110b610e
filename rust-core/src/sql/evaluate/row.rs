//! Expressions over one row: the short path, defaults, constraints, constant folding.

use crate::error::{Error, Result};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::functions::registry::ScalarFunction;
use crate::sql::plan::expression::Expression;
use crate::sql::types::cast;
use crate::sql::types::compare::{compare, equal};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::sql::types::packed;
use smallvec::SmallVec;

/// A row whose values can be borrowed.
pub trait RowSource {
    /// The value of column `index`.
    fn datum(&self, index: usize) -> DatumRef<'_>;

    /// Writes the first `count` values as a packed row ([`packed::write_row`]). Each source has its own, made for how it
    /// finds its values: one call a row instead of one a value.
    fn write_packed(&self, count: usize, room: &mut [u8], scratch: &mut Vec<u8>) -> Option<usize> {
        packed::write_row(count, |index| self.datum(index), room, scratch)
    }
}

/// Who takes result rows of the short path.
pub trait RowSink {
    /// Takes one row of `count` values.
    /// # Errors
    /// The receiver's own.
    fn row(&mut self, values: &dyn RowSource, count: usize) -> Result<()>;

    /// Takes one row where there is room for it already; `false`: there is none, and nothing was taken. Called under a
    /// page's latch: short work only.
    /// # Errors
    /// The receiver's own.
    fn offer(&mut self, values: &dyn RowSource, count: usize) -> Result<bool> {
        self.row(values, count).map(|()| true)
    }

    /// Forgets all rows: they will come again.
    fn clear(&mut self);
}

/// A row without columns, for expressions that refer to none.
#[derive(Clone, Copy, Debug)]
pub struct NoRow;

impl RowSource for NoRow {
    fn datum(&self, _index: usize) -> DatumRef<'_> {
        DatumRef::Null
    }
}

impl RowSource for [Datum] {
    fn datum(&self, index: usize) -> DatumRef<'_> {
        self[index].as_ref()
    }
}

impl RowSource for Vec<Datum> {
    fn datum(&self, index: usize) -> DatumRef<'_> {
        self[index].as_ref()
    }
}

/// A result that is borrowed from the row, the plan or the parameters where it can be.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// Points into the row, the plan or the parameters.
    Borrowed(DatumRef<'a>),
    /// A value that was computed; only long ones lie on the heap.
    Owned(Datum),
}

impl Value<'_> {
    /// Borrows the value.
    pub fn as_datum(&self) -> DatumRef<'_> {
        match self {
            Value::Borrowed(datum) => *datum,
            Value::Owned(datum) => datum.as_ref(),
        }
    }

    /// The value, copied only where it is borrowed.
    pub fn into_datum(self) -> Datum {
        match self {
            Value::Borrowed(datum) => datum.to_owned(),
            Value::Owned(datum) => datum,
        }
    }
}

/// The expression's value, owned.
/// # Errors
/// Whatever the functions raise, with the operator's position.
pub fn evaluate(
    expression: &Expression,
    row: &dyn RowSource,
    context: &EvaluationContext<'_>,
) -> Result<Datum> {
    value(expression, row, context).map(Value::into_datum)
}

/// The expression's value, borrowed where it can be: no allocation for columns, parameters and constants, nor for
/// computed values of fixed width.
/// # Errors
/// Whatever the functions raise, with the operator's position.
pub fn value<'a>(
    expression: &'a Expression,
    row: &'a dyn RowSource,
    context: &EvaluationContext<'a>,
) -> Result<Value<'a>> {
    // One small frame a level of nesting: every other arm is a function of its own.
    match expression {
        Expression::Input { index, .. } => Ok(Value::Borrowed(row.datum(*index))),
        Expression::Constant { value, .. } => Ok(Value::Borrowed(value.as_ref())),
        Expression::Parameter { index, .. } => context.parameter(*index).map(Value::Borrowed),
        Expression::Call { function, arguments, position } => match arguments.as_slice() {
            [left, right] => call_binary(function, left, right, *position, row, context),
            _ => call(function, arguments, *position, row, context),
        },
        Expression::And(operands) => logical(operands, false, row, context),
        Expression::Or(operands) => logical(operands, true, row, context),
        _ => other(expression, row, context),
    }
}

const NULL: Value<'static> = Value::Borrowed(DatumRef::Null);

fn boolean<'a>(value: bool) -> Value<'a> {
    Value::Borrowed(DatumRef::Boolean(value))
}

#[inline(never)]
fn call_binary<'a>(
    function: &'static ScalarFunction,
    left: &'a Expression,
    right: &'a Expression,
    position: usize,
    row: &'a dyn RowSource,
    context: &EvaluationContext<'a>,
) -> Result<Value<'a>> {
    let left = value(left, row, context)?;
    if function.strict && left.as_datum().is_null() {
        return Ok(NULL);
    }
    let right = value(right, row, context)?;
    if function.strict && right.as_datum().is_null() {
        return Ok(NULL);
    }
    match (function.scalar)(&[left.as_datum(), right.as_datum()], context.environment) {
        Ok(datum) => Ok(Value::Owned(datum)),
        Err(error) => Err(error.at_if_unset(position)),
    }
}

#[inline(never)]
fn call<'a>(
    function: &'static ScalarFunction,
    arguments: &'a [Expression],
    position: usize,
    row: &'a dyn RowSource,
    context: &EvaluationContext<'a>,
) -> Result<Value<'a>> {
    let mut values: SmallVec<[Value<'a>; 1]> = SmallVec::with_capacity(arguments.len());
    for argument in arguments {
        let value = value(argument, row, context)?;
        if function.strict && value.as_datum().is_null() {
            return Ok(NULL);
        }
        values.push(value);
    }
    apply(function, &values, position, context)
}

#[inline(never)]
fn apply<'a>(
    function: &'static ScalarFunction,
    values: &[Value<'a>],
    position: usize,
    context: &EvaluationContext<'a>,
) -> Result<Value<'a>> {
    let datums: SmallVec<[DatumRef<'_>; 4]> = values.iter().map(Value::as_datum).collect();
    match (function.scalar)(&datums, context.environment) {
        Ok(datum) => Ok(Value::Owned(datum)),
        Err(error) => Err(error.at_if_unset(position)),
    }
}

/// AND (decided by false) or OR (decided by true); NULL when nothing decides and something is NULL.
#[inline(never)]
fn logical<'a>(
    operands: &'a [Expression],
    decisive: bool,
    row: &'a dyn RowSource,
    context: &EvaluationContext<'a>,
) -> Result<Value<'a>> {
    let mut unknown = false;
    for operand in operands {
        match value(operand, row, context)?.as_datum() {
            DatumRef::Boolean(truth) if truth == decisive => return Ok(boolean(decisive)),
            DatumRef::Null => unknown = true,
            _ => {}
        }
    }
    Ok(if unknown { NULL } else { boolean(!decisive) })
}

#[inline(never)]
fn other<'a>(
    expression: &'a Expression,
    row: &'a dyn RowSource,
    context: &EvaluationContext<'a>,
) -> Result<Value<'a>> {
    match expression {
        Expression::Cast { input, target, explicit, position } => {
            cast_value(input, *target, *explicit, *position, row, context)
        }
        Expression::Not(input) => Ok(match value(input, row, context)?.as_datum() {
            DatumRef::Boolean(truth) => boolean(!truth),
            _ => NULL,
        }),
        Expression::IsNull { input, negated } => {
            Ok(boolean(value(input, row, context)?.as_datum().is_null() != *negated))
        }
        Expression::IsTruth { input, truth, negated } => {
            let is = matches!(value(input, row, context)?.as_datum(), DatumRef::Boolean(v) if v == *truth);
            Ok(boolean(is != *negated))
        }
        Expression::IsDistinct { left, right, negated } => {
            let data_type = result_type(left);
            let (left, right) = (value(left, row, context)?, value(right, row, context)?);
            Ok(boolean(equal(left.as_datum(), right.as_datum(), data_type) == *negated))
        }
        Expression::Case { branches, otherwise, .. } => {
            for (condition, result) in branches {
                if matches!(value(condition, row, context)?.as_datum(), DatumRef::Boolean(true)) {
                    return value(result, row, context);
                }
            }
            match otherwise {
                Some(otherwise) => value(otherwise, row, context),
                None => Ok(NULL),
            }
        }
        Expression::Coalesce { arguments, .. } => {
            for argument in arguments {
                let value = value(argument, row, context)?;
                if !value.as_datum().is_null() {
                    return Ok(value);
                }
            }
            Ok(NULL)
        }
        Expression::NullIf { left, equal, .. } => {
            if matches!(value(equal, row, context)?.as_datum(), DatumRef::Boolean(true)) {
                return Ok(NULL);
            }
            value(left, row, context)
        }
        Expression::InSet { input, values, has_null, negated } => {
            let data_type = result_type(input);
            let input = value(input, row, context)?;
            Ok(match in_set(input.as_datum(), values, *has_null, data_type) {
                Some(found) => boolean(found != *negated),
                None => NULL,
            })
        }
        Expression::Column { id, .. } => Err(unplanned_column(id.0)),
        Expression::Subquery(_) => Err(unplanned_subquery()),
        _ => Err(Error::internal("an expression reached the wrong arm of the evaluator")),
    }
}

#[inline(never)]
fn cast_value<'a>(
    input: &'a Expression,
    target: SqlType,
    explicit: bool,
    position: usize,
    row: &'a dyn RowSource,
    context: &EvaluationContext<'a>,
) -> Result<Value<'a>> {
    let source = result_type(input);
    let input = value(input, row, context)?;
    let datum = input.as_datum();
    if datum.is_null() {
        return Ok(NULL);
    }
    if is_relabel(source, target) {
        return Ok(input);
    }
    match cast::cast(datum, source, target, explicit, &context.cast_environment()) {
        Ok(datum) => Ok(Value::Owned(datum)),
        Err(error) => Err(error.at_if_unset(position)),
    }
}

/// A cast that changes the type's name only, not the value.
pub(super) fn is_relabel(source: DataType, target: SqlType) -> bool {
    target.modifier < 0
        && (source == target.data_type
            || matches!(
                (source, target.data_type),
                (DataType::Varchar | DataType::Unknown | DataType::Text, DataType::Text | DataType::Varchar)
            ))
}

pub(super) fn unplanned_column(id: u32) -> Error {
    Error::internal(format!("column {id} of a logical plan reached the evaluator"))
}

pub(super) fn unplanned_subquery() -> Error {
    Error::internal("a query inside an expression reached the evaluator")
}

/// Whether `input` is among `values` (sorted, no NULL); `None`: NULL.
pub(super) fn in_set(
    input: DatumRef<'_>,
    values: &[Datum],
    has_null: bool,
    data_type: DataType,
) -> Option<bool> {
    if input.is_null() {
        return None;
    }
    let found = values.binary_search_by(|value| compare(value.as_ref(), input, data_type)).is_ok();
    if !found && has_null { None } else { Some(found) }
}

/// The type of an expression's values.
pub fn result_type(expression: &Expression) -> DataType {
    expression.data_type()
}

/// Whether the boolean expression is true (neither false nor NULL).
/// # Errors
/// Whatever the functions raise, with the operator's position.
pub fn is_true(
    expression: &Expression,
    row: &dyn RowSource,
    context: &EvaluationContext<'_>,
) -> Result<bool> {
    Ok(matches!(value(expression, row, context)?.as_datum(), DatumRef::Boolean(true)))
}

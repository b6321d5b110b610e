//! Expressions over one row: the short path, defaults, constraints, constant folding.

use crate::error::Result;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::plan::expression::Expression;
use crate::sql::types::datum::{Datum, DatumRef};

/// A row whose values can be borrowed.
pub trait RowSource {
    /// The value of column `index`.
    fn datum(&self, index: usize) -> DatumRef<'_>;
}

/// Who takes result rows of the short path.
pub trait RowSink {
    /// Takes one row of `count` values.
    /// # Errors
    /// The receiver's own.
    fn row(&mut self, values: &dyn RowSource, count: usize) -> Result<()>;
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
    /// Points into the row, the plan or the parameters; fixed-width values are always here.
    Borrowed(DatumRef<'a>),
    /// A long value that was computed.
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

/// The expression's value, borrowed where it can be: no allocation for columns, parameters and constants.
/// # Errors
/// Whatever the functions raise, with the operator's position.
pub fn value<'a>(
    expression: &'a Expression,
    row: &'a dyn RowSource,
    context: &EvaluationContext<'a>,
) -> Result<Value<'a>> {
    let _ = (expression, row, context);
    unimplemented!()
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

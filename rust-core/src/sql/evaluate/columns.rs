//! Expressions over batches, a column at a time; only selected rows are computed.

use crate::batch::batch::Batch;
use crate::batch::column::Column;
use crate::error::Result;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::plan::expression::Expression;
use std::sync::Arc;

/// The expression's values for the selected rows of `batch`; other slots hold anything valid.
/// # Errors
/// Whatever the functions raise, with the operator's position.
pub fn evaluate(
    expression: &Expression,
    batch: &Batch,
    context: &EvaluationContext<'_>,
) -> Result<Arc<Column>> {
    let _ = (expression, batch, context);
    unimplemented!()
}

/// Narrows the selection of `batch` to the rows for which the boolean `expression` is true.
/// # Errors
/// Whatever the functions raise, with the operator's position; the selection is then unspecified.
pub fn filter(expression: &Expression, batch: &mut Batch, context: &EvaluationContext<'_>) -> Result<()> {
    let _ = (expression, batch, context);
    unimplemented!()
}

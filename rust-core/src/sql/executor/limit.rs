//! LIMIT and OFFSET.

use crate::batch::batch::{Batch, Selection};
use crate::error::{Error, Result, SqlState};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, NoRow};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Flow, Transform};
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::Operator;
use crate::sql::types::datum::DatumRef;

/// The value of a LIMIT; `None`: all rows.
/// # Errors
/// `2201W` when negative.
pub(super) fn limit_value(
    expression: Option<&Expression>,
    context: &EvaluationContext<'_>,
) -> Result<Option<u64>> {
    match count(expression, context)? {
        None => Ok(None),
        Some(limit) => u64::try_from(limit)
            .map(Some)
            .map_err(|_| Error::new(SqlState::INVALID_ROW_COUNT_IN_LIMIT, "LIMIT must not be negative")),
    }
}

/// The value of an OFFSET.
/// # Errors
/// `2201X` when negative.
pub(super) fn offset_value(expression: Option<&Expression>, context: &EvaluationContext<'_>) -> Result<u64> {
    u64::try_from(count(expression, context)?.unwrap_or(0))
        .map_err(|_| Error::new(SqlState::INVALID_ROW_COUNT_IN_OFFSET, "OFFSET must not be negative"))
}

fn count(expression: Option<&Expression>, context: &EvaluationContext<'_>) -> Result<Option<i64>> {
    let Some(expression) = expression else { return Ok(None) };
    match row::value(expression, &NoRow, context)?.as_datum() {
        DatumRef::Null => Ok(None),
        DatumRef::BigInt(value) => Ok(Some(value)),
        DatumRef::Integer(value) => Ok(Some(i64::from(value))),
        other => Err(Error::internal(format!("LIMIT of type {}", other.natural_type().name()))),
    }
}

/// Passes rows on until there were enough.
pub(super) struct Limit {
    node: NodeRef,
    prepared: bool,
    skip: u64,
    /// Rows still to pass; `None`: all.
    left: Option<u64>,
}

impl Limit {
    pub(super) fn new(node: NodeRef) -> Limit {
        Limit { node, prepared: false, skip: 0, left: None }
    }
}

impl Transform for Limit {
    fn prepare(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        let Operator::Limit { limit, offset, .. } = self.node.operator() else {
            unreachable!("made for a limit");
        };
        let evaluation = context.evaluation();
        // PostgreSQL looks at OFFSET first.
        self.skip = offset_value(offset.as_ref(), &evaluation)?;
        self.left = limit_value(limit.as_ref(), &evaluation)?;
        self.prepared = true;
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.prepared && self.left == Some(0)
    }

    fn restart(&mut self) {
        self.prepared = false;
    }

    fn push(
        &mut self,
        input: Option<Batch>,
        _context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        if self.left == Some(0) {
            return Ok((None, Flow::Finished));
        }
        let Some(mut batch) = input else { return Ok((None, Flow::NeedInput)) };
        let rows = batch.selected_rows();
        let from = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rows);
        self.skip -= from as u64;
        let room = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let to = rows.min(from.saturating_add(room));
        if from > 0 || to < rows {
            batch.selection = Some(Selection(match &batch.selection {
                Some(selection) => selection.0[from..to].to_vec(),
                None => (from as u16..to as u16).collect(),
            }));
        }
        if let Some(left) = &mut self.left {
            *left -= (to - from) as u64;
            if *left == 0 {
                return Ok((Some(batch), Flow::Finished));
            }
        }
        Ok((Some(batch), Flow::NeedInput))
    }
}

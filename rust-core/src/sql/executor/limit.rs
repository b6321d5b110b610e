//! LIMIT and OFFSET.

use crate::batch::batch::{Batch, Selection};
use crate::batch::column::Column;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::evaluate::columns;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, NoRow};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Flow, Transform};
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::Operator;
use crate::sql::types::compare::equal;
use crate::sql::types::datum::{Datum, DatumRef};

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
    /// The last row's values of what ties are found by; `None`: it did not come yet.
    last: Option<Vec<Datum>>,
}

impl Limit {
    pub(super) fn new(node: NodeRef) -> Limit {
        Limit { node, prepared: false, skip: 0, left: None, last: None }
    }
}

impl Limit {
    /// The last row has come: rows `from..to` of `whole` are `batch`.
    fn finished(
        &mut self,
        batch: Batch,
        whole: Batch,
        from: usize,
        to: usize,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        let node = self.node.clone();
        let Operator::Limit { ties, .. } = node.operator() else { unreachable!("made for a limit") };
        let Some(row) = batch.row_numbers().last() else { return Ok((Some(batch), Flow::Finished)) };
        if ties.is_empty() {
            return Ok((Some(batch), Flow::Finished));
        }
        let keys = key_columns(ties, &batch, context)?;
        self.last = Some(keys.iter().map(|key| key.datum(row).to_owned()).collect());
        let (tied, flow) = self.tied(whole.clone(), to, context)?;
        let Some(tied) = tied else { return Ok((Some(batch), flow)) };
        // Both parts lie side by side in the batch as it came.
        let count = to - from + tied.selected_rows();
        let rows = whole.row_numbers().skip(from).take(count).map(|row| row as u16).collect();
        Ok((Some(Batch { selection: Some(Selection(rows)), ..whole }), flow))
    }

    /// The rows of a batch, from the `from`-th on, that equal the last one.
    fn tied(
        &mut self,
        batch: Batch,
        from: usize,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        let node = self.node.clone();
        let Operator::Limit { ties, .. } = node.operator() else { unreachable!("made for a limit") };
        let Some(last) = &self.last else { return Ok((None, Flow::Finished)) };
        let keys = key_columns(ties, &batch, context)?;
        let equals = |row: usize| {
            keys.iter().zip(last).all(|(key, last)| equal(key.datum(row), last.as_ref(), key.data_type))
        };
        let rows: Vec<u16> =
            batch.row_numbers().skip(from).take_while(|row| equals(*row)).map(|row| row as u16).collect();
        let flow = if from + rows.len() == batch.selected_rows() { Flow::NeedInput } else { Flow::Finished };
        let tied = (!rows.is_empty()).then_some(Batch { selection: Some(Selection(rows)), ..batch });
        Ok((tied, flow))
    }
}

/// What ties are found by.
fn key_columns(
    ties: &[Expression],
    batch: &Batch,
    context: &ExecutionContext<'_>,
) -> Result<Vec<Arc<Column>>> {
    let evaluation = context.evaluation();
    ties.iter().map(|tie| columns::evaluate(tie, batch, &evaluation)).collect()
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

    fn rows_taken(&self, rows: Option<u64>) -> Option<u64> {
        let passed = match (self.left, rows) {
            (Some(left), Some(rows)) => left.min(rows),
            (left, rows) => left.or(rows)?,
        };
        Some(passed.saturating_add(self.skip))
    }

    fn restart(&mut self) {
        self.prepared = false;
        self.last = None;
    }

    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        if self.last.is_some() {
            return match input {
                Some(batch) => self.tied(batch, 0, context),
                None => Ok((None, Flow::NeedInput)),
            };
        }
        if self.left == Some(0) {
            return Ok((None, Flow::Finished));
        }
        let Some(mut batch) = input else { return Ok((None, Flow::NeedInput)) };
        let whole = batch.clone();
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
                return self.finished(batch, whole, from, to, context);
            }
        }
        Ok((Some(batch), Flow::NeedInput))
    }
}

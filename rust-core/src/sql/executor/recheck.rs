//! Checks again whether a row that changed before it was locked still qualifies, with its newest values and the rows
//! that it was joined with as they were.

use crate::error::{Error, Result};
use crate::sql::evaluate::row;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::Pipeline;
use crate::sql::plan::physical::{Operator, PhysicalRecheck};
use crate::sql::types::datum::Datum;

/// The check of one operator.
pub(super) struct Rechecker {
    node: NodeRef,
    /// Where the check is a plan.
    plan: Option<Pipeline>,
}

impl Rechecker {
    pub(super) fn new(node: NodeRef, mut plan: Option<Pipeline>) -> Rechecker {
        if let Some(plan) = &mut plan {
            plan.expect(Some(1));
        }
        Rechecker { node, plan }
    }

    /// Whether `row`, the input's row with the newest values, qualifies; what is computed of them is then new as well.
    #[inline(never)]
    #[allow(clippy::ptr_arg, reason = "a slice has no size, so it cannot be a row of the evaluator")]
    pub(super) fn qualifies(
        &mut self,
        row: &mut Vec<Datum>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<bool> {
        let (Operator::LockRows { recheck, .. }
        | Operator::Update { recheck, .. }
        | Operator::Delete { recheck, .. }) = self.node.operator()
        else {
            return Err(Error::internal("a check of an operator that locks no rows"));
        };
        match recheck {
            PhysicalRecheck::Always => Ok(true),
            PhysicalRecheck::Condition(condition) => row::is_true(condition, row, &context.evaluation()),
            PhysicalRecheck::Plan { arguments, outputs, .. } => {
                let Some(plan) = &mut self.plan else {
                    return Err(Error::internal("the plan of a check was not made"));
                };
                let mut parameters = context.parameters.to_vec();
                for (parameter, value) in arguments {
                    parameters[*parameter] = row::evaluate(value, row, &context.evaluation())?;
                }
                plan.restart();
                let batch = plan.next(&mut context.with_parameters(&parameters))?;
                let first = batch.as_ref().and_then(|batch| Some((batch, batch.row_numbers().next()?)));
                let Some((batch, number)) = first else { return Ok(false) };
                for (column, position) in batch.columns.iter().zip(outputs) {
                    row[*position] = column.datum(number).to_owned();
                }
                Ok(true)
            }
        }
    }
}

//! Rewrites of logical plans that never make them worse, in order: constants are folded, then filters and limits
//! move down and projections are merged.

mod fold;
mod push_down;

use crate::error::Result;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::data_type::DataType;

/// A rewritten plan. It may have an `Initial` at its root, also over a data change; right sides of joins that use
/// columns of the left one are left only where no plan without them is known.
pub(super) struct Rewritten {
    /// The plan, without subqueries in expressions.
    pub(super) plan: LogicalPlan,
    /// Types of the parameters that the plan computes itself, numbered after the user's.
    pub(super) run_time_parameters: Vec<DataType>,
}

/// The plan after all rewrites.
/// # Errors
/// `XX000` for a plan that contradicts itself.
pub(super) fn rewrite(mut plan: LogicalPlan, _parameters: &[DataType]) -> Result<Rewritten> {
    fold::fold_plan(&mut plan)?;
    Ok(Rewritten { plan: push_down::push_down(plan), run_time_parameters: Vec::new() })
}

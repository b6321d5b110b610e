//! Rewrites of logical plans that never make them worse, in order: constants are folded, then filters and limits
//! move down and projections are merged.

mod fold;
mod push_down;

use crate::error::Result;
use crate::sql::plan::logical::LogicalPlan;

/// The plan after all rewrites.
/// # Errors
/// `XX000` for a plan that contradicts itself.
pub(super) fn rewrite(mut plan: LogicalPlan) -> Result<LogicalPlan> {
    fold::fold_plan(&mut plan)?;
    Ok(push_down::push_down(plan))
}

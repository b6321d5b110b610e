//! Rewrites of logical plans that never make them worse, in order: constants are folded, then filters and limits
//! move down and projections are merged.

mod fold;
mod push_down;

use crate::sql::plan::logical::LogicalPlan;

/// The plan after all rewrites.
pub(super) fn rewrite(plan: LogicalPlan) -> LogicalPlan {
    push_down::push_down(fold::fold_plan(plan))
}

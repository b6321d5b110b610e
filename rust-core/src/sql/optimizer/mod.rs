//! Logical plans to physical plans: a function of its arguments. Runs nothing, reads no data.
//!
//! First the plan is rewritten (`rewrite`: constants folded, filters and limits moved down, projections merged),
//! then it is lowered node by node (`lowering`): every scan gets the columns that are needed above it, the
//! predicates that hold on its rows, and the order that is wanted of it, and picks the cheapest way to read
//! (`access`), by the figures in `cost` and `cardinality`.

mod access;
mod cardinality;
mod columns;
mod cost;
mod implication;
mod knowledge;
mod lowering;
mod order;
mod parts;
mod rewrite;
mod sargable;
mod selectivity;

#[cfg(test)]
mod tests;

use crate::catalog::table_definition::TableDefinition;
use crate::error::Result;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::PhysicalPlan;
use crate::sql::types::data_type::DataType;
use crate::statistics::table_statistics::TableStatistics;
use std::sync::Arc;

#[cfg(test)]
thread_local! {
    /// Whether plans of this thread are only made runnable: subqueries become dependent joins and stay that.
    pub(crate) static MINIMAL_REWRITES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// What the optimizer asks about tables.
pub trait StatisticsSource {
    /// Rows of the table now, approximately.
    fn row_count(&self, table: &TableDefinition) -> u64;
    /// What ANALYZE found; `None` where it has not run.
    fn statistics(&self, table: &TableDefinition) -> Option<Arc<TableStatistics>>;
}

/// The cheapest known way to run `plan`.
/// # Errors
/// `XX000` for a plan that refers to columns its input lacks.
pub fn optimize(
    plan: LogicalPlan,
    parameters: &[DataType],
    statistics: &dyn StatisticsSource,
) -> Result<PhysicalPlan> {
    let mut rewritten = rewrite::rewrite(plan, parameters)?;
    let mut knowledge = knowledge::Knowledge::new(statistics);
    if !order::is_simple(&rewritten.plan) {
        order::arrange(&mut rewritten.plan, &mut knowledge)?;
    }
    lowering::lower_root(rewritten.plan, parameters, rewritten.run_time_parameters, knowledge)
}

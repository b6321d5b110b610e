//! Logical plans to physical plans: a function of its arguments. Runs nothing.

use crate::catalog::table_definition::TableDefinition;
use crate::error::Result;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::PhysicalPlan;
use crate::sql::types::data_type::DataType;

/// What the optimizer asks about tables.
pub trait TableStatistics {
    /// Rows of the table, approximately.
    fn row_count(&self, table: &TableDefinition) -> u64;
}

/// The cheapest known way to run `plan`.
/// # Errors
/// `XX000` for a plan that refers to columns its input lacks.
pub fn optimize(
    _plan: LogicalPlan,
    _parameters: &[DataType],
    _statistics: &dyn TableStatistics,
) -> Result<PhysicalPlan> {
    unimplemented!()
}

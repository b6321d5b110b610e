//! Rewrites of logical plans, in order: constants are folded; subqueries leave expressions; what is checked again of
//! rows that are locked is copied from what finds them; common tables that need not be kept go; conditions move down; joins no longer depend on their left rows; conditions move down again, what
//! has no rows and what nobody needs goes, limits move down; expressions that an index holds become columns.

mod cardinality_bounds;
mod common_table;
mod depth;
mod empty;
mod fold;
mod index_keys;
mod limit;
mod null_rejection;
mod numbering;
mod parts;
mod projection;
mod push_down;
mod recheck;
mod references;
mod required;
mod same;
mod simplify;
mod subquery;
mod transitive;
mod unnest;

pub(super) use index_keys::{computed_over, expanded};
pub(super) use references::{ColumnSet, expression_columns};
pub(super) use same::same;
pub(super) use transitive::implied_by_or;

#[cfg(test)]
mod tests;

use crate::error::Result;
use crate::sql::optimizer::rewrite::numbering::Numbering;
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
/// `0A000` for a subquery where none can be, `54001` for a plan that is too deep, `XX000` for a plan that contradicts
/// itself.
pub(super) fn rewrite(mut plan: LogicalPlan, parameters: &[DataType]) -> Result<Rewritten> {
    depth::check(&plan)?;
    fold::fold_plan(&mut plan)?;
    let mut numbering = Numbering::new(&plan, parameters.len());
    subquery::extract(&mut plan, &mut numbering)?;
    recheck::prepare(&mut plan, &mut numbering)?;
    depth::check(&plan)?;
    #[cfg(test)]
    if crate::sql::optimizer::MINIMAL_REWRITES.get() {
        return Ok(Rewritten { plan, run_time_parameters: numbering.run_time_parameters });
    }
    common_table::inline(&mut plan, &mut numbering)?;
    push_down::push_down(&mut plan)?;
    empty::remove(&mut plan)?;
    unnest::unnest(&mut plan, &mut numbering)?;
    depth::check(&plan)?;
    required::prune(&mut plan)?;
    projection::lift(&mut plan)?;
    push_down::push_down(&mut plan)?;
    recheck::refuse_nullable(&plan)?;
    empty::remove(&mut plan)?;
    required::prune(&mut plan)?;
    limit::lower_limits(&mut plan)?;
    index_keys::use_keys(&mut plan)?;
    parts::use_parts(&mut plan, &mut numbering)?;
    Ok(Rewritten { plan, run_time_parameters: numbering.run_time_parameters })
}

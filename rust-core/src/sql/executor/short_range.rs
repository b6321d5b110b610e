//! Short ranges: rows between two row ids, or between two keys of an index, go to the receiver one by one, straight from their pages, as long as it has
//! room for them.
//!
//! How long a range is shows only when it is read, and a receiver must not have to keep what does not fit. So a range is
//! tried: when the room ends before it does, or a row lies in part elsewhere, everything is forgotten and the plan runs
//! as pipelines; nobody has seen anything yet, and the wasted work is bounded by the room. A plan whose ranges were long
//! is tried ever more seldom.

use crate::error::{Error, Result};
use crate::sql::evaluate::row::RowSink;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::limit::limit_value;
use crate::sql::executor::point::{Picked, plain_columns};
use crate::sql::executor::scan::{KeyValues, index_order, open, row_range};
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::{Operator, PhysicalNode, PhysicalPlan};
use crate::table::each_row::{RowRange, Stopped};
use crate::table::row::RowView;
use crate::table::table::Table;

/// What is kept between tries of one plan. Belongs to the plan.
pub struct ShortRange {
    /// Table columns by output position.
    columns: Box<[usize]>,
    /// Opened once for all executions.
    table: Option<Table>,
    tries: Tries,
}

impl std::fmt::Debug for ShortRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShortRange").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// The parts of a plan that can be tried.
struct Parts<'p> {
    scan: &'p Operator,
    projected: Option<&'p [Expression]>,
    limit: Option<&'p Expression>,
}

impl<'p> Parts<'p> {
    /// `None`: the plan is another one.
    fn of(mut node: &'p PhysicalNode) -> Option<Parts<'p>> {
        let (mut projected, mut limit) = (None, None);
        loop {
            match &node.operator {
                scan @ (Operator::TableScan { .. } | Operator::IndexScan { .. }) => {
                    return Some(Parts { scan, projected, limit });
                }
                Operator::Limit { input, limit: rows, offset: None, ties }
                    if ties.is_empty() && limit.is_none() =>
                {
                    limit = rows.as_ref();
                    node = input;
                }
                Operator::Project { input, expressions } if projected.is_none() => {
                    projected = Some(&expressions[..]);
                    node = input;
                }
                _ => return None,
            }
        }
    }
}

impl ShortRange {
    /// `None`: the plan is another one.
    pub fn of(plan: &PhysicalPlan) -> Option<ShortRange> {
        let Parts { scan, projected, .. } = Parts::of(&plan.root)?;
        let (Operator::TableScan { output, .. } | Operator::IndexScan { output, .. }) = scan else {
            return None;
        };
        let columns = plain_columns(output, projected)?;
        Some(ShortRange { columns, table: None, tries: Tries::default() })
    }

    /// Whether the plan should be tried this time.
    pub fn is_worth_a_try(&mut self) -> bool {
        let is_worth_one = self.tries.to_leave_out == 0;
        self.tries.to_leave_out = self.tries.to_leave_out.saturating_sub(1);
        is_worth_one
    }

    /// Runs the plan to its end and gives the number of its rows; `None`: it has to run as pipelines, and `out` is empty.
    /// # Errors
    /// Whatever the statement raises.
    pub fn run(
        &mut self,
        plan: &PhysicalPlan,
        context: &mut ExecutionContext<'_>,
        out: &mut dyn RowSink,
    ) -> Result<Option<u64>> {
        let Some(Parts { scan, limit, .. }) = Parts::of(&plan.root) else { return Err(another_plan()) };
        let evaluation = context.evaluation();
        let most = limit_value(limit, &evaluation)?.unwrap_or(u64::MAX);
        if most == 0 {
            return Ok(Some(0));
        }
        let (mut rows, mut is_full) = (0, false);
        let columns = &self.columns[..];
        let each = |row: &RowView<'_>| {
            is_full = !out.offer(&Picked { row, columns }, columns.len())?;
            rows += u64::from(!is_full);
            Ok(!is_full && rows < most)
        };
        let transaction = &*context.transaction;
        let stopped = match scan {
            Operator::TableScan { table, lower, upper, backward, .. } => {
                match row_range(lower.as_ref(), upper.as_ref(), &evaluation)? {
                    None => Stopped::AtEnd,
                    Some((lower, upper)) => {
                        let range = RowRange { lower, upper, backward: *backward, most };
                        open(&mut self.table, &table.layout, context)?.each_row(
                            transaction,
                            range,
                            columns,
                            each,
                        )?
                    }
                }
            }
            Operator::IndexScan { table, index, equal, lower, upper, backward, any_order, .. } => {
                match KeyValues::of(equal, (lower.as_ref(), upper.as_ref()), &evaluation)? {
                    None => Stopped::AtEnd,
                    Some(values) => {
                        let table = open(&mut self.table, &table.layout, context)?;
                        let order = (index_order(*any_order, *backward), most);
                        values.with(|range| {
                            table.each_row_by_index(transaction, (*index, range), order, columns, each)
                        })?
                    }
                }
            }
            _ => return Err(another_plan()),
        };
        let was_short = !is_full && stopped != Stopped::AtLargeValue;
        self.tries.tell(was_short);
        if !was_short {
            out.clear();
        }
        Ok(was_short.then_some(rows))
    }
}

fn another_plan() -> Error {
    Error::internal("a short range of another plan")
}

/// How often a plan is tried: after each range in a row that was long, twice as many runs go without a try.
#[derive(Debug, Default)]
struct Tries {
    long_ranges: u32,
    to_leave_out: u32,
}

/// The powers of two of runs without a try.
const LEFT_OUT_POWER_MAX: u32 = 10;

impl Tries {
    fn tell(&mut self, was_short: bool) {
        self.long_ranges = if was_short { 0 } else { (self.long_ranges + 1).min(LEFT_OUT_POWER_MAX) };
        self.to_leave_out = if was_short { 0 } else { 1 << self.long_ranges };
    }
}

//! Locking rows: what the executor needs of each table, and the check of rows that changed.

use crate::error::{Error, Result};
use crate::sql::optimizer::columns::{add_columns, is_always, to_inputs};
use crate::sql::optimizer::cost;
use crate::sql::optimizer::lowering::unary::sorted;
use crate::sql::optimizer::lowering::{Lowered, Lowering, arranged, ids, node};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{LockTarget, LogicalPlan, Recheck};
use crate::sql::plan::physical::{LockDemand, Operator, PhysicalLockTarget, PhysicalRecheck};

/// What is locked above an input.
pub(super) struct Locking {
    pub(super) targets: Vec<LockTarget>,
    pub(super) recheck: Recheck,
    pub(super) demand: LockDemand,
}

impl Lowering<'_> {
    /// `rows`: how many are wanted, about; `None`: all.
    pub(super) fn lock_rows(
        &mut self,
        input: LogicalPlan,
        locking: Locking,
        required: &[ColumnId],
        rows: Option<f64>,
    ) -> Result<Lowered> {
        let Locking { targets, recheck, demand } = locking;
        let mut needed = required.to_vec();
        for target in &targets {
            target.columns.iter().for_each(|(_, column)| add_columns(column, &mut needed));
        }
        recheck.expressions().for_each(|expression| add_columns(expression, &mut needed));
        // Row ids last: a scan puts them out behind its columns.
        targets.iter().for_each(|target| add_columns(&target.row_id, &mut needed));
        let lowered = match input {
            LogicalPlan::Sort { input, keys } => {
                let (lowered, keys) = self.sort_input(*input, keys, &needed, rows)?;
                if lowered.ordered { lowered } else { sorted(lowered, keys) }
            }
            input => self.lower(input, &needed, None)?,
        };
        let layout = lowered.layout;
        let mut physical = Vec::with_capacity(targets.len());
        for LockTarget { table, row_id, columns, strength, wait } in targets {
            let row_id = place(&row_id, &layout)?;
            let columns = columns
                .into_iter()
                .map(|(position, column)| Ok((position, place(&column, &layout)?)))
                .collect::<Result<Vec<_>>>()?;
            physical.push(PhysicalLockTarget { table, row_id, columns, strength, wait });
        }
        let recheck = self.recheck(recheck, &layout, Some(&needed))?;
        let rows = lowered.node.estimated_rows;
        let cost = lowered.node.estimated_cost + rows * cost::ROW_MODIFIED;
        let input = Box::new(lowered.node);
        let operator = Operator::LockRows { input, targets: physical, recheck, demand };
        Ok(Lowered { node: node(operator, rows, cost), layout, ordered: false, sorted_by: None })
    }

    /// The check of changed rows over an input that puts out `layout`. `needed`: the columns of it that something
    /// uses; `None`: all.
    pub(super) fn recheck(
        &mut self,
        recheck: Recheck,
        layout: &[ColumnId],
        needed: Option<&[ColumnId]>,
    ) -> Result<PhysicalRecheck> {
        match recheck {
            Recheck::Always => Ok(PhysicalRecheck::Always),
            Recheck::Condition(condition) if is_always(&condition) => Ok(PhysicalRecheck::Always),
            Recheck::Condition(mut condition) => {
                to_inputs(&mut condition, layout)?;
                Ok(PhysicalRecheck::Condition(*condition))
            }
            Recheck::Plan(recheck) => {
                let mut outputs = Vec::new();
                let mut columns: Vec<OutputColumn> = Vec::new();
                for (position, id) in layout.iter().enumerate() {
                    if needed.is_some_and(|needed| !needed.contains(id)) {
                        continue;
                    }
                    let Some((_, copy)) = recheck.outputs.iter().find(|(original, _)| original == id) else {
                        continue;
                    };
                    outputs.push(position);
                    columns.push(copy.clone());
                }
                let lowered = self.lower(recheck.plan, &ids(&columns), None)?;
                let plan = Box::new(arranged(lowered, &columns)?);
                let mut arguments = recheck.arguments;
                arguments.iter_mut().try_for_each(|(_, value)| to_inputs(value, layout))?;
                Ok(PhysicalRecheck::Plan { arguments, plan, outputs })
            }
        }
    }
}

/// Where a column of the input is.
fn place(column: &Expression, layout: &[ColumnId]) -> Result<usize> {
    let Expression::Column { id, .. } = column else {
        return Err(Error::internal("a row is locked by something that is no column"));
    };
    let place = layout.iter().position(|known| known == id);
    place.ok_or_else(|| Error::internal(format!("the plan has no column {} to lock by", id.0)))
}

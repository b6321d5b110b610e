//! `min` and `max` of an indexed column without groups: the first row of the index that has a value there.

use crate::error::Result;
use crate::sql::optimizer::columns::to_inputs;
use crate::sql::optimizer::cost;
use crate::sql::optimizer::lowering::{Lowering, Wanted, WantedKey, node};
use crate::sql::plan::expression::{AggregateCall, Expression};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::{Operator, PhysicalNode};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;

/// The row that has the least or greatest value, with where that is; or the input unchanged.
type Found = std::result::Result<(PhysicalNode, Expression), LogicalPlan>;

/// Whether an index of the table below may have the order of a column: its first column, or one that conditions may
/// fix the columns before.
fn may_be_ordered(mut plan: &LogicalPlan, argument: &Expression) -> bool {
    let Expression::Column { id, .. } = argument else { return false };
    loop {
        match plan {
            LogicalPlan::Filter { input, .. } => plan = input,
            LogicalPlan::Scan { table, columns, .. } => {
                let Some(position) = columns.iter().position(|column| column.id == *id) else { return false };
                let is_it = |part: usize| columns.get(part).is_some_and(|column| column.id == *id);
                return table.row_id_column() == Some(position)
                    || table.layout.indexes.iter().any(|index| {
                        index.columns.iter().any(|part| is_it(table.layout.position(part.key)))
                    });
            }
            _ => return false,
        }
    }
}

impl Lowering<'_> {
    pub(super) fn least_by_index(
        &mut self,
        input: LogicalPlan,
        groups: &[Expression],
        aggregates: &[AggregateCall],
    ) -> Result<Found> {
        let [call] = aggregates else { return Ok(Err(input)) };
        let [argument] = call.arguments.as_slice() else { return Ok(Err(input)) };
        let descending = match call.function.name {
            "min" => false,
            "max" => true,
            _ => return Ok(Err(input)),
        };
        let Expression::Column { id, data_type } = *argument else { return Ok(Err(input)) };
        if !groups.is_empty() || call.filter.is_some() || !may_be_ordered(&input, argument) {
            return Ok(Err(input));
        }
        let present = Expression::IsNull { input: Box::new(argument.clone()), negated: true };
        let plan = match input.clone() {
            LogicalPlan::Filter { input, predicate } => {
                let predicate = Expression::And(vec![predicate, present]);
                LogicalPlan::Filter { input, predicate }
            }
            other => LogicalPlan::Filter { input: Box::new(other), predicate: present },
        };
        let key = WantedKey { column: id, descending, nulls_first: descending };
        let wanted = Wanted { keys: vec![key], limit: Some(1.0) };
        let lowered = self.lower(plan, &[id], Some(&wanted))?;
        if !lowered.ordered {
            return Ok(Err(input));
        }
        let one = Expression::Constant { value: Datum::BigInt(1), data_type: DataType::BigInt };
        let mut argument = Expression::Column { id, data_type };
        to_inputs(&mut argument, &lowered.layout)?;
        let rows = lowered.node.estimated_rows.max(1.0);
        let cost = cost::DESCENT + lowered.node.estimated_cost / rows;
        let operator = Operator::Limit {
            input: Box::new(lowered.node),
            limit: Some(one),
            offset: None,
            ties: Vec::new(),
        };
        Ok(Ok((node(operator, 1.0, cost), argument)))
    }
}

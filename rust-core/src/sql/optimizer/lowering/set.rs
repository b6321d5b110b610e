//! Operators over whole inputs side by side: UNION ALL, INTERSECT, EXCEPT.

use crate::error::{Error, Result};
use crate::sql::optimizer::cost;
use crate::sql::optimizer::lowering::{Lowered, Lowering, arranged, ids, node};
use crate::sql::plan::expression::{ColumnId, OutputColumn};
use crate::sql::plan::logical::{LogicalPlan, SetOperationKind};
use crate::sql::plan::physical::Operator;

impl Lowering<'_> {
    pub(super) fn append(
        &mut self,
        inputs: Vec<LogicalPlan>,
        columns: &[OutputColumn],
        required: &[ColumnId],
    ) -> Result<Lowered> {
        let positions: Vec<usize> =
            (0..columns.len()).filter(|position| required.contains(&columns[*position].id)).collect();
        let mut nodes = Vec::with_capacity(inputs.len());
        let (mut rows, mut cost) = (0.0, 0.0);
        for input in inputs {
            let all = input.output_columns();
            let picked: Option<Vec<OutputColumn>> =
                positions.iter().map(|position| all.get(*position).cloned()).collect();
            let Some(picked) = picked else {
                return Err(Error::internal("an input of a UNION lacks columns"));
            };
            let lowered = self.lower(input, &ids(&picked), None)?;
            let node = arranged(lowered, &picked)?;
            rows += node.estimated_rows;
            cost += node.estimated_cost;
            nodes.push(node);
        }
        let layout = positions.iter().map(|position| columns[*position].id).collect();
        Ok(Lowered {
            node: node(Operator::Append { inputs: nodes }, rows, cost),
            layout,
            ordered: false,
            sorted_by: None,
        })
    }

    pub(super) fn set_operation(
        &mut self,
        kind: SetOperationKind,
        all: bool,
        left: LogicalPlan,
        right: LogicalPlan,
        columns: &[OutputColumn],
    ) -> Result<Lowered> {
        let left = self.exactly(left)?;
        let right = self.exactly(right)?;
        let (left_rows, right_rows) = (left.estimated_rows, right.estimated_rows);
        let rows = match kind {
            SetOperationKind::Intersect => left_rows.min(right_rows) / 2.0,
            SetOperationKind::Except => left_rows / 2.0,
        };
        let cost = left.estimated_cost + right.estimated_cost + (left_rows + right_rows) * cost::ROW_GROUPED;
        let operator = Operator::SetOperation { kind, all, left: Box::new(left), right: Box::new(right) };
        Ok(Lowered {
            node: node(operator, rows.max(1.0), cost),
            layout: ids(columns),
            ordered: false,
            sorted_by: None,
        })
    }
}

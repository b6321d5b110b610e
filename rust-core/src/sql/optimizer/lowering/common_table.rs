//! Common tables: WITH, and the working table of WITH RECURSIVE.

use crate::error::{Error, Result};
use crate::sql::optimizer::cost;
use crate::sql::optimizer::lowering::{Lowered, Lowering, ids, node, types};
use crate::sql::plan::expression::{ColumnId, OutputColumn};
use crate::sql::plan::logical::{CommonTableId, LogicalPlan};
use crate::sql::plan::physical::{Operator, PhysicalNode};
use hashbrown::HashMap;

/// Rows that each table of WITH holds, about.
#[derive(Default)]
pub(super) struct CommonTables(HashMap<CommonTableId, f64>);

/// How many times the first rows a recursive union puts out, as a guess.
const RECURSION_FACTOR: f64 = 10.0;

impl Lowering<'_> {
    /// Lowers a definition and remembers its size for the scans of it.
    pub(super) fn define(&mut self, id: CommonTableId, definition: LogicalPlan) -> Result<PhysicalNode> {
        let node = self.exactly(definition)?;
        self.common_tables.0.insert(id, node.estimated_rows);
        Ok(node)
    }

    pub(super) fn common_scan(
        &mut self,
        id: CommonTableId,
        name: String,
        columns: &[OutputColumn],
        required: &[ColumnId],
    ) -> Result<Lowered> {
        let Some(rows) = self.common_tables.0.get(&id).copied() else {
            return Err(Error::internal("a common table is read outside its WITH"));
        };
        let mut positions: Vec<usize> =
            (0..columns.len()).filter(|position| required.contains(&columns[*position].id)).collect();
        positions.dedup();
        let picked: Vec<OutputColumn> = positions.iter().map(|position| columns[*position].clone()).collect();
        let operator = Operator::CommonScan { id, name, columns: positions, types: types(&picked) };
        Ok(Lowered {
            node: node(operator, rows, rows * cost::ROW_MADE),
            layout: ids(&picked),
            ordered: false,
        })
    }

    pub(super) fn recursive_union(
        &mut self,
        id: CommonTableId,
        all: bool,
        initial: LogicalPlan,
        recursive: LogicalPlan,
        columns: &[OutputColumn],
    ) -> Result<Lowered> {
        let initial = self.exactly(initial)?;
        let first = initial.estimated_rows;
        self.common_tables.0.insert(id, first);
        let recursive = self.exactly(recursive)?;
        let rows = first * RECURSION_FACTOR;
        let cost =
            initial.estimated_cost + recursive.estimated_cost * RECURSION_FACTOR + rows * cost::ROW_HASHED;
        let operator =
            Operator::RecursiveUnion { id, all, initial: Box::new(initial), recursive: Box::new(recursive) };
        Ok(Lowered { node: node(operator, rows, cost), layout: ids(columns), ordered: false })
    }
}

/// A common table around what reads it.
pub(super) fn with(
    id: CommonTableId,
    name: String,
    definition: PhysicalNode,
    input: PhysicalNode,
) -> PhysicalNode {
    let rows = input.estimated_rows;
    let cost = definition.estimated_cost + input.estimated_cost;
    let operator = Operator::With { id, name, definition: Box::new(definition), input: Box::new(input) };
    node(operator, rows, cost)
}

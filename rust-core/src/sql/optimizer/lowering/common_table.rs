//! Common tables: WITH, and the working table of WITH RECURSIVE. What reads a table of WITH is lowered first: then it is
//! known which of its columns are needed.

use crate::error::{Error, Result};
use crate::sql::optimizer::cardinality::RECURSION_FACTOR;
use crate::sql::optimizer::cost;
use crate::sql::optimizer::lowering::{Lowered, Lowering, arranged, ids, node, types};
use crate::sql::plan::expression::{ColumnId, OutputColumn};
use crate::sql::plan::logical::{CommonTableId, LogicalPlan};
use crate::sql::plan::physical::{Operator, PhysicalNode};
use hashbrown::HashMap;

/// The common tables around a node: for those of WITH, which columns are read.
#[derive(Default)]
pub(super) struct CommonTables(HashMap<CommonTableId, Vec<bool>>);

impl CommonTables {
    /// Its scans follow.
    pub(super) fn open(&mut self, id: CommonTableId) {
        self.0.insert(id, Vec::new());
    }
}

impl Lowering<'_> {
    /// A common table around what reads it.
    pub(super) fn with(
        &mut self,
        id: CommonTableId,
        name: String,
        definition: LogicalPlan,
        mut input: PhysicalNode,
    ) -> Result<PhysicalNode> {
        let used = self.common_tables.0.remove(&id).unwrap_or_default();
        let columns = definition.output_columns();
        // What a data change returns is computed, read or not.
        let changes = definition.changes_rows();
        self.changes_in_with |= changes;
        let mut kept: Vec<usize> =
            (0..columns.len()).filter(|position| changes || used.get(*position) == Some(&true)).collect();
        if kept.is_empty() {
            // Rows without columns are counted all the same.
            kept.extend((!columns.is_empty()).then_some(0));
        }
        let picked: Vec<OutputColumn> = kept.iter().map(|position| columns[*position].clone()).collect();
        let lowered = self.lower(definition, &ids(&picked), None)?;
        let definition = arranged(lowered, &picked)?;
        renumber(&mut input, id, &kept)?;
        let rows = input.estimated_rows;
        let cost = definition.estimated_cost + input.estimated_cost;
        let operator = Operator::With { id, name, definition: Box::new(definition), input: Box::new(input) };
        Ok(node(operator, rows, cost))
    }

    pub(super) fn common_scan(
        &mut self,
        id: CommonTableId,
        name: String,
        columns: &[OutputColumn],
        required: &[ColumnId],
    ) -> Result<Lowered> {
        let rows = self.knowledge.learn_common_scan(id, columns);
        let Some(rows) = rows else {
            return Err(Error::internal("a common table is read outside its WITH"));
        };
        let positions: Vec<usize> =
            (0..columns.len()).filter(|position| required.contains(&columns[*position].id)).collect();
        if let Some(used) = self.common_tables.0.get_mut(&id) {
            used.resize(columns.len(), false);
            positions.iter().for_each(|position| used[*position] = true);
        }
        let picked: Vec<OutputColumn> = positions.iter().map(|position| columns[*position].clone()).collect();
        let operator = Operator::CommonScan { id, name, columns: positions, types: types(&picked) };
        let node = node(operator, rows, rows * cost::ROW_MADE);
        Ok(Lowered { node, layout: ids(&picked), ordered: false, sorted_by: None })
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
        let recursive = self.exactly(recursive)?;
        let rows = initial.estimated_rows * RECURSION_FACTOR;
        let cost =
            initial.estimated_cost + recursive.estimated_cost * RECURSION_FACTOR + rows * cost::ROW_GROUPED;
        let operator =
            Operator::RecursiveUnion { id, all, initial: Box::new(initial), recursive: Box::new(recursive) };
        let node = node(operator, rows, cost);
        Ok(Lowered { node, layout: ids(columns), ordered: false, sorted_by: None })
    }
}

/// Puts new positions in the scans of a common table of which only the columns `kept` are left.
fn renumber(plan: &mut PhysicalNode, id: CommonTableId, kept: &[usize]) -> Result<()> {
    if let Operator::CommonScan { id: scanned, columns, .. } = &mut plan.operator
        && *scanned == id
    {
        for position in columns {
            let place = kept.iter().position(|known| known == position);
            *position = place.ok_or_else(|| Error::internal("a common table lacks a column that is read"))?;
        }
    }
    if let Some(checked) = plan.recheck_plan_mut() {
        renumber(checked, id, kept)?;
    }
    plan.inputs_mut().into_iter().try_for_each(|input| renumber(input, id, kept))
}

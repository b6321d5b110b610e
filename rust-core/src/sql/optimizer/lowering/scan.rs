//! Scans: the columns that are needed, and the access path.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result};
use crate::sql::optimizer::access::{self, OrderColumn, Path, WantedOrder};
use crate::sql::optimizer::columns::{conjunction, to_inputs};
use crate::sql::optimizer::lowering::{Lowered, Lowering, Wanted, node, with_columns};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::physical::{Operator, ScanOutput};
use std::sync::Arc;

impl Lowering<'_> {
    /// Reads a table. The row id, where it is required, comes out last.
    pub(super) fn scan(
        &mut self,
        table: Arc<TableDefinition>,
        columns: &[OutputColumn],
        row_id: Option<&OutputColumn>,
        mut predicates: Vec<Expression>,
        required: &[ColumnId],
        wanted: Option<&Wanted>,
    ) -> Result<Lowered> {
        let row_id_column = row_id;
        let row_id = row_id.map(|column| column.id).filter(|id| required.contains(id));
        let position = |id: ColumnId| columns.iter().position(|column| column.id == id);
        let order = wanted.and_then(|wanted| {
            let keys = wanted.keys.iter().map(|key| {
                let column = position(key.column)?;
                Some(OrderColumn { column, descending: key.descending, nulls_first: key.nulls_first })
            });
            Some(WantedOrder { keys: keys.collect::<Option<Vec<_>>>()?, limit: wanted.limit })
        });
        let access = access::choose(&table, columns, &predicates, order.as_ref(), &mut self.knowledge);
        // The target of a data change is read by one leaf, whose columns and row id come in the table's order.
        if row_id.is_none()
            && let Some(lowered) =
                self.by_list(&table, columns, row_id_column, &predicates, required, &access)?
        {
            return Ok(lowered);
        }
        let mut index = 0;
        predicates.retain(|_| {
            index += 1;
            !access.used.contains(&(index - 1))
        });
        let mut layout: Vec<ColumnId> = with_columns(required, &predicates);
        layout.retain(|id| Some(*id) != row_id);
        let positions: Option<Vec<usize>> = layout.iter().map(|id| position(*id)).collect();
        let Some(positions) = positions else {
            return Err(Error::internal("the plan asks a scan for a column of something else"));
        };
        let mut predicate = conjunction(predicates);
        if let Some(predicate) = &mut predicate {
            to_inputs(predicate, &layout)?;
        }
        layout.extend(row_id);
        let output = ScanOutput { columns: positions, row_id: row_id.is_some(), predicate };
        let ordered = access.ordered && order.is_some();
        let operator = match access.path {
            Path::Table { lower, upper, backward } => {
                Operator::TableScan { table, lower, upper, backward, output }
            }
            Path::Index { index, equal, lower, upper, backward } => {
                let any_order = !ordered;
                Operator::IndexScan { table, index, equal, lower, upper, backward, any_order, output }
            }
            Path::RowId(key) => Operator::RowIdLookup { table, row_id: key, output },
            Path::Unique { index, key } => Operator::UniqueLookup { table, index, key, output },
        };
        let sorted_by =
            ascending(&operator).and_then(|position| columns.get(position)).map(|column| column.id);
        let sorted_by = sorted_by.filter(|id| layout.contains(id));
        Ok(Lowered { node: node(operator, access.rows, access.cost), layout, ordered, sorted_by })
    }
}

/// The table column that a scan ascends by, NULLs last, by position.
fn ascending(operator: &Operator) -> Option<usize> {
    match operator {
        Operator::TableScan { table, backward: false, .. } => table.row_id_column(),
        Operator::IndexScan { table, index, equal, backward: false, any_order: false, .. } => {
            let column = table.layout.indexes.get(*index)?.columns.get(equal.len())?;
            (!column.descending && !column.nulls_first).then_some(column.column)
        }
        _ => None,
    }
}

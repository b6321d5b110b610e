//! Scans: the columns that are needed, and the access path.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result};
use crate::sql::optimizer::access::{self, OrderColumn, Path, WantedOrder};
use crate::sql::optimizer::columns::{conjunction, to_inputs};
use crate::sql::optimizer::lowering::unary::projection;
use crate::sql::optimizer::lowering::{Lowered, Lowering, Wanted, node, with_columns};
use crate::sql::optimizer::rewrite::expanded;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::physical::{Operator, ScanOutput};
use crate::sql::types::data_type::DataType;
use std::sync::Arc;

/// What a logical scan is of.
#[derive(Clone)]
pub(super) struct Scanned {
    pub(super) table: Arc<TableDefinition>,
    /// Columns of the table, and behind them those that stand for what its indexes compute.
    pub(super) columns: Vec<OutputColumn>,
    pub(super) computed: Arc<[Expression]>,
    pub(super) row_id: Option<OutputColumn>,
}

impl Scanned {
    /// Puts what indexes compute in the place of the columns that stand for it.
    fn expanded(&self, expression: Expression) -> Result<Expression> {
        if self.computed.is_empty() {
            return Ok(expression);
        }
        expanded(expression, self.table.columns.len(), &self.columns, &self.computed)
    }
}

impl Lowering<'_> {
    /// Reads a table. The row id, where it is required, comes out last.
    pub(super) fn scan(
        &mut self,
        scanned: Scanned,
        predicates: Vec<Expression>,
        required: &[ColumnId],
        wanted: Option<&Wanted>,
    ) -> Result<Lowered> {
        let kept_columns: Vec<&OutputColumn> =
            scanned.columns.iter().skip(scanned.table.columns.len()).collect();
        let computed: Vec<ColumnId> = required
            .iter()
            .copied()
            .filter(|id| kept_columns.iter().any(|column| column.id == *id))
            .collect();
        if computed.is_empty() {
            return self.stored_scan(scanned, predicates, required, wanted);
        }
        // What indexes compute and somebody above wants is computed of the rows that come out.
        let mut values = Vec::with_capacity(computed.len());
        for id in &computed {
            let column = kept_columns.iter().find(|column| column.id == *id);
            let data_type = column.map_or(DataType::Unknown, |column| column.sql_type.data_type);
            values.push(scanned.expanded(Expression::Column { id: *id, data_type })?);
        }
        let stored: Vec<ColumnId> = required.iter().copied().filter(|id| !computed.contains(id)).collect();
        let needed = with_columns(&stored, &values);
        let types: Vec<(ColumnId, DataType)> =
            scanned.columns.iter().map(|column| (column.id, column.sql_type.data_type)).collect();
        let lowered = self.stored_scan(scanned, predicates, &needed, wanted)?;
        let mut layout = stored;
        let mut expressions: Vec<Expression> = Vec::with_capacity(layout.len() + values.len());
        for id in &layout {
            let index = lowered.layout.iter().position(|known| known == id);
            let index =
                index.ok_or_else(|| Error::internal("a scan without a column that it was asked for"))?;
            let data_type =
                types.iter().find(|(known, _)| known == id).map_or(DataType::BigInt, |known| known.1);
            expressions.push(Expression::Input { index, data_type });
        }
        for mut value in values {
            to_inputs(&mut value, &lowered.layout)?;
            expressions.push(value);
        }
        layout.extend(computed);
        let sorted_by = lowered.sorted_by.filter(|id| layout.contains(id));
        let node = projection(lowered.node, expressions);
        Ok(Lowered { node, layout, ordered: lowered.ordered, sorted_by })
    }

    /// Reads what a table stores.
    fn stored_scan(
        &mut self,
        scanned: Scanned,
        mut predicates: Vec<Expression>,
        required: &[ColumnId],
        wanted: Option<&Wanted>,
    ) -> Result<Lowered> {
        let Scanned { table, columns, computed, row_id } = &scanned;
        let row_id = row_id.as_ref().map(|column| column.id).filter(|id| required.contains(id));
        let position = |id: ColumnId| columns.iter().position(|column| column.id == id);
        let order = wanted.and_then(|wanted| {
            let keys = wanted.keys.iter().map(|key| {
                let column = position(key.column)?;
                Some(OrderColumn { column, descending: key.descending, nulls_first: key.nulls_first })
            });
            Some(WantedOrder { keys: keys.collect::<Option<Vec<_>>>()?, limit: wanted.limit })
        });
        let expanded_terms: Vec<Expression> =
            predicates.iter().map(|term| scanned.expanded(term.clone())).collect::<Result<_>>()?;
        let both = (&predicates[..], &expanded_terms[..]);
        let access = access::choose(table, columns, computed, both, order.as_ref(), &mut self.knowledge);
        // The target of a data change is read by one leaf, whose columns and row id come in the table's order.
        if row_id.is_none()
            && let Some(lowered) = self.by_list(&scanned, &predicates, required, &access)?
        {
            return Ok(lowered);
        }
        predicates = expanded_terms;
        let mut index = 0;
        predicates.retain(|_| {
            index += 1;
            !access.used.contains(&(index - 1))
        });
        let mut layout: Vec<ColumnId> = with_columns(required, &predicates);
        layout.retain(|id| Some(*id) != row_id);
        let table = Arc::clone(table);
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
            (!column.descending && !column.nulls_first).then_some(table.layout.position(column.key))
        }
        _ => None,
    }
}

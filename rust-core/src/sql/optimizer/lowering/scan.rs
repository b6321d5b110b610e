//! Scans: the columns that are needed, and the access path.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result};
use crate::sql::optimizer::access::{self, OrderColumn, Path, WantedOrder};
use crate::sql::optimizer::columns::{conjunction, to_inputs};
use crate::sql::optimizer::lowering::unary::projection;
use crate::sql::optimizer::lowering::{Lowered, Lowering, Wanted, node, with_columns};
use crate::sql::optimizer::parts::{ScannedPart, Use, each_use, replace_uses, scanned_part};
use crate::sql::optimizer::rewrite::{computed_over, expanded, same};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::physical::{Operator, ScanOutput, ScanPart};
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

    /// The part of a column that a column of the scan stands for.
    fn part(&self, id: ColumnId) -> Option<ScannedPart<'_>> {
        let kept = self.columns.iter().skip(self.table.columns.len());
        let value = kept.zip(self.computed.iter()).find(|(column, _)| column.id == id)?.1;
        scanned_part(value)
    }

    /// Puts parts of columns into conditions of the scan, where nobody needs the whole column.
    fn use_parts(&self, predicates: &mut [Expression], required: &[ColumnId]) -> Result<()> {
        let width = self.table.columns.len();
        let mut parts = Vec::new();
        for (column, value) in self.columns.iter().skip(width).zip(self.computed.iter()) {
            if scanned_part(value).is_some() {
                parts.push((column, computed_over(value, &self.columns)?));
            }
        }
        if parts.is_empty() {
            return Ok(());
        }
        let mut whole = required.to_vec();
        for predicate in predicates.iter() {
            each_use(predicate, &mut |id, part| whole.extend(part.is_none().then_some(id)));
        }
        let stands_for = |found: &Use| {
            let (column, value) = parts.iter().find(|(_, value)| same(value, &found.value))?;
            let is_whole = whole.contains(&found.column);
            let data_type = value.data_type();
            (!is_whole).then_some(Expression::Column { id: column.id, data_type })
        };
        predicates.iter_mut().try_for_each(|predicate| replace_uses(predicate, &stands_for))
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
            .filter(|id| kept_columns.iter().any(|column| column.id == *id) && scanned.part(*id).is_none())
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
        scanned.use_parts(&mut predicates, required)?;
        let mut layout: Vec<ColumnId> = with_columns(required, &predicates);
        layout.retain(|id| Some(*id) != row_id);
        let table = Arc::clone(table);
        let mut parts = Vec::new();
        let positions = layout.iter().enumerate().map(|(output, id)| match scanned.part(*id) {
            None => position(*id),
            Some(part) => {
                let (kind, function, arguments) = (part.kind, Some(part.function), part.others.to_vec());
                parts.push(ScanPart { output, kind, function, arguments });
                Some(part.column)
            }
        });
        let positions: Option<Vec<usize>> = positions.collect();
        let Some(positions) = positions else {
            return Err(Error::internal("the plan asks a scan for a column of something else"));
        };
        let mut predicate = conjunction(predicates);
        if let Some(predicate) = &mut predicate {
            to_inputs(predicate, &layout)?;
        }
        layout.extend(row_id);
        let output = ScanOutput { columns: positions, parts, row_id: row_id.is_some(), predicate };
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

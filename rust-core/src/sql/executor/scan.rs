//! The leaves of a plan: tables, indexes, look-ups, rows of expressions.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::common::ids::RowId;
use crate::common::limits::BATCH_ROWS;
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::sql::evaluate::columns;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, NoRow};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::execution::NodeRef;
use crate::sql::executor::pipeline::Source;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::{KeyBound, Operator, ScanOutput};
use crate::sql::types::data_type::SqlType;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::index::IndexRange;
use crate::table::scan::{IndexScan, TableScan};
use crate::table::table::Table;
use crate::transaction::types::ReadView;
use std::ops::Bound;

/// The source for a leaf.
/// # Errors
/// What the key expressions raise.
pub(super) fn source(node: NodeRef, context: &mut ExecutionContext<'_>) -> Result<Box<dyn Source>> {
    let evaluation = context.evaluation();
    match node.operator() {
        Operator::TableScan { table, lower, upper, backward, output } => {
            let bounds =
                match (row_bound(lower.as_ref(), &evaluation)?, row_bound(upper.as_ref(), &evaluation)?) {
                    (Some(lower), Some(upper)) => (lower, upper),
                    _ => return Ok(Box::new(Nothing)),
                };
            let handle = Table::open(context.manager, context.transaction, &table.layout)?;
            let scan = handle.scan(context.transaction, bounds, *backward, &output.columns, output.row_id)?;
            Ok(Box::new(Rows { node, scan: Scan::Table(scan) }))
        }
        Operator::IndexScan { table, index, equal, lower, upper, backward, output } => {
            let Some(equal) = key_values(equal, &evaluation)? else { return Ok(Box::new(Nothing)) };
            let lower = lower.as_ref().map(|bound| key_bound(bound, &evaluation)).transpose()?;
            let upper = upper.as_ref().map(|bound| key_bound(bound, &evaluation)).transpose()?;
            let (Some(lower), Some(upper)) = (lower.unwrap_or(Some(None)), upper.unwrap_or(Some(None)))
            else {
                return Ok(Box::new(Nothing));
            };
            let equal: Vec<DatumRef<'_>> = equal.iter().map(Datum::as_ref).collect();
            let handle = Table::open(context.manager, context.transaction, &table.layout)?;
            let range = IndexRange {
                equal: &equal,
                lower: lower.as_ref().map(|(value, inclusive)| (value.as_ref(), *inclusive)),
                upper: upper.as_ref().map(|(value, inclusive)| (value.as_ref(), *inclusive)),
            };
            let scan = handle.index_scan(
                context.transaction,
                *index,
                range,
                *backward,
                &output.columns,
                output.row_id,
            )?;
            Ok(Box::new(Rows { node, scan: Scan::Index(scan) }))
        }
        Operator::RowIdLookup { .. } | Operator::UniqueLookup { .. } => {
            Ok(Box::new(Lookup { node, done: false }))
        }
        Operator::Values { .. } => Ok(Box::new(Values { node, position: 0 })),
        _ => Err(Error::internal("a plan ends with an operator that needs an input")),
    }
}

/// No rows: a bound is NULL.
struct Nothing;

impl Source for Nothing {
    fn next(&mut self, _context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        Ok(None)
    }
}

/// The value of a key expression, which refers to no row.
fn constant(expression: &Expression, evaluation: &EvaluationContext<'_>) -> Result<Datum> {
    row::evaluate(expression, &NoRow, evaluation)
}

/// The values of a key; `None` when one of them is NULL.
pub(super) fn key_values(
    expressions: &[Expression],
    evaluation: &EvaluationContext<'_>,
) -> Result<Option<Vec<Datum>>> {
    let values = expressions.iter().map(|value| constant(value, evaluation)).collect::<Result<Vec<_>>>()?;
    Ok((!values.iter().any(Datum::is_null)).then_some(values))
}

/// The value of a bound with whether it belongs to the range; `None` when it is NULL.
fn key_bound(bound: &KeyBound, evaluation: &EvaluationContext<'_>) -> Result<Option<Option<(Datum, bool)>>> {
    let Some(expression) = bound.values.first() else { return Ok(Some(None)) };
    let value = constant(expression, evaluation)?;
    Ok(if value.is_null() { None } else { Some(Some((value, bound.inclusive))) })
}

/// A row id as a look-up or bound has it; `None`: NULL.
pub(super) fn row_id(value: DatumRef<'_>) -> Result<Option<RowId>> {
    match value {
        DatumRef::Null => Ok(None),
        DatumRef::BigInt(id) => Ok(Some(RowId(id))),
        DatumRef::Integer(id) => Ok(Some(RowId(i64::from(id)))),
        DatumRef::SmallInt(id) => Ok(Some(RowId(i64::from(id)))),
        other => Err(Error::internal(format!("a row id of type {}", other.natural_type().name()))),
    }
}

/// One end of a range of row ids; `None` when it is NULL, and so nothing qualifies.
fn row_bound(bound: Option<&KeyBound>, evaluation: &EvaluationContext<'_>) -> Result<Option<Bound<RowId>>> {
    let Some(bound) = bound else { return Ok(Some(Bound::Unbounded)) };
    let Some(expression) = bound.values.first() else { return Ok(Some(Bound::Unbounded)) };
    Ok(row_id(constant(expression, evaluation)?.as_ref())?
        .map(|id| if bound.inclusive { Bound::Included(id) } else { Bound::Excluded(id) }))
}

enum Scan {
    Table(TableScan),
    Index(IndexScan),
}

/// Rows of a table or an index range.
struct Rows {
    node: NodeRef,
    scan: Scan,
}

/// What a leaf puts out.
fn output_of(operator: &Operator) -> Option<&ScanOutput> {
    match operator {
        Operator::TableScan { output, .. }
        | Operator::IndexScan { output, .. }
        | Operator::RowIdLookup { output, .. }
        | Operator::UniqueLookup { output, .. } => Some(output),
        _ => None,
    }
}

/// Applies a leaf's own predicate.
fn apply_predicate(operator: &Operator, batch: &mut Batch, context: &ExecutionContext<'_>) -> Result<()> {
    match output_of(operator).and_then(|output| output.predicate.as_ref()) {
        Some(predicate) => columns::filter(predicate, batch, &context.evaluation()),
        None => Ok(()),
    }
}

impl Source for Rows {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        let mut batch = Batch::default();
        let more = match &mut self.scan {
            Scan::Table(scan) => scan.next_batch(context.transaction, &mut batch)?,
            Scan::Index(scan) => scan.next_batch(context.transaction, &mut batch)?,
        };
        if !more {
            return Ok(None);
        }
        apply_predicate(self.node.operator(), &mut batch, context)?;
        Ok(Some(batch))
    }
}

/// At most one row, by key.
struct Lookup {
    node: NodeRef,
    done: bool,
}

/// The row id that a look-up means; `None` when there is no such row.
pub(super) fn find(
    operator: &Operator,
    table: &Table,
    context: &ExecutionContext<'_>,
) -> Result<Option<RowId>> {
    let evaluation = context.evaluation();
    match operator {
        Operator::RowIdLookup { row_id: key, .. } => row_id(row::value(key, &NoRow, &evaluation)?.as_datum()),
        Operator::UniqueLookup { index, key, .. } => {
            let mut values = smallvec::SmallVec::<[row::Value<'_>; 4]>::new();
            for expression in key {
                let value = row::value(expression, &NoRow, &evaluation)?;
                if value.as_datum().is_null() {
                    return Ok(None);
                }
                values.push(value);
            }
            let key: smallvec::SmallVec<[DatumRef<'_>; 4]> =
                values.iter().map(row::Value::as_datum).collect();
            table.find_unique(context.transaction, *index, &key, ReadView::Snapshot)
        }
        _ => Err(Error::internal("a look-up of something else")),
    }
}

impl Source for Lookup {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let operator = self.node.operator();
        let (Operator::RowIdLookup { table, output, .. } | Operator::UniqueLookup { table, output, .. }) =
            operator
        else {
            unreachable!("made for a look-up");
        };
        let handle = Table::open(context.manager, context.transaction, &table.layout)?;
        let Some(id) = find(operator, &handle, context)? else { return Ok(None) };
        let found = handle.get_with(context.transaction, id, |row| {
            row.map(|row| {
                let mut columns = Vec::with_capacity(output.columns.len() + 1);
                for column in &output.columns {
                    let mut builder = ColumnBuilder::new(table.columns[*column].sql_type, 1);
                    builder.push_datum(row.datum(*column));
                    columns.push(Arc::new(builder.finish()));
                }
                columns
            })
        })?;
        let Some(mut columns) = found else { return Ok(None) };
        if output.row_id {
            let mut builder =
                ColumnBuilder::new(SqlType::plain(crate::sql::types::data_type::DataType::BigInt), 1);
            builder.push_i64(id.0);
            columns.push(Arc::new(builder.finish()));
        }
        let mut batch = Batch { columns, rows: 1, selection: None };
        apply_predicate(operator, &mut batch, context)?;
        Ok(Some(batch))
    }
}

/// Rows of expressions.
struct Values {
    node: NodeRef,
    position: usize,
}

impl Source for Values {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        let Operator::Values { rows, types } = self.node.operator() else {
            unreachable!("made for VALUES");
        };
        let end = rows.len().min(self.position + BATCH_ROWS);
        let rows = &rows[self.position..end];
        if rows.is_empty() {
            return Ok(None);
        }
        self.position = end;
        let evaluation = context.evaluation();
        let mut builders: Vec<ColumnBuilder> = types
            .iter()
            .map(|data_type| ColumnBuilder::new(SqlType::plain(*data_type), rows.len()))
            .collect();
        for row in rows {
            for (builder, expression) in builders.iter_mut().zip(row) {
                builder.push_datum(row::value(expression, &NoRow, &evaluation)?.as_datum());
            }
        }
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        Ok(Some(Batch { columns, rows: rows.len(), selection: None }))
    }
}

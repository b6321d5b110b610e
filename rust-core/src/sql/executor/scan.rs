//! The leaves of a plan: tables, indexes, look-ups, rows of expressions, of functions, from outside.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::catalog::table_definition::TableDefinition;
use crate::common::ids::RowId;
use crate::common::limits::BATCH_ROWS;
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::sql::evaluate::columns;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, NoRow};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::Source;
use crate::sql::functions::part::{self, PartKind};
use crate::sql::functions::registry::TableFunctionRows;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::{KeyBound, Operator, ScanOutput};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::index::{IndexBound, IndexRange};
use crate::table::layout::TableLayout;
use crate::table::part::ColumnPart;
use crate::table::scan::{IndexOrder, IndexScan, TableScan};
use crate::table::table::{RowBuffer, Table};
use crate::transaction::types::ReadView;
use smallvec::SmallVec;
use std::ops::Bound;

/// A leaf of a plan. Starts with the first batch, and can start again with other parameters.
pub(super) struct Leaf {
    node: NodeRef,
    /// Opened with the first batch.
    table: Option<Table>,
    running: Option<Running>,
    /// About how many rows are taken.
    expected: Option<u64>,
}

/// A leaf that was started.
enum Running {
    /// At the end, or a bound is NULL.
    Nothing,
    /// A table or an index range.
    Scan(Box<Scan>),
    /// One row, not looked for yet.
    Lookup,
    /// VALUES from this row.
    Values(usize),
    /// A function's rows, and the number of the next one.
    Function(Box<dyn TableFunctionRows>, i64),
    /// Rows from outside.
    Supplied,
}

impl Leaf {
    pub(super) fn new(node: NodeRef) -> Leaf {
        Leaf { node, table: None, running: None, expected: None }
    }
}

/// Opens the leaf's table unless it is open.
pub(super) fn open<'t>(
    slot: &'t mut Option<Table>,
    layout: &Arc<TableLayout>,
    context: &ExecutionContext<'_>,
) -> Result<&'t Table> {
    if slot.is_none() {
        *slot = Some(Table::open(context.manager, context.transaction, layout)?);
    }
    slot.as_ref().ok_or_else(|| Error::internal("a table was opened and is not there"))
}

/// Evaluates what is constant during a run.
fn start(
    operator: &Operator,
    slot: &mut Option<Table>,
    context: &mut ExecutionContext<'_>,
) -> Result<Running> {
    let evaluation = context.evaluation();
    match operator {
        Operator::TableScan { table, lower, upper, backward, output } => {
            let Some(bounds) = row_range(lower.as_ref(), upper.as_ref(), &evaluation)? else {
                return Ok(Running::Nothing);
            };
            let handle = open(slot, &table.layout, context)?;
            let scan = handle.scan(context.transaction, bounds, *backward, &output.columns, output.row_id)?;
            let scan = match parts(output, &evaluation)? {
                parts if parts.is_empty() => scan,
                parts => scan.with_parts(&parts),
            };
            Ok(Running::Scan(Box::new(Scan::Table(scan))))
        }
        Operator::IndexScan { table, index, equal, lower, upper, backward, any_order, output } => {
            let Some(values) = KeyValues::of(equal, (lower.as_ref(), upper.as_ref()), &evaluation)? else {
                return Ok(Running::Nothing);
            };
            let handle = open(slot, &table.layout, context)?;
            let order = index_order(*any_order, *backward);
            let (columns, row_id) = (&output.columns, output.row_id);
            let scan = values.with(|range| {
                handle.index_scan(context.transaction, *index, range, order, columns, row_id)
            })?;
            let scan = match parts(output, &evaluation)? {
                parts if parts.is_empty() => scan,
                parts => scan.with_parts(&parts),
            };
            Ok(Running::Scan(Box::new(Scan::Index(scan))))
        }
        Operator::RowIdLookup { .. } | Operator::UniqueLookup { .. } => Ok(Running::Lookup),
        Operator::Values { .. } => Ok(Running::Values(0)),
        Operator::Supplied { .. } => Ok(Running::Supplied),
        Operator::TableFunction { function, arguments, .. } => {
            let values =
                arguments.iter().map(|value| constant(value, &evaluation)).collect::<Result<Vec<_>>>()?;
            if function.strict && values.iter().any(Datum::is_null) {
                return Ok(Running::Nothing);
            }
            Ok(Running::Function((function.start)(&values, context.environment)?, 1))
        }
        _ => Err(Error::internal("a plan ends with an operator that needs an input")),
    }
}

impl Source for Leaf {
    fn next(&mut self, context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        let operator = self.node.operator();
        if self.running.is_none() {
            let mut running = start(operator, &mut self.table, context)?;
            if let (Running::Scan(scan), Some(rows)) = (&mut running, self.expected) {
                let rows = usize::try_from(rows).unwrap_or(usize::MAX);
                match &mut **scan {
                    Scan::Table(scan) => scan.begin_with(rows),
                    Scan::Index(scan) => scan.begin_with(rows),
                }
            }
            self.running = Some(running);
        }
        let Some(running) = &mut self.running else { return Ok(None) };
        let batch = match running {
            Running::Nothing => None,
            Running::Scan(scan) => scan_batch(operator, scan, context)?,
            Running::Lookup => {
                *running = Running::Nothing;
                look_up(operator, &mut self.table, context)?
            }
            Running::Values(position) => values(operator, position, context)?,
            Running::Function(rows, number) => function_rows(operator, rows.as_mut(), number)?,
            Running::Supplied => match &mut context.supply {
                Some(supply) => supply.next()?,
                None => return Err(Error::internal("nobody supplies the rows of the plan")),
            },
        };
        if batch.is_none() {
            *running = Running::Nothing;
        }
        Ok(batch)
    }

    fn expect(&mut self, rows: Option<u64>) {
        self.expected = rows;
    }

    fn restart(&mut self) {
        self.running = None;
    }

    fn is_cheap(&self) -> bool {
        matches!(
            self.node.operator(),
            Operator::RowIdLookup { .. } | Operator::UniqueLookup { .. } | Operator::Values { .. }
        )
    }
}

/// The value of a key expression, which refers to no row.
fn constant(expression: &Expression, evaluation: &EvaluationContext<'_>) -> Result<Datum> {
    row::evaluate(expression, &NoRow, evaluation)
}

/// The parts of columns that come out, by output position.
pub(super) fn parts(output: &ScanOutput, evaluation: &EvaluationContext<'_>) -> Result<Parts> {
    output
        .parts
        .iter()
        .map(|part| {
            let mut numbers = SmallVec::<[Option<i32>; 2]>::new();
            for argument in &part.arguments {
                numbers.push(match row::value(argument, &NoRow, evaluation)?.as_datum() {
                    DatumRef::Integer(number) => Some(number),
                    _ => None,
                });
            }
            Ok((part.output, column_part(part.kind, &numbers)))
        })
        .collect()
}

/// Output positions with parts of columns.
pub(super) type Parts = SmallVec<[(usize, ColumnPart); 12]>;

/// What is read for a part: with NULL among its numbers nothing, for the function gives NULL then.
fn column_part(kind: PartKind, numbers: &[Option<i32>]) -> ColumnPart {
    match (kind, numbers) {
        (PartKind::InRow, _) => ColumnPart::InRow,
        (PartKind::OctetLength, _) => ColumnPart::OctetLength,
        (PartKind::CharacterLength, _) => ColumnPart::CharacterLength,
        (PartKind::Bytes, [Some(start)]) => bytes(part::range(*start, None)),
        (PartKind::Bytes, [Some(start), Some(length)]) => bytes(part::range(*start, Some(*length))),
        (PartKind::Characters, [Some(start)]) => characters(part::range(*start, None)),
        (PartKind::Characters, [Some(start), Some(length)]) => characters(part::range(*start, Some(*length))),
        (PartKind::FirstCharacters, [Some(count)]) => match u64::try_from(*count) {
            Ok(count) => characters((0, count)),
            Err(_) => ColumnPart::CharactersWithoutLast(u64::from(count.unsigned_abs())),
        },
        (PartKind::Byte, [Some(at)]) => ColumnPart::Byte(i64::from(*at)),
        _ => ColumnPart::Presence,
    }
}

fn bytes((from, to): (u64, u64)) -> ColumnPart {
    ColumnPart::Bytes { from, to }
}

fn characters((from, to): (u64, u64)) -> ColumnPart {
    ColumnPart::Characters { from, to }
}

/// The values of a key; `None` when one of them is NULL.
pub(super) fn key_values(
    expressions: &[Expression],
    evaluation: &EvaluationContext<'_>,
) -> Result<Option<SmallVec<[Datum; 4]>>> {
    let values = expressions
        .iter()
        .map(|value| constant(value, evaluation))
        .collect::<Result<SmallVec<[Datum; 4]>>>()?;
    Ok((!values.iter().any(Datum::is_null)).then_some(values))
}

/// In which order an index scan gives its rows.
pub(super) fn index_order(any_order: bool, backward: bool) -> IndexOrder {
    match (any_order, backward) {
        (true, _) => IndexOrder::Any,
        (false, true) => IndexOrder::Backward,
        (false, false) => IndexOrder::Forward,
    }
}

/// The values of an index range.
pub(super) struct KeyValues {
    equal: SmallVec<[Datum; 4]>,
    lower: Option<(Datum, bool)>,
    upper: Option<(Datum, bool)>,
}

impl KeyValues {
    /// `None` when one of them is NULL, and so nothing qualifies.
    pub(super) fn of(
        equal: &[Expression],
        (lower, upper): (Option<&KeyBound>, Option<&KeyBound>),
        evaluation: &EvaluationContext<'_>,
    ) -> Result<Option<KeyValues>> {
        let Some(equal) = key_values(equal, evaluation)? else { return Ok(None) };
        let bound = |bound: Option<&KeyBound>| match bound {
            Some(bound) => key_bound(bound, evaluation),
            None => Ok(Some(None)),
        };
        Ok(bound(lower)?.zip(bound(upper)?).map(|(lower, upper)| KeyValues { equal, lower, upper }))
    }

    pub(super) fn with<R>(&self, read: impl FnOnce(IndexRange<'_>) -> R) -> R {
        let equal: SmallVec<[DatumRef<'_>; 4]> = self.equal.iter().map(Datum::as_ref).collect();
        read(IndexRange { equal: &equal, lower: borrowed(&self.lower), upper: borrowed(&self.upper) })
    }
}

fn borrowed(bound: &Option<(Datum, bool)>) -> Option<IndexBound<'_>> {
    bound.as_ref().map(|(value, inclusive)| (value.as_ref(), *inclusive))
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

/// A range of row ids; `None` when nothing qualifies.
pub(super) fn row_range(
    lower: Option<&KeyBound>,
    upper: Option<&KeyBound>,
    evaluation: &EvaluationContext<'_>,
) -> Result<Option<(Bound<RowId>, Bound<RowId>)>> {
    Ok(row_bound(lower, evaluation)?.zip(row_bound(upper, evaluation)?))
}

enum Scan {
    Table(TableScan),
    Index(IndexScan),
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
fn apply_predicate(operator: &Operator, batch: &mut Batch, context: &mut ExecutionContext<'_>) -> Result<()> {
    match output_of(operator).and_then(|output| output.predicate.as_ref()) {
        Some(predicate) => context.evaluate(|evaluation| columns::filter(predicate, batch, evaluation)),
        None => Ok(()),
    }
}

fn scan_batch(
    operator: &Operator,
    scan: &mut Scan,
    context: &mut ExecutionContext<'_>,
) -> Result<Option<Batch>> {
    let mut batch = Batch::default();
    let more = match scan {
        Scan::Table(scan) => scan.next_batch(context.transaction, &mut batch)?,
        Scan::Index(scan) => scan.next_batch(context.transaction, &mut batch)?,
    };
    if !more {
        return Ok(None);
    }
    apply_predicate(operator, &mut batch, context)?;
    Ok(Some(batch))
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
            let mut values = SmallVec::<[row::Value<'_>; 4]>::new();
            for expression in key {
                let value = row::value(expression, &NoRow, &evaluation)?;
                if value.as_datum().is_null() {
                    return Ok(None);
                }
                values.push(value);
            }
            let key: SmallVec<[DatumRef<'_>; 4]> = values.iter().map(row::Value::as_datum).collect();
            table.find_unique(context.transaction, *index, &key, ReadView::Snapshot)
        }
        _ => Err(Error::internal("a look-up of something else")),
    }
}

/// The columns of the only row.
fn one_row<'v>(
    table: &TableDefinition,
    output: &ScanOutput,
    value: impl Fn(usize) -> DatumRef<'v>,
) -> Vec<Arc<Column>> {
    let mut columns = Vec::with_capacity(output.columns.len() + 1);
    for (position, column) in output.columns.iter().enumerate() {
        let whole = table.columns[*column].sql_type;
        let data_type = output.data_type(position, whole.data_type);
        let sql_type = if data_type == whole.data_type { whole } else { SqlType::plain(data_type) };
        let mut builder = ColumnBuilder::new(sql_type, 1);
        builder.push_datum(value(position));
        columns.push(Arc::new(builder.finish()));
    }
    columns
}

/// At most one row, by key.
fn look_up(
    operator: &Operator,
    slot: &mut Option<Table>,
    context: &mut ExecutionContext<'_>,
) -> Result<Option<Batch>> {
    let (Operator::RowIdLookup { table, output, .. } | Operator::UniqueLookup { table, output, .. }) =
        operator
    else {
        return Err(Error::internal("a look-up of something else"));
    };
    let parts = parts(output, &context.evaluation())?;
    let handle = open(slot, &table.layout, context)?;
    let Some(id) = find(operator, handle, context)? else { return Ok(None) };
    let found = if parts.is_empty() {
        handle.get_with(context.transaction, id, &output.columns, |row| {
            row.map(|row| one_row(table, output, |position| row.datum(output.columns[position])))
        })?
    } else {
        let mut buffer = RowBuffer::new();
        let wanted = (&output.columns[..], &parts[..]);
        let found = handle.get_parts(context.transaction, id, ReadView::Snapshot, wanted, &mut buffer)?;
        found.then(|| one_row(table, output, |position| buffer.datum(position)))
    };
    let Some(mut columns) = found else { return Ok(None) };
    if output.row_id {
        let mut builder = ColumnBuilder::new(SqlType::plain(DataType::BigInt), 1);
        builder.push_i64(id.0);
        columns.push(Arc::new(builder.finish()));
    }
    let mut batch = Batch { columns, rows: 1, selection: None };
    apply_predicate(operator, &mut batch, context)?;
    Ok(Some(batch))
}

/// Rows of expressions, from row `position`.
fn values(
    operator: &Operator,
    position: &mut usize,
    context: &mut ExecutionContext<'_>,
) -> Result<Option<Batch>> {
    let Operator::Values { rows, types } = operator else {
        return Err(Error::internal("VALUES of something else"));
    };
    let end = rows.len().min(*position + BATCH_ROWS);
    let rows = &rows[*position..end];
    if rows.is_empty() {
        return Ok(None);
    }
    *position = end;
    let columns = context.evaluate(|evaluation| {
        let mut builders: Vec<ColumnBuilder> = types
            .iter()
            .map(|data_type| ColumnBuilder::new(SqlType::plain(*data_type), rows.len()))
            .collect();
        for row in rows {
            for (builder, expression) in builders.iter_mut().zip(row) {
                builder.push_datum(row::value(expression, &NoRow, evaluation)?.as_datum());
            }
        }
        Ok(builders.into_iter().map(|builder| Arc::new(builder.finish())).collect())
    })?;
    Ok(Some(Batch { columns, rows: rows.len(), selection: None }))
}

/// The next rows of a function; `number` is that of the first.
fn function_rows(
    operator: &Operator,
    rows: &mut dyn TableFunctionRows,
    number: &mut i64,
) -> Result<Option<Batch>> {
    let mut columns = rows.next(BATCH_ROWS)?;
    let Some(count) = columns.first().map(|column| column.rows) else { return Ok(None) };
    if let Operator::TableFunction { ordinality: true, .. } = operator {
        let mut builder = ColumnBuilder::new(SqlType::plain(DataType::BigInt), count);
        builder.extend_i64((0..count).map(|row| *number + row as i64));
        *number += count as i64;
        columns.push(Arc::new(builder.finish()));
    }
    Ok(Some(Batch { columns, rows: count, selection: None }))
}

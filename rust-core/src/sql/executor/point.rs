//! The short path: plans whose leaf is a key look-up or VALUES, run a row at a time on the caller's thread.
//!
//! The same bound expressions as the pipelines, through their scalar form: no scheduler, no batch. A look-up
//! whose output is plain columns hands the row to the receiver straight from the page.

use crate::common::ids::RowId;
use crate::common::memory::Reservation;
use crate::error::{Error, Result};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, NoRow, RowSink, RowSource, Value};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::conflict::ConflictScratch;
use crate::sql::executor::limit::{limit_value, offset_value};
use crate::sql::executor::lock_rows::{self, RowOutcome};
use crate::sql::executor::modify::{ComputedRows, Locked, Target};
use crate::sql::executor::node::{each_part, input};
use crate::sql::executor::scan;
use crate::sql::functions::registry::{Volatility, free_bytes};
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::{
    Operator, PhysicalNode, PhysicalPlan, PhysicalRecheck, ScanOutput, StatementKind,
};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::row::RowView;
use crate::table::table::{RowBuffer, Table};
use crate::transaction::types::{ReadView, RowLockMode};
use smallvec::SmallVec;

/// Rows between two looks at the cancel flag.
const ROWS_PER_CANCEL_CHECK: u64 = 1000;

/// So few bytes nobody counts.
const SMALL_BYTES: usize = 4 << 10;

/// What the short path keeps between executions of one plan. Belongs to the plan: a new plan, a new scratch.
#[derive(Default)]
pub struct PointScratch {
    /// The leaf's table.
    table: Option<Table>,
    /// The table that is changed.
    target: Option<Target>,
    conflict: ConflictScratch,
    /// The table whose rows a query locks.
    locked: Option<Table>,
    /// The row that was read last.
    buffer: RowBuffer,
    shape: Shape,
}

impl std::fmt::Debug for PointScratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PointScratch")
    }
}

/// How rows get from the leaf to the receiver.
#[derive(Default)]
enum Shape {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// A look-up without a predicate whose columns go out as they are: table columns by output position.
    Plain(Box<[usize]>),
    /// INSERT of one row of expressions, without RETURNING.
    InsertOne,
    /// Anything else.
    General,
}

/// What a run gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PointResult {
    /// Rows handed to the receiver.
    pub rows: u64,
    /// Rows changed; `None` for a query.
    pub affected: Option<u64>,
}

impl PointResult {
    /// The number that the command tag shows.
    pub fn tag_count(&self) -> u64 {
        self.affected.unwrap_or(self.rows)
    }
}

/// Whether the short path can run the plan at all.
pub fn can_run(plan: &PhysicalPlan) -> bool {
    let mut node = &plan.root;
    let mut below = false;
    loop {
        if node.recheck_plan().is_some() {
            return false;
        }
        match &node.operator {
            // A data change is at the top or nowhere.
            Operator::Insert { .. } | Operator::Update { .. } | Operator::Delete { .. } if below => {
                return false;
            }
            Operator::Insert { conflict: Some(conflict), .. } if conflict.plan().is_some() => return false,
            Operator::RowIdLookup { .. } | Operator::UniqueLookup { .. } | Operator::Values { .. } => {
                return true;
            }
            Operator::Filter { .. }
            | Operator::Project { .. }
            | Operator::Insert { .. }
            | Operator::Update { .. }
            | Operator::Delete { .. } => {}
            Operator::LockRows { targets, .. } if targets.len() == 1 => {}
            Operator::Limit { ties, .. } if ties.is_empty() => {}
            _ => return false,
        }
        match input(node) {
            Some(next) => node = next,
            None => return false,
        }
        below = true;
    }
}

/// A copied row, with its id behind the columns.
struct LookedUp<'a> {
    buffer: &'a RowBuffer,
    row_id: RowId,
}

impl RowSource for LookedUp<'_> {
    #[inline]
    fn datum(&self, index: usize) -> DatumRef<'_> {
        if index < self.buffer.len() { self.buffer.datum(index) } else { DatumRef::BigInt(self.row_id.0) }
    }
}

/// Columns of a stored row, as the output has them.
pub(super) struct Picked<'a> {
    pub(super) row: &'a RowView<'a>,
    /// Table columns by output position.
    pub(super) columns: &'a [usize],
}

impl RowSource for Picked<'_> {
    #[inline(always)]
    fn datum(&self, index: usize) -> DatumRef<'_> {
        self.row.datum(self.columns[index])
    }
}

/// Runs a plan to its end; result rows go to `out`.
/// # Errors
/// Whatever the statement raises; its effects are then the caller's to undo.
pub fn run(
    plan: &PhysicalPlan,
    scratch: &mut PointScratch,
    context: &mut ExecutionContext<'_>,
    out: &mut dyn RowSink,
) -> Result<PointResult> {
    if matches!(scratch.shape, Shape::Unknown) {
        scratch.shape = shape_of(&plan.root);
    }
    match &scratch.shape {
        Shape::Plain(columns) => return plain(&plan.root, columns, &mut scratch.table, context, out),
        Shape::InsertOne => {
            return insert_one(&plan.root, (&mut scratch.target, &mut scratch.conflict), context);
        }
        Shape::Unknown | Shape::General => {}
    }
    let mut result = PointResult::default();
    let mut changed = 0;
    let mut flow = Run { scratch, changed: &mut changed, seen: 0 };
    flow.rows(&plan.root, context, &mut |_, row, count| {
        result.rows += 1;
        out.row(row, count)?;
        Ok(true)
    })?;
    if let Some(target) = scratch.target.as_ref().filter(|_| plan.kind != StatementKind::Select) {
        target.end_statement(context)?;
    }
    result.affected = (plan.kind != StatementKind::Select).then_some(changed);
    Ok(result)
}

/// Whether the plan is one of those that need no interpretation.
fn shape_of(root: &PhysicalNode) -> Shape {
    if let Operator::Insert { input, returning: None, .. } = &root.operator
        && matches!(&input.operator, Operator::Values { rows, .. } if rows.len() == 1)
    {
        return Shape::InsertOne;
    }
    let (leaf, picked) = match &root.operator {
        Operator::Project { input, expressions } => (&input.operator, Some(expressions)),
        other => (other, None),
    };
    let (Operator::RowIdLookup { output, .. } | Operator::UniqueLookup { output, .. }) = leaf else {
        return Shape::General;
    };
    plain_columns(output, picked.map(Vec::as_slice)).map_or(Shape::General, Shape::Plain)
}

/// The table columns, by output position, of a leaf that puts out stored columns as they are, all of them or those that
/// are `projected`; `None`: something is computed, or rows are left out.
pub(super) fn plain_columns(output: &ScanOutput, projected: Option<&[Expression]>) -> Option<Box<[usize]>> {
    if output.predicate.is_some() || output.row_id || !output.parts.is_empty() {
        return None;
    }
    let Some(expressions) = projected else { return Some(output.columns.clone().into_boxed_slice()) };
    expressions
        .iter()
        .map(|expression| match expression {
            Expression::Input { index, .. } => output.columns.get(*index).copied(),
            _ => None,
        })
        .collect()
}

/// Opens a leaf's table once for all executions of the plan.
fn leaf_table<'t>(
    slot: &'t mut Option<Table>,
    leaf: &Operator,
    context: &ExecutionContext<'_>,
) -> Result<&'t Table> {
    if slot.is_none() {
        let (Operator::RowIdLookup { table, .. } | Operator::UniqueLookup { table, .. }) = leaf else {
            return Err(Error::internal("a look-up of something else"));
        };
        *slot = Some(Table::open(context.manager, context.transaction, &table.layout)?);
    }
    slot.as_ref().ok_or_else(|| Error::internal("a table was opened and is not there"))
}

fn plain(
    root: &PhysicalNode,
    columns: &[usize],
    slot: &mut Option<Table>,
    context: &mut ExecutionContext<'_>,
    out: &mut dyn RowSink,
) -> Result<PointResult> {
    let leaf = match &root.operator {
        Operator::Project { input, .. } => &input.operator,
        other => other,
    };
    let table = leaf_table(slot, leaf, context)?;
    let Some(id) = scan::find(leaf, table, context)? else { return Ok(PointResult::default()) };
    let found = table.get_with(context.transaction, id, columns, |row| match row {
        Some(row) => {
            let row = Picked { row: &row, columns };
            if !out.offer(&row, columns.len())? {
                out.row(&row, columns.len())?;
            }
            Ok(1)
        }
        None => Ok(0),
    })??;
    Ok(PointResult { rows: found, affected: None })
}

/// Inserts the row of a plan that is [`Shape::InsertOne`]: parameters and constants go from where they are into the
/// row, only other expressions are computed first.
fn insert_one(
    root: &PhysicalNode,
    (slot, scratch): (&mut Option<Target>, &mut ConflictScratch),
    context: &mut ExecutionContext<'_>,
) -> Result<PointResult> {
    let Operator::Insert { input, checks, conflict, .. } = &root.operator else {
        return Err(Error::internal("a data change of another kind"));
    };
    let Operator::Values { rows, .. } = &input.operator else {
        return Err(Error::internal("an INSERT of something else than a row"));
    };
    if slot.is_none() {
        *slot = Some(Target::of(&root.operator, context)?);
    }
    let (Some(target), Some(row)) = (slot.as_ref(), rows.first()) else {
        return Err(Error::internal("a table was opened and is not there"));
    };
    let evaluation = evaluation_of(context);
    let mut computed: SmallVec<[Value<'_>; 4]> = SmallVec::new();
    for expression in row {
        if !matches!(expression, Expression::Parameter { .. } | Expression::Constant { .. }) {
            computed.push(row::value(expression, &NoRow, &evaluation)?);
        }
    }
    let _held = held(&computed, context)?;
    let mut computed = computed.iter();
    let mut new: SmallVec<[DatumRef<'_>; 16]> = SmallVec::new();
    for expression in row {
        new.push(match expression {
            Expression::Parameter { index, .. } => evaluation.parameter(*index)?,
            Expression::Constant { value, .. } => value.as_ref(),
            _ => computed.next().map_or(DatumRef::Null, Value::as_datum),
        });
    }
    let changed = match conflict {
        None => target.insert(&new, None, checks, context).map(|()| true)?,
        Some(conflict) => {
            target.insert_or_resolve(&new, (conflict, checks), scratch, context, &mut |_, _| Ok(()))?
        }
    };
    target.end_statement(context)?;
    Ok(PointResult { rows: 0, affected: Some(u64::from(changed)) })
}

/// Takes rows: the row, its width; false: no more are wanted.
type Emit<'e> = dyn FnMut(&mut ExecutionContext<'_>, &dyn RowSource, usize) -> Result<bool> + 'e;

/// One run of a general plan.
struct Run<'r> {
    scratch: &'r mut PointScratch,
    changed: &'r mut u64,
    seen: u64,
}

fn evaluation_of<'a>(context: &ExecutionContext<'a>) -> EvaluationContext<'a> {
    EvaluationContext::new(context.parameters, context.environment)
}

impl Run<'_> {
    fn cancel_point(&mut self, context: &ExecutionContext<'_>) -> Result<()> {
        self.seen += 1;
        if self.seen.is_multiple_of(ROWS_PER_CANCEL_CHECK) { context.cancel.check() } else { Ok(()) }
    }

    /// Gives the node's rows to `emit`; false when it wants no more.
    fn rows(
        &mut self,
        node: &PhysicalNode,
        context: &mut ExecutionContext<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<bool> {
        match &node.operator {
            Operator::RowIdLookup { output, .. } | Operator::UniqueLookup { output, .. } => {
                self.look_up(&node.operator, output, context, emit)
            }
            Operator::Values { rows, .. } => {
                let evaluation = evaluation_of(context);
                for row in rows {
                    self.cancel_point(context)?;
                    let values = values_of(row, &NoRow, &evaluation)?;
                    let _held = held(&values, context)?;
                    if !emit(context, &Computed(&values), values.len())? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Operator::Filter { input, predicate } => self.rows(input, context, &mut |context, row, count| {
                if row::is_true(predicate, row, &evaluation_of(context))? {
                    emit(context, row, count)
                } else {
                    Ok(true)
                }
            }),
            Operator::Project { input, expressions } => self.rows(input, context, &mut |context, row, _| {
                let evaluation = evaluation_of(context);
                let values = values_of(expressions, row, &evaluation)?;
                let _held = held(&values, context)?;
                emit(context, &Computed(&values), values.len())
            }),
            Operator::Limit { input, limit, offset, .. } => {
                let evaluation = evaluation_of(context);
                let mut skip = offset_value(offset.as_ref(), &evaluation)?;
                let mut left = limit_value(limit.as_ref(), &evaluation)?.unwrap_or(u64::MAX);
                if left == 0 {
                    return Ok(true);
                }
                self.rows(input, context, &mut |context, row, count| {
                    if skip > 0 {
                        skip -= 1;
                        return Ok(true);
                    }
                    left -= 1;
                    Ok(emit(context, row, count)? && left > 0)
                })
            }
            Operator::LockRows { .. } => self.lock_rows(&node.operator, context, emit),
            Operator::Insert { .. } => self.insert(&node.operator, context, emit),
            Operator::Update { .. } => self.update(&node.operator, context, emit),
            Operator::Delete { .. } => self.delete(&node.operator, context, emit),
            _ => Err(Error::internal("not a plan for the short path")),
        }
    }

    /// Locks the row before it goes on, with its newest values where it changed and still qualifies.
    fn lock_rows(
        &mut self,
        operator: &Operator,
        context: &mut ExecutionContext<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<bool> {
        let Operator::LockRows { input, targets, recheck, .. } = operator else {
            return Err(Error::internal("a lock of another kind"));
        };
        let Some(target) = targets.first() else { return self.rows(input, context, emit) };
        let table = match self.scratch.locked.take() {
            Some(table) => table,
            None => lock_rows::open(target, context)?,
        };
        let result = self.rows(input, context, &mut |context, row, width| match lock_rows::lock_one(
            target,
            &table,
            row.datum(target.row_id),
            context,
        )? {
            RowOutcome::Unchanged => emit(context, row, width),
            RowOutcome::Skip => Ok(true),
            RowOutcome::Changed(id) => {
                let mut newest: Vec<Datum> = (0..width).map(|index| row.datum(index).to_owned()).collect();
                newest[target.row_id] = Datum::BigInt(id.0);
                let is_there = lock_rows::take_newest(target, &table, &mut newest, context)?;
                if is_there && qualifies(recheck, &newest, context)? {
                    emit(context, &newest, width)
                } else {
                    Ok(true)
                }
            }
        });
        self.scratch.locked = Some(table);
        result
    }

    fn look_up(
        &mut self,
        leaf: &Operator,
        output: &ScanOutput,
        context: &mut ExecutionContext<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<bool> {
        let table = leaf_table(&mut self.scratch.table, leaf, context)?;
        let Some(id) = scan::find(leaf, table, context)? else { return Ok(true) };
        // Copied out, because expressions are not evaluated under a page's latch.
        let mut buffer = std::mem::take(&mut self.scratch.buffer);
        let parts = scan::parts(output, &evaluation_of(context))?;
        let wanted = (&output.columns[..], &parts[..]);
        let found = table.get_parts(context.transaction, id, ReadView::Snapshot, wanted, &mut buffer)?;
        let row = LookedUp { buffer: &buffer, row_id: id };
        let result = match &output.predicate {
            _ if !found => Ok(true),
            Some(predicate) if !row::is_true(predicate, &row, &evaluation_of(context))? => Ok(true),
            _ => emit(context, &row, output.columns.len() + usize::from(output.row_id)),
        };
        buffer.give_back();
        self.scratch.buffer = buffer;
        result
    }

    /// The table that the plan changes, opened once.
    fn take_target(&mut self, operator: &Operator, context: &ExecutionContext<'_>) -> Result<Target> {
        if let Some(target) = self.scratch.target.take() {
            return Ok(target);
        }
        Target::of(operator, context)
    }

    fn insert(
        &mut self,
        operator: &Operator,
        context: &mut ExecutionContext<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<bool> {
        let Operator::Insert { input, checks, returning, conflict, .. } = operator else {
            return Err(Error::internal("a data change of another kind"));
        };
        let target = self.take_target(operator, context)?;
        let mut scratch = std::mem::take(&mut self.scratch.conflict);
        let mut count = 0;
        let result = self.rows(input, context, &mut |context, row, width| {
            let new: SmallVec<[DatumRef<'_>; 16]> = (0..width).map(|index| row.datum(index)).collect();
            let Some(conflict) = conflict else {
                target.insert(&new, None, checks, context)?;
                count += 1;
                return return_row(returning.as_deref(), row, context, emit);
            };
            let mut goes_on = true;
            let action = (&**conflict, checks.as_slice());
            let changed =
                target.insert_or_resolve(&new, action, &mut scratch, context, &mut |context, row| {
                    goes_on = return_row(returning.as_deref(), &Borrowed(row), context, emit)?;
                    Ok(())
                })?;
            count += u64::from(changed);
            Ok(goes_on)
        });
        self.scratch.conflict = scratch;
        *self.changed += count;
        self.scratch.target = Some(target);
        result
    }

    fn update(
        &mut self,
        operator: &Operator,
        context: &mut ExecutionContext<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<bool> {
        let Operator::Update { input, table, assignments, recheck, checks, returning, .. } = operator else {
            return Err(Error::internal("a data change of another kind"));
        };
        let source = Source { input, width: table.columns.len(), recheck, assignments };
        self.change_rows(operator, source, context, &mut |target, context, id, row, old, is_as_read| {
            let evaluation = evaluation_of(context);
            let mut values = SmallVec::<[Value<'_>; 4]>::new();
            for (_, expression) in assignments {
                values.push(row::value(expression, row, &evaluation)?);
            }
            let mut new: SmallVec<[DatumRef<'_>; 16]> = old.iter().copied().collect();
            for ((column, _), value) in assignments.iter().zip(&values) {
                new[*column] = value.as_datum();
            }
            if target.sets_keys() && target.mode_of(|column| old[column], |column| new[column]) == target.lock
            {
                // A newer version of the row may get another key than the one that it was locked for.
                target.lock_keys(id, context)?;
            }
            let known = ComputedRows { is_as_read, ..ComputedRows::default() };
            target.update(id, old, &new, &known, checks, context)?;
            return_row(returning.as_deref(), &Borrowed(&new), context, emit)
        })
    }

    fn delete(
        &mut self,
        operator: &Operator,
        context: &mut ExecutionContext<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<bool> {
        let Operator::Delete { input, table, recheck, returning, .. } = operator else {
            return Err(Error::internal("a data change of another kind"));
        };
        let source = Source { input, width: table.columns.len(), recheck, assignments: &[] };
        self.change_rows(operator, source, context, &mut |target, context, id, row, old, is_as_read| {
            target.delete(id, old, &ComputedRows { is_as_read, ..ComputedRows::default() }, context)?;
            return_row(returning.as_deref(), row, context, emit)
        })
    }

    /// Locks the source's rows, and hands those that still qualify, as they are now, to `change`.
    fn change_rows(
        &mut self,
        operator: &Operator,
        source: Source<'_>,
        context: &mut ExecutionContext<'_>,
        change: &mut Change<'_>,
    ) -> Result<bool> {
        let target = self.take_target(operator, context)?;
        let Source { input, width, recheck, assignments } = source;
        let mut count = 0;
        let result = self.rows(input, context, &mut |context, row, _| {
            let Some(id) = scan::row_id(row.datum(width))? else {
                return Err(Error::internal("the source of a data change gives no row id"));
            };
            let latest;
            let mode = lock_mode(&target, assignments, row, context)?;
            let mut is_as_read = true;
            let (id, row): (RowId, &dyn RowSource) = match target.lock(id, mode, context)? {
                Locked::Skip => return Ok(true),
                Locked::Unchanged => (id, row),
                Locked::Changed(id, values) => {
                    if !qualifies(recheck, &values, context)? {
                        return Ok(true);
                    }
                    latest = values;
                    is_as_read = false;
                    (id, &latest)
                }
            };
            let old: SmallVec<[DatumRef<'_>; 16]> = (0..width).map(|index| row.datum(index)).collect();
            count += 1;
            change(&target, context, id, row, &old, is_as_read)
        });
        *self.changed += count;
        self.scratch.target = Some(target);
        result
    }
}

/// Where the rows to be changed come from.
struct Source<'s> {
    input: &'s PhysicalNode,
    /// Columns of the table; the row id is behind them.
    width: usize,
    /// What a row that changed meanwhile must still satisfy.
    recheck: &'s PhysicalRecheck,
    /// What SET says.
    assignments: &'s [(usize, Expression)],
}

/// How a row is locked before it is changed.
fn lock_mode(
    target: &Target,
    assignments: &[(usize, Expression)],
    row: &dyn RowSource,
    context: &ExecutionContext<'_>,
) -> Result<RowLockMode> {
    if !target.sets_keys() {
        return Ok(target.lock);
    }
    let evaluation = evaluation_of(context);
    let mut new = Vec::with_capacity(assignments.len());
    for (column, expression) in assignments.iter().filter(|(column, _)| target.is_key_column(*column)) {
        let mut volatile = false;
        each_part(expression, &mut |part| {
            volatile |= matches!(
                part,
                Expression::Call { function, .. } if function.volatility == Volatility::Volatile
            );
        });
        if volatile {
            // It is evaluated once, when the row is changed.
            return Ok(target.lock);
        }
        new.push((*column, row::evaluate(expression, row, &evaluation)?));
    }
    let assigned_to = |column: usize| {
        let value = new.iter().find(|(assigned, _)| *assigned == column);
        value.map_or(DatumRef::Null, |(_, value)| value.as_ref())
    };
    Ok(target.mode_of(|column| row.datum(column), assigned_to))
}

/// Whether a row that changed meanwhile still qualifies.
fn qualifies(recheck: &PhysicalRecheck, row: &dyn RowSource, context: &ExecutionContext<'_>) -> Result<bool> {
    match recheck {
        PhysicalRecheck::Always => Ok(true),
        PhysicalRecheck::Condition(condition) => row::is_true(condition, row, &evaluation_of(context)),
        PhysicalRecheck::Plan { .. } => Err(Error::internal("not a check for the short path")),
    }
}

/// Changes a locked row: its id, its values now, whether these are as the plan read them; false: no more are wanted.
type Change<'c> = dyn FnMut(&Target, &mut ExecutionContext<'_>, RowId, &dyn RowSource, &[DatumRef<'_>], bool) -> Result<bool>
    + 'c;

/// Values that were computed, borrowed where they could be.
struct Computed<'a>(&'a [Value<'a>]);

impl RowSource for Computed<'_> {
    fn datum(&self, index: usize) -> DatumRef<'_> {
        self.0[index].as_datum()
    }
}

/// Values that lie elsewhere.
struct Borrowed<'a>(&'a [DatumRef<'a>]);

impl RowSource for Borrowed<'_> {
    fn datum(&self, index: usize) -> DatumRef<'_> {
        self.0[index]
    }
}

/// The values of `expressions` over a row; up to sixteen without an allocation.
fn values_of<'a>(
    expressions: &'a [Expression],
    row: &'a dyn RowSource,
    evaluation: &EvaluationContext<'a>,
) -> Result<SmallVec<[Value<'a>; 16]>> {
    let mut values = SmallVec::with_capacity(expressions.len());
    for expression in expressions {
        values.push(row::value(expression, row, evaluation)?);
    }
    Ok(values)
}

/// Makes sure that there is memory for what was computed, beyond what a row may have without a charge.
fn held(values: &[Value<'_>], context: &ExecutionContext<'_>) -> Result<Option<Reservation>> {
    let of = |value: &Value<'_>| match value {
        Value::Owned(value) => value.as_ref().long_bytes(),
        Value::Borrowed(_) => 0,
    };
    let bytes = values.iter().map(of).sum::<usize>();
    if bytes <= SMALL_BYTES || bytes <= free_bytes(context.memory) {
        return Ok(None);
    }
    let mut memory = context.memory.reservation();
    memory.grow(bytes)?;
    Ok(Some(memory))
}

/// Hands a row's RETURNING on.
fn return_row(
    returning: Option<&[Expression]>,
    row: &dyn RowSource,
    context: &mut ExecutionContext<'_>,
    emit: &mut Emit<'_>,
) -> Result<bool> {
    let Some(expressions) = returning else { return Ok(true) };
    let evaluation = evaluation_of(context);
    let values = values_of(expressions, row, &evaluation)?;
    emit(context, &Computed(&values), values.len())
}

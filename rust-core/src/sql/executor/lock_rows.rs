//! SELECT … FOR UPDATE and the like: locks the rows that come, one after the other, and passes on those that still
//! qualify, with their newest values.
//!
//! Rows are locked in the order in which they come, and none that nobody wants: LIMIT takes the first ones that could
//! be locked.

use crate::batch::batch::{Batch, Selection};
use crate::batch::builder::ColumnBuilder;
use crate::common::ids::RowId;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::limit::{limit_value, offset_value};
use crate::sql::executor::node::{NodeRef, output_types};
use crate::sql::executor::pipeline::{Flow, Transform};
use crate::sql::executor::recheck::Rechecker;
use crate::sql::executor::scan;
use crate::sql::plan::logical::{LockStrength, LockWait};
use crate::sql::plan::physical::{LockDemand, Operator, PhysicalLockTarget};
use crate::sql::types::data_type::SqlType;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::lock::LockPurpose;
use crate::table::table::{LockedRow, RowBuffer, Table};
use crate::transaction::types::{ReadView, RowLockMode};
use smallvec::SmallVec;

/// Locked rows between two looks at the cancel flag.
const ROWS_PER_CANCEL_CHECK: usize = 1000;

/// What locking did to a row.
pub(super) enum RowOutcome {
    /// It is as it came.
    Unchanged,
    /// It is left out: somebody else has it, or it is gone.
    Skip,
    /// One of its tables' rows changed; its id now.
    Changed(RowId),
}

pub(super) fn mode_of(strength: LockStrength) -> RowLockMode {
    match strength {
        LockStrength::KeyShare => RowLockMode::KeyShare,
        LockStrength::Share => RowLockMode::Share,
        LockStrength::NoKeyUpdate => RowLockMode::NoKeyUpdate,
        LockStrength::Update => RowLockMode::Update,
    }
}

/// Opens a table whose rows are locked.
pub(super) fn open(target: &PhysicalLockTarget, context: &ExecutionContext<'_>) -> Result<Table> {
    Table::open(context.manager, context.transaction, &target.table.layout)
}

/// Where very many rows are locked already, the table is locked instead of more of them.
pub(super) fn escalate(target: &PhysicalLockTarget, context: &mut ExecutionContext<'_>) -> Result<()> {
    if target.strength < LockStrength::NoKeyUpdate {
        return Ok(());
    }
    let layout = &target.table.layout;
    let indexes = layout.indexes.iter().map(|index| index.tree);
    let trees = [layout.tree, layout.value_tree].into_iter().chain(indexes);
    context.transaction.escalate(target.table.id, trees)
}

/// Locks the row of one table; `id`: its row id, or NULL where there is none.
pub(super) fn lock_one(
    target: &PhysicalLockTarget,
    table: &Table,
    id: DatumRef<'_>,
    context: &mut ExecutionContext<'_>,
) -> Result<RowOutcome> {
    let Some(id) = scan::row_id(id)? else { return Ok(RowOutcome::Unchanged) };
    let mode = mode_of(target.strength);
    let locked = match target.wait {
        LockWait::Wait => Some(table.lock_for_query(context.transaction, id, mode)?),
        LockWait::Skip | LockWait::Fail => {
            table.try_lock(context.transaction, id, mode, LockPurpose::Query)?
        }
    };
    match locked {
        Some(LockedRow::Unchanged) => Ok(RowOutcome::Unchanged),
        Some(LockedRow::Changed(id)) => Ok(RowOutcome::Changed(id)),
        Some(LockedRow::Gone) => Ok(RowOutcome::Skip),
        None if target.wait == LockWait::Fail => {
            let message = format!("could not obtain lock on row in relation \"{}\"", target.table.name);
            Err(Error::new(SqlState::LOCK_NOT_AVAILABLE, message))
        }
        None => Ok(RowOutcome::Skip),
    }
}

/// Puts the newest values of a locked row in the place of the old ones; false: it is gone.
pub(super) fn take_newest(
    target: &PhysicalLockTarget,
    table: &Table,
    row: &mut [Datum],
    context: &ExecutionContext<'_>,
) -> Result<bool> {
    let Some(id) = scan::row_id(row[target.row_id].as_ref())? else { return Ok(true) };
    // Nobody looks at the others, which may be long.
    let columns: SmallVec<[usize; 16]> = target.columns.iter().map(|(column, _)| *column).collect();
    let mut newest = RowBuffer::new();
    if !table.get(context.transaction, id, ReadView::Latest, &columns, &mut newest)? {
        return Ok(false);
    }
    for (index, (_, position)) in target.columns.iter().enumerate() {
        row[*position] = newest.datum(index).to_owned();
    }
    Ok(true)
}

/// Locks rows inside a pipeline.
pub(super) struct LockRows {
    node: NodeRef,
    tables: Vec<Table>,
    rechecker: Rechecker,
    types: Vec<SqlType>,
    batch: Option<Batch>,
    /// The next row of the batch, counted among those that are selected.
    position: usize,
    /// A row that changed, which comes next.
    changed: Option<Vec<Datum>>,
    /// Rows that are still wanted; `None`: all.
    wanted: Option<u64>,
    one_by_one: bool,
    /// Common tables of the statement change rows: those are left out, as in PostgreSQL.
    changes_in_with: bool,
    seen: usize,
}

impl LockRows {
    pub(super) fn new(node: NodeRef, rechecker: Rechecker, changes_in_with: bool) -> LockRows {
        let types = output_types(node.node()).into_iter().map(SqlType::plain).collect();
        LockRows {
            node,
            tables: Vec::new(),
            rechecker,
            types,
            batch: None,
            position: 0,
            changed: None,
            wanted: None,
            one_by_one: false,
            changes_in_with,
            seen: 0,
        }
    }

    fn lock(
        &mut self,
        targets: &[PhysicalLockTarget],
        batch: &Batch,
        number: usize,
        context: &mut ExecutionContext<'_>,
    ) -> Result<RowOutcome> {
        self.seen += 1;
        if self.seen.is_multiple_of(ROWS_PER_CANCEL_CHECK) {
            context.cancel.check()?;
        }
        let mut changed: SmallVec<[(usize, RowId); 2]> = SmallVec::new();
        for (target, table) in targets.iter().zip(&self.tables) {
            let id = batch.columns[target.row_id].datum(number);
            let outcome = lock_one(target, table, id, context)?;
            let now = if let RowOutcome::Changed(id) = outcome { Some(id) } else { scan::row_id(id)? };
            if self.is_changed_by_statement(table, now, context)? {
                return Ok(RowOutcome::Skip);
            }
            match outcome {
                RowOutcome::Unchanged => {}
                RowOutcome::Changed(id) => changed.push((target.row_id, id)),
                RowOutcome::Skip => return Ok(RowOutcome::Skip),
            }
        }
        let Some((_, first)) = changed.first().copied() else { return Ok(RowOutcome::Unchanged) };
        let mut row: Vec<Datum> =
            batch.columns.iter().map(|column| column.datum(number).to_owned()).collect();
        for (position, id) in changed {
            row[position] = Datum::BigInt(id.0);
        }
        for (target, table) in targets.iter().zip(&self.tables) {
            // KEY SHARE looks at the row as the snapshot shows it where its keys stay.
            if !take_newest(target, table, &mut row, context)? {
                return Ok(RowOutcome::Skip);
            }
        }
        if !self.rechecker.qualifies(&mut row, context)? {
            return Ok(RowOutcome::Skip);
        }
        // The check may have run a part of the statement that changed one of them.
        for (target, table) in targets.iter().zip(&self.tables) {
            if self.is_changed_by_statement(table, scan::row_id(row[target.row_id].as_ref())?, context)? {
                return Ok(RowOutcome::Skip);
            }
        }
        self.changed = Some(row);
        Ok(RowOutcome::Changed(first))
    }

    fn is_changed_by_statement(
        &self,
        table: &Table,
        id: Option<RowId>,
        context: &ExecutionContext<'_>,
    ) -> Result<bool> {
        match id {
            Some(id) if self.changes_in_with => table.is_written_by_command(context.transaction, id),
            _ => Ok(false),
        }
    }

    /// Counts rows that go out; what comes after them.
    fn pass(&mut self, batch: Batch, rows: u64) -> (Option<Batch>, Flow) {
        if let Some(wanted) = &mut self.wanted {
            *wanted -= rows;
        }
        let at_end = self.batch.as_ref().is_none_or(|batch| self.position >= batch.selected_rows());
        let flow = match self.wanted {
            Some(0) => Flow::Finished,
            _ if self.changed.is_some() || !at_end => Flow::MoreOutput,
            _ => Flow::NeedInput,
        };
        (Some(batch), flow)
    }

    fn single(&self, row: &[Datum]) -> Batch {
        let columns = self.types.iter().zip(row).map(|(sql_type, value)| {
            let mut builder = ColumnBuilder::new(*sql_type, 1);
            builder.push_datum(value.as_ref());
            Arc::new(builder.finish())
        });
        Batch { columns: columns.collect(), rows: 1, selection: None }
    }
}

impl Transform for LockRows {
    fn prepare(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        let node = self.node.clone();
        let Operator::LockRows { targets, demand, .. } = node.operator() else {
            unreachable!("made for locking");
        };
        self.tables = targets.iter().map(|target| open(target, context)).collect::<Result<_>>()?;
        (self.wanted, self.one_by_one) = match demand {
            LockDemand::All => (None, false),
            LockDemand::OneByOne => (None, true),
            LockDemand::Limited { limit, offset } => {
                let evaluation = context.evaluation();
                let offset = offset_value(offset.as_ref(), &evaluation)?;
                let limit = limit_value(limit.as_ref(), &evaluation)?;
                (limit.map(|limit| limit.saturating_add(offset)), false)
            }
        };
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.wanted == Some(0)
    }

    fn rows_taken(&self, rows: Option<u64>) -> Option<u64> {
        match (self.wanted, rows) {
            (Some(wanted), Some(rows)) => Some(wanted.min(rows)),
            (wanted, rows) => wanted.or(rows),
        }
    }

    fn push(
        &mut self,
        input: Option<Batch>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<(Option<Batch>, Flow)> {
        let node = self.node.clone();
        let Operator::LockRows { targets, .. } = node.operator() else {
            unreachable!("made for locking");
        };
        if let Some(batch) = input {
            for target in targets {
                escalate(target, context)?;
            }
            self.batch = Some(batch);
            self.position = 0;
        }
        if let Some(row) = self.changed.take() {
            let batch = self.single(&row);
            return Ok(self.pass(batch, 1));
        }
        let Some(batch) = self.batch.clone() else { return Ok((None, Flow::NeedInput)) };
        let most = if self.one_by_one { 1 } else { self.wanted.unwrap_or(u64::MAX) };
        let mut kept: Vec<u16> = Vec::new();
        let rows = batch.selected_rows();
        while self.position < rows && (kept.len() as u64) < most {
            let number = match &batch.selection {
                Some(Selection(numbers)) => usize::from(numbers[self.position]),
                None => self.position,
            };
            self.position += 1;
            match self.lock(targets, &batch, number, context)? {
                RowOutcome::Unchanged => kept.push(number as u16),
                RowOutcome::Skip => {}
                RowOutcome::Changed(_) => break,
            }
        }
        if kept.is_empty() {
            let Some(row) = self.changed.take() else { return Ok((None, Flow::NeedInput)) };
            let batch = self.single(&row);
            return Ok(self.pass(batch, 1));
        }
        let count = kept.len() as u64;
        let selected = if kept.len() == batch.rows {
            batch
        } else {
            Batch { selection: Some(Selection(kept)), ..batch }
        };
        Ok(self.pass(selected, count))
    }

    fn restart(&mut self) {
        self.batch = None;
        self.position = 0;
        self.changed = None;
    }
}

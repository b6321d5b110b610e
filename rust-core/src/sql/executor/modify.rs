//! INSERT, UPDATE and DELETE: takes the source's rows, changes the table, keeps RETURNING's rows for the next
//! pipeline. The source sees no change of this statement: its writes carry a later command number.

use crate::batch::batch::{Batch, Selection};
use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::catalog::table_definition::{Deferral, TableDefinition};
use crate::common::ids::RowId;
use crate::common::limits::BATCH_ROWS;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::sql::evaluate::columns;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row;
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::assemble::may_repeat_rows;
use crate::sql::executor::computed::ComputedValues;
use crate::sql::executor::conflict::ConflictScratch;
use crate::sql::executor::constraint::pending::Event;
use crate::sql::executor::constraint::{self, ChangedTables, Reached};
use crate::sql::executor::node::NodeRef;
use crate::sql::executor::pipeline::{Flow, Pipeline, Sink, Source};
use crate::sql::executor::recheck::Rechecker;
use crate::sql::functions::part::PartKind;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::logical::BoundCheck;
use crate::sql::plan::physical::{Operator, PhysicalNode};
use crate::sql::plan::reference::{ReferenceTable, References};
use crate::sql::types::compare::equal;
use crate::sql::types::data_type::SqlType;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::bulk::{LoadOutcome, TableLoad};
use crate::table::layout::{IndexKey, RowIdSource};
use crate::table::pending::Settled;
use crate::table::table::{InsertOutcome, LockedRow, Table, Unread};
use crate::transaction::types::{ReadView, RowLockMode};
use hashbrown::HashSet;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows between two looks at the cancel flag.
const ROWS_PER_CANCEL_CHECK: usize = 1000;

/// A table that rows are written to.
pub(super) struct Target {
    pub(super) definition: Arc<TableDefinition>,
    pub(super) table: Table,
    /// What its indexes compute of a row.
    pub(super) computed: ComputedValues,
    /// How a row is locked before it is changed.
    pub(super) lock: RowLockMode,
    /// Columns of keys that an UPDATE sets, perhaps to the values that they have.
    keys: SmallVec<[usize; 2]>,
    /// Indexes whose keys are unique only in the end.
    deferrable: SmallVec<[usize; 2]>,
    /// What its foreign keys reach.
    reached: Option<Reached>,
    /// Columns of which the plan's rows have no value that their row only points to.
    unread: SmallVec<[usize; 4]>,
    /// Those of them that the statement does not set.
    kept: SmallVec<[usize; 4]>,
}

/// What became of a row that was to be changed.
pub(super) enum Locked {
    /// It is as the statement's snapshot shows it.
    Unchanged,
    /// It changed: its id now, and its newest values.
    Changed(RowId, Vec<Datum>),
    /// It is gone.
    Skip,
}

impl Target {
    /// Opens the table. `changed`: the columns that rows get other values in; `None`: rows go or come.
    fn open(
        definition: &Arc<TableDefinition>,
        changed: Option<&[usize]>,
        computed: &Arc<[Expression]>,
        references: Option<&Arc<References>>,
        context: &ExecutionContext<'_>,
    ) -> Result<Target> {
        let layout = &definition.layout;
        let deferrable = |index: &usize| definition.indexes[*index].deferral != Deferral::NotDeferrable;
        let mut target = Target {
            definition: Arc::clone(definition),
            computed: ComputedValues::new(layout, computed),
            table: Table::open(context.manager, context.transaction, layout)?,
            lock: RowLockMode::Update,
            keys: SmallVec::new(),
            deferrable: (0..layout.indexes.len()).filter(deferrable).collect(),
            reached: references.map(Reached::new),
            unread: SmallVec::new(),
            kept: SmallVec::new(),
        };
        if let Some(changed) = changed {
            target.keys = changed.iter().copied().filter(|column| target.is_key_column(*column)).collect();
            if target.keys.is_empty() {
                target.lock = RowLockMode::NoKeyUpdate;
            }
        }
        Ok(target)
    }

    /// Opens a table that a change of another one reaches.
    pub(super) fn of_reached(reached: &ReferenceTable, context: &ExecutionContext<'_>) -> Result<Target> {
        Target::open(&reached.table, None, &reached.computed, None, context)
    }

    /// Whether a column is part of a key that other tables could refer to.
    pub(super) fn is_key_column(&self, column: usize) -> bool {
        let layout = &self.definition.layout;
        layout.row_id == RowIdSource::Column(column)
            || layout.indexes.iter().enumerate().any(|(position, index)| {
                (index.unique || self.deferrable.contains(&position))
                    && (index.columns.iter().any(|part| part.key == IndexKey::Column(column))
                        || self.computed.index_uses(index, &|used| used == column))
            })
    }

    /// What it is.
    pub(super) fn definition(&self) -> &Arc<TableDefinition> {
        &self.definition
    }

    /// Its rows and indexes.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// What its foreign keys reach.
    pub(super) fn reached(&self) -> Option<&Reached> {
        self.reached.as_ref()
    }

    /// To be called when the statement has changed all its rows: what waited for that is done or looked at.
    #[inline]
    pub(super) fn end_statement(&self, context: &mut ExecutionContext<'_>) -> Result<()> {
        if context.pending.is_settled() { Ok(()) } else { constraint::end_statement(Some(self), context) }
    }

    /// Writes the keys that waited.
    pub(super) fn settle(&self, context: &mut ExecutionContext<'_>) -> Result<()> {
        if context.pending.keys.is_empty() {
            return Ok(());
        }
        match self.table.settle(context.transaction, &mut context.pending.keys)? {
            Settled::Written => Ok(()),
            Settled::Duplicate { index, values } => {
                let evaluation = EvaluationContext::new(context.parameters, context.environment);
                let row: Vec<DatumRef<'_>> = values.iter().map(Datum::as_ref).collect();
                let row = &row[..self.definition.columns.len().min(row.len())];
                let mut kept = Vec::new();
                let row = self.computed.extended(row, None, &mut kept)?;
                Err(constraint::duplicate_key(&self.definition, index, &row, &evaluation))
            }
        }
    }

    /// Locks the keys of a row that are unique only in the end, and keeps those that others have for later.
    fn claim_keys(
        &self,
        id: RowId,
        old: Option<(RowId, &[DatumRef<'_>])>,
        row: &[DatumRef<'_>],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        for index in self.deferrable.iter().copied() {
            let key = self.table.shared_key(index, row);
            if let Some((old_id, old)) = old {
                let old_key = self.table.shared_key(index, old);
                if old_key == key && (old_id == id || !context.pending.follows_rows()) {
                    continue;
                }
                if old_key != key {
                    self.table.lock_shared_key(context.transaction, index, old)?;
                }
            }
            let Some(key) = self.table.lock_shared_key(context.transaction, index, row)? else { continue };
            if !context.pending.keys.is_empty()
                || self.table.is_key_shared(context.transaction, index, &key, id)?
            {
                let event = Event::Unique { table: Arc::clone(&self.definition), index, row: id };
                context.pending.push(event, context.memory)?;
            }
        }
        Ok(())
    }

    /// Whether rows that are added may be looked at again at the end of the statement.
    fn has_late_checks(&self) -> bool {
        !self.deferrable.is_empty() || self.reached.as_ref().is_some_and(Reached::refers)
    }

    /// Where a row's changes lead.
    fn within(&self) -> Option<(&Reached, usize)> {
        self.reached.as_ref().map(|reached| (reached, 0))
    }

    /// Where very many rows are locked already, the table is locked instead of more of them.
    pub(super) fn escalate(&self, context: &mut ExecutionContext<'_>) -> Result<()> {
        let layout = &self.definition.layout;
        let indexes = layout.indexes.iter().map(|index| index.tree);
        let trees = [layout.tree, layout.value_tree].into_iter().chain(indexes);
        context.transaction.escalate(self.definition.id, trees)
    }

    /// Opens the table that a data change is of.
    pub(super) fn of(operator: &Operator, context: &ExecutionContext<'_>) -> Result<Target> {
        match operator {
            Operator::Update { table, input, assignments, computed, references, .. } => {
                let changed: SmallVec<[usize; 8]> = assignments.iter().map(|(column, _)| *column).collect();
                let mut target = Target::open(table, Some(&changed), computed, references.as_ref(), context)?;
                target.unread.extend(unread_columns(input));
                target.kept.extend(target.unread.iter().copied().filter(|column| !changed.contains(column)));
                Ok(target)
            }
            Operator::Delete { table, input, computed, references, .. } => {
                let mut target = Target::open(table, None, computed, references.as_ref(), context)?;
                target.unread.extend(unread_columns(input));
                Ok(target)
            }
            Operator::Insert { table, computed, references, conflict: Some(conflict), .. } => {
                let changed = conflict.update.as_ref().map(|update| update.columns.as_slice());
                let mut target = Target::open(table, changed, computed, references.as_ref(), context)?;
                if let Some(update) = &conflict.update {
                    let kept = update.unread.iter().filter(|column| !update.columns.contains(column));
                    target.kept.extend(kept.copied());
                    target.unread.extend_from_slice(&update.unread);
                }
                Ok(target)
            }
            Operator::Insert { table, computed, references, .. } => {
                Target::open(table, None, computed, references.as_ref(), context)
            }
            _ => Err(Error::internal("a data change of another kind")),
        }
    }

    /// What the indexes compute of a batch of rows in the table's order; nothing where there is nothing to compute, or
    /// where it has to be done row by row.
    fn computed_of(&self, batch: &Batch) -> Option<Vec<Arc<Column>>> {
        if self.computed.is_empty() { None } else { self.computed.of_batch(batch) }
    }

    /// Checks a row and puts it into the table. `batch`: where its computed values are already.
    pub(super) fn insert(
        &self,
        new: &[DatumRef<'_>],
        batch: Option<(&[Arc<Column>], usize)>,
        checks: &[BoundCheck],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let evaluation = EvaluationContext::new(context.parameters, context.environment);
        constraint::check(&self.definition, checks, new, &evaluation)?;
        if self.computed.is_empty() {
            return self.insert_whole(new, &evaluation, context);
        }
        let mut kept = Vec::new();
        let new = self.computed.extended(new, batch, &mut kept)?;
        self.insert_whole(&new, &evaluation, context)
    }

    /// Puts a row with its computed values into the table.
    fn insert_whole(
        &self,
        new: &[DatumRef<'_>],
        evaluation: &EvaluationContext<'_>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        match self.table.insert(context.transaction, new)? {
            InsertOutcome::Inserted(id) => self.after_insert(id, new, context),
            InsertOutcome::Duplicate { index } => {
                Err(constraint::duplicate_key(&self.definition, index, new, evaluation))
            }
        }
    }

    /// What a row that was added asks of its constraints: `new` with its computed values.
    #[inline]
    pub(super) fn after_insert(
        &self,
        id: RowId,
        new: &[DatumRef<'_>],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        if !self.deferrable.is_empty() {
            self.claim_keys(id, None, new, context)?;
        }
        match &self.reached {
            Some(reached) => reached.added(0, id, new, context),
            None => Ok(()),
        }
    }

    /// How a row is locked that changes from `old` to `new`: a key that is set to the value that it has stays.
    pub(super) fn mode_of<'v>(
        &self,
        old: impl Fn(usize) -> DatumRef<'v>,
        new: impl Fn(usize) -> DatumRef<'v>,
    ) -> RowLockMode {
        let types = &self.definition.layout.columns;
        let stays = |column: &usize| equal(old(*column), new(*column), types[*column].data_type);
        if !self.keys.is_empty() && self.keys.iter().all(stays) {
            RowLockMode::NoKeyUpdate
        } else {
            self.lock
        }
    }

    /// Whether what a row is locked for depends on its values.
    pub(super) fn sets_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Locks a row whose newest version gets a key that was not known when it was locked.
    pub(super) fn lock_keys(&self, id: RowId, context: &mut ExecutionContext<'_>) -> Result<()> {
        self.table.lock_newest(context.transaction, id, self.lock)
    }

    /// Locks a row that the snapshot shows, and reads it again if it changed since.
    pub(super) fn lock(
        &self,
        id: RowId,
        mode: RowLockMode,
        context: &mut ExecutionContext<'_>,
    ) -> Result<Locked> {
        match self.table.lock(context.transaction, id, mode)? {
            LockedRow::Unchanged => Ok(Locked::Unchanged),
            LockedRow::Gone => Ok(Locked::Skip),
            LockedRow::Changed(id) => {
                let newest = self.table.get_datums(context.transaction, id, ReadView::Latest)?;
                Ok(newest.map_or(Locked::Skip, |newest| Locked::Changed(id, newest)))
            }
        }
    }

    /// Checks the new row and puts it in the place of the old one, which is locked.
    pub(super) fn update(
        &self,
        id: RowId,
        old: &[DatumRef<'_>],
        new: &[DatumRef<'_>],
        batch: &ComputedRows<'_>,
        checks: &[BoundCheck],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        self.update_within(self.within(), id, old, new, batch, checks, context)
    }

    /// As [`Target::update`], for a table that `within` reaches by this number.
    #[expect(clippy::too_many_arguments, reason = "the row twice, with what is known of it")]
    pub(super) fn update_within(
        &self,
        within: Option<(&Reached, usize)>,
        id: RowId,
        old: &[DatumRef<'_>],
        new: &[DatumRef<'_>],
        batch: &ComputedRows<'_>,
        checks: &[BoundCheck],
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let evaluation = EvaluationContext::new(context.parameters, context.environment);
        if let Err(error) = constraint::check(&self.definition, checks, new, &evaluation) {
            return Err(match batch.is_as_read && !self.kept.is_empty() {
                true => self.error_of_whole(id, new, checks, context)?.unwrap_or(error),
                false => error,
            });
        }
        let unread = match batch.is_as_read {
            true => Unread { columns: &self.unread, kept: &self.kept },
            false => Unread::default(),
        };
        if self.computed.is_empty() {
            return self.update_whole(within, id, (old, new, unread), context);
        }
        let (mut kept_old, mut kept_new) = (Vec::new(), Vec::new());
        let old = self.computed.extended(old, batch.old, &mut kept_old)?;
        let new = self.computed.extended(new, batch.new, &mut kept_new)?;
        self.update_whole(within, id, (&old, &new, unread), context)
    }

    /// The error of a broken constraint with the whole row in it.
    #[cold]
    fn error_of_whole(
        &self,
        id: RowId,
        new: &[DatumRef<'_>],
        checks: &[BoundCheck],
        context: &ExecutionContext<'_>,
    ) -> Result<Option<Error>> {
        let Some(stored) = self.table.get_datums(context.transaction, id, ReadView::Latest)? else {
            return Ok(None);
        };
        let mut whole = new.to_vec();
        for column in &self.kept {
            whole[*column] = stored[*column].as_ref();
        }
        let evaluation = EvaluationContext::new(context.parameters, context.environment);
        Ok(constraint::check(&self.definition, checks, &whole, &evaluation).err())
    }

    fn update_whole(
        &self,
        within: Option<(&Reached, usize)>,
        old_id: RowId,
        (old, new, unread): (&[DatumRef<'_>], &[DatumRef<'_>], Unread<'_>),
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let keys = &mut context.pending.keys;
        let before = keys.bytes();
        let id = self.table.update_or_wait(context.transaction, old_id, old, new, unread, keys)?;
        if keys.bytes() != before {
            context.pending.charge_keys(before, context.memory)?;
        }
        if !self.deferrable.is_empty() {
            self.claim_keys(id, Some((old_id, old)), new, context)?;
        }
        match within {
            Some((reached, number)) => reached.changed(number, (old_id, id), old, new, context),
            None => Ok(()),
        }
    }

    /// Removes a row, which is locked.
    pub(super) fn delete(
        &self,
        id: RowId,
        old: &[DatumRef<'_>],
        batch: &ComputedRows<'_>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        self.delete_within(self.within(), id, old, batch, context)
    }

    /// As [`Target::delete`], for a table that `within` reaches by this number.
    pub(super) fn delete_within(
        &self,
        within: Option<(&Reached, usize)>,
        id: RowId,
        old: &[DatumRef<'_>],
        batch: &ComputedRows<'_>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let unread: &[usize] = if batch.is_as_read { &self.unread } else { &[] };
        if self.computed.is_empty() {
            return self.delete_whole(within, id, (old, unread), context);
        }
        let mut kept = Vec::new();
        let old = self.computed.extended(old, batch.old, &mut kept)?;
        self.delete_whole(within, id, (&old, unread), context)
    }

    fn delete_whole(
        &self,
        within: Option<(&Reached, usize)>,
        id: RowId,
        (old, unread): (&[DatumRef<'_>], &[usize]),
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        for index in self.deferrable.iter().copied() {
            self.table.lock_shared_key(context.transaction, index, old)?;
        }
        self.table.delete_unread(context.transaction, id, old, unread)?;
        match within {
            Some((reached, number)) => reached.removed(number, old, context),
            None => Ok(()),
        }
    }
}

/// What is known of a row that is changed.
#[derive(Default)]
pub(super) struct ComputedRows<'a> {
    /// Where the computed values of the old row are already: columns and the row's number; `None`: nowhere yet.
    pub(super) old: Option<(&'a [Arc<Column>], usize)>,
    /// As `old`, of the new one.
    pub(super) new: Option<(&'a [Arc<Column>], usize)>,
    /// The old row is as the plan read it: columns may be unread. Else it is whole.
    pub(super) is_as_read: bool,
}

/// Table columns that the rows to change have only where their row holds the value itself.
fn unread_columns(input: &PhysicalNode) -> impl Iterator<Item = usize> {
    let parts = match &input.operator {
        Operator::TableScan { output, .. }
        | Operator::IndexScan { output, .. }
        | Operator::RowIdLookup { output, .. }
        | Operator::UniqueLookup { output, .. } => &output.parts[..],
        _ => &[],
    };
    // The rows of a data change have the table's columns first, in order.
    parts.iter().filter(|part| part.kind == PartKind::InRow).map(|part| part.output)
}

/// Whether the rows of an INSERT go to finished pages beside the log.
enum Loading {
    /// No row came yet.
    Unknown,
    /// The table is empty; these wait until there are enough of them.
    Waiting {
        batches: Vec<Batch>,
        rows: u64,
    },
    Running(Box<TableLoad>),
    /// They are written one by one.
    Off,
}

/// Changes a table by the rows it is given.
pub(super) struct Modify {
    pub(super) node: NodeRef,
    pub(super) target: Target,
    /// For rows that changed before they were locked.
    rechecker: Option<Rechecker>,
    loading: Loading,
    waiting: Reservation,
    affected: Arc<AtomicU64>,
    returned: VecDeque<Batch>,
    memory: Reservation,
    rows_seen: usize,
    /// Rows changed so far, where the source may give one again.
    changed: Option<HashSet<RowId>>,
    changed_memory: Reservation,
    /// Other parts of the statement change rows too, under the same command number.
    shares_command: bool,
    /// For ON CONFLICT.
    pub(super) conflict: ConflictScratch,
}

impl Modify {
    pub(super) fn new(
        node: NodeRef,
        affected: Arc<AtomicU64>,
        conflict_values: Option<Pipeline>,
        rechecker: Option<Rechecker>,
        context: &mut ExecutionContext<'_>,
    ) -> Result<Modify> {
        let target = Target::of(node.operator(), context)?;
        let repeats = match node.operator() {
            Operator::Update { input, .. } | Operator::Delete { input, .. } => may_repeat_rows(input),
            _ => false,
        };
        Ok(Modify {
            node,
            target,
            rechecker,
            loading: Loading::Unknown,
            waiting: context.memory.reservation(),
            affected,
            returned: VecDeque::new(),
            memory: context.memory.reservation(),
            rows_seen: 0,
            changed: repeats.then(HashSet::new),
            changed_memory: context.memory.reservation(),
            shares_command: false,
            conflict: ConflictScratch::new(conflict_values),
        })
    }

    /// Tells it that other parts of the statement change rows too: what one of them has changed is left alone, and what
    /// waits for the end of the statement waits for all of them. `changed`: all that the statement changes.
    pub(super) fn share_command(&mut self, changed: &Arc<ChangedTables>) {
        self.shares_command = true;
        if let Some(reached) = &mut self.target.reached {
            reached.set_changed_beside(changed);
        }
        self.loading = Loading::Off;
    }

    /// Locks a row of a batch. Where it changed and still qualifies: the whole row of the batch, with what it is now.
    fn lock(
        &mut self,
        id: RowId,
        mode: RowLockMode,
        (batch, row): (&Batch, usize),
        context: &mut ExecutionContext<'_>,
    ) -> Result<Locked> {
        let locked = self.target.lock(id, mode, context)?;
        let now = if let Locked::Changed(id, _) = &locked { *id } else { id };
        if self.is_changed_beside(now, context)? {
            return Ok(Locked::Skip);
        }
        let (id, mut newest) = match locked {
            Locked::Changed(id, newest) => (id, newest),
            other => return Ok(other),
        };
        newest.push(Datum::BigInt(id.0));
        let others = batch.columns.iter().skip(newest.len());
        newest.extend(others.map(|column| column.datum(row).to_owned()));
        let qualifies = match &mut self.rechecker {
            Some(rechecker) => rechecker.qualifies(&mut newest, context)?,
            None => return Err(Error::internal("a changed row that nobody can check")),
        };
        // The check may have run a part that changed it.
        if !qualifies || self.is_changed_beside(id, context)? {
            return Ok(Locked::Skip);
        }
        Ok(Locked::Changed(id, newest))
    }

    /// Whether another part of the statement has changed the row.
    fn is_changed_beside(&self, id: RowId, context: &ExecutionContext<'_>) -> Result<bool> {
        Ok(self.shares_command && self.target.table.is_written_by_command(context.transaction, id)?)
    }

    /// Whether the row was changed already.
    fn is_repeated(&self, id: RowId) -> bool {
        self.changed.as_ref().is_some_and(|changed| changed.contains(&id))
    }

    fn note_changed(&mut self, id: RowId) {
        self.count(1);
        if let Some(changed) = &mut self.changed {
            changed.insert(id);
        }
    }

    fn charge_changed(&mut self) -> Result<()> {
        match &self.changed {
            Some(changed) => self.changed_memory.resize(changed.allocation_size()),
            None => Ok(()),
        }
    }

    /// Evaluates RETURNING over rows in table order and keeps the result.
    pub(super) fn keep_returned(
        &mut self,
        returning: &[Expression],
        rows: &Batch,
        evaluation: &EvaluationContext<'_>,
    ) -> Result<()> {
        let columns = returning
            .iter()
            .map(|expression| columns::evaluate(expression, rows, evaluation))
            .collect::<Result<Vec<_>>>()?;
        let batch = Batch { columns, rows: rows.rows, selection: rows.selection.clone() };
        if batch.selected_rows() > 0 {
            self.memory.grow(batch.memory_bytes())?;
            self.returned.push_back(batch);
        }
        Ok(())
    }

    pub(super) fn cancel_point(&mut self, context: &ExecutionContext<'_>) -> Result<()> {
        self.rows_seen += 1;
        if self.rows_seen.is_multiple_of(ROWS_PER_CANCEL_CHECK) { context.cancel.check() } else { Ok(()) }
    }

    pub(super) fn count(&self, rows: u64) {
        self.affected.fetch_add(rows, Ordering::Relaxed);
    }

    /// Takes rows of an INSERT: many of them into an empty table are loaded, others are written one by one.
    fn take(&mut self, batch: Batch, context: &mut ExecutionContext<'_>) -> Result<()> {
        if let Operator::Insert { conflict: Some(_), .. } = self.node.operator() {
            return self.insert_or_resolve(&batch, context);
        }
        let least = context.transaction.bulk_rows();
        if matches!(self.loading, Loading::Unknown) {
            let is_long = batch.selected_rows() as u64 >= least.min(BATCH_ROWS as u64 / 2);
            let returns = matches!(self.node.operator(), Operator::Insert { returning: Some(_), .. });
            let may_load = is_long
                && !returns
                && !self.target.has_late_checks()
                && self.target.table.can_load(context.transaction)?;
            self.loading = match may_load {
                true => Loading::Waiting { batches: Vec::new(), rows: 0 },
                false => Loading::Off,
            };
        }
        match &mut self.loading {
            Loading::Waiting { batches, rows } => {
                let fits = self.waiting.grow(batch.memory_bytes()).is_ok();
                *rows += batch.selected_rows() as u64;
                let is_enough = *rows >= least;
                batches.push(batch);
                if is_enough || !fits { self.end_waiting(is_enough, context) } else { Ok(()) }
            }
            Loading::Running(_) => self.load(&batch, context),
            Loading::Unknown | Loading::Off => self.insert(&batch, context),
        }
    }

    /// Takes the rows that wait: as a load, if that is wanted and nobody else is at work on the table.
    fn end_waiting(&mut self, load: bool, context: &mut ExecutionContext<'_>) -> Result<()> {
        let Loading::Waiting { batches, .. } = &mut self.loading else { return Ok(()) };
        let batches = std::mem::take(batches);
        self.loading = Loading::Off;
        let table = &self.target.table;
        // Looked at again under the lock.
        if load
            && (table.is_new(context.transaction)?
                || context.transaction.try_lock_whole(self.target.definition.id, table.trees())?)
            && table.can_load(context.transaction)?
        {
            self.loading = Loading::Running(Box::new(table.begin_load(context.transaction)?));
        }
        for batch in batches {
            match &self.loading {
                Loading::Running(_) => self.load(&batch, context)?,
                _ => self.insert(&batch, context)?,
            }
        }
        self.waiting.resize(0)
    }

    /// Loads rows. At the first one that does not come in order the load ends, and the others are written one by one.
    fn load(&mut self, batch: &Batch, context: &mut ExecutionContext<'_>) -> Result<()> {
        let node = self.node.clone();
        let Operator::Insert { checks, .. } = node.operator() else {
            unreachable!("checked by the caller");
        };
        let computed = self.target.computed_of(batch);
        let mut left_from = None;
        let mut new: SmallVec<[DatumRef<'_>; 16]> = SmallVec::new();
        let mut loaded = 0;
        for (position, row) in batch.row_numbers().enumerate() {
            self.cancel_point(context)?;
            let Loading::Running(load) = &mut self.loading else { break };
            new.clear();
            new.extend(batch.columns.iter().map(|column| column.datum(row)));
            let evaluation = EvaluationContext::new(context.parameters, context.environment);
            constraint::check(&self.target.definition, checks, &new, &evaluation)?;
            let (mut values, extended);
            let mut whole: &[DatumRef<'_>] = &new;
            if !self.target.computed.is_empty() {
                let batch = computed.as_deref().map(|columns| (columns, row));
                values = Vec::new();
                extended = self.target.computed.extended(&new, batch, &mut values)?;
                whole = &extended;
            }
            match self.target.table.load_row(context.transaction, load, whole)? {
                LoadOutcome::Loaded => loaded += 1,
                LoadOutcome::Duplicate => {
                    return Err(constraint::duplicate_key(&self.target.definition, None, whole, &evaluation));
                }
                LoadOutcome::OutOfOrder => left_from = Some(position),
            }
            if left_from.is_some() {
                self.end_load(context)?;
            }
        }
        self.count(loaded);
        match left_from {
            None => Ok(()),
            Some(first) => {
                let rows = batch.row_numbers().skip(first).map(|row| row as u16).collect();
                self.insert(&Batch { selection: Some(Selection(rows)), ..batch.clone() }, context)
            }
        }
    }

    /// Ends a load: what was loaded is in the table.
    fn end_load(&mut self, context: &mut ExecutionContext<'_>) -> Result<()> {
        let Loading::Running(load) = std::mem::replace(&mut self.loading, Loading::Off) else {
            return Ok(());
        };
        let Target { table, definition, computed, .. } = &self.target;
        let Some((index, row)) = table.finish_load(context.transaction, *load)? else { return Ok(()) };
        let row = table
            .get_datums(context.transaction, row, ReadView::Latest)?
            .ok_or_else(|| Error::internal("a loaded row is not there"))?;
        let row: Vec<DatumRef<'_>> = row.iter().map(Datum::as_ref).collect();
        let evaluation = EvaluationContext::new(context.parameters, context.environment);
        let mut values = Vec::new();
        let row = computed.extended(&row, None, &mut values)?;
        Err(constraint::duplicate_key(definition, Some(index), &row, &evaluation))
    }

    fn insert(&mut self, batch: &Batch, context: &mut ExecutionContext<'_>) -> Result<()> {
        let node = self.node.clone();
        let Operator::Insert { checks, returning, .. } = node.operator() else {
            unreachable!("checked by the caller");
        };
        let computed = self.target.computed_of(batch);
        let mut new = Vec::with_capacity(batch.columns.len());
        for row in batch.row_numbers() {
            self.cancel_point(context)?;
            new.clear();
            new.extend(batch.columns.iter().map(|column| column.datum(row)));
            self.target.insert(&new, computed.as_deref().map(|columns| (columns, row)), checks, context)?;
        }
        self.count(batch.selected_rows() as u64);
        match returning {
            Some(returning) => self.keep_returned(returning, batch, &evaluation_of(context)),
            None => Ok(()),
        }
    }

    fn update(&mut self, batch: &Batch, context: &mut ExecutionContext<'_>) -> Result<()> {
        let node = self.node.clone();
        let Operator::Update { assignments, checks, returning, .. } = node.operator() else {
            unreachable!("checked by the caller");
        };
        let evaluation = evaluation_of(context);
        let assigned = assignments
            .iter()
            .map(|(column, expression)| Ok((*column, columns::evaluate(expression, batch, &evaluation)?)))
            .collect::<Result<Vec<(usize, Arc<Column>)>>>()?;
        let width = self.target.definition.columns.len();
        let others = &batch.columns[(width + 1).min(batch.columns.len())..];
        let old_computed = self.target.computed_of(batch);
        let new_computed = old_computed.as_ref().and_then(|_| {
            let mut changed = batch.clone();
            for (column, values) in &assigned {
                changed.columns[*column] = Arc::clone(values);
            }
            self.target.computed_of(&changed)
        });
        let mut kept =
            returning.is_some().then(|| RowKeeper::new(&self.target.definition, others, batch.rows));
        let mut old: Vec<DatumRef<'_>> = Vec::with_capacity(width);
        let mut new: Vec<DatumRef<'_>> = Vec::with_capacity(width);
        for row in batch.row_numbers() {
            self.cancel_point(context)?;
            let id = row_id_of(batch, width, row)?;
            if self.is_repeated(id) {
                continue;
            }
            let assigned_to = |column: usize| {
                let value = assigned.iter().find(|(assigned, _)| *assigned == column);
                value.map_or(DatumRef::Null, |(_, values)| values.datum(row))
            };
            let mode = match self.target.sets_keys() {
                true => self.target.mode_of(|column| batch.columns[column].datum(row), assigned_to),
                false => self.target.lock,
            };
            match self.lock(id, mode, (batch, row), context)? {
                Locked::Skip => continue,
                Locked::Unchanged => {
                    old.clear();
                    old.extend(batch.columns[..width].iter().map(|column| column.datum(row)));
                    new.clear();
                    new.extend_from_slice(&old);
                    for (column, values) in &assigned {
                        new[*column] = values.datum(row);
                    }
                    let computed = ComputedRows {
                        old: old_computed.as_deref().map(|columns| (columns, row)),
                        new: new_computed.as_deref().map(|columns| (columns, row)),
                        is_as_read: true,
                    };
                    self.target.update(id, &old, &new, &computed, checks, context)?;
                    if let Some(kept) = &mut kept {
                        kept.push(&new, others, row);
                    }
                }
                Locked::Changed(id, latest) => {
                    let mut values = latest[..width].to_vec();
                    for (column, expression) in assignments {
                        values[*column] = row::evaluate(expression, &latest, &evaluation)?;
                    }
                    let old: Vec<DatumRef<'_>> = latest[..width].iter().map(Datum::as_ref).collect();
                    let new: Vec<DatumRef<'_>> = values.iter().map(Datum::as_ref).collect();
                    if self.target.mode_of(|column| old[column], |column| new[column]) != mode {
                        self.target.lock_keys(id, context)?;
                    }
                    self.target.update(id, &old, &new, &ComputedRows::default(), checks, context)?;
                    if let Some(kept) = &mut kept {
                        kept.push_row(
                            new.iter().copied().chain(latest[width + 1..].iter().map(Datum::as_ref)),
                        );
                    }
                }
            }
            self.note_changed(id);
        }
        self.charge_changed()?;
        match (returning, kept) {
            (Some(returning), Some(kept)) => self.keep_returned(returning, &kept.finish(), &evaluation),
            _ => Ok(()),
        }
    }

    fn delete(&mut self, batch: &Batch, context: &mut ExecutionContext<'_>) -> Result<()> {
        let node = self.node.clone();
        let Operator::Delete { returning, .. } = node.operator() else {
            unreachable!("checked by the caller");
        };
        let width = self.target.definition.columns.len();
        // RETURNING sees the row id's column too.
        let others = &batch.columns[width.min(batch.columns.len())..];
        let computed = self.target.computed_of(batch);
        let mut kept =
            returning.is_some().then(|| RowKeeper::new(&self.target.definition, others, batch.rows));
        let mut old: Vec<DatumRef<'_>> = Vec::with_capacity(width);
        for row in batch.row_numbers() {
            self.cancel_point(context)?;
            let id = row_id_of(batch, width, row)?;
            if self.is_repeated(id) {
                continue;
            }
            match self.lock(id, self.target.lock, (batch, row), context)? {
                Locked::Skip => continue,
                Locked::Unchanged => {
                    old.clear();
                    old.extend(batch.columns[..width].iter().map(|column| column.datum(row)));
                    let old_computed = computed.as_deref().map(|columns| (columns, row));
                    let known = ComputedRows { old: old_computed, new: None, is_as_read: true };
                    self.target.delete(id, &old, &known, context)?;
                    if let Some(kept) = &mut kept {
                        kept.push(&old, others, row);
                    }
                }
                Locked::Changed(id, latest) => {
                    let old: Vec<DatumRef<'_>> = latest[..width].iter().map(Datum::as_ref).collect();
                    self.target.delete(id, &old, &ComputedRows::default(), context)?;
                    if let Some(kept) = &mut kept {
                        kept.push_row(latest.iter().map(Datum::as_ref));
                    }
                }
            }
            self.note_changed(id);
        }
        self.charge_changed()?;
        match (returning, kept) {
            (Some(returning), Some(kept)) => {
                self.keep_returned(returning, &kept.finish(), &evaluation_of(context))
            }
            _ => Ok(()),
        }
    }
}

/// The evaluation context, free of the transaction's borrow.
pub(super) fn evaluation_of<'a>(context: &ExecutionContext<'a>) -> EvaluationContext<'a> {
    EvaluationContext::new(context.parameters, context.environment)
}

/// The row id behind the table's columns.
fn row_id_of(batch: &Batch, width: usize, row: usize) -> Result<RowId> {
    match batch.columns.get(width).map(|column| column.datum(row)) {
        Some(DatumRef::BigInt(id)) => Ok(RowId(id)),
        _ => Err(Error::internal("the source of a data change gives no row id")),
    }
}

/// Collects the rows that RETURNING is about: the table's columns, then others of the source.
pub(super) struct RowKeeper(Vec<ColumnBuilder>, usize);

impl RowKeeper {
    pub(super) fn new(table: &TableDefinition, others: &[Arc<Column>], capacity: usize) -> RowKeeper {
        let own = table.columns.iter().map(|column| column.sql_type);
        let types = own.chain(others.iter().map(|column| SqlType::plain(column.data_type)));
        RowKeeper(types.map(|sql_type| ColumnBuilder::new(sql_type, capacity)).collect(), 0)
    }

    /// Adds a row of the table with the values of `others` in row `from`.
    pub(super) fn push(&mut self, row: &[DatumRef<'_>], others: &[Arc<Column>], from: usize) {
        self.push_row(row.iter().copied().chain(others.iter().map(|column| column.datum(from))));
    }

    /// Adds a row with the values of the others behind it.
    fn push_row<'v>(&mut self, values: impl Iterator<Item = DatumRef<'v>>) {
        for (builder, value) in self.0.iter_mut().zip(values) {
            builder.push_datum(value);
        }
        self.1 += 1;
    }

    pub(super) fn finish(self) -> Batch {
        let columns = self.0.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        Batch { columns, rows: self.1, selection: None }
    }
}

impl Sink for Modify {
    fn push(&mut self, batch: Batch, context: &mut ExecutionContext<'_>) -> Result<Flow> {
        self.target.escalate(context)?;
        match self.node.operator() {
            Operator::Insert { .. } => self.take(batch, context)?,
            Operator::Update { .. } => self.update(&batch, context)?,
            _ => self.delete(&batch, context)?,
        }
        Ok(Flow::NeedInput)
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    fn finish(mut self: Box<Self>, context: &mut ExecutionContext<'_>) -> Result<Box<dyn Source>> {
        self.end_waiting(false, context)?;
        self.end_load(context)?;
        if self.shares_command {
            self.target.settle(context)?;
        } else {
            self.target.end_statement(context)?;
        }
        Ok(Box::new(Returned { batches: self.returned, memory: self.memory }))
    }
}

/// Gives RETURNING's rows out.
struct Returned {
    batches: VecDeque<Batch>,
    memory: Reservation,
}

impl Source for Returned {
    fn restart(&mut self) {
        self.batches.clear();
    }

    fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }

    fn next(&mut self, _context: &mut ExecutionContext<'_>) -> Result<Option<Batch>> {
        let batch = self.batches.pop_front();
        if let Some(batch) = &batch {
            // Whoever keeps it charges it; giving back never fails.
            let _ = self.memory.resize(self.memory.bytes().saturating_sub(batch.memory_bytes()));
        }
        Ok(batch)
    }
}

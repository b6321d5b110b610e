//! INSERT … ON CONFLICT: a row goes in, or what is done about the row that has its key.
//!
//! DO UPDATE locks the row that is there and works on its latest version, also where the statement's snapshot does not
//! show it (read committed), as in PostgreSQL. A row that goes away meanwhile makes the insert start again.

use crate::batch::batch::Batch;
use crate::error::{Error, Result, SqlState};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, RowSource, Value};
use crate::sql::executor::ExecutionContext;
use crate::sql::executor::constraint;
use crate::sql::executor::modify::{ComputedRows, Modify, RowKeeper, Target, evaluation_of};
use crate::sql::executor::pipeline::Pipeline;
use crate::sql::plan::logical::BoundCheck;
use crate::sql::plan::physical::{ConflictValues, Operator, PhysicalConflict, PhysicalConflictUpdate};
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::conflict::{FoundRow, InsertOrFind};
use crate::table::part::ColumnPart;
use crate::table::table::RowBuffer;
use crate::transaction::types::ReadView;
use smallvec::SmallVec;

/// A row of borrowed values.
pub(super) type Borrowed<'a> = SmallVec<[DatumRef<'a>; 16]>;

/// What is kept from row to row.
#[derive(Default)]
pub(super) struct ConflictScratch {
    /// The row that is there.
    existing: RowBuffer,
    /// All columns of the table.
    columns: Vec<usize>,
    /// The query that gives DO UPDATE its values.
    values: Option<Pipeline>,
    /// All parameters as that query sees them.
    parameters: Vec<Datum>,
}

impl ConflictScratch {
    pub(super) fn new(values: Option<Pipeline>) -> ConflictScratch {
        ConflictScratch { values, ..ConflictScratch::default() }
    }
}

/// The row that is there, then the one that was to be inserted.
struct BothRows<'a> {
    existing: &'a [DatumRef<'a>],
    excluded: &'a [DatumRef<'a>],
}

impl RowSource for BothRows<'_> {
    fn datum(&self, index: usize) -> DatumRef<'_> {
        match self.existing.get(index) {
            Some(value) => *value,
            None => self.excluded[index - self.existing.len()],
        }
    }
}

/// Takes the row that went in or was changed, as it is now.
pub(super) type Changed<'c> = dyn FnMut(&mut ExecutionContext<'_>, &[DatumRef<'_>]) -> Result<()> + 'c;

/// `21000`.
fn second_time() -> Error {
    let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
    Error::new(SqlState::CARDINALITY_VIOLATION, message).hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )
}

impl Target {
    /// Checks a row and puts it into the table, or does what `conflict` says. Whether a row went in or was changed;
    /// it was then given to `changed`.
    pub(super) fn insert_or_resolve(
        &self,
        new: &[DatumRef<'_>],
        (conflict, checks): (&PhysicalConflict, &[BoundCheck]),
        scratch: &mut ConflictScratch,
        context: &mut ExecutionContext<'_>,
        changed: &mut Changed<'_>,
    ) -> Result<bool> {
        let evaluation = evaluation_of(context);
        constraint::check(&self.definition, checks, new, &evaluation)?;
        let (mut kept, extended);
        let mut whole = new;
        if !self.computed.is_empty() {
            kept = Vec::new();
            extended = self.computed.extended(new, None, &mut kept)?;
            whole = &extended;
        }
        loop {
            match self.table.insert_or_find(context.transaction, whole, &conflict.arbiters)? {
                InsertOrFind::Inserted(id) => {
                    self.after_insert(id, whole, context)?;
                    changed(context, new)?;
                    return Ok(true);
                }
                InsertOrFind::Duplicate { index } => {
                    return Err(constraint::duplicate_key(&self.definition, index, whole, &evaluation));
                }
                InsertOrFind::Found(found) => {
                    let resolved = match &conflict.update {
                        None => self.table.wait_for_found(context.transaction, found)?.then_some(false),
                        Some(update) => {
                            self.resolve(found, whole, (update, checks), scratch, context, changed)?
                        }
                    };
                    if let Some(resolved) = resolved {
                        return Ok(resolved);
                    }
                }
            }
            context.cancel.check()?;
        }
    }

    /// DO UPDATE. Whether the row was changed; `None`: it went away.
    fn resolve(
        &self,
        found: FoundRow,
        excluded: &[DatumRef<'_>],
        (update, checks): (&PhysicalConflictUpdate, &[BoundCheck]),
        scratch: &mut ConflictScratch,
        context: &mut ExecutionContext<'_>,
        changed: &mut Changed<'_>,
    ) -> Result<Option<bool>> {
        if !self.table.lock_found(context.transaction, found, excluded, self.lock)? {
            return Ok(None);
        }
        if self.table.is_written_by_command(context.transaction, found.row)? {
            return Err(second_time());
        }
        let width = self.definition.columns.len();
        let ConflictScratch { existing, columns, values, parameters } = scratch;
        if columns.len() != width {
            *columns = (0..width).collect();
        }
        let in_row: SmallVec<[(usize, ColumnPart); 4]> =
            update.unread.iter().map(|column| (*column, ColumnPart::InRow)).collect();
        let wanted = (&columns[..], &in_row[..]);
        if !self.table.get_parts(context.transaction, found.row, ReadView::Latest, wanted, existing)? {
            return Ok(None);
        }
        let as_read = ComputedRows { is_as_read: true, ..ComputedRows::default() };
        let old: Borrowed<'_> = (0..width).map(|column| existing.datum(column)).collect();
        let rows = BothRows { existing: &old, excluded: &excluded[..width] };
        let evaluation = evaluation_of(context);
        match &update.values {
            ConflictValues::Expressions { values, filter } => {
                if let Some(filter) = filter
                    && !row::is_true(filter, &rows, &evaluation)?
                {
                    return Ok(Some(false));
                }
                let mut computed: SmallVec<[Value<'_>; 4]> = SmallVec::new();
                for expression in values {
                    computed.push(row::value(expression, &rows, &evaluation)?);
                }
                let mut new: Borrowed<'_> = old.iter().copied().collect();
                for (column, value) in update.columns.iter().zip(&computed) {
                    new[*column] = value.as_datum();
                }
                self.update(found.row, &old, &new, &as_read, checks, context)?;
                // The rows that follow look for its keys.
                self.settle(context)?;
                changed(context, &new)?;
            }
            ConflictValues::Plan { arguments, has_filter, .. } => {
                let Some(pipeline) = values else {
                    return Err(Error::internal("a query of DO UPDATE that was not made"));
                };
                parameters.clear();
                parameters.extend_from_slice(context.parameters);
                for (parameter, input) in arguments {
                    parameters[*parameter] = rows.datum(*input).to_owned();
                }
                let computed = values_of(pipeline, &mut context.with_parameters(parameters))?;
                if *has_filter && !matches!(computed.last(), Some(Datum::Boolean(true))) {
                    return Ok(Some(false));
                }
                // The query may have run a change in WITH, of this very row: that one counts, as in PostgreSQL.
                if self.table.is_written_by_command(context.transaction, found.row)? {
                    return Ok(Some(false));
                }
                let mut new: Borrowed<'_> = old.iter().copied().collect();
                for (column, value) in update.columns.iter().zip(&computed) {
                    new[*column] = value.as_ref();
                }
                self.update(found.row, &old, &new, &as_read, checks, context)?;
                // The rows that follow look for its keys.
                self.settle(context)?;
                changed(context, &new)?;
            }
        }
        Ok(Some(true))
    }
}

/// The only row of a query.
#[inline(never)]
fn values_of(pipeline: &mut Pipeline, context: &mut ExecutionContext<'_>) -> Result<Vec<Datum>> {
    pipeline.restart();
    let mut values = None;
    while let Some(batch) = pipeline.next(context)? {
        for row in batch.row_numbers() {
            values = Some(batch.columns.iter().map(|column| column.datum(row).to_owned()).collect());
        }
    }
    pipeline.restart();
    values.ok_or_else(|| Error::internal("the query of DO UPDATE gave no row"))
}

impl Modify {
    /// Takes the rows of an INSERT with ON CONFLICT.
    pub(super) fn insert_or_resolve(
        &mut self,
        batch: &Batch,
        context: &mut ExecutionContext<'_>,
    ) -> Result<()> {
        let node = self.node.clone();
        let Operator::Insert { table, checks, returning, conflict: Some(conflict), .. } = node.operator()
        else {
            unreachable!("checked by the caller");
        };
        let mut kept = returning.is_some().then(|| RowKeeper::new(table, &[], batch.rows));
        let mut new = Vec::with_capacity(batch.columns.len());
        let mut count = 0;
        for row in batch.row_numbers() {
            self.cancel_point(context)?;
            new.clear();
            new.extend(batch.columns.iter().map(|column| column.datum(row)));
            let scratch = &mut self.conflict;
            let is_changed = self.target.insert_or_resolve(
                &new,
                (conflict, checks),
                scratch,
                context,
                &mut |_, row| {
                    if let Some(kept) = &mut kept {
                        kept.push(row, &[], 0);
                    }
                    Ok(())
                },
            )?;
            count += u64::from(is_changed);
        }
        self.count(count);
        match (returning, kept) {
            (Some(returning), Some(kept)) => {
                let evaluation: EvaluationContext<'_> = evaluation_of(context);
                self.keep_returned(returning, &kept.finish(), &evaluation)
            }
            _ => Ok(()),
        }
    }
}

//! ON CONFLICT: which unique keys it is about, and where DO UPDATE has its values from.

use crate::catalog::table_definition::{Deferral, TableDefinition};
use crate::error::{Error, Result, SqlState};
use crate::sql::evaluate::fold::fold;
use crate::sql::optimizer::columns::split_conjunction;
use crate::sql::optimizer::implication::implies;
use crate::sql::optimizer::lowering::{Lowering, ids, mapped};
use crate::sql::optimizer::rewrite::{computed_over, same};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{ConflictTarget, ConflictUpdate, LogicalPlan, OnConflict};
use crate::sql::plan::physical::{ConflictValues, PhysicalConflict, PhysicalConflictUpdate};
use crate::table::layout::IndexKey;

impl Lowering<'_> {
    /// `None`: the table has no key that two rows could both have.
    pub(super) fn conflict(
        &mut self,
        table: &TableDefinition,
        computed: &[Expression],
        conflict: OnConflict,
    ) -> Result<Option<PhysicalConflict>> {
        let arbiters = arbiters(table, computed, conflict.target)?;
        if arbiters.is_empty() {
            return Ok(None);
        }
        let update = conflict.update.map(|update| self.conflict_update(update)).transpose()?;
        Ok(Some(PhysicalConflict { arbiters, update }))
    }

    fn conflict_update(&mut self, update: ConflictUpdate) -> Result<PhysicalConflictUpdate> {
        let ConflictUpdate { existing_columns, excluded_columns, columns, mut values, has_filter } = update;
        let mut layout = ids(&existing_columns);
        layout.extend(ids(&excluded_columns));
        let values = match plain_values(&mut values) {
            Some(values) => {
                let mut values = mapped(values, &layout)?;
                let filter = if has_filter { values.pop() } else { None };
                ConflictValues::Expressions { values, filter }
            }
            None => {
                let mut outer = Vec::new();
                self.bind_outer(&mut values, &layout, &mut outer)?;
                let plan = Box::new(self.exactly(*values)?);
                let argument = |id: ColumnId| layout.iter().position(|known| *known == id);
                let arguments = outer
                    .iter()
                    .map(|column| Some((column.parameter, argument(column.id)?)))
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| Error::internal("DO UPDATE uses a column of neither row"))?;
                ConflictValues::Plan { plan, arguments, has_filter }
            }
        };
        Ok(PhysicalConflictUpdate { columns, values, unread: Vec::new() })
    }
}

/// The values, where they are expressions over nothing but the two rows.
fn plain_values(values: &mut LogicalPlan) -> Option<Vec<Expression>> {
    match values {
        LogicalPlan::Project { input, expressions, .. } if matches!(&**input, LogicalPlan::Values { rows, .. } if matches!(rows.as_slice(), [row] if row.is_empty())) => {
            Some(std::mem::take(expressions))
        }
        LogicalPlan::Values { rows, .. } if rows.len() == 1 => rows.pop(),
        _ => None,
    }
}

/// The keys that a conflict is looked for in.
fn arbiters(
    table: &TableDefinition,
    computed: &[Expression],
    target: ConflictTarget,
) -> Result<Vec<Option<usize>>> {
    let found: Vec<Option<usize>> = match target {
        ConflictTarget::Constraint { index } => vec![index],
        ConflictTarget::Any => {
            let indexes = (0..table.indexes.len()).filter(|index| is_unique(table, *index)).map(Some);
            table.row_id_column().map(|_| None).into_iter().chain(indexes).collect()
        }
        ConflictTarget::Keys { columns, keys, predicate } => {
            let inferred = Inferred::new(table, &columns, keys, predicate);
            let mut found = Vec::new();
            if table.row_id_column().is_some_and(|column| inferred.is_over(&[column])) {
                found.push(None);
            }
            for index in 0..table.indexes.len() {
                if is_unique(table, index) && inferred.fits(table, index, computed)? {
                    found.push(Some(index));
                }
            }
            if found.is_empty() {
                let message =
                    "there is no unique or exclusion constraint matching the ON CONFLICT specification";
                return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message));
            }
            found
        }
    };
    for index in found.iter().flatten() {
        let definition = &table.indexes[*index];
        if definition.deferral != Deferral::NotDeferrable {
            let message = "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters";
            return Err(Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                .schema(table.schema.as_str())
                .table(table.name.as_str())
                .constraint(definition.name.as_str()));
        }
    }
    Ok(found)
}

/// Whether no two rows may have the same key there, be it now or at the end of the transaction.
fn is_unique(table: &TableDefinition, index: usize) -> bool {
    let layout = &table.layout.indexes[index];
    !layout.runtime.is_unfinished()
        && (layout.unique || table.indexes[index].deferral != Deferral::NotDeferrable)
}

/// What ON CONFLICT names.
struct Inferred<'c> {
    /// Columns that stand for the table's.
    columns: &'c [OutputColumn],
    /// Positions of the named columns, ascending, each once.
    named: Vec<usize>,
    expressions: Vec<Expression>,
    /// Terms of WHERE.
    conditions: Vec<Expression>,
}

impl Inferred<'_> {
    fn new<'c>(
        table: &TableDefinition,
        columns: &'c [OutputColumn],
        keys: Vec<Expression>,
        predicate: Option<Expression>,
    ) -> Inferred<'c> {
        let (mut named, mut expressions) = (Vec::new(), Vec::new());
        for key in keys {
            match fold(key) {
                Expression::Column { id, .. } if columns.iter().any(|column| column.id == id) => {
                    named.extend(columns.iter().take(table.columns.len()).position(|column| column.id == id));
                }
                expression => expressions.push(expression),
            }
        }
        named.sort_unstable();
        named.dedup();
        let mut conditions = Vec::new();
        if let Some(predicate) = predicate {
            split_conjunction(fold(predicate), &mut conditions);
        }
        Inferred { columns, named, expressions, conditions }
    }

    /// Whether just these columns are named, ascending, and no expression.
    fn is_over(&self, columns: &[usize]) -> bool {
        self.expressions.is_empty() && self.named == columns
    }

    /// Whether a unique index has just these keys, and holds every row that WHERE is true for.
    fn fits(&self, table: &TableDefinition, index: usize, computed: &[Expression]) -> Result<bool> {
        let layout = &table.layout.indexes[index];
        let (mut columns, mut expressions) = (Vec::new(), Vec::new());
        for part in &layout.columns {
            match part.key {
                IndexKey::Column(column) => columns.push(column),
                IndexKey::Computed(value) => {
                    expressions.push(fold(computed_over(&computed[value], self.columns)?));
                }
            }
        }
        columns.sort_unstable();
        columns.dedup();
        let is_in = |wanted: &Expression, all: &[Expression]| all.iter().any(|known| same(known, wanted));
        if columns != self.named
            || !expressions.iter().all(|expression| is_in(expression, &self.expressions))
            || !self.expressions.iter().all(|expression| is_in(expression, &expressions))
        {
            return Ok(false);
        }
        match layout.predicate {
            None => Ok(true),
            Some(value) => {
                let predicate = fold(computed_over(&computed[value], self.columns)?);
                Ok(implies(&self.conditions, &predicate))
            }
        }
    }
}

//! What a table's indexes hold that its rows do not store: expressions, and the predicates of partial indexes.
//! Knows expressions and layouts. Writes nothing.

use crate::batch::batch::{Batch, Selection};
use crate::batch::column::Column;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::evaluate::columns;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::fold::planning_environment;
use crate::sql::evaluate::row::{self, RowSource};
use crate::sql::plan::expression::Expression;
use crate::sql::types::datum::{Datum, DatumRef};
use crate::table::computed::ComputeValues;
use crate::table::layout::{IndexKey, IndexLayout, TableLayout};
use smallvec::SmallVec;

/// See the module. Whatever it computes is immutable: it needs no session.
#[derive(Clone, Debug)]
pub struct ComputedValues {
    layout: Arc<TableLayout>,
    expressions: Arc<[Expression]>,
}

/// A row by a function of the column's position.
struct ByPosition<'f, 'r>(&'f dyn Fn(usize) -> DatumRef<'r>);

impl RowSource for ByPosition<'_, '_> {
    fn datum(&self, index: usize) -> DatumRef<'_> {
        (self.0)(index)
    }
}

fn context() -> EvaluationContext<'static> {
    EvaluationContext::new(&[], planning_environment())
}

/// The computed parts of an index's key, by position among the table's computed values.
fn keys(index: &IndexLayout) -> impl Iterator<Item = usize> {
    index.columns.iter().filter_map(|part| match part.key {
        IndexKey::Column(_) => None,
        IndexKey::Computed(value) => Some(value),
    })
}

impl ComputedValues {
    /// `expressions`: in the order of `layout.computed`, over the table's columns as inputs.
    pub fn new(layout: &Arc<TableLayout>, expressions: &Arc<[Expression]>) -> ComputedValues {
        ComputedValues { layout: Arc::clone(layout), expressions: Arc::clone(expressions) }
    }

    /// Whether there is nothing to compute.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    /// Whether a value depends on one of these columns.
    pub(super) fn index_uses(&self, index: &IndexLayout, is_changed: &dyn Fn(usize) -> bool) -> bool {
        fn uses(expression: &Expression, is_changed: &dyn Fn(usize) -> bool) -> bool {
            let mut found = matches!(expression, Expression::Input { index, .. } if is_changed(*index));
            expression.each_operand(&mut |operand| found = found || uses(operand, is_changed));
            found
        }
        index.computed().any(|value| uses(&self.expressions[value], is_changed))
    }

    /// All computed values of a row. A key of an index that leaves the row out is NULL.
    /// # Errors
    /// What an expression raises.
    pub fn of_row(&self, row: &[DatumRef<'_>]) -> Result<Vec<Datum>> {
        let mut values = vec![Datum::Null; self.layout.computed.len()];
        for index in 0..self.layout.indexes.len() {
            self.compute(index, &|column| row[column], &mut values)?;
        }
        Ok(values)
    }

    /// The computed values of the selected rows of a batch whose columns are the table's, in its order (others may
    /// follow); one column a value. A key of an index that leaves a row out is anything. `None`: an expression fails
    /// for some row, and row by row will tell for which.
    pub(super) fn of_batch(&self, batch: &Batch) -> Option<Vec<Arc<Column>>> {
        let context = context();
        let mut values: Vec<Option<Arc<Column>>> = vec![None; self.expressions.len()];
        for index in self.layout.indexes.iter() {
            let mut narrowed = None;
            if let Some(predicate) = index.predicate {
                let truth = columns::evaluate(&self.expressions[predicate], batch, &context).ok()?;
                if keys(index).next().is_some() {
                    let is_in = |row: &usize| matches!(truth.datum(*row), DatumRef::Boolean(true));
                    let rows = batch.row_numbers().filter(is_in).map(|row| row as u16).collect();
                    narrowed = Some(Batch { selection: Some(Selection(rows)), ..batch.clone() });
                }
                values[predicate] = Some(truth);
            }
            for key in keys(index) {
                let rows = narrowed.as_ref().unwrap_or(batch);
                values[key] = Some(columns::evaluate(&self.expressions[key], rows, &context).ok()?);
            }
        }
        values.into_iter().collect()
    }

    /// `row` with its computed values behind it: those of `batch` (columns and the row's number there) or, without
    /// one, computed now and kept in `kept`.
    /// # Errors
    /// What an expression raises.
    pub(super) fn extended<'a>(
        &self,
        row: &[DatumRef<'a>],
        batch: Option<(&'a [Arc<Column>], usize)>,
        kept: &'a mut Vec<Datum>,
    ) -> Result<SmallVec<[DatumRef<'a>; 16]>> {
        let mut extended: SmallVec<[DatumRef<'a>; 16]> = SmallVec::from_slice(row);
        match batch {
            Some((columns, row)) => extended.extend(columns.iter().map(|column| column.datum(row))),
            None => {
                *kept = self.of_row(row)?;
                extended.extend(kept.iter().map(Datum::as_ref));
            }
        }
        Ok(extended)
    }
}

impl ComputeValues for ComputedValues {
    fn compute<'r>(
        &self,
        index: usize,
        row: &dyn Fn(usize) -> DatumRef<'r>,
        out: &mut [Datum],
    ) -> Result<()> {
        let (row, context) = (ByPosition(row), context());
        let index = &self.layout.indexes[index];
        if let Some(predicate) = index.predicate {
            let value = row::evaluate(&self.expressions[predicate], &row, &context)?;
            let is_in = matches!(value, Datum::Boolean(true));
            out[predicate] = value;
            if !is_in {
                return Ok(());
            }
        }
        for key in keys(index) {
            out[key] = row::evaluate(&self.expressions[key], &row, &context)?;
        }
        Ok(())
    }
}

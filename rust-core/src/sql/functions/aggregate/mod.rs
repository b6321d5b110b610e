//! Aggregates: what a group's state is, how a value changes it, what it comes to.
//! A state is a small struct; the loops over rows and groups are compiled for each. Knows no plans.

mod number;
mod order;
mod regression;
mod spread;
mod text;
mod truth;

use crate::batch::column::{Column, ColumnForm};
use crate::error::Result;
use crate::sql::functions::kernel::{self, Argument, Nullable, Output, Shape};
use crate::sql::functions::registry::{AggregateFunction, GroupStates, RowSet};
use std::sync::Arc;

/// The state of one group for an aggregate of one argument that skips NULL.
pub(super) trait State: Default + Clone + Send + 'static {
    type Input: Argument;
    type Output: Output;
    /// Adds a value.
    fn add(&mut self, value: <Self::Input as Argument>::Value<'_>) -> Result<()>;
    /// Adds all rows of a flat column without NULLs in one loop; `false`: there is no such loop.
    fn add_dense(&mut self, column: &Column) -> Result<bool> {
        let _ = column;
        Ok(false)
    }
    /// Adds rows of a flat column without NULLs to the states of their groups in one loop; `false`: there is no such
    /// loop, and nothing was added.
    fn add_grouped(states: &mut [Self], column: &Column, rows: RowSet<'_>, groups: &[u32]) -> Result<bool> {
        let _ = (states, column, rows, groups);
        Ok(false)
    }
    /// The result; `None`: NULL.
    fn finish(&self) -> Result<Option<<Self::Output as Output>::Value>>;
    /// Bytes held outside the struct.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// States of all groups.
#[derive(Default)]
struct Groups<S>(Vec<S>);

/// A fresh, empty set of groups.
pub(super) fn groups<S: State>() -> Box<dyn GroupStates> {
    Box::new(Groups::<S>(Vec::new()))
}

impl<S: State> GroupStates for Groups<S> {
    fn resize(&mut self, count: usize) -> Result<()> {
        self.0.resize(count, S::default());
        Ok(())
    }

    fn update(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>, groups: &[u32]) -> Result<()> {
        let column = &arguments[0];
        if matches!(kernel::shape(arguments), Shape::Null) {
            return Ok(());
        }
        let validity = column.validity.as_ref().filter(|_| column.form == ColumnForm::Flat);
        let states = self.0.as_mut_slice();
        if column.form == ColumnForm::Flat
            && validity.is_none()
            && S::add_grouped(states, column, rows, groups)?
        {
            return Ok(());
        }
        let reader = S::Input::reader(column).ok_or_else(|| kernel::wrong_layout(S::Input::TYPE))?;
        let mut next = 0;
        kernel::for_rows(rows, None, |row| {
            let group = groups[next] as usize;
            next += 1;
            if validity.is_none_or(|validity| validity.get(row)) {
                states[group].add(S::Input::read(reader, row))?;
            }
            Ok(())
        })
    }

    fn update_single(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>) -> Result<()> {
        let column = &arguments[0];
        if matches!(kernel::shape(arguments), Shape::Null) {
            return Ok(());
        }
        let state = &mut self.0[0];
        let validity = column.validity.as_ref().filter(|_| column.form == ColumnForm::Flat);
        if let (RowSet::All(count), ColumnForm::Flat, None) = (rows, column.form, validity)
            && column.rows == count
            && state.add_dense(column)?
        {
            return Ok(());
        }
        let reader = S::Input::reader(column).ok_or_else(|| kernel::wrong_layout(S::Input::TYPE))?;
        kernel::for_rows(rows, validity, |row| state.add(S::Input::read(reader, row)))
    }

    fn finish(&mut self, from: usize, to: usize) -> Result<Column> {
        let slots = to - from;
        let mut builder = <Nullable<S::Output> as Output>::builder(slots);
        for (slot, state) in self.0[from..to].iter().enumerate() {
            <Nullable<S::Output> as Output>::set(&mut builder, slot, state.finish()?);
        }
        let (data, validity) = <Nullable<S::Output> as Output>::finish(builder, slots);
        let validity = validity.filter(|validity| !validity.is_all_ones());
        Ok(Column { data_type: S::Output::TYPE, form: ColumnForm::Flat, rows: slots, data, validity })
    }

    fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<S>() + self.0.iter().map(State::heap_bytes).sum::<usize>()
    }
}

/// An aggregate of one argument: `aggregate!("sum", SumState, "…")`.
macro_rules! aggregate {
    ($name:literal, $state:ty, $documentation:literal) => {
        $crate::sql::functions::registry::AggregateFunction {
            name: $name,
            arguments: &[<<$state as $crate::sql::functions::aggregate::State>::Input as $crate::sql::functions::kernel::Argument>::TYPE],
            returns: <<$state as $crate::sql::functions::aggregate::State>::Output as $crate::sql::functions::kernel::Output>::TYPE,
            documentation: $documentation,
            states: $crate::sql::functions::aggregate::groups::<$state>,
        }
    };
}

pub(super) use aggregate;

pub(super) static TABLES: &[&[AggregateFunction]] =
    &[number::TABLE, order::TABLE, regression::TABLE, spread::TABLE, text::TABLE, truth::TABLE];

//! Relations whose lines are all there when they are asked for: a part of them at a time becomes columns.
//! Knows nothing of what a line is about.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::error::Result;
use crate::sql::functions::registry::TableFunctionRows;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::DatumRef;
use std::sync::Arc;

/// The lines of a relation, given out from the first to the last.
pub(super) struct Lines<T> {
    lines: Vec<T>,
    next: usize,
    columns: fn(&[T]) -> Vec<Arc<Column>>,
}

impl<T> Lines<T> {
    /// `columns` makes the relation's columns of some of its lines.
    pub(super) fn new(lines: Vec<T>, columns: fn(&[T]) -> Vec<Arc<Column>>) -> Lines<T> {
        Lines { lines, next: 0, columns }
    }
}

impl<T: Send> TableFunctionRows for Lines<T> {
    fn next(&mut self, rows_max: usize) -> Result<Vec<Arc<Column>>> {
        let end = self.lines.len().min(self.next + rows_max);
        let lines = &self.lines[self.next..end];
        self.next = end;
        Ok(if lines.is_empty() { Vec::new() } else { (self.columns)(lines) })
    }
}

/// A column of what `value` says of each line.
pub(super) fn column<'a, T>(
    lines: &'a [T],
    data_type: DataType,
    value: impl Fn(&'a T) -> DatumRef<'a>,
) -> Arc<Column> {
    let mut builder = ColumnBuilder::new(SqlType::plain(data_type), lines.len());
    lines.iter().for_each(|line| builder.push_datum(value(line)));
    Arc::new(builder.finish())
}

/// A column of texts.
pub(super) fn texts<'a, T>(lines: &'a [T], value: impl Fn(&'a T) -> Option<&'a str>) -> Arc<Column> {
    column(lines, DataType::Text, |line| value(line).map_or(DatumRef::Null, DatumRef::Text))
}

/// A column of whole numbers.
pub(super) fn numbers<T>(lines: &[T], value: impl Fn(&T) -> Option<i64>) -> Arc<Column> {
    column(lines, DataType::BigInt, |line| value(line).map_or(DatumRef::Null, DatumRef::BigInt))
}

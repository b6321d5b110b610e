//! string_agg over text and bytea.

use crate::batch::column::{Column, ColumnData};
use crate::batch::string::StringColumn;
use crate::batch::validity::Bitmap;
use crate::common::limits;
use crate::error::Result;
use crate::sql::functions::kernel;
use crate::sql::functions::registry::{AggregateFunction, GroupStates, RowSet};
use crate::sql::functions::text::too_long;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::DatumRef;
use std::sync::Arc;

/// Joined values of each group; `None`: no value yet.
struct Joined {
    data_type: DataType,
    groups: Vec<Option<Vec<u8>>>,
    /// Bytes of all groups.
    bytes: usize,
}

fn bytes(datum: DatumRef<'_>) -> Option<&[u8]> {
    match datum {
        DatumRef::Text(text) => Some(text.as_bytes()),
        DatumRef::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

impl Joined {
    /// A value after a delimiter; the first value's delimiter is dropped, a NULL delimiter is empty.
    fn add(&mut self, group: usize, arguments: &[Arc<Column>], row: usize) -> Result<()> {
        let Some(value) = bytes(arguments[0].datum(row)) else { return Ok(()) };
        let joined = match &mut self.groups[group] {
            Some(joined) => {
                let delimiter = bytes(arguments[1].datum(row)).unwrap_or(b"");
                joined.extend_from_slice(delimiter);
                self.bytes += delimiter.len();
                joined
            }
            empty => empty.insert(Vec::new()),
        };
        joined.extend_from_slice(value);
        self.bytes += value.len();
        if joined.len() > limits::VALUE_BYTES_MAX { Err(too_long()) } else { Ok(()) }
    }
}

impl GroupStates for Joined {
    fn resize(&mut self, count: usize) -> Result<()> {
        self.groups.resize(count, None);
        Ok(())
    }

    fn update(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>, groups: &[u32]) -> Result<()> {
        let mut next = 0;
        kernel::for_rows(rows, None, |row| {
            next += 1;
            self.add(groups[next - 1] as usize, arguments, row)
        })
    }

    fn update_single(&mut self, arguments: &[Arc<Column>], rows: RowSet<'_>) -> Result<()> {
        kernel::for_rows(rows, None, |row| self.add(0, arguments, row))
    }

    fn finish(&mut self, from: usize, to: usize) -> Result<Column> {
        let mut strings = StringColumn::with_capacity(to - from);
        let groups = &self.groups[from..to];
        for group in groups {
            let bytes = group.as_deref().unwrap_or(b"");
            match self.data_type {
                DataType::Text => {
                    strings.push_str(std::str::from_utf8(bytes).expect("joined texts are UTF-8"))
                }
                _ => strings.push_bytes(bytes),
            }
        }
        let validity = groups
            .iter()
            .any(Option::is_none)
            .then(|| Bitmap::from_fn(groups.len(), |group| groups[group].is_some()));
        Ok(Column::flat(self.data_type, ColumnData::Strings(strings), validity))
    }

    fn memory_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Option<Vec<u8>>>() + self.bytes * 2
    }
}

pub(super) static TABLE: &[AggregateFunction] = &[
    AggregateFunction {
        name: "string_agg",
        arguments: &[DataType::Text, DataType::Text],
        returns: DataType::Text,
        documentation: "values joined by a delimiter",
        states: || Box::new(Joined { data_type: DataType::Text, groups: Vec::new(), bytes: 0 }),
    },
    AggregateFunction {
        name: "string_agg",
        arguments: &[DataType::Bytea, DataType::Bytea],
        returns: DataType::Bytea,
        documentation: "values joined by a delimiter",
        states: || Box::new(Joined { data_type: DataType::Bytea, groups: Vec::new(), bytes: 0 }),
    },
];

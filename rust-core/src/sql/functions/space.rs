//! Relations that show the database itself: `lumos_stat_space`.
//! Knows what the session tells. Knows nothing of pages.

use crate::batch::builder::ColumnBuilder;
use crate::batch::column::Column;
use crate::error::Result;
use crate::sql::functions::registry::{TableFunction, TableFunctionRows};
use crate::sql::types::data_type::{DataType, SqlType};
use crate::sql::types::datum::DatumRef;
use std::sync::Arc;

/// A line of `lumos_stat_space`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceLine {
    /// The schema; none for what belongs to no table.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// What takes up the space.
    pub object: String,
    /// `table`, `values`, `index`, `system` or `file`.
    pub kind: &'static str,
    /// Pages in use; of the file: its blocks.
    pub pages: i64,
    /// Bytes of those.
    pub bytes: i64,
    /// Rows, entries or pieces of values, about; none for the file.
    pub live_rows: Option<i64>,
    /// Bytes that nothing takes up: within the pages, from a sample; of the file: free blocks.
    pub free_bytes: i64,
}

/// The definitions.
pub(super) static TABLE: &[TableFunction] = &[TableFunction {
    name: "lumos_stat_space",
    arguments: &[],
    columns: &[
        ("schema_name", DataType::Text),
        ("table_name", DataType::Text),
        ("object_name", DataType::Text),
        ("object_type", DataType::Text),
        ("pages", DataType::BigInt),
        ("bytes", DataType::BigInt),
        ("live_rows", DataType::BigInt),
        ("free_bytes", DataType::BigInt),
    ],
    strict: false,
    documentation: "What tables, indexes and the file take up; a relation: SELECT … FROM lumos_stat_space. \
                    live_rows and free_bytes are estimates. A line \"kept for readers\" counts blocks that other processes still read.",
    start: |_, environment| Ok(Box::new(Lines { lines: environment.space()?, next: 0 })),
}];

struct Lines {
    lines: Vec<SpaceLine>,
    next: usize,
}

impl TableFunctionRows for Lines {
    fn next(&mut self, rows_max: usize) -> Result<Vec<Arc<Column>>> {
        let end = self.lines.len().min(self.next + rows_max);
        let lines = &self.lines[self.next..end];
        self.next = end;
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let text = |of: &dyn for<'a> Fn(&'a SpaceLine) -> Option<&'a str>| {
            column(DataType::Text, lines.iter().map(|line| of(line).map_or(DatumRef::Null, DatumRef::Text)))
        };
        let number = |of: &dyn Fn(&SpaceLine) -> Option<i64>| {
            column(
                DataType::BigInt,
                lines.iter().map(|line| of(line).map_or(DatumRef::Null, DatumRef::BigInt)),
            )
        };
        Ok(vec![
            text(&|line| line.schema.as_deref()),
            text(&|line| line.table.as_deref()),
            text(&|line| Some(&line.object)),
            text(&|line| Some(line.kind)),
            number(&|line| Some(line.pages)),
            number(&|line| Some(line.bytes)),
            number(&|line| line.live_rows),
            number(&|line| Some(line.free_bytes)),
        ])
    }
}

pub(super) fn column<'a>(
    data_type: DataType,
    values: impl ExactSizeIterator<Item = DatumRef<'a>>,
) -> Arc<Column> {
    let mut builder = ColumnBuilder::new(SqlType::plain(data_type), values.len());
    values.for_each(|value| builder.push_datum(value));
    Arc::new(builder.finish())
}

//! Relations that show the database itself: `lumos_stat_space`.
//! Knows what the session tells. Knows nothing of pages.

use crate::batch::column::Column;
use crate::sql::functions::lines::{Lines, numbers, texts};
use crate::sql::functions::registry::TableFunction;
use crate::sql::types::data_type::DataType;
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
    start: |_, environment| Ok(Box::new(Lines::new(environment.space()?, columns))),
}];

fn columns(lines: &[SpaceLine]) -> Vec<Arc<Column>> {
    vec![
        texts(lines, |line| line.schema.as_deref()),
        texts(lines, |line| line.table.as_deref()),
        texts(lines, |line| Some(&line.object)),
        texts(lines, |line| Some(line.kind)),
        numbers(lines, |line| Some(line.pages)),
        numbers(lines, |line| Some(line.bytes)),
        numbers(lines, |line| line.live_rows),
        numbers(lines, |line| Some(line.free_bytes)),
    ]
}

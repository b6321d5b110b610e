//! Relations that show who holds and who waits: `lumos_locks`.
//! Knows what the session tells. Knows nothing of the lock manager.

use crate::batch::column::Column;
use crate::sql::functions::lines::{Lines, column, numbers, texts};
use crate::sql::functions::registry::TableFunction;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::DatumRef;
use std::sync::Arc;

/// A line of `lumos_locks`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockLine {
    /// The session whose lock it is, or which waits.
    pub session: i64,
    /// `relation`, `row` or `advisory`.
    pub kind: &'static str,
    /// The table's schema; none where the definition is not committed.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The table, or the index whose key it is.
    pub object: Option<String>,
    /// The row of the table, where it is known.
    pub row_id: Option<i64>,
    /// The numbers of an advisory lock.
    pub key: Option<String>,
    /// How many locks the line stands for.
    pub count: i64,
    /// The lock mode.
    pub mode: &'static str,
    /// Held; else waited for.
    pub granted: bool,
    /// Since when it is waited for: unix microseconds.
    pub wait_start: Option<i64>,
    /// The sessions that a waiter waits for, separated by commas; empty where it is held.
    pub blocked_by: String,
}

/// The definitions.
pub(super) static TABLE: &[TableFunction] = &[TableFunction {
    name: "lumos_locks",
    arguments: &[],
    columns: &[
        ("session_id", DataType::BigInt),
        ("lock_type", DataType::Text),
        ("schema_name", DataType::Text),
        ("table_name", DataType::Text),
        ("object_name", DataType::Text),
        ("row_id", DataType::BigInt),
        ("mode", DataType::Text),
        ("granted", DataType::Boolean),
        ("key", DataType::Text),
        ("count", DataType::BigInt),
        ("wait_start", DataType::TimestampTz),
        ("blocked_by", DataType::Text),
    ],
    strict: false,
    documentation: "Locks on tables and rows and advisory locks, held and waited for; a relation: SELECT … FROM \
                    lumos_locks. Of very many row locks some are shown, and those of neighbouring rows as one line \
                    with their count. blocked_by lists the sessions in the way.",
    start: |_, environment| Ok(Box::new(Lines::new(environment.locks(), columns))),
}];

fn columns(lines: &[LockLine]) -> Vec<Arc<Column>> {
    vec![
        numbers(lines, |line| Some(line.session)),
        texts(lines, |line| Some(line.kind)),
        texts(lines, |line| line.schema.as_deref()),
        texts(lines, |line| line.table.as_deref()),
        texts(lines, |line| line.object.as_deref()),
        numbers(lines, |line| line.row_id),
        texts(lines, |line| Some(line.mode)),
        column(lines, DataType::Boolean, |line| DatumRef::Boolean(line.granted)),
        texts(lines, |line| line.key.as_deref()),
        numbers(lines, |line| Some(line.count)),
        column(lines, DataType::TimestampTz, |line| {
            line.wait_start.map_or(DatumRef::Null, DatumRef::TimestampTz) //
        }),
        texts(lines, |line| Some(line.blocked_by.as_str())),
    ]
}

//! Relations that show who holds and who waits: `lumos_locks`.
//! Knows what the session tells. Knows nothing of the lock manager.

use crate::batch::column::Column;
use crate::error::Result;
use crate::sql::functions::registry::{TableFunction, TableFunctionRows};
use crate::sql::functions::space::column;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::DatumRef;
use std::sync::Arc;

/// A line of `lumos_locks`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockLine {
    /// The session whose lock it is, or which waits.
    pub session: i64,
    /// `relation` or `row`.
    pub kind: &'static str,
    /// The table's schema; none where the definition is not committed.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The table, or the index whose key it is.
    pub object: Option<String>,
    /// The row of the table.
    pub row_id: Option<i64>,
    /// The lock mode.
    pub mode: &'static str,
    /// Held; else waited for.
    pub granted: bool,
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
        ("blocked_by", DataType::Text),
    ],
    strict: false,
    documentation: "Locks on tables, held and waited for, and row locks that somebody waits for; a relation: \
                    SELECT … FROM lumos_locks. blocked_by lists the sessions in the way.",
    start: |_, environment| Ok(Box::new(Lines { lines: environment.locks(), next: 0 })),
}];

struct Lines {
    lines: Vec<LockLine>,
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
        let text = |of: &dyn for<'a> Fn(&'a LockLine) -> Option<&'a str>| {
            column(DataType::Text, lines.iter().map(|line| of(line).map_or(DatumRef::Null, DatumRef::Text)))
        };
        let number = |of: &dyn Fn(&LockLine) -> Option<i64>| {
            let values = lines.iter().map(|line| of(line).map_or(DatumRef::Null, DatumRef::BigInt));
            column(DataType::BigInt, values)
        };
        Ok(vec![
            number(&|line| Some(line.session)),
            text(&|line| Some(line.kind)),
            text(&|line| line.schema.as_deref()),
            text(&|line| line.table.as_deref()),
            text(&|line| line.object.as_deref()),
            number(&|line| line.row_id),
            text(&|line| Some(line.mode)),
            column(DataType::Boolean, lines.iter().map(|line| DatumRef::Boolean(line.granted))),
            text(&|line| Some(line.blocked_by.as_str())),
        ])
    }
}

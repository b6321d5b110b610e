//! The relation `pg_prepared_statements`. Knows what the session tells of its statements, nothing of plans.

use crate::batch::column::Column;
use crate::sql::functions::lines::{Lines, column, numbers, texts};
use crate::sql::functions::registry::TableFunction;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::DatumRef;
use std::sync::Arc;

/// A statement of PREPARE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedLine {
    /// Its name.
    pub name: String,
    /// The text of the PREPARE.
    pub statement: String,
    /// When it was prepared: unix microseconds.
    pub prepare_time: i64,
    /// The types of its parameters, as `{integer,text}`.
    pub parameter_types: String,
    /// How often it was executed.
    pub executions: i64,
}

/// The relation.
pub(super) static TABLE: &[TableFunction] = &[TableFunction {
    name: "pg_prepared_statements",
    arguments: &[],
    columns: &[
        ("name", DataType::Text),
        ("statement", DataType::Text),
        ("prepare_time", DataType::TimestampTz),
        ("parameter_types", DataType::Text),
        ("from_sql", DataType::Boolean),
        ("generic_plans", DataType::BigInt),
        ("custom_plans", DataType::BigInt),
    ],
    strict: false,
    documentation: "The session's statements of PREPARE; a relation: SELECT … FROM pg_prepared_statements. What the caller \
                    prepares has no name and is not shown. generic_plans counts executions: all are of the one plan.",
    start: |_, environment| Ok(Box::new(Lines::new(environment.prepared_statements(), columns))),
}];

fn columns(lines: &[PreparedLine]) -> Vec<Arc<Column>> {
    vec![
        texts(lines, |line| Some(&line.name)),
        texts(lines, |line| Some(&line.statement)),
        column(lines, DataType::TimestampTz, |line| DatumRef::TimestampTz(line.prepare_time)),
        texts(lines, |line| Some(&line.parameter_types)),
        column(lines, DataType::Boolean, |_| DatumRef::Boolean(true)),
        numbers(lines, |line| Some(line.executions)),
        numbers(lines, |_| Some(0)),
    ]
}

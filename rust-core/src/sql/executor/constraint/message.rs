//! What is said of a broken foreign key, in PostgreSQL's words.

use crate::catalog::table_definition::{ForeignKeyDefinition, TableDefinition};
use crate::error::{Error, SqlState};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::executor::constraint::append;
use crate::sql::types::datum::{Datum, DatumRef};

/// `(a, b)=(1, 2)`.
fn key_text<'v>(
    table: &TableDefinition,
    columns: &[usize],
    values: impl Iterator<Item = DatumRef<'v>>,
    evaluation: &EvaluationContext<'_>,
) -> String {
    let names: Vec<&str> = columns.iter().map(|column| &*table.columns[*column].name).collect();
    let mut texts = Vec::new();
    for (column, value) in columns.iter().zip(values) {
        let mut text = String::new();
        append(value, table.columns[*column].sql_type.data_type, evaluation, &mut text);
        texts.push(text);
    }
    format!("({})=({})", names.join(", "), texts.join(", "))
}

fn violation(message: String, child: &TableDefinition, key: &ForeignKeyDefinition) -> Error {
    Error::new(SqlState::FOREIGN_KEY_VIOLATION, message)
        .schema(child.schema.as_str())
        .table(child.name.as_str())
        .constraint(key.name.as_str())
}

/// A row refers to a key that is not there.
pub(super) fn absent_parent(
    child: &TableDefinition,
    parent: &TableDefinition,
    key: &ForeignKeyDefinition,
    row: &[DatumRef<'_>],
    evaluation: &EvaluationContext<'_>,
) -> Error {
    let message = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        child.name, key.name
    );
    let values = key.columns.iter().map(|column| row[*column]);
    let shown = key_text(child, &key.columns, values, evaluation);
    violation(message, child, key).detail(format!("Key {shown} is not present in table \"{}\".", parent.name))
}

/// MATCH FULL: some of the columns are NULL.
pub(super) fn mixed_key(child: &TableDefinition, key: &ForeignKeyDefinition) -> Error {
    let message = format!(
        "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
        child.name, key.name
    );
    violation(message, child, key).detail("MATCH FULL does not allow mixing of null and nonnull key values.")
}

/// Rows refer to a key that goes.
pub(super) fn still_referenced(
    parent: &TableDefinition,
    child: &TableDefinition,
    key: &ForeignKeyDefinition,
    old: &[Datum],
    evaluation: &EvaluationContext<'_>,
) -> Error {
    let message = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
        parent.name, key.name, child.name
    );
    let shown = key_text(parent, &key.parent_columns, old.iter().map(Datum::as_ref), evaluation);
    violation(message, child, key)
        .detail(format!("Key {shown} is still referenced from table \"{}\".", child.name))
}

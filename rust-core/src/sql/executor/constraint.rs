//! Not-null and check constraints of a new row, and the errors of broken constraints in PostgreSQL's words.

mod convert;
mod message;
pub(super) mod pending;
mod reached;

pub use pending::{PendingChecks, PendingMark};
pub use reached::check_deferred;
pub(super) use reached::{ChangedTables, Reached, end_statement};

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result, SqlState};
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, RowSource};
use crate::sql::plan::logical::BoundCheck;
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::DatumRef;
use crate::sql::types::text_form::datum_to_text;
use crate::table::layout::{IndexKey, RowIdSource};

/// Bytes of a value that an error shows.
const SHOWN_BYTES_MAX: usize = 64;

/// A row of borrowed values.
pub(super) struct Row<'a>(pub(super) &'a [DatumRef<'a>]);

impl RowSource for Row<'_> {
    fn datum(&self, index: usize) -> DatumRef<'_> {
        self.0[index]
    }
}

/// Checks a new row before it is written.
/// # Errors
/// `23502`, `23514`, or what the condition raises.
pub(super) fn check(
    table: &TableDefinition,
    checks: &[BoundCheck],
    new: &[DatumRef<'_>],
    evaluation: &EvaluationContext<'_>,
) -> Result<()> {
    for (column, value) in table.columns.iter().zip(new) {
        if column.not_null && value.is_null() {
            return Err(Error::new(
                SqlState::NOT_NULL_VIOLATION,
                format!(
                    "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                    column.name, table.name
                ),
            )
            .detail(failing_row(table, new, evaluation))
            .schema(table.schema.as_str())
            .table(table.name.as_str())
            .column(column.name.as_str()));
        }
    }
    for check in checks {
        let row = Row(new);
        let value = row::value(&check.condition, &row, evaluation)?;
        if matches!(value.as_datum(), DatumRef::Boolean(false)) {
            return Err(Error::new(
                SqlState::CHECK_VIOLATION,
                format!(
                    "new row for relation \"{}\" violates check constraint \"{}\"",
                    table.name, check.name
                ),
            )
            .detail(failing_row(table, new, evaluation))
            .schema(table.schema.as_str())
            .table(table.name.as_str())
            .constraint(check.name.as_str()));
        }
    }
    Ok(())
}

/// Two rows would have one key: `index` is the unique index, `None` the row id itself; `new` has the computed values
/// behind the columns.
pub(super) fn duplicate_key(
    table: &TableDefinition,
    index: Option<usize>,
    new: &[DatumRef<'_>],
    evaluation: &EvaluationContext<'_>,
) -> Error {
    let (name, columns): (&str, Vec<IndexKey>) = match index {
        Some(index) => (
            &table.indexes[index].name,
            table.layout.indexes[index].columns.iter().map(|column| column.key).collect(),
        ),
        None => (
            table.row_id_constraint.as_deref().unwrap_or("row id"),
            match table.layout.row_id {
                RowIdSource::Column(column) => vec![IndexKey::Column(column)],
                RowIdSource::Counter => Vec::new(),
            },
        ),
    };
    let mut names = String::new();
    let mut values = String::new();
    for (position, key) in columns.iter().enumerate() {
        if position > 0 {
            names.push_str(", ");
            values.push_str(", ");
        }
        names.push_str(table.key_text(*key));
        let data_type = table.layout.key_type(*key).data_type;
        append(new[table.layout.position(*key)], data_type, evaluation, &mut values);
    }
    Error::new(
        SqlState::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{name}\""),
    )
    .detail(format!("Key ({names})=({values}) already exists."))
    .schema(table.schema.as_str())
    .table(table.name.as_str())
    .constraint(name)
}

fn append(value: DatumRef<'_>, data_type: DataType, evaluation: &EvaluationContext<'_>, out: &mut String) {
    if value.is_null() {
        out.push_str("null");
        return;
    }
    datum_to_text(value, data_type, &evaluation.environment.casts(), out);
}

/// PostgreSQL's detail of a refused row: long values are cut.
fn failing_row(table: &TableDefinition, row: &[DatumRef<'_>], evaluation: &EvaluationContext<'_>) -> String {
    let mut text = String::from("Failing row contains (");
    for (position, (column, value)) in table.columns.iter().zip(row).enumerate() {
        if position > 0 {
            text.push_str(", ");
        }
        let mut shown = String::new();
        append(*value, column.sql_type.data_type, evaluation, &mut shown);
        if shown.len() > SHOWN_BYTES_MAX {
            let mut end = SHOWN_BYTES_MAX;
            while !shown.is_char_boundary(end) {
                end -= 1;
            }
            shown.truncate(end);
            shown.push_str("...");
        }
        text.push_str(&shown);
    }
    text.push_str(").");
    text
}

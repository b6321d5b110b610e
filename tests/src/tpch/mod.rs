//! TPC-H: data from the generator, the 22 queries, answers that another engine computed.

pub mod answer;
pub mod data;
pub mod permutation;

use crate::corpora;
use answer::Answer;
use lumos_core::error::Result;
use lumos_core::session::Session;
use lumos_core::sql::types::cast::CastEnvironment;
use lumos_core::sql::types::text_form::datum_to_text;
use std::path::PathBuf;

/// How many queries there are.
pub const QUERIES: usize = 22;

/// Where queries, schema and the answers of scale 0.01 are.
pub fn folder() -> PathBuf {
    corpora::repository().join("tests/tpch")
}

/// The text of a query, by number from 1.
/// # Errors
/// Those of reading it.
#[allow(clippy::disallowed_methods, reason = "a test reads its own files")]
pub fn query(number: usize) -> std::io::Result<String> {
    std::fs::read_to_string(folder().join(format!("queries/q{number:02}.sql")))
}

/// The expected answer; those of other scales than 0.01 are in the corpora.
/// # Errors
/// Those of reading it.
#[allow(clippy::disallowed_methods, reason = "a test reads its own files")]
pub fn answer(number: usize, scale: f64) -> std::io::Result<Answer> {
    let name = format!("answers/sf{scale}/q{number:02}.tbl");
    let own = folder().join(&name);
    let path = if own.is_file() { own } else { corpora::folder().join("tpch").join(name) };
    std::fs::read_to_string(&path)
        .map(|text| Answer::read(&text))
        .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Runs every statement of a text; gives the rows of the last one that returns any.
/// # Errors
/// The first statement's that fails.
pub fn run(session: &mut Session, text: &str) -> Result<Answer> {
    let mut answer = Answer::default();
    let mut rest = text;
    while let (Some(statement), taken) = session.prepare(rest)? {
        rest = &rest[taken..];
        let mut portal = session.execute(&statement, &[])?;
        let zone = session.time_zone();
        let environment = CastEnvironment { zone: &zone, now: 0, style: Default::default() };
        let types: Vec<_> = statement.columns().iter().map(|column| column.sql_type.data_type).collect();
        let mut rows = Vec::new();
        while let Some(batch) = session.fetch(&mut portal)? {
            for row in batch.row_numbers() {
                let cell = |(column, data_type): (&std::sync::Arc<_>, &_)| {
                    let column: &lumos_core::batch::column::Column = column;
                    let value = column.datum(row);
                    if value.is_null() {
                        return "NULL".to_owned();
                    }
                    let mut text = String::new();
                    datum_to_text(value, *data_type, &environment, &mut text);
                    text.truncate(text.trim_end_matches(' ').len());
                    text
                };
                rows.push(batch.columns.iter().zip(&types).map(cell).collect());
            }
        }
        session.close(portal);
        if statement.returns_rows() {
            answer = Answer { columns: types.len(), rows };
        }
    }
    Ok(answer)
}

//! What a database holds, in a form that can be compared: every row of every table as text.

use lumos_core::database::Database;
use lumos_core::error::{Error, Result};
use lumos_core::session::Session;
use lumos_core::sql::types::datum::DatumRef;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longer texts are kept as their length and checksum.
const TEXT_BYTES_MAX: usize = 64;

/// Tables by name, each with its sorted rows.
pub type State = BTreeMap<String, Vec<String>>;

/// The rows of a query as text, in its order.
/// # Errors
/// The query's.
pub fn rows(session: &mut Session, sql: &str) -> Result<Vec<String>> {
    let (statement, _) = session.prepare(sql)?;
    let statement = statement.ok_or_else(|| Error::internal("a query without a statement"))?;
    let mut portal = session.execute(&statement, &[])?;
    let mut rows = Vec::new();
    while let Some(batch) = session.fetch(&mut portal)? {
        for row in batch.row_numbers() {
            let values: Vec<String> = batch.columns.iter().map(|column| show(column.datum(row))).collect();
            rows.push(values.join("|"));
        }
    }
    session.close(portal);
    Ok(rows)
}

/// A value as states have it.
pub fn show(value: DatumRef<'_>) -> String {
    match value {
        DatumRef::Text(text) if text.len() > TEXT_BYTES_MAX => {
            let sum =
                text.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
            format!("text of {} bytes, sum {sum:x}", text.len())
        }
        value => format!("{value:?}"),
    }
}

/// Everything that a new session sees.
/// # Errors
/// Those of reading.
pub fn state_of(database: &Arc<Database>) -> Result<State> {
    let mut session = database.connect()?;
    let names: Vec<String> =
        database.engine().catalog.current().tables().map(|table| table.name.clone()).collect();
    let mut state = State::new();
    for name in names {
        let mut found = rows(&mut session, &format!("SELECT * FROM {name}"))?;
        found.sort_unstable();
        state.insert(name, found);
    }
    Ok(state)
}

/// The findings of a verification, each as a line; none for a sound database.
pub fn findings_of(database: &Database) -> Vec<String> {
    let mut lines = Vec::new();
    match database.verify(&mut |line| lines.push(line.to_owned())) {
        Ok(0) => Vec::new(),
        Ok(_) => lines,
        Err(error) => vec![format!("verification failed: {error:?}")],
    }
}

/// Says in one line how a state differs from an expected one.
pub fn difference(found: &State, expected: &State) -> String {
    for (name, rows) in expected {
        let Some(other) = found.get(name) else { return format!("table {name} is missing") };
        if other != rows {
            let lost = rows.iter().find(|row| !other.contains(row));
            let extra = other.iter().find(|row| !rows.contains(row));
            return format!(
                "table {name} has {} rows, not {}: lost {lost:?}, extra {extra:?}",
                other.len(),
                rows.len()
            );
        }
    }
    let extra = found.keys().find(|name| !expected.contains_key(*name));
    extra.map_or_else(|| "none".to_owned(), |name| format!("table {name} should not exist"))
}

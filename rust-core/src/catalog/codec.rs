//! Table definitions as bytes: a version tag, then serde through bincode.
//!
//! The only module that knows bincode. A change of `TableDefinition` or of what it holds is a new version.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result, SqlState};

const VERSION: u8 = 1;
/// Bytes that decoding may allocate, so that a forged length does not.
const BYTES_MAX: usize = 16 << 20;

/// A definition as bytes.
/// # Errors
/// `XX000` when it has no serial form, which would be a mistake of ours.
pub fn encode(table: &TableDefinition) -> Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    bincode::serde::encode_into_std_write(table, &mut bytes, bincode::config::standard())
        .map_err(|error| Error::internal(format!("a table definition cannot be encoded: {error}")))?;
    Ok(bytes)
}

/// The definition in `bytes`.
/// # Errors
/// `XX001`.
pub fn decode(bytes: &[u8]) -> Result<TableDefinition> {
    let damaged = |reason: String| {
        Error::new(SqlState::DATA_CORRUPTED, "a table definition in the catalog is damaged").detail(reason)
    };
    let (version, rest) = bytes.split_first().ok_or_else(|| damaged("It is empty.".to_owned()))?;
    if *version != VERSION {
        return Err(damaged(format!("Its version is {version}, this program reads version {VERSION}.")));
    }
    let limited = bincode::config::standard().with_limit::<BYTES_MAX>();
    let (table, read): (TableDefinition, usize) = bincode::serde::decode_from_slice(rest, limited)
        .map_err(|error| damaged(format!("It does not decode: {error}.")))?;
    if read != rest.len() {
        return Err(damaged("Bytes follow its end.".to_owned()));
    }
    check(&table).map_err(|reason| damaged(reason.to_owned()))?;
    Ok(table)
}

/// That positions in the definition point at something.
fn check(table: &TableDefinition) -> std::result::Result<(), &'static str> {
    let columns = table.columns.len();
    let layout = &table.layout;
    if layout.columns.len() != columns || layout.indexes.len() != table.indexes.len() {
        return Err("Its layout has other columns or indexes than its names.");
    }
    if layout.indexes.iter().flat_map(|index| &index.columns).any(|column| column.column >= columns) {
        return Err("An index names a column that does not exist.");
    }
    match layout.row_id {
        crate::table::layout::RowIdSource::Column(column) if column >= columns => {
            Err("Its row id names a column that does not exist.")
        }
        _ => Ok(()),
    }
}

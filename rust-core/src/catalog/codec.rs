//! Definitions and statistics as bytes: a version tag, then serde through bincode.
//!
//! The only module that knows bincode. A change of one of the types or of what it holds is a new version.

use crate::catalog::table_definition::TableDefinition;
use crate::catalog::view_definition::ViewDefinition;
use crate::error::{Error, Result, SqlState};
use crate::statistics::table_statistics::TableStatistics;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that decoding may allocate, so that a forged length does not.
const BYTES_MAX: usize = 64 << 20;

/// What the catalog stores.
pub trait Stored: Serialize + DeserializeOwned {
    /// What it is called in errors.
    const NAME: &'static str;
    /// The version that is written, and the only one that is read.
    const VERSION: u8;

    /// That positions in it point at something.
    /// # Errors
    /// What is wrong.
    fn check(&self) -> std::result::Result<(), &'static str>;
}

impl Stored for TableDefinition {
    const NAME: &'static str = "table definition";
    const VERSION: u8 = 1;

    fn check(&self) -> std::result::Result<(), &'static str> {
        let columns = self.columns.len();
        let layout = &self.layout;
        if layout.columns.len() != columns || layout.indexes.len() != self.indexes.len() {
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
}

impl Stored for ViewDefinition {
    const NAME: &'static str = "view definition";
    const VERSION: u8 = 1;

    fn check(&self) -> std::result::Result<(), &'static str> {
        if self.columns.len() == self.types.len() {
            Ok(())
        } else {
            Err("It has not as many types as columns.")
        }
    }
}

impl Stored for TableStatistics {
    const NAME: &'static str = "table's statistics entry";
    const VERSION: u8 = 1;

    fn check(&self) -> std::result::Result<(), &'static str> {
        if self.sample.iter().any(|row| row.len() != self.columns.len()) {
            return Err("A row of its sample has another number of columns.");
        }
        Ok(())
    }
}

/// `stored` as bytes.
/// # Errors
/// `XX000` when it has no serial form, which would be a mistake of ours.
pub fn encode<S: Stored>(stored: &S) -> Result<Vec<u8>> {
    let mut bytes = vec![S::VERSION];
    bincode::serde::encode_into_std_write(stored, &mut bytes, bincode::config::standard())
        .map_err(|error| Error::internal(format!("a {} cannot be encoded: {error}", S::NAME)))?;
    Ok(bytes)
}

/// What `bytes` hold.
/// # Errors
/// `XX001`.
pub fn decode<S: Stored>(bytes: &[u8]) -> Result<S> {
    let damaged = |reason: String| {
        Error::new(SqlState::DATA_CORRUPTED, format!("a {} in the catalog is damaged", S::NAME))
            .detail(reason)
    };
    let (version, rest) = bytes.split_first().ok_or_else(|| damaged("It is empty.".to_owned()))?;
    if *version != S::VERSION {
        return Err(damaged(format!("Its version is {version}, this program reads version {}.", S::VERSION)));
    }
    let limited = bincode::config::standard().with_limit::<BYTES_MAX>();
    let (stored, read): (S, usize) = bincode::serde::decode_from_slice(rest, limited)
        .map_err(|error| damaged(format!("It does not decode: {error}.")))?;
    if read != rest.len() {
        return Err(damaged("Bytes follow its end.".to_owned()));
    }
    stored.check().map_err(|reason| damaged(reason.to_owned()))?;
    Ok(stored)
}

//! Rows on their way out: as an aligned table, CSV or JSON. Each writer streams; none keeps a result.

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod table;

use lumos_core::batch::batch::Batch;
use lumos_core::session::result::ResultColumn;
use lumos_core::sql::types::cast::CastEnvironment;
use lumos_core::sql::types::data_type::DataType;
use std::io::{self, Write};

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// Aligned columns for people.
    Table,
    /// Comma-separated values with a line of names.
    Csv,
    /// An array of objects, one a line.
    Json,
}

impl Format {
    /// The format of this name.
    pub(crate) fn named(name: &str) -> Option<Format> {
        match name {
            "table" => Some(Format::Table),
            "csv" => Some(Format::Csv),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// Takes one result.
pub(crate) trait RowWriter {
    /// Adds the selected rows of a batch.
    fn rows(
        &mut self,
        batch: &Batch,
        environment: &CastEnvironment<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()>;
    /// The result is complete.
    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// A writer for a result of these columns; its head may be written at once.
pub(crate) fn writer(
    format: Format,
    columns: &[ResultColumn],
    null: &str,
    out: &mut dyn Write,
) -> io::Result<Box<dyn RowWriter>> {
    Ok(match format {
        Format::Table => Box::new(table::TableWriter::new(columns, null)),
        Format::Csv => Box::new(csv::CsvWriter::new(columns, null, out)?),
        Format::Json => Box::new(json::JsonWriter::new(columns, out)?),
    })
}

/// Whether values of the type stand at the right.
pub(crate) fn is_number(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::SmallInt
            | DataType::Integer
            | DataType::BigInt
            | DataType::Real
            | DataType::Double
            | DataType::Numeric
    )
}

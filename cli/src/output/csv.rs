//! Rows as comma-separated values (RFC 4180 with `\n`), names first.

use crate::output::RowWriter;
use lumos_core::batch::batch::Batch;
use lumos_core::session::result::ResultColumn;
use lumos_core::sql::types::cast::CastEnvironment;
use lumos_core::sql::types::data_type::DataType;
use lumos_core::sql::types::text_form::datum_to_text;
use std::io::{self, Write};

/// See the module.
pub(crate) struct CsvWriter {
    types: Vec<DataType>,
    null: String,
    text: String,
}

impl CsvWriter {
    /// Writes the line of names.
    pub(crate) fn new(columns: &[ResultColumn], null: &str, out: &mut dyn Write) -> io::Result<CsvWriter> {
        let mut lines = encoder(out);
        lines.write_record(columns.iter().map(|column| column.name.as_str()))?;
        lines.flush()?;
        let types = columns.iter().map(|column| column.sql_type.data_type).collect();
        Ok(CsvWriter { types, null: null.to_owned(), text: String::new() })
    }
}

fn encoder(out: &mut dyn Write) -> csv::Writer<&mut dyn Write> {
    csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(out)
}

impl RowWriter for CsvWriter {
    fn rows(
        &mut self,
        batch: &Batch,
        environment: &CastEnvironment<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut lines = encoder(out);
        for row in batch.row_numbers() {
            for (column, data_type) in batch.columns.iter().zip(&self.types) {
                let value = column.datum(row);
                if value.is_null() {
                    lines.write_field(&self.null)?;
                    continue;
                }
                self.text.clear();
                datum_to_text(value, *data_type, environment, &mut self.text);
                lines.write_field(&self.text)?;
            }
            lines.write_record(None::<&[u8]>)?;
        }
        lines.flush()
    }

    fn finish(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

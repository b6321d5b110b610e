//! Rows as comma-separated values, names first: the lines that COPY writes and reads again (RFC 4180 with `\n`), so
//! that NULL and the empty string differ.

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
        let mut line = String::new();
        for (index, column) in columns.iter().enumerate() {
            line.push_str(if index > 0 { "," } else { "" });
            push_field(&column.name, null, columns.len() == 1, &mut line);
        }
        writeln!(out, "{line}")?;
        let types = columns.iter().map(|column| column.sql_type.data_type).collect();
        // A text for NULL that would break its line is quoted like any other.
        let mut null_field = String::new();
        match is_plain(null) {
            true => null_field.push_str(null),
            false => push_field(null, "", false, &mut null_field),
        }
        Ok(CsvWriter { types, null: null_field, text: String::new() })
    }
}

fn is_plain(text: &str) -> bool {
    !text.contains([',', '"', '\n', '\r'])
}

/// A value that is not NULL: in quotes where it could be taken for something else, alone on its line also for
/// COPY's end of data.
fn push_field(text: &str, null: &str, is_alone: bool, line: &mut String) {
    if text != null && is_plain(text) && !(is_alone && text == "\\.") {
        line.push_str(text);
        return;
    }
    line.push('"');
    line.push_str(&text.replace('"', "\"\""));
    line.push('"');
}

impl RowWriter for CsvWriter {
    fn rows(
        &mut self,
        batch: &Batch,
        environment: &CastEnvironment<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let is_alone = self.types.len() == 1;
        let mut lines = String::new();
        for row in batch.row_numbers() {
            for (index, (column, data_type)) in batch.columns.iter().zip(&self.types).enumerate() {
                lines.push_str(if index > 0 { "," } else { "" });
                let value = column.datum(row);
                if value.is_null() {
                    lines.push_str(&self.null);
                    continue;
                }
                self.text.clear();
                datum_to_text(value, *data_type, environment, &mut self.text);
                push_field(&self.text, &self.null, is_alone, &mut lines);
            }
            lines.push('\n');
            // Long values leave one by one.
            if lines.len() >= 64 << 10 {
                out.write_all(lines.as_bytes())?;
                lines.clear();
            }
        }
        out.write_all(lines.as_bytes())
    }

    fn finish(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::push_field;

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        let field = |text, null, is_alone| {
            let mut line = String::new();
            push_field(text, null, is_alone, &mut line);
            line
        };
        assert_eq!(field("plain text", "", false), "plain text");
        assert_eq!(field("", "", false), "\"\"");
        assert_eq!(field("", "NIL", false), "");
        assert_eq!(field("NIL", "NIL", false), "\"NIL\"");
        assert_eq!(field("a,\"b\"\r\n", "", false), "\"a,\"\"b\"\"\r\n\"");
        assert_eq!((field("\\.", "", true), field("\\.", "", false)), ("\"\\.\"".into(), "\\.".into()));
    }
}

//! Rows as bytes of a file.

use crate::file::format::{FileFormat, Header};
use crate::file::{csv, text};

/// Writes rows into a buffer that whoever owns it empties.
#[derive(Debug)]
pub struct RowWriter {
    format: FileFormat,
    columns: usize,
    /// Column of the next value.
    position: usize,
    /// What was written.
    pub bytes: Vec<u8>,
}

impl RowWriter {
    /// A writer of rows; the header, where there is one, is written at once.
    pub fn new<'c>(format: FileFormat, columns: impl ExactSizeIterator<Item = &'c str>) -> RowWriter {
        let count = columns.len();
        let mut writer = RowWriter { format, columns: count, position: 0, bytes: Vec::new() };
        if writer.format.header != Header::None {
            for name in columns {
                writer.start_value();
                if writer.format.csv {
                    csv::write(name, false, count == 1, &writer.format, &mut writer.bytes);
                } else {
                    text::write(name, &writer.format, &mut writer.bytes);
                }
            }
            writer.end_row();
        }
        writer
    }

    fn start_value(&mut self) {
        if self.position > 0 {
            self.bytes.push(self.format.delimiter);
        }
        self.position += 1;
    }

    /// The row's next value.
    pub fn value(&mut self, value: &str) {
        let column = self.position;
        self.start_value();
        if self.format.csv {
            let force_quote = self.format.force_quote.get(column).copied().unwrap_or(false);
            csv::write(value, force_quote, self.columns == 1, &self.format, &mut self.bytes);
        } else {
            text::write(value, &self.format, &mut self.bytes);
        }
    }

    /// NULL as the row's next value.
    pub fn null(&mut self) {
        self.start_value();
        self.bytes.extend_from_slice(self.format.null.as_bytes());
    }

    /// Ends the row.
    pub fn end_row(&mut self) {
        self.position = 0;
        self.bytes.push(b'\n');
    }
}

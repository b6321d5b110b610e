//! Rows of a file as values in text, and where they stand when something is wrong with them.

use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::file::fields::Fields;
use crate::file::format::{FileFormat, Header};
use crate::file::line::{LineReader, ReadBytes};
use crate::file::{csv, text};
use crate::sql::types::text::check_utf8;

/// Characters of the data that an error's context quotes.
const CONTEXT_CHARACTERS_MAX: usize = 100;

/// Reads rows. What it gives belongs to the last row.
#[derive(Debug)]
pub struct RowReader<'a> {
    lines: LineReader<'a>,
    format: FileFormat,
    /// Names of the columns in the file.
    columns: Vec<String>,
    /// What errors call the target.
    relation: String,
    line: String,
    fields: Fields,
    started: bool,
}

impl<'a> RowReader<'a> {
    /// A reader of rows with these columns. `relation`: what errors call the target.
    pub fn new(
        format: FileFormat,
        columns: Vec<String>,
        relation: String,
        read: &'a mut ReadBytes<'a>,
        memory: &Arc<MemoryAccount>,
    ) -> RowReader<'a> {
        RowReader {
            lines: LineReader::new(&format, read, memory),
            format,
            columns,
            relation,
            line: String::new(),
            fields: Fields::default(),
            started: false,
        }
    }

    /// Goes to the next row, which has a value for each column; `false` at the end.
    /// # Errors
    /// `22P04` for missing and extra values, open quotes and mixed line ends; `22021`; what reading raises. The
    /// context names the line.
    pub fn next_row(&mut self) -> Result<bool> {
        let result = self.advance();
        result.map_err(|error| {
            let is_of_data = matches!(error.state().class(), "22");
            if is_of_data && error.context_text().is_none() { self.in_line(error) } else { error }
        })
    }

    fn advance(&mut self) -> Result<bool> {
        if !std::mem::replace(&mut self.started, true) && self.format.header != Header::None {
            if !self.read_line()? {
                return Ok(false);
            }
            if self.format.header == Header::Match {
                self.cut()?;
                self.check_header()?;
            }
        }
        if !self.read_line()? {
            return Ok(false);
        }
        self.cut()?;
        let bad = |message: String| Error::new(SqlState::BAD_COPY_FILE_FORMAT, message);
        if self.fields.len() > self.columns.len() {
            // A table without columns has empty lines.
            if !(self.columns.is_empty() && self.line.is_empty()) {
                return Err(bad(String::from("extra data after last expected column")));
            }
        } else if let Some(missing) = self.columns.get(self.fields.len()) {
            return Err(bad(format!("missing data for column \"{missing}\"")));
        }
        Ok(true)
    }

    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        let Some(bytes) = self.lines.next_line()? else { return Ok(false) };
        self.line.push_str(check_utf8(bytes)?);
        Ok(true)
    }

    fn cut(&mut self) -> Result<()> {
        self.fields.clear();
        if self.format.csv {
            csv::cut(&self.line, &self.format, &mut self.fields)
        } else {
            text::cut(&self.line, &self.format, &mut self.fields)
        }
    }

    fn check_header(&self) -> Result<()> {
        let bad = |message: String| Err(Error::new(SqlState::BAD_COPY_FILE_FORMAT, message));
        if self.fields.len() != self.columns.len() {
            return bad(format!(
                "wrong number of fields in header line: got {}, expected {}",
                self.fields.len(),
                self.columns.len()
            ));
        }
        for (position, expected) in self.columns.iter().enumerate() {
            let number = position + 1;
            match self.fields.get(&self.line, position) {
                Some(found) if found == expected => {}
                Some(found) => {
                    return bad(format!(
                        "column name mismatch in header line field {number}: got \"{found}\", expected \
                         \"{expected}\""
                    ));
                }
                None => {
                    return bad(format!(
                        "column name mismatch in header line field {number}: got null value (\"{}\"), expected \
                         \"{expected}\"",
                        self.format.null
                    ));
                }
            }
        }
        Ok(())
    }

    /// The value of a column; `None`: NULL.
    pub fn value(&self, column: usize) -> Option<&str> {
        let is = |flags: &[bool]| flags.get(column).copied().unwrap_or(false);
        match self.fields.get(&self.line, column) {
            None if is(&self.format.force_not_null) => Some(&self.format.null),
            Some(value) if value == self.format.null && is(&self.format.force_null) => None,
            value => value,
        }
    }

    /// The row's line, from 1.
    pub fn line_number(&self) -> u64 {
        self.lines.number()
    }

    /// An error about the whole line.
    fn in_line(&self, error: Error) -> Error {
        let place = format!("COPY {}, line {}", self.relation, self.lines.number());
        let context =
            if self.line.is_empty() { place } else { format!("{place}: \"{}\"", shortened(&self.line)) };
        error.context(context)
    }

    /// An error about a value.
    #[must_use]
    pub fn in_column(&self, error: Error, column: usize) -> Error {
        let name = self.columns.get(column).map_or("", String::as_str);
        let value = match self.value(column) {
            Some(value) => format!("\"{}\"", shortened(value)),
            None => String::from("null input"),
        };
        error.context(format!("COPY {}, line {}, column {name}: {value}", self.relation, self.lines.number()))
    }
}

/// The beginning of a text that may be long.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(CONTEXT_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

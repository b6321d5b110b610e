//! Rows as aligned columns, as psql draws them: numbers at the right, everything else at the left.
//!
//! Widths need rows, so rows wait until a chunk of them is there; the widths of a later chunk are never smaller
//! than those before it, and grow only when a value needs it. Control characters are spelled out: no value can
//! send escape codes to a terminal.

use crate::output::{RowWriter, is_number};
use lumos_core::batch::batch::Batch;
use lumos_core::session::result::ResultColumn;
use lumos_core::sql::types::cast::CastEnvironment;
use lumos_core::sql::types::data_type::DataType;
use lumos_core::sql::types::text_form::datum_to_text;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Rows that wait at most.
const CHUNK_ROWS: usize = 4096;
/// Bytes of cells that wait at most (one batch more when values are long).
const CHUNK_BYTES: usize = 1 << 20;

/// A column's name and side.
pub(crate) struct Head {
    name: String,
    right: bool,
}

/// Aligned text: also for lists that the shell itself makes.
pub(crate) struct Grid {
    heads: Vec<Head>,
    widths: Vec<usize>,
    /// Cells of the waiting rows, row by row; each is one line or more.
    cells: Vec<String>,
    bytes: usize,
    rows: u64,
    is_headed: bool,
}

impl Grid {
    /// Columns by name; the flag puts a column's values at the right.
    pub(crate) fn new<'a>(columns: impl IntoIterator<Item = (&'a str, bool)>) -> Grid {
        let heads: Vec<Head> = columns
            .into_iter()
            .map(|(name, right)| Head { name: printable(name).replace('\n', " "), right })
            .collect();
        let widths = heads.iter().map(|head| head.name.width()).collect();
        Grid { heads, widths, cells: Vec::new(), bytes: 0, rows: 0, is_headed: false }
    }

    /// Adds the next cell, column after column.
    pub(crate) fn push(&mut self, text: &str) {
        let column = self.cells.len() % self.heads.len();
        let cell = printable(text);
        let width = cell.split('\n').map(UnicodeWidthStr::width).max().unwrap_or(0);
        self.widths[column] = self.widths[column].max(width);
        self.bytes += cell.len();
        self.cells.push(cell);
    }

    /// Whether a chunk waits.
    fn is_full(&self) -> bool {
        self.cells.len() >= CHUNK_ROWS * self.heads.len().max(1) || self.bytes >= CHUNK_BYTES
    }

    /// The width of a line.
    pub(crate) fn width(&self) -> usize {
        self.widths.iter().map(|width| width + 2).sum::<usize>() + self.heads.len().saturating_sub(1)
    }

    /// Writes what waits, and before it, once, the heads.
    pub(crate) fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut line = String::new();
        if self.heads.is_empty() {
            // A result may have rows and no columns.
            if !std::mem::replace(&mut self.is_headed, true) {
                writeln!(out, "--")?;
            }
            return Ok(());
        }
        if !std::mem::replace(&mut self.is_headed, true) {
            for (index, (head, width)) in self.heads.iter().zip(&self.widths).enumerate() {
                let space = width - head.name.width();
                line.push_str(if index > 0 { "|" } else { "" });
                line.extend(std::iter::repeat_n(' ', space / 2 + 1));
                line.push_str(&head.name);
                line.extend(std::iter::repeat_n(' ', space.div_ceil(2) + 1));
            }
            writeln!(out, "{}", line.trim_end())?;
            let rule: Vec<String> = self.widths.iter().map(|width| "-".repeat(width + 2)).collect();
            writeln!(out, "{}", rule.join("+"))?;
        }
        for row in self.cells.chunks(self.heads.len()) {
            let height = row.iter().map(|cell| cell.split('\n').count()).max().unwrap_or(1);
            for number in 0..height {
                line.clear();
                for (index, cell) in row.iter().enumerate() {
                    let mut rest = cell.split('\n').skip(number);
                    let text = rest.next().unwrap_or("");
                    let goes_on = rest.next().is_some();
                    let space = self.widths[index] - text.width();
                    line.push_str(if index > 0 { "|" } else { "" });
                    line.push(' ');
                    if self.heads[index].right {
                        line.extend(std::iter::repeat_n(' ', space));
                        line.push_str(text);
                    } else {
                        line.push_str(text);
                        // Nothing follows the last column.
                        if index + 1 < row.len() || goes_on {
                            line.extend(std::iter::repeat_n(' ', space));
                        }
                    }
                    if goes_on {
                        line.push('+');
                    } else if index + 1 < row.len() {
                        line.push(' ');
                    }
                }
                // An empty last cell leaves no blanks behind.
                let is_empty =
                    row.last().is_some_and(|cell| cell.split('\n').nth(number).unwrap_or("").is_empty());
                writeln!(out, "{}", if is_empty { line.trim_end() } else { &line })?;
            }
        }
        self.cells.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// `text` without control characters but line feeds: tabs become blanks, others `\x1B`.
fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => shown.push('\n'),
            '\r' => shown.push_str("\\r"),
            '\t' => {
                let line = shown.rsplit('\n').next().unwrap_or("");
                let space = 8 - line.width() % 8;
                shown.extend(std::iter::repeat_n(' ', space));
            }
            other if other.is_control() => shown.push_str(&format!("\\x{:02X}", u32::from(other))),
            other => shown.push(other),
        }
    }
    shown
}

/// See the module.
pub(crate) struct TableWriter {
    grid: Grid,
    types: Vec<DataType>,
    null: String,
    text: String,
}

impl TableWriter {
    /// A table for a result of these columns.
    pub(crate) fn new(columns: &[ResultColumn], null: &str) -> TableWriter {
        let types: Vec<DataType> = columns.iter().map(|column| column.sql_type.data_type).collect();
        let grid = Grid::new(
            columns.iter().zip(&types).map(|(column, data_type)| (&*column.name, is_number(*data_type))),
        );
        TableWriter { grid, types, null: null.to_owned(), text: String::new() }
    }
}

impl RowWriter for TableWriter {
    fn rows(
        &mut self,
        batch: &Batch,
        environment: &CastEnvironment<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        for row in batch.row_numbers() {
            for (column, data_type) in batch.columns.iter().zip(&self.types) {
                let value = column.datum(row);
                if value.is_null() {
                    self.grid.push(&self.null);
                } else {
                    self.text.clear();
                    datum_to_text(value, *data_type, environment, &mut self.text);
                    self.grid.push(&self.text);
                }
            }
            self.grid.rows += 1;
            if self.grid.is_full() {
                self.grid.write(out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.grid.write(out)?;
        let rows = self.grid.rows;
        writeln!(out, "({rows} {})\n", if rows == 1 { "row" } else { "rows" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(columns: &[(&str, bool)], cells: &[&str]) -> String {
        let mut grid = Grid::new(columns.iter().copied());
        for cell in cells {
            grid.push(cell);
        }
        let mut out = Vec::new();
        grid.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_stand_at_the_right_and_heads_in_the_middle() {
        let expected = " id |  name\n----+---------\n  1 | Ada\n 10 | Charles\n";
        assert_eq!(drawn(&[("id", true), ("name", false)], &["1", "Ada", "10", "Charles"]), expected);
    }

    #[test]
    fn wide_characters_take_two_places_and_lines_go_on() {
        let expected = " a  | b\n----+---\n 漢+| 1\n x  |\n";
        assert_eq!(drawn(&[("a", false), ("b", true)], &["漢\nx", "1"]), expected);
    }

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(printable("a\tb\u{1b}[31m\r"), "a       b\\x1B[31m\\r");
    }
}

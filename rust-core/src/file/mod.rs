//! Tables as files: PostgreSQL's text and CSV formats of COPY, read and written piece by piece.
//!
//! Our own reader, because a NULL is told from an empty value by whether it stood in quotes, which general CSV readers
//! do not say. Knows bytes, lines and values as text. Knows no tables and no statements.

pub mod csv;
pub mod fields;
pub mod format;
pub mod line;
pub mod reader;
pub mod text;
pub mod writer;

#[cfg(test)]
mod tests;

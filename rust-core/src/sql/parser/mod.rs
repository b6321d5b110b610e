//! SQL text to syntax tree: recursive descent with a precedence table for expressions. Knows no catalog.

use crate::common::arena::Arena;
use crate::error::Result;
use crate::sql::ast::StatementWithSpan;
use crate::sql::ast::expression::Expr;

/// All statements of `text`; empty statements are skipped.
/// # Errors
/// `42601` with its position; `54001` when nested too deeply; `0A000` for statement kinds without a grammar here.
pub fn parse<'a>(_text: &'a str, _arena: &'a Arena) -> Result<Vec<StatementWithSpan<'a>>> {
    unimplemented!()
}

/// The first statement of `text` with the bytes it takes, its semicolon included; `None` when there is none.
/// # Errors
/// As [`parse`].
pub fn parse_first<'a>(_text: &'a str, _arena: &'a Arena) -> Result<Option<(StatementWithSpan<'a>, usize)>> {
    unimplemented!()
}

/// One expression: a stored default or check.
/// # Errors
/// As [`parse`].
pub fn parse_expression<'a>(_text: &'a str, _arena: &'a Arena) -> Result<&'a Expr<'a>> {
    unimplemented!()
}

/// Makes text of bytes.
/// # Errors
/// `54000` beyond `bytes_max`; `22021` at a NUL byte or at bytes that are not UTF-8.
pub fn check_text(_text: &[u8], _bytes_max: usize) -> Result<&str> {
    unimplemented!()
}

//! SQL text to syntax tree: recursive descent with a precedence table for expressions, one pass. Knows no catalog.
//!
//! Recursion is bounded by [`crate::common::limits::NESTING_DEPTH_MAX`]: every rule that recurses counts for as many
//! levels as its frames are large (an operand one, parentheses one more, a call two, a query four), so that the
//! deepest text still fits a stack of 128 KiB. Sequences of operators, joins and set operations are loops.

mod alter;
mod control;
mod create;
mod cursor;
mod expression;
mod from;
mod function;
mod modify;
mod precedence;
mod query;
mod statement;
mod type_name;

#[cfg(test)]
mod tests;

use crate::common::arena::Arena;
use crate::common::memory::Reservation;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::StatementWithSpan;
use crate::sql::ast::expression::Expr;
use crate::sql::lexer::TokenKind;
use crate::sql::parser::cursor::Parser;
use crate::sql::types::text::check_sql_text;
use std::cell::RefCell;

/// All statements of `text`; empty statements are skipped.
/// # Errors
/// `42601` with its position; `54001` when nested too deeply; `0A000` for statement kinds without a grammar here.
pub fn parse<'a>(text: &'a str, arena: &'a Arena) -> Result<Vec<StatementWithSpan<'a>>> {
    let mut parser = Parser::new(text, arena);
    let mut statements = Vec::new();
    while let Some(statement) = parser.next_statement()? {
        statements.push(statement);
    }
    Ok(statements)
}

/// The first statement of `text` with the bytes it takes, its semicolon included; `None` when there is none.
/// # Errors
/// As [`parse`].
pub fn parse_first<'a>(text: &'a str, arena: &'a Arena) -> Result<Option<(StatementWithSpan<'a>, usize)>> {
    let mut parser = Parser::new(text, arena);
    Ok(parser.next_statement()?.map(|statement| (statement, parser.previous_end as usize)))
}

/// [`parse_first`]; what the arena has is charged to `memory`, which need not be empty, and is then of that size.
/// # Errors
/// As [`parse`]; `53200`.
pub fn parse_first_charged<'a>(
    text: &'a str,
    arena: &'a Arena,
    memory: &'a RefCell<Reservation>,
) -> Result<Option<(StatementWithSpan<'a>, usize)>> {
    let mut parser = Parser::new(text, arena);
    parser.charge_to(memory);
    Ok(parser.next_statement()?.map(|statement| (statement, parser.previous_end as usize)))
}

/// [`parse_first`] for a stored query, with `depth` levels of nesting around it already.
/// # Errors
/// As [`parse`].
pub fn parse_first_within<'a>(
    text: &'a str,
    arena: &'a Arena,
    depth: usize,
) -> Result<Option<StatementWithSpan<'a>>> {
    let mut parser = Parser::new(text, arena);
    parser.descend(depth)?;
    parser.next_statement()
}

/// One expression: a stored default or check.
/// # Errors
/// As [`parse`].
pub fn parse_expression<'a>(text: &'a str, arena: &'a Arena) -> Result<&'a Expr<'a>> {
    let mut parser = Parser::new(text, arena);
    let expression = parser.expression()?;
    if parser.token.kind != TokenKind::End {
        return parser.unexpected();
    }
    Ok(arena.alloc(expression))
}

/// Makes text of bytes: the one way into the parser for untrusted bytes.
/// # Errors
/// `54000` beyond `bytes_max`; `22021` at a NUL byte or at bytes that are not UTF-8.
pub fn check_text(text: &[u8], bytes_max: usize) -> Result<&str> {
    // Places are 32-bit numbers.
    if text.len() > bytes_max.min(u32::MAX as usize) {
        return Err(Error::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("the statement has {} bytes, more than max_statement_size ({bytes_max})", text.len()),
        ));
    }
    check_sql_text(text)
}

//! Errors and notices for people: SQLSTATE and message, the line with the place underlined, detail, hint.

use lumos_core::error::Error;
use lumos_core::session::{Notice, Severity};
use lumos_core::sql::lexer::{Lexer, TokenKind};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

/// Columns of a statement's line that are shown around the place.
const EXCERPT_WIDTH: usize = 100;

/// Where a statement comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// The input's name; `None`: not worth telling.
    pub(crate) input: Option<&'a str>,
    /// The line of the input that the text starts in, from 1.
    pub(crate) line: usize,
}

/// An error of the statement `sql`.
pub(crate) fn error(error: &Error, sql: &str, origin: Origin<'_>, colour: bool) -> String {
    let mut report = String::new();
    let position = error.position().filter(|position| *position <= sql.len());
    if let Some(input) = origin.input {
        let inside = position.map_or(0, |position| newlines(&sql[..floor(sql, position)]));
        let _ = write!(report, "{input}:{}: ", origin.line + inside);
    }
    let word = if colour { "\u{1b}[1;31mERROR:\u{1b}[0m" } else { "ERROR:" };
    let _ = writeln!(report, "{word}  {}: {}", error.state(), error.message());
    if let Some(position) = position {
        underline(&mut report, sql, floor(sql, position));
    }
    facts(&mut report, error);
    report
}

/// A notice or a warning.
pub(crate) fn notice(notice: &Notice) -> String {
    let word = match notice.severity {
        Severity::Notice => "NOTICE:",
        Severity::Warning => "WARNING:",
    };
    let mut report = format!("{word}  {}\n", notice.report.message());
    facts(&mut report, &notice.report);
    report
}

fn facts(report: &mut String, error: &Error) {
    if let Some(detail) = error.detail_text() {
        let _ = writeln!(report, "DETAIL:  {detail}");
    }
    if let Some(context) = error.context_text() {
        let _ = writeln!(report, "CONTEXT:  {context}");
    }
    if let Some(hint) = error.hint_text() {
        let _ = writeln!(report, "HINT:  {hint}");
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn floor(text: &str, position: usize) -> usize {
    (0..=position).rev().find(|position| text.is_char_boundary(*position)).unwrap_or(0)
}

/// The statement's line at `position`, and carets under the token there.
fn underline(report: &mut String, sql: &str, position: usize) {
    let line_start = sql[..position].rfind('\n').map_or(0, |feed| feed + 1);
    let line_end = sql[position..].find('\n').map_or(sql.len(), |feed| position + feed);
    let mut lexer = Lexer::new(sql);
    lexer.seek(position);
    let token = lexer.next_token();
    let is_here = token.start as usize == position && token.kind != TokenKind::End;
    let token_end = if is_here { (token.end() as usize).min(line_end) } else { position };
    let (mut before, mut after) = (plain(&sql[line_start..position]), plain(&sql[position..line_end]));
    let carets = plain(&sql[position..token_end]).width().clamp(1, EXCERPT_WIDTH);
    // A long line is cut at both sides of the place.
    if before.width() + after.width() > EXCERPT_WIDTH {
        let room = EXCERPT_WIDTH * 2 / 3;
        if before.width() > room {
            let tail: String = before.chars().rev().take(room).collect();
            before = format!("...{}", tail.chars().rev().collect::<String>());
        }
        let room = EXCERPT_WIDTH.saturating_sub(before.width()).max(carets.min(EXCERPT_WIDTH / 3));
        if after.width() > room {
            after = format!("{}...", after.chars().take(room).collect::<String>());
        }
    }
    let carets = carets.min(after.trim_end_matches("...").width().max(1));
    let head = format!("LINE {}: ", newlines(&sql[..position]) + 1);
    let _ = writeln!(report, "{head}{}", format!("{before}{after}").trim_end());
    let _ = writeln!(report, "{}{}", " ".repeat(head.len() + before.width()), "^".repeat(carets));
}

/// Control characters as blanks, so that places stay under each other.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumos_core::error::SqlState;

    fn reported(sql: &str, at: usize) -> String {
        let problem = Error::new(SqlState::UNDEFINED_COLUMN, "no such column").at(at).hint("Look again.");
        error(&problem, sql, Origin { input: None, line: 1 }, false)
    }

    #[test]
    fn the_token_at_the_place_is_underlined() {
        let expected =
            "ERROR:  42703: no such column\nLINE 2:   name, nmae\n                ^^^^\nHINT:  Look again.\n";
        assert_eq!(
            reported("SELECT\n\tname, nmae\nFROM t", 14),
            expected.replace("  name", " name").replace(" ^^^^", "^^^^")
        );
    }

    #[test]
    fn places_count_columns_not_bytes() {
        let report = reported("SELECT '漢字', nmae", "SELECT '漢字', ".len());
        let lines: Vec<&str> = report.lines().collect();
        assert_eq!(lines[1], "LINE 1: SELECT '漢字', nmae");
        assert_eq!(lines[2], format!("{}^^^^", " ".repeat(8 + 15)));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let sql = format!("SELECT {}, nmae, {}", vec!["a"; 300].join(","), vec!["b"; 300].join(","));
        let report = reported(&sql, sql.find("nmae").unwrap());
        let lines: Vec<&str> = report.lines().collect();
        assert!(lines[1].len() < 130 && lines[1].contains("nmae"), "{report}");
        assert_eq!(lines[1].find("nmae"), lines[2].find("^^^^"), "{report}");
    }

    #[test]
    fn the_end_of_the_text_has_a_caret_too() {
        assert!(reported("SELECT", 6).contains("LINE 1: SELECT\n              ^\n"));
    }
}

//! Cuts text that arrives line by line into statements at the semicolons that end them, by the engine's own lexer.
//! Knows no grammar, runs nothing.

use lumos_core::sql::lexer::{Lexer, TokenKind};

/// A statement with its semicolon, and the line of the input that it starts in, from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Lines that are no complete statement yet.
#[derive(Debug)]
pub(crate) struct Splitter {
    buffer: String,
    /// Where the pending statement starts in the buffer; what is before it has been given out.
    start: usize,
    /// To where tokens have been read.
    scanned: usize,
    /// The first token of the pending statement.
    first: Option<usize>,
    /// A string, a quoted name or a comment is open at `scanned`.
    open: bool,
    /// The number of the line that `start` is in.
    line: usize,
}

impl Splitter {
    /// Nothing read yet.
    pub(crate) fn new() -> Splitter {
        Splitter { buffer: String::new(), start: 0, scanned: 0, first: None, open: false, line: 1 }
    }

    /// Adds a line; one without its line feed gets it.
    pub(crate) fn push_line(&mut self, line: &str) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.first = self.first.map(|first| first - self.start);
            self.start = 0;
        }
        // Only these bytes can end what is open: text without them need not be read again.
        if self.open && !line.bytes().any(|byte| matches!(byte, b'\'' | b'"' | b'$' | b'/')) {
            self.add_line(line);
            return;
        }
        self.open = false;
        self.add_line(line);
    }

    fn add_line(&mut self, line: &str) {
        self.buffer.push_str(line);
        if !line.ends_with('\n') {
            self.buffer.push('\n');
        }
    }

    /// The next statement that is complete.
    pub(crate) fn next_statement(&mut self) -> Option<Statement> {
        if self.open {
            return None;
        }
        let mut lexer = Lexer::new(&self.buffer);
        lexer.seek(self.scanned);
        loop {
            let token = lexer.next_token();
            let (start, end) = (token.start as usize, token.end() as usize);
            match token.kind {
                TokenKind::End => {
                    self.scanned = self.buffer.len();
                    return None;
                }
                TokenKind::Invalid if end == self.buffer.len() => {
                    self.first.get_or_insert(start);
                    self.scanned = start;
                    self.open = true;
                    return None;
                }
                TokenKind::Semicolon => {
                    self.scanned = end;
                    if let Some(first) = self.first.take() {
                        return Some(self.cut(first, end));
                    }
                }
                _ => {
                    self.first.get_or_insert(start);
                    self.scanned = end;
                }
            }
        }
    }

    fn cut(&mut self, first: usize, end: usize) -> Statement {
        let line = self.line + newlines(&self.buffer[self.start..first]);
        let statement = Statement { text: self.buffer[first..end].to_owned(), line };
        self.line += newlines(&self.buffer[self.start..end]);
        self.start = end;
        statement
    }

    /// At the end of the input: what is left without a semicolon.
    pub(crate) fn finish(&mut self) -> Option<Statement> {
        let first = self.first.take()?;
        let end = self.buffer.trim_end().len().max(first);
        let statement = self.cut(first, end);
        self.clear();
        Some(statement)
    }

    /// Forgets the pending statement.
    pub(crate) fn clear(&mut self) {
        self.line += newlines(&self.buffer[self.start..]);
        self.buffer.clear();
        (self.start, self.scanned, self.first, self.open) = (0, 0, None, false);
    }

    /// Whether nothing but blanks and comments waits.
    pub(crate) fn is_blank(&self) -> bool {
        self.first.is_none()
    }

    /// Whether a string, a quoted name or a comment is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// The number of the line that comes next.
    pub(crate) fn next_line(&self) -> usize {
        self.line + newlines(&self.buffer[self.start..])
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(lines: &[&str]) -> Vec<(usize, String)> {
        let mut splitter = Splitter::new();
        let mut found = Vec::new();
        for line in lines {
            splitter.push_line(line);
            while let Some(statement) = splitter.next_statement() {
                found.push((statement.line, statement.text));
            }
        }
        found.extend(splitter.finish().map(|statement| (statement.line, statement.text)));
        found
    }

    fn owned(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
        expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
    }

    #[test]
    fn statements_end_at_semicolons_and_know_their_lines() {
        let found = split(&["SELECT 1; SELECT", "  2;", "", "-- a comment; with one", "SELECT 3"]);
        assert_eq!(found, owned(&[(1, "SELECT 1;"), (1, "SELECT\n  2;"), (5, "SELECT 3")]));
    }

    #[test]
    fn semicolons_in_strings_names_and_comments_end_nothing() {
        let found = split(&["SELECT 'a;", "b', \"c;\",", "/* ; /* ; */", "; */ $x$;$x$;"]);
        assert_eq!(found, owned(&[(1, "SELECT 'a;\nb', \"c;\",\n/* ; /* ; */\n; */ $x$;$x$;")]));
    }

    #[test]
    fn empty_statements_are_nothing() {
        assert_eq!(split(&[";;", " ; -- x", ";"]), owned(&[]));
    }

    #[test]
    fn what_is_no_token_is_left_to_the_engine() {
        assert_eq!(split(&["SELECT 1x; SELECT 2;"]), owned(&[(1, "SELECT 1x;"), (1, "SELECT 2;")]));
        assert_eq!(split(&["SELECT 'open;", "still"]), owned(&[(1, "SELECT 'open;\nstill")]));
    }

    #[test]
    fn a_cleared_statement_is_gone_and_lines_are_still_counted() {
        let mut splitter = Splitter::new();
        splitter.push_line("SELECT 'open");
        assert!(splitter.next_statement().is_none() && splitter.is_open());
        splitter.clear();
        assert!(splitter.is_blank() && !splitter.is_open());
        splitter.push_line("SELECT 1;");
        assert_eq!(splitter.next_statement(), Some(Statement { text: "SELECT 1;".to_owned(), line: 2 }));
        assert_eq!(splitter.next_line(), 3);
    }
}

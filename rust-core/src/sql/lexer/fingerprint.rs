//! One number for all statements that differ only in their constants: what statistics of statements are kept by,
//! and what tells a plan cache how many texts are one statement. Knows tokens, no grammar.
//!
//! Not part of the number: blanks and comments, the case of words, constants and parameters with their signs, how
//! many members an IN list and how many rows a VALUES list has when they look alike. Everything else counts.

use crate::sql::lexer::keyword::Keyword;
use crate::sql::lexer::{Lexer, Token, TokenKind};

/// What a constant or a parameter counts as.
const CONSTANT: u64 = 0xC0;
/// Where names' numbers start; those of kinds are below.
const NAME: u64 = 1 << 32;
/// Where keywords' numbers start.
const KEYWORD: u64 = 1 << 16;

/// The number of a text of one or more statements. Equal on every machine and in every process.
pub fn fingerprint(text: &str) -> u64 {
    let mut reader =
        Reader { lexer: Lexer::new(text), text, token: Token { kind: TokenKind::End, start: 0, len: 0 } };
    reader.advance();
    let mut state = Mixer::new();
    let mut after_operand = false;
    while reader.token.kind != TokenKind::End {
        let kind = reader.token.kind;
        let list = match kind {
            TokenKind::Keyword(Keyword::In) => Some(List::Members),
            TokenKind::Keyword(Keyword::Values) => Some(List::Rows),
            _ => None,
        };
        reader.take(&mut state, &mut after_operand);
        if let Some(list) = list
            && reader.token.kind == TokenKind::LeftParenthesis
        {
            reader.list(list, &mut state);
            after_operand = true;
        }
    }
    state.finish()
}

/// A list whose equal neighbours count once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    /// `(a, b, …)`.
    Members,
    /// `(…), (…), …`.
    Rows,
}

/// Multiply and fold: sixteen bytes a step.
struct Mixer(u64);

impl Mixer {
    fn new() -> Mixer {
        Mixer(0x9E37_79B9_7F4A_7C15)
    }

    #[inline]
    fn add(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * u128::from(0xA076_1D64_78BD_642F_u64);
        self.0 = (product as u64) ^ ((product >> 64) as u64).rotate_left(23) ^ number.rotate_left(32);
    }

    fn finish(mut self) -> u64 {
        self.add(0xFF);
        self.0
    }
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    text: &'a str,
    token: Token,
}

impl Reader<'_> {
    fn advance(&mut self) {
        self.token = self.lexer.next_token();
    }

    /// Adds the current token and goes on.
    #[inline]
    fn take(&mut self, state: &mut Mixer, after_operand: &mut bool) {
        let token = self.token;
        self.advance();
        match token.kind {
            TokenKind::Minus | TokenKind::Plus if !*after_operand && is_number(self.token.kind) => {}
            kind if is_constant(kind) => {
                state.add(CONSTANT);
                *after_operand = true;
            }
            TokenKind::Keyword(keyword) => {
                state.add(KEYWORD + keyword as u64);
                *after_operand = false;
            }
            TokenKind::Identifier => {
                self.add_folded(token, state);
                *after_operand = true;
            }
            TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier => {
                self.add_quoted(token, state);
                *after_operand = true;
            }
            TokenKind::Operator | TokenKind::Other | TokenKind::Invalid => {
                self.add_bytes(&self.text.as_bytes()[token.start as usize..token.end() as usize], state);
                // A `?` is a parameter.
                *after_operand = self.text.as_bytes()[token.start as usize] == b'?';
            }
            kind => {
                state.add(number_of(kind));
                *after_operand = matches!(kind, TokenKind::RightParenthesis | TokenKind::RightBracket);
            }
        }
    }

    /// The name in lower case, as it is looked up.
    #[inline]
    fn add_folded(&self, token: Token, state: &mut Mixer) {
        let bytes = &self.text.as_bytes()[token.start as usize..token.end() as usize];
        state.add(NAME + bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            word.make_ascii_lowercase();
            state.add(u64::from_le_bytes(word));
        }
    }

    /// `"name"` is the same as `name`.
    fn add_quoted(&self, token: Token, state: &mut Mixer) {
        let bytes = &self.text.as_bytes()[token.start as usize..token.end() as usize];
        let inside = bytes.strip_prefix(b"\"").and_then(|bytes| bytes.strip_suffix(b"\"")).unwrap_or(bytes);
        self.add_bytes(inside, state);
    }

    fn add_bytes(&self, bytes: &[u8], state: &mut Mixer) {
        state.add(NAME + bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            state.add(u64::from_le_bytes(word));
        }
    }

    /// From the list's parenthesis to behind it: a member or row that looks like the one before counts once.
    fn list(&mut self, list: List, state: &mut Mixer) {
        self.advance();
        let mut last = None;
        let mut depth = 1usize;
        let mut part = Mixer::new();
        let mut after_operand = false;
        loop {
            let kind = self.token.kind;
            let ends_part = match kind {
                TokenKind::End => true,
                TokenKind::Comma => depth == 1 && list == List::Members,
                TokenKind::RightParenthesis => depth == 1,
                _ => false,
            };
            if !ends_part {
                depth += usize::from(kind == TokenKind::LeftParenthesis);
                depth -= usize::from(kind == TokenKind::RightParenthesis);
                self.take(&mut part, &mut after_operand);
                continue;
            }
            let number = std::mem::replace(&mut part, Mixer::new()).finish();
            if last != Some(number) {
                state.add(number);
            }
            last = Some(number);
            after_operand = false;
            if kind == TokenKind::End {
                return;
            }
            self.advance();
            if kind == TokenKind::Comma {
                continue;
            }
            if list == List::Members || self.token.kind != TokenKind::Comma {
                return;
            }
            self.advance();
            if self.token.kind != TokenKind::LeftParenthesis {
                return state.add(number_of(TokenKind::Comma));
            }
            self.advance();
        }
    }
}

fn is_number(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Integer | TokenKind::Number)
}

fn is_constant(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Integer
            | TokenKind::Number
            | TokenKind::String
            | TokenKind::EscapeString
            | TokenKind::UnicodeString
            | TokenKind::DollarString
            | TokenKind::BitString
            | TokenKind::HexString
            | TokenKind::Parameter
            | TokenKind::NamedParameter
            | TokenKind::Keyword(Keyword::True | Keyword::False)
    )
}

/// A number for each kind without text of its own; never changed, so that stored fingerprints stay.
fn number_of(kind: TokenKind) -> u64 {
    match kind {
        TokenKind::Plus => 1,
        TokenKind::Minus => 2,
        TokenKind::Star => 3,
        TokenKind::Slash => 4,
        TokenKind::Percent => 5,
        TokenKind::Caret => 6,
        TokenKind::Less => 7,
        TokenKind::Greater => 8,
        TokenKind::Equal => 9,
        TokenKind::LessEqual => 10,
        TokenKind::GreaterEqual => 11,
        TokenKind::NotEqual => 12,
        TokenKind::Arrow => 13,
        TokenKind::Comma => 14,
        TokenKind::Semicolon => 15,
        TokenKind::LeftParenthesis => 16,
        TokenKind::RightParenthesis => 17,
        TokenKind::LeftBracket => 18,
        TokenKind::RightBracket => 19,
        TokenKind::Dot => 20,
        TokenKind::Colon => 21,
        TokenKind::DoubleColon => 22,
        TokenKind::ColonEqual => 23,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    fn same(left: &str, right: &str) {
        assert_eq!(fingerprint(left), fingerprint(right), "{left}\n{right}");
    }

    fn differ(left: &str, right: &str) {
        assert_ne!(fingerprint(left), fingerprint(right), "{left}\n{right}");
    }

    #[test]
    fn constants_blanks_and_case_do_not_count() {
        same("SELECT a FROM t WHERE b = 1", "select  A from T -- x\n where b = $1");
        same("SELECT a FROM t WHERE b = -1.5", "SELECT a FROM t WHERE b = 'x'");
        same("SELECT \"a\" FROM t", "SELECT a FROM t");
        same("SELECT true, E'\\n'", "SELECT false, $$x$$");
        same("SELECT a - 1", "SELECT a - - 1");
    }

    #[test]
    fn lists_of_what_looks_alike_have_any_length() {
        same("SELECT a FROM t WHERE b IN (1)", "SELECT a FROM t WHERE b IN (1, 2, $3)");
        same("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (-3, 'c')");
        differ("INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (1, 2, 3)");
        differ("SELECT f(1)", "SELECT f(1, 2)");
        differ("SELECT a IN (1) FROM t", "SELECT a IN (b) FROM t");
        differ("SELECT a IN (1), 2", "SELECT a IN (1)");
        differ("INSERT INTO t VALUES (1) RETURNING a", "INSERT INTO t VALUES (1)");
        same("SELECT a IN (SELECT b FROM u WHERE c = 1), 2", "SELECT a IN (SELECT b FROM u WHERE c = 3), 4");
    }

    #[test]
    fn everything_else_counts() {
        differ("SELECT a FROM t", "SELECT b FROM t");
        differ("SELECT a + b", "SELECT a - b");
        differ("SELECT a || b", "SELECT a ~ b");
        differ("SELECT \"A\"", "SELECT a");
        differ("SELECT a, b", "SELECT b, a");
        differ("SELECT a IS NULL", "SELECT a IS NOT NULL");
        differ("SELECT abcdefgh", "SELECT abcdefghi");
        differ("SELECT ab", "SELECT a b");
        differ("SELECT a - 1", "SELECT a, -1");
    }

    #[test]
    fn what_is_no_statement_has_a_number_too() {
        for text in
            ["", "(", ")", "IN (", "VALUES (1), (", "VALUES (1),", "'open", "IN ((1), 2))", "é ? @> '"]
        {
            assert_eq!(fingerprint(text), fingerprint(text), "{text}");
        }
        // The number is for ever.
        assert_eq!(fingerprint("SELECT 1"), FIRST);
    }

    const FIRST: u64 = 9_732_190_469_680_520_360;
}

//! SQL text to tokens, by PostgreSQL's lexical rules. Byte-oriented; a token is a kind and a place, nothing is
//! copied. Knows no grammar.
//!
//! Beyond PostgreSQL there are the parameters `?`, `:name` and `@name`: a `?` ends an operator before it, and an
//! `@` before a letter does so too (`id=@id`), except in `<@`.

pub mod fingerprint;
pub mod keyword;
pub mod literal;

use crate::error::{Error, Result, SqlState};
use crate::sql::lexer::keyword::Keyword;
use memchr::{memchr, memmem};

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenKind {
    /// A name without quotes that is no keyword.
    Identifier,
    /// `"name"`.
    QuotedIdentifier,
    /// `U&"name"`.
    UnicodeIdentifier,
    /// A keyword.
    Keyword(Keyword),
    /// `'text'`, `N'text'`.
    String,
    /// `E'text'`.
    EscapeString,
    /// `U&'text'`.
    UnicodeString,
    /// `$tag$text$tag$`.
    DollarString,
    /// `B'101'`.
    BitString,
    /// `X'1F'`.
    HexString,
    /// Digits.
    Integer,
    /// Digits with point or exponent.
    Number,
    /// `$1`.
    Parameter,
    /// `@name`.
    NamedParameter,
    /// An operator that has no kind of its own; also one that starts with `?`.
    Operator,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `%`
    Percent,
    /// `^`
    Caret,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `=`
    Equal,
    /// `<=`
    LessEqual,
    /// `>=`
    GreaterEqual,
    /// `<>`, `!=`
    NotEqual,
    /// `=>`
    Arrow,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `(`
    LeftParenthesis,
    /// `)`
    RightParenthesis,
    /// `[`
    LeftBracket,
    /// `]`
    RightBracket,
    /// `.`
    Dot,
    /// `:`
    Colon,
    /// `::`
    DoubleColon,
    /// `:=`
    ColonEqual,
    /// A byte that starts no token.
    Other,
    /// Not a token: [`Lexer::error`] says why.
    Invalid,
    /// The end of the text.
    End,
}

/// A token with its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte.
    pub start: u32,
    /// Bytes.
    pub len: u32,
}

impl Token {
    /// After the last byte.
    pub fn end(self) -> u32 {
        self.start + self.len
    }
}

/// Reads tokens one by one. Cloning it is cheap: it is a place in the text.
#[derive(Clone, Copy, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    position: usize,
}

/// Classes of bytes, looked up by value.
mod class {
    /// Blank.
    pub(super) const SPACE: u8 = 1;
    /// Starts an identifier.
    pub(super) const START: u8 = 2;
    /// Continues an identifier.
    pub(super) const WORD: u8 = 4;
    /// A digit.
    pub(super) const DIGIT: u8 = 8;
    /// Part of an operator.
    pub(super) const OPERATOR: u8 = 16;
    /// Lets an operator end in `+` or `-`.
    pub(super) const FREE: u8 = 32;
}

static CLASS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let value = byte as u8;
        let mut bits = 0;
        if matches!(value, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C) {
            bits |= class::SPACE;
        }
        if value.is_ascii_alphabetic() || value == b'_' || value >= 0x80 {
            bits |= class::START | class::WORD;
        }
        if value.is_ascii_digit() {
            bits |= class::DIGIT | class::WORD;
        }
        if value == b'$' {
            bits |= class::WORD;
        }
        if matches!(
            value,
            b'~' | b'!'
                | b'@'
                | b'#'
                | b'^'
                | b'&'
                | b'|'
                | b'`'
                | b'?'
                | b'+'
                | b'-'
                | b'*'
                | b'/'
                | b'%'
                | b'<'
                | b'>'
                | b'='
        ) {
            bits |= class::OPERATOR;
        }
        if matches!(value, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%') {
            bits |= class::FREE;
        }
        table[byte] = bits;
        byte += 1;
    }
    table
};

const fn is(byte: u8, bits: u8) -> bool {
    CLASS[byte as usize] & bits != 0
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`.
    pub fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, bytes: text.as_bytes(), position: 0 }
    }

    /// Where the next token is looked for, in bytes.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Goes to `position`, the start of a token.
    pub fn seek(&mut self, position: usize) {
        self.position = position;
    }

    fn at(&self, index: usize) -> u8 {
        self.bytes.get(index).copied().unwrap_or(0)
    }

    /// The next token; [`TokenKind::End`] from the end on.
    pub fn next_token(&mut self) -> Token {
        if !self.skip_blanks() {
            let start = self.position;
            self.position = self.bytes.len();
            return self.token(TokenKind::Invalid, start);
        }
        let start = self.position;
        let Some(&first) = self.bytes.get(start) else { return self.token(TokenKind::End, start) };
        let kind = if is(first, class::START) {
            self.word(first)
        } else if is(first, class::DIGIT) || (first == b'.' && is(self.at(start + 1), class::DIGIT)) {
            self.number()
        } else {
            self.symbol(first)
        };
        self.token(kind, start)
    }

    fn token(&self, kind: TokenKind, start: usize) -> Token {
        Token { kind, start: start as u32, len: (self.position - start) as u32 }
    }

    /// Skips blanks and comments; false at a comment without end.
    fn skip_blanks(&mut self) -> bool {
        loop {
            let byte = self.at(self.position);
            if is(byte, class::SPACE) {
                self.position += 1;
            } else if byte == b'-' && self.at(self.position + 1) == b'-' {
                self.position = self.line_end(self.position);
            } else if byte == b'/' && self.at(self.position + 1) == b'*' {
                match self.comment_end(self.position) {
                    Some(end) => self.position = end,
                    None => return false,
                }
            } else {
                return true;
            }
        }
    }

    fn line_end(&self, from: usize) -> usize {
        memchr::memchr2(b'\n', b'\r', &self.bytes[from..]).map_or(self.bytes.len(), |offset| from + offset)
    }

    /// After the comment that starts at `start`; comments nest.
    fn comment_end(&self, start: usize) -> Option<usize> {
        let (mut depth, mut index) = (1usize, start + 2);
        while depth > 0 {
            index += memchr::memchr2(b'*', b'/', self.bytes.get(index..)?)?;
            match (self.bytes[index], self.at(index + 1)) {
                (b'*', b'/') => (depth, index) = (depth - 1, index + 2),
                (b'/', b'*') => (depth, index) = (depth + 1, index + 2),
                _ => index += 1,
            }
        }
        Some(index)
    }

    fn word(&mut self, first: u8) -> TokenKind {
        let start = self.position;
        let quote = self.at(start + 1);
        if quote == b'\'' {
            let kind = match first | 0x20 {
                b'e' => Some(TokenKind::EscapeString),
                b'b' => Some(TokenKind::BitString),
                b'x' => Some(TokenKind::HexString),
                b'n' => Some(TokenKind::String),
                _ => None,
            };
            if let Some(kind) = kind {
                return self.string(start + 2, kind);
            }
        }
        if quote == b'&' && first | 0x20 == b'u' {
            match self.at(start + 2) {
                b'\'' => return self.string(start + 3, TokenKind::UnicodeString),
                b'"' => return self.quoted(start + 3, TokenKind::UnicodeIdentifier),
                _ => {}
            }
        }
        let mut end = start + 1;
        while end < self.bytes.len() && is(self.bytes[end], class::WORD) {
            end += 1;
        }
        self.position = end;
        match Keyword::find(&self.bytes[start..end]) {
            Some(keyword) => TokenKind::Keyword(keyword),
            None => TokenKind::Identifier,
        }
    }

    fn number(&mut self) -> TokenKind {
        let start = self.position;
        let mut end = start;
        let mut kind = TokenKind::Integer;
        let digits = |from: usize| {
            let mut end = from;
            while is(self.at(end), class::DIGIT) {
                end += 1;
            }
            end
        };
        end = digits(end);
        // Two points are a range of PL/pgSQL, not a fraction.
        if self.at(end) == b'.' && (self.at(end + 1) != b'.' || end == start) {
            kind = TokenKind::Number;
            end = digits(end + 1);
        }
        if self.at(end) | 0x20 == b'e' {
            let sign = usize::from(matches!(self.at(end + 1), b'+' | b'-'));
            if is(self.at(end + 1 + sign), class::DIGIT) {
                kind = TokenKind::Number;
                end = digits(end + 1 + sign);
            }
        }
        self.position = end;
        self.refuse_junk(kind)
    }

    /// A number or `$1` must not run into a word; the junk's first character belongs to the reported text.
    fn refuse_junk(&mut self, kind: TokenKind) -> TokenKind {
        if !is(self.at(self.position), class::START) {
            return kind;
        }
        self.position += 1;
        while !self.text.is_char_boundary(self.position) {
            self.position += 1;
        }
        TokenKind::Invalid
    }

    fn symbol(&mut self, first: u8) -> TokenKind {
        let start = self.position;
        self.position += 1;
        match first {
            b',' => TokenKind::Comma,
            b'(' => TokenKind::LeftParenthesis,
            b')' => TokenKind::RightParenthesis,
            b';' => TokenKind::Semicolon,
            b'.' => TokenKind::Dot,
            b'[' => TokenKind::LeftBracket,
            b']' => TokenKind::RightBracket,
            b'\'' => self.string(start + 1, TokenKind::String),
            b'"' => self.quoted(start + 1, TokenKind::QuotedIdentifier),
            b':' => match self.at(start + 1) {
                b':' => self.long(TokenKind::DoubleColon),
                b'=' => self.long(TokenKind::ColonEqual),
                _ => TokenKind::Colon,
            },
            b'$' => self.dollar(start),
            _ if is(first, class::OPERATOR) => self.operator(start),
            _ => TokenKind::Other,
        }
    }

    fn long(&mut self, kind: TokenKind) -> TokenKind {
        self.position += 1;
        kind
    }

    fn dollar(&mut self, start: usize) -> TokenKind {
        let mut end = start + 1;
        if is(self.at(end), class::DIGIT) {
            while is(self.at(end), class::DIGIT) {
                end += 1;
            }
            self.position = end;
            return self.refuse_junk(TokenKind::Parameter);
        }
        if is(self.at(end), class::START) {
            while is(self.at(end), class::WORD) && self.at(end) != b'$' {
                end += 1;
            }
        }
        if self.at(end) != b'$' {
            return TokenKind::Other;
        }
        let tag = &self.bytes[start..=end];
        match memmem::find(&self.bytes[end + 1..], tag) {
            Some(offset) => {
                self.position = end + 1 + offset + tag.len();
                TokenKind::DollarString
            }
            None => {
                self.position = self.bytes.len();
                TokenKind::Invalid
            }
        }
    }

    /// Ends a string whose inside starts at `inside`, with the pieces that continue it on later lines.
    fn string(&mut self, inside: usize, kind: TokenKind) -> TokenKind {
        let mut index = inside;
        loop {
            let found = if kind == TokenKind::EscapeString {
                memchr::memchr2(b'\'', b'\\', &self.bytes[index..])
            } else {
                memchr(b'\'', &self.bytes[index..])
            };
            let Some(offset) = found else {
                self.position = self.bytes.len();
                return TokenKind::Invalid;
            };
            index += offset;
            if self.bytes[index] == b'\\' {
                index = (index + 2).min(self.bytes.len());
            } else if self.at(index + 1) == b'\'' {
                index += 2;
            } else if let Some(next) = literal::continuation(self.bytes, index + 1) {
                index = next;
            } else {
                self.position = index + 1;
                return kind;
            }
        }
    }

    fn quoted(&mut self, inside: usize, kind: TokenKind) -> TokenKind {
        let mut index = inside;
        loop {
            let Some(offset) = memchr(b'"', &self.bytes[index..]) else {
                self.position = self.bytes.len();
                return TokenKind::Invalid;
            };
            index += offset;
            if self.at(index + 1) == b'"' {
                index += 2;
                continue;
            }
            self.position = index + 1;
            return if index == inside { TokenKind::Invalid } else { kind };
        }
    }

    fn operator(&mut self, start: usize) -> TokenKind {
        let mut end = start;
        let mut free = false;
        while is(self.at(end), class::OPERATOR) {
            let byte = self.bytes[end];
            let next = self.at(end + 1);
            if (byte == b'-' && next == b'-') || (byte == b'/' && next == b'*') {
                break;
            }
            let run = &self.bytes[start..end];
            if byte == b'?' && !run.is_empty() && run != b"@" {
                break;
            }
            if byte == b'@' && is(next, class::START) && run != b"<" && !run.ends_with(b"@") {
                if !run.is_empty() {
                    break;
                }
                end += 1;
                while is(self.at(end), class::WORD) {
                    end += 1;
                }
                self.position = end;
                return TokenKind::NamedParameter;
            }
            free |= is(byte, class::FREE);
            end += 1;
        }
        if !free {
            while end > start + 1 && matches!(self.bytes[end - 1], b'+' | b'-') {
                end -= 1;
            }
        }
        self.position = end;
        match &self.bytes[start..end] {
            b"+" => TokenKind::Plus,
            b"-" => TokenKind::Minus,
            b"*" => TokenKind::Star,
            b"/" => TokenKind::Slash,
            b"%" => TokenKind::Percent,
            b"^" => TokenKind::Caret,
            b"<" => TokenKind::Less,
            b">" => TokenKind::Greater,
            b"=" => TokenKind::Equal,
            b"<=" => TokenKind::LessEqual,
            b">=" => TokenKind::GreaterEqual,
            b"<>" | b"!=" => TokenKind::NotEqual,
            b"=>" => TokenKind::Arrow,
            run if run.len() > crate::common::limits::IDENTIFIER_BYTES_MAX => TokenKind::Invalid,
            _ => TokenKind::Operator,
        }
    }

    /// Why `token` is [`TokenKind::Invalid`].
    pub fn error(&self, token: Token) -> Error {
        let start = token.start as usize;
        let found = self.text.get(start..token.end() as usize).unwrap_or("");
        let bytes = found.as_bytes();
        let what = match bytes {
            [b'/', b'*', ..] => "unterminated /* comment",
            b"\"\"" => "zero-length delimited identifier",
            [b'u' | b'U', b'&', b'"', b'"'] => "zero-length delimited identifier",
            [b'"', ..] | [b'u' | b'U', b'&', b'"', ..] => "unterminated quoted identifier",
            [b'b' | b'B', b'\'', ..] => "unterminated bit string literal",
            [b'x' | b'X', b'\'', ..] => "unterminated hexadecimal string literal",
            [b'$', second, ..] if second.is_ascii_digit() => "trailing junk after parameter",
            [b'$', ..] => "unterminated dollar-quoted string",
            [first, ..] if first.is_ascii_digit() || *first == b'.' => "trailing junk after numeric literal",
            [first, ..] if is(*first, class::OPERATOR) => "operator too long",
            _ => "unterminated quoted string",
        };
        near(what, found, start)
    }
}

/// `what at or near "found"`.
pub fn near(what: &str, found: &str, position: usize) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, format!("{what} at or near \"{found}\"")).at(position)
}

/// All tokens of `text`, the end not included.
/// # Errors
/// `42601` at what is no token.
pub fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer::new(text);
    let mut all = Vec::new();
    loop {
        let token = lexer.next_token();
        match token.kind {
            TokenKind::End => return Ok(all),
            TokenKind::Invalid => return Err(lexer.error(token)),
            _ => all.push(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, TokenKind)]) {
        let found = tokens(text).unwrap();
        let found: Vec<(&str, TokenKind)> =
            found.iter().map(|t| (&text[t.start as usize..t.end() as usize], t.kind)).collect();
        assert_eq!(found, expected, "{text}");
    }

    fn fails(text: &str, message: &str, position: usize) {
        let error = tokens(text).unwrap_err();
        assert_eq!(
            (error.state(), error.message(), error.position()),
            (SqlState::SYNTAX_ERROR, message, Some(position))
        );
    }

    #[test]
    fn an_operator_ends_where_postgresql_ends_it() {
        use TokenKind::*;
        check("a<-1", &[("a", Identifier), ("<", Less), ("-", Minus), ("1", Integer)]);
        check("a@-1", &[("a", Identifier), ("@-", Operator), ("1", Integer)]);
        check("a*-- no\n1", &[("a", Identifier), ("*", Star), ("1", Integer)]);
        check("a->>/* no /* nested */ */'b'", &[("a", Identifier), ("->>", Operator), ("'b'", String)]);
        check("a!=b", &[("a", Identifier), ("!=", NotEqual), ("b", Identifier)]);
        check("a||b", &[("a", Identifier), ("||", Operator), ("b", Identifier)]);
    }

    #[test]
    fn parameters_of_all_forms_are_found() {
        use TokenKind::*;
        check("a=?", &[("a", Identifier), ("=", Equal), ("?", Operator)]);
        check("a>=@b", &[("a", Identifier), (">=", GreaterEqual), ("@b", NamedParameter)]);
        check("a<@b", &[("a", Identifier), ("<@", Operator), ("b", Identifier)]);
        check("a @@b", &[("a", Identifier), ("@@", Operator), ("b", Identifier)]);
        check("$1::int", &[("$1", Parameter), ("::", DoubleColon), ("int", Keyword(keyword::Keyword::Int))]);
        check("a @? 'x'", &[("a", Identifier), ("@?", Operator), ("'x'", String)]);
    }

    #[test]
    fn strings_continue_over_lines_and_numbers_end_before_two_points() {
        use TokenKind::*;
        check("'a'\n 'b'", &[("'a'\n 'b'", String)]);
        check("'a' 'b'", &[("'a'", String), ("'b'", String)]);
        check(
            "'it''s' E'\\'' $x$ $y$ ' $x$",
            &[("'it''s'", String), ("E'\\''", EscapeString), ("$x$ $y$ ' $x$", DollarString)],
        );
        check(
            "1..2 .5 1. 1e5 1.5E-3",
            &[
                ("1", Integer),
                (".", Dot),
                (".2", Number),
                (".5", Number),
                ("1.", Number),
                ("1e5", Number),
                ("1.5E-3", Number),
            ],
        );
        check(
            "\"a\"\"b\" U&\"x\" naïve x$1",
            &[
                ("\"a\"\"b\"", QuotedIdentifier),
                ("U&\"x\"", UnicodeIdentifier),
                ("naïve", Identifier),
                ("x$1", Identifier),
            ],
        );
    }

    #[test]
    fn what_is_no_token_is_named_with_its_place() {
        fails("select 'abc", "unterminated quoted string at or near \"'abc\"", 7);
        fails("select \"abc", "unterminated quoted identifier at or near \"\"abc\"", 7);
        fails("a \"\"", "zero-length delimited identifier at or near \"\"\"\"", 2);
        fails("1 /* /* */", "unterminated /* comment at or near \"/* /* */\"", 2);
        fails("$a$ x", "unterminated dollar-quoted string at or near \"$a$ x\"", 0);
        fails("select 0x1f", "trailing junk after numeric literal at or near \"0x\"", 7);
        fails("select 12é", "trailing junk after numeric literal at or near \"12é\"", 7);
        fails("select $1a", "trailing junk after parameter at or near \"$1a\"", 7);
    }
}

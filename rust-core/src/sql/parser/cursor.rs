//! The place in the token stream, with what every grammar rule needs: look-ahead, names, lists, depth, parameters.

use crate::common::arena::{Arena, ArenaVec};
use crate::common::limits::{NESTING_DEPTH_MAX, PARAMETERS_MAX};
use crate::common::memory::Reservation;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{Name, ObjectName, Span};
use crate::sql::lexer::keyword::{Category, Keyword};
use crate::sql::lexer::{Lexer, Token, TokenKind, literal, near};
use std::cell::RefCell;

/// The arena is charged for this share of what it has more than it had.
const ARENA_STEP_SHARE: usize = 8;

/// What a nested query counts towards the depth: its rules are about this many expressions deep.
pub(super) const QUERY_DEPTH: usize = 4;

/// How parameters are written in one statement; the ways cannot be mixed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ParameterStyle {
    None,
    Numbered,
    Positional,
    Named,
}

/// The parser's state.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) arena: &'a Arena,
    lexer: Lexer<'a>,
    /// The token to look at.
    pub(super) token: Token,
    next: Option<Token>,
    /// End of the token before `token`.
    pub(super) previous_end: u32,
    depth: usize,
    style: ParameterStyle,
    parameter_count: u32,
    parameter_names: ArenaVec<'a, &'a str>,
    /// What the arena takes is charged here.
    memory: Option<&'a RefCell<Reservation>>,
    /// So much it may have before that is to be looked at again.
    arena_bytes_max: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, arena: &'a Arena) -> Parser<'a> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token();
        Parser {
            text,
            arena,
            lexer,
            token,
            next: None,
            previous_end: 0,
            depth: 0,
            style: ParameterStyle::None,
            parameter_count: 0,
            parameter_names: ArenaVec::new_in(arena),
            memory: None,
            arena_bytes_max: usize::MAX,
        }
    }

    /// From here on what the arena has is charged to `memory`.
    pub(super) fn charge_to(&mut self, memory: &'a RefCell<Reservation>) {
        self.memory = Some(memory);
        self.arena_bytes_max = 0;
    }

    /// To be called where the tree grows.
    /// # Errors
    /// `53200`.
    #[inline]
    pub(super) fn charge(&mut self) -> Result<()> {
        if self.arena.allocated_bytes() <= self.arena_bytes_max { Ok(()) } else { self.charge_more() }
    }

    #[cold]
    fn charge_more(&mut self) -> Result<()> {
        let bytes = self.arena.allocated_bytes();
        self.arena_bytes_max = bytes + bytes / ARENA_STEP_SHARE;
        self.memory.map_or(Ok(()), |memory| memory.borrow_mut().resize(self.arena_bytes_max))
    }

    /// Starts counting parameters anew; returns what was counted.
    pub(super) fn take_parameters(&mut self) -> (u32, &'a [&'a str]) {
        let names = std::mem::replace(&mut self.parameter_names, ArenaVec::new_in(self.arena));
        self.style = ParameterStyle::None;
        (std::mem::take(&mut self.parameter_count), names.into_bump_slice())
    }

    #[inline]
    pub(super) fn advance(&mut self) -> Token {
        let token = self.token;
        self.previous_end = token.end();
        self.token = match self.next.take() {
            Some(next) => next,
            None => self.lexer.next_token(),
        };
        token
    }

    /// The token after `token`.
    #[inline]
    pub(super) fn peek(&mut self) -> Token {
        match self.next {
            Some(next) => next,
            None => {
                let next = self.lexer.next_token();
                self.next = Some(next);
                next
            }
        }
    }

    /// Goes on at `position` inside the current token (a `?` that a longer operator begins with).
    pub(super) fn split_token(&mut self, position: u32) {
        self.lexer.seek(position as usize);
        self.next = None;
        self.token = self.lexer.next_token();
        self.previous_end = position;
    }

    pub(super) fn token_text(&self, token: Token) -> &'a str {
        &self.text[token.start as usize..token.end() as usize]
    }

    #[inline]
    pub(super) fn is(&self, kind: TokenKind) -> bool {
        self.token.kind == kind
    }

    #[inline]
    pub(super) fn is_word(&self, keyword: Keyword) -> bool {
        self.token.kind == TokenKind::Keyword(keyword)
    }

    pub(super) fn keyword(&self) -> Option<Keyword> {
        match self.token.kind {
            TokenKind::Keyword(keyword) => Some(keyword),
            _ => None,
        }
    }

    pub(super) fn peek_keyword(&mut self) -> Option<Keyword> {
        match self.peek().kind {
            TokenKind::Keyword(keyword) => Some(keyword),
            _ => None,
        }
    }

    /// Whether the next two tokens are these keywords.
    pub(super) fn is_words(&mut self, first: Keyword, second: Keyword) -> bool {
        self.is_word(first) && self.peek_keyword() == Some(second)
    }

    #[inline]
    pub(super) fn accept(&mut self, kind: TokenKind) -> bool {
        let found = self.token.kind == kind;
        if found {
            self.advance();
        }
        found
    }

    #[inline]
    pub(super) fn accept_word(&mut self, keyword: Keyword) -> bool {
        self.accept(TokenKind::Keyword(keyword))
    }

    /// Takes both keywords or nothing.
    pub(super) fn accept_words(&mut self, first: Keyword, second: Keyword) -> bool {
        let found = self.is_words(first, second);
        if found {
            self.advance();
            self.advance();
        }
        found
    }

    #[inline]
    pub(super) fn expect(&mut self, kind: TokenKind) -> Result<Token> {
        if self.token.kind == kind { Ok(self.advance()) } else { self.unexpected() }
    }

    #[inline]
    pub(super) fn expect_word(&mut self, keyword: Keyword) -> Result<Token> {
        self.expect(TokenKind::Keyword(keyword))
    }

    /// `syntax error at or near "token"`, or why the token is none.
    #[cold]
    pub(super) fn unexpected<T>(&self) -> Result<T> {
        Err(self.syntax_error(self.token))
    }

    #[cold]
    pub(super) fn syntax_error(&self, token: Token) -> Error {
        match token.kind {
            TokenKind::Invalid => self.lexer.error(token),
            TokenKind::End => {
                Error::new(SqlState::SYNTAX_ERROR, "syntax error at end of input").at(token.start as usize)
            }
            _ => near("syntax error", self.token_text(token), token.start as usize),
        }
    }

    /// Counts `levels` of nesting. Not undone after an error: an error ends the parse.
    /// # Errors
    /// `54001`.
    #[inline]
    pub(super) fn descend(&mut self, levels: usize) -> Result<()> {
        self.depth += levels;
        if self.depth > NESTING_DEPTH_MAX { self.too_deep() } else { Ok(()) }
    }

    #[cold]
    fn too_deep(&self) -> Result<()> {
        Err(Error::new(SqlState::STATEMENT_TOO_COMPLEX, "statement is nested too deeply")
            .at(self.token.start as usize)
            .hint("Name parts of it in a WITH clause or a view."))
    }

    #[inline]
    pub(super) fn ascend(&mut self, levels: usize) {
        self.depth -= levels;
    }

    /// From `start` to the end of the last token taken.
    pub(super) fn span_from(&self, start: u32) -> Span {
        Span { start, end: self.previous_end.max(start) }
    }

    pub(super) fn span_of(token: Token) -> Span {
        Span { start: token.start, end: token.end() }
    }

    pub(super) fn list<T>(&self) -> ArenaVec<'a, T> {
        ArenaVec::new_in(self.arena)
    }

    /// Elements with commas between them, at least one.
    pub(super) fn comma_list<T>(
        &mut self,
        mut element: impl FnMut(&mut Parser<'a>) -> Result<T>,
    ) -> Result<&'a [T]> {
        let mut list = ArenaVec::with_capacity_in(4, self.arena);
        loop {
            list.push(element(self)?);
            if !self.accept(TokenKind::Comma) {
                return Ok(list.into_bump_slice());
            }
        }
    }

    /// `( … )` around `inside`.
    pub(super) fn parenthesized<T>(
        &mut self,
        inside: impl FnOnce(&mut Parser<'a>) -> Result<T>,
    ) -> Result<T> {
        self.expect(TokenKind::LeftParenthesis)?;
        let value = inside(self)?;
        self.expect(TokenKind::RightParenthesis)?;
        Ok(value)
    }

    /// Whether `token` can be a name of a column or table (PostgreSQL's ColId).
    pub(super) fn is_name(token: Token) -> bool {
        match token.kind {
            TokenKind::Identifier | TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier => true,
            TokenKind::Keyword(keyword) => {
                matches!(keyword.category(), Category::Unreserved | Category::ColumnName)
            }
            _ => false,
        }
    }

    /// Takes any token that is a name or keyword, as a name.
    fn take_name(&mut self) -> Result<Name<'a>> {
        let token = self.advance();
        let raw = self.token_text(token);
        let position = token.start as usize;
        let text = match token.kind {
            TokenKind::Identifier => literal::identifier(raw, self.arena),
            TokenKind::Keyword(keyword) => keyword.text(),
            TokenKind::QuotedIdentifier => literal::quoted_identifier(raw, self.arena),
            TokenKind::UnicodeIdentifier => {
                let escape = self.unicode_escape()?;
                literal::unicode(raw, escape, position, self.arena)?
            }
            _ => return Err(self.syntax_error(token)),
        };
        Ok(Name { text, span: Span { start: token.start, end: token.end() } })
    }

    /// `UESCAPE 'c'`, where it follows.
    pub(super) fn unicode_escape(&mut self) -> Result<char> {
        if !self.accept_word(Keyword::Uescape) {
            return Ok('\\');
        }
        let token = self.expect(TokenKind::String)?;
        literal::escape_character(self.token_text(token), token.start as usize)
    }

    /// A name of a column, table, schema … (ColId).
    #[inline]
    pub(super) fn name(&mut self) -> Result<Name<'a>> {
        if Parser::is_name(self.token) { self.take_name() } else { self.unexpected() }
    }

    /// A name after AS or a dot: any keyword will do (ColLabel).
    pub(super) fn label(&mut self) -> Result<Name<'a>> {
        match self.token.kind {
            TokenKind::Keyword(_) => self.take_name(),
            _ if Parser::is_name(self.token) => self.take_name(),
            _ => self.unexpected(),
        }
    }

    /// A label without AS, where one follows.
    pub(super) fn bare_label(&mut self) -> Result<Option<Name<'a>>> {
        let found = match self.token.kind {
            TokenKind::Keyword(keyword) => keyword.is_bare_label(),
            _ => Parser::is_name(self.token),
        };
        if found { self.take_name().map(Some) } else { Ok(None) }
    }

    /// A name of a function or type (also left, right, …).
    pub(super) fn function_or_type_name(&mut self) -> Result<Name<'a>> {
        match self.token.kind {
            TokenKind::Keyword(keyword)
                if !matches!(keyword.category(), Category::Unreserved | Category::TypeOrFunction) =>
            {
                self.unexpected()
            }
            _ => self.label(),
        }
    }

    /// `first`, with the labels that follow it after dots.
    pub(super) fn qualified_from(&mut self, first: Name<'a>) -> Result<ObjectName<'a>> {
        if !self.is(TokenKind::Dot) {
            return Ok(ObjectName { parts: std::slice::from_ref(self.arena.alloc(first)) });
        }
        let mut parts = ArenaVec::with_capacity_in(2, self.arena);
        parts.push(first);
        while self.accept(TokenKind::Dot) {
            parts.push(self.label()?);
        }
        Ok(ObjectName { parts: parts.into_bump_slice() })
    }

    /// A name with qualifiers, at most database.schema.object.
    pub(super) fn object_name(&mut self) -> Result<ObjectName<'a>> {
        let first = self.name()?;
        let name = self.qualified_from(first)?;
        if name.parts.len() > 3 {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                format!("improper qualified name (too many dotted names): {name}"),
            )
            .at(name.position()));
        }
        Ok(name)
    }

    /// `(a, b, …)`.
    pub(super) fn name_list(&mut self) -> Result<&'a [Name<'a>]> {
        self.parenthesized(|parser| parser.comma_list(Parser::name))
    }

    /// `(a, b, …)` where a parenthesis follows.
    pub(super) fn optional_name_list(&mut self) -> Result<&'a [Name<'a>]> {
        if self.is(TokenKind::LeftParenthesis) { self.name_list() } else { Ok(&[]) }
    }

    pub(super) fn if_exists(&mut self) -> bool {
        self.accept_words(Keyword::If, Keyword::Exists)
    }

    pub(super) fn if_not_exists(&mut self) -> Result<bool> {
        if !self.is_words(Keyword::If, Keyword::Not) {
            return Ok(false);
        }
        self.advance();
        self.advance();
        self.expect_word(Keyword::Exists)?;
        Ok(true)
    }

    /// CASCADE or RESTRICT, where one follows; whether it was CASCADE.
    pub(super) fn cascade(&mut self) -> bool {
        let cascade = self.accept_word(Keyword::Cascade);
        if !cascade {
            self.accept_word(Keyword::Restrict);
        }
        cascade
    }

    /// A word that is no keyword of the grammar (option names), in lower case.
    pub(super) fn is_identifier(&self, word: &str) -> bool {
        self.token.kind == TokenKind::Identifier && self.token_text(self.token).eq_ignore_ascii_case(word)
    }

    /// A string constant of any form.
    pub(super) fn string(&mut self) -> Result<&'a str> {
        let token = self.token;
        let raw = self.token_text(token);
        let position = token.start as usize;
        match token.kind {
            TokenKind::String => {
                self.advance();
                Ok(literal::string(raw, self.arena))
            }
            TokenKind::EscapeString => {
                self.advance();
                literal::escape_string(raw, position, self.arena)
            }
            TokenKind::DollarString => {
                self.advance();
                Ok(literal::dollar_string(raw))
            }
            TokenKind::UnicodeString => {
                self.advance();
                let escape = self.unicode_escape()?;
                literal::unicode(raw, escape, position, self.arena)
            }
            _ => self.unexpected(),
        }
    }

    pub(super) fn is_string(&self) -> bool {
        Parser::is_string_token(self.token)
    }

    pub(super) fn is_string_token(token: Token) -> bool {
        matches!(
            token.kind,
            TokenKind::String | TokenKind::EscapeString | TokenKind::DollarString | TokenKind::UnicodeString
        )
    }

    /// A whole number with an optional sign.
    pub(super) fn signed_integer(&mut self) -> Result<i64> {
        let negative = match self.token.kind {
            TokenKind::Minus => {
                self.advance();
                true
            }
            TokenKind::Plus => {
                self.advance();
                false
            }
            _ => false,
        };
        let token = self.token;
        if token.kind != TokenKind::Integer {
            return self.unexpected();
        }
        let digits = self.token_text(token);
        let value = digits.parse::<i128>().ok().map(|value| if negative { -value } else { value });
        match value.and_then(|value| i64::try_from(value).ok()) {
            Some(value) => {
                self.advance();
                Ok(value)
            }
            None => Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{digits}\" is out of range for type bigint"),
            )
            .at(token.start as usize)),
        }
    }

    /// A whole number from 0 that fits 31 bits: precisions and the like.
    pub(super) fn small_number(&mut self) -> Result<u32> {
        let token = self.token;
        match self.token_text(token).parse::<u32>() {
            Ok(value) if token.kind == TokenKind::Integer && value <= i32::MAX as u32 => {
                self.advance();
                Ok(value)
            }
            _ => self.unexpected(),
        }
    }

    fn parameter_style(&mut self, style: ParameterStyle, position: u32) -> Result<()> {
        if self.style != ParameterStyle::None && self.style != style {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "parameters of different forms ($1, ?, :name) cannot be mixed in one statement",
            )
            .at(position as usize));
        }
        self.style = style;
        Ok(())
    }

    fn count_parameter(&mut self, index: u32, position: u32) -> Result<u32> {
        if index as usize >= PARAMETERS_MAX {
            return Err(Error::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("parameters go up to ${PARAMETERS_MAX}"),
            )
            .at(position as usize));
        }
        self.parameter_count = self.parameter_count.max(index + 1);
        Ok(index)
    }

    /// `$n`.
    pub(super) fn numbered_parameter(&mut self) -> Result<u32> {
        let token = self.advance();
        self.parameter_style(ParameterStyle::Numbered, token.start)?;
        let digits = &self.token_text(token)[1..];
        match digits.parse::<u32>() {
            Ok(number) if number > 0 => self.count_parameter(number - 1, token.start),
            _ => Err(Error::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${digits}"))
                .at(token.start as usize)),
        }
    }

    /// `?`; the token may be a longer operator that starts with it.
    pub(super) fn positional_parameter(&mut self) -> Result<u32> {
        let token = self.token;
        self.parameter_style(ParameterStyle::Positional, token.start)?;
        if token.len == 1 {
            self.advance();
        } else {
            self.split_token(token.start + 1);
        }
        self.count_parameter(self.parameter_count, token.start)
    }

    /// `:name` or `@name`, `position` where it starts; `name` without the sign.
    pub(super) fn named_parameter(&mut self, name: &'a str, position: u32) -> Result<u32> {
        self.parameter_style(ParameterStyle::Named, position)?;
        let index = match self.parameter_names.iter().position(|known| *known == name) {
            Some(index) => index,
            None => {
                self.parameter_names.push(name);
                self.parameter_names.len() - 1
            }
        };
        self.count_parameter(u32::try_from(index).unwrap_or(u32::MAX), position)
    }
}

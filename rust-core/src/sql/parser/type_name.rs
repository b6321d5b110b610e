//! Types: keywords with their own grammar, ordinary names, modifiers, interval fields, arrays.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::expression::{Expr, ExprKind, Literal};
use crate::sql::ast::{IntervalField, IntervalFields, Name, ObjectName, TypeName};
use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::Keyword;
use crate::sql::parser::cursor::Parser;

impl<'a> Parser<'a> {
    /// A type with its modifiers and array brackets.
    pub(super) fn type_name(&mut self) -> Result<TypeName<'a>> {
        let start = self.token.start;
        if self.is_word(Keyword::Setof) {
            return Err(Error::not_supported("SETOF").at(start as usize));
        }
        let mut name = match self.keyword() {
            Some(keyword) => match self.keyword_type(keyword)? {
                Some(name) => name,
                None => self.named_type()?,
            },
            None => self.named_type()?,
        };
        if self.accept_word(Keyword::Array) {
            name.array_dimensions = 1;
            if self.accept(TokenKind::LeftBracket) {
                self.small_number()?;
                self.expect(TokenKind::RightBracket)?;
            }
        }
        while self.accept(TokenKind::LeftBracket) {
            if !self.is(TokenKind::RightBracket) {
                self.small_number()?;
            }
            self.expect(TokenKind::RightBracket)?;
            name.array_dimensions = name.array_dimensions.saturating_add(1);
        }
        name.span = self.span_from(start);
        Ok(name)
    }

    /// A type without modifiers.
    pub(super) fn plain_type(&self, name: ObjectName<'a>) -> TypeName<'a> {
        TypeName { name, modifiers: &[], interval: None, array_dimensions: 0, span: name.span() }
    }

    fn named_type(&mut self) -> Result<TypeName<'a>> {
        let first = self.function_or_type_name()?;
        let name = self.qualified_from(first)?;
        let modifiers = self.modifiers()?;
        Ok(TypeName { modifiers, ..self.plain_type(name) })
    }

    fn modifiers(&mut self) -> Result<&'a [Expr<'a>]> {
        if !self.is(TokenKind::LeftParenthesis) {
            return Ok(&[]);
        }
        self.descend(3)?;
        let modifiers = self.parenthesized(Parser::expression_list)?;
        self.ascend(3);
        Ok(modifiers)
    }

    /// A type under PostgreSQL's internal name, for a keyword that started at `start`.
    fn internal(&self, name: &'static str, start: u32) -> TypeName<'a> {
        let name = Name { text: name, span: self.span_from(start) };
        self.plain_type(ObjectName { parts: std::slice::from_ref(self.arena.alloc(name)) })
    }

    /// A type that the grammar spells with keywords; `None`: the keyword is an ordinary name.
    fn keyword_type(&mut self, keyword: Keyword) -> Result<Option<TypeName<'a>>> {
        let start = self.token.start;
        let simple = match keyword {
            Keyword::Int | Keyword::Integer => "int4",
            Keyword::Smallint => "int2",
            Keyword::Bigint => "int8",
            Keyword::Real => "float4",
            Keyword::Boolean => "bool",
            Keyword::Decimal | Keyword::Dec | Keyword::Numeric => {
                self.advance();
                let modifiers = self.modifiers()?;
                return Ok(Some(TypeName { modifiers, ..self.internal("numeric", start) }));
            }
            Keyword::Double => {
                if self.peek_keyword() != Some(Keyword::Precision) {
                    return Ok(None);
                }
                self.advance();
                "float8"
            }
            Keyword::Float => return self.float(start).map(Some),
            Keyword::Bit => {
                self.advance();
                let name = if self.accept_word(Keyword::Varying) { "varbit" } else { "bit" };
                let mut modifiers = self.modifiers()?;
                if name == "bit" && modifiers.is_empty() {
                    modifiers = self.one();
                }
                return Ok(Some(TypeName { modifiers, ..self.internal(name, start) }));
            }
            Keyword::Character | Keyword::Char | Keyword::Nchar | Keyword::National | Keyword::Varchar => {
                return self.character(keyword, start).map(Some);
            }
            Keyword::Time | Keyword::Timestamp => return self.time(keyword, start).map(Some),
            Keyword::Interval => {
                self.advance();
                if self.is(TokenKind::LeftParenthesis) {
                    let modifiers = self.modifiers()?;
                    return Ok(Some(TypeName { modifiers, ..self.internal("interval", start) }));
                }
                let (interval, modifiers) = self.interval_fields()?;
                return Ok(Some(TypeName { interval, modifiers, ..self.internal("interval", start) }));
            }
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(self.internal(simple, start)))
    }

    fn one(&self) -> &'a [Expr<'a>] {
        let span = crate::sql::ast::Span { start: self.previous_end, end: self.previous_end };
        std::slice::from_ref(self.arena.alloc(Expr { kind: ExprKind::Literal(Literal::Integer(1)), span }))
    }

    /// `float`, `float(1..24)` is real, `float(25..53)` double precision.
    fn float(&mut self, start: u32) -> Result<TypeName<'a>> {
        self.advance();
        if !self.accept(TokenKind::LeftParenthesis) {
            return Ok(self.internal("float8", start));
        }
        let position = self.token.start as usize;
        let precision = self.small_number()?;
        self.expect(TokenKind::RightParenthesis)?;
        let refused =
            |message: &str| Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message).at(position));
        match precision {
            0 => refused("precision for type float must be at least 1 bit"),
            1..=24 => Ok(self.internal("float4", start)),
            25..=53 => Ok(self.internal("float8", start)),
            _ => refused("precision for type float must be less than 54 bits"),
        }
    }

    fn character(&mut self, keyword: Keyword, start: u32) -> Result<TypeName<'a>> {
        self.advance();
        if keyword == Keyword::National && !self.accept_word(Keyword::Char) {
            self.expect_word(Keyword::Character)?;
        }
        let varying = keyword == Keyword::Varchar || self.accept_word(Keyword::Varying);
        let mut modifiers = self.modifiers()?;
        if !varying && modifiers.is_empty() {
            modifiers = self.one();
        }
        let name = if varying { "varchar" } else { "bpchar" };
        Ok(TypeName { modifiers, ..self.internal(name, start) })
    }

    fn time(&mut self, keyword: Keyword, start: u32) -> Result<TypeName<'a>> {
        self.advance();
        let modifiers = self.modifiers()?;
        let with_zone = self.is_words(Keyword::With, Keyword::Time);
        if with_zone || self.is_words(Keyword::Without, Keyword::Time) {
            self.advance();
            self.advance();
            self.expect_word(Keyword::Zone)?;
        }
        let name = match (keyword, with_zone) {
            (Keyword::Time, false) => "time",
            (Keyword::Time, true) => "timetz",
            (_, false) => "timestamp",
            (_, true) => "timestamptz",
        };
        Ok(TypeName { modifiers, ..self.internal(name, start) })
    }

    /// `year`, `day to second(3)`, … where they follow, with the precision of seconds.
    pub(super) fn interval_fields(&mut self) -> Result<(Option<IntervalFields>, &'a [Expr<'a>])> {
        let Some(from) = self.interval_field() else { return Ok((None, &[])) };
        self.advance();
        let mut to = from;
        if self.is_word(Keyword::To) {
            self.advance();
            let last = self.interval_field();
            let allowed = match (from, last) {
                (IntervalField::Year, Some(last)) => last == IntervalField::Month,
                (IntervalField::Day, Some(last)) => last > IntervalField::Day,
                (IntervalField::Hour, Some(last)) => last > IntervalField::Hour,
                (IntervalField::Minute, Some(last)) => last == IntervalField::Second,
                _ => false,
            };
            match last {
                Some(last) if allowed => to = last,
                _ => return self.unexpected(),
            }
            self.advance();
        }
        let modifiers = if to == IntervalField::Second { self.modifiers()? } else { &[] };
        Ok((Some(IntervalFields { from, to }), modifiers))
    }

    fn interval_field(&self) -> Option<IntervalField> {
        Some(match self.keyword()? {
            Keyword::Year => IntervalField::Year,
            Keyword::Month => IntervalField::Month,
            Keyword::Day => IntervalField::Day,
            Keyword::Hour => IntervalField::Hour,
            Keyword::Minute => IntervalField::Minute,
            Keyword::Second => IntervalField::Second,
            _ => return None,
        })
    }

    /// `type 'text'` for a type that starts with `keyword`; `None`: the keyword is something else here.
    pub(super) fn keyword_type_literal(&mut self, keyword: Keyword) -> Result<Option<Expr<'a>>> {
        let next = self.peek();
        let is_literal = match keyword {
            Keyword::Int
            | Keyword::Integer
            | Keyword::Smallint
            | Keyword::Bigint
            | Keyword::Real
            | Keyword::Boolean => Parser::is_string_token(next),
            Keyword::Double => next.kind == TokenKind::Keyword(Keyword::Precision),
            Keyword::Decimal
            | Keyword::Dec
            | Keyword::Numeric
            | Keyword::Float
            | Keyword::Bit
            | Keyword::Character
            | Keyword::Char
            | Keyword::Nchar
            | Keyword::National
            | Keyword::Varchar
            | Keyword::Time
            | Keyword::Timestamp
            | Keyword::Interval => {
                Parser::is_string_token(next)
                    || next.kind == TokenKind::LeftParenthesis
                    || matches!(
                        next.kind,
                        TokenKind::Keyword(
                            Keyword::Varying
                                | Keyword::With
                                | Keyword::Without
                                | Keyword::Char
                                | Keyword::Character
                        )
                    )
            }
            _ => false,
        };
        if !is_literal {
            return Ok(None);
        }
        let start = self.token.start;
        let target = self.type_name()?;
        self.typed_literal(target, start).map(Some)
    }
}

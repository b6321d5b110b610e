//! Calls: ordinary ones with everything around their arguments, forms with a grammar of their own, windows.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::expression::{
    Expr, ExprKind, Frame, FrameEnd, FrameExclusion, FrameUnit, FunctionCall, Literal, Over, SpecialValue,
    Window,
};
use crate::sql::ast::{Name, ObjectName, Span};
use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::Keyword;
use crate::sql::parser::cursor::Parser;

impl<'a> Parser<'a> {
    /// A call without extras, as the grammar makes it for a special form.
    pub(super) fn plain_call(&self, name: &'static str, span: Span, arguments: &[Expr<'a>]) -> ExprKind<'a> {
        let name = ObjectName { parts: std::slice::from_ref(self.arena.alloc(Name { text: name, span })) };
        ExprKind::Function(self.arena.alloc(FunctionCall {
            arguments: self.arena.alloc_slice_copy(arguments),
            ..FunctionCall::new(name)
        }))
    }

    /// The call of `name`; the current token is its parenthesis.
    #[inline(never)]
    pub(super) fn call(&mut self, name: ObjectName<'a>, start: u32) -> Result<Expr<'a>> {
        self.descend(2)?;
        self.advance();
        let mut call = FunctionCall::new(name);
        if self.accept(TokenKind::Star) {
            call.star = true;
        } else if !self.is(TokenKind::RightParenthesis) {
            call.distinct = self.accept_word(Keyword::Distinct);
            if !call.distinct {
                self.accept_word(Keyword::All);
            }
            self.arguments(&mut call)?;
            if self.is_word(Keyword::Order) {
                call.order_by = self.order_by()?;
            }
        }
        self.expect(TokenKind::RightParenthesis)?;
        if matches!(self.keyword(), Some(Keyword::Within | Keyword::Filter | Keyword::Over)) {
            self.call_suffix(&mut call)?;
        }
        self.ascend(2);
        Ok(self.expr_from(ExprKind::Function(self.arena.alloc(call)), start))
    }

    fn arguments(&mut self, call: &mut FunctionCall<'a>) -> Result<()> {
        let mut values = self.list();
        let mut names = self.list();
        let mut any_name = false;
        loop {
            if self.accept_word(Keyword::Variadic) {
                call.variadic = true;
            }
            let name = if Parser::is_name(self.token)
                && matches!(self.peek().kind, TokenKind::Arrow | TokenKind::ColonEqual)
            {
                let name = self.name()?;
                self.advance();
                any_name = true;
                Some(name)
            } else if any_name {
                return Err(Error::new(
                    SqlState::SYNTAX_ERROR,
                    "positional argument cannot follow named argument",
                )
                .at(self.token.start as usize));
            } else {
                None
            };
            values.push(self.expression()?);
            if any_name {
                names.resize(values.len() - 1, None);
                names.push(name);
            }
            if call.variadic || !self.accept(TokenKind::Comma) {
                break;
            }
        }
        call.arguments = values.into_bump_slice();
        call.argument_names = names.into_bump_slice();
        Ok(())
    }

    /// WITHIN GROUP, FILTER, OVER.
    #[inline(never)]
    fn call_suffix(&mut self, call: &mut FunctionCall<'a>) -> Result<()> {
        if self.accept_words(Keyword::Within, Keyword::Group) {
            call.within_group = self.parenthesized(Parser::order_by)?;
        }
        if self.is_word(Keyword::Filter) && self.peek().kind == TokenKind::LeftParenthesis {
            self.advance();
            call.filter = Some(self.parenthesized(|parser| {
                parser.expect_word(Keyword::Where)?;
                parser.expression_reference()
            })?);
        }
        if self.accept_word(Keyword::Over) {
            call.over = Some(if self.is(TokenKind::LeftParenthesis) {
                Over::Window(self.window()?)
            } else {
                Over::Name(self.name()?)
            });
        }
        Ok(())
    }

    /// `( … )` of OVER and WINDOW.
    pub(super) fn window(&mut self) -> Result<&'a Window<'a>> {
        self.descend(2)?;
        let start = self.expect(TokenKind::LeftParenthesis)?.start;
        let starts_clause = match self.keyword() {
            Some(Keyword::Partition) => self.peek_keyword() == Some(Keyword::By),
            Some(Keyword::Range | Keyword::Rows | Keyword::Groups) => {
                self.peek().kind != TokenKind::RightParenthesis
            }
            _ => false,
        };
        let base = if !starts_clause && Parser::is_name(self.token) { Some(self.name()?) } else { None };
        let partition_by = if self.accept_word(Keyword::Partition) {
            self.expect_word(Keyword::By)?;
            self.expression_list()?
        } else {
            &[]
        };
        let order_by = if self.is_word(Keyword::Order) { self.order_by()? } else { &[] };
        let frame = match self.keyword() {
            Some(Keyword::Range) => Some(self.frame(FrameUnit::Range)?),
            Some(Keyword::Rows) => Some(self.frame(FrameUnit::Rows)?),
            Some(Keyword::Groups) => Some(self.frame(FrameUnit::Groups)?),
            _ => None,
        };
        self.expect(TokenKind::RightParenthesis)?;
        self.ascend(2);
        let span = self.span_from(start);
        Ok(self.arena.alloc(Window { base, partition_by, order_by, frame, span }))
    }

    fn frame(&mut self, unit: FrameUnit) -> Result<Frame<'a>> {
        let start_position = self.advance().start;
        let refused = |message: &str, position: u32| {
            // PostgreSQL's code for impossible frames is its windowing error; the class is the same.
            Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position as usize))
        };
        let first = self.token.start;
        let (start, end) = if self.accept_word(Keyword::Between) {
            let start = self.frame_end()?;
            self.expect_word(Keyword::And)?;
            (start, self.frame_end()?)
        } else {
            (self.frame_end()?, FrameEnd::CurrentRow)
        };
        match (start, end) {
            (FrameEnd::UnboundedFollowing, _) => {
                return refused("frame start cannot be UNBOUNDED FOLLOWING", first);
            }
            (_, FrameEnd::UnboundedPreceding) => {
                return refused("frame end cannot be UNBOUNDED PRECEDING", first);
            }
            (FrameEnd::CurrentRow, FrameEnd::Preceding(_)) => {
                return refused("frame starting from current row cannot have preceding rows", first);
            }
            (FrameEnd::Following(_), FrameEnd::Preceding(_) | FrameEnd::CurrentRow) => {
                return refused("frame starting from following row cannot have preceding rows", first);
            }
            _ => {}
        }
        let exclude = if self.accept_word(Keyword::Exclude) {
            match self.keyword() {
                Some(Keyword::Current) => {
                    self.advance();
                    self.expect_word(Keyword::Row)?;
                    FrameExclusion::CurrentRow
                }
                Some(Keyword::Group) => {
                    self.advance();
                    FrameExclusion::Group
                }
                Some(Keyword::Ties) => {
                    self.advance();
                    FrameExclusion::Ties
                }
                _ => {
                    self.expect_word(Keyword::No)?;
                    self.expect_word(Keyword::Others)?;
                    FrameExclusion::NoOthers
                }
            }
        } else {
            FrameExclusion::NoOthers
        };
        Ok(Frame { unit, start, end, exclude, span: self.span_from(start_position) })
    }

    fn frame_end(&mut self) -> Result<FrameEnd<'a>> {
        if self.accept_words(Keyword::Current, Keyword::Row) {
            return Ok(FrameEnd::CurrentRow);
        }
        let unbounded = self.is_word(Keyword::Unbounded)
            && matches!(self.peek_keyword(), Some(Keyword::Preceding | Keyword::Following));
        let offset = if unbounded {
            self.advance();
            None
        } else {
            Some(self.expression_reference()?)
        };
        let preceding = self.accept_word(Keyword::Preceding);
        if !preceding {
            self.expect_word(Keyword::Following)?;
        }
        Ok(match (offset, preceding) {
            (None, true) => FrameEnd::UnboundedPreceding,
            (None, false) => FrameEnd::UnboundedFollowing,
            (Some(offset), true) => FrameEnd::Preceding(offset),
            (Some(offset), false) => FrameEnd::Following(offset),
        })
    }

    /// Operands whose keyword has a rule of its own; `None`: the keyword is an ordinary name here.
    pub(super) fn special_operand(&mut self, keyword: Keyword) -> Result<Option<Expr<'a>>> {
        let start = self.token.start;
        let value = match keyword {
            Keyword::CurrentDate => SpecialValue::CurrentDate,
            Keyword::CurrentTime => SpecialValue::CurrentTime,
            Keyword::CurrentTimestamp => SpecialValue::CurrentTimestamp,
            Keyword::Localtime => SpecialValue::LocalTime,
            Keyword::Localtimestamp => SpecialValue::LocalTimestamp,
            Keyword::CurrentUser | Keyword::User | Keyword::CurrentRole => SpecialValue::CurrentUser,
            Keyword::SessionUser => SpecialValue::SessionUser,
            Keyword::CurrentCatalog => SpecialValue::CurrentCatalog,
            Keyword::CurrentSchema if self.peek().kind != TokenKind::LeftParenthesis => {
                SpecialValue::CurrentSchema
            }
            _ => return self.special_form(keyword),
        };
        self.advance();
        let takes_precision = matches!(
            value,
            SpecialValue::CurrentTime
                | SpecialValue::CurrentTimestamp
                | SpecialValue::LocalTime
                | SpecialValue::LocalTimestamp
        );
        let precision = if takes_precision && self.is(TokenKind::LeftParenthesis) {
            Some(self.parenthesized(Parser::small_number)?)
        } else {
            None
        };
        Ok(Some(self.expr_from(ExprKind::Special { value, precision }, start)))
    }

    #[inline(never)]
    pub(super) fn special_form(&mut self, keyword: Keyword) -> Result<Option<Expr<'a>>> {
        if let Some(expression) = self.keyword_type_literal(keyword)? {
            return Ok(Some(expression));
        }
        if self.peek().kind != TokenKind::LeftParenthesis {
            return Ok(None);
        }
        self.descend(2)?;
        let start = self.token.start;
        let kind = match keyword {
            Keyword::Exists => {
                self.advance();
                ExprKind::Exists(self.parenthesized(Parser::query)?)
            }
            Keyword::Coalesce => ExprKind::Coalesce(self.form_arguments()?),
            Keyword::Greatest => ExprKind::Greatest(self.form_arguments()?),
            Keyword::Least => ExprKind::Least(self.form_arguments()?),
            Keyword::Grouping => ExprKind::Grouping(self.form_arguments()?),
            Keyword::Nullif => {
                self.advance();
                let pair = self.parenthesized(|parser| {
                    let left = parser.expression()?;
                    parser.expect(TokenKind::Comma)?;
                    Ok([left, parser.expression()?])
                })?;
                ExprKind::NullIf(self.arena.alloc(pair))
            }
            Keyword::Row => {
                self.advance();
                self.advance();
                let list = if self.is(TokenKind::RightParenthesis) { &[] } else { self.expression_list()? };
                self.expect(TokenKind::RightParenthesis)?;
                ExprKind::Row(list)
            }
            Keyword::Extract => self.extract()?,
            Keyword::Position => self.position_form()?,
            Keyword::Substring => self.substring()?,
            Keyword::Overlay => self.overlay()?,
            Keyword::Trim => self.trim()?,
            Keyword::Normalize => {
                let span = Parser::span_of(self.token);
                let arguments = self.form_arguments()?;
                self.plain_call("normalize", span, arguments)
            }
            Keyword::Treat
            | Keyword::Xmlconcat
            | Keyword::Xmlelement
            | Keyword::Xmlexists
            | Keyword::Xmlforest
            | Keyword::Xmlparse
            | Keyword::Xmlpi
            | Keyword::Xmlroot
            | Keyword::Xmlserialize => {
                return Err(Error::not_supported(keyword.text().to_uppercase()).at(start as usize));
            }
            _ => {
                self.ascend(2);
                return Ok(None);
            }
        };
        self.ascend(2);
        Ok(Some(self.expr_from(kind, start)))
    }

    fn form_arguments(&mut self) -> Result<&'a [Expr<'a>]> {
        self.advance();
        self.parenthesized(Parser::expression_list)
    }

    fn extract(&mut self) -> Result<ExprKind<'a>> {
        let span = Parser::span_of(self.advance());
        self.expect(TokenKind::LeftParenthesis)?;
        let token = self.token;
        let field = if self.is_string() { self.string()? } else { self.label()?.text };
        let field = Expr { kind: ExprKind::Literal(Literal::String(field)), span: Parser::span_of(token) };
        self.expect_word(Keyword::From)?;
        let source = self.expression()?;
        self.expect(TokenKind::RightParenthesis)?;
        Ok(self.plain_call("extract", span, &[field, source]))
    }

    fn position_form(&mut self) -> Result<ExprKind<'a>> {
        let span = Parser::span_of(self.advance());
        self.expect(TokenKind::LeftParenthesis)?;
        let part = self.restricted_expression()?;
        self.expect_word(Keyword::In)?;
        let whole = self.restricted_expression()?;
        self.expect(TokenKind::RightParenthesis)?;
        Ok(self.plain_call("position", span, &[whole, part]))
    }

    fn substring(&mut self) -> Result<ExprKind<'a>> {
        let span = Parser::span_of(self.advance());
        self.expect(TokenKind::LeftParenthesis)?;
        let mut arguments = self.list();
        if !self.is(TokenKind::RightParenthesis) {
            arguments.push(self.expression()?);
            self.substring_rest(&mut arguments)?;
        }
        self.expect(TokenKind::RightParenthesis)?;
        Ok(self.plain_call("substring", span, &arguments))
    }

    fn substring_rest(&mut self, arguments: &mut crate::common::arena::ArenaVec<'a, Expr<'a>>) -> Result<()> {
        match self.token.kind {
            TokenKind::Comma => {
                while self.accept(TokenKind::Comma) {
                    arguments.push(self.expression()?);
                }
            }
            TokenKind::Keyword(Keyword::From) => {
                self.advance();
                arguments.push(self.expression()?);
                if self.accept_word(Keyword::For) {
                    arguments.push(self.expression()?);
                }
            }
            TokenKind::Keyword(Keyword::For) => {
                let position = self.advance();
                let one = ExprKind::Literal(Literal::Integer(1));
                let length = self.expression()?;
                if self.accept_word(Keyword::From) {
                    arguments.push(self.expression()?);
                } else {
                    arguments.push(Expr { kind: one, span: Parser::span_of(position) });
                }
                arguments.push(length);
            }
            TokenKind::Keyword(Keyword::Similar) => {
                self.advance();
                arguments.push(self.expression()?);
                self.expect_word(Keyword::Escape)?;
                arguments.push(self.expression()?);
            }
            _ => {}
        }
        Ok(())
    }

    fn overlay(&mut self) -> Result<ExprKind<'a>> {
        let span = Parser::span_of(self.advance());
        self.expect(TokenKind::LeftParenthesis)?;
        let mut arguments = self.list();
        arguments.push(self.expression()?);
        if self.accept_word(Keyword::Placing) {
            arguments.push(self.expression()?);
            self.expect_word(Keyword::From)?;
            arguments.push(self.expression()?);
            if self.accept_word(Keyword::For) {
                arguments.push(self.expression()?);
            }
        } else {
            while self.accept(TokenKind::Comma) {
                arguments.push(self.expression()?);
            }
        }
        self.expect(TokenKind::RightParenthesis)?;
        Ok(self.plain_call("overlay", span, &arguments))
    }

    fn trim(&mut self) -> Result<ExprKind<'a>> {
        let span = Parser::span_of(self.advance());
        self.expect(TokenKind::LeftParenthesis)?;
        let name = match self.keyword() {
            Some(Keyword::Leading) => "ltrim",
            Some(Keyword::Trailing) => "rtrim",
            _ => "btrim",
        };
        if matches!(self.keyword(), Some(Keyword::Leading | Keyword::Trailing | Keyword::Both)) {
            self.advance();
        }
        let mut characters = None;
        if !self.is_word(Keyword::From) {
            characters = Some(self.expression()?);
        }
        let mut arguments = self.list();
        if self.accept_word(Keyword::From) {
            arguments.push(self.expression()?);
            arguments.extend(characters);
        } else {
            arguments.extend(characters);
        }
        while self.accept(TokenKind::Comma) {
            arguments.push(self.expression()?);
        }
        self.expect(TokenKind::RightParenthesis)?;
        Ok(self.plain_call(name, span, &arguments))
    }
}

//! Expressions: precedence climbing over the table in [`precedence`], and the operands.

use crate::common::arena::ArenaVec;
use crate::error::Result;
use crate::sql::ast::Span;
use crate::sql::ast::expression::{
    Between, BinarySequence, BinaryStep, Case, Cast, CastSyntax, Expr, ExprKind, Like, LikeKind, Literal,
    Operator, Quantified, QuantifiedRight,
};
use crate::sql::ast::query::QueryBody;
use crate::sql::lexer::keyword::{Category, Keyword};
use crate::sql::lexer::{Token, TokenKind, literal};
use crate::sql::parser::cursor::Parser;
use crate::sql::parser::precedence::{self, Infix, Level};

impl<'a> Parser<'a> {
    /// Any expression (PostgreSQL's `a_expr`).
    pub(super) fn expression(&mut self) -> Result<Expr<'a>> {
        self.expression_at(precedence::LOWEST, false)
    }

    pub(super) fn expression_reference(&mut self) -> Result<&'a Expr<'a>> {
        let expression = self.expression()?;
        Ok(self.arena.alloc(expression))
    }

    /// An expression that words like AND, NOT or IN end (PostgreSQL's `b_expr`).
    pub(super) fn restricted_expression(&mut self) -> Result<Expr<'a>> {
        self.expression_at(precedence::IS, true)
    }

    pub(super) fn expression_list(&mut self) -> Result<&'a [Expr<'a>]> {
        self.comma_list(Parser::expression)
    }

    pub(super) fn expr_from(&self, kind: ExprKind<'a>, start: u32) -> Expr<'a> {
        Expr { kind, span: self.span_from(start) }
    }

    /// An operand with the operators after it that bind at least as tight as `min`.
    fn expression_at(&mut self, min: Level, restricted: bool) -> Result<Expr<'a>> {
        self.descend(1)?;
        self.charge()?;
        let start = self.token.start;
        let mut left = self.operand()?;
        let mut steps = ArenaVec::new_in(self.arena);
        // The level of a non-associative operator just taken: another one may not follow.
        let mut blocked = 0;
        // What wraps `left` makes the tree deeper, though it is a loop here.
        let mut levels = 1;
        while let Some((level, infix)) = precedence::infix(self.token.kind) {
            if level < min {
                break;
            }
            if let Infix::Word(word) = infix
                && !self.is_infix_word(word, restricted)
            {
                break;
            }
            if level == blocked {
                return self.unexpected();
            }
            blocked = 0;
            if !matches!(infix, Infix::Symbol | Infix::Word(Keyword::And | Keyword::Or | Keyword::Operator)) {
                self.descend(1)?;
                levels += 1;
            }
            match infix {
                Infix::Symbol | Infix::Word(Keyword::Operator) => {
                    let operator = self.operator()?;
                    if matches!(self.keyword(), Some(Keyword::Any | Keyword::Some | Keyword::All))
                        && self.peek().kind == TokenKind::LeftParenthesis
                    {
                        self.descend(1)?;
                        levels += 1;
                        left = self.close(left, &mut steps, start);
                        left = self.quantified(left, operator, start)?;
                    } else {
                        let right = self.expression_at(level + 1, restricted)?;
                        if steps.is_empty() {
                            steps.reserve_exact(1);
                        }
                        steps.push(BinaryStep { operator, right });
                    }
                    if level == precedence::COMPARISON {
                        blocked = level;
                    }
                }
                Infix::Word(word @ (Keyword::And | Keyword::Or)) => {
                    left = self.close(left, &mut steps, start);
                    left = self.connected(left, word, level, start)?;
                }
                Infix::Word(word) => {
                    self.descend(2)?;
                    left = self.close(left, &mut steps, start);
                    left = self.word_infix(left, word, start, restricted, &mut blocked)?;
                    self.ascend(2);
                }
                Infix::Cast => {
                    left = self.close(left, &mut steps, start);
                    left = self.cast_operator(left, start)?;
                }
                Infix::Subscript => {
                    left = self.close(left, &mut steps, start);
                    left = self.subscript(left, start)?;
                }
                Infix::Field => {
                    left = self.close(left, &mut steps, start);
                    left = self.field(left, start)?;
                }
            }
        }
        self.ascend(levels);
        Ok(self.close(left, &mut steps, start))
    }

    /// Makes one expression of the operators gathered so far.
    #[inline]
    fn close(&self, first: Expr<'a>, steps: &mut ArenaVec<'a, BinaryStep<'a>>, start: u32) -> Expr<'a> {
        if steps.is_empty() {
            return first;
        }
        let rest = std::mem::replace(steps, ArenaVec::new_in(self.arena)).into_bump_slice();
        self.expr_from(ExprKind::Binary(self.arena.alloc(BinarySequence { first, rest })), start)
    }

    /// Whether `word` goes on with the expression here, or ends it.
    fn is_infix_word(&mut self, word: Keyword, restricted: bool) -> bool {
        match word {
            Keyword::Not => {
                !restricted
                    && matches!(
                        self.peek_keyword(),
                        Some(
                            Keyword::Between
                                | Keyword::In
                                | Keyword::Like
                                | Keyword::Ilike
                                | Keyword::Similar
                        )
                    )
            }
            Keyword::At => self.peek_keyword() == Some(Keyword::Time),
            // SUBSTRING(text SIMILAR pattern …) has a word of the same name.
            Keyword::Similar => !restricted && self.peek_keyword() == Some(Keyword::To),
            Keyword::Operator => self.peek().kind == TokenKind::LeftParenthesis,
            Keyword::Collate => true,
            Keyword::Is => {
                !restricted || matches!(self.peek_keyword(), Some(Keyword::Distinct | Keyword::Not))
            }
            _ => !restricted,
        }
    }

    /// `left AND b AND c …`: one flat list, however long.
    #[inline(never)]
    fn connected(&mut self, left: Expr<'a>, word: Keyword, level: Level, start: u32) -> Result<Expr<'a>> {
        let mut terms = ArenaVec::with_capacity_in(4, self.arena);
        terms.push(left);
        while self.accept_word(word) {
            terms.push(self.expression_at(level + 1, false)?);
        }
        let terms = terms.into_bump_slice();
        let kind = if word == Keyword::And { ExprKind::And(terms) } else { ExprKind::Or(terms) };
        Ok(self.expr_from(kind, start))
    }

    /// The operator at the current token.
    fn operator(&mut self) -> Result<Operator<'a>> {
        if self.is_word(Keyword::Operator) {
            return self.qualified_operator();
        }
        let token = self.advance();
        let symbol = if token.kind == TokenKind::NotEqual { "<>" } else { self.token_text(token) };
        Ok(Operator { symbol, schema: None, span: Parser::span_of(token) })
    }

    pub(super) fn is_symbol(kind: TokenKind) -> bool {
        matches!(precedence::infix(kind), Some((_, Infix::Symbol)))
    }

    /// `OPERATOR(schema.symbol)`.
    #[inline(never)]
    fn qualified_operator(&mut self) -> Result<Operator<'a>> {
        let start = self.advance().start;
        self.expect(TokenKind::LeftParenthesis)?;
        let mut schema = None;
        while Parser::is_name(self.token) {
            schema = Some(&*self.arena.alloc(self.name()?));
            self.expect(TokenKind::Dot)?;
        }
        if !Parser::is_symbol(self.token.kind) {
            return self.unexpected();
        }
        let operator = self.operator()?;
        self.expect(TokenKind::RightParenthesis)?;
        Ok(Operator { schema, span: self.span_from(start), ..operator })
    }

    /// An operator of CREATE TABLE's EXCLUDE or ORDER BY USING.
    pub(super) fn any_operator(&mut self) -> Result<Operator<'a>> {
        if Parser::is_symbol(self.token.kind) || self.is_word(Keyword::Operator) {
            return self.operator();
        }
        self.unexpected()
    }

    /// `left operator ANY (…)`.
    #[inline(never)]
    fn quantified(&mut self, left: Expr<'a>, operator: Operator<'a>, start: u32) -> Result<Expr<'a>> {
        let all = self.advance().kind == TokenKind::Keyword(Keyword::All);
        self.expect(TokenKind::LeftParenthesis)?;
        let inside = self.query_or_expression()?;
        self.expect(TokenKind::RightParenthesis)?;
        let right = match inside.kind {
            ExprKind::ScalarQuery(query) => QuantifiedRight::Query(query),
            _ => QuantifiedRight::Array(self.arena.alloc(inside)),
        };
        let quantified = self.arena.alloc(Quantified { left, operator, all, right });
        Ok(self.expr_from(ExprKind::Quantified(quantified), start))
    }

    /// A query without its parentheses (as [`ExprKind::ScalarQuery`]), or an expression.
    fn query_or_expression(&mut self) -> Result<Expr<'a>> {
        let start = self.token.start;
        if self.starts_query() {
            let query = self.query()?;
            return Ok(self.expr_from(ExprKind::ScalarQuery(query), start));
        }
        let expression = self.expression()?;
        self.extend_query(expression, start)
    }

    /// `(query)` read as an operand turns out to be the left side of UNION, or ORDER BY and the like follow.
    fn extend_query(&mut self, expression: Expr<'a>, start: u32) -> Result<Expr<'a>> {
        let ExprKind::ScalarQuery(query) = expression.kind else { return Ok(expression) };
        if !self.continues_query() {
            return Ok(expression);
        }
        let query = self.query_from(None, QueryBody::Query(query), start)?;
        Ok(self.expr_from(ExprKind::ScalarQuery(query), start))
    }

    #[inline(never)]
    fn cast_operator(&mut self, input: Expr<'a>, start: u32) -> Result<Expr<'a>> {
        let span = Parser::span_of(self.advance());
        let target = self.type_name()?;
        let cast = self.arena.alloc(Cast { input, target, syntax: CastSyntax::Operator, span });
        Ok(self.expr_from(ExprKind::Cast(cast), start))
    }

    #[inline(never)]
    fn subscript(&mut self, input: Expr<'a>, start: u32) -> Result<Expr<'a>> {
        self.descend(1)?;
        self.advance();
        let input: &'a Expr<'a> = self.arena.alloc(input);
        let lower =
            if self.is(TokenKind::Colon) { None } else { Some(&*self.arena.alloc(self.expression()?)) };
        let kind = if self.accept(TokenKind::Colon) {
            let upper =
                if self.is(TokenKind::RightBracket) { None } else { Some(self.expression_reference()?) };
            ExprKind::Slice { input, lower, upper }
        } else {
            match lower {
                Some(index) => ExprKind::Subscript { input, index },
                None => return self.unexpected(),
            }
        };
        self.expect(TokenKind::RightBracket)?;
        self.ascend(1);
        Ok(self.expr_from(kind, start))
    }

    #[inline(never)]
    fn field(&mut self, input: Expr<'a>, start: u32) -> Result<Expr<'a>> {
        self.advance();
        let input: &'a Expr<'a> = self.arena.alloc(input);
        let kind = if self.accept(TokenKind::Star) {
            ExprKind::FieldStar(input)
        } else {
            ExprKind::Field { input, name: self.arena.alloc(self.label()?) }
        };
        Ok(self.expr_from(kind, start))
    }

    /// Words after an operand, other than AND and OR.
    #[inline(never)]
    fn word_infix(
        &mut self,
        left: Expr<'a>,
        word: Keyword,
        start: u32,
        restricted: bool,
        blocked: &mut Level,
    ) -> Result<Expr<'a>> {
        let negated = word == Keyword::Not;
        if negated {
            self.advance();
        }
        let token = self.advance();
        let word = match token.kind {
            TokenKind::Keyword(word) => word,
            _ => return Err(self.syntax_error(token)),
        };
        match word {
            Keyword::Isnull | Keyword::Notnull => {
                let input = self.arena.alloc(left);
                Ok(self.expr_from(ExprKind::IsNull { input, negated: word == Keyword::Notnull }, start))
            }
            Keyword::Is => self.is_test(left, start, restricted, blocked),
            Keyword::Between => {
                *blocked = precedence::MATCH;
                self.between(left, negated, token, start)
            }
            Keyword::In => self.in_list(left, negated, start),
            Keyword::Like | Keyword::Ilike | Keyword::Similar => {
                *blocked = precedence::MATCH;
                self.like(left, word, negated, token, start)
            }
            Keyword::Collate => {
                let first = self.name()?;
                let collation = self.qualified_from(first)?;
                let input = self.arena.alloc(left);
                Ok(self.expr_from(ExprKind::Collate { input, collation }, start))
            }
            Keyword::At => {
                self.expect_word(Keyword::Time)?;
                self.expect_word(Keyword::Zone)?;
                let zone = self.expression_at(precedence::AT + 1, restricted)?;
                let span = Parser::span_of(token);
                Ok(self.expr_from(self.plain_call("timezone", span, &[zone, left]), start))
            }
            Keyword::Overlaps => {
                let right = self.expression_at(precedence::OTHER + 1, restricted)?;
                match (left.kind, right.kind) {
                    (ExprKind::Row([a, b]), ExprKind::Row([c, d])) => {
                        let span = Parser::span_of(token);
                        Ok(self.expr_from(self.plain_call("overlaps", span, &[*a, *b, *c, *d]), start))
                    }
                    _ => Err(self.syntax_error(token)),
                }
            }
            _ => Err(self.syntax_error(token)),
        }
    }

    fn is_test(
        &mut self,
        left: Expr<'a>,
        start: u32,
        restricted: bool,
        blocked: &mut Level,
    ) -> Result<Expr<'a>> {
        let negated = self.accept_word(Keyword::Not);
        let word = self.keyword();
        if restricted && word != Some(Keyword::Distinct) {
            return self.unexpected();
        }
        let input: &'a Expr<'a> = self.arena.alloc(left);
        let kind = match word {
            Some(Keyword::Null) => ExprKind::IsNull { input, negated },
            Some(Keyword::True) => ExprKind::IsTruth { input, truth: Some(true), negated },
            Some(Keyword::False) => ExprKind::IsTruth { input, truth: Some(false), negated },
            Some(Keyword::Unknown) => ExprKind::IsTruth { input, truth: None, negated },
            Some(Keyword::Distinct) => {
                self.advance();
                self.expect_word(Keyword::From)?;
                let right = self.expression_at(precedence::IS + 1, restricted)?;
                *blocked = precedence::IS;
                let right = self.arena.alloc(right);
                return Ok(self.expr_from(ExprKind::IsDistinct { left: input, right, negated }, start));
            }
            _ => return self.unexpected(),
        };
        self.advance();
        Ok(self.expr_from(kind, start))
    }

    fn between(&mut self, input: Expr<'a>, negated: bool, token: Token, start: u32) -> Result<Expr<'a>> {
        let symmetric = self.accept_word(Keyword::Symmetric);
        if !symmetric {
            self.accept_word(Keyword::Asymmetric);
        }
        let lower = self.restricted_expression()?;
        self.expect_word(Keyword::And)?;
        let upper = self.expression_at(precedence::MATCH + 1, false)?;
        let span = Parser::span_of(token);
        let between = self.arena.alloc(Between { input, lower, upper, symmetric, negated, span });
        Ok(self.expr_from(ExprKind::Between(between), start))
    }

    fn in_list(&mut self, left: Expr<'a>, negated: bool, start: u32) -> Result<Expr<'a>> {
        let input: &'a Expr<'a> = self.arena.alloc(left);
        self.expect(TokenKind::LeftParenthesis)?;
        let first = self.query_or_expression()?;
        if let ExprKind::ScalarQuery(query) = first.kind
            && self.accept(TokenKind::RightParenthesis)
        {
            return Ok(self.expr_from(ExprKind::InQuery { input, query, negated }, start));
        }
        let mut list = ArenaVec::with_capacity_in(4, self.arena);
        list.push(first);
        while self.accept(TokenKind::Comma) {
            list.push(self.expression()?);
        }
        self.expect(TokenKind::RightParenthesis)?;
        Ok(self.expr_from(ExprKind::InList { input, list: list.into_bump_slice(), negated }, start))
    }

    fn like(
        &mut self,
        input: Expr<'a>,
        word: Keyword,
        negated: bool,
        token: Token,
        start: u32,
    ) -> Result<Expr<'a>> {
        let kind = match word {
            Keyword::Like => LikeKind::Like,
            Keyword::Ilike => LikeKind::CaseInsensitive,
            _ => {
                self.expect_word(Keyword::To)?;
                LikeKind::SimilarTo
            }
        };
        let span = Parser::span_of(token);
        if kind != LikeKind::SimilarTo
            && matches!(self.keyword(), Some(Keyword::Any | Keyword::Some | Keyword::All))
            && self.peek().kind == TokenKind::LeftParenthesis
        {
            let symbol = match (kind, negated) {
                (LikeKind::Like, false) => "~~",
                (LikeKind::Like, true) => "!~~",
                (_, false) => "~~*",
                (_, true) => "!~~*",
            };
            return self.quantified(input, Operator { symbol, schema: None, span }, start);
        }
        let pattern = self.expression_at(precedence::MATCH + 1, false)?;
        let escape = if self.accept_word(Keyword::Escape) {
            Some(self.expression_at(precedence::MATCH + 1, false)?)
        } else {
            None
        };
        let like = self.arena.alloc(Like { input, pattern, escape, kind, negated, span });
        Ok(self.expr_from(ExprKind::Like(like), start))
    }

    /// A call of FROM: an operand that is a function or a value with a keyword of its own.
    pub(super) fn expression_primary(&mut self) -> Result<Expr<'a>> {
        let token = self.token;
        self.descend(1)?;
        let expression = self.operand()?;
        self.ascend(1);
        match expression.kind {
            ExprKind::Function(_)
            | ExprKind::Special { .. }
            | ExprKind::Coalesce(_)
            | ExprKind::NullIf(_)
            | ExprKind::Greatest(_)
            | ExprKind::Least(_) => Ok(expression),
            ExprKind::Column(_) => self.unexpected(),
            _ => Err(self.syntax_error(token)),
        }
    }

    /// What stands before and between operators.
    #[inline]
    fn operand(&mut self) -> Result<Expr<'a>> {
        let token = self.token;
        match token.kind {
            TokenKind::Identifier | TokenKind::QuotedIdentifier | TokenKind::UnicodeIdentifier => {
                self.name_operand()
            }
            TokenKind::Integer => {
                let digits = self.token_text(self.token);
                self.advance();
                let literal = match digits.parse::<i64>() {
                    Ok(value) => Literal::Integer(value),
                    Err(_) => Literal::Number(digits),
                };
                Ok(self.expr_from(ExprKind::Literal(literal), token.start))
            }
            TokenKind::Keyword(keyword) => {
                self.descend(2)?;
                let operand = self.keyword_operand(keyword);
                self.ascend(2);
                operand
            }
            TokenKind::Parameter => {
                let index = self.numbered_parameter()?;
                Ok(self.expr_from(ExprKind::Parameter(index), token.start))
            }
            TokenKind::LeftParenthesis => self.parenthesis(),
            _ => self.other_operand(),
        }
    }

    #[inline(never)]
    fn other_operand(&mut self) -> Result<Expr<'a>> {
        let token = self.token;
        let start = token.start;
        let kind = match token.kind {
            TokenKind::String
            | TokenKind::EscapeString
            | TokenKind::DollarString
            | TokenKind::UnicodeString => ExprKind::Literal(Literal::String(self.string()?)),
            TokenKind::Number => {
                self.advance();
                ExprKind::Literal(Literal::Number(self.token_text(token)))
            }
            TokenKind::BitString | TokenKind::HexString => {
                self.advance();
                let base = if token.kind == TokenKind::BitString { 2 } else { 16 };
                let digits = literal::digits(self.token_text(token), base, start as usize, self.arena)?;
                ExprKind::Literal(if base == 2 {
                    Literal::BitString(digits)
                } else {
                    Literal::HexString(digits)
                })
            }
            TokenKind::Minus | TokenKind::Plus => return self.signed(token),
            TokenKind::NamedParameter => {
                self.advance();
                let name = &self.token_text(token)[1..];
                ExprKind::Parameter(self.named_parameter(name, start)?)
            }
            TokenKind::Colon => {
                let next = self.peek();
                let is_word = matches!(next.kind, TokenKind::Identifier | TokenKind::Keyword(_));
                if !is_word || next.start != token.end() {
                    return self.unexpected();
                }
                self.advance();
                let name = self.token_text(next);
                self.advance();
                ExprKind::Parameter(self.named_parameter(name, start)?)
            }
            TokenKind::Operator if self.token_text(token).starts_with('?') => {
                ExprKind::Parameter(self.positional_parameter()?)
            }
            TokenKind::Operator => {
                let operator = self.operator()?;
                self.descend(2)?;
                let input = self.expression_at(precedence::OTHER + 1, false)?;
                self.ascend(2);
                ExprKind::Unary { operator: self.arena.alloc(operator), input: self.arena.alloc(input) }
            }
            _ => return self.unexpected(),
        };
        Ok(self.expr_from(kind, start))
    }

    /// A sign before an operand; before a number it becomes part of it, so that the smallest bigint can be written.
    #[inline(never)]
    fn signed(&mut self, token: Token) -> Result<Expr<'a>> {
        let operator = self.operator()?;
        self.descend(2)?;
        let input = self.expression_at(precedence::SIGN, false)?;
        self.ascend(2);
        if token.kind == TokenKind::Minus
            && let ExprKind::Literal(literal) = input.kind
        {
            let negative = match literal {
                // The smallest has no opposite among the integers.
                Literal::Integer(value) => {
                    Some(value.checked_neg().map_or(Literal::Number("9223372036854775808"), Literal::Integer))
                }
                Literal::Number(digits) => {
                    let text = match digits.strip_prefix('-') {
                        Some(positive) => positive,
                        None => bumpalo::format!(in self.arena, "-{}", digits).into_bump_str(),
                    };
                    Some(text.parse::<i64>().map_or(Literal::Number(text), Literal::Integer))
                }
                _ => None,
            };
            if let Some(negative) = negative {
                return Ok(self.expr_from(ExprKind::Literal(negative), token.start));
            }
        }
        let input = self.arena.alloc(input);
        let operator = self.arena.alloc(operator);
        Ok(self.expr_from(ExprKind::Unary { operator, input }, token.start))
    }

    /// `( … )`: a query, a row, or an expression.
    #[inline(never)]
    fn parenthesis(&mut self) -> Result<Expr<'a>> {
        self.descend(1)?;
        let start = self.advance().start;
        let inside = self.query_or_expression()?;
        if self.accept(TokenKind::RightParenthesis) {
            self.ascend(1);
            // Only the parentheses make a query an expression.
            let is_query = matches!(inside.kind, ExprKind::ScalarQuery(_));
            return Ok(if is_query { self.expr_from(inside.kind, start) } else { inside });
        }
        let mut list = ArenaVec::with_capacity_in(4, self.arena);
        list.push(inside);
        if !self.is(TokenKind::Comma) {
            return self.unexpected();
        }
        while self.accept(TokenKind::Comma) {
            list.push(self.expression()?);
        }
        self.expect(TokenKind::RightParenthesis)?;
        self.ascend(1);
        Ok(self.expr_from(ExprKind::Row(list.into_bump_slice()), start))
    }

    /// A column, a call, or a type before a string.
    #[inline(never)]
    pub(super) fn name_operand(&mut self) -> Result<Expr<'a>> {
        let start = self.token.start;
        let first = self.label()?;
        match self.token.kind {
            TokenKind::Dot => {}
            TokenKind::LeftParenthesis => {
                let name = self.qualified_from(first)?;
                return self.call(name, start);
            }
            _ if self.is_string() => {
                let name = self.qualified_from(first)?;
                return self.typed_literal(self.plain_type(name), start);
            }
            _ => {
                let name = self.qualified_from(first)?;
                return Ok(self.expr_from(ExprKind::Column(name), start));
            }
        }
        self.qualified_operand(first, start)
    }

    #[inline(never)]
    fn qualified_operand(&mut self, first: crate::sql::ast::Name<'a>, start: u32) -> Result<Expr<'a>> {
        let mut parts = ArenaVec::with_capacity_in(2, self.arena);
        parts.push(first);
        while self.accept(TokenKind::Dot) {
            if self.accept(TokenKind::Star) {
                let name = crate::sql::ast::ObjectName { parts: parts.into_bump_slice() };
                return Ok(self.expr_from(ExprKind::QualifiedStar(name), start));
            }
            parts.push(self.label()?);
        }
        let name = crate::sql::ast::ObjectName { parts: parts.into_bump_slice() };
        if self.is(TokenKind::LeftParenthesis) {
            return self.call(name, start);
        }
        if self.is_string() {
            return self.typed_literal(self.plain_type(name), start);
        }
        Ok(self.expr_from(ExprKind::Column(name), start))
    }

    /// `type 'text'`.
    pub(super) fn typed_literal(
        &mut self,
        target: crate::sql::ast::TypeName<'a>,
        start: u32,
    ) -> Result<Expr<'a>> {
        let text = self.token.start;
        let value = self.string()?;
        let input = self.expr_from(ExprKind::Literal(Literal::String(value)), text);
        let mut target = target;
        if target.name.object().text == "interval" && target.modifiers.is_empty() {
            (target.interval, target.modifiers) = self.interval_fields()?;
        }
        let cast = Cast { input, target, syntax: CastSyntax::Literal, span: target.span };
        Ok(self.expr_from(ExprKind::Cast(self.arena.alloc(cast)), start))
    }

    /// An operand that starts with a keyword.
    #[inline(never)]
    fn keyword_operand(&mut self, keyword: Keyword) -> Result<Expr<'a>> {
        let start = self.token.start;
        let literal = match keyword {
            Keyword::Null => Literal::Null,
            Keyword::True => Literal::Boolean(true),
            Keyword::False => Literal::Boolean(false),
            Keyword::Not => {
                self.advance();
                let input = self.expression_at(precedence::NOT, false)?;
                return Ok(self.expr_from(ExprKind::Not(self.arena.alloc(input)), start));
            }
            Keyword::Case => return self.case(),
            Keyword::Cast => {
                self.advance();
                return self.cast_call(start);
            }
            Keyword::Array => return self.array(),
            Keyword::Default => {
                self.advance();
                return Ok(self.expr_from(ExprKind::Default, start));
            }
            _ => {
                let category = keyword.category();
                if let Some(expression) = self.special_operand(keyword)? {
                    return Ok(expression);
                }
                if category == Category::TypeOrFunction {
                    let is_call = self.peek().kind == TokenKind::LeftParenthesis || {
                        let next = self.peek();
                        Parser::is_string_token(next)
                    };
                    return if is_call { self.name_operand() } else { self.unexpected() };
                }
                return if category == Category::Reserved { self.unexpected() } else { self.name_operand() };
            }
        };
        self.advance();
        Ok(self.expr_from(ExprKind::Literal(literal), start))
    }

    fn cast_call(&mut self, start: u32) -> Result<Expr<'a>> {
        let span = self.span_from(start);
        self.expect(TokenKind::LeftParenthesis)?;
        let input = self.expression()?;
        self.expect_word(Keyword::As)?;
        let target = self.type_name()?;
        self.expect(TokenKind::RightParenthesis)?;
        let cast = self.arena.alloc(Cast { input, target, syntax: CastSyntax::Function, span });
        Ok(self.expr_from(ExprKind::Cast(cast), start))
    }

    fn case(&mut self) -> Result<Expr<'a>> {
        let start = self.advance().start;
        let operand = if self.is_word(Keyword::When) { None } else { Some(self.expression()?) };
        let mut branches = ArenaVec::with_capacity_in(2, self.arena);
        while self.accept_word(Keyword::When) {
            let condition = self.expression()?;
            self.expect_word(Keyword::Then)?;
            branches.push((condition, self.expression()?));
        }
        if branches.is_empty() {
            return self.unexpected();
        }
        let otherwise = if self.accept_word(Keyword::Else) { Some(self.expression()?) } else { None };
        self.expect_word(Keyword::End)?;
        let case = self.arena.alloc(Case { operand, branches: branches.into_bump_slice(), otherwise });
        Ok(self.expr_from(ExprKind::Case(case), start))
    }

    /// `ARRAY[…]` or `ARRAY(query)`.
    fn array(&mut self) -> Result<Expr<'a>> {
        let start = self.advance().start;
        if self.is(TokenKind::LeftParenthesis) {
            let query = self.parenthesized(Parser::query)?;
            return Ok(self.expr_from(ExprKind::ArrayQuery(query), start));
        }
        if !self.is(TokenKind::LeftBracket) {
            return self.unexpected();
        }
        let array = self.array_brackets()?;
        Ok(Expr { span: Span { start, end: array.span.end }, ..array })
    }

    fn array_brackets(&mut self) -> Result<Expr<'a>> {
        self.descend(2)?;
        let start = self.advance().start;
        let elements = if self.is(TokenKind::RightBracket) {
            &[][..]
        } else {
            self.comma_list(|parser| {
                if parser.is(TokenKind::LeftBracket) { parser.array_brackets() } else { parser.expression() }
            })?
        };
        self.expect(TokenKind::RightBracket)?;
        self.ascend(2);
        Ok(self.expr_from(ExprKind::Array(elements), start))
    }
}

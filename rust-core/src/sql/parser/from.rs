//! FROM: tables, queries, functions, joins.

use crate::common::arena::ArenaVec;
use crate::error::Result;
use crate::sql::ast::expression::ExprKind;
use crate::sql::ast::query::{
    Alias, ColumnWithType, DerivedTable, FromItem, JoinCondition, JoinKind, JoinSequence, JoinStep, Query,
    QueryBody, Sample, TableFunction, TableFunctionCall, TableReference,
};
use crate::sql::ast::{Name, ObjectName};
use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::{Category, Keyword};
use crate::sql::parser::cursor::{Parser, QUERY_DEPTH};

/// What stands in parentheses in FROM.
enum Inside<'a> {
    Query(&'a Query<'a>),
    Join(FromItem<'a>),
}

impl<'a> Parser<'a> {
    /// An element of FROM with its joins.
    pub(super) fn relation(&mut self) -> Result<FromItem<'a>> {
        let start = self.token.start;
        let first = self.relation_operand()?;
        self.joins(first, start)
    }

    /// `first JOIN … JOIN …`; a join may stand on the right side of ON as in `a JOIN b JOIN c ON … ON …`.
    fn joins(&mut self, first: FromItem<'a>, start: u32) -> Result<FromItem<'a>> {
        if !self.starts_join() {
            return Ok(first);
        }
        let mut rest = ArenaVec::with_capacity_in(2, self.arena);
        while self.starts_join() {
            rest.push(self.join_step()?);
        }
        let rest = rest.into_bump_slice();
        let span = self.span_from(start);
        Ok(FromItem::Join(self.arena.alloc(JoinSequence { first, rest, alias: None, span })))
    }

    fn starts_join(&self) -> bool {
        matches!(
            self.keyword(),
            Some(
                Keyword::Join
                    | Keyword::Inner
                    | Keyword::Left
                    | Keyword::Right
                    | Keyword::Full
                    | Keyword::Cross
                    | Keyword::Natural
            )
        )
    }

    #[inline(never)]
    fn join_step(&mut self) -> Result<JoinStep<'a>> {
        let start = self.token.start;
        let natural = self.accept_word(Keyword::Natural);
        let kind = match self.keyword() {
            Some(Keyword::Cross) if !natural => {
                self.advance();
                JoinKind::Cross
            }
            Some(Keyword::Left) => self.outer(JoinKind::Left),
            Some(Keyword::Right) => self.outer(JoinKind::Right),
            Some(Keyword::Full) => self.outer(JoinKind::Full),
            _ => {
                self.accept_word(Keyword::Inner);
                JoinKind::Inner
            }
        };
        self.expect_word(Keyword::Join)?;
        let span = self.span_from(start);
        self.descend(1)?;
        let right_start = self.token.start;
        let mut right = self.relation_operand()?;
        if kind == JoinKind::Cross || natural {
            self.ascend(1);
            let condition = if natural { JoinCondition::Natural } else { JoinCondition::None };
            return Ok(JoinStep { kind, right, condition, span });
        }
        // Without a condition here the next join belongs to the right side.
        if self.starts_join() {
            let mut rest = self.list();
            while self.starts_join() {
                rest.push(self.join_step()?);
            }
            let rest = rest.into_bump_slice();
            let span = self.span_from(right_start);
            right = FromItem::Join(self.arena.alloc(JoinSequence { first: right, rest, alias: None, span }));
        }
        let condition = self.join_condition()?;
        self.ascend(1);
        Ok(JoinStep { kind, right, condition, span })
    }

    fn outer(&mut self, kind: JoinKind) -> JoinKind {
        self.advance();
        self.accept_word(Keyword::Outer);
        kind
    }

    fn join_condition(&mut self) -> Result<JoinCondition<'a>> {
        if self.accept_word(Keyword::On) {
            return Ok(JoinCondition::On(self.expression_reference()?));
        }
        self.expect_word(Keyword::Using)?;
        let columns = self.name_list()?;
        let alias = if self.accept_word(Keyword::As) { Some(self.name()?) } else { None };
        Ok(JoinCondition::Using { columns, alias })
    }

    fn relation_operand(&mut self) -> Result<FromItem<'a>> {
        let start = self.token.start;
        let kind = self.token.kind;
        match kind {
            TokenKind::Keyword(Keyword::Lateral) => {
                self.advance();
                if self.accept(TokenKind::LeftParenthesis) {
                    let query = self.query()?;
                    self.expect(TokenKind::RightParenthesis)?;
                    return self.derived(query, true, start);
                }
                self.table_function(true, start)
            }
            TokenKind::LeftParenthesis => match self.relation_in_parentheses()? {
                Inside::Query(query) => self.derived(query, false, start),
                Inside::Join(item) => self.aliased_join(item),
            },
            TokenKind::Keyword(Keyword::Rows) if self.peek_keyword() == Some(Keyword::From) => {
                self.table_function(false, start)
            }
            TokenKind::Keyword(Keyword::Only) => {
                self.advance();
                let parenthesis = self.accept(TokenKind::LeftParenthesis);
                let name = self.object_name()?;
                if parenthesis {
                    self.expect(TokenKind::RightParenthesis)?;
                }
                self.table_reference(name, true, start)
            }
            TokenKind::Keyword(keyword) if !Parser::is_name(self.token) => {
                // Functions may have names that tables may not.
                let callable = keyword.category() == Category::TypeOrFunction
                    || (keyword.category() == Category::Reserved && keyword.text().starts_with("current_"))
                    || matches!(
                        keyword,
                        Keyword::Localtime | Keyword::Localtimestamp | Keyword::SessionUser | Keyword::User
                    );
                if callable { self.table_function(false, start) } else { self.unexpected() }
            }
            TokenKind::Keyword(
                Keyword::Coalesce
                | Keyword::Extract
                | Keyword::Greatest
                | Keyword::Least
                | Keyword::Nullif
                | Keyword::Overlay
                | Keyword::Position
                | Keyword::Substring
                | Keyword::Trim
                | Keyword::Xmltable,
            ) if self.peek().kind == TokenKind::LeftParenthesis => self.table_function(false, start),
            _ => {
                let first = self.name()?;
                let name = self.qualified_from(first)?;
                if self.is(TokenKind::LeftParenthesis) {
                    let call = self.call(name, start)?;
                    return self.function_item(call, false, start);
                }
                self.table_reference(name, false, start)
            }
        }
    }

    fn table_reference(&mut self, name: ObjectName<'a>, only: bool, start: u32) -> Result<FromItem<'a>> {
        self.accept(TokenKind::Star);
        let alias = self.alias()?;
        let sample = if self.is_word(Keyword::Tablesample) { Some(self.sample()?) } else { None };
        let span = self.span_from(start);
        Ok(FromItem::Table(self.arena.alloc(TableReference { name, only, alias, sample, span })))
    }

    fn sample(&mut self) -> Result<&'a Sample<'a>> {
        let start = self.advance().start;
        let first = self.function_or_type_name()?;
        let method = self.qualified_from(first)?;
        let arguments = self.parenthesized(Parser::expression_list)?;
        let seed = if self.accept_word(Keyword::Repeatable) {
            Some(self.parenthesized(Parser::expression)?)
        } else {
            None
        };
        let span = self.span_from(start);
        Ok(self.arena.alloc(Sample { method, arguments, seed, span }))
    }

    fn derived(&mut self, query: &'a Query<'a>, lateral: bool, start: u32) -> Result<FromItem<'a>> {
        let alias = self.alias()?;
        let span = self.span_from(start);
        Ok(FromItem::Query(self.arena.alloc(DerivedTable { query, lateral, alias, span })))
    }

    /// `(a JOIN b …) AS name`.
    fn aliased_join(&mut self, item: FromItem<'a>) -> Result<FromItem<'a>> {
        let FromItem::Join(join) = item else { return Ok(item) };
        match self.alias()? {
            None => Ok(item),
            alias => Ok(FromItem::Join(self.arena.alloc(JoinSequence { alias, ..*join }))),
        }
    }

    /// A query, or joined tables, in parentheses. Which of both shows only after nested parentheses.
    #[inline(never)]
    fn relation_in_parentheses(&mut self) -> Result<Inside<'a>> {
        self.descend(QUERY_DEPTH)?;
        self.advance();
        let start = self.token.start;
        let inside = if self.starts_query() {
            Inside::Query(self.query()?)
        } else if self.is(TokenKind::LeftParenthesis) {
            match self.relation_in_parentheses()? {
                Inside::Query(query) if self.is(TokenKind::RightParenthesis) => Inside::Query(query),
                Inside::Query(query) if self.continues_query() => {
                    Inside::Query(self.query_from(None, QueryBody::Query(query), start)?)
                }
                Inside::Query(query) => {
                    let item = self.derived(query, false, start)?;
                    self.parenthesized_join(item, start)?
                }
                Inside::Join(item) => {
                    let item = self.aliased_join(item)?;
                    if self.starts_join() {
                        self.parenthesized_join(item, start)?
                    } else {
                        Inside::Join(item)
                    }
                }
            }
        } else {
            let first = self.relation_operand()?;
            self.parenthesized_join(first, start)?
        };
        self.expect(TokenKind::RightParenthesis)?;
        self.ascend(QUERY_DEPTH);
        Ok(inside)
    }

    /// A table alone may not stand in parentheses, a join may.
    fn parenthesized_join(&mut self, first: FromItem<'a>, start: u32) -> Result<Inside<'a>> {
        if !self.starts_join() {
            return self.unexpected();
        }
        Ok(Inside::Join(self.joins(first, start)?))
    }

    /// A function that starts at the current token, or ROWS FROM.
    fn table_function(&mut self, lateral: bool, start: u32) -> Result<FromItem<'a>> {
        if !self.is_words(Keyword::Rows, Keyword::From) {
            let call = self.expression_primary()?;
            return self.function_item(call, lateral, start);
        }
        self.advance();
        self.advance();
        let calls = self.parenthesized(|parser| {
            parser.comma_list(|parser| {
                let call = parser.expression_primary()?;
                let columns =
                    if parser.accept_word(Keyword::As) { parser.columns_with_types()? } else { &[] };
                Ok(TableFunctionCall { call, function: function_of(&call), columns })
            })
        })?;
        self.function_end(calls, lateral, start)
    }

    fn function_item(
        &mut self,
        call: crate::sql::ast::expression::Expr<'a>,
        lateral: bool,
        start: u32,
    ) -> Result<FromItem<'a>> {
        let call = TableFunctionCall { call, function: function_of(&call), columns: &[] };
        let calls = std::slice::from_ref(&*self.arena.alloc(call));
        self.function_end(calls, lateral, start)
    }

    fn function_end(
        &mut self,
        calls: &'a [TableFunctionCall<'a>],
        lateral: bool,
        start: u32,
    ) -> Result<FromItem<'a>> {
        let ordinality = self.accept_words(Keyword::With, Keyword::Ordinality);
        let mut alias = None;
        let mut columns: &'a [ColumnWithType<'a>] = &[];
        if self.is_words_parenthesis() {
            self.advance();
            columns = self.columns_with_types()?;
        } else if let Some(name) = self.alias_name()? {
            let names: &'a [Name<'a>] = if self.is(TokenKind::LeftParenthesis) {
                let (names, types) = self.names_or_columns()?;
                columns = types;
                names
            } else {
                &[]
            };
            alias = Some(Alias { name, columns: names });
        }
        let span = self.span_from(start);
        let function = TableFunction { calls, ordinality, lateral, alias, columns, span };
        Ok(FromItem::Function(self.arena.alloc(function)))
    }

    /// `AS (` follows.
    fn is_words_parenthesis(&mut self) -> bool {
        self.is_word(Keyword::As) && self.peek().kind == TokenKind::LeftParenthesis
    }

    /// `(a, b)` or `(a integer, b text)`.
    fn names_or_columns(&mut self) -> Result<(&'a [Name<'a>], &'a [ColumnWithType<'a>])> {
        self.expect(TokenKind::LeftParenthesis)?;
        let first = self.name()?;
        if matches!(self.token.kind, TokenKind::Comma | TokenKind::RightParenthesis) {
            let mut names = self.list();
            names.push(first);
            while self.accept(TokenKind::Comma) {
                names.push(self.name()?);
            }
            self.expect(TokenKind::RightParenthesis)?;
            return Ok((names.into_bump_slice(), &[]));
        }
        let mut columns = self.list();
        columns.push(ColumnWithType { name: first, type_name: self.type_name()? });
        while self.accept(TokenKind::Comma) {
            let name = self.name()?;
            columns.push(ColumnWithType { name, type_name: self.type_name()? });
        }
        self.expect(TokenKind::RightParenthesis)?;
        Ok((&[], columns.into_bump_slice()))
    }

    fn columns_with_types(&mut self) -> Result<&'a [ColumnWithType<'a>]> {
        self.parenthesized(|parser| {
            parser.comma_list(|parser| {
                let name = parser.name()?;
                Ok(ColumnWithType { name, type_name: parser.type_name()? })
            })
        })
    }

    /// A name with or without AS, where one follows.
    fn alias_name(&mut self) -> Result<Option<Name<'a>>> {
        if self.accept_word(Keyword::As) || Parser::is_name(self.token) {
            return self.name().map(Some);
        }
        Ok(None)
    }

    /// `[AS] name [(columns)]`, where it follows.
    pub(super) fn alias(&mut self) -> Result<Option<Alias<'a>>> {
        match self.alias_name()? {
            None => Ok(None),
            Some(name) => Ok(Some(Alias { name, columns: self.optional_name_list()? })),
        }
    }

    /// The target of UPDATE and DELETE; an alias named SET needs AS.
    pub(super) fn target_table(&mut self) -> Result<TableReference<'a>> {
        let start = self.token.start;
        let only = self.accept_word(Keyword::Only);
        let name = self.object_name()?;
        self.accept(TokenKind::Star);
        let alias = if self.is_word(Keyword::Set) {
            None
        } else {
            self.alias_name()?.map(|name| Alias { name, columns: &[] })
        };
        Ok(TableReference { name, only, alias, sample: None, span: self.span_from(start) })
    }
}

fn function_of<'a>(
    call: &crate::sql::ast::expression::Expr<'a>,
) -> Option<&'a crate::sql::ast::expression::FunctionCall<'a>> {
    match call.kind {
        ExprKind::Function(function) => Some(function),
        _ => None,
    }
}

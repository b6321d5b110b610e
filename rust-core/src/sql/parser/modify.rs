//! INSERT, UPDATE, DELETE, MERGE.

use crate::error::Result;
use crate::sql::ast::expression::{Expr, ExprKind};
use crate::sql::ast::modify::{
    Assignment, Condition, ConflictAction, ConflictElement, ConflictTarget, Delete, Insert, InsertSource,
    Merge, MergeAction, MergeClause, OnConflict, Overriding, TargetColumn, Update,
};
use crate::sql::ast::query::{Alias, With};
use crate::sql::ast::{Name, Statement};
use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::Keyword;
use crate::sql::parser::cursor::Parser;

impl<'a> Parser<'a> {
    pub(super) fn insert(&mut self, with: Option<&'a With<'a>>, start: u32) -> Result<Statement<'a>> {
        self.advance();
        self.expect_word(Keyword::Into)?;
        let table = self.object_name()?;
        let alias = if self.accept_word(Keyword::As) { Some(self.name()?) } else { None };
        let columns = if self.is(TokenKind::LeftParenthesis) && !self.parenthesis_holds_query() {
            self.parenthesized(|parser| parser.comma_list(Parser::target_column))?
        } else {
            &[]
        };
        let overriding = self.overriding()?;
        let source = if self.accept_words(Keyword::Default, Keyword::Values) {
            InsertSource::DefaultValues
        } else {
            InsertSource::Query(self.query()?)
        };
        let on_conflict = if self.is_word(Keyword::On) { Some(self.on_conflict()?) } else { None };
        let returning = self.returning()?;
        let span = self.span_from(start);
        Ok(Statement::Insert(self.arena.alloc(Insert {
            with,
            table,
            alias,
            columns,
            overriding,
            source,
            on_conflict,
            returning,
            span,
        })))
    }

    /// Whether the parenthesis at the current token opens a query, not a list of names.
    fn parenthesis_holds_query(&mut self) -> bool {
        matches!(
            self.peek().kind,
            TokenKind::LeftParenthesis
                | TokenKind::Keyword(Keyword::Select | Keyword::Values | Keyword::With | Keyword::Table)
        )
    }

    fn overriding(&mut self) -> Result<Option<Overriding>> {
        if !self.accept_word(Keyword::Overriding) {
            return Ok(None);
        }
        let kind = if self.accept_word(Keyword::User) {
            Overriding::User
        } else {
            self.expect_word(Keyword::System)?;
            Overriding::System
        };
        self.expect_word(Keyword::Value)?;
        Ok(Some(kind))
    }

    fn target_column(&mut self) -> Result<TargetColumn<'a>> {
        let name = self.name()?;
        let start = self.token.start;
        let mut indirection = None;
        while matches!(self.token.kind, TokenKind::Dot | TokenKind::LeftBracket) {
            if self.accept(TokenKind::Dot) {
                self.label()?;
            } else {
                self.advance();
                if !self.is(TokenKind::Colon) {
                    self.expression()?;
                }
                if self.accept(TokenKind::Colon) && !self.is(TokenKind::RightBracket) {
                    self.expression()?;
                }
                self.expect(TokenKind::RightBracket)?;
            }
            indirection = Some(self.span_from(start));
        }
        Ok(TargetColumn { name, indirection })
    }

    #[inline(never)]
    fn on_conflict(&mut self) -> Result<&'a OnConflict<'a>> {
        let start = self.advance().start;
        self.expect_word(Keyword::Conflict)?;
        let target = if self.accept_words(Keyword::On, Keyword::Constraint) {
            ConflictTarget::Constraint(self.name()?)
        } else if self.is(TokenKind::LeftParenthesis) {
            let elements = self.parenthesized(|parser| parser.comma_list(Parser::conflict_element))?;
            let filter =
                if self.accept_word(Keyword::Where) { Some(self.expression_reference()?) } else { None };
            ConflictTarget::Columns { elements, filter }
        } else {
            ConflictTarget::Any
        };
        self.expect_word(Keyword::Do)?;
        let action = if self.accept_word(Keyword::Nothing) {
            ConflictAction::Nothing
        } else {
            self.expect_word(Keyword::Update)?;
            self.expect_word(Keyword::Set)?;
            let assignments = self.assignments()?;
            let filter =
                if self.accept_word(Keyword::Where) { Some(self.expression_reference()?) } else { None };
            ConflictAction::Update { assignments, filter }
        };
        let span = self.span_from(start);
        Ok(self.arena.alloc(OnConflict { target, action, span }))
    }

    fn conflict_element(&mut self) -> Result<ConflictElement<'a>> {
        let value = self.index_expression()?;
        let (collation, operator_class) = self.collation_and_class()?;
        Ok(ConflictElement { value, collation, operator_class })
    }

    /// A column, a call, or an expression in parentheses: what an index may have.
    pub(super) fn index_expression(&mut self) -> Result<Expr<'a>> {
        if self.is(TokenKind::LeftParenthesis) {
            return self.parenthesized(Parser::expression);
        }
        let token = self.token;
        if self.peek().kind != TokenKind::LeftParenthesis && self.peek().kind != TokenKind::Dot {
            let name = self.name()?;
            return Ok(Expr { kind: ExprKind::Column(self.qualified_from(name)?), span: name.span });
        }
        if let TokenKind::Keyword(
            keyword @ (Keyword::Cast
            | Keyword::Coalesce
            | Keyword::Extract
            | Keyword::Greatest
            | Keyword::Least
            | Keyword::Nullif
            | Keyword::Overlay
            | Keyword::Position
            | Keyword::Substring
            | Keyword::Trim),
        ) = token.kind
            && let Some(expression) = self.special_form(keyword)?
        {
            return Ok(expression);
        }
        let expression = self.name_operand()?;
        match expression.kind {
            ExprKind::Function(_) => Ok(expression),
            _ => Err(self.syntax_error(token)),
        }
    }

    /// COLLATE and operator class after an index expression.
    pub(super) fn collation_and_class(
        &mut self,
    ) -> Result<(Option<crate::sql::ast::ObjectName<'a>>, Option<crate::sql::ast::ObjectName<'a>>)> {
        let mut collation = None;
        if self.accept_word(Keyword::Collate) {
            let first = self.name()?;
            collation = Some(self.qualified_from(first)?);
        }
        let mut class = None;
        if Parser::is_name(self.token) && !self.is_word(Keyword::Nulls) {
            let first = self.name()?;
            class = Some(self.qualified_from(first)?);
        }
        Ok((collation, class))
    }

    fn assignments(&mut self) -> Result<&'a [Assignment<'a>]> {
        self.comma_list(|parser| {
            let start = parser.token.start;
            if parser.is(TokenKind::LeftParenthesis) {
                let targets = parser.parenthesized(|parser| parser.comma_list(Parser::target_column))?;
                parser.expect(TokenKind::Equal)?;
                let value = parser.expression()?;
                return Ok(Assignment::Columns { targets, value, span: parser.span_from(start) });
            }
            let target = parser.target_column()?;
            parser.expect(TokenKind::Equal)?;
            Ok(Assignment::Column { target, value: parser.expression()? })
        })
    }

    fn condition(&mut self) -> Result<Option<Condition<'a>>> {
        if !self.accept_word(Keyword::Where) {
            return Ok(None);
        }
        if self.accept_words(Keyword::Current, Keyword::Of) {
            return Ok(Some(Condition::CurrentOf(self.name()?)));
        }
        Ok(Some(Condition::Expression(self.expression_reference()?)))
    }

    pub(super) fn update(&mut self, with: Option<&'a With<'a>>, start: u32) -> Result<Statement<'a>> {
        self.advance();
        let table = self.target_table()?;
        self.expect_word(Keyword::Set)?;
        let assignments = self.assignments()?;
        let from = if self.accept_word(Keyword::From) { self.comma_list(Parser::relation)? } else { &[] };
        let filter = self.condition()?;
        let returning = self.returning()?;
        let span = self.span_from(start);
        Ok(Statement::Update(self.arena.alloc(Update {
            with,
            table,
            assignments,
            from,
            filter,
            returning,
            span,
        })))
    }

    pub(super) fn delete(&mut self, with: Option<&'a With<'a>>, start: u32) -> Result<Statement<'a>> {
        self.advance();
        self.expect_word(Keyword::From)?;
        let table = self.target_table()?;
        let using = if self.accept_word(Keyword::Using) { self.comma_list(Parser::relation)? } else { &[] };
        let filter = self.condition()?;
        let returning = self.returning()?;
        let span = self.span_from(start);
        Ok(Statement::Delete(self.arena.alloc(Delete { with, table, using, filter, returning, span })))
    }

    #[inline(never)]
    pub(super) fn merge(&mut self, with: Option<&'a With<'a>>, start: u32) -> Result<Statement<'a>> {
        self.advance();
        self.expect_word(Keyword::Into)?;
        let only = self.accept_word(Keyword::Only);
        let table = self.object_name()?;
        let alias = if self.accept_word(Keyword::As) || Parser::is_name(self.token) {
            let name: Name<'a> = self.name()?;
            Some(Alias { name, columns: &[] })
        } else {
            None
        };
        self.expect_word(Keyword::Using)?;
        let source = self.relation()?;
        self.expect_word(Keyword::On)?;
        let condition = self.expression()?;
        let mut clauses = self.list();
        while self.is_word(Keyword::When) {
            clauses.push(self.merge_clause()?);
        }
        if clauses.is_empty() {
            return self.unexpected();
        }
        let clauses = clauses.into_bump_slice();
        let span = self.span_from(start);
        let merge = Merge { with, table, only, alias, source, condition, clauses, span };
        Ok(Statement::Merge(self.arena.alloc(merge)))
    }

    fn merge_clause(&mut self) -> Result<MergeClause<'a>> {
        let start = self.advance().start;
        let matched = !self.accept_word(Keyword::Not);
        self.expect_word(Keyword::Matched)?;
        let condition = if self.accept_word(Keyword::And) { Some(self.expression()?) } else { None };
        self.expect_word(Keyword::Then)?;
        let action = match self.keyword() {
            Some(Keyword::Do) => {
                self.advance();
                self.expect_word(Keyword::Nothing)?;
                MergeAction::Nothing
            }
            Some(Keyword::Delete) if matched => {
                self.advance();
                MergeAction::Delete
            }
            Some(Keyword::Update) if matched => {
                self.advance();
                self.expect_word(Keyword::Set)?;
                MergeAction::Update(self.assignments()?)
            }
            Some(Keyword::Insert) if !matched => {
                self.advance();
                let columns = if self.is(TokenKind::LeftParenthesis) {
                    self.parenthesized(|parser| parser.comma_list(Parser::target_column))?
                } else {
                    &[]
                };
                let overriding = self.overriding()?;
                let values = if self.accept_words(Keyword::Default, Keyword::Values) {
                    None
                } else {
                    self.expect_word(Keyword::Values)?;
                    Some(self.parenthesized(Parser::expression_list)?)
                };
                MergeAction::Insert { columns, overriding, values }
            }
            _ => return self.unexpected(),
        };
        Ok(MergeClause { matched, condition, action, span: self.span_from(start) })
    }
}

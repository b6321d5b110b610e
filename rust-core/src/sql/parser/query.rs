//! Queries: SELECT, VALUES, TABLE, WITH, set operations, ORDER BY, LIMIT, locking.

use crate::common::arena::ArenaVec;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::define::Persistence;
use crate::sql::ast::expression::{Expr, ExprKind, Literal};
use crate::sql::ast::query::{
    CommonTable, Distinct, GroupBy, GroupingElement, Into, Locking, LockingStrength, LockingWait,
    NamedWindow, OrderItem, Query, QueryBody, Select, SelectItem, SetOperations, SetOperator, SetStep,
    TableReference, Values, With,
};
use crate::sql::ast::{Span, Statement};
use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::Keyword;
use crate::sql::parser::cursor::{Parser, QUERY_DEPTH};

impl<'a> Parser<'a> {
    /// Whether a query starts here (not looking into parentheses).
    pub(super) fn starts_query(&mut self) -> bool {
        match self.keyword() {
            Some(Keyword::Select | Keyword::With | Keyword::Table) => true,
            Some(Keyword::Values) => self.peek().kind == TokenKind::LeftParenthesis,
            _ => false,
        }
    }

    /// Whether the current token goes on with a query after its first, parenthesized part.
    pub(super) fn continues_query(&self) -> bool {
        matches!(
            self.keyword(),
            Some(
                Keyword::Union
                    | Keyword::Intersect
                    | Keyword::Except
                    | Keyword::Order
                    | Keyword::Limit
                    | Keyword::Offset
                    | Keyword::Fetch
                    | Keyword::For
            )
        )
    }

    /// A query, with or without parentheses around it.
    pub(super) fn query(&mut self) -> Result<&'a Query<'a>> {
        let start = self.token.start;
        let with = if self.is_word(Keyword::With) { Some(self.with()?) } else { None };
        self.query_after_with(with, start)
    }

    /// A query whose WITH has been read.
    pub(super) fn query_after_with(
        &mut self,
        with: Option<&'a With<'a>>,
        start: u32,
    ) -> Result<&'a Query<'a>> {
        self.descend(QUERY_DEPTH)?;
        let first = self.query_part()?;
        let query = self.query_from(with, first, start);
        self.ascend(QUERY_DEPTH);
        query
    }

    /// The rest of a query whose first part is `first`.
    pub(super) fn query_from(
        &mut self,
        with: Option<&'a With<'a>>,
        first: QueryBody<'a>,
        start: u32,
    ) -> Result<&'a Query<'a>> {
        let body = self.set_operations(first)?;
        let mut query = Query {
            with,
            body,
            order_by: &[],
            limit: None,
            with_ties: None,
            offset: None,
            locking: &[],
            span: self.span_from(start),
        };
        if self.is_word(Keyword::Order) {
            query.order_by = self.order_by()?;
        }
        if matches!(self.keyword(), Some(Keyword::Limit | Keyword::Offset | Keyword::Fetch | Keyword::For)) {
            self.limits_and_locking(&mut query)?;
        }
        query.span = self.span_from(start);
        match body {
            QueryBody::Query(inner) => self.around_parentheses(inner, query),
            _ => Ok(self.arena.alloc(query)),
        }
    }

    /// What stands around a query in parentheses belongs to it: `(SELECT … LIMIT 2) ORDER BY a` sorts before it
    /// limits. Nothing may stand there twice.
    #[inline(never)]
    fn around_parentheses(&mut self, inner: &'a Query<'a>, outer: Query<'a>) -> Result<&'a Query<'a>> {
        let is_bare = outer.with.is_none()
            && outer.order_by.is_empty()
            && outer.limit.is_none()
            && outer.offset.is_none()
            && outer.locking.is_empty();
        if is_bare {
            return Ok(inner);
        }
        let twice = |what: &str, span: Span| {
            let message = format!("multiple {what} clauses not allowed");
            Err(Error::new(SqlState::SYNTAX_ERROR, message).at(span.position()))
        };
        match (outer.order_by.first(), outer.with) {
            (Some(item), _) if !inner.order_by.is_empty() => return twice("ORDER BY", item.value.span),
            (_, Some(with)) if inner.with.is_some() => return twice("WITH", with.span),
            _ => {}
        }
        for (what, outer, inner) in
            [("LIMIT", outer.limit, inner.limit), ("OFFSET", outer.offset, inner.offset)]
        {
            if let (Some(expression), Some(_)) = (outer, inner) {
                return twice(what, expression.span);
            }
        }
        let mut locking = self.list();
        locking.extend(inner.locking.iter().chain(outer.locking).copied());
        Ok(self.arena.alloc(Query {
            with: outer.with.or(inner.with),
            body: inner.body,
            order_by: if outer.order_by.is_empty() { inner.order_by } else { outer.order_by },
            limit: outer.limit.or(inner.limit),
            with_ties: outer.with_ties.or(inner.with_ties),
            offset: outer.offset.or(inner.offset),
            locking: locking.into_bump_slice(),
            span: outer.span,
        }))
    }

    #[inline(never)]
    fn limits_and_locking(&mut self, query: &mut Query<'a>) -> Result<()> {
        let (mut seen_limit, mut seen_offset) = (false, false);
        let mut locking = self.list();
        loop {
            match self.keyword() {
                Some(Keyword::Limit | Keyword::Fetch) if seen_limit => return self.unexpected(),
                Some(Keyword::Limit) => {
                    self.advance();
                    seen_limit = true;
                    if !self.accept_word(Keyword::All) {
                        query.limit = Some(self.expression_reference()?);
                    }
                    if self.is(TokenKind::Comma) {
                        return Err(Error::new(SqlState::SYNTAX_ERROR, "LIMIT #,# syntax is not supported")
                            .at(self.token.start as usize)
                            .hint("Use separate LIMIT and OFFSET clauses."));
                    }
                }
                Some(Keyword::Offset) if seen_offset => return self.unexpected(),
                Some(Keyword::Offset) => {
                    self.advance();
                    seen_offset = true;
                    query.offset = Some(self.expression_reference()?);
                    if matches!(self.keyword(), Some(Keyword::Row | Keyword::Rows)) {
                        self.advance();
                    }
                }
                Some(Keyword::Fetch) => {
                    self.advance();
                    seen_limit = true;
                    self.fetch(query)?;
                }
                Some(Keyword::For) => match self.locking()? {
                    Some(clause) => locking.push(clause),
                    None => break,
                },
                _ => break,
            }
        }
        query.locking = locking.into_bump_slice();
        Ok(())
    }

    /// `FIRST|NEXT [n] ROW|ROWS ONLY|WITH TIES`.
    fn fetch(&mut self, query: &mut Query<'a>) -> Result<()> {
        if !self.accept_word(Keyword::First) {
            self.expect_word(Keyword::Next)?;
        }
        let start = self.token.start;
        query.limit = Some(if matches!(self.keyword(), Some(Keyword::Row | Keyword::Rows)) {
            let one = self.expr_from(ExprKind::Literal(Literal::Integer(1)), start);
            self.arena.alloc(one)
        } else {
            self.expression_reference()?
        });
        if !self.accept_word(Keyword::Row) {
            self.expect_word(Keyword::Rows)?;
        }
        if !self.accept_word(Keyword::Only) {
            let start = self.expect_word(Keyword::With)?.start;
            self.expect_word(Keyword::Ties)?;
            query.with_ties = Some(self.span_from(start));
        }
        Ok(())
    }

    /// FOR UPDATE and the like; `None` is FOR READ ONLY, which says nothing.
    fn locking(&mut self) -> Result<Option<Locking<'a>>> {
        let start = self.advance().start;
        let strength = match self.keyword() {
            Some(Keyword::Update) => LockingStrength::Update,
            Some(Keyword::Share) => LockingStrength::Share,
            Some(Keyword::Read) => {
                self.advance();
                self.expect_word(Keyword::Only)?;
                return Ok(None);
            }
            Some(Keyword::No) => {
                self.advance();
                self.expect_word(Keyword::Key)?;
                LockingStrength::NoKeyUpdate
            }
            Some(Keyword::Key) => {
                self.advance();
                LockingStrength::KeyShare
            }
            _ => return self.unexpected(),
        };
        match strength {
            LockingStrength::NoKeyUpdate => self.expect_word(Keyword::Update)?,
            LockingStrength::KeyShare => self.expect_word(Keyword::Share)?,
            _ => self.advance(),
        };
        let tables = if self.accept_word(Keyword::Of) { self.comma_list(Parser::object_name)? } else { &[] };
        let wait = if self.accept_word(Keyword::Nowait) {
            LockingWait::NoWait
        } else if self.accept_word(Keyword::Skip) {
            self.expect_word(Keyword::Locked)?;
            LockingWait::SkipLocked
        } else {
            LockingWait::Wait
        };
        Ok(Some(Locking { strength, tables, wait, span: self.span_from(start) }))
    }

    /// `first UNION b EXCEPT c …`; INTERSECT binds tighter.
    fn set_operations(&mut self, first: QueryBody<'a>) -> Result<QueryBody<'a>> {
        let first = self.intersections(first)?;
        if !matches!(self.keyword(), Some(Keyword::Union | Keyword::Except)) {
            return Ok(first);
        }
        let mut rest = ArenaVec::with_capacity_in(2, self.arena);
        loop {
            let operator = match self.keyword() {
                Some(Keyword::Union) => SetOperator::Union,
                Some(Keyword::Except) => SetOperator::Except,
                _ => break,
            };
            let (all, span) = self.set_operator()?;
            let part = self.query_part()?;
            let right = self.intersections(part)?;
            rest.push(SetStep { operator, all, right, span });
        }
        let rest = rest.into_bump_slice();
        Ok(QueryBody::SetOperations(self.arena.alloc(SetOperations { first, rest })))
    }

    fn intersections(&mut self, first: QueryBody<'a>) -> Result<QueryBody<'a>> {
        if !self.is_word(Keyword::Intersect) {
            return Ok(first);
        }
        let mut rest = ArenaVec::with_capacity_in(1, self.arena);
        while self.is_word(Keyword::Intersect) {
            let (all, span) = self.set_operator()?;
            let right = self.query_part()?;
            rest.push(SetStep { operator: SetOperator::Intersect, all, right, span });
        }
        let rest = rest.into_bump_slice();
        Ok(QueryBody::SetOperations(self.arena.alloc(SetOperations { first, rest })))
    }

    fn set_operator(&mut self) -> Result<(bool, crate::sql::ast::Span)> {
        let span = Parser::span_of(self.advance());
        let all = self.accept_word(Keyword::All);
        if !all {
            self.accept_word(Keyword::Distinct);
        }
        Ok((all, span))
    }

    /// An operand of set operations.
    fn query_part(&mut self) -> Result<QueryBody<'a>> {
        let start = self.token.start;
        match self.token.kind {
            TokenKind::Keyword(Keyword::Select) => Ok(QueryBody::Select(self.select()?)),
            TokenKind::Keyword(Keyword::Values) => {
                self.advance();
                let rows = self.comma_list(|parser| parser.parenthesized(Parser::expression_list))?;
                Ok(QueryBody::Values(self.arena.alloc(Values { rows, span: self.span_from(start) })))
            }
            TokenKind::Keyword(Keyword::Table) => {
                self.advance();
                let only = self.accept_word(Keyword::Only);
                let name = self.object_name()?;
                let span = self.span_from(start);
                let table = TableReference { name, only, alias: None, sample: None, span };
                Ok(QueryBody::Table(self.arena.alloc(table)))
            }
            TokenKind::LeftParenthesis => {
                self.descend(1)?;
                self.advance();
                let query = self.query()?;
                self.expect(TokenKind::RightParenthesis)?;
                self.ascend(1);
                Ok(QueryBody::Query(query))
            }
            _ => self.unexpected(),
        }
    }

    #[inline(never)]
    fn select(&mut self) -> Result<&'a Select<'a>> {
        let start = self.advance().start;
        let mut select = Select {
            distinct: None,
            items: &[],
            into: None,
            from: &[],
            filter: None,
            group_by: None,
            having: None,
            windows: &[],
            span: self.span_from(start),
        };
        if self.is_word(Keyword::Distinct) {
            select.distinct = Some(self.distinct()?);
        } else {
            self.accept_word(Keyword::All);
        }
        select.items = self.select_items(select.distinct.is_some())?;
        if self.is_word(Keyword::Into) {
            select.into = Some(self.parse_into()?);
        }
        if self.accept_word(Keyword::From) {
            select.from = self.comma_list(Parser::relation)?;
        }
        if self.accept_word(Keyword::Where) {
            select.filter = Some(self.expression_reference()?);
        }
        if matches!(self.keyword(), Some(Keyword::Group | Keyword::Having | Keyword::Window)) {
            self.grouping(&mut select)?;
        }
        select.span = self.span_from(start);
        Ok(self.arena.alloc(select))
    }

    #[inline(never)]
    fn parse_into(&mut self) -> Result<&'a Into<'a>> {
        let start = self.advance().start;
        let persistence = match self.keyword() {
            Some(Keyword::Temp | Keyword::Temporary) => Persistence::Temporary,
            Some(Keyword::Unlogged) => Persistence::Unlogged,
            _ => Persistence::Permanent,
        };
        if persistence != Persistence::Permanent {
            self.advance();
        }
        self.accept_word(Keyword::Table);
        let name = self.object_name()?;
        Ok(self.arena.alloc(Into { persistence, name, span: self.span_from(start) }))
    }

    #[inline(never)]
    fn grouping(&mut self, select: &mut Select<'a>) -> Result<()> {
        if self.is_word(Keyword::Group) {
            let span = Parser::span_of(self.advance());
            self.expect_word(Keyword::By)?;
            let distinct = self.accept_word(Keyword::Distinct);
            if !distinct {
                self.accept_word(Keyword::All);
            }
            let elements = self.comma_list(Parser::grouping_element)?;
            select.group_by = Some(GroupBy { elements, distinct, span });
        }
        if self.accept_word(Keyword::Having) {
            select.having = Some(self.expression_reference()?);
        }
        if self.accept_word(Keyword::Window) {
            select.windows = self.comma_list(|parser| {
                let name = parser.name()?;
                parser.expect_word(Keyword::As)?;
                Ok(NamedWindow { name, window: parser.window()? })
            })?;
        }
        Ok(())
    }

    fn distinct(&mut self) -> Result<Distinct<'a>> {
        let span = Parser::span_of(self.advance());
        if !self.accept_word(Keyword::On) {
            return Ok(Distinct::All { span });
        }
        let expressions = self.parenthesized(Parser::expression_list)?;
        Ok(Distinct::On { expressions, span })
    }

    /// The select list; it may be empty, but not after DISTINCT.
    fn select_items(&mut self, distinct: bool) -> Result<&'a [SelectItem<'a>]> {
        let ends = match self.token.kind {
            TokenKind::End | TokenKind::Semicolon | TokenKind::RightParenthesis => true,
            TokenKind::Keyword(keyword) => matches!(
                keyword,
                Keyword::From
                    | Keyword::Into
                    | Keyword::Where
                    | Keyword::Group
                    | Keyword::Having
                    | Keyword::Window
                    | Keyword::Union
                    | Keyword::Intersect
                    | Keyword::Except
                    | Keyword::Order
                    | Keyword::Limit
                    | Keyword::Offset
                    | Keyword::Fetch
                    | Keyword::For
            ),
            _ => false,
        };
        if ends && !distinct { Ok(&[]) } else { self.comma_list(Parser::select_item) }
    }

    pub(super) fn select_item(&mut self) -> Result<SelectItem<'a>> {
        if self.is(TokenKind::Star) {
            let span = Parser::span_of(self.advance());
            return Ok(SelectItem::Star { span });
        }
        let value = self.expression()?;
        if let ExprKind::QualifiedStar(name) = value.kind {
            return Ok(SelectItem::QualifiedStar(name));
        }
        let alias = if self.accept_word(Keyword::As) { Some(self.label()?) } else { self.bare_label()? };
        Ok(SelectItem::Expression { value, alias })
    }

    /// RETURNING; empty where there is none.
    pub(super) fn returning(&mut self) -> Result<&'a [SelectItem<'a>]> {
        if self.accept_word(Keyword::Returning) { self.comma_list(Parser::select_item) } else { Ok(&[]) }
    }

    fn grouping_element(&mut self) -> Result<GroupingElement<'a>> {
        let start = self.token.start;
        let opens = self.peek().kind == TokenKind::LeftParenthesis;
        let kind = self.token.kind;
        match kind {
            TokenKind::Keyword(Keyword::Rollup) if opens => {
                let expressions = self.grouping_arguments()?;
                Ok(GroupingElement::Rollup { expressions, span: self.span_from(start) })
            }
            TokenKind::Keyword(Keyword::Cube) if opens => {
                let expressions = self.grouping_arguments()?;
                Ok(GroupingElement::Cube { expressions, span: self.span_from(start) })
            }
            TokenKind::Keyword(Keyword::Grouping) if self.peek_keyword() == Some(Keyword::Sets) => {
                self.advance();
                self.advance();
                self.descend(2)?;
                let elements = self.parenthesized(|parser| parser.comma_list(Parser::grouping_element))?;
                self.ascend(2);
                Ok(GroupingElement::Sets { elements, span: self.span_from(start) })
            }
            TokenKind::LeftParenthesis if self.peek().kind == TokenKind::RightParenthesis => {
                self.advance();
                self.advance();
                Ok(GroupingElement::Empty { span: self.span_from(start) })
            }
            _ => Ok(GroupingElement::Expression(self.expression()?)),
        }
    }

    fn grouping_arguments(&mut self) -> Result<&'a [Expr<'a>]> {
        self.advance();
        self.parenthesized(Parser::expression_list)
    }

    /// ORDER BY.
    pub(super) fn order_by(&mut self) -> Result<&'a [OrderItem<'a>]> {
        self.expect_word(Keyword::Order)?;
        self.expect_word(Keyword::By)?;
        self.comma_list(Parser::order_item)
    }

    fn order_item(&mut self) -> Result<OrderItem<'a>> {
        let value = self.expression()?;
        let mut using = None;
        if self.accept_word(Keyword::Using) {
            let operator = self.any_operator()?;
            using = Some(crate::sql::ast::Name { text: operator.symbol, span: operator.span });
        }
        let descending = using.is_none() && self.descending();
        let nulls_first = self.nulls_first()?;
        Ok(OrderItem { value, descending, nulls_first, using })
    }

    /// ASC or DESC, where one follows; whether it was DESC.
    pub(super) fn descending(&mut self) -> bool {
        let descending = self.accept_word(Keyword::Desc);
        if !descending {
            self.accept_word(Keyword::Asc);
        }
        descending
    }

    /// NULLS FIRST / LAST, where it follows.
    pub(super) fn nulls_first(&mut self) -> Result<Option<bool>> {
        if !self.accept_word(Keyword::Nulls) {
            return Ok(None);
        }
        let first = self.accept_word(Keyword::First);
        if !first {
            self.expect_word(Keyword::Last)?;
        }
        Ok(Some(first))
    }

    /// WITH.
    #[inline(never)]
    pub(super) fn with(&mut self) -> Result<&'a With<'a>> {
        let span = Parser::span_of(self.advance());
        let recursive = self.accept_word(Keyword::Recursive);
        let tables = self.comma_list(Parser::common_table)?;
        Ok(self.arena.alloc(With { recursive, tables, span }))
    }

    fn common_table(&mut self) -> Result<CommonTable<'a>> {
        let start = self.token.start;
        let name = self.name()?;
        let columns = self.optional_name_list()?;
        self.expect_word(Keyword::As)?;
        let materialized = if self.accept_word(Keyword::Materialized) {
            Some(true)
        } else if self.accept_words(Keyword::Not, Keyword::Materialized) {
            Some(false)
        } else {
            None
        };
        let statement = self.parenthesized(Parser::preparable)?;
        self.refuse_search_and_cycle()?;
        Ok(CommonTable { name, columns, materialized, statement, span: self.span_from(start) })
    }

    fn refuse_search_and_cycle(&mut self) -> Result<()> {
        let what = match self.keyword() {
            Some(Keyword::Search) => "SEARCH",
            Some(Keyword::Cycle) => "CYCLE",
            _ => return Ok(()),
        };
        Err(Error::not_supported(what).at(self.token.start as usize))
    }

    /// SELECT, INSERT, UPDATE, DELETE or MERGE, with WITH.
    pub(super) fn preparable(&mut self) -> Result<Statement<'a>> {
        self.descend(3)?;
        let start = self.token.start;
        let with = if self.is_word(Keyword::With) { Some(self.with()?) } else { None };
        let statement = match self.keyword() {
            Some(Keyword::Insert) => self.insert(with, start)?,
            Some(Keyword::Update) => self.update(with, start)?,
            Some(Keyword::Delete) => self.delete(with, start)?,
            Some(Keyword::Merge) => self.merge(with, start)?,
            _ => Statement::Query(self.query_after_with(with, start)?),
        };
        self.ascend(3);
        Ok(statement)
    }
}

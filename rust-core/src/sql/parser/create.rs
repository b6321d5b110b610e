//! CREATE TABLE, INDEX, VIEW, SEQUENCE, SCHEMA, with columns and constraints.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Statement;
use crate::sql::ast::define::{
    ColumnConstraint, ColumnConstraintKind, ColumnDefinition, CreateIndex, CreateSchema, CreateSequence,
    CreateTable, CreateTableAs, CreateView, Deferral, IndexElement, IndexOptions, LikeOptions, Matching,
    OnCommit, OptionValue, Persistence, References, ReferentialAction, SequenceOption, SequenceOptionKind,
    StorageOption, TableConstraint, TableConstraintKind, TableElement, TableOptions, TableSource,
};
use crate::sql::ast::expression::Literal;
use crate::sql::ast::{Name, ObjectName};
use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::Keyword;
use crate::sql::parser::cursor::Parser;

impl<'a> Parser<'a> {
    #[inline(never)]
    pub(super) fn create(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let or_replace = self.accept_words(Keyword::Or, Keyword::Replace);
        if matches!(self.keyword(), Some(Keyword::Global | Keyword::Local)) {
            self.advance();
        }
        let persistence = match self.keyword() {
            Some(Keyword::Temporary | Keyword::Temp) => Persistence::Temporary,
            Some(Keyword::Unlogged) => Persistence::Unlogged,
            _ => Persistence::Permanent,
        };
        if persistence != Persistence::Permanent {
            self.advance();
        }
        let plain = persistence == Persistence::Permanent && !or_replace;
        match self.keyword() {
            Some(Keyword::Table) if !or_replace => self.create_table(persistence, start),
            Some(Keyword::View | Keyword::Recursive) if persistence != Persistence::Unlogged => {
                self.create_view(or_replace, persistence, start)
            }
            Some(Keyword::Materialized) if plain => {
                self.advance();
                self.expect_word(Keyword::View)?;
                let if_not_exists = self.if_not_exists()?;
                let name = self.object_name()?;
                let columns = self.optional_name_list()?;
                let options = self.table_options()?;
                self.create_table_as(persistence, true, if_not_exists, name, columns, options, start)
            }
            Some(Keyword::Sequence) if !or_replace => self.create_sequence(persistence, start),
            Some(Keyword::Unique | Keyword::Index) if plain => self.create_index(start),
            Some(Keyword::Schema) if plain => {
                self.advance();
                let if_not_exists = self.if_not_exists()?;
                let name = self.name()?;
                let span = self.span_from(start);
                Ok(Statement::CreateSchema(self.arena.alloc(CreateSchema { if_not_exists, name, span })))
            }
            Some(Keyword::Trigger) if persistence == Persistence::Permanent => {
                let refused = self.refuse_object("CREATE", start);
                self.advance();
                self.name()?;
                match self.keyword() {
                    Some(Keyword::Before | Keyword::After | Keyword::Instead) => refused,
                    _ => self.unexpected(),
                }
            }
            Some(
                Keyword::Function
                | Keyword::Procedure
                | Keyword::Constraint
                | Keyword::Aggregate
                | Keyword::Rule
                | Keyword::Language
                | Keyword::Trusted
                | Keyword::Procedural
                | Keyword::Transform,
            ) if persistence == Persistence::Permanent => self.refuse_object("CREATE", start),
            Some(
                Keyword::Type
                | Keyword::Domain
                | Keyword::Extension
                | Keyword::Role
                | Keyword::User
                | Keyword::Group
                | Keyword::Database
                | Keyword::Tablespace
                | Keyword::Policy
                | Keyword::Collation
                | Keyword::Conversion
                | Keyword::Cast
                | Keyword::Operator
                | Keyword::Server
                | Keyword::Foreign
                | Keyword::Publication
                | Keyword::Subscription
                | Keyword::Statistics
                | Keyword::Event
                | Keyword::Text
                | Keyword::Access,
            ) if plain => self.refuse_object("CREATE", start),
            _ => self.unexpected(),
        }
    }

    /// `0A000` for a kind of object that has no grammar here; the current token names it.
    pub(super) fn refuse_object<T>(&self, verb: &str, start: u32) -> Result<T> {
        let object = self.token_text(self.token).to_uppercase();
        Err(Error::not_supported(format_args!("{verb} {object}")).at(start as usize))
    }

    fn create_table(&mut self, persistence: Persistence, start: u32) -> Result<Statement<'a>> {
        self.advance();
        let if_not_exists = self.if_not_exists()?;
        let name = self.object_name()?;
        if self.is_words(Keyword::Partition, Keyword::Of) {
            return Err(Error::not_supported("PARTITION OF").at(self.token.start as usize));
        }
        if self.is_word(Keyword::Of) {
            return Err(Error::not_supported("CREATE TABLE OF").at(self.token.start as usize));
        }
        if !self.is(TokenKind::LeftParenthesis) {
            let options = self.table_options()?;
            return self.create_table_as(persistence, false, if_not_exists, name, &[], options, start);
        }
        self.advance();
        let mut elements = self.list();
        let mut only_names = true;
        if !self.is(TokenKind::RightParenthesis) {
            loop {
                let bare = Parser::is_name(self.token)
                    && matches!(self.peek().kind, TokenKind::Comma | TokenKind::RightParenthesis);
                if bare && only_names {
                    return self.table_as_with_columns(persistence, if_not_exists, name, start);
                }
                only_names = false;
                elements.push(self.table_element()?);
                if !self.accept(TokenKind::Comma) {
                    break;
                }
            }
        }
        self.expect(TokenKind::RightParenthesis)?;
        let options = self.table_options()?;
        let span = self.span_from(start);
        Ok(Statement::CreateTable(self.arena.alloc(CreateTable {
            persistence,
            if_not_exists,
            name,
            elements: elements.into_bump_slice(),
            options,
            span,
        })))
    }

    /// `CREATE TABLE t (a, b) AS …`, after the parenthesis.
    fn table_as_with_columns(
        &mut self,
        persistence: Persistence,
        if_not_exists: bool,
        name: ObjectName<'a>,
        start: u32,
    ) -> Result<Statement<'a>> {
        let columns = self.comma_list(Parser::name)?;
        self.expect(TokenKind::RightParenthesis)?;
        let options = self.table_options()?;
        self.create_table_as(persistence, false, if_not_exists, name, columns, options, start)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one statement, in its order")]
    fn create_table_as(
        &mut self,
        persistence: Persistence,
        materialized_view: bool,
        if_not_exists: bool,
        name: ObjectName<'a>,
        columns: &'a [Name<'a>],
        options: TableOptions<'a>,
        start: u32,
    ) -> Result<Statement<'a>> {
        self.expect_word(Keyword::As)?;
        let source = if self.is_word(Keyword::Execute) && !materialized_view {
            TableSource::Execute(self.execute_call()?)
        } else {
            TableSource::Query(self.query()?)
        };
        let mut with_data = true;
        if self.accept_word(Keyword::With) {
            with_data = !self.accept_word(Keyword::No);
            self.expect_word(Keyword::Data)?;
        }
        let span = self.span_from(start);
        Ok(Statement::CreateTableAs(self.arena.alloc(CreateTableAs {
            persistence,
            materialized_view,
            if_not_exists,
            name,
            columns,
            options,
            source,
            with_data,
            span,
        })))
    }

    fn table_options(&mut self) -> Result<TableOptions<'a>> {
        let mut options = TableOptions::default();
        if self.is_word(Keyword::Inherits) {
            let start = self.advance().start;
            self.parenthesized(|parser| parser.comma_list(Parser::object_name))?;
            options.inherits = Some(self.span_from(start));
        }
        if self.is_word(Keyword::Partition) {
            let start = self.advance().start;
            self.expect_word(Keyword::By)?;
            self.label()?;
            self.parenthesized(|parser| {
                parser.comma_list(|parser| {
                    parser.index_expression()?;
                    parser.collation_and_class()
                })
            })?;
            options.partition = Some(self.span_from(start));
        }
        if self.accept_word(Keyword::Using) {
            options.method = Some(self.name()?);
        }
        if self.is_word(Keyword::With) && self.peek().kind == TokenKind::LeftParenthesis {
            self.advance();
            options.storage = self.storage_options()?;
        } else if self.is_word(Keyword::Without) && !matches!(self.peek_keyword(), Some(Keyword::Time)) {
            self.advance();
            if !self.is_identifier("oids") {
                self.expect_word(Keyword::Oids)?;
            }
        }
        if self.is_words(Keyword::On, Keyword::Commit) {
            let start = self.advance().start;
            self.advance();
            let action = match self.keyword() {
                Some(Keyword::Drop) => {
                    self.advance();
                    OnCommit::Drop
                }
                Some(word @ (Keyword::Preserve | Keyword::Delete)) => {
                    self.advance();
                    self.expect_word(Keyword::Rows)?;
                    if word == Keyword::Delete { OnCommit::DeleteRows } else { OnCommit::PreserveRows }
                }
                _ => return self.unexpected(),
            };
            options.on_commit = Some((action, self.span_from(start)));
        }
        if self.accept_word(Keyword::Tablespace) {
            options.tablespace = Some(self.name()?);
        }
        Ok(options)
    }

    /// `(name [= value], …)`.
    pub(super) fn storage_options(&mut self) -> Result<&'a [StorageOption<'a>]> {
        self.parenthesized(|parser| {
            parser.comma_list(|parser| {
                let first = parser.label()?;
                let name = parser.qualified_from(first)?;
                let value = if parser.accept(TokenKind::Equal) { Some(parser.option_value()?) } else { None };
                Ok(StorageOption { name, value })
            })
        })
    }

    /// A constant, a word, `*` or a list of names.
    pub(super) fn option_value(&mut self) -> Result<OptionValue<'a>> {
        match self.token.kind {
            TokenKind::Star => {
                self.advance();
                Ok(OptionValue::Star)
            }
            TokenKind::LeftParenthesis => Ok(OptionValue::Names(self.name_list()?)),
            TokenKind::Keyword(Keyword::True) => {
                self.advance();
                Ok(OptionValue::Literal(Literal::Boolean(true)))
            }
            TokenKind::Keyword(Keyword::False) => {
                self.advance();
                Ok(OptionValue::Literal(Literal::Boolean(false)))
            }
            TokenKind::Keyword(_) | TokenKind::Identifier | TokenKind::QuotedIdentifier => {
                Ok(OptionValue::Name(self.label()?))
            }
            _ => Ok(OptionValue::Literal(self.signed_constant()?)),
        }
    }

    fn table_element(&mut self) -> Result<TableElement<'a>> {
        let start = self.token.start;
        match self.keyword() {
            Some(Keyword::Like) => {
                self.advance();
                let table = self.object_name()?;
                let options = self.like_options()?;
                Ok(TableElement::Like { table, options, span: self.span_from(start) })
            }
            Some(
                Keyword::Constraint | Keyword::Check | Keyword::Unique | Keyword::Primary | Keyword::Foreign,
            ) => Ok(TableElement::Constraint(self.table_constraint()?)),
            Some(Keyword::Exclude)
                if matches!(
                    self.peek().kind,
                    TokenKind::LeftParenthesis | TokenKind::Keyword(Keyword::Using)
                ) =>
            {
                Ok(TableElement::Constraint(self.table_constraint()?))
            }
            _ => Ok(TableElement::Column(self.column_definition()?)),
        }
    }

    /// `INCLUDING what`, `EXCLUDING what`, one after the other.
    fn like_options(&mut self) -> Result<LikeOptions> {
        let mut options = LikeOptions::default();
        while let Some(keyword @ (Keyword::Including | Keyword::Excluding)) = self.keyword() {
            self.advance();
            let wanted = keyword == Keyword::Including;
            let token = self.token;
            if token.kind == TokenKind::End {
                return self.unexpected();
            }
            match self.label()?.text {
                "all" => {
                    options = LikeOptions {
                        constraints: wanted,
                        defaults: wanted,
                        identity: wanted,
                        indexes: wanted,
                    };
                }
                "constraints" => options.constraints = wanted,
                "defaults" => options.defaults = wanted,
                "identity" => options.identity = wanted,
                "indexes" => options.indexes = wanted,
                "comments" | "compression" | "generated" | "statistics" | "storage" => {}
                other => {
                    let message = format!("syntax error at or near \"{other}\"");
                    return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(token.start as usize));
                }
            }
        }
        Ok(options)
    }

    pub(super) fn column_definition(&mut self) -> Result<ColumnDefinition<'a>> {
        let start = self.token.start;
        let name = self.name()?;
        let type_name = self.type_name()?;
        let mut collation = None;
        let mut constraints = self.list();
        loop {
            if self.is_word(Keyword::Collate) && collation.is_none() {
                self.advance();
                let first = self.name()?;
                collation = Some(self.qualified_from(first)?);
                continue;
            }
            match self.column_constraint()? {
                Some(constraint) => constraints.push(constraint),
                None => break,
            }
        }
        let constraints = constraints.into_bump_slice();
        Ok(ColumnDefinition { name, type_name, collation, constraints, span: self.span_from(start) })
    }

    fn column_constraint(&mut self) -> Result<Option<ColumnConstraint<'a>>> {
        let start = self.token.start;
        let name = if self.accept_word(Keyword::Constraint) { Some(self.name()?) } else { None };
        let kind = match self.keyword() {
            Some(Keyword::Not) if self.peek_keyword() == Some(Keyword::Null) => {
                self.advance();
                self.advance();
                ColumnConstraintKind::NotNull
            }
            Some(Keyword::Null) => {
                self.advance();
                ColumnConstraintKind::Null
            }
            Some(Keyword::Default) => {
                self.advance();
                ColumnConstraintKind::Default(self.restricted_expression()?)
            }
            Some(Keyword::Check) => {
                self.advance();
                let condition = self.parenthesized(Parser::expression)?;
                let no_inherit = self.accept_words(Keyword::No, Keyword::Inherit);
                ColumnConstraintKind::Check { condition, no_inherit }
            }
            Some(Keyword::Primary) => {
                self.advance();
                self.expect_word(Keyword::Key)?;
                ColumnConstraintKind::PrimaryKey(self.index_options()?)
            }
            Some(Keyword::Unique) => {
                self.advance();
                let nulls_not_distinct = self.nulls_not_distinct()?;
                ColumnConstraintKind::Unique { nulls_not_distinct, options: self.index_options()? }
            }
            Some(Keyword::References) => ColumnConstraintKind::References(self.references()?),
            Some(Keyword::Generated) => self.generated()?,
            _ if name.is_some() => return self.unexpected(),
            _ => return Ok(None),
        };
        let deferral = self.deferral(false)?;
        Ok(Some(ColumnConstraint { name, kind, deferral, span: self.span_from(start) }))
    }

    fn generated(&mut self) -> Result<ColumnConstraintKind<'a>> {
        self.advance();
        let always = self.accept_word(Keyword::Always);
        if !always {
            self.expect_word(Keyword::By)?;
            self.expect_word(Keyword::Default)?;
        }
        self.expect_word(Keyword::As)?;
        if always && self.is(TokenKind::LeftParenthesis) {
            let expression = self.parenthesized(Parser::expression)?;
            self.expect_word(Keyword::Stored)?;
            return Ok(ColumnConstraintKind::Generated(expression));
        }
        self.expect_word(Keyword::Identity)?;
        let options = if self.accept(TokenKind::LeftParenthesis) {
            let options = self.sequence_options()?;
            self.expect(TokenKind::RightParenthesis)?;
            options
        } else {
            &[]
        };
        Ok(ColumnConstraintKind::Identity { always, options })
    }

    fn nulls_not_distinct(&mut self) -> Result<bool> {
        if !self.accept_word(Keyword::Nulls) {
            return Ok(false);
        }
        let not_distinct = self.accept_word(Keyword::Not);
        self.expect_word(Keyword::Distinct)?;
        Ok(not_distinct)
    }

    /// INCLUDE, WITH (…), USING INDEX TABLESPACE.
    fn index_options(&mut self) -> Result<IndexOptions<'a>> {
        let mut options = IndexOptions::default();
        if self.accept_word(Keyword::Include) {
            options.include = self.name_list()?;
        }
        if self.is_word(Keyword::With) && self.peek().kind == TokenKind::LeftParenthesis {
            self.advance();
            options.storage = self.storage_options()?;
        }
        if self.accept_words(Keyword::Using, Keyword::Index) {
            self.expect_word(Keyword::Tablespace)?;
            options.tablespace = Some(self.name()?);
        }
        Ok(options)
    }

    fn deferral(&mut self, may_be_not_valid: bool) -> Result<Deferral> {
        let mut deferral = Deferral::default();
        loop {
            let token = self.token;
            if self.accept_word(Keyword::Deferrable) {
                deferral.deferrable = Some(true);
            } else if self.accept_words(Keyword::Not, Keyword::Deferrable) {
                deferral.deferrable = Some(false);
            } else if self.accept_word(Keyword::Initially) {
                let deferred = self.accept_word(Keyword::Deferred);
                if !deferred {
                    self.expect_word(Keyword::Immediate)?;
                }
                deferral.initially_deferred = Some(deferred);
            } else if may_be_not_valid && self.accept_words(Keyword::Not, Keyword::Valid) {
                deferral.not_valid = true;
            } else {
                return Ok(deferral);
            }
            deferral.span.get_or_insert(Parser::span_of(token));
        }
    }

    fn references(&mut self) -> Result<References<'a>> {
        let start = self.advance().start;
        let table = self.object_name()?;
        let columns = self.optional_name_list()?;
        let mut references = References {
            table,
            columns,
            matching: Matching::Simple,
            on_delete: ReferentialAction::NoAction,
            on_update: ReferentialAction::NoAction,
            span: self.span_from(start),
        };
        if self.accept_word(Keyword::Match) {
            references.matching = match self.keyword() {
                Some(Keyword::Full) => Matching::Full,
                Some(Keyword::Partial) => Matching::Partial,
                Some(Keyword::Simple) => Matching::Simple,
                _ => return self.unexpected(),
            };
            self.advance();
        }
        while self.accept_word(Keyword::On) {
            if self.accept_word(Keyword::Delete) {
                references.on_delete = self.referential_action()?;
            } else {
                self.expect_word(Keyword::Update)?;
                references.on_update = self.referential_action()?;
            }
        }
        references.span = self.span_from(start);
        Ok(references)
    }

    fn referential_action(&mut self) -> Result<ReferentialAction<'a>> {
        if self.accept_words(Keyword::No, Keyword::Action) {
            return Ok(ReferentialAction::NoAction);
        }
        if self.accept_word(Keyword::Restrict) {
            return Ok(ReferentialAction::Restrict);
        }
        if self.accept_word(Keyword::Cascade) {
            return Ok(ReferentialAction::Cascade);
        }
        self.expect_word(Keyword::Set)?;
        let null = self.accept_word(Keyword::Null);
        if !null {
            self.expect_word(Keyword::Default)?;
        }
        let columns = self.optional_name_list()?;
        Ok(if null { ReferentialAction::SetNull(columns) } else { ReferentialAction::SetDefault(columns) })
    }

    pub(super) fn table_constraint(&mut self) -> Result<TableConstraint<'a>> {
        let start = self.token.start;
        let name = if self.accept_word(Keyword::Constraint) { Some(self.name()?) } else { None };
        let kind = match self.keyword() {
            Some(Keyword::Check) => {
                self.advance();
                let condition = self.parenthesized(Parser::expression)?;
                let no_inherit = self.accept_words(Keyword::No, Keyword::Inherit);
                TableConstraintKind::Check { condition, no_inherit }
            }
            Some(word @ (Keyword::Primary | Keyword::Unique)) => {
                self.advance();
                let primary = word == Keyword::Primary;
                if primary {
                    self.expect_word(Keyword::Key)?;
                }
                let nulls_not_distinct = !primary && self.nulls_not_distinct()?;
                if self.accept_words(Keyword::Using, Keyword::Index) {
                    TableConstraintKind::UsingIndex { primary, index: self.name()? }
                } else {
                    let columns = self.name_list()?;
                    let options = self.index_options()?;
                    if primary {
                        TableConstraintKind::PrimaryKey { columns, options }
                    } else {
                        TableConstraintKind::Unique { columns, nulls_not_distinct, options }
                    }
                }
            }
            Some(Keyword::Foreign) => {
                self.advance();
                self.expect_word(Keyword::Key)?;
                let columns = self.name_list()?;
                if !self.is_word(Keyword::References) {
                    return self.unexpected();
                }
                TableConstraintKind::ForeignKey { columns, references: self.references()? }
            }
            Some(Keyword::Exclude) => {
                self.advance();
                let method = if self.accept_word(Keyword::Using) { Some(self.name()?) } else { None };
                let elements = self.parenthesized(|parser| {
                    parser.comma_list(|parser| {
                        let element = parser.index_element()?;
                        parser.expect_word(Keyword::With)?;
                        Ok((element, parser.any_operator()?))
                    })
                })?;
                self.index_options()?;
                let filter = if self.accept_word(Keyword::Where) {
                    let condition = self.parenthesized(Parser::expression)?;
                    Some(&*self.arena.alloc(condition))
                } else {
                    None
                };
                TableConstraintKind::Exclude { method, elements, filter }
            }
            _ => return self.unexpected(),
        };
        let deferral = self.deferral(true)?;
        Ok(TableConstraint { name, kind, deferral, span: self.span_from(start) })
    }

    fn create_index(&mut self, start: u32) -> Result<Statement<'a>> {
        let unique = self.accept_word(Keyword::Unique);
        self.expect_word(Keyword::Index)?;
        let concurrently =
            if self.is_word(Keyword::Concurrently) { Some(Parser::span_of(self.advance())) } else { None };
        let if_not_exists = self.if_not_exists()?;
        let name = if self.is_word(Keyword::On) && !if_not_exists { None } else { Some(self.name()?) };
        self.expect_word(Keyword::On)?;
        let only = self.accept_word(Keyword::Only);
        let table = self.object_name()?;
        let method = if self.accept_word(Keyword::Using) { Some(self.name()?) } else { None };
        let elements = self.parenthesized(|parser| parser.comma_list(Parser::index_element))?;
        let mut options = IndexOptions::default();
        if self.accept_word(Keyword::Include) {
            options.include = self.name_list()?;
        }
        let nulls_not_distinct = self.nulls_not_distinct()?;
        if self.accept_word(Keyword::With) {
            options.storage = self.storage_options()?;
        }
        if self.accept_word(Keyword::Tablespace) {
            options.tablespace = Some(self.name()?);
        }
        let filter = if self.accept_word(Keyword::Where) { Some(self.expression_reference()?) } else { None };
        let span = self.span_from(start);
        Ok(Statement::CreateIndex(self.arena.alloc(CreateIndex {
            unique,
            concurrently,
            if_not_exists,
            name,
            only,
            table,
            method,
            elements,
            nulls_not_distinct,
            options,
            filter,
            span,
        })))
    }

    fn index_element(&mut self) -> Result<IndexElement<'a>> {
        let value = self.index_expression()?;
        let (collation, operator_class) = self.collation_and_class()?;
        if operator_class.is_some() && self.is(TokenKind::LeftParenthesis) {
            self.storage_options()?;
        }
        let descending = self.descending();
        let nulls_first = self.nulls_first()?;
        Ok(IndexElement { value, collation, operator_class, descending, nulls_first })
    }

    fn create_view(
        &mut self,
        or_replace: bool,
        persistence: Persistence,
        start: u32,
    ) -> Result<Statement<'a>> {
        let recursive = self.accept_word(Keyword::Recursive);
        self.expect_word(Keyword::View)?;
        let name = self.object_name()?;
        let columns = if recursive { self.name_list()? } else { self.optional_name_list()? };
        let options = if self.accept_word(Keyword::With) { self.storage_options()? } else { &[] };
        self.expect_word(Keyword::As)?;
        let query = self.query()?;
        let check_option = if self.is_word(Keyword::With) {
            let with = self.advance().start;
            if matches!(self.keyword(), Some(Keyword::Cascaded | Keyword::Local)) {
                self.advance();
            }
            self.expect_word(Keyword::Check)?;
            self.expect_word(Keyword::Option)?;
            Some(self.span_from(with))
        } else {
            None
        };
        let span = self.span_from(start);
        Ok(Statement::CreateView(self.arena.alloc(CreateView {
            or_replace,
            persistence,
            recursive,
            name,
            columns,
            options,
            query,
            check_option,
            span,
        })))
    }

    fn create_sequence(&mut self, persistence: Persistence, start: u32) -> Result<Statement<'a>> {
        self.advance();
        let if_not_exists = self.if_not_exists()?;
        let name = self.object_name()?;
        let options = self.sequence_options()?;
        let span = self.span_from(start);
        Ok(Statement::CreateSequence(self.arena.alloc(CreateSequence {
            persistence,
            if_not_exists,
            name,
            options,
            span,
        })))
    }

    pub(super) fn sequence_options(&mut self) -> Result<&'a [SequenceOption<'a>]> {
        let mut options = self.list();
        while let Some(word) = self.keyword() {
            let start = self.token.start;
            let kind = match word {
                Keyword::As => {
                    self.advance();
                    SequenceOptionKind::Type(self.type_name()?)
                }
                Keyword::Increment => {
                    self.advance();
                    self.accept_word(Keyword::By);
                    SequenceOptionKind::Increment(self.signed_integer()?)
                }
                Keyword::Minvalue => {
                    self.advance();
                    SequenceOptionKind::MinValue(Some(self.signed_integer()?))
                }
                Keyword::Maxvalue => {
                    self.advance();
                    SequenceOptionKind::MaxValue(Some(self.signed_integer()?))
                }
                Keyword::Start => {
                    self.advance();
                    self.accept_word(Keyword::With);
                    SequenceOptionKind::Start(self.signed_integer()?)
                }
                Keyword::Restart => {
                    self.advance();
                    let with = self.accept_word(Keyword::With);
                    let number = with
                        || matches!(self.token.kind, TokenKind::Integer | TokenKind::Minus | TokenKind::Plus);
                    SequenceOptionKind::Restart(if number { Some(self.signed_integer()?) } else { None })
                }
                Keyword::Cache => {
                    self.advance();
                    SequenceOptionKind::Cache(self.signed_integer()?)
                }
                Keyword::Cycle => {
                    self.advance();
                    SequenceOptionKind::Cycle(true)
                }
                Keyword::No => {
                    self.advance();
                    let kind = match self.keyword() {
                        Some(Keyword::Minvalue) => SequenceOptionKind::MinValue(None),
                        Some(Keyword::Maxvalue) => SequenceOptionKind::MaxValue(None),
                        Some(Keyword::Cycle) => SequenceOptionKind::Cycle(false),
                        _ => return self.unexpected(),
                    };
                    self.advance();
                    kind
                }
                Keyword::Owned => {
                    self.advance();
                    self.expect_word(Keyword::By)?;
                    if self.accept_word(Keyword::None) {
                        SequenceOptionKind::OwnedBy(None)
                    } else {
                        SequenceOptionKind::OwnedBy(Some(self.object_name()?))
                    }
                }
                Keyword::Sequence => {
                    self.advance();
                    self.expect_word(Keyword::Name)?;
                    SequenceOptionKind::SequenceName(self.object_name()?)
                }
                _ => break,
            };
            options.push(SequenceOption { kind, span: self.span_from(start) });
        }
        Ok(options.into_bump_slice())
    }
}

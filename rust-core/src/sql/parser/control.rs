//! Transactions, settings, prepared statements, maintenance.

use crate::error::{Error, Result};
use crate::sql::ast::control::{
    Analyze, Comment, Copy, CopySource, CopyTarget, Deallocate, Discard, DiscardKind, Execute, Explain,
    Isolation, LockTable, MaintenanceTarget, Notify, Prepare, Reindex, ReindexKind, Set, SetValue,
    SettingValue, Show, TransactionControl, TransactionKind, TransactionModes, UtilityOption, Vacuum,
};
use crate::sql::ast::define::{ObjectKind, OptionValue};
use crate::sql::ast::expression::Literal;
use crate::sql::ast::{Name, ObjectName, Span, Statement};
use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::Keyword;
use crate::sql::parser::cursor::Parser;

impl<'a> Parser<'a> {
    pub(super) fn transaction_statement(&mut self, keyword: Keyword) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let kind = match keyword {
            Keyword::Begin => {
                self.work();
                TransactionKind::Begin(self.transaction_modes()?)
            }
            Keyword::Start => {
                self.expect_word(Keyword::Transaction)?;
                TransactionKind::Begin(self.transaction_modes()?)
            }
            Keyword::Savepoint => TransactionKind::Savepoint(self.name()?),
            Keyword::Release => {
                self.accept_word(Keyword::Savepoint);
                TransactionKind::Release(self.name()?)
            }
            Keyword::Commit | Keyword::End => {
                if keyword == Keyword::Commit && self.accept_word(Keyword::Prepared) {
                    self.string()?;
                    TransactionKind::TwoPhase
                } else {
                    self.work();
                    TransactionKind::Commit { chain: self.chain()? }
                }
            }
            _ => {
                if keyword == Keyword::Rollback && self.accept_word(Keyword::Prepared) {
                    self.string()?;
                    TransactionKind::TwoPhase
                } else {
                    self.work();
                    if keyword == Keyword::Rollback && self.accept_word(Keyword::To) {
                        self.accept_word(Keyword::Savepoint);
                        TransactionKind::RollbackTo(self.name()?)
                    } else {
                        TransactionKind::Rollback { chain: self.chain()? }
                    }
                }
            }
        };
        Ok(self.transaction_control(kind, start))
    }

    fn transaction_control(&self, kind: TransactionKind<'a>, start: u32) -> Statement<'a> {
        let span = self.span_from(start);
        Statement::Transaction(self.arena.alloc(TransactionControl { kind, span }))
    }

    fn work(&mut self) {
        if !self.accept_word(Keyword::Work) {
            self.accept_word(Keyword::Transaction);
        }
    }

    fn chain(&mut self) -> Result<bool> {
        if !self.accept_word(Keyword::And) {
            return Ok(false);
        }
        let no = self.accept_word(Keyword::No);
        self.expect_word(Keyword::Chain)?;
        Ok(!no)
    }

    fn transaction_modes(&mut self) -> Result<TransactionModes> {
        let mut modes = TransactionModes::default();
        loop {
            let start = self.token.start;
            match self.keyword() {
                Some(Keyword::Isolation) => {
                    self.advance();
                    self.expect_word(Keyword::Level)?;
                    let isolation = self.isolation()?;
                    modes.isolation = Some((isolation, self.span_from(start)));
                }
                Some(Keyword::Read) => {
                    self.advance();
                    let only = self.accept_word(Keyword::Only);
                    if !only {
                        self.expect_word(Keyword::Write)?;
                    }
                    modes.read_only = Some(only);
                }
                Some(Keyword::Deferrable) => {
                    self.advance();
                    modes.deferrable = Some(true);
                }
                Some(Keyword::Not) => {
                    self.advance();
                    self.expect_word(Keyword::Deferrable)?;
                    modes.deferrable = Some(false);
                }
                _ => return Ok(modes),
            }
            if self.is(TokenKind::Comma) {
                self.advance();
                if !matches!(
                    self.keyword(),
                    Some(Keyword::Isolation | Keyword::Read | Keyword::Deferrable | Keyword::Not)
                ) {
                    return self.unexpected();
                }
            }
        }
    }

    fn isolation(&mut self) -> Result<Isolation> {
        if self.accept_word(Keyword::Serializable) {
            return Ok(Isolation::Serializable);
        }
        if self.accept_word(Keyword::Repeatable) {
            self.expect_word(Keyword::Read)?;
            return Ok(Isolation::RepeatableRead);
        }
        self.expect_word(Keyword::Read)?;
        if self.accept_word(Keyword::Committed) {
            return Ok(Isolation::ReadCommitted);
        }
        self.expect_word(Keyword::Uncommitted)?;
        Ok(Isolation::ReadUncommitted)
    }

    /// At least one mode.
    fn required_modes(&mut self) -> Result<TransactionModes> {
        let before = self.token.start;
        let modes = self.transaction_modes()?;
        if self.token.start == before { self.unexpected() } else { Ok(modes) }
    }

    #[inline(never)]
    pub(super) fn set(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        if self.accept_word(Keyword::Transaction) {
            if self.is_word(Keyword::Snapshot) {
                return Err(Error::not_supported("SET TRANSACTION SNAPSHOT").at(self.token.start as usize));
            }
            let modes = self.required_modes()?;
            return Ok(self.transaction_control(TransactionKind::SetTransaction(modes), start));
        }
        if self.is_word(Keyword::Constraints) && self.peek().kind != TokenKind::Equal {
            self.advance();
            let names: &[ObjectName<'a>] =
                if self.accept_word(Keyword::All) { &[] } else { self.comma_list(Parser::object_name)? };
            let deferred = self.accept_word(Keyword::Deferred);
            if !deferred {
                self.expect_word(Keyword::Immediate)?;
            }
            return Ok(self.transaction_control(TransactionKind::SetConstraints { names, deferred }, start));
        }
        // LOCAL and SESSION are names of settings where a value follows at once.
        let is_scope =
            |kind| !matches!(kind, TokenKind::Equal | TokenKind::Dot | TokenKind::Keyword(Keyword::To));
        let mut local = false;
        match self.keyword() {
            Some(Keyword::Local) if is_scope(self.peek().kind) => {
                self.advance();
                local = true;
            }
            Some(Keyword::Session) if is_scope(self.peek().kind) => {
                self.advance();
                if self.accept_word(Keyword::Characteristics) {
                    self.expect_word(Keyword::As)?;
                    self.expect_word(Keyword::Transaction)?;
                    let modes = self.required_modes()?;
                    return Ok(self.transaction_control(TransactionKind::SetSession(modes), start));
                }
                if self.is_word(Keyword::Authorization) {
                    return Err(Error::not_supported("SET SESSION AUTHORIZATION").at(start as usize));
                }
            }
            _ => {}
        }
        let (name, value) = self.setting_with_value()?;
        let span = self.span_from(start);
        Ok(Statement::Set(self.arena.alloc(Set { name: Some(name), local, value, span })))
    }

    fn word_as_setting(&self, text: &'static str, start: u32) -> ObjectName<'a> {
        let name = Name { text, span: self.span_from(start) };
        ObjectName { parts: std::slice::from_ref(self.arena.alloc(name)) }
    }

    fn setting_with_value(&mut self) -> Result<(ObjectName<'a>, SetValue<'a>)> {
        let start = self.token.start;
        // Settings with a syntax of their own.
        let next_is_value = !matches!(
            self.peek().kind,
            TokenKind::Equal | TokenKind::Dot | TokenKind::Keyword(Keyword::To | Keyword::From)
        );
        match self.keyword() {
            Some(Keyword::Time) if self.peek_keyword() == Some(Keyword::Zone) => {
                self.advance();
                self.advance();
                let name = self.word_as_setting("timezone", start);
                return Ok((name, self.zone_value()?));
            }
            Some(Keyword::Schema) if next_is_value => {
                self.advance();
                let name = self.word_as_setting("search_path", start);
                let at = self.token.start;
                let text = self.string()?;
                return Ok((name, self.one_value(Literal::String(text), at)));
            }
            Some(Keyword::Names) if next_is_value => {
                self.advance();
                let name = self.word_as_setting("client_encoding", start);
                let at = self.token.start;
                if !self.is_string() {
                    self.accept_word(Keyword::Default);
                    return Ok((name, SetValue::Default));
                }
                let text = self.string()?;
                return Ok((name, self.one_value(Literal::String(text), at)));
            }
            Some(Keyword::Role | Keyword::Catalog) if next_is_value => {
                let word = self.token_text(self.token).to_uppercase();
                return Err(Error::not_supported(format_args!("SET {word}")).at(start as usize));
            }
            _ => {}
        }
        let first = self.name()?;
        let name = self.qualified_from(first)?;
        if self.accept_words(Keyword::From, Keyword::Current) {
            return Ok((name, SetValue::FromCurrent));
        }
        if !self.accept(TokenKind::Equal) {
            self.expect_word(Keyword::To)?;
        }
        if self.accept_word(Keyword::Default) {
            return Ok((name, SetValue::Default));
        }
        Ok((name, SetValue::Values(self.comma_list(Parser::setting_value)?)))
    }

    fn one_value(&self, literal: Literal<'a>, start: u32) -> SetValue<'a> {
        let value = SettingValue { literal, span: self.span_from(start) };
        SetValue::Values(std::slice::from_ref(self.arena.alloc(value)))
    }

    /// The value of SET TIME ZONE.
    fn zone_value(&mut self) -> Result<SetValue<'a>> {
        if matches!(self.keyword(), Some(Keyword::Local | Keyword::Default)) {
            self.advance();
            return Ok(SetValue::Default);
        }
        if self.is_word(Keyword::Interval) {
            return Err(Error::not_supported("SET TIME ZONE INTERVAL").at(self.token.start as usize));
        }
        let value = self.setting_value()?;
        Ok(SetValue::Values(std::slice::from_ref(self.arena.alloc(value))))
    }

    fn setting_value(&mut self) -> Result<SettingValue<'a>> {
        let start = self.token.start;
        let literal = match self.token.kind {
            TokenKind::Keyword(Keyword::True | Keyword::False | Keyword::On | Keyword::Off) => {
                Literal::String(self.label()?.text)
            }
            TokenKind::Keyword(_) | TokenKind::Identifier | TokenKind::QuotedIdentifier => {
                if Parser::is_name(self.token) {
                    Literal::String(self.name()?.text)
                } else {
                    return self.unexpected();
                }
            }
            _ => self.signed_constant()?,
        };
        Ok(SettingValue { literal, span: self.span_from(start) })
    }

    /// A string or a number with an optional sign.
    pub(super) fn signed_constant(&mut self) -> Result<Literal<'a>> {
        if self.is_string() {
            return Ok(Literal::String(self.string()?));
        }
        let negative = self.is(TokenKind::Minus);
        if negative || self.is(TokenKind::Plus) {
            self.advance();
        }
        if !matches!(self.token.kind, TokenKind::Integer | TokenKind::Number) {
            return self.unexpected();
        }
        let token = self.advance();
        let mut text = self.token_text(token);
        if negative {
            text = bumpalo::format!(in self.arena, "-{}", text).into_bump_str();
        }
        Ok(text.parse::<i64>().map_or(Literal::Number(text), Literal::Integer))
    }

    pub(super) fn reset(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let name = self.setting_name()?;
        let span = self.span_from(start);
        Ok(Statement::Set(self.arena.alloc(Set { name, local: false, value: SetValue::Default, span })))
    }

    pub(super) fn show(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let name = self.setting_name()?;
        Ok(Statement::Show(self.arena.alloc(Show { name, span: self.span_from(start) })))
    }

    /// The name after SHOW and RESET; `None` is ALL.
    fn setting_name(&mut self) -> Result<Option<ObjectName<'a>>> {
        let start = self.token.start;
        if self.accept_word(Keyword::All) {
            return Ok(None);
        }
        if self.accept_words(Keyword::Time, Keyword::Zone) {
            return Ok(Some(self.word_as_setting("timezone", start)));
        }
        if self.accept_words(Keyword::Transaction, Keyword::Isolation) {
            self.expect_word(Keyword::Level)?;
            return Ok(Some(self.word_as_setting("transaction_isolation", start)));
        }
        if self.accept_words(Keyword::Session, Keyword::Authorization) {
            return Ok(Some(self.word_as_setting("session_authorization", start)));
        }
        let first = self.name()?;
        self.qualified_from(first).map(Some)
    }

    /// `(name [value], …)` of EXPLAIN, VACUUM, ANALYZE, COPY.
    fn utility_options(&mut self) -> Result<&'a [UtilityOption<'a>]> {
        self.parenthesized(|parser| {
            parser.comma_list(|parser| {
                let name = parser.label()?;
                let value = if matches!(parser.token.kind, TokenKind::Comma | TokenKind::RightParenthesis) {
                    None
                } else {
                    parser.accept(TokenKind::Equal);
                    Some(parser.option_value()?)
                };
                Ok(UtilityOption { name, value })
            })
        })
    }

    /// Words before the objects of VACUUM and EXPLAIN, each an option.
    fn word_options(&mut self, words: &[Keyword]) -> Result<&'a [UtilityOption<'a>]> {
        let mut options = self.list();
        while self.keyword().is_some_and(|word| words.contains(&word)) {
            let mut name = self.label()?;
            if name.text == "analyse" {
                name.text = "analyze";
            }
            options.push(UtilityOption { name, value: None });
        }
        Ok(options.into_bump_slice())
    }

    pub(super) fn explain(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let options = if self.is(TokenKind::LeftParenthesis) && !self.parenthesis_holds_statement() {
            self.utility_options()?
        } else {
            self.word_options(&[Keyword::Analyze, Keyword::Analyse, Keyword::Verbose])?
        };
        let explainable = matches!(
            self.keyword(),
            Some(
                Keyword::Select
                    | Keyword::Insert
                    | Keyword::Update
                    | Keyword::Delete
                    | Keyword::With
                    | Keyword::Values
                    | Keyword::Table
                    | Keyword::Merge
                    | Keyword::Create
                    | Keyword::Execute
            )
        ) || self.is(TokenKind::LeftParenthesis);
        if !explainable {
            return self.unexpected();
        }
        let statement = self.statement()?;
        let span = self.span_from(start);
        Ok(Statement::Explain(self.arena.alloc(Explain { options, statement, span })))
    }

    fn parenthesis_holds_statement(&mut self) -> bool {
        matches!(
            self.peek().kind,
            TokenKind::LeftParenthesis
                | TokenKind::Keyword(Keyword::Select | Keyword::Values | Keyword::With | Keyword::Table)
        )
    }

    fn maintenance_targets(&mut self) -> Result<&'a [MaintenanceTarget<'a>]> {
        if !Parser::is_name(self.token) {
            return Ok(&[]);
        }
        self.comma_list(|parser| {
            let table = parser.object_name()?;
            Ok(MaintenanceTarget { table, columns: parser.optional_name_list()? })
        })
    }

    pub(super) fn analyze(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let options = if self.is(TokenKind::LeftParenthesis) {
            self.utility_options()?
        } else {
            self.word_options(&[Keyword::Verbose])?
        };
        let targets = self.maintenance_targets()?;
        Ok(Statement::Analyze(self.arena.alloc(Analyze { options, targets, span: self.span_from(start) })))
    }

    pub(super) fn vacuum(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let options = if self.is(TokenKind::LeftParenthesis) {
            self.utility_options()?
        } else {
            self.word_options(&[
                Keyword::Full,
                Keyword::Freeze,
                Keyword::Verbose,
                Keyword::Analyze,
                Keyword::Analyse,
            ])?
        };
        let targets = self.maintenance_targets()?;
        Ok(Statement::Vacuum(self.arena.alloc(Vacuum { options, targets, span: self.span_from(start) })))
    }

    pub(super) fn reindex(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let options = if self.is(TokenKind::LeftParenthesis) { self.utility_options()? } else { &[] };
        let kind = match self.keyword() {
            Some(Keyword::Index) => ReindexKind::Index,
            Some(Keyword::Table) => ReindexKind::Table,
            Some(Keyword::Schema) => ReindexKind::Schema,
            Some(Keyword::Database) => ReindexKind::Database,
            Some(Keyword::System) => ReindexKind::System,
            _ => return self.unexpected(),
        };
        self.advance();
        let concurrently = self.accept_word(Keyword::Concurrently);
        let name = match kind {
            ReindexKind::Index | ReindexKind::Table => self.object_name()?,
            ReindexKind::Schema | ReindexKind::Database | ReindexKind::System => {
                let name = self.name()?;
                ObjectName { parts: std::slice::from_ref(self.arena.alloc(name)) }
            }
        };
        let span = self.span_from(start);
        Ok(Statement::Reindex(self.arena.alloc(Reindex { options, kind, concurrently, name, span })))
    }

    #[inline(never)]
    pub(super) fn copy(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let source = if self.is(TokenKind::LeftParenthesis) {
            let statement = self.parenthesized(Parser::preparable)?;
            CopySource::Statement(self.arena.alloc(statement))
        } else {
            let name = self.object_name()?;
            CopySource::Table { name, columns: self.optional_name_list()? }
        };
        let from = self.is_word(Keyword::From);
        if from && matches!(source, CopySource::Statement(_)) {
            return self.unexpected();
        }
        if !self.accept_word(Keyword::From) {
            self.expect_word(Keyword::To)?;
        }
        let target = match self.keyword() {
            Some(Keyword::Program) => {
                self.advance();
                CopyTarget::Program(self.string()?)
            }
            Some(Keyword::Stdin | Keyword::Stdout) => {
                self.advance();
                CopyTarget::Client
            }
            _ => CopyTarget::File(self.string()?),
        };
        let options = if self.is_word(Keyword::With) || self.is(TokenKind::LeftParenthesis) {
            self.accept_word(Keyword::With);
            if self.is(TokenKind::LeftParenthesis) {
                self.utility_options()?
            } else {
                self.old_copy_options()?
            }
        } else {
            self.old_copy_options()?
        };
        let filter =
            if from && self.accept_word(Keyword::Where) { Some(self.expression_reference()?) } else { None };
        let span = self.span_from(start);
        Ok(Statement::Copy(self.arena.alloc(Copy { source, from, target, options, filter, span })))
    }

    /// `CSV HEADER DELIMITER ',' …`, the form before PostgreSQL 9.
    fn old_copy_options(&mut self) -> Result<&'a [UtilityOption<'a>]> {
        let mut options = self.list();
        while let Some(word) = self.keyword() {
            let token = self.token;
            let name = |text| Name { text, span: Parser::span_of(token) };
            let option = match word {
                Keyword::Csv | Keyword::Binary => {
                    self.advance();
                    let value = Some(OptionValue::Literal(Literal::String(word.text())));
                    UtilityOption { name: name("format"), value }
                }
                Keyword::Header | Keyword::Freeze => {
                    self.advance();
                    UtilityOption { name: name(word.text()), value: None }
                }
                Keyword::Delimiter
                | Keyword::Delimiters
                | Keyword::Null
                | Keyword::Quote
                | Keyword::Escape
                | Keyword::Encoding => {
                    self.advance();
                    self.accept_word(Keyword::As);
                    let value = Some(OptionValue::Literal(Literal::String(self.string()?)));
                    let text = if word == Keyword::Delimiters { "delimiter" } else { word.text() };
                    UtilityOption { name: name(text), value }
                }
                Keyword::Force => self.force_option()?,
                _ => break,
            };
            options.push(option);
        }
        Ok(options.into_bump_slice())
    }

    /// `FORCE QUOTE columns`, `FORCE NOT NULL columns`, `FORCE NULL columns`.
    fn force_option(&mut self) -> Result<UtilityOption<'a>> {
        let start = self.advance().start;
        let text = if self.accept_word(Keyword::Quote) {
            "force_quote"
        } else if self.accept_word(Keyword::Not) {
            self.expect_word(Keyword::Null)?;
            "force_not_null"
        } else {
            self.expect_word(Keyword::Null)?;
            "force_null"
        };
        let name = Name { text, span: self.span_from(start) };
        let value = if self.accept(TokenKind::Star) {
            OptionValue::Star
        } else {
            OptionValue::Names(self.comma_list(Parser::name)?)
        };
        Ok(UtilityOption { name, value: Some(value) })
    }

    pub(super) fn prepare(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        if self.is_word(Keyword::Transaction) && Parser::is_string_token(self.peek()) {
            self.advance();
            self.string()?;
            return Ok(self.transaction_control(TransactionKind::TwoPhase, start));
        }
        let name = self.name()?;
        let types = if self.is(TokenKind::LeftParenthesis) {
            self.parenthesized(|parser| parser.comma_list(Parser::type_name))?
        } else {
            &[]
        };
        self.expect_word(Keyword::As)?;
        let from = self.token.start;
        let statement = self.preparable()?;
        let statement_span = self.span_from(from);
        let span = self.span_from(start);
        Ok(Statement::Prepare(self.arena.alloc(Prepare { name, types, statement, statement_span, span })))
    }

    pub(super) fn execute(&mut self) -> Result<Statement<'a>> {
        Ok(Statement::Execute(self.execute_call()?))
    }

    pub(super) fn execute_call(&mut self) -> Result<&'a Execute<'a>> {
        let start = self.advance().start;
        let name = self.name()?;
        let arguments = if self.is(TokenKind::LeftParenthesis) {
            self.parenthesized(Parser::expression_list)?
        } else {
            &[]
        };
        Ok(self.arena.alloc(Execute { name, arguments, span: self.span_from(start) }))
    }

    pub(super) fn deallocate(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        self.accept_word(Keyword::Prepare);
        let name = if self.accept_word(Keyword::All) { None } else { Some(self.name()?) };
        Ok(Statement::Deallocate(self.arena.alloc(Deallocate { name, span: self.span_from(start) })))
    }

    pub(super) fn discard(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let kind = match self.keyword() {
            Some(Keyword::All) => DiscardKind::All,
            Some(Keyword::Plans) => DiscardKind::Plans,
            Some(Keyword::Sequences) => DiscardKind::Sequences,
            Some(Keyword::Temp | Keyword::Temporary) => DiscardKind::Temporary,
            _ => return self.unexpected(),
        };
        self.advance();
        Ok(Statement::Discard(self.arena.alloc(Discard { kind, span: self.span_from(start) })))
    }

    pub(super) fn comment(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        self.expect_word(Keyword::On)?;
        let kind = match self.keyword() {
            Some(Keyword::Table) => ObjectKind::Table,
            Some(Keyword::Index) => ObjectKind::Index,
            Some(Keyword::View) => ObjectKind::View,
            Some(Keyword::Sequence) => ObjectKind::Sequence,
            Some(Keyword::Schema) => ObjectKind::Schema,
            Some(Keyword::Type) => ObjectKind::Type,
            Some(Keyword::Column) => ObjectKind::Column,
            Some(Keyword::Constraint) => ObjectKind::Constraint,
            Some(Keyword::Database) => ObjectKind::Database,
            Some(Keyword::Materialized) => {
                self.advance();
                if !self.is_word(Keyword::View) {
                    return self.unexpected();
                }
                ObjectKind::MaterializedView
            }
            Some(
                Keyword::Function
                | Keyword::Procedure
                | Keyword::Aggregate
                | Keyword::Extension
                | Keyword::Role
                | Keyword::Domain
                | Keyword::Trigger
                | Keyword::Rule
                | Keyword::Policy
                | Keyword::Operator,
            ) => return self.refuse_object("COMMENT ON", start),
            _ => return self.unexpected(),
        };
        self.advance();
        let first = self.name()?;
        let name = self.qualified_from(first)?;
        let on = if kind == ObjectKind::Constraint {
            self.expect_word(Keyword::On)?;
            Some(self.object_name()?)
        } else {
            None
        };
        self.expect_word(Keyword::Is)?;
        let text = if self.accept_word(Keyword::Null) { None } else { Some(self.string()?) };
        let span = self.span_from(start);
        Ok(Statement::Comment(self.arena.alloc(Comment { kind, name, on, text, span })))
    }

    pub(super) fn notify(&mut self, keyword: Keyword) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let channel = if keyword == Keyword::Unlisten && self.accept(TokenKind::Star) {
            None
        } else {
            Some(self.name()?)
        };
        let payload =
            if keyword == Keyword::Notify && self.accept(TokenKind::Comma) { self.string()? } else { "" };
        let span: Span = self.span_from(start);
        let notify = match (keyword, channel) {
            (Keyword::Listen, Some(channel)) => Notify::Listen { channel, span },
            (Keyword::Notify, Some(channel)) => Notify::Notify { channel, payload, span },
            (_, channel) => Notify::Unlisten { channel, span },
        };
        Ok(Statement::Notify(self.arena.alloc(notify)))
    }

    pub(super) fn lock_table(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        self.accept_word(Keyword::Table);
        let (tables, only) = self.tables_to_change()?;
        let mut mode = "ACCESS EXCLUSIVE";
        if self.accept_word(Keyword::In) {
            mode = self.lock_mode()?;
            self.expect_word(Keyword::Mode)?;
        }
        let no_wait = self.accept_word(Keyword::Nowait);
        let span = self.span_from(start);
        Ok(Statement::LockTable(self.arena.alloc(LockTable { tables, only, mode, no_wait, span })))
    }

    fn lock_mode(&mut self) -> Result<&'static str> {
        let access = self.accept_word(Keyword::Access);
        let row = !access && self.accept_word(Keyword::Row);
        if self.accept_word(Keyword::Exclusive) {
            return Ok(match (access, row) {
                (true, _) => "ACCESS EXCLUSIVE",
                (_, true) => "ROW EXCLUSIVE",
                _ => "EXCLUSIVE",
            });
        }
        self.expect_word(Keyword::Share)?;
        Ok(match (access, row) {
            (true, _) => "ACCESS SHARE",
            (_, true) => "ROW SHARE",
            _ if self.accept_words(Keyword::Update, Keyword::Exclusive) => "SHARE UPDATE EXCLUSIVE",
            _ if self.accept_words(Keyword::Row, Keyword::Exclusive) => "SHARE ROW EXCLUSIVE",
            _ => "SHARE",
        })
    }
}

//! ALTER TABLE and its relatives, DROP, TRUNCATE.

use crate::error::{Error, Result};
use crate::sql::ast::define::{
    AlterAction, AlterActionKind, AlterSequence, AlterTable, Drop, ObjectKind, Truncate,
};
use crate::sql::ast::{ObjectName, Statement};
use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::Keyword;
use crate::sql::parser::cursor::Parser;

impl<'a> Parser<'a> {
    #[inline(never)]
    pub(super) fn alter(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let kind = match self.keyword() {
            Some(Keyword::Table) => ObjectKind::Table,
            Some(Keyword::Index) => ObjectKind::Index,
            Some(Keyword::View) => ObjectKind::View,
            Some(Keyword::Sequence) => ObjectKind::Sequence,
            Some(Keyword::Schema) => ObjectKind::Schema,
            Some(Keyword::Materialized) => {
                self.advance();
                if !self.is_word(Keyword::View) {
                    return self.unexpected();
                }
                ObjectKind::MaterializedView
            }
            Some(
                Keyword::Database
                | Keyword::Role
                | Keyword::User
                | Keyword::Group
                | Keyword::Function
                | Keyword::Procedure
                | Keyword::Routine
                | Keyword::Aggregate
                | Keyword::Type
                | Keyword::Domain
                | Keyword::Extension
                | Keyword::System
                | Keyword::Default
                | Keyword::Policy
                | Keyword::Publication
                | Keyword::Subscription
                | Keyword::Trigger
                | Keyword::Rule
                | Keyword::Tablespace
                | Keyword::Collation
                | Keyword::Operator
                | Keyword::Server
                | Keyword::Foreign
                | Keyword::Language
                | Keyword::Statistics
                | Keyword::Event
                | Keyword::Text
                | Keyword::Conversion
                | Keyword::Large,
            ) => return self.refuse_object("ALTER", start),
            _ => return self.unexpected(),
        };
        self.advance();
        let if_exists = self.if_exists();
        let only = self.accept_word(Keyword::Only);
        let name = self.object_name()?;
        if kind == ObjectKind::Sequence
            && !matches!(self.keyword(), Some(Keyword::Rename | Keyword::Set | Keyword::Owner))
        {
            let options = self.sequence_options()?;
            if options.is_empty() {
                return self.unexpected();
            }
            let alter = AlterSequence { if_exists, name, options, span: self.span_from(start) };
            return Ok(Statement::AlterSequence(self.arena.alloc(alter)));
        }
        self.accept(TokenKind::Star);
        let actions = match self.keyword() {
            Some(Keyword::Rename) => std::slice::from_ref(&*self.arena.alloc(self.rename_action()?)),
            _ => self.comma_list(Parser::alter_action)?,
        };
        let span = self.span_from(start);
        let alter = AlterTable { kind, if_exists, only, name, actions, span };
        Ok(Statement::AlterTable(self.arena.alloc(alter)))
    }

    fn rename_action(&mut self) -> Result<AlterAction<'a>> {
        let start = self.advance().start;
        let kind = if self.accept_word(Keyword::To) {
            AlterActionKind::Rename(self.name()?)
        } else if self.accept_word(Keyword::Constraint) {
            let name = self.name()?;
            self.expect_word(Keyword::To)?;
            AlterActionKind::RenameConstraint { name, to: self.name()? }
        } else {
            self.accept_word(Keyword::Column);
            let column = self.name()?;
            self.expect_word(Keyword::To)?;
            AlterActionKind::RenameColumn { column, to: self.name()? }
        };
        Ok(AlterAction { kind, span: self.span_from(start) })
    }

    fn alter_action(&mut self) -> Result<AlterAction<'a>> {
        let start = self.token.start;
        let kind = match self.keyword() {
            Some(Keyword::Add) => {
                self.advance();
                self.add_action()?
            }
            Some(Keyword::Drop) => {
                self.advance();
                let constraint = self.accept_word(Keyword::Constraint);
                if !constraint {
                    self.accept_word(Keyword::Column);
                }
                let if_exists = self.if_exists();
                let name = self.name()?;
                let cascade = self.cascade();
                if constraint {
                    AlterActionKind::DropConstraint { if_exists, name, cascade }
                } else {
                    AlterActionKind::DropColumn { if_exists, column: name, cascade }
                }
            }
            Some(Keyword::Alter) => {
                self.advance();
                self.accept_word(Keyword::Column);
                self.alter_column()?
            }
            Some(Keyword::Validate) => {
                self.advance();
                self.expect_word(Keyword::Constraint)?;
                AlterActionKind::ValidateConstraint(self.name()?)
            }
            Some(Keyword::Set) if self.peek_keyword() == Some(Keyword::Schema) => {
                self.advance();
                self.advance();
                AlterActionKind::SetSchema(self.name()?)
            }
            Some(Keyword::Set) if self.peek().kind == TokenKind::LeftParenthesis => {
                self.advance();
                AlterActionKind::SetStorage(self.storage_options()?)
            }
            Some(Keyword::Reset) => {
                self.advance();
                AlterActionKind::ResetStorage(self.storage_options()?)
            }
            Some(Keyword::Owner) => {
                self.advance();
                self.expect_word(Keyword::To)?;
                AlterActionKind::OwnerTo(self.label()?)
            }
            Some(
                Keyword::Set
                | Keyword::Enable
                | Keyword::Disable
                | Keyword::Force
                | Keyword::No
                | Keyword::Cluster
                | Keyword::Inherit
                | Keyword::Attach
                | Keyword::Detach
                | Keyword::Replica
                | Keyword::Of
                | Keyword::Not,
            ) => {
                let word = self.token_text(self.token).to_uppercase();
                return Err(Error::not_supported(format_args!("ALTER TABLE … {word}")).at(start as usize));
            }
            _ => return self.unexpected(),
        };
        Ok(AlterAction { kind, span: self.span_from(start) })
    }

    fn add_action(&mut self) -> Result<AlterActionKind<'a>> {
        let is_constraint = match self.keyword() {
            Some(
                Keyword::Constraint | Keyword::Check | Keyword::Unique | Keyword::Primary | Keyword::Foreign,
            ) => true,
            Some(Keyword::Exclude) => {
                matches!(self.peek().kind, TokenKind::LeftParenthesis | TokenKind::Keyword(Keyword::Using))
            }
            _ => false,
        };
        if is_constraint {
            let constraint = self.table_constraint()?;
            return Ok(AlterActionKind::AddConstraint(self.arena.alloc(constraint)));
        }
        self.accept_word(Keyword::Column);
        let if_not_exists = self.if_not_exists()?;
        let column = self.column_definition()?;
        Ok(AlterActionKind::AddColumn { if_not_exists, column: self.arena.alloc(column) })
    }

    fn alter_column(&mut self) -> Result<AlterActionKind<'a>> {
        let column = self.name()?;
        let start = self.token.start;
        if self.accept_word(Keyword::Type) || self.accept_words_set_data()? {
            let type_name = self.type_name()?;
            let collation = if self.accept_word(Keyword::Collate) { Some(self.object_name()?) } else { None };
            let using =
                if self.accept_word(Keyword::Using) { Some(self.expression_reference()?) } else { None };
            let type_name = self.arena.alloc(type_name);
            return Ok(AlterActionKind::ColumnType { column, type_name, collation, using });
        }
        let set = self.accept_word(Keyword::Set);
        if !set && !self.accept_word(Keyword::Drop) {
            return if matches!(self.keyword(), Some(Keyword::Add | Keyword::Reset | Keyword::Restart)) {
                Err(Error::not_supported("this form of ALTER COLUMN").at(start as usize))
            } else {
                self.unexpected()
            };
        }
        if self.accept_word(Keyword::Default) {
            let default = if set { Some(self.expression_reference()?) } else { None };
            return Ok(AlterActionKind::ColumnDefault { column, default });
        }
        if self.accept_words(Keyword::Not, Keyword::Null) {
            return Ok(AlterActionKind::ColumnNotNull { column, not_null: set });
        }
        match self.keyword() {
            Some(
                Keyword::Statistics
                | Keyword::Storage
                | Keyword::Compression
                | Keyword::Generated
                | Keyword::Identity
                | Keyword::Expression,
            ) => Err(Error::not_supported("this form of ALTER COLUMN").at(start as usize)),
            _ => self.unexpected(),
        }
    }

    /// `SET DATA TYPE`.
    fn accept_words_set_data(&mut self) -> Result<bool> {
        if !self.accept_words(Keyword::Set, Keyword::Data) {
            return Ok(false);
        }
        self.expect_word(Keyword::Type)?;
        Ok(true)
    }

    #[inline(never)]
    pub(super) fn drop_objects(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        let kind = match self.keyword() {
            Some(Keyword::Table) => ObjectKind::Table,
            Some(Keyword::Index) => ObjectKind::Index,
            Some(Keyword::View) => ObjectKind::View,
            Some(Keyword::Sequence) => ObjectKind::Sequence,
            Some(Keyword::Schema) => ObjectKind::Schema,
            Some(Keyword::Type) => ObjectKind::Type,
            Some(Keyword::Materialized) => {
                self.advance();
                if !self.is_word(Keyword::View) {
                    return self.unexpected();
                }
                ObjectKind::MaterializedView
            }
            Some(Keyword::Trigger) => {
                let refused = self.refuse_object("DROP", start);
                self.advance();
                self.if_exists();
                self.object_name()?;
                self.expect_word(Keyword::On)?;
                return refused;
            }
            Some(
                Keyword::Function
                | Keyword::Procedure
                | Keyword::Routine
                | Keyword::Aggregate
                | Keyword::Rule
                | Keyword::Domain
                | Keyword::Extension
                | Keyword::Role
                | Keyword::User
                | Keyword::Group
                | Keyword::Owned
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
                | Keyword::Language
                | Keyword::Procedural
                | Keyword::Transform
                | Keyword::Access,
            ) => return self.refuse_object("DROP", start),
            _ => return self.unexpected(),
        };
        self.advance();
        let concurrently = if kind == ObjectKind::Index && self.is_word(Keyword::Concurrently) {
            Some(Parser::span_of(self.advance()))
        } else {
            None
        };
        let if_exists = self.if_exists();
        let names = self.comma_list(Parser::object_name)?;
        let cascade = self.cascade();
        let span = self.span_from(start);
        Ok(Statement::Drop(self.arena.alloc(Drop { kind, concurrently, if_exists, names, cascade, span })))
    }

    /// Tables, each with ONLY or a star, which say the same: no table has others below it.
    pub(super) fn tables_to_change(&mut self) -> Result<(&'a [ObjectName<'a>], bool)> {
        let mut only = false;
        let tables = self.comma_list(|parser| {
            let is_only = parser.accept_word(Keyword::Only);
            only |= is_only;
            if is_only && parser.is(TokenKind::LeftParenthesis) {
                return parser.parenthesized(Parser::object_name);
            }
            let name = parser.object_name()?;
            parser.accept(TokenKind::Star);
            Ok(name)
        })?;
        Ok((tables, only))
    }

    pub(super) fn truncate(&mut self) -> Result<Statement<'a>> {
        let start = self.advance().start;
        self.accept_word(Keyword::Table);
        let (tables, only) = self.tables_to_change()?;
        let restart_identity = self.accept_words(Keyword::Restart, Keyword::Identity);
        if !restart_identity {
            self.accept_words(Keyword::Continue, Keyword::Identity);
        }
        let cascade = self.cascade();
        let span = self.span_from(start);
        Ok(Statement::Truncate(self.arena.alloc(Truncate { tables, only, restart_identity, cascade, span })))
    }
}

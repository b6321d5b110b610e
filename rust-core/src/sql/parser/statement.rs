//! Which statement starts here, and where it ends.

use crate::error::{Error, Result};
use crate::sql::ast::{Statement, StatementWithSpan};
use crate::sql::lexer::TokenKind;
use crate::sql::lexer::keyword::Keyword;
use crate::sql::parser::cursor::Parser;

impl<'a> Parser<'a> {
    /// The next statement with its semicolon; `None` at the end.
    pub(super) fn next_statement(&mut self) -> Result<Option<StatementWithSpan<'a>>> {
        while self.accept(TokenKind::Semicolon) {}
        if self.is(TokenKind::End) {
            return Ok(None);
        }
        let start = self.token.start;
        let statement = self.statement()?;
        let span = self.span_from(start);
        if !self.is(TokenKind::End) {
            if !self.is(TokenKind::Semicolon) {
                return self.unexpected();
            }
            self.advance();
        }
        let (parameter_count, parameter_names) = self.take_parameters();
        Ok(Some(StatementWithSpan { statement, span, parameter_count, parameter_names }))
    }

    /// A statement without its semicolon.
    pub(super) fn statement(&mut self) -> Result<Statement<'a>> {
        let Some(keyword) = self.keyword() else {
            if self.is(TokenKind::LeftParenthesis) {
                return self.preparable();
            }
            return self.unexpected();
        };
        match keyword {
            Keyword::Select
            | Keyword::Insert
            | Keyword::Update
            | Keyword::Delete
            | Keyword::With
            | Keyword::Values
            | Keyword::Table
            | Keyword::Merge => self.preparable(),
            Keyword::Begin
            | Keyword::Start
            | Keyword::Commit
            | Keyword::End
            | Keyword::Rollback
            | Keyword::Abort
            | Keyword::Savepoint
            | Keyword::Release => self.transaction_statement(keyword),
            Keyword::Create => self.create(),
            Keyword::Alter => self.alter(),
            Keyword::Drop => self.drop_objects(),
            Keyword::Truncate => self.truncate(),
            Keyword::Set => self.set(),
            Keyword::Reset => self.reset(),
            Keyword::Show => self.show(),
            Keyword::Explain => self.explain(),
            Keyword::Analyze | Keyword::Analyse => self.analyze(),
            Keyword::Vacuum => self.vacuum(),
            Keyword::Checkpoint => {
                let span = Parser::span_of(self.advance());
                Ok(Statement::Checkpoint { span })
            }
            Keyword::Copy => self.copy(),
            Keyword::Prepare => self.prepare(),
            Keyword::Execute => self.execute(),
            Keyword::Deallocate => self.deallocate(),
            Keyword::Discard => self.discard(),
            Keyword::Comment => self.comment(),
            Keyword::Listen | Keyword::Unlisten | Keyword::Notify => self.notify(keyword),
            Keyword::Lock => self.lock_table(),
            Keyword::Reindex => self.reindex(),
            Keyword::Call
            | Keyword::Close
            | Keyword::Cluster
            | Keyword::Declare
            | Keyword::Do
            | Keyword::Fetch
            | Keyword::Grant
            | Keyword::Import
            | Keyword::Load
            | Keyword::Move
            | Keyword::Reassign
            | Keyword::Refresh
            | Keyword::Revoke
            | Keyword::Security => {
                Err(Error::not_supported(keyword.text().to_uppercase()).at(self.token.start as usize))
            }
            _ => self.unexpected(),
        }
    }
}

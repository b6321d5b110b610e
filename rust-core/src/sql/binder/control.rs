//! Transactions, settings and the statements that are not there yet.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::control::{
    Isolation, LockTable, Notify, Reindex as AstReindex, ReindexKind as AstReindexKind, Set, SetValue,
    TransactionControl, TransactionKind, TransactionModes as AstModes,
};
use crate::sql::ast::expression::Literal;
use crate::sql::ast::{Span, Statement};
use crate::sql::binder::Binder;
use crate::sql::binder::bound::{
    BoundIsolation, BoundStatement, LockTables, NotificationStatement, ObjectName, Reindex, ReindexKind,
    SetStatement, TransactionModes, TransactionStatement,
};
use crate::sql::binder::explain::boolean;

/// BEGIN, COMMIT, ROLLBACK and SET TRANSACTION.
pub(super) fn bind_transaction(control: &TransactionControl<'_>) -> Result<BoundStatement> {
    let position = control.span.position();
    let statement = match &control.kind {
        TransactionKind::Begin(modes) => TransactionStatement::Begin(bind_modes(modes)),
        TransactionKind::Commit { chain } => TransactionStatement::Commit { chain: *chain },
        TransactionKind::Rollback { chain } => TransactionStatement::Rollback { chain: *chain },
        TransactionKind::Savepoint(name) => TransactionStatement::Savepoint(name.text.to_owned()),
        TransactionKind::Release(name) => TransactionStatement::Release(name.text.to_owned()),
        TransactionKind::RollbackTo(name) => TransactionStatement::RollbackTo(name.text.to_owned()),
        TransactionKind::SetConstraints { names, deferred } => {
            let mut bound = Vec::with_capacity(names.len());
            for name in *names {
                if name.parts.len() > 2 {
                    return Err(Error::not_supported("a reference to another database").at(name.position()));
                }
                bound.push(ObjectName {
                    schema: name.schema().map(|schema| schema.text.to_owned()),
                    name: name.object().text.to_owned(),
                    position: name.position(),
                });
            }
            let names = if bound.is_empty() { None } else { Some(bound) };
            TransactionStatement::SetConstraints { names, deferred: *deferred }
        }
        TransactionKind::SetTransaction(modes) => TransactionStatement::SetModes(bind_modes(modes)),
        TransactionKind::SetSession(modes) => TransactionStatement::SetDefaultModes(bind_modes(modes)),
        TransactionKind::TwoPhase => return Err(Error::not_supported("PREPARE TRANSACTION").at(position)),
    };
    Ok(BoundStatement::Transaction(statement))
}

fn bind_modes(modes: &AstModes) -> TransactionModes {
    let isolation = modes.isolation.map(|(isolation, _)| match isolation {
        Isolation::ReadUncommitted => BoundIsolation::ReadUncommitted,
        Isolation::ReadCommitted => BoundIsolation::ReadCommitted,
        Isolation::RepeatableRead => BoundIsolation::RepeatableRead,
        Isolation::Serializable => BoundIsolation::Serializable,
    });
    TransactionModes { isolation, read_only: modes.read_only, deferrable: modes.deferrable }
}

/// SET and RESET.
pub(super) fn bind_set(set: &Set<'_>) -> Result<BoundStatement> {
    let position = set.name.map_or(set.span.position(), |name| name.position());
    let Some(name) = set.name.map(|name| name.to_string().to_ascii_lowercase()) else {
        return Ok(BoundStatement::Reset { name: None, position });
    };
    let value = match set.value {
        SetValue::Default if set.local => None,
        SetValue::Default => return Ok(BoundStatement::Reset { name: Some(name), position }),
        SetValue::FromCurrent => return Err(Error::not_supported("SET … FROM CURRENT").at(position)),
        SetValue::Values(values) => {
            let mut texts = Vec::with_capacity(values.len());
            for value in values {
                texts.push(setting_text(value.literal, value.span)?);
            }
            Some(texts.join(", "))
        }
    };
    Ok(BoundStatement::Set(SetStatement { name, value, local: set.local, position }))
}

fn setting_text(literal: Literal<'_>, span: Span) -> Result<String> {
    Ok(match literal {
        Literal::Boolean(true) => "on".to_owned(),
        Literal::Boolean(false) => "off".to_owned(),
        Literal::Integer(number) => number.to_string(),
        Literal::Number(digits) => digits.to_owned(),
        Literal::String(text) => text.to_owned(),
        Literal::Null | Literal::BitString(_) | Literal::HexString(_) => {
            return Err(Error::not_supported("this value of a setting").at(span.position()));
        }
    })
}

impl Binder<'_> {
    /// LOCK TABLE.
    pub(super) fn bind_lock(&self, lock: &LockTable<'_>) -> Result<BoundStatement> {
        let mut tables = Vec::with_capacity(lock.tables.len());
        for name in lock.tables {
            let table = self.find_table(name)?;
            tables.push((table.id, table.name.clone()));
        }
        Ok(BoundStatement::Lock(LockTables { tables, mode: lock.mode, no_wait: lock.no_wait }))
    }
}

/// REINDEX.
pub(super) fn bind_reindex(reindex: &AstReindex<'_>) -> Result<BoundStatement> {
    let mut concurrently = reindex.concurrently;
    for option in reindex.options {
        let (name, position) = (option.name.text, option.name.position());
        match name {
            "concurrently" => concurrently = boolean(option)?,
            "verbose" if option.value.is_some() && !boolean(option)? => {}
            "verbose" | "tablespace" => {
                let what = format!("REINDEX with {}", name.to_ascii_uppercase());
                return Err(Error::not_supported(what).at(position));
            }
            _ => {
                let message = format!("unrecognized REINDEX option \"{name}\"");
                return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
        }
    }
    let name = reindex.name;
    let kind = match reindex.kind {
        AstReindexKind::Index => ReindexKind::Index,
        AstReindexKind::Table => ReindexKind::Table,
        AstReindexKind::Schema => ReindexKind::Schema,
        AstReindexKind::Database => ReindexKind::Database,
        AstReindexKind::System => {
            return Err(Error::not_supported("REINDEX SYSTEM").at(reindex.span.position()));
        }
    };
    if name.parts.len() > 2 {
        return Err(Error::not_supported("a reference to another database").at(name.position()));
    }
    let name = ObjectName {
        schema: name.schema().map(|schema| schema.text.to_owned()),
        name: name.object().text.to_owned(),
        position: name.position(),
    };
    Ok(BoundStatement::Reindex(Reindex { kind, name, concurrently }))
}

/// LISTEN, UNLISTEN, NOTIFY.
pub(super) fn bind_notification(notify: &Notify<'_>) -> NotificationStatement {
    match notify {
        Notify::Listen { channel, .. } => NotificationStatement::Listen(channel.text.to_owned()),
        Notify::Unlisten { channel, .. } => {
            NotificationStatement::Unlisten(channel.map(|channel| channel.text.to_owned()))
        }
        Notify::Notify { channel, payload, .. } => {
            NotificationStatement::Notify { channel: channel.text.to_owned(), payload: (*payload).to_owned() }
        }
    }
}

/// Says which statement is not there yet, in the user's words.
pub(super) fn unsupported_statement(statement: &Statement<'_>) -> Error {
    let (what, span) = match statement {
        Statement::Merge(merge) => ("MERGE", merge.span),
        Statement::CreateSchema(create) => ("CREATE SCHEMA", create.span),
        Statement::Comment(comment) => ("COMMENT", comment.span),
        Statement::Drop(drop) => ("DROP of this kind of object", drop.span),
        _ => ("this statement", Span::default()),
    };
    Error::not_supported(what).at(span.position())
}

//! Statements about transactions, settings, prepared statements and maintenance, as written.

use crate::sql::ast::define::{ObjectKind, OptionValue};
use crate::sql::ast::expression::{Expr, Literal};
use crate::sql::ast::{Name, ObjectName, Span, Statement, TypeName};

/// BEGIN, COMMIT and the like.
#[derive(Clone, Copy, Debug)]
pub struct TransactionControl<'a> {
    /// Which.
    pub kind: TransactionKind<'a>,
    /// Its text.
    pub span: Span,
}

/// What is done with transactions.
#[derive(Clone, Copy, Debug)]
pub enum TransactionKind<'a> {
    /// BEGIN, START TRANSACTION.
    Begin(TransactionModes),
    /// COMMIT, END.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(Name<'a>),
    /// RELEASE.
    Release(Name<'a>),
    /// ROLLBACK TO.
    RollbackTo(Name<'a>),
    /// SET CONSTRAINTS.
    SetConstraints {
        /// Which; empty: ALL.
        names: &'a [ObjectName<'a>],
        /// DEFERRED; else IMMEDIATE.
        deferred: bool,
    },
    /// SET TRANSACTION.
    SetTransaction(TransactionModes),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION.
    SetSession(TransactionModes),
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED.
    TwoPhase,
}

/// Modes of a transaction; the last one of a kind counts.
#[derive(Clone, Copy, Default, Debug)]
pub struct TransactionModes {
    /// ISOLATION LEVEL, with its place.
    pub isolation: Option<(Isolation, Span)>,
    /// READ ONLY / READ WRITE.
    pub read_only: Option<bool>,
    /// DEFERRABLE / NOT DEFERRABLE.
    pub deferrable: Option<bool>,
}

/// ISOLATION LEVEL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// SET, RESET.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    /// The setting, in lower case (`time zone` is `timezone`); `None`: RESET ALL.
    pub name: Option<ObjectName<'a>>,
    /// LOCAL; else SESSION.
    pub local: bool,
    /// To what.
    pub value: SetValue<'a>,
    /// Its text.
    pub span: Span,
}

/// What a setting is set to.
#[derive(Clone, Copy, Debug)]
pub enum SetValue<'a> {
    /// DEFAULT, RESET.
    Default,
    /// FROM CURRENT.
    FromCurrent,
    /// Values; several are a list. Never empty.
    Values(&'a [SettingValue<'a>]),
}

/// A value of SET.
#[derive(Clone, Copy, Debug)]
pub struct SettingValue<'a> {
    /// A constant; words (`on`, `public`) are strings; a minus sign is part of a number.
    pub literal: Literal<'a>,
    /// Where.
    pub span: Span,
}

/// SHOW.
#[derive(Clone, Copy, Debug)]
pub struct Show<'a> {
    /// The setting; `None`: ALL.
    pub name: Option<ObjectName<'a>>,
    /// Its text.
    pub span: Span,
}

/// EXPLAIN.
#[derive(Clone, Copy, Debug)]
pub struct Explain<'a> {
    /// `ANALYZE`, `VERBOSE` or the list in parentheses.
    pub options: &'a [UtilityOption<'a>],
    /// What is explained.
    pub statement: Statement<'a>,
    /// Its text.
    pub span: Span,
}

/// An option of EXPLAIN, VACUUM, ANALYZE, COPY.
#[derive(Clone, Copy, Debug)]
pub struct UtilityOption<'a> {
    /// Its name, in lower case.
    pub name: Name<'a>,
    /// Its value; absent: true.
    pub value: Option<OptionValue<'a>>,
}

/// A table with columns, as ANALYZE and VACUUM take it.
#[derive(Clone, Copy, Debug)]
pub struct MaintenanceTarget<'a> {
    /// The table.
    pub table: ObjectName<'a>,
    /// Its columns; empty: all.
    pub columns: &'a [Name<'a>],
}

/// ANALYZE.
#[derive(Clone, Copy, Debug)]
pub struct Analyze<'a> {
    /// Options.
    pub options: &'a [UtilityOption<'a>],
    /// Tables; empty: all.
    pub targets: &'a [MaintenanceTarget<'a>],
    /// Its text.
    pub span: Span,
}

/// VACUUM.
#[derive(Clone, Copy, Debug)]
pub struct Vacuum<'a> {
    /// Options.
    pub options: &'a [UtilityOption<'a>],
    /// Tables; empty: all.
    pub targets: &'a [MaintenanceTarget<'a>],
    /// Its text.
    pub span: Span,
}

/// REINDEX.
#[derive(Clone, Copy, Debug)]
pub struct Reindex<'a> {
    /// (…).
    pub options: &'a [UtilityOption<'a>],
    /// What is named.
    pub kind: ReindexKind,
    /// CONCURRENTLY behind the kind.
    pub concurrently: bool,
    /// The name.
    pub name: ObjectName<'a>,
    /// Its text.
    pub span: Span,
}

/// What REINDEX makes anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReindexKind {
    /// An index.
    Index,
    /// All indexes of a table.
    Table,
    /// Of the tables of a schema.
    Schema,
    /// Of the tables of the database.
    Database,
    /// Of the system's own tables.
    System,
}

/// COPY.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    /// A table with columns, or a query.
    pub source: CopySource<'a>,
    /// FROM; else TO.
    pub from: bool,
    /// A file, a program or the client.
    pub target: CopyTarget<'a>,
    /// WITH (…).
    pub options: &'a [UtilityOption<'a>],
    /// WHERE.
    pub filter: Option<&'a Expr<'a>>,
    /// Its text.
    pub span: Span,
}

/// What is copied.
#[derive(Clone, Copy, Debug)]
pub enum CopySource<'a> {
    /// A table.
    Table {
        /// Its name.
        name: ObjectName<'a>,
        /// Its columns; empty: all.
        columns: &'a [Name<'a>],
    },
    /// A query or a data change with RETURNING.
    Statement(&'a Statement<'a>),
}

/// The other end of COPY.
#[derive(Clone, Copy, Debug)]
pub enum CopyTarget<'a> {
    /// A file.
    File(&'a str),
    /// PROGRAM.
    Program(&'a str),
    /// STDIN, STDOUT.
    Client,
}

/// PREPARE.
#[derive(Clone, Copy, Debug)]
pub struct Prepare<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Types of parameters.
    pub types: &'a [TypeName<'a>],
    /// The statement; its text starts at `statement_span.start`.
    pub statement: Statement<'a>,
    /// Text of the statement.
    pub statement_span: Span,
    /// Its text.
    pub span: Span,
}

/// EXECUTE.
#[derive(Clone, Copy, Debug)]
pub struct Execute<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Values of parameters.
    pub arguments: &'a [Expr<'a>],
    /// Its text.
    pub span: Span,
}

/// DEALLOCATE.
#[derive(Clone, Copy, Debug)]
pub struct Deallocate<'a> {
    /// Its name; `None`: ALL.
    pub name: Option<Name<'a>>,
    /// Its text.
    pub span: Span,
}

/// DISCARD.
#[derive(Clone, Copy, Debug)]
pub struct Discard {
    /// What.
    pub kind: DiscardKind,
    /// Its text.
    pub span: Span,
}

/// What DISCARD throws away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiscardKind {
    /// ALL.
    All,
    /// PLANS.
    Plans,
    /// SEQUENCES.
    Sequences,
    /// TEMP.
    Temporary,
}

/// COMMENT ON.
#[derive(Clone, Copy, Debug)]
pub struct Comment<'a> {
    /// Of what kind.
    pub kind: ObjectKind,
    /// Its name.
    pub name: ObjectName<'a>,
    /// `CONSTRAINT name ON table`.
    pub on: Option<ObjectName<'a>>,
    /// The comment; `None`: removed.
    pub text: Option<&'a str>,
    /// Its text.
    pub span: Span,
}

/// LISTEN, UNLISTEN, NOTIFY.
#[derive(Clone, Copy, Debug)]
pub enum Notify<'a> {
    /// LISTEN.
    Listen {
        /// The channel.
        channel: Name<'a>,
        /// Its text.
        span: Span,
    },
    /// UNLISTEN.
    Unlisten {
        /// The channel; `None`: all.
        channel: Option<Name<'a>>,
        /// Its text.
        span: Span,
    },
    /// NOTIFY.
    Notify {
        /// The channel.
        channel: Name<'a>,
        /// The payload.
        payload: &'a str,
        /// Its text.
        span: Span,
    },
}

/// LOCK TABLE.
#[derive(Clone, Copy, Debug)]
pub struct LockTable<'a> {
    /// The tables.
    pub tables: &'a [ObjectName<'a>],
    /// ONLY.
    pub only: bool,
    /// Mode words in upper case, e.g. `ACCESS EXCLUSIVE`.
    pub mode: &'static str,
    /// NOWAIT.
    pub no_wait: bool,
    /// Its text.
    pub span: Span,
}

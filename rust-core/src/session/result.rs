//! What a statement's result looks like to those above: columns, status, tags. Plain data.

use crate::sql::plan::expression::OutputColumn;
use crate::sql::plan::physical::StatementKind;
use crate::sql::types::data_type::{DataType, SqlType};

/// A column of a result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// The table column it is, unchanged: (table's object id, position from 1).
    pub origin: Option<(u32, u32)>,
}

impl ResultColumn {
    /// A column of text that no table holds.
    pub(crate) fn text(name: &str) -> ResultColumn {
        ResultColumn {
            name: name.to_string(),
            sql_type: SqlType::plain(DataType::Text),
            nullable: false,
            origin: None,
        }
    }

    pub(crate) fn from_output(column: &OutputColumn) -> ResultColumn {
        ResultColumn {
            name: column.name.clone(),
            sql_type: column.sql_type,
            nullable: column.nullable,
            origin: column.origin,
        }
    }
}

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionStatus {
    /// No transaction: each statement is its own.
    Idle,
    /// In a transaction block.
    Active,
    /// In a transaction block that an error aborted: only ROLLBACK and COMMIT are accepted.
    Failed,
}

/// What a prepared statement does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PreparedKind {
    /// SELECT, VALUES, TABLE.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// CREATE TABLE.
    CreateTable,
    /// DROP TABLE.
    DropTable,
    /// CREATE INDEX.
    CreateIndex,
    /// DROP INDEX.
    DropIndex,
    /// REINDEX.
    Reindex,
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT.
    Rollback,
    /// SAVEPOINT.
    Savepoint,
    /// RELEASE SAVEPOINT.
    Release,
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo,
    /// SET (also SET TRANSACTION).
    Set,
    /// RESET.
    Reset,
    /// SHOW.
    Show,
    /// CHECKPOINT.
    Checkpoint,
    /// EXPLAIN.
    Explain,
    /// COPY.
    Copy,
    /// ANALYZE.
    Analyze,
    /// VACUUM.
    Vacuum,
    /// LOCK TABLE.
    Lock,
    /// CREATE VIEW.
    CreateView,
    /// DROP VIEW.
    DropView,
    /// CREATE TABLE AS.
    CreateTableAs,
    /// TRUNCATE.
    Truncate,
    /// SET CONSTRAINTS.
    SetConstraints,
    /// ALTER TABLE.
    AlterTable,
    /// ALTER INDEX.
    AlterIndex,
    /// CREATE SEQUENCE.
    CreateSequence,
    /// ALTER SEQUENCE.
    AlterSequence,
    /// DROP SEQUENCE.
    DropSequence,
    /// LISTEN.
    Listen,
    /// UNLISTEN.
    Unlisten,
    /// NOTIFY.
    Notify,
    /// DISCARD ALL.
    DiscardAll,
    /// DISCARD PLANS.
    DiscardPlans,
    /// DISCARD SEQUENCES.
    DiscardSequences,
    /// DISCARD TEMP.
    DiscardTemporary,
    /// PREPARE.
    Prepare,
    /// DEALLOCATE of one name.
    Deallocate,
    /// DEALLOCATE ALL.
    DeallocateAll,
}

impl PreparedKind {
    /// The command tag, as PostgreSQL sends it; `rows` are the rows returned or changed.
    pub fn tag(self, rows: u64) -> String {
        match self {
            PreparedKind::Select => format!("SELECT {rows}"),
            PreparedKind::Insert => format!("INSERT 0 {rows}"),
            PreparedKind::Update => format!("UPDATE {rows}"),
            PreparedKind::Delete => format!("DELETE {rows}"),
            PreparedKind::Copy => format!("COPY {rows}"),
            other => String::from(other.name()),
        }
    }

    /// The statement's name.
    pub fn name(self) -> &'static str {
        match self {
            PreparedKind::Select => "SELECT",
            PreparedKind::Insert => "INSERT",
            PreparedKind::Update => "UPDATE",
            PreparedKind::Delete => "DELETE",
            PreparedKind::CreateTable => "CREATE TABLE",
            PreparedKind::DropTable => "DROP TABLE",
            PreparedKind::CreateIndex => "CREATE INDEX",
            PreparedKind::DropIndex => "DROP INDEX",
            PreparedKind::Reindex => "REINDEX",
            PreparedKind::Begin => "BEGIN",
            PreparedKind::Commit => "COMMIT",
            PreparedKind::Rollback | PreparedKind::RollbackTo => "ROLLBACK",
            PreparedKind::Savepoint => "SAVEPOINT",
            PreparedKind::Release => "RELEASE",
            PreparedKind::Set => "SET",
            PreparedKind::Reset => "RESET",
            PreparedKind::Show => "SHOW",
            PreparedKind::Checkpoint => "CHECKPOINT",
            PreparedKind::Explain => "EXPLAIN",
            PreparedKind::Copy => "COPY",
            PreparedKind::Analyze => "ANALYZE",
            PreparedKind::Vacuum => "VACUUM",
            PreparedKind::Lock => "LOCK TABLE",
            PreparedKind::CreateView => "CREATE VIEW",
            PreparedKind::DropView => "DROP VIEW",
            PreparedKind::CreateTableAs => "CREATE TABLE AS",
            PreparedKind::Truncate => "TRUNCATE TABLE",
            PreparedKind::SetConstraints => "SET CONSTRAINTS",
            PreparedKind::AlterTable => "ALTER TABLE",
            PreparedKind::AlterIndex => "ALTER INDEX",
            PreparedKind::CreateSequence => "CREATE SEQUENCE",
            PreparedKind::AlterSequence => "ALTER SEQUENCE",
            PreparedKind::DropSequence => "DROP SEQUENCE",
            PreparedKind::Listen => "LISTEN",
            PreparedKind::Unlisten => "UNLISTEN",
            PreparedKind::Notify => "NOTIFY",
            PreparedKind::DiscardAll => "DISCARD ALL",
            PreparedKind::DiscardPlans => "DISCARD PLANS",
            PreparedKind::DiscardSequences => "DISCARD SEQUENCES",
            PreparedKind::DiscardTemporary => "DISCARD TEMP",
            PreparedKind::Prepare => "PREPARE",
            PreparedKind::Deallocate => "DEALLOCATE",
            PreparedKind::DeallocateAll => "DEALLOCATE ALL",
        }
    }

    /// Whether the statement changes tables or definitions: refused with 25006 in a read-only transaction.
    pub fn writes(self) -> bool {
        matches!(
            self,
            PreparedKind::Insert
                | PreparedKind::Update
                | PreparedKind::Delete
                | PreparedKind::CreateTable
                | PreparedKind::DropTable
                | PreparedKind::CreateIndex
                | PreparedKind::DropIndex
                | PreparedKind::Reindex
                | PreparedKind::CreateView
                | PreparedKind::DropView
                | PreparedKind::CreateTableAs
                | PreparedKind::Truncate
                | PreparedKind::AlterTable
                | PreparedKind::AlterIndex
                | PreparedKind::CreateSequence
                | PreparedKind::AlterSequence
                | PreparedKind::DropSequence
                | PreparedKind::Analyze
        )
    }

    /// INSERT, UPDATE, DELETE.
    pub fn changes_rows(self) -> bool {
        matches!(self, PreparedKind::Insert | PreparedKind::Update | PreparedKind::Delete)
    }

    /// COMMIT, ROLLBACK and ROLLBACK TO: what is accepted in a block that an error aborted.
    pub(crate) fn ends_failure(self) -> bool {
        matches!(self, PreparedKind::Commit | PreparedKind::Rollback | PreparedKind::RollbackTo)
    }

    /// COMMIT and ROLLBACK: what a block is over after.
    pub(crate) fn ends_block(self) -> bool {
        matches!(self, PreparedKind::Commit | PreparedKind::Rollback)
    }

    /// Whether it is about the transaction itself: nothing in it is undone by an error.
    pub(crate) fn controls_transaction(self) -> bool {
        self.ends_failure()
            || matches!(self, PreparedKind::Begin | PreparedKind::Savepoint | PreparedKind::Release)
    }
}

impl From<StatementKind> for PreparedKind {
    fn from(kind: StatementKind) -> PreparedKind {
        match kind {
            StatementKind::Select => PreparedKind::Select,
            StatementKind::Insert => PreparedKind::Insert,
            StatementKind::Update => PreparedKind::Update,
            StatementKind::Delete => PreparedKind::Delete,
        }
    }
}

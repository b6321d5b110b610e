//! What binding a statement gives: a logical plan, or a utility statement as plain data.
//! Knows nothing of how either is carried out.

use crate::catalog::table_definition::{CheckDefinition, ColumnDefinition, ConstraintKind};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::StatementKind;
use crate::sql::types::data_type::DataType;

/// What a statement is bound against, besides the catalog.
#[derive(Clone, Debug)]
pub struct BindOptions<'a> {
    /// The text that the statement was parsed from: positions are byte offsets in it, and defaults and checks
    /// are stored as pieces of it.
    pub text: &'a str,
    /// The schema that new tables without one go into.
    pub schema: &'a str,
    /// Types that the caller declared for the first parameters; `Unknown` leaves one to inference.
    pub parameter_types: &'a [DataType],
}

impl<'a> BindOptions<'a> {
    /// Options with defaults: schema `public`, no declared parameter types.
    pub fn new(text: &'a str) -> BindOptions<'a> {
        BindOptions { text, schema: "public", parameter_types: &[] }
    }
}

/// A statement with every name and type resolved.
#[derive(Clone, Debug)]
pub enum BoundStatement {
    /// A query or a data change.
    Query {
        /// What it means.
        plan: LogicalPlan,
        /// Types of the parameters `$1` …, in order.
        parameters: Vec<DataType>,
        /// What it does, for its tag.
        kind: StatementKind,
    },
    /// CREATE TABLE.
    CreateTable(CreateTable),
    /// DROP TABLE.
    DropTable(DropObjects),
    /// CREATE INDEX.
    CreateIndex(CreateIndex),
    /// DROP INDEX.
    DropIndex(DropObjects),
    /// BEGIN, COMMIT, ROLLBACK, SET TRANSACTION.
    Transaction(TransactionStatement),
    /// SET.
    Set(SetStatement),
    /// RESET.
    Reset {
        /// The setting; `None`: ALL.
        name: Option<String>,
        /// Where the name stands.
        position: usize,
    },
    /// SHOW.
    Show {
        /// The setting; `None`: ALL.
        name: Option<String>,
        /// Where the name stands.
        position: usize,
    },
    /// CHECKPOINT.
    Checkpoint,
}

/// The name of a table or index in a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectName {
    /// Its schema; `None` where the statement named none: the search path decides.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub position: usize,
}

/// CREATE TABLE. That the name is free is for the executing session to check (42P07, or a notice).
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// Where it goes.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub position: usize,
    /// Whether an existing relation of this name is no error.
    pub if_not_exists: bool,
    /// Its columns; those of the primary key are not-null.
    pub columns: Vec<ColumnDefinition>,
    /// Its check constraints, named.
    pub checks: Vec<CheckDefinition>,
    /// The column that is the row id, by position: an integer primary key of one column. It has no index.
    pub row_id_column: Option<usize>,
    /// The name of that primary key.
    pub row_id_constraint: Option<String>,
    /// Indexes behind the other keys.
    pub indexes: Vec<NewIndex>,
}

/// An index to be made.
#[derive(Clone, Debug)]
pub struct NewIndex {
    /// Its name.
    pub name: String,
    /// The constraint behind it.
    pub constraint: Option<ConstraintKind>,
    /// What it is over.
    pub columns: Vec<NewIndexColumn>,
    /// No two rows may have equal, non-NULL values.
    pub unique: bool,
}

/// A column of an index to be made, with its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewIndexColumn {
    /// Position in the table.
    pub column: usize,
    /// Descending order.
    pub descending: bool,
    /// NULLs before other values.
    pub nulls_first: bool,
}

/// CREATE INDEX. That the name is free is for the executing session to check.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// The table's schema.
    pub schema: String,
    /// The table, which exists.
    pub table: String,
    /// The index.
    pub index: NewIndex,
    /// Where the index's name stands, or the table's where it was generated.
    pub position: usize,
    /// Whether an existing relation of this name is no error.
    pub if_not_exists: bool,
}

/// DROP TABLE, DROP INDEX. The executing session looks the names up.
#[derive(Clone, Debug)]
pub struct DropObjects {
    /// What is dropped.
    pub names: Vec<ObjectName>,
    /// Whether an absent one is no error.
    pub if_exists: bool,
    /// CASCADE.
    pub cascade: bool,
}

/// What a transaction asks for; `None` leaves the session's default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TransactionModes {
    /// ISOLATION LEVEL.
    pub isolation: Option<BoundIsolation>,
    /// READ ONLY (true) or READ WRITE (false).
    pub read_only: Option<bool>,
}

/// An isolation level that Lumos has. READ UNCOMMITTED is read committed, as in PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoundIsolation {
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
}

/// Transaction control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionStatement {
    /// BEGIN, START TRANSACTION.
    Begin(TransactionModes),
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT.
    Rollback,
    /// SET TRANSACTION: of the current transaction.
    SetModes(TransactionModes),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION: of later ones.
    SetDefaultModes(TransactionModes),
}

/// SET.
#[derive(Clone, Debug)]
pub struct SetStatement {
    /// The setting, in lower case.
    pub name: String,
    /// Its value as text; `None`: DEFAULT.
    pub value: Option<String>,
    /// SET LOCAL: until the transaction ends.
    pub local: bool,
    /// Where the name stands.
    pub position: usize,
}

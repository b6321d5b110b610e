//! What binding a statement gives: a logical plan, or a utility statement as plain data.
//! Knows nothing of how either is carried out.

use crate::catalog::sequence_definition::SequenceOptions;
use crate::catalog::table_definition::{
    CheckDefinition, ColumnDefinition, ConstraintKind, Deferral, ForeignKeyMatching, ReferentialAction,
};
use crate::common::ids::{Lsn, ObjectId};
use crate::sql::ast::control::DiscardKind;
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::StatementKind;
use crate::sql::types::data_type::{DataType, SqlType};

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
    /// The snapshot that the statement will run with, where it is an older one: indexes made since are not read.
    pub snapshot: Option<Lsn>,
    /// The statement of PREPARE that an EXECUTE in it means.
    pub executed: Option<ExecutedStatement<'a>>,
}

/// A statement of PREPARE as EXECUTE finds it.
#[derive(Clone, Copy, Debug)]
pub struct ExecutedStatement<'a> {
    /// The text of the PREPARE.
    pub text: &'a str,
    /// The types of its parameters.
    pub parameters: &'a [DataType],
}

impl<'a> BindOptions<'a> {
    /// Options with defaults: schema `public`, no declared parameter types.
    pub fn new(text: &'a str) -> BindOptions<'a> {
        BindOptions { text, schema: "public", parameter_types: &[], snapshot: None, executed: None }
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
    CreateTable(Box<CreateTable>),
    /// ALTER TABLE.
    AlterTable(AlterTable),
    /// DROP TABLE.
    DropTable(DropObjects),
    /// CREATE INDEX.
    CreateIndex(CreateIndex),
    /// DROP INDEX.
    DropIndex(DropObjects),
    /// REINDEX.
    Reindex(Reindex),
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
    /// EXPLAIN.
    Explain(Box<ExplainStatement>),
    /// COPY.
    Copy(Box<CopyStatement>),
    /// ANALYZE. Without tables: all of them.
    Analyze {
        /// Which tables.
        targets: Vec<AnalyzeTarget>,
        /// SKIP_LOCKED: tables that would have to be waited for are left out.
        skip_locked: bool,
    },
    /// VACUUM. Without tables: the whole database.
    Vacuum {
        /// Which tables.
        targets: Vec<AnalyzeTarget>,
        /// ANALYZE after it.
        analyze: bool,
        /// SKIP_LOCKED: tables that would have to be waited for are left out.
        skip_locked: bool,
    },
    /// LOCK TABLE.
    Lock(LockTables),
    /// TRUNCATE: for each table the removal of all its rows.
    Truncate(Vec<TruncateTarget>),
    /// CREATE VIEW.
    CreateView(CreateView),
    /// DROP VIEW.
    DropView(DropObjects),
    /// CREATE TABLE AS, SELECT INTO.
    CreateTableAs(Box<CreateTableAs>),
    /// CREATE SEQUENCE.
    CreateSequence(CreateSequence),
    /// ALTER SEQUENCE.
    AlterSequence(AlterSequence),
    /// DROP SEQUENCE.
    DropSequence(DropObjects),
    /// LISTEN, UNLISTEN, NOTIFY.
    Notification(NotificationStatement),
    /// DISCARD.
    Discard(DiscardKind),
    /// PREPARE.
    Prepare(PrepareStatement),
    /// EXECUTE with its arguments, of the types of the statement's parameters.
    Execute(Vec<Expression>),
    /// DEALLOCATE; `None`: ALL.
    Deallocate(Option<String>),
}

/// PREPARE. What it prepares is bound when it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrepareStatement {
    /// The name.
    pub name: String,
    /// The types that were written for the first parameters; `Unknown` leaves one to inference.
    pub types: Vec<DataType>,
}

/// LOCK TABLE.
#[derive(Clone, Debug)]
pub struct LockTables {
    /// The tables with their names, in the order written.
    pub tables: Vec<(ObjectId, String)>,
    /// The words of its mode, in upper case.
    pub mode: &'static str,
    /// NOWAIT: rather an error than waiting.
    pub no_wait: bool,
}

/// A table of ANALYZE.
#[derive(Clone, Debug)]
pub struct AnalyzeTarget {
    /// Which table.
    pub table: ObjectName,
    /// Positions of the columns that are looked at; empty: all.
    pub columns: Vec<usize>,
}

/// A table of TRUNCATE.
#[derive(Clone, Debug)]
pub struct TruncateTarget {
    /// Its name where CASCADE reached it, for a notice.
    pub cascaded: Option<String>,
    /// Which table.
    pub table: ObjectId,
    /// Removes its rows.
    pub plan: LogicalPlan,
    /// RESTART IDENTITY: the sequences of its columns begin anew.
    pub restart_identity: bool,
}

/// EXPLAIN of a query or data change.
#[derive(Clone, Debug)]
pub struct ExplainStatement {
    /// What is explained.
    pub plan: LogicalPlan,
    /// Types of its parameters.
    pub parameters: Vec<DataType>,
    /// Their values, where it is EXECUTE that is explained.
    pub arguments: Option<Vec<Expression>>,
    /// What it does.
    pub kind: StatementKind,
    /// ANALYZE: it is run, and the plan shows what came of it.
    pub analyze: bool,
    /// VERBOSE: output columns are shown.
    pub verbose: bool,
    /// COSTS.
    pub costs: bool,
    /// TIMING; only with `analyze`.
    pub timing: bool,
    /// SUMMARY: times of planning and running.
    pub summary: bool,
    /// FORMAT.
    pub format: ExplainFormat,
}

/// How EXPLAIN shows a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExplainFormat {
    /// Lines of text.
    Text,
    /// One JSON document.
    Json,
}

/// COPY.
#[derive(Clone, Debug)]
pub struct CopyStatement {
    /// FROM: an `Insert` over `Supplied` rows; TO: a query.
    pub plan: LogicalPlan,
    /// FROM (true) or TO.
    pub from: bool,
    /// The columns in the file, in order.
    pub columns: Vec<OutputColumn>,
    /// Where the file is.
    pub file: CopyFile,
    /// What it looks like.
    pub format: CopyFormat,
    /// FROM … WHERE is part of `plan`. Where the statement's file or table stands.
    pub position: usize,
}

/// What COPY reads or writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopyFile {
    /// A file by its path.
    Path(String),
    /// STDIN or STDOUT: the caller's reader or writer.
    Caller,
}

/// The form of a file of COPY.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyFormat {
    /// CSV; else PostgreSQL's text format.
    pub csv: bool,
    /// Between values.
    pub delimiter: u8,
    /// How NULL is written.
    pub null: String,
    /// Whether the first line holds names.
    pub header: CopyHeader,
    /// CSV: around values.
    pub quote: u8,
    /// CSV: before a quote inside quotes.
    pub escape: u8,
    /// CSV, TO: one a column, whether its values are always quoted.
    pub force_quote: Vec<bool>,
    /// CSV, FROM: one a column, whether the unquoted NULL text is a value.
    pub force_not_null: Vec<bool>,
    /// CSV, FROM: one a column, whether the NULL text means NULL even in quotes.
    pub force_null: Vec<bool>,
}

/// The first line of a file of COPY.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyHeader {
    /// Data.
    None,
    /// Names, not looked at on input.
    Names,
    /// Names, which must be those of the columns on input.
    Match,
}

/// CREATE VIEW.
#[derive(Clone, Debug)]
pub struct CreateView {
    /// Where it goes.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub position: usize,
    /// OR REPLACE.
    pub or_replace: bool,
    /// Names and types of its columns; a replaced view keeps its own as the first ones (42P16).
    pub columns: Vec<(String, SqlType)>,
    /// Its query as SQL text.
    pub query: String,
    /// Tables and views that the query reads, each once.
    pub dependencies: Vec<ObjectId>,
}

/// CREATE TABLE AS.
#[derive(Clone, Debug)]
pub struct CreateTableAs {
    /// The table, with the query's columns.
    pub table: CreateTable,
    /// The query.
    pub plan: LogicalPlan,
    /// Types of the query's parameters.
    pub parameters: Vec<DataType>,
    /// Their values, in CREATE TABLE AS EXECUTE.
    pub arguments: Option<Vec<Expression>>,
    /// WITH DATA.
    pub with_data: bool,
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
    /// Indexes behind no constraint, which LIKE copied.
    pub other_indexes: Vec<NewIndex>,
    /// What its rows refer to.
    pub foreign_keys: Vec<NewForeignKey>,
    /// Sequences behind serial and identity columns.
    pub sequences: Vec<ColumnSequence>,
    /// WITH (…).
    pub storage: StorageParameters,
    /// WITH (…) of the integer primary key, which has no pages of its own.
    pub row_id_storage: StorageParameters,
    /// The tables of LIKE.
    pub copied_tables: Vec<ObjectId>,
}

/// What storage parameters come to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct StorageParameters {
    /// fillfactor: how far pages are filled, in hundredths.
    pub fill_percent: Option<u8>,
    /// The names of those that PostgreSQL has and that have no effect here.
    pub without_effect: Vec<String>,
}

/// What ALTER … SET (…) is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StorageOwner {
    /// The table.
    Table,
    /// The index of this number.
    Index(ObjectId),
    /// The integer primary key, which has no pages of its own.
    RowId,
}

/// ALTER TABLE, and ALTER INDEX.
#[derive(Clone, Debug)]
pub struct AlterTable {
    /// The table as it was named.
    pub name: ObjectName,
    /// Its number, or that of the index's table; `None`: it is not there, and need not be.
    pub table: Option<ObjectId>,
    /// The statement is ALTER INDEX.
    pub of_index: bool,
    /// What is to change, in order.
    pub changes: Vec<ConstraintChange>,
}

/// A column or constraint that comes, a constraint that goes, or another way to store what is there.
#[derive(Clone, Debug)]
pub enum ConstraintChange {
    /// A column comes.
    AddColumn {
        /// The column.
        column: ColumnDefinition,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// Where its name stands.
        position: usize,
    },
    /// A foreign key comes.
    AddForeignKey {
        /// The key.
        key: NewForeignKey,
        /// Rows that are there are looked at; false: NOT VALID.
        is_valid: bool,
    },
    /// A check comes.
    AddCheck {
        /// The check.
        check: CheckDefinition,
        /// As of a foreign key.
        is_valid: bool,
    },
    /// The rows from before a constraint came NOT VALID are looked at.
    Validate {
        /// Its name.
        name: String,
        /// Where the name stands.
        position: usize,
    },
    /// A primary key or unique constraint comes.
    AddKey(NewIndex),
    /// SET (…).
    SetStorage(StorageOwner, StorageParameters),
    /// RESET (fillfactor).
    ResetFillFactor(StorageOwner),
    /// A constraint goes.
    Drop {
        /// Its name.
        name: String,
        /// Where the name stands.
        position: usize,
        /// IF EXISTS.
        if_exists: bool,
        /// CASCADE.
        cascade: bool,
    },
}

/// A foreign key to be made.
#[derive(Clone, Debug)]
pub struct NewForeignKey {
    /// Its name.
    pub name: String,
    /// The columns that refer, by position.
    pub columns: Vec<usize>,
    /// The table that is referred to; `None`: the table itself.
    pub parent: Option<ObjectId>,
    /// Its columns.
    pub parent_columns: Vec<usize>,
    /// MATCH.
    pub matching: ForeignKeyMatching,
    /// ON DELETE.
    pub on_delete: ReferentialAction,
    /// ON UPDATE.
    pub on_update: ReferentialAction,
    /// When it is checked.
    pub deferral: Deferral,
}

/// The sequence behind a column of a table to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnSequence {
    /// The column, by position.
    pub column: usize,
    /// The sequence's name.
    pub name: String,
    /// Its options.
    pub options: SequenceOptions,
    /// Its first value.
    pub first: i64,
    /// GENERATED ALWAYS (true) or BY DEFAULT; `None`: a serial column.
    pub always: Option<bool>,
}

/// LISTEN, UNLISTEN, NOTIFY.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotificationStatement {
    /// LISTEN to a channel.
    Listen(String),
    /// UNLISTEN; `None`: all channels.
    Unlisten(Option<String>),
    /// NOTIFY.
    Notify {
        /// Where.
        channel: String,
        /// What.
        payload: String,
    },
}

/// CREATE SEQUENCE. That the name is free is for the executing session to check.
#[derive(Clone, Debug)]
pub struct CreateSequence {
    /// Where it goes.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub position: usize,
    /// Whether an existing relation of this name is no error.
    pub if_not_exists: bool,
    /// What its values look like.
    pub options: SequenceOptions,
    /// The options as written: where it begins, and whose it is.
    pub change: SequenceChange,
}

/// ALTER SEQUENCE. The executing session looks the name up.
#[derive(Clone, Debug)]
pub struct AlterSequence {
    /// Which.
    pub name: ObjectName,
    /// Whether an absent one is no error.
    pub if_exists: bool,
    /// The options as written.
    pub change: SequenceChange,
    /// RENAME TO: the new name and where it stands.
    pub rename: Option<(String, usize)>,
}

/// Options of a sequence as written; `None`: not said. See `apply` and `position`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SequenceChange {
    /// AS.
    pub data_type: Option<DataType>,
    /// INCREMENT BY.
    pub increment: Option<i64>,
    /// MINVALUE; `Some(None)`: NO MINVALUE.
    pub minimum: Option<Option<i64>>,
    /// MAXVALUE; `Some(None)`: NO MAXVALUE.
    pub maximum: Option<Option<i64>>,
    /// START WITH.
    pub start: Option<i64>,
    /// RESTART; `Some(None)`: at its start.
    pub restart: Option<Option<i64>>,
    /// CACHE.
    pub cache: Option<i64>,
    /// CYCLE (true) or NO CYCLE.
    pub cycle: Option<bool>,
    /// OWNED BY: a table and the position of its column; `Some(None)`: NONE.
    pub owner: Option<Option<(ObjectId, usize)>>,
    /// SEQUENCE NAME, of an identity column.
    pub name: Option<String>,
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
    /// The condition of a partial index.
    pub predicate: Option<NewComputed>,
    /// When its constraint is checked. The keys of one that can be put off are not unique by themselves.
    pub deferral: Deferral,
    /// WITH (…).
    pub storage: StorageParameters,
}

/// Something that an index to be made computes of each row.
#[derive(Clone, Debug)]
pub struct NewComputed {
    /// The expression: `Input { index }` is the table's column.
    pub expression: Expression,
    /// Its type.
    pub sql_type: SqlType,
    /// Its text.
    pub text: String,
}

/// What a part of an index to be made is.
#[derive(Clone, Debug)]
pub enum NewIndexKey {
    /// A column, by position in the table.
    Column(usize),
    /// An expression.
    Expression(NewComputed),
}

/// A part of an index to be made, with its order.
#[derive(Clone, Debug)]
pub struct NewIndexColumn {
    /// What it is.
    pub key: NewIndexKey,
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
    /// CONCURRENTLY.
    pub concurrently: bool,
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
    /// CONCURRENTLY: of an index.
    pub concurrently: bool,
}

/// REINDEX. The executing session looks the name up.
#[derive(Clone, Debug)]
pub struct Reindex {
    /// What is named.
    pub kind: ReindexKind,
    /// The name; of a schema or a database without a schema.
    pub name: ObjectName,
    /// CONCURRENTLY.
    pub concurrently: bool,
}

impl Reindex {
    /// Whether it is of several tables, each in a transaction of its own.
    pub fn is_of_many(&self) -> bool {
        matches!(self.kind, ReindexKind::Schema | ReindexKind::Database)
    }
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
}

/// What a transaction asks for; `None` leaves the session's default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TransactionModes {
    /// ISOLATION LEVEL.
    pub isolation: Option<BoundIsolation>,
    /// READ ONLY (true) or READ WRITE (false).
    pub read_only: Option<bool>,
    /// DEFERRABLE or NOT DEFERRABLE.
    pub deferrable: Option<bool>,
}

/// An isolation level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoundIsolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// Transaction control.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TransactionStatement {
    /// BEGIN, START TRANSACTION.
    Begin(TransactionModes),
    /// COMMIT, END.
    Commit {
        /// AND CHAIN: another one with the same modes begins at once.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(String),
    /// SET CONSTRAINTS.
    SetConstraints {
        /// Which; `None`: ALL.
        names: Option<Vec<ObjectName>>,
        /// DEFERRED; else IMMEDIATE.
        deferred: bool,
    },
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

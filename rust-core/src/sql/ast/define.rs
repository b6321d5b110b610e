//! Definitions as written: CREATE, ALTER, DROP, TRUNCATE.

use crate::sql::ast::control::Execute;
use crate::sql::ast::expression::{Expr, Literal, Operator};
use crate::sql::ast::query::Query;
use crate::sql::ast::{Name, ObjectName, Span, TypeName};

/// How long a table or view lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// In the database.
    Permanent,
    /// TEMPORARY.
    Temporary,
    /// UNLOGGED.
    Unlogged,
}

/// CREATE TABLE.
#[derive(Clone, Copy, Debug)]
pub struct CreateTable<'a> {
    /// TEMPORARY, UNLOGGED.
    pub persistence: Persistence,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Its name.
    pub name: ObjectName<'a>,
    /// Columns, constraints, LIKE, in order.
    pub elements: &'a [TableElement<'a>],
    /// What follows the parentheses.
    pub options: TableOptions<'a>,
    /// Its text.
    pub span: Span,
}

/// What follows the columns of CREATE TABLE; each with its place, so that it can be refused there.
#[derive(Clone, Copy, Default, Debug)]
pub struct TableOptions<'a> {
    /// INHERITS.
    pub inherits: Option<Span>,
    /// PARTITION BY, PARTITION OF.
    pub partition: Option<Span>,
    /// USING method.
    pub method: Option<Name<'a>>,
    /// WITH (…).
    pub storage: &'a [StorageOption<'a>],
    /// ON COMMIT PRESERVE ROWS | DELETE ROWS | DROP.
    pub on_commit: Option<(OnCommit, Span)>,
    /// TABLESPACE.
    pub tablespace: Option<Name<'a>>,
}

/// ON COMMIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnCommit {
    /// PRESERVE ROWS.
    PreserveRows,
    /// DELETE ROWS.
    DeleteRows,
    /// DROP.
    Drop,
}

/// `name = value` of a WITH list.
#[derive(Clone, Copy, Debug)]
pub struct StorageOption<'a> {
    /// The name.
    pub name: ObjectName<'a>,
    /// The value as text; absent: true.
    pub value: Option<OptionValue<'a>>,
}

/// A value of an option.
#[derive(Clone, Copy, Debug)]
pub enum OptionValue<'a> {
    /// A constant; a minus sign is part of numbers.
    Literal(Literal<'a>),
    /// A word.
    Name(Name<'a>),
    /// `*`.
    Star,
    /// `(a, b)`.
    Names(&'a [Name<'a>]),
}

/// An element of CREATE TABLE's list.
#[derive(Clone, Copy, Debug)]
pub enum TableElement<'a> {
    /// A column.
    Column(ColumnDefinition<'a>),
    /// A constraint.
    Constraint(TableConstraint<'a>),
    /// LIKE.
    Like {
        /// The table.
        table: ObjectName<'a>,
        /// What is copied besides columns, by INCLUDING and EXCLUDING.
        options: LikeOptions,
        /// Its text.
        span: Span,
    },
}

/// What LIKE copies besides names, types and NOT NULL. Comments, statistics, storage, compression and generated columns
/// have nothing that could be copied.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LikeOptions {
    /// Checks.
    pub constraints: bool,
    /// Defaults.
    pub defaults: bool,
    /// Identity columns, each with a sequence of its own.
    pub identity: bool,
    /// Indexes and keys.
    pub indexes: bool,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct ColumnDefinition<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Its type.
    pub type_name: TypeName<'a>,
    /// COLLATE.
    pub collation: Option<ObjectName<'a>>,
    /// Its constraints, in order.
    pub constraints: &'a [ColumnConstraint<'a>],
    /// Its text.
    pub span: Span,
}

/// A constraint of a column.
#[derive(Clone, Copy, Debug)]
pub struct ColumnConstraint<'a> {
    /// CONSTRAINT name.
    pub name: Option<Name<'a>>,
    /// What it demands.
    pub kind: ColumnConstraintKind<'a>,
    /// DEFERRABLE and the like.
    pub deferral: Deferral,
    /// Its text.
    pub span: Span,
}

/// What a column's constraint demands. The text of DEFAULT and CHECK is `expression.span` of the SQL text.
#[derive(Clone, Copy, Debug)]
pub enum ColumnConstraintKind<'a> {
    /// NULL.
    Null,
    /// NOT NULL.
    NotNull,
    /// DEFAULT.
    Default(Expr<'a>),
    /// CHECK.
    Check {
        /// The condition.
        condition: Expr<'a>,
        /// NO INHERIT.
        no_inherit: bool,
    },
    /// PRIMARY KEY.
    PrimaryKey(IndexOptions<'a>),
    /// UNIQUE.
    Unique {
        /// NULLS NOT DISTINCT.
        nulls_not_distinct: bool,
        /// WITH, TABLESPACE.
        options: IndexOptions<'a>,
    },
    /// REFERENCES.
    References(References<'a>),
    /// GENERATED ALWAYS AS (expression) STORED.
    Generated(Expr<'a>),
    /// GENERATED … AS IDENTITY.
    Identity {
        /// ALWAYS; else BY DEFAULT.
        always: bool,
        /// Sequence options.
        options: &'a [SequenceOption<'a>],
    },
}

/// When a constraint is checked.
#[derive(Clone, Copy, Default, Debug)]
pub struct Deferral {
    /// DEFERRABLE / NOT DEFERRABLE.
    pub deferrable: Option<bool>,
    /// INITIALLY DEFERRED / IMMEDIATE.
    pub initially_deferred: Option<bool>,
    /// NOT VALID.
    pub not_valid: bool,
    /// Where the first of these words stands.
    pub span: Option<Span>,
}

/// A constraint of a table.
#[derive(Clone, Copy, Debug)]
pub struct TableConstraint<'a> {
    /// CONSTRAINT name.
    pub name: Option<Name<'a>>,
    /// What it demands.
    pub kind: TableConstraintKind<'a>,
    /// DEFERRABLE and the like.
    pub deferral: Deferral,
    /// Its text.
    pub span: Span,
}

/// What a table's constraint demands.
#[derive(Clone, Copy, Debug)]
pub enum TableConstraintKind<'a> {
    /// CHECK.
    Check {
        /// The condition.
        condition: Expr<'a>,
        /// NO INHERIT.
        no_inherit: bool,
    },
    /// PRIMARY KEY.
    PrimaryKey {
        /// Columns.
        columns: &'a [Name<'a>],
        /// INCLUDE, WITH, TABLESPACE.
        options: IndexOptions<'a>,
    },
    /// UNIQUE.
    Unique {
        /// Columns.
        columns: &'a [Name<'a>],
        /// NULLS NOT DISTINCT.
        nulls_not_distinct: bool,
        /// INCLUDE, WITH, TABLESPACE.
        options: IndexOptions<'a>,
    },
    /// PRIMARY KEY or UNIQUE USING INDEX.
    UsingIndex {
        /// PRIMARY KEY; else UNIQUE.
        primary: bool,
        /// The index.
        index: Name<'a>,
    },
    /// FOREIGN KEY.
    ForeignKey {
        /// Columns.
        columns: &'a [Name<'a>],
        /// What they refer to.
        references: References<'a>,
    },
    /// EXCLUDE.
    Exclude {
        /// Index method.
        method: Option<Name<'a>>,
        /// Elements with operators.
        elements: &'a [(IndexElement<'a>, Operator<'a>)],
        /// WHERE.
        filter: Option<&'a Expr<'a>>,
    },
}

/// What may follow an index's columns.
#[derive(Clone, Copy, Default, Debug)]
pub struct IndexOptions<'a> {
    /// INCLUDE.
    pub include: &'a [Name<'a>],
    /// WITH.
    pub storage: &'a [StorageOption<'a>],
    /// TABLESPACE.
    pub tablespace: Option<Name<'a>>,
}

/// REFERENCES.
#[derive(Clone, Copy, Debug)]
pub struct References<'a> {
    /// The table.
    pub table: ObjectName<'a>,
    /// Its columns; empty: its primary key.
    pub columns: &'a [Name<'a>],
    /// MATCH.
    pub matching: Matching,
    /// ON DELETE.
    pub on_delete: ReferentialAction<'a>,
    /// ON UPDATE.
    pub on_update: ReferentialAction<'a>,
    /// Its text.
    pub span: Span,
}

/// MATCH of a foreign key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Matching {
    /// SIMPLE.
    Simple,
    /// FULL.
    Full,
    /// PARTIAL.
    Partial,
}

/// What happens to rows that refer to a changed row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReferentialAction<'a> {
    /// NO ACTION.
    NoAction,
    /// RESTRICT.
    Restrict,
    /// CASCADE.
    Cascade,
    /// SET NULL, with columns.
    SetNull(&'a [Name<'a>]),
    /// SET DEFAULT, with columns.
    SetDefault(&'a [Name<'a>]),
}

/// CREATE TABLE … AS.
#[derive(Clone, Copy, Debug)]
pub struct CreateTableAs<'a> {
    /// TEMPORARY, UNLOGGED.
    pub persistence: Persistence,
    /// MATERIALIZED VIEW.
    pub materialized_view: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Its name.
    pub name: ObjectName<'a>,
    /// Names of columns.
    pub columns: &'a [Name<'a>],
    /// WITH (…), ON COMMIT and the like.
    pub options: TableOptions<'a>,
    /// The query.
    pub source: TableSource<'a>,
    /// WITH DATA; false: WITH NO DATA.
    pub with_data: bool,
    /// Its text.
    pub span: Span,
}

/// What a table is made of.
#[derive(Clone, Copy, Debug)]
pub enum TableSource<'a> {
    /// AS query.
    Query(&'a Query<'a>),
    /// AS EXECUTE.
    Execute(&'a Execute<'a>),
}

/// CREATE INDEX.
#[derive(Clone, Copy, Debug)]
pub struct CreateIndex<'a> {
    /// UNIQUE.
    pub unique: bool,
    /// CONCURRENTLY: where it stands.
    pub concurrently: Option<Span>,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Its name; absent: made from table and columns.
    pub name: Option<Name<'a>>,
    /// ONLY.
    pub only: bool,
    /// The table.
    pub table: ObjectName<'a>,
    /// USING.
    pub method: Option<Name<'a>>,
    /// What is indexed.
    pub elements: &'a [IndexElement<'a>],
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// INCLUDE, WITH, TABLESPACE.
    pub options: IndexOptions<'a>,
    /// WHERE.
    pub filter: Option<&'a Expr<'a>>,
    /// Its text.
    pub span: Span,
}

/// An indexed column or expression.
#[derive(Clone, Copy, Debug)]
pub struct IndexElement<'a> {
    /// [`crate::sql::ast::expression::ExprKind::Column`] of one part for a column.
    pub value: Expr<'a>,
    /// COLLATE.
    pub collation: Option<ObjectName<'a>>,
    /// Operator class.
    pub operator_class: Option<ObjectName<'a>>,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST / LAST; absent: last for ASC, first for DESC.
    pub nulls_first: Option<bool>,
}

impl IndexElement<'_> {
    /// Whether NULLs come first, with PostgreSQL's default.
    pub fn places_nulls_first(&self) -> bool {
        self.nulls_first.unwrap_or(self.descending)
    }
}

/// CREATE VIEW.
#[derive(Clone, Copy, Debug)]
pub struct CreateView<'a> {
    /// OR REPLACE.
    pub or_replace: bool,
    /// TEMPORARY.
    pub persistence: Persistence,
    /// RECURSIVE.
    pub recursive: bool,
    /// Its name.
    pub name: ObjectName<'a>,
    /// Names of columns.
    pub columns: &'a [Name<'a>],
    /// WITH (…).
    pub options: &'a [StorageOption<'a>],
    /// The query; its text is `query.span`.
    pub query: &'a Query<'a>,
    /// WITH CHECK OPTION: where it stands.
    pub check_option: Option<Span>,
    /// Its text.
    pub span: Span,
}

/// CREATE SEQUENCE.
#[derive(Clone, Copy, Debug)]
pub struct CreateSequence<'a> {
    /// TEMPORARY.
    pub persistence: Persistence,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Its name.
    pub name: ObjectName<'a>,
    /// Its options, in order.
    pub options: &'a [SequenceOption<'a>],
    /// Its text.
    pub span: Span,
}

/// ALTER SEQUENCE with options.
#[derive(Clone, Copy, Debug)]
pub struct AlterSequence<'a> {
    /// IF EXISTS.
    pub if_exists: bool,
    /// Which.
    pub name: ObjectName<'a>,
    /// What changes, in order.
    pub options: &'a [SequenceOption<'a>],
    /// Its text.
    pub span: Span,
}

/// An option of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct SequenceOption<'a> {
    /// What it says.
    pub kind: SequenceOptionKind<'a>,
    /// Its text.
    pub span: Span,
}

/// What an option of a sequence says.
#[derive(Clone, Copy, Debug)]
pub enum SequenceOptionKind<'a> {
    /// AS type.
    Type(TypeName<'a>),
    /// INCREMENT BY.
    Increment(i64),
    /// MINVALUE; `None`: NO MINVALUE.
    MinValue(Option<i64>),
    /// MAXVALUE; `None`: NO MAXVALUE.
    MaxValue(Option<i64>),
    /// START WITH.
    Start(i64),
    /// RESTART WITH.
    Restart(Option<i64>),
    /// CACHE.
    Cache(i64),
    /// CYCLE / NO CYCLE.
    Cycle(bool),
    /// OWNED BY; `None`: NONE.
    OwnedBy(Option<ObjectName<'a>>),
    /// SEQUENCE NAME.
    SequenceName(ObjectName<'a>),
}

/// CREATE SCHEMA.
#[derive(Clone, Copy, Debug)]
pub struct CreateSchema<'a> {
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Name<'a>,
    /// Its text.
    pub span: Span,
}

/// A kind of object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    /// TABLE.
    Table,
    /// INDEX.
    Index,
    /// VIEW.
    View,
    /// MATERIALIZED VIEW.
    MaterializedView,
    /// SEQUENCE.
    Sequence,
    /// SCHEMA.
    Schema,
    /// TYPE.
    Type,
    /// COLUMN (only in COMMENT).
    Column,
    /// CONSTRAINT (only in COMMENT).
    Constraint,
    /// DATABASE (only in COMMENT).
    Database,
}

/// ALTER of a table, or of another relation with actions that both know.
#[derive(Clone, Copy, Debug)]
pub struct AlterTable<'a> {
    /// TABLE, INDEX, VIEW, SEQUENCE.
    pub kind: ObjectKind,
    /// IF EXISTS.
    pub if_exists: bool,
    /// ONLY.
    pub only: bool,
    /// Its name.
    pub name: ObjectName<'a>,
    /// What is done, in order.
    pub actions: &'a [AlterAction<'a>],
    /// Its text.
    pub span: Span,
}

/// An action of ALTER TABLE.
#[derive(Clone, Copy, Debug)]
pub struct AlterAction<'a> {
    /// What is done.
    pub kind: AlterActionKind<'a>,
    /// Its text.
    pub span: Span,
}

/// What an action of ALTER TABLE does.
#[derive(Clone, Copy, Debug)]
pub enum AlterActionKind<'a> {
    /// ADD COLUMN.
    AddColumn {
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// The column.
        column: &'a ColumnDefinition<'a>,
    },
    /// DROP COLUMN.
    DropColumn {
        /// IF EXISTS.
        if_exists: bool,
        /// The column.
        column: Name<'a>,
        /// CASCADE.
        cascade: bool,
    },
    /// ALTER COLUMN … TYPE.
    ColumnType {
        /// The column.
        column: Name<'a>,
        /// The type.
        type_name: &'a TypeName<'a>,
        /// COLLATE.
        collation: Option<ObjectName<'a>>,
        /// USING.
        using: Option<&'a Expr<'a>>,
    },
    /// ALTER COLUMN … SET DEFAULT / DROP DEFAULT.
    ColumnDefault {
        /// The column.
        column: Name<'a>,
        /// The default; `None`: dropped.
        default: Option<&'a Expr<'a>>,
    },
    /// ALTER COLUMN … SET / DROP NOT NULL.
    ColumnNotNull {
        /// The column.
        column: Name<'a>,
        /// SET.
        not_null: bool,
    },
    /// ADD constraint.
    AddConstraint(&'a TableConstraint<'a>),
    /// DROP CONSTRAINT.
    DropConstraint {
        /// IF EXISTS.
        if_exists: bool,
        /// The constraint.
        name: Name<'a>,
        /// CASCADE.
        cascade: bool,
    },
    /// VALIDATE CONSTRAINT.
    ValidateConstraint(Name<'a>),
    /// RENAME TO.
    Rename(Name<'a>),
    /// RENAME COLUMN.
    RenameColumn {
        /// The column.
        column: Name<'a>,
        /// Its new name.
        to: Name<'a>,
    },
    /// RENAME CONSTRAINT.
    RenameConstraint {
        /// The constraint.
        name: Name<'a>,
        /// Its new name.
        to: Name<'a>,
    },
    /// SET SCHEMA.
    SetSchema(Name<'a>),
    /// SET (…).
    SetStorage(&'a [StorageOption<'a>]),
    /// RESET (…).
    ResetStorage(&'a [StorageOption<'a>]),
    /// OWNER TO.
    OwnerTo(Name<'a>),
}

/// DROP.
#[derive(Clone, Copy, Debug)]
pub struct Drop<'a> {
    /// Of what kind.
    pub kind: ObjectKind,
    /// CONCURRENTLY: where it stands.
    pub concurrently: Option<Span>,
    /// IF EXISTS.
    pub if_exists: bool,
    /// The objects.
    pub names: &'a [ObjectName<'a>],
    /// CASCADE; else RESTRICT.
    pub cascade: bool,
    /// Its text.
    pub span: Span,
}

/// TRUNCATE.
#[derive(Clone, Copy, Debug)]
pub struct Truncate<'a> {
    /// The tables.
    pub tables: &'a [ObjectName<'a>],
    /// ONLY.
    pub only: bool,
    /// RESTART IDENTITY.
    pub restart_identity: bool,
    /// CASCADE.
    pub cascade: bool,
    /// Its text.
    pub span: Span,
}

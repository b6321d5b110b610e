//! Queries as written: SELECT, VALUES, TABLE, WITH, set operations, FROM.

use crate::sql::ast::define::Persistence;
use crate::sql::ast::expression::{Expr, FunctionCall, Window};
use crate::sql::ast::{Name, ObjectName, Span, Statement, TypeName};

/// A query with everything around its body.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// WITH.
    pub with: Option<&'a With<'a>>,
    /// What yields rows.
    pub body: QueryBody<'a>,
    /// ORDER BY.
    pub order_by: &'a [OrderItem<'a>],
    /// LIMIT or FETCH FIRST; absent for LIMIT ALL.
    pub limit: Option<&'a Expr<'a>>,
    /// FETCH FIRST … WITH TIES: where WITH stands.
    pub with_ties: Option<Span>,
    /// OFFSET.
    pub offset: Option<&'a Expr<'a>>,
    /// FOR UPDATE and the like.
    pub locking: &'a [Locking<'a>],
    /// Its text.
    pub span: Span,
}

/// What yields the rows of a query.
#[derive(Clone, Copy, Debug)]
pub enum QueryBody<'a> {
    /// SELECT.
    Select(&'a Select<'a>),
    /// VALUES.
    Values(&'a Values<'a>),
    /// `TABLE name`.
    Table(&'a TableReference<'a>),
    /// A query in parentheses.
    Query(&'a Query<'a>),
    /// UNION, INTERSECT, EXCEPT from left to right (INTERSECT binds tighter and is then an inner sequence).
    SetOperations(&'a SetOperations<'a>),
}

/// VALUES.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The rows, at least one; the binder checks that they are equally long.
    pub rows: &'a [&'a [Expr<'a>]],
    /// Its text.
    pub span: Span,
}

/// Set operations from left to right.
#[derive(Clone, Copy, Debug)]
pub struct SetOperations<'a> {
    /// Leftmost operand.
    pub first: QueryBody<'a>,
    /// At least one.
    pub rest: &'a [SetStep<'a>],
}

/// A set operation with its right operand.
#[derive(Clone, Copy, Debug)]
pub struct SetStep<'a> {
    /// Which.
    pub operator: SetOperator,
    /// ALL.
    pub all: bool,
    /// Right operand.
    pub right: QueryBody<'a>,
    /// Where the operator stands.
    pub span: Span,
}

/// A set operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetOperator {
    /// UNION.
    Union,
    /// INTERSECT.
    Intersect,
    /// EXCEPT.
    Except,
}

/// SELECT.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// DISTINCT.
    pub distinct: Option<Distinct<'a>>,
    /// The select list; may be empty.
    pub items: &'a [SelectItem<'a>],
    /// INTO.
    pub into: Option<&'a Into<'a>>,
    /// FROM; several are a cross join.
    pub from: &'a [FromItem<'a>],
    /// WHERE.
    pub filter: Option<&'a Expr<'a>>,
    /// GROUP BY.
    pub group_by: Option<GroupBy<'a>>,
    /// HAVING.
    pub having: Option<&'a Expr<'a>>,
    /// WINDOW.
    pub windows: &'a [NamedWindow<'a>],
    /// Its text.
    pub span: Span,
}

/// `INTO table` of a SELECT, which makes the table.
#[derive(Clone, Copy, Debug)]
pub struct Into<'a> {
    /// TEMPORARY, UNLOGGED.
    pub persistence: Persistence,
    /// Its name.
    pub name: ObjectName<'a>,
    /// Its text, from the word INTO on.
    pub span: Span,
}

/// DISTINCT.
#[derive(Clone, Copy, Debug)]
pub enum Distinct<'a> {
    /// DISTINCT.
    All {
        /// The word.
        span: Span,
    },
    /// DISTINCT ON (…).
    On {
        /// The expressions.
        expressions: &'a [Expr<'a>],
        /// The word DISTINCT.
        span: Span,
    },
}

/// An element of a select list or of RETURNING.
#[derive(Clone, Copy, Debug)]
pub enum SelectItem<'a> {
    /// `*`.
    Star {
        /// Where.
        span: Span,
    },
    /// `table.*`.
    QualifiedStar(ObjectName<'a>),
    /// An expression.
    Expression {
        /// The expression.
        value: Expr<'a>,
        /// AS.
        alias: Option<Name<'a>>,
    },
}

/// GROUP BY.
#[derive(Clone, Copy, Debug)]
pub struct GroupBy<'a> {
    /// Its elements.
    pub elements: &'a [GroupingElement<'a>],
    /// GROUP BY DISTINCT.
    pub distinct: bool,
    /// The word GROUP.
    pub span: Span,
}

/// An element of GROUP BY.
#[derive(Clone, Copy, Debug)]
pub enum GroupingElement<'a> {
    /// An expression.
    Expression(Expr<'a>),
    /// `()`.
    Empty {
        /// Where.
        span: Span,
    },
    /// ROLLUP.
    Rollup {
        /// Expressions; `(a, b)` is a row.
        expressions: &'a [Expr<'a>],
        /// Where.
        span: Span,
    },
    /// CUBE.
    Cube {
        /// Expressions; `(a, b)` is a row.
        expressions: &'a [Expr<'a>],
        /// Where.
        span: Span,
    },
    /// GROUPING SETS.
    Sets {
        /// The sets.
        elements: &'a [GroupingElement<'a>],
        /// Where.
        span: Span,
    },
}

/// A window of the WINDOW clause.
#[derive(Clone, Copy, Debug)]
pub struct NamedWindow<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// What it is.
    pub window: &'a Window<'a>,
}

/// An element of ORDER BY.
#[derive(Clone, Copy, Debug)]
pub struct OrderItem<'a> {
    /// What is sorted by.
    pub value: Expr<'a>,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST / LAST; absent: last for ASC, first for DESC.
    pub nulls_first: Option<bool>,
    /// `USING operator`.
    pub using: Option<Name<'a>>,
}

impl OrderItem<'_> {
    /// Whether NULLs come first, with PostgreSQL's default.
    pub fn places_nulls_first(&self) -> bool {
        self.nulls_first.unwrap_or(self.descending)
    }
}

/// FOR UPDATE and the like.
#[derive(Clone, Copy, Debug)]
pub struct Locking<'a> {
    /// How strong.
    pub strength: LockingStrength,
    /// OF.
    pub tables: &'a [ObjectName<'a>],
    /// What happens at a locked row.
    pub wait: LockingWait,
    /// Its text.
    pub span: Span,
}

/// How strong rows are locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockingStrength {
    /// FOR UPDATE.
    Update,
    /// FOR NO KEY UPDATE.
    NoKeyUpdate,
    /// FOR SHARE.
    Share,
    /// FOR KEY SHARE.
    KeyShare,
}

/// What happens at a locked row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockingWait {
    /// Wait.
    Wait,
    /// NOWAIT.
    NoWait,
    /// SKIP LOCKED.
    SkipLocked,
}

/// WITH.
#[derive(Clone, Copy, Debug)]
pub struct With<'a> {
    /// RECURSIVE.
    pub recursive: bool,
    /// The queries.
    pub tables: &'a [CommonTable<'a>],
    /// The word WITH.
    pub span: Span,
}

/// A query of WITH.
#[derive(Clone, Copy, Debug)]
pub struct CommonTable<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Its columns.
    pub columns: &'a [Name<'a>],
    /// `MATERIALIZED` or `NOT MATERIALIZED`.
    pub materialized: Option<bool>,
    /// A query, or INSERT, UPDATE, DELETE with RETURNING.
    pub statement: Statement<'a>,
    /// Its text.
    pub span: Span,
}

/// An element of FROM.
#[derive(Clone, Copy, Debug)]
pub enum FromItem<'a> {
    /// A table.
    Table(&'a TableReference<'a>),
    /// A query.
    Query(&'a DerivedTable<'a>),
    /// Functions.
    Function(&'a TableFunction<'a>),
    /// Joins, from left to right.
    Join(&'a JoinSequence<'a>),
}

/// A table of FROM or the target of UPDATE and DELETE.
#[derive(Clone, Copy, Debug)]
pub struct TableReference<'a> {
    /// Its name.
    pub name: ObjectName<'a>,
    /// ONLY.
    pub only: bool,
    /// AS.
    pub alias: Option<Alias<'a>>,
    /// TABLESAMPLE.
    pub sample: Option<&'a Sample<'a>>,
    /// Its text.
    pub span: Span,
}

/// TABLESAMPLE.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The method.
    pub method: ObjectName<'a>,
    /// Its arguments.
    pub arguments: &'a [Expr<'a>],
    /// REPEATABLE.
    pub seed: Option<Expr<'a>>,
    /// Its text.
    pub span: Span,
}

/// A query of FROM.
#[derive(Clone, Copy, Debug)]
pub struct DerivedTable<'a> {
    /// The query.
    pub query: &'a Query<'a>,
    /// LATERAL.
    pub lateral: bool,
    /// AS.
    pub alias: Option<Alias<'a>>,
    /// Its text.
    pub span: Span,
}

/// Functions of FROM.
#[derive(Clone, Copy, Debug)]
pub struct TableFunction<'a> {
    /// The calls; several only with ROWS FROM.
    pub calls: &'a [TableFunctionCall<'a>],
    /// WITH ORDINALITY.
    pub ordinality: bool,
    /// LATERAL.
    pub lateral: bool,
    /// AS.
    pub alias: Option<Alias<'a>>,
    /// `AS name (column type, …)`.
    pub columns: &'a [ColumnWithType<'a>],
    /// Its text.
    pub span: Span,
}

/// A function of FROM.
#[derive(Clone, Copy, Debug)]
pub struct TableFunctionCall<'a> {
    /// The call (an expression, because CURRENT_DATE and the like are allowed).
    pub call: Expr<'a>,
    /// The call where it is an ordinary one.
    pub function: Option<&'a FunctionCall<'a>>,
    /// `AS (column type, …)`.
    pub columns: &'a [ColumnWithType<'a>],
}

/// A column with its type.
#[derive(Clone, Copy, Debug)]
pub struct ColumnWithType<'a> {
    /// Its name.
    pub name: Name<'a>,
    /// Its type.
    pub type_name: TypeName<'a>,
}

/// A name for an element of FROM.
#[derive(Clone, Copy, Debug)]
pub struct Alias<'a> {
    /// The name.
    pub name: Name<'a>,
    /// Names of columns.
    pub columns: &'a [Name<'a>],
}

/// Joins from left to right: `first JOIN a ON … JOIN b ON …`.
#[derive(Clone, Copy, Debug)]
pub struct JoinSequence<'a> {
    /// Leftmost.
    pub first: FromItem<'a>,
    /// At least one.
    pub rest: &'a [JoinStep<'a>],
    /// `(… JOIN …) AS name`.
    pub alias: Option<Alias<'a>>,
    /// Its text.
    pub span: Span,
}

/// A join with its right side.
#[derive(Clone, Copy, Debug)]
pub struct JoinStep<'a> {
    /// Which.
    pub kind: JoinKind,
    /// Right side.
    pub right: FromItem<'a>,
    /// On what.
    pub condition: JoinCondition<'a>,
    /// The words before the right side.
    pub span: Span,
}

/// A kind of join.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    /// CROSS.
    Cross,
    /// INNER.
    Inner,
    /// LEFT.
    Left,
    /// RIGHT.
    Right,
    /// FULL.
    Full,
}

/// On what rows are joined.
#[derive(Clone, Copy, Debug)]
pub enum JoinCondition<'a> {
    /// Nothing: CROSS JOIN.
    None,
    /// NATURAL.
    Natural,
    /// ON.
    On(&'a Expr<'a>),
    /// USING.
    Using {
        /// Columns.
        columns: &'a [Name<'a>],
        /// AS.
        alias: Option<Name<'a>>,
    },
}

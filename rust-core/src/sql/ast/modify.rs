//! Data changes as written: INSERT, UPDATE, DELETE, MERGE.

use crate::sql::ast::expression::Expr;
use crate::sql::ast::query::{Alias, FromItem, Query, SelectItem, TableReference, With};
use crate::sql::ast::{Name, ObjectName, Span};

/// INSERT.
#[derive(Clone, Copy, Debug)]
pub struct Insert<'a> {
    /// WITH.
    pub with: Option<&'a With<'a>>,
    /// The table.
    pub table: ObjectName<'a>,
    /// AS.
    pub alias: Option<Name<'a>>,
    /// The columns; empty: all, in order.
    pub columns: &'a [TargetColumn<'a>],
    /// OVERRIDING.
    pub overriding: Option<Overriding>,
    /// Rows.
    pub source: InsertSource<'a>,
    /// ON CONFLICT.
    pub on_conflict: Option<&'a OnConflict<'a>>,
    /// RETURNING; empty: none.
    pub returning: &'a [SelectItem<'a>],
    /// Its text.
    pub span: Span,
}

/// A column that is written to.
#[derive(Clone, Copy, Debug)]
pub struct TargetColumn<'a> {
    /// The column.
    pub name: Name<'a>,
    /// `column.field`, `column[i]`: where the indirection stands (refused by the binder).
    pub indirection: Option<Span>,
}

/// OVERRIDING … VALUE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overriding {
    /// SYSTEM.
    System,
    /// USER.
    User,
}

/// Where inserted rows come from.
#[derive(Clone, Copy, Debug)]
pub enum InsertSource<'a> {
    /// DEFAULT VALUES.
    DefaultValues,
    /// VALUES or a query.
    Query(&'a Query<'a>),
}

/// ON CONFLICT.
#[derive(Clone, Copy, Debug)]
pub struct OnConflict<'a> {
    /// Which conflicts.
    pub target: ConflictTarget<'a>,
    /// What to do.
    pub action: ConflictAction<'a>,
    /// Its text.
    pub span: Span,
}

/// Which conflicts are meant.
#[derive(Clone, Copy, Debug)]
pub enum ConflictTarget<'a> {
    /// All.
    Any,
    /// `(columns) [WHERE …]`.
    Columns {
        /// Columns or expressions of a unique index.
        elements: &'a [ConflictElement<'a>],
        /// WHERE of a partial index.
        filter: Option<&'a Expr<'a>>,
    },
    /// ON CONSTRAINT.
    Constraint(Name<'a>),
}

/// A column of a conflict target.
#[derive(Clone, Copy, Debug)]
pub struct ConflictElement<'a> {
    /// A column or an expression.
    pub value: Expr<'a>,
    /// COLLATE.
    pub collation: Option<ObjectName<'a>>,
    /// Operator class.
    pub operator_class: Option<ObjectName<'a>>,
}

/// What is done at a conflict.
#[derive(Clone, Copy, Debug)]
pub enum ConflictAction<'a> {
    /// DO NOTHING.
    Nothing,
    /// DO UPDATE SET.
    Update {
        /// SET.
        assignments: &'a [Assignment<'a>],
        /// WHERE.
        filter: Option<&'a Expr<'a>>,
    },
}

/// An element of SET.
#[derive(Clone, Copy, Debug)]
pub enum Assignment<'a> {
    /// `column = value`.
    Column {
        /// The column.
        target: TargetColumn<'a>,
        /// The value; [`crate::sql::ast::expression::ExprKind::Default`] for DEFAULT.
        value: Expr<'a>,
    },
    /// `(a, b) = row or query`.
    Columns {
        /// The columns.
        targets: &'a [TargetColumn<'a>],
        /// A row, a query, or a value of one column.
        value: Expr<'a>,
        /// Its text.
        span: Span,
    },
}

/// UPDATE.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// WITH.
    pub with: Option<&'a With<'a>>,
    /// The table.
    pub table: TableReference<'a>,
    /// SET.
    pub assignments: &'a [Assignment<'a>],
    /// FROM.
    pub from: &'a [FromItem<'a>],
    /// WHERE.
    pub filter: Option<Condition<'a>>,
    /// RETURNING; empty: none.
    pub returning: &'a [SelectItem<'a>],
    /// Its text.
    pub span: Span,
}

/// DELETE.
#[derive(Clone, Copy, Debug)]
pub struct Delete<'a> {
    /// WITH.
    pub with: Option<&'a With<'a>>,
    /// The table.
    pub table: TableReference<'a>,
    /// USING.
    pub using: &'a [FromItem<'a>],
    /// WHERE.
    pub filter: Option<Condition<'a>>,
    /// RETURNING; empty: none.
    pub returning: &'a [SelectItem<'a>],
    /// Its text.
    pub span: Span,
}

/// WHERE of UPDATE and DELETE.
#[derive(Clone, Copy, Debug)]
pub enum Condition<'a> {
    /// An expression.
    Expression(&'a Expr<'a>),
    /// `CURRENT OF cursor`.
    CurrentOf(Name<'a>),
}

/// MERGE.
#[derive(Clone, Copy, Debug)]
pub struct Merge<'a> {
    /// WITH.
    pub with: Option<&'a With<'a>>,
    /// The table.
    pub table: ObjectName<'a>,
    /// ONLY.
    pub only: bool,
    /// AS.
    pub alias: Option<Alias<'a>>,
    /// USING.
    pub source: FromItem<'a>,
    /// ON.
    pub condition: Expr<'a>,
    /// WHEN.
    pub clauses: &'a [MergeClause<'a>],
    /// Its text.
    pub span: Span,
}

/// WHEN of MERGE.
#[derive(Clone, Copy, Debug)]
pub struct MergeClause<'a> {
    /// WHEN MATCHED; else WHEN NOT MATCHED.
    pub matched: bool,
    /// AND.
    pub condition: Option<Expr<'a>>,
    /// THEN.
    pub action: MergeAction<'a>,
    /// Its text.
    pub span: Span,
}

/// THEN of MERGE.
#[derive(Clone, Copy, Debug)]
pub enum MergeAction<'a> {
    /// DO NOTHING.
    Nothing,
    /// DELETE.
    Delete,
    /// UPDATE SET.
    Update(&'a [Assignment<'a>]),
    /// INSERT.
    Insert {
        /// The columns; empty: all.
        columns: &'a [TargetColumn<'a>],
        /// OVERRIDING.
        overriding: Option<Overriding>,
        /// VALUES; `None`: DEFAULT VALUES.
        values: Option<&'a [Expr<'a>]>,
    },
}

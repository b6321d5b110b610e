//! Logical plans: what a statement means, over numbered columns.

use crate::catalog::table_definition::TableDefinition;
use crate::sql::plan::expression::{AggregateCall, Expression, OutputColumn, SortKey};
use std::sync::Arc;

/// What a query or a data change means.
#[derive(Clone, Debug)]
pub enum LogicalPlan {
    /// All rows of a table. `columns[i]` is the table's column i.
    Scan {
        /// The table.
        table: Arc<TableDefinition>,
        /// One output column a table column, in order.
        columns: Vec<OutputColumn>,
    },
    /// Rows of expressions without columns; one row without columns is "no FROM".
    Values {
        /// The rows.
        rows: Vec<Vec<Expression>>,
        /// Their columns.
        columns: Vec<OutputColumn>,
    },
    /// Rows for which the predicate is true.
    Filter {
        /// Input.
        input: Box<LogicalPlan>,
        /// A boolean.
        predicate: Expression,
    },
    /// New columns from each row.
    Project {
        /// Input.
        input: Box<LogicalPlan>,
        /// One expression a column.
        expressions: Vec<Expression>,
        /// The columns.
        columns: Vec<OutputColumn>,
    },
    /// Groups. Without group expressions: one group, also for no rows. Puts out groups, then aggregates.
    Aggregate {
        /// Input.
        input: Box<LogicalPlan>,
        /// What is grouped by.
        groups: Vec<Expression>,
        /// The columns of the groups, as many as `groups`.
        group_columns: Vec<OutputColumn>,
        /// The aggregates.
        aggregates: Vec<AggregateCall>,
    },
    /// Rows without duplicates (NULLs are equal).
    Distinct {
        /// Input.
        input: Box<LogicalPlan>,
    },
    /// Rows in order.
    Sort {
        /// Input.
        input: Box<LogicalPlan>,
        /// Keys, most significant first.
        keys: Vec<SortKey>,
    },
    /// Some rows.
    Limit {
        /// Input.
        input: Box<LogicalPlan>,
        /// bigint; NULL or absent: all.
        limit: Option<Expression>,
        /// bigint; NULL or absent: 0.
        offset: Option<Expression>,
    },
    /// Puts rows into a table.
    Insert {
        /// The table.
        table: Arc<TableDefinition>,
        /// Rows with one column a table column, in table order, defaults filled in, types cast.
        input: Box<LogicalPlan>,
        /// Check constraints over the new row's columns (`new_columns`), with their names.
        checks: Vec<BoundCheck>,
        /// Columns that stand for the new row in checks and RETURNING; one a table column.
        new_columns: Vec<OutputColumn>,
        /// RETURNING, over `new_columns`.
        returning: Option<Returning>,
    },
    /// Changes rows of a table.
    Update {
        /// The table.
        table: Arc<TableDefinition>,
        /// Yields the rows to change: a `Scan` of the table below filters (plus, later, joins).
        input: Box<LogicalPlan>,
        /// Columns of the old row as the input puts them out; one a table column.
        old_columns: Vec<OutputColumn>,
        /// Changed columns by position with their new values, over `old_columns`, cast to the column's type.
        assignments: Vec<(usize, Expression)>,
        /// Over `new_columns`.
        checks: Vec<BoundCheck>,
        /// Columns that stand for the new row.
        new_columns: Vec<OutputColumn>,
        /// RETURNING, over `new_columns`.
        returning: Option<Returning>,
    },
    /// Removes rows of a table.
    Delete {
        /// The table.
        table: Arc<TableDefinition>,
        /// Yields the rows to remove.
        input: Box<LogicalPlan>,
        /// Columns of the old row as the input puts them out; one a table column.
        old_columns: Vec<OutputColumn>,
        /// RETURNING, over `old_columns`.
        returning: Option<Returning>,
    },
}

/// A check constraint, bound for one statement. Violated when false (NULL passes).
#[derive(Clone, Debug)]
pub struct BoundCheck {
    /// The constraint's name.
    pub name: String,
    /// A boolean over the new row.
    pub condition: Expression,
}

/// RETURNING.
#[derive(Clone, Debug)]
pub struct Returning {
    /// One expression a column.
    pub expressions: Vec<Expression>,
    /// The columns.
    pub columns: Vec<OutputColumn>,
}

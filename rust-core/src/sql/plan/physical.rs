//! Physical plans: how a statement runs. Expressions refer to input positions ([`Expression::Input`]).

use crate::catalog::table_definition::TableDefinition;
use crate::sql::functions::registry::AggregateFunction;
use crate::sql::plan::expression::{Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::BoundCheck;
use crate::sql::types::data_type::DataType;
use std::sync::Arc;

/// A plan with what its result looks like.
#[derive(Clone, Debug)]
pub struct PhysicalPlan {
    /// The root.
    pub root: PhysicalNode,
    /// Columns of the result; empty for a data change without RETURNING.
    pub columns: Vec<OutputColumn>,
    /// Types of the parameters, in order.
    pub parameters: Vec<DataType>,
    /// Whether every leaf is a key look-up or VALUES of few rows: the short path can run it.
    pub short_path: bool,
    /// What the statement does, for its tag.
    pub kind: StatementKind,
}

/// What a planned statement does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatementKind {
    /// SELECT (also VALUES, TABLE).
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
}

/// An operator with its estimate.
#[derive(Clone, Debug)]
pub struct PhysicalNode {
    /// What it does.
    pub operator: Operator,
    /// Rows it is expected to put out.
    pub estimated_rows: f64,
    /// Its cost with its inputs, in the cost model's unit.
    pub estimated_cost: f64,
}

/// One end of a range of keys.
#[derive(Clone, Debug)]
pub struct KeyBound {
    /// Values of the leading key columns, constant during the statement (no `Input`).
    pub values: Vec<Expression>,
    /// Whether the values themselves belong to the range.
    pub inclusive: bool,
}

/// What a scan or look-up puts out.
#[derive(Clone, Debug)]
pub struct ScanOutput {
    /// Table columns by position, in output order.
    pub columns: Vec<usize>,
    /// Whether a bigint column with the row id follows (for UPDATE and DELETE).
    pub row_id: bool,
    /// Over the output columns: only rows for which it is true.
    pub predicate: Option<Expression>,
}

/// An operator.
#[derive(Clone, Debug)]
pub enum Operator {
    /// A table by row id, all or a range of it.
    TableScan {
        /// The table.
        table: Arc<TableDefinition>,
        /// Lower end of the row id (one value, bigint).
        lower: Option<KeyBound>,
        /// Upper end.
        upper: Option<KeyBound>,
        /// Descending.
        backward: bool,
        /// What comes out.
        output: ScanOutput,
    },
    /// An index range, then the rows. Comes out in index order.
    IndexScan {
        /// The table.
        table: Arc<TableDefinition>,
        /// Position in `table.indexes` (and `table.layout.indexes`).
        index: usize,
        /// Equal values of the leading columns.
        equal: Vec<Expression>,
        /// Lower end of the column after them (one value).
        lower: Option<KeyBound>,
        /// Upper end.
        upper: Option<KeyBound>,
        /// Against the index's order.
        backward: bool,
        /// What comes out.
        output: ScanOutput,
    },
    /// At most one row by row id. A NULL or out-of-range key: no row.
    RowIdLookup {
        /// The table.
        table: Arc<TableDefinition>,
        /// The row id (bigint), constant during the statement.
        row_id: Expression,
        /// What comes out.
        output: ScanOutput,
    },
    /// At most one row by all columns of a unique index. A NULL: no row.
    UniqueLookup {
        /// The table.
        table: Arc<TableDefinition>,
        /// Position in `table.indexes`.
        index: usize,
        /// One value a key column, of the column's type.
        key: Vec<Expression>,
        /// What comes out.
        output: ScanOutput,
    },
    /// Rows of expressions.
    Values {
        /// The rows.
        rows: Vec<Vec<Expression>>,
        /// Types of the columns.
        types: Vec<DataType>,
    },
    /// Rows for which the predicate is true.
    Filter {
        /// Input.
        input: Box<PhysicalNode>,
        /// A boolean.
        predicate: Expression,
    },
    /// New columns from each row.
    Project {
        /// Input.
        input: Box<PhysicalNode>,
        /// One a column.
        expressions: Vec<Expression>,
    },
    /// Groups by a hash table. Puts out groups, then aggregates. No groups: one row.
    HashAggregate {
        /// Input.
        input: Box<PhysicalNode>,
        /// What is grouped by.
        groups: Vec<Expression>,
        /// The aggregates.
        aggregates: Vec<PhysicalAggregate>,
    },
    /// Rows in order.
    Sort {
        /// Input.
        input: Box<PhysicalNode>,
        /// Keys, most significant first.
        keys: Vec<SortKey>,
    },
    /// The first rows in order: sort and limit in one, with a heap.
    TopN {
        /// Input.
        input: Box<PhysicalNode>,
        /// Keys, most significant first.
        keys: Vec<SortKey>,
        /// bigint.
        limit: Expression,
        /// bigint.
        offset: Option<Expression>,
    },
    /// Some rows.
    Limit {
        /// Input.
        input: Box<PhysicalNode>,
        /// bigint.
        limit: Option<Expression>,
        /// bigint.
        offset: Option<Expression>,
    },
    /// Puts rows into a table.
    Insert {
        /// The table.
        table: Arc<TableDefinition>,
        /// Rows in table order.
        input: Box<PhysicalNode>,
        /// Over the new row: `Input { index }` is the table's column.
        checks: Vec<BoundCheck>,
        /// Over the new row.
        returning: Option<Vec<Expression>>,
    },
    /// Changes rows.
    Update {
        /// The table.
        table: Arc<TableDefinition>,
        /// Yields all columns of the old row in table order, then the row id.
        input: Box<PhysicalNode>,
        /// Over the input's columns.
        assignments: Vec<(usize, Expression)>,
        /// Re-evaluated on the latest row after waiting for its lock (read committed): the statement's WHERE
        /// over the old row's columns. `None`: always true.
        recheck: Option<Expression>,
        /// Over the new row.
        checks: Vec<BoundCheck>,
        /// Over the new row.
        returning: Option<Vec<Expression>>,
    },
    /// Removes rows.
    Delete {
        /// The table.
        table: Arc<TableDefinition>,
        /// Yields all columns of the old row in table order, then the row id.
        input: Box<PhysicalNode>,
        /// As for UPDATE.
        recheck: Option<Expression>,
        /// Over the old row.
        returning: Option<Vec<Expression>>,
    },
}

/// An aggregate of a physical plan.
#[derive(Clone, Debug)]
pub struct PhysicalAggregate {
    /// From the registry.
    pub function: &'static AggregateFunction,
    /// Over the input.
    pub arguments: Vec<Expression>,
    /// DISTINCT.
    pub distinct: bool,
    /// FILTER (WHERE …).
    pub filter: Option<Expression>,
}

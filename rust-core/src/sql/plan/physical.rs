//! Physical plans: how a statement runs. Expressions refer to input positions ([`Expression::Input`]).

use crate::catalog::table_definition::TableDefinition;
use crate::sql::functions::part::{self, PartKind};
use crate::sql::functions::registry::{AggregateFunction, ScalarFunction, TableFunction};
use crate::sql::plan::expression::{Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::{
    BoundCheck, CommonTableId, InitialForm, LockStrength, LockWait, SetOperationKind,
};
use crate::sql::plan::reference::References;
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
    /// Types of the values that the plan itself computes while it runs: `Expression::Parameter` numbers them after
    /// the user's. Results of `InitialPlans`, arguments of `Apply`.
    pub run_time_parameters: Vec<DataType>,
    /// Whether every leaf is a key look-up or VALUES of few rows: the short path can run it.
    pub short_path: bool,
    /// What the statement does, for its tag.
    pub kind: StatementKind,
    /// Whether common tables change rows, beside what the statement itself does: all of it is one command.
    pub changes_in_with: bool,
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
    /// Outputs that are a part of their column.
    pub parts: Vec<ScanPart>,
    /// Whether a bigint column with the row id follows (for UPDATE and DELETE).
    pub row_id: bool,
    /// Over the output columns: only rows for which it is true.
    pub predicate: Option<Expression>,
}

impl ScanOutput {
    /// The part that comes out at a position, unless the whole column does.
    pub fn part(&self, output: usize) -> Option<&ScanPart> {
        self.parts.iter().find(|part| part.output == output)
    }

    /// The type of what comes out at a position, for a column of type `column`.
    pub fn data_type(&self, output: usize, column: DataType) -> DataType {
        match self.part(output).map(|part| part.kind) {
            Some(PartKind::OctetLength | PartKind::CharacterLength) => DataType::Integer,
            _ => column,
        }
    }
}

/// A part of a text or bytea column, read without the rest of a long value.
#[derive(Clone, Debug)]
pub struct ScanPart {
    /// Where it comes out, by position among the columns.
    pub output: usize,
    /// What it is.
    pub kind: PartKind,
    /// What gives it; `None` for [`PartKind::InRow`].
    pub function: Option<&'static ScalarFunction>,
    /// The numbers that say which part, constant during the statement (no `Input`); what NULL among them gives nobody
    /// reads.
    pub arguments: Vec<Expression>,
}

impl ScanPart {
    /// Whether the part is what a statement called, and not what the result is made of.
    pub fn is_result(&self) -> bool {
        self.function.is_some_and(part::shows_itself)
    }

    /// What is read, with the names of the column and of the other arguments.
    pub fn text(&self, column: &str, arguments: &[String]) -> String {
        match (self.kind, self.function) {
            (PartKind::Presence, _) => format!("{column} IS NULL"),
            (PartKind::InRow, _) | (_, None) => format!("{column} in its row"),
            (_, Some(function)) => {
                let mut text = format!("{}({column}", function.name);
                arguments.iter().for_each(|argument| {
                    text.push_str(", ");
                    text.push_str(argument);
                });
                text.push(')');
                text
            }
        }
    }
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
    /// An index range, then the rows. Comes out in index order unless any order will do.
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
        /// Nobody asks for the order: rows are read in the order in which they lie. Not with `backward`.
        any_order: bool,
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
    /// Rows that whoever runs the plan supplies.
    Supplied {
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
    /// The first row, in the order of the input, of each group with equal keys (NULLs are equal).
    DistinctOn {
        /// Input.
        input: Box<PhysicalNode>,
        /// Keys.
        keys: Vec<Expression>,
    },
    /// Pairs of rows with equal keys, by a hash table over the right input. What comes out: see [`PhysicalJoinKind`].
    HashJoin {
        /// Which pairs and single rows.
        kind: PhysicalJoinKind,
        /// Probes.
        left: Box<PhysicalNode>,
        /// Is built into the table.
        right: Box<PhysicalNode>,
        /// At least one.
        keys: Vec<HashKey>,
        /// Also has to be true: a boolean over the columns of left, then right.
        residual: Option<Expression>,
    },
    /// Pairs of rows with equal keys from inputs that are both ordered by them (ascending, NULLs last).
    MergeJoin {
        /// `Inner`, `Left`, `Semi` or `Anti`.
        kind: PhysicalJoinKind,
        /// Left input.
        left: Box<PhysicalNode>,
        /// Right input.
        right: Box<PhysicalNode>,
        /// At least one.
        keys: Vec<HashKey>,
        /// As for `HashJoin`.
        residual: Option<Expression>,
    },
    /// Pairs of rows by trying all; the right input is kept in memory.
    NestedLoopJoin {
        /// Which pairs and single rows.
        kind: PhysicalJoinKind,
        /// Left input.
        left: Box<PhysicalNode>,
        /// Right input.
        right: Box<PhysicalNode>,
        /// Over the columns of left, then right; `None`: always true.
        condition: Option<Expression>,
    },
    /// The right input is run again for each row of the left one, which it sees as run-time parameters: an index
    /// look-up for few left rows, or a correlated subquery that no join could replace. Rows of the left input with
    /// the same arguments may share one run where nothing in the right input is volatile.
    Apply {
        /// `Inner`, `Left`, `Semi`, `Anti`, `Mark` or `Single`.
        kind: PhysicalJoinKind,
        /// Left input.
        left: Box<PhysicalNode>,
        /// Right input.
        right: Box<PhysicalNode>,
        /// Run-time parameters (by position among all parameters) with their values over the left row.
        arguments: Vec<(usize, Expression)>,
        /// Over the columns of left, then right; `None`: always true.
        condition: Option<Expression>,
    },
    /// The rows of all inputs, one input after the other.
    Append {
        /// Inputs with columns of equal types.
        inputs: Vec<PhysicalNode>,
    },
    /// INTERSECT, EXCEPT by a hash table; NULLs are equal.
    SetOperation {
        /// Which.
        kind: SetOperationKind,
        /// ALL: duplicates count.
        all: bool,
        /// Left input.
        left: Box<PhysicalNode>,
        /// Right input.
        right: Box<PhysicalNode>,
    },
    /// Values that are computed once, before the input runs, into run-time parameters.
    InitialPlans {
        /// The computations; a later one may use the result of an earlier one.
        plans: Vec<InitialPlan>,
        /// What uses them.
        input: Box<PhysicalNode>,
    },
    /// A common table: computed when it is first read, kept while the input runs.
    With {
        /// Its number.
        id: CommonTableId,
        /// Its name.
        name: String,
        /// What it holds.
        definition: Box<PhysicalNode>,
        /// What reads it.
        input: Box<PhysicalNode>,
    },
    /// Rows of a common table, or of a recursive union's working table.
    CommonScan {
        /// Which.
        id: CommonTableId,
        /// Its name.
        name: String,
        /// Positions of its columns, in output order.
        columns: Vec<usize>,
        /// Types of the output columns.
        types: Vec<DataType>,
    },
    /// WITH RECURSIVE.
    RecursiveUnion {
        /// The working table's number.
        id: CommonTableId,
        /// Without dropping duplicates.
        all: bool,
        /// First rows.
        initial: Box<PhysicalNode>,
        /// Later rows, over the working table.
        recursive: Box<PhysicalNode>,
    },
    /// Rows of a function.
    TableFunction {
        /// From the registry.
        function: &'static TableFunction,
        /// Constant during one run of the plan (parameters, run-time parameters, constants).
        arguments: Vec<Expression>,
        /// Whether the last column numbers the rows.
        ordinality: bool,
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
        /// Rows that equal the last one in these follow it; empty: none does.
        ties: Vec<Expression>,
    },
    /// Locks the rows of tables that its input's rows come from, one input row after the other, and passes on those
    /// that still qualify.
    LockRows {
        /// Input.
        input: Box<PhysicalNode>,
        /// The tables.
        targets: Vec<PhysicalLockTarget>,
        /// For rows that changed before they were locked, over the input's columns.
        recheck: PhysicalRecheck,
        /// What is wanted above; rows beyond that are not locked.
        demand: LockDemand,
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
        /// What the table's indexes compute: `Input { index }` is the table's column.
        computed: Arc<[Expression]>,
        /// What it means for foreign keys; `None`: nothing.
        references: Option<Arc<References>>,
        /// ON CONFLICT.
        conflict: Option<Box<PhysicalConflict>>,
    },
    /// Changes rows.
    Update {
        /// The table.
        table: Arc<TableDefinition>,
        /// Yields all columns of the old row in table order, then the row id, then what else the statement uses of
        /// its other tables. A row id that comes again is skipped.
        input: Box<PhysicalNode>,
        /// Over the input's columns.
        assignments: Vec<(usize, Expression)>,
        /// For rows that changed before they were locked (read committed), over the input's columns.
        recheck: PhysicalRecheck,
        /// Over the new row.
        checks: Vec<BoundCheck>,
        /// Over the new row, then the input's columns after the row id.
        returning: Option<Vec<Expression>>,
        /// As for INSERT.
        computed: Arc<[Expression]>,
        /// As for INSERT.
        references: Option<Arc<References>>,
    },
    /// Removes rows.
    Delete {
        /// The table.
        table: Arc<TableDefinition>,
        /// As for UPDATE.
        input: Box<PhysicalNode>,
        /// As for UPDATE.
        recheck: PhysicalRecheck,
        /// Over the input's columns.
        returning: Option<Vec<Expression>>,
        /// As for INSERT.
        computed: Arc<[Expression]>,
        /// As for INSERT.
        references: Option<Arc<References>>,
    },
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct PhysicalConflict {
    /// The keys that it is about, in the order in which they are looked for: positions of unique indexes; `None`: the
    /// primary key that is the row id.
    pub arbiters: Vec<Option<usize>>,
    /// DO UPDATE; `None`: DO NOTHING.
    pub update: Option<PhysicalConflictUpdate>,
}

/// DO UPDATE.
#[derive(Clone, Debug)]
pub struct PhysicalConflictUpdate {
    /// The columns that SET changes, by position.
    pub columns: Vec<usize>,
    /// Where their values come from.
    pub values: ConflictValues,
    /// Columns of the row that is there which nothing looks at, by position: long values of them stay where they are.
    pub unread: Vec<usize>,
}

/// Where DO UPDATE has its values from. Inputs are the columns of the row that is there, then those of the row that was
/// to be inserted.
#[derive(Clone, Debug)]
pub enum ConflictValues {
    /// Expressions over both rows.
    Expressions {
        /// One for each changed column.
        values: Vec<Expression>,
        /// WHERE.
        filter: Option<Expression>,
    },
    /// A query over both rows, run for each conflict.
    Plan {
        /// Puts out one row: the value of each changed column, then, where there is a WHERE, a boolean.
        plan: Box<PhysicalNode>,
        /// The parameters that it finds columns of the two rows in, each with the input.
        arguments: Vec<(usize, usize)>,
        /// Whether there is a WHERE.
        has_filter: bool,
    },
}

impl PhysicalConflict {
    /// The query that is run for each conflict.
    pub fn plan(&self) -> Option<&PhysicalNode> {
        match &self.update.as_ref()?.values {
            ConflictValues::Plan { plan, .. } => Some(plan),
            ConflictValues::Expressions { .. } => None,
        }
    }

    /// The expressions over both rows.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let parts = match self.update.as_ref().map(|update| &update.values) {
            Some(ConflictValues::Expressions { values, filter }) => Some((values, filter)),
            _ => None,
        };
        parts.into_iter().flat_map(|(values, filter)| values.iter().chain(filter))
    }
}

/// A table whose rows a query locks.
#[derive(Clone, Debug)]
pub struct PhysicalLockTarget {
    /// The table.
    pub table: Arc<TableDefinition>,
    /// Where the input has the row id; NULL there: there is no row to lock.
    pub row_id: usize,
    /// Columns of the table, each with its place in the input.
    pub columns: Vec<(usize, usize)>,
    /// How strong.
    pub strength: LockStrength,
    /// What happens at a locked row.
    pub wait: LockWait,
}

/// How many rows are wanted of an operator that locks them.
#[derive(Clone, Debug)]
pub enum LockDemand {
    /// All.
    All,
    /// As many as the LIMIT above lets through.
    Limited {
        /// bigint.
        limit: Option<Expression>,
        /// bigint.
        offset: Option<Expression>,
    },
    /// Whoever is above looks at each before it asks for the next one.
    OneByOne,
}

/// What has to be true of a row that changed between the statement's snapshot and its lock, with its newest values.
#[derive(Clone, Debug)]
pub enum PhysicalRecheck {
    /// Nothing.
    Always,
    /// A boolean over the input's columns.
    Condition(Expression),
    /// A plan that has a row if the row qualifies; it is no input.
    Plan {
        /// Run-time parameters with their values over the input's columns.
        arguments: Vec<(usize, Expression)>,
        /// The plan.
        plan: Box<PhysicalNode>,
        /// Where each of its columns goes in the input's row.
        outputs: Vec<usize>,
    },
}

impl PhysicalRecheck {
    /// Its expressions over the input's columns.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let (condition, arguments) = match self {
            PhysicalRecheck::Always => (None, None),
            PhysicalRecheck::Condition(condition) => (Some(condition), None),
            PhysicalRecheck::Plan { arguments, .. } => (None, Some(arguments)),
        };
        condition.into_iter().chain(arguments.into_iter().flatten().map(|(_, value)| value))
    }
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
    /// The order in which it takes its rows; empty: that of the input.
    pub order: Vec<SortKey>,
}

impl PhysicalAggregate {
    /// Everything that it evaluates over its input.
    pub fn operands(&self) -> impl Iterator<Item = &Expression> {
        let order = self.order.iter().map(|key| &key.expression);
        self.arguments.iter().chain(&self.filter).chain(order)
    }
}

/// Which pairs and single rows a physical join puts out, and as what. Pairs are the left columns, then the right ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PhysicalJoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and left rows without a partner with NULLs.
    Left,
    /// Pairs, and right rows without a partner with NULLs before them.
    Right,
    /// Pairs, and rows of either side without a partner.
    Full,
    /// Left rows with a partner: the left columns alone.
    Semi,
    /// Left rows without a partner: the left columns alone.
    Anti,
    /// Left columns and a boolean: whether some right row fits, three-valued.
    Mark,
    /// As `Left`; more partners than one: `21000`.
    Single,
}

/// A pair of expressions that must be equal.
#[derive(Clone, Debug)]
pub struct HashKey {
    /// Over the left input.
    pub left: Expression,
    /// Over the right input, of the same type.
    pub right: Expression,
    /// What NULL does.
    pub nulls: KeyNulls,
}

/// What a NULL in a join key does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyNulls {
    /// It matches nothing.
    NeverMatch,
    /// It equals NULL (IS NOT DISTINCT FROM).
    Equal,
    /// The comparison is unknown: of a `Mark` join, whose mark may then be NULL (IN). Keys of the other two forms
    /// must match first.
    Unknown,
}

/// A query that is run once.
#[derive(Clone, Debug)]
pub struct InitialPlan {
    /// Its run-time parameter, by position among all parameters.
    pub parameter: usize,
    /// What its rows become.
    pub form: InitialForm,
    /// The query.
    pub plan: PhysicalNode,
    /// Where it stands in the text.
    pub position: usize,
}

impl PhysicalNode {
    /// The plan that checks a changed row again. It is not among the inputs: it is run for single rows that changed
    /// before they were locked.
    pub fn recheck_plan(&self) -> Option<&PhysicalNode> {
        match &self.operator {
            Operator::LockRows { recheck: PhysicalRecheck::Plan { plan, .. }, .. }
            | Operator::Update { recheck: PhysicalRecheck::Plan { plan, .. }, .. }
            | Operator::Delete { recheck: PhysicalRecheck::Plan { plan, .. }, .. } => Some(plan),
            _ => None,
        }
    }

    /// [`PhysicalNode::recheck_plan`] for changing it.
    pub fn recheck_plan_mut(&mut self) -> Option<&mut PhysicalNode> {
        match &mut self.operator {
            Operator::LockRows { recheck: PhysicalRecheck::Plan { plan, .. }, .. }
            | Operator::Update { recheck: PhysicalRecheck::Plan { plan, .. }, .. }
            | Operator::Delete { recheck: PhysicalRecheck::Plan { plan, .. }, .. } => Some(plan),
            _ => None,
        }
    }

    /// The inputs, left to right; initial plans and definitions before what uses them.
    pub fn inputs(&self) -> Vec<&PhysicalNode> {
        match &self.operator {
            Operator::TableScan { .. }
            | Operator::IndexScan { .. }
            | Operator::RowIdLookup { .. }
            | Operator::UniqueLookup { .. }
            | Operator::Values { .. }
            | Operator::Supplied { .. }
            | Operator::CommonScan { .. }
            | Operator::TableFunction { .. } => Vec::new(),
            Operator::Filter { input, .. }
            | Operator::Project { input, .. }
            | Operator::HashAggregate { input, .. }
            | Operator::DistinctOn { input, .. }
            | Operator::Sort { input, .. }
            | Operator::TopN { input, .. }
            | Operator::Limit { input, .. }
            | Operator::LockRows { input, .. }
            | Operator::Update { input, .. }
            | Operator::Delete { input, .. } => vec![input],
            Operator::Insert { input, conflict, .. } => {
                let plan = conflict.as_deref().and_then(PhysicalConflict::plan);
                [&**input].into_iter().chain(plan).collect()
            }
            Operator::HashJoin { left, right, .. }
            | Operator::MergeJoin { left, right, .. }
            | Operator::NestedLoopJoin { left, right, .. }
            | Operator::Apply { left, right, .. }
            | Operator::SetOperation { left, right, .. } => vec![left, right],
            Operator::Append { inputs } => inputs.iter().collect(),
            Operator::InitialPlans { plans, input } => {
                plans.iter().map(|plan| &plan.plan).chain([&**input]).collect()
            }
            Operator::With { definition, input, .. } => vec![definition, input],
            Operator::RecursiveUnion { initial, recursive, .. } => vec![initial, recursive],
        }
    }

    /// [`PhysicalNode::inputs`] for changing them.
    pub fn inputs_mut(&mut self) -> Vec<&mut PhysicalNode> {
        match &mut self.operator {
            Operator::TableScan { .. }
            | Operator::IndexScan { .. }
            | Operator::RowIdLookup { .. }
            | Operator::UniqueLookup { .. }
            | Operator::Values { .. }
            | Operator::Supplied { .. }
            | Operator::CommonScan { .. }
            | Operator::TableFunction { .. } => Vec::new(),
            Operator::Filter { input, .. }
            | Operator::Project { input, .. }
            | Operator::HashAggregate { input, .. }
            | Operator::DistinctOn { input, .. }
            | Operator::Sort { input, .. }
            | Operator::TopN { input, .. }
            | Operator::Limit { input, .. }
            | Operator::LockRows { input, .. }
            | Operator::Update { input, .. }
            | Operator::Delete { input, .. } => vec![input],
            Operator::Insert { input, conflict, .. } => {
                let plan = match conflict.as_mut().and_then(|conflict| conflict.update.as_mut()) {
                    Some(PhysicalConflictUpdate { values: ConflictValues::Plan { plan, .. }, .. }) => {
                        Some(&mut **plan)
                    }
                    _ => None,
                };
                [&mut **input].into_iter().chain(plan).collect()
            }
            Operator::HashJoin { left, right, .. }
            | Operator::MergeJoin { left, right, .. }
            | Operator::NestedLoopJoin { left, right, .. }
            | Operator::Apply { left, right, .. }
            | Operator::SetOperation { left, right, .. } => vec![left, right],
            Operator::Append { inputs } => inputs.iter_mut().collect(),
            Operator::InitialPlans { plans, input } => {
                plans.iter_mut().map(|plan| &mut plan.plan).chain([&mut **input]).collect()
            }
            Operator::With { definition, input, .. } => vec![definition, input],
            Operator::RecursiveUnion { initial, recursive, .. } => vec![initial, recursive],
        }
    }
}

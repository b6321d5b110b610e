//! Logical plans: what a statement means, over numbered columns.

use crate::catalog::table_definition::TableDefinition;
use crate::error::Result;
use crate::sql::functions::registry::TableFunction;
use crate::sql::plan::expression::{AggregateCall, ColumnId, Expression, OutputColumn, SortKey};
use crate::sql::plan::reference::References;
use std::sync::Arc;

/// A common table (WITH), numbered once per statement by the binder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommonTableId(pub u32);

/// Which pairs and which single rows a join puts out.
#[derive(Clone, Debug)]
pub enum JoinKind {
    /// Pairs for which the condition is true.
    Inner,
    /// Those, and each left row without a partner, with NULLs.
    Left,
    /// Those, and each right row without a partner, with NULLs.
    Right,
    /// Those, and each row of either side without a partner.
    Full,
    /// Left rows with a partner, each once.
    Semi,
    /// Left rows without a partner. A condition that is NULL makes no partner.
    Anti,
    /// Every left row with one more column: the condition's OR over all right rows, three-valued; false without any.
    Mark(OutputColumn),
    /// As `Left`, and `21000` where a left row has more partners than one.
    Single,
}

/// A query that is run once.
#[derive(Clone, Debug)]
pub struct InitialQuery {
    /// The parameter that holds its result, by position among all parameters.
    pub parameter: usize,
    /// What its rows become.
    pub form: InitialForm,
    /// The query.
    pub plan: LogicalPlan,
    /// Where it stands in the text.
    pub position: usize,
}

/// What the rows of a query that is run once become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitialForm {
    /// The only column of the only row; NULL without a row; `21000` with several.
    Scalar,
    /// A boolean: whether there is a row.
    Exists,
}

/// A set operation that is not a union.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetOperationKind {
    /// Rows of both.
    Intersect,
    /// Rows of the left side that the right side does not have.
    Except,
}

/// How strong a query locks rows, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LockStrength {
    /// FOR KEY SHARE.
    KeyShare,
    /// FOR SHARE.
    Share,
    /// FOR NO KEY UPDATE.
    NoKeyUpdate,
    /// FOR UPDATE.
    Update,
}

impl LockStrength {
    /// As it is written, and as messages show it.
    pub fn name(self) -> &'static str {
        match self {
            LockStrength::KeyShare => "FOR KEY SHARE",
            LockStrength::Share => "FOR SHARE",
            LockStrength::NoKeyUpdate => "FOR NO KEY UPDATE",
            LockStrength::Update => "FOR UPDATE",
        }
    }
}

/// What a query does at a row that somebody else has locked; where it was told several things, the last one counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LockWait {
    /// It waits.
    Wait,
    /// The row is left out (SKIP LOCKED).
    Skip,
    /// It fails with `55P03` (NOWAIT).
    Fail,
}

/// A table whose rows a query locks.
#[derive(Clone, Debug)]
pub struct LockTarget {
    /// The table.
    pub table: Arc<TableDefinition>,
    /// The row id, a column of the input.
    pub row_id: Expression,
    /// Columns of the table by position, as the input puts them out: they get the newest values of a row that changed.
    pub columns: Vec<(usize, Expression)>,
    /// How strong.
    pub strength: LockStrength,
    /// What happens at a locked row.
    pub wait: LockWait,
}

/// What has to be true of a row that changed between the statement's snapshot and its lock, with its newest values and
/// the other rows that it was joined with as they were. The binder leaves it open; the optimizer says it.
#[derive(Clone, Debug, Default)]
pub enum Recheck {
    /// Nothing.
    #[default]
    Always,
    /// A boolean over the input's columns.
    Condition(Box<Expression>),
    /// The input's plan over one row of each table: has a row, or the row is left out.
    Plan(Box<RecheckPlan>),
}

/// The input of an operator that locks rows, once more, with one row of parameters in the place of each table.
#[derive(Clone, Debug)]
pub struct RecheckPlan {
    /// The plan. It has columns and common tables of its own.
    pub plan: LogicalPlan,
    /// Parameters of the plan by position among all, with their values over the input's columns.
    pub arguments: Vec<(usize, Expression)>,
    /// Columns of the input with those of the plan that stand for them.
    pub outputs: Vec<(ColumnId, OutputColumn)>,
}

impl Recheck {
    fn plan(&self) -> Option<&LogicalPlan> {
        match self {
            Recheck::Plan(recheck) => Some(&recheck.plan),
            _ => None,
        }
    }

    fn plan_mut(&mut self) -> Option<&mut LogicalPlan> {
        match self {
            Recheck::Plan(recheck) => Some(&mut recheck.plan),
            _ => None,
        }
    }

    /// Its expressions over the input's columns.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let (condition, arguments) = match self {
            Recheck::Always => (None, None),
            Recheck::Condition(condition) => (Some(&**condition), None),
            Recheck::Plan(recheck) => (None, Some(&recheck.arguments)),
        };
        condition.into_iter().chain(arguments.into_iter().flatten().map(|(_, value)| value))
    }

    fn expressions_mut(&mut self) -> impl Iterator<Item = &mut Expression> {
        let (condition, arguments) = match self {
            Recheck::Always => (None, None),
            Recheck::Condition(condition) => (Some(&mut **condition), None),
            Recheck::Plan(recheck) => (None, Some(&mut recheck.arguments)),
        };
        condition.into_iter().chain(arguments.into_iter().flatten().map(|(_, value)| value))
    }
}

/// What a query or a data change means.
#[derive(Clone, Debug)]
pub enum LogicalPlan {
    /// All rows of a table. `columns[i]` is the table's column i.
    Scan {
        /// The table.
        table: Arc<TableDefinition>,
        /// One output column a table column, in order; behind them one a computed value of the table's indexes. Those
        /// are not put out by themselves: the optimizer lets them stand for their expressions.
        columns: Vec<OutputColumn>,
        /// What the table's indexes compute: `Input { index }` is the table's column.
        computed: Arc<[Expression]>,
        /// A bigint column with the row id, put out after the others: for the target of UPDATE and DELETE.
        row_id: Option<OutputColumn>,
    },
    /// Rows of expressions without columns; one row without columns is "no FROM".
    Values {
        /// The rows.
        rows: Vec<Vec<Expression>>,
        /// Their columns.
        columns: Vec<OutputColumn>,
    },
    /// Rows that whoever runs the plan supplies (COPY FROM).
    Supplied {
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
    /// Pairs of rows of two inputs. `right` may use columns of `left` (LATERAL, or a correlated subquery) for every
    /// kind but `Right` and `Full`: it is then evaluated for each row of `left`.
    Join {
        /// Which pairs and which single rows come out.
        kind: JoinKind,
        /// Left input.
        left: Box<LogicalPlan>,
        /// Right input.
        right: Box<LogicalPlan>,
        /// A boolean over the columns of both; `None`: always true.
        condition: Option<Expression>,
    },
    /// The rows of all inputs, one input after the other (UNION ALL).
    Append {
        /// Inputs, at least one. Column `i` of each, by position, has the type of `columns[i]`.
        inputs: Vec<LogicalPlan>,
        /// The columns.
        columns: Vec<OutputColumn>,
    },
    /// INTERSECT and EXCEPT; NULLs are equal. (UNION is `Distinct` over `Append`.)
    SetOperation {
        /// Which.
        kind: SetOperationKind,
        /// ALL: duplicates count.
        all: bool,
        /// Left input. Columns match by position.
        left: Box<LogicalPlan>,
        /// Right input.
        right: Box<LogicalPlan>,
        /// The columns.
        columns: Vec<OutputColumn>,
    },
    /// A common table: `definition` is computed at most once, `input` reads it with any number of `CommonScan`s. One
    /// that changes rows runs exactly once and to its end, read or not; it stands at the root or below nothing but
    /// others of the kind, `Initial` and the data change of CREATE TABLE AS.
    With {
        /// Its number in the statement.
        id: CommonTableId,
        /// Its name.
        name: String,
        /// MATERIALIZED (true), NOT MATERIALIZED (false), or neither: the optimizer may put a definition in the
        /// place of its only scan.
        materialized: Option<bool>,
        /// What it holds.
        definition: Box<LogicalPlan>,
        /// What reads it.
        input: Box<LogicalPlan>,
    },
    /// All rows of a common table, or of the working table of the recursive union around it.
    CommonScan {
        /// Which.
        id: CommonTableId,
        /// Its name.
        name: String,
        /// `columns[i]` is the definition's column `i`.
        columns: Vec<OutputColumn>,
    },
    /// WITH RECURSIVE: the rows of `initial`, then those of `recursive` over the rows that came last, until none come.
    RecursiveUnion {
        /// `recursive` reads the rows that came last by `CommonScan`s of this number.
        id: CommonTableId,
        /// UNION ALL; else rows that came before are dropped.
        all: bool,
        /// First rows. Columns match by position.
        initial: Box<LogicalPlan>,
        /// Later rows.
        recursive: Box<LogicalPlan>,
        /// The columns.
        columns: Vec<OutputColumn>,
    },
    /// Rows of a function in FROM.
    TableFunction {
        /// From the registry.
        function: &'static TableFunction,
        /// Arguments with exactly the function's types; they may use columns of a `Join`'s left side (LATERAL).
        arguments: Vec<Expression>,
        /// The function's columns, then, if asked for, `WITH ORDINALITY`'s bigint.
        columns: Vec<OutputColumn>,
        /// Whether the last column numbers the rows from 1.
        ordinality: bool,
        /// Where it stands.
        position: usize,
    },
    /// Values that are computed once, before `input` runs; it refers to them by `Expression::Parameter`, numbered after
    /// the user's. Made by the optimizer of subqueries that use no column from outside.
    Initial {
        /// The computations; a later one may use the result of an earlier one.
        queries: Vec<InitialQuery>,
        /// What uses them.
        input: Box<LogicalPlan>,
    },
    /// Rows without duplicates (NULLs are equal).
    Distinct {
        /// Input.
        input: Box<LogicalPlan>,
    },
    /// The first row, in the order of the input, of each group of rows with equal keys (NULLs are equal).
    DistinctOn {
        /// Input.
        input: Box<LogicalPlan>,
        /// Keys.
        keys: Vec<Expression>,
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
        /// WITH TIES: rows that equal the last one in these follow it; empty: no.
        ties: Vec<Expression>,
    },
    /// Locks the rows of tables that its input's rows come from, and passes on those that still qualify.
    LockRows {
        /// Input.
        input: Box<LogicalPlan>,
        /// The tables.
        targets: Vec<LockTarget>,
        /// For rows that changed before they were locked.
        recheck: Recheck,
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
        /// What the table's indexes compute: `Input { index }` is the table's column.
        computed: Arc<[Expression]>,
        /// What it means for foreign keys; `None`: nothing.
        references: Option<Arc<References>>,
        /// ON CONFLICT.
        conflict: Option<Box<OnConflict>>,
    },
    /// Changes rows of a table.
    Update {
        /// The table.
        table: Arc<TableDefinition>,
        /// Yields the rows to change: a `Scan` of the table with its row id, below filters and joins.
        input: Box<LogicalPlan>,
        /// Columns of the old row as the input puts them out; one a table column.
        old_columns: Vec<OutputColumn>,
        /// The row id, as the input puts it out. A row that comes several times is changed once.
        row_id: ColumnId,
        /// Changed columns by position with their new values, over the input's columns, cast to the column's type.
        assignments: Vec<(usize, Expression)>,
        /// For rows that changed before they were locked.
        recheck: Recheck,
        /// Over `new_columns`.
        checks: Vec<BoundCheck>,
        /// Columns that stand for the new row.
        new_columns: Vec<OutputColumn>,
        /// RETURNING, over `new_columns` and the input's columns.
        returning: Option<Returning>,
        /// As for INSERT.
        computed: Arc<[Expression]>,
        /// As for INSERT.
        references: Option<Arc<References>>,
    },
    /// Removes rows of a table.
    Delete {
        /// The table.
        table: Arc<TableDefinition>,
        /// Yields the rows to remove, as for UPDATE.
        input: Box<LogicalPlan>,
        /// Columns of the old row as the input puts them out; one a table column.
        old_columns: Vec<OutputColumn>,
        /// The row id, as the input puts it out.
        row_id: ColumnId,
        /// As for UPDATE.
        recheck: Recheck,
        /// RETURNING, over the input's columns.
        returning: Option<Returning>,
        /// As for INSERT.
        computed: Arc<[Expression]>,
        /// As for INSERT.
        references: Option<Arc<References>>,
    },
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// Which keys are meant.
    pub target: ConflictTarget,
    /// DO UPDATE; `None`: DO NOTHING.
    pub update: Option<ConflictUpdate>,
}

/// Which unique keys an ON CONFLICT is about.
#[derive(Clone, Debug)]
pub enum ConflictTarget {
    /// All of the table's.
    Any,
    /// Those of the unique indexes over just these keys.
    Keys {
        /// Columns that stand for the table's in what follows.
        columns: Vec<OutputColumn>,
        /// Columns and expressions, in any order.
        keys: Vec<Expression>,
        /// What holds where a partial index is meant.
        predicate: Option<Expression>,
    },
    /// That of a constraint.
    Constraint {
        /// Position of its index; `None`: the primary key that is the row id.
        index: Option<usize>,
    },
}

/// DO UPDATE.
#[derive(Clone, Debug)]
pub struct ConflictUpdate {
    /// Columns that stand for the row that is there; one a table column.
    pub existing_columns: Vec<OutputColumn>,
    /// Columns that stand for the row that was to be inserted.
    pub excluded_columns: Vec<OutputColumn>,
    /// The columns that SET changes, by position.
    pub columns: Vec<usize>,
    /// One row of their new values, cast to their types, and of WHERE where there is one; it uses the columns of both
    /// rows as columns from outside.
    pub values: Box<LogicalPlan>,
    /// Whether there is a WHERE.
    pub has_filter: bool,
}

fn conflict_values(conflict: &Option<Box<OnConflict>>) -> Option<&LogicalPlan> {
    let update = conflict.as_ref()?.update.as_ref()?;
    Some(&update.values)
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

fn each_check(checks: &mut [BoundCheck], visit: &mut dyn FnMut(&mut Expression) -> Result<()>) -> Result<()> {
    checks.iter_mut().try_for_each(|check| visit(&mut check.condition))
}

fn each_returned(
    returning: &mut Option<Returning>,
    visit: &mut dyn FnMut(&mut Expression) -> Result<()>,
) -> Result<()> {
    returning.iter_mut().flat_map(|returning| &mut returning.expressions).try_for_each(visit)
}

impl LogicalPlan {
    /// The inputs, left to right (definitions and initial queries before what uses them, what is run to check a row
    /// again after its input).
    pub fn inputs(&self) -> Vec<&LogicalPlan> {
        match self {
            LogicalPlan::Scan { .. }
            | LogicalPlan::Values { .. }
            | LogicalPlan::Supplied { .. }
            | LogicalPlan::CommonScan { .. }
            | LogicalPlan::TableFunction { .. } => Vec::new(),
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Aggregate { input, .. }
            | LogicalPlan::Distinct { input }
            | LogicalPlan::DistinctOn { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. } => vec![input],
            LogicalPlan::LockRows { input, recheck, .. }
            | LogicalPlan::Update { input, recheck, .. }
            | LogicalPlan::Delete { input, recheck, .. } => {
                let input: &LogicalPlan = input;
                [input].into_iter().chain(recheck.plan()).collect()
            }
            LogicalPlan::Insert { input, conflict, .. } => {
                [&**input].into_iter().chain(conflict_values(conflict)).collect()
            }
            LogicalPlan::Join { left, right, .. } | LogicalPlan::SetOperation { left, right, .. } => {
                vec![left, right]
            }
            LogicalPlan::With { definition, input, .. } => vec![definition, input],
            LogicalPlan::Initial { queries, input } => {
                queries.iter().map(|query| &query.plan).chain([&**input]).collect()
            }
            LogicalPlan::RecursiveUnion { initial, recursive, .. } => vec![initial, recursive],
            LogicalPlan::Append { inputs, .. } => inputs.iter().collect(),
        }
    }

    /// [`LogicalPlan::inputs`] for changing them.
    pub fn inputs_mut(&mut self) -> Vec<&mut LogicalPlan> {
        match self {
            LogicalPlan::Scan { .. }
            | LogicalPlan::Values { .. }
            | LogicalPlan::Supplied { .. }
            | LogicalPlan::CommonScan { .. }
            | LogicalPlan::TableFunction { .. } => Vec::new(),
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Project { input, .. }
            | LogicalPlan::Aggregate { input, .. }
            | LogicalPlan::Distinct { input }
            | LogicalPlan::DistinctOn { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. } => vec![input],
            LogicalPlan::LockRows { input, recheck, .. }
            | LogicalPlan::Update { input, recheck, .. }
            | LogicalPlan::Delete { input, recheck, .. } => {
                let input: &mut LogicalPlan = input;
                [input].into_iter().chain(recheck.plan_mut()).collect()
            }
            LogicalPlan::Insert { input, conflict, .. } => {
                let update = conflict.as_mut().and_then(|conflict| conflict.update.as_mut());
                [&mut **input].into_iter().chain(update.map(|update| &mut *update.values)).collect()
            }
            LogicalPlan::Join { left, right, .. } | LogicalPlan::SetOperation { left, right, .. } => {
                vec![left, right]
            }
            LogicalPlan::With { definition, input, .. } => vec![definition, input],
            LogicalPlan::Initial { queries, input } => {
                queries.iter_mut().map(|query| &mut query.plan).chain([&mut **input]).collect()
            }
            LogicalPlan::RecursiveUnion { initial, recursive, .. } => vec![initial, recursive],
            LogicalPlan::Append { inputs, .. } => inputs.iter_mut().collect(),
        }
    }

    /// Whether something in it changes rows of tables.
    pub fn changes_rows(&self) -> bool {
        let mut waiting = vec![self];
        while let Some(plan) = waiting.pop() {
            if let LogicalPlan::Insert { .. } | LogicalPlan::Update { .. } | LogicalPlan::Delete { .. } = plan
            {
                return true;
            }
            waiting.extend(plan.inputs());
        }
        false
    }

    /// Calls `visit` with each expression of this node alone (also checks and RETURNING): not of its inputs, not of
    /// the plans of subqueries inside the expressions.
    pub fn each_own_expression<'p>(&'p self, visit: &mut dyn FnMut(&'p Expression)) {
        match self {
            LogicalPlan::Scan { .. }
            | LogicalPlan::Supplied { .. }
            | LogicalPlan::CommonScan { .. }
            | LogicalPlan::Append { .. }
            | LogicalPlan::SetOperation { .. }
            | LogicalPlan::With { .. }
            | LogicalPlan::Initial { .. }
            | LogicalPlan::RecursiveUnion { .. }
            | LogicalPlan::Distinct { .. } => {}
            LogicalPlan::Values { rows, .. } => rows.iter().flatten().for_each(visit),
            LogicalPlan::Filter { predicate, .. } => visit(predicate),
            LogicalPlan::Project { expressions, .. } => expressions.iter().for_each(visit),
            LogicalPlan::TableFunction { arguments, .. } => arguments.iter().for_each(visit),
            LogicalPlan::Join { condition, .. } => condition.iter().for_each(visit),
            LogicalPlan::DistinctOn { keys, .. } => keys.iter().for_each(visit),
            LogicalPlan::Aggregate { groups, aggregates, .. } => {
                groups.iter().for_each(&mut *visit);
                aggregates.iter().flat_map(AggregateCall::operands).for_each(visit);
            }
            LogicalPlan::Sort { keys, .. } => keys.iter().map(|key| &key.expression).for_each(visit),
            LogicalPlan::Limit { limit, offset, ties, .. } => {
                limit.iter().chain(offset).chain(ties).for_each(visit);
            }
            LogicalPlan::LockRows { targets, recheck, .. } => {
                for target in targets {
                    visit(&target.row_id);
                    target.columns.iter().for_each(|(_, column)| visit(column));
                }
                recheck.expressions().for_each(visit);
            }
            LogicalPlan::Insert { checks, returning, .. } => {
                checks.iter().map(|check| &check.condition).for_each(&mut *visit);
                returning.iter().flat_map(|returning| &returning.expressions).for_each(visit);
            }
            LogicalPlan::Update { assignments, recheck, checks, returning, .. } => {
                let values = assignments.iter().map(|(_, value)| value);
                values.chain(recheck.expressions()).for_each(&mut *visit);
                checks.iter().map(|check| &check.condition).for_each(&mut *visit);
                returning.iter().flat_map(|returning| &returning.expressions).for_each(visit);
            }
            LogicalPlan::Delete { recheck, returning, .. } => {
                recheck.expressions().for_each(&mut *visit);
                returning.iter().flat_map(|returning| &returning.expressions).for_each(visit);
            }
        }
    }

    /// [`LogicalPlan::each_own_expression`] for changing them; stops at the first error.
    /// # Errors
    /// What `visit` gives.
    pub fn each_own_expression_mut(
        &mut self,
        visit: &mut dyn FnMut(&mut Expression) -> Result<()>,
    ) -> Result<()> {
        match self {
            LogicalPlan::Scan { .. }
            | LogicalPlan::Supplied { .. }
            | LogicalPlan::CommonScan { .. }
            | LogicalPlan::Append { .. }
            | LogicalPlan::SetOperation { .. }
            | LogicalPlan::With { .. }
            | LogicalPlan::Initial { .. }
            | LogicalPlan::RecursiveUnion { .. }
            | LogicalPlan::Distinct { .. } => Ok(()),
            LogicalPlan::Values { rows, .. } => rows.iter_mut().flatten().try_for_each(visit),
            LogicalPlan::Filter { predicate, .. } => visit(predicate),
            LogicalPlan::Project { expressions, .. } => expressions.iter_mut().try_for_each(visit),
            LogicalPlan::TableFunction { arguments, .. } => arguments.iter_mut().try_for_each(visit),
            LogicalPlan::Join { condition, .. } => condition.iter_mut().try_for_each(visit),
            LogicalPlan::DistinctOn { keys, .. } => keys.iter_mut().try_for_each(visit),
            LogicalPlan::Aggregate { groups, aggregates, .. } => {
                groups.iter_mut().try_for_each(&mut *visit)?;
                aggregates.iter_mut().flat_map(AggregateCall::operands_mut).try_for_each(visit)
            }
            LogicalPlan::Sort { keys, .. } => {
                keys.iter_mut().map(|key| &mut key.expression).try_for_each(visit)
            }
            LogicalPlan::Limit { limit, offset, ties, .. } => {
                limit.iter_mut().chain(offset).chain(ties).try_for_each(visit)
            }
            LogicalPlan::LockRows { targets, recheck, .. } => {
                for target in targets {
                    visit(&mut target.row_id)?;
                    target.columns.iter_mut().try_for_each(|(_, column)| visit(column))?;
                }
                recheck.expressions_mut().try_for_each(visit)
            }
            LogicalPlan::Insert { checks, returning, .. } => {
                each_check(checks, visit)?;
                each_returned(returning, visit)
            }
            LogicalPlan::Update { assignments, recheck, checks, returning, .. } => {
                let values = assignments.iter_mut().map(|(_, value)| value);
                values.chain(recheck.expressions_mut()).try_for_each(&mut *visit)?;
                each_check(checks, visit)?;
                each_returned(returning, visit)
            }
            LogicalPlan::Delete { recheck, returning, .. } => {
                recheck.expressions_mut().try_for_each(&mut *visit)?;
                each_returned(returning, visit)
            }
        }
    }

    /// Calls `visit` with each column that this node alone makes.
    pub fn each_made(&self, visit: &mut dyn FnMut(&OutputColumn)) {
        match self {
            LogicalPlan::Scan { columns, row_id, .. } => columns.iter().chain(row_id).for_each(visit),
            LogicalPlan::Values { columns, .. }
            | LogicalPlan::Supplied { columns }
            | LogicalPlan::Project { columns, .. }
            | LogicalPlan::Append { columns, .. }
            | LogicalPlan::SetOperation { columns, .. }
            | LogicalPlan::CommonScan { columns, .. }
            | LogicalPlan::RecursiveUnion { columns, .. }
            | LogicalPlan::TableFunction { columns, .. } => columns.iter().for_each(visit),
            LogicalPlan::Join { kind: JoinKind::Mark(column), .. } => visit(column),
            LogicalPlan::Aggregate { group_columns, aggregates, .. } => {
                group_columns.iter().chain(aggregates.iter().map(|call| &call.output)).for_each(visit);
            }
            LogicalPlan::Insert { new_columns, returning, conflict, .. } => {
                new_columns.iter().for_each(&mut *visit);
                if let Some(conflict) = conflict {
                    if let ConflictTarget::Keys { columns, .. } = &conflict.target {
                        columns.iter().for_each(&mut *visit);
                    }
                    if let Some(update) = &conflict.update {
                        update.existing_columns.iter().chain(&update.excluded_columns).for_each(&mut *visit);
                    }
                }
                returning.iter().flat_map(|returning| &returning.columns).for_each(visit);
            }
            LogicalPlan::Update { new_columns, returning, .. } => {
                new_columns.iter().for_each(&mut *visit);
                returning.iter().flat_map(|returning| &returning.columns).for_each(visit);
            }
            LogicalPlan::Delete { returning, .. } => {
                returning.iter().flat_map(|returning| &returning.columns).for_each(visit);
            }
            LogicalPlan::Filter { .. }
            | LogicalPlan::Join { .. }
            | LogicalPlan::With { .. }
            | LogicalPlan::Initial { .. }
            | LogicalPlan::Distinct { .. }
            | LogicalPlan::DistinctOn { .. }
            | LogicalPlan::Sort { .. }
            | LogicalPlan::LockRows { .. }
            | LogicalPlan::Limit { .. } => {}
        }
    }

    /// [`LogicalPlan::each_made`] for changing them; those of data changes are not among them.
    pub fn each_made_mut(&mut self, visit: &mut dyn FnMut(&mut OutputColumn)) {
        match self {
            LogicalPlan::Scan { columns, row_id, .. } => columns.iter_mut().chain(row_id).for_each(visit),
            LogicalPlan::Values { columns, .. }
            | LogicalPlan::Supplied { columns }
            | LogicalPlan::Project { columns, .. }
            | LogicalPlan::Append { columns, .. }
            | LogicalPlan::SetOperation { columns, .. }
            | LogicalPlan::CommonScan { columns, .. }
            | LogicalPlan::RecursiveUnion { columns, .. }
            | LogicalPlan::TableFunction { columns, .. } => columns.iter_mut().for_each(visit),
            LogicalPlan::Join { kind: JoinKind::Mark(column), .. } => visit(column),
            LogicalPlan::Aggregate { group_columns, aggregates, .. } => {
                group_columns
                    .iter_mut()
                    .chain(aggregates.iter_mut().map(|call| &mut call.output))
                    .for_each(visit);
            }
            _ => {}
        }
    }

    /// What the plan puts out, in order.
    pub fn output_columns(&self) -> Vec<OutputColumn> {
        match self {
            LogicalPlan::Scan { table, columns, row_id, .. } => {
                columns.iter().take(table.columns.len()).chain(row_id).cloned().collect()
            }
            LogicalPlan::Values { columns, .. }
            | LogicalPlan::Supplied { columns }
            | LogicalPlan::Project { columns, .. }
            | LogicalPlan::Append { columns, .. }
            | LogicalPlan::SetOperation { columns, .. }
            | LogicalPlan::CommonScan { columns, .. }
            | LogicalPlan::RecursiveUnion { columns, .. }
            | LogicalPlan::TableFunction { columns, .. } => columns.clone(),
            LogicalPlan::Filter { input, .. }
            | LogicalPlan::Distinct { input }
            | LogicalPlan::DistinctOn { input, .. }
            | LogicalPlan::Sort { input, .. }
            | LogicalPlan::Limit { input, .. }
            | LogicalPlan::LockRows { input, .. }
            | LogicalPlan::With { input, .. }
            | LogicalPlan::Initial { input, .. } => input.output_columns(),
            LogicalPlan::Join { kind, left, right, .. } => {
                let mut columns = left.output_columns();
                let nullable = |columns: &mut [OutputColumn]| {
                    columns.iter_mut().for_each(|column| column.nullable = true);
                };
                if matches!(kind, JoinKind::Right | JoinKind::Full) {
                    nullable(&mut columns);
                }
                match kind {
                    JoinKind::Semi | JoinKind::Anti => {}
                    JoinKind::Mark(column) => columns.push(column.clone()),
                    JoinKind::Inner
                    | JoinKind::Left
                    | JoinKind::Right
                    | JoinKind::Full
                    | JoinKind::Single => {
                        let mut others = right.output_columns();
                        if matches!(kind, JoinKind::Left | JoinKind::Full | JoinKind::Single) {
                            nullable(&mut others);
                        }
                        columns.append(&mut others);
                    }
                }
                columns
            }
            LogicalPlan::Aggregate { group_columns, aggregates, .. } => {
                let results = aggregates.iter().map(|aggregate| aggregate.output.clone());
                group_columns.iter().cloned().chain(results).collect()
            }
            LogicalPlan::Insert { returning, .. }
            | LogicalPlan::Update { returning, .. }
            | LogicalPlan::Delete { returning, .. } => {
                returning.as_ref().map_or_else(Vec::new, |returning| returning.columns.clone())
            }
        }
    }
}

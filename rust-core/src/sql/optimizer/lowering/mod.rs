//! Logical nodes to physical ones, top down: each node is told which columns are needed above it and which order
//! is wanted, and says which columns it puts out and whether it has that order.

mod apply;
mod common_table;
mod conflict;
mod in_list;
mod index_join;
mod join;
mod least;
mod lock_rows;
mod modify;
mod scan;
mod set;
mod unary;

pub(super) use index_join::{Lookup, lookups};
pub(super) use join::{is_equality, join_kind};

use crate::error::Result;
use crate::sql::optimizer::columns::{add_columns, operator_count, to_inputs};
use crate::sql::optimizer::knowledge::Knowledge;
use crate::sql::optimizer::lowering::common_table::CommonTables;
use crate::sql::optimizer::{cardinality, cost};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn, SortKey};
use crate::sql::plan::logical::{InitialForm, LogicalPlan};
use crate::sql::plan::physical::{
    InitialPlan, LockDemand, Operator, PhysicalNode, PhysicalPlan, StatementKind,
};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;

/// VALUES of at most this many rows run on the short path.
const SHORT_PATH_ROWS_MAX: usize = 16;

/// A node with what it puts out.
struct Lowered {
    node: PhysicalNode,
    /// The column at each output position.
    layout: Vec<ColumnId>,
    /// Whether the wanted order is there.
    ordered: bool,
    /// A column that the rows ascend by, NULLs last.
    sorted_by: Option<ColumnId>,
}

/// An order, over columns of the plan at hand.
#[derive(Clone)]
struct Wanted {
    keys: Vec<WantedKey>,
    limit: Option<f64>,
}

#[derive(Clone, Copy)]
struct WantedKey {
    column: ColumnId,
    descending: bool,
    nulls_first: bool,
}

struct Lowering<'s> {
    knowledge: Knowledge<'s>,
    /// How many parameters the user gives; those that the plan computes follow.
    user_parameters: usize,
    /// Types of the parameters that the plan computes.
    run_time_parameters: Vec<DataType>,
    common_tables: CommonTables,
    /// Whether one of them changes rows.
    changes_in_with: bool,
}

/// The physical plan of a rewritten logical one.
pub(super) fn lower_root(
    plan: LogicalPlan,
    parameters: &[DataType],
    run_time_parameters: Vec<DataType>,
    knowledge: Knowledge<'_>,
) -> Result<PhysicalPlan> {
    let kind = statement_kind(&plan);
    let columns = plan.output_columns();
    let mut lowering = Lowering {
        knowledge,
        user_parameters: parameters.len(),
        run_time_parameters,
        common_tables: CommonTables::default(),
        changes_in_with: false,
    };
    let root = lowering.statement(plan)?;
    let short_path = is_short(&root);
    let Lowering { run_time_parameters, changes_in_with, .. } = lowering;
    let parameters = parameters.to_vec();
    Ok(PhysicalPlan { root, columns, parameters, run_time_parameters, short_path, kind, changes_in_with })
}

fn statement_kind(plan: &LogicalPlan) -> StatementKind {
    match plan {
        LogicalPlan::Insert { .. } => StatementKind::Insert,
        LogicalPlan::Update { .. } => StatementKind::Update,
        LogicalPlan::Delete { .. } => StatementKind::Delete,
        // RETURNING may be computed above the change, which is then at the left end.
        LogicalPlan::Initial { input, .. }
        | LogicalPlan::With { input, .. }
        | LogicalPlan::Project { input, .. } => statement_kind(input),
        LogicalPlan::Join { left, .. } => statement_kind(left),
        _ => StatementKind::Select,
    }
}

/// Whether the row-at-a-time interpreter can run the plan: one chain over a look-up or few rows of VALUES. A data
/// change is at its top or nowhere.
fn is_short(node: &PhysicalNode) -> bool {
    match &node.operator {
        Operator::Insert { conflict: Some(conflict), .. } if conflict.plan().is_some() => false,
        Operator::Insert { input, .. } | Operator::Update { input, .. } | Operator::Delete { input, .. } => {
            node.recheck_plan().is_none() && is_short_query(input)
        }
        _ => is_short_query(node),
    }
}

fn is_short_query(node: &PhysicalNode) -> bool {
    if node.recheck_plan().is_some() {
        return false;
    }
    match &node.operator {
        Operator::RowIdLookup { .. } | Operator::UniqueLookup { .. } => true,
        Operator::Values { rows, .. } => rows.len() <= SHORT_PATH_ROWS_MAX,
        Operator::Filter { input, .. }
        | Operator::Project { input, .. }
        | Operator::Limit { input, .. }
        | Operator::LockRows { input, .. } => is_short_query(input),
        _ => false,
    }
}

fn node(operator: Operator, rows: f64, cost: f64) -> PhysicalNode {
    PhysicalNode { operator, estimated_rows: rows, estimated_cost: cost }
}

fn ids(columns: &[OutputColumn]) -> Vec<ColumnId> {
    columns.iter().map(|column| column.id).collect()
}

/// `required` with the columns that `expressions` use.
fn with_columns<'e>(
    required: &[ColumnId],
    expressions: impl IntoIterator<Item = &'e Expression>,
) -> Vec<ColumnId> {
    let mut all = required.to_vec();
    expressions.into_iter().for_each(|expression| add_columns(expression, &mut all));
    all
}

fn mapped(mut expressions: Vec<Expression>, layout: &[ColumnId]) -> Result<Vec<Expression>> {
    expressions.iter_mut().try_for_each(|expression| to_inputs(expression, layout))?;
    Ok(expressions)
}

fn operators(expressions: &[Expression]) -> f64 {
    expressions.iter().map(operator_count).sum()
}

/// A row count that is known while planning.
fn known_count(expression: &Expression) -> Option<f64> {
    match expression {
        Expression::Constant { value: Datum::BigInt(count), .. } => Some((*count).max(0) as f64),
        _ => None,
    }
}

/// LIMIT NULL is no LIMIT.
fn without_null(expression: Option<Expression>) -> Option<Expression> {
    expression.filter(|expression| !matches!(expression, Expression::Constant { value: Datum::Null, .. }))
}

/// Whether rows that are sorted by `keys` are in the wanted order.
fn meets(keys: &[SortKey], wanted: Option<&Wanted>) -> bool {
    let is_same = |(key, wanted): (&SortKey, &WantedKey)| {
        matches!(key.expression, Expression::Column { id, .. } if id == wanted.column)
            && (key.descending, key.nulls_first) == (wanted.descending, wanted.nulls_first)
    };
    wanted.is_some_and(|wanted| wanted.keys.len() <= keys.len() && keys.iter().zip(&wanted.keys).all(is_same))
}

impl Lowering<'_> {
    fn statement(&mut self, plan: LogicalPlan) -> Result<PhysicalNode> {
        match plan {
            LogicalPlan::Insert { .. } | LogicalPlan::Update { .. } | LogicalPlan::Delete { .. } => {
                self.modification(plan)
            }
            LogicalPlan::Initial { queries, input } => {
                let mut plans = Vec::with_capacity(queries.len());
                for query in queries {
                    plans.push(self.initial(query)?);
                }
                let input = self.statement(*input)?;
                Ok(with_initial(plans, input))
            }
            LogicalPlan::With { id, name, definition, input, .. } => {
                self.common_tables.open(id);
                let input = self.statement(*input)?;
                self.with(id, name, *definition, input)
            }
            query => self.exactly(query),
        }
    }

    /// A query that puts out its columns and nothing else, in order.
    fn exactly(&mut self, plan: LogicalPlan) -> Result<PhysicalNode> {
        let columns = plan.output_columns();
        let wanted = ids(&columns);
        let lowered = self.lower(plan, &wanted, None)?;
        arranged(lowered, &columns)
    }

    /// Lowers a query. What it puts out has every column of `required`, perhaps others.
    fn lower(
        &mut self,
        plan: LogicalPlan,
        required: &[ColumnId],
        wanted: Option<&Wanted>,
    ) -> Result<Lowered> {
        match plan {
            LogicalPlan::Scan { table, columns, computed, row_id } => {
                let scanned = scan::Scanned { table, columns, computed, row_id };
                self.scan(scanned, Vec::new(), required, wanted)
            }
            LogicalPlan::Filter { input, predicate } => self.filter(*input, predicate, required, wanted),
            LogicalPlan::Values { rows, columns } => {
                let count = rows.len() as f64;
                let cells: f64 = rows.iter().map(|row| operators(row)).sum();
                let cost = count * cost::ROW_MADE + cells * cost::OPERATOR;
                let ordered = rows.len() <= 1;
                let layout = ids(&columns);
                let operator = Operator::Values { rows, types: types(&columns) };
                Ok(Lowered { node: node(operator, count, cost), layout, ordered, sorted_by: None })
            }
            LogicalPlan::Supplied { columns } => {
                let layout = ids(&columns);
                let rows = cardinality::SUPPLIED_ROWS;
                let operator = Operator::Supplied { types: types(&columns) };
                Ok(Lowered {
                    node: node(operator, rows, rows * cost::ROW_MADE),
                    layout,
                    ordered: false,
                    sorted_by: None,
                })
            }
            LogicalPlan::Project { input, expressions, columns } => {
                self.project(*input, expressions, &columns, required, wanted)
            }
            LogicalPlan::Aggregate { input, groups, group_columns, aggregates } => {
                self.aggregate(*input, groups, &group_columns, aggregates, required)
            }
            LogicalPlan::Join { kind, left, right, condition } => {
                self.join(kind, *left, *right, condition, required, wanted)
            }
            LogicalPlan::Append { inputs, columns } => self.append(inputs, &columns, required),
            LogicalPlan::SetOperation { kind, all, left, right, columns } => {
                self.set_operation(kind, all, *left, *right, &columns)
            }
            LogicalPlan::With { id, name, definition, input, .. } => {
                self.common_tables.open(id);
                let lowered = self.lower(*input, required, wanted)?;
                let node = self.with(id, name, *definition, lowered.node)?;
                Ok(Lowered { node, ..lowered })
            }
            LogicalPlan::CommonScan { id, name, columns } => self.common_scan(id, name, &columns, required),
            LogicalPlan::RecursiveUnion { id, all, initial, recursive, columns } => {
                self.recursive_union(id, all, *initial, *recursive, &columns)
            }
            LogicalPlan::TableFunction { function, arguments, columns, ordinality, position: _ } => {
                let rows = cardinality::TABLE_FUNCTION_ROWS;
                let operator = Operator::TableFunction { function, arguments, ordinality };
                let layout = ids(&columns);
                Ok(Lowered {
                    node: node(operator, rows, rows * cost::ROW_MADE),
                    layout,
                    ordered: false,
                    sorted_by: None,
                })
            }
            LogicalPlan::Initial { queries, input } => {
                let mut plans = Vec::with_capacity(queries.len());
                for query in queries {
                    plans.push(self.initial(query)?);
                }
                let lowered = self.lower(*input, required, wanted)?;
                Ok(Lowered { node: with_initial(plans, lowered.node), ..lowered })
            }
            LogicalPlan::Distinct { input } => self.distinct(*input),
            LogicalPlan::DistinctOn { input, keys } => self.distinct_on(*input, keys, required),
            // What these order by is theirs; whoever is above may want another order.
            LogicalPlan::Sort { input, keys } => {
                let meets = meets(&keys, wanted);
                let (lowered, keys) = self.sort_input(*input, keys, required, None)?;
                let lowered = if lowered.ordered { lowered } else { unary::sorted(lowered, keys) };
                Ok(Lowered { ordered: meets, ..lowered })
            }
            LogicalPlan::Limit { input, limit, offset, ties } if !ties.is_empty() => {
                // Its input comes in order; what comes after the last row is not known beforehand.
                let meets = matches!(&*input, LogicalPlan::Sort { keys, .. } if meets(keys, wanted));
                let mut needed = required.to_vec();
                ties.iter().for_each(|tie| add_columns(tie, &mut needed));
                let lowered = match *input {
                    LogicalPlan::LockRows { input, targets, recheck } => {
                        let locking = lock_rows::Locking { targets, recheck, demand: LockDemand::OneByOne };
                        self.lock_rows(*input, locking, &needed, None)?
                    }
                    input => self.lower(input, &needed, None)?,
                };
                let ties = mapped(ties, &lowered.layout)?;
                let mut limited = unary::limited(lowered, without_null(limit), without_null(offset), None);
                if let Operator::Limit { ties: kept, .. } = &mut limited.node.operator {
                    *kept = ties;
                }
                Ok(Lowered { ordered: meets, ..limited })
            }
            LogicalPlan::Limit { input, limit, offset, .. } => {
                let meets = matches!(&*input, LogicalPlan::Sort { keys, .. } if meets(keys, wanted));
                let lowered = self.limit(*input, without_null(limit), without_null(offset), required)?;
                Ok(Lowered { ordered: meets, ..lowered })
            }
            LogicalPlan::LockRows { input, targets, recheck } => {
                let locking = lock_rows::Locking { targets, recheck, demand: LockDemand::All };
                self.lock_rows(*input, locking, required, None)
            }
            LogicalPlan::Insert { .. } | LogicalPlan::Update { .. } | LogicalPlan::Delete { .. } => {
                let layout = ids(&plan.output_columns());
                let node = self.modification(plan)?;
                Ok(Lowered { node, layout, ordered: false, sorted_by: None })
            }
        }
    }

    /// A query that is run once.
    fn initial(&mut self, query: crate::sql::plan::logical::InitialQuery) -> Result<InitialPlan> {
        let plan = match query.form {
            InitialForm::Scalar => self.exactly(query.plan)?,
            // Whether there is a row: no column is needed for that.
            InitialForm::Exists => self.lower(query.plan, &[], None)?.node,
        };
        Ok(InitialPlan { parameter: query.parameter, form: query.form, plan, position: query.position })
    }

    /// Numbers a parameter that the plan computes, among all parameters.
    fn new_parameter(&mut self, data_type: DataType) -> usize {
        self.run_time_parameters.push(data_type);
        self.user_parameters + self.run_time_parameters.len() - 1
    }
}

/// `lowered` with exactly these columns in this order.
fn arranged(lowered: Lowered, columns: &[OutputColumn]) -> Result<PhysicalNode> {
    if lowered.layout.len() == columns.len()
        && lowered.layout.iter().zip(columns).all(|(id, column)| *id == column.id)
    {
        return Ok(lowered.node);
    }
    let expressions = columns.iter().map(column).collect();
    let expressions = mapped(expressions, &lowered.layout)?;
    Ok(unary::projection(lowered.node, expressions))
}

fn column(column: &OutputColumn) -> Expression {
    Expression::Column { id: column.id, data_type: column.sql_type.data_type }
}

fn types(columns: &[OutputColumn]) -> Vec<DataType> {
    columns.iter().map(|column| column.sql_type.data_type).collect()
}

fn with_initial(plans: Vec<InitialPlan>, input: PhysicalNode) -> PhysicalNode {
    let rows = input.estimated_rows;
    let cost = input.estimated_cost + plans.iter().map(|plan| plan.plan.estimated_cost).sum::<f64>();
    node(Operator::InitialPlans { plans, input: Box::new(input) }, rows, cost)
}

//! EXPLAIN: a physical plan as people read it, with what it was expected to cost and, after a run, what it did.
//!
//! The tree is PostgreSQL's where it can be: projections, filters, initial plans and common tables are shown with the
//! node that they belong to. Knows plans and what the executor measures. Knows no text of the statement and runs nothing.

mod describe;
mod expression;
mod json;
mod node;
mod operators;
mod text;

use crate::error::Result;
use crate::sql::executor::NodeStatistics;
use crate::sql::explain::expression::{Column, Printer};
use crate::sql::explain::node::Node;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::PhysicalPlan;
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::data_type::DataType;

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct ExplainOptions {
    /// What each node puts out.
    pub verbose: bool,
    /// Estimates.
    pub costs: bool,
    /// The time of each node, where the plan was run.
    pub timing: bool,
    /// The times of planning and running.
    pub summary: bool,
}

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub struct Measurement<'a> {
    /// One a node, a node before its inputs.
    pub nodes: &'a [NodeStatistics],
    /// How long the whole plan ran.
    pub nanoseconds: u64,
}

/// A plan ready to be shown.
#[derive(Debug)]
pub struct Explained {
    /// A node before its children.
    nodes: Vec<Node>,
    options: ExplainOptions,
    planning_nanoseconds: u64,
    execution_nanoseconds: Option<u64>,
}

impl Explained {
    /// Describes a plan, and its run where it had one.
    /// # Errors
    /// None that a plan of ours could raise.
    pub fn new(
        plan: &PhysicalPlan,
        options: ExplainOptions,
        planning_nanoseconds: u64,
        run: Option<Measurement<'_>>,
        environment: &CastEnvironment<'_>,
    ) -> Result<Explained> {
        Ok(Explained {
            nodes: describe::describe(plan, run.map_or(&[], |run| run.nodes), environment)?,
            options,
            planning_nanoseconds,
            execution_nanoseconds: run.map(|run| run.nanoseconds),
        })
    }
}

/// An expression of an index as messages and lists show it: in parentheses unless it looks like a function call.
/// `columns`: what its inputs are called.
pub fn index_key_text(
    expression: &Expression,
    columns: &[String],
    environment: &CastEnvironment<'_>,
) -> String {
    let text = predicate_text(expression, columns, environment);
    let is_call = match expression {
        Expression::Call { function, .. } => !expression::is_symbol(function.name),
        Expression::Coalesce { .. } | Expression::NullIf { .. } => true,
        _ => false,
    };
    if is_call { text } else { format!("({text})") }
}

/// The condition of a partial index as lists show it.
pub fn predicate_text(
    expression: &Expression,
    columns: &[String],
    environment: &CastEnvironment<'_>,
) -> String {
    let printer = Printer { environment, run_time: Default::default(), pretty: true };
    let columns: Vec<Column> =
        columns.iter().map(|text| Column { text: text.clone(), data_type: DataType::Unknown }).collect();
    printer.bare(expression, &columns)
}

/// Nanoseconds as milliseconds.
fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

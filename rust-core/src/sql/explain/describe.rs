//! Walks a plan and says of each node what it is, with the names of columns inferred from the leaves up.

use crate::error::{Error, Result};
use crate::sql::executor::NodeStatistics;
use crate::sql::explain::expression::{Column, Printer};
use crate::sql::explain::node::{Actual, Estimate, Node};
use crate::sql::plan::logical::CommonTableId;
use crate::sql::plan::physical::{Operator, PhysicalNode, PhysicalPlan};
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::data_type::DataType;
use std::collections::{BTreeMap, BTreeSet};

/// The nodes of a plan as they are shown, a node before its children.
pub(super) fn describe(
    plan: &PhysicalPlan,
    measured: &[NodeStatistics],
    environment: &CastEnvironment<'_>,
) -> Result<Vec<Node>> {
    let mut describer = Describer {
        nodes: Vec::new(),
        inputs: Vec::new(),
        measured,
        shown: Vec::new(),
        printer: Printer { environment, run_time: BTreeMap::new(), pretty: false },
        aliases: Vec::new(),
        common: BTreeMap::new(),
        working_tables: BTreeSet::new(),
        initial_plans: 0,
    };
    describer.number(&plan.root);
    describer.name_relations();
    describer.run()?;
    describer.finish()
}

/// What is known of a node once its inputs are described.
#[derive(Default)]
pub(super) struct Shown {
    /// `None`: the node is shown as part of its input.
    pub(super) node: Option<Node>,
    /// Numbers of the nodes shown below it, in order.
    pub(super) children: Vec<usize>,
    pub(super) columns: Vec<Column>,
    /// The cost before the first row.
    pub(super) startup_cost: f64,
}

enum Task {
    /// Describes a node after its inputs.
    Visit(usize),
    /// The left input is described: what the right one sees of it gets its names.
    Bind(usize),
    Finish(usize),
}

pub(super) struct Describer<'a> {
    /// All nodes, a node before its inputs.
    pub(super) nodes: Vec<&'a PhysicalNode>,
    pub(super) inputs: Vec<Vec<usize>>,
    pub(super) measured: &'a [NodeStatistics],
    pub(super) shown: Vec<Shown>,
    pub(super) printer: Printer<'a>,
    /// By number: what a scanned table goes by.
    pub(super) aliases: Vec<String>,
    /// Names and types of the columns of common and working tables.
    pub(super) common: BTreeMap<CommonTableId, Vec<Column>>,
    pub(super) working_tables: BTreeSet<CommonTableId>,
    pub(super) initial_plans: usize,
}

impl<'a> Describer<'a> {
    fn number(&mut self, root: &'a PhysicalNode) {
        let mut open: Vec<(&PhysicalNode, Option<usize>)> = vec![(root, None)];
        while let Some((node, parent)) = open.pop() {
            let number = self.nodes.len();
            self.nodes.push(node);
            self.inputs.push(Vec::new());
            if let Some(parent) = parent {
                self.inputs[parent].push(number);
            }
            open.extend(node.inputs().into_iter().rev().map(|input| (input, Some(number))));
        }
        self.shown.resize_with(self.nodes.len(), Shown::default);
    }

    /// Each scan gets its table's name; those after the first of a table are numbered, as PostgreSQL does.
    fn name_relations(&mut self) {
        let mut used: BTreeMap<&str, usize> = BTreeMap::new();
        for node in &self.nodes {
            let name = match &node.operator {
                Operator::TableScan { table, .. }
                | Operator::IndexScan { table, .. }
                | Operator::RowIdLookup { table, .. }
                | Operator::UniqueLookup { table, .. } => table.name.as_str(),
                Operator::CommonScan { name, .. } => name.as_str(),
                Operator::TableFunction { function, .. } => function.name,
                _ => {
                    self.aliases.push(String::new());
                    continue;
                }
            };
            let count = used.entry(name).or_insert(0);
            self.aliases.push(if *count == 0 { name.to_owned() } else { format!("{name}_{count}") });
            *count += 1;
        }
    }

    fn run(&mut self) -> Result<()> {
        let mut tasks = vec![Task::Visit(0)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Visit(number) => {
                    tasks.push(Task::Finish(number));
                    let inputs = self.inputs[number].clone();
                    match &self.nodes[number].operator {
                        Operator::Apply { .. }
                        | Operator::With { .. }
                        | Operator::RecursiveUnion { .. }
                        | Operator::InitialPlans { .. } => {
                            if let Operator::RecursiveUnion { id, .. } = &self.nodes[number].operator {
                                self.working_tables.insert(*id);
                            }
                            // What comes first gives names to what comes after it.
                            let (last, first) = inputs
                                .split_last()
                                .ok_or_else(|| Error::internal("a plan node without its inputs"))?;
                            tasks.push(Task::Visit(*last));
                            tasks.push(Task::Bind(number));
                            tasks.extend(first.iter().rev().map(|input| Task::Visit(*input)));
                        }
                        _ => tasks.extend(inputs.iter().rev().map(|input| Task::Visit(*input))),
                    }
                }
                Task::Bind(number) => self.bind(number),
                Task::Finish(number) => self.describe(number),
            }
        }
        Ok(())
    }

    /// Gives names to what the last input refers to.
    fn bind(&mut self, number: usize) {
        let first = self.inputs[number][0];
        match &self.nodes[number].operator {
            Operator::Apply { arguments, .. } => {
                for (parameter, value) in arguments {
                    let text = self.printer.print(value, &self.shown[first].columns);
                    self.printer.run_time.insert(*parameter, text);
                }
            }
            Operator::With { id, .. } | Operator::RecursiveUnion { id, .. } => {
                self.common.insert(*id, self.shown[first].columns.clone());
            }
            _ => {}
        }
    }

    pub(super) fn columns_of(&self, numbers: &[usize]) -> Vec<Column> {
        numbers.iter().flat_map(|number| self.shown[*number].columns.iter().cloned()).collect()
    }

    // ---- nodes that are shown as part of their input ------------------------------------------------------

    /// Takes the node that stands for `input`, to be shown as that of `number`.
    pub(super) fn take_input(&mut self, number: usize, input: usize) -> Option<Node> {
        let shown = self.shown[input].node.take()?;
        self.shown[number].children = std::mem::take(&mut self.shown[input].children);
        Some(shown)
    }

    pub(super) fn finish_merged(
        &mut self,
        number: usize,
        mut node: Node,
        columns: Vec<Column>,
        startup_cost: f64,
    ) {
        self.measure(number, &mut node, &columns, startup_cost);
        let children = std::mem::take(&mut self.shown[number].children);
        self.shown[number] = Shown { node: Some(node), children, columns, startup_cost };
    }

    /// The last input stands for the node, with the others below it.
    pub(super) fn merge_with_subplans(&mut self, number: usize, inputs: &[usize], columns: Vec<Column>) {
        let Some((last, others)) = inputs.split_last() else { return };
        let Some(shown) = self.take_input(number, *last) else { return };
        let mut children = others.to_vec();
        children.append(&mut self.shown[number].children);
        self.shown[number].children = children;
        let startup_cost = self.shown[*last].startup_cost;
        self.finish_merged(number, shown, columns, startup_cost);
    }

    /// Whether what comes out of a node may be said to be filtered by it: not where that would change which rows
    /// it works on.
    pub(super) fn takes_filter(&self, input: usize) -> bool {
        match &self.nodes[input].operator {
            Operator::Project { .. } | Operator::Filter { .. } => self.takes_filter(self.inputs[input][0]),
            Operator::TableScan { .. }
            | Operator::IndexScan { .. }
            | Operator::RowIdLookup { .. }
            | Operator::UniqueLookup { .. }
            | Operator::CommonScan { .. }
            | Operator::TableFunction { .. }
            | Operator::Values { .. }
            | Operator::HashAggregate { .. }
            | Operator::HashJoin { .. }
            | Operator::MergeJoin { .. }
            | Operator::NestedLoopJoin { .. }
            | Operator::Apply { .. } => true,
            _ => false,
        }
    }

    pub(super) fn removed_by(&self, number: usize, input: usize) -> Option<u64> {
        let (filter, input) = (self.measured.get(number)?, self.measured.get(input)?);
        Some((input.rows.saturating_sub(filter.rows) as f64 / filter.loops.max(1) as f64).round() as u64)
    }

    pub(super) fn label(&mut self, number: usize, label: String, relationship: &str) {
        self.relate(number, relationship);
        if let Some(node) = &mut self.shown[number].node {
            node.label = Some(label);
        }
    }

    pub(super) fn relate(&mut self, number: usize, relationship: &str) {
        if let Some(node) = &mut self.shown[number].node {
            node.fields.retain(|(name, _)| *name != "Parent Relationship");
            node.fields.insert(1, ("Parent Relationship", relationship.to_owned()));
        }
    }

    // ---- numbers ------------------------------------------------------------------------------------------

    pub(super) fn measure(&self, number: usize, node: &mut Node, columns: &[Column], startup_cost: f64) {
        let physical = self.nodes[number];
        node.estimate = Estimate {
            startup_cost: startup_cost.min(physical.estimated_cost),
            total_cost: physical.estimated_cost,
            rows: physical.estimated_rows.max(0.0),
            width: columns.iter().map(|column| width(column.data_type)).sum(),
        };
        node.output(columns.iter().map(|column| column.text.clone()).collect());
        if let Some(measured) = self.measured.get(number) {
            node.actual = Some(Actual {
                nanoseconds: measured.nanoseconds,
                rows: measured.rows,
                loops: measured.loops,
            });
            if measured.memory_bytes > 0 {
                node.bytes("Memory Usage", measured.memory_bytes);
            }
        }
    }

    // ---- the result ---------------------------------------------------------------------------------------

    fn finish(mut self) -> Result<Vec<Node>> {
        let mut ordered = Vec::new();
        let mut open = vec![(0, 0)];
        while let Some((number, depth)) = open.pop() {
            let shown = &mut self.shown[number];
            let mut node = shown.node.take().ok_or_else(|| Error::internal("a plan node is shown twice"))?;
            node.depth = depth;
            ordered.push(node);
            open.extend(shown.children.iter().rev().map(|child| (*child, depth + 1)));
        }
        Ok(ordered)
    }
}

/// Bytes that a value of the type takes in a row, about; PostgreSQL's guess where it depends on the value.
fn width(data_type: DataType) -> u64 {
    match data_type {
        DataType::Boolean => 1,
        DataType::SmallInt => 2,
        DataType::Integer | DataType::Date | DataType::Real => 4,
        DataType::BigInt | DataType::Double | DataType::Timestamp | DataType::TimestampTz => 8,
        DataType::Interval => 16,
        DataType::Numeric
        | DataType::Text
        | DataType::Varchar
        | DataType::Char
        | DataType::Bytea
        | DataType::Unknown => 32,
    }
}

//! What each operator is called, what is said below it, and how its columns are named.

use crate::catalog::table_definition::{ColumnDefinition, TableDefinition};
use crate::sql::explain::describe::{Describer, Shown};
use crate::sql::explain::expression::{Column, Printer, data_type};
use crate::sql::explain::node::Node;
use crate::sql::plan::expression::{Expression, SortKey};
use crate::sql::plan::logical::SetOperationKind;
use crate::sql::plan::physical::{
    ConflictValues, HashKey, KeyBound, KeyNulls, Operator, PhysicalAggregate, PhysicalConflict,
    PhysicalJoinKind, ScanOutput,
};
use crate::sql::types::data_type::DataType;
use crate::table::layout::IndexKey;

impl Describer<'_> {
    /// Describes a node whose inputs are described.
    pub(super) fn describe(&mut self, number: usize) {
        let physical = self.nodes[number];
        let inputs = self.inputs[number].clone();
        let input_columns = self.columns_of(&inputs);
        let is_first = |position: usize| inputs.get(position).copied();
        let mut node = Node::default();
        let mut startup_cost = is_first(0).map_or(0.0, |first| self.shown[first].startup_cost);
        let whole_input = is_first(0).map_or(0.0, |first| self.nodes[first].estimated_cost);
        let mut columns = input_columns.clone();
        match &physical.operator {
            Operator::TableScan { table, lower, upper, backward, output } => {
                let key =
                    table.row_id_column().map(|column| self.column(number, &table.columns[column].name));
                let conditions = key.map_or_else(Vec::new, |key| {
                    let key = [key];
                    self.bounds(&key, lower.as_ref(), upper.as_ref())
                });
                match &table.row_id_constraint {
                    Some(index) if !conditions.is_empty() || *backward => {
                        self.index_scan(&mut node, number, index, &table.name, *backward);
                    }
                    _ => self.scan(&mut node, number, "Seq Scan", &table.name),
                }
                self.conditions(&mut node, "Index Cond", conditions);
                columns = self.scanned(&mut node, number, &table.columns, output);
            }
            Operator::IndexScan { table, index, equal, lower, upper, backward, any_order: _, output } => {
                self.index_scan(&mut node, number, &table.indexes[*index].name, &table.name, *backward);
                let keys: Vec<String> = table.layout.indexes[*index]
                    .columns
                    .iter()
                    .map(|part| self.key_text(number, table, part.key))
                    .collect();
                let mut conditions: Vec<String> = keys
                    .iter()
                    .zip(equal)
                    .map(|(key, value)| format!("({key} = {})", self.printer.print(value, &[])))
                    .collect();
                let rest = keys.get(equal.len()..).unwrap_or(&[]);
                conditions.extend(self.bounds(rest, lower.as_ref(), upper.as_ref()));
                self.conditions(&mut node, "Index Cond", conditions);
                columns = self.scanned(&mut node, number, &table.columns, output);
            }
            Operator::RowIdLookup { table, row_id, output } => {
                match (&table.row_id_constraint, table.row_id_column()) {
                    (Some(index), Some(column)) => {
                        self.index_scan(&mut node, number, index, &table.name, false);
                        let key = self.column(number, &table.columns[column].name);
                        let value = self.printer.print(row_id, &[]);
                        self.conditions(&mut node, "Index Cond", vec![format!("({key} = {value})")]);
                    }
                    _ => {
                        self.scan(&mut node, number, "Row Id Scan", &table.name);
                        node.text("Row Id", self.printer.print(row_id, &[]));
                    }
                }
                columns = self.scanned(&mut node, number, &table.columns, output);
            }
            Operator::UniqueLookup { table, index, key, output } => {
                self.index_scan(&mut node, number, &table.indexes[*index].name, &table.name, false);
                let conditions = table.layout.indexes[*index]
                    .columns
                    .iter()
                    .zip(key)
                    .map(|(column, value)| {
                        let column = self.key_text(number, table, column.key);
                        format!("({column} = {})", self.printer.print(value, &[]))
                    })
                    .collect();
                self.conditions(&mut node, "Index Cond", conditions);
                columns = self.scanned(&mut node, number, &table.columns, output);
            }
            Operator::Values { rows, types } => {
                if rows.len() <= 1 {
                    title(&mut node, "Result");
                    if rows.is_empty() {
                        // What a condition that never holds leaves.
                        node.text("One-Time Filter", "false".to_owned());
                    }
                } else {
                    title(&mut node, "Values Scan");
                    node.title.push_str(" on \"*VALUES*\"");
                }
                columns = match &rows[..] {
                    [row] => row
                        .iter()
                        .map(|value| Column {
                            text: self.printer.print(value, &[]),
                            data_type: data_type(value),
                        })
                        .collect(),
                    _ => numbered(types),
                };
            }
            Operator::Supplied { types } => {
                title(&mut node, "Supplied Rows");
                columns = numbered(types);
            }
            Operator::CommonScan { id, name, columns: positions, types } => {
                let what = if self.working_tables.contains(id) { "WorkTable Scan" } else { "CTE Scan" };
                self.scan(&mut node, number, what, name);
                let known = self.common.get(id);
                columns = positions
                    .iter()
                    .zip(types)
                    .map(|(position, data_type)| {
                        let text = known.and_then(|known| known.get(*position)).map(|column| &column.text);
                        Column { text: self.renamed(number, text, *position), data_type: *data_type }
                    })
                    .collect();
            }
            Operator::TableFunction { function, arguments, ordinality } => {
                self.scan(&mut node, number, "Function Scan", function.name);
                let mut call = String::new();
                self.printer.write_call(function.name, arguments, &[], &mut call);
                node.verbose_text("Function Call", call);
                columns = function
                    .columns
                    .iter()
                    .map(|(name, data_type)| Column {
                        text: self.column(number, name),
                        data_type: *data_type,
                    })
                    .collect();
                if *ordinality {
                    let text = self.column(number, "ordinality");
                    columns.push(Column { text, data_type: DataType::BigInt });
                }
            }
            Operator::Filter { predicate, .. } => {
                let condition = self.printer.print(predicate, &input_columns);
                let removed = self.removed_by(number, inputs[0]);
                if self.takes_filter(inputs[0])
                    && let Some(mut shown) = self.take_input(number, inputs[0])
                {
                    shown.text("Filter", condition);
                    if let Some(rows) = removed {
                        shown.count("Rows Removed by Filter", rows);
                    }
                    return self.finish_merged(number, shown, columns, startup_cost);
                }
                title(&mut node, "Filter");
                node.text("Filter", condition);
                if let Some(rows) = removed {
                    node.count("Rows Removed by Filter", rows);
                }
            }
            Operator::Project { expressions, .. } => {
                columns = expressions
                    .iter()
                    .map(|expression| Column {
                        text: self.printer.print(expression, &input_columns),
                        data_type: data_type(expression),
                    })
                    .collect();
                if let Some(shown) = self.take_input(number, inputs[0]) {
                    return self.finish_merged(number, shown, columns, startup_cost);
                }
                title(&mut node, "Project");
            }
            Operator::InitialPlans { plans, .. } => {
                let last = inputs.len() - 1;
                for (plan, input) in plans.iter().zip(&inputs) {
                    self.initial_plans += 1;
                    let label = format!("InitPlan {} (returns ${})", self.initial_plans, plan.parameter + 1);
                    self.label(*input, label, "InitPlan");
                }
                columns = self.columns_of(&inputs[last..]);
                return self.merge_with_subplans(number, &inputs, columns);
            }
            Operator::With { name, .. } => {
                self.label(inputs[0], format!("CTE {name}"), "InitPlan");
                columns = self.columns_of(&inputs[1..]);
                return self.merge_with_subplans(number, &inputs, columns);
            }
            Operator::HashAggregate { groups, aggregates, .. } => {
                let keys = self.printer.list(groups, &input_columns);
                title(&mut node, if keys.is_empty() { "Aggregate" } else { "HashAggregate" });
                columns = groups
                    .iter()
                    .zip(&keys)
                    .map(|(group, text)| Column { text: text.clone(), data_type: data_type(group) })
                    .collect();
                columns.extend(aggregates.iter().map(|call| self.aggregate(call, &input_columns)));
                if !keys.is_empty() {
                    node.list("Group Key", keys);
                }
                startup_cost = whole_input;
            }
            Operator::DistinctOn { keys, .. } => {
                title(&mut node, "Unique");
                node.list("Distinct Key", self.printer.list(keys, &input_columns));
            }
            Operator::HashJoin { kind, keys, residual, .. } => {
                join(&mut node, "Hash", *kind);
                let condition = self.key_conditions(keys, &inputs);
                node.text("Hash Cond", condition);
                self.join_filter(&mut node, residual.as_ref(), &input_columns);
                columns = self.joined(*kind, &inputs);
                startup_cost += self.nodes[inputs[1]].estimated_cost;
            }
            Operator::MergeJoin { kind, keys, residual, .. } => {
                join(&mut node, "Merge", *kind);
                let condition = self.key_conditions(keys, &inputs);
                node.text("Merge Cond", condition);
                self.join_filter(&mut node, residual.as_ref(), &input_columns);
                columns = self.joined(*kind, &inputs);
                startup_cost += self.shown[inputs[1]].startup_cost;
            }
            Operator::NestedLoopJoin { kind, condition, .. } => {
                join(&mut node, "Nested Loop", *kind);
                self.join_filter(&mut node, condition.as_ref(), &input_columns);
                columns = self.joined(*kind, &inputs);
                startup_cost += self.nodes[inputs[1]].estimated_cost;
            }
            Operator::Apply { kind, arguments, condition, .. } => {
                join(&mut node, "Nested Loop", *kind);
                if !arguments.is_empty() {
                    let left = &self.shown[inputs[0]].columns;
                    let keys = arguments.iter().map(|(_, value)| self.printer.print(value, left)).collect();
                    node.list("Parameters", keys);
                }
                self.join_filter(&mut node, condition.as_ref(), &input_columns);
                columns = self.joined(*kind, &inputs);
                startup_cost += self.shown[inputs[1]].startup_cost;
            }
            Operator::Append { .. } => {
                title(&mut node, "Append");
                columns = self.columns_of(&inputs[..1]);
            }
            Operator::SetOperation { kind, all, .. } => {
                let what = match kind {
                    SetOperationKind::Intersect => "HashSetOp Intersect",
                    SetOperationKind::Except => "HashSetOp Except",
                };
                title(&mut node, what);
                if *all {
                    node.title.push_str(" All");
                }
                columns = self.columns_of(&inputs[..1]);
                startup_cost = inputs.iter().map(|input| self.nodes[*input].estimated_cost).sum();
            }
            Operator::RecursiveUnion { .. } => {
                title(&mut node, "Recursive Union");
                columns = self.columns_of(&inputs[..1]);
            }
            Operator::Sort { keys, .. } => {
                title(&mut node, "Sort");
                node.list("Sort Key", self.sort_keys(keys, &input_columns));
                startup_cost = whole_input;
            }
            Operator::TopN { keys, limit, offset, .. } => {
                title(&mut node, "Top-N Sort");
                node.list("Sort Key", self.sort_keys(keys, &input_columns));
                self.limits(&mut node, Some(limit), offset.as_ref());
                startup_cost = whole_input;
            }
            Operator::Limit { limit, offset, .. } => {
                title(&mut node, "Limit");
                self.limits(&mut node, limit.as_ref(), offset.as_ref());
            }
            Operator::LockRows { .. } => title(&mut node, "LockRows"),
            Operator::Insert { table, returning, conflict, .. } => {
                self.scan_title(&mut node, "Insert", &table.name);
                if let Some(conflict) = conflict {
                    self.conflict(&mut node, table, conflict);
                }
                columns = returned(&self.printer, returning.as_deref(), &table_columns(&table.columns));
                startup_cost = whole_input;
            }
            Operator::Update { table, returning, .. } => {
                self.scan_title(&mut node, "Update", &table.name);
                let mut visible = table_columns(&table.columns);
                visible.extend(input_columns.iter().skip(table.columns.len() + 1).cloned());
                columns = returned(&self.printer, returning.as_deref(), &visible);
                startup_cost = whole_input;
            }
            Operator::Delete { table, returning, .. } => {
                self.scan_title(&mut node, "Delete", &table.name);
                columns = returned(&self.printer, returning.as_deref(), &input_columns);
                startup_cost = whole_input;
            }
        }
        for (position, input) in inputs.iter().enumerate() {
            let relationship = match (&physical.operator, position) {
                (Operator::Append { .. }, _) => "Member",
                (_, 0) => "Outer",
                _ => "Inner",
            };
            self.relate(*input, relationship);
        }
        self.measure(number, &mut node, &columns, startup_cost);
        self.shown[number] = Shown { node: Some(node), children: inputs, columns, startup_cost };
    }

    /// A column of a scanned relation: with the relation's name where there are several.
    fn column(&self, number: usize, name: &str) -> String {
        let several = self.aliases.iter().filter(|alias| !alias.is_empty()).count() > 1;
        if several { format!("{}.{name}", self.aliases[number]) } else { name.to_owned() }
    }

    /// A part of an index's key: a column, or an expression as the index shows it.
    fn key_text(&self, number: usize, table: &TableDefinition, key: IndexKey) -> String {
        match key {
            IndexKey::Column(column) => self.column(number, &table.columns[column].name),
            IndexKey::Computed(_) => table.key_text(key).to_owned(),
        }
    }

    /// A column of a common table, which has no name of its own in a plan.
    fn renamed(&self, number: usize, text: Option<&String>, position: usize) -> String {
        let last = text.and_then(|text| text.rsplit('.').next());
        let is_name = |name: &&str| {
            !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || c == '_')
                && !name.starts_with(|first: char| first.is_ascii_digit())
        };
        match last.filter(is_name) {
            Some(name) => self.column(number, name),
            None => self.column(number, &format!("column{}", position + 1)),
        }
    }

    fn scan(&self, node: &mut Node, number: usize, what: &str, relation: &str) {
        self.scan_title(node, what, relation);
        let alias = &self.aliases[number];
        if alias != relation {
            node.title.push_str(&format!(" {alias}"));
        }
        node.fields.push(("Alias", alias.clone()));
    }

    fn scan_title(&self, node: &mut Node, what: &str, relation: &str) {
        title(node, what);
        node.title.push_str(&format!(" on {relation}"));
        node.fields.push(("Relation Name", relation.to_owned()));
    }

    fn index_scan(&self, node: &mut Node, number: usize, index: &str, relation: &str, backward: bool) {
        self.scan(node, number, "Index Scan", relation);
        let direction = if backward { " Backward" } else { "" };
        let rest = node.title.trim_start_matches("Index Scan").to_owned();
        node.title = format!("Index Scan{direction} using {index}{rest}");
        node.fields.push(("Index Name", index.to_owned()));
        node.fields.push(("Scan Direction", String::from(if backward { "Backward" } else { "Forward" })));
    }

    /// The columns of a scan; its predicate goes to the node.
    fn scanned(
        &self,
        node: &mut Node,
        number: usize,
        columns: &[ColumnDefinition],
        output: &ScanOutput,
    ) -> Vec<Column> {
        let mut parts = Vec::new();
        let mut named: Vec<Column> = Vec::with_capacity(output.columns.len() + 1);
        for (place, position) in output.columns.iter().enumerate() {
            let column = &columns[*position];
            let mut text = self.column(number, &column.name);
            if let Some(part) = output.part(place) {
                let called = part.text(&text, &self.printer.list(&part.arguments, &[]));
                if part.is_result() {
                    text.clone_from(&called);
                }
                parts.push(called);
            }
            named.push(Column { text, data_type: output.data_type(place, column.sql_type.data_type) });
        }
        if !parts.is_empty() {
            node.verbose_text("Column Parts", parts.join(", "));
        }
        if output.row_id {
            named.push(Column { text: self.column(number, "ctid"), data_type: DataType::BigInt });
        }
        if let Some(predicate) = &output.predicate {
            node.text("Filter", self.printer.print(predicate, &named));
        }
        named
    }

    fn conditions(&self, node: &mut Node, name: &'static str, conditions: Vec<String>) {
        match &conditions[..] {
            [] => {}
            [only] => node.text(name, only.clone()),
            several => node.text(name, format!("({})", several.join(" AND "))),
        }
    }

    /// The conditions that bounds stand for.
    fn bounds(&self, keys: &[String], lower: Option<&KeyBound>, upper: Option<&KeyBound>) -> Vec<String> {
        [(lower, ">"), (upper, "<")]
            .into_iter()
            .filter_map(|(bound, sign)| bound.map(|bound| (bound, sign)))
            .flat_map(|(bound, sign)| {
                let equal = if bound.inclusive { "=" } else { "" };
                bound.values.iter().zip(keys).map(move |(value, key)| {
                    format!("({key} {sign}{equal} {})", self.printer.print(value, &[]))
                })
            })
            .collect()
    }

    fn key_conditions(&self, keys: &[HashKey], inputs: &[usize]) -> String {
        let (left, right) = (&self.shown[inputs[0]].columns, &self.shown[inputs[1]].columns);
        let conditions: Vec<String> = keys
            .iter()
            .map(|key| {
                let operator = match key.nulls {
                    KeyNulls::NeverMatch | KeyNulls::Unknown => "=",
                    KeyNulls::Equal => "IS NOT DISTINCT FROM",
                };
                let (left, right) =
                    (self.printer.print(&key.left, left), self.printer.print(&key.right, right));
                format!("({left} {operator} {right})")
            })
            .collect();
        match &conditions[..] {
            [only] => only.clone(),
            several => format!("({})", several.join(" AND ")),
        }
    }

    /// ON CONFLICT, in PostgreSQL's words.
    fn conflict(&self, node: &mut Node, table: &TableDefinition, conflict: &PhysicalConflict) {
        let action = if conflict.update.is_some() { "UPDATE" } else { "NOTHING" };
        node.text("Conflict Resolution", action.to_owned());
        let name = |index: &Option<usize>| match index {
            Some(index) => table.indexes[*index].name.clone(),
            None => table.row_id_constraint.clone().unwrap_or_default(),
        };
        node.list("Conflict Arbiter Indexes", conflict.arbiters.iter().map(name).collect());
        let update = conflict.update.as_ref();
        if let Some(ConflictValues::Expressions { filter: Some(filter), .. }) = update.map(|one| &one.values)
        {
            let mut columns = table_columns(&table.columns);
            for column in &mut columns {
                column.text = format!("{}.{}", table.name, column.text);
            }
            let excluded = table_columns(&table.columns).into_iter().map(|mut column| {
                column.text = format!("excluded.{}", column.text);
                column
            });
            columns.extend(excluded);
            node.text("Conflict Filter", self.printer.print(filter, &columns));
        }
    }

    fn join_filter(&self, node: &mut Node, condition: Option<&Expression>, columns: &[Column]) {
        if let Some(condition) = condition {
            node.text("Join Filter", self.printer.print(condition, columns));
        }
    }

    fn joined(&self, kind: PhysicalJoinKind, inputs: &[usize]) -> Vec<Column> {
        match kind {
            PhysicalJoinKind::Semi | PhysicalJoinKind::Anti => self.columns_of(&inputs[..1]),
            PhysicalJoinKind::Mark => {
                let mut columns = self.columns_of(&inputs[..1]);
                columns.push(Column { text: String::from("mark"), data_type: DataType::Boolean });
                columns
            }
            _ => self.columns_of(inputs),
        }
    }

    fn sort_keys(&self, keys: &[SortKey], columns: &[Column]) -> Vec<String> {
        keys.iter().map(|key| self.printer.sort_key(key, columns)).collect()
    }

    fn limits(&self, node: &mut Node, limit: Option<&Expression>, offset: Option<&Expression>) {
        for (name, value) in [("Limit", limit), ("Offset", offset)] {
            if let Some(value) = value {
                node.verbose_text(name, self.printer.print(value, &[]));
            }
        }
    }

    fn aggregate(&self, call: &PhysicalAggregate, columns: &[Column]) -> Column {
        let arguments = match &call.arguments[..] {
            [] => String::from("*"),
            arguments => self.printer.list(arguments, columns).join(", "),
        };
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let mut text = format!("{}({distinct}{arguments})", call.function.name);
        if let Some(filter) = &call.filter {
            text.push_str(&format!(" FILTER (WHERE {})", self.printer.print(filter, columns)));
        }
        Column { text, data_type: call.function.returns }
    }
}

fn title(node: &mut Node, what: &str) {
    node.title.push_str(what);
    node.fields.push(("Node Type", what.to_owned()));
}

fn join(node: &mut Node, method: &str, kind: PhysicalJoinKind) {
    let name = match kind {
        PhysicalJoinKind::Inner => "Inner",
        PhysicalJoinKind::Left => "Left",
        PhysicalJoinKind::Right => "Right",
        PhysicalJoinKind::Full => "Full",
        PhysicalJoinKind::Semi => "Semi",
        PhysicalJoinKind::Anti => "Anti",
        PhysicalJoinKind::Mark => "Mark",
        PhysicalJoinKind::Single => "Single",
    };
    node.title = match (kind, method) {
        (PhysicalJoinKind::Inner, "Nested Loop") => method.to_owned(),
        (PhysicalJoinKind::Inner, _) => format!("{method} Join"),
        _ => format!("{method} {name} Join"),
    };
    let node_type = if method == "Nested Loop" { method.to_owned() } else { format!("{method} Join") };
    node.fields.push(("Node Type", node_type));
    node.fields.push(("Join Type", name.to_owned()));
}

fn numbered(types: &[DataType]) -> Vec<Column> {
    types
        .iter()
        .enumerate()
        .map(|(position, data_type)| Column {
            text: format!("column{}", position + 1),
            data_type: *data_type,
        })
        .collect()
}

fn table_columns(columns: &[ColumnDefinition]) -> Vec<Column> {
    columns
        .iter()
        .map(|column| Column { text: column.name.clone(), data_type: column.sql_type.data_type })
        .collect()
}

fn returned(printer: &Printer<'_>, returning: Option<&[Expression]>, columns: &[Column]) -> Vec<Column> {
    returning
        .unwrap_or(&[])
        .iter()
        .map(|value| Column { text: printer.print(value, columns), data_type: data_type(value) })
        .collect()
}

//! Parts of columns become columns of the scan: where a text or bytea is used only by functions that need a part of it,
//! the table gives the parts, and long values stay where they are.
//!
//! A column that somebody needs whole is read whole, and its parts are computed of that. Conditions right above a scan
//! stay as they are written, for access paths are found by them; the scan's lowering puts the parts into what is left.

use crate::error::Result;
use crate::sql::optimizer::parts::{each_use, presence, replace_uses};
use crate::sql::optimizer::rewrite::numbering::Numbering;
use crate::sql::optimizer::rewrite::references::{ColumnSet, column, each_node};
use crate::sql::optimizer::rewrite::same::same;
use crate::sql::plan::expression::{AggregateCall, ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::data_type::{DataType, SqlType};
use hashbrown::HashMap;

/// A part of a column that is used somewhere.
struct Used {
    column: ColumnId,
    /// Over columns.
    value: Expression,
    /// Stands for it.
    output: OutputColumn,
}

/// Makes columns of the parts that are used of columns which nobody needs whole.
/// # Errors
/// None of its own.
pub(super) fn use_parts(plan: &mut LogicalPlan, numbering: &mut Numbering) -> Result<()> {
    let long = long_columns(plan);
    if long.is_empty() {
        return Ok(());
    }
    let used = used_parts(plan, &long, numbering);
    if used.is_empty() {
        return Ok(());
    }
    let mut waiting = vec![plan];
    while let Some(node) = waiting.pop() {
        match node {
            LogicalPlan::Scan { .. } => add_outputs(node, &used)?,
            LogicalPlan::Filter { .. } if is_filtered_scan(node) => {}
            LogicalPlan::Aggregate { aggregates, .. } => {
                for call in aggregates.iter_mut().filter(|call| only_counts(call)) {
                    for argument in &mut call.arguments {
                        let found = presence(argument).and_then(|found| stands_for(&found.value, &used));
                        if let Some(part) = found {
                            *argument = part;
                        }
                    }
                }
                node.each_own_expression_mut(&mut |expression| replace(expression, &used))?;
            }
            _ => node.each_own_expression_mut(&mut |expression| replace(expression, &used))?,
        }
        waiting.extend(node.inputs_mut());
    }
    Ok(())
}

fn replace(expression: &mut Expression, used: &[Used]) -> Result<()> {
    replace_uses(expression, &|found| stands_for(&found.value, used))
}

fn stands_for(value: &Expression, used: &[Used]) -> Option<Expression> {
    used.iter().find(|known| same(&known.value, value)).map(|known| column(&known.output))
}

/// Texts and byteas of tables.
fn long_columns(plan: &LogicalPlan) -> HashMap<ColumnId, DataType> {
    let mut long = HashMap::new();
    each_node(plan, &mut |node| {
        if let LogicalPlan::Scan { table, columns, .. } = node {
            for column in columns.iter().take(table.columns.len()) {
                let data_type = column.sql_type.data_type;
                if matches!(data_type, DataType::Text | DataType::Varchar | DataType::Bytea) {
                    long.insert(column.id, data_type);
                }
            }
        }
    });
    long
}

/// Whether an aggregate only looks at which of its arguments are NULL.
fn only_counts(call: &AggregateCall) -> bool {
    call.function.name == "count" && !call.distinct && call.order.is_empty()
}

/// The parts of columns that nobody needs whole, each once, in the order in which they are found.
fn used_parts(
    plan: &LogicalPlan,
    long: &HashMap<ColumnId, DataType>,
    numbering: &mut Numbering,
) -> Vec<Used> {
    let mut whole = ColumnSet::new();
    let mut found: Vec<(ColumnId, Expression)> = Vec::new();
    let mut note = |id: ColumnId, value: Option<&Expression>| {
        if !long.contains_key(&id) {
            return;
        }
        match value {
            None => {
                whole.insert(id);
            }
            Some(value) if !found.iter().any(|(_, known)| same(known, value)) => {
                found.push((id, value.clone()));
            }
            Some(_) => {}
        }
    };
    plan.output_columns().iter().for_each(|column| note(column.id, None));
    each_node(plan, &mut |node| {
        if let LogicalPlan::Aggregate { groups, aggregates, .. } = node {
            for group in groups {
                each_use(group, &mut |id, part| note(id, part.map(|part| &part.value)));
            }
            for call in aggregates {
                let counts = only_counts(call);
                for operand in call.operands() {
                    match presence(operand).filter(|_| counts) {
                        Some(part) => note(part.column, Some(&part.value)),
                        None => each_use(operand, &mut |id, part| note(id, part.map(|part| &part.value))),
                    }
                }
            }
        } else {
            // A data change and a lock know the columns of their tables only.
            let takes_parts = !matches!(
                node,
                LogicalPlan::Insert { .. }
                    | LogicalPlan::Update { .. }
                    | LogicalPlan::Delete { .. }
                    | LogicalPlan::LockRows { .. }
            );
            node.each_own_expression(&mut |expression| {
                each_use(expression, &mut |id, part| {
                    note(id, part.filter(|_| takes_parts).map(|part| &part.value));
                });
            });
        }
        if let LogicalPlan::Update { old_columns, .. } | LogicalPlan::Delete { old_columns, .. } = node {
            old_columns.iter().for_each(|column| note(column.id, None));
        }
        // Others take their input's columns by position, or all of them.
        let named = match node {
            LogicalPlan::Filter { .. }
            | LogicalPlan::Project { .. }
            | LogicalPlan::Aggregate { .. }
            | LogicalPlan::Join { .. }
            | LogicalPlan::Sort { .. }
            | LogicalPlan::Limit { .. } => return,
            // What comes out of the last input comes out of the node.
            LogicalPlan::With { .. } | LogicalPlan::Initial { .. } => 1,
            _ => 0,
        };
        let inputs = node.inputs();
        for input in inputs.iter().take(inputs.len() - named.min(inputs.len())) {
            input.output_columns().iter().for_each(|column| note(column.id, None));
        }
    });
    let kept = found.into_iter().filter(|(id, _)| !whole.contains(id));
    kept.map(|(column, value)| {
        let output = numbering.column("part", SqlType::plain(value.data_type()), true);
        Used { column, value, output }
    })
    .collect()
}

/// Lets a scan compute the parts of its columns.
fn add_outputs(scan: &mut LogicalPlan, used: &[Used]) -> Result<()> {
    let LogicalPlan::Scan { table, columns, computed, .. } = scan else { return Ok(()) };
    let own = &columns[..table.columns.len().min(columns.len())];
    let mut added = Vec::new();
    for part in used.iter().filter(|part| own.iter().any(|column| column.id == part.column)) {
        let mut value = part.value.clone();
        to_inputs(&mut value, own)?;
        added.push((part.output.clone(), value));
    }
    if added.is_empty() {
        return Ok(());
    }
    let (outputs, values): (Vec<OutputColumn>, Vec<Expression>) = added.into_iter().unzip();
    columns.extend(outputs);
    *computed = computed.iter().cloned().chain(values).collect();
    Ok(())
}

/// Positions in the table in the place of its columns.
fn to_inputs(expression: &mut Expression, columns: &[OutputColumn]) -> Result<()> {
    if let Expression::Column { id, data_type } = expression
        && let Some(index) = columns.iter().position(|column| column.id == *id)
    {
        *expression = Expression::Input { index, data_type: *data_type };
        return Ok(());
    }
    expression.each_operand_mut(&mut |operand| to_inputs(operand, columns))
}

/// Whether `plan` is filters over a scan.
fn is_filtered_scan(mut plan: &LogicalPlan) -> bool {
    loop {
        match plan {
            LogicalPlan::Scan { .. } => return true,
            LogicalPlan::Filter { input, .. } => plan = input,
            _ => return false,
        }
    }
}

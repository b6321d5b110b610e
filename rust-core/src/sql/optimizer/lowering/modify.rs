//! Data changes: the rows to change in the layout that the executor wants, and expressions over it.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result};
use crate::sql::functions::part::PartKind;
use crate::sql::optimizer::columns::{add_columns, is_always, split_conjunction, to_inputs};
use crate::sql::optimizer::cost;
use crate::sql::optimizer::lowering::scan::Scanned;
use crate::sql::optimizer::lowering::{Lowering, arranged, ids, mapped, node};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{BoundCheck, LogicalPlan, Returning};
use crate::sql::plan::physical::{ConflictValues, Operator, PhysicalConflictUpdate, PhysicalNode, ScanPart};
use crate::sql::plan::reference::References;
use crate::sql::types::data_type::DataType;
use crate::table::layout::IndexKey;

/// What the executor gets for a data change, and where it finds columns in it.
struct RowsToChange {
    node: PhysicalNode,
    /// Columns of the input: those of the old row in table order, the row id, the others.
    layout: Vec<ColumnId>,
    /// The others.
    others: Vec<ColumnId>,
}

impl Lowering<'_> {
    pub(super) fn modification(&mut self, plan: LogicalPlan) -> Result<PhysicalNode> {
        match plan {
            LogicalPlan::Insert {
                table,
                input,
                checks,
                new_columns,
                returning,
                computed,
                references,
                conflict,
            } => {
                let conflict = match conflict {
                    Some(conflict) => self.conflict(&table, &computed, *conflict)?.map(Box::new),
                    None => None,
                };
                let input = self.exactly(*input)?;
                let layout = ids(&new_columns);
                let checks = map_checks(checks, &layout)?;
                let returning = map_returning(returning, &layout)?;
                let mut conflict = conflict;
                if let Some(update) = conflict.as_mut().and_then(|conflict| conflict.update.as_mut()) {
                    let conditions = checks.iter().map(|check| &check.condition);
                    let used = conditions.chain(returning.iter().flatten());
                    update.unread =
                        unread_at_conflict(update, &table, used, (&computed, references.as_deref()));
                }
                Ok(changed(input, |input| Operator::Insert {
                    table,
                    input: Box::new(input),
                    checks,
                    returning,
                    computed,
                    references,
                    conflict,
                }))
            }
            LogicalPlan::Update {
                table,
                input,
                old_columns,
                row_id,
                assignments,
                recheck,
                checks,
                new_columns,
                returning,
                computed,
                references,
            } => {
                let mut used = Vec::new();
                assignments.iter().for_each(|(_, value)| add_columns(value, &mut used));
                recheck.expressions().for_each(|expression| add_columns(expression, &mut used));
                let mut returned = Vec::new();
                let expressions = returning.iter().flat_map(|returning| &returning.expressions);
                expressions.for_each(|expression| add_columns(expression, &mut returned));
                returned.retain(|id| !new_columns.iter().any(|column| column.id == *id));
                let mut input = self.rows_to_change(*input, &table, &old_columns, row_id, used, returned)?;
                let recheck = self.recheck(recheck, &input.layout, None)?;
                let (positions, values): (Vec<usize>, Vec<Expression>) = assignments.into_iter().unzip();
                let values = mapped(values, &input.layout)?;
                let assignments: Vec<(usize, Expression)> = positions.into_iter().zip(values).collect();
                let mut new = ids(&new_columns);
                let checks = map_checks(checks, &new)?;
                new.extend(&input.others);
                let returning = map_returning(returning, &new)?;
                // A row that gets another id may have to wait, and is then kept as a whole.
                let sets_row_id =
                    assignments.iter().any(|(column, _)| table.row_id_column() == Some(*column));
                if input.others.is_empty() && !sets_row_id {
                    let values = assignments.iter().map(|(_, value)| value);
                    let conditions = checks.iter().map(|check| &check.condition);
                    let used = values.chain(conditions).chain(returning.iter().flatten());
                    leave_large(&mut input.node, &table, used, (&computed, references.as_deref()));
                }
                Ok(changed(input.node, |input| Operator::Update {
                    table,
                    input: Box::new(input),
                    assignments,
                    recheck,
                    checks,
                    returning,
                    computed,
                    references,
                }))
            }
            LogicalPlan::Delete {
                table,
                input,
                old_columns,
                row_id,
                recheck,
                returning,
                computed,
                references,
            } => {
                let mut used = Vec::new();
                recheck.expressions().for_each(|expression| add_columns(expression, &mut used));
                let expressions = returning.iter().flat_map(|returning| &returning.expressions);
                expressions.for_each(|expression| add_columns(expression, &mut used));
                let mut input =
                    self.rows_to_change(*input, &table, &old_columns, row_id, used, Vec::new())?;
                let recheck = self.recheck(recheck, &input.layout, None)?;
                let returning = map_returning(returning, &input.layout)?;
                if input.others.is_empty() {
                    let used = returning.iter().flatten();
                    leave_large(&mut input.node, &table, used, (&computed, references.as_deref()));
                }
                Ok(changed(input.node, |input| Operator::Delete {
                    table,
                    input: Box::new(input),
                    recheck,
                    returning,
                    computed,
                    references,
                }))
            }
            _ => Err(Error::internal("a query lowered as a data change")),
        }
    }

    /// The rows of UPDATE and DELETE: all columns of the old row in table order, the row id, then those of `used` and
    /// `returned` that are neither; a column of the old row that is `returned` comes a second time.
    fn rows_to_change(
        &mut self,
        input: LogicalPlan,
        table: &TableDefinition,
        old_columns: &[OutputColumn],
        row_id: ColumnId,
        used: Vec<ColumnId>,
        returned: Vec<ColumnId>,
    ) -> Result<RowsToChange> {
        let mut layout = ids(old_columns);
        layout.push(row_id);
        let mut others = returned;
        for id in used {
            if !layout.contains(&id) && !others.contains(&id) {
                others.push(id);
            }
        }
        layout.extend(&others);
        if others.is_empty() && reads_only(&input, table) {
            // The short path wants the scan itself, without a projection.
            let mut terms = Vec::new();
            let mut plan = input;
            loop {
                match plan {
                    LogicalPlan::Filter { input, predicate } => {
                        split_conjunction(predicate, &mut terms);
                        plan = *input;
                    }
                    LogicalPlan::Scan { table, columns, computed, row_id } => {
                        terms.retain(|term| !is_always(term));
                        let scanned = Scanned { table, columns, computed, row_id };
                        let lowered = self.scan(scanned, terms, &layout, None)?;
                        return Ok(RowsToChange { node: lowered.node, layout, others });
                    }
                    _ => return Err(Error::internal("a data change over something else than its table")),
                }
            }
        }
        let columns = input.output_columns();
        let output = layout.iter().map(|id| columns.iter().find(|column| column.id == *id).cloned());
        let Some(output) = output.collect::<Option<Vec<_>>>() else {
            return Err(Error::internal("a data change uses a column that its input lacks"));
        };
        let lowered = self.lower(input, &layout, None)?;
        Ok(RowsToChange { node: arranged(lowered, &output)?, layout, others })
    }
}

/// Whether `plan` is filters over a scan of `table`.
fn reads_only(mut plan: &LogicalPlan, table: &TableDefinition) -> bool {
    loop {
        match plan {
            LogicalPlan::Filter { input, .. } => plan = input,
            LogicalPlan::Scan { table: scanned, .. } => return scanned.id == table.id,
            _ => return false,
        }
    }
}

/// Lets the scan of a data change leave large values alone that nothing of the statement looks at. `used`: expressions
/// whose inputs are columns of the table, by position.
fn leave_large<'e>(
    scan: &mut PhysicalNode,
    table: &TableDefinition,
    used: impl Iterator<Item = &'e Expression>,
    (computed, references): (&'e [Expression], Option<&References>),
) {
    let width = table.columns.len();
    let (Operator::TableScan { output, .. }
    | Operator::IndexScan { output, .. }
    | Operator::RowIdLookup { output, .. }
    | Operator::UniqueLookup { output, .. }) = &mut scan.operator
    else {
        return;
    };
    let in_order = output.columns.len() == width && output.columns.iter().copied().eq(0..width);
    if !in_order || !output.parts.is_empty() {
        return;
    }
    let mut inputs = Vec::new();
    output.predicate.iter().for_each(|expression| each_value(expression, &mut |input| inputs.push(input)));
    let left = unread_columns(table, used, inputs.into_iter(), (computed, references));
    let in_row = |output| ScanPart { output, kind: PartKind::InRow, function: None, arguments: Vec::new() };
    output.parts = left.into_iter().map(in_row).collect();
}

/// The columns that DO UPDATE leaves alone and nothing else of the statement looks at. `used`: expressions over the row as
/// it becomes.
fn unread_at_conflict<'e>(
    update: &'e PhysicalConflictUpdate,
    table: &TableDefinition,
    used: impl Iterator<Item = &'e Expression>,
    others: (&'e [Expression], Option<&References>),
) -> Vec<usize> {
    // A row that gets another id may have to wait, and is then kept as a whole.
    if update.columns.iter().any(|column| table.row_id_column() == Some(*column)) {
        return Vec::new();
    }
    let (values, filter, arguments): (&[Expression], Option<&Expression>, &[(usize, usize)]) =
        match &update.values {
            ConflictValues::Expressions { values, filter } => (values, filter.as_ref(), &[]),
            ConflictValues::Plan { arguments, .. } => (&[], None, arguments),
        };
    let inputs = arguments.iter().map(|(_, input)| *input);
    unread_columns(table, used.chain(values).chain(filter), inputs, others)
}

/// Columns that may have long values and that nothing looks at. `used`: expressions whose inputs are columns of the
/// table, by position; `inputs`: such positions.
fn unread_columns<'e>(
    table: &TableDefinition,
    used: impl Iterator<Item = &'e Expression>,
    inputs: impl Iterator<Item = usize>,
    (computed, references): (&'e [Expression], Option<&References>),
) -> Vec<usize> {
    let width = table.columns.len();
    let mut is_used = vec![false; width];
    let mut note = |column: usize| {
        if let Some(is_used) = is_used.get_mut(column) {
            *is_used = true;
        }
    };
    used.chain(computed).for_each(|expression| each_value(expression, &mut note));
    inputs.for_each(&mut note);
    for part in table.layout.indexes.iter().flat_map(|index| &index.columns) {
        if let IndexKey::Column(column) = part.key {
            note(column);
        }
    }
    if let Some(references) = references
        && let Some(own) = references.tables.first()
    {
        let refers = own.refers.iter().map(|refers| &references.key_of(0, refers).columns);
        let referred = own.referred.iter().map(|referred| &references.key_to(referred).parent_columns);
        refers.chain(referred).flatten().for_each(|column| note(*column));
    }
    let is_long = |column: &usize| {
        let data_type = table.columns[*column].sql_type.data_type;
        matches!(data_type, DataType::Text | DataType::Varchar | DataType::Char | DataType::Bytea)
    };
    (0..width).filter(|column| !is_used[*column]).filter(is_long).collect()
}

/// Calls `note` with each input of which `expression` needs the value, and not only whether it is NULL.
fn each_value(expression: &Expression, note: &mut dyn FnMut(usize)) {
    match expression {
        Expression::Input { index, .. } => note(*index),
        Expression::IsNull { input, .. } if matches!(**input, Expression::Input { .. }) => {}
        other => other.each_operand(&mut |operand| each_value(operand, note)),
    }
}

fn changed(input: PhysicalNode, operator: impl FnOnce(PhysicalNode) -> Operator) -> PhysicalNode {
    let rows = input.estimated_rows;
    let cost = input.estimated_cost + rows * cost::ROW_MODIFIED;
    node(operator(input), rows, cost)
}

fn map_checks(mut checks: Vec<BoundCheck>, layout: &[ColumnId]) -> Result<Vec<BoundCheck>> {
    checks.iter_mut().try_for_each(|check| to_inputs(&mut check.condition, layout))?;
    Ok(checks)
}

fn map_returning(returning: Option<Returning>, layout: &[ColumnId]) -> Result<Option<Vec<Expression>>> {
    returning.map(|returning| mapped(returning.expressions, layout)).transpose()
}

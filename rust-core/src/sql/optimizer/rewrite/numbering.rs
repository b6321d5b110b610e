//! New numbers for columns, common tables and parameters, and copies of plans under new numbers.

use crate::error::{Error, Result};
use crate::sql::optimizer::rewrite::references::{
    Replacements, column, each_node, replace_columns, substitute_in_plan,
};
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::{CommonTableId, LogicalPlan};
use crate::sql::types::data_type::{DataType, SqlType};
use hashbrown::HashMap;

/// The next free numbers of a statement.
pub(super) struct Numbering {
    column: u32,
    common_table: u32,
    user_parameters: usize,
    /// Types of the parameters that the plan computes itself.
    pub(super) run_time_parameters: Vec<DataType>,
}

impl Numbering {
    /// Numbers that `plan` does not use.
    pub(super) fn new(plan: &LogicalPlan, user_parameters: usize) -> Numbering {
        let mut numbering =
            Numbering { column: 0, common_table: 0, user_parameters, run_time_parameters: Vec::new() };
        each_node(plan, &mut |node| {
            node.each_made(&mut |column| numbering.column = numbering.column.max(column.id.0 + 1));
            if let LogicalPlan::With { id, .. }
            | LogicalPlan::CommonScan { id, .. }
            | LogicalPlan::RecursiveUnion { id, .. } = node
            {
                numbering.common_table = numbering.common_table.max(id.0 + 1);
            }
            if let LogicalPlan::Update { row_id, .. } | LogicalPlan::Delete { row_id, .. } = node {
                numbering.column = numbering.column.max(row_id.0 + 1);
            }
        });
        numbering
    }

    /// A new column.
    pub(super) fn column(&mut self, name: &str, sql_type: SqlType, nullable: bool) -> OutputColumn {
        let id = ColumnId(self.column);
        self.column += 1;
        OutputColumn { id, name: name.to_owned(), sql_type, nullable, origin: None }
    }

    /// A new column like `column`.
    pub(super) fn column_like(&mut self, column: &OutputColumn) -> OutputColumn {
        let mut copy = column.clone();
        copy.id = ColumnId(self.column);
        self.column += 1;
        copy
    }

    /// A new common table.
    pub(super) fn common_table(&mut self) -> CommonTableId {
        self.common_table += 1;
        CommonTableId(self.common_table - 1)
    }

    /// A new parameter that the plan computes; its position among all.
    pub(super) fn parameter(&mut self, data_type: DataType) -> usize {
        self.run_time_parameters.push(data_type);
        self.user_parameters + self.run_time_parameters.len() - 1
    }

    /// A copy of `plan` that makes new columns, with the new number of each column that `plan` makes. Common tables
    /// that it defines get new numbers too.
    pub(super) fn copied(
        &mut self,
        plan: &LogicalPlan,
    ) -> Result<(LogicalPlan, HashMap<ColumnId, OutputColumn>)> {
        let mut copy = plan.clone();
        let mut columns = HashMap::new();
        let mut tables = HashMap::new();
        each_node(plan, &mut |node| {
            node.each_made(&mut |column| {
                if !columns.contains_key(&column.id) {
                    columns.insert(column.id, self.column_like(column));
                }
            });
            if let LogicalPlan::With { id, .. } | LogicalPlan::RecursiveUnion { id, .. } = node {
                tables.entry(*id).or_insert_with(|| self.common_table());
            }
        });
        let replacements: Replacements = columns.iter().map(|(id, to)| (*id, column(to))).collect();
        let mut waiting = vec![&mut copy];
        while let Some(node) = waiting.pop() {
            node.each_made_mut(&mut |column| {
                if let Some(renamed) = columns.get(&column.id) {
                    column.id = renamed.id;
                }
            });
            match node {
                LogicalPlan::With { id, .. }
                | LogicalPlan::RecursiveUnion { id, .. }
                | LogicalPlan::CommonScan { id, .. } => *id = tables.get(id).copied().unwrap_or(*id),
                LogicalPlan::Insert { .. } | LogicalPlan::Update { .. } | LogicalPlan::Delete { .. } => {
                    return Err(Error::internal("a data change cannot be copied"));
                }
                _ => {}
            }
            waiting.extend(node.inputs_mut());
        }
        substitute_in_plan(&mut copy, &replacements)?;
        Ok((copy, columns))
    }

    /// Gives the plans of an expression's subqueries columns of their own, for a copy of the expression.
    pub(super) fn copy_subqueries(&mut self, expression: &mut Expression) -> Result<()> {
        if let Expression::Subquery(subquery) = expression {
            let (plan, columns) = self.copied(&subquery.plan)?;
            subquery.plan = plan;
            let replacements: Replacements = columns.iter().map(|(id, to)| (*id, column(to))).collect();
            expression.each_operand_mut(&mut |operand| replace_columns(operand, &replacements))?;
        }
        expression.each_operand_mut(&mut |operand| self.copy_subqueries(operand))
    }
}

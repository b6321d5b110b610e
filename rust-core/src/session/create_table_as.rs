//! CREATE TABLE AS: a table is made, then an INSERT fills it, in one statement.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::TableDefinition;
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::session::block::Block;
use crate::session::prepared::{self, Stamp};
use crate::session::session::Session;
use crate::sql::binder::bound::{BoundStatement, CreateTableAs};
use crate::sql::executor;
use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::StatementKind;
use crate::sql::types::datum::Datum;

impl Session {
    /// Gives the rows put in; `None` where none were asked for.
    pub(crate) fn create_table_as(
        &mut self,
        create: CreateTableAs,
        parameters: &[Datum],
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<Option<u64>> {
        let Some(table) = self.create_table(&create.table, base, block)? else { return Ok(None) };
        if !create.with_data {
            return Ok(None);
        }
        let Some(own) = &block.catalog else {
            return Err(Error::internal("a new table without a catalog"));
        };
        let statement = BoundStatement::Query {
            plan: insert(table, create.plan)?,
            parameters: create.parameters,
            kind: StatementKind::Insert,
        };
        let plan = prepared::plan(statement, Stamp::Own(Arc::clone(own)), own, &self.engine)?;
        for (table, mode) in &plan.locks {
            block.transaction.lock_table(*table, *mode)?;
        }
        // After the locks, so that the snapshot has every row.
        block.transaction.end_statement();
        block.transaction.start_statement()?;
        let parameters = self.inner_parameters(create.arguments.as_deref(), parameters, block)?;
        let mut context = self.context(block, &parameters);
        let mut execution = executor::start(Arc::clone(&plan.physical), &mut context)?;
        while execution.next(&mut context)?.is_some() {}
        Ok(execution.affected())
    }
}

/// The INSERT of a query's rows into the new table, which has the query's columns.
fn insert(table: Arc<TableDefinition>, mut query: LogicalPlan) -> Result<LogicalPlan> {
    let mut next = 0;
    above_columns(&mut query, &mut next)?;
    let new_columns = table
        .columns
        .iter()
        .zip(next..)
        .map(|(column, id)| OutputColumn {
            id: ColumnId(id),
            name: column.name.clone(),
            sql_type: column.sql_type,
            nullable: true,
            origin: None,
        })
        .collect();
    Ok(LogicalPlan::Insert {
        table,
        input: Box::new(query),
        checks: Vec::new(),
        new_columns,
        returning: None,
        computed: Arc::default(),
        references: None,
        conflict: None,
    })
}

/// Raises `next` above the numbers of all columns in a plan.
fn above_columns(plan: &mut LogicalPlan, next: &mut u32) -> Result<()> {
    for column in plan.output_columns() {
        *next = (*next).max(column.id.0 + 1);
    }
    plan.each_made(&mut |column| *next = (*next).max(column.id.0 + 1));
    plan.each_own_expression_mut(&mut |expression| above_columns_of(expression, next))?;
    plan.inputs_mut().into_iter().try_for_each(|input| above_columns(input, next))
}

fn above_columns_of(expression: &mut Expression, next: &mut u32) -> Result<()> {
    if let Expression::Subquery(subquery) = expression {
        above_columns(&mut subquery.plan, next)?;
    }
    expression.each_operand_mut(&mut |operand| above_columns_of(operand, next))
}

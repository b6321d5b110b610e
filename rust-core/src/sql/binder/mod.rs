//! Names, types and overloads: an AST and a catalog become a logical plan, or a utility statement as plain data.
//!
//! A function of its arguments: no I/O, nothing is run (literals are converted, expressions are not folded).
//! Expressions nest at most [`crate::common::limits::NESTING_DEPTH_MAX`] levels and each level takes little stack,
//! so that the deepest statement binds within 128 KiB; long flat sequences are loops.

#![expect(
    clippy::vec_box,
    reason = "what is bound stays in the box it was made in: recursion over expressions needs small frames"
)]

mod alter;
#[expect(clippy::module_inception, reason = "the binder's state is the module's main type")]
mod binder;
pub mod bound;
mod call;
mod coercion;
mod common_table;
mod conditional;
mod conflict;
mod control;
mod copy;
mod define;
mod define_query;
mod execute;
mod explain;
mod expression;
mod foreign_key;
mod from;
mod grouping;
mod index;
mod key_names;
mod like;
mod locking;
mod modify;
mod names;
mod overlaps;
mod overload;
mod parameters;
mod query;
mod reference;
mod scope;
mod select;
mod sequence;
mod set_operation;
mod storage_parameter;
mod subquery;
mod table_function;
mod type_name;
mod view;
mod walk;

use crate::catalog::snapshot::CatalogSnapshot;
use crate::error::Result;
use crate::sql::ast::Statement;
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{BindOptions, BoundStatement};
use crate::sql::binder::parameters::Parameters;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::StatementKind;
use crate::sql::types::data_type::DataType;

pub use execute::{execute_in, unknown_statement};
pub use index::computed_of;
pub use sequence::{find_sequence, sequences_of_default, serial_default};

/// Resolves every name and type of `statement` against `catalog`. `options.text` is the text the statement was
/// parsed from; positions of errors are byte offsets in it.
/// # Errors
/// PostgreSQL's codes for what is wrong with a statement; `0A000` for what Lumos does not have.
pub fn bind(
    statement: &Statement<'_>,
    catalog: &CatalogSnapshot,
    options: &BindOptions<'_>,
) -> Result<BoundStatement> {
    let mut binder = Binder::new(catalog, options);
    if let Statement::Query(query) = statement
        && let Some(into) = define_query::into_of(query)
    {
        return binder.bind_select_into(into, query);
    }
    if let Some((plan, kind)) = binder.bind_planned(statement)? {
        return finish(binder, plan, kind);
    }
    match statement {
        Statement::CreateTable(create) => binder.bind_create_table(create),
        Statement::CreateTableAs(create) => binder.bind_create_table_as(create),
        Statement::CreateView(create) => binder.bind_create_view(create),
        Statement::CreateIndex(create) => binder.bind_create_index(create),
        Statement::CreateSequence(create) => binder.bind_create_sequence(create),
        Statement::AlterSequence(alter) => binder.bind_alter_sequence(alter),
        Statement::AlterTable(alter) => binder.bind_alter(alter, statement),
        Statement::Drop(drop) => define::bind_drop(drop, statement),
        Statement::Explain(explain) => binder.bind_explain(explain),
        Statement::Analyze(analyze) => binder.bind_analyze(analyze),
        Statement::Vacuum(vacuum) => binder.bind_vacuum(vacuum),
        Statement::Reindex(reindex) => control::bind_reindex(reindex),
        Statement::Copy(copy) => binder.bind_copy(copy),
        Statement::LockTable(lock) => binder.bind_lock(lock),
        Statement::Truncate(truncate) => binder.bind_truncate(truncate),
        Statement::Transaction(transaction) => control::bind_transaction(transaction),
        Statement::Set(set) => control::bind_set(set),
        Statement::Show(show) => {
            let position = show.name.map_or(show.span.position(), |name| name.position());
            let name = show.name.map(|name| name.to_string().to_ascii_lowercase());
            Ok(BoundStatement::Show { name, position })
        }
        Statement::Checkpoint { .. } => Ok(BoundStatement::Checkpoint),
        Statement::Prepare(prepare) => execute::bind_prepare(prepare),
        Statement::Execute(execute) => binder.bind_execute(execute),
        Statement::Deallocate(deallocate) => {
            Ok(BoundStatement::Deallocate(deallocate.name.map(|name| name.text.to_owned())))
        }
        Statement::Discard(discard) => Ok(BoundStatement::Discard(discard.kind)),
        Statement::Notify(notify) => Ok(BoundStatement::Notification(control::bind_notification(notify))),
        other => Err(control::unsupported_statement(other)),
    }
}

/// Gives every parameter its final type.
fn finish(binder: Binder<'_>, mut plan: LogicalPlan, kind: StatementKind) -> Result<BoundStatement> {
    let parameters = type_all_parameters(binder.parameters, &mut plan)?;
    Ok(BoundStatement::Query { plan, parameters, kind })
}

/// The final types of all parameters, also put into the plan.
fn type_all_parameters(parameters: Parameters, plan: &mut LogicalPlan) -> Result<Vec<DataType>> {
    let parameters = parameters.finish();
    if !parameters.is_empty() {
        walk::each_plan_expression(plan, &mut |expression| walk::type_parameters(expression, &parameters))?;
    }
    Ok(parameters)
}

#[cfg(test)]
pub(in crate::sql) mod tests;

#[cfg(test)]
pub(in crate::sql) mod fixture;

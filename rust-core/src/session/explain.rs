//! EXPLAIN: a statement is planned, with ANALYZE also run, and its plan is the result.

use crate::common::arena::Arena;
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::session::block::Block;
use crate::session::parameters;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::{self, Plan, Prepared, Stamp};
use crate::session::result::PreparedKind;
use crate::session::session::Session;
use crate::session::transactions::{refuse_if_read_only, refuse_read_only};
use crate::session::utility::text_rows;
use crate::sql::binder::bound::{BoundStatement, ExplainFormat, ExplainStatement};
use crate::sql::executor;
use crate::sql::explain::{ExplainOptions, Explained, Measurement};
use crate::sql::functions::registry::Environment;
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::types::datum::Datum;

/// A plan that may run: its tables are locked.
struct Ready {
    explain: ExplainStatement,
    plan: Plan,
    planning_nanoseconds: u64,
}

impl Session {
    /// Runs EXPLAIN.
    pub(crate) fn execute_explain(
        &mut self,
        statement: &Arc<Prepared>,
        parameters: &[Datum],
    ) -> Result<Portal> {
        let parameters = parameters::converted(parameters, statement.parameters(), &self.environment)?;
        let lines = self.in_block(|session, block| session.explain(statement, &parameters, block))?;
        let rows: Vec<Vec<String>> = lines.into_iter().map(|line| vec![line]).collect();
        let state = PortalState::complete(text_rows(1, &rows), None);
        Ok(Portal::new(Arc::clone(statement.columns()), statement.kind(), state))
    }

    fn explain(&self, statement: &Prepared, parameters: &[Datum], block: &mut Block) -> Result<Vec<String>> {
        let ready = self.plan_to_explain(statement, block)?;
        let (explain, plan) = (&ready.explain, &ready.plan);
        let options = ExplainOptions {
            verbose: explain.verbose,
            costs: explain.costs,
            timing: explain.timing,
            summary: explain.summary,
        };
        let casts = self.environment.casts();
        let described = if explain.analyze {
            let kind = PreparedKind::from(explain.kind);
            refuse_if_read_only(block, kind)?;
            if plan.physical.changes_in_with {
                refuse_read_only(block, kind.name())?;
            }
            block.transaction.start_statement()?;
            let parameters = self.inner_parameters(explain.arguments.as_deref(), parameters, block)?;
            let started = self.engine.clock.monotonic_nanos();
            let mut context = self.context(block, &parameters);
            let mut execution = executor::start_instrumented(Arc::clone(&plan.physical), &mut context)?;
            while execution.next(&mut context)?.is_some() {}
            let nanoseconds = self.engine.clock.monotonic_nanos() - started;
            let run = Measurement { nodes: execution.statistics(), nanoseconds };
            Explained::new(&plan.physical, options, ready.planning_nanoseconds, Some(run), &casts)?
        } else {
            Explained::new(&plan.physical, options, ready.planning_nanoseconds, None, &casts)?
        };
        Ok(match explain.format {
            ExplainFormat::Text => described.text(),
            ExplainFormat::Json => vec![described.json()],
        })
    }

    /// Plans the statement under definitions that its table locks keep.
    fn plan_to_explain(&self, statement: &Prepared, block: &mut Block) -> Result<Ready> {
        loop {
            let (stamp, catalog) = self.catalog_of(block);
            let arena = Arena::new();
            let started = self.engine.clock.monotonic_nanos();
            let BoundStatement::Explain(mut explain) = prepared::bind_again(statement, &catalog, &arena)?
            else {
                return Err(Error::internal("not EXPLAIN"));
            };
            let nothing = LogicalPlan::Values { rows: Vec::new(), columns: Vec::new() };
            let query = BoundStatement::Query {
                plan: std::mem::replace(&mut explain.plan, nothing),
                parameters: explain.parameters.clone(),
                kind: explain.kind,
            };
            let plan = prepared::plan(query, stamp, &catalog, &self.engine)?;
            let planning_nanoseconds = self.engine.clock.monotonic_nanos() - started;
            for (table, mode) in &plan.locks {
                block.transaction.lock_table(*table, *mode)?;
            }
            match plan.stamp {
                Stamp::Epoch(epoch) if epoch != self.engine.definitions.epoch() => {}
                _ => return Ok(Ready { explain: *explain, plan, planning_nanoseconds }),
            }
        }
    }
}

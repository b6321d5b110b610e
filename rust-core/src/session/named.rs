//! Statements of PREPARE: a session has them by name until DEALLOCATE, whatever becomes of the transaction they were
//! prepared in; and EXECUTE, which runs one. Knows nothing of statements that the caller prepares, which have no names.

use crate::common::arena::Arena;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::{Block, WantedModes};
use crate::session::portal::Portal;
use crate::session::prepared::{self, Body, Executed, Prepared};
use crate::session::session::Session;
use crate::sql::binder::bound::{BoundStatement, PrepareStatement};
use crate::sql::binder::unknown_statement;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::evaluate::row::{self, NoRow};
use crate::sql::functions::prepared::PreparedLine;
use crate::sql::functions::registry::Environment;
use crate::sql::plan::expression::Expression;
use crate::sql::types::datum::Datum;
use hashbrown::HashMap;
use std::borrow::Cow;

/// What a plan is taken to hold in memory: so much, and so much more for each byte of its text.
const PLAN_BYTES: usize = 4 << 10;
const PLAN_BYTES_A_TEXT_BYTE: usize = 16;

/// A session's statements by name.
#[derive(Default)]
pub(crate) struct NamedStatements {
    statements: HashMap<Box<str>, Named>,
}

struct Named {
    statement: Arc<Prepared>,
    /// Unix microseconds.
    prepared_at: i64,
    executions: u64,
    /// Charges it as long as it has its name.
    #[expect(dead_code, reason = "held, not looked at")]
    memory: Reservation,
}

impl NamedStatements {
    /// The statement of that name.
    /// # Errors
    /// `26000`.
    pub(crate) fn require(&self, name: &str) -> Result<Executed> {
        match self.statements.get(name) {
            Some(named) => Ok(Executed { name: name.into(), statement: Arc::clone(&named.statement) }),
            None => Err(unknown_statement(name)),
        }
    }

    /// Forgets a name; `None`: all of them.
    /// # Errors
    /// `26000`.
    pub(crate) fn forget(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            Some(name) if self.statements.remove(name).is_none() => return Err(unknown_statement(name)),
            Some(_) => {}
            None => self.clear(),
        }
        Ok(())
    }

    /// Forgets all names.
    pub(crate) fn clear(&mut self) {
        self.statements = HashMap::default();
    }

    fn means(&self, executed: &Executed) -> bool {
        self.statements
            .get(&executed.name)
            .is_some_and(|named| Arc::ptr_eq(&named.statement, &executed.statement))
    }

    /// What `pg_prepared_statements` shows, in the order of the names.
    pub(crate) fn lines(&self) -> Vec<PreparedLine> {
        let mut lines: Vec<PreparedLine> = self
            .statements
            .iter()
            .map(|(name, named)| {
                let types: Vec<&str> =
                    named.statement.parameters().iter().map(|data_type| data_type.name()).collect();
                PreparedLine {
                    name: name.to_string(),
                    statement: named.statement.text().trim().to_owned(),
                    prepare_time: named.prepared_at,
                    parameter_types: format!("{{{}}}", types.join(",")),
                    executions: i64::try_from(named.executions).unwrap_or(i64::MAX),
                }
            })
            .collect();
        lines.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        lines
    }
}

impl Session {
    /// PREPARE.
    /// # Errors
    /// `42P05`; what the statement deserves; `53200`.
    pub(crate) fn prepare_named(&mut self, statement: &Prepared, prepare: &PrepareStatement) -> Result<()> {
        let name = &*prepare.name;
        if self.environment.named.statements.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Error::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        let text = statement.text();
        let mut memory = self.engine.memory.reservation();
        memory.grow(PLAN_BYTES + name.len() + text.len() * PLAN_BYTES_A_TEXT_BYTE)?;
        let (stamp, catalog) = self.current_catalog();
        let arena = Arena::new();
        let bound = prepared::bind_prepared(text, &prepare.types, &catalog, &arena)?;
        if !matches!(bound.statement, BoundStatement::Query { .. }) {
            return Err(Error::not_supported("PREPARE of a statement that makes a table"));
        }
        let statement = Arc::new(Prepared::new((text, None), bound, stamp, &catalog, &self.engine)?);
        self.note_prepared(&statement);
        let prepared_at = self.environment.statement_time();
        let named = Named { statement, prepared_at, executions: 0, memory };
        self.environment.named.statements.insert(name.into(), named);
        Ok(())
    }

    /// A statement with EXECUTE in it, prepared again where its name stands for something else by now.
    /// # Errors
    /// `26000`; `0A000` where that gives other columns.
    #[cold]
    pub(crate) fn renewed(&mut self, statement: &Arc<Prepared>) -> Result<Arc<Prepared>> {
        if statement.executed().is_none_or(|executed| self.environment.named.means(executed)) {
            return Ok(Arc::clone(statement));
        }
        let (Some(renewed), _) = self.prepare_first(statement.text())? else {
            return Err(Error::internal("a prepared statement lost its text"));
        };
        if renewed.columns() != statement.columns() {
            return Err(prepared::changed_result());
        }
        Ok(renewed)
    }

    /// EXECUTE.
    pub(crate) fn execute_named(&mut self, statement: &Prepared, arguments: &[Expression]) -> Result<Portal> {
        let Some(executed) = statement.executed() else {
            return Err(Error::internal("EXECUTE of nothing"));
        };
        let inner = Arc::clone(&executed.statement);
        let Body::Query(plan) = &inner.body else {
            return Err(Error::internal("a prepared statement without a plan"));
        };
        if let Some(named) = self.environment.named.statements.get_mut(&executed.name) {
            named.executions += 1;
        }
        let values = match self.block.take() {
            Some(mut block) => {
                let values = self.argument_values(arguments, &mut block);
                self.block = Some(block);
                values?
            }
            // Outside a block they are computed by themselves: the statement may be run again with them.
            None => {
                let mut block = self.new_block(WantedModes::default());
                let values = self.argument_values(arguments, &mut block)?;
                block.commit(&self.engine, &self.environment)?;
                values
            }
        };
        self.execute_query(&inner, plan, &values)
    }

    /// The parameters of the statement in another: those of EXECUTE where it is one, else `own`.
    pub(crate) fn inner_parameters<'p>(
        &self,
        arguments: Option<&[Expression]>,
        own: &'p [Datum],
        block: &mut Block,
    ) -> Result<Cow<'p, [Datum]>> {
        Ok(match arguments {
            Some(arguments) => Cow::Owned(self.argument_values(arguments, block)?),
            None => Cow::Borrowed(own),
        })
    }

    /// The values of EXECUTE's arguments.
    fn argument_values(&self, arguments: &[Expression], block: &mut Block) -> Result<Vec<Datum>> {
        let environment: &dyn Environment = self.context(block, &[]).environment;
        let context = EvaluationContext::new(&[], environment);
        arguments.iter().map(|argument| row::evaluate(argument, &NoRow, &context)).collect()
    }
}

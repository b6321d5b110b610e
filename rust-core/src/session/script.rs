//! Texts of several statements.

use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::session::block::WantedModes;
use crate::session::prepared::{self, Prepared, StatementMemory};
use crate::session::result::TransactionStatus;
use crate::session::session::Session;

impl Session {
    /// Runs every statement of `sql`, as PostgreSQL's simple query protocol does: several statements are one
    /// transaction unless they say otherwise. Gives the rows that the last data change changed; rows of
    /// queries are computed and dropped.
    /// # Errors
    /// The first statement's that fails, with its position in `sql`; a syntax error anywhere fails before
    /// anything runs.
    pub fn execute_script(&mut self, sql: &str) -> Result<u64> {
        let mut affected = 0;
        self.run_script(sql, &mut |session, statement| {
            affected = session.run_to_end(statement)?.unwrap_or(affected);
            Ok(())
        })?;
        Ok(affected)
    }

    /// As [`Session::execute_script`], but `run` runs each statement, to its end, and does with its result what it likes.
    /// # Errors
    /// The same, and those of `run`.
    pub fn run_script(
        &mut self,
        sql: &str,
        run: &mut dyn FnMut(&mut Session, &Arc<Prepared>) -> Result<()>,
    ) -> Result<()> {
        let mut position = 0;
        let mut is_script = false;
        while position < sql.len() {
            let shift = |error: Error| match (error.position(), position) {
                (_, 0) => error,
                (Some(at), _) => error.at(at + position).started(),
                (None, _) => error.started(),
            };
            let rest = &sql[position..];
            if position == 0 && !is_script {
                is_script = self.is_script(sql)?;
            }
            if is_script && self.transaction_status() == TransactionStatus::Idle {
                self.go_on()?;
                self.environment.start_statement();
                self.begin_block(WantedModes::default(), true);
            }
            let (statement, taken) = self.prepare(rest).map_err(shift)?;
            let Some(statement) = statement else { break };
            run(self, &statement).map_err(shift)?;
            position += taken;
        }
        if self.block.as_ref().is_some_and(|block| block.implicit) {
            self.commit_block()?;
        }
        Ok(())
    }

    /// Whether a text has more than one statement; a syntax error in any of them is raised.
    fn is_script(&mut self, sql: &str) -> Result<bool> {
        if sql.trim_end().trim_end_matches(';').find(';').is_none() {
            return Ok(false);
        }
        let limit = self.environment.settings.effects().statement_bytes_max;
        if sql.len() > limit {
            // The size is refused where the text is prepared.
            return Ok(false);
        }
        let result = self.count_statements(sql).map(|count| count > 1);
        result.inspect_err(|error| {
            self.fail_block();
            self.leave(Some(error), false);
        })
    }

    /// One after the other, so that no more than one is in memory.
    fn count_statements(&mut self, sql: &str) -> Result<usize> {
        let (mut count, mut position) = (0, 0);
        loop {
            let rest = &sql[position..];
            let memory = StatementMemory::for_text(rest, &self.engine);
            let parsed = prepared::parse_first(rest, &self.arena, memory.as_ref());
            let taken = parsed.map(|parsed| parsed.map(|(_, taken)| taken));
            drop(memory);
            self.clear_arena();
            match taken {
                Ok(None) => return Ok(count),
                Ok(Some(taken)) => (count, position) = (count + 1, position + taken),
                Err(error) => {
                    return Err(match error.position() {
                        Some(at) if position > 0 => error.at(at + position),
                        _ => error,
                    });
                }
            }
        }
    }

    fn run_to_end(&mut self, statement: &Arc<Prepared>) -> Result<Option<u64>> {
        let mut portal = self.execute(statement, &[])?;
        while self.fetch(&mut portal)?.is_some() {}
        let affected = portal.affected();
        self.close(portal);
        Ok(affected)
    }
}

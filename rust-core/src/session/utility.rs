//! Statements that touch no table: transaction control, settings, CHECKPOINT.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::WantedModes;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::Prepared;
use crate::session::result::{PreparedKind, ResultColumn, TransactionStatus};
use crate::session::session::Session;
use crate::session::setting;
use crate::session::settings::{self, DEFINITIONS};
use crate::sql::ast::control::DiscardKind;
use crate::sql::binder::bound::{
    BoundIsolation, BoundStatement, SetStatement, TransactionModes, TransactionStatement,
};
use crate::sql::functions::activity::Sessions;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::transaction::types::IsolationLevel;
use std::collections::VecDeque;

/// The columns that a control statement gives.
/// # Errors
/// `42704` for SHOW of an unknown setting.
pub(crate) fn result_columns(statement: &BoundStatement) -> Result<Vec<ResultColumn>> {
    match statement {
        BoundStatement::Show { name: Some(name), position } => {
            let index = settings::find(name).map_err(|error| error.at(*position))?;
            Ok(vec![ResultColumn::text(DEFINITIONS[index].name)])
        }
        BoundStatement::Show { name: None, .. } => {
            Ok(["name", "setting", "description"].into_iter().map(ResultColumn::text).collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn level(isolation: BoundIsolation) -> IsolationLevel {
    match isolation {
        BoundIsolation::ReadUncommitted => IsolationLevel::ReadUncommitted,
        BoundIsolation::ReadCommitted => IsolationLevel::ReadCommitted,
        BoundIsolation::RepeatableRead => IsolationLevel::RepeatableRead,
        BoundIsolation::Serializable => IsolationLevel::Serializable,
    }
}

fn wanted(modes: &TransactionModes) -> WantedModes {
    let TransactionModes { isolation, read_only, deferrable } = *modes;
    WantedModes { isolation: isolation.map(level), read_only, deferrable }
}

fn no_transaction() -> Error {
    Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress")
}

/// A batch of text rows.
pub(crate) fn text_rows(width: usize, rows: &[Vec<String>]) -> VecDeque<Batch> {
    let mut batches = VecDeque::new();
    let columns = (0..width)
        .map(|index| {
            let mut builder = ColumnBuilder::new(SqlType::plain(DataType::Text), rows.len());
            for row in rows {
                builder.push_str(&row[index]);
            }
            Arc::new(builder.finish())
        })
        .collect();
    batches.push_back(Batch { columns, rows: rows.len(), selection: None });
    batches
}

impl Session {
    pub(crate) fn execute_control(
        &mut self,
        statement: &Arc<Prepared>,
        bound: &BoundStatement,
    ) -> Result<Portal> {
        let mut kind = statement.kind();
        let mut rows = VecDeque::new();
        match bound {
            BoundStatement::Transaction(control) => kind = self.control_transaction(control, kind)?,
            BoundStatement::Set(set) => self.set_statement(set)?,
            BoundStatement::Reset { name: Some(name), position } => {
                self.set_setting(name, None, false).map_err(|error| error.at_if_unset(*position))?;
            }
            BoundStatement::Reset { name: None, .. } => {
                let in_block = self.block.is_some();
                self.environment.settings.reset_all(in_block)?;
            }
            BoundStatement::Show { name: Some(name), .. } => {
                rows = text_rows(1, &[vec![self.show(name)?]]);
            }
            BoundStatement::Show { name: None, .. } => {
                let all = DEFINITIONS
                    .iter()
                    .map(|definition| {
                        Ok(vec![
                            definition.name.to_string(),
                            self.show(definition.name)?,
                            definition.description.to_string(),
                        ])
                    })
                    .collect::<Result<Vec<_>>>()?;
                rows = text_rows(3, &all);
            }
            BoundStatement::Discard(kind) => self.discard_statement(*kind)?,
            BoundStatement::Prepare(prepare) => self.prepare_named(statement, prepare)?,
            BoundStatement::Deallocate(name) => self.environment.named.forget(name.as_deref())?,
            BoundStatement::Checkpoint => {
                self.engine.checkpoint()?;
            }
            _ => return Err(Error::internal("not a control statement")),
        }
        let state = PortalState::complete(rows, None);
        Ok(Portal::new(Arc::clone(statement.columns()), kind, state))
    }

    /// Carries transaction control out; gives the kind for the tag: COMMIT of a failed block is a ROLLBACK.
    pub(crate) fn control_transaction(
        &mut self,
        control: &TransactionStatement,
        kind: PreparedKind,
    ) -> Result<PreparedKind> {
        let status = self.transaction_status();
        let implicit = self.block.as_ref().is_some_and(|block| block.implicit);
        let modes = self.block_modes;
        match control {
            TransactionStatement::Commit { chain: true } | TransactionStatement::Rollback { chain: true }
                if implicit || status == TransactionStatus::Idle =>
            {
                return Err(Error::new(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    format!("{} AND CHAIN can only be used in transaction blocks", kind.name()),
                ));
            }
            TransactionStatement::Begin(modes) => {
                if let Some(block) = &mut self.block {
                    if block.implicit {
                        // BEGIN within a script: what ran before belongs to the block.
                        block.implicit = false;
                    } else {
                        self.notices.warning(Error::new(
                            SqlState::ACTIVE_SQL_TRANSACTION,
                            "there is already a transaction in progress",
                        ));
                    }
                    return self.set_block_modes(wanted(modes)).map(|()| kind);
                }
                self.begin_block(wanted(modes), false);
            }
            TransactionStatement::Commit { chain } => {
                match status {
                    TransactionStatus::Idle => self.notices.warning(no_transaction()),
                    TransactionStatus::Failed => self.end_block(false),
                    TransactionStatus::Active => {
                        if implicit {
                            self.notices.warning(no_transaction());
                        }
                        self.commit_block()?;
                    }
                }
                if *chain {
                    self.begin_next_block(modes);
                }
                if status == TransactionStatus::Failed {
                    return Ok(PreparedKind::Rollback);
                }
            }
            TransactionStatement::Rollback { chain } => {
                if status == TransactionStatus::Idle || implicit {
                    self.notices.warning(no_transaction());
                }
                self.end_block(false);
                if *chain {
                    self.begin_next_block(modes);
                }
            }
            TransactionStatement::Savepoint(name) => self.set_savepoint(name)?,
            TransactionStatement::Release(name) => self.release_savepoint(name)?,
            TransactionStatement::RollbackTo(name) => self.roll_back_to_savepoint(name)?,
            TransactionStatement::SetConstraints { names, deferred } => {
                self.set_constraints(names.as_deref(), *deferred)?;
            }
            TransactionStatement::SetModes(modes) => {
                if status == TransactionStatus::Idle || implicit {
                    self.notices.warning(Error::new(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "SET TRANSACTION can only be used in transaction blocks",
                    ));
                } else {
                    self.set_block_modes(wanted(modes))?;
                }
            }
            TransactionStatement::SetDefaultModes(modes) => {
                if let Some(isolation) = modes.isolation {
                    let name = setting::isolation_name(level(isolation));
                    self.set_setting("default_transaction_isolation", Some(name), false)?;
                }
                if let Some(read_only) = modes.read_only {
                    let value = setting::on_off(read_only);
                    self.set_setting("default_transaction_read_only", Some(&value), false)?;
                }
                if let Some(deferrable) = modes.deferrable {
                    let value = setting::on_off(deferrable);
                    self.set_setting("default_transaction_deferrable", Some(&value), false)?;
                }
            }
        }
        Ok(kind)
    }

    /// DISCARD: what the session keeps beyond its transactions.
    fn discard_statement(&mut self, kind: DiscardKind) -> Result<()> {
        match kind {
            DiscardKind::Sequences => self.environment.sequence_values.discard(),
            DiscardKind::Plans => self.cache.clear(),
            // There are no temporary tables.
            DiscardKind::Temporary => {}
            DiscardKind::All => {
                if self.block.is_some() {
                    return Err(Error::new(
                        SqlState::ACTIVE_SQL_TRANSACTION,
                        "DISCARD ALL cannot run inside a transaction block",
                    ));
                }
                self.environment.settings.reset_all(false)?;
                self.environment.unlock_all();
                self.environment.sequence_values.discard();
                self.engine.notifications.leave(self.id());
                self.cache.clear();
                self.environment.named.clear();
            }
        }
        Ok(())
    }

    fn set_statement(&mut self, set: &SetStatement) -> Result<()> {
        let result = if set.local && self.block.as_ref().is_none_or(|block| block.implicit) {
            settings::find(&set.name).map(|_| {
                self.notices.warning(Error::new(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    "SET LOCAL can only be used in transaction blocks",
                ));
            })
        } else {
            self.set_setting(&set.name, set.value.as_deref(), set.local)
        };
        result.map_err(|error| error.at_if_unset(set.position))
    }

    /// Sets a setting; those of the running transaction change its modes.
    pub(crate) fn set_setting(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<()> {
        let definition = &DEFINITIONS[settings::find(name)?];
        match definition.name {
            "transaction_isolation" => {
                let isolation = value.map(|value| setting::isolation(name, value)).transpose()?;
                self.set_block_modes(WantedModes { isolation, ..WantedModes::default() })
            }
            "transaction_read_only" => {
                let read_only = value.map(|value| setting::boolean(name, value)).transpose()?;
                self.set_block_modes(WantedModes { read_only, ..WantedModes::default() })
            }
            "transaction_deferrable" => {
                let deferrable = value.map(|value| setting::boolean(name, value)).transpose()?;
                self.set_block_modes(WantedModes { deferrable, ..WantedModes::default() })
            }
            _ => {
                let in_block = self.block.is_some();
                self.environment.settings.set(name, value, local, in_block)?;
                if value.is_some() && !definition.has_effect {
                    let message = format!("setting \"{}\" has no effect here", definition.name);
                    let warning = Error::new(SqlState::WARNING, message);
                    self.notices.warning(warning.hint("Plans are chosen from statistics alone."));
                }
                if self.block.is_none() {
                    self.environment.modes = self.environment.settings.effects().modes_default;
                }
                Ok(())
            }
        }
    }
}

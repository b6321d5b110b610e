//! Deferred constraints: looked at when the transaction commits, or when SET CONSTRAINTS asks for it.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::Deferral;
use crate::common::ids::ObjectId;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::session::Session;
use crate::sql::binder::bound::ObjectName;
use crate::sql::executor;

impl Session {
    /// What comes before a commit: everything that waits for the end of the transaction is looked at.
    /// # Errors
    /// The constraint that is broken; the transaction is then to be rolled back.
    #[inline]
    pub(crate) fn check_deferred(&self, block: &mut Block) -> Result<()> {
        if block.pending.has_deferred() { self.check_waiting(true, block) } else { Ok(()) }
    }

    #[cold]
    fn check_waiting(&self, at_end: bool, block: &mut Block) -> Result<()> {
        block.transaction.start_statement()?;
        let result = executor::check_deferred(at_end, &mut self.context(block, &[]));
        block.transaction.end_statement();
        result
    }

    /// SET CONSTRAINTS: of the running transaction. What is not put off any more is looked at now.
    /// # Errors
    /// `42704`, `3F000` and `42809` for the names; the constraint that is broken.
    pub(crate) fn set_constraints(&mut self, names: Option<&[ObjectName]>, deferred: bool) -> Result<()> {
        let ids = names.map(|names| self.deferrable_constraints(names)).transpose()?;
        if self.block.as_ref().is_none_or(|block| block.implicit) {
            self.notices.warning(Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET CONSTRAINTS can only be used in transaction blocks",
            ));
        }
        let Some(mut block) = self.block.take() else { return Ok(()) };
        match ids {
            Some(ids) => block.pending.set_some(&ids, deferred),
            None => block.pending.set_all(deferred),
        }
        let waits = !deferred && block.pending.has_deferred();
        block.started |= waits;
        let result = if waits { self.check_waiting(false, &mut block) } else { Ok(()) };
        self.block = Some(block);
        result
    }

    /// A table cannot change under checks that still wait for it.
    /// # Errors
    /// `55006`.
    pub(crate) fn refuse_if_pending(
        &self,
        table: ObjectId,
        what: &str,
        catalog: &CatalogSnapshot,
        block: &Block,
    ) -> Result<()> {
        if !block.pending.concerns(table) {
            return Ok(());
        }
        let name = catalog.table_by_id(table).map(|table| table.name.clone()).unwrap_or_default();
        let message = format!("cannot {what} \"{name}\" because it has pending trigger events");
        Err(Error::new(SqlState::OBJECT_IN_USE, message))
    }

    /// The constraints with these names; a name may be that of several tables' constraints.
    fn deferrable_constraints(&self, names: &[ObjectName]) -> Result<Vec<ObjectId>> {
        let (_, catalog) = self.current_catalog();
        let mut ids = Vec::new();
        for ObjectName { schema, name, position } in names {
            catalog.check_schema(schema.as_deref()).map_err(|error| error.at(*position))?;
            let mut found = Vec::new();
            let mut is_known = false;
            for table in catalog.tables() {
                let keys = table.foreign_keys.iter().map(|key| (&key.name, key.id, key.deferral));
                let indexes = table.indexes.iter().filter(|index| index.constraint.is_some());
                let indexes = indexes.map(|index| (&index.name, index.id, index.deferral));
                for (_, id, deferral) in keys.chain(indexes).filter(|(known, ..)| *known == name) {
                    is_known = true;
                    if deferral != Deferral::NotDeferrable {
                        found.push(id);
                    }
                }
                is_known |= table.checks.iter().any(|check| check.name == *name)
                    || table.row_id_constraint.as_ref() == Some(name);
            }
            if !is_known {
                let message = format!("constraint \"{name}\" does not exist");
                return Err(Error::new(SqlState::UNDEFINED_OBJECT, message).at(*position));
            }
            if found.is_empty() {
                let message = format!("constraint \"{name}\" is not deferrable");
                return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message).at(*position));
            }
            ids.append(&mut found);
        }
        Ok(ids)
    }
}

//! CREATE, ALTER and DROP SEQUENCE, and the sequences behind columns.

use crate::catalog::sequence_definition::{SequenceDefinition, SequenceOptions, SequenceOwner};
use crate::catalog::sequence_runtime::SequenceRuntime;
use crate::catalog::snapshot::{CatalogSnapshot, Relation};
use crate::catalog::table_definition::{ColumnDefinition, TableDefinition};
use crate::common::ids::ObjectId;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::definition::duplicate_relation;
use crate::session::session::Session;
use crate::sql::binder;
use crate::sql::binder::bound::{AlterSequence, ColumnSequence, CreateSequence, CreateTable};
use crate::transaction::types::TableLockMode;

/// The defaults that draw from a sequence: table and column.
pub(crate) fn defaults_over(
    sequence: ObjectId,
    catalog: &CatalogSnapshot,
) -> Vec<(Arc<TableDefinition>, usize)> {
    let mut found = Vec::new();
    for table in catalog.tables() {
        for (index, column) in table.columns.iter().enumerate() {
            if let Some(default) = &column.default
                && default.to_ascii_lowercase().contains("val")
                && binder::sequences_of_default(default, catalog).contains(&sequence)
            {
                found.push((Arc::clone(table), index));
            }
        }
    }
    found
}

/// How ALTER SEQUENCE locks: who draws waits for it, and it for whoever drew.
pub(crate) fn alter_mode(alter: &AlterSequence) -> TableLockMode {
    match alter.rename {
        Some(_) => TableLockMode::AccessExclusive,
        None => TableLockMode::ShareRowExclusive,
    }
}

impl Session {
    pub(crate) fn create_sequence(
        &mut self,
        create: CreateSequence,
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<()> {
        base.check_schema(Some(&create.schema)).map_err(|error| error.at(create.position))?;
        if base.is_name_taken(Some(&create.schema), &create.name) {
            if create.if_not_exists {
                self.notices.notice(Error::new(
                    SqlState::DUPLICATE_TABLE,
                    format!("relation \"{}\" already exists, skipping", create.name),
                ));
                return Ok(());
            }
            return Err(duplicate_relation(&create.name).at(create.position));
        }
        let (last_value, is_called) = create.change.position(&create.options, None)?;
        block.transaction.start_statement()?;
        let id = self.engine.catalog.next_object_id(&mut block.transaction)?;
        let owner = create.change.owner.flatten();
        let sequence = SequenceDefinition {
            id,
            schema: create.schema,
            name: create.name,
            options: create.options,
            owner: owner.map(|(table, column)| SequenceOwner { table, column, identity: false }),
            runtime: Arc::new(SequenceRuntime::private(last_value, is_called)),
        };
        self.put_sequence(sequence, base, block)
    }

    /// Writes a definition and makes it the transaction's.
    fn put_sequence(
        &self,
        sequence: SequenceDefinition,
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<()> {
        self.engine.catalog.write_sequence(&mut block.transaction, &sequence)?;
        block.catalog = Some(Arc::new(base.with_sequence(Arc::new(sequence))));
        block.transaction.next_command();
        Ok(())
    }

    pub(crate) fn alter_sequence(
        &mut self,
        alter: &AlterSequence,
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<()> {
        let (schema, name, position) =
            (alter.name.schema.as_deref(), alter.name.name.as_str(), alter.name.position);
        if alter.if_exists && base.relation(schema, name).is_none() {
            self.notices.notice(Error::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{name}\" does not exist, skipping"),
            ));
            return Ok(());
        }
        let id = binder::find_sequence(base, schema, name).map_err(|error| error.at(position))?;
        let old = base.sequence_by_id(id).ok_or_else(|| Error::internal("a sequence that was just there"))?;
        block.transaction.lock_table(id, alter_mode(alter))?;
        block.transaction.start_statement()?;
        if let Some((new_name, position)) = &alter.rename {
            return self.rename_sequence(old, new_name, *position, base, block);
        }
        let options = alter.change.apply(Some(&old.options))?;
        let values = old.values(&self.engine.manager)?;
        let before = (values.last_value, values.is_called);
        let after = alter.change.position(&options, Some(before))?;
        let mut sequence = SequenceDefinition { options, ..(**old).clone() };
        if alter.change.restart.is_some() || options != old.options {
            // What is drawn from it counts if this commits.
            sequence.runtime = Arc::new(SequenceRuntime::private(after.0, after.1));
        }
        if let Some(owner) = alter.change.owner {
            if let Some(identity) = old.owner.filter(|owner| owner.identity) {
                let table = base.table_by_id(identity.table);
                let table = table.as_ref().map_or("", |table| table.name.as_str());
                return Err(Error::not_supported("OWNED BY of an identity sequence")
                    .detail(format!("Sequence \"{}\" is linked to table \"{table}\".", old.name)));
            }
            sequence.owner = owner.map(|(table, column)| SequenceOwner { table, column, identity: false });
        }
        self.put_sequence(sequence, base, block)
    }

    /// Gives a sequence another name; defaults that draw from it get it too.
    fn rename_sequence(
        &self,
        old: &SequenceDefinition,
        new_name: &str,
        position: usize,
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<()> {
        if base.is_name_taken(Some(&old.schema), new_name) {
            return Err(duplicate_relation(new_name).at(position));
        }
        let old_text = binder::serial_default(&old.name);
        let mut next = base.clone();
        for (table, column) in defaults_over(old.id, base) {
            let is_plain = table.columns[column].default.as_deref() == Some(old_text.as_str());
            if !is_plain {
                return Err(Error::not_supported(
                    "RENAME of a sequence that a default names in its own words",
                )
                .detail(format!(
                    "The default of column \"{}\" of table \"{}\" draws from it.",
                    table.columns[column].name, table.name
                ))
                .at(position));
            }
            // The newest, where several of its columns draw from the sequence.
            let mut table = (*next.table_by_id(table.id).unwrap_or(table)).clone();
            table.columns[column].default = Some(binder::serial_default(new_name));
            self.engine.catalog.write_table(&mut block.transaction, &table)?;
            next = next.with_table(Arc::new(table));
        }
        let sequence = SequenceDefinition { name: new_name.to_owned(), ..old.clone() };
        self.put_sequence(sequence, &next, block)
    }

    /// Makes the sequences behind the columns of a table, and tells its identity columns theirs.
    pub(crate) fn column_sequences(
        &self,
        create: &CreateTable,
        table: ObjectId,
        columns: &mut [ColumnDefinition],
        block: &mut Block,
    ) -> Result<Vec<Arc<SequenceDefinition>>> {
        let mut sequences = Vec::with_capacity(create.sequences.len());
        for ColumnSequence { column, name, options, first, always } in &create.sequences {
            let id = self.engine.catalog.next_object_id(&mut block.transaction)?;
            if let Some(identity) = &mut columns[*column].identity {
                identity.sequence = id;
            }
            let sequence = SequenceDefinition {
                id,
                schema: create.schema.clone(),
                name: name.clone(),
                options: *options,
                owner: Some(SequenceOwner { table, column: *column, identity: always.is_some() }),
                runtime: Arc::new(SequenceRuntime::private(*first, false)),
            };
            self.engine.catalog.write_sequence(&mut block.transaction, &sequence)?;
            sequences.push(Arc::new(sequence));
        }
        Ok(sequences)
    }

    /// That no sequence of a table to be made has the name of something else.
    pub(crate) fn check_sequence_names(create: &CreateTable, base: &CatalogSnapshot) -> Result<()> {
        for sequence in &create.sequences {
            if base.is_name_taken(Some(&create.schema), &sequence.name) || sequence.name == create.name {
                return Err(duplicate_relation(&sequence.name).at(create.position));
            }
        }
        Ok(())
    }

    /// TRUNCATE … RESTART IDENTITY: the sequences of a table's columns begin anew.
    pub(crate) fn restart_identities(
        &self,
        table: ObjectId,
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<()> {
        let current = block.catalog.as_deref().unwrap_or(base);
        let mut next: Option<CatalogSnapshot> = None;
        for sequence in current.sequences_owned_by(table) {
            block.transaction.lock_table(sequence.id, TableLockMode::AccessExclusive)?;
            let SequenceOptions { start, .. } = sequence.options;
            let runtime = Arc::new(SequenceRuntime::private(start, false));
            let anew = Arc::new(SequenceDefinition { runtime, ..(**sequence).clone() });
            next = Some(next.as_ref().unwrap_or(current).with_sequence(anew));
        }
        if let Some(next) = next {
            block.catalog = Some(Arc::new(next));
        }
        Ok(())
    }
}

/// Why a sequence cannot be dropped alone: it makes the values of an identity column.
pub(crate) fn needed_by_identity(sequence: &SequenceDefinition, catalog: &CatalogSnapshot) -> Option<Error> {
    let owner = sequence.owner.filter(|owner| owner.identity)?;
    let table = catalog.table_by_id(owner.table)?;
    let (name, column) = (&sequence.name, &table.columns.get(owner.column)?.name);
    let message =
        format!("cannot drop sequence {name} because column {column} of table {} requires it", table.name);
    Some(
        Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .hint(format!("You can drop column {column} of table {} instead.", table.name)),
    )
}

/// What a relation is called that stands where a sequence was wanted.
pub(crate) fn drop_hint(found: &Relation) -> &'static str {
    match found {
        Relation::Table(_) => "Use DROP TABLE to remove a table.",
        Relation::Index(..) => "Use DROP INDEX to remove an index.",
        Relation::View(_) => "Use DROP VIEW to remove a view.",
        Relation::Sequence(_) => "Use DROP SEQUENCE to remove a sequence.",
    }
}

//! REINDEX: indexes are made anew from the rows, whatever stands in them.
//!
//! The old index is used until the transaction commits that has filled the new one, also after a crash. With CONCURRENTLY
//! a hidden index is filled beside each as by CREATE INDEX CONCURRENTLY; then they change places, and the old ones leave as
//! by DROP INDEX CONCURRENTLY. An integer primary key is the row's place in the table and has nothing to be made anew.

use crate::catalog::snapshot::{CatalogSnapshot, PUBLIC_SCHEMA, Relation};
use crate::catalog::table_definition::{IndexDefinition, TableDefinition};
use crate::common::ids::{Lsn, ObjectId, TreeId};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::beside::{Beside, gone};
use crate::session::block::Block;
use crate::session::computed::computed_values;
use crate::session::concurrent_index::position_of;
use crate::session::prepared::Prepared;
use crate::session::session::Session;
use crate::session::transactions::refuse_if_read_only;
use crate::sql::binder::bound::{Reindex, ReindexKind};
use crate::table::build::{self, BuildOutcome};
use crate::table::layout::{IndexKey, IndexLayout, TableLayout};
use crate::table::runtime::IndexRuntime;
use crate::transaction::types::TableLockMode;

/// What a REINDEX of an index or a table is about.
pub(super) struct ReindexTarget {
    table: Arc<TableDefinition>,
    /// The indexes that have entries, by position.
    positions: Vec<usize>,
}

impl ReindexTarget {
    fn of_table(table: Arc<TableDefinition>) -> ReindexTarget {
        let is_finished = |position: &usize| !table.layout.indexes[*position].runtime.is_unfinished();
        let positions = (0..table.layout.indexes.len()).filter(is_finished).collect();
        ReindexTarget { table, positions }
    }

    fn has_indexes(&self) -> bool {
        !self.positions.is_empty() || self.table.row_id_constraint.is_some()
    }

    /// The lock on the table: nobody may read an index that is about to go. PostgreSQL locks the indexes for that, which
    /// whoever reads the table locks as well.
    pub(super) fn lock(&self) -> (ObjectId, TableLockMode) {
        let mode = if self.has_indexes() { TableLockMode::AccessExclusive } else { TableLockMode::Share };
        (self.table.id, mode)
    }
}

/// Finds what REINDEX INDEX or REINDEX TABLE names.
pub(super) fn reindex_target(reindex: &Reindex, catalog: &CatalogSnapshot) -> Result<ReindexTarget> {
    let name = &reindex.name;
    let schema = name.schema.as_deref();
    let found = catalog.relation(schema, &name.name);
    let wrong_kind = |what: &str| {
        let message = format!("\"{}\" is not {what}", name.name);
        Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message).at(name.position))
    };
    match (reindex.kind, found) {
        (ReindexKind::Index, Some(Relation::Index(table, position)))
            if !table.layout.indexes[position].runtime.is_unfinished() =>
        {
            Ok(ReindexTarget { table, positions: vec![position] })
        }
        (ReindexKind::Table, Some(Relation::Table(table))) => Ok(ReindexTarget::of_table(table)),
        (ReindexKind::Index, Some(Relation::Table(_) | Relation::View(_) | Relation::Sequence(_))) => {
            wrong_kind("an index")
        }
        (ReindexKind::Table, Some(_)) => wrong_kind("a table or materialized view"),
        (kind, _) => {
            let is_key = |table: &&Arc<TableDefinition>| {
                table.row_id_constraint.as_deref() == Some(name.name.as_str())
            };
            let has_schema = schema.is_none_or(|schema| catalog.has_schema(schema));
            if let Some(table) = catalog.tables().find(is_key).filter(|_| has_schema) {
                if kind == ReindexKind::Table {
                    return wrong_kind("a table or materialized view");
                }
                return Ok(ReindexTarget { table: Arc::clone(table), positions: Vec::new() });
            }
            catalog.check_schema(schema).map_err(|error| error.at(name.position))?;
            let message = format!("relation \"{}\" does not exist", name.name);
            let candidates: Vec<&str> = match kind {
                ReindexKind::Index => catalog.index_names().collect(),
                _ => catalog.table_names().collect(),
            };
            Err(Error::new(SqlState::UNDEFINED_TABLE, message)
                .at(name.position)
                .hint_near_miss(&name.name, candidates))
        }
    }
}

/// An index that another one takes the place of.
struct Replaced {
    old: TreeId,
    new: TreeId,
}

impl Session {
    /// REINDEX INDEX and REINDEX TABLE in the statement's transaction.
    pub(crate) fn reindex(
        &mut self,
        reindex: &Reindex,
        base: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        let target = reindex_target(reindex, base)?;
        self.rebuild(&target, base, block)
    }

    fn rebuild(
        &mut self,
        target: &ReindexTarget,
        base: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        let old = &target.table;
        self.refuse_if_in_use(old, "REINDEX")?;
        self.refuse_if_pending(old.id, "REINDEX", base, block)?;
        if !target.has_indexes() {
            let message = format!("table \"{}\" has no indexes to reindex", old.name);
            self.notices.notice(Error::new(SqlState::SUCCESSFUL_COMPLETION, message));
        }
        let (id, mode) = target.lock();
        block.transaction.lock_table(id, mode)?;
        if target.positions.is_empty() {
            return Ok(());
        }
        // After the lock, so that the snapshot has every row.
        block.transaction.end_statement();
        block.transaction.start_statement()?;
        let mut table = (**old).clone();
        let mut layout = (*old.layout).clone();
        for position in &target.positions {
            let IndexLayout { columns, unique, predicate, fill_percent, .. } =
                layout.indexes[*position].clone();
            let tree = build::create_index_tree(&mut block.transaction, columns, unique, predicate)?;
            layout.indexes[*position] = IndexLayout { fill_percent, ..tree };
        }
        table.layout = Arc::new(layout);
        let computed = computed_values(&table)?;
        let manager = &self.engine.manager;
        for position in &target.positions {
            let outcome =
                build::build_index(manager, &mut block.transaction, &table.layout, *position, &computed)?;
            if let BuildOutcome::Duplicate(values) = outcome {
                return Err(self.not_unique(&table, *position, &values));
            }
            block.transaction.drop_tree(old.layout.indexes[*position].tree)?;
        }
        self.put(Arc::new(table), base, block)
    }

    /// REINDEX that is no part of a transaction: with CONCURRENTLY, or of a schema or the database.
    pub(crate) fn reindex_alone(&mut self, statement: &Prepared, reindex: &Reindex) -> Result<()> {
        let name = &reindex.name;
        let what = match reindex.kind {
            _ if reindex.concurrently => "REINDEX CONCURRENTLY",
            ReindexKind::Schema => "REINDEX SCHEMA",
            _ => "REINDEX DATABASE",
        };
        self.refuse_in_block(what)?;
        match reindex.kind {
            ReindexKind::Index | ReindexKind::Table => {
                return self
                    .reindex_beside(statement, &mut |catalog| reindex_target(reindex, catalog).map(Some));
            }
            ReindexKind::Schema if name.name != PUBLIC_SCHEMA => {
                let message = format!("schema \"{}\" does not exist", name.name);
                return Err(Error::new(SqlState::UNDEFINED_SCHEMA, message).at(name.position));
            }
            ReindexKind::Database if *name.name != *self.engine.options.name => {
                let message = "can only reindex the currently open database";
                return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(name.position));
            }
            ReindexKind::Schema | ReindexKind::Database => {}
        }
        let (_, catalog) = self.current_catalog();
        let tables: Vec<ObjectId> = catalog.tables().map(|table| table.id).collect();
        for id in tables {
            let target = |catalog: &CatalogSnapshot| {
                let found = catalog.table_by_id(id).map(ReindexTarget::of_table);
                // Nothing is said of tables that have none.
                Ok(found.filter(ReindexTarget::has_indexes))
            };
            if reindex.concurrently {
                self.reindex_beside(statement, &mut { target })?;
                continue;
            }
            self.in_block(|session, block| {
                refuse_if_read_only(block, statement.kind())?;
                let (_, catalog) = session.catalog_of(block);
                let Some(found) = target(&catalog)? else { return Ok(()) };
                let (table, mode) = found.lock();
                block.transaction.lock_table(table, mode)?;
                let base = session.lock_definitions(block)?;
                match target(&base)? {
                    Some(found) => session.rebuild(&found, &base, block),
                    None => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    /// REINDEX CONCURRENTLY of one index or one table's.
    fn reindex_beside(
        &mut self,
        statement: &Prepared,
        target: &mut dyn FnMut(&CatalogSnapshot) -> Result<Option<ReindexTarget>>,
    ) -> Result<()> {
        let mut find = |_: &mut Session, catalog: &CatalogSnapshot| {
            Ok(target(catalog)?.map(|found| found.table)) //
        };
        let Some(mut beside) = self.begin_beside(statement, "REINDEX", &mut find)? else { return Ok(()) };
        let (_, catalog) = self.current_catalog();
        let Some(found) = target(&catalog)? else { return Ok(()) };
        if !found.has_indexes() {
            let message =
                format!("table \"{}\" has no indexes that can be reindexed concurrently", found.table.name);
            self.notices.notice(Error::new(SqlState::SUCCESSFUL_COMPLETION, message));
            return Ok(());
        }
        let indexes = &found.table.layout.indexes;
        let old: Vec<TreeId> = found.positions.iter().map(|position| indexes[*position].tree).collect();
        let replaced = self.announce_replacements(&beside, &old)?;
        let new: Vec<TreeId> = replaced.iter().map(|pair| pair.new).collect();
        let filled = self
            .fill_beside(&mut beside, &new)
            .and_then(|whole_from| self.change_places(&beside, &replaced, whole_from));
        let table = beside.table;
        if let Err(error) = filled {
            // Before the lock on the definitions, for which somebody may wait who has it.
            drop(beside);
            self.give_up(table, new);
            return Err(error);
        }
        if let Err(error) = self.await_lockers(&mut beside, TableLockMode::AccessExclusive) {
            drop(beside);
            self.give_up_after_readers(table, old);
            return Err(error);
        }
        let mut block = self.build_block();
        let base = match self.lock_definitions(&mut block) {
            Ok(base) => base,
            Err(error) => {
                drop((block, beside));
                self.give_up(table, old);
                return Err(error);
            }
        };
        self.hide_for_good(&base, table, &old);
        drop(block);
        self.drop_when_unused(beside, old)
    }

    /// Lets everybody know of a new, hidden index for each of these.
    fn announce_replacements(&mut self, beside: &Beside, old: &[TreeId]) -> Result<Vec<Replaced>> {
        let mut block = self.build_block();
        let base = self.lock_definitions(&mut block)?;
        let before = base.table_by_id(beside.table).ok_or_else(gone)?;
        block.transaction.start_statement()?;
        let mut table = (*before).clone();
        let mut layout = (*before.layout).clone();
        let mut replaced = Vec::with_capacity(old.len());
        for tree in old {
            let position = before.layout.index_of_tree(*tree).ok_or_else(gone)?;
            let copy = copied(&mut table, &mut layout, position);
            let mut new =
                build::create_index_tree(&mut block.transaction, copy.columns, copy.unique, copy.predicate)?;
            new.fill_percent = copy.fill_percent;
            new.runtime = Arc::new(IndexRuntime::of_unfinished());
            self.engine.catalog.note_unfinished(&mut block.transaction, new.tree)?;
            replaced.push(Replaced { old: *tree, new: new.tree });
            layout.indexes.push(new);
            let taken: Vec<&str> = table.indexes.iter().map(|index| index.name.as_str()).collect();
            let name = base.free_name(&format!("{}_ccnew", before.indexes[position].name), &taken);
            let id = self.engine.catalog.next_object_id(&mut block.transaction)?;
            table.indexes.push(IndexDefinition::new(id, name, None));
        }
        table.layout = Arc::new(layout);
        if !replaced.is_empty() {
            block.catalog = Some(Arc::new(base.with_table(Arc::new(table))));
        }
        self.commit_build(block)?;
        Ok(replaced)
    }

    /// The new indexes are the indexes from here on; the old ones are hidden, and writers keep them.
    fn change_places(&mut self, beside: &Beside, replaced: &[Replaced], whole_from: Lsn) -> Result<()> {
        if replaced.is_empty() {
            return Ok(());
        }
        let mut block = self.build_block();
        let base = self.lock_definitions(&mut block)?;
        let before = base.table_by_id(beside.table).ok_or_else(gone)?;
        block.transaction.start_statement()?;
        let mut table = (*before).clone();
        let mut layout = (*before.layout).clone();
        for Replaced { old, new } in replaced {
            let hidden = position_of(&before, *new).ok_or_else(gone)?;
            let shown = before.layout.index_of_tree(*old).ok_or_else(gone)?;
            layout.indexes[shown].tree = *new;
            layout.indexes[shown].runtime = Arc::new(IndexRuntime::of_usable_from(whole_from));
            layout.indexes[hidden].tree = *old;
            layout.indexes[hidden].runtime = Arc::new(IndexRuntime::of_leaving());
            let taken: Vec<&str> = table.indexes.iter().map(|index| index.name.as_str()).collect();
            let name = base.free_name(&format!("{}_ccold", before.indexes[shown].name), &taken);
            table.indexes[hidden].name = name;
            self.engine.catalog.forget_unfinished(&mut block.transaction, *new)?;
            self.engine.catalog.note_unfinished(&mut block.transaction, *old)?;
        }
        table.layout = Arc::new(layout);
        self.put(Arc::new(table), &base, &mut block)?;
        self.commit_build(block)
    }
}

/// The index `position` with computed values of its own, which are added behind all others.
fn copied(table: &mut TableDefinition, layout: &mut TableLayout, position: usize) -> IndexLayout {
    let mut copy = layout.indexes[position].clone();
    let mut again = |value: usize| {
        table.computed.push(table.computed[value].clone());
        layout.computed.push(layout.computed[value]);
        layout.computed.len() - 1
    };
    copy.predicate = copy.predicate.map(&mut again);
    for column in &mut copy.columns {
        if let IndexKey::Computed(value) = &mut column.key {
            *value = again(*value);
        }
    }
    copy
}

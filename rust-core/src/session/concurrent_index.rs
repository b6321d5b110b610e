//! CREATE INDEX CONCURRENTLY: an index is made while others write the table.
//!
//! First it is announced: it is in the newest definition, which is not stored, unfinished; whoever plans from then on
//! keeps it, and nobody reads it. When those who planned before have ended, the rows that are there get their entries, a
//! stretch of rows in a transaction. Then the definition is stored with the index, finished. A build that fails removes
//! what it announced; after a crash the tree goes when the file is opened.

use crate::catalog::table_definition::{IndexDefinition, TableDefinition};
use crate::common::arena::Arena;
use crate::common::ids::{ObjectId, RowId, TreeId};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::{Block, WantedModes};
use crate::session::computed::{add_computed, computed_values};
use crate::session::definition::{duplicate_relation, skipping};
use crate::session::prepared::{self, Prepared};
use crate::session::session::Session;
use crate::session::transactions::refuse_if_read_only;
use crate::sql::binder::bound::{BoundStatement, CreateIndex};
use crate::table::build;
use crate::table::build_beside::{Stretch, index_stretch};
use crate::table::runtime::IndexRuntime;
use crate::transaction::types::{IsolationLevel, RowLockMode, TableLockMode};

/// An index that is being filled.
#[derive(Clone, Copy)]
struct Announced {
    table: ObjectId,
    tree: TreeId,
}

/// The index in the newest definition of its table.
fn position_of(table: &TableDefinition, tree: TreeId) -> Option<usize> {
    table.layout.indexes.iter().position(|index| index.tree == tree && index.runtime.is_unfinished())
}

impl Session {
    /// Whether a CREATE INDEX says CONCURRENTLY.
    pub(crate) fn is_concurrent(&self, statement: &Prepared) -> Result<bool> {
        let (_, catalog) = self.current_catalog();
        let arena = Arena::new();
        let bound = prepared::bind_again(statement, &catalog, &arena)?;
        Ok(matches!(bound, BoundStatement::CreateIndex(create) if create.concurrently))
    }

    /// Runs CREATE INDEX CONCURRENTLY, in transactions of its own.
    pub(crate) fn create_index_concurrently(&mut self, statement: &Prepared) -> Result<()> {
        if self.block.is_some() {
            return Err(Error::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "CREATE INDEX CONCURRENTLY cannot run inside a transaction block",
            ));
        }
        let Some(announced) = self.announce_index(statement)? else { return Ok(()) };
        let result = self.fill_announced(announced).and_then(|()| self.finish_announced(announced));
        if result.is_err() {
            // The cancelled build is over; what it announced goes all the same. Where that fails too it stays unused, and
            // goes when the file is opened.
            self.cancel.start_statement();
            let _ = self.remove_announced(announced);
        }
        result
    }

    /// A transaction of the build.
    fn build_block(&self) -> Block {
        self.cancel.unshield();
        self.new_block(WantedModes {
            isolation: Some(IsolationLevel::ReadCommitted),
            ..WantedModes::default()
        })
    }

    fn commit_build(&mut self, block: Block) -> Result<()> {
        if block.commit(&self.engine, &self.environment)?.is_some() {
            self.after_commit();
        }
        Ok(())
    }

    /// Makes the index's tree and lets everybody know of the index. `None`: there is a relation of the name, and that is
    /// fine.
    fn announce_index(&mut self, statement: &Prepared) -> Result<Option<Announced>> {
        let mut block = self.build_block();
        refuse_if_read_only(&block, statement.kind())?;
        let base = self.lock_definitions(&mut block)?;
        let arena = Arena::new();
        let BoundStatement::CreateIndex(create) = prepared::bind_again(statement, &base, &arena)? else {
            return Err(Error::internal("not CREATE INDEX"));
        };
        let CreateIndex { schema, table, index, position, if_not_exists, .. } = create;
        if base.is_name_taken(Some(&schema), &index.name) {
            if if_not_exists {
                self.notices.notice(skipping(&index.name));
                return Ok(None);
            }
            return Err(duplicate_relation(&index.name).at(position));
        }
        let old = base.require_table(Some(&schema), &table)?;
        self.refuse_if_in_use(&old, "CREATE INDEX")?;
        let transaction = &mut block.transaction;
        transaction.lock_table(old.id, TableLockMode::ShareUpdateExclusive)?;
        transaction.start_statement()?;
        let mut table = (*old).clone();
        let mut layout = (*old.layout).clone();
        let (parts, predicate) = add_computed(&mut table, &mut layout, &index);
        let mut index_layout = build::create_index_tree(transaction, parts, index.unique, predicate)?;
        index_layout.runtime = Arc::new(IndexRuntime::of_unfinished());
        let announced = Announced { table: old.id, tree: index_layout.tree };
        self.engine.catalog.note_unfinished(transaction, announced.tree)?;
        layout.indexes.push(index_layout);
        table.layout = Arc::new(layout);
        let id = self.engine.catalog.next_object_id(transaction)?;
        table.indexes.push(IndexDefinition::new(id, index.name, index.constraint));
        block.catalog = Some(Arc::new(base.with_table(Arc::new(table))));
        self.commit_build(block)?;
        Ok(Some(announced))
    }

    /// Gives every row its entry.
    fn fill_announced(&mut self, announced: Announced) -> Result<()> {
        // Whoever planned without the index has ended when this is granted.
        let mut block = self.build_block();
        block.transaction.lock_table(announced.table, TableLockMode::Share)?;
        drop(block);
        let mut after: Option<RowId> = None;
        loop {
            self.cancel.check()?;
            let mut block = self.build_block();
            block.transaction.lock_table(announced.table, TableLockMode::ShareUpdateExclusive)?;
            let (table, position) = self.announced_definition(announced)?;
            let computed = computed_values(&table)?;
            block.transaction.start_statement()?;
            let manager = &self.engine.manager;
            let transaction = &mut block.transaction;
            let stretch = index_stretch(manager, transaction, &table.layout, position, after, &computed)?;
            transaction.end_statement();
            match stretch {
                Stretch::UpTo(row) => after = Some(row),
                Stretch::Finished => return self.commit_build(block),
                Stretch::KeyIsLocked(key) => {
                    drop(block);
                    let mut block = self.build_block();
                    block.transaction.lock_table(announced.table, TableLockMode::ShareUpdateExclusive)?;
                    block.transaction.wait_for_row(announced.tree, &key, RowLockMode::Update)?;
                    continue;
                }
                Stretch::Duplicate(values) => return Err(self.not_unique(&table, position, &values)),
            }
            self.commit_build(block)?;
        }
    }

    /// The newest definition of the table, and where the index is in it.
    fn announced_definition(&self, announced: Announced) -> Result<(Arc<TableDefinition>, usize)> {
        self.engine.definitions.stable_epoch();
        let table = self.engine.catalog.current().table_by_id(announced.table);
        table
            .and_then(|table| position_of(&table, announced.tree).map(|position| (table, position)))
            .ok_or_else(|| {
                Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    "the index or its table was dropped while the index was being built",
                )
            })
    }

    /// The index is an index from here on.
    fn finish_announced(&mut self, announced: Announced) -> Result<()> {
        let mut block = self.build_block();
        let base = self.lock_definitions(&mut block)?;
        block.transaction.lock_table(announced.table, TableLockMode::ShareUpdateExclusive)?;
        let (old, position) = self.announced_definition(announced)?;
        block.transaction.start_statement()?;
        let mut table = (*old).clone();
        let mut layout = (*old.layout).clone();
        layout.indexes[position].runtime = Arc::default();
        table.layout = Arc::new(layout);
        self.engine.catalog.forget_unfinished(&mut block.transaction, announced.tree)?;
        self.put(Arc::new(table), &base, &mut block)?;
        self.commit_build(block)
    }

    /// Takes back what was announced.
    fn remove_announced(&mut self, announced: Announced) -> Result<()> {
        let mut block = self.build_block();
        let base = self.lock_definitions(&mut block)?;
        let is_there = base
            .table_by_id(announced.table)
            .is_some_and(|table| position_of(&table, announced.tree).is_some());
        if is_there {
            block.transaction.lock_table(announced.table, TableLockMode::AccessExclusive)?;
        }
        block.transaction.start_statement()?;
        if is_there {
            let (table, position) = self.announced_definition(announced)?;
            block.transaction.drop_tree(announced.tree)?;
            block.catalog = Some(Arc::new(base.with_table(Arc::new(table.without_index(position)))));
        }
        self.engine.catalog.forget_unfinished(&mut block.transaction, announced.tree)?;
        self.commit_build(block)
    }
}

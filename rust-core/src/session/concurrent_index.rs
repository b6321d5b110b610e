//! CREATE INDEX CONCURRENTLY: an index is made while others write the table.
//!
//! First it is announced: it is in the newest definition, which is not stored, unfinished; whoever plans from then on
//! keeps it, and nobody reads it. When those have ended who wrote before, the rows that are there get their entries, a
//! stretch of rows in a transaction. Then the definition is stored with the index, finished. A build that fails gives up
//! what it announced; after a crash the tree goes when the file is opened.
//!
//! Others wait for the build where PostgreSQL has them wait, and the build for others: for writers before and after it
//! fills the index, and then for all that keep a snapshot, which would find too little in it.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::{IndexDefinition, TableDefinition};
use crate::common::arena::Arena;
use crate::common::ids::{Lsn, RowId, TreeId};
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::session::beside::{Beside, gone};
use crate::session::computed::{add_computed, computed_values};
use crate::session::definition::{duplicate_relation, skipping};
use crate::session::prepared::{self, Prepared};
use crate::session::session::Session;
use crate::sql::binder::bound::{BoundStatement, CreateIndex};
use crate::table::build;
use crate::table::build_beside::{Stretch, index_stretch};
use crate::table::runtime::IndexRuntime;
use crate::transaction::types::{RowLockMode, TableLockMode};

/// Where the hidden index of this tree is in the definition.
pub(super) fn position_of(table: &TableDefinition, tree: TreeId) -> Option<usize> {
    table.layout.indexes.iter().position(|index| index.tree == tree && index.runtime.is_unfinished())
}

impl Session {
    /// Runs CREATE INDEX CONCURRENTLY, in transactions of its own.
    pub(crate) fn create_index_concurrently(&mut self, statement: &Prepared) -> Result<()> {
        self.refuse_in_block("CREATE INDEX CONCURRENTLY")?;
        let mut find = |_: &mut Session, catalog: &CatalogSnapshot| {
            let arena = Arena::new();
            match prepared::bind_again(statement, catalog, &arena)? {
                BoundStatement::CreateIndex(create) => {
                    catalog.require_table(Some(&create.schema), &create.table).map(Some)
                }
                _ => Err(Error::internal("not CREATE INDEX")),
            }
        };
        let Some(mut beside) = self.begin_beside(statement, "CREATE INDEX", &mut find)? else {
            return Ok(());
        };
        let Some(tree) = self.announce_index(statement, &beside)? else { return Ok(()) };
        let result = self
            .fill_beside(&mut beside, &[tree])
            .and_then(|whole_from| self.finish(&beside, tree, whole_from));
        if result.is_err() {
            let table = beside.table;
            // Before the lock on the definitions, for which somebody may wait who has it.
            drop(beside);
            self.give_up(table, vec![tree]);
        }
        result
    }

    /// Makes the index's tree and lets everybody know of the index. `None`: there is a relation of the name, and that is
    /// fine.
    fn announce_index(&mut self, statement: &Prepared, beside: &Beside) -> Result<Option<TreeId>> {
        let mut block = self.build_block();
        let base = self.lock_definitions(&mut block)?;
        let arena = Arena::new();
        let BoundStatement::CreateIndex(create) = prepared::bind_again(statement, &base, &arena)? else {
            return Err(Error::internal("not CREATE INDEX"));
        };
        let CreateIndex { schema, index, position, if_not_exists, .. } = create;
        if base.is_name_taken(Some(&schema), &index.name) {
            if if_not_exists {
                self.notices.notice(skipping(&index.name));
                return Ok(None);
            }
            return Err(duplicate_relation(&index.name).at(position));
        }
        let old = base.table_by_id(beside.table).ok_or_else(gone)?;
        let transaction = &mut block.transaction;
        transaction.start_statement()?;
        let mut table = (*old).clone();
        let mut layout = (*old.layout).clone();
        let (parts, predicate) = add_computed(&mut table, &mut layout, &index);
        let mut index_layout = build::create_index_tree(transaction, parts, index.unique, predicate)?;
        index_layout.fill_percent = index.storage.fill_percent;
        index_layout.runtime = Arc::new(IndexRuntime::of_unfinished());
        self.notices.warn_without_effect(&index.storage);
        let tree = index_layout.tree;
        self.engine.catalog.note_unfinished(transaction, tree)?;
        layout.indexes.push(index_layout);
        table.layout = Arc::new(layout);
        let id = self.engine.catalog.next_object_id(transaction)?;
        table.indexes.push(IndexDefinition::new(id, index.name, index.constraint));
        block.catalog = Some(Arc::new(base.with_table(Arc::new(table))));
        self.commit_build(block)?;
        Ok(Some(tree))
    }

    /// Fills announced indexes; gives the commit from which on snapshots find everything in them.
    pub(super) fn fill_beside(&mut self, beside: &mut Beside, trees: &[TreeId]) -> Result<Lsn> {
        // Whoever planned without the indexes has ended after this.
        self.await_lockers(beside, TableLockMode::Share)?;
        for tree in trees {
            self.fill_announced(beside, *tree)?;
        }
        self.await_lockers(beside, TableLockMode::Share)?;
        self.await_snapshots(beside)
    }

    /// Gives every row its entry.
    fn fill_announced(&mut self, beside: &Beside, tree: TreeId) -> Result<()> {
        let mut after: Option<RowId> = None;
        loop {
            self.cancel.check()?;
            let mut block = self.build_block();
            let table = self.newest_definition(beside.table)?;
            let position = position_of(&table, tree).ok_or_else(gone)?;
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
                    block.transaction.wait_for_row(tree, &key, RowLockMode::Update)?;
                    continue;
                }
                Stretch::Duplicate(values) => return Err(self.not_unique(&table, position, &values)),
            }
            self.commit_build(block)?;
        }
    }

    /// The index is an index from here on.
    fn finish(&mut self, beside: &Beside, tree: TreeId, whole_from: Lsn) -> Result<()> {
        let mut block = self.build_block();
        let base = self.lock_definitions(&mut block)?;
        let old = base.table_by_id(beside.table).ok_or_else(gone)?;
        let position = position_of(&old, tree).ok_or_else(gone)?;
        block.transaction.start_statement()?;
        let mut table = (*old).clone();
        let mut layout = (*old.layout).clone();
        layout.indexes[position].runtime = Arc::new(IndexRuntime::of_usable_from(whole_from));
        table.layout = Arc::new(layout);
        self.engine.catalog.forget_unfinished(&mut block.transaction, tree)?;
        self.put(Arc::new(table), &base, &mut block)?;
        self.commit_build(block)
    }
}

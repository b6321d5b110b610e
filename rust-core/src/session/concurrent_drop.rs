//! DROP INDEX CONCURRENTLY: an index goes while others read and write the table.
//!
//! First it is hidden: whoever plans from then on does not read it, but writers keep it. When those have ended who may read
//! it, it goes from the definition; when those have ended who may keep it, its tree goes. A drop that is cancelled before
//! the index went from the definition leaves the index as it was.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::TableDefinition;
use crate::common::arena::Arena;
use crate::common::ids::{ObjectId, TreeId};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::beside::{Beside, gone};
use crate::session::concurrent_index::position_of;
use crate::session::prepared::{self, Prepared};
use crate::session::session::Session;
use crate::sql::binder::bound::{BoundStatement, DropObjects};
use crate::table::layout::IndexLayout;
use crate::table::runtime::IndexRuntime;
use crate::transaction::types::TableLockMode;

impl Session {
    /// Runs DROP INDEX CONCURRENTLY, in transactions of its own.
    pub(crate) fn drop_index_concurrently(&mut self, statement: &Prepared) -> Result<()> {
        self.refuse_in_block("DROP INDEX CONCURRENTLY")?;
        let refused = |what: &str| {
            let message = format!("DROP INDEX CONCURRENTLY does not support {what}");
            Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message))
        };
        let (_, catalog) = self.current_catalog();
        let arena = Arena::new();
        let BoundStatement::DropIndex(drop) = prepared::bind_again(statement, &catalog, &arena)? else {
            return Err(Error::internal("not DROP INDEX"));
        };
        if drop.names.len() != 1 {
            return refused("dropping multiple objects");
        }
        if drop.cascade {
            return refused("CASCADE");
        }
        let mut find = |session: &mut Session, catalog: &CatalogSnapshot| {
            let found = session.index_to_drop(&drop.names[0], drop.if_exists, catalog)?;
            let Some((table, position)) = found else { return Ok(None) };
            session.constraints_that_need(&drop, &drop.names[0], &table, position, catalog)?;
            Ok(Some(table))
        };
        let Some(mut beside) = self.begin_beside(statement, "DROP INDEX", &mut find)? else { return Ok(()) };
        let Some((tree, runtime)) = self.hide_index(&drop, &beside)? else { return Ok(()) };
        let removed = self
            .await_lockers(&mut beside, TableLockMode::AccessExclusive)
            .and_then(|()| self.remove_hidden(&beside, tree));
        if let Err(error) = removed {
            let table = beside.table;
            // Before the lock on the definitions, for which somebody may wait who has it.
            std::mem::drop(beside);
            self.show_again(table, tree, runtime)?;
            return Err(error);
        }
        self.drop_when_unused(beside, vec![tree])
    }

    /// Nobody begins to read the index any more.
    fn hide_index(
        &mut self,
        drop: &DropObjects,
        beside: &Beside,
    ) -> Result<Option<(TreeId, Arc<IndexRuntime>)>> {
        let mut block = self.build_block();
        let base = self.lock_definitions(&mut block)?;
        let name = &drop.names[0];
        let Some((table, position)) = self.index_to_drop(name, drop.if_exists, &base)? else {
            return Ok(None);
        };
        if table.id != beside.table {
            return Err(gone());
        }
        self.constraints_that_need(drop, name, &table, position, &base)?;
        let IndexLayout { tree, runtime, .. } = &table.layout.indexes[position];
        let hidden = with_runtime(&table, position, Arc::new(IndexRuntime::of_leaving()));
        self.publish_unstored(&base.with_table(Arc::new(hidden)));
        Ok(Some((*tree, Arc::clone(runtime))))
    }

    /// The index is in the definition no more.
    fn remove_hidden(&mut self, beside: &Beside, tree: TreeId) -> Result<()> {
        let mut block = self.build_block();
        let base = self.lock_definitions(&mut block)?;
        let old = base.table_by_id(beside.table).ok_or_else(gone)?;
        let position = position_of(&old, tree).ok_or_else(gone)?;
        block.transaction.start_statement()?;
        self.engine.catalog.note_unfinished(&mut block.transaction, tree)?;
        self.put_without_index(&old, position, &base, &mut block)?;
        self.commit_build(block)
    }

    /// The index is what it was: writers have kept it.
    fn show_again(&mut self, table: ObjectId, tree: TreeId, runtime: Arc<IndexRuntime>) -> Result<()> {
        // The cancelled statement is over.
        self.cancel.start_statement();
        let mut block = self.build_block();
        let base = self.lock_definitions(&mut block)?;
        let Some(old) = base.table_by_id(table) else { return Ok(()) };
        let Some(position) = position_of(&old, tree) else { return Ok(()) };
        let shown = with_runtime(&old, position, runtime);
        self.publish_unstored(&base.with_table(Arc::new(shown)));
        Ok(())
    }
}

fn with_runtime(table: &TableDefinition, position: usize, runtime: Arc<IndexRuntime>) -> TableDefinition {
    let mut layout = (*table.layout).clone();
    layout.indexes[position].runtime = runtime;
    let mut table = table.clone();
    table.layout = Arc::new(layout);
    table
}

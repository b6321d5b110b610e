//! VACUUM, and what `lumos_stat_space` shows.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::TableDefinition;
use crate::common::arena::Arena;
use crate::common::ids::{CATALOG_TREE, COUNTER_TREE, TreeId};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::engine::Engine;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::{self, Prepared};
use crate::session::session::Session;
use crate::sql::binder::bound::{AnalyzeTarget, BoundStatement};
use crate::sql::functions::space::SpaceLine;
use crate::transaction::types::TableLockMode;
use std::collections::VecDeque;

/// The trees of a table.
fn trees_of(table: &TableDefinition) -> impl Iterator<Item = TreeId> {
    let layout = &table.layout;
    [layout.tree, layout.value_tree].into_iter().chain(layout.indexes.iter().map(|index| index.tree))
}

impl Session {
    /// Runs VACUUM: under locks that rows may be read and written beside, never in somebody's transaction block. ANALYZE
    /// after it is a transaction of its own.
    pub(crate) fn execute_vacuum(&mut self, statement: &Arc<Prepared>) -> Result<Portal> {
        if self.block.is_some() {
            return Err(Error::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "VACUUM cannot run inside a transaction block",
            ));
        }
        if self.engine.options.read_only {
            return Err(Error::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                "cannot execute VACUUM in a read-only database",
            ));
        }
        self.clear_leavings();
        let (_, catalog) = self.current_catalog();
        let arena = Arena::new();
        let BoundStatement::Vacuum { targets, analyze, skip_locked } =
            prepared::bind_again(statement, &catalog, &arena)?
        else {
            return Err(Error::internal("not VACUUM"));
        };
        let named = named_tables(&targets, &catalog);
        self.in_block(|session, block| {
            let told = if targets.is_empty() { None } else { Some("vacuum") };
            let locked = session.lock_for_maintenance(&named, skip_locked, told, block)?;
            let mut trees: Vec<TreeId> = locked.iter().flat_map(|table| trees_of(table)).collect();
            if targets.is_empty() {
                trees.extend([CATALOG_TREE, COUNTER_TREE]);
            }
            session.engine.manager.vacuum(&trees, &|| session.cancel.check())
        })?;
        if analyze {
            self.in_block(|session, block| session.analyze_tables(&named, &targets, skip_locked, block))?;
        }
        let state = PortalState::complete(VecDeque::new(), None);
        Ok(Portal::new(Arc::clone(statement.columns()), statement.kind(), state))
    }
}

impl Session {
    /// Locks tables so that their rows may be read and written beside; gives those that are there still. `told`: what is
    /// not done to the others, for a warning.
    pub(crate) fn lock_for_maintenance(
        &mut self,
        tables: &[Arc<TableDefinition>],
        skip_locked: bool,
        told: Option<&str>,
        block: &mut Block,
    ) -> Result<Vec<Arc<TableDefinition>>> {
        let skip = |session: &mut Session, table: &TableDefinition, state: SqlState, why: &str| {
            if let Some(what) = told {
                let message = format!("skipping {what} of \"{}\" --- {why}", table.name);
                session.notices.warning(Error::new(state, message));
            }
        };
        let mut locked = Vec::with_capacity(tables.len());
        for table in tables {
            let mode = TableLockMode::ShareUpdateExclusive;
            if !skip_locked {
                block.transaction.lock_table(table.id, mode)?;
            } else if !block.transaction.try_lock_table(table.id, mode)? {
                skip(self, table, SqlState::LOCK_NOT_AVAILABLE, "lock not available");
                continue;
            }
            // What was dropped before the lock came is nobody's any more.
            match self.catalog_of(block).1.table_by_id(table.id) {
                Some(table) => locked.push(table),
                None => skip(self, table, SqlState::UNDEFINED_TABLE, "relation no longer exists"),
            }
        }
        Ok(locked)
    }
}

/// The tables of these names, or all, by number so that two sessions cannot cross.
pub(crate) fn named_tables(
    targets: &[AnalyzeTarget],
    catalog: &CatalogSnapshot,
) -> Vec<Arc<TableDefinition>> {
    let is_named =
        |table: &TableDefinition| targets.is_empty() || targets.iter().any(|target| is_meant(target, table));
    let mut tables: Vec<_> = catalog.tables().filter(|table| is_named(table)).cloned().collect();
    tables.sort_unstable_by_key(|table| table.id);
    tables
}

/// Whether a target is this table.
pub(crate) fn is_meant(target: &AnalyzeTarget, table: &TableDefinition) -> bool {
    target.table.name == table.name && target.table.schema.as_ref() == Some(&table.schema)
}

/// What each table, index and the file take up, as of about now.
/// # Errors
/// `58030`, `XX001`, `53200`.
pub(crate) fn space(engine: &Engine) -> Result<Vec<SpaceLine>> {
    let storage = engine.manager.storage();
    let page_size = storage.page_size() as i64;
    let mut lines = Vec::new();
    let mut add = |tree: TreeId, table: Option<&TableDefinition>, object: &str, kind| -> Result<()> {
        let Some(space) = storage.tree_space(tree)? else { return Ok(()) };
        lines.push(SpaceLine {
            schema: table.map(|table| table.schema.clone()),
            table: table.map(|table| table.name.clone()),
            object: object.to_owned(),
            kind,
            pages: space.pages as i64,
            bytes: space.pages as i64 * page_size,
            live_rows: Some(space.entries as i64),
            free_bytes: space.free_bytes as i64,
        });
        Ok(())
    };
    let catalog = engine.catalog.current();
    let mut tables: Vec<_> = catalog.tables().collect();
    tables.sort_unstable_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    for table in tables {
        let layout = &table.layout;
        add(layout.tree, Some(table), &table.name, "table")?;
        add(layout.value_tree, Some(table), &table.name, "values")?;
        for (index, definition) in layout.indexes.iter().zip(&table.indexes) {
            add(index.tree, Some(table), &definition.name, "index")?;
        }
    }
    add(CATALOG_TREE, None, "catalog", "system")?;
    add(COUNTER_TREE, None, "counters", "system")?;
    let figures = storage.statistics();
    lines.push(SpaceLine {
        object: engine.options.name.to_string(),
        kind: "file",
        pages: figures.blocks as i64,
        bytes: figures.blocks as i64 * page_size,
        free_bytes: storage.free_blocks() as i64 * page_size,
        ..SpaceLine::default()
    });
    if figures.blocks_retained > 0 {
        lines.push(SpaceLine {
            object: "kept for readers".to_owned(),
            kind: "file",
            pages: figures.blocks_retained as i64,
            bytes: figures.blocks_retained as i64 * page_size,
            ..SpaceLine::default()
        });
    }
    Ok(lines)
}

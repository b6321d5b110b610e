//! ANALYZE: tables are read once, what is found of their values is stored for the optimizer.

use crate::batch::batch::Batch;
use crate::batch::builder::ColumnBuilder;
use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::TableDefinition;
use crate::common::arena::Arena;
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::session::block::Block;
use crate::session::computed::computed_values;
use crate::session::portal::{Portal, PortalState};
use crate::session::prepared::{self, Prepared};
use crate::session::session::Session;
use crate::session::transactions::refuse_if_read_only;
use crate::session::vacuum::{is_meant, named_tables};
use crate::sql::binder::bound::{AnalyzeTarget, BoundStatement};
use crate::sql::executor::computed::ComputedValues;
use crate::sql::types::data_type::{DataType, SqlType};
use crate::statistics::builder::StatisticsBuilder;
use crate::statistics::table_statistics::TableStatistics;
use crate::table::table::Table;
use std::collections::VecDeque;
use std::ops::Bound;

/// A table to analyze, and which of its columns; `None`: all.
type Analyzed = (Arc<TableDefinition>, Option<Vec<usize>>);

impl Session {
    /// Runs ANALYZE.
    pub(crate) fn execute_analyze(&mut self, statement: &Arc<Prepared>) -> Result<Portal> {
        self.in_block(|session, block| session.analyze(statement, block))?;
        let state = PortalState::complete(VecDeque::new(), None);
        Ok(Portal::new(Arc::clone(statement.columns()), statement.kind(), state))
    }

    fn analyze(&mut self, statement: &Prepared, block: &mut Block) -> Result<()> {
        refuse_if_read_only(block, statement.kind())?;
        let (_, catalog) = self.catalog_of(block);
        let arena = Arena::new();
        let BoundStatement::Analyze { targets, skip_locked } =
            prepared::bind_again(statement, &catalog, &arena)?
        else {
            return Err(Error::internal("not ANALYZE"));
        };
        let named = named_tables(&targets, &catalog);
        self.analyze_tables(&named, &targets, skip_locked, block)
    }

    /// Reads tables and stores what is found of them. `named`: those of `targets`, when the statement began.
    pub(crate) fn analyze_tables(
        &mut self,
        named: &[Arc<TableDefinition>],
        targets: &[AnalyzeTarget],
        skip_locked: bool,
        block: &mut Block,
    ) -> Result<()> {
        // Before others are kept from changing definitions: who waits for a table holds up nobody at another one.
        let told = if targets.is_empty() { None } else { Some("analyze") };
        let locked = self.lock_for_maintenance(named, skip_locked, told, block)?;
        let base = self.lock_definitions(block)?;
        let tables = analyzed_columns(&locked, targets, &base);
        block.transaction.start_statement()?;
        let mut next = (*base).clone();
        for (table, columns) in tables {
            let mut statistics = self.statistics_of(&table, block)?;
            if let (Some(columns), Some(known)) = (columns, base.statistics(table.id)) {
                // What is known of the other columns stays.
                let others = statistics.columns.iter_mut().zip(&known.columns).enumerate();
                for (position, (new, old)) in others {
                    if !columns.contains(&position) {
                        new.clone_from(old);
                    }
                }
            }
            self.engine.catalog.write_statistics(&mut block.transaction, table.id, &statistics)?;
            next = next.with_statistics(table.id, Arc::new(statistics));
        }
        block.catalog = Some(Arc::new(next));
        block.transaction.next_command();
        Ok(())
    }

    /// Reads a table under the statement's snapshot.
    fn statistics_of(&self, table: &TableDefinition, block: &Block) -> Result<TableStatistics> {
        let computed = computed_values(table)?;
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        let stored = table.columns.iter().map(|column| column.sql_type);
        let types: Vec<DataType> =
            stored.chain(table.layout.computed.iter().copied()).map(|known| known.data_type).collect();
        let reader = Table::open(&self.engine.manager, &block.transaction, &table.layout)?;
        let everything = (Bound::Unbounded, Bound::Unbounded);
        let mut scan = reader.scan(&block.transaction, everything, false, &columns, false)?;
        let mut builder = StatisticsBuilder::new(&types);
        let mut memory = self.engine.memory.reservation();
        let mut batch = Batch::default();
        while scan.next_batch(&block.transaction, &mut batch)? {
            self.cancel.check()?;
            if !computed.is_empty() {
                add_computed_columns(&computed, &table.layout.computed, &mut batch)?;
            }
            builder.add(&batch);
            memory.resize(builder.memory_bytes())?;
        }
        Ok(builder.finish())
    }
}

/// Adds what indexes compute of the rows of a batch; NULL where a partial index leaves a row out.
fn add_computed_columns(computed: &ComputedValues, types: &[SqlType], batch: &mut Batch) -> Result<()> {
    let mut builders: Vec<ColumnBuilder> =
        types.iter().map(|sql_type| ColumnBuilder::new(*sql_type, batch.rows)).collect();
    let mut row = Vec::with_capacity(batch.columns.len());
    for number in 0..batch.rows {
        row.clear();
        row.extend(batch.columns.iter().map(|column| column.datum(number)));
        for (builder, value) in builders.iter_mut().zip(computed.of_row(&row)?) {
            builder.push_datum(value.as_ref());
        }
    }
    batch.columns.extend(builders.into_iter().map(|builder| Arc::new(builder.finish())));
    Ok(())
}

/// The tables as they are now, with the columns that are looked at, `None`: all.
fn analyzed_columns(
    locked: &[Arc<TableDefinition>],
    targets: &[AnalyzeTarget],
    catalog: &CatalogSnapshot,
) -> Vec<Analyzed> {
    let mut tables = Vec::with_capacity(locked.len());
    for table in locked {
        let Some(table) = catalog.table_by_id(table.id) else { continue };
        let mut columns = Some(Vec::new());
        for target in targets.iter().filter(|target| is_meant(target, &table)) {
            match &mut columns {
                Some(known) if !target.columns.is_empty() => known.extend_from_slice(&target.columns),
                _ => columns = None,
            }
        }
        tables.push((table, columns.filter(|columns| !columns.is_empty())));
    }
    tables
}

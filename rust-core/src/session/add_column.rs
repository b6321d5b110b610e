//! ALTER TABLE … ADD COLUMN: the rows are written anew, each with the column's default, and so are the indexes.
//! A snapshot from before it cannot read the table any more: 40001.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::{ColumnDefinition, TableDefinition};
use crate::common::arena::Arena;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::alter::{listed, quoted};
use crate::session::block::Block;
use crate::session::computed::computed_values;
use crate::session::prepared::{self, Stamp};
use crate::session::session::Session;
use crate::sql::executor;
use crate::table::build::{self, BuildOutcome};
use crate::table::layout::IndexLayout;
use crate::transaction::types::TableLockMode;

/// What the table is called while its rows are on their way; no SQL text can name it, as it is in no snapshot but ours.
const UNDER_WAY: &str = "table with a new column";

impl Session {
    /// Adds a column behind the others.
    pub(crate) fn add_column(
        &mut self,
        old: &Arc<TableDefinition>,
        (column, position): (&ColumnDefinition, usize),
        current: &Arc<CatalogSnapshot>,
        block: &mut Block,
    ) -> Result<()> {
        // A star in a view means the columns there were; its text would mean the new one too.
        if let Some(view) = current.views_over(old.id).find(|view| view.query.contains('*')) {
            let what = format!("adding a column to a table that view \"{}\" reads with *", view.name);
            return Err(Error::not_supported(what).at(position));
        }
        block.transaction.lock_table(old.id, TableLockMode::AccessExclusive)?;
        block.transaction.end_statement();
        block.transaction.start_statement()?;
        let mut types = old.layout.columns.clone();
        types.push(column.sql_type);
        let mut layout = build::create_trees(&mut block.transaction, old.layout.row_id, types, Vec::new())?;
        layout.fill_percent = old.layout.fill_percent;
        let mut columns = old.columns.clone();
        // Whether it may be NULL is looked at when the rows are there.
        columns.push(ColumnDefinition { not_null: false, ..column.clone() });
        let under_way = TableDefinition {
            id: self.engine.catalog.next_object_id(&mut block.transaction)?,
            schema: old.schema.clone(),
            name: UNDER_WAY.to_owned(),
            columns,
            checks: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            computed: Vec::new(),
            row_id_constraint: old.row_id_constraint.clone(),
            not_valid: Vec::new(),
            layout: Arc::new(layout),
        };
        let layout = Arc::clone(&under_way.layout);
        let with_both = Arc::new(current.with_table(Arc::new(under_way)));
        self.fill(old, &with_both, block)?;
        if column.not_null {
            let (schema, name) = (quoted(&old.schema), quoted(&column.name));
            let nulls = format!("SELECT 1 FROM {schema}.\"{UNDER_WAY}\" WHERE {name} IS NULL LIMIT 1");
            if self.first_row(&nulls, &with_both, block)?.is_some() {
                let message =
                    format!("column \"{}\" of relation \"{}\" contains null values", column.name, old.name);
                return Err(Error::new(SqlState::NOT_NULL_VIOLATION, message)
                    .schema(old.schema.as_str())
                    .table(old.name.as_str())
                    .column(column.name.as_str()));
            }
        }
        let mut table = (**old).clone();
        table.columns.push(column.clone());
        let mut layout = (*layout).clone();
        layout.computed = old.layout.computed.clone();
        for index in &old.layout.indexes {
            let (parts, unique, predicate) = (index.columns.clone(), index.unique, index.predicate);
            let tree = build::create_index_tree(&mut block.transaction, parts, unique, predicate)?;
            layout.indexes.push(IndexLayout { fill_percent: index.fill_percent, ..tree });
        }
        table.layout = Arc::new(layout);
        let computed = computed_values(&table)?;
        for position in 0..table.layout.indexes.len() {
            let (manager, transaction) = (&self.engine.manager, &mut block.transaction);
            let outcome = build::build_index(manager, transaction, &table.layout, position, &computed)?;
            if let BuildOutcome::Duplicate(values) = outcome {
                return Err(self.not_unique(&table, position, &values));
            }
        }
        build::drop_trees(&mut block.transaction, &old.layout)?;
        self.put(Arc::new(table), current, block)
    }

    /// Copies the rows; INSERT gives them the default.
    fn fill(&self, old: &TableDefinition, with_both: &Arc<CatalogSnapshot>, block: &mut Block) -> Result<()> {
        let all: Vec<usize> = (0..old.columns.len()).collect();
        let names = listed(old, &all, "").join(", ");
        let (schema, name) = (quoted(&old.schema), quoted(&old.name));
        let copy =
            format!("INSERT INTO {schema}.\"{UNDER_WAY}\" ({names}) SELECT {names} FROM {schema}.{name}");
        let arena = Arena::new();
        let (Some(bound), _) = prepared::bind_own(&copy, with_both, &arena)? else {
            return Err(Error::internal("a statement of our own is none"));
        };
        let stamp = Stamp::Own(Arc::clone(with_both));
        let plan = prepared::plan(bound.statement, stamp, with_both, &self.engine)?;
        for (table, mode) in &plan.locks {
            block.transaction.lock_table(*table, *mode)?;
        }
        let mut context = self.context(block, &[]);
        let mut execution = executor::start(Arc::clone(&plan.physical), &mut context)?;
        while execution.next(&mut context)?.is_some() {}
        drop(execution);
        block.transaction.next_command();
        block.transaction.end_statement();
        block.transaction.start_statement().map(drop)
    }
}

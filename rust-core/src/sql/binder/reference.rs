//! What a data change means for foreign keys: the tables that it reaches, with what is needed to read and change them.

use crate::catalog::table_definition::{Deferral, ForeignKeyDefinition, ReferentialAction, TableDefinition};
use crate::common::ids::ObjectId;
use crate::error::{Error, Result};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::index::to_table_columns;
use crate::sql::plan::reference::{ReferenceTable, References, ReferredBy, RefersTo};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What happens to rows of a table.
#[derive(Clone, Debug)]
pub(super) enum RowChange {
    /// They are added.
    Added,
    /// These columns get other values.
    Changed(Vec<usize>),
    /// They are removed.
    Removed,
}

/// What is known to happen to rows of a reached table.
#[derive(Clone, Default, PartialEq)]
struct Reach {
    is_added: bool,
    is_removed: bool,
    changed: BTreeSet<usize>,
}

impl Reach {
    fn add(&mut self, change: &RowChange) {
        match change {
            RowChange::Added => self.is_added = true,
            RowChange::Removed => self.is_removed = true,
            RowChange::Changed(columns) => self.changed.extend(columns),
        }
    }

    /// Whether the foreign key of a row may have to be looked at. A check that waits for a row follows it to its new id.
    fn concerns(&self, table: &TableDefinition, key: &ForeignKeyDefinition) -> bool {
        let moves = || table.row_id_column().is_some_and(|column| self.touches(&[column]));
        self.is_added || self.touches(&key.columns) || (key.deferral != Deferral::NotDeferrable && moves())
    }

    fn touches(&self, columns: &[usize]) -> bool {
        columns.iter().any(|column| self.changed.contains(column))
    }
}

/// What becomes of the rows of a child when rows of its parent are removed, or changed in the key.
fn action_on_child(
    child: &TableDefinition,
    key: &ForeignKeyDefinition,
    action: &ReferentialAction,
    on_delete: bool,
) -> Option<RowChange> {
    match action {
        ReferentialAction::NoAction | ReferentialAction::Restrict => None,
        ReferentialAction::Cascade if on_delete => Some(RowChange::Removed),
        ReferentialAction::Cascade => Some(RowChange::Changed(key.columns.clone())),
        ReferentialAction::SetNull(columns) | ReferentialAction::SetDefault(columns) => {
            debug_assert!(columns.iter().all(|column| *column < child.columns.len()));
            Some(RowChange::Changed(if columns.is_empty() { key.columns.clone() } else { columns.clone() }))
        }
    }
}

impl Binder<'_> {
    /// The tables that a change of rows of `table` reaches by foreign keys; `None`: it breaks none and moves none.
    pub(super) fn bind_references(
        &mut self,
        table: &Arc<TableDefinition>,
        changes: &[RowChange],
        position: usize,
    ) -> Result<Option<Arc<References>>> {
        if table.foreign_keys.is_empty() && self.catalog.referring(table.id).is_empty() {
            return Ok(None);
        }
        let mut first = Reach::default();
        changes.iter().for_each(|change| first.add(change));
        let mut tables = vec![(Arc::clone(table), first)];
        self.reach(&mut tables)?;
        let references = References {
            tables: (0..tables.len())
                .map(|number| self.reference_table(number, &tables, position))
                .collect::<Result<_>>()?,
        };
        let first = &references.tables[0];
        if first.refers.is_empty() && first.referred.is_empty() {
            return Ok(None);
        }
        Ok(Some(Arc::new(references)))
    }

    /// Adds the tables that are reached, until nothing new happens to any of them.
    fn reach(&self, tables: &mut Vec<(Arc<TableDefinition>, Reach)>) -> Result<()> {
        let number_of = |tables: &mut Vec<(Arc<TableDefinition>, Reach)>, table: &Arc<TableDefinition>| {
            tables.iter().position(|(known, _)| known.id == table.id).unwrap_or_else(|| {
                tables.push((Arc::clone(table), Reach::default()));
                tables.len() - 1
            })
        };
        let mut waiting: Vec<usize> = vec![0];
        while let Some(number) = waiting.pop() {
            let (table, reach) = tables[number].clone();
            for key in &table.foreign_keys {
                if reach.concerns(&table, key) {
                    number_of(tables, &self.parent_of(key.parent)?);
                }
            }
            for (child, position) in self.catalog.referring(table.id) {
                let key = &child.foreign_keys[position];
                let deletes = reach.is_removed;
                let updates = reach.touches(&key.parent_columns);
                if !deletes && !updates {
                    continue;
                }
                let number = number_of(tables, &child);
                let before = tables[number].1.clone();
                if deletes && let Some(change) = action_on_child(&child, key, &key.on_delete, true) {
                    tables[number].1.add(&change);
                }
                if updates && let Some(change) = action_on_child(&child, key, &key.on_update, false) {
                    tables[number].1.add(&change);
                }
                if tables[number].1 != before {
                    waiting.push(number);
                }
            }
        }
        Ok(())
    }

    fn parent_of(&self, id: ObjectId) -> Result<Arc<TableDefinition>> {
        let missing = || Error::internal("a foreign key refers to a table that is not there");
        self.catalog.table_by_id(id).ok_or_else(missing)
    }

    fn reference_table(
        &mut self,
        number: usize,
        tables: &[(Arc<TableDefinition>, Reach)],
        position: usize,
    ) -> Result<ReferenceTable> {
        let (table, reach) = &tables[number];
        let number_of = |id: ObjectId| {
            tables.iter().position(|(known, _)| known.id == id).ok_or_else(|| {
                Error::internal("a foreign key leads to a table that was not reached") //
            })
        };
        let unique = |parent: &TableDefinition, columns: &[usize]| {
            parent
                .unique_key(columns)
                .ok_or_else(|| Error::internal("a foreign key refers to columns that are not unique"))
        };
        let mut refers = Vec::new();
        for (position, key) in table.foreign_keys.iter().enumerate() {
            if reach.concerns(table, key) {
                let parent = number_of(key.parent)?;
                let (index, order) = unique(&tables[parent].0, &key.parent_columns)?;
                refers.push(RefersTo { key: position, parent, index, order });
            }
        }
        let mut referred = Vec::new();
        for (child, key_position) in self.catalog.referring(table.id) {
            let key = &child.foreign_keys[key_position];
            if !reach.is_removed && !reach.touches(&key.parent_columns) {
                continue;
            }
            let (index, order) = unique(table, &key.parent_columns)?;
            let mut defaults = Vec::new();
            if [&key.on_delete, &key.on_update]
                .into_iter()
                .any(|action| matches!(action, ReferentialAction::SetDefault(_)))
            {
                for column in &key.columns {
                    defaults.push((*column, self.bind_default(&child, *column, position)?));
                }
            }
            let child = number_of(child.id)?;
            referred.push(ReferredBy { child, key: key_position, index, order, defaults });
        }
        let is_changed = reach.is_removed || !reach.changed.is_empty();
        let mut checks = Vec::new();
        let mut computed = Arc::default();
        if is_changed {
            let columns = self.table_columns(table);
            checks = self.bind_checks(table, &columns, position)?;
            for check in &mut checks {
                to_table_columns(&mut check.condition, &columns)?;
            }
            computed = self.bind_computed(table, position)?;
        }
        Ok(ReferenceTable { table: Arc::clone(table), is_changed, checks, computed, refers, referred })
    }
}

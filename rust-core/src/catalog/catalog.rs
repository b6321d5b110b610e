//! The catalog of an open database: the newest committed definitions, and their way to disk.
//!
//! Definitions of tables, views and sequences, and what ANALYZE found, are values of the catalog tree under their number; the
//! names of tables, indexes, views and sequences are keys of their own, so that two transactions that make the same name meet at
//! its lock. A transaction that changes definitions keeps its own snapshot (`with_table`, `without_view` …) until it
//! commits, then hands it to [`Catalog::publish`], which adds its changes to whatever others have published meanwhile.
//! Knows definitions and transactions. Knows no SQL.

use crate::catalog::family::Family;
use crate::catalog::sequence_definition::SequenceDefinition;
use crate::catalog::snapshot::{CatalogChange, CatalogSnapshot};
use crate::catalog::table_definition::TableDefinition;
use crate::catalog::view_definition::ViewDefinition;
use crate::common::cancel::CancelToken;
use crate::common::ids::{CATALOG_TREE, COUNTER_TREE};
use crate::common::ids::{Lsn, ObjectId, TreeId};
use crate::common::sync::{Arc, Mutex, RwLock};
use crate::error::{Error, Result, SqlState};
use crate::statistics::table_statistics::TableStatistics;
use crate::table::layout::IndexLayout;
use crate::table::runtime::Counter;
use crate::table::table::read_counter;
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, ReadView, RowLockMode};
use std::ops::Bound;

/// The first key byte of names; the name follows. Value: the object id of the table or view, big-endian.
pub(super) const NAME: u8 = b'n';
pub(super) const OBJECT_COUNTER_KEY: [u8; 1] = [0];
/// The first key byte, in the tree of counters, of the trees of unfinished indexes; the tree's number follows.
const UNFINISHED: u8 = 4;

/// See the module. Threads: any.
#[derive(Debug)]
pub struct Catalog {
    current: RwLock<Arc<CatalogSnapshot>>,
    /// Held while a snapshot is replaced, so that no change is lost.
    publishing: Mutex<()>,
    object_ids: Counter,
}

impl Catalog {
    /// Reads every definition.
    /// # Errors
    /// `XX001` when one is damaged; `58030`.
    pub fn load(manager: &Arc<TransactionManager>) -> Result<Catalog> {
        let mut transaction = manager.begin(IsolationLevel::RepeatableRead, true, CancelToken::default());
        transaction.start_statement()?;
        let snapshot = read_definitions(&transaction);
        transaction.end_statement();
        transaction.rollback();
        let snapshot = snapshot?;
        let fills = snapshot.tables().flat_map(|table| table.layout.fill_percents());
        for (tree, percent) in fills.filter(|(_, percent)| percent.is_some()) {
            // Who uses a tree that cannot be found will be told; others need not be.
            let _ = manager.storage().set_fill_percent(tree, percent);
        }
        Ok(Catalog {
            current: RwLock::new(Arc::new(snapshot)),
            publishing: Mutex::new(()),
            object_ids: Counter::default(),
        })
    }

    /// The newest committed definitions.
    pub fn current(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.current.read())
    }

    /// How far trees are to be filled once `own` is everybody's: those for which it is not what it was.
    pub fn changed_fills(&self, own: &CatalogSnapshot) -> Vec<(TreeId, Option<u8>)> {
        let before = self.current();
        let mut changed = Vec::new();
        for change in own.changes() {
            let CatalogChange::PutTable(table) = change else { continue };
            // The last of several definitions counts, and a table may be gone again.
            let Some(table) = own.table_by_id(table.id) else { continue };
            let old = before.table_by_id(table.id);
            for (tree, percent) in table.layout.fill_percents() {
                let mut known = old.iter().flat_map(|old| old.layout.fill_percents());
                let was = known.find(|(known, _)| *known == tree).and_then(|(_, percent)| percent);
                if was != percent && !changed.contains(&(tree, percent)) {
                    changed.push((tree, percent));
                }
            }
        }
        changed
    }

    /// Makes what the commit `timestamp` changed (`own`: its transaction's snapshot) the newest definitions.
    /// To be called before anybody who waits for the transaction's locks trusts an older snapshot.
    pub fn publish(&self, timestamp: Lsn, own: &CatalogSnapshot) {
        let _publishing = self.publishing.lock();
        let before = self.current();
        let mut next = (*before).clone();
        for change in own.changes() {
            if let CatalogChange::PutTable(table) = change {
                mark_new_trees(&before, table, timestamp);
            }
            next = next.with_change(change.clone());
        }
        *self.current.write() = Arc::new(next.committed());
    }

    /// Writes a new or changed definition, with its names.
    /// # Errors
    /// `42P07` when somebody else made a relation of one of its names; `40P01`, `57014` while locking; `53200`.
    pub fn write_table(&self, transaction: &mut Transaction, table: &TableDefinition) -> Result<()> {
        // What is not finished is gone after a crash.
        let finished = table.without_unfinished();
        let table = finished.as_ref().unwrap_or(table);
        let old: Option<TableDefinition> = Family::TABLE.read(transaction, table.id)?;
        let old_names = old.as_ref().map(names_of).unwrap_or_default();
        change_names(transaction, table.id, &old_names, &names_of(table))?;
        Family::TABLE.write(transaction, table.id, table)
    }

    /// Removes a definition with its names and statistics.
    /// # Errors
    /// As [`Catalog::write_table`].
    pub fn remove_table(&self, transaction: &mut Transaction, table: &TableDefinition) -> Result<()> {
        change_names(transaction, table.id, &names_of(table), &[])?;
        Family::STATISTICS.remove(transaction, table.id)?;
        Family::TABLE.remove(transaction, table.id)
    }

    /// Writes a new or changed view, with its name.
    /// # Errors
    /// As [`Catalog::write_table`].
    pub fn write_view(&self, transaction: &mut Transaction, view: &ViewDefinition) -> Result<()> {
        let old: Option<ViewDefinition> = Family::VIEW.read(transaction, view.id)?;
        let old_names: Vec<&str> = old.iter().map(|view| view.name.as_str()).collect();
        change_names(transaction, view.id, &old_names, &[&view.name])?;
        Family::VIEW.write(transaction, view.id, view)
    }

    /// Removes a view with its name.
    /// # Errors
    /// As [`Catalog::write_table`].
    pub fn remove_view(&self, transaction: &mut Transaction, view: &ViewDefinition) -> Result<()> {
        change_names(transaction, view.id, &[&view.name], &[])?;
        Family::VIEW.remove(transaction, view.id)
    }

    /// Writes a new or changed sequence, with its name.
    /// # Errors
    /// As [`Catalog::write_table`].
    pub fn write_sequence(&self, transaction: &mut Transaction, sequence: &SequenceDefinition) -> Result<()> {
        let old: Option<SequenceDefinition> = Family::SEQUENCE.read(transaction, sequence.id)?;
        let old_names: Vec<&str> = old.iter().map(|sequence| sequence.name.as_str()).collect();
        change_names(transaction, sequence.id, &old_names, &[&sequence.name])?;
        Family::SEQUENCE.write(transaction, sequence.id, sequence)
    }

    /// Removes a sequence with its name.
    /// # Errors
    /// As [`Catalog::write_table`].
    pub fn remove_sequence(
        &self,
        transaction: &mut Transaction,
        sequence: &SequenceDefinition,
    ) -> Result<()> {
        change_names(transaction, sequence.id, &[&sequence.name], &[])?;
        Family::SEQUENCE.remove(transaction, sequence.id)
    }

    /// Writes what ANALYZE found of a table.
    /// # Errors
    /// `53200`.
    pub fn write_statistics(
        &self,
        transaction: &mut Transaction,
        table: ObjectId,
        statistics: &TableStatistics,
    ) -> Result<()> {
        Family::STATISTICS.write(transaction, table, statistics)
    }

    /// Notes that a tree belongs to an index that is being filled beside writers: a crash leaves nothing but this note
    /// and the tree, and both go when the file is opened.
    /// # Errors
    /// `53200`.
    pub fn note_unfinished(&self, transaction: &mut Transaction, tree: TreeId) -> Result<()> {
        transaction.put(COUNTER_TREE, &unfinished_key(tree), &[1])
    }

    /// Takes such a note back: the index is finished, or its tree goes with the same transaction.
    /// # Errors
    /// `53200`.
    pub fn forget_unfinished(&self, transaction: &mut Transaction, tree: TreeId) -> Result<()> {
        transaction.delete(COUNTER_TREE, &unfinished_key(tree))
    }

    /// Drops trees of which there are such notes, in a transaction of its own. Nobody has a plan with them any more.
    /// # Errors
    /// `53100`, `53200`, `58030`, `XX001`.
    pub fn drop_unfinished(&self, manager: &Arc<TransactionManager>, trees: &[TreeId]) -> Result<()> {
        let mut transaction = manager.begin(IsolationLevel::ReadCommitted, false, CancelToken::default());
        transaction.start_statement()?;
        for tree in trees {
            if manager.storage().tree(*tree).is_ok() {
                transaction.drop_tree(*tree)?;
            }
            self.forget_unfinished(&mut transaction, *tree)?;
        }
        transaction.end_statement();
        transaction.commit_unawaited().map(drop)
    }

    /// Removes what a crash has left of indexes that were being filled, or about to go.
    /// # Errors
    /// `53100`, `53200`, `58030`, `XX001`.
    pub fn remove_unfinished(&self, manager: &Arc<TransactionManager>) -> Result<()> {
        let mut transaction = manager.begin(IsolationLevel::ReadCommitted, false, CancelToken::default());
        transaction.start_statement()?;
        let trees = unfinished_trees(&transaction)?;
        if trees.is_empty() {
            transaction.end_statement();
            transaction.rollback();
            return Ok(());
        }
        let catalog = self.current();
        for tree in trees {
            let mut indexes = catalog.tables().flat_map(|table| &table.layout.indexes);
            let is_used = indexes.any(|index| index.tree == tree);
            // It went with its table otherwise.
            if !is_used && manager.storage().tree(tree).is_ok() {
                transaction.drop_tree(tree)?;
            }
            self.forget_unfinished(&mut transaction, tree)?;
        }
        transaction.end_statement();
        transaction.commit_unawaited().map(drop)
    }

    /// A number that no object has or had.
    /// # Errors
    /// `54000` when they are used up; `53200`.
    pub fn next_object_id(&self, transaction: &mut Transaction) -> Result<ObjectId> {
        // PostgreSQL's user objects begin at 16384; clients know it.
        let id = self.object_ids.next(|| Ok(read_counter(transaction, &OBJECT_COUNTER_KEY)?.max(16_383)))?;
        transaction.max(COUNTER_TREE, &OBJECT_COUNTER_KEY, id)?;
        u32::try_from(id).map(ObjectId).map_err(|_| {
            Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the database has used up its object numbers") //
        })
    }
}

/// The trees of indexes that are being filled, or about to go, as the statement's snapshot has them: no stored definition
/// names them.
/// # Errors
/// `58030`, `XX001`.
pub fn unfinished_trees(transaction: &Transaction) -> Result<Vec<TreeId>> {
    let handle = transaction.tree_handle(COUNTER_TREE)?;
    let (lower, upper) = ([UNFINISHED], [UNFINISHED + 1]);
    let mut scan = transaction.scan(&handle, Bound::Included(&lower[..]), Bound::Excluded(&upper[..]), false);
    let mut trees = Vec::new();
    let mut key = Vec::new();
    let mut add = |key: &[u8]| {
        trees.extend(key.get(1..5).and_then(|tree| tree.first_chunk()).copied().map(u32::from_be_bytes));
    };
    while scan
        .next(transaction, |rows| {
            for index in (0..rows.len()).filter(|index| rows.is_live(*index)) {
                rows.key_into(index, &mut key);
                add(&key);
            }
        })?
        .is_some()
    {}
    Ok(trees.into_iter().map(TreeId).collect())
}

fn unfinished_key(tree: TreeId) -> [u8; 5] {
    let mut key = [UNFINISHED; 5];
    key[1..].copy_from_slice(&tree.0.to_be_bytes());
    key
}

/// Older snapshots do not see the entries of an index that a table got later, nor rows that were written anew.
fn mark_new_trees(before: &CatalogSnapshot, table: &TableDefinition, timestamp: Lsn) {
    let Some(old) = before.table_by_id(table.id) else { return };
    if old.layout.tree != table.layout.tree {
        table.layout.runtime.set_readable_from(timestamp);
    }
    for index in &table.layout.indexes {
        let is_known = |known: &IndexLayout| known.tree == index.tree && !known.runtime.is_filling();
        // Who fills one beside writers knows better from when on it is whole.
        if index.runtime.usable_from() == Lsn::ZERO && !old.layout.indexes.iter().any(is_known) {
            index.runtime.set_usable_from(timestamp);
        }
    }
}

pub(super) fn names_of(table: &TableDefinition) -> Vec<&str> {
    let indexes = table.indexes.iter().map(|index| index.name.as_str());
    std::iter::once(table.name.as_str()).chain(indexes).collect()
}

fn name_key(name: &str) -> Vec<u8> {
    let mut key = vec![NAME];
    key.extend_from_slice(name.as_bytes());
    key
}

/// Takes the names that are new, gives back those that are gone.
pub(super) fn change_names(
    transaction: &mut Transaction,
    owner: ObjectId,
    old: &[&str],
    new: &[&str],
) -> Result<()> {
    for name in old.iter().filter(|name| !new.contains(name)) {
        transaction.lock_row(CATALOG_TREE, &name_key(name), RowLockMode::Update)?;
        transaction.delete(CATALOG_TREE, &name_key(name))?;
    }
    for name in new.iter().filter(|name| !old.contains(name)) {
        take_name(transaction, name, owner)?;
    }
    Ok(())
}

fn take_name(transaction: &mut Transaction, name: &str, owner: ObjectId) -> Result<()> {
    let key = name_key(name);
    transaction.lock_row(CATALOG_TREE, &key, RowLockMode::Update)?;
    let tree = transaction.tree_handle(CATALOG_TREE)?;
    if transaction.get(&tree, &key, ReadView::Latest, |value| value.is_some())? {
        return Err(Error::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists")));
    }
    transaction.put(CATALOG_TREE, &key, &owner.0.to_be_bytes())
}

/// Refuses entries whose first key byte means nothing to this version: what a newer one keeps there must hold too.
fn refuse_unknown_kinds(transaction: &Transaction) -> Result<()> {
    let tree = transaction.tree_handle(CATALOG_TREE)?;
    let (table, view) = (Family::TABLE.first_byte, Family::VIEW.first_byte);
    let mut known = [NAME, table, view, Family::SEQUENCE.first_byte, Family::STATISTICS.first_byte];
    known.sort_unstable();
    let mut lower = 0;
    for kind in known.into_iter().map(Some).chain([None]) {
        let from = [lower];
        let to = kind.map(|kind| [kind]);
        let upper = to.as_ref().map_or(Bound::Unbounded, |to| Bound::Excluded(&to[..]));
        let mut scan = transaction.scan(&tree, Bound::Included(&from[..]), upper, false);
        let (mut key, mut unknown) = (Vec::new(), None);
        while unknown.is_none()
            && scan
                .next(transaction, |rows| {
                    if let Some(index) = (0..rows.len()).find(|index| rows.is_live(*index)) {
                        rows.key_into(index, &mut key);
                        unknown = key.first().copied();
                    }
                })?
                .is_some()
        {}
        if let Some(unknown) = unknown {
            let shown = char::from(unknown).escape_default();
            return Err(Error::not_supported(format!("catalog entry of kind '{shown}'"))
                .hint("Open the database with a newer version of Lumos."));
        }
        lower = kind.map_or(0, |kind| kind + 1);
    }
    Ok(())
}

fn read_definitions(transaction: &Transaction) -> Result<CatalogSnapshot> {
    refuse_unknown_kinds(transaction)?;
    let mut snapshot = CatalogSnapshot::empty();
    Family::TABLE.read_all(transaction, |_, table| {
        snapshot = snapshot.with_table(Arc::new(table));
    })?;
    Family::VIEW.read_all(transaction, |_, view| {
        snapshot = snapshot.with_view(Arc::new(view));
    })?;
    Family::SEQUENCE.read_all(transaction, |_, sequence| {
        snapshot = snapshot.with_sequence(Arc::new(sequence));
    })?;
    Family::STATISTICS.read_all(transaction, |table, statistics| {
        snapshot = snapshot.with_statistics(table, Arc::new(statistics));
    })?;
    Ok(snapshot.committed())
}

//! Writing every row that can still be read of a damaged file into a new one, and saying what is lost.
//! Knows storage, catalog and tables. Changes nothing in the damaged file.
//!
//! Leaves are found block by block ([`Salvage`]), copied tree by tree under their numbers, and what a log that can be
//! read adds is redone over them. Then the definitions say which trees are rows: rows whose large values are gone, or
//! that are no rows, go; indexes are made anew; and the catalog is written with what could be read of it.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::table_definition::TableDefinition;
use crate::catalog::verify::{broken_foreign_keys, read_definitions, write_definitions};
use crate::common::cancel::CancelToken;
use crate::common::clock::SystemClock;
use crate::common::ids::{CATALOG_TREE, COUNTER_TREE, Lsn, RowId, TransactionId, TreeId};
use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::instance::log_folder;
use crate::database::new_file::NewFile;
use crate::database::options::DatabaseOptions;
use crate::database::verify::TreeNames;
use crate::durability::manager::DurabilityManager;
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::io::os::OsVfs;
use crate::io::overlay::OverlayVfs;
use crate::io::vfs::{LockOutcome, OpenMode, Vfs};
use crate::session;
use crate::storage::salvage::{FoundTree, Salvage, nothing_to_salvage};
use crate::storage::{FIRST_USER_TREE, Finding};
use crate::table::computed::ComputeValues;
use crate::table::index::{Uniqueness, append_entry_key};
use crate::table::key::{row_id_key, row_id_of_key};
use crate::table::row::RowView;
use crate::table::value_tree::{self, value_id_of_key};
use crate::table::verify::{computed_values, datum_at};
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, ReadView};
use crate::wal::manager::LogOptions;
use crate::wal::recovery::{CheckpointPosition, recover};
use crate::wal::segment::list_segments;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

/// Entries that are put at once.
const BATCH_ENTRIES: usize = 500;

/// What a salvage wrote and what it could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Tables in the new file.
    pub tables: u64,
    /// Rows in the new file.
    pub rows: u64,
    /// Rows known to be lost: counted by the last checkpoint but not found, or found and not readable.
    pub rows_lost: u64,
    /// Damage met.
    pub findings: u64,
}

impl Database {
    /// Writes every readable row of the file `source` to the new file `target`; `report` gets a line for each damage
    /// and each loss, and one for each table. Reads `source` only; of its log what is whole.
    /// # Errors
    /// `XX001` when no definition of a table can be read; `55006` when a process has `source` open for writing;
    /// `42710` when `target` exists; `58P01`, `42501`, `53100`, `58030`. `target` is then not there.
    pub fn salvage(
        source: &Path,
        target: &Path,
        options: DatabaseOptions,
        report: &mut dyn FnMut(&str),
    ) -> Result<Salvaged> {
        let vfs: Arc<dyn Vfs> = options.vfs.clone().unwrap_or_else(|| Arc::new(OsVfs::new()));
        let source = vfs.canonical(source)?;
        let name = source.display().to_string();
        let file = vfs.open(&source, OpenMode::ReadOnly)?;
        if let LockOutcome::HeldBy(process) = file.try_lock_shared()? {
            let by = process.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
            return Err(Error::new(
                SqlState::OBJECT_IN_USE,
                format!("database \"{name}\" is in use by {by}"),
            ));
        }
        let mut damage = Vec::new();
        let found = Salvage::open(file, &name, &mut |finding| damage.push(finding))?;
        let mut work = Work {
            file: NewFile::create(Arc::clone(&vfs), target, found.page_size())?,
            found: &found,
            counts: found.counts()?,
            damage,
            notes: Vec::new(),
            end: found.newest().max(Lsn(1)),
            done: Salvaged::default(),
            stand_ins: HashMap::new(),
        };
        work.copy_trees()?;
        work.redo_log(&vfs, &source)?;
        work.rebuild(&name, report)
    }
}

struct Work<'a> {
    file: NewFile,
    found: &'a Salvage,
    /// Entries at the last checkpoint.
    counts: HashMap<TreeId, u64>,
    damage: Vec<Finding>,
    notes: Vec<String>,
    /// No change in the new file is newer.
    end: Lsn,
    done: Salvaged,
    /// What was found of each tree: leaves that stand in for others, ranges without any.
    stand_ins: HashMap<TreeId, (u64, u64)>,
}

type Entries = Vec<(Vec<u8>, Option<Vec<u8>>)>;

impl Work<'_> {
    /// Every tree that leaves were found of, under its number.
    fn copy_trees(&mut self) -> Result<()> {
        for tree in self.found.trees() {
            let parts: FoundTree = self.found.tree(tree);
            self.stand_ins.insert(tree, (parts.older_leaves, parts.gaps));
            if tree >= FIRST_USER_TREE {
                self.file.create_tree(tree, Lsn(1))?;
            } else if tree != CATALOG_TREE && tree != COUNTER_TREE {
                continue;
            }
            let mut entries: Entries = Vec::new();
            let (file, found) = (&self.file, self.found);
            found.entries(&parts, &mut |key, value| {
                entries.push((key.to_vec(), Some(value.to_vec())));
                if entries.len() < BATCH_ENTRIES {
                    return Ok(());
                }
                file.put(tree, &entries, Lsn(1))?;
                entries.clear();
                Ok(())
            })?;
            file.put(tree, &entries, Lsn(1))?;
        }
        Ok(())
    }

    /// What the log adds, where it is whole. It is read through an overlay: recovery would write.
    fn redo_log(&mut self, vfs: &Arc<dyn Vfs>, source: &Path) -> Result<()> {
        let folder = log_folder(source);
        let Some(database) = self.found.database() else {
            if !vfs.list_folder(&folder)?.is_empty() {
                self.notes.push(
                    "the log is left out: neither header nor slot says which database it is of".to_owned(),
                );
            }
            return Ok(());
        };
        let overlay: Arc<dyn Vfs> = Arc::new(OverlayVfs::new(Arc::clone(vfs), Arc::clone(&self.file.memory)));
        let segments = list_segments(&overlay, &folder, database, OpenMode::ReadOnly);
        let first = match &segments {
            Ok((segments, _)) => segments.first().map(|segment| segment.header.start),
            Err(_) => None,
        };
        let position = match (self.found.checkpoint(), first) {
            (Some(checkpoint), _) => CheckpointPosition {
                redo: checkpoint.redo_lsn,
                cut: checkpoint.cut_lsn,
                clean: checkpoint.clean,
            },
            (None, Some(first)) => CheckpointPosition { redo: first, cut: first, clean: false },
            (None, None) => return Ok(()),
        };
        let options = LogOptions {
            vfs: overlay,
            folder,
            database,
            timeline: 1,
            first_segment_bytes: 1 << 16,
            segment_bytes_max: 1 << 16,
            volatile: false,
            salt_seed: 0,
        };
        let storage = Arc::clone(self.file.storage());
        match recover(options, position, &mut storage.redo()) {
            Ok((recovered, _)) => self.end = self.end.max(recovered.end),
            Err(error) if error.state() == SqlState::DATA_CORRUPTED => {
                self.notes.push(format!("what the log held is lost: {error}"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Tables, indexes and catalog over what was copied.
    fn rebuild(mut self, name: &str, report: &mut dyn FnMut(&str)) -> Result<Salvaged> {
        let log = self.file.log(self.end)?;
        let clock = Arc::new(SystemClock::new());
        let durability = Arc::new(DurabilityManager::new(Arc::clone(&log), clock.clone()));
        let storage = Arc::clone(self.file.storage());
        let memory = Arc::clone(&self.file.memory);
        let manager = TransactionManager::new(
            storage,
            Arc::clone(&log),
            durability,
            memory,
            clock,
            TransactionId(1),
            self.end,
        );
        let mut lost = Vec::new();
        let mut transaction = begin(&manager)?;
        let mut definitions =
            read_definitions(&transaction, &mut |what| lost.push(Finding::in_tree(CATALOG_TREE, what)))?;
        for (table, key, what) in broken_foreign_keys(&definitions) {
            lost.push(Finding::in_tree(CATALOG_TREE, what));
            if let Some(table) = definitions.table_by_id(table) {
                definitions = definitions.with_table(Arc::new(table.without_foreign_key(key)));
            }
        }
        transaction.end_statement();
        transaction.rollback();
        if self.stand_ins.get(&CATALOG_TREE).is_some_and(|(older, gaps)| older + gaps > 0) {
            lost.push(Finding::in_tree(
                CATALOG_TREE,
                "definitions in a damaged page are lost, or replaced by older ones",
            ));
        }
        self.damage.extend(lost);
        let names = TreeNames::of(&definitions);
        for finding in &self.damage {
            report(&names.line(name, finding));
        }
        self.notes.iter().for_each(|note| report(note));
        self.done.findings = self.damage.len() as u64;
        if definitions.tables().next().is_none() && !self.damage.is_empty() {
            return Err(nothing_to_salvage(name));
        }
        self.keep_only(&definitions)?;
        for table in definitions.tables() {
            let line = self.table(&manager, table)?;
            report(&line);
        }
        self.write_catalog(&manager, &definitions)?;
        drop(manager);
        let done = self.done;
        self.file.finish(&log, TransactionId(1 << 20))?;
        report(&format!(
            "wrote {} rows of {} tables; {} rows are known to be lost; {} blocks looked at",
            done.rows,
            done.tables,
            done.rows_lost,
            self.found.blocks()
        ));
        Ok(done)
    }

    /// Trees of rows and large values stay, those of indexes become empty, all others go.
    fn keep_only(&self, definitions: &CatalogSnapshot) -> Result<()> {
        let mut kept = HashSet::new();
        let mut indexes = HashSet::new();
        for table in definitions.tables() {
            kept.extend([table.layout.tree, table.layout.value_tree]);
            indexes.extend(table.layout.indexes.iter().map(|index| index.tree));
        }
        for tree in self.found.trees().into_iter().filter(|tree| *tree >= FIRST_USER_TREE) {
            if !kept.contains(&tree) && !indexes.contains(&tree) {
                self.file.drop_tree(tree, self.end)?;
            }
        }
        for tree in indexes {
            self.file.create_tree(tree, self.end)?;
        }
        for tree in kept {
            if self.file.storage().tree(tree).is_err() {
                self.file.create_tree(tree, self.end)?;
            }
        }
        Ok(())
    }

    /// Makes the indexes of a table from its rows; what cannot stay goes. Gives the line about it.
    fn table(&mut self, manager: &Arc<TransactionManager>, table: &TableDefinition) -> Result<String> {
        let layout = &table.layout;
        let computed = session::computed_values(table)?;
        let mut transaction = begin(manager)?;
        let rows = transaction.tree_handle(layout.tree)?;
        let mut scan = transaction.scan(&rows, Bound::Unbounded, Bound::Unbounded, false);
        let mut pointed: HashSet<u64> = HashSet::new();
        let (mut kept, mut unreadable) = (0, 0);
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        loop {
            found.clear();
            let more = scan.next(&transaction, |rows| {
                for index in (0..rows.len()).filter(|index| rows.is_live(*index)) {
                    let mut key = Vec::new();
                    rows.key_into(index, &mut key);
                    found.push((key, rows.value(index).to_vec()));
                }
            })?;
            if more.is_none() {
                break;
            }
            let mut entries: BTreeMap<TreeId, BTreeMap<Vec<u8>, Vec<u8>>> = BTreeMap::new();
            let mut gone: Entries = Vec::new();
            for (key, bytes) in &found {
                let row = row_id_of_key(key);
                match row
                    .map(|row| self.row(&transaction, table, &computed, row, bytes, &mut entries))
                    .transpose()?
                {
                    Some(Some(values)) => {
                        pointed.extend(values);
                        kept += 1;
                    }
                    _ => {
                        unreadable += 1;
                        gone.push((key.clone(), None));
                    }
                }
            }
            for (tree, entries) in entries {
                let entries: Entries = entries.into_iter().map(|(key, row)| (key, Some(row))).collect();
                self.file.put(tree, &entries, self.end)?;
            }
            self.file.put(layout.tree, &gone, self.end)?;
        }
        self.drop_values(&transaction, layout.value_tree, &pointed)?;
        transaction.end_statement();
        transaction.rollback();
        let counted = self.counts.get(&layout.tree).copied();
        let (older, gaps) = self.stand_ins.get(&layout.tree).copied().unwrap_or((0, 1));
        let missing = counted.unwrap_or(0).saturating_sub(kept + unreadable);
        self.done.tables += 1;
        self.done.rows += kept;
        self.done.rows_lost += unreadable + missing;
        let mut line = format!("table \"{}\": {kept} rows written", table.name);
        if unreadable > 0 {
            line.push_str(&format!(", {unreadable} that cannot be read left out"));
        }
        if missing > 0 {
            line.push_str(&format!(
                ", {missing} of {} counted by the last checkpoint not found",
                counted.unwrap_or(0)
            ));
        }
        if gaps > 0 {
            line.push_str(&format!(", {gaps} ranges of keys without a readable page"));
        }
        if older > 0 {
            line.push_str(&format!(", {older} pages replaced by older ones: their rows may be out of date"));
        }
        Ok(line)
    }

    /// The ids of a row's large values, after its entries were added; none when it cannot be read or would be a
    /// duplicate.
    fn row(
        &self,
        transaction: &Transaction,
        table: &TableDefinition,
        compute: &dyn ComputeValues,
        row: RowId,
        bytes: &[u8],
        entries: &mut BTreeMap<TreeId, BTreeMap<Vec<u8>, Vec<u8>>>,
    ) -> Result<Option<Vec<u64>>> {
        let (layout, format) = (&table.layout, table.layout.format());
        if format.check_deeply(bytes).is_err() {
            return Ok(None);
        }
        let values = transaction.tree_handle(layout.value_tree)?;
        let (mut large, mut ids) = (Vec::new(), Vec::new());
        for (column, pointer) in format.large_pointers(bytes) {
            match value_tree::read(transaction, &values, pointer, ReadView::Snapshot) {
                Ok(value) => large.push((column, value)),
                Err(error) if error.state() == SqlState::DATA_CORRUPTED => return Ok(None),
                Err(error) => return Err(error),
            }
            ids.push(pointer.value_id);
        }
        let view = RowView::new(format, bytes, &large)?;
        let mut keys = Vec::new();
        for (position, index) in layout.indexes.iter().enumerate() {
            let mut key = Vec::new();
            // An expression that fails for a row could not have been indexed: the row is damaged.
            let Ok(computed) = computed_values(layout, Some(compute), position, &view) else {
                return Ok(None);
            };
            let value = |position: usize| datum_at(layout, &view, &computed, position);
            let uniqueness = append_entry_key(&mut key, layout, index, value, row, usize::MAX)?;
            if uniqueness == Uniqueness::NoEntry {
                continue;
            }
            if uniqueness == Uniqueness::Unique {
                let taken = entries.get(&index.tree).is_some_and(|entries| entries.contains_key(&key))
                    || self.file.storage().tree(index.tree)?.get(&key, |entry, _| entry.is_some())?;
                if taken {
                    return Ok(None);
                }
            }
            keys.push((index.tree, key));
        }
        for (tree, key) in keys {
            entries.entry(tree).or_default().insert(key, row_id_key(row).to_vec());
        }
        Ok(Some(ids))
    }

    /// Pieces that no row points to go.
    fn drop_values(&self, transaction: &Transaction, tree: TreeId, pointed: &HashSet<u64>) -> Result<()> {
        let values = transaction.tree_handle(tree)?;
        let mut scan = transaction.scan(&values, Bound::Unbounded, Bound::Unbounded, false);
        loop {
            let mut gone: Entries = Vec::new();
            let more = scan.next(transaction, |rows| {
                for index in (0..rows.len()).filter(|index| rows.is_live(*index)) {
                    let mut key = Vec::new();
                    rows.key_into(index, &mut key);
                    if !value_id_of_key(&key).is_some_and(|id| pointed.contains(&id)) {
                        gone.push((key, None));
                    }
                }
            })?;
            if more.is_none() {
                return Ok(());
            }
            self.file.put(tree, &gone, self.end)?;
        }
    }

    /// The catalog holds what could be read of it, and nothing else.
    fn write_catalog(&self, manager: &Arc<TransactionManager>, definitions: &CatalogSnapshot) -> Result<()> {
        let mut transaction = begin(manager)?;
        self.drop_values(&transaction, CATALOG_TREE, &HashSet::new())?;
        transaction.next_command();
        write_definitions(&mut transaction, definitions)?;
        transaction.end_statement();
        transaction.commit(Durability::Off).map(drop)
    }
}

fn begin(manager: &Arc<TransactionManager>) -> Result<Transaction> {
    let mut transaction = manager.begin(IsolationLevel::ReadCommitted, false, CancelToken::default());
    transaction.start_statement()?;
    Ok(transaction)
}

//! Copying one snapshot of a database into a new file while writers go on: every tree that the snapshot's definitions
//! name, entry by entry, so that each page is checked on the way and the copy has no free space.
//! Knows storage, transactions and catalog. Knows no SQL.

use crate::catalog::snapshot::CatalogSnapshot;
use crate::catalog::verify::read_definitions;
use crate::common::cancel::CancelToken;
use crate::common::ids::{CATALOG_TREE, COUNTER_TREE, Lsn, TransactionId, TreeId};
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::instance::Opened;
use crate::database::new_file::{MEMORY_BYTES, NewFile};
use crate::error::{Error, Result, SqlState};
use crate::io::memory::MemoryVfs;
use crate::io::os::OsVfs;
use crate::io::vfs::{File, OpenMode, Vfs};
use crate::session::engine::Engine;
use crate::storage::FIRST_USER_TREE;
use crate::transaction::scan::TransactionScan;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, TableLockMode};
use std::collections::VecDeque;
use std::ops::Bound;
use std::path::Path;

/// Snapshots tried before tables that come and go make a backup give up.
const SNAPSHOTS_MAX: usize = 20;

/// A backup under way. Belongs to one thread at a time; dropped before its end, it leaves no file.
#[derive(Debug)]
pub struct Backup {
    /// Before `database`: it is rolled back while there is one.
    transaction: Option<Transaction>,
    file: Option<NewFile>,
    snapshot: Lsn,
    /// Those to come, and how far their pages are to be filled.
    trees: VecDeque<(TreeId, Option<u8>)>,
    current: Option<(TreeId, TransactionScan)>,
    pages_total: u64,
    pages_done: u64,
    _memory: Reservation,
    /// Keeps what the transaction reads.
    _opened: Opened,
}

impl Database {
    /// Writes one snapshot of the database to a new file, while others read and write. See [`Database::backup_start`].
    /// # Errors
    /// As [`Database::backup_start`] and [`Backup::step`].
    pub fn backup(self: &Arc<Self>, target: &Path) -> Result<()> {
        let mut backup = self.backup_start(target)?;
        while !backup.step(u32::MAX)? {}
        Ok(())
    }

    /// Begins a backup of what is committed now. Tables of it cannot be dropped or rewritten until it ends.
    /// # Errors
    /// `42710` when `target` exists; `55000` when a log folder of another database lies beside it; `55006` when
    /// another backup is writing it; `53100`, `53200`, `58030`, `42501`; `XX001` for damage.
    pub fn backup_start(self: &Arc<Self>, target: &Path) -> Result<Backup> {
        let opened = self.opened();
        // Files go where the database's are; those of a database in memory to the operating system's.
        let vfs = opened.instance.files.clone().unwrap_or_else(|| Arc::new(OsVfs::new()));
        Backup::start(opened, vfs, target)
    }

    /// One snapshot of the whole database as the bytes of a file, for [`Database::deserialize`]; others read and write
    /// meanwhile.
    /// # Errors
    /// As [`Database::backup_start`] and [`Backup::step`]; `53200` when it does not fit into the memory limit.
    pub fn serialize(self: &Arc<Self>) -> Result<Image> {
        let opened = self.opened();
        let mut memory = opened.engine.memory.reservation();
        let figures = opened.instance.storage.statistics();
        memory.grow((figures.blocks_used * figures.page_size) as usize)?;
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let path = Path::new("image");
        let mut backup = Backup::start(opened, Arc::clone(&vfs), path)?;
        while !backup.step(u32::MAX)? {}
        let file = vfs.open(path, OpenMode::ReadOnly)?;
        let length = file.size()? as usize;
        memory.grow(length.saturating_sub(memory.bytes()))?;
        Ok(Image { file, length, _memory: memory })
    }
}

/// A database as bytes.
#[derive(Debug)]
pub struct Image {
    file: Arc<dyn File>,
    length: usize,
    _memory: Reservation,
}

impl Image {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.length
    }

    /// It never is: a database without tables has headers.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies it to `buffer`, which has its length.
    /// # Errors
    /// `XX000` for another length.
    pub fn copy_to(&self, buffer: &mut [u8]) -> Result<()> {
        if buffer.len() != self.length || self.file.read_at(buffer, 0)? != self.length {
            return Err(Error::internal("a buffer has another length than the image for it"));
        }
        Ok(())
    }
}

impl Backup {
    fn start(opened: Opened, vfs: Arc<dyn Vfs>, target: &Path) -> Result<Backup> {
        let mut memory = opened.engine.memory.reservation();
        memory.grow(MEMORY_BYTES)?;
        let (transaction, definitions) = snapshot_of_tables(&opened.engine)?;
        let mut trees = VecDeque::from([(CATALOG_TREE, None), (COUNTER_TREE, None)]);
        for table in definitions.tables() {
            trees.push_back((table.layout.value_tree, None));
            trees.extend(table.layout.fill_percents());
        }
        let storage = &opened.instance.storage;
        let file = NewFile::create(vfs, target, storage.page_size())?;
        Ok(Backup {
            snapshot: transaction.snapshot_timestamp(),
            transaction: Some(transaction),
            file: Some(file),
            trees,
            current: None,
            pages_total: storage.statistics().pages,
            pages_done: 0,
            _memory: memory,
            _opened: opened,
        })
    }
}

/// A snapshot whose tables are locked against being dropped.
fn snapshot_of_tables(engine: &Engine) -> Result<(Transaction, CatalogSnapshot)> {
    let manager = &engine.manager;
    for _ in 0..SNAPSHOTS_MAX {
        let mut transaction = manager.begin(IsolationLevel::RepeatableRead, true, CancelToken::default());
        transaction.start_statement()?;
        let mut damage = None;
        let definitions = read_definitions(&transaction, &mut |what| damage = Some(what))?;
        if let Some(damage) = damage {
            return Err(Error::new(SqlState::DATA_CORRUPTED, "the catalog is damaged").detail(damage));
        }
        for table in definitions.tables() {
            transaction.lock_table(table.id, TableLockMode::AccessShare)?;
        }
        // Dropped between the snapshot and the lock?
        let are_there = definitions.tables().all(|table| {
            let indexes = table.layout.indexes.iter().map(|index| index.tree);
            [table.layout.tree, table.layout.value_tree]
                .into_iter()
                .chain(indexes)
                .all(|tree| transaction.tree_handle(tree).is_ok())
        });
        if are_there {
            return Ok((transaction, definitions));
        }
        transaction.end_statement();
        transaction.rollback();
    }
    Err(Error::new(SqlState::LOCK_NOT_AVAILABLE, "tables are dropped faster than a backup can begin"))
}

impl Backup {
    /// Copies up to `pages` pages of the source; true: the file is whole, durable and has its name.
    /// # Errors
    /// `53100` when the disk is full, `58030`, `53200`, `XX001`, `72000`; the file is gone then.
    pub fn step(&mut self, pages: u32) -> Result<bool> {
        let stepped = self.copy(pages);
        if stepped.is_err() {
            self.end();
        }
        stepped
    }

    /// About how many pages are still to be copied, and how many there are.
    pub fn progress(&self) -> (u64, u64) {
        let remaining =
            if self.file.is_none() { 0 } else { self.pages_total.saturating_sub(self.pages_done).max(1) };
        (remaining, self.pages_total)
    }

    fn copy(&mut self, pages: u32) -> Result<bool> {
        let (Some(transaction), Some(file)) = (&self.transaction, &self.file) else { return Ok(true) };
        let mut entries: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
        for _ in 0..pages {
            if self.current.is_none() {
                let Some((tree, percent)) = self.trees.pop_front() else { return self.finish() };
                if tree >= FIRST_USER_TREE {
                    file.create_tree(tree, self.snapshot)?;
                    file.storage().set_fill_percent(tree, percent)?;
                }
                let handle = transaction.tree_handle(tree)?;
                let scan = transaction.scan(&handle, Bound::Unbounded, Bound::Unbounded, false);
                self.current = Some((tree, scan));
            }
            let Some((tree, scan)) = &mut self.current else { continue };
            entries.clear();
            let more = scan.next(transaction, |rows| {
                for index in (0..rows.len()).filter(|index| rows.is_live(*index)) {
                    let mut key = Vec::new();
                    rows.key_into(index, &mut key);
                    entries.push((key, Some(rows.value(index).to_vec())));
                }
            })?;
            if more.is_none() {
                self.current = None;
                continue;
            }
            self.pages_done += 1;
            file.put(*tree, &entries, self.snapshot)?;
        }
        Ok(false)
    }

    fn finish(&mut self) -> Result<bool> {
        if let Some(file) = self.file.take() {
            let log = file.log(self.snapshot)?;
            file.finish(&log, TransactionId(1))?;
        }
        self.end();
        Ok(true)
    }

    fn end(&mut self) {
        self.current = None;
        self.file = None;
        if let Some(mut transaction) = self.transaction.take() {
            transaction.end_statement();
            transaction.rollback();
        }
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        self.end();
    }
}

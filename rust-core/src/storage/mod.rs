//! Pages, trees and checkpoints: one database file that always holds a whole state of some past moment.
//! Knows bytes, trees and log positions. Knows nothing of rows, snapshots or SQL.
//!
//! ```text
//! Tree (get, apply, visit)  ──▶  BufferPool (frames, latches, eviction)  ──▶  io::File
//!        │                            │              │
//!   page (slotted node)          PageMap        FreeSpace (blocks)
//!                              page -> block
//! ```
//! Changes reach pages only through [`Tree::apply`] and the tree operations here, under a ticket of the
//! [`ApplyGate`]. A page is written to a fresh block, never over one that the durable checkpoint names; so the
//! file always holds the last checkpoint, and [`Storage::redo`] brings the rest from the log.

mod beside_writer;
mod btree;
mod buffer_pool;
pub mod bulk;
mod checkpoint;
mod checkpoint_counters;
mod free_space;
mod gate;
mod header;
mod page;
mod page_map;
pub mod probe;
mod redo;
mod reservation;
mod retained;
pub mod salvage;
pub mod sorted_run;
mod tree;
mod turn;
mod vacuum;
mod verify;

#[cfg(test)]
mod tests;

pub use beside_writer::BesideWriter;
pub use btree::cursor::{LeafView, TreeCursor};
pub use checkpoint::{Checkpoint, CheckpointStep};
pub use gate::{ApplyGate, ApplyTicket};
pub use header::CheckpointRecord;
pub use reservation::{ApplyEstimate, ApplyReservation, ChangeSize, ChangeSurvey};
pub use tree::{Before, Change, Entry, Tree, VersionSink};
pub use vacuum::TreeSpace;
pub use verify::{Finding, Verified};

use crate::common::ids::{CATALOG_TREE, COUNTER_TREE, Lsn, PageId, TransactionId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::common::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::common::sync::{Arc, Mutex, RwLock};
use crate::error::{Error, Result, SqlState};
use crate::io::temporary::TemporaryFiles;
use crate::io::vfs::{File, FileIdentity, LockOutcome, OpenMode, Vfs};
use crate::wal::recovery::Redo;
use buffer_pool::{BufferPool, PoolOptions};
use checkpoint_counters::CheckpointCounters;
use free_space::{BLOCKS_START_BYTES, FreeSpace};
use hashbrown::HashMap;
use header::{Slot, StaticHeader};
use page::NodeShape;
use page_map::{BlockRef, MAP_LEVELS_MAX, MapLevel};
use smallvec::SmallVec;
use sorted_run::SortedRuns;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use turn::Turns;

/// The tree that maps tree ids to root pages; kept by storage alone.
pub const DIRECTORY_TREE: TreeId = TreeId(1);
/// The first id that [`Storage::next_tree_id`] gives out.
pub const FIRST_USER_TREE: TreeId = TreeId(16);
const DIRECTORY_ROOT: PageId = PageId(1);
/// A checkpoint is wanted when so many hundredths of all frames are changed.
const DIRTY_PERCENT_WANTED: usize = 40;
/// But not for fewer bytes: a small pool writes changed pages when it needs their frames, and a checkpoint every few
/// hundred changes would cost more syncs than it saves.
const DIRTY_BYTES_WANTED_MIN: usize = 64 << 20;

/// How to make or open a database file.
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// File system.
    pub vfs: Arc<dyn Vfs>,
    /// Path of the database file.
    pub path: PathBuf,
    /// Bytes of a page; used at creation only. A power of two, 1 KiB (below 4 KiB for tests) to 32 KiB.
    pub page_size: usize,
    /// Where frames and tables are charged; its limit bounds the number of frames.
    pub memory: Arc<MemoryAccount>,
    /// The file is opened for reading and not locked; changes (redo) stay in memory.
    pub read_only: bool,
    /// Random bytes that name the database; used at creation only.
    pub database: [u8; 16],
}

/// Counters since the database was opened; the first six are states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageStatistics {
    /// Bytes of a page.
    pub page_size: u64,
    /// Pages in use.
    pub pages: u64,
    /// Blocks that the file has room for.
    pub blocks: u64,
    /// Blocks in use.
    pub blocks_used: u64,
    /// Frames that hold a page.
    pub frames: u64,
    /// Frames whose page changed since it was written.
    pub frames_dirty: u64,
    /// Pages found in memory. Exact for one thread, nearly so for many.
    pub hits: u64,
    /// Pages that had to be read.
    pub misses: u64,
    /// Reads from the file.
    pub reads: u64,
    /// Pages written to the file.
    pub writes: u64,
    /// Pages that made way for others.
    pub evictions: u64,
    /// Durable checkpoints written.
    pub checkpoints: u64,
    /// Pages as of the cut that went to the file while a checkpoint was being written, whoever wrote them.
    pub checkpoint_pages: u64,
    /// Bytes that checkpoints wrote themselves, pages and map.
    pub checkpoint_bytes: u64,
    /// Pages that writers saved in memory for a checkpoint before they changed them.
    pub checkpoint_images_saved: u64,
    /// Pages that writers wrote for a checkpoint, because there was no memory to save them in.
    pub checkpoint_images_written: u64,
    /// Pages that evictions wrote for a checkpoint.
    pub checkpoint_evictions: u64,
    /// Bytes read from the file.
    pub bytes_read: u64,
    /// Bytes written to the file, pages and map.
    pub bytes_written: u64,
    /// Blocks that are kept only because other processes read older checkpoints. A state.
    pub blocks_retained: u64,
}

/// The pages of one database. Threads: any.
pub struct Storage {
    pool: Arc<BufferPool>,
    gate: Arc<ApplyGate>,
    horizon: Arc<AtomicU64>,
    header: StaticHeader,
    directory: Arc<Tree>,
    trees: RwLock<HashMap<TreeId, Arc<Tree>>>,
    /// Held while a tree leaves the directory, and while its entry is changed: none comes back.
    dropping: Mutex<()>,
    next_tree: AtomicU32,
    /// The most that leaves of some tree leave free.
    spare_bytes_max: AtomicUsize,
    /// The last durable checkpoint.
    slot: Mutex<Slot>,
    /// It cut through commits: part of what they change is in the pages, the rest is in the log.
    cuts_through: AtomicBool,
    /// Opened beside a process that may be writing newer checkpoints.
    beside_writer: AtomicBool,
    /// Whoever writes the next one, or verifies this one, has the turn.
    turns: Turns,
    poison: OnceLock<Error>,
    checkpoint_counters: CheckpointCounters,
    sorted_runs: SortedRuns,
    read_only: bool,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("path", &self.pool.file_name()).finish_non_exhaustive()
    }
}

/// Attempts at the lock of a file, and the time between them: who opens it for reading has it for a moment.
const LOCK_ATTEMPTS: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

fn lock_file(file: &dyn File, name: &str) -> Result<()> {
    let mut holder = None;
    for attempt in 0..LOCK_ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(LOCK_PAUSE);
        }
        match file.try_lock()? {
            LockOutcome::Granted => return Ok(()),
            LockOutcome::HeldBy(process) => holder = process,
        }
    }
    let by = holder.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
    Err(Error::new(SqlState::OBJECT_IN_USE, format!("database \"{name}\" is in use by {by}")))
}

fn without_slot(name: &str) -> Error {
    Error::new(SqlState::DATA_CORRUPTED, format!("database \"{name}\" is damaged"))
        .detail("None of its checkpoint slots is valid.")
}

impl Storage {
    /// Makes a database file, empty but for its system trees, durably: a crash leaves no file or a whole one.
    /// It is built beside its place, under `NAME-new`, and renamed.
    /// # Errors
    /// `22023` for an impossible page size, `58P02`-like `42710` when the file exists, `55006` when somebody else
    /// is making it, `53100`, `58030`, `42501`.
    pub fn create(options: StorageOptions) -> Result<Arc<Storage>> {
        if !header::page_size_is_valid(options.page_size) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("page size {} is not a power of two from 1024 to 32768", options.page_size),
            ));
        }
        let name = options.path.display().to_string();
        let mut temporary = options.path.clone().into_os_string();
        temporary.push("-new");
        let temporary = PathBuf::from(temporary);
        let file = options.vfs.open(&temporary, OpenMode::CreateOrOpen)?;
        lock_file(&*file, &name)?;
        // Looked at under the lock: somebody else may have made the database just now.
        if options.vfs.exists(&options.path)? {
            options.vfs.remove(&temporary)?;
            return Err(Error::new(SqlState::DUPLICATE_OBJECT, format!("file \"{name}\" exists already")));
        }
        let made = Storage::build(&options, &file, name);
        let renamed = made.and_then(|storage| {
            options.vfs.rename(&temporary, &options.path)?;
            let folder = options.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            options.vfs.sync_folder(folder.unwrap_or(Path::new(".")))?;
            Ok(storage)
        });
        if renamed.is_err() {
            // The first error is the one to report.
            let _ = options.vfs.remove(&temporary);
        }
        renamed
    }

    fn build(options: &StorageOptions, file: &Arc<dyn File>, name: String) -> Result<Arc<Storage>> {
        file.set_size(0)?;
        file.allocate(BLOCKS_START_BYTES)?;
        let header = StaticHeader { page_size: options.page_size, database: options.database };
        file.write_at(&header.encode(), 0)?;
        let record = CheckpointRecord {
            generation: 0,
            cut_lsn: Lsn::ZERO,
            redo_lsn: Lsn::ZERO,
            clean: true,
            timeline: 1,
            database: options.database,
            next_transaction: TransactionId(1),
        };
        let slot = Slot {
            record,
            map_root: BlockRef::default(),
            map_levels: 0,
            page_count: 1,
            block_end: 0,
            next_tree: FIRST_USER_TREE,
        };
        let storage = Storage::assemble(options, Arc::clone(file), name, header, slot, BLOCKS_START_BYTES)?;
        for (tree, page) in
            [(DIRECTORY_TREE, DIRECTORY_ROOT), (CATALOG_TREE, PageId(2)), (COUNTER_TREE, PageId(3))]
        {
            let root = storage.make_root(tree, Lsn::ZERO)?;
            assert!(root == page, "a new map gives out page ids from 1 on");
        }
        for (tree, page) in [(CATALOG_TREE, PageId(2)), (COUNTER_TREE, PageId(3))] {
            storage.enter_root(tree, page, Lsn::ZERO)?;
        }
        let record = CheckpointRecord { generation: 1, ..record };
        if let Some(mut checkpoint) = storage.cut(None, |_| record)? {
            while checkpoint.step()? != CheckpointStep::Done {}
        }
        Ok(storage)
    }

    /// Opens the last checkpoint and makes sure that it is durable. Changes nothing, not even after a crash: replay
    /// the log with [`Storage::redo`], then checkpoint.
    /// # Errors
    /// `XX001`: not a database, cut off, damaged. `0A000`: made by a newer version. `55006`: in use.
    /// `58P01`, `42501`, `58030`, `53200`.
    pub fn open(options: StorageOptions) -> Result<Arc<Storage>> {
        let name = options.path.display().to_string();
        let mode = if options.read_only { OpenMode::ReadOnly } else { OpenMode::ReadWrite };
        let file = options.vfs.open(&options.path, mode)?;
        if !options.read_only {
            lock_file(&*file, &name)?;
        }
        let header = StaticHeader::read(&*file, &name)?;
        let Some(slot) = Slot::read_newest(&*file, &header.database)? else {
            return Err(without_slot(&name));
        };
        Storage::open_slot(&options, file, name, header, slot)
    }

    /// Opens this checkpoint of a file.
    fn open_slot(
        options: &StorageOptions,
        file: Arc<dyn File>,
        name: String,
        header: StaticHeader,
        slot: Slot,
    ) -> Result<Arc<Storage>> {
        let file_bytes = file.size()?;
        if file_bytes < u64::from(slot.block_end) * header.page_size as u64 {
            return Err(Error::new(SqlState::DATA_CORRUPTED, format!("database \"{name}\" is cut off"))
                .detail(format!("It ends at byte {file_bytes}, before the last block of its checkpoint.")));
        }
        let storage = Storage::assemble(options, file, name, header, slot, file_bytes)?;
        storage.read_map(&slot)?;
        if !options.read_only {
            // Before anything is written: a process may still read an older checkpoint.
            storage.pool.space.lock().keep_for_readers(slot.record.generation)?;
            // A process that was killed may have left this slot with the system only, or one of its copies old;
            // and a sync that failed may have lost it, though it reads well. Nothing may build on it before it
            // is on the disk: blocks that the slot before it names are free from now on.
            let file = storage.pool.file();
            slot.write(&**file)?;
            file.sync()?;
            storage.sorted_runs.files().remove_stale()?;
        }
        Ok(storage)
    }

    fn assemble(
        options: &StorageOptions,
        file: Arc<dyn File>,
        file_name: String,
        header: StaticHeader,
        slot: Slot,
        file_bytes: u64,
    ) -> Result<Arc<Storage>> {
        let space = FreeSpace::new(Arc::clone(&file), header.page_size, file_bytes);
        let temporary = TemporaryFiles::beside(Arc::clone(&options.vfs), &options.path);
        let pool = BufferPool::new(
            PoolOptions {
                file,
                file_name,
                page_size: header.page_size,
                memory: Arc::clone(&options.memory),
                read_only: options.read_only,
            },
            space,
        )?;
        pool.set_generation(slot.record.generation + 1);
        let gate = Arc::new(ApplyGate::default());
        // Snapshots of this process are never below the checkpoint: ghosts from before it are dead.
        let horizon = Arc::new(AtomicU64::new(slot.record.cut_lsn.0));
        let directory = Arc::new(Tree::new(
            DIRECTORY_TREE,
            DIRECTORY_ROOT,
            0,
            Arc::clone(&pool),
            Arc::clone(&gate),
            Arc::clone(&horizon),
        ));
        Ok(Arc::new(Storage {
            pool,
            gate,
            horizon,
            header,
            directory,
            trees: RwLock::new(HashMap::new()),
            dropping: Mutex::new(()),
            next_tree: AtomicU32::new(slot.next_tree.0.max(FIRST_USER_TREE.0)),
            spare_bytes_max: AtomicUsize::new(0),
            slot: Mutex::new(slot),
            cuts_through: AtomicBool::new(!slot.is_whole()),
            beside_writer: AtomicBool::new(false),
            poison: OnceLock::new(),
            turns: Turns::default(),
            checkpoint_counters: CheckpointCounters::default(),
            sorted_runs: SortedRuns::new(temporary, &options.memory),
            read_only: options.read_only,
        }))
    }

    /// Reads the page map from its root and marks the blocks it names.
    fn read_map(&self, slot: &Slot) -> Result<()> {
        let pool = &*self.pool;
        let fanout = pool.map.fanout();
        let damaged = |block: u32, what: &str| {
            Error::new(SqlState::DATA_CORRUPTED, format!("database \"{}\" is damaged", pool.file_name()))
                .detail(format!("The page map in block {block}: {what}."))
        };
        let mut counts = vec![(slot.page_count as usize).div_ceil(fanout)];
        while counts[counts.len() - 1] > 1 {
            counts.push(counts[counts.len() - 1].div_ceil(fanout));
        }
        if slot.page_count <= DIRECTORY_ROOT.0
            || counts.len() != slot.map_levels as usize
            || slot.map_levels > MAP_LEVELS_MAX
        {
            return Err(damaged(slot.map_root.block.0, "the slot names an impossible number of levels"));
        }
        pool.map.ensure(u64::from(slot.page_count))?;
        let mut bytes = vec![0; pool.page_size()];
        let mut levels: Vec<MapLevel> = (0..counts.len()).map(|_| MapLevel::default()).collect();
        let mut nodes = vec![slot.map_root];
        for level in (0..counts.len()).rev() {
            let mut below = Vec::new();
            for (index, node) in nodes.iter().enumerate() {
                let block = node.block;
                if !pool.space.lock().mark_opened(block) {
                    return Err(damaged(block.0, "the block lies outside the file or is used twice"));
                }
                let read = pool.file().read_at(&mut bytes, u64::from(block.0) * pool.page_size() as u64)?;
                if read != bytes.len() {
                    return Err(damaged(block.0, "the file ends before it"));
                }
                below.extend(
                    page_map::decode(&bytes, level as u32, index, node.crc)
                        .map_err(|what| damaged(block.0, what))?,
                );
            }
            levels[level].nodes_opened(std::mem::take(&mut nodes));
            let expected = if level == 0 { slot.page_count as usize } else { counts[level - 1] };
            if below.iter().skip(expected).any(|node| *node != BlockRef::default()) {
                return Err(damaged(slot.map_root.block.0, "it names more pages than there are"));
            }
            below.truncate(expected);
            nodes = below;
        }
        for (page, at) in nodes.iter().enumerate().filter(|(_, at)| at.block.0 != 0) {
            if page == 0 || !pool.space.lock().mark_opened(at.block) {
                return Err(damaged(at.block.0, "the block lies outside the file or is used twice"));
            }
            if let Some(entry) = pool.map.entry(PageId(page as u32)) {
                entry.block.store(at.block.0, Ordering::Release);
                entry.crc.store(at.crc, Ordering::Release);
            }
        }
        *pool.map.levels() = levels;
        pool.map.opened(slot.page_count);
        Ok(())
    }

    /// Where what does not fit into memory is kept for a while, in key order.
    pub fn sorted_runs(&self) -> &SortedRuns {
        &self.sorted_runs
    }

    /// The last durable checkpoint.
    pub fn last_checkpoint(&self) -> CheckpointRecord {
        self.slot.lock().record
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> usize {
        self.header.page_size
    }

    /// Which file this is, whatever path led to it.
    /// # Errors
    /// `58030`.
    pub fn file_identity(&self) -> Result<FileIdentity> {
        self.pool.file().identity()
    }

    /// Replays log operations into the trees. For recovery: one thread, nobody else at work.
    pub fn redo(&self) -> impl Redo + '_ {
        redo::StorageRedo::new(self)
    }

    /// The gate that commits pass.
    pub fn gate(&self) -> &ApplyGate {
        &self.gate
    }

    fn check_writable(&self) -> Result<()> {
        if let Some(error) = self.poison.get() {
            return Err(error.clone());
        }
        if self.is_interrupted() {
            return Err(Error::internal("a change of a page was interrupted")
                .hint("Close and reopen the database; it recovers every acknowledged commit."));
        }
        if self.read_only {
            return Err(Error::new(SqlState::READ_ONLY_SQL_TRANSACTION, "the database is read-only"));
        }
        Ok(())
    }

    /// Whether a panic came while a page was latched or the apply gate was held: what is in memory may be half of a
    /// change, and must neither be built on nor written.
    pub fn is_interrupted(&self) -> bool {
        self.pool.is_interrupted() || self.gate.is_interrupted()
    }

    /// A tree's handle. One look-up in a shared table when the tree was asked for before.
    /// # Errors
    /// `42P01` when there is no such tree, `58030`, `XX001`.
    pub fn tree(&self, id: TreeId) -> Result<Arc<Tree>> {
        self.find_tree(id)?
            .ok_or_else(|| Error::new(SqlState::UNDEFINED_TABLE, format!("tree {id} does not exist")))
    }

    fn find_tree(&self, id: TreeId) -> Result<Option<Arc<Tree>>> {
        if let Some(tree) = self.trees.read().get(&id) {
            return Ok(Some(Arc::clone(tree)));
        }
        if id == DIRECTORY_TREE {
            return Ok(Some(Arc::clone(&self.directory)));
        }
        // Under the exclusive lock, so that a tree dropped meanwhile does not come back into the table.
        let mut trees = self.trees.write();
        if let Some(tree) = trees.get(&id) {
            return Ok(Some(Arc::clone(tree)));
        }
        let found = self
            .directory
            .get(&id.0.to_be_bytes(), |entry, _| entry.map(|entry| decode_root(entry.value)))?;
        let Some(found) = found else { return Ok(None) };
        let Some(DirectoryEntry { root, entries, linked }) = found else {
            return Err(self
                .directory
                .damaged(DIRECTORY_ROOT, "an entry of the tree directory is too short"));
        };
        let tree = self.new_tree(id, root, entries);
        tree.linked_at.store(linked.0, Ordering::Relaxed);
        let tree = Arc::new(tree);
        trees.insert(id, Arc::clone(&tree));
        Ok(Some(tree))
    }

    fn new_tree(&self, id: TreeId, root: PageId, entries: u64) -> Tree {
        let (pool, gate, horizon) = (&self.pool, &self.gate, &self.horizon);
        Tree::new(id, root, entries, Arc::clone(pool), Arc::clone(gate), Arc::clone(horizon))
    }

    /// How far a tree's leaves are filled, in hundredths (10 to 100), where keys come in ascending order or leaves are
    /// merged; `None`: as far as each of these ways likes. What is on pages already stays. It is not kept in the file:
    /// whoever opens the tree knows. Nothing happens when the tree does not exist.
    /// # Errors
    /// `58030`, `XX001`.
    pub fn set_fill_percent(&self, id: TreeId, percent: Option<u8>) -> Result<()> {
        self.expect_fill_percent(percent);
        if let Some(tree) = self.find_tree(id)? {
            tree.fill_percent.store(percent.unwrap_or(0), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Some tree's leaves will be filled so far: from now on space is set aside for as many as that makes.
    pub fn expect_fill_percent(&self, percent: Option<u8>) {
        self.spare_bytes_max.fetch_max(self.spare_bytes(percent), Ordering::Relaxed);
    }

    /// Bytes that stay free on a page that is filled so far.
    pub fn spare_bytes(&self, percent: Option<u8>) -> usize {
        percent.map_or(0, |percent| tree::spare_bytes(self.page_size(), percent))
    }

    /// A tree id that was never given out before.
    pub fn next_tree_id(&self) -> TreeId {
        TreeId(self.next_tree.fetch_add(1, Ordering::Relaxed))
    }

    /// Applies TREE_CREATE. Nothing happens when the tree exists.
    /// # Errors
    /// `58030`, `XX001`; after a reservation nothing else.
    pub fn create_tree(&self, id: TreeId, lsn: Lsn) -> Result<()> {
        self.next_tree.fetch_max(id.0.saturating_add(1), Ordering::Relaxed);
        if self.find_tree(id)?.is_some() {
            return Ok(());
        }
        let root = self.make_root(id, lsn)?;
        self.enter_root(id, root, lsn)
    }

    fn make_root(&self, tree: TreeId, lsn: Lsn) -> Result<PageId> {
        let mut root = self.pool.allocate()?;
        let page = root.page();
        root.node_mut().format(&NodeShape {
            page,
            tree,
            level: 0,
            lower: &[],
            upper: None,
            right: PageId(0),
            max_timestamp: lsn,
        });
        Ok(page)
    }

    /// Enters a new tree into the directory.
    fn enter_root(&self, tree: TreeId, root: PageId, lsn: Lsn) -> Result<()> {
        let value = encode_root(root, 0, Lsn::ZERO);
        self.directory.apply(&tree.0.to_be_bytes(), Change::Put(&value), lsn, None)
    }

    /// Applies TREE_DROP: the tree's pages are free at once, their blocks after the next checkpoint. Reads inner
    /// pages only; what is below one that cannot be read stays taken. Nothing happens when the tree does not exist.
    /// # Errors
    /// `58030`, `XX001`.
    pub fn drop_tree(&self, id: TreeId, lsn: Lsn) -> Result<()> {
        self.next_tree.fetch_max(id.0.saturating_add(1), Ordering::Relaxed);
        if id < FIRST_USER_TREE {
            return Err(Error::internal(format!("tree {id} cannot be dropped")));
        }
        let Some(tree) = self.find_tree(id)? else { return Ok(()) };
        {
            let _alone = self.dropping.lock();
            self.directory.apply(&id.0.to_be_bytes(), Change::Delete, lsn, None)?;
            self.trees.write().remove(&id);
            tree.dropped.store(true, Ordering::SeqCst);
        }
        let mut pages = vec![tree.root];
        while let Some(page) = pages.pop() {
            let guard = match self.pool.fetch_exclusive(page) {
                // Damage is no reason to keep what is to go.
                Err(error) if error.state() == SqlState::DATA_CORRUPTED => {
                    self.pool.free_unread(page);
                    continue;
                }
                fetched => fetched?,
            };
            let node = guard.node();
            if node.tree() != id {
                continue;
            }
            if !node.is_leaf() {
                let children = (0..node.count()).map(|index| node.child(index));
                if node.level() == 1 {
                    children.for_each(|child| self.pool.free_unread(child));
                } else {
                    pages.extend(children);
                }
            }
            self.pool.free(guard);
        }
        Ok(())
    }

    /// Whether so many frames are changed that a checkpoint should come: of those that the pool could have with
    /// what others leave it of the memory.
    pub fn wants_checkpoint(&self) -> bool {
        // Other processes can read only a checkpoint that cuts through no commit.
        if self.cuts_through.load(Ordering::Relaxed) && self.gate.oldest().is_none() {
            return true;
        }
        let (pool, memory) = (&*self.pool, self.pool.memory());
        let mut frames = pool.frame_count_max();
        let free = memory.limit().saturating_sub(memory.used()) / self.page_size();
        if free * 8 < frames {
            frames = frames.min(pool.frames_resident() + free);
        }
        let dirty = pool.dirty_count();
        dirty * 100 >= frames * DIRTY_PERCENT_WANTED && dirty * self.page_size() >= DIRTY_BYTES_WANTED_MIN
    }

    /// Whether changed pages stood in the way of somebody who needed a frame since this was asked last:
    /// [`Storage::clean_ahead`] is of use.
    pub fn take_pressed(&self) -> bool {
        self.pool.take_pressed()
    }

    /// Writes changed pages that will have to make way for others soon, so that nobody has to wait for that. Gives how
    /// many were written; 0: no more for now.
    /// # Errors
    /// `58030`, `53100`; nothing is lost, and whoever needs a frame tries again.
    pub fn clean_ahead(&self) -> Result<usize> {
        self.check_writable()?;
        self.pool.clean_ahead()
    }

    /// Blocks of the file that nothing uses and nothing needs any more.
    pub fn free_blocks(&self) -> u64 {
        self.pool.space.lock().free_count()
    }

    /// The counters.
    pub fn statistics(&self) -> StorageStatistics {
        let pool = &*self.pool;
        let (blocks, blocks_used, blocks_retained) = {
            let space = pool.space.lock();
            (u64::from(space.block_count()), space.used_count(), space.retained_count())
        };
        let counters = &pool.counters;
        StorageStatistics {
            page_size: self.page_size() as u64,
            pages: pool.map.pages_in_use(),
            blocks,
            blocks_used,
            frames: pool.frames_resident() as u64,
            frames_dirty: pool.dirty_count() as u64,
            hits: counters.hits().saturating_sub(counters.misses.load(Ordering::Relaxed)),
            misses: counters.misses.load(Ordering::Relaxed),
            reads: counters.reads.load(Ordering::Relaxed),
            writes: counters.writes.load(Ordering::Relaxed),
            evictions: counters.evictions.load(Ordering::Relaxed),
            checkpoints: self.checkpoint_counters.checkpoints.load(Ordering::Relaxed),
            checkpoint_pages: self.checkpoint_counters.pages.load(Ordering::Relaxed)
                + counters.old_evictions.load(Ordering::Relaxed)
                + counters.images_written.load(Ordering::Relaxed),
            checkpoint_bytes: self.checkpoint_counters.bytes.load(Ordering::Relaxed),
            checkpoint_images_saved: counters.images_saved.load(Ordering::Relaxed),
            checkpoint_images_written: counters.images_written.load(Ordering::Relaxed),
            checkpoint_evictions: counters.old_evictions.load(Ordering::Relaxed),
            bytes_read: counters.bytes_read.load(Ordering::Relaxed),
            bytes_written: counters.bytes_written.load(Ordering::Relaxed),
            blocks_retained,
        }
    }
}

/// What the directory says of a tree.
#[derive(Clone, Copy, Debug)]
struct DirectoryEntry {
    root: PageId,
    /// Live ones, at the last checkpoint.
    entries: u64,
    /// The commit that linked its first pages; zero: none did.
    linked: Lsn,
}

/// Bytes of a directory entry without, and with, the commit that linked pages.
const ROOT_BYTES: usize = 12;
const LINKED_ROOT_BYTES: usize = 20;

/// `{root page u32, live entries u64, commit that linked pages u64 if one did}`
fn encode_root(root: PageId, entries: u64, linked: Lsn) -> SmallVec<[u8; LINKED_ROOT_BYTES]> {
    let mut value = SmallVec::new();
    value.extend_from_slice(&root.0.to_le_bytes());
    value.extend_from_slice(&entries.to_le_bytes());
    if linked > Lsn::ZERO {
        value.extend_from_slice(&linked.0.to_le_bytes());
    }
    value
}

fn decode_root(value: &[u8]) -> Option<DirectoryEntry> {
    let root = value.first_chunk::<4>()?;
    let entries = value.get(4..)?.first_chunk::<8>()?;
    let linked = value.get(ROOT_BYTES..)?.first_chunk::<8>().map_or(0, |lsn| u64::from_le_bytes(*lsn));
    Some(DirectoryEntry {
        root: PageId(u32::from_le_bytes(*root)),
        entries: u64::from_le_bytes(*entries),
        linked: Lsn(linked),
    })
}

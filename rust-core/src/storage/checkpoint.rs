//! Making the state at one log position durable while writers go on: pages, map, sync, slot, sync. Then, and only
//! then, old blocks are free. Knows blocks and slots. Knows nothing of transactions.
//!
//! A [`Checkpoint`] is a machine of small steps; between any two of them anybody may read, change, evict and free
//! pages. Whoever drives it chooses the pace.
//! ```text
//! begin    the gate is closed for an instant: log position, counters, page count; a new epoch starts (the cut)
//!   │
//! Capture ─▶ Write ─▶ Settle      a run of pages as of the cut, from frames or from the side buffer of pre-images,
//!   ▲                   │         is copied, written to fresh blocks, entered into the map; until none is left
//!   └───────────────────┘
//! SyncLog    every frame below the cut is durable before a slot says that it is not needed
//! WriteMap   map pages as of the cut, one at a time, lowest level first
//! SyncData   pages and map are durable before a slot names them
//! WriteSlot ─▶ SyncSlot
//! Publish    what only the old checkpoint named is free; the log below is recycled
//! ```
//! **Redo starts at the cut.** Frames are appended and applied inside the gate: a commit enters before its first
//! frame (its first chunk) and leaves when all is applied. So nobody is inside at the cut means that every frame
//! below the log's tail is applied in full, and no later one is: `redo_lsn` = `cut_lsn` = tail. Whoever may leave
//! the gate in between says where its first frame starts ([`super::gate::ApplyTicket::pause`]): then redo starts
//! at the oldest of those. Redo is absolute or monotone, so what is applied already may come again.
//!
//! **Errors.** Before the slot is written an error leaves the old checkpoint standing and nothing lost: what was
//! not written is still changed in memory, and counts as old for the next cut; what was written stays where the map
//! in memory says. Dropping the machine half-way is the same. From the first byte of the slot on nobody knows which
//! of two checkpoints the file holds: storage is poisoned, and the cut is never ended, so that no block of either
//! is written again. A failed data sync poisons too: the system may have dropped what it held.

use super::buffer_pool::CutPage;
use super::header::{CheckpointRecord, Slot};
use super::page_map::{self, BlockRef, MAP_LEVELS_MAX, MapLevel};
use super::turn::Turn;
use super::{Storage, Tree};
use crate::common::ids::{BlockId, Lsn, PageId, TransactionId, TreeId};
use crate::common::memory::Reservation;
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result, SqlState};
use crate::wal::manager::Log;

/// Neighbouring pages are written together, up to so many bytes.
const WRITE_BYTES_MAX: usize = 1 << 20;
/// And up to this share of the memory limit.
const WRITE_MEMORY_SHARE: usize = 32;

/// Trees whose entry counts are noted at a time, before the gate is closed.
const COUNTS_AT_ONCE: usize = 64;

/// What a checkpoint does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckpointStep {
    /// Copies a run of pages as of the cut.
    Capture,
    /// Writes the run to fresh blocks.
    Write,
    /// Enters the run into the map.
    Settle,
    /// Makes the log durable up to the cut.
    SyncLog,
    /// Writes one page of the map.
    WriteMap,
    /// Makes pages and map durable.
    SyncData,
    /// Writes both copies of the slot.
    WriteSlot,
    /// Makes the slot durable: the checkpoint counts.
    SyncSlot,
    /// Frees what only the checkpoint before needed.
    Publish,
    /// Nothing: it is done.
    Done,
}

/// Pages on their way to the file.
#[derive(Debug, Default)]
struct Run {
    pages: Vec<CutPage>,
    /// They are pre-images, not captured from frames.
    are_images: bool,
    /// The block of each page, as far as written.
    blocks: Vec<BlockId>,
    /// Those that are entered into the map.
    settled: usize,
}

/// How far the map is written.
#[derive(Debug)]
struct MapProgress {
    level: usize,
    /// Nodes of the level.
    count: usize,
    /// Those still to be written, last first.
    left: Vec<usize>,
    /// Block and levels of the finished map.
    root: Option<(BlockRef, u32)>,
}

/// A checkpoint that is being written. Dropped before it is done, it never was.
pub struct Checkpoint {
    storage: Arc<Storage>,
    log: Option<Arc<Log>>,
    record: CheckpointRecord,
    next: CheckpointStep,
    page_count: u32,
    next_tree: TreeId,
    /// Old pages that are not looked at yet, last first.
    pages: Vec<PageId>,
    run: Run,
    run_pages_max: usize,
    buffer: Vec<u8>,
    /// Blocks set aside for the map.
    reserved: u64,
    map: MapProgress,
    slot: Option<Slot>,
    memory: Reservation,
    _turn: Turn,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("record", &self.record)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Storage {
    /// Makes everything durable that was applied when it began, while commits go on. Then the log below the returned
    /// position is recycled. `is_clean` and `next_transaction` are asked when nobody is inside the gate; clean: the
    /// database needs no log from here on.
    /// # Errors
    /// `53100`, `58030`, `53200`: the old checkpoint stands. After a failed sync or slot write this storage
    /// and `log` refuse everything.
    pub fn checkpoint(
        self: &Arc<Self>,
        log: &Arc<Log>,
        is_clean: impl FnOnce() -> bool,
        next_transaction: impl FnOnce() -> TransactionId,
    ) -> Result<Lsn> {
        match self.begin_checkpoint(log, is_clean, next_transaction)? {
            Some(mut checkpoint) => {
                while checkpoint.step()? != CheckpointStep::Done {}
                Ok(checkpoint.record.redo_lsn)
            }
            None => Ok(self.last_checkpoint().redo_lsn),
        }
    }

    /// Cuts: the first part of [`Storage::checkpoint`], the rest is for [`Checkpoint::step`]. None: nothing changed
    /// since the last one. Waits for a checkpoint that is being written, so never two in one thread.
    /// # Errors
    /// As [`Storage::checkpoint`]; the old one stands.
    pub fn begin_checkpoint(
        self: &Arc<Self>,
        log: &Arc<Log>,
        is_clean: impl FnOnce() -> bool,
        next_transaction: impl FnOnce() -> TransactionId,
    ) -> Result<Option<Checkpoint>> {
        self.cut(Some(log), |old| {
            let cut_lsn = log.tail();
            CheckpointRecord {
                generation: old.generation + 1,
                cut_lsn,
                redo_lsn: self.gate.oldest().map_or(cut_lsn, |oldest| oldest.min(cut_lsn)),
                clean: is_clean(),
                next_transaction: next_transaction(),
                ..old
            }
        })
    }

    /// As [`Storage::last_checkpoint`], but waits for one that is being written.
    pub fn settled_checkpoint(&self) -> CheckpointRecord {
        let _turn = self.turns.take();
        self.last_checkpoint()
    }

    /// Somebody waits for the checkpoint that is being written: it should not be slow.
    pub fn is_checkpoint_awaited(&self) -> bool {
        self.turns.is_waited_for()
    }

    /// `record` says what the checkpoint is of; it is asked while the gate is closed.
    pub(super) fn cut(
        self: &Arc<Self>,
        log: Option<&Arc<Log>>,
        record: impl FnOnce(CheckpointRecord) -> CheckpointRecord,
    ) -> Result<Option<Checkpoint>> {
        let turn = self.turns.take();
        self.check_writable()?;
        let pool = &*self.pool;
        self.save_entry_counts_ahead()?;
        // Memory is asked for before the gate and every latch: giving it back may write pages.
        let mut memory = pool.memory().reservation();
        let mut image_bytes = pool.image_bytes_wanted();
        while image_bytes > 0 && memory.grow(image_bytes).is_err() {
            image_bytes = if image_bytes > pool.page_size() { image_bytes / 2 } else { 0 };
        }
        let closed = self.gate.close();
        // Whoever was inside may have left by a panic.
        self.check_writable()?;
        let old = self.last_checkpoint();
        let record = record(old);
        let is_same = CheckpointRecord { generation: old.generation, ..record } == old;
        let is_relocated = pool.take_relocated();
        if is_same && pool.dirty_count() == 0 && !is_relocated {
            return Ok(None);
        }
        self.save_entry_counts(record.cut_lsn)?;
        let next_tree = TreeId(self.next_tree.load(Ordering::SeqCst));
        let page_count = pool.map.page_count();
        pool.begin_cut(image_bytes);
        debug_assert_eq!(pool.generation(), record.generation);
        // From here on the machine's end ends the cut.
        let mut checkpoint = Checkpoint {
            storage: Arc::clone(self),
            log: log.cloned(),
            record,
            next: CheckpointStep::Capture,
            page_count,
            next_tree,
            pages: Vec::new(),
            run: Run::default(),
            run_pages_max: 1,
            buffer: Vec::new(),
            reserved: 0,
            map: MapProgress { level: 0, count: 0, left: Vec::new(), root: None },
            slot: None,
            memory,
            _turn: turn,
        };
        drop(closed);
        checkpoint.prepare()?;
        Ok(Some(checkpoint))
    }

    /// Trees whose number of entries is not what the directory says.
    fn miscounted_trees(&self) -> Vec<Arc<Tree>> {
        let trees = self.trees.read();
        let mut trees: Vec<_> = trees.values().filter(|tree| tree.is_miscounted()).cloned().collect();
        trees.sort_unstable_by_key(|tree| tree.id);
        trees
    }

    /// Notes in the directory how many entries each tree holds, while others work: what has to be noted when the gate is
    /// closed are then only the trees that change in this moment, on pages that are in memory.
    fn save_entry_counts_ahead(&self) -> Result<()> {
        let lsn = self.last_checkpoint().cut_lsn;
        for trees in self.miscounted_trees().chunks(COUNTS_AT_ONCE) {
            let _ticket = self.gate.enter();
            for tree in trees {
                let _alone = self.dropping.lock();
                if !tree.dropped.load(Ordering::SeqCst) {
                    self.save_entry_count(tree, lsn)?;
                }
            }
        }
        Ok(())
    }

    /// The same when the gate is closed: the counts are as of the cut, and so are the pages that they are noted on.
    fn save_entry_counts(&self, lsn: Lsn) -> Result<()> {
        self.miscounted_trees().iter().try_for_each(|tree| self.save_entry_count(tree, lsn))
    }

    fn save_entry_count(&self, tree: &Tree, lsn: Lsn) -> Result<()> {
        let count = tree.entry_estimate();
        let value = super::encode_root(tree.root, count, tree.linked());
        self.directory.apply(&tree.id.0.to_be_bytes(), super::Change::Put(&value), lsn, None)?;
        tree.count_saved(count);
        Ok(())
    }

    pub(super) fn poison_with(&self, error: Error) -> Error {
        let poison =
            Error::new(SqlState::IO_ERROR, "the database is unusable after a failed write; reopen it")
                .detail(error.to_string());
        let _ = self.poison.set(poison);
        error
    }
}

impl Checkpoint {
    /// What it is of.
    pub fn record(&self) -> CheckpointRecord {
        self.record
    }

    /// What the next step does.
    pub fn next(&self) -> CheckpointStep {
        self.next
    }

    /// About how many runs of pages are still to be written.
    pub fn runs_left(&self) -> usize {
        self.pages.len().div_ceil(self.run_pages_max.max(1))
    }

    /// Does the next step and says what is next then.
    /// # Errors
    /// As [`Storage::checkpoint`]; the checkpoint is to be dropped.
    pub fn step(&mut self) -> Result<CheckpointStep> {
        self.pay()?;
        let done = match self.next {
            CheckpointStep::Capture => self.capture(),
            CheckpointStep::Write => self.write(),
            CheckpointStep::Settle => self.settle(),
            CheckpointStep::SyncLog => self.sync_log(),
            CheckpointStep::WriteMap => self.write_map(),
            CheckpointStep::SyncData => self.sync_data(),
            CheckpointStep::WriteSlot => self.write_slot(),
            CheckpointStep::SyncSlot => self.sync_slot(),
            CheckpointStep::Publish => self.publish(),
            CheckpointStep::Done => Ok(CheckpointStep::Done),
        };
        match done {
            Ok(next) => {
                self.next = next;
                Ok(next)
            }
            Err(error) => {
                if let (Err(_), Some(log)) = (self.storage.check_writable(), &self.log) {
                    log.poison(error.clone());
                }
                Err(error)
            }
        }
    }

    /// Charges for what the cut has come to take, while giving up is still harmless.
    fn pay(&mut self) -> Result<()> {
        match self.next {
            CheckpointStep::SyncSlot | CheckpointStep::Publish | CheckpointStep::Done => Ok(()),
            _ => self.memory.grow(self.storage.pool.take_unpaid()),
        }
    }

    /// Finds the old pages, and sets blocks and memory aside.
    fn prepare(&mut self) -> Result<()> {
        let pool = &*self.storage.pool;
        self.pages = pool.old_pages();
        self.pages.reverse();
        let nodes = self.page_count as usize / pool.map.fanout() + MAP_LEVELS_MAX as usize;
        let blocks = nodes.min(self.pages.len() + MAP_LEVELS_MAX as usize) as u64;
        pool.space.lock().reserve(blocks, pool.blocks_promised())?;
        self.reserved = blocks;
        // A smaller buffer does as well, with more writes.
        let bytes = WRITE_BYTES_MAX.min(pool.memory().limit() / WRITE_MEMORY_SHARE);
        let mut pages = (bytes / pool.page_size()).clamp(1, self.pages.len().max(1));
        while pages > 1 && self.memory.grow(pages * pool.page_size()).is_err() {
            pages /= 2;
        }
        self.run_pages_max = pages;
        self.buffer = vec![0; pages * pool.page_size()];
        Ok(())
    }

    fn capture(&mut self) -> Result<CheckpointStep> {
        let pool = &*self.storage.pool;
        pool.cut_failure()?;
        let generation = self.record.generation;
        let mut run = Run::default();
        run.pages = pool.take_images(self.run_pages_max, generation, &mut self.buffer);
        run.are_images = !run.pages.is_empty();
        if !run.are_images {
            for place in self.buffer.chunks_exact_mut(pool.page_size()) {
                // Those that somebody else wrote or saved meanwhile take no place.
                while let Some(page) = self.pages.pop() {
                    if let Some(captured) = pool.capture(page, generation, place) {
                        run.pages.push(captured);
                        break;
                    }
                }
            }
        }
        let is_empty = run.pages.is_empty();
        self.run = run;
        // Without a page left no writer meets one, so the side buffer stays empty when it is.
        if !is_empty {
            return Ok(CheckpointStep::Write);
        }
        debug_assert!(self.pages.is_empty());
        if pool.has_images() {
            return Ok(CheckpointStep::Capture);
        }
        pool.cut_failure()?;
        Ok(CheckpointStep::SyncLog)
    }

    /// Writes as much of the run as finds free blocks side by side.
    fn write(&mut self) -> Result<CheckpointStep> {
        let pool = &*self.storage.pool;
        let written = self.run.blocks.len();
        let wanted = self.run.pages.len() - written;
        let (start, length) = pool.space.lock().allocate(wanted as u32)?;
        let bytes = &self.buffer[written * pool.page_size()..][..length as usize * pool.page_size()];
        if let Err(error) = pool.write_blocks(bytes, start) {
            let mut space = pool.space.lock();
            (0..length).for_each(|index| space.release(BlockId(start.0 + index)));
            return Err(error);
        }
        self.run.blocks.extend((0..length).map(|index| BlockId(start.0 + index)));
        self.storage.checkpoint_counters.note_pages(length, bytes.len());
        let is_whole = self.run.blocks.len() == self.run.pages.len();
        Ok(if is_whole { CheckpointStep::Settle } else { CheckpointStep::Write })
    }

    fn settle(&mut self) -> Result<CheckpointStep> {
        let pool = &*self.storage.pool;
        for (page, block) in self.run.pages.iter().zip(&self.run.blocks) {
            if self.run.are_images {
                pool.settle_image(*page, *block);
            } else {
                pool.settle(*page, *block);
            }
            self.run.settled += 1;
        }
        self.run = Run::default();
        Ok(CheckpointStep::Capture)
    }

    fn sync_log(&mut self) -> Result<CheckpointStep> {
        if let Some(log) = &self.log {
            log.sync_to(self.record.cut_lsn)?;
        }
        let map = &self.storage.pool.map;
        self.start_level(0, (self.page_count as usize).div_ceil(map.fanout()));
        Ok(CheckpointStep::WriteMap)
    }

    fn start_level(&mut self, level: usize, count: usize) {
        let mut levels = self.storage.pool.map.levels();
        if levels.len() == level {
            levels.push(MapLevel::default());
        }
        let mut left = levels[level].take_dirty(count);
        left.reverse();
        self.map = MapProgress { level, count, left, root: None };
    }

    /// Writes the next map page whose entries changed.
    fn write_map(&mut self) -> Result<CheckpointStep> {
        let storage = Arc::clone(&self.storage);
        let pool = &*storage.pool;
        let (level, count) = (self.map.level, self.map.count);
        let Some(index) = self.map.left.last().copied() else {
            if count > 1 {
                if level + 1 == MAP_LEVELS_MAX as usize {
                    return Err(Error::internal("the page map has too many levels"));
                }
                self.start_level(level + 1, count.div_ceil(pool.map.fanout()));
                return Ok(CheckpointStep::WriteMap);
            }
            let root = pool.map.levels()[level].nodes[0];
            self.map.root = Some((root, level as u32 + 1));
            return self.finish_map();
        };
        let fanout = pool.map.fanout();
        let page_size = pool.page_size();
        let bytes = &mut self.buffer[..page_size];
        let generation = self.record.generation;
        let crc = if level == 0 {
            pool.encode_map_leaf(index, self.page_count, generation, bytes)
        } else {
            let levels = pool.map.levels();
            let below = &levels[level - 1].nodes;
            page_map::encode(level as u32, index, generation, bytes, |slot| {
                below.get(index * fanout + slot).copied()
            })
        };
        let (block, _) = pool.space.lock().allocate(1)?;
        if let Err(error) = pool.write_blocks(bytes, block) {
            pool.space.lock().release(block);
            return Err(error);
        }
        let old = {
            let mut levels = pool.map.levels();
            if count > 1 {
                if levels.len() == level + 1 {
                    levels.push(MapLevel::default());
                }
                levels[level + 1].mark(index / fanout);
            }
            levels[level].written(index, BlockRef { block, crc })
        };
        self.map.left.pop();
        if old.block.0 != 0 {
            pool.space.lock().release(old.block);
        }
        storage.checkpoint_counters.note_map_page(page_size);
        Ok(CheckpointStep::WriteMap)
    }

    /// All blocks are known: so is the slot.
    fn finish_map(&mut self) -> Result<CheckpointStep> {
        let (map_root, map_levels) =
            self.map.root.ok_or_else(|| Error::internal("a checkpoint's map has no root"))?;
        let mut space = self.storage.pool.space.lock();
        space.unreserve(std::mem::take(&mut self.reserved));
        if self.record.clean {
            // Blocks that only the old checkpoint names stay in the file until the next clean close.
            let promised = self.storage.pool.blocks_promised();
            space.trim(promised, 1)?;
        }
        self.slot = Some(Slot {
            record: self.record,
            map_root,
            map_levels,
            page_count: self.page_count,
            block_end: space.cut_end(),
            next_tree: self.next_tree,
        });
        Ok(CheckpointStep::SyncData)
    }

    fn sync_data(&mut self) -> Result<CheckpointStep> {
        self.storage.check_writable()?;
        if !is_planted(PlantedFault::SlotBeforeData) {
            self.storage.pool.file().sync().map_err(|error| self.storage.poison_with(error))?;
        }
        Ok(CheckpointStep::WriteSlot)
    }

    fn write_slot(&mut self) -> Result<CheckpointStep> {
        // Whoever failed while applying since the cut says so before it leaves the gate; and nothing is promised
        // any more once it did.
        self.storage.check_writable()?;
        let slot = self.slot.ok_or_else(|| Error::internal("a checkpoint without a slot"))?;
        self.next = CheckpointStep::SyncSlot;
        slot.write(&**self.storage.pool.file()).map_err(|error| self.storage.poison_with(error))?;
        Ok(CheckpointStep::SyncSlot)
    }

    fn sync_slot(&mut self) -> Result<CheckpointStep> {
        self.storage.pool.file().sync().map_err(|error| self.storage.poison_with(error))?;
        // Nothing can fail between here and the note that the checkpoint counts.
        if let Some(slot) = self.slot {
            *self.storage.slot.lock() = slot;
            self.storage.cuts_through.store(!slot.is_whole(), Ordering::Relaxed);
        }
        self.next = CheckpointStep::Publish;
        self.storage.pool.end_cut(Some(self.record.redo_lsn));
        self.storage.checkpoint_counters.note_checkpoint();
        Ok(CheckpointStep::Publish)
    }

    fn publish(&mut self) -> Result<CheckpointStep> {
        // It gives nothing back that anybody will miss soon, and failing does no harm.
        let _ = self.storage.trim_if_much();
        if let Some(log) = &self.log {
            log.recycle_below(self.record.redo_lsn)?;
        }
        Ok(CheckpointStep::Done)
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        let pool = &*self.storage.pool;
        if self.reserved > 0 {
            pool.space.lock().unreserve(self.reserved);
        }
        match self.next {
            CheckpointStep::Publish | CheckpointStep::Done => return,
            // The file may name the new blocks, and may name the old ones: the cut stays for ever.
            CheckpointStep::SyncSlot => {
                let error = self.storage.poison_with(Error::internal("a checkpoint was interrupted"));
                if let Some(log) = &self.log {
                    log.poison(error);
                }
                return;
            }
            _ => {}
        }
        {
            let mut space = pool.space.lock();
            self.run.blocks.iter().skip(self.run.settled).for_each(|block| space.release(*block));
        }
        {
            let mut levels = pool.map.levels();
            self.map.left.iter().for_each(|index| levels[self.map.level].mark(*index));
        }
        pool.end_cut(None);
        pool.note_relocated();
    }
}

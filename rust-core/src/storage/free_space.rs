//! Which blocks of the file may be written: free = named neither by the durable checkpoint, nor by the one that is
//! being written, nor by memory's map, nor by a link in the log that the durable checkpoint does not cover. Knows block numbers and the file's size. Knows nothing of pages.

use crate::common::ids::{BlockId, Lsn};
use crate::common::planted::{PlantedFault, is_planted};
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::File;
use crate::storage::retained::Retained;
use std::sync::Arc;

/// Bytes before the first block: static header and checkpoint slots.
pub(super) const BLOCKS_START_BYTES: u64 = 128 << 10;
/// The file grows by at most this much at a time beyond what is asked for.
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// A compact file has this share of its used blocks to spare, and so many more.
const COMPACT_SPARE_SHARE: u32 = 64;
const COMPACT_SPARE_BLOCKS: u32 = 8;

/// The blocks of one file. Not stored: rebuilt from the page map at open.
#[derive(Debug)]
pub(super) struct FreeSpace {
    file: Arc<dyn File>,
    page_size: u64,
    /// Named by the map in memory.
    used: Vec<u64>,
    /// Named by the durable checkpoint.
    durable: Vec<u64>,
    /// Named by the checkpoint that is being written, and no longer by the map in memory.
    held: Vec<u64>,
    /// Named by the map in memory for what changed since the cut: the checkpoint that is being written does not.
    fresh: Vec<u64>,
    /// Named by older checkpoints that other processes read.
    retained: Retained,
    /// Named by the log from the durable checkpoint's redo position on.
    logged: Vec<u64>,
    /// What `logged` is made of: the commit that names them, first block and how many.
    logged_runs: Vec<(Lsn, u32, u32)>,
    /// A checkpoint is being written.
    cutting: bool,
    /// Blocks that the file has space for, those before the first one counted.
    block_count: u32,
    free_count: u32,
    hand: u32,
    /// No block below is free, as far as [`FreeSpace::allocate_below`] knows.
    lowest: u32,
    reserved: u64,
}

fn bit(set: &[u64], block: u32) -> bool {
    set.get(block as usize / 64).is_some_and(|word| word >> (block % 64) & 1 == 1)
}

fn set(set: &mut [u64], block: BlockId) {
    set[block.0 as usize / 64] |= 1 << (block.0 % 64);
}

fn clear(set: &mut [u64], block: BlockId) {
    set[block.0 as usize / 64] &= !(1 << (block.0 % 64));
}

/// One past the last block of a set.
fn end_of(set: &[u64]) -> u32 {
    let last = set.iter().rposition(|word| *word != 0);
    last.map_or(0, |word| (word * 64) as u32 + 64 - set[word].leading_zeros())
}

impl FreeSpace {
    pub(super) fn new(file: Arc<dyn File>, page_size: usize, file_bytes: u64) -> FreeSpace {
        let page_size = page_size as u64;
        let first = (BLOCKS_START_BYTES / page_size) as u32;
        let block_count = u32::try_from(file_bytes / page_size).unwrap_or(u32::MAX).max(first);
        let words = block_count as usize / 64 + 1;
        FreeSpace {
            file,
            page_size,
            used: vec![0; words],
            durable: vec![0; words],
            held: vec![0; words],
            fresh: vec![0; words],
            retained: Retained::default(),
            logged: vec![0; words],
            logged_runs: Vec::new(),
            cutting: false,
            block_count,
            free_count: block_count - first,
            hand: first,
            lowest: first,
            reserved: 0,
        }
    }

    fn first(&self) -> u32 {
        (BLOCKS_START_BYTES / self.page_size) as u32
    }

    pub(super) fn block_count(&self) -> u32 {
        self.block_count
    }

    pub(super) fn free_count(&self) -> u64 {
        u64::from(self.free_count)
    }

    pub(super) fn used_count(&self) -> u64 {
        self.used.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(super) fn is_used(&self, block: BlockId) -> bool {
        bit(&self.used, block.0)
    }

    /// One past the last block that anybody names.
    fn end(&self) -> u32 {
        let own = [&self.durable, &self.used, &self.held, &self.logged];
        let own = own.into_iter().map(|set| end_of(set)).fold(self.first(), u32::max);
        own.max(end_of(self.retained.words()))
    }

    /// The blocks that the checkpoint names which is being written.
    fn cut_blocks(&self) -> Vec<u64> {
        let sets = self.used.iter().zip(&self.fresh).zip(&self.held);
        sets.map(|((used, fresh), held)| (used & !fresh) | held).collect()
    }

    /// One past the last block that the checkpoint names which is being written: what the file needs for it. Blocks
    /// that only an older one names may be cut off as soon as this one is durable; blocks beyond may not be on the
    /// disk when it is.
    pub(super) fn cut_end(&self) -> u32 {
        end_of(&self.cut_blocks()).max(self.first())
    }

    /// Whether the durable checkpoint names a block.
    #[cfg(test)]
    pub(super) fn is_durable(&self, block: BlockId) -> bool {
        bit(&self.durable, block.0)
    }

    /// Notes a block of the checkpoint that was opened. False: outside the file, or named twice.
    pub(super) fn mark_opened(&mut self, block: BlockId) -> bool {
        if block.0 < self.first() || block.0 >= self.block_count || bit(&self.used, block.0) {
            return false;
        }
        self.used[block.0 as usize / 64] |= 1 << (block.0 % 64);
        self.durable[block.0 as usize / 64] |= 1 << (block.0 % 64);
        self.free_count -= 1;
        true
    }

    /// The bits of 64 blocks: those that are not free.
    fn taken(&self, word: usize) -> u64 {
        self.used[word] | self.durable[word] | self.held[word] | self.logged[word] | self.retained.word(word)
    }

    fn is_free(&self, block: u32) -> bool {
        !bit(&self.used, block)
            && !bit(&self.durable, block)
            && !bit(&self.held, block)
            && !bit(&self.logged, block)
            && !self.retained.holds(block)
    }

    /// Commit `lsn`, which is in the log, names neighbouring blocks: until a checkpoint covers it, nobody writes them.
    pub(super) fn note_logged(&mut self, lsn: Lsn, start: BlockId, count: u32) {
        for block in start.0..start.0 + count {
            if self.is_free(block) {
                self.free_count -= 1;
            }
            self.logged[block as usize / 64] |= 1 << (block % 64);
        }
        self.logged_runs.push((lsn, start.0, count));
    }

    /// For recovery, before [`FreeSpace::note_logged`]: false: not all of the blocks are in the file, or another commit
    /// names one of them.
    pub(super) fn may_be_logged(&self, start: BlockId, count: u32) -> bool {
        let end = u64::from(start.0) + u64::from(count);
        start.0 >= self.first()
            && end <= u64::from(self.block_count)
            && (start.0..start.0 + count).all(|block| !bit(&self.logged, block))
    }

    /// Memory's map is about to name a block that the log names. False: it does already.
    pub(super) fn use_logged(&mut self, block: BlockId) -> bool {
        if !bit(&self.logged, block.0) || bit(&self.used, block.0) {
            return false;
        }
        set(&mut self.used, block);
        true
    }

    /// The next free block, from the hand on.
    fn find_free(&self) -> Option<u32> {
        let mut block = if self.hand < self.block_count { self.hand } else { self.first() };
        let mut looked = 0;
        while looked <= self.block_count {
            if block >= self.block_count {
                looked += 1;
                block = self.first();
                continue;
            }
            let word = block as usize / 64;
            let taken = self.taken(word) >> (block % 64);
            let run = taken.trailing_ones();
            if run == 0 {
                return Some(block);
            }
            let step = run.min(64 - block % 64);
            block += step;
            looked += step;
        }
        None
    }

    /// Takes up to `wanted` neighbouring free blocks; the file grows when none is left.
    /// # Errors
    /// `53100`, `58030`.
    pub(super) fn allocate(&mut self, wanted: u32) -> Result<(BlockId, u32)> {
        if self.free_count == 0 {
            self.look_for_readers();
        }
        if self.free_count == 0 {
            self.grow(wanted)?;
        }
        let Some(start) = self.find_free() else {
            return Err(Error::internal("the count of free blocks does not match the blocks"));
        };
        let mut length = 0;
        while length < wanted && start + length < self.block_count && self.is_free(start + length) {
            let block = start + length;
            self.used[block as usize / 64] |= 1 << (block % 64);
            length += 1;
        }
        self.free_count -= length;
        self.hand = start + length;
        Ok((BlockId(start), length))
    }

    /// Nobody but perhaps the durable checkpoint names `block` any more.
    pub(super) fn release(&mut self, block: BlockId) {
        assert!(bit(&self.used, block.0), "a block is released by the map that names it");
        clear(&mut self.used, block);
        clear(&mut self.fresh, block);
        if is_planted(PlantedFault::BlocksFreedEarly) {
            clear(&mut self.durable, block);
            self.hand = self.first();
        }
        self.note_free(block);
    }

    /// Memory's map does not name `block` any more, because of a change since the cut: the checkpoint that is being
    /// written keeps it if it was there at the cut.
    pub(super) fn release_since_cut(&mut self, block: BlockId) {
        if !self.cutting || bit(&self.fresh, block.0) {
            return self.release(block);
        }
        assert!(bit(&self.used, block.0), "a block is released by the map that names it");
        clear(&mut self.used, block);
        set(&mut self.held, block);
    }

    /// Memory's map names `block` for what changed since the cut.
    pub(super) fn note_fresh(&mut self, block: BlockId) {
        if self.cutting {
            set(&mut self.fresh, block);
        }
    }

    /// The checkpoint that is being written names `block`, and memory's map does not.
    pub(super) fn hold(&mut self, block: BlockId) {
        assert!(self.cutting && bit(&self.used, block.0), "a block is taken before it is held");
        clear(&mut self.used, block);
        set(&mut self.held, block);
    }

    /// The checkpoint that is being written names another block instead of this one, which it held.
    pub(super) fn unhold(&mut self, block: BlockId) {
        assert!(bit(&self.held, block.0), "only what is held is given up");
        clear(&mut self.held, block);
        self.note_free(block);
    }

    fn note_free(&mut self, block: BlockId) {
        if self.is_free(block.0) {
            self.lowest = self.lowest.min(block.0);
            self.free_count += 1;
        }
    }

    /// A checkpoint of what memory's map names now begins.
    pub(super) fn begin_cut(&mut self) {
        assert!(!self.cutting, "one checkpoint at a time");
        self.cutting = true;
    }

    /// The checkpoint did not come about: what it alone named is free.
    pub(super) fn abort_cut(&mut self) {
        self.end_cut();
    }

    /// The checkpoint that began with the cut is durable: what only the old one, `replaced`, named is free, unless
    /// somebody reads that; or only the log below `redo`.
    pub(super) fn publish(&mut self, replaced: u64, redo: Lsn) {
        let cut = self.cut_blocks();
        let old = std::mem::replace(&mut self.durable, cut);
        self.retained.replaced(&*self.file, replaced, old);
        self.logged_runs.retain(|(lsn, ..)| *lsn > redo);
        self.logged.fill(0);
        for (_, start, count) in &self.logged_runs {
            for block in *start..*start + *count {
                self.logged[block as usize / 64] |= 1 << (block % 64);
            }
        }
        self.end_cut();
        self.hand = self.first();
    }

    fn end_cut(&mut self) {
        self.cutting = false;
        self.held.fill(0);
        self.fresh.fill(0);
        self.lowest = self.first();
        self.count_free();
    }

    fn count_free(&mut self) {
        let taken: u32 = (0..self.used.len()).map(|word| self.taken(word).count_ones()).sum();
        self.free_count = self.block_count - self.first() - taken;
    }

    /// Checkpoint `opened` was opened for writing, and its blocks are noted: what others may read is kept.
    /// # Errors
    /// `58030`.
    pub(super) fn keep_for_readers(&mut self, opened: u64) -> Result<()> {
        let blocks = self.first()..self.block_count;
        self.retained.open(&*self.file, opened, blocks)?;
        self.count_free();
        Ok(())
    }

    /// Frees what readers of older checkpoints have left since.
    fn look_for_readers(&mut self) {
        if !self.retained.is_empty() && self.retained.look(&*self.file) {
            self.lowest = self.first();
            self.count_free();
        }
    }

    /// Blocks that only readers of older checkpoints need.
    pub(super) fn retained_count(&self) -> u64 {
        let own = self.used.iter().zip(&self.durable).zip(&self.held);
        let only = self.retained.words().iter().zip(own).map(|(word, ((used, durable), held))| {
            word & !(used | durable | held) //
        });
        only.map(|word| u64::from(word.count_ones())).sum()
    }

    /// Takes the lowest free block below `end`, if one can be spared beside `promised` and all reservations.
    pub(super) fn allocate_below(&mut self, end: BlockId, promised: u64) -> Option<BlockId> {
        if u64::from(self.free_count) <= self.reserved + promised {
            return None;
        }
        let from = self.lowest.max(self.first());
        let words = from as usize / 64..(end.0.min(self.block_count) as usize).div_ceil(64);
        for word in words {
            let mut free = !self.taken(word);
            if word == from as usize / 64 {
                free &= u64::MAX << (from % 64);
            }
            if free != 0 {
                let block = (word * 64) as u32 + free.trailing_zeros();
                if block >= end.0.min(self.block_count) {
                    return None;
                }
                self.used[word] |= 1 << (block % 64);
                self.free_count -= 1;
                self.lowest = block + 1;
                return Some(BlockId(block));
            }
        }
        None
    }

    /// The block below which all that is used would have its place, with a little to spare.
    pub(super) fn compact_end(&self) -> BlockId {
        let used = self.used_count() as u32;
        BlockId(self.first() + used + used / COMPACT_SPARE_SHARE + COMPACT_SPARE_BLOCKS)
    }

    /// Gives free blocks at the end of the file back to the file system, if there are at least `least`; those that
    /// `promised` changes and reservations will need stay.
    /// # Errors
    /// `58030`; failing is harmless.
    pub(super) fn trim(&mut self, promised: u64, least: u32) -> Result<()> {
        self.look_for_readers();
        let end = self.end();
        let free_below = u64::from(self.free_count - (self.block_count - end));
        let kept = (self.reserved + promised).saturating_sub(free_below);
        let end = u32::try_from(u64::from(end) + kept).unwrap_or(u32::MAX);
        if end < self.block_count && self.block_count - end >= least {
            self.file.set_size(u64::from(end) * self.page_size)?;
            self.free_count -= self.block_count - end;
            self.block_count = end;
            self.hand = self.first();
        }
        Ok(())
    }

    /// Makes sure that `count` blocks beyond `promised` and all reservations are free, growing the file.
    /// # Errors
    /// `53100` when the file system has no space; nothing changed then.
    pub(super) fn ensure(&mut self, count: u64, promised: u64) -> Result<()> {
        let needed = count + promised + self.reserved;
        if needed > u64::from(self.free_count) {
            self.look_for_readers();
        }
        let free = u64::from(self.free_count);
        if needed > free {
            self.grow(u32::try_from(needed - free).unwrap_or(u32::MAX))?;
        }
        Ok(())
    }

    /// As [`FreeSpace::ensure`], and keeps the blocks set aside until [`FreeSpace::unreserve`].
    pub(super) fn reserve(&mut self, count: u64, promised: u64) -> Result<()> {
        if !is_planted(PlantedFault::SpaceNotReserved) {
            self.ensure(count, promised)?;
        }
        self.reserved += count;
        Ok(())
    }

    /// As [`FreeSpace::reserve`], where the file need not grow; false: nothing changed.
    pub(super) fn reserve_free(&mut self, count: u64, promised: u64) -> bool {
        let is_there = count + promised + self.reserved <= u64::from(self.free_count);
        if is_there {
            self.reserved += count;
        }
        is_there
    }

    pub(super) fn unreserve(&mut self, count: u64) {
        self.reserved -= count;
    }

    fn grow(&mut self, wanted: u32) -> Result<()> {
        let ahead = (u64::from(self.block_count) / 16).min(GROWTH_BYTES_MAX / self.page_size);
        let full = || Error::new(SqlState::DISK_FULL, "the database file has reached its largest size");
        let target = u64::from(self.block_count) + u64::from(wanted);
        let (target, generous) = (u32::try_from(target).map_err(|_| full())?, target + ahead);
        let mut reached = u32::try_from(generous).unwrap_or(u32::MAX);
        if self.file.allocate(u64::from(reached) * self.page_size).is_err() {
            reached = target;
            self.file.allocate(u64::from(reached) * self.page_size)?;
        }
        self.free_count += reached - self.block_count;
        self.block_count = reached;
        let words = reached as usize / 64 + 1;
        self.used.resize(words, 0);
        self.durable.resize(words, 0);
        self.held.resize(words, 0);
        self.fresh.resize(words, 0);
        self.logged.resize(words, 0);
        Ok(())
    }
}

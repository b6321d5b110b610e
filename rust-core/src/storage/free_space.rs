//! Which blocks of the file may be written: free = named neither by the durable checkpoint nor by memory's map.
//! Knows block numbers and the file's size. Knows nothing of pages.

use crate::common::ids::BlockId;
use crate::common::planted::{PlantedFault, is_planted};
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::File;
use std::sync::Arc;

/// Bytes before the first block: static header and checkpoint slots.
pub(super) const BLOCKS_START_BYTES: u64 = 128 << 10;
/// The file grows by at most this much at a time beyond what is asked for.
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// The blocks of one file. Not stored: rebuilt from the page map at open.
#[derive(Debug)]
pub(super) struct FreeSpace {
    file: Arc<dyn File>,
    page_size: u64,
    /// Named by the map in memory.
    used: Vec<u64>,
    /// Named by the durable checkpoint.
    durable: Vec<u64>,
    /// Blocks that the file has space for, those before the first one counted.
    block_count: u32,
    free_count: u32,
    hand: u32,
    reserved: u64,
}

fn bit(set: &[u64], block: u32) -> bool {
    set.get(block as usize / 64).is_some_and(|word| word >> (block % 64) & 1 == 1)
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
            block_count,
            free_count: block_count - first,
            hand: first,
            reserved: 0,
        }
    }

    fn first(&self) -> u32 {
        (BLOCKS_START_BYTES / self.page_size) as u32
    }

    pub(super) fn block_count(&self) -> u32 {
        self.block_count
    }

    pub(super) fn used_count(&self) -> u64 {
        self.used.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(super) fn is_used(&self, block: BlockId) -> bool {
        bit(&self.used, block.0)
    }

    /// One past the last block that memory's map or the durable checkpoint names.
    fn end(&self) -> u32 {
        end_of(&self.durable).max(self.used_end())
    }

    /// One past the last block that memory's map names: what the file needs for the next checkpoint. Blocks that only
    /// an older checkpoint names may be cut off as soon as the next one is durable.
    pub(super) fn used_end(&self) -> u32 {
        end_of(&self.used).max(self.first())
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

    fn is_free(&self, block: u32) -> bool {
        !bit(&self.used, block) && !bit(&self.durable, block)
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
            let taken = (self.used[word] | self.durable[word]) >> (block % 64);
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

    /// Memory's map does not name `block` any more. It is free at once only if no durable checkpoint names it.
    pub(super) fn release(&mut self, block: BlockId) {
        assert!(bit(&self.used, block.0), "a block is released by the map that names it");
        self.used[block.0 as usize / 64] &= !(1 << (block.0 % 64));
        if is_planted(PlantedFault::BlocksFreedEarly) {
            self.durable[block.0 as usize / 64] &= !(1 << (block.0 % 64));
            self.hand = self.first();
        }
        if !bit(&self.durable, block.0) {
            self.free_count += 1;
        }
    }

    /// The checkpoint that names exactly memory's blocks is durable: what only the old one named is free.
    pub(super) fn publish(&mut self) {
        let freed: u32 =
            self.durable.iter().zip(&self.used).map(|(durable, used)| (durable & !used).count_ones()).sum();
        self.free_count += freed;
        self.durable.clone_from(&self.used);
        self.hand = self.first();
    }

    /// Gives the free blocks at the end of the file back to the file system. Failing is harmless.
    pub(super) fn trim(&mut self) -> Result<()> {
        let end = self.end();
        if end < self.block_count && self.reserved == 0 {
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
        let free = u64::from(self.free_count);
        if needed > free {
            self.grow(u32::try_from(needed - free).unwrap_or(u32::MAX))?;
        }
        Ok(())
    }

    /// As [`FreeSpace::ensure`], and keeps the blocks set aside until [`FreeSpace::unreserve`].
    pub(super) fn reserve(&mut self, count: u64, promised: u64) -> Result<()> {
        self.ensure(count, promised)?;
        self.reserved += count;
        Ok(())
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
        Ok(())
    }
}

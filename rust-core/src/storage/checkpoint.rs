//! Making memory's state durable: pages, map, sync, slot, sync. Then, and only then, old blocks are free.
//! Knows blocks and slots. Knows nothing of transactions.
//!
//! The gate is closed throughout, so the pages are exactly what all frames below the cut made of them. An error
//! before the slot is written leaves the old checkpoint standing and nothing lost: pages that could not be
//! written stay changed in memory. After a failed sync nobody knows what the disk holds: storage is poisoned.

use super::Storage;
use super::buffer_pool::{BufferPool, SharedPage};
use super::header::{CheckpointRecord, Slot};
use super::page::NodeMut;
use super::page_map::{self, BlockRef, MAP_LEVELS_MAX, MapLevel};
use crate::common::ids::{BlockId, Lsn, PageId, TransactionId};
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result, SqlState};
use crate::wal::manager::Log;

/// Neighbouring pages are written together, up to so many bytes.
const WRITE_BYTES_MAX: usize = 1 << 20;
/// A write holds the shared latches of its pages: at most this share of all frames.
const WRITE_FRAMES_SHARE: usize = 8;

impl Storage {
    /// Makes everything durable that was applied: waits for the commits inside the gate, keeps others out,
    /// writes, and switches to the new slot. Then the log below the returned position is recycled.
    /// `next_transaction` is asked when nobody is inside the gate. `clean`: the database is being closed.
    /// # Errors
    /// `53100`, `58030`, `53200`: the old checkpoint stands. After a failed sync or slot write this storage
    /// and `log` refuse everything.
    pub fn checkpoint(
        &self,
        log: &Log,
        clean: bool,
        next_transaction: impl FnOnce() -> TransactionId,
    ) -> Result<Lsn> {
        self.check_writable()?;
        let mut slot = self.slot.lock();
        let _closed = self.gate.close();
        // Whoever was inside may have left by a panic.
        self.check_writable()?;
        let old = slot.record;
        let cut_lsn = log.tail();
        let record = CheckpointRecord {
            generation: old.generation + 1,
            cut_lsn,
            redo_lsn: cut_lsn,
            clean,
            next_transaction: next_transaction(),
            ..old
        };
        let unchanged = CheckpointRecord { generation: old.generation, ..record } == old;
        if unchanged && self.pool.dirty_count() == 0 {
            return Ok(old.redo_lsn);
        }
        log.sync_to(cut_lsn)?;
        match self.write_checkpoint(record) {
            Ok(new) => *slot = new,
            Err(error) => {
                if self.check_writable().is_err() {
                    log.poison(error.clone());
                }
                return Err(error);
            }
        }
        log.recycle_below(record.redo_lsn)?;
        Ok(record.redo_lsn)
    }

    /// Writes all changed pages, the map and the slot. Nobody changes pages meanwhile.
    pub(super) fn write_checkpoint(&self, record: CheckpointRecord) -> Result<Slot> {
        self.save_entry_counts(record.cut_lsn)?;
        let pool = &*self.pool;
        pool.set_generation(record.generation);
        let dirty = pool.dirty_pages();
        let map_pages = pool.map.page_count() as usize / pool.map.fanout() + MAP_LEVELS_MAX as usize;
        pool.space.lock().ensure((dirty.len() + map_pages.min(dirty.len() + 8)) as u64, 0)?;
        write_pages(pool, &dirty)?;
        let (map_root, map_levels) = write_map(pool, record.generation)?;
        let mut space = pool.space.lock();
        if record.clean {
            // Blocks that only the old checkpoint names stay in the file until the next clean close.
            space.trim()?;
        }
        let slot = Slot {
            record,
            map_root,
            map_levels,
            page_count: pool.map.page_count(),
            block_end: space.used_end(),
            next_tree: self.next_tree_id(),
        };
        drop(space);
        let file = pool.file();
        if !is_planted(PlantedFault::SlotBeforeData) {
            file.sync().map_err(|error| self.poison_with(error))?;
        }
        slot.write(&**file).and_then(|()| file.sync()).map_err(|error| self.poison_with(error))?;
        pool.space.lock().publish();
        pool.set_generation(record.generation + 1);
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        Ok(slot)
    }

    fn poison_with(&self, error: Error) -> Error {
        let poison =
            Error::new(SqlState::IO_ERROR, "the database is unusable after a failed write; reopen it")
                .detail(error.to_string());
        let _ = self.poison.set(poison);
        error
    }
}

/// Writes the pages to fresh blocks, as many as possible side by side.
fn write_pages(pool: &BufferPool, pages: &[PageId]) -> Result<()> {
    let page_size = pool.page_size();
    let frames = (pool.frames_resident() / WRITE_FRAMES_SHARE).max(1);
    let run_max = (WRITE_BYTES_MAX / page_size).min(frames).min(pages.len());
    let mut buffer = vec![0; run_max * page_size];
    let mut rest = pages;
    while !rest.is_empty() {
        let (start, length) = pool.space.lock().allocate(run_max.min(rest.len()) as u32)?;
        let (run, after) = rest.split_at(length as usize);
        rest = after;
        let result = write_run(pool, run, start, &mut buffer);
        let used = *result.as_ref().unwrap_or(&0);
        let mut space = pool.space.lock();
        (start.0 + used as u32..start.0 + length).for_each(|block| space.release(BlockId(block)));
        result?;
    }
    Ok(())
}

/// Writes those of `pages` that are still changed to blocks from `start` on; returns how many.
fn write_run(pool: &BufferPool, pages: &[PageId], start: BlockId, buffer: &mut [u8]) -> Result<usize> {
    let page_size = pool.page_size();
    let guards: Vec<SharedPage<'_>> = pages.iter().filter_map(|page| pool.dirty_shared(*page)).collect();
    let mut crcs = Vec::with_capacity(guards.len());
    for (guard, place) in guards.iter().zip(buffer.chunks_exact_mut(page_size)) {
        place.copy_from_slice(guard);
        crcs.push(NodeMut::new(place).stamp(pool.generation()));
    }
    let bytes = &buffer[..guards.len() * page_size];
    pool.file().write_at(bytes, u64::from(start.0) * page_size as u64)?;
    pool.counters.writes.fetch_add(guards.len() as u64, Ordering::Relaxed);
    pool.counters.bytes_written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    for (index, guard) in guards.iter().enumerate() {
        pool.written(guard, BlockId(start.0 + index as u32), crcs[index]);
    }
    Ok(guards.len())
}

/// Writes the map pages whose entries changed, lowest level first; returns the root and the levels.
fn write_map(pool: &BufferPool, generation: u64) -> Result<(BlockRef, u32)> {
    let mut levels = pool.map.levels();
    let fanout = pool.map.fanout();
    let mut bytes = vec![0; pool.page_size()];
    let mut count = (pool.map.page_count() as usize).div_ceil(fanout);
    for level in 0..MAP_LEVELS_MAX as usize {
        if levels.len() == level {
            levels.push(MapLevel::default());
        }
        for index in levels[level].nodes.len()..count {
            levels[level].mark(index);
        }
        for index in 0..count {
            if !levels[level].is_dirty(index) {
                continue;
            }
            let crc = if level == 0 {
                pool.map.encode_leaf(index, generation, &mut bytes)
            } else {
                let below = &levels[level - 1].nodes;
                page_map::encode(level as u32, index, generation, &mut bytes, |slot| {
                    below.get(index * fanout + slot).copied()
                })
            };
            let (block, _) = pool.space.lock().allocate(1)?;
            let at = u64::from(block.0) * pool.page_size() as u64;
            if let Err(error) = pool.file().write_at(&bytes, at) {
                pool.space.lock().release(block);
                return Err(error);
            }
            pool.counters.writes.fetch_add(1, Ordering::Relaxed);
            pool.counters.bytes_written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let old = levels[level].written(index, BlockRef { block, crc });
            if old.block.0 != 0 {
                pool.space.lock().release(old.block);
            }
            if count > 1 {
                if levels.len() == level + 1 {
                    levels.push(MapLevel::default());
                }
                levels[level + 1].mark(index / fanout);
            }
        }
        if count == 1 {
            return Ok((levels[level].nodes[0], level as u32 + 1));
        }
        count = count.div_ceil(fanout);
    }
    Err(Error::internal("the page map has too many levels"))
}

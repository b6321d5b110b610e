//! Writing changed pages that nobody has used for a while, several at a time and side by side, so that their frames can
//! be had without waiting: when the clock meets hardly any clean one, or ahead of it.
//! Knows frames and blocks. Knows nothing of who needs a frame.
//!
//! A page is copied under its latch, written without it, and counts as clean if it has not changed meanwhile: its
//! frame says [`WRITING`] from the copy on, and any change says otherwise. Who needs a frame may hold latches of
//! others, so nothing here waits for one.

use super::BufferPool;
use super::cut::{CAPTURED, CLEAN, WRITING};
use super::guard::{ExclusivePage, SharedPage};
use crate::common::ids::{BlockId, PageId};
use crate::common::sync::Mutex;
use crate::common::sync::atomic::{AtomicBool, Ordering};
use crate::error::Result;
use crate::storage::page::NodeMut;
use crate::storage::page_map::BlockRef;
use smallvec::SmallVec;

/// Pages that are written together at most.
const BATCH_PAGES_MAX: usize = 32;
/// For fewer it is not worth the copies.
const BATCH_PAGES_MIN: usize = 2;
/// Bytes of them at most, and as a share of the memory limit.
const BATCH_BYTES_MAX: usize = 256 << 10;
const BATCH_MEMORY_SHARE: usize = 64;
/// The pages that are cleaned ahead of the clock lie in this share of all frames.
const AHEAD_SHARE: usize = 4;

/// Frames whose pages are to be written.
pub(super) type Batch = SmallVec<[usize; BATCH_PAGES_MAX]>;

/// What the pool needs for it.
#[derive(Debug)]
pub(super) struct WriteBack {
    /// Pages on their way to the file.
    buffer: Mutex<Vec<u8>>,
    /// Pages that are written together; 0 where memory is too small for that.
    pub(super) batch_pages: usize,
    /// The clock passed changed pages: somebody should clean ahead of it.
    pressed: AtomicBool,
}

impl WriteBack {
    pub(super) fn new(page_size: usize, memory_limit: usize) -> WriteBack {
        let bytes = BATCH_BYTES_MAX.min(memory_limit / BATCH_MEMORY_SHARE);
        let fitting = (bytes / page_size).min(BATCH_PAGES_MAX);
        let batch_pages = if fitting < BATCH_PAGES_MIN { 0 } else { fitting };
        WriteBack { buffer: Mutex::default(), batch_pages, pressed: AtomicBool::new(false) }
    }

    /// Whether so many frames are a batch.
    pub(super) fn is_batch(&self, frames: &[usize]) -> bool {
        !frames.is_empty() && frames.len() == self.batch_pages
    }

    /// The clock passed a batch of changed pages.
    pub(super) fn note_pressed(&self) {
        if !self.pressed.load(Ordering::Relaxed) {
            self.pressed.store(true, Ordering::Relaxed);
        }
    }
}

/// A page whose copy is on its way to the file.
struct Copied {
    page: PageId,
    frame: usize,
    /// What its frame says, unless the page changed.
    dirty: u32,
    crc: u32,
}

impl BufferPool {
    /// Writes those of `frames` that nobody has latched; their pages stay in memory, clean. Gives how many are. Waits for
    /// no latch.
    /// # Errors
    /// `58030`, `53100`; what was not written is still changed.
    pub(super) fn write_back(&self, frames: &[usize]) -> Result<usize> {
        if self.read_only {
            return Ok(0);
        }
        // Somebody else is at it already: the clock finds what he cleans.
        let Some(mut buffer) = self.write_back.buffer.try_lock() else { return Ok(0) };
        buffer.resize(self.write_back.batch_pages * self.page_size, 0);
        let copied = self.copy_changed(frames, &mut buffer);
        let mut rest = (&copied[..], &buffer[..]);
        let mut cleaned = 0;
        while !rest.0.is_empty() {
            let (start, length) = self.space.lock().allocate(rest.0.len() as u32)?;
            let (pages, other_pages) = rest.0.split_at(length as usize);
            let (bytes, other_bytes) = rest.1.split_at(length as usize * self.page_size);
            if let Err(error) = self.write_blocks(bytes, start) {
                let mut space = self.space.lock();
                (0..length).for_each(|index| space.release(BlockId(start.0 + index)));
                return Err(error);
            }
            for (index, page) in pages.iter().enumerate() {
                let block = BlockId(start.0 + index as u32);
                if self.is_clean_at(page, block) {
                    cleaned += 1;
                } else {
                    self.space.lock().release(block);
                }
            }
            rest = (other_pages, other_bytes);
        }
        Ok(cleaned)
    }

    /// Copies pages in the order of their ids, so that neighbours become neighbours in the file.
    fn copy_changed(&self, frames: &[usize], buffer: &mut [u8]) -> SmallVec<[Copied; BATCH_PAGES_MAX]> {
        let page_in = |index: usize| PageId(self.frame(index).page.load(Ordering::Relaxed));
        let mut wanted: SmallVec<[(PageId, usize); BATCH_PAGES_MAX]> =
            frames.iter().map(|index| (page_in(*index), *index)).filter(|(page, _)| page.0 != 0).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut places = buffer.chunks_exact_mut(self.page_size);
        let mut copied = SmallVec::new();
        for (page, index) in wanted {
            let frame = self.frame(index);
            if !frame.latch.try_lock_shared() {
                continue;
            }
            let guard = SharedPage::latched(self, frame);
            let was = frame.dirty.load(Ordering::Acquire);
            let is_same = frame.page.load(Ordering::Relaxed) == page.0;
            if !is_same || was == CLEAN || was & CAPTURED != 0 {
                continue;
            }
            // A checkpoint may capture it in this moment; then it is written there.
            let dirty = was | WRITING;
            if frame.dirty.compare_exchange(was, dirty, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            let Some(place) = places.next() else { break };
            place.copy_from_slice(&guard);
            drop(guard);
            let crc = NodeMut::new(place).stamp(self.generation());
            copied.push(Copied { page, frame: index, dirty, crc });
        }
        copied
    }

    /// What was copied is in the file at `block`. False: the page changed since, is gone, or somebody is about to change it.
    fn is_clean_at(&self, written: &Copied, block: BlockId) -> bool {
        let frame = self.frame(written.frame);
        let Some(entry) = self.map.entry(written.page) else { return false };
        if !frame.latch.try_lock_exclusive() {
            return false;
        }
        let _guard = ExclusivePage::latched(self, frame);
        let is_same = frame.page.load(Ordering::Relaxed) == written.page.0
            && frame.dirty.load(Ordering::Acquire) == written.dirty;
        if !is_same {
            return false;
        }
        if self.moved(written.page, entry, written.dirty, BlockRef { block, crc: written.crc }) {
            self.counters.old_evictions.fetch_add(1, Ordering::Relaxed);
        }
        self.clean(frame);
        true
    }

    /// Whether the clock passed changed pages since this was asked last.
    pub(in crate::storage) fn take_pressed(&self) -> bool {
        self.write_back.pressed.load(Ordering::Relaxed)
            && self.write_back.pressed.swap(false, Ordering::Relaxed)
    }

    /// Writes the changed pages that the clock comes to next and that nobody has used since it came by last. Gives how
    /// many are clean by that; 0: there is nothing to do for now.
    /// # Errors
    /// `58030`, `53100`.
    pub(in crate::storage) fn clean_ahead(&self) -> Result<usize> {
        let frame_count = self.frame_count.load(Ordering::Acquire);
        let start = self.hand.load(Ordering::Relaxed);
        let mut batch = Batch::new();
        let mut cleaned = 0;
        let looked_at = if self.write_back.batch_pages == 0 { 0 } else { frame_count / AHEAD_SHARE };
        for step in 0..looked_at {
            let index = (start + step) % frame_count;
            let frame = self.frame(index);
            let is_wanted = frame.page.load(Ordering::Relaxed) != 0
                && !frame.referenced.load(Ordering::Relaxed)
                && frame.dirty.load(Ordering::Relaxed) != CLEAN;
            if is_wanted {
                batch.push(index);
            }
            if self.write_back.is_batch(&batch) {
                cleaned += self.write_back(&batch)?;
                batch.clear();
            }
        }
        Ok(cleaned)
    }

    /// As if nobody had used any page for a while.
    #[cfg(test)]
    pub(in crate::storage) fn forget_uses(&self) {
        for index in 0..self.frame_count.load(Ordering::Acquire) {
            self.frame(index).referenced.store(false, Ordering::Relaxed);
        }
    }
}

//! Moving pages to lower blocks, so that the end of the file becomes free. A page that did not change is written to
//! another block, as an eviction does with one that did; the block where it was is free with the next checkpoint, and
//! until then a crash finds it there.
//! Knows pages and blocks. Knows nothing of when it is worth it.

use super::cut::CLEAN;
use super::{BufferPool, ExclusivePage};
use crate::common::ids::{BlockId, PageId};
use crate::common::sync::atomic::Ordering;
use crate::error::Result;
use crate::storage::page::NodeMut;
use crate::storage::page_map::BlockRef;

/// How far moving came.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct Moved {
    /// Pages moved.
    pub(in crate::storage) count: usize,
    /// Where to go on; none: all pages were looked at, or no lower block is free.
    pub(in crate::storage) next: Option<PageId>,
}

impl BufferPool {
    /// Moves up to `count` pages, of those from `from` on, out of blocks from `end` on. The caller has the turn: no
    /// checkpoint is being written.
    /// # Errors
    /// `58030`, `XX001`, `53200`; what was moved is moved.
    pub(in crate::storage) fn move_down(&self, from: PageId, end: BlockId, count: usize) -> Result<Moved> {
        let page_count = self.map.page_count();
        let mut moved = 0;
        for page in from.0.max(1)..page_count {
            let page = PageId(page);
            if self.map.entry(page).is_none_or(|entry| entry.at().block < end) {
                continue;
            }
            if moved == count {
                return Ok(Moved { count: moved, next: Some(page) });
            }
            let Some(guard) = self.try_fetch_exclusive(page)? else { continue };
            match self.relocate(guard, page, end)? {
                Some(true) => moved += 1,
                Some(false) => {}
                None => break,
            }
        }
        Ok(Moved { count: moved, next: None })
    }

    /// False: the page changed, so that it moves anyway; none: no lower block is free.
    fn relocate(&self, mut guard: ExclusivePage<'_>, page: PageId, end: BlockId) -> Result<Option<bool>> {
        let Some(entry) = self.map.entry(page) else { return Ok(Some(false)) };
        if guard.frame.dirty.load(Ordering::Relaxed) != CLEAN || entry.at().block < end {
            return Ok(Some(false));
        }
        let block = {
            let mut space = self.space.lock();
            space.allocate_below(end, self.blocks_promised())
        };
        let Some(block) = block else { return Ok(None) };
        let crc = NodeMut::new(guard.bytes_mut()).stamp(self.generation());
        if let Err(error) = self.write_blocks(&guard, block) {
            self.space.lock().release(block);
            return Err(error);
        }
        self.relocated.store(true, Ordering::Relaxed);
        self.moved(page, entry, CLEAN, BlockRef { block, crc });
        Ok(Some(true))
    }

    /// Whether pages were moved since this was asked last.
    pub(in crate::storage) fn take_relocated(&self) -> bool {
        self.relocated.swap(false, Ordering::Relaxed)
    }

    /// The next checkpoint has to write the map, whatever changes.
    pub(in crate::storage) fn note_relocated(&self) {
        self.relocated.store(true, Ordering::Relaxed);
    }
}

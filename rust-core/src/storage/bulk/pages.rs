//! Pages that were written to the file beside the page map: a tree's, which no commit has linked yet.
//! Knows pages and blocks. Knows nothing of what is on them.
//!
//! The map in memory does not name them, so no checkpoint does; whoever built them reads them through the pool, which
//! asks here where the map says nothing. Linking moves them into the map; dropping them gives ids and blocks back.

use crate::common::ids::{BlockId, Lsn, PageId};
use crate::common::memory::Reservation;
use crate::common::sync::atomic::{AtomicBool, Ordering};
use crate::common::sync::{Arc, Mutex, RwLock};
use crate::error::{Error, Result};
use crate::storage::buffer_pool::BufferPool;
use crate::storage::page_map::BlockRef;
use crate::wal::entry::LinkPages;
use hashbrown::HashSet;
use std::collections::BTreeMap;

/// Charged for a run besides its checksums.
const RUN_BYTES: usize = 64;

/// Neighbouring pages in neighbouring blocks.
#[derive(Debug)]
struct Run {
    block: BlockId,
    crcs: Vec<u32>,
}

/// Where the pages of one tree are.
#[derive(Debug, Default)]
pub(in crate::storage) struct PageList {
    /// By their first page.
    runs: RwLock<BTreeMap<u32, Run>>,
    /// The root, as long as the tree is read from here: a linked tree has a root of its own.
    root: Mutex<Option<(PageId, BlockRef)>>,
    linked: AtomicBool,
}

impl PageList {
    /// Notes where pages are; gives how many bytes that takes.
    fn add(&self, pages: &[(PageId, u32)], start: BlockId) -> usize {
        let mut runs = self.runs.write();
        let mut bytes = 0;
        for (block, (page, crc)) in (start.0..).zip(pages) {
            bytes += size_of::<u32>();
            if let Some((first, run)) = runs.range_mut(..page.0).next_back()
                && first + run.crcs.len() as u32 == page.0
                && run.block.0 + run.crcs.len() as u32 == block
            {
                run.crcs.push(*crc);
                continue;
            }
            bytes += RUN_BYTES;
            runs.insert(page.0, Run { block: BlockId(block), crcs: vec![*crc] });
        }
        bytes
    }

    fn find(&self, page: PageId) -> Option<BlockRef> {
        if let Some((root, at)) = *self.root.lock()
            && root == page
        {
            return Some(at);
        }
        let runs = self.runs.read();
        let (first, run) = runs.range(..=page.0).next_back()?;
        let index = page.0 - first;
        let crc = *run.crcs.get(index as usize)?;
        Some(BlockRef { block: BlockId(run.block.0 + index), crc })
    }

    /// Gives every page but the root to `each`.
    fn for_each(&self, mut each: impl FnMut(PageId, BlockRef)) {
        for (first, run) in self.runs.read().iter() {
            for (index, crc) in (0..).zip(&run.crcs) {
                let at = BlockRef { block: BlockId(run.block.0 + index), crc: *crc };
                each(PageId(first + index), at);
            }
        }
    }
}

/// The pages of one tree, until they are linked or given up. Threads: any; one adds.
pub(in crate::storage) struct BuiltPages {
    pool: Arc<BufferPool>,
    list: Arc<PageList>,
    /// Page ids taken for pages to come.
    spare: Mutex<Vec<PageId>>,
    memory: Mutex<Reservation>,
}

impl std::fmt::Debug for BuiltPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuiltPages").field("list", &self.list).finish_non_exhaustive()
    }
}

impl BuiltPages {
    pub(super) fn new(pool: &Arc<BufferPool>) -> BuiltPages {
        let list = Arc::<PageList>::default();
        pool.built.lists.write().push(Arc::clone(&list));
        let memory = Mutex::new(pool.memory().reservation());
        BuiltPages { pool: Arc::clone(pool), list, spare: Mutex::default(), memory }
    }

    /// A page id for a page to come; `at_once` are taken when none is left.
    /// # Errors
    /// `53200`, `54000`.
    pub(super) fn take_id(&self, at_once: usize) -> Result<PageId> {
        let mut spare = self.spare.lock();
        if spare.is_empty() {
            *spare = self.pool.map.allocate_settled(at_once.max(1))?;
            spare.reverse();
        }
        spare.pop().ok_or_else(|| Error::internal("no page id was given"))
    }

    /// Writes pages that follow each other in `bytes` to free blocks, beside what others have set aside.
    /// # Errors
    /// `53100`, `53200`, `58030`.
    pub(super) fn write(&self, mut bytes: &[u8], mut pages: &[(PageId, u32)]) -> Result<()> {
        let pool = &*self.pool;
        while !pages.is_empty() {
            let promised = pool.blocks_promised();
            let (start, count, taken) = {
                let mut space = pool.space.lock();
                space.ensure(pages.len() as u64, promised)?;
                let (start, count) = space.allocate(pages.len() as u32)?;
                (start, count as usize, self.list.add(&pages[..count as usize], start))
            };
            self.memory.lock().grow(taken)?;
            let (now, rest) = bytes.split_at(count * pool.page_size());
            pool.write_blocks(now, start)?;
            (bytes, pages) = (rest, &pages[count..]);
        }
        Ok(())
    }

    /// Writes the root.
    /// # Errors
    /// As [`BuiltPages::write`].
    pub(super) fn write_root(&self, bytes: &[u8], page: PageId, crc: u32) -> Result<()> {
        let pool = &*self.pool;
        let promised = pool.blocks_promised();
        let block = {
            let mut space = pool.space.lock();
            space.ensure(1, promised)?;
            let (block, _) = space.allocate(1)?;
            *self.list.root.lock() = Some((page, BlockRef { block, crc }));
            block
        };
        pool.write_blocks(bytes, block)
    }

    /// Gives every page but the root to `each`.
    pub(super) fn for_each(&self, each: impl FnMut(PageId, BlockRef)) {
        self.list.for_each(each);
    }

    /// Gives every page but the root as the log has them, `count` of them at a time.
    pub(super) fn encode(&self, count: usize, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (mut bytes, mut pages) = (Vec::new(), 0);
        for (first, run) in self.list.runs.read().iter() {
            let mut done = 0;
            while done < run.crcs.len() {
                let part = (run.crcs.len() - done).min(count - pages);
                let (page, block) = (PageId(first + done as u32), BlockId(run.block.0 + done as u32));
                LinkPages::push_run(&mut bytes, page, block, &run.crcs[done..done + part]);
                (done, pages) = (done + part, pages + part);
                if pages == count {
                    each(&bytes)?;
                    bytes.clear();
                    pages = 0;
                }
            }
        }
        if pages > 0 { each(&bytes) } else { Ok(()) }
    }

    /// A frame that may count names the pages: whatever happens now, nobody else may have them.
    pub(super) fn keep(&self) {
        self.list.linked.store(true, Ordering::SeqCst);
    }

    /// The commit `lsn` linked the pages: they are the map's, and the log's until a checkpoint covers it.
    pub(super) fn note_linked(&self, lsn: Lsn) {
        self.keep();
        let mut space = self.pool.space.lock();
        for run in self.list.runs.read().values() {
            space.note_logged(lsn, run.block, run.crcs.len() as u32);
        }
    }

    fn give_back_page(&self, page: PageId, block: BlockId) {
        // Whoever read it through the tree is gone: the tree is.
        self.pool.free_unread(page);
        self.pool.space.lock().release(block);
    }
}

impl Drop for BuiltPages {
    fn drop(&mut self) {
        self.pool.built.lists.write().retain(|list| !Arc::ptr_eq(list, &self.list));
        for page in std::mem::take(&mut *self.spare.lock()) {
            self.pool.map.free(page);
        }
        let root = self.list.root.lock().take();
        if let Some((page, at)) = root {
            self.give_back_page(page, at.block);
        }
        if !self.list.linked.load(Ordering::SeqCst) {
            self.for_each(|page, at| self.give_back_page(page, at.block));
        }
    }
}

/// All trees that are built and not linked, or about to be. Threads: any.
#[derive(Debug, Default)]
pub(in crate::storage) struct BuiltTrees {
    lists: RwLock<Vec<Arc<PageList>>>,
}

impl BuiltTrees {
    /// Where a page is that the map does not know.
    pub(in crate::storage) fn find(&self, page: PageId) -> Option<BlockRef> {
        self.lists.read().iter().find_map(|list| list.find(page))
    }

    /// Adds the pages and blocks that belong to them alone.
    pub(in crate::storage) fn note_pages_and_blocks(
        &self,
        pages: &mut HashSet<u32>,
        blocks: &mut HashSet<u32>,
    ) {
        let mut note = |page: PageId, at: BlockRef| {
            pages.insert(page.0);
            blocks.insert(at.block.0);
        };
        for list in self.lists.read().iter() {
            if let Some((page, at)) = *list.root.lock() {
                note(page, at);
            }
            if !list.linked.load(Ordering::SeqCst) {
                list.for_each(&mut note);
            }
        }
    }
}

//! Where each page is: page id -> frame in memory, block in the file and its checksum.
//! Knows page ids and blocks. Knows nothing of trees or of what is on a page.
//!
//! In memory a growable array, in the file a tree of map pages that a checkpoint writes to fresh blocks:
//! ```text
//! 0 crc32c  4 "LMAP"  8 level  12 index on its level  16 generation  24 entries {block u32, crc32c u32}; block 0: free
//! ```

use crate::common::checksum::crc32c;
use crate::common::ids::{BlockId, PageId};
use crate::common::memory::MemoryAccount;
use crate::common::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::common::sync::{Arc, Mutex, MutexGuard};
use crate::error::{Error, Result, SqlState};
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

const FIRST_CHUNK_PAGES: u32 = 1024;
const CHUNKS: usize = 22;
/// Page ids below this exist at most.
const PAGE_COUNT_MAX: u64 = FIRST_CHUNK_PAGES as u64 * ((1 << CHUNKS) - 1);
/// Bytes of a map page before its entries.
pub(super) const MAP_HEADER_BYTES: usize = 24;
const MAP_MAGIC: &[u8; 4] = b"LMAP";
/// Map pages on top of each other; 1 KiB pages need the most for all page ids.
pub(super) const MAP_LEVELS_MAX: u32 = 8;

/// One page.
#[derive(Debug, Default)]
pub(super) struct PageEntry {
    /// Frame number + 1; 0: not in memory.
    pub(super) frame: AtomicU32,
    /// 0: not in the file.
    pub(super) block: AtomicU32,
    pub(super) crc: AtomicU32,
}

impl PageEntry {
    /// Where the page is in the file.
    pub(super) fn at(&self) -> BlockRef {
        BlockRef { block: BlockId(self.block.load(Ordering::Acquire)), crc: self.crc.load(Ordering::Acquire) }
    }

    /// Changes where the page is in the file; returns where it was.
    pub(super) fn replace(&self, at: BlockRef) -> BlockRef {
        let crc = self.crc.swap(at.crc, Ordering::AcqRel);
        BlockRef { block: BlockId(self.block.swap(at.block.0, Ordering::AcqRel)), crc }
    }
}

/// Block and checksum, as a map page stores them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BlockRef {
    pub(super) block: BlockId,
    pub(super) crc: u32,
}

#[derive(Debug, Default)]
struct PageIds {
    free: Vec<u32>,
    /// One past the highest id ever in use; 0 is no page.
    count: u32,
    /// So many of the first of `free` were free at the cut of the durable checkpoint, and have been since.
    settled: usize,
    /// As `settled`, for the checkpoint that is being written.
    settling: usize,
}

impl PageIds {
    fn pop(&mut self) -> Option<u32> {
        let page = self.free.pop()?;
        self.settled = self.settled.min(self.free.len());
        self.settling = self.settling.min(self.free.len());
        Some(page)
    }
}

/// The map pages of one level.
#[derive(Debug, Default)]
pub(super) struct MapLevel {
    pub(super) nodes: Vec<BlockRef>,
    /// Nodes whose entries changed since they were written.
    dirty: Vec<bool>,
}

impl MapLevel {
    pub(super) fn mark(&mut self, index: usize) {
        if index >= self.nodes.len() {
            self.nodes.resize(index + 1, BlockRef::default());
            // Pages of a load that is not linked may lie in between: what was never written must be.
            self.dirty.resize(index + 1, true);
        }
        self.dirty[index] = true;
    }
    /// The level as it was read from the file.
    pub(super) fn nodes_opened(&mut self, nodes: Vec<BlockRef>) {
        self.dirty = vec![false; nodes.len()];
        self.nodes = nodes;
    }
    /// The nodes below `count` that must be written, which count as written from now on.
    pub(super) fn take_dirty(&mut self, count: usize) -> Vec<usize> {
        (self.nodes.len()..count).for_each(|index| self.mark(index));
        let taken: Vec<usize> = (0..count).filter(|index| self.dirty[*index]).collect();
        taken.iter().for_each(|index| self.dirty[*index] = false);
        taken
    }
    /// A node lies somewhere else now; returns where it was.
    pub(super) fn written(&mut self, index: usize, at: BlockRef) -> BlockRef {
        std::mem::replace(&mut self.nodes[index], at)
    }
}

/// Pages with neighbouring ids.
#[derive(Debug)]
struct Chunk {
    entries: Box<[PageEntry]>,
    /// A bit a page: see [`PageMap::is_sound`].
    sound: Box<[AtomicU64]>,
}

impl Chunk {
    fn new(pages: usize) -> Chunk {
        Chunk {
            entries: (0..pages).map(|_| PageEntry::default()).collect(),
            sound: (0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn bytes(pages: usize) -> usize {
        pages * size_of::<PageEntry>() + pages.div_ceil(64) * size_of::<AtomicU64>()
    }
}

/// All pages of a database.
pub(super) struct PageMap {
    chunks: [OnceLock<Chunk>; CHUNKS],
    ids: Mutex<PageIds>,
    /// As `ids` says, for a look without the lock.
    page_count: AtomicU32,
    pages_in_use: AtomicU32,
    /// Level 0 maps pages, level n maps the nodes of level n - 1. The last level has one node once written.
    levels: Mutex<Vec<MapLevel>>,
    fanout: usize,
    memory: Arc<MemoryAccount>,
}

/// The ids, locked; what is told of them without the lock changes with them.
struct LockedIds<'a> {
    map: &'a PageMap,
    ids: MutexGuard<'a, PageIds>,
}

impl Deref for LockedIds<'_> {
    type Target = PageIds;
    fn deref(&self) -> &PageIds {
        &self.ids
    }
}

impl DerefMut for LockedIds<'_> {
    fn deref_mut(&mut self) -> &mut PageIds {
        &mut self.ids
    }
}

impl Drop for LockedIds<'_> {
    fn drop(&mut self) {
        let in_use = self.ids.count - 1 - self.ids.free.len() as u32;
        self.map.page_count.store(self.ids.count, Ordering::Release);
        self.map.pages_in_use.store(in_use, Ordering::Release);
    }
}

impl std::fmt::Debug for PageMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageMap").field("page_count", &self.page_count()).finish_non_exhaustive()
    }
}

impl Drop for PageMap {
    fn drop(&mut self) {
        let chunks = self.chunks.iter().filter_map(OnceLock::get);
        self.memory.release(chunks.map(|chunk| Chunk::bytes(chunk.entries.len())).sum());
    }
}

fn locate(page: PageId) -> (usize, usize) {
    let shifted = page.0 + FIRST_CHUNK_PAGES;
    let chunk = (shifted.ilog2() - FIRST_CHUNK_PAGES.ilog2()) as usize;
    (chunk, (shifted - (FIRST_CHUNK_PAGES << chunk)) as usize)
}

impl PageMap {
    pub(super) fn new(page_size: usize, memory: Arc<MemoryAccount>) -> PageMap {
        PageMap {
            chunks: [const { OnceLock::new() }; CHUNKS],
            ids: Mutex::new(PageIds { free: Vec::new(), count: 1, settled: 0, settling: 0 }),
            page_count: AtomicU32::new(1),
            pages_in_use: AtomicU32::new(0),
            levels: Mutex::new(vec![MapLevel::default()]),
            fanout: (page_size - MAP_HEADER_BYTES) / 8,
            memory,
        }
    }

    fn ids(&self) -> LockedIds<'_> {
        LockedIds { map: self, ids: self.ids.lock() }
    }

    /// Entries of a map page.
    pub(super) fn fanout(&self) -> usize {
        self.fanout
    }

    /// The entry of a page that was allocated at some time.
    pub(super) fn entry(&self, page: PageId) -> Option<&PageEntry> {
        if u64::from(page.0) >= PAGE_COUNT_MAX {
            return None;
        }
        let (chunk, index) = locate(page);
        Some(&self.chunks[chunk].get()?.entries[index])
    }

    /// The word and the bit that say whether a page is sound.
    fn soundness(&self, page: PageId) -> Option<(&AtomicU64, u64)> {
        if u64::from(page.0) >= PAGE_COUNT_MAX {
            return None;
        }
        let (chunk, index) = locate(page);
        Some((&self.chunks[chunk].get()?.sound[index / 64], 1 << (index % 64)))
    }

    /// Whether what lies in the page's block was looked through since it was written: whoever reads the same bytes
    /// again, as their checksum says, need not look again.
    pub(super) fn is_sound(&self, page: PageId) -> bool {
        self.soundness(page).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Notes that what lies in the page's block was looked through.
    pub(super) fn note_sound(&self, page: PageId) {
        if let Some((word, bit)) = self.soundness(page) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// One past the highest page id in use.
    pub(super) fn page_count(&self) -> u32 {
        self.page_count.load(Ordering::Acquire)
    }

    /// Pages in use.
    pub(super) fn pages_in_use(&self) -> u64 {
        u64::from(self.pages_in_use.load(Ordering::Acquire))
    }

    /// Makes entries for page ids below `count`.
    /// # Errors
    /// `53200`; `54000` when the database has as many pages as there can be.
    pub(super) fn ensure(&self, count: u64) -> Result<()> {
        self.make_entries(count, |bytes| self.memory.charge(bytes))
    }

    fn make_entries(&self, count: u64, charge: impl Fn(usize) -> Result<()>) -> Result<()> {
        if count > PAGE_COUNT_MAX {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "the database has too many pages"));
        }
        let (last, _) = locate(PageId(count.max(1) as u32 - 1));
        for chunk in 0..=last {
            if self.chunks[chunk].get().is_some() {
                continue;
            }
            let pages = (FIRST_CHUNK_PAGES as usize) << chunk;
            charge(Chunk::bytes(pages))?;
            let mut made = false;
            self.chunks[chunk].get_or_init(|| {
                made = true;
                Chunk::new(pages)
            });
            if !made {
                self.memory.release(Chunk::bytes(pages));
            }
        }
        Ok(())
    }

    /// A page id that nothing uses.
    /// # Errors
    /// `53200`, `54000`; not after `ensure` made room.
    pub(super) fn allocate(&self) -> Result<PageId> {
        let mut ids = self.ids();
        if let Some(page) = ids.pop() {
            return Ok(PageId(page));
        }
        // Without asking others to give memory back: the caller holds latches.
        self.make_entries(u64::from(ids.count) + 1, |bytes| {
            if self.memory.try_charge(bytes) {
                return Ok(());
            }
            Err(Error::new(SqlState::OUT_OF_MEMORY, "memory limit reached").hint("Raise memory_limit."))
        })?;
        ids.count += 1;
        Ok(PageId(ids.count - 1))
    }

    pub(super) fn free(&self, page: PageId) {
        self.ids().free.push(page.0);
    }

    /// Page ids that nothing uses, nor did at any moment that the log goes back to: whoever replays it finds them free.
    /// Gives `count` of them.
    /// # Errors
    /// `53200`, `54000`.
    pub(super) fn allocate_settled(&self, count: usize) -> Result<Vec<PageId>> {
        let mut ids = self.ids();
        let old = count.min(ids.settled);
        let fresh = (count - old) as u32;
        self.make_entries(u64::from(ids.count) + u64::from(fresh), |bytes| {
            if self.memory.try_charge(bytes) {
                return Ok(());
            }
            Err(Error::new(SqlState::OUT_OF_MEMORY, "memory limit reached").hint("Raise memory_limit."))
        })?;
        let (from, to) = (ids.settled - old, ids.settled);
        let mut pages: Vec<PageId> = ids.free.drain(from..to).map(PageId).collect();
        pages.sort_unstable();
        ids.settled = from;
        // Those that are settled now will be with the next checkpoint.
        ids.settling -= old;
        pages.extend((ids.count..ids.count + fresh).map(PageId));
        ids.count += fresh;
        Ok(pages)
    }

    /// A checkpoint begins.
    pub(super) fn begin_cut(&self) {
        let mut ids = self.ids();
        ids.settling = ids.free.len();
    }

    /// The checkpoint that began with the cut is durable.
    pub(super) fn publish(&self) {
        let mut ids = self.ids();
        ids.settled = ids.settling;
    }

    /// For recovery: the log names these pages, so that nothing else may become them. False: one is in use, or named
    /// twice.
    /// # Errors
    /// `53200`, `54000`.
    pub(super) fn take_named(&self, mut pages: Vec<u32>) -> Result<bool> {
        pages.sort_unstable();
        let Some(last) = pages.last().copied() else { return Ok(true) };
        if pages.windows(2).any(|pair| pair[0] == pair[1]) || pages[0] == 0 {
            return Ok(false);
        }
        self.ensure(u64::from(last) + 1)?;
        let mut ids = self.ids();
        if ids.count <= last {
            let count = ids.count;
            ids.free.extend((count..=last).rev());
            ids.count = last + 1;
        }
        let before = ids.free.len();
        ids.free.retain(|page| pages.binary_search(page).is_err());
        ids.settled = 0;
        ids.settling = 0;
        Ok(before - ids.free.len() == pages.len())
    }

    /// Sets the state of the ids after the map was read: free are those without a block.
    pub(super) fn opened(&self, count: u32) {
        let mut ids = self.ids();
        ids.count = count;
        ids.free = (1..count)
            .rev()
            .filter(|page| {
                self.entry(PageId(*page)).is_none_or(|entry| entry.block.load(Ordering::Relaxed) == 0)
            })
            .collect();
        ids.settled = ids.free.len();
        ids.settling = ids.free.len();
    }

    /// Notes that a page's block changed.
    pub(super) fn mark_changed(&self, page: PageId) {
        if let Some((word, bit)) = self.soundness(page) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
        self.levels.lock()[0].mark(page.0 as usize / self.fanout);
    }

    /// Has the next checkpoint write map pages anew that lie in blocks from `end` on; gives how many there are.
    pub(super) fn mark_above(&self, end: BlockId) -> u64 {
        let mut marked = 0;
        for level in self.levels.lock().iter_mut() {
            let (nodes, dirty) = (&level.nodes, &mut level.dirty);
            for (node, dirty) in nodes.iter().zip(dirty).filter(|(node, _)| node.block >= end) {
                marked += u64::from(!*dirty && node.block.0 != 0);
                *dirty = true;
            }
        }
        marked
    }

    /// The map pages; for checkpoint, open and verify.
    pub(super) fn levels(&self) -> MutexGuard<'_, Vec<MapLevel>> {
        self.levels.lock()
    }

    /// Lays out a map page of level 0, for the pages below `count`: where `frozen` says nothing, as they are.
    pub(super) fn encode_leaf(
        &self,
        index: usize,
        count: u32,
        generation: u64,
        frozen: impl Fn(PageId) -> Option<BlockRef>,
        bytes: &mut [u8],
    ) -> u32 {
        encode(0, index, generation, bytes, |slot| {
            let page = PageId((index * self.fanout + slot) as u32);
            if page.0 >= count {
                return None;
            }
            frozen(page).or_else(|| self.entry(page).map(PageEntry::at))
        })
    }
}

/// Lays out a map page; returns its checksum. `entry` gives the slots.
pub(super) fn encode(
    level: u32,
    index: usize,
    generation: u64,
    bytes: &mut [u8],
    entry: impl Fn(usize) -> Option<BlockRef>,
) -> u32 {
    bytes.fill(0);
    bytes[4..8].copy_from_slice(MAP_MAGIC);
    bytes[8..12].copy_from_slice(&level.to_le_bytes());
    bytes[12..16].copy_from_slice(&(index as u32).to_le_bytes());
    bytes[16..24].copy_from_slice(&generation.to_le_bytes());
    for (slot, stored) in bytes[MAP_HEADER_BYTES..].as_chunks_mut::<8>().0.iter_mut().enumerate() {
        if let Some(at) = entry(slot) {
            stored[..4].copy_from_slice(&at.block.0.to_le_bytes());
            stored[4..].copy_from_slice(&at.crc.to_le_bytes());
        }
    }
    let crc = crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// Checks a map page and gives its entries.
pub(super) fn decode(
    bytes: &[u8],
    level: u32,
    index: usize,
    crc: u32,
) -> std::result::Result<Vec<BlockRef>, &'static str> {
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if number(0) != crc || crc32c(&bytes[4..]) != crc {
        return Err("checksum does not match");
    }
    if &bytes[4..8] != MAP_MAGIC || number(8) != level || number(12) as usize != index {
        return Err("it is not the map page that belongs here");
    }
    Ok(bytes[MAP_HEADER_BYTES..]
        .as_chunks::<8>()
        .0
        .iter()
        .map(|stored| BlockRef {
            block: BlockId(u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]])),
            crc: u32::from_le_bytes([stored[4], stored[5], stored[6], stored[7]]),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_bulk_load_were_free_ever_since_the_last_checkpoint() {
        let map = PageMap::new(1024, MemoryAccount::new(1 << 20));
        let numbers = |pages: Vec<PageId>| pages.into_iter().map(|page| page.0).collect::<Vec<_>>();
        (1..=10).for_each(|page| assert_eq!(map.allocate().unwrap(), PageId(page)));
        [3, 5, 7].into_iter().for_each(|page| map.free(PageId(page)));
        assert_eq!(numbers(map.allocate_settled(2).unwrap()), [11, 12]);
        map.begin_cut();
        map.free(PageId(9));
        assert_eq!(numbers(map.allocate_settled(1).unwrap()), [13]);
        assert_eq!(map.allocate().unwrap(), PageId(9));
        assert_eq!(map.allocate().unwrap(), PageId(7));
        map.free(PageId(7));
        map.publish();
        assert_eq!(numbers(map.allocate_settled(3).unwrap()), [3, 5, 14]);
        assert_eq!(map.allocate().unwrap(), PageId(7));
        assert!(map.take_named(vec![20, 17]).unwrap());
        assert!(!map.take_named(vec![17]).unwrap() && !map.take_named(vec![18, 18]).unwrap());
        let rest: Vec<u32> = (0..5).map(|_| map.allocate().unwrap().0).collect();
        assert_eq!(rest, [15, 16, 18, 19, 21]);
    }

    #[test]
    fn every_page_id_has_its_own_entry() {
        let mut next = (0, 0);
        for page in 0..5000 {
            let at = locate(PageId(page));
            assert_eq!(at, next);
            next = if at.1 + 1 == (FIRST_CHUNK_PAGES as usize) << at.0 {
                (at.0 + 1, 0)
            } else {
                (at.0, at.1 + 1)
            };
        }
    }
}

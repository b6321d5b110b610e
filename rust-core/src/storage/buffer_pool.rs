//! Frames of memory that hold pages: fetching under a latch, clock eviction, writing to fresh blocks.
//! Knows pages as bytes with an id. Knows nothing of trees or of when a checkpoint is due.
//!
//! A latch is the pin: whoever holds a frame's latch keeps its page there. A page goes from memory only under
//! its frame's exclusive latch, which the clock merely tries; so nothing here waits for a latch while it holds
//! a lock of the pool, and memory can be reclaimed by whoever asks, whatever latches he holds.
//!
//! A changed page is never written over a block that the durable checkpoint names: each write takes a free
//! block and notes it in the map; the old block is free when the next checkpoint is durable. What a checkpoint
//! writes is as of its cut, whatever changes meanwhile: see [`cut`].

mod ahead;
mod counters;
mod cut;
mod guard;
mod relocate;
mod write_back;

pub(super) use ahead::PageAhead;
use counters::PoolCounters;
pub(super) use cut::CutPage;
use cut::{CLEAN, Cut, FIRST_EPOCH};
use guard::PageGuard;
pub(super) use guard::{ExclusivePage, SharedPage};
use write_back::{Batch, WriteBack};

use super::bulk::pages::BuiltTrees;
use super::free_space::FreeSpace;
use super::page::{Node, NodeMut};
use super::page_map::{BlockRef, PageEntry, PageMap};
use crate::common::ids::{BlockId, PageId};
use crate::common::latch::Latch;
use crate::common::memory::{MemoryAccount, Reclaim};
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::common::sync::{Arc, Mutex, yield_now};
use crate::error::{Error, Result, SqlState};
use crate::io::system;
use crate::io::vfs::File;
use crossbeam::utils::CachePadded;
use memmap2::{MmapMut, MmapOptions, UncheckedAdvice};

/// Frames that the pool always may use: fewer could not hold the paths of a few writers.
pub(super) const FRAMES_MIN: usize = 64;
const ARENA_BYTES_MAX: usize = 1 << 40;
/// From this size on an arena asks for large pages.
#[cfg(target_os = "linux")]
const HUGE_ARENA_BYTES_MIN: usize = 64 << 20;
const LOAD_LOCKS: usize = 64;
/// Pre-images take at most this share of the account.
const IMAGE_MEMORY_SHARE: usize = 8;
/// Pre-images take at most so many bytes.
const IMAGE_BYTES_MAX: usize = 32 << 20;
/// The allocator is asked to give memory back when statements freed this share of the limit, within these bounds.
const TRIM_MEMORY_SHARE: usize = 16;
const TRIM_BYTES_MIN: usize = 1 << 20;
const TRIM_BYTES_MAX: usize = 16 << 20;
/// Changed pages that are passed over in the search for one that need not be written.
const DIRTY_PASSED_MAX: usize = 64;
/// Rounds of the clock before the pool gives up finding a frame.
const CLOCK_ROUNDS_MAX: usize = 200;

/// Cache lines with a page's header and the first of its key heads.
#[cfg(target_arch = "x86_64")]
const SEARCHED_LINES: usize = 5;

/// What is known of a frame. 32 bytes, so that two share a cache line.
#[repr(align(32))]
struct Frame {
    /// Protects the frame's bytes and `page`.
    latch: Latch,
    /// 0: none.
    page: AtomicU32,
    /// Whether and in which epoch it changed since it was read or written: see [`cut`].
    dirty: AtomicU32,
    /// Used since the clock came by.
    referenced: AtomicBool,
}

/// A page as it was, and where and when that was so.
#[derive(Debug)]
pub(super) struct PageCopy {
    frame: usize,
    version: u64,
    bytes: Box<[u8]>,
}

impl PageCopy {
    pub(super) fn node(&self) -> Node<'_> {
        Node::new(&self.bytes)
    }
}

#[derive(Debug, Default)]
struct FrameStock {
    /// Without memory, to be used again.
    free: Vec<u32>,
    /// Resident ones without a page: the next that are taken, and the first that are given back.
    spare: Vec<u32>,
    resident: usize,
}

/// The pool of one database file.
pub(super) struct BufferPool {
    file: Arc<dyn File>,
    file_name: String,
    page_size: usize,
    memory: Arc<MemoryAccount>,
    arena: MmapMut,
    /// Start of `arena`.
    bytes: *mut u8,
    /// Keeps the memory of `frames`.
    _frame_memory: MmapMut,
    frames: *mut Frame,
    frame_count_max: usize,
    /// Frames below this are initialised.
    frame_count: AtomicUsize,
    stock: Mutex<FrameStock>,
    hand: AtomicUsize,
    dirty_count: CachePadded<AtomicUsize>,
    /// A panic came while a page was latched: it may be half changed.
    interrupted: AtomicBool,
    /// One reader of a page from the file at a time.
    load_locks: [Mutex<()>; LOAD_LOCKS],
    generation: AtomicU64,
    /// Counts the cuts.
    epoch: AtomicU32,
    /// The checkpoint that is being written.
    cut: Mutex<Option<Cut>>,
    /// Pre-images that have no block yet.
    images_waiting: AtomicUsize,
    /// Bytes that pre-images may take at a time.
    image_bytes_max: AtomicUsize,
    /// Pages lie elsewhere than the last checkpoint says though nothing changed: see [`relocate`].
    relocated: AtomicBool,
    write_back: WriteBack,
    /// So many bytes that others gave back are worth a call of the allocator.
    trim_bytes: usize,
    /// The arena asks for large pages no more.
    #[cfg(target_os = "linux")]
    without_large_pages: AtomicBool,
    read_only: bool,
    /// Pages that the map does not name yet.
    pub(super) built: BuiltTrees,
    pub(super) map: PageMap,
    pub(super) space: CachePadded<Mutex<FreeSpace>>,
    pub(super) counters: PoolCounters,
}

// SAFETY: `bytes` and `frames` point into mappings that live as long as the pool; a frame's bytes are reached
// only under its latch (see `SharedPage`, `ExclusivePage`), its header is made of atomics and the latch.
unsafe impl Send for BufferPool {}
// SAFETY: as above.
unsafe impl Sync for BufferPool {}

impl std::fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BufferPool")
            .field("page_size", &self.page_size)
            .field("frames", &self.frame_count)
            .field("dirty", &self.dirty_count)
            .finish_non_exhaustive()
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        let resident = self.stock.lock().resident;
        self.memory.release((resident.max(FRAMES_MIN) + self.write_back.batch_pages) * self.page_size);
    }
}

/// How a pool is made.
pub(super) struct PoolOptions {
    pub(super) file: Arc<dyn File>,
    pub(super) file_name: String,
    pub(super) page_size: usize,
    pub(super) memory: Arc<MemoryAccount>,
    pub(super) read_only: bool,
}

fn reserve_address_space(frame_count: usize, bytes_each: usize) -> std::io::Result<MmapMut> {
    let arena = MmapOptions::new().len(frame_count * bytes_each).no_reserve_swap().map_anon()?;
    // Large pages where there is room for them: fewer faults while the pool fills, fewer misses when it is
    // read at random. A small arena would commit more than it may use. It is advice: refusal is no failure.
    #[cfg(target_os = "linux")]
    if arena.len() >= HUGE_ARENA_BYTES_MIN {
        let _ = arena.advise(memmap2::Advice::HugePage);
    }
    Ok(arena)
}

impl BufferPool {
    /// A pool without pages. Address space for all that `memory` allows; memory only as pages come in.
    /// # Errors
    /// `53200` when not even the least number of frames fits into the account.
    pub(super) fn new(options: PoolOptions, space: FreeSpace) -> Result<Arc<BufferPool>> {
        let page_size = options.page_size;
        let mut frame_count_max = (options.memory.limit().min(ARENA_BYTES_MAX) / page_size).max(FRAMES_MIN);
        let (mut arena, mut frame_memory) = loop {
            let maps = reserve_address_space(frame_count_max, page_size)
                .and_then(|arena| Ok((arena, reserve_address_space(frame_count_max, size_of::<Frame>())?)));
            match maps {
                Ok(maps) => break maps,
                Err(error) if frame_count_max == FRAMES_MIN => {
                    return Err(Error::new(
                        SqlState::OUT_OF_MEMORY,
                        "cannot reserve memory for the buffer pool",
                    )
                    .detail(error.to_string()));
                }
                Err(_) => frame_count_max = (frame_count_max / 2).max(FRAMES_MIN),
            }
        };
        let map = PageMap::new(page_size, Arc::clone(&options.memory));
        let write_back = WriteBack::new(page_size, options.memory.limit());
        options.memory.charge((FRAMES_MIN + write_back.batch_pages) * page_size)?;
        let image_bytes_max =
            (options.memory.limit() / IMAGE_MEMORY_SHARE).clamp(4 * page_size, IMAGE_BYTES_MAX);
        let trim_bytes = (options.memory.limit() / TRIM_MEMORY_SHARE).clamp(TRIM_BYTES_MIN, TRIM_BYTES_MAX);
        let bytes = arena.as_mut_ptr();
        let frames = frame_memory.as_mut_ptr().cast::<Frame>();
        let pool = Arc::new(BufferPool {
            file: options.file,
            file_name: options.file_name,
            page_size,
            memory: options.memory,
            arena,
            bytes,
            _frame_memory: frame_memory,
            frames,
            frame_count_max,
            frame_count: AtomicUsize::new(0),
            stock: Mutex::new(FrameStock::default()),
            hand: AtomicUsize::new(0),
            dirty_count: CachePadded::new(AtomicUsize::new(0)),
            interrupted: AtomicBool::new(false),
            load_locks: std::array::from_fn(|_| Mutex::new(())),
            generation: AtomicU64::new(1),
            epoch: AtomicU32::new(FIRST_EPOCH),
            cut: Mutex::new(None),
            images_waiting: AtomicUsize::new(0),
            image_bytes_max: AtomicUsize::new(image_bytes_max),
            relocated: AtomicBool::new(false),
            write_back,
            trim_bytes,
            #[cfg(target_os = "linux")]
            without_large_pages: AtomicBool::new(false),
            read_only: options.read_only,
            built: BuiltTrees::default(),
            map,
            space: CachePadded::new(Mutex::new(space)),
            counters: PoolCounters::default(),
        });
        let reclaimer: Arc<dyn Reclaim> = Arc::<BufferPool>::clone(&pool);
        pool.memory.register(Arc::downgrade(&reclaimer));
        Ok(pool)
    }

    pub(super) fn page_size(&self) -> usize {
        self.page_size
    }
    pub(super) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }
    pub(super) fn file_name(&self) -> &str {
        &self.file_name
    }
    pub(super) fn memory(&self) -> &Arc<MemoryAccount> {
        &self.memory
    }
    pub(super) fn frame_count_max(&self) -> usize {
        self.frame_count_max
    }
    pub(super) fn frames_resident(&self) -> usize {
        self.stock.lock().resident
    }

    /// Those of them that hold a page.
    #[cfg(test)]
    pub(super) fn frames_in_use(&self) -> usize {
        let stock = self.stock.lock();
        stock.resident - stock.spare.len()
    }

    /// Whether a panic came while a page was latched.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
    pub(super) fn dirty_count(&self) -> usize {
        self.dirty_count.load(Ordering::Relaxed)
    }
    /// The generation of the next checkpoint, or of the one that is being written: pages carry the one under which
    /// they were written, which is never above that of the first checkpoint that names them.
    pub(super) fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
    }
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    fn frame(&self, index: usize) -> &Frame {
        debug_assert!(index < self.frame_count.load(Ordering::Acquire));
        // SAFETY: indices come from the map's entries, the free list and the clock; all are below
        // `frame_count`, and `take_new_frame` wrote the header before it raised that.
        unsafe { &*self.frames.add(index) }
    }

    fn frame_index(&self, frame: &Frame) -> usize {
        // SAFETY: `frame` was made by `frame()`, so it lies in the array that `frames` points to.
        (unsafe { std::ptr::from_ref(frame).offset_from(self.frames) }) as usize
    }

    fn frame_bytes(&self, frame: &Frame) -> *mut u8 {
        // SAFETY: the arena has `frame_count_max` frames of `page_size` bytes, and the index is below that.
        unsafe { self.bytes.add(self.frame_index(frame) * self.page_size) }
    }

    /// A page under its shared latch.
    /// # Errors
    /// `XX001` when the page is damaged or not mapped, `58030`, `53200`, `53100` (an eviction had to write).
    pub(super) fn fetch_shared(&self, page: PageId) -> Result<SharedPage<'_>> {
        self.try_fetch_shared(page)?.ok_or_else(|| self.unmapped(page))
    }

    /// A page under its exclusive latch. Errors as [`BufferPool::fetch_shared`].
    pub(super) fn fetch_exclusive(&self, page: PageId) -> Result<ExclusivePage<'_>> {
        self.try_fetch_exclusive(page)?.ok_or_else(|| self.unmapped(page))
    }

    /// Has the processor fetch what a search reads first, the page's beginning and its end, while the latch is taken.
    #[inline]
    fn prefetch(&self, frame: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let start = self.bytes.wrapping_add(frame * self.page_size).cast::<i8>();
            for line in 0..SEARCHED_LINES {
                // SAFETY: a prefetch reads nothing and cannot fault, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line * 64)) };
            }
            // SAFETY: as above.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(self.page_size - 64)) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = frame;
    }

    /// Where `page` lies now, if it is in memory.
    pub(super) fn ahead(&self, page: PageId) -> PageAhead {
        let number = self.map.entry(page).map_or(0, |entry| entry.frame.load(Ordering::Relaxed)) as usize;
        if number == 0 {
            return PageAhead::default();
        }
        let start = self.bytes.wrapping_add((number - 1) * self.page_size).addr();
        PageAhead::new(start, self.page_size)
    }

    /// As [`BufferPool::fetch_shared`]; none when no such page exists (any more).
    pub(super) fn try_fetch_shared(&self, page: PageId) -> Result<Option<SharedPage<'_>>> {
        self.try_fetch(page)
    }

    /// As [`BufferPool::fetch_exclusive`]; none when no such page exists (any more).
    pub(super) fn try_fetch_exclusive(&self, page: PageId) -> Result<Option<ExclusivePage<'_>>> {
        self.try_fetch(page)
    }

    #[inline]
    fn try_fetch<'p, G: PageGuard<'p>>(&'p self, page: PageId) -> Result<Option<G>> {
        let Some(entry) = self.map.entry(page) else { return Ok(None) };
        loop {
            let number = entry.frame.load(Ordering::Acquire);
            if number == 0 {
                if !self.load(page, entry)? {
                    return Ok(None);
                }
                continue;
            }
            let frame = self.frame(number as usize - 1);
            self.prefetch(number as usize - 1);
            let guard = G::latch(self, frame);
            if frame.page.load(Ordering::Relaxed) == page.0 {
                if !frame.referenced.load(Ordering::Relaxed) {
                    frame.referenced.store(true, Ordering::Relaxed);
                }
                self.counters.hit();
                return Ok(Some(guard));
            }
        }
    }

    /// A copy of a page for its reader alone.
    pub(super) fn copy(&self, page: &SharedPage<'_>) -> PageCopy {
        let frame = self.frame_index(page.frame);
        PageCopy { frame, version: page.frame.latch.version(), bytes: Box::from(&**page) }
    }

    /// Whether nobody has latched the page exclusively since it was copied, see [`Latch::version`]; the copy is of a page
    /// of this pool.
    #[inline]
    pub(super) fn is_current(&self, copy: &PageCopy) -> bool {
        let frame = self.frame(copy.frame);
        // What is read by its copies is in use as well.
        if !frame.referenced.load(Ordering::Relaxed) {
            frame.referenced.store(true, Ordering::Relaxed);
        }
        frame.latch.version() == copy.version
    }

    /// Whether a page is in memory and changed, without waiting for its latch.
    pub(super) fn is_dirty(&self, page: PageId) -> bool {
        let number = self.map.entry(page).map_or(0, |entry| entry.frame.load(Ordering::Acquire));
        number != 0 && {
            let frame = self.frame(number as usize - 1);
            frame.page.load(Ordering::Relaxed) == page.0 && frame.dirty.load(Ordering::Relaxed) != CLEAN
        }
    }

    fn clean(&self, frame: &Frame) {
        if frame.dirty.swap(CLEAN, Ordering::AcqRel) != CLEAN {
            self.dirty_count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn unmapped(&self, page: PageId) -> Error {
        Error::new(SqlState::DATA_CORRUPTED, format!("database \"{}\" is damaged", self.file_name))
            .detail(format!("Page {page} is named by a tree, but not by the page map."))
    }

    /// `XX001` that names the file, the block and the page.
    pub(super) fn damaged(&self, page: PageId, block: u32, what: &str) -> Error {
        Error::new(SqlState::DATA_CORRUPTED, format!("database \"{}\" is damaged", self.file_name))
            .detail(format!("Page {page} in block {block}: {what}."))
            .hint("Restore a backup; lumos_verify lists all damage.")
    }

    /// Reads a block and checks that it is `page`, and a page through and through.
    pub(super) fn read_block(&self, page: PageId, block: u32, crc: u32, bytes: &mut [u8]) -> Result<()> {
        self.read_same(page, block, crc, bytes)?;
        self.look_through(page, block, bytes)
    }

    fn look_through(&self, page: PageId, block: u32, bytes: &[u8]) -> Result<()> {
        let node = Node::new(bytes);
        if let Some(what) = node.unknown() {
            return Err(Error::not_supported(format!("{what} in database \"{}\"", self.file_name))
                .detail(format!("Page {page} in block {block} was written by a newer version of Lumos."))
                .hint("Open the database with that version."));
        }
        node.check().map_err(|what| self.damaged(page, block, what))
    }

    /// Reads a block and checks that it holds what was written there for `page`.
    fn read_same(&self, page: PageId, block: u32, crc: u32, bytes: &mut [u8]) -> Result<()> {
        let read = self.file.read_at(bytes, u64::from(block) * self.page_size as u64)?;
        self.counters.reads.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        if read != self.page_size {
            return Err(self.damaged(page, block, "the file ends before it"));
        }
        let node = Node::new(bytes);
        let computed = node.computed_crc();
        if (node.stored_crc() != computed || computed != crc)
            && !is_planted(PlantedFault::PageChecksumIgnored)
        {
            return Err(self.damaged(page, block, "its checksum does not match"));
        }
        if node.page_id() != page {
            return Err(self.damaged(page, block, "another page is stored there"));
        }
        Ok(())
    }

    /// Reads the page that is at `at`. Whether it can be read without harm is found out once: the map's checksum
    /// says that it is the same again.
    fn read_page(&self, page: PageId, at: BlockRef, bytes: &mut [u8]) -> Result<()> {
        self.read_same(page, at.block.0, at.crc, bytes)?;
        if !self.map.is_sound(page) {
            self.look_through(page, at.block.0, bytes)?;
            self.map.note_sound(page);
        }
        Ok(())
    }

    /// Brings a page into memory. False: the map does not name it.
    fn load(&self, page: PageId, entry: &PageEntry) -> Result<bool> {
        let _alone = self.load_locks[page.0 as usize % LOAD_LOCKS].lock();
        if entry.frame.load(Ordering::Acquire) != 0 {
            return Ok(true);
        }
        let mut at = entry.at();
        if at.block.0 == 0 {
            let Some(built) = self.built.find(page) else { return Ok(false) };
            at = built;
        }
        self.counters.misses.fetch_add(1, Ordering::Relaxed);
        let mut guard = self.take_frame()?;
        if let Err(error) = self.read_page(page, at, guard.bytes_mut()) {
            self.put_back(guard);
            return Err(error);
        }
        guard.frame.referenced.store(true, Ordering::Relaxed);
        guard.frame.page.store(page.0, Ordering::Relaxed);
        entry.frame.store(self.frame_index(guard.frame) as u32 + 1, Ordering::Release);
        Ok(true)
    }

    /// A new page, changed, under its exclusive latch. Its bytes are whatever the frame held: the caller formats it.
    /// # Errors
    /// `53200`, `54000` (not after a reservation), or what an eviction met.
    pub(super) fn allocate(&self) -> Result<ExclusivePage<'_>> {
        let page = self.map.allocate()?;
        let mut guard = match self.take_frame() {
            Ok(guard) => guard,
            Err(error) => {
                self.map.free(page);
                return Err(error);
            }
        };
        let Some(entry) = self.map.entry(page) else {
            return Err(Error::internal("an allocated page has no map entry"));
        };
        guard.frame.referenced.store(true, Ordering::Relaxed);
        guard.frame.page.store(page.0, Ordering::Relaxed);
        guard.mark_dirty();
        self.map.mark_changed(page);
        entry.frame.store(self.frame_index(guard.frame) as u32 + 1, Ordering::Release);
        Ok(guard)
    }

    /// Frees the page under `guard`: no id, no block, no frame.
    pub(super) fn free(&self, mut guard: ExclusivePage<'_>) {
        let page = PageId(guard.frame.page.load(Ordering::Relaxed));
        // A checkpoint that has not written it yet still needs what it holds.
        let is_handed_over = self.hand_over(&guard);
        if !is_handed_over && guard.frame.dirty.load(Ordering::Relaxed) != CLEAN {
            guard.mark_dirty();
        }
        self.clean(guard.frame);
        self.forget(page, || guard.frame.page.store(0, Ordering::Relaxed));
        if !is_handed_over {
            self.put_back(guard);
        }
    }

    /// Frees a page without reading it. It must not be reachable by anyone.
    pub(super) fn free_unread(&self, page: PageId) {
        loop {
            let number = self.map.entry(page).map_or(0, |entry| entry.frame.load(Ordering::Acquire));
            if number == 0 {
                return self.forget(page, || ());
            }
            let frame = self.frame(number as usize - 1);
            let guard = ExclusivePage::latch(self, frame);
            if frame.page.load(Ordering::Relaxed) == page.0 {
                return self.free(guard);
            }
        }
    }

    fn forget(&self, page: PageId, detach: impl FnOnce()) {
        let Some(entry) = self.map.entry(page) else { return };
        {
            // Whoever follows a stale link must not be reading the block when it becomes free.
            let _alone = self.load_locks[page.0 as usize % LOAD_LOCKS].lock();
            detach();
            entry.frame.store(0, Ordering::Release);
            self.moved_since_cut(page, entry, BlockRef::default());
        }
        self.map.free(page);
    }

    /// A frame without a page, under its exclusive latch: a free one, a new one, or an evicted one.
    fn take_frame(&self) -> Result<ExclusivePage<'_>> {
        {
            let mut stock = self.stock.lock();
            if let Some(index) = stock.spare.pop() {
                drop(stock);
                return Ok(ExclusivePage::latch(self, self.frame(index as usize)));
            }
            let may_grow = stock.resident < self.frame_count_max
                && (stock.resident < FRAMES_MIN || self.memory.try_charge_spare(self.page_size));
            if may_grow {
                stock.resident += 1;
                let index = match stock.free.pop() {
                    Some(index) => index as usize,
                    None => self.take_new_frame(),
                };
                drop(stock);
                // What statements gave back becomes pages now; the allocator is not to keep it as well.
                if self.memory.take_returned(self.trim_bytes) {
                    system::return_freed_memory();
                }
                let frame = self.frame(index);
                return Ok(ExclusivePage::latch(self, frame));
            }
        }
        self.evict(true)
    }

    /// Initialises the next frame header. The caller holds `stock`, and fewer frames are resident than exist.
    fn take_new_frame(&self) -> usize {
        let index = self.frame_count.load(Ordering::Relaxed);
        assert!(index < self.frame_count_max, "frames are free or resident");
        let frame = Frame {
            latch: Latch::default(),
            page: AtomicU32::new(0),
            dirty: AtomicU32::new(CLEAN),
            referenced: AtomicBool::new(false),
        };
        // SAFETY: the index is inside the mapping, and nobody reads this header before `frame_count` covers it.
        unsafe { self.frames.add(index).write(frame) };
        self.frame_count.store(index + 1, Ordering::Release);
        index
    }

    /// Keeps an empty frame for the next page. Its memory is still the process's, so it stays charged.
    fn put_back(&self, guard: ExclusivePage<'_>) {
        let index = self.frame_index(guard.frame);
        debug_assert_eq!(guard.frame.page.load(Ordering::Relaxed), 0);
        drop(guard);
        self.stock.lock().spare.push(index as u32);
    }

    /// Takes an empty frame out of use; its memory goes back to the system and the account.
    fn give_back(&self, guard: ExclusivePage<'_>) {
        let index = self.frame_index(guard.frame);
        debug_assert_eq!(guard.frame.page.load(Ordering::Relaxed), 0);
        if self.page_size >= 4096 {
            // Failing to give memory back to the system is no failure.
            // SAFETY: the frame is empty and under its exclusive latch, so nobody reads what is lost here.
            let _ = unsafe {
                let start = index * self.page_size;
                self.arena.unchecked_advise_range(UncheckedAdvice::DontNeed, start, self.page_size)
            };
            self.give_up_large_pages();
        }
        drop(guard);
        let mut stock = self.stock.lock();
        if stock.resident > FRAMES_MIN {
            self.memory.release(self.page_size);
        }
        stock.resident -= 1;
        stock.free.push(index as u32);
    }

    /// Empties a frame: the first unused clean one. Where the clock meets none, changed ones are written together, so
    /// that those who come next find clean ones at once; in need one is written alone.
    fn evict(&self, in_need: bool) -> Result<ExclusivePage<'_>> {
        let mut last_error = None;
        let rounds = if in_need { CLOCK_ROUNDS_MAX } else { 3 };
        let mut dirty_passed = 0;
        let mut changed = Batch::new();
        for round in 0..rounds {
            let frame_count = self.frame_count.load(Ordering::Acquire);
            for _ in 0..frame_count {
                let index = self.hand.fetch_add(1, Ordering::Relaxed) % frame_count;
                let frame = self.frame(index);
                if frame.page.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                if frame.referenced.swap(false, Ordering::Relaxed) {
                    continue;
                }
                // Where nearly all pages are changed ones, the few others are those in use.
                if frame.dirty.load(Ordering::Relaxed) != CLEAN && dirty_passed < DIRTY_PASSED_MAX {
                    dirty_passed += 1;
                    changed.push(index);
                    if self.write_back.is_batch(&changed) {
                        self.write_back.note_pressed();
                        match self.write_back(&changed) {
                            // The clock goes back to them: they are the next to go.
                            Ok(cleaned) if cleaned > 0 => self.hand.store(changed[0], Ordering::Relaxed),
                            Ok(_) => {}
                            Err(error) => last_error = Some(error),
                        }
                        changed.clear();
                    }
                    continue;
                }
                if !frame.latch.try_lock_exclusive() {
                    continue;
                }
                let mut guard = ExclusivePage::latched(self, frame);
                match self.empty(&mut guard) {
                    Ok(true) => return Ok(guard),
                    Ok(false) => {}
                    Err(error) => last_error = Some(error),
                }
            }
            if round > 3 {
                yield_now();
            }
        }
        Err(last_error.unwrap_or_else(|| {
            Error::new(SqlState::OUT_OF_MEMORY, "all frames of the buffer pool are in use")
                .hint("Raise memory_limit, or let fewer statements run at once.")
        }))
    }

    /// Writes the page if it changed and takes it from its frame. False: the frame is empty already.
    fn empty(&self, guard: &mut ExclusivePage<'_>) -> Result<bool> {
        let frame = guard.frame;
        let page = PageId(frame.page.load(Ordering::Relaxed));
        let Some(entry) = self.map.entry(page).filter(|_| page.0 != 0) else { return Ok(false) };
        if frame.dirty.load(Ordering::Acquire) != CLEAN {
            if self.read_only {
                return Err(Error::new(SqlState::READ_ONLY_SQL_TRANSACTION, "the database is read-only")
                    .detail("Changes found in the log do not fit into memory_limit."));
            }
            let at = self.write_frame(guard)?;
            if self.moved(page, entry, frame.dirty.load(Ordering::Relaxed), at) {
                self.counters.old_evictions.fetch_add(1, Ordering::Relaxed);
            }
            self.clean(frame);
        }
        frame.page.store(0, Ordering::Relaxed);
        entry.frame.store(0, Ordering::Release);
        self.counters.evictions.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }
}

impl BufferPool {
    /// Writes the page to a fresh block, which nothing names yet.
    fn write_frame(&self, guard: &mut ExclusivePage<'_>) -> Result<BlockRef> {
        let (block, _) = self.space.lock().allocate(1)?;
        let crc = NodeMut::new(guard.bytes_mut()).stamp(self.generation());
        if let Err(error) = self.write_blocks(guard, block) {
            self.space.lock().release(block);
            return Err(error);
        }
        Ok(BlockRef { block, crc })
    }

    /// Frames come and go from here on: the system is not to fill the holes between them to make large pages.
    fn give_up_large_pages(&self) {
        #[cfg(target_os = "linux")]
        if self.arena.len() >= HUGE_ARENA_BYTES_MIN
            && !self.without_large_pages.load(Ordering::Relaxed)
            && !self.without_large_pages.swap(true, Ordering::Relaxed)
        {
            let _ = self.arena.advise(memmap2::Advice::NoHugePage);
        }
    }

    /// Writes pages side by side, and counts them.
    pub(super) fn write_blocks(&self, bytes: &[u8], start: BlockId) -> Result<()> {
        self.file.write_at(bytes, u64::from(start.0) * self.page_size as u64)?;
        self.counters.writes.fetch_add((bytes.len() / self.page_size) as u64, Ordering::Relaxed);
        self.counters.bytes_written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Reclaim for BufferPool {
    fn reclaim(&self, bytes: usize) -> usize {
        let mut freed = 0;
        while freed < bytes && self.frames_resident() > FRAMES_MIN {
            let spare = self.stock.lock().spare.pop();
            let guard = match spare {
                Some(index) => ExclusivePage::latch(self, self.frame(index as usize)),
                None => match self.evict(false) {
                    Ok(guard) => guard,
                    Err(_) => break,
                },
            };
            self.give_back(guard);
            freed += self.page_size;
        }
        freed
    }
}

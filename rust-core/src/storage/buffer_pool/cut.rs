//! What a checkpoint needs of the pool while it is being written: every page and every block as of the cut.
//! Knows frames, blocks and epochs. Knows nothing of steps, slots or the log.
//!
//! The cut starts a new *epoch*. It costs nothing per page: a frame says in which epoch its page first changed
//! since it was written, and what says an older epoch than the present one is what the checkpoint has to write.
//! ```text
//!                       change: pre-image into the side buffer, or written at once
//!   old epoch ──────────────────────────────────────────────────────────────┐
//!       │ capture (copied into the checkpoint's buffer)                      ▼
//!       └──────────────▶ captured ──────────── change ───────────────▶ present epoch
//!                           │ settle (the copy is in the file)               │ eviction
//!   clean ◀─────────────────┴────────────────────────────────────────────────┘
//! ```
//! The page map in memory is always the present one. Where a change since the cut replaces an entry of it, the
//! entry as of the cut goes into `frozen` first; the checkpoint's map is the present one under `frozen`.
//!
//! Order: latch, then the lock of the cut, then those of map and space. All of it is short: nothing here reads
//! or writes the file but [`BufferPool::first_change`] when the side buffer is full, under its page's latch.

use super::guard::PageGuard;
use super::{BufferPool, ExclusivePage, SharedPage};
use crate::common::ids::{BlockId, Lsn, PageId};
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result};
use crate::storage::page::NodeMut;
use crate::storage::page_map::{BlockRef, PageEntry};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use memmap2::{MmapMut, MmapOptions};
use std::collections::VecDeque;

/// The page is as it was read or written.
pub(super) const CLEAN: u32 = 0;
/// The first epoch of a pool.
pub(super) const FIRST_EPOCH: u32 = 1;
/// With an epoch: the page, as of that epoch's cut, is in the checkpoint's buffer, and has not changed since.
pub(super) const CAPTURED: u32 = 1 << 31;
/// With the epoch of its change: a copy of the page is being written, and it has not changed since. See
/// [`super::write_back`].
pub(super) const WRITING: u32 = 1 << 30;
/// About what an entry of `frozen` takes.
const FROZEN_BYTES: usize = 32;
/// More pages may have changed at the cut than a moment before.
const IMAGES_SPARE: usize = 16;

/// Of all frames, so many may hold pages that are gone.
const HELD_FRAMES_SHARE: usize = 4;

/// Where a pre-image is.
#[derive(Clone, Copy, Debug)]
enum ImagePlace {
    /// In this place of the cut's memory.
    Memory(usize),
    /// In the frame of a page that is gone: nobody but the checkpoint reaches it.
    Frame(usize),
}

/// A checkpoint that is being written.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// Where pages are as of the cut, if the map in memory says something else by now.
    frozen: HashMap<PageId, BlockRef>,
    /// Pages as of the cut that changed, or went, before they were written.
    images: VecDeque<(PageId, ImagePlace)>,
    /// Memory of pre-images: none before the first. A mapping of its own goes back to the system with the cut.
    image_memory: Option<MmapMut>,
    free_places: Vec<usize>,
    place_count: usize,
    /// Frames among `images`.
    frames_held: usize,
    /// How many bytes pre-images may take; the checkpoint has charged for them.
    image_bytes_max: usize,
    /// Bytes of `frozen` that the checkpoint has not charged for.
    unpaid: usize,
    /// What kept a writer from saving a pre-image: the checkpoint cannot come about.
    failure: Option<Error>,
}

impl Cut {
    /// Room for one more pre-image, if there is any.
    fn image_place(&mut self, page_size: usize) -> Option<(usize, &mut [u8])> {
        if self.image_memory.is_none() {
            self.image_memory = MmapOptions::new().len(self.image_bytes_max.max(1)).map_anon().ok();
        }
        let place = match self.free_places.pop() {
            Some(place) => place,
            None if (self.place_count + 1) * page_size <= self.image_bytes_max => {
                self.place_count += 1;
                self.place_count - 1
            }
            None => return None,
        };
        let memory = self.image_memory.as_mut()?;
        Some((place, &mut memory[place * page_size..][..page_size]))
    }
}

/// A page in the checkpoint's buffer.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) struct CutPage {
    pub(in crate::storage) page: PageId,
    crc: u32,
}

impl BufferPool {
    /// A checkpoint begins: what is changed now belongs to it, what changes from now on does not. Nobody changes
    /// pages meanwhile.
    /// The caller has charged for `image_bytes_max` bytes of pre-images.
    pub(in crate::storage) fn begin_cut(&self, image_bytes_max: usize) {
        let mut cut = self.cut.lock();
        assert!(cut.is_none(), "one checkpoint at a time");
        *cut = Some(Cut { image_bytes_max, ..Cut::default() });
        self.space.lock().begin_cut();
        self.map.begin_cut();
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// The checkpoint is durable (its slot is) and redo starts where it says, or it will not come about.
    pub(in crate::storage) fn end_cut(&self, durable_redo: Option<Lsn>) {
        let mut cut = self.cut.lock();
        let Some(ended) = cut.take() else { return };
        self.images_waiting.store(0, Ordering::Relaxed);
        if let Some(redo) = durable_redo {
            self.space.lock().publish(self.generation() - 1, redo);
            self.map.publish();
            self.set_generation(self.generation() + 1);
        } else {
            self.space.lock().abort_cut();
        }
        // The file's map says what was; the next one must say what is.
        ended.frozen.keys().for_each(|page| self.map.mark_changed(*page));
        drop(cut);
        for (_, place) in ended.images {
            if let ImagePlace::Frame(index) = place {
                self.put_back(ExclusivePage::latch(self, self.frame(index)));
            }
        }
    }

    /// How many bytes of pre-images a checkpoint that begins about now can use.
    pub(in crate::storage) fn image_bytes_wanted(&self) -> usize {
        let most = self.image_bytes_max.load(Ordering::Relaxed);
        most.min((self.dirty_count() + IMAGES_SPARE) * self.page_size)
    }

    /// Bytes that the cut has come to take since this was asked last: for the checkpoint to charge for, because those
    /// who made it grow held latches.
    pub(in crate::storage) fn take_unpaid(&self) -> usize {
        self.cut.lock().as_mut().map_or(0, |cut| std::mem::take(&mut cut.unpaid))
    }

    /// Why the checkpoint cannot come about, if a writer could not save a pre-image.
    pub(in crate::storage) fn cut_failure(&self) -> Result<()> {
        match self.cut.lock().as_ref().and_then(|cut| cut.failure.clone()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn is_old(&self, dirty: u32) -> bool {
        dirty != CLEAN && dirty & !(CAPTURED | WRITING) != self.epoch.load(Ordering::SeqCst)
    }

    /// The ids of all pages that changed before the cut and are not written, sorted. Which ones are left is known
    /// for each under its latch.
    pub(in crate::storage) fn old_pages(&self) -> Vec<PageId> {
        let mut pages: Vec<PageId> = (0..self.frame_count.load(Ordering::Acquire))
            .map(|index| self.frame(index))
            .filter(|frame| self.is_old(frame.dirty.load(Ordering::Acquire)))
            .map(|frame| PageId(frame.page.load(Ordering::Acquire)))
            .filter(|page| page.0 != 0)
            .collect();
        pages.sort_unstable();
        pages
    }

    /// Copies a page as of the cut, if nobody wrote it or saved its pre-image yet. Holds its latch for the copy only.
    pub(in crate::storage) fn capture(
        &self,
        page: PageId,
        generation: u64,
        to: &mut [u8],
    ) -> Option<CutPage> {
        let number = self.map.entry(page)?.frame.load(Ordering::Acquire) as usize;
        let frame = self.frame(number.checked_sub(1)?);
        let guard = SharedPage::latch(self, frame);
        let dirty = frame.dirty.load(Ordering::Relaxed);
        if frame.page.load(Ordering::Relaxed) != page.0 || !self.is_old(dirty) {
            return None;
        }
        to.copy_from_slice(&guard);
        frame.dirty.store(self.epoch.load(Ordering::SeqCst) | CAPTURED, Ordering::Release);
        drop(guard);
        Some(CutPage { page, crc: NodeMut::new(to).stamp(generation) })
    }

    /// Takes up to `count` pre-images out of the side buffer; their memory goes back.
    pub(in crate::storage) fn take_images(
        &self,
        count: usize,
        generation: u64,
        mut to: &mut [u8],
    ) -> Vec<CutPage> {
        let mut pages = Vec::new();
        while pages.len() < count {
            let mut running = self.cut.lock();
            let Some(cut) = running.as_mut() else { break };
            let Some((page, place)) = cut.images.pop_front() else { break };
            let (image, rest) = std::mem::take(&mut to).split_at_mut(self.page_size);
            to = rest;
            match place {
                ImagePlace::Memory(place) => {
                    if let Some(memory) = &cut.image_memory {
                        image.copy_from_slice(&memory[place * self.page_size..][..self.page_size]);
                    }
                    cut.free_places.push(place);
                }
                ImagePlace::Frame(index) => {
                    cut.frames_held -= 1;
                    drop(running);
                    let frame = ExclusivePage::latch(self, self.frame(index));
                    image.copy_from_slice(&frame);
                    self.put_back(frame);
                }
            }
            pages.push(CutPage { page, crc: NodeMut::new(image).stamp(generation) });
        }
        pages
    }

    /// What was captured is in the file at `block`: where the page has not changed since, it is clean.
    pub(in crate::storage) fn settle(&self, written: CutPage, block: BlockId) {
        let CutPage { page, crc } = written;
        let Some(entry) = self.map.entry(page) else { return };
        let at = BlockRef { block, crc };
        let number = entry.frame.load(Ordering::Acquire) as usize;
        if let Some(number) = number.checked_sub(1) {
            let frame = self.frame(number);
            let _guard = SharedPage::latch(self, frame);
            let is_same = frame.page.load(Ordering::Relaxed) == page.0
                && frame.dirty.load(Ordering::Relaxed) == self.epoch.load(Ordering::SeqCst) | CAPTURED;
            if is_same {
                // Before the latch goes: whoever evicts it then drops it, and the map says where it is.
                self.settle_at(page, entry, at);
                return self.clean(frame);
            }
        }
        self.settle_at(page, entry, at);
    }

    /// What was a pre-image is in the file at `block`.
    pub(in crate::storage) fn settle_image(&self, written: CutPage, block: BlockId) {
        if let Some(entry) = self.map.entry(written.page) {
            self.settle_at(written.page, entry, BlockRef { block, crc: written.crc });
        }
        self.images_waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// The page as of the cut lies at `at`. The map in memory says so too, unless it says something newer.
    fn settle_at(&self, page: PageId, entry: &PageEntry, at: BlockRef) {
        let mut cut = self.cut.lock();
        let frozen = cut.as_mut().and_then(|cut| cut.frozen.get_mut(&page));
        let Some(frozen) = frozen else {
            return self.replace(page, entry, at);
        };
        let old = std::mem::replace(frozen, at);
        let mut space = self.space.lock();
        space.hold(at.block);
        if old.block.0 != 0 {
            space.unhold(old.block);
        }
    }

    fn replace(&self, page: PageId, entry: &PageEntry, at: BlockRef) {
        let old = entry.replace(at);
        self.map.mark_changed(page);
        if old.block.0 != 0 {
            self.space.lock().release(old.block);
        }
    }

    /// A page that is latched exclusively was written to `at`; `dirty` is what its frame says. True: it was as of the
    /// cut, and the running checkpoint is served.
    pub(super) fn moved(&self, page: PageId, entry: &PageEntry, dirty: u32, at: BlockRef) -> bool {
        let mut cut = self.cut.lock();
        let is_old = self.is_old(dirty);
        match cut.as_mut() {
            Some(cut) if !is_old => {
                self.replace_since_cut(cut, page, entry, at);
                false
            }
            running => {
                let serves = running.is_some();
                self.replace(page, entry, at);
                serves
            }
        }
    }

    /// A page is somewhere else, or nowhere, because of a change after the cut, if a checkpoint is being written.
    pub(in crate::storage) fn moved_since_cut(&self, page: PageId, entry: &PageEntry, at: BlockRef) {
        match self.cut.lock().as_mut() {
            Some(cut) => self.replace_since_cut(cut, page, entry, at),
            None => self.replace(page, entry, at),
        }
    }

    fn replace_since_cut(&self, cut: &mut Cut, page: PageId, entry: &PageEntry, at: BlockRef) {
        let old = entry.replace(at);
        if let Entry::Vacant(place) = cut.frozen.entry(page) {
            place.insert(old);
            cut.unpaid += FROZEN_BYTES;
        }
        self.map.mark_changed(page);
        let mut space = self.space.lock();
        if old.block.0 != 0 {
            space.release_since_cut(old.block);
        }
        if at.block.0 != 0 {
            space.note_fresh(at.block);
        }
    }

    /// The page under `guard` is about to change for the first time in this epoch. If the running checkpoint still
    /// needs it as it is, a copy goes into the side buffer; if that is full, the page is written here and now.
    #[cold]
    pub(super) fn first_change(&self, guard: &mut ExclusivePage<'_>, was: u32) {
        if was == CLEAN {
            self.dirty_count.fetch_add(1, Ordering::Relaxed);
        } else if self.is_old(was) && !is_planted(PlantedFault::PreImageNotSaved) {
            self.save_image(guard);
        }
        guard.frame.dirty.store(self.epoch.load(Ordering::SeqCst), Ordering::Release);
    }

    /// The page under `guard` is about to go. True: the running checkpoint still needs it and takes its frame, so that whoever
    /// drops a tree neither copies its pages nor writes them.
    pub(super) fn hand_over(&self, guard: &ExclusivePage<'_>) -> bool {
        let frames_max = self.frames_resident() / HELD_FRAMES_SHARE;
        let mut cut = self.cut.lock();
        let Some(cut) = cut.as_mut().filter(|cut| cut.failure.is_none() && cut.frames_held < frames_max)
        else {
            return false;
        };
        if !self.is_old(guard.frame.dirty.load(Ordering::Relaxed))
            || is_planted(PlantedFault::PreImageNotSaved)
        {
            return false;
        }
        cut.images.push_back((guard.page(), ImagePlace::Frame(self.frame_index(guard.frame))));
        cut.frames_held += 1;
        self.images_waiting.fetch_add(1, Ordering::Relaxed);
        self.counters.images_saved.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn save_image(&self, guard: &mut ExclusivePage<'_>) {
        let page = guard.page();
        {
            let mut cut = self.cut.lock();
            let Some(cut) = cut.as_mut().filter(|cut| cut.failure.is_none()) else { return };
            if let Some((place, image)) = cut.image_place(self.page_size) {
                image.copy_from_slice(guard);
                cut.images.push_back((page, ImagePlace::Memory(place)));
                self.images_waiting.fetch_add(1, Ordering::Relaxed);
                self.counters.images_saved.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        let Some(entry) = self.map.entry(page) else { return };
        match self.write_frame(guard) {
            Ok(at) => {
                self.settle_at(page, entry, at);
                self.counters.images_written.fetch_add(1, Ordering::Relaxed);
            }
            // The commit goes on; it is the checkpoint that misses a page.
            Err(error) => {
                if let Some(cut) = self.cut.lock().as_mut() {
                    cut.failure.get_or_insert(error);
                }
            }
        }
    }

    /// Whether pre-images wait to be written.
    pub(in crate::storage) fn has_images(&self) -> bool {
        self.cut.lock().as_ref().is_some_and(|cut| !cut.images.is_empty())
    }

    /// Pages that need a block: those that are changed, and pre-images.
    pub(in crate::storage) fn blocks_promised(&self) -> u64 {
        (self.dirty_count() + self.images_waiting.load(Ordering::Relaxed)) as u64
    }

    /// Lays out a page of the map as of the cut, when there were `count` pages.
    pub(in crate::storage) fn encode_map_leaf(
        &self,
        index: usize,
        count: u32,
        generation: u64,
        bytes: &mut [u8],
    ) -> u32 {
        let cut = self.cut.lock();
        let frozen = |page: PageId| cut.as_ref().and_then(|cut| cut.frozen.get(&page).copied());
        self.map.encode_leaf(index, count, generation, frozen, bytes)
    }

    /// Sets how many bytes pre-images may take.
    #[cfg(test)]
    pub(in crate::storage) fn set_image_bytes_max(&self, bytes: usize) {
        self.image_bytes_max.store(bytes, Ordering::Relaxed);
    }
}

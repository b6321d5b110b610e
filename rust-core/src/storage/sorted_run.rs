//! Entries in key order that move to a temporary file when they are many: parts of large write sets, and what large
//! commits replaced.
//! Knows keys and values as bytes. Knows nothing of what the stamps of an entry mean, or of pages.
//!
//! ```text
//!  push ─▶ open block ─▶ closed blocks in memory ──flush──▶ blocks in the file
//!                        first key, place and checksum of every block stay in memory (the index)
//! ```
//! A block holds about 16 KiB (see `block`).
//! Several entries may have one key; they are given out in the order they came in. Nothing here outlives the process,
//! so the layout may change with every build. The checksums are kept in memory: a block that was damaged, or that is
//! another one, is `XX001`.

mod block;
mod cursor;
mod filter;

#[cfg(test)]
mod tests;

pub use cursor::RunCursor;
pub use filter::{KeyFilter, hash};

use crate::common::checksum::crc32c;
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::{Arc, Mutex};
use crate::error::{Error, Result, SqlState};
use crate::io::temporary::TemporaryFiles;
use crate::io::vfs::File;
use block::{BlockView, OpenBlock, each_of, entry_at, key_at};
use filter::Filter;
use smallvec::SmallVec;

/// A block is closed when it has so many bytes.
const BLOCK_BYTES: usize = if cfg!(test) { 1 << 10 } else { 16 << 10 };
/// Bytes written at a time, about.
const WRITE_BYTES: usize = 128 << 10;
const KIND_SHIFT: u32 = 14;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = (1 << KIND_SHIFT) - 1;
/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = u16::MAX as usize;
/// Charged for a block of the index besides its first key.
const BLOCK_INDEX_BYTES: usize = size_of::<Block>();
/// The index grows by so many blocks at least.
const INDEX_STEP_BLOCKS: usize = 16;

/// What a run holds of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunEntry<'a> {
    /// The key, at most [`KEY_BYTES_MAX`] long.
    pub key: &'a [u8],
    /// The value, at most [`VALUE_BYTES_MAX`] long.
    pub value: &'a [u8],
    /// 0 to 3, as the owner of the run likes.
    pub kind: u8,
    /// Of runs with stamps; else 0.
    pub stamp: u64,
    /// Of runs with stamps; else 0.
    pub command: u32,
}

/// Makes runs. Threads: any.
#[derive(Clone, Debug)]
pub struct SortedRuns {
    files: Arc<TemporaryFiles>,
    memory: Arc<MemoryAccount>,
}

impl SortedRuns {
    /// Runs in these files; what they keep in memory is charged to the account.
    pub fn new(files: TemporaryFiles, memory: &Arc<MemoryAccount>) -> SortedRuns {
        SortedRuns { files: Arc::new(files), memory: Arc::clone(memory) }
    }

    /// Runs whose files are in memory.
    #[cfg(test)]
    pub(crate) fn in_memory(memory: &Arc<MemoryAccount>) -> SortedRuns {
        use crate::io::memory::MemoryVfs;
        let files = TemporaryFiles::beside(Arc::new(MemoryVfs::new()), std::path::Path::new("/t"));
        SortedRuns::new(files, memory)
    }

    pub(super) fn files(&self) -> &TemporaryFiles {
        &self.files
    }

    /// The account.
    pub fn memory(&self) -> &Arc<MemoryAccount> {
        &self.memory
    }

    /// A filter without keys.
    pub fn key_filter(&self) -> KeyFilter {
        KeyFilter::new(self.memory.reservation())
    }

    /// An empty run without stamps.
    pub fn plain(&self) -> SortedRun {
        self.run(false)
    }

    /// An empty run whose entries have stamps and commands.
    pub fn stamped(&self) -> SortedRun {
        self.run(true)
    }

    fn run(&self, stamped: bool) -> SortedRun {
        let state = State {
            blocks: Vec::new(),
            open: OpenBlock::default(),
            last_key: Vec::new(),
            filters: Vec::new(),
            written_blocks: 0,
            unwritten_bytes: 0,
            index_bytes: 0,
            file: None,
            file_end: 0,
            cached: None,
            memory: self.memory.reservation(),
        };
        SortedRun { files: Arc::clone(&self.files), stamped, state: Mutex::new(state) }
    }
}

#[derive(Clone, Debug)]
enum Place {
    Memory(Arc<[u8]>),
    File { offset: u64, bytes: u32, crc: u32 },
}

#[derive(Clone, Debug)]
struct Block {
    first_key: SmallVec<[u8; 16]>,
    place: Place,
}

#[derive(Debug)]
struct State {
    blocks: Vec<Block>,
    open: OpenBlock,
    last_key: Vec<u8>,
    filters: Vec<Filter>,
    /// So many of the blocks are in the file; those behind them are in memory.
    written_blocks: usize,
    /// Bytes of blocks in memory, the open one included.
    unwritten_bytes: usize,
    /// Bytes of the index and of filters.
    index_bytes: usize,
    file: Option<Arc<dyn File>>,
    file_end: u64,
    /// The block of the file that was read last.
    cached: Option<(usize, Arc<[u8]>)>,
    /// What is charged: the index, and what the file takes where files are in memory.
    memory: Reservation,
}

/// How much a run held at some moment, all blocks closed.
#[derive(Debug)]
pub struct RunMark {
    blocks: usize,
    filters: usize,
    last_key: Vec<u8>,
}

/// See the module. It grows at its end and may be read meanwhile. Threads: any; one pushes and flushes.
#[derive(Debug)]
pub struct SortedRun {
    files: Arc<TemporaryFiles>,
    stamped: bool,
    state: Mutex<State>,
}

impl SortedRun {
    /// Adds an entry; its key is not below the last one's. Does no I/O.
    pub fn push(&self, entry: RunEntry<'_>) {
        self.push_hashed(entry, hash(entry.key));
    }

    /// As [`SortedRun::push`], where the key's [`hash`] is known.
    pub fn push_hashed(&self, entry: RunEntry<'_>, hash: u64) {
        let mut state = self.state.lock();
        assert!(state.last_key.as_slice() <= entry.key || state.is_empty(), "a run grows in key order");
        assert!(entry.key.len() <= KEY_BYTES_MAX && entry.value.len() <= VALUE_BYTES_MAX, "checked before");
        if state.open.bytes.len() >= BLOCK_BYTES {
            state.close_block();
        }
        if let Some(filter) = state.filters.last_mut() {
            filter.add(hash);
        }
        let before = state.open.bytes.len();
        state.open.push(entry, self.stamped);
        state.unwritten_bytes += state.open.bytes.len() - before + size_of::<u16>();
        state.last_key.clear();
        state.last_key.extend_from_slice(entry.key);
    }

    /// Announces `keys` keys, about, that come next: look-ups of others in their range mostly read nothing.
    /// # Errors
    /// `53200`; the run can do without.
    pub fn expect_keys(&self, first_key: &[u8], keys: usize) -> Result<()> {
        let bytes = Filter::bytes_for(keys);
        let mut state = self.state.lock();
        state.memory.grow(bytes)?;
        state.index_bytes += bytes;
        state.filters.push(Filter::new(first_key, keys));
        Ok(())
    }

    /// Bytes that are not in the file yet.
    pub fn unwritten_bytes(&self) -> usize {
        self.state.lock().unwritten_bytes
    }

    /// Bytes in memory, about: index, filters, and what is not in the file yet.
    pub fn memory_bytes(&self) -> usize {
        let state = self.state.lock();
        state.unwritten_bytes + state.memory.bytes().max(state.index_bytes)
    }

    /// Bytes in the file.
    pub fn file_bytes(&self) -> u64 {
        self.state.lock().file_end
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.state.lock().is_empty()
    }

    /// The smallest key.
    pub fn first_key(&self) -> Option<Vec<u8>> {
        let state = self.state.lock();
        match state.blocks.first() {
            Some(block) => Some(block.first_key.to_vec()),
            None if state.open.offsets.is_empty() => None,
            None => Some(entry_at(&state.open.bytes, 0, self.stamped).key.to_vec()),
        }
    }

    /// The greatest key.
    pub fn last_key(&self) -> Option<Vec<u8>> {
        let state = self.state.lock();
        (!state.is_empty()).then(|| state.last_key.clone())
    }

    /// Writes the closed blocks that are in memory to the file. An error: nothing is lost, and it may be tried again.
    /// # Errors
    /// `53100`, `53200`, other I/O errors.
    pub fn flush(&self) -> Result<()> {
        let (file, mut at, first, places) = {
            let mut state = self.state.lock();
            let first = state.written_blocks;
            if first == state.blocks.len() {
                return Ok(());
            }
            let places: Vec<Arc<[u8]>> = state.blocks[first..]
                .iter()
                .filter_map(|block| match &block.place {
                    Place::Memory(bytes) => Some(Arc::clone(bytes)),
                    Place::File { .. } => None,
                })
                .collect();
            let index: usize =
                state.blocks[first..].iter().map(|block| BLOCK_INDEX_BYTES + block.first_key.len()).sum();
            let in_file: usize =
                if self.files.are_in_memory() { places.iter().map(|bytes| bytes.len()).sum() } else { 0 };
            state.memory.grow(index + in_file)?;
            state.index_bytes += index;
            let file = match &state.file {
                Some(file) => Arc::clone(file),
                None => {
                    let file = self.files.create()?;
                    state.file = Some(Arc::clone(&file));
                    file
                }
            };
            (file, state.file_end, first, places)
        };
        // Readers find the blocks in memory until they are in the file.
        let mut written = Vec::with_capacity(places.len());
        let (mut buffer, start) = (Vec::with_capacity(WRITE_BYTES + BLOCK_BYTES), at);
        let count = places.len();
        for (index, bytes) in places.into_iter().enumerate() {
            buffer.extend_from_slice(&bytes);
            written.push(Place::File { offset: at, bytes: bytes.len() as u32, crc: crc32c(&bytes) });
            at += bytes.len() as u64;
            if buffer.len() >= WRITE_BYTES || index + 1 == count {
                file.write_at(&buffer, at - buffer.len() as u64)?;
                buffer.clear();
            }
        }
        let mut state = self.state.lock();
        for (block, place) in state.blocks[first..].iter_mut().zip(written) {
            block.place = place;
        }
        state.unwritten_bytes -= (at - start) as usize;
        state.written_blocks = state.blocks.len();
        state.file_end = at;
        Ok(())
    }

    /// Closes the last block and writes everything to the file.
    /// # Errors
    /// As [`SortedRun::flush`].
    pub fn finish(&self) -> Result<()> {
        let mut state = self.state.lock();
        if !state.open.offsets.is_empty() {
            state.close_block();
        }
        drop(state);
        self.flush()
    }

    /// What is there now, to return to. To be called after [`SortedRun::finish`].
    pub fn mark(&self) -> RunMark {
        let state = self.state.lock();
        assert!(state.open.offsets.is_empty(), "a mark lies between blocks");
        RunMark { blocks: state.blocks.len(), filters: state.filters.len(), last_key: state.last_key.clone() }
    }

    /// Forgets what came after `mark`; nobody has read it.
    pub fn truncate(&self, mark: RunMark) {
        let mut state = self.state.lock();
        state.blocks.truncate(mark.blocks);
        state.filters.truncate(mark.filters);
        state.last_key = mark.last_key;
        state.open = OpenBlock::default();
        state.written_blocks = state.written_blocks.min(mark.blocks);
        state.unwritten_bytes = state
            .blocks
            .iter()
            .map(|block| match &block.place {
                Place::Memory(bytes) => bytes.len(),
                Place::File { .. } => 0,
            })
            .sum();
    }

    /// Forgets everything.
    pub fn discard(&self) {
        let mut state = self.state.lock();
        state.blocks = Vec::new();
        state.open = OpenBlock::default();
        state.last_key = Vec::new();
        state.filters = Vec::new();
        (state.written_blocks, state.unwritten_bytes, state.index_bytes) = (0, 0, 0);
        (state.file, state.cached) = (None, None);
        state.memory.resize(0).expect("shrinking a reservation never fails");
    }

    /// Gives the entries of a key to `each`, in the order they came, until it says false.
    /// # Errors
    /// `XX001` for a damaged block, I/O errors.
    pub fn find(&self, key: &[u8], each: impl FnMut(RunEntry<'_>) -> bool) -> Result<()> {
        self.find_hashed(key, hash(key), each)
    }

    /// As [`SortedRun::find`], where the key's [`hash`] is known.
    /// # Errors
    /// As [`SortedRun::find`].
    pub fn find_hashed(
        &self,
        key: &[u8],
        hash: u64,
        mut each: impl FnMut(RunEntry<'_>) -> bool,
    ) -> Result<()> {
        let mut index = {
            let state = self.state.lock();
            if !state.may_hold(key, hash, self.stamped) {
                return Ok(());
            }
            state.first_block(key)
        };
        loop {
            let state = self.state.lock();
            if index >= state.blocks.len() {
                if index == state.blocks.len() {
                    each_of(&state.open.bytes, &state.open.offsets, key, self.stamped, &mut each);
                }
                return Ok(());
            }
            if state.blocks[index].first_key.as_slice() > key {
                return Ok(());
            }
            let place = state.blocks[index].place.clone();
            drop(state);
            let bytes = self.block(index, place)?;
            let view = BlockView::new(&bytes)?;
            let mut at = view.lower_bound(key);
            while at < view.count {
                let entry = view.entry(at, self.stamped);
                if entry.key != key || !each(entry) {
                    return Ok(());
                }
                at += 1;
            }
            index += 1;
        }
    }

    /// The bytes of a block of the file or of memory.
    fn block(&self, index: usize, place: Place) -> Result<Arc<[u8]>> {
        let Place::File { offset, bytes, crc } = place else {
            let Place::Memory(bytes) = place else { unreachable!("a place is one of two") };
            return Ok(bytes);
        };
        let file = {
            let state = self.state.lock();
            match &state.cached {
                Some((cached, bytes)) if *cached == index => return Ok(Arc::clone(bytes)),
                _ => state.file.clone(),
            }
        };
        let file = file.ok_or_else(|| Error::internal("a run without a file has no block in one"))?;
        let mut buffer = vec![0; bytes as usize];
        let read = file.read_at(&mut buffer, offset)?;
        if read != buffer.len() || crc32c(&buffer) != crc {
            return Err(damaged(offset));
        }
        let bytes: Arc<[u8]> = buffer.into();
        self.state.lock().cached = Some((index, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

fn damaged(offset: u64) -> Error {
    Error::new(SqlState::DATA_CORRUPTED, "a temporary file is damaged")
        .detail(format!("The block at offset {offset} is not what was written."))
        .hint("Look at the disk; the database itself is not affected.")
}

impl State {
    fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.open.offsets.is_empty()
    }

    fn close_block(&mut self) {
        let OpenBlock { bytes, offsets } = std::mem::take(&mut self.open);
        let first_key = SmallVec::from_slice(key_at(&bytes));
        let mut block = Vec::with_capacity(bytes.len() + (offsets.len() + 1) * size_of::<u16>());
        block.extend_from_slice(&bytes);
        for offset in &offsets {
            block.extend_from_slice(&offset.to_le_bytes());
        }
        block.extend_from_slice(&(offsets.len() as u16).to_le_bytes());
        self.unwritten_bytes += size_of::<u16>();
        if self.blocks.len() == self.blocks.capacity() {
            // Doubling would take more than is charged.
            self.blocks.reserve_exact((self.blocks.len() / 16).max(INDEX_STEP_BLOCKS));
        }
        self.blocks.push(Block { first_key, place: Place::Memory(block.into()) });
        self.open = OpenBlock { bytes: cleared(bytes), offsets: cleared(offsets) };
    }

    /// False: the key is not there.
    fn may_hold(&self, key: &[u8], hash: u64, stamped: bool) -> bool {
        if self.is_empty() || key > self.last_key.as_slice() {
            return false;
        }
        let is_below = match self.blocks.first() {
            Some(block) => key < block.first_key.as_slice(),
            None => key < entry_at(&self.open.bytes, 0, stamped).key,
        };
        if is_below {
            return false;
        }
        let after = self.filters.partition_point(|filter| filter.first_key.as_slice() <= key);
        // Filters follow each other in key order, and the key where one begins may end the one before.
        let at_border =
            |index: usize| self.filters.get(index).is_some_and(|filter| filter.first_key.as_slice() == key);
        match after {
            0 => true,
            after if at_border(after - 1) => true,
            after => self.filters[after - 1].may_hold(hash),
        }
    }

    /// The first block that may hold the key; the count of blocks is the open one.
    fn first_block(&self, key: &[u8]) -> usize {
        // Entries of one key may go on over several blocks.
        self.blocks.partition_point(|block| block.first_key.as_slice() < key).saturating_sub(1)
    }
}

fn cleared<T>(mut vector: Vec<T>) -> Vec<T> {
    vector.clear();
    vector
}

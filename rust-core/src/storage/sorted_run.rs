//! Entries in key order that move to a temporary file when they are many: parts of large write sets, and what large
//! commits replaced.
//! Knows keys and values as bytes. Knows nothing of what the stamps of an entry mean, or of pages.
//!
//! ```text
//!  push ─▶ open block ─▶ closed blocks in memory ──flush──▶ blocks in the file
//!                        first key, place and checksum of every block stay in memory (the index)
//! ```
//! A block holds about 16 KiB:
//! ```text
//!  entry*                     kind and key length u16, value length u16, [stamp u64, command u32], key, value
//!  offset u16 of each entry   entry count u16
//! ```
//! Several entries may have one key; they are given out in the order they came in. Nothing here outlives the process,
//! so the layout may change with every build. The checksums are kept in memory: a block that was damaged, or that is
//! another one, is `XX001`.

use crate::common::checksum::crc32c;
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::{Arc, Mutex};
use crate::error::{Error, Result, SqlState};
use crate::io::temporary::TemporaryFiles;
use crate::io::vfs::File;
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hasher};
use std::ops::Bound;

/// A block is closed when it has so many bytes.
const BLOCK_BYTES: usize = if cfg!(test) { 1 << 10 } else { 16 << 10 };
/// Bytes written at a time, about.
const WRITE_BYTES: usize = 128 << 10;
const STAMP_BYTES: usize = 12;
const KIND_SHIFT: u32 = 14;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = (1 << KIND_SHIFT) - 1;
/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = u16::MAX as usize;
/// Bits of the filter for each key: about one look-up in 200 of keys that are not there finds a block to read.
const FILTER_BITS_A_KEY: usize = 12;
/// Charged for a block of the index besides its first key.
const BLOCK_INDEX_BYTES: usize = size_of::<Block>();

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

#[derive(Debug, Default)]
struct OpenBlock {
    bytes: Vec<u8>,
    offsets: Vec<u16>,
}

/// A Bloom filter over the keys from `first_key` on, in blocks of 256 bits.
#[derive(Debug)]
struct Filter {
    first_key: Vec<u8>,
    words: Vec<[u32; 8]>,
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
        let mut state = self.state.lock();
        assert!(state.last_key.as_slice() <= entry.key || state.is_empty(), "a run grows in key order");
        assert!(entry.key.len() <= KEY_BYTES_MAX && entry.value.len() <= VALUE_BYTES_MAX, "checked before");
        if state.open.bytes.len() >= BLOCK_BYTES {
            state.close_block();
        }
        if let Some(filter) = state.filters.last_mut() {
            filter.add(hash(entry.key));
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
        let words = (keys * FILTER_BITS_A_KEY).div_ceil(256).max(1);
        let mut state = self.state.lock();
        let bytes = words * size_of::<[u32; 8]>();
        state.memory.grow(bytes)?;
        state.index_bytes += bytes;
        state.filters.push(Filter { first_key: first_key.to_vec(), words: vec![[0; 8]; words] });
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
    pub fn find(&self, key: &[u8], mut each: impl FnMut(RunEntry<'_>) -> bool) -> Result<()> {
        let mut index = {
            let state = self.state.lock();
            if !state.may_hold(key, self.stamped) {
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
        self.blocks.push(Block { first_key, place: Place::Memory(block.into()) });
        self.open = OpenBlock { bytes: cleared(bytes), offsets: cleared(offsets) };
    }

    /// False: the key is not there.
    fn may_hold(&self, key: &[u8], stamped: bool) -> bool {
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
            after => self.filters[after - 1].may_hold(hash(key)),
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

impl OpenBlock {
    fn push(&mut self, entry: RunEntry<'_>, stamped: bool) {
        self.offsets.push(self.bytes.len() as u16);
        let head = entry.key.len() as u16 | u16::from(entry.kind) << KIND_SHIFT;
        // The stamps stand behind key and value, so that a key is found without knowing of them.
        self.bytes.extend_from_slice(&head.to_le_bytes());
        self.bytes.extend_from_slice(&(entry.value.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(entry.key);
        self.bytes.extend_from_slice(entry.value);
        if stamped {
            self.bytes.extend_from_slice(&entry.stamp.to_le_bytes());
            self.bytes.extend_from_slice(&entry.command.to_le_bytes());
        }
    }
}

const HEAD_BYTES: usize = 4;

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// The key of the entry at the start of `bytes`.
fn key_at(bytes: &[u8]) -> &[u8] {
    let length = u16_at(bytes, 0) & KEY_BYTES_MAX;
    &bytes[HEAD_BYTES..HEAD_BYTES + length]
}

fn entry_at(bytes: &[u8], offset: usize, stamped: bool) -> RunEntry<'_> {
    let bytes = &bytes[offset..];
    let head = u16_at(bytes, 0);
    let key = key_at(bytes);
    let value_start = HEAD_BYTES + key.len();
    let value_end = value_start + u16_at(bytes, 2);
    let (mut stamp, mut command) = (0, 0);
    if stamped {
        let stamps = &bytes[value_end..value_end + STAMP_BYTES];
        let (first, second) = stamps.split_at(8);
        stamp = u64::from_le_bytes(first.try_into().expect("eight bytes"));
        command = u32::from_le_bytes(second.try_into().expect("four bytes"));
    }
    let kind = (head >> KIND_SHIFT) as u8;
    RunEntry { key, value: &bytes[value_start..value_end], kind, stamp, command }
}

/// Gives the entries of a key in an open block to `each`.
fn each_of(
    bytes: &[u8],
    offsets: &[u16],
    key: &[u8],
    stamped: bool,
    each: &mut impl FnMut(RunEntry<'_>) -> bool,
) {
    let first = offsets.partition_point(|offset| key_at(&bytes[usize::from(*offset)..]) < key);
    for offset in &offsets[first..] {
        let entry = entry_at(bytes, usize::from(*offset), stamped);
        if entry.key != key || !each(entry) {
            return;
        }
    }
}

/// A closed block.
struct BlockView<'a> {
    bytes: &'a [u8],
    count: usize,
    offsets: usize,
}

impl<'a> BlockView<'a> {
    fn new(bytes: &'a [u8]) -> Result<BlockView<'a>> {
        let count = match bytes.len() {
            0 | 1 => return Err(Error::internal("a block of a run is empty")),
            length => u16_at(bytes, length - 2),
        };
        let offsets = bytes.len() - (count + 1) * size_of::<u16>();
        Ok(BlockView { bytes, count, offsets })
    }

    fn offset(&self, index: usize) -> usize {
        u16_at(self.bytes, self.offsets + index * size_of::<u16>())
    }

    fn entry(&self, index: usize, stamped: bool) -> RunEntry<'a> {
        entry_at(self.bytes, self.offset(index), stamped)
    }

    fn key(&self, index: usize) -> &'a [u8] {
        key_at(&self.bytes[self.offset(index)..])
    }

    /// The first entry whose key is not below `key`.
    fn lower_bound(&self, key: &[u8]) -> usize {
        self.bound(|other| other < key)
    }

    fn bound(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(self.key(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(key);
    hasher.finish()
}

impl Filter {
    /// Source: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007.
    fn word(&self, hash: u64) -> usize {
        (((hash >> 32) * self.words.len() as u64) >> 32) as usize
    }

    fn bits(hash: u64) -> [u32; 8] {
        const SALTS: [u32; 8] = [
            0x9e37_79b1,
            0x85eb_ca77,
            0xc2b2_ae3d,
            0x27d4_eb2f,
            0x1656_67b1,
            0xd3a2_646d,
            0xfd70_46c5,
            0xb55a_4f09,
        ];
        SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
    }

    fn add(&mut self, hash: u64) {
        let word = self.word(hash);
        for (word, bit) in self.words[word].iter_mut().zip(Filter::bits(hash)) {
            *word |= bit;
        }
    }

    fn may_hold(&self, hash: u64) -> bool {
        let word = &self.words[self.word(hash)];
        word.iter().zip(Filter::bits(hash)).all(|(word, bit)| word & bit != 0)
    }
}

/// A place in a run whose blocks are closed; entries of one key come in the order they were pushed, or, backward, in
/// the opposite one. Belongs to one thread at a time.
#[derive(Debug)]
pub struct RunCursor {
    run: Arc<SortedRun>,
    backward: bool,
    /// The block that is read, and its entry.
    block: usize,
    bytes: Arc<[u8]>,
    entry: usize,
    at_end: bool,
}

impl RunCursor {
    /// At the first entry that is not before `from` (the last one that is not behind it, when `backward`).
    /// # Errors
    /// `XX001`, I/O errors.
    pub fn new(run: &Arc<SortedRun>, from: Bound<&[u8]>, backward: bool) -> Result<RunCursor> {
        let (block, count) = {
            let state = run.state.lock();
            let count = state.blocks.len();
            let block = match from {
                Bound::Unbounded if backward => count.saturating_sub(1),
                Bound::Unbounded => 0,
                Bound::Included(key) if backward => {
                    state.blocks.partition_point(|block| block.first_key.as_slice() <= key).saturating_sub(1)
                }
                Bound::Included(key) | Bound::Excluded(key) => state.first_block(key),
            };
            (block, count)
        };
        let mut cursor = RunCursor {
            run: Arc::clone(run),
            backward,
            block,
            bytes: Arc::default(),
            entry: 0,
            at_end: count == 0,
        };
        if cursor.at_end {
            return Ok(cursor);
        }
        cursor.load()?;
        let view = BlockView::new(&cursor.bytes)?;
        let first = match (from, backward) {
            (Bound::Unbounded, false) => Some(0),
            (Bound::Unbounded, true) => Some(view.count - 1),
            (Bound::Included(key), false) => Some(view.bound(|other| other < key)),
            (Bound::Excluded(key), false) => Some(view.bound(|other| other <= key)),
            (Bound::Included(key), true) => view.bound(|other| other <= key).checked_sub(1),
            (Bound::Excluded(key), true) => view.bound(|other| other < key).checked_sub(1),
        };
        let (count, is_past) = (view.count, |key: &[u8]| match from {
            Bound::Excluded(from) => key == from,
            _ => false,
        });
        match first {
            Some(entry) if entry < count => cursor.entry = entry,
            Some(_) => {
                cursor.entry = count - 1;
                cursor.advance()?;
            }
            None => cursor.advance()?,
        }
        // The key that is left out may go on in the next block.
        while cursor.peek().is_some_and(|entry| is_past(entry.key)) {
            cursor.advance()?;
        }
        Ok(cursor)
    }

    fn load(&mut self) -> Result<()> {
        let place = self.run.state.lock().blocks[self.block].place.clone();
        self.bytes = self.run.block(self.block, place)?;
        Ok(())
    }

    /// The entry here; `None` at the end.
    pub fn peek(&self) -> Option<RunEntry<'_>> {
        if self.at_end {
            return None;
        }
        let bytes = &self.bytes;
        let count = u16_at(bytes, bytes.len() - 2);
        let offset = u16_at(bytes, bytes.len() - (count + 1 - self.entry) * size_of::<u16>());
        Some(entry_at(bytes, offset, self.run.stamped))
    }

    /// Goes to the next entry.
    /// # Errors
    /// `XX001`, I/O errors; it may be tried again.
    pub fn advance(&mut self) -> Result<()> {
        if self.at_end {
            return Ok(());
        }
        if self.backward {
            if self.entry > 0 {
                self.entry -= 1;
                return Ok(());
            }
            if self.block == 0 {
                self.at_end = true;
                return Ok(());
            }
            self.block -= 1;
            self.load().inspect_err(|_| self.block += 1)?;
            self.entry = BlockView::new(&self.bytes)?.count - 1;
            return Ok(());
        }
        if self.entry + 1 < BlockView::new(&self.bytes)?.count {
            self.entry += 1;
            return Ok(());
        }
        if self.block + 1 >= self.run.state.lock().blocks.len() {
            self.at_end = true;
            return Ok(());
        }
        self.block += 1;
        if let Err(error) = self.load() {
            self.block -= 1;
            return Err(error);
        }
        self.entry = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use crate::io::fault::{Fault, FaultPlan, FaultVfs};
    use crate::io::memory::MemoryVfs;
    use crate::io::vfs::Vfs;
    use std::path::Path;

    fn runs(vfs: Arc<dyn Vfs>) -> SortedRuns {
        SortedRuns::new(TemporaryFiles::beside(vfs, Path::new("/t")), &MemoryAccount::new(64 << 20))
    }

    fn plain<'a>(key: &'a [u8], value: &'a [u8]) -> RunEntry<'a> {
        RunEntry { key, value, kind: 1, stamp: 0, command: 0 }
    }

    fn values(run: &SortedRun, key: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        run.find(key, |entry| {
            found.push(entry.value.to_vec());
            true
        })
        .unwrap();
        found
    }

    #[test]
    fn a_run_is_read_by_key_and_in_both_directions_while_it_grows_and_moves_to_its_file() {
        for seed in 1..20 {
            let mut random = Random::new(seed);
            let runs = runs(Arc::new(MemoryVfs::new()));
            let run = Arc::new(if seed % 2 == 0 { runs.plain() } else { runs.stamped() });
            let mut model: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            let mut number = 0u32;
            for _ in 0..6 {
                if random.below(2) == 0 {
                    run.expect_keys(&number.to_be_bytes(), 300).unwrap();
                }
                for _ in 0..random.below(900) {
                    // Now and then a key has more entries than a block holds.
                    let copies = if random.below(200) == 0 { 60 } else { 1 + random.below(2) };
                    for _ in 0..copies {
                        let value = vec![random.below(256) as u8; random.below(700) as usize];
                        let stamp = if seed % 2 == 0 { 0 } else { model.len() as u64 };
                        let key = number.to_be_bytes();
                        run.push(RunEntry { stamp, ..plain(&key, &value) });
                        model.push((key.to_vec(), value));
                    }
                    number += 1 + random.below(3) as u32;
                }
                if random.below(2) == 0 {
                    run.flush().unwrap();
                }
                for _ in 0..30 {
                    let key = (random.below(u64::from(number) + 3) as u32).to_be_bytes();
                    let expected: Vec<_> =
                        model.iter().filter(|(k, _)| *k == key).map(|(_, value)| value.clone()).collect();
                    assert_eq!(values(&run, &key), expected, "seed {seed}");
                }
            }
            run.finish().unwrap();
            assert_eq!(run.unwritten_bytes(), 0, "seed {seed}");
            for _ in 0..20 {
                let key = (random.below(u64::from(number) + 3) as u32).to_be_bytes();
                let backward = random.below(2) == 0;
                let from = match random.below(3) {
                    0 => Bound::Unbounded,
                    1 => Bound::Included(&key[..]),
                    _ => Bound::Excluded(&key[..]),
                };
                let mut expected: Vec<_> = model
                    .iter()
                    .filter(|(k, _)| match from {
                        Bound::Unbounded => true,
                        Bound::Included(from) => {
                            if backward {
                                &k[..] <= from
                            } else {
                                &k[..] >= from
                            }
                        }
                        Bound::Excluded(from) => {
                            if backward {
                                &k[..] < from
                            } else {
                                &k[..] > from
                            }
                        }
                    })
                    .cloned()
                    .collect();
                if backward {
                    expected.reverse();
                }
                let mut cursor = RunCursor::new(&run, from, backward).unwrap();
                let mut found = Vec::new();
                while let Some(entry) = cursor.peek() {
                    found.push((entry.key.to_vec(), entry.value.to_vec()));
                    cursor.advance().unwrap();
                }
                assert!(found == expected, "seed {seed}: {from:?} {backward}");
            }
        }
    }

    #[test]
    fn what_came_after_a_mark_is_forgotten() {
        let runs = runs(Arc::new(MemoryVfs::new()));
        let run = Arc::new(runs.plain());
        run.expect_keys(b"a", 10).unwrap();
        run.push(plain(b"a", b"1"));
        run.finish().unwrap();
        let mark = run.mark();
        run.expect_keys(b"b", 10).unwrap();
        run.push(plain(b"b", b"2"));
        run.finish().unwrap();
        run.push(plain(b"c", b"3"));
        run.truncate(mark);
        assert_eq!(run.last_key().unwrap(), b"a");
        run.push(plain(b"b", b"4"));
        run.finish().unwrap();
        assert_eq!(values(&run, b"a"), [b"1"]);
        assert_eq!(values(&run, b"b"), [b"4"]);
        assert_eq!(values(&run, b"c"), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_damaged_block_is_xx001_and_the_others_can_be_read() {
        let runs = runs(Arc::new(MemoryVfs::new()));
        let run = runs.plain();
        for key in 0..100u32 {
            run.push(plain(&key.to_be_bytes(), &[key as u8; 1000]));
        }
        run.finish().unwrap();
        run.state.lock().file.as_ref().unwrap().write_at(b"x", 20).unwrap();
        let error = run.find(&0u32.to_be_bytes(), |_| true).unwrap_err();
        assert_eq!(error.state(), SqlState::DATA_CORRUPTED);
        assert_eq!(values(&run, &99u32.to_be_bytes()).len(), 1);
    }

    #[test]
    fn where_the_disk_is_full_nothing_is_lost_and_writing_can_be_tried_again() {
        let vfs = Arc::new(FaultVfs::new());
        let runs = runs(Arc::clone(&vfs) as Arc<dyn Vfs>);
        let run = runs.plain();
        for key in 0..100u32 {
            run.push(plain(&key.to_be_bytes(), &[key as u8; 1000]));
        }
        vfs.set_plan(Some(FaultPlan { at: vfs.calls() + 1, fault: Fault::DiskFull, forever: true }));
        assert_eq!(run.finish().unwrap_err().state(), SqlState::DISK_FULL);
        assert_eq!(values(&run, &50u32.to_be_bytes()), [[50; 1000]]);
        vfs.set_plan(None);
        run.finish().unwrap();
        assert_eq!(values(&run, &50u32.to_be_bytes()), [[50; 1000]]);
    }
}

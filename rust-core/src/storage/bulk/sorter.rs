//! Putting entries into key order: in memory as long as they fit, then as sorted runs in temporary files that are merged.
//! Knows keys and values as bytes. Knows nothing of trees.
//!
//! Source: Knuth, "The Art of Computer Programming", volume 3, 5.4.1 (multiway merging).

use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::error::Result;
use crate::storage::sorted_run::{RunCursor, RunEntry, SortedRun, SortedRuns};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Bound;

/// Entries in memory take at most this share of the limit.
const MEMORY_SHARE: usize = 8;
const MEMORY_BYTES_MAX: usize = 256 << 20;
const MEMORY_BYTES_MIN: usize = 64 << 10;
/// So many runs are merged at a time: a block of each is in memory.
const MERGED_RUNS: usize = 16;
/// What a run holds before it goes to its file.
const UNWRITTEN_BYTES_MAX: usize = 256 << 10;

#[derive(Clone, Copy, Debug)]
struct Place {
    /// The first bytes of the key, in its order.
    head: u64,
    start: u32,
    key: u16,
    value: u16,
}

#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Chunk {
    fn key(&self, place: Place) -> &[u8] {
        &self.bytes[place.start as usize..][..usize::from(place.key)]
    }

    fn value(&self, place: Place) -> &[u8] {
        &self.bytes[place.start as usize + usize::from(place.key)..][..usize::from(place.value)]
    }

    fn sort(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        let is_sorted = |pair: &[Place]| self.compare(pair[0], pair[1]).is_le();
        if !places.windows(2).all(is_sorted) {
            places.sort_unstable_by(|left, right| self.compare(*left, *right));
        }
        self.places = places;
    }

    #[inline]
    fn compare(&self, left: Place, right: Place) -> std::cmp::Ordering {
        left.head.cmp(&right.head).then_with(|| self.key(left).cmp(self.key(right)))
    }
}

/// The first eight bytes as a number that sorts like them, shorter keys padded with zeros.
fn head(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => {
            let mut head = [0; 8];
            head[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(head)
        }
    }
}

/// Takes entries in any order.
#[derive(Debug)]
pub struct EntrySorter {
    runs: SortedRuns,
    chunk: Chunk,
    /// How often its entries were merged, and the run; the first ones most often.
    spilled: Vec<(u32, Arc<SortedRun>)>,
    memory: Reservation,
    memory_max: usize,
}

impl EntrySorter {
    /// A sorter whose files are those of `runs`.
    pub fn new(runs: &SortedRuns) -> EntrySorter {
        let limit = runs.memory().limit();
        EntrySorter {
            runs: runs.clone(),
            chunk: Chunk::default(),
            spilled: Vec::new(),
            memory: runs.memory().reservation(),
            memory_max: (limit / MEMORY_SHARE).clamp(MEMORY_BYTES_MIN, MEMORY_BYTES_MAX),
        }
    }

    /// Adds an entry. Key and value are no longer than a sorted run takes.
    /// # Errors
    /// `53200`, `53100`, I/O errors of temporary files.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let bytes = key.len() + value.len();
        let chunk = &self.chunk;
        if chunk.bytes.len() + bytes > chunk.bytes.capacity() || chunk.places.len() == chunk.places.capacity()
        {
            self.make_room(bytes)?;
        }
        let start = self.chunk.bytes.len() as u32;
        self.chunk.bytes.extend_from_slice(key);
        self.chunk.bytes.extend_from_slice(value);
        let (key, value, head) = (key.len() as u16, value.len() as u16, head(key));
        self.chunk.places.push(Place { head, start, key, value });
        Ok(())
    }

    /// Grows what is in memory, or moves it to a file.
    fn make_room(&mut self, bytes: usize) -> Result<()> {
        let chunk = &mut self.chunk;
        let wanted_bytes = if chunk.bytes.len() + bytes > chunk.bytes.capacity() {
            (chunk.bytes.capacity() * 2).max(chunk.bytes.len() + bytes).max(4 << 10)
        } else {
            chunk.bytes.capacity()
        };
        let wanted_places = if chunk.places.len() == chunk.places.capacity() {
            (chunk.places.capacity() * 2).max(256)
        } else {
            chunk.places.capacity()
        };
        let total = wanted_bytes + wanted_places * size_of::<Place>();
        // While a vector moves, its old memory is there too.
        let fits = total <= self.memory_max || chunk.places.is_empty();
        if fits && (self.memory.resize(total).is_ok() || chunk.places.is_empty()) {
            if self.memory.bytes() < total {
                self.memory.resize(total)?;
            }
            chunk.bytes.reserve_exact(wanted_bytes - chunk.bytes.len());
            chunk.places.reserve_exact(wanted_places - chunk.places.len());
            return Ok(());
        }
        self.spill()?;
        if self.chunk.bytes.capacity() < bytes || self.chunk.places.capacity() == 0 {
            return self.make_room(bytes);
        }
        Ok(())
    }

    /// Moves what is in memory to a file.
    fn spill(&mut self) -> Result<()> {
        self.chunk.sort();
        let run = self.runs.plain();
        for place in &self.chunk.places {
            push_to(&run, self.chunk.key(*place), self.chunk.value(*place))?;
        }
        run.finish()?;
        self.chunk.bytes.clear();
        self.chunk.places.clear();
        self.spilled.push((0, Arc::new(run)));
        self.merge_some()
    }

    /// Merges the newest runs while enough of them were merged equally often.
    fn merge_some(&mut self) -> Result<()> {
        while let Some(start) = self.spilled.len().checked_sub(MERGED_RUNS)
            && self.spilled[start].0 == self.spilled[self.spilled.len() - 1].0
        {
            let rounds = self.spilled[start].0 + 1;
            let merged = merge(&self.runs, self.spilled[start..].iter().map(|(_, run)| run))?;
            self.spilled.truncate(start);
            self.spilled.push((rounds, merged));
        }
        Ok(())
    }

    /// The entries in key order; of equal keys in any order.
    /// # Errors
    /// As [`EntrySorter::push`].
    pub fn finish(mut self) -> Result<SortedEntries> {
        if self.spilled.is_empty() {
            self.chunk.sort();
            let EntrySorter { chunk, memory, .. } = self;
            return Ok(SortedEntries { chunk, next: 0, merge: None, _memory: memory });
        }
        if !self.chunk.places.is_empty() {
            self.spill()?;
        }
        self.chunk = Chunk::default();
        self.memory.resize(0)?;
        while self.spilled.len() > MERGED_RUNS {
            let start = self.spilled.len() - MERGED_RUNS;
            let merged = merge(&self.runs, self.spilled[start..].iter().map(|(_, run)| run))?;
            self.spilled.truncate(start);
            self.spilled.push((u32::MAX, merged));
        }
        let merge = Merge::new(self.spilled.iter().map(|(_, run)| run))?;
        Ok(SortedEntries { chunk: Chunk::default(), next: 0, merge: Some(merge), _memory: self.memory })
    }
}

fn push_to(run: &SortedRun, key: &[u8], value: &[u8]) -> Result<()> {
    run.push(RunEntry { key, value, kind: 0, stamp: 0, command: 0 });
    if run.unwritten_bytes() >= UNWRITTEN_BYTES_MAX { run.flush() } else { Ok(()) }
}

fn merge<'r>(runs: &SortedRuns, of: impl Iterator<Item = &'r Arc<SortedRun>>) -> Result<Arc<SortedRun>> {
    let merged = runs.plain();
    let mut merge = Merge::new(of)?;
    while let Some((key, value)) = merge.peek() {
        push_to(&merged, key, value)?;
        merge.advance()?;
    }
    merged.finish()?;
    Ok(Arc::new(merged))
}

/// Runs being merged.
#[derive(Debug)]
struct Merge {
    cursors: Vec<RunCursor>,
    /// Key and cursor, smallest first.
    heap: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
}

impl Merge {
    fn new<'r>(runs: impl Iterator<Item = &'r Arc<SortedRun>>) -> Result<Merge> {
        let mut cursors = Vec::new();
        let mut heap = BinaryHeap::new();
        for run in runs {
            let cursor = RunCursor::new(run, Bound::Unbounded, false)?;
            if let Some(entry) = cursor.peek() {
                heap.push(Reverse((entry.key.to_vec(), cursors.len())));
                cursors.push(cursor);
            }
        }
        Ok(Merge { cursors, heap })
    }

    fn peek(&self) -> Option<(&[u8], &[u8])> {
        let Reverse((_, cursor)) = self.heap.peek()?;
        self.cursors[*cursor].peek().map(|entry| (entry.key, entry.value))
    }

    fn advance(&mut self) -> Result<()> {
        let Some(mut top) = self.heap.peek_mut() else { return Ok(()) };
        let Reverse((key, index)) = &mut *top;
        let cursor = &mut self.cursors[*index];
        cursor.advance()?;
        match cursor.peek() {
            Some(entry) => {
                key.clear();
                key.extend_from_slice(entry.key);
            }
            None => {
                std::collections::binary_heap::PeekMut::pop(top);
            }
        }
        Ok(())
    }
}

/// Entries in key order.
#[derive(Debug)]
pub struct SortedEntries {
    chunk: Chunk,
    next: usize,
    merge: Option<Merge>,
    _memory: Reservation,
}

impl SortedEntries {
    /// Key and value of the entry here; `None` at the end.
    pub fn peek(&self) -> Option<(&[u8], &[u8])> {
        match &self.merge {
            Some(merge) => merge.peek(),
            None => {
                let place = *self.chunk.places.get(self.next)?;
                Some((self.chunk.key(place), self.chunk.value(place)))
            }
        }
    }

    /// Goes to the next entry.
    /// # Errors
    /// `XX001`, I/O errors.
    pub fn advance(&mut self) -> Result<()> {
        match &mut self.merge {
            Some(merge) => merge.advance(),
            None => {
                self.next += 1;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::memory::MemoryAccount;
    use crate::common::random::Random;

    #[test]
    fn entries_come_out_in_key_order_whether_they_fit_into_memory_or_not() {
        for seed in 1..12 {
            let mut random = Random::new(seed);
            let account = MemoryAccount::new(if seed % 2 == 0 { 8 << 20 } else { 600 << 10 });
            let mut sorter = EntrySorter::new(&SortedRuns::in_memory(&account));
            let mut expected = Vec::new();
            let ascending = seed % 3 == 0;
            for number in 0..random.below(6000) {
                let mut key = if ascending { number.to_be_bytes().to_vec() } else { Vec::new() };
                key.extend((0..random.below(14)).map(|_| random.below(4) as u8));
                let value = (number as u32).to_le_bytes()[..random.below(5) as usize].to_vec();
                sorter.push(&key, &value).unwrap();
                expected.push((key, value));
            }
            expected.sort();
            let mut sorted = sorter.finish().unwrap();
            let mut found = Vec::new();
            while let Some((key, value)) = sorted.peek() {
                found.push((key.to_vec(), value.to_vec()));
                sorted.advance().unwrap();
            }
            assert!(found.is_sorted_by_key(|(key, _)| key), "seed {seed}");
            found.sort();
            assert_eq!(found, expected, "seed {seed}");
            drop(sorted);
            assert_eq!(account.used(), 0, "seed {seed}");
        }
    }
}

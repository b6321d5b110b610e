//! Reading a sorted run in key order, in either direction.
//! Knows blocks. Knows nothing of what entries mean.

use super::block::{BlockView, entry_at, u16_at};
use super::{RunEntry, SortedRun};
use crate::common::sync::Arc;
use crate::error::Result;
use std::ops::Bound;

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

//! Blocks that other processes still read: those of older checkpoints which they have locked.
//! Knows block numbers and the places that readers share. Knows nothing of pages or of how readers find a checkpoint.
//!
//! A reader locks the generation of the newest checkpoint, then looks whether it is still the newest
//! ([`super::Storage::open_beside_writer`]). So when the next one is in the file, either the writer sees the lock here,
//! or the reader sees the next checkpoint there. What a locked generation names is kept as it is, and so is the end of
//! the file behind it.

use crate::common::planted::{PlantedFault, is_planted};
use crate::error::Result;
use crate::io::vfs::{File, SHARED_PLACES};
use std::ops::Range;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Retained {
    /// The blocks of each locked generation, a bit each.
    generations: Vec<(u64, Vec<u64>)>,
    /// All of them together.
    all: Vec<u64>,
}

/// The generations from `from` to `to` that readers hold.
fn locked(file: &dyn File, from: u64, to: u64) -> Result<Vec<u64>> {
    if is_planted(PlantedFault::ReadersIgnored) { Ok(Vec::new()) } else { file.shared_places(from..to) }
}

/// Where nobody can tell, somebody may.
fn is_locked(file: &dyn File, generation: u64) -> bool {
    locked(file, generation, generation + 1).map_or(true, |found| !found.is_empty())
}

impl Retained {
    pub(super) fn is_empty(&self) -> bool {
        self.generations.is_empty()
    }

    /// The bits of 64 blocks.
    pub(super) fn word(&self, index: usize) -> u64 {
        self.all.get(index).copied().unwrap_or(0)
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.all
    }

    pub(super) fn holds(&self, block: u32) -> bool {
        self.word(block as usize / 64) >> (block % 64) & 1 == 1
    }

    /// A writer has opened checkpoint `opened`, beside readers of others perhaps. Nobody can tell any more which blocks
    /// those name: all that there are are kept, so that it can only extend the file.
    /// # Errors
    /// `58030`.
    pub(super) fn open(&mut self, file: &dyn File, opened: u64, blocks: Range<u32>) -> Result<()> {
        let others = locked(file, 0, SHARED_PLACES)?;
        let mut any = vec![0; blocks.end as usize / 64 + 1];
        blocks.for_each(|block| any[block as usize / 64] |= 1 << (block % 64));
        for generation in others.into_iter().filter(|generation| *generation != opened) {
            self.generations.push((generation, any.clone()));
        }
        self.unite();
        Ok(())
    }

    /// A checkpoint was replaced by a durable one: its blocks are kept while readers have it, those of older ones no
    /// longer than that.
    pub(super) fn replaced(&mut self, file: &dyn File, generation: u64, named: Vec<u64>) {
        self.look(file);
        if is_locked(file, generation) {
            self.generations.push((generation, named));
            self.unite();
        }
    }

    /// Looks which readers have gone on. True: some have.
    pub(super) fn look(&mut self, file: &dyn File) -> bool {
        let before = self.generations.len();
        self.generations.retain(|(generation, _)| is_locked(file, *generation));
        let is_less = self.generations.len() < before;
        if is_less {
            self.unite();
        }
        is_less
    }

    fn unite(&mut self) {
        self.all.clear();
        for (_, blocks) in &self.generations {
            if self.all.len() < blocks.len() {
                self.all.resize(blocks.len(), 0);
            }
            self.all.iter_mut().zip(blocks).for_each(|(all, word)| *all |= word);
        }
    }
}

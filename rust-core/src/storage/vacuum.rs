//! Giving space back: nodes are merged, pages move to the file's beginning, its free end is cut off. And telling how much
//! there is.
//! Knows pages and blocks. Knows nothing of tables.
//!
//! A page moves by being written somewhere else, as any change of it would; the next checkpoint makes that durable and
//! frees where it was. So a crash at any moment finds the last checkpoint whole, and nothing of this is logged.

use super::btree::merge::{MergeStep, PAIRS_A_STEP};
use super::page::LEVEL_MAX;
use super::{ApplyEstimate, Storage};
use crate::common::ids::{PageId, TreeId};
use crate::error::Result;

/// Pages that move while the turn is taken.
const PAGES_A_TURN: usize = 256;
/// The tail of the file is given back by itself when it is at least this share of it, and so many bytes.
const TRIM_SHARE: u32 = 8;
const TRIM_BYTES_MIN: usize = 1 << 20;
/// Pages move by themselves when less than one block in so many is used, in a file of at least so many bytes.
const TIDY_BLOCKS_A_USED_ONE: u64 = 2;
const TIDY_BYTES_MIN: u64 = 8 << 20;
/// Pages that move by themselves after a checkpoint: this share of those in use, or so many.
const TIDY_SHARE: u64 = 16;
const TIDY_PAGES_MIN: u64 = 512;
/// Leaves that are looked at to tell how full a tree is.
const SAMPLED_LEAVES_MAX: usize = 64;

/// What a tree takes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeSpace {
    /// Its pages.
    pub pages: u64,
    /// Its live entries, about.
    pub entries: u64,
    /// Bytes on its leaves that nothing takes up, from a sample of them.
    pub free_bytes: u64,
}

impl Storage {
    /// Merges what is not full of a tree. `check` is called between steps. Commits go on meanwhile.
    /// # Errors
    /// What `check` raises; `58030`, `XX001`, `53100`, `53200`.
    pub fn merge_tree(&self, id: TreeId, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let Some(tree) = self.find_tree(id)? else { return Ok(()) };
        'levels: for level in 0..LEVEL_MAX {
            let mut key = Vec::new();
            loop {
                check()?;
                let changes = ApplyEstimate { operations: 2 * PAIRS_A_STEP + 2, ..Default::default() };
                let _space = self.reserve(changes)?;
                match tree.merge_some(level, &key)? {
                    MergeStep::More(next) => key = next,
                    MergeStep::LevelEnd => break,
                    MergeStep::TreeEnd => break 'levels,
                }
            }
        }
        let _space = self.reserve(ApplyEstimate { operations: 2, ..Default::default() })?;
        while tree.lower_root()? {}
        Ok(())
    }

    /// Moves pages from the end of the file into free blocks before; a checkpoint makes the end free. Gives how many
    /// moved, pages of the map included, which move with the checkpoint.
    /// # Errors
    /// What `check` raises; `58030`, `XX001`, `53200`.
    pub fn compact(&self, check: &dyn Fn() -> Result<()>) -> Result<u64> {
        self.move_pages(u64::MAX, check)
    }

    fn move_pages(&self, count: u64, check: &dyn Fn() -> Result<()>) -> Result<u64> {
        self.check_writable()?;
        let pool = &*self.pool;
        let end = pool.space.lock().compact_end();
        let mut moved = 0;
        let mut next = Some(PageId(1));
        while let Some(from) = next.filter(|_| moved < count) {
            check()?;
            let _turn = self.turns.take();
            let step = pool.move_down(from, end, PAGES_A_TURN.min((count - moved) as usize))?;
            moved += step.count as u64;
            next = step.next;
        }
        let _turn = self.turns.take();
        let map_pages = pool.map.mark_above(end);
        if map_pages > 0 {
            pool.note_relocated();
        }
        Ok(moved + map_pages)
    }

    /// After a checkpoint: moves some pages when much of the file is free. True: it is worth another checkpoint.
    /// # Errors
    /// As [`Storage::compact`].
    pub fn tidy(&self) -> Result<bool> {
        let (blocks, used, retained) = {
            let space = self.pool.space.lock();
            (u64::from(space.block_count()), space.used_count(), space.retained_count())
        };
        // What other processes read stays where it is, and pages with it would go round in circles.
        if retained > 0 {
            return Ok(false);
        }
        if blocks * (self.page_size() as u64) < TIDY_BYTES_MIN || used * TIDY_BLOCKS_A_USED_ONE > blocks {
            return Ok(false);
        }
        Ok(self.move_pages((used / TIDY_SHARE).max(TIDY_PAGES_MIN), &|| Ok(()))? > 0)
    }

    /// Gives the free blocks at the end of the file back to the file system.
    /// # Errors
    /// `58030`.
    pub fn trim(&self) -> Result<()> {
        self.trim_from(1)
    }

    pub(super) fn trim_if_much(&self) -> Result<()> {
        let blocks = self.pool.space.lock().block_count();
        self.trim_from((blocks / TRIM_SHARE).max((TRIM_BYTES_MIN / self.page_size()) as u32))
    }

    fn trim_from(&self, least: u32) -> Result<()> {
        let mut space = self.pool.space.lock();
        // Under the lock: whoever gives a reservation up has changed its pages before.
        let promised = self.pool.blocks_promised();
        space.trim(promised, least)
    }

    /// What a tree takes up; none: there is no such tree. Reads its inner pages and some leaves.
    /// # Errors
    /// `58030`, `XX001`, `53200`.
    pub fn tree_space(&self, id: TreeId) -> Result<Option<TreeSpace>> {
        let Some(tree) = self.find_tree(id)? else { return Ok(None) };
        let mut space = TreeSpace { entries: tree.entry_estimate(), ..TreeSpace::default() };
        let mut leaves = Vec::new();
        let (mut leaf_count, mut stride) = (0_u64, 1);
        let mut inner = vec![tree.root];
        while let Some(page) = inner.pop() {
            // What is gone meanwhile is counted by nobody.
            let Some(guard) = self.pool.try_fetch_shared(page)? else { continue };
            let node = guard.node();
            if node.tree() != id {
                continue;
            }
            space.pages += 1;
            if node.is_leaf() {
                space.free_bytes = node.free_bytes() as u64;
                continue;
            }
            let children = (0..node.count()).map(|index| node.child(index));
            if node.level() > 1 {
                inner.extend(children);
                continue;
            }
            space.pages += node.count() as u64;
            for leaf in children {
                if leaf_count % stride == 0 {
                    leaves.push(leaf);
                }
                leaf_count += 1;
                if leaves.len() == 2 * SAMPLED_LEAVES_MAX {
                    let mut index = 0;
                    leaves.retain(|_| {
                        index += 1;
                        index % 2 == 1
                    });
                    stride *= 2;
                }
            }
        }
        let (mut sampled, mut free) = (0, 0);
        for leaf in leaves {
            let Some(guard) = self.pool.try_fetch_shared(leaf)? else { continue };
            if guard.node().tree() == id && guard.node().is_leaf() {
                sampled += 1;
                free += guard.node().free_bytes() as u64;
            }
        }
        if let Some(estimate) = (free * leaf_count).checked_div(sampled) {
            space.free_bytes = estimate;
        }
        Ok(Some(space))
    }
}

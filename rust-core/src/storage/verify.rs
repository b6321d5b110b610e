//! Checking a whole database: headers, map, checksums, trees, use of blocks.
//! Knows what must hold and where it does not. Knows nothing of repair, nor of what trees mean.
//!
//! The trees are walked first, so that damage in a block can be told with the tree that it belongs to; then every block
//! that the map names is read from the file. Each block's checksum stands in its map entry, so a whole but older page
//! is damage too.

use super::header::{Slot, StaticHeader};
use super::page::{LEVEL_MAX, Node};
use super::tree::Tree;
use super::{DIRECTORY_TREE, Storage};
use crate::common::ids::{BlockId, PageId, TreeId};
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result};
use crate::storage::page_map;
use hashbrown::{HashMap, HashSet};
use std::fmt;
use std::ops::Bound;

/// Something that is not as it must be, with its place as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// The block of the file.
    pub block: Option<BlockId>,
    /// The page that is, or should be, stored there.
    pub page: Option<PageId>,
    /// The tree that it belongs to.
    pub tree: Option<TreeId>,
    /// What is wrong.
    pub what: String,
}

impl Finding {
    /// A finding without a place.
    pub fn new(what: impl Into<String>) -> Finding {
        Finding { what: what.into(), ..Finding::default() }
    }

    /// A finding about a tree as a whole.
    pub fn in_tree(tree: TreeId, what: impl Into<String>) -> Finding {
        Finding { tree: Some(tree), ..Finding::new(what) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(block) = self.block {
            write!(f, "block {block}, ")?;
        }
        if let Some(page) = self.page {
            write!(f, "page {page}, ")?;
        }
        if let Some(tree) = self.tree {
            write!(f, "tree {tree}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// What a check of storage looked at, and what it found of trees.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Findings reported.
    pub findings: u64,
    /// Trees walked, the directory included.
    pub trees: Vec<TreeId>,
    /// Trees of which not all could be read, or not all agrees.
    pub broken: HashSet<TreeId>,
    /// Live entries of all trees.
    pub entries: u64,
    /// Pages of all trees.
    pub pages: u64,
    /// Pages of the page map.
    pub map_pages: u64,
    /// Blocks in use.
    pub blocks_used: u64,
    /// Blocks that the file has room for.
    pub blocks: u64,
    /// Copies of the static header and of checkpoint slots.
    pub headers: u64,
}

struct Verifier<'a, 'r> {
    storage: &'a Storage,
    report: &'r mut dyn FnMut(Finding),
    /// The tree that reached each page.
    reached: HashMap<u32, TreeId>,
    /// Pages whose damage is reported already.
    told: HashSet<u32>,
    seen: Verified,
}

/// What a walk expects of the next leaf.
struct Walk {
    tree: Arc<Tree>,
    /// The right link of the leaf before, if that could be read.
    next_leaf: Option<PageId>,
}

pub(super) fn describe(error: &Error) -> String {
    match error.detail_text() {
        Some(detail) => format!("{}: {detail}", error.message()),
        None => error.message().to_owned(),
    }
}

impl Storage {
    /// As [`Storage::verify_each`] with findings as text, and a last line that says what was looked at.
    /// # Errors
    /// As there.
    pub fn verify(&self, report: &mut dyn FnMut(&str)) -> Result<u64> {
        let seen = self.verify_each(false, &mut |finding| report(&finding.to_string()))?;
        report(&format!(
            "looked at {} trees with {} entries on {} pages, {} map pages, {} blocks of {} bytes",
            seen.trees.len(),
            seen.entries,
            seen.pages,
            seen.map_pages,
            seen.blocks_used,
            self.page_size()
        ));
        Ok(seen.findings)
    }

    /// Checks headers, page map, checksums of all blocks, all trees and the use of blocks, with the gate closed:
    /// commits wait. `report` gets each finding. `closed_cleanly`: no crash can have torn the older checkpoint's
    /// slot, so that it is looked at too even if this process did not write it.
    /// # Errors
    /// `58030` where not even the headers or the tree directory can be read; damage is a finding, not an error.
    pub fn verify_each(&self, closed_cleanly: bool, report: &mut dyn FnMut(Finding)) -> Result<Verified> {
        let _turn = self.turns.take();
        let slot = *self.slot.lock();
        let _closed = self.gate.close();
        let mut verifier = Verifier {
            storage: self,
            report,
            reached: HashMap::new(),
            told: HashSet::new(),
            seen: Verified::default(),
        };
        let with_older = closed_cleanly || self.statistics().checkpoints > 0;
        verifier.check_headers(&slot, with_older)?;
        verifier.check_trees();
        verifier.check_blocks()?;
        Ok(verifier.seen)
    }

    /// The page and, where it is in the file, the block of the leaf in which `key` of `tree` is or would be.
    pub fn place(&self, tree: TreeId, key: &[u8]) -> Option<(PageId, Option<BlockId>)> {
        let page = self.tree(tree).ok()?.leaf_shared(key).ok()?.node().page_id();
        Some((page, self.block_of(page)))
    }

    /// The blocks that pages and page map use now, in order.
    pub fn blocks_in_use(&self) -> Vec<BlockId> {
        let space = self.pool.space.lock();
        (0..space.block_count()).map(BlockId).filter(|block| space.is_used(*block)).collect()
    }

    fn block_of(&self, page: PageId) -> Option<BlockId> {
        let block = self.pool.map.entry(page)?.block.load(Ordering::Acquire);
        (block != 0).then_some(BlockId(block))
    }
}

impl Verifier<'_, '_> {
    fn finding(&mut self, finding: Finding) {
        self.seen.findings += 1;
        if let Some(tree) = finding.tree {
            self.seen.broken.insert(tree);
        }
        (self.report)(finding);
    }

    /// A finding about a page, in its block if it has one.
    fn page_finding(&mut self, tree: Option<TreeId>, page: PageId, what: impl Into<String>) {
        self.told.insert(page.0);
        let block = self.storage.block_of(page);
        self.finding(Finding { block, page: Some(page), tree, what: what.into() });
    }

    fn block_finding(&mut self, block: BlockId, what: impl Into<String>) {
        self.finding(Finding { block: Some(block), ..Finding::new(what) });
    }

    fn check_headers(&mut self, slot: &Slot, with_older: bool) -> Result<()> {
        let file = self.storage.pool.file();
        match StaticHeader::read(&**file, self.storage.pool.file_name()) {
            Ok(header) if header == self.storage.header => {}
            Ok(_) => {
                self.finding(Finding::new("the static header changed since the database was opened"));
            }
            Err(error) => self.finding(Finding::new(format!("the static header: {}", describe(&error)))),
        }
        self.seen.headers = 3;
        let mut damaged = slot.damaged_copies(&**file)?;
        // Beside a writer they may be of a newer checkpoint by now, or about to be.
        if self.storage.beside_writer.load(Ordering::Relaxed) && self.storage.is_written_on()? {
            damaged.clear();
            self.seen.headers = 1;
        }
        for offset in damaged {
            self.finding(Finding::new(format!(
                "the copy of the checkpoint slot at byte {offset} is damaged"
            )));
        }
        if with_older {
            self.seen.headers += 2;
            for offset in slot.damaged_older_copies(&**file)? {
                self.finding(Finding::new(format!(
                    "the copy of the older checkpoint slot at byte {offset} is damaged"
                )));
            }
        }
        Ok(())
    }

    /// Every block of the map and of the pages: used once, as the map says, and holding what it should.
    fn check_blocks(&mut self) -> Result<()> {
        let pool = &*self.storage.pool;
        let mut bytes = vec![0; pool.page_size()];
        let mut named = HashSet::new();
        let map: Vec<(u32, usize, page_map::BlockRef)> = {
            let levels = pool.map.levels();
            let nodes = |level: usize| levels[level].nodes.iter().copied().enumerate();
            (0..levels.len())
                .flat_map(|level| nodes(level).map(move |(i, at)| (level as u32, i, at)))
                .collect()
        };
        for (level, index, at) in map.into_iter().filter(|(_, _, at)| at.block.0 != 0) {
            self.seen.map_pages += 1;
            self.check_block(at.block, &mut named);
            let offset = u64::from(at.block.0) * pool.page_size() as u64;
            let read = pool.file().read_at(&mut bytes, offset)?;
            bytes[read..].fill(0);
            if let Err(what) = page_map::decode(&bytes, level, index, at.crc) {
                self.block_finding(at.block, format!("map page {index} of level {level}: {what}"));
            }
        }
        let whole = self.seen.broken.is_empty();
        // Of bulk loads that go on meanwhile.
        let (mut built_pages, mut built_blocks) = (HashSet::new(), HashSet::new());
        pool.built.note_pages_and_blocks(&mut built_pages, &mut built_blocks);
        for page in (1..pool.map.page_count()).map(PageId) {
            let Some(entry) = pool.map.entry(page) else { continue };
            let block = entry.block.load(Ordering::Acquire);
            let in_use = block != 0 || entry.frame.load(Ordering::Acquire) != 0;
            let tree = self.reached.get(&page.0).copied();
            if in_use
                && tree.is_none()
                && !self.told.contains(&page.0)
                && whole
                && !built_pages.contains(&page.0)
            {
                self.page_finding(None, page, "no tree reaches it, but the page map names it");
            }
            if block == 0 {
                continue;
            }
            self.check_block(BlockId(block), &mut named);
            // What is changed in memory has no block of its own yet; its old one is dead weight.
            if pool.is_dirty(page) {
                continue;
            }
            match pool.read_block(page, block, entry.crc.load(Ordering::Acquire), &mut bytes) {
                Ok(()) => {}
                // Readers may have evicted it meanwhile: then it is somewhere else now.
                Err(_) if entry.block.load(Ordering::Acquire) != block => {}
                Err(_) if self.told.contains(&page.0) => {}
                Err(error) => {
                    let what = error.detail_text().unwrap_or(error.message()).to_owned();
                    self.page_finding(tree, page, what);
                }
            }
        }
        let space = pool.space.lock();
        let unnamed: Vec<u32> = (0..space.block_count())
            .filter(|block| space.is_used(BlockId(*block)) && !named.contains(block))
            .collect();
        self.seen.blocks_used = space.used_count();
        self.seen.blocks = u64::from(space.block_count());
        drop(space);
        pool.built.note_pages_and_blocks(&mut built_pages, &mut built_blocks);
        for block in unnamed.into_iter().filter(|block| !built_blocks.contains(block)) {
            self.block_finding(BlockId(block), "it counts as used, but the page map does not name it");
        }
        Ok(())
    }

    fn check_block(&mut self, block: BlockId, named: &mut HashSet<u32>) {
        if !named.insert(block.0) {
            self.block_finding(block, "it is used twice");
        }
        if !self.storage.pool.space.lock().is_used(block) {
            self.block_finding(block, "it is in use, but counts as free");
        }
    }

    /// Every tree of the directory.
    fn check_trees(&mut self) {
        self.check_tree(DIRECTORY_TREE);
        let mut ids = Vec::new();
        let mut cursor = super::TreeCursor::new(Bound::Unbounded, Bound::Unbounded, false);
        let mut key = Vec::new();
        loop {
            let visited = self.storage.directory.visit(&mut cursor, |leaf, range| {
                for index in range.filter(|index| !leaf.is_ghost(*index)) {
                    leaf.key_into(index, &mut key);
                    ids.extend(key.first_chunk::<4>().map(|id| TreeId(u32::from_be_bytes(*id))));
                }
            });
            match visited {
                Ok(Some(())) => {}
                Ok(None) => break,
                // Its walk said where.
                Err(_) => {
                    self.seen.broken.insert(DIRECTORY_TREE);
                    break;
                }
            }
        }
        for id in ids {
            self.check_tree(id);
        }
    }

    fn check_tree(&mut self, id: TreeId) {
        let tree = match self.storage.tree(id) {
            Ok(tree) => tree,
            Err(error) => {
                return self.finding(Finding { tree: Some(id), ..Finding::new(describe(&error)) });
            }
        };
        self.seen.trees.push(id);
        let before = self.seen.entries;
        let root = tree.root;
        let live = tree.entry_estimate();
        let mut walk = Walk { tree, next_leaf: None };
        let findings = self.seen.findings;
        self.check_node(&mut walk, root, None, &[], None);
        if walk.next_leaf.is_some_and(|page| page.0 != 0) {
            let what = "its last leaf links to another page";
            self.finding(Finding { tree: Some(id), ..Finding::new(what) });
        }
        let entries = self.seen.entries - before;
        if id != DIRECTORY_TREE && self.seen.findings == findings && entries != live {
            let what = format!("it holds {entries} entries, but {live} are counted");
            self.finding(Finding { tree: Some(id), ..Finding::new(what) });
        }
    }

    /// A page and all below it. `level` and the fences are what the parent says; none for a root.
    fn check_node(
        &mut self,
        walk: &mut Walk,
        page: PageId,
        level: Option<u8>,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) {
        let id = walk.tree.id;
        let bytes = match self.storage.pool.fetch_shared(page) {
            Ok(guard) => guard.to_vec(),
            Err(error) => {
                walk.next_leaf = None;
                let what = error.detail_text().unwrap_or(error.message()).to_owned();
                return self.page_finding(Some(id), page, what);
            }
        };
        let node = Node::new(&bytes);
        self.seen.pages += 1;
        let mut wrong = |what: &str| self.page_finding(Some(id), page, what);
        if node.tree() != id {
            walk.next_leaf = None;
            return wrong("it belongs to another tree");
        }
        if level.is_some_and(|level| level != node.level()) || node.level() > LEVEL_MAX {
            walk.next_leaf = None;
            return wrong("its level is not one below its parent's");
        }
        if node.lower_fence() != lower || node.upper_fence().as_deref() != upper {
            wrong("its fences are not what its parent says");
        }
        if let Err(index) = node.check_order() {
            wrong(&format!("entry {index} is out of order"));
        }
        if node.is_leaf() && walk.next_leaf.is_some_and(|expected| expected != page) {
            wrong("the leaf before does not link to it");
        }
        if self.reached.insert(page.0, id).is_some() {
            return self.page_finding(Some(id), page, "it is reached twice");
        }
        if node.is_leaf() {
            walk.next_leaf = Some(node.right());
            self.seen.entries += (0..node.count()).filter(|index| !node.is_ghost(*index)).count() as u64;
            return;
        }
        for index in 0..node.count() {
            let key = node.key(index);
            let child_lower = if index == 0 { node.lower_fence() } else { &key[..] };
            let next = (index + 1 < node.count()).then(|| node.key(index + 1));
            let child_upper = next.as_deref().or(upper);
            self.check_node(walk, node.child(index), Some(node.level() - 1), child_lower, child_upper);
        }
    }
}

//! Checking a whole database: headers, map, checksums, trees, use of blocks.
//! Knows what must hold. Knows nothing of repair.

use super::header::StaticHeader;
use super::page::{LEVEL_MAX, Node};
use super::tree::Tree;
use super::{DIRECTORY_TREE, Storage};
use crate::common::ids::{BlockId, PageId, TreeId};
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::{Error, Result};
use crate::storage::page_map;
use hashbrown::HashSet;
use std::ops::Bound;

struct Verifier<'a, 'r> {
    storage: &'a Storage,
    report: &'r mut dyn FnMut(&str),
    findings: u64,
    /// Pages that a tree reached.
    reached: HashSet<u32>,
    map_pages: u64,
    pages: u64,
    entries: u64,
    trees: u64,
}

/// What a walk expects of the next leaf.
struct Walk {
    tree: Arc<Tree>,
    /// The right link of the leaf before, if that could be read.
    next_leaf: Option<PageId>,
}

fn describe(error: &Error) -> String {
    match error.detail_text() {
        Some(detail) => format!("{}: {detail}", error.message()),
        None => error.message().to_owned(),
    }
}

impl Storage {
    /// Checks headers, page map, checksums of all blocks, all trees and the use of blocks, with the gate closed:
    /// commits wait. `report` gets one line for each finding and a last line that says what was looked at.
    /// Returns the number of findings.
    /// # Errors
    /// `58030` where not even the headers or the tree directory can be read; damage is a finding, not an error.
    pub fn verify(&self, report: &mut dyn FnMut(&str)) -> Result<u64> {
        let slot = self.slot.lock();
        let _closed = self.gate.close();
        let mut verifier = Verifier {
            storage: self,
            report,
            findings: 0,
            reached: HashSet::new(),
            map_pages: 0,
            pages: 0,
            entries: 0,
            trees: 0,
        };
        match StaticHeader::read(&**self.pool.file(), self.pool.file_name()) {
            Ok(header) if header == self.header => {}
            Ok(_) => verifier.finding("the static header changed since the database was opened"),
            Err(error) => verifier.finding(&describe(&error)),
        }
        for offset in slot.damaged_copies(&**self.pool.file())? {
            verifier.finding(&format!("the copy of the checkpoint slot at byte {offset} is damaged"));
        }
        verifier.check_blocks()?;
        verifier.check_trees()?;
        let line = format!(
            "looked at {} trees with {} entries on {} pages, {} map pages, {} blocks of {} bytes",
            verifier.trees,
            verifier.entries,
            verifier.pages,
            verifier.map_pages,
            self.pool.space.lock().used_count(),
            self.page_size()
        );
        (verifier.report)(&line);
        Ok(verifier.findings)
    }
}

impl Verifier<'_, '_> {
    fn finding(&mut self, text: &str) {
        self.findings += 1;
        (self.report)(text);
    }

    /// Every block of the map and of the pages: used once, as the map says.
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
            self.map_pages += 1;
            self.check_block(at.block, &mut named);
            let offset = u64::from(at.block.0) * pool.page_size() as u64;
            let read = pool.file().read_at(&mut bytes, offset)?;
            bytes[read..].fill(0);
            if let Err(what) = page_map::decode(&bytes, level, index, at.crc) {
                self.finding(&format!("map page {index} of level {level} in block {}: {what}", at.block));
            }
        }
        for page in (1..pool.map.page_count()).map(PageId) {
            let Some(entry) = pool.map.entry(page) else { continue };
            let block = entry.block.load(Ordering::Acquire);
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
                Err(error) => self.finding(&describe(&error)),
            }
        }
        let used = pool.space.lock().used_count();
        if used != named.len() as u64 {
            self.finding(&format!("{used} blocks are in use, but the page map names {}", named.len()));
        }
        Ok(())
    }

    fn check_block(&mut self, block: BlockId, named: &mut HashSet<u32>) {
        if !named.insert(block.0) {
            self.finding(&format!("block {block} is used twice"));
        }
        if !self.storage.pool.space.lock().is_used(block) {
            self.finding(&format!("block {block} is in use, but counts as free"));
        }
    }

    /// Every tree of the directory, then the pages that no tree reached.
    fn check_trees(&mut self) -> Result<()> {
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
                Err(error) => {
                    self.finding(&describe(&error));
                    break;
                }
            }
        }
        for id in ids {
            self.check_tree(id);
        }
        let pool = &*self.storage.pool;
        for page in (1..pool.map.page_count()).map(PageId) {
            let in_use = pool.map.entry(page).is_some_and(|entry| {
                entry.block.load(Ordering::Acquire) != 0 || entry.frame.load(Ordering::Acquire) != 0
            });
            if in_use && !self.reached.contains(&page.0) && self.findings == 0 {
                self.finding(&format!("page {page} belongs to no tree"));
            }
        }
        Ok(())
    }

    fn check_tree(&mut self, id: TreeId) {
        let tree = match self.storage.tree(id) {
            Ok(tree) => tree,
            Err(error) => return self.finding(&describe(&error)),
        };
        self.trees += 1;
        let before = self.entries;
        let root = tree.root;
        let live = tree.entry_estimate();
        let mut walk = Walk { tree, next_leaf: None };
        let findings = self.findings;
        self.check_node(&mut walk, root, None, &[], None);
        if walk.next_leaf.is_some_and(|page| page.0 != 0) {
            self.finding(&format!("the last leaf of tree {id} links to another page"));
        }
        if id != DIRECTORY_TREE && self.findings == findings && self.entries - before != live {
            self.finding(&format!(
                "tree {id} holds {} entries, but {live} are counted",
                self.entries - before
            ));
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
                return self.finding(&format!("tree {id}: {}", describe(&error)));
            }
        };
        let node = Node::new(&bytes);
        self.pages += 1;
        let mut wrong = |what: &str| self.finding(&format!("page {page} of tree {id}: {what}"));
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
        if !self.reached.insert(page.0) {
            return self.finding(&format!("page {page} of tree {id}: it is reached twice"));
        }
        if node.is_leaf() {
            walk.next_leaf = Some(node.right());
            self.entries += (0..node.count()).filter(|index| !node.is_ghost(*index)).count() as u64;
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

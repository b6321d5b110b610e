//! Reading what can be read of a file that may be damaged anywhere: every block is looked at, whatever the map says.
//! Knows pages, map and slots. Knows nothing of rows; writes nothing.
//!
//! A leaf says itself which tree and which range of keys it holds, and its checksum whether to believe it. So the leaves
//! of a tree are found without inner pages, without the map and without slots. Where several leaves claim a range, one
//! that the map names goes first, then the newest; what no leaf claims is lost.

use super::header::{Slot, StaticHeader, page_size_is_valid};
use super::page::Node;
use super::page_map::{self, BlockRef, MAP_HEADER_BYTES, MAP_LEVELS_MAX};
use super::verify::{Finding, describe};
use super::{BLOCKS_START_BYTES, CheckpointRecord, DIRECTORY_TREE, decode_root};
use crate::common::ids::{Lsn, PageId, TreeId};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::File;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Blocks looked at to guess the page size of a file whose header is damaged.
const GUESS_BLOCKS: u64 = 4096;
const WINDOW_BYTES: usize = 1 << 20;

/// A whole leaf somewhere in the file.
#[derive(Clone, Debug)]
struct Leaf {
    block: u32,
    page: u32,
    named: bool,
    generation: u64,
    newest: Lsn,
    lower: Vec<u8>,
    upper: Option<Vec<u8>>,
}

/// Takes a key and its value.
type EachEntry<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<()>;

/// A range of keys of a tree: from the key inclusive to the key exclusive, if there is an end.
type Range = (Vec<u8>, Option<Vec<u8>>);

/// What was found of one tree.
#[derive(Clone, Debug, Default)]
pub struct FoundTree {
    /// Which leaf serves each range, by the range's start.
    parts: BTreeMap<Vec<u8>, (Option<Vec<u8>>, Leaf)>,
    /// Leaves that stand in for others, which are damaged.
    pub older_leaves: u64,
    /// Ranges of keys that no leaf holds.
    pub gaps: u64,
    /// Whether the map names any of the leaves.
    pub is_named: bool,
}

/// A file being read block by block.
#[derive(Debug)]
pub struct Salvage {
    file: Arc<dyn File>,
    page_size: usize,
    database: Option<[u8; 16]>,
    checkpoint: Option<CheckpointRecord>,
    /// The whole page map could be read.
    map_is_whole: bool,
    trees: BTreeMap<TreeId, Vec<Leaf>>,
    /// The newest change seen on any leaf.
    newest: Lsn,
    blocks: u64,
}

impl Salvage {
    /// Looks at every block of `file`; `report` gets what is damaged.
    /// # Errors
    /// `XX001` when there is no page at all in the file; `58030`; `0A000` for a newer format.
    pub fn open(file: Arc<dyn File>, name: &str, report: &mut dyn FnMut(Finding)) -> Result<Salvage> {
        let mut database = None;
        let page_size = match StaticHeader::read(&*file, name) {
            Ok(header) => {
                database = Some(header.database);
                header.page_size
            }
            Err(error) if error.state() == SqlState::DATA_CORRUPTED => {
                report(Finding::new(describe(&error)));
                guess_page_size(&*file)?.ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        let slot = match database {
            Some(database) => Slot::read_newest(&*file, &database)?,
            None => Slot::read_newest_of_any(&*file)?,
        };
        let mut salvage = Salvage {
            file,
            page_size,
            database: database.or(slot.map(|slot| slot.record.database)),
            checkpoint: slot.map(|slot| slot.record),
            map_is_whole: slot.is_some(),
            trees: BTreeMap::new(),
            newest: slot.map_or(Lsn::ZERO, |slot| slot.record.cut_lsn),
            blocks: 0,
        };
        let mut named = HashMap::new();
        match slot {
            Some(slot) => salvage.read_map(&slot, &mut named, report)?,
            None => report(Finding::new(
                "none of the checkpoint slots is whole: pages are found by looking at every block",
            )),
        }
        salvage.scan(&named, report)?;
        Ok(salvage)
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> usize {
        self.page_size
    }

    /// The last checkpoint, if a slot could be read.
    pub fn checkpoint(&self) -> Option<CheckpointRecord> {
        self.checkpoint
    }

    /// The name of the database, if header or slot could be read.
    pub fn database(&self) -> Option<[u8; 16]> {
        self.database
    }

    /// No change that was found is newer.
    pub fn newest(&self) -> Lsn {
        self.newest
    }

    /// Blocks looked at.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The trees that leaves were found of, but the directory. Where the map is whole, those that it names no leaf of
    /// are left out: they were dropped.
    pub fn trees(&self) -> Vec<TreeId> {
        let found = self.trees.iter().filter(|(tree, _)| **tree != DIRECTORY_TREE);
        let found = found.filter(|(_, leaves)| !self.map_is_whole || leaves.iter().any(|leaf| leaf.named));
        found.map(|(tree, _)| *tree).collect()
    }

    /// Entries that the last checkpoint counted, a tree; what can be read of it.
    /// # Errors
    /// `58030`.
    pub fn counts(&self) -> Result<HashMap<TreeId, u64>> {
        let mut counts = HashMap::new();
        self.entries(&self.tree(DIRECTORY_TREE), &mut |key, value| {
            if let (Some(id), Some(found)) = (key.first_chunk::<4>(), decode_root(value)) {
                counts.insert(TreeId(u32::from_be_bytes(*id)), found.entries);
            }
            Ok(())
        })?;
        Ok(counts)
    }

    /// Which leaves serve which keys of a tree.
    pub fn tree(&self, tree: TreeId) -> FoundTree {
        let mut found = FoundTree::default();
        let mut leaves: Vec<&Leaf> = self.trees.get(&tree).into_iter().flatten().collect();
        leaves.sort_by_key(|leaf| {
            std::cmp::Reverse((leaf.named, leaf.generation, leaf.newest, leaf.block)) //
        });
        for leaf in leaves {
            found.is_named |= leaf.named;
            let free = found.unclaimed(&leaf.lower, leaf.upper.as_deref());
            found.older_leaves += u64::from(self.map_is_whole && !leaf.named && !free.is_empty());
            for (lower, upper) in free {
                found.parts.insert(lower, (upper, leaf.clone()));
            }
        }
        found.gaps = found.unclaimed(&[], None).len() as u64;
        found
    }

    /// Gives every live entry of a tree, in the order of keys.
    /// # Errors
    /// `58030`; what `each` returns.
    pub fn entries(&self, tree: &FoundTree, each: EachEntry<'_>) -> Result<()> {
        let mut bytes = vec![0; self.page_size];
        for (lower, (upper, leaf)) in &tree.parts {
            let read = self.file.read_at(&mut bytes, u64::from(leaf.block) * self.page_size as u64)?;
            let node = Node::new(&bytes);
            // It was whole a moment ago; the file is locked against writers, not against its disk.
            if read != bytes.len() || node.stored_crc() != node.computed_crc() || node.check().is_err() {
                continue;
            }
            for index in 0..node.count() {
                let key = node.key(index);
                if key >= *lower
                    && upper.as_ref().is_none_or(|upper| key < *upper)
                    && let Some(value) = node.live_value(index)
                {
                    each(&key, value)?;
                }
            }
        }
        Ok(())
    }

    /// The blocks that the map names for pages, as far as it can be read.
    fn read_map(
        &mut self,
        slot: &Slot,
        named: &mut HashMap<u32, BlockRef>,
        report: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let fanout = (self.page_size - MAP_HEADER_BYTES) / 8;
        if slot.map_levels == 0 || slot.map_levels > MAP_LEVELS_MAX {
            self.map_is_whole = false;
            report(Finding::new("the checkpoint slot names an impossible number of map levels"));
            return Ok(());
        }
        let mut nodes = vec![(0, slot.map_root)];
        let mut bytes = vec![0; self.page_size];
        for level in (0..slot.map_levels).rev() {
            let mut below = Vec::new();
            for (index, at) in nodes.into_iter().filter(|(_, at)| at.block.0 != 0) {
                let read = self.file.read_at(&mut bytes, u64::from(at.block.0) * self.page_size as u64)?;
                bytes[read..].fill(0);
                match page_map::decode(&bytes, level, index, at.crc) {
                    Ok(entries) => {
                        let first = index * fanout;
                        below.extend(entries.into_iter().enumerate().map(|(at, entry)| (first + at, entry)));
                    }
                    Err(what) => {
                        self.map_is_whole = false;
                        let what = format!(
                            "map page {index} of level {level}: {what}; its pages are looked for in every block"
                        );
                        report(Finding { block: Some(at.block), ..Finding::new(what) });
                    }
                }
            }
            nodes = below;
        }
        named.extend(nodes.into_iter().filter(|(_, at)| at.block.0 != 0).map(|(page, at)| (page as u32, at)));
        Ok(())
    }

    /// Finds every whole leaf, and which named pages are not whole.
    fn scan(&mut self, named: &HashMap<u32, BlockRef>, report: &mut dyn FnMut(Finding)) -> Result<()> {
        let end = self.file.size()?.div_ceil(self.page_size as u64).min(u64::from(u32::MAX));
        let mut window = vec![0; WINDOW_BYTES.max(self.page_size)];
        let blocks_a_window = (window.len() / self.page_size) as u64;
        let mut sound: HashMap<u32, u32> = HashMap::new();
        let mut block = BLOCKS_START_BYTES / self.page_size as u64;
        while block < end {
            let read = self.file.read_at(&mut window, block * self.page_size as u64)?;
            for (place, bytes) in window[..read].chunks_exact(self.page_size).enumerate() {
                let block = (block + place as u64) as u32;
                self.blocks += 1;
                refuse_newer(bytes, block, named)?;
                let Some(node) = whole_page(bytes) else { continue };
                let page = node.page_id().0;
                let is_named =
                    named.get(&page).is_some_and(|at| at.block.0 == block && at.crc == node.stored_crc());
                if is_named {
                    sound.insert(page, block);
                }
                if !node.is_leaf() || node.check_order().is_err() {
                    continue;
                }
                self.newest = self.newest.max(node.max_timestamp());
                self.trees.entry(node.tree()).or_default().push(Leaf {
                    block,
                    page,
                    named: is_named,
                    generation: node_generation(bytes),
                    newest: node.max_timestamp(),
                    lower: node.lower_fence().to_vec(),
                    upper: node.upper_fence(),
                });
            }
            block += blocks_a_window;
        }
        let mut pages: Vec<(&u32, &BlockRef)> =
            named.iter().filter(|(page, _)| !sound.contains_key(*page)).collect();
        pages.sort_unstable_by_key(|(page, _)| **page);
        for (page, at) in pages {
            let what = "it is not the page that the map names";
            let tree = self.tree_of(PageId(*page));
            report(Finding { block: Some(at.block), page: Some(PageId(*page)), tree, what: what.to_owned() });
        }
        Ok(())
    }

    /// The tree of which some older image of a page is a leaf.
    fn tree_of(&self, page: PageId) -> Option<TreeId> {
        let has = |leaves: &Vec<Leaf>| leaves.iter().any(|leaf| leaf.page == page.0);
        self.trees.iter().find(|(_, leaves)| has(leaves)).map(|(tree, _)| *tree)
    }
}

impl FoundTree {
    /// The parts of a range that no leaf serves yet.
    fn unclaimed(&self, lower: &[u8], upper: Option<&[u8]>) -> Vec<Range> {
        let mut free = Vec::new();
        let mut at = lower.to_vec();
        let before = self.parts.range::<[u8], _>((Bound::Unbounded, Bound::Included(lower))).next_back();
        let after = self.parts.range::<[u8], _>((Bound::Excluded(lower), Bound::Unbounded));
        for (start, (end, _)) in before.into_iter().chain(after) {
            if upper.is_some_and(|upper| start.as_slice() >= upper) {
                break;
            }
            if *start > at {
                free.push((at.clone(), Some(start.clone())));
            }
            match end {
                None => return free,
                Some(end) if *end > at => at.clone_from(end),
                Some(_) => {}
            }
        }
        if upper.is_none_or(|upper| at.as_slice() < upper) {
            free.push((at, upper.map(<[u8]>::to_vec)));
        }
        free
    }
}

/// The page in a block, if its checksum holds and nothing in it leads outside.
fn whole_page(bytes: &[u8]) -> Option<Node<'_>> {
    let node = Node::new(bytes);
    let is_whole = node.page_id().0 != 0
        && node.stored_crc() == node.computed_crc()
        && node.check().is_ok()
        && node.tree() >= DIRECTORY_TREE;
    is_whole.then_some(node)
}

/// A page that the map names and that a newer version wrote is not damage: what it holds must not be left out.
fn refuse_newer(bytes: &[u8], block: u32, named: &HashMap<u32, BlockRef>) -> Result<()> {
    let node = Node::new(bytes);
    let is_named =
        named.get(&node.page_id().0).is_some_and(|at| at.block.0 == block && at.crc == node.stored_crc());
    match node.unknown().filter(|_| is_named && node.stored_crc() == node.computed_crc()) {
        Some(what) => Err(Error::not_supported(format!("{what} in block {block}"))
            .hint("Salvage the file with the version of Lumos that wrote it, or a newer one.")),
        None => Ok(()),
    }
}

/// The checkpoint that a page was written for.
fn node_generation(bytes: &[u8]) -> u64 {
    bytes[16..24].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The page size under which blocks hold whole pages.
fn guess_page_size(file: &dyn File) -> Result<Option<usize>> {
    let mut best = (0, None);
    for page_size in (0..32).map(|power| 1_usize << power).filter(|size| page_size_is_valid(*size)) {
        let mut bytes = vec![0; page_size];
        let first = BLOCKS_START_BYTES / page_size as u64;
        let mut whole = 0;
        for block in first..first + GUESS_BLOCKS {
            if file.read_at(&mut bytes, block * page_size as u64)? < page_size {
                break;
            }
            whole += u64::from(whole_page(&bytes).is_some());
        }
        if whole > best.0 {
            best = (whole, Some(page_size));
        }
    }
    Ok(best.1)
}

/// `XX001`: there is nothing to be read.
pub fn nothing_to_salvage(name: &str) -> Error {
    Error::new(SqlState::DATA_CORRUPTED, format!("file \"{name}\" holds no table that can be read"))
}

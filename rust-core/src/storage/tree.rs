//! The interface of an ordered tree: reading and changing one key, and visiting leaves in order.
//! Knows keys and values as bytes and timestamps as LSNs. Knows nothing of rows, snapshots or SQL.
//!
//! A B+-tree whose root page never changes. Readers couple shared latches downwards, from the root or a copy of it (`root_copy`); a change takes the leaf's
//! latch exclusively and, only when the leaf is full, comes again with exclusive latches from the lowest inner
//! node that has room. Latches are taken downwards and to the right, and none is held between two calls.
//! Source: Graefe, "Modern B-Tree Techniques", 2011.

use super::btree::split::can_end_before;
use super::buffer_pool::{BufferPool, ExclusivePage, SharedPage};
use super::bulk::pages::BuiltPages;
use super::gate::ApplyGate;
use super::page::{Node, RECORD_HEADER_BYTES};
use crate::common::ids::{Lsn, PageId, TreeId};
use crate::common::sync::Arc;
use crate::common::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::error::{Error, Result, SqlState};
use crossbeam::utils::CachePadded;

/// What a key held before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before<'a> {
    /// Nothing, or a ghost.
    Absent,
    /// This value.
    Value(&'a [u8]),
}

/// Receives what changes replace; the version store implements it.
pub trait VersionSink {
    /// Called under the leaf's exclusive latch, before the page changes. Must not touch trees.
    fn replaced(&self, tree: TreeId, key: &[u8], timestamp: Lsn, before: Before<'_>);
}

/// An entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The value; empty for a ghost.
    pub value: &'a [u8],
    /// Deleted, but older snapshots may still need the key.
    pub ghost: bool,
}

/// A change of one key; absolute or monotone, so that applying it twice is applying it once.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// The key holds this value.
    Put(&'a [u8]),
    /// The key is gone.
    Delete,
    /// These bits of the value are set; the value is as long as the longer of the two.
    Or(&'a [u8]),
    /// The value (8 bytes, big-endian) is at least this.
    Max(u64),
}

/// An ordered tree of one database. Threads: any.
pub struct Tree {
    pub(super) id: TreeId,
    /// Of all trees in this process it alone has it.
    pub(super) number: u64,
    pub(super) root: PageId,
    pub(super) pool: Arc<BufferPool>,
    pub(super) gate: Arc<ApplyGate>,
    /// Level of the root when it was last seen.
    pub(super) height: AtomicU8,
    /// How far leaves are filled whose keys come in ascending order, in hundredths; 0: nothing was said.
    pub(super) fill_percent: AtomicU8,
    /// The last leaf, while keys arrive in ascending order; 0: they do not.
    pub(super) append: CachePadded<AtomicU32>,
    /// Live entries.
    pub(super) entries: CachePadded<AtomicU64>,
    /// What the directory says about them.
    entries_saved: AtomicU64,
    pub(super) dropped: AtomicBool,
    /// No snapshot below this exists or will: older ghosts are of no use.
    pub(super) horizon: Arc<AtomicU64>,
    /// The commit that linked the tree's first pages: they are as new as that, whatever they say. Of this process alone;
    /// snapshots of the next one are newer.
    pub(super) born: AtomicU64,
    /// The commit that linked pages, as the directory says.
    pub(super) linked_at: AtomicU64,
    /// The pages are not in the page map: the tree is seen by who built it alone.
    pub(super) built: Option<Arc<BuiltPages>>,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("id", &self.id).field("root", &self.root).finish_non_exhaustive()
    }
}

/// Splits that an entry may cause: one a level, again where others fill the room first. Only a damaged tree takes more.
const SPLITS_MAX: usize = 1000;

/// After so many keys on one leaf more are expected to follow there, in ascending order.
const STRETCH_MIN: usize = 8;

/// A child of the root.
enum Below<'t> {
    Leaf(ExclusivePage<'t>),
    Inner(SharedPage<'t>),
}

/// What became of a change on one leaf.
enum Outcome {
    Done,
    /// Done, and the leaf has no entry left.
    Emptied,
    /// Nothing changed; the leaf has no room for a record of so many bytes.
    Full,
}

impl Tree {
    pub(super) fn new(
        id: TreeId,
        root: PageId,
        entries: u64,
        pool: Arc<BufferPool>,
        gate: Arc<ApplyGate>,
        horizon: Arc<AtomicU64>,
    ) -> Tree {
        // Trees are numbered, no more: a model checker need not look on.
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Tree {
            id,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            root,
            pool,
            gate,
            height: AtomicU8::new(0),
            fill_percent: AtomicU8::new(0),
            append: CachePadded::new(AtomicU32::new(0)),
            entries: CachePadded::new(AtomicU64::new(entries)),
            entries_saved: AtomicU64::new(entries),
            dropped: AtomicBool::new(false),
            horizon,
            born: AtomicU64::new(0),
            linked_at: AtomicU64::new(0),
            built: None,
        }
    }

    /// The commit that linked its first pages; zero: none did, that recovery could meet.
    pub(super) fn linked(&self) -> Lsn {
        Lsn(self.linked_at.load(Ordering::Relaxed))
    }

    /// The newest timestamp of a change on a page that is latched.
    pub(super) fn newest(&self, node: Node<'_>) -> Lsn {
        node.max_timestamp().max(Lsn(self.born.load(Ordering::Relaxed)))
    }

    /// The tree's id.
    pub fn id(&self) -> TreeId {
        self.id
    }

    /// About how many live entries there are. O(1).
    pub fn entry_estimate(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Whether the directory says something else about the entries.
    pub(super) fn is_miscounted(&self) -> bool {
        self.entry_estimate() != self.entries_saved.load(Ordering::Relaxed)
    }

    /// The directory says so.
    pub(super) fn count_saved(&self, count: u64) {
        self.entries_saved.store(count, Ordering::Relaxed);
    }

    /// Bytes that stay free on leaves for entries that grow, as the tree was told ([`super::Storage::set_fill_percent`]).
    #[inline]
    pub fn spare_bytes(&self) -> usize {
        match self.fill_percent.load(Ordering::Relaxed) {
            0 => 0,
            percent => spare_bytes(self.pool.page_size(), percent),
        }
    }

    /// Whether another entry behind all others, with a record of so many bytes, would leave less free than it should, and
    /// can begin a leaf of its own. To be asked of a tree's last leaf.
    #[inline]
    pub(super) fn is_filled(&self, leaf: Node<'_>, key: &[u8], record_bytes: usize) -> bool {
        let spare = self.spare_bytes();
        spare > 0 && leaf.count() > 0 && !leaf.has_room(record_bytes + spare) && can_end_before(leaf, key)
    }

    /// The longest key that this database's page size allows: a quarter of a page.
    pub fn key_bytes_max(&self) -> usize {
        self.pool.page_size() / 4
    }

    /// The longest value that this database's page size allows: a third of a page.
    pub fn value_bytes_max(&self) -> usize {
        self.pool.page_size() / 3
    }

    /// Reads a key. `read` gets the entry, a ghost included, and the newest timestamp of a change on its
    /// page; it runs under the leaf's shared latch: short, no I/O, no other tree.
    /// # Errors
    /// `XX001` for a damaged page, `58030`, `53200`.
    pub fn get<R>(&self, key: &[u8], read: impl FnOnce(Option<Entry<'_>>, Lsn) -> R) -> Result<R> {
        let leaf = self.leaf_shared(key).map_err(|error| self.named(error))?;
        let node = leaf.node();
        Ok(read(entry_of(node, key), self.newest(node)))
    }

    /// Reads keys one after another as long as they lie on the leaf of the first one, which is found once; `read` is
    /// as for [`Tree::get`] and gets the key's number too; `false` from it: this key was not read, and ends the run.
    /// Gives how many keys were read. Worth most where neighbouring keys follow each other.
    /// # Errors
    /// As for [`Tree::get`].
    pub fn get_run<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        mut read: impl FnMut(usize, Option<Entry<'_>>, Lsn) -> bool,
    ) -> Result<usize> {
        let Some(first) = keys.first() else { return Ok(0) };
        let leaf = self.leaf_shared(first.as_ref()).map_err(|error| self.named(error))?;
        let node = leaf.node();
        for (index, key) in keys.iter().enumerate() {
            let key = key.as_ref();
            if index > 0 && (key < node.lower_fence() || !node.is_below_upper_fence(key)) {
                return Ok(index);
            }
            if !read(index, entry_of(node, key), self.newest(node)) {
                return Ok(index);
            }
        }
        Ok(keys.len())
    }

    /// Changes a key: `sink` learns what is replaced, then the page changes. With a sink, a deletion leaves a
    /// ghost. To be called under an [`super::ApplyTicket`], with a reservation.
    /// # Errors
    /// `58030` and `XX001`; `XX000` for a key or value beyond the page's limits. After a reservation nothing
    /// else.
    pub fn apply(
        &self,
        key: &[u8],
        change: Change<'_>,
        timestamp: Lsn,
        sink: Option<&dyn VersionSink>,
    ) -> Result<()> {
        let value_len = self.check_entry(key, change)?;
        if !matches!(change, Change::Delete)
            && let Some(mut leaf) = self.append_leaf(key)?
            && matches!(self.change_leaf(&mut leaf, key, change, timestamp, sink), Outcome::Done)
        {
            return Ok(());
        }
        for _ in 0..SPLITS_MAX {
            let mut leaf = self.leaf_exclusive(key).map_err(|error| self.named(error))?;
            match self.change_leaf(&mut leaf, key, change, timestamp, sink) {
                Outcome::Done => return Ok(()),
                Outcome::Emptied => {
                    drop(leaf);
                    return self.unlink_empty_leaf(key);
                }
                Outcome::Full => {}
            }
            drop(leaf);
            self.split_for(key, value_len, false)?;
        }
        Err(self.damaged(self.root, "no split on the way down makes room for an entry"))
    }

    /// Changes keys in ascending order, as [`Tree::apply`] does one by one; the leaf stays latched while the next key
    /// belongs there. Gives how many pages that were reserved for it has used up, at least. To be called under an
    /// [`super::ApplyTicket`], with a reservation.
    /// # Errors
    /// As [`Tree::apply`].
    pub fn apply_sorted<'c>(
        &self,
        changes: impl Iterator<Item = (&'c [u8], Change<'c>)>,
        timestamp: Lsn,
        sink: Option<&dyn VersionSink>,
    ) -> Result<u64> {
        let mut held: Option<ExclusivePage<'_>> = None;
        // The first leaf may have been changed by the call before.
        let mut pages = 0u64;
        let mut entered = 0u64;
        let mut stretch = 0;
        for (key, change) in changes {
            let value_len = self.check_entry(key, change)?;
            let mut splits = 0;
            loop {
                // Latches are taken downwards: the one that is held goes before a descent.
                let mut leaf = match held.take().filter(|leaf| leaf.node().is_below_upper_fence(key)) {
                    Some(leaf) => leaf,
                    None => {
                        if splits == 0 {
                            (entered, stretch) = (entered + 1, 0);
                        }
                        match self.append_leaf(key)? {
                            Some(leaf) => leaf,
                            None => self.leaf_exclusive(key).map_err(|error| self.named(error))?,
                        }
                    }
                };
                match self.change_leaf(&mut leaf, key, change, timestamp, sink) {
                    Outcome::Done => {
                        held = Some(leaf);
                        stretch += 1;
                        break;
                    }
                    Outcome::Emptied => {
                        drop(leaf);
                        self.unlink_empty_leaf(key)?;
                        break;
                    }
                    Outcome::Full => {}
                }
                drop(leaf);
                splits += 1;
                if splits > SPLITS_MAX {
                    return Err(self.damaged(self.root, "no split on the way down makes room for an entry"));
                }
                // The way from the root leads to where there will be room.
                self.append.store(0, Ordering::Relaxed);
                self.split_for(key, value_len, stretch >= STRETCH_MIN)?;
                pages += 1;
            }
        }
        Ok(pages + entered.saturating_sub(1))
    }

    /// Bytes of a change's value, which must fit.
    pub(super) fn check_entry(&self, key: &[u8], change: Change<'_>) -> Result<usize> {
        let value_len = match change {
            Change::Put(value) | Change::Or(value) => value.len(),
            Change::Delete => 0,
            Change::Max(_) => 8,
        };
        if key.len() > self.key_bytes_max() || value_len > self.value_bytes_max() {
            return Err(Error::internal(format!(
                "an entry of {} + {value_len} bytes does not fit on a page of tree {}",
                key.len(),
                self.id
            )));
        }
        Ok(value_len)
    }

    /// Removes a ghost whose deletion is at or below `horizon`, and the leaf when it has no entry left.
    /// False: the ghost is newer, come again. Not logged: recovery leaves no ghosts. Enters the gate itself,
    /// so never while this thread holds an [`super::ApplyTicket`].
    /// # Errors
    /// `58030`, `XX001`.
    pub fn purge(&self, key: &[u8], horizon: Lsn) -> Result<bool> {
        let _ticket = self.gate.enter();
        if self.dropped.load(Ordering::Relaxed) {
            return Ok(true);
        }
        self.horizon.fetch_max(horizon.0, Ordering::Relaxed);
        let mut leaf = self.leaf_exclusive(key).map_err(|error| self.named(error))?;
        let node = leaf.node();
        let Ok(index) = node.search(key) else { return Ok(true) };
        if !node.is_ghost(index) {
            return Ok(true);
        }
        if node.ghost_timestamp(index) > horizon {
            return Ok(false);
        }
        leaf.node_mut().remove(index);
        let emptied = leaf.node().count() == 0;
        drop(leaf);
        if emptied {
            self.unlink_empty_leaf(key)?;
        }
        Ok(true)
    }

    /// Removes ghosts of keys in ascending order, as [`Tree::purge`] does one by one; those that are newer stay. Few
    /// enough at a time that a checkpoint may wait for them.
    /// # Errors
    /// As [`Tree::purge`].
    pub fn purge_sorted<'k>(&self, keys: impl Iterator<Item = &'k [u8]>, horizon: Lsn) -> Result<()> {
        let _ticket = self.gate.enter();
        if self.dropped.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.horizon.fetch_max(horizon.0, Ordering::Relaxed);
        let mut held: Option<(ExclusivePage<'_>, &[u8])> = None;
        for key in keys {
            let mut leaf = match held.take() {
                Some((leaf, _)) if leaf.node().is_below_upper_fence(key) => leaf,
                Some((leaf, last)) => {
                    self.leave_purged(leaf, last)?;
                    self.leaf_exclusive(key).map_err(|error| self.named(error))?
                }
                None => self.leaf_exclusive(key).map_err(|error| self.named(error))?,
            };
            let node = leaf.node();
            if let Ok(index) = node.search(key)
                && node.is_ghost(index)
                && node.ghost_timestamp(index) <= horizon
            {
                leaf.node_mut().remove(index);
            }
            held = Some((leaf, key));
        }
        held.map_or(Ok(()), |(leaf, last)| self.leave_purged(leaf, last))
    }

    /// Lets go of a leaf of which `key` is a part, and unlinks it if it is empty.
    fn leave_purged(&self, leaf: ExclusivePage<'_>, key: &[u8]) -> Result<()> {
        let emptied = leaf.node().count() == 0;
        drop(leaf);
        if emptied { self.unlink_empty_leaf(key) } else { Ok(()) }
    }

    /// The leaf where `key` belongs, when keys have been arriving at the tree's end and this one does too.
    pub(super) fn append_leaf(&self, key: &[u8]) -> Result<Option<ExclusivePage<'_>>> {
        let page = self.append.load(Ordering::Relaxed);
        if page == 0 {
            return Ok(None);
        }
        if let Some(leaf) = self.pool.try_fetch_exclusive(PageId(page))? {
            let node = leaf.node();
            if node.tree() == self.id
                && node.is_leaf()
                && !node.has_upper_fence()
                && key >= node.lower_fence()
            {
                return Ok(Some(leaf));
            }
        }
        self.append.store(0, Ordering::Relaxed);
        Ok(None)
    }

    fn change_leaf(
        &self,
        leaf: &mut ExclusivePage<'_>,
        key: &[u8],
        change: Change<'_>,
        timestamp: Lsn,
        sink: Option<&dyn VersionSink>,
    ) -> Outcome {
        let found = leaf.node().search_to_append(key);
        let number;
        let merged;
        let value = match (change, found) {
            (Change::Delete, Ok(index)) => return self.delete_from_leaf(leaf, key, index, timestamp, sink),
            (Change::Delete, Err(_)) => return Outcome::Done,
            (Change::Put(value), _) => value,
            (Change::Or(bits), Err(_)) => bits,
            (Change::Or(bits), Ok(index)) => {
                let old = if leaf.node().is_ghost(index) { &[] } else { leaf.node().raw_value(index) };
                merged = or_bytes(old, bits);
                &merged[..]
            }
            (Change::Max(new), _) => {
                let old = found.ok().filter(|index| !leaf.node().is_ghost(*index));
                let old = old.and_then(|index| leaf.node().raw_value(index).first_chunk::<8>().copied());
                number = new.max(old.map_or(0, u64::from_be_bytes)).to_be_bytes();
                &number[..]
            }
        };
        match found {
            Ok(index) => {
                let node = leaf.node();
                if !node.can_replace(index, value.len()) {
                    return self.change_after_cleaning(leaf, key, change, timestamp, sink);
                }
                let was_ghost = node.is_ghost(index);
                if let Some(sink) = sink {
                    let before =
                        if was_ghost { Before::Absent } else { Before::Value(node.raw_value(index)) };
                    sink.replaced(self.id, key, timestamp, before);
                }
                let mut node = leaf.node_mut();
                node.replace(index, value);
                node.raise_timestamp(timestamp);
                if was_ghost {
                    self.entries.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(index) => {
                let node = leaf.node();
                let record_bytes = RECORD_HEADER_BYTES + key.len() - node.prefix_len() + value.len();
                let is_last = index == node.count() && !node.has_upper_fence();
                if !node.has_room(record_bytes) || (is_last && self.is_filled(node, key, record_bytes)) {
                    return self.change_after_cleaning(leaf, key, change, timestamp, sink);
                }
                if is_last {
                    let page = leaf.page().0;
                    if self.append.load(Ordering::Relaxed) != page {
                        self.append.store(page, Ordering::Relaxed);
                    }
                }
                if let Some(sink) = sink {
                    sink.replaced(self.id, key, timestamp, Before::Absent);
                }
                let mut node = leaf.node_mut();
                node.insert(index, key, value);
                node.raise_timestamp(timestamp);
                self.entries.fetch_add(1, Ordering::Relaxed);
            }
        }
        Outcome::Done
    }

    fn delete_from_leaf(
        &self,
        leaf: &mut ExclusivePage<'_>,
        key: &[u8],
        index: usize,
        timestamp: Lsn,
        sink: Option<&dyn VersionSink>,
    ) -> Outcome {
        let node = leaf.node();
        let was_ghost = node.is_ghost(index);
        if was_ghost && sink.is_some() {
            return Outcome::Done;
        }
        if !was_ghost {
            if let Some(sink) = sink {
                sink.replaced(self.id, key, timestamp, Before::Value(node.raw_value(index)));
            }
            // Never below zero, should a crash have left an old count.
            let _ =
                self.entries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
        }
        let mut node = leaf.node_mut();
        node.raise_timestamp(timestamp);
        if sink.is_some() {
            node.make_ghost(index, timestamp);
            return Outcome::Done;
        }
        node.remove(index);
        if node.read().count() == 0 { Outcome::Emptied } else { Outcome::Done }
    }

    /// The leaf is full: tries again without the ghosts that no snapshot needs.
    fn change_after_cleaning(
        &self,
        leaf: &mut ExclusivePage<'_>,
        key: &[u8],
        change: Change<'_>,
        timestamp: Lsn,
        sink: Option<&dyn VersionSink>,
    ) -> Outcome {
        if self.remove_dead_ghosts(leaf) {
            return self.change_leaf(leaf, key, change, timestamp, sink);
        }
        Outcome::Full
    }

    /// Removes the ghosts of a leaf that no snapshot needs; whether there were any.
    pub(super) fn remove_dead_ghosts(&self, leaf: &mut ExclusivePage<'_>) -> bool {
        let horizon = Lsn(self.horizon.load(Ordering::Relaxed));
        let before = leaf.node().count();
        for index in (0..before).rev() {
            if leaf.node().is_ghost(index) && leaf.node().ghost_timestamp(index) <= horizon {
                leaf.node_mut().remove(index);
            }
        }
        leaf.node().count() < before
    }

    /// The child page that `child` must be, one level below `level`.
    pub(super) fn check_child(&self, child: Node<'_>, level: u8) -> Result<()> {
        if child.tree() == self.id && child.level() + 1 == level {
            return Ok(());
        }
        Err(self.damaged(child.page_id(), "it is not the child that its parent names"))
    }

    pub(super) fn check_root(&self, root: Node<'_>) -> Result<()> {
        if root.tree() == self.id {
            return Ok(());
        }
        if self.dropped.load(Ordering::Relaxed) {
            return Err(Error::new(SqlState::UNDEFINED_TABLE, "the table or index was dropped"));
        }
        Err(self.damaged(root.page_id(), "it is not the root of its tree"))
    }

    pub(super) fn damaged(&self, page: PageId, what: &str) -> Error {
        let file = self.pool.file_name();
        Error::new(SqlState::DATA_CORRUPTED, format!("database \"{file}\" is damaged"))
            .detail(format!("Page {page} of tree {}: {what}.", self.id))
            .hint("Restore a backup; lumos_verify lists all damage.")
    }

    /// Damage met on the way through this tree names it.
    pub(super) fn named(&self, error: Error) -> Error {
        if error.state() == SqlState::DATA_CORRUPTED { error.in_tree(self.id.0) } else { error }
    }

    pub(super) fn root_shared(&self) -> Result<SharedPage<'_>> {
        match self.pool.try_fetch_shared(self.root)? {
            Some(root) => {
                self.check_root(root.node())?;
                self.note_latched_root(&root);
                Ok(root)
            }
            None if self.dropped.load(Ordering::Relaxed) => {
                Err(Error::new(SqlState::UNDEFINED_TABLE, "the table or index was dropped"))
            }
            None => Err(self.damaged(self.root, "the page map does not name it")),
        }
    }

    /// A page, if it is of this tree and level. Where it was taken from may be out of date, so nothing else is an error.
    fn child_at(&self, page: PageId, level: u8) -> Option<SharedPage<'_>> {
        let child = self.pool.try_fetch_shared(page).ok()??;
        (child.node().tree() == self.id && child.node().level() == level).then_some(child)
    }

    /// The same of a leaf, exclusively.
    fn leaf_at(&self, page: PageId) -> Option<ExclusivePage<'_>> {
        let leaf = self.pool.try_fetch_exclusive(page).ok()??;
        (leaf.node().tree() == self.id && leaf.node().is_leaf()).then_some(leaf)
    }

    /// The leaf that `choose` leads to: it picks a child of each inner node.
    fn leaf_by(&self, choose: impl Fn(Node<'_>) -> usize) -> Result<SharedPage<'_>> {
        let copied = self.below_copied_root(&choose, |page, level| self.child_at(page, level));
        let mut page = match copied {
            Some(page) => page,
            None => self.root_shared()?,
        };
        while !page.node().is_leaf() {
            let node = page.node();
            let next = self.pool.fetch_shared(node.child(choose(node)))?;
            self.check_child(next.node(), node.level())?;
            page = next;
        }
        Ok(page)
    }

    /// The leaf where `key` belongs.
    pub(super) fn leaf_shared(&self, key: &[u8]) -> Result<SharedPage<'_>> {
        self.leaf_by(|node| node.child_index(key))
    }

    /// The leaf of the keys just below `key`.
    pub(super) fn leaf_below(&self, key: &[u8]) -> Result<SharedPage<'_>> {
        self.leaf_by(|node| node.search(key).unwrap_or_else(|index| index).saturating_sub(1))
    }

    /// The last leaf.
    pub(super) fn leaf_last(&self) -> Result<SharedPage<'_>> {
        self.leaf_by(|node| node.count() - 1)
    }

    /// The leaf where `key` belongs, exclusively.
    pub(super) fn leaf_exclusive(&self, key: &[u8]) -> Result<ExclusivePage<'_>> {
        loop {
            if self.height.load(Ordering::Relaxed) == 0 {
                let root = self.pool.fetch_exclusive(self.root)?;
                self.check_root(root.node())?;
                if root.node().is_leaf() {
                    return Ok(root);
                }
                self.height.store(root.node().level(), Ordering::Relaxed);
            }
            let choose = |node: Node<'_>| node.child_index(key);
            let copied = self.below_copied_root(choose, |page, level| match level {
                0 => self.leaf_at(page).map(Below::Leaf),
                _ => self.child_at(page, level).map(Below::Inner),
            });
            let mut page = match copied {
                Some(Below::Leaf(leaf)) => return Ok(leaf),
                Some(Below::Inner(page)) => page,
                None => self.root_shared()?,
            };
            while page.node().level() > 1 {
                let node = page.node();
                let next = self.pool.fetch_shared(node.child(node.child_index(key)))?;
                self.check_child(next.node(), node.level())?;
                page = next;
            }
            let node = page.node();
            if node.is_leaf() {
                self.height.store(0, Ordering::Relaxed);
                continue;
            }
            let leaf = self.pool.fetch_exclusive(node.child(node.child_index(key)))?;
            self.check_child(leaf.node(), 1)?;
            return Ok(leaf);
        }
    }

    /// Writes the greatest key, ghosts included, into `key`; false when the tree is empty.
    /// # Errors
    /// `58030`, `XX001`.
    pub fn last_key(&self, key: &mut Vec<u8>) -> Result<bool> {
        use std::ops::Bound::Unbounded;
        let mut cursor = super::TreeCursor::new(Unbounded, Unbounded, true);
        let found = self.visit(&mut cursor, |leaf, range| leaf.key_into(range.end - 1, key))?;
        Ok(found.is_some())
    }
}

/// Bytes that stay free on pages of this size that are filled so far.
pub(super) fn spare_bytes(page_size: usize, fill_percent: u8) -> usize {
    page_size * usize::from(100 - fill_percent.min(100)) / 100
}

fn entry_of<'n>(node: Node<'n>, key: &[u8]) -> Option<Entry<'n>> {
    match node.search(key) {
        Ok(index) if node.is_ghost(index) => Some(Entry { value: &[], ghost: true }),
        Ok(index) => Some(Entry { value: node.raw_value(index), ghost: false }),
        Err(_) => None,
    }
}

fn or_bytes(old: &[u8], bits: &[u8]) -> Vec<u8> {
    let mut merged = old.to_vec();
    merged.resize(old.len().max(bits.len()), 0);
    merged.iter_mut().zip(bits).for_each(|(byte, bit)| *byte |= bit);
    merged
}

//! Scans: pages, older versions and own writes merged in key order.
//! Knows leaves and keys. Knows nothing of columns.
//!
//! A leaf that holds nothing newer than the snapshot, and into whose range no own write falls, is handed out as
//! it is, under its latch. Any other leaf is copied; after the latch its rows are resolved through the version
//! store and merged with own writes, in blocks of bounded size. Own writes count only when an earlier command
//! made them: an UPDATE never meets its own new rows.

use crate::common::ids::{CommandNumber, TreeId};
use crate::common::sync::Arc;
use crate::error::Result;
use crate::storage::{LeafView, TreeCursor};
use crate::transaction::commit::raised;
use crate::transaction::mvcc::{Resolution, VersionStore};
use crate::transaction::own_range::OwnRange;
use crate::transaction::spilled_writes::SpilledCursor;
use crate::transaction::transaction::{Transaction, TreeHandle};
use crate::transaction::types::{Parts, Snapshot};
use crate::transaction::write_set::OwnWrite;
use std::iter::Peekable;
use std::ops::{Bound, Range};

/// Rows of a merged block, about; a leaf's rows are never split from it.
const BLOCK_ROWS: usize = 1024;
/// A rows' buffer is kept for the next leaf up to this many bytes.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// Rows that a scan hands out, ascending by key also when the scan goes backward (then read them from the end).
#[derive(Debug)]
pub enum ScanRows<'a> {
    /// Straight from a leaf, under its latch: short work only, no other read inside.
    Page {
        /// The leaf.
        leaf: &'a LeafView<'a>,
        /// Its entries in the scan's range; some may be ghosts.
        rows: Range<usize>,
    },
    /// Copied, with older versions and own writes merged in; no latch is held, every row is live.
    Resolved(&'a ResolvedRows),
}

impl ScanRows<'_> {
    /// Rows, ghosts included.
    pub fn len(&self) -> usize {
        match self {
            ScanRows::Page { rows, .. } => rows.len(),
            ScanRows::Resolved(rows) => rows.rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether row `index` exists for the scan; a page's row may be a ghost.
    pub fn is_live(&self, index: usize) -> bool {
        match self {
            ScanRows::Page { leaf, rows } => !leaf.is_ghost(rows.start + index),
            ScanRows::Resolved(_) => true,
        }
    }

    /// Writes the key of row `index` into `key` (cleared first).
    pub fn key_into(&self, index: usize, key: &mut Vec<u8>) {
        match self {
            ScanRows::Page { leaf, rows } => leaf.key_into(rows.start + index, key),
            ScanRows::Resolved(rows) => {
                key.clear();
                key.extend_from_slice(rows.key(index));
            }
        }
    }

    /// To be called before all rows are read.
    pub fn prefetch(&self) {
        if let ScanRows::Page { leaf, rows } = self {
            leaf.prefetch(rows.clone());
        }
    }

    /// Cache lines of the next leaf to fetch with every row of this one.
    pub fn lines_ahead(&self) -> usize {
        match self {
            ScanRows::Page { leaf, rows } => leaf.lines_ahead(rows.len()),
            ScanRows::Resolved(_) => 0,
        }
    }

    /// Has the processor fetch `count` cache lines of the next leaf, from line `from` on.
    #[inline]
    pub fn prefetch_next(&self, from: usize, count: usize) {
        if let ScanRows::Page { leaf, .. } = self {
            leaf.prefetch_next(from, count);
        }
    }

    /// Hands every row that exists for the scan, with its index, to `each`, in key order.
    #[inline]
    pub fn for_each_live<'r>(&'r self, mut each: impl FnMut(usize, &'r [u8])) {
        match self {
            ScanRows::Page { leaf, rows } => {
                let first = rows.start;
                leaf.for_each_live(rows.clone(), |entry, value| each(entry - first, value));
            }
            ScanRows::Resolved(rows) => (0..rows.len()).for_each(|index| each(index, rows.value(index))),
        }
    }

    /// The value of row `index`; empty for a ghost.
    pub fn value(&self, index: usize) -> &[u8] {
        match self {
            ScanRows::Page { leaf, rows } => leaf.value(rows.start + index),
            ScanRows::Resolved(rows) => rows.value(index),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Row {
    key: (usize, usize),
    value: (usize, usize),
    ghost: bool,
}

/// Rows copied out of pages.
#[derive(Debug, Default)]
pub struct ResolvedRows {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

impl ResolvedRows {
    /// Rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The key of row `index`.
    pub fn key(&self, index: usize) -> &[u8] {
        let (start, end) = self.rows[index].key;
        &self.bytes[start..end]
    }

    /// The value of row `index`.
    pub fn value(&self, index: usize) -> &[u8] {
        let (start, end) = self.rows[index].value;
        &self.bytes[start..end]
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.bytes.clear();
        if self.bytes.capacity() > BUFFER_BYTES_KEPT {
            self.bytes = Vec::new();
        }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.rows.push(Row { key: (start, middle), value: (middle, self.bytes.len()), ghost: false });
    }

    fn copy_leaf(&mut self, leaf: &LeafView<'_>, range: Range<usize>) {
        for index in range {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(leaf.prefix());
            self.bytes.extend_from_slice(leaf.suffix(index));
            let middle = self.bytes.len();
            self.bytes.extend_from_slice(leaf.value(index));
            let ghost = leaf.is_ghost(index);
            self.rows.push(Row { key: (start, middle), value: (middle, self.bytes.len()), ghost });
        }
    }

    /// Replaces every row by what the snapshot sees, and drops those that it does not see. The pages were copied
    /// before: versions after.
    fn resolve(&mut self, tree: TreeId, snapshot: Option<Snapshot>, versions: &VersionStore) -> Result<()> {
        let Some(snapshot) = snapshot.filter(|_| versions.count() > 0) else {
            self.rows.retain(|row| !row.ghost);
            return Ok(());
        };
        let mut rows = std::mem::take(&mut self.rows);
        let mut older = Vec::new();
        let mut outcome = Ok(());
        rows.retain_mut(|row| {
            let key = &self.bytes[row.key.0..row.key.1];
            older.clear();
            match versions.resolve(tree, key, snapshot.timestamp(), &mut older) {
                Ok(Resolution::Current) => !row.ghost,
                Ok(Resolution::Absent) => false,
                Err(error) => {
                    outcome = Err(error);
                    false
                }
                Ok(Resolution::Value) => {
                    let start = self.bytes.len();
                    self.bytes.extend_from_slice(&older);
                    row.value = (start, self.bytes.len());
                    row.ghost = false;
                    true
                }
            }
        });
        self.rows = rows;
        outcome
    }
}

/// A scan of a key range as its statement sees it. It keeps the snapshot and the command number of its start.
#[derive(Debug)]
pub struct TransactionScan {
    tree: TreeHandle,
    cursor: Option<TreeCursor>,
    snapshot: Option<Snapshot>,
    before: CommandNumber,
    backward: bool,
    /// Whether the transaction had written to the tree when the scan began.
    has_own_writes: bool,
    /// What is still to come of the range, for own writes.
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    /// Own writes in temporary files, at the first one that is still to come.
    spilled: Option<Box<SpilledCursor>>,
    /// Rows of a copied leaf, resolved; those in `leaf_rest` are still to be merged.
    leaf: ResolvedRows,
    leaf_rest: Range<usize>,
    block: ResolvedRows,
    at_end: bool,
    /// How far a serializable transaction's scan has come.
    seen: Option<Box<SeenRange>>,
}

/// What a scan has seen of its range, to be recorded.
#[derive(Debug)]
struct SeenRange {
    /// Where the scan will have come to at its end.
    end: Bound<Vec<u8>>,
    /// Where what is recorded ends.
    recorded: Bound<Vec<u8>>,
    /// The farthest key of the leaf that was visited last.
    edge: Vec<u8>,
    /// What is looked at of the values.
    parts: Parts,
}

impl SeenRange {
    fn record(&mut self, transaction: &Transaction, tree: TreeId, backward: bool, at_end: bool) {
        if !at_end && self.edge.is_empty() {
            return;
        }
        let reached = if at_end { slice(&self.end) } else { Bound::Included(self.edge.as_slice()) };
        let recorded = slice(&self.recorded);
        let (lower, upper) = if backward { (reached, recorded) } else { (recorded, reached) };
        transaction.record_range(tree, lower, upper, self.parts);
        if !at_end {
            let edge = std::mem::take(&mut self.edge);
            if let Bound::Included(mut buffer) | Bound::Excluded(mut buffer) =
                std::mem::replace(&mut self.recorded, Bound::Excluded(edge))
            {
                buffer.clear();
                self.edge = buffer;
            }
        }
    }
}

/// What visiting a leaf gave.
enum Visit<R> {
    Handed(R),
    Copied { newer: bool },
}

impl TransactionScan {
    pub(super) fn new(
        transaction: &Transaction,
        tree: &TreeHandle,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        backward: bool,
    ) -> TransactionScan {
        let has_own_writes = transaction.writes().has_writes(tree.id());
        let owned = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
        let (own_lower, own_upper) =
            if has_own_writes { (owned(lower), owned(upper)) } else { (Bound::Unbounded, Bound::Unbounded) };
        let seen = (transaction.records_reads() && tree.committed().is_some()).then(|| {
            let (from, to) = if backward { (upper, lower) } else { (lower, upper) };
            Box::new(SeenRange { end: owned(to), recorded: owned(from), edge: Vec::new(), parts: Parts::ALL })
        });
        let tree = match transaction.base(tree) {
            Some(base) => TreeHandle::from(Arc::clone(base)),
            None => tree.clone(),
        };
        TransactionScan {
            cursor: tree.committed().map(|_| TreeCursor::new(lower, upper, backward)),
            tree,
            snapshot: transaction.snapshot().ok(),
            before: transaction.command(),
            backward,
            has_own_writes,
            lower: own_lower,
            upper: own_upper,
            spilled: None,
            leaf: ResolvedRows::default(),
            leaf_rest: 0..0,
            block: ResolvedRows::default(),
            at_end: false,
            seen,
        }
    }

    /// Has the scan see another snapshot, and own writes of other commands, than its statement does.
    pub(super) fn see(&mut self, snapshot: Option<Snapshot>, before: CommandNumber) {
        self.snapshot = snapshot;
        self.before = before;
    }

    /// Promises that no more than some parts of the values will be looked at.
    #[must_use]
    pub fn of_parts(mut self, parts: impl FnOnce() -> Parts) -> TransactionScan {
        if let Some(seen) = &mut self.seen {
            seen.parts = parts();
        }
        self
    }

    /// From now on no more than `most` entries of a leaf are read at once.
    pub(crate) fn set_entries_max(&mut self, most: usize) {
        if let Some(cursor) = &mut self.cursor {
            cursor.set_entries_max(most);
        }
    }

    /// The next rows of the scan's direction; `None` at the end. `read` may be given rows of which none is live.
    /// # Errors
    /// I/O errors and damage; `XX000` when the scan began outside a statement.
    pub fn next<R>(
        &mut self,
        transaction: &Transaction,
        read: impl FnOnce(ScanRows<'_>) -> R,
    ) -> Result<Option<R>> {
        let snapshot = match self.snapshot {
            Some(snapshot) => snapshot,
            None => transaction.snapshot()?,
        };
        let mut read = Some(read);
        loop {
            if self.has_own_writes && transaction.writes().is_spilled() {
                self.find_spilled(transaction)?;
            }
            if self.leaf_rest.start < self.leaf_rest.end {
                self.merge_leaf(transaction)?;
                if self.block.is_empty() {
                    continue;
                }
                return Ok(read.take().map(|read| read(ScanRows::Resolved(&self.block))));
            }
            if self.at_end {
                self.take_own_rest(transaction)?;
                if self.block.is_empty() {
                    return Ok(None);
                }
                return Ok(read.take().map(|read| read(ScanRows::Resolved(&self.block))));
            }
            let visit = self.visit_leaf(transaction, snapshot, &mut read)?;
            if let Some(seen) = &mut self.seen {
                seen.record(transaction, self.tree.id(), self.backward, visit.is_none());
            }
            let manager = transaction.manager();
            if let Some(Visit::Copied { newer }) = &visit {
                self.leaf.resolve(self.tree.id(), newer.then_some(snapshot), &manager.versions)?;
            }
            // After reading; also of what is not there any more.
            manager.check_age(snapshot.timestamp())?;
            match visit {
                None => self.at_end = true,
                Some(Visit::Handed(result)) => return Ok(Some(result)),
                Some(Visit::Copied { .. }) => {
                    self.leaf_rest = 0..self.leaf.len();
                }
            }
        }
    }

    /// Finds own writes in temporary files, anew where more went there or were undone.
    fn find_spilled(&mut self, transaction: &Transaction) -> Result<()> {
        let from = slice(if self.backward { &self.upper } else { &self.lower });
        let (tree, backward, before) = (self.tree.id(), self.backward, Some(self.before));
        let cursor = self.spilled.take();
        self.spilled = transaction.writes().spilled_cursor(tree, from, backward, before, cursor)?;
        Ok(())
    }

    /// Hands the next leaf out, or copies it.
    fn visit_leaf<R, F: FnOnce(ScanRows<'_>) -> R>(
        &mut self,
        transaction: &Transaction,
        snapshot: Snapshot,
        read: &mut Option<F>,
    ) -> Result<Option<Visit<R>>> {
        let (Some(cursor), Some(tree)) = (&mut self.cursor, self.tree.committed()) else { return Ok(None) };
        let TransactionScan {
            leaf: copy, lower, upper, backward, before, has_own_writes, spilled, seen, ..
        } = self;
        tree.visit(cursor, |leaf, rows| {
            let newer = !snapshot.sees(leaf.max_timestamp());
            let mut touched = false;
            if let Some(seen) = seen
                && !rows.is_empty()
            {
                leaf.key_into(if *backward { rows.start } else { rows.end - 1 }, &mut seen.edge);
            }
            if *has_own_writes && !rows.is_empty() {
                let mut edge = Vec::new();
                leaf.key_into(if *backward { rows.start } else { rows.end - 1 }, &mut edge);
                let edge_bound = Bound::Included(edge.as_slice());
                let (from, to) =
                    if *backward { (edge_bound, slice(upper)) } else { (slice(lower), edge_bound) };
                touched = transaction.writes().range(tree.id(), from, to, false, *before).next().is_some();
                let next_spilled = spilled.as_ref().and_then(|spilled| spilled.peek());
                touched |= next_spilled.is_some_and(|(key, _)| {
                    if *backward { key >= edge.as_slice() } else { key <= edge.as_slice() }
                });
                if !newer && !touched {
                    *(if *backward { upper } else { lower }) = Bound::Excluded(edge);
                }
            }
            if !newer
                && !touched
                && let Some(read) = read.take()
            {
                return Visit::Handed(read(ScanRows::Page { leaf, rows }));
            }
            copy.clear();
            copy.copy_leaf(leaf, rows);
            Visit::Copied { newer }
        })
    }

    /// Merges the next rows of the copied leaf with own writes into the block.
    fn merge_leaf(&mut self, transaction: &Transaction) -> Result<()> {
        self.block.clear();
        if !self.has_own_writes {
            let rest = std::mem::take(&mut self.leaf_rest);
            std::mem::swap(&mut self.block, &mut self.leaf);
            self.block.rows.truncate(rest.end);
            self.block.rows.drain(..rest.start);
            return Ok(());
        }
        let TransactionScan { leaf, leaf_rest, block, backward, before, tree, spilled, .. } = self;
        let (lower, upper) = (slice(&self.lower), slice(&self.upper));
        let range = transaction.writes().range(tree.id(), lower, upper, *backward, *before);
        let past = if *backward { lower } else { upper };
        let mut own =
            OwnMerge { memory: range.peekable(), spilled: spilled.as_deref_mut(), past, backward: *backward };
        while leaf_rest.start < leaf_rest.end && block.len() < BLOCK_ROWS {
            let index = if *backward { leaf_rest.end - 1 } else { leaf_rest.start };
            let key = leaf.key(index);
            let own_key = own.peek();
            let own_first = own_key.is_some_and(|own| if *backward { own >= key } else { own <= key });
            let mut take_leaf = !own_first;
            if own_first {
                // The own write replaces the leaf's row of the same key.
                take_leaf = own_key == Some(key);
                let committed = take_leaf.then(|| leaf.value(index));
                own.take(|key, write| take_own(block, key, write, committed))?;
            } else {
                block.push(key, leaf.value(index));
            }
            if take_leaf {
                *leaf_rest = if *backward { leaf_rest.start..index } else { index + 1..leaf_rest.end };
            }
        }
        let next_own = own.peek().map(<[u8]>::to_vec);
        self.go_on_at(next_own);
        Ok(())
    }

    /// Own writes beyond the last leaf, a block at a time.
    fn take_own_rest(&mut self, transaction: &Transaction) -> Result<()> {
        self.block.clear();
        if !self.has_own_writes {
            return Ok(());
        }
        let TransactionScan { block, backward, before, tree, spilled, .. } = self;
        let (lower, upper) = (slice(&self.lower), slice(&self.upper));
        let range = transaction.writes().range(tree.id(), lower, upper, *backward, *before);
        let past = if *backward { lower } else { upper };
        let mut own =
            OwnMerge { memory: range.peekable(), spilled: spilled.as_deref_mut(), past, backward: *backward };
        while block.len() < BLOCK_ROWS && own.peek().is_some() {
            own.take(|key, write| take_own(block, key, write, None))?;
        }
        let next_own = own.peek().map(<[u8]>::to_vec);
        self.go_on_at(next_own);
        Ok(())
    }

    /// Where the next merge goes on: past the last own write or leaf row taken.
    fn go_on_at(&mut self, next_own: Option<Vec<u8>>) {
        match next_own {
            Some(key) if self.backward => self.upper = Bound::Included(key),
            Some(key) => self.lower = Bound::Included(key),
            None => self.has_own_writes = false,
        }
        if self.backward {
            self.block.rows.reverse();
        }
    }
}

/// Own writes in memory and in temporary files, merged in the scan's direction. Those in memory are newer.
struct OwnMerge<'a> {
    memory: Peekable<OwnRange<'a>>,
    spilled: Option<&'a mut SpilledCursor>,
    /// Where the scan's range ends.
    past: Bound<&'a [u8]>,
    backward: bool,
}

impl OwnMerge<'_> {
    fn spilled(&self) -> Option<(&[u8], OwnWrite<'_>)> {
        let (key, write) = self.spilled.as_ref()?.peek()?;
        let is_inside = match self.past {
            Bound::Unbounded => true,
            Bound::Included(past) => {
                if self.backward {
                    key >= past
                } else {
                    key <= past
                }
            }
            Bound::Excluded(past) => {
                if self.backward {
                    key > past
                } else {
                    key < past
                }
            }
        };
        is_inside.then_some((key, write))
    }

    /// The next key.
    fn peek(&mut self) -> Option<&[u8]> {
        let memory = self.memory.peek().map(|(key, _)| *key);
        let spilled = self.spilled().map(|(key, _)| key);
        match (memory, spilled) {
            (Some(memory), Some(spilled)) if (spilled < memory) != self.backward && spilled != memory => {
                Some(spilled)
            }
            (Some(memory), _) => Some(memory),
            (None, spilled) => spilled,
        }
    }

    /// Hands the next write over, if there is one.
    fn take(&mut self, read: impl FnOnce(&[u8], OwnWrite<'_>)) -> Result<()> {
        let memory = self.memory.peek().map(|(key, _)| *key);
        let (mut from_memory, mut from_spilled) = (memory.is_some(), false);
        if let Some((spilled, _)) = self.spilled() {
            from_spilled =
                memory.is_none_or(|memory| spilled == memory || (spilled < memory) != self.backward);
            from_memory = memory.is_some_and(|memory| spilled == memory || !from_spilled);
        }
        if from_memory && let Some((key, write)) = self.memory.next() {
            read(key, write);
        } else if let Some((key, write)) = self.spilled() {
            read(key, write);
        }
        match &mut self.spilled {
            Some(spilled) if from_spilled => spilled.advance(),
            _ => Ok(()),
        }
    }
}

/// Adds an own write's row to a block, if it is one.
fn take_own(block: &mut ResolvedRows, key: &[u8], write: OwnWrite<'_>, committed: Option<&[u8]>) {
    match write {
        OwnWrite::Put(value) => block.push(key, value),
        OwnWrite::Max(number) => block.push(key, &raised(committed, number)),
        OwnWrite::Delete => {}
    }
}

fn slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

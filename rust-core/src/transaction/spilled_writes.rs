//! The part of a large write set that went to temporary files: sorted runs of versions, tree by tree.
//! Knows runs and when each version was written. Knows nothing of what is still in memory, or of commits.
//!
//! ```text
//!  tree ─ runs, oldest first, each in key order; a key's versions newest first
//!         [ 0 …… 9000 )   [ 9000 …… 14000 )   [ 14000 …… )      numbers of the versions in the journal
//!                 dead: 12000..13500                             undone: readers pass over them
//! ```
//! The journal's numbers only go up: what is undone leaves a gap, and a run that is all gap is given back. Keys that
//! come in ascending order go on in the newest run, so that those of a bulk insert are one run. Rows of append runs have
//! numbers of their own, with the highest bit set.

use crate::common::ids::CommandNumber;
use crate::common::sync::Arc;
use crate::error::{Error, Result};
use crate::storage::ChangeSize;
use crate::storage::sorted_run::{
    KEY_BYTES_MAX, KeyFilter, RunCursor, RunEntry, RunMark, SortedRun, SortedRuns, VALUE_BYTES_MAX, hash,
};
use crate::transaction::write_set::{Kind, OwnWrite, decode_number};
use std::ops::{Bound, Range};

/// A tree with more runs has the newest ones merged.
const RUN_COUNT_MAX: usize = 64;
/// So many of the newest.
const MERGED_RUNS: usize = 32;
/// Bytes written to a run at a time. They are not charged.
const FLUSH_BYTES: usize = 256 << 10;
/// Entries between two looks at how many there are.
const ENTRIES_A_LOOK: usize = 64;

/// Set in the numbers of rows of append runs.
pub(super) const APPENDED: u64 = 1 << 63;

/// A range of version numbers, and one of numbers of appended rows.
type Sequences = [Range<u64>; 2];

/// A run and the versions in it.
#[derive(Debug)]
struct SpilledRun {
    run: Arc<SortedRun>,
    sequences: Sequences,
    size: ChangeSize,
    /// All its keys are in the filter of its tree.
    is_filtered: bool,
}

/// A version that has no key: it stays in memory.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) sequence: u64,
    pub(super) kind: Kind,
    pub(super) tree: u32,
    pub(super) data: Box<[u8]>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct SpilledWrites {
    /// By the write set's numbers of trees.
    trees: Vec<Vec<SpilledRun>>,
    /// By tree, over the keys of many of its runs.
    filters: Vec<Option<KeyFilter>>,
    pub(super) notes: Vec<Note>,
    dead: Dead,
    /// Changes with every change of the runs: cursors are made anew then.
    generation: u64,
}

/// A version on its way into a run.
pub(super) struct SpilledVersion<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) kind: Kind,
    pub(super) sequence: u64,
    pub(super) command: CommandNumber,
}

const NO_SEQUENCES: Sequences = [Range { start: u64::MAX, end: 0 }, Range { start: u64::MAX, end: 0 }];

fn note(sequences: &mut Sequences, sequence: u64) {
    let range = &mut sequences[is_appended(sequence)];
    *range = range.start.min(sequence)..range.end.max(sequence + 1);
}

fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Put => 0,
        Kind::Max => 1,
        _ => 2,
    }
}

fn count(size: &mut ChangeSize, kind: u8, key_len: usize, value_len: usize) {
    if kind == kind_code(Kind::Delete) {
        size.add_delete(key_len);
    } else {
        size.add_put(key_len, value_len);
    }
}

fn own_write(kind: u8, value: &[u8]) -> OwnWrite<'_> {
    match kind {
        0 => OwnWrite::Put(value),
        1 => OwnWrite::Max(decode_number(value)),
        _ => OwnWrite::Delete,
    }
}

/// Numbers that were undone, of versions and of appended rows: ascending, none touching the next.
#[derive(Clone, Debug, Default)]
struct Dead([Vec<Range<u64>>; 2]);

fn is_appended(sequence: u64) -> usize {
    usize::from(sequence >= APPENDED)
}

impl Dead {
    fn holds(&self, sequence: u64) -> bool {
        let ranges = &self.0[is_appended(sequence)];
        let after = ranges.partition_point(|range| range.start <= sequence);
        after > 0 && sequence < ranges[after - 1].end
    }

    /// Adds the newest numbers; whether a run has others.
    fn add(&mut self, undone: &Sequences) -> impl Fn(&SpilledRun) -> bool + use<> {
        let mut starts = [u64::MAX; 2];
        for (ranges, (undone, start)) in self.0.iter_mut().zip(undone.iter().zip(&mut starts)) {
            if undone.is_empty() {
                continue;
            }
            *start = undone.start;
            while let Some(range) = ranges.pop_if(|range| range.end >= undone.start) {
                *start = range.start.min(*start);
            }
            ranges.push(*start..undone.end);
        }
        move |run| run.sequences.iter().zip(starts).any(|(held, start)| held.start < start.min(held.end))
    }
}

/// A spill that is being written: nothing of it counts before [`SpilledWrites::accept`].
#[derive(Debug)]
pub(super) struct Spill {
    parts: Vec<SpillPart>,
    /// Those of the spilled writes. What comes into them too much does no harm.
    filters: Vec<Option<KeyFilter>>,
}

#[derive(Debug)]
struct SpillPart {
    tree: usize,
    run: Arc<SortedRun>,
    /// Where the run ended that goes on; `None`: it is a new one.
    goes_on: Option<RunMark>,
    sequences: Sequences,
    size: ChangeSize,
    /// Entries since the last look at what is to be written.
    unlooked: usize,
    is_filtered: bool,
}

impl Spill {
    pub(super) fn new(spilled: &mut SpilledWrites) -> Spill {
        Spill { parts: Vec::new(), filters: std::mem::take(&mut spilled.filters) }
    }

    /// Makes room in the filter of a tree; false: its keys do not come into it.
    fn filter(&mut self, runs: &SortedRuns, tree: usize, keys: usize) -> bool {
        if self.filters.len() <= tree {
            self.filters.resize_with(tree + 1, || None);
        }
        self.filters[tree].get_or_insert_with(|| runs.key_filter()).expect_keys(keys).is_ok()
    }

    /// Begins the versions of a tree, `keys` of them, about, the smallest being `first_key`.
    pub(super) fn begin_tree(
        &mut self,
        spilled: &SpilledWrites,
        runs: &SortedRuns,
        tree: usize,
        first_key: &[u8],
        keys: usize,
    ) {
        let newest = spilled.trees.get(tree).and_then(|runs| runs.last());
        let before =
            newest.filter(|newest| newest.run.last_key().is_some_and(|last| last.as_slice() < first_key));
        let (run, goes_on) = match before {
            Some(newest) => (Arc::clone(&newest.run), Some(newest.run.mark())),
            None => (Arc::new(runs.stamped()), None),
        };
        // Without memory for a filter look-ups read more.
        let _unfiltered = run.expect_keys(first_key, keys);
        // A single run, and what goes on with it, is as easily asked itself.
        let others = spilled.trees.get(tree).is_some_and(|runs| !runs.is_empty());
        let wanted = if goes_on.is_some() { before.is_some_and(|before| before.is_filtered) } else { others };
        let is_filtered = wanted && self.filter(runs, tree, keys);
        self.parts.push(SpillPart {
            is_filtered,
            tree,
            run,
            goes_on,
            sequences: NO_SEQUENCES,
            size: ChangeSize::default(),
            unlooked: 0,
        });
    }

    /// Adds a version of the tree that was begun last: keys ascending, versions of a key newest first.
    pub(super) fn push(&mut self, version: &SpilledVersion<'_>) -> Result<()> {
        let part = self.parts.last_mut().ok_or_else(|| Error::internal("a version of no tree"))?;
        let (key, value) = (version.key, version.value);
        if key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(Error::internal(format!(
                "a write of {} + {} bytes is too long",
                key.len(),
                value.len()
            )));
        }
        let (kind, stamp, command) = (kind_code(version.kind), version.sequence, version.command.0);
        let hash = hash(key);
        part.run.push_hashed(RunEntry { key, value, kind, stamp, command }, hash);
        if part.is_filtered
            && let Some(Some(filter)) = self.filters.get_mut(part.tree)
        {
            filter.add(hash);
        }
        count(&mut part.size, kind, key.len(), value.len());
        note(&mut part.sequences, version.sequence);
        part.unlooked += 1;
        if part.unlooked >= ENTRIES_A_LOOK {
            part.unlooked = 0;
            flush_if_much(&part.run)?;
        }
        Ok(())
    }

    /// Writes what is left of the tree that was begun last.
    pub(super) fn end_tree(&mut self) -> Result<()> {
        self.parts.last().map_or(Ok(()), |part| part.run.finish())
    }

    /// Takes everything back: the spill failed.
    pub(super) fn undo(self, spilled: &mut SpilledWrites) {
        spilled.filters = self.filters;
        for part in self.parts {
            if let Some(mark) = part.goes_on {
                part.run.truncate(mark);
            }
        }
    }
}

impl SpilledWrites {
    /// Takes a spill over.
    pub(super) fn accept(&mut self, spill: Spill, runs: &SortedRuns) {
        self.generation += 1;
        self.filters = spill.filters;
        for part in spill.parts {
            if self.trees.len() <= part.tree {
                self.trees.resize_with(part.tree + 1, Vec::new);
            }
            let tree = &mut self.trees[part.tree];
            match (part.goes_on, tree.last_mut()) {
                (Some(_), Some(newest)) => {
                    for (held, new) in newest.sequences.iter_mut().zip(part.sequences) {
                        *held = held.start.min(new.start)..held.end.max(new.end);
                    }
                    newest.size += part.size;
                    newest.is_filtered &= part.is_filtered;
                }
                _ => {
                    let SpillPart { run, sequences, size, is_filtered, .. } = part;
                    tree.push(SpilledRun { run, sequences, size, is_filtered });
                }
            }
            if tree.len() > RUN_COUNT_MAX {
                // An error leaves the runs as they are: reading them takes longer, and the next spill tries again.
                let _unmerged = merge_newest(tree, &self.dead, runs);
            }
        }
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.trees.iter().all(Vec::is_empty)
    }

    /// Whether there are versions of a tree.
    pub(super) fn has_tree(&self, tree: usize) -> bool {
        self.trees.get(tree).is_some_and(|runs| !runs.is_empty())
    }

    /// How much there is of a tree.
    pub(super) fn size_of(&self, tree: usize) -> ChangeSize {
        let mut size = ChangeSize::default();
        self.trees.get(tree).into_iter().flatten().for_each(|run| size += run.size);
        size
    }

    /// How much there is.
    pub(super) fn size(&self) -> ChangeSize {
        let mut size = ChangeSize::default();
        self.trees.iter().flatten().for_each(|run| size += run.size);
        size
    }

    /// The smallest and the greatest key of a tree, undone ones included.
    pub(super) fn bounds(&self, tree: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let runs = self.trees.get(tree)?;
        let first = runs.iter().filter_map(|run| run.run.first_key()).min()?;
        let last = runs.iter().filter_map(|run| run.run.last_key()).max()?;
        Some((first, last))
    }

    /// Undoes the newest versions and appended rows, of these numbers; gives what becomes of notes to `undo`.
    pub(super) fn undo(&mut self, versions: Range<u64>, appended: Range<u64>, mut undo: impl FnMut(&Note)) {
        self.generation += 1;
        while let Some(note) = self.notes.pop_if(|note| note.sequence >= versions.start) {
            undo(&note);
        }
        let appended = appended.start | APPENDED..appended.end | APPENDED;
        let is_left = self.dead.add(&[versions, appended]);
        for runs in &mut self.trees {
            runs.retain(&is_left);
        }
    }

    /// The newest version of a key, or the newest of the commands before `before`; a value is put into `buffer`.
    pub(super) fn get<'b>(
        &self,
        tree: usize,
        key: &[u8],
        before: Option<CommandNumber>,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<OwnWrite<'b>>> {
        let mut found = None;
        let hash = hash(key);
        let filter = self.filters.get(tree).and_then(Option::as_ref);
        let is_new = filter.is_some_and(|filter| !filter.may_hold(hash));
        for run in self.trees.get(tree).into_iter().flatten().rev() {
            if is_new && run.is_filtered {
                continue;
            }
            run.run.find_hashed(key, hash, |entry| {
                if is_seen(&entry, before, &self.dead) {
                    buffer.clear();
                    buffer.extend_from_slice(entry.value);
                    found = Some(entry.kind);
                }
                found.is_none()
            })?;
            if found.is_some() {
                break;
            }
        }
        Ok(found.map(|kind| own_write(kind, buffer)))
    }

    /// Whether there is a version of a key of the command `first` or a later one.
    pub(super) fn is_written_since(&self, tree: usize, key: &[u8], first: CommandNumber) -> Result<bool> {
        let mut found = false;
        let hash = hash(key);
        for run in self.trees.get(tree).into_iter().flatten().rev() {
            run.run.find_hashed(key, hash, |entry| {
                found = found || entry.command >= first.0 && !self.dead.holds(entry.stamp);
                !found
            })?;
            if found {
                break;
            }
        }
        Ok(found)
    }

    /// The versions of a tree from `from` on in key order, one for each key.
    pub(super) fn cursor(
        &self,
        tree: usize,
        from: Bound<&[u8]>,
        backward: bool,
        before: Option<CommandNumber>,
    ) -> Result<SpilledCursor> {
        let runs = self.trees.get(tree).into_iter().flatten().rev();
        let sources =
            runs.map(|run| RunCursor::new(&run.run, from, backward)).collect::<Result<Vec<RunCursor>>>()?;
        let merge = RunMerge::new(sources, backward);
        let mut cursor = SpilledCursor {
            merge,
            before,
            dead: self.dead.clone(),
            generation: self.generation,
            key: Vec::new(),
            value: Vec::new(),
            kind: None,
        };
        cursor.advance()?;
        Ok(cursor)
    }

    /// Whether a cursor still reads all there is.
    pub(super) fn is_current(&self, cursor: &SpilledCursor) -> bool {
        self.generation == cursor.generation
    }
}

fn is_seen(entry: &RunEntry<'_>, before: Option<CommandNumber>, dead: &Dead) -> bool {
    before.is_none_or(|before| entry.command < before.0) && !dead.holds(entry.stamp)
}

fn flush_if_much(run: &SortedRun) -> Result<()> {
    if run.unwritten_bytes() >= FLUSH_BYTES { run.flush() } else { Ok(()) }
}

/// Makes one run of the newest runs of a tree, without what was undone.
fn merge_newest(tree: &mut Vec<SpilledRun>, dead: &Dead, runs: &SortedRuns) -> Result<()> {
    let from = tree.len().saturating_sub(MERGED_RUNS);
    let old = &tree[from..];
    let merged = Arc::new(runs.stamped());
    let keys = old.iter().map(|run| run.size.keys()).sum();
    let is_filtered = old.iter().all(|run| run.is_filtered);
    let _unfiltered = merged.expect_keys(&[], keys);
    let unbounded = Bound::Unbounded;
    let sources = old
        .iter()
        .rev()
        .map(|run| RunCursor::new(&run.run, unbounded, false))
        .collect::<Result<Vec<RunCursor>>>()?;
    let mut merge = RunMerge::new(sources, false);
    let (mut key, mut size) = (Vec::new(), ChangeSize::default());
    let mut sequences = NO_SEQUENCES;
    let mut unlooked = 0;
    while merge.next_key(&mut key) {
        merge.take(&key, |_, entry| {
            if !dead.holds(entry.stamp) {
                count(&mut size, entry.kind, entry.key.len(), entry.value.len());
                note(&mut sequences, entry.stamp);
                merged.push(entry);
            }
        })?;
        unlooked += 1;
        if unlooked >= ENTRIES_A_LOOK {
            unlooked = 0;
            flush_if_much(&merged)?;
        }
    }
    merged.finish()?;
    tree.truncate(from);
    if size.keys() > 0 {
        tree.push(SpilledRun { run: merged, sequences, size, is_filtered });
    }
    Ok(())
}

/// Several runs read as one, newest run first where keys are equal.
#[derive(Debug)]
struct RunMerge {
    sources: Vec<RunCursor>,
    /// The first sixteen bytes of the key that each source is at, as a number; nothing more of it: `None`.
    heads: Vec<Option<u128>>,
    backward: bool,
}

fn head_of(key: &[u8]) -> u128 {
    let mut head = [0; 16];
    let length = key.len().min(head.len());
    head[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(head)
}

impl RunMerge {
    fn new(sources: Vec<RunCursor>, backward: bool) -> RunMerge {
        let heads = sources.iter().map(|source| source.peek().map(|entry| head_of(entry.key))).collect();
        RunMerge { sources, heads, backward }
    }

    /// Writes the key that comes next into `key`; false: at the end.
    fn next_key(&self, key: &mut Vec<u8>) -> bool {
        let mut best: Option<(usize, u128)> = None;
        for (index, head) in self.heads.iter().enumerate() {
            let Some(head) = *head else { continue };
            let is_better = match best {
                None => true,
                Some((_, other)) if head != other => (head < other) != self.backward,
                Some((other, _)) => {
                    let key = |index: usize| self.sources[index].peek().map(|entry| entry.key);
                    let order = key(index).cmp(&key(other));
                    if self.backward { order.is_gt() } else { order.is_lt() }
                }
            };
            if is_better {
                best = Some((index, head));
            }
        }
        let Some(entry) = best.and_then(|(index, _)| self.sources[index].peek()) else { return false };
        key.clear();
        key.extend_from_slice(entry.key);
        true
    }

    /// Hands all entries of `key` over with the number of their run, the newest run's first, and goes past them. Within a run the newest comes
    /// first, or last when this goes backward.
    fn take(&mut self, key: &[u8], mut each: impl FnMut(usize, RunEntry<'_>)) -> Result<()> {
        let head = head_of(key);
        for (index, (source, source_head)) in self.sources.iter_mut().zip(&mut self.heads).enumerate() {
            if *source_head != Some(head) {
                continue;
            }
            while let Some(entry) = source.peek().filter(|entry| entry.key == key) {
                each(index, entry);
                source.advance()?;
            }
            *source_head = source.peek().map(|entry| head_of(entry.key));
        }
        Ok(())
    }
}

/// A place in the spilled versions of a tree. One thread at a time.
#[derive(Debug)]
pub(super) struct SpilledCursor {
    merge: RunMerge,
    before: Option<CommandNumber>,
    dead: Dead,
    generation: u64,
    key: Vec<u8>,
    value: Vec<u8>,
    /// Of the version here; `None`: at the end.
    kind: Option<u8>,
}

impl SpilledCursor {
    /// The version here; `None` at the end.
    pub(super) fn peek(&self) -> Option<(&[u8], OwnWrite<'_>)> {
        self.kind.map(|kind| (self.key.as_slice(), own_write(kind, &self.value)))
    }

    /// As [`SpilledCursor::advance`], forward in a single run: there is nothing to merge.
    fn advance_alone(&mut self) -> Result<()> {
        let SpilledCursor { merge, before, dead, key, value, kind, .. } = self;
        let Some(source) = merge.sources.first_mut() else { return Ok(()) };
        while kind.is_none()
            && let Some(entry) = source.peek()
        {
            key.clear();
            key.extend_from_slice(entry.key);
            while let Some(entry) = source.peek().filter(|entry| entry.key == key.as_slice()) {
                if kind.is_none() && is_seen(&entry, *before, dead) {
                    *kind = Some(entry.kind);
                    value.clear();
                    value.extend_from_slice(entry.value);
                }
                source.advance()?;
            }
        }
        Ok(())
    }

    /// Goes to the next key that has a version to see.
    pub(super) fn advance(&mut self) -> Result<()> {
        self.kind = None;
        if self.merge.sources.len() == 1 && !self.merge.backward {
            return self.advance_alone();
        }
        while self.kind.is_none() && self.merge.next_key(&mut self.key) {
            let SpilledCursor { merge, before, dead, key, value, kind, .. } = self;
            let (backward, mut from) = (merge.backward, 0);
            merge.take(key, |source, entry| {
                // Backward, the newest of a run comes last.
                let is_newer = kind.is_none() || (backward && source == from);
                if is_newer && is_seen(&entry, *before, dead) {
                    from = source;
                    *kind = Some(entry.kind);
                    value.clear();
                    value.extend_from_slice(entry.value);
                }
            })?;
        }
        Ok(())
    }
}

//! Sets of keys as ranges: what a transaction has read of a tree, what a commit wrote to it.
//! Knows keys as bytes. Knows nothing of who reads or writes them.
//!
//! A range lies between two *cuts*: a cut is a key and the side of it, so that keys alone, and bounds with and without
//! their key, need no cases of their own. No key is empty, so the cut before the empty key is the start of the tree.

use crate::transaction::write_set::is_successor;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Bound;

/// With so few ranges left the next step is the whole tree.
const RANGES_BEFORE_WHOLE: usize = 4;
/// A range besides the bytes of long keys: its place in the map.
const RANGE_BYTES: usize = 96;

type Key = SmallVec<[u8; 16]>;

/// A place between keys: before a key, or right behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cut {
    key: Key,
    behind: bool,
}

impl Cut {
    fn start() -> Cut {
        Cut { key: Key::new(), behind: false }
    }

    fn before(key: &[u8]) -> Cut {
        Cut { key: Key::from_slice(key), behind: false }
    }

    fn behind(key: &[u8]) -> Cut {
        Cut { key: Key::from_slice(key), behind: true }
    }

    fn lower(bound: Bound<&[u8]>) -> Cut {
        match bound {
            Bound::Included(key) => Cut::before(key),
            Bound::Excluded(key) => Cut::behind(key),
            Bound::Unbounded => Cut::start(),
        }
    }

    fn upper(bound: Bound<&[u8]>) -> End {
        match bound {
            Bound::Included(key) => End::At(Cut::behind(key)),
            Bound::Excluded(key) => End::At(Cut::before(key)),
            Bound::Unbounded => End::Never,
        }
    }

    fn view(&self) -> CutView<'_> {
        (&self.key, self.behind)
    }

    fn heap_bytes(&self) -> usize {
        if self.key.spilled() { self.key.len() } else { 0 }
    }
}

/// A cut, borrowed; sorts as cuts do.
type CutView<'a> = (&'a [u8], bool);

/// Where a range ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// Right behind the key that it starts before: it is one key.
    Alone,
    At(Cut),
    Never,
}

impl End {
    /// The cut; `None`: there is no end. `start` is where the range starts.
    fn view<'a>(&'a self, start: &'a Cut) -> Option<CutView<'a>> {
        match self {
            End::Alone => Some((&start.key, true)),
            End::At(cut) => Some(cut.view()),
            End::Never => None,
        }
    }

    /// The same end for a range that starts elsewhere.
    fn detached(self, start: &Cut) -> End {
        match self {
            End::Alone => End::At(Cut::behind(&start.key)),
            other => other,
        }
    }
}

/// Whether nothing lies between an end and the start of the next range: nothing at all, or no key of their length.
fn touches(end: Option<CutView<'_>>, start: CutView<'_>) -> bool {
    let Some(end) = end else { return true };
    end >= start || (end.1 && !start.1 && is_successor(end.0, start.0))
}

fn is_behind(end: Option<CutView<'_>>, cut: CutView<'_>) -> bool {
    end.is_none_or(|end| end > cut)
}

/// Keys of a tree from one cut to another.
#[derive(Clone, Debug)]
pub(super) struct KeyRange {
    start: Cut,
    end: End,
}

impl KeyRange {
    /// Every key there can be.
    pub(super) fn whole() -> KeyRange {
        KeyRange { start: Cut::start(), end: End::Never }
    }

    /// The keys from one to another, both included.
    pub(super) fn between(first: &[u8], last: &[u8]) -> KeyRange {
        let end = if first == last { End::Alone } else { End::At(Cut::behind(last)) };
        KeyRange { start: Cut::before(first), end }
    }

    fn bytes(&self) -> usize {
        let end = if let End::At(cut) = &self.end { cut.heap_bytes() } else { 0 };
        size_of::<KeyRange>() + self.start.heap_bytes() + end
    }
}

/// Ranges that were added in key order, none touching the next. Made once, never changed.
#[derive(Debug, Default)]
pub(super) struct SortedRanges {
    ranges: SmallVec<[KeyRange; 1]>,
}

impl SortedRanges {
    pub(super) fn whole() -> SortedRanges {
        SortedRanges { ranges: SmallVec::from_iter([KeyRange::whole()]) }
    }

    /// Adds what is behind everything that is there. Where there would be more than `count_max` ranges, neighbours become
    /// one.
    pub(super) fn push(&mut self, range: KeyRange, count_max: usize) {
        if let Some(last) = self.ranges.last_mut()
            && touches(last.end.view(&last.start), range.start.view())
        {
            last.end = range.end.detached(&range.start);
            return;
        }
        if self.ranges.len() >= count_max.max(2) {
            let mut rest = std::mem::take(&mut self.ranges).into_iter();
            while let Some(mut first) = rest.next() {
                if let Some(second) = rest.next() {
                    first.end = second.end.detached(&second.start);
                }
                self.ranges.push(first);
            }
        }
        self.ranges.push(range);
    }

    pub(super) fn bytes(&self) -> usize {
        self.ranges.iter().map(KeyRange::bytes).sum()
    }
}

/// Any set of keys of a tree, as ranges that do not touch.
#[derive(Debug, Default)]
pub(super) struct KeyRanges {
    ranges: BTreeMap<Cut, End>,
    /// Of keys that are too long for their place in the map.
    heap_bytes: usize,
}

impl KeyRanges {
    /// Bytes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.ranges.len() * RANGE_BYTES + self.heap_bytes
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    fn is_whole(&self) -> bool {
        self.ranges.first_key_value().is_some_and(|(start, end)| start.key.is_empty() && *end == End::Never)
    }

    pub(super) fn add_key(&mut self, key: &[u8]) {
        self.add_range(Cut::before(key), End::Alone);
    }

    pub(super) fn add(&mut self, lower: Bound<&[u8]>, upper: Bound<&[u8]>) {
        let (start, end) = (Cut::lower(lower), Cut::upper(upper));
        if is_behind(end.view(&start), start.view()) {
            self.add_range(start, end);
        }
    }

    fn add_range(&mut self, mut start: Cut, mut end: End) {
        if let Some((before, reached)) = self.ranges.range_mut(..=&start).next_back()
            && touches(reached.view(before), start.view())
        {
            let covered = match (reached.view(before), end.view(&start)) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(reached), Some(end)) => reached >= end,
            };
            if covered {
                return;
            }
            end = end.detached(&start);
            start = before.clone();
            self.remove(&start);
        }
        while let Some((next, reached)) = self.ranges.range(&start..).next()
            && touches(end.view(&start), next.view())
        {
            let further = match (reached.view(next), end.view(&start)) {
                (_, None) => false,
                (None, _) => true,
                (Some(reached), Some(end)) => reached > end,
            };
            if further {
                end = reached.clone().detached(next);
            }
            let next = next.clone();
            self.remove(&next);
        }
        self.heap_bytes += heap_bytes(&start, &end);
        self.ranges.insert(start, end);
    }

    fn remove(&mut self, start: &Cut) {
        if let Some((start, end)) = self.ranges.remove_entry(start) {
            self.heap_bytes -= heap_bytes(&start, &end);
        }
    }

    /// Makes the set coarser: neighbours become one range, the last few the whole tree. False: it is the whole tree.
    pub(super) fn coarsen(&mut self) -> bool {
        if self.is_whole() {
            return false;
        }
        let whole = self.ranges.len() <= RANGES_BEFORE_WHOLE;
        let mut rest = std::mem::take(&mut self.ranges).into_iter();
        self.heap_bytes = 0;
        if whole {
            self.ranges.insert(Cut::start(), End::Never);
            return true;
        }
        while let Some((start, mut end)) = rest.next() {
            if let Some((second, second_end)) = rest.next() {
                end = second_end.detached(&second);
            }
            self.heap_bytes += heap_bytes(&start, &end);
            self.ranges.insert(start, end);
        }
        true
    }

    /// Whether the key is in the set.
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        let start = Cut::before(key);
        let before = self.ranges.range(..=&start).next_back();
        before.is_some_and(|(first, end)| is_behind(end.view(first), start.view()))
    }

    /// Whether some key could be in both.
    pub(super) fn meets(&self, others: &SortedRanges) -> bool {
        let others = &others.ranges;
        if others.len() <= self.ranges.len() {
            return others.iter().any(|other| self.meets_range(other));
        }
        self.ranges.iter().any(|(start, end)| {
            // The first one that ends behind the start of this.
            let at = others.partition_point(|other| !is_behind(other.end.view(&other.start), start.view()));
            others.get(at).is_some_and(|other| is_behind(end.view(start), other.start.view()))
        })
    }

    fn meets_range(&self, other: &KeyRange) -> bool {
        let before = self.ranges.range(..=&other.start).next_back();
        if before.is_some_and(|(start, end)| is_behind(end.view(start), other.start.view())) {
            return true;
        }
        let next = self.ranges.range(&other.start..).next();
        next.is_some_and(|(start, _)| is_behind(other.end.view(&other.start), start.view()))
    }
}

fn heap_bytes(start: &Cut, end: &End) -> usize {
    start.heap_bytes() + if let End::At(cut) = end { cut.heap_bytes() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use std::collections::BTreeSet;

    fn key(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    fn bound(kind: u64, key: &[u8; 8]) -> Bound<&[u8]> {
        match kind {
            0 => Bound::Included(key),
            1 => Bound::Excluded(key),
            _ => Bound::Unbounded,
        }
    }

    #[test]
    fn keys_one_after_the_other_are_one_range_and_others_are_not() {
        let mut ranges = KeyRanges::default();
        for number in [5, 6, 7, 9, 8, 20] {
            ranges.add_key(&key(number));
        }
        assert_eq!(ranges.len(), 2);
        assert!(ranges.holds(&key(5)) && ranges.holds(&key(9)) && ranges.holds(&key(20)));
        assert!(!ranges.holds(&key(4)) && !ranges.holds(&key(10)) && !ranges.holds(&key(21)));
    }

    #[test]
    fn a_set_of_ranges_holds_what_was_added_and_nothing_else() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let (mut ranges, mut model) = (KeyRanges::default(), BTreeSet::new());
            for _ in 0..random.below(30) {
                let (one, other) = (random.below(64), random.below(64));
                if random.below(2) == 0 {
                    ranges.add_key(&key(one));
                    model.insert(one);
                    continue;
                }
                let (low, high) = (key(one), key(other));
                let (lower, upper) = (bound(random.below(8), &low), bound(random.below(8), &high));
                ranges.add(lower, upper);
                model.extend((0..64).filter(|number| {
                    let number = key(*number);
                    let above = match lower {
                        Bound::Included(low) => number[..] >= *low,
                        Bound::Excluded(low) => number[..] > *low,
                        Bound::Unbounded => true,
                    };
                    above
                        && match upper {
                            Bound::Included(high) => number[..] <= *high,
                            Bound::Excluded(high) => number[..] < *high,
                            Bound::Unbounded => true,
                        }
                }));
            }
            for number in 0..64 {
                assert_eq!(ranges.holds(&key(number)), model.contains(&number), "seed {seed}, key {number}");
            }
            for (first, last) in
                (0..64).flat_map(|first| (first..64).step_by(7).map(move |last| (first, last)))
            {
                let mut others = SortedRanges::default();
                others.push(KeyRange::between(&key(first), &key(last)), 8);
                let expected = model.range(first..=last).next().is_some();
                // A range may lie between two keys and hold none of their length.
                assert!(ranges.meets(&others) || !expected, "seed {seed}, {first} to {last}");
            }
            let before: Vec<u64> = model.iter().copied().collect();
            while ranges.coarsen() {
                assert!(before.iter().all(|number| ranges.holds(&key(*number))), "seed {seed}");
            }
            assert!(ranges.is_whole() || before.is_empty());
        }
    }

    #[test]
    fn many_written_keys_meet_exactly_those_that_were_read() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let written: BTreeSet<u64> = (0..random.below(40)).map(|_| random.below(200)).collect();
            let read: BTreeSet<u64> = (0..random.below(6)).map(|_| random.below(200)).collect();
            let (mut ranges, mut others) = (KeyRanges::default(), SortedRanges::default());
            read.iter().for_each(|number| ranges.add_key(&key(*number)));
            written
                .iter()
                .for_each(|number| others.push(KeyRange::between(&key(*number), &key(*number)), 100));
            assert_eq!(ranges.meets(&others), !read.is_disjoint(&written), "seed {seed}");
        }
    }

    #[test]
    fn written_keys_become_coarser_instead_of_more() {
        let mut ranges = SortedRanges::default();
        for number in 0..1000 {
            ranges.push(KeyRange::between(&key(number * 10), &key(number * 10)), 16);
        }
        assert!(ranges.ranges.len() <= 16, "{}", ranges.ranges.len());
        for number in 0..1000 {
            let mut read = KeyRanges::default();
            read.add_key(&key(number * 10));
            assert!(read.meets(&ranges), "{number}");
        }
    }
}

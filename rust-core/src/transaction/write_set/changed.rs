//! Which parts of values the versions of a write set change: for the commit, while a serializable transaction may ask.
//! Knows versions by number. Knows nothing of what the parts are.
//!
//! Each version tells what it changes of the one before it, the first one what it changes of the committed value: together
//! they are at least what the commit changes. A version that tells nothing changes everything.

use super::{Kind, NONE, TreeWrites, WriteSet};
use crate::transaction::types::Parts;

/// Room for so many is kept for the next transaction.
const KEPT: usize = 64;

/// See the module. Ascending by version.
#[derive(Debug, Default)]
pub(super) struct ChangedParts(Vec<(u32, Parts)>);

impl ChangedParts {
    /// Charged for a version that tells: the vector doubles.
    pub(super) const BYTES_EACH: usize = 2 * size_of::<(u32, Parts)>();

    pub(super) fn push(&mut self, version: u32, parts: Parts) {
        self.0.push((version, parts));
    }

    /// Forgets those of versions that are undone: `count` are left.
    #[inline]
    pub(super) fn truncate(&mut self, count: u32) {
        while self.0.last().is_some_and(|(version, _)| *version >= count) {
            self.0.pop();
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
        if self.0.capacity() > KEPT {
            self.0 = Vec::new();
        }
    }

    fn of(&self, version: u32) -> Parts {
        let place = self.0.binary_search_by_key(&version, |(version, _)| *version);
        place.map_or(Parts::ALL, |place| self.0[place].1)
    }
}

impl WriteSet {
    /// Which parts of the committed value under a key the writes in memory change.
    pub(in crate::transaction) fn changed_parts(&self, writes: &TreeWrites, key: &[u8]) -> Parts {
        if self.changed.0.is_empty() || writes.appended.find(key).is_some() {
            return Parts::ALL;
        }
        let in_run = self.find_in_run(writes, key).ok().map(|place| writes.run[place]);
        let Some(mut version) = in_run.or_else(|| writes.overlay.get(key).copied()) else {
            return Parts::ALL;
        };
        let mut changed = Parts::NONE;
        while version != NONE && changed != Parts::ALL {
            let written = &self.versions[version as usize];
            changed = changed.union(match written.kind {
                Kind::Put => self.changed.of(version),
                _ => Parts::ALL,
            });
            version = written.previous;
        }
        changed
    }
}

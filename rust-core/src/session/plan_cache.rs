//! Prepared statements by their text, so that the same text is parsed, bound and planned once.
//!
//! Whether a plan still fits the catalog is checked when it runs, not here.

use crate::common::sync::Arc;
use crate::session::prepared::{LONG_TEXT_BYTES, Prepared};
use hashbrown::HashMap;

/// Statements kept a session.
const STATEMENTS_MAX: usize = 256;
/// Longer texts (bulk inserts with their values) are not worth keeping.
const TEXT_BYTES_MAX: usize = LONG_TEXT_BYTES;

/// A cache with second chances: a hit marks the entry, the hand clears marks and evicts the unmarked.
#[derive(Default)]
pub(crate) struct PlanCache {
    positions: HashMap<Arc<str>, usize>,
    entries: Vec<Entry>,
    hand: usize,
}

struct Entry {
    text: Arc<str>,
    statement: Arc<Prepared>,
    used: bool,
}

impl PlanCache {
    /// The statement for exactly this text.
    pub(crate) fn get(&mut self, text: &str) -> Option<Arc<Prepared>> {
        let entry = &mut self.entries[*self.positions.get(text)?];
        entry.used = true;
        Some(Arc::clone(&entry.statement))
    }

    /// Keeps a statement.
    pub(crate) fn insert(&mut self, text: &str, statement: &Arc<Prepared>) {
        if text.len() > TEXT_BYTES_MAX {
            return;
        }
        let text: Arc<str> = Arc::from(text);
        let entry = Entry { text: Arc::clone(&text), statement: Arc::clone(statement), used: false };
        if let Some(position) = self.positions.get(&text) {
            self.entries[*position] = entry;
        } else if self.entries.len() < STATEMENTS_MAX {
            self.positions.insert(text, self.entries.len());
            self.entries.push(entry);
        } else {
            while std::mem::take(&mut self.entries[self.hand].used) {
                self.hand = (self.hand + 1) % STATEMENTS_MAX;
            }
            self.positions.remove(&self.entries[self.hand].text);
            self.positions.insert(text, self.hand);
            self.entries[self.hand] = entry;
            self.hand = (self.hand + 1) % STATEMENTS_MAX;
        }
    }

    /// Forgets every statement.
    pub(crate) fn clear(&mut self) {
        *self = PlanCache::default();
    }
}

//! Scans: pages, versions and own writes merged.
use crate::error::Result;
use crate::storage::LeafView;
use crate::transaction::transaction::Transaction;
use std::ops::Range;

/// A scan of a key range as its statement sees it: entries of earlier commands only.
#[derive(Debug)]
pub struct TransactionScan;

/// Rows that a scan hands out, in ascending key order also when the scan goes backward (then read them from the end).
#[derive(Debug)]
pub enum ScanRows<'a> {
    /// Straight from a leaf, under its latch: short work only, no other read.
    Page {
        /// The leaf.
        leaf: &'a LeafView<'a>,
        /// Its entries in the scan's range; some may be ghosts.
        rows: Range<usize>,
    },
    /// Copied, with older versions and own writes merged in; no latch is held.
    Resolved(&'a ResolvedRows),
}

/// Rows copied from a leaf.
#[derive(Debug, Default)]
pub struct ResolvedRows;

impl ScanRows<'_> {
    /// Rows, ghosts included.
    pub fn len(&self) -> usize {
        unimplemented!()
    }
    /// No rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether row `index` exists for the scan (a page's row may be a ghost).
    pub fn is_live(&self, index: usize) -> bool {
        unimplemented!()
    }
    /// Writes the key of row `index` into `key` (cleared first).
    pub fn key_into(&self, index: usize, key: &mut Vec<u8>) {
        unimplemented!()
    }
    /// The value of row `index`.
    pub fn value(&self, index: usize) -> &[u8] {
        unimplemented!()
    }
}

impl TransactionScan {
    /// The next rows, never none of them live for ever; `None` at the end.
    pub fn next<R>(
        &mut self,
        transaction: &Transaction,
        read: impl FnOnce(ScanRows<'_>) -> R,
    ) -> Result<Option<R>> {
        unimplemented!()
    }
}

//! Pages, trees and checkpoints: one database file that always holds a whole, old-enough state.
//! Knows bytes, trees and log positions. Knows nothing of rows, snapshots or SQL.
#![allow(
    unused_variables,
    dead_code,
    clippy::new_without_default,
    reason = "the interface lands before its bodies"
)]

use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::error::Result;
use crate::io::vfs::Vfs;
use std::ops::{Bound, Range};
use std::path::PathBuf;
use std::sync::Arc;

/// The tree that maps tree ids to root pages; kept by storage alone.
pub const DIRECTORY_TREE: TreeId = TreeId(1);
/// The tree of the catalog; exists from the creation of the database.
pub const CATALOG_TREE: TreeId = TreeId(2);
/// The tree of sequences and counters; exists from the creation of the database.
pub const COUNTER_TREE: TreeId = TreeId(3);
/// The first id that [`Storage::next_tree_id`] gives out.
pub const FIRST_USER_TREE: TreeId = TreeId(16);

/// How to make or open a database file.
#[derive(Clone, Debug)]
pub struct StorageOptions {
    /// File system.
    pub vfs: Arc<dyn Vfs>,
    /// Path of the database file.
    pub path: PathBuf,
    /// Bytes of a page; used at creation only. A power of two, 1 KiB to 32 KiB.
    pub page_size: usize,
    /// Where frames and tables are charged.
    pub memory: Arc<MemoryAccount>,
    /// Refuse to write.
    pub read_only: bool,
    /// Random bytes that name the database; used at creation only.
    pub database: [u8; 16],
}

/// What the last durable checkpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRecord {
    /// Counts checkpoints.
    pub generation: u64,
    /// Everything below is in the pages.
    pub cut_lsn: Lsn,
    /// Where redo starts.
    pub redo_lsn: Lsn,
    /// The database was closed after this checkpoint, and the log removed.
    pub clean: bool,
    /// History branch, for restores.
    pub timeline: u32,
    /// The database's name.
    pub database: [u8; 16],
    /// The next transaction id to give out.
    pub next_transaction: TransactionId,
}

/// What a commit is about to apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyEstimate {
    /// Operations.
    pub operations: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
}

/// Space set aside for a commit; given back on drop.
#[derive(Debug)]
pub struct ApplyReservation;

/// Lets commits apply and checkpoints wait for them.
#[derive(Debug)]
pub struct ApplyGate;
impl ApplyGate {
    /// Waits while a checkpoint is cutting. Call before taking the commit mutex.
    pub fn enter(&self) -> ApplyTicket<'_> {
        unimplemented!()
    }
}
/// A frame in apply; drop it when everything is applied.
#[derive(Debug)]
pub struct ApplyTicket<'a>(std::marker::PhantomData<&'a ()>);
impl ApplyTicket<'_> {
    /// Says where the frame (the first chunk) starts.
    pub fn set_start(&self, lsn: Lsn) {
        unimplemented!()
    }
}

/// Counters since the database was opened, except `pages` and `blocks`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageStatistics {
    /// Pages in use.
    pub pages: u64,
    /// Blocks of the file.
    pub blocks: u64,
}

/// What a key held before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before<'a> {
    /// Nothing, or a ghost.
    Absent,
    /// This value.
    Value(&'a [u8]),
}
/// Receives what changes replace.
pub trait VersionSink {
    /// Called under the leaf's exclusive latch, before the page changes.
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
/// A change of one key; absolute or monotone.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// The key holds this value.
    Put(&'a [u8]),
    /// The key is gone.
    Delete,
    /// The value's bits are set, longer of the two lengths.
    Or(&'a [u8]),
    /// The value (8 bytes, big-endian) is at least this.
    Max(u64),
}

/// The pages of one database.
#[derive(Debug)]
pub struct Storage;
impl Storage {
    /// Makes a database file.
    pub fn create(options: StorageOptions) -> Result<Arc<Storage>> {
        unimplemented!()
    }
    /// Opens the last durable checkpoint.
    pub fn open(options: StorageOptions) -> Result<Arc<Storage>> {
        unimplemented!()
    }
    /// The last durable checkpoint.
    pub fn last_checkpoint(&self) -> CheckpointRecord {
        unimplemented!()
    }
    /// A tree's handle.
    pub fn tree(&self, id: TreeId) -> Result<Arc<Tree>> {
        unimplemented!()
    }
    /// A new tree id.
    pub fn next_tree_id(&self) -> TreeId {
        unimplemented!()
    }
    /// Applies TREE_CREATE.
    pub fn create_tree(&self, id: TreeId, lsn: Lsn) -> Result<()> {
        unimplemented!()
    }
    /// Applies TREE_DROP.
    pub fn drop_tree(&self, id: TreeId, lsn: Lsn) -> Result<()> {
        unimplemented!()
    }
    /// Sets space and memory aside.
    pub fn reserve(&self, writes: ApplyEstimate) -> Result<ApplyReservation> {
        unimplemented!()
    }
    /// The gate.
    pub fn gate(&self) -> &ApplyGate {
        unimplemented!()
    }
    /// Bytes of a page, fixed at creation. Keys take at most a quarter, values at most a third of it.
    pub fn page_size(&self) -> usize {
        unimplemented!()
    }
    /// Whether a checkpoint is due.
    pub fn wants_checkpoint(&self) -> bool {
        unimplemented!()
    }
    /// Checks everything; returns the number of findings.
    pub fn verify(&self, report: &mut dyn FnMut(&str)) -> Result<u64> {
        unimplemented!()
    }
    /// Counters.
    pub fn statistics(&self) -> StorageStatistics {
        unimplemented!()
    }
}

/// An ordered tree.
#[derive(Debug)]
pub struct Tree;
impl Tree {
    /// Its id.
    pub fn id(&self) -> TreeId {
        unimplemented!()
    }
    /// Reads a key; `read` runs under the leaf's shared latch.
    pub fn get<R>(&self, key: &[u8], read: impl FnOnce(Option<Entry<'_>>, Lsn) -> R) -> Result<R> {
        unimplemented!()
    }
    /// Changes a key.
    pub fn apply(
        &self,
        key: &[u8],
        change: Change<'_>,
        timestamp: Lsn,
        sink: Option<&dyn VersionSink>,
    ) -> Result<()> {
        unimplemented!()
    }
    /// Removes a ghost whose deletion is at or below `horizon`. False: too new, come again.
    /// Never while holding an [`ApplyTicket`].
    pub fn purge(&self, key: &[u8], horizon: Lsn) -> Result<bool> {
        unimplemented!()
    }
    /// Reads the next leaf with entries in range.
    pub fn visit<R>(
        &self,
        cursor: &mut TreeCursor,
        read: impl FnOnce(&LeafView<'_>, Range<usize>) -> R,
    ) -> Result<Option<R>> {
        unimplemented!()
    }
    /// The greatest key (ghosts included); false when there is none.
    pub fn last_key(&self, key: &mut Vec<u8>) -> Result<bool> {
        unimplemented!()
    }
    /// About how many live entries there are.
    pub fn entry_estimate(&self) -> u64 {
        unimplemented!()
    }
}

/// A place in a range of a tree.
#[derive(Debug)]
pub struct TreeCursor;
impl TreeCursor {
    /// A cursor before the first leaf of the range.
    pub fn new(lower: Bound<&[u8]>, upper: Bound<&[u8]>, backward: bool) -> TreeCursor {
        unimplemented!()
    }
}
/// A leaf under its shared latch.
#[derive(Debug)]
pub struct LeafView<'a>(&'a [u8]);
impl<'a> LeafView<'a> {
    /// Entries, ghosts included.
    pub fn len(&self) -> usize {
        unimplemented!()
    }
    /// No entries.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
    /// The newest timestamp of a change here.
    pub fn max_timestamp(&self) -> Lsn {
        unimplemented!()
    }
    /// What all keys start with.
    pub fn prefix(&self) -> &'a [u8] {
        unimplemented!()
    }
    /// The rest of key `index`.
    pub fn suffix(&self, index: usize) -> &'a [u8] {
        unimplemented!()
    }
    /// The value of entry `index`; empty for a ghost.
    pub fn value(&self, index: usize) -> &'a [u8] {
        unimplemented!()
    }
    /// Whether entry `index` is deleted.
    pub fn is_ghost(&self, index: usize) -> bool {
        unimplemented!()
    }
    /// Writes key `index` into `key` (cleared first).
    pub fn key_into(&self, index: usize, key: &mut Vec<u8>) {
        unimplemented!()
    }
    /// The first entry whose key is at least `key`.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        unimplemented!()
    }
}

//! Tests of storage as a whole: trees against a model, checkpoints against power losses, files against damage.

mod bulk;
mod checkpoint;
mod concurrency;
mod damage;
mod durability;
mod files;
mod fill;
mod newer;
mod readers;
mod reservation;
mod trees;

use super::{Change, Storage, StorageOptions, Tree, TreeCursor, VersionSink};
use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::error::Result;
use crate::io::memory::MemoryVfs;
use crate::io::vfs::Vfs;
use crate::wal::manager::{Log, LogOptions};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const TREE: TreeId = TreeId(16);

pub(super) fn options(vfs: Arc<dyn Vfs>, page_size: usize, memory_bytes: usize) -> StorageOptions {
    StorageOptions {
        vfs,
        path: PathBuf::from("/db/test.lumos"),
        page_size,
        memory: MemoryAccount::new(memory_bytes),
        read_only: false,
        database: *b"0123456789abcdef",
    }
}

/// A database file in memory with one user tree.
pub(super) fn storage(page_size: usize, memory_bytes: usize) -> (Arc<Storage>, StorageOptions) {
    let options = options(Arc::new(MemoryVfs::new()), page_size, memory_bytes);
    let storage = Storage::create(options.clone()).unwrap();
    storage.create_tree(TREE, Lsn(1)).unwrap();
    (storage, options)
}

/// A log without frames that ends at `tail`.
pub(super) fn log_at(tail: u64) -> Arc<Log> {
    let options = LogOptions {
        vfs: Arc::new(MemoryVfs::new()),
        folder: PathBuf::from("/db/test.lumos-wal"),
        database: *b"0123456789abcdef",
        timeline: 1,
        first_segment_bytes: 1 << 20,
        segment_bytes_max: 1 << 20,
        volatile: true,
        salt_seed: 1,
    };
    Arc::new(Log::create(options, Lsn(tail)).unwrap())
}

pub(super) fn checkpoint(storage: &Arc<Storage>, tail: u64) -> Result<Lsn> {
    storage.checkpoint(&log_at(tail), || false, || TransactionId(7))
}

pub(super) fn put(tree: &Tree, key: &[u8], value: &[u8], timestamp: u64) {
    tree.apply(key, Change::Put(value), Lsn(timestamp), None).unwrap();
}

/// Live entries of a range, in the cursor's direction.
pub(super) fn scan(
    tree: &Tree,
    lower: Bound<&[u8]>,
    upper: Bound<&[u8]>,
    backward: bool,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut cursor = TreeCursor::new(lower, upper, backward);
    let mut found = Vec::new();
    loop {
        let more = tree.visit(&mut cursor, |leaf, range| {
            let mut take = |index: usize| {
                if !leaf.is_ghost(index) {
                    let mut key = Vec::new();
                    leaf.key_into(index, &mut key);
                    found.push((key, leaf.value(index).to_vec()));
                }
            };
            if backward { range.rev().for_each(&mut take) } else { range.for_each(&mut take) }
        })?;
        if more.is_none() {
            return Ok(found);
        }
    }
}

pub(super) fn all(tree: &Tree) -> BTreeMap<Vec<u8>, Vec<u8>> {
    scan(tree, Bound::Unbounded, Bound::Unbounded, false).unwrap().into_iter().collect()
}

/// All findings of `verify`, the last line left out.
pub(super) fn findings(storage: &Storage) -> Vec<String> {
    let mut lines = Vec::new();
    let count = storage.verify(&mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(count as usize + 1, lines.len(), "{lines:?}");
    lines.pop();
    lines
}

/// Takes what it is given and forgets it.
pub(super) struct NoVersions;
impl VersionSink for NoVersions {
    fn replaced(&self, _: TreeId, _: &[u8], _: Lsn, _: super::Before<'_>) {}
}

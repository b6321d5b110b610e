//! The transaction layer end to end: locks with threads, and histories on a file system in memory.

mod isolation;
mod locks;
mod model;
mod serializable;
mod spill;

use crate::common::cancel::CancelToken;
use crate::common::clock::SystemClock;
use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::common::sync::atomic::{AtomicUsize, Ordering};
use crate::durability::manager::DurabilityManager;
use crate::durability::policy::Durability;
use crate::io::memory::MemoryVfs;
use crate::io::vfs::Vfs;
use crate::storage::{Storage, StorageOptions};
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, ReadView};
use crate::wal::manager::{Log, LogOptions};
use std::ops::Bound;
use std::path::PathBuf;

/// A database of one tree.
struct Fixture {
    manager: Arc<TransactionManager>,
    tree: TreeId,
    memory: Arc<MemoryAccount>,
    /// Write sets move to temporary files beyond so many bytes; 0: beyond what they do anyway.
    spill_bytes: AtomicUsize,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::with_page_size(1024)
    }

    fn with_page_size(page_size: usize) -> Fixture {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let memory = MemoryAccount::new(256 << 20);
        let path = PathBuf::from("/test.lumos");
        let options = StorageOptions {
            vfs: Arc::clone(&vfs),
            path,
            page_size,
            memory: Arc::clone(&memory),
            read_only: false,
            database: [7; 16],
        };
        let storage = Storage::create(options).unwrap();
        let options = LogOptions {
            vfs,
            folder: PathBuf::from("/test.lumos-wal"),
            database: [7; 16],
            timeline: 1,
            first_segment_bytes: 1 << 20,
            segment_bytes_max: 4 << 20,
            volatile: false,
            salt_seed: 3,
        };
        let start = storage.last_checkpoint().cut_lsn.max(Lsn(1 << 10));
        let log = Arc::new(Log::create(options, start).unwrap());
        let clock = Arc::new(SystemClock::new());
        let durability = Arc::new(DurabilityManager::new(Arc::clone(&log), clock.clone()));
        let manager = TransactionManager::new(
            storage,
            Arc::clone(&log),
            durability,
            Arc::clone(&memory),
            clock,
            TransactionId(1),
            log.tail(),
        );
        let mut transaction = begin(&manager, IsolationLevel::ReadCommitted);
        let tree = transaction.create_tree().unwrap();
        transaction.commit(Durability::Full).unwrap();
        Fixture { manager, tree, memory, spill_bytes: AtomicUsize::new(0) }
    }

    fn begin(&self) -> Transaction {
        self.spilling(begin(&self.manager, IsolationLevel::ReadCommitted))
    }

    fn spilling(&self, mut transaction: Transaction) -> Transaction {
        match self.spill_bytes.load(Ordering::Relaxed) {
            0 => {}
            bytes => transaction.set_spill_bytes(bytes),
        }
        transaction
    }

    fn begin_repeatable(&self) -> Transaction {
        self.spilling(begin(&self.manager, IsolationLevel::RepeatableRead))
    }

    fn begin_serializable(&self) -> Transaction {
        self.spilling(begin(&self.manager, IsolationLevel::Serializable))
    }

    /// Commits the given rows: `None` deletes.
    fn write(&self, rows: &[(&[u8], Option<&[u8]>)]) {
        let mut transaction = self.begin();
        transaction.start_statement().unwrap();
        for (key, value) in rows {
            match value {
                Some(value) => transaction.put(self.tree, key, value).unwrap(),
                None => transaction.delete(self.tree, key).unwrap(),
            }
        }
        transaction.end_statement();
        transaction.commit(Durability::Full).unwrap();
    }

    fn get(&self, transaction: &Transaction, key: &[u8], view: ReadView) -> Option<Vec<u8>> {
        let tree = transaction.tree_handle(self.tree).unwrap();
        transaction.get(&tree, key, view, |value| value.map(<[u8]>::to_vec)).unwrap()
    }

    /// A read that is a statement of its own.
    fn read(&self, transaction: &mut Transaction, key: &[u8]) -> Option<Vec<u8>> {
        transaction.start_statement().unwrap();
        let value = self.get(transaction, key, ReadView::Snapshot);
        transaction.end_statement();
        value
    }

    fn scan(
        &self,
        transaction: &Transaction,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        backward: bool,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let tree = transaction.tree_handle(self.tree).unwrap();
        let mut scan = transaction.scan(&tree, lower, upper, backward);
        let mut rows = Vec::new();
        while let Some(block) = scan
            .next(transaction, |block| {
                let mut found = Vec::new();
                for index in (0..block.len()).filter(|index| block.is_live(*index)) {
                    let mut key = Vec::new();
                    block.key_into(index, &mut key);
                    found.push((key, block.value(index).to_vec()));
                }
                found
            })
            .unwrap()
        {
            if backward {
                rows.extend(block.into_iter().rev());
            } else {
                rows.extend(block);
            }
        }
        rows
    }

    /// A whole scan that is a statement of its own.
    fn all(&self, transaction: &mut Transaction) -> Vec<(Vec<u8>, Vec<u8>)> {
        transaction.start_statement().unwrap();
        let rows = self.scan(transaction, Bound::Unbounded, Bound::Unbounded, false);
        transaction.end_statement();
        rows
    }
}

fn begin(manager: &Arc<TransactionManager>, isolation: IsolationLevel) -> Transaction {
    manager.begin(isolation, false, CancelToken::default())
}

/// Waits until `condition` holds: for what another thread is about to do.
fn until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

//! The transaction manager: begins transactions, keeps what they share.
//! Knows storage, log and durability. Knows nothing of tables or SQL.

use crate::common::cancel::CancelToken;
use crate::common::clock::Clock;
use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::limits::BULK_ROWS;
use crate::common::memory::MemoryAccount;
use crate::common::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::common::sync::{Arc, Mutex};
use crate::durability::manager::DurabilityManager;
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::storage::{Checkpoint, CheckpointStep, Storage};
use crate::transaction::checkpointer::Checkpointer;
use crate::transaction::commit_history::CommitHistory;
use crate::transaction::garbage::GarbageQueue;
use crate::transaction::held_locks::LockMark;
use crate::transaction::lock_manager::{LockManager, LockStatistics};
use crate::transaction::moves::Moves;
use crate::transaction::mvcc::VersionStore;
use crate::transaction::publish::PublishQueue;
use crate::transaction::scratch::{Scratch, ScratchPool};
use crate::transaction::snapshot::SnapshotRegistry;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::IsolationLevel;
use crate::wal::manager::Log;
use std::ops::Deref;
use std::sync::OnceLock;

/// Rounds of moving pages and a checkpoint: each frees blocks for the next one.
const COMPACT_ROUNDS_MAX: usize = 12;
/// Older versions may take this share of the memory limit, unless something else is said.
const VERSION_SHARE: usize = 4;
/// Bytes of keys that one passer-by collects at most.
const COLLECT_BYTES: usize = 64 << 10;

/// Counters since the start, and present sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionStatistics {
    /// Transactions that wrote and committed.
    pub commits: u64,
    /// Transactions rolled back.
    pub rollbacks: u64,
    /// Locks.
    pub locks: LockStatistics,
    /// Row versions held for older snapshots now.
    pub versions: u64,
    /// Bytes of them.
    pub version_bytes: u64,
    /// Snapshots registered now.
    pub snapshots: u64,
    /// Bytes of log between what the oldest snapshot sees and the newest commit.
    pub oldest_snapshot_bytes: u64,
}

/// Begins transactions; owns versions, locks and the order of commits. Threads: any.
pub struct TransactionManager {
    pub(super) storage: Arc<Storage>,
    pub(super) log: Arc<Log>,
    pub(super) durability: Arc<DurabilityManager>,
    pub(super) memory: Arc<MemoryAccount>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) locks: LockManager,
    pub(super) versions: VersionStore,
    pub(super) moves: Moves,
    pub(super) snapshots: SnapshotRegistry,
    /// Orders commits: log position and place in the publish queue are taken under it.
    pub(super) commit_mutex: Mutex<()>,
    pub(super) publish: PublishQueue,
    /// What serializable transactions compare their reads with.
    pub(super) history: CommitHistory,
    pub(super) garbage: GarbageQueue,
    /// Older versions may take so many bytes of memory.
    version_bytes_max: AtomicUsize,
    /// Held by whoever refuses snapshots.
    limiting: Mutex<()>,
    /// A load of so many entries is built beside the log.
    bulk_rows: AtomicU64,
    pub(super) checkpointer: Checkpointer,
    next_transaction: AtomicU64,
    /// The durable checkpoint says that there is a log: a lost log folder cannot go unnoticed.
    log_announced: AtomicBool,
    poison: OnceLock<Error>,
    pool: ScratchPool,
    pub(super) commits: AtomicU64,
    rollbacks: AtomicU64,
}

/// A session's own reference to the manager. Its transactions count their references here, in a word that no other
/// session's thread writes: threads that only read share nothing that changes.
#[derive(Debug)]
pub struct ManagerReference(Arc<TransactionManager>);

impl ManagerReference {
    /// One for a session.
    pub fn new(manager: &Arc<TransactionManager>) -> Arc<ManagerReference> {
        Arc::new(ManagerReference(Arc::clone(manager)))
    }

    /// Begins a transaction. Does not allocate once warm, and takes no snapshot: its first statement does.
    pub fn begin(
        self: &Arc<Self>,
        isolation: IsolationLevel,
        read_only: bool,
        cancel: CancelToken,
    ) -> Transaction {
        let scratch = self.pool.pop().unwrap_or_else(|| Box::new(Scratch::new(self)));
        Transaction::new(Arc::clone(self), scratch, isolation, read_only, cancel)
    }
}

impl Deref for ManagerReference {
    type Target = TransactionManager;

    fn deref(&self) -> &TransactionManager {
        &self.0
    }
}

impl std::fmt::Debug for TransactionManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransactionManager").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl TransactionManager {
    /// A manager over recovered storage, where commits up to `visible` (the log's end) are published.
    pub fn new(
        storage: Arc<Storage>,
        log: Arc<Log>,
        durability: Arc<DurabilityManager>,
        memory: Arc<MemoryAccount>,
        clock: Arc<dyn Clock>,
        first_transaction_id: TransactionId,
        visible: Lsn,
    ) -> Arc<TransactionManager> {
        Arc::new(TransactionManager {
            locks: LockManager::new(&memory, Arc::clone(&clock)),
            versions: VersionStore::new(&memory, storage.sorted_runs()),
            moves: Moves::default(),
            snapshots: SnapshotRegistry::new(visible),
            commit_mutex: Mutex::new(()),
            publish: PublishQueue::default(),
            history: CommitHistory::new(&memory),
            garbage: GarbageQueue::default(),
            version_bytes_max: AtomicUsize::new(memory.limit() / VERSION_SHARE),
            bulk_rows: AtomicU64::new(BULK_ROWS),
            limiting: Mutex::new(()),
            checkpointer: Checkpointer::new(
                storage.last_checkpoint().cut_lsn.0,
                log.tail().0,
                clock.monotonic_nanos(),
            ),
            log_announced: AtomicBool::new(false),
            next_transaction: AtomicU64::new(first_transaction_id.0.max(1)),
            poison: OnceLock::new(),
            pool: ScratchPool::default(),
            commits: AtomicU64::new(0),
            rollbacks: AtomicU64::new(0),
            storage,
            log,
            durability,
            memory,
            clock,
        })
    }

    /// Begins a transaction of nobody's session; see [`ManagerReference::begin`].
    pub fn begin(
        self: &Arc<Self>,
        isolation: IsolationLevel,
        read_only: bool,
        cancel: CancelToken,
    ) -> Transaction {
        ManagerReference::new(self).begin(isolation, read_only, cancel)
    }

    /// Takes back what a transaction used.
    pub(super) fn give_back(&self, scratch: Box<Scratch>) {
        self.pool.push(scratch);
    }

    /// Undoes all that a transaction did, which is to say: forgets it, and gives back its locks and its snapshot.
    pub(super) fn undo(&self, mut scratch: Box<Scratch>) {
        self.locks.release_to(&scratch.owner, &mut scratch.locks, LockMark::default());
        scratch.slot.release();
        self.locks.transaction_ended(&scratch.owner);
        self.collect_some_garbage();
        self.count_rollback();
        self.give_back(scratch);
    }

    /// The newest published commit.
    pub fn visible_lsn(&self) -> Lsn {
        self.snapshots.visible()
    }

    /// Writes a checkpoint, at once, and returns its redo position; commits go on. `closing`: nothing runs, and the
    /// log goes after it.
    /// # Errors
    /// I/O errors; storage says whether the old checkpoint still stands.
    pub fn checkpoint(&self, closing: bool) -> Result<Lsn> {
        let begun = self.clock.monotonic_nanos();
        let Some(mut checkpoint) = self.begin_checkpoint(closing)? else {
            return Ok(self.storage.last_checkpoint().redo_lsn);
        };
        while checkpoint.step()? != CheckpointStep::Done {}
        self.note_checkpoint_time(begun);
        Ok(checkpoint.record().redo_lsn)
    }

    /// The first part of [`TransactionManager::checkpoint`], the cut; the rest is for the caller to step through.
    /// `None`: nothing changed since the last one.
    /// # Errors
    /// As [`TransactionManager::checkpoint`].
    pub fn begin_checkpoint(&self, closing: bool) -> Result<Option<Checkpoint>> {
        self.check_poison()?;
        self.collect_garbage(usize::MAX);
        // Both are asked when nothing is in apply. Without a segment nothing was committed since a clean checkpoint:
        // it stays a clean one. And every logged transaction has an id below.
        let is_clean = || closing || !self.log.has_segment();
        let next_transaction = || {
            self.note_cut();
            TransactionId(self.next_transaction.load(Ordering::SeqCst))
        };
        self.storage.begin_checkpoint(&self.log, is_clean, next_transaction)
    }

    /// Merges what is not full of `trees`, then makes the file as short as it can be while others go on. `check` is called
    /// between steps.
    /// # Errors
    /// What `check` raises; `53100`, `53200`, `58030`, `XX001`; the database is as it was, perhaps in fewer pages.
    pub fn vacuum(&self, trees: &[TreeId], check: &dyn Fn() -> Result<()>) -> Result<()> {
        self.check_poison()?;
        self.collect_garbage(usize::MAX);
        for tree in trees {
            self.storage.merge_tree(*tree, check)?;
        }
        // Blocks that only the checkpoint before names cannot be used yet.
        self.checkpoint(false)?;
        for _ in 0..COMPACT_ROUNDS_MAX {
            check()?;
            let moved = self.storage.compact(check)?;
            if moved == 0 {
                break;
            }
            self.checkpoint(false)?;
        }
        self.storage.trim()
    }

    /// Ends the thread that writes checkpoints. To be called before the last one is written.
    pub fn stop_checkpointer(&self) {
        self.checkpointer.stop();
    }

    /// Nanoseconds that checkpoints took since the database was opened.
    pub fn checkpoint_nanos(&self) -> u64 {
        self.checkpointer.total_nanos.load(Ordering::Relaxed)
    }

    /// Before the first commit after a clean open: makes the log's first segment, then a checkpoint whose slot
    /// is no longer clean. A database whose log folder is lost is refused from then on, never opened as of its
    /// last close.
    pub(super) fn announce_log(&self) -> Result<()> {
        if self.log_announced.load(Ordering::Acquire) {
            return Ok(());
        }
        self.log.prepare(0)?;
        if !self.log.is_volatile() && self.storage.settled_checkpoint().clean {
            self.checkpoint(false)?;
        }
        self.log_announced.store(true, Ordering::Release);
        Ok(())
    }

    /// Refuses every later write with `error`: memory, pages and log may disagree. Reads go on.
    pub fn poison(&self, error: Error) {
        // The first error is the one that tells the story.
        let _first = self.poison.set(error.clone());
        self.log.poison(error);
        self.publish.wake_all();
    }

    /// Whether writes are refused, and why.
    pub fn poisoned(&self) -> Option<&Error> {
        if self.storage.is_interrupted() && self.poison.get().is_none() {
            self.poison(Error::internal("a change of a page was interrupted"));
        }
        self.poison.get()
    }

    pub(super) fn check_poison(&self) -> Result<()> {
        match self.poisoned() {
            None => Ok(()),
            Some(error) => Err(Error::new(error.state(), "the database stopped writing after an error")
                .detail(error.to_string())
                .hint("Close and reopen the database; it recovers every acknowledged commit.")),
        }
    }

    /// Waits until the commit `timestamp`, which did not wait itself, is as durable as `durability` says.
    /// # Errors
    /// `08007`: it may be lost; nothing more is written then.
    pub fn wait_durable(&self, timestamp: Lsn, durability: Durability) -> Result<()> {
        self.check_poison()?;
        self.durability.wait(timestamp, durability).map_err(|error| {
            self.poison(error.clone());
            self.unknown_outcome(&error)
        })
    }

    /// The error of a commit that is in the log, but whose end is not known.
    pub(super) fn unknown_outcome(&self, cause: &Error) -> Error {
        Error::new(SqlState::TRANSACTION_RESOLUTION_UNKNOWN, "the outcome of the commit is unknown")
            .detail(cause.to_string())
            .hint("Reopen the database and look whether the transaction's changes are there.")
    }

    pub(super) fn next_transaction_id(&self) -> TransactionId {
        TransactionId(self.next_transaction.fetch_add(1, Ordering::Relaxed))
    }

    /// The lock table.
    pub fn lock_manager(&self) -> &LockManager {
        &self.locks
    }

    /// The pages.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// The log.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The clock that everything above uses too.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The account of the database.
    pub fn memory(&self) -> &Arc<MemoryAccount> {
        &self.memory
    }

    /// Counters.
    pub fn statistics(&self) -> TransactionStatistics {
        TransactionStatistics {
            commits: self.commits.load(Ordering::Relaxed),
            rollbacks: self.rollbacks.load(Ordering::Relaxed),
            locks: self.locks.statistics(),
            versions: self.versions.count() as u64,
            version_bytes: self.versions.bytes() as u64,
            snapshots: self.snapshots.active_count() as u64,
            oldest_snapshot_bytes: self.snapshots.visible().0.saturating_sub(self.snapshots.horizon().0),
        }
    }

    pub(super) fn count_rollback(&self) {
        self.rollbacks.fetch_add(1, Ordering::Relaxed);
    }

    /// Says from how many entries on a tree is built beside the log.
    pub fn set_bulk_rows(&self, rows: u64) {
        self.bulk_rows.store(rows, Ordering::Relaxed);
    }

    /// Entries from which on a tree is worth building: a link costs a sync of the database file.
    pub fn bulk_rows(&self) -> u64 {
        self.bulk_rows.load(Ordering::Relaxed)
    }

    /// Says how many bytes of memory older versions may take before the oldest snapshot is refused (72000).
    pub fn set_version_bytes_max(&self, bytes: usize) {
        self.version_bytes_max.store(bytes, Ordering::Relaxed);
    }

    /// Where older versions take too much memory, drops those that nobody needs, and then refuses the oldest snapshots
    /// until they do not.
    pub(super) fn limit_versions(&self) {
        let bytes_max = self.version_bytes_max.load(Ordering::Relaxed);
        if self.versions.bytes() <= bytes_max {
            return;
        }
        // One thread at a time: what the first refusal gives back must not be asked of the next snapshot too.
        let Some(_limiting) = self.limiting.try_lock() else { return };
        self.collect_garbage(usize::MAX);
        while self.versions.bytes() > bytes_max && self.garbage.is_kept() && self.snapshots.refuse_oldest() {
            self.collect_garbage(usize::MAX);
        }
    }

    /// The error of a reader whose snapshot was refused.
    /// # Errors
    /// `72000`.
    pub(super) fn check_age(&self, snapshot: Lsn) -> Result<()> {
        if !self.snapshots.is_refused(snapshot) {
            return Ok(());
        }
        Err(Error::new(SqlState::SNAPSHOT_TOO_OLD, "snapshot too old")
            .detail("The older versions of rows that it needs would take too much memory.")
            .hint("Run the transaction again; end long ones sooner, or raise version_memory."))
    }

    /// Drops versions and ghosts that no snapshot needs any more, if there are any; a bounded amount.
    pub(super) fn collect_some_garbage(&self) {
        // What was given back before is seen to be, by those who look after they noted down what waits for it.
        fence(Ordering::SeqCst);
        if self.garbage.is_due(self.snapshots.visible()) {
            self.collect_garbage_below(self.snapshots.horizon());
        }
    }

    /// As [`TransactionManager::collect_some_garbage`], where the horizon is known.
    pub(super) fn collect_garbage_below(&self, horizon: Lsn) {
        if self.garbage.is_due(horizon) {
            self.garbage.collect(horizon, COLLECT_BYTES, &self.versions, &self.storage);
            self.versions.settle();
        }
    }

    fn collect_garbage(&self, bytes: usize) {
        self.garbage.collect(self.snapshots.horizon(), bytes, &self.versions, &self.storage);
        self.versions.settle();
    }
}

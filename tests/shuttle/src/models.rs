//! What runs under Shuttle: locks with deadlocks, snapshots and the horizon, group commit, and whole transactions with
//! readers, deletions and checkpoints beside them.

use crate::common::cancel::CancelToken;
use crate::common::clock::{Clock, SystemClock};
use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::common::random::Random;
use crate::durability::manager::DurabilityManager;
use crate::durability::policy::Durability;
use crate::error::{Result, SqlState};
use crate::io::memory::MemoryVfs;
use crate::io::vfs::Vfs;
use crate::storage::{Storage, StorageOptions};
use crate::transaction::held_locks::{HeldLocks, LockMark};
use crate::transaction::lock_manager::LockManager;
use crate::transaction::manager::TransactionManager;
use crate::transaction::snapshot::SnapshotRegistry;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, ReadView, RowLockMode};
use crate::wal::entry::{Operation, OperationBuffer};
use crate::wal::frame::FrameKind;
use crate::wal::manager::{Log, LogOptions};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, FailurePersistence, Runner};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a thread's stack.
const STACK_BYTES: usize = 1 << 20;
/// Places where a schedule by priorities changes them.
const CHANGES: usize = 4;
const TREE: TreeId = TreeId(20);
/// Memory that is left to a database whose buffer pool shall have its least number of frames.
const REST_BYTES: usize = 96 << 10;

/// Runs a model in `schedules` schedules, half of them random and half by priorities that change a few times. `tells`:
/// one that fails is printed, to be run again by `shuttle::replay`.
pub fn explore(schedules: usize, seed: u64, tells: bool, model: fn()) {
    let mut config = Config::new();
    if !tells {
        config.failure_persistence = FailurePersistence::None;
    }
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    let random = RandomScheduler::new_from_seed(seed, schedules / 2);
    Runner::new(random, config.clone()).run(model);
    let by_priority = PctScheduler::new_from_seed(seed, CHANGES, schedules - schedules / 2);
    Runner::new(by_priority, config).run(model);
}

fn join<R>(threads: Vec<shuttle::thread::JoinHandle<R>>) {
    for thread in threads {
        thread.join().expect("a thread of the model does not fail");
    }
}

/// Three owners lock three keys, each in its own order: nobody has what another has, whoever closes a circle is told, and
/// everybody comes to an end.
pub fn locks_exclude_and_deadlocks_end() {
    let memory = MemoryAccount::new(1 << 20);
    let manager = Arc::new(LockManager::new(&memory, Arc::new(SystemClock::new())));
    let holders: Arc<[AtomicU64; 3]> = Arc::default();
    let orders = [[0_usize, 1, 2], [1, 2, 0], [2, 0, 1]];
    let threads = orders.into_iter().map(|order| {
        let (memory, manager, holders) = (Arc::clone(&memory), Arc::clone(&manager), Arc::clone(&holders));
        shuttle::thread::spawn(move || {
            let (owner, mut held) = (manager.add_owner(), HeldLocks::new(&memory));
            let mut taken = Vec::new();
            for key in order {
                let target = (TREE, &[b'a' + key as u8][..]);
                let cancel = CancelToken::default();
                match manager.lock_row(&owner, &mut held, target, RowLockMode::Update, &cancel) {
                    Ok(_) => {
                        let before = holders[key].fetch_add(1, Ordering::SeqCst);
                        assert_eq!(before, 0, "two hold one lock");
                        taken.push(key);
                    }
                    Err(error) => {
                        assert_eq!(error.state(), SqlState::DEADLOCK_DETECTED);
                        break;
                    }
                }
            }
            taken.iter().for_each(|key| {
                holders[*key].fetch_sub(1, Ordering::SeqCst);
            });
            manager.release_to(&owner, &mut held, LockMark::default());
        })
    });
    join(threads.collect());
    assert_eq!(manager.waiting_count(), 0);
    let (owner, mut held) = (manager.add_owner(), HeldLocks::new(&memory));
    for key in [b"a", b"b", b"c"] {
        let taken = manager.try_lock_row(&owner, &mut held, (TREE, &key[..]), RowLockMode::Update);
        assert!(taken.expect("there is memory"), "a lock was left behind");
    }
    manager.release_to(&owner, &mut held, LockMark::default());
}

/// Those who share a row and those who want it alone, in a queue: all get it.
pub fn shared_locks_are_granted_to_all() {
    let memory = MemoryAccount::new(1 << 20);
    let manager = Arc::new(LockManager::new(&memory, Arc::new(SystemClock::new())));
    let inside = Arc::new(AtomicU64::new(0));
    let modes = [RowLockMode::Update, RowLockMode::KeyShare, RowLockMode::Share, RowLockMode::NoKeyUpdate];
    let threads = modes.into_iter().map(|mode| {
        let (memory, manager, inside) = (Arc::clone(&memory), Arc::clone(&manager), Arc::clone(&inside));
        shuttle::thread::spawn(move || {
            let (owner, mut held) = (manager.add_owner(), HeldLocks::new(&memory));
            for _ in 0..2 {
                let target = (TREE, &b"row"[..]);
                let granted = manager.lock_row(&owner, &mut held, target, mode, &CancelToken::default());
                granted.expect("one key alone makes no circle");
                if mode == RowLockMode::Update {
                    assert_eq!(inside.load(Ordering::SeqCst), 0, "somebody else is there");
                }
                inside.fetch_add(1, Ordering::SeqCst);
                shuttle::thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
                manager.release_to(&owner, &mut held, LockMark::default());
            }
        })
    });
    join(threads.collect());
    assert_eq!(manager.waiting_count(), 0);
}

/// Who waits for a row is told to stop at any moment of it, and nobody gives the row back: a wake-up that is lost is a deadlock.
/// Then it is told to stop while the row is given to it: it has the row, or nothing of it.
pub fn interrupts_reach_those_who_wait() {
    let memory = MemoryAccount::new(1 << 20);
    let manager = Arc::new(LockManager::new(&memory, Arc::new(SystemClock::new())));
    let target = (TREE, &b"row"[..]);
    let (owner, mut held) = (manager.add_owner(), HeldLocks::new(&memory));
    let taken = manager.try_lock_row(&owner, &mut held, target, RowLockMode::Update);
    assert!(taken.expect("there is memory"), "nobody else is there");
    for gives_back in [false, true] {
        let cancel = CancelToken::default();
        let statement = cancel.start_statement();
        let waiter = {
            let (memory, manager, cancel) = (Arc::clone(&memory), Arc::clone(&manager), cancel.clone());
            shuttle::thread::spawn(move || {
                let (owner, mut held) = (manager.add_owner(), HeldLocks::new(&memory));
                let result = manager.lock_row(&owner, &mut held, target, RowLockMode::Update, &cancel);
                manager.release_to(&owner, &mut held, LockMark::default());
                result.map(drop)
            })
        };
        let stopper = shuttle::thread::spawn(move || cancel.cancel(statement));
        if gives_back {
            manager.release_to(&owner, &mut held, LockMark::default());
        }
        stopper.join().expect("a thread of the model does not fail");
        match waiter.join().expect("a thread of the model does not fail") {
            Ok(()) => assert!(gives_back, "two hold one lock"),
            Err(error) => assert_eq!(error.state(), SqlState::QUERY_CANCELED),
        }
    }
    assert_eq!(manager.waiting_count(), 0);
    let taken = manager.try_lock_row(&owner, &mut held, target, RowLockMode::Update);
    assert!(taken.expect("there is memory"), "a lock was left behind");
    manager.release_to(&owner, &mut held, LockMark::default());
}

/// Readers take snapshots while commits are published and somebody cleans up to the horizon.
pub fn no_snapshot_below_a_horizon() {
    let registry = Arc::new(SnapshotRegistry::new(Lsn(1)));
    let purged = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for _ in 0..2 {
        let (registry, purged) = (Arc::clone(&registry), Arc::clone(&purged));
        threads.push(shuttle::thread::spawn(move || {
            let slot = registry.add_slot();
            for _ in 0..3 {
                let taken = registry.take(&slot);
                shuttle::thread::yield_now();
                let purged = purged.load(Ordering::SeqCst);
                assert!(purged <= taken.0, "a version that the snapshot needs is gone");
                slot.release();
            }
        }));
    }
    for timestamp in 2..5 {
        registry.publish(Lsn(timestamp));
        purged.fetch_max(registry.horizon().0, Ordering::SeqCst);
    }
    join(threads);
}

fn log_options(vfs: Arc<dyn Vfs>) -> LogOptions {
    LogOptions {
        vfs,
        folder: PathBuf::from("/db-wal"),
        database: [7; 16],
        timeline: 1,
        first_segment_bytes: 16 << 10,
        segment_bytes_max: 64 << 10,
        volatile: false,
        salt_seed: 7,
    }
}

/// Three threads append and wait for the disk: what is acknowledged is durable.
pub fn group_commit() {
    let log = Log::create(log_options(Arc::new(MemoryVfs::new())), Lsn::ZERO).expect("a log in memory");
    let log = Arc::new(log);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let durability = Arc::new(DurabilityManager::new(Arc::clone(&log), clock));
    let threads = (0..3).map(|number| {
        let (log, durability) = (Arc::clone(&log), Arc::clone(&durability));
        shuttle::thread::spawn(move || {
            let mut buffer = OperationBuffer::new();
            buffer.push(&Operation::Put { tree: TREE, key: b"k", value: &[number] });
            for _ in 0..2 {
                log.prepare(buffer.len_bytes()).expect("there is room");
                let end = log.append(FrameKind::Transaction, TransactionId(u64::from(number)), &buffer);
                let end = end.expect("there is room").end;
                durability.wait(end, Durability::Full).expect("memory does not fail");
                assert!(log.durable() >= end, "a commit was acknowledged before it was durable");
            }
        })
    });
    join(threads.collect());
    assert_eq!(log.durable(), log.tail());
}

/// A database of one tree.
struct Engine {
    manager: Arc<TransactionManager>,
    storage: Arc<Storage>,
    tree: TreeId,
}

impl Engine {
    fn new(memory_limit: usize) -> Result<Engine> {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let memory = MemoryAccount::new(memory_limit);
        let storage = Storage::create(StorageOptions {
            vfs: Arc::clone(&vfs),
            path: PathBuf::from("/db"),
            page_size: 1024,
            memory: Arc::clone(&memory),
            read_only: false,
            database: [7; 16],
        })?;
        let start = storage.last_checkpoint().cut_lsn.max(Lsn(1 << 10));
        let log = Arc::new(Log::create(log_options(vfs), start)?);
        let clock = Arc::new(SystemClock::new());
        let durability = Arc::new(DurabilityManager::new(Arc::clone(&log), clock.clone()));
        let (tail, first) = (log.tail(), TransactionId(1));
        let manager =
            TransactionManager::new(Arc::clone(&storage), log, durability, memory, clock, first, tail);
        let mut transaction = manager.begin(IsolationLevel::ReadCommitted, false, CancelToken::default());
        let tree = transaction.create_tree()?;
        transaction.commit(Durability::Off)?;
        Ok(Engine { manager, storage, tree })
    }

    fn begin(&self) -> Result<Transaction> {
        self.begin_at(IsolationLevel::RepeatableRead)
    }

    fn begin_at(&self, isolation: IsolationLevel) -> Result<Transaction> {
        let mut transaction = self.manager.begin(isolation, false, CancelToken::default());
        transaction.start_statement()?;
        Ok(transaction)
    }

    /// Counts all keys, and adds one of its own that says how many there were.
    fn draw(&self, key: &[u8]) -> Result<()> {
        let mut transaction = self.begin_at(IsolationLevel::Serializable)?;
        let (before, _) = self.sum(&transaction)?;
        transaction.lock_row(self.tree, key, RowLockMode::Update)?;
        transaction.put(self.tree, key, &[before as u8])?;
        transaction.end_statement();
        transaction.commit(Durability::Off).map(drop)
    }

    fn get(&self, transaction: &Transaction, key: &[u8]) -> Result<Option<u8>> {
        let tree = transaction.tree_handle(self.tree)?;
        transaction.get(&tree, key, ReadView::Snapshot, |value| value.map(|value| value[0]))
    }

    /// The number of keys and the sum of their values.
    fn sum(&self, transaction: &Transaction) -> Result<(usize, u64)> {
        let tree = transaction.tree_handle(self.tree)?;
        let mut scan = transaction.scan(&tree, Bound::Unbounded, Bound::Unbounded, false);
        let (mut count, mut sum) = (0, 0);
        while let Some((keys, values)) = scan.next(transaction, |block| {
            let live = (0..block.len()).filter(|index| block.is_live(*index));
            live.fold((0, 0), |(keys, sum), index| (keys + 1, sum + u64::from(block.value(index)[0])))
        })? {
            (count, sum) = (count + keys, sum + values);
        }
        Ok((count, sum))
    }

    /// Moves one from a key to another; the second is deleted and put again.
    fn transfer(&self, from: &[u8], to: &[u8], durability: Durability) -> Result<()> {
        let mut transaction = self.begin()?;
        for key in [from, to] {
            transaction.lock_row(self.tree, key, RowLockMode::Update)?;
            let tree = transaction.tree_handle(self.tree)?;
            if transaction.changed_since_snapshot(&tree, key)? {
                return Err(transaction.serialization_failure());
            }
        }
        let (less, more) = (self.get(&transaction, from)?, self.get(&transaction, to)?);
        // One of them may be under another key now.
        let (Some(less), Some(more)) = (less, more) else { return Ok(()) };
        transaction.put(self.tree, from, &[less - 1])?;
        transaction.delete(self.tree, to)?;
        transaction.next_command();
        transaction.put(self.tree, to, &[more + 1])?;
        transaction.end_statement();
        transaction.commit(durability).map(drop)
    }

    fn moved(&self, from: &[u8], to: &[u8]) -> Result<()> {
        let mut transaction = self.begin()?;
        for key in [from, to] {
            transaction.lock_row(self.tree, key, RowLockMode::Update)?;
            let tree = transaction.tree_handle(self.tree)?;
            if transaction.changed_since_snapshot(&tree, key)? {
                return Err(transaction.serialization_failure());
            }
        }
        if let Some(value) = self.get(&transaction, from)?
            && self.get(&transaction, to)?.is_none()
        {
            transaction.delete(self.tree, from)?;
            transaction.put(self.tree, to, &[value])?;
        }
        transaction.end_statement();
        transaction.commit(Durability::Full).map(drop)
    }
}

/// What may happen to a transaction among others.
fn expect_concurrency(result: Result<()>) {
    if let Err(error) = result {
        let states = [SqlState::SERIALIZATION_FAILURE, SqlState::DEADLOCK_DETECTED];
        assert!(states.contains(&error.state()), "{error:?}");
    }
}

fn engine_of(rows: &[(&[u8], u8)]) -> Arc<Engine> {
    let engine = Engine::new(16 << 20).expect("a database in memory");
    let mut transaction = engine.begin().expect("nobody is in the way");
    for (key, value) in rows {
        transaction.put(engine.tree, key, &[*value]).expect("there is memory");
    }
    transaction.end_statement();
    transaction.commit(Durability::Off).expect("there is room");
    Arc::new(engine)
}

/// Transfers, deletions and insertions beside a reader: every snapshot has the whole sum, twice alike, whatever is
/// published, purged or collected meanwhile.
pub fn snapshots_see_whole_states() {
    let engine = engine_of(&[(b"a", 10), (b"b", 10), (b"c", 10)]);
    let mut threads = Vec::new();
    for (from, to) in [(b"a", b"b"), (b"b", b"c")] {
        let engine = Arc::clone(&engine);
        threads.push(shuttle::thread::spawn(move || {
            expect_concurrency(engine.transfer(from, to, Durability::Off));
            expect_concurrency(engine.transfer(to, from, Durability::Full));
        }));
    }
    {
        let engine = Arc::clone(&engine);
        threads.push(shuttle::thread::spawn(move || expect_concurrency(engine.moved(b"c", b"d"))));
    }
    for _ in 0..2 {
        let transaction = engine.begin().expect("a snapshot is always to be had");
        let first = engine.sum(&transaction).expect("a read does not fail");
        assert_eq!(first, (3, 30), "a snapshot saw half a transaction");
        assert_eq!(engine.sum(&transaction).expect("a read does not fail"), first);
    }
    join(threads);
    let transaction = engine.begin().expect("nobody is in the way");
    assert_eq!(engine.sum(&transaction).expect("a read does not fail"), (3, 30));
    drop(transaction);
    assert_eq!(engine.storage.verify(&mut |_| {}).expect("memory does not fail"), 0);
}

/// Checkpoints cut among commits; everybody comes to an end, and the file is whole.
pub fn checkpoints_beside_commits() {
    let engine = engine_of(&[(b"a", 10), (b"b", 10)]);
    let mut threads = Vec::new();
    for (from, to) in [(b"a", b"b"), (b"b", b"a")] {
        let engine = Arc::clone(&engine);
        threads.push(shuttle::thread::spawn(move || {
            expect_concurrency(engine.transfer(from, to, Durability::Full));
        }));
    }
    for _ in 0..2 {
        engine.manager.checkpoint(false).expect("memory does not fail");
    }
    join(threads);
    engine.manager.checkpoint(false).expect("memory does not fail");
    let transaction = engine.begin().expect("nobody is in the way");
    assert_eq!(engine.sum(&transaction).expect("a read does not fail"), (2, 20));
    drop(transaction);
    assert_eq!(engine.storage.verify(&mut |_| {}).expect("memory does not fail"), 0);
}

/// Rows on more pages than there are frames: readers fetch what others evict, change and write at the same time.
pub fn pages_come_and_go() {
    const ROWS: u64 = 240;
    let engine = Engine::new(2 << 20).expect("a database in memory");
    let row = |number: u64| [number as u8; 300];
    for half in [0..ROWS / 2, ROWS / 2..ROWS] {
        let mut transaction = engine.begin().expect("nobody is in the way");
        for number in half {
            transaction.put(engine.tree, &number.to_be_bytes(), &row(number)).expect("there is memory");
        }
        transaction.end_statement();
        transaction.commit(Durability::Off).expect("there is room");
    }
    engine.manager.checkpoint(false).expect("memory does not fail");
    // Somebody else has all the memory, so the pool gives its frames back.
    let mut taken = engine.manager.memory().reservation();
    while taken.grow(16 << 10).is_ok() {}
    taken.resize(taken.bytes().saturating_sub(REST_BYTES)).expect("shrinking never fails");
    let engine = Arc::new(engine);
    let threads = (0..2_u64).map(|thread| {
        let engine = Arc::clone(&engine);
        shuttle::thread::spawn(move || {
            let mut random = Random::new(thread + 1);
            for _ in 0..24 {
                let number = random.below(ROWS);
                let transaction = engine.begin().expect("a snapshot is always to be had");
                let seen = engine.get(&transaction, &number.to_be_bytes()).expect("a read does not fail");
                assert_eq!(seen, Some(number as u8), "another page's bytes");
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    for number in [3, 70, 130, 200_u64] {
        let mut transaction = engine.begin().expect("nobody is in the way");
        let key = number.to_be_bytes();
        transaction.lock_row(engine.tree, &key, RowLockMode::Update).expect("nobody is in the way");
        transaction.put(engine.tree, &key, &row(number)).expect("there is memory");
        transaction.end_statement();
        transaction.commit(Durability::Off).expect("there is room");
    }
    join(threads);
    assert!(engine.storage.statistics().evictions > 0, "everything had room");
    assert_eq!(engine.storage.verify(&mut |_| {}).expect("memory does not fail"), 0);
}

/// Who counts the keys and adds one draws a number: serially nobody draws a number twice, whoever is the first to be
/// serializable while others commit at other levels.
pub fn serializable_numbers_are_drawn_once() {
    let engine = engine_of(&[(b"a", 0)]);
    let mut threads = Vec::new();
    for key in [b"p", b"q"] {
        let engine = Arc::clone(&engine);
        threads.push(shuttle::thread::spawn(move || expect_concurrency(engine.draw(key))));
    }
    {
        let engine = Arc::clone(&engine);
        threads.push(shuttle::thread::spawn(move || expect_concurrency(engine.moved(b"a", b"b"))));
    }
    expect_concurrency(engine.draw(b"r"));
    join(threads);
    let transaction = engine.begin().expect("nobody is in the way");
    let mut drawn: Vec<u8> = [b"p", b"q", b"r"]
        .into_iter()
        .filter_map(|key| engine.get(&transaction, key).expect("a read does not fail"))
        .collect();
    drawn.sort_unstable();
    let expected: Vec<u8> = (1..=drawn.len() as u8).collect();
    assert_eq!(drawn, expected, "a number was drawn twice");
}

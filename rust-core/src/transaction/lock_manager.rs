//! Locks on rows and tables: who holds what, who waits, and in which order.
//! Knows keys as bytes and owners as numbers. Knows nothing of pages, versions or write sets.
//!
//! A lock is named by a 64-bit hash of what it protects: entries are small and of one size, and taking a free
//! lock allocates nothing. Two rows whose hashes meet (once in 2^64 pairs) share a lock, which is safe: they
//! only wait for each other.
//!
//! ```text
//!  request ──free or compatible──▶ holder               release ──▶ queue from the front:
//!     │                                                             whoever meets neither a holder
//!     └─conflict─▶ graph mutex: enqueue, search for a cycle         nor an earlier waiter is granted
//!                  none: sleep until granted or cancelled
//!                  soft: let the waiter past;  hard: 40P01 to the requester that closed it
//! ```
//!
//! Every request that must wait enqueues under the graph mutex and searches from itself, so the last one to
//! join a cycle sees all of it. Weak table modes (they never meet each other) are kept with their owner, and
//! only a request for a strong mode looks there (`LockOwner::fast`).
//!
//! Order of mutexes: graph → an owner's fast locks → one shard → an owner's grant.

use crate::common::cancel::CancelToken;
use crate::common::ids::{ObjectId, TreeId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::common::sync::{Arc, Condvar, Mutex, RwLock};
use crate::error::{Error, Result, SqlState};
use crate::transaction::deadlock::{Blocker, Wait, find_cycle};
use crate::transaction::lock_modes::{Mode, ModeSet};
use crate::transaction::types::{LockOutcome, RowLockMode, TableLockMode};
use crossbeam::utils::CachePadded;
use hashbrown::{HashMap, hash_map};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

const SHARD_COUNT: usize = 64;
/// Counters of strong table locks; tables share one by their number's low bits.
const STRONG_COUNT: usize = 256;
/// A waiter looks at its cancel token this often.
const CANCEL_POLL: Duration = Duration::from_millis(3);
/// Bytes charged for one slot of a shard's hash table.
const ENTRY_BYTES: usize = size_of::<(u64, Entry)>() + 1;
/// An owner's list of locks is charged in steps of this many.
const HELD_STEP: usize = 4096;
/// Keys that differ only in these bits of their last byte lie side by side in one shard's table, so that a
/// transaction that takes them in order stays in the cache.
const NEIGHBOUR_MASK: u8 = 31;
/// A shard's table above this size is given back when it becomes empty.
const KEPT_BYTES: usize = 16 << 10;

/// What a lock protects.
#[derive(Clone, Copy, Debug)]
enum LockTarget<'a> {
    Row { tree: TreeId, key: &'a [u8] },
    Table(ObjectId),
}

impl std::fmt::Display for LockTarget<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LockTarget::Table(table) => write!(f, "relation {table}"),
            LockTarget::Row { tree, key } => {
                write!(f, "key \\x")?;
                for byte in key.iter().take(32) {
                    write!(f, "{byte:02x}")?;
                }
                write!(f, " of tree {tree}")
            }
        }
    }
}

/// A lock that its owner must give back.
#[derive(Clone, Copy, Debug)]
struct HeldLock {
    hash: u64,
    /// The table, for a table lock.
    table: ObjectId,
    /// The modes that this request added.
    modes: ModeSet,
    kind: HeldKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeldKind {
    /// In the lock table.
    Listed,
    /// With the owner, unless a strong locker moved it into the lock table.
    Fast,
    /// In the lock table, and counted as strong.
    Strong,
}

/// The locks of one transaction in the order they were taken; reused by the next.
#[derive(Debug)]
pub struct HeldLocks {
    locks: Vec<HeldLock>,
    memory: Reservation,
}

impl HeldLocks {
    /// None yet.
    pub fn new(memory: &Arc<MemoryAccount>) -> HeldLocks {
        HeldLocks { locks: Vec::new(), memory: memory.reservation() }
    }

    /// How many lock requests were granted: a mark for [`LockManager::release_to`].
    pub fn len(&self) -> usize {
        self.locks.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.locks.is_empty()
    }

    /// Makes room for one more, so that recording a granted lock cannot fail.
    fn reserve_one(&mut self) -> Result<()> {
        if self.locks.len() == self.locks.capacity() {
            let more = if self.locks.is_empty() { 8 } else { self.locks.len().min(HELD_STEP * 16) };
            self.memory.grow(more * size_of::<HeldLock>())?;
            self.locks.reserve_exact(more);
        }
        Ok(())
    }

    fn shrink(&mut self) {
        if self.locks.is_empty() && self.locks.capacity() > HELD_STEP {
            self.locks = Vec::new();
            self.memory.resize(0).expect("shrinking a reservation never fails");
        }
    }
}

/// Somebody who holds locks: one transaction at a time.
#[derive(Debug)]
pub struct LockOwner {
    id: u32,
    granted: Mutex<bool>,
    wake: Condvar,
    /// Weak table locks: they never meet each other, so no table needs to know of them.
    fast: Mutex<SmallVec<[(ObjectId, ModeSet); 8]>>,
}

impl LockOwner {
    /// The number in deadlock reports.
    pub fn id(&self) -> u32 {
        self.id
    }
}

#[derive(Debug)]
struct Waiter {
    owner: Arc<LockOwner>,
    mode: Mode,
}

#[derive(Debug, Default)]
struct Queue {
    holders: SmallVec<[(u32, ModeSet); 4]>,
    waiters: VecDeque<Waiter>,
}

impl Queue {
    fn held_by(&self, owner: u32) -> ModeSet {
        self.holders
            .iter()
            .find(|(holder, _)| *holder == owner)
            .map_or(ModeSet::default(), |(_, modes)| *modes)
    }

    fn meets_holder(&self, owner: u32, mode: Mode) -> bool {
        self.holders.iter().any(|(holder, modes)| *holder != owner && mode.conflicts_with(*modes))
    }

    fn add_holder(&mut self, owner: u32, mode: Mode) {
        match self.holders.iter_mut().find(|(holder, _)| *holder == owner) {
            Some((_, modes)) => modes.insert(mode.set()),
            None => self.holders.push((owner, mode.set())),
        }
    }

    /// Grants whoever meets neither a holder nor a waiter that stays before it.
    fn grant_waiters(&mut self) {
        let mut index = 0;
        while index < self.waiters.len() {
            let waiter = &self.waiters[index];
            let (id, mode) = (waiter.owner.id, waiter.mode);
            let waits = self.meets_holder(id, mode)
                || self.waiters.iter().take(index).any(|earlier| mode.conflicts_with(earlier.mode.set()));
            if waits {
                index += 1;
            } else {
                self.grant(index);
            }
        }
    }

    fn grant(&mut self, index: usize) {
        let waiter = self.waiters.remove(index).expect("the caller found it there");
        self.add_holder(waiter.owner.id, waiter.mode);
        *waiter.owner.granted.lock() = true;
        waiter.owner.wake.notify_one();
    }
}

/// The state of one lock: most have a single holder and nobody waiting.
#[derive(Debug)]
enum Entry {
    One { owner: u32, modes: ModeSet },
    Many(Box<Queue>),
}

impl Entry {
    /// Turns a single holder into a queue.
    fn queue(&mut self) -> &mut Queue {
        if let Entry::One { owner, modes } = *self {
            let mut queue = Box::new(Queue::default());
            queue.holders.push((owner, modes));
            *self = Entry::Many(queue);
        }
        match self {
            Entry::Many(queue) => queue,
            Entry::One { .. } => unreachable!("it was turned into a queue above"),
        }
    }
}

/// The keys are hashes already.
#[derive(Clone, Default)]
struct KeyIsHash(u64);

impl Hasher for KeyIsHash {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only 64-bit hashes are keys");
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Clone, Default)]
struct BuildKeyIsHash;

impl BuildHasher for BuildKeyIsHash {
    type Hasher = KeyIsHash;
    fn build_hasher(&self) -> KeyIsHash {
        KeyIsHash(0)
    }
}

struct Shard {
    entries: HashMap<u64, Entry, BuildKeyIsHash>,
    memory: Reservation,
}

impl Shard {
    /// Charges for the next doubling before it happens.
    fn reserve_one(&mut self) -> Result<()> {
        if self.entries.len() == self.entries.capacity() {
            let bytes = (self.entries.allocation_size() * 2).max(16 * ENTRY_BYTES);
            self.memory.resize(bytes)?;
        }
        Ok(())
    }

    fn remove(&mut self, hash: u64) {
        self.entries.remove(&hash);
        if self.entries.is_empty() && self.memory.bytes() > KEPT_BYTES {
            self.entries = HashMap::default();
            self.memory.resize(0).expect("shrinking a reservation never fails");
        }
    }
}

/// What a request found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Granted,
    /// The owner's modes cover it already.
    Held,
    Wait,
}

/// Who waits for which lock. Entries outlive the wait by a moment: the queue itself decides.
#[derive(Default)]
struct WaitGraph {
    waiting: HashMap<u32, WaitRecord>,
}

struct WaitRecord {
    hash: u64,
    mode: Mode,
    target: String,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockStatistics {
    /// Requests that had to wait.
    pub waits: u64,
    /// Requests refused with 40P01.
    pub deadlocks: u64,
    /// Waiters let past another to undo a cycle.
    pub reorders: u64,
}

/// The lock table. Threads: any; an owner and its held locks belong to one thread at a time.
pub struct LockManager {
    hasher: foldhash::quality::RandomState,
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    graph: Mutex<WaitGraph>,
    owners: RwLock<Vec<Arc<LockOwner>>>,
    /// Holders of, and waiters for, strong modes: while it is above zero weak locks go to the lock table.
    strong: Box<[AtomicU32]>,
    waits: AtomicU64,
    deadlocks: AtomicU64,
    reorders: AtomicU64,
}

impl std::fmt::Debug for LockManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockManager").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl LockManager {
    /// An empty lock table whose growth is charged to `memory`.
    pub fn new(memory: &Arc<MemoryAccount>) -> LockManager {
        let shard = || {
            CachePadded::new(Mutex::new(Shard { entries: HashMap::default(), memory: memory.reservation() }))
        };
        LockManager {
            hasher: foldhash::quality::RandomState::default(),
            shards: (0..SHARD_COUNT).map(|_| shard()).collect(),
            graph: Mutex::default(),
            owners: RwLock::new(Vec::new()),
            strong: (0..STRONG_COUNT).map(|_| AtomicU32::new(0)).collect(),
            waits: AtomicU64::new(0),
            deadlocks: AtomicU64::new(0),
            reorders: AtomicU64::new(0),
        }
    }

    /// A new owner; it lives as long as the manager, so callers keep and reuse it.
    pub fn add_owner(&self) -> Arc<LockOwner> {
        let mut owners = self.owners.write();
        let owner = Arc::new(LockOwner {
            id: owners.len() as u32 + 1,
            granted: Mutex::new(false),
            wake: Condvar::new(),
            fast: Mutex::default(),
        });
        owners.push(Arc::clone(&owner));
        owner
    }

    /// Counters since the start.
    pub fn statistics(&self) -> LockStatistics {
        LockStatistics {
            waits: self.waits.load(Ordering::Relaxed),
            deadlocks: self.deadlocks.load(Ordering::Relaxed),
            reorders: self.reorders.load(Ordering::Relaxed),
        }
    }

    /// Requests that wait now.
    pub fn waiting_count(&self) -> usize {
        self.graph.lock().waiting.len()
    }

    /// Locks a key of a tree, waiting as long as it takes.
    /// # Errors
    /// `40P01` at once when waiting would close a cycle; `57014` while waiting; `53200`.
    pub fn lock_row(
        &self,
        owner: &Arc<LockOwner>,
        held: &mut HeldLocks,
        (tree, key): (TreeId, &[u8]),
        mode: RowLockMode,
        cancel: &CancelToken,
    ) -> Result<LockOutcome> {
        let target = LockTarget::Row { tree, key };
        let request = Request {
            hash: self.hash(target),
            table: ObjectId(0),
            mode: mode.into(),
            kind: HeldKind::Listed,
        };
        self.lock(owner, held, request, target, cancel)
    }

    /// Locks a key of a tree if that needs no waiting; false: somebody else is in the way.
    /// # Errors
    /// `53200`.
    pub fn try_lock_row(
        &self,
        owner: &Arc<LockOwner>,
        held: &mut HeldLocks,
        (tree, key): (TreeId, &[u8]),
        mode: RowLockMode,
    ) -> Result<bool> {
        let hash = self.hash(LockTarget::Row { tree, key });
        let request = Request { hash, table: ObjectId(0), mode: mode.into(), kind: HeldKind::Listed };
        held.reserve_one()?;
        Ok(self.request(owner, held, request)? != Answer::Wait)
    }

    /// Locks a table, waiting as long as it takes.
    /// # Errors
    /// As [`LockManager::lock_row`].
    pub fn lock_table(
        &self,
        owner: &Arc<LockOwner>,
        held: &mut HeldLocks,
        table: ObjectId,
        mode: TableLockMode,
        cancel: &CancelToken,
    ) -> Result<LockOutcome> {
        let target = LockTarget::Table(table);
        let mode = Mode::from(mode);
        if mode.is_weak() && self.lock_fast(owner, held, table, mode)? {
            return Ok(LockOutcome::Granted);
        }
        let kind = if mode.is_strong() { HeldKind::Strong } else { HeldKind::Listed };
        let request = Request { hash: self.hash(target), table, mode, kind };
        if kind != HeldKind::Strong {
            return self.lock(owner, held, request, target, cancel);
        }
        self.strong_counter(table).fetch_add(1, Ordering::SeqCst);
        let before = held.len();
        let result = self.move_fast_locks(table, request.hash).and_then(|()| {
            self.lock(owner, held, request, target, cancel) //
        });
        if held.len() == before {
            // Refused, or covered by a lock that is counted already.
            self.strong_counter(table).fetch_sub(1, Ordering::SeqCst);
        }
        result
    }

    /// Gives back every lock taken after `mark` (a former `held.len()`), newest first.
    pub fn release_to(&self, owner: &LockOwner, held: &mut HeldLocks, mark: usize) {
        while held.locks.len() > mark {
            let Some(lock) = held.locks.pop() else { break };
            match lock.kind {
                HeldKind::Fast => {
                    let mut fast = owner.fast.lock();
                    match fast.iter().position(|(table, _)| *table == lock.table) {
                        Some(index) => {
                            fast[index].1.remove(lock.modes);
                            if fast[index].1.is_empty() {
                                fast.swap_remove(index);
                            }
                        }
                        None => {
                            drop(fast);
                            self.release_listed(owner.id, lock.hash, lock.modes);
                        }
                    }
                }
                HeldKind::Listed => self.release_listed(owner.id, lock.hash, lock.modes),
                HeldKind::Strong => {
                    self.release_listed(owner.id, lock.hash, lock.modes);
                    self.strong_counter(lock.table).fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
        held.shrink();
    }

    fn hash(&self, target: LockTarget<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        match target {
            LockTarget::Row { tree, key } => {
                hasher.write_u64(u64::from(tree.0) << 1);
                let Some((last, head)) = key.split_last() else { return hasher.finish() };
                hasher.write(head);
                hasher.write_u8(last & !NEIGHBOUR_MASK);
                let neighbour = u64::from(last & NEIGHBOUR_MASK);
                // The high bits are the hash table's tags: neighbours differ there as well.
                return (hasher.finish() & !u64::from(NEIGHBOUR_MASK) | neighbour) ^ neighbour << 57;
            }
            LockTarget::Table(table) => hasher.write_u64(u64::from(table.0) << 1 | 1),
        }
        hasher.finish()
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> 40) as usize % SHARD_COUNT]
    }

    fn strong_counter(&self, table: ObjectId) -> &AtomicU32 {
        &self.strong[table.0 as usize % STRONG_COUNT]
    }

    /// Keeps a weak lock with its owner; false while somebody holds or wants a strong mode of the table.
    fn lock_fast(
        &self,
        owner: &LockOwner,
        held: &mut HeldLocks,
        table: ObjectId,
        mode: Mode,
    ) -> Result<bool> {
        held.reserve_one()?;
        let mut fast = owner.fast.lock();
        // Read inside the mutex: a strong locker counts first and takes this mutex after.
        if self.strong_counter(table).load(Ordering::SeqCst) != 0 {
            return Ok(false);
        }
        match fast.iter_mut().find(|(held_table, _)| *held_table == table) {
            Some((_, modes)) if mode.is_covered_by(*modes) => return Ok(true),
            Some((_, modes)) => modes.insert(mode.set()),
            None => fast.push((table, mode.set())),
        }
        drop(fast);
        let hash = self.hash(LockTarget::Table(table));
        held.locks.push(HeldLock { hash, table, modes: mode.set(), kind: HeldKind::Fast });
        Ok(true)
    }

    /// Moves every owner's weak locks on `table` into the lock table, where the strong request will meet them.
    fn move_fast_locks(&self, table: ObjectId, hash: u64) -> Result<()> {
        for owner in self.owners.read().iter() {
            let mut fast = owner.fast.lock();
            let Some(index) = fast.iter().position(|(held_table, _)| *held_table == table) else { continue };
            let mut shard = self.shard(hash).lock();
            shard.reserve_one()?;
            let (_, modes) = fast.swap_remove(index);
            match shard.entries.entry(hash) {
                hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(Entry::One { owner: owner.id, modes });
                }
                hash_map::Entry::Occupied(mut occupied) => {
                    let queue = occupied.get_mut().queue();
                    match queue.holders.iter_mut().find(|(holder, _)| *holder == owner.id) {
                        Some((_, held)) => held.insert(modes),
                        None => queue.holders.push((owner.id, modes)),
                    }
                }
            }
        }
        Ok(())
    }

    fn lock(
        &self,
        owner: &Arc<LockOwner>,
        held: &mut HeldLocks,
        request: Request,
        target: LockTarget<'_>,
        cancel: &CancelToken,
    ) -> Result<LockOutcome> {
        held.reserve_one()?;
        match self.request(owner, held, request)? {
            Answer::Granted | Answer::Held => Ok(LockOutcome::Granted),
            Answer::Wait => self.wait(owner, held, request, target, cancel),
        }
    }

    /// Grants what can be granted at once.
    fn request(&self, owner: &LockOwner, held: &mut HeldLocks, request: Request) -> Result<Answer> {
        let mut shard = self.shard(request.hash).lock();
        shard.reserve_one()?;
        let answer = match shard.entries.entry(request.hash) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(Entry::One { owner: owner.id, modes: request.mode.set() });
                Answer::Granted
            }
            hash_map::Entry::Occupied(mut occupied) => occupied.get_mut().request(owner.id, request.mode),
        };
        if answer == Answer::Granted {
            held.locks.push(request.held());
        }
        Ok(answer)
    }

    fn wait(
        &self,
        owner: &Arc<LockOwner>,
        held: &mut HeldLocks,
        request: Request,
        target: LockTarget<'_>,
        cancel: &CancelToken,
    ) -> Result<LockOutcome> {
        let mut graph = self.graph.lock();
        *owner.granted.lock() = false;
        {
            let mut shard = self.shard(request.hash).lock();
            let Some(entry) = shard.entries.get_mut(&request.hash) else {
                drop(shard);
                drop(graph);
                return self.lock(owner, held, request, target, cancel);
            };
            if entry.request(owner.id, request.mode) == Answer::Granted {
                held.locks.push(request.held());
                return Ok(LockOutcome::GrantedAfterWait);
            }
            let queue = entry.queue();
            let waiter = Waiter { owner: Arc::clone(owner), mode: request.mode };
            if queue.held_by(owner.id).is_empty() {
                queue.waiters.push_back(waiter);
            } else {
                // Whoever holds the lock already goes first: those behind wait for it anyway.
                queue.waiters.push_front(waiter);
            }
        }
        self.waits.fetch_add(1, Ordering::Relaxed);
        let record = WaitRecord { hash: request.hash, mode: request.mode, target: target.to_string() };
        graph.waiting.insert(owner.id, record);
        if let Err(deadlock) = self.resolve_cycles(&graph, owner.id) {
            let granted = !self.leave_queue(owner.id, request.hash);
            graph.waiting.remove(&owner.id);
            if !granted {
                self.deadlocks.fetch_add(1, Ordering::Relaxed);
                return Err(deadlock);
            }
        } else {
            drop(graph);
            let cancelled = self.sleep(owner, request.hash, cancel);
            self.graph.lock().waiting.remove(&owner.id);
            cancelled?;
        }
        held.locks.push(request.held());
        Ok(LockOutcome::GrantedAfterWait)
    }

    /// Sleeps until granted; an error when cancelled first, and then nothing waits any more.
    fn sleep(&self, owner: &LockOwner, hash: u64, cancel: &CancelToken) -> Result<()> {
        loop {
            {
                let mut granted = owner.granted.lock();
                if !*granted {
                    owner.wake.wait_for(&mut granted, CANCEL_POLL);
                }
                if *granted {
                    return Ok(());
                }
            }
            if let Err(cancelled) = cancel.check() {
                return if self.leave_queue(owner.id, hash) { Err(cancelled) } else { Ok(()) };
            }
        }
    }

    /// Takes a waiter out of the queue and grants those who waited for it; false: it was granted meanwhile.
    fn leave_queue(&self, owner: u32, hash: u64) -> bool {
        let mut shard = self.shard(hash).lock();
        let Some(Entry::Many(queue)) = shard.entries.get_mut(&hash) else { return false };
        let Some(index) = queue.waiters.iter().position(|waiter| waiter.owner.id == owner) else {
            return false;
        };
        queue.waiters.remove(index);
        queue.grant_waiters();
        true
    }

    fn release_listed(&self, owner: u32, hash: u64, modes: ModeSet) {
        let mut shard = self.shard(hash).lock();
        let gone = match shard.entries.get_mut(&hash) {
            None => false,
            Some(Entry::One { owner: holder, modes: held }) => {
                assert_eq!(*holder, owner, "a lock is released by its holder");
                held.remove(modes);
                held.is_empty()
            }
            Some(Entry::Many(queue)) => {
                if let Some(index) = queue.holders.iter().position(|(holder, _)| *holder == owner) {
                    queue.holders[index].1.remove(modes);
                    if queue.holders[index].1.is_empty() {
                        queue.holders.swap_remove(index);
                    }
                }
                queue.grant_waiters();
                queue.holders.is_empty() && queue.waiters.is_empty()
            }
        };
        if gone {
            shard.remove(hash);
        }
    }

    /// Undoes soft cycles through `start`; an error describes a cycle that cannot be undone.
    fn resolve_cycles(&self, graph: &WaitGraph, start: u32) -> Result<()> {
        // Every round lets one waiter past, so there are at most as many rounds as waiters.
        for _ in 0..=graph.waiting.len() {
            let Some(cycle) = find_cycle(start, |owner, out| self.blockers(graph, owner, out)) else {
                return Ok(());
            };
            let past =
                cycle.iter().filter(|wait| wait.blocker.soft).any(|wait| self.let_past(graph, wait.waiter));
            if !past {
                return Err(deadlock_error(graph, &cycle));
            }
            self.reorders.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whom `owner` waits for.
    fn blockers(&self, graph: &WaitGraph, owner: u32, out: &mut Vec<Blocker>) {
        let Some(record) = graph.waiting.get(&owner) else { return };
        let shard = self.shard(record.hash).lock();
        let Some(Entry::Many(queue)) = shard.entries.get(&record.hash) else { return };
        let Some(position) = queue.waiters.iter().position(|waiter| waiter.owner.id == owner) else { return };
        for (holder, modes) in &queue.holders {
            if *holder != owner && record.mode.conflicts_with(*modes) {
                out.push(Blocker { owner: *holder, soft: false });
            }
        }
        for earlier in queue.waiters.iter().take(position) {
            if record.mode.conflicts_with(earlier.mode.set()) {
                out.push(Blocker { owner: earlier.owner.id, soft: true });
            }
        }
    }

    /// Grants a waiter that only the order of the queue keeps waiting.
    fn let_past(&self, graph: &WaitGraph, waiter: u32) -> bool {
        let Some(record) = graph.waiting.get(&waiter) else { return false };
        let mut shard = self.shard(record.hash).lock();
        let Some(Entry::Many(queue)) = shard.entries.get_mut(&record.hash) else { return false };
        let Some(index) = queue.waiters.iter().position(|other| other.owner.id == waiter) else {
            return false;
        };
        if queue.meets_holder(waiter, record.mode) {
            return false;
        }
        queue.grant(index);
        true
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Request {
    hash: u64,
    table: ObjectId,
    mode: Mode,
    kind: HeldKind,
}

impl Request {
    fn held(&self) -> HeldLock {
        HeldLock { hash: self.hash, table: self.table, modes: self.mode.set(), kind: self.kind }
    }
}

impl Entry {
    /// Grants `mode` to `owner` where nobody is in the way.
    fn request(&mut self, owner: u32, mode: Mode) -> Answer {
        match self {
            Entry::One { owner: holder, modes } if *holder == owner => {
                if mode.is_covered_by(*modes) {
                    return Answer::Held;
                }
                modes.insert(mode.set());
                Answer::Granted
            }
            Entry::One { modes, .. } if mode.conflicts_with(*modes) => Answer::Wait,
            Entry::One { .. } => {
                self.queue().add_holder(owner, mode);
                Answer::Granted
            }
            Entry::Many(queue) => {
                let own = queue.held_by(owner);
                if mode.is_covered_by(own) {
                    return Answer::Held;
                }
                // First come, first served: but whoever holds the lock already need not stand in line.
                let behind = own.is_empty()
                    && queue.waiters.iter().any(|waiter| mode.conflicts_with(waiter.mode.set()));
                if behind || queue.meets_holder(owner, mode) {
                    return Answer::Wait;
                }
                queue.add_holder(owner, mode);
                Answer::Granted
            }
        }
    }
}

fn deadlock_error(graph: &WaitGraph, cycle: &[Wait]) -> Error {
    let lines: Vec<String> = cycle
        .iter()
        .filter_map(|wait| {
            let record = graph.waiting.get(&wait.waiter)?;
            Some(format!(
                "Transaction {} waits for {} on {}; blocked by transaction {}.",
                wait.waiter,
                record.mode.name(),
                record.target,
                wait.blocker.owner
            ))
        })
        .collect();
    Error::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
        .detail(lines.join("\n"))
        .hint("Run the transaction again; take locks in the same order everywhere.")
}

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
//! only a request for a strong mode looks there (`LockOwner::fast`). Consecutive keys that a transaction adds are
//! one entry (`lock_run`), very many that come in no order are a set (`lock_set`), and only a request for one of their keys
//! makes an entry of that key.
//!
//! Order of mutexes: graph → an owner's fast locks → a stripe of runs → one shard. Who waits sleeps on the event count of its
//! cancel words, under none of them: grants and cancels move it alike.

use crate::common::cancel::CancelToken;
use crate::common::clock::Clock;
use crate::common::ids::{AdvisoryKey, ObjectId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::common::sync::{Arc, Mutex, RwLock};
use crate::error::Result;
use crate::transaction::held_locks::{HeldLock, HeldLocks, LockMark};
use crate::transaction::lock_advisory::AdvisoryHolds;
use crate::transaction::lock_modes::{Mode, ModeSet};
use crate::transaction::lock_run::{LockRuns, run_number};
use crate::transaction::lock_table::{Answer, Entry, Place, Shard};
use crate::transaction::lock_view::ObjectNames;
use crate::transaction::lock_wait::WaitGraph;
use crate::transaction::types::{LockOutcome, RowLockMode, TableLockMode};
use crossbeam::utils::CachePadded;
use hashbrown::hash_map;
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

const SHARD_COUNT: usize = 64;
/// Counters of strong table locks; tables share one by their number's low bits.
const STRONG_COUNT: usize = 256;
/// Keys that differ only in these bits of their last byte lie side by side in one shard's table, so that a
/// transaction that takes them in order stays in the cache.
const NEIGHBOUR_MASK: u8 = 31;

/// What a lock protects.
#[derive(Clone, Copy, Debug)]
pub(super) enum LockTarget<'a> {
    Row { tree: TreeId, key: &'a [u8] },
    Table(ObjectId),
    Advisory(AdvisoryKey),
}

/// Somebody who holds locks: one transaction at a time. Owners share no cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct LockOwner {
    pub(super) id: u32,
    /// Whether the lock that it waits for, or waited for last, was granted.
    pub(super) granted: AtomicBool,
    /// The session whose transaction it is, for people who look at locks.
    pub(super) session: AtomicU64,
    /// Weak table locks: they never meet each other, so no table needs to know of them.
    fast: Mutex<SmallVec<[(ObjectId, ModeSet); 8]>>,
    /// See `lock_advisory`.
    pub(super) advisory: Mutex<AdvisoryHolds>,
    /// Advisory locks of the transaction.
    pub(super) advisory_count: AtomicU32,
    /// See `lock_beside`.
    pub(super) beside: Mutex<HeldLocks>,
    pub(super) beside_count: AtomicU32,
}

impl LockOwner {
    /// The number in deadlock reports.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Says whose owner it is.
    pub(super) fn set_session(&self, session: u64) {
        self.session.store(session, Ordering::Relaxed);
    }

    /// What it holds now, `held` being its list; all that is locked from here on is given back by a return to it.
    pub(super) fn mark_to_return(&self, held: &HeldLocks) -> LockMark {
        held.mark_to_return(self.advisory_count.load(Ordering::Relaxed))
    }

    /// What it holds now, `held` being its list; what comes into a set that there is now stays in it.
    pub(super) fn mark(&self, held: &HeldLocks) -> LockMark {
        held.mark(self.advisory_count.load(Ordering::Relaxed))
    }

    pub(super) fn fast_locks(&self) -> SmallVec<[(ObjectId, ModeSet); 8]> {
        self.fast.lock().clone()
    }
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
    /// Requests that `lock_timeout` ended.
    pub timeouts: u64,
}

#[derive(Debug, Default)]
pub(super) struct LockCounters {
    pub(super) waits: AtomicU64,
    pub(super) deadlocks: AtomicU64,
    pub(super) reorders: AtomicU64,
    pub(super) timeouts: AtomicU64,
}

/// The lock table. Threads: any; an owner and its held locks belong to one thread at a time.
pub struct LockManager {
    hasher: foldhash::quality::RandomState,
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    pub(super) graph: Mutex<WaitGraph>,
    /// How many want to know when transactions have ended.
    pub(super) listeners: AtomicU32,
    pub(super) owners: RwLock<Vec<Arc<LockOwner>>>,
    /// Holders of, and waiters for, strong modes: while it is above zero weak locks go to the lock table.
    strong: Box<[AtomicU32]>,
    pub(super) runs: LockRuns,
    pub(super) counters: LockCounters,
    pub(super) memory: Arc<MemoryAccount>,
    pub(super) clock: Arc<dyn Clock>,
    /// How people call what is locked.
    pub(super) names: OnceLock<ObjectNames>,
    /// Owners of sessions that ended.
    pub(super) free_owners: Mutex<Vec<Arc<LockOwner>>>,
}

impl std::fmt::Debug for LockManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockManager").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl LockManager {
    /// An empty lock table whose growth is charged to `memory`.
    pub fn new(memory: &Arc<MemoryAccount>, clock: Arc<dyn Clock>) -> LockManager {
        let shard = || CachePadded::new(Mutex::new(Shard::new(memory)));
        LockManager {
            hasher: foldhash::quality::RandomState::default(),
            shards: (0..SHARD_COUNT).map(|_| shard()).collect(),
            graph: Mutex::default(),
            listeners: AtomicU32::new(0),
            owners: RwLock::new(Vec::new()),
            strong: (0..STRONG_COUNT).map(|_| AtomicU32::new(0)).collect(),
            runs: LockRuns::default(),
            counters: LockCounters::default(),
            memory: Arc::clone(memory),
            clock,
            names: OnceLock::new(),
            free_owners: Mutex::default(),
        }
    }

    /// Says how people call what is locked; the first to say so is asked.
    pub fn set_names(&self, names: ObjectNames) {
        let _already_said = self.names.set(names);
    }

    /// A new owner; it lives as long as the manager, so callers keep and reuse it.
    pub fn add_owner(&self) -> Arc<LockOwner> {
        let mut owners = self.owners.write();
        let owner = Arc::new(LockOwner {
            id: owners.len() as u32 + 1,
            granted: AtomicBool::new(false),
            session: AtomicU64::new(0),
            fast: Mutex::default(),
            advisory: Mutex::default(),
            advisory_count: AtomicU32::new(0),
            beside: Mutex::new(HeldLocks::new(&self.memory)),
            beside_count: AtomicU32::new(0),
        });
        owners.push(Arc::clone(&owner));
        owner
    }

    /// The owner of this number.
    pub(super) fn owner(&self, id: u32) -> Option<Arc<LockOwner>> {
        self.owners.read().get((id as usize).checked_sub(1)?).cloned()
    }

    /// Whose owner it is; 0 where nobody said so.
    pub(super) fn session_of(&self, owner: u32) -> u64 {
        let owners = self.owners.read();
        owners.get(owner as usize - 1).map_or(0, |owner| owner.session.load(Ordering::Relaxed))
    }

    /// All owners; number n is the one before place n.
    pub(super) fn owners(&self) -> Vec<Arc<LockOwner>> {
        self.owners.read().clone()
    }

    /// Counters since the start.
    pub fn statistics(&self) -> LockStatistics {
        LockStatistics {
            waits: self.counters.waits.load(Ordering::Relaxed),
            deadlocks: self.counters.deadlocks.load(Ordering::Relaxed),
            reorders: self.counters.reorders.load(Ordering::Relaxed),
            timeouts: self.counters.timeouts.load(Ordering::Relaxed),
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
        let request =
            Request { hash: self.hash(target), mode: mode.into(), kind: RequestKind::row(tree, key) };
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
        let request = Request { hash, mode: mode.into(), kind: RequestKind::row(tree, key) };
        self.try_lock(owner, held, request)
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
        let hash = self.hash(target);
        if !mode.is_strong() {
            let request = Request { hash, mode, kind: RequestKind::Plain };
            return self.lock(owner, held, request, target, cancel);
        }
        self.counted(held, table, |held| {
            self.move_fast_locks(table, hash)?;
            let request = Request { hash, mode, kind: RequestKind::StrongTable(table) };
            self.lock(owner, held, request, target, cancel)
        })
    }

    /// Locks a table if that needs no waiting; false: somebody else is in the way.
    /// # Errors
    /// `53200`.
    pub fn try_lock_table(
        &self,
        owner: &LockOwner,
        held: &mut HeldLocks,
        table: ObjectId,
        mode: TableLockMode,
    ) -> Result<bool> {
        let wanted = Mode::from(mode);
        if wanted.is_strong() {
            return self.try_lock_table_strongly(owner, held, table, mode);
        }
        if wanted.is_weak() && self.lock_fast(owner, held, table, wanted)? {
            return Ok(true);
        }
        let hash = self.hash(LockTarget::Table(table));
        self.try_lock(owner, held, Request { hash, mode: wanted, kind: RequestKind::Plain })
    }

    /// The same for a mode that weak ones meet.
    /// # Errors
    /// `53200`.
    pub(super) fn try_lock_table_strongly(
        &self,
        owner: &LockOwner,
        held: &mut HeldLocks,
        table: ObjectId,
        mode: TableLockMode,
    ) -> Result<bool> {
        let hash = self.hash(LockTarget::Table(table));
        held.reserve_one()?;
        let answer = self.counted(held, table, |held| {
            self.move_fast_locks(table, hash)?;
            let request = Request { hash, mode: Mode::from(mode), kind: RequestKind::StrongTable(table) };
            self.request(owner, held, request)
        })?;
        Ok(answer != Answer::Wait)
    }

    /// Runs a request for a mode of a table that weak ones meet, counted while it runs and while the lock is held.
    fn counted<R>(
        &self,
        held: &mut HeldLocks,
        table: ObjectId,
        request: impl FnOnce(&mut HeldLocks) -> Result<R>,
    ) -> Result<R> {
        self.strong_counter(table).fetch_add(1, Ordering::SeqCst);
        let before = held.len();
        let result = request(held);
        if held.len() == before {
            // Refused, or covered by a lock that is counted already.
            self.strong_counter(table).fetch_sub(1, Ordering::SeqCst);
        }
        result
    }

    /// Gives back every lock taken after `mark`, newest first.
    pub fn release_to(&self, owner: &LockOwner, held: &mut HeldLocks, mark: LockMark) {
        while let Some(lock) = held.pop_above(mark) {
            match lock {
                HeldLock::Fast { hash, modes, table } => {
                    let mut fast = owner.fast.lock();
                    match fast.iter().position(|(held_table, _)| *held_table == table) {
                        Some(index) => {
                            fast[index].1.remove(modes);
                            if fast[index].1.is_empty() {
                                fast.swap_remove(index);
                            }
                        }
                        None => {
                            drop(fast);
                            self.release_listed(owner.id, hash, modes);
                        }
                    }
                }
                HeldLock::Listed { hash, modes } => self.release_listed(owner.id, hash, modes),
                HeldLock::Strong { hash, modes, table } => {
                    self.release_listed(owner.id, hash, modes);
                    self.strong_counter(table).fetch_sub(1, Ordering::SeqCst);
                }
                HeldLock::Run { tree, first } => self.cut_run(owner, tree, first),
                HeldLock::Set { tree, mode } => {
                    let keys = self.release_set(owner, tree, mode, held.len());
                    held.note_set_gone(keys);
                }
            }
        }
        if let Some((tree, end)) = held.settle(mark) {
            self.cut_run(owner, tree, end);
        }
        if owner.advisory_count.load(Ordering::Relaxed) > mark.advisory {
            self.release_advisory_to(owner, mark.advisory);
        }
        if !mark.keeps_beside && owner.beside_count.load(Ordering::Relaxed) > 0 {
            self.release_beside(owner);
        }
    }

    pub(super) fn hash(&self, target: LockTarget<'_>) -> u64 {
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
            LockTarget::Advisory(key) => {
                // No tree and no table has this number.
                hasher.write_u64(u64::MAX);
                let (kind, number) = key.numbers();
                hasher.write_u8(kind);
                hasher.write_u64(number);
            }
        }
        hasher.finish()
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = &Mutex<Shard>> {
        self.shards.iter().map(|shard| &**shard)
    }

    pub(super) fn shard(&self, hash: u64) -> &Mutex<Shard> {
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
        held.push(HeldLock::Fast { hash, modes: mode.set(), table });
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
            shard.add_holder(hash, owner.id, modes, Place::default());
        }
        Ok(())
    }

    pub(super) fn lock(
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

    /// As `lock`, without waiting; false: somebody else is in the way.
    pub(super) fn try_lock(&self, owner: &LockOwner, held: &mut HeldLocks, request: Request) -> Result<bool> {
        held.reserve_one()?;
        Ok(self.request(owner, held, request)? != Answer::Wait)
    }

    /// Grants what can be granted at once.
    fn request(&self, owner: &LockOwner, held: &mut HeldLocks, request: Request) -> Result<Answer> {
        let mut shard = self.shard(request.hash).lock();
        shard.reserve_one()?;
        if let RequestKind::Row { tree, number } = request.kind
            && self.runs.may_hold(tree)
        {
            drop(shard);
            return self.request_beside_runs(owner, held, request, (tree, number));
        }
        let answer = grant(&mut shard, owner, request);
        if answer == Answer::Granted {
            held.push(request.held());
        }
        Ok(answer)
    }

    /// As `request`, for a key of a tree in which there are runs or sets.
    fn request_beside_runs(
        &self,
        owner: &LockOwner,
        held: &mut HeldLocks,
        request: Request,
        (tree, number): (TreeId, Option<u64>),
    ) -> Result<Answer> {
        // The stripe stays locked until the request is listed: no run reserves the key meanwhile.
        let mut runs = self.runs.stripe(tree).lock();
        let mut shard = self.shard(request.hash).lock();
        shard.reserve_one()?;
        if let Some(number) = number
            && let Some(run) = runs.holding(tree, number)
        {
            if run.owner == owner.id && request.mode.is_covered_by(run.mode.set()) {
                return Ok(Answer::Held);
            }
            if run.list(number) {
                shard.add_holder(request.hash, run.owner, run.mode.set(), Place::new(tree, Some(number)));
            }
        }
        if let Some(set) = runs.set_holding(tree, number, request.hash) {
            if set.owner == owner.id && request.mode.is_covered_by(set.mode.set()) {
                return Ok(Answer::Held);
            }
            if set.list(request.hash) {
                shard.add_holder(request.hash, set.owner, set.mode.set(), Place::new(tree, number));
            }
        }
        let answer = grant(&mut shard, owner, request);
        if answer == Answer::Granted {
            held.push(request.held());
        }
        Ok(answer)
    }

    pub(super) fn release_listed(&self, owner: u32, hash: u64, modes: ModeSet) {
        let mut shard = self.shard(hash).lock();
        let gone = match shard.entries.get_mut(&hash) {
            None => false,
            Some(Entry::One { owner: holder, modes: held, .. }) => {
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
                if !is_planted(PlantedFault::WaiterForgotten) {
                    queue.grant_waiters();
                }
                queue.holders.is_empty() && queue.waiters.is_empty()
            }
        };
        if gone {
            shard.remove(hash);
        }
    }
}

fn grant(shard: &mut Shard, owner: &LockOwner, request: Request) -> Answer {
    match shard.entries.entry(request.hash) {
        hash_map::Entry::Vacant(vacant) => {
            vacant.insert(Entry::One { owner: owner.id, modes: request.mode.set(), place: request.place() });
            Answer::Granted
        }
        hash_map::Entry::Occupied(mut occupied) => occupied.get_mut().request(owner.id, request.mode),
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) hash: u64,
    pub(super) mode: Mode,
    pub(super) kind: RequestKind,
}

#[derive(Clone, Copy)]
pub(super) enum RequestKind {
    /// A weak or middling mode of a table, or an advisory lock.
    Plain,
    StrongTable(ObjectId),
    /// A key, with its number where runs can hold it.
    Row {
        tree: TreeId,
        number: Option<u64>,
    },
}

impl RequestKind {
    fn row(tree: TreeId, key: &[u8]) -> RequestKind {
        RequestKind::Row { tree, number: run_number(key) }
    }
}

impl Request {
    fn place(&self) -> Place {
        match self.kind {
            RequestKind::Row { tree, number } => Place::new(tree, number),
            RequestKind::Plain | RequestKind::StrongTable(_) => Place::default(),
        }
    }

    pub(super) fn held(&self) -> HeldLock {
        let (hash, modes) = (self.hash, self.mode.set());
        match self.kind {
            RequestKind::StrongTable(table) => HeldLock::Strong { hash, modes, table },
            RequestKind::Plain | RequestKind::Row { .. } => HeldLock::Listed { hash, modes },
        }
    }
}

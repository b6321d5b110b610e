//! How models are run, and those of the latch, the log's buffer and group commit.

use crate::common::clock::{Clock, SystemClock};
use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::latch::Latch;
use crate::durability::manager::DurabilityManager;
use crate::durability::policy::Durability;
use crate::io::memory::MemoryVfs;
use crate::io::vfs::Vfs;
use crate::wal::entry::{Operation, OperationBuffer};
use crate::wal::frame::FrameKind;
use crate::wal::manager::{Log, LogOptions};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread::{Builder, JoinHandle};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of a thread's stack: encoding a frame and making a file need more than Loom's own.
const STACK_BYTES: usize = 1 << 20;

/// A thread of a model.
pub fn spawn<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    Builder::new().stack_size(STACK_BYTES).spawn(run).expect("a model's thread is no thread of the system")
}

/// Runs a model in every order of steps with at most so many changes from one thread to another that no wait forced;
/// gives the number of orders.
pub fn explore(preemptions_max: Option<usize>, model: fn()) -> u64 {
    let runs = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions_max;
    builder.max_branches = 20_000;
    let count = Arc::clone(&runs);
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The model's first thread has Loom's small stack.
        spawn(model).join().expect("the model holds");
    });
    runs.load(std::sync::atomic::Ordering::Relaxed)
}

struct Guarded(UnsafeCell<u64>);

// SAFETY: the latch keeps those apart who touch it; that it does is what the model checks.
unsafe impl Sync for Guarded {}

/// Whoever holds a page's latch is its pin: readers together, a writer alone, one who only tries is never let in beside.
pub fn a_latch_keeps_readers_and_writers_apart() {
    let shared = Arc::new((Latch::default(), Guarded(UnsafeCell::new(0))));
    let reader = {
        let shared = Arc::clone(&shared);
        spawn(move || {
            let (latch, page) = &*shared;
            latch.lock_shared();
            // SAFETY: under the shared latch.
            let seen = page.0.with(|page| unsafe { *page });
            assert!(seen.is_multiple_of(2), "half a change was seen");
            // SAFETY: locked above.
            unsafe { latch.unlock_shared() };
        })
    };
    let evictor = {
        let shared = Arc::clone(&shared);
        spawn(move || {
            let (latch, page) = &*shared;
            if latch.try_lock_exclusive() {
                // SAFETY: under the exclusive latch.
                page.0.with_mut(|page| unsafe { *page += 2 });
                // SAFETY: locked above.
                unsafe { latch.unlock_exclusive() };
            }
        })
    };
    let (latch, page) = &*shared;
    latch.lock_exclusive();
    // SAFETY: under the exclusive latch.
    page.0.with_mut(|page| unsafe { *page += 1 });
    // SAFETY: as above.
    page.0.with_mut(|page| unsafe { *page += 1 });
    // SAFETY: locked above.
    unsafe { latch.unlock_exclusive() };
    reader.join().expect("the reader's check");
    evictor.join().expect("an evictor does not fail");
}

/// A root and its two children: where the key is, by the root and by each child.
#[derive(Default)]
struct Family {
    root: Latch,
    /// The child that the root names for the key.
    named: AtomicUsize,
    children: [Latch; 2],
    /// Whether a child has the key.
    has_key: [AtomicBool; 2],
}

/// A descent that begins at a copy of the root comes to the child that has the key, while the key moves to another child.
pub fn a_copied_root_leads_to_the_key() {
    let family = Arc::new(Family::default());
    family.has_key[0].store(true, Ordering::Relaxed);
    // The copy, made while nobody else was there.
    let (version, named) = (family.root.version(), family.named.load(Ordering::Relaxed));
    let reader = {
        let family = Arc::clone(&family);
        spawn(move || {
            if family.root.version() == version {
                family.children[named].lock_shared();
                let is_current = family.root.version() == version;
                let has_key = family.has_key[named].load(Ordering::Relaxed);
                // SAFETY: locked above.
                unsafe { family.children[named].unlock_shared() };
                if is_current {
                    assert!(has_key, "the copy led to a child that the key has left");
                    return;
                }
            }
            family.root.lock_shared();
            let named = family.named.load(Ordering::Relaxed);
            family.children[named].lock_shared();
            assert!(family.has_key[named].load(Ordering::Relaxed), "the root led astray");
            // SAFETY: locked above.
            unsafe { family.children[named].unlock_shared() };
            // SAFETY: as above.
            unsafe { family.root.unlock_shared() };
        })
    };
    family.root.lock_exclusive();
    family.children.iter().for_each(Latch::lock_exclusive);
    family.has_key[0].store(false, Ordering::Relaxed);
    family.has_key[1].store(true, Ordering::Relaxed);
    // SAFETY: locked above.
    family.children.iter().for_each(|child| unsafe { child.unlock_exclusive() });
    family.named.store(1, Ordering::Relaxed);
    // SAFETY: locked above.
    unsafe { family.root.unlock_exclusive() };
    reader.join().expect("the reader's check");
}

fn log(volatile: bool) -> Arc<Log> {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
    let options = LogOptions {
        vfs,
        folder: PathBuf::from("/db-wal"),
        database: [1; 16],
        timeline: 1,
        first_segment_bytes: 64 << 10,
        segment_bytes_max: 1 << 20,
        volatile,
        salt_seed: 7,
    };
    Arc::new(Log::create(options, Lsn::ZERO).expect("a log in memory"))
}

fn append(log: &Log, number: u64) -> (Lsn, Lsn) {
    let mut buffer = OperationBuffer::new();
    buffer.push(&Operation::Put { tree: TreeId(16), key: b"k", value: &number.to_be_bytes() });
    log.prepare(buffer.len_bytes()).expect("there is room");
    let position = log.append(FrameKind::Transaction, TransactionId(number), &buffer).expect("there is room");
    (position.start, position.end)
}

/// Two append to the log's buffer while one hands it to the system: no byte twice, none left out.
pub fn frames_lie_side_by_side() {
    let log = log(false);
    let other = {
        let log = Arc::clone(&log);
        spawn(move || append(&log, 2))
    };
    let first = append(&log, 1);
    log.write_to(first.1).expect("memory does not fail");
    assert!(log.written() >= first.1);
    let second = other.join().expect("an append does not fail");
    let (below, above) = if first < second { (first, second) } else { (second, first) };
    assert_eq!((below.0, below.1), (Lsn::ZERO, above.0));
    assert_eq!(log.tail(), above.1);
    log.sync_to(log.tail()).expect("memory does not fail");
    assert_eq!((log.written(), log.durable()), (above.1, above.1));
}

/// Two commits wait for the disk: each is durable when its wait ends, whoever synced.
pub fn a_group_commit_covers_who_waits() {
    let log = log(false);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let durability = Arc::new(DurabilityManager::new(Arc::clone(&log), clock));
    append(&log, 0);
    let other = {
        let (log, durability) = (Arc::clone(&log), Arc::clone(&durability));
        spawn(move || {
            let (_, end) = append(&log, 1);
            durability.wait(end, Durability::Full).expect("memory does not fail");
            assert!(log.durable() >= end, "a commit was acknowledged before it was durable");
        })
    };
    let (_, end) = append(&log, 2);
    durability.wait(end, Durability::Full).expect("memory does not fail");
    assert!(log.durable() >= end, "a commit was acknowledged before it was durable");
    other.join().expect("the other commit's check");
}

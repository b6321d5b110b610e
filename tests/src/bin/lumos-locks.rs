//! `lumos-locks`: what a lock costs. Row S9 of `make bench BENCH=storage`. *Lock and unlock*: a row that nobody else has,
//! and a table, as a transaction takes and gives them back. *Deadlock*: of so many who wait in a ring, how long the
//! request takes that closes it, until it is refused. Exits with 1 where a floor is missed by a release build.

use lumos_core::common::cancel::CancelToken;
use lumos_core::common::clock::{Clock, SystemClock};
use lumos_core::common::ids::{ObjectId, TreeId};
use lumos_core::common::memory::MemoryAccount;
use lumos_core::error::{Error, Result, SqlState};
use lumos_core::transaction::held_locks::{HeldLocks, LockMark};
use lumos_core::transaction::lock_manager::{LockManager, LockOwner};
use lumos_core::transaction::types::{RowLockMode, TableLockMode};
use lumos_tests::process::{exit_code, say};
use std::process::ExitCode;
use std::sync::Arc;

/// Nanoseconds that a lock and its release may take.
const LOCK_NANOS_MAX: f64 = 1_000.0;
/// Milliseconds that a deadlock among so many may take.
const DEADLOCK_MILLIS_MAX: f64 = 10.0;
const WAITERS: u64 = 1_000;
const LOCKS: u64 = 1_000_000;
const RUNS: usize = 5;
/// A waiter's thread does nothing but wait.
const STACK_BYTES: usize = 64 << 10;

struct Holder {
    manager: Arc<LockManager>,
    owner: Arc<LockOwner>,
    held: HeldLocks,
    cancel: CancelToken,
}

impl Holder {
    fn new(manager: &Arc<LockManager>, memory: &Arc<MemoryAccount>) -> Holder {
        let (owner, held) = (manager.add_owner(), HeldLocks::new(memory));
        Holder { manager: Arc::clone(manager), owner, held, cancel: CancelToken::default() }
    }

    fn row(&mut self, number: u64) -> Result<()> {
        let key = number.to_be_bytes();
        let (owner, held) = (&self.owner, &mut self.held);
        self.manager.lock_row(owner, held, (TreeId(20), &key), RowLockMode::Update, &self.cancel).map(drop)
    }

    fn table(&mut self, number: u64) -> Result<()> {
        let (owner, held, table) = (&self.owner, &mut self.held, ObjectId(number as u32 % 8));
        self.manager.lock_table(owner, held, table, TableLockMode::RowExclusive, &self.cancel).map(drop)
    }

    fn release(&mut self) {
        self.manager.release_to(&self.owner, &mut self.held, LockMark::default());
    }
}

fn manager() -> (Arc<MemoryAccount>, Arc<LockManager>) {
    let memory = MemoryAccount::new(256 << 20);
    let manager = Arc::new(LockManager::new(&memory, Arc::new(SystemClock::new())));
    (memory, manager)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Nanoseconds of a lock and its release.
fn lock_nanos(lock: fn(&mut Holder, u64) -> Result<()>) -> Result<f64> {
    let clock = SystemClock::new();
    let (memory, manager) = manager();
    let mut holder = Holder::new(&manager, &memory);
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let started = clock.monotonic_nanos();
        for number in 0..LOCKS {
            lock(&mut holder, number.wrapping_mul(0x9e37_79b9_7f4a_7c15))?;
            holder.release();
        }
        runs.push((clock.monotonic_nanos() - started) as f64 / LOCKS as f64);
    }
    Ok(median(runs))
}

/// Milliseconds until the request that closes a ring is refused.
fn deadlock_millis() -> Result<f64> {
    let clock = SystemClock::new();
    let (memory, manager) = manager();
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let mut last = Holder::new(&manager, &memory);
        last.row(WAITERS)?;
        let mut holders = Vec::new();
        for number in 0..WAITERS {
            let mut holder = Holder::new(&manager, &memory);
            holder.row(number)?;
            holders.push((number, holder));
        }
        let mut waiting = Vec::new();
        for (number, mut holder) in holders {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
                let locked = holder.row(number + 1);
                holder.release();
                locked
            });
            waiting.push(thread.map_err(|error| Error::internal(format!("no thread: {error}")))?);
        }
        while manager.waiting_count() < WAITERS as usize {
            std::thread::yield_now();
        }
        let started = clock.monotonic_nanos();
        let refused = last.row(0);
        runs.push((clock.monotonic_nanos() - started) as f64 / 1e6);
        if refused.is_ok() {
            return Err(Error::internal("a ring that is no deadlock"));
        }
        last.release();
        for thread in waiting {
            let locked = thread.join().unwrap_or_else(|_| Err(Error::internal("a thread panicked")));
            locked.or_else(|error| match error.state() {
                SqlState::DEADLOCK_DETECTED => Ok(()),
                _ => Err(error),
            })?;
        }
    }
    Ok(median(runs))
}

fn measure() -> Result<bool> {
    say(&format!("S9: locks, medians of {RUNS} runs"));
    say(&format!("{:<34} {:>12} {:>12}", "row", "found", "allowed"));
    let rows = [
        ("lock and unlock a row, ns", lock_nanos(Holder::row)?, LOCK_NANOS_MAX),
        ("lock and unlock a table, ns", lock_nanos(Holder::table)?, LOCK_NANOS_MAX),
        ("deadlock among 1,000 waiters, ms", deadlock_millis()?, DEADLOCK_MILLIS_MAX),
    ];
    for (name, found, allowed) in &rows {
        say(&format!("{name:<34} {found:>12.2} {allowed:>12.0}"));
    }
    Ok(rows.iter().all(|(_, found, allowed)| found <= allowed))
}

fn main() -> ExitCode {
    exit_code("lumos-locks", measure())
}

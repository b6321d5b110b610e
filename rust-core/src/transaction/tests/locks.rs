//! Lock manager: who waits, who is granted, who is refused.

use super::until;
use crate::common::cancel::CancelToken;
use crate::common::clock::SystemClock;
use crate::common::event_count::{EventCount, LockedEventCount};
use crate::common::ids::{ObjectId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::common::random::Random;
use crate::common::sync::Arc;
use crate::common::sync::atomic::{AtomicU32, Ordering};
use crate::error::{Result, SqlState};
use crate::io::event_count::event_count;
use crate::transaction::held_locks::{HeldLocks, LockMark};
use crate::transaction::lock_manager::{LockManager, LockOwner};
use crate::transaction::lock_table::PASSES_MAX;
use crate::transaction::lockers::Awaited;
use crate::transaction::types::{LockOutcome, RowLockMode, TableLockMode};
use std::sync::Barrier;
use std::time::Duration;

struct Holder<'a> {
    manager: &'a LockManager,
    owner: Arc<LockOwner>,
    held: HeldLocks,
    cancel: CancelToken,
}

impl<'a> Holder<'a> {
    fn new(manager: &'a LockManager, memory: &Arc<MemoryAccount>) -> Holder<'a> {
        let (owner, held) = (manager.add_owner(), HeldLocks::new(memory));
        Holder { manager, owner, held, cancel: CancelToken::default() }
    }
    fn row(&mut self, key: &[u8], mode: RowLockMode) -> Result<LockOutcome> {
        self.manager.lock_row(&self.owner, &mut self.held, (TreeId(1), key), mode, &self.cancel)
    }
    fn try_row(&mut self, key: &[u8], mode: RowLockMode) -> bool {
        self.manager.try_lock_row(&self.owner, &mut self.held, (TreeId(1), key), mode).unwrap()
    }
    fn table(&mut self, table: u32, mode: TableLockMode) -> Result<LockOutcome> {
        self.manager.lock_table(&self.owner, &mut self.held, ObjectId(table), mode, &self.cancel)
    }
    /// Goes on with a run in tree 1, or begins one and reserves some keys behind.
    fn run_key(&mut self, number: u64) -> bool {
        let (manager, owner, held) = (self.manager, &self.owner, &mut self.held);
        manager.extend_run(owner, held, (TreeId(1), number), RowLockMode::Update).unwrap()
            || manager.reserve_run(owner, TreeId(1), number..number + 4, RowLockMode::Update) > number
                && manager.extend_run(owner, held, (TreeId(1), number), RowLockMode::Update).unwrap()
    }
    fn release(&mut self) {
        self.release_to(LockMark::default());
    }
    fn release_to(&mut self, mark: LockMark) {
        self.manager.release_to(&self.owner, &mut self.held, mark);
    }
}

fn setup() -> (Arc<MemoryAccount>, LockManager) {
    let memory = MemoryAccount::new(64 << 20);
    let manager = LockManager::new(&memory, Arc::new(SystemClock::new()));
    (memory, manager)
}

#[test]
fn a_released_row_can_be_locked_and_a_held_one_cannot() {
    let (memory, manager) = setup();
    let (mut one, mut two) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    assert!(one.try_row(b"a", RowLockMode::Update));
    assert!(!two.try_row(b"a", RowLockMode::KeyShare));
    assert!(two.try_row(b"b", RowLockMode::Update));
    one.release();
    assert!(two.try_row(b"a", RowLockMode::Update));
}

#[test]
fn a_foreign_keys_lock_and_an_update_of_other_columns_do_not_meet() {
    let (memory, manager) = setup();
    let (mut one, mut two) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    assert!(one.try_row(b"parent", RowLockMode::KeyShare));
    assert!(two.try_row(b"parent", RowLockMode::NoKeyUpdate));
    assert!(!two.try_row(b"parent", RowLockMode::Update));
    one.release();
    assert!(two.try_row(b"parent", RowLockMode::Update));
    assert!(!one.try_row(b"parent", RowLockMode::KeyShare));
}

#[test]
fn locks_taken_after_a_mark_are_given_back_and_an_upgrade_is_undone() {
    let (memory, manager) = setup();
    let (mut one, mut two) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    one.row(b"a", RowLockMode::KeyShare).unwrap();
    let mark = one.owner.mark(&one.held);
    one.row(b"a", RowLockMode::Update).unwrap();
    one.row(b"b", RowLockMode::Update).unwrap();
    assert!(!two.try_row(b"a", RowLockMode::NoKeyUpdate));
    one.release_to(mark);
    assert!(two.try_row(b"a", RowLockMode::NoKeyUpdate));
    assert!(!two.try_row(b"a", RowLockMode::Update));
    assert!(two.try_row(b"b", RowLockMode::Update));
}

#[test]
fn a_waiter_is_granted_after_the_release_and_waiters_keep_their_order() {
    let (memory, manager) = setup();
    let mut one = Holder::new(&manager, &memory);
    one.row(b"a", RowLockMode::Update).unwrap();
    let order = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let mut waiters = Vec::new();
        for number in 0..3 {
            let mut holder = Holder::new(&manager, &memory);
            let order = &order;
            waiters.push(scope.spawn(move || {
                assert_eq!(holder.row(b"a", RowLockMode::Update).unwrap(), LockOutcome::GrantedAfterWait);
                assert_eq!(order.fetch_add(1, Ordering::SeqCst), number);
                holder.release();
            }));
            until(|| manager.waiting_count() == number as usize + 1);
        }
        one.release();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
    assert_eq!(manager.statistics().waits, 3);
}

#[test]
fn a_stream_of_readers_does_not_starve_a_writer() {
    let (memory, manager) = setup();
    let (mut reader, mut late) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    reader.row(b"a", RowLockMode::Share).unwrap();
    std::thread::scope(|scope| {
        let mut writer = Holder::new(&manager, &memory);
        let waiting = scope.spawn(move || {
            writer.row(b"a", RowLockMode::Update).unwrap();
            writer.release();
        });
        until(|| manager.waiting_count() == 1);
        for _ in 0..PASSES_MAX {
            assert!(
                late.try_row(b"a", RowLockMode::Share),
                "it shares the row with the reader, as in PostgreSQL"
            );
            late.release();
        }
        assert!(!late.try_row(b"a", RowLockMode::Share), "a reader passed a writer that was passed often");
        // Whoever holds the lock already need not stand behind the writer.
        assert!(reader.try_row(b"a", RowLockMode::Share));
        reader.release();
        waiting.join().unwrap();
    });
}

#[test]
fn a_cancelled_waiter_gives_up_and_those_behind_it_go_on() {
    let (memory, manager) = setup();
    let (mut one, mut third) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    one.table(7, TableLockMode::Share).unwrap();
    std::thread::scope(|scope| {
        let mut second = Holder::new(&manager, &memory);
        let cancel = second.cancel.clone();
        cancel.start_statement();
        let waiting =
            scope.spawn(move || second.table(7, TableLockMode::AccessExclusive).unwrap_err().state());
        until(|| manager.waiting_count() == 1);
        let behind = scope.spawn(move || third.table(7, TableLockMode::Share).unwrap());
        until(|| manager.waiting_count() == 2);
        cancel.cancel(0);
        assert_eq!(waiting.join().unwrap(), SqlState::QUERY_CANCELED);
        assert_eq!(behind.join().unwrap(), LockOutcome::GrantedAfterWait);
    });
    assert_eq!(manager.waiting_count(), 0);
}

#[test]
fn a_cancel_at_whatever_moment_of_beginning_to_wait_ends_the_wait() {
    let (memory, manager) = setup();
    let mut one = Holder::new(&manager, &memory);
    one.row(b"a", RowLockMode::Update).unwrap();
    let both_kinds: [Arc<dyn EventCount>; 2] = [event_count(), Arc::new(LockedEventCount::default())];
    for events in both_kinds {
        let cancel = CancelToken::new(events);
        let mut two = Holder { cancel: cancel.clone(), ..Holder::new(&manager, &memory) };
        let (mut random, both) = (Random::new(7), Barrier::new(2));
        std::thread::scope(|scope| {
            let both = &both;
            // A wake-up that is lost once never ends: nobody else wakes it, and nobody gives the lock back.
            scope.spawn(move || {
                for _ in 0..2_000 {
                    two.cancel.start_statement();
                    both.wait();
                    let error = two.row(b"a", RowLockMode::Update).unwrap_err();
                    assert_eq!(error.state(), SqlState::QUERY_CANCELED);
                    both.wait();
                }
            });
            for _ in 0..2_000 {
                both.wait();
                for _ in 0..random.below(2_000) {
                    std::hint::spin_loop();
                }
                cancel.cancel(cancel.sequence());
                both.wait();
            }
        });
    }
    assert_eq!(manager.waiting_count(), 0);
}

/// Keeps the time limits that it was asked to sleep for.
#[derive(Debug, Default)]
struct Watched {
    inner: LockedEventCount,
    limits: std::sync::Mutex<Vec<Option<Duration>>>,
}

impl EventCount for Watched {
    fn read(&self) -> u32 {
        self.inner.read()
    }
    fn advance(&self) {
        self.inner.advance();
    }
    fn await_change(&self, seen: u32, limit: Option<Duration>) {
        self.limits.lock().unwrap().push(limit);
        self.inner.await_change(seen, limit);
    }
}

#[test]
fn who_waits_without_a_timeout_sleeps_until_something_happens() {
    let (memory, manager) = setup();
    let mut one = Holder::new(&manager, &memory);
    one.row(b"a", RowLockMode::Update).unwrap();
    let watched = Arc::new(Watched::default());
    let cancel = CancelToken::new(Arc::clone(&watched) as Arc<dyn EventCount>);
    let mut two = Holder { cancel, ..Holder::new(&manager, &memory) };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| two.row(b"a", RowLockMode::Update).unwrap());
        until(|| !watched.limits.lock().unwrap().is_empty());
        one.release();
        assert_eq!(waiting.join().unwrap(), LockOutcome::GrantedAfterWait);
    });
    // A system may wake it for no reason, but never are there turns of a clock.
    assert!(watched.limits.lock().unwrap().iter().all(Option::is_none));
}

/// `count` transactions each hold a key and ask for the next one's: exactly one is refused.
fn ring(count: usize) {
    let (memory, manager) = setup();
    let barrier = Barrier::new(count);
    let refused = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for number in 0..count {
            let mut holder = Holder::new(&manager, &memory);
            let (barrier, refused) = (&barrier, &refused);
            scope.spawn(move || {
                holder.row(&[number as u8], RowLockMode::Update).unwrap();
                barrier.wait();
                if let Err(error) = holder.row(&[((number + 1) % count) as u8], RowLockMode::Update) {
                    assert_eq!(error.state(), SqlState::DEADLOCK_DETECTED);
                    assert_eq!(error.detail_text().unwrap().lines().count(), count);
                    refused.fetch_add(1, Ordering::SeqCst);
                }
                holder.release();
            });
        }
    });
    assert_eq!(refused.load(Ordering::SeqCst), 1);
    assert_eq!(manager.statistics().deadlocks, 1);
}

#[test]
fn a_deadlock_of_two_and_of_three_has_exactly_one_victim() {
    for _ in 0..20 {
        ring(2);
        ring(3);
    }
}

#[test]
fn two_readers_that_both_want_to_write_have_exactly_one_victim() {
    let (memory, manager) = setup();
    let barrier = Barrier::new(2);
    let refused = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut holder = Holder::new(&manager, &memory);
            let (barrier, refused) = (&barrier, &refused);
            scope.spawn(move || {
                holder.row(b"a", RowLockMode::Share).unwrap();
                barrier.wait();
                if holder.row(b"a", RowLockMode::Update).is_err() {
                    refused.fetch_add(1, Ordering::SeqCst);
                }
                holder.release();
            });
        }
    });
    assert_eq!(refused.load(Ordering::SeqCst), 1);
}

#[test]
fn a_cycle_made_by_the_order_of_a_queue_is_undone_without_a_victim() {
    let (memory, manager) = setup();
    let (mut a, mut c) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    a.table(7, TableLockMode::Share).unwrap();
    c.row(b"y", RowLockMode::Update).unwrap();
    std::thread::scope(|scope| {
        let mut b = Holder::new(&manager, &memory);
        let waiting_b = scope.spawn(move || {
            b.table(7, TableLockMode::AccessExclusive).unwrap();
            b.release();
        });
        until(|| manager.waiting_count() == 1);
        // C stands behind B although it does not meet A …
        let waiting_c = scope.spawn(move || {
            c.table(7, TableLockMode::Share).unwrap();
            c.release();
        });
        until(|| manager.waiting_count() == 2);
        // … and now A waits for C.
        a.row(b"y", RowLockMode::Update).unwrap();
        a.release();
        waiting_c.join().unwrap();
        waiting_b.join().unwrap();
    });
    assert_eq!((manager.statistics().deadlocks, manager.statistics().reorders), (0, 1));
}

#[test]
fn a_strong_table_lock_meets_weak_ones_taken_before_and_keeps_later_ones_out() {
    let (memory, manager) = setup();
    let (mut reader, mut writer) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    reader.table(7, TableLockMode::AccessShare).unwrap();
    writer.table(7, TableLockMode::RowExclusive).unwrap();
    writer.table(8, TableLockMode::RowExclusive).unwrap();
    std::thread::scope(|scope| {
        let mut dropper = Holder::new(&manager, &memory);
        let cancel = CancelToken::default();
        let dropping = scope.spawn(move || {
            assert_eq!(
                dropper.table(7, TableLockMode::AccessExclusive).unwrap(),
                LockOutcome::GrantedAfterWait
            );
            cancel.check().unwrap();
            dropper
        });
        until(|| manager.waiting_count() == 1);
        // A lock that is held already is granted again, also behind a waiting strong one.
        assert_eq!(reader.table(7, TableLockMode::AccessShare).unwrap(), LockOutcome::Granted);
        writer.release();
        assert_eq!(manager.waiting_count(), 1);
        reader.release();
        let mut dropper = dropping.join().unwrap();
        let late = scope.spawn(move || reader.table(7, TableLockMode::AccessShare).unwrap());
        until(|| manager.waiting_count() == 1);
        dropper.release();
        assert_eq!(late.join().unwrap(), LockOutcome::GrantedAfterWait);
    });
    // With no strong lock left, weak ones never reach the lock table again.
    assert_eq!(writer.table(7, TableLockMode::RowExclusive).unwrap(), LockOutcome::Granted);
}

#[test]
fn a_deadlock_over_weak_table_locks_is_found() {
    let (memory, manager) = setup();
    let barrier = Barrier::new(2);
    let refused = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut holder = Holder::new(&manager, &memory);
            let (barrier, refused) = (&barrier, &refused);
            scope.spawn(move || {
                holder.table(7, TableLockMode::AccessShare).unwrap();
                barrier.wait();
                if holder.table(7, TableLockMode::AccessExclusive).is_err() {
                    refused.fetch_add(1, Ordering::SeqCst);
                }
                holder.release();
            });
        }
    });
    assert_eq!(refused.load(Ordering::SeqCst), 1);
    let mut later = Holder::new(&manager, &memory);
    assert_eq!(later.table(7, TableLockMode::AccessExclusive).unwrap(), LockOutcome::Granted);
}

#[test]
fn nothing_is_left_when_everything_is_released() {
    let (memory, manager) = setup();
    for seed in 1..20 {
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let mut holder = Holder::new(&manager, &memory);
                scope.spawn(move || {
                    let mut random = Random::new(seed * 100 + thread);
                    for _ in 0..50 {
                        let mut marks = vec![LockMark::default()];
                        for _ in 0..=random.below(3) {
                            marks.push(holder.owner.mark(&holder.held));
                            let key = [random.below(6) as u8];
                            let mode = RowLockMode::ALL[random.below(4) as usize];
                            let table = TableLockMode::ALL[random.below(8) as usize];
                            let locked = match random.below(4) {
                                0 => holder.table(random.below(2) as u32, table).map(|_| ()),
                                _ => holder.row(&key, mode).map(|_| ()),
                            };
                            if locked.is_err() {
                                break;
                            }
                            if random.below(4) == 0 {
                                let mark = random.below(marks.len() as u64) as usize;
                                holder.release_to(marks[mark]);
                                marks.truncate(mark + 1);
                            }
                        }
                        holder.release();
                    }
                });
            }
        });
        let mut probe = Holder::new(&manager, &memory);
        for key in 0..6 {
            assert!(probe.try_row(&[key], RowLockMode::Update), "seed {seed}: key {key} is still locked");
        }
        for table in 0..2 {
            let outcome = probe.table(table, TableLockMode::AccessExclusive).unwrap();
            assert_eq!(outcome, LockOutcome::Granted, "seed {seed}: table {table} is still locked");
        }
        probe.release();
    }
}

#[test]
fn locks_are_charged_and_given_back() {
    let (memory, manager) = setup();
    let mut holder = Holder::new(&manager, &memory);
    for key in 0..100_000u32 {
        holder.row(&key.to_be_bytes(), RowLockMode::Update).unwrap();
    }
    assert!(memory.used() > 100_000 * 32);
    holder.release();
    assert!(memory.used() <= 64 * (16 << 10), "{} bytes are still charged", memory.used());
}

#[test]
fn keys_of_a_run_are_locked_and_those_in_reserve_are_not() {
    let (memory, manager) = setup();
    let (mut one, mut two) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    let key = |number: u64| number.to_be_bytes();
    for number in 100..102 {
        assert!(one.run_key(number));
    }
    for number in [100, 101] {
        assert!(!two.try_row(&key(number), RowLockMode::KeyShare), "{number} belongs to the run");
        assert!(one.try_row(&key(number), RowLockMode::Update), "{number} is the owner's own");
    }
    assert!(two.try_row(&key(103), RowLockMode::Update), "103 was only in reserve");
    assert!(one.run_key(102));
    assert!(!one.run_key(103), "103 is another's now");
    assert!(!one.try_row(&key(103), RowLockMode::Share));
    assert!(two.run_key(104));
    assert!(!two.run_key(102));
    one.release();
    for number in 100..103 {
        assert!(two.try_row(&key(number), RowLockMode::Update), "{number} was given back");
    }
    two.release();
    assert!(one.try_row(&key(104), RowLockMode::Update));
}

#[test]
fn a_return_to_a_mark_gives_back_the_end_of_a_run() {
    let (memory, manager) = setup();
    let (mut one, mut two) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    let key = |number: u64| number.to_be_bytes();
    assert!(one.run_key(10) && one.run_key(11));
    let mark = one.owner.mark(&one.held);
    assert!(one.run_key(12));
    one.row(b"other", RowLockMode::Update).unwrap();
    assert!(one.run_key(13));
    one.release_to(mark);
    assert!(two.try_row(b"other", RowLockMode::Update));
    assert!(two.try_row(&key(12), RowLockMode::Update) && two.try_row(&key(13), RowLockMode::Update));
    assert!(!two.try_row(&key(11), RowLockMode::Update));
    one.release();
    assert!(two.try_row(&key(11), RowLockMode::Update));
}

#[test]
fn a_waiter_for_a_key_of_a_run_is_granted_at_its_end_and_found_in_a_deadlock() {
    let (memory, manager) = setup();
    let key = |number: u64| number.to_be_bytes();
    let (mut one, mut two) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    assert!(one.run_key(10) && one.run_key(11));
    assert!(two.run_key(20) && two.run_key(21));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let outcome = two.row(&key(11), RowLockMode::Update);
            two.release();
            outcome
        });
        until(|| manager.waiting_count() == 1);
        let refused = one.row(&key(20), RowLockMode::Share).unwrap_err();
        assert_eq!(refused.state(), SqlState::DEADLOCK_DETECTED);
        one.release();
        assert_eq!(waiter.join().unwrap().unwrap(), LockOutcome::GrantedAfterWait);
    });
    assert!(one.try_row(&key(11), RowLockMode::Update) && one.try_row(&key(20), RowLockMode::Update));
}

#[test]
fn two_owners_never_have_a_key_at_once_whether_by_run_or_alone() {
    let (memory, manager) = setup();
    for seed in 1..12 {
        let owners: Vec<AtomicU32> = (0..40).map(|_| AtomicU32::new(0)).collect();
        std::thread::scope(|scope| {
            for thread in 1..4u32 {
                let (owners, mut holder) = (&owners, Holder::new(&manager, &memory));
                scope.spawn(move || {
                    let mut random = Random::new(seed * 10 + u64::from(thread));
                    for _ in 0..40 {
                        let mut mine: Vec<u64> = Vec::new();
                        let mut next = random.below(30);
                        for _ in 0..random.below(9) {
                            let alone = random.below(3) == 0;
                            let number = if alone { random.below(40) } else { next };
                            let got = if alone {
                                holder.try_row(&number.to_be_bytes(), RowLockMode::Update)
                            } else {
                                holder.run_key(number)
                            };
                            if !alone {
                                next += 1;
                            }
                            if got && !mine.contains(&number) {
                                let before = owners[number as usize].swap(thread, Ordering::SeqCst);
                                assert_eq!(before, 0, "seed {seed}: key {number} has two owners");
                                mine.push(number);
                            }
                        }
                        for number in mine {
                            assert_eq!(owners[number as usize].swap(0, Ordering::SeqCst), thread);
                        }
                        holder.release();
                    }
                });
            }
        });
        let mut probe = Holder::new(&manager, &memory);
        for number in 0..44u64 {
            assert!(
                probe.try_row(&number.to_be_bytes(), RowLockMode::Update),
                "seed {seed}: key {number} is still locked"
            );
        }
        probe.release();
    }
}

#[test]
fn a_return_to_a_savepoint_gives_back_keys_in_sets_that_were_locked_since() {
    let (memory, manager) = setup();
    let (mut one, mut two) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    // In no order, so that no two follow each other.
    let key = |number: u64| (number * 7919 % 100_003).to_be_bytes();
    let lock = |holder: &mut Holder<'_>, number: u64| {
        let (owner, held) = (&holder.owner, &mut holder.held);
        let key = key(number);
        if !manager.lock_in_set(owner, held, (TreeId(1), &key), RowLockMode::Update).unwrap() {
            holder.row(&key, RowLockMode::Update).unwrap();
        }
    };
    let mut marks = Vec::new();
    for number in 0..12_000 {
        if number % 3_000 == 0 {
            marks.push(one.owner.mark_to_return(&one.held));
        }
        lock(&mut one, number);
    }
    assert!(one.held.len() < 4_000, "{} locks one by one", one.held.len());
    for (round, mark) in marks.into_iter().enumerate().rev() {
        one.release_to(mark);
        let kept = round as u64 * 3_000;
        assert_eq!(one.held.count() as u64 - manager.runs.states().len() as u64, kept, "round {round}");
        for number in (0..12_000).step_by(97) {
            let is_free = two.try_row(&key(number), RowLockMode::Update);
            assert_eq!(is_free, number >= kept, "key {number} in round {round}");
        }
        two.release();
    }
    assert!(one.held.is_empty());
}

#[test]
fn all_beyond_so_many_savepoints_share_a_set_and_go_with_it() {
    let (memory, manager) = setup();
    let mut one = Holder::new(&manager, &memory);
    for number in 0..70_000_u64 {
        if number % 1_000 == 0 {
            one.owner.mark_to_return(&one.held);
        }
        let (owner, held) = (&one.owner, &mut one.held);
        let key = (number * 7919 % 1_000_003).to_be_bytes();
        if !manager.lock_in_set(owner, held, (TreeId(1), &key), RowLockMode::Update).unwrap() {
            one.row(&key, RowLockMode::Update).unwrap();
        }
    }
    assert!(manager.runs.states().len() <= 32);
    one.release();
    assert!(manager.runs.states().is_empty());
}

/// Waits in a thread of its own as `Transaction::await_lockers` does, for those that meet SHARE.
fn await_writers(holder: &Holder<'_>, table: u32) -> impl FnOnce() -> Result<()> + Send {
    let (manager, owner, cancel) = (holder.manager, Arc::clone(&holder.owner), holder.cancel.clone());
    let awaited = Awaited::Table(TableLockMode::Share);
    move || manager.await_lockers(&owner, ObjectId(table), awaited, &cancel)
}

/// What a transaction's end does.
fn end(holder: &mut Holder<'_>) {
    holder.release();
    holder.manager.transaction_ended(&holder.owner);
}

#[test]
fn who_waits_for_lockers_waits_for_those_there_are_and_keeps_nobody_out() {
    let (memory, manager) = setup();
    let new = || Holder::new(&manager, &memory);
    let (mut one, mut two, mut reader, mut late) = (new(), new(), new(), new());
    one.table(7, TableLockMode::RowExclusive).unwrap();
    two.table(7, TableLockMode::RowExclusive).unwrap();
    reader.table(7, TableLockMode::AccessShare).unwrap();
    let builder = new();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(await_writers(&builder, 7));
        until(|| manager.waiting_count() == 1);
        let waits = manager.waits();
        assert_eq!((waits.len(), waits[0].mode, waits[0].granted), (1, "ShareLock", false));
        late.table(7, TableLockMode::RowExclusive).unwrap();
        end(&mut one);
        assert!(!waiting.is_finished());
        // A return to a savepoint is no end.
        two.release();
        assert!(!waiting.is_finished());
        assert_eq!(manager.waiting_count(), 1);
        end(&mut two);
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(manager.waiting_count(), 0);
    assert!(await_writers(&new(), 8)().is_ok());
    assert!(!manager.lockers(0, ObjectId(7), TableLockMode::Share).are_gone());
    end(&mut late);
    assert!(manager.lockers(0, ObjectId(7), TableLockMode::Share).are_gone());
    assert!(!manager.lockers(0, ObjectId(7), TableLockMode::AccessExclusive).are_gone());
}

#[test]
fn who_waits_for_lockers_is_part_of_deadlocks_and_can_be_cancelled() {
    let (memory, manager) = setup();
    let (mut one, mut builder) = (Holder::new(&manager, &memory), Holder::new(&manager, &memory));
    one.table(7, TableLockMode::RowExclusive).unwrap();
    builder.table(7, TableLockMode::ShareUpdateExclusive).unwrap();
    let cancel = builder.cancel.clone();
    std::thread::scope(|scope| {
        cancel.start_statement();
        let waiting = scope.spawn(await_writers(&builder, 7));
        until(|| manager.waiting_count() == 1);
        let error = one.table(7, TableLockMode::ShareUpdateExclusive).unwrap_err();
        assert_eq!(error.state(), SqlState::DEADLOCK_DETECTED);
        cancel.cancel(0);
        assert_eq!(waiting.join().unwrap().unwrap_err().state(), SqlState::QUERY_CANCELED);
    });
    assert_eq!(manager.waiting_count(), 0);
    // The other way round: the one that closes the cycle waits for lockers.
    builder.cancel.start_statement();
    std::thread::scope(|scope| {
        let cancel = one.cancel.clone();
        cancel.start_statement();
        let waiting = scope.spawn(move || {
            let result = one.table(7, TableLockMode::ShareUpdateExclusive);
            end(&mut one);
            result
        });
        until(|| manager.waiting_count() == 1);
        assert_eq!(await_writers(&builder, 7)().unwrap_err().state(), SqlState::DEADLOCK_DETECTED);
        cancel.cancel(0);
        assert!(waiting.join().unwrap().is_err());
    });
    await_writers(&builder, 7)().unwrap();
    assert_eq!(manager.waiting_count(), 0);
}

//! Histories: what transactions may see of each other.

use super::{Fixture, until};
use crate::common::random::Random;
use crate::common::sync::Arc;
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, LockOutcome, ReadView, RowLockMode};
use std::ops::Bound;

fn text(value: Option<Vec<u8>>) -> Option<String> {
    value.map(|value| String::from_utf8(value).unwrap())
}

#[test]
fn a_commit_is_seen_and_an_abort_is_not() {
    let fixture = Fixture::new();
    fixture.write(&[(b"k", Some(b"one"))]);
    let mut reader = fixture.begin();
    assert_eq!(text(fixture.read(&mut reader, b"k")), Some("one".into()));
    let mut writer = fixture.begin();
    writer.start_statement().unwrap();
    writer.put(fixture.tree, b"k", b"two").unwrap();
    assert_eq!(text(fixture.get(&writer, b"k", ReadView::Latest)), Some("two".into()));
    // Dirty reads do not happen.
    assert_eq!(text(fixture.read(&mut reader, b"k")), Some("one".into()));
    writer.rollback();
    assert_eq!(text(fixture.read(&mut reader, b"k")), Some("one".into()));
}

#[test]
fn a_repeatable_read_sees_the_state_of_its_first_statement_not_of_its_begin() {
    let fixture = Fixture::new();
    fixture.write(&[(b"k", Some(b"one"))]);
    let (mut repeatable, mut committed) = (fixture.begin_repeatable(), fixture.begin());
    fixture.write(&[(b"k", Some(b"two"))]);
    assert_eq!(text(fixture.read(&mut repeatable, b"k")), Some("two".into()));
    fixture.write(&[(b"k", Some(b"three"))]);
    assert_eq!(text(fixture.read(&mut repeatable, b"k")), Some("two".into()));
    assert_eq!(text(fixture.read(&mut committed, b"k")), Some("three".into()));
    fixture.write(&[(b"k", None)]);
    assert_eq!(text(fixture.read(&mut repeatable, b"k")), Some("two".into()));
    assert_eq!(text(fixture.read(&mut committed, b"k")), None);
    assert_eq!(fixture.all(&mut repeatable).len(), 1);
    assert_eq!(fixture.all(&mut committed).len(), 0);
}

#[test]
fn a_repeatable_read_meets_no_phantom() {
    let fixture = Fixture::new();
    fixture.write(&[(b"b", Some(b"1")), (b"d", Some(b"2"))]);
    let mut reader = fixture.begin_repeatable();
    let before = fixture.all(&mut reader);
    fixture.write(&[(b"a", Some(b"x")), (b"c", Some(b"x")), (b"e", Some(b"x")), (b"d", None)]);
    assert_eq!(fixture.all(&mut reader), before);
    reader.rollback();
    assert_eq!(fixture.all(&mut fixture.begin()).len(), 4);
    let tree = fixture.manager.storage().tree(fixture.tree).unwrap();
    assert_eq!(fixture.manager.statistics().versions, 0, "versions stay after their last reader");
    assert!(!tree.get(b"d", |entry, _| entry.is_some()).unwrap(), "a ghost stays after its last reader");
}

#[test]
fn a_lost_update_is_refused_at_repeatable_read() {
    let fixture = Fixture::new();
    fixture.write(&[(b"k", Some(b"1"))]);
    let mut transaction = fixture.begin_repeatable();
    fixture.read(&mut transaction, b"k");
    fixture.write(&[(b"k", Some(b"2")), (b"other", Some(b"2"))]);
    transaction.start_statement().unwrap();
    let tree = transaction.tree_handle(fixture.tree).unwrap();
    transaction.lock_row(fixture.tree, b"k", RowLockMode::Update).unwrap();
    assert!(transaction.changed_since_snapshot(&tree, b"k").unwrap());
    transaction.lock_row(fixture.tree, b"unchanged", RowLockMode::Update).unwrap();
    assert!(!transaction.changed_since_snapshot(&tree, b"unchanged").unwrap());
    assert_eq!(transaction.serialization_failure().state(), SqlState::SERIALIZATION_FAILURE);
}

#[test]
fn a_panic_under_a_latch_ends_writing_but_not_reading() {
    for under_latch in [true, false] {
        let fixture = Fixture::new();
        fixture.write(&[(b"k", Some(b"one"))]);
        let storage = fixture.manager.storage();
        let tree = storage.tree(fixture.tree).unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if under_latch {
                tree.get(b"k", |_, _| panic!("a planted panic under a latch")).unwrap()
            } else {
                let _ticket = storage.gate().enter();
                panic!("a planted panic inside the gate")
            }
        }));
        assert!(outcome.is_err());
        assert!(storage.is_interrupted());
        let mut writer = fixture.begin();
        assert_eq!(writer.put(fixture.tree, b"k", b"two").unwrap_err().state(), SqlState::INTERNAL_ERROR);
        assert!(
            fixture.manager.checkpoint(false).is_err(),
            "a checkpoint would write what may be half a change"
        );
        assert!(fixture.manager.poisoned().is_some());
        assert_eq!(text(fixture.read(&mut fixture.begin(), b"k")), Some("one".into()));
    }
}

#[test]
fn a_row_deleted_and_added_again_is_another_row_and_a_changed_one_is_not() {
    let fixture = Fixture::new();
    fixture.write(&[(b"changed", Some(b"one")), (b"replaced", Some(b"one")), (b"kept", Some(b"one"))]);
    let mut waiter = fixture.begin();
    waiter.start_statement().unwrap();
    fixture.write(&[(b"changed", Some(b"two")), (b"replaced", None), (b"new", Some(b"one"))]);
    fixture.write(&[(b"changed", Some(b"three")), (b"replaced", Some(b"two"))]);
    let tree = waiter.tree_handle(fixture.tree).unwrap();
    let replaced = |key: &[u8]| waiter.replaced_since_snapshot(&tree, key).unwrap();
    assert!(replaced(b"replaced"));
    assert!(!replaced(b"changed") && !replaced(b"kept") && !replaced(b"new"));
}

#[test]
fn a_panic_outside_of_latches_ends_only_its_transaction() {
    let fixture = Fixture::new();
    fixture.write(&[(b"k", Some(b"one"))]);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut writer = fixture.begin();
        writer.put(fixture.tree, b"k", b"two").unwrap();
        panic!("a planted panic in a transaction");
    }));
    assert!(outcome.is_err());
    assert!(fixture.manager.poisoned().is_none());
    fixture.write(&[(b"k", Some(b"three"))]);
    assert_eq!(text(fixture.read(&mut fixture.begin(), b"k")), Some("three".into()));
}

#[test]
fn write_skew_is_possible_below_serializable() {
    let fixture = Fixture::new();
    fixture.write(&[(b"a", Some(b"on")), (b"b", Some(b"on"))]);
    let (mut one, mut two) = (fixture.begin_repeatable(), fixture.begin_repeatable());
    for (transaction, own, other) in [(&mut one, b"a", b"b"), (&mut two, b"b", b"a")] {
        assert_eq!(text(fixture.read(transaction, other)), Some("on".into()));
        transaction.start_statement().unwrap();
        transaction.lock_row(fixture.tree, own, RowLockMode::NoKeyUpdate).unwrap();
        transaction.put(fixture.tree, own, b"off").unwrap();
        transaction.end_statement();
    }
    one.commit(Durability::Full).unwrap();
    two.commit(Durability::Full).unwrap();
    let mut reader = fixture.begin();
    assert_eq!(text(fixture.read(&mut reader, b"a")), Some("off".into()));
    assert_eq!(text(fixture.read(&mut reader, b"b")), Some("off".into()));
}

#[test]
fn writers_of_different_rows_both_commit_and_of_the_same_row_one_waits() {
    let fixture = Fixture::new();
    fixture.write(&[(b"a", Some(b"1")), (b"b", Some(b"1"))]);
    let mut one = fixture.begin();
    one.start_statement().unwrap();
    one.lock_row(fixture.tree, b"a", RowLockMode::Update).unwrap();
    one.put(fixture.tree, b"a", b"2").unwrap();
    std::thread::scope(|scope| {
        let fixture = &fixture;
        let other_row = scope.spawn(|| {
            let mut two = fixture.begin();
            two.lock_row(fixture.tree, b"b", RowLockMode::Update).unwrap();
            two.put(fixture.tree, b"b", b"2").unwrap();
            two.commit(Durability::Full).unwrap().unwrap()
        });
        let committed = other_row.join().unwrap();
        assert!(fixture.manager.visible_lsn() >= committed);
        let same_row = scope.spawn(|| {
            let mut three = fixture.begin();
            let outcome = three.lock_row(fixture.tree, b"a", RowLockMode::Update).unwrap();
            // Locks outlive publication: whoever was let in reads the committed row.
            (outcome, text(fixture.get(&three, b"a", ReadView::Latest)))
        });
        until(|| fixture.manager.lock_manager().waiting_count() == 1);
        one.commit(Durability::Full).unwrap();
        assert_eq!(same_row.join().unwrap(), (LockOutcome::GrantedAfterWait, Some("2".into())));
    });
}

#[test]
fn a_statement_never_meets_its_own_writes() {
    let fixture = Fixture::new();
    fixture.write(&[(b"a", Some(b"0")), (b"m", Some(b"0"))]);
    let mut transaction = fixture.begin();
    transaction.start_statement().unwrap();
    transaction.put(fixture.tree, b"c", b"1").unwrap();
    transaction.end_statement();
    transaction.start_statement().unwrap();
    let tree = transaction.tree_handle(fixture.tree).unwrap();
    let mut scan = transaction.scan(&tree, Bound::Unbounded, Bound::Unbounded, false);
    let mut seen = Vec::new();
    // Every row met makes another one further on; without command numbers this would never end.
    while let Some(keys) = scan
        .next(&transaction, |rows| {
            let mut keys = Vec::new();
            for index in (0..rows.len()).filter(|index| rows.is_live(*index)) {
                let mut key = Vec::new();
                rows.key_into(index, &mut key);
                keys.push(key);
            }
            keys
        })
        .unwrap()
    {
        for key in &keys {
            let mut next = key.clone();
            next.push(b'x');
            transaction.put(fixture.tree, &next, b"new").unwrap();
            transaction.put(fixture.tree, key, b"changed").unwrap();
        }
        seen.extend(keys);
    }
    assert_eq!(seen, [b"a", b"c", b"m"]);
    assert_eq!(text(fixture.get(&transaction, b"c", ReadView::Snapshot)), Some("1".into()));
    assert_eq!(text(fixture.get(&transaction, b"c", ReadView::Latest)), Some("changed".into()));
    transaction.next_command();
    assert_eq!(fixture.scan(&transaction, Bound::Unbounded, Bound::Unbounded, false).len(), 6);
}

#[test]
fn a_failed_statement_leaves_neither_writes_nor_locks() {
    let fixture = Fixture::new();
    let mut transaction = fixture.begin();
    transaction.start_statement().unwrap();
    transaction.lock_row(fixture.tree, b"a", RowLockMode::Update).unwrap();
    transaction.put(fixture.tree, b"a", b"1").unwrap();
    transaction.end_statement();
    let mark = transaction.start_statement().unwrap();
    transaction.lock_row(fixture.tree, b"b", RowLockMode::Update).unwrap();
    transaction.put(fixture.tree, b"b", b"1").unwrap();
    transaction.put(fixture.tree, b"a", b"2").unwrap();
    transaction.rollback_to(mark);
    transaction.end_statement();
    let mut other = fixture.begin();
    assert!(other.try_lock_row(fixture.tree, b"b", RowLockMode::Update).unwrap());
    assert!(!other.try_lock_row(fixture.tree, b"a", RowLockMode::Update).unwrap());
    transaction.commit(Durability::Full).unwrap();
    assert_eq!(fixture.all(&mut fixture.begin()), [(b"a".to_vec(), b"1".to_vec())]);
}

#[test]
fn a_tree_of_the_running_transaction_is_read_from_its_write_set_and_exists_for_others_from_the_commit_on() {
    let fixture = Fixture::new();
    let mut transaction = fixture.begin();
    transaction.start_statement().unwrap();
    let tree = transaction.create_tree().unwrap();
    for number in 0..3000u64 {
        transaction.put(tree, &number.to_be_bytes(), b"row").unwrap();
    }
    transaction.next_command();
    let handle = transaction.tree_handle(tree).unwrap();
    for backward in [false, true] {
        let mut scan = transaction.scan(&handle, Bound::Unbounded, Bound::Unbounded, backward);
        let mut count = 0;
        while let Some(rows) = scan.next(&transaction, |rows| rows.len()).unwrap() {
            count += rows;
        }
        assert_eq!(count, 3000);
    }
    let found =
        transaction.get(&handle, &7u64.to_be_bytes(), ReadView::Snapshot, |row| row.is_some()).unwrap();
    assert!(found);
    assert!(fixture.begin().tree_handle(tree).is_err());
    transaction.end_statement();
    transaction.commit(Durability::Full).unwrap();
    let mut reader = fixture.begin();
    reader.start_statement().unwrap();
    let handle = reader.tree_handle(tree).unwrap();
    assert!(reader.get(&handle, &2999u64.to_be_bytes(), ReadView::Snapshot, |row| row.is_some()).unwrap());
    let mut dropper = fixture.begin();
    dropper.drop_tree(tree).unwrap();
    dropper.commit(Durability::Full).unwrap();
    assert!(fixture.begin().tree_handle(tree).is_err());
}

#[test]
fn an_older_snapshot_sees_nothing_of_a_bulk_insert_and_keeps_one_version_for_it() {
    let fixture = Fixture::new();
    let mut old = fixture.begin_repeatable();
    assert_eq!(fixture.all(&mut old).len(), 0);
    let mut writer = fixture.begin();
    for number in 0..20_000u64 {
        writer.put(fixture.tree, &number.to_be_bytes(), &[9; 40]).unwrap();
    }
    assert!(writer.commit(Durability::Full).unwrap().is_some());
    assert_eq!(fixture.all(&mut old).len(), 0);
    assert_eq!(fixture.manager.statistics().versions, 1);
    fixture.write(&[(&5u64.to_be_bytes(), Some(b"changed")), (&6u64.to_be_bytes(), None)]);
    assert_eq!(fixture.all(&mut old).len(), 0);
    assert!(fixture.read(&mut old, &5u64.to_be_bytes()).is_none());
    old.rollback();
    assert_eq!(fixture.all(&mut fixture.begin()).len(), 19_999);
    assert_eq!(fixture.manager.statistics().versions, 0);
}

#[test]
fn an_older_snapshot_sees_what_was_there_before_many_keys_were_added_in_no_order() {
    for seed in 1..4 {
        let fixture = Fixture::new();
        let mut random = Random::new(seed);
        let mut key = || random.below(1 << 40).to_be_bytes();
        let first: Vec<[u8; 8]> = (0..300).map(|_| key()).collect();
        let second: Vec<[u8; 8]> = (0..300).map(|_| key()).collect();
        let put = |keys: &[[u8; 8]], value: &[u8], deleted: &[[u8; 8]]| {
            let mut writer = fixture.begin();
            for key in keys {
                writer.put_unordered(fixture.tree, key, value).unwrap();
            }
            for key in deleted {
                writer.delete(fixture.tree, key).unwrap();
            }
            assert!(writer.commit(Durability::Full).unwrap().is_some());
        };
        let mut oldest = fixture.begin_repeatable();
        assert!(fixture.all(&mut oldest).is_empty());
        put(&first, b"first", &[]);
        assert_eq!(fixture.manager.statistics().versions, 1, "one batch");
        let mut old = fixture.begin_repeatable();
        let seen = fixture.all(&mut old);
        assert_eq!(seen.len(), first.len());
        put(&second, b"second", &first[..50]);
        put(&first[..80], b"third", &second[..10]);
        assert!(fixture.all(&mut oldest).is_empty(), "seed {seed}");
        assert_eq!(fixture.all(&mut old), seen, "seed {seed}");
        for key in &first {
            assert!(fixture.read(&mut oldest, key).is_none(), "seed {seed}");
            assert_eq!(text(fixture.read(&mut old, key)), Some("first".into()), "seed {seed}");
        }
        assert!(fixture.read(&mut old, &second[20]).is_none(), "seed {seed}");
        let tree = oldest.tree_handle(fixture.tree).unwrap();
        oldest.start_statement().unwrap();
        assert!(oldest.changed_since_snapshot(&tree, &first[200]).unwrap(), "seed {seed}");
        oldest.rollback();
        old.rollback();
        let now = fixture.all(&mut fixture.begin());
        assert_eq!(now.len(), first.len() + second.len() - 10, "seed {seed}");
        assert_eq!(fixture.manager.statistics().versions, 0, "seed {seed}");
    }
}

#[test]
fn a_read_only_transaction_refuses_writes_and_an_empty_commit_logs_nothing() {
    let fixture = Fixture::new();
    let cancel = crate::common::cancel::CancelToken::default();
    let mut transaction = fixture.manager.begin(IsolationLevel::ReadCommitted, true, cancel);
    let error = transaction.put(fixture.tree, b"k", b"v").unwrap_err();
    assert_eq!(error.state(), SqlState::READ_ONLY_SQL_TRANSACTION);
    let tail = fixture.manager.log().tail();
    assert_eq!(transaction.commit(Durability::Full).unwrap(), None);
    let mut undone = fixture.begin();
    let mark = undone.savemark();
    undone.put(fixture.tree, b"k", b"v").unwrap();
    undone.rollback_to(mark);
    assert_eq!(undone.commit(Durability::Full).unwrap(), None);
    assert_eq!(fixture.manager.log().tail(), tail);
}

#[test]
fn counters_only_rise_and_own_raises_are_seen() {
    let fixture = Fixture::new();
    let number = |value: u64| Some(value.to_be_bytes().to_vec());
    let mut transaction = fixture.begin();
    transaction.max(fixture.tree, b"n", 5).unwrap();
    assert_eq!(fixture.get(&transaction, b"n", ReadView::Latest), number(5));
    transaction.commit(Durability::Full).unwrap();
    let mut transaction = fixture.begin();
    transaction.max(fixture.tree, b"n", 3).unwrap();
    assert_eq!(fixture.get(&transaction, b"n", ReadView::Latest), number(5));
    transaction.commit(Durability::Full).unwrap();
    assert_eq!(fixture.read(&mut fixture.begin(), b"n"), number(5));
}

#[test]
fn a_poisoned_manager_refuses_writes_and_still_reads() {
    let fixture = Fixture::new();
    fixture.write(&[(b"k", Some(b"v"))]);
    let mut early = fixture.begin();
    early.put(fixture.tree, b"k", b"w").unwrap();
    fixture.manager.poison(Error::new(SqlState::IO_ERROR, "disk on fire"));
    assert_eq!(early.commit(Durability::Full).unwrap_err().state(), SqlState::IO_ERROR);
    let mut late = fixture.begin();
    assert_eq!(late.put(fixture.tree, b"k", b"w").unwrap_err().state(), SqlState::IO_ERROR);
    assert_eq!(text(fixture.read(&mut late, b"k")), Some("v".into()));
}

#[test]
fn memory_is_given_back_after_large_transactions() {
    let fixture = Fixture::with_page_size(8192);
    let mut writer = fixture.begin();
    for number in 0..30_000u64 {
        let key = number.to_be_bytes();
        writer.lock_row(fixture.tree, &key, RowLockMode::Update).unwrap();
        writer.put(fixture.tree, &key, &[9; 100]).unwrap();
    }
    let during = fixture.memory.used();
    writer.rollback();
    assert!(during - fixture.memory.used() > 30_000 * 100, "{during} then {}", fixture.memory.used());
}

const ACCOUNTS: u64 = 12;

fn balance(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()))
}

fn transfer(fixture: &Fixture, transaction: &mut Transaction, random: &mut Random) -> Result<()> {
    let tree = transaction.tree_handle(fixture.tree)?;
    let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
    transaction.start_statement()?;
    for account in [from, to] {
        transaction.lock_row(fixture.tree, &account.to_be_bytes(), RowLockMode::NoKeyUpdate)?;
        if transaction.isolation() == IsolationLevel::RepeatableRead
            && transaction.changed_since_snapshot(&tree, &account.to_be_bytes())?
        {
            return Err(transaction.serialization_failure());
        }
    }
    let amount =
        random.below(10).min(transaction.get(&tree, &from.to_be_bytes(), ReadView::Latest, balance)?);
    let less = transaction.get(&tree, &from.to_be_bytes(), ReadView::Latest, balance)? - amount;
    transaction.put(fixture.tree, &from.to_be_bytes(), &less.to_be_bytes())?;
    let more = transaction.get(&tree, &to.to_be_bytes(), ReadView::Latest, balance)? + amount;
    transaction.put(fixture.tree, &to.to_be_bytes(), &more.to_be_bytes())?;
    transaction.end_statement();
    Ok(())
}

/// Four threads move money at random, a fifth adds it up: every snapshot must hold the same sum.
#[test]
fn every_snapshot_of_concurrent_transfers_holds_the_same_sum() {
    let fixture = Fixture::new();
    let rows: Vec<[u8; 8]> = (0..ACCOUNTS).map(u64::to_be_bytes).collect();
    let start = 100u64.to_be_bytes();
    fixture.write(&rows.iter().map(|key| (&key[..], Some(&start[..]))).collect::<Vec<_>>());
    let running = AtomicU64::new(4);
    let failures = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for seed in 1..=4u64 {
            let (fixture, running, failures) = (&fixture, &running, &failures);
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for round in 0..300 {
                    let mut transaction =
                        if round % 2 == 0 { fixture.begin() } else { fixture.begin_repeatable() };
                    match transfer(fixture, &mut transaction, &mut random) {
                        Ok(()) => {
                            let durability = [Durability::Full, Durability::Normal, Durability::Off];
                            transaction.commit(durability[random.below(3) as usize]).unwrap();
                        }
                        Err(error) => {
                            assert_eq!(error.state().class(), "40", "seed {seed}: {error}");
                            failures.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let (fixture, running) = (&fixture, &running);
        scope.spawn(move || {
            while running.load(Ordering::SeqCst) > 0 {
                let mut reader = fixture.begin_repeatable();
                for _ in 0..2 {
                    let rows = fixture.all(&mut reader);
                    assert_eq!(
                        rows.iter().map(|(_, value)| balance(Some(value))).sum::<u64>(),
                        ACCOUNTS * 100
                    );
                    let singles: u64 = (0..ACCOUNTS)
                        .map(|key| balance(fixture.read(&mut reader, &key.to_be_bytes()).as_deref()))
                        .sum();
                    assert_eq!(singles, ACCOUNTS * 100);
                }
            }
        });
    });
    drop(fixture.begin());
    let statistics = fixture.manager.statistics();
    assert_eq!((statistics.versions, statistics.snapshots), (0, 0));
    assert_eq!(Arc::strong_count(&fixture.manager), 1);
}

#[test]
fn keys_added_in_a_row_stop_at_those_of_others_in_the_tree_or_locked() {
    let fixture = Fixture::new();
    let key = |number: u64| number.to_be_bytes();
    fixture.write(&[(&key(140), Some(b"committed"))]);
    let mut locker = fixture.begin();
    locker.lock_row(fixture.tree, &key(170), RowLockMode::Update).unwrap();

    let mut one = fixture.begin();
    let handle = one.tree_handle(fixture.tree).unwrap();
    let mut fresh = Vec::new();
    for number in 100..200 {
        if one.lock_fresh_key(&handle, &key(number)).unwrap() {
            fresh.push(number);
        } else if number != 170 {
            one.lock_row(fixture.tree, &key(number), RowLockMode::Update).unwrap();
        }
    }
    assert!(fresh.contains(&120) && fresh.contains(&165), "{fresh:?}");
    assert!(!fresh.contains(&140) && !fresh.contains(&170), "{fresh:?}");
    let mut two = fixture.begin();
    for number in fresh {
        assert!(!two.try_lock_row(fixture.tree, &key(number), RowLockMode::KeyShare).unwrap(), "{number}");
    }
    one.rollback();
    assert!(two.try_lock_row(fixture.tree, &key(120), RowLockMode::Update).unwrap());
}

//! Write sets and replaced rows in temporary files: what the model does not show.

use super::{Fixture, begin};
use crate::common::cancel::CancelToken;
use crate::common::clock::SystemClock;
use crate::common::ids::{ObjectId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::common::sync::atomic::Ordering;
use crate::durability::policy::Durability;
use crate::error::SqlState;
use crate::transaction::escalation::Escalation;
use crate::transaction::held_locks::{HeldLocks, LockMark};
use crate::transaction::lock_manager::LockManager;
use crate::transaction::types::{IsolationLevel, ReadView, RowLockMode, TableLockMode};
use std::ops::Bound;

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn spilling(bytes: usize) -> Fixture {
    let fixture = Fixture::with_page_size(4096);
    fixture.spill_bytes.store(bytes, Ordering::Relaxed);
    fixture
}

/// Numbers below `count` in no order.
fn shuffled(count: u64) -> impl Iterator<Item = u64> {
    assert!(count.is_power_of_two());
    (0..count).map(move |number| number.wrapping_mul(0x9e37_79b1) % count)
}

#[test]
fn a_set_in_temporary_files_keeps_little_in_memory_and_commits_every_key_once() {
    let fixture = spilling(64 << 10);
    let before = fixture.memory.used();
    let mut transaction = fixture.begin();
    transaction.start_statement().unwrap();
    for number in shuffled(1 << 14) {
        transaction.put(fixture.tree, &key(number), &[1; 100]).unwrap();
    }
    transaction.next_command();
    for number in shuffled(1 << 14).filter(|number| number % 4 == 0) {
        transaction.delete(fixture.tree, &key(number)).unwrap();
    }
    let log = fixture.manager.log().tail();
    assert_eq!(log, fixture.manager.log().tail(), "nothing is logged before the commit");
    let charged = fixture.memory.used() - before;
    // Files of this fixture are in memory and charged: everything above them is small.
    assert!(charged < (1 << 14) * 200, "{charged}");
    transaction.end_statement();
    transaction.commit(Durability::Full).unwrap();
    let mut reader = fixture.begin();
    let rows = fixture.all(&mut reader);
    assert_eq!(rows.len(), (1 << 14) * 3 / 4);
    assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0));
    drop(reader);
    let mut found = Vec::new();
    assert_eq!(
        fixture.manager.storage().verify(&mut |line| found.push(line.to_owned())).unwrap(),
        0,
        "{found:?}"
    );
}

#[test]
fn ascending_rows_of_a_large_set_are_logged_as_runs_and_fill_their_leaves() {
    let fixture = spilling(64 << 10);
    fixture.write(&[(&key(1), Some(b"first"))]);
    let (rows, value) = (20_000, [1; 100]);
    let log = fixture.manager.log().tail();
    let pages = fixture.manager.storage().statistics().pages;
    let mut transaction = fixture.begin();
    transaction.start_statement().unwrap();
    for number in 0..rows {
        transaction.put(fixture.tree, &key(100 + number), &value).unwrap();
    }
    transaction.end_statement();
    transaction.commit(Durability::Full).unwrap();
    let logged = fixture.manager.log().tail().0 - log.0;
    assert!(logged < rows * (value.len() as u64 + 3), "{logged}");
    // A leaf of 4 KiB holds 34 such rows, and a parent some 200 leaves.
    let made = fixture.manager.storage().statistics().pages - pages;
    assert!(made < rows / 33 + 10, "{made}");
    assert_eq!(fixture.all(&mut fixture.begin()).len() as u64, rows + 1);
    let mut found = Vec::new();
    let findings = fixture.manager.storage().verify(&mut |line| found.push(line.to_owned())).unwrap();
    assert_eq!(findings, 0, "{found:?}");
    assert_eq!(fixture.manager.statistics().versions, 0);
}

#[test]
fn a_row_that_somebody_adds_between_those_of_a_large_commit_stays_for_whoever_saw_it() {
    let fixture = spilling(64 << 10);
    let mut writer = fixture.begin();
    writer.start_statement().unwrap();
    for number in 0..10_000 {
        writer.put(fixture.tree, &key(2 * number), &[1; 100]).unwrap();
    }
    writer.end_statement();
    let start = fixture.manager.log().tail();
    let reader = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            // The large commit has looked at the tree and is being logged.
            super::until(|| fixture.manager.log().tail() > start);
            fixture.write(&[(&key(9_999), Some(b"between"))]);
            let mut reader = fixture.begin_repeatable();
            reader.start_statement().unwrap();
            assert_eq!(fixture.get(&reader, &key(9_999), ReadView::Snapshot).unwrap(), b"between");
            reader
        });
        writer.commit(Durability::Full).unwrap();
        other.join().unwrap()
    });
    assert_eq!(fixture.get(&reader, &key(9_999), ReadView::Snapshot).unwrap(), b"between");
    let rows = fixture.scan(&reader, Bound::Unbounded, Bound::Unbounded, false);
    assert!(rows.iter().any(|(found, _)| *found == key(9_999)), "{}", rows.len());
    assert_eq!(fixture.all(&mut fixture.begin()).len(), 10_001);
}

#[test]
fn a_rollback_of_a_spilled_set_gives_everything_back() {
    let fixture = spilling(16 << 10);
    fixture.write(&[(&key(1), Some(b"stays"))]);
    let before = fixture.memory.used();
    let mut transaction = fixture.begin();
    let mark = transaction.start_statement().unwrap();
    for number in 0..4000 {
        transaction.put(fixture.tree, &key(number), &[1; 100]).unwrap();
    }
    transaction.rollback_to(mark);
    assert!(transaction.is_read_only_so_far());
    assert_eq!(fixture.get(&transaction, &key(1), ReadView::Latest).unwrap(), b"stays");
    for number in 0..4000 {
        transaction.delete(fixture.tree, &key(number)).unwrap();
    }
    assert_eq!(fixture.get(&transaction, &key(1), ReadView::Latest), None);
    transaction.end_statement();
    transaction.rollback();
    assert!(fixture.memory.used() <= before + (128 << 10), "{} {before}", fixture.memory.used());
    let mut reader = fixture.begin();
    assert_eq!(fixture.read(&mut reader, &key(1)).unwrap(), b"stays");
}

#[test]
fn older_snapshots_read_before_and_during_and_after_what_a_large_commit_replaced() {
    let fixture = spilling(16 << 10);
    let mut writer = fixture.begin();
    writer.start_statement().unwrap();
    for number in 0..3000 {
        writer.put(fixture.tree, &key(number), &[1; 60]).unwrap();
    }
    writer.commit(Durability::Full).unwrap();
    let mut old = fixture.begin_repeatable();
    old.start_statement().unwrap();
    std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            let mut writer = fixture.begin();
            writer.start_statement().unwrap();
            for number in 0..3000 {
                if number % 3 == 0 {
                    writer.delete(fixture.tree, &key(number)).unwrap();
                } else {
                    writer.put(fixture.tree, &key(number), &[2; 60]).unwrap();
                }
                writer.put(fixture.tree, &key(10_000 + number), &[2; 60]).unwrap();
            }
            writer.commit(Durability::Full).unwrap();
        });
        while !changes.is_finished() {
            let rows = fixture.scan(&old, Bound::Unbounded, Bound::Unbounded, false);
            assert!(rows.len() == 3000 && rows.iter().all(|(_, value)| value[0] == 1));
        }
    });
    for number in [0, 1, 2999] {
        assert_eq!(fixture.get(&old, &key(number), ReadView::Snapshot).unwrap(), [1; 60]);
    }
    assert_eq!(fixture.get(&old, &key(10_000), ReadView::Snapshot), None);
    let tree = old.tree_handle(fixture.tree).unwrap();
    assert!(old.changed_since_snapshot(&tree, &key(1)).unwrap());
    drop(old);
    let mut new = fixture.begin();
    assert_eq!(fixture.all(&mut new).len(), 5000);
    drop(new);
    drop(fixture.begin());
    assert_eq!(fixture.manager.statistics().versions, 0);
}

#[test]
fn trees_made_and_dropped_by_a_spilled_transaction_are_undone_with_it() {
    let fixture = spilling(4 << 10);
    let mut transaction = fixture.begin();
    transaction.start_statement().unwrap();
    let kept = transaction.create_tree().unwrap();
    for number in 0..500 {
        transaction.put(kept, &key(number), &[1; 50]).unwrap();
    }
    transaction.message(b"first").unwrap();
    let mark = transaction.savemark();
    let undone = transaction.create_tree().unwrap();
    for number in 0..500 {
        transaction.put(undone, &key(number), &[1; 50]).unwrap();
        transaction.put(kept, &key(number), &[2; 50]).unwrap();
    }
    transaction.drop_tree(kept).unwrap();
    for number in 0..500 {
        transaction.put(fixture.tree, &key(number), &[1; 50]).unwrap();
    }
    transaction.rollback_to(mark);
    assert!(transaction.tree_handle(undone).is_err());
    for number in 500..600 {
        transaction.put(kept, &key(number), &[1; 50]).unwrap();
    }
    transaction.max(fixture.tree, b"counter", 7).unwrap();
    transaction.commit(Durability::Full).unwrap();
    let mut reader = begin(&fixture.manager, IsolationLevel::ReadCommitted);
    reader.start_statement().unwrap();
    let tree = reader.tree_handle(kept).unwrap();
    for number in [0, 499, 599] {
        assert!(
            reader.get(&tree, &key(number), ReadView::Snapshot, |value| value == Some(&[1; 50])).unwrap()
        );
    }
    assert_eq!(fixture.scan(&reader, Bound::Unbounded, Bound::Unbounded, false).len(), 1);
    assert_eq!(fixture.get(&reader, b"counter", ReadView::Snapshot).unwrap(), 7u64.to_be_bytes());
}

#[test]
fn a_cancelled_commit_of_chunks_leaves_nothing() {
    let fixture = spilling(64 << 10);
    let cancel = CancelToken::default();
    let mut transaction =
        fixture.spilling(fixture.manager.begin(IsolationLevel::ReadCommitted, false, cancel.clone()));
    transaction.start_statement().unwrap();
    for number in 0..10_000 {
        transaction.put(fixture.tree, &key(number), &[1; 100]).unwrap();
    }
    transaction.end_statement();
    cancel.start_statement();
    let start = fixture.manager.log().tail();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            super::until(|| fixture.manager.log().tail() > start);
            cancel.cancel(0);
        });
        transaction.commit(Durability::Full)
    });
    let rows = fixture.all(&mut fixture.begin()).len();
    match result {
        Ok(_) => assert_eq!(rows, 10_000),
        Err(error) => assert_eq!((error.state(), rows), (SqlState::QUERY_CANCELED, 0)),
    }
}

#[test]
fn keys_changed_one_after_the_other_are_one_lock_of_their_mode_and_others_meet_it() {
    let fixture = Fixture::new();
    let mut writer = fixture.begin();
    let tree = fixture.tree;
    let before = fixture.memory.used();
    for number in 0..20_000 {
        writer.lock_row(tree, &key(number), RowLockMode::NoKeyUpdate).unwrap();
    }
    assert!(fixture.memory.used() - before < 64 << 10, "{}", fixture.memory.used() - before);
    let mut other = fixture.begin();
    assert!(other.try_lock_row(tree, &key(15_000), RowLockMode::KeyShare).unwrap());
    assert!(!other.try_lock_row(tree, &key(15_001), RowLockMode::Share).unwrap());
    assert!(other.try_lock_row(tree, &key(30_000), RowLockMode::Update).unwrap());
    // The key that somebody shares can be changed further only when it is let go.
    assert!(!writer.try_lock_row(tree, &key(15_000), RowLockMode::Update).unwrap());
    assert!(writer.try_lock_row(tree, &key(15_002), RowLockMode::Update).unwrap());
    assert!(!other.try_lock_row(tree, &key(15_002), RowLockMode::KeyShare).unwrap());
    drop(other);
    assert!(writer.try_lock_row(tree, &key(15_000), RowLockMode::Update).unwrap());
    drop(writer);
    let mut other = fixture.begin();
    for number in [0, 15_000, 15_002, 19_999] {
        assert!(other.try_lock_row(tree, &key(number), RowLockMode::Update).unwrap());
    }
}

#[test]
fn very_many_locks_in_no_order_take_a_few_bytes_each_and_others_meet_them() {
    let fixture = Fixture::new();
    let mut writer = fixture.begin();
    let tree = fixture.tree;
    for number in shuffled(1 << 11) {
        writer.lock_row(tree, &key(1_000_000 + number), RowLockMode::Update).unwrap();
    }
    let before = fixture.memory.used();
    let count = 1 << 16;
    for number in shuffled(count) {
        writer.lock_row(tree, &key(number), RowLockMode::NoKeyUpdate).unwrap();
    }
    let bytes = fixture.memory.used() - before;
    assert!(bytes < 4 * count as usize, "{bytes}");
    // Again, and stronger.
    for number in [7, 8, 40_000] {
        writer.lock_row(tree, &key(number), RowLockMode::NoKeyUpdate).unwrap();
        writer.lock_row(tree, &key(number + 10), RowLockMode::Update).unwrap();
    }
    let mut other = fixture.begin();
    assert!(other.try_lock_row(tree, &key(50_000), RowLockMode::KeyShare).unwrap());
    assert!(!other.try_lock_row(tree, &key(50_001), RowLockMode::Share).unwrap());
    assert!(!other.try_lock_row(tree, &key(17), RowLockMode::KeyShare).unwrap());
    assert!(other.try_lock_row(tree, &key(500_000), RowLockMode::Update).unwrap());
    assert!(!writer.try_lock_row(tree, &key(500_000), RowLockMode::Update).unwrap());
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let mut waiter = fixture.begin();
            waiter.lock_row(tree, &key(60_000), RowLockMode::Update).unwrap();
        });
        super::until(|| fixture.manager.lock_manager().waiting_count() == 1);
        drop(writer);
        waits.join().unwrap();
    });
    for number in [0, 17, 50_001, 65_535, 1_000_003] {
        assert!(other.try_lock_row(tree, &key(number), RowLockMode::Update).unwrap());
    }
    drop(other);
    assert!(fixture.memory.used() < before, "{} {before}", fixture.memory.used());
}

#[test]
fn very_many_row_locks_become_a_table_lock_when_nobody_else_is_at_work() {
    let memory = MemoryAccount::new(1 << 20);
    let locks = LockManager::new(&memory, std::sync::Arc::new(SystemClock::new()));
    let (owner, other) = (locks.add_owner(), locks.add_owner());
    let (mut held, mut others) = (HeldLocks::new(&memory), HeldLocks::new(&memory));
    let (table, tree, cancel) = (ObjectId(7), TreeId(20), CancelToken::default());
    let mut escalation = Escalation::new(&memory);
    let ask = |escalation: &mut Escalation, held: &mut HeldLocks| {
        escalation.ask(&locks, &owner, held, table, [tree].into_iter()).unwrap();
        escalation.covers(tree)
    };
    locks.lock_table(&owner, &mut held, table, TableLockMode::RowExclusive, &cancel).unwrap();
    locks.lock_table(&other, &mut others, table, TableLockMode::RowShare, &cancel).unwrap();
    let start = held.mark(0);
    for number in shuffled(1 << 11) {
        assert!(!ask(&mut escalation, &mut held), "somebody else is at work");
        locks.lock_row(&owner, &mut held, (tree, &key(number)), RowLockMode::Update, &cancel).unwrap();
    }
    locks.release_to(&other, &mut others, LockMark::default());
    escalation.released_to(held.len());
    locks.lock_table(&other, &mut others, table, TableLockMode::AccessShare, &cancel).unwrap();
    let before = held.mark(0);
    assert!(ask(&mut escalation, &mut held), "readers are in nobody's way");
    let row_share = TableLockMode::RowShare;
    assert!(!locks.try_lock_table_strongly(&other, &mut others, table, row_share).unwrap());
    locks.release_to(&owner, &mut held, before);
    escalation.released_to(held.len());
    assert!(!escalation.covers(tree), "it is undone with what came after the mark");
    assert!(locks.try_lock_table_strongly(&other, &mut others, table, row_share).unwrap());
    assert!(!locks.try_lock_row(&other, &mut others, (tree, &key(5)), RowLockMode::Update).unwrap());
    locks.release_to(&owner, &mut held, start);
    assert!(locks.try_lock_row(&other, &mut others, (tree, &key(5)), RowLockMode::Update).unwrap());
}

#[test]
fn beyond_the_budget_the_oldest_snapshot_is_too_old_and_writers_and_younger_readers_go_on() {
    let fixture = Fixture::new();
    for number in 0..40 {
        fixture.write(&[(&key(number), Some(&[1; 100]))]);
    }
    fixture.manager.set_version_bytes_max(20_000);
    let mut old = fixture.begin_repeatable();
    old.start_statement().unwrap();
    let before = fixture.scan(&old, Bound::Unbounded, Bound::Unbounded, false);
    assert_eq!(before.len(), 40);
    let mut young = None;
    let mut refused = false;
    for round in 0..200u64 {
        let number = round % 40;
        // Emptied leaves go, rows and all that said that they had changed.
        fixture.write(&[(&key(number), None)]);
        fixture.write(&[(&key(1000 + round), Some(&[2; 100]))]);
        let tree = old.tree_handle(fixture.tree).unwrap();
        let read = old.get(&tree, &key(number), ReadView::Snapshot, |value| value.map(<[u8]>::to_vec));
        match read {
            Ok(value) => assert_eq!(value.unwrap(), [1; 100], "round {round}"),
            Err(error) => {
                assert_eq!(error.state(), SqlState::SNAPSHOT_TOO_OLD);
                refused = true;
            }
        }
        let mut scan = old.scan(&tree, Bound::Unbounded, Bound::Unbounded, round % 2 == 0);
        let mut rows = 0;
        let end = loop {
            match scan.next(&old, |block| (0..block.len()).filter(|index| block.is_live(*index)).count()) {
                Ok(Some(count)) => rows += count,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.state()),
            }
        };
        assert!(end == Err(SqlState::SNAPSHOT_TOO_OLD) || (rows == 40 && !refused), "round {round}: {rows}");
        if round == 150 {
            let mut reader = fixture.begin_repeatable();
            reader.start_statement().unwrap();
            let rows = fixture.scan(&reader, Bound::Unbounded, Bound::Unbounded, false);
            young = Some((reader, rows));
        }
    }
    assert!(refused, "the budget was never passed");
    let (reader, rows) = young.unwrap();
    assert_eq!(fixture.scan(&reader, Bound::Unbounded, Bound::Unbounded, true).len(), rows.len());
    drop(old);
    let mut fresh = fixture.begin();
    assert_eq!(fixture.all(&mut fresh).len(), 200);
}

#[test]
fn what_nobody_needs_any_more_goes_before_anybody_is_refused() {
    let fixture = Fixture::new();
    for number in 0..50 {
        fixture.write(&[(&key(number), Some(&[1; 100]))]);
    }
    let mut old = fixture.begin_repeatable();
    old.start_statement().unwrap();
    fixture.scan(&old, Bound::Unbounded, Bound::Unbounded, false);
    for round in 1..=400u64 {
        let keys: Vec<_> = (0..50).map(|number| key(round * 100 + number * 2)).collect();
        let value = [round as u8; 10];
        let changes: Vec<(&[u8], Option<&[u8]>)> =
            keys.iter().map(|key| (&key[..], Some(&value[..]))).collect();
        fixture.write(&changes);
    }
    // More than is collected at a time by whoever comes by.
    drop(old);
    let mut young = fixture.begin_repeatable();
    young.start_statement().unwrap();
    let before = fixture.scan(&young, Bound::Unbounded, Bound::Unbounded, false);
    assert!(fixture.manager.statistics().version_bytes > 1_000_000);
    fixture.manager.set_version_bytes_max(100_000);
    fixture.write(&[(&key(1), Some(&[7; 100]))]);
    assert_eq!(fixture.scan(&young, Bound::Unbounded, Bound::Unbounded, false), before);
    assert!(fixture.manager.statistics().version_bytes < 100_000);
}

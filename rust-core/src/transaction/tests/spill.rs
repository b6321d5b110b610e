//! Write sets and replaced rows in temporary files: what the model does not show.

use super::{Fixture, begin};
use crate::common::cancel::CancelToken;
use crate::common::sync::atomic::Ordering;
use crate::durability::policy::Durability;
use crate::error::SqlState;
use crate::transaction::types::{IsolationLevel, ReadView};
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

//! Serializable transactions: what they read is compared with what was committed since their snapshot.

use super::{Fixture, begin, until};
use crate::common::cancel::CancelToken;
use crate::common::ids::Lsn;
use crate::common::random::Random;
use crate::common::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, Parts, ReadView, RowLockMode};
use std::ops::Bound;

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn numbered(fixture: &Fixture, count: u64) {
    let mut transaction = fixture.begin();
    transaction.start_statement().unwrap();
    for number in 0..count {
        transaction.put(fixture.tree, &key(number * 10), b"before").unwrap();
    }
    transaction.commit(Durability::Full).unwrap();
}

fn put(fixture: &Fixture, transaction: &mut Transaction, key: &[u8]) {
    transaction.start_statement().unwrap();
    transaction.lock_row(fixture.tree, key, RowLockMode::Update).unwrap();
    transaction.put(fixture.tree, key, b"after").unwrap();
    transaction.end_statement();
}

fn commit(transaction: Transaction) -> Result<Option<Lsn>> {
    transaction.commit(Durability::Off)
}

fn assert_refused(result: &Result<Option<Lsn>>) {
    let error = result.as_ref().unwrap_err();
    assert_eq!(error.state(), SqlState::SERIALIZATION_FAILURE, "{error}");
    assert!(error.message().contains("read/write dependencies"), "{error}");
}

/// What a transaction reads before it writes a key of its own.
type ReadWhat = fn(&Fixture, &mut Transaction);

fn read_point(fixture: &Fixture, transaction: &mut Transaction) {
    fixture.read(transaction, &key(500));
}

fn read_absent(fixture: &Fixture, transaction: &mut Transaction) {
    assert_eq!(fixture.read(transaction, &key(505)), None);
}

fn read_many_points(fixture: &Fixture, transaction: &mut Transaction) {
    transaction.start_statement().unwrap();
    let tree = transaction.tree_handle(fixture.tree).unwrap();
    transaction.get_each(&tree, &[key(490), key(500), key(510)], || Parts::ALL, |_, _| Ok(())).unwrap();
    transaction.end_statement();
}

fn read_range(fixture: &Fixture, transaction: &mut Transaction) {
    scan(fixture, transaction, false);
}

fn read_range_backward(fixture: &Fixture, transaction: &mut Transaction) {
    scan(fixture, transaction, true);
}

fn scan(fixture: &Fixture, transaction: &mut Transaction, backward: bool) {
    transaction.start_statement().unwrap();
    fixture.scan(transaction, Bound::Included(&key(400)), Bound::Excluded(&key(600)), backward);
    transaction.end_statement();
}

/// Commits a change of `written` between the reads and the commit of another transaction.
fn outcome(level: IsolationLevel, read: ReadWhat, written: u64, value: Option<&[u8]>) -> Result<Option<Lsn>> {
    let fixture = Fixture::new();
    numbered(&fixture, 200);
    let mut transaction = begin(&fixture.manager, level);
    read(&fixture, &mut transaction);
    fixture.write(&[(&key(written), value)]);
    put(&fixture, &mut transaction, &key(999_999));
    commit(transaction)
}

#[test]
fn a_commit_whose_reads_changed_is_refused_and_only_at_serializable() {
    let reads: [(ReadWhat, u64); 5] = [
        (read_point, 500),
        (read_absent, 505),
        (read_many_points, 510),
        (read_range, 400),
        (read_range_backward, 599),
    ];
    for (index, (read, written)) in reads.into_iter().enumerate() {
        for value in [Some(&b"other"[..]), None] {
            if value.is_none() && written % 10 != 0 {
                continue;
            }
            assert_refused(&outcome(IsolationLevel::Serializable, read, written, value));
            for level in [IsolationLevel::ReadCommitted, IsolationLevel::RepeatableRead] {
                assert!(outcome(level, read, written, value).unwrap().is_some(), "read {index} at {level:?}");
            }
        }
    }
}

#[test]
fn what_was_not_read_may_change() {
    for (read, written) in
        [(read_point as ReadWhat, 501), (read_absent, 500), (read_range, 600), (read_range, 399)]
    {
        assert!(outcome(IsolationLevel::Serializable, read, written, Some(b"other")).unwrap().is_some());
    }
}

#[test]
fn a_write_skew_is_refused_and_happens_at_repeatable_read() {
    for (level, is_refused) in [(IsolationLevel::Serializable, true), (IsolationLevel::RepeatableRead, false)]
    {
        let fixture = Fixture::new();
        numbered(&fixture, 2);
        let mut pair = [begin(&fixture.manager, level), begin(&fixture.manager, level)];
        for transaction in &mut pair {
            fixture.read(transaction, &key(0));
            fixture.read(transaction, &key(10));
        }
        let [mut one, mut other] = pair;
        put(&fixture, &mut one, &key(0));
        put(&fixture, &mut other, &key(10));
        commit(one).unwrap();
        let outcome = commit(other);
        assert_eq!(outcome.is_err(), is_refused, "{level:?}");
        let rows = fixture.all(&mut fixture.begin());
        let changed = rows.iter().filter(|(_, value)| value == b"after").count();
        assert_eq!(changed, if is_refused { 1 } else { 2 }, "a refused commit leaves nothing");
    }
}

#[test]
fn who_only_reads_is_never_refused() {
    let fixture = Fixture::new();
    numbered(&fixture, 20);
    let mut declared = fixture.manager.begin(IsolationLevel::Serializable, true, CancelToken::default());
    fixture.all(&mut declared);
    assert!(!fixture.manager.history.is_recording(), "nobody can be refused");
    let mut undeclared = fixture.begin_serializable();
    let before = fixture.all(&mut undeclared);
    fixture.write(&[(&key(0), None), (&key(5), Some(b"new"))]);
    assert_eq!(fixture.all(&mut undeclared), before);
    assert_eq!(commit(undeclared).unwrap(), None);
    assert_eq!(commit(declared).unwrap(), None);
}

#[test]
fn a_scan_that_ends_early_has_read_as_far_as_it_came() {
    for (backward, untouched, touched) in [(false, 1990, 0), (true, 0, 1990)] {
        for (written, is_refused) in [(untouched, false), (touched, true)] {
            let fixture = Fixture::new();
            numbered(&fixture, 200);
            let mut transaction = fixture.begin_serializable();
            transaction.start_statement().unwrap();
            let tree = transaction.tree_handle(fixture.tree).unwrap();
            let mut scan = transaction.scan(&tree, Bound::Unbounded, Bound::Unbounded, backward);
            assert!(scan.next(&transaction, |rows| rows.len() < 150).unwrap().unwrap(), "more than one leaf");
            drop(scan);
            transaction.end_statement();
            fixture.write(&[(&key(written), None)]);
            put(&fixture, &mut transaction, &key(999_999));
            assert_eq!(commit(transaction).is_err(), is_refused, "backward {backward}, {written}");
        }
    }
}

#[test]
fn a_scan_among_own_writes_is_recorded_too() {
    for backward in [false, true] {
        let fixture = Fixture::new();
        numbered(&fixture, 200);
        let mut transaction = fixture.begin_serializable();
        for number in [405, 455, 500] {
            put(&fixture, &mut transaction, &key(number));
        }
        scan(&fixture, &mut transaction, backward);
        fixture.write(&[(&key(594), Some(b"phantom"))]);
        assert_refused(&commit(transaction));
    }
}

#[test]
fn what_was_seen_under_a_lock_and_undone_counts() {
    let fixture = Fixture::new();
    numbered(&fixture, 2);
    let mut transaction = fixture.begin_serializable();
    let mark = transaction.start_statement().unwrap();
    transaction.lock_row(fixture.tree, &key(5), RowLockMode::Update).unwrap();
    assert_eq!(fixture.get(&transaction, &key(5), ReadView::Latest), None);
    transaction.put(fixture.tree, &key(5), b"mine").unwrap();
    transaction.rollback_to(mark);
    fixture.write(&[(&key(5), Some(b"theirs"))]);
    put(&fixture, &mut transaction, &key(999));
    assert_refused(&commit(transaction));
}

/// Reads parts of the value under key 500 in one of four ways.
fn read_parts(fixture: &Fixture, transaction: &mut Transaction, way: usize, parts: Parts) {
    transaction.start_statement().unwrap();
    let tree = transaction.tree_handle(fixture.tree).unwrap();
    match way {
        0 => {
            transaction
                .get_parts(&tree, &key(500), ReadView::Snapshot, || parts, |value| assert!(value.is_some()))
                .unwrap();
        }
        1 => transaction.get_each(&tree, &[key(490), key(500)], || parts, |_, _| Ok(())).unwrap(),
        _ => {
            let (lower, upper) = (key(400), key(600));
            let mut scan = transaction
                .scan(&tree, Bound::Included(&lower), Bound::Excluded(&upper), way == 3)
                .of_parts(|| parts);
            while scan.next(transaction, |_| ()).unwrap().is_some() {}
        }
    }
    transaction.end_statement();
}

/// A write of a key: `None` deletes it, the parts say what a put changes.
type PartsWritten<'a> = &'a [(u64, Option<Option<Parts>>)];

/// Commits writes, each a statement of its own.
fn write_parts(fixture: &Fixture, writes: PartsWritten<'_>) {
    let mut transaction = fixture.begin();
    for (number, what) in writes {
        transaction.start_statement().unwrap();
        match what {
            None => transaction.delete(fixture.tree, &key(*number)).unwrap(),
            Some(None) => transaction.put(fixture.tree, &key(*number), b"whole").unwrap(),
            Some(Some(parts)) => {
                assert!(transaction.tells_parts(), "somebody is serializable");
                transaction.put_parts(fixture.tree, &key(*number), b"part", *parts).unwrap();
            }
        }
        transaction.end_statement();
    }
    commit(transaction).unwrap();
}

#[test]
fn a_change_of_parts_that_were_not_read_is_no_conflict_and_any_other_change_is() {
    let of = |parts: &[usize]| parts.iter().fold(Parts::NONE, |changed, part| changed.with(*part));
    let changed = |parts: &[usize]| Some(Some(of(parts)));
    let cases: [(Parts, PartsWritten<'_>, bool); 16] = [
        (Parts::read(&[1]), &[(500, changed(&[2]))], false),
        (Parts::read(&[1]), &[(500, changed(&[0, 2]))], false),
        (Parts::read(&[1]), &[(500, changed(&[1]))], true),
        (Parts::read(&[1, 3]), &[(500, changed(&[0, 3]))], true),
        (Parts::ALL, &[(500, changed(&[2]))], true),
        (Parts::EXISTENCE, &[(500, changed(&[0, 1, 2, 70]))], false),
        (Parts::EXISTENCE, &[(500, Some(None))], true),
        (Parts::EXISTENCE, &[(500, None)], true),
        (Parts::read(&[1]), &[(500, None)], true),
        // Parts far behind are one.
        (Parts::read(&[63]), &[(500, changed(&[100]))], true),
        (Parts::read(&[61]), &[(500, changed(&[62]))], false),
        // What a transaction does to a key adds up.
        (Parts::read(&[1]), &[(500, changed(&[1])), (500, changed(&[2]))], true),
        (Parts::read(&[1]), &[(500, changed(&[2])), (500, changed(&[3]))], false),
        (Parts::read(&[1]), &[(500, None), (500, changed(&[2]))], true),
        (Parts::read(&[1]), &[(500, Some(None)), (500, changed(&[2]))], true),
        (Parts::ALL, &[(500, Some(Some(Parts::NONE))), (700, Some(None))], false),
    ];
    for (case, (read, written, is_refused)) in cases.into_iter().enumerate() {
        for way in 0..4 {
            let fixture = Fixture::new();
            numbered(&fixture, 200);
            let mut transaction = fixture.begin_serializable();
            read_parts(&fixture, &mut transaction, way, read);
            write_parts(&fixture, written);
            put(&fixture, &mut transaction, &key(999_999));
            assert_eq!(commit(transaction).is_err(), is_refused, "case {case}, way {way}");
        }
    }
}

#[test]
fn where_it_is_not_known_which_parts_change_all_do() {
    type Write = fn(&Fixture, &mut Transaction);
    let writes: [(&str, bool, Write); 4] = [
        ("many at once", false, |fixture, transaction| {
            for number in (490..560).step_by(10) {
                transaction.put_parts(fixture.tree, &key(number), b"x", Parts::NONE.with(2)).unwrap();
            }
        }),
        ("a savepoint", false, |fixture, transaction| {
            let mark = transaction.savemark();
            transaction.put_parts(fixture.tree, &key(500), b"x", Parts::NONE.with(1)).unwrap();
            transaction.rollback_to(mark);
            transaction.start_statement().unwrap();
            transaction.put_parts(fixture.tree, &key(500), b"x", Parts::NONE.with(2)).unwrap();
        }),
        ("what is undone does not speak for what follows", true, |fixture, transaction| {
            let mark = transaction.savemark();
            transaction.put_parts(fixture.tree, &key(500), b"x", Parts::NONE.with(2)).unwrap();
            transaction.rollback_to(mark);
            transaction.start_statement().unwrap();
            transaction.put(fixture.tree, &key(500), b"x").unwrap();
        }),
        ("temporary files", true, |fixture, transaction| {
            transaction.set_spill_bytes(4 << 10);
            for number in (400..900).step_by(10) {
                transaction.put_parts(fixture.tree, &key(number), &[1; 200], Parts::NONE.with(2)).unwrap();
            }
        }),
    ];
    for (name, is_refused, write) in writes {
        let fixture = Fixture::new();
        numbered(&fixture, 200);
        let mut reader = fixture.begin_serializable();
        read_parts(&fixture, &mut reader, 0, Parts::read(&[1]));
        let mut writer = fixture.begin();
        writer.start_statement().unwrap();
        write(&fixture, &mut writer);
        writer.end_statement();
        commit(writer).unwrap();
        put(&fixture, &mut reader, &key(999_999));
        assert_eq!(commit(reader).is_err(), is_refused, "{name}");
    }
}

#[test]
fn consecutive_keys_of_which_parts_change_are_never_taken_for_unchanged() {
    // So many in a row become a run without versions.
    let fixture = Fixture::new();
    let mut transaction = fixture.begin();
    transaction.start_statement().unwrap();
    (0..400).for_each(|number| transaction.put(fixture.tree, &key(number), b"before").unwrap());
    commit(transaction).unwrap();
    for (read, changed) in [(10, 1), (390, 1), (399, 1), (390, 2)] {
        let mut reader = fixture.begin_serializable();
        reader.start_statement().unwrap();
        let tree = reader.tree_handle(fixture.tree).unwrap();
        reader.get_parts(&tree, &key(read), ReadView::Snapshot, || Parts::read(&[1]), |_| ()).unwrap();
        reader.end_statement();
        let mut writer = fixture.begin();
        writer.start_statement().unwrap();
        for number in 0..400 {
            let parts = Parts::NONE.with(changed);
            writer.put_parts(fixture.tree, &key(number), b"after", parts).unwrap();
        }
        // Above the run.
        let parts = Parts::NONE.with(2);
        writer.put_parts(fixture.tree, &key(399), b"once more", parts).unwrap();
        writer.end_statement();
        commit(writer).unwrap();
        put(&fixture, &mut reader, &key(999_999));
        let refused = commit(reader).is_err();
        assert!(refused || changed == 2, "{read}, {changed}");
    }
}

/// What others commit while a transaction runs is a conflict exactly if it changes something that was read.
#[test]
fn random_reads_and_changes_of_parts_conflict_where_they_meet() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let fixture = Fixture::new();
        numbered(&fixture, 8);
        let mut reader = fixture.begin_serializable();
        let (mut read, mut conflict) = (Vec::new(), false);
        reader.start_statement().unwrap();
        let tree = reader.tree_handle(fixture.tree).unwrap();
        for _ in 0..random.below(6) {
            let (number, part) = (random.below(8) * 10, random.below(4) as usize);
            reader
                .get_parts(&tree, &key(number), ReadView::Snapshot, || Parts::read(&[part]), |_| ())
                .unwrap();
            read.push((number, part));
        }
        reader.end_statement();
        for _ in 0..random.below(4) {
            let mut writer = fixture.begin();
            writer.start_statement().unwrap();
            let start = writer.savemark();
            let mut written = Vec::new();
            for _ in 0..random.below(5) {
                let (number, part) = (random.below(8) * 10, random.below(4) as usize);
                match random.below(8) {
                    0 => {
                        writer.rollback_to(start);
                        writer.start_statement().unwrap();
                        written.clear();
                    }
                    1 => {
                        writer.put(fixture.tree, &key(number), b"whole").unwrap();
                        written.extend((0..4).map(|part| (number, part)));
                    }
                    _ => {
                        let parts = Parts::NONE.with(part);
                        writer.put_parts(fixture.tree, &key(number), b"part", parts).unwrap();
                        written.push((number, part));
                    }
                }
            }
            writer.end_statement();
            commit(writer).unwrap();
            conflict |= written.iter().any(|change| read.contains(change));
        }
        put(&fixture, &mut reader, &key(999_999));
        // Four kinds of changes of a tree are kept apart at least.
        assert_eq!(commit(reader).is_err(), conflict, "seed {seed}");
    }
}

#[test]
fn large_small_and_structural_commits_all_count() {
    type Write = fn(&Fixture, &mut Transaction);
    let writes: [(&str, Write); 5] = [
        ("a run behind the end", |fixture, transaction| {
            for number in 10_000..10_200 {
                transaction.put(fixture.tree, &key(number), b"row").unwrap();
            }
        }),
        ("keys in no order", |fixture, transaction| {
            for number in (10_000..10_400).rev() {
                transaction.put_unordered(fixture.tree, &key(number), b"row").unwrap();
            }
        }),
        ("temporary files", |fixture, transaction| {
            transaction.set_spill_bytes(4 << 10);
            for number in 10_000..10_400 {
                transaction.put(fixture.tree, &key(number), &[1; 100]).unwrap();
            }
        }),
        ("a built tree", |fixture, transaction| {
            let mut builder = transaction.build(fixture.tree).unwrap();
            (10_000..10_400).for_each(|number| builder.push(&key(number), b"row").unwrap());
            transaction.link(builder.finish().unwrap().unwrap());
        }),
        ("a dropped tree", |fixture, transaction| transaction.drop_tree(fixture.tree).unwrap()),
    ];
    for (name, write) in writes {
        for (read, is_refused) in [(10_100, true), (9_000, name.ends_with("tree"))] {
            let fixture = Fixture::new();
            let mut reader = fixture.begin_serializable();
            assert_eq!(fixture.read(&mut reader, &key(read)), None);
            let mut writer = fixture.begin();
            writer.start_statement().unwrap();
            write(&fixture, &mut writer);
            writer.end_statement();
            commit(writer).unwrap();
            reader.start_statement().unwrap();
            let other = reader.create_tree().unwrap();
            reader.put(other, b"k", b"v").unwrap();
            reader.end_statement();
            assert_eq!(commit(reader).is_err(), is_refused, "{name}, read {read}");
        }
    }
}

#[test]
fn with_too_much_to_remember_the_oldest_is_refused_and_the_others_go_on() {
    let fixture = Fixture::new();
    numbered(&fixture, 10);
    fixture.manager.history.set_bytes_max(8 << 10);
    let mut oldest = fixture.begin_serializable();
    fixture.read(&mut oldest, &key(0));
    let mut read_only_so_far = fixture.begin_serializable();
    fixture.read(&mut read_only_so_far, &key(0));
    for number in 0..200 {
        fixture.write(&[(&key(5_000 + number * 7), Some(b"unrelated"))]);
    }
    let mut newest = fixture.begin_serializable();
    fixture.read(&mut newest, &key(0));
    put(&fixture, &mut oldest, &key(1));
    put(&fixture, &mut newest, &key(2));
    let refused = commit(oldest);
    assert_refused(&refused);
    assert!(refused.unwrap_err().detail_text().is_some_and(|detail| detail.contains("room")));
    assert_eq!(commit(read_only_so_far).unwrap(), None);
    assert!(commit(newest).unwrap().is_some());
}

#[test]
fn nothing_is_kept_once_nobody_asks() {
    let fixture = Fixture::new();
    let mut transaction = fixture.begin_serializable();
    fixture.read(&mut transaction, b"k");
    fixture.write(&[(b"a", Some(b"1"))]);
    fixture.write(&[(b"b", Some(b"1"))]);
    assert_eq!(fixture.manager.history.len(), 2);
    transaction.rollback();
    assert_eq!(fixture.manager.history.len(), 0);
    for number in 0..1000 {
        fixture.write(&[(&key(number), Some(b"1"))]);
    }
    assert!(!fixture.manager.history.is_recording());
    assert_eq!(fixture.manager.history.len(), 0);
}

#[test]
fn a_snapshot_waits_for_commits_that_nobody_noted() {
    let fixture = Fixture::new();
    fixture.write(&[(b"k", Some(b"1"))]);
    let manager = &fixture.manager;
    // A commit is in the log, and its publication takes its time.
    let late = Lsn(manager.visible_lsn().0 + 8);
    let ticket = {
        let _order = manager.commit_mutex.lock();
        manager.publish.join(late)
    };
    let is_published = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut transaction = fixture.begin_serializable();
            transaction.start_statement().unwrap();
            assert!(is_published.load(Ordering::SeqCst), "it would not know what that commit wrote");
            transaction.snapshot_timestamp()
        });
        until(|| manager.history.is_recording());
        is_published.store(true, Ordering::SeqCst);
        assert!(manager.publish.finish(ticket, &manager.snapshots, || false));
        assert!(reader.join().unwrap() >= late);
    });
}

/// Takes from one of two accounts what both together have, again and again, in several threads at once.
#[test]
fn two_accounts_together_are_never_overdrawn() {
    for seed in 0..4 {
        let fixture = Fixture::new();
        let number = |value: Option<Vec<u8>>| u64::from_be_bytes(value.unwrap().try_into().unwrap());
        fixture.write(&[(b"a", Some(&key(40))), (b"b", Some(&key(40)))]);
        let (taken, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (fixture, taken, refused) = (&fixture, &taken, &refused);
                scope.spawn(move || {
                    let mut random = Random::new(seed * 3 + thread);
                    for _ in 0..150 {
                        let mine: &[u8] = if random.below(2) == 0 { b"a" } else { b"b" };
                        let result = (|| {
                            let mut transaction = fixture.begin_serializable();
                            transaction.start_statement()?;
                            let [a, b] = [b"a", b"b"]
                                .map(|k| number(fixture.get(&transaction, k, ReadView::Snapshot)));
                            transaction.end_statement();
                            // Each account may go below zero, both together may not: kept as an offset.
                            if a + b <= 60 {
                                return Ok(false);
                            }
                            transaction.start_statement()?;
                            transaction.lock_row(fixture.tree, mine, RowLockMode::Update)?;
                            let tree = transaction.tree_handle(fixture.tree)?;
                            if transaction.changed_since_snapshot(&tree, mine)? {
                                return Err(transaction.serialization_failure());
                            }
                            let left = if mine == b"a" { a - 1 } else { b - 1 };
                            transaction.put(fixture.tree, mine, &key(left))?;
                            transaction.end_statement();
                            commit(transaction)?;
                            Ok::<bool, Error>(true)
                        })();
                        match result {
                            Ok(true) => taken.fetch_add(1, Ordering::Relaxed),
                            Ok(false) => 0,
                            Err(error) => {
                                assert_eq!(error.state(), SqlState::SERIALIZATION_FAILURE, "{error}");
                                refused.fetch_add(1, Ordering::Relaxed)
                            }
                        };
                    }
                });
            }
        });
        let mut reader = fixture.begin();
        let left = number(fixture.read(&mut reader, b"a")) + number(fixture.read(&mut reader, b"b"));
        assert_eq!(left, 80 - taken.into_inner(), "seed {seed}: an update was lost");
        assert_eq!(left, 60, "seed {seed}: {} were refused", refused.into_inner());
    }
}

/// How many transactions each of two threads commits.
const DISJOINT: u64 = 1_000;

#[test]
fn disjoint_writers_are_never_refused() {
    let fixture = Fixture::new();
    numbered(&fixture, 64);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let fixture = &fixture;
            scope.spawn(move || {
                let mut random = Random::new(thread);
                for number in 0..DISJOINT {
                    let mut transaction = fixture.begin_serializable();
                    for _ in 0..3 {
                        let own = key((random.below(32) * 2 + thread) * 10);
                        fixture.read(&mut transaction, &own);
                        put(fixture, &mut transaction, &own);
                    }
                    let outcome = commit(transaction);
                    assert!(outcome.is_ok(), "thread {thread}, transaction {number}: {outcome:?}");
                }
            });
        }
    });
}

//! Random histories against a serial map: every open snapshot must read the map of its moment, forward and
//! backward, by key and by scan, whatever was committed, deleted and cleaned since.

use super::Fixture;
use crate::common::random::Random;
use crate::common::sync::atomic::Ordering;
use crate::durability::policy::Durability;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::ReadView;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 => vec![random.below(8) as u8],
        1 => vec![random.below(8) as u8, random.below(30) as u8],
        _ => random.below(60).to_be_bytes().to_vec(),
    }
}

/// A range of the map, in the scan's order.
fn expected(
    map: &Map,
    lower: &Bound<Vec<u8>>,
    upper: &Bound<Vec<u8>>,
    backward: bool,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let above = |key: &Vec<u8>| match lower {
        Bound::Included(low) => key >= low,
        Bound::Excluded(low) => key > low,
        Bound::Unbounded => true,
    };
    let below = |key: &Vec<u8>| match upper {
        Bound::Included(high) => key <= high,
        Bound::Excluded(high) => key < high,
        Bound::Unbounded => true,
    };
    let mut rows: Vec<_> = map
        .iter()
        .filter(|(key, _)| above(key) && below(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if backward {
        rows.reverse();
    }
    rows
}

fn check(fixture: &Fixture, transaction: &Transaction, map: &Map, random: &mut Random, seed: u64) {
    let bound = |random: &mut Random| match random.below(3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(key(random)),
        _ => Bound::Excluded(key(random)),
    };
    let (lower, upper, backward) = (bound(random), bound(random), random.below(2) == 0);
    let rows = fixture.scan(
        transaction,
        lower.as_ref().map(Vec::as_slice),
        upper.as_ref().map(Vec::as_slice),
        backward,
    );
    assert_eq!(rows, expected(map, &lower, &upper, backward), "seed {seed}: {lower:?} {upper:?} {backward}");
    for _ in 0..4 {
        let key = key(random);
        let found = fixture.get(transaction, &key, ReadView::Snapshot);
        assert_eq!(found, map.get(&key).cloned(), "seed {seed}: key {key:?}");
    }
}

fn write(fixture: &Fixture, transaction: &mut Transaction, map: &mut Map, random: &mut Random) {
    if random.below(12) == 0 {
        let first = 1000 + random.below(4) * 500;
        for number in first..first + 30 + random.below(200) {
            let value = vec![random.below(256) as u8; random.below(40) as usize];
            transaction.put(fixture.tree, &number.to_be_bytes(), &value).unwrap();
            map.insert(number.to_be_bytes().to_vec(), value);
        }
        return;
    }
    for _ in 0..=random.below(12) {
        let key = if random.below(6) == 0 {
            (1000 + random.below(2000)).to_be_bytes().to_vec()
        } else {
            key(random)
        };
        if random.below(3) == 0 {
            transaction.delete(fixture.tree, &key).unwrap();
            map.remove(&key);
        } else {
            let value = vec![random.below(256) as u8; random.below(120) as usize];
            transaction.put(fixture.tree, &key, &value).unwrap();
            map.insert(key, value);
        }
    }
}

/// Statements of which some are undone, alone or with those before them.
fn write_and_undo(
    fixture: &Fixture,
    transaction: &mut Transaction,
    map: &mut Map,
    random: &mut Random,
    seed: u64,
) {
    let mut marks = Vec::new();
    for _ in 0..1 + random.below(6) {
        marks.push((transaction.start_statement().unwrap(), map.clone()));
        write(fixture, transaction, map, random);
        if random.below(3) == 0 {
            let index = random.below(marks.len() as u64) as usize;
            let (mark, before) = marks[index].clone();
            transaction.rollback_to(mark);
            // The statement ended with what it did.
            transaction.start_statement().unwrap();
            *map = before;
            marks.truncate(index);
        }
        transaction.next_command();
        check(fixture, transaction, map, random, seed);
        transaction.end_statement();
    }
}

#[test]
fn every_open_snapshot_reads_the_state_of_its_moment() {
    every_snapshot_reads_its_moment(1..25, |_| 0);
}

#[test]
fn every_open_snapshot_reads_the_state_of_its_moment_where_write_sets_go_to_temporary_files() {
    every_snapshot_reads_its_moment(100..125, |random| 200 << random.below(7));
}

fn every_snapshot_reads_its_moment(seeds: Range<u64>, spill_bytes: impl Fn(&mut Random) -> usize) {
    for seed in seeds {
        let mut random = Random::new(seed);
        let fixture = Fixture::new();
        fixture.spill_bytes.store(spill_bytes(&mut random), Ordering::Relaxed);
        let mut newest = Map::new();
        let mut readers: Vec<(Transaction, Map)> = Vec::new();
        for _ in 0..60 {
            match random.below(10) {
                0 | 1 if readers.len() < 5 => {
                    let mut reader = fixture.begin_repeatable();
                    reader.start_statement().unwrap();
                    readers.push((reader, newest.clone()));
                }
                2 if !readers.is_empty() => {
                    let index = random.below(readers.len() as u64) as usize;
                    readers.swap_remove(index);
                }
                3 if !readers.is_empty() => {
                    // The reader writes too, sees its own writes on top, and undoes them.
                    let index = random.below(readers.len() as u64) as usize;
                    let (reader, map) = &mut readers[index];
                    let mark = reader.start_statement().unwrap();
                    let mut own = map.clone();
                    write(&fixture, reader, &mut own, &mut random);
                    check(&fixture, reader, map, &mut random, seed);
                    reader.next_command();
                    write_and_undo(&fixture, reader, &mut own, &mut random, seed);
                    check(&fixture, reader, &own, &mut random, seed);
                    reader.rollback_to(mark);
                    check(&fixture, reader, map, &mut random, seed);
                    reader.end_statement();
                }
                _ => {
                    let mut writer = fixture.begin();
                    write_and_undo(&fixture, &mut writer, &mut newest, &mut random, seed);
                    writer.commit(Durability::Normal).unwrap();
                }
            }
            for (reader, map) in &readers {
                check(&fixture, reader, map, &mut random, seed);
            }
            let mut fresh = fixture.begin();
            fresh.start_statement().unwrap();
            check(&fixture, &fresh, &newest, &mut random, seed);
        }
        readers.clear();
        drop(fixture.begin());
        assert_eq!(fixture.manager.statistics().versions, 0, "seed {seed}: versions without readers");
        let mut found = Vec::new();
        let findings = fixture.manager.storage().verify(&mut |line| found.push(line.to_owned())).unwrap();
        assert_eq!(findings, 0, "seed {seed}: {found:?}");
    }
}

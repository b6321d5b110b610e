//! A tree that was told how far its leaves are filled: how full they are, whichever way entries came, and what that spares.

use super::{NoVersions, TREE, all, checkpoint, findings, put, storage};
use crate::common::ids::Lsn;
use crate::common::random::Random;
use crate::storage::{ApplyEstimate, Change, ChangeSize, Storage, VersionSink};
use std::collections::BTreeMap;
use std::sync::Arc;

const ROWS: u64 = 4000;
const VALUE: [u8; 60] = [7; 60];

type Fill = fn(&Storage, &[[u8; 8]]);

/// Every way in which entries come in ascending order.
const WAYS: [(&str, Fill); 5] = [
    ("one by one", |storage, keys| {
        let tree = storage.tree(TREE).unwrap();
        keys.iter().for_each(|key| put(&tree, key, &VALUE, 5));
    }),
    ("sorted", |storage, keys| {
        let tree = storage.tree(TREE).unwrap();
        for part in keys.chunks(100) {
            let changes = part.iter().map(|key| (key.as_slice(), Change::Put(&VALUE)));
            tree.apply_sorted(changes, Lsn(5), Some(&NoVersions as &dyn VersionSink)).unwrap();
        }
    }),
    ("appended", |storage, keys| {
        let tree = storage.tree(TREE).unwrap();
        put(&tree, &keys[0], &VALUE, 5);
        let mut done = 1;
        while done < keys.len() {
            let entry = |index: usize| (keys[index].as_slice(), VALUE.as_slice());
            done += tree.append(done..keys.len(), entry, Lsn(5)).unwrap().0;
        }
    }),
    ("sorted into a gap", |storage, keys| {
        let tree = storage.tree(TREE).unwrap();
        (u64::MAX - 2..=u64::MAX).for_each(|number| put(&tree, &number.to_be_bytes(), &VALUE, 5));
        for part in keys.chunks(500) {
            let changes = part.iter().map(|key| (key.as_slice(), Change::Put(&VALUE)));
            tree.apply_sorted(changes, Lsn(5), None).unwrap();
        }
    }),
    ("built", |storage, keys| {
        let percent = match storage.tree(TREE).unwrap().spare_bytes() * 100 / storage.page_size() {
            0 => None,
            spare => Some(100 - spare as u8),
        };
        let mut builder = storage.build_tree(TREE).unwrap().filled_to(percent);
        keys.iter().for_each(|key| builder.push(key, &VALUE).unwrap());
        storage.link_tree(&builder.finish().unwrap().unwrap(), Lsn(5)).unwrap();
    }),
];

fn filled(way: Fill, percent: Option<u8>) -> Arc<Storage> {
    let (storage, _) = storage(4096, 64 << 20);
    storage.set_fill_percent(TREE, percent).unwrap();
    let keys: Vec<[u8; 8]> = (0..ROWS).map(u64::to_be_bytes).collect();
    way(&storage, &keys);
    storage
}

fn pages(storage: &Storage) -> u64 {
    storage.tree_space(TREE).unwrap().unwrap().pages
}

#[test]
fn leaves_are_filled_as_far_as_the_tree_was_told_whichever_way_entries_come() {
    for (name, way) in WAYS {
        let full = pages(&filled(way, None));
        assert_eq!(pages(&filled(way, Some(100))), full, "{name}");
        for percent in [90, 70, 50, 30, 20] {
            let storage = filled(way, Some(percent));
            let wanted = full * 100 / u64::from(percent);
            let found = pages(&storage);
            // The header of a page is part of it, and an entry may not fit by little.
            assert!(
                found + 3 >= wanted && found < wanted * 3 / 2 + 10,
                "{name}, {percent}: {found}, {wanted}"
            );
            assert_eq!(findings(&storage), Vec::<String>::new(), "{name}, {percent}");
        }
    }
}

#[test]
fn entries_that_grow_find_room_on_leaves_that_are_half_full() {
    for (name, way) in WAYS {
        let mut made = Vec::new();
        for percent in [None, Some(50)] {
            let storage = filled(way, percent);
            let tree = storage.tree(TREE).unwrap();
            let before = pages(&storage);
            for number in (0..ROWS).step_by(3) {
                put(&tree, &number.to_be_bytes(), &[8; 120], 9);
            }
            made.push(pages(&storage) - before);
        }
        assert!(made[0] > 30 && made[1] == 0, "{name}: {made:?} pages were made");
    }
}

#[test]
fn merging_fills_leaves_no_further_than_the_tree_was_told() {
    let merged = |percent: Option<u8>| {
        let storage = filled(WAYS[1].1, None);
        let tree = storage.tree(TREE).unwrap();
        for number in (0..ROWS).filter(|number| number % 10 != 0) {
            tree.apply(&number.to_be_bytes(), Change::Delete, Lsn(9), None).unwrap();
        }
        storage.set_fill_percent(TREE, percent).unwrap();
        storage.merge_tree(TREE, &|| Ok(())).unwrap();
        assert_eq!(all(&tree).len() as u64, ROWS / 10);
        pages(&storage)
    };
    let [usual, half, fifth, full] = [None, Some(50), Some(20), Some(100)].map(merged);
    assert!(half * 2 > usual * 3 && half < usual * 5 / 2, "{half} for {usual}");
    assert!(fifth > half * 2 && full <= usual && full * 5 > usual * 4, "{fifth}, {full} for {usual}");
}

/// Random entries in random ways into trees that were told anything: nothing is lost, and what is set aside is enough.
#[test]
fn trees_that_are_told_anything_keep_every_entry_and_what_is_set_aside() {
    for seed in 1..60 {
        let mut random = Random::new(seed);
        let page_size = if seed % 2 == 0 { 1024 } else { 4096 };
        let (storage, _) = storage(page_size, 64 << 20);
        let tree = storage.tree(TREE).unwrap();
        let mut model = BTreeMap::new();
        let (key_max, value_max) = (page_size as u64 / 4, page_size as u64 / 3);
        let mut next = 0_u64;
        for round in 0..12 {
            let percent = (random.below(4) > 0).then(|| 10 + random.below(91) as u8);
            storage.set_fill_percent(TREE, percent).unwrap();
            let ascending = random.below(3) > 0;
            let mut batch = BTreeMap::new();
            for _ in 0..1 + random.below(250) {
                next += 1;
                let number = if ascending { next } else { random.below(next + 10) };
                let mut key = number.to_be_bytes().to_vec();
                let tail = if random.below(8) == 0 { random.below(key_max - 8) } else { number % 5 };
                key.extend(vec![number as u8; tail as usize]);
                let length = if random.below(8) == 0 { random.below(value_max) } else { random.below(40) };
                batch.insert(key, vec![round; length as usize]);
            }
            checkpoint(&storage, 10).unwrap();
            let before = storage.statistics();
            let mut size = ChangeSize::default();
            batch.iter().for_each(|(key, value)| size.add_put(key.len(), value.len()));
            let is_past_end = model.last_key_value().is_none_or(|(last, _): (&Vec<u8>, &Vec<u8>)| {
                batch.first_key_value().is_some_and(|(first, _)| first > last)
            });
            let estimate = match is_past_end {
                true => ApplyEstimate::of_appending(page_size, size, tree.spare_bytes()),
                false => storage.change_estimate(size),
            };
            let entries: Vec<_> = batch.iter().collect();
            if is_past_end && random.below(2) == 0 {
                let mut done = 0;
                while done < entries.len() {
                    let entry = |index: usize| (entries[index].0.as_slice(), entries[index].1.as_slice());
                    match tree.append(done..entries.len(), entry, Lsn(20)).unwrap().0 {
                        0 => break,
                        added => done += added,
                    }
                }
                for (key, value) in &entries[done..] {
                    put(&tree, key, value, 20);
                }
            } else {
                let changes = entries.iter().map(|(key, value)| (key.as_slice(), Change::Put(value)));
                tree.apply_sorted(changes, Lsn(20), None).unwrap();
            }
            let made = storage.statistics().pages - before.pages;
            assert!(made <= estimate.made, "seed {seed}, round {round}: {made} of {estimate:?}");
            model.extend(batch);
            if random.below(4) == 0 {
                storage.merge_tree(TREE, &|| Ok(())).unwrap();
            }
        }
        assert_eq!(all(&tree), model, "seed {seed}");
        assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn what_a_tree_was_told_is_not_in_the_file() {
    let (storage, options) = storage(4096, 8 << 20);
    storage.set_fill_percent(TREE, Some(20)).unwrap();
    assert!(storage.tree(TREE).unwrap().spare_bytes() > 3000);
    checkpoint(&storage, 10).unwrap();
    drop(storage);
    let storage = Storage::open(options).unwrap();
    assert_eq!(storage.tree(TREE).unwrap().spare_bytes(), 0);
}

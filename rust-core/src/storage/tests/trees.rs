//! Trees against a sorted map: random changes, small pages, few frames, reopening in between.

use super::*;
use crate::common::random::Random;
use crate::storage::{Before, Entry};
use std::cell::RefCell;

fn random_key(random: &mut Random, key_max: usize) -> Vec<u8> {
    match random.below(8) {
        // Long keys that share long beginnings: fences of all lengths.
        0 => {
            let mut key = vec![b'a' + random.below(3) as u8; random.below(key_max as u64) as usize];
            key.push(random.below(4) as u8);
            key.truncate(key_max);
            key
        }
        1 => (0..random.below(4)).map(|_| random.below(3) as u8).collect(),
        _ => random.below(400).to_be_bytes().to_vec(),
    }
}

fn random_value(random: &mut Random, value_max: usize) -> Vec<u8> {
    let length = if random.below(6) == 0 { random.below(value_max as u64 + 1) } else { random.below(24) };
    (0..length).map(|_| random.below(256) as u8).collect()
}

fn compare(seed: u64, tree: &Tree, model: &BTreeMap<Vec<u8>, Vec<u8>>, random: &mut Random) {
    assert_eq!(all(tree), *model, "seed {seed}");
    let mut backward = scan(tree, Bound::Unbounded, Bound::Unbounded, true).unwrap();
    backward.reverse();
    assert!(backward.into_iter().eq(model.clone()), "seed {seed}");
    assert_eq!(tree.entry_estimate(), model.len() as u64, "seed {seed}");
    let (a, b) = (random_key(random, 200), random_key(random, 200));
    if a < b {
        for bounds in [
            (Bound::Included(&a[..]), Bound::Excluded(&b[..])),
            (Bound::Excluded(&a[..]), Bound::Included(&b[..])),
        ] {
            let expected: Vec<_> =
                model.range::<[u8], _>(bounds).map(|(key, value)| (key.clone(), value.clone())).collect();
            assert_eq!(scan(tree, bounds.0, bounds.1, false).unwrap(), expected, "seed {seed}");
            let mut found = scan(tree, bounds.0, bounds.1, true).unwrap();
            found.reverse();
            assert_eq!(found, expected, "seed {seed}");
        }
    }
}

fn run_model(seed: u64, page_size: usize, steps: u64) {
    let memory_bytes = 64 * page_size + (64 << 10);
    let (mut storage, options) = storage(page_size, memory_bytes);
    let mut tree = storage.tree(TREE).unwrap();
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut random = Random::new(seed);
    let (key_max, value_max) = (tree.key_bytes_max(), tree.value_bytes_max());
    for step in 1..=steps {
        let key = random_key(&mut random, key_max);
        let sink: Option<&dyn VersionSink> = if random.below(2) == 0 { Some(&NoVersions) } else { None };
        let phase_deletes = step / 700 % 2 == 1;
        let change_kind = if phase_deletes { random.below(12) + 4 } else { random.below(12) };
        match change_kind {
            0..=6 => {
                let value = random_value(&mut random, value_max);
                tree.apply(&key, Change::Put(&value), Lsn(step), sink).unwrap();
                model.insert(key, value);
            }
            7 => {
                let bits = random_value(&mut random, 12);
                tree.apply(&key, Change::Or(&bits), Lsn(step), sink).unwrap();
                let old = model.entry(key).or_default();
                old.resize(old.len().max(bits.len()), 0);
                old.iter_mut().zip(&bits).for_each(|(byte, bit)| *byte |= bit);
            }
            8 => {
                let number = random.below(1000);
                let key = [b"max-", &key[..key.len().min(8)]].concat();
                tree.apply(&key, Change::Max(number), Lsn(step), sink).unwrap();
                let old = model.get(&key).map_or(0, |old| u64::from_be_bytes(old[..].try_into().unwrap()));
                model.insert(key, number.max(old).to_be_bytes().to_vec());
            }
            _ => {
                tree.apply(&key, Change::Delete, Lsn(step), sink).unwrap();
                model.remove(&key);
                if random.below(2) == 0 {
                    assert!(tree.purge(&key, Lsn(step)).unwrap(), "seed {seed}");
                }
            }
        }
        let probe = random_key(&mut random, key_max);
        let found =
            tree.get(&probe, |entry, _| entry.filter(|e| !e.ghost).map(|e| e.value.to_vec())).unwrap();
        assert_eq!(found.as_ref(), model.get(&probe), "seed {seed}");
        if step % 500 == 0 {
            compare(seed, &tree, &model, &mut random);
            assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed} step {step}");
            checkpoint(&storage, step).unwrap();
            if step % 1000 == 0 {
                drop((tree, storage));
                storage = Storage::open(options.clone()).unwrap();
                tree = storage.tree(TREE).unwrap();
                compare(seed, &tree, &model, &mut random);
                assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed} step {step} reopened");
            }
        }
    }
}

#[test]
fn a_tree_of_1_kib_pages_is_a_sorted_map() {
    (1..4).for_each(|seed| run_model(seed, 1024, 3000));
}

#[test]
fn a_tree_of_4_kib_pages_is_a_sorted_map() {
    (11..13).for_each(|seed| run_model(seed, 4096, 3000));
}

#[test]
fn a_tree_of_8_kib_pages_is_a_sorted_map() {
    run_model(21, 8192, 3000);
}

#[test]
fn largest_keys_and_values_always_find_room() {
    let (storage, _) = storage(1024, 4 << 20);
    let tree = storage.tree(TREE).unwrap();
    let value = vec![7; tree.value_bytes_max()];
    let key_max = tree.key_bytes_max();
    let mut model = BTreeMap::new();
    let mut random = Random::new(5);
    for step in 0..1500_u64 {
        let mut key = vec![b'a' + random.below(3) as u8; key_max];
        key[random.below(key_max as u64) as usize] = random.below(5) as u8;
        key[key_max - 1] = random.below(200) as u8;
        if random.below(3) == 0 {
            tree.apply(&key, Change::Delete, Lsn(step + 1), None).unwrap();
            model.remove(&key);
        } else {
            put(&tree, &key, &value, step + 1);
            model.insert(key, value.clone());
        }
    }
    assert_eq!(all(&tree), model);
    assert_eq!(findings(&storage), Vec::<String>::new());
}

#[test]
fn ascending_inserts_fill_their_leaves() {
    let (storage, _) = storage(8192, 64 << 20);
    let tree = storage.tree(TREE).unwrap();
    for key in 0..100_000_u64 {
        put(&tree, &key.to_be_bytes(), b"0123456789abcdef", key + 1);
    }
    let pages = storage.statistics().pages;
    assert!(pages < 100_000 * 34 / 8192 * 11 / 10, "{pages} pages");
    let mut last = Vec::new();
    assert!(tree.last_key(&mut last).unwrap());
    assert_eq!(last, 99_999_u64.to_be_bytes());
    assert_eq!(findings(&storage), Vec::<String>::new());
}

/// Adds many entries behind the last key, in pieces of random length, between other changes.
fn run_append_model(seed: u64, page_size: usize) {
    let (storage, _) = storage(page_size, 64 * page_size + (64 << 10));
    let tree = storage.tree(TREE).unwrap();
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut random = Random::new(seed);
    let (mut next, mut refused) = (1u64 << 30, 0);
    for step in 1..=40 {
        let count = random.below(if step % 5 == 0 { 6000 } else { 60 }) as usize;
        let width = 1 + random.below((page_size / 3) as u64 / if count > 100 { 40 } else { 1 });
        let entries: Vec<(Vec<u8>, Vec<u8>)> = (0..count)
            .map(|_| {
                next += 1 + random.below(3) * random.below(200);
                let mut key = next.to_be_bytes().to_vec();
                key.truncate(8 - random.below(2) as usize);
                next += 256;
                (key, random_value(&mut random, width as usize))
            })
            .collect();
        let mut done = 0;
        while done < count {
            let entry = |index: usize| (&entries[index].0[..], &entries[index].1[..]);
            let (added, _) = tree.append(done..count, entry, Lsn(step)).unwrap();
            if added == 0 {
                refused += 1;
                let (key, value) = &entries[done];
                tree.apply(key, Change::Put(value), Lsn(step), Some(&NoVersions)).unwrap();
            }
            done += added.max(1);
        }
        model.extend(entries);
        assert_eq!(tree.entry_estimate(), model.len() as u64, "seed {seed}");
        if let Some(key) = model.keys().nth(random.below(model.len() as u64 + 1) as usize).cloned() {
            tree.apply(&key, Change::Delete, Lsn(step), None).unwrap();
            model.remove(&key);
        }
        // What lies behind the end, or is there already, is refused whole.
        if let (Some((first, _)), Some((last, _))) = (model.first_key_value(), model.last_key_value()) {
            for key in [first, last] {
                assert_eq!(tree.append(0..1, |_| (key, b"x"), Lsn(step)).unwrap().0, 0, "seed {seed}");
            }
        }
        assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed} step {step}");
        compare(seed, &tree, &model, &mut random);
    }
    assert!(refused < 40, "seed {seed}: {refused} times the ordinary way");
}

#[test]
fn entries_appended_leaf_by_leaf_are_those_of_a_sorted_map() {
    for (seed, page_size) in [(1, 1024), (2, 2048), (3, 4096), (4, 8192), (5, 32768)] {
        run_append_model(seed, page_size);
    }
}

#[test]
fn appended_leaves_are_full_and_others_may_append_at_the_same_time() {
    let (storage, _) = storage(4096, 64 << 20);
    let tree = storage.tree(TREE).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let tree = &tree;
            scope.spawn(move || {
                let keys: Vec<[u8; 8]> = (0..20_000).map(|key| (key * 3 + thread).to_be_bytes()).collect();
                let mut done = 0;
                while done < keys.len() {
                    let entry = |index: usize| (&keys[index][..], &b"0123456789abcdef"[..]);
                    let (added, _) = tree.append(done..keys.len(), entry, Lsn(5)).unwrap();
                    if added == 0 {
                        let value = Change::Put(b"0123456789abcdef");
                        tree.apply(&keys[done], value, Lsn(5), Some(&NoVersions)).unwrap();
                    }
                    done += added.max(1);
                }
            });
        }
    });
    assert_eq!(findings(&storage), Vec::<String>::new());
    assert_eq!(tree.entry_estimate(), 60_000);
    let before = storage.statistics().pages;
    let keys: Vec<[u8; 8]> = (100_000..200_000u64).map(u64::to_be_bytes).collect();
    let mut done = 0;
    while done < keys.len() {
        let entry = |index: usize| (&keys[index][..], &b"0123456789abcdef"[..]);
        let (added, _) = tree.append(done..keys.len(), entry, Lsn(6)).unwrap();
        assert!(added > 0);
        done += added;
    }
    let pages = storage.statistics().pages - before;
    assert!(pages < 100_000 * 30 / 4096 * 108 / 100, "{pages} pages");
    assert_eq!(findings(&storage), Vec::<String>::new());
}

/// Key, timestamp, what was there before.
type Replaced = (Vec<u8>, u64, Option<Vec<u8>>);

#[derive(Default)]
struct Recorder(RefCell<Vec<Replaced>>);
impl VersionSink for Recorder {
    fn replaced(&self, tree: TreeId, key: &[u8], timestamp: Lsn, before: Before<'_>) {
        assert_eq!(tree, TREE);
        let before = match before {
            Before::Absent => None,
            Before::Value(value) => Some(value.to_vec()),
        };
        self.0.borrow_mut().push((key.to_vec(), timestamp.0, before));
    }
}

#[test]
fn the_sink_learns_what_each_change_replaced_exactly_once() {
    let (storage, _) = storage(1024, 4 << 20);
    let tree = storage.tree(TREE).unwrap();
    let sink = Recorder::default();
    let mut expected = Vec::new();
    // Enough to split on the way: a change that comes again must not report twice.
    for key in 0..300_u64 {
        tree.apply(&key.to_be_bytes(), Change::Put(b"old value"), Lsn(key + 1), Some(&sink)).unwrap();
        expected.push((key.to_be_bytes().to_vec(), key + 1, None));
    }
    tree.apply(&7_u64.to_be_bytes(), Change::Put(b"new"), Lsn(400), Some(&sink)).unwrap();
    expected.push((7_u64.to_be_bytes().to_vec(), 400, Some(b"old value".to_vec())));
    tree.apply(&7_u64.to_be_bytes(), Change::Delete, Lsn(401), Some(&sink)).unwrap();
    expected.push((7_u64.to_be_bytes().to_vec(), 401, Some(b"new".to_vec())));
    tree.apply(&7_u64.to_be_bytes(), Change::Put(b"again"), Lsn(402), Some(&sink)).unwrap();
    expected.push((7_u64.to_be_bytes().to_vec(), 402, None));
    tree.apply(b"no such key", Change::Delete, Lsn(403), Some(&sink)).unwrap();
    assert_eq!(*sink.0.borrow(), expected);
}

#[test]
fn a_ghost_stays_until_its_deletion_is_below_the_horizon() {
    let (storage, _) = storage(1024, 4 << 20);
    let tree = storage.tree(TREE).unwrap();
    put(&tree, b"key", b"a value of more than eight bytes", 1);
    tree.apply(b"key", Change::Delete, Lsn(10), Some(&NoVersions)).unwrap();
    put(&tree, b"neighbour", b"x", 20);
    let ghost = |entry: Option<Entry<'_>>, newest: Lsn| (entry.map(|e| (e.ghost, e.value.len())), newest.0);
    assert_eq!(tree.get(b"key", ghost).unwrap(), (Some((true, 0)), 20));
    assert!(!tree.purge(b"key", Lsn(9)).unwrap());
    assert_eq!(tree.get(b"key", ghost).unwrap(), (Some((true, 0)), 20));
    assert!(tree.purge(b"key", Lsn(10)).unwrap(), "the neighbour's newer change does not matter");
    assert_eq!(tree.get(b"key", ghost).unwrap(), (None, 20));
    assert!(tree.purge(b"neighbour", Lsn(99)).unwrap(), "a live entry is left alone");
    assert_eq!(all(&tree).len(), 1);
}

#[test]
fn every_page_remembers_a_timestamp_at_least_as_new_as_its_entries() {
    let (storage, _) = storage(1024, 4 << 20);
    let tree = storage.tree(TREE).unwrap();
    let mut random = Random::new(3);
    let mut newest = BTreeMap::new();
    for step in 1..3000_u64 {
        let key = random.below(500).to_be_bytes().to_vec();
        if random.below(3) == 0 {
            tree.apply(&key, Change::Delete, Lsn(step), None).unwrap();
        } else {
            put(&tree, &key, b"value", step);
        }
        newest.insert(key, step);
    }
    for (key, step) in newest {
        let stored = tree.get(&key, |_, newest| newest).unwrap();
        assert!(stored.0 >= step, "key {key:?} changed at {step}, its page says {stored}");
    }
}

#[test]
fn emptied_leaves_and_dropped_trees_give_their_pages_back() {
    let (storage, _) = storage(1024, 8 << 20);
    let pages = storage.statistics().pages;
    let tree = storage.tree(TREE).unwrap();
    for key in 0..5000_u64 {
        put(&tree, &key.to_be_bytes(), b"some value", key + 1);
    }
    let full = storage.statistics().pages;
    for key in 0..5000_u64 {
        tree.apply(&key.to_be_bytes(), Change::Delete, Lsn(6000), Some(&NoVersions)).unwrap();
        assert!(tree.purge(&key.to_be_bytes(), Lsn(6000)).unwrap());
    }
    assert!(storage.statistics().pages < full / 4, "{} of {full} pages left", storage.statistics().pages);
    assert_eq!(findings(&storage), Vec::<String>::new());
    for key in 0..5000_u64 {
        put(&tree, &key.to_be_bytes(), b"some value", key + 7000);
    }
    storage.drop_tree(TREE, Lsn(20_000)).unwrap();
    assert_eq!(storage.statistics().pages, pages - 1);
    assert_eq!(tree.get(b"x", |_, _| ()).unwrap_err().state().as_str(), "42P01");
    assert_eq!(storage.tree(TREE).unwrap_err().state().as_str(), "42P01");
    assert_eq!(findings(&storage), Vec::<String>::new());
    assert!(storage.next_tree_id() > TREE);
}

#[test]
fn a_cursor_goes_on_correctly_while_the_tree_changes_under_it() {
    for seed in 1..6 {
        let (storage, _) = storage(1024, 8 << 20);
        let tree = storage.tree(TREE).unwrap();
        let mut random = Random::new(seed);
        for key in (0..2000_u64).step_by(2) {
            put(&tree, &key.to_be_bytes(), b"stays", 1);
        }
        for (backward, most) in [(false, usize::MAX), (true, usize::MAX), (false, 5), (true, 5)] {
            let mut cursor = TreeCursor::new(Bound::Unbounded, Bound::Unbounded, backward);
            cursor.set_entries_max(most);
            let mut seen = Vec::new();
            while tree
                .visit(&mut cursor, |leaf, range| {
                    assert!(range.len() <= most, "seed {seed}: {range:?}");
                    let mut key = Vec::new();
                    let mut take = |index: usize| {
                        leaf.key_into(index, &mut key);
                        seen.push(u64::from_be_bytes(key[..].try_into().unwrap()));
                    };
                    if backward { range.rev().for_each(&mut take) } else { range.for_each(&mut take) }
                })
                .unwrap()
                .is_some()
            {
                if most < usize::MAX {
                    cursor.set_entries_max(1 + random.below(most as u64) as usize);
                }
                for _ in 0..30.min(most) {
                    let key = (random.below(1000) * 2 + 1).to_be_bytes();
                    if random.below(2) == 0 {
                        put(&tree, &key, &vec![1; random.below(200) as usize], 2);
                    } else {
                        tree.apply(&key, Change::Delete, Lsn(2), None).unwrap();
                    }
                }
            }
            if backward {
                seen.reverse();
            }
            assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: in order, none twice");
            let stayed: Vec<u64> = seen.into_iter().filter(|key| key % 2 == 0).collect();
            assert_eq!(stayed, (0..2000).step_by(2).collect::<Vec<u64>>(), "seed {seed}");
        }
    }
}

/// Whether a descent to `key` can begin at this thread's copy of the root.
fn begins_at_a_copy(tree: &Tree, key: &[u8]) -> bool {
    tree.below_copied_root(|node| node.child_index(key), |page, _| tree.pool.try_fetch_shared(page).unwrap())
        .is_some()
}

#[test]
fn a_root_that_many_pass_is_copied_and_the_copy_ends_with_the_roots_next_change() {
    let (storage, _) = storage(1024, 1 << 20);
    let tree = storage.tree(TREE).unwrap();
    let key = |number: u32| number.to_be_bytes();
    let mut count = 0;
    for _ in 0..3 {
        for _ in 0..100 {
            put(&tree, &key(count), &[7; 40], u64::from(count) + 1);
            count += 1;
        }
        for number in 0..40 {
            assert!(
                tree.get(&key(number % count), |entry, _| entry.is_some()).unwrap(),
                "key {number} of {count}"
            );
        }
        assert!(begins_at_a_copy(&tree, &key(0)), "{count} keys");
        let children = |tree: &Tree| tree.root_shared().unwrap().node().count();
        let before = children(&tree);
        while children(&tree) == before {
            put(&tree, &key(count), &[7; 40], u64::from(count) + 1);
            count += 1;
        }
        assert!(!begins_at_a_copy(&tree, &key(0)), "{count} keys, and the root has another child");
        for number in 0..count {
            assert!(tree.get(&key(number), |entry, _| entry.is_some()).unwrap(), "key {number} of {count}");
        }
        assert!(begins_at_a_copy(&tree, &key(count - 1)), "{count} keys");
    }
}

//! What a write set says is what a map of the same history says, in memory and in temporary files.

use super::*;
use crate::common::random::Random;
use crate::error::SqlState;
use crate::wal::entry::Operation;
use std::ops::Bound;

const TREE: TreeId = TreeId(20);

fn set() -> WriteSet {
    WriteSet::new_in_memory(&MemoryAccount::new(64 << 20))
}

fn at(command: u32) -> CommandNumber {
    CommandNumber(command)
}

#[test]
fn a_read_sees_writes_of_earlier_commands_only() {
    let mut set = set();
    set.put(TREE, b"k", b"one", at(1)).unwrap();
    set.put(TREE, b"k", b"two", at(2)).unwrap();
    set.delete(TREE, b"k", at(3)).unwrap();
    assert_eq!(set.get(TREE, b"k", Some(at(1))), None);
    assert_eq!(set.get(TREE, b"k", Some(at(2))), Some(OwnWrite::Put(b"one")));
    assert_eq!(set.get(TREE, b"k", Some(at(3))), Some(OwnWrite::Put(b"two")));
    assert_eq!(set.get(TREE, b"k", Some(at(4))), Some(OwnWrite::Delete));
    assert_eq!(set.get(TREE, b"k", None), Some(OwnWrite::Delete));
}

#[test]
fn max_folds_into_what_was_written_before() {
    let mut set = set();
    set.max(TREE, b"a", 5, at(1)).unwrap();
    set.max(TREE, b"a", 3, at(1)).unwrap();
    assert_eq!(set.get(TREE, b"a", None), Some(OwnWrite::Max(5)));
    set.delete(TREE, b"a", at(1)).unwrap();
    set.max(TREE, b"a", 2, at(1)).unwrap();
    assert_eq!(set.get(TREE, b"a", None), Some(OwnWrite::Put(&2u64.to_be_bytes())));
    set.max(TREE, b"a", 9, at(1)).unwrap();
    assert_eq!(set.get(TREE, b"a", None), Some(OwnWrite::Put(&9u64.to_be_bytes())));
}

#[test]
fn a_tree_created_and_dropped_leaves_nothing_to_commit_and_a_dropped_one_only_its_drop() {
    let mut set = set();
    set.create_tree(TREE, at(1)).unwrap();
    set.put(TREE, b"k", b"v", at(1)).unwrap();
    set.drop_tree(TREE, at(2)).unwrap();
    set.put(TreeId(30), b"k", b"v", at(2)).unwrap();
    set.drop_tree(TreeId(30), at(3)).unwrap();
    let left: Vec<_> = set.trees().map(|writes| (writes.tree(), writes.is_dropped())).collect();
    assert_eq!(left, [(TreeId(30), true)]);
}

#[test]
fn runs_of_consecutive_keys_are_found_and_end_where_a_key_is_missing_or_deleted() {
    let mut set = set();
    for key in (10u64..40).chain(50..60).chain(70..100) {
        set.put(TREE, &key.to_be_bytes(), b"v", at(1)).unwrap();
    }
    set.delete(TREE, &80u64.to_be_bytes(), at(1)).unwrap();
    let mut runs = Vec::new();
    set.consecutive_runs(16, |_, _, first, last, _| {
        runs.push((decode_number(first), decode_number(last)));
        Ok(())
    })
    .unwrap();
    assert_eq!(runs, [(10, 39), (81, 99)]);
}

#[test]
fn beyond_the_memory_limit_a_write_is_refused_and_nothing_is_lost() {
    let account = MemoryAccount::new(100_000);
    let mut set = WriteSet::new_in_memory(&account);
    let mut written = 0u64;
    let error = loop {
        match set.put(TREE, &written.to_be_bytes(), &[7; 100], at(1)) {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.state(), SqlState::OUT_OF_MEMORY);
    assert_eq!(newest(&set).len() as u64, written);
    set.clear();
    assert!(account.used() <= CHARGE_STEP_BYTES);
    drop(set);
    assert_eq!(account.used(), 0);
}

/// The newest state of all keys, wherever they are.
fn newest(set: &WriteSet) -> Model {
    let plain = |write: OwnWrite<'_>| match write {
        OwnWrite::Put(value) => Some(value.to_vec()),
        _ => None,
    };
    let mut model = Model::new();
    let mut cursor = set.spilled_cursor(TREE, Bound::Unbounded, false, None, None).unwrap();
    while let Some(cursor) = &mut cursor
        && let Some((key, write)) = cursor.peek()
    {
        model.insert(key.to_vec(), plain(write));
        cursor.advance().unwrap();
    }
    for (key, write) in set.range(TREE, Bound::Unbounded, Bound::Unbounded, false, at(u32::MAX)) {
        model.insert(key.to_vec(), plain(write));
    }
    model
}

/// As the model below, in temporary files: several trees, some runs merged, some undone wholly and some in part.
#[test]
fn a_spilled_write_set_behaves_as_a_map_that_can_be_undone_to_any_mark() {
    let mut runs_met = false;
    for seed in 1..30 {
        let mut random = Random::new(seed);
        let (mut set, mut model) = (set(), Model::new());
        set.set_spill_bytes(100 << random.below(if seed % 3 == 0 { 10 } else { 6 }));
        let mut marks: Vec<(WriteMark, Model)> = Vec::new();
        let mut next_key = 500_000u64;
        for command in 1..150u32 {
            marks.push((set.mark(), model.clone()));
            // Every third seed is a tree that gets rows under keys that follow each other.
            for _ in 0..if seed % 3 == 0 { random.below(60) } else { 0 } {
                let key = next_key.to_be_bytes().to_vec();
                next_key += u64::from(random.below(400) > 0);
                let value = random.next_u64().to_le_bytes().to_vec();
                set.put(TREE, &key, &value, at(command)).unwrap();
                runs_met |= set.trees.iter().any(|writes| writes.appended.len() > 20);
                model.insert(key, Some(value));
            }
            for _ in 0..random.below(8) {
                let key = if random.below(3) == 0 {
                    (1000 + u64::from(command) * 8 + random.below(8)).to_be_bytes().to_vec()
                } else {
                    vec![random.below(40) as u8; 1 + random.below(3) as usize]
                };
                let value = vec![command as u8; random.below(30) as usize];
                match random.below(6) {
                    0 => {
                        set.delete(TREE, &key, at(command)).unwrap();
                        model.insert(key, None);
                    }
                    1 => set.put(TreeId(21), &key, &value, at(command)).unwrap(),
                    2 => {
                        set.put_unordered(TREE, &key, &value, at(command)).unwrap();
                        model.insert(key, Some(value));
                    }
                    _ => {
                        set.put(TREE, &key, &value, at(command)).unwrap();
                        model.insert(key, Some(value));
                    }
                }
            }
            if random.below(8) == 0 {
                let index = marks.len() - 1 - random.below(marks.len().min(12) as u64) as usize;
                let (mark, state) = marks[index].clone();
                set.undo_to(mark);
                model = state;
                marks.truncate(index);
            }
            if command % 10 == 0 {
                assert_eq!(newest(&set), model, "seed {seed}");
                let mut buffer = Vec::new();
                for (key, value) in &model {
                    let own = match set.get(TREE, key, None) {
                        None => set.get_spilled(TREE, key, None, &mut buffer).unwrap(),
                        found => found,
                    };
                    assert_eq!(
                        own,
                        Some(value.as_deref().map_or(OwnWrite::Delete, OwnWrite::Put)),
                        "seed {seed}"
                    );
                }
            }
        }
        set.spill_rest().unwrap();
        let mut logged = Model::new();
        for writes in set.trees().filter(|writes| writes.tree() == TREE && writes.is_spilled()) {
            let mut operations = writes.spilled_operations().unwrap();
            while operations.next_block(7).unwrap() {
                for operation in operations.block() {
                    let (key, value) = match operation {
                        Operation::Put { key, value, .. } => (key, Some(value.to_vec())),
                        Operation::Delete { key, .. } => (key, None),
                        other => panic!("{other:?}"),
                    };
                    assert!(logged.last_key_value().is_none_or(|(last, _)| last.as_slice() < key));
                    logged.insert(key.to_vec(), value);
                }
            }
        }
        assert!(!set.is_spilled() || logged == model, "seed {seed}");
        set.undo_to(WriteMark { versions: 0, appended: 0, arena: ByteArena::default().mark() });
        assert!(set.is_empty() && newest(&set).is_empty(), "seed {seed}");
    }
    assert!(runs_met, "no seed came to an append run");
}

type Model = std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn content(
    set: &WriteSet,
    lower: Bound<&[u8]>,
    upper: Bound<&[u8]>,
    down: bool,
    before: u32,
) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    set.range(TREE, lower, upper, down, at(before))
        .map(|(key, write)| match write {
            OwnWrite::Put(value) => (key.to_vec(), Some(value.to_vec())),
            _ => (key.to_vec(), None),
        })
        .collect()
}

/// Writes, marks and undoes at random; every state is compared with a map of the same history.
#[test]
fn a_write_set_behaves_as_a_map_that_can_be_undone_to_any_mark() {
    let mut runs_met = false;
    for seed in 1..60 {
        let mut random = Random::new(seed);
        let (mut set, mut model) = (set(), Model::new());
        let mut marks: Vec<(WriteMark, Model, usize)> = Vec::new();
        let mut states: Vec<Model> = vec![Model::new()];
        let mut next_key = 500_000u64;
        for command in 1..40u32 {
            marks.push((set.mark(), model.clone(), command as usize));
            // Every third seed is a tree that gets rows under keys that follow each other.
            for _ in 0..if seed % 3 == 0 { random.below(60) } else { 0 } {
                let key = next_key.to_be_bytes().to_vec();
                next_key += u64::from(random.below(400) > 0);
                let value = random.next_u64().to_le_bytes().to_vec();
                set.put(TREE, &key, &value, at(command)).unwrap();
                model.insert(key, Some(value));
            }
            runs_met |= set.trees.first().is_some_and(|writes| writes.appended.len() > 20);
            for _ in 0..random.below(8) {
                let key = if seed % 3 == 0 && random.below(2) == 0 {
                    (500_000 + random.below(next_key - 499_999)).to_be_bytes().to_vec()
                } else if seed % 3 == 0 || random.below(3) == 0 {
                    (1000 + u64::from(command) * 8 + random.below(8)).to_be_bytes().to_vec()
                } else {
                    vec![random.below(40) as u8; 1 + random.below(3) as usize]
                };
                // Every second seed is a tree that mostly gets unordered puts and is looked at now and then.
                if random.below(if seed % 2 == 0 { 60 } else { 4 }) == 0 {
                    set.delete(TREE, &key, at(command)).unwrap();
                    model.insert(key, None);
                } else {
                    let value = random.next_u64().to_le_bytes().to_vec();
                    if seed % 2 == 0 {
                        set.put_unordered(TREE, &key, &value, at(command)).unwrap();
                    } else {
                        set.put(TREE, &key, &value, at(command)).unwrap();
                    }
                    model.insert(key, Some(value));
                }
            }
            if random.below(5) == 0 {
                let index = random.below(marks.len() as u64) as usize;
                let (mark, state, first_undone) = marks[index].clone();
                set.undo_to(mark);
                model = state;
                marks.truncate(index);
                // States of commands that were undone are those at the mark.
                for old in states.iter_mut().skip(first_undone) {
                    old.clone_from(&model);
                }
            }
            states.push(model.clone());
            if seed % 4 == 0 && command % 13 != 0 {
                continue;
            }
            let (low, high) = (vec![random.below(40) as u8], vec![random.below(40) as u8, 1]);
            let (lower, upper) = (Bound::Excluded(&low[..]), Bound::Included(&high[..]));
            let newest: Vec<_> = model.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(
                content(&set, Bound::Unbounded, Bound::Unbounded, false, command + 1),
                newest,
                "seed {seed}"
            );
            let earlier = random.below(u64::from(command)) as usize;
            let mut expected: Vec<_> = states[earlier]
                .iter()
                .filter(|(key, _)| key[..] > low[..] && key[..] <= high[..])
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            assert_eq!(content(&set, lower, upper, false, earlier as u32 + 1), expected, "seed {seed}");
            expected.reverse();
            assert_eq!(content(&set, lower, upper, true, earlier as u32 + 1), expected, "seed {seed}");
            for (key, value) in &states[earlier] {
                let own = match set.get(TREE, key, Some(at(earlier as u32 + 1))) {
                    Some(OwnWrite::Put(value)) => Some(value.to_vec()),
                    _ => None,
                };
                assert_eq!(own, *value, "seed {seed}");
            }
        }
        let logged: Vec<_> = set
            .trees()
            .flat_map(|writes| {
                let rows = (0..writes.appended().map_or(0, AppendRun::len)).map(move |row| {
                    let (key, value) = writes.appended_entry(row);
                    Operation::Put { tree: TREE, key, value }
                });
                writes.operations().chain(rows)
            })
            .map(|operation| match operation {
                Operation::Put { key, value, .. } => (key.to_vec(), Some(value.to_vec())),
                Operation::Delete { key, .. } => (key.to_vec(), None),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(logged, model.into_iter().collect::<Vec<_>>(), "seed {seed}");
    }
    assert!(runs_met, "no seed came to an append run");
}

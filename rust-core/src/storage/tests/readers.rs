//! Readers of older checkpoints beside a writer: what they read stays, and comes back to the file when they are gone.

use super::*;
use crate::common::random::Random;
use crate::storage::{ApplyEstimate, BesideWriter};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn read(options: &StorageOptions) -> Arc<Storage> {
    let options = StorageOptions { read_only: true, memory: MemoryAccount::new(1 << 20), ..options.clone() };
    match Storage::open_beside_writer(&options).unwrap() {
        BesideWriter::Opened(storage) => storage,
        other => panic!("{other:?}"),
    }
}

fn change(storage: &Storage, model: &mut Model, lsn: &mut u64, random: &mut Random) {
    let tree = storage.tree(TREE).unwrap();
    for _ in 0..60 {
        *lsn += 1;
        let _space =
            storage.reserve(ApplyEstimate { operations: 1, bytes: 200, ..Default::default() }).unwrap();
        let _ticket = storage.gate().enter();
        let key = random.below(900).to_be_bytes();
        if random.below(3) == 0 {
            tree.apply(&key, Change::Delete, Lsn(*lsn), None).unwrap();
            model.remove(&key[..]);
        } else {
            let value = vec![random.below(256) as u8; random.below(120) as usize];
            tree.apply(&key, Change::Put(&value), Lsn(*lsn), None).unwrap();
            model.insert(key.to_vec(), value);
        }
    }
}

#[test]
fn a_reader_keeps_its_checkpoint_whatever_the_writer_does() {
    let (mut most_retained, mut moved) = (0, 0);
    for seed in 1..9 {
        let mut random = Random::new(seed);
        let (mut storage, options) = storage(1024, 2 << 20);
        let (mut model, mut lsn) = (Model::new(), 2);
        checkpoint(&storage, lsn).unwrap();
        let mut durable = model.clone();
        let mut readers: Vec<(Arc<Storage>, Model)> = Vec::new();
        for step in 0..250 {
            match random.below(16) {
                0..=3 => {
                    lsn += 1;
                    checkpoint(&storage, lsn).unwrap();
                    durable.clone_from(&model);
                }
                4 | 5 if readers.len() < 4 => readers.push((read(&options), durable.clone())),
                6 if !readers.is_empty() => {
                    readers.swap_remove(random.below(readers.len() as u64) as usize);
                }
                7 => {
                    // As after a kill: what is not in a checkpoint is gone, and nobody knows who reads what.
                    drop(storage);
                    let memory = MemoryAccount::new(2 << 20);
                    storage = Storage::open(StorageOptions { memory, ..options.clone() }).unwrap();
                    model.clone_from(&durable);
                }
                8 => {
                    storage.compact(&|| Ok(())).unwrap();
                    lsn += 1;
                    checkpoint(&storage, lsn).unwrap();
                    durable.clone_from(&model);
                    storage.trim().unwrap();
                }
                _ => change(&storage, &mut model, &mut lsn, &mut random),
            }
            most_retained = storage.statistics().blocks_retained.max(most_retained);
            for (reader, expected) in &readers {
                // Every block is read from the file, not from memory.
                assert_eq!(findings(reader), Vec::<String>::new(), "seed {seed}, step {step}");
                let found = all(&reader.tree(TREE).unwrap());
                assert!(found == *expected, "seed {seed}, step {step}");
                let generations = [reader, &storage].map(|storage| storage.last_checkpoint().generation);
                assert_eq!(reader.is_outdated().unwrap(), generations[0] != generations[1], "seed {seed}");
                moved += u64::from(generations[0] != generations[1]);
            }
        }
        readers.clear();
        lsn += 1;
        put(&storage.tree(TREE).unwrap(), b"last", b"value", lsn);
        checkpoint(&storage, lsn + 1).unwrap();
        storage.trim().unwrap();
        assert_eq!(storage.statistics().blocks_retained, 0, "seed {seed}");
        assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed}");
    }
    assert!(most_retained > 50 && moved > 500, "{most_retained} blocks, {moved} times behind");
}

#[test]
fn a_statement_that_is_still_prepared_does_not_hold_what_nobody_reads() {
    let (storage, options) = storage(1024, 2 << 20);
    let (mut model, mut lsn, mut random) = (Model::new(), 2, Random::new(3));
    change(&storage, &mut model, &mut lsn, &mut random);
    checkpoint(&storage, lsn).unwrap();
    let reader = read(&options);
    let tree = reader.tree(TREE).unwrap();
    change(&storage, &mut model, &mut lsn, &mut random);
    checkpoint(&storage, lsn).unwrap();
    assert!(storage.statistics().blocks_retained > 0);
    reader.leave();
    drop(reader);
    change(&storage, &mut model, &mut lsn, &mut random);
    checkpoint(&storage, lsn).unwrap();
    assert_eq!(storage.statistics().blocks_retained, 0);
    drop(tree);
}

#[test]
fn a_checkpoint_that_cuts_through_a_commit_is_not_read_and_another_is_wanted() {
    let (storage, options) = storage(1024, 2 << 20);
    checkpoint(&storage, 5).unwrap();
    let before = read(&options);
    std::thread::scope(|scope| {
        let ticket = storage.gate().enter();
        ticket.set_start(Lsn(6));
        put(&storage.tree(TREE).unwrap(), b"half", b"of it", 9);
        let cut = scope.spawn(|| checkpoint(&storage, 9).unwrap());
        // Lets the checkpoint through, which waits for it at the gate.
        while !cut.is_finished() {
            ticket.pause();
            std::thread::yield_now();
        }
        assert_eq!(cut.join().unwrap(), Lsn(6));
        assert!(!storage.wants_checkpoint(), "it would be no better");
    });
    let options = StorageOptions { read_only: true, memory: MemoryAccount::new(1 << 20), ..options };
    assert!(matches!(Storage::open_beside_writer(&options).unwrap(), BesideWriter::CutsThrough));
    assert!(!before.is_outdated().unwrap());
    assert!(all(&before.tree(TREE).unwrap()).is_empty());
    assert!(storage.wants_checkpoint());
    checkpoint(&storage, 10).unwrap();
    assert!(!storage.wants_checkpoint() && before.is_outdated().unwrap());
    assert_eq!(all(&read(&options).tree(TREE).unwrap()).len(), 1);
}

//! Readers, writers and checkpoints at once.

use super::*;
use crate::common::random::Random;
use crate::storage::ApplyEstimate;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[test]
fn readers_writers_and_checkpoints_do_not_disturb_each_other() {
    // Few frames, so that pages come and go while they are used.
    work_together(112 << 10);
}

#[test]
fn pages_that_are_written_together_disturb_nobody_either() {
    // As many as make batches of two, and hardly all pages.
    work_together(130 << 10);
}

fn work_together(memory_bytes: usize) {
    let (storage, options) = storage(1024, memory_bytes);
    let (stop, clock) = (AtomicBool::new(false), AtomicU64::new(1));
    let writers = 3_u64;
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..writers)
            .map(|writer| {
                let (storage, clock) = (&storage, &clock);
                scope.spawn(move || {
                    let tree = storage.tree(TREE).unwrap();
                    let mut random = Random::new(writer + 1);
                    let mut model = BTreeMap::new();
                    for _ in 0..1500 {
                        let _reservation = storage
                            .reserve(ApplyEstimate { operations: 1, bytes: 100, ..Default::default() })
                            .unwrap();
                        let key = [random.below(1200) * writers + writer, 5].map(u64::to_be_bytes).concat();
                        let purge = {
                            let ticket = storage.gate().enter();
                            let now = clock.fetch_add(1, Ordering::Relaxed);
                            ticket.set_start(Lsn(now));
                            if random.below(3) == 0 {
                                tree.apply(&key, Change::Delete, Lsn(now), Some(&NoVersions)).unwrap();
                                model.remove(&key);
                                true
                            } else {
                                let value = vec![writer as u8; random.below(60) as usize];
                                tree.apply(&key, Change::Put(&value), Lsn(now), Some(&NoVersions)).unwrap();
                                model.insert(key.clone(), value);
                                false
                            }
                        };
                        if purge {
                            tree.purge(&key, Lsn::MAX).unwrap();
                        }
                    }
                    model
                })
            })
            .collect();
        scope.spawn(|| {
            let tree = storage.tree(TREE).unwrap();
            while !stop.load(Ordering::Relaxed) {
                for backward in [false, true] {
                    let mut found = scan(&tree, Bound::Unbounded, Bound::Unbounded, backward).unwrap();
                    if backward {
                        found.reverse();
                    }
                    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
                    assert!(found.iter().all(|(key, value)| {
                        let number = u64::from_be_bytes(key[..8].try_into().unwrap());
                        value.iter().all(|byte| u64::from(*byte) == number % writers)
                    }));
                }
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                storage.clean_ahead().unwrap();
                checkpoint(&storage, clock.load(Ordering::Relaxed)).unwrap();
                assert_eq!(findings(&storage), Vec::<String>::new());
                std::thread::yield_now();
            }
        });
        let mut model = BTreeMap::new();
        for handle in handles {
            model.extend(handle.join().unwrap());
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(all(&storage.tree(TREE).unwrap()), model);
        checkpoint(&storage, clock.load(Ordering::Relaxed) + 1).unwrap();
        let reopened = Storage::open(StorageOptions {
            read_only: true,
            memory: MemoryAccount::new(4 << 20),
            ..options.clone()
        });
        assert_eq!(all(&reopened.unwrap().tree(TREE).unwrap()), model);
    });
    assert!(storage.statistics().evictions > 0);
}

#[test]
fn a_checkpoint_waits_for_those_inside_the_gate() {
    let (storage, _) = storage(1024, 1 << 20);
    let tree = storage.tree(TREE).unwrap();
    let ticket = storage.gate().enter();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            checkpoint(&storage, 5).unwrap();
            done.store(true, Ordering::SeqCst);
        });
        put(&tree, b"half", b"1", 2);
        assert!(!done.load(Ordering::SeqCst));
        put(&tree, b"whole", b"2", 2);
        drop(ticket);
    });
    assert!(done.load(Ordering::SeqCst));
    assert_eq!(storage.last_checkpoint().cut_lsn, Lsn(5));
    assert_eq!(storage.statistics().frames_dirty, 0);
}

#[test]
fn a_long_commit_pauses_for_a_cut_and_redo_starts_where_it_starts() {
    let (storage, _) = storage(1024, 1 << 20);
    let tree = storage.tree(TREE).unwrap();
    let (applied, cut) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let ticket = storage.gate().enter();
            ticket.set_start(Lsn(20));
            put(&tree, b"first", b"1", 40);
            applied.store(true, Ordering::SeqCst);
            while !cut.load(Ordering::SeqCst) {
                ticket.pause();
                std::thread::yield_now();
            }
            put(&tree, b"second", b"2", 40);
        });
        while !applied.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        assert_eq!(checkpoint(&storage, 40).unwrap(), Lsn(20));
        cut.store(true, Ordering::SeqCst);
    });
    let record = storage.last_checkpoint();
    assert_eq!((record.cut_lsn, record.redo_lsn), (Lsn(40), Lsn(20)));
    assert_eq!(all(&tree).len(), 2);
    assert_eq!(checkpoint(&storage, 50).unwrap(), Lsn(50));
}

#[test]
fn memory_goes_back_when_others_need_it() {
    let (storage, options) = storage(4096, 2 << 20);
    let tree = storage.tree(TREE).unwrap();
    for key in 0..8000_u64 {
        put(&tree, &key.to_be_bytes(), &[1; 100], 1);
    }
    assert!(options.memory.used() > 800 << 10);
    let mut reservation = options.memory.reservation();
    reservation.grow(1600 << 10).unwrap();
    assert_eq!(all(&tree).len(), 8000, "the pool works on with what it has left");
    assert!(options.memory.used() <= options.memory.limit());
    drop(reservation);
    drop((tree, storage));
    assert_eq!(options.memory.used(), 0);
}

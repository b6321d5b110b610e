//! A run is what a sorted list is, whatever of it is in its file.

use super::*;
use crate::common::random::Random;
use crate::io::fault::{Fault, FaultPlan, FaultVfs};
use crate::io::memory::MemoryVfs;
use crate::io::vfs::Vfs;
use std::ops::Bound;
use std::path::Path;

fn runs(vfs: Arc<dyn Vfs>) -> SortedRuns {
    SortedRuns::new(TemporaryFiles::beside(vfs, Path::new("/t")), &MemoryAccount::new(64 << 20))
}

fn plain<'a>(key: &'a [u8], value: &'a [u8]) -> RunEntry<'a> {
    RunEntry { key, value, kind: 1, stamp: 0, command: 0 }
}

fn values(run: &SortedRun, key: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    run.find(key, |entry| {
        found.push(entry.value.to_vec());
        true
    })
    .unwrap();
    found
}

#[test]
fn a_run_is_read_by_key_and_in_both_directions_while_it_grows_and_moves_to_its_file() {
    for seed in 1..20 {
        let mut random = Random::new(seed);
        let runs = runs(Arc::new(MemoryVfs::new()));
        let run = Arc::new(if seed % 2 == 0 { runs.plain() } else { runs.stamped() });
        let mut model: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut number = 0u32;
        for _ in 0..6 {
            if random.below(2) == 0 {
                run.expect_keys(&number.to_be_bytes(), 300).unwrap();
            }
            for _ in 0..random.below(900) {
                // Now and then a key has more entries than a block holds.
                let copies = if random.below(200) == 0 { 60 } else { 1 + random.below(2) };
                for _ in 0..copies {
                    let value = vec![random.below(256) as u8; random.below(700) as usize];
                    let stamp = if seed % 2 == 0 { 0 } else { model.len() as u64 };
                    let key = number.to_be_bytes();
                    run.push(RunEntry { stamp, ..plain(&key, &value) });
                    model.push((key.to_vec(), value));
                }
                number += 1 + random.below(3) as u32;
            }
            if random.below(2) == 0 {
                run.flush().unwrap();
            }
            for _ in 0..30 {
                let key = (random.below(u64::from(number) + 3) as u32).to_be_bytes();
                let expected: Vec<_> =
                    model.iter().filter(|(k, _)| *k == key).map(|(_, value)| value.clone()).collect();
                assert_eq!(values(&run, &key), expected, "seed {seed}");
            }
        }
        run.finish().unwrap();
        assert_eq!(run.unwritten_bytes(), 0, "seed {seed}");
        for _ in 0..20 {
            let key = (random.below(u64::from(number) + 3) as u32).to_be_bytes();
            let backward = random.below(2) == 0;
            let from = match random.below(3) {
                0 => Bound::Unbounded,
                1 => Bound::Included(&key[..]),
                _ => Bound::Excluded(&key[..]),
            };
            let mut expected: Vec<_> = model
                .iter()
                .filter(|(k, _)| match from {
                    Bound::Unbounded => true,
                    Bound::Included(from) => {
                        if backward {
                            &k[..] <= from
                        } else {
                            &k[..] >= from
                        }
                    }
                    Bound::Excluded(from) => {
                        if backward {
                            &k[..] < from
                        } else {
                            &k[..] > from
                        }
                    }
                })
                .cloned()
                .collect();
            if backward {
                expected.reverse();
            }
            let mut cursor = RunCursor::new(&run, from, backward).unwrap();
            let mut found = Vec::new();
            while let Some(entry) = cursor.peek() {
                found.push((entry.key.to_vec(), entry.value.to_vec()));
                cursor.advance().unwrap();
            }
            assert!(found == expected, "seed {seed}: {from:?} {backward}");
        }
    }
}

#[test]
fn what_came_after_a_mark_is_forgotten() {
    let runs = runs(Arc::new(MemoryVfs::new()));
    let run = Arc::new(runs.plain());
    run.expect_keys(b"a", 10).unwrap();
    run.push(plain(b"a", b"1"));
    run.finish().unwrap();
    let mark = run.mark();
    run.expect_keys(b"b", 10).unwrap();
    run.push(plain(b"b", b"2"));
    run.finish().unwrap();
    run.push(plain(b"c", b"3"));
    run.truncate(mark);
    assert_eq!(run.last_key().unwrap(), b"a");
    run.push(plain(b"b", b"4"));
    run.finish().unwrap();
    assert_eq!(values(&run, b"a"), [b"1"]);
    assert_eq!(values(&run, b"b"), [b"4"]);
    assert_eq!(values(&run, b"c"), Vec::<Vec<u8>>::new());
}

#[test]
fn a_damaged_block_is_xx001_and_the_others_can_be_read() {
    let runs = runs(Arc::new(MemoryVfs::new()));
    let run = runs.plain();
    for key in 0..100u32 {
        run.push(plain(&key.to_be_bytes(), &[key as u8; 1000]));
    }
    run.finish().unwrap();
    run.state.lock().file.as_ref().unwrap().write_at(b"x", 20).unwrap();
    let error = run.find(&0u32.to_be_bytes(), |_| true).unwrap_err();
    assert_eq!(error.state(), SqlState::DATA_CORRUPTED);
    assert_eq!(values(&run, &99u32.to_be_bytes()).len(), 1);
}

#[test]
fn where_the_disk_is_full_nothing_is_lost_and_writing_can_be_tried_again() {
    let vfs = Arc::new(FaultVfs::new());
    let runs = runs(Arc::clone(&vfs) as Arc<dyn Vfs>);
    let run = runs.plain();
    for key in 0..100u32 {
        run.push(plain(&key.to_be_bytes(), &[key as u8; 1000]));
    }
    vfs.set_plan(Some(FaultPlan { at: vfs.calls() + 1, fault: Fault::DiskFull, forever: true }));
    assert_eq!(run.finish().unwrap_err().state(), SqlState::DISK_FULL);
    assert_eq!(values(&run, &50u32.to_be_bytes()), [[50; 1000]]);
    vfs.set_plan(None);
    run.finish().unwrap();
    assert_eq!(values(&run, &50u32.to_be_bytes()), [[50; 1000]]);
}

//! Power losses and I/O errors at every step: the file is always the last durable checkpoint, whole.

use super::*;
use crate::common::random::Random;
use crate::io::fault::{Fault, FaultPlan, FaultVfs, OperationKind, Survival};
use crate::storage::ApplyEstimate;
use crate::wal::recovery::Redo;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn change_some(
    storage: &Storage,
    model: &mut Model,
    random: &mut Random,
    count: u64,
    timestamp: u64,
) -> Result<()> {
    let tree = storage.tree(TREE)?;
    for _ in 0..count {
        let key = random.below(300).to_be_bytes().to_vec();
        if random.below(4) == 0 {
            tree.apply(&key, Change::Delete, Lsn(timestamp), None)?;
            model.remove(&key);
        } else {
            let value = vec![random.below(256) as u8; random.below(50) as usize];
            tree.apply(&key, Change::Put(&value), Lsn(timestamp), None)?;
            model.insert(key, value);
        }
    }
    Ok(())
}

fn small_options(vfs: &FaultVfs) -> StorageOptions {
    // 64 frames for more pages: evictions write between checkpoints too.
    options(Arc::new(vfs.clone()), 1024, 64 * 1024 + (64 << 10))
}

/// Opens what a power loss left and says which checkpoint it is.
fn judge(vfs: &FaultVfs, states: &BTreeMap<u64, Model>, context: &str) -> u64 {
    let storage = Storage::open(small_options(vfs)).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    assert_eq!(findings_of_content(&storage), Vec::<String>::new(), "{context}");
    let cut = storage.last_checkpoint().cut_lsn.0;
    assert_eq!(all(&storage.tree(TREE).unwrap()), states[&cut], "{context}: cut {cut}");
    cut
}

/// Findings but for a torn copy of a slot whose other copy is good: that is what copies are for.
fn findings_of_content(storage: &Storage) -> Vec<String> {
    let mut found = findings(storage);
    found.retain(|line| !line.contains("copy of the checkpoint slot"));
    found
}

#[test]
fn a_power_loss_at_any_step_leaves_the_last_durable_checkpoint() {
    for seed in 1..5 {
        let vfs = FaultVfs::new();
        let storage = Storage::create(small_options(&vfs)).unwrap();
        storage.create_tree(TREE, Lsn(1)).unwrap();
        let mut random = Random::new(seed);
        let mut model = Model::new();
        let mut states = BTreeMap::new();
        change_some(&storage, &mut model, &mut random, 600, 10).unwrap();
        checkpoint(&storage, 10).unwrap();
        states.insert(10, model.clone());
        drop(storage);
        let mut steps = 1;
        for at in 1.. {
            // From the same disk each time: the power goes at call `at`.
            let disk = vfs.image_after_power_loss(Survival::Everything, seed);
            let storage = Storage::open(small_options(&disk)).unwrap();
            disk.set_plan(Some(FaultPlan { at, fault: Fault::PowerLoss, forever: true }));
            let mut random = Random::new(seed * 100);
            let mut later = model.clone();
            let mut acknowledged = 10;
            let result = change_some(&storage, &mut later, &mut random, 300, 20).and_then(|()| {
                states.insert(20, later.clone());
                checkpoint(&storage, 20)?;
                acknowledged = 20;
                change_some(&storage, &mut later, &mut random, 300, 30)?;
                states.insert(30, later.clone());
                checkpoint(&storage, 30)
            });
            for (turn, survival) in
                [Survival::Nothing, Survival::Everything, Survival::Some, Survival::Prefix]
                    .into_iter()
                    .enumerate()
            {
                let image = disk.image_after_power_loss(survival, seed * 1000 + at * 10 + turn as u64);
                let found = judge(&image, &states, &format!("seed {seed}, call {at}, {survival:?}"));
                assert!(found >= acknowledged, "seed {seed}, call {at}: {found} after {acknowledged}");
            }
            steps = at;
            if result.is_ok() {
                break;
            }
        }
        assert!(steps > 10, "{steps} steps were interrupted");
    }
}

#[test]
fn a_power_loss_while_a_database_is_made_leaves_none_or_a_whole_one() {
    for at in 1..40 {
        let vfs = FaultVfs::new();
        vfs.set_plan(Some(FaultPlan { at, fault: Fault::PowerLoss, forever: true }));
        let made = Storage::create(small_options(&vfs)).is_ok();
        for (turn, survival) in [Survival::Nothing, Survival::Everything, Survival::Some, Survival::Prefix]
            .into_iter()
            .enumerate()
        {
            let image = vfs.image_after_power_loss(survival, at * 4 + turn as u64);
            let options = small_options(&image);
            let exists = options.vfs.exists(&options.path).unwrap();
            assert!(exists || !made, "call {at}, {survival:?}");
            let storage = if exists { Storage::open(options) } else { Storage::create(options) };
            assert_eq!(findings(&storage.unwrap()), Vec::<String>::new(), "call {at}, {survival:?}");
        }
        if made {
            return;
        }
    }
    panic!("creation takes more calls than were tried");
}

#[test]
fn no_write_touches_a_block_of_the_durable_checkpoint() {
    let vfs = FaultVfs::new();
    let storage = Storage::create(small_options(&vfs)).unwrap();
    storage.create_tree(TREE, Lsn(1)).unwrap();
    let mut random = Random::new(9);
    let mut model = Model::new();
    for round in 1..12_u64 {
        let durable: Vec<u64> = {
            let space = storage.pool.space.lock();
            (0..u64::from(space.block_count()))
                .filter(|block| space.is_used(crate::common::ids::BlockId(*block as u32)))
                .collect()
        };
        vfs.take_trace();
        change_some(&storage, &mut model, &mut random, 400, round).unwrap();
        checkpoint(&storage, round).unwrap();
        let trace = vfs.take_trace();
        let slot = trace.iter().position(|call| call.kind == OperationKind::Write && call.offset < 128 << 10);
        let slot = slot.expect("a checkpoint writes its slot");
        for call in trace.iter().filter(|call| call.kind == OperationKind::Write && call.offset >= 128 << 10)
        {
            let blocks = call.offset / 1024..(call.offset + call.bytes as u64) / 1024;
            assert!(blocks.clone().all(|block| !durable.contains(&block)), "round {round}: {blocks:?}");
        }
        // Data, sync, both copies of the slot, sync: nothing else in between or behind.
        let kinds: Vec<_> = trace[slot - 1..].iter().map(|call| call.kind).collect();
        use OperationKind::{Sync, Write};
        assert_eq!(kinds, [Sync, Write, Write, Sync], "round {round}");
    }
}

#[test]
fn a_full_disk_is_found_by_the_reservation_and_keeps_the_checkpoint() {
    let vfs = FaultVfs::new();
    let storage = Storage::create(small_options(&vfs)).unwrap();
    storage.create_tree(TREE, Lsn(1)).unwrap();
    let mut random = Random::new(4);
    let mut model = Model::new();
    change_some(&storage, &mut model, &mut random, 200, 2).unwrap();
    checkpoint(&storage, 2).unwrap();
    vfs.set_plan(Some(FaultPlan { at: 1, fault: Fault::DiskFull, forever: true }));
    let error = storage
        .reserve(ApplyEstimate { operations: 500, bytes: 300 << 10, ..Default::default() })
        .unwrap_err();
    assert_eq!(error.state().as_str(), "53100");
    vfs.set_plan(None);
    change_some(&storage, &mut model, &mut random, 200, 3).unwrap();
    vfs.set_plan(Some(FaultPlan { at: 1, fault: Fault::DiskFull, forever: true }));
    assert_eq!(checkpoint(&storage, 3).unwrap_err().state().as_str(), "53100");
    assert_eq!(storage.last_checkpoint().cut_lsn, Lsn(2));
    vfs.set_plan(None);
    checkpoint(&storage, 3).unwrap();
    assert_eq!(findings(&storage), Vec::<String>::new());
    assert_eq!(all(&storage.tree(TREE).unwrap()), model);
}

#[test]
fn an_error_before_the_sync_keeps_the_checkpoint_and_one_from_the_sync_on_is_final() {
    let mut poisoned = 0;
    let mut kept = 0;
    for at in 1..200 {
        let vfs = FaultVfs::new();
        let storage = Storage::create(small_options(&vfs)).unwrap();
        storage.create_tree(TREE, Lsn(1)).unwrap();
        let mut random = Random::new(at);
        let mut model = Model::new();
        change_some(&storage, &mut model, &mut random, 150, 2).unwrap();
        checkpoint(&storage, 2).unwrap();
        let before = model.clone();
        change_some(&storage, &mut model, &mut random, 150, 3).unwrap();
        vfs.set_plan(Some(FaultPlan { at, fault: Fault::IoError, forever: false }));
        let log = log_at(3);
        let result = storage.checkpoint(&log, || false, || TransactionId(1));
        if vfs.faults_shown() == 0 {
            result.unwrap();
            assert!(poisoned >= 3 && kept >= 3, "{poisoned} poisoned, {kept} kept");
            return;
        }
        vfs.set_plan(None);
        if result.is_ok() {
            // Growing by less than hoped for is no failure.
            assert_eq!(storage.last_checkpoint().cut_lsn, Lsn(3), "call {at}");
        } else if storage.reserve(ApplyEstimate::default()).is_err() {
            poisoned += 1;
            assert!(checkpoint(&storage, 4).is_err(), "call {at}");
            assert!(log.sync_to(Lsn(3)).is_err(), "call {at}: nothing is acknowledged any more");
        } else {
            kept += 1;
            checkpoint(&storage, 3).unwrap();
            assert_eq!(findings(&storage), Vec::<String>::new(), "call {at}");
        }
        drop(storage);
        let storage = Storage::open(small_options(&vfs)).unwrap();
        let found = all(&storage.tree(TREE).unwrap());
        assert!(found == model || found == before, "call {at}");
    }
    panic!("a checkpoint takes more calls than were tried");
}

#[test]
fn redo_brings_back_what_came_after_the_checkpoint_and_twice_is_once() {
    let vfs = FaultVfs::new();
    let storage = Storage::create(small_options(&vfs)).unwrap();
    drop(storage);
    for turns in [1, 2] {
        let disk = vfs.image_after_power_loss(Survival::Nothing, 1);
        let storage = Storage::open(small_options(&disk)).unwrap();
        for _ in 0..turns {
            let mut redo = storage.redo();
            redo.tree_create(Lsn(10), TREE).unwrap();
            redo.put(Lsn(11), TREE, b"a", b"1").unwrap();
            redo.put(Lsn(12), TREE, b"b", b"2").unwrap();
            redo.delete(Lsn(13), TREE, b"a").unwrap();
            redo.or(Lsn(14), TREE, b"bits", &[1, 0]).unwrap();
            redo.or(Lsn(15), TREE, b"bits", &[2]).unwrap();
            redo.max(Lsn(16), TREE, b"max", 9).unwrap();
            redo.max(Lsn(17), TREE, b"max", 4).unwrap();
            redo.tree_create(Lsn(18), TreeId(40)).unwrap();
            redo.put(Lsn(19), TreeId(40), b"x", b"y").unwrap();
            redo.tree_drop(Lsn(20), TreeId(40)).unwrap();
            redo.put(Lsn(21), TreeId(40), b"x", b"y").unwrap();
            assert!(redo.put(Lsn(22), crate::storage::DIRECTORY_TREE, b"x", b"y").is_err());
        }
        let expected: Model = [
            (b"b".to_vec(), b"2".to_vec()),
            (b"bits".to_vec(), vec![3, 0]),
            (b"max".to_vec(), 9_u64.to_be_bytes().to_vec()),
        ]
        .into();
        assert_eq!(all(&storage.tree(TREE).unwrap()), expected);
        assert_eq!(storage.next_tree_id(), TreeId(41), "ids seen in the log are not used again");
        checkpoint(&storage, 30).unwrap();
        assert_eq!(findings(&storage), Vec::<String>::new());
        drop(storage);
        let storage = Storage::open(small_options(&disk)).unwrap();
        assert_eq!(all(&storage.tree(TREE).unwrap()), expected);
        assert!(storage.next_tree_id() > TreeId(41));
    }
}

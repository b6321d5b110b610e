//! Checkpoints step by step, with changes between any two steps: what is found is the state of the cut, exactly.

use super::*;
use crate::common::ids::BlockId;
use crate::common::random::Random;
use crate::io::fault::{Fault, FaultPlan, FaultVfs, OperationKind, Survival};
use crate::storage::{Checkpoint, CheckpointStep};

type Model = BTreeMap<TreeId, BTreeMap<Vec<u8>, Vec<u8>>>;

/// More pages than frames, so that evictions write between the steps too.
fn small(page_size: usize) -> usize {
    64 * page_size + (64 << 10)
}

struct World {
    storage: Arc<Storage>,
    model: Model,
    now: u64,
    random: Random,
    page_size: usize,
    /// Steps of vacuuming done.
    merged: u64,
    moved: u64,
}

impl World {
    fn create(vfs: &FaultVfs, page_size: usize, memory_bytes: usize, seed: u64) -> World {
        let storage = Storage::create(options(Arc::new(vfs.clone()), page_size, memory_bytes)).unwrap();
        let random = Random::new(seed);
        World { storage, model: Model::new(), now: 10, random, page_size, merged: 0, moved: 0 }
    }

    /// What VACUUM and the checkpointer do, in parts. `alone`: no checkpoint is being written.
    fn vacuum(&mut self, alone: bool) -> Result<()> {
        let ids: Vec<TreeId> = self.model.keys().copied().collect();
        if alone && self.random.below(2) == 0 {
            self.moved += self.storage.compact(&|| Ok(()))?;
            if self.random.below(3) == 0 {
                self.storage.trim()?;
            }
        } else if !ids.is_empty() {
            let id = ids[self.random.below(ids.len() as u64) as usize];
            let pages = self.storage.tree_space(id)?.unwrap().pages;
            self.storage.merge_tree(id, &|| Ok(()))?;
            let after = self.storage.tree_space(id)?.unwrap().pages;
            assert!(after <= pages, "tree {id}: {pages} pages, then {after}");
            self.merged += pages - after;
        }
        Ok(())
    }

    /// One thing that a commit, a reader or the garbage collector does.
    fn change(&mut self) -> Result<()> {
        self.now += 1;
        let lsn = Lsn(self.now);
        let ids: Vec<TreeId> = self.model.keys().copied().collect();
        let roll = self.random.below(100);
        if ids.is_empty() || (roll < 2 && ids.len() < 5) {
            let id = self.storage.next_tree_id();
            self.model.insert(id, BTreeMap::new());
            return self.storage.create_tree(id, lsn);
        }
        let id = ids[self.random.below(ids.len() as u64) as usize];
        if roll < 3 {
            self.model.remove(&id);
            return self.storage.drop_tree(id, lsn);
        }
        let tree = self.storage.tree(id)?;
        let key = self.random.below(900).to_be_bytes().to_vec();
        let rows = self.model.entry(id).or_default();
        if roll < 8 {
            let from = key.as_slice();
            let found = scan(&tree, Bound::Included(from), Bound::Unbounded, false)?;
            let expected: Vec<_> = rows.range(key.clone()..).map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(found, expected);
            return Ok(());
        }
        if roll < 12 {
            // Whole leaves go.
            let last = u64::from_be_bytes(key[..].try_into().unwrap()) + 60;
            let gone: Vec<_> =
                rows.range(key..last.to_be_bytes().to_vec()).map(|(key, _)| key.clone()).collect();
            for key in gone {
                tree.apply(&key, Change::Delete, lsn, None)?;
                rows.remove(&key);
            }
            return Ok(());
        }
        if roll < 35 {
            rows.remove(&key);
            tree.apply(&key, Change::Delete, lsn, Some(&NoVersions))?;
            return if roll < 25 { tree.purge(&key, lsn).map(|_| ()) } else { Ok(()) };
        }
        let length = self.random.below(200 * self.page_size as u64 / 1024) as usize;
        let value = vec![self.random.below(256) as u8; length];
        tree.apply(&key, Change::Put(&value), lsn, None)?;
        rows.insert(key, value);
        Ok(())
    }

    fn begin(&self) -> Result<Option<Checkpoint>> {
        self.storage.begin_checkpoint(&log_at(self.now), || false, || TransactionId(self.now))
    }
}

fn content(storage: &Storage) -> Model {
    let mut ids = Vec::new();
    for (key, _) in scan(&storage.directory, Bound::Unbounded, Bound::Unbounded, false).unwrap() {
        ids.push(TreeId(u32::from_be_bytes(key[..].try_into().unwrap())));
    }
    ids.retain(|id| *id >= TREE);
    ids.into_iter().map(|id| (id, all(&storage.tree(id).unwrap()))).collect()
}

/// Opens what a power loss left; it must be one of `states`, whole, by its cut.
fn judge(image: &FaultVfs, states: &BTreeMap<u64, Model>, context: &str) -> u64 {
    let storage = Storage::open(options(Arc::new(image.clone()), 1024, 4 << 20))
        .unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let mut found = findings(&storage);
    found.retain(|line| !line.contains("copy of the checkpoint slot"));
    assert_eq!(found, Vec::<String>::new(), "{context}");
    let record = storage.last_checkpoint();
    let cut = record.cut_lsn.0;
    let expected = states.get(&cut).unwrap_or_else(|| panic!("{context}: nobody cut at {cut}"));
    assert!(content(&storage) == *expected, "{context}: the state is not that of cut {cut}");
    assert!(record.generation == 1 || record.next_transaction == TransactionId(cut), "{context}");
    let next = storage.next_tree_id();
    assert!(expected.keys().all(|id| *id < next), "{context}");
    cut
}

/// The blocks that the file keeps for the durable checkpoint are exactly those that it names.
fn assert_blocks_are_those_named(world: &World, image: &FaultVfs, context: &str) {
    let reopened = Storage::open(options(Arc::new(image.clone()), 1024, 4 << 20)).unwrap();
    let (now, then) = (world.storage.pool.space.lock(), reopened.pool.space.lock());
    let first = (128 << 10) / world.page_size as u32;
    for block in first..now.block_count().max(then.block_count()) {
        let block = BlockId(block);
        assert_eq!(now.is_durable(block), then.is_used(block), "{context}: block {block}");
    }
}

#[derive(Default)]
struct Seen {
    saved: u64,
    written: u64,
    evicted: u64,
    done: u64,
    dropped: u64,
    merged: u64,
    moved: u64,
    /// Pages written ahead of the clock.
    cleaned: usize,
}

fn run_model(seed: u64, page_size: usize, image_bytes_max: usize, memory_bytes: usize, seen: &mut Seen) {
    let vfs = FaultVfs::new();
    let mut world = World::create(&vfs, page_size, memory_bytes, seed);
    world.storage.pool.set_image_bytes_max(image_bytes_max);
    let mut states = BTreeMap::from([(0, Model::new())]);
    let mut running: Option<Checkpoint> = None;
    let mut durable = 0;
    for turn in 0..(2500 * 1024 / page_size).max(250) {
        let context = format!(
            "page size {page_size}, seed {seed}, turn {turn}, {:?}",
            running.as_ref().map(Checkpoint::next)
        );
        for _ in 0..world.random.below(6) {
            world.change().unwrap();
        }
        if world.random.below(10) == 0 {
            world.storage.pool.forget_uses();
            seen.cleaned += world.storage.clean_ahead().unwrap();
        }
        if world.random.below(25) == 0 {
            world.vacuum(running.is_none()).unwrap();
        }
        match running.take() {
            None if world.random.below(8) == 0 => {
                running = world.begin().unwrap();
                if running.is_some() {
                    states.insert(world.now, world.model.clone());
                }
            }
            None => {}
            Some(mut checkpoint) => {
                let can_be_dropped =
                    !matches!(checkpoint.next(), CheckpointStep::SyncSlot | CheckpointStep::Publish);
                if can_be_dropped && world.random.below(120) == 0 {
                    drop(checkpoint);
                    seen.dropped += 1;
                    assert_eq!(findings(&world.storage), Vec::<String>::new(), "{context}");
                } else if checkpoint.step().unwrap() == CheckpointStep::Done {
                    durable = checkpoint.record().cut_lsn.0;
                    drop(checkpoint);
                    seen.done += 1;
                    assert_eq!(findings(&world.storage), Vec::<String>::new(), "{context}");
                    let image = vfs.image_after_power_loss(Survival::Nothing, 1);
                    assert_blocks_are_those_named(&world, &image, &context);
                    assert_eq!(judge(&image, &states, &context), durable, "{context}");
                } else {
                    running = Some(checkpoint);
                }
            }
        }
        if world.random.below(12) == 0 {
            let survival = [Survival::Nothing, Survival::Everything, Survival::Some, Survival::Prefix]
                [world.random.below(4) as usize];
            let image = vfs.image_after_power_loss(survival, world.random.next_u64());
            let found = judge(&image, &states, &format!("{context}, {survival:?}"));
            assert!(found >= durable, "{context}: {found} after {durable}");
        }
        if world.random.below(60) == 0 {
            assert!(content(&world.storage) == world.model, "{context}");
        }
    }
    drop(running);
    assert_eq!(findings(&world.storage), Vec::<String>::new(), "seed {seed}");
    assert!(content(&world.storage) == world.model, "seed {seed}");
    let figures = world.storage.statistics();
    seen.saved += figures.checkpoint_images_saved;
    seen.written += figures.checkpoint_images_written;
    seen.evicted += figures.checkpoint_evictions;
    seen.merged += world.merged;
    seen.moved += world.moved;
    let memory = Arc::clone(world.storage.pool.memory());
    drop(world);
    assert_eq!(memory.used(), 0, "seed {seed}");
}

#[test]
fn a_checkpoint_is_of_its_cut_whatever_happens_between_its_steps() {
    let mut seen = Seen::default();
    for seed in 1..5 {
        // Pages that are not in memory, with room for some pre-images, for few, and for none.
        run_model(seed, 1024, [16 << 10, 4096, 0, 2048][seed as usize % 4], small(1024), &mut seen);
        // All pages in memory.
        run_model(seed + 100, 1024, [1 << 20, 4096, 0, 2048][seed as usize % 4], 1 << 20, &mut seen);
    }
    assert!(seen.saved > 100 && seen.written > 100, "{} saved, {} written", seen.saved, seen.written);
    assert!(seen.done > 50 && seen.dropped > 5, "{} done, {} dropped", seen.done, seen.dropped);
    assert!(seen.merged > 50 && seen.moved > 100, "{} pages merged, {} moved", seen.merged, seen.moved);
    assert!(seen.cleaned > 100, "{} cleaned", seen.cleaned);
    println!("{} old pages evicted, {} pages merged, {} moved", seen.evicted, seen.merged, seen.moved);
}

#[test]
fn every_page_size_keeps_what_was_cut_and_nothing_else() {
    // One seed of its own a run, or the one that a message named.
    let chosen = std::env::var("LUMOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = chosen.unwrap_or(4711);
    for page_size in [1024, 2048, 4096, 8192, 16_384, 32_768] {
        let mut seen = Seen::default();
        run_model(seed, page_size, 4 * page_size, small(page_size), &mut seen);
        println!(
            "page size {page_size}, seed {seed}: {} checkpoints, {} pages merged, {} moved",
            seen.done, seen.merged, seen.moved
        );
    }
}

/// Two checkpoints with changes between their steps; returns the last cut that was acknowledged.
fn two_checkpoints(
    world: &mut World,
    states: &mut BTreeMap<u64, Model>,
    acknowledged: &mut u64,
) -> Result<()> {
    for _ in 0..2 {
        for _ in 0..30 {
            world.change()?;
        }
        let Some(mut checkpoint) = world.begin()? else { continue };
        states.insert(world.now, world.model.clone());
        let mut steps = 0;
        loop {
            steps += 1;
            if steps < 40 {
                world.change()?;
                world.change()?;
            }
            if checkpoint.step()? == CheckpointStep::Done {
                break;
            }
        }
        *acknowledged = checkpoint.record().cut_lsn.0;
    }
    Ok(())
}

#[test]
fn a_power_loss_at_any_call_of_a_checkpoint_among_writers_leaves_a_whole_cut() {
    for (seed, image_bytes_max) in [(1, 1 << 20), (2, 2048), (3, 0)] {
        let vfs = FaultVfs::new();
        let mut world = World::create(&vfs, 1024, small(1024), seed);
        for _ in 0..900 {
            world.change().unwrap();
        }
        checkpoint(&world.storage, world.now).unwrap();
        let (base, now) = (world.model.clone(), world.now);
        drop(world);
        let mut calls = 0;
        for at in 1.. {
            let disk = vfs.image_after_power_loss(Survival::Everything, seed);
            let storage = Storage::open(options(Arc::new(disk.clone()), 1024, small(1024))).unwrap();
            storage.pool.set_image_bytes_max(image_bytes_max);
            let random = Random::new(seed * 77);
            let mut world =
                World { storage, model: base.clone(), now, random, page_size: 1024, merged: 0, moved: 0 };
            disk.set_plan(Some(FaultPlan { at, fault: Fault::PowerLoss, forever: true }));
            let mut states = BTreeMap::from([(now, base.clone())]);
            let mut acknowledged = now;
            let result = two_checkpoints(&mut world, &mut states, &mut acknowledged);
            for (turn, survival) in
                [Survival::Nothing, Survival::Some, Survival::Prefix].into_iter().enumerate()
            {
                let image = disk.image_after_power_loss(survival, seed * 1000 + at * 10 + turn as u64);
                let context = format!("seed {seed}, call {at}, {survival:?}");
                // The first checkpoint of this file has another transaction number.
                let found = judge_cut(&image, &states, &context);
                assert!(found >= acknowledged, "{context}: {found} after {acknowledged}");
            }
            calls = at;
            if disk.faults_shown() == 0 {
                result.unwrap();
                break;
            }
        }
        assert!(calls > 20, "{calls} calls were interrupted");
    }
}

fn judge_cut(image: &FaultVfs, states: &BTreeMap<u64, Model>, context: &str) -> u64 {
    let storage = Storage::open(options(Arc::new(image.clone()), 1024, 4 << 20))
        .unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let cut = storage.last_checkpoint().cut_lsn.0;
    assert!(content(&storage) == states[&cut], "{context}: the state is not that of cut {cut}");
    cut
}

#[test]
fn an_error_in_the_midst_of_writers_gives_the_checkpoint_up_and_loses_nothing() {
    let (mut failed, mut failed_for_writers) = (0, 0);
    for image_bytes_max in [1 << 20, 0] {
        for at in 1.. {
            let vfs = FaultVfs::new();
            // Everything fits into memory: only checkpoints, and writers on their behalf, call the file system.
            let mut world = World::create(&vfs, 1024, 2 << 20, 5);
            world.storage.pool.set_image_bytes_max(image_bytes_max);
            for _ in 0..400 {
                world.change().unwrap();
            }
            let begun = world.begin().unwrap();
            let (cut, at_cut) = (world.now, world.model.clone());
            vfs.set_plan(Some(FaultPlan { at, fault: Fault::DiskFull, forever: false }));
            let mut checkpoint = begun.unwrap();
            let result = loop {
                for _ in 0..3 {
                    world.change().unwrap();
                }
                let before = vfs.faults_shown();
                match checkpoint.step() {
                    Ok(CheckpointStep::Done) => break Ok(()),
                    Ok(_) => {}
                    Err(error) => {
                        failed_for_writers += u64::from(before == vfs.faults_shown());
                        break Err(error);
                    }
                }
            };
            drop(checkpoint);
            let shown = vfs.faults_shown();
            vfs.set_plan(None);
            if shown == 0 {
                result.unwrap();
                break;
            }
            let context = format!("call {at}: {result:?}");
            match &result {
                Ok(()) => assert_eq!(world.storage.last_checkpoint().cut_lsn, Lsn(cut), "{context}"),
                Err(_) if world.storage.check_writable().is_err() => continue,
                Err(_) => {
                    failed += 1;
                    assert_eq!(world.storage.last_checkpoint().generation, 1, "{context}");
                }
            }
            assert!(content(&world.storage) == world.model, "{context}");
            world.now += 1;
            super::checkpoint(&world.storage, world.now).unwrap();
            assert_eq!(findings(&world.storage), Vec::<String>::new(), "{context}");
            let image = vfs.image_after_power_loss(Survival::Nothing, 1);
            let states = BTreeMap::from([(cut, at_cut), (world.now, world.model.clone())]);
            assert_eq!(judge_cut(&image, &states, &context), world.now);
        }
    }
    assert!(failed > 5 && failed_for_writers > 0, "{failed} failed, {failed_for_writers} for writers");
}

#[test]
fn entry_counts_and_tree_ids_are_as_of_the_cut() {
    let vfs = FaultVfs::new();
    let storage = Storage::create(options(Arc::new(vfs.clone()), 1024, 1 << 20)).unwrap();
    storage.create_tree(TREE, Lsn(1)).unwrap();
    let tree = storage.tree(TREE).unwrap();
    (0..50_u64).for_each(|key| put(&tree, &key.to_be_bytes(), b"old", 2));
    let mut checkpoint =
        storage.begin_checkpoint(&log_at(3), || false, || TransactionId(4)).unwrap().unwrap();
    (50..300_u64).for_each(|key| put(&tree, &key.to_be_bytes(), b"new", 5));
    (0..10_u64).for_each(|key| put(&tree, &key.to_be_bytes(), b"changed", 5));
    storage.create_tree(TreeId(90), Lsn(6)).unwrap();
    while checkpoint.step().unwrap() != CheckpointStep::Done {}
    drop(checkpoint);
    let image = vfs.image_after_power_loss(Survival::Nothing, 1);
    let then = Storage::open(options(Arc::new(image), 1024, 1 << 20)).unwrap();
    let rows = all(&then.tree(TREE).unwrap());
    assert!(rows.len() == 50 && rows.values().all(|value| value == b"old"));
    assert_eq!(then.tree(TREE).unwrap().entry_estimate(), 50);
    assert!(then.tree(TreeId(90)).is_err());
    assert_eq!(then.next_tree_id(), TreeId(17));
    assert_eq!(findings(&then), Vec::<String>::new());
    assert_eq!(tree.entry_estimate(), 300);
}

#[test]
fn a_panic_of_whoever_drives_a_checkpoint_leaves_the_gate_open_and_the_next_one_works() {
    let (storage, _) = storage(1024, 1 << 20);
    let tree = storage.tree(TREE).unwrap();
    (0..300_u64).for_each(|key| put(&tree, &key.to_be_bytes(), b"value", 2));
    for steps in 0..4 {
        let driven = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let log = log_at(3);
            let mut checkpoint =
                storage.begin_checkpoint(&log, || false, || TransactionId(4)).unwrap().unwrap();
            (0..steps).for_each(|_| assert_ne!(checkpoint.step().unwrap(), CheckpointStep::Done));
            std::panic::panic_any(());
        }));
        assert!(driven.is_err());
        drop(storage.gate().enter());
        put(&tree, b"between", &[steps], 3);
        assert_eq!(findings(&storage), Vec::<String>::new());
    }
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let asked = || std::panic::panic_any(());
        let _ = storage.begin_checkpoint(&log_at(3), || false, asked);
    }));
    assert!(asked.is_err());
    // A panic inside the closed gate is one inside the gate: nothing is written any more, but nobody waits.
    drop(storage.gate().enter());
    assert!(checkpoint(&storage, 3).is_err());
}

#[test]
fn whoever_drops_a_changed_tree_during_a_checkpoint_writes_none_of_its_pages() {
    let vfs = FaultVfs::new();
    let storage = Storage::create(options(Arc::new(vfs.clone()), 1024, 1 << 20)).unwrap();
    // As if no memory could be had for pre-images.
    storage.pool.set_image_bytes_max(0);
    let (kept, dropped) = (TREE, TreeId(TREE.0 + 1));
    for (id, rows) in [(kept, 4000_u64), (dropped, 400)] {
        storage.create_tree(id, Lsn(1)).unwrap();
        let tree = storage.tree(id).unwrap();
        (0..rows).for_each(|key| put(&tree, &key.to_be_bytes(), &[7; 40], 2));
    }
    let pages = storage.tree_space(dropped).unwrap().unwrap().pages;
    assert!(pages > 10);
    let mut checkpoint =
        storage.begin_checkpoint(&log_at(3), || false, || TransactionId(4)).unwrap().unwrap();
    let _ = vfs.take_trace();
    let frames = storage.pool.frames_in_use();
    storage.drop_tree(dropped, Lsn(5)).unwrap();
    // The directory's page, which the drop changes, is all that it may have to write.
    assert!(vfs.take_trace().len() <= 1);
    assert!(storage.pool.frames_in_use() >= frames, "the checkpoint has the frames");
    while checkpoint.step().unwrap() != CheckpointStep::Done {}
    drop(checkpoint);
    assert!(storage.pool.frames_in_use() as u64 + pages <= frames as u64 + 1, "and gave them back");
    let image = vfs.image_after_power_loss(Survival::Nothing, 1);
    let then = Storage::open(options(Arc::new(image), 1024, 1 << 20)).unwrap();
    assert_eq!(all(&then.tree(dropped).unwrap()).len(), 400, "it was there at the cut");
    assert_eq!(findings(&then), Vec::<String>::new());
    assert_eq!(findings(&storage), Vec::<String>::new());
    // Given up, a checkpoint gives the frames back as well.
    storage.create_tree(dropped, Lsn(6)).unwrap();
    let tree = storage.tree(dropped).unwrap();
    (0..400_u64).for_each(|key| put(&tree, &key.to_be_bytes(), &[8; 40], 6));
    let given_up = storage.begin_checkpoint(&log_at(7), || false, || TransactionId(4)).unwrap().unwrap();
    let frames = storage.pool.frames_in_use();
    storage.drop_tree(dropped, Lsn(8)).unwrap();
    drop(given_up);
    assert!((storage.pool.frames_in_use() as u64) < frames as u64 - pages / 2);
    checkpoint_and_compare(&storage, &vfs);
}

fn checkpoint_and_compare(storage: &Arc<Storage>, vfs: &FaultVfs) {
    checkpoint(storage, 9).unwrap();
    assert_eq!(findings(storage), Vec::<String>::new());
    let image = vfs.image_after_power_loss(Survival::Nothing, 1);
    let then = Storage::open(options(Arc::new(image), 1024, 1 << 20)).unwrap();
    assert!(content(&then) == content(storage));
}

#[test]
fn changed_pages_are_written_several_at_a_time_where_memory_is_short() {
    let vfs = FaultVfs::new();
    let storage = Storage::create(options(Arc::new(vfs.clone()), 1024, 512 << 10)).unwrap();
    storage.create_tree(TREE, Lsn(1)).unwrap();
    let tree = storage.tree(TREE).unwrap();
    let _ = vfs.take_trace();
    let mut random = Random::new(3);
    let mut model = BTreeMap::new();
    for _ in 0..4000 {
        let key = random.below(3000).to_be_bytes();
        let value = vec![random.below(256) as u8; 300];
        put(&tree, &key, &value, 2);
        model.insert(key.to_vec(), value);
    }
    let trace = vfs.take_trace();
    let writes = trace.iter().filter(|call| call.kind == OperationKind::Write);
    let pages: Vec<usize> = writes.map(|write| write.bytes / 1024).collect();
    let written: usize = pages.iter().sum();
    assert!(written > 500 && pages.len() * 3 < written * 2, "{written} pages in {} writes", pages.len());
    assert!(storage.take_pressed() && !storage.take_pressed());
    assert!(storage.clean_ahead().unwrap() > 0);
    assert_eq!(all(&tree), model);
    checkpoint_and_compare(&storage, &vfs);
}

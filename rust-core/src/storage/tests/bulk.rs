//! Trees built beside the map: their shape, linking, giving up, and replaying a link.

use super::*;
use crate::common::ids::{BlockId, PageId};
use crate::common::random::Random;
use crate::error::SqlState;
use crate::storage::FIRST_USER_TREE;
use crate::storage::bulk::BuiltTree;
use crate::wal::entry::{LinkPages, LinkedRoot, Operation, OperationBuffer, operations};
use crate::wal::recovery::Redo;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn random_entries(random: &mut Random, count: u64, page_size: usize) -> Model {
    let (key_max, value_max) = (page_size as u64 / 4, page_size as u64 / 3);
    let shape = random.below(3);
    let mut model = Model::new();
    for number in 0..count {
        let key = match shape {
            0 => number.to_be_bytes().to_vec(),
            1 => (0..1 + random.below(12)).map(|_| random.below(5) as u8).collect(),
            _ => vec![random.below(3) as u8; 1 + random.below(key_max) as usize],
        };
        let length = if random.below(9) == 0 { random.below(value_max) } else { random.below(20) };
        model.insert(key, vec![number as u8; length as usize]);
    }
    model
}

fn build(storage: &Arc<Storage>, tree: TreeId, model: &Model) -> BuiltTree {
    let mut builder = storage.build_tree(tree).unwrap();
    model.iter().for_each(|(key, value)| builder.push(key, value).unwrap());
    builder.finish().unwrap().unwrap()
}

fn link_operations(built: &BuiltTree) -> OperationBuffer {
    let mut buffer = OperationBuffer::new();
    let tree = built.id();
    built
        .link_operations(|pages| {
            buffer.push(&Operation::LinkPages { tree, pages });
            Ok(())
        })
        .unwrap();
    buffer
}

/// Redoes one commit, as recovery does.
fn redo(storage: &Arc<Storage>, lsn: u64, payload: &OperationBuffer) -> Result<()> {
    let mut redo = storage.redo();
    for operation in operations(payload.as_bytes()) {
        if let Operation::LinkPages { tree, pages } = operation? {
            redo.announce_link(Lsn(lsn), tree, pages)?;
        }
    }
    for operation in operations(payload.as_bytes()) {
        match operation? {
            Operation::LinkPages { tree, pages } => redo.link_pages(Lsn(lsn), tree, pages)?,
            Operation::TreeCreate { tree } => redo.tree_create(Lsn(lsn), tree)?,
            other => panic!("{other:?}"),
        }
    }
    Ok(())
}

#[test]
fn a_built_tree_is_a_tree_like_any_other() {
    for seed in 1..30 {
        let mut random = Random::new(seed);
        let page_size = if seed % 2 == 0 { 1024 } else { 4096 };
        let (storage, options) = storage(page_size, 8 << 20);
        let count = 1 + random.below(1500);
        let mut model = random_entries(&mut random, count, page_size);
        let before = storage.statistics();
        drop(build(&storage, TREE, &model));
        assert_eq!(storage.statistics().pages, before.pages, "seed {seed}: given up");
        assert_eq!(storage.statistics().blocks_used, before.blocks_used, "seed {seed}: given up");
        let built = build(&storage, TREE, &model);
        assert_eq!(all(built.tree()), model, "seed {seed}: before it is linked");
        assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed}: before it is linked");
        assert_eq!(all(&storage.tree(TREE).unwrap()), Model::new(), "seed {seed}: before it is linked");
        storage.sync_built().unwrap();
        storage.link_tree(&built, Lsn(40)).unwrap();
        drop(built);
        let tree = storage.tree(TREE).unwrap();
        assert_eq!(all(&tree), model, "seed {seed}");
        assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed}");
        for number in 0..random.below(400) {
            let key: Vec<u8> = (0..1 + random.below(12)).map(|_| random.below(5) as u8).collect();
            if random.below(3) == 0 {
                tree.apply(&key, Change::Delete, Lsn(50), None).unwrap();
                model.remove(&key);
            } else {
                put(&tree, &key, &[number as u8; 9], 50);
                model.insert(key, vec![number as u8; 9]);
            }
        }
        if seed % 3 == 0 {
            checkpoint(&storage, 60).unwrap();
            assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed}: after a checkpoint");
            drop((tree, storage));
            let storage = Storage::open(options).unwrap();
            assert_eq!(all(&storage.tree(TREE).unwrap()), model, "seed {seed}: opened");
            continue;
        }
        assert_eq!(all(&tree), model, "seed {seed}: changed");
        assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed}: changed");
        storage.drop_tree(TREE, Lsn(55)).unwrap();
        assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed}: dropped");
    }
}

#[test]
fn blocks_that_the_log_links_are_written_by_nobody_until_a_checkpoint_covers_them() {
    for seed in 1..6 {
        let mut random = Random::new(seed);
        // 64 frames for many more pages.
        let (storage, options) = storage(1024, 64 * 1024 + (512 << 10));
        let other = storage.next_tree_id();
        storage.create_tree(other, Lsn(2)).unwrap();
        checkpoint(&storage, 10).unwrap();
        let model = random_entries(&mut random, 1500, 1024);
        let built = build(&storage, TREE, &model);
        let payload = link_operations(&built);
        storage.sync_built().unwrap();
        storage.link_tree(&built, Lsn(40)).unwrap();
        drop(built);
        // Everything moves to other blocks, and more pages come and go.
        let tree = storage.tree(TREE).unwrap();
        for (key, value) in &model {
            put(&tree, key, &value.iter().map(|byte| byte ^ 1).collect::<Vec<_>>(), 50);
        }
        if seed % 2 == 0 {
            storage.drop_tree(TREE, Lsn(55)).unwrap();
        }
        let filler = storage.tree(other).unwrap();
        (0..20_000u64).for_each(|key| put(&filler, &key.to_be_bytes(), &[7; 40], 60));
        drop((tree, filler, storage));
        let storage = Storage::open(options).unwrap();
        redo(&storage, 40, &payload).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        assert_eq!(all(&storage.tree(TREE).unwrap()), model, "seed {seed}");
        assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed}");
        checkpoint(&storage, 70).unwrap();
        // A link that the checkpoint has changes nothing, whatever became of the pages.
        let tree = storage.tree(TREE).unwrap();
        model.keys().for_each(|key| tree.apply(key, Change::Delete, Lsn(80), None).unwrap());
        checkpoint(&storage, 90).unwrap();
        let mut known = storage.redo();
        known.announce_link(Lsn(40), TREE, LinkPages { runs: &[], root: None }).unwrap();
        for operation in operations(payload.as_bytes()) {
            if let Ok(Operation::LinkPages { tree, pages }) = operation {
                known.link_pages(Lsn(40), tree, pages).unwrap();
            }
        }
        drop(known);
        assert_eq!(all(&tree), Model::new(), "seed {seed}");
        assert_eq!(findings(&storage), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn a_checkpoint_beside_a_build_does_not_name_its_pages() {
    let (storage, options) = storage(1024, 8 << 20);
    checkpoint(&storage, 10).unwrap();
    let mut random = Random::new(5);
    let model = random_entries(&mut random, 1200, 1024);
    let built = build(&storage, TREE, &model);
    put(&storage.tree(TREE).unwrap(), b"k", b"v", 20);
    storage.tree(TREE).unwrap().apply(b"k", Change::Delete, Lsn(21), None).unwrap();
    checkpoint(&storage, 30).unwrap();
    let payload = link_operations(&built);
    storage.sync_built().unwrap();
    // The power goes before the link is applied: it is in the log alone.
    let copy = {
        storage.link_tree(&built, Lsn(40)).unwrap();
        drop((built, storage));
        Storage::open(options.clone()).unwrap()
    };
    assert_eq!(findings(&copy), Vec::<String>::new());
    redo(&copy, 40, &payload).unwrap();
    assert_eq!(all(&copy.tree(TREE).unwrap()), model);
    assert_eq!(findings(&copy), Vec::<String>::new());
}

#[test]
fn a_forged_link_is_refused_as_damage() {
    let (storage, options) = storage(1024, 8 << 20);
    checkpoint(&storage, 10).unwrap();
    let mut random = Random::new(7);
    let model = random_entries(&mut random, 400, 1024);
    let built = build(&storage, TREE, &model);
    let mut parts = Vec::new();
    let mut image = Vec::new();
    built
        .link_operations(|pages| {
            parts.extend(pages.runs().flat_map(crate::wal::entry::LinkRun::pages));
            image.extend(pages.root.into_iter().flat_map(|root| root.image.to_vec()));
            Ok(())
        })
        .unwrap();
    storage.sync_built().unwrap();
    storage.link_tree(&built, Lsn(40)).unwrap();
    drop((built, storage));
    let try_link = |tree: TreeId, pages: &[(PageId, BlockId, u32)], image: &[u8], twice: bool| {
        let storage = Storage::open(options.clone()).unwrap();
        let mut runs = Vec::new();
        for (page, block, crc) in pages {
            LinkPages::push_run(&mut runs, *page, *block, &[*crc]);
        }
        let mut payload = OperationBuffer::new();
        let root = Some(LinkedRoot { entries: 400, image });
        payload.push(&Operation::LinkPages { tree, pages: LinkPages { runs: &runs, root } });
        if twice {
            payload.push(&Operation::LinkPages { tree, pages: LinkPages { runs: &[], root } });
        }
        let result = redo(&storage, 40, &payload);
        result.and_then(|()| match scan(&*storage.tree(TREE)?, Bound::Unbounded, Bound::Unbounded, false) {
            Ok(entries) => {
                assert_eq!(entries.into_iter().collect::<Model>(), model);
                Ok(())
            }
            Err(error) => Err(error),
        })
    };
    try_link(TREE, &parts, &image, false).unwrap();
    let refused = |result: Result<()>, what: &str| {
        assert_eq!(result.expect_err(what).state(), SqlState::DATA_CORRUPTED, "{what}");
    };
    let with = |index: usize, change: &dyn Fn(&mut (PageId, BlockId, u32))| {
        let mut forged = parts.clone();
        change(&mut forged[index]);
        forged
    };
    refused(try_link(TREE, &with(3, &|part| part.1 = BlockId(1)), &image, false), "before the blocks");
    refused(try_link(TREE, &with(3, &|part| part.1 = BlockId(1 << 30)), &image, false), "beyond the file");
    refused(try_link(TREE, &with(3, &|part| part.1 = parts[4].1), &image, false), "a block twice");
    refused(try_link(TREE, &with(3, &|part| part.1 = BlockId(128)), &image, false), "a block in use");
    refused(try_link(TREE, &with(3, &|part| part.0 = parts[4].0), &image, false), "a page twice");
    refused(try_link(TREE, &with(3, &|part| part.0 = PageId(1)), &image, false), "a page in use");
    refused(try_link(TREE, &with(3, &|part| part.2 ^= 1), &image, false), "another checksum");
    refused(try_link(TREE, &parts[1..], &image, false), "a page is missing");
    refused(try_link(TREE, &parts, &image[1..], false), "a short root");
    refused(try_link(TREE, &parts, &[0; 1024], false), "an empty root");
    refused(try_link(TreeId(FIRST_USER_TREE.0 + 50), &parts, &image, false), "no such tree");
    refused(try_link(TreeId(2), &parts, &image, false), "a system tree");
    refused(try_link(TREE, &parts, &image, true), "twice");
}

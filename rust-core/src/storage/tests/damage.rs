//! Blocks that count as used or free though they are not, and pages that the map forgets or invents.

use super::*;
use crate::common::ids::{BlockId, PageId};
use crate::io::fault::FaultVfs;
use crate::storage::header::Slot;
use crate::storage::page_map::{self, BlockRef};
use std::path::Path;

pub(super) const PATH: &str = "/db/test.lumos";
pub(super) const PAGE: usize = 1024;

pub(super) fn disk() -> (FaultVfs, StorageOptions) {
    let vfs = FaultVfs::new();
    let options = options(Arc::new(vfs.clone()), PAGE, 8 << 20);
    let storage = Storage::create(options.clone()).unwrap();
    storage.create_tree(TREE, Lsn(1)).unwrap();
    let tree = storage.tree(TREE).unwrap();
    for round in 0..3 {
        for key in 0..4000_u64 {
            put(&tree, &key.to_be_bytes(), format!("value {key} {round}").as_bytes(), round * 4000 + key + 2);
        }
        checkpoint(&storage, (round + 1) * 4000 + 2).unwrap();
    }
    (vfs, options)
}

#[test]
fn a_used_block_that_counts_as_free_and_a_free_one_that_counts_as_used_are_found() {
    let (_vfs, options) = disk();
    let blocks = Storage::open(options.clone()).unwrap().pool.space.lock().block_count();
    let (mut freed, mut taken) = (0, 0);
    for block in (128..blocks).map(BlockId) {
        let storage = Storage::open(options.clone()).unwrap();
        let was_used = storage.pool.space.lock().is_used(block);
        if was_used {
            storage.pool.space.lock().release(block);
            freed += 1;
        } else {
            assert!(storage.pool.space.lock().mark_opened(block));
            taken += 1;
        }
        let found = findings(&storage);
        assert!(found.len() == 1 && found[0].contains(&format!("block {block}")), "{was_used} {found:?}");
    }
    assert!(freed > 50 && taken > 20);
    println!("blocks wrongly free found: {freed}; wrongly used found: {taken}; missed: 0");
}

/// Changes one entry of the only map page and stamps every checksum above it.
pub(super) fn edit_map(vfs: &FaultVfs, options: &StorageOptions, page: PageId, entry: BlockRef) {
    let slot = *Storage::open(options.clone()).unwrap().slot.lock();
    assert_eq!(slot.map_levels, 2, "the test expects a root over leaves");
    let bytes = vfs.bytes_of(Path::new(PATH)).unwrap();
    let root_at = slot.map_root.block.0 as usize * PAGE;
    let mut root = page_map::decode(&bytes[root_at..root_at + PAGE], 1, 0, slot.map_root.crc).unwrap();
    let index = page.0 as usize / root.len();
    let leaf_at = root[index].block.0 as usize * PAGE;
    let mut leaf = page_map::decode(&bytes[leaf_at..leaf_at + PAGE], 0, index, root[index].crc).unwrap();
    let within = page.0 as usize % leaf.len();
    leaf[within] = entry;
    let mut stamped = vec![0; PAGE];
    root[index].crc =
        page_map::encode(0, index, slot.record.generation, &mut stamped, |at| leaf.get(at).copied());
    vfs.damage(Path::new(PATH), leaf_at, &stamped);
    let crc = page_map::encode(1, 0, slot.record.generation, &mut stamped, |at| root.get(at).copied());
    vfs.damage(Path::new(PATH), root_at, &stamped);
    let slot = Slot { map_root: BlockRef { crc, ..slot.map_root }, ..slot };
    slot.write(&*options.vfs.open(Path::new(PATH), crate::io::vfs::OpenMode::ReadWrite).unwrap()).unwrap();
}

#[test]
fn a_map_that_forgets_a_page_or_gives_a_block_to_a_free_page_is_found_though_all_checksums_are_right() {
    let (vfs, options) = disk();
    let (pages, free_blocks) = {
        let storage = Storage::open(options.clone()).unwrap();
        let space = storage.pool.space.lock();
        let free: Vec<u32> =
            (128..space.block_count()).filter(|block| !space.is_used(BlockId(*block))).collect();
        (storage.pool.map.page_count(), free)
    };
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    let restore = |vfs: &FaultVfs| vfs.damage(Path::new(PATH), 0, &good);
    let mut forgotten = 0;
    for page in (4..pages).map(PageId) {
        let was = {
            let storage = Storage::open(options.clone()).unwrap();
            storage.pool.map.entry(page).unwrap().block.load(crate::common::sync::atomic::Ordering::Relaxed)
        };
        if was == 0 {
            continue;
        }
        edit_map(&vfs, &options, page, BlockRef::default());
        let found = findings(&Storage::open(options.clone()).unwrap());
        assert!(found.iter().any(|line| line.contains(&format!("age {page}"))), "page {page}: {found:?}");
        restore(&vfs);
        forgotten += 1;
    }
    // Blocks of older checkpoints hold whole pages: one of them under the number of a page that does not exist.
    let mut invented = 0;
    for block in free_blocks {
        let at = block as usize * PAGE;
        let image = crate::storage::page::Node::new(&good[at..at + PAGE]);
        if image.stored_crc() != image.computed_crc() || image.page_id().0 == 0 {
            continue;
        }
        let mut bytes = good[at..at + PAGE].to_vec();
        bytes[4..8].copy_from_slice(&(pages).to_le_bytes());
        let crc = crate::storage::page::NodeMut::new(&mut bytes).stamp(1);
        vfs.damage(Path::new(PATH), at, &bytes);
        let slot = *Storage::open(options.clone()).unwrap().slot.lock();
        let more = Slot { page_count: pages + 1, ..slot };
        more.write(&*options.vfs.open(Path::new(PATH), crate::io::vfs::OpenMode::ReadWrite).unwrap())
            .unwrap();
        edit_map(&vfs, &options, PageId(pages), BlockRef { block: BlockId(block), crc });
        let found = findings(&Storage::open(options.clone()).unwrap());
        assert!(
            found.len() == 1 && found[0].contains(&format!("block {block}")) && found[0].contains("no tree"),
            "{found:?}"
        );
        restore(&vfs);
        invented += 1;
    }
    assert!(forgotten > 50 && invented > 10);
    println!("pages forgotten by the map and found: {forgotten}; invented and found: {invented}; missed: 0");
}

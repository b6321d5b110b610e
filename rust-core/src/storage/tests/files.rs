//! Files that are not what they should be, and what verify finds in them.

use super::*;
use crate::common::checksum::crc32c;
use crate::io::fault::FaultVfs;
use crate::io::vfs::OpenMode;
use std::path::Path;

const PATH: &str = "/db/test.lumos";

fn fault_disk(page_size: usize, keys: u64) -> (FaultVfs, StorageOptions) {
    let vfs = FaultVfs::new();
    let options = options(Arc::new(vfs.clone()), page_size, 8 << 20);
    let storage = Storage::create(options.clone()).unwrap();
    storage.create_tree(TREE, Lsn(1)).unwrap();
    let tree = storage.tree(TREE).unwrap();
    for key in 0..keys {
        put(&tree, &key.to_be_bytes(), b"value", key + 1);
    }
    checkpoint(&storage, keys + 1).unwrap();
    (vfs, options)
}

fn refused(content: &[u8]) -> String {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
    vfs.open(Path::new(PATH), OpenMode::CreateNew).unwrap().write_at(content, 0).unwrap();
    let error = Storage::open(options(Arc::clone(&vfs), 4096, 8 << 20)).unwrap_err();
    let file = vfs.open(Path::new(PATH), OpenMode::ReadOnly).unwrap();
    let mut now = vec![0; file.size().unwrap() as usize];
    file.read_at(&mut now, 0).unwrap();
    assert!(now == content, "the file is untouched");
    format!("{error}")
}

#[test]
fn what_is_not_a_database_is_refused_and_left_alone() {
    assert_eq!(refused(b"Dear diary,\n"), "file \"/db/test.lumos\" is not a Lumos database (XX001)");
    assert_eq!(refused(b""), "file \"/db/test.lumos\" is not a Lumos database (XX001)");
    let (vfs, _) = fault_disk(4096, 100);
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    for length in [4, 30, 64, 20 << 10, 100 << 10, (128 << 10) + 4096] {
        let error = refused(&good[..length]);
        assert!(error.ends_with("(XX001)"), "{length}: {error}");
    }
    let with_header = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        let crc = crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        refused(&bytes)
    };
    assert!(with_header(12, 2).ends_with("is not supported (0A000)"));
    assert_eq!(with_header(40, 4), "feature 0x4 of database \"/db/test.lumos\" is not supported (0A000)");
    let mut damaged = good.clone();
    damaged[30] ^= 1;
    assert!(refused(&damaged).ends_with("(XX001)"));
}

#[test]
fn a_new_database_is_small_and_its_pool_too() {
    let (storage, options) = storage(8192, 1 << 30);
    checkpoint(&storage, 10).unwrap();
    storage.checkpoint(&log_at(11), || true, || TransactionId(9)).unwrap();
    let file = options.vfs.open(&options.path, OpenMode::ReadOnly).unwrap();
    assert!(file.size().unwrap() < 256 << 10, "{} bytes", file.size().unwrap());
    assert!(storage.statistics().frames <= 8);
    let record = storage.last_checkpoint();
    drop(storage);
    let reopened = Storage::open(options).unwrap();
    assert_eq!(reopened.last_checkpoint(), record);
    assert!(record.clean && record.next_transaction == TransactionId(9) && record.cut_lsn == Lsn(11));
    assert_eq!(findings(&reopened), Vec::<String>::new());
}

#[test]
fn a_database_is_made_once_and_opened_by_one() {
    let (storage, options) = storage(4096, 1 << 20);
    assert_eq!(Storage::create(options.clone()).unwrap_err().state().as_str(), "42710");
    let other = StorageOptions { memory: MemoryAccount::new(1 << 20), ..options.clone() };
    assert_eq!(Storage::open(other.clone()).unwrap_err().state().as_str(), "55006");
    drop(storage);
    Storage::open(other).unwrap();
    let missing = StorageOptions { path: PathBuf::from("/db/none"), ..options };
    assert_eq!(Storage::open(missing).unwrap_err().state().as_str(), "58P01");
}

#[test]
fn a_damaged_byte_in_any_used_block_is_found() {
    let (vfs, options) = fault_disk(1024, 3000);
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    let (used, clean) = {
        let storage = Storage::open(options.clone()).unwrap();
        let space = storage.pool.space.lock();
        let used: Vec<usize> = (128..space.block_count())
            .filter(|block| space.is_used(crate::common::ids::BlockId(*block)))
            .map(|block| block as usize)
            .collect();
        drop(space);
        (used, findings(&storage))
    };
    assert_eq!(clean, Vec::<String>::new());
    assert!(used.len() > 50);
    for (turn, block) in used.iter().enumerate() {
        let at = block * 1024 + turn * 37 % 1024;
        vfs.damage(Path::new(PATH), at, &[good[at] ^ 0x10]);
        match Storage::open(options.clone()) {
            Ok(storage) => assert!(!findings(&storage).is_empty(), "block {block}"),
            Err(error) => assert_eq!(error.state().as_str(), "XX001", "block {block}"),
        }
        vfs.damage(Path::new(PATH), at, &[good[at]]);
    }
    for at in [9, 50, (16 << 10) + 20, (32 << 10) + 20, (48 << 10) + 20, (64 << 10) + 20] {
        vfs.damage(Path::new(PATH), at, &[good[at] ^ 1]);
        match Storage::open(StorageOptions { read_only: true, ..options.clone() }) {
            Ok(storage) => {
                // Only the newest slot's copies are in use.
                let newest = (16..=64 << 10).contains(&at) && {
                    let offset = (at as u64 - 20) >> 10;
                    let odd = storage.last_checkpoint().generation % 2 == 1;
                    odd == (offset == 32 || offset == 64)
                };
                assert_eq!(!findings(&storage).is_empty(), newest, "byte {at}");
                assert_eq!(all(&storage.tree(TREE).unwrap()).len(), 3000);
                drop(storage);
                // Opening for writing makes the copy good again from the other one.
                assert_eq!(findings(&Storage::open(options.clone()).unwrap()), clean, "byte {at}");
            }
            Err(error) => assert_eq!(error.state().as_str(), "XX001", "byte {at}"),
        }
        vfs.damage(Path::new(PATH), at, &[good[at]]);
    }
}

#[test]
fn a_page_read_from_the_wrong_place_is_damage_with_its_place() {
    let (vfs, options) = fault_disk(1024, 2000);
    let storage = Storage::open(options).unwrap();
    let entry = |page: u32| storage.pool.map.entry(crate::common::ids::PageId(page)).unwrap();
    let block = |page: u32| entry(page).block.load(std::sync::atomic::Ordering::Relaxed) as usize;
    let tree = storage.tree(TREE).unwrap();
    let victim = (20..40).find(|page| block(*page) != 0 && block(*page + 1) != 0).unwrap();
    let bytes = vfs.bytes_of(Path::new(PATH)).unwrap();
    let other = bytes[block(victim + 1) * 1024..][..1024].to_vec();
    vfs.damage(Path::new(PATH), block(victim) * 1024, &other);
    let error = scan(&tree, Bound::Unbounded, Bound::Unbounded, false).unwrap_err();
    assert_eq!(error.state().as_str(), "XX001");
    let detail = error.detail_text().unwrap();
    assert!(detail.starts_with(&format!("Page {victim} in block {}", block(victim))), "{detail}");
    assert!(error.message().contains("/db/test.lumos"));
}

#[test]
fn a_file_of_arbitrary_bytes_never_panics() {
    use crate::common::random::Random;
    let (vfs, options) = fault_disk(1024, 600);
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    for seed in 1..60 {
        let mut random = Random::new(seed);
        let mut places = Vec::new();
        for _ in 0..1 + random.below(20) {
            let start = if random.below(4) == 0 { 0 } else { 128 << 10 };
            let at = start + random.below((good.len() - start) as u64) as usize;
            vfs.damage(Path::new(PATH), at, &[random.below(256) as u8]);
            places.push(at);
        }
        if let Ok(storage) = Storage::open(options.clone()) {
            let _ = storage.verify(&mut |_| ());
            if let Ok(tree) = storage.tree(TREE) {
                let _ = scan(&tree, Bound::Unbounded, Bound::Unbounded, false);
                let _ = scan(&tree, Bound::Unbounded, Bound::Unbounded, true);
                let _ = tree.apply(&7_u64.to_be_bytes(), Change::Put(b"x"), Lsn(9000), None);
            }
        }
        places.into_iter().for_each(|at| vfs.damage(Path::new(PATH), at, &[good[at]]));
    }
}

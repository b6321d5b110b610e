//! What a newer version would put into a file, under checksums that are right: refused by name, never called damage,
//! never passed over.

use super::damage::{PAGE, PATH, disk, edit_map};
use super::*;
use crate::common::checksum::crc32c;
use crate::common::ids::PageId;
use crate::io::fault::FaultVfs;
use crate::storage::header::Slot;
use crate::storage::page::NodeMut;
use crate::storage::page_map::BlockRef;
use crate::storage::salvage::Salvage;
use std::path::Path;

fn open_error(options: &StorageOptions) -> (String, String) {
    let error = Storage::open(options.clone()).unwrap_err();
    (error.state().to_string(), error.message().to_owned())
}

fn salvage_error(vfs: &FaultVfs) -> (String, String) {
    let file = vfs.open(Path::new(PATH), crate::io::vfs::OpenMode::ReadOnly).unwrap();
    let error = Salvage::open(file, PATH, &mut |_| ()).unwrap_err();
    (error.state().to_string(), error.message().to_owned())
}

#[test]
fn header_and_slot_of_a_newer_version_are_refused_by_name() {
    let (vfs, options) = disk();
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    for (at, byte, message) in [
        (12, 2, "format version 1 of database \"/db/test.lumos\" is not supported"),
        (40, 4, "feature 0x4 of database \"/db/test.lumos\" is not supported"),
        (47, 0x80, "feature 0x8000000000000000 of database \"/db/test.lumos\" is not supported"),
    ] {
        let mut header = good[..64].to_vec();
        header[at] = byte;
        let crc = crc32c(&header[..60]);
        header[60..].copy_from_slice(&crc.to_le_bytes());
        vfs.damage(Path::new(PATH), 0, &header);
        assert_eq!(open_error(&options), ("0A000".to_owned(), message.to_owned()));
        assert_eq!(salvage_error(&vfs), ("0A000".to_owned(), message.to_owned()));
        vfs.damage(Path::new(PATH), 0, &good);
    }
    let generation = Storage::open(options.clone()).unwrap().last_checkpoint().generation;
    let offsets = if generation.is_multiple_of(2) { [16 << 10, 48 << 10] } else { [32 << 10, 64 << 10] };
    for (at, byte, flag) in [(20, 2, "0x2"), (20, 0x41, "0x40"), (23, 1, "0x1000000")] {
        for offset in offsets {
            let mut slot = good[offset..offset + 512].to_vec();
            slot[at] = byte;
            let crc = crc32c(&slot[..508]);
            slot[508..].copy_from_slice(&crc.to_le_bytes());
            vfs.damage(Path::new(PATH), offset, &slot);
        }
        let message = format!("flag {flag} of checkpoint {generation} is not supported");
        assert_eq!(open_error(&options), ("0A000".to_owned(), message.clone()));
        assert_eq!(salvage_error(&vfs), ("0A000".to_owned(), message));
        vfs.damage(Path::new(PATH), 0, &good);
    }
    // The older slot is nobody's business: a newer version wrote it, an older one went on after it.
    let older = if generation.is_multiple_of(2) { 32 << 10 } else { 16 << 10 };
    let mut slot = good[older..older + 512].to_vec();
    slot[20] = 2;
    let crc = crc32c(&slot[..508]);
    slot[508..].copy_from_slice(&crc.to_le_bytes());
    vfs.damage(Path::new(PATH), older, &slot);
    assert_eq!(findings(&Storage::open(options).unwrap()), Vec::<String>::new());
}

#[test]
fn pages_of_a_newer_version_are_refused_by_name() {
    let (vfs, options) = disk();
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    let (page, block) = {
        let storage = Storage::open(options.clone()).unwrap();
        let page = storage.tree(TREE).unwrap().root;
        let entry = storage.pool.map.entry(page).unwrap();
        (page, entry.at().block)
    };
    for (at, byte, name) in
        [(12, 3, "page type 3"), (12, 0, "page type 0"), (14, 2, "page flag 0x2"), (15, 1, "page version 1")]
    {
        let start = block.0 as usize * PAGE;
        let mut bytes = good[start..start + PAGE].to_vec();
        bytes[at] = byte;
        let crc = NodeMut::new(&mut bytes).stamp(1);
        vfs.damage(Path::new(PATH), start, &bytes);
        edit_map(&vfs, &options, page, BlockRef { block, crc });
        let storage = Storage::open(options.clone()).unwrap();
        let error = storage.tree(TREE).unwrap().get(b"key", |_, _| ()).unwrap_err();
        let expected = format!("{name} in database \"/db/test.lumos\" is not supported");
        assert_eq!((error.state().as_str(), error.message()), ("0A000", &expected[..]));
        assert!(error.detail_text().unwrap().contains(&format!("Page {page} in block {block}")));
        drop(storage);
        let expected = format!("{name} in block {block} is not supported");
        assert_eq!(salvage_error(&vfs), ("0A000".to_owned(), expected));
        vfs.damage(Path::new(PATH), 0, &good);
    }
    let slot = *Storage::open(options).unwrap().slot.lock();
    assert!(Slot { page_count: 0, ..slot } != slot && page != PageId(0), "the file is as it was");
}

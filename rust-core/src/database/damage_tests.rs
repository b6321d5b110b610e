//! Damage of every kind in a file with every kind of object: each is found, with file, block and object.

use crate::common::cancel::CancelToken;
use crate::common::ids::{BlockId, TreeId};
use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::options::DatabaseOptions;
use crate::durability::policy::Durability;
use crate::io::fault::FaultVfs;
use crate::io::vfs::Vfs;
use crate::transaction::types::IsolationLevel;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

pub(super) const PATH: &str = "/all.lumos";
pub(super) const PAGE: usize = 1024;

pub(super) fn options(vfs: &FaultVfs) -> DatabaseOptions {
    DatabaseOptions {
        memory_limit: Some(32 << 20),
        page_size: PAGE,
        vfs: Some(Arc::new(vfs.clone())),
        log_segment_first_bytes: 64 << 10,
        ..DatabaseOptions::default()
    }
}

pub(super) fn open(vfs: &FaultVfs) -> Arc<Database> {
    Database::open(Some(Path::new(PATH)), options(vfs)).unwrap()
}

pub(super) fn run(database: &Arc<Database>, sql: &str) {
    database.connect().unwrap().execute_script(sql).unwrap();
}

/// Tables with every kind of key, secondary and unique indexes, large values, a view, statistics.
pub(super) fn fill(database: &Arc<Database>) {
    run(
        database,
        "CREATE TABLE by_number (id bigint PRIMARY KEY, name text, amount numeric(12,2) DEFAULT 1, CHECK (id >= 0));
         CREATE INDEX by_number_name ON by_number (name);
         CREATE INDEX by_number_upper ON by_number (upper(name), (amount * 2)) WHERE id % 3 <> 0;
         CREATE TABLE by_text (code text PRIMARY KEY, body text, raw bytea);
         CREATE TABLE by_both (a integer, b text, c double precision UNIQUE, PRIMARY KEY (a, b));
         CREATE UNIQUE INDEX by_both_sum ON by_both ((a * 1000 + c)) WHERE c > 10;
         CREATE TABLE without_key (at timestamp, flag boolean);
         CREATE VIEW names AS SELECT id, name FROM by_number WHERE id > 3;",
    );
    let mut session = database.connect().unwrap();
    for id in 0..120 {
        let text = format!("{:0>1$}", id, 200 + id * 40);
        session
            .execute_script(&format!(
                "INSERT INTO by_number VALUES ({id}, 'name {}', {id}.25);
                 INSERT INTO by_both VALUES ({}, 'b {id}', {id}.5);
                 INSERT INTO without_key VALUES ('2024-01-01 00:00:00', {});",
                id / 2,
                id % 7,
                id % 2 == 0
            ))
            .unwrap();
        if id < 20 {
            let raw =
                format!("INSERT INTO by_text VALUES ('code {id}', '{text}', '\\x{}')", "ab".repeat(900));
            session.execute_script(&raw).unwrap();
        }
    }
    session.execute_script("ANALYZE").unwrap();
}

/// A cleanly closed file.
pub(super) fn made() -> FaultVfs {
    let vfs = FaultVfs::new();
    let database = open(&vfs);
    fill(&database);
    drop(database);
    assert!(vfs.list_folder(Path::new("/all.lumos-wal")).unwrap().is_empty());
    vfs
}

pub(super) fn check(vfs: &FaultVfs) -> Vec<String> {
    let mut lines = Vec::new();
    let count =
        Database::check(Path::new(PATH), options(vfs), &mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(lines.iter().filter(|line| line.starts_with("file ")).count() as u64, count, "{lines:?}");
    lines.retain(|line| line.starts_with("file "));
    lines
}

pub(super) fn verify(database: &Arc<Database>) -> Vec<String> {
    let mut lines = Vec::new();
    let count = database.verify(&mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!(count as usize + 1, lines.len(), "{lines:?}");
    lines.pop();
    lines
}

pub(super) fn used_blocks(vfs: &FaultVfs) -> Vec<BlockId> {
    let read_only = DatabaseOptions { read_only: true, ..options(vfs) };
    Database::open(Some(Path::new(PATH)), read_only).unwrap().opened().instance.storage.blocks_in_use()
}

#[test]
fn a_sound_file_says_what_was_looked_at_and_a_check_writes_nothing() {
    let vfs = made();
    let before = vfs.bytes_of(Path::new(PATH)).unwrap();
    let mut lines = Vec::new();
    let count =
        Database::check(Path::new(PATH), options(&vfs), &mut |line| lines.push(line.to_owned())).unwrap();
    assert_eq!((count, lines.len()), (0, 1), "{lines:?}");
    for looked in ["5 headers", "4 tables", "1 views", "380 rows", "570 index entries", "0 findings"] {
        assert!(lines[0].contains(looked), "{looked}: {}", lines[0]);
    }
    assert!(vfs.bytes_of(Path::new(PATH)).unwrap() == before);
}

#[test]
fn a_flipped_byte_in_any_used_block_header_or_slot_is_found_with_its_block_and_object() {
    let vfs = made();
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    let blocks = used_blocks(&vfs);
    let mut objects: BTreeMap<String, u32> = BTreeMap::new();
    for (turn, block) in blocks.iter().enumerate() {
        let at = block.0 as usize * PAGE + turn * 37 % PAGE;
        vfs.damage(Path::new(PATH), at, &[good[at] ^ (1 << (turn % 8))]);
        let found = check(&vfs);
        let place = format!("block {block}");
        let names_place = |line: &&String| {
            line.contains(&format!("file \"{PATH}\""))
                && (line.contains(&format!("{place},")) || line.contains(&format!("{place}:")))
        };
        let line = found.iter().find(names_place).unwrap_or_else(|| panic!("{place}: {found:?}"));
        let object = ["large values", "index", "table", "catalog", "directory", "counters", "map"];
        let object = object.iter().find(|object| line.contains(**object)).unwrap_or_else(|| panic!("{line}"));
        *objects.entry((*object).to_owned()).or_default() += 1;
        vfs.damage(Path::new(PATH), at, &[good[at]]);
    }
    assert_eq!(objects.len(), 7, "every kind of object was damaged: {objects:?}");
    let mut headers = 0;
    let slots =
        [16, 32, 48, 64].into_iter().flat_map(|k| [0, 9, 30, 45, 70, 300, 511].map(|at| (k << 10) + at));
    for at in (0..64).chain(slots) {
        vfs.damage(Path::new(PATH), at, &[good[at] ^ 4]);
        let found = check(&vfs);
        assert!(!found.is_empty(), "byte {at}");
        assert!(found[0].contains(&format!("\"{PATH}\"")), "{found:?}");
        vfs.damage(Path::new(PATH), at, &[good[at]]);
        headers += 1;
    }
    assert_eq!(check(&vfs), Vec::<String>::new());
    println!(
        "flipped bytes found: {} blocks of {objects:?}, {headers} in header and slots; missed: 0",
        blocks.len()
    );
}

/// Which page or map page each used block holds.
fn pages(bytes: &[u8], blocks: &[BlockId]) -> BTreeMap<Vec<u8>, usize> {
    let key = |at: usize| {
        let is_map = &bytes[at + 4..at + 8] == b"LMAP";
        if is_map { bytes[at + 4..at + 16].to_vec() } else { bytes[at + 4..at + 8].to_vec() }
    };
    blocks.iter().map(|block| (key(block.0 as usize * PAGE), block.0 as usize * PAGE)).collect()
}

#[test]
fn a_page_put_back_to_its_older_image_is_found_though_its_checksum_is_right() {
    let vfs = made();
    let (old, old_blocks) = (vfs.bytes_of(Path::new(PATH)).unwrap(), used_blocks(&vfs));
    let database = open(&vfs);
    run(
        &database,
        "UPDATE by_number SET name = name || '!', amount = 2; UPDATE by_both SET c = c + 1000; ANALYZE;
         UPDATE by_text SET code = code || '?'; UPDATE without_key SET flag = NOT flag",
    );
    drop(database);
    let good = vfs.bytes_of(Path::new(PATH)).unwrap();
    let now = pages(&good, &used_blocks(&vfs));
    let mut put_back = 0;
    for (page, before) in pages(&old, &old_blocks) {
        let Some(at) = now.get(&page).copied() else { continue };
        if old[before..before + PAGE] == good[at..at + PAGE] {
            continue;
        }
        vfs.damage(Path::new(PATH), at, &old[before..before + PAGE]);
        let found = check(&vfs);
        let block = format!("block {}", at / PAGE);
        assert!(found.iter().any(|line| line.contains(&block)), "{block}: {found:?}");
        vfs.damage(Path::new(PATH), at, &good[at..at + PAGE]);
        put_back += 1;
    }
    assert!(put_back > 20);
    println!("older pages put back and found: {put_back}; missed: 0");
}

pub(super) type Entry = (Vec<u8>, Vec<u8>);
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

pub(super) fn with_entries(database: &Database, tree: TreeId, change: impl FnOnce(&[Entry]) -> Vec<Change>) {
    let engine = database.engine();
    let manager = &engine.manager;
    let mut transaction = manager.begin(IsolationLevel::ReadCommitted, false, CancelToken::default());
    transaction.start_statement().unwrap();
    let handle = transaction.tree_handle(tree).unwrap();
    let mut scan = transaction.scan(&handle, Bound::Unbounded, Bound::Unbounded, false);
    let mut entries = Vec::new();
    while scan
        .next(&transaction, |rows| {
            for index in (0..rows.len()).filter(|index| rows.is_live(*index)) {
                let mut key = Vec::new();
                rows.key_into(index, &mut key);
                entries.push((key, rows.value(index).to_vec()));
            }
        })
        .unwrap()
        .is_some()
    {}
    for (key, value) in change(&entries) {
        match value {
            Some(value) => transaction.put(tree, &key, &value).unwrap(),
            None => transaction.delete(tree, &key).unwrap(),
        }
    }
    transaction.end_statement();
    transaction.commit(Durability::Full).unwrap();
}

#[test]
fn an_index_entry_removed_added_or_moved_is_found_with_its_index() {
    let vfs = made();
    let database = open(&vfs);
    let definitions = database.engine().catalog.current();
    let mut planted = 0;
    for table in definitions.tables() {
        for (layout, index) in table.layout.indexes.iter().zip(&table.indexes) {
            let name = format!("index \"{}\" of table \"{}\"", index.name, table.name);
            for kind in ["removed", "added", "moved", "turned", "moved and removed"] {
                let mut kept = Vec::new();
                with_entries(&database, layout.tree, |entries| {
                    kept = entries.to_vec();
                    let (key, value) = entries[entries.len() / 2].clone();
                    let mut beside = key.clone();
                    beside.push(0);
                    match kind {
                        "removed" => vec![(key, None)],
                        "added" => vec![(beside, Some(value))],
                        "turned" => vec![(key, Some(entries[0].1.clone()))],
                        "moved" => vec![(key, None), (beside, Some(value))],
                        _ => vec![(key, None), (beside, Some(value)), (entries[0].0.clone(), None)],
                    }
                });
                let found = verify(&database);
                assert!(found.iter().any(|line| line.contains(&name)), "{kind} in {name}: {found:?}");
                assert!(found.iter().all(|line| line.contains(&name) && line.contains("page ")), "{found:?}");
                with_entries(&database, layout.tree, |entries| {
                    let gone = entries.iter().filter(|(key, _)| kept.iter().all(|(old, _)| old != key));
                    let gone: Vec<_> = gone.map(|(key, _)| (key.clone(), None)).collect();
                    gone.into_iter().chain(kept.into_iter().map(|(key, value)| (key, Some(value)))).collect()
                });
                planted += 1;
            }
        }
    }
    assert_eq!(verify(&database), Vec::<String>::new());
    assert!(planted >= 20);
    println!("index entries removed, added, moved and found: {planted}; missed: 0");
}

#[test]
fn a_lost_piece_an_unpointed_piece_a_lost_row_and_a_wrong_name_are_found() {
    let vfs = made();
    let database = open(&vfs);
    let definitions = database.engine().catalog.current();
    let table = definitions.table(None, "by_text").unwrap();
    let trees = [
        (table.layout.value_tree, "large values of table \"by_text\""),
        (table.layout.tree, "\"by_text\""),
        (crate::common::ids::CATALOG_TREE, "the catalog"),
    ];
    let mut planted = 0;
    for (tree, name) in trees {
        for kind in ["removed", "changed", "added"] {
            if tree == table.layout.tree && kind == "added" {
                continue;
            }
            let mut kept = Vec::new();
            with_entries(&database, tree, |entries| {
                kept = entries.to_vec();
                let (key, value) = entries[entries.len() - 1].clone();
                let mut other = value.clone();
                let middle = other.len() / 2;
                other[middle] ^= 0x55;
                let mut beside = key.clone();
                beside[0] = beside[0].wrapping_add(u8::from(tree != crate::common::ids::CATALOG_TREE));
                beside.extend((beside[0] == key[0]).then_some(b'x'));
                match kind {
                    "removed" => vec![(entries[0].0.clone(), None)],
                    "changed" => vec![(entries[0].0.clone(), Some(other))],
                    _ => vec![(b"nnew".to_vec(), Some(vec![0, 0, 0, 9])), (beside, Some(value))]
                        .into_iter()
                        .skip(usize::from(tree != crate::common::ids::CATALOG_TREE))
                        .take(1)
                        .collect(),
                }
            });
            let found = verify(&database);
            assert!(found.iter().any(|line| line.contains(name)), "{kind} in {name}: {found:?}");
            with_entries(&database, tree, |entries| {
                let gone = entries.iter().filter(|(key, _)| kept.iter().all(|(old, _)| old != key));
                let gone: Vec<_> = gone.map(|(key, _)| (key.clone(), None)).collect();
                gone.into_iter().chain(kept.into_iter().map(|(key, value)| (key, Some(value)))).collect()
            });
            planted += 1;
        }
    }
    assert_eq!(verify(&database), Vec::<String>::new());
    println!("lost and wrong entries of other trees found: {planted}; missed: 0");
}

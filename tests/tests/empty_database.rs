//! What an empty database costs: one small file, little memory, no thread. The only test of its process, so that what
//! it measures is its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;

const FILE_BYTES_MAX: u64 = 256 << 10;
const RESIDENT_BYTES_MAX: u64 = 4 << 20;

/// The number of a line of /proc/self/status, as it stands there.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Resident memory without the program's own pages, which come in as code is run for the first time.
fn resident_bytes() -> u64 {
    status("RssAnon") << 10
}

#[test]
#[cfg(target_os = "linux")]
fn an_empty_database_is_a_small_file_and_adds_little_memory_and_no_thread() {
    let folder = std::env::temp_dir().join(format!("lumos-empty-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("empty.lumos");
    let (before, threads) = (resident_bytes(), status("Threads"));
    let database = Database::open(Some(&path), DatabaseOptions::default()).unwrap();
    let session = database.connect().unwrap();
    let added = resident_bytes().saturating_sub(before);
    assert_eq!(status("Threads"), threads, "an open database has no thread of its own");
    assert!(added < RESIDENT_BYTES_MAX, "{added} bytes of memory");
    drop(session);
    drop(database);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["empty.lumos"], "one file and nothing beside it");
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes < FILE_BYTES_MAX, "{bytes} bytes of file");
    std::fs::remove_dir_all(&folder).unwrap();
}

//! A database as bytes: made while others write, opened in memory and as a file, refused when it is not whole.

use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::options::DatabaseOptions;
use crate::error::{Error, SqlState};
use crate::io::memory::MemoryVfs;
use crate::io::vfs::{OpenMode, Vfs};
use std::path::Path;

fn options(memory_bytes: usize) -> DatabaseOptions {
    DatabaseOptions { memory_limit: Some(memory_bytes), ..DatabaseOptions::default() }
}

fn image_of(database: &Arc<Database>) -> Vec<u8> {
    let image = database.serialize().unwrap();
    let mut bytes = vec![7; image.len()];
    image.copy_to(&mut bytes).unwrap();
    assert!(image.copy_to(&mut bytes[1..]).is_err() && !image.is_empty());
    bytes
}

/// Rows that are changed; verified.
fn count(database: &Arc<Database>) -> u64 {
    let mut findings = Vec::new();
    assert_eq!(database.verify(&mut |line| findings.push(line.to_owned())).unwrap(), 0, "{findings:?}");
    database.connect().unwrap().execute_script("UPDATE t SET b = b || '.' WHERE a >= 0").unwrap()
}

#[test]
fn a_database_as_bytes_is_the_same_database() {
    let database = Database::open(None, options(32 << 20)).unwrap();
    let mut session = database.connect().unwrap();
    for sql in [
        "CREATE TABLE t (a int PRIMARY KEY, b text)",
        "CREATE INDEX t_b ON t (b)",
        "INSERT INTO t SELECT g, repeat('x', g % 50) FROM generate_series(1, 3000) g",
        "INSERT INTO t VALUES (0, repeat('y', 1000))",
        "BEGIN",
        "DELETE FROM t",
    ] {
        session.execute_script(sql).unwrap();
    }
    let image = image_of(&database);
    session.execute_script("COMMIT").unwrap();
    let copy = Database::deserialize(&image, options(32 << 20)).unwrap();
    assert_eq!((count(&copy), count(&database)), (3001, 0));
    // Read only, too; and as a file.
    let read_only = DatabaseOptions { read_only: true, ..options(32 << 20) };
    let error =
        Database::deserialize(&image, read_only).unwrap().connect().unwrap().execute_script("DELETE FROM t");
    assert_eq!(error.unwrap_err().state(), SqlState::READ_ONLY_SQL_TRANSACTION);
    let vfs = Arc::new(MemoryVfs::new());
    vfs.open(Path::new("file"), OpenMode::CreateNew).unwrap().write_at(&image, 0).unwrap();
    let file = DatabaseOptions { vfs: Some(Arc::<MemoryVfs>::clone(&vfs)), ..options(32 << 20) };
    assert_eq!(count(&Database::open(Some(Path::new("file")), file).unwrap()), 3001);
}

#[test]
fn bytes_that_are_no_whole_database_are_refused() {
    let vfs = Arc::new(MemoryVfs::new());
    let at_file = DatabaseOptions { vfs: Some(Arc::<MemoryVfs>::clone(&vfs)), ..options(16 << 20) };
    let database = Database::open(Some(Path::new("app.lumos")), at_file).unwrap();
    database.connect().unwrap().execute_script("CREATE TABLE t (a int)").unwrap();
    let image = image_of(&database);
    for length in [0, 7, 40, 100 << 10, image.len() - 4096] {
        let error = Database::deserialize(&image[..length], options(16 << 20)).unwrap_err();
        assert_eq!(error.state(), SqlState::DATA_CORRUPTED, "{length} bytes");
    }
    // The bytes of a file whose log is elsewhere.
    database.poison(Error::internal("left as a crash leaves it"));
    drop(database);
    let file = vfs.open(Path::new("app.lumos"), OpenMode::ReadOnly).unwrap();
    let mut bytes = vec![0; file.size().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    let error = Database::deserialize(&bytes, options(16 << 20)).unwrap_err();
    assert_eq!(error.state(), SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    let small = Database::open(None, options(12 << 20)).unwrap();
    small.connect().unwrap().execute_script("CREATE TABLE t (a int, b text); INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 9000) g").unwrap();
    assert_eq!(small.serialize().unwrap_err().state(), SqlState::OUT_OF_MEMORY);
}

#[test]
fn databases_of_one_group_share_one_limit() {
    let grouped = |bytes: Option<usize>| {
        let options = DatabaseOptions {
            memory_limit: bytes,
            memory_group: Some("shared".to_owned()),
            ..DatabaseOptions::default()
        };
        Database::open(None, options)
    };
    let first = grouped(Some(16 << 20)).unwrap();
    let second = grouped(None).unwrap();
    assert_eq!(second.statistic("memory_limit"), Some(16 << 20));
    assert_eq!(grouped(Some(17 << 20)).unwrap_err().state(), SqlState::INVALID_PARAMETER_VALUE);
    // Each takes what the other gives back.
    for database in [&first, &second, &first] {
        let mut session = database.connect().unwrap();
        session.execute_script("CREATE TABLE IF NOT EXISTS t (a int, b text)").unwrap();
        let rows = session
            .execute_script("INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 16000) g");
        assert_eq!(rows.unwrap(), 16_000);
        assert!(database.statistic("memory_used").unwrap() <= 16 << 20);
    }
    assert_eq!(first.statistic("memory_used"), second.statistic("memory_used"));
    drop((first, second));
    assert_eq!(grouped(Some(17 << 20)).unwrap().statistic("memory_limit"), Some(17 << 20));
}

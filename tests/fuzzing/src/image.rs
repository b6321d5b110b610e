//! What hostile files are made of: the bytes of a small database, one that was closed and one that was killed.

use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result};
use lumos_core::io::memory::MemoryVfs;
use lumos_core::io::vfs::{OpenMode, Vfs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of its pages: small ones, so that few rows make many.
pub const PAGE_BYTES: usize = 1024;
/// Where blocks begin.
pub const BLOCKS_START: usize = 128 << 10;
/// Bytes of a log segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 4096;
/// The database file in every image.
pub const DATABASE: &str = "/d/data.lumos";

/// The files of a database at some moment.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Path and bytes; the database file is the first.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// Both kinds of image.
#[derive(Clone, Debug)]
pub struct Images {
    /// After a clean close: one file.
    pub closed: Image,
    /// As a killed process leaves it: commits that only the log holds.
    pub killed: Image,
}

/// How databases are opened here.
pub fn options(vfs: &Arc<dyn Vfs>) -> DatabaseOptions {
    DatabaseOptions {
        vfs: Some(Arc::clone(vfs)),
        page_size: PAGE_BYTES,
        memory_limit: Some(8 << 20),
        log_segment_first_bytes: 16 << 10,
        log_segment_max_bytes: 16 << 10,
        background_checkpoints: false,
        ..DatabaseOptions::default()
    }
}

impl Image {
    /// The files as they are now.
    /// # Errors
    /// Those of reading memory: none.
    pub fn of(vfs: &Arc<dyn Vfs>) -> Result<Image> {
        let mut image = Image::default();
        let folder = Path::new("/d/data.lumos-wal");
        let log = vfs.list_folder(folder)?.into_iter().map(|name| folder.join(name));
        for path in [PathBuf::from(DATABASE)].into_iter().chain(log) {
            let file = vfs.open(&path, OpenMode::ReadOnly)?;
            let mut bytes = vec![0; file.size()? as usize];
            file.read_at(&mut bytes, 0)?;
            image.files.push((path, bytes));
        }
        Ok(image)
    }

    /// A file system that holds these files.
    /// # Errors
    /// As [`Image::of`].
    pub fn restore(&self) -> Result<Arc<dyn Vfs>> {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        vfs.create_folder(Path::new("/d"))?;
        if self.files.len() > 1 {
            vfs.create_folder(Path::new("/d/data.lumos-wal"))?;
        }
        for (path, bytes) in &self.files {
            vfs.open(path, OpenMode::CreateNew)?.write_at(bytes, 0)?;
        }
        Ok(vfs)
    }
}

impl Images {
    /// Makes a database with every kind of object, and keeps its files before and after the close.
    /// # Errors
    /// What the engine raises: none of its statements should.
    pub fn new() -> Result<Images> {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        vfs.create_folder(Path::new("/d"))?;
        let database = Database::open(Some(Path::new(DATABASE)), options(&vfs))?;
        let mut session = database.connect()?;
        session.execute_script(
            "CREATE TABLE t (id bigint PRIMARY KEY, n int, s text);
             CREATE INDEX t_n ON t (n DESC);
             CREATE TABLE u (a numeric(10, 2) UNIQUE, b timestamptz, c bytea);
             CREATE VIEW v AS SELECT n, count(*) AS how_many FROM t GROUP BY n;
             INSERT INTO t SELECT g, g % 7, repeat('s', g::int % 90) FROM generate_series(1, 90) AS g;
             INSERT INTO t VALUES (1000, 5, repeat('long', 1200));
             INSERT INTO u VALUES (1.25, '2024-02-29 12:00:00+00', '\\x00ff'), (NULL, NULL, NULL);
             ANALYZE t;
             DELETE FROM t WHERE id BETWEEN 20 AND 30;
             CHECKPOINT;",
        )?;
        for statement in [
            "UPDATE t SET n = n + 1 WHERE id < 9",
            "DELETE FROM t WHERE id = 40",
            "INSERT INTO t SELECT g, 1, 'run' FROM generate_series(2000, 2090) AS g",
            "CREATE TABLE w (x int); INSERT INTO w VALUES (1), (2); DROP TABLE w",
            "INSERT INTO u VALUES (7, now(), '\\x01')",
        ] {
            session.execute_script(statement)?;
        }
        let killed = Image::of(&vfs)?;
        drop(session);
        drop(database);
        let closed = Image::of(&vfs)?;
        if killed.files.len() < 2 || closed.files.len() != 1 {
            return Err(Error::internal("a killed database has a log, a closed one has none"));
        }
        Ok(Images { closed, killed })
    }
}

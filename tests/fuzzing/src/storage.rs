//! What every hostile file runs through: pages, log and database file. Whatever the bytes are, there is an answer or
//! an error that says what is wrong; nothing panics, hangs, or ends in an internal error.

use crate::damage::{spoil, spoil_page};
use crate::image::{DATABASE, Image, Images, PAGE_BYTES, SEGMENT_HEADER_BYTES, options};
use lumos_core::common::ids::{Lsn, TreeId};
use lumos_core::database::Database;
use lumos_core::error::{Error, Result as Outcome, SqlState};
use lumos_core::io::memory::MemoryVfs;
use lumos_core::io::vfs::{OpenMode, Vfs};
use lumos_core::storage::probe::probe_page;
use lumos_core::wal::entry::{LinkPages, LinkRun};
use lumos_core::wal::manager::LogOptions;
use lumos_core::wal::recovery::{CheckpointPosition, Redo, recover};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A kind of bytes that come from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// One page.
    Page,
    /// The log's segments.
    Log,
    /// A database file, with or without its log.
    File,
}

/// What the bodies need besides the input.
#[derive(Debug)]
pub struct Bench {
    images: Images,
    /// Blocks that hold something.
    pages: Vec<Vec<u8>>,
    runs: u64,
    /// How many inputs came through the checks to what lies behind them.
    pub reached: u64,
}

/// Takes what a log holds, and looks at nothing.
#[derive(Default)]
struct Sink(u64);

impl Redo for Sink {
    fn put(&mut self, _: Lsn, _: TreeId, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.0 += 1 + key.len() as u64 + value.len() as u64;
        Ok(())
    }
    fn delete(&mut self, _: Lsn, _: TreeId, _: &[u8]) -> Outcome<()> {
        self.0 += 1;
        Ok(())
    }
    fn or(&mut self, _: Lsn, _: TreeId, _: &[u8], _: &[u8]) -> Outcome<()> {
        self.0 += 1;
        Ok(())
    }
    fn max(&mut self, _: Lsn, _: TreeId, _: &[u8], _: u64) -> Outcome<()> {
        self.0 += 1;
        Ok(())
    }
    fn tree_create(&mut self, _: Lsn, _: TreeId) -> Outcome<()> {
        self.0 += 1;
        Ok(())
    }
    fn tree_drop(&mut self, _: Lsn, _: TreeId) -> Outcome<()> {
        self.0 += 1;
        Ok(())
    }
    fn link_pages(&mut self, _: Lsn, _: TreeId, pages: LinkPages<'_>) -> Outcome<()> {
        self.0 += pages.runs().flat_map(LinkRun::pages).count() as u64;
        Ok(())
    }
    fn announce_drop(&mut self, _: TreeId) {}
    fn announce_link(&mut self, _: Lsn, _: TreeId, pages: LinkPages<'_>) -> Outcome<()> {
        self.0 += pages.runs().count() as u64;
        Ok(())
    }
}

/// No error is an internal one, and every one says something.
fn precise(error: &Error) -> Result<(), String> {
    match error.state() {
        SqlState::INTERNAL_ERROR => {
            Err(format!("internal error: {error}: {}", error.detail_text().unwrap_or_default()))
        }
        state if error.message().is_empty() => Err(format!("{state}: no message")),
        _ => Ok(()),
    }
}

impl Bench {
    /// The images that inputs spoil.
    /// # Errors
    /// As [`Images::new`].
    pub fn new() -> Outcome<Bench> {
        let images = Images::new()?;
        let blocks = images.closed.files[0].1[crate::image::BLOCKS_START..].chunks_exact(PAGE_BYTES);
        let pages = blocks.filter(|block| block.iter().any(|byte| *byte != 0)).map(<[u8]>::to_vec).collect();
        Ok(Bench { images, pages, runs: 0, reached: 0 })
    }

    /// Runs an input through a target.
    /// # Errors
    /// Which promise was broken.
    pub fn run(&mut self, target: Target, input: &[u8]) -> Result<(), String> {
        self.runs += 1;
        match target {
            Target::Page => self.page(input),
            Target::Log => self.log(input),
            Target::File => self.file(input),
        }
    }

    fn page(&mut self, input: &[u8]) -> Result<(), String> {
        let which = input.get(1).map_or(0, |byte| usize::from(*byte)) % self.pages.len();
        let mut page = spoil_page(&self.pages[which], input);
        if probe_page(&mut page)? {
            self.reached += 1;
        }
        Ok(())
    }

    /// A page of the image.
    pub fn sample_page(&self) -> Vec<u8> {
        self.pages[0].clone()
    }

    fn log(&mut self, input: &[u8]) -> Result<(), String> {
        let mut image = Image { files: self.images.killed.files[1..].to_vec() };
        spoil(&mut image, input);
        let options = self.log_options(&image).map_err(|error| error.to_string())?;
        let first = &self.images.killed.files[1].1;
        let number = |at: usize| first[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let start = Lsn(number(40));
        debug_assert!(first.len() > SEGMENT_HEADER_BYTES);
        let position = CheckpointPosition { redo: start, cut: start, clean: false };
        let mut sink = Sink::default();
        match recover(options, position, &mut sink) {
            Ok(_) => self.reached += u64::from(sink.0 > 0),
            Err(error) => precise(&error)?,
        }
        Ok(())
    }

    fn log_options(&self, image: &Image) -> Outcome<LogOptions> {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        vfs.create_folder(Path::new("/d/data.lumos-wal"))?;
        for (path, bytes) in &image.files {
            vfs.open(path, OpenMode::CreateNew)?.write_at(bytes, 0)?;
        }
        let database = self.images.killed.files[0].1[24..].first_chunk().copied().unwrap_or_default();
        Ok(LogOptions {
            vfs,
            folder: PathBuf::from("/d/data.lumos-wal"),
            database,
            timeline: 1,
            first_segment_bytes: 16 << 10,
            segment_bytes_max: 16 << 10,
            volatile: false,
            salt_seed: 7,
        })
    }

    fn file(&mut self, input: &[u8]) -> Result<(), String> {
        let base = if self.runs.is_multiple_of(2) { &self.images.closed } else { &self.images.killed };
        let mut image = base.clone();
        spoil(&mut image, input);
        let vfs = image.restore().map_err(|error| error.to_string())?;
        let database = match Database::open(Some(Path::new(DATABASE)), options(&vfs)) {
            Ok(database) => database,
            Err(error) => return precise(&error),
        };
        self.reached += 1;
        let mut session = match database.connect() {
            Ok(session) => session,
            Err(error) => return precise(&error),
        };
        for statement in [
            "SELECT * FROM t ORDER BY id DESC",
            "SELECT n, s FROM t WHERE n = 3 AND s > 'sss'",
            "SELECT * FROM u, v WHERE a > 1",
            "SELECT s FROM t WHERE id = 1000",
            "INSERT INTO t VALUES (3000, 3, repeat('x', 700)), (-5, 4, 'y')",
            "UPDATE t SET n = n + 1, s = s || 'z' WHERE id < 60",
            "DELETE FROM t WHERE n = 2",
            "CREATE INDEX u_b ON u (b)",
            "DROP TABLE u",
            "CHECKPOINT",
        ] {
            if let Err(error) = session.execute_script(statement) {
                precise(&error).map_err(|what| format!("{statement}: {what}"))?;
            }
        }
        if let Err(error) = database.verify(&mut |_| ()) {
            precise(&error)?;
        }
        Ok(())
    }
}

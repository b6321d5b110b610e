//! A file system over another one: what is written stays in memory, and the one below is only read.
//! So a file that needs recovery can be opened without being touched. Knows paths, offsets and bytes.

use crate::common::memory::MemoryAccount;
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::{File, FileIdentity, LockOutcome, OpenMode, Vfs};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Changes are kept in pieces of this size.
const PIECE_BYTES: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct OverlayVfs {
    base: Arc<dyn Vfs>,
    memory: Arc<MemoryAccount>,
    /// Files that were opened or renamed here; `None`: removed.
    files: Mutex<BTreeMap<PathBuf, Option<Arc<Content>>>>,
}

impl OverlayVfs {
    /// A view of `base` that starts without changes. What is written is charged to `memory`.
    pub fn new(base: Arc<dyn Vfs>, memory: Arc<MemoryAccount>) -> OverlayVfs {
        OverlayVfs { base, memory, files: Mutex::default() }
    }

    fn empty(&self) -> Arc<Content> {
        Arc::new(Content { base: None, memory: Arc::clone(&self.memory), changes: Mutex::default() })
    }

    /// The file at `path`, if there is one.
    fn find(
        &self,
        files: &mut BTreeMap<PathBuf, Option<Arc<Content>>>,
        path: &Path,
    ) -> Result<Option<Arc<Content>>> {
        if let Some(known) = files.get(path) {
            return Ok(known.clone());
        }
        let base = match self.base.open(path, OpenMode::ReadOnly) {
            Ok(base) => base,
            Err(error) if error.state() == SqlState::UNDEFINED_FILE => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = base.size()?;
        let changes = Changes { size, base_bytes: size, pieces: BTreeMap::new() };
        let content =
            Content { base: Some(base), memory: Arc::clone(&self.memory), changes: Mutex::new(changes) };
        let content = Arc::new(content);
        files.insert(path.to_path_buf(), Some(Arc::clone(&content)));
        Ok(Some(content))
    }
}

fn missing(path: &Path) -> Error {
    Error::new(SqlState::UNDEFINED_FILE, format!("\"{}\" does not exist", path.display()))
}

impl Vfs for OverlayVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let mut files = self.files.lock();
        let content = match (self.find(&mut files, path)?, mode) {
            (Some(_), OpenMode::CreateNew) => {
                return Err(Error::new(SqlState::IO_ERROR, format!("\"{}\" exists", path.display())));
            }
            (Some(content), _) => content,
            (None, OpenMode::ReadOnly | OpenMode::ReadWrite) => return Err(missing(path)),
            (None, _) => {
                let content = self.empty();
                files.insert(path.to_path_buf(), Some(Arc::clone(&content)));
                content
            }
        };
        Ok(Arc::new(OverlayFile(content)))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        match self.files.lock().get(path) {
            Some(known) => Ok(known.is_some()),
            None => self.base.exists(path),
        }
    }

    fn remove(&self, path: &Path) -> Result<()> {
        if !self.exists(path)? {
            return Err(missing(path));
        }
        self.files.lock().insert(path.to_path_buf(), None);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut files = self.files.lock();
        let content = self.find(&mut files, from)?.ok_or_else(|| missing(from))?;
        files.insert(from.to_path_buf(), None);
        files.insert(to.to_path_buf(), Some(content));
        Ok(())
    }

    fn create_folder(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn remove_folder(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn list_folder(&self, path: &Path) -> Result<Vec<String>> {
        let mut names = self.base.list_folder(path)?;
        for (file, content) in self.files.lock().iter().filter(|(file, _)| file.parent() == Some(path)) {
            let Some(name) = file.file_name().map(|name| name.to_string_lossy().into_owned()) else {
                continue;
            };
            names.retain(|known| *known != name);
            if content.is_some() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_folder(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        self.base.canonical(path)
    }
}

#[derive(Debug, Default)]
struct Changes {
    size: u64,
    /// Bytes that still come from the file below: it was cut there, if anywhere.
    base_bytes: u64,
    pieces: BTreeMap<u64, Box<[u8]>>,
}

#[derive(Debug)]
struct Content {
    base: Option<Arc<dyn File>>,
    memory: Arc<MemoryAccount>,
    changes: Mutex<Changes>,
}

impl Drop for Content {
    fn drop(&mut self) {
        self.memory.release(self.changes.lock().pieces.len() * PIECE_BYTES);
    }
}

impl Content {
    /// Reads what the file below has; zeros where it has nothing.
    fn read_base(&self, changes: &Changes, buffer: &mut [u8], offset: u64) -> Result<()> {
        buffer.fill(0);
        let count = changes.base_bytes.saturating_sub(offset).min(buffer.len() as u64) as usize;
        if let Some(base) = &self.base
            && count > 0
        {
            base.read_at(&mut buffer[..count], offset)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct OverlayFile(Arc<Content>);

impl File for OverlayFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let changes = self.0.changes.lock();
        let count = changes.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..count];
        self.0.read_base(&changes, buffer, offset)?;
        let piece_bytes = PIECE_BYTES as u64;
        let end = offset + count as u64;
        for (index, piece) in changes.pieces.range(offset / piece_bytes..end.div_ceil(piece_bytes)) {
            let start = index * piece_bytes;
            let (from, to) = (start.max(offset), (start + piece_bytes).min(end));
            buffer[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&piece[(from - start) as usize..(to - start) as usize]);
        }
        Ok(count)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        let mut changes = self.0.changes.lock();
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let (index, within) = (at / PIECE_BYTES as u64, (at % PIECE_BYTES as u64) as usize);
            let count = (PIECE_BYTES - within).min(data.len() - done);
            if !changes.pieces.contains_key(&index) {
                // Not asking others to give memory back: whoever writes may be doing just that.
                if !self.0.memory.try_charge(PIECE_BYTES) {
                    return Err(Error::new(SqlState::OUT_OF_MEMORY, "memory limit reached")
                        .detail("The database is read-only, and changes found in its log do not fit into memory_limit.")
                        .hint("Raise memory_limit, or open the database for writing once."));
                }
                let mut piece = vec![0; PIECE_BYTES].into_boxed_slice();
                self.0.read_base(&changes, &mut piece, index * PIECE_BYTES as u64)?;
                changes.pieces.insert(index, piece);
            }
            if let Some(piece) = changes.pieces.get_mut(&index) {
                piece[within..within + count].copy_from_slice(&data[done..done + count]);
            }
            done += count;
        }
        changes.size = changes.size.max(offset + data.len() as u64);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        Ok(self.0.changes.lock().size)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        let mut changes = self.0.changes.lock();
        if size < changes.size {
            changes.base_bytes = changes.base_bytes.min(size);
            let kept = changes.pieces.len();
            changes.pieces.retain(|index, _| index * (PIECE_BYTES as u64) < size);
            self.0.memory.release((kept - changes.pieces.len()) * PIECE_BYTES);
            let within = (size % PIECE_BYTES as u64) as usize;
            if let Some(piece) = changes.pieces.get_mut(&(size / PIECE_BYTES as u64)) {
                piece[within..].fill(0);
            }
        }
        changes.size = size;
        Ok(())
    }

    fn allocate(&self, size: u64) -> Result<()> {
        let mut changes = self.0.changes.lock();
        changes.size = changes.size.max(size);
        Ok(())
    }

    fn identity(&self) -> Result<FileIdentity> {
        match &self.0.base {
            Some(base) => base.identity(),
            None => Ok(FileIdentity { device: u64::MAX, inode: Arc::as_ptr(&self.0).addr() as u64 }),
        }
    }

    // Nobody else sees this file system's changes, so there is nobody to lock out.
    fn try_lock(&self) -> Result<LockOutcome> {
        Ok(LockOutcome::Granted)
    }

    fn try_lock_shared(&self) -> Result<LockOutcome> {
        Ok(LockOutcome::Granted)
    }

    fn unlock(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use crate::io::memory::MemoryVfs;

    #[test]
    fn an_overlay_behaves_as_a_copy_and_leaves_the_file_below_alone() {
        for seed in 1..30 {
            let mut random = Random::new(seed);
            let base = Arc::new(MemoryVfs::new());
            let path = Path::new("/a");
            let mut model: Vec<u8> = (0..random.below(20_000)).map(|_| random.below(256) as u8).collect();
            let original = model.clone();
            base.open(path, OpenMode::CreateNew).unwrap().write_at(&model, 0).unwrap();
            let memory = MemoryAccount::new(1 << 20);
            let overlay = OverlayVfs::new(Arc::clone(&base) as Arc<dyn Vfs>, Arc::clone(&memory));
            let file = overlay.open(path, OpenMode::ReadWrite).unwrap();
            for _ in 0..60 {
                let at = random.below(24_000) as usize;
                if random.below(8) == 0 {
                    file.set_size(at as u64).unwrap();
                    model.resize(at, 0);
                    continue;
                }
                let data: Vec<u8> = (0..random.below(6000)).map(|_| random.below(256) as u8).collect();
                file.write_at(&data, at as u64).unwrap();
                model.resize(model.len().max(at + data.len()), 0);
                model[at..at + data.len()].copy_from_slice(&data);
                let (from, mut read) = (random.below(24_000) as usize, vec![7; 9000]);
                let count = file.read_at(&mut read, from as u64).unwrap();
                let expected = &model[from.min(model.len())..(from + 9000).min(model.len())];
                assert!(read[..count] == *expected, "seed {seed}");
            }
            let mut below = vec![0; original.len() + 1];
            let count = base.open(path, OpenMode::ReadOnly).unwrap().read_at(&mut below, 0).unwrap();
            assert!(below[..count] == original[..], "seed {seed}");
            drop((file, overlay));
            assert_eq!(memory.used(), 0, "seed {seed}");
        }
    }

    #[test]
    fn files_come_and_go_in_the_overlay_alone() {
        let base: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        base.open(Path::new("/f/old"), OpenMode::CreateNew).unwrap().write_at(b"old", 0).unwrap();
        let overlay = OverlayVfs::new(Arc::clone(&base), MemoryAccount::new(1 << 20));
        overlay.rename(Path::new("/f/old"), Path::new("/f/new")).unwrap();
        overlay.open(Path::new("/f/more"), OpenMode::CreateNew).unwrap();
        assert_eq!(overlay.list_folder(Path::new("/f")).unwrap(), ["more", "new"]);
        overlay.remove(Path::new("/f/new")).unwrap();
        assert!(overlay.open(Path::new("/f/new"), OpenMode::ReadOnly).is_err());
        assert!(overlay.open(Path::new("/f/old"), OpenMode::ReadWrite).is_err());
        assert_eq!(base.list_folder(Path::new("/f")).unwrap(), ["old"]);
    }
}

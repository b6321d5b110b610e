//! Files in memory: what `:memory:` databases and many tests run on. Nothing survives the last handle.

use crate::error::{Error, Result, SqlState};
use crate::io::vfs::{File, FileIdentity, LockOutcome, OpenMode, Vfs};
use parking_lot::{Mutex, RwLock};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Content is kept in pieces of this size, so that growing copies nothing.
const PIECE_BYTES: usize = 64 << 10;

/// An independent, empty file system. Clones of the `Arc` share it.
#[derive(Debug, Default)]
pub struct MemoryVfs {
    files: Mutex<BTreeMap<PathBuf, Arc<Content>>>,
    next_inode: AtomicU64,
}

impl MemoryVfs {
    /// An empty file system.
    pub fn new() -> MemoryVfs {
        MemoryVfs::default()
    }
}

#[derive(Debug, Default)]
struct Content {
    inode: u64,
    /// -1: one exclusive lock; else the number of shared ones.
    locks: AtomicI32,
    /// How many handles share a place.
    places: Mutex<BTreeMap<u64, usize>>,
    data: RwLock<Pieces>,
}

#[derive(Default)]
struct Pieces {
    pieces: Vec<Option<Box<[u8]>>>,
    size: u64,
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.size)
    }
}

fn missing(path: &Path) -> Error {
    Error::new(SqlState::UNDEFINED_FILE, format!("\"{}\" does not exist", path.display()))
}

impl Vfs for MemoryVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let mut files = self.files.lock();
        let content = match (files.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => {
                return Err(Error::new(SqlState::IO_ERROR, format!("\"{}\" exists", path.display())));
            }
            (Some(content), _) => Arc::clone(content),
            (None, OpenMode::ReadOnly | OpenMode::ReadWrite) => return Err(missing(path)),
            (None, _) => {
                let inode = self.next_inode.fetch_add(1, Ordering::Relaxed) + 1;
                let content = Arc::new(Content { inode, ..Content::default() });
                files.insert(path.to_path_buf(), Arc::clone(&content));
                content
            }
        };
        Ok(Arc::new(MemoryFile {
            content,
            writable: mode != OpenMode::ReadOnly,
            holds_lock: AtomicI32::new(0),
            own_places: Mutex::default(),
        }))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.files.lock().contains_key(path))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.files.lock().remove(path).map(drop).ok_or_else(|| missing(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut files = self.files.lock();
        let content = files.remove(from).ok_or_else(|| missing(from))?;
        files.insert(to.to_path_buf(), content);
        Ok(())
    }

    fn create_folder(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn remove_folder(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn list_folder(&self, path: &Path) -> Result<Vec<String>> {
        let files = self.files.lock();
        let names =
            files.keys().filter(|file| file.parent() == Some(path)).filter_map(|file| file.file_name());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn sync_folder(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    fn keeps_in_memory(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct MemoryFile {
    content: Arc<Content>,
    writable: bool,
    /// What this handle adds to `locks`.
    holds_lock: AtomicI32,
    own_places: Mutex<BTreeSet<u64>>,
}

impl MemoryFile {
    fn check_writable(&self) -> Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, "the file is open for reading only"))
    }
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let data = self.content.data.read();
        let count = data.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < count {
            let at = offset as usize + done;
            let (piece, within) = (at / PIECE_BYTES, at % PIECE_BYTES);
            let step = (PIECE_BYTES - within).min(count - done);
            match data.pieces.get(piece).and_then(Option::as_ref) {
                Some(bytes) => buffer[done..done + step].copy_from_slice(&bytes[within..within + step]),
                None => buffer[done..done + step].fill(0),
            }
            done += step;
        }
        Ok(count)
    }

    fn write_at(&self, source: &[u8], offset: u64) -> Result<()> {
        self.check_writable()?;
        let mut data = self.content.data.write();
        let end = offset as usize + source.len();
        if data.pieces.len() < end.div_ceil(PIECE_BYTES) {
            data.pieces.resize(end.div_ceil(PIECE_BYTES), None);
        }
        let mut done = 0;
        while done < source.len() {
            let at = offset as usize + done;
            let (piece, within) = (at / PIECE_BYTES, at % PIECE_BYTES);
            let step = (PIECE_BYTES - within).min(source.len() - done);
            let bytes = data.pieces[piece].get_or_insert_with(|| vec![0; PIECE_BYTES].into_boxed_slice());
            bytes[within..within + step].copy_from_slice(&source[done..done + step]);
            done += step;
        }
        data.size = data.size.max(end as u64);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        Ok(self.content.data.read().size)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.check_writable()?;
        let mut data = self.content.data.write();
        let pieces = (size as usize).div_ceil(PIECE_BYTES);
        data.pieces.resize(pieces, None);
        let within = size as usize % PIECE_BYTES;
        if size < data.size
            && within != 0
            && let Some(Some(last)) = data.pieces.last_mut()
        {
            last[within..].fill(0);
        }
        data.size = size;
        Ok(())
    }

    fn allocate(&self, size: u64) -> Result<()> {
        if self.size()? < size { self.set_size(size) } else { Ok(()) }
    }

    fn identity(&self) -> Result<FileIdentity> {
        Ok(FileIdentity { device: 0, inode: self.content.inode })
    }

    fn try_lock(&self) -> Result<LockOutcome> {
        let taken = self.content.locks.compare_exchange(0, -1, Ordering::AcqRel, Ordering::Acquire);
        if taken.is_err() {
            return Ok(LockOutcome::HeldBy(Some(std::process::id())));
        }
        self.holds_lock.store(-1, Ordering::Release);
        Ok(LockOutcome::Granted)
    }

    fn try_lock_shared(&self) -> Result<LockOutcome> {
        let one_more = |held: i32| (held >= 0).then_some(held + 1);
        if self.content.locks.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_err() {
            return Ok(LockOutcome::HeldBy(Some(std::process::id())));
        }
        self.holds_lock.store(1, Ordering::Release);
        Ok(LockOutcome::Granted)
    }

    fn unlock(&self) -> Result<()> {
        self.content.locks.fetch_sub(self.holds_lock.swap(0, Ordering::AcqRel), Ordering::AcqRel);
        Ok(())
    }

    fn share_place(&self, place: u64) -> Result<bool> {
        if self.own_places.lock().insert(place) {
            *self.content.places.lock().entry(place).or_insert(0) += 1;
        }
        Ok(true)
    }

    fn leave_place(&self, place: u64) -> Result<()> {
        if self.own_places.lock().remove(&place)
            && let Entry::Occupied(mut holders) = self.content.places.lock().entry(place)
        {
            *holders.get_mut() -= 1;
            if *holders.get() == 0 {
                holders.remove();
            }
        }
        Ok(())
    }

    fn shared_places(&self, places: Range<u64>) -> Result<Vec<u64>> {
        let own = self.own_places.lock();
        let shared = self.content.places.lock();
        let others =
            shared.range(places).filter(|(place, holders)| **holders > usize::from(own.contains(place)));
        Ok(others.map(|(place, _)| *place).collect())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let places: Vec<u64> = self.own_places.lock().iter().copied().collect();
        for place in places {
            let _ = self.leave_place(place);
        }
        let _ = self.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;

    #[test]
    fn a_file_equals_a_plain_vector_under_random_writes_and_cuts() {
        for seed in 1..20 {
            let mut random = Random::new(seed);
            let file = MemoryVfs::new().open(Path::new("/a"), OpenMode::CreateNew).unwrap();
            let mut model: Vec<u8> = Vec::new();
            for step in 0..60u8 {
                let at = random.below(200_000) as usize;
                if random.below(6) == 0 {
                    model.resize(at, 0);
                    file.set_size(at as u64).unwrap();
                } else {
                    let data = vec![step; random.below(90_000) as usize];
                    if model.len() < at + data.len() {
                        model.resize(at + data.len(), 0);
                    }
                    model[at..at + data.len()].copy_from_slice(&data);
                    file.write_at(&data, at as u64).unwrap();
                }
            }
            let mut read = vec![1; model.len() + 10];
            let count = file.read_at(&mut read, 0).unwrap();
            assert!(read[..count] == model[..], "seed {seed}");
        }
    }
}

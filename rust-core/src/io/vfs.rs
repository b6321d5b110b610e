//! The file system as the engine sees it.
//! Knows paths, offsets and bytes. Knows nothing of pages or frames.

use crate::error::Result;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; writes fail.
    ReadOnly,
    /// It must exist.
    ReadWrite,
    /// It is made when missing (file mode 0600 less the umask).
    CreateOrOpen,
    /// It must not exist.
    CreateNew,
}

/// What asking for a file's lock gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOutcome {
    /// The lock is held until [`File::unlock`] or until the file is closed.
    Granted,
    /// Somebody else holds it: the process id where the system tells it.
    HeldBy(Option<u32>),
}

/// What identifies a file whatever its path: device and inode on Unix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// Device, or a number of the file system.
    pub device: u64,
    /// File number on that device.
    pub inode: u64,
}

/// Places that can be shared: numbers below this.
pub const SHARED_PLACES: u64 = 1 << 61;

/// A file system. All methods may be called from any thread. Every descriptor is close-on-exec.
///
/// Errors carry the system's reason: 58P01 (missing), 42501 (permission), 53100 (full), else 58030.
pub trait Vfs: Send + Sync + std::fmt::Debug {
    /// Opens or creates a regular file; anything else (a directory, a device) is an error.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>>;
    /// Whether something exists at `path`.
    fn exists(&self, path: &Path) -> Result<bool>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Renames a file, replacing the target atomically.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Makes a folder (mode 0700 less the umask); an existing one is fine.
    fn create_folder(&self, path: &Path) -> Result<()>;
    /// Removes an empty folder.
    fn remove_folder(&self, path: &Path) -> Result<()>;
    /// Names of the entries of a folder, sorted; empty when it does not exist.
    fn list_folder(&self, path: &Path) -> Result<Vec<String>>;
    /// Makes creations, removals and renames in the folder durable.
    fn sync_folder(&self, path: &Path) -> Result<()>;
    /// The path with symbolic links resolved; the file itself need not exist, its folder must.
    fn canonical(&self, path: &Path) -> Result<PathBuf>;
    /// Whether the bytes of files are in this process's memory.
    fn keeps_in_memory(&self) -> bool {
        false
    }
}

/// An open file. All methods may be called from any thread at once.
pub trait File: Send + Sync + std::fmt::Debug {
    /// Reads from `offset` until `buffer` is full or the file ends; returns the bytes read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;
    /// Writes all of `data` at `offset`, extending the file as needed.
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()>;
    /// Makes the data, and the size where it grew, durable (fdatasync; F_FULLFSYNC on macOS).
    fn sync(&self) -> Result<()>;
    /// Bytes in the file.
    fn size(&self) -> Result<u64>;
    /// Cuts or extends the file; new bytes read as zero.
    fn set_size(&self, size: u64) -> Result<()>;
    /// Reserves space for `0..size`, so that writes below it cannot fail for want of space. Extends the file.
    /// # Errors
    /// `53100` when the space is not there.
    fn allocate(&self, size: u64) -> Result<()>;
    /// Which file this is, whatever path led to it.
    fn identity(&self) -> Result<FileIdentity>;
    /// Asks, without waiting, for the lock that one writing process holds (open-file-description lock).
    fn try_lock(&self) -> Result<LockOutcome>;
    /// Asks, without waiting, for the lock that readers hold together while no process writes. For files opened for
    /// reading too.
    fn try_lock_shared(&self) -> Result<LockOutcome>;
    /// Gives the lock back.
    fn unlock(&self) -> Result<()>;
    /// Shares place `place` of the file with whoever else wants it, until [`File::leave_place`] or until the file is
    /// closed: a note for a writing process, which asks with [`File::shared_places`]. For files opened for reading too.
    /// False: this file system has no such notes.
    fn share_place(&self, _place: u64) -> Result<bool> {
        Ok(false)
    }
    /// Gives a shared place back.
    fn leave_place(&self, _place: u64) -> Result<()> {
        Ok(())
    }
    /// The places among `places` that other handles share, in order.
    fn shared_places(&self, _places: Range<u64>) -> Result<Vec<u64>> {
        Ok(Vec::new())
    }
}

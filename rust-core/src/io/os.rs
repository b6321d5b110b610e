//! The operating system's files: pread, pwrite, fdatasync, fallocate, open-file-description locks.
//! Never maps a file: an I/O error must be an error, not a signal.
#![allow(clippy::disallowed_methods, reason = "this module is the seam that others are sent to")]

use crate::error::{Error, Result, SqlState};
use crate::io::vfs::{File, FileIdentity, LockOutcome, OpenMode, SHARED_PLACES, Vfs};
use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the lock bytes lie: far behind any data.
const LOCK_OFFSET: i64 = 1 << 61;
/// A classic lock beside it, held only so that others can ask for the holder's process id
/// (open-file-description locks do not tell it).
const HOLDER_OFFSET: i64 = LOCK_OFFSET + 1;

/// From here on a byte a place that readers share.
const PLACES_OFFSET: i64 = 1 << 62;

/// The real file system.
#[derive(Debug, Default)]
pub struct OsVfs;

impl OsVfs {
    /// The file system of this process.
    pub fn new() -> OsVfs {
        OsVfs
    }
}

/// The system's error with what was being done, as an [`Error`].
fn system_error(action: &str, path: &Path, cause: &io::Error) -> Error {
    let state = match cause.raw_os_error() {
        Some(libc::ENOENT) => SqlState::UNDEFINED_FILE,
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => SqlState::INSUFFICIENT_PRIVILEGE,
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => SqlState::DISK_FULL,
        _ => SqlState::IO_ERROR,
    };
    // The system's words, without the number that Rust adds to them: the SQLSTATE stands for it.
    let words = cause.to_string();
    let end = words.find(" (os error ").unwrap_or(words.len());
    Error::new(state, format!("could not {action} \"{}\": {}", path.display(), &words[..end]))
}

impl Vfs for OsVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(mode != OpenMode::ReadOnly).mode(0o600);
        match mode {
            OpenMode::ReadOnly | OpenMode::ReadWrite => {}
            OpenMode::CreateOrOpen => {
                options.create(true);
            }
            OpenMode::CreateNew => {
                options.create_new(true);
            }
        }
        // The standard library opens with O_CLOEXEC; O_NONBLOCK keeps a FIFO from blocking the open.
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        let file = options.open(path).map_err(|cause| system_error("open", path, &cause))?;
        let metadata = file.metadata().map_err(|cause| system_error("inspect", path, &cause))?;
        if !metadata.is_file() {
            let kind = if metadata.is_dir() { "a directory" } else { "not a regular file" };
            return Err(Error::new(
                SqlState::IO_ERROR,
                format!("could not open \"{}\": it is {kind}", path.display()),
            ));
        }
        Ok(Arc::new(OsFile { file, path: path.to_path_buf() }))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        path.try_exists().map_err(|cause| system_error("look up", path, &cause))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|cause| system_error("remove", path, &cause))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|cause| system_error("rename", from, &cause))
    }

    fn create_folder(&self, path: &Path) -> Result<()> {
        loop {
            match fs::DirBuilder::new().mode(0o700).create(path) {
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
                // Another process has taken it away since.
                Err(cause)
                    if cause.kind() == io::ErrorKind::AlreadyExists
                        && fs::symlink_metadata(path).is_err() => {}
                other => return other.map_err(|cause| system_error("create folder", path, &cause)),
            }
        }
    }

    fn remove_folder(&self, path: &Path) -> Result<()> {
        fs::remove_dir(path).map_err(|cause| system_error("remove folder", path, &cause))
    }

    fn list_folder(&self, path: &Path) -> Result<Vec<String>> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(system_error("list", path, &cause)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|cause| system_error("list", path, &cause))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let folder = fs::File::open(path).map_err(|cause| system_error("open folder", path, &cause))?;
        folder.sync_all().map_err(|cause| system_error("sync folder", path, &cause))
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        if let Ok(resolved) = path.canonicalize() {
            return Ok(resolved);
        }
        let name = path.file_name().ok_or_else(|| {
            Error::new(SqlState::UNDEFINED_FILE, format!("\"{}\" does not name a file", path.display()))
        })?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = folder.canonicalize().map_err(|cause| system_error("open folder", folder, &cause))?;
        Ok(folder.join(name))
    }
}

#[derive(Debug)]
struct OsFile {
    file: fs::File,
    path: PathBuf,
}

impl OsFile {
    fn fail(&self, action: &str, cause: &io::Error) -> Error {
        system_error(action, &self.path, cause)
    }

    fn lock_request(kind: libc::c_int, offset: i64) -> libc::flock {
        // SAFETY: all-zero bytes are a valid `flock`, a plain C struct of integers.
        let mut request: libc::flock = unsafe { std::mem::zeroed() };
        request.l_type = kind as libc::c_short;
        request.l_whence = libc::SEEK_SET as libc::c_short;
        request.l_start = offset;
        request.l_len = 1;
        request
    }

    fn control(&self, command: libc::c_int, request: &mut libc::flock) -> io::Result<()> {
        // SAFETY: the descriptor is open for as long as `self.file` lives, `request` is a valid `flock`
        // that the kernel reads and, for the GETLK commands, writes.
        let result = unsafe { libc::fcntl(self.file.as_raw_fd(), command, request as *mut libc::flock) };
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The process that holds the lock, or one of them, where the system tells it.
    fn holder(&self) -> Option<u32> {
        let mut holder = Self::lock_request(libc::F_WRLCK, HOLDER_OFFSET);
        let known = self.control(libc::F_GETLK, &mut holder).is_ok();
        let held = known && holder.l_type != libc::F_UNLCK as libc::c_short && holder.l_pid > 0;
        held.then_some(holder.l_pid as u32)
    }

    /// One of the places among `places` that others share. None: none, or this system has no such locks: then nobody
    /// else has one either.
    #[cfg(target_os = "linux")]
    fn a_shared_place(&self, places: &Range<u64>) -> Result<Option<u64>> {
        let mut request = Self::lock_request(libc::F_WRLCK, PLACES_OFFSET + places.start as i64);
        request.l_len = (places.end - places.start) as i64;
        match self.control(libc::F_OFD_GETLK, &mut request) {
            Ok(()) if request.l_type == libc::F_UNLCK as libc::c_short => Ok(None),
            Ok(()) => {
                let place = (request.l_start - PLACES_OFFSET).max(0) as u64;
                Ok(Some(place.max(places.start)))
            }
            Err(cause) if has_no_locks(&cause) => Ok(None),
            Err(cause) => Err(self.fail("look for locks of", &cause)),
        }
    }

    #[cfg(target_os = "linux")]
    const LOCK_COMMAND: libc::c_int = libc::F_OFD_SETLK;
    #[cfg(not(target_os = "linux"))]
    const LOCK_COMMAND: libc::c_int = libc::F_SETLK;
}

/// The file system, or this version of the system, has no open-file-description locks.
#[cfg(target_os = "linux")]
fn has_no_locks(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::EINVAL | libc::ENOLCK | libc::EOPNOTSUPP | libc::ENOSYS))
}

impl File for OsFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(self.fail("read", &cause)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(data, offset).map_err(|cause| self.fail("write", &cause))
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|cause| self.fail("sync", &cause))
    }

    fn size(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|cause| self.fail("inspect", &cause))?.len())
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.file.set_len(size).map_err(|cause| self.fail("resize", &cause))
    }

    fn allocate(&self, size: u64) -> Result<()> {
        if self.size()? >= size {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        {
            // SAFETY: a plain system call on a descriptor that is open for as long as `self.file` lives.
            let result = unsafe { libc::fallocate(self.file.as_raw_fd(), 0, 0, size as libc::off_t) };
            if result == 0 {
                return Ok(());
            }
            let cause = io::Error::last_os_error();
            if !matches!(cause.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)) {
                return Err(self.fail("reserve space in", &cause));
            }
        }
        // Without the call, only written zeros keep the promise.
        let zeros = vec![0; 64 << 10];
        let mut at = self.size()?;
        while at < size {
            let step = (size - at).min(zeros.len() as u64);
            self.write_at(&zeros[..step as usize], at)?;
            at += step;
        }
        Ok(())
    }

    fn identity(&self) -> Result<FileIdentity> {
        let metadata = self.file.metadata().map_err(|cause| self.fail("inspect", &cause))?;
        Ok(FileIdentity { device: metadata.dev(), inode: metadata.ino() })
    }

    fn try_lock(&self) -> Result<LockOutcome> {
        let mut request = Self::lock_request(libc::F_WRLCK, LOCK_OFFSET);
        match self.control(Self::LOCK_COMMAND, &mut request) {
            Ok(()) => {
                // Advisory information for others; the lock above is what excludes them.
                let _ = self.control(libc::F_SETLK, &mut Self::lock_request(libc::F_WRLCK, HOLDER_OFFSET));
                Ok(LockOutcome::Granted)
            }
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::EACCES | libc::EAGAIN)) => {
                Ok(LockOutcome::HeldBy(self.holder()))
            }
            Err(cause) => Err(self.fail("lock", &cause)),
        }
    }

    fn try_lock_shared(&self) -> Result<LockOutcome> {
        match self.control(Self::LOCK_COMMAND, &mut Self::lock_request(libc::F_RDLCK, LOCK_OFFSET)) {
            Ok(()) => {
                // As above: only so that a writer can name one of the readers.
                let _ = self.control(libc::F_SETLK, &mut Self::lock_request(libc::F_RDLCK, HOLDER_OFFSET));
                Ok(LockOutcome::Granted)
            }
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::EACCES | libc::EAGAIN)) => {
                Ok(LockOutcome::HeldBy(self.holder()))
            }
            Err(cause) => Err(self.fail("lock", &cause)),
        }
    }

    fn unlock(&self) -> Result<()> {
        let _ = self.control(libc::F_SETLK, &mut Self::lock_request(libc::F_UNLCK, HOLDER_OFFSET));
        self.control(Self::LOCK_COMMAND, &mut Self::lock_request(libc::F_UNLCK, LOCK_OFFSET))
            .map_err(|cause| self.fail("unlock", &cause))
    }

    #[cfg(target_os = "linux")]
    fn share_place(&self, place: u64) -> Result<bool> {
        assert!(place < SHARED_PLACES, "places are counted by checkpoints, which never come so far");
        let mut request = Self::lock_request(libc::F_RDLCK, PLACES_OFFSET + place as i64);
        match self.control(libc::F_OFD_SETLK, &mut request) {
            Ok(()) => Ok(true),
            // Nobody takes these bytes exclusively; whatever does, there is no place to share.
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::EACCES | libc::EAGAIN)) => Ok(false),
            Err(cause) if has_no_locks(&cause) => Ok(false),
            Err(cause) => Err(self.fail("lock", &cause)),
        }
    }

    #[cfg(target_os = "linux")]
    fn leave_place(&self, place: u64) -> Result<()> {
        let mut request = Self::lock_request(libc::F_UNLCK, PLACES_OFFSET + place as i64);
        self.control(libc::F_OFD_SETLK, &mut request).map_err(|cause| self.fail("unlock", &cause))
    }

    #[cfg(target_os = "linux")]
    fn shared_places(&self, places: Range<u64>) -> Result<Vec<u64>> {
        // The system tells one lock at a time, and not the first: each answer cuts the range in two.
        let (mut found, mut left) = (Vec::new(), vec![places]);
        while let Some(range) = left.pop() {
            if !range.is_empty()
                && let Some(place) = self.a_shared_place(&range)?
            {
                found.push(place);
                left.push(range.start..place);
                left.push(place + 1..range.end);
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("lumos-os-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn bytes_written_are_read_back_and_the_end_is_short() {
        let folder = folder("bytes");
        let file = OsVfs.open(&folder.join("a"), OpenMode::CreateNew).unwrap();
        file.write_at(b"hello", 3).unwrap();
        let mut buffer = [9; 16];
        assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
        assert_eq!(&buffer[..8], b"\0\0\0hello");
        file.allocate(4096).unwrap();
        assert_eq!(file.size().unwrap(), 4096);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn readers_lock_together_and_never_beside_a_writer() {
        let folder = folder("shared");
        let writer = OsVfs.open(&folder.join("a"), OpenMode::CreateOrOpen).unwrap();
        let readers: Vec<_> =
            (0..2).map(|_| OsVfs.open(&folder.join("a"), OpenMode::ReadOnly).unwrap()).collect();
        for reader in &readers {
            assert_eq!(reader.try_lock_shared().unwrap(), LockOutcome::Granted);
            assert!(matches!(writer.try_lock().unwrap(), LockOutcome::HeldBy(_)));
        }
        readers.iter().for_each(|reader| reader.unlock().unwrap());
        assert_eq!(writer.try_lock().unwrap(), LockOutcome::Granted);
        assert!(matches!(readers[0].try_lock_shared().unwrap(), LockOutcome::HeldBy(_)));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn places_are_shared_seen_by_others_and_given_back() {
        let folder = folder("places");
        let writer = OsVfs.open(&folder.join("a"), OpenMode::CreateOrOpen).unwrap();
        let readers: Vec<_> =
            (0..3).map(|_| OsVfs.open(&folder.join("a"), OpenMode::ReadOnly).unwrap()).collect();
        assert_eq!(writer.try_lock().unwrap(), LockOutcome::Granted);
        let all = 0..SHARED_PLACES;
        assert_eq!(writer.shared_places(all.clone()).unwrap(), []);
        for (reader, place) in readers.iter().zip([7, SHARED_PLACES - 1, 7]) {
            assert!(reader.share_place(place).unwrap());
        }
        assert!(readers[0].share_place(8).unwrap());
        assert_eq!(writer.shared_places(all.clone()).unwrap(), [7, 8, SHARED_PLACES - 1]);
        assert_eq!(writer.shared_places(8..9).unwrap(), [8]);
        assert_eq!(writer.shared_places(9..1000).unwrap(), []);
        readers[0].leave_place(7).unwrap();
        assert_eq!(
            writer.shared_places(all.clone()).unwrap(),
            [7, 8, SHARED_PLACES - 1],
            "another has it too"
        );
        drop(readers);
        assert_eq!(writer.shared_places(all).unwrap(), []);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_second_lock_is_refused_until_the_first_is_given_back() {
        let folder = folder("lock");
        let first = OsVfs.open(&folder.join("a"), OpenMode::CreateOrOpen).unwrap();
        let second = OsVfs.open(&folder.join("a"), OpenMode::CreateOrOpen).unwrap();
        assert_eq!(first.try_lock().unwrap(), LockOutcome::Granted);
        assert!(matches!(second.try_lock().unwrap(), LockOutcome::HeldBy(_)));
        first.unlock().unwrap();
        assert_eq!(second.try_lock().unwrap(), LockOutcome::Granted);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_and_a_missing_file_are_refused_with_the_systems_reason() {
        let folder = folder("kinds");
        let missing = OsVfs.open(&folder.join("none"), OpenMode::ReadWrite).unwrap_err();
        assert_eq!(missing.state(), SqlState::UNDEFINED_FILE);
        let directory = OsVfs.open(&folder, OpenMode::ReadOnly).unwrap_err();
        assert_eq!(directory.state(), SqlState::IO_ERROR);
        fs::remove_dir_all(folder).unwrap();
    }
}

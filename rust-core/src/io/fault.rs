//! A file system that fails on purpose: power losses, I/O errors, full disks, syncs that lie.
//!
//! It remembers, per file and per folder, what a sync has made durable and what has only been written since.
//! [`FaultVfs::image_after_power_loss`] then gives one of the disks that could be found after a power loss:
//! any subset of unsynced 512-byte sectors, any prefix of unsynced folder changes. Everything is decided by
//! a seed.

use crate::common::random::Random;
use crate::error::{Error, Result, SqlState};
use crate::io::vfs::{File, FileIdentity, LockOutcome, OpenMode, Vfs};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTOR_BYTES: usize = 512;

/// What a changing call does, for plans and traces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OperationKind {
    /// A file is made.
    Create,
    /// Bytes are written.
    Write,
    /// A file is synced.
    Sync,
    /// A file is cut, extended or given space.
    Resize,
    /// A file is removed.
    Remove,
    /// A file is renamed.
    Rename,
    /// A folder is synced.
    SyncFolder,
}

/// How a planned failure shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing happens, and the call and all later ones fail: the power is gone.
    PowerLoss,
    /// The call fails with an I/O error, nothing happens.
    IoError,
    /// The call fails for want of space (writes, creations and resizes; other calls go through).
    DiskFull,
    /// Half of a write happens, then it fails (other calls fail whole).
    ShortWrite,
    /// A sync fails, and what was to be synced is lost for ever although reads still show it
    /// (other calls go through).
    FailedSync,
    /// A write succeeds and never reaches the disk: reads show what was there before (other calls go through).
    LostWrite,
}

/// Which call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultPlan {
    /// The number of the changing call, from 1.
    pub at: u64,
    /// How.
    pub fault: Fault,
    /// Every later call fails likewise.
    pub forever: bool,
}

/// A changing call that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TracedOperation {
    /// What.
    pub kind: OperationKind,
    /// On which file or folder.
    pub path: PathBuf,
    /// Where a write begins; the size of a resize.
    pub offset: u64,
    /// Bytes of a write.
    pub bytes: usize,
}

/// How much of what was not synced a power loss keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Survival {
    /// Nothing unsynced.
    Nothing,
    /// Everything.
    Everything,
    /// Any subset of sectors and any prefix of folder changes, by the seed.
    Some,
    /// Writes up to a point in time, the last one torn at a sector, by the seed.
    Prefix,
}

/// The faulty file system. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FaultVfs(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    folder_changes: Vec<FolderChange>,
    files: BTreeMap<u64, Content>,
    /// By file, -1: one exclusive lock; else the number of shared ones.
    locks: BTreeMap<u64, i32>,
    next_file: u64,
    next_write: u64,
    calls: u64,
    plan: Option<FaultPlan>,
    faults_shown: u64,
    /// Bytes that all files together may have.
    capacity: Option<u64>,
    /// The most that they had since it was asked for last.
    bytes_peak: u64,
    /// How many handles a file has: one without a name takes space until the last is closed.
    handles: BTreeMap<u64, u32>,
    syncs_ignored: bool,
    trace: Vec<TracedOperation>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
struct Pending {
    /// Order among all writes of the disk.
    order: u64,
    change: ContentChange,
}

#[derive(Clone, Debug)]
enum ContentChange {
    Write { offset: usize, data: Vec<u8> },
    Resize { size: usize },
}

#[derive(Clone, Debug)]
enum FolderChange {
    Create(PathBuf, u64),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl FolderChange {
    fn folder(&self) -> Option<&Path> {
        match self {
            FolderChange::Create(path, _) | FolderChange::Remove(path) | FolderChange::Rename(path, _) => {
                path.parent()
            }
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            FolderChange::Create(path, file) => {
                names.insert(path.clone(), *file);
            }
            FolderChange::Remove(path) => {
                names.remove(path);
            }
            FolderChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}

fn io_error(what: &str) -> Error {
    Error::new(SqlState::IO_ERROR, format!("could not {what}: Input/output error (planned)"))
}

fn missing(path: &Path) -> Error {
    Error::new(SqlState::UNDEFINED_FILE, format!("\"{}\" does not exist", path.display()))
}

/// What the plan says about one call.
enum Verdict {
    Go,
    Half,
    LoseSync,
    LoseWrite,
}

impl Disk {
    fn call(&mut self, kind: OperationKind, path: &Path, offset: u64, bytes: usize) -> Result<Verdict> {
        self.calls += 1;
        let calls = self.calls;
        self.trace.push(TracedOperation { kind, path: path.to_path_buf(), offset, bytes });
        let Some(plan) = self.plan.filter(|plan| {
            calls == plan.at || calls > plan.at && (plan.forever || plan.fault == Fault::PowerLoss)
        }) else {
            return Ok(Verdict::Go);
        };
        let takes_space =
            matches!(kind, OperationKind::Create | OperationKind::Write | OperationKind::Resize);
        let verdict = match plan.fault {
            Fault::PowerLoss | Fault::IoError => Err(io_error("reach the disk")),
            Fault::DiskFull if takes_space => {
                Err(Error::new(SqlState::DISK_FULL, "could not write: No space left on device (planned)"))
            }
            Fault::ShortWrite if kind == OperationKind::Write => Ok(Verdict::Half),
            Fault::ShortWrite => Err(io_error("reach the disk")),
            Fault::FailedSync if kind == OperationKind::Sync => Ok(Verdict::LoseSync),
            Fault::LostWrite if kind == OperationKind::Write => Ok(Verdict::LoseWrite),
            Fault::DiskFull | Fault::FailedSync | Fault::LostWrite => return Ok(Verdict::Go),
        };
        self.faults_shown += 1;
        verdict
    }

    fn bytes(&self) -> u64 {
        let is_there =
            |file: &u64| self.handles.contains_key(file) || self.names.values().any(|named| named == file);
        let files = self.files.iter().filter(|(file, _)| is_there(file));
        files.map(|(_, content)| content.current.len() as u64).sum()
    }

    /// Refuses what does not fit: a file is to have `size` bytes.
    fn check_capacity(&mut self, file: u64, size: usize) -> Result<()> {
        let before = self.files.get(&file).map_or(0, |content| content.current.len());
        if size <= before {
            return Ok(());
        }
        let wanted = self.bytes() + (size - before) as u64;
        if self.capacity.is_some_and(|capacity| wanted > capacity) {
            self.faults_shown += 1;
            return Err(Error::new(
                SqlState::DISK_FULL,
                "could not write: No space left on device (capacity)",
            ));
        }
        self.bytes_peak = self.bytes_peak.max(wanted);
        Ok(())
    }

    fn write(&mut self, file: u64, offset: usize, data: &[u8]) {
        self.next_write += 1;
        let order = self.next_write;
        if let Some(content) = self.files.get_mut(&file) {
            put_bytes(&mut content.current, offset, data);
            let change = ContentChange::Write { offset, data: data.to_vec() };
            content.pending.push(Pending { order, change });
        }
    }

    fn resize(&mut self, file: u64, size: usize) {
        self.next_write += 1;
        let order = self.next_write;
        if let Some(content) = self.files.get_mut(&file) {
            content.current.resize(size, 0);
            content.pending.push(Pending { order, change: ContentChange::Resize { size } });
        }
    }
}

fn put_bytes(target: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if target.len() < offset + data.len() {
        target.resize(offset + data.len(), 0);
    }
    target[offset..offset + data.len()].copy_from_slice(data);
}

impl Content {
    /// The file as it may be found after a power loss.
    fn survivor(&self, survival: Survival, last_order: u64, random: &mut Random) -> Vec<u8> {
        let mut found = self.durable.clone();
        for pending in &self.pending {
            let (kept, torn) = match survival {
                Survival::Nothing => (false, false),
                Survival::Everything => (true, false),
                Survival::Some => (true, true),
                Survival::Prefix => (pending.order <= last_order, pending.order == last_order),
            };
            if !kept {
                continue;
            }
            match &pending.change {
                ContentChange::Resize { size } => {
                    if !torn || random.below(2) == 0 {
                        found.resize(*size, 0);
                    }
                }
                ContentChange::Write { offset, data } if !torn => put_bytes(&mut found, *offset, data),
                ContentChange::Write { offset, data } => {
                    // Sectors lie at multiples of 512 in the file, not in the write.
                    let mut from = 0;
                    while from < data.len() {
                        let at = offset + from;
                        let to = (from + SECTOR_BYTES - at % SECTOR_BYTES).min(data.len());
                        if random.below(2) == 0 {
                            put_bytes(&mut found, at, &data[from..to]);
                        }
                        from = to;
                    }
                }
            }
        }
        found
    }
}

impl FaultVfs {
    /// An empty disk without a plan.
    pub fn new() -> FaultVfs {
        FaultVfs::default()
    }

    /// Sets what fails; the count of calls starts again.
    pub fn set_plan(&self, plan: Option<FaultPlan>) {
        let mut disk = self.0.lock();
        disk.plan = plan;
        disk.calls = 0;
        disk.faults_shown = 0;
    }

    /// Changing calls since the plan was set.
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// How often the plan showed.
    pub fn faults_shown(&self) -> u64 {
        self.0.lock().faults_shown
    }

    /// Plants a fault: syncs return without doing anything.
    pub fn ignore_syncs(&self, ignored: bool) {
        self.0.lock().syncs_ignored = ignored;
    }

    /// From now on all files together have room for so many bytes; `None`: for any number. Files without a name count
    /// until their last handle is closed. A write that does not fit fails whole, and counts as a fault shown.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.lock().capacity = bytes;
    }

    /// Bytes that all files have together.
    pub fn bytes_used(&self) -> u64 {
        self.0.lock().bytes()
    }

    /// The most bytes that all files had together since this was asked last.
    pub fn take_bytes_peak(&self) -> u64 {
        let mut disk = self.0.lock();
        let now = disk.bytes();
        std::mem::replace(&mut disk.bytes_peak, now).max(now)
    }

    /// The files, by name.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// Takes the changing calls made so far.
    pub fn take_trace(&self) -> Vec<TracedOperation> {
        std::mem::take(&mut self.0.lock().trace)
    }

    /// A disk as it may be found when the power goes off now. This one is left as it is.
    pub fn image_after_power_loss(&self, survival: Survival, seed: u64) -> FaultVfs {
        let disk = self.0.lock();
        let mut random = Random::new(seed);
        let last_order = random.below(disk.next_write + 1);
        let mut names = disk.durable_names.clone();
        let kept = match survival {
            Survival::Nothing => 0,
            Survival::Everything => disk.folder_changes.len(),
            Survival::Some | Survival::Prefix => random.below(disk.folder_changes.len() as u64 + 1) as usize,
        };
        disk.folder_changes[..kept].iter().for_each(|change| change.apply(&mut names));
        let mut image = Disk { next_file: disk.next_file, ..Disk::default() };
        for file in names.values() {
            if let Some(content) = disk.files.get(file) {
                let found = content.survivor(survival, last_order, &mut random);
                let content = Content { current: found.clone(), durable: found, pending: Vec::new() };
                image.files.insert(*file, content);
            }
        }
        image.durable_names.clone_from(&names);
        image.names = names;
        FaultVfs(Arc::new(Mutex::new(image)))
    }

    /// The bytes of a file as reads see them, for tests that damage files.
    pub fn bytes_of(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.0.lock();
        disk.names.get(path).and_then(|file| disk.files.get(file)).map(|content| content.current.clone())
    }

    /// Overwrites bytes as damage on the disk does: durable at once, unseen by counts and plans.
    pub fn damage(&self, path: &Path, offset: usize, bytes: &[u8]) {
        let mut disk = self.0.lock();
        if let Some(file) = disk.names.get(path).copied()
            && let Some(content) = disk.files.get_mut(&file)
        {
            put_bytes(&mut content.current, offset, bytes);
            put_bytes(&mut content.durable, offset, bytes);
        }
    }
}

impl Vfs for FaultVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>> {
        let mut disk = self.0.lock();
        let file = match (disk.names.get(path).copied(), mode) {
            (Some(_), OpenMode::CreateNew) => {
                return Err(Error::new(SqlState::IO_ERROR, format!("\"{}\" exists", path.display())));
            }
            (Some(file), _) => file,
            (None, OpenMode::ReadOnly | OpenMode::ReadWrite) => return Err(missing(path)),
            (None, _) => {
                disk.call(OperationKind::Create, path, 0, 0)?;
                disk.next_file += 1;
                let file = disk.next_file;
                disk.files.insert(file, Content::default());
                disk.names.insert(path.to_path_buf(), file);
                disk.folder_changes.push(FolderChange::Create(path.to_path_buf(), file));
                file
            }
        };
        *disk.handles.entry(file).or_default() += 1;
        Ok(Arc::new(FaultFile {
            vfs: self.clone(),
            file,
            path: path.to_path_buf(),
            holds_lock: Mutex::new(0),
        }))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.0.lock().names.contains_key(path))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut disk = self.0.lock();
        disk.call(OperationKind::Remove, path, 0, 0)?;
        disk.names.remove(path).ok_or_else(|| missing(path))?;
        disk.folder_changes.push(FolderChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut disk = self.0.lock();
        disk.call(OperationKind::Rename, from, 0, 0)?;
        let file = disk.names.remove(from).ok_or_else(|| missing(from))?;
        disk.names.insert(to.to_path_buf(), file);
        disk.folder_changes.push(FolderChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn create_folder(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn remove_folder(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    fn list_folder(&self, path: &Path) -> Result<Vec<String>> {
        let disk = self.0.lock();
        let names =
            disk.names.keys().filter(|file| file.parent() == Some(path)).filter_map(|file| file.file_name());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        let mut disk = self.0.lock();
        disk.call(OperationKind::SyncFolder, path, 0, 0)?;
        if disk.syncs_ignored {
            return Ok(());
        }
        let (settled, rest) = std::mem::take(&mut disk.folder_changes)
            .into_iter()
            .partition(|change| change.folder() == Some(path));
        disk.folder_changes = rest;
        let settled: Vec<FolderChange> = settled;
        settled.iter().for_each(|change| change.apply(&mut disk.durable_names));
        Ok(())
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        Ok(path.to_path_buf())
    }
}

#[derive(Debug)]
struct FaultFile {
    vfs: FaultVfs,
    file: u64,
    path: PathBuf,
    /// What this handle adds to its file's `locks`.
    holds_lock: Mutex<i32>,
}

impl File for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let disk = self.vfs.0.lock();
        let current = disk.files.get(&self.file).map_or(&[][..], |content| &content.current);
        let from = (offset as usize).min(current.len());
        let count = (current.len() - from).min(buffer.len());
        buffer[..count].copy_from_slice(&current[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        let mut disk = self.vfs.0.lock();
        let verdict = disk.call(OperationKind::Write, &self.path, offset, data.len())?;
        disk.check_capacity(self.file, offset as usize + data.len())?;
        match verdict {
            Verdict::LoseWrite => Ok(()),
            Verdict::Half => {
                disk.write(self.file, offset as usize, &data[..data.len() / 2]);
                Err(io_error("write"))
            }
            Verdict::Go | Verdict::LoseSync => {
                disk.write(self.file, offset as usize, data);
                Ok(())
            }
        }
    }

    fn sync(&self) -> Result<()> {
        let mut disk = self.vfs.0.lock();
        let verdict = disk.call(OperationKind::Sync, &self.path, 0, 0)?;
        let ignored = disk.syncs_ignored;
        let Some(content) = disk.files.get_mut(&self.file) else { return Ok(()) };
        if matches!(verdict, Verdict::LoseSync) {
            content.pending.clear();
            return Err(io_error("sync"));
        }
        if !ignored {
            let pending = std::mem::take(&mut content.pending);
            for write in pending {
                match write.change {
                    ContentChange::Write { offset, data } => put_bytes(&mut content.durable, offset, &data),
                    ContentChange::Resize { size } => content.durable.resize(size, 0),
                }
            }
        }
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        Ok(self.vfs.0.lock().files.get(&self.file).map_or(0, |content| content.current.len() as u64))
    }

    fn set_size(&self, size: u64) -> Result<()> {
        let mut disk = self.vfs.0.lock();
        disk.call(OperationKind::Resize, &self.path, size, 0)?;
        disk.check_capacity(self.file, size as usize)?;
        disk.resize(self.file, size as usize);
        Ok(())
    }

    fn allocate(&self, size: u64) -> Result<()> {
        if self.size()? < size { self.set_size(size) } else { Ok(()) }
    }

    fn identity(&self) -> Result<FileIdentity> {
        // Two disks of one process must not be taken for one: the address of the disk tells them apart.
        Ok(FileIdentity { device: Arc::as_ptr(&self.vfs.0) as usize as u64, inode: self.file })
    }

    fn try_lock(&self) -> Result<LockOutcome> {
        let mut disk = self.vfs.0.lock();
        let held = disk.locks.entry(self.file).or_insert(0);
        if *held != 0 {
            return Ok(LockOutcome::HeldBy(Some(std::process::id())));
        }
        *held = -1;
        *self.holds_lock.lock() = -1;
        Ok(LockOutcome::Granted)
    }

    fn try_lock_shared(&self) -> Result<LockOutcome> {
        let mut disk = self.vfs.0.lock();
        let held = disk.locks.entry(self.file).or_insert(0);
        if *held < 0 {
            return Ok(LockOutcome::HeldBy(Some(std::process::id())));
        }
        *held += 1;
        *self.holds_lock.lock() = 1;
        Ok(LockOutcome::Granted)
    }

    fn unlock(&self) -> Result<()> {
        let own = std::mem::take(&mut *self.holds_lock.lock());
        if own != 0
            && let Some(held) = self.vfs.0.lock().locks.get_mut(&self.file)
        {
            *held -= own;
        }
        Ok(())
    }
}

impl Drop for FaultFile {
    fn drop(&mut self) {
        // A process that ends gives its locks back.
        let _ = self.unlock();
        let mut disk = self.vfs.0.lock();
        let handles = disk.handles.get(&self.file).copied().unwrap_or(0);
        if handles > 1 {
            disk.handles.insert(self.file, handles - 1);
        } else {
            disk.handles.remove(&self.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(vfs: &FaultVfs) -> Arc<dyn File> {
        vfs.open(Path::new("/d/a"), OpenMode::CreateOrOpen).unwrap()
    }

    #[test]
    fn unsynced_bytes_and_names_may_be_lost_synced_ones_never() {
        let vfs = FaultVfs::new();
        file(&vfs).write_at(b"one", 0).unwrap();
        assert_eq!(vfs.image_after_power_loss(Survival::Nothing, 1).bytes_of(Path::new("/d/a")), None);
        file(&vfs).sync().unwrap();
        vfs.sync_folder(Path::new("/d")).unwrap();
        file(&vfs).write_at(b"two", 0).unwrap();
        for seed in 1..50 {
            let bytes = vfs.image_after_power_loss(Survival::Some, seed).bytes_of(Path::new("/d/a")).unwrap();
            assert!(bytes == b"one" || bytes == b"two", "seed {seed}");
        }
        assert_eq!(
            vfs.image_after_power_loss(Survival::Nothing, 1).bytes_of(Path::new("/d/a")).unwrap(),
            b"one"
        );
        assert_eq!(
            vfs.image_after_power_loss(Survival::Everything, 1).bytes_of(Path::new("/d/a")).unwrap(),
            b"two"
        );
    }

    #[test]
    fn a_long_write_can_tear_between_sectors_only() {
        let vfs = FaultVfs::new();
        vfs.sync_folder(Path::new("/d")).unwrap();
        let long = file(&vfs);
        vfs.sync_folder(Path::new("/d")).unwrap();
        long.write_at(&[1; 2048], 0).unwrap();
        let mut torn = 0;
        for seed in 1..40 {
            let bytes = vfs.image_after_power_loss(Survival::Some, seed).bytes_of(Path::new("/d/a")).unwrap();
            let sectors: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
            assert!(
                bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])),
                "seed {seed}"
            );
            torn += usize::from(sectors.contains(&0) && sectors.contains(&1));
        }
        assert!(torn > 5);
    }

    #[test]
    fn a_failed_sync_loses_the_data_although_reads_show_it() {
        let vfs = FaultVfs::new();
        let target = file(&vfs);
        vfs.sync_folder(Path::new("/d")).unwrap();
        target.write_at(b"x", 0).unwrap();
        vfs.set_plan(Some(FaultPlan { at: 1, fault: Fault::FailedSync, forever: false }));
        assert!(target.sync().is_err());
        assert!(target.sync().is_ok());
        assert_eq!(vfs.bytes_of(Path::new("/d/a")).unwrap(), b"x");
        assert_eq!(
            vfs.image_after_power_loss(Survival::Everything, 1).bytes_of(Path::new("/d/a")).unwrap(),
            b""
        );
    }

    #[test]
    fn after_a_power_loss_no_call_changes_anything() {
        let vfs = FaultVfs::new();
        let target = file(&vfs);
        vfs.set_plan(Some(FaultPlan { at: 2, fault: Fault::PowerLoss, forever: false }));
        target.write_at(b"a", 0).unwrap();
        assert!(target.write_at(b"b", 1).is_err());
        assert!(target.sync().is_err());
        assert_eq!(vfs.bytes_of(Path::new("/d/a")).unwrap(), b"a");
        assert_eq!(vfs.calls(), 3);
    }

    #[test]
    fn a_disk_of_some_capacity_refuses_what_does_not_fit_and_counts_files_without_a_name() {
        let vfs = FaultVfs::new();
        let target = file(&vfs);
        vfs.set_capacity(Some(1000));
        target.write_at(&[1; 900], 0).unwrap();
        assert_eq!(target.write_at(&[1; 200], 850).unwrap_err().state(), SqlState::DISK_FULL);
        target.write_at(&[2; 100], 900).unwrap();
        vfs.remove(Path::new("/d/a")).unwrap();
        let other = vfs.open(Path::new("/d/b"), OpenMode::CreateNew).unwrap();
        assert_eq!(other.allocate(10).unwrap_err().state(), SqlState::DISK_FULL);
        drop(target);
        other.allocate(1000).unwrap();
        assert_eq!((vfs.bytes_used(), vfs.take_bytes_peak(), vfs.faults_shown()), (1000, 1000, 2));
        vfs.set_capacity(None);
        other.allocate(1001).unwrap();
    }

    #[test]
    fn a_lost_write_is_not_seen_even_before_the_next_sync() {
        let vfs = FaultVfs::new();
        let target = file(&vfs);
        target.write_at(b"old", 0).unwrap();
        vfs.set_plan(Some(FaultPlan { at: 1, fault: Fault::LostWrite, forever: false }));
        target.write_at(b"new", 0).unwrap();
        target.sync().unwrap();
        assert_eq!(vfs.bytes_of(Path::new("/d/a")).unwrap(), b"old");
    }
}

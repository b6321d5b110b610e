//! An open database file: made or opened, recovered, locked; closed cleanly when the last user is gone.
//! Knows every layer below sessions. Knows no SQL.

use crate::catalog::catalog::Catalog;
use crate::catalog::sequence_runtime;
use crate::common::clock::{Clock, SystemClock};
use crate::common::ids::{Lsn, TransactionId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::common::sync::{Arc, Mutex, Weak};
use crate::database::follower::{self, Follower};
use crate::database::options::{DatabaseOptions, MEMORY_LIMIT_MIN};
use crate::database::registry::{self, Claim, RegistryKey};
use crate::durability::manager::DurabilityManager;
use crate::durability::policy::Durability;
use crate::error::{Error, Result, SqlState};
use crate::io::memory::MemoryVfs;
use crate::io::os::OsVfs;
use crate::io::overlay::OverlayVfs;
use crate::io::system;
use crate::io::vfs::{File, LockOutcome, OpenMode, Vfs};
use crate::session::engine::{Engine, EngineOptions};
use crate::storage::{Storage, StorageOptions};
use crate::transaction::manager::TransactionManager;
use crate::wal::manager::{Log, LogOptions};
use crate::wal::recovery::{CheckpointPosition, recover};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Each of the log's two buffers takes this share of the memory limit.
const LOG_MEMORY_SHARE: usize = 128;
const LOG_BUFFER_BYTES_MIN: usize = 64 << 10;
const LOG_BUFFER_BYTES_CHARGED_MAX: usize = 4 << 20;

/// The name of a database in memory, and of its file there.
const MEMORY_NAME: &str = "memory";

/// An engine with the files under it.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) engine: Arc<Engine>,
    pub(super) instance: Arc<Instance>,
    /// Goes on to newer engines, where another process writes the file.
    pub(super) follower: Option<Arc<Follower>>,
}

/// What is closed when the last user is gone.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) manager: Arc<TransactionManager>,
    pub(super) log: Arc<Log>,
    pub(super) storage: Arc<Storage>,
    /// Nothing has to outlive it: read-only, or in memory.
    leaves_nothing: bool,
    read_only: bool,
    /// The file system; `None`: the operating system's.
    pub(super) files: Option<Arc<dyn Vfs>>,
    /// As the user named it, symbolic links resolved: for findings.
    pub(super) file_name: String,
    /// Opened as a clean close left it, for reading: both checkpoint slots are as they were written.
    pub(super) closed_cleanly: bool,
    /// Its checkpoint is locked, because another process writes the file.
    beside_writer: bool,
    next_session: AtomicU64,
    catalog: Arc<Catalog>,
    /// Handles that looked at the file while it was open. Closing one would take away the system's note of which
    /// process holds the lock, which others report.
    probes: Mutex<Vec<Arc<dyn File>>>,
    /// For the log's buffers.
    _log_memory: Reservation,
    /// Set when the registry knows the file.
    claim: OnceLock<Claimed>,
}

impl Instance {
    /// Numbers sessions from 1.
    pub(super) fn next_session_id(&self) -> u64 {
        self.next_session.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Everything in the file, the log folder gone. An error leaves what a crash would: the next open recovers.
    fn close(&self) -> Result<()> {
        self.manager.stop_checkpointer();
        if self.leaves_nothing || self.manager.poisoned().is_some() {
            return Ok(());
        }
        // Failing that, sequences leave out a few values.
        let _ = sequence_runtime::settle(&self.catalog.current(), &self.manager);
        self.manager.checkpoint(true)?;
        self.log.remove()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.beside_writer {
            // A statement that is still prepared may keep the file open, but nobody reads it any more.
            self.storage.leave();
        }
        // Nobody is left to tell; the log is still there, so nothing acknowledged is lost.
        let _ = self.close();
    }
}

/// Gives the file back to the registry. Dropped after the storage, whose handle holds the lock: see the order of
/// the fields of [`Instance`].
#[derive(Debug)]
pub(super) struct Claimed(RegistryKey);

impl Drop for Claimed {
    fn drop(&mut self) {
        registry::closed(self.0);
    }
}

/// Where a database is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) path: PathBuf,
    pub(super) name: Arc<str>,
    pub(super) volatile: bool,
    /// Changes stay in memory.
    pub(super) overlaid: bool,
    /// Another process may be writing the file.
    pub(super) beside_writer: bool,
}

/// Held while a missing file is made, so that two threads do not make it at once.
static CREATING: Mutex<()> = Mutex::new(());

/// Opens a file, or a new database in memory.
pub(super) fn open(path: Option<&Path>, options: &DatabaseOptions) -> Result<Opened> {
    let Some(path) = path else {
        let vfs = options.vfs.clone().unwrap_or_else(|| Arc::new(MemoryVfs::new()));
        let name = Arc::from(MEMORY_NAME);
        let place = Place {
            vfs,
            path: PathBuf::from(MEMORY_NAME),
            name,
            volatile: true,
            overlaid: false,
            beside_writer: false,
        };
        let memory = memory_account(options)?;
        let storage = Storage::create(storage_options(&place, options, &memory))?;
        return assemble(&place, options, memory, storage);
    };
    let vfs: Arc<dyn Vfs> = options.vfs.clone().unwrap_or_else(|| Arc::new(OsVfs::new()));
    let path = vfs.canonical(path)?;
    let file_system = options.vfs.as_ref().map_or(0, |vfs| Arc::as_ptr(vfs).cast::<u8>() as usize);
    if let Some(opened) = registry::find_path(file_system, &path) {
        return checked(opened, options);
    }
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let place =
        Place { vfs, path, name: Arc::from(name), volatile: false, overlaid: false, beside_writer: false };
    let memory = memory_account(options)?;
    if let Some(made) = create_if_missing(&place, options, &memory)? {
        let key = RegistryKey::new(file_system, made.file_identity()?);
        return match registry::claim(key) {
            Claim::Open(opened) => checked(opened, options),
            Claim::Ours => finish(&place, key, assemble(&place, options, memory, made)),
        };
    }
    let probe = place.vfs.open(&place.path, OpenMode::ReadOnly)?;
    let key = RegistryKey::new(file_system, probe.identity()?);
    match registry::claim(key) {
        Claim::Open(opened) => {
            opened.instance.probes.lock().push(probe);
            checked(opened, options)
        }
        Claim::Ours if options.read_only => {
            let opened = open_for_reading(&place, options, &memory, &probe);
            if let Ok(opened) = &opened
                && opened.follower.is_none()
            {
                opened.instance.probes.lock().push(probe);
            }
            finish(&place, key, opened)
        }
        Claim::Ours => {
            drop(probe);
            remove_stale(&place);
            let opened = Storage::open(storage_options(&place, options, &memory))
                .and_then(|storage| assemble(&place, options, memory, storage));
            finish(&place, key, opened)
        }
    }
}

/// Opens a database in memory that begins as `image`.
pub(super) fn open_image(image: &[u8], options: &DatabaseOptions) -> Result<Opened> {
    let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
    let path = PathBuf::from(MEMORY_NAME);
    vfs.open(&path, OpenMode::CreateNew)?.write_at(image, 0)?;
    let name = Arc::from(MEMORY_NAME);
    let place = Place { vfs, path, name, volatile: true, overlaid: false, beside_writer: false };
    let memory = memory_account(options)?;
    let storage = Storage::open(storage_options(&place, options, &memory))?;
    if !storage.last_checkpoint().clean {
        return Err(Error::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the image is of a database that was not closed",
        )
        .hint(
            "Part of it is in its log: open the file instead, or use an image that lumos_serialize made.",
        ));
    }
    assemble(&place, options, memory, storage)
}

/// Removes what a process left that was killed while it made this file. Whoever is still making it holds its lock.
fn remove_stale(place: &Place) {
    for suffix in ["-new", "-incomplete", "-incomplete-new"] {
        let mut name = place.path.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        let stale = place.vfs.exists(&path).unwrap_or(false)
            && place
                .vfs
                .open(&path, OpenMode::ReadWrite)
                .and_then(|file| file.try_lock())
                .is_ok_and(|lock| lock == LockOutcome::Granted);
        if stale {
            // It does no harm where it is: failing to remove it is no failure to open.
            let _ = place.vfs.remove(&path);
        }
    }
}

/// Opens for reading: alone, or beside the process that writes.
fn open_for_reading(
    place: &Place,
    options: &DatabaseOptions,
    memory: &Arc<MemoryAccount>,
    file: &Arc<dyn File>,
) -> Result<Opened> {
    for _ in 0..follower::WAITS_MAX {
        match file.try_lock_shared()? {
            LockOutcome::Granted => {
                if let Some(opened) = follower::open_closed(place, options, memory)? {
                    // Its checkpoint is locked: whoever wants to write may.
                    file.unlock()?;
                    return Ok(opened);
                }
                let mut place = place.clone();
                let storage = open_unwritten(&mut place, options, memory)?;
                return assemble(&place, options, Arc::clone(memory), storage);
            }
            LockOutcome::HeldBy(process) => {
                if let Some(opened) = follower::open(place, options, memory, process)? {
                    return Ok(opened);
                }
            }
        }
        follower::wait();
    }
    Err(Error::new(SqlState::OBJECT_IN_USE, format!("database \"{}\" is in use", place.path.display()))
        .detail("The process that writes it has been applying large transactions, one after the other.")
        .hint("Try again, or ask that process for a backup."))
}

/// `55006`, with the process that has the file.
pub(super) fn in_use(place: &Place, process: Option<u32>) -> Error {
    let by = process.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
    let path = place.path.display();
    Error::new(SqlState::OBJECT_IN_USE, format!("database \"{path}\" is in use by {by}"))
        .hint("Wait until it is closed there, or ask that process for a backup.")
}

/// Opens storage without writing to the file, which nobody writes as long as `file` is open. Where it needs recovery,
/// what that writes stays in memory: `place` is then over an [`OverlayVfs`].
/// # Errors
/// `55006` when a process writes it; as [`Storage::open`].
pub(super) fn open_locked(
    place: &mut Place,
    options: &DatabaseOptions,
    memory: &Arc<MemoryAccount>,
    file: &Arc<dyn File>,
) -> Result<Arc<Storage>> {
    match file.try_lock_shared()? {
        LockOutcome::Granted => open_unwritten(place, options, memory),
        LockOutcome::HeldBy(process) => Err(in_use(place, process)),
    }
}

/// Closed cleanly, so that its file is all of it.
pub(super) fn is_closed(place: &Place, storage: &Storage) -> Result<bool> {
    Ok(storage.last_checkpoint().clean && place.vfs.list_folder(&log_folder(&place.path))?.is_empty())
}

fn open_unwritten(
    place: &mut Place,
    options: &DatabaseOptions,
    memory: &Arc<MemoryAccount>,
) -> Result<Arc<Storage>> {
    let storage = Storage::open(storage_options(place, options, memory))?;
    if is_closed(place, &storage)? {
        return Ok(storage);
    }
    drop(storage);
    place.vfs = Arc::new(OverlayVfs::new(Arc::clone(&place.vfs), Arc::clone(memory)));
    place.overlaid = true;
    Storage::open(storage_options(place, options, memory))
}

/// Makes a file that is missing, or empty. `None`: there is one.
fn create_if_missing(
    place: &Place,
    options: &DatabaseOptions,
    memory: &Arc<MemoryAccount>,
) -> Result<Option<Arc<Storage>>> {
    if options.read_only || !options.create {
        return Ok(None);
    }
    let _creating = CREATING.lock();
    if place.vfs.exists(&place.path)? {
        if place.vfs.open(&place.path, OpenMode::ReadOnly)?.size()? != 0 {
            return Ok(None);
        }
        place.vfs.remove(&place.path)?;
    }
    match Storage::create(storage_options(place, options, memory)) {
        Ok(storage) => Ok(Some(storage)),
        // Another process made it just now.
        Err(error) if error.state() == SqlState::DUPLICATE_OBJECT => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells the registry how opening a claimed file ended.
fn finish(place: &Place, key: RegistryKey, opened: Result<Opened>) -> Result<Opened> {
    match opened {
        Ok(opened) => {
            let claim = match &opened.follower {
                Some(follower) => follower.claim(),
                None => &opened.instance.claim,
            };
            assert!(claim.set(Claimed(key)).is_ok(), "a file is claimed once");
            registry::opened(key, &place.path, &opened);
            Ok(opened)
        }
        Err(error) => {
            registry::closed(key);
            Err(error)
        }
    }
}

/// An engine that is open already serves everybody who asks for no more than it can.
fn checked(opened: Opened, options: &DatabaseOptions) -> Result<Opened> {
    if opened.instance.read_only && !options.read_only {
        return Err(Error::new(SqlState::OBJECT_IN_USE, "the database is open read-only in this process")
            .hint("Close it first, or open it read-only."));
    }
    Ok(opened)
}

/// Memory that databases of this process share, by name.
static GROUPS: Mutex<BTreeMap<String, Weak<MemoryAccount>>> = Mutex::new(BTreeMap::new());

/// # Errors
/// `22023` when the databases that share it have another limit.
pub(super) fn memory_account(options: &DatabaseOptions) -> Result<Arc<MemoryAccount>> {
    let own = || {
        let limit = options.memory_limit.unwrap_or_else(|| (system::memory_bytes() / 4) as usize);
        MemoryAccount::new(limit.max(MEMORY_LIMIT_MIN))
    };
    let Some(name) = &options.memory_group else { return Ok(own()) };
    let mut groups = GROUPS.lock();
    groups.retain(|_, account| account.strong_count() > 0);
    if let Some(account) = groups.get(name).and_then(Weak::upgrade) {
        return match options.memory_limit {
            Some(limit) if limit.max(MEMORY_LIMIT_MIN) != account.limit() => Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("memory group \"{name}\" has a limit of {} bytes", account.limit()),
            )
            .hint("Say the same memory_limit as the first database of the group, or none.")),
            _ => Ok(account),
        };
    }
    let account = own();
    groups.insert(name.clone(), Arc::downgrade(&account));
    Ok(account)
}

pub(super) fn storage_options(
    place: &Place,
    options: &DatabaseOptions,
    memory: &Arc<MemoryAccount>,
) -> StorageOptions {
    StorageOptions {
        vfs: Arc::clone(&place.vfs),
        path: place.path.clone(),
        page_size: options.page_size,
        memory: Arc::clone(memory),
        read_only: options.read_only && !place.overlaid,
        database: system::entropy(),
    }
}

pub(super) fn log_folder(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// The log behind the checkpoint, redone; where it ends; the next transaction number.
pub(super) fn recover_log(
    place: &Place,
    choices: &DatabaseOptions,
    storage: &Storage,
) -> Result<(Log, Lsn, TransactionId)> {
    let checkpoint = storage.last_checkpoint();
    let seed = system::entropy();
    let options = LogOptions {
        vfs: Arc::clone(&place.vfs),
        folder: log_folder(&place.path),
        database: checkpoint.database,
        timeline: checkpoint.timeline,
        first_segment_bytes: choices.log_segment_first_bytes,
        segment_bytes_max: choices.log_segment_max_bytes,
        volatile: place.volatile,
        salt_seed: seed.iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte)),
    };
    if place.volatile {
        let log = Log::create(options, checkpoint.cut_lsn)?;
        return Ok((log, checkpoint.cut_lsn, checkpoint.next_transaction));
    }
    if choices.read_only && !place.overlaid {
        // It was closed cleanly; or its log is not to be looked at.
        let log = Log::create(LogOptions { volatile: true, ..options }, checkpoint.cut_lsn)?;
        return Ok((log, checkpoint.cut_lsn, checkpoint.next_transaction));
    }
    let position =
        CheckpointPosition { redo: checkpoint.redo_lsn, cut: checkpoint.cut_lsn, clean: checkpoint.clean };
    let (recovered, log) = recover(options, position, &mut storage.redo())?;
    Ok((log, recovered.end, checkpoint.next_transaction.max(recovered.next_transaction)))
}

/// Storage, log, transactions, catalog.
pub(super) fn assemble(
    place: &Place,
    options: &DatabaseOptions,
    memory: Arc<MemoryAccount>,
    storage: Arc<Storage>,
) -> Result<Opened> {
    let closed_cleanly = options.read_only && !place.overlaid && !place.volatile && !place.beside_writer;
    let clock: Arc<dyn Clock> = options.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new()));
    let (log, visible, next_transaction) = recover_log(place, options, &storage)?;
    let mut log_memory = memory.reservation();
    let log_bytes = (memory.limit() / LOG_MEMORY_SHARE).max(LOG_BUFFER_BYTES_MIN);
    log.limit_buffer(log_bytes);
    if !place.volatile {
        log_memory.grow(2 * log_bytes.min(LOG_BUFFER_BYTES_CHARGED_MAX))?;
    }
    let log = Arc::new(log);
    let durability = Arc::new(DurabilityManager::new(Arc::clone(&log), Arc::clone(&clock)));
    let manager = TransactionManager::new(
        Arc::clone(&storage),
        Arc::clone(&log),
        durability,
        Arc::clone(&memory),
        Arc::clone(&clock),
        next_transaction,
        visible,
    );
    manager.set_bulk_rows(options.bulk_rows);
    if let Some(bytes) = options.version_memory {
        manager.set_version_bytes_max(bytes);
    }
    manager.set_background_checkpoints(options.background_checkpoints && !options.read_only);
    let catalog = Arc::new(Catalog::load(&manager)?);
    if !options.read_only {
        catalog.remove_unfinished(&manager)?;
    }
    manager.checkpoint_recovered();
    let instance = Arc::new(Instance {
        manager: Arc::clone(&manager),
        log,
        storage,
        leaves_nothing: options.read_only || place.volatile,
        read_only: options.read_only,
        files: options.vfs.clone(),
        file_name: place.path.display().to_string(),
        closed_cleanly,
        beside_writer: place.beside_writer,
        next_session: AtomicU64::new(0),
        catalog: Arc::clone(&catalog),
        probes: Mutex::new(Vec::new()),
        _log_memory: log_memory,
        claim: OnceLock::new(),
    });
    let engine_options = EngineOptions {
        durability: if place.volatile { Durability::Off } else { options.durability },
        read_only: options.read_only,
        max_statement_size: options.max_statement_size,
        name: Arc::clone(&place.name),
    };
    let closing = Box::new(Arc::clone(&instance));
    let files = options.vfs.clone().unwrap_or_else(|| Arc::new(OsVfs::new()));
    let engine = Engine::new(manager, catalog, memory, clock, files, engine_options, closing);
    Ok(Opened { engine: Arc::new(engine), instance, follower: None })
}

//! A database file that is written beside its place, tree by tree, and takes its name only when it is whole and durable.
//! Knows storage. Knows nothing of where the entries come from.

use crate::common::ids::{Lsn, TransactionId, TreeId};
use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::database::instance::log_folder;
use crate::error::{Error, Result, SqlState};
use crate::io::system;
use crate::io::vfs::{LockOutcome, OpenMode, Vfs};
use crate::storage::{ApplyEstimate, Change, Storage, StorageOptions};
use crate::wal::manager::{Log, LogOptions};
use std::path::{Path, PathBuf};

/// Memory for the pages of the new file.
pub(super) const MEMORY_BYTES: usize = 8 << 20;

/// A file being made; dropped before [`NewFile::finish`], it leaves nothing.
#[derive(Debug)]
pub(super) struct NewFile {
    vfs: Arc<dyn Vfs>,
    target: PathBuf,
    temporary: PathBuf,
    /// None after the end.
    storage: Option<Arc<Storage>>,
    pub(super) memory: Arc<MemoryAccount>,
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl NewFile {
    /// Begins a file that will be `target`. What an earlier, killed attempt left is removed.
    /// # Errors
    /// `42710` when `target` exists; `55000` when a log folder lies where its own would be; `55006` when somebody is
    /// making it; `53100`, `58030`, `42501`.
    pub(super) fn create(vfs: Arc<dyn Vfs>, target: &Path, page_size: usize) -> Result<NewFile> {
        let target = vfs.canonical(target)?;
        let name = target.display();
        if vfs.exists(&target)? {
            return Err(Error::new(SqlState::DUPLICATE_OBJECT, format!("file \"{name}\" exists already")));
        }
        let log = log_folder(&target);
        if !vfs.list_folder(&log)?.is_empty() {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("\"{}\" holds the log of another database", log.display()),
            )
            .hint("Remove it, or write to another place."));
        }
        let temporary = beside(&target, "-incomplete");
        if vfs.exists(&temporary)? {
            let stale = vfs.open(&temporary, OpenMode::ReadWrite)?;
            if let LockOutcome::HeldBy(_) = stale.try_lock()? {
                return Err(Error::new(SqlState::OBJECT_IN_USE, format!("file \"{name}\" is being written")));
            }
            vfs.remove(&temporary)?;
        }
        let memory = MemoryAccount::new(MEMORY_BYTES);
        let storage = Storage::create(StorageOptions {
            vfs: Arc::clone(&vfs),
            path: temporary.clone(),
            page_size,
            memory: Arc::clone(&memory),
            read_only: false,
            database: system::entropy(),
        })?;
        Ok(NewFile { vfs, target, temporary, storage: Some(storage), memory })
    }

    pub(super) fn storage(&self) -> &Arc<Storage> {
        self.storage.as_ref().expect("the storage goes with `finish`, which takes the file")
    }

    /// A log that numbers frames from `start` on and keeps none.
    pub(super) fn log(&self, start: Lsn) -> Result<Arc<Log>> {
        let record = self.storage().last_checkpoint();
        let options = LogOptions {
            vfs: Arc::clone(&self.vfs),
            folder: log_folder(&self.temporary),
            database: record.database,
            timeline: record.timeline,
            first_segment_bytes: 1 << 20,
            segment_bytes_max: 1 << 20,
            volatile: true,
            salt_seed: 0,
        };
        Ok(Arc::new(Log::create(options, start)?))
    }

    /// An empty tree with this number, in the place of what there is.
    pub(super) fn create_tree(&self, tree: TreeId, timestamp: Lsn) -> Result<()> {
        let storage = self.storage();
        let _reservation =
            storage.reserve(ApplyEstimate { operations: 2, bytes: 64, ..Default::default() })?;
        let _ticket = storage.gate().enter();
        storage.drop_tree(tree, timestamp)?;
        storage.create_tree(tree, timestamp)
    }

    /// Removes a tree, if it is there.
    pub(super) fn drop_tree(&self, tree: TreeId, timestamp: Lsn) -> Result<()> {
        let storage = self.storage();
        let _reservation =
            storage.reserve(ApplyEstimate { operations: 2, bytes: 64, ..Default::default() })?;
        let _ticket = storage.gate().enter();
        storage.drop_tree(tree, timestamp)
    }

    /// Puts entries (`None`: removes) in ascending order of their keys.
    pub(super) fn put(
        &self,
        tree: TreeId,
        entries: &[(Vec<u8>, Option<Vec<u8>>)],
        timestamp: Lsn,
    ) -> Result<()> {
        let storage = self.storage();
        let bytes = entries.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
        let handle = storage.tree(tree)?;
        let _reservation =
            storage.reserve(ApplyEstimate { operations: entries.len(), bytes, ..Default::default() })?;
        let _ticket = storage.gate().enter();
        let changes = entries.iter().map(|(key, value)| {
            let change = value.as_ref().map_or(Change::Delete, |value| Change::Put(value));
            (&key[..], change)
        });
        handle.apply_sorted(changes, timestamp, None).map(|_pages| ())
    }

    /// Makes everything durable as of `log`'s end, and gives the file its name.
    /// # Errors
    /// `53100`, `58030`: nothing is left then.
    pub(super) fn finish(mut self, log: &Arc<Log>, next_transaction: TransactionId) -> Result<()> {
        self.storage().checkpoint(log, || true, || next_transaction)?;
        if self.vfs.exists(&self.target)? {
            let name = self.target.display();
            return Err(Error::new(SqlState::DUPLICATE_OBJECT, format!("file \"{name}\" exists already")));
        }
        self.vfs.rename(&self.temporary, &self.target)?;
        // From here on there is nothing to remove.
        self.storage = None;
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        self.vfs.sync_folder(folder.unwrap_or(Path::new(".")))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.storage.take().is_some() {
            // Failing leaves a file that the next attempt removes.
            let _ = self.vfs.remove(&self.temporary);
        }
    }
}

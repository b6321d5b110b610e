//! Reading a file that another process may be writing: its newest checkpoint, locked against being written over.
//! Knows slots and the places that readers share. Knows nothing of sessions or of the log.
//!
//! ```text
//! reader   reads the newest slot n ─▶ shares place n ─▶ reads the newest slot again: still n, or it goes on with that one
//! writer   writes slot n + 1 ─▶ makes it durable ─▶ asks who shares place n ─▶ frees what only n names, if nobody does
//! ```
//! The system orders the four calls in the middle, whichever process makes them. Either the reader shares n before the
//! writer asks, and n is kept; or the writer has asked before, and so has written n + 1 before the reader looks again.

use super::header::{Slot, StaticHeader};
use super::{Storage, StorageOptions, without_slot};
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::Result;
use crate::io::vfs::{LockOutcome, OpenMode};

/// The writer can make so many checkpoints while a reader looks at one; more is no luck but damage.
const ATTEMPTS: usize = 1000;

/// What opening a file beside its writer gave.
#[derive(Debug)]
pub enum BesideWriter {
    /// Its newest checkpoint, which stays as it is until [`Storage::leave`] or until the file is closed.
    Opened(Arc<Storage>),
    /// The newest checkpoint cuts through a commit that was being applied: without the log it is no state of the
    /// database. The next one will not.
    CutsThrough,
    /// The file system has no such locks.
    WithoutLocks,
}

impl Storage {
    /// Opens the newest checkpoint for reading, whoever writes the file meanwhile. `options.read_only` is set.
    /// # Errors
    /// As [`Storage::open`], but `55006`.
    pub fn open_beside_writer(options: &StorageOptions) -> Result<BesideWriter> {
        assert!(options.read_only, "who writes beside a writer");
        let name = options.path.display().to_string();
        let file = options.vfs.open(&options.path, OpenMode::ReadOnly)?;
        let header = StaticHeader::read(&*file, &name)?;
        let mut newest = Slot::read_newest(&*file, &header.database)?;
        for _ in 0..ATTEMPTS {
            let Some(slot) = newest else {
                // Both slots were being written, one after the other, while they were read.
                newest = Slot::read_newest(&*file, &header.database)?;
                continue;
            };
            if !slot.is_whole() {
                return Ok(BesideWriter::CutsThrough);
            }
            if !file.share_place(slot.record.generation)? {
                return Ok(BesideWriter::WithoutLocks);
            }
            newest = Slot::read_newest(&*file, &header.database)?;
            if newest == Some(slot) {
                let storage = Storage::open_slot(options, file, name, header, slot)?;
                storage.beside_writer.store(true, Ordering::Relaxed);
                return Ok(BesideWriter::Opened(storage));
            }
            file.leave_place(slot.record.generation)?;
        }
        Err(without_slot(&name))
    }

    /// Whether the file has a newer checkpoint than this one, which was opened beside its writer.
    /// # Errors
    /// `58030`; `0A000` when a newer version of the program went on with the file.
    pub fn is_outdated(&self) -> Result<bool> {
        let newest = Slot::read_newest(&**self.pool.file(), &self.header.database)?;
        // One that is being written reads as none.
        Ok(newest.is_some_and(|newest| newest.is_whole() && newest != *self.slot.lock()))
    }

    /// Whether a process writes the file, or has gone on with it, since this checkpoint was opened beside it.
    pub(super) fn is_written_on(&self) -> Result<bool> {
        let file = self.pool.file();
        let newest = Slot::read_newest(&**file, &self.header.database)?;
        if newest != Some(*self.slot.lock()) {
            return Ok(true);
        }
        match file.try_lock_shared()? {
            LockOutcome::Granted => file.unlock().map(|()| false),
            LockOutcome::HeldBy(_) => Ok(true),
        }
    }

    /// Nobody reads this checkpoint any more, which was opened beside its writer: its blocks may be used again.
    pub fn leave(&self) {
        // Failing is harmless: the place goes with the file.
        let _ = self.pool.file().leave_place(self.last_checkpoint().generation);
    }
}

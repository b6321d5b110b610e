//! Checking a file that may be too damaged to be opened, without writing to it. Knows every layer below sessions.

use crate::common::clock::{Clock, SystemClock};
use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::database::Database;
use crate::database::instance::{self, Place};
use crate::database::options::DatabaseOptions;
use crate::database::registry;
use crate::database::verify::{Subject, verify};
use crate::durability::manager::DurabilityManager;
use crate::error::{Error, Result, SqlState};
use crate::io::os::OsVfs;
use crate::io::vfs::{File, OpenMode, Vfs};
use crate::storage::Storage;
use crate::transaction::manager::TransactionManager;
use std::path::Path;

impl Database {
    /// Checks a database file as [`Database::verify`] does, without writing to it and also where it is too damaged to
    /// be opened. A log beside it is replayed in memory; of a file that another process writes, the last checkpoint is
    /// looked at, which stays as it is meanwhile. Returns the number of findings.
    /// # Errors
    /// `58P01`, `42501`, `58030`; `55006` when a process writes it and its last checkpoint cannot be kept; `0A000` for a
    /// newer format. Damage is a finding.
    pub fn check(path: &Path, options: DatabaseOptions, report: &mut dyn FnMut(&str)) -> Result<u64> {
        let options = DatabaseOptions { read_only: true, ..options };
        let vfs: Arc<dyn Vfs> = options.vfs.clone().unwrap_or_else(|| Arc::new(OsVfs::new()));
        let file_system = options.vfs.as_ref().map_or(0, |vfs| Arc::as_ptr(vfs).cast::<u8>() as usize);
        let path = vfs.canonical(path)?;
        if registry::find_path(file_system, &path).is_some() {
            return Database::open(Some(&path), options)?.verify(report);
        }
        let place =
            Place { vfs, name: Arc::from(""), path, volatile: false, overlaid: false, beside_writer: false };
        let file = place.vfs.open(&place.path, OpenMode::ReadOnly)?;
        let path = place.path.clone();
        match check_place(place, &options, &file, report) {
            // Nothing was looked at.
            Err(error) if error.state() == SqlState::OBJECT_IN_USE => {
                drop(file);
                check_beside_writer(&path, options, report)
            }
            result => result,
        }
    }
}

/// Looks at what a reader sees while another process writes the file.
fn check_beside_writer(path: &Path, options: DatabaseOptions, report: &mut dyn FnMut(&str)) -> Result<u64> {
    let name = path.display();
    let seen = Database::open(Some(path), options).and_then(|database| {
        if database.is_beside_writer() {
            report("another process writes the file: what follows is its last checkpoint");
        }
        database.verify(report)
    });
    // What is damaged so that nobody can read on is told as the rest is.
    seen.or_else(|error| {
        if error.state() != SqlState::DATA_CORRUPTED {
            return Err(error);
        }
        let detail = error.detail_text().map_or_else(String::new, |detail| format!(": {detail}"));
        report(&format!("file \"{name}\": {}{detail}", error.message()));
        report("nothing else could be looked at while another process writes the file");
        Ok(1)
    })
}

fn check_place(
    mut place: Place,
    options: &DatabaseOptions,
    file: &Arc<dyn File>,
    report: &mut dyn FnMut(&str),
) -> Result<u64> {
    let name = place.path.display().to_string();
    let memory = instance::memory_account(options)?;
    let mut findings = 0;
    let mut damage = |error: &Error, report: &mut dyn FnMut(&str)| {
        findings += 1;
        let detail = error.detail_text().map_or_else(String::new, |detail| format!(": {detail}"));
        report(&format!("file \"{name}\": {}{detail}", error.message()));
    };
    let base = Arc::clone(&place.vfs);
    let storage = match instance::open_locked(&mut place, options, &memory, file) {
        Err(error) if error.state() == SqlState::DATA_CORRUPTED => {
            damage(&error, report);
            report(
                "nothing else could be looked at; lumos salvage reads what can be read without the page map",
            );
            return Ok(findings);
        }
        other => other?,
    };
    let (storage, manager) = match assemble(&place, options, &memory, storage) {
        Err(error) if error.state() == SqlState::DATA_CORRUPTED => {
            damage(&error, report);
            report("the log was left out: what follows is the last checkpoint");
            place.vfs = base;
            place.overlaid = false;
            let storage = Storage::open(instance::storage_options(&place, options, &memory))?;
            assemble(&place, options, &memory, storage)?
        }
        other => other?,
    };
    let closed_cleanly = !place.overlaid && findings == 0;
    let subject = Subject { file: &name, storage: &storage, manager: &manager, closed_cleanly };
    Ok(findings + verify(&subject, report)?)
}

/// Transactions over storage and what its log adds.
pub(super) fn assemble(
    place: &Place,
    options: &DatabaseOptions,
    memory: &Arc<MemoryAccount>,
    storage: Arc<Storage>,
) -> Result<(Arc<Storage>, Arc<TransactionManager>)> {
    let clock: Arc<dyn Clock> = options.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new()));
    let (log, visible, next_transaction) = instance::recover_log(place, options, &storage)?;
    let log = Arc::new(log);
    let durability = Arc::new(DurabilityManager::new(Arc::clone(&log), Arc::clone(&clock)));
    let manager = TransactionManager::new(
        Arc::clone(&storage),
        log,
        durability,
        Arc::clone(memory),
        clock,
        next_transaction,
        visible,
    );
    Ok((storage, manager))
}

//! Reading a database that another process writes: each transaction sees the last checkpoint there was when it began.
//!
//! Every checkpoint has an engine of its own, with its pages, definitions and plans; nothing in it changes. A session
//! goes on to the newest one when it begins a transaction, and keeps its own until that ends; an engine goes with its
//! last session, and with it the lock on the checkpoint's blocks. The log is not looked at: it is the writer's.
//! Knows checkpoints and engines. Knows no SQL.

use crate::common::memory::MemoryAccount;
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::common::sync::{Arc, Mutex, Weak};
use crate::database::instance::{self, Claimed, Instance, Opened, Place};
use crate::database::options::DatabaseOptions;
use crate::error::{Error, Result, SqlState};
use crate::session::engine::{Engine, Generations};
use crate::storage::{BesideWriter, Storage};
use std::sync::OnceLock;
use std::time::Duration;

/// How often a checkpoint that is a state of the database is waited for.
pub(super) const WAITS_MAX: usize = 500;
const WAIT: Duration = Duration::from_millis(20);

/// Waits a moment for another process.
pub(super) fn wait() {
    std::thread::sleep(WAIT);
}

/// See the module. Threads: any.
#[derive(Debug)]
pub(super) struct Follower {
    place: Place,
    options: DatabaseOptions,
    memory: Arc<MemoryAccount>,
    newest: Mutex<Generation>,
    /// Engines before it, as long as sessions stay with them.
    earlier: Mutex<Vec<Weak<Engine>>>,
    next_session: AtomicU64,
    /// Set when the registry knows the file. After `newest`: the file is closed before it is given back.
    claim: OnceLock<Claimed>,
}

#[derive(Debug)]
struct Generation {
    engine: Arc<Engine>,
    instance: Arc<Instance>,
    /// Counts them in this process, from 0.
    number: u64,
}

/// Opens the last checkpoint beside `writer`. None: it is no state of the database, because the writer was applying a
/// large transaction; the next one will be.
/// # Errors
/// `55006` where the file system has no locks for it; as [`Storage::open`].
pub(super) fn open(
    place: &Place,
    options: &DatabaseOptions,
    memory: &Arc<MemoryAccount>,
    writer: Option<u32>,
) -> Result<Option<Opened>> {
    let place = Place { beside_writer: true, ..place.clone() };
    let storage = match Storage::open_beside_writer(&instance::storage_options(&place, options, memory))? {
        BesideWriter::Opened(storage) => storage,
        BesideWriter::CutsThrough => return Ok(None),
        BesideWriter::WithoutLocks => {
            return Err(instance::in_use(&place, writer).detail(
                    "Reading beside a writing process needs open-file-description locks, which this file system or \
                     operating system does not have.",
                ));
        }
    };
    follow(place, options, memory, storage).map(Some)
}

/// Opens a file that nobody writes, if it was closed cleanly: it needs no log, and a writer may come while it is read.
/// None: it was not, or the file system has no locks for it.
/// # Errors
/// As [`Storage::open`].
pub(super) fn open_closed(
    place: &Place,
    options: &DatabaseOptions,
    memory: &Arc<MemoryAccount>,
) -> Result<Option<Opened>> {
    let place = Place { beside_writer: true, ..place.clone() };
    match Storage::open_beside_writer(&instance::storage_options(&place, options, memory))? {
        BesideWriter::Opened(storage) if instance::is_closed(&place, &storage)? => {
            follow(place, options, memory, storage).map(Some)
        }
        _ => Ok(None),
    }
}

fn follow(
    place: Place,
    options: &DatabaseOptions,
    memory: &Arc<MemoryAccount>,
    storage: Arc<Storage>,
) -> Result<Opened> {
    let opened = instance::assemble(&place, options, Arc::clone(memory), storage)?;
    let follower = Arc::new(Follower {
        place,
        options: options.clone(),
        memory: Arc::clone(memory),
        newest: Mutex::new(Generation {
            engine: Arc::clone(&opened.engine),
            instance: Arc::clone(&opened.instance),
            number: 0,
        }),
        earlier: Mutex::default(),
        next_session: AtomicU64::new(0),
        claim: OnceLock::new(),
    });
    Ok(Opened { follower: Some(follower), ..opened })
}

impl Follower {
    /// The newest engine that this process has gone on to.
    pub(super) fn opened(self: &Arc<Self>) -> Opened {
        let newest = self.newest.lock();
        Opened {
            engine: Arc::clone(&newest.engine),
            instance: Arc::clone(&newest.instance),
            follower: Some(Arc::clone(self)),
        }
    }

    /// All engines that sessions of this process are in, the newest one first.
    pub(super) fn engines(&self) -> Vec<Arc<Engine>> {
        let newest = self.newest.lock();
        let earlier = self.earlier.lock();
        let newest = std::iter::once(Arc::clone(&newest.engine));
        newest.chain(earlier.iter().filter_map(Weak::upgrade)).collect()
    }

    pub(super) fn claim(&self) -> &OnceLock<Claimed> {
        &self.claim
    }

    /// Numbers sessions from 1.
    pub(super) fn next_session_id(&self) -> u64 {
        self.next_session.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Goes on to the newest checkpoint, if there is a newer one.
    fn go_on(&self) -> Result<Arc<Engine>> {
        let instance = Arc::clone(&self.newest.lock().instance);
        let is_outdated = instance.storage.is_outdated()?;
        // Not the last to hold it while the lock is held.
        let mut newest = self.newest.lock();
        if !is_outdated || !Arc::ptr_eq(&newest.instance, &instance) {
            return Ok(Arc::clone(&newest.engine));
        }
        let options = instance::storage_options(&self.place, &self.options, &self.memory);
        let storage = match Storage::open_beside_writer(&options)? {
            BesideWriter::Opened(storage) => storage,
            // The one that is locked serves on.
            BesideWriter::CutsThrough => return Ok(Arc::clone(&newest.engine)),
            BesideWriter::WithoutLocks => return Err(instance::in_use(&self.place, None)),
        };
        if storage.file_identity()? != instance.storage.file_identity()? {
            let path = self.place.path.display();
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("database \"{path}\" is another file than the one that was opened"),
            )
            .hint("Close it, and open it again."));
        }
        let opened = instance::assemble(&self.place, &self.options, Arc::clone(&self.memory), storage)?;
        let number = newest.number + 1;
        // A plan says which catalog it is of by the epoch alone: no two engines may share one.
        opened.engine.definitions.begin_at(2 * number);
        let next = Generation { engine: opened.engine, instance: opened.instance, number };
        let engine = Arc::clone(&next.engine);
        let before = std::mem::replace(&mut *newest, next);
        let mut earlier = self.earlier.lock();
        earlier.retain(|engine| engine.strong_count() > 0);
        earlier.push(Arc::downgrade(&before.engine));
        drop(earlier);
        drop(newest);
        drop(before);
        Ok(engine)
    }
}

impl Generations for Follower {
    fn newest(&self) -> Result<Arc<Engine>> {
        self.go_on()
    }
}

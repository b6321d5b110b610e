//! A database: opened, recovered, verified, closed. The same file opened twice in a process is one engine.
//!
//! The engine lives as long as anybody uses it: a handle of this type or a session. When the last one goes, a
//! checkpoint puts everything into the file and the log folder is removed, so that one file is the whole
//! database. Where that does not come about (a crash, an error), the next open recovers from the log.
//! Knows every layer but the C boundary.

pub mod backup;
mod check;
mod follower;
mod instance;
mod new_file;
pub mod options;
mod registry;
pub mod salvage;
pub mod statistics;
mod verify;

#[cfg(test)]
mod bulk_tests;
#[cfg(test)]
mod concurrent_index_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod follower_tests;
#[cfg(test)]
mod image_tests;
#[cfg(test)]
mod newer_tests;
#[cfg(test)]
mod reindex_tests;
#[cfg(test)]
mod rescue_tests;
#[cfg(test)]
mod sequence_tests;
#[cfg(test)]
mod tests;

use crate::common::ids::Lsn;
use crate::common::sync::Arc;
use crate::database::follower::Follower;
use crate::database::instance::Opened;
use crate::database::options::DatabaseOptions;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::session::engine::{Engine, Generations};
use std::path::Path;

/// A handle to an open database. Threads: any.
#[derive(Debug)]
pub struct Database {
    held: Held,
}

/// What keeps the database open.
#[derive(Debug)]
enum Held {
    /// The engine.
    Engine(Opened),
    /// Another process writes the file: engines come and go.
    Follower(Arc<Follower>),
}

impl Database {
    /// Opens a file, or (`None`) a new database in memory. After a crash this recovers every acknowledged commit.
    ///
    /// A database that is open in this process already is used as it is: `options` other than `read_only` have
    /// then no effect. Opened read-only while another process writes it, each transaction sees the last checkpoint
    /// that there is when it begins.
    /// # Errors
    /// `55006` when another process has it, with the process's id where the system tells it; `58P01`, `42501`,
    /// `53100`, `58030` with the system's reason; `XX001` for damage or a file that is no database; `0A000` for a
    /// newer format; `55000` for a read-only open of a database that was not closed cleanly.
    pub fn open(path: Option<&Path>, options: DatabaseOptions) -> Result<Arc<Database>> {
        let opened = instance::open(path, &options)?;
        let held = match opened.follower {
            Some(follower) => Held::Follower(follower),
            None => Held::Engine(opened),
        };
        Ok(Arc::new(Database { held }))
    }

    /// Opens a new database in memory that begins as `image`: what [`Database::serialize`] gave, or the bytes of a file
    /// that was closed.
    /// # Errors
    /// `XX001` when it is no database, or damaged; `55000` when it was not closed; `0A000` for a newer format; `53200`.
    pub fn deserialize(image: &[u8], options: DatabaseOptions) -> Result<Arc<Database>> {
        Ok(Arc::new(Database { held: Held::Engine(instance::open_image(image, &options)?) }))
    }

    fn opened(&self) -> Opened {
        match &self.held {
            Held::Engine(opened) => opened.clone(),
            Held::Follower(follower) => follower.opened(),
        }
    }

    /// What sessions share. Beside a process that writes the file: what the newest transaction here sees.
    pub fn engine(&self) -> Arc<Engine> {
        self.opened().engine
    }

    /// Cancels what the session of this number runs (57014); false: there is no such session.
    pub fn cancel(&self, session: u64) -> bool {
        self.engines().iter().any(|engine| engine.cancel(session))
    }

    /// Ends the session of this number: its transaction is rolled back, and all that it is asked later is 57P01. False: there
    /// is no such session.
    pub fn terminate(&self, session: u64) -> bool {
        self.engines().iter().any(|engine| engine.terminate(session))
    }

    /// All engines that sessions are in; beside a process that writes the file there may be several.
    fn engines(&self) -> Vec<Arc<Engine>> {
        match &self.held {
            Held::Engine(opened) => vec![Arc::clone(&opened.engine)],
            Held::Follower(follower) => follower.engines(),
        }
    }

    /// Whether another process may write the file: then this one reads its checkpoints.
    pub fn is_beside_writer(&self) -> bool {
        matches!(self.held, Held::Follower(_))
    }

    /// Writes a checkpoint; returns where recovery would start.
    /// # Errors
    /// `53100`, `58030`.
    pub fn checkpoint(&self) -> Result<Lsn> {
        self.engine().checkpoint()
    }

    /// Refuses every later write: memory, pages and log may disagree. The next open recovers.
    pub fn poison(&self, error: Error) {
        self.engine().manager.poison(error);
    }

    /// Whether statements can still succeed: false once an I/O error has closed the database to writes.
    pub fn is_usable(&self) -> bool {
        match &self.held {
            Held::Engine(opened) => opened.engine.manager.poisoned().is_none(),
            Held::Follower(_) => self.engine().manager.poisoned().is_none(),
        }
    }

    /// Checks headers, page map, pages, trees, use of blocks, definitions, rows, index entries and large values; calls
    /// `report` with each finding (file, block, object, what is wrong) and with a last line on what was looked at;
    /// returns the number of findings.
    /// # Errors
    /// `58030`; `57014`; damage is reported where reading can go on.
    pub fn verify(&self, report: &mut dyn FnMut(&str)) -> Result<u64> {
        let Opened { engine, instance, .. } = &self.opened();
        let subject = verify::Subject {
            file: &instance.file_name,
            storage: &instance.storage,
            manager: &engine.manager,
            closed_cleanly: instance.closed_cleanly,
        };
        verify::verify(&subject, report)
    }

    /// A figure by its name in [`statistics::STATISTICS`].
    pub fn statistic(&self, name: &str) -> Option<i64> {
        let statistic = statistics::STATISTICS.iter().find(|statistic| statistic.name == name)?;
        let Opened { engine, instance, .. } = &self.opened();
        Some((statistic.read)(engine, instance))
    }

    /// A new session. The database stays open as long as it lives.
    /// # Errors
    /// Beside a process that writes the file, what opening its newest checkpoint met; else none.
    pub fn connect(self: &Arc<Self>) -> Result<Session> {
        match &self.held {
            Held::Engine(Opened { engine, instance, .. }) => {
                Ok(Session::new(Arc::clone(engine), instance.next_session_id()))
            }
            Held::Follower(follower) => {
                let generations: Arc<dyn Generations> = Arc::<Follower>::clone(follower);
                Session::following(generations, follower.next_session_id())
            }
        }
    }
}

/// To be called before the process forks, in the thread that does it: other threads are not inside then.
pub fn before_fork() {
    registry::before_fork();
}

/// To be called after the fork in the same thread, in the parent and in the child. What the parent has open is not open
/// in the child.
pub fn after_fork() {
    registry::after_fork();
}

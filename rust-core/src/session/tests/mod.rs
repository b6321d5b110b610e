//! Statements from text to rows over a database in memory, through one session and several.

mod changes;
mod definitions;
mod files_and_plans;
mod fill;
mod foreign_keys;
mod indexes;
mod large_values;
mod limits;
mod paths;
mod prepared_names;
mod queries;
mod rewrites;
mod savepoints;
mod scripts;
mod sessions;
mod statements;
mod transactions;
mod vacuum;
mod with_changes;

use super::engine::{Engine, EngineOptions};
use super::{Portal, Session};
use crate::batch::batch::Batch;
use crate::catalog::catalog::Catalog;
use crate::common::clock::{Clock, ManualClock};
use crate::common::limits::{LOG_SEGMENT_FIRST_BYTES, LOG_SEGMENT_MAX_BYTES};
use crate::common::memory::MemoryAccount;
use crate::common::sync::Arc;
use crate::durability::manager::DurabilityManager;
use crate::durability::policy::Durability;
use crate::error::{Error, Result};
use crate::io::memory::MemoryVfs;
use crate::io::vfs::Vfs;
use crate::sql::functions::registry::Environment;
use crate::sql::types::cast::CastEnvironment;
use crate::sql::types::datum::Datum;
use crate::sql::types::text_form::datum_to_text;
use crate::storage::{Storage, StorageOptions};
use crate::transaction::manager::TransactionManager;
use crate::wal::manager::{Log, LogOptions};
use std::path::PathBuf;

/// A database in memory.
pub(super) struct Fixture {
    pub(super) engine: Arc<Engine>,
    pub(super) clock: Arc<ManualClock>,
    sessions: std::cell::Cell<u64>,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        Fixture::with_memory(256 << 20)
    }

    pub(super) fn with_memory(limit: usize) -> Fixture {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let files = Arc::clone(&vfs);
        let memory = MemoryAccount::new(limit);
        let clock = Arc::new(ManualClock::default());
        clock.set_unix_micros(1_700_000_000_000_000);
        let storage = Storage::create(StorageOptions {
            vfs: Arc::clone(&vfs),
            path: PathBuf::from("test"),
            page_size: 8192,
            memory: Arc::clone(&memory),
            read_only: false,
            database: [7; 16],
        })
        .unwrap();
        let checkpoint = storage.last_checkpoint();
        let options = LogOptions {
            vfs,
            folder: PathBuf::from("test-wal"),
            database: checkpoint.database,
            timeline: checkpoint.timeline,
            first_segment_bytes: LOG_SEGMENT_FIRST_BYTES,
            segment_bytes_max: LOG_SEGMENT_MAX_BYTES,
            volatile: true,
            salt_seed: 1,
        };
        let log = Arc::new(Log::create(options, checkpoint.cut_lsn).unwrap());
        let shared_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let durability = Arc::new(DurabilityManager::new(Arc::clone(&log), Arc::clone(&shared_clock)));
        let manager = TransactionManager::new(
            storage,
            log,
            durability,
            Arc::clone(&memory),
            Arc::clone(&shared_clock),
            checkpoint.next_transaction,
            checkpoint.cut_lsn,
        );
        let catalog = Arc::new(Catalog::load(&manager).unwrap());
        let options = EngineOptions {
            durability: Durability::Off,
            read_only: false,
            max_statement_size: 1 << 20,
            name: Arc::from("test"),
        };
        let engine = Engine::new(manager, catalog, memory, shared_clock, files, options, Box::new(()));
        Fixture { engine: Arc::new(engine), clock, sessions: std::cell::Cell::new(0) }
    }

    pub(super) fn connect(&self) -> Session {
        self.sessions.set(self.sessions.get() + 1);
        Session::new(Arc::clone(&self.engine), self.sessions.get())
    }

    /// A session after a script.
    pub(super) fn session(script: &str) -> (Fixture, Session) {
        let fixture = Fixture::new();
        let mut session = fixture.connect();
        session.execute_script(script).unwrap_or_else(|error| panic!("{error:?} in {script}"));
        (fixture, session)
    }
}

/// The rows of a batch as text.
pub(super) fn texts(session: &Session, batch: &Batch) -> Vec<Vec<String>> {
    let environment = CastEnvironment {
        zone: session.environment.time_zone(),
        now: session.environment.transaction_time(),
        style: Default::default(),
    };
    batch
        .row_numbers()
        .map(|row| {
            batch
                .columns
                .iter()
                .map(|column| {
                    let mut text = String::new();
                    match column.datum(row) {
                        value if value.is_null() => text.push_str("NULL"),
                        value => datum_to_text(value, column.data_type, &environment, &mut text),
                    }
                    text
                })
                .collect()
        })
        .collect()
}

/// The remaining rows of a portal.
pub(super) fn drain(session: &mut Session, portal: &mut Portal) -> Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    while let Some(batch) = session.fetch(portal)? {
        rows.extend(texts(session, &batch));
    }
    Ok(rows)
}

/// Runs one statement: its rows and its tag.
pub(super) fn run_with(
    session: &mut Session,
    sql: &str,
    parameters: &[Datum],
) -> Result<(Vec<Vec<String>>, String)> {
    let (statement, _) = session.prepare(sql)?;
    let mut portal = session.execute(&statement.expect("a statement"), parameters)?;
    let rows = drain(session, &mut portal)?;
    let tag = portal.tag();
    session.close(portal);
    Ok((rows, tag))
}

/// The rows of a statement, columns separated by `|`.
pub(super) fn rows(session: &mut Session, sql: &str) -> Vec<String> {
    let (rows, _) = run_with(session, sql, &[]).unwrap_or_else(|error| panic!("{error:?} in {sql}"));
    rows.into_iter().map(|row| row.join("|")).collect()
}

/// The tag of a statement.
pub(super) fn tag(session: &mut Session, sql: &str) -> String {
    run_with(session, sql, &[]).unwrap_or_else(|error| panic!("{error:?} in {sql}")).1
}

/// The error of a statement.
pub(super) fn error(session: &mut Session, sql: &str) -> Error {
    match run_with(session, sql, &[]) {
        Ok(result) => panic!("{sql} gave {result:?}"),
        Err(error) => error,
    }
}

/// The code of a statement's error.
pub(super) fn code(session: &mut Session, sql: &str) -> String {
    error(session, sql).state().as_str().to_string()
}

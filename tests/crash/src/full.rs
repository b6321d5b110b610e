//! Every kind of statement on a real disk that is full: a folder of a small file system of its own, which a file fills
//! up to a few bytes. Knows folders and SQL; what is asked of a statement is what `shortage` asks on a simulated disk.

#![allow(clippy::disallowed_methods, reason = "what fills the disk is no file of a database")]

use crate::figures::say;
use crate::kinds::{OPEN, is_query, kinds};
use crate::scenario::{BACKUP_PATH, Base, Scenario, WHOLE_BACKUP};
use crate::state::{State, difference, findings_of, rows, state_of};
use lumos_core::database::Database;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::error::{Error, Result, SqlState};
use lumos_core::session::Session;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are left free.
const ROOM: [u64; 8] = [0, 8 << 10, 32 << 10, 96 << 10, 256 << 10, 320 << 10, 640 << 10, 2 << 20];
/// The folder that the simulated disk has in texts.
const FOLDER: &str = "/d/";

/// Runs all kinds in `folder`, which is on a file system of a few MiB. False: something was wrong, and said.
/// # Errors
/// The folder cannot be used.
pub fn run(folder: &Path) -> Result<bool> {
    let (mut tried, mut refused, mut failures) = (0, 0, 0);
    for scenario in kinds() {
        for room in ROOM {
            let trial = Trial { scenario: &scenario, folder, room };
            match trial.run() {
                Ok(was_refused) => refused += u64::from(was_refused),
                Err(error) => {
                    say(&format!("{}, {room} bytes: {error:?}", scenario.name));
                    failures += 1;
                }
            }
            tried += 1;
            trial.clean_up()?;
        }
    }
    say(&format!("{tried} statements on a full disk, {refused} refused, {failures} failures"));
    Ok(failures == 0 && refused > 0)
}

struct Trial<'a> {
    scenario: &'a Scenario,
    folder: &'a Path,
    room: u64,
}

fn failed(what: &str, cause: &std::io::Error) -> Error {
    Error::new(SqlState::IO_ERROR, format!("could not {what}: {cause}"))
}

impl Trial<'_> {
    fn path(&self) -> PathBuf {
        self.folder.join("app.lumos")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    fn open(&self) -> Result<Arc<Database>> {
        let options = DatabaseOptions {
            memory_limit: Some(self.scenario.memory_limit),
            page_size: self.scenario.page_size,
            log_segment_first_bytes: self.scenario.segment_bytes,
            log_segment_max_bytes: self.scenario.segment_bytes,
            background_checkpoints: false,
            ..DatabaseOptions::default()
        };
        Database::open(Some(&self.path()), options)
    }

    fn text(&self, sql: &str) -> String {
        sql.replace(FOLDER, &format!("{}/", self.folder.display()))
    }

    /// Takes all but the free bytes.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.ballast()).map_err(|cause| failed("make the ballast", &cause))?;
        let mut bytes = 0_u64;
        for piece in [1 << 20, 4096] {
            let zeros = vec![0; piece];
            while let Ok(count) = file.write(&zeros) {
                bytes += count as u64;
            }
        }
        file.set_len(bytes.saturating_sub(self.room)).map_err(|cause| failed("shorten the ballast", &cause))
    }

    fn free(&self) -> Result<()> {
        std::fs::remove_file(self.ballast()).map_err(|cause| failed("remove the ballast", &cause))
    }

    fn clean_up(&self) -> Result<()> {
        for entry in
            std::fs::read_dir(self.folder).map_err(|cause| failed("list the folder", &cause))?.flatten()
        {
            let path = entry.path();
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(|cause| failed("remove a file", &cause))?;
        }
        Ok(())
    }

    fn carry_out(&self, database: &Arc<Database>, session: &mut Session) -> Result<Vec<String>> {
        let step = &self.scenario.steps[0];
        if step == WHOLE_BACKUP {
            return database.backup(Path::new(&self.text(BACKUP_PATH))).map(|()| Vec::new());
        }
        let sql = self.text(step);
        if is_query(&sql) { rows(session, &sql) } else { session.execute_script(&sql).map(|_| Vec::new()) }
    }

    /// Whether the statement was refused.
    fn run(&self) -> Result<bool> {
        let database = self.open()?;
        let mut session = database.connect()?;
        for sql in &self.scenario.setup {
            session.execute_script(&self.text(sql))?;
        }
        let before = state_of(&database)?;
        if self.scenario.base == Base::Crashed {
            database.poison(Error::internal("the base of a workload is a crash"));
        }
        drop((session, database));
        if self.scenario.steps[0] == OPEN {
            return self.run_open(&before);
        }
        let database = self.open()?;
        let mut session = database.connect()?;
        self.fill()?;
        let result = self.carry_out(&database, &mut session);
        match &result {
            Ok(_) => {}
            Err(error) if error.state() == SqlState::DISK_FULL => {
                let _ = session.rollback();
                judge(&database, &before, "while the disk is full")?;
            }
            Err(error) => return Err(error.clone()),
        }
        self.free()?;
        let after = match &result {
            Ok(_) => state_of(&database)?,
            Err(_) => {
                self.carry_out(&database, &mut session)?;
                state_of(&database)?
            }
        };
        session.execute_script("CREATE TABLE later (n bigint); DROP TABLE later")?;
        let findings = findings_of(&database);
        if !findings.is_empty() {
            return Err(Error::internal(format!("verification: {findings:?}")));
        }
        drop((session, database));
        judge(&self.open()?, &after, "opened again")?;
        Ok(result.is_err())
    }

    fn run_open(&self, before: &State) -> Result<bool> {
        self.fill()?;
        let refused = match self.open() {
            Ok(database) => {
                judge(&database, before, "opened")?;
                database.poison(Error::internal("left as a crash leaves it"));
                false
            }
            Err(error) if error.state() == SqlState::DISK_FULL => true,
            Err(error) => return Err(error),
        };
        self.free()?;
        judge(&self.open()?, before, "opened again")?;
        Ok(refused)
    }
}

fn judge(database: &Arc<Database>, expected: &State, when: &str) -> Result<()> {
    let found = state_of(database)?;
    if found == *expected {
        return Ok(());
    }
    Err(Error::internal(format!("{when}: {}", difference(&found, expected))))
}

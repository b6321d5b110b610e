//! Small workloads: how the disk was left before, and the statements that are cut off. Knows SQL and the options of
//! a database; knows nothing of how a workload is cut off.

use crate::points::{Call, CrashPoint, calls_of};
use crate::state::{State, state_of};
use lumos_core::common::limits::BULK_ROWS;
use lumos_core::database::Database;
use lumos_core::database::backup::Backup;
use lumos_core::database::options::DatabaseOptions;
use lumos_core::durability::policy::Durability;
use lumos_core::error::{Error, Result, SqlState};
use lumos_core::io::fault::{FaultPlan, FaultVfs, Survival, TracedOperation};
use lumos_core::session::Session;
use lumos_core::storage::{Checkpoint, CheckpointStep};
use std::path::Path;
use std::sync::Arc;

/// Where the database lies on every simulated disk.
pub const DATABASE_PATH: &str = "/d/app.lumos";
/// A step that closes the database and opens it again.
pub const REOPEN: &str = "-- reopen";
/// A step that begins a checkpoint: the cut. Until it is finished no step may write another one.
pub const CUT: &str = "-- cut";
/// A step that does the next few steps of that checkpoint.
pub const SOME_STEPS: &str = "-- some steps of the checkpoint";
/// A step that finishes it.
pub const FINISH: &str = "-- finish the checkpoint";
/// A step that begins a backup of what is committed then, to [`BACKUP_PATH`].
pub const BACKUP: &str = "-- begin a backup";
/// A step that copies some of it.
pub const SOME_PAGES: &str = "-- some pages of the backup";
/// A step that finishes it.
pub const FINISH_BACKUP: &str = "-- finish the backup";
/// Where backups go.
pub const BACKUP_PATH: &str = "/d/copy.lumos";
/// A step that makes a whole backup.
pub const WHOLE_BACKUP: &str = "-- backup";
/// Before a statement that must fail with 23505; its transaction is undone.
pub const FAILS: &str = "-- fails: ";
/// How many steps [`SOME_STEPS`] does: pages are captured, written, entered into the map.
const SOME: usize = 2;
/// Memory of those who read a file that needs recovery.
const READING_BYTES: usize = 64 << 20;
/// How many pages [`SOME_PAGES`] copies.
const PAGES: u32 = 5;

/// How the disk was left before the workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// There is no database.
    Empty,
    /// One that was closed.
    Closed,
    /// One whose log was not redone into the file.
    Crashed,
}

/// A workload.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// For messages.
    pub name: &'static str,
    /// What the disk is like before.
    pub base: Base,
    /// Bytes of a page.
    pub page_size: usize,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
    /// Entries from which on an index or a load is built beside the log.
    pub bulk_rows: u64,
    /// Statements that make the database as it was before.
    pub setup: Vec<String>,
    /// Statements that are cut off. Each is one commit, or none.
    pub steps: Vec<String>,
    /// Every how many steps of the disk the power goes.
    pub stride: u64,
    /// Bytes of memory.
    pub memory_limit: usize,
    /// Points that steps hit, by their number.
    pub points: Vec<(usize, CrashPoint)>,
    /// The workload does not end with a close.
    pub crashes_at_end: bool,
    /// Planted: commits are acknowledged before they are synced.
    pub acknowledges_early: bool,
}

impl Scenario {
    /// A workload on 1 KiB pages and small segments.
    pub fn new(name: &'static str, base: Base, setup: &[&str], steps: &[&str]) -> Scenario {
        Scenario {
            name,
            base,
            page_size: 1024,
            segment_bytes: 16 << 10,
            bulk_rows: BULK_ROWS,
            setup: setup.iter().map(|sql| (*sql).to_owned()).collect(),
            steps: steps.iter().map(|sql| (*sql).to_owned()).collect(),
            stride: 1,
            memory_limit: 4 << 20,
            points: Vec::new(),
            crashes_at_end: false,
            acknowledges_early: false,
        }
    }

    fn options(&self, disk: &FaultVfs) -> DatabaseOptions {
        DatabaseOptions {
            memory_limit: Some(self.memory_limit),
            page_size: self.page_size,
            vfs: Some(Arc::new(disk.clone())),
            bulk_rows: self.bulk_rows,
            log_segment_first_bytes: self.segment_bytes,
            log_segment_max_bytes: self.segment_bytes,
            durability: if self.acknowledges_early { Durability::Normal } else { Durability::Full },
            background_checkpoints: false,
            ..DatabaseOptions::default()
        }
    }

    /// Opens the database on a disk.
    /// # Errors
    /// Those of `Database::open`.
    pub fn open(&self, disk: &FaultVfs) -> Result<Arc<Database>> {
        Database::open(Some(Path::new(DATABASE_PATH)), self.options(disk))
    }

    /// Opens a database that is there, for reading.
    /// # Errors
    /// Those of `Database::open`.
    pub fn open_for_reading(&self, disk: &FaultVfs, path: &str) -> Result<Arc<Database>> {
        // What recovery writes stays in memory.
        let options = DatabaseOptions {
            memory_limit: Some(READING_BYTES),
            read_only: true,
            create: false,
            ..self.options(disk)
        };
        Database::open(Some(Path::new(path)), options)
    }

    /// The numbers of the steps that begin and finish a backup.
    pub fn backup_steps(&self) -> Option<(usize, usize)> {
        let begun = self.steps.iter().position(|step| step == BACKUP)?;
        Some((begun, self.steps.iter().position(|step| step == FINISH_BACKUP)?))
    }

    /// The disk before the workload.
    /// # Errors
    /// The setup must not fail.
    pub fn base_disk(&self) -> Result<FaultVfs> {
        let disk = FaultVfs::new();
        if self.base == Base::Empty {
            return Ok(disk);
        }
        let database = self.open(&disk)?;
        let mut session = database.connect()?;
        for sql in &self.setup {
            session.execute_script(sql)?;
        }
        drop(session);
        if self.base == Base::Crashed {
            database.poison(Error::internal("the base of a workload is a crash"));
        }
        drop(database);
        Ok(disk.image_after_power_loss(Survival::Everything, 1))
    }

    /// Runs the steps on a disk until one fails. `plan` holds from the opening on, and while the database closes.
    pub fn attempt(
        &self,
        disk: &FaultVfs,
        plan: Option<FaultPlan>,
        mut after_failure: impl FnMut(&mut Session, &Error),
    ) -> Attempt {
        disk.take_trace();
        disk.set_plan(plan);
        let mut attempt = Attempt::default();
        let mut running = match Running::open(self, disk) {
            Ok(running) => Some(running),
            Err(error) => {
                attempt.error = Some(error);
                return attempt;
            }
        };
        attempt.opened = true;
        attempt.calls_at.push(disk.calls());
        attempt.figures.push(Figures::default());
        for sql in &self.steps {
            let result = if sql == REOPEN {
                drop(running.take());
                Running::open(self, disk).map(|opened| running = Some(opened))
            } else {
                match &mut running {
                    Some(running) => running.step(sql),
                    None => Err(Error::internal("a step without a database")),
                }
            };
            attempt.started += 1;
            match result {
                Ok(()) => {
                    attempt.acknowledged += 1;
                    attempt.calls_at.push(disk.calls());
                    attempt.figures.push(Figures::of(running.as_ref()));
                    if sql.contains("durability") {
                        attempt.is_full = sql.contains("full");
                    }
                    if attempt.is_full && !sql.contains("durability") {
                        attempt.promised = attempt.acknowledged;
                    }
                }
                Err(error) => {
                    if let Some(running) = &mut running {
                        // Given up: others may write the next one.
                        running.checkpoint = None;
                        running.backup = None;
                        after_failure(&mut running.session, &error);
                    }
                    attempt.error = Some(error);
                    break;
                }
            }
        }
        if let Some(running) = &running
            && self.crashes_at_end
        {
            running.database.poison(Error::internal("the workload ends with a crash"));
        }
        attempt
    }

    /// The workload without a fault: the states it goes through, and the calls it makes.
    /// # Errors
    /// Those of the statements: a workload must run through.
    pub fn reference(&self) -> Result<Reference> {
        let disk = self.base_disk()?;
        let mut states = Vec::new();
        let database = self.open(&disk)?;
        states.push(state_of(&database)?);
        let mut session = database.connect()?;
        for sql in &self.steps {
            if !sql.starts_with("--") {
                session.execute_script(sql)?;
            }
            states.push(state_of(&database)?);
        }
        let backup = self.backup_steps().map(|(begun, _)| states[begun].clone());
        drop((session, database));
        let disk = self.base_disk()?;
        let attempt = self.attempt(&disk, None, |_, _| ());
        if let Some(error) = attempt.error {
            return Err(error);
        }
        let trace = disk.take_trace();
        let mut step_points = step_points(&self.steps, &attempt.figures);
        for (step, point) in &self.points {
            step_points[*step].push(*point);
        }
        let calls = calls_of(&trace);
        Ok(Reference { states, backup, trace, calls, calls_at: attempt.calls_at, step_points })
    }
}

/// A database that a workload runs on. The fields are dropped in this order: a checkpoint before the last one, which
/// closing writes.
pub(crate) struct Running {
    checkpoint: Option<Checkpoint>,
    backup: Option<Backup>,
    pub(crate) session: Session,
    pub(crate) database: Arc<Database>,
}

impl Running {
    pub(crate) fn open(scenario: &Scenario, disk: &FaultVfs) -> Result<Running> {
        let database = scenario.open(disk)?;
        Ok(Running { checkpoint: None, backup: None, session: database.connect()?, database })
    }

    pub(crate) fn step(&mut self, sql: &str) -> Result<()> {
        match sql {
            CUT => self.checkpoint = self.database.engine().manager.begin_checkpoint(false)?,
            SOME_STEPS => self.drive(SOME)?,
            FINISH => self.drive(usize::MAX)?,
            WHOLE_BACKUP => self.database.backup(Path::new(BACKUP_PATH))?,
            BACKUP => self.backup = Some(self.database.backup_start(Path::new(BACKUP_PATH))?),
            SOME_PAGES | FINISH_BACKUP => {
                let pages = if sql == SOME_PAGES { PAGES } else { u32::MAX };
                if let Some(backup) = &mut self.backup
                    && backup.step(pages)?
                {
                    self.backup = None;
                }
            }
            sql => match sql.strip_prefix(FAILS) {
                None => drop(self.session.execute_script(sql)?),
                Some(sql) => match self.session.execute_script(sql) {
                    Ok(_) => return Err(Error::internal("a duplicate key was accepted")),
                    Err(error) if error.state() == SqlState::UNIQUE_VIOLATION => {
                        // Where it is in a block.
                        let _ = self.session.rollback();
                    }
                    Err(error) => return Err(error),
                },
            },
        }
        Ok(())
    }

    /// Does some steps of the checkpoint.
    fn drive(&mut self, steps: usize) -> Result<()> {
        for _ in 0..steps {
            let Some(running) = &mut self.checkpoint else { break };
            if running.step()? == CheckpointStep::Done {
                self.checkpoint = None;
            }
        }
        Ok(())
    }
}

/// What a checkpoint met so far.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    is_running: bool,
    evictions: i64,
    images_written: i64,
}

impl Figures {
    fn of(running: Option<&Running>) -> Figures {
        let figure = |name| running.and_then(|running| running.database.statistic(name)).unwrap_or(0);
        Figures {
            is_running: running.is_some_and(|running| running.checkpoint.is_some()),
            evictions: figure("checkpoint_evictions"),
            images_written: figure("checkpoint_images_written"),
        }
    }
}

/// Points that the writes of each step hit, beside those that the trace shows.
fn step_points(steps: &[String], figures: &[Figures]) -> Vec<Vec<CrashPoint>> {
    let mut points = vec![Vec::new(); steps.len()];
    let mut is_backup = false;
    for (index, step) in steps.iter().enumerate() {
        is_backup |= step == BACKUP;
        if is_backup {
            points[index].push(CrashPoint::BackupCutOff);
        }
        is_backup &= step != FINISH_BACKUP;
    }
    for (index, pair) in figures.windows(2).enumerate() {
        if steps[index] == CUT {
            for near in [index.checked_sub(1), Some(index), Some(index + 1)].into_iter().flatten() {
                points.get_mut(near).into_iter().for_each(|points| points.push(CrashPoint::AroundTheCut));
            }
        }
        if !pair[0].is_running || steps[index].starts_with("--") {
            continue;
        }
        if pair[1].evictions > pair[0].evictions {
            points[index].push(CrashPoint::EvictionOfOldPage);
        }
        if pair[1].images_written > pair[0].images_written {
            points[index].push(CrashPoint::PreImagesExhausted);
        }
    }
    points
}

/// How far an attempt came.
#[derive(Debug)]
pub struct Attempt {
    /// The first opening succeeded.
    pub opened: bool,
    /// Steps that returned without an error.
    pub acknowledged: usize,
    /// How many of them a power loss must not take away.
    pub promised: usize,
    /// Steps begun.
    pub started: usize,
    /// What ended it.
    pub error: Option<Error>,
    /// Calls made when the database was open, then after each acknowledged step.
    pub calls_at: Vec<u64>,
    /// After opening, then after each acknowledged step.
    figures: Vec<Figures>,
    is_full: bool,
}

impl Default for Attempt {
    fn default() -> Attempt {
        Attempt {
            opened: false,
            acknowledged: 0,
            promised: 0,
            started: 0,
            error: None,
            calls_at: Vec::new(),
            figures: Vec::new(),
            is_full: true,
        }
    }
}

impl Attempt {
    /// The most steps whose effects may be found. A step that failed with a known outcome has none.
    pub fn possible(&self) -> usize {
        match &self.error {
            Some(error) if self.started > self.acknowledged => {
                let unknown = error.state() == SqlState::TRANSACTION_RESOLUTION_UNKNOWN;
                self.acknowledged + usize::from(unknown)
            }
            _ => self.acknowledged,
        }
    }
}

/// An attempt without faults.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Before the first step, and after each.
    pub states: Vec<State>,
    /// What a backup must hold.
    pub backup: Option<State>,
    /// Every changing call, from opening to closing.
    pub trace: Vec<TracedOperation>,
    /// What each call is.
    pub calls: Vec<Call>,
    /// As [`Attempt::calls_at`].
    pub calls_at: Vec<u64>,
    /// For each step, what its calls hit beside what the trace shows.
    step_points: Vec<Vec<CrashPoint>>,
}

impl Reference {
    /// The points that a call hits because of the step that makes it; calls count from 1.
    pub fn points_of_step(&self, call: u64) -> Vec<CrashPoint> {
        let steps = self.calls_at.windows(2);
        let Some(step) = steps.clone().position(|pair| pair[0] < call && call <= pair[1]) else {
            return Vec::new();
        };
        let index = call as usize - 1;
        let kind = self.calls.get(index).copied().unwrap_or(Call::Other);
        let is_last_frame = || {
            let rest = self.calls.get(index + 1..self.calls_at[step + 1] as usize).unwrap_or_default();
            !rest.contains(&Call::Frame)
        };
        let mut points = self.step_points.get(step).cloned().unwrap_or_default();
        points.retain(|point| match point {
            CrashPoint::EvictionOfOldPage | CrashPoint::PreImagesExhausted => kind == Call::Block,
            CrashPoint::ChunksWithoutCommit => kind == Call::Frame && !is_last_frame(),
            _ => true,
        });
        points
    }
}

/// What was done and found.
#[derive(Debug, Default)]
pub struct Report {
    /// Workloads cut off.
    pub runs: u64,
    /// Disks opened and judged.
    pub images: u64,
    /// What is wrong, one line each.
    pub failures: Vec<String>,
    /// How often each point was hit.
    pub hits: std::collections::BTreeMap<crate::points::CrashPoint, u64>,
}

impl Report {
    /// Adds another report.
    pub fn add(&mut self, other: Report) {
        self.runs += other.runs;
        self.images += other.images;
        self.failures.extend(other.failures);
        for (point, count) in other.hits {
            *self.hits.entry(point).or_default() += count;
        }
    }

    /// Notes a hit.
    pub fn hit(&mut self, point: crate::points::CrashPoint) {
        *self.hits.entry(point).or_default() += 1;
    }
}

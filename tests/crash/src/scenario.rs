//! Small workloads: how the disk was left before, and the statements that are cut off. Knows SQL and the options of
//! a database; knows nothing of how a workload is cut off.

use crate::points::CrashPoint;
use crate::state::{State, state_of};
use lumos_core::database::Database;
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
/// How many steps [`SOME_STEPS`] does: pages are captured, written, entered into the map.
const SOME: usize = 2;

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
    /// Statements that make the database as it was before.
    pub setup: Vec<String>,
    /// Statements that are cut off. Each is one commit, or none.
    pub steps: Vec<String>,
    /// Every how many steps of the disk the power goes.
    pub stride: u64,
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
            setup: setup.iter().map(|sql| (*sql).to_owned()).collect(),
            steps: steps.iter().map(|sql| (*sql).to_owned()).collect(),
            stride: 1,
            acknowledges_early: false,
        }
    }

    /// Opens the database on a disk.
    /// # Errors
    /// Those of `Database::open`.
    pub fn open(&self, disk: &FaultVfs) -> Result<Arc<Database>> {
        let options = DatabaseOptions {
            memory_limit: Some(4 << 20),
            page_size: self.page_size,
            vfs: Some(Arc::new(disk.clone())),
            log_segment_first_bytes: self.segment_bytes,
            log_segment_max_bytes: self.segment_bytes,
            durability: if self.acknowledges_early { Durability::Normal } else { Durability::Full },
            background_checkpoints: false,
            ..DatabaseOptions::default()
        };
        Database::open(Some(Path::new(DATABASE_PATH)), options)
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
        let mut opened = match self.open(disk).and_then(|database| Ok((database.connect()?, database))) {
            Ok((session, database)) => Some((database, session)),
            Err(error) => {
                attempt.error = Some(error);
                return attempt;
            }
        };
        attempt.opened = true;
        attempt.calls_at.push(disk.calls());
        attempt.figures.push(Figures::default());
        let mut checkpoint = None;
        for sql in &self.steps {
            let result = if [CUT, SOME_STEPS, FINISH].contains(&sql.as_str()) {
                opened.as_ref().map_or(Ok(0), |(database, _)| drive(database, sql, &mut checkpoint))
            } else if sql == REOPEN {
                drop(opened.take());
                self.open(disk).and_then(|database| Ok((database.connect()?, database))).map(
                    |(session, database)| {
                        opened = Some((database, session));
                        0
                    },
                )
            } else {
                match &mut opened {
                    Some((_, session)) => session.execute_script(sql),
                    None => Err(Error::internal("a step without a database")),
                }
            };
            attempt.started += 1;
            match result {
                Ok(_) => {
                    attempt.acknowledged += 1;
                    attempt.calls_at.push(disk.calls());
                    attempt.figures.push(Figures::of(opened.as_ref(), checkpoint.is_some()));
                    if sql.contains("durability") {
                        attempt.is_full = sql.contains("full");
                    }
                    if attempt.is_full && !sql.contains("durability") {
                        attempt.promised = attempt.acknowledged;
                    }
                }
                Err(error) => {
                    // Given up: others may write the next one.
                    checkpoint = None;
                    if let Some((_, session)) = &mut opened {
                        after_failure(session, &error);
                    }
                    attempt.error = Some(error);
                    break;
                }
            }
        }
        // Before the last checkpoint, which closing writes.
        drop(checkpoint);
        drop(opened);
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
        drop((session, database));
        let disk = self.base_disk()?;
        let attempt = self.attempt(&disk, None, |_, _| ());
        if let Some(error) = attempt.error {
            return Err(error);
        }
        let step_points = step_points(&self.steps, &attempt.figures);
        Ok(Reference { states, trace: disk.take_trace(), calls_at: attempt.calls_at, step_points })
    }
}

/// Carries out a step of a checkpoint.
fn drive(database: &Arc<Database>, step: &str, checkpoint: &mut Option<Checkpoint>) -> Result<u64> {
    if step == CUT {
        *checkpoint = database.engine().manager.begin_checkpoint(false)?;
        return Ok(0);
    }
    let mut left = if step == FINISH { usize::MAX } else { SOME };
    while let Some(running) = checkpoint
        && left > 0
    {
        left -= 1;
        if running.step()? == CheckpointStep::Done {
            *checkpoint = None;
        }
    }
    Ok(0)
}

/// What a checkpoint met so far.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    is_running: bool,
    evictions: i64,
    images_written: i64,
}

impl Figures {
    fn of(opened: Option<&(Arc<Database>, Session)>, is_running: bool) -> Figures {
        let figure = |name| opened.and_then(|(database, _)| database.statistic(name)).unwrap_or(0);
        Figures {
            is_running,
            evictions: figure("checkpoint_evictions"),
            images_written: figure("checkpoint_images_written"),
        }
    }
}

/// Points that the writes of each step hit, beside those that the trace shows.
fn step_points(steps: &[String], figures: &[Figures]) -> Vec<Vec<CrashPoint>> {
    let mut points = vec![Vec::new(); steps.len()];
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
    /// Every changing call, from opening to closing.
    pub trace: Vec<TracedOperation>,
    /// As [`Attempt::calls_at`].
    pub calls_at: Vec<u64>,
    /// For each step, what its calls hit beside what the trace shows.
    step_points: Vec<Vec<CrashPoint>>,
}

impl Reference {
    /// The points that a call hits because of the step that makes it; calls count from 1.
    pub fn points_of_step(&self, call: u64) -> &[CrashPoint] {
        let step = self.calls_at.windows(2).position(|pair| pair[0] < call && call <= pair[1]);
        step.and_then(|step| self.step_points.get(step)).map_or(&[], Vec::as_slice)
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

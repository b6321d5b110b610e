//! Power losses: a workload is cut off before every changing call, and every disk that could be found is judged.
//!
//! ```text
//! base ──workload, power off at n──▶ disk ──┬─ images (nothing, all, some sectors, a prefix) ─▶ judge
//!                                           ├─ image ─ recovery cut at r ─ again ─ judge, commit, crash ─▶ judge
//!                                           └─ a killed process: reopened as it is, commit ─ images ─▶ judge
//! ```

use crate::points::{CrashPoint, classify};
use crate::scenario::{BACKUP_PATH, DATABASE_PATH, Reference, Report, Scenario};
use crate::state::{State, difference, findings_of, state_of};
use lumos_core::common::random::Random;
use lumos_core::database::Database;
use lumos_core::error::{Error, Result};
use lumos_core::io::fault::{Fault, FaultPlan, FaultVfs, Survival};
use lumos_core::io::vfs::Vfs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

/// The table that commits after a recovery are written to.
const PROBE: &str = "after_recovery";
/// At every how many cuts an image is opened for reading first.
const READ_STRIDE: u64 = 3;
/// More failures than this of one workload say nothing new.
const FAILURES_MAX: usize = 8;

/// How a workload is to be tried.
#[derive(Clone, Copy, Debug)]
pub struct PowerOptions {
    /// Where all choices come from.
    pub seed: u64,
    /// Planted: syncs do nothing.
    pub ignore_syncs: bool,
    /// Images per kind of survival that chooses.
    pub choices: u64,
}

impl Default for PowerOptions {
    fn default() -> PowerOptions {
        PowerOptions { seed: 1, ignore_syncs: false, choices: 2 }
    }
}

/// Cuts a workload off everywhere.
/// # Errors
/// The workload does not even run without a fault.
pub fn run(scenario: &Scenario, options: PowerOptions) -> Result<Report> {
    let reference = scenario.reference()?;
    let base = scenario.base_disk()?;
    let points = classify(&reference.trace, &reference.calls_at);
    let mut report = Report::default();
    let mut random = Random::new(options.seed);
    let mut at = 1 + random.below(scenario.stride);
    loop {
        let disk = base.image_after_power_loss(Survival::Everything, 1);
        disk.ignore_syncs(options.ignore_syncs);
        let plan = FaultPlan { at, fault: Fault::PowerLoss, forever: true };
        let attempt = scenario.attempt(&disk, Some(plan), |_, _| ());
        if disk.faults_shown() == 0 || report.failures.len() >= FAILURES_MAX {
            return Ok(report);
        }
        report.runs += 1;
        for point in points.get(at as usize - 1).into_iter().flatten() {
            report.hit(*point);
        }
        for point in reference.points_of_step(at) {
            report.hit(point);
        }
        let cut = Cut {
            scenario,
            reference: &reference,
            steps: attempt.promised..=attempt.started.min(scenario.steps.len()),
            is_backed_up: scenario
                .backup_steps()
                .is_some_and(|(_, finished)| attempt.acknowledged > finished),
            reads_first: at.is_multiple_of(READ_STRIDE),
            name: format!("{}, seed {}, call {at}", scenario.name, options.seed),
        };
        cut.judge_all(&disk, options, &mut random, &mut report);
        at += scenario.stride;
    }
}

/// A workload that was cut off.
struct Cut<'a> {
    scenario: &'a Scenario,
    reference: &'a Reference,
    /// How many steps may be found done.
    steps: RangeInclusive<usize>,
    /// The backup must be there.
    is_backed_up: bool,
    /// One of the images is opened for reading before.
    reads_first: bool,
    name: String,
}

impl Cut<'_> {
    fn judge_all(&self, disk: &FaultVfs, options: PowerOptions, random: &mut Random, report: &mut Report) {
        let mut survivals = vec![Survival::Nothing, Survival::Everything];
        for _ in 0..options.choices {
            survivals.extend([Survival::Some, Survival::Prefix]);
        }
        for survival in survivals {
            let seed = random.next_u64();
            let image = disk.image_after_power_loss(survival, seed);
            let name = format!("{}, {survival:?} {seed:#x}", self.name);
            report.images += 1;
            let read = self.reads_first && survival == Survival::Some;
            let read = if read { self.read(&image, report) } else { Ok(None) };
            let result = read.and_then(|read| {
                let (_database, steps) = self.judge(&image)?;
                match read.is_none_or(|read| read == self.reference.states[steps]) {
                    true => self.judge_backup(&image),
                    false => Err(Error::internal("opened for reading it was another state")),
                }
            });
            note(report, &name, result);
        }
        let seed = random.next_u64();
        let name = format!("{}, lives {seed:#x}", self.name);
        let image = disk.image_after_power_loss(Survival::Some, seed);
        let result = self.several_lives(image, &mut Random::new(seed), report);
        note(report, &name, result);
        let name = format!("{}, killed {seed:#x}", self.name);
        let result = self.killed(disk, &mut Random::new(seed), report);
        note(report, &name, result);
    }

    /// Opens a disk as it is and says after how many steps it is.
    fn judge(&self, disk: &FaultVfs) -> Result<(Arc<Database>, usize)> {
        let database = self.scenario.open(disk)?;
        let found = state_of(&database)?;
        let findings = findings_of(&database);
        if !findings.is_empty() {
            return Err(Error::internal(format!("verification: {findings:?}")));
        }
        let states = &self.reference.states;
        match self.steps.clone().rev().find(|steps| states[*steps] == found) {
            Some(steps) => Ok((database, steps)),
            None => {
                let close = difference(&found, &states[*self.steps.start()]);
                let at = states.iter().position(|state| *state == found);
                Err(Error::internal(format!(
                    "after {:?} steps: it is the state after {at:?}; {close}",
                    self.steps
                )))
            }
        }
    }

    /// What an image shows to those who only read; it is not changed. `None`: there is no database.
    fn read(&self, image: &FaultVfs, report: &mut Report) -> Result<Option<State>> {
        if !image.exists(Path::new(DATABASE_PATH))? {
            return Ok(None);
        }
        image.set_plan(None);
        let database = self.scenario.open_for_reading(image, DATABASE_PATH)?;
        let state = state_of(&database)?;
        drop(database);
        report.hit(CrashPoint::ReadOnlyAfterCrash);
        match image.calls() {
            0 => Ok(Some(state)),
            calls => Err(Error::internal(format!("reading made {calls} changing calls"))),
        }
    }

    /// A backup is there, or not, and whole.
    fn judge_backup(&self, image: &FaultVfs) -> Result<()> {
        let Some(expected) = &self.reference.backup else { return Ok(()) };
        if !image.exists(Path::new(BACKUP_PATH))? {
            return if self.is_backed_up { Err(Error::internal("the backup is lost")) } else { Ok(()) };
        }
        let database = self.scenario.open_for_reading(image, BACKUP_PATH)?;
        let found = state_of(&database)?;
        let findings = findings_of(&database);
        if found != *expected || !findings.is_empty() {
            let difference = difference(&found, expected);
            return Err(Error::internal(format!("backup: {difference}; verification: {findings:?}")));
        }
        Ok(())
    }

    /// Recovery is cut off twice, then works; a commit; another crash.
    fn several_lives(&self, image: FaultVfs, random: &mut Random, report: &mut Report) -> Result<()> {
        let mut disk = image;
        for _ in 0..2 {
            let at = 1 + random.below(14);
            disk.set_plan(Some(FaultPlan { at, fault: Fault::PowerLoss, forever: true }));
            let opened = self.scenario.open(&disk);
            if disk.faults_shown() > 0 {
                report.hit(CrashPoint::RecoveryCutTwice);
            }
            if let Ok(database) = opened {
                // No clean close: the next life has this one's log before it.
                database.poison(Error::internal("cut off"));
            }
            disk = disk.image_after_power_loss(Survival::Some, random.next_u64());
        }
        report.images += 1;
        let (database, steps) = self.judge(&disk)?;
        let expected = commit_probe(&database, &self.reference.states[steps])?;
        database.poison(Error::internal("cut off"));
        drop(database);
        report.hit(CrashPoint::RecoveredThenCrashed);
        let disk = disk.image_after_power_loss(Survival::Some, random.next_u64());
        report.images += 1;
        self.expect(&disk, &expected)
    }

    /// The process died, not the machine: what it wrote is there, durable or not. A new process recovers from it,
    /// and then the power goes.
    fn killed(&self, disk: &FaultVfs, random: &mut Random, report: &mut Report) -> Result<()> {
        disk.set_plan(None);
        let (database, steps) = self.judge(disk)?;
        let found = self.reference.states[steps].clone();
        report.images += 3;
        report.hit(CrashPoint::KilledThenPowerLoss);
        // What recovery showed to a reader stays, although the first process had not made it durable.
        for survival in [Survival::Nothing, Survival::Some] {
            let image = disk.image_after_power_loss(survival, random.next_u64());
            self.expect(&image, &found)?;
        }
        let expected = commit_probe(&database, &found)?;
        if random.below(2) == 0 {
            database.checkpoint()?;
            let mut session = database.connect()?;
            session.execute_script(&format!("INSERT INTO {PROBE} VALUES (3, repeat('x', 2000))"))?;
            session.execute_script(&format!("DELETE FROM {PROBE} WHERE n = 3"))?;
        }
        database.poison(Error::internal("killed"));
        drop(database);
        self.expect(&disk.image_after_power_loss(Survival::Nothing, 1), &expected)
    }

    fn expect(&self, disk: &FaultVfs, expected: &State) -> Result<()> {
        let database = self.scenario.open(disk)?;
        let found = state_of(&database)?;
        let findings = findings_of(&database);
        if found != *expected || !findings.is_empty() {
            let difference = difference(&found, expected);
            return Err(Error::internal(format!("later life: {difference}; verification: {findings:?}")));
        }
        Ok(())
    }
}

/// Commits to a table of its own; gives the state with it.
fn commit_probe(database: &Arc<Database>, before: &State) -> Result<State> {
    let mut session = database.connect()?;
    session.execute_script(&format!("CREATE TABLE {PROBE} (n bigint PRIMARY KEY, t text)"))?;
    session.execute_script(&format!("INSERT INTO {PROBE} VALUES (1, 'one'), (2, 'two')"))?;
    drop(session);
    let after = state_of(database)?;
    let mut rest = after.clone();
    rest.remove(PROBE);
    if rest != *before {
        return Err(Error::internal("a commit after recovery changed other tables"));
    }
    Ok(after)
}

fn note(report: &mut Report, name: &str, result: Result<()>) {
    if let Err(error) = result {
        report.failures.push(format!("{name}: {error:?}"));
    }
}

//! Too little memory, at every reservation, and a full disk, of every size, met by every kind of statement: the statement
//! is refused with 53200 or 53100 and nothing else, or it does what it should; readers go on meanwhile; the same
//! statement works as soon as there is room; and nothing is lost.

use crate::figures::is_long;
use crate::kinds::{OPEN, is_query};
use crate::scenario::{Report, Running, Scenario};
use crate::state::{State, difference, findings_of, rows, state_of};
use lumos_core::common::memory::refuse_reservation;
use lumos_core::database::Database;
use lumos_core::error::{Error, Result, SqlState};
use lumos_core::io::fault::{FaultVfs, Survival};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// More failures than this of one statement say nothing new.
const FAILURES_MAX: usize = 4;
/// Into so many sizes the room that a statement takes is divided.
const ROOM_STEPS: u64 = 24;
/// After every how many shortages the database is opened again from its files.
const REOPEN_STRIDE: u64 = 4;

/// What there is too little of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortage {
    /// The n-th reservation of memory is refused.
    Memory,
    /// The disk has room for so many bytes more.
    Disk,
}

impl Shortage {
    /// The only error that it may raise.
    pub fn state(self) -> SqlState {
        match self {
            Shortage::Memory => SqlState::OUT_OF_MEMORY,
            Shortage::Disk => SqlState::DISK_FULL,
        }
    }
}

/// What a statement does when there is enough of everything.
struct Expected {
    before: State,
    after: State,
    rows: Vec<String>,
}

/// Carries the only step of a workload out in every shortage there is of one kind.
/// # Errors
/// The workload does not even run without one.
pub fn run(scenario: &Scenario, shortage: Shortage) -> Result<Report> {
    let base = scenario.base_disk()?;
    let step = scenario.steps.first().map_or("", String::as_str);
    let disk = base.image_after_power_loss(Survival::Everything, 1);
    let (expected, room) = if step == OPEN {
        disk.take_bytes_peak();
        let used = disk.bytes_used();
        let state = state_of(&scenario.open(&disk)?)?;
        let expected = Expected { before: state.clone(), after: state, rows: Vec::new() };
        (expected, disk.take_bytes_peak() - used)
    } else {
        let mut running = Running::open(scenario, &disk)?;
        let before = state_of(&running.database)?;
        let used = disk.bytes_used();
        disk.take_bytes_peak();
        let rows = carry_out(&mut running, step)?;
        let room = disk.take_bytes_peak() - used;
        (Expected { before, after: state_of(&running.database)?, rows }, room)
    };
    let mut report = Report::default();
    for number in 0.. {
        let disk = base.image_after_power_loss(Survival::Everything, 1);
        let trial = Trial { scenario, step, shortage, expected: &expected, disk: &disk, number };
        let amount = match shortage {
            Shortage::Memory => number + 1,
            // Without a byte more than there is at the end.
            Shortage::Disk if number > ROOM_STEPS => return Ok(report),
            Shortage::Disk => room * number / ROOM_STEPS,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| trial.run(amount)));
        refuse_reservation(0);
        let name = format!("{}, {shortage:?} {amount}", scenario.name);
        match outcome {
            Ok(Ok(Met::Nothing)) if shortage == Shortage::Memory => return Ok(report),
            Ok(Ok(Met::Nothing)) => {}
            Ok(Ok(Met::Refused)) => (report.runs, report.images) = (report.runs + 1, report.images + 1),
            Ok(Ok(Met::Managed)) => report.runs += 1,
            Ok(Err(error)) => report.failures.push(format!("{name}: {error:?}")),
            Err(_) => report.failures.push(format!("{name}: panic")),
        }
        if report.failures.len() >= FAILURES_MAX {
            return Ok(report);
        }
    }
    Ok(report)
}

/// How a statement met a shortage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Met {
    /// There was none.
    Nothing,
    /// It was refused.
    Refused,
    /// It did without.
    Managed,
}

/// One statement in one shortage.
struct Trial<'a> {
    scenario: &'a Scenario,
    step: &'a str,
    shortage: Shortage,
    expected: &'a Expected,
    disk: &'a FaultVfs,
    number: u64,
}

impl Trial<'_> {
    /// Runs `what` in the shortage; says whether there was one.
    fn short<R>(&self, amount: u64, what: impl FnOnce() -> R) -> (R, bool) {
        match self.shortage {
            Shortage::Memory => {
                refuse_reservation(amount);
                let result = what();
                (result, refuse_reservation(0) == 0)
            }
            Shortage::Disk => {
                self.disk.set_plan(None);
                self.disk.set_capacity(Some(self.disk.bytes_used() + amount));
                let result = what();
                (result, self.disk.faults_shown() > 0)
            }
        }
    }

    fn run(&self, amount: u64) -> Result<Met> {
        if self.step == OPEN {
            return self.run_open(amount);
        }
        let mut running = Running::open(self.scenario, self.disk)?;
        let (result, was_met) = self.short(amount, || carry_out(&mut running, self.step));
        let met = match &result {
            Ok(rows) if *rows != self.expected.rows => return Err(Error::internal("other rows")),
            Ok(_) if was_met => Met::Managed,
            Ok(_) => Met::Nothing,
            Err(error) if error.state() == self.shortage.state() && was_met => Met::Refused,
            Err(error) => return Err(error.clone()),
        };
        if met == Met::Nothing && self.shortage == Shortage::Memory {
            return Ok(met);
        }
        // Where the statement was in a block; outside of one there is nothing to undo.
        let _ = running.session.rollback();
        let state = if result.is_ok() { &self.expected.after } else { &self.expected.before };
        // The disk is still full.
        self.judge(&running.database, state, "at once")?;
        self.disk.set_capacity(None);
        if result.is_err() {
            let rows = carry_out(&mut running, self.step)?;
            if rows != self.expected.rows {
                return Err(Error::internal("other rows the second time"));
            }
            self.judge(&running.database, &self.expected.after, "the second time")?;
        } else {
            running.session.execute_script("CREATE TABLE later (n bigint); DROP TABLE later")?;
        }
        let findings = findings_of(&running.database);
        if !findings.is_empty() {
            return Err(Error::internal(format!("verification: {findings:?}")));
        }
        if self.number.is_multiple_of(REOPEN_STRIDE) || is_long() {
            let image = self.disk.image_after_power_loss(Survival::Nothing, 1);
            drop(running);
            self.judge(&self.scenario.open(&image)?, &self.expected.after, "after a power loss")?;
            self.judge(&self.scenario.open(self.disk)?, &self.expected.after, "opened again")?;
        }
        Ok(met)
    }

    fn run_open(&self, amount: u64) -> Result<Met> {
        let (result, was_met) = self.short(amount, || self.scenario.open(self.disk));
        let met = match result {
            Ok(database) => {
                self.judge(&database, &self.expected.after, "opened")?;
                database.poison(Error::internal("left as a crash leaves it"));
                if was_met { Met::Managed } else { Met::Nothing }
            }
            Err(error) if error.state() == self.shortage.state() && was_met => Met::Refused,
            Err(error) => return Err(error),
        };
        self.disk.set_capacity(None);
        let database = self.scenario.open(self.disk)?;
        self.judge(&database, &self.expected.after, "opened again")?;
        let findings = findings_of(&database);
        if findings.is_empty() {
            Ok(met)
        } else {
            Err(Error::internal(format!("verification: {findings:?}")))
        }
    }

    fn judge(&self, database: &Arc<Database>, expected: &State, when: &str) -> Result<()> {
        let found = state_of(database)?;
        if found == *expected {
            return Ok(());
        }
        Err(Error::internal(format!("{when}: {}", difference(&found, expected))))
    }
}

fn carry_out(running: &mut Running, step: &str) -> Result<Vec<String>> {
    if is_query(step) { rows(&mut running.session, step) } else { running.step(step).map(|()| Vec::new()) }
}

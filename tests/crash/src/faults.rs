//! I/O errors, full disks, short writes and syncs that fail and then lie, at every changing call of a workload.
//! After each: no panic, nothing acknowledged is lost, nothing refused is there, reopening recovers.

use crate::points::{CrashPoint, classify, fault_point};
use crate::scenario::{REOPEN, Reference, Report, Scenario};
use crate::state::{difference, findings_of, state_of};
use lumos_core::error::{Error, Result, SqlState};
use lumos_core::io::fault::{Fault, FaultPlan, FaultVfs, Survival};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The faults of this harness.
pub const FAULTS: [Fault; 4] = [Fault::IoError, Fault::DiskFull, Fault::ShortWrite, Fault::FailedSync];

/// Tries one fault at every call; `forever`: all later calls fail too.
/// # Errors
/// The workload does not even run without a fault.
pub fn run(scenario: &Scenario, fault: Fault, forever: bool) -> Result<Report> {
    let reference = scenario.reference()?;
    let base = scenario.base_disk()?;
    let mut report = Report::default();
    // Where not every call is tried, other faults are tried at other calls.
    let kind = FAULTS.iter().position(|other| *other == fault).unwrap_or(0) as u64 * 2 + u64::from(forever);
    let mut at = 1 + kind % scenario.stride;
    let calls = reference.trace.len() as u64;
    while at <= calls && report.failures.len() < 8 {
        let plan = FaultPlan { at, fault, forever };
        let name = format!("{}, {plan:?}", scenario.name);
        let one = AssertUnwindSafe(|| one_run(scenario, &reference, &base, plan, &mut report));
        match catch_unwind(one) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => report.failures.push(format!("{name}: {error:?}")),
            Err(_) => report.failures.push(format!("{name}: panic")),
        }
        at += scenario.stride;
    }
    Ok(report)
}

fn one_run(
    scenario: &Scenario,
    reference: &Reference,
    base: &FaultVfs,
    plan: FaultPlan,
    report: &mut Report,
) -> Result<()> {
    let disk = base.image_after_power_loss(Survival::Everything, 1);
    let mut complaint = None;
    let mut later_acknowledged = false;
    let attempt = scenario.attempt(&disk, Some(plan), |session, error| {
        // A temporary file may be what there was no room for: then a block is still open.
        let is_full = error.state() == SqlState::DISK_FULL;
        let _none_open = is_full.then(|| session.rollback());
        if is_full && session.execute_script("SELECT 1").is_err() {
            complaint = Some("readers do not go on while the disk is full");
        }
        // Setting it cannot fail; the later commit is to be a durable one.
        let _ = session.execute_script("SET durability = 'full'");
        // The first error is not the end: whoever goes on writing must not be told lies.
        let written = session.execute_script("CREATE TABLE after_fault (n bigint)");
        if written.is_ok() && error.state() == SqlState::TRANSACTION_RESOLUTION_UNKNOWN {
            complaint = Some("a commit was acknowledged after one with an unknown outcome");
        }
        later_acknowledged = written.is_ok();
    });
    if disk.faults_shown() == 0 {
        return Ok(());
    }
    report.runs += 1;
    if let Some(point) = fault_point(reference.calls[plan.at as usize - 1], plan.fault) {
        report.hit(point);
    }
    if reference.points_of_step(plan.at).contains(&CrashPoint::BackupCutOff) {
        report.hit(CrashPoint::BackupFault);
    }
    if let Some(complaint) = complaint {
        return Err(Error::internal(complaint));
    }
    // Only a sync of a segment that holds nothing yet may fail without ending everything: its file is made anew.
    // And a close may meet one: what is opened after it has recovered.
    let is_final = plan.fault == Fault::FailedSync
        && !scenario.steps.iter().any(|sql| sql == REOPEN)
        && classify(&reference.trace, &reference.calls_at)[plan.at as usize - 1].iter().any(|point| {
            matches!(
                point,
                CrashPoint::BeforeDataSync | CrashPoint::SlotNotSynced | CrashPoint::AppliedNotDurable
            )
        });
    if is_final && (later_acknowledged || (attempt.error.is_none() && disk.calls() > plan.at + 4)) {
        return Err(Error::internal("the database goes on after a failed sync"));
    }
    let steps = attempt.promised..=attempt.possible();
    for survival in [Survival::Nothing, Survival::Some] {
        let image = disk.image_after_power_loss(survival, plan.at);
        report.images += 1;
        judge(scenario, reference, &image, &steps, later_acknowledged)?;
    }
    // The process ends, the machine does not; what reopening shows must then survive a power loss as well.
    disk.set_plan(None);
    report.images += 2;
    let shown = judge(scenario, reference, &disk, &steps, later_acknowledged)?;
    let image = disk.image_after_power_loss(Survival::Nothing, 1);
    judge(scenario, reference, &image, &(shown..=shown), later_acknowledged)?;
    Ok(())
}

/// After how many steps the disk is. The database is left as a crash leaves it.
fn judge(
    scenario: &Scenario,
    reference: &Reference,
    disk: &FaultVfs,
    steps: &RangeInclusive<usize>,
    later_acknowledged: bool,
) -> Result<usize> {
    let database = scenario.open(disk)?;
    let mut found = state_of(&database)?;
    let findings = findings_of(&database);
    database.poison(Error::internal("judged"));
    if !findings.is_empty() {
        return Err(Error::internal(format!("verification: {findings:?}")));
    }
    let later = found.remove("after_fault");
    if later_acknowledged && later.is_none() {
        return Err(Error::internal("a commit acknowledged after the fault is lost"));
    }
    let states = &reference.states;
    // The later table was made by a transaction of its own; the state without it is that of a step.
    steps.clone().rev().find(|step| states[*step] == found).ok_or_else(|| {
        let at = states.iter().position(|state| *state == found);
        let difference = difference(&found, &states[*steps.start()]);
        Error::internal(format!("after {steps:?} steps: it is the state after {at:?}; {difference}"))
    })
}

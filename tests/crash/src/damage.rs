//! Writes that are lost and read back stale, and bits that flip: what is damaged is said to be, and nobody is shown a
//! wrong row. Knows what calls are to the database; knows nothing of how they are made.

use crate::points::{Call, CrashPoint, fault_point};
use crate::scenario::{DATABASE_PATH, Reference, Report, Scenario};
use crate::state::{State, difference, findings_of, state_of};
use lumos_core::common::random::Random;
use lumos_core::error::{Error, Result, SqlState};
use lumos_core::io::fault::{Fault, FaultPlan, FaultVfs, Survival};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Those that damage must hit.
pub const DAMAGE_POINTS: [CrashPoint; 8] = [
    CrashPoint::LostPageWrite,
    CrashPoint::LostSlotWrite,
    CrashPoint::LostLogWrite,
    CrashPoint::FlippedSlot,
    CrashPoint::FlippedMap,
    CrashPoint::FlippedPage,
    CrashPoint::FlippedLogMiddle,
    CrashPoint::FlippedLogTail,
];

const SLOTS: [usize; 4] = [16 << 10, 32 << 10, 48 << 10, 64 << 10];
const SLOT_BYTES: usize = 128;
const BLOCKS_START: usize = 128 << 10;
const MAP_MAGIC: &[u8] = b"LMAP";
/// More failures than this of one workload say nothing new.
const FAILURES_MAX: usize = 8;

/// What damage came to.
enum Found {
    /// It was reported.
    Noticed,
    /// It changed nothing: there was a second copy, or nobody uses what was damaged.
    Harmless,
    /// The last commit is missing, which nothing is left to tell of.
    LastLost,
}

/// Loses each write of a workload, one at a time. `runs` of the report are lost writes, `images` those reported.
/// # Errors
/// The workload does not even run without a fault.
pub fn lost_writes(scenario: &Scenario) -> Result<Report> {
    let mut report = Report::default();
    for crashes_at_end in [false, true] {
        let scenario = Scenario { crashes_at_end, ..scenario.clone() };
        let reference = scenario.reference()?;
        let base = scenario.base_disk()?;
        let last_frame = reference.calls.iter().rposition(|call| *call == Call::Frame);
        for (index, call) in reference.calls.iter().enumerate() {
            let Some(point) = fault_point(*call, Fault::LostWrite) else { continue };
            let at = index as u64 + 1;
            report.hit(point);
            report.runs += 1;
            let disk = base.image_after_power_loss(Survival::Everything, 1);
            let one = AssertUnwindSafe(|| lose(&scenario, &reference, &disk, at, last_frame == Some(index)));
            let name =
                format!("{}, {point:?} at call {at}, crash at the end: {crashes_at_end}", scenario.name);
            note(&mut report, &name, catch_unwind(one));
        }
    }
    Ok(report)
}

fn note(report: &mut Report, name: &str, outcome: std::thread::Result<Result<Found>>) {
    match outcome {
        Ok(Ok(Found::Noticed)) => report.images += 1,
        Ok(Ok(Found::Harmless | Found::LastLost)) => {}
        Ok(Err(error)) => report.failures.push(format!("{name}: {error:?}")),
        Err(_) => report.failures.push(format!("{name}: panic")),
    }
}

fn lose(
    scenario: &Scenario,
    reference: &Reference,
    disk: &FaultVfs,
    at: u64,
    is_last: bool,
) -> Result<Found> {
    let attempt =
        scenario.attempt(disk, Some(FaultPlan { at, fault: Fault::LostWrite, forever: false }), |_, _| ());
    disk.set_plan(None);
    if let Some(error) = attempt.error {
        return if is_damage(&error) { Ok(Found::Noticed) } else { Err(error) };
    }
    let states = &reference.states;
    let last = states.len() - 1;
    let older = if is_last { &states[last.saturating_sub(1)..last] } else { &[] };
    judge(scenario, disk, &states[last], older)
}

/// A damaged database: its last state, or one of `older` without the last commit.
fn judge(scenario: &Scenario, disk: &FaultVfs, expected: &State, older: &[State]) -> Result<Found> {
    let opened = scenario.open(disk).and_then(|database| Ok((state_of(&database)?, database)));
    let (found, database) = match opened {
        Ok(opened) => opened,
        Err(error) if is_damage(&error) => return Ok(Found::Noticed),
        Err(error) => return Err(error),
    };
    let findings = findings_of(&database);
    database.poison(Error::internal("judged"));
    if found == *expected {
        return Ok(if findings.is_empty() { Found::Harmless } else { Found::Noticed });
    }
    if older.contains(&found) && findings.is_empty() {
        return Ok(Found::LastLost);
    }
    Err(Error::internal(format!("wrong rows: {}; verification: {findings:?}", difference(&found, expected))))
}

/// Damage, or something that a newer release may have written.
fn is_damage(error: &Error) -> bool {
    [SqlState::DATA_CORRUPTED, SqlState::FEATURE_NOT_SUPPORTED].contains(&error.state())
}

/// Flips `count` bits of each part of what a crash leaves after a workload, one at a time.
/// # Errors
/// The workload does not even run without a fault.
pub fn flipped_bits(scenario: &Scenario, seed: u64, count: u64) -> Result<Report> {
    let scenario = Scenario { crashes_at_end: true, ..scenario.clone() };
    let states = scenario.reference()?.states;
    let disk = scenario.base_disk()?;
    if let Some(error) = scenario.attempt(&disk, None, |_, _| ()).error {
        return Err(error);
    }
    let parts = parts_of(&scenario, &disk);
    let mut report = Report::default();
    let mut random = Random::new(seed);
    let last = states.len() - 1;
    for (point, ranges) in parts {
        for _ in 0..count {
            let Some((path, range)) = ranges.get(random.below(ranges.len().max(1) as u64) as usize) else {
                break;
            };
            let at = range.start + random.below(range.len() as u64) as usize;
            let bit = random.below(8);
            let image = disk.image_after_power_loss(Survival::Everything, 1);
            let byte = image.bytes_of(path).and_then(|bytes| bytes.get(at).copied()).unwrap_or(0);
            image.damage(path, at, &[byte ^ 1 << bit]);
            report.hit(point);
            report.runs += 1;
            let older = if point == CrashPoint::FlippedLogTail { &states[last - 1..last] } else { &[] };
            let one = AssertUnwindSafe(|| judge(&scenario, &image, &states[last], older));
            let name = format!(
                "{}, seed {seed}, {point:?} byte {at} bit {bit} of {}",
                scenario.name,
                path.display()
            );
            note(&mut report, &name, catch_unwind(one));
            if report.failures.len() >= FAILURES_MAX {
                return Ok(report);
            }
        }
    }
    Ok(report)
}

/// A file, and which of its bytes.
type Part = (PathBuf, Range<usize>);

/// Where the parts of a database lie that a crash left.
fn parts_of(scenario: &Scenario, disk: &FaultVfs) -> Vec<(CrashPoint, Vec<Part>)> {
    let path = Path::new(DATABASE_PATH);
    let bytes = disk.bytes_of(path).unwrap_or_default();
    let is_used = |range: &Range<usize>| {
        bytes.get(range.clone()).is_some_and(|part| part.iter().any(|byte| *byte != 0))
    };
    let slots = SLOTS.map(|start| start..start + SLOT_BYTES);
    let blocks = (BLOCKS_START..bytes.len())
        .step_by(scenario.page_size)
        .map(|start| start..start + scenario.page_size);
    let (maps, pages): (Vec<_>, Vec<_>) =
        blocks.filter(is_used).partition(|block| &bytes[block.start + 4..block.start + 8] == MAP_MAGIC);
    let here =
        |ranges: Vec<Range<usize>>| ranges.into_iter().map(|range| (path.to_path_buf(), range)).collect();
    // Frames that were written and are still there, in the order they were written.
    let mut frames: Vec<Part> = Vec::new();
    let trace = disk.take_trace();
    for (operation, call) in trace.iter().zip(crate::points::calls_of(&trace)) {
        let from = operation.offset as usize;
        let content = disk.bytes_of(&operation.path).unwrap_or_default();
        // Zeros are written ahead.
        let written = content.get(from..from + operation.bytes).unwrap_or_default();
        let Some(used) = written.iter().rposition(|byte| *byte != 0) else { continue };
        if call == Call::Frame {
            frames.push((operation.path.clone(), from..from + used + 1));
        }
    }
    // One that was written over what was ahead of it belongs to the later write alone.
    let tail = frames.pop().into_iter().collect::<Vec<_>>();
    if let Some((path, range)) = tail.first() {
        for (other, frame) in &mut frames {
            if other == path {
                frame.end = frame.end.min(range.start);
            }
        }
    }
    frames.retain(|(_, range)| !range.is_empty());
    vec![
        (CrashPoint::FlippedSlot, here(slots.into_iter().filter(is_used).collect())),
        (CrashPoint::FlippedMap, here(maps)),
        (CrashPoint::FlippedPage, here(pages)),
        (CrashPoint::FlippedLogMiddle, frames),
        (CrashPoint::FlippedLogTail, tail),
    ]
}

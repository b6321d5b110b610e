//! The crash points of the storage design, by name, and which of them a cut in a trace of calls hits.
//! Knows the names of files and where slots and segment headers lie.

use lumos_core::io::fault::{OperationKind, TracedOperation};
use std::collections::{BTreeMap, BTreeSet};

/// A place in the life of a database where the power can go. The numbers are those of the design.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CrashPoint {
    /// 1: a step of making the database file.
    FileCreation,
    /// 2: a log segment is made.
    SegmentCreate,
    /// 2: a log segment that is not needed is used again, with stale frames in it.
    SegmentRecycle,
    /// 2: a log segment is removed.
    SegmentRemove,
    /// 3: a frame of several sectors is unsynced.
    MidFrame,
    /// 3: several frames are unsynced, so that one may be lost before another.
    HoleBetweenFrames,
    /// 4: appended, nothing written.
    AppendedNotWritten,
    /// 5: pages that a commit is changing have gone to the file, its frame has not.
    HalfApplied,
    /// 6: applied in memory and written to the log, not durable.
    AppliedNotDurable,
    /// 7: durable, not acknowledged.
    DurableNotAcknowledged,
    /// 9: in the commits before and after the cut of a checkpoint, and at the cut.
    AroundTheCut,
    /// 10: between writes of pages and of the map.
    PageAndMapWrites,
    /// 11: before the data sync.
    BeforeDataSync,
    /// 11: after it.
    AfterDataSync,
    /// 12: one copy of the slot is written.
    SlotOneCopy,
    /// 12, 13: both copies are written, neither is synced.
    SlotNotSynced,
    /// 14: the slot is durable, old blocks and segments are not given back.
    AfterFlip,
    /// 14: a block that an older checkpoint used is written again.
    BlockReuse,
    /// 15: a page that the running checkpoint has not written is evicted. No workload is sure to get there.
    EvictionOfOldPage,
    /// 16: there is no memory for a pre-image: the commit writes the page. No workload is sure to get there; the tests
    /// of storage do.
    PreImagesExhausted,
    /// 20: recovery behind a tear, commits, and another crash.
    RecoveredThenCrashed,
    /// 20: recovery is cut off twice.
    RecoveryCutTwice,
    /// 26 with 2: a killed process, a recovery from what the system had, a power loss.
    KilledThenPowerLoss,
}

/// Those that the workloads must hit.
pub const CRASH_POINTS: [CrashPoint; 21] = [
    CrashPoint::FileCreation,
    CrashPoint::SegmentCreate,
    CrashPoint::SegmentRecycle,
    CrashPoint::SegmentRemove,
    CrashPoint::MidFrame,
    CrashPoint::HoleBetweenFrames,
    CrashPoint::AppendedNotWritten,
    CrashPoint::HalfApplied,
    CrashPoint::AppliedNotDurable,
    CrashPoint::DurableNotAcknowledged,
    CrashPoint::AroundTheCut,
    CrashPoint::PageAndMapWrites,
    CrashPoint::BeforeDataSync,
    CrashPoint::AfterDataSync,
    CrashPoint::SlotOneCopy,
    CrashPoint::SlotNotSynced,
    CrashPoint::AfterFlip,
    CrashPoint::BlockReuse,
    CrashPoint::RecoveredThenCrashed,
    CrashPoint::RecoveryCutTwice,
    CrashPoint::KilledThenPowerLoss,
];

const SECTOR_BYTES: usize = 512;
const FRAMES_START: u64 = 4096;
const BLOCKS_START: u64 = 128 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    Creation,
    SegmentFile,
    SegmentRename,
    SegmentRemove,
    Frame,
    FrameSync,
    Growth,
    /// Of a page or a map page.
    Block,
    DataSync,
    Slot,
    SlotSync,
    Other,
}

/// For each call of a trace, the points that a power loss instead of it hits.
pub fn classify(trace: &[TracedOperation], calls_at: &[u64]) -> Vec<Vec<CrashPoint>> {
    let mut calls = Vec::with_capacity(trace.len());
    let mut points = Vec::with_capacity(trace.len());
    // Frames written and not synced, by file: how many, and the longest.
    let mut unsynced: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut is_slot_pending = false;
    let (mut written, mut written_since_flip) = (BTreeSet::new(), BTreeSet::new());
    for operation in trace {
        let path = operation.path.to_string_lossy().into_owned();
        let mut here = Vec::new();
        let before = calls.last().copied();
        let call = if path.contains("-wal") {
            match operation.kind {
                OperationKind::Write if operation.offset >= FRAMES_START => {
                    let entry = unsynced.entry(path).or_default();
                    *entry = (entry.0 + 1, entry.1.max(operation.bytes));
                    Call::Frame
                }
                OperationKind::Sync => match unsynced.remove(&path) {
                    Some((count, longest)) => {
                        if longest > SECTOR_BYTES {
                            here.push(CrashPoint::MidFrame);
                        }
                        if count > 1 {
                            here.push(CrashPoint::HoleBetweenFrames);
                        }
                        Call::FrameSync
                    }
                    None => Call::SegmentFile,
                },
                OperationKind::Rename => Call::SegmentRename,
                OperationKind::Remove => Call::SegmentRemove,
                _ => Call::SegmentFile,
            }
        } else if path.ends_with("-new") {
            Call::Creation
        } else {
            match operation.kind {
                OperationKind::SyncFolder if before == Some(Call::Creation) => Call::Creation,
                OperationKind::Resize => Call::Growth,
                OperationKind::Write if operation.offset < BLOCKS_START => Call::Slot,
                OperationKind::Write => Call::Block,
                OperationKind::Sync if is_slot_pending => Call::SlotSync,
                OperationKind::Sync => Call::DataSync,
                _ => Call::Other,
            }
        };
        match call {
            Call::Slot => is_slot_pending = true,
            Call::SlotSync => {
                is_slot_pending = false;
                written.append(&mut written_since_flip);
            }
            Call::Block => {
                if written.contains(&operation.offset) {
                    here.push(CrashPoint::BlockReuse);
                }
                written_since_flip.insert(operation.offset);
            }
            _ => {}
        }
        here.extend(match call {
            Call::Creation => Some(CrashPoint::FileCreation),
            Call::SegmentFile if before == Some(Call::SegmentRename) => Some(CrashPoint::SegmentRecycle),
            Call::SegmentFile => Some(CrashPoint::SegmentCreate),
            Call::SegmentRename => Some(CrashPoint::SegmentRecycle),
            Call::SegmentRemove => Some(CrashPoint::SegmentRemove),
            Call::Frame => Some(CrashPoint::AppendedNotWritten),
            Call::FrameSync => Some(CrashPoint::AppliedNotDurable),
            Call::DataSync => Some(CrashPoint::BeforeDataSync),
            Call::Slot if before == Some(Call::Slot) => Some(CrashPoint::SlotOneCopy),
            Call::SlotSync => Some(CrashPoint::SlotNotSynced),
            Call::Slot | Call::Block | Call::Growth | Call::Other => None,
        });
        here.extend(match before {
            Some(Call::FrameSync) => Some(CrashPoint::DurableNotAcknowledged),
            Some(Call::DataSync) => Some(CrashPoint::AfterDataSync),
            Some(Call::SlotSync) => Some(CrashPoint::AfterFlip),
            _ => None,
        });
        calls.push(call);
        points.push(here);
    }
    for index in 0..calls.len() {
        if calls[index] == Call::Block {
            points[index].push(block_point(&calls, index, calls_at));
        }
    }
    points
}

/// A block is written by a checkpoint, or by an eviction while a commit applies: then the frame's sync follows.
fn block_point(calls: &[Call], index: usize, calls_at: &[u64]) -> CrashPoint {
    for (later, call) in calls.iter().enumerate().skip(index + 1) {
        match call {
            Call::FrameSync => return CrashPoint::HalfApplied,
            Call::DataSync => break,
            _ if calls_at.contains(&(later as u64)) => break,
            _ => {}
        }
    }
    CrashPoint::PageAndMapWrites
}

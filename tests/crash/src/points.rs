//! The crash and fault points of the storage design, by name, and which of them a cut or a fault in a trace of calls
//! hits. Knows the names of files and where slots and segment headers lie.

use crate::scenario::DATABASE_PATH;
use lumos_core::io::fault::{Fault, OperationKind, TracedOperation};
use std::collections::{BTreeMap, BTreeSet};

/// A place in the life of a database where the power can go, or something else.
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
    /// 8: chunks of a transaction are written, the frame that makes them count is not.
    ChunksWithoutCommit,
    /// 8: a statement of a large transaction fails, and what it did is undone.
    StatementFailure,
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
    /// 13: both copies are written, neither is synced.
    SlotNotSynced,
    /// 14: the slot is durable, old blocks and segments are not given back.
    AfterFlip,
    /// 14: a block that an older checkpoint used is written again.
    BlockReuse,
    /// 15: a page that the running checkpoint has not written is evicted.
    EvictionOfOldPage,
    /// 16: there is no memory for a pre-image: the commit writes the page.
    PreImagesExhausted,
    /// 17: pages of a tree that nothing names yet are being written.
    BulkWithoutLink,
    /// 17: they are durable, the link is not in the log.
    BulkNotLinked,
    /// 18: a table is made, filled and dropped in one transaction.
    CreatedAndDropped,
    /// 20: recovery behind a tear, commits, and another crash.
    RecoveredThenCrashed,
    /// 20: recovery is cut off twice.
    RecoveryCutTwice,
    /// 21: writing or syncing the log fails.
    ErrorInLog,
    /// 21: writing or syncing pages fails.
    ErrorInData,
    /// 21: writing or syncing a slot fails.
    ErrorInSlot,
    /// 22: no room for the log.
    FullLog,
    /// 22: no room for a checkpoint's pages.
    FullCheckpoint,
    /// 22: no room for temporary files.
    FullTemporary,
    /// 23: the write of a page or of the map is lost and read back stale.
    LostPageWrite,
    /// 23: the write of a slot is lost and read back stale.
    LostSlotWrite,
    /// 23: the write of a frame is lost and read back stale.
    LostLogWrite,
    /// 24: a bit of a slot is flipped.
    FlippedSlot,
    /// 24: a bit of a map page is flipped.
    FlippedMap,
    /// 24: a bit of a page is flipped.
    FlippedPage,
    /// 24: a bit of the log is flipped before frames that knew it durable.
    FlippedLogMiddle,
    /// 24: a bit of the log's last frame is flipped.
    FlippedLogTail,
    /// 25: the power goes while a backup is under way.
    BackupCutOff,
    /// 25: a call fails while a backup is under way.
    BackupFault,
    /// 26: a process that commits is killed on the real file system.
    KilledProcess,
    /// 26: a killed process, a recovery from what the system had, a power loss.
    KilledThenPowerLoss,
    /// 27: a second process opens the file while the first one writes.
    SecondOpen,
    /// 27: a file that a crash left is opened for reading.
    ReadOnlyAfterCrash,
}

/// Every one that this crate's harnesses hit: its number in the design, and what happens there.
pub const CRASH_POINTS: &[(CrashPoint, u8, &str)] = &[
    (CrashPoint::FileCreation, 1, "a step of making the database file"),
    (CrashPoint::SegmentCreate, 2, "a log segment is made"),
    (
        CrashPoint::SegmentRecycle,
        2,
        "a log segment that is not needed is used again, with stale frames in it",
    ),
    (CrashPoint::SegmentRemove, 2, "a log segment is removed"),
    (CrashPoint::MidFrame, 3, "a frame of several sectors is unsynced"),
    (CrashPoint::HoleBetweenFrames, 3, "several frames are unsynced, so that one may be lost before another"),
    (CrashPoint::AppendedNotWritten, 4, "appended, nothing written"),
    (CrashPoint::HalfApplied, 5, "pages that a commit is changing have gone to the file, its frame has not"),
    (CrashPoint::AppliedNotDurable, 6, "applied in memory and written to the log, not durable"),
    (CrashPoint::DurableNotAcknowledged, 7, "durable, not acknowledged"),
    (
        CrashPoint::ChunksWithoutCommit,
        8,
        "chunks of a transaction are written, the frame that makes them count is not",
    ),
    (CrashPoint::StatementFailure, 8, "a statement of a large transaction fails, and what it did is undone"),
    (CrashPoint::AroundTheCut, 9, "in the commits before and after the cut of a checkpoint, and at the cut"),
    (CrashPoint::PageAndMapWrites, 10, "between writes of pages and of the map"),
    (CrashPoint::BeforeDataSync, 11, "before the data sync"),
    (CrashPoint::AfterDataSync, 11, "after it"),
    (CrashPoint::SlotOneCopy, 12, "one copy of the slot is written"),
    (CrashPoint::SlotNotSynced, 13, "both copies are written, neither is synced"),
    (CrashPoint::AfterFlip, 14, "the slot is durable, old blocks and segments are not given back"),
    (CrashPoint::BlockReuse, 14, "a block that an older checkpoint used is written again"),
    (CrashPoint::EvictionOfOldPage, 15, "a page that the running checkpoint has not written is evicted"),
    (CrashPoint::PreImagesExhausted, 16, "there is no memory for a pre-image: the commit writes the page"),
    (CrashPoint::BulkWithoutLink, 17, "pages of a tree that nothing names yet are being written"),
    (CrashPoint::BulkNotLinked, 17, "they are durable, the link is not in the log"),
    (CrashPoint::CreatedAndDropped, 18, "a table is made, filled and dropped in one transaction"),
    (CrashPoint::RecoveredThenCrashed, 20, "recovery behind a tear, commits, and another crash"),
    (CrashPoint::RecoveryCutTwice, 20, "recovery is cut off twice"),
    (CrashPoint::ErrorInLog, 21, "writing or syncing the log fails"),
    (CrashPoint::ErrorInData, 21, "writing or syncing pages fails"),
    (CrashPoint::ErrorInSlot, 21, "writing or syncing a slot fails"),
    (CrashPoint::FullLog, 22, "no room for the log"),
    (CrashPoint::FullCheckpoint, 22, "no room for a checkpoint's pages"),
    (CrashPoint::FullTemporary, 22, "no room for temporary files"),
    (CrashPoint::LostPageWrite, 23, "the write of a page or of the map is lost and read back stale"),
    (CrashPoint::LostSlotWrite, 23, "the write of a slot is lost and read back stale"),
    (CrashPoint::LostLogWrite, 23, "the write of a frame is lost and read back stale"),
    (CrashPoint::FlippedSlot, 24, "a bit of a slot is flipped"),
    (CrashPoint::FlippedMap, 24, "a bit of a map page is flipped"),
    (CrashPoint::FlippedPage, 24, "a bit of a page is flipped"),
    (CrashPoint::FlippedLogMiddle, 24, "a bit of the log is flipped before frames that knew it durable"),
    (CrashPoint::FlippedLogTail, 24, "a bit of the log's last frame is flipped"),
    (CrashPoint::BackupCutOff, 25, "the power goes while a backup is under way"),
    (CrashPoint::BackupFault, 25, "a call fails while a backup is under way"),
    (CrashPoint::KilledProcess, 26, "a process that commits is killed on the real file system"),
    (
        CrashPoint::KilledThenPowerLoss,
        26,
        "a killed process, a recovery from what the system had, a power loss",
    ),
    (CrashPoint::SecondOpen, 27, "a second process opens the file while the first one writes"),
    (CrashPoint::ReadOnlyAfterCrash, 27, "a file that a crash left is opened for reading"),
];

/// Those that power losses must hit.
pub const POWER_POINTS: [CrashPoint; 30] = [
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
    CrashPoint::ChunksWithoutCommit,
    CrashPoint::StatementFailure,
    CrashPoint::AroundTheCut,
    CrashPoint::PageAndMapWrites,
    CrashPoint::BeforeDataSync,
    CrashPoint::AfterDataSync,
    CrashPoint::SlotOneCopy,
    CrashPoint::SlotNotSynced,
    CrashPoint::AfterFlip,
    CrashPoint::BlockReuse,
    CrashPoint::EvictionOfOldPage,
    CrashPoint::PreImagesExhausted,
    CrashPoint::BulkWithoutLink,
    CrashPoint::BulkNotLinked,
    CrashPoint::CreatedAndDropped,
    CrashPoint::RecoveredThenCrashed,
    CrashPoint::RecoveryCutTwice,
    CrashPoint::BackupCutOff,
    CrashPoint::KilledThenPowerLoss,
    CrashPoint::ReadOnlyAfterCrash,
];

/// Those that failing calls must hit.
pub const FAULT_POINTS: [CrashPoint; 7] = [
    CrashPoint::ErrorInLog,
    CrashPoint::ErrorInData,
    CrashPoint::ErrorInSlot,
    CrashPoint::FullLog,
    CrashPoint::FullCheckpoint,
    CrashPoint::FullTemporary,
    CrashPoint::BackupFault,
];

const SECTOR_BYTES: usize = 512;
const FRAMES_START: u64 = 4096;
const BLOCKS_START: u64 = 128 << 10;

/// What a changing call is to the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// A step of making the file.
    Creation,
    /// A segment is made, given space or synced while it holds no frame.
    SegmentFile,
    /// A segment gets the name of its next life.
    SegmentRename,
    /// A segment is removed.
    SegmentRemove,
    /// A frame is written.
    Frame,
    /// Frames are synced.
    FrameSync,
    /// The file grows or is cut.
    Growth,
    /// Of a temporary file.
    Temporary,
    /// Of a page or a map page.
    Block,
    /// Pages are synced.
    DataSync,
    /// A slot is written.
    Slot,
    /// The slot is synced.
    SlotSync,
    /// Anything else.
    Other,
}

/// For each call of a trace, the points that a power loss instead of it hits.
pub fn classify(trace: &[TracedOperation], calls_at: &[u64]) -> Vec<Vec<CrashPoint>> {
    classify_calls(trace, calls_at).1
}

/// For each call of a trace, what it is.
pub fn calls_of(trace: &[TracedOperation]) -> Vec<Call> {
    classify_calls(trace, &[]).0
}

/// The point that a failing call of this kind hits.
pub fn fault_point(call: Call, fault: Fault) -> Option<CrashPoint> {
    match (fault, call) {
        (Fault::DiskFull, Call::Frame | Call::SegmentFile | Call::SegmentRename) => Some(CrashPoint::FullLog),
        (Fault::DiskFull, Call::Growth | Call::Block | Call::Slot) => Some(CrashPoint::FullCheckpoint),
        (Fault::DiskFull, Call::Temporary) => Some(CrashPoint::FullTemporary),
        (Fault::IoError | Fault::ShortWrite | Fault::FailedSync, call) => match call {
            Call::Frame | Call::FrameSync => Some(CrashPoint::ErrorInLog),
            Call::Block | Call::DataSync => Some(CrashPoint::ErrorInData),
            Call::Slot | Call::SlotSync => Some(CrashPoint::ErrorInSlot),
            _ => None,
        },
        (Fault::LostWrite, Call::Frame) => Some(CrashPoint::LostLogWrite),
        (Fault::LostWrite, Call::Block) => Some(CrashPoint::LostPageWrite),
        (Fault::LostWrite, Call::Slot) => Some(CrashPoint::LostSlotWrite),
        _ => None,
    }
}

fn classify_calls(trace: &[TracedOperation], calls_at: &[u64]) -> (Vec<Call>, Vec<Vec<CrashPoint>>) {
    let mut calls = Vec::with_capacity(trace.len());
    let mut points: Vec<Vec<CrashPoint>> = Vec::with_capacity(trace.len());
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
        } else if path.contains("-tmp") {
            Call::Temporary
        } else if !path.starts_with(DATABASE_PATH) && operation.kind != OperationKind::SyncFolder {
            Call::Other
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
            Call::Slot | Call::Block | Call::Growth | Call::Temporary | Call::Other => None,
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
        if calls[index] == Call::Frame && is_link(&calls, index) {
            points[index].push(CrashPoint::BulkNotLinked);
        }
        if calls[index] == Call::Block {
            points[index].push(block_point(&calls, index, calls_at));
        }
    }
    (calls, points)
}

/// Whether a frame comes right behind a sync of the database file: it links what that made durable. A checkpoint's sync
/// is followed by its slot.
fn is_link(calls: &[Call], frame: usize) -> bool {
    let before = calls[..frame].iter().rev();
    let mut before =
        before.filter(|call| !matches!(call, Call::SegmentFile | Call::SegmentRename | Call::Frame));
    before.next() == Some(&Call::DataSync)
}

/// A block is written by a checkpoint, by a bulk load (then a sync and the frame that links it follow), or by an eviction while a commit applies: then the frame's sync follows.
fn block_point(calls: &[Call], index: usize, calls_at: &[u64]) -> CrashPoint {
    for (later, call) in calls.iter().enumerate().skip(index + 1) {
        match call {
            Call::FrameSync => return CrashPoint::HalfApplied,
            Call::DataSync
                if calls[later + 1..]
                    .iter()
                    .position(|call| *call == Call::Frame)
                    .is_some_and(|frame| is_link(calls, later + 1 + frame)) =>
            {
                return CrashPoint::BulkWithoutLink;
            }
            Call::DataSync => break,
            _ if calls_at.contains(&(later as u64)) => break,
            _ => {}
        }
    }
    CrashPoint::PageAndMapWrites
}

//! Faults that the crash harness and the history checker plant, to show that they report them. Outside builds for that purpose (the feature
//! `planted-faults`, which only their own tests turn on) the question is a constant: it costs nothing and
//! cannot be answered with yes. Knows no layer.

#[cfg(feature = "planted-faults")]
use std::sync::atomic::{AtomicU32, Ordering};

/// A mistake that an engine could make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlantedFault {
    /// A checkpoint writes its slot before its pages are synced.
    SlotBeforeData = 1,
    /// Recovery takes a frame without comparing its payload's checksum.
    FrameChecksumIgnored = 2,
    /// A block is free as soon as memory's map leaves it, while the durable checkpoint still names it.
    BlocksFreedEarly = 4,
    /// A writer changes a page that the running checkpoint has not written yet, and does not save it first.
    PreImageNotSaved = 8,
    /// A writer does not ask which checkpoints other processes read, and uses their blocks again.
    ReadersIgnored = 16,
    /// A page is taken without comparing its checksum.
    PageChecksumIgnored = 32,
    /// A commit is logged without setting aside the blocks that its apply will need.
    SpaceNotReserved = 64,
    /// A statement that fails is committed as far as it came.
    FailureCommitted = 128,
    /// A transaction that keeps its snapshot takes a new one with each statement.
    SnapshotTakenLate = 256,
    /// A serializable transaction forgets which ranges it scanned.
    RangeReadsNotRecorded = 512,
    /// A commit lets go of its locks before anybody can see it.
    LocksReleasedEarly = 1024,
    /// Of the versions that are newer than a snapshot, a reader takes the newest instead of the oldest.
    VersionSkipped = 2048,
    /// A deleted row's place is purged at once, although older snapshots see the row.
    GhostPurgedEarly = 4096,
    /// The horizon does not wait for a snapshot that is being taken.
    HorizonIgnoresMarks = 8192,
    /// A commit is published as soon as it is applied, whatever those before it do.
    PublishedOutOfOrder = 16384,
    /// A checkpoint cuts without waiting for the commits that apply.
    GateOverrun = 32768,
    /// Whoever waited for a sync takes any sync for his own.
    SyncNotAwaited = 65536,
    /// A lock is given back and nobody who waits for it is told.
    WaiterForgotten = 131_072,
    /// A statement is to stop, and nobody wakes the thread that sleeps for it.
    InterruptUnheard = 262_144,
    /// An UPDATE tells serializable readers that it leaves every column as it was.
    ChangedColumnsForgotten = 524_288,
    /// An exclusive holder of a latch is counted only when it gives the latch back.
    LatchCountedLate = 1_048_576,
}

#[cfg(feature = "planted-faults")]
static PLANTED: AtomicU32 = AtomicU32::new(0);

/// Makes exactly this mistake from now on, in the whole process; `None`: none.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<PlantedFault>) {
    PLANTED.store(fault.map_or(0, |fault| fault as u32), Ordering::SeqCst);
}

/// Whether the mistake is to be made.
#[cfg(feature = "planted-faults")]
pub fn is_planted(fault: PlantedFault) -> bool {
    PLANTED.load(Ordering::SeqCst) & fault as u32 != 0
}

/// Whether the mistake is to be made: never.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub const fn is_planted(_: PlantedFault) -> bool {
    false
}

//! Shared/exclusive latches: short, never held across I/O waits of others, never ordered against row locks.

use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::common::sync::{RawLock as _, RawRwLock, free_raw_lock};

/// A latch without data: what it protects is named where it is used. 16 bytes, no poisoning.
pub struct Latch {
    lock: RawRwLock,
    /// Counts its exclusive holders, each from before it could change anything.
    version: AtomicU64,
}

impl std::fmt::Debug for Latch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.lock.is_locked() { "Latch(held)" } else { "Latch(free)" })
    }
}

impl Default for Latch {
    fn default() -> Latch {
        Latch { lock: free_raw_lock(), version: AtomicU64::new(0) }
    }
}

impl Latch {
    /// Waits for shared access.
    pub fn lock_shared(&self) {
        self.lock.lock_shared();
    }

    /// Waits for exclusive access.
    pub fn lock_exclusive(&self) {
        self.lock.lock_exclusive();
        if !is_planted(PlantedFault::LatchCountedLate) {
            self.begin_version();
        }
    }

    /// Exclusive access if nobody holds the latch.
    pub fn try_lock_exclusive(&self) -> bool {
        let is_granted = self.lock.try_lock_exclusive();
        if is_granted && !is_planted(PlantedFault::LatchCountedLate) {
            self.begin_version();
        }
        is_granted
    }

    /// What the latch protects is as it was when this was the same, which its reader asked under the latch, as far as
    /// anything tells that the asking thread has learnt of through other latches: an exclusive holder counts before it
    /// changes anything, and so before it gives back a latch below this one that it took later.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The caller holds the latch exclusively, so nobody else counts.
    fn begin_version(&self) {
        self.version.store(self.version.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Shared access if nobody holds it exclusively.
    pub fn try_lock_shared(&self) -> bool {
        self.lock.try_lock_shared()
    }

    /// Gives shared access back.
    /// # Safety
    /// The caller holds the latch shared.
    pub unsafe fn unlock_shared(&self) {
        // SAFETY: the caller holds the latch shared, as this function's contract says.
        unsafe { self.lock.unlock_shared() }
    }

    /// Gives exclusive access back.
    /// # Safety
    /// The caller holds the latch exclusively.
    pub unsafe fn unlock_exclusive(&self) {
        if is_planted(PlantedFault::LatchCountedLate) {
            self.begin_version();
        }
        // SAFETY: the caller holds the latch exclusively, as this function's contract says.
        unsafe { self.lock.unlock_exclusive() }
    }
}

//! Shared/exclusive latches: short, never held across I/O waits of others, never ordered against row locks.

use crate::common::sync::{RawLock as _, RawRwLock, free_raw_lock};

/// A latch without data: what it protects is named where it is used. 8 bytes, no poisoning.
pub struct Latch(RawRwLock);

impl std::fmt::Debug for Latch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_locked() { "Latch(held)" } else { "Latch(free)" })
    }
}

impl Default for Latch {
    fn default() -> Latch {
        Latch(free_raw_lock())
    }
}

impl Latch {
    /// Waits for shared access.
    pub fn lock_shared(&self) {
        self.0.lock_shared();
    }

    /// Waits for exclusive access.
    pub fn lock_exclusive(&self) {
        self.0.lock_exclusive();
    }

    /// Exclusive access if nobody holds the latch.
    pub fn try_lock_exclusive(&self) -> bool {
        self.0.try_lock_exclusive()
    }

    /// Shared access if nobody holds it exclusively.
    pub fn try_lock_shared(&self) -> bool {
        self.0.try_lock_shared()
    }

    /// Gives shared access back.
    /// # Safety
    /// The caller holds the latch shared.
    pub unsafe fn unlock_shared(&self) {
        // SAFETY: the caller holds the latch shared, as this function's contract says.
        unsafe { self.0.unlock_shared() }
    }

    /// Gives exclusive access back.
    /// # Safety
    /// The caller holds the latch exclusively.
    pub unsafe fn unlock_exclusive(&self) {
        // SAFETY: the caller holds the latch exclusively, as this function's contract says.
        unsafe { self.0.unlock_exclusive() }
    }
}

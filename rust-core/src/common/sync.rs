//! The one seam for locks and atomics, so that a model checker can replace them: with `cfg(loom)` or `cfg(shuttle)`, which
//! only the crates `tests/loom` and `tests/shuttle` set, these are that checker's. Knows no layer.

#[cfg(any(loom, shuttle))]
mod modelled;

#[cfg(any(loom, shuttle))]
pub use modelled::{
    Condvar, Mutex, MutexGuard, RawLock, RawRwLock, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic,
    free_raw_lock, yield_now,
};
#[cfg(not(any(loom, shuttle)))]
pub use parking_lot::lock_api::RawRwLock as RawLock;
#[cfg(not(any(loom, shuttle)))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, RawRwLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use std::sync::Arc;
pub use std::sync::Weak;
#[cfg(not(any(loom, shuttle)))]
pub use std::sync::atomic;
#[cfg(not(any(loom, shuttle)))]
pub use std::thread::yield_now;

/// A raw lock that nobody holds.
#[cfg(not(any(loom, shuttle)))]
pub fn free_raw_lock() -> RawRwLock {
    RawRwLock::INIT
}

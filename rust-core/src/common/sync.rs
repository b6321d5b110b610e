//! The one seam for locks and atomics, so that a model checker can replace them.

pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use std::sync::Arc;
pub use std::sync::Weak;
pub use std::sync::atomic;

//! A model checker's locks with the names and the manners of parking_lot's: no poisoning, guards that a condition
//! variable borrows. Waits with a limit wait without one: a wake-up that gets lost is a deadlock that the checker tells.
//! Knows no layer.

#[cfg(loom)]
use loom::sync as model;
#[cfg(loom)]
pub use loom::thread::yield_now;
#[cfg(shuttle)]
use shuttle::sync as model;
#[cfg(shuttle)]
pub use shuttle::thread::yield_now;

pub use model::atomic;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Duration;

/// Mutual exclusion.
pub struct Mutex<T>(model::Mutex<T>);

/// A locked mutex.
pub struct MutexGuard<'a, T>(Option<model::MutexGuard<'a, T>>);

/// Many readers or one writer.
pub struct RwLock<T>(model::RwLock<T>);

/// A lock that is held for reading.
pub struct RwLockReadGuard<'a, T>(model::RwLockReadGuard<'a, T>);

/// A lock that is held for writing.
pub struct RwLockWriteGuard<'a, T>(model::RwLockWriteGuard<'a, T>);

impl<T> Mutex<T> {
    /// A free mutex.
    pub fn new(value: T) -> Mutex<T> {
        Mutex(model::Mutex::new(value))
    }

    /// Waits for it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes it if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
    }

    /// Whether somebody holds it.
    pub fn is_locked(&self) -> bool {
        self.try_lock().is_none()
    }

    /// What it protects.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_ref().expect("only a condition variable takes it, and puts it back")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("only a condition variable takes it, and puts it back")
    }
}

impl<T> RwLock<T> {
    /// A free lock.
    pub fn new(value: T) -> RwLock<T> {
        RwLock(model::RwLock::new(value))
    }

    /// Waits until nobody writes.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until nobody reads or writes.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard(self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RwLock")
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// Waiting for a change of what a mutex protects.
pub struct Condvar(model::Condvar);

impl Condvar {
    /// One that nobody waits for.
    pub fn new() -> Condvar {
        Condvar(model::Condvar::new())
    }

    /// Gives the mutex up, waits to be woken, and takes it again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect("a guard holds its mutex");
        guard.0 = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// The same: no time passes for a model checker.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _limit: Duration) {
        self.wait(guard);
    }

    /// Wakes one of those who wait.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all of them.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}

/// The calls of a lock without a guard.
pub trait RawLock {
    /// Waits until nobody holds it alone.
    fn lock_shared(&self);
    /// Takes a share if nobody holds it alone.
    fn try_lock_shared(&self) -> bool;
    /// Gives a share back, which the caller holds.
    fn unlock_shared(&self);
    /// Waits until nobody holds it.
    fn lock_exclusive(&self);
    /// Takes it if nobody holds it.
    fn try_lock_exclusive(&self) -> bool;
    /// Gives it back; the caller holds it alone.
    fn unlock_exclusive(&self);
    /// Whether somebody holds it.
    fn is_locked(&self) -> bool;
}

/// A lock without a guard and without data.
pub struct RawRwLock {
    /// Shares; -1: somebody holds it alone.
    holders: Mutex<i32>,
    changed: Condvar,
}

/// A raw lock that nobody holds.
pub fn free_raw_lock() -> RawRwLock {
    RawRwLock { holders: Mutex::new(0), changed: Condvar::new() }
}

impl RawLock for RawRwLock {
    fn lock_shared(&self) {
        let mut holders = self.holders.lock();
        while *holders < 0 {
            self.changed.wait(&mut holders);
        }
        *holders += 1;
    }

    fn try_lock_shared(&self) -> bool {
        let mut holders = self.holders.lock();
        let is_free = *holders >= 0;
        *holders += i32::from(is_free);
        is_free
    }

    fn unlock_shared(&self) {
        let mut holders = self.holders.lock();
        assert!(*holders > 0, "a share is given back by who holds one");
        *holders -= 1;
        self.changed.notify_all();
    }

    fn lock_exclusive(&self) {
        let mut holders = self.holders.lock();
        while *holders != 0 {
            self.changed.wait(&mut holders);
        }
        *holders = -1;
    }

    fn try_lock_exclusive(&self) -> bool {
        let mut holders = self.holders.lock();
        let is_free = *holders == 0;
        if is_free {
            *holders = -1;
        }
        is_free
    }

    fn unlock_exclusive(&self) {
        let mut holders = self.holders.lock();
        assert_eq!(*holders, -1, "it is given back by who holds it");
        *holders = 0;
        self.changed.notify_all();
    }

    fn is_locked(&self) -> bool {
        *self.holders.lock() != 0
    }
}

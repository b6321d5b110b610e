//! Advisory locks: on numbers that mean something to the program alone, held by a session or by a transaction.
//! Knows owners and counts. Knows nothing of SQL.
//!
//! A session has an owner of its own for all of them, so that it never meets itself; those of a transaction are noted
//! with the transaction's owner as well, and go with it. Both kinds have modes of their own, so that giving back one
//! leaves the other. Source: PostgreSQL 15 documentation, chapter 13.3.5 "Advisory Locks".

use crate::common::cancel::CancelToken;
use crate::common::ids::AdvisoryKey;
use crate::common::memory::Reservation;
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::Result;
use crate::transaction::held_locks::HeldLocks;
use crate::transaction::lock_manager::{LockManager, LockOwner, LockTarget, Request, RequestKind};
use crate::transaction::lock_modes::Mode;
use hashbrown::HashMap;

/// Charged for a lock in its owner's list, the list's own growth included.
const HOLD_BYTES: usize = 64;

/// A lock that a transaction took.
#[derive(Debug)]
struct TransactionHold {
    /// The session's owner, who holds it.
    holder: u32,
    key: AdvisoryKey,
    mode: Mode,
}

/// The advisory locks of an owner.
#[derive(Debug, Default)]
pub(super) struct AdvisoryHolds {
    /// Of a transaction, in the order in which they were taken.
    of_transaction: Vec<TransactionHold>,
    /// Of a session, with how often each was taken.
    of_session: HashMap<(AdvisoryKey, Mode), u32>,
    memory: Option<Reservation>,
}

impl AdvisoryHolds {
    fn len(&self) -> usize {
        self.of_transaction.len() + self.of_session.len()
    }

    /// All of them, for people who look.
    pub(super) fn list(&self) -> Vec<(AdvisoryKey, Mode)> {
        let mut all: Vec<_> = self.of_transaction.iter().map(|hold| (hold.key, hold.mode)).collect();
        all.extend(self.of_session.keys().copied());
        all
    }
}

/// An advisory lock, and who asks for it.
#[derive(Clone, Copy, Debug)]
pub struct AdvisoryRequest<'a> {
    /// The session's owner.
    pub session: &'a Arc<LockOwner>,
    /// The transaction with whose end it goes; `None`: it is the session's.
    pub transaction: Option<&'a Arc<LockOwner>>,
    /// On what.
    pub key: AdvisoryKey,
    /// Whether others may share it.
    pub is_shared: bool,
}

impl AdvisoryRequest<'_> {
    fn mode(&self) -> Mode {
        Mode::advisory(self.is_shared, self.transaction.is_none())
    }
}

impl LockManager {
    /// An owner for a session's advisory locks, to be given back with [`LockManager::leave_session`].
    pub fn session_owner(&self, session: u64) -> Arc<LockOwner> {
        let free = self.free_owners.lock().pop();
        let owner = free.unwrap_or_else(|| self.add_owner());
        owner.set_session(session);
        owner
    }

    /// The owner of a transaction by its number.
    pub fn transaction_owner(&self, id: u32) -> Option<Arc<LockOwner>> {
        self.owner(id)
    }

    /// Locks, waiting as long as it takes.
    /// # Errors
    /// As [`LockManager::lock_row`].
    pub fn lock_advisory(&self, wanted: AdvisoryRequest<'_>, cancel: &CancelToken) -> Result<()> {
        let target = LockTarget::Advisory(wanted.key);
        let request = Request { hash: self.hash(target), mode: wanted.mode(), kind: RequestKind::Plain };
        self.reserve_advisory(wanted)?;
        let mut granted = HeldLocks::new(&self.memory);
        self.lock(wanted.session, &mut granted, request, target, cancel)?;
        self.note_advisory(wanted, !granted.is_empty());
        Ok(())
    }

    /// Locks if that needs no waiting; false: somebody else is in the way.
    /// # Errors
    /// `53200`.
    pub fn try_lock_advisory(&self, wanted: AdvisoryRequest<'_>) -> Result<bool> {
        let hash = self.hash(LockTarget::Advisory(wanted.key));
        let request = Request { hash, mode: wanted.mode(), kind: RequestKind::Plain };
        self.reserve_advisory(wanted)?;
        let mut granted = HeldLocks::new(&self.memory);
        let is_granted = self.try_lock(wanted.session, &mut granted, request)?;
        if is_granted {
            self.note_advisory(wanted, !granted.is_empty());
        }
        Ok(is_granted)
    }

    /// Gives back a lock of the session as often as it was taken: once a call. False: it has none.
    pub fn unlock_advisory(&self, session: &LockOwner, key: AdvisoryKey, is_shared: bool) -> bool {
        let mode = Mode::advisory(is_shared, true);
        let mut holds = session.advisory.lock();
        let Some(count) = holds.of_session.get_mut(&(key, mode)) else { return false };
        *count -= 1;
        if *count == 0 {
            holds.of_session.remove(&(key, mode));
            drop(holds);
            self.release_listed(session.id(), self.hash(LockTarget::Advisory(key)), mode.set());
        }
        true
    }

    /// Gives back every lock of the session, but those of its transaction.
    pub fn unlock_all_advisory(&self, session: &LockOwner) {
        let mut holds = session.advisory.lock();
        let all: Vec<_> = holds.of_session.drain().map(|(lock, _)| lock).collect();
        if holds.of_transaction.is_empty() {
            holds.memory = None;
        }
        drop(holds);
        for (key, mode) in all {
            self.release_listed(session.id(), self.hash(LockTarget::Advisory(key)), mode.set());
        }
    }

    /// The session ends: its locks go, and its owner serves another one. Its transactions have ended.
    pub fn leave_session(&self, owner: Arc<LockOwner>) {
        self.unlock_all_advisory(&owner);
        owner.set_session(0);
        self.free_owners.lock().push(owner);
    }

    /// Gives back what a transaction's owner took after its first `count`.
    pub(super) fn release_advisory_to(&self, owner: &LockOwner, count: u32) {
        loop {
            let mut holds = owner.advisory.lock();
            if holds.of_transaction.len() <= count as usize {
                break;
            }
            let Some(hold) = holds.of_transaction.pop() else { break };
            if holds.of_transaction.is_empty() {
                holds.memory = None;
            }
            drop(holds);
            self.release_listed(hold.holder, self.hash(LockTarget::Advisory(hold.key)), hold.mode.set());
        }
        owner.advisory_count.store(count, Ordering::Relaxed);
    }

    /// Makes room for one more, so that noting a granted lock cannot fail.
    fn reserve_advisory(&self, wanted: AdvisoryRequest<'_>) -> Result<()> {
        let mut holds = wanted.transaction.unwrap_or(wanted.session).advisory.lock();
        let bytes = (holds.len() + 1) * HOLD_BYTES;
        let memory = holds.memory.get_or_insert_with(|| self.memory.reservation());
        if bytes > memory.bytes() { memory.resize(bytes.next_power_of_two()) } else { Ok(()) }
    }

    fn note_advisory(&self, wanted: AdvisoryRequest<'_>, is_new: bool) {
        let mode = wanted.mode();
        match wanted.transaction {
            None => {
                *wanted.session.advisory.lock().of_session.entry((wanted.key, mode)).or_default() += 1;
            }
            Some(transaction) if is_new => {
                let hold = TransactionHold { holder: wanted.session.id(), key: wanted.key, mode };
                transaction.advisory.lock().of_transaction.push(hold);
                transaction.advisory_count.fetch_add(1, Ordering::Relaxed);
            }
            Some(_) => {}
        }
    }
}

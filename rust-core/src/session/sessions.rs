//! The sessions of an engine: who is there. Operators look at them here, and the timer looks for what is due.

use crate::common::sync::atomic::{AtomicU64, Ordering};
use crate::common::sync::{Arc, Mutex};
use crate::common::timer::{Alarmed, NEVER};
use crate::session::presence::Presence;
use crate::transaction::manager::TransactionManager;
use std::collections::BTreeMap;

/// See the module. Threads: any.
pub(crate) struct Sessions {
    manager: Arc<TransactionManager>,
    present: Mutex<BTreeMap<u64, Arc<Presence>>>,
    serialization_failures: AtomicU64,
}

impl Sessions {
    pub(crate) fn new(manager: Arc<TransactionManager>) -> Sessions {
        Sessions { manager, present: Mutex::default(), serialization_failures: AtomicU64::new(0) }
    }

    pub(crate) fn add(&self, presence: &Arc<Presence>) {
        self.present.lock().insert(presence.id, Arc::clone(presence));
    }

    pub(crate) fn remove(&self, presence: &Presence) {
        self.present.lock().remove(&presence.id);
        presence.drop_lock_owner(self.manager.lock_manager());
    }

    fn get(&self, id: u64) -> Option<Arc<Presence>> {
        self.present.lock().get(&id).cloned()
    }

    /// All of them, by number.
    pub(crate) fn all(&self) -> Vec<Arc<Presence>> {
        self.present.lock().values().cloned().collect()
    }

    /// Cancels what a session runs; false: there is no such session.
    pub(crate) fn cancel(&self, id: u64) -> bool {
        let presence = self.get(id);
        presence.inspect(|presence| presence.cancel()).is_some()
    }

    /// Ends a session; false: there is no such session.
    pub(crate) fn terminate(&self, id: u64) -> bool {
        let presence = self.get(id);
        presence.inspect(|presence| presence.terminate(&self.manager)).is_some()
    }

    pub(crate) fn count_serialization_failure(&self) {
        self.serialization_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn serialization_failures(&self) -> u64 {
        self.serialization_failures.load(Ordering::Relaxed)
    }
}

impl Alarmed for Sessions {
    fn ring(&self, now: u64) -> u64 {
        self.all().iter().map(|presence| presence.ring(now, &self.manager)).min().unwrap_or(NEVER)
    }
}

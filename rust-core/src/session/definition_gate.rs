//! When definitions change: a plan is current while the epoch it was made in lasts.
//!
//! A transaction that changed definitions commits inside [`DefinitionGate::publish`]: the epoch is odd from
//! before its locks are released until the new catalog is published. So whoever is granted a lock that the
//! commit released sees an odd epoch or the next even one, and never trusts an old plan.

use crate::common::sync::Mutex;
use crate::common::sync::atomic::{AtomicU64, Ordering};

/// One a database.
#[derive(Debug, Default)]
pub struct DefinitionGate {
    epoch: AtomicU64,
    publishing: Mutex<()>,
}

impl DefinitionGate {
    /// Epochs count from `epoch` on, which is even. Before anybody asks.
    pub(crate) fn begin_at(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// The epoch now; odd while definitions are being published.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The epoch when nothing is being published; waits for a publication under way.
    pub(crate) fn stable_epoch(&self) -> u64 {
        loop {
            let epoch = self.epoch();
            if epoch.is_multiple_of(2) {
                return epoch;
            }
            drop(self.publishing.lock());
        }
    }

    /// Runs `commit`, which commits and publishes the new catalog; plans made before are stale from here on.
    pub(crate) fn publish<R>(&self, commit: impl FnOnce() -> R) -> R {
        /// Ends the odd epoch also when `commit` panics.
        struct End<'a>(&'a AtomicU64);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::AcqRel);
            }
        }
        let _publishing = self.publishing.lock();
        self.epoch.fetch_add(1, Ordering::AcqRel);
        let _end = End(&self.epoch);
        commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_odd_during_a_publication_and_another_one_after_it() {
        let gate = DefinitionGate::default();
        let before = gate.stable_epoch();
        gate.publish(|| assert!(!gate.epoch().is_multiple_of(2)));
        assert!(gate.stable_epoch() > before);
    }

    #[test]
    fn a_failed_publication_still_ends() {
        let gate = DefinitionGate::default();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            gate.publish(|| panic!("the commit failed"))
        }));
        assert!(result.is_err());
        assert_eq!(gate.stable_epoch(), 2);
    }
}

//! Trees of indexes that were given up while somebody could still use them: they go when the last who can has ended.
//! After a crash they go when the file is opened.

use crate::common::ids::{ObjectId, TreeId};
use crate::common::sync::atomic::{AtomicUsize, Ordering};
use crate::common::sync::{Arc, Mutex};
use crate::error::Result;
use crate::session::session::Session;
use crate::transaction::lockers::Lockers;
use crate::transaction::types::TableLockMode;

/// Trees that are waiting to go. Each has its note in the tree of counters.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// The table that they belonged to.
    pub(crate) table: ObjectId,
    pub(crate) trees: Vec<TreeId>,
    /// Whether the newest definition of the table still has them, hidden, so that writers keep them.
    pub(crate) is_kept: bool,
    /// Who must have ended before the next step.
    pub(crate) awaited: Option<Arc<Lockers>>,
}

/// Those of a database. Threads: any.
#[derive(Debug, Default)]
pub(crate) struct Leavings {
    list: Mutex<Vec<Leaving>>,
    count: AtomicUsize,
}

impl Leavings {
    pub(crate) fn add(&self, leaving: Leaving) {
        self.list.lock().push(leaving);
        self.count.fetch_add(1, Ordering::Release);
    }

    #[cfg(test)]
    pub(crate) fn are_none(&self) -> bool {
        self.list.lock().is_empty()
    }

    /// One for which nobody has to be waited for.
    fn take_one(&self) -> Option<Leaving> {
        let mut list = self.list.lock();
        let is_due = |leaving: &Leaving| leaving.awaited.as_ref().is_none_or(|lockers| lockers.are_gone());
        let position = list.iter().position(is_due)?;
        self.count.fetch_sub(1, Ordering::Release);
        Some(list.swap_remove(position))
    }
}

impl Session {
    /// Has what was given up gone as far as it can go now. Waits for nobody; what fails is tried again.
    #[inline]
    pub(crate) fn clear_leavings(&mut self) {
        if self.engine.leavings.count.load(Ordering::Relaxed) > 0 {
            self.clear_some();
        }
    }

    #[cold]
    fn clear_some(&mut self) {
        let engine = Arc::clone(&self.engine);
        let mut again = Vec::new();
        while let Some(leaving) = engine.leavings.take_one() {
            match self.step(&leaving) {
                Ok(Step::Gone) => {}
                Ok(Step::NoLongerKept(lockers)) => {
                    let awaited = Some(lockers);
                    engine.leavings.add(Leaving { is_kept: false, awaited, ..leaving });
                }
                Ok(Step::NotNow) => again.push(leaving),
                Err(error) => {
                    self.notices.warning(error);
                    again.push(leaving);
                }
            }
        }
        again.into_iter().for_each(|leaving| engine.leavings.add(leaving));
    }

    fn step(&mut self, leaving: &Leaving) -> Result<Step> {
        if !leaving.is_kept {
            let Leaving { trees, .. } = leaving;
            return self.engine.catalog.drop_unfinished(&self.engine.manager, trees).map(|()| Step::Gone);
        }
        let mut block = self.build_block();
        let Some(base) = self.try_lock_definitions(&mut block)? else { return Ok(Step::NotNow) };
        self.hide_for_good(&base, leaving.table, &leaving.trees);
        let locks = self.engine.manager.lock_manager();
        Ok(Step::NoLongerKept(locks.lockers(0, leaving.table, TableLockMode::Share)))
    }
}

enum Step {
    Gone,
    NoLongerKept(Arc<Lockers>),
    /// Somebody changes definitions.
    NotNow,
}

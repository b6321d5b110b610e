//! Transactions at rest: between two calls of its host what a transaction holds lies where others can end it.
//! Knows a transaction's scratch, which holds its locks, its snapshot and its writes. Knows nothing of why it is ended.

use crate::common::sync::atomic::{Ordering, fence};
use crate::transaction::manager::TransactionManager;
use crate::transaction::scratch::Scratch;
use crate::transaction::transaction::Transaction;
use crossbeam::atomic::AtomicCell;

/// Where one session's transaction rests. Threads: any.
#[derive(Default)]
pub struct RestingPlace(AtomicCell<Option<Box<Scratch>>>);

impl std::fmt::Debug for RestingPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RestingPlace")
    }
}

impl RestingPlace {
    /// Rolls back what rests here, where `is_due` says so: while it is asked, the transaction cannot be resumed. Whether
    /// there was something to roll back.
    pub fn end_if(&self, manager: &TransactionManager, is_due: impl FnOnce() -> bool) -> bool {
        // Who asks has noted why before; who comes to rest looks at that note after.
        fence(Ordering::SeqCst);
        let Some(scratch) = self.0.take() else { return false };
        if !is_due() {
            self.0.store(Some(scratch));
            return false;
        }
        manager.undo(scratch);
        true
    }
}

impl Transaction {
    /// Lets the transaction rest: until [`Transaction::resume`] nothing can be asked of it. Two swaps of a pointer for a
    /// rest and what comes after.
    pub fn rest(&mut self, place: &RestingPlace) {
        let before = place.0.swap(self.take_scratch());
        fence(Ordering::SeqCst);
        if let Some(forgotten) = before {
            self.manager().undo(forgotten);
        }
    }

    /// Goes on; false: not now. Somebody has ended it, or is looking whether to.
    pub fn resume(&mut self, place: &RestingPlace) -> bool {
        match place.0.take() {
            Some(scratch) => {
                self.put_scratch(scratch);
                true
            }
            None => false,
        }
    }
}

//! The apply gate: commits inside, a checkpoint that closes it.

use super::gate::ApplyGate;
use crate::common::ids::Lsn;
use crate::models::spawn;
use loom::cell::UnsafeCell;
use std::sync::Arc;

/// What pages are for the model: Loom tells two who touch it at once without an order between them.
struct Pages(UnsafeCell<u64>);

// SAFETY: the gate keeps those apart who touch it; that it does is what the model checks.
unsafe impl Sync for Pages {}

impl Pages {
    fn change(&self) {
        // SAFETY: as for `Sync`.
        self.0.with_mut(|pages| unsafe { *pages += 1 });
    }

    fn read(&self) -> u64 {
        // SAFETY: as for `Sync`.
        self.0.with(|pages| unsafe { *pages })
    }
}

/// A commit applies while a checkpoint cuts: the cut sees all of it or nothing, and everybody gets on.
pub fn a_cut_and_a_commit_keep_apart() {
    let gate = Arc::new(ApplyGate::default());
    let pages = Arc::new(Pages(UnsafeCell::new(0)));
    let commit = {
        let (gate, pages) = (Arc::clone(&gate), Arc::clone(&pages));
        spawn(move || {
            let ticket = gate.enter();
            ticket.set_start(Lsn(5));
            pages.change();
            pages.change();
            drop(ticket);
        })
    };
    let closed = gate.close();
    assert_eq!(gate.oldest(), None);
    let seen = pages.read();
    assert!(seen == 0 || seen == 2, "a cut saw half a commit");
    drop(closed);
    commit.join().expect("a commit does not fail");
    assert_eq!(pages.read(), 2);
}

/// A long commit pauses between changes: a cut may be in between, and knows where the commit starts.
pub fn a_cut_in_a_pause_knows_the_commit() {
    let gate = Arc::new(ApplyGate::default());
    let pages = Arc::new(Pages(UnsafeCell::new(0)));
    let commit = {
        let (gate, pages) = (Arc::clone(&gate), Arc::clone(&pages));
        spawn(move || {
            let ticket = gate.enter();
            ticket.set_start(Lsn(5));
            pages.change();
            ticket.pause();
            pages.change();
        })
    };
    let closed = gate.close();
    let expected = if pages.read() == 1 { Some(Lsn(5)) } else { None };
    assert_eq!(gate.oldest(), expected);
    drop(closed);
    commit.join().expect("a commit does not fail");
}

/// Two checkpoints want to cut at once: one after the other.
pub fn cuts_follow_each_other() {
    let gate = Arc::new(ApplyGate::default());
    let pages = Arc::new(Pages(UnsafeCell::new(0)));
    let other = {
        let (gate, pages) = (Arc::clone(&gate), Arc::clone(&pages));
        spawn(move || {
            let _closed = gate.close();
            pages.change();
        })
    };
    let closed = gate.close();
    pages.change();
    drop(closed);
    other.join().expect("a checkpoint does not fail");
    drop(gate.enter());
    assert_eq!(pages.read(), 2);
}

//! The apply gate: commits pass it to change pages, a checkpoint closes it for its cut.
//! Knows who is inside and which frame each one applies. Knows nothing of pages.
//!
//! Waiting order: row lock > gate > commit mutex > latch > I/O. A commit enters before it takes the commit
//! mutex: whoever holds the mutex is inside, so a closing gate never waits for somebody who waits for it.

use crate::common::ids::Lsn;
use crate::common::planted::{PlantedFault, is_planted};
use crate::common::sync::atomic::{AtomicBool, Ordering};
use crate::common::sync::{Condvar, Mutex};
use crossbeam::utils::CachePadded;

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    /// Start of the frame that each ticket applies; `Lsn::MAX`: not known yet, none: a free place.
    tickets: Vec<Option<Lsn>>,
    free: Vec<usize>,
    inside: usize,
}

/// Lets commits apply and checkpoints wait for them. Threads: any.
#[derive(Debug, Default)]
pub struct ApplyGate {
    state: CachePadded<Mutex<GateState>>,
    changed: Condvar,
    /// Somebody left by a panic.
    interrupted: AtomicBool,
    /// As `GateState::closed`, for a look without the lock.
    closing: AtomicBool,
}

impl ApplyGate {
    /// Waits while a checkpoint cuts. To be called before the commit mutex is taken and before the first
    /// frame (chunk) of the transaction is appended; never twice in one thread.
    pub fn enter(&self) -> ApplyTicket<'_> {
        let mut state = self.state.lock();
        while state.closed {
            self.changed.wait(&mut state);
        }
        self.enter_open(&mut state)
    }

    /// As [`ApplyGate::enter`], without waiting; `None`: a checkpoint cuts. The ticket is neither paused nor told its start,
    /// so that it may be taken under the commit mutex.
    pub fn try_enter(&self) -> Option<ApplyTicket<'_>> {
        let mut state = self.state.lock();
        if state.closed { None } else { Some(self.enter_open(&mut state)) }
    }

    fn enter_open(&self, state: &mut GateState) -> ApplyTicket<'_> {
        state.inside += 1;
        let place = state.free.pop().unwrap_or_else(|| {
            state.tickets.push(None);
            state.tickets.len() - 1
        });
        state.tickets[place] = Some(Lsn::MAX);
        ApplyTicket { gate: self, place }
    }

    /// The start of the oldest frame that is being applied and has said so. While the gate is closed: of those whose
    /// commits pause.
    pub fn oldest(&self) -> Option<Lsn> {
        let state = self.state.lock();
        state.tickets.iter().flatten().copied().min().filter(|lsn| *lsn != Lsn::MAX)
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    fn note_panic(&self) {
        if std::thread::panicking() {
            self.interrupted.store(true, Ordering::SeqCst);
        }
    }

    /// Closes the gate and waits until everyone inside has left.
    pub(super) fn close(&self) -> ClosedGate<'_> {
        let mut state = self.state.lock();
        while state.closed {
            self.changed.wait(&mut state);
        }
        state.closed = true;
        self.closing.store(true, Ordering::Relaxed);
        while state.inside > 0 && !is_planted(PlantedFault::GateOverrun) {
            self.changed.wait(&mut state);
        }
        ClosedGate { gate: self }
    }
}

/// A frame in apply; dropped when everything is applied, or when nothing was appended.
#[derive(Debug)]
pub struct ApplyTicket<'a> {
    gate: &'a ApplyGate,
    place: usize,
}

impl ApplyTicket<'_> {
    /// Says where the frame, or its first chunk, starts.
    pub fn set_start(&self, lsn: Lsn) {
        self.gate.state.lock().tickets[self.place] = Some(lsn);
    }

    /// Lets a checkpoint cut now, if one wants to: a commit that takes long calls it between changes, when it holds
    /// no latch and no mutex, and has said where it starts if it appended anything. Redo starts there then.
    pub fn pause(&self) {
        if !self.gate.closing.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.gate.state.lock();
        if !state.closed {
            return;
        }
        state.inside -= 1;
        if state.inside == 0 {
            self.gate.changed.notify_all();
        }
        while state.closed {
            self.gate.changed.wait(&mut state);
        }
        state.inside += 1;
    }
}

impl Drop for ApplyTicket<'_> {
    fn drop(&mut self) {
        self.gate.note_panic();
        let mut state = self.gate.state.lock();
        state.tickets[self.place] = None;
        state.free.push(self.place);
        state.inside -= 1;
        if state.closed && state.inside == 0 {
            self.gate.changed.notify_all();
        }
    }
}

/// The gate is closed and nobody is inside, until this is dropped.
#[derive(Debug)]
pub(super) struct ClosedGate<'a> {
    gate: &'a ApplyGate,
}

impl Drop for ClosedGate<'_> {
    fn drop(&mut self) {
        self.gate.note_panic();
        let mut state = self.gate.state.lock();
        state.closed = false;
        self.gate.closing.store(false, Ordering::Relaxed);
        drop(state);
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_knows_the_oldest_frame_in_apply() {
        let gate = ApplyGate::default();
        let (first, second) = (gate.enter(), gate.enter());
        assert_eq!(gate.oldest(), None);
        second.set_start(Lsn(50));
        first.set_start(Lsn(20));
        assert_eq!(gate.oldest(), Some(Lsn(20)));
        drop(first);
        assert_eq!(gate.oldest(), Some(Lsn(50)));
        drop(second);
        drop(gate.close());
        drop(gate.enter());
    }
}

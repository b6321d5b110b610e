//! What is still to be checked or done for constraints: at the end of the statement, or of the transaction.
//!
//! The running statement's events are a queue, first in, first out; whatever they change adds its own at the end, so that
//! cascades of any depth need no stack and end when nothing changes any more. Deferred events stay in their list, also
//! when they have been looked at: a return to a savepoint makes those undone that were done after it.
//! Knows what waits. Looks at no table.

use crate::catalog::table_definition::{Deferral, ReferentialAction, TableDefinition};
use crate::common::ids::{ObjectId, RowId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::plan::reference::{References, ReferredBy, RefersTo};
use crate::sql::types::datum::Datum;
use crate::table::pending::PendingKeys;
use std::collections::{BTreeMap, VecDeque};

/// A thing to look at, or to do.
#[derive(Clone, Debug)]
pub(in crate::sql::executor) enum Event {
    /// A row refers to a key: it must be there.
    Child {
        /// Tables and keys.
        plan: Arc<References>,
        /// The table of the row.
        table: usize,
        /// Its foreign key, by position in `refers`.
        refers: usize,
        /// The row.
        row: RowId,
    },
    /// A row that may be referred to is gone, or has another key.
    Parent {
        /// Tables and keys.
        plan: Arc<References>,
        /// The table of the row.
        table: usize,
        /// The foreign key that refers to it, by position in `referred`.
        referred: usize,
        /// The key that it had.
        old: Box<[Datum]>,
        /// The key that it has now; `None`: it is gone.
        new: Option<Box<[Datum]>>,
    },
    /// A row has a key that others may have for a while.
    Unique {
        /// The table.
        table: Arc<TableDefinition>,
        /// The index.
        index: usize,
        /// The row.
        row: RowId,
    },
}

impl Event {
    /// The foreign key of a parent's event, with what leads to it.
    pub(super) fn referred(plan: &References, table: usize, referred: usize) -> &ReferredBy {
        &plan.tables[table].referred[referred]
    }

    /// The foreign key of a child's event, with what leads to it.
    pub(super) fn refers(plan: &References, table: usize, refers: usize) -> &RefersTo {
        &plan.tables[table].refers[refers]
    }

    /// What a parent's event asks for.
    pub(super) fn action(&self) -> Option<&ReferentialAction> {
        let Event::Parent { plan, table, referred, new, .. } = self else { return None };
        let key = plan.key_to(Event::referred(plan, *table, *referred));
        Some(if new.is_none() { &key.on_delete } else { &key.on_update })
    }

    /// The constraint, and when it is checked. What changes rows is never put off, as in PostgreSQL.
    pub(super) fn constraint(&self) -> (ObjectId, Deferral) {
        match self {
            Event::Child { plan, table, refers, .. } => {
                let key = plan.key_of(*table, Event::refers(plan, *table, *refers));
                (key.id, key.deferral)
            }
            Event::Parent { plan, table, referred, .. } => {
                let key = plan.key_to(Event::referred(plan, *table, *referred));
                match self.action() {
                    Some(ReferentialAction::NoAction) => (key.id, key.deferral),
                    _ => (key.id, Deferral::NotDeferrable),
                }
            }
            Event::Unique { table, index, .. } => {
                let index = &table.indexes[*index];
                (index.id, index.deferral)
            }
        }
    }

    fn concerns(&self, id: ObjectId) -> bool {
        match self {
            Event::Child { plan, table, .. } => plan.tables[*table].table.id == id,
            Event::Parent { plan, table, referred, .. } => {
                let child = Event::referred(plan, *table, *referred).child;
                plan.tables[*table].table.id == id || plan.tables[child].table.id == id
            }
            Event::Unique { table, .. } => table.id == id,
        }
    }

    fn bytes(&self) -> usize {
        let values = match self {
            Event::Parent { old, new, .. } => old.len() + new.as_ref().map_or(0, |new| new.len()),
            _ => 0,
        };
        size_of::<Deferred>() + values * size_of::<Datum>()
    }
}

/// An event that waits for the end of the transaction.
#[derive(Clone, Debug)]
struct Deferred {
    event: Event,
    /// The round in which it was looked at; 0: not yet.
    done: u64,
}

/// What SET CONSTRAINTS said.
#[derive(Clone, Debug, Default)]
struct Modes {
    /// Of all that can be put off: whether they are.
    all: Option<bool>,
    /// Of some, said after that.
    named: BTreeMap<ObjectId, bool>,
}

/// Everything that waits in a transaction.
#[derive(Debug, Default)]
pub struct PendingChecks {
    /// Keys of the table that is being changed.
    pub(in crate::sql::executor) keys: PendingKeys,
    /// Of the running statement.
    pub(in crate::sql::executor) events: VecDeque<Event>,
    deferred: Vec<Deferred>,
    modes: Modes,
    round: u64,
    memory: Option<Reservation>,
}

/// A state to return to.
#[derive(Clone, Debug)]
pub struct PendingMark {
    deferred: usize,
    round: u64,
    modes: Modes,
}

impl PendingChecks {
    /// Whether the running statement has left nothing to do.
    #[inline]
    pub(in crate::sql::executor) fn is_settled(&self) -> bool {
        self.events.is_empty() && self.keys.is_empty()
    }

    /// Whether something waits for the end of the transaction.
    #[inline]
    pub fn has_deferred(&self) -> bool {
        self.deferred.iter().any(|deferred| deferred.done == 0)
    }

    /// Whether something waits that looks at this table.
    pub fn concerns(&self, table: ObjectId) -> bool {
        self.deferred.iter().any(|deferred| deferred.done == 0 && deferred.event.concerns(table))
    }

    /// Where the transaction stands.
    pub fn mark(&self) -> PendingMark {
        PendingMark { deferred: self.deferred.len(), round: self.round, modes: self.modes.clone() }
    }

    /// Undoes what came since `mark`; a statement that was running has failed.
    pub fn return_to(&mut self, mark: &PendingMark) {
        self.keys.clear();
        self.events.clear();
        self.deferred.truncate(mark.deferred);
        for deferred in &mut self.deferred {
            if deferred.done > mark.round {
                deferred.done = 0;
            }
        }
        self.modes = mark.modes.clone();
        // Less than before: that is never refused.
        let _ = self.charge_all();
    }

    /// Whether a constraint is put off to the end of the transaction.
    pub(super) fn is_deferred(&self, (id, deferral): (ObjectId, Deferral)) -> bool {
        if deferral == Deferral::NotDeferrable {
            return false;
        }
        let initially = deferral == Deferral::InitiallyDeferred;
        self.modes.named.get(&id).copied().or(self.modes.all).unwrap_or(initially)
    }

    /// SET CONSTRAINTS ALL.
    pub fn set_all(&mut self, deferred: bool) {
        self.modes = Modes { all: Some(deferred), named: BTreeMap::new() };
    }

    /// SET CONSTRAINTS with the numbers of some.
    pub fn set_some(&mut self, constraints: &[ObjectId], deferred: bool) {
        self.modes.named.extend(constraints.iter().map(|id| (*id, deferred)));
    }

    /// Keeps an event for the end of the statement or of the transaction.
    pub(in crate::sql::executor) fn push(&mut self, event: Event, memory: &Arc<MemoryAccount>) -> Result<()> {
        self.memory.get_or_insert_with(|| memory.reservation()).grow(event.bytes())?;
        if self.is_deferred(event.constraint()) {
            self.deferred.push(Deferred { event, done: 0 });
        } else {
            self.events.push_back(event);
        }
        Ok(())
    }

    /// Charges the keys that wait, at the latest size.
    pub(in crate::sql::executor) fn charge_keys(
        &mut self,
        before: usize,
        memory: &Arc<MemoryAccount>,
    ) -> Result<()> {
        let more = self.keys.bytes().saturating_sub(before);
        self.memory.get_or_insert_with(|| memory.reservation()).grow(more)
    }

    /// At the end of a statement: what it kept is gone.
    pub(super) fn charge_all(&mut self) -> Result<()> {
        let bytes = self.deferred.iter().map(|deferred| deferred.event.bytes()).sum();
        match &mut self.memory {
            Some(memory) => memory.resize(bytes),
            None => Ok(()),
        }
    }

    /// The deferred events that are to be looked at now: all of them at the end, else those whose constraints are not put
    /// off any more. They count as done.
    pub(super) fn take_deferred(&mut self, at_end: bool) -> Vec<Event> {
        self.round += 1;
        let mut taken = Vec::new();
        for at in 0..self.deferred.len() {
            let deferred = &self.deferred[at];
            if deferred.done == 0 && (at_end || !self.is_deferred(deferred.event.constraint())) {
                taken.push(deferred.event.clone());
                self.deferred[at].done = self.round;
            }
        }
        taken
    }

    /// Whether own rows of before may still have to be looked at under another id.
    pub(in crate::sql::executor) fn follows_rows(&self) -> bool {
        !self.deferred.is_empty()
    }
}

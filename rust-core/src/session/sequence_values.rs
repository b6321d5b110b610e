//! The values that a session has drawn of sequences: currval, lastval, and those it keeps for later (CACHE).

use crate::catalog::sequence_definition::SequenceDefinition;
use crate::catalog::snapshot::CatalogSnapshot;
use crate::common::ids::{Lsn, ObjectId};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::environment::SessionEnvironment;
use crate::sql::binder;
use crate::sql::functions::sequences::Sequences;
use crate::transaction::types::{LockOutcome, TableLockMode};
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};

/// How often a draw looks for a newer definition of a sequence that was changed meanwhile.
const LOOKS_MAX: u32 = 1000;

/// What a session remembers of a sequence.
struct Kept {
    /// What it was when the session drew last; under another one what was kept is void.
    definition: Arc<SequenceDefinition>,
    last: Option<i64>,
    /// The first of the values drawn for later, and how many there are.
    next: i64,
    left: i64,
}

/// Of a session.
#[derive(Default)]
pub(crate) struct SequenceValuesKept {
    by_sequence: RefCell<HashMap<ObjectId, Kept>>,
    last: Cell<Option<ObjectId>>,
    /// How many values the running statement drew of sequences of columns, and the last.
    identities: Cell<(i64, i64)>,
    /// The commit that says of every value drawn in the open transaction that it is used.
    logged: Cell<Lsn>,
}

impl SequenceValuesKept {
    /// DISCARD SEQUENCES.
    pub(crate) fn discard(&self) {
        self.by_sequence.borrow_mut().clear();
        self.last.set(None);
    }

    /// What must be durable before the transaction is: the commit that says that its values are used; asked once.
    pub(crate) fn take_logged(&self) -> Option<Lsn> {
        Some(self.logged.replace(Lsn::ZERO)).filter(|lsn| *lsn > Lsn::ZERO)
    }

    /// A statement begins.
    #[inline]
    pub(crate) fn start_statement(&self) {
        self.identities.set((0, 0));
    }

    /// The only value that the last statement drew for a serial or identity column.
    pub(crate) fn last_identity(&self) -> Option<i64> {
        let (count, value) = self.identities.get();
        (count == 1).then_some(value)
    }

    fn note(&self, logged: Lsn) {
        self.logged.set(self.logged.get().max(logged));
    }
}

fn changing() -> Error {
    Error::internal("a sequence changes faster than it can be drawn from")
}

impl SessionEnvironment {
    fn definitions(&self) -> Arc<CatalogSnapshot> {
        match &*self.own_catalog.borrow() {
            Some(own) => Arc::clone(own),
            None => self.engine().catalog.current(),
        }
    }

    fn sequence(&self, number: i64) -> Result<Arc<SequenceDefinition>> {
        let definitions = self.definitions();
        let id = u32::try_from(number).ok().map(ObjectId);
        id.and_then(|id| definitions.sequence_by_id(id)).cloned().ok_or_else(|| {
            Error::new(SqlState::UNDEFINED_TABLE, format!("sequence with number {number} does not exist"))
        })
    }

    /// Refuses `what` where nothing may be written.
    fn refuse_writes(&self, what: &str) -> Result<()> {
        if self.modes.read_only || self.engine().options.read_only {
            let message = format!("cannot execute {what} in a read-only transaction");
            return Err(Error::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        Ok(())
    }

    /// Locks the sequence until the transaction ends, as PostgreSQL does: who changes it waits for that.
    fn lock_sequence(&self, number: i64) -> Result<()> {
        let locks = self.engine().manager.lock_manager();
        let owner = locks.transaction_owner(self.transaction_owner.get());
        let owner = owner.ok_or_else(|| Error::internal("a sequence is drawn from outside a transaction"))?;
        let sequence = self.sequence(number)?.id;
        let outcome = locks.lock_beside(&owner, sequence, TableLockMode::RowExclusive, &self.cancel)?;
        if outcome == LockOutcome::GrantedAfterWait {
            // Who changed it may still be publishing that.
            self.engine().definitions.stable_epoch();
        }
        Ok(())
    }

    /// Runs `act` with the sequence until it is not outdated.
    fn with_sequence<R>(
        &self,
        number: i64,
        mut act: impl FnMut(&Arc<SequenceDefinition>) -> Result<Option<R>>,
    ) -> Result<R> {
        for _ in 0..LOOKS_MAX {
            if let Some(result) = act(&self.sequence(number)?)? {
                return Ok(result);
            }
            // Somebody has committed another definition, and is about to publish it.
            self.engine().definitions.stable_epoch();
        }
        Err(changing())
    }
}

impl Sequences for SessionEnvironment {
    fn find(&self, schema: Option<&str>, name: &str) -> Result<i64> {
        binder::find_sequence(&self.definitions(), schema, name).map(|id| i64::from(id.0))
    }

    fn next(&self, sequence: i64, values: &mut [i64]) -> Result<()> {
        self.refuse_writes("nextval()")?;
        self.lock_sequence(sequence)?;
        let mut done = 0;
        while done < values.len() {
            let wanted = (values.len() - done) as i64;
            done += self.with_sequence(sequence, |definition| {
                let mut kept = self.sequence_values.by_sequence.borrow_mut();
                let kept = kept.entry(definition.id).or_insert_with(|| Kept {
                    definition: Arc::clone(definition),
                    last: None,
                    next: 0,
                    left: 0,
                });
                if !Arc::ptr_eq(&kept.definition, definition) {
                    kept.definition = Arc::clone(definition);
                    kept.left = 0;
                }
                let cache = definition.options.cache;
                if kept.left == 0 {
                    let rounded = wanted.saturating_add(cache - 1) / cache * cache;
                    let Some(drawn) = definition.draw(&self.engine().manager, rounded)? else {
                        return Ok(None);
                    };
                    self.sequence_values.note(drawn.logged);
                    (kept.next, kept.left) = (drawn.first, drawn.count);
                }
                let taken = kept.left.min(wanted);
                let increment = definition.options.increment;
                for index in 0..taken {
                    values[done + index as usize] = kept.next + index * increment;
                }
                let last = kept.next + (taken - 1) * increment;
                kept.last = Some(last);
                kept.left -= taken;
                if kept.left > 0 {
                    kept.next = last + increment;
                }
                self.sequence_values.last.set(Some(definition.id));
                if definition.owner.is_some() {
                    let identities = &self.sequence_values.identities;
                    identities.set((identities.get().0 + taken, last));
                }
                Ok(Some(taken as usize))
            })?;
        }
        Ok(())
    }

    fn current(&self, sequence: i64) -> Result<i64> {
        self.lock_sequence(sequence)?;
        let definition = self.sequence(sequence)?;
        let kept = self.sequence_values.by_sequence.borrow();
        kept.get(&definition.id).and_then(|kept| kept.last).ok_or_else(|| {
            let message =
                format!("currval of sequence \"{}\" is not yet defined in this session", definition.name);
            Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        })
    }

    fn last(&self) -> Result<i64> {
        let id = self.sequence_values.last.get();
        let id = id.filter(|id| self.definitions().sequence_by_id(*id).is_some());
        if let Some(id) = id {
            self.lock_sequence(i64::from(id.0))?;
        }
        let kept = self.sequence_values.by_sequence.borrow();
        id.and_then(|id| kept.get(&id)).and_then(|kept| kept.last).ok_or_else(|| {
            let message = "lastval is not yet defined in this session";
            Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        })
    }

    fn set(&self, sequence: i64, value: i64, is_called: bool) -> Result<()> {
        self.refuse_writes("setval()")?;
        self.lock_sequence(sequence)?;
        self.with_sequence(sequence, |definition| {
            let Some(logged) = definition.set_value(&self.engine().manager, value, is_called)? else {
                return Ok(None);
            };
            self.sequence_values.note(logged);
            let mut kept = self.sequence_values.by_sequence.borrow_mut();
            let kept = kept.entry(definition.id).or_insert_with(|| Kept {
                definition: Arc::clone(definition),
                last: None,
                next: 0,
                left: 0,
            });
            kept.left = 0;
            if is_called {
                kept.last = Some(value);
            }
            Ok(Some(()))
        })
    }

    fn serial(&self, schema: Option<&str>, table: &str, column: &str) -> Result<Option<(String, String)>> {
        let definitions = self.definitions();
        let table = definitions.require_table(schema, table)?;
        let Some(position) = table.column_index(column) else {
            let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
            return Err(Error::new(SqlState::UNDEFINED_COLUMN, message)
                .hint_near_miss(column, table.columns.iter().map(|column| &*column.name)));
        };
        let owned = definitions
            .sequences_owned_by(table.id)
            .find(|sequence| sequence.owner.is_some_and(|owner| owner.column == position));
        Ok(owned.map(|sequence| (sequence.schema.clone(), sequence.name.clone())))
    }

    fn state(&self, sequence: i64) -> Result<(i64, i64, bool)> {
        let values = self.sequence(sequence)?.values(&self.engine().manager)?;
        Ok((values.last_value, values.log_count, values.is_called))
    }
}

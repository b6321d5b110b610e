//! How far a sequence has come: its values are drawn without a transaction and never come back.
//!
//! What is drawn is ahead of what the log says by nothing: a commit of its own writes "used up to" a few values ahead
//! before any of them is given out. It does not wait until it is durable. Whoever uses a value commits later in the
//! log, and of the log only a prefix survives, so that no value of a durable transaction comes twice; a transaction
//! that writes nothing waits for [`Drawn::logged`].
//!
//! The record is an entry of the counters' tree. Only who holds the runtime's lock writes it: a draw, or the commit of a
//! transaction that made, changed or dropped the sequence ([`CommitGuard`]). As long as that transaction is open the
//! sequence is its own, and nothing of it is logged.
//! Knows numbers and the log. Knows nothing of sessions and what they keep.

use crate::catalog::sequence_definition::{SequenceDefinition, SequenceOptions};
use crate::catalog::snapshot::{CatalogChange, CatalogSnapshot};
use crate::common::cancel::CancelToken;
use crate::common::ids::{COUNTER_TREE, Lsn, ObjectId};
use crate::common::sync::{Arc, Mutex, MutexGuard};
use crate::error::{Error, Result, SqlState};
use crate::transaction::manager::TransactionManager;
use crate::transaction::transaction::Transaction;
use crate::transaction::types::{IsolationLevel, ReadView};
use std::collections::BTreeSet;

/// Values that are written as used ahead of those that are.
const LOGGED_AHEAD: i64 = 32;
/// The first key byte of sequences in the counters' tree; the number follows, big-endian.
const SEQUENCE_COUNTER: u8 = 3;
/// The last value, big-endian, and whether it was given out.
const RECORD_BYTES: usize = 9;

/// Where a sequence stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SequenceValues {
    /// The last value that was drawn, or the first that will be.
    pub last_value: i64,
    /// Whether `last_value` was drawn.
    pub is_called: bool,
    /// Values that can be drawn before the log is written again.
    pub log_count: i64,
}

/// Values that were drawn: `count` of them, `increment` apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drawn {
    /// The first.
    pub first: i64,
    /// How many; at least one, fewer than wanted at the end of the range.
    pub count: i64,
    /// From one to the next.
    pub increment: i64,
    /// The commit that says that they are used.
    pub logged: Lsn,
}

#[derive(Debug, Default)]
struct State {
    /// Read from the database when first needed.
    values: Option<SequenceValues>,
    /// The transaction that made it, or has it begin anew, is open.
    is_private: bool,
    /// Another one is in its place, or none.
    is_gone: bool,
    logged: Lsn,
}

/// See the module. Threads: any.
#[derive(Debug, Default)]
pub struct SequenceRuntime(Mutex<State>);

impl SequenceRuntime {
    /// Of a sequence that the running transaction makes, or has begin anew.
    pub fn private(last_value: i64, is_called: bool) -> SequenceRuntime {
        let values = SequenceValues { last_value, is_called, log_count: 0 };
        SequenceRuntime(Mutex::new(State {
            values: Some(values),
            is_private: true,
            is_gone: false,
            logged: Lsn::ZERO,
        }))
    }
}

impl SequenceDefinition {
    /// Draws up to `wanted` values; `None`: the definition is outdated, the newest one has another runtime or the
    /// sequence was dropped.
    /// # Errors
    /// `2200H` at the end of the range; what writing the log raises.
    pub fn draw(&self, manager: &Arc<TransactionManager>, wanted: i64) -> Result<Option<Drawn>> {
        let Some((mut state, before)) = self.locked(manager)? else { return Ok(None) };
        let options = &self.options;
        let first = if before.is_called { self.after(before.last_value)? } else { before.last_value };
        let count = wanted.clamp(1, steps_left(options, first).saturating_add(1));
        let last = first + (count - 1) * options.increment;
        let mut after = SequenceValues { last_value: last, is_called: true, log_count: 0 };
        if before.is_called && before.log_count >= count {
            after.log_count = before.log_count - count;
        } else {
            after.log_count = steps_left(options, last).min(LOGGED_AHEAD);
            if !state.is_private {
                let used = last + after.log_count * options.increment;
                state.logged = self.log(manager, used, true)?;
            }
        }
        state.values = Some(after);
        Ok(Some(Drawn { first, count, increment: options.increment, logged: state.logged }))
    }

    /// Says where it stands from now on. Gives the commit that says so; `None` as for [`SequenceDefinition::draw`].
    /// # Errors
    /// `22003` outside of its range; what writing the log raises.
    pub fn set_value(
        &self,
        manager: &Arc<TransactionManager>,
        last_value: i64,
        is_called: bool,
    ) -> Result<Option<Lsn>> {
        let SequenceOptions { minimum, maximum, .. } = self.options;
        if last_value < minimum || last_value > maximum {
            let message = format!(
                "setval: value {last_value} is out of bounds for sequence \"{}\" ({minimum}..{maximum})",
                self.name
            );
            return Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        let Some((mut state, _)) = self.locked(manager)? else { return Ok(None) };
        if !state.is_private {
            state.logged = self.log(manager, last_value, is_called)?;
        }
        state.values = Some(SequenceValues { last_value, is_called, log_count: 0 });
        Ok(Some(state.logged))
    }

    /// Where it stands.
    /// # Errors
    /// What reading the database raises.
    pub fn values(&self, manager: &Arc<TransactionManager>) -> Result<SequenceValues> {
        let mut state = self.runtime.0.lock();
        self.load(&mut state, manager)
    }

    fn locked(
        &self,
        manager: &Arc<TransactionManager>,
    ) -> Result<Option<(MutexGuard<'_, State>, SequenceValues)>> {
        let mut state = self.runtime.0.lock();
        if state.is_gone {
            return Ok(None);
        }
        let values = self.load(&mut state, manager)?;
        Ok(Some((state, values)))
    }

    fn load(&self, state: &mut State, manager: &Arc<TransactionManager>) -> Result<SequenceValues> {
        if let Some(values) = state.values {
            return Ok(values);
        }
        let mut transaction = begin(manager, true)?;
        let read = read_record(&transaction, self.id);
        transaction.end_statement();
        transaction.rollback();
        // A salvaged database may have lost the record.
        let (last_value, is_called) = read?.unwrap_or((self.options.start, false));
        Ok(*state.values.insert(SequenceValues { last_value, is_called, log_count: 0 }))
    }

    /// The value after `last`.
    fn after(&self, last: i64) -> Result<i64> {
        let SequenceOptions { increment, minimum, maximum, cycle, .. } = self.options;
        if let Some(next) = last.checked_add(increment)
            && (increment < 0 || next <= maximum)
            && (increment > 0 || next >= minimum)
        {
            return Ok(next);
        }
        let ascending = increment > 0;
        if cycle {
            return Ok(if ascending { minimum } else { maximum });
        }
        let (end, limit) = if ascending { ("maximum", maximum) } else { ("minimum", minimum) };
        let message = format!("nextval: reached {end} value of sequence \"{}\" ({limit})", self.name);
        Err(Error::new(SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED, message))
    }

    fn log(&self, manager: &Arc<TransactionManager>, last_value: i64, is_called: bool) -> Result<Lsn> {
        let mut transaction = begin(manager, false)?;
        transaction.put(COUNTER_TREE, &key(self.id), &record(last_value, is_called))?;
        transaction.end_statement();
        Ok(transaction.commit_unawaited()?.unwrap_or(Lsn::ZERO))
    }
}

fn begin(manager: &Arc<TransactionManager>, read_only: bool) -> Result<Transaction> {
    let mut transaction = manager.begin(IsolationLevel::ReadCommitted, read_only, CancelToken::default());
    transaction.start_statement()?;
    Ok(transaction)
}

/// How many values follow `from` before the range ends.
fn steps_left(options: &SequenceOptions, from: i64) -> i64 {
    let end = if options.increment > 0 { options.maximum } else { options.minimum };
    let steps = (i128::from(end) - i128::from(from)) / i128::from(options.increment);
    i64::try_from(steps).unwrap_or(i64::MAX).max(0)
}

fn key(id: ObjectId) -> [u8; 5] {
    let mut key = [SEQUENCE_COUNTER; 5];
    key[1..].copy_from_slice(&id.0.to_be_bytes());
    key
}

fn record(last_value: i64, is_called: bool) -> [u8; RECORD_BYTES] {
    let mut record = [u8::from(is_called); RECORD_BYTES];
    record[..8].copy_from_slice(&last_value.to_be_bytes());
    record
}

fn read_record(transaction: &Transaction, id: ObjectId) -> Result<Option<(i64, bool)>> {
    let tree = transaction.tree_handle(COUNTER_TREE)?;
    transaction.get(&tree, &key(id), ReadView::Latest, |value| {
        let Some(value) = value else { return Ok(None) };
        match (value.first_chunk::<8>(), value.get(8..)) {
            (Some(last_value), Some([is_called @ 0..=1])) => {
                Ok(Some((i64::from_be_bytes(*last_value), *is_called == 1)))
            }
            _ => Err(Error::new(SqlState::DATA_CORRUPTED, "the record of a sequence is damaged")),
        }
    })?
}

/// The sequences that a transaction made, changed or dropped, kept from everybody else while it commits.
pub struct CommitGuard<'a> {
    kept: Vec<MutexGuard<'a, State>>,
    gone: Vec<MutexGuard<'a, State>>,
}

impl<'a> CommitGuard<'a> {
    /// Takes the sequences that `own` changed, and puts into `transaction` where they stand. `current`: the newest
    /// committed definitions.
    /// # Errors
    /// What reading the database raises, `53200`.
    pub fn take(
        own: &'a CatalogSnapshot,
        current: &'a CatalogSnapshot,
        manager: &Arc<TransactionManager>,
        transaction: &mut Transaction,
    ) -> Result<CommitGuard<'a>> {
        let changed: BTreeSet<ObjectId> = own
            .changes()
            .iter()
            .filter_map(|change| match change {
                CatalogChange::PutSequence(sequence) => Some(sequence.id),
                CatalogChange::RemoveSequence(id) => Some(*id),
                _ => None,
            })
            .collect();
        let mut guard = CommitGuard { kept: Vec::new(), gone: Vec::new() };
        for id in changed {
            let (old, new) = (current.sequence_by_id(id), own.sequence_by_id(id));
            if let Some(old) = old
                && new.is_none_or(|new| !Arc::ptr_eq(&new.runtime, &old.runtime))
            {
                guard.gone.push(old.runtime.0.lock());
            }
            match new {
                Some(new) => {
                    let mut state = new.runtime.0.lock();
                    let values = new.load(&mut state, manager)?;
                    let record = record(values.last_value, values.is_called);
                    transaction.put(COUNTER_TREE, &key(id), &record)?;
                    guard.kept.push(state);
                }
                None if old.is_some() => transaction.delete(COUNTER_TREE, &key(id))?,
                None => {}
            }
        }
        Ok(guard)
    }

    /// The transaction was committed at `timestamp`.
    pub fn committed(mut self, timestamp: Lsn) {
        for state in &mut self.kept {
            state.is_private = false;
            state.logged = timestamp;
            if let Some(values) = &mut state.values {
                values.log_count = 0;
            }
        }
        for state in &mut self.gone {
            state.is_gone = true;
        }
    }
}

/// Says of every sequence where it stands exactly, so that none leaves values out when the database was closed and is
/// opened again.
/// # Errors
/// What writing the log raises.
pub fn settle(definitions: &CatalogSnapshot, manager: &Arc<TransactionManager>) -> Result<()> {
    let mut transaction = begin(manager, false)?;
    let mut ahead = false;
    for sequence in definitions.sequences() {
        let state = sequence.runtime.0.lock();
        if let Some(values) = state.values
            && values.log_count > 0
            && !state.is_gone
        {
            ahead = true;
            let record = record(values.last_value, values.is_called);
            transaction.put(COUNTER_TREE, &key(sequence.id), &record)?;
        }
    }
    transaction.end_statement();
    if ahead {
        transaction.commit_unawaited()?;
    } else {
        transaction.rollback();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::data_type::DataType;

    fn options(start: i64, increment: i64, minimum: i64, maximum: i64, cycle: bool) -> SequenceOptions {
        SequenceOptions { data_type: DataType::BigInt, start, increment, minimum, maximum, cache: 1, cycle }
    }

    fn sequence(options: SequenceOptions) -> SequenceDefinition {
        SequenceDefinition {
            id: ObjectId(1),
            schema: String::from("public"),
            name: String::from("s"),
            options,
            owner: None,
            runtime: Arc::default(),
        }
    }

    #[test]
    fn a_range_ends_where_the_next_step_would_leave_it() {
        assert_eq!(steps_left(&options(1, 3, 1, 10, false), 4), 2);
        assert_eq!(steps_left(&options(1, 3, 1, 11, false), 10), 0);
        assert_eq!(steps_left(&options(-1, -2, -6, -1, false), -1), 2);
        assert_eq!(steps_left(&options(1, 1, i64::MIN, i64::MAX, false), i64::MIN), i64::MAX);
        let one = sequence(options(1, 1, 1, i64::MAX, false));
        assert_eq!(one.after(i64::MAX).unwrap_err().state(), SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED);
        assert_eq!(sequence(options(1, 1, -5, 3, true)).after(3).unwrap(), -5);
        assert_eq!(sequence(options(1, -1, -5, 3, true)).after(-5).unwrap(), 3);
    }

    #[test]
    fn a_record_is_its_value_and_whether_it_was_drawn() {
        assert_eq!(record(-2, true), [255, 255, 255, 255, 255, 255, 255, 254, 1]);
        assert_eq!(key(ObjectId(0x0102)), [3, 0, 0, 1, 2]);
    }
}

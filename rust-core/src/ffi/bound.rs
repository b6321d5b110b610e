//! The bound values of a prepared statement, and what they take of the memory account.
//! Knows values. Knows nothing of handles or pointers.

use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::types::datum::{Datum, DatumRef};

/// Texts and bytes of a statement that have so few bytes together are not charged: they are bound for every execution.
const SHORT_BYTES: usize = 4 << 10;

/// One value a parameter; what is not bound is missing.
#[derive(Debug)]
pub(crate) struct BoundValues {
    values: Vec<Option<Datum>>,
    /// Bytes of texts and bytes.
    bytes: usize,
    memory: Reservation,
    account: Arc<MemoryAccount>,
}

fn bytes_of(value: &Option<Datum>) -> usize {
    value.as_ref().map_or(0, |value| value.as_ref().long_bytes())
}

impl BoundValues {
    /// Nothing bound yet.
    pub(crate) fn new(count: usize, memory: &Arc<MemoryAccount>) -> BoundValues {
        BoundValues {
            values: vec![None; count],
            bytes: 0,
            memory: memory.reservation(),
            account: Arc::clone(memory),
        }
    }

    /// Parameters.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// What they are charged to.
    pub(crate) fn account(&self) -> &Arc<MemoryAccount> {
        &self.account
    }

    fn charge(&mut self, bytes: usize) -> Result<()> {
        let charged = if bytes > SHORT_BYTES { bytes } else { 0 };
        if charged == self.memory.bytes() { Ok(()) } else { self.memory.resize(charged) }
    }

    /// Binds a copy of `value`.
    /// # Errors
    /// `53200`: what was bound stays so.
    pub(crate) fn set(&mut self, index: usize, value: DatumRef<'_>) -> Result<()> {
        let new = value.long_bytes();
        if new > 0 {
            // Both are there while it is copied.
            self.charge(self.bytes + new)?;
        }
        let old = self.values[index].replace(value.to_owned());
        let old_bytes = bytes_of(&old);
        drop(old);
        self.bytes = self.bytes + new - old_bytes;
        self.charge(self.bytes)
    }

    /// Memory for values that came in so many bytes, before they are made.
    /// # Errors
    /// `53200`.
    pub(crate) fn memory_for(&self, bytes: usize) -> Result<Option<Reservation>> {
        if bytes <= SHORT_BYTES {
            return Ok(None);
        }
        let mut memory = self.account.reservation();
        memory.grow(bytes)?;
        Ok(Some(memory))
    }

    /// Binds all at once, as many as there are.
    /// # Errors
    /// None: they are charged.
    pub(crate) fn set_all(&mut self, values: Vec<Datum>, memory: Option<Reservation>) -> Result<()> {
        self.clear();
        self.values = values.into_iter().map(Some).collect();
        self.bytes = self.values.iter().map(bytes_of).sum();
        if let Some(memory) = memory {
            self.memory = memory;
        }
        self.charge(self.bytes)
    }

    /// Binds none.
    pub(crate) fn clear(&mut self) {
        self.values.fill(None);
        self.bytes = 0;
        self.charge(0).expect("shrinking a reservation never fails");
    }

    /// The values in order, to be shared.
    /// # Errors
    /// `42P02` where one is not bound.
    pub(crate) fn copy_into(&self, values: &mut Vec<Datum>) -> Result<()> {
        values.clear();
        for (index, value) in self.values.iter().enumerate() {
            match value {
                Some(value) => values.push(value.clone()),
                None => {
                    return Err(Error::new(
                        SqlState::UNDEFINED_PARAMETER,
                        format!("parameter ${} was not bound", index + 1),
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;

    #[test]
    fn what_is_bound_is_charged_and_given_back() {
        for seed in 1..20 {
            let mut random = Random::new(seed);
            let account = MemoryAccount::new(1 << 20);
            let mut bound = BoundValues::new(3, &account);
            let mut lengths = [0; 3];
            for _ in 0..200 {
                let (index, length) = (random.below(3) as usize, random.below(400_000) as usize);
                let text = "t".repeat(length);
                match random.below(5) {
                    0 => {
                        bound.set(index, DatumRef::BigInt(1)).unwrap();
                        lengths[index] = 0;
                    }
                    1 => {
                        bound.clear();
                        lengths = [0; 3];
                    }
                    2 => {
                        let Ok(memory) = bound.memory_for(length + 20) else { continue };
                        let values = vec![Datum::Null, Datum::text(&text), Datum::Boolean(true)];
                        bound.set_all(values, memory).unwrap();
                        lengths = [0, length, 0];
                    }
                    _ => match bound.set(index, DatumRef::Text(&text)) {
                        Ok(()) => lengths[index] = length,
                        Err(error) => assert_eq!(error.state(), SqlState::OUT_OF_MEMORY),
                    },
                }
                let total: usize = lengths.iter().sum();
                let charged = if total > SHORT_BYTES { total } else { 0 };
                assert_eq!(account.used(), charged, "seed {seed}");
            }
            drop(bound);
            assert_eq!(account.used(), 0, "seed {seed}");
        }
    }
}

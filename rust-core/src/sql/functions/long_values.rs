//! Long values that functions make are charged to the memory account as they come, for as long as a column has them.
//! Knows byte counts and columns. Knows nothing of particular functions.

use crate::batch::column::ColumnData;
use crate::batch::string::{OWN_BUFFER_BYTES, StringColumn};
use crate::common::memory::Reservation;
use crate::error::Result;
use crate::sql::functions::registry::{Environment, free_bytes};

/// Beyond what is free, this share of what there is is charged in advance.
const STEP_SHARE: usize = 8;

/// The long values of one column in the making.
pub(crate) struct LongValues<'e> {
    environment: &'e dyn Environment,
    /// So many bytes more may come before there is anything to do.
    left: usize,
    /// Bytes that `left` was when it was filled last, and those before.
    filled: usize,
    charged: Option<Reservation>,
}

impl<'e> LongValues<'e> {
    /// Nothing yet.
    pub(crate) fn new(environment: &'e dyn Environment) -> LongValues<'e> {
        let free = environment.memory().map_or(usize::MAX, |memory| free_bytes(memory));
        LongValues { environment, left: free, filled: free, charged: None }
    }

    /// A value of so many bytes comes.
    /// # Errors
    /// `53200`.
    #[inline]
    pub(crate) fn add(&mut self, bytes: usize) -> Result<()> {
        if bytes <= self.left {
            self.left -= bytes;
            return Ok(());
        }
        self.charge(bytes)
    }

    #[cold]
    fn charge(&mut self, bytes: usize) -> Result<()> {
        let Some(memory) = self.environment.memory() else { return Ok(()) };
        let total = self.filled - self.left + bytes;
        let charged = self.charged.get_or_insert_with(|| memory.reservation());
        // What is charged in advance must not be what refuses a value.
        let step = total / STEP_SHARE;
        if charged.resize(total + step).is_ok() {
            (self.filled, self.left) = (total + step, step);
        } else {
            charged.resize(total)?;
            (self.filled, self.left) = (total, 0);
        }
        Ok(())
    }

    /// Adds a text to a column; a long one is not copied, and leaves `text` empty.
    /// # Errors
    /// `53200`.
    #[inline]
    pub(crate) fn push_text(&mut self, column: &mut StringColumn, text: &mut String) -> Result<()> {
        self.add(text.len())?;
        if text.len() < OWN_BUFFER_BYTES {
            column.push_str(text);
        } else {
            let mut text = std::mem::take(text);
            text.shrink_to_fit();
            column.push_owned_str(text);
        }
        Ok(())
    }

    /// The column's data, which keeps what was charged.
    /// # Errors
    /// None: it shrinks.
    pub(crate) fn held_by(self, mut data: ColumnData) -> Result<ColumnData> {
        if let (Some(mut charged), ColumnData::Strings(strings)) = (self.charged, &mut data) {
            charged.resize(self.filled - self.left)?;
            strings.hold(charged);
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::memory::MemoryAccount;
    use crate::common::sync::Arc;
    use crate::error::SqlState;

    struct Counted(Arc<MemoryAccount>);

    impl Environment for Counted {
        fn memory(&self) -> Option<&Arc<MemoryAccount>> {
            Some(&self.0)
        }
        fn statement_time(&self) -> i64 {
            0
        }
        fn transaction_time(&self) -> i64 {
            0
        }
        fn clock_time(&self) -> i64 {
            0
        }
        fn time_zone(&self) -> &jiff::tz::TimeZone {
            const UTC: &jiff::tz::TimeZone = &jiff::tz::TimeZone::UTC;
            UTC
        }
        fn random(&self) -> f64 {
            0.0
        }
        fn setting(&self, _name: &str) -> Option<String> {
            None
        }
        fn session_id(&self) -> u64 {
            0
        }
    }

    #[test]
    fn values_beyond_what_is_free_are_charged_to_the_byte_until_their_column_goes() {
        let environment = Counted(MemoryAccount::new(1 << 20));
        let free = free_bytes(&environment.0);
        let mut long = LongValues::new(&environment);
        let mut column = StringColumn::new();
        let mut text = "t".repeat(free / 2);
        long.push_text(&mut column, &mut text.clone()).unwrap();
        assert_eq!(environment.0.used(), 0);
        for _ in 0..3 {
            long.push_text(&mut column, &mut text.clone()).unwrap();
        }
        let Ok(ColumnData::Strings(column)) = long.held_by(ColumnData::Strings(column)) else { panic!() };
        assert_eq!((column.charged_bytes(), environment.0.used()), (2 * free, 2 * free));
        assert!((0..4).all(|row| column.get_str(row) == text));
        let mut more = LongValues::new(&environment);
        text = "m".repeat((1 << 20) - 2 * free);
        more.add(text.len()).unwrap();
        assert_eq!(more.add(1).unwrap_err().state(), SqlState::OUT_OF_MEMORY);
        drop((more, column));
        assert_eq!(environment.0.used(), 0);
    }
}

//! What a write set takes of the memory account, and when it moves to temporary files.
//! Knows byte counts. Knows nothing of keys.

use super::{NONE, Version, WriteSet};
use crate::error::{Error, Result, SqlState};

/// The account is charged in steps of this many bytes; the first step stays charged between transactions.
pub(super) const CHARGE_STEP_BYTES: usize = 16 << 10;
/// A write set moves to temporary files beyond this share of the memory limit …
const SPILL_SHARE: usize = 32;
/// … or beyond what a larger share has above so many bytes: what stays in memory commits several times as fast, and
/// where the limit is generous there is room for it.
const SPILL_GENEROUS_SHARE: usize = 2;
const SPILL_GENEROUS_BYTES: usize = 256 << 20;
/// Where memory is short, what has so many bytes moves to temporary files.
const SPILL_BYTES_MIN: usize = 256 << 10;
/// Above so many versions their vector grows by what is charged instead of doubling.
const DOUBLED_VERSIONS_MAX: usize = 1 << 14;

impl WriteSet {
    /// Makes room for a write that has not begun: what is in memory may move to temporary files.
    pub(super) fn make_room(&mut self, bytes: usize) -> Result<()> {
        if self.used + bytes > self.used_max {
            self.make_more_room(bytes)?;
        }
        self.used += bytes;
        Ok(())
    }

    #[cold]
    fn make_more_room(&mut self, bytes: usize) -> Result<()> {
        if self.used + bytes > self.spill_bytes && self.versions.len() + self.appended > 0 {
            self.spill()?;
        }
        if self.used + bytes > self.memory.bytes()
            && let Err(error) = self.grow(bytes)
        {
            if self.used < SPILL_BYTES_MIN {
                return Err(error);
            }
            self.spill()?;
            self.give_memory_back();
            self.grow(bytes)?;
        }
        // A write that is larger than the bound alone does not move the bound.
        self.used_max = self.memory.bytes().min(self.spill_bytes);
        Ok(())
    }

    /// Charges for a part of a write that has begun.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<()> {
        if self.used + bytes > self.memory.bytes() {
            self.grow(bytes)?;
        }
        self.used += bytes;
        Ok(())
    }

    #[cold]
    fn grow(&mut self, bytes: usize) -> Result<()> {
        if self.versions.len() >= NONE as usize / 2 {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many writes in one transaction"));
        }
        // Larger sets charge in larger steps.
        let step = CHARGE_STEP_BYTES.max(self.used / 8).max(bytes);
        self.memory.grow(step)?;
        if self.versions.len() > DOUBLED_VERSIONS_MAX {
            self.versions.reserve_exact(step / size_of::<Version>() + 1);
        }
        Ok(())
    }

    pub(super) fn give_memory_back(&mut self) {
        self.versions = Vec::new();
        self.memory.resize(0).expect("shrinking a reservation never fails");
    }
}

/// Bytes that a write set may have in memory.
pub(super) fn spill_bytes_for(memory_limit: usize) -> usize {
    let generous = (memory_limit / SPILL_GENEROUS_SHARE).saturating_sub(SPILL_GENEROUS_BYTES);
    generous.max(memory_limit / SPILL_SHARE)
}

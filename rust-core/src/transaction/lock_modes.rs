//! Which lock modes meet: PostgreSQL's conflict tables as data.
//! Knows modes. Knows nothing of lock tables, owners or waiting.
//! Source: PostgreSQL 15 documentation, chapter 13.3 "Explicit Locking", tables 13.2 and 13.3.

use crate::transaction::types::{RowLockMode, TableLockMode};

/// A lock mode of any kind: table modes are 0–7, row modes 8–11, advisory ones 12–15. The kinds never conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mode(u8);

/// A set of modes, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct ModeSet(u16);

/// For every mode, the modes that another owner must not hold at the same time.
const CONFLICTS: [u16; 16] = [
    0b1000_0000, // ACCESS SHARE: ACCESS EXCLUSIVE
    0b1100_0000, // ROW SHARE: and EXCLUSIVE
    0b1111_0000, // ROW EXCLUSIVE: and SHARE, SHARE ROW EXCLUSIVE
    0b1111_1000, // SHARE UPDATE EXCLUSIVE: and itself
    0b1110_1100, // SHARE: ROW EXCLUSIVE, SHARE UPDATE EXCLUSIVE and what is stronger than SHARE
    0b1111_1100, // SHARE ROW EXCLUSIVE: and SHARE
    0b1111_1110, // EXCLUSIVE: and ROW SHARE
    0b1111_1111, // ACCESS EXCLUSIVE: all
    0b1000 << 8, // KEY SHARE: UPDATE
    0b1100 << 8, // SHARE: and NO KEY UPDATE
    0b1110 << 8, // NO KEY UPDATE: and SHARE
    0b1111 << 8, // UPDATE: all
    // Advisory locks of transactions and of sessions: how long they last does not matter to others.
    0b1010 << 12, // share, transaction
    0b1111 << 12, // exclusive, transaction
    0b1010 << 12, // share, session
    0b1111 << 12, // exclusive, session
];
const FIRST_ADVISORY: u8 = 12;

const NAMES: [&str; 16] = [
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
    "FOR KEY SHARE",
    "FOR SHARE",
    "FOR NO KEY UPDATE",
    "FOR UPDATE",
    "ShareLock",
    "ExclusiveLock",
    "ShareLock",
    "ExclusiveLock",
];

impl Mode {
    /// All modes, weakest first, those of tables before those of rows.
    pub(super) fn all() -> impl Iterator<Item = Mode> {
        (0..NAMES.len() as u8).map(Mode)
    }

    /// PostgreSQL's name of the mode.
    pub(super) fn name(self) -> &'static str {
        NAMES[self.0 as usize]
    }

    /// The set of only this mode.
    pub(super) fn set(self) -> ModeSet {
        ModeSet(1 << self.0)
    }

    /// Whether another owner's `held` modes keep this one from being granted.
    pub(super) fn conflicts_with(self, held: ModeSet) -> bool {
        CONFLICTS[self.0 as usize] & held.0 != 0
    }

    /// The mode of an advisory lock.
    pub(super) fn advisory(is_shared: bool, is_of_session: bool) -> Mode {
        Mode(FIRST_ADVISORY + u8::from(!is_shared) + 2 * u8::from(is_of_session))
    }

    /// Whether an owner of `held` gains nothing from this mode: everything it would keep out is kept out, as long.
    pub(super) fn is_covered_by(self, held: ModeSet) -> bool {
        if self.0 >= FIRST_ADVISORY {
            // Each goes when it is given back, not when a stronger one does.
            return held.contains(self);
        }
        CONFLICTS[self.0 as usize] & !held.conflicts() == 0
    }

    /// Modes of rows.
    pub(super) fn is_of_row(self) -> bool {
        (8..FIRST_ADVISORY).contains(&self.0)
    }

    /// Table modes that never meet each other: they are kept beside the lock table (see `fast_path`).
    pub(super) fn is_weak(self) -> bool {
        self.0 <= 2
    }

    /// Table modes that meet a weak one.
    pub(super) fn is_strong(self) -> bool {
        (4..8).contains(&self.0)
    }
}

impl ModeSet {
    fn conflicts(self) -> u16 {
        let mut all = 0;
        for (mode, conflicts) in CONFLICTS.iter().enumerate() {
            if self.0 & (1 << mode) != 0 {
                all |= conflicts;
            }
        }
        all
    }

    pub(super) fn contains(self, mode: Mode) -> bool {
        self.0 & mode.set().0 != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn insert(&mut self, other: ModeSet) {
        self.0 |= other.0;
    }

    pub(super) fn remove(&mut self, other: ModeSet) {
        self.0 &= !other.0;
    }
}

impl From<TableLockMode> for Mode {
    fn from(mode: TableLockMode) -> Mode {
        Mode(mode as u8)
    }
}

impl From<RowLockMode> for Mode {
    fn from(mode: RowLockMode) -> Mode {
        Mode(8 + mode as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows and columns: weakest to strongest; X = the two meet. As printed in PostgreSQL's documentation.
    const TABLE: [&str; 8] =
        [".......X", "......XX", "....XXXX", "...XXXXX", "..XX.XXX", "..XXXXXX", ".XXXXXXX", "XXXXXXXX"];
    const ROW: [&str; 4] = ["...X", "..XX", ".XXX", "XXXX"];

    #[test]
    fn every_pair_of_table_modes_meets_as_in_postgresql() {
        for (i, held) in TableLockMode::ALL.into_iter().enumerate() {
            for (j, wanted) in TableLockMode::ALL.into_iter().enumerate() {
                let meets = Mode::from(wanted).conflicts_with(Mode::from(held).set());
                assert_eq!(meets, TABLE[i].as_bytes()[j] == b'X', "{held:?} against {wanted:?}");
            }
        }
    }

    #[test]
    fn every_pair_of_row_modes_meets_as_in_postgresql() {
        for (i, held) in RowLockMode::ALL.into_iter().enumerate() {
            for (j, wanted) in RowLockMode::ALL.into_iter().enumerate() {
                let meets = Mode::from(wanted).conflicts_with(Mode::from(held).set());
                assert_eq!(meets, ROW[i].as_bytes()[j] == b'X', "{held:?} against {wanted:?}");
            }
        }
    }

    #[test]
    fn table_and_row_modes_never_meet() {
        for table in TableLockMode::ALL {
            for row in RowLockMode::ALL {
                assert!(!Mode::from(table).conflicts_with(Mode::from(row).set()));
                assert!(!Mode::from(row).conflicts_with(Mode::from(table).set()));
            }
        }
    }

    #[test]
    fn a_row_mode_covers_itself_and_every_weaker_one() {
        for held in RowLockMode::ALL {
            for wanted in RowLockMode::ALL {
                assert_eq!(Mode::from(wanted).is_covered_by(Mode::from(held).set()), wanted <= held);
            }
        }
    }

    #[test]
    fn weak_table_modes_never_meet_each_other_and_strong_ones_meet_one_of_them() {
        for left in TableLockMode::ALL {
            let meets_weak = TableLockMode::ALL
                .into_iter()
                .filter(|mode| Mode::from(*mode).is_weak())
                .any(|weak| Mode::from(weak).conflicts_with(Mode::from(left).set()));
            assert_eq!(meets_weak, Mode::from(left).is_strong(), "{left:?}");
        }
    }

    #[test]
    fn an_exclusive_advisory_lock_meets_every_other_and_shared_ones_do_not_meet() {
        let modes = [(true, false), (false, false), (true, true), (false, true)];
        for (held_shared, of_session) in modes {
            for (wanted_shared, for_session) in modes {
                let (held, wanted) =
                    (Mode::advisory(held_shared, of_session), Mode::advisory(wanted_shared, for_session));
                assert_eq!(wanted.conflicts_with(held.set()), !(held_shared && wanted_shared));
                assert_eq!(wanted.is_covered_by(held.set()), wanted == held);
                assert!(TableLockMode::ALL.iter().all(|mode| !Mode::from(*mode).conflicts_with(held.set())));
                assert!(RowLockMode::ALL.iter().all(|mode| !wanted.conflicts_with(Mode::from(*mode).set())));
            }
        }
    }
}

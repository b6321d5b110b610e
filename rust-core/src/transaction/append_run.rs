//! Rows that a transaction adds to a tree under consecutive keys: no entry in an ordered map, no version in the
//! journal, only their bytes one after the other.
//! Knows keys as numbers. Knows nothing of pages, the log or other trees.
//!
//! A run begins when enough keys have followed each other at the end of what the transaction wrote to the tree,
//! and grows as long as each put goes on where the last one ended. Whatever else happens to a key of the run is an
//! ordinary write, which stands above it: a reader asks the ordinary writes first.

use crate::common::bounds::index_range;
use crate::common::ids::CommandNumber;
use crate::transaction::byte_arena::{ByteArena, Slice};
use crate::transaction::lock_run::run_number;
use std::ops::{Bound, Range};

/// Consecutive puts before a run begins.
const STREAK_LENGTH_MIN: u32 = 64;
/// Bytes of a key.
pub(super) const RUN_KEY_BYTES: usize = 8;
/// What a row takes besides its bytes.
pub(super) const RUN_ROW_BYTES: usize = size_of::<Slice>();

/// Rows from `row` on were written by `command`, or, when `counts_up`, each by the command after the one before it.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    row: usize,
    command: CommandNumber,
    counts_up: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct AppendRun {
    first: u64,
    /// Key and value of each row.
    rows: Vec<Slice>,
    /// Ascending by row and by command.
    stretches: Vec<Stretch>,
    /// The key that goes on with the run, or with the streak before it.
    next: u64,
    /// Puts in a row before the run.
    streak: u32,
    /// Nothing was written behind the run since it began, so that it may grow.
    open: bool,
}

impl AppendRun {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether a put of `key` goes on with the run.
    #[inline]
    pub(super) fn takes(&self, key: &[u8]) -> bool {
        self.open && run_number(key) == Some(self.next)
    }

    /// Notes a put behind everything else that was written to the tree; whether a run is to begin with it.
    pub(super) fn begins_with(&mut self, key: &[u8]) -> bool {
        let Some(number) = run_number(key).filter(|_| self.rows.is_empty()) else { return false };
        self.streak = if self.next == number { self.streak.saturating_add(1) } else { 0 };
        self.next = number.wrapping_add(1);
        self.open = self.streak >= STREAK_LENGTH_MIN;
        if self.open {
            (self.first, self.next) = (number, number);
        }
        self.open
    }

    /// Something else is written under `key`: from there on the run does not grow.
    pub(super) fn note_write(&mut self, key: &[u8]) {
        if self.open && key >= self.next.to_be_bytes().as_slice() {
            self.open = false;
        }
    }

    /// Adds the row of the next key.
    pub(super) fn push(&mut self, row: Slice, command: CommandNumber) {
        let at = self.rows.len();
        self.rows.push(row);
        // The last key of all has no successor.
        self.open = self.next < u64::MAX;
        self.next = self.next.wrapping_add(1);
        if let Some(last) = self.stretches.last_mut() {
            let rows = (at - last.row) as u32;
            let before = last.command.0 + if last.counts_up { rows - 1 } else { 0 };
            // A stretch of one row may still become either kind.
            let counts_up = command.0 == before + 1 && (rows == 1 || last.counts_up);
            if counts_up || (command.0 == before && (rows == 1 || !last.counts_up)) {
                last.counts_up = counts_up;
                return;
            }
        }
        self.stretches.push(Stretch { row: at, command, counts_up: false });
    }

    /// Removes the last `count` rows.
    pub(super) fn pop(&mut self, count: usize) {
        let left = self.rows.len() - count;
        self.rows.truncate(left);
        while self.stretches.last().is_some_and(|last| last.row >= left) {
            self.stretches.pop();
        }
        self.next = self.next.wrapping_sub(count as u64);
        if left == 0 {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows = Vec::new();
        self.stretches = Vec::new();
        (self.first, self.next, self.streak, self.open) = (0, 0, 0, false);
    }

    /// Rows that commands before `before` wrote: they are the first ones.
    pub(super) fn rows_before(&self, before: Option<CommandNumber>) -> usize {
        let Some(before) = before else { return self.rows.len() };
        let stretches = self.stretches.partition_point(|stretch| stretch.command < before);
        let end = self.stretches.get(stretches).map_or(self.rows.len(), |next| next.row);
        match stretches.checked_sub(1).map(|last| self.stretches[last]) {
            None => 0,
            Some(last) if last.counts_up => end.min(last.row + (before.0 - last.command.0) as usize),
            Some(_) => end,
        }
    }

    /// The command that wrote a row.
    pub(super) fn command(&self, row: usize) -> CommandNumber {
        let after = self.stretches.partition_point(|stretch| stretch.row <= row);
        let stretch = self.stretches[after - 1];
        let steps = if stretch.counts_up { (row - stretch.row) as u32 } else { 0 };
        CommandNumber(stretch.command.0 + steps)
    }

    /// Key and value of a row.
    #[inline]
    pub(super) fn entry<'a>(&self, row: usize, arena: &'a ByteArena) -> (&'a [u8], &'a [u8]) {
        arena.get(self.rows[row]).split_at(RUN_KEY_BYTES)
    }

    /// Bytes of the values.
    pub(super) fn value_lens(&self) -> impl Iterator<Item = usize> + '_ {
        self.rows.iter().map(|row| row.len() - RUN_KEY_BYTES)
    }

    /// The first key as a number.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The first and the last key; meaningless when there are none.
    pub(super) fn keys(&self) -> ([u8; 8], [u8; 8]) {
        let last = self.first + (self.rows.len() as u64).saturating_sub(1);
        (self.first.to_be_bytes(), last.to_be_bytes())
    }

    /// The row of `key`.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        let row = run_number(key)?.checked_sub(self.first)?;
        (row < self.rows.len() as u64).then_some(row as usize)
    }

    /// The rows between two bounds.
    pub(super) fn range(&self, lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> Range<usize> {
        index_range(self.rows.len(), lower, upper, |index, key| {
            (self.first + index as u64).to_be_bytes().as_slice().cmp(key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;

    #[test]
    fn the_rows_of_earlier_commands_are_known_whatever_their_pattern() {
        for seed in 1..400 {
            let mut random = Random::new(seed);
            let mut run = AppendRun::default();
            let mut arena = ByteArena::default();
            let mut commands: Vec<u32> = Vec::new();
            let mut command = 1;
            let start = (5..).find(|number: &u64| run.begins_with(&number.to_be_bytes())).unwrap();
            assert_eq!(start, 5 + u64::from(STREAK_LENGTH_MIN));
            for _ in 0..random.below(60) {
                if random.below(8) == 0 {
                    let count = random.below(commands.len() as u64 + 1) as usize;
                    if count < commands.len() {
                        commands.truncate(commands.len() - count);
                        run.pop(count);
                        command = commands[commands.len() - 1];
                    }
                    continue;
                }
                command += [0, 0, 1, 1, 1, 3][random.below(6) as usize];
                let key = (start + commands.len() as u64).to_be_bytes();
                assert!(run.takes(&key), "seed {seed}");
                run.push(arena.push(&key), CommandNumber(command));
                commands.push(command);
            }
            for (row, written) in commands.iter().enumerate() {
                assert_eq!(run.command(row), CommandNumber(*written), "seed {seed}: {commands:?}");
            }
            for before in 0..command + 2 {
                let expected = commands.iter().filter(|written| **written < before).count();
                assert_eq!(
                    run.rows_before(Some(CommandNumber(before))),
                    expected,
                    "seed {seed}: {commands:?}"
                );
            }
        }
    }
}

//! What was recorded of transactions that ran at the same time. Knows nothing of databases.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a transaction asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// READ COMMITTED: each statement has a snapshot.
    ReadCommitted,
    /// REPEATABLE READ: snapshot isolation.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

impl Level {
    /// The statement that begins a transaction of this level.
    pub fn begin(self) -> &'static str {
        match self {
            Level::ReadCommitted => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Level::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Level::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Its commit was acknowledged.
    Committed,
    /// It was rolled back, or refused: nobody may ever see any of it.
    Aborted,
    /// The commit failed with 08007, or its answer was lost: all of it is there, or nothing.
    Unknown,
}

/// What a transaction did to lists, in its order. Each value is appended once in a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// A value was put at the end of a list.
    Append {
        /// The list.
        key: u64,
        /// The value.
        value: u64,
    },
    /// A list was read; one that does not exist is empty.
    Read {
        /// The list.
        key: u64,
        /// What was in it.
        list: Vec<u64>,
    },
    /// A search by length did not give the list: it had fewer than `low` values, or `high` and more.
    Outside {
        /// The list.
        key: u64,
        /// The least length that was asked for, at least 1.
        low: usize,
        /// The first length that was not asked for any more.
        high: usize,
    },
    /// A savepoint was set.
    Savepoint,
    /// Everything since the newest savepoint was undone; the savepoint stays.
    RollBackToSavepoint,
    /// The newest savepoint was forgotten.
    ReleaseSavepoint,
}

/// A transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transaction {
    /// The thread that ran it.
    pub process: usize,
    /// What it asked for.
    pub level: Level,
    /// When it was asked for, by the history's clock.
    pub began: u64,
    /// When its end was known.
    pub ended: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did.
    pub operations: Vec<Operation>,
}

/// The clock of a history: it only counts, which is all that "before" needs.
#[derive(Debug, Default)]
pub struct HistoryClock(AtomicU64);

impl HistoryClock {
    /// Later than every earlier call in any thread.
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

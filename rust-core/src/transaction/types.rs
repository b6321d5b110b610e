//! The words of the transaction layer: isolation levels, lock modes, read views, marks.
//! Data only. Knows nothing of pages, rows or SQL.

use crate::common::ids::Lsn;

/// What concurrent transactions may see of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    /// Another name for read committed, as in PostgreSQL.
    ReadUncommitted,
    /// Every statement has its own snapshot.
    ReadCommitted,
    /// One snapshot, taken by the first statement; a write to a row that changed since is 40001.
    RepeatableRead,
    /// As repeatable read, and the outcome is that of some order of the transactions one after the other: a
    /// commit whose reads changed since the snapshot is 40001.
    Serializable,
}

impl IsolationLevel {
    /// Whether all statements of a transaction see the same state, so that a write to a row that changed since
    /// is refused.
    #[inline]
    pub fn keeps_snapshot(self) -> bool {
        matches!(self, IsolationLevel::RepeatableRead | IsolationLevel::Serializable)
    }
}

/// Which state a read sees; the transaction's own writes come on top of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadView {
    /// The statement's snapshot and own writes of earlier commands.
    Snapshot,
    /// The newest committed state and all own writes: for constraints, after locking.
    Latest,
}

/// Which parts of the value under a key are read or changed. What a part is, whoever reads and writes the tree decides; that
/// there is a value at all is a part that every read has, and that no change of a value touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts(u64);

impl Parts {
    /// Everything: what is not told more exactly.
    pub const ALL: Parts = Parts(u64::MAX);
    /// Whether there is a value; what every read looks at.
    pub const EXISTENCE: Parts = Parts(1);
    /// Nothing; what a change begins with.
    pub const NONE: Parts = Parts(0);

    /// These and one more. Parts with high numbers share a place: they count as one.
    #[must_use]
    pub fn with(self, part: usize) -> Parts {
        Parts(self.0 | 1 << part.saturating_add(1).min(63))
    }

    /// What a read of some parts looks at.
    pub fn read(parts: &[usize]) -> Parts {
        parts.iter().fold(Parts::EXISTENCE, |read, part| read.with(*part))
    }

    /// These and others.
    #[must_use]
    pub fn union(self, others: Parts) -> Parts {
        Parts(self.0 | others.0)
    }

    /// Whether they have one in common.
    pub fn meet(self, others: Parts) -> bool {
        self.0 & others.0 != 0
    }
}

/// A set of timestamps: every commit up to and including one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot(Lsn);

impl Snapshot {
    /// The snapshot that sees commits up to and including `newest`.
    pub fn new(newest: Lsn) -> Snapshot {
        Snapshot(newest)
    }

    /// Whether a commit with timestamp `timestamp` is part of this snapshot.
    pub fn sees(self, timestamp: Lsn) -> bool {
        timestamp <= self.0
    }

    /// The newest commit that it sees.
    pub fn timestamp(self) -> Lsn {
        self.0
    }
}

/// PostgreSQL's eight table lock modes, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableLockMode {
    /// SELECT.
    AccessShare,
    /// SELECT FOR UPDATE and its kin.
    RowShare,
    /// INSERT, UPDATE, DELETE.
    RowExclusive,
    /// Maintenance that lets writers go on.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    /// CREATE TRIGGER and some forms of ALTER TABLE.
    ShareRowExclusive,
    /// Lets only readers in.
    Exclusive,
    /// DROP, TRUNCATE, most forms of ALTER TABLE.
    AccessExclusive,
}

impl TableLockMode {
    /// All modes, weakest first.
    pub const ALL: [TableLockMode; 8] = [
        TableLockMode::AccessShare,
        TableLockMode::RowShare,
        TableLockMode::RowExclusive,
        TableLockMode::ShareUpdateExclusive,
        TableLockMode::Share,
        TableLockMode::ShareRowExclusive,
        TableLockMode::Exclusive,
        TableLockMode::AccessExclusive,
    ];

    /// The words of LOCK TABLE.
    pub fn sql_name(self) -> &'static str {
        match self {
            TableLockMode::AccessShare => "ACCESS SHARE",
            TableLockMode::RowShare => "ROW SHARE",
            TableLockMode::RowExclusive => "ROW EXCLUSIVE",
            TableLockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            TableLockMode::Share => "SHARE",
            TableLockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            TableLockMode::Exclusive => "EXCLUSIVE",
            TableLockMode::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }
}

/// PostgreSQL's four row lock modes, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowLockMode {
    /// The key stays (a foreign key's check).
    KeyShare,
    /// The row stays as it is.
    Share,
    /// The row changes, its keys do not.
    NoKeyUpdate,
    /// The row goes, or a key of it changes.
    Update,
}

impl RowLockMode {
    /// All modes, weakest first.
    pub const ALL: [RowLockMode; 4] =
        [RowLockMode::KeyShare, RowLockMode::Share, RowLockMode::NoKeyUpdate, RowLockMode::Update];
}

/// How a lock was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOutcome {
    /// At once: what was read before under the same snapshot may still be checked cheaply.
    Granted,
    /// After somebody else let go: the state may have changed meanwhile.
    GrantedAfterWait,
}

/// A place in a transaction that it can return to: its writes and locks so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savemark {
    pub(in crate::transaction) writes: crate::transaction::write_set::WriteMark,
    pub(in crate::transaction) locks: crate::transaction::held_locks::LockMark,
    /// Trees built so far.
    pub(in crate::transaction) links: usize,
    /// Rows that got another key so far.
    pub(in crate::transaction) moves: usize,
}

//! Identifiers as types, so that one cannot be passed for another.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
        #[repr(transparent)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// Position in the log, in bytes since the database was created. The **end** position of a commit's
    /// frame is its commit timestamp: log order = commit order = version order.
    Lsn(u64)
);
id!(
    /// A page's logical number; the page map says which block holds it.
    PageId(u32)
);
id!(
    /// A place in the database file: byte offset = block number × page size.
    BlockId(u32)
);
id!(
    /// An ordered tree. Never reused.
    TreeId(u32)
);
id!(
    /// A transaction that writes. Never reused; 0 is "none".
    TransactionId(u64)
);
id!(
    /// A row of a table. The primary key itself where that is a single integer column.
    RowId(i64)
);
id!(
    /// A table, index or other catalog object. Never reused.
    ObjectId(u32)
);
id!(
    /// The number of a statement (command) inside its transaction; a scan sees entries of earlier ones only.
    CommandNumber(u32)
);

/// The tree of the catalog; exists from the creation of the database.
pub const CATALOG_TREE: TreeId = TreeId(2);
/// The tree of sequences and counters; exists from the creation of the database.
pub const COUNTER_TREE: TreeId = TreeId(3);

impl Lsn {
    /// Before every commit.
    pub const ZERO: Lsn = Lsn(0);
    /// After every commit.
    pub const MAX: Lsn = Lsn(u64::MAX);
}

/// What an advisory lock is on: one number, or two; the two kinds never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdvisoryKey {
    /// A bigint.
    One(i64),
    /// Two integers.
    Two(i32, i32),
}

impl AdvisoryKey {
    /// How many numbers it has, and all of them as one.
    pub fn numbers(self) -> (u8, u64) {
        match self {
            AdvisoryKey::One(number) => (1, number as u64),
            AdvisoryKey::Two(first, second) => {
                (2, u64::from(first.cast_unsigned()) << 32 | u64::from(second.cast_unsigned()))
            }
        }
    }
}

impl std::fmt::Display for AdvisoryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AdvisoryKey::One(number) => write!(f, "[{number}]"),
            AdvisoryKey::Two(first, second) => write!(f, "[{first},{second}]"),
        }
    }
}

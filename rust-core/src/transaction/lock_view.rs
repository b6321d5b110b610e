//! Who holds which table and who waits for what, for people to look at.
//! Knows the lock table. Changes nothing in it. Row locks that nobody waits for are kept by hash, so they cannot be told.

use crate::common::ids::{ObjectId, TreeId};
use crate::common::sync::atomic::Ordering;
use crate::transaction::lock_manager::{LockManager, LockTarget};
use crate::transaction::lock_modes::{Mode, ModeSet};
use crate::transaction::lock_table::Entry;

/// What a lock is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockedObject {
    /// A table.
    Table(ObjectId),
    /// A key of a tree.
    Row {
        /// The tree.
        tree: TreeId,
        /// The key.
        key: Box<[u8]>,
    },
}

impl From<LockTarget<'_>> for LockedObject {
    fn from(target: LockTarget<'_>) -> LockedObject {
        match target {
            LockTarget::Table(table) => LockedObject::Table(table),
            LockTarget::Row { tree, key } => LockedObject::Row { tree, key: key.into() },
        }
    }
}

impl std::fmt::Display for LockedObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LockedObject::Table(table) => write!(f, "relation {table}"),
            LockedObject::Row { tree, key } => {
                write!(f, "key \\x")?;
                for byte in key.iter().take(32) {
                    write!(f, "{byte:02x}")?;
                }
                write!(f, " of tree {tree}")
            }
        }
    }
}

/// A lock that is held, or waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockState {
    /// Whose it is: the session's number, 0 where none was given.
    pub session: u64,
    /// On what.
    pub object: LockedObject,
    /// PostgreSQL's name of the mode.
    pub mode: &'static str,
    /// Held; else waited for.
    pub granted: bool,
    /// The sessions that a waiter waits for, in order.
    pub blocked_by: Vec<u64>,
}

impl LockManager {
    /// The locks on `tables`, and every wait. Each line was true at one moment, not all of them at the same.
    pub fn states(&self, tables: &[ObjectId]) -> Vec<LockState> {
        let owners = self.owners();
        let session = |owner: u32| {
            owners.get(owner as usize - 1).map_or(0, |owner| owner.session.load(Ordering::Relaxed))
        };
        let mut states = Vec::new();
        let mut held = |owner: u32, table: ObjectId, modes: ModeSet| {
            states.extend(Mode::all().filter(|mode| modes.contains(*mode)).map(|mode| LockState {
                session: session(owner),
                object: LockedObject::Table(table),
                mode: mode.name(),
                granted: true,
                blocked_by: Vec::new(),
            }));
        };
        for owner in &owners {
            for (table, modes) in owner.fast_locks() {
                held(owner.id(), table, modes);
            }
        }
        for table in tables {
            let hash = self.hash(LockTarget::Table(*table));
            let holders: Vec<(u32, ModeSet)> = match self.shard(hash).lock().entries.get(&hash) {
                None => Vec::new(),
                Some(Entry::One { owner, modes }) => vec![(*owner, *modes)],
                Some(Entry::Many(queue)) => queue.holders.to_vec(),
            };
            holders.into_iter().for_each(|(owner, modes)| held(owner, *table, modes));
        }
        let graph = self.graph.lock();
        for (owner, record) in &graph.waiting {
            let mut blockers = Vec::new();
            self.blockers(&graph, *owner, &mut blockers);
            if blockers.is_empty() {
                // Granted a moment ago.
                continue;
            }
            let mut blocked_by: Vec<u64> = blockers.iter().map(|blocker| session(blocker.owner)).collect();
            blocked_by.sort_unstable();
            blocked_by.dedup();
            states.push(LockState {
                session: session(*owner),
                object: record.target.clone(),
                mode: record.mode.name(),
                granted: false,
                blocked_by,
            });
        }
        states.sort_unstable();
        states
    }
}

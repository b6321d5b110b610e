//! Who holds what and who waits for what, for people to look at.
//! Knows the lock table. Changes nothing in it. A row lock knows its tree and, where that is small, its number; the key
//! of an index entry is known only of locks that are waited for.

use crate::common::ids::{AdvisoryKey, ObjectId, TreeId};
use crate::common::sync::atomic::Ordering;
use crate::transaction::lock_manager::{LockManager, LockTarget};
use crate::transaction::lock_modes::{Mode, ModeSet};
use crate::transaction::lock_table::{Entry, Place};
use smallvec::SmallVec;

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
    /// Row locks of a tree that cannot be told apart, or need not be.
    Rows {
        /// The tree.
        tree: TreeId,
    },
    /// What a program locks for itself.
    Advisory(AdvisoryKey),
}

/// How people call what is locked; `None` where nobody knows it.
pub type ObjectNames = Box<dyn Fn(&LockedObject) -> Option<String> + Send + Sync>;

/// Lines about row locks that nobody waits for.
const ROW_LINES_MAX: usize = 10_000;

impl From<LockTarget<'_>> for LockedObject {
    fn from(target: LockTarget<'_>) -> LockedObject {
        match target {
            LockTarget::Table(table) => LockedObject::Table(table),
            LockTarget::Row { tree, key } => LockedObject::Row { tree, key: key.into() },
            LockTarget::Advisory(key) => LockedObject::Advisory(key),
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
            LockedObject::Rows { tree } => write!(f, "rows of tree {tree}"),
            LockedObject::Advisory(key) => write!(f, "advisory lock {key}"),
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
    /// How many locks the line stands for.
    pub count: u64,
    /// Since when it is waited for: unix microseconds.
    pub since: Option<i64>,
    /// The sessions that a waiter waits for, in order.
    pub blocked_by: Vec<u64>,
}

impl LockState {
    fn held(session: u64, object: LockedObject, mode: Mode, count: u64) -> LockState {
        LockState {
            session,
            object,
            mode: mode.name(),
            granted: true,
            count,
            since: None,
            blocked_by: Vec::new(),
        }
    }
}

impl LockManager {
    /// The locks on `tables`, those on rows (many of them at most), the advisory ones, and every wait. Each line was true at
    /// one moment, not all of them at the same.
    pub fn states(&self, tables: &[ObjectId]) -> Vec<LockState> {
        let owners = self.owners();
        let session = |owner: u32| {
            owners.get(owner as usize - 1).map_or(0, |owner| owner.session.load(Ordering::Relaxed))
        };
        let mut states = Vec::new();
        let mut held = |owner: u32, table: ObjectId, modes: ModeSet| {
            states.extend(Mode::all().filter(|mode| modes.contains(*mode)).map(|mode| {
                LockState::held(session(owner), LockedObject::Table(table), mode, 1) //
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
                Some(Entry::One { owner, modes, .. }) => vec![(*owner, *modes)],
                Some(Entry::Many(queue)) => queue.holders.to_vec(),
            };
            holders.into_iter().for_each(|(owner, modes)| held(owner, *table, modes));
        }
        for owner in &owners {
            let advisory = owner.advisory.lock().list();
            states.extend(advisory.into_iter().map(|(key, mode)| {
                let session = owner.session.load(Ordering::Relaxed);
                LockState::held(session, LockedObject::Advisory(key), mode, 1)
            }));
        }
        self.row_states(&session, &mut states);
        states.extend(self.waits());
        states.sort_unstable();
        states
    }

    /// Locks on rows that are held.
    fn row_states(&self, session: &dyn Fn(u32) -> u64, states: &mut Vec<LockState>) {
        let mut lines = 0;
        for shard in self.shards() {
            for entry in shard.lock().entries.values() {
                let (place, holders): (Place, SmallVec<[(u32, ModeSet); 4]>) = match entry {
                    Entry::One { owner, modes, place } => (*place, SmallVec::from_slice(&[(*owner, *modes)])),
                    Entry::Many(queue) => (queue.place, queue.holders.clone()),
                };
                if place.tree == 0 || lines >= ROW_LINES_MAX {
                    continue;
                }
                let tree = TreeId(place.tree);
                let object = match place.number() {
                    Some(number) => LockedObject::Row { tree, key: Box::new(number.to_be_bytes()) },
                    None => LockedObject::Rows { tree },
                };
                for (owner, modes) in holders {
                    // The strongest says it all.
                    let Some(mode) = Mode::all().filter(|mode| modes.contains(*mode)).last() else {
                        continue;
                    };
                    states.push(LockState::held(session(owner), object.clone(), mode, 1));
                    lines += 1;
                }
            }
        }
        for (owner, tree, mode, count) in self.runs.states() {
            states.push(LockState::held(session(owner), LockedObject::Rows { tree }, mode, count));
        }
    }

    /// Everybody who waits.
    pub fn waits(&self) -> Vec<LockState> {
        let graph = self.graph.lock();
        let mut states = Vec::new();
        for (owner, record) in &graph.waiting {
            let mut blockers = Vec::new();
            self.blockers(&graph, *owner, &mut blockers);
            if blockers.is_empty() {
                // Granted a moment ago.
                continue;
            }
            let mut blocked_by: Vec<u64> =
                blockers.iter().map(|blocker| self.session_of(blocker.owner)).collect();
            blocked_by.sort_unstable();
            blocked_by.dedup();
            states.push(LockState {
                session: self.session_of(*owner),
                object: record.target.clone(),
                mode: record.mode.name(),
                granted: false,
                count: 1,
                since: Some(record.since),
                blocked_by,
            });
        }
        states
    }
}

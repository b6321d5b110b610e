//! Transactions over trees: write sets, versions, locks, commit. One clock: the end LSN of a commit's frame.
//! Knows trees, keys and the log. Knows nothing of tables, columns or SQL.

mod append;
mod append_run;
mod byte_arena;
mod checkpointer;
mod commit;
mod commit_history;
mod commit_space;
mod commit_stream;
mod deadlock;
mod escalation;
mod garbage;
pub mod held_locks;
mod key_ranges;
mod links;
pub mod lock_advisory;
mod lock_beside;
mod lock_hashes;
pub mod lock_manager;
mod lock_modes;
mod lock_run;
mod lock_set;
mod lock_table;
pub mod lock_view;
mod lock_wait;
pub mod lockers;
mod locking;
pub mod manager;
pub mod moves;
mod mvcc;
mod own_range;
mod publish;
mod read_set;
mod reads;
pub mod rest;
pub mod scan;
mod scratch;
pub mod snapshot;
mod spilled_writes;
#[allow(clippy::module_inception, reason = "the file holds the type that the layer is named for")]
pub mod transaction;
mod tree_commit;
pub mod types;
mod unordered;
mod write_set;

#[cfg(test)]
mod tests;

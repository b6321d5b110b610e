//! The log: frames of logical, idempotent operations in segments; append, write, sync, scan, redo.
//!
//! Knows trees, keys and values as bytes. Knows nothing of pages, rows, snapshots or SQL.

pub mod entry;
pub mod frame;
pub mod manager;
pub mod recovery;
pub mod segment;

//! When a commit counts as done, and how many commits share one sync.
//!
//! Knows the log as positions. Knows nothing of transactions, pages or SQL.

pub mod manager;
pub mod policy;

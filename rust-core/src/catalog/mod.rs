//! Definitions of tables, columns, indexes, constraints, views and sequences as data, and what ANALYZE found of tables.
//!
//! Expressions (defaults, checks) and the queries of views are kept as SQL text; the catalog holds no bound tree.

#[allow(clippy::module_inception, reason = "the folder is named for its main type")]
pub mod catalog;
pub mod codec;
mod family;
mod older_versions;
pub mod sequence_definition;
pub mod sequence_runtime;
pub mod snapshot;
pub mod table_definition;
pub mod verify;
pub mod view_definition;

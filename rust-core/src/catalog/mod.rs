//! Definitions of tables, columns, indexes and constraints as data.
//!
//! Expressions (defaults, checks) are kept as SQL text; the catalog holds no bound tree.

#[allow(clippy::module_inception, reason = "the folder is named for its main type")]
pub mod catalog;
pub mod codec;
pub mod snapshot;
pub mod table_definition;
pub mod view_definition;

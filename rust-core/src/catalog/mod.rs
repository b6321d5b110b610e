//! Definitions of tables, columns, indexes and constraints as data.
//!
//! Expressions (defaults, checks) are kept as SQL text; the catalog holds no bound tree.

pub mod codec;
pub mod snapshot;
pub mod table_definition;

//! Columns of up to 2,048 rows in Arrow's memory layout, and batches of them.
//!
//! A [`column::Column`] is flat (a value a row) or constant (one value for all rows). A [`batch::Batch`] is
//! columns of one length plus a selection: filters write row numbers, they copy nothing.
//! Knows SQL types. Knows nothing of tables, expressions or plans.

#[allow(clippy::module_inception, reason = "the folder is named for its main type")]
pub mod batch;
pub mod builder;
pub mod cast;
pub mod column;
pub mod order;
pub mod pick;
pub mod string;
pub mod validity;

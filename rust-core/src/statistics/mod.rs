//! What is known of the values in a table, as data: filled by ANALYZE, stored by the catalog, read by the optimizer.
//! Knows values. Knows no tables, no storage and no plans.

pub mod builder;
mod distribution;
mod hyper_log_log;
mod reservoir;
pub mod table_statistics;

//! The SQL stages, in the order a statement passes them.

pub mod binder;
pub mod evaluate;
pub mod functions;
pub mod plan;
pub mod types;

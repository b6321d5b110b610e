//! The SQL stages, in the order a statement passes them.

pub mod ast;
pub mod binder;
pub mod evaluate;
pub mod executor;
pub mod explain;
pub mod functions;
pub mod lexer;
pub mod optimizer;
pub mod parser;
pub mod plan;
pub mod types;

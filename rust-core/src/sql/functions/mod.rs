//! One registry of scalar functions, operators and aggregates: for binder, optimizer, evaluator and documentation.
//! Knows types and columns. Knows nothing of expressions, plans or tables.

mod arithmetic;
pub mod comparison;
mod kernel;
pub mod registry;
mod temporal;
mod text;

use registry::{AggregateFunction, ScalarFunction};

/// The tables of definitions, in the order of the documentation.
fn scalar_tables() -> Vec<&'static [ScalarFunction]> {
    [comparison::TABLES, arithmetic::TABLES, text::TABLES].concat()
}

/// The tables of aggregate definitions.
fn aggregate_tables() -> Vec<&'static [AggregateFunction]> {
    vec![]
}

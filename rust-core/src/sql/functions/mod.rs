//! One registry of scalar functions, operators and aggregates: for binder, optimizer, evaluator and documentation.
//! Knows types and columns. Knows nothing of expressions, plans or tables.

pub mod registry;

use registry::{AggregateFunction, ScalarFunction};

/// The tables of definitions, in the order of the documentation.
fn scalar_tables() -> Vec<&'static [ScalarFunction]> {
    vec![]
}

/// The tables of aggregate definitions.
fn aggregate_tables() -> Vec<&'static [AggregateFunction]> {
    vec![]
}

//! One registry of scalar functions, operators and aggregates: for binder, optimizer, evaluator and documentation.
//! Knows types and columns. Knows nothing of expressions, plans or tables.

pub mod activity;
mod advisory;
mod aggregate;
mod arithmetic;
mod bytes;
pub mod comparison;
mod date_part;
mod digest;
mod format_number;
mod format_time;
mod kernel;
mod lines;
pub mod locks;
pub(crate) mod long_values;
mod math;
pub mod notifications;
mod numeric;
pub mod part;
mod pattern;
pub mod prepared;
pub mod registry;
mod regular_expression;
pub mod sequences;
mod series;
pub mod space;
mod split;
mod temporal;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod variadic;

pub use text::quote_identifier;

use registry::{AggregateFunction, ScalarFunction, TableFunction};

/// The tables of definitions, in the order of the documentation.
fn scalar_tables() -> Vec<&'static [ScalarFunction]> {
    [
        comparison::TABLES,
        arithmetic::TABLES,
        numeric::TABLES,
        math::TABLES,
        text::TABLES,
        temporal::TABLES,
        date_part::TABLES,
        pattern::TABLES,
        regular_expression::TABLES,
        bytes::TABLES,
        digest::TABLES,
        variadic::TABLES,
        activity::TABLES,
        advisory::TABLES,
        format_number::TABLES,
        format_time::TABLES,
        sequences::TABLES,
        notifications::TABLES,
    ]
    .concat()
}

/// The tables of aggregate definitions.
fn aggregate_tables() -> Vec<&'static [AggregateFunction]> {
    aggregate::TABLES.to_vec()
}

/// The tables of functions of FROM.
fn table_function_tables() -> Vec<&'static [TableFunction]> {
    vec![
        activity::TABLE,
        prepared::TABLE,
        locks::TABLE,
        notifications::TABLE,
        series::TABLE,
        sequences::TABLE,
        space::TABLE,
        split::TABLE,
    ]
}

//! One registry of scalar functions, operators and aggregates: for binder, optimizer, evaluator and documentation.

pub mod registry;
